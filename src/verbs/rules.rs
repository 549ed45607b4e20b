//! `rules`: lists, checks and tests rules.
//!
//! Which rules are meant is the `choice` of the command line; `list`, `show` and
//! `coverage` look at them, `lint` says what is wrong with them, `test` runs their cases,
//! and `backtest` tries them on logs.

mod backtest;
mod cases;
mod choice;
mod coverage;
mod lint;
mod list;
mod live;
mod reach;
mod show;
mod test;

use operators::sigma::LogSource;
use serde_json::{Map, Value, json};

use self::choice::Item;
pub(super) use self::test::reasons;
use crate::cli::Outcome;
use crate::cli::args::{Global, RulesVerb};

/// Does it.
///
/// # Errors
/// If the configuration is wrong, a rule is not there, or a log cannot be read.
pub fn rules(global: &Global, verb: &RulesVerb) -> Outcome {
    match verb {
        RulesVerb::List(args) => list::list(global, args),
        RulesVerb::Show(args) => show::show(global, args),
        RulesVerb::Lint(args) => lint::lint(global, args),
        RulesVerb::Test(args) if args.against.is_empty() && args.state.is_none() => {
            test::test(global, args)
        }
        RulesVerb::Test(args) => backtest::backtest(global, args),
        RulesVerb::Coverage(args) => coverage::coverage(global, args),
    }
}

/// A log source as one word: `windows/process_creation`.
pub(super) fn short(source: &LogSource) -> String {
    let named = [&source.product, &source.category, &source.service];
    let mut parts: Vec<String> = named.into_iter().flatten().cloned().collect();
    parts.extend(source.custom.iter().map(|(name, value)| format!("{name}={value}")));
    parts.join("/")
}

/// A log source as an object.
pub(super) fn source_json(source: &LogSource) -> Value {
    let mut object = Map::new();
    object.insert("category".into(), json!(source.category));
    object.insert("product".into(), json!(source.product));
    object.insert("service".into(), json!(source.service));
    object.extend(source.custom.iter().map(|(name, value)| (name.clone(), json!(value))));
    Value::Object(object)
}

/// What every verb says of a rule in JSON.
fn item_json(item: Item<'_>) -> Map<String, Value> {
    let meta = item.meta();
    let (tactics, techniques) = operators::sigma::finding::attack(&meta.tags);
    let object = json!({
        "kind": item.kind().name(),
        "id": meta.id,
        "name": meta.name,
        "title": meta.title,
        "level": meta.level().name(),
        "status": meta.status,
        "tags": meta.tags,
        "tactics": tactics,
        "techniques": techniques,
        "logsource": item.logsource().map(source_json),
        "file": &*meta.file,
        "line": meta.at.line,
    });
    match object {
        Value::Object(object) => object,
        _ => unreachable!("an object is written there"),
    }
}
