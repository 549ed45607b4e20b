//! Logging in, and what people do then; and strangers who try.

use super::*;

/// Somebody logs in over ssh.
pub(in super::super) struct Session<'s> {
    pub(in super::super) user: &'s str,
    pub(in super::super) uid: u32,
    pub(in super::super) from: &'s str,
    pub(in super::super) host: &'static str,
    pub(in super::super) password: bool,
    /// How long, in milliseconds.
    pub(in super::super) lasts: i64,
}

/// The lines of a session, from its login to its end.
pub(in super::super) fn session(random: &mut Random, at: i64, one: &Session<'_>) -> Vec<Line> {
    let Session { user, uid, from, host, password, lasts } = *one;
    let pid = pid(random);
    let sshd = Writer { host, app: "sshd", pid, priority: AUTH };
    let logind = Writer { host, app: "systemd-logind", pid: 612, priority: AUTH };
    let systemd = Writer { host, app: "systemd", pid: 1, priority: DAEMON };
    let number = random.between(100, 9_999);
    let port = port(random);
    let mut key = Random::of(0, user);
    let how = match password {
        true => format!("Accepted password for {user} from {from} port {port} ssh2"),
        false => {
            let print = key.text(43, BASE64);
            format!(
                "Accepted publickey for {user} from {from} port {port} ssh2: ED25519 SHA256:{print}"
            )
        }
    };
    let end = at + lasts.max(SECOND);
    let opened =
        format!("pam_unix(sshd:session): session opened for user {user}(uid={uid}) by (uid=0)");
    vec![
        sshd.line(at, how),
        sshd.line(at + 21, opened),
        logind.line(at + 44, format!("New session {number} of user {user}.")),
        systemd.line(
            at + 61,
            format!("Started session-{number}.scope - Session {number} of User {user}."),
        ),
        sshd.line(
            end,
            format!("Received disconnect from {from} port {port}:11: disconnected by user"),
        ),
        sshd.line(end + 1, format!("Disconnected from user {user} {from} port {port}")),
        sshd.line(end + 7, format!("pam_unix(sshd:session): session closed for user {user}")),
        systemd.line(end + 15, format!("session-{number}.scope: Deactivated successfully.")),
        logind
            .line(end + 22, format!("Session {number} logged out. Waiting for processes to exit.")),
        logind.line(end + 25, format!("Removed session {number}.")),
    ]
}

pub(super) fn log_in(lines: &mut Vec<Line>, random: &mut Random) {
    for person in PEOPLE {
        for at in moments(random, 6) {
            let host = random.pick(person.hosts);
            let lasts = random.between(2 * MINUTE, 25 * MINUTE);
            let mut at = at;
            if person.password && random.chance(300) {
                at = mistype(lines, random, at, person, host);
            }
            let one = Session {
                user: person.name,
                uid: person.uid,
                from: person.at,
                host,
                password: person.password,
                lasts,
            };
            lines.extend(session(random, at, &one));
            if !person.sudo.is_empty() {
                for _ in 0..=random.below(4) {
                    let then = at + random.between(10 * SECOND, lasts);
                    sudo(lines, random, then, person, host);
                }
            }
        }
    }
}

/// A wrong password or two, then the right one; when that one is given.
fn mistype(
    lines: &mut Vec<Line>,
    random: &mut Random,
    at: i64,
    person: &Person,
    host: &'static str,
) -> i64 {
    let sshd = Writer { host, app: "sshd", pid: pid(random), priority: AUTH };
    let Person { name, at: from, .. } = person;
    let port = port(random);
    let mut at = at;
    for _ in 0..=random.below(2) {
        let failure = "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh";
        lines.push(sshd.line(at, format!("{failure} ruser= rhost={from}  user={name}")));
        let message = format!("Failed password for {name} from {from} port {port} ssh2");
        lines.push(sshd.line(at + 1_900, message));
        at += random.between(5 * SECOND, 15 * SECOND);
    }
    at
}

fn sudo(lines: &mut Vec<Line>, random: &mut Random, at: i64, person: &Person, host: &'static str) {
    let Person { name, uid, sudo, .. } = person;
    let writer = |priority| Writer { host, app: "sudo", pid: 0, priority };
    let (notice, info) = (writer(AUTH_NOTICE), writer(AUTH));
    let command = random.pick(sudo);
    let terminal = random.below(4);
    lines.push(notice.line(
        at,
        format!("{name} : TTY=pts/{terminal} ; PWD=/home/{name} ; USER=root ; COMMAND={command}"),
    ));
    let opened = "pam_unix(sudo:session): session opened for user root(uid=0) by";
    lines.push(info.line(at + 8, format!("{opened} {name}(uid={uid})")));
    let closed = "pam_unix(sudo:session): session closed for user root";
    lines.push(info.line(at + random.between(60, 4_000), closed));
}

pub(super) fn services(lines: &mut Vec<Line>, random: &mut Random) {
    for (user, uid, from, hosts, minutes) in SERVICES {
        for (turn, host) in hosts.iter().enumerate() {
            let mut at = HOURS.0 + random.between(0, MINUTE) + turn as i64 * 20 * SECOND;
            while at < HOURS.1 {
                let lasts = random.between(4 * SECOND, 70 * SECOND);
                let from = address(from);
                let one = Session { user, uid, from, host, password: false, lasts };
                lines.extend(session(random, at, &one));
                at += minutes * MINUTE + random.between(-2 * SECOND, 2 * SECOND);
            }
        }
    }
}

/// What every host that can be reached from outside hears all day.
pub(super) fn strangers(lines: &mut Vec<Line>, random: &mut Random) {
    const NAMES: [&str; 5] = ["admin", "test", "oracle", "ubuntu", "user"];
    for at in moments(random, 26) {
        let sshd = Writer { host: BASTION, app: "sshd", pid: pid(random), priority: AUTH };
        let (from, port) = (anywhere(random), port(random));
        match random.below(4) {
            0 => {
                let message = format!("Connection closed by {from} port {port} [preauth]");
                lines.push(sshd.line(at, message));
            }
            1 => {
                let end = "Read: Connection reset by peer [preauth]";
                lines.push(
                    sshd.line(at, format!("Connection reset by {from} port {port} [preauth]")),
                );
                if random.chance(300) {
                    let message = format!("ssh_dispatch_run_fatal: Connection from {from}: {end}");
                    lines.push(sshd.line(at + 40, message));
                }
            }
            _ => {
                let name = random.pick(&NAMES);
                let who = format!("{name} from {from} port {port}");
                lines.push(sshd.line(at, format!("Invalid user {who}")));
                for turn in 0..=random.below(2) as i64 {
                    let message = format!("Failed password for invalid user {who} ssh2");
                    lines.push(sshd.line(at + (turn + 1) * 2_100, message));
                }
                let end = format!("Connection closed by invalid user {name} {from} port {port}");
                lines.push(sshd.line(at + 7_000, format!("{end} [preauth]")));
            }
        }
    }
}
