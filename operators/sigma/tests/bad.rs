//! Bad rules: each is one diagnostic with a place, soon, and harms nothing else.

#![expect(clippy::disallowed_methods, reason = "bounded means bounded in time, too")]

use std::time::{Duration, Instant};

use super::*;

const GOOD: &str = "title: good\nlogsource:\n  product: any\ndetection:\n  s:\n    A: x\n  \
                    condition: s\n";

/// The only error of a file, and how long it took.
fn error(bytes: &[u8]) -> (Diagnostic, Duration) {
    let start = Instant::now();
    let parsed = vec![parse("bad.yml", bytes), parse("good.yml", GOOD.as_bytes())];
    let (set, report) = RuleSet::compile(parsed, &no_options());
    let took = start.elapsed();
    assert_eq!(set.len(), 1, "the good rule stays");
    let errors = report.diagnostics.into_iter().filter(|said| said.gravity == Gravity::Error);
    let mut errors: Vec<Diagnostic> = errors.collect();
    assert_eq!((errors.len(), report.refused), (1, 1), "{errors:?}");
    (errors.remove(0), took)
}

#[test]
fn every_kind_of_broken_file_is_one_diagnostic_with_its_place() {
    let good = GOOD.to_owned();
    let without = |line: &str| good.replace(line, "");
    let files: Vec<(&str, Vec<u8>, &str, &str)> = vec![
        ("bad YAML", b"title: [x\nlogsource: {".to_vec(), "not-yaml", "2:"),
        ("binary", b"\x7fELF\x02\x01\n\xff\xfe\x00".to_vec(), "not-utf8", "2:1"),
        ("a control character", b"title: a\x00b\n".to_vec(), "not-yaml", "1:9"),
        ("empty", Vec::new(), "empty-file", "1:1"),
        ("only a comment", b"# nothing\n".to_vec(), "empty-file", "1:1"),
        ("a list", b"- a\n- b\n".to_vec(), "not-a-rule", "1:1"),
        ("no detection", b"title: x\nlogsource:\n  product: any\n".to_vec(), "not-a-rule", "1:1"),
        ("no title", without("title: good\n").into_bytes(), "no-title", "1:1"),
        (
            "no log source",
            without("logsource:\n  product: any\n").into_bytes(),
            "no-logsource",
            "1:1",
        ),
        ("no condition", without("  condition: s\n").into_bytes(), "no-condition", "5:3"),
        (
            "unknown modifier",
            good.replace("A: x", "A|foo: x").into_bytes(),
            "unknown-modifier",
            "6:5",
        ),
        ("bad regex", good.replace("A: x", "A|re: '[a'").into_bytes(), "bad-regex", "6:11"),
        (
            "unknown selection",
            good.replace("n: s", "n: s and t").into_bytes(),
            "bad-condition",
            "7:20",
        ),
        (
            "aggregation",
            good.replace("n: s", "n: s | count() > 5").into_bytes(),
            "sigma-v1",
            "7:16",
        ),
        (
            "timeframe",
            good.replace("  condition", "  timeframe: 5m\n  condition").into_bytes(),
            "sigma-v1",
            "7:3",
        ),
        (
            "duplicate key",
            good.replace("    A: x", "    A: x\n    A: y").into_bytes(),
            "duplicate-key",
            "7:5",
        ),
        (
            "a correlation of sources",
            b"title: c\ncorrelation:\n  sources: [x]\n".to_vec(),
            "bad-correlation",
            "3:3",
        ),
        (
            "a correlation of nobody",
            b"title: c\ncorrelation:\n  type: temporal\n  rules: [x]\n  timespan: 1m\n".to_vec(),
            "unknown-rule",
            "4:11",
        ),
        (
            "a filter of nothing",
            b"title: f\nfilter:\n  s: {A: x}\n  condition: s\n".to_vec(),
            "bad-filter",
            "3:3",
        ),
        ("an action of no name", b"action: globl\ntitle: x\n".to_vec(), "bad-action", "1:9"),
    ];
    for (name, bytes, code, place) in files {
        let (said, _) = error(&bytes);
        assert_eq!(said.code, code, "{name}: {said}");
        assert!(said.to_string().starts_with(&format!("bad.yml:{place}")), "{name}: {said}");
    }
}

#[test]
fn bombs_are_refused_soon() {
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for i in 1..10 {
        let uses = vec![format!("*a{}", i - 1); 9].join(", ");
        laughs.push_str(&format!("a{i}: &a{i} [{uses}]\n"));
    }
    let parentheses = format!("n: {}s{}", "(".repeat(3000), ")".repeat(3000));
    let names: Vec<String> = (0..3000).map(|i| format!("A: {i}")).collect();
    let bombs: Vec<(&str, String, &str)> = vec![
        ("billion laughs", laughs, "too-many-nodes"),
        ("parentheses", GOOD.replace("n: s", &parentheses), "bad-condition"),
        ("words", GOOD.replace("n: s", &format!("n: {}s", "s or ".repeat(5000))), "bad-condition"),
        ("regex", GOOD.replace("A: x", r"A|re: '\w{500}'"), "regex-too-large"),
        ("nested regex", GOOD.replace("A: x", "A|re: '((x{100}){100}){100}'"), "regex-too-large"),
        ("brackets", "[".repeat(1 << 20), "not-yaml"),
        ("too large", format!("{GOOD}# {}", "x".repeat(1 << 20)), "too-large"),
        (
            "values",
            GOOD.replace("A: x", &format!("A: [{}]", "x, ".repeat(20_001))),
            "too-many-values",
        ),
        (
            "keys",
            GOOD.replace("    A: x", &format!("    {{{}}}", names.join(", "))),
            "duplicate-key",
        ),
        ("steps", steps(), "too-large"),
    ];
    for (name, text, code) in bombs {
        let (said, took) = error(text.as_bytes());
        println!("{name}: {took:?}");
        assert_eq!(said.code, code, "{name}: {said}");
        assert!(took < Duration::from_millis(1500), "{name} took {took:?}");
    }
}

/// A condition that asks for a large conjunction again and again.
fn steps() -> String {
    let values: Vec<String> = (0..15_000).map(|i| format!("v{i:05}")).collect();
    let text = GOOD.replace("A: x", &format!("A|contains|all: [{}]", values.join(", ")));
    text.replace("n: s", &format!("n: {}s", "s or ".repeat(2000)))
}

#[test]
fn a_rule_of_a_megabyte_loads_soon_and_matches() {
    let values: Vec<String> = (0..19_000).map(|i| format!("- 'value number {i:>030}'")).collect();
    let text = GOOD.replace("    A: x", &format!("    A|contains:\n    {}", values.join("\n    ")));
    assert!(text.len() > 900_000 && text.len() <= yaml::BYTES_MAX);
    let start = Instant::now();
    let (set, report) = compile(&[&text]);
    assert_eq!(report.refused, 0, "{:?}", report.diagnostics);
    let took = start.elapsed();
    println!("{} bytes: {took:?}", text.len());
    assert!(took < Duration::from_millis(1500));
    let event = serde_json::json!({"A": format!("a VALUE number {:>030} b", 18_999)});
    assert!(matches(&set, &event, ""));
    assert!(!matches(&set, &serde_json::json!({"A": "value number 18999"}), ""));
}

#[test]
fn ten_thousand_rules_load_soon_and_bad_ones_among_them_are_named() {
    let files: Vec<(String, String)> = (0..10_000)
        .map(|i| {
            let modifier = if i % 50 == 7 { "nonsense" } else { "contains" };
            let text = GOOD.replace("A: x", &format!("A|{modifier}: ['word {i}', 'other {i}']"));
            (format!("{i:05}.yml"), text)
        })
        .collect();
    let start = Instant::now();
    let parsed = parse_all(&files, 2);
    let (set, report) = RuleSet::compile(parsed, &no_options());
    let took = start.elapsed();
    println!("10 000 rules: {took:?}, {} bytes of tables", report.scan_bytes);
    assert_eq!((set.len(), report.refused), (9_800, 200));
    let errors = report.diagnostics.iter().filter(|said| said.gravity == Gravity::Error);
    assert!(errors.clone().all(|said| said.at == Pos { line: 6, column: 5 }));
    assert_eq!(errors.count(), 200);
    assert!(took < Duration::from_secs(5));
}

#[test]
fn no_bytes_make_a_panic() {
    let mut random = random::Random(7);
    let seeds: Vec<Vec<u8>> = vec![
        GOOD.into(),
        b"title: c\nid: c\ncorrelation:\n  type: value_count\n  rules: [a, b]\n  group-by: [u]\n  \
          timespan: 5m\n  aliases: {u: {a: x}}\n  condition: {gte: 1, field: f}\n"
            .to_vec(),
        b"title: f\nfilter:\n  rules: any\n  s: {A|re|i: 'x+', B|cidr: 10.0.0.0/8}\n  \
          condition: not 1 of s*\n"
            .to_vec(),
        b"action: global\ntitle: t\nlogsource: {product: any}\n---\ndetection:\n  k: {'|all': \
          [a, 'b\\*?']}\n  s: {A|contains|windash: ['-a %x%'], T|hour|lt: 3}\n  condition: \
          2 of them or k\n"
            .to_vec(),
    ];
    let tokens: [&[u8]; 16] = [
        b"|",
        b"*",
        b"&a ",
        b"*a",
        b"<<: ",
        b"- ",
        b"\n",
        b"  ",
        b"'",
        b"\"",
        b"{",
        b"]",
        b"not ",
        b"|re",
        b"|base64offset",
        b"\xff",
    ];
    let mut read = 0;
    for round in 0..6_000 {
        let mut bytes = seeds[round % seeds.len()].clone();
        for _ in 0..random.below(5) {
            let at = random.below(bytes.len() + 1);
            match random.below(4) {
                0 if at < bytes.len() => bytes[at] = random.below(256) as u8,
                1 => drop(bytes.drain(at..(at + random.below(8)).min(bytes.len()))),
                2 => bytes.truncate(at.max(1)),
                _ => {
                    let token = tokens[random.below(tokens.len())];
                    bytes.splice(at..at, token.iter().copied());
                }
            }
        }
        let parsed = parse("random.yml", &bytes);
        assert!(parsed.diagnostics.iter().all(|said| said.at.line > 0 && said.at.column > 0));
        let (set, _) = RuleSet::compile(vec![parsed], &no_options());
        read += set.len();
    }
    assert!(read > 500, "some are still rules: {read}");
}
