//! Cases beside rules: records as they come in, and what a rule must say of them.
//!
//! `NAME.cases.jsonl` stands beside `NAME.yml`, one JSON object on a line:
//!
//! ```text
//! {"match": true,  "raw": "one record", "why": "what this shows"}
//! {"match": false, "raw": "a near miss"}
//! {"fires": true,  "raw": ["record", …], "repeat": 12, "every_s": 5, "then": ["record", …]}
//! ```
//!
//! `match` is about the rules of the file, `fires` about its correlations: the records of `raw`
//! come `repeat` times one after the other, then those of `then`, every `every_s` seconds one.
//! In them `{time}` is the record's time, from 2026-03-01T00:00:00Z on, and `{n}` counts the
//! repetitions from 1, and goes on counting, a record at a time, in `then`.

use operators::types::{EventTime, Span};
use serde::Deserialize;

/// The most records that one case may come to.
pub(super) const RECORDS_MAX: usize = 200_000;
/// The most bytes that they may have together.
pub(super) const BYTES_MAX: usize = 256 << 20;
/// 2026-03-01T00:00:00Z
const START: EventTime = EventTime::from_secs(1_772_323_200);

/// What must come of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A rule of the file matches the record, or none does.
    Match(bool),
    /// A correlation of the file fires, or none does.
    Fires(bool),
}

/// A case that can be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) line: u32,
    pub(super) wanted: Wanted,
    /// The records, as they come in.
    pub(super) records: Vec<String>,
    pub(super) why: String,
}

/// A case as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(rename = "match")]
    matches: Option<bool>,
    fires: Option<bool>,
    raw: Raw,
    #[serde(default = "once")]
    repeat: usize,
    #[serde(default = "a_second")]
    every_s: f64,
    #[serde(default)]
    then: Vec<String>,
    #[serde(default)]
    why: String,
}

fn once() -> usize {
    1
}

fn a_second() -> f64 {
    1.0
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Raw {
    One(String),
    Several(Vec<String>),
}

/// The cases of a file, and what is wrong with those lines that are none: the line, and why.
pub(super) fn read(bytes: &[u8]) -> Vec<Result<Case, (u32, String)>> {
    lines(bytes).map(|(line, text)| case(line, text).map_err(|reason| (line, reason))).collect()
}

/// How many there are.
pub(super) fn count(bytes: &[u8]) -> u64 {
    lines(bytes).count() as u64
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    let lines = (1..).zip(bytes.split(|byte| *byte == b'\n'));
    lines.filter(|(_, text)| !text.trim_ascii().is_empty())
}

fn case(line: u32, text: &[u8]) -> Result<Case, String> {
    let written: Written = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let wanted = match (written.matches, written.fires) {
        (Some(wanted), None) => Wanted::Match(wanted),
        (None, Some(wanted)) => Wanted::Fires(wanted),
        _ => return Err("a case has either `match` or `fires`".to_owned()),
    };
    let Written { raw, repeat, every_s, then, why, .. } = written;
    let raw = match raw {
        Raw::One(record) => vec![record],
        Raw::Several(records) => records,
    };
    if matches!(wanted, Wanted::Match(_)) && (raw.len() != 1 || repeat != 1 || !then.is_empty()) {
        return Err("`match` is about one record; `fires` is about several".to_owned());
    }
    if !(0.0..=366.0 * 86_400.0).contains(&every_s) {
        return Err("`every_s` must be from 0 to 31622400 seconds".to_owned());
    }
    if raw.iter().chain(&then).any(|record| record.contains(['\n', '\r'])) {
        return Err("a record is one line".to_owned());
    }
    let count = raw.len().saturating_mul(repeat).saturating_add(then.len());
    let size = |records: &[String]| records.iter().map(|one| one.len() + 64).sum::<usize>();
    let bytes = size(&raw).saturating_mul(repeat).saturating_add(size(&then));
    if count == 0 || count > RECORDS_MAX || bytes > BYTES_MAX {
        return Err(format!(
            "a case comes to 1 to {RECORDS_MAX} records and at most {BYTES_MAX} bytes"
        ));
    }
    let every = Span((every_s * 1e9) as i64);
    let mut records: Vec<String> = Vec::with_capacity(count);
    let mut push = |record: &str, number: usize| {
        let passed = Span(every.0.saturating_mul(records.len() as i64));
        let time = (START + passed).to_rfc3339();
        records.push(record.replace("{time}", &time).replace("{n}", &number.to_string()));
    };
    for number in 1..=repeat {
        raw.iter().for_each(|record| push(record, number));
    }
    for (record, number) in then.iter().zip(repeat + 1..) {
        push(record, number);
    }
    Ok(Case { line, wanted, records, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Result<Case, (u32, String)> {
        read(text.as_bytes()).remove(0)
    }

    #[test]
    fn what_is_repeated_counts_and_its_time_goes_on() {
        let text = r#"{"fires": true, "raw": ["{time} a{n}", "b{n}"], "repeat": 2, "every_s": 1.5,
            "then": ["{time} c{n}", "d{n}"]}"#;
        let case = one(&text.replace('\n', " ")).unwrap();
        assert_eq!(
            case.records,
            [
                "2026-03-01T00:00:00Z a1",
                "b1",
                "2026-03-01T00:00:03Z a2",
                "b2",
                "2026-03-01T00:00:06Z c3",
                "d4"
            ]
        );
        assert_eq!((case.wanted, case.line), (Wanted::Fires(true), 1));
    }

    #[test]
    fn a_line_that_is_no_case_is_told_by_its_number_and_costs_no_other() {
        let text = b"{\"match\": true, \"raw\": \"x\"}\n\n{}\n{\"match\": false, \"raw\": \"y\"}\n";
        let cases = read(text);
        assert_eq!(cases.len(), 3);
        assert_eq!(cases[0].as_ref().unwrap().records, ["x"]);
        assert_eq!(cases[1].as_ref().unwrap_err().0, 3);
        assert_eq!(cases[2].as_ref().unwrap().line, 4);
        for (text, reason) in [
            (r#"{"raw": "x"}"#, "either `match` or `fires`"),
            (r#"{"match": true, "fires": true, "raw": "x"}"#, "either `match` or `fires`"),
            (r#"{"match": true, "raw": ["x", "y"]}"#, "one record"),
            (r#"{"match": true, "raw": "x", "wyh": "y"}"#, "unknown field `wyh`"),
            (r#"{"fires": true, "raw": []}"#, "1 to 200000 records"),
            (r#"{"fires": true, "raw": ["x"], "repeat": 18446744073709551615}"#, "1 to 200000"),
            (r#"{"fires": true, "raw": ["x"], "every_s": -1}"#, "every_s"),
            (r#"{"match": true, "raw": "x\ny"}"#, "one line"),
        ] {
            let said = one(text).unwrap_err().1;
            assert!(said.contains(reason), "{text}: {said}");
        }
    }
}
