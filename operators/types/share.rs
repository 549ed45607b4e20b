//! A worker's share of an epoch, as it goes through the stages that stay where it landed.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::event::{Batch, Block, Event};
use super::finding::Contribution;
use super::hash::Map;
use super::time::EventTime;

/// What the journal says about an epoch as a whole, the same on every worker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochEnd {
    /// Its number; epochs count up from 0 without a gap.
    pub epoch: u64,
    /// The sequence number after its last record.
    pub next_seq: u64,
    /// The latest time of receipt in the journal up to here, ticks of silence included.
    pub received_until: EventTime,
    /// The sources that came to their end in it.
    pub ended: Vec<u32>,
    /// How many sources are known by now.
    pub sources: u32,
}

/// The blocks of an epoch that were dealt to one worker, before they are parsed.
#[derive(Clone, Debug)]
pub struct Hand {
    /// The epoch.
    pub end: EpochEnd,
    /// The blocks, in sequence order; none on a worker that got none.
    pub blocks: Vec<Arc<Block>>,
}

/// The events of an epoch that landed on one worker, and what is known of them so far.
#[derive(Clone, Debug)]
pub struct Share {
    /// The epoch.
    pub end: EpochEnd,
    /// The events, in sequence order.
    pub batches: Vec<Batch>,
    /// The engine's watermark as of the epochs before this one.
    pub watermark: EventTime,
    /// The templates as of this epoch.
    pub texts: Arc<Texts>,
    /// What detectors say of single events, where it is worth saying, by sequence number.
    pub notes: BTreeMap<u64, Vec<Contribution>>,
}

impl Share {
    /// A share of an epoch, before anything is known of its events.
    #[must_use]
    pub fn new(end: EpochEnd, batches: Vec<Batch>) -> Self {
        let (watermark, texts) = (EventTime::MIN, Arc::default());
        Share { end, batches, watermark, texts, notes: BTreeMap::new() }
    }

    /// All events with the batches that they are in.
    pub fn events(&self) -> impl Iterator<Item = (&Batch, &Event)> {
        self.batches.iter().flat_map(|batch| batch.events.iter().map(move |event| (batch, event)))
    }

    /// The event with that number, if it landed here.
    #[must_use]
    pub fn find(&self, seq: u64) -> Option<(&Batch, &Event)> {
        let after = self.batches.partition_point(|batch| batch.block.first_seq <= seq);
        let batch = self.batches.get(after.checked_sub(1)?)?;
        let at = batch.events.binary_search_by_key(&seq, |event| event.seq).ok()?;
        Some((batch, &batch.events[at]))
    }
}

/// What templates say, by their ids.
pub type Texts = Map<u64, TemplateText>;

/// A template as people read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateText {
    /// Its tokens, joined by spaces; a wildcard is `<*>`.
    pub text: Arc<str>,
    /// How many wildcards it has.
    pub wildcards: u32,
}
