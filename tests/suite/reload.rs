//! Rules that change while events come in: no event unmatched, none matched twice, and the journal
//! says the same when it is replayed.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::harness::{
    Ended, Live, assert_all_found, folder, program, run, stored_alerts, stored_events, until,
};

/// Ids of rules, one for each generation.
fn id(generation: u32) -> String {
    format!("7d9a1c52-0b5e-4c3f-9a55-{generation:012}")
}

/// Makes the rules of a generation the only ones.
fn write_rule(dir: &Path, generation: u32) {
    let id = id(generation);
    let rule = format!(
        "title: Generation {generation}\nid: {id}\nlevel: low\nlogsource: {{product: linux}}\n\
         detection: {{words: ['a visit of'], condition: words}}\n"
    );
    // At once, so that nobody sees half of it.
    let half = dir.join("half");
    fs::write(&half, rule).unwrap();
    fs::rename(half, dir.join("rule.yml")).unwrap();
}

fn events(state: &Path) -> Vec<Value> {
    let text = String::from_utf8(stored_events(state, &[])).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The generation whose rule matched an event, which is exactly one.
#[track_caller]
fn generation(event: &Value) -> u32 {
    let matched = event["sigma"].as_array().unwrap();
    assert_eq!(matched.len(), 1, "{event}");
    let id = matched[0]["id"].as_str().unwrap();
    id.rsplit('-').next().unwrap().parse().unwrap()
}

fn replayed(state: &Path, dir: &Path, workers: &str) -> (Ended, String, String) {
    let (alerts, events) = (dir.join("again.alerts"), dir.join("again.events"));
    let mut command = program();
    command.arg("replay").arg(state).args(["--json", "--workers", workers]);
    command.arg("--alerts").arg(&alerts).arg("--events").arg(&events);
    let ended = run(command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let read = |path| fs::read_to_string(path).unwrap();
    (ended, read(alerts), read(events))
}

#[test]
fn rules_reloaded_under_load_match_each_event_once_and_a_replay_says_the_same() {
    let dir = folder();
    let (state, rules) = (dir.path().join("state"), dir.path().join("rules"));
    fs::create_dir(&rules).unwrap();
    write_rule(&rules, 0);
    let dirs = format!("rules.dirs=['{}']", rules.display());
    let set = [dirs.as_str(), "rules.builtin=false", "rules.reload_s=0", "workers=2"];
    let live = Live::start(&state, dir.path(), &set);
    let over = Arc::new(AtomicBool::new(false));
    let flood = {
        let (mut stream, over) = (live.connect(), Arc::clone(&over));
        std::thread::spawn(move || {
            let mut sent = 0u64;
            while !over.load(Ordering::Acquire) {
                let text: String = (sent..sent + 100)
                    .map(|n| format!("<38>Nov 22 13:38:00 web app[1]: a visit of user{n}\n"))
                    .collect();
                stream.write_all(text.as_bytes()).unwrap();
                sent += 100;
                std::thread::sleep(Duration::from_millis(2));
            }
            sent
        })
    };
    let reloads = |count: usize| {
        move |said: &str| {
            said.lines().filter(|line| line.contains("rules reloaded")).count() >= count
        }
    };
    for number in 1..=5u32 {
        std::thread::sleep(Duration::from_millis(100));
        write_rule(&rules, number);
        live.process.signal("HUP");
        let told = reloads(number as usize);
        until("rules to be reloaded", || told(&live.process.stderr()));
    }
    // What cannot be used is said, and the others stay.
    fs::write(rules.join("bad.yml"), "title: bad\ndetection: 1\n").unwrap();
    live.process.signal("HUP");
    until("a bad rule to be named", || live.process.stderr().contains("bad.yml:"));
    std::thread::sleep(Duration::from_millis(100));
    over.store(true, Ordering::Release);
    let sent = flood.join().unwrap();
    live.stop();

    assert_eq!(assert_all_found(&state).len() as u64, sent);
    let events = events(&state);
    assert_eq!(events.len() as u64, sent);
    let generations: Vec<u32> = events.iter().map(generation).collect();
    assert!(generations.is_sorted(), "what was replaced does not come back");
    let mut seen = generations;
    seen.dedup();
    assert_eq!(seen, [0, 1, 2, 3, 4, 5]);

    // The rules of then are kept: what the folder holds now says nothing about the past.
    fs::remove_dir_all(&rules).unwrap();
    let stored = String::from_utf8(stored_events(&state, &[])).unwrap();
    for workers in ["1", "3"] {
        let (_, alerts, again) = replayed(&state, dir.path(), workers);
        assert!(alerts == stored_alerts(&state), "alerts differ with {workers} workers");
        assert!(again == stored, "events differ with {workers} workers");
    }
}

#[test]
fn a_start_with_other_rules_is_a_reload_and_what_runs_again_keeps_those_of_then() {
    let dir = folder();
    let (state, rules) = (dir.path().join("state"), dir.path().join("rules"));
    fs::create_dir(&rules).unwrap();
    let dirs = format!("rules.dirs=['{}']", rules.display());
    let set = [dirs.as_str(), "rules.builtin=false"];
    for number in 0..3u32 {
        write_rule(&rules, number);
        let live = Live::start(&state, dir.path(), &set);
        let mut stream = live.connect();
        let text: String = (0..200)
            .map(|n| format!("<38>Nov 22 13:38:00 web app[1]: a visit of user{n}\n"))
            .collect();
        stream.write_all(text.as_bytes()).unwrap();
        drop(stream);
        let wanted = 200 * (number as usize + 1);
        let taken = || super::harness::try_journaled(&state).len() >= wanted;
        until("the events to be in the journal", taken);
        match number {
            // No checkpoint is taken, so all of it runs again at the next start.
            1 => assert!(live.process.kill()),
            _ => drop(live.stop()),
        }
    }
    let generations: Vec<u32> = events(&state).iter().map(generation).collect();
    assert!(generations.is_sorted(), "what was replaced does not come back");
    let of = |number: usize| &generations[200 * number..200 * (number + 1)];
    assert!(of(0).iter().all(|generation| *generation == 0));
    // An epoch that was open when the program was killed had told nobody anything yet.
    assert_eq!(of(1)[0], 1);
    assert!(of(1).iter().all(|generation| [1, 2].contains(generation)));
    assert!(of(2).iter().all(|generation| *generation == 2));
}

#[test]
fn files_that_change_are_noticed_without_a_signal() {
    let dir = folder();
    let (state, rules) = (dir.path().join("state"), dir.path().join("rules"));
    fs::create_dir(&rules).unwrap();
    write_rule(&rules, 0);
    let dirs = format!("rules.dirs=['{}']", rules.display());
    let live = Live::start(&state, dir.path(), &[dirs.as_str(), "rules.reload_s=1"]);
    write_rule(&rules, 1);
    until("a changed file to be noticed", || live.process.stderr().contains("rules reloaded"));
    live.stop();
}

#[test]
fn a_folder_that_goes_away_takes_no_rules_along() {
    let dir = folder();
    let (state, rules) = (dir.path().join("state"), dir.path().join("rules"));
    fs::create_dir(&rules).unwrap();
    write_rule(&rules, 0);
    let dirs = format!("rules.dirs=['{}']", rules.display());
    let set = [dirs.as_str(), "rules.builtin=false", "rules.reload_s=0"];
    let live = Live::start(&state, dir.path(), &set);
    let mut stream = live.connect();
    let mut visit = |count: usize| {
        stream.write_all(b"<38>Nov 22 13:38:00 web app[1]: a visit of ann\n").unwrap();
        until("the visit to be taken", || super::harness::try_journaled(&state).len() == count);
        // Its epoch is to be over.
        std::thread::sleep(Duration::from_millis(300));
    };
    fs::remove_dir_all(&rules).unwrap();
    live.process.signal("HUP");
    until("the folder to be missed", || live.process.stderr().contains("rules are not reloaded"));
    assert!(live.process.stderr().contains("there is no `"), "{}", live.process.stderr());
    visit(1);
    fs::create_dir(&rules).unwrap();
    write_rule(&rules, 1);
    live.process.signal("HUP");
    until("rules to be reloaded", || live.process.stderr().contains("rules reloaded"));
    visit(2);
    live.stop();
    let generations: Vec<u32> = events(&state).iter().map(generation).collect();
    assert_eq!(generations, [0, 1]);
}
