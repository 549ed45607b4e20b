//! The parser as a whole: the samples, second opinions, bad input.

mod bench;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::*;
use crate::types::{Source, Value};

/// When the records of these tests are received.
const RECEIVED: &str = "2026-11-22T14:00:00Z";

pub(super) fn received_at() -> EventTime {
    let utc = Zone::fixed(0);
    let defaults = time::Defaults { received_at: EventTime(0), zone: &utc };
    time::any(RECEIVED, defaults).unwrap()
}

pub(super) fn options() -> Options {
    Options { zone: Zone::fixed(0), future_max: FUTURE_MAX, fields_max: FIELDS_MAX }
}

pub(super) fn block<'r>(receiver: &str, records: impl IntoIterator<Item = &'r str>) -> Arc<Block> {
    let source = Source { receiver: receiver.to_owned(), name: String::new() };
    let mut block = Block {
        epoch: 1,
        first_seq: 10,
        text: String::new(),
        records: Vec::new(),
        sources: Arc::new(vec![source]),
        ended: Vec::new(),
    };
    for record in records {
        let text = Text::in_block(block.text.len(), record.len());
        block.text.push_str(record);
        let flags = Flags::default();
        block.records.push(Record { text, source: 0, received_at: received_at(), flags });
    }
    Arc::new(block)
}

/// The event of one record from a receiver of that kind.
pub(super) fn one_from(receiver: &str, record: &str) -> (Event, Batch) {
    // Something before and after, so that a wrong place shows.
    let batch = Parser::new(options()).parse(block(receiver, ["ä-before", record, "after-ä"]));
    (batch.events[1], batch)
}

/// The event of one record from a file.
pub(super) fn one(record: &str) -> (Event, Batch) {
    one_from("file", record)
}

/// The fields of one record, printed.
pub(super) fn fields(record: &str) -> Vec<(String, String)> {
    let (event, batch) = one(record);
    let shown = |field: &crate::types::Field| {
        let value = match field.value {
            Value::Text(text) => batch.text(text).to_owned(),
            Value::Int(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            Value::Null => "null".to_owned(),
        };
        (batch.text(field.name).to_owned(), value)
    };
    batch.fields(&event).iter().map(shown).collect()
}

/// What a record's header says: `time host app procid msgid`, with `?` for no time; its message.
pub(super) fn says(record: &str) -> (String, String) {
    let (event, batch) = one(record);
    let text = |text| batch.text(text).to_owned();
    let time = match event.flags.has(Flags::TIME_OF_RECEIPT) {
        true => "?".to_owned(),
        false => event.time.to_string(),
    };
    let parts = [event.host, event.app, event.procid, event.msgid].map(text);
    (format!("{time} {}", parts.join(" ")), text(event.message))
}

#[test]
fn an_event_keeps_the_place_and_the_name_of_its_record() {
    let block = block("file", ["one", "two"]);
    let batch = Parser::new(options()).parse(block.clone());
    let seqs: Vec<_> = batch.events.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, [10, 11]);
    for (event, record) in batch.events.iter().zip(&block.records) {
        assert_eq!((event.raw, event.received_at), (record.text, record.received_at));
        assert_eq!(event.entities, (0, 0));
    }
}

#[test]
fn a_time_too_far_ahead_is_the_time_of_receipt() {
    let cases = [
        ("2026-11-22T14:05:00Z x", false),
        ("2026-11-22T14:05:01Z x", true),
        ("2099-01-01T00:00:00Z x", true),
        ("9999-12-31T23:59:59Z x", true),
        (r#"{"time":9223372036854775807}"#, true),
        (r#"{"time":1e18}"#, false),
        ("0000-01-01T00:00:00Z x", false),
    ];
    for (record, clamped) in cases {
        let (event, _) = one(record);
        assert_eq!(event.flags.has(Flags::TIME_CLAMPED), clamped, "{record}");
        assert_eq!(event.time == received_at(), clamped, "{record}");
    }
    let (event, _) = one("no time at all");
    assert!(event.flags.has(Flags::TIME_OF_RECEIPT));
    assert_eq!(event.time, received_at());
}

#[test]
fn a_record_of_white_space_is_empty() {
    for record in ["", " ", "\n", " \t\r\n", "\u{feff}"] {
        let (event, batch) = one_from("syslog", record);
        assert!(event.flags.has(Flags::EMPTY), "{record:?}");
        assert_eq!(batch.text(event.message), "");
    }
    assert!(!one("<13>1 - - - - - -").0.flags.has(Flags::EMPTY));
}

#[test]
fn what_the_receiver_noted_stays_noted() {
    let mut block = (*block("file", ["x"])).clone();
    block.records[0].flags = Flags::TRUNCATED;
    let batch = Parser::new(options()).parse(Arc::new(block));
    assert!(batch.events[0].flags.has(Flags::TRUNCATED));
}

/// A folder of the data that is shared between checkouts and not part of the project.
fn shared(folder: &str) -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "a test finds its data by it")]
    let named = std::env::var("SEERFLOW_SHARED").map(PathBuf::from);
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let folder = named.unwrap_or(beside).join(folder);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no {}", folder.display());
    None
}

/// The values of a column of a CSV file (RFC 4180).
fn column(csv: &str, name: &str) -> Vec<String> {
    let mut rows: Vec<Vec<String>> = vec![vec![String::new()]];
    let mut quoted = false;
    let mut chars = csv.chars().peekable();
    while let Some(c) = chars.next() {
        let row = rows.last_mut().unwrap();
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                row.last_mut().unwrap().push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(String::new()),
            '\n' if !quoted => rows.push(vec![String::new()]),
            '\r' if !quoted => {}
            c => row.last_mut().unwrap().push(c),
        }
    }
    let index = rows[0].iter().position(|title| title == name).expect("the column is there");
    rows[1..].iter().filter_map(|row| row.get(index).cloned()).collect()
}

#[test]
fn messages_of_the_samples_are_what_their_labels_say() {
    let Some(folder) = shared("data/loghub") else {
        return;
    };
    let sets = ["Apache", "BGL", "HDFS", "Hadoop", "Linux", "OpenSSH", "Proxifier", "Windows"];
    let mut sum = 0.0;
    for set in sets {
        let read =
            |path: String| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        let path = folder.join(format!("{set}_2k.log")).display().to_string();
        let contents = column(&read(format!("{path}_structured.csv")), "Content");
        let lines = read(path);
        let lines: Vec<_> = lines.lines().filter(|line| !line.trim().is_empty()).collect();
        assert_eq!(lines.len(), contents.len(), "{set}");
        let batch = Parser::new(options()).parse(block("file", lines.iter().copied()));
        let mut same = 0;
        let mut shown = 0;
        for (event, content) in batch.events.iter().zip(&contents) {
            let message = batch.text(event.message);
            if message == content.trim() {
                same += 1;
            } else if shown < 3 {
                shown += 1;
                println!("{set}: {message:?} is not {content:?}");
            }
        }
        let share = f64::from(same) / contents.len() as f64;
        let timed = |event: &&Event| !event.flags.has(Flags::TIME_OF_RECEIPT);
        let timed = batch.events.iter().filter(timed).count();
        println!("{set:10} {share:.4} with a time: {timed}");
        assert_eq!(timed, contents.len(), "{set}");
        sum += share;
    }
    let mean = sum / sets.len() as f64;
    println!("mean       {mean:.4}");
    assert!(mean >= 0.99);
}

#[test]
fn windows_samples_are_windows_events_with_all_their_fields() {
    let Some(folder) = shared("data/sigma") else {
        return;
    };
    for record in windows_records(&folder) {
        let (event, batch) = one(&record);
        assert_eq!(event.format, Format::Windows, "{record}");
        assert!(event.severity.is_some() && !event.flags.has(Flags::TIME_OF_RECEIPT));
        let mut expected = Vec::new();
        flatten(&serde_json::from_str(&record).unwrap(), String::new(), &mut expected);
        let named = |field: &crate::types::Field| batch.text(field.name).to_owned();
        let names: Vec<_> = batch.fields(&event).iter().map(named).collect();
        let wanted: Vec<_> = expected.iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(sorted(names), sorted(wanted));
    }
}

fn sorted<T: Ord>(mut values: Vec<T>) -> Vec<T> {
    values.sort();
    values
}

fn windows_records(folder: &std::path::Path) -> Vec<String> {
    let samples = std::fs::read_to_string(folder.join("regression.jsonl")).unwrap();
    let mut records = Vec::new();
    for sample in samples.lines() {
        let sample: serde_json::Value = serde_json::from_str(sample).unwrap();
        let raw = sample["raw"].as_str().unwrap();
        let mut stream = serde_json::Deserializer::from_str(raw).into_iter::<serde_json::Value>();
        let mut start = 0;
        while let Some(value) = stream.next() {
            value.unwrap();
            records.push(raw[start..stream.byte_offset()].to_owned());
            start = stream.byte_offset();
        }
    }
    records
}

/// What the fields of an object should be. `serde_json` orders members, and keeps the last of
/// two with one name.
fn flatten(value: &serde_json::Value, name: String, to: &mut Vec<(String, String)>) {
    let is_empty = match value {
        serde_json::Value::Object(members) => members.is_empty() && !name.is_empty(),
        serde_json::Value::Array(elements) => elements.is_empty(),
        _ => false,
    };
    match value {
        _ if is_empty => to.push((name, "null".to_owned())),
        serde_json::Value::Object(members) => {
            for (key, value) in members {
                let dot = if name.is_empty() { "" } else { "." };
                flatten(value, format!("{name}{dot}{key}"), to);
            }
        }
        serde_json::Value::Array(elements) => {
            for element in elements {
                flatten(element, name.clone(), to);
            }
        }
        serde_json::Value::String(text) => to.push((name, text.clone())),
        serde_json::Value::Number(number) => to.push((name, number.to_string())),
        serde_json::Value::Bool(truth) => to.push((name, truth.to_string())),
        serde_json::Value::Null => to.push((name, "null".to_owned())),
    }
}

/// A small generator of numbers that are the same in every run (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize) % sides
    }

    fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.roll(of.len())]
    }
}

/// A JSON value that both readers can take, and some that neither can.
fn any_json(dice: &mut Dice, depth: usize, to: &mut String) {
    const SCALARS: [&str; 22] = [
        "0",
        "-1",
        "12.5",
        "1e3",
        "true",
        "false",
        "null",
        "\"\"",
        "\"plain\"",
        "\"a\\\\b\"",
        "\"\\u00e4\\n\\t\\/\"",
        "\"\\ud83d\\ude00\"",
        "123456789012",
        "-0.0",
        "\"ä€😀\"",
        "\"{\"",
        "\"[\\\"]\"",
        "1.",
        "01",
        "tru",
        "\"\\q\"",
        "\"a long string without any escape at all\"",
    ];
    match dice.roll(if depth > 3 { 6 } else { 10 }) {
        0..=5 => {
            let known = if dice.roll(40) == 0 { SCALARS.len() } else { 17 };
            to.push_str(SCALARS[dice.roll(known)]);
        }
        6..=7 => {
            to.push('[');
            for index in 0..dice.roll(4) {
                to.push_str(if index > 0 { ", " } else { "" });
                any_json(dice, depth + 1, to);
            }
            to.push(']');
        }
        _ => any_object(dice, depth, to),
    }
}

fn any_object(dice: &mut Dice, depth: usize, to: &mut String) {
    to.push('{');
    for index in 0..dice.roll(5) {
        to.push_str(if index > 0 { " ,\n" } else { "" });
        // Distinct names: `serde_json` keeps one of several.
        to.push_str(&format!("\"{}{index}\":", dice.pick(&["k", "a.b", "\\u0041", "ä"])));
        any_json(dice, depth + 1, to);
    }
    to.push('}');
}

#[test]
fn objects_are_read_as_by_serde_json() {
    let mut dice = Dice(7);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..20_000 {
        let mut record = String::new();
        any_object(&mut dice, 0, &mut record);
        if dice.roll(10) == 0 {
            record.truncate(record.floor_char_boundary(dice.roll(record.len())));
        }
        let theirs = serde_json::from_str::<serde_json::Value>(&record).ok();
        let (event, _) = one(&record);
        assert_eq!(event.format == Format::Json, theirs.is_some(), "{record}");
        let Some(theirs) = theirs else {
            bad += 1;
            continue;
        };
        good += 1;
        let mut expected = Vec::new();
        flatten(&theirs, String::new(), &mut expected);
        let number = |(name, value): (String, String)| {
            let value = value.parse::<f64>().map_or(value, |number| number.to_string());
            (name, value)
        };
        let expected = expected.into_iter().map(number).collect();
        let ours = fields(&record).into_iter().map(number).collect();
        assert_eq!(sorted(ours), sorted(expected), "{record}");
    }
    assert!(good > 10_000 && bad > 500, "{good} {bad}");
}

/// Lines of every shape that is read, to be mutated.
const SEEDS: [&str; 24] = [
    "<34>1 2026-11-22T13:38:00.003Z web01 su 17 ID47 [a@1 b=\"c\\\"d\"][e f=\"g\"] \
     \u{feff}su failed ä\n",
    "<34>Nov 22 13:38:00 mymachine su[12]: 'su root' failed",
    "Feb 29 13:38:00 web kernel: [   12.345678] audit: type=1400 audit(1364481363.243:7): x=\"1\"",
    "<189>12: r1: .Nov 22 13:38:00 UTC: %LINK-3-UPDOWN: Interface x, down",
    "<166>Nov 22 2026 13:38:00 fw01 : %ASA-6-302013: Built outbound TCP",
    "2026-11-22 13:38:00,978 INFO [main] org.apache.Foo: Created x for y",
    "2026-11-22 13:38:00.008 25746 INFO nova.api [req-38 1 - - -] 10.1.1.1 \"GET\"",
    "081109 203615 148 INFO dfs.DataNode$Responder: 1 for block x",
    "- 1117838570 2005.06.03 R02 2005-06-03-15.42.50.675872 R02 RAS KERNEL INFO parity",
    "[Fri Sep 09 10:42:29.902022 2011] [core:error] [pid 357:tid 4] [client ::1:9] AH1: no",
    "2016-09-28 04:30:30, Info                  CBS    Loaded x",
    "[10.30 16:49:06] chrome.exe *64 - a:80 close, 0 bytes",
    "11-17 16:13:38.811  1702  2395 D WindowManager: printing",
    "20171223-22:15:29:606|Step_LSC|30002312|onStand 3579",
    "I1122 13:38:00.123456   12345 file.go:123] synced",
    "I, [2026-11-22T13:38:00.123456 #1234]  INFO -- : started",
    "1234:M 22 Nov 2026 13:38:00.123 * Ready",
    "a.b:80 1.2.3.4 - bob [10/Oct/2000:13:55:36 -0700] \"GET /x?y=\\\"1 HTTP/1.0\" 200 5 \
     \"-\" \"ä\\x41\"",
    "node=h type=EXECVE msg=audit(1364481363.243:1): a0=\"sh\" a1=6C73 \
     msg='op=x res=ok'\u{1d}UID=\"r\"",
    "CEF:0|A|B\\|b|1|7|Port scan|Low|src=1.2.3.4 msg=a b\\=c rt=1364481363000",
    "{\"Event\":{\"System\":{\"EventID\":{\"#text\":1},\"Channel\":\"C\",\"Computer\":\"h\"},\
     \"EventData\":{\"p\":\"C:\\\\x\"}}}",
    "@cee: {\"time\":1364481363.25,\"level\":30,\
     \"a\":[{\"b\":null},\"\\ud83d\\ude00\"],\"msg\":\"m\"}",
    "time=\"2026-11-22T13:00:00Z\" level=warn msg=\"disk \\\"a\\\" full\" app=store x",
    "Nov 22 13:38:00 h kernel: [1.5] [UFW BLOCK] IN=eth0 OUT= SRC=1.2.3.4 DF PROTO=TCP",
];

fn mutated(dice: &mut Dice) -> String {
    let mut line: Vec<char> = dice.pick(&SEEDS).chars().collect();
    for _ in 0..dice.roll(6) {
        let at = dice.roll(line.len() + 1);
        let strange = ['<', '>', '[', ']', '"', '\\', '{', '}', '=', ' ', ':', '0', '9', '-', 'ä'];
        let stranger =
            ['\0', '\n', '\u{feff}', '😀', '|', '\'', '%', '.', 'T', '\u{1d}', '\u{fffd}'];
        match dice.roll(6) {
            0 => line.truncate(at),
            1 => line.insert(at, strange[dice.roll(strange.len())]),
            2 => line.insert(at, stranger[dice.roll(stranger.len())]),
            3 if at < line.len() => drop(line.remove(at)),
            4 => {
                let other: Vec<char> = dice.pick(&SEEDS).chars().collect();
                let from = dice.roll(other.len());
                line.truncate(at);
                line.extend(&other[from..]);
            }
            _ => {
                let end = (at + dice.roll(8)).min(line.len());
                let again: Vec<char> = line[at.min(end)..end].to_vec();
                line.splice(at..at, again.repeat(1 + dice.roll(3)));
            }
        }
    }
    line.into_iter().collect()
}

/// Every text of a batch lies in bounds and on the boundaries of characters.
fn check(batch: &Batch) {
    assert_eq!(batch.events.len(), batch.block.records.len());
    let mut fields = 0;
    for event in &batch.events {
        for text in [event.host, event.app, event.procid, event.msgid, event.message, event.raw] {
            let _ = batch.text(text);
        }
        assert_eq!(event.fields.0, fields);
        fields = event.fields.1;
        for field in batch.fields(event) {
            assert!(batch.text(field.name).len() <= NAME_BYTES_MAX.max(1));
            if let Value::Text(text) = field.value {
                let _ = batch.text(text);
            }
        }
        let raw = batch.text(event.raw);
        let message = batch.text(event.message);
        assert!(message.len() <= 3 * raw.len() + 64);
        if event.format == Format::Plain && !message.is_empty() {
            let place = |text: &str| text.as_ptr() as usize..text.as_ptr() as usize + text.len();
            let (raw, message) = (place(raw), place(message));
            assert!(raw.start <= message.start && message.end <= raw.end);
        }
        assert!(event.time <= event.received_at + FUTURE_MAX);
    }
    assert_eq!(fields as usize, batch.fields.len());
}

#[test]
fn no_line_makes_it_panic_or_point_outside() {
    let mut dice = Dice(42);
    for round in 0..600 {
        let lines: Vec<_> = (0..100).map(|_| mutated(&mut dice)).collect();
        let receiver = if round % 2 == 0 { "syslog" } else { "file" };
        let mut block = (*block(receiver, lines.iter().map(String::as_str))).clone();
        let times = [EventTime::MIN, EventTime::MAX, EventTime(0), received_at()];
        let received_at = times[dice.roll(times.len())];
        for record in &mut block.records {
            record.received_at = received_at;
        }
        check(&Parser::new(options()).parse(Arc::new(block)));
    }
    for _ in 0..2_000 {
        let bytes: Vec<u8> = (0..dice.roll(200)).map(|_| dice.roll(256) as u8).collect();
        let noise = String::from_utf8_lossy(&bytes);
        let opening =
            dice.pick(&["", "<1>", "<1>1 ", "{\"", "{\"a\":", "type=a msg=audit(1", "a=b "]);
        let line = format!("{opening}{noise}");
        check(&Parser::new(options()).parse(block("syslog", [line.as_str()])));
    }
}

/// What an event says, without where it stands.
fn told(batch: &Batch, event: &Event) -> String {
    let text = |text| batch.text(text);
    let parts = [event.host, event.app, event.procid, event.msgid, event.message].map(text);
    let fields = batch.fields(event).iter().map(|field| {
        let value = match field.value {
            Value::Text(value) => format!("{:?}", text(value)),
            other => format!("{other:?}"),
        };
        (text(field.name), value)
    });
    let fields: Vec<_> = fields.collect();
    let Event { time, severity, facility, format, flags, .. } = event;
    format!("{time} {severity:?} {facility:?} {format:?} {flags:?} {parts:?} {fields:?}")
}

#[test]
fn a_record_says_the_same_alone_and_among_others() {
    let mut dice = Dice(99);
    let parser = Parser::new(Options { fields_max: 12, ..options() });
    for _ in 0..100 {
        let deep = format!("{{\"{}\":{{\"a\":1,\"b\":2}}}}", "n".repeat(dice.roll(600)));
        let wide: Vec<_> = (0..40).map(|n| format!("\"{n}\":[{{\"x\":{n}}}]")).collect();
        let wide = format!("{{\"{}\":{{{}}}}}", "w".repeat(300), wide.join(","));
        let mut lines = vec![deep.clone(), wide.clone()];
        lines.extend((0..50).map(|_| mutated(&mut dice)));
        lines.extend([wide, deep]);
        let batch = parser.parse(block("syslog", lines.iter().map(String::as_str)));
        for (event, line) in batch.events.iter().zip(&lines) {
            let alone = parser.parse(block("syslog", [line.as_str()]));
            assert_eq!(told(&batch, event), told(&alone, &alone.events[0]), "{line}");
        }
    }
}

#[test]
fn joined_names_cost_no_more_than_the_record_allows() {
    let members: Vec<_> = (0..FIELDS_MAX).map(|n| format!("\"{n}\":1")).collect();
    let record = format!("{{\"{}\":{{{}}}}}", "n".repeat(500), members.join(","));
    let (event, batch) = one(&record);
    assert!(event.flags.has(Flags::FIELDS_CUT));
    assert!(batch.scratch.len() <= NAMES_BYTES_MIN + NAMES_BYTES_PER_BYTE * record.len());
    assert!(batch.fields(&event).len() > 50);
}

#[test]
fn long_lines_take_time_in_proportion() {
    const BYTES: usize = 1 << 20;
    let repeated = |head: &str, piece: &str| {
        let mut line = head.to_owned();
        line.push_str(&piece.repeat((BYTES - head.len()) / piece.len()));
        line
    };
    let lines = [
        repeated("", "a"),
        repeated("<34>", "1"),
        repeated("<34>1 - - - - - ", "[a b=\"c\"]"),
        repeated("<34>1 - - - - - [a b=\"", "\\\""),
        repeated("", "a: "),
        repeated("", "["),
        repeated("{\"a\":", "["),
        repeated("{\"a\":\"", "\\u0041"),
        repeated("", "a=b "),
        repeated("CEF:0|a|b|c|d|e|f|", "a=b="),
        repeated("CEF:0|a|b|c|d|e|f|", "a=b "),
        repeated("type=A msg=audit(1.1:1): ", "msg='"),
        repeated("type=A msg=audit(1364481363.243:1): ", "msg='"),
        repeated("2026-11-22 13:38:00 ", "[a] "),
        repeated("2026-11-22 13:38:00 INFO ", "- [a] "),
        repeated("1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] \"", "\\\""),
        repeated("", "\u{feff}"),
    ];
    for line in lines {
        let block = block("syslog", [line.as_str()]);
        #[expect(clippy::disallowed_methods, reason = "a test may look at the clock")]
        let start = Instant::now();
        check(&Parser::new(options()).parse(block));
        let nanos = start.elapsed().as_nanos() as usize;
        // A quadratic reader needs minutes for a megabyte.
        assert!(nanos < 500 * BYTES, "{nanos} ns for {}…", &line[..20]);
    }
}

#[test]
fn syslog_headers_are_read_as_by_a_second_reader() {
    let lines = [
        "<34>1 2026-11-22T13:38:00.003Z mymachine.example.com su - ID47 - 'su root' failed",
        "<165>1 2026-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - text %% here",
        "<165>1 2026-10-11T22:14:15.003Z h evntslog - ID47 [ex@1 iut=\"3\" e=\"A\"] text",
        "<13>1 - - - - - - text",
        "<34>Nov 12 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
        "<30>Nov 12 22:14:15 web-01 systemd[1]: Started Session 5 of user bob.",
        "<86>Nov  2 22:14:15 web-01 sshd[4242]: Failed password for root from 10.0.0.1 port 22",
        "<13>2026-10-11T22:14:15.003Z web-01 app[7]: text",
    ];
    for line in lines {
        let theirs =
            syslog_loose::parse_message_with_year(line, |_| 2026, syslog_loose::Variant::Either);
        let (event, batch) = one_from("syslog", line);
        let text = |text| Some(batch.text(text)).filter(|text| !text.is_empty());
        assert_eq!(text(event.host), theirs.hostname, "{line}");
        assert_eq!(text(event.app), theirs.appname, "{line}");
        let procid = theirs.procid.map(|procid| procid.to_string());
        assert_eq!(text(event.procid), procid.as_deref(), "{line}");
        assert_eq!(text(event.msgid), theirs.msgid, "{line}");
        assert_eq!(batch.text(event.message), theirs.msg, "{line}");
        assert_eq!(event.facility, theirs.facility.map(|facility| facility as u8), "{line}");
        let severity = theirs.severity.map(|severity| Severity::from_syslog(severity as u8));
        assert_eq!(event.severity, severity, "{line}");
        let time = theirs.timestamp.and_then(|time| time.timestamp_nanos_opt());
        assert_eq!((!event.flags.has(Flags::TIME_OF_RECEIPT)).then_some(event.time.0), time);
    }
}
