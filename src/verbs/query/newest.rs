//! Events, the newest first, as far as they are wanted.
//!
//! Newest by event time, and by sequence number among equals. Blocks of events know the span of
//! time that they cover: they are opened from the latest on, and an event comes out as soon as no
//! block that is still closed can hold a later one. So the first events come at once, and what is
//! held is what overlaps.

use std::collections::BinaryHeap;

use operators::types::{Event, EventTime};

use super::filter::EventFilter;
use crate::cli::Failure;
use crate::cli::style::Palette;
use crate::journal::JournalError;
use crate::render::LineWriter;
use crate::storage::events::Found;
use crate::verbs::reading::{Events, Reading, storage_failure};

/// How many records that the store does not know yet are looked at, the newest of them. There are
/// more only if a writer takes in more than that between two checkpoints.
const UNKNOWN_MAX: u64 = 1 << 20;
/// How many of them are read at a time.
const UNKNOWN_BLOCK: u64 = 1_024;

/// How events are shown.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// As lines of JSON.
    Json,
    /// For people.
    Human(Palette),
}

/// An event that is wanted, with how it is shown; without a line end.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shown {
    pub(super) time: EventTime,
    pub(super) seq: u64,
    pub(super) text: Vec<u8>,
}

/// A block of events that may hold some that are wanted. Later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Closed {
    latest: EventTime,
    first_seq: u64,
    /// How many events, of a block that the store does not know.
    unknown: Option<u64>,
}

/// See the [module](self).
pub(super) struct Newest<'r> {
    reading: &'r mut Reading,
    filter: &'r EventFilter,
    shape: Shape,
    writer: LineWriter,
    /// The blocks to open, the latest last.
    closed: Vec<Closed>,
    open: BinaryHeap<Shown>,
    /// How many more events are wanted.
    wanted: usize,
    /// What the journal cannot give any more, if anything.
    pub(super) damage: Option<JournalError>,
}

impl<'r> Newest<'r> {
    /// The newest `limit` events that a filter takes.
    ///
    /// # Errors
    /// If the store or the journal cannot be read.
    pub(super) fn new(
        reading: &'r mut Reading,
        filter: &'r EventFilter,
        shape: Shape,
        limit: usize,
    ) -> Result<Self, Failure> {
        let seqs = reading.journal()?.seqs;
        let mut closed = Vec::new();
        let mut known = seqs.start;
        let mut last_first = None;
        for block in reading.storage.blocks() {
            let block = block.map_err(storage_failure)?;
            let Some(head) = block.head() else { continue };
            last_first = Some(head.first_seq);
            if head.first_seq <= seqs.start {
                // The journal has lost the blocks before this one to retention.
                closed.clear();
            }
            if !filter.range.touches(head.times) {
                continue;
            }
            if filter.looks() {
                let Some(found) = block.found() else { continue };
                let takes = |index| filter.takes_found(&found, index, &reading.templates);
                if !(0..found.len()).any(takes) {
                    continue;
                }
            }
            let (latest, first_seq) = (head.times.1, head.first_seq);
            closed.push(Closed { latest, first_seq, unknown: None });
        }
        if let Some(first_seq) = last_first
            && let Some((found, _)) =
                reading.storage.found_of(first_seq).map_err(storage_failure)?
        {
            known = known.max(first_seq + found.len() as u64);
        }
        let (writer, open) = (LineWriter::default(), BinaryHeap::new());
        let wanted = if limit == 0 { usize::MAX } else { limit };
        let mut newest =
            Newest { reading, filter, shape, writer, closed, open, wanted, damage: None };
        newest.unknown(known.max(seqs.end.saturating_sub(UNKNOWN_MAX)), seqs.end);
        newest.closed.sort_unstable();
        Ok(newest)
    }

    /// Lists records that are in the journal alone.
    fn unknown(&mut self, mut from: u64, end: u64) {
        while from < end {
            let count = UNKNOWN_BLOCK.min(end - from);
            if let Some((_, found)) = self.read_unknown(from, count)
                && self.filter.range.touches(found.times)
            {
                let latest = found.times.1;
                self.closed.push(Closed { latest, first_seq: from, unknown: Some(count) });
            }
            from += count;
        }
    }

    /// Reads records that are in the journal alone, and what would be stored of them.
    fn read_unknown(&mut self, first_seq: u64, count: u64) -> Option<(Events, Found)> {
        let seqs: Vec<u64> = (first_seq..first_seq + count).collect();
        let events = self.read(None, &seqs)?;
        let mut found = Found { first_seq, ..Found::default() };
        found.times = (EventTime::MAX, EventTime::MIN);
        for event in &events.batch.events {
            // Records that are lost leave a gap that nobody asks for.
            while found.first_seq + (found.len() as u64) < event.seq {
                push(&mut found, None, &[]);
            }
            let entities: Vec<u64> =
                events.batch.entities(event).iter().map(|entity| entity.id.0 as u64).collect();
            push(&mut found, Some(event), &entities);
        }
        (!events.batch.events.is_empty()).then_some((events, found))
    }

    fn read(&mut self, found: Option<&Found>, seqs: &[u64]) -> Option<Events> {
        match self.reading.events(found, seqs) {
            Ok(events) => Some(events),
            Err(error) => {
                self.damage.get_or_insert(error);
                None
            }
        }
    }

    /// The next event, if there is one.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Shown>, Failure> {
        while self.wanted > 0 {
            let is_later = |shown: &Shown| {
                let next = self.closed.last();
                next.is_none_or(|next| (shown.time, shown.seq) > (next.latest, next.first_seq))
            };
            if self.open.peek().is_some_and(is_later) {
                self.wanted -= 1;
                return Ok(self.open.pop());
            }
            let Some(closed) = self.closed.pop() else { break };
            self.open(closed)?;
        }
        Ok(None)
    }

    fn open(&mut self, closed: Closed) -> Result<(), Failure> {
        let Closed { first_seq, unknown, .. } = closed;
        if let Some(count) = unknown {
            if let Some((events, found)) = self.read_unknown(first_seq, count) {
                self.show(&events, &found, &self.taken(&found));
            }
            return Ok(());
        }
        let found = self.reading.storage.found_of(first_seq).map_err(storage_failure)?;
        let Some((found, _)) = found else { return Ok(()) };
        let mut taken = self.taken(&found);
        if !self.filter.reads() && taken.len() > self.wanted {
            let time = |seq: u64| found.time[(seq - first_seq) as usize];
            taken.sort_unstable_by_key(|seq| std::cmp::Reverse((time(*seq), *seq)));
            taken.truncate(self.wanted);
            taken.sort_unstable();
        }
        if !taken.is_empty()
            && let Some(events) = self.read(Some(&found), &taken)
        {
            self.show(&events, &found, &taken);
        }
        Ok(())
    }

    /// The events of a block that are wanted, as far as what was found says.
    fn taken(&self, found: &Found) -> Vec<u64> {
        let takes = |index: &usize| self.filter.takes_found(found, *index, &self.reading.templates);
        let taken = (0..found.len()).filter(takes);
        taken.map(|index| found.first_seq + index as u64).collect()
    }

    fn show(&mut self, events: &Events, found: &Found, taken: &[u64]) {
        for (index, event) in events.batch.events.iter().enumerate() {
            if taken.binary_search(&event.seq).is_err()
                || !self.filter.takes_event(&events.batch, event)
            {
                continue;
            }
            let mut text = Vec::new();
            match self.shape {
                Shape::Json => {
                    events.json(index, &self.reading.templates, &mut self.writer, &mut text);
                    text.pop();
                }
                Shape::Human(palette) => text.extend(events.human(index, palette).into_bytes()),
            }
            let time = found.time[(event.seq - found.first_seq) as usize];
            self.open.push(Shown { time, seq: event.seq, text });
        }
    }
}

/// Adds an event to what is found; `None` is one that is not there and never wanted.
fn push(found: &mut Found, event: Option<&Event>, entities: &[u64]) {
    let time = event.map_or(EventTime::MIN, |event| event.time);
    if event.is_some() {
        found.times = (found.times.0.min(time), found.times.1.max(time));
    }
    found.time.push(time);
    found.template.push(event.map_or(0, |event| event.template));
    found.score.push(-1.0);
    found.flags.push(event.map_or(0, |event| event.flags.0));
    found.entities.extend_from_slice(entities);
    found.entity_ends.push(found.entities.len() as u32);
}
