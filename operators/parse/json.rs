//! JSON objects, flattened into fields as they are read.
//!
//! A reader of its own: escaped strings are decoded where they stay, without a buffer between;
//! what nests too deep is cut out and not refused; and it is lenient in four things that senders
//! do, for each of which a general reader gives up the whole record: control characters inside
//! strings, lone surrogates (which become U+FFFD), `NaN` and infinities (kept as text), and
//! numbers of any size (kept as text where no `i64` or `f64` holds them). What it accepts is tested
//! against `serde_json`.
//!
//! A key that has a dot itself wins over a path of the same name, which is then kept by its JSON
//! pointer (`/a/b`). An empty array or object is a field that is null: it is there, and has no
//! value.

use memchr::memchr;

use super::DEPTH_MAX;
use super::known::{Known, Says};
use super::out::Out;
use crate::types::{Text, Value};

/// Reads an object that is all of `text` into fields. `None` if it is not one; then the caller
/// takes back the fields that were added.
pub(super) fn object(out: &mut Out, known: &mut Known, text: &str) -> Option<()> {
    out.path.clear();
    let (first, nested) = (out.batch.fields.len(), std::mem::take(&mut out.nested));
    let bytes = text.as_bytes();
    let mut reader = Reader { out, known, text, bytes, at: 0, objects: 0, nested };
    reader.nested.clear();
    reader.space();
    let whole = reader.byte(b'{').and_then(|()| reader.members(1)).map(|()| reader.space());
    let whole = whole.filter(|()| reader.at == text.len());
    let Reader { nested, .. } = reader;
    if whole.is_some() && !nested.is_empty() {
        out.prefer_named(first, &nested);
    }
    out.nested = nested;
    whole
}

struct Reader<'r, 'o, 'a> {
    out: &'r mut Out<'o>,
    known: &'r mut Known,
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// How many objects were begun.
    objects: usize,
    /// The fields of the record that are paths: from, to.
    nested: Vec<(usize, usize)>,
}

impl<'a> Reader<'_, '_, 'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn byte(&mut self, wanted: u8) -> Option<()> {
        if self.peek() != Some(wanted) {
            return None;
        }
        self.at += 1;
        Some(())
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// What follows `{`. Names are joined in `out.path`.
    fn members(&mut self, depth: usize) -> Option<()> {
        self.objects += 1;
        self.space();
        let parent = self.out.path.len();
        if self.byte(b'}').is_some() {
            if parent > 0 {
                self.out.field_at_path(None, Value::Null);
            }
            return Some(());
        }
        loop {
            self.space();
            let (key, escaped) = self.string()?;
            if parent > 0 {
                self.out.path.push('.');
            }
            if escaped {
                unescape(key, &mut self.out.path)?;
            } else {
                self.out.path.push_str(key);
            }
            let place = (parent == 0 && !escaped).then_some(key);
            self.space();
            self.byte(b':')?;
            let before = (self.out.batch.fields.len(), self.objects);
            self.value(place, depth)?;
            if parent == 0 && self.objects > before.1 {
                self.nested.push((before.0, self.out.batch.fields.len()));
            }
            self.out.path.truncate(parent);
            self.space();
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// What follows `[`. Each element is a field of the array's name.
    fn elements(&mut self, place: Option<&'a str>, depth: usize) -> Option<()> {
        self.space();
        if self.byte(b']').is_some() {
            self.out.field_at_path(place, Value::Null);
            return Some(());
        }
        loop {
            self.value(place, depth)?;
            self.space();
            match self.peek()? {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    fn value(&mut self, place: Option<&'a str>, depth: usize) -> Option<()> {
        self.space();
        let start = self.at;
        let value = match self.peek()? {
            b'"' => {
                let (string, escaped) = self.string()?;
                let text = match escaped {
                    false => self.out.place(string),
                    true => {
                        let mut ok = None;
                        let text = self.out.write(|scratch| ok = unescape(string, scratch));
                        ok?;
                        text
                    }
                };
                Value::Text(text)
            }
            b'{' | b'[' if depth == DEPTH_MAX => {
                self.out.cut();
                return self.skip();
            }
            b'{' => {
                self.at += 1;
                return self.members(depth + 1);
            }
            b'[' => match self.octets(place.filter(|_| depth == 1)) {
                Some(text) => Value::Text(text),
                None => {
                    self.at += 1;
                    return self.elements(place, depth + 1);
                }
            },
            b't' => self.word("true", Value::Bool(true))?,
            b'f' => self.word("false", Value::Bool(false))?,
            b'n' => self.word("null", Value::Null)?,
            b'N' => self.not_a_number("NaN")?,
            b'I' => self.not_a_number("Infinity")?,
            b'-' if self.text[self.at..].starts_with("-I") => self.not_a_number("-Infinity")?,
            _ => self.number()?,
        };
        let says = self.out.field_at_path(place, value);
        if says != Says::Nothing {
            let raw = match value {
                Value::Text(text) => text,
                _ => self.out.place(&self.text[start..self.at]),
            };
            self.known.note(self.out, says, value, raw);
        }
        Some(())
    }

    /// A message that journald gives as the numbers of its bytes, which it does if they are not all
    /// printable UTF-8: a control character in a name must not hide a line.
    fn octets(&mut self, place: Option<&str>) -> Option<Text> {
        if place != Some("MESSAGE") {
            return None;
        }
        let inside = self.text[self.at + 1..].split_once(']')?.0;
        let octets = inside.split(',').map(|octet| octet.trim_ascii().parse().ok());
        let octets: Vec<u8> = octets.collect::<Option<_>>()?;
        self.at += inside.len() + 2;
        Some(self.out.write(|scratch| scratch.push_str(&String::from_utf8_lossy(&octets))))
    }

    fn word(&mut self, word: &str, value: Value) -> Option<Value> {
        let rest = self.bytes.get(self.at..self.at + word.len())?;
        self.at += word.len();
        (rest == word.as_bytes()).then_some(value)
    }

    fn not_a_number(&mut self, word: &'static str) -> Option<Value> {
        let start = self.at;
        self.word(word, Value::Null)?;
        let text = self.out.place(&self.text[start..self.at]);
        Some(Value::Text(text))
    }

    /// The inside of a string, and whether it has escapes.
    fn string(&mut self) -> Option<(&'a str, bool)> {
        self.byte(b'"')?;
        let start = self.at;
        let mut at = start + quote_or_backslash(&self.bytes[start..])?;
        let escaped = self.bytes[at] == b'\\';
        while self.bytes[at] == b'\\' {
            let from = at + 2;
            at = from + quote_or_backslash(self.bytes.get(from..)?)?;
        }
        self.at = at + 1;
        Some((&self.text[start..at], escaped))
    }

    fn number(&mut self) -> Option<Value> {
        let start = self.at;
        let negative = self.byte(b'-').is_some();
        let whole = self.digits();
        let leading_zero = whole > 1 && self.bytes[self.at - whole] == b'0';
        if whole == 0 || leading_zero {
            return None;
        }
        let mut is_whole = true;
        if self.byte(b'.').is_some() {
            is_whole = false;
            if self.digits() == 0 {
                return None;
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            is_whole = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if self.digits() == 0 {
                return None;
            }
        }
        let text = &self.text[start..self.at];
        if is_whole && whole <= 18 {
            let digits = text[usize::from(negative)..].bytes();
            let number = digits.fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
            return Some(Value::Int(if negative { -number } else { number }));
        }
        if is_whole {
            // More digits than a number holds are kept as they are written.
            let number = text.parse().map(Value::Int);
            return Some(number.unwrap_or_else(|_| Value::Text(self.out.place(text))));
        }
        let number: f64 = text.parse().ok()?;
        Some(match number.is_finite() {
            true => Value::Float(number),
            false => Value::Text(self.out.place(text)),
        })
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    /// Skips an object or an array, however deep, without going deeper itself.
    fn skip(&mut self) -> Option<()> {
        let mut open = 0usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => open += 1,
                b'}' | b']' => open -= 1,
                _ => {}
            }
            self.at += 1;
            if open == 0 {
                return Some(());
            }
        }
    }
}

/// Where the first `"` or `\` is. Strings are short here: eight bytes at a time in registers are
/// faster than a call to what takes thirty-two.
fn quote_or_backslash(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    const QUOTES: u64 = ONES * b'"' as u64;
    const BACKSLASHES: u64 = ONES * b'\\' as u64;
    // The lowest bit that is set in the answer is that of the first zero byte.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let mut at = 0;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let found = zeros(word ^ QUOTES) | zeros(word ^ BACKSLASHES);
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = bytes[at..].iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    Some(at + rest)
}

/// Appends what the inside of a string means. `None` for an escape that does not exist.
fn unescape(text: &str, to: &mut String) -> Option<()> {
    let mut rest = text;
    while let Some(at) = memchr(b'\\', rest.as_bytes()) {
        to.push_str(&rest[..at]);
        let escape = *rest.as_bytes().get(at + 1)?;
        let meant = match escape {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let (meant, len) = code_point(&rest[at..])?;
                to.push(meant);
                rest = &rest[at + len..];
                continue;
            }
            _ => return None,
        };
        to.push(meant);
        rest = &rest[at + 2..];
    }
    to.push_str(rest);
    Some(())
}

/// The character of `\uXXXX` or of a pair of those, and its length. A lone half is U+FFFD.
fn code_point(text: &str) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u32::from_str_radix(digits, 16).ok().filter(|_| hex)
    };
    let first = unit(0)?;
    if let 0xd800..=0xdbff = first
        && let Some(second @ 0xdc00..=0xdfff) = unit(6)
    {
        let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return Some((char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12));
    }
    Some((char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 6))
}

/// Whether a text begins as only an object does.
pub(super) fn begins(text: &str) -> bool {
    let inner = text.strip_prefix('{').map(|inner| inner.trim_ascii_start());
    inner.is_some_and(|inner| inner.starts_with(['"', '}']))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fields, one};
    use super::super::{DEPTH_MAX, FIELDS_MAX};
    use crate::types::{Flags, Format, Severity, Value};

    #[test]
    fn objects_are_flattened() {
        let record =
            r#"{"a":1,"b":{"c":"x","d":[true,null,{"e":-2.5}]},"f":[],"g":{},"h":["p","q"]}"#;
        let expected = [
            ("a", "1"),
            ("b.c", "x"),
            ("b.d", "true"),
            ("b.d", "null"),
            ("b.d.e", "-2.5"),
            ("f", "null"),
            ("g", "null"),
            ("h", "p"),
            ("h", "q"),
        ];
        assert_eq!(fields(record), expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[test]
    fn a_name_with_dots_wins_over_a_path() {
        let record = r#"{"a":{"b":"path","c":{"d":1},"e":2},"a.b":["name",3],"x":[{"y":4},{"z":5}],
                          "a.c":6,"x.y":7,"a.c.d":{"f":8}}"#;
        let expected = [
            ("/a/b", "path"),
            ("a.c.d", "1"),
            ("a.e", "2"),
            ("a.b", "name"),
            ("a.b", "3"),
            ("/x/y", "4"),
            ("x.z", "5"),
            ("a.c", "6"),
            ("x.y", "7"),
            ("a.c.d.f", "8"),
        ];
        assert_eq!(fields(record), expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
        let many: Vec<String> =
            (0..9).map(|i| format!(r#""p.n{i}":{i},"p":{{"n{i}":-1}}"#)).collect();
        let read = fields(&format!("{{{}}}", many.join(",")));
        let paths = read.iter().filter(|(name, value)| name.starts_with("/p/n") && value == "-1");
        assert_eq!((read.len(), paths.count()), (18, 9), "{read:?}");
    }

    #[test]
    fn escapes_are_resolved_in_names_and_values() {
        let record = concat!(
            r#"{"\u0061\n":"C:\\x\"\/\b\f\n\r\t\u00e4\ud83d\ude00","#,
            r#""lone":"\ud83d!\udc00\ud83d\u0041"}"#
        );
        let expected =
            [("a\n", "C:\\x\"/\u{8}\u{c}\n\r\tä😀"), ("lone", "\u{fffd}!\u{fffd}\u{fffd}A")];
        assert_eq!(fields(record), expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[test]
    fn numbers_keep_their_value_or_their_text() {
        let record = concat!(
            r#"{"a":9223372036854775807,"b":-9223372036854775808,"c":9223372036854775808,"#,
            r#""d":1e999,"e":NaN,"f":-Infinity,"g":0.1,"h":-0,"i":1E2}"#
        );
        let (event, batch) = one(record);
        let values: Vec<_> = batch.fields(&event).iter().map(|field| field.value).collect();
        assert_eq!(values[0], Value::Int(i64::MAX));
        assert_eq!(values[1], Value::Int(i64::MIN));
        assert!(
            matches!(values[2], Value::Text(text) if batch.text(text) == "9223372036854775808")
        );
        assert!(matches!(values[3], Value::Text(text) if batch.text(text) == "1e999"));
        assert!(matches!(values[4], Value::Text(text) if batch.text(text) == "NaN"));
        assert!(matches!(values[5], Value::Text(text) if batch.text(text) == "-Infinity"));
        assert_eq!(values[6..], [Value::Float(0.1), Value::Int(0), Value::Float(100.0)]);
    }

    #[test]
    fn what_only_begins_like_an_object_is_text_and_flagged() {
        for record in [
            r#"{"a":1"#,
            r#"{"a":1}x"#,
            r#"{"a":1,}"#,
            r#"{"a":01}"#,
            r#"{"a":1.}"#,
            r#"{"a":"\x"}"#,
            r#"{"a":"b}"#,
            r#"{"a" 1}"#,
            r#"{"a":tru}"#,
            r#"{"a":"\u12"}"#,
            r#"{"a":"\u+123"}"#,
            r#"{"C:\Users":1}"#,
        ] {
            let (event, batch) = one(record);
            assert!(event.flags.has(Flags::BAD_BODY), "{record}");
            assert_eq!(event.format, Format::Plain, "{record}");
            assert_eq!(batch.text(event.message), record);
            assert!(batch.fields(&event).is_empty(), "{record}");
        }
        for record in ["{not json}", "{", "{{ template }}", "{'a': 1}"] {
            assert!(!one(record).0.flags.has(Flags::BAD_BODY), "{record}");
        }
    }

    #[test]
    fn what_is_too_deep_or_too_much_is_left_out_and_flagged() {
        let deep = |depth| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        let (event, batch) = one(&deep(DEPTH_MAX));
        assert!(!event.flags.has(Flags::FIELDS_CUT));
        assert_eq!(batch.fields(&event).len(), 1);
        for depth in [DEPTH_MAX + 1, 100_000] {
            let (event, batch) = one(&deep(depth));
            assert!(event.flags.has(Flags::FIELDS_CUT));
            assert_eq!((event.format, batch.fields(&event).len()), (Format::Json, 0));
        }
        let (event, _) = one(&format!(r#"{{"a":{}"#, "[".repeat(100_000)));
        assert!(event.flags.has(Flags::BAD_BODY));

        let many: Vec<_> = (0..FIELDS_MAX + 1).map(|n| format!(r#""k{n}":{n}"#)).collect();
        let (event, batch) = one(&format!("{{{}}}", many[1..].join(",")));
        assert_eq!(batch.fields(&event).len(), FIELDS_MAX);
        assert!(!event.flags.has(Flags::FIELDS_CUT));
        let (event, batch) = one(&format!("{{{}}}", many.join(",")));
        assert_eq!(batch.fields(&event).len(), FIELDS_MAX);
        assert!(event.flags.has(Flags::FIELDS_CUT));

        let long = format!(r#"{{"{}":{{"x":1}},"b":2}}"#, "n".repeat(60_000));
        let (event, batch) = one(&long);
        assert_eq!(batch.fields(&event).len(), 1);
        assert!(event.flags.has(Flags::FIELDS_CUT));
    }

    #[test]
    fn well_known_fields_say_who_and_when() {
        let cases = [
            (
                concat!(
                    r#"{"time":"2026-11-22T13:00:00Z","level":"warn","#,
                    r#""hostname":"h","app":"a","pid":7,"msg":"m"}"#
                ),
                "2026-11-22T13:00:00Z h a 7  m",
                Severity::Warning,
            ),
            (
                r#"{"level":50,"time":1795352400000,"pid":7,"hostname":"h","name":"x","msg":"m"}"#,
                "2026-11-22T13:00:00Z h  7  m",
                Severity::Error,
            ),
            (
                r#"{"ts":1795352400.5,"logger":"l","severity":"CRITICAL","message":"m\n"}"#,
                "2026-11-22T13:00:00.5Z  l   m",
                Severity::Critical,
            ),
            (
                concat!(
                    r#"{"@timestamp":"2026-11-22T13:00:00Z","log":{"level":"info"},"#,
                    r#""host":{"name":"h"},"process":{"name":"p","pid":3},"message":"m"}"#
                ),
                "2026-11-22T13:00:00Z h p 3  m",
                Severity::Info,
            ),
            (
                concat!(
                    r#"@cee: {"time":35,"timestamp":1795352400000000,"PRIORITY":"3","#,
                    r#""MESSAGE":"m","_HOSTNAME":"h","SYSLOG_IDENTIFIER":"s"}"#
                ),
                "2026-11-22T13:00:00Z h s   m",
                Severity::Error,
            ),
        ];
        for (record, wanted, severity) in cases {
            let (event, batch) = one(record);
            let text = |text| batch.text(text);
            let shown = format!(
                "{} {} {} {} {} {}",
                event.time,
                text(event.host),
                text(event.app),
                text(event.procid),
                text(event.msgid),
                text(event.message)
            );
            assert_eq!(shown, wanted, "{record}");
            // An object of journald is the header of its message.
            let is_journald = record.contains("SYSLOG_IDENTIFIER");
            let format = if is_journald { Format::Plain } else { Format::Json };
            assert_eq!((event.severity, event.format), (Some(severity), format), "{record}");
        }
    }

    #[test]
    fn an_object_behind_a_header_is_read_too() {
        let record = concat!(
            "<134>1 2026-11-22T13:38:00Z web app 7 - - ",
            r#"{"level":"error","host":"shop.example","message":"no stock"}"#
        );
        let (event, batch) = one(record);
        assert_eq!(event.format, Format::Json);
        assert_eq!(event.severity, Some(Severity::Error));
        assert_eq!(batch.text(event.host), "web");
        assert_eq!(batch.text(event.message), "no stock");
        let (event, batch) = one(r#"Nov 22 13:38:00 web app[7]: @cee:{"a":"b"}"#);
        assert_eq!(batch.fields(&event).len(), 1);
        assert_eq!(batch.text(event.message), r#"{"a":"b"}"#);
    }

    #[test]
    fn equal_names_are_the_same_text() {
        let (_, batch) = one(r#"{"a":{"b":1},"c":[{"d":1},{"d":2}],"e":1,"e":2}"#);
        assert_eq!(batch.fields[1].name, batch.fields[2].name);
        assert_eq!(batch.fields[3].name, batch.fields[4].name);
    }
}
