//! What was found out about values that come again and again.
//!
//! Users, images, channels and hosts recur all the time. Of a value that came a second time, what
//! its scan set is kept beside its bytes, ready to be set again; so is what late tests said of it.
//! A value is known again by its bytes, never by its hash alone, and what is kept is a pure
//! function of field and value: what is forgotten, and when, can only cost time.
//!
//! A field whose values do not recur soon stops asking: of each [`WINDOW`] values some must be
//! known, or the next ones are not looked up. The pause grows as long as nothing changes.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::super::compile::FieldId;
use super::super::program::Bit;

/// How many values are kept. At most 1 KiB each, 4 MiB in all, and that only if all are long.
const VALUES_MAX: usize = 4_096;
/// The longest value that is kept, in bytes.
const VALUE_BYTES_MAX: usize = 512;
/// The most notes beside a value. Where a scan finds more the value is not kept; late tests beyond
/// are run again each time.
const NOTES_MAX: usize = 96;
/// In how many places it is noted that a value came once.
const ONCE_MAX: usize = 16_384;
/// How many values of a field are looked up before it is asked whether that pays.
const WINDOW: u16 = 1_024;
/// How many of them must have been seen before.
const WORTH: u16 = WINDOW / 8;
/// For how many values a field pauses that does not pay, at first and at most.
const PAUSE_MIN: u32 = 4_096;
const PAUSE_MAX: u32 = 65_536;

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
    /// It came before: [`enter`](Memory::enter) it with this hash.
    Before(u64),
    Nothing,
}

/// A value that is kept.
#[derive(Clone, Debug)]
struct Seat {
    hash: u64,
    field: FieldId,
    len: u16,
    /// How many values have had it.
    takes: u32,
    /// Whether it was asked for since its neighbour was last replaced.
    used: bool,
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
    /// How many more values are not looked up.
    pause: u32,
    /// How long the next pause is.
    next_pause: u32,
    looked: u16,
    /// How many of them had been seen before.
    seen: u16,
}

#[derive(Debug)]
pub(super) struct Memory {
    /// In pairs; a value is in one of the two places that its hash says.
    seats: Vec<Seat>,
    /// Half of the hash of a value that came once.
    once: Vec<u32>,
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
        let free = Seat {
            hash: 0,
            field: FieldId::UNKNOWN,
            len: 0,
            takes: 0,
            used: false,
            bytes: Vec::new(),
        };
        Memory {
            seats: vec![free; values],
            once: vec![0; once],
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
    /// what late tests said of that one is not the whole truth.
    #[inline]
    pub(super) fn look(&mut self, field: FieldId, value: &str) -> (Known, bool) {
        let track = &mut self.tracks[field.index()];
        let again = track.record == self.record;
        (track.record, track.seat) = (self.record, None);
        if value.len() > VALUE_BYTES_MAX {
            return (Known::Nothing, again);
        }
        if track.pause > 0 {
            track.pause -= 1;
            return (Known::Nothing, again);
        }
        track.looked += 1;
        if track.looked > WINDOW {
            track.rest();
        }
        let hash = hash(field, value);
        let pair = hash as usize & (self.seats.len() - 2);
        for number in pair..pair + 2 {
            let seat = &mut self.seats[number];
            if seat.hash == hash && seat.holds(field, value) {
                seat.used = true;
                track.seen += 1;
                let held = Held { number: number as u32, takes: seat.takes };
                track.seat = Some(held).filter(|_| !again);
                return (Known::Here(number as u32), again);
            }
        }
        let place = (hash >> 16) as usize & (self.once.len() - 1);
        let half = (hash >> 32) as u32;
        if std::mem::replace(&mut self.once[place], half) != half {
            return (Known::Nothing, again);
        }
        track.seen += 1;
        (Known::Before(hash), again)
    }

    /// Passes by a value that is not a text; whether the record has another one of the field.
    #[inline]
    pub(super) fn skip(&mut self, field: FieldId) -> bool {
        let track = &mut self.tracks[field.index()];
        let again = track.record == self.record;
        (track.record, track.seat) = (self.record, None);
        again
    }

    /// Keeps a value that [`look`](Memory::look) has just said came before, unless there is too
    /// much to note. `notes` are put into order.
    pub(super) fn enter(
        &mut self,
        field: FieldId,
        value: &str,
        (hash, again): (u64, bool),
        notes: &mut Vec<Note>,
    ) {
        notes.sort_unstable();
        notes.dedup();
        if notes.len() > NOTES_MAX || value.len() > VALUE_BYTES_MAX {
            return;
        }
        let pair = hash as usize & (self.seats.len() - 2);
        let number = match (self.seats[pair].used, self.seats[pair + 1].used) {
            (true, false) => pair + 1,
            _ => pair,
        };
        self.seats[pair].used = false;
        self.seats[pair + 1].used = false;
        let seat = &mut self.seats[number];
        (seat.hash, seat.field, seat.len, seat.used) = (hash, field, value.len() as u16, true);
        seat.takes = seat.takes.wrapping_add(1);
        let held = Held { number: number as u32, takes: seat.takes };
        self.tracks[field.index()].seat = Some(held).filter(|_| !again);
        seat.bytes.clear();
        seat.bytes.extend_from_slice(value.as_bytes());
        for note in notes {
            seat.bytes.extend_from_slice(&note.pack().to_le_bytes());
        }
    }

    /// What follows from a value.
    #[inline]
    pub(super) fn notes(&self, number: u32) -> impl Iterator<Item = Note> {
        let seat = &self.seats[number as usize];
        let notes = seat.bytes[usize::from(seat.len)..].chunks_exact(4);
        notes.map(|four| Note::unpack(u32::from_le_bytes([four[0], four[1], four[2], four[3]])))
    }

    /// Notes what a late test said of the record at hand, if that follows from one value that is
    /// kept.
    #[inline]
    pub(super) fn add_late(&mut self, field: FieldId, number: u32, holds: bool) {
        let track = &self.tracks[field.index()];
        let Some(held) = track.seat.filter(|_| track.record == self.record) else { return };
        let seat = &mut self.seats[held.number as usize];
        let full = seat.bytes.len() >= usize::from(seat.len) + 4 * NOTES_MAX;
        if seat.takes == held.takes && !full {
            seat.bytes.extend_from_slice(&Note::Late(number, holds).pack().to_le_bytes());
        }
    }
}

impl Seat {
    #[inline]
    fn holds(&self, field: FieldId, value: &str) -> bool {
        self.field == field
            && usize::from(self.len) == value.len()
            && self.bytes[..value.len()] == *value.as_bytes()
    }
}

impl Track {
    /// Begins another window, or a pause.
    #[cold]
    fn rest(&mut self) {
        if self.seen < WORTH {
            self.next_pause = (self.next_pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
            self.pause = self.next_pause;
        } else {
            self.next_pause = 0;
        }
        (self.looked, self.seen) = (0, 0);
    }
}

/// A collision costs time only.
#[inline]
fn hash(field: FieldId, value: &str) -> u64 {
    FixedState::with_seed(u64::from(field.0)).hash_one(value.as_bytes())
}
