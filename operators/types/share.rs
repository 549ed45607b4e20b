//! A worker's share of an epoch, as it goes through the stages that stay where it landed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::event::{Batch, Block};
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
}
