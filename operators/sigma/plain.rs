//! What a rule means, said as plainly as possible.
//!
//! This walks the rule as it was read and looks at a record's values by name, with no scan, no
//! bits and no programs. It is slow, it can say what matched and what did not, and it is what the
//! compiled engine is held against in tests.

use super::detection::{Item, Search, Test};
use super::moment;
use super::record::{Record, Value};
use super::rule::Rule;
use super::value::{DASHES, Part, Pattern, fold};

/// Whether a rule's condition holds for a record; its log source is not asked.
#[must_use]
pub fn matches(rule: &Rule, record: &Record<'_>) -> bool {
    let selections = &rule.detection.selections;
    rule.detection.condition.holds(&mut |i| search(&selections[i].search, record))
}

/// Whether a search holds.
pub(crate) fn search(search: &Search, record: &Record<'_>) -> bool {
    match search {
        Search::Item(one) => item(one, record),
        Search::All(parts) => parts.iter().all(|part| self::search(part, record)),
        Search::Any(parts) => parts.iter().any(|part| self::search(part, record)),
    }
}

/// Whether an item holds.
pub(crate) fn item(item: &Item, record: &Record<'_>) -> bool {
    let mut each = item.values.iter().map(|value| test(item, &value.test, record));
    let holds = match item.all {
        true => each.all(|holds| holds),
        false => each.any(|holds| holds),
    };
    holds != item.negated
}

/// Whether one test of an item holds.
pub(crate) fn test(item: &Item, test: &Test, record: &Record<'_>) -> bool {
    let Some(field) = &item.field else {
        return record.keyword_texts().any(|text| value(test, &Value::Text(text), record));
    };
    let inside = format!("{field}.");
    let there =
        record.fields().iter().any(|own| own.name == field || own.name.starts_with(&inside));
    let mut values = record.fields().iter().filter(|own| own.name == field).map(|own| own.value);
    match test {
        Test::Exists(wanted) => there == *wanted,
        Test::Null => !there || values.any(|value| value == Value::Null),
        test => values.any(|own| value(test, &own, record)),
    }
}

/// Whether one value passes.
pub(crate) fn value(test: &Test, value: &Value<'_>, record: &Record<'_>) -> bool {
    let mut buffer = String::new();
    let Some(text) = value.text(&mut buffer) else { return false };
    match test {
        Test::Text { pattern, cased } => fits(pattern, text, *cased),
        Test::Number { canonical, spelling } => {
            fold(text) == fold(canonical) || fold(text) == fold(spelling)
        }
        Test::Bool(wanted) => fold(text) == wanted.to_string(),
        Test::Regex(regex) => regex.finds(text) == Some(true),
        Test::Network(network) => network.holds(text),
        Test::Compare(comparison, number) => {
            value.number().is_some_and(|value| comparison.holds(value, *number))
        }
        Test::Field { other, relation } => {
            let others = record.fields().iter().filter(|own| own.name == other);
            let holds = |other: &Value<'_>| {
                let mut buffer = String::new();
                let other = other.text(&mut buffer);
                other.is_some_and(|other| relation.holds(&fold(text), &fold(other)))
            };
            others.into_iter().any(|own| holds(&own.value))
        }
        Test::Time(part, comparison, number) => {
            moment::part(value, *part).is_some_and(|part| comparison.holds(part, *number))
        }
        Test::Null | Test::Exists(_) => false,
    }
}

/// Whether a pattern fits a text, character by character.
fn fits(pattern: &Pattern, text: &str, cased: bool) -> bool {
    let ready = |text: &str| match cased {
        true => text.to_owned(),
        false => fold(text),
    };
    let text: Vec<char> = ready(text).chars().collect();
    // `reached[i]`: the parts so far fit the first `i` characters.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for part in pattern.parts() {
        let mut next = vec![false; text.len() + 1];
        let starts = (0..=text.len()).filter(|i| reached[*i]);
        match part {
            Part::Any => {
                if let Some(first) = starts.into_iter().next() {
                    next[first..].fill(true);
                }
            }
            Part::One => starts.filter(|i| *i < text.len()).for_each(|i| next[i + 1] = true),
            Part::Dash => {
                let dash = |i: &usize| text.get(*i).is_some_and(|c| DASHES.contains(c));
                starts.filter(dash).for_each(|i| next[i + 1] = true);
            }
            Part::Text(part) => {
                let part: Vec<char> = ready(part).chars().collect();
                starts
                    .filter(|i| text[*i..].starts_with(&part))
                    .for_each(|i| next[i + part.len()] = true);
            }
            Part::Placeholder(_) => {}
        }
        reached = next;
    }
    reached[text.len()]
}
