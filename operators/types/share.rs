//! A worker's share of an epoch, as it goes through the stages that stay where it landed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::event::{Batch, Block, Event};
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
    /// What detectors say of single events, where it is worth saying, in sequence order.
    pub notes: Vec<Note>,
}

/// What a detector says of one event, not yet in words: few events ever become alerts.
#[derive(Clone, Copy, Debug)]
pub struct Note {
    /// The event's sequence number.
    pub seq: u64,
    /// How probable something as odd is, in (0, 1].
    pub p: f64,
    /// What it rests on.
    pub grounds: Grounds,
}

/// What an opinion of a single event rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Grounds {
    /// Its template is rare: seen so often, among so many events.
    Rare {
        /// How often it was seen.
        seen: u64,
        /// Among how many events.
        events: u64,
    },
    /// Its content is unlike that of others.
    Unusual {
        /// The two features that set it apart most, by number.
        features: [u8; 2],
        /// What they are in this event.
        values: [f32; 2],
        /// Whether it is compared with events of its own template.
        own: bool,
    },
    /// A number about it is larger than it ever was in its template.
    Beyond {
        /// Which feature, by number.
        feature: u8,
        /// What it is in this event.
        value: f32,
        /// What it is in none of the others more than.
        most: f32,
        /// How many others of the template there are.
        of: u64,
    },
}

impl Share {
    /// A share of an epoch, before anything is known of its events.
    #[must_use]
    pub fn new(end: EpochEnd, batches: Vec<Batch>) -> Self {
        let (watermark, texts) = (EventTime::MIN, Arc::default());
        Share { end, batches, watermark, texts, notes: Vec::new() }
    }

    /// What is noted of an event.
    pub fn notes_on(&self, seq: u64) -> impl Iterator<Item = &Note> {
        let from = self.notes.partition_point(|note| note.seq < seq);
        self.notes[from..].iter().take_while(move |note| note.seq == seq)
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
