//! `key=value` pairs: logfmt, firewalls, and what resembles them.

use memchr::memchr2;

use super::class;
use super::known::{Known, Says};
use super::out::Out;
use crate::types::{Text, Value};

/// How long a key may be.
const KEY_BYTES_MAX: usize = 64;
/// A text with fewer pairs is a sentence with an equals sign in it.
const PAIRS_MIN: usize = 2;
/// And so is one with more words than this share of its pairs, one in so many.
const PAIRS_PER_WORD: usize = 4;
/// Separates what the kernel said from what auditd adds (its enriched format).
pub(super) const ENRICHED: char = '\u{1d}';

/// Where the pairs of a text start: at once, or after a label such as `[UFW BLOCK]` or `DROP:`.
/// `None` if there are none there.
pub(super) fn start(text: &str) -> Option<&str> {
    if key_len(text).is_some() {
        return Some(text);
    }
    let rest = match text.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?.1,
        None => {
            let end = text.bytes().take(KEY_BYTES_MAX).position(|b| matches!(b, b' ' | b':'))?;
            text[end..].strip_prefix(':')?
        }
    };
    let rest = rest.trim_ascii_start();
    key_len(rest).map(|_| rest)
}

/// The length of the key that a text begins with, which `=` follows.
fn key_len(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if !matches!(bytes.first()?, b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'@') {
        return None;
    }
    let len = class::KEY.prefix(text, KEY_BYTES_MAX + 1);
    (len <= KEY_BYTES_MAX && bytes.get(len) == Some(&b'=')).then_some(len)
}

/// Reads pairs that are all of `text`, or nearly so. `None` if they are not; then the caller
/// takes back the fields that were added.
pub(super) fn pairs(out: &mut Out, known: &mut Known, text: &str) -> Option<()> {
    let mut rest = text.trim_ascii_start();
    let (mut pairs, mut words) = (0, 0);
    while !rest.is_empty() {
        let word = match next(out, &mut rest)? {
            Pair::Value(key, value) => {
                pairs += 1;
                let says = out.field_here(key, Value::Text(value));
                if says != Says::Nothing {
                    known.note(out, says, Value::Text(value), value);
                }
                continue;
            }
            Pair::Word(word) => word,
        };
        words += 1;
        // A word may come before its pairs, but not many.
        if words > 2 + pairs / PAIRS_PER_WORD {
            return None;
        }
        out.field_here(word, Value::Bool(true));
    }
    (pairs >= PAIRS_MIN && words * PAIRS_PER_WORD <= pairs).then_some(())
}

/// One piece of a text of pairs.
pub(super) enum Pair<'a> {
    /// `key=value`, with the quotes removed and escapes resolved.
    Value(&'a str, Text),
    /// A word without a value.
    Word(&'a str),
}

/// Takes the next piece. `None` if a quote does not end.
pub(super) fn next<'a>(out: &mut Out, rest: &mut &'a str) -> Option<Pair<'a>> {
    let text = *rest;
    let Some(key_len) = key_len(text) else {
        let (word, after) = unquoted(text);
        *rest = after;
        return Some(Pair::Word(word));
    };
    let key = &text[..key_len];
    let text = &text[key_len + 1..];
    let quote = match text.as_bytes().first() {
        Some(quote @ (b'"' | b'\'')) => *quote,
        _ => {
            let (value, after) = unquoted(text);
            *rest = after;
            return Some(Pair::Value(key, out.place(value)));
        }
    };
    let (value, escaped, after) = quoted(&text[1..], quote)?;
    *rest = separated(after);
    let value = match escaped {
        false => out.place(value),
        true => out.write(|scratch| unescape(value, scratch)),
    };
    Some(Pair::Value(key, value))
}

/// A piece up to white space, without a comma or semicolon at its end, and what follows.
fn unquoted(text: &str) -> (&str, &str) {
    let is_end = |byte: &u8| byte.is_ascii_whitespace() || *byte == ENRICHED as u8;
    let end = text.as_bytes().iter().position(is_end).unwrap_or(text.len());
    (text[..end].trim_end_matches([',', ';']), separated(&text[end..]))
}

fn separated(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\r', '\n', ',', ';', ENRICHED])
}

/// What a quote encloses, whether it has escapes, and what follows it.
pub(super) fn quoted(text: &str, quote: u8) -> Option<(&str, bool, &str)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut escaped = false;
    loop {
        at += memchr2(quote, b'\\', bytes.get(at..)?)?;
        if bytes[at] == quote {
            return Some((&text[..at], escaped, &text[at + 1..]));
        }
        escaped = true;
        at += 2;
    }
}

/// Resolves `\"`, `\'`, `\\`, `\n`, `\r` and `\t`; any other backslash stands for itself.
pub(super) fn unescape(text: &str, to: &mut String) {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        to.push_str(before);
        let meant = match after.as_bytes().first() {
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(quote @ (b'"' | b'\'' | b'\\')) => char::from(*quote),
            _ => {
                to.push('\\');
                rest = after;
                continue;
            }
        };
        to.push(meant);
        rest = &after[1..];
    }
    to.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fields, one};
    use crate::types::{Format, Severity};

    fn pairs(record: &str) -> String {
        let pairs: Vec<_> = fields(record).into_iter().map(|(k, v)| format!("{k}={v}")).collect();
        pairs.join("|")
    }

    #[test]
    fn pairs_are_fields() {
        let cases = [
            (r#"a=1 b="two words" c='x' d= e"#, "a=1|b=two words|c=x|d=|e=true"),
            (r#"a="say \"hi\"\n" b=C:\x c="C:\\y\z""#, "a=say \"hi\"\n|b=C:\\x|c=C:\\y\\z"),
            ("a=1, b=2; c=x==", "a=1|b=2|c=x=="),
            ("date=2026-11-22 devname=\"fw\" a.b-c=1", "date=2026-11-22|devname=fw|a.b-c=1"),
            ("kernel: [1.5] [UFW BLOCK] IN=eth0 OUT= SRC=1.2.3.4 LEN=60 TTL=51 DF PROTO=TCP", ""),
            (
                "Nov 22 13:38:00 h kernel: [1.5] [UFW BLOCK] IN=eth0 OUT= SRC=1.2.3.4 DF PROTO=TCP",
                "IN=eth0|OUT=|SRC=1.2.3.4|DF=true|PROTO=TCP",
            ),
            ("<4>Nov 22 13:38:00 h kernel: DROP: IN=eth0 OUT=", "IN=eth0|OUT="),
        ];
        for (record, wanted) in cases {
            assert_eq!(pairs(record), wanted, "{record}");
        }
    }

    #[test]
    fn a_sentence_with_an_equals_sign_is_text() {
        for record in [
            "a=1",
            "a=1 b=2 and then some words",
            "x = 1",
            "a=\"open",
            "authentication failure; logname= uid=0 euid=0",
            "=1 =2",
            "1=2 3=4",
        ] {
            let (event, batch) = one(record);
            assert_eq!((event.format, event.flags.names().len()), (Format::Plain, 1), "{record}");
            assert!(batch.fields(&event).is_empty(), "{record}");
            assert_eq!(batch.text(event.message), record);
        }
    }

    #[test]
    fn well_known_keys_say_who_and_when() {
        let record = r#"time="2026-11-22T13:00:00Z" level=warning msg="disk \"a\" full" app=store"#;
        let (event, batch) = one(record);
        assert_eq!(event.format, Format::KeyValue);
        assert_eq!(event.severity, Some(Severity::Warning));
        assert_eq!(event.time.to_rfc3339(), "2026-11-22T13:00:00Z");
        assert_eq!(batch.text(event.app), "store");
        assert_eq!(batch.text(event.message), "disk \"a\" full");
    }
}
