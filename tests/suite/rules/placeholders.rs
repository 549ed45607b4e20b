//! Placeholders of rules: the configuration gives their values, and the journal remembers which.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::{line, objects, said};
use crate::harness::{self, Live, folder, stored_events, until};

const RULE: &str = "\
title: Shell By Sudo
id: 2c6e62a2-2f39-4a0e-9f5b-7d0b5a3a9f12
level: high
logsource: {product: linux, service: sudo}
detection:
  shell:
    COMMAND|endswith|expand: '/%Known_Shells%'
  condition: shell
";

/// A folder with the rule, a case for it, and a configuration that gives these values.
fn configured(shells: &str) -> tempfile::TempDir {
    let dir = folder();
    fs::create_dir(dir.path().join("r")).unwrap();
    fs::write(dir.path().join("r/shell.yml"), RULE).unwrap();
    let case = json!({"match": true, "raw": line(0, "ann", "root", "/bin/zsh")});
    fs::write(dir.path().join("r/shell.cases.jsonl"), format!("{case}\n")).unwrap();
    configure(dir.path(), shells);
    dir
}

fn configure(dir: &Path, shells: &str) {
    let text = format!(
        "rules:\n  dirs: [r]\n  builtin: false\n  placeholders:\n    Known_Shells: {shells}\n"
    );
    fs::write(dir.join("seerflow.yaml"), text).unwrap();
}

#[test]
fn a_placeholder_stands_for_its_values_for_every_verb() {
    let dir = configured("[bash, 'z*']");
    let at = dir.path();
    let summary = |arguments: &[&str], code| objects(at, arguments, code).pop().unwrap();
    assert_eq!(summary(&["rules", "lint"], 0)["rules"], 1);
    assert_eq!(summary(&["rules", "lint", "r/shell.yml"], 0)["errors"], 0);
    assert_eq!(objects(at, &["rules", "list"], 0).len(), 1);
    let shown = &objects(at, &["rules", "show", "shell"], 0)[0];
    assert_eq!(shown["selections"][0]["items"][0]["values"], 2);
    assert_eq!(summary(&["rules", "test"], 0)["passed"], 1);
    let log = format!(
        "{}\n{}\n{}\n",
        line(0, "ann", "root", "/bin/bash"),
        line(1, "ann", "root", "/bin/zsh"),
        line(2, "ann", "root", "/bin/fish")
    );
    fs::write(at.join("auth.log"), log).unwrap();
    let tried = &objects(at, &["rules", "test", "shell", "--against", "auth.log"], 0)[0];
    assert_eq!(tried["matches"], 2);
    let explained = said(at, &["explain", "--line", &line(0, "ann", "root", "/bin/bash")], 0);
    assert!(explained.contains("Shell By Sudo"), "{explained}");

    // What was replayed into a state folder says the same when other values are configured.
    let replay = |input: &str, more: &[&str]| -> Vec<Value> {
        let arguments = [&["replay", input, "--alerts", "alerts", "--json"], more].concat();
        said(at, &arguments, 0);
        let alerts = fs::read_to_string(at.join("alerts")).unwrap();
        alerts.lines().map(|alert| serde_json::from_str(alert).unwrap()).collect()
    };
    let told = replay("auth.log", &["--state", "state"]);
    assert_eq!((told.len(), &told[0]["count"]), (1, &json!(2)), "{told:#?}");
    configure(at, "[fish]");
    assert_eq!(replay("state", &[]), told);
    assert_eq!(replay("auth.log", &[])[0]["count"], 1);
}

#[test]
fn a_placeholder_without_values_is_told_with_the_key_that_gives_them() {
    let dir = configured("[]");
    let hint =
        "the configuration gives them, as in `rules.placeholders: {Known_Shells: [one, two]}`";
    let found = objects(dir.path(), &["rules", "lint"], 1);
    assert_eq!(found[0]["code"], "unresolved-placeholder");
    assert_eq!((&found[0]["line"], &found[0]["hint"]), (&json!(7), &json!(hint)));
    let failed = said(dir.path(), &["rules", "test"], 1);
    assert!(failed.contains("the placeholder `%Known_Shells%` has no values"), "{failed}");
    // The percent signs are no part of the name.
    configure(dir.path(), "[sh]\n    '%other%': [sh]");
    let output = super::run(dir.path(), &["validate"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{stderr}");
    assert!(stderr.contains("seerflow.yaml:6:5") && stderr.contains("write `other`"), "{stderr}");
}

#[test]
fn a_start_with_other_values_is_a_reload_and_a_replay_knows_those_of_then() {
    let dir = folder();
    let (state, rules) = (dir.path().join("state"), dir.path().join("rules"));
    fs::create_dir(&rules).unwrap();
    fs::write(rules.join("shell.yml"), RULE).unwrap();
    let dirs = format!("rules.dirs=['{}']", rules.display());
    let shells = ["bash", "zsh"];
    for (number, shell) in shells.into_iter().enumerate() {
        let values = format!("rules.placeholders={{Known_Shells: [{shell}]}}");
        let set = [dirs.as_str(), "rules.builtin=false", values.as_str()];
        let live = Live::start(&state, dir.path(), &set);
        let lines = shells.map(|to| line(number, "ann", "root", &format!("/bin/{to}")) + "\n");
        live.connect().write_all(lines.concat().as_bytes()).unwrap();
        let wanted = shells.len() * (number + 1);
        until("the lines to be taken", || harness::try_journaled(&state).len() >= wanted);
        live.stop();
    }
    let matched = |events: &[u8]| -> Vec<bool> {
        let lines = str::from_utf8(events).unwrap().lines();
        let events = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
        events.map(|event| event["sigma"].as_array().is_some_and(|all| !all.is_empty())).collect()
    };
    let stored = stored_events(&state, &[]);
    assert_eq!(matched(&stored), [true, false, false, true]);
    let again = dir.path().join("again");
    let mut command = harness::program();
    command.arg("replay").arg(&state).arg("--json").arg("--events").arg(&again);
    assert_eq!(harness::run(command).code, Some(0));
    assert!(fs::read(again).unwrap() == stored);
}
