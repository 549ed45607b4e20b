//! `rules test`: runs the cases beside rules.
//!
//! A case about one record goes the way of every record: parsed, its entities found, its fields
//! named, matched by all rules that are meant. One about several goes through a whole engine of
//! its own, as `replay` would take it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use operators::sigma::explain::KEYWORDS;
use operators::sigma::finding::identity;
use operators::sigma::{Explanation, Gravity, RuleIndex, Sigma};
use operators::types::{Batch, EventTime, Flags, Source};
use serde_json::{Value, json};

use super::cases::{self, Case, Wanted};
use super::choice::{Choice, Item};
use super::list;
use super::live::Live;
use crate::cli::args::{Global, RulesTestArgs};
use crate::cli::escape::escape;
use crate::cli::exit::Exit;
use crate::cli::numbers::{counted, grouped, humanised};
use crate::cli::progress::{Progress, Unit};
use crate::cli::style::Palette;
use crate::cli::{Failure, Outcome, configuration_of_rules, print};
use crate::config::settings::Settings;
use crate::intake::Intake;
use crate::journal::Stored;
use crate::rules::files::Want;
use crate::verbs;
use crate::verbs::reading::RecordReader;

/// Records of cases were received when the year 2026 ended, whenever the cases are run: what a
/// record without a year or a time means does not depend on the day.
const RECEIVED: EventTime = EventTime::from_secs(1_798_761_599);
/// How many records are taken together.
const BATCH: usize = 512;
/// How much of a record is shown, in characters.
const SHOWN_CHARS: usize = 400;

/// The rules of one file.
#[derive(Default)]
struct Tested {
    rules: Vec<RuleIndex>,
    correlations: Vec<String>,
    titles: Vec<String>,
}

/// What came of a case.
struct Verdict {
    /// The files of the rule and of the case.
    rule: Arc<str>,
    file: String,
    line: u32,
    wanted: Option<Wanted>,
    passed: bool,
    why: String,
    /// What was given, for people.
    raw: String,
    /// Why it did not come as wanted.
    reasons: Vec<String>,
    explained: Vec<Explanation>,
}

pub(super) fn test(global: &Global, args: &RulesTestArgs) -> Outcome {
    let loaded = configuration_of_rules(global, Vec::new())?;
    let settings = &loaded.settings;
    verbs::end_on_panic();
    let started = Instant::now();
    let choice = Choice::of(settings, &args.rules, Want::Cases)?;
    let mut files: BTreeMap<Arc<str>, Tested> = BTreeMap::new();
    for item in choice.items() {
        let meta = item.meta();
        let tested = files.entry(Arc::clone(&meta.file)).or_default();
        tested.titles.push(meta.title.clone());
        match item {
            Item::Rule(index, _) => tested.rules.push(index),
            Item::Correlation(_) => tested.correlations.push(identity(meta).to_owned()),
        }
    }
    let mut without = Vec::new();
    let mut with = Vec::new();
    for (rule, tested) in &files {
        match choice.files.cases_of(rule) {
            Some((file, bytes)) => with.push((rule, tested, file, bytes)),
            None => without.push(Arc::clone(rule)),
        }
    }
    let count = with.iter().map(|(_, _, _, bytes)| cases::count(bytes)).sum();
    let bar = Progress::new(Unit::Cases, Some(count), global.quiet || args.json);
    let mut runner = Runner::new(settings, &choice, bar.clone());
    for (rule, tested, file, bytes) in with {
        bar.say(file);
        runner.file(rule, tested, file, bytes)?;
    }
    // What cannot be used can pass nothing.
    let refused = choice.loaded.report.diagnostics.iter();
    for said in refused.filter(|said| said.gravity == Gravity::Error) {
        if let Some((file, _)) = choice.files.cases_of(&said.file) {
            let reason =
                format!("the rule cannot be used: {}:{}: {}", said.file, said.at, said.reason);
            runner.verdicts.push(Verdict {
                rule: Arc::clone(&said.file),
                file: file.to_owned(),
                line: 1,
                wanted: None,
                passed: false,
                why: String::new(),
                raw: String::new(),
                reasons: vec![reason],
                explained: Vec::new(),
            });
        }
    }
    let mut verdicts = runner.finish();
    bar.finish();
    verdicts.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    let failed = verdicts.iter().filter(|verdict| !verdict.passed).count() as u64;
    let cases = verdicts.len() as u64;
    let rules: usize = files.values().map(|tested| tested.titles.len()).sum();
    let seconds = started.elapsed();

    let palette = Palette::stdout(global.color);
    let mut text = String::new();
    for verdict in &verdicts {
        let titles = files.get(&verdict.rule).map(|tested| &tested.titles[..]);
        match args.json {
            true => text.push_str(&format!("{}\n", to_json(verdict, titles.unwrap_or_default()))),
            false if verdict.passed && global.verbose == 0 => {}
            false => text.push_str(&shown(verdict, palette)),
        }
    }
    for file in &without {
        match args.json {
            true => {
                let line = json!({ "type": "no_cases", "rule_file": &**file });
                text.push_str(&format!("{line}\n"));
            }
            false => {
                let said = palette.level("medium", "no cases");
                text.push_str(&format!("{}: {said}\n", escape(file)));
            }
        }
    }
    let summary = json!({
        "type": "summary",
        "rules": rules,
        "cases": cases,
        "passed": cases - failed,
        "failed": failed,
        "files_without_cases": without.len(),
        "seconds": seconds.as_secs_f64(),
    });
    match args.json {
        true => text.push_str(&format!("{summary}\n")),
        false => {
            let said = match failed {
                0 => palette.good("all passed".to_owned()).to_string(),
                _ => palette.bad(format!("{} failed", grouped(failed))).to_string(),
            };
            text.push_str(&format!(
                "{}, {}: {said}; {} without cases; {}\n",
                counted(rules as u64, "rule"),
                counted(cases, "case"),
                counted(without.len() as u64, "file"),
                humanised(seconds),
            ));
        }
    }
    print(&text)?;
    list::tell_missing(global, &choice, rules)?;
    Ok(if failed > 0 { Exit::Failed } else { Exit::Ok })
}

/// Runs cases.
struct Runner<'c> {
    settings: Settings,
    choice: &'c Choice,
    reader: RecordReader,
    sigma: Sigma,
    bar: Progress,
    verdicts: Vec<Verdict>,
    /// Cases about one record, with the rules that they are about.
    waiting: Vec<(Verdict, Vec<RuleIndex>)>,
}

impl<'c> Runner<'c> {
    fn new(settings: &Settings, choice: &'c Choice, bar: Progress) -> Self {
        let mut settings = settings.clone();
        settings.workers = 1;
        Runner {
            reader: RecordReader::new(&settings),
            sigma: Sigma::new(&Arc::new(choice.loaded.active.clone())),
            settings,
            choice,
            bar,
            verdicts: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// Runs the cases of a file.
    fn file(
        &mut self,
        rule: &Arc<str>,
        tested: &Tested,
        file: &str,
        bytes: &[u8],
    ) -> Result<(), Failure> {
        for read in cases::read(bytes) {
            self.bar.advance(1);
            let mut verdict = Verdict {
                rule: Arc::clone(rule),
                file: file.to_owned(),
                line: 0,
                wanted: None,
                passed: false,
                why: String::new(),
                raw: String::new(),
                reasons: Vec::new(),
                explained: Vec::new(),
            };
            let case = match read {
                Ok(case) => case,
                Err((line, reason)) => {
                    verdict.line = line;
                    verdict.reasons.push(format!("it is no case: {reason}"));
                    self.verdicts.push(verdict);
                    continue;
                }
            };
            verdict.line = case.line;
            verdict.wanted = Some(case.wanted);
            verdict.why.clone_from(&case.why);
            verdict.raw.clone_from(&case.records[0]);
            match case.wanted {
                Wanted::Match(_) if tested.rules.is_empty() => {
                    verdict.reasons.push("the file holds no rule for one event".to_owned());
                    self.verdicts.push(verdict);
                }
                Wanted::Fires(_) if tested.correlations.is_empty() => {
                    verdict.reasons.push("the file holds no correlation".to_owned());
                    self.verdicts.push(verdict);
                }
                Wanted::Match(_) => {
                    self.waiting.push((verdict, tested.rules.clone()));
                    if self.waiting.len() >= BATCH {
                        self.run_waiting();
                    }
                }
                Wanted::Fires(wanted) => {
                    let fired = self.fires(&case, tested)?;
                    verdict.passed = fired == wanted;
                    if fired != wanted {
                        let said = if fired { "it fires" } else { "it does not fire" };
                        verdict.reasons.push(said.to_owned());
                        verdict.reasons.extend(self.parts(&case, tested));
                    }
                    self.verdicts.push(verdict);
                }
            }
        }
        Ok(())
    }

    /// Runs the cases about one record that wait.
    fn run_waiting(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let records: Vec<&str> = waiting.iter().map(|(verdict, _)| verdict.raw.as_str()).collect();
        let batch = self.read(&records);
        for ((mut verdict, rules), event) in waiting.into_iter().zip(&batch.events) {
            let hits: Vec<u32> = batch.hits(event).collect();
            let found = rules.iter().any(|rule| hits.contains(&rule.0));
            verdict.passed = verdict.wanted == Some(Wanted::Match(found));
            if !verdict.passed {
                let said = if found { "it matches" } else { "it does not match" };
                verdict.reasons.push(said.to_owned());
                let told = rules.iter().filter(|rule| hits.contains(&rule.0) == found);
                for rule in told {
                    let explained = self.sigma.explain(&batch, event, *rule);
                    let set = &self.choice.loaded.active.rules;
                    verdict.reasons.extend(reasons(&explained, found, || {
                        set.rule(*rule).logsource.to_string()
                    }));
                    verdict.explained.push(explained);
                }
            }
            self.verdicts.push(verdict);
        }
    }

    /// The events of records, and the rules that match them.
    fn read(&mut self, records: &[&str]) -> Batch {
        let stored: Vec<Stored> = (0..)
            .zip(records)
            .map(|(seq, record)| Stored {
                seq,
                epoch: 0,
                source: source(),
                received_at: RECEIVED,
                flags: Flags::default(),
                bytes: record.as_bytes().to_vec(),
            })
            .collect();
        let mut batch = self.reader.events(&stored);
        self.sigma.detect(&mut batch);
        batch
    }

    /// Whether a correlation of the file fires on the records of a case.
    fn fires(&self, case: &Case, tested: &Tested) -> Result<bool, Failure> {
        let active = &self.choice.loaded.active;
        let mut live = Live::start(&self.settings, active)?;
        let mut intake = Intake::new(source());
        intake.received_at = RECEIVED;
        for record in &case.records {
            if intake.is_full() {
                let mut next = Intake::new(source());
                next.received_at = RECEIVED;
                live.give(std::mem::replace(&mut intake, next));
            }
            intake.push(record.as_bytes(), Flags::default());
        }
        live.give(intake);
        let alerts = live.finish(&active.rules)?;
        Ok(alerts.iter().any(|alert| tested.correlations.contains(&alert.rule)))
    }

    /// How many records of a case each rule matches that a correlation of the file looks at.
    fn parts(&mut self, case: &Case, tested: &Tested) -> Vec<String> {
        let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
        for records in case.records.chunks(BATCH) {
            let records: Vec<&str> = records.iter().map(String::as_str).collect();
            for (_, rule) in self.read(&records).hits {
                *counts.entry(rule).or_default() += 1;
            }
        }
        let set = &self.choice.loaded.active.rules;
        let mut said = Vec::new();
        for resolved in set.correlations() {
            if !tested.correlations.iter().any(|id| id == identity(&resolved.correlation.meta)) {
                continue;
            }
            for rule in self.choice.rules_of(resolved) {
                let index = set.rules().iter().position(|one| std::ptr::eq(one, rule));
                let index = index.expect("it is a rule of the set") as u32;
                let count = counts.get(&index).copied().unwrap_or(0);
                said.push(format!(
                    "`{}` matches {} of {}",
                    rule.meta.title,
                    grouped(count),
                    counted(case.records.len() as u64, "record")
                ));
            }
        }
        said.dedup();
        said
    }

    fn finish(mut self) -> Vec<Verdict> {
        self.run_waiting();
        self.verdicts
    }
}

fn source() -> Source {
    Source { receiver: "file".to_owned(), name: "cases".to_owned() }
}

/// Why a rule matches a record, or why it does not.
pub(in crate::verbs) fn reasons(
    explained: &Explanation,
    matches: bool,
    source: impl FnOnce() -> String,
) -> Vec<String> {
    if !explained.applies {
        return vec![format!("its log source fails: the record is not of `{}`", source())];
    }
    let mut reasons = Vec::new();
    for selection in &explained.selections {
        let telling = match matches {
            true => selection.holds && selection.wanted,
            false => selection.holds != selection.wanted,
        };
        if !telling {
            continue;
        }
        let said = if selection.holds { "holds" } else { "fails" };
        let items = selection.items.iter().filter(|item| item.holds == selection.holds);
        let items: Vec<String> = items.map(item).collect();
        reasons.push(format!("selection `{}` {said}: {}", selection.name, items.join("; ")));
    }
    reasons
}

/// An item with the record's values.
fn item(item: &operators::sigma::explain::ItemResult) -> String {
    let name = &item.item;
    let values: Vec<String> = item.values.iter().map(|value| format!("`{value}`")).collect();
    match (values.is_empty(), item.holds) {
        (true, true) => name.to_owned(),
        (true, false) if name == KEYWORDS => format!("{name} are nowhere"),
        (true, false) => format!("{name}, and the record has no such field"),
        (false, true) => format!("{name} has {}", values.join(", ")),
        (false, false) => format!("{name} does not fit {}", values.join(", ")),
    }
}

fn wanted_words(wanted: Option<Wanted>) -> &'static str {
    match wanted {
        Some(Wanted::Match(true)) => "must match",
        Some(Wanted::Match(false)) => "must not match",
        Some(Wanted::Fires(true)) => "must fire",
        Some(Wanted::Fires(false)) => "must not fire",
        None => "cannot be run",
    }
}

fn shown(verdict: &Verdict, palette: Palette) -> String {
    let said = match verdict.passed {
        true => palette.good("ok").to_string(),
        false => palette.bad("failed").to_string(),
    };
    let place = format!("{}:{}:", verdict.file, verdict.line);
    let why = match verdict.why.as_str() {
        "" => String::new(),
        why => format!(" ({})", escape(why)),
    };
    let wanted = wanted_words(verdict.wanted);
    let mut text = format!("{} {said}: {wanted}{why}\n", palette.strong(escape(&place)));
    if verdict.passed {
        return text;
    }
    for reason in &verdict.reasons {
        text.push_str(&format!("  {}\n", escape(reason)));
    }
    if !verdict.raw.is_empty() {
        let raw: String = verdict.raw.chars().take(SHOWN_CHARS).collect();
        text.push_str(&format!("  {}\n", palette.faint(escape(&raw))));
    }
    text
}

fn to_json(verdict: &Verdict, titles: &[String]) -> Value {
    let (kind, wanted) = match verdict.wanted {
        Some(Wanted::Match(wanted)) => (Some("match"), Some(wanted)),
        Some(Wanted::Fires(wanted)) => (Some("fires"), Some(wanted)),
        None => (None, None),
    };
    json!({
        "type": "case",
        "file": verdict.file,
        "line": verdict.line,
        "rule_file": &*verdict.rule,
        "titles": titles,
        "kind": kind,
        "wanted": wanted,
        "passed": verdict.passed,
        "why": verdict.why,
        "reasons": verdict.reasons,
        "explanations": verdict.explained,
    })
}
