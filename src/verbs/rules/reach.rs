//! Which rules can never fire here: records of their log source do not come about.
//!
//! A rule applies to records that have one view with all that its log source names, and the views
//! that records can have are known: those of the formats and programs that are built in, and of
//! the pipelines in use. Fields are another matter: every log source can be had by records that
//! name fields of their own, so that a field is missing for sure is never said.

use std::sync::Arc;

use operators::sigma::correlation::{Firing, Kind, Target};
use operators::sigma::{Diagnostic, Gravity, LogSource, Pos, fields};

use super::choice::{Choice, Item};
use super::short;

/// How many letters of a name may be wrong for it to be taken for another.
const DISTANCE_MAX: usize = 2;

/// A warning for each rule that is meant and can never fire.
pub(super) fn never(choice: &Choice) -> Vec<Diagnostic> {
    let active = &choice.loaded.active;
    let known = fields::log_sources(&active.pipelines);
    let yields = |source: &LogSource| known.iter().any(|view| source.covers(view));
    let set = &active.rules;
    let rules: Vec<bool> = set.rules().iter().map(|rule| !yields(&rule.logsource)).collect();
    let mut correlations: Vec<bool> = Vec::with_capacity(set.correlations().len());
    for resolved in set.correlations() {
        let correlation = &resolved.correlation;
        let mut dead = resolved.targets.iter().map(|target| match target {
            Target::Rule(index) => rules[*index as usize],
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
        let (at, reason, hint) = match item {
            Item::Rule(index, rule) if rules[index.0 as usize] => {
                let source = &rule.logsource;
                let reason = format!(
                    "it can never fire here: no receiver and no pipeline yields records of \
                     `{source}`"
                );
                (place(choice, item, "logsource"), reason, hint(source, &known))
            }
            Item::Correlation(resolved) => {
                let all = set.correlations();
                let index = all.iter().position(|other| std::ptr::eq(other, resolved));
                if !index.is_some_and(|index| correlations[index]) {
                    continue;
                }
                let reason = "it can never fire here: rules that it needs can not".to_owned();
                (place(choice, item, "correlation"), reason, None)
            }
            Item::Rule(..) => continue,
        };
        said.push(Diagnostic {
            file: Arc::clone(&meta.file),
            at,
            gravity: Gravity::Warning,
            code: "never-fires",
            reason,
            hint,
            rule: Some(meta.title.clone()),
            retired: false,
        });
    }
    said
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
fn hint(source: &LogSource, known: &[LogSource]) -> Option<String> {
    let way = "a pipeline in `rules.pipelines` can yield it";
    Some(match nearest(source, known) {
        Some((near, true)) => format!("did you mean `{near}`?"),
        Some((near, false)) => format!("the nearest is `{}`; {way}", short(near)),
        None => way.to_owned(),
    })
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
