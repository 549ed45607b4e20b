//! Matching one record after the other.
//!
//! For a record: its views say which rules apply, and which fields these ask for. If a record
//! before said the same in them, the same rules match (`matcher/verdicts.rs`). Else the fields
//! that guards are about: their values are folded and scanned once, or looked up if they came before
//! (`matcher/memory.rs`); each bit that is hit wakes the rules it guards; their programs run over
//! the bits, scanning further fields and running late tests only when they get there. Nothing is
//! allocated but for rules that match.

use std::sync::Arc;

use super::compile::{FieldId, RuleIndex, RuleSet};
use super::moment;
use super::program::{Bit, Late, LateTest, MATCH, NO_MATCH, StepTest};
use super::record::{Record, Value};
use super::regex::Regex;
use super::scan::{Fields, Mark, PASSED, Passed, Scan};

mod memory;
mod routes;
mod seats;
mod texts;
mod verdicts;

use memory::{Known, Memory, Note, Ticket};
use routes::{Route, Routes};
use texts::{Texts, text};
use verdicts::{Recalled, Verdicts};

/// Matches records against a rule set. Each worker has its own.
#[derive(Debug)]
pub struct Matcher {
    rules: Arc<RuleSet>,
    routes: Routes,
    scratch: Scratch,
}

/// What a matcher has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records.
    pub records: u64,
    /// Rules whose program ran.
    pub tried: u64,
    /// Rules that matched.
    pub matched: u64,
    /// Records that said the same as one before, in all that rules ask.
    pub recalled: u64,
    /// Searches of expressions that were given up.
    pub given_up: u64,
}

impl Matcher {
    /// A matcher for a rule set.
    #[must_use]
    pub fn new(rules: &Arc<RuleSet>) -> Self {
        Matcher {
            rules: Arc::clone(rules),
            routes: Routes::default(),
            scratch: Scratch::new(rules),
        }
    }

    /// One that remembers no more than so many values; powers of two.
    #[cfg(test)]
    pub(super) fn with_memory(rules: &Arc<RuleSet>, values: usize, once: usize) -> Self {
        let mut matcher = Matcher::new(rules);
        matcher.scratch.memory = Memory::with_room(rules.field_count(), values, once);
        matcher.scratch.verdicts = Verdicts::with_room(rules.field_count(), values, once);
        matcher
    }

    /// The rule set.
    #[must_use]
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// What it has done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.scratch.counters
    }

    /// Puts the rules that match `record` into `matched`, ascending. The record's fields and views
    /// must have been numbered by the same rule set.
    pub fn matches(&mut self, record: &Record<'_>, matched: &mut Vec<RuleIndex>) {
        matched.clear();
        self.scratch.counters.records += 1;
        let route = self.routes.find(&self.rules, &record.views);
        if route.idle {
            return;
        }
        self.scratch.judge(&self.rules, route, record, matched);
        self.scratch.counters.matched += matched.len() as u64;
    }
}

/// What is known of the record at hand.
#[derive(Debug)]
struct Scratch {
    bits: Vec<u64>,
    /// The bits that are set.
    set: Vec<Bit>,
    /// Those of them that may wake rules.
    waking: Vec<Bit>,
    /// The fields that were scanned.
    scanned: Fields,
    /// The rules that were woken, as bits and as a list.
    woken: Vec<u64>,
    woken_list: Vec<u32>,
    /// For each late test what came out, and which ones were run.
    late: Vec<Outcome>,
    late_list: Vec<u32>,
    /// What follows from values that came before.
    memory: Memory,
    /// What came out for records that came before.
    verdicts: Verdicts,
    /// Room for what follows from one more.
    notes: Vec<Note>,
    /// Values of the record that are to be remembered.
    fresh: Vec<Fresh>,
    /// Each worker has its own copies: their caches are not to be fought over.
    regexes: Vec<Regex>,
    texts: Texts,
    digits: String,
    passed: Passed,
    counters: Counters,
}

/// A value that is to be remembered.
#[derive(Clone, Copy, Debug)]
struct Fresh {
    /// Its place among the record's fields.
    value: u32,
    /// The number of its folded text.
    text: u32,
    ticket: Ticket,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Unknown,
    Holds,
    Fails,
}

impl Outcome {
    #[inline]
    fn of(holds: bool) -> Self {
        if holds { Outcome::Holds } else { Outcome::Fails }
    }
}

/// Sets a bit, and the lists that it is a member of; notes those that wake rules.
#[inline]
fn set_mark(
    rules: &RuleSet,
    bits: &mut [u64],
    set: &mut Vec<Bit>,
    waking: &mut Vec<Bit>,
    mark: Mark,
) {
    let bit = mark.bit();
    if !set_bit(bits, set, bit) {
        return;
    }
    if mark.wakes() {
        waking.push(bit);
    }
    if mark.is_listed() {
        for list in rules.lists_of(bit) {
            if set_bit(bits, set, list.bit()) && list.wakes() {
                waking.push(list.bit());
            }
        }
    }
}

/// Sets a bit; whether it was not set before.
#[inline]
fn set_bit(bits: &mut [u64], set: &mut Vec<Bit>, bit: Bit) -> bool {
    let (word, mask) = (bit as usize / 64, 1u64 << (bit % 64));
    let fresh = bits[word] & mask == 0;
    if fresh {
        bits[word] |= mask;
        set.push(bit);
    }
    fresh
}

impl Scratch {
    fn new(rules: &RuleSet) -> Self {
        Scratch {
            bits: vec![0; rules.bit_count().div_ceil(64)],
            set: Vec::new(),
            waking: Vec::new(),
            scanned: Fields::none(rules.field_count()),
            woken: vec![0; rules.len().div_ceil(64)],
            woken_list: Vec::new(),
            late: vec![Outcome::Unknown; rules.lates.len()],
            late_list: Vec::new(),
            memory: Memory::new(rules.field_count()),
            verdicts: Verdicts::new(rules.field_count()),
            notes: Vec::new(),
            fresh: Vec::new(),
            regexes: rules.regexes.clone(),
            texts: Texts::new(rules.field_count()),
            digits: String::new(),
            passed: PASSED,
            counters: Counters::default(),
        }
    }

    fn reset(&mut self) {
        for bit in self.set.drain(..) {
            self.bits[bit as usize / 64] = 0;
        }
        self.waking.clear();
        for rule in self.woken_list.drain(..) {
            self.woken[rule as usize / 64] = 0;
        }
        for late in self.late_list.drain(..) {
            self.late[late as usize] = Outcome::Unknown;
        }
        self.texts.clear();
    }

    /// Puts the rules that match into `matched`, ascending.
    fn judge(
        &mut self,
        rules: &RuleSet,
        route: &mut Route,
        record: &Record<'_>,
        matched: &mut Vec<RuleIndex>,
    ) {
        let mut recalled = Recalled::Nothing;
        if let Some(asked) = &route.asked {
            let asked = (route.number, asked);
            let (pace, passed) = (&mut route.pace, &mut self.passed);
            recalled = self.verdicts.look(rules, asked, pace, record, passed);
        }
        if let Recalled::Here(number) = recalled
            && !self.has_other_keywords(route, record)
        {
            let (same, tried) = self.verdicts.get(number);
            matched.extend_from_slice(same);
            self.counters.tried += u64::from(tried);
            self.counters.recalled += 1;
            return;
        }
        let before = self.counters;
        self.run(rules, route, record, matched);
        self.reset();
        matched.sort_unstable();
        if let Recalled::Before(ticket) = recalled
            && self.counters.given_up == before.given_up
            && !self.has_other_keywords(route, record)
        {
            let tried = (self.counters.tried - before.tried) as u32;
            self.verdicts.keep(ticket, matched, tried);
        }
    }

    /// Whether a keyword stands in a text outside of the fields that rules ask for.
    fn has_other_keywords(&mut self, route: &Route, record: &Record<'_>) -> bool {
        let (Some(asked), false) = (&route.asked, route.keywords.is_empty()) else { return false };
        for own in &record.fields {
            if let Value::Text(text) = own.value
                && !asked.has(own.id)
            {
                self.texts.push_to_piece(own.id, text);
            }
        }
        if !record.message.is_empty() {
            self.texts.push_to_piece(FieldId::UNKNOWN, record.message);
        }
        self.texts.fold_piece();
        let mut any = false;
        for scan in route.keywords.iter().filter(|scan| !scan.is_empty()) {
            if scan.asks_for_whole() {
                self.texts.of_piece().for_each(|text| scan.scan_whole(text, |_| any = true));
            }
            scan.scan_parts(self.texts.piece(), &mut self.passed, |_| any = true);
        }
        self.texts.clear();
        any
    }

    fn run(
        &mut self,
        rules: &RuleSet,
        route: &Route,
        record: &Record<'_>,
        matched: &mut Vec<RuleIndex>,
    ) {
        self.scan_guards(rules, route, record);
        let mut next = 0;
        while next < self.waking.len() {
            let bit = self.waking[next];
            next += 1;
            for rule in rules.wakes.row(bit as usize) {
                let (word, mask) = (*rule as usize / 64, 1u64 << (rule % 64));
                if route.applies[word] & !self.woken[word] & mask == 0 {
                    continue;
                }
                self.woken[word] |= mask;
                self.woken_list.push(*rule);
                if self.holds(rules, rules.entries[*rule as usize], record) {
                    matched.push(RuleIndex(*rule));
                }
            }
        }
        self.counters.tried += (self.woken_list.len() + route.always.len()) as u64;
        for rule in &route.always {
            if self.holds(rules, rules.entries[*rule as usize], record) {
                matched.push(RuleIndex(*rule));
            }
        }
    }

    /// Scans what guards are about: each value once, and texts in one piece for keywords.
    fn scan_guards(&mut self, rules: &RuleSet, route: &Route, record: &Record<'_>) {
        self.scanned.0.clone_from(&route.fields.0);
        self.texts.begin(&route.fields);
        self.memory.begin();
        let keywords = !route.keywords.is_empty();
        if keywords {
            self.scan_all_texts(rules, route, record);
        }
        for field in &record.fields {
            let done = keywords && matches!(field.value, Value::Text(_));
            if !done && route.fields.has(field.id) {
                self.scan_value(rules, field.id, &field.value);
            }
        }
    }

    /// Scans all texts of a record, for guards and for keywords, but for those of which it is
    /// remembered what follows.
    fn scan_all_texts(&mut self, rules: &RuleSet, route: &Route, record: &Record<'_>) {
        self.fresh.clear();
        for (value, own) in (0u32..).zip(&record.fields) {
            let Value::Text(text) = own.value else { continue };
            let mut ticket = None;
            if route.fields.has(own.id) {
                let (known, again) = self.memory.look(route.scope, own.id, text);
                if again {
                    self.doubt(rules, own.id);
                }
                match known {
                    Known::Here(number) => {
                        self.set_known(own.id, number, again);
                        continue;
                    }
                    Known::Before(before) => ticket = Some(before),
                    Known::Nothing => {}
                }
            }
            let text = self.texts.push_to_piece(own.id, text) as u32;
            self.fresh.extend(ticket.map(|ticket| Fresh { value, text, ticket }));
        }
        if !record.message.is_empty() {
            self.texts.push_to_piece(FieldId::UNKNOWN, record.message);
        }
        self.texts.fold_piece();
        for text in 0..self.texts.len() {
            let field = self.texts.get(text).0;
            if route.fields.has(field) {
                self.scan_text(rules, field, text);
            }
        }
        for scan in route.keywords.iter().filter(|scan| !scan.is_empty()) {
            self.scan_keywords(rules, scan);
        }
        for at in 0..self.fresh.len() {
            let Fresh { value, text, ticket } = self.fresh[at];
            let own = &record.fields[value as usize];
            let Value::Text(value) = own.value else { unreachable!("only texts have tickets") };
            self.remember(rules, &route.keywords, own.id, value, text as usize, ticket);
        }
    }

    /// Sets what follows from a value, by scan or from memory.
    fn scan_value(&mut self, rules: &RuleSet, field: FieldId, value: &Value<'_>) {
        let (known, again) = match value {
            Value::Text(text) => self.memory.look(0, field, text),
            _ => (Known::Nothing, self.memory.skip(field)),
        };
        if again {
            self.doubt(rules, field);
        }
        if let Known::Here(number) = known {
            return self.set_known(field, number, again);
        }
        let Some(text) = self.texts.fold(field, value) else { return };
        self.scan_text(rules, field, text);
        if let (Known::Before(ticket), Value::Text(value)) = (known, value) {
            self.remember(rules, &[], field, value, text, ticket);
        }
    }

    /// Sets what is known to follow from a value. `again` if the record has another one of the
    /// field, in which late tests may find what they do not find in this one.
    #[inline]
    fn set_known(&mut self, field: FieldId, number: u32, again: bool) {
        self.texts.miss(field);
        for note in self.memory.notes(number) {
            match note {
                Note::Set(bit, wakes) => {
                    if set_bit(&mut self.bits, &mut self.set, bit) && wakes {
                        self.waking.push(bit);
                    }
                }
                Note::Late(late, holds) if holds || !again => {
                    self.late[late as usize] = Outcome::of(holds);
                    self.late_list.push(late);
                }
                Note::Late(..) => {}
            }
        }
    }

    /// Keeps what follows from a value that is likely to come again.
    #[cold]
    fn remember(
        &mut self,
        rules: &RuleSet,
        keywords: &[Scan],
        field: FieldId,
        value: &str,
        text: usize,
        ticket: Ticket,
    ) {
        let notes = &mut self.notes;
        notes.clear();
        let folded = self.texts.get(text).1;
        for scan in std::iter::once(&rules.scans[field.index()]).chain(keywords) {
            scan.scan(folded, &mut self.passed, |mark| {
                if rules.asks(mark.bit()) {
                    notes.push(Note::Set(mark.bit(), mark.wakes()));
                }
                if mark.is_listed() {
                    let lists = rules.lists_of(mark.bit());
                    notes.extend(lists.map(|list| Note::Set(list.bit(), list.wakes())));
                }
            });
        }
        self.memory.enter(field, value, ticket, notes);
    }

    /// Forgets what late tests do not find in the values of a field so far, now that it has more.
    #[cold]
    fn doubt(&mut self, rules: &RuleSet, field: FieldId) {
        for late in &self.late_list {
            let outcome = &mut self.late[*late as usize];
            if *outcome == Outcome::Fails && rules.lates[*late as usize].field == field {
                *outcome = Outcome::Unknown;
            }
        }
    }

    /// Scans a folded text of a field.
    #[inline]
    fn scan_text(&mut self, rules: &RuleSet, field: FieldId, text: usize) {
        let (bits, set, waking) = (&mut self.bits, &mut self.set, &mut self.waking);
        rules.scans[field.index()].scan(self.texts.get(text).1, &mut self.passed, |mark| {
            set_mark(rules, bits, set, waking, mark);
        });
    }

    /// Looks for keywords.
    fn scan_keywords(&mut self, rules: &RuleSet, scan: &Scan) {
        let (bits, set, waking) = (&mut self.bits, &mut self.set, &mut self.waking);
        let mut set = |mark| set_mark(rules, bits, set, waking, mark);
        if scan.asks_for_whole() {
            self.texts.of_piece().for_each(|text| scan.scan_whole(text, &mut set));
        }
        scan.scan_parts(self.texts.piece(), &mut self.passed, set);
    }

    /// Scans a field that no guard of a rule for the record's views is about, now that a program
    /// asks for it.
    #[cold]
    fn scan_late(&mut self, rules: &RuleSet, field: FieldId, record: &Record<'_>) {
        self.scanned.add(field);
        debug_assert!(!field.is_keywords(), "whoever asks for keywords has scanned for them");
        self.texts.have(field);
        for own in record.fields.iter().filter(|own| own.id == field) {
            self.scan_value(rules, field, &own.value);
        }
    }

    #[inline]
    fn see(&mut self, rules: &RuleSet, field: FieldId, record: &Record<'_>) {
        if !self.scanned.has(field) {
            self.scan_late(rules, field, record);
        }
    }

    #[inline]
    fn is_set(&self, bit: Bit) -> bool {
        self.bits[bit as usize / 64] >> (bit % 64) & 1 != 0
    }

    /// Runs the program that begins at `at`.
    fn holds(&mut self, rules: &RuleSet, mut at: u32, record: &Record<'_>) -> bool {
        loop {
            match at {
                MATCH => return true,
                NO_MATCH => return false,
                _ => {}
            }
            let step = &rules.steps[at as usize];
            let list = || {
                let start = step.arg as usize + 1;
                let len = rules.lists[step.arg as usize] as usize;
                rules.lists[start..start + len].iter()
            };
            let holds = match step.test {
                StepTest::Late => self.late(rules, step.arg, record),
                test => {
                    self.see(rules, step.field, record);
                    match test {
                        StepTest::OneOf => list().any(|bit| self.is_set(*bit)),
                        StepTest::AllOf => list().all(|bit| self.is_set(*bit)),
                        _ => self.is_set(step.arg),
                    }
                }
            };
            at = if holds { step.yes } else { step.no };
        }
    }

    /// What a late test says of the record.
    fn late(&mut self, rules: &RuleSet, number: u32, record: &Record<'_>) -> bool {
        match self.late[number as usize] {
            Outcome::Holds => return true,
            Outcome::Fails => return false,
            Outcome::Unknown => {}
        }
        let late = &rules.lates[number as usize];
        let armed = late.armed.is_empty() || {
            self.see(rules, late.field, record);
            late.armed.iter().any(|bit| self.is_set(*bit))
        };
        let given_up = self.counters.given_up;
        let holds = armed && self.test(rules, late, record);
        self.late[number as usize] = Outcome::of(holds);
        self.late_list.push(number);
        let own = late.test.is_of_value() && !late.field.is_keywords();
        if own && self.counters.given_up == given_up {
            self.memory.add_late(late.field, number, holds);
        }
        holds
    }

    fn test(&mut self, rules: &RuleSet, late: &Late, record: &Record<'_>) -> bool {
        match &late.test {
            LateTest::Null => return is_null(rules, late.field, record),
            LateTest::Exists => return exists(rules, late.field, record),
            LateTest::Folded(glob) => {
                self.texts.want(late.field, record);
                return match late.field {
                    FieldId::KEYWORDS => self.texts.of_keywords().any(|own| glob.fits(text(own))),
                    field => self.texts.of(field).any(|own| glob.fits(text(own))),
                };
            }
            LateTest::Field(other, relation) => {
                self.texts.want(late.field, record);
                self.texts.want(*other, record);
                let holds = |own, other| relation.holds(text(own), text(other));
                let mut own = self.texts.of(late.field);
                return own.any(|own| self.texts.of(*other).any(|other| holds(own, other)));
            }
            _ => {}
        }
        if late.field == FieldId::KEYWORDS {
            return record.keyword_texts().any(|text| self.value(late, &Value::Text(text)));
        }
        let mut own = record.fields.iter().filter(|field| field.id == late.field);
        own.any(|field| self.value(late, &field.value))
    }

    /// What a late test says of one value.
    fn value(&mut self, late: &Late, value: &Value<'_>) -> bool {
        match &late.test {
            LateTest::Compare(comparison, number) => {
                return value.number().is_some_and(|value| comparison.holds(value, *number));
            }
            LateTest::Time(part, comparison, number) => {
                let part = moment::part(value, *part);
                return part.is_some_and(|part| comparison.holds(part, *number));
            }
            _ => {}
        }
        let Some(text) = value.text(&mut self.digits) else { return false };
        match &late.test {
            LateTest::Cased(glob) => glob.fits(text),
            LateTest::Networks(networks) => networks.iter().any(|network| network.holds(text)),
            LateTest::Regex(number) => match self.regexes[*number].finds(text) {
                Some(found) => found,
                None => {
                    self.counters.given_up += 1;
                    false
                }
            },
            _ => unreachable!("decided above"),
        }
    }
}

/// Whether a field has a value, null included; an object counts by what is in it.
fn exists(rules: &RuleSet, field: FieldId, record: &Record<'_>) -> bool {
    let name = rules.field_name(field);
    let inside = |inner: &str| {
        inner.len() > name.len() && inner.as_bytes()[name.len()] == b'.' && inner.starts_with(name)
    };
    record.fields.iter().any(|value| value.id == field || inside(value.name))
}

/// Whether a field is missing, or one of its values is null.
fn is_null(rules: &RuleSet, field: FieldId, record: &Record<'_>) -> bool {
    let null = |value: &super::record::FieldValue<'_>| {
        value.id == field && matches!(value.value, Value::Null)
    };
    record.fields.iter().any(null) || !exists(rules, field, record)
}
