//! Sigma's correlation rules: matches of rules, counted and put in order by group and event time.
//!
//! ```text
//!  shares ─ hits ══ by group ══▶ level 0 ═ firings ═▶ level 1 ═▶ … ──▶ findings
//!           (where they landed)  (waits for the watermark)
//! ```
//!
//! # What a correlation means here
//!
//! - **Group.** The values of `group-by`, compared as they are written. A record that lacks one of
//!   the fields (or has only null) is not counted; of several values the first one is taken. Where
//!   a line of text has no such field and the name is a common one (`src_ip`, `user`, `host` and
//!   the like), the entity found in the line stands in for it.
//! - **Time** is event time. A match waits until the watermark has reached it, and then all are
//!   taken in order: what comes late or in disorder within the tolerance is counted as if it had
//!   come in order. What comes behind the watermark is not counted ([`Counts::late`]).
//! - **The window slides**: with each match, those are looked at that lie at most `timespan` before
//!   it, itself included. The condition is asked then, and only then; so a `not` means "not within
//!   the time span before", and `lt` asks about the matches so far.
//! - **One match, one firing.** When the condition holds the correlation fires and the group begins
//!   anew. Each firing thus stands for matches of its own; an attack that goes on fires again only
//!   when it has proved itself again, and that adds to the alert's count, since firings of one
//!   correlation and group are one incident for at least the time span. (To keep the window and
//!   be silent for a while would need a second time span that no rule states, would let one old
//!   match take part in many firings of a correlation that others refer to, and would hold all
//!   matches of a flood.)
//! - **An event counts once** for a correlation, even if it matches several of its rules; only
//!   the temporal kinds tell rules apart: all rules that it matches count before the condition is
//!   asked, and in `temporal_ordered` one event is one step.
//! - **Values.** `value_count` counts distinct texts (of several fields, tuples); the others take
//!   what is a number. A record without it is not counted.
//! - **Correlations of correlations.** A firing is a match at the time of its last event, with the
//!   values of its group under the names of its `group-by`. Firings reach the next level in
//!   the same epoch, so a chain is decided as a whole.
//!
//! # State
//!
//! Of each group its window, of each key group the matches that wait, under a
//! [print](plan::Ask::print) of the document: a reload or a restart changes nothing for
//! correlations that stay as they are. Limits are in [`groups`] and [`window`].

use std::rc::Rc;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use timely::dataflow::StreamVec;
use timely::dataflow::operators::core::{Concatenate, Map, OkErr};

use crate::logic::{Parcel, Sorter, Stage, stage};
use crate::sigma::correlation::LEVELS_MAX;
use crate::sigma::finding;
use crate::sigma::{Active, Schedule};
use crate::state::{Changes, Ledger, Store};
use crate::types::{EntityId, EventTime, Finding, Share, Source};

pub mod groups;
pub mod hit;
pub mod plan;
#[cfg(test)]
mod tests;
pub mod window;

pub use groups::Counts;
use groups::Groups;
use hit::{Hit, Hits, Inner, route};
use plan::Plan;

/// Matches on their way to one worker, for the correlations of one level.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fed {
    /// The level.
    pub level: u8,
    /// Where they go.
    pub parcel: Parcel<Hit>,
}

/// What is said of correlations.
#[derive(Clone, Debug)]
pub enum Said {
    /// To the owners of groups.
    Fed(Fed),
    /// To the owners of incidents.
    Finding(Parcel<Finding>),
    /// What was not counted in an epoch, where that is anything.
    Uncounted(u64, Counts),
}

/// The watermark as of the epochs before this one; one for each epoch and worker.
pub type Tick = EventTime;

/// Sorts hits by level and worker.
struct Outbox {
    levels: Vec<Sorter<Hit>>,
}

impl Outbox {
    fn new(peers: usize) -> Self {
        Outbox { levels: (0..LEVELS_MAX).map(|_| Sorter::new(peers)).collect() }
    }

    fn push(&mut self, level: u8, hit: Hit) {
        self.levels[usize::from(level)].push(route(hit.group), hit);
    }

    fn take(&mut self, out: &mut Vec<Said>) {
        for (level, sorter) in (0u8..).zip(&mut self.levels) {
            out.extend(sorter.take().map(|parcel| Said::Fed(Fed { level, parcel })));
        }
    }
}

/// The owner of some groups of the correlations of one level. See the [module](self).
pub struct Correlations {
    rules: Arc<Schedule>,
    plan: Option<Arc<Plan>>,
    groups: Groups,
    watermark: EventTime,
    outbox: Outbox,
    findings: Sorter<Finding>,
    store: Rc<dyn Store>,
}

impl Correlations {
    /// The correlations of a level, as of the last checkpoint.
    #[must_use]
    pub fn new(
        level: u8,
        worker: usize,
        peers: usize,
        rules: &Arc<Schedule>,
        store: &Rc<dyn Store>,
    ) -> Self {
        Correlations {
            rules: Arc::clone(rules),
            plan: None,
            groups: Groups::new(level, worker, peers),
            watermark: EventTime::MIN,
            outbox: Outbox::new(peers),
            findings: Sorter::new(peers),
            store: Rc::clone(store),
        }
    }

    /// The plan of the rules that are active.
    fn plan(&mut self, active: &Arc<Active>) -> Arc<Plan> {
        match &self.plan {
            Some(plan) if Arc::ptr_eq(&plan.active, active) => Arc::clone(plan),
            before => {
                let plan = Arc::new(Plan::new(active));
                match before {
                    None => self.groups.load(&*self.store, &plan),
                    Some(_) => self.groups.follow(&plan),
                }
                self.plan = Some(Arc::clone(&plan));
                plan
            }
        }
    }
}

impl Stage for Correlations {
    type Local = Tick;
    type Remote = Hit;
    type Summary = ();
    type Out = Said;
    const SHARED: bool = false;

    fn close(&mut self, epoch: u64, local: Vec<Tick>, hits: Vec<Hit>, out: &mut Vec<Said>) {
        let plan = self.plan(&self.rules.at(epoch));
        self.watermark = local.into_iter().fold(self.watermark, EventTime::max);
        for hit in hits {
            self.groups.arrive(hit, &plan);
        }
        self.groups.arrived(&plan);
        let (outbox, findings) = (&mut self.outbox, &mut self.findings);
        self.groups.take(self.watermark, &plan, |group, last, fired| {
            let ask = &plan.asks[group.correlation as usize];
            let names = group.names.to_vec();
            if ask.feeds {
                let correlation = group.correlation;
                let inner = Inner { correlation, names: &names, last, events: &fired.events };
                hit::feed(&plan, &inner, |level, hit| outbox.push(level, hit));
            }
            if !ask.silent {
                let fired = finding::Firing {
                    correlation: group.correlation,
                    group: last.group,
                    names: &names,
                    value: fired.value,
                    events: fired.events,
                    seq: last.seq,
                    time: last.time,
                    landed: last.landed,
                    entity: last.entity,
                    kind: last.kind,
                };
                let finding = finding::of_firing(&plan.active, fired);
                findings.push(crate::alert::route(finding.dedup), finding);
            }
        });
        self.outbox.take(out);
        out.extend(self.findings.take().map(Said::Finding));
        let counts = std::mem::take(&mut self.groups.counts);
        if !counts.is_empty() {
            out.push(Said::Uncounted(epoch, counts));
        }
    }

    fn merge(&mut self, _: u64, _: Vec<()>, _: &mut Vec<Said>) {}

    fn snapshot(&mut self, changes: &mut Changes) {
        if !changes.models_only() {
            self.groups.snapshot(changes);
        }
    }
}

/// `hits`, on a stream of shares.
pub trait HitsExt<'scope> {
    /// Tells the owners of groups of the matches that correlations ask for. `source` says which
    /// entity stands for a source.
    fn hits(
        self,
        rules: &Arc<Schedule>,
        source: fn(&Source) -> EntityId,
    ) -> StreamVec<'scope, u64, Said>;
}

impl<'scope> HitsExt<'scope> for StreamVec<'scope, u64, Rc<Share>> {
    fn hits(
        self,
        rules: &Arc<Schedule>,
        source: fn(&Source) -> EntityId,
    ) -> StreamVec<'scope, u64, Said> {
        let scope = self.scope();
        let (peers, worker) = (scope.peers(), scope.index() as u32);
        let rules = Arc::clone(rules);
        let mut hits = Hits::new(&rules.at(0), worker);
        let mut outbox = Outbox::new(peers);
        self.flat_map(move |share: Rc<Share>| {
            let active = rules.at(share.end.epoch);
            let late = hits.of(&share, &active, source, |level, hit| outbox.push(level, hit));
            let mut said = Vec::new();
            outbox.take(&mut said);
            if late > 0 {
                let counts = Counts { late, ..Counts::default() };
                said.push(Said::Uncounted(share.end.epoch, counts));
            }
            said
        })
    }
}

/// `correlations`, on the watermarks of a worker.
pub trait CorrelationsExt<'scope> {
    /// Correlates what [`hits`](HitsExt::hits) say. Findings and what was not counted come out.
    fn correlations(
        self,
        hits: StreamVec<'scope, u64, Said>,
        rules: &Arc<Schedule>,
        store: &Rc<dyn Store>,
        ledger: &Rc<Ledger>,
    ) -> StreamVec<'scope, u64, Said>;
}

impl<'scope> CorrelationsExt<'scope> for StreamVec<'scope, u64, Tick> {
    fn correlations(
        self,
        hits: StreamVec<'scope, u64, Said>,
        rules: &Arc<Schedule>,
        store: &Rc<dyn Store>,
        ledger: &Rc<Ledger>,
    ) -> StreamVec<'scope, u64, Said> {
        let scope = self.scope();
        let (index, peers) = (scope.index(), scope.peers());
        let mut said = vec![];
        let mut fed = hits;
        for level in 0..LEVELS_MAX {
            let (own, others) = fed.ok_err(move |said| match said {
                Said::Fed(Fed { level: other, parcel }) if other == level => Ok(parcel),
                other => Err(other),
            });
            let (own, others) = (own.container(), others.container());
            let name = format!("Correlation {level}");
            let logic = Correlations::new(level, index, peers, rules, store);
            let out = stage(self.clone(), own, &name, ledger, logic);
            let (firings, told) = out.ok_err(|said| match said {
                Said::Fed(_) => Ok(said),
                other => Err(other),
            });
            said.push(told.container());
            fed = scope.concatenate([others, firings.container()]);
        }
        said.push(fed);
        scope.concatenate(said)
    }
}
