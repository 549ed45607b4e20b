//! Prints how well templates group real logs: the grouping accuracy (Zhu et al., ICSE-SEIP 2019) on
//! the sets of Loghub that lie beside the checkout, on the message column and on whole lines.
//!
//! `cargo bench --bench templates` — one default setting for all sets, and the final templates.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let Some(sets) = sets() else {
        println!("skipped: no Loghub samples (SEERFLOW_SHARED or ../shared)");
        return;
    };
    println!(
        "{:<12} {:>8} {:>10} {:>10} {:>7}",
        "set", "message", "whole line", "templates", "labels"
    );
    let mut means = [0.0; 2];
    for set in &sets {
        let rows = structured(&set.with_extension("log_structured.csv"));
        let labels: Vec<&str> = rows.iter().map(|row| row.label.as_str()).collect();
        let messages: Vec<&str> = rows.iter().map(|row| row.content.as_str()).collect();
        let by_message = accuracy(&labels, &templates_of_messages(&messages));
        let whole = templates_of_lines(set);
        let by_line = accuracy(&labels, &whole);
        let name = set.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let kinds = |ids: &[String]| ids.iter().collect::<BTreeSet<_>>().len();
        let labels: BTreeSet<_> = labels.iter().collect();
        println!(
            "{:<12} {by_message:>8.4} {by_line:>10.4} {:>10} {:>7}",
            name.trim_end_matches("_2k"),
            kinds(&whole),
            labels.len(),
        );
        means[0] += by_message / sets.len() as f64;
        means[1] += by_line / sets.len() as f64;
    }
    println!("{:<12} {:>8.4} {:>10.4}", "mean", means[0], means[1]);
}

/// The raw files of the samples.
fn sets() -> Option<Vec<PathBuf>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = std::env::var_os("SEERFLOW_SHARED")
        .map_or_else(|| root.join("../shared"), PathBuf::from)
        .join("data/loghub");
    let files = std::fs::read_dir(shared).ok()?.flatten().map(|file| file.path());
    let mut sets: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|end| end == "log")).collect();
    sets.sort();
    Some(sets)
}

struct Row {
    content: String,
    label: String,
}

/// The columns `Content` and `EventId` of a file of comma-separated values with quotes.
fn structured(path: &Path) -> Vec<Row> {
    let text = std::fs::read_to_string(path).expect("a sample has its labels");
    let mut lines = cells(&text).into_iter();
    let header = lines.next().expect("the first line names the columns");
    let column = |name: &str| header.iter().position(|cell| cell == name).expect("the column");
    let (content, label) = (column("Content"), column("EventId"));
    let row =
        |cells: Vec<String>| Row { content: cells[content].clone(), label: cells[label].clone() };
    lines.filter(|cells| cells.len() > 1).map(row).collect()
}

fn cells(text: &str) -> Vec<Vec<String>> {
    let (mut lines, mut line, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => line.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                line.push(std::mem::take(&mut cell).trim_end_matches('\r').to_owned());
                lines.push(std::mem::take(&mut line));
            }
            c => cell.push(c),
        }
    }
    lines
}

/// The template ids of whole lines, as a user gets them: `replay FILE --events`.
fn templates_of_lines(file: &Path) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a folder for the events");
    let events = dir.path().join("events.ndjson");
    let status = Command::new(env!("CARGO_BIN_EXE_seerflow-dataflow"))
        .args(["replay", "--quiet", "--events"])
        .arg(&events)
        .arg(file)
        .status()
        .expect("the program runs");
    assert!(status.success(), "replay of {}", file.display());
    let events = std::fs::read_to_string(events).expect("events were written");
    let id = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        event["template_id"].as_str().expect("every event has one").to_owned()
    };
    events.lines().map(id).collect()
}

/// The template ids of messages alone, learned in the epochs that the engine would cut.
fn templates_of_messages(messages: &[&str]) -> Vec<String> {
    use operators::template::{Dictionary, Misses, Options, TemplateId, Usage, mask};
    let mut dictionary = Dictionary::new(Options::STANDARD);
    let mut ids = vec![TemplateId::NONE; messages.len()];
    let (mut first, mut epoch) = (0, 1);
    let mut masked = Default::default();
    while first < messages.len() {
        let end = (first + (first / 8).clamp(64, 16_384)).min(messages.len());
        let (mut usage, mut misses) = (Usage::default(), Misses::default());
        for seq in first..end {
            mask(messages[seq], &mut masked);
            match dictionary.find(&masked) {
                Some(id) => {
                    ids[seq] = id;
                    usage.push(id, seq as u64);
                }
                None => misses.push(seq as u64, messages[seq], &masked),
            }
        }
        dictionary.used(epoch, &usage);
        let told = dictionary.merge(epoch, misses.lines().to_vec());
        for (seq, id) in misses.answers(&told) {
            ids[seq as usize] = id;
        }
        (first, epoch) = (end, epoch + 1);
    }
    ids.iter().map(|id| dictionary.resolve(*id).to_string()).collect()
}

/// The share of lines whose group is exactly the group of their label.
fn accuracy<T: AsRef<str>>(labels: &[&str], found: &[T]) -> f64 {
    assert_eq!(labels.len(), found.len(), "a template for each line");
    let mut by_label = BTreeMap::<&str, BTreeSet<usize>>::new();
    let mut by_template = BTreeMap::<&str, BTreeSet<usize>>::new();
    for (at, (label, template)) in labels.iter().zip(found).enumerate() {
        by_label.entry(label).or_default().insert(at);
        by_template.entry(template.as_ref()).or_default().insert(at);
    }
    let right = by_template.values().filter(|group| {
        let first = group.first().expect("a group has a line");
        **group == by_label[labels[*first]]
    });
    right.map(BTreeSet::len).sum::<usize>() as f64 / labels.len() as f64
}
