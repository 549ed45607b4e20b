//! Everything that goes wrong on the way in, as a table: what is sent, and what becomes of it.
//!
//! After each case a probe must be taken, and at the end nothing may have panicked, nothing may
//! have been lost that is not counted, and no byte may have been printed that a terminal obeys.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use operators::types::Flags;
use seerflow_dataflow::config::{ConfigError, Document, Sources, load};
use seerflow_dataflow::storage::Storage;

use super::harness::{
    Ended, Live, Process, assert_all_found, folder, journaled, program, run, stored_events, until,
};
use super::law::LOUD;

/// What is sent in one case, and the events that it must become.
struct Case {
    name: &'static str,
    over: Over,
    bytes: Vec<u8>,
    events: Vec<Event>,
}

#[derive(Clone, Copy)]
enum Over {
    Tcp,
    Udp,
}

/// What an event must say: its message, the names of its flags, and any of its other values.
struct Event {
    message: String,
    flags: Vec<&'static str>,
    values: Vec<(&'static str, &'static str)>,
}

/// An event that does not say when it happened.
fn event(message: impl Into<String>) -> Event {
    Event { message: message.into(), flags: vec!["time_of_receipt"], values: Vec::new() }
}

impl Event {
    fn flag(mut self, flag: &'static str) -> Self {
        self.flags.push(flag);
        self
    }

    /// It says when it happened.
    fn dated(mut self) -> Self {
        self.flags.retain(|flag| *flag != "time_of_receipt");
        self
    }

    fn with(mut self, key: &'static str, value: &'static str) -> Self {
        self.values.push((key, value));
        self
    }
}

fn tcp(name: &'static str, bytes: impl Into<Vec<u8>>, events: Vec<Event>) -> Case {
    Case { name, over: Over::Tcp, bytes: bytes.into(), events }
}

fn udp(name: &'static str, bytes: impl Into<Vec<u8>>, events: Vec<Event>) -> Case {
    Case { name, over: Over::Udp, bytes: bytes.into(), events }
}

/// The default of `receivers.max_message_bytes`.
const MESSAGE_MAX: usize = 65_536;
/// What a terminal would obey: a title, a clear screen, a forged line, a C1 control, an override.
const EVIL: &str =
    "\u{1b}]0;PWNED\u{7}\u{1b}[2J\r2026-01-01 CRITICAL forged\u{9b}31m\u{202e}txt.exe\u{2066}";

fn cases() -> Vec<Case> {
    let long = "a".repeat(9_000);
    let octets = |text: &str| format!("{} {text}", text.len());
    let injected = format!("<34>1 - h a - - - one\r\ntwo {EVIL}");
    let digits = format!("<{}>many digits\n", "7".repeat(4_096));
    vec![
        tcp("a long line", format!("<34>{long}\n"), vec![event(long.clone())]),
        tcp(
            "fifty million bytes in a line",
            [b"<34>".to_vec(), vec![b'a'; 50_000_000], b"\n<34>behind it\n".to_vec()].concat(),
            vec![
                event("a".repeat(MESSAGE_MAX - 4)).flag("truncated").flag("entities_cut"),
                event("behind it"),
            ],
        ),
        tcp(
            "no line end",
            "<34>the sender went away",
            vec![event("the sender went away").flag("unterminated")],
        ),
        tcp("a NUL in a line", "<34>a\0b\n", vec![event("a\0b")]),
        tcp("lines that end with NUL", "<34>one\0<34>two\0", vec![event("one"), event("two")]),
        tcp(
            "bytes that are no text",
            b"<34>\xff\xfe!\n".to_vec(),
            vec![event("\u{fffd}\u{fffd}!").flag("not_utf8")],
        ),
        tcp(
            "a byte order mark",
            "<34>1 2003-10-11T22:14:15.003Z h su - ID47 - \u{feff}'su root' failed\n",
            vec![event("'su root' failed").dated().with("host", "h").with("app", "su")],
        ),
        tcp(
            "octet counting",
            octets("<34>1 - h a - - - msg one!") + &octets("<34>1 - h a - - - msg two!"),
            vec![event("msg one!").with("host", "h"), event("msg two!").with("app", "a")],
        ),
        tcp("a count of 99 MB", "99999999 <34>1 - h a - - - big lie\n", vec![event("big lie")]),
        tcp("a count below nothing", "-5 <34>1 - h a - - - small lie\n", vec![event("small lie")]),
        tcp("a count with zeros", "007 <34>1 - h a - - - bond\n", vec![event("bond")]),
        tcp(
            "a count that is one short",
            "25 <34>1 - h a - - - msg one!\n26 <34>1 - h a - - - msg two!",
            vec![event("msg one"), event("!").flag("bad_priority"), event("msg two!")],
        ),
        tcp(
            "a count without its frame",
            "4000 <34>1 - h a - - - cut off",
            vec![event("cut off").flag("unterminated")],
        ),
        tcp("empty lines", "\n\r\n\n<34>after them\n", vec![event("after them")]),
        tcp(
            "a priority of 999",
            "<999>too high\n",
            vec![event("<999>too high").flag("bad_priority")],
        ),
        tcp(
            "a priority of 192",
            "<192>just too high\n",
            vec![event("<192>just too high").flag("bad_priority")],
        ),
        tcp("an empty priority", "<>none\n", vec![event("<>none").flag("bad_priority")]),
        tcp("no priority", "none at all\n", vec![event("none at all").flag("bad_priority")]),
        tcp(
            "a priority of 4 kB",
            digits.clone(),
            vec![event(digits.trim_end()).flag("bad_priority")],
        ),
        tcp(
            "RFC 3164",
            "<34>Oct 11 22:14:15 mymachine su[12]: 'su root' failed for lonvick\n",
            vec![
                event("'su root' failed for lonvick")
                    .dated()
                    .with("host", "mymachine")
                    .with("app", "su")
                    .with("severity", "critical"),
            ],
        ),
        tcp(
            "RFC 5424",
            "<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 ID1 [ex@1 k=\"a\\\"]b\"] It's time\n",
            vec![
                event("It's time")
                    .dated()
                    .with("event_time", "2003-08-24T12:14:15.000003Z")
                    .with("host", "192.0.2.1")
                    .with("app", "myproc")
                    .with("severity", "notice"),
            ],
        ),
        tcp(
            "29 February of no year",
            "<34>Feb 29 10:00:00 h a: leap\n",
            vec![event("leap").dated().with("host", "h")],
        ),
        tcp(
            "30 February",
            "<34>Feb 30 10:00:00 h a: never\n",
            vec![event("never").with("host", "h")],
        ),
        tcp(
            "the year 2099",
            "<34>1 2099-01-01T00:00:00Z h a - - - tomorrow\n",
            vec![event("tomorrow").dated().flag("time_clamped")],
        ),
        tcp(
            "the last of all times",
            "<34>1 9999-12-31T23:59:59.999999999Z h a - - - the end\n{\"time\":9223372036854775807,\"msg\":\"max\"}\n",
            vec![
                event("the end").dated().flag("time_clamped"),
                event("max").dated().flag("bad_priority").flag("time_clamped"),
            ],
        ),
        tcp(
            "lines forged within a counted frame",
            octets(&injected),
            vec![event(format!("one\r\ntwo {EVIL}"))],
        ),
        tcp(
            "JSON that does not end",
            format!("{}\n", "[{\"a\":".repeat(30_000)),
            vec![
                event("[{\"a\":".repeat(30_000)[..MESSAGE_MAX].to_owned())
                    .flag("bad_priority")
                    .flag("entities_cut")
                    .flag("truncated"),
            ],
        ),
        udp(
            "the largest datagram",
            vec![b'x'; 65_507],
            vec![event("x".repeat(65_507)).flag("bad_priority").flag("entities_cut")],
        ),
        udp("an empty datagram", "", vec![]),
        udp("two lines in a datagram", "<34>one\ntwo\n", vec![event("one\ntwo")]),
        udp(
            "a datagram of bytes",
            b"<34>\xc3\x28\n".to_vec(),
            vec![event("\u{fffd}(").flag("not_utf8")],
        ),
    ]
}

/// No byte is printed that a terminal obeys, or that forges a line.
fn assert_harmless(what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let bad = text.chars().find(|c| match c {
        '\n' => false,
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        c => c.is_control(),
    });
    assert_eq!(bad, None, "{what}: {text}");
}

fn assert_calm(ended: &Ended) {
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    assert_harmless("standard error", ended.stderr.as_bytes());
    assert_harmless("standard output", &ended.stdout);
}

/// The flags of all events of a state folder.
fn flags(state: &Path) -> Vec<Vec<&'static str>> {
    let storage = Storage::open_for_reading(state).unwrap();
    let all = storage.found_from(0).map(Result::unwrap);
    all.flat_map(|found| found.flags.into_iter().map(|flags| Flags(flags).names())).collect()
}

#[test]
fn bad_syslog_becomes_what_the_table_says() {
    let dir = folder();
    let state = dir.path().join("state");
    let set =
        ["alerting.console_enabled=true", "alerting.console_stream=stderr", "log_level=debug"];
    let set: Vec<&str> = set.into_iter().chain(LOUD).collect();
    let live = Live::start(&state, dir.path(), &set);
    let probe = |number: usize| format!("<13>probe {number}");
    let cases = cases();
    let memory = live.process.memory_kib("VmHWM");
    for (number, case) in cases.iter().enumerate() {
        match case.over {
            Over::Tcp => {
                let mut stream = live.connect();
                stream.write_all(&case.bytes).unwrap();
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                // It is read to its end before the probe comes.
                stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "{}", case.name);
            }
            Over::Udp => {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                socket.send_to(&case.bytes, ("127.0.0.1", live.udp)).unwrap();
                std::thread::sleep(Duration::from_millis(150));
            }
        }
        live.connect().write_all(format!("{}\n", probe(number)).as_bytes()).unwrap();
        until(case.name, || journaled(&state).contains(&probe(number)));
    }
    let grown = live.process.memory_kib("VmHWM") - memory;
    let ended = live.stop();
    assert_calm(&ended);
    assert!(grown < 160 << 10, "{grown} KiB more memory were needed");
    assert_eq!(ended.summary()["dropped"], 0);

    let texts = assert_all_found(&state);
    let events = String::from_utf8(stored_events(&state, &set)).unwrap();
    let events: Vec<serde_json::Value> =
        events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let flags = flags(&state);
    let (mut at, mut differ) = (0, Vec::new());
    for (number, case) in cases.iter().enumerate() {
        let end = texts.iter().position(|text| *text == probe(number)).unwrap();
        let said = || -> Vec<String> {
            let short = |at: usize| {
                let message = events[at]["message"].to_string();
                let cut = message.floor_char_boundary(90);
                format!("{} {:?}", &message[..cut], flags[at])
            };
            (at..end).map(short).collect()
        };
        assert_eq!(end - at, case.events.len(), "{}: {:#?}", case.name, said());
        for (event, at) in case.events.iter().zip(at..end) {
            assert!(events[at]["message"] == event.message, "{}: {:#?}", case.name, said());
            let mut wanted = event.flags.clone();
            let mut found = flags[at].clone();
            // Whether it is late depends on the cases before it.
            found.retain(|flag| *flag != "late");
            wanted.sort_unstable();
            found.sort_unstable();
            if found != wanted {
                differ.push(format!("{}: {found:?} for {wanted:?}: {:#?}", case.name, said()));
            }
            for (key, value) in &event.values {
                assert_eq!(events[at][key], *value, "{}: {}", case.name, events[at]);
            }
        }
        at = end + 1;
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn connections_that_only_hold_places_keep_nobody_out() {
    let dir = folder();
    let state = dir.path().join("state");
    let set = [
        "receivers.tcp_max_connections=40",
        "receivers.tcp_max_connections_per_peer=40",
        "receivers.tcp_frame_timeout_s=1",
    ];
    let live = Live::start(&state, dir.path(), &set);
    let loris: Vec<TcpStream> = (0..200)
        .filter_map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", live.tcp)).ok()?;
            stream.write_all(b"<34>a").ok()?;
            Some(stream)
        })
        .collect();
    live.connect().write_all(b"<34>a good client\n").unwrap();
    until("the good client", || journaled(&state).iter().any(|text| text == "<34>a good client"));
    // Whoever never ends a record is sent away in time.
    let mut last = live.connect();
    last.write_all(b"20 <34>1 - h").unwrap();
    last.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    assert_eq!(last.read(&mut [0]).unwrap_or(0), 0);
    drop(loris);
    assert_calm(&live.stop());
}

/// A file that is followed, and what was written into it.
struct Tail {
    file: File,
    written: Vec<String>,
}

impl Tail {
    fn new(path: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        Tail { file, written: Vec::new() }
    }

    fn write(&mut self, name: &str, count: usize) {
        let from = self.written.len();
        let new: Vec<String> = (from..from + count).map(|at| format!("{name} {at}")).collect();
        self.file.write_all((new.join("\n") + "\n").as_bytes()).unwrap();
        self.written.extend(new);
    }
}

/// Waits until these lines are in the journal, and sees that none is there twice.
fn assert_read(state: &Path, name: &str, count: usize) {
    let prefix = format!("{name} ");
    let of_name = |texts: Vec<String>| -> Vec<usize> {
        let number = |text: &String| text.strip_prefix(&prefix)?.parse().ok();
        texts.iter().filter_map(number).collect()
    };
    until(name, || of_name(journaled(state)).len() >= count);
    std::thread::sleep(Duration::from_millis(150));
    let mut numbers = of_name(journaled(state));
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(0..count), "{name}: {} of {count}", numbers.len());
}

#[test]
fn whatever_happens_to_a_file_that_is_followed_each_line_is_read_once() {
    let dir = folder();
    let (state, logs) = (dir.path().join("state"), dir.path().join("logs"));
    fs::create_dir(&logs).unwrap();
    let paths = format!("receivers.file_paths=['{}/*.log', '{0}/rotated.log*']", logs.display());
    let set = [&*paths, "receivers.file_read_from=start", "receivers.file_poll_ms=50"];
    let live = Live::start(&state, dir.path(), &set);

    let mut burst = Tail::new(&logs.join("burst.log"));
    burst.write("burst", 5_000);
    assert_read(&state, "burst", 5_000);

    // Renamed while somebody still writes to it.
    let path = logs.join("rotated.log");
    let mut old = Tail::new(&path);
    old.write("rotated", 20);
    fs::rename(&path, logs.join("rotated.log.1")).unwrap();
    old.write("rotated", 20);
    let mut new = Tail::new(&path);
    new.written = std::mem::take(&mut old.written);
    new.write("rotated", 20);
    assert_read(&state, "rotated", 60);

    // Copied and cut, and then longer than before.
    let path = logs.join("copied.log");
    let mut copied = Tail::new(&path);
    copied.write("copied", 50);
    assert_read(&state, "copied", 50);
    fs::copy(&path, logs.join("copied.old")).unwrap();
    copied.file.set_len(0).unwrap();
    copied.write("copied", 80);
    assert_read(&state, "copied", 130);

    // Deleted and made again, with the same inode if the file system likes.
    let path = logs.join("again.log");
    let mut count = 0;
    for _ in 0..8 {
        let mut again = Tail::new(&path);
        again.written = vec![String::new(); count];
        again.write("again", 10);
        count += 10;
        assert_read(&state, "again", count);
        fs::remove_file(&path).unwrap();
    }

    // What is no log: a pipe that nobody writes to, a folder, a link to a device, a hole of
    // 10 GB, noise.
    let made = Command::new("mkfifo").arg(logs.join("pipe.log")).status().unwrap();
    assert!(made.success());
    fs::create_dir(logs.join("folder.log")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", logs.join("zero.log")).unwrap();
    File::create(logs.join("hole.log")).unwrap().set_len(10 << 30).unwrap();
    let mut noise = vec![0; 300_000];
    File::open("/dev/urandom").unwrap().read_exact(&mut noise).unwrap();
    fs::write(logs.join("noise.log"), &noise).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let before = journaled(&state).len();

    // A line without an end, far too long, and what comes behind it.
    let path = logs.join("long.log");
    fs::write(&path, vec![b'x'; 3_000_000]).unwrap();
    until("the long line is taken", || journaled(&state).len() > before);
    let mut long = Tail::new(&path);
    long.file.write_all(b"\n").unwrap();
    long.write("long", 39);
    assert_read(&state, "long", 39);
    let texts = journaled(&state);
    assert_eq!(texts.len(), before + 40, "nothing came of what is no log");
    assert_eq!(texts[before].len(), 1 << 20, "the beginning of the long line");

    // Written while nobody looked.
    assert_calm(&live.stop());
    burst.write("burst", 35);
    let live = Live::start(&state, dir.path(), &set);
    assert_read(&state, "burst", 5_035);
    assert_read(&state, "copied", 130);
    assert_calm(&live.stop());
    assert_all_found(&state);
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_broken_file_is_one_warning_and_the_next_one_is_read() {
    let dir = folder();
    let path = |name: &str| dir.path().join(name);
    let text: String =
        (0..20_000).map(|n| format!("line {n} of {}\n", n * 7_919 % 10_007)).collect();
    let whole = packed(text.as_bytes());
    fs::write(path("a.gz"), &whole).unwrap();
    fs::write(path("b-cut.gz"), &whole[..whole.len() / 2]).unwrap();
    let mut corrupt = whole.clone();
    let middle = corrupt.len() / 2;
    corrupt[middle..middle + 40].fill(0xaa);
    fs::write(path("c-corrupt.gz"), &corrupt).unwrap();
    fs::write(path("d-no.gz"), [&whole[..4], &[0xff; 60]].concat()).unwrap();
    let zstd = zstd::encode_all(text.as_bytes(), 1).unwrap();
    fs::write(path("e-cut.zst"), &zstd[..zstd.len() / 2]).unwrap();
    fs::write(path("f.bin"), [0, 159, 146, 150, 0, 0, 1, 2, 3].repeat(4_000)).unwrap();
    fs::write(path("g-last.log"), "the last file\n").unwrap();
    let mut command = program();
    command.current_dir(dir.path()).args(["replay", "--json", "--events", "events.ndjson"]);
    command.args([
        "a.gz",
        "b-cut.gz",
        "c-corrupt.gz",
        "d-no.gz",
        "e-cut.zst",
        "f.bin",
        "g-last.log",
    ]);
    let ended = run(command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_calm(&ended);
    for name in ["b-cut.gz", "c-corrupt.gz", "d-no.gz", "e-cut.zst", "f.bin"] {
        let warning = format!("warning: {name}: ");
        assert_eq!(ended.stderr.matches(&warning).count(), 1, "{name}: {}", ended.stderr);
    }
    let events = fs::read_to_string(path("events.ndjson")).unwrap();
    assert_eq!(events.matches("\"source\":\"file:a.gz\"").count(), 20_000);
    assert!(events.matches("\"source\":\"file:b-cut.gz\"").count() > 1_000);
    assert!(events.lines().last().unwrap().contains("\"message\":\"the last file\""));
    assert_harmless("events", events.as_bytes());

    let mut command = program();
    command.arg("replay").arg(path("f.bin"));
    assert_eq!(run(command).code, Some(65), "nothing to read is no success");
    let mut command = program();
    command.arg("replay").arg(path("nowhere"));
    assert_eq!(run(command).code, Some(66));
}

#[test]
fn a_compressed_bomb_needs_no_memory() {
    let dir = folder();
    let bomb = dir.path().join("bomb.gz");
    fs::write(&bomb, packed(&vec![b'a'; 300_000_000])).unwrap();
    assert!(fs::metadata(&bomb).unwrap().len() < 3_000_000);
    let mut command = program();
    command.arg("replay").arg(&bomb).args(["--json", "--state"]).arg(dir.path().join("state"));
    let mut process = Process::start(command, dir.path());
    let mut peak = 0;
    while process.is_running() {
        if let Ok(status) = fs::read_to_string(format!("/proc/{}/status", process.pid())) {
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok());
            peak = peak.max(kib.unwrap_or(0_u64));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let ended = process.wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.summary()["events"], 1);
    assert!(peak < 200 << 10, "{peak} KiB");
}

/// What a configuration is refused with; `None` if it is not.
fn problems(text: &str) -> Option<String> {
    let file = Some(Document { name: "test.yaml".to_owned(), text: text.to_owned() });
    match load(&Sources { file, ..Sources::default() }) {
        Ok(_) => None,
        Err(ConfigError::Problems(problems)) => Some(problems.render(false)),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn every_key_misspelt_and_every_value_of_a_wrong_type_is_refused_with_its_line() {
    let defaults = include_str!("../../configs/default.yaml");
    assert_eq!(problems(defaults), None);
    let mut mutants = 0;
    for (number, line) in defaults.lines().enumerate() {
        let Some((key, value)) = line.split_once(':').filter(|_| !line.trim().starts_with('#'))
        else {
            continue;
        };
        let mut mutate = |new: String| {
            let lines = defaults.lines().enumerate();
            let lines = lines.map(|(at, old)| if at == number { &*new } else { old });
            let text: String = lines.flat_map(|line| [line, "\n"]).collect();
            let said = problems(&text).unwrap_or_else(|| panic!("accepted: {new}"));
            assert!(said.contains(&format!("test.yaml:{}:", number + 1)), "{new}: {said}");
            mutants += 1;
        };
        mutate(format!("{key}x:{value}"));
        if !value.trim().is_empty() {
            let wrong = if value.trim() == "{}" { "[1]" } else { "{a: {b: [1]}}" };
            mutate(format!("{key}: {wrong}"));
        }
    }
    assert!(mutants >= 150, "{mutants}");
}

#[test]
fn a_bad_configuration_ends_with_78_and_says_where() {
    const TABLE: [(&str, &str); 10] = [
        ("recievers: {}\n", "bad.yaml:1:1"),
        ("receivers:\n  syslog_udp_prot: 1\n", "did you mean `syslog_udp_port`"),
        ("receivers:\n  syslog_udp_port: 'abc'\n", "bad.yaml:2:20"),
        ("receivers: []\n", "bad.yaml:1:1"),
        ("receivers:\n  file_paths: a.log\n", "bad.yaml:2:15"),
        ("workers: 1\nworkers: 2\n", "workers"),
        ("state:\n  dir: ${NOPE}\n", "NOPE"),
        ("workers: [1\n", "bad.yaml"),
        ("workers: 1e99\n", "bad.yaml:1:10"),
        ("\u{7}workers: 1\n", "bad.yaml"),
    ];
    let dir = folder();
    for (text, says) in TABLE {
        fs::write(dir.path().join("bad.yaml"), text).unwrap();
        let mut command = program();
        command.current_dir(dir.path()).args(["run", "-c", "bad.yaml"]);
        let ended = run(command);
        assert_eq!(ended.code, Some(78), "{text:?}: {ended:?}");
        assert!(ended.stderr.contains(says), "{text:?}: {}", ended.stderr);
        assert_calm(&ended);
    }
    // A secret is never shown, also not where it is wrong.
    let canary = "canary-4711";
    let text = format!("llm:\n  cloud_api_key: [{canary}]\n");
    let said = problems(&text).expect("a list is no key");
    assert!(!said.contains(canary), "{said}");
}
