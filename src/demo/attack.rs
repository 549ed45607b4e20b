//! What is not harmless: one intruder, who takes an afternoon.

use super::office::{AUTH, AUTH_NOTICE, BASTION, DAEMON, KERNEL, WEB, Writer, address, pid, port};
use super::random::Random;
use super::traffic::{Session, blocked, question, request, session, started};
use super::{HOUR, Line, MIDNIGHT, MINUTE, SECOND};

/// From where the intruder comes.
pub const INTRUDER: &str = "203.0.113.66";
/// The account that is taken over.
pub const ACCOUNT: &str = "svc-backup";

/// A step of the attack, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Ports are tried, and the firewall notes it.
    Scan,
    /// A file of the system is asked of a web server, and given.
    Traversal,
    /// Passwords are tried until the server ends the connection, again and again; in vain.
    BruteForce,
    /// An account of a machine logs in with a password, from an address it never came from.
    Login,
    /// That account becomes root, which it never did.
    Root,
    /// It reads the password hashes.
    Hashes,
    /// A module is loaded into the kernel.
    Module,
    /// A request carries a payload.
    Exploit,
    /// A server asks for names that carry data.
    Tunnel,
    /// Auditing and the log are switched off.
    Silence,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Step; 10] = [
        Step::Scan,
        Step::Traversal,
        Step::BruteForce,
        Step::Login,
        Step::Root,
        Step::Hashes,
        Step::Module,
        Step::Exploit,
        Step::Tunnel,
        Step::Silence,
    ];

    /// What happens, in a few words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Step::Scan => "port scan of the server net",
            Step::Traversal => "system file asked of a web server",
            Step::BruteForce => "passwords tried over ssh",
            Step::Login => "service account from a new address",
            Step::Root => "service account becomes root",
            Step::Hashes => "password hashes read through sudo",
            Step::Module => "kernel module loaded",
            Step::Exploit => "payload in a web request",
            Step::Tunnel => "data in names that are asked for",
            Step::Silence => "log switched off",
        }
    }

    /// The ATT&CK technique.
    #[must_use]
    pub fn technique(self) -> &'static str {
        match self {
            Step::Scan => "T1046",
            Step::Traversal => "T1083",
            Step::BruteForce => "T1110",
            Step::Login => "T1078",
            Step::Root => "T1548.003",
            Step::Hashes => "T1003.008",
            Step::Module => "T1547.006",
            Step::Exploit => "T1190",
            Step::Tunnel => "T1071.004",
            Step::Silence => "T1685",
        }
    }
}

/// Adds the attack to a day.
pub(super) fn add(lines: &mut Vec<Line>, random: &mut Random) {
    let steps = [
        (Step::Scan, scan(random)),
        (Step::Traversal, traversal(random)),
        (Step::BruteForce, brute_force(random)),
        (Step::Login, login(random)),
        (Step::Root, root(random)),
        (Step::Hashes, hashes(random)),
        (Step::Module, module(random)),
        (Step::Exploit, exploit(random)),
        (Step::Tunnel, tunnel(random)),
        (Step::Silence, silence(random)),
    ];
    for (step, of_step) in steps {
        lines.extend(of_step.into_iter().map(|line| Line { step: Some(step), ..line }));
    }
}

/// A moment some minutes around another one.
fn about(random: &mut Random, at: i64) -> i64 {
    at + random.between(-5 * MINUTE, 5 * MINUTE)
}

const SCANNED: [i64; 40] = [
    21, 22, 23, 25, 53, 80, 81, 88, 110, 111, 135, 139, 143, 161, 389, 443, 445, 465, 514, 587,
    631, 636, 873, 993, 995, 1_080, 1_433, 1_521, 2_049, 2_375, 3_306, 3_389, 5_432, 5_900, 6_379,
    8_080, 8_443, 9_200, 11_211, 27_017,
];

fn scan(random: &mut Random) -> Vec<Line> {
    let mut at = about(random, 12 * HOUR + 30 * MINUTE);
    let mut lines = Vec::new();
    for host in [BASTION, WEB[0]] {
        for port in SCANNED {
            lines.push(blocked(random, at, INTRUDER, address(host), port));
            at += random.between(SECOND, 3 * SECOND);
        }
    }
    lines
}

fn traversal(random: &mut Random) -> Vec<Line> {
    let at = about(random, 13 * HOUR + 10 * MINUTE);
    let asked = "GET /static/..%2f..%2f..%2f..%2fetc/passwd HTTP/1.1";
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:123.0) Gecko/20100101 Firefox/123.0";
    vec![request(at, WEB[2], INTRUDER, asked, (200, 1_821), agent)]
}

fn brute_force(random: &mut Random) -> Vec<Line> {
    let mut at = about(random, 13 * HOUR + 40 * MINUTE);
    let mut lines = Vec::new();
    for turn in 0..24 {
        let name = random.pick(&["backup", "oracle", "admin", "jenkins", "postgres"]);
        let who = match turn % 4 {
            3 => "root".to_owned(),
            _ => format!("invalid user {name}"),
        };
        let sshd = Writer { host: BASTION, app: "sshd", pid: pid(random), priority: AUTH };
        let port = port(random);
        let from = format!("{INTRUDER} port {port}");
        for _ in 0..6 {
            lines.push(sshd.line(at, format!("Failed password for {who} from {from} ssh2")));
            at += random.between(1_800, 3_000);
        }
        let exceeded = "error: maximum authentication attempts exceeded for";
        lines.push(sshd.line(at, format!("{exceeded} {who} from {from} ssh2 [preauth]")));
        let end = "Too many authentication failures [preauth]";
        lines.push(sshd.line(at + 3, format!("Disconnecting {who} {from}: {end}")));
        at += random.between(20 * SECOND, 70 * SECOND);
    }
    lines
}

fn login(random: &mut Random) -> Vec<Line> {
    let at = about(random, 14 * HOUR + 30 * MINUTE);
    let one = Session {
        user: ACCOUNT,
        uid: 901,
        from: INTRUDER,
        host: BASTION,
        password: true,
        lasts: 3 * HOUR,
    };
    session(random, at, &one)
}

fn root(random: &mut Random) -> Vec<Line> {
    let at = about(random, 14 * HOUR + 45 * MINUTE);
    let sudo = |priority| Writer { host: BASTION, app: "sudo", pid: 0, priority };
    let opened = "pam_unix(sudo:session): session opened for user root(uid=0) by";
    vec![
        sudo(AUTH_NOTICE)
            .line(at, format!("{ACCOUNT} : TTY=pts/7 ; PWD=/tmp ; USER=root ; COMMAND=/bin/bash")),
        sudo(AUTH).line(at + 9, format!("{opened} {ACCOUNT}(uid=901)")),
    ]
}

fn hashes(random: &mut Random) -> Vec<Line> {
    let at = about(random, 14 * HOUR + 55 * MINUTE);
    let sudo = Writer { host: BASTION, app: "sudo", pid: 0, priority: AUTH_NOTICE };
    let command = "/bin/cat /etc/shadow";
    let who = format!("{ACCOUNT} : TTY=pts/7 ; PWD=/tmp ; USER=root");
    vec![sudo.line(at, format!("{who} ; COMMAND={command}"))]
}

fn module(random: &mut Random) -> Vec<Line> {
    let at = about(random, 15 * HOUR + 5 * MINUTE);
    let kernel = Writer { host: BASTION, app: "kernel", pid: 0, priority: KERNEL };
    let missing = "signature and/or required key missing - tainting kernel";
    vec![
        kernel.line(at, "nfx_hook: loading out-of-tree module taints kernel."),
        kernel.line(at + 2, format!("nfx_hook: module verification failed: {missing}")),
    ]
}

fn exploit(random: &mut Random) -> Vec<Line> {
    let at = about(random, 15 * HOUR + 40 * MINUTE);
    const CODED: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut payload = String::new();
    while payload.len() < 1_800 {
        payload.push_str(&random.text(9, CODED));
        payload.push_str(random.pick(&["%2B", "%2F", "%3D", "%3B", "%7C", "%24%7B"]));
    }
    let asked = format!("GET /products/1?ref={payload} HTTP/1.1");
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:123.0) Gecko/20100101 Firefox/123.0";
    let written = request(at, WEB[1], INTRUDER, &asked, (200, 1_204), agent);
    let shell = ["/bin/sh", "sh -c id;uname -a;cat /etc/passwd", "/usr/sbin/nginx", "www-data"];
    vec![written, started(random, at + 240, "app2", shell)]
}

fn tunnel(random: &mut Random) -> Vec<Line> {
    let mut at = about(random, 16 * HOUR + 15 * MINUTE);
    let mut lines = Vec::new();
    for turn in 0..60 {
        let data = random.text(60, b"abcdefghijklmnopqrstuvwxyz234567");
        let more = random.text(60, b"abcdefghijklmnopqrstuvwxyz234567");
        let rest = random.text(40, b"abcdefghijklmnopqrstuvwxyz234567");
        let name = format!("{data}.{more}.{rest}.{turn:x}.t.cdn-metrics.example");
        lines.push(question(at, "TXT", &name, address(BASTION)));
        at += 20 * SECOND + random.between(-300, 300);
    }
    lines
}

fn silence(random: &mut Random) -> Vec<Line> {
    let at = about(random, 17 * HOUR + 10 * MINUTE);
    let sudo = Writer { host: BASTION, app: "sudo", pid: 0, priority: AUTH_NOTICE };
    let who = format!("{ACCOUNT} : TTY=pts/7 ; PWD=/tmp ; USER=root");
    let systemd = Writer { host: BASTION, app: "systemd", pid: 1, priority: DAEMON };
    let rsyslogd = Writer { host: BASTION, app: "rsyslogd", pid: 702, priority: 46 };
    let origin = "software=\"rsyslogd\" swVersion=\"8.2302.0\" x-pid=\"702\"";
    let info = "x-info=\"https://www.rsyslog.com\"";
    let audit = Writer { host: BASTION, app: "audisp-syslog", pid: 688, priority: DAEMON };
    let off = at - 40 * SECOND;
    let since_1970 = MIDNIGHT.0 / 1_000_000_000 + off / SECOND;
    let moment = format!("{since_1970}.{:03}", off % SECOND);
    let what = "op=set audit_enabled=0 old=1 auid=901 ses=211 subj=unconfined res=1";
    vec![
        audit.line(off, format!("type=CONFIG_CHANGE msg=audit({moment}:4117): {what}")),
        sudo.line(at, format!("{who} ; COMMAND=/usr/bin/systemctl stop rsyslog")),
        systemd.line(at + 30, "Stopping rsyslog.service - System Logging Service..."),
        rsyslogd.line(at + 44, format!("[origin {origin} {info}] exiting on signal 15.")),
    ]
}
