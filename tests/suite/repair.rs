//! State that has suffered: a journal with much to work off, with a lost beginning, with damage.

use std::fs;
use std::io::Write;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};

use super::harness::{
    Ended, Live, assert_all_found, folder, found, free_ports, program, run, try_journaled, until,
};

#[test]
fn what_is_sent_while_the_journal_is_worked_off_waits_and_is_not_refused() {
    let dir = folder();
    let state = dir.path().join("state");
    let log = dir.path().join("much.log");
    let line = "Nov 22 13:38:00 web app[1]: the same as ever\n";
    let lines = 1_200_000;
    fs::write(&log, line.repeat(lines)).unwrap();
    let paths = format!("receivers.file_paths=['{}']", log.display());
    let set =
        [&paths, "receivers.file_read_from=start", "state.checkpoint_interval_s=3600", "workers=1"];
    let live = Live::start(&state, dir.path(), &set);
    let journal = || -> u64 {
        let Ok(files) = fs::read_dir(state.join("journal")) else { return 0 };
        files.map(|file| file.unwrap().metadata().map_or(0, |data| data.len())).sum()
    };
    until("the journal holds it", || journal() >= (lines * line.len()) as u64);
    assert!(live.process.kill(), "it had ended by itself");

    let live = Live::start(&state, dir.path(), &set);
    let said = live.process.stderr();
    assert!(!said.contains("rules"), "it listens before it is ready: {said}");
    let mut stream = live.connect();
    stream.write_all(b"<34>sent early over tcp\n").unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"<34>sent early over udp", ("127.0.0.1", live.udp)).unwrap();
    until("it says what it does", || live.process.stderr().contains("working off"));
    let said = live.process.stderr();
    let line = said.lines().find(|line| line.contains("working off")).unwrap();
    assert!(line.contains("1 2") && line.contains("events of the journal"), "{line}");
    until("it is ready", || live.process.stderr().contains("rules"));
    until("what was sent", || {
        let texts = try_journaled(&state);
        ["tcp", "udp"].iter().all(|how| texts.contains(&format!("<34>sent early over {how}")))
    });
    live.stop();
    let texts = assert_all_found(&state);
    assert!(texts.len() >= lines + 2, "{}", texts.len());
}

#[test]
fn a_stop_while_the_journal_is_worked_off_loses_nothing() {
    let dir = folder();
    let state = dir.path().join("state");
    let log = dir.path().join("much.log");
    let lines = 600_000;
    fs::write(&log, "Nov 22 13:38:00 web app[1]: the same as ever\n".repeat(lines)).unwrap();
    let paths = format!("receivers.file_paths=['{}']", log.display());
    let set =
        [&paths, "receivers.file_read_from=start", "state.checkpoint_interval_s=3600", "workers=1"];
    let live = Live::start(&state, dir.path(), &set);
    until("the file is read", || try_journaled(&state).len() >= lines);
    assert!(live.process.kill(), "it had ended by itself");
    for _ in 0..2 {
        // Told to stop as soon as it listens.
        Live::start(&state, dir.path(), &set).stop();
    }
    assert_eq!(assert_all_found(&state).len(), lines);
}

/// A state folder whose journal has several segments, and how many records are in it.
fn in_segments(dir: &Path) -> (PathBuf, u64) {
    let (state, log) = (dir.join("state"), dir.join("used.log"));
    let count = 9_000;
    let line =
        |n: u64| format!("Nov 22 13:38:00 web app[1]: line {n} {}\n", "of some length ".repeat(20));
    fs::write(&log, (0..count).map(line).collect::<String>()).unwrap();
    let mut command = program();
    command.arg("replay").arg(&log).arg("--state").arg(&state).arg("-q");
    command.args(["--set", "journal.segment_mb=1"]);
    let ended = run(command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(segments(&state).len() >= 3);
    (state, count)
}

/// The segments of a journal, in order.
fn segments(state: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(state.join("journal")).unwrap().map(|file| file.unwrap().path());
    let mut segments: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|kind| kind == "seg")).collect();
    segments.sort();
    segments
}

/// What a verb says of a state folder.
fn said(words: &[&str], state: &Path) -> Ended {
    let mut command = program();
    command.args(words).arg(state);
    run(command)
}

/// How many events `query` finds, and how many `replay` does.
fn queried_and_replayed(state: &Path) -> (u64, u64) {
    let queried = said(&["query", "events", "--limit", "0", "--json", "--state"], state);
    let lines = queried.stdout.split_inclusive(|byte| *byte == b'\n').count() as u64;
    let replayed = said(&["replay", "--json"], state).summary();
    (lines, replayed["events"].as_u64().unwrap())
}

#[test]
fn what_is_left_of_a_journal_that_lost_its_beginning_is_replayed_to_the_last_record() {
    let dir = folder();
    let (state, count) = in_segments(dir.path());
    fs::remove_file(&segments(&state)[0]).unwrap();
    let name = segments(&state)[0].file_stem().unwrap().to_str().unwrap().to_owned();
    let first: u64 = name.parse().unwrap();
    assert_eq!(queried_and_replayed(&state), (count - first, count - first));
    let info = said(&["state", "info", "--json", "--state"], &state).summary();
    assert_eq!(info["journal"]["first_seq"], first);
    let replayed = said(&["replay", "--json"], &state);
    assert!(replayed.stderr.contains("the beginning of the journal is gone"), "{replayed:?}");
    let shown = said(&["state", "info", "--state"], &state);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("positions of 1 file\n"), "{shown}");
}

/// Overwrites a few bytes of a file, at this share of it.
fn damage(path: &Path, share: f64) {
    let mut bytes = fs::read(path).unwrap();
    let at = (bytes.len() as f64 * share) as usize;
    bytes[at..at + 8].fill(0xa5);
    fs::write(path, &bytes).unwrap();
}

/// Has a journal repaired; how many records it says are lost. Looking first says the same.
fn lost_with_repair(state: &Path) -> u64 {
    let count = |text: &[u8]| -> u64 {
        let text = std::str::from_utf8(text).unwrap();
        let told = text.lines().filter_map(|line| line.rsplit_once(": ")?.1.split_once(" record"));
        told.map(|(count, _)| count.replace(' ', "").parse::<u64>().expect(text)).sum()
    };
    let looked = said(&["state", "repair", "--state"], state);
    assert_eq!(looked.code, Some(1), "{looked:?}");
    let done = said(&["state", "repair", "--yes", "--state"], state);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(count(&looked.stdout), count(&done.stdout), "{looked:?}");
    assert_eq!(said(&["state", "repair", "--state"], state).code, Some(0));
    count(&done.stdout)
}

#[test]
fn a_repair_gives_up_the_damaged_blocks_and_nothing_else() {
    let dir = folder();
    let (state, count) = in_segments(dir.path());
    let of = segments(&state);
    for (segment, share) in [(0, 0.5), (1, 0.3), (1, 0.8)] {
        damage(&of[segment], share);
    }
    let lost = lost_with_repair(&state);
    assert!(lost > 0 && lost <= 3 * 1_024, "{lost} of three blocks");
    assert_eq!(queried_and_replayed(&state), (count - lost, count - lost));
    let replayed = said(&["replay", "--json"], &state);
    assert!(replayed.stderr.contains("lost to damage"), "{replayed:?}");
    Live::start(&state, dir.path(), &[]).stop();
    assert_eq!(queried_and_replayed(&state), (count - lost, count - lost));
}

#[test]
fn what_is_left_behind_damage_runs_again_after_a_repair() {
    let dir = folder();
    let state = dir.path().join("state");
    let log = dir.path().join("some.log");
    let lines = 20_000;
    fs::write(&log, (0..lines).map(|n| format!("line {n} of many\n")).collect::<String>()).unwrap();
    let paths = format!("receivers.file_paths=['{}']", log.display());
    let set = [&paths, "receivers.file_read_from=start", "state.checkpoint_interval_s=3600"];
    let live = Live::start(&state, dir.path(), &set);
    until("the file is read", || try_journaled(&state).len() >= lines);
    assert!(live.process.kill(), "it had ended by itself");
    damage(&segments(&state)[0], 0.5);
    let lost = lost_with_repair(&state) as usize;
    assert!(lost > 0 && lost <= 1_024, "{lost}");
    let live = Live::start(&state, dir.path(), &set);
    until("it is said", || live.process.stderr().contains("lost to damage"));
    live.stop();
    assert_eq!(found(&state).len(), lines - lost);
}

#[test]
fn an_address_that_is_taken_is_told_before_anything_is_worked_off() {
    let dir = folder();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let state = dir.path().join("state");
    let mut command = program();
    command.arg("run").arg("--state").arg(&state);
    command.args(["--set", &format!("receivers.syslog_tcp_port={port}")]);
    command.args(["--set", &format!("receivers.syslog_udp_port={}", free_ports().0)]);
    let ended = run(command);
    assert_eq!(ended.code, Some(69), "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot listen on"), "{}", ended.stderr);
    assert!(!state.join("journal").exists(), "the state is not touched");
}
