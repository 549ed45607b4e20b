//! Many lines, counted: what is sent is what is stored.

use std::fs::File;
use std::io::Write;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::harness::{Live, assert_all_found, folder, journaled, program, until};

const LINES: u64 = 200_000;

/// Whether a program is there; if not, says that something is left out.
fn has(name: &str) -> bool {
    let mut command = Command::new(name);
    let found = command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    let found = found.status().is_ok();
    if !found {
        println!("left out: there is no `{name}` here");
    }
    found
}

/// Every line from 0 on, in order, once, each at the end of a record.
fn assert_lines(texts: &[String], from: u64) {
    assert_eq!(texts.len() as u64, LINES);
    for (at, text) in texts.iter().enumerate() {
        let number = from + at as u64;
        assert!(text.ends_with(&format!(" exact line {number} of many")), "{number}: {text}");
    }
}

#[test]
fn what_logger_sends_over_tcp_is_stored_exactly() {
    if !has("logger") {
        return;
    }
    for framing in [&["--octet-count"][..], &[]] {
        let dir = folder();
        let (state, log) = (dir.path().join("state"), dir.path().join("lines"));
        let mut file = std::io::BufWriter::new(File::create(&log).unwrap());
        for number in 0..LINES {
            writeln!(file, "exact line {number} of many").unwrap();
        }
        file.into_inner().unwrap();
        let live = Live::start(&state, dir.path(), &[]);
        let mut logger = Command::new("logger");
        logger.args(["--server", "127.0.0.1", "--tcp", "--port", &live.tcp.to_string()]);
        logger.args(framing).arg("--file").arg(&log).stdin(Stdio::null());
        assert!(logger.status().unwrap().success());
        until("all lines are there", || journaled(&state).len() as u64 >= LINES);
        let summary = live.stop().summary();
        assert_eq!(summary["events"], LINES, "{framing:?}: {summary}");
        assert_lines(&assert_all_found(&state), 0);
    }
}

#[test]
fn what_loggen_sends_over_tcp_is_stored_exactly() {
    if !has("loggen") {
        return;
    }
    let dir = folder();
    let state = dir.path().join("state");
    let live = Live::start(&state, dir.path(), &[]);
    let mut loggen = Command::new("loggen");
    loggen.args(["--inet", "--stream", "--number", "200000", "--rate", "200000", "--quiet"]);
    loggen.args(["127.0.0.1", &live.tcp.to_string()]).stdin(Stdio::null());
    assert!(loggen.status().unwrap().success());
    until("all lines are there", || journaled(&state).len() as u64 >= LINES);
    let summary = live.stop().summary();
    assert_eq!(summary["events"], LINES, "{summary}");
    assert_eq!(assert_all_found(&state).len() as u64, LINES);
}

#[test]
fn thirty_thousand_datagrams_a_second_are_all_stored() {
    const RATE: u64 = 30_000;
    const SECONDS: u64 = 3;
    let dir = folder();
    let state = dir.path().join("state");
    let live = Live::start(&state, dir.path(), &[]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(("127.0.0.1", live.udp)).unwrap();
    let started = Instant::now();
    let sent = RATE * SECONDS;
    for number in 0..sent {
        // Thirty at a time, each millisecond; a sender that was held up does not catch up at once.
        if number % 30 == 0 {
            let due = Duration::from_micros(number * 1_000_000 / RATE);
            while started.elapsed() < due {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        let text =
            format!("<34>datagram {number} of many, with some more text to be of usual length");
        socket.send(text.as_bytes()).unwrap();
    }
    println!("{sent} datagrams in {:?}", started.elapsed());
    std::thread::sleep(Duration::from_millis(300));
    let summary = live.stop().summary();
    let number = |key: &str| summary[key].as_u64().unwrap();
    assert_eq!(number("events") + number("dropped"), sent, "{summary}");
    assert_eq!(number("dropped"), 0, "{summary}");
    let texts = assert_all_found(&state);
    let mut numbers: Vec<u64> =
        texts.iter().map(|text| text.split(' ').nth(1).unwrap().parse().unwrap()).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..sent));
}

#[test]
fn datagrams_that_cannot_be_taken_are_counted() {
    // A buffer so small that the kernel has to drop, while the program is held up.
    const SENT: u64 = 20_000;
    let dir = folder();
    let state = dir.path().join("state");
    let live = Live::start(&state, dir.path(), &["receivers.udp_buffer_bytes=4096"]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(("127.0.0.1", live.udp)).unwrap();
    live.process.signal("STOP");
    for number in 0..SENT {
        socket.send(format!("<34>datagram {number}").as_bytes()).unwrap();
    }
    live.process.signal("CONT");
    std::thread::sleep(Duration::from_millis(300));
    let summary = live.stop().summary();
    let number = |key: &str| summary[key].as_u64().unwrap();
    assert!(number("dropped") > 0, "{summary}");
    assert_eq!(number("events") + number("dropped"), SENT, "{summary}");
}

/// 1 million distinct entities and 100 000 lines of which each is the only one of its kind: in
/// at most 600 MB, and as fast at the end as at the beginning.
#[test]
fn memory_stays_bounded_with_a_million_entities() {
    let dir = folder();
    let log = dir.path().join("entities.log");
    let mut file = std::io::BufWriter::new(File::create(&log).unwrap());
    for n in 0..1_100_000_u64 {
        let (m, s) = (n / 60_000 % 60, n / 1_000 % 60);
        let host = n % 200;
        match n % 11 {
            0 => {
                let words = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let word = |at: u32| {
                    let bits = words.rotate_left(at) >> 40;
                    let letter = |i: u32| char::from(b'a' + (bits >> (4 * i) & 15) as u8);
                    (0..6).map(letter).collect::<String>()
                };
                writeln!(
                    file,
                    "Mar  3 10:{m:02}:{s:02} srv{host} {}: {} {} {}",
                    word(1),
                    word(7),
                    word(19),
                    word(31)
                )
            }
            _ => writeln!(
                file,
                "Mar  3 10:{m:02}:{s:02} srv{host} sshd[7]: Accepted password for ann from 10.{}.{}.{} port 22 ssh2",
                n >> 16 & 255,
                n >> 8 & 255,
                n & 255
            ),
        }
        .unwrap();
    }
    file.flush().unwrap();
    let mut command = program();
    command
        .args(["replay", "--workers", "2"])
        .arg(&log)
        .args(["--json", "--state"])
        .arg(dir.path().join("state"));
    let mut process = super::harness::Process::start(command, dir.path());
    let mut peak = 0;
    while process.is_running() {
        peak = peak.max(process.memory_kib("VmHWM"));
        std::thread::sleep(Duration::from_millis(20));
    }
    let ended = process.wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let summary = ended.summary();
    println!("{} MiB at most; {summary}", peak / 1_024);
    assert!(summary["entities"].as_u64().unwrap() >= 1_000_000, "{summary}");
    assert!(peak <= 600 * 1_024, "{} MiB", peak / 1_024);
}
