//! Correlation rules through the front door: a log is replayed, and what comes together is told.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::harness::{folder, program, run};

/// One account after the other from one address, and an account guessed.
const RULES: &str = "
title: Login Failed
id: 4b1d9a3e-0e4f-4a57-8f0e-2a6b3c7d9e10
name: login_failed
logsource: {product: linux, service: sshd}
level: low
detection: {words: ['Failed password for'], condition: words}
---
title: Login Accepted
id: 4b1d9a3e-0e4f-4a57-8f0e-2a6b3c7d9e11
name: login_accepted
logsource: {product: linux, service: sshd}
level: informational
detection: {words: ['Accepted password for'], condition: words}
---
title: Password Spraying
id: 4b1d9a3e-0e4f-4a57-8f0e-2a6b3c7d9e12
level: high
tags: [attack.credential_access, attack.t1110.003]
correlation:
  type: value_count
  rules: [login_failed]
  group-by: [src_ip]
  timespan: 10m
  condition: {gte: 8, field: user}
---
title: Many Failed Logins
id: 4b1d9a3e-0e4f-4a57-8f0e-2a6b3c7d9e13
name: many_failed
level: medium
tags: [attack.credential_access, attack.t1110.001]
correlation:
  type: event_count
  rules: [login_failed]
  group-by: [user, src_ip]
  timespan: 5m
  condition: {gte: 6}
---
title: Password Guessed
id: 4b1d9a3e-0e4f-4a57-8f0e-2a6b3c7d9e14
level: critical
tags: [attack.credential_access, attack.initial_access, attack.t1110.001, attack.t1078]
correlation:
  type: temporal_ordered
  rules: [many_failed, login_accepted]
  group-by: [user, src_ip]
  timespan: 10m
";

fn line(second: u32, process: u32, text: &str) -> (u32, String) {
    let (hour, minute, rest) = (second / 3_600, second / 60 % 60, second % 60);
    let line = format!("<86>1 2026-03-02T{hour:02}:{minute:02}:{rest:02}Z web sshd {process} - - ");
    (second, line + text)
}

fn failed(second: u32, user: &str, from: &str) -> (u32, String) {
    let text = format!("Failed password for {user} from {from} port {} ssh2", 30_000 + second);
    line(second, 900 + second % 50, &text)
}

fn accepted(second: u32, user: &str, from: &str) -> (u32, String) {
    let text = format!("Accepted password for {user} from {from} port {} ssh2", 30_000 + second);
    line(second, 900 + second % 50, &text)
}

/// Ordinary logins, a mistyped password now and then, and the two attacks.
fn log() -> Vec<(u32, String)> {
    let mut lines = Vec::new();
    for at in 0..600 {
        let (user, host) = (format!("user{}", at % 12), format!("10.0.0.{}", at % 12));
        if at % 9 == 0 {
            lines.push(failed(at * 20, &user, &host));
        }
        lines.push(accepted(at * 20 + 3, &user, &host));
    }
    // One account every minute within ten minutes, and then none for long.
    lines.extend((0..8).map(|at| failed(3_000 + at * 60, &format!("u{at}"), "203.0.113.9")));
    // As many accounts, and never as many within ten minutes.
    lines.extend((0..8).map(|at| failed(3_000 + at * 90, &format!("u{at}"), "203.0.113.10")));
    // One account, until its password is found.
    lines.extend((0..6).map(|at| failed(7_000 + at * 7, "root", "198.51.100.7")));
    lines.push(accepted(7_060, "root", "198.51.100.7"));
    // As often, and then the account's owner comes from elsewhere.
    lines.extend((0..6).map(|at| failed(9_000 + at * 7, "ann", "198.51.100.8")));
    lines.push(accepted(9_060, "ann", "10.0.0.77"));
    lines.sort_by_key(|(second, _)| *second);
    lines
}

fn write(path: &Path, lines: &[(u32, String)]) {
    let lines: Vec<&str> = lines.iter().map(|(_, line)| line.as_str()).collect();
    fs::write(path, lines.join("\n") + "\n").unwrap();
}

/// What `replay` tells of rules when it reads `log`, by time.
fn replay(dir: &Path, log: &Path, workers: &str, more: &[&str]) -> Vec<Value> {
    let alerts = dir.join("alerts.ndjson");
    let mut command = program();
    command.current_dir(dir).arg("replay").arg(log).args(["--quiet", "--workers", workers]);
    command.arg("--alerts").arg(&alerts).args(more);
    for set in ["rules.dirs=[r]", "rules.builtin=false"] {
        command.args(["--set", set]);
    }
    let ended = run(command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let text = fs::read_to_string(alerts).unwrap();
    let all = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut all: Vec<Value> = all.filter(|alert| alert["kind"] == "sigma").collect();
    all.sort_by_key(|alert| alert["event_time"].as_str().unwrap().to_owned());
    all
}

fn rules(dir: &Path) {
    fs::create_dir(dir.join("r")).unwrap();
    fs::write(dir.join("r/logins.yml"), RULES).unwrap();
}

#[test]
fn spraying_and_guessing_are_told_once_with_what_came_together() {
    let dir = folder();
    rules(dir.path());
    let input = dir.path().join("auth.log");
    write(&input, &log());
    let alerts = replay(dir.path(), &input, "1", &[]);
    let titles: Vec<&str> = alerts.iter().map(|alert| alert["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["Password Spraying", "Password Guessed"], "{alerts:#?}");

    let spraying = &alerts[0];
    assert_eq!(spraying["rule"], "4b1d9a3e-0e4f-4a57-8f0e-2a6b3c7d9e12");
    assert_eq!((&spraying["severity"], &spraying["count"]), (&json!("high"), &json!(1)));
    assert_eq!(spraying["entity"]["kind"], "ip");
    assert_eq!(spraying["entity"]["value"], "203.0.113.9");
    assert_eq!(spraying["tactics"], json!(["credential-access"]));
    assert_eq!(spraying["techniques"], json!(["T1110.003"]));
    assert_eq!(spraying["event_time"], "2026-03-02T00:57:00Z");
    assert!(spraying["message"].as_str().unwrap().contains("Failed password for u7 from"));
    let matched = json!({
        "type": "value_count",
        "group": {"src_ip": "203.0.113.9"},
        "count": 8,
        "timespan": "10m",
        "condition": "user >= 8",
        "rules": ["Login Failed"],
        "tags": ["attack.credential_access", "attack.t1110.003"],
    });
    assert_eq!(spraying["matched"], matched);
    assert_eq!(spraying["events"].as_array().unwrap().len(), 8);

    let guessed = &alerts[1];
    assert_eq!(guessed["severity"], "critical");
    assert_eq!(guessed["entity"]["value"], "root");
    assert_eq!(guessed["matched"]["group"], json!({"user": "root", "src_ip": "198.51.100.7"}));
    assert_eq!(guessed["matched"]["rules"], json!(["Many Failed Logins", "Login Accepted"]));
    assert_eq!(guessed["events"].as_array().unwrap().len(), 7, "six failures and a success");
    assert!(guessed["message"].as_str().unwrap().starts_with("Accepted password for root"));

    for workers in ["2", "3"] {
        assert_eq!(replay(dir.path(), &input, workers, &[]), alerts, "{workers} workers");
    }
}

#[test]
fn what_comes_together_in_the_last_lines_of_a_short_log_is_told() {
    let dir = folder();
    rules(dir.path());
    let input = dir.path().join("short.log");
    let spraying: Vec<_> =
        (0..8).map(|at| failed(at * 60, &format!("u{at}"), "203.0.113.9")).collect();
    write(&input, &spraying);
    let alerts = replay(dir.path(), &input, "2", &[]);
    let titles: Vec<&Value> = alerts.iter().map(|alert| &alert["title"]).collect();
    assert_eq!(titles, ["Password Spraying"]);
}

#[test]
fn what_begins_before_a_restart_is_told_after_it() {
    let dir = folder();
    rules(dir.path());
    let log = log();
    // The guessing is cut in two after its third failure.
    let (before, after) = log.split_at(log.partition_point(|(second, _)| *second < 7_020));
    let (first, second) = (dir.path().join("first.log"), dir.path().join("second.log"));
    write(&first, before);
    write(&second, after);
    let state = dir.path().join("state");
    let kept = ["--state", state.to_str().unwrap()];
    let told = replay(dir.path(), &first, "2", &kept);
    let titles: Vec<&Value> = told.iter().map(|alert| &alert["title"]).collect();
    assert_eq!(titles, ["Password Spraying"]);
    let told = replay(dir.path(), &second, "3", &kept);
    let guessed: Vec<&Value> =
        told.iter().filter(|alert| alert["title"] == "Password Guessed").collect();
    assert_eq!(guessed.len(), 1, "{told:#?}");
    assert_eq!(guessed[0]["events"].as_array().unwrap().len(), 7);
}
