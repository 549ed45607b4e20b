//! `rules` and what else knows rules: what the tests of each verb share.
//!
//! The corpus is not part of the project; without it its tests say so and pass.

mod broken;
mod explain;
mod lint;
mod listing;
mod loading;
mod placeholders;
mod testing;

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::harness;

fn run(dir: &Path, arguments: &[&str]) -> Output {
    harness::program().current_dir(dir).args(arguments).output().unwrap()
}

/// What a run wrote to standard output; it must end with this code.
fn said(dir: &Path, arguments: &[&str], code: i32) -> String {
    let output = run(dir, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains(|c: char| c != '\n' && c.is_control()), "{text:?}");
    text
}

fn objects(dir: &Path, arguments: &[&str], code: i32) -> Vec<Value> {
    let text = said(dir, &[arguments, &["--json"]].concat(), code);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A UUID of a number.
fn id(number: usize) -> String {
    format!("{number:08x}-0000-4000-8000-000000000000")
}

const SUDO: &str = "\
title: Shell By Sudo
id: 1c6e62a2-2f39-4a0e-9f5b-7d0b5a3a9f11
status: test
level: high
tags: [attack.privilege-escalation, attack.t1548.003]
logsource:
  product: linux
  service: sudo
detection:
  shell:
    COMMAND|endswith: ['/bash', '/zsh']
  calm:
    USER: operator
  condition: shell and not calm
";

const MANY: &str = "\
title: Many Refused Logins
id: 5f0b9ad8-7f8b-4c41-8a06-0a4bb9f1d1c0
level: critical
tags: [attack.credential-access, attack.t1110.003]
correlation:
  type: event_count
  rules: [refused_login]
  group-by: [from]
  timespan: 10m
  condition: {gte: 5}
---
title: Refused Login
name: refused_login
level: informational
tags: [attack.t1110]
logsource: {product: linux}
detection:
  keys:
    verdict: refused
  condition: keys
";

/// A folder with rules in `r`: one for sudo with cases, and a correlation.
fn folder() -> tempfile::TempDir {
    let dir = harness::folder();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("r/deep")).unwrap();
    fs::write(at("r/sudo.yml"), SUDO).unwrap();
    fs::write(at("r/deep/many.yml"), MANY).unwrap();
    let cases = [
        json!({"match": true, "raw": line(0, "ann", "root", "/bin/bash"), "why": "a shell"}),
        json!({"match": false, "raw": line(0, "ann", "operator", "/bin/bash"), "why": "calm"}),
        json!({"match": false, "raw": line(0, "ann", "root", "/bin/ls")}),
    ];
    let cases: String = cases.iter().map(|case| format!("{case}\n")).collect();
    fs::write(at("r/sudo.cases.jsonl"), cases).unwrap();
    dir
}

fn line(second: usize, user: &str, to: &str, command: &str) -> String {
    format!(
        "<85>Nov 22 13:{:02}:{:02} web sudo: {user} : TTY=pts/0 ; PWD=/ ; USER={to} ; \
         COMMAND={command}",
        second / 60,
        second % 60
    )
}

/// A log of 3 000 lines by sudo, of which each tenth is a shell.
fn day() -> String {
    let line = |at: usize| {
        let (user, to) = (["ann", "bob", "eve"][at % 3], ["root", "operator"][at / 10 % 2]);
        line(at, user, to, if at.is_multiple_of(10) { "/bin/zsh" } else { "/bin/ls" })
    };
    (0..3_000).map(|at| format!("{}\n", line(at))).collect()
}
