//! Rules that cannot be used, bombs, and very many rules.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{id, objects, said};
use crate::harness;

pub(super) const GOOD: &str = "\
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
    let dir = harness::folder();
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
pub(super) fn run_within(dir: &Path, kibibytes: u64, arguments: &[&str]) -> Output {
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
    let dir = harness::folder();
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
