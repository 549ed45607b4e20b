//! `rules test`: the cases beside rules, and rules tried on logs.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{SUDO, day, folder, line, objects, run, said};
use crate::harness;

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
    let dir = harness::folder();
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
fn long_work_shows_a_bar_on_a_terminal_and_nowhere_else() {
    let dir = folder();
    fs::write(dir.path().join("day.log"), day()).unwrap();
    let program = env!("CARGO_BIN_EXE_seerflow-dataflow");
    let cases = ["rules", "test", "r"];
    let tried = ["rules", "test", "r", "--against", "day.log"];
    for (arguments, part) in [(&cases[..], " of 3 cases"), (&tried, "working off")] {
        let output = run(dir.path(), arguments);
        assert_eq!(output.stderr, b"", "{arguments:?}");
        for (more, wanted) in [("", true), (" --quiet", false), (" --json", false)] {
            // Gives its command a terminal, and writes down what it sees there.
            let mut command = Command::new("script");
            command.args(["--quiet", "--return", "--command"]).current_dir(dir.path());
            command.arg(format!("{program} {}{more} >/dev/null", arguments.join(" ")));
            command.arg("/dev/null").stdin(Stdio::null());
            let Ok(output) = command.output() else {
                println!("skipped: there is no `script` to make a terminal");
                return;
            };
            let seen = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{arguments:?}{more}: {seen}");
            assert_eq!(seen.contains(part), wanted, "{arguments:?}{more}: {seen:?}");
        }
    }
}
