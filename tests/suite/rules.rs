//! `rules` and what else knows rules: listing, showing, checking, testing, trying on logs.
//!
//! The corpus is not part of the project; without it its tests say so and pass.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

fn run(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seerflow-dataflow"));
    command.env_clear().current_dir(dir).args(arguments).output().unwrap()
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
    let dir = tempfile::tempdir().unwrap();
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

#[test]
fn rules_are_listed_by_level_tag_product_and_kind() {
    let dir = folder();
    let titles = |arguments: &[&str]| -> Vec<String> {
        let arguments = [&["rules", "list", "r"], arguments].concat();
        let found = objects(dir.path(), &arguments, 0);
        found.iter().map(|rule| rule["title"].as_str().unwrap().to_owned()).collect()
    };
    let all = ["Many Refused Logins", "Refused Login", "Shell By Sudo"];
    assert_eq!(titles(&[]), all);
    assert_eq!(titles(&["--level", "high"]), [all[0], all[2]]);
    assert_eq!(titles(&["--tag", "t1110"]), [all[0], all[1]]);
    assert_eq!(titles(&["--tag", "credential_access"]), [all[0]]);
    assert_eq!(titles(&["--product", "LINUX"]), all);
    assert_eq!(titles(&["--product", "windows"]), [""; 0]);
    assert_eq!(titles(&["--kind", "correlation"]), [all[0]]);
    assert_eq!(titles(&["--grep", "sudo.yml"]), [all[2]]);
    let rule = &objects(dir.path(), &["rules", "list", "r/sudo.yml"], 0)[0];
    assert_eq!(rule["id"], "1c6e62a2-2f39-4a0e-9f5b-7d0b5a3a9f11");
    assert_eq!(rule["techniques"], json!(["T1548.003"]));
    assert_eq!(rule["logsource"]["service"], "sudo");
    assert_eq!((&rule["file"], &rule["line"]), (&json!("r/sudo.yml"), &json!(1)));
    let text = said(dir.path(), &["rules", "list", "r", "--kind", "rule"], 0);
    assert_eq!(text.lines().count(), 2);
    for part in ["high", "Shell By Sudo", "linux/sudo", "r/sudo.yml:1"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let bundled = objects(dir.path(), &["rules", "list"], 0);
    assert!(bundled.len() >= seerflow_dataflow::rules::BUILTIN.len());
    let configured =
        objects(dir.path(), &["rules", "list", "--set", "rules.dirs=[r]", "--grep", "Shell By"], 0);
    assert_eq!(configured.len(), 1);
    let output = run(dir.path(), &["rules", "list", "r", "--grep", "no such thing"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    assert_eq!(output.stderr, b"nothing found\n");
}

#[test]
fn a_rule_is_shown_by_any_of_its_names() {
    let dir = folder();
    let set = ["--set", "rules.dirs=[r]", "--set", "rules.builtin=false"];
    let show = |name: &str| objects(dir.path(), &[&["rules", "show", name][..], &set].concat(), 0);
    let by_id = show("1c6e62a2-2f39-4a0e-9f5b-7d0b5a3a9f11");
    assert_eq!(by_id.len(), 1);
    for name in ["1c6e62a2", "shell by sudo", "SHELL BY", "sudo.yml", "sudo"] {
        assert_eq!(show(name), by_id, "{name}");
    }
    let rule = &by_id[0];
    assert_eq!(rule["condition"], "shell and not calm");
    assert_eq!(rule["fields"], json!(["COMMAND", "USER"]));
    assert_eq!(rule["selections"][0]["items"][0]["item"], "COMMAND|endswith");
    assert_eq!(rule["selections"][1]["line"], 12);
    assert_eq!(rule["text"].as_str().unwrap(), SUDO);
    assert_eq!(rule["views"][0]["logsource"]["service"], "sudo");
    let parts = show("r/deep/many.yml");
    assert_eq!(parts.len(), 2, "both rules of the file");
    assert_eq!(parts[0]["type"], "event_count");
    assert_eq!(parts[0]["rules"][0]["title"], "Refused Login");
    assert_eq!((&parts[0]["timespan_s"], &parts[0]["group_by"]), (&json!(600.0), &json!(["from"])));
    assert!(parts[0]["text"].as_str().unwrap().ends_with("{gte: 5}\n"));
    assert!(parts[1]["text"].as_str().unwrap().starts_with("title: Refused Login"));
    assert_eq!((&parts[0]["alerts"], &parts[1]["alerts"]), (&Value::Null, &json!(false)));
    let text = said(dir.path(), &["rules", "show", "r/sudo.yml"], 0);
    for part in ["Log source", "linux/sudo", "shell", "COMMAND|endswith (2)", "T1548.003"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let text = said(dir.path(), &["rules", "show", "r/deep/many.yml"], 0);
    assert!(text.contains("event_count >= 5") && text.contains("10 min"), "{text}");

    let output = run(dir.path(), &["rules", "show", "nothing of the kind"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(66), 0));
    let output = run(dir.path(), &[&["rules", "show", "log"][..], &set].concat());
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("error: `log` means 2 rules\n  hint: `"), "{said}");
}

#[test]
fn lint_says_what_can_never_fire_here_and_what_was_perhaps_meant() {
    let dir = folder();
    let typo = SUDO.replace("service: sudo", "service: sudoo").replace("1c6e62a2", "1c6e62a3");
    fs::write(dir.path().join("r/typo.yml"), typo).unwrap();
    let lost = MANY.replace("{product: linux}", "{product: nobody}").replace("refused_", "lost_");
    fs::write(dir.path().join("r/lost.yml"), lost.replace("5f0b9ad8", "5f0b9ad9")).unwrap();
    let retired = "title: x\nstatus: deprecated\nlogsource: {product: nobody}\ndetection: 1\n";
    fs::write(dir.path().join("r/retired.yml"), retired).unwrap();
    let found = objects(dir.path(), &["rules", "lint", "r"], 0);
    let never: Vec<(&str, u64, u64)> = found
        .iter()
        .filter(|said| said["code"] == "never-fires")
        .map(|said| {
            let number = |key: &str| said[key].as_u64().unwrap();
            (said["file"].as_str().unwrap(), number("line"), number("column"))
        })
        .collect();
    assert_eq!(never, [("r/lost.yml", 5, 1), ("r/lost.yml", 16, 1), ("r/typo.yml", 6, 1)]);
    let typo = found.iter().find(|said| said["file"] == "r/typo.yml").unwrap();
    assert_eq!(typo["hint"], "did you mean `product=linux service=sudo`?");
    assert_eq!((&typo["gravity"], &typo["rule"]), (&json!("warning"), &json!("Shell By Sudo")));
    let summary = found.last().unwrap();
    assert_eq!(summary["type"], "summary");
    let of = |key: &str| summary[key].as_u64().unwrap();
    assert_eq!((of("files"), of("documents"), of("left_out")), (5, 7, 1));
    assert_eq!((of("rules"), of("correlations"), of("refused")), (4, 2, 0));
    assert_eq!((of("errors"), of("never_fire")), (0, 3));
    // A pipeline yields it.
    let pipeline = "name: p\nmatch: {format: json, fields: {who: nobody}}\nlogsources:\n  \
                    - {product: nobody}\n";
    fs::write(dir.path().join("p.yaml"), pipeline).unwrap();
    let set = ["rules", "lint", "r/lost.yml", "--set", "rules.pipelines=[p.yaml]"];
    let found = objects(dir.path(), &set, 0);
    assert!(found.iter().all(|said| said["code"] != "never-fires"), "{found:?}");
    let text = said(dir.path(), &["rules", "lint", "r"], 0);
    let wanted = "r/typo.yml:6:1: warning[never-fires]: it can never fire here: no receiver and no \
                  pipeline yields records of `product=linux service=sudoo`\n  hint: did you mean \
                  `product=linux service=sudo`?\n";
    assert!(text.contains(wanted), "{text}");
    assert!(
        text.contains("7 documents in 5 files: 4 rules, 2 correlations, 0 filters; 1 left out")
    );
}

#[test]
fn lint_takes_what_a_correlation_refers_to_from_the_configuration() {
    let dir = folder();
    let (correlation, rule) = MANY.split_once("---\n").unwrap();
    fs::create_dir(dir.path().join("base")).unwrap();
    fs::write(dir.path().join("base/rule.yml"), rule).unwrap();
    fs::write(dir.path().join("alone.yml"), correlation).unwrap();
    let alone = objects(dir.path(), &["rules", "lint", "alone.yml"], 1);
    assert_eq!((&alone[0]["code"], &alone[0]["line"]), (&json!("unknown-rule"), &json!(7)));
    let set = ["rules", "lint", "alone.yml", "--set", "rules.dirs=[base]"];
    let found = objects(dir.path(), &set, 0);
    assert_eq!(found.last().unwrap()["correlations"], 1);
    let listed = ["rules", "list", "alone.yml", "--set", "rules.dirs=[base]"];
    assert_eq!(objects(dir.path(), &listed, 0).len(), 1, "what it refers to is not meant");
}

#[test]
fn every_active_rule_of_the_corpus_loads_or_is_refused_for_want_of_a_value_and_soon() {
    let named = std::env::var_os("SEERFLOW_SHARED").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let data = named.unwrap_or_else(beside).join("data/sigma");
    let corpus = data.join("rules.tar.xz");
    if !corpus.exists() {
        println!("skipped: there is no {}; set SEERFLOW_SHARED", corpus.display());
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let found = objects(dir.path(), &["rules", "lint", &corpus.to_string_lossy()], 1);
    let summary = found.last().unwrap();
    let of = |key: &str| summary[key].as_u64().unwrap();
    assert_eq!(of("documents"), of("rules") + of("left_out") + of("refused"));
    assert!(of("rules") > 3_700, "{summary}");
    assert_eq!(of("errors"), of("refused"));
    let errors = found.iter().filter(|said| said["gravity"] == "error");
    let codes: BTreeSet<&str> = errors.map(|said| said["code"].as_str().unwrap()).collect();
    assert_eq!(codes, BTreeSet::from(["unresolved-placeholder"]));
    // The machine may be busy; alone it takes a fraction of this.
    assert!(summary["seconds"].as_f64().unwrap() < 3.0, "{summary}");
    println!("{summary}");

    // What has been seen to fire is not said to be unable to.
    let listed = objects(dir.path(), &["rules", "list", &corpus.to_string_lossy()], 0);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let never: BTreeSet<(String, String)> = found
        .iter()
        .filter(|said| said["code"] == "never-fires")
        .map(|said| (text(&said["file"]), text(&said["rule"])))
        .collect();
    let never_ids: BTreeSet<String> = listed
        .iter()
        .filter(|rule| never.contains(&(text(&rule["file"]), text(&rule["title"]))))
        .map(|rule| text(&rule["id"]))
        .collect();
    assert_eq!((never.len() as u64, never_ids.len()), (of("never_fire"), never.len()));
    let hits = fs::read_to_string(data.join("hits.jsonl")).unwrap();
    for line in hits.lines() {
        let hit: Value = serde_json::from_str(line).unwrap();
        for rule in hit["matches"].as_array().unwrap() {
            assert!(!never_ids.contains(&text(rule)), "{rule} has fired");
        }
    }
}

#[test]
fn cases_pass_or_say_which_selection_was_in_the_way() {
    let dir = folder();
    let arguments = ["rules", "test", "r/sudo.yml"];
    let passed = objects(dir.path(), &arguments, 0);
    assert_eq!(passed.len(), 4);
    assert!(passed[..3].iter().all(|case| case["passed"] == true && case["kind"] == "match"));
    assert_eq!((&passed[0]["why"], &passed[2]["line"]), (&json!("a shell"), &json!(3)));
    let summary = passed.last().unwrap();
    assert_eq!((&summary["cases"], &summary["failed"]), (&json!(3), &json!(0)));
    let text = said(dir.path(), &arguments, 0);
    assert!(text.starts_with("1 rule, 3 cases: all passed; 0 files without cases; "), "{text}");

    let mut tar = tar::Builder::new(fs::File::create(dir.path().join("r.tar")).unwrap());
    tar.append_dir_all("packed", dir.path().join("r")).unwrap();
    tar.finish().unwrap();
    let packed = objects(dir.path(), &["rules", "test", "r.tar"], 0);
    assert_eq!(packed[0]["file"], "r.tar/packed/sudo.cases.jsonl");
    assert_eq!(packed.last().unwrap()["passed"], 3);

    let wrong = [
        json!({"match": true, "raw": line(0, "ann", "operator", "/bin/bash"), "why": "calm"}),
        json!({"match": true, "raw": line(0, "ann", "root", "/bin/ls")}),
        json!({"match": false, "raw": line(0, "ann", "root", "/bin/zsh")}),
        json!({"match": true, "raw": "Nov 22 13:00:00 web cron: COMMAND=/bin/bash"}),
        json!({"fires": true, "raw": ["x"]}),
        json!({"match": 1}),
    ];
    let wrong: String = wrong.iter().map(|case| format!("{case}\n")).collect();
    fs::write(dir.path().join("r/sudo.cases.jsonl"), wrong).unwrap();
    let text = said(dir.path(), &["rules", "test", "r"], 1);
    for part in [
        "r/sudo.cases.jsonl:1: failed: must match (calm)\n  it does not match\n  selection `calm` \
         holds: USER has `operator`\n",
        "r/sudo.cases.jsonl:2: failed: must match\n  it does not match\n  selection `shell` fails: \
         COMMAND|endswith does not fit `/bin/ls`\n",
        "r/sudo.cases.jsonl:3: failed: must not match\n  it matches\n  selection `shell` holds: \
         COMMAND|endswith has `/bin/zsh`\n",
        "its log source fails: the record is not of `product=linux service=sudo`\n",
        "the file holds no correlation\n",
        "r/sudo.cases.jsonl:6: failed: cannot be run\n  it is no case: ",
        "r/deep/many.yml: no cases\n",
        "3 rules, 6 cases: 6 failed; 1 file without cases; ",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let failed = objects(dir.path(), &["rules", "test", "r"], 1);
    let selections = &failed[1]["explanations"][0]["selections"];
    assert_eq!((&selections[0]["name"], &selections[0]["holds"]), (&json!("shell"), &json!(false)));
    fs::write(dir.path().join("r/sudo.yml"), SUDO.replace("|endswith", "|endzwith")).unwrap();
    let text = said(dir.path(), &arguments, 1);
    assert!(text.contains("the rule cannot be used: r/sudo.yml:11:5: "), "{text}");
}

#[test]
fn a_sequence_that_must_not_fire_passes_and_one_that_does_not_fire_says_what_matched() {
    let dir = folder();
    let record = "verdict=refused from=10.0.0.{n} at={time}";
    let cases = [
        json!({"fires": false, "raw": [record], "repeat": 4, "why": "each from another"}),
        json!({"fires": true, "raw": [record], "repeat": 3, "then": ["x"], "why": "too few"}),
    ];
    let cases: String = cases.iter().map(|case| format!("{case}\n")).collect();
    fs::write(dir.path().join("r/deep/many.cases.jsonl"), cases).unwrap();
    let found = objects(dir.path(), &["rules", "test", "r/deep"], 1);
    let passed: Vec<bool> =
        found[..2].iter().map(|case| case["passed"].as_bool().unwrap()).collect();
    assert_eq!(passed, [true, false]);
    let reasons = json!(["it does not fire", "`Refused Login` matches 3 of 4 records"]);
    assert_eq!(found[1]["reasons"], reasons);
}

#[test]
fn a_sequence_that_must_fire_passes() {
    let dir = folder();
    let record = "<38>{time} web app: verdict=refused from=10.0.0.1 user=u{n}";
    let case = json!({"fires": true, "raw": [record], "repeat": 6, "every_s": 10});
    fs::write(dir.path().join("r/deep/many.cases.jsonl"), format!("{case}\n")).unwrap();
    said(dir.path(), &["rules", "test", "r/deep"], 0);
    let log: String = (0..6)
        .map(|at| {
            format!(
                "<38>2026-03-01T00:00:{:02}Z web app: verdict=refused from=10.0.0.1 n={at}\n",
                at * 9
            )
        })
        .collect();
    fs::write(dir.path().join("day.log"), log).unwrap();
    let found = objects(dir.path(), &["rules", "test", "r/deep", "--against", "day.log"], 0);
    let many = found.iter().find(|rule| rule["kind"] == "correlation").unwrap();
    assert!(many["alerts"].as_u64().unwrap() > 0, "{many}");
}

#[test]
fn every_case_of_the_rules_that_come_with_the_program_passes() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(dir.path(), &["rules", "test", "--json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let found: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let failed: Vec<&Value> =
        found.iter().filter(|case| case["type"] == "case" && case["passed"] != true).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let summary = found.last().unwrap();
    assert_eq!(output.status.code(), Some(0), "{summary}");
    assert_eq!(summary["files_without_cases"], 0);
    let cases: usize = seerflow_dataflow::rules::BUILTIN_CASES
        .iter()
        .map(|(_, text)| text.lines().filter(|line| !line.trim().is_empty()).count())
        .sum();
    assert_eq!(summary["cases"], cases as u64);
}

/// A log of 3 000 lines by sudo, of which each tenth is a shell.
fn day() -> String {
    let line = |at: usize| {
        let (user, to) = (["ann", "bob", "eve"][at % 3], ["root", "operator"][at / 10 % 2]);
        line(at, user, to, if at.is_multiple_of(10) { "/bin/zsh" } else { "/bin/ls" })
    };
    (0..3_000).map(|at| format!("{}\n", line(at))).collect()
}

#[test]
fn a_rule_is_tried_on_files_and_on_what_is_stored_with_the_same_result() {
    let dir = folder();
    fs::write(dir.path().join("day.log"), day()).unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(day().as_bytes()).unwrap();
    fs::write(dir.path().join("day.log.gz"), packed.finish().unwrap()).unwrap();
    let of = |arguments: &[&str]| objects(dir.path(), arguments, 0);
    let sudo = ["rules", "test", "r/sudo.yml", "--samples", "2", "--against"];
    let plain = of(&[&sudo[..], &["day.log"]].concat());
    let rule = &plain[0];
    assert_eq!((&rule["events"], &rule["matches"]), (&json!(3_000), &json!(150)));
    assert!((rule["rate"].as_f64().unwrap() - 0.05).abs() < 1e-12);
    assert!(rule["first"].as_str().unwrap().ends_with("-11-22T13:00:00Z"), "{rule}");
    assert!(rule["last"].as_str().unwrap().ends_with("-11-22T13:49:40Z"), "{rule}");
    assert_eq!(rule["selections"], json!([{"name": "shell", "matches": 150}]));
    assert_eq!(rule["hosts"], json!([{"host": "web", "matches": 150}]));
    let entities = rule["entities"].as_array().unwrap();
    let has = |kind: &str, value: &str, matches: u64| {
        let wanted = json!({"kind": kind, "value": value, "matches": matches});
        entities.contains(&wanted)
    };
    assert!(has("host", "web", 150) && has("user", "ann", 50), "{entities:?}");
    let samples = rule["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 2);
    assert_eq!((&samples[0]["seq"], &samples[1]["seq"]), (&json!(0), &json!(20)));
    assert_eq!(samples[0]["raw"], line(0, "ann", "root", "/bin/zsh"));
    let both = of(&[&sudo[..], &["day.log", "day.log.gz"]].concat());
    assert_eq!((&both[0]["events"], &both[0]["matches"]), (&json!(6_000), &json!(300)));
    assert_eq!(both.last().unwrap()["matched"], 1);

    let kept = ["replay", "day.log", "--state", "kept", "--quiet", "--set", "rules.builtin=false"];
    said(dir.path(), &kept, 0);
    let stored = of(&["rules", "test", "r", "--samples", "2", "--state", "kept"]);
    let again = stored.iter().find(|rule| rule["title"] == "Shell By Sudo").unwrap();
    for key in ["events", "matches", "rate", "first", "last", "selections", "entities", "samples"] {
        assert_eq!(again[key], rule[key], "{key}");
    }
    let many = stored.iter().find(|rule| rule["kind"] == "correlation").unwrap();
    assert_eq!((&many["events"], &many["matches"]), (&json!(3_000), &json!(0)));
    assert_eq!(stored.last().unwrap()["rules"], 3);
    let text = said(dir.path(), &["rules", "test", "r", "--state", "kept"], 0);
    for part in
        ["150 matches of 3 000 events, 5.00 %", "shell  150 of 150", "#0  ", "matched nothing"]
    {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    for (arguments, code) in [
        (&["rules", "test", "r", "--against", "none.log"], 66),
        (&["rules", "test", "r", "--state", "none"], 66),
        (&["rules", "test", "none", "--against", "day.log"], 66),
    ] {
        said(dir.path(), arguments, code);
    }
}

#[test]
fn coverage_counts_rules_by_tactic_and_technique_and_makes_a_layer() {
    let dir = folder();
    let found = &objects(dir.path(), &["rules", "coverage", "r"], 0)[0];
    assert_eq!((&found["rules"], &found["untagged"]), (&json!(3), &json!(0)));
    let tactics = found["tactics"].as_array().unwrap();
    let names: Vec<&Value> = tactics.iter().map(|tactic| &tactic["tactic"]).collect();
    assert_eq!(names, [&json!("privilege-escalation"), &json!("credential-access"), &Value::Null]);
    let technique = &tactics[1]["techniques"][0];
    assert_eq!((&technique["technique"], &technique["rules"]), (&json!("T1110.003"), &json!(1)));
    assert_eq!(technique["levels"], json!({"critical": 1}));
    let text = said(dir.path(), &["rules", "coverage", "r", "--navigator", "layer.json"], 0);
    assert!(text.contains("3 rules: 2 of 15 tactics, 3 techniques; 0 without"), "{text}");
    let layer: Value =
        serde_json::from_slice(&fs::read(dir.path().join("layer.json")).unwrap()).unwrap();
    assert_eq!(layer["versions"]["layer"], "4.5");
    assert_eq!(layer["domain"], "enterprise-attack");
    let techniques = layer["techniques"].as_array().unwrap();
    let of = |id: &str| techniques.iter().find(|one| one["techniqueID"] == id).unwrap();
    assert_eq!((&of("T1110.003")["score"], &of("T1110")["score"]), (&json!(1), &json!(1)));
    assert_eq!(of("T1110")["comment"], "Refused Login");
    assert_eq!(of("T1548")["score"], Value::Null, "a parent without rules of its own");
    let printed = said(dir.path(), &["rules", "coverage", "r", "--navigator", "-"], 0);
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), layer);
    let high = &objects(dir.path(), &["rules", "coverage", "r", "--level", "high"], 0)[0];
    assert_eq!(high["rules"], 2);
}

#[test]
fn a_line_is_explained_by_the_rules_that_match_or_come_near() {
    let dir = folder();
    let set = ["--set", "rules.dirs=[r]", "--set", "rules.builtin=false"];
    let explain = |line: &str| {
        let arguments = [&["explain", "--line", line][..], &set].concat();
        (objects(dir.path(), &arguments, 0).remove(0), said(dir.path(), &arguments, 0))
    };
    let (told, text) = explain(&line(0, "ann", "root", "/bin/bash"));
    let sigma = &told["sigma"];
    let views = sigma["views"].as_array().unwrap();
    assert!(views.iter().any(|view| view["product"] == "linux" && view["service"] == "sudo"));
    assert!(views.iter().all(|view| view["product"] == "linux"), "{views:?}");
    let fields = sigma["fields"].as_array().unwrap();
    assert!(fields.contains(&json!({"name": "COMMAND", "value": "/bin/bash"})), "{fields:?}");
    assert_eq!(sigma["matched"][0]["title"], "Shell By Sudo");
    assert_eq!(sigma["matched"][0]["level"], "high");
    assert_eq!(sigma["matched"][0]["selections"][0]["items"][0]["values"], json!(["/bin/bash"]));
    assert_eq!(sigma["nearest"], json!([]));
    for part in ["linux/sudo", "Shell By Sudo", "selection `shell` holds: COMMAND|endswith has"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let (told, text) = explain(&line(0, "ann", "operator", "/bin/bash"));
    assert_eq!(told["sigma"]["matched"], json!([]));
    assert_eq!(told["sigma"]["nearest"][0]["title"], "Shell By Sudo");
    assert_eq!(told["sigma"]["nearest"][0]["failed"], json!(["calm"]));
    assert!(text.contains("selection `calm` holds: USER has `operator`"), "{text}");
    let bare = ["explain", "--line", "Failed password for root from 10.0.0.7 port 22 ssh2"];
    let (told, text) = (objects(dir.path(), &bare, 0).remove(0), said(dir.path(), &bare, 0));
    assert_eq!(told["sigma"]["nearest"][0]["failed"], json!(["logsource"]), "{told}");
    assert_eq!(told["sigma"]["nearest"][0]["selections"][0]["items"][0]["item"], "keywords");
    for part in ["none matches", "its log source fails: the record is not of `linux/sshd`"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let (_, text) = explain("\u{1b}[2Jverdict=refused from=10.0.0.1");
    assert!(text.contains("As rules read it"), "{text}");
}

#[test]
fn an_alert_of_a_rule_is_explained_by_its_selections_and_their_values() {
    let dir = folder();
    fs::write(dir.path().join("day.log"), day()).unwrap();
    let set = ["--set", "rules.dirs=[r]", "--set", "rules.builtin=false"];
    let replay = ["replay", "day.log", "--state", "kept", "--quiet"];
    said(dir.path(), &[&replay[..], &set].concat(), 0);
    let query = ["query", "alerts", "--state", "kept", "--rule", "shell by sudo"];
    let alerts = objects(dir.path(), &query, 0);
    let id = alerts[0]["id"].as_str().unwrap();
    let text = said(dir.path(), &["explain", id, "--state", "kept"], 0);
    for part in
        ["Shell By Sudo", "shell and not calm", "COMMAND|endswith has `/bin/zsh`", "T1548.003"]
    {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let told = &objects(dir.path(), &["explain", id, "--state", "kept"], 0)[0];
    assert_eq!(told["alert"]["matched"]["selections"][0]["name"], "shell");
    assert_eq!((&told["alert"]["score"], &told["alert"]["threshold"]), (&json!(0.8), &json!(0.2)));
    let rule = &alerts[0]["rule"].as_str().unwrap()[..8];
    let query = ["query", "alerts", "--state", "kept", "--rule", rule];
    assert_eq!(objects(dir.path(), &query, 0), alerts, "the beginning of its id finds a rule");
    assert!(said(dir.path(), &query[..4], 0).contains(&format!("rule {rule}")));
}

const GOOD: &str = "\
title: Good
id: 00000000-0000-4000-8000-000000000000
logsource:
  product: linux
detection:
  s:
    A: x
  condition: s
";

/// A way to be broken: what it is called, the file, the code, and line and column if they are
/// known.
type Fault = (&'static str, Vec<u8>, &'static str, Option<(u64, u64)>);

fn faults() -> Vec<Fault> {
    let with = |from: &str, to: &str| GOOD.replace(from, to).into_bytes();
    let text = |text: &str| text.as_bytes().to_vec();
    let names = |count: usize| vec!["a"; count].join(" or ");
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for at in 1..10 {
        let uses = vec![format!("*a{}", at - 1); 9].join(", ");
        writeln!(laughs, "a{at}: &a{at} [{uses}]").unwrap();
    }
    vec![
        ("bad YAML", text("title: [x\nlogsource: {"), "not-yaml", None),
        ("a tab", with("  product", "\tproduct"), "not-yaml", None),
        ("not text", text("x").into_iter().chain([0xff, 0xfe]).collect(), "not-utf8", Some((1, 2))),
        ("a control character", text("title: a\x00b\n"), "not-yaml", Some((1, 9))),
        ("empty", Vec::new(), "empty-file", Some((1, 1))),
        ("a list", text("- a\n- b\n"), "not-a-rule", Some((1, 1))),
        ("no detection", text("title: x\nlogsource: {product: x}\n"), "not-a-rule", Some((1, 1))),
        ("no title", with("title: Good\n", ""), "no-title", Some((1, 1))),
        ("no log source", with("logsource:\n  product: linux\n", ""), "no-logsource", Some((1, 1))),
        (
            "a log source that is text",
            with("\n  product: linux", " linux"),
            "bad-logsource",
            Some((3, 12)),
        ),
        ("no condition", with("  condition: s\n", ""), "no-condition", Some((6, 3))),
        ("an unknown modifier", with("A: x", "A|foo: x"), "unknown-modifier", Some((7, 5))),
        ("a bad expression", with("A: x", "A|re: '[a'"), "bad-regex", Some((7, 11))),
        ("a large expression", with("A: x", r"A|re: '\w{500}'"), "regex-too-large", Some((7, 11))),
        (
            "a nested expression",
            with("A: x", "A|re: '((x{100}){100}){100}'"),
            "regex-too-large",
            Some((7, 11)),
        ),
        ("an unknown selection", with("n: s", "n: s and t"), "bad-condition", Some((8, 20))),
        ("a condition without an end", with("n: s", "n: (s"), "bad-condition", None),
        ("a long condition", with("n: s", &format!("n: {}", names(5_000))), "bad-condition", None),
        ("an aggregation", with("n: s", "n: s | count() > 5"), "sigma-v1", Some((8, 16))),
        (
            "a timeframe",
            with("  condition", "  timeframe: 5m\n  condition"),
            "sigma-v1",
            Some((8, 3)),
        ),
        ("a key twice", with("    A: x", "    A: x\n    A: y"), "duplicate-key", Some((8, 5))),
        ("a placeholder", with("A: x", "A|expand: '%nobody%'"), "unresolved-placeholder", None),
        ("no network", with("A: x", "A|cidr: 10.0.0.1/8"), "", Some((7, 13))),
        ("no number", with("A: x", "A|lt: many"), "", Some((7, 11))),
        ("a mapping for a value", with("A: x", "A: {b: c}"), "", None),
        (
            "a correlation of sources",
            text("title: c\ncorrelation:\n  sources: [x]\n"),
            "bad-correlation",
            Some((3, 3)),
        ),
        (
            "a correlation of nobody",
            text("title: c\ncorrelation:\n  type: temporal\n  rules: [no_one]\n  timespan: 1m\n"),
            "unknown-rule",
            Some((4, 11)),
        ),
        (
            "a filter of nothing",
            text("title: f\nfilter:\n  s: {A: x}\n  condition: s\n"),
            "bad-filter",
            Some((3, 3)),
        ),
        ("no such action", text("action: globl\ntitle: x\n"), "bad-action", Some((1, 9))),
        ("a billion laughs", laughs.into_bytes(), "too-many-nodes", None),
    ]
}

#[test]
fn of_many_rules_the_good_are_active_and_each_bad_one_is_named_with_its_place() {
    const GOOD_ONES: usize = 2_000;
    const BAD_ONES: usize = 200;
    let dir = tempfile::tempdir().unwrap();
    let mut log = String::new();
    for at in 0..GOOD_ONES {
        let folder = dir.path().join(format!("r/{}", at % 40));
        fs::create_dir_all(&folder).unwrap();
        let rule = GOOD
            .replace("Good", &format!("Good {at}"))
            .replace("00000000-0000-4000-8000-000000000000", &id(at))
            .replace("    A: x\n", &format!("    - needle{at:05}z\n"));
        fs::write(folder.join(format!("{at}.yml")), rule).unwrap();
        writeln!(log, "Nov 22 13:38:00 web app: a needle{at:05}z in the hay").unwrap();
    }
    fs::write(dir.path().join("day.log"), log).unwrap();
    let faults = faults();
    assert!(faults.len() >= 20);
    let mut bad: BTreeMap<String, (&Fault, u64)> = BTreeMap::new();
    for at in 0..BAD_ONES {
        let fault = &faults[at % faults.len()];
        // The same fault further down; what is empty must stay so.
        let down = if fault.1.is_empty() { 0 } else { at / faults.len() };
        let mut bytes = b"# moved down\n".repeat(down);
        let own = id(100_000 + at);
        let from = b"00000000-0000-4000-8000-000000000000";
        match fault.1.windows(from.len()).position(|part| part == from) {
            Some(place) => {
                bytes.extend(&fault.1[..place]);
                bytes.extend(own.as_bytes());
                bytes.extend(&fault.1[place + from.len()..]);
            }
            None => bytes.extend(&fault.1),
        }
        let file = format!("r/{}/bad{at}.yml", at % 40);
        fs::write(dir.path().join(&file), bytes).unwrap();
        bad.insert(file, (fault, down as u64));
    }

    let found = objects(dir.path(), &["rules", "lint", "r"], 1);
    let mut named = BTreeSet::new();
    for said in found.iter().filter(|said| said["gravity"] == "error") {
        let file = said["file"].as_str().unwrap();
        let Some((fault, down)) = bad.get(file) else { panic!("{said}") };
        let (name, _, code, place) = fault;
        assert!(code.is_empty() || said["code"] == *code, "{name}: {said}");
        let (line, column) = (said["line"].as_u64().unwrap(), said["column"].as_u64().unwrap());
        assert!(line >= 1 && column >= 1, "{name}: {said}");
        if let Some((wanted, at)) = place {
            assert_eq!((line, column), (wanted + down, *at), "{name}: {said}");
        }
        assert!(named.insert(file.to_owned()), "{name} is named once: {said}");
    }
    assert_eq!(named.len(), BAD_ONES);
    let summary = found.last().unwrap();
    assert_eq!(summary["rules"], GOOD_ONES as u64);
    assert_eq!(summary["refused"], BAD_ONES as u64);

    let events = dir.path().join("events.ndjson");
    let arguments = ["replay", "day.log", "--quiet", "--events", "events.ndjson"];
    let set = ["--set", "rules.dirs=[r]", "--set", "rules.builtin=false"];
    said(dir.path(), &[&arguments[..], &set].concat(), 0);
    let events = fs::read_to_string(events).unwrap();
    let mut active = 0;
    for (at, line) in events.lines().enumerate() {
        let event: Value = serde_json::from_str(line).unwrap();
        let rules = event["sigma"].as_array().unwrap();
        assert_eq!(rules.len(), 1, "{event}");
        assert_eq!(rules[0]["id"], id(at));
        active += 1;
    }
    assert_eq!(active, GOOD_ONES);
}

/// As [`run`], with no more memory than this.
fn run_within(dir: &Path, kibibytes: u64, arguments: &[&str]) -> Output {
    Command::new("/bin/sh")
        .env_clear()
        .current_dir(dir)
        .args(["-c", &format!("ulimit -v {kibibytes}; exec \"$0\" \"$@\"")])
        .arg(env!("CARGO_BIN_EXE_seerflow-dataflow"))
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn bombs_and_multitudes_cost_bounded_time_and_memory_and_stop_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join("r").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let rule = |number: usize, item: &str| {
        GOOD.replace("00000000-0000-4000-8000-000000000000", &id(number)).replace("A: x", item)
    };
    // Linear, whatever it looks like.
    write("greedy.yml", &rule(1, "'|re': '(a+)+$'"));
    write("one.yml", &format!("{}# {}\n", rule(2, "A: x"), "x".repeat(1 << 20)));
    let values: String =
        (0..30_000).map(|at| format!("      - value number {at} of very many\n")).collect();
    write("values.yml", &rule(3, &format!("A|contains:\n{}", values.trim_end())));
    write("deep.yml", &"[".repeat(1 << 20));
    let laughs = faults().into_iter().find(|fault| fault.0 == "a billion laughs").unwrap().1;
    write("laughs.yml", std::str::from_utf8(&laughs).unwrap());
    for at in 0..10_000 {
        let rule = rule(1_000 + at, &format!("A|contains: 'needle{at}x'"));
        write(&format!("{}/{at}.yml", at % 100), &rule);
    }
    let started = Instant::now();
    let output = run_within(dir.path(), 3 << 20, &["rules", "lint", "r", "--json"]);
    let took = started.elapsed();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(took < Duration::from_secs(60), "{took:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let found: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let errors = found.iter().filter(|said| said["gravity"] == "error");
    let named: BTreeSet<&str> = errors.map(|said| said["file"].as_str().unwrap()).collect();
    assert_eq!(named, BTreeSet::from(["r/deep.yml", "r/laughs.yml", "r/one.yml", "r/values.yml"]));
    assert_eq!(found.last().unwrap()["rules"], 10_001);
    println!("{} in {took:?}", found.last().unwrap());

    let mut log = format!("Nov 22 13:38:00 web app: {}!\n", "a".repeat(20_000));
    writeln!(log, "Nov 22 13:38:00 web app: A=needle77x b=c").unwrap();
    fs::write(dir.path().join("day.log"), log).unwrap();
    let started = Instant::now();
    let arguments = ["replay", "day.log", "--quiet", "--events", "events.ndjson"];
    let set = ["--set", "rules.dirs=[r]", "--set", "rules.builtin=false"];
    said(dir.path(), &[&arguments[..], &set].concat(), 0);
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    let events = fs::read_to_string(dir.path().join("events.ndjson")).unwrap();
    let second: Value = serde_json::from_str(events.lines().nth(1).unwrap()).unwrap();
    let ids: Vec<&Value> =
        second["sigma"].as_array().unwrap().iter().map(|rule| &rule["id"]).collect();
    assert!(ids.contains(&&json!(id(1_077))), "{second}");
}
