//! From documents to a set: what is admitted, its programs and guards, and its scans.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::correlation::{self, Correlation, Target};
use super::super::detection::{Detection, Test, Value};
use super::super::diagnose::{Fault, Gravity};
use super::super::filter::{Filter, Rules};
use super::super::lower::{Lower, Number};
use super::super::program::{Atom, Bit, Builder, Expr, Literal, StepTest};
use super::super::rule::{Document, Parsed, Rule};
use super::super::scan::{Mark, PASSED, Scan};
use super::{
    FIELDS_MAX, FILTERS_MAX, FieldId, Guard, Options, RULES_MAX, Report, Resolved, Rows, RuleIndex,
    RuleSet, STEPS_MAX,
};

/// Of fewer texts no part is told that would be common.
const COMMON_TEXTS_MIN: u32 = 16;

/// See [`RuleSet::compile`].
pub(super) fn compile(files: Vec<Parsed>, options: &Options) -> (RuleSet, Report) {
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
            if let Err(fault) = self.expand(&mut rule.detection) {
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

    /// Replaces the placeholders of a rule or a filter.
    fn expand(&self, detection: &mut Detection) -> Result<(), Fault> {
        let values = |name: &str| self.options.placeholders.get(name).map(Vec::as_slice);
        let mut fault = None;
        for selection in &mut detection.selections {
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
                            Value { at: value.at, test }
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
        for (number, mut filter) in filters.into_iter().enumerate() {
            let (file, title) = (Arc::clone(&filter.meta.file), filter.meta.title.clone());
            if number >= FILTERS_MAX {
                let reason = format!("more than {FILTERS_MAX} filters");
                let fault = Fault::new(filter.meta.at, "too-many-filters", reason);
                self.say(&file, &title, Gravity::Error, fault);
                continue;
            }
            if let Err(fault) = self.expand(&mut filter.detection) {
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
