//! The community's rules and their regression samples.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::*;
use super::*;

fn load(files: &[(String, Vec<u8>)]) -> (Arc<RuleSet>, Report) {
    let parsed = files.iter().map(|(name, bytes)| parse(name, bytes)).collect();
    let (set, report) = RuleSet::compile(parsed, &no_options());
    (Arc::new(set), report)
}

#[test]
fn every_active_rule_loads_or_is_refused_for_a_reason_of_the_specification() {
    let Some((active, unsupported)) = shared::corpus() else { return };
    let (set, report) = load(&active);
    let errors: Vec<&Diagnostic> =
        report.diagnostics.iter().filter(|said| said.gravity == Gravity::Error).collect();
    for error in errors.iter().filter(|error| error.code != "unresolved-placeholder") {
        println!("{error}");
    }
    let mut other: BTreeMap<&str, usize> = BTreeMap::new();
    for said in report.diagnostics.iter().filter(|said| said.gravity != Gravity::Error) {
        *other.entry(said.code).or_default() += 1;
    }
    println!(
        "{} files: {} rules, {} refused, {} bits, {} late tests, {} expressions, tables {} bytes, \
         {} steps, {} without guard; warnings {other:?}",
        active.len(),
        report.rules,
        report.refused,
        report.literals,
        set.lates.len(),
        set.regexes.len(),
        report.scan_bytes,
        set.steps.len(),
        set.guards.iter().filter(|guard| guard.always).count(),
    );
    assert!(errors.iter().all(|error| error.code == "unresolved-placeholder"));
    assert_eq!(report.refused, errors.len());
    assert_eq!(report.rules + report.refused, active.len());
    assert!(report.refused <= 25);

    let (_, report) = load(&unsupported);
    let mut codes: BTreeMap<&str, usize> = BTreeMap::new();
    for said in report.diagnostics.iter().filter(|said| said.gravity == Gravity::Error) {
        *codes.entry(said.code).or_default() += 1;
    }
    println!("unsupported: {} rules, refused {codes:?}", report.rules);
    assert!(codes["sigma-v1"] > 40);
}

#[test]
fn placeholders_with_values_load_every_rule() {
    let Some((active, _)) = shared::corpus() else { return };
    let parsed: Vec<Parsed> = active.iter().map(|(name, bytes)| parse(name, bytes)).collect();
    let mut options = no_options();
    for file in &parsed {
        for document in &file.documents {
            let Document::Rule(rule) = document else { continue };
            for value in rule.detection.items().flat_map(|item| &item.values) {
                let detection::Test::Text { pattern, .. } = &value.test else { continue };
                for part in pattern.parts() {
                    if let value::Part::Placeholder(name) = part {
                        options.placeholders.insert(name.clone(), vec!["a*".into(), "b".into()]);
                    }
                }
            }
        }
    }
    let (set, report) = RuleSet::compile(parsed, &options);
    assert_eq!((set.len(), report.refused), (active.len(), 0));
}

#[test]
fn every_regression_sample_has_exactly_the_hits_that_an_independent_engine_finds() {
    let Some((active, _)) = shared::corpus() else { return };
    let Some(samples) = shared::samples() else { return };
    let Some(hits) = shared::shared("hits.jsonl") else { return };
    let hits = std::fs::read_to_string(hits).expect("readable");
    let mut expected: BTreeMap<(String, usize), BTreeSet<String>> = BTreeMap::new();
    for line in hits.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let ids = line["matches"].as_array().expect("a list").iter();
        let ids = ids.map(|id| id.as_str().expect("an id").to_owned()).collect();
        let sample = line["sample"].as_str().expect("an id").to_owned();
        expected.insert((sample, line["event"].as_u64().expect("a number") as usize), ids);
    }
    let (set, _) = load(&active);
    let mut matcher = Matcher::new(&set);
    let mut matched = Vec::new();
    let mut deviations = Vec::new();
    let mut fired: BTreeSet<&str> = BTreeSet::new();
    for sample in &samples {
        let flat = shared::flat(sample);
        let record = shared::record(&set, &flat, &sample.views);
        matcher.matches(&record, &mut matched);
        // Kept the second time, and recalled the third.
        for _ in 0..2 {
            let mut again = Vec::new();
            matcher.matches(&record, &mut again);
            assert_eq!(again, matched, "{}", sample.rule);
        }
        let ids: BTreeSet<String> =
            matched.iter().filter_map(|index| set.rule(*index).meta.id.clone()).collect();
        if ids.contains(&sample.rule) {
            fired.insert(&sample.rule);
        }
        let key = (sample.rule.clone(), sample.event);
        if ids != expected[&key] {
            let more: Vec<&String> = ids.difference(&expected[&key]).collect();
            let fewer: Vec<&String> = expected[&key].difference(&ids).collect();
            deviations.push(format!("{key:?}: more {more:?}, fewer {fewer:?}"));
        }
        // The plain meaning says the same of every rule that applies.
        for (number, rule) in set.rules().iter().enumerate() {
            let index = RuleIndex(number as u32);
            let hit = matched.binary_search(&index).is_ok();
            let plain = set.applies(index, record.views()) && plain::matches(rule, &record);
            assert_eq!(hit, plain, "{}: {}", rule.meta.file, rule.meta.title);
        }
    }
    println!("{} records, counters {:?}", samples.len(), matcher.counters());
    assert_eq!((samples.len(), expected.len()), (116, 116));
    assert!(matcher.counters().recalled >= 100, "{:?}", matcher.counters());
    assert!(deviations.is_empty(), "{}", deviations.join("\n"));
    let rules: BTreeSet<&str> = samples.iter().map(|sample| sample.rule.as_str()).collect();
    assert_eq!((fired.len(), rules.len()), (98, 98));
}
