//! `rules test --against` and `--state`: what rules would have said of logs.
//!
//! Files are read as `replay` reads them, and stored events from the journal as they came in.
//! Rules about one event are asked here; if there are correlations, the same records go through
//! an engine of their own as well.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use operators::sigma::finding::identity;
use operators::sigma::{RuleIndex, Sigma};
use operators::types::{Alert, Batch, Block, Event, EventTime, Record, Text};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::choice::{Choice, Item};
use super::live::Live;
use super::{item_json, list};
use crate::cli::args::{Global, RulesTestArgs};
use crate::cli::escape::escape;
use crate::cli::exit::Exit;
use crate::cli::numbers::{TimeArgument, counted, grouped, humanised, moment};
use crate::cli::progress::{Measured, Progress, Unit};
use crate::cli::style::Palette;
use crate::cli::{Failure, Outcome, configuration_of_rules, print, state_flag};
use crate::config::settings::Settings;
use crate::intake::{CHANNEL_INTAKES, Intake};
use crate::journal::{Fed, Reader};
use crate::receivers::file::{self, ReplayError, ReplayOptions, read_all};
use crate::receivers::{Context, Counters, DeadLetters};
use crate::rules;
use crate::rules::files::Want;
use crate::verbs;
use crate::verbs::reading::{Reading, RecordReader, journal_failure};

/// How many entities and hosts are named.
const TOP: usize = 5;
/// How many different ones are counted for a rule; later ones are left out.
const NAMES_MAX: usize = 100_000;
/// Of how many matches of a rule the selections are asked.
const EXPLAINED_MAX: u64 = 20_000;
/// How often the bar moves.
const STEP: Duration = Duration::from_millis(100);

pub(super) fn backtest(global: &Global, args: &RulesTestArgs) -> Outcome {
    let loaded = configuration_of_rules(global, state_flag(args.state.as_deref()))?;
    let settings = &loaded.settings;
    verbs::end_on_panic();
    let choice = Choice::of(settings, &args.rules, Want::Rules)?;
    let items = choice.items();
    if items.is_empty() {
        let error = "there is no rule to try";
        let hint = "`seerflow-dataflow rules lint` says what is wrong with those that are meant";
        return Err(Failure::new(Exit::Failed, error).with_hint(hint));
    }
    let started = Instant::now();
    let mut trial = Trial::new(settings, &choice, &items, args.samples)?;
    let quiet = global.quiet || args.json;
    let (mut problems, bar) = match args.state {
        Some(_) => stored(settings, &mut trial, quiet)?,
        None => files(settings, args, &mut trial, quiet)?,
    };
    bar.bar.say("working off");
    let ended = trial.finish(&choice);
    bar.bar.finish();
    let (events, tried) = ended?;
    problems.extend(rules::faults_of_pipelines(settings));
    let palette = Palette::stderr(global.color);
    for problem in &problems {
        writeln!(io::stderr(), "{} {}", palette.bad("warning:"), escape(problem))?;
    }
    let seconds = started.elapsed();

    let palette = Palette::stdout(global.color);
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(tried[*at].matches));
    let silent = tried.iter().filter(|one| one.matches == 0).count() as u64;
    let mut text = String::new();
    for at in order {
        let (item, one) = (items[at], &tried[at]);
        match args.json {
            true => text.push_str(&format!("{}\n", to_json(item, one, events))),
            // Of many rules, those that say nothing are counted.
            false if one.matches == 0 && items.len() > 1 => {}
            false => text.push_str(&shown(item, one, events, palette)),
        }
    }
    match args.json {
        true => {
            let matched = items.len() as u64 - silent;
            let summary = json!({
                "type": "summary",
                "rules": items.len(),
                "matched": matched,
                "events": events,
                "problems": problems,
                "seconds": seconds.as_secs_f64(),
            });
            text.push_str(&format!("{summary}\n"));
        }
        false => text.push_str(&format!(
            "{}, {}, of which {} matched nothing; {}\n",
            counted(events, "event"),
            counted(items.len() as u64, "rule"),
            grouped(silent),
            humanised(seconds),
        )),
    }
    print(&text)?;
    list::tell_missing(global, &choice, items.len())?;
    Ok(Exit::Ok)
}

/// What a rule said.
#[derive(Default)]
struct Tried {
    matches: u64,
    /// Alerts, of a correlation.
    alerts: u64,
    times: Option<(EventTime, EventTime)>,
    /// In how many of the first [`EXPLAINED_MAX`] matches each selection held.
    selections: BTreeMap<String, u64>,
    entities: BTreeMap<(String, String), u64>,
    hosts: BTreeMap<String, u64>,
    samples: Vec<Sample>,
}

struct Sample {
    seq: u64,
    time: EventTime,
    source: String,
    raw: String,
}

impl Tried {
    fn note_time(&mut self, first: EventTime, last: EventTime) {
        let (from, to) = self.times.unwrap_or((first, last));
        self.times = Some((from.min(first), to.max(last)));
    }

    fn note_entity(&mut self, kind: &str, value: &str, count: u64) {
        add(&mut self.entities, (kind.to_owned(), value.to_owned()), count);
    }
}

fn add<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K, by: u64) {
    if let Some(count) = counts.get_mut(&key) {
        *count += by;
    } else if counts.len() < NAMES_MAX {
        counts.insert(key, by);
    }
}

/// Rules at work on records.
struct Trial {
    reader: RecordReader,
    sigma: Sigma,
    /// The place among the rules that are tried, by the number of a rule of the set.
    places: BTreeMap<u32, usize>,
    /// Those of correlations, by their identity.
    correlations: BTreeMap<String, usize>,
    tried: Vec<Tried>,
    live: Option<Live>,
    samples: usize,
    events: u64,
}

impl Trial {
    fn new(
        settings: &Settings,
        choice: &Choice,
        items: &[Item<'_>],
        samples: usize,
    ) -> Result<Self, Failure> {
        let active = &choice.loaded.active;
        let (mut places, mut correlations) = (BTreeMap::new(), BTreeMap::new());
        for (place, item) in items.iter().enumerate() {
            match item {
                Item::Rule(index, _) => drop(places.insert(index.0, place)),
                Item::Correlation(resolved) => {
                    let identity = identity(&resolved.correlation.meta).to_owned();
                    correlations.insert(identity, place);
                }
            }
        }
        let live = match correlations.is_empty() {
            true => None,
            false => Some(Live::start(settings, active)?),
        };
        Ok(Trial {
            reader: RecordReader::new(settings),
            sigma: Sigma::new(&Arc::new(active.clone())),
            places,
            correlations,
            tried: items.iter().map(|_| Tried::default()).collect(),
            live,
            samples,
            events: 0,
        })
    }

    /// Takes records that were read from a file.
    fn intake(&mut self, intake: Intake) {
        let mut text = String::with_capacity(intake.bytes.len());
        let mut records = Vec::with_capacity(intake.ends.len());
        for (bytes, mut flags) in intake.records() {
            let start = text.len();
            let decoded = String::from_utf8_lossy(bytes);
            if let std::borrow::Cow::Owned(_) = decoded {
                flags.set(operators::types::Flags::NOT_UTF8);
            }
            text.push_str(&decoded);
            let text = Text::in_block(start, text.len() - start);
            records.push(Record { text, source: 0, received_at: intake.received_at, flags });
        }
        let (sources, ended) = (Arc::new(vec![intake.source.clone()]), Vec::new());
        let first_seq = self.events;
        self.block(Arc::new(Block { epoch: 0, first_seq, text, records, sources, ended }));
        if let Some(live) = &mut self.live {
            live.give(intake);
        }
    }

    /// Takes records from the journal.
    fn stored(&mut self, block: Arc<Block>) {
        if let Some(live) = &mut self.live {
            let mut intake: Option<(u32, Intake)> = None;
            for record in &block.records {
                let fits = |(source, intake): &(u32, Intake)| {
                    *source == record.source
                        && intake.received_at == record.received_at
                        && !intake.is_full()
                };
                if !intake.as_ref().is_some_and(fits) {
                    if let Some((_, full)) = intake.take() {
                        live.give(full);
                    }
                    let mut next = Intake::new(block.sources[record.source as usize].clone());
                    next.received_at = record.received_at;
                    intake = Some((record.source, next));
                }
                let (_, intake) = intake.as_mut().expect("it was just made");
                intake.push(block.text(record.text).as_bytes(), record.flags);
            }
            if let Some((_, last)) = intake {
                live.give(last);
            }
        }
        self.block(block);
    }

    fn block(&mut self, block: Arc<Block>) {
        self.events += block.records.len() as u64;
        if self.places.is_empty() {
            return;
        }
        let mut batch = self.reader.block(block);
        self.sigma.detect(&mut batch);
        for (at, rule) in &batch.hits {
            let Some(place) = self.places.get(rule) else { continue };
            let event = &batch.events[*at as usize];
            let tried = &mut self.tried[*place];
            tried.matches += 1;
            tried.note_time(event.time, event.time);
            for entity in batch.entities(event) {
                tried.note_entity(entity.kind.name(), batch.text(entity.value), 1);
            }
            let host = batch.text(event.host);
            if !host.is_empty() {
                add(&mut tried.hosts, host.to_owned(), 1);
            }
            if tried.samples.len() < self.samples {
                tried.samples.push(sample(&batch, event));
            }
            if tried.matches <= EXPLAINED_MAX {
                let explained = self.sigma.explain(&batch, event, RuleIndex(*rule));
                for selection in explained.selections.iter().filter(|one| one.wanted) {
                    let count = tried.selections.entry(selection.name.clone()).or_default();
                    *count += u64::from(selection.holds);
                }
            }
        }
    }

    /// Ends it: how many events there were, and what each rule said.
    fn finish(mut self, choice: &Choice) -> Result<(u64, Vec<Tried>), Failure> {
        if let Some(live) = self.live.take() {
            for alert in live.finish(&choice.loaded.active.rules)? {
                if let Some(place) = self.correlations.get(&alert.rule) {
                    note_alert(&mut self.tried[*place], &alert, self.samples);
                }
            }
        }
        Ok((self.events, self.tried))
    }
}

fn sample(batch: &Batch, event: &Event) -> Sample {
    Sample {
        seq: event.seq,
        time: event.time,
        source: batch.block.sources[event.source as usize].to_string(),
        raw: batch.text(event.raw).to_owned(),
    }
}

/// Counts an alert of a correlation.
fn note_alert(tried: &mut Tried, alert: &Alert, samples: usize) {
    let time = |text: &str| {
        let time = text.parse::<TimeArgument>().ok();
        time.map_or(EventTime::MIN, |time| time.moment(EventTime::MIN))
    };
    tried.alerts += 1;
    tried.matches += alert.count;
    tried.note_time(time(&alert.event_time), time(&alert.last_time));
    tried.note_entity(&alert.entity.kind, &alert.entity.value, alert.count);
    if !alert.host.is_empty() {
        add(&mut tried.hosts, alert.host.clone(), alert.count);
    }
    if tried.samples.len() < samples {
        tried.samples.push(Sample {
            seq: alert.events.last().copied().unwrap_or(0),
            time: time(&alert.event_time),
            source: alert.source.clone(),
            raw: alert.message.clone(),
        });
    }
}

/// A bar that is shown on a terminal, and not too often.
struct Bar {
    bar: Progress,
    next: Instant,
}

impl Bar {
    fn new(total: Option<u64>, quiet: bool) -> Self {
        Bar { bar: Progress::new(Unit::Bytes, total, quiet), next: Instant::now() + STEP }
    }

    fn show(&mut self, done: u64, events: u64) {
        if Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + STEP;
        let (total, said) = (None, counted(events, "event"));
        self.bar.show(&Measured { done, total, said });
    }
}

/// Tries rules on files; what could not be read, in words.
fn files(
    settings: &Settings,
    args: &RulesTestArgs,
    trial: &mut Trial,
    quiet: bool,
) -> Result<(Vec<String>, Bar), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Internal, error))?;
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<Intake>(CHANNEL_INTAKES);
    let shutdown = CancellationToken::new();
    let stopped = verbs::stop_on_signal(&runtime, shutdown.clone());
    let context = Context { sender, dead_letters: DeadLetters::none(), shutdown };
    let counters = Arc::new(Counters::default());
    let reading = Arc::new(file::Progress::default());
    let paths: Vec<String> =
        args.against.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    let options = ReplayOptions { line_max: settings.receivers.max_line_bytes };
    let progress = Arc::clone(&reading);
    let read = runtime.spawn(async move {
        read_all(&paths, &options, &[], &context, &counters, &progress).await
    });
    let mut bar: Option<Bar> = None;
    while let Some(intake) = receiver.blocking_recv() {
        trial.intake(intake);
        let total = reading.bytes_total.load(Ordering::Relaxed);
        let bar = bar.get_or_insert_with(|| Bar::new((total > 0).then_some(total), quiet));
        bar.show(reading.bytes_done.load(Ordering::Relaxed), trial.events);
    }
    let outcome = runtime.block_on(read).map_err(|error| Failure::new(Exit::Internal, error))?;
    let outcome = outcome.map_err(|error| {
        let exit = match error {
            ReplayError::Panicked(_) => Exit::Internal,
            _ => Exit::NoInput,
        };
        Failure::new(exit, error)
    })?;
    let problems = outcome.problems.iter();
    let mut problems: Vec<String> =
        problems.map(|problem| format!("{}: {}", problem.path, problem.reason)).collect();
    if outcome.stopped || stopped.load(Ordering::Acquire) {
        problems.push("it was stopped; what was read until then is shown".to_owned());
    }
    Ok((problems, bar.unwrap_or_else(|| Bar::new(None, true))))
}

/// Tries rules on the events that are stored; what could not be read, in words.
fn stored(
    settings: &Settings,
    trial: &mut Trial,
    quiet: bool,
) -> Result<(Vec<String>, Bar), Failure> {
    // Says what is wrong with a folder that is none of state.
    let info = Reading::open(settings)?.journal()?;
    let dir = &settings.state.dir;
    let (_, _, reader) = Reader::oldest(dir).map_err(journal_failure)?;
    let mut bar = Bar::new(Some(info.bytes.max(1)), quiet);
    let total = (info.seqs.end - info.seqs.start).max(1);
    let mut problems = Vec::new();
    for fed in reader {
        match fed {
            Ok(Fed::Block(block)) => trial.stored(block),
            Ok(_) => {}
            Err(error) => {
                let causes = crate::error_chain(&error);
                problems.push(format!("{error}: {causes}; what comes before is shown"));
                break;
            }
        }
        bar.show((info.bytes as f64 * trial.events as f64 / total as f64) as u64, trial.events);
    }
    Ok((problems, bar))
}

/// The most frequent ones.
fn top<K: Clone + Ord>(counts: &BTreeMap<K, u64>) -> Vec<(K, u64)> {
    let mut all: Vec<(K, u64)> = counts.iter().map(|(key, count)| (key.clone(), *count)).collect();
    all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    all.truncate(TOP);
    all
}

fn to_json(item: Item<'_>, tried: &Tried, events: u64) -> Value {
    let mut object = item_json(item);
    let mut put = |key: &str, value: Value| drop(object.insert(key.to_owned(), value));
    put("type", json!("rule"));
    put("events", json!(events));
    put("matches", json!(tried.matches));
    if let Item::Correlation(_) = item {
        put("alerts", json!(tried.alerts));
    }
    put("rate", json!(tried.matches as f64 / (events.max(1) as f64)));
    put("first", json!(tried.times.map(|(first, _)| first.to_rfc3339())));
    put("last", json!(tried.times.map(|(_, last)| last.to_rfc3339())));
    let selections = tried.selections.iter();
    let selections = selections.map(|(name, count)| json!({ "name": name, "matches": count }));
    put("selections", selections.collect());
    let entities = top(&tried.entities).into_iter();
    let entities = entities
        .map(|((kind, value), count)| json!({ "kind": kind, "value": value, "matches": count }));
    put("entities", entities.collect());
    let hosts = top(&tried.hosts).into_iter();
    let hosts = hosts.map(|(host, count)| json!({ "host": host, "matches": count }));
    put("hosts", hosts.collect());
    let samples = tried.samples.iter().map(|sample| {
        json!({
            "seq": sample.seq,
            "event_time": sample.time.to_rfc3339(),
            "source": sample.source,
            "raw": sample.raw,
        })
    });
    put("samples", samples.collect());
    Value::Object(object)
}

fn shown(item: Item<'_>, tried: &Tried, events: u64, palette: Palette) -> String {
    let meta = item.meta();
    let level = meta.level().name();
    let mut account = verbs::explain::Account::new(palette);
    account.heading(&escape(&meta.title));
    account.row("level", palette.level(level, level));
    account.row("rule", escape(identity(meta)));
    let rate = match events {
        0 => String::new(),
        _ => format!(", {}", share(tried.matches, events)),
    };
    let word = if tried.matches == 1 { "match" } else { "matches" };
    let mut matches = format!("{} {word}", grouped(tried.matches));
    if let Item::Correlation(_) = item {
        matches.push_str(&format!(" in {}", counted(tried.alerts, "alert")));
    }
    account.row("matches", format!("{matches} of {}{rate}", counted(events, "event")));
    if let Some((first, last)) = tried.times {
        account.row("from", format!("{} to {}", moment(first), moment(last)));
    }
    let asked = tried.matches.min(EXPLAINED_MAX);
    for (name, count) in &tried.selections {
        let count = format!("{} of {}", grouped(*count), grouped(asked));
        account.row("selection", format!("{}  {count}", escape(name)));
    }
    for ((kind, value), count) in top(&tried.entities) {
        account.row(&kind, format!("{:>8}  {}", grouped(count), escape(&value)));
    }
    for (host, count) in top(&tried.hosts) {
        account.row("on host", format!("{:>8}  {}", grouped(count), escape(&host)));
    }
    for sample in &tried.samples {
        let place = format!("#{}  {}", sample.seq, moment(sample.time));
        account.row("sample", palette.faint(place));
        account.row("", escape(&sample.raw));
    }
    account.text.push('\n');
    account.text
}

/// A share of events as people read it.
fn share(part: u64, whole: u64) -> String {
    let percent = part as f64 * 100.0 / whole as f64;
    match part {
        0 => "0 %".to_owned(),
        _ if percent >= 0.01 => format!("{percent:.2} %"),
        _ => format!("1 in {}", grouped(whole / part)),
    }
}
