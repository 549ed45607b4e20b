//! How far event time has come.
//!
//! Each source has a frontier of its own: the latest event time that it has shown. The engine's
//! watermark is the least of the active sources', less a tolerance; it never goes back. A source
//! is active until it ends or has been silent for [`Options::idle`] by the clock of receipt, and
//! again when it speaks. When no source is active, nothing is waited for.
//!
//! A record that does not say when it happened is taken to have happened when its source had come
//! as far as it has; only if its source never says when, at its receipt. (A line of a stack trace
//! in a file of last year did not happen today.)
//!
//! An event behind the watermark of the epochs before its own is *late*: it is kept, scored and
//! matched, and stays out of windows that are closed.
//!
//! The model is that of closed epochs, so it does not matter which worker saw which record.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use timely::dataflow::StreamVec;
use timely::dataflow::operators::generic::operator::empty;

use crate::logic::{Stage, stage};
use crate::state::{Changes, Ledger, Store, model_key};
use crate::types::{EventTime, Flags, Share, Span};

/// When a record is late and when a source is silent.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How far a record may lie behind the newest of its source and still be in time.
    ///
    /// Raising it delays every window by as much.
    pub tolerance: Span,
    /// After how long a silence a source is no longer waited for, by the time of receipt.
    pub idle: Span,
}

/// The name of the model in the store.
const NAME: &str = "watermark";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    /// The latest event time that the source has shown.
    reached: EventTime,
    /// Whether its records say when they happened.
    dated: bool,
    /// When it last spoke, by the journal's clock of receipt.
    spoke: EventTime,
    ended: bool,
}

/// Marks late events, and says the watermark.
pub struct Watermark {
    options: Options,
    sources: BTreeMap<u32, Progress>,
    watermark: EventTime,
    /// The latest time of receipt so far, that of the epoch that is closed and not yet merged
    /// included. Files need not come in the order of their age, so it is remembered.
    received_until: EventTime,
    ended: Vec<u32>,
}

impl Watermark {
    /// A watermark that has seen nothing, or what it had seen by the last checkpoint.
    #[must_use]
    pub fn new(options: Options, store: &dyn Store) -> Self {
        let saved =
            store.get(&model_key(NAME)).and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let (watermark, received_until, sources): (EventTime, EventTime, Vec<(u32, Progress)>) =
            saved.unwrap_or((EventTime::MIN, EventTime::MIN, Vec::new()));
        let sources = sources.into_iter().collect();
        Watermark { options, sources, watermark, received_until, ended: Vec::new() }
    }

    fn advance(&mut self) {
        let silent = self.received_until - self.options.idle;
        let active = |progress: &&Progress| !progress.ended && progress.spoke >= silent;
        let least = self.sources.values().filter(active).map(|progress| progress.reached).min();
        let reached = match least {
            Some(least) => least - self.options.tolerance,
            None => match self.sources.values().map(|progress| progress.reached).max() {
                Some(latest) => latest,
                None => return,
            },
        };
        self.watermark = self.watermark.max(reached);
    }
}

/// Takes note of how far a source came, and whether by a record that says when.
fn note(latest: &mut BTreeMap<u32, (bool, EventTime)>, run: Option<(u32, (bool, EventTime))>) {
    if let Some((source, reached)) = run {
        let known = latest.entry(source).or_insert(reached);
        *known = (*known).max(reached);
    }
}

impl Stage for Watermark {
    type Local = Share;
    type Remote = ();
    /// By source, whether any record is dated, and the latest time of the dated ones, else of all.
    type Summary = Vec<(u32, bool, EventTime)>;
    type Out = Share;

    fn close(
        &mut self,
        _epoch: u64,
        local: Vec<Share>,
        _: Vec<()>,
        out: &mut Vec<Share>,
    ) -> Self::Summary {
        let mut latest = BTreeMap::<u32, (bool, EventTime)>::new();
        // Events of a source come in runs.
        let mut run: Option<(u32, (bool, EventTime))> = None;
        for mut share in local {
            share.watermark = self.watermark;
            for event in share.batches.iter_mut().flat_map(|batch| &mut batch.events) {
                let dated = !event.flags.has(Flags::TIME_OF_RECEIPT);
                if !dated
                    && let Some(progress) = self.sources.get(&event.source)
                    && progress.dated
                {
                    event.time = progress.reached.min(event.received_at);
                }
                if event.time < self.watermark {
                    event.flags.set(Flags::LATE);
                }
                match &mut run {
                    Some((source, reached)) if *source == event.source => {
                        *reached = (*reached).max((dated, event.time));
                    }
                    _ => {
                        let next = (event.source, (dated, event.time));
                        note(&mut latest, run.replace(next));
                    }
                }
            }
            self.received_until = self.received_until.max(share.end.received_until);
            self.ended.clone_from(&share.end.ended);
            out.push(share);
        }
        note(&mut latest, run);
        latest.into_iter().map(|(source, (dated, time))| (source, dated, time)).collect()
    }

    fn merge(&mut self, _epoch: u64, summaries: Vec<Self::Summary>, _: &mut Vec<Share>) {
        for (source, dated, time) in summaries.into_iter().flatten() {
            let seen = Progress { reached: time, dated, spoke: self.received_until, ended: false };
            let progress = self.sources.entry(source).or_insert(seen);
            match (progress.dated, dated) {
                (false, true) => (progress.reached, progress.dated) = (time, true),
                (true, false) => {}
                _ => progress.reached = progress.reached.max(time),
            }
            progress.spoke = self.received_until;
            progress.ended = false;
        }
        for source in self.ended.drain(..) {
            if let Some(progress) = self.sources.get_mut(&source) {
                progress.ended = true;
            }
        }
        self.advance();
    }

    fn snapshot(&mut self, changes: &mut Changes) {
        if changes.is_first() {
            let sources: Vec<_> = self.sources.iter().collect();
            let model = (self.watermark, self.received_until, sources);
            let bytes = serde_json::to_vec(&model).expect("plain data");
            changes.put(&model_key(NAME), &bytes);
        }
    }
}

/// `watermark`, on a stream of shares.
pub trait WatermarkExt<'scope> {
    /// Marks late events and sets each share's watermark.
    fn watermark(self, options: Options, store: &Rc<dyn Store>, ledger: &Rc<Ledger>) -> Self;
}

impl<'scope> WatermarkExt<'scope> for StreamVec<'scope, u64, Share> {
    fn watermark(self, options: Options, store: &Rc<dyn Store>, ledger: &Rc<Ledger>) -> Self {
        let nothing = empty(self.scope());
        stage(self, nothing, "Watermark", ledger, Watermark::new(options, &**store))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::MemoryStore;
    use crate::types::EpochEnd;

    const OPTIONS: Options = Options { tolerance: Span::from_secs(30), idle: Span::from_secs(60) };

    /// Merges one epoch: `(source, second)` pairs received at `received`; returns the watermark.
    fn epoch(model: &mut Watermark, received: i64, seen: &[(u32, i64)], ended: &[u32]) -> i64 {
        model.received_until = EventTime::from_secs(received);
        model.ended = ended.to_vec();
        let summary = seen.iter().map(|(s, t)| (*s, true, EventTime::from_secs(*t))).collect();
        model.merge(0, vec![summary], &mut Vec::new());
        model.watermark.0.div_euclid(1_000_000_000)
    }

    fn model() -> Watermark {
        Watermark::new(OPTIONS, &MemoryStore::default())
    }

    #[test]
    fn the_slowest_active_source_decides() {
        let mut model = model();
        assert_eq!(epoch(&mut model, 0, &[(1, 1_000), (2, 500)], &[]), 470);
        assert_eq!(epoch(&mut model, 1, &[(1, 2_000)], &[]), 470);
        assert_eq!(epoch(&mut model, 2, &[(2, 1_500)], &[]), 1_470);
    }

    #[test]
    fn a_silent_source_is_not_waited_for_and_may_come_back() {
        let mut model = model();
        epoch(&mut model, 0, &[(1, 1_000), (2, 500)], &[]);
        assert_eq!(epoch(&mut model, 61, &[(1, 2_000)], &[]), 1_970);
        assert_eq!(epoch(&mut model, 62, &[(2, 600)], &[]), 1_970, "it never goes back");
        assert_eq!(epoch(&mut model, 63, &[(1, 9_000)], &[]), 1_970, "and waits again");
    }

    #[test]
    fn a_source_that_ended_is_not_waited_for() {
        let mut model = model();
        epoch(&mut model, 0, &[(1, 100)], &[1]);
        assert_eq!(epoch(&mut model, 0, &[(2, 5_000)], &[]), 4_970);
    }

    #[test]
    fn when_nothing_is_active_the_latest_time_is_reached() {
        let mut model = model();
        assert_eq!(epoch(&mut model, 0, &[(1, 100), (2, 90)], &[1, 2]), 100);
    }

    #[test]
    fn records_without_a_time_of_their_own_do_not_move_a_dated_source() {
        let mut model = model();
        epoch(&mut model, 0, &[(1, 1_000)], &[]);
        model.merge(1, vec![vec![(1, false, EventTime::from_secs(9_000))]], &mut Vec::new());
        assert_eq!(model.watermark, EventTime::from_secs(970));
    }

    #[test]
    fn how_an_epoch_is_split_does_not_matter() {
        let at = EventTime::from_secs;
        let whole = vec![(1, false, at(7)), (1, true, at(5)), (2, false, at(9))];
        let mut together = model();
        together.merge(0, vec![whole.clone()], &mut Vec::new());
        for split in 0..=whole.len() {
            let mut apart = model();
            let (left, right) = whole.split_at(split);
            apart.merge(0, vec![right.to_vec(), left.to_vec()], &mut Vec::new());
            assert_eq!(apart.sources, together.sources);
        }
    }

    #[test]
    fn the_model_comes_back_from_a_checkpoint() {
        let mut before = model();
        epoch(&mut before, 0, &[(1, 1_000), (2, 500)], &[]);
        let mut changes = Changes::on(0);
        before.snapshot(&mut changes);
        let mut after = Watermark::new(OPTIONS, &MemoryStore::of(&changes));
        assert_eq!(after.watermark, before.watermark);
        assert_eq!(after.sources, before.sources);
        // What comes next was received earlier: an old file behind a young one.
        let end = EpochEnd { received_until: EventTime::from_secs(-100), ..EpochEnd::default() };
        for model in [&mut before, &mut after] {
            model.close(1, vec![Share::new(end.clone(), Vec::new())], Vec::new(), &mut Vec::new());
            model.merge(1, vec![vec![(3, true, EventTime::from_secs(700))]], &mut Vec::new());
        }
        assert_eq!(after.sources, before.sources);
    }
}
