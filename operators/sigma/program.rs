//! Rules as small programs over predicate bits.
//!
//! Each literal test of a field (it contains, begins with, ends with, is) is one *bit*, shared by
//! all rules that ask it; the scan of the field sets it. A long list of alternatives is a bit of
//! its own, set by any of its members. What a scan can not decide (an expression, a network, a
//! missing field) is a *late* test: it runs when a program asks, once for each record, and only
//! if a literal that it cannot do without has been seen.
//!
//! A condition over them becomes a chain of tests, each with the place to go on at when it holds
//! and when it does not. And for each rule a *guard* is chosen: bits of which one is set whenever
//! the rule matches, the rarest by estimate. Nothing else of a rule is looked at until its guard
//! is hit.

use super::detection::{Comparison, Network, Relation, TimePart};
use super::regex::Regex;
use super::scan::{SHORT_STRIDE_MIN, STRIDE_MIN};
use super::value::Glob;
use crate::types::hash::Map;

/// The number of a predicate bit.
pub(crate) type Bit = u32;

/// The number of a field in one rule set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldId(pub(crate) u16);

impl FieldId {
    /// A field that no rule asks for.
    pub const UNKNOWN: FieldId = FieldId(u16::MAX);
    /// A field that no rule asks for and that lies inside of one, as `a.b` in `a`.
    pub const INNER: FieldId = FieldId(u16::MAX - 1);
    /// What keywords are looked for in: all texts of a record.
    pub(crate) const KEYWORDS: FieldId = FieldId(0);
    /// The same texts, for keywords that are too short to be looked for in long strides. Few rules
    /// have such, and the records of other rules' log sources are spared the slower scan.
    pub(crate) const SHORT_KEYWORDS: FieldId = FieldId(1);
    /// The same texts, for keywords that are too short for any strides.
    pub(crate) const TINY_KEYWORDS: FieldId = FieldId(2);
    /// All three.
    pub(crate) const ALL_KEYWORDS: [FieldId; 3] =
        [FieldId::KEYWORDS, FieldId::SHORT_KEYWORDS, FieldId::TINY_KEYWORDS];
    /// The numbers that are not fields.
    pub(crate) const RESERVED: usize = 3;

    /// Whether a rule or a correlation asks for it.
    #[must_use]
    pub fn is_asked(self) -> bool {
        self.0 < FieldId::INNER.0
    }

    pub(crate) fn is_keywords(self) -> bool {
        self.index() < FieldId::RESERVED
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What the scan of a field decides.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Literal {
    Contains(String),
    Starts(String),
    Ends(String),
    Is(String),
    /// It has a value other than null.
    Present,
    /// One of these bits is set; sorted.
    OneOf(Vec<Bit>),
}

impl Literal {
    /// The text that is looked for.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Literal::Contains(text)
            | Literal::Starts(text)
            | Literal::Ends(text)
            | Literal::Is(text) => Some(text),
            Literal::Present | Literal::OneOf(_) => None,
        }
    }
}

/// A predicate bit.
#[derive(Clone, Debug)]
pub(crate) struct BitInfo {
    pub(crate) field: FieldId,
    pub(crate) literal: Literal,
    /// How many rules ask it.
    pub(crate) uses: u32,
    /// Of the texts that rules look for in the field, the part in which it would be found.
    pub(crate) common: f64,
}

/// A test that no scan decides.
#[derive(Clone, Debug)]
pub(crate) struct Late {
    pub(crate) field: FieldId,
    /// Bits of the field of which one must be set; empty if none are known.
    pub(crate) armed: Vec<Bit>,
    pub(crate) test: LateTest,
}

#[derive(Clone, Debug)]
pub(crate) enum LateTest {
    /// The folded text fits.
    Folded(Glob),
    /// The text itself fits.
    Cased(Glob),
    /// By its number among the expressions.
    Regex(usize),
    Networks(Vec<Network>),
    Compare(Comparison, f64),
    Field(FieldId, Relation),
    Time(TimePart, Comparison, i64),
    Null,
    Exists,
}

impl LateTest {
    /// Whether it asks each value of its field for itself, and holds if it does for one of them.
    pub(crate) fn is_of_value(&self) -> bool {
        !matches!(self, LateTest::Field(..) | LateTest::Null | LateTest::Exists)
    }
}

/// Something that a scan sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Atom {
    /// A bit is set.
    Bit(Bit),
    /// A field has a value other than null.
    Present(FieldId),
}

/// How likely it is that a record has a field that a rule for its log source asks for.
const PRESENT: f64 = 0.9;

/// What it costs every record to look for one more text, in chances that a rule is woken.
const TEXT_PRICE: f64 = 0.002;

fn present(field: FieldId) -> Option<(Vec<Atom>, f64)> {
    Some((vec![Atom::Present(field)], PRESENT))
}

/// A condition over bits and late tests.
#[derive(Clone, Debug)]
pub(crate) enum Expr {
    Bit(Bit),
    Late(u32),
    All(Vec<Expr>),
    Any(Vec<Expr>),
    AtLeast(usize, Vec<Expr>),
    Not(Box<Expr>),
}

impl Expr {
    /// How many instructions it takes at most.
    pub(crate) fn size(&self) -> usize {
        let sum = |parts: &[Expr]| parts.iter().map(Expr::size).fold(0, usize::saturating_add);
        match self {
            Expr::Bit(_) | Expr::Late(_) => 1,
            Expr::All(parts) | Expr::Any(parts) => sum(parts),
            Expr::AtLeast(n, parts) => sum(parts).saturating_mul((*n).min(parts.len())),
            Expr::Not(part) => part.size(),
        }
    }

    /// Each bit and late test in it, as often as it stands there.
    pub(crate) fn leaves(&self, see: &mut impl FnMut(&Expr)) {
        match self {
            Expr::Bit(_) | Expr::Late(_) => see(self),
            Expr::All(parts) | Expr::Any(parts) | Expr::AtLeast(_, parts) => {
                parts.iter().for_each(|part| part.leaves(see));
            }
            Expr::Not(part) => part.leaves(see),
        }
    }
}

/// One step of a program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) test: StepTest,
    /// The field whose scan decides the test; a late test sees to its own.
    pub(crate) field: FieldId,
    /// A bit, the start of a list, or a late test.
    pub(crate) arg: u32,
    /// Where to go on if it holds.
    pub(crate) yes: u32,
    /// Where to go on if it does not.
    pub(crate) no: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepTest {
    Bit,
    /// One of the bits `lists[arg + 1..][..lists[arg]]`.
    OneOf,
    /// All of them.
    AllOf,
    Late,
}

/// The end of a program: the rule matches.
pub(crate) const MATCH: u32 = u32::MAX;
/// The end of a program: it does not.
pub(crate) const NO_MATCH: u32 = u32::MAX - 1;

/// The bits and late tests of a rule set, and programs over them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Builder {
    pub(crate) bits: Vec<BitInfo>,
    pub(crate) lates: Vec<Late>,
    pub(crate) regexes: Vec<Regex>,
    pub(crate) steps: Vec<Step>,
    pub(crate) lists: Vec<Bit>,
    known_bits: Map<(FieldId, Literal), Bit>,
    known_lates: Map<String, u32>,
    known_regexes: Map<String, usize>,
}

/// Lists of alternatives at least so long get a bit of their own.
const ONE_OF_MIN: usize = 8;

impl Builder {
    /// The bit of a test.
    pub(crate) fn bit(&mut self, field: FieldId, literal: Literal) -> Bit {
        let field = match &literal {
            Literal::Contains(text) | Literal::Starts(text) | Literal::Ends(text)
                if field == FieldId::KEYWORDS =>
            {
                match text.len() {
                    STRIDE_MIN.. => FieldId::KEYWORDS,
                    SHORT_STRIDE_MIN.. => FieldId::SHORT_KEYWORDS,
                    _ => FieldId::TINY_KEYWORDS,
                }
            }
            _ => field,
        };
        let key = (field, literal);
        if let Some(bit) = self.known_bits.get(&key) {
            return *bit;
        }
        let bit = self.bits.len() as Bit;
        self.bits.push(BitInfo { field, literal: key.1.clone(), uses: 0, common: 0.0 });
        self.known_bits.insert(key, bit);
        bit
    }

    /// A late test. `name` is the same for the same test only.
    pub(crate) fn late(&mut self, name: String, late: impl FnOnce(&mut Self) -> Late) -> Expr {
        if let Some(number) = self.known_lates.get(&name) {
            return Expr::Late(*number);
        }
        let late = late(self);
        let number = self.lates.len() as u32;
        self.lates.push(late);
        self.known_lates.insert(name, number);
        Expr::Late(number)
    }

    /// The number of an expression, which is kept once.
    pub(crate) fn regex(&mut self, regex: &Regex) -> usize {
        let name = format!("{:?} {}", regex.flags(), regex.source());
        *self.known_regexes.entry(name).or_insert_with(|| {
            self.regexes.push(regex.clone());
            self.regexes.len() - 1
        })
    }

    /// All of `parts`, nested ones taken in.
    pub(crate) fn all(&mut self, parts: Vec<Expr>) -> Expr {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Expr::All(inner) => flat.extend(inner),
                part => flat.push(part),
            }
        }
        one_or(flat, Expr::All)
    }

    /// One of `parts`, nested ones taken in, many bits of a field as one.
    pub(crate) fn any(&mut self, parts: Vec<Expr>) -> Expr {
        let mut rest = Vec::with_capacity(parts.len());
        let mut by_field: Vec<(FieldId, Vec<Bit>)> = Vec::new();
        let flat = parts.into_iter().flat_map(|part| match part {
            Expr::Any(inner) => inner,
            part => vec![part],
        });
        for part in flat {
            let Expr::Bit(bit) = part else {
                rest.push(part);
                continue;
            };
            let field = self.bits[bit as usize].field;
            match by_field.iter_mut().find(|(known, _)| *known == field) {
                Some((_, bits)) => bits.push(bit),
                None => by_field.push((field, vec![bit])),
            }
        }
        for (field, mut bits) in by_field {
            bits.sort_unstable();
            bits.dedup();
            if bits.len() < ONE_OF_MIN {
                rest.extend(bits.into_iter().map(Expr::Bit));
                continue;
            }
            // The members of a list are never lists themselves: one step sets it.
            let members = bits.iter().flat_map(|bit| match &self.bits[*bit as usize].literal {
                Literal::OneOf(members) => members.clone(),
                _ => vec![*bit],
            });
            let mut members: Vec<Bit> = members.collect();
            members.sort_unstable();
            members.dedup();
            rest.push(Expr::Bit(self.bit(field, Literal::OneOf(members))));
        }
        one_or(rest, Expr::Any)
    }

    /// How likely it is that a record which has the field has the bit set: a rough guess that only
    /// has to order. Longer is rarer; what many rules ask is common in what they are made for, and
    /// so is what many of the texts that they ask for have in them (`.exe`, `\\windows\\`).
    pub(crate) fn chance(&self, bit: Bit) -> f64 {
        let info = &self.bits[bit as usize];
        let by_length = |base: f64, each: f64, least: f64, text: &str| {
            (base * each.powi(text.len().min(64) as i32)).max(least)
        };
        let alone: f64 = match &info.literal {
            Literal::Contains(text) => by_length(0.5, 0.75, 0.0002, text),
            Literal::Ends(text) => by_length(0.5, 0.78, 0.002, text),
            Literal::Starts(text) => by_length(0.6, 0.9, 0.005, text),
            Literal::Is(text) => by_length(0.3, 0.85, 0.003, text),
            Literal::Present => PRESENT,
            Literal::OneOf(bits) => bits.iter().map(|bit| self.chance(*bit)).sum(),
        };
        let popular = match info.literal {
            Literal::OneOf(_) => 1.0,
            _ => f64::from(info.uses.max(1)).cbrt(),
        };
        (alone * popular).max(info.common).min(0.95)
    }

    /// Chance that it holds, and cost of finding out in nanoseconds.
    fn estimate(&self, expr: &Expr) -> (f64, f64) {
        match expr {
            Expr::Bit(bit) => (self.chance(*bit), 1.0),
            Expr::Late(number) => {
                let late = &self.lates[*number as usize];
                let (chance, cost) = match &late.test {
                    LateTest::Folded(_) | LateTest::Cased(_) => (0.3, 60.0),
                    LateTest::Regex(_) => (0.2, 200.0),
                    LateTest::Networks(networks) => (0.3, 40.0 + 2.0 * networks.len() as f64),
                    LateTest::Compare(..) | LateTest::Time(..) => (0.3, 30.0),
                    LateTest::Field(..) => (0.1, 80.0),
                    LateTest::Null => (0.3, 20.0),
                    LateTest::Exists => (0.7, 20.0),
                };
                match late.armed.as_slice() {
                    [] => (chance, cost),
                    armed => {
                        let seen: f64 = armed.iter().map(|bit| self.chance(*bit)).sum();
                        let seen = seen.min(0.95);
                        (chance * seen, 1.0 + seen * cost)
                    }
                }
            }
            Expr::All(parts) => {
                let each = parts.iter().map(|part| self.estimate(part));
                each.fold((1.0, 0.0), |(p, cost), (q, more)| (p * q, cost + p * more))
            }
            Expr::Any(parts) | Expr::AtLeast(_, parts) => {
                let each = parts.iter().map(|part| self.estimate(part));
                let (none, cost) =
                    each.fold((1.0, 0.0), |(p, cost), (q, more)| (p * (1.0 - q), cost + p * more));
                (1.0 - none, cost)
            }
            Expr::Not(part) => {
                let (chance, cost) = self.estimate(part);
                (1.0 - chance, cost)
            }
        }
    }

    /// Puts the parts of every conjunction and disjunction into the order that decides soonest.
    pub(crate) fn order(&self, expr: &mut Expr) {
        match expr {
            Expr::Bit(_) | Expr::Late(_) => {}
            Expr::Not(part) => self.order(part),
            Expr::AtLeast(_, parts) => parts.iter_mut().for_each(|part| self.order(part)),
            Expr::All(parts) => {
                parts.iter_mut().for_each(|part| self.order(part));
                self.sort(parts, |chance| 1.0 - chance);
            }
            Expr::Any(parts) => {
                parts.iter_mut().for_each(|part| self.order(part));
                self.sort(parts, |chance| chance);
            }
        }
    }

    fn sort(&self, parts: &mut Vec<Expr>, decides: impl Fn(f64) -> f64) {
        let mut keyed: Vec<(f64, Expr)> = parts
            .drain(..)
            .map(|part| {
                let (chance, cost) = self.estimate(&part);
                (cost / decides(chance).max(1e-6), part)
            })
            .collect();
        keyed.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        parts.extend(keyed.into_iter().map(|(_, part)| part));
    }

    /// Atoms of which one holds whenever `expr` does, and their price; `None` if it can hold with
    /// none.
    pub(crate) fn guard(&self, expr: &Expr) -> Option<(Vec<Atom>, f64)> {
        match expr {
            Expr::Bit(bit) => Some((vec![Atom::Bit(*bit)], self.price(*bit))),
            Expr::Late(number) => {
                let late = &self.lates[*number as usize];
                if !late.armed.is_empty() {
                    let chance = late.armed.iter().map(|bit| self.price(*bit)).sum();
                    let atoms = late.armed.iter().map(|bit| Atom::Bit(*bit));
                    return Some((atoms.collect(), chance));
                }
                match late.test {
                    LateTest::Null | LateTest::Exists => None,
                    // Every record has texts, and no scan says so.
                    _ if late.field.is_keywords() => None,
                    _ => present(late.field),
                }
            }
            Expr::All(parts) => self.guard_of_all(parts).map(|(_, guard)| guard),
            Expr::Any(parts) => self.guard_of_one(parts),
            Expr::AtLeast(n, parts) if *n <= parts.len() => self.guard_of_one(parts),
            Expr::AtLeast(..) => Some((Vec::new(), 0.0)),
            Expr::Not(part) => self.guard_of_not(part),
        }
    }

    /// What a bit in a guard costs every record: that it wakes the rule, and that its texts are
    /// looked for, in chances.
    fn price(&self, bit: Bit) -> f64 {
        let texts = match &self.bits[bit as usize].literal {
            Literal::OneOf(members) => members.len(),
            _ => 1,
        };
        self.chance(bit) + TEXT_PRICE * texts as f64
    }

    /// The guard of what holds when `part` does not.
    fn guard_of_not(&self, part: &Expr) -> Option<(Vec<Atom>, f64)> {
        match part {
            Expr::Not(part) => self.guard(part),
            Expr::Any(parts) => {
                let guards = parts.iter().filter_map(|part| self.guard_of_not(part));
                guards.min_by(|(_, a), (_, b)| a.total_cmp(b))
            }
            // What is not null need not have a value: an object is there by what is in it.
            Expr::Bit(_) | Expr::Late(_) | Expr::All(_) | Expr::AtLeast(..) => None,
        }
    }

    /// The rarest guard of `parts`, and which of them has it.
    fn guard_of_all(&self, parts: &[Expr]) -> Option<(usize, (Vec<Atom>, f64))> {
        let guards = (0..).zip(parts).filter_map(|(at, part)| Some((at, self.guard(part)?)));
        guards.min_by(|(_, (_, a)), (_, (_, b))| a.total_cmp(b))
    }

    fn guard_of_one(&self, parts: &[Expr]) -> Option<(Vec<Atom>, f64)> {
        let mut all = (Vec::new(), 0.0);
        for part in parts {
            let (atoms, chance) = self.guard(part)?;
            all.0.extend(atoms);
            all.1 += chance;
        }
        all.0.sort_unstable();
        all.0.dedup();
        Some(all)
    }

    /// Appends the program of a rule that is looked at only when its [guard](Builder::guard) has
    /// been hit, which therefore does not ask for that again; gives back where it begins.
    pub(crate) fn emit_guarded(&mut self, expr: &Expr) -> u32 {
        if is_its_guard(expr) {
            return MATCH;
        }
        if let Expr::All(parts) = expr
            && let Some((at, _)) = self.guard_of_all(parts)
            && is_its_guard(&parts[at])
        {
            let rest = parts.iter().enumerate().filter(|(own, _)| *own != at);
            let rest: Vec<Expr> = rest.map(|(_, part)| part.clone()).collect();
            return self.emit(&Expr::All(rest), MATCH, NO_MATCH);
        }
        self.emit(expr, MATCH, NO_MATCH)
    }

    /// Appends the program of `expr` and gives back where it begins.
    pub(crate) fn emit(&mut self, expr: &Expr, yes: u32, no: u32) -> u32 {
        match expr {
            Expr::Bit(bit) => {
                let field = self.bits[*bit as usize].field;
                self.step(Step { test: StepTest::Bit, field, arg: *bit, yes, no })
            }
            Expr::Late(late) => {
                let field = self.lates[*late as usize].field;
                self.step(Step { test: StepTest::Late, field, arg: *late, yes, no })
            }
            Expr::Not(part) => self.emit(part, no, yes),
            Expr::All(parts) => self.emit_run(parts, StepTest::AllOf, yes, no),
            Expr::Any(parts) => self.emit_run(parts, StepTest::OneOf, yes, no),
            Expr::AtLeast(n, parts) if *n > parts.len() => no,
            Expr::AtLeast(n, parts) => {
                // `then[k]`: where to go on when `k` more must hold among the parts that follow.
                let mut then = vec![no; n + 1];
                then[0] = yes;
                for part in parts.iter().rev() {
                    for k in (1..=*n).rev() {
                        then[k] = self.emit(part, then[k - 1], then[k]);
                    }
                }
                then[*n]
            }
        }
    }

    /// A conjunction (`AllOf`) or disjunction (`OneOf`), bits of a field that stand beside each
    /// other as one step.
    fn emit_run(&mut self, parts: &[Expr], join: StepTest, yes: u32, no: u32) -> u32 {
        let mut next = match join {
            StepTest::AllOf => yes,
            _ => no,
        };
        let mut end = parts.len();
        while end > 0 {
            let field = |expr: &Expr| match expr {
                Expr::Bit(bit) => Some(self.bits[*bit as usize].field),
                _ => None,
            };
            let last = field(&parts[end - 1]);
            let alike = |part: &&Expr| last.is_some() && field(part) == last;
            let run = parts[..end].iter().rev().take_while(alike).count().max(1);
            let (then, otherwise) = match join {
                StepTest::AllOf => (next, no),
                _ => (yes, next),
            };
            next = match (run, last) {
                (2.., Some(field)) => {
                    let arg = self.lists.len() as u32;
                    self.lists.push(run as u32);
                    for part in &parts[end - run..end] {
                        let Expr::Bit(bit) = part else { unreachable!("only bits have fields") };
                        self.lists.push(*bit);
                    }
                    self.step(Step { test: join, field, arg, yes: then, no: otherwise })
                }
                _ => self.emit(&parts[end - 1], then, otherwise),
            };
            end -= run;
        }
        next
    }

    fn step(&mut self, step: Step) -> u32 {
        self.steps.push(step);
        self.steps.len() as u32 - 1
    }
}

/// Whether it holds whenever an atom of its guard does.
fn is_its_guard(expr: &Expr) -> bool {
    match expr {
        Expr::Bit(_) => true,
        Expr::Any(parts) => !parts.is_empty() && parts.iter().all(is_its_guard),
        _ => false,
    }
}

fn one_or(mut parts: Vec<Expr>, join: impl FnOnce(Vec<Expr>) -> Expr) -> Expr {
    match parts.len() {
        1 => parts.remove(0),
        _ => join(parts),
    }
}
