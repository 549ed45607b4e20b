//! An engine in the process, for what looks at several events.

use std::collections::BTreeSet;

use operators::sigma::finding::identity;
use operators::sigma::{Active, RuleSet};
use operators::types::{Alert, Source};

use crate::cli::Failure;
use crate::config::settings::Settings;
use crate::intake::{Intake, Position};
use crate::journal::Pace;
use crate::outlets::Finite;
use crate::rules::Loaded;
use crate::session::{Plan, Session};

/// A session that keeps nothing.
pub(super) struct Live {
    /// Until it is finished.
    session: Option<Session>,
    /// Those that records have come from, by receiver and name.
    sources: BTreeSet<(String, String)>,
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
        let session = Session::start_with(settings, plan, loaded)?;
        Ok(Live { session: Some(session), sources: BTreeSet::new() })
    }

    /// Hands records over; waits while the engine is behind. Not from within a runtime.
    pub(super) fn give(&mut self, intake: Intake) {
        let Source { receiver, name } = &intake.source;
        let source = (receiver.clone(), name.clone());
        self.sources.insert(source);
        self.send(intake);
    }

    fn send(&self, intake: Intake) {
        let session = self.session.as_ref().expect("it is not finished");
        // A journal that takes no more says why when the session ends.
        session.intakes.blocking_send(intake).ok();
    }

    /// Works everything off; the alerts of correlations, by event time and id.
    ///
    /// # Errors
    /// If not everything could be taken.
    pub(super) fn finish(mut self, rules: &RuleSet) -> Result<Vec<Alert>, Failure> {
        // Every source has come to its end, as a file has that is read whole.
        for (receiver, name) in std::mem::take(&mut self.sources) {
            let path = name.clone();
            let mut last = Intake::new(Source { receiver, name });
            last.position = Some(Position {
                path,
                device: 0,
                inode: 0,
                fingerprint: 0,
                fingerprint_len: 0,
                offset: 0,
                complete: true,
            });
            self.send(last);
        }
        let session = self.session.take().expect("it is not finished");
        let ended = session.finish(false)?;
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

impl Drop for Live {
    fn drop(&mut self) {
        // Its threads wait for each other unless it is ended in order.
        if let Some(session) = self.session.take() {
            session.finish(true).ok();
        }
    }
}
