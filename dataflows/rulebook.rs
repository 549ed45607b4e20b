//! Sigma beside the stream: hits become findings, and alerts are told what their rule says.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use operators::alert;
use operators::entity::touch::source_id;
use operators::logic::{Parcel, Sorter};
use operators::report::Rulebook;
use operators::sigma::compile::RuleIndex;
use operators::sigma::{Schedule, Sigma, finding};
use operators::types::{Alert, Batch, Event, Finding, Flags, Rule, Share};
use timely::dataflow::StreamVec;
use timely::dataflow::operators::vec::Map;

/// What rules match, on a stream of shares.
pub(crate) trait MatchesExt<'scope> {
    /// Tells the owners of incidents of the rules that match.
    fn matches(self, rules: &Arc<Schedule>) -> StreamVec<'scope, u64, Parcel<Finding>>;
}

impl<'scope> MatchesExt<'scope> for StreamVec<'scope, u64, Rc<Share>> {
    fn matches(self, rules: &Arc<Schedule>) -> StreamVec<'scope, u64, Parcel<Finding>> {
        let scope = self.scope();
        let (peers, worker) = (scope.peers(), scope.index() as u32);
        let rules = Arc::clone(rules);
        self.flat_map(move |share: Rc<Share>| {
            let mut sorter = Sorter::new(peers);
            let active = rules.at(share.end.epoch);
            for batch in &share.batches {
                finding::findings(&active, batch, worker, source_id, |finding| {
                    sorter.push(alert::route(finding.dedup), finding);
                });
            }
            sorter.take().collect::<Vec<_>>()
        })
    }
}

/// The rules that were active when an alert's event came.
pub(crate) struct Book {
    rules: Arc<Schedule>,
    reader: RefCell<Option<Sigma>>,
}

impl Book {
    pub(crate) fn new(rules: &Arc<Schedule>) -> Self {
        Book { rules: Arc::clone(rules), reader: RefCell::new(None) }
    }
}

impl Rulebook for Book {
    fn describe(&self, finding: &Finding, batch: &Batch, event: &Event, alert: &mut Alert) {
        let Rule::Sigma(number) = finding.rule else { return };
        let active = self.rules.at(batch.block.epoch);
        let mut reader = self.reader.borrow_mut();
        let reader = reader.get_or_insert_with(|| Sigma::new(&active));
        reader.follow(&active);
        let explanation = reader.explain(batch, event, RuleIndex(number));
        finding::describe(&active, &explanation, alert);
    }

    fn describe_firing(&self, epoch: u64, finding: &Finding, alert: &mut Alert) {
        finding::describe_firing(&self.rules.at(epoch), finding, alert);
    }

    fn keep<'s>(&self, share: &'s Share, tell: &mut dyn FnMut(&'s Batch, &'s Event)) {
        let active = self.rules.at(share.end.epoch);
        for batch in &share.batches {
            for hits in batch.hits.chunk_by(|(one, _), (other, _)| one == other) {
                let event = &batch.events[hits[0].0 as usize];
                let feeds = |(_, rule): &(u32, u32)| active.feeds(RuleIndex(*rule));
                if !event.flags.has(Flags::LATE) && hits.iter().any(feeds) {
                    tell(batch, event);
                }
            }
        }
    }
}
