//! Many rules compiled into one structure that is shared and never changes.

use std::collections::BTreeMap;

use super::correlation::{Correlation, Target};
use super::diagnose::Diagnostic;
use super::logsource::{LogSource, View, Views};
use super::lower::Number;
pub use super::program::FieldId;
use super::program::{Bit, BitInfo, Late, LateTest, Step};
use super::regex::Regex;
use super::rule::{Parsed, Rule};
use super::scan::{Fields, Mark, Scan};
use crate::types::hash::Map;

mod compiler;

/// The most rules of a set.
pub const RULES_MAX: usize = 100_000;
/// The most filters of a set.
pub const FILTERS_MAX: usize = 10_000;
/// The most fields that the rules of a set may ask for.
pub const FIELDS_MAX: usize = 60_000;
/// The largest program of one rule, in steps.
pub const STEPS_MAX: usize = 1 << 18;

/// Of how many texts in all a field may be brief.
const BRIEF_TEXTS_MAX: usize = 24;

/// What a rule set is compiled with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The values of placeholders, by name without the percent signs.
    pub placeholders: BTreeMap<String, Vec<String>>,
}

/// The number of a rule in its set. Rules are numbered in the order in which they were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleIndex(pub u32);

/// A correlation that can be used.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The document.
    pub correlation: Correlation,
    /// For each of its `rules`, what is meant.
    pub targets: Vec<Target>,
}

/// What became of the documents.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// All that there is to say, file by file.
    pub diagnostics: Vec<Diagnostic>,
    /// How many rules are in use.
    pub rules: usize,
    /// How many correlations are in use.
    pub correlations: usize,
    /// How many filters were added to at least one rule.
    pub filters: usize,
    /// How many documents are not used because of an error.
    pub refused: usize,
    /// How many different literals and lists of literals are looked for.
    pub literals: usize,
    /// What the tables of them take, in bytes.
    pub scan_bytes: usize,
}

/// What must be hit before a rule is looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    pub(crate) bits: Vec<Bit>,
    /// The fields of those bits; their values are scanned for every record of the log source.
    pub(crate) fields: Vec<FieldId>,
    /// There is no such thing: the rule is tried on every record of its log source.
    pub(crate) always: bool,
}

/// A compiled set of rules. Immutable; share it by `Arc`, and give each worker a
/// [`Matcher`](super::Matcher).
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    correlations: Vec<Resolved>,
    names: BTreeMap<String, RuleIndex>,
    /// For each rule, whether only correlations are told of its matches.
    silent: Vec<bool>,
    fields: FieldTable,
    views: Views,
    /// For each rule, the number of its log source in `views`.
    pub(crate) sources: Vec<u16>,
    /// For each log source, the fields that its rules ask for.
    pub(crate) asked: Vec<Fields>,
    /// The fields that lie inside of others, as `a.b` in `a`.
    inner: Fields,
    /// The fields whose values count by a few texts that are scanned for, and by nothing else.
    pub(crate) brief: Fields,
    /// For each rule, whether it tests texts for keywords without a scan that says where.
    unscanned: Vec<bool>,
    pub(crate) guards: Vec<Guard>,
    /// For each rule, where its program begins.
    pub(crate) entries: Vec<u32>,
    pub(crate) steps: Vec<Step>,
    pub(crate) lists: Vec<Bit>,
    pub(crate) lates: Vec<Late>,
    pub(crate) regexes: Vec<Regex>,
    /// What is looked for in each field; keywords are not among it.
    pub(crate) scans: Vec<Scan>,
    /// The bits of keywords, and for each rule those that it asks.
    pub(crate) keyword_bits: BTreeMap<Bit, BitInfo>,
    pub(crate) keywords: Vec<Vec<Bit>>,
    /// For each bit, the lists that it is a member of, as packed [`Mark`]s.
    member_of: Rows,
    /// The bits that a program or a guard asks itself, and not only by a list.
    asked_bits: Vec<u64>,
    /// For each bit, the rules that it wakes.
    pub(crate) wakes: Rows,
}

/// Rows of numbers of different lengths, in one piece.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    starts: Vec<u32>,
    items: Vec<u32>,
}

impl Rows {
    fn new(rows: &[Vec<u32>]) -> Self {
        let mut all = Rows { starts: vec![0], items: Vec::new() };
        for row in rows {
            all.items.extend(row);
            all.starts.push(all.items.len() as u32);
        }
        all
    }

    #[inline]
    pub(crate) fn row(&self, row: usize) -> &[u32] {
        &self.items[self.starts[row] as usize..self.starts[row + 1] as usize]
    }

    fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }
}

/// The fields that rules ask for.
#[derive(Clone, Debug)]
pub(crate) struct FieldTable {
    names: Map<Box<str>, FieldId>,
    list: Vec<Box<str>>,
}

impl Default for FieldTable {
    fn default() -> Self {
        FieldTable { names: Map::default(), list: vec!["".into(); FieldId::RESERVED] }
    }
}

impl FieldTable {
    /// Whether a field is known inside of which one of this name lies.
    fn has_around(&self, name: &str) -> bool {
        let dots = memchr::memchr_iter(b'.', name.as_bytes());
        dots.into_iter().any(|at| self.names.contains_key(&name[..at]))
    }
}

impl Number for FieldTable {
    fn number(&mut self, field: &str) -> FieldId {
        if let Some(known) = self.names.get(field) {
            return *known;
        }
        let number = FieldId(self.list.len() as u16);
        self.list.push(field.into());
        self.names.insert(field.into(), number);
        number
    }
}

impl RuleSet {
    /// Compiles documents, in this order; files should be sorted by path.
    ///
    /// What can not be used is in the report and not in the set. Of rules with the same id the
    /// first counts.
    #[must_use]
    pub fn compile(files: Vec<Parsed>, options: &Options) -> (RuleSet, Report) {
        compiler::compile(files, options)
    }

    /// A set without rules that tells these log sources apart, as far as there is room for them:
    /// to name the views of a record.
    #[must_use]
    pub fn of_log_sources(sources: &[LogSource]) -> RuleSet {
        let mut set = RuleSet::default();
        for source in sources {
            set.views.want(source);
        }
        set
    }

    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules, in the order of their numbers.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// A rule.
    #[must_use]
    pub fn rule(&self, index: RuleIndex) -> &Rule {
        &self.rules[index.0 as usize]
    }

    /// The rule with that id or name.
    #[must_use]
    pub fn find(&self, reference: &str) -> Option<RuleIndex> {
        let exact = self.names.get(reference).copied();
        exact.or_else(|| self.names.get(&reference.to_ascii_lowercase()).copied())
    }

    /// Whether a match is only for correlations and no alert of its own: a correlation refers to
    /// the rule, and none that does says `generate: true`.
    #[must_use]
    pub fn is_silent(&self, index: RuleIndex) -> bool {
        self.silent[index.0 as usize]
    }

    /// The correlations; each follows those that it refers to.
    #[must_use]
    pub fn correlations(&self) -> &[Resolved] {
        &self.correlations
    }

    /// The number of a field; [`FieldId::UNKNOWN`] or [`FieldId::INNER`] if no rule asks for it.
    #[must_use]
    pub fn field(&self, name: &str) -> FieldId {
        match self.fields.names.get(name) {
            Some(known) => *known,
            None if self.fields.has_around(name) => FieldId::INNER,
            None => FieldId::UNKNOWN,
        }
    }

    /// The fields that the rules for some log sources ask for; `None` if that is not all that they
    /// go by besides keywords that are scanned for, or if they ask for none.
    pub(crate) fn asked_for(&self, satisfied: &[bool]) -> Option<Fields> {
        let is_for = |rule: &usize| satisfied[usize::from(self.sources[*rule])];
        if (0..self.len()).filter(is_for).any(|rule| self.unscanned[rule]) {
            return None;
        }
        let mut all = Fields::none(self.field_count());
        for (asked, _) in self.asked.iter().zip(satisfied).filter(|(_, is)| **is) {
            all.0.iter_mut().zip(&asked.0).for_each(|(word, more)| *word |= more);
        }
        all.0.iter().any(|word| *word != 0).then_some(all)
    }

    /// Whether a field lies inside of one that a rule asks for.
    #[inline]
    pub(crate) fn is_inner(&self, field: FieldId) -> bool {
        field == FieldId::INNER || self.inner.has(field)
    }

    /// The names of all fields that rules ask for.
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        self.fields.list.iter().skip(FieldId::RESERVED).map(AsRef::as_ref)
    }

    /// A view, in the numbers of this set.
    #[must_use]
    pub fn view(&self, source: &LogSource) -> View {
        self.views.view(source)
    }

    /// The log sources that rules ask for, each once.
    #[must_use]
    pub fn log_sources(&self) -> &[LogSource] {
        self.views.sources()
    }

    /// Whether a rule is for records with these views.
    #[must_use]
    pub fn applies(&self, index: RuleIndex, views: &[View]) -> bool {
        let source = usize::from(self.sources[index.0 as usize]);
        self.views.satisfied(views)[source]
    }

    /// For each log source that rules ask for, whether one of `views` satisfies it.
    pub(crate) fn satisfied(&self, views: &[View]) -> Vec<bool> {
        self.views.satisfied(views)
    }

    pub(crate) fn field_count(&self) -> usize {
        self.fields.list.len()
    }

    pub(crate) fn bit_count(&self) -> usize {
        self.wakes.len()
    }

    /// The lists that a bit is a member of.
    #[inline]
    pub(crate) fn lists_of(&self, bit: Bit) -> impl Iterator<Item = Mark> {
        self.member_of.row(bit as usize).iter().map(|packed| Mark::unpacked(*packed))
    }

    /// Whether anything but a list depends on a bit.
    pub(crate) fn asks(&self, bit: Bit) -> bool {
        self.asked_bits[bit as usize / 64] >> (bit % 64) & 1 != 0
    }

    /// A bit and what follows from it.
    fn mark(&self, bit: Bit) -> Mark {
        let (lists, rules) = (self.member_of.row(bit as usize), self.wakes.row(bit as usize));
        Mark::new(bit, !lists.is_empty(), !rules.is_empty())
    }

    /// The scans for those keywords that some of the rules ask, one for each of
    /// [`FieldId::ALL_KEYWORDS`]; none where no rule asks for any.
    pub(crate) fn keyword_scans(&self, rules: impl Iterator<Item = usize>) -> Vec<Scan> {
        let mut bits: Vec<Bit> = rules.flat_map(|rule| &self.keywords[rule]).copied().collect();
        bits.sort_unstable();
        bits.dedup();
        let infos = bits.iter().map(|bit| (*bit, &self.keyword_bits[bit]));
        match bits.is_empty() {
            true => Vec::new(),
            false => Scan::of_fields(infos, FieldId::RESERVED, |bit| self.mark(bit)),
        }
    }

    /// Notes which fields the rules of each log source ask for, now that all have numbers.
    fn note_asked(&mut self) {
        let count = self.fields.list.len();
        self.asked = vec![Fields::none(count); self.views.sources().len()];
        for (rule, source) in self.rules.iter().zip(&self.sources) {
            let asked = &mut self.asked[usize::from(*source)];
            for selection in &rule.detection.selections {
                selection.search.each_field(&mut |field, _| {
                    asked.add(self.fields.names[field]);
                });
            }
        }
        self.brief = Fields::none(count);
        for (number, scan) in self.scans.iter().enumerate() {
            if scan.texts() <= BRIEF_TEXTS_MAX {
                self.brief.add(FieldId(number as u16));
            }
        }
        for late in &self.lates {
            match late.test {
                LateTest::Null | LateTest::Exists => continue,
                LateTest::Field(other, _) => self.brief.remove(other),
                _ => {}
            }
            self.brief.remove(late.field);
        }
        self.inner = Fields::none(count);
        for (number, name) in self.fields.list.iter().enumerate() {
            if self.fields.has_around(name) {
                self.inner.add(FieldId(number as u16));
            }
        }
    }

    pub(crate) fn field_name(&self, field: FieldId) -> &str {
        &self.fields.list[field.index()]
    }
}
