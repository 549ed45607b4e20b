//! What is measured: a million lines like those of real systems.
//!
//! They are made from the Loghub samples where these are at hand (`SEERFLOW_SHARED`, else
//! `../shared`), and from sentences of our own where they are not. Either way a line is an
//! RFC 5424 record with a time of its own, from one of [`HOSTS`] machines; its message is the
//! next of its system, with other numbers in it. Systems take turns at random.

use std::path::PathBuf;
use std::time::Duration;

use operators::types::hash::mix;
use operators::types::{EventTime, Source};
use seerflow_dataflow::intake::Intake;
use seerflow_dataflow::journal::{Fed, Journal, Options};

/// How many machines speak.
pub(crate) const HOSTS: u64 = 40;

/// The systems, and what each says, in its order.
type Systems = Vec<(String, Vec<String>)>;

/// Where the messages come from, in a few words.
pub(crate) fn origin() -> &'static str {
    match samples() {
        Some(_) => "made from the Loghub samples",
        None => "generated (the Loghub samples are not at hand)",
    }
}

fn samples() -> Option<Systems> {
    let root = std::env::var_os("SEERFLOW_SHARED").map(PathBuf::from);
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = root.unwrap_or_else(beside).join("data/loghub");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let tables = files.iter().filter(|path| path.extension().is_some_and(|end| end == "csv"));
    let systems: Systems = tables
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?.split('_').next()?.to_lowercase();
            Some((name, contents(&std::fs::read_to_string(path).ok()?)))
        })
        .filter(|(_, messages)| !messages.is_empty())
        .collect();
    (!systems.is_empty()).then_some(systems)
}

/// The column `Content` of a table in CSV.
fn contents(table: &str) -> Vec<String> {
    let mut lines = table.lines();
    let header = cells(lines.next().unwrap_or_default());
    let Some(column) = header.iter().position(|name| name == "Content") else { return Vec::new() };
    lines.filter_map(|line| cells(line).into_iter().nth(column)).collect()
}

fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut quoted) = (vec![String::new()], false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let cell = cells.last_mut().expect("there is always one");
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            c => cell.push(c),
        }
    }
    cells
}

fn sentences() -> Systems {
    let of = |name: &str, messages: &[&str]| {
        (name.to_owned(), messages.iter().map(|message| (*message).to_owned()).collect())
    };
    vec![
        of(
            "sshd",
            &[
                "Accepted publickey for deploy from 10.20.130.141 port 50112 ssh2",
                "Failed password for invalid user admin from 192.168.117.204 port 41102 ssh2",
                "pam_unix(sshd:session): session opened for user deploy by (uid=0)",
                "pam_unix(sshd:session): session closed for user deploy",
                "Received disconnect from 10.20.130.141: 11: disconnected by user",
            ],
        ),
        of(
            "store",
            &[
                "block blk_389012 of 67108864 bytes received from 10.251.173.220",
                "serving block blk_389012 to /10.251.215.166",
                "verification of block blk_389012 took 1204 ms",
                "deleting block blk_389012 file /data/current/subdir139/blk_389012",
            ],
        ),
        of(
            "proxy",
            &[
                "GET /api/orders/10492?page=2 200 5120 bytes in 182 ms",
                "upstream web117.example.net timed out after 30000 ms, trying the next one",
                "cache miss for key session:7719034, 14022 entries",
            ],
        ),
        of(
            "kernel",
            &[
                "eth0: link is up at 1000 Mbps, full duplex",
                "Out of memory: killed process 21044 (java) total-vm:4194304kB",
                "CPU temperature 721 above threshold, clock throttled",
            ],
        ),
    ]
}

/// So many lines; the same on every call.
pub(crate) fn lines(count: usize) -> Vec<String> {
    let mut systems = samples().unwrap_or_else(sentences);
    let mut next = vec![0; systems.len()];
    (0..count as u64)
        .map(|i| {
            let random = mix(i ^ 0x5eed_0f11);
            let at = random as usize % systems.len();
            let (name, messages) = &mut systems[at];
            let message = &messages[next[at] % messages.len()];
            next[at] += 1;
            let time = EventTime(1_760_000_000_000_000_000 + i as i64 * 7_000_000).to_rfc3339();
            let host = (random >> 20) % HOSTS;
            let pid = 1_000 + (random >> 30) % 64;
            let mut line = format!("<134>1 {time} node{host:02} {name} {pid} - - ");
            vary(message, mix(random), &mut line);
            line
        })
        .collect()
}

/// Appends a message with other digits at the end of its longer numbers.
fn vary(message: &str, mut random: u64, line: &mut String) {
    let bytes = message.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    for (at, c) in message.char_indices() {
        let last = digit(at) && !digit(at + 1);
        match last && at >= 2 && digit(at - 1) && digit(at - 2) {
            true => {
                random = mix(random + 1);
                line.push(char::from(b'0' + (random % 5) as u8));
            }
            false => line.push(c),
        }
    }
}

/// Lines as a receiver hands them over.
pub(crate) fn intakes(lines: &[String]) -> Vec<Intake> {
    let source = Source { receiver: "file".into(), name: "/var/log/all".into() };
    lines
        .chunks(1_024)
        .map(|lines| {
            let mut intake = Intake::new(source.clone());
            intake.received_at = EventTime::from_secs(1_790_000_000);
            lines.iter().for_each(|line| intake.push(line.as_bytes(), Default::default()));
            intake
        })
        .collect()
}

/// Lines as the journal hands them on: blocks and the ends of epochs.
pub(crate) fn fed(lines: &[String]) -> Vec<Fed> {
    let mut journal = Journal::volatile(Options::usual());
    let mut fed = Vec::new();
    for intake in intakes(lines) {
        journal.take(intake);
        journal.commit(Duration::ZERO, &mut |one| fed.push(one)).expect("nothing is written");
    }
    journal.tick();
    journal.commit(Duration::ZERO, &mut |one| fed.push(one)).expect("nothing is written");
    fed
}

/// The value after `--NAME` on the command line.
pub(crate) fn argument(name: &str) -> Option<usize> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)?.parse().ok()
}
