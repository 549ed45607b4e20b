//! Field modifiers: what `Field|a|b: values` asks.
//!
//! Modifiers work from left to right on each value. Some add wildcards, some make several values
//! of one, some turn the value into another kind of test; `all`, `neq` and `cased` are about the
//! item and may stand anywhere.

use super::detection::{Comparison, Item, Network, Relation, Test, TimePart, Value};
use super::diagnose::{Fault, Gravity, Pos, quoted};
use super::regex::{Flags, Regex};
use super::value::{EXPANSIONS_MAX, Part, Pattern};
use super::yaml::{Key, Node, Yaml};

/// Every modifier there is.
pub const MODIFIERS: [&str; 34] = [
    "contains",
    "startswith",
    "endswith",
    "all",
    "re",
    "i",
    "m",
    "s",
    "ignorecase",
    "multiline",
    "dotall",
    "cidr",
    "windash",
    "base64",
    "base64offset",
    "wide",
    "utf16le",
    "utf16be",
    "utf16",
    "cased",
    "exists",
    "lt",
    "lte",
    "gt",
    "gte",
    "neq",
    "fieldref",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "year",
    "expand",
];

/// The most modifiers of one field.
const CHAIN_MAX: usize = 12;

/// A keyword without modifiers: a number or a text of its own in a selection.
pub(crate) fn keyword(node: &Node) -> Result<Item, Fault> {
    let chain = Chain { at: node.at, written: "", field: None, modifiers: Vec::new() };
    chain.item(std::slice::from_ref(node), &mut Vec::new())
}

/// The entry of a selection's mapping.
pub(crate) fn item(
    key: &Key,
    node: &Node,
    said: &mut Vec<(Gravity, Fault)>,
) -> Result<Item, Fault> {
    let mut parts = key.name.split('|');
    let field = parts.next().filter(|field| !field.is_empty());
    let modifiers: Vec<&str> = parts.collect();
    if modifiers.len() > CHAIN_MAX {
        let reason = format!("more than {CHAIN_MAX} modifiers on field {}", quoted(&key.name));
        return Err(Fault::new(key.at, "too-many-modifiers", reason));
    }
    let chain = Chain { at: key.at, written: &key.name, field, modifiers };
    match &node.value {
        Yaml::List(values) if values.is_empty() => {
            let reason = "an empty list is taken as `null`: the field must be missing";
            said.push((Gravity::Warning, Fault::new(node.at, "empty-list", reason)));
            let null = Node::new(node.at, Yaml::Null);
            chain.item(&[null], said)
        }
        Yaml::List(values) => chain.item(values, said),
        _ => chain.item(std::slice::from_ref(node), said),
    }
}

struct Chain<'a> {
    at: Pos,
    written: &'a str,
    field: Option<&'a str>,
    modifiers: Vec<&'a str>,
}

/// A value on its way through the modifiers.
#[derive(Clone, Debug)]
enum Draft {
    Text(Pattern),
    /// The bytes of a text in another encoding.
    Bytes(Vec<u8>),
    /// Text that is only right in its case.
    Cased(Pattern),
    Number(super::yaml::Number),
    Bool(bool),
    Null,
    Exists(bool),
    Regex(String),
    Network(Network),
    Compare(Comparison, f64),
    Field(String, Relation),
    Time(TimePart, Comparison, i64),
    Part(TimePart, i64),
}

impl Chain<'_> {
    fn item(&self, nodes: &[Node], said: &mut Vec<(Gravity, Fault)>) -> Result<Item, Fault> {
        let has = |name: &str| self.modifiers.contains(&name);
        let item = Item {
            field: self.field.map(str::to_owned),
            written: self.written.to_owned(),
            at: self.at,
            values: Vec::new(),
            all: has("all"),
            negated: has("neq"),
        };
        if has("exists") && nodes.len() != 1 {
            return Err(self.fault("bad-value", "`exists` takes one boolean, not a list"));
        }
        let mut values = Vec::with_capacity(nodes.len());
        for node in nodes {
            if matches!(node.value, Yaml::Null) && nodes.len() > 1 {
                let reason = "`null` does not belong into a list of values";
                let fault = Fault::new(node.at, "null-in-list", reason);
                said.push((Gravity::Warning, fault.hint("write a selection of its own")));
            }
            self.value(node, &mut values)?;
        }
        Ok(Item { values, ..item })
    }

    fn fault(&self, code: &'static str, reason: impl Into<String>) -> Fault {
        Fault::new(self.at, code, format!("{}: {}", self.name(), reason.into()))
    }

    fn name(&self) -> String {
        match self.field {
            Some(field) => format!("field {}", quoted(field)),
            None => "keywords".to_owned(),
        }
    }

    /// The tests that one value makes.
    fn value(&self, node: &Node, out: &mut Vec<Value>) -> Result<(), Fault> {
        let at = node.at;
        let mut drafts = vec![self.draft(node)?];
        let mut flags = Flags::default();
        let mut cased = false;
        let mut started = false;
        for (i, name) in self.modifiers.iter().enumerate() {
            match *name {
                "all" | "neq" => {
                    if self.modifiers[..i].contains(name) {
                        return Err(self.fault("bad-modifier", format!("`{name}` stands twice")));
                    }
                    continue;
                }
                "cased" => {
                    cased = true;
                    continue;
                }
                "re" | "cidr" | "exists" if started => {
                    let reason = format!("`{name}` must be the first modifier");
                    return Err(self.fault("modifier-order", reason));
                }
                "i" | "ignorecase" | "m" | "multiline" | "s" | "dotall" => {
                    if !matches!(drafts.as_slice(), [Draft::Regex(_)]) {
                        let reason = format!("`{name}` is a flag of `re` and must follow it");
                        return Err(self.fault("modifier-order", reason));
                    }
                    match name.as_bytes()[0] {
                        b'i' => flags.ignore_case = true,
                        b'm' => flags.multi_line = true,
                        _ => flags.dot_all = true,
                    }
                    continue;
                }
                _ => {}
            }
            started = true;
            let mut next = Vec::with_capacity(drafts.len());
            for draft in drafts {
                self.apply(name, draft, at, node, &mut next)?;
            }
            if next.len() > EXPANSIONS_MAX {
                let reason = format!("one value stands for more than {EXPANSIONS_MAX} strings");
                return Err(self.fault("too-many-expansions", reason));
            }
            drafts = next;
        }
        for draft in drafts {
            out.push(Value { at, test: self.test(draft, flags, cased, at)? });
        }
        Ok(())
    }

    fn draft(&self, node: &Node) -> Result<Draft, Fault> {
        let raw = self.modifiers.iter().find(|name| !matches!(**name, "all" | "neq"));
        Ok(match (&node.value, raw) {
            (Yaml::Null, _) => Draft::Null,
            (Yaml::Bool(value), _) => Draft::Bool(*value),
            (Yaml::Number(number), _) => Draft::Number(number.clone()),
            // An expression is not a string of Sigma: its backslashes are its own.
            (Yaml::Text(text), Some(&"re")) => Draft::Regex(text.clone()),
            (Yaml::Text(text), _) => Draft::Text(Pattern::parse(text)),
            (Yaml::List(_) | Yaml::Map(_), _) => {
                let reason =
                    format!("a value of {} must be a scalar, not {}", self.name(), node.kind());
                return Err(Fault::new(node.at, "nested-value", reason)
                    .hint("nested fields are written with dots: `a.b: value`"));
            }
        })
    }

    fn apply(
        &self,
        name: &str,
        draft: Draft,
        at: Pos,
        node: &Node,
        out: &mut Vec<Draft>,
    ) -> Result<(), Fault> {
        let wrong = |wanted: &str| {
            let given = node.scalar().map_or_else(|| node.kind().to_owned(), quoted);
            let reason = format!("{}: `{name}` wants {wanted}, not {given}", self.name());
            Err(Fault::new(at, "bad-value", reason))
        };
        let done = match name {
            "contains" | "startswith" | "endswith" => match affix(name, draft) {
                Some(draft) => draft,
                None => return wrong("text"),
            },
            "re" => match (draft, node.scalar()) {
                (Draft::Regex(source), _) => Draft::Regex(source),
                (Draft::Number(_) | Draft::Bool(_), Some(text)) => Draft::Regex(text.to_owned()),
                _ => return wrong("a regular expression"),
            },
            "cidr" => match Network::parse(node.scalar().unwrap_or("")) {
                Ok(network) => Draft::Network(network),
                Err(reason) => {
                    let reason = format!("{}: {reason}", self.name());
                    return Err(Fault::new(at, "bad-network", reason));
                }
            },
            "exists" => match node.scalar().map(str::to_ascii_lowercase).as_deref() {
                Some("true") => Draft::Exists(true),
                Some("false") => Draft::Exists(false),
                _ => return wrong("`true` or `false`"),
            },
            "windash" => match as_text(draft) {
                Some(pattern) => Draft::Text(pattern.windash()),
                None => return wrong("text"),
            },
            "expand" => match draft {
                Draft::Text(pattern) => Draft::Text(pattern.placeholders()),
                _ => return wrong("text with a `%placeholder%`"),
            },
            "fieldref" => match as_text(draft) {
                Some(pattern) => match pattern.as_literal() {
                    Some(other) if !other.is_empty() => {
                        Draft::Field(other.to_owned(), Relation::Equals)
                    }
                    _ => return wrong("the name of a field, without wildcards"),
                },
                None => return wrong("the name of a field"),
            },
            "wide" | "utf16le" | "utf16be" | "utf16" => {
                return self.each_literal(name, draft, at, out, |text| {
                    vec![Draft::Bytes(utf16(text, name))]
                });
            }
            "base64" | "base64offset" => {
                let encode = |bytes: &[u8]| match name {
                    "base64" => vec![base64(bytes)],
                    _ => shifted_base64(bytes),
                };
                let cased = |texts: Vec<String>| -> Vec<Draft> {
                    texts.iter().map(|text| Draft::Cased(Pattern::literal(text))).collect()
                };
                if let Draft::Bytes(bytes) = &draft {
                    out.extend(cased(encode(bytes)));
                    return Ok(());
                }
                return self
                    .each_literal(name, draft, at, out, |text| cased(encode(text.as_bytes())));
            }
            "minute" | "hour" | "day" | "week" | "month" | "year" => {
                let (part, least, most) = match name {
                    "minute" => (TimePart::Minute, 0, 59),
                    "hour" => (TimePart::Hour, 0, 23),
                    "day" => (TimePart::Day, 1, 31),
                    "week" => (TimePart::Week, 1, 53),
                    "month" => (TimePart::Month, 1, 12),
                    _ => (TimePart::Year, 0, 9999),
                };
                match node.scalar().and_then(|text| text.parse::<i64>().ok()) {
                    Some(number) if (least..=most).contains(&number) => Draft::Part(part, number),
                    _ => return wrong(&format!("a number from {least} to {most}")),
                }
            }
            name => match (Comparison::from_name(name).filter(|_| name != "eq"), draft) {
                (Some(comparison), Draft::Part(part, n)) => Draft::Time(part, comparison, n),
                (Some(comparison), Draft::Number(number)) => {
                    Draft::Compare(comparison, number.value)
                }
                (Some(comparison), Draft::Text(_)) => {
                    match node.scalar().and_then(|text| text.parse::<f64>().ok()) {
                        Some(number) if number.is_finite() => Draft::Compare(comparison, number),
                        _ => return wrong("a number"),
                    }
                }
                (Some(_), _) => return wrong("a number"),
                (None, _) => {
                    let reason = format!("unknown modifier {} on {}", quoted(name), self.name());
                    return Err(
                        Fault::new(self.at, "unknown-modifier", reason).suggest(name, MODIFIERS)
                    );
                }
            },
        };
        out.push(done);
        Ok(())
    }

    /// Applies an encoding to a text without wildcards, each way its dashes can be written.
    fn each_literal(
        &self,
        name: &str,
        draft: Draft,
        at: Pos,
        out: &mut Vec<Draft>,
        encode: impl Fn(&str) -> Vec<Draft>,
    ) -> Result<(), Fault> {
        let fault = |reason: String| Err(Fault::new(at, "bad-value", reason));
        let Some(pattern) = as_text(draft) else {
            return fault(format!("{}: `{name}` wants text", self.name()));
        };
        let Some(patterns) = pattern.without_dashes(EXPANSIONS_MAX) else {
            return fault(format!(
                "{}: this value stands for more than {EXPANSIONS_MAX} strings",
                self.name()
            ));
        };
        for pattern in patterns {
            match pattern.as_literal() {
                Some("") => return fault(format!("{}: `{name}` of nothing", self.name())),
                Some(text) => out.extend(encode(text)),
                None if pattern.has_placeholders() => {
                    return fault(format!(
                        "{}: `{name}` can not encode a placeholder",
                        self.name()
                    ));
                }
                None => {
                    return fault(format!("{}: `{name}` can not encode a wildcard", self.name()));
                }
            }
        }
        Ok(())
    }

    fn test(&self, draft: Draft, flags: Flags, cased: bool, at: Pos) -> Result<Test, Fault> {
        let keyword = self.field.is_none();
        let anywhere = |pattern: Pattern| {
            let placed =
                ["startswith", "endswith"].iter().any(|name| self.modifiers.contains(name));
            match keyword && !placed {
                true => pattern.open_start().open_end(),
                false => pattern,
            }
        };
        if cased && !matches!(draft, Draft::Text(_) | Draft::Cased(_)) {
            return Err(self.fault("bad-modifier", "`cased` is for text"));
        }
        Ok(match draft {
            Draft::Text(pattern) => Test::Text { pattern: anywhere(pattern), cased },
            Draft::Cased(pattern) if pattern.as_literal() == Some("") => {
                return Err(Fault::new(at, "bad-value", format!("{}: too short", self.name())));
            }
            Draft::Cased(pattern) => Test::Text { pattern: anywhere(pattern), cased: true },
            Draft::Bytes(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Test::Text { pattern: anywhere(Pattern::literal(&text)), cased },
                Err(_) => {
                    let reason = "`wide` and `utf16` without `base64` make bytes that are no text";
                    return Err(self.fault("bad-modifier", reason));
                }
            },
            Draft::Number(number) if keyword => {
                let pattern = anywhere(Pattern::literal(&number.spelling));
                Test::Text { pattern, cased: false }
            }
            Draft::Number(number) => {
                let canonical = match number.int {
                    Some(int) => int.to_string(),
                    None => number.value.to_string(),
                };
                Test::Number { canonical, spelling: number.spelling }
            }
            Draft::Bool(value) if keyword => {
                let text = if value { "true" } else { "false" };
                Test::Text { pattern: anywhere(Pattern::literal(text)), cased: false }
            }
            Draft::Bool(value) => Test::Bool(value),
            Draft::Regex(source) => Test::Regex(Box::new(Regex::new(&source, flags, at)?)),
            _ if keyword => {
                let reason = "this test wants a field";
                return Err(Fault::new(at, "bad-keyword", format!("keywords: {reason}")));
            }
            Draft::Null => Test::Null,
            Draft::Exists(there) => Test::Exists(there),
            Draft::Network(network) => Test::Network(network),
            Draft::Compare(comparison, number) => Test::Compare(comparison, number),
            Draft::Field(other, relation) => Test::Field { other, relation },
            Draft::Part(part, n) => Test::Time(part, Comparison::Equal, n),
            Draft::Time(part, comparison, n) => Test::Time(part, comparison, n),
        })
    }
}

/// The pattern of a text, a number or a boolean.
fn as_text(draft: Draft) -> Option<Pattern> {
    match draft {
        Draft::Text(pattern) => Some(pattern),
        Draft::Number(number) => Some(Pattern::literal(&number.spelling)),
        Draft::Bool(true) => Some(Pattern::literal("true")),
        Draft::Bool(false) => Some(Pattern::literal("false")),
        _ => None,
    }
}

fn affix(name: &str, draft: Draft) -> Option<Draft> {
    let place = |pattern: Pattern| match name {
        "contains" => pattern.open_start().open_end(),
        "startswith" => pattern.open_end(),
        _ => pattern.open_start(),
    };
    Some(match draft {
        Draft::Cased(pattern) => Draft::Cased(place(pattern)),
        Draft::Bytes(bytes) => {
            Draft::Text(place(Pattern::literal(std::str::from_utf8(&bytes).ok()?)))
        }
        Draft::Field(other, _) => Draft::Field(
            other,
            match name {
                "contains" => Relation::Contains,
                "startswith" => Relation::StartsWith,
                _ => Relation::EndsWith,
            },
        ),
        // The search of an expression is unanchored: `contains` asks nothing more.
        Draft::Regex(source) => Draft::Regex(match name {
            "contains" => source,
            "startswith" => format!(r"\A(?:{source})"),
            _ => format!(r"(?:{source})\z"),
        }),
        draft => Draft::Text(place(as_text(draft)?)),
    })
}

fn utf16(text: &str, name: &str) -> Vec<u8> {
    let mark = (name == "utf16").then_some(0xFEFF);
    let bytes = |unit: u16| match name {
        "utf16be" => unit.to_be_bytes(),
        _ => unit.to_le_bytes(),
    };
    mark.into_iter().chain(text.encode_utf16()).flat_map(bytes).collect()
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            match i <= chunk.len() {
                true => out.push(ALPHABET[(bits >> (18 - 6 * i) & 63) as usize] as char),
                false => out.push('='),
            }
        }
    }
    out
}

/// The text that stands in base64 wherever `bytes` stand in what was encoded, for each of the
/// three places at which they can begin: without the characters that also depend on neighbours.
fn shifted_base64(bytes: &[u8]) -> Vec<String> {
    let shifted = |shift: usize| {
        let padded: Vec<u8> =
            std::iter::repeat_n(b' ', shift).chain(bytes.iter().copied()).collect();
        let encoded = base64(&padded);
        let start = [0, 2, 3][shift];
        let end = encoded.len() - [0, 3, 2][padded.len() % 3];
        encoded.get(start..end).unwrap_or("").to_owned()
    };
    (0..3).map(shifted).collect()
}

/// The literal texts and runs of a pattern, for those that must look at each.
pub(crate) fn only_runs(pattern: &Pattern) -> bool {
    !pattern.parts().is_empty() && pattern.parts().iter().all(|part| *part == Part::Any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_what_rfc_4648_says() {
        for (plain, encoded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn one_of_the_shifted_forms_stands_in_every_encoding() {
        for secret in ["http://", "/bin/sh", "IEX (New-Object", "abc", "abcd"] {
            let forms = shifted_base64(secret.as_bytes());
            for before in 0..7 {
                for after in 0..4 {
                    let text = format!("{}{secret}{}", "x".repeat(before), "\u{1}".repeat(after));
                    let encoded = base64(text.as_bytes());
                    let form = &forms[before % 3];
                    assert!(encoded.contains(form.as_str()), "{secret} {before} {after}");
                }
            }
        }
    }

    #[test]
    fn utf16_comes_in_three_kinds() {
        assert_eq!(utf16("a", "wide"), [b'a', 0]);
        assert_eq!(utf16("a", "utf16be"), [0, b'a']);
        assert_eq!(utf16("a", "utf16"), [0xFF, 0xFE, b'a', 0]);
    }
}
