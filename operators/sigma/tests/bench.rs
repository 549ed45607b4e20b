//! What matching costs. Run with `cargo test --release -p operators sigma::tests::bench -- \
//! --ignored --nocapture --test-threads 1`.

#![expect(clippy::disallowed_methods, reason = "a measurement asks the clock")]

use std::sync::Arc;
use std::time::Instant;

use super::super::*;
use super::*;

/// How long this thread has run, in nanoseconds: the processor's time, where the system tells it,
/// since other work on the machine would be counted too.
fn now(started: Instant) -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let told = told.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    told.unwrap_or_else(|| started.elapsed().as_nanos() as f64)
}

/// How long the fastest of some rounds of `work` takes, in nanoseconds.
fn fastest(rounds: usize, mut work: impl FnMut()) -> f64 {
    let started = Instant::now();
    let mut best = f64::INFINITY;
    for _ in 0..rounds {
        let start = now(started);
        work();
        best = best.min(now(started) - start);
    }
    best
}

fn set_of(files: &[(String, Vec<u8>)], wanted: impl Fn(&Rule) -> bool) -> Arc<RuleSet> {
    let mut parsed: Vec<Parsed> = files.iter().map(|(name, bytes)| parse(name, bytes)).collect();
    for file in &mut parsed {
        file.documents.retain(|document| match document {
            Document::Rule(rule) => wanted(rule),
            _ => false,
        });
    }
    Arc::new(RuleSet::compile(parsed, &no_options()).0)
}

fn windows_or_linux(rule: &Rule) -> bool {
    matches!(rule.logsource.product.as_deref(), Some("windows" | "linux"))
}

#[test]
#[ignore = "a measurement"]
fn bench_load() {
    let Some((files, _)) = shared::corpus() else { return };
    let mut parsed = Vec::new();
    let parse_ns = fastest(3, || {
        parsed = files.iter().map(|(name, bytes)| parse(name, bytes)).collect();
    });
    let texts: Vec<&str> = files.iter().filter_map(|(_, b)| std::str::from_utf8(b).ok()).collect();
    let yaml_ns = fastest(3, || {
        for text in &texts {
            std::hint::black_box(yaml::documents(text));
        }
    });
    let parallel_ns = fastest(3, || {
        std::hint::black_box(parse_all(&files, 2));
    });
    let mut copies: Vec<Vec<Parsed>> = vec![parsed.clone(), parsed.clone(), parsed];
    let compile_ns = fastest(3, || {
        let parsed = copies.pop().expect("one for each round");
        std::hint::black_box(RuleSet::compile(parsed, &no_options()));
    });
    println!(
        "{} files: parse {:.0} ms (of which YAML {:.0} ms; on two threads {:.0} ms), compile {:.0} ms",
        files.len(),
        parse_ns / 1e6,
        yaml_ns / 1e6,
        parallel_ns / 1e6,
        compile_ns / 1e6
    );
}

/// Nanoseconds per record on the regression samples, and rules tried and matched per record.
fn on_samples(name: &str, set: &Arc<RuleSet>, samples: &[shared::Sample]) -> f64 {
    const TIMES: usize = 100;
    let flats: Vec<Vec<(String, Value<'_>)>> = samples.iter().map(shared::flat).collect();
    let records: Vec<Record<'_>> = flats
        .iter()
        .zip(samples)
        .map(|(flat, sample)| shared::record(set, flat, &sample.views))
        .collect();
    let mut matcher = Matcher::new(set);
    let mut matched = Vec::new();
    let ns = fastest(7, || {
        for _ in 0..TIMES {
            for record in &records {
                matcher.matches(record, &mut matched);
                std::hint::black_box(&matched);
            }
        }
    });
    let counters = matcher.counters();
    let each = ns / (TIMES * records.len()) as f64;
    println!(
        "{name}: {} rules: {each:.0} ns/record, {:.0} records/s; tried {:.1}, matched {:.2}",
        set.len(),
        1e9 / each,
        counters.tried as f64 / counters.records as f64,
        counters.matched as f64 / counters.records as f64
    );
    each
}

#[test]
#[ignore = "a measurement"]
fn bench_windows_records() {
    let Some((files, _)) = shared::corpus() else { return };
    let Some(samples) = shared::samples() else { return };
    let none = set_of(&files, |_| false);
    let nth = std::cell::Cell::new(0usize);
    let eighty = set_of(&files, |rule| {
        nth.set(nth.get() + 1);
        windows_or_linux(rule) && nth.get().is_multiple_of(39)
    });
    on_samples("none", &none, &samples);
    let text = std::fs::read_to_string(shared::shared("regression.jsonl").expect("seen above"));
    let text = text.expect("readable");
    let raws: Vec<String> = text
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            line["raw"].as_str().expect("raw text").to_owned()
        })
        .collect();
    let parse = fastest(7, || {
        for _ in 0..100 {
            for raw in &raws {
                let stream = serde_json::Deserializer::from_str(raw);
                stream
                    .into_iter::<serde_json::Value>()
                    .for_each(|value| drop(value.expect("JSON")));
            }
        }
    });
    println!("serde_json: {:.0} ns/record", parse / (100 * samples.len()) as f64);
    let few = on_samples("eighty", &eighty, &samples);
    let most = on_samples("windows+linux", &set_of(&files, windows_or_linux), &samples);
    let all = on_samples("all", &set_of(&files, |_| true), &samples);
    println!("all / eighty: {:.2}, windows+linux / eighty: {:.2}", all / few, most / few);
    let bytes: usize = samples
        .iter()
        .flat_map(|sample| &sample.fields)
        .map(|(_, value)| value.as_str().map_or(0, str::len))
        .sum();
    println!("{} bytes of text per record", bytes / samples.len());
}

#[test]
#[ignore = "a measurement"]
fn bench_syslog_lines() {
    let Some((files, _)) = shared::corpus() else { return };
    let lines = [
        "Accepted publickey for deploy from 10.20.30.40 port 52814 ssh2: ED25519 SHA256:2dF8q0x9V5",
        "pam_unix(sshd:session): session opened for user deploy(uid=1001) by (uid=0)",
        "Started Session 4312 of User deploy.",
        "(root) CMD (   cd / && run-parts --report /etc/cron.hourly)",
        "DHCPACK of 192.168.1.23 from 192.168.1.1 via eth0, renewal in 1772 seconds",
        "[UFW BLOCK] IN=eth0 OUT= MAC=52:54:00:12:34:56 SRC=203.0.113.9 DST=198.51.100.7 LEN=40 TTL=244",
        "Connection closed by authenticating user root 203.0.113.77 port 40422 [preauth]",
        "systemd-logind: Removed session 4311.",
    ];
    for (name, wanted) in [("linux", true), ("all", false)] {
        let set =
            set_of(&files, |rule| !wanted || rule.logsource.product.as_deref() == Some("linux"));
        for (view, services) in [
            ("linux", vec![""]),
            ("linux sshd", vec!["", "sshd"]),
            ("sudo + auth", vec!["sudo", "auth"]),
        ] {
            let mut matcher = Matcher::new(&set);
            let mut matched = Vec::new();
            let mut record = Record::new();
            let ns = fastest(7, || {
                for _ in 0..20_000 {
                    for line in lines {
                        record.clear();
                        for service in &services {
                            record.push_view(set.view(&LogSource::new("", "linux", service)));
                        }
                        record.set_message(line);
                        matcher.matches(&record, &mut matched);
                    }
                }
            });
            let counters = matcher.counters();
            println!(
                "{name} ({} rules), view {view}: {:.0} ns/line; tried {:.2}, matched {:.2}",
                set.len(),
                ns / (20_000 * lines.len()) as f64,
                counters.tried as f64 / counters.records as f64,
                counters.matched as f64 / counters.records as f64
            );
        }
    }
}
