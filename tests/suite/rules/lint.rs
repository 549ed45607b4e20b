//! `rules lint`: of rules that are in order, and of the whole corpus.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use super::{MANY, SUDO, folder, objects, said};
use crate::harness::{self, shared};

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

/// Rules for processes of Windows: one that needs a field that there is not, one that has another
/// choice, one that only leaves out by it, and a correlation of the first.
const FIELDS: &str = "\
title: Needs It
id: 5f0b9ad8-7f8b-4c41-8a06-0a4bb9f1d1c1
name: needs_it
logsource: {product: windows, category: process_creation}
detection:
  a:
    Imagee|endswith: '\\a.exe'
    GrandParentImage: x
  condition: a
---
title: Has A Choice
id: 5f0b9ad8-7f8b-4c41-8a06-0a4bb9f1d1c2
logsource: {product: windows, category: process_creation}
detection:
  a:
    - CommandLine: x
    - commandline: x
  condition: a
---
title: Leaves Out
id: 5f0b9ad8-7f8b-4c41-8a06-0a4bb9f1d1c3
logsource: {product: linux, service: sudo}
detection:
  a: {COMMAND: x}
  not_these: {NoSuchField: y}
  condition: a and not not_these
---
title: Much Of It
id: 5f0b9ad8-7f8b-4c41-8a06-0a4bb9f1d1c4
correlation:
  type: event_count
  rules: [needs_it]
  group-by: [User]
  timespan: 10m
  condition: {gte: 5}
";

#[test]
fn lint_says_which_fields_no_record_here_has_and_whether_the_rule_needs_them() {
    let dir = harness::folder();
    fs::write(dir.path().join("r.yml"), FIELDS).unwrap();
    let found = objects(dir.path(), &["rules", "lint", "r.yml"], 0);
    let doubts = |found: &[Value]| -> Vec<String> {
        let said = found.iter().filter(|said| said["gravity"] == "warning");
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let shown = said.map(|said| {
            let (field, name) = (text(&said["field"]), text(&said["suggestion"]));
            let code = text(&said["code"]);
            format!("{}:{} {code} {field} {name}", said["line"], said["column"])
        });
        shown.collect()
    };
    let choice = "17:7 unknown-field commandline CommandLine";
    let left_out = "25:15 unknown-field NoSuchField -";
    let grand = "8:5 unknown-field GrandParentImage -";
    let wanted = ["7:5 never-fires Imagee Image", grand, choice, left_out];
    let much = "30:1 never-fires - -";
    assert_eq!(doubts(&found), [&wanted[..], &[much]].concat());
    assert_eq!(found.last().unwrap()["never_fire"], 2);
    let text = said(dir.path(), &["rules", "lint", "r.yml"], 0);
    for line in [
        "r.yml:7:5: warning[never-fires]: it can never fire here, unless records bring field \
         `Imagee` under this very name: no receiver and no pipeline yields it for \
         `windows/process_creation`\n  hint: did you mean `Image`?\n",
        "r.yml:17:7: warning[unknown-field]: field `commandline` of `windows/process_creation` is \
         yielded by no receiver or pipeline here\n  hint: did you mean `CommandLine`?\n",
        "r.yml:25:15: warning[unknown-field]: field `NoSuchField` of `linux/sudo` is yielded by no \
         receiver or pipeline here\n  hint: a pipeline in `rules.pipelines` can yield it\n",
        "5 warnings, 2 can never fire here;",
    ] {
        assert!(text.contains(line), "{text}");
    }
    // A pipeline yields them.
    let pipeline = "name: p\nmatch: {format: json, fields: {kind: start}}\nlogsources:\n  \
                    - {product: windows, category: process_creation}\nfields:\n  \
                    program: Imagee\n  elder: GrandParentImage\n";
    fs::write(dir.path().join("p.yaml"), pipeline).unwrap();
    let set = ["rules", "lint", "r.yml", "--set", "rules.pipelines=[p.yaml]"];
    let found = objects(dir.path(), &set, 0);
    assert_eq!(doubts(&found), [choice, left_out]);
    assert_eq!(found.last().unwrap()["never_fire"], 0);
}

#[test]
fn no_rule_that_comes_with_the_program_asks_for_a_field_in_vain() {
    let dir = harness::folder();
    let found = objects(dir.path(), &["rules", "lint"], 0);
    let in_vain = |said: &&Value| said["code"] == "never-fires" || said["code"] == "unknown-field";
    assert_eq!(found.iter().filter(in_vain).collect::<Vec<_>>(), [] as [&Value; 0]);
    assert!(found.last().unwrap()["rules"].as_u64().unwrap() > 50);
}

/// Fields of the corpus that no record has here, each looked up in the schema of its event.
const IN_VAIN: [&str; 14] = [
    "windows/create_remote_thread SourceCommandLine",
    "windows/create_remote_thread SourceParentImage",
    "windows/create_remote_thread TargetParentProcessId",
    "windows/file_event CommandLine",
    "windows/file_event FileMagicBytes",
    "windows/file_event FileName",
    "windows/file_event IntegrityLevel",
    "windows/file_event ParentCommandLine",
    "windows/file_event ParentImage",
    "windows/image_load CommandLine",
    "windows/network_connection CommandLine",
    "windows/network_connection ParentImage",
    "windows/process_access SourceCommandLine",
    "windows/process_creation GrandParentImage",
];

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
    let (Some(corpus), Some(hits)) = (shared("rules.tar.xz"), shared("hits.jsonl")) else { return };
    let dir = harness::folder();
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

    let in_vain: BTreeSet<String> = found
        .iter()
        .filter_map(|said| {
            let (_, rest) = said["reason"].as_str()?.split_once("windows/")?;
            let source = rest.split('`').next()?;
            Some(format!("windows/{source} {}", said["field"].as_str()?))
        })
        .collect();
    assert_eq!(in_vain, IN_VAIN.map(str::to_owned).into());
    let of_fields = found.iter().filter(|said| said["field"].is_string()).count();
    let of_windows = found.iter().filter(|said| {
        said["field"].is_string() && said["reason"].as_str().unwrap().contains("`windows/")
    });
    assert_eq!(of_fields, of_windows.count(), "others ask for nothing in vain");

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
    let hits = fs::read_to_string(hits).unwrap();
    for line in hits.lines() {
        let hit: Value = serde_json::from_str(line).unwrap();
        for rule in hit["matches"].as_array().unwrap() {
            assert!(!never_ids.contains(&text(rule)), "{rule} has fired");
        }
    }
}

#[test]
fn fields_that_a_correlation_reads_in_vain_are_doubted() {
    let dir = folder();
    let rule = "title: Useer\nname: started\nlogsource: {category: process_creation, product: windows}\n\
                detection: {s: {Image: x}, condition: s}\n---\n";
    let correlation = |name: &str, by: &str, field: &str| {
        format!(
            "title: {name} Useer\ncorrelation:\n  type: value_count\n  rules: [started]\n  \
             group-by: [{by}]\n  timespan: 5m\n  condition: {{gte: 3, field: {field}}}\n"
        )
    };
    let (bad, good) = (correlation("a", "Useer", "Image"), correlation("b", "User", "src_ip"));
    fs::write(dir.path().join("c.yml"), format!("{rule}{bad}---\n{good}")).unwrap();
    let found = objects(dir.path(), &["rules", "lint", "c.yml"], 0);
    let doubted: Vec<_> = found.iter().filter(|said| said["code"] == "never-fires").collect();
    assert_eq!(doubted.len(), 1, "{found:?}");
    assert_eq!((&doubted[0]["line"], &doubted[0]["column"]), (&json!(10), &json!(14)));
    assert_eq!(doubted[0]["hint"], "did you mean `User`?");
    let summary = found.last().unwrap();
    assert_eq!((&summary["files"], &summary["documents"]), (&json!(1), &json!(3)));
}
