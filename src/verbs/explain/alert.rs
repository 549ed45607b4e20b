//! Why there is an alert: what was found, by whom, against which threshold, in which events.

use operators::sigma::explain::KEYWORDS;
use operators::types::finding::EVENTS_MAX;
use operators::types::{Alert, EventTime};
use serde_json::{Value, json};

use super::{Account, probability};
use crate::cli::args::{ExplainArgs, Global};
use crate::cli::escape::escape;
use crate::cli::exit::Exit;
use crate::cli::numbers::{TimeArgument, grouped, moment};
use crate::cli::style::Palette;
use crate::cli::{Failure, Outcome, print};
use crate::config::settings::Settings;
use crate::render::LineWriter;
use crate::verbs::reading::{Events, Reading, journal_failure, storage_failure};

/// How much of an id there must be.
const PREFIX_MIN: usize = 4;
/// How many alerts are named if a prefix means several.
const NAMED_MAX: usize = 5;

/// `explain [ALERT_ID]`.
pub(super) fn explain(global: &Global, args: &ExplainArgs, settings: &Settings) -> Outcome {
    let mut reading = Reading::open(settings)?;
    let alert = match &args.alert {
        Some(id) => find(&reading, id)?,
        None => newest(&reading)?,
    };
    let history = History {
        events: stored(&mut reading, &alert.events)?,
        context: stored(&mut reading, &alert.context)?,
    };
    let text = match args.json {
        true => json(&alert, &history, &reading),
        false => human(&alert, &history, Palette::stdout(global.color)),
    };
    print(&text)?;
    Ok(Exit::Ok)
}

/// What the journal still has of an alert's events.
struct History {
    /// Those that it rests on.
    events: Vec<Events>,
    /// Those of the entity before.
    context: Vec<Events>,
}

/// Those of some events that the journal still has.
fn stored(reading: &mut Reading, seqs: &[u64]) -> Result<Vec<Events>, Failure> {
    let mut events = Vec::with_capacity(seqs.len());
    for seq in seqs {
        let found = reading.storage.found_of(*seq).map_err(storage_failure)?;
        let found = found.map(|(found, _)| found);
        let event = reading.events(found.as_ref(), &[*seq]).map_err(journal_failure)?;
        if !event.batch.events.is_empty() {
            events.push(event);
        }
    }
    Ok(events)
}

/// The alert with an id, or the only one whose id begins so.
fn find(reading: &Reading, id: &str) -> Result<Alert, Failure> {
    let id = id.trim().to_lowercase();
    if id.len() < PREFIX_MIN {
        let error =
            format!("`{id}` is too short for an alert's id; {PREFIX_MIN} characters will do");
        return Err(Failure::new(Exit::Usage, error));
    }
    let mut found = Vec::new();
    for alert in reading.storage.each_alert(&id).take(NAMED_MAX + 1) {
        found.push(alert.map_err(storage_failure)?);
    }
    match found.len() {
        0 => {
            let hint = "`seerflow-dataflow query alerts` lists them";
            Err(Failure::new(Exit::Failed, format!("no alert has the id `{id}`")).with_hint(hint))
        }
        1 => Ok(found.remove(0)),
        _ => {
            let ids = found.iter().take(NAMED_MAX).map(|alert| format!("`{}`", alert.id));
            let mut ids: Vec<String> = ids.collect();
            if found.len() > NAMED_MAX {
                ids.push("and more".to_owned());
            }
            let error = format!("several alerts have an id that begins with `{id}`");
            Err(Failure::new(Exit::Failed, error).with_hint(ids.join(", ")))
        }
    }
}

/// The alert that began last.
fn newest(reading: &Reading) -> Result<Alert, Failure> {
    let mut newest: Option<(EventTime, Alert)> = None;
    for alert in reading.storage.each_alert("") {
        let alert = alert.map_err(storage_failure)?;
        let time = time(&alert.event_time).unwrap_or(EventTime::MIN);
        let later = |(known, other): &(EventTime, Alert)| {
            (time, alert.epoch, &alert.id) > (*known, other.epoch, &other.id)
        };
        if newest.as_ref().is_none_or(later) {
            newest = Some((time, alert));
        }
    }
    newest
        .map(|(_, alert)| alert)
        .ok_or_else(|| Failure::new(Exit::Failed, "there is no alert yet"))
}

fn time(text: &str) -> Option<EventTime> {
    text.parse::<TimeArgument>().ok().map(|time| time.moment(EventTime::MIN))
}

/// One object: the alert, its events and its context as `replay --events` writes them, how many of
/// the events are gone.
fn json(alert: &Alert, history: &History, reading: &Reading) -> String {
    let mut writer = LineWriter::default();
    let mut objects = |events: &[Events]| -> Vec<Value> {
        let object = |event: &Events| {
            let mut line = Vec::new();
            event.json(0, &reading.templates, &mut writer, &mut line);
            serde_json::from_slice(&line).expect("it was just written")
        };
        events.iter().map(object).collect()
    };
    let object = json!({
        "alert": alert,
        "events": objects(&history.events),
        "events_gone": alert.events.len() - history.events.len(),
        "context": objects(&history.context),
    });
    format!("{object}\n")
}

fn human(alert: &Alert, history: &History, palette: Palette) -> String {
    let History { events, context } = history;
    let mut account = Account::new(palette);
    account.heading(&escape(&alert.title));
    account.row("alert", escape(&alert.id));
    let level = alert.severity.name();
    let kind = match alert.kind.as_str() {
        "ml" => "detector",
        _ => "rule",
    };
    account.row("level", palette.level(level, level));
    account.row(kind, escape(&alert.rule));
    let who = &alert.entity;
    account.row(
        "who",
        format_args!(
            "{} {}  {}",
            escape(&who.kind),
            palette.strong(escape(&who.value)),
            palette.faint(escape(&who.id))
        ),
    );
    account.row("when", when(alert));
    account.row("from", place(alert));
    let shown = match alert.kind.as_str() {
        "ml" => format!("{:.3}, alert from {:.3} on", alert.score, alert.threshold),
        _ => format!("{:.1}, by the level of the rule", alert.score),
    };
    account.row("score", shown);
    let tags: Vec<&str> =
        alert.tactics.iter().chain(&alert.techniques).map(String::as_str).collect();
    if !tags.is_empty() {
        account.row("ATT&CK", escape(&tags.join(", ")));
    }
    account.row("template", escape(&alert.template));

    if !alert.contributions.is_empty() {
        account.heading("Why");
    }
    for part in &alert.contributions {
        let rank = part.rank_p.map_or(String::new(), |rank| {
            format!("; {} by rank among past groups", probability(rank))
        });
        let p = format!("p {}{rank}", probability(part.p));
        account.row(part.detector.name(), palette.faint(p));
        if !part.why.is_empty() {
            account.row("", escape(&part.why));
        }
    }
    if let Some(matched) = &alert.matched {
        what_matched(&mut account, matched);
    }

    account.heading("Events that it rests on");
    for event in events {
        account.line(format_args!("  {}", event.human(0, palette)));
    }
    match alert.events.len() - events.len() {
        0 => {}
        gone => {
            let gone = format!(
                "  {gone} of {} are no longer in the journal; the first said: {}",
                alert.events.len(),
                escape(&alert.message)
            );
            account.line(palette.faint(gone));
        }
    }
    if alert.events.len() >= EVENTS_MAX {
        let kept =
            format!("  an alert keeps the first {EVENTS_MAX}; `query timeline` has them all");
        account.line(palette.faint(kept));
    }
    if !context.is_empty() {
        let who = format!("{} {}", escape(&alert.entity.kind), escape(&alert.entity.value));
        account.heading(&format!("Before that, about {who}"));
    }
    for event in context {
        account.line(format_args!("  {}", event.human(0, palette)));
    }
    account.text
}

/// The selections that hold, each with the record's values; whatever else is told is told as it is.
fn what_matched(account: &mut Account, matched: &Value) {
    account.heading("What matched");
    let Some(parts) = matched.as_object() else { return };
    for (name, part) in parts {
        match (name.as_str(), part) {
            ("tags", _) => {}
            ("selections", Value::Array(selections)) => {
                for selection in selections {
                    let items = selection["items"].as_array();
                    for item in items.into_iter().flatten() {
                        // Alerts that were stored earlier have nothing for keywords.
                        let is_field = |name: &&str| !name.is_empty() && *name != KEYWORDS;
                        let name = item["item"].as_str().filter(is_field);
                        let values = item["values"].as_array().into_iter().flatten();
                        let values = values.map(|value| format!("`{}`", text(value)));
                        let values = values.collect::<Vec<_>>().join(", ");
                        let item = format!("{} has {values}", name.unwrap_or("the record"));
                        account.row(&escape(&text(&selection["name"])), escape(&item));
                    }
                }
            }
            (name, part) => account.row(&escape(name), escape(&text(part))),
        }
    }
}

/// A value as people write it.
fn text(value: &Value) -> String {
    let list = |parts: Vec<String>| parts.join(", ");
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => list(parts.iter().map(text).collect()),
        Value::Object(parts) => {
            list(parts.iter().map(|(name, part)| format!("{name} {}", text(part))).collect())
        }
        other => other.to_string(),
    }
}

fn when(alert: &Alert) -> String {
    let shown = |text: &str| time(text).map_or_else(|| escape(text).into_owned(), moment);
    let (first, last) = (shown(&alert.event_time), shown(&alert.last_time));
    let span = if first == last { first } else { format!("{first} to {last}") };
    let findings = if alert.count == 1 { "finding" } else { "findings" };
    format!("{span}, {} {findings}, epoch {}", grouped(alert.count), alert.epoch)
}

fn place(alert: &Alert) -> String {
    let host = match alert.host.as_str() {
        "" => String::new(),
        host => format!(", host {}", escape(host)),
    };
    format!("{}{host}", escape(&alert.source))
}
