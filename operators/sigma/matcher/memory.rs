//! What was found out about values that come again and again.
//!
//! Users, images, channels and hosts recur all the time. Of a value that came a second time, what
//! its scan set is kept beside its bytes, ready to be set again; so is what late tests said of it.
//! A value is known again by its bytes, never by its hash alone, and what is kept is a pure
//! function of field and value: what is forgotten, and when, can only cost time.
//!
//! A field whose values do not recur soon stops asking ([`Pace`]).

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::super::compile::FieldId;
use super::super::program::Bit;
use super::seats::{Pace, Seats};

/// How many values are kept. At most 1 KiB each, 4 MiB in all, and that only if all are long.
const VALUES_MAX: usize = 4_096;
/// The longest value that is kept, in bytes.
const VALUE_BYTES_MAX: usize = 512;
/// The most notes beside a value. Where a scan finds more the value is not kept; late tests beyond
/// are run again each time.
const NOTES_MAX: usize = 96;
/// In how many places it is noted that a value came once.
const ONCE_MAX: usize = 16_384;
/// Something that follows from a value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Note {
    /// A bit is set, and whether it is in the guard of a rule. Lists have bits of their own.
    Set(Bit, bool),
    /// What a late test says of a record that has this value only.
    Late(u32, bool),
}

impl Note {
    const LATE: u32 = 1 << 31;
    const FLAG: u32 = 1 << 30;

    #[inline]
    fn pack(self) -> u32 {
        let flag = |on: bool| if on { Note::FLAG } else { 0 };
        match self {
            Note::Set(bit, wakes) => bit | flag(wakes),
            Note::Late(number, holds) => number | flag(holds) | Note::LATE,
        }
    }

    #[inline]
    fn unpack(packed: u32) -> Note {
        let (number, flag) = (packed & !(Note::LATE | Note::FLAG), packed & Note::FLAG != 0);
        match packed & Note::LATE {
            0 => Note::Set(number, flag),
            _ => Note::Late(number, flag),
        }
    }
}

/// What is known of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Its notes are here, by this number.
    Here(u32),
    /// It came before: [`enter`](Memory::enter) it with this.
    Before(Ticket),
    Nothing,
}

/// What it takes to enter a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    scope: u32,
    hash: u64,
}

/// A value that is kept, by its seat.
#[derive(Clone, Debug)]
struct Kept {
    scope: u32,
    field: FieldId,
    len: u16,
    /// How many values have had the seat.
    takes: u32,
    /// The value, then its notes, four bytes each.
    bytes: Vec<u8>,
}

/// A seat, as long as the same value has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    number: u32,
    takes: u32,
}

/// How it goes with the values of a field.
#[derive(Clone, Debug, Default)]
struct Track {
    /// The record that had the field last, and its only value if that is kept.
    record: u64,
    seat: Option<Held>,
    /// Whether that record has several values of it.
    several: bool,
    pace: Pace,
}

#[derive(Debug)]
pub(super) struct Memory {
    seats: Seats,
    kept: Vec<Kept>,
    tracks: Vec<Track>,
    record: u64,
}

impl Memory {
    /// For so many fields.
    pub(super) fn new(fields: usize) -> Self {
        Memory::with_room(fields, VALUES_MAX, ONCE_MAX)
    }

    /// With other bounds: powers of two, `values` at least two.
    pub(super) fn with_room(fields: usize, values: usize, once: usize) -> Self {
        let (scope, field) = (0, FieldId::UNKNOWN);
        let free = Kept { scope, field, len: 0, takes: 0, bytes: Vec::new() };
        Memory {
            seats: Seats::new(values, once),
            kept: vec![free; values],
            tracks: vec![Track::default(); fields],
            record: 0,
        }
    }

    /// Begins a record.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.record += 1;
    }

    /// What is known of a value of a field; and whether the record has another one of it, so that
    /// what late tests said of that one is not the whole truth. The same value may be known under
    /// several scopes, from each of which something else follows.
    #[inline]
    pub(super) fn look(&mut self, scope: u32, field: FieldId, value: &str) -> (Known, bool) {
        let track = &mut self.tracks[field.index()];
        let again = track.record == self.record;
        (track.record, track.seat, track.several) = (self.record, None, again);
        if value.len() > VALUE_BYTES_MAX {
            return (Known::Nothing, again);
        }
        if !track.pace.asks() {
            return (Known::Nothing, again);
        }
        let hash = hash(scope, field, value);
        let kept = &self.kept;
        let seat = self.seats.find(hash, |seat| kept[seat].holds(scope, field, value));
        if let Some(seat) = seat {
            track.pace.seen();
            let held = Held { number: seat as u32, takes: kept[seat].takes };
            track.seat = Some(held).filter(|_| !again);
            return (Known::Here(seat as u32), again);
        }
        if !self.seats.came_before(hash) {
            return (Known::Nothing, again);
        }
        track.pace.seen();
        (Known::Before(Ticket { scope, hash }), again)
    }

    /// Passes by a value that is not a text; whether the record has another one of the field.
    #[inline]
    pub(super) fn skip(&mut self, field: FieldId) -> bool {
        let track = &mut self.tracks[field.index()];
        let again = track.record == self.record;
        (track.record, track.seat, track.several) = (self.record, None, again);
        again
    }

    /// Keeps a value that [`look`](Memory::look) has just said came before, unless there is too
    /// much to note. `notes` are put into order.
    pub(super) fn enter(
        &mut self,
        field: FieldId,
        value: &str,
        ticket: Ticket,
        notes: &mut Vec<Note>,
    ) {
        notes.sort_unstable();
        notes.dedup();
        if notes.len() > NOTES_MAX || value.len() > VALUE_BYTES_MAX {
            return;
        }
        let Ticket { scope, hash } = ticket;
        let number = self.seats.take(hash);
        let seat = &mut self.kept[number];
        (seat.scope, seat.field, seat.len) = (scope, field, value.len() as u16);
        seat.takes = seat.takes.wrapping_add(1);
        let held = Held { number: number as u32, takes: seat.takes };
        // Others of the record may have been looked up since.
        let track = &mut self.tracks[field.index()];
        track.seat = Some(held).filter(|_| !track.several);
        seat.bytes.clear();
        seat.bytes.extend_from_slice(value.as_bytes());
        for note in notes {
            seat.bytes.extend_from_slice(&note.pack().to_le_bytes());
        }
    }

    /// What follows from a value.
    #[inline]
    pub(super) fn notes(&self, number: u32) -> impl Iterator<Item = Note> {
        let seat = &self.kept[number as usize];
        let notes = seat.bytes[usize::from(seat.len)..].chunks_exact(4);
        notes.map(|four| Note::unpack(u32::from_le_bytes([four[0], four[1], four[2], four[3]])))
    }

    /// Notes what a late test said of the record at hand, if that follows from one value that is
    /// kept.
    #[inline]
    pub(super) fn add_late(&mut self, field: FieldId, number: u32, holds: bool) {
        let track = &self.tracks[field.index()];
        let Some(held) = track.seat.filter(|_| track.record == self.record) else { return };
        let seat = &mut self.kept[held.number as usize];
        let full = seat.bytes.len() >= usize::from(seat.len) + 4 * NOTES_MAX;
        if seat.takes == held.takes && !full {
            seat.bytes.extend_from_slice(&Note::Late(number, holds).pack().to_le_bytes());
        }
    }
}

impl Kept {
    #[inline]
    fn holds(&self, scope: u32, field: FieldId, value: &str) -> bool {
        (self.scope, self.field) == (scope, field)
            && usize::from(self.len) == value.len()
            && self.bytes[..value.len()] == *value.as_bytes()
    }
}

/// A collision costs time only.
#[inline]
fn hash(scope: u32, field: FieldId, value: &str) -> u64 {
    let seed = u64::from(scope) << 16 | u64::from(field.0);
    FixedState::with_seed(seed).hash_one(value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::seats::{PAUSE_MIN, WINDOW};
    use super::*;

    const FIELD: FieldId = FieldId(3);

    fn see(memory: &mut Memory, value: &str) -> Known {
        memory.begin();
        let (known, _) = memory.look(0, FIELD, value);
        if let Known::Before(ticket) = known {
            memory.enter(FIELD, value, ticket, &mut vec![Note::Set(value.len() as Bit, true)]);
        }
        known
    }

    #[test]
    fn a_value_is_kept_when_it_comes_a_second_time() {
        let mut memory = Memory::new(4);
        assert_eq!(see(&mut memory, "a.exe"), Known::Nothing);
        assert!(matches!(see(&mut memory, "a.exe"), Known::Before(_)));
        let Known::Here(number) = see(&mut memory, "a.exe") else { panic!("it is kept") };
        memory.add_late(FIELD, 7, false);
        let notes: Vec<Note> = memory.notes(number).collect();
        assert_eq!(notes, [Note::Set(5, true), Note::Late(7, false)]);
        assert_eq!(see(&mut memory, "A.exe"), Known::Nothing);
    }

    #[test]
    fn what_is_too_long_is_not_kept_and_the_room_is_bounded() {
        let mut memory = Memory::with_room(4, 8, 64);
        let long = "x".repeat(VALUE_BYTES_MAX + 1);
        for number in 0..500 {
            for _ in 0..3 {
                assert_eq!(see(&mut memory, &long), Known::Nothing);
                see(&mut memory, &format!("value {number}"));
            }
        }
        assert_eq!(memory.kept.len(), 8);
        let most = VALUE_BYTES_MAX + 4 * NOTES_MAX;
        assert!(memory.kept.iter().all(|seat| seat.bytes.len() <= most));
    }

    #[test]
    fn a_field_whose_values_never_recur_pauses_and_tries_again() {
        let mut memory = Memory::new(4);
        (0..=WINDOW).for_each(|n| assert_eq!(see(&mut memory, &n.to_string()), Known::Nothing));
        assert!(memory.tracks[FIELD.index()].pace.pauses());
        for _ in 0..PAUSE_MIN {
            assert_eq!(see(&mut memory, "again"), Known::Nothing);
        }
        assert_eq!(see(&mut memory, "again"), Known::Nothing);
        assert!(matches!(see(&mut memory, "again"), Known::Before(_)));
        assert!(matches!(see(&mut memory, "again"), Known::Here(_)));
    }
}
