//! `query`: shows what is stored.
//!
//! Lines go to standard output, one for each thing that is shown; a word about what is missing
//! goes to standard error. That nothing is found is no failure.

mod filter;
mod listing;
mod newest;

use std::collections::BTreeSet;
use std::io::{self, BufWriter, StdoutLock, Write};

use operators::types::{Alert, EventTime};

use self::filter::{AlertFilter, Entity, EventFilter, Part, Range, RuleName, Templates};
use self::newest::{Newest, Shape};
use super::reading::{Reading, journal_failure, storage_failure};
use crate::cli::args::{AlertsArgs, EventsArgs, Global, QueryVerb, TimelineArgs};
use crate::cli::exit::Exit;
use crate::cli::numbers::{TimeArgument, grouped};
use crate::cli::style::Palette;
use crate::cli::{Failure, Outcome, configuration, state_flag};
use crate::journal::JournalError;
use crate::outlets;

/// Does it.
///
/// # Errors
/// If the configuration is wrong, or the state cannot be read.
pub fn query(global: &Global, verb: &QueryVerb) -> Outcome {
    let args = verb.reading();
    let loaded = configuration(global, state_flag(args.state.as_deref()))?;
    let mut reading = Reading::open(&loaded.settings)?;
    let mut out = Out::new(global, args.json);
    let damage = match verb {
        QueryVerb::Events(args) => events(&mut reading, args, &mut out)?,
        QueryVerb::Timeline(args) => timeline(&mut reading, args, &mut out)?,
        QueryVerb::Alerts(args) => alerts(&reading, args, &mut out).map(|()| None)?,
        QueryVerb::Entities(args) => {
            listing::entities(&mut reading, args, &mut out).map(|()| None)?
        }
        QueryVerb::Templates(args) => {
            listing::templates(&mut reading, args, &mut out).map(|()| None)?
        }
    };
    out.stdout.flush()?;
    if let Some(damage) = damage {
        let hint = "what could be read is shown";
        return Err(journal_failure(damage).with_hint(hint));
    }
    if out.lines == 0 && !global.quiet {
        writeln!(io::stderr(), "nothing found")?;
    }
    Ok(Exit::Ok)
}

/// Where what is found goes.
struct Out {
    stdout: BufWriter<StdoutLock<'static>>,
    palette: Palette,
    json: bool,
    lines: u64,
}

impl Out {
    fn new(global: &Global, json: bool) -> Self {
        let stdout = BufWriter::with_capacity(1 << 16, io::stdout().lock());
        Out { stdout, palette: Palette::stdout(global.color), json, lines: 0 }
    }

    fn shape(&self) -> Shape {
        match self.json {
            true => Shape::Json,
            false => Shape::Human(self.palette),
        }
    }

    fn line(&mut self, line: impl AsRef<[u8]>) -> io::Result<()> {
        self.lines += 1;
        self.stdout.write_all(line.as_ref())?;
        self.stdout.write_all(b"\n")
    }
}

fn events(
    reading: &mut Reading,
    args: &EventsArgs,
    out: &mut Out,
) -> Result<Option<JournalError>, Failure> {
    let range = Range::of(&args.reading)?;
    let rule = args.rule.clone().map(RuleName);
    let mut alerted = BTreeSet::new();
    if rule.is_some() {
        let all = Range { since: EventTime::MIN, until: EventTime::MAX };
        let filter = AlertFilter { rule: rule.clone(), ..AlertFilter::all(all) };
        alerted.extend(taken_alerts(reading, &filter)?.into_iter().flat_map(|(_, a)| a.events));
    }
    let filter = EventFilter {
        range,
        entity: args.entity.as_deref().map(|name| Entity::of(name, args.kind)).transpose()?,
        // With a name, the kind says what the name is of.
        kind: args.kind.filter(|_| args.entity.is_none()),
        templates: args.template.as_deref().map(|text| Templates::of(text, &reading.templates)),
        source: Part::optional(args.source.as_deref()),
        severity: args.severity,
        rule,
        alerted,
        grep: Part::optional(args.grep.as_deref()),
    };
    let shape = out.shape();
    let mut newest = Newest::new(reading, &filter, shape, args.reading.limit)?;
    while let Some(shown) = newest.next()? {
        out.line(&shown.text)?;
    }
    Ok(newest.damage)
}

fn alerts(reading: &Reading, args: &AlertsArgs, out: &mut Out) -> Result<(), Failure> {
    let filter = AlertFilter {
        entity: args.entity.as_deref().map(|name| Entity::of(name, args.kind)).transpose()?,
        kind: args.kind,
        templates: args.template.as_deref().map(|text| Templates::of(text, &reading.templates)),
        template_text: Part::optional(args.template.as_deref()),
        source: Part::optional(args.source.as_deref()),
        level: args.level,
        rule: args.rule.clone().map(RuleName),
        grep: Part::optional(args.grep.as_deref()),
        ..AlertFilter::all(Range::of(&args.reading)?)
    };
    let limit = if args.reading.limit == 0 { usize::MAX } else { args.reading.limit };
    let taken = taken_alerts(reading, &filter)?;
    for (_, alert) in taken.iter().take(limit) {
        let line = alert_line(alert, out.shape());
        out.line(line)?;
    }
    Ok(())
}

/// The alerts that a filter takes and when each began, the newest first.
fn taken_alerts(
    reading: &Reading,
    filter: &AlertFilter,
) -> Result<Vec<(EventTime, Alert)>, Failure> {
    let mut taken = Vec::new();
    for alert in reading.storage.each_alert("") {
        let alert = alert.map_err(storage_failure)?;
        let times = (time(&alert.event_time), time(&alert.last_time));
        if filter.takes(&alert, times, &reading.templates) {
            taken.push((times.0, alert));
        }
    }
    taken.sort_by(|(a, one), (b, other)| (b, other.epoch, &one.id).cmp(&(a, one.epoch, &other.id)));
    Ok(taken)
}

/// The moment that an alert spells.
fn time(text: &str) -> EventTime {
    text.parse::<TimeArgument>().map_or(EventTime::MIN, |time| time.moment(EventTime::MIN))
}

fn alert_line(alert: &Alert, shape: Shape) -> String {
    match shape {
        Shape::Json => serde_json::to_string(alert).expect("plain data"),
        Shape::Human(palette) => {
            let line = outlets::human(alert, palette);
            match alert.count {
                0 | 1 => line,
                count => format!("{line}  {}", palette.faint(format_args!("×{}", grouped(count)))),
            }
        }
    }
}

/// Events and alerts in the order in which they happened; the newest `limit` of both together.
fn timeline(
    reading: &mut Reading,
    args: &TimelineArgs,
    out: &mut Out,
) -> Result<Option<JournalError>, Failure> {
    let entity = Entity::of(&args.entity, args.kind)?;
    let range = Range::of(&args.reading)?;
    let shape = out.shape();
    let filter =
        AlertFilter { entity: Some(entity.clone()), level: args.level, ..AlertFilter::all(range) };
    // At the same moment an event comes before the alert that it raised.
    let mut steps: Vec<((EventTime, bool, u64), Vec<u8>)> = Vec::new();
    for (time, alert) in taken_alerts(reading, &filter)? {
        let line = match shape {
            Shape::Json => tagged("alert", alert_line(&alert, shape).as_bytes()),
            Shape::Human(palette) => {
                let mark = palette.level(alert.severity.name(), "!");
                format!("{mark} {}", alert_line(&alert, shape)).into_bytes()
            }
        };
        let seq = alert.events.first().copied().unwrap_or(0);
        steps.push(((time, true, seq), line));
    }
    let mut damage = None;
    if args.level.is_none() {
        let filter = EventFilter {
            range,
            entity: Some(entity),
            kind: None,
            templates: None,
            source: None,
            severity: None,
            rule: None,
            alerted: BTreeSet::new(),
            grep: None,
        };
        let mut newest = Newest::new(reading, &filter, shape, args.reading.limit)?;
        while let Some(shown) = newest.next()? {
            let line = match shape {
                Shape::Json => tagged("event", &shown.text),
                Shape::Human(_) => [b"  ", &shown.text[..]].concat(),
            };
            steps.push(((shown.time, false, shown.seq), line));
        }
        damage = newest.damage;
    }
    steps.sort();
    let limit = if args.reading.limit == 0 { steps.len() } else { args.reading.limit };
    for (_, line) in &steps[steps.len().saturating_sub(limit)..] {
        out.line(line)?;
    }
    Ok(damage)
}

/// An object of JSON that says what it is.
fn tagged(what: &str, object: &[u8]) -> Vec<u8> {
    let mut line = format!("{{\"type\":\"{what}\",").into_bytes();
    line.extend_from_slice(&object[1..]);
    line
}
