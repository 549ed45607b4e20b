//! `rules list`: one line for each rule.

use serde_json::json;

use super::choice::{Choice, Item};
use super::{item_json, short};
use crate::cli::args::{Global, RuleKind, RulesListArgs};
use crate::cli::escape::escape;
use crate::cli::exit::Exit;
use crate::cli::numbers::counted;
use crate::cli::style::Palette;
use crate::cli::{Failure, Outcome, configuration_of_rules, print};
use crate::rules::files::Want;

/// How wide a title may be before what follows it moves.
const TITLE_WIDTH: usize = 56;
/// How wide a log source may be before what follows it moves.
const SOURCE_WIDTH: usize = 26;

pub(super) fn list(global: &Global, args: &RulesListArgs) -> Outcome {
    let loaded = configuration_of_rules(global, Vec::new())?;
    let choice = Choice::of(&loaded.settings, &args.filter.rules, Want::Rules)?;
    let items = choice.filtered(&args.filter);
    let palette = Palette::stdout(global.color);
    let mut text = String::new();
    for item in &items {
        match args.json {
            true => text.push_str(&json_line(*item)),
            false => text.push_str(&row(*item, palette)),
        }
        text.push('\n');
    }
    print(&text)?;
    tell_missing(global, &choice, items.len())?;
    Ok(Exit::Ok)
}

/// Says on standard error that nothing is there, or that something is not shown.
pub(super) fn tell_missing(global: &Global, choice: &Choice, shown: usize) -> Result<(), Failure> {
    use std::io::Write;
    if global.quiet {
        return Ok(());
    }
    let mut out = std::io::stderr().lock();
    let palette = Palette::stderr(global.color);
    for problem in &choice.loaded.unreadable {
        writeln!(out, "{} {}", palette.bad("warning:"), escape(problem))?;
    }
    let refused = choice.loaded.report.refused as u64;
    if refused > 0 {
        let refused = counted(refused, "document");
        writeln!(out, "{refused} cannot be used; `rules lint` says why")?;
    }
    if shown == 0 {
        writeln!(out, "nothing found")?;
    }
    Ok(())
}

fn json_line(item: Item<'_>) -> String {
    let mut object = item_json(item);
    if let Item::Correlation(resolved) = item {
        object.insert("type".into(), json!(resolved.correlation.kind.name()));
    }
    serde_json::Value::Object(object).to_string()
}

fn row(item: Item<'_>, palette: Palette) -> String {
    let meta = item.meta();
    let level = meta.level().name();
    let source = match item {
        Item::Rule(_, rule) => short(&rule.logsource),
        Item::Correlation(resolved) => {
            let kind = RuleKind::Correlation.name();
            format!("{kind}: {}", resolved.correlation.kind.name())
        }
    };
    let place = format!("{}:{}", meta.file, meta.at.line);
    format!(
        "{}  {}  {}  {}  {}",
        palette.level(level, format_args!("{level:<13}")),
        palette.strong(format_args!("{:<TITLE_WIDTH$}", escape(&meta.title))),
        format_args!("{:<SOURCE_WIDTH$}", escape(&source)),
        palette.faint(format_args!("{:<36}", escape(meta.id.as_deref().unwrap_or("-")))),
        palette.faint(escape(&place)),
    )
}
