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
