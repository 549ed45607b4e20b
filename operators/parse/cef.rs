//! Common Event Format: `CEF:0|vendor|product|version|id|name|severity|key=value …`.
//!
//! The header's parts are fields `cef.deviceVendor` … `cef.severity`; the extension's keys are
//! fields of their own names.

use memchr::memchr2;

use super::class;
use super::known::{Known, level};
use super::out::{Draft, Out};
use super::time;
use crate::types::{Format, Severity, Text, Value};

const PREFIX: &str = "CEF:";
const PARTS: [&str; 7] = [
    "cef.version",
    "cef.deviceVendor",
    "cef.deviceProduct",
    "cef.deviceVersion",
    "cef.deviceEventClassId",
    "cef.name",
    "cef.severity",
];
const PRODUCT: usize = 2;
const CLASS: usize = 4;
const NAME: usize = 5;
const SEVERITY: usize = 6;

/// Whether a text begins as only such a record does.
pub(super) fn begins(text: &str) -> bool {
    let version = text.strip_prefix(PREFIX).map(str::trim_ascii_start);
    version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
}

/// Reads a record into fields. `None` if it is not one; then the caller takes back the fields
/// that were added.
pub(super) fn read<'a>(out: &mut Out, draft: &mut Draft<'a>, text: &'a str) -> Option<()> {
    let mut rest = text.strip_prefix(PREFIX)?.trim_ascii_start();
    let mut parts = [Text::NONE; PARTS.len()];
    for (index, name) in PARTS.into_iter().enumerate() {
        let is_last = index + 1 == PARTS.len();
        let (part, after) = match up_to(rest, b'|') {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None if is_last => (rest, ""),
            None => return None,
        };
        parts[index] = decoded(out, part.trim_ascii());
        out.field(name, None, Value::Text(parts[index]));
        rest = after;
    }
    let mut known = Known::default();
    extension(out, draft, &mut known, rest);
    let severity = severity(out.text(parts[SEVERITY]));
    // The extension's `app` is a protocol, and not the program.
    if draft.app.is_empty() {
        draft.app = parts[PRODUCT];
    }
    known.apply(Format::Cef, draft);
    draft.severity = severity.or(draft.severity);
    draft.msgid = parts[CLASS];
    if draft.message.is_none() && !parts[NAME].is_empty() {
        draft.message = Some(parts[NAME]);
    }
    Some(())
}

/// The next `stop` that no backslash precedes.
fn up_to(text: &str, stop: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        at += memchr2(stop, b'\\', bytes.get(at..)?)?;
        if bytes[at] == stop {
            return Some(at);
        }
        at += 2;
    }
}

/// Reads `key=value key=value`, where values may hold spaces: a value ends before the last word
/// that an unescaped `=` follows.
fn extension<'a>(out: &mut Out, draft: &mut Draft<'a>, known: &mut Known, text: &'a str) {
    let Some(first) = up_to(text, b'=') else {
        return;
    };
    let mut key = text[..first].trim_ascii();
    let mut rest = &text[first + 1..];
    loop {
        let next = next_key(rest);
        let (value, following) = match next {
            Some((end, key, after)) => (&rest[..end], Some((key, after))),
            None => (rest, None),
        };
        let value = decoded(out, value.trim_ascii());
        let says = out.field_here(key, Value::Text(value));
        known.note(out, says, Value::Text(value), value);
        if key == "rt" {
            draft.time = time::any(out.text(value), out.defaults).or(draft.time);
        }
        match following {
            Some((next, after)) => (key, rest) = (next, after),
            None => return,
        }
    }
}

/// Where the value at the start of a text ends, and the key and the text that follow it. An
/// equals sign after something that can be no key is part of the value.
fn next_key(text: &str) -> Option<(usize, &str, &str)> {
    let mut from = 0;
    loop {
        let equals = from + up_to(&text[from..], b'=')?;
        // A key holds no equals sign, so looking back to the one before is far enough.
        if let Some(end) = text[from..equals].rfind([' ', '\t', '\n']) {
            let key = &text[from + end + 1..equals];
            if !key.is_empty() && class::KEY.has_all(key) {
                return Some((from + end, key, &text[equals + 1..]));
            }
        }
        from = equals + 1;
    }
}

/// Resolves `\|`, `\=`, `\\`, `\n` and `\r`.
fn decoded(out: &mut Out, text: &str) -> Text {
    if !text.contains('\\') {
        return out.place(text);
    }
    out.write(|scratch| {
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('\\') {
            scratch.push_str(before);
            let meant = match after.as_bytes().first() {
                Some(b'n') => '\n',
                Some(b'r') => '\r',
                Some(byte @ (b'|' | b'=' | b'\\')) => char::from(*byte),
                _ => {
                    scratch.push('\\');
                    rest = after;
                    continue;
                }
            };
            scratch.push(meant);
            rest = &after[1..];
        }
        scratch.push_str(rest);
    })
}

/// 0–10, or a word.
fn severity(text: &str) -> Option<Severity> {
    match text {
        "0" | "1" | "2" | "3" | "Low" => Some(Severity::Info),
        "4" | "5" | "6" | "Medium" => Some(Severity::Warning),
        "7" | "8" | "High" => Some(Severity::Error),
        "9" | "10" | "Very-High" => Some(Severity::Critical),
        word => level(word),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fields, one};
    use crate::types::{Flags, Format, Severity};

    #[test]
    fn a_record_becomes_fields() {
        let record = "CEF:0|Acme|IDS \\| x|1.0|100|worm \\\\ stopped|10|src=10.0.0.1 \
                      msg=a b\\=c d\\nand e request=http://x/?q=1 dvchost=fw rt=1364481363000 \
                      empty= app=HTTP";
        let shown: Vec<_> = fields(record).into_iter().map(|(k, v)| format!("{k}={v}")).collect();
        let wanted = [
            "cef.version=0",
            "cef.deviceVendor=Acme",
            "cef.deviceProduct=IDS | x",
            "cef.deviceVersion=1.0",
            "cef.deviceEventClassId=100",
            "cef.name=worm \\ stopped",
            "cef.severity=10",
            "src=10.0.0.1",
            "msg=a b=c d\nand e",
            "request=http://x/?q=1",
            "dvchost=fw",
            "rt=1364481363000",
            "empty=",
            "app=HTTP",
        ];
        assert_eq!(shown, wanted);
        let (event, batch) = one(record);
        assert_eq!((event.format, event.severity), (Format::Cef, Some(Severity::Critical)));
        assert_eq!(event.time.to_rfc3339(), "2013-03-28T14:36:03Z");
        assert_eq!(batch.text(event.host), "fw");
        assert_eq!(batch.text(event.app), "IDS | x");
        assert_eq!(batch.text(event.msgid), "100");
        assert_eq!(batch.text(event.message), "a b=c d\nand e");
    }

    #[test]
    fn a_record_behind_a_syslog_header_is_read_too() {
        let (event, batch) = one("<134>Nov 22 13:38:00 fw CEF:0|A|B|1|7|Port scan|Low|src=1.2.3.4");
        assert_eq!((event.format, event.severity), (Format::Cef, Some(Severity::Info)));
        assert_eq!(batch.text(event.host), "fw");
        assert_eq!(batch.text(event.app), "B");
        assert_eq!(batch.text(event.message), "Port scan");
        assert_eq!(event.time.to_rfc3339(), "2026-11-22T13:38:00Z");
    }

    #[test]
    fn what_only_begins_like_a_record_is_text_and_flagged() {
        for record in ["CEF:0|A|B", "CEF:0", "CEF:0|A|B|C|D|E\\|F\\"] {
            let (event, batch) = one(record);
            assert!(event.flags.has(Flags::BAD_BODY), "{record}");
            assert_eq!(batch.text(event.message), record);
            assert!(batch.fields(&event).is_empty());
        }
        assert!(!one("CEF: what is it").0.flags.has(Flags::BAD_BODY));
    }
}
