//! Holds what was found against what was planted.

use std::collections::BTreeMap;

use operators::types::{Alert, Level};
use serde::Serialize;

use super::{Line, Step};

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// What happened.
    pub step: &'static str,
    /// The ATT&CK technique.
    pub technique: &'static str,
    /// How many lines it has.
    pub lines: usize,
    /// The alerts that begin with one of its lines, by id, the most severe first.
    pub alerts: Vec<String>,
}

/// What became of all steps, and what was alerted besides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The steps, in order.
    pub steps: Vec<Outcome>,
    /// Alerts that begin with a harmless line, by id.
    pub harmless: Vec<String>,
    /// Those of them that are high or critical.
    pub harmless_high: Vec<String>,
}

impl Verdict {
    /// Judges the alerts of a day, whose lines have been taken in in their order: an alert belongs
    /// to the step that the line that opened it is of. That earlier or later lines are listed in
    /// it proves nothing.
    #[must_use]
    pub fn new(lines: &[Line], alerts: &[&Alert]) -> Self {
        let opened_by = |alert: &Alert| {
            let listed =
                alert.events.iter().filter_map(|seq| lines.get(usize::try_from(*seq).ok()?));
            let mut now = listed.filter(|line| line.time().to_rfc3339() == alert.event_time);
            // Several lines may be of the same second: the one that opened it is the last.
            now.rfind(|line| line.host == alert.host).and_then(|line| line.step)
        };
        let mut of_step = BTreeMap::<Step, Vec<&Alert>>::new();
        let (mut harmless, mut harmless_high) = (Vec::new(), Vec::new());
        for alert in alerts {
            match opened_by(alert) {
                Some(step) => of_step.entry(step).or_default().push(alert),
                None => {
                    harmless.push(alert.id.clone());
                    if alert.severity >= Level::High {
                        harmless_high.push(alert.id.clone());
                    }
                }
            }
        }
        let outcome = |step: Step| {
            let mut found = of_step.remove(&step).unwrap_or_default();
            found.sort_by(|a, b| (b.severity, &a.event_time).cmp(&(a.severity, &b.event_time)));
            Outcome {
                step: step.name(),
                technique: step.technique(),
                lines: lines.iter().filter(|line| line.step == Some(step)).count(),
                alerts: found.into_iter().map(|alert| alert.id.clone()).collect(),
            }
        };
        Verdict { steps: Step::ALL.map(outcome).into(), harmless, harmless_high }
    }

    /// How many steps are found.
    #[must_use]
    pub fn found(&self) -> usize {
        self.steps.iter().filter(|step| !step.alerts.is_empty()).count()
    }

    /// Whether all steps are found, and nothing harmless was alerted as high.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.found() == self.steps.len() && self.harmless_high.is_empty()
    }
}
