//! The law: the output is a function of the journal and of nothing else. How many workers there
//! are, how much memory they have, where they were killed: none of it changes a byte.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use seerflow_dataflow::storage::Storage;

use super::corpus;
use super::harness::{
    Chance, Process, assert_all_found, folder, journaled, program, run, stored_alerts,
    stored_templates,
};

/// So many lines, about, times 1 000.
const SCALE: u64 = 14;
/// A budget that is wasted on purpose: without alerts there would be little to compare.
pub(crate) const LOUD: [&str; 4] = [
    "detection.min_groups=10",
    "detection.budget_per_million=5000",
    "detection.floor_p=0.05",
    "detection.group_window_s=600",
];

/// What a run wrote.
#[derive(PartialEq)]
struct Told {
    alerts: Vec<u8>,
    events: Vec<u8>,
}

impl Told {
    fn read(dir: &Path) -> Self {
        let read = |name: &str| fs::read(dir.join(name)).unwrap();
        Told { alerts: read("alerts.ndjson"), events: read("events.ndjson") }
    }

    /// Says where the first difference is, rather than print megabytes.
    #[track_caller]
    fn assert_same(&self, other: &Told, what: &str) {
        for (name, mine, its) in
            [("alerts", &self.alerts, &other.alerts), ("events", &self.events, &other.events)]
        {
            if mine == its {
                continue;
            }
            let lines = |bytes: &[u8]| -> Vec<String> {
                bytes.split(|b| *b == b'\n').map(|l| String::from_utf8_lossy(l).into()).collect()
            };
            let (mine, its) = (lines(mine), lines(its));
            let at = mine.iter().zip(&its).position(|(a, b)| a != b).unwrap_or(0);
            panic!(
                "{what}: {name} differ ({} and {} lines), first in line {at}:\n{}\n{}",
                mine.len(),
                its.len(),
                mine[at],
                its[at]
            );
        }
    }
}

fn replay(input: &Path, out: &Path, workers: u32, set: &[&str]) -> Command {
    let mut command = program();
    command.arg("replay").arg(input).args(["--json", "--workers", &workers.to_string()]);
    command.arg("--alerts").arg(out.join("alerts.ndjson"));
    command.arg("--events").arg(out.join("events.ndjson"));
    for set in LOUD.iter().chain(set) {
        command.args(["--set", set]);
    }
    command
}

/// Replays to the end; what it told and its summary.
fn told(command: Command, out: &Path) -> (Told, serde_json::Value) {
    let ended = run(command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    (Told::read(out), ended.summary())
}

#[test]
fn workers_memory_and_kills_change_no_byte() {
    let dir = folder();
    let input = dir.path().join("logs");
    let lines = corpus::write(&input, SCALE);
    let out = dir.path();

    let (reference, summary) = told(replay(&input, out, 1, &[]), out);
    assert_eq!(summary["events"], lines, "{summary}");
    assert!(summary["late"].as_u64().unwrap() > 100, "{summary}");
    assert!(summary["alerts"].as_u64().unwrap() > 5, "{summary}");
    assert!(reference.alerts.iter().filter(|b| **b == b'\n').count() > 5);

    for workers in [2, 3] {
        let (other, its) = told(replay(&input, out, workers, &[]), out);
        reference.assert_same(&other, &format!("{workers} workers"));
        for key in ["events", "alerts", "templates", "entities", "late", "anomalies"] {
            assert_eq!(its[key], summary[key], "{key} with {workers} workers");
        }
    }

    // Less memory than the entities need, so that most of them are on disk most of the time.
    let scratch = out.join("scratch");
    fs::create_dir(&scratch).unwrap();
    let small = ["state.memory_mb=16"];
    let mut command = replay(&input, out, 2, &small);
    command.env("TMPDIR", &scratch);
    let mut process = Process::start(command, out);
    let mut spilled = false;
    while process.is_running() {
        spilled |= fs::read_dir(&scratch).unwrap().next().is_some();
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(process.wait().code, Some(0));
    assert!(spilled, "the corpus has too few entities to need the disk");
    reference.assert_same(&Told::read(out), "memory of 16 MB");

    // With a state folder: in one go, and killed at many points.
    let whole = out.join("whole");
    let mut command = replay(&input, out, 2, &[]);
    command.arg("--state").arg(&whole);
    let (kept, _) = told(command, out);
    reference.assert_same(&kept, "a state folder");
    killed(&input, out, &reference, &stored_templates(&whole));
    // What it told can be told again from what it kept.
    let (again, its) = told(replay(&whole, out, 3, &[]), out);
    assert_eq!(its["events"], summary["events"]);
    reference.assert_same(&again, "the stored journal");
}

/// Replays with kills, with other workers and other memory each time, until it is through.
fn killed(input: &Path, out: &Path, reference: &Told, templates: &[(u64, String)]) {
    let state = out.join("killed");
    let mut chance = Chance::told("kills of replay");
    let command = |round: u32| {
        let memory = ["state.memory_mb=16", "state.memory_mb=256"][round as usize / 2 % 2];
        let set = [memory, "state.checkpoint_interval_s=1"];
        let mut command = replay(input, out, 1 + round % 3, &set);
        command.arg("--state").arg(&state);
        command
    };
    fs::remove_file(out.join("alerts.ndjson")).unwrap();
    fs::remove_file(out.join("events.ndjson")).unwrap();
    let marker = || {
        let stored = Storage::open_for_reading(&state).ok()?;
        stored.checkpoint().ok()?.map(|marker| marker.epoch)
    };
    let (mut kills, mut resumed) = (0, 0);
    for round in 0..8 {
        let before = marker();
        let mut process = Process::start(command(round), out);
        std::thread::sleep(chance.millis(40, 500));
        if round % 2 == 0 {
            // While it is stopped the clock of checkpoints goes on, so that there is one at the
            // next epoch: the next start begins in the middle.
            process.signal("STOP");
            std::thread::sleep(Duration::from_millis(1_050));
            process.signal("CONT");
            let end = Instant::now() + Duration::from_secs(10);
            while process.is_running() && marker() == before && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(10));
            }
            std::thread::sleep(chance.millis(0, 100));
        }
        if !process.is_running() {
            break;
        }
        assert!(process.kill());
        kills += 1;
        resumed += u32::from(marker().is_some());
    }
    assert!(kills >= 2 && resumed >= 1, "{kills} kills, {resumed} of them behind a checkpoint");
    println!("{kills} kills, {resumed} of them behind a checkpoint");
    let (told, _) = told(command(1), out);
    reference.assert_same(&told, "kills");
    assert_all_found(&state);
    assert_eq!(stored_templates(&state), templates, "templates after kills");
}

#[test]
fn a_run_that_is_through_is_told_again_and_the_next_one_by_itself() {
    let dir = folder();
    let (input, out) = (dir.path().join("logs"), dir.path());
    let state: PathBuf = out.join("state");
    corpus::write(&input, 1);
    let with_state = || {
        let mut command = replay(&input, out, 1, &[]);
        command.arg("--state").arg(&state);
        command
    };
    let (first, _) = told(with_state(), out);
    let (again, summary) = told(with_state(), out);
    assert_eq!(summary["events"], 0);
    first.assert_same(&again, "nothing new");
    fs::write(input.join("70-more.log"), "one more line\nand another\n").unwrap();
    let (second, summary) = told(with_state(), out);
    assert_eq!(summary["events"], 2);
    let lines = String::from_utf8(second.events).unwrap();
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(lines.contains("\"message\":\"one more line\""), "{lines}");
    let texts = journaled(&state);
    assert!(lines.starts_with(&format!("{{\"seq\":{},", texts.len() - 2)), "{lines}");
    let all = stored_alerts(&state).into_bytes();
    assert!(all.starts_with(&first.alerts), "the store has the alerts of both");
    let mut both = replay(&state, out, 1, &[]);
    both.arg("--state").arg(&state);
    assert_eq!(run(both).code, Some(2), "a stored journal goes into no state");
}
