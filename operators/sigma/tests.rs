//! The engine against its specification, its corpus, and its own plain meaning.

mod bad;
mod bench;
mod bench_fields;
mod corpus;
mod language;
mod random;
pub(super) mod shared;
mod spec;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::record::flatten;
use super::*;

/// A rule for every record of `any`, with this detection in YAML at two blanks.
pub(super) fn rule_text(detection: &str) -> String {
    format!("title: t\nlogsource:\n  product: any\ndetection:\n{detection}\n")
}

pub(super) fn no_options() -> Options {
    Options { placeholders: BTreeMap::new() }
}

/// Compiles texts, each a file of its own named by its place.
pub(super) fn compile(texts: &[&str]) -> (Arc<RuleSet>, Report) {
    let parsed = texts.iter().enumerate();
    let parsed = parsed.map(|(i, text)| parse(&format!("{i}.yml"), text.as_bytes())).collect();
    let (set, report) = RuleSet::compile(parsed, &no_options());
    (Arc::new(set), report)
}

/// Whether the engine and the plain meaning both say that the only rule of `set` matches `event`.
pub(super) fn matches(set: &Arc<RuleSet>, event: &serde_json::Value, message: &str) -> bool {
    let fields = flatten(event.as_object().expect("an object"));
    let mut record = Record::new();
    for (name, value) in &fields {
        record.push(set, name, *value);
    }
    record.set_message(message);
    record.push_view(set.view(&LogSource::new("", "any", "")));
    let mut matched = Vec::new();
    let mut matcher = Matcher::new(set);
    matcher.matches(&record, &mut matched);
    let first = matched.clone();
    matcher.matches(&record, &mut matched);
    assert_eq!(first, matched, "a matcher is the same after a record as before");
    let plain = plain::matches(set.rule(RuleIndex(0)), &record);
    assert_eq!(plain, !matched.is_empty(), "plain meaning {plain}, engine {matched:?}: {event}");
    assert_eq!(set.explain(&record, RuleIndex(0)).holds, plain);
    plain
}

/// Whether a rule with this detection matches.
pub(super) fn detects(detection: &str, event: &serde_json::Value) -> bool {
    let (set, report) = compile(&[&rule_text(detection)]);
    assert_eq!(set.len(), 1, "{detection}: {:?}", report.diagnostics);
    matches(&set, event, "")
}
