//! What machines do by themselves.

use super::*;

/// The jobs of each machine: as whom, what, and every how many minutes.
const JOBS: [(&str, &str, i64); 4] = [
    ("root", "command -v debian-sa1 > /dev/null && debian-sa1 1 1", 10),
    ("root", "cd / && run-parts --report /etc/cron.hourly", 60),
    ("root", "/usr/local/bin/collect-metrics --quiet", 15),
    ("www-data", "test -x /usr/bin/php && /usr/lib/php/sessionclean", 30),
];

pub(super) fn cron(lines: &mut Vec<Line>, random: &mut Random) {
    for (host, _) in HOSTS {
        for (user, command, minutes) in JOBS {
            let mut at = HOURS.0 + minutes / 2 * MINUTE + SECOND;
            while at < HOURS.1 {
                let cron = |priority| Writer { host, app: "CRON", pid: 0, priority };
                let (cron, pam) = (
                    Writer { pid: pid(random), ..cron(CRON) },
                    Writer { pid: pid(random), ..cron(AUTH) },
                );
                let uid = if user == "root" { 0 } else { 33 };
                let session = "pam_unix(cron:session): session";
                let late = random.between(0, 900);
                lines.push(pam.line(
                    at + late,
                    format!("{session} opened for user {user}(uid={uid}) by (uid=0)"),
                ));
                lines.push(cron.line(at + late + 4, format!("({user}) CMD ({command})")));
                let took = random.between(100, 3_000);
                lines.push(pam.line(at + late + took, format!("{session} closed for user {user}")));
                at += minutes * MINUTE;
            }
        }
    }
}

pub(super) fn timers(lines: &mut Vec<Line>, random: &mut Random) {
    // What is done once a day is done at night.
    const UNITS: [(&str, &str, i64); 3] = [
        ("sysstat-collect", "system activity accounting tool", 10),
        ("phpsessionclean", "Clean php session files", 30),
        ("logrotate", "Rotate log files", 60),
    ];
    for (host, _) in HOSTS {
        let systemd = Writer { host, app: "systemd", pid: 1, priority: DAEMON };
        for (unit, about, minutes) in UNITS {
            let mut at = HOURS.0 + random.between(0, minutes * MINUTE / 2);
            while at < HOURS.1 {
                let took = random.between(200, 9_000);
                lines.push(systemd.line(at, format!("Starting {unit}.service - {about}...")));
                let done = format!("{unit}.service: Deactivated successfully.");
                lines.push(systemd.line(at + took, done));
                lines.push(
                    systemd.line(at + took + 2, format!("Finished {unit}.service - {about}.")),
                );
                at += minutes * MINUTE + random.between(-SECOND, SECOND);
            }
        }
        // The clock is set right now and then.
        let clock = Writer { host, app: "systemd-timesyncd", pid: 588, priority: DAEMON };
        let mut at = HOURS.0 + random.between(0, 34 * MINUTE);
        while at < HOURS.1 {
            lines.push(clock.line(at, "Contacted time server 10.10.0.1:123 (time.corp.example)."));
            at += random.between(30 * MINUTE, 38 * MINUTE);
        }
    }
}

/// Somebody installs a new version of something, or something falls over and comes back.
pub(super) fn restarts(lines: &mut Vec<Line>, random: &mut Random) {
    for (host, unit, times) in [
        ("web1", "nginx", 16),
        ("web2", "nginx", 16),
        ("web3", "nginx", 16),
        ("app1", "shop", 14),
        ("app2", "shop", 14),
    ] {
        let systemd = Writer { host, app: "systemd", pid: 1, priority: DAEMON };
        let every = (HOURS.1 - HOURS.0) / times;
        for turn in 0..times {
            let at = HOURS.0 + turn * every + random.between(5 * SECOND, every);
            if unit == "shop" && random.chance(400) {
                let failed = "shop.service: Main process exited, code=exited, status=1/FAILURE";
                lines.push(systemd.line(at - 900, failed));
                lines.push(systemd.line(at - 890, "shop.service: Failed with result 'exit-code'."));
            }
            let about = match unit {
                "nginx" => "A high performance web server and a reverse proxy server",
                _ => "The shop",
            };
            lines.push(systemd.line(at, format!("Stopping {unit}.service - {about}...")));
            lines.push(systemd.line(at + 80, format!("{unit}.service: Deactivated successfully.")));
            lines.push(systemd.line(at + 90, format!("Stopped {unit}.service - {about}.")));
            lines.push(systemd.line(at + 140, format!("Starting {unit}.service - {about}...")));
            lines.push(systemd.line(at + 420, format!("Started {unit}.service - {about}.")));
        }
    }
}

/// A packet that the firewall did not let through.
pub(in super::super) fn blocked(
    random: &mut Random,
    at: i64,
    from: &str,
    to: &str,
    port: i64,
) -> Line {
    let kernel = Writer { host: FIREWALL, app: "kernel", pid: 0, priority: KERNEL };
    let (ttl, id, source) = (random.between(40, 56), random.below(65_536), port_of(random));
    let mac = "MAC=52:54:00:12:a0:01:52:54:00:9f:11:02:08:00";
    let window = random.pick(&[1024, 8192, 14600, 29200, 65535]);
    let message = format!(
        "[UFW BLOCK] IN=eth0 OUT= {mac} SRC={from} DST={to} LEN=44 TOS=0x00 PREC=0x00 TTL={ttl} \
         ID={id} PROTO=TCP SPT={source} DPT={port} WINDOW={window} RES=0x00 SYN URGP=0"
    );
    kernel.line(at, message)
}

fn port_of(random: &mut Random) -> i64 {
    random.between(1_024, 65_535)
}

pub(super) fn firewall(lines: &mut Vec<Line>, random: &mut Random) {
    const PORTS: [i64; 14] =
        [23, 22, 445, 3389, 8080, 5060, 1433, 3306, 6379, 5900, 81, 8443, 2323, 9200];
    // The internet does not keep our office hours.
    let mut at = HOURS.0;
    while at < HOURS.1 {
        at += random.between(SECOND, 23 * SECOND);
        let (_, to) = random.pick(&HOSTS);
        let (from, port) = (anywhere(random), random.favour(&PORTS));
        lines.push(blocked(random, at, &from, to, port));
    }
}

/// Processes that are started, as an agent on each server tells them.
pub(super) fn processes(lines: &mut Vec<Line>, random: &mut Random) {
    const STARTED: [(&str, &str, &str, &str); 8] = [
        ("/usr/local/bin/collect-metrics", "collect-metrics --quiet", "/usr/sbin/cron", "root"),
        ("/usr/bin/rsync", "rsync -a --delete /srv/app/ /srv/app.prev/", "/usr/bin/bash", "deploy"),
        ("/usr/bin/pg_dump", "pg_dump -Fc shop", "/usr/bin/bash", "svc-backup"),
        ("/usr/bin/curl", "curl -fsS http://127.0.0.1:8080/health", "/usr/bin/bash", "svc-monitor"),
        ("/usr/bin/psql", "psql -X -f /srv/report/daily.sql shop", "/usr/bin/bash", "svc-report"),
        ("/usr/bin/find", "find /tmp -mtime +2 -delete", "/usr/sbin/cron", "root"),
        ("/usr/bin/ps", "ps -eo pid,pcpu,rss,comm", "/usr/local/bin/collect-metrics", "root"),
        ("/usr/bin/df", "df -P", "/usr/local/bin/collect-metrics", "root"),
    ];
    for host in APP.into_iter().chain(DATABASE) {
        for at in moments(random, 60) {
            let (image, command, parent, user) = random.pick(&STARTED);
            lines.push(started(random, at, host, [image, command, parent, user]));
        }
    }
}

/// A process that was started: its program, its command line, its parent, and as whom.
pub(in super::super) fn started(
    random: &mut Random,
    at: i64,
    host: &'static str,
    [image, command, parent, user]: [&str; 4],
) -> Line {
    let agent = Writer { host, app: "procmon", pid: 477, priority: LOCAL };
    let (pid, parent_pid) = (pid(random), pid(random));
    let event = serde_json::json!({
        "EventID": 1,
        "Computer": host,
        "User": user,
        "Image": image,
        "CommandLine": command,
        "ProcessId": pid,
        "ParentImage": parent,
        "ParentProcessId": parent_pid,
    });
    agent.line(at, event.to_string())
}
