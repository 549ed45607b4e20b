//! Matching one record after the other.
//!
//! For a record: its views say which rules apply, and which fields those rules' guards are about.
//! The values of these fields are folded and scanned once; each bit that is hit wakes the rules it
//! guards; their programs run over the bits, scanning further fields and running late tests only
//! when they get there. Nothing is allocated but for rules that match.

use std::ops::Range;
use std::sync::Arc;

use super::compile::{FieldId, RuleIndex, RuleSet};
use super::logsource::View;
use super::moment;
use super::program::{Bit, Late, LateTest, MATCH, NO_MATCH, StepTest};
use super::record::{Record, Value};
use super::regex::Regex;
use super::scan::{BETWEEN, Fields, Mark, PASSED, Passed};
use super::value::fold_into;
use crate::types::hash::Map;

/// The most sets of views that a matcher remembers; beyond, it forgets all of them.
const VIEW_SETS_MAX: usize = 4096;

/// How many bytes of room for folded text are kept from record to record.
const FOLDED_KEPT: usize = 1 << 20;

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
        self.scratch.run(&self.rules, route, record, matched);
        self.scratch.reset();
        matched.sort_unstable();
        self.scratch.counters.matched += matched.len() as u64;
    }
}

/// What one set of views needs.
#[derive(Debug)]
struct Route {
    /// No rule applies.
    idle: bool,
    /// The rules that apply, as bits.
    applies: Vec<u64>,
    /// The fields that guards of these rules are about.
    fields: Fields,
    /// Whether guards are about keywords.
    keywords: bool,
    /// Rules without a guard.
    always: Vec<u32>,
}

#[derive(Debug, Default)]
struct Routes {
    routes: Vec<Route>,
    known: Map<Vec<View>, usize>,
    last: Option<(Vec<View>, usize)>,
}

impl Routes {
    fn find(&mut self, rules: &RuleSet, views: &[View]) -> &Route {
        let last = self.last.as_ref().filter(|(known, _)| known == views);
        let number = match last.map(|(_, number)| *number) {
            Some(number) => number,
            None => self.look_up(rules, views),
        };
        &self.routes[number]
    }

    fn look_up(&mut self, rules: &RuleSet, views: &[View]) -> usize {
        let number = match self.known.get(views) {
            Some(number) => *number,
            None => {
                if self.routes.len() >= VIEW_SETS_MAX {
                    self.routes.clear();
                    self.known.clear();
                }
                self.routes.push(Route::new(rules, views));
                self.known.insert(views.to_vec(), self.routes.len() - 1);
                self.routes.len() - 1
            }
        };
        match &mut self.last {
            Some((known, last)) => {
                known.clear();
                known.extend(views);
                *last = number;
            }
            None => self.last = Some((views.to_vec(), number)),
        }
        number
    }
}

impl Route {
    fn new(rules: &RuleSet, views: &[View]) -> Self {
        let satisfied = rules.satisfied(views);
        let mut route = Route {
            idle: true,
            applies: vec![0; rules.len().div_ceil(64)],
            fields: Fields::none(rules.field_count()),
            keywords: false,
            always: Vec::new(),
        };
        for (rule, source) in rules.sources.iter().enumerate() {
            if !satisfied[usize::from(*source)] {
                continue;
            }
            let guard = &rules.guards[rule];
            route.idle = false;
            route.applies[rule / 64] |= 1 << (rule % 64);
            guard.fields.iter().for_each(|field| route.fields.add(*field));
            if guard.always {
                route.always.push(rule as u32);
            }
        }
        route.keywords = FieldId::ALL_KEYWORDS.iter().any(|field| route.fields.has(*field));
        route
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
    /// Each worker has its own copies: their caches are not to be fought over.
    regexes: Vec<Regex>,
    /// The folded texts of what was scanned, one after the other, and whose they are.
    folded: String,
    texts: Vec<(FieldId, Range<usize>)>,
    /// Those of them in which keywords are looked for, and the piece that they make.
    keywords: Option<(Range<usize>, Range<usize>)>,
    digits: String,
    passed: Passed,
    counters: Counters,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Unknown,
    Holds,
    Fails,
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
    let (word, mask) = (bit as usize / 64, 1u64 << (bit % 64));
    if bits[word] & mask != 0 {
        return;
    }
    bits[word] |= mask;
    set.push(bit);
    if mark.wakes() {
        waking.push(bit);
    }
    if !mark.is_listed() {
        return;
    }
    for list in rules.member_of.row(bit as usize) {
        let (word, mask) = (*list as usize / 64, 1u64 << (list % 64));
        if bits[word] & mask == 0 {
            bits[word] |= mask;
            set.push(*list);
            waking.push(*list);
        }
    }
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
            regexes: rules.regexes.clone(),
            folded: String::new(),
            texts: Vec::new(),
            keywords: None,
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
        self.folded.clear();
        self.folded.shrink_to(FOLDED_KEPT);
        self.texts.clear();
        self.keywords = None;
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

    /// Scans what guards are about: each value once, and all texts in one piece for keywords.
    fn scan_guards(&mut self, rules: &RuleSet, route: &Route, record: &Record<'_>) {
        self.scanned.0.clone_from(&route.fields.0);
        if !route.keywords {
            for field in record.fields.iter().filter(|field| route.fields.has(field.id)) {
                self.fold_and_scan(rules, field.id, &field.value);
            }
            return;
        }
        self.fold_keyword_texts(record);
        for at in 0..self.texts.len() {
            let (field, text) = self.texts[at].clone();
            if route.fields.has(field) {
                self.scan(rules, field, text);
            }
        }
        for field in FieldId::ALL_KEYWORDS {
            if route.fields.has(field) {
                self.scan_keywords(rules, field);
            }
        }
        for field in record.fields.iter().filter(|field| route.fields.has(field.id)) {
            if !matches!(field.value, Value::Text(_)) {
                self.fold_and_scan(rules, field.id, &field.value);
            }
        }
    }

    /// Folds the texts in which keywords are looked for, as one piece.
    fn fold_keyword_texts(&mut self, record: &Record<'_>) {
        let (first, from) = (self.texts.len(), self.folded.len());
        let fields = record.fields.iter().map(|field| (field.id, field.value));
        let message = Some(record.message).filter(|message| !message.is_empty());
        let message = message.map(|message| (FieldId::UNKNOWN, Value::Text(message)));
        for (field, value) in fields.chain(message) {
            let Value::Text(text) = value else { continue };
            let start = self.folded.len();
            fold_into(text, &mut self.folded);
            self.texts.push((field, start..self.folded.len()));
            self.folded.push(BETWEEN);
        }
        self.keywords = Some((first..self.texts.len(), from..self.folded.len()));
    }

    /// Looks for keywords in the texts that were folded for that.
    fn scan_keywords(&mut self, rules: &RuleSet, field: FieldId) {
        let Some((texts, piece)) = self.keywords.clone() else { return };
        let (bits, set, waking) = (&mut self.bits, &mut self.set, &mut self.waking);
        let scan = &rules.scans[field.index()];
        if scan.asks_for_whole() {
            for (_, text) in &self.texts[texts] {
                scan.scan_whole(&self.folded[text.clone()], |mark| {
                    set_mark(rules, bits, set, waking, mark);
                });
            }
        }
        scan.scan_parts(&self.folded[piece], &mut self.passed, |mark| {
            set_mark(rules, bits, set, waking, mark);
        });
    }

    /// Scans a field that no guard is about, now that a program asks for it.
    #[cold]
    fn scan_late(&mut self, rules: &RuleSet, field: FieldId, record: &Record<'_>) {
        self.scanned.add(field);
        if field.is_keywords() {
            if self.keywords.is_none() {
                self.fold_keyword_texts(record);
            }
            return self.scan_keywords(rules, field);
        }
        for value in record.fields.iter().filter(|value| value.id == field) {
            self.fold_and_scan(rules, field, &value.value);
        }
    }

    #[inline]
    fn fold_and_scan(&mut self, rules: &RuleSet, field: FieldId, value: &Value<'_>) {
        let Some(text) = self.fold(value) else { return };
        self.texts.push((field, text.clone()));
        self.scan(rules, field, text);
    }

    /// Appends the folded text of a value to `folded`.
    #[inline]
    fn fold(&mut self, value: &Value<'_>) -> Option<Range<usize>> {
        let start = self.folded.len();
        let text = value.text(&mut self.digits)?;
        fold_into(text, &mut self.folded);
        Some(start..self.folded.len())
    }

    #[inline]
    fn scan(&mut self, rules: &RuleSet, field: FieldId, text: Range<usize>) {
        let (bits, set, waking) = (&mut self.bits, &mut self.set, &mut self.waking);
        let scan = &rules.scans[field.index()];
        let folded = &self.folded[text];
        scan.scan(folded, &mut self.passed, |mark| set_mark(rules, bits, set, waking, mark));
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
            match late.field.is_keywords() {
                true => FieldId::ALL_KEYWORDS.iter().for_each(|own| self.see(rules, *own, record)),
                false => self.see(rules, late.field, record),
            }
            late.armed.iter().any(|bit| self.is_set(*bit))
        };
        let holds = armed && self.test(rules, late, record);
        self.late[number as usize] = if holds { Outcome::Holds } else { Outcome::Fails };
        self.late_list.push(number);
        holds
    }

    fn test(&mut self, rules: &RuleSet, late: &Late, record: &Record<'_>) -> bool {
        match &late.test {
            LateTest::Null => return is_null(rules, late.field, record),
            LateTest::Exists => return exists(rules, late.field, record),
            LateTest::Folded(glob) => {
                self.see(rules, late.field, record);
                return self.texts_of(late.field).any(|text| glob.fits(text));
            }
            LateTest::Field(other, relation) => {
                self.see(rules, late.field, record);
                self.see(rules, *other, record);
                let mut own = self.texts_of(late.field);
                return own
                    .any(|own| self.texts_of(*other).any(|other| relation.holds(own, other)));
            }
            _ => {}
        }
        if late.field == FieldId::KEYWORDS {
            return record.keyword_texts().any(|text| self.value(late, &Value::Text(text)));
        }
        let mut own = record.fields.iter().filter(|field| field.id == late.field);
        own.any(|field| self.value(late, &field.value))
    }

    /// The folded texts of a field that was scanned.
    fn texts_of(&self, field: FieldId) -> impl Iterator<Item = &str> {
        let keywords = self.keywords.as_ref().filter(|_| field.is_keywords());
        let texts = keywords.map_or(&self.texts[..], |(texts, _)| &self.texts[texts.clone()]);
        let own = texts.iter().filter(move |(known, _)| *known == field || field.is_keywords());
        own.map(|(_, text)| &self.folded[text.clone()])
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
