//! Why a rule matched a record, or how far it was from it.

use serde::Serialize;

use super::compile::{RuleIndex, RuleSet};
use super::condition::Condition;
use super::detection::{Item, Search, Test, Value};
use super::plain;
use super::record::{self, Record};

/// The most values of a record that are shown for one item, and the most characters of each.
const SHOWN_MAX: usize = 8;
const SHOWN_CHARS_MAX: usize = 512;

/// What an item without a field is called.
pub const KEYWORDS: &str = "keywords";

/// What each selection of a rule says of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The rule's number.
    #[serde(skip)]
    pub rule: RuleIndex,
    /// Its title.
    pub title: String,
    /// Its id.
    pub id: Option<String>,
    /// Whether the rule is for records with these views.
    pub applies: bool,
    /// Whether its condition holds.
    pub holds: bool,
    /// The condition, as written.
    pub condition: String,
    /// The selections, in the order of the rule.
    pub selections: Vec<SelectionResult>,
}

/// What one selection says of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SelectionResult {
    /// Its name.
    pub name: String,
    /// Whether it holds.
    pub holds: bool,
    /// Whether the condition wants it to hold (`false`: it stands under a `not`).
    pub wanted: bool,
    /// Its items.
    pub items: Vec<ItemResult>,
}

/// What one item says of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ItemResult {
    /// Field and modifiers, as written; [`KEYWORDS`] for keywords.
    pub item: String,
    /// Whether it holds.
    pub holds: bool,
    /// The record's values of the field that pass one of its tests; where it does not hold, all
    /// values that the field has.
    pub values: Vec<String>,
    /// The rule's values that passed.
    pub passed: Vec<String>,
}

/// A rule that did not match, and how near it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Near {
    /// What its selections say.
    #[serde(flatten)]
    pub explanation: Explanation,
    /// The share of its wanted items that hold, in thousandths.
    pub share: u32,
    /// What keeps it from matching: selections, or its log source ([`LOG_SOURCE`]).
    pub failed: Vec<String>,
}

/// What a rule's log source is called among what fails.
pub const LOG_SOURCE: &str = "logsource";

impl RuleSet {
    /// What each selection of a rule says of a record.
    #[must_use]
    pub fn explain(&self, record: &Record<'_>, index: RuleIndex) -> Explanation {
        let rule = self.rule(index);
        let detection = &rule.detection;
        let mut wanted = vec![true; detection.selections.len()];
        mark_wanted(&detection.condition, true, &mut wanted);
        let selections = detection.selections.iter().zip(&wanted);
        let selections = selections.map(|(selection, wanted)| {
            let mut items = Vec::new();
            explain_search(&selection.search, record, &mut items);
            SelectionResult {
                name: selection.name.clone(),
                holds: plain::search(&selection.search, record),
                wanted: *wanted,
                items,
            }
        });
        Explanation {
            rule: index,
            title: rule.meta.title.clone(),
            id: rule.meta.id.clone(),
            applies: self.applies(index, record.views()),
            holds: plain::matches(rule, record),
            condition: detection.written.clone(),
            selections: selections.collect(),
        }
    }

    /// The rules that come nearest to matching this record and do not: those of which most holds, at
    /// most `n`. A rule for other views is near if all but its log source holds, which counts as
    /// much as one of its selections.
    ///
    /// Every rule is walked, so this is for a person who asks, not for a stream.
    #[must_use]
    pub fn nearest(&self, record: &Record<'_>, n: usize) -> Vec<Near> {
        let satisfied = self.satisfied(record.views());
        let mut near: Vec<(u32, RuleIndex)> = Vec::new();
        for (number, rule) in self.rules().iter().enumerate() {
            let applies = satisfied[usize::from(self.sources[number])];
            let selections = &rule.detection.selections;
            let share = match (applies, plain::matches(rule, record)) {
                (true, false) => nearness(&rule.detection.condition, true, &mut |i| {
                    share_of(&selections[i].search, record)
                }),
                (false, true) => selections.len() as f64 / (selections.len() + 1) as f64,
                _ => continue,
            };
            near.push(((share * 1000.0) as u32, RuleIndex(number as u32)));
        }
        near.sort_by_key(|(share, index)| (std::cmp::Reverse(*share), *index));
        near.truncate(n);
        let near = near.into_iter().filter(|(share, _)| *share > 0).map(|(share, index)| {
            let explanation = self.explain(record, index);
            let failed = explanation.selections.iter().filter(|one| one.holds != one.wanted);
            let failed = match explanation.applies {
                true => failed.map(|one| one.name.clone()).collect(),
                false => vec![LOG_SOURCE.to_owned()],
            };
            Near { explanation, share, failed }
        });
        near.collect()
    }
}

/// Marks which selections a condition wants to hold.
fn mark_wanted(condition: &Condition, wanted: bool, marks: &mut [bool]) {
    match condition {
        Condition::Is(i) => marks[*i] = wanted,
        Condition::Not(part) => mark_wanted(part, !wanted, marks),
        Condition::All(parts) | Condition::Any(parts) | Condition::AtLeast(_, parts) => {
            parts.iter().for_each(|part| mark_wanted(part, wanted, marks));
        }
    }
}

/// How much of a condition holds, 0 to 1, when each selection holds by a share.
fn nearness(condition: &Condition, wanted: bool, share: &mut impl FnMut(usize) -> f64) -> f64 {
    let (parts, all) = match condition {
        Condition::Is(i) => {
            let share = share(*i);
            return match (wanted, share >= 1.0) {
                (true, _) => share,
                (false, true) => 0.0,
                (false, false) => 1.0,
            };
        }
        Condition::Not(part) => return nearness(part, !wanted, share),
        Condition::All(parts) => (parts, wanted),
        Condition::Any(parts) | Condition::AtLeast(_, parts) => (parts, !wanted),
    };
    let each = parts.iter().map(|part| nearness(part, wanted, share));
    match all {
        true => each.sum::<f64>() / parts.len().max(1) as f64,
        false => each.fold(0.0, f64::max),
    }
}

/// The share of a search that holds.
fn share_of(search: &Search, record: &Record<'_>) -> f64 {
    match search {
        Search::Item(item) if plain::item(item, record) => 1.0,
        Search::Item(item) if item.all && !item.negated => {
            let passed = item.values.iter().filter(|v| plain::test(item, &v.test, record)).count();
            passed as f64 / item.values.len().max(1) as f64
        }
        Search::Item(_) => 0.0,
        Search::All(parts) => {
            let sum: f64 = parts.iter().map(|part| share_of(part, record)).sum();
            sum / parts.len().max(1) as f64
        }
        Search::Any(parts) => parts.iter().map(|part| share_of(part, record)).fold(0.0, f64::max),
    }
}

fn explain_search(search: &Search, record: &Record<'_>, out: &mut Vec<ItemResult>) {
    match search {
        Search::Item(item) => out.push(explain_item(item, record)),
        Search::All(parts) | Search::Any(parts) => {
            parts.iter().for_each(|part| explain_search(part, record, out));
        }
    }
}

fn explain_item(item: &Item, record: &Record<'_>) -> ItemResult {
    let holds = plain::item(item, record);
    let passing: Vec<&Value> =
        item.values.iter().filter(|value| plain::test(item, &value.test, record)).collect();
    let own: Vec<record::Value<'_>> = match &item.field {
        Some(field) => {
            let own = record.fields().iter().filter(|own| own.name == field);
            own.map(|own| own.value).collect()
        }
        None => record.keyword_texts().map(record::Value::Text).collect(),
    };
    let passes = |own: &record::Value<'_>| {
        passing.iter().any(|value| plain::value(&value.test, own, record))
    };
    let telling = own.iter().filter(|own| passing.is_empty() || passes(own));
    // Of keywords that are nowhere, the whole record would have to be shown.
    let telling = telling.filter(|_| item.field.is_some() || !passing.is_empty());
    ItemResult {
        item: match item.written.as_str() {
            "" => KEYWORDS.to_owned(),
            written => written.to_owned(),
        },
        holds,
        values: telling.take(SHOWN_MAX).map(shown).collect(),
        passed: passing.iter().take(SHOWN_MAX).map(|value| shown_test(&value.test)).collect(),
    }
}

fn shown(value: &record::Value<'_>) -> String {
    let mut buffer = String::new();
    cut(value.text(&mut buffer).unwrap_or("null"))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A test, as near to its spelling as can be told.
fn shown_test(test: &Test) -> String {
    match test {
        Test::Text { pattern, .. } => cut(&pattern.to_string()),
        Test::Number { spelling, .. } => spelling.clone(),
        Test::Bool(value) => value.to_string(),
        Test::Null => "null".to_owned(),
        Test::Exists(true) => "exists".to_owned(),
        Test::Exists(false) => "does not exist".to_owned(),
        Test::Regex(regex) => cut(regex.source()),
        Test::Network(network) => network.to_string(),
        Test::Compare(comparison, number) => format!("{} {number}", comparison.sign()),
        Test::Field { other, .. } => format!("field {other}"),
        Test::Time(part, comparison, number) => {
            format!("{part:?} {} {number}", comparison.sign()).to_lowercase()
        }
    }
}
