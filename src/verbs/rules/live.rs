//! An engine in the process, for what looks at several events.

use operators::sigma::finding::identity;
use operators::sigma::{Active, RuleSet};
use operators::types::Alert;

use crate::cli::Failure;
use crate::config::settings::Settings;
use crate::intake::Intake;
use crate::journal::Pace;
use crate::outlets::Finite;
use crate::rules::Loaded;
use crate::session::{Plan, Session};

/// A session that keeps nothing.
pub(super) struct Live {
    session: Session,
}

impl Live {
    /// Starts it with these rules.
    ///
    /// # Errors
    /// If the system gives no threads.
    pub(super) fn start(settings: &Settings, active: &Active) -> Result<Self, Failure> {
        let plan = Plan {
            workers: settings.workers,
            state: None,
            pace: Pace::Replay,
            event_lines: false,
            outlet: Box::new(Finite::new(None)),
        };
        let loaded = Loaded { active: active.clone(), ..Loaded::default() };
        Ok(Live { session: Session::start_with(settings, plan, loaded)? })
    }

    /// Hands records over; waits while the engine is behind. Not from within a runtime.
    pub(super) fn give(&self, intake: Intake) {
        // A journal that takes no more says why when the session ends.
        self.session.intakes.blocking_send(intake).ok();
    }

    /// Works everything off; the alerts of correlations, by event time and id.
    ///
    /// # Errors
    /// If not everything could be taken.
    pub(super) fn finish(self, rules: &RuleSet) -> Result<Vec<Alert>, Failure> {
        let ended = self.session.finish(false)?;
        let is_correlation = |alert: &Alert| {
            let mut correlations = rules.correlations().iter();
            correlations.any(|one| identity(&one.correlation.meta) == alert.rule)
        };
        let mut alerts: Vec<Alert> = ended.totals.alerts.into_values().collect();
        alerts.retain(is_correlation);
        alerts.sort_by(|a, b| (&a.event_time, &a.id).cmp(&(&b.event_time, &b.id)));
        Ok(alerts)
    }
}
