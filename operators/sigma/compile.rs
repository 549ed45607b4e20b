//! Many rules compiled into one structure that is shared and never changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::correlation::{self, Correlation, Target};
use super::detection::Test;
use super::diagnose::{Diagnostic, Fault, Gravity};
use super::filter::{Filter, Rules};
use super::logsource::{LogSource, View, Views};
use super::lower::{Lower, Number};
pub use super::program::FieldId;
use super::program::{Atom, Bit, BitInfo, Builder, Expr, Late, LateTest, Literal, Step, StepTest};
use super::regex::Regex;
use super::rule::{Document, Parsed, Rule};
use super::scan::{Fields, Mark, PASSED, Scan};
use crate::types::hash::Map;

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

/// Of fewer texts no part is told that would be common.
const COMMON_TEXTS_MIN: u32 = 16;

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
        let mut report = Report::default();
        let mut rules = Vec::new();
        let mut correlations = Vec::new();
        let mut filters = Vec::new();
        for file in files {
            let errors = file.diagnostics.iter().filter(|said| said.gravity == Gravity::Error);
            report.refused += errors.count();
            report.diagnostics.extend(file.diagnostics);
            for document in file.documents {
                match document {
                    Document::Rule(rule) => rules.push(*rule),
                    Document::Correlation(correlation) => correlations.push(*correlation),
                    Document::Filter(filter) => filters.push(*filter),
                }
            }
        }
        let mut compiler = Compiler { report, options, set: RuleSet::default() };
        let rules = compiler.admit(rules);
        let rules = compiler.filter(rules, filters);
        compiler.lower(rules);
        compiler.correlate(correlations);
        let Compiler { mut report, set, .. } = compiler;
        report.rules = set.rules.len();
        report.correlations = set.correlations.len();
        report.diagnostics.sort();
        (set, report)
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

struct Compiler<'a> {
    report: Report,
    options: &'a Options,
    set: RuleSet,
}

impl Compiler<'_> {
    fn say(&mut self, file: &Arc<str>, title: &str, gravity: Gravity, fault: Fault) {
        if gravity == Gravity::Error {
            self.report.refused += 1;
        }
        self.report.diagnostics.push(fault.diagnostic(file, Some(title), gravity));
    }

    fn refuse(&mut self, rule: &Rule, fault: Fault) {
        self.say(&rule.meta.file, &rule.meta.title, Gravity::Error, fault);
    }

    /// The rules that can be used: each id once, placeholders replaced.
    fn admit(&mut self, rules: Vec<Rule>) -> Vec<Rule> {
        let mut admitted: Vec<Rule> = Vec::with_capacity(rules.len());
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        for mut rule in rules {
            let taken = rule.meta.references_to_it().find_map(|name| names.get(name));
            if let Some(first) = taken {
                let first = &admitted[*first].meta;
                let reason = format!(
                    "its id or name is that of {:?} in {}:{}, which counts",
                    first.title, first.file, first.at.line
                );
                let fault = Fault::new(rule.meta.at, "duplicate-id", reason);
                self.refuse(&rule, fault);
                continue;
            }
            if admitted.len() == RULES_MAX {
                let reason = format!("more than {RULES_MAX} rules");
                let fault = Fault::new(rule.meta.at, "too-many-rules", reason);
                self.refuse(&rule, fault);
                continue;
            }
            if let Err(fault) = self.expand(&mut rule) {
                self.refuse(&rule, fault);
                continue;
            }
            for name in rule.meta.references_to_it() {
                names.insert(name.to_owned(), admitted.len());
            }
            admitted.push(rule);
        }
        admitted
    }

    /// Replaces the placeholders of a rule.
    fn expand(&self, rule: &mut Rule) -> Result<(), Fault> {
        let values = |name: &str| self.options.placeholders.get(name).map(Vec::as_slice);
        let mut fault = None;
        for selection in &mut rule.detection.selections {
            selection.search.items_mut(&mut |item| {
                let wants = |test: &Test| match test {
                    Test::Text { pattern, .. } => pattern.has_placeholders(),
                    _ => false,
                };
                if !item.values.iter().any(|value| wants(&value.test)) {
                    return;
                }
                for value in std::mem::take(&mut item.values) {
                    let Test::Text { pattern, cased } = &value.test else {
                        item.values.push(value);
                        continue;
                    };
                    match pattern.expand(value.at, values) {
                        Ok(patterns) => item.values.extend(patterns.into_iter().map(|pattern| {
                            let test = Test::Text { pattern, cased: *cased };
                            super::detection::Value { at: value.at, test }
                        })),
                        Err(error) => fault = fault.take().or(Some(error)),
                    }
                }
            });
        }
        match fault {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }

    /// Adds the filters to the rules that they name.
    fn filter(&mut self, mut rules: Vec<Rule>, filters: Vec<Filter>) -> Vec<Rule> {
        for (number, filter) in filters.into_iter().enumerate() {
            let (file, title) = (Arc::clone(&filter.meta.file), filter.meta.title.clone());
            if number >= FILTERS_MAX {
                let reason = format!("more than {FILTERS_MAX} filters");
                let fault = Fault::new(filter.meta.at, "too-many-filters", reason);
                self.say(&file, &title, Gravity::Error, fault);
                continue;
            }
            let mut used = false;
            let mut unknown = match &filter.rules {
                Rules::Any => Vec::new(),
                Rules::Named(names) => names.clone(),
            };
            for rule in &mut rules {
                let named = match &filter.rules {
                    Rules::Any => true,
                    Rules::Named(names) => names.iter().any(|name| rule.meta.is_called(name)),
                };
                if !named {
                    continue;
                }
                unknown.retain(|name| !rule.meta.is_called(name));
                if filter.covers(rule) {
                    filter.add_to(rule, number + 1);
                    used = true;
                } else if filter.rules != Rules::Any {
                    let reason = format!(
                        "the rule {:?} is for {}, which this filter is not",
                        rule.meta.title, rule.logsource
                    );
                    let fault = Fault::new(filter.rules_at, "filter-logsource", reason);
                    self.report.diagnostics.push(fault.diagnostic(
                        &file,
                        Some(&title),
                        Gravity::Warning,
                    ));
                }
            }
            self.report.filters += usize::from(used);
            for name in unknown {
                let reason = format!("no loaded rule is called `{name}`");
                let fault = Fault::new(filter.rules_at, "unknown-rule", reason);
                self.say(&file, &title, Gravity::Warning, fault);
            }
        }
        rules
    }

    /// Turns rules into programs, chooses their guards, and builds the scans.
    fn lower(&mut self, rules: Vec<Rule>) {
        let mut builder = Builder::default();
        let mut exprs: Vec<Expr> = Vec::with_capacity(rules.len());
        for rule in rules {
            let mut lower = Lower { builder: &mut builder, fields: &mut self.set.fields };
            let detection = &rule.detection;
            let selections: Vec<Expr> =
                detection.selections.iter().map(|one| lower.search(&one.search)).collect();
            let Some(expr) = lower.condition(&detection.condition, &selections, STEPS_MAX) else {
                let reason = format!("the condition needs more than {STEPS_MAX} steps");
                let fault = Fault::new(rule.meta.at, "too-large", reason);
                self.refuse(&rule, fault);
                continue;
            };
            let wanted = self.set.views.want(&rule.logsource);
            let full = self.set.fields.list.len() > FIELDS_MAX
                || builder.bits.len() + self.set.fields.list.len() >= Mark::BITS_MAX;
            let (Some(source), false) = (wanted, full) else {
                let reason = "too many different fields, values or log sources";
                let fault = Fault::new(rule.meta.at, "too-many-fields", reason);
                self.refuse(&rule, fault);
                continue;
            };
            let index = RuleIndex(self.set.rules.len() as u32);
            for name in rule.meta.references_to_it() {
                self.set.names.insert(name.to_owned(), index);
            }
            self.set.sources.push(source);
            self.set.rules.push(rule);
            exprs.push(expr);
        }
        self.set.keywords = count_uses(&mut builder, &exprs);
        let unscanned = exprs.iter().map(|expr| has_unscanned_keywords(&builder, expr));
        self.set.unscanned = unscanned.collect();
        count_common(&mut builder, self.set.fields.list.len());
        for expr in &mut exprs {
            builder.order(expr);
            let guard = guard_of(&mut builder, expr);
            self.set.guards.push(guard);
            let entry = builder.emit_guarded(expr);
            self.set.entries.push(entry);
        }
        self.finish(builder);
    }

    fn finish(&mut self, builder: Builder) {
        let set = &mut self.set;
        let mut wakes: Vec<Vec<u32>> = vec![Vec::new(); builder.bits.len()];
        for (rule, guard) in set.guards.iter().enumerate() {
            guard.bits.iter().for_each(|bit| wakes[*bit as usize].push(rule as u32));
        }
        let mut member_of: Vec<Vec<u32>> = vec![Vec::new(); builder.bits.len()];
        for (list, info) in builder.bits.iter().enumerate() {
            if let Literal::OneOf(members) = &info.literal {
                // Lists are members of none.
                let mark = Mark::new(list as u32, false, !wakes[list].is_empty());
                members.iter().for_each(|bit| member_of[*bit as usize].push(mark.packed()));
            }
        }
        set.member_of = Rows::new(&member_of);
        set.wakes = Rows::new(&wakes);
        let all = (0..).zip(&builder.bits);
        let (keywords, others): (Vec<_>, Vec<_>) =
            all.partition(|(_, info)| info.field.is_keywords());
        set.scans = Scan::of_fields(others.into_iter(), set.fields.list.len(), |bit| set.mark(bit));
        set.keyword_bits = keywords.into_iter().map(|(bit, info)| (bit, info.clone())).collect();
        self.report.literals = builder.bits.len();
        self.report.scan_bytes = set.scans.iter().map(Scan::bytes).sum();
        set.steps = builder.steps;
        set.lists = builder.lists;
        set.lates = builder.lates;
        set.asked_bits = asked_bits(set, builder.bits.len());
        set.regexes = builder.regexes;
    }

    fn correlate(&mut self, mut correlations: Vec<Correlation>) {
        for extra in correlations.drain(correlations.len().min(correlation::CORRELATIONS_MAX)..) {
            let reason = format!("more than {} correlations", correlation::CORRELATIONS_MAX);
            let fault = Fault::new(extra.meta.at, "too-many-rules", reason);
            let diagnostic =
                fault.diagnostic(&extra.meta.file, Some(&extra.meta.title), Gravity::Error);
            self.report.diagnostics.push(diagnostic);
            self.report.refused += 1;
        }
        let find = |reference: &str| self.set.find(reference).map(|index| index.0);
        let (usable, faults) = correlation::resolve(&correlations, find);
        for (i, fault) in faults {
            let meta = correlations[i].meta.clone();
            self.say(&meta.file, &meta.title, Gravity::Error, fault);
        }
        let mut used = vec![false; self.set.rules.len()];
        let mut loud = vec![false; self.set.rules.len()];
        let mut slots: Vec<Option<Correlation>> = correlations.into_iter().map(Some).collect();
        for (i, targets) in usable {
            let correlation = slots[i].take().expect("each is used once");
            for target in &targets {
                if let Target::Rule(rule) = target {
                    used[*rule as usize] = true;
                    loud[*rule as usize] |= correlation.generate;
                }
            }
            self.set.correlations.push(Resolved { correlation, targets });
        }
        self.set.silent = used.iter().zip(&loud).map(|(used, loud)| *used && !loud).collect();
        let set = &mut self.set;
        for resolved in &set.correlations {
            for field in resolved.correlation.fields() {
                if set.fields.list.len() <= FIELDS_MAX {
                    set.fields.number(field);
                }
            }
        }
        while set.scans.len() < set.fields.list.len() {
            set.scans.push(Scan::default());
        }
        set.note_asked();
    }
}

/// The bits that programs and guards ask, of so many.
fn asked_bits(set: &RuleSet, bits: usize) -> Vec<u64> {
    let mut asked = vec![0u64; bits.div_ceil(64)];
    let mut ask = |bit: Bit| asked[bit as usize / 64] |= 1 << (bit % 64);
    for step in &set.steps {
        match step.test {
            StepTest::Bit => ask(step.arg),
            StepTest::OneOf | StepTest::AllOf => {
                let start = step.arg as usize + 1;
                let len = set.lists[step.arg as usize] as usize;
                set.lists[start..start + len].iter().for_each(|bit| ask(*bit));
            }
            StepTest::Late => {}
        }
    }
    set.lates.iter().flat_map(|late| &late.armed).for_each(|bit| ask(*bit));
    set.guards.iter().flat_map(|guard| &guard.bits).for_each(|bit| ask(*bit));
    asked
}

/// Counts by how many rules each bit is asked. Gives back the keywords that each rule asks.
fn count_uses(builder: &mut Builder, exprs: &[Expr]) -> Vec<Vec<Bit>> {
    let mut seen_by = vec![u32::MAX; builder.bits.len()];
    let mut keywords = Vec::with_capacity(exprs.len());
    for (rule, expr) in exprs.iter().enumerate() {
        let rule = rule as u32;
        let mut own = Vec::new();
        let mut asked: Vec<Bit> = Vec::new();
        expr.leaves(&mut |leaf| match leaf {
            Expr::Bit(bit) => asked.push(*bit),
            Expr::Late(late) => asked.extend(&builder.lates[*late as usize].armed),
            _ => {}
        });
        let mut next = 0;
        while next < asked.len() {
            let bit = asked[next];
            next += 1;
            if std::mem::replace(&mut seen_by[bit as usize], rule) == rule {
                continue;
            }
            let info = &mut builder.bits[bit as usize];
            if let Literal::OneOf(members) = &info.literal {
                asked.extend(members);
            }
            if info.field.is_keywords() {
                own.push(bit);
            }
            info.uses += 1;
        }
        keywords.push(own);
    }
    keywords
}

/// Whether a test is run on all texts of a record, whatever their scan has found.
fn has_unscanned_keywords(builder: &Builder, expr: &Expr) -> bool {
    let mut has = false;
    expr.leaves(&mut |leaf| {
        if let Expr::Late(late) = leaf {
            let late = &builder.lates[*late as usize];
            has |= late.field.is_keywords() && late.armed.is_empty();
        }
    });
    has
}

/// Finds out in how many of the texts that are looked for in a field each of them would be found.
fn count_common(builder: &mut Builder, fields: usize) {
    let all = (0..).zip(&builder.bits);
    let scans = Scan::of_fields(all, fields, |bit| Mark::new(bit, false, false));
    let mut found_in = vec![0u32; builder.bits.len()];
    let mut last = vec![Bit::MAX; builder.bits.len()];
    let mut texts = vec![0u32; fields];
    let mut passed = PASSED;
    for (bit, info) in builder.bits.iter().enumerate() {
        let Some(text) = info.literal.text() else { continue };
        texts[info.field.index()] += 1;
        scans[info.field.index()].scan(text.as_bytes(), &mut passed, |mark| {
            let found = mark.bit() as usize;
            if found != bit && last[found] != bit as Bit {
                last[found] = bit as Bit;
                found_in[found] += 1;
            }
        });
    }
    for (info, found_in) in builder.bits.iter_mut().zip(found_in) {
        let texts = texts[info.field.index()].max(COMMON_TEXTS_MIN);
        info.common = f64::from(found_in) / f64::from(texts);
    }
}

fn guard_of(builder: &mut Builder, expr: &Expr) -> Guard {
    let Some((atoms, _)) = builder.guard(expr) else {
        return Guard { always: true, ..Guard::default() };
    };
    let bits: Vec<Bit> = atoms
        .into_iter()
        .map(|atom| match atom {
            Atom::Bit(bit) => bit,
            Atom::Present(field) => builder.bit(field, Literal::Present),
        })
        .collect();
    let mut fields: Vec<FieldId> =
        bits.iter().map(|bit| builder.bits[*bit as usize].field).collect();
    fields.sort_unstable();
    fields.dedup();
    Guard { bits, fields, always: false }
}
