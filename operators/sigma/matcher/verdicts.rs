//! Which rules matched records that said the same before.
//!
//! The same program starts again, the same library is loaded again, the same key is written
//! again: such records differ in times, numbers and identifiers, for which no rule asks. What a
//! record says in the fields for which rules of its log sources ask is its *key*; if a record
//! with that key came before, byte for byte, the same rules match. Where values do not recur of
//! which rules know only whether they have a few certain texts, they count by those texts: a
//! process id that is not the one that a rule asks for is like any other. Keywords are looked for in
//! texts outside the key as well, so these are scanned each time, and only where they have none
//! is a verdict taken over or kept.
//!
//! As with [values](super::memory), what is kept when changes the speed and nothing else, and
//! where keys do not recur nobody asks for a while.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::super::compile::{RuleIndex, RuleSet};
use super::super::program::Bit;
use super::super::record::{FieldValue, Record, Value};
use super::super::scan::{Fields, Passed};
use super::super::value::fold_into;
use super::seats::{Pace, Seats};

/// How many verdicts are kept: at most 5 MiB in all, and that only if all keys are long.
const VERDICTS_MAX: usize = 1_024;
/// The longest key, in bytes.
const KEY_BYTES_MAX: usize = 4_096;
/// The most rules of a verdict.
const RULES_MAX: usize = 256;
/// In how many places it is noted that a key came once.
const ONCE_MAX: usize = 16_384;
/// After how many values of a field it is asked whether they recur: much sooner than of keys,
/// which recur only if that is known.
const VALUES_WINDOW: u16 = 128;

/// What is known of the record at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recalled {
    /// The same rules match as at this number.
    Here(u32),
    /// Its key came before: [`keep`](Verdicts::keep) what comes out under this.
    Before(Ticket),
    Nothing,
}

/// What it takes to keep a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

/// A verdict that is kept, by its seat.
#[derive(Clone, Debug, Default)]
struct Kept {
    key: Vec<u8>,
    /// The rules that match, ascending, and how many were tried.
    matched: Vec<RuleIndex>,
    tried: u32,
}

#[derive(Debug)]
pub(super) struct Verdicts {
    seats: Seats,
    kept: Vec<Kept>,
    /// The values that came before, and how it goes with those of each field.
    values: Seats,
    fields: Vec<Pace>,
    /// The key of the record at hand.
    key: Vec<u8>,
    digits: String,
    folded: String,
}

impl Verdicts {
    /// For so many fields.
    pub(super) fn new(fields: usize) -> Self {
        Verdicts::with_room(fields, VERDICTS_MAX, ONCE_MAX)
    }

    /// With other bounds: powers of two, `verdicts` at least two.
    pub(super) fn with_room(fields: usize, verdicts: usize, once: usize) -> Self {
        Verdicts {
            seats: Seats::new(verdicts, once),
            kept: vec![Kept::default(); verdicts],
            values: Seats::new(2, once),
            fields: vec![Pace::of(VALUES_WINDOW); fields],
            key: Vec::new(),
            digits: String::new(),
            folded: String::new(),
        }
    }

    /// What is known of a record whose rules ask for the fields `asked`; `route` stands for them.
    pub(super) fn look(
        &mut self,
        rules: &RuleSet,
        (route, asked): (u32, &Fields),
        pace: &mut Pace,
        record: &Record<'_>,
        passed: &mut Passed,
    ) -> Recalled {
        if !pace.asks() || !self.write_key(rules, (route, asked), record, passed) {
            return Recalled::Nothing;
        }
        let hash = FixedState::with_seed(0).hash_one(&self.key[..]);
        let (kept, key) = (&self.kept, &self.key);
        if let Some(seat) = self.seats.find(hash, |seat| kept[seat].key == *key) {
            pace.seen();
            return Recalled::Here(seat as u32);
        }
        if !self.seats.came_before(hash) {
            self.watch(rules, asked, record);
            return Recalled::Nothing;
        }
        pace.seen();
        Recalled::Before(Ticket(hash))
    }

    /// The rules that match, and how many were tried for that.
    pub(super) fn get(&self, number: u32) -> (&[RuleIndex], u32) {
        let seat = &self.kept[number as usize];
        (&seat.matched, seat.tried)
    }

    /// Keeps what came out for the record that [`look`](Verdicts::look) has just seen.
    #[cold]
    pub(super) fn keep(&mut self, ticket: Ticket, matched: &[RuleIndex], tried: u32) {
        if matched.len() > RULES_MAX {
            return;
        }
        let Ticket(hash) = ticket;
        let number = self.seats.take(hash);
        let seat = &mut self.kept[number];
        seat.tried = tried;
        seat.key.clone_from(&self.key);
        seat.matched.clear();
        seat.matched.extend_from_slice(matched);
    }

    /// Looks whether the values of a record recur, of which rules know only a few texts.
    #[cold]
    fn watch(&mut self, rules: &RuleSet, asked: &Fields, record: &Record<'_>) {
        for FieldValue { id, value, .. } in &record.fields {
            let is_brief = asked.has(*id) && rules.brief.has(*id);
            if !(is_brief && self.fields[id.index()].asks()) {
                continue;
            }
            let Some(text) = value.text(&mut self.digits) else { continue };
            let hash = FixedState::with_seed(u64::from(id.0)).hash_one(text);
            if self.values.came_before(hash) {
                self.fields[id.index()].seen();
            }
        }
    }

    /// Writes the key of a record; whether it has one.
    fn write_key(
        &mut self,
        rules: &RuleSet,
        (route, asked): (u32, &Fields),
        record: &Record<'_>,
        passed: &mut Passed,
    ) -> bool {
        let Verdicts { key, digits, folded, fields, .. } = self;
        key.clear();
        key.extend_from_slice(&route.to_le_bytes());
        for FieldValue { id, value, .. } in &record.fields {
            if !asked.has(*id) {
                // It may be what makes another field exist.
                if rules.is_inner(*id) {
                    return false;
                }
                continue;
            }
            let head = |kind: u8| [id.0 as u8, (id.0 >> 8) as u8, kind];
            match value {
                Value::Null => key.extend_from_slice(&head(5)),
                value if fields[id.index()].pauses() => {
                    key.extend_from_slice(&head(6));
                    folded.clear();
                    fold_into(value.text(digits).unwrap_or_default(), folded);
                    let scan = &rules.scans[id.index()];
                    scan.scan(folded.as_bytes(), passed, |mark| {
                        key.extend_from_slice(&mark.bit().to_le_bytes());
                    });
                    key.extend_from_slice(&Bit::MAX.to_le_bytes());
                }
                Value::Text(text) => {
                    if key.len() + text.len() > KEY_BYTES_MAX {
                        return false;
                    }
                    key.extend_from_slice(&head(0));
                    key.extend_from_slice(&(text.len() as u16).to_le_bytes());
                    key.extend_from_slice(text.as_bytes());
                }
                Value::Int(int) => {
                    key.extend_from_slice(&head(1));
                    key.extend_from_slice(&int.to_le_bytes());
                }
                Value::Float(float) => {
                    key.extend_from_slice(&head(2));
                    key.extend_from_slice(&float.to_bits().to_le_bytes());
                }
                Value::Bool(value) => key.extend_from_slice(&head(3 + u8::from(*value))),
            }
        }
        key.len() <= KEY_BYTES_MAX
    }
}
