//! Rules against records, ours and rsigma's, in one run on one core.
//!
//! `cargo run --release --ignore-rust-version --manifest-path benches/sigma/Cargo.toml`
//!
//! Ours is what the program does with a record: parse it, make fields and views of it, and match
//! it. rsigma gets the same fields under the same names, ready made, and the log source of each
//! view, so that it looks only at rules for it. It is measured with and without reading JSON.
//!
//! The samples are few, and they come again and again: what a matcher remembers is of great use.
//! "Later" are the same things that happen at other times, in other processes and sessions, as
//! they do on hosts; "never seen" are the same records with the letters of all values in another
//! case each time, so that hardly any value comes twice and what is remembered is of no use.
//!
//! Times are those for which the thread ran. With the argument `ours` nothing else is measured.
//!
//! The corpus is found by `SEERFLOW_SHARED`, or in `../shared` beside the checkout.

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use operators::parse::{self, Parser};
use operators::sigma::{
    self, Active, Document, LogSource, Options, Parsed, RuleSet, Sigma, Status, fields,
};
use operators::types::{Batch, Block, EventTime, Flags, Record, Source, Span, Text};
use rsigma_eval::{Engine, JsonEvent};
use serde_json::Value;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many times each measurement is taken; the least counts.
const ROUNDS: usize = 5;
/// How many records are looked at in a round, at least.
const RECORDS: usize = 20_000;
/// How many records are parsed at a time, at most.
const BLOCK: usize = 512;

type Files = Vec<(String, Vec<u8>)>;

fn main() {
    let shared = std::env::var_os("SEERFLOW_SHARED").map(PathBuf::from);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = shared.unwrap_or_else(|| root.join("../shared"));
    let corpus = shared.join("data/sigma/rules.tar.xz");
    let Ok(packed) = std::fs::read(&corpus) else {
        println!("skipped: there is no {}; set SEERFLOW_SHARED", corpus.display());
        return;
    };
    let files = for_hosts(unpack(&packed));
    let samples = samples(&shared.join("data/sigma/regression.jsonl"));
    let syslog = syslog(&shared.join("data/loghub"));
    let started = Instant::now();
    let all = active(&files);
    println!("{} rules compiled in {:.0?}, ours", all.rules.len(), started.elapsed());
    let some: Files = every(&files, 80);
    let sets = [("0", active(&[])), ("80", active(&some)), ("all", Arc::clone(&all))];

    println!("\n{:<28}{:>8}{:>12}{:>14}", "", "rules", "ns/record", "records/s");
    let mut ours = BTreeMap::new();
    let unseen = changed(&samples, RECORDS, recase);
    let later = changed(&samples, RECORDS, renumber);
    let corpora =
        [("samples", &samples), ("later", &later), ("never seen", &unseen), ("syslog", &syslog)];
    for (what, records) in corpora {
        for (name, set) in &sets {
            let measured = measure(set, records);
            row(&format!("ours, {what}"), name, measured.whole);
            row("  of it matching", name, measured.matching);
            ours.insert((what, *name), measured.whole);
            println!("{:<28}{name:>8}{:>12.2}", "  hits of a record", measured.hits);
        }
        let ratio = ours[&(what, "all")].as_secs_f64() / ours[&(what, "80")].as_secs_f64();
        println!("{:<28}{:>8}{ratio:>11.2}×", "  all rules cost, of 80", "");
    }
    if std::env::args().any(|argument| argument == "ours") {
        return;
    }
    let [flat, sources] = flat(&all, &samples);
    for (name, files) in [("80", &some), ("all", &files)] {
        let engine = engine(files);
        let (values, sources): (Vec<Value>, Vec<Vec<rsigma_parser::LogSource>>) = (
            flat.iter().map(|text| serde_json::from_str(text).expect("our own JSON")).collect(),
            sources.iter().map(|text| log_sources(text)).collect(),
        );
        let ready = best(samples.len(), || {
            for (value, sources) in values.iter().zip(&sources) {
                let event = JsonEvent::borrow(value);
                for source in sources {
                    black_box(engine.evaluate_pruned(&event, source));
                }
            }
        });
        let read = best(samples.len(), || {
            for (text, sources) in flat.iter().zip(&sources) {
                let value: Value = serde_json::from_str(text).expect("our own JSON");
                let event = JsonEvent::borrow(&value);
                for source in sources {
                    black_box(engine.evaluate_pruned(&event, source));
                }
            }
        });
        row("rsigma 0.26, fields ready", name, ready);
        row("rsigma 0.26, reading JSON", name, read);
        let ratio = ready.as_secs_f64() / ours[&("samples", name)].as_secs_f64();
        println!("{:<28}{name:>8}{ratio:>11.1}×", "  ours is faster by");
    }
}

fn row(what: &str, rules: &str, each: Duration) {
    let nanos = each.as_nanos();
    let rate = 1e9 / nanos.max(1) as f64;
    println!("{what:<28}{rules:>8}{nanos:>12}{rate:>14.0}");
}

/// The least time for one of `count` things in a few rounds.
fn best(count: usize, mut each: impl FnMut()) -> Duration {
    let times = RECORDS.div_ceil(count);
    let round = |_| {
        let started = ThreadTime::now();
        (0..times).for_each(|_| each());
        started.elapsed()
    };
    let least = (0..ROUNDS).map(round).min().expect("there are rounds");
    least / u32::try_from(times * count).expect("not so many")
}

struct Measured {
    /// From text to matches.
    whole: Duration,
    matching: Duration,
    /// How many rules match, of one record.
    hits: f64,
}

fn measure(active: &Arc<Active>, records: &[String]) -> Measured {
    let blocks: Vec<Arc<Block>> = records.chunks(BLOCK).map(block).collect();
    let mut sigma = Sigma::new(active);
    let options = parse::Options {
        zone: operators::parse::Zone::fixed(0),
        future_max: parse::FUTURE_MAX,
        fields_max: parse::FIELDS_MAX,
    };
    let parser = Parser::new(options);
    let whole = best(records.len(), || {
        for block in &blocks {
            let mut batch = parser.parse(Arc::clone(block));
            sigma.detect(&mut batch);
            black_box(&batch.hits);
        }
    });
    let parse = |block: &Arc<Block>| parser.parse(Arc::clone(block));
    let mut batches: Vec<Batch> = blocks.iter().map(parse).collect();
    let matching = best(records.len(), || {
        for batch in &mut batches {
            sigma.detect(batch);
            black_box(&batch.hits);
        }
    });
    let hits: usize = batches.iter().map(|batch| batch.hits.len()).sum();
    Measured { whole, matching, hits: hits as f64 / records.len() as f64 }
}

/// A source of numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % bound
    }
}

/// So many records made of these, each changed in some way. What says of which log source a
/// record is stays as it is.
fn changed(
    samples: &[String],
    count: usize,
    change: fn(&str, &mut Value, &mut Numbers),
) -> Vec<String> {
    let mut numbers = Numbers(1);
    let record = |sample: &String| {
        let mut record: Value = serde_json::from_str(sample).expect("a sample is JSON");
        change("", &mut record, &mut numbers);
        record.to_string()
    };
    samples.iter().cycle().take(count).map(record).collect()
}

/// Puts the letters of values in upper and lower case as it happens.
fn recase(name: &str, value: &mut Value, numbers: &mut Numbers) {
    let letter = |letter: char| match numbers.below(2) {
        0 => letter.to_ascii_uppercase(),
        _ => letter.to_ascii_lowercase(),
    };
    match value {
        _ if matches!(name, "Channel" | "Provider" | "TimeCreated") => {}
        Value::String(text) => *text = text.chars().map(letter).collect(),
        Value::Array(parts) => parts.iter_mut().for_each(|part| recase(name, part, numbers)),
        Value::Object(parts) => {
            parts.iter_mut().for_each(|(name, part)| recase(name, part, numbers));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Gives times, processes, threads, sessions and records other numbers.
fn renumber(name: &str, value: &mut Value, numbers: &mut Numbers) {
    const ENDS: [&str; 8] = [
        "Time",
        "ProcessGuid",
        "ProcessGUID",
        "LogonGuid",
        "ProcessId",
        "ThreadId",
        "ID",
        "LogonId",
    ];
    let is_new =
        ENDS.iter().any(|end| name.ends_with(end)) && name != "EventID" && name != "UserID";
    let mut digit = |digit: char| match digit {
        '0'..='9' => char::from(b'0' + numbers.below(10) as u8),
        other => other,
    };
    match value {
        Value::String(text) if is_new => *text = text.chars().map(&mut digit).collect(),
        Value::Number(_) if is_new => *value = Value::from(numbers.below(100_000)),
        Value::Array(parts) => parts.iter_mut().for_each(|part| renumber(name, part, numbers)),
        Value::Object(parts) => {
            parts.iter_mut().for_each(|(name, part)| renumber(name, part, numbers));
        }
        _ => {}
    }
}

fn block(records: &[String]) -> Arc<Block> {
    let source = Source { receiver: "syslog".to_owned(), name: "bench".to_owned() };
    let mut block = Block {
        epoch: 1,
        first_seq: 0,
        text: String::new(),
        records: Vec::new(),
        sources: Arc::new(vec![source]),
        ended: Vec::new(),
    };
    for record in records {
        let text = Text::in_block(block.text.len(), record.len());
        block.text.push_str(record);
        let received_at = EventTime::from_secs(1_800_000_000);
        block.records.push(Record { text, source: 0, received_at, flags: Flags(0) });
    }
    Arc::new(block)
}

/// Each record's fields as rules read them, as flat JSON; its log sources.
fn flat(active: &Arc<Active>, records: &[String]) -> [Vec<String>; 2] {
    let options = parse::Options {
        zone: operators::parse::Zone::fixed(0),
        future_max: parse::FUTURE_MAX,
        fields_max: parse::FIELDS_MAX,
    };
    let mut sigma = Sigma::new(active);
    let known = fields::log_sources(&[]);
    let mut out = [Vec::new(), Vec::new()];
    let batch: Batch = Parser::new(options).parse(block(records));
    for event in &batch.events {
        let rules = Arc::clone(&active.rules);
        let record = sigma.record(&batch, event);
        let mut object = serde_json::Map::new();
        let mut digits = String::new();
        for field in record.fields() {
            let value = match field.value.text(&mut digits) {
                Some(text) => Value::from(text),
                None => Value::Null,
            };
            object.entry(field.name.to_owned()).or_insert(value);
        }
        let of = known.iter().filter(|source| record.views().contains(&rules.view(source)));
        let sources: BTreeSet<String> = of.map(written).collect();
        out[0].push(Value::Object(object).to_string());
        out[1].push(sources.into_iter().collect::<Vec<_>>().join(" "));
    }
    out
}

/// `category/product/service`
fn written(source: &LogSource) -> String {
    let name = |name: &Option<String>| name.clone().unwrap_or_default();
    [name(&source.category), name(&source.product), name(&source.service)].join("/")
}

fn log_sources(text: &str) -> Vec<rsigma_parser::LogSource> {
    let source = |text: &str| {
        let mut parts = text.split('/').map(|part| (!part.is_empty()).then(|| part.to_owned()));
        rsigma_parser::LogSource {
            category: parts.next().flatten(),
            product: parts.next().flatten(),
            service: parts.next().flatten(),
            ..rsigma_parser::LogSource::default()
        }
    };
    text.split_whitespace().map(source).collect()
}

fn active(files: &[(String, Vec<u8>)]) -> Arc<Active> {
    let mut parsed = sigma::parse_all(files, 2);
    for file in &mut parsed {
        file.documents.retain(is_used);
    }
    let options = Options { placeholders: BTreeMap::new() };
    let (rules, _) = RuleSet::compile(parsed, &options);
    Arc::new(Active::new(rules, Vec::new(), Span::from_secs(900), &BTreeMap::new()))
}

fn is_used(document: &Document) -> bool {
    match document {
        Document::Rule(rule) => {
            !matches!(rule.meta.status, Some(Status::Deprecated | Status::Unsupported))
        }
        _ => false,
    }
}

fn engine(files: &[(String, Vec<u8>)]) -> Engine {
    let mut engine = Engine::new();
    let mut rules = Vec::new();
    for (_, bytes) in files {
        let text = String::from_utf8_lossy(bytes);
        if let Ok(collection) = rsigma_parser::parse_sigma_yaml(&text) {
            rules.extend(collection.rules);
        }
    }
    let started = Instant::now();
    let refused = engine.add_rules(&rules).len();
    let count = engine.rule_count();
    println!("{count} rules compiled in {:.0?}, rsigma's ({refused} refused)", started.elapsed());
    engine
}

/// The rules for Windows and Linux.
fn for_hosts(files: Files) -> Files {
    let is_for = |parsed: &Parsed| {
        parsed.documents.iter().any(|document| match document {
            Document::Rule(rule) => {
                is_used(document)
                    && matches!(rule.logsource.product.as_deref(), Some("windows" | "linux"))
            }
            _ => false,
        })
    };
    let parsed = sigma::parse_all(&files, 2);
    files.into_iter().zip(&parsed).filter(|(_, parsed)| is_for(parsed)).map(|(f, _)| f).collect()
}

/// So many of them, evenly.
fn every(files: &[(String, Vec<u8>)], count: usize) -> Files {
    let step = (files.len() / count).max(1);
    files.iter().step_by(step).take(count).cloned().collect()
}

fn unpack(packed: &[u8]) -> Files {
    let mut tar = Vec::new();
    lzma_rs::xz_decompress(&mut &packed[..], &mut tar).expect("the corpus is whole");
    let mut archive = tar::Archive::new(&tar[..]);
    let mut files = Vec::new();
    for entry in archive.entries().expect("it is an archive") {
        let mut entry = entry.expect("it is whole");
        let name = entry.path().expect("it has a name").display().to_string();
        if name.ends_with(".yml") {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("it is whole");
            files.push((name, bytes));
        }
    }
    files.sort();
    files
}

/// The samples of the corpus, each record on a line.
fn samples(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("the samples are beside the corpus");
    let raw = text.lines().map(|line| {
        let sample: Value = serde_json::from_str(line).expect("a line is JSON");
        sample["raw"].as_str().expect("a text").to_owned()
    });
    let records = raw.flat_map(|raw| {
        let each = serde_json::Deserializer::from_str(&raw).into_iter::<Value>();
        each.map(|record| record.expect("a record").to_string()).collect::<Vec<_>>()
    });
    records.collect()
}

/// Harmless lines of syslog.
fn syslog(loghub: &Path) -> Vec<String> {
    let names = ["Linux", "OpenSSH"];
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(loghub).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if names.iter().any(|known| name.starts_with(known)) && name.ends_with(".log") {
            let text = std::fs::read_to_string(entry.path()).expect("a sample is text");
            lines.extend(text.lines().map(str::to_owned));
        }
    }
    assert!(!lines.is_empty(), "there are no lines in {}", loghub.display());
    lines
}
