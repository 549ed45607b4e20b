//! What the correlations of a rule set ask of records and of each other, worked out once.

use std::sync::Arc;

use crate::sigma::condition::Condition;
use crate::sigma::correlation::{Firing, Kind, Target};
use crate::sigma::finding::identity;
use crate::sigma::{Active, FieldId, Resolved, RuleIndex, RuleSet};
use crate::types::Span;
use crate::types::hash::{Map, mix, stable};

/// What all correlations of a rule set ask.
#[derive(Debug)]
pub struct Plan {
    /// The rules.
    pub active: Arc<Active>,
    /// What each asks, by its number.
    pub asks: Vec<Ask>,
    /// For each rule, who asks for its matches.
    of_rule: Vec<Vec<Feed>>,
    /// For each correlation, who asks for its firings.
    of_correlation: Vec<Vec<Feed>>,
    by_print: Map<u64, u32>,
}

/// A correlation that asks for something, and which of its rules that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Feed {
    /// The correlation's number.
    pub correlation: u32,
    /// The place among its rules.
    pub place: u16,
}

/// What one correlation asks.
#[derive(Clone, Debug)]
pub struct Ask {
    /// A hash of all that decides what it computes. What is remembered is remembered under it: a
    /// correlation that is written otherwise starts anew, and one that stays as it is goes on,
    /// whatever number it has.
    pub print: u64,
    /// 0 if it asks for rules only, else one more than the highest that it asks for.
    pub level: u8,
    /// What it computes.
    pub kind: Kind,
    /// How far matches may lie apart.
    pub timespan: Span,
    /// When it fires.
    pub firing: Firing,
    /// How many rules it names.
    pub places: usize,
    /// The rules that an extended condition wants to match, in order.
    pub steps: Vec<usize>,
    /// For each place, where the values of the group are; `None` if they are nowhere.
    pub group: Vec<Option<Vec<Reading>>>,
    /// For each place, where the values are that are computed with.
    pub value: Vec<Option<Vec<Reading>>>,
    /// Whether other correlations are told of it, and nobody else.
    pub silent: bool,
    /// Whether other correlations are told of it.
    pub feeds: bool,
}

impl Ask {
    /// Whether one event counts as a match of each rule that it matches, and not as one.
    #[must_use]
    pub fn tells_rules_apart(&self) -> bool {
        matches!(self.kind, Kind::Temporal | Kind::TemporalOrdered)
    }
}

/// Where a value is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The name of the field.
    pub name: Box<str>,
    /// Its number.
    pub field: FieldId,
}

impl Reading {
    fn new(rules: &RuleSet, name: &str) -> Self {
        Reading { name: name.into(), field: rules.field(name) }
    }
}

impl Plan {
    /// The plan of a rule set.
    #[must_use]
    pub fn new(active: &Arc<Active>) -> Self {
        let rules = &active.rules;
        let all = rules.correlations();
        let mut plan = Plan {
            active: Arc::clone(active),
            asks: Vec::with_capacity(all.len()),
            of_rule: vec![Vec::new(); rules.len()],
            of_correlation: vec![Vec::new(); all.len()],
            by_print: Map::default(),
        };
        let mut wanted = vec![false; all.len()];
        let mut loud = vec![false; all.len()];
        for (correlation, resolved) in (0u32..).zip(all) {
            for (place, target) in (0u16..).zip(&resolved.targets) {
                let feed = Feed { correlation, place };
                match *target {
                    Target::Rule(rule) => plan.of_rule[rule as usize].push(feed),
                    Target::Correlation(inner) => {
                        plan.of_correlation[inner as usize].push(feed);
                        wanted[inner as usize] = true;
                        loud[inner as usize] |= resolved.correlation.generate;
                    }
                }
            }
            let mut ask = plan.ask(rules, resolved);
            // Two that are written alike are still two.
            while plan.by_print.contains_key(&ask.print) {
                ask.print = mix(ask.print.wrapping_add(1));
            }
            plan.by_print.insert(ask.print, correlation);
            plan.asks.push(ask);
        }
        for (number, ask) in plan.asks.iter_mut().enumerate() {
            ask.feeds = wanted[number];
            ask.silent = wanted[number] && !loud[number];
        }
        plan
    }

    fn ask(&self, rules: &RuleSet, resolved: &Resolved) -> Ask {
        let Resolved { correlation, targets } = resolved;
        let places = targets.len();
        let read = |place: usize, names: &[String]| -> Option<Vec<Reading>> {
            let fields = names.iter().map(|name| correlation.field_of(place, name));
            fields.map(|field| field.map(|name| Reading::new(rules, name))).collect()
        };
        let fields = match &correlation.condition {
            Firing::Bounds { fields, .. } => fields.as_slice(),
            _ => &[],
        };
        let inner = targets.iter().filter_map(|target| match target {
            Target::Correlation(inner) => Some(&self.asks[*inner as usize]),
            Target::Rule(_) => None,
        });
        let mut steps = Vec::new();
        if let Firing::Extended(condition) = &correlation.condition {
            wanted(condition, true, &mut steps);
            steps.sort_unstable();
            steps.dedup();
        }
        Ask {
            print: self.print(rules, resolved),
            level: inner.map(|ask| ask.level + 1).max().unwrap_or(0),
            kind: correlation.kind,
            timespan: correlation.timespan,
            firing: correlation.condition.clone(),
            places,
            steps,
            group: (0..places).map(|place| read(place, &correlation.group_by)).collect(),
            value: (0..places).map(|place| read(place, fields)).collect(),
            silent: false,
            feeds: false,
        }
    }

    fn print(&self, rules: &RuleSet, resolved: &Resolved) -> u64 {
        let Resolved { correlation, targets } = resolved;
        let mut text = format!(
            "{}\n{}\n{}\n{:?}\n{:?}\n{:?}\n",
            identity(&correlation.meta),
            correlation.kind.name(),
            correlation.timespan.0,
            correlation.group_by,
            correlation.condition,
            correlation.aliases,
        );
        for target in targets {
            match target {
                Target::Rule(rule) => text += identity(&rules.rule(RuleIndex(*rule)).meta),
                Target::Correlation(inner) => {
                    text += &format!("{:x}", self.asks[*inner as usize].print);
                }
            }
            text.push('\n');
        }
        stable(text.as_bytes())
    }

    /// Who asks for the matches of a rule.
    #[must_use]
    pub fn of_rule(&self, rule: u32) -> &[Feed] {
        &self.of_rule[rule as usize]
    }

    /// Who asks for the firings of a correlation.
    #[must_use]
    pub fn of_correlation(&self, correlation: u32) -> &[Feed] {
        &self.of_correlation[correlation as usize]
    }

    /// The number of the correlation with that print, if there is one.
    #[must_use]
    pub fn number(&self, print: u64) -> Option<u32> {
        self.by_print.get(&print).copied()
    }

    /// The document of a correlation.
    #[must_use]
    pub fn document(&self, correlation: u32) -> &crate::sigma::correlation::Correlation {
        &self.active.rules.correlations()[correlation as usize].correlation
    }
}

/// The names that a condition wants to hold.
fn wanted(condition: &Condition, positive: bool, out: &mut Vec<usize>) {
    match condition {
        Condition::Is(name) if positive => out.push(*name),
        Condition::Is(_) => {}
        Condition::Not(part) => wanted(part, !positive, out),
        Condition::All(parts) | Condition::Any(parts) | Condition::AtLeast(_, parts) => {
            parts.iter().for_each(|part| wanted(part, positive, out));
        }
    }
}
