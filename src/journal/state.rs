//! What a journal knows at a place in it: the open epoch, the sources, the file positions.
//!
//! The same whether it got there by writing or by reading.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use operators::types::{EventTime, Source};

use super::block;
use super::control::Control;
use super::cutter::{Cut, Cutter, FIRST_EPOCH};
use super::format::{Bytes, Frame, Header, Kind, Malformed};
use crate::intake::Position;

/// Beyond the limit on sources, one more for each kind of receiver, up to so many kinds.
const OTHERS_MAX: usize = 64;
/// The name of the source that stands for those beyond the limit.
pub(super) const OTHER: &str = "other";
/// No journal has so many sources or positions, whatever its options were.
pub(super) const TABLE_MAX: usize = 1 << 20;
/// How many bytes the names of sources may take in all; beyond, a source counts as one too many.
/// With the positions they fit into a segment's header.
pub(super) const SOURCES_BYTES_MAX: usize = 16 << 20;
/// How many bytes file positions may take in all; beyond, the oldest are forgotten.
pub(super) const POSITIONS_BYTES_MAX: usize = 32 << 20;

#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) cutter: Cutter,
    pub(super) sources: Sources,
    pub(super) positions: Positions,
    /// The latest receipt time in the open epoch; `MIN` if there is none.
    epoch_received_at: EventTime,
    /// The same of the last epoch that had one.
    received_at: EventTime,
    /// Whether the writer said goodbye, and nothing has followed.
    pub(super) clean: bool,
}

impl State {
    /// Before the first record.
    pub(super) fn new(positions_max: usize) -> Self {
        State {
            cutter: Cutter::new(),
            sources: Sources::default(),
            positions: Positions::new(positions_max),
            epoch_received_at: EventTime::MIN,
            received_at: EventTime::MIN,
            clean: false,
        }
    }

    /// As a segment's header says.
    pub(super) fn of(header: &Header, positions_max: usize) -> Self {
        let mut state = State::new(positions_max);
        let Header { epoch, epoch_first_seq, first_seq, epoch_controls, .. } = *header;
        state.cutter = Cutter::resume(epoch, epoch_first_seq, first_seq, epoch_controls);
        header.sources.iter().for_each(|source| state.sources.add(source.clone()));
        header.positions.iter().for_each(|position| state.positions.note(position.clone()));
        state.epoch_received_at = header.epoch_received_at;
        state.received_at = header.received_at;
        state
    }

    /// For the header of a segment that begins here.
    pub(super) fn header(&self, salt: u32) -> Header {
        Header {
            salt,
            first_seq: self.cutter.next_seq(),
            epoch: self.cutter.epoch(),
            epoch_first_seq: self.cutter.first_seq(),
            epoch_controls: self.cutter.controls(),
            epoch_received_at: self.epoch_received_at,
            received_at: self.received_at,
            sources: self.sources.table.to_vec(),
            positions: self.positions.to_vec(),
        }
    }

    /// The latest receipt time of the open epoch, or of the last before it that has one.
    pub(super) fn received_at_max(&self) -> EventTime {
        match self.epoch_received_at {
            EventTime::MIN => self.received_at,
            received_at => received_at,
        }
    }

    pub(super) fn receive(&mut self, at: EventTime) {
        self.epoch_received_at = self.epoch_received_at.max(at);
    }

    /// Ends the open epoch; also says its latest receipt time.
    pub(super) fn close(&mut self) -> (Cut, EventTime) {
        self.received_at = self.received_at_max();
        self.epoch_received_at = EventTime::MIN;
        (self.cutter.close(), self.received_at)
    }

    /// Goes past an entry that is read. What contradicts everything before it is malformed.
    pub(super) fn apply(&mut self, frame: &Frame<'_>) -> Result<(), Malformed> {
        if frame.epoch != self.cutter.epoch() {
            return Err(Malformed("it is of another epoch than the open one"));
        }
        self.clean = false;
        let mut cursor = Bytes(frame.payload);
        match frame.kind {
            Kind::Block => {
                let head = block::head(&mut cursor, self.sources.table.len())?;
                if head.first_seq != self.cutter.next_seq() {
                    return Err(Malformed("its records do not follow those before it"));
                }
                self.cutter.take(u64::from(head.count));
                head.received_at_max.into_iter().for_each(|at| self.receive(at));
                head.positions.into_iter().for_each(|position| self.positions.note(position));
            }
            Kind::Source => {
                let number = cursor.u32()? as usize;
                if number != self.sources.table.len() || number >= TABLE_MAX {
                    return Err(Malformed("its number is not the next source's"));
                }
                self.sources.add(cursor.source()?);
            }
            Kind::EpochEnd => {
                if cursor.u64()? != self.cutter.next_seq() {
                    return Err(Malformed("the epoch does not end where its records do"));
                }
                self.close();
            }
            Kind::Control => {
                let control = Control::decode(frame.payload)?;
                control.time().into_iter().for_each(|at| self.receive(at));
                self.cutter.take_control();
            }
            Kind::Clean => self.clean = true,
            Kind::Gap => {
                let (next_seq, next_epoch) = (cursor.u64()?, cursor.u64()?);
                if next_seq < self.cutter.next_seq() || next_epoch < self.cutter.epoch() {
                    return Err(Malformed("it leads backwards"));
                }
                self.leap(next_seq, next_epoch);
            }
        }
        Ok(())
    }

    /// Passes over what is lost.
    pub(super) fn leap(&mut self, next_seq: u64, next_epoch: u64) {
        if next_epoch == self.cutter.epoch() {
            self.cutter.take(next_seq - self.cutter.next_seq());
            return;
        }
        self.close();
        self.cutter = Cutter::resume(next_epoch.max(FIRST_EPOCH), next_seq, next_seq, 0);
    }
}

/// The sources, numbered in the order in which they were first seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    pub(super) table: Arc<Vec<Source>>,
    numbers: HashMap<String, HashMap<String, u32>>,
    bytes: usize,
    /// The one that was asked for last; often it is asked for again.
    last: u32,
}

/// The number of a source.
pub(super) enum Number {
    Known(u32),
    /// It is now; nobody has been told.
    New(u32),
}

impl Sources {
    fn add(&mut self, source: Source) {
        let number = self.table.len() as u32;
        self.bytes += size_of_source(&source);
        let names = self.numbers.entry(source.receiver.clone()).or_default();
        names.entry(source.name.clone()).or_insert(number);
        Arc::make_mut(&mut self.table).push(source);
    }

    fn find(&self, receiver: &str, name: &str) -> Option<u32> {
        self.numbers.get(receiver)?.get(name).copied()
    }

    /// The number of `source`. From `max` sources on, those that are new share the number of their
    /// receiver's source `other`; whether it is shared is the second answer.
    pub(super) fn number(&mut self, source: &Source, max: usize) -> (Number, bool) {
        if self.table.get(self.last as usize) == Some(source) {
            return (Number::Known(self.last), false);
        }
        let (number, shared) = self.look_up(source, max);
        if let (Number::Known(number) | Number::New(number), false) = (&number, shared) {
            self.last = *number;
        }
        (number, shared)
    }

    fn look_up(&mut self, source: &Source, max: usize) -> (Number, bool) {
        if let Some(number) = self.find(&source.receiver, &source.name) {
            return (Number::Known(number), false);
        }
        let number = self.table.len() as u32;
        let fits = self.bytes + size_of_source(source) <= SOURCES_BYTES_MAX;
        if self.table.len() < max && fits {
            self.add(source.clone());
            return (Number::New(number), false);
        }
        if let Some(other) = self.find(&source.receiver, OTHER) {
            return (Number::Known(other), true);
        }
        // Kinds of receivers are this program's own, few and short.
        if self.table.len() < max.saturating_add(OTHERS_MAX).min(TABLE_MAX) {
            self.add(Source { receiver: source.receiver.clone(), name: OTHER.to_owned() });
            return (Number::New(number), true);
        }
        (Number::Known(number - 1), true)
    }
}

/// How many bytes a source takes in a header, at most.
fn size_of_source(source: &Source) -> usize {
    source.receiver.len() + source.name.len() + 20
}

/// How many bytes a position takes in a header, at most.
fn size_of_position(position: &Position) -> usize {
    position.path.len() + 47
}

/// How far each file has been read, by what is known of the file.
///
/// A file that grew is known by more of its head, so a position replaces those of the same inode
/// that are known by less. One known by as much or more is kept: it is of a file that was cut
/// short and begun anew, and whose copy may be found under another inode.
#[derive(Clone, Debug)]
pub(super) struct Positions {
    by_file: BTreeMap<Identity, (u64, Position)>,
    by_age: BTreeMap<u64, Identity>,
    next: u64,
    max: usize,
    bytes: usize,
    pub(super) forgotten: u64,
}

/// Device, inode, length of the fingerprint, fingerprint.
type Identity = (u64, u64, u32, u64);

impl Positions {
    fn new(max: usize) -> Self {
        let max = max.clamp(1, TABLE_MAX);
        Positions {
            by_file: BTreeMap::new(),
            by_age: BTreeMap::new(),
            next: 0,
            max,
            bytes: 0,
            forgotten: 0,
        }
    }

    /// The one noted last comes last.
    pub(super) fn to_vec(&self) -> Vec<Position> {
        self.by_age.values().map(|identity| self.by_file[identity].1.clone()).collect()
    }

    /// Notes a position. Beyond the limit, the one that was not renewed longest is forgotten.
    pub(super) fn note(&mut self, position: Position) {
        let Position { device, inode, fingerprint_len, fingerprint, .. } = position;
        let shorter = (device, inode, 0, 0)..(device, inode, fingerprint_len, 0);
        let outgrown: Vec<Identity> = self.by_file.range(shorter).map(|(id, _)| *id).collect();
        outgrown.into_iter().for_each(|identity| self.forget(identity));
        let identity = (device, inode, fingerprint_len, fingerprint);
        self.forget(identity);
        let size = size_of_position(&position);
        while self.by_file.len() >= self.max || self.bytes + size > POSITIONS_BYTES_MAX {
            let Some((_, oldest)) = self.by_age.first_key_value() else { break };
            self.forget(*oldest);
            self.forgotten += 1;
        }
        self.bytes += size;
        self.by_age.insert(self.next, identity);
        self.by_file.insert(identity, (self.next, position));
        self.next += 1;
    }

    fn forget(&mut self, identity: Identity) {
        if let Some((age, position)) = self.by_file.remove(&identity) {
            self.by_age.remove(&age);
            self.bytes -= size_of_position(&position);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(receiver: &str, name: &str) -> Source {
        Source { receiver: receiver.into(), name: name.into() }
    }

    fn number(sources: &mut Sources, receiver: &str, name: &str) -> (u32, bool) {
        match sources.number(&source(receiver, name), 3) {
            (Number::Known(number) | Number::New(number), shared) => (number, shared),
        }
    }

    #[test]
    fn sources_beyond_the_limit_share_one_for_each_kind_of_receiver() {
        let mut sources = Sources::default();
        assert_eq!(number(&mut sources, "syslog", "a"), (0, false));
        assert_eq!(number(&mut sources, "file", "a"), (1, false));
        assert_eq!(number(&mut sources, "syslog", "b"), (2, false));
        assert_eq!(number(&mut sources, "syslog", "c"), (3, true));
        assert_eq!(number(&mut sources, "syslog", "d"), (3, true));
        assert_eq!(number(&mut sources, "file", "z"), (4, true));
        assert_eq!(number(&mut sources, "syslog", "a"), (0, false));
        assert_eq!(sources.table[3], source("syslog", OTHER));
        for kind in 0..200 {
            number(&mut sources, &format!("kind{kind}"), "x");
        }
        assert_eq!(sources.table.len(), 3 + OTHERS_MAX);
    }

    fn position(inode: u64, (fingerprint_len, fingerprint): (u32, u64), offset: u64) -> Position {
        let path = format!("/log/{inode}");
        Position { path, device: 1, inode, fingerprint, fingerprint_len, offset, complete: false }
    }

    #[test]
    fn a_file_that_grew_has_one_position_and_one_begun_anew_has_two() {
        let mut positions = Positions::new(9);
        positions.note(position(5, (10, 0xa), 10));
        positions.note(position(5, (256, 0xb), 300));
        positions.note(position(5, (256, 0xb), 900));
        assert_eq!(positions.to_vec(), [position(5, (256, 0xb), 900)]);
        positions.note(position(5, (20, 0xc), 20));
        let both = [position(5, (256, 0xb), 900), position(5, (20, 0xc), 20)];
        assert_eq!(positions.to_vec(), both);
    }

    #[test]
    fn the_position_that_is_forgotten_is_the_one_not_renewed_longest() {
        let mut positions = Positions::new(2);
        positions.note(position(1, (8, 1), 1));
        positions.note(position(2, (8, 2), 2));
        positions.note(position(1, (8, 1), 3));
        positions.note(position(3, (8, 3), 4));
        assert_eq!(positions.to_vec(), [position(1, (8, 1), 3), position(3, (8, 3), 4)]);
        assert_eq!(positions.forgotten, 1);
    }

    #[test]
    fn long_names_fill_a_header_and_do_not_burst_it() {
        let mut state = State::new(TABLE_MAX);
        let long = "x".repeat(100_000);
        for number in 0..500 {
            state.sources.number(&source("file", &format!("{long}{number}")), TABLE_MAX);
            let path = format!("{long}{number}");
            state.positions.note(Position { path, ..position(number, (8, number), 1) });
        }
        assert!(state.positions.forgotten > 100);
        assert_eq!(state.sources.table.last(), Some(&source("file", OTHER)));
        let bytes = state.header(1).encode();
        let (header, _) = Header::decode(&bytes).unwrap();
        assert_eq!(State::of(&header, TABLE_MAX).header(1), header);
    }
}
