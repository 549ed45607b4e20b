//! The verbs that read: what `replay --state` kept comes back, filtered, explained and safe.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// The line that no other is like, and in it what must not reach a terminal.
const RARE: &str = "segfault at \u{1b}[2J 7ffd ip 4006 sp 7ffe error 4 in helper from 203.0.113.99";
/// How many ordinary lines there are.
const LINES: usize = 12_000;

/// A state folder with a log in it, made once for all tests.
struct Kept {
    dir: PathBuf,
    events: Vec<Value>,
    alerts: Vec<Value>,
}

fn second(at: usize) -> String {
    format!("{:02}:{:02}:{:02}", 6 + at / 3_600, at / 60 % 60, at % 60)
}

fn log() -> String {
    let mut log = String::new();
    for at in 0..LINES {
        let (time, user, peer) = (second(at), at % 7, at % 23);
        let (app, text) = match at % 3 {
            0 => (
                "sshd[812]",
                format!("Accepted publickey for user{user} from 10.0.0.{peer} port 22"),
            ),
            1 => ("cron[90]", format!("(user{user}) CMD (run-parts /etc/cron.hourly)")),
            _ => ("web[7]", format!("request {at} from 10.0.0.{peer} took {} ms", at % 97)),
        };
        log.push_str(&format!("2026-11-20T{time}Z web-0{} {app}: {text}\n", at % 2));
        if at == LINES - 500 {
            log.push_str(&format!("2026-11-20T{time}Z web-01 helperd[44]: {RARE}\n"));
        }
    }
    log
}

fn run_in(dir: &PathBuf, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_seerflow-dataflow"))
        .args(arguments)
        .current_dir(dir)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn objects(text: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn kept() -> &'static Kept {
    static KEPT: OnceLock<Kept> = OnceLock::new();
    KEPT.get_or_init(|| {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("query");
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("day.log"), log()).unwrap();
        let mut arguments = vec!["replay", "day.log", "--quiet"];
        arguments.extend(["--state", "kept", "--events", "events", "--alerts", "alerts"]);
        // So little a log closes few groups; small ones, and an ample budget, make do with it.
        for set in [
            "detection.group_window_s=60",
            "detection.min_groups=20",
            "detection.floor_p=0.01",
            "detection.budget_per_million=1000",
        ] {
            arguments.extend(["--set", set]);
        }
        let output = run_in(&dir, &arguments);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let events = objects(&fs::read(dir.join("events")).unwrap());
        let alerts = objects(&fs::read(dir.join("alerts")).unwrap());
        assert_eq!(events.len(), LINES + 1);
        assert!(!alerts.is_empty(), "the rare line raises an alert");
        Kept { dir, events, alerts }
    })
}

/// Runs a verb on the kept state.
fn ask(arguments: &[&str]) -> Output {
    let kept = kept();
    run_in(&kept.dir, &[arguments, &["--state", "kept"]].concat())
}

fn json(arguments: &[&str]) -> Vec<Value> {
    let output = ask(&[arguments, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    objects(&output.stdout)
}

fn human(arguments: &[&str]) -> String {
    let output = ask(arguments);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains(|c: char| c != '\n' && c.is_control()), "{text:?}");
    text
}

fn rare_event() -> &'static Value {
    let events = &kept().events;
    events.iter().find(|event| event["message"] == RARE).unwrap()
}

fn rare_alert() -> &'static Value {
    let alerts = &kept().alerts;
    let of = |alert: &&Value| alert["message"] == RARE;
    alerts.iter().find(of).expect("an alert rests on the rare line")
}

fn seqs(objects: &[Value]) -> Vec<u64> {
    objects.iter().map(|object| object["seq"].as_u64().unwrap()).collect()
}

#[test]
fn all_events_come_back_as_replay_told_them_the_newest_first() {
    let mut found = json(&["query", "events", "--limit", "0"]);
    let newest = json(&["query", "events"]);
    assert_eq!(newest, found[..50]);
    let key = |event: &Value| (event["event_time"].to_string(), event["seq"].as_u64().unwrap());
    assert!(found.is_sorted_by(|a, b| key(a) > key(b)));
    found.sort_by_key(|event| event["seq"].as_u64());
    assert_eq!(found, kept().events);
}

#[test]
fn each_filter_of_events_takes_what_it_says_and_no_more() {
    let all = &kept().events;
    let expect = |arguments: &[&str], wanted: &dyn Fn(&Value) -> bool| {
        let arguments = [&["query", "events", "--limit", "0"], arguments].concat();
        let mut found = seqs(&json(&arguments));
        found.sort_unstable();
        let expected: Vec<Value> = all.iter().filter(|event| wanted(event)).cloned().collect();
        assert_eq!(found, seqs(&expected), "{arguments:?}");
        assert!(!found.is_empty() && found.len() < all.len(), "{arguments:?}");
    };
    let names = |event: &Value, kind: &str, value: &str| {
        let entities = event["entities"].as_array().unwrap();
        entities.iter().any(|entity| {
            (kind.is_empty() || entity["kind"] == kind)
                && (value.is_empty() || entity["value"] == value)
        })
    };
    let text = |event: &Value, key: &str| event[key].as_str().unwrap().to_owned();
    expect(&["--entity", "10.0.0.3"], &|event| names(event, "ip", "10.0.0.3"));
    expect(&["--entity", "WEB-00.", "--kind", "host"], &|event| names(event, "host", "web-00"));
    expect(&["--kind", "user"], &|event| names(event, "user", ""));
    expect(&["--grep", "SEGFAULT"], &|event| text(event, "message").contains("segfault"));
    expect(&["--template", "accepted publickey"], &|event| {
        text(event, "message").starts_with("Accepted")
    });
    let id = rare_event()["template_id"].as_str().unwrap();
    expect(&["--template", id], &|event| event["template_id"] == id);
    let host = rare_event()["entities"][1]["id"].as_str().unwrap();
    expect(&["--entity", host], &|event| {
        event["entities"].as_array().unwrap().iter().any(|entity| entity["id"] == host)
    });
    let (since, until) = ("2026-11-20T07:00:00Z", "2026-11-20T07:10:00Z");
    expect(&["--since", since, "--until", until], &|event| {
        (since..=until).contains(&text(event, "event_time").as_str())
    });
    let rule = rare_alert()["rule"].as_str().unwrap();
    let rests = |event: &Value| {
        let mut alerts = kept().alerts.iter().filter(|alert| alert["rule"] == rule);
        alerts.any(|alert| alert["events"].as_array().unwrap().contains(&event["seq"]))
    };
    expect(&["--rule", rule], &rests);
    let filters = ["query", "events", "--grep", "segfault", "--entity", "203.0.113.99"];
    let limited = json(&[&filters[..], &["--source", "DAY.LOG", "--limit", "7"]].concat());
    assert_eq!(limited, [rare_event().clone()]);
    for none in [["--severity", "fatal"], ["--source", "syslog"], ["--entity", "198.51.100.1"]] {
        let output = ask(&[&["query", "events"], &none[..]].concat());
        assert_eq!(output.status.code(), Some(0), "{none:?}");
        assert_eq!((output.stdout.len(), &output.stderr[..]), (0, &b"nothing found\n"[..]));
    }
}

#[test]
fn an_event_is_one_safe_line_for_people() {
    let text = human(&["query", "events", "--grep", "segfault"]);
    assert_eq!(text.lines().count(), 1);
    let seq = rare_event()["seq"].to_string();
    for part in
        ["2026-11-20 09:11:40", "web-01 helperd", "segfault at \\x1b[2J", &format!("#{seq}")]
    {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert_eq!(human(&["query", "events", "--limit", "3"]).lines().count(), 3);
}

#[test]
fn alerts_are_those_of_replay_and_filters_choose_among_them() {
    let by_id = |mut alerts: Vec<Value>| {
        alerts.sort_by_key(|alert| alert["id"].to_string());
        alerts
    };
    let found = json(&["query", "alerts", "--limit", "0"]);
    assert!(found.is_sorted_by_key(|alert| std::cmp::Reverse(alert["event_time"].to_string())));
    assert_eq!(by_id(found.clone()), by_id(kept().alerts.clone()));
    let alert = rare_alert();
    let of = |key: &str| alert[key].as_str().unwrap();
    let entity = alert["entity"]["id"].as_str().unwrap();
    for filter in [
        ["--rule", of("rule")],
        ["--template", of("template_id")],
        ["--template", "SEGFAULT at"],
        ["--entity", entity],
        ["--kind", alert["entity"]["kind"].as_str().unwrap()],
        ["--grep", "segfault"],
        ["--level", of("severity")],
        ["--source", "day.log"],
        ["--since", of("event_time")],
    ] {
        let found = json(&[&["query", "alerts"], &filter[..]].concat());
        assert!(found.contains(alert), "{filter:?}");
    }
    for filter in [["--rule", "none"], ["--entity", "10.9.9.9"], ["--until", "2026-11-19"]] {
        let output = ask(&[&["query", "alerts"], &filter[..]].concat());
        assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0), "{filter:?}");
    }
    let text = human(&["query", "alerts", "--grep", "segfault"]);
    assert!(text.contains(&of("id")[..8]) && text.contains(of("rule")), "{text}");
    let column = |line: &str| line.find('Z').expect("a time in UTC");
    let lines = human(&["query", "alerts", "--limit", "0"]);
    assert!(lines.lines().all(|line| column(line) == "2026-11-20T06:00:00.000".len()), "{lines}");
}

#[test]
fn entities_are_counted_and_the_most_frequent_come_first() {
    let found = json(&["query", "entities", "--limit", "0"]);
    assert!(found.is_sorted_by_key(|entity| std::cmp::Reverse(entity["count"].as_u64())));
    let hosts = json(&["query", "entities", "--kind", "host"]);
    let names: Vec<&str> = hosts.iter().map(|host| host["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["web-01", "web-00"], "one has the rare line more");
    assert_eq!(hosts[0]["count"], LINES as u64 / 2 + 1);
    assert_eq!(hosts[1]["first_seen"], "2026-11-20T06:00:00Z");
    let one = json(&["query", "entities", "--entity", "203.0.113.99"]);
    assert_eq!(one.len(), 1);
    assert_eq!(one[0]["count"], 1);
    assert_eq!(one[0]["first_seen"], rare_event()["event_time"]);
    let last = json(&["query", "entities", "--sort", "last", "--limit", "4"]);
    assert_eq!(last.len(), 4);
    assert!(last.is_sorted_by_key(|entity| std::cmp::Reverse(entity["last_seen"].to_string())));
    assert!(json(&["query", "entities", "--grep", "203.0.113."]) == one);
    assert!(human(&["query", "entities", "--grep", "203.0.113."]).contains("1 event"));
}

#[test]
fn a_timeline_goes_forward_and_holds_the_alert_behind_its_event() {
    let entity = &rare_alert()["entity"];
    let name = entity["value"].as_str().unwrap();
    let kind = entity["kind"].as_str().unwrap();
    let steps = json(&["query", "timeline", name, "--kind", kind, "--limit", "0"]);
    let time = |step: &Value| step["event_time"].as_str().unwrap().to_owned();
    assert!(steps.is_sorted_by_key(time));
    let place = |wanted: &dyn Fn(&Value) -> bool| steps.iter().position(wanted);
    let (seq, id) = (&rare_event()["seq"], &rare_alert()["id"]);
    let event = place(&|step| step["type"] == "event" && step["seq"] == *seq);
    let alert = place(&|step| step["type"] == "alert" && step["id"] == *id);
    assert!(event.is_some() && event < alert, "{event:?} {alert:?}");
    let newest = json(&["query", "timeline", name, "--kind", kind, "--limit", "9"]);
    assert_eq!(newest, steps[steps.len() - 9..]);
    let alone = json(&["query", "timeline", name, "--level", "low"]);
    assert!(!alone.is_empty() && alone.iter().all(|step| step["type"] == "alert"));
    let text = human(&["query", "timeline", "203.0.113.99"]);
    assert_eq!(text.lines().filter(|line| line.starts_with("  ")).count(), 1, "{text}");
}

#[test]
fn templates_say_how_often_and_when_they_were_seen() {
    let found = json(&["query", "templates"]);
    assert!(found.is_sorted_by_key(|template| std::cmp::Reverse(template["count"].as_u64())));
    let sum: u64 = found.iter().map(|template| template["count"].as_u64().unwrap()).sum();
    assert_eq!(sum, LINES as u64 + 1);
    let id = rare_event()["template_id"].as_str().unwrap();
    let one = json(&["query", "templates", "--template", id]);
    assert_eq!(one.len(), 1);
    assert_eq!(one[0]["text"], rare_event()["template"]);
    assert_eq!(one[0]["first_seen"], rare_event()["event_time"]);
    assert_eq!(one[0]["last_seq"], rare_event()["seq"]);
    assert_eq!(json(&["query", "templates", "--grep", "SEGFAULT"]), one);
    let text = human(&["query", "templates", "--grep", "segfault"]);
    assert!(text.contains("1 event") && text.contains("2026-11-20 09:11:40"), "{text}");
    let output = ask(&["query", "templates", "--template", "segfault"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn explain_says_why_there_is_an_alert_and_shows_its_events() {
    let alert = rare_alert();
    let id = alert["id"].as_str().unwrap();
    let told = json(&["explain", &id[..8]]);
    assert_eq!(told.len(), 1);
    assert_eq!(&told[0]["alert"], alert);
    assert_eq!(told[0]["events_gone"], 0);
    let resting: Vec<Value> = alert["events"].as_array().unwrap().clone();
    let shown: Vec<Value> =
        told[0]["events"].as_array().unwrap().iter().map(|event| event["seq"].clone()).collect();
    assert_eq!(shown, resting);
    assert_eq!(told[0]["events"], Value::from(vec![rare_event().clone()]), "it rests on one line");
    let before: Vec<&Value> =
        told[0]["context"].as_array().unwrap().iter().map(|event| &event["seq"]).collect();
    assert!(!before.is_empty() && before.iter().all(|seq| seq.as_u64() < resting[0].as_u64()));
    assert_eq!(Value::from_iter(before.into_iter().cloned()), alert["context"]);
    let text = human(&["explain", id]);
    let why = alert["contributions"][0]["why"].as_str().unwrap().replace('\u{1b}', "\\x1b");
    for part in [
        id,
        &why,
        "alert from",
        "segfault at \\x1b[2J",
        "web-01",
        "p ",
        "Before that, about host web-01",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let newest = json(&["query", "alerts", "--limit", "1"]);
    assert_eq!(json(&["explain"])[0]["alert"], newest[0]);
}

#[test]
fn an_alert_that_is_not_there_is_one_clear_line_and_exit_code_1() {
    let output = ask(&["explain", "00000000-dead"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: no alert has the id `00000000-dead`\n  hint: `seerflow-dataflow query alerts` \
         lists them\n"
    );
    assert_eq!(ask(&["explain", "00"]).status.code(), Some(2));
    let output = ask(&["explain", "\u{1b}[2J-wrong"]);
    assert!(!output.stderr.contains(&0x1b));
}

#[test]
fn a_line_is_explained_step_by_step_with_history_and_without() {
    let line = "<34>Nov 20 06:00:00 db1 sshd[77]: Accepted publickey for ann from 10.0.0.3 port 9";
    let told = &json(&["explain", "--line", line])[0];
    assert_eq!(told["host"], "db1");
    assert_eq!(told["severity"], "critical");
    assert_eq!(told["message"], "Accepted publickey for ann from 10.0.0.3 port 9");
    let known = json(&["query", "templates", "--grep", "Accepted"]);
    assert_eq!(told["template"]["id"], known[0]["id"]);
    assert_eq!(told["template"]["count"], known[0]["count"]);
    assert!(told["template"]["p"].as_f64().unwrap() > 0.1, "it is not rare: {told}");
    assert_eq!(told["template"]["params"], serde_json::json!(["ann", "10.0.0.3", "9"]));
    let entities = told["entities"].as_array().unwrap();
    let ann = entities.iter().find(|entity| entity["value"] == "ann").unwrap();
    assert_eq!((&ann["kind"], &ann["place"]), (&"user".into(), &"parameter".into()));
    let new = &json(&["explain", "--line", "kernel panic: nothing is like it"])[0];
    assert_eq!(new["template"]["id"], Value::Null);
    assert!(new["template"]["p"].as_f64().unwrap() < 0.01, "{new}");

    let alone = run_in(&std::env::temp_dir(), &["explain", "--line", line]);
    assert_eq!(alone.status.code(), Some(0), "{}", String::from_utf8_lossy(&alone.stderr));
    let text = String::from_utf8(alone.stdout).unwrap();
    for part in ["Record", "Template", "Accepted publickey for ann from <*> port <*>", "Entities"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(human(&["explain", "--line", "user=\"a\u{1b}[2Jb\" b=2"]).contains("\\x1b[2J"));
}

#[test]
fn lines_to_explain_come_from_a_pipe_too() {
    use std::io::Write;
    let mut child = Command::new(env!("CARGO_BIN_EXE_seerflow-dataflow"))
        .args(["explain", "--line", "-", "--json", "--set", "receivers.max_line_bytes=1024"])
        .current_dir(std::env::temp_dir())
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let long = [b"x".repeat(5_000), b"\n".to_vec()].concat();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&[&b"{\"user\":\"ann\",\"n\":1}\n"[..], &long, b"caf\xe9"].concat()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let told = objects(&output.stdout);
    assert_eq!(told.len(), 3);
    assert_eq!(told[0]["fields"][1], serde_json::json!({ "name": "n", "value": 1 }));
    assert_eq!(told[1]["message"].as_str().unwrap().len(), 1_024);
    assert!(told[1]["flags"].as_array().unwrap().contains(&"truncated".into()));
    assert!(told[2]["flags"].as_array().unwrap().contains(&"not_utf8".into()));
}

#[test]
fn state_info_counts_what_is_there() {
    let info = &json(&["state", "info"])[0];
    assert_eq!(info["in_use"], false);
    assert_eq!(info["checkpoint"]["events"], LINES as u64 + 1);
    assert_eq!(info["checkpoint"]["events_since"], 0);
    assert_eq!(info["journal"]["next_seq"], LINES as u64 + 1);
    assert_eq!(info["alerts"], kept().alerts.len() as u64);
    assert_eq!(info["templates"], json(&["query", "templates", "--limit", "0"]).len() as u64);
    assert_eq!(info["entities"], json(&["query", "entities", "--limit", "0"]).len() as u64);
    let text = human(&["state", "info"]);
    for part in ["in use       no", "12 001 records", "0 to 12 000", "checkpoint"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn a_time_is_taken_as_it_is_printed_and_nothing_lies_between_swapped_ones() {
    let all = json(&["query", "events", "--limit", "0"]);
    let printed = human(&["query", "events", "--limit", "1"]);
    let time = &printed[..19];
    assert_eq!(time.as_bytes()[10], b' ', "{printed}");
    let zoned = format!("{}Z", time.replace(' ', "T"));
    let until = |time: &str| json(&["query", "events", "--limit", "0", "--until", time]).len();
    assert_eq!(until(time), until(&zoned));
    assert!((1..=all.len()).contains(&until(time)));
    let swapped = ["query", "events", "--since", "2026-01-02", "--until", "2026-01-01"];
    let output = ask(&swapped);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("is after `--until`"), "{said}");
}

#[test]
fn without_state_or_with_another_version_there_is_one_clear_line() {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("query-other");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(dir.join("other")).unwrap();
    fs::write(dir.join("other").join("VERSION"), "99\n").unwrap();
    for verb in [
        &["query", "events"][..],
        &["query", "alerts"],
        &["query", "entities"],
        &["query", "templates"],
        &["query", "timeline", "root"],
        &["explain", "2f1c"],
        &["explain", "--line", "x"],
        &["state", "info"],
    ] {
        for (folder, code, error) in [
            ("none", 66, "error: no state in `none`\n  hint: "),
            (
                "other",
                69,
                "error: state folder `other` has version 99, this program reads version 1\n",
            ),
        ] {
            let output = run_in(&dir, &[verb, &["--state", folder]].concat());
            assert_eq!((output.status.code(), output.stdout.len()), (Some(code), 0), "{verb:?}");
            let text = String::from_utf8(output.stderr).unwrap();
            assert!(text.starts_with(error), "{verb:?}: {text}");
        }
    }
    assert!(!dir.join("none").exists(), "reading leaves nothing behind");
}

#[test]
fn a_reader_that_goes_away_early_is_no_failure() {
    let kept = kept();
    let mut child = Command::new(env!("CARGO_BIN_EXE_seerflow-dataflow"))
        .args(["query", "events", "--limit", "0", "--state", "kept"])
        .current_dir(&kept.dir)
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b""[..]));
}

#[test]
fn what_a_running_engine_has_just_taken_in_is_found_and_the_folder_is_in_use() {
    use std::io::Write;
    use std::time::{Duration, Instant};

    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("query-live");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_seerflow-dataflow"))
        .args(["run", "--state", "live", "--set", "receivers.stdin_enabled=true"])
        .args(["--set", "receivers.syslog_enabled=false"])
        .args(["--set", "state.checkpoint_interval_s=3600"])
        .current_dir(&dir)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    for at in 0..30 {
        writeln!(input, "2026-11-20T06:00:{at:02}Z web-01 sshd[1]: Failed password for ann")
            .unwrap();
    }
    let started = Instant::now();
    let mut found = Vec::new();
    while found.len() < 30 && started.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(100));
        let output = run_in(&dir, &["query", "events", "--state", "live", "--json"]);
        if output.status.code() == Some(0) {
            found = objects(&output.stdout);
        }
    }
    let info = run_in(&dir, &["state", "info", "--state", "live", "--json"]);
    let id = child.id();
    child.kill().unwrap();
    child.wait().unwrap();
    drop(input);
    assert_eq!(seqs(&found), (0..30).rev().collect::<Vec<_>>());
    assert_eq!(found[0]["score"], Value::Null);
    assert_eq!(found[29]["message"], "Failed password for ann");
    let info = &objects(&info.stdout)[0];
    assert_eq!((&info["in_use"], &info["process"]), (&true.into(), &id.into()));
    assert_eq!(info["checkpoint"], Value::Null);
    let after = run_in(&dir, &["state", "info", "--state", "live"]);
    assert!(String::from_utf8(after.stdout).unwrap().contains("in use       no"));
}
