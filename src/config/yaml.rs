//! YAML, read into a tree that knows where everything stands.
//!
//! The one place that knows the YAML parser. Scalars follow the YAML 1.2 core schema, and
//! stricter where older schemas surprise: `yes`, `on` and `NO` are text, and so are `0777` and
//! `1_000`. A key given twice is kept twice, for the checks to point at.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, Spanned};

/// How long a document may be.
pub const BYTES_MAX: usize = 1 << 20;
/// How many values a document may hold, aliases expanded.
const NODES_MAX: usize = 20_000;
/// How many parser events aliases may add in all; what stops a "billion laughs".
const ALIAS_EVENTS_MAX: usize = 5_000;
/// How deep a document may be nested.
const DEPTH_MAX: usize = 32;

/// Where something stands in a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// Its bytes. Empty for a value that is left out, as in `key:`.
    pub bytes: Range<usize>,
}

impl Ord for Place {
    /// In the order of reading.
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |place: &Place| (place.line, place.column, place.bytes.start, place.bytes.end);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// For lists and mappings, where they begin.
    pub place: Place,
}

/// A key and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Name {
    /// The key as it is spelt.
    pub text: String,
    /// Where.
    pub place: Place,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~`, or nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i128),
    /// Any other number; never infinite, never "not a number".
    Number(f64),
    /// Text.
    Text(String),
    /// Text from outside the document (`${NAME}`, the environment, `--set`): it becomes whatever
    /// its key wants, if it can be read as that.
    Untyped(String),
    /// A list.
    List(Vec<Node>),
    /// Keys and values, in the order of the document. A key can be there twice.
    Map(Vec<(Name, Node)>),
}

impl Value {
    /// What it is, in words: "a list".
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "nothing",
            Value::Bool(_) => "a yes or no",
            Value::Integer(_) | Value::Number(_) => "a number",
            Value::Text(_) | Value::Untyped(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// A text that is not YAML, or more of it than is taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// What is wrong, without where.
    pub message: String,
    /// Where, if that is known.
    pub place: Option<Place>,
}

/// Reads a document. An empty one is [`Value::Null`].
///
/// # Errors
/// If the text is not one YAML document, or exceeds a limit of this module.
pub fn parse(text: &str) -> Result<Node, SyntaxError> {
    if text.len() > BYTES_MAX {
        let message = format!("{} bytes are more than the {BYTES_MAX} allowed", text.len());
        return Err(SyntaxError { message, place: None });
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: NODES_MAX,
            max_events: 4 * NODES_MAX,
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_documents: 1,
            max_recorded_anchor_events: ALIAS_EVENTS_MAX,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: ALIAS_EVENTS_MAX,
            max_replay_stack_depth: 8,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options::<Node>(text, options).map_err(|error| {
        let place = error.location().map(|location| with_bytes(place_of(&location), text));
        SyntaxError { message: plain_message(&error), place }
    })
}

/// Types a scalar given alone, as `--set` and the environment do.
///
/// # Errors
/// As [`parse`].
pub fn parse_alone(text: &str) -> Result<Value, SyntaxError> {
    let value = parse(text)?.value;
    Ok(match value {
        Value::Bool(_) | Value::Integer(_) | Value::Number(_) => {
            Value::Untyped(text.trim().to_owned())
        }
        value => value,
    })
}

/// The parser's words, without the place, which is told apart from them.
fn plain_message(error: &serde_saphyr::Error) -> String {
    let message = error.without_snippet().to_string();
    if message.contains("budget breached") || message.contains("limit exceeded") {
        return "it holds more, or deeper, than a configuration may; what aliases stand for is \
                counted each time"
            .to_owned();
    }
    let line = message.lines().next().unwrap_or_default();
    let end = [" at line ", " (line "].iter().filter_map(|word| line.find(word)).min();
    let line = &line[..end.unwrap_or(line.len())];
    let line = line.trim_end_matches([':', ',', ' ']);
    match line.split_once(": ") {
        Some((place, rest)) if place.starts_with("line ") => rest.to_owned(),
        _ => line.to_owned(),
    }
}

/// Errors of the parser know their line and column, and not always their byte.
fn with_bytes(mut place: Place, text: &str) -> Place {
    if place.bytes.start == 0 && place.line > 0 {
        let before = text.split_inclusive('\n').take(place.line - 1).map(str::len).sum();
        let line = text[before..].split('\n').next().unwrap_or_default();
        let column = line.char_indices().nth(place.column.saturating_sub(1));
        let start = before + column.map_or(line.len(), |(at, _)| at);
        place.bytes = start..start;
    }
    place
}

fn place_of(location: &Location) -> Place {
    let span = location.span();
    let start = span.byte_offset().unwrap_or(0) as usize;
    let end = start + span.byte_len().unwrap_or(0) as usize;
    Place { line: location.line() as usize, column: location.column() as usize, bytes: start..end }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Node { place: place_of(&spanned.referenced), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyValue;

        impl<'de> Visitor<'de> for AnyValue {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a YAML value")
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_none<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
                Value::deserialize(deserializer)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(Value::Integer(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(Value::Integer(value.into()))
            }

            fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
                Ok(Value::Integer(value))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                Ok(Value::Number(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(Value::Text(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
                let mut nodes = Vec::new();
                while let Some(node) = list.next_element()? {
                    nodes.push(node);
                }
                Ok(Value::List(nodes))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(name) = map.next_key::<Spanned<String>>()? {
                    let place = place_of(&name.referenced);
                    entries.push((Name { text: name.value, place }, map.next_value()?));
                }
                Ok(Value::Map(entries))
            }
        }

        deserializer.deserialize_any(AnyValue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> (Name, Node) {
        match parse(text).unwrap().value {
            Value::Map(mut entries) => entries.pop().unwrap(),
            other => panic!("a mapping was expected, not {other:?}"),
        }
    }

    #[test]
    fn a_key_and_its_value_know_where_they_stand() {
        let (name, node) = entry("a:\n  # remark\n  naïve: 'x y'\n");
        assert_eq!((name.text.as_str(), name.place.line, name.place.column), ("a", 1, 1));
        let Value::Map(inner) = node.value else { panic!("`a` holds a mapping") };
        let text = "a:\n  # remark\n  naïve: 'x y'\n";
        let (name, node) = &inner[0];
        assert_eq!((name.place.line, name.place.column), (3, 3));
        assert_eq!(&text[name.place.bytes.clone()], "naïve");
        assert_eq!((node.place.line, node.place.column), (3, 10));
        assert_eq!(&text[node.place.bytes.clone()], "'x y'");
        assert_eq!(node.value, Value::Text("x y".into()));
    }

    #[test]
    fn scalars_are_what_they_look_like_and_nothing_cleverer() {
        let cases = [
            ("yes", Value::Text("yes".into())),
            ("NO", Value::Text("NO".into())),
            ("on", Value::Text("on".into())),
            ("true", Value::Bool(true)),
            ("'true'", Value::Text("true".into())),
            ("0777", Value::Text("0777".into())),
            ("00000429", Value::Text("00000429".into())),
            ("1_000", Value::Text("1_000".into())),
            ("-3", Value::Integer(-3)),
            ("18446744073709551615", Value::Integer(u64::MAX.into())),
            ("1e-4", Value::Number(1e-4)),
            ("0.5", Value::Number(0.5)),
            ("'1'", Value::Text("1".into())),
            ("~", Value::Null),
            ("", Value::Null),
            ("12:30", Value::Text("12:30".into())),
        ];
        for (text, expected) in cases {
            assert_eq!(entry(&format!("k: {text}")).1.value, expected, "{text}");
        }
    }

    #[test]
    fn a_key_given_twice_is_there_twice() {
        let Value::Map(entries) = parse("a: 1\na: 2\n").unwrap().value else { panic!() };
        assert_eq!(entries.len(), 2);
    }

    #[test]
    fn a_bomb_is_an_error_within_a_tenth_of_a_second() {
        let mut laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..9 {
            let alias = format!("*a{},", level - 1).repeat(9);
            laughs.push_str(&format!("a{level}: &a{level} [{}]\n", alias.trim_end_matches(',')));
        }
        let bombs = [
            ("aliases", laughs),
            ("length", "a: b\n".repeat(BYTES_MAX / 5 + 1)),
            ("brackets", "[".repeat(20_000)),
            ("braces", "{a: ".repeat(20_000)),
            ("dashes", "- ".repeat(500_000)),
            ("values", format!("[{}]", "1,".repeat(500_000))),
            ("keys", (0..100_000).map(|i| format!("k{i}: 1\n")).take(90_000).collect()),
            ("documents", "---\n".repeat(200_000)),
            ("anchors", (0..40_000).map(|i| format!("- &a{i} x\n")).collect::<String>()),
            ("indent", (0..1_000).map(|i| format!("{}a:\n", " ".repeat(i))).collect()),
        ];
        for (name, bomb) in bombs {
            // The fastest of three: others may be working on this machine.
            let elapsed = (0..3).map(|_| {
                let start = std::time::Instant::now();
                assert!(parse(&bomb).is_err(), "{name} was taken");
                start.elapsed()
            });
            let elapsed = elapsed.min().expect("three were timed");
            assert!(elapsed.as_millis() < 100, "{name} took {elapsed:?}");
        }
    }

    #[test]
    fn a_syntax_error_says_what_and_where() {
        let error = parse("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(error.place.as_ref().is_some_and(|place| place.line >= 2), "{error:?}");
        assert!(!error.message.contains("line "), "{error:?}");
    }

    #[test]
    fn no_text_makes_the_parser_panic() {
        let pieces = [
            "a: ",
            "\n",
            "  ",
            "- ",
            "[",
            "]",
            "{",
            "}",
            "'",
            "\"",
            "&x ",
            "*x",
            "|",
            ">",
            "#",
            "\t",
            "\u{feff}",
            "é",
            "\0",
            "!!int ",
            "? ",
            "<<: ",
            "---",
            "...",
            "%YAML 1.2\n",
            "0x1F",
            ".nan",
        ];
        let mut state = 7_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..12 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text.push_str(pieces[(state >> 33) as usize % pieces.len()]);
            }
            let _ = parse(&text);
        }
    }
}
