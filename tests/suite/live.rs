//! `run` under load, killed, stopped, started again. Whoever sends knows what was sent.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use seerflow_dataflow::journal::Fed;
use seerflow_dataflow::retold;

use super::harness::{
    Chance, Live, Process, assert_all_found, counts, folder, found, free_ports, journaled, lines,
    program, run, stored_alerts, stored_events, try_journaled, until,
};
use super::law::LOUD;

/// How often the program is killed.
const KILLS: u32 = 20;

/// A line with a number, and now and then something that nobody has seen before. A second passes
/// from one to the next: years ago, and faster than now.
fn line(chance: &mut Chance, from: &str, number: u64) -> String {
    let (day, second) = (1 + number / 86_400, number % 86_400);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let time = format!("2020-01-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
    let what = match chance.below(120) {
        0 => format!("fault {:x} in {:x}", chance.next(), chance.next()),
        1..=9 => format!("user u{} logged in from 10.1.{}.7", chance.below(20), chance.below(200)),
        _ => format!("job {} done in {} ms", chance.below(6), chance.below(500)),
    };
    match from {
        "tcp" => format!("<34>1 {time} srv app - - - {from}-{number} {what}"),
        _ => format!("{time} srv app: {from}-{number} {what}"),
    }
}

/// Someone who sends until told to stop.
struct Sender {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Sender {
    fn start(work: impl FnOnce(&AtomicBool) -> u64 + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        Sender { stop, thread: std::thread::spawn(move || work(&told)) }
    }

    /// How many it has sent.
    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Sends lines over TCP to whatever port is current, and connects anew when it has to.
fn tcp(port: &Arc<AtomicU64>) -> Sender {
    let port = Arc::clone(port);
    Sender::start(move |stop| {
        let mut chance = Chance::new(1);
        let mut number = 0;
        while !stop.load(Ordering::Relaxed) {
            let at = port.load(Ordering::Relaxed) as u16;
            let Ok(mut stream) = TcpStream::connect(("127.0.0.1", at)) else {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            };
            while !stop.load(Ordering::Relaxed) {
                let text = line(&mut chance, "tcp", number) + "\n";
                number += 1;
                if stream.write_all(text.as_bytes()).is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_micros(300));
            }
        }
        number
    })
}

/// Appends lines to a file, and sets it aside when it has grown.
fn file(dir: &Path) -> Sender {
    let path = dir.join("app.log");
    Sender::start(move |stop| {
        let mut chance = Chance::new(2);
        let (mut number, mut rotations) = (0, 0);
        let open = || OpenOptions::new().create(true).append(true).open(&path).unwrap();
        let mut file = open();
        while !stop.load(Ordering::Relaxed) {
            for _ in 0..1 + chance.below(40) {
                writeln!(file, "{}", line(&mut chance, "file", number)).unwrap();
                number += 1;
            }
            if chance.below(60) == 0 {
                rotations += 1;
                fs::rename(&path, path.with_extension(format!("log.{rotations}"))).unwrap();
                file = open();
            }
            std::thread::sleep(chance.millis(1, 15));
        }
        number
    })
}

/// The numbers behind `from-` in these records.
fn numbers(texts: &[String], from: &str) -> Vec<u64> {
    let number =
        |text: &String| text[text.find(from)? + from.len()..].split(' ').next()?.parse().ok();
    texts.iter().filter_map(number).collect()
}

#[test]
fn kill_minus_nine_under_load_loses_no_line_of_a_file_and_doubles_nothing() {
    let dir = folder();
    let (state, logs) = (dir.path().join("state"), dir.path().join("logs"));
    let alerts = dir.path().join("alerts.ndjson");
    fs::create_dir(&logs).unwrap();
    let mut chance = Chance::told("kills of run");
    let fixed = [
        format!("receivers.file_paths=['{}/app.log*']", logs.display()),
        "receivers.file_read_from=start".to_owned(),
        "receivers.file_poll_ms=50".to_owned(),
        format!("alerting.file_path={}", alerts.display()),
        "alerting.file_max_bytes=20000".to_owned(),
        "alerting.file_backup_count=9000".to_owned(),
        "state.checkpoint_interval_s=1".to_owned(),
    ];
    let loud: Vec<&str> = LOUD.into_iter().chain(["detection.group_window_s=60"]).collect();
    let port = Arc::new(AtomicU64::new(1));
    let (tcp, file) = (tcp(&port), file(&logs));
    for round in 0..KILLS {
        let workers = format!("workers={}", 1 + round % 3);
        let set: Vec<&str> = fixed
            .iter()
            .map(String::as_str)
            .chain(loud.clone())
            .chain([workers.as_str()])
            .collect();
        let live = Live::start(&state, dir.path(), &set);
        port.store(u64::from(live.tcp), Ordering::Relaxed);
        std::thread::sleep(chance.millis(20, 1_600));
        assert!(live.process.kill(), "round {round}: it had ended by itself");
    }
    let set: Vec<&str> = fixed.iter().map(String::as_str).chain(loud.clone()).collect();
    let live = Live::start(&state, dir.path(), &set);
    port.store(u64::from(live.tcp), Ordering::Relaxed);
    std::thread::sleep(Duration::from_millis(500));
    let (sent, written) = (tcp.stop(), file.stop());
    until("the file is read", || numbers(&journaled(&state), "file-").len() as u64 >= written);
    live.stop();

    let texts = assert_all_found(&state);
    let mut of_file = numbers(&texts, "file-");
    of_file.sort_unstable();
    assert!(of_file.iter().copied().eq(0..written), "every line of the file once");
    let of_tcp = numbers(&texts, "tcp-");
    let distinct: BTreeSet<u64> = of_tcp.iter().copied().collect();
    assert_eq!(distinct.len(), of_tcp.len(), "no line of TCP twice");
    assert!(distinct.iter().all(|number| *number < sent), "nothing that was not sent");
    println!("{written} lines of a file, {} of {sent} over TCP", of_tcp.len());
    assert!(of_tcp.len() as u64 > sent / 4, "{} of {sent}", of_tcp.len());

    // Alerts: each once in the files, and the same as in the store.
    let mut ids = Vec::new();
    for entry in fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("alerts.ndjson") {
            let alert = |line: &String| {
                let alert: serde_json::Value = serde_json::from_str(line).unwrap();
                alert["id"].as_str().unwrap().to_owned()
            };
            ids.extend(lines(&path).iter().map(alert));
        }
    }
    let told = counts(ids.iter().map(String::as_str));
    assert!(told.values().all(|count| *count == 1), "an alert was told twice");
    let stored = stored_alerts(&state);
    assert_eq!(told.len(), stored.lines().count(), "all alerts of the store were told");
    assert!(told.len() > 5, "{} alerts", told.len());

    assert_replays_to_the_same(&state, dir.path(), &loud);
}

/// The journal, in a fresh engine with other workers, says what was said live.
fn assert_replays_to_the_same(state: &Path, out: &Path, set: &[&str]) {
    for workers in ["1", "3"] {
        let (alerts, events) = (out.join("again.alerts"), out.join("again.events"));
        let mut command = program();
        command.arg("replay").arg(state).args(["--json", "--workers", workers]);
        command.arg("--alerts").arg(&alerts).arg("--events").arg(&events);
        for set in set {
            command.args(["--set", set]);
        }
        let ended = run(command);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let again = fs::read_to_string(&alerts).unwrap();
        for (live, again) in stored_alerts(state).lines().zip(again.lines()) {
            assert_eq!(live, again);
        }
        assert_eq!(stored_alerts(state).lines().count(), again.lines().count());
        assert!(stored_events(state, set) == fs::read(&events).unwrap(), "events differ");
    }
}

#[test]
fn a_stop_under_load_is_quick_and_keeps_what_was_taken() {
    for round in 0..3 {
        let dir = folder();
        let state = dir.path().join("state");
        let live = Live::start(&state, dir.path(), &[]);
        let port = live.tcp;
        // Flat out, each line in its place, until nobody takes any more.
        let flood: Vec<_> = (0..2)
            .map(|who| {
                std::thread::spawn(move || {
                    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
                    let mut number = 0_u64;
                    loop {
                        let mut text = String::new();
                        for _ in 0..500 {
                            let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
                            text.push_str(&format!(
                                "<34>flood{who}-{number} session of 10.{}.{}.{} opened\n",
                                spread >> 16 & 255,
                                spread >> 8 & 255,
                                spread & 255
                            ));
                            number += 1;
                        }
                        let is_over = number >= 250_000;
                        if stream.write_all(text.as_bytes()).is_err() || is_over {
                            return number;
                        }
                    }
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(700 + 200 * round));
        let started = Instant::now();
        live.process.signal("TERM");
        let ended = live.process.wait();
        let took = started.elapsed();
        let sent: Vec<u64> = flood.into_iter().map(|flood| flood.join().unwrap()).collect();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(took <= Duration::from_secs(10), "round {round}: it took {took:?}");
        let summary = ended.summary();
        assert_eq!(summary["dropped"], 0, "{summary}");
        println!("round {round}: {} events, stopped in {took:?}", summary["events"]);

        // What is left is worked off by the next start, and nothing is missing in between.
        let next = Live::start(&state, dir.path(), &["shutdown_timeout_s=80"]);
        let left = next.stop().summary();
        let mut texts = assert_all_found(&state);
        // Of a line that was on its way when nobody took any more, there is the beginning.
        texts.retain(|text| text.ends_with(" opened"));
        for (who, sent) in sent.into_iter().enumerate() {
            let numbers = numbers(&texts, &format!("flood{who}-"));
            assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "a line is missing");
            assert!(numbers.len() as u64 <= sent);
        }
        let events = |summary: &serde_json::Value| summary["events"].as_u64().unwrap();
        assert!(events(&summary) + events(&left) >= texts.len() as u64);
        assert!(texts.len() > 10_000, "{} events are no load", texts.len());
    }
}

/// A state folder that has something in it, and was left in good order.
fn used(dir: &Path) -> PathBuf {
    let (state, log) = (dir.join("state"), dir.join("used.log"));
    let text: String = (0..5_000).map(|n| format!("line {n} of the used state\n")).collect();
    fs::write(&log, text).unwrap();
    let mut command = program();
    command.arg("replay").arg(&log).arg("--state").arg(&state).arg("-q");
    assert_eq!(run(command).code, Some(0));
    state
}

/// What `run` says of a state folder that it cannot use.
fn refused(state: &Path) -> (Option<i32>, String) {
    let mut command = program();
    command.arg("run").arg("--state").arg(state);
    command.args(["--set", "receivers.syslog_enabled=false"]);
    command.args(["--set", "receivers.stdin_enabled=true"]);
    let ended = run(command);
    (ended.code, ended.stderr)
}

#[test]
fn a_state_folder_in_use_is_refused_in_one_line() {
    let dir = folder();
    let state = dir.path().join("state");
    let live = Live::start(&state, dir.path(), &[]);
    let (code, said) = refused(&state);
    assert_eq!(code, Some(69), "{said}");
    assert!(said.starts_with("error: ") && said.contains("is in use by"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    live.stop();
}

#[test]
fn a_state_folder_of_another_version_is_refused_in_one_line() {
    let dir = folder();
    let state = used(dir.path());
    fs::write(state.join("VERSION"), "99\n").unwrap();
    let (code, said) = refused(&state);
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("has version 99, this program reads version"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    let mut command = program();
    command.arg("replay").arg(&state).arg("--json");
    let replayed = run(command);
    assert_eq!((replayed.code, &replayed.stderr), (Some(69), &said), "a replay says the same");
    assert!(replayed.stdout.is_empty());
}

/// The only segment of a journal.
fn segment(state: &Path) -> PathBuf {
    let mut segments: Vec<PathBuf> = fs::read_dir(state.join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    assert_eq!(segments.len(), 1);
    segments.remove(0)
}

#[test]
fn a_flipped_byte_in_the_journal_is_named_and_not_guessed() {
    let dir = folder();
    let state = used(dir.path());
    let path = segment(&state);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 4;
    fs::write(&path, &bytes).unwrap();
    let (code, said) = refused(&state);
    assert_eq!(code, Some(65), "{said}");
    assert!(said.contains(path.file_name().unwrap().to_str().unwrap()), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(fs::read(&path).unwrap(), bytes, "nothing was cut or repaired unasked");
}

#[test]
fn a_torn_tail_is_cut_named_and_gone_on_behind() {
    let dir = folder();
    let state = dir.path().join("state");
    let live = Live::start(&state, dir.path(), &[]);
    for text in ["before the tear", "torn"] {
        live.connect().write_all(format!("<34>{text}\n").as_bytes()).unwrap();
        until(text, || journaled(&state).contains(&format!("<34>{text}")));
    }
    live.process.kill();
    let path = segment(&state);
    let bytes = fs::read(&path).unwrap();
    let at = bytes.windows(4).rposition(|bytes| bytes == b"torn").unwrap();
    fs::write(&path, &bytes[..at + 2]).unwrap();
    let live = Live::start(&state, dir.path(), &[]);
    live.connect().write_all(b"<34>after the tear\n").unwrap();
    until("the probe", || journaled(&state).contains(&"<34>after the tear".to_owned()));
    let said = live.process.stderr();
    assert!(said.contains(path.file_name().unwrap().to_str().unwrap()), "{said}");
    live.stop();
    assert_eq!(assert_all_found(&state), ["<34>before the tear", "<34>after the tear"]);
}

#[test]
fn a_journal_that_ends_before_the_checkpoint_is_refused_in_one_line() {
    let dir = folder();
    let state = used(dir.path());
    let path = segment(&state);
    let len = fs::metadata(&path).unwrap().len();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(len - 5).unwrap();
    let (code, said) = refused(&state);
    assert_eq!(code, Some(65), "{said}");
    assert!(said.contains("ends in epoch"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_damaged_store_is_not_said_to_be_in_use_and_its_file_is_named() {
    let dir = folder();
    let state = used(dir.path());
    let tables = fs::read_dir(state.join("store")).unwrap().map(|entry| entry.unwrap().path());
    let tables = tables.filter(|path| path.extension().is_some_and(|kind| kind == "sst"));
    let mut names = Vec::new();
    for path in tables {
        // Early in the first block, so that whoever reads it finds a checksum that is wrong.
        let mut bytes = fs::read(&path).unwrap();
        bytes[8..24].fill(0xa5);
        fs::write(&path, &bytes).unwrap();
        names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
    }
    assert!(!names.is_empty());
    let mut command = program();
    command.args(["query", "templates", "--state"]).arg(&state);
    let query = run(command);
    for (code, said) in [refused(&state), (query.code, query.stderr)] {
        assert_eq!(code, Some(65), "{said}");
        assert!(said.contains("is damaged") && !said.contains("in use"), "{said}");
        assert!(names.iter().any(|name| said.contains(name)), "{said}");
        assert!(said.contains("moved aside"), "{said}");
    }
}

#[test]
fn a_run_whose_output_nobody_reads_any_more_stops_when_told_to_and_keeps_all() {
    let dir = folder();
    let state = dir.path().join("state");
    let (udp, tcp) = free_ports();
    let mut command = program();
    command.arg("run").arg("--state").arg(&state);
    command.args(["--set", &format!("receivers.syslog_udp_port={udp}")]);
    command.args(["--set", &format!("receivers.syslog_tcp_port={tcp}")]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let mut said = BufReader::new(child.stderr.take().unwrap());
    said.read_line(&mut String::new()).unwrap();
    drop(said);
    let mut stream = TcpStream::connect(("127.0.0.1", tcp)).unwrap();
    stream.write_all(b"<34>a line that is kept\n").unwrap();
    until("the line", || try_journaled(&state).len() == 1);
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &pid]).status().unwrap().success());
    let told = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if told.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(status.code(), Some(0));
    assert_eq!(assert_all_found(&state), ["<34>a line that is kept"]);
}

#[test]
fn a_copy_of_a_followed_file_is_not_read_and_that_is_said() {
    let dir = folder();
    let state = dir.path().join("state");
    let text: String = (0..100).map(|i| format!("line {i} of a file that was copied\n")).collect();
    for name in ["a.log", "b.log"] {
        fs::write(dir.path().join(name), &text).unwrap();
    }
    let paths = format!("receivers.file_paths=['{}/*.log']", dir.path().display());
    let live = Live::start(&state, dir.path(), &[&paths, "receivers.file_read_from=start"]);
    until("the copy is named", || live.process.stderr().contains("a copy of another"));
    until("the file is read", || journaled(&state).len() >= 100);
    let said = live.process.stderr();
    let named = said.lines().find(|line| line.contains("a copy of another")).unwrap();
    assert!(named.contains("/b.log") && named.contains("/a.log"), "{named}");
    live.stop();
    assert_eq!(journaled(&state).len(), 100);
}

#[test]
fn a_run_that_would_receive_nothing_is_refused_and_told_which_keys_to_set() {
    let dir = folder();
    let mut command = program();
    command.arg("run").arg("--state").arg(dir.path().join("state"));
    command.args(["--set", "receivers.syslog_enabled=false"]);
    let ended = run(command);
    assert_eq!(ended.code, Some(78), "{}", ended.stderr);
    for key in ["syslog_enabled", "file_paths", "stdin_enabled"] {
        assert!(ended.stderr.contains(&format!("receivers.{key}")), "{}", ended.stderr);
    }
}

#[test]
fn epochs_are_as_long_as_configured_and_old_ones_stay_as_they_were_cut() {
    let dir = folder();
    let state = used(dir.path());
    let ends = || -> Vec<u64> {
        let fed = retold::whole(&state).unwrap().1.map(Result::unwrap);
        let ends = fed.filter_map(|fed| match fed {
            Fed::EpochEnd { next_seq, .. } => Some(next_seq),
            _ => None,
        });
        ends.collect()
    };
    let before = ends();
    assert_eq!(before[..3], [64, 128, 192]);
    let more = dir.path().join("more.log");
    fs::write(&more, (0..1_000).map(|n| format!("more {n}\n")).collect::<String>()).unwrap();
    let mut command = program();
    command.arg("replay").arg(&more).arg("--state").arg(&state).arg("-q");
    command.args(["--set", "epoch.min_records=90", "--set", "epoch.max_records=100"]);
    assert_eq!(run(command).code, Some(0));
    let after = ends();
    assert_eq!(after[..before.len()], before);
    let cuts: Vec<u64> = (1..=10).map(|n| 5_000 + n * 100).collect();
    assert_eq!(after[before.len()..before.len() + 10], cuts);
    assert_all_found(&state);
}

/// Has a journal repaired, first only looked at; what it says of what it has done.
fn repaired(state: &Path) -> String {
    let (_, said) = refused(state);
    let command = format!("seerflow-dataflow state repair --state {}", state.display());
    assert!(said.contains(&command) && said.lines().count() == 1, "{said}");
    let before = fs::read(segment(state)).unwrap();
    let repair = |yes: &[&str]| {
        let mut command = program();
        command.args(["state", "repair", "--state"]).arg(state).args(yes);
        run(command)
    };
    let looked = repair(&[]);
    assert_eq!(looked.code, Some(1), "{looked:?}");
    assert!(looked.stderr.contains("--yes"), "{looked:?}");
    assert_eq!(fs::read(segment(state)).unwrap(), before, "looking changes nothing");
    let done = repair(&["--yes"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let again = repair(&[]);
    assert_eq!(again.code, Some(0), "{again:?}");
    String::from_utf8(done.stdout).unwrap()
}

/// Starts `run` on a folder, sends a line, stops; the events that are found then.
fn goes_on(state: &Path, dir: &Path) -> Vec<u64> {
    let live = Live::start(state, dir, &[]);
    live.connect().write_all(b"<34>after the repair\n").unwrap();
    let there = || try_journaled(state).contains(&"<34>after the repair".to_owned());
    until("the line after the repair", there);
    live.stop();
    found(state)
}

#[test]
fn a_damaged_journal_is_repaired_by_the_command_that_the_refusal_names() {
    let dir = folder();
    let state = used(dir.path());
    let path = segment(&state);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() / 2;
    bytes[at..at + 8].fill(0xa5);
    fs::write(&path, &bytes).unwrap();
    let said = repaired(&state);
    assert!(said.contains("bytes aside") && said.contains(".damaged"), "{said}");
    let aside = fs::read_dir(state.join("journal")).unwrap().map(|entry| entry.unwrap().path());
    let aside = aside.filter(|path| path.extension().is_some_and(|kind| kind == "damaged"));
    let aside: Vec<u8> = aside.flat_map(|path| fs::read(path).unwrap()).collect();
    assert!(bytes.windows(aside.len()).any(|part| part == aside), "what was taken out is kept");
    assert!(aside.len() > 1_000 && aside.len() < bytes.len() / 2, "{}", aside.len());
    let seqs = goes_on(&state, dir.path());
    assert_eq!(seqs, (0..=5_000).collect::<Vec<_>>(), "no number is used again");
}

#[test]
fn a_journal_that_lost_its_end_goes_on_behind_the_checkpoint_after_a_repair() {
    let dir = folder();
    let state = used(dir.path());
    let path = segment(&state);
    let len = fs::metadata(&path).unwrap().len();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(len - 100).unwrap();
    // The start that is refused cuts the unfinished write.
    assert_eq!(refused(&state).0, Some(65));
    let said = repaired(&state);
    assert!(said.contains("before the checkpoint"), "{said}");
    assert_eq!(goes_on(&state, dir.path()), (0..=5_000).collect::<Vec<_>>());
}

#[test]
fn a_worker_that_panics_ends_the_process_with_70() {
    // A worker that has to put state aside and has nowhere to put it cannot go on.
    let dir = folder();
    let log = dir.path().join("many.log");
    let mut file = std::io::BufWriter::new(File::create(&log).unwrap());
    for n in 0..120_000 {
        writeln!(file, "login of 10.{}.{}.{} done", n >> 16, n >> 8 & 255, n & 255).unwrap();
    }
    file.flush().unwrap();
    for workers in ["1", "2"] {
        let mut command = program();
        command.arg("replay").arg(&log).args(["--workers", workers]);
        command.args(["--set", "state.memory_mb=16"]).env("TMPDIR", dir.path().join("nowhere"));
        let started = Instant::now();
        let ended = run(command);
        assert_eq!(ended.code, Some(70), "{workers} workers: {ended:?}");
        assert!(ended.stderr.contains("a folder for state"), "{}", ended.stderr);
        assert!(started.elapsed() < Duration::from_secs(60));
    }
}

#[test]
fn a_log_of_json_holds_nothing_else() {
    let dir = folder();
    let log = dir.path().join("x.log");
    fs::write(&log, "<38>Nov 22 13:38:00 web app[1]: hello\n").unwrap();
    let mut command = program();
    command.args(["run", "--log-format", "json", "--state"]).arg(dir.path().join("state"));
    command.args(["--set", "receivers.syslog_enabled=false"]);
    command.arg("--set").arg(format!("receivers.file_paths=['{}']", log.display()));
    let process = Process::start(command, dir.path());
    until("it is ready", || process.stderr().contains("\"ready\""));
    process.signal("TERM");
    let ended = process.wait();
    assert_eq!((ended.code, ended.stdout.len()), (Some(0), 0), "{ended:?}");
    let lines: Vec<serde_json::Value> =
        ended.stderr.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let says = |what: &str| lines.iter().any(|line| line.to_string().contains(what));
    assert!(says("\"ready\"") && says("\"stopping\"") && says("\\\"entities\\\""), "{lines:?}");
}

#[test]
fn entities_of_a_run_are_those_it_saw_and_new_ones_are_told_apart() {
    let dir = folder();
    let state = dir.path().join("state");
    let replayed = |name: &str, text: &str| {
        let log = dir.path().join(name);
        fs::write(&log, text).unwrap();
        let mut command = program();
        command.arg("replay").arg(&log).arg("--state").arg(&state).arg("--json");
        let summary = run(command).summary();
        (summary["entities"].as_u64().unwrap(), summary["new_entities"].as_u64().unwrap())
    };
    let login = |user: &str, address: &str| {
        format!("<38>Nov 22 13:38:00 web sshd[1]: Accepted password for {user} from {address}\n")
    };
    let (first, new) = replayed("a.log", &(login("ann", "10.0.0.1") + &login("bob", "10.0.0.2")));
    assert_eq!(first, new);
    assert!(first >= 5, "{first}: a host, two users, two addresses");
    assert_eq!(replayed("b.log", &login("ann", "10.0.0.1")), (first - 2, 0));
    assert_eq!(replayed("c.log", &login("ann", "10.0.0.3")), (first - 2, 1));
    assert_eq!(replayed("d.log", "x1 hello\n"), (0, 0), "a source is no entity");
    let mut command = program();
    command.args(["query", "entities", "--limit", "0", "--json", "--state"]).arg(&state);
    let listed = String::from_utf8(run(command).stdout).unwrap();
    assert_eq!(listed.lines().count() as u64, first + 1);
    assert!(!listed.contains("\"source\""), "{listed}");
}
