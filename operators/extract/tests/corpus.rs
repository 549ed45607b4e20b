//! Labelled lines, and lines of real systems. The data is not part of the project.

use std::collections::BTreeMap;

use super::*;

#[test]
fn the_labelled_lines_give_what_their_labels_say() {
    let Some(folder) = shared() else { return };
    let path = folder.join("detection/entities/entity_cases.json");
    let cases: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut count = 0;
    for case in cases["cases"].as_array().unwrap() {
        let line = case["line"].as_str().unwrap();
        let why = case["why"].as_str().unwrap();
        count += 1;
        let mut got = mentions(line);
        if why.contains("accept either") || why.contains("accept '::'") {
            got.retain(|entry| !entry.starts_with("ip "));
        }
        let mut wanted = Vec::new();
        for (kind, names) in case["expect"].as_object().unwrap() {
            if Kind::ALL.iter().any(|known| known.name() == kind) {
                let names = names.as_array().unwrap().iter();
                wanted.extend(names.map(|name| format!("{kind} {}", name.as_str().unwrap())));
            }
        }
        got.sort();
        wanted.sort();
        assert_eq!(got, wanted, "{line}");
    }
    assert_eq!(count, 69);
}

/// The lines of one of the Loghub samples.
fn lines(name: &str) -> Option<Vec<String>> {
    let path = shared()?.join("loghub").join(format!("{name}_2k.log"));
    let bytes = std::fs::read(path).unwrap();
    Some(String::from_utf8_lossy(&bytes).lines().map(String::from).collect())
}

const SETS: [&str; 8] =
    ["OpenSSH", "Linux", "Apache", "Proxifier", "Windows", "Hadoop", "HDFS", "BGL"];

#[test]
fn real_lines_give_no_suspicious_entity() {
    if shared().is_none() {
        return;
    }
    let mut suspicious = BTreeMap::new();
    let mut kinds = BTreeMap::new();
    for set in SETS {
        for line in lines(set).unwrap() {
            for entry in mentions(&line) {
                let (kind, name) = entry.split_once(' ').unwrap();
                *kinds.entry((set, kind.to_string())).or_insert(0) += 1;
                let last = name.rsplit('.').next().unwrap();
                let odd = match kind {
                    "ip" => name.contains(':') || !line.contains(name),
                    "domain" => {
                        let (_, rest) = name.split_once('.').unwrap();
                        rest.bytes().any(|byte| byte.is_ascii_uppercase())
                            || matches!(last, "exe" | "conf" | "log" | "java" | "properties")
                    }
                    "host" => !name.contains(|letter: char| ".-0123456789".contains(letter)),
                    "user" => {
                        const WORDS: [&str; 7] =
                            ["unknown", "request", "from", "root(uid=0)", "is", "by", "at"];
                        let typed =
                            line.to_lowercase().contains("invalid user user") || name != "user";
                        WORDS.contains(&name) || name.contains(' ') || !typed
                    }
                    "file" => !name.contains(|letter: char| letter.is_ascii_alphabetic()),
                    _ => name.contains(' '),
                };
                if odd {
                    suspicious.insert(entry.clone(), line.clone());
                }
            }
        }
    }
    println!("{kinds:?}");
    assert_eq!(suspicious, BTreeMap::new());
}

#[test]
fn every_login_of_the_openssh_sample_gives_its_user_and_its_address() {
    let Some(lines) = lines("OpenSSH") else { return };
    let mut count = 0;
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        let after = |first: &str, skip: usize| {
            words
                .iter()
                .position(|word| *word == first)
                .and_then(|at| words.get(at + skip))
                .copied()
        };
        let user = if line.contains("Invalid user ") {
            after("Invalid", 2)
        } else if line.contains("Failed ") || line.contains("Accepted ") {
            match after("for", 1) {
                Some("invalid") => after("for", 3),
                user => user,
            }
        } else {
            continue;
        };
        let user = format!("user {}", user.unwrap());
        if !line.contains(" from ") || user == "user from" {
            continue;
        }
        count += 1;
        let got = mentions(&line);
        assert!(got.contains(&user), "{line} {got:?}");
        assert!(got.contains(&format!("ip {}", after("from", 1).unwrap())), "{line} {got:?}");
    }
    assert!(count > 600, "{count}");
}

/// The lines of all samples, about 130 bytes each.
fn corpus() -> Option<Vec<String>> {
    shared()?;
    Some(SETS.iter().flat_map(|set| lines(set).unwrap()).collect())
}

/// The least nanoseconds per item that `work` took. Each chunk is measured alone and often, so that
/// other programs on the machine disturb some measurements and not the least of them.
#[expect(clippy::disallowed_methods, reason = "a bench looks at the clock")]
fn least<T>(items: &mut [T], mut work: impl FnMut(&mut [T])) -> f64 {
    let count = items.len();
    let mut total = 0.0;
    for chunk in items.chunks_mut(100) {
        let mut best = f64::MAX;
        for _ in 0..40 {
            let start = std::time::Instant::now();
            work(std::hint::black_box(&mut *chunk));
            best = best.min(start.elapsed().as_nanos() as f64);
        }
        total += best;
    }
    total / count as f64
}

#[test]
#[ignore = "measures"]
fn bench_scan() {
    let Some(mut lines) = corpus() else { return };
    let mut found = Found::default();
    let mut measure = |name: &str, lines: &mut [String]| {
        let bytes = lines.iter().map(String::len).sum::<usize>() / lines.len();
        let nanos = least(lines, |lines| lines.iter().for_each(|line| scan(line, &mut found)));
        println!("scan {name}: {nanos:.0} ns/line of {bytes} bytes");
    };
    for set in SETS {
        measure(set, &mut self::lines(set).unwrap());
    }
    measure("all", &mut lines);
}

/// A batch of the corpus, 100 lines each, with the headers of syslog lines parsed.
fn batches(lines: &[String]) -> Vec<Batch> {
    let template = Case::plain("").batch().events[0];
    let batch = |lines: &[String]| {
        let mut text = String::new();
        let mut events = Vec::new();
        for line in lines {
            let start = text.len();
            text.push_str(line);
            let mut event = template;
            event.message = Text::in_block(start, line.len());
            let header = line.split_once("]: ").filter(|(header, _)| header.len() < 60);
            if let Some((app, pid)) = header.and_then(|(header, _)| header.rsplit_once('[')) {
                let name = app.rfind(' ').map_or(0, |at| at + 1);
                let host = app[..name].trim_end().rfind(' ').map_or(0, |at| at + 1);
                event.host = Text::in_block(start + host, name.saturating_sub(host + 1));
                event.app = Text::in_block(start + name, app.len() - name);
                event.procid = Text::in_block(start + app.len() + 1, pid.len());
                let head = app.len() + pid.len() + 4;
                event.message = Text::in_block(start + head, line.len() - head);
            }
            events.push(event);
        }
        let sources = Arc::new(Vec::new());
        let block =
            Block { epoch: 0, first_seq: 0, text, records: Vec::new(), sources, ended: Vec::new() };
        let mut batch = Batch::new(Arc::new(block));
        batch.events = events;
        batch
    };
    lines.chunks(100).map(batch).collect()
}

#[test]
#[ignore = "measures"]
fn bench_extract() {
    let Some(lines) = corpus() else { return };
    let mut batches = batches(&lines);
    let mut scanned = Found::default();
    let alone: f64 = least(&mut batches, |batches| {
        for batch in batches {
            for event in &batch.events {
                scan(batch.text(event.message), &mut scanned);
            }
        }
    });
    println!("scan of the messages: {:.0} ns/event", alone / 100.0);
    for slots in [ID_CACHE_SLOTS, 0] {
        let mut extractor = Extractor::new(Options { id_cache_slots: slots, ..OPTIONS });
        let nanos = batches
            .iter_mut()
            .map(|batch| {
                least(std::slice::from_mut(batch), |batch| {
                    batch[0].scratch.clear();
                    extractor.extract(&mut batch[0]);
                })
            })
            .sum::<f64>();
        let entities: usize = batches.iter().map(|batch| batch.entities.len()).sum();
        let (nanos, mean) = (nanos / lines.len() as f64, entities as f64 / lines.len() as f64);
        println!("extract with {slots} slots: {nanos:.0} ns/event, {mean:.1} entities each");
    }
}
