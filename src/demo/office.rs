//! Who there is: machines, people, and what they keep to.

use super::random::Random;
use super::{HOUR, HOURS, Line};

pub(super) const FIREWALL: &str = "fw1";
pub(super) const BASTION: &str = "bastion1";
pub(super) const MAIL: &str = "mail1";
pub(super) const DNS: &str = "dns1";
pub(super) const BACKUP: &str = "backup1";
pub(super) const BUILD: &str = "ci1";
pub(super) const WEB: [&str; 3] = ["web1", "web2", "web3"];
pub(super) const APP: [&str; 2] = ["app1", "app2"];
pub(super) const DATABASE: [&str; 2] = ["db1", "db2"];

/// All machines with an address in the server net.
pub(super) const HOSTS: [(&str, &str); 13] = [
    (FIREWALL, "10.10.0.1"),
    (BASTION, "10.10.0.10"),
    ("web1", "10.10.0.21"),
    ("web2", "10.10.0.22"),
    ("web3", "10.10.0.23"),
    ("app1", "10.10.0.31"),
    ("app2", "10.10.0.32"),
    ("db1", "10.10.0.41"),
    ("db2", "10.10.0.42"),
    (MAIL, "10.10.0.51"),
    (DNS, "10.10.0.53"),
    (BACKUP, "10.10.0.61"),
    (BUILD, "10.10.0.71"),
];

pub(super) fn address(host: &str) -> &'static str {
    let found = HOSTS.iter().find(|(name, _)| *name == host);
    found.expect("every machine has an address").1
}

/// Somebody with an account.
#[derive(Clone, Copy)]
pub(super) struct Person {
    pub(super) name: &'static str,
    pub(super) uid: u32,
    /// The workstation's address.
    pub(super) at: &'static str,
    /// The machines that they log in to.
    pub(super) hosts: &'static [&'static str],
    /// Whether they log in with a password and not with a key.
    pub(super) password: bool,
    /// What they run with `sudo`, if anything.
    pub(super) sudo: &'static [&'static str],
}

const NOTHING: &[&str] = &[];
const OPERATOR: &[&str] =
    &["/usr/bin/systemctl reload nginx", "/usr/bin/journalctl -u nginx -n 200"];
const KEEPER: &[&str] =
    &["/usr/bin/systemctl status postgresql", "/usr/bin/journalctl -u postgresql -n 100"];

macro_rules! people {
    ($($name:literal $uid:literal $at:literal $hosts:expr, $password:literal, $sudo:expr;)*) => {
        &[$(Person {
            name: $name, uid: $uid, at: $at, hosts: $hosts, password: $password, sudo: $sudo,
        }),*]
    };
}

/// The people.
pub(super) const PEOPLE: &[Person] = people! {
    "alice" 1001 "10.20.1.11" &["web1", "web2", "web3"], false, OPERATOR;
    "bob" 1002 "10.20.1.12" &["web1", "web2", "web3"], false, OPERATOR;
    "carol" 1003 "10.20.1.13" &["app1", "app2"], false, OPERATOR;
    "dave" 1004 "10.20.1.14" &["db1", "db2"], false, KEEPER;
    "erin" 1005 "10.20.1.15" &["db1", "db2"], false, KEEPER;
    "frank" 1006 "10.20.1.16" &["app1", "app2"], false, NOTHING;
    "grace" 1007 "10.20.1.17" &["app1", "ci1"], false, NOTHING;
    "heidi" 1008 "10.20.1.18" &["app2", "ci1"], false, NOTHING;
    "ivan" 1009 "10.20.1.19" &["bastion1"], true, NOTHING;
    "judy" 1010 "10.20.1.20" &["bastion1"], true, NOTHING;
    "karl" 1011 "10.20.1.21" &["bastion1"], true, NOTHING;
    "laura" 1012 "10.20.1.22" &["bastion1"], true, NOTHING;
    "mallik" 1013 "10.20.1.23" &["ci1"], false, NOTHING;
    "nina" 1014 "10.20.1.24" &["ci1", "app1"], false, NOTHING;
    "oscar" 1015 "10.20.1.25" &["bastion1", "mail1"], true, OPERATOR;
    "peggy" 1016 "10.20.1.26" &["bastion1"], true, NOTHING;
};

/// Accounts of machines: the name, the uid, from where, to where, and every how many minutes.
pub(super) type Service = (&'static str, u32, &'static str, &'static [&'static str], i64);

pub(super) const SERVICES: [Service; 4] = [
    ("svc-backup", 901, BACKUP, &["db1", "db2"], 3),
    ("deploy", 902, BUILD, &["web1", "web2", "web3", "app1", "app2"], 20),
    ("svc-monitor", 903, BASTION, &["web1", "app1", "db1", "mail1"], 10),
    ("svc-report", 904, "app1", &["db2"], 20),
];

/// How busy people are, in tenths, at each hour from 8 to 18.
const BUSY: [i64; 11] = [5, 9, 10, 9, 6, 8, 10, 9, 8, 5, 3];

/// The moments at which something happens that happens about so many times in a busy hour.
pub(super) fn moments(random: &mut Random, an_hour: i64) -> Vec<i64> {
    let gap = HOUR / an_hour;
    let mut moments = Vec::new();
    let mut at = HOURS.0;
    loop {
        at += random.between(gap / 8, gap * 15 / 8);
        if at >= HOURS.1 {
            return moments;
        }
        let (hour, into) = ((at - HOURS.0) / HOUR, (at - HOURS.0) % HOUR);
        let (from, to) = (BUSY[hour as usize], BUSY[hour as usize + 1]);
        let busy = (from * (HOUR - into) + to * into) * 100 / HOUR;
        if random.chance(busy.unsigned_abs()) {
            moments.push(at);
        }
    }
}

/// Who writes a line.
#[derive(Clone, Copy)]
pub(super) struct Writer {
    pub(super) host: &'static str,
    pub(super) app: &'static str,
    pub(super) pid: u32,
    pub(super) priority: u8,
}

impl Writer {
    pub(super) fn line(self, at: i64, message: impl Into<String>) -> Line {
        let Writer { host, app, pid, priority } = self;
        Line { at, host, app, pid, priority, message: message.into(), step: None }
    }
}

/// A process id.
pub(super) fn pid(random: &mut Random) -> u32 {
    random.between(900, 64_000) as u32
}

/// A port that a client speaks from.
pub(super) fn port(random: &mut Random) -> i64 {
    random.between(32_768, 60_999)
}

pub(super) const AUTH: u8 = 86;
pub(super) const AUTH_NOTICE: u8 = 85;
pub(super) const CRON: u8 = 78;
pub(super) const DAEMON: u8 = 30;
pub(super) const MAIL_INFO: u8 = 22;
pub(super) const KERNEL: u8 = 4;
pub(super) const LOCAL: u8 = 134;
