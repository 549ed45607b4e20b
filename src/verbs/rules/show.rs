//! `rules show`: all that there is to say of a rule.

use std::collections::BTreeMap;

use operators::sigma::correlation::{Correlation, Firing, Target};
use operators::sigma::{LogSource, Pipeline, Rule, RuleIndex, fields};
use serde_json::{Value, json};

use super::choice::{Choice, Item};
use super::{item_json, short, source_json};
use crate::cli::args::{Global, RulesShowArgs};
use crate::cli::escape::{escape, escape_lines};
use crate::cli::exit::Exit;
use crate::cli::numbers::humanised;
use crate::cli::style::Palette;
use crate::cli::{Failure, Outcome, configuration_of_rules, print};
use crate::rules::files::Want;
use crate::verbs::explain::Account;

pub(super) fn show(global: &Global, args: &RulesShowArgs) -> Outcome {
    let loaded = configuration_of_rules(global, Vec::new())?;
    let wanted = [args.rule.clone()];
    let choice = Choice::of(&loaded.settings, &wanted, Want::Rules)?;
    let items = choice.items();
    if items.is_empty() {
        let error = format!("`{}` holds no rule that is in use", args.rule);
        let hint = "it is deprecated or unsupported, or `seerflow-dataflow rules lint` says why";
        return Err(Failure::new(Exit::Failed, error).with_hint(hint));
    }
    let palette = Palette::stdout(global.color);
    let mut text = String::new();
    for (at, item) in items.iter().enumerate() {
        match args.json {
            true => text.push_str(&format!("{}\n", to_json(&choice, *item))),
            false => {
                let between = if at == 0 { "" } else { "\n" };
                text.push_str(&format!("{between}{}", shown(&choice, *item, palette)));
            }
        }
    }
    print(&text)?;
    Ok(Exit::Ok)
}

/// The views here that a rule is for, each with the pipelines that records have it from; none of
/// those that are not from a pipeline.
fn views(choice: &Choice, source: &LogSource) -> Vec<(LogSource, Vec<String>)> {
    let own = fields::builtin();
    let users = &choice.loaded.active.pipelines;
    let mut views: BTreeMap<LogSource, Vec<String>> = fields::log_sources(users)
        .into_iter()
        .filter(|view| source.covers(view))
        .map(|view| (view, Vec::new()))
        .collect();
    let mut note = |pipeline: &Pipeline| {
        for view in pipeline.log_sources() {
            if let Some(names) = views.get_mut(view)
                && !names.contains(&pipeline.name)
            {
                names.push(pipeline.name.clone());
            }
        }
    };
    own.iter().chain(users).for_each(&mut note);
    views.into_iter().collect()
}

/// What a correlation refers to: how it says it, and what that is.
fn parts<'c>(
    choice: &'c Choice,
    correlation: &'c Correlation,
    targets: &[Target],
) -> Vec<[&'c str; 2]> {
    let set = &choice.loaded.active.rules;
    let titles = targets.iter().map(|target| match target {
        Target::Rule(index) => set.rule(RuleIndex(*index)).meta.title.as_str(),
        Target::Correlation(index) => {
            set.correlations()[*index as usize].correlation.meta.title.as_str()
        }
    });
    correlation.rules.iter().zip(titles).map(|((name, _), title)| [name.as_str(), title]).collect()
}

/// When a correlation fires, in words.
fn firing(correlation: &Correlation) -> String {
    match &correlation.condition {
        Firing::Every => "every rule matched".to_owned(),
        Firing::Extended(_) => "as its condition says".to_owned(),
        Firing::Bounds { bounds, fields, percentile } => {
            let bounds = bounds.iter().map(|(sign, number)| format!("{} {number}", sign.sign()));
            let bounds = bounds.collect::<Vec<_>>().join(" and ");
            let of = match fields.is_empty() {
                true => String::new(),
                false => format!(" of {}", fields.join(", ")),
            };
            let kind = correlation.kind.name();
            match kind {
                "value_percentile" => format!("{kind} {percentile}{of} {bounds}"),
                _ => format!("{kind}{of} {bounds}"),
            }
        }
    }
}

/// The lines of the file that are this document.
fn document<'c>(choice: &'c Choice, item: Item<'_>) -> &'c str {
    let meta = item.meta();
    let Some(text) = choice.files.text(&meta.file) else { return "" };
    let (mut start, mut offset) = (0, 0);
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let separates = line.trim_end() == "---" || line.starts_with("--- ");
        if separates && number > meta.at.line {
            return &text[start..offset];
        }
        offset += line.len();
        if separates {
            start = offset;
        }
    }
    &text[start..]
}

fn selections(rule: &Rule) -> Value {
    let selections = rule.detection.selections.iter().map(|selection| {
        let mut items = Vec::new();
        each_item(&selection.search, &mut |item| {
            items.push(json!({
                "item": item.written,
                "values": item.values.len(),
                "line": item.at.line,
            }));
        });
        json!({ "name": selection.name, "line": selection.at.line, "items": items })
    });
    selections.collect()
}

fn each_item(
    search: &operators::sigma::detection::Search,
    see: &mut impl FnMut(&operators::sigma::detection::Item),
) {
    use operators::sigma::detection::Search;
    match search {
        Search::Item(item) => see(item),
        Search::All(parts) | Search::Any(parts) => {
            parts.iter().for_each(|part| each_item(part, see));
        }
    }
}

fn to_json(choice: &Choice, item: Item<'_>) -> Value {
    let meta = item.meta();
    let mut object = item_json(item);
    let mut put = |key: &str, value: Value| drop(object.insert(key.to_owned(), value));
    put("description", json!(meta.description));
    put("author", json!(meta.author));
    put("license", json!(meta.license));
    put("date", json!(meta.date));
    put("modified", json!(meta.modified));
    put("references", json!(meta.references));
    put("falsepositives", json!(meta.falsepositives));
    match item {
        Item::Rule(index, rule) => {
            let views = views(choice, &rule.logsource).into_iter().map(|(view, pipelines)| {
                json!({ "logsource": source_json(&view), "pipelines": pipelines })
            });
            put("views", views.collect());
            put("fields", json!(rule.fields()));
            put("selections", selections(rule));
            put("condition", json!(rule.detection.written));
            put("filters", json!(rule.filters));
            put("alerts", json!(!choice.loaded.active.rules.is_silent(index)));
        }
        Item::Correlation(resolved) => {
            let correlation = &resolved.correlation;
            let parts = parts(choice, correlation, &resolved.targets).into_iter();
            let parts = parts.map(|[name, title]| json!({ "rule": name, "title": title }));
            put("type", json!(correlation.kind.name()));
            put("rules", parts.collect());
            put("group_by", json!(correlation.group_by));
            put("timespan_s", json!(correlation.timespan.as_secs_f64()));
            put("condition", json!(firing(correlation)));
            put("generate", json!(correlation.generate));
        }
    }
    put("text", json!(document(choice, item)));
    Value::Object(object)
}

fn shown(choice: &Choice, item: Item<'_>, palette: Palette) -> String {
    let meta = item.meta();
    let mut account = Account::new(palette);
    account.heading(&escape(&meta.title));
    if let Some(id) = &meta.id {
        account.row("id", escape(id));
    }
    if let Some(name) = &meta.name {
        account.row("name", escape(name));
    }
    let level = meta.level().name();
    account.row("level", palette.level(level, level));
    if let Some(status) = meta.status {
        account.row("status", status.name());
    }
    let (tactics, techniques) = operators::sigma::finding::attack(&meta.tags);
    if !tactics.is_empty() || !techniques.is_empty() {
        let tags: Vec<String> = tactics.into_iter().chain(techniques).collect();
        account.row("ATT&CK", escape(&tags.join(", ")));
    }
    if !meta.tags.is_empty() {
        account.row("tags", escape(&meta.tags.join(", ")));
    }
    account.row("file", escape(&format!("{}:{}", meta.file, meta.at.line)));
    if let Some(description) = &meta.description {
        account.row("", escape(&description.replace('\n', " ")));
    }
    match item {
        Item::Rule(index, rule) => {
            account.heading("Log source");
            account.row("asks for", escape(&rule.logsource.to_string()));
            let views = views(choice, &rule.logsource);
            if views.is_empty() {
                account.row("here", palette.bad("no receiver and no pipeline yields it"));
            }
            for (view, pipelines) in views {
                let by = match pipelines.is_empty() {
                    true => String::new(),
                    false => format!("  by {}", pipelines.join(", ")),
                };
                let by = palette.faint(escape(&by)).to_string();
                account.row("here", format_args!("{}{by}", escape(&short(&view))));
            }
            account.heading("Looks for");
            for selection in &rule.detection.selections {
                let mut items = Vec::new();
                each_item(&selection.search, &mut |item| {
                    let name = if item.written.is_empty() { "keywords" } else { &item.written };
                    items.push(format!("{name} ({})", item.values.len()));
                });
                account.row(&escape(&selection.name), escape(&items.join(", ")));
            }
            account.row("condition", palette.strong(escape(&rule.detection.written)));
            if choice.loaded.active.rules.is_silent(index) {
                account.row("alerts", "not by itself; a correlation looks at it");
            }
            for filter in &rule.filters {
                account.row("filter", escape(filter));
            }
        }
        Item::Correlation(resolved) => {
            let correlation = &resolved.correlation;
            account.heading("Correlates");
            account.row("type", correlation.kind.name());
            for [name, title] in parts(choice, correlation, &resolved.targets) {
                account.row(
                    "rule",
                    format_args!("{}  {}", escape(title), palette.faint(escape(name))),
                );
            }
            if !correlation.group_by.is_empty() {
                account.row("by", escape(&correlation.group_by.join(", ")));
            }
            let span = correlation.timespan.0.max(0).unsigned_abs();
            account.row("within", humanised(std::time::Duration::from_nanos(span)));
            account.row("fires when", escape(&firing(correlation)));
        }
    }
    account.heading("Text");
    for line in escape_lines(document(choice, item).trim_end()).lines() {
        account.line(format_args!("  {line}"));
    }
    account.text
}
