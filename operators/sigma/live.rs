//! Rules beside a stream: which set is active in which epoch, and what it says of a batch.
//!
//! A set and the pipelines that it is used with are one [`Active`]. A new one becomes active with
//! an epoch ([`Schedule::swap`]), so every event is matched by exactly one set, on every worker
//! and in every replay. Whoever looks at an epoch later asks for the set that was active in it.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::compile::{Resolved, RuleIndex, RuleSet};
use super::correlation::Target;
use super::explain::{Explanation, Near};
use super::fields::{Fields, Pipeline};
use super::matcher::{Counters, Matcher};
use super::record::Record;
use super::rule::Meta;
use crate::types::{Batch, Event, Flags, Span};

/// How many past sets are remembered for epochs that are still on their way.
const PAST_MAX: usize = 16;

/// A rule set and the pipelines that records go through before. Cheap to clone: the set is shared.
#[derive(Clone, Debug, Default)]
pub struct Active {
    /// Stands for all that it is made of, so that a journal can name it; 0 if nobody asked.
    pub digest: u128,
    /// The rules.
    pub rules: Arc<RuleSet>,
    /// Pipelines of the user; those that are built in come before them.
    pub pipelines: Vec<Pipeline>,
    /// For each rule, how long its findings about one entity are one incident.
    pub(super) incidents: Vec<Span>,
    /// The same for each correlation.
    pub(super) correlation_incidents: Vec<Span>,
    /// For each rule, whether a correlation asks for its matches.
    feeds: Vec<bool>,
}

impl Active {
    /// These rules and pipelines. Findings of a rule about one entity are one incident for
    /// `window` of event time; for a rule whose id, name or title is in `windows`, for that long.
    /// Those of a correlation are for no less than its time span, unless `windows` says so.
    #[must_use]
    pub fn new(
        rules: RuleSet,
        pipelines: Vec<Pipeline>,
        window: Span,
        windows: &BTreeMap<String, Span>,
    ) -> Self {
        let incident = |meta: &Meta, window: Span| {
            let called = windows
                .iter()
                .find(|(name, _)| meta.is_called(name) || meta.title.eq_ignore_ascii_case(name));
            called.map_or(window, |(_, window)| *window)
        };
        let incidents = rules.rules().iter().map(|rule| incident(&rule.meta, window)).collect();
        let mut feeds = vec![false; rules.len()];
        let mut correlation_incidents = Vec::new();
        for Resolved { correlation, targets } in rules.correlations() {
            let window = window.max(correlation.timespan);
            correlation_incidents.push(incident(&correlation.meta, window));
            for target in targets {
                if let Target::Rule(rule) = target {
                    feeds[*rule as usize] = true;
                }
            }
        }
        let rules = Arc::new(rules);
        Active { digest: 0, rules, pipelines, incidents, correlation_incidents, feeds }
    }

    /// Whether a correlation asks for the matches of a rule.
    #[must_use]
    pub fn feeds(&self, rule: RuleIndex) -> bool {
        self.feeds.get(rule.0 as usize).is_some_and(|feeds| *feeds)
    }
}

/// Which rules are active from which epoch on.
#[derive(Debug)]
pub struct Schedule {
    /// Ascending; the first is active from the beginning.
    sets: RwLock<Vec<(u64, Arc<Active>)>>,
}

impl Schedule {
    /// These rules, from the beginning.
    #[must_use]
    pub fn new(active: impl Into<Arc<Active>>) -> Self {
        Schedule { sets: RwLock::new(vec![(0, active.into())]) }
    }

    /// What is active in an epoch; of an epoch too long ago, the oldest that is remembered.
    #[must_use]
    pub fn at(&self, epoch: u64) -> Arc<Active> {
        let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
        let after = sets.partition_point(|(from, _)| *from <= epoch);
        Arc::clone(&sets[after.saturating_sub(1)].1)
    }

    /// What was made active last.
    #[must_use]
    pub fn latest(&self) -> Arc<Active> {
        self.at(u64::MAX)
    }

    /// Makes other rules active from `epoch` on, which no worker may have begun, and which must
    /// not be before that of any swap before.
    pub fn swap(&self, epoch: u64, active: impl Into<Arc<Active>>) {
        let mut sets = self.sets.write().unwrap_or_else(PoisonError::into_inner);
        debug_assert!(sets.last().is_none_or(|(from, _)| *from <= epoch), "swaps come in order");
        sets.push((epoch, active.into()));
        if sets.len() > PAST_MAX {
            sets.remove(0);
        }
    }
}

/// Says of events which rules match. Each worker has its own.
#[derive(Debug)]
pub struct Sigma {
    active: Arc<Active>,
    fields: Fields,
    matcher: Matcher,
    spare: Record<'static>,
    matched: Vec<RuleIndex>,
}

impl Sigma {
    /// With these rules.
    #[must_use]
    pub fn new(active: &Arc<Active>) -> Self {
        Sigma {
            active: Arc::clone(active),
            fields: Fields::new(&active.rules, &active.pipelines),
            matcher: Matcher::new(&active.rules),
            spare: Record::default(),
            matched: Vec::new(),
        }
    }

    /// The rules.
    #[must_use]
    pub fn active(&self) -> &Arc<Active> {
        &self.active
    }

    /// What it has done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.matcher.counters()
    }

    /// Goes on with other rules, if they are others.
    pub fn follow(&mut self, active: &Arc<Active>) {
        if !Arc::ptr_eq(&self.active, active) {
            *self = Sigma::new(active);
        }
    }

    /// Notes in a batch which rules match its events.
    pub fn detect(&mut self, batch: &mut Batch) {
        let mut hits = std::mem::take(&mut batch.hits);
        hits.clear();
        if !self.active.rules.is_empty() {
            self.fields.begin(batch);
            let mut given_up = Vec::new();
            for (index, event) in (0u32..).zip(&batch.events) {
                let before = self.matcher.counters().given_up;
                let spare = std::mem::take(&mut self.spare);
                let record = self.fields.record(batch, event, spare);
                self.matcher.matches(&record, &mut self.matched);
                self.spare = record.recycled();
                hits.extend(self.matched.iter().map(|rule| (index, rule.0)));
                if self.matcher.counters().given_up > before {
                    given_up.push(index as usize);
                }
            }
            for index in given_up {
                batch.events[index].flags.set(Flags::SEARCH_GIVEN_UP);
            }
        }
        batch.hits = hits;
    }

    /// What rules read of an event.
    pub fn record<'a>(&'a mut self, batch: &'a Batch, event: &Event) -> Record<'a> {
        self.fields.begin(batch);
        self.fields.record(batch, event, Record::default())
    }

    /// What each selection of a rule says of an event.
    pub fn explain(&mut self, batch: &Batch, event: &Event, rule: RuleIndex) -> Explanation {
        let rules = Arc::clone(&self.active.rules);
        rules.explain(&self.record(batch, event), rule)
    }

    /// The rules that come nearest to matching an event and do not, at most `n`.
    pub fn nearest(&mut self, batch: &Batch, event: &Event, n: usize) -> Vec<Near> {
        let rules = Arc::clone(&self.active.rules);
        rules.nearest(&self.record(batch, event), n)
    }
}
