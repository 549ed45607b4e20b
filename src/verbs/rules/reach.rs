//! Which rules can never fire here: records of their log source do not come about, or none of
//! those has a field that they need.
//!
//! A rule applies to records that have one view with all that its log source names, and the views
//! that records can have are known: those of the formats and programs that are built in, and of
//! the pipelines in use. The fields are known for some of them ([`fields::known`]), and still a
//! record may bring a field under the very name that the rule has; that is said with it.

use std::sync::Arc;

use operators::sigma::correlation::{Firing, Kind, Target};
use operators::sigma::fields::{Known, Missing};
use operators::sigma::{Diagnostic, Gravity, LogSource, Meta, Pos, Resolved, Rule, fields};

use super::choice::{Choice, Item};
use super::short;

/// How many letters of a name may be wrong for it to be taken for another.
const DISTANCE_MAX: usize = 2;

/// What is said of a rule that can never fire.
pub(super) const NEVER: &str = "never-fires";
/// What is said of a field that no record here has.
const UNKNOWN: &str = "unknown-field";
/// How to have what no receiver yields.
const WAY: &str = "a pipeline in `rules.pipelines` can yield it";

/// Something that a rule asks for in vain.
pub(super) struct Finding {
    pub(super) diagnostic: Diagnostic,
    /// The field, if it is one.
    pub(super) field: Option<String>,
    /// What was perhaps meant in its place.
    pub(super) suggestion: Option<String>,
}

/// What is known of a rule.
struct Reach {
    /// Whether records of its log source come about.
    is_yielded: bool,
    missing: Vec<Missing>,
}

impl Reach {
    fn never(&self) -> bool {
        !self.is_yielded || self.missing.iter().any(|one| one.vital)
    }
}

/// A warning for each rule that is meant and can never fire, and for each field that rules ask for
/// in vain; the one or the other, not both for one field.
pub(super) fn findings(choice: &Choice) -> Vec<Finding> {
    let active = &choice.loaded.active;
    let sources = fields::log_sources(&active.pipelines);
    let known = Known::new(&active.pipelines);
    let set = &active.rules;
    let reach = |rule: &Rule| Reach {
        is_yielded: sources.iter().any(|view| rule.logsource.covers(view)),
        missing: known.missing(rule),
    };
    let rules: Vec<Reach> = set.rules().iter().map(reach).collect();
    let mut correlations: Vec<bool> = Vec::with_capacity(set.correlations().len());
    for resolved in set.correlations() {
        let correlation = &resolved.correlation;
        let mut dead = resolved.targets.iter().map(|target| match target {
            Target::Rule(index) => rules[*index as usize].never(),
            // Each follows those that it refers to.
            Target::Correlation(index) => correlations[*index as usize],
        });
        let needs_all = matches!(correlation.kind, Kind::Temporal | Kind::TemporalOrdered)
            && correlation.condition == Firing::Every;
        let never = match needs_all {
            true => dead.any(|dead| dead),
            false => dead.all(|dead| dead),
        };
        correlations.push(never);
    }
    let mut said = Vec::new();
    for item in choice.items() {
        let meta = item.meta();
        match item {
            Item::Rule(index, rule) => {
                let Reach { is_yielded, missing } = &rules[index.0 as usize];
                let source = &rule.logsource;
                if *is_yielded {
                    said.extend(of_fields(rule, missing));
                    continue;
                }
                let reason = format!(
                    "it can never fire here: no receiver and no pipeline yields records of \
                     `{source}`"
                );
                let at = place(choice, item, "logsource");
                said.push(finding(meta, at, NEVER, reason, Some(hint(source, &sources))));
            }
            Item::Correlation(resolved) => {
                let all = set.correlations();
                let index = all.iter().position(|other| std::ptr::eq(other, resolved));
                if index.is_some_and(|index| correlations[index]) {
                    let reason = "it can never fire here: rules that it needs can not".to_owned();
                    let at = place(choice, item, "correlation");
                    said.push(finding(meta, at, NEVER, reason, None));
                } else {
                    said.extend(of_correlation(choice, item, resolved, &known));
                }
            }
        }
    }
    said
}

fn finding(
    meta: &Meta,
    at: Pos,
    code: &'static str,
    reason: String,
    hint: Option<String>,
) -> Finding {
    let diagnostic = Diagnostic {
        file: Arc::clone(&meta.file),
        at,
        gravity: Gravity::Warning,
        code,
        reason,
        hint,
        rule: Some(meta.title.clone()),
        retired: false,
    };
    Finding { diagnostic, field: None, suggestion: None }
}

/// Why nothing fires without a field.
fn without(field: &str, source: &str) -> String {
    format!(
        "it can never fire here, unless records bring field `{field}` under this very name: no \
         receiver and no pipeline yields it for `{source}`"
    )
}

/// What was perhaps meant, or how to have what is wanted.
fn meant(suggestion: Option<&str>) -> String {
    match suggestion {
        Some(name) => format!("did you mean `{name}`?"),
        None => WAY.to_owned(),
    }
}

/// What there is to say of fields that a rule asks for in vain. That it can never fire is said
/// once.
fn of_fields(rule: &Rule, missing: &[Missing]) -> Vec<Finding> {
    let mut said_never = false;
    let say = |one: &Missing| {
        let (field, source) = (&one.field, short(&rule.logsource));
        let never = one.vital && !said_never;
        said_never |= never;
        let (code, reason) = match never {
            true => (NEVER, without(field, &source)),
            false => (
                UNKNOWN,
                format!("field `{field}` of `{source}` is yielded by no receiver or pipeline here"),
            ),
        };
        let hint = meant(one.suggestion.as_deref());
        Finding {
            field: Some(field.clone()),
            suggestion: one.suggestion.clone(),
            ..finding(&rule.meta, one.at, code, reason, Some(hint))
        }
    };
    missing.iter().map(say).collect()
}

/// What there is to say of fields that a correlation reads in vain: matches without them are not
/// counted.
fn of_correlation(
    choice: &Choice,
    item: Item<'_>,
    resolved: &Resolved,
    known: &Known,
) -> Vec<Finding> {
    let correlation = &resolved.correlation;
    let computed: &[String] = match &correlation.condition {
        Firing::Bounds { fields, .. } => fields,
        _ => &[],
    };
    let set = &choice.loaded.active.rules;
    let mut said = Vec::new();
    for name in correlation.group_by.iter().chain(computed) {
        let lacking = (0..).zip(&resolved.targets).filter_map(|(place, target)| {
            let Target::Rule(index) = target else { return None };
            let (rule, field) = (&set.rules()[*index as usize], correlation.field_of(place, name)?);
            Some((rule, field, known.lacks(rule, field)?))
        });
        let lacking: Vec<(&Rule, &str, Option<String>)> = lacking.collect();
        let Some((rule, field, suggestion)) = lacking.first().cloned() else { continue };
        let source = short(&rule.logsource);
        let (code, reason) = match lacking.len() == resolved.targets.len() {
            true => (NEVER, without(field, &source)),
            false => (
                UNKNOWN,
                format!(
                    "matches of {:?} are not counted: field `{field}` of `{source}` is yielded by \
                     no receiver or pipeline here",
                    rule.meta.title
                ),
            ),
        };
        let hint = meant(suggestion.as_deref());
        let at = place_of_field(choice, item, field);
        let field = Some(field.to_owned());
        let meta = item.meta();
        said.push(Finding { field, suggestion, ..finding(meta, at, code, reason, Some(hint)) });
    }
    said
}

/// Where a correlation names a field first; the document itself if it is not in it as it is.
fn place_of_field(choice: &Choice, item: Item<'_>, field: &str) -> Pos {
    let meta = item.meta();
    let Some(text) = choice.files.text(&meta.file) else { return meta.at };
    let section = place(choice, item, "correlation").line;
    let mut lines = (1..).zip(text.lines()).skip(section as usize - 1);
    let is_letter = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.');
    let found = lines.find_map(|(line, text)| {
        let whole = |at: &usize| {
            let (before, after) = (&text[..*at], &text[at + field.len()..]);
            !before.ends_with(is_letter) && !after.starts_with(is_letter)
        };
        let at = text.match_indices(field).map(|(at, _)| at).find(whole)?;
        Some(Pos { line, column: text[..at].chars().count() as u32 + 1 })
    });
    found.unwrap_or(meta.at)
}

/// Where a key of a document stands; the document itself if it is not on a line of its own.
fn place(choice: &Choice, item: Item<'_>, key: &str) -> Pos {
    let meta = item.meta();
    let Some(text) = choice.files.text(&meta.file) else { return meta.at };
    let lines = (1..).zip(text.lines()).skip(meta.at.line as usize - 1);
    let mut lines =
        lines.take_while(|(number, line)| *number == meta.at.line || !line.starts_with("---"));
    let found = lines.find(|(_, line)| {
        line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(':'))
    });
    found.map_or(meta.at, |(line, _)| Pos { line, column: 1 })
}

/// What would have been right, or how to make it so.
fn hint(source: &LogSource, known: &[LogSource]) -> String {
    match nearest(source, known) {
        Some((near, true)) => format!("did you mean `{near}`?"),
        Some((near, false)) => format!("the nearest is `{}`; {WAY}", short(near)),
        None => WAY.to_owned(),
    }
}

/// The log source that is most like another, and whether that may be a slip of the pen.
fn nearest<'k>(source: &LogSource, known: &'k [LogSource]) -> Option<(&'k LogSource, bool)> {
    let mut best: Option<(i32, &LogSource, bool)> = None;
    for view in known {
        let pairs = [
            (&source.product, &view.product),
            (&source.category, &view.category),
            (&source.service, &view.service),
        ];
        let (mut score, mut slip, mut other) = (0, false, false);
        for pair in pairs {
            match pair {
                (Some(wanted), Some(own)) if wanted == own => score += 6,
                (Some(wanted), Some(own)) if is_slip(wanted, own) => {
                    (score, slip) = (score + 5, true)
                }
                (Some(_), Some(_)) => (score, other) = (score - 2, true),
                (Some(_), None) => (score, other) = (score - 1, true),
                (None, Some(_)) => score -= 1,
                (None, None) => {}
            }
        }
        if score > 0 && best.is_none_or(|(most, _, _)| score > most) {
            best = Some((score, view, slip && !other));
        }
    }
    best.map(|(_, view, slip)| (view, slip))
}

fn is_slip(wanted: &str, own: &str) -> bool {
    let edits = strsim::osa_distance(wanted, own);
    edits <= DISTANCE_MAX && edits * 3 <= own.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_log_source_is_one_with_the_same_parts_or_a_slip_of_the_pen() {
        let known = fields::log_sources(&[]);
        let near = |category: &str, product: &str, service: &str| {
            let found = nearest(&LogSource::new(category, product, service), &known);
            found.map(|(source, slip)| (short(source), slip))
        };
        let typo = near("proces_creation", "windows", "");
        assert_eq!(typo, Some(("windows/process_creation".to_owned(), true)));
        let (source, slip) = near("", "linux", "pamela").unwrap();
        assert!(source.starts_with("linux") && !slip, "{source}");
        assert_eq!(near("", "nobody", "has"), None);
    }
}
