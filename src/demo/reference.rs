//! The workload that the known system is measured with, built from its description: eight things
//! that are said, by anybody, from anywhere, at any time of one day, one as likely as the other.
//!
//! It is harmless, so every alert on it is a false one. It is also hard on an engine of event
//! time: times are in no order at all, so nearly every record is late.
//!
//! [`planted`] puts into it what detectors ought to find, each after a history without which it
//! would be nothing odd.

use super::Random;

const USERS: [&str; 6] = ["root", "admin", "alice", "bob", "deploy", "www-data"];
const PATHS: [&str; 6] =
    ["/", "/index.html", "/api/v1/users", "/api/v1/orders", "/login", "/static/app.js"];
const COMMANDS: [&str; 3] =
    ["/usr/bin/backup.sh", "/usr/sbin/logrotate /etc/logrotate.conf", "/usr/bin/certbot renew"];
const SERVICES: [&str; 5] = ["nginx", "postgresql", "redis", "docker", "cron"];
const PROGRAMS: [&str; 5] = ["java", "python3", "node", "postgres", "nginx"];
const HOSTS: [&str; 6] = ["web-01", "web-02", "db-01", "db-02", "cache-01", "auth-01"];
const PRIORITIES: [u8; 5] = [134, 131, 139, 133, 132];

/// The lines of the workload.
#[must_use]
pub fn workload(lines: usize, seed: u64) -> Vec<String> {
    let mut random = Random::of(seed, "reference");
    (0..lines).map(|_| line(&mut random)).collect()
}

fn line(random: &mut Random) -> String {
    let shape = random.below(8);
    let user = random.pick(&USERS);
    let (a, b, c) = (random.below(256), random.below(256), random.between(1, 255));
    let ip = format!("10.{a}.{b}.{c}");
    let port = random.between(1_024, 65_536);
    let path = random.pick(&PATHS);
    let took = random.between(1, 501);
    let pid = random.between(1_000, 100_000);
    let command = random.pick(&COMMANDS);
    let service = random.pick(&SERVICES);
    let program = random.pick(&PROGRAMS);
    let body = match shape {
        0 => format!("Accepted password for {user} from {ip} port {port} ssh2"),
        1 => format!("Failed password for {user} from {ip} port {port} ssh2"),
        2 => format!(
            "error: maximum authentication attempts exceeded for {user} from {ip} port {port} ssh2"
        ),
        3 => format!("{ip} - - \"GET {path} HTTP/1.1\" 200 {took}ms"),
        4 => format!("{ip} - - \"POST {path} HTTP/1.1\" 201 {took}ms"),
        5 => format!("({user}) CMD ({command})"),
        6 => format!("Started {service}.service"),
        _ => format!("Out of memory: Killed process {pid} ({program})"),
    };
    let (host, pid) = (random.pick(&HOSTS), random.between(100, 100_000));
    framed(random, host, ("sshd", pid), &body)
}

/// A body as it is sent, at any time of the day.
fn framed(random: &mut Random, host: &str, (app, pid): (&str, i64), body: &str) -> String {
    let priority = random.pick(&PRIORITIES);
    let (hour, minute, second) = (random.below(24), random.below(60), random.below(60));
    format!(
        "<{priority}>1 2024-03-28T{hour:02}:{minute:02}:{second:02}Z {host} {app} {pid} - - {body}"
    )
}

/// Something odd, and what it is odd beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// A message of which there was none like it.
    NeverSeen,
    /// A known message, about an account that had never to do with it.
    NotForHim,
    /// An account from an address that it never came from.
    FromElsewhere,
    /// A message that breaks a strict turn.
    OutOfTurn,
    /// A known message with a payload in it.
    Payload,
}

impl Oddity {
    /// All of them.
    pub const ALL: [Oddity; 5] = [
        Oddity::NeverSeen,
        Oddity::NotForHim,
        Oddity::FromElsewhere,
        Oddity::OutOfTurn,
        Oddity::Payload,
    ];

    /// Which detector is there for it, and the kind and name of the entity that it is about.
    #[must_use]
    pub fn found_as(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Oddity::NeverSeen => ("rare-template", "host", "web-01"),
            Oddity::NotForHim => ("rare-for-entity", "user", "svc-job"),
            Oddity::FromElsewhere => ("rare-peer", "user", "svc-job"),
            Oddity::OutOfTurn => ("unusual-sequence", "process", "turner:77"),
            Oddity::Payload => ("unusual-content", "host", "web-02"),
        }
    }
}

/// How many lines of history an oddity has, where it needs one.
const HISTORY: usize = 2_000;
/// The same for a strict turn: what breaks it must be rare after the last one, two and three
/// lines, and half of all are the one phase.
const TURNS: usize = 8_000;

/// The workload with one oddity late in it; and the number of its line.
#[must_use]
pub fn planted(lines: usize, seed: u64, oddity: Oddity) -> (Vec<String>, usize) {
    let mut all = workload(lines, seed);
    let mut random = Random::of(seed, "planted");
    let at = lines - lines / 50 - random.below(lines as u64 / 50) as usize;
    let line = |random: &mut Random, host: &str, body: &str| {
        let from = match oddity {
            Oddity::OutOfTurn => ("turner", 77),
            _ => ("sshd", random.between(100, 100_000)),
        };
        framed(random, host, from, body)
    };
    // What is usual comes at even distances before, in place of other lines.
    let usual = |turn: usize| match oddity {
        Oddity::NeverSeen | Oddity::Payload => None,
        Oddity::NotForHim => Some(("db-01", format!("(svc-job) CMD ({})", COMMANDS[turn % 3]))),
        Oddity::FromElsewhere => {
            let port = 2_000 + turn;
            let login = "Accepted password for svc-job from";
            Some(("db-01", format!("{login} 10.1.2.3 port {port} ssh2")))
        }
        Oddity::OutOfTurn => Some(match turn % 2 {
            0 => ("clock-01", format!("phase one of round {turn} begins")),
            _ => ("clock-01", format!("phase two of round {turn} ends")),
        }),
    };
    let history = match oddity {
        Oddity::OutOfTurn => TURNS,
        _ => HISTORY,
    };
    for turn in 0..history {
        if let Some((host, body)) = usual(turn) {
            all[at * turn / history] = line(&mut random, host, &body);
        }
    }
    let (host, body) = match oddity {
        Oddity::NeverSeen => ("web-01", "insmod: loading out-of-tree module nfx".to_owned()),
        Oddity::NotForHim => {
            ("db-01", "Failed password for svc-job from 10.1.2.3 port 4444 ssh2".to_owned())
        }
        Oddity::FromElsewhere => {
            ("db-01", "Accepted password for svc-job from 203.0.113.66 port 4444 ssh2".to_owned())
        }
        // The last of the history was the second phase.
        Oddity::OutOfTurn => ("clock-01", "phase two of round 7 ends".to_owned()),
        Oddity::Payload => {
            let payload = random.text(2_500, b"ABCDEFGHIJKLMNOPabcdefghijklmnop0123456789+/=%");
            ("web-02", format!("10.7.7.7 - - \"GET /login?{payload} HTTP/1.1\" 200 31ms"))
        }
    };
    all[at] = line(&mut random, host, &body);
    (all, at)
}
