//! What it costs from a parsed event to the rules that match. Run with `cargo test --release -p
//! operators sigma::tests::bench_fields -- --ignored --nocapture`.

use std::sync::Arc;

use super::super::fields::tests::{active, batch};
use super::super::*;
use super::*;
use crate::types::Batch;

/// How long this thread has run, in nanoseconds.
fn now() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    told.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0.0)
}

fn fastest(mut work: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..9 {
        let start = now();
        work();
        best = best.min(now() - start);
    }
    best
}

fn measure(name: &str, active: &Arc<Active>, source: &str, records: &[String]) {
    let mut batches: Vec<Batch> =
        records.chunks(256).map(|records| batch("file", source, records)).collect();
    let count = records.len() as f64;
    let mut sigma = Sigma::new(active);
    let all = fastest(|| batches.iter_mut().for_each(|batch| sigma.detect(batch)));
    let mut fields = Fields::new(&active.rules, &[]);
    let mut spare = Record::default();
    let alone = fastest(|| {
        for batch in &batches {
            fields.begin(batch);
            for event in &batch.events {
                let record = fields.record(batch, event, std::mem::take(&mut spare));
                std::hint::black_box(&record);
                spare = record.recycled();
            }
        }
    });
    let hits: usize = batches.iter().map(|batch| batch.hits.len()).sum();
    println!(
        "{name}: {} rules: fields {:.0} ns, fields and match {:.0} ns an event, {hits} hits",
        active.rules.len(),
        alone / count,
        all / count
    );
}

fn windows() -> Option<Vec<String>> {
    let text = std::fs::read_to_string(shared::shared("regression.jsonl")?).expect("readable");
    let mut records = Vec::new();
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let raw = line["raw"].as_str().expect("raw text");
        let each = serde_json::Deserializer::from_str(raw).into_iter::<serde_json::Value>();
        records.extend(each.map(|record| record.expect("JSON").to_string()));
    }
    Some(records.iter().cycle().take(20_000).cloned().collect())
}

fn syslog() -> Vec<String> {
    let line = |i: usize| {
        let body = match i % 4 {
            0 => format!(
                "sshd[{}]: Accepted publickey for u{} from 10.0.{}.{} port {i} ssh2",
                i % 999,
                i % 40,
                i % 9,
                i % 251
            ),
            1 => format!("systemd[1]: Started Session {i} of user u{}.", i % 40),
            2 => format!("CRON[{}]: (root) CMD (run-parts /etc/cron.hourly)", i % 9_999),
            _ => format!("kernel: [{i}.123456] usb 1-1: new high-speed USB device {}", i % 99),
        };
        format!("<38>Nov 22 13:38:{:02} web{} {body}", i % 60, i % 7)
    };
    (0..50_000).map(line).collect()
}

fn access() -> Vec<String> {
    let line = |i: usize| {
        format!(
            "10.0.{}.{} - - [22/Nov/2026:13:38:00 +0000] \"GET /shop/item/{i}.html?ref={} \
             HTTP/1.1\" 200 {i} \"https://example.org/\" \"Mozilla/5.0 (X11) Firefox/130.0\"",
            i % 9,
            i % 251,
            i % 77
        )
    };
    (0..20_000).map(line).collect()
}

#[test]
#[ignore = "a measurement"]
fn bench_fields_and_match() {
    let Some((corpus, _)) = shared::corpus() else { return };
    let Some(windows) = windows() else { return };
    let none = vec![("none.yml".to_owned(), NONE.into())];
    let eighty: Vec<_> = corpus.iter().step_by(corpus.len() / 80).cloned().collect();
    for rules in [&none, &eighty, &corpus] {
        let active = active(rules, Vec::new());
        measure("syslog", &active, "/var/log/messages", &syslog());
        measure("access", &active, "/var/log/x/access.log", &access());
        measure("windows", &active, "/x.json", &windows);
    }
}

/// A rule for no record.
const NONE: &str = "title: t\nlogsource: {product: none}\ndetection: {a: {b: c}, condition: a}\n";
