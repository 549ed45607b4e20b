//! Sigma through the front door: records as they come in, rules that fire, alerts that say why.
//!
//! The corpus and its samples are not part of the project; without them their tests say so and
//! pass. What comes with the program is tested in any case.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::harness::{
    Live, folder, journaled, program, shared, stored_events, try_journaled, until,
};

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What `replay` says of some files: events, alerts, and what it wrote to standard error.
fn replay(dir: &Path, paths: &[PathBuf], settings: &[&str]) -> (Vec<Value>, Vec<Value>, String) {
    let (events, alerts) = (dir.join("events.ndjson"), dir.join("alerts.ndjson"));
    let mut command = program();
    command.current_dir(dir).arg("replay").args(paths);
    command.arg("--events").arg(&events).arg("--alerts").arg(&alerts);
    for setting in settings {
        command.args(["--set", setting]);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    (lines(&events), lines(&alerts), said)
}

/// The ids of the rules that an event line names.
fn rules_of(event: &Value) -> BTreeSet<String> {
    let rules = event["sigma"].as_array().unwrap().iter();
    rules.map(|rule| rule["id"].as_str().unwrap().to_owned()).collect()
}

/// A sample of the corpus: the rule it is for, and its text.
struct Sample {
    rule: String,
    raw: String,
}

fn samples() -> Option<Vec<Sample>> {
    let samples = lines(&shared("regression.jsonl")?);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Some(
        samples
            .iter()
            .map(|sample| Sample { rule: text(&sample["rule_id"]), raw: text(&sample["raw"]) })
            .collect(),
    )
}

/// The rules that match each record by an independent evaluator, by sample and record.
fn hits() -> Option<BTreeMap<(String, u64), BTreeSet<String>>> {
    let each = lines(&shared("hits.jsonl")?);
    let hits = each.iter().map(|line| {
        let matches = line["matches"].as_array().unwrap().iter();
        let matches = matches.map(|rule| rule.as_str().unwrap().to_owned()).collect();
        let sample = line["sample"].as_str().unwrap().to_owned();
        ((sample, line["event"].as_u64().unwrap()), matches)
    });
    Some(hits.collect())
}

/// The records of a sample, each on one line.
fn records(sample: &Sample) -> Vec<String> {
    let each = serde_json::Deserializer::from_str(&sample.raw).into_iter::<Value>();
    each.map(|record| record.unwrap().to_string()).collect()
}

#[test]
fn every_sample_of_the_corpus_fires_its_rule_and_no_other_than_it_should() {
    let (Some(corpus), Some(samples), Some(wanted)) = (shared("rules.tar.xz"), samples(), hits())
    else {
        return;
    };
    let dir = folder();
    let mut paths = Vec::new();
    for sample in &samples {
        let path = dir.path().join(format!("{}.json", sample.rule));
        fs::write(&path, &sample.raw).unwrap();
        paths.push(path);
    }
    let corpus = format!("rules.dirs=[{}]", corpus.display());
    let settings = [corpus.as_str(), "rules.builtin=false", "workers=2"];
    let (events, alerts, _) = replay(dir.path(), &paths, &settings);

    let mut found: BTreeMap<(String, u64), BTreeSet<String>> = BTreeMap::new();
    let mut next: BTreeMap<String, u64> = BTreeMap::new();
    for event in &events {
        let source = event["source"].as_str().unwrap();
        let sample = Path::new(source).file_stem().unwrap().to_str().unwrap().to_owned();
        let number = next.entry(sample.clone()).or_default();
        found.insert((sample, *number), rules_of(event));
        *number += 1;
    }
    let fired = |sample: &&Sample| {
        let records = found.iter().filter(|((of, _), _)| *of == sample.rule);
        records.into_iter().any(|(_, rules)| rules.contains(&sample.rule))
    };
    let silent: Vec<&str> =
        samples.iter().filter(|one| !fired(one)).map(|one| one.rule.as_str()).collect();
    assert!(silent.is_empty(), "{} samples, these fire nothing: {silent:?}", samples.len());
    assert_eq!(samples.len(), 98);
    let mut differ = Vec::new();
    for (record, rules) in &wanted {
        let ours = found.get(record).cloned().unwrap_or_default();
        if ours != *rules {
            let missing: Vec<_> = rules.difference(&ours).collect();
            let more: Vec<_> = ours.difference(rules).collect();
            differ.push(format!("{record:?}: missing {missing:?}, more {more:?}"));
        }
    }
    assert!(differ.is_empty(), "{} of {}: {differ:#?}", differ.len(), wanted.len());
    assert_eq!(found.len(), wanted.len());

    let mut of_rules = alerts.iter().filter(|alert| alert["kind"] == "sigma").peekable();
    assert!(of_rules.peek().is_some());
    for alert in of_rules {
        assert!(!alert["title"].as_str().unwrap().is_empty(), "{alert}");
        assert!(!alert["entity"]["value"].as_str().unwrap().is_empty(), "{alert}");
        let selections = alert["matched"]["selections"].as_array().unwrap();
        assert!(!selections.is_empty() || alert["matched"]["condition"].is_string(), "{alert}");
    }
}

#[test]
fn a_windows_event_in_a_syslog_frame_fires_the_same_rules_live() {
    let (Some(corpus), Some(samples)) = (shared("rules.tar.xz"), samples()) else { return };
    let dir = folder();
    let alerts = dir.path().join("alerts.ndjson");
    let set = [
        format!("rules.dirs=['{}']", corpus.display()),
        "rules.builtin=false".to_owned(),
        format!("alerting.file_path='{}'", alerts.display()),
    ];
    let state = dir.path().join("state");
    let live = Live::start(&state, dir.path(), &set.each_ref().map(String::as_str));

    let short = |sample: &&Sample| records(sample).iter().all(|record| record.len() < 8_000);
    let few: Vec<&Sample> = samples.iter().filter(short).step_by(9).collect();
    assert!(few.len() >= 6, "{}", few.len());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut stream = live.connect();
    for (number, sample) in few.iter().enumerate() {
        for record in records(sample) {
            let frame = format!("<14>1 2025-12-06T21:11:02Z fwd agent - - - {record}");
            match number % 2 {
                0 => drop(socket.send_to(frame.as_bytes(), ("127.0.0.1", live.udp)).unwrap()),
                _ => stream.write_all(format!("{} {frame}", frame.len()).as_bytes()).unwrap(),
            }
        }
    }
    stream.flush().unwrap();
    let fired = || -> BTreeSet<String> {
        let text = fs::read_to_string(&alerts).unwrap_or_default();
        let whole = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let rules = whole.filter(|alert| alert["kind"] == "sigma");
        rules.map(|alert| alert["rule"].as_str().unwrap().to_owned()).collect()
    };
    until("all rules to fire", || few.iter().all(|sample| fired().contains(&sample.rule)));
    live.stop();
}

/// The records of all cases about one event, of the rules that come with the program.
fn records_of_cases() -> Vec<String> {
    let mut records = Vec::new();
    for (_, text) in seerflow_dataflow::rules::BUILTIN_CASES {
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let case: Value = serde_json::from_str(line).unwrap();
            records.extend(case["raw"].as_str().map(str::to_owned));
        }
    }
    records
}

/// A process creation by Sysmon as `evtx_dump`, winlogbeat and NXLog write it.
fn windows_events() -> [String; 3] {
    let (image, command) = (r"C:\Windows\System32\whoami.exe", "whoami /priv");
    let channel = "Microsoft-Windows-Sysmon/Operational";
    let data = json!({"Image": image, "CommandLine": command, "User": "CORP\\ann", "ProcessId": 7});
    let dumped = json!({"Event": {
        "System": {
            "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon"}},
            "EventID": 1, "Channel": channel, "Computer": "ws1",
            "TimeCreated": {"#attributes": {"SystemTime": "2026-11-22T13:38:00.5Z"}},
        },
        "EventData": data,
    }});
    let beat = json!({
        "@timestamp": "2026-11-22T13:38:00.5Z",
        "winlog": {
            "channel": channel, "event_id": "1", "computer_name": "ws1",
            "provider_name": "Microsoft-Windows-Sysmon", "event_data": data,
        },
    });
    let nxlog = json!({
        "EventTime": "2026-11-22 13:38:00", "Hostname": "ws1", "EventID": 1, "Channel": channel,
        "SourceName": "Microsoft-Windows-Sysmon", "Image": image, "CommandLine": command,
        "User": "CORP\\ann", "ProcessId": 7,
    });
    [dumped, beat, nxlog].map(|event| event.to_string())
}

#[test]
fn events_in_json_on_standard_input_and_in_a_followed_file_match_as_in_a_replay() {
    let dir = folder();
    let rule = "title: Who Am I\nid: 3c6e62a2-2f39-4a0e-9f5b-7d0b5a3a9f13\nlevel: high\n\
                logsource: {product: windows, category: process_creation}\ndetection:\n  s:\n    \
                Image|endswith: '\\whoami.exe'\n  condition: s\n";
    fs::create_dir(dir.path().join("r")).unwrap();
    fs::write(dir.path().join("r/who.yml"), rule).unwrap();
    let rules = format!("rules.dirs=['{}']", dir.path().join("r").display());
    let own = windows_events();
    let mut records: Vec<String> =
        records_of_cases().into_iter().filter(|record| record.starts_with('{')).collect();
    assert!(records.len() >= 100, "{}", records.len());
    records.extend(own.clone());
    let text = records.join("\n") + "\n";
    let log = dir.path().join("whole.json");
    fs::write(&log, &text).unwrap();
    let (events, _, said) = replay(dir.path(), &[log], &[&rules]);
    assert_eq!(events.len(), records.len(), "{said}");
    let wanted: BTreeMap<&str, BTreeSet<String>> =
        records.iter().map(String::as_str).zip(events.iter().map(rules_of)).collect();
    for event in &own {
        assert!(wanted[event.as_str()].contains("3c6e62a2-2f39-4a0e-9f5b-7d0b5a3a9f13"), "{event}");
    }

    let (state, followed) = (dir.path().join("state"), dir.path().join("followed.json"));
    fs::write(&followed, "").unwrap();
    let path = format!("receivers.file_paths=['{}']", followed.display());
    let alerts = dir.path().join("live.ndjson");
    let file = format!("alerting.file_path='{}'", alerts.display());
    // What is written before the file is first looked at counts too.
    let from = "receivers.file_read_from=start";
    let set = [rules.as_str(), &path, &file, from];
    let (live, mut stdin) = Live::fed(&state, dir.path(), &set);
    let mut file = fs::File::options().append(true).open(&followed).unwrap();
    // In pieces that end within a record.
    for piece in text.as_bytes().chunks(text.len() / 7) {
        stdin.write_all(piece).unwrap();
        file.write_all(piece).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    until("the records to be taken", || try_journaled(&state).len() >= 2 * records.len());
    drop(stdin);
    live.stop();
    let stored = String::from_utf8(stored_events(&state, &[&rules])).unwrap();
    let mut of_source: BTreeMap<String, usize> = BTreeMap::new();
    for (line, record) in stored.lines().zip(journaled(&state)) {
        let event: Value = serde_json::from_str(line).unwrap();
        *of_source.entry(event["source"].as_str().unwrap().to_owned()).or_default() += 1;
        assert_eq!(rules_of(&event), wanted[record.as_str()], "{record}");
    }
    let counts: Vec<usize> = of_source.values().copied().collect();
    assert_eq!(counts, [records.len(); 2], "{of_source:?}");
    let told = lines(&alerts);
    assert!(
        told.iter().any(|alert| alert["title"] == "Who Am I" && alert["entity"]["value"] != "")
    );
}

/// The object that journald has for a line of syslog, if it is one of RFC 3164.
fn of_journald(line: &str, time: &str) -> Option<String> {
    let (priority, rest) = match line.strip_prefix('<') {
        Some(inner) => {
            let (priority, rest) = inner.split_once('>')?;
            (Some(priority.parse::<u8>().ok()?), rest)
        }
        None => (None, line),
    };
    // `Nov 22 13:38:00 host program[pid]: message`
    let rest = rest.starts_with("Nov ").then(|| rest.get("Nov 22 13:38:00 ".len()..))??;
    let (host, rest) = rest.split_once(' ')?;
    let (tag, message) = rest.split_once(": ")?;
    // Of an event that is passed on, both who passes it on and who said it are named.
    if message.starts_with('{') {
        return None;
    }
    let (program, pid) = match tag.split_once('[') {
        Some((program, pid)) => (program, pid.strip_suffix(']')),
        None => (tag, None),
    };
    if program.is_empty() || program.contains([' ', '/', ':', '%']) || host.contains(':') {
        return None;
    }
    // The kernel's own clock is a field of its own there.
    let message = match message.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((clock, rest)) if program == "kernel" && clock.trim().parse::<f64>().is_ok() => rest,
        _ => message,
    };
    let time: jiff::Timestamp = time.parse().unwrap();
    let mut object = json!({
        "__CURSOR": "s=0",
        "__REALTIME_TIMESTAMP": time.as_microsecond().to_string(),
        "_HOSTNAME": host,
        "_TRANSPORT": "syslog",
        "SYSLOG_IDENTIFIER": program,
        "_COMM": program,
        "MESSAGE": message,
    });
    if let Some(priority) = priority {
        object["PRIORITY"] = json!((priority % 8).to_string());
        object["SYSLOG_FACILITY"] = json!((priority / 8).to_string());
    }
    if let Some(pid) = pid {
        object["_PID"] = json!(pid);
    }
    Some(object.to_string())
}

#[test]
fn a_record_in_journald_is_the_event_that_its_line_is() {
    let dir = folder();
    let log = dir.path().join("lines.log");
    let lines = records_of_cases();
    fs::write(&log, lines.join("\n")).unwrap();
    let (events, _, _) = replay(dir.path(), &[log], &[]);
    let times = events.iter().map(|event| event["event_time"].as_str().unwrap());
    let pairs = lines.iter().zip(times);
    let pairs: Vec<(&str, String)> =
        pairs.filter_map(|(line, time)| Some((line.as_str(), of_journald(line, time)?))).collect();
    assert!(pairs.len() >= 80, "{}", pairs.len());
    let said = |name: &str, records: Vec<&str>| {
        let log = dir.path().join(name);
        fs::write(&log, records.join("\n")).unwrap();
        let (mut events, alerts, _) = replay(dir.path(), &[log], &[]);
        for event in &mut events {
            let event = event.as_object_mut().unwrap();
            for key in ["source", "received_at"] {
                event.remove(key).unwrap();
            }
        }
        let mut alerts: Vec<(String, String, u64)> = alerts
            .iter()
            .map(|alert| {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                let count = alert["count"].as_u64().unwrap();
                (text(&alert["title"]), text(&alert["entity"]["value"]), count)
            })
            .collect();
        alerts.sort();
        (events, alerts)
    };
    let (lines, of_lines) = said("a.log", pairs.iter().map(|(line, _)| *line).collect());
    let (objects, of_objects) = said("b.log", pairs.iter().map(|(_, object)| &**object).collect());
    let mut matched = 0;
    for ((line, object), (text, _)) in lines.iter().zip(&objects).zip(&pairs) {
        assert_eq!(object, line, "{text}");
        matched += rules_of(line).len();
    }
    assert_eq!(lines.len(), pairs.len());
    assert!(matched >= 40, "{matched}");
    assert_eq!(of_objects, of_lines);
}

#[test]
fn every_rule_that_comes_with_the_program_passes_its_cases() {
    let dir = folder();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut cases: Vec<(String, bool, String)> = Vec::new();
    for (name, text) in seerflow_dataflow::rules::BUILTIN {
        let id = text.lines().find_map(|line| line.strip_prefix("id: ")).expect("an id");
        let written = lines(&root.join(name.replace(".yml", ".cases.jsonl")));
        // A correlation fires on a sequence of records, which stands for itself: `rules test`
        // runs those.
        let key = if text.contains("\ncorrelation:\n") { "fires" } else { "match" };
        let wanted = |case: &Value| case[key].as_bool().expect("one kind of case in a file");
        let positive = written.iter().filter(|case| wanted(case)).count();
        let least = if key == "match" { 2 } else { 1 };
        let negative = written.len() - positive;
        assert!(positive >= least && negative >= least, "{name}: cases of both kinds");
        for case in written.iter().filter(|_| key == "match") {
            let raw = case["raw"].as_str().unwrap().to_owned();
            assert!(!raw.contains('\n'), "{name}: a case is one line");
            cases.push((id.to_owned(), wanted(case), raw));
        }
    }
    let log = dir.path().join("cases.log");
    let text: Vec<&str> = cases.iter().map(|(_, _, raw)| raw.as_str()).collect();
    fs::write(&log, text.join("\n")).unwrap();
    let (events, alerts, said) = replay(dir.path(), &[log], &[]);
    assert_eq!(events.len(), cases.len(), "{said}");
    for (event, (id, wanted, raw)) in events.iter().zip(&cases) {
        assert_eq!(rules_of(event).contains(id), *wanted, "{id}: {raw}");
    }
    let alerted: BTreeSet<&str> =
        alerts.iter().map(|alert| alert["rule"].as_str().unwrap()).collect();
    for (id, wanted, _) in &cases {
        assert!(!wanted || alerted.contains(id.as_str()), "{id} matches and alerts nobody");
    }

    // What nearly matches one rule is ordinary for all others.
    let near = cases.iter().filter(|(_, wanted, _)| !wanted);
    let near: Vec<&str> = near.map(|(_, _, raw)| raw.as_str()).collect();
    let log = dir.path().join("near.log");
    fs::write(&log, near.join("\n")).unwrap();
    let (_, alerts, _) = replay(dir.path(), &[log], &[]);
    let is_high = |alert: &&Value| {
        alert["kind"] == "sigma" && (alert["severity"] == "high" || alert["severity"] == "critical")
    };
    let high: Vec<&Value> = alerts.iter().filter(is_high).collect();
    assert!(high.is_empty(), "{high:#?}");
}

#[test]
fn alerts_of_a_rule_say_what_matched_and_of_whom() {
    let dir = folder();
    let rule = "title: Shell By Sudo\nid: 1c6e62a2-2f39-4a0e-9f5b-7d0b5a3a9f11\n\
                logsource: {product: linux, service: sudo}\nlevel: critical\n\
                tags: [attack.privilege_escalation, attack.t1548.003]\n\
                detection:\n  shell:\n    COMMAND|endswith: ['/bash', '/zsh']\n  calm:\n    \
                USER: operator\n  condition: shell and not calm\n";
    fs::create_dir(dir.path().join("r")).unwrap();
    fs::write(dir.path().join("r/sudo.yml"), rule).unwrap();
    fs::write(dir.path().join("r/bad.yml"), "title: x\ndetection: 1\n").unwrap();
    let line = |second: u32, user: &str, to: &str| {
        format!(
            "<85>Nov 22 13:{:02}:{:02} web sudo: {user} : TTY=pts/0 ; PWD=/ ; USER={to} ; \
             COMMAND=/bin/bash\n",
            second / 60,
            second % 60
        )
    };
    let log = dir.path().join("auth.log");
    let text = [
        line(0, "ann", "root"),
        line(10, "ann", "root"),
        line(20, "ann", "operator"),
        line(100, "ann", "root"),
    ];
    fs::write(&log, text.concat()).unwrap();
    let settings = [
        "rules.dirs=[r]",
        "rules.builtin=false",
        "alerting.dedup_window_overrides={'shell by sudo': 60}",
    ];
    let (events, alerts, said) = replay(dir.path(), &[log], &settings);
    let bad = said.lines().filter(|line| line.contains("r/bad.yml:")).count();
    assert_eq!(bad, 1, "one line for a bad rule: {said}");
    let matched: Vec<usize> = events.iter().map(|event| rules_of(event).len()).collect();
    assert_eq!(matched, [1, 1, 0, 1]);
    let mut alerts: Vec<&Value> = alerts.iter().filter(|one| one["kind"] == "sigma").collect();
    alerts.sort_by_key(|alert| alert["event_time"].as_str().unwrap().to_owned());
    let counts: Vec<u64> = alerts.iter().map(|alert| alert["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [2, 1], "a minute is one incident, by the rule's title");
    let alert = alerts[0];
    assert_eq!(alert["rule"], "1c6e62a2-2f39-4a0e-9f5b-7d0b5a3a9f11");
    assert_eq!(alert["title"], "Shell By Sudo");
    assert_eq!(alert["severity"], "critical");
    assert_eq!(alert["tactics"], serde_json::json!(["privilege-escalation"]));
    assert_eq!(alert["techniques"], serde_json::json!(["T1548.003"]));
    let selections = &alert["matched"]["selections"];
    assert_eq!(selections.as_array().unwrap().len(), 1, "{selections}");
    assert_eq!(selections[0]["name"], "shell");
    assert_eq!(selections[0]["items"][0]["item"], "COMMAND|endswith");
    assert_eq!(selections[0]["items"][0]["values"], serde_json::json!(["/bin/bash"]));
}
