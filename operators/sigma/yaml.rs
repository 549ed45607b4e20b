//! YAML with a place for every node. The only module that knows the YAML library.
//!
//! It builds a small tree from the events of `granit-parser` (the parser inside serde-saphyr),
//! because a tree made through serde costs three times as much and knows fewer places. Scalars
//! follow the core schema of YAML 1.2, read narrowly, as rule authors mean them:
//!
//! - `yes`, `no`, `on`, `off` are text; only `true` and `false` are booleans;
//! - numbers with leading zeros or underscores are text: `00000429` is a keyboard layout;
//! - a number keeps its spelling, so that `1.10` can still be compared with the text `1.10`.
//!
//! Bounds: [`BYTES_MAX`], [`NODES_MAX`] after aliases are expanded, [`DEPTH_MAX`]. A repeated key
//! is a fault. `<<` merges mappings; keys that are there already win.

use std::collections::BTreeMap;

use granit_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use super::diagnose::{Fault, Pos, quoted};
use crate::types::hash::Set;

/// The largest file, in bytes.
pub const BYTES_MAX: usize = 1 << 20;
/// The most nodes of one document, each use of an alias counted with all that it stands for.
pub const NODES_MAX: usize = 1 << 18;
/// The deepest nesting of lists and mappings.
pub const DEPTH_MAX: usize = 64;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: Pos,
    pub(crate) value: Yaml,
    /// Columns from `at` to the first character of the text: 1 after a quote. `None` for text
    /// that does not stand on one line as it is.
    inset: Option<u8>,
    /// How many nodes this is with all below it.
    size: u32,
}

/// What a [`Node`] can be.
#[derive(Clone, Debug)]
pub(crate) enum Yaml {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A number and its spelling.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Number {
    pub(crate) value: f64,
    /// Set when it is whole and fits.
    pub(crate) int: Option<i64>,
    pub(crate) spelling: String,
}

/// The key of a mapping's entry.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) at: Pos,
    pub(crate) name: String,
}

impl Node {
    /// A node that stands nowhere as it is.
    pub(crate) fn new(at: Pos, value: Yaml) -> Self {
        Node { at, value, inset: None, size: 1 }
    }

    /// The place of the character `chars` into the text, as far as that can be told.
    pub(crate) fn inside(&self, chars: usize) -> Pos {
        match self.inset {
            Some(inset) => {
                let column = self.at.column + u32::from(inset) + chars as u32;
                Pos { line: self.at.line, column }
            }
            None => self.at,
        }
    }

    /// The value under `key`, if this is a mapping that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// The key and value under `key`, if this is a mapping that has it.
    pub(crate) fn entry(&self, key: &str) -> Option<(&Key, &Node)> {
        match &self.value {
            Yaml::Map(entries) => {
                entries.iter().find(|(k, _)| k.name == key).map(|(k, node)| (k, node))
            }
            _ => None,
        }
    }

    /// The spelling of a scalar; `None` for null, lists and mappings.
    pub(crate) fn scalar(&self) -> Option<&str> {
        match &self.value {
            Yaml::Text(text) => Some(text),
            Yaml::Number(number) => Some(&number.spelling),
            Yaml::Bool(true) => Some("true"),
            Yaml::Bool(false) => Some("false"),
            Yaml::Null | Yaml::List(_) | Yaml::Map(_) => None,
        }
    }

    /// What kind of node this is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Yaml::Null => "nothing",
            Yaml::Bool(_) => "a boolean",
            Yaml::Number(_) => "a number",
            Yaml::Text(_) => "text",
            Yaml::List(_) => "a list",
            Yaml::Map(_) => "a mapping",
        }
    }
}

/// The documents of a file, as far as they could be read, and the fault that ended it.
pub(crate) fn documents(text: &str) -> (Vec<Node>, Option<Fault>) {
    if text.len() > BYTES_MAX {
        let reason = format!("the file has {} bytes; a rule file may have {BYTES_MAX}", text.len());
        return (Vec::new(), Some(Fault::new(Pos::START, "too-large", reason)));
    }
    let mut builder = Builder { documents: Vec::new(), open: Vec::new(), nodes: 0 };
    let fault = builder.run(text).err();
    (builder.documents, fault)
}

/// Where a mapping or list under construction stands.
struct Open {
    at: Pos,
    anchor: usize,
    size: u32,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    Map {
        entries: Vec<(Key, Node)>,
        /// The names, once there are enough that looking through the entries is slow.
        names: Set<String>,
        /// The key whose value comes next.
        key: Option<Key>,
        /// The mappings that `<<` named.
        merged: Vec<Node>,
    },
}

struct Builder {
    documents: Vec<Node>,
    open: Vec<Open>,
    nodes: usize,
}

impl Builder {
    fn run(&mut self, text: &str) -> Result<(), Fault> {
        let options = granit_parser::options! {
            emit_comments: false,
            flow_nesting_limit: DEPTH_MAX,
            block_nesting_limit: DEPTH_MAX,
        };
        let mut anchors: BTreeMap<usize, Node> = BTreeMap::new();
        for next in Parser::new_from_str_with_options(text, options) {
            let (event, span) = next.map_err(|error| {
                let reason = format!("not YAML: {}", error.info());
                Fault::new(place(error.marker()), "not-yaml", reason)
            })?;
            let at = place(&span.start);
            match event {
                Event::DocumentStart(..) => {
                    self.nodes = 0;
                    anchors.clear();
                }
                Event::Scalar(text, style, anchor, tag) => {
                    let node = scalar(&text, style, tag.as_deref(), at, &span);
                    self.value(node, anchor, &mut anchors)?;
                }
                Event::SequenceStart(_, anchor, _) => {
                    self.begin(at, anchor, OpenKind::List(Vec::new()))?;
                }
                Event::MappingStart(_, anchor, _) => {
                    let kind = OpenKind::Map {
                        entries: Vec::new(),
                        names: Set::default(),
                        key: None,
                        merged: Vec::new(),
                    };
                    self.begin(at, anchor, kind)?;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    let (node, anchor) = self.end();
                    self.value(node, anchor, &mut anchors)?;
                }
                Event::Alias(id) => {
                    let Some(target) = anchors.get(&id) else {
                        let reason = "an alias inside the value that it stands for";
                        return Err(Fault::new(at, "bad-alias", reason));
                    };
                    if self.nodes + target.size as usize > NODES_MAX {
                        return Err(too_many(at));
                    }
                    self.nodes += target.size as usize;
                    let node = Node { at, ..target.clone() };
                    self.place_value(node)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn begin(&mut self, at: Pos, anchor: usize, kind: OpenKind) -> Result<(), Fault> {
        if self.open.len() == DEPTH_MAX {
            let reason = format!("nested deeper than {DEPTH_MAX}");
            return Err(Fault::new(at, "too-deep", reason));
        }
        self.open.push(Open { at, anchor, size: 1, kind });
        Ok(())
    }

    fn end(&mut self) -> (Node, usize) {
        let open = self.open.pop().expect("the parser ends only what it began");
        let value = match open.kind {
            OpenKind::List(items) => Yaml::List(items),
            OpenKind::Map { mut entries, merged, .. } => {
                for source in merged {
                    let Yaml::Map(inherited) = source.value else { continue };
                    for (key, value) in inherited {
                        if entries.iter().all(|(k, _)| k.name != key.name) {
                            entries.push((key, value));
                        }
                    }
                }
                Yaml::Map(entries)
            }
        };
        (Node { at: open.at, value, inset: None, size: open.size }, open.anchor)
    }

    /// A node is complete: counts it, remembers it under its anchor, and puts it in its place.
    fn value(
        &mut self,
        node: Node,
        anchor: usize,
        anchors: &mut BTreeMap<usize, Node>,
    ) -> Result<(), Fault> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(too_many(node.at));
        }
        if anchor != 0 {
            // The copy counts too, so that anchors within anchors stay within the budget.
            self.nodes += node.size as usize;
            anchors.insert(anchor, node.clone());
        }
        self.place_value(node)
    }

    fn place_value(&mut self, node: Node) -> Result<(), Fault> {
        let Some(parent) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        parent.size = parent.size.saturating_add(node.size);
        match &mut parent.kind {
            OpenKind::List(items) => items.push(node),
            OpenKind::Map { entries, names, key, merged } => match key.take() {
                None => *key = Some(next_key(node, entries, names)?),
                Some(key) if key.name == "<<" => match node.value {
                    Yaml::Map(_) => merged.push(node),
                    Yaml::List(items) => merged.extend(items),
                    _ => {
                        let reason = format!("`<<` merges mappings, not {}", node.kind());
                        return Err(Fault::new(node.at, "bad-merge", reason));
                    }
                },
                Some(key) => entries.push((key, node)),
            },
        }
        Ok(())
    }
}

fn next_key(node: Node, entries: &[(Key, Node)], names: &mut Set<String>) -> Result<Key, Fault> {
    const FEW: usize = 16;
    let name = match (&node.value, node.scalar()) {
        (_, Some(text)) => text.to_owned(),
        (Yaml::Null, None) => String::new(),
        (_, None) => {
            let reason = format!("a key must be text, not {}", node.kind());
            return Err(Fault::new(node.at, "bad-key", reason));
        }
    };
    let repeated = match entries.len() {
        ..FEW => entries.iter().any(|(key, _)| key.name == name),
        FEW => {
            names.extend(entries.iter().map(|(key, _)| key.name.clone()));
            !names.insert(name.clone())
        }
        _ => !names.insert(name.clone()),
    };
    if repeated {
        let first = entries.iter().find(|(key, _)| key.name == name);
        let line = first.map_or(0, |(key, _)| key.at.line);
        let reason = format!("the key {} stands twice; first on line {line}", quoted(&name));
        return Err(Fault::new(node.at, "duplicate-key", reason)
            .hint("to require both, use `|all` or a list of mappings"));
    }
    Ok(Key { at: node.at, name })
}

fn too_many(at: Pos) -> Fault {
    let reason = format!("more than {NODES_MAX} values, aliases expanded");
    Fault::new(at, "too-many-nodes", reason)
}

fn place(marker: &Marker) -> Pos {
    Pos { line: marker.line() as u32, column: marker.col() as u32 + 1 }
}

fn scalar(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    at: Pos,
    span: &granit_parser::Span,
) -> Node {
    let written = span.end.index().saturating_sub(span.start.index());
    let one_line = span.start.line() == span.end.line();
    let as_it_is = |quotes: usize| one_line && written == text.chars().count() + quotes;
    let inset = match style {
        ScalarStyle::Plain if as_it_is(0) => Some(0),
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted if as_it_is(2) => Some(1),
        _ => None,
    };
    let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
    let value = match style {
        ScalarStyle::Plain if !is_text => plain(text),
        _ => Yaml::Text(text.to_owned()),
    };
    Node { at, value, inset, size: 1 }
}

/// What a scalar without quotes stands for.
fn plain(text: &str) -> Yaml {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Yaml::Null,
        "true" | "True" | "TRUE" => return Yaml::Bool(true),
        "false" | "False" | "FALSE" => return Yaml::Bool(false),
        _ => {}
    }
    match number(text) {
        Some(number) => Yaml::Number(number),
        None => Yaml::Text(text.to_owned()),
    }
}

/// A decimal number without leading zeros, or `0x…`, `0o…`.
fn number(text: &str) -> Option<Number> {
    let spelling = || text.to_owned();
    let whole = |int: i64| Some(Number { value: int as f64, int: Some(int), spelling: spelling() });
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            let plain = digits.bytes().all(|b| b.is_ascii_hexdigit());
            return match plain {
                true => i64::from_str_radix(digits, radix).ok().and_then(whole),
                false => None,
            };
        }
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let leading = digits.bytes().take_while(u8::is_ascii_digit).count();
    if leading > 1 && digits.starts_with('0') {
        return None;
    }
    if leading == digits.len() && leading > 0 {
        // What does not fit stays text, which keeps all its digits.
        return text.parse().ok().and_then(whole);
    }
    let rest = &digits[leading..];
    let fraction = rest.strip_prefix('.').unwrap_or("");
    let decimals = fraction.bytes().take_while(u8::is_ascii_digit).count();
    if leading + decimals == 0 {
        return None;
    }
    let tail = if rest.starts_with('.') { &fraction[decimals..] } else { rest };
    let exponent = match tail.strip_prefix(['e', 'E']) {
        Some(exponent) => exponent.strip_prefix(['-', '+']).unwrap_or(exponent),
        None if tail.is_empty() => "0",
        None => return None,
    };
    if exponent.is_empty() || !exponent.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    value.is_finite().then(|| Number { value, int: None, spelling: spelling() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Node {
        let (mut documents, fault) = documents(text);
        assert_eq!(fault, None);
        assert_eq!(documents.len(), 1);
        documents.remove(0)
    }

    fn fault(text: &str) -> Fault {
        documents(text).1.expect("this text has a fault")
    }

    #[test]
    fn leading_zeros_underscores_and_yes_are_text() {
        for text in ["00000429", "0777", "1_000", "yes", "NO", "on", "1.2.3", "5h", "-", "e5", "."]
        {
            assert!(matches!(plain(text), Yaml::Text(_)), "{text}");
        }
        for text in ["0", "-1", "4625", "0x1F", "1.5", ".5", "1e3", "-2.5E-3"] {
            assert!(matches!(plain(text), Yaml::Number(_)), "{text}");
        }
    }

    #[test]
    fn every_value_knows_its_line_and_column() {
        let node = one("a: 1\nb:\n    - x\n    - 'y z'\n");
        let (key, list) = node.entry("b").unwrap();
        assert_eq!(key.at, Pos { line: 2, column: 1 });
        let Yaml::List(items) = &list.value else { panic!("a list") };
        assert_eq!(items[1].at, Pos { line: 4, column: 7 });
        assert_eq!(items[1].inside(2), Pos { line: 4, column: 10 });
    }

    #[test]
    fn a_repeated_key_is_a_fault_at_the_second() {
        let fault = fault("a: 1\nb: 2\na: 3\n");
        assert_eq!((fault.code, fault.at), ("duplicate-key", Pos { line: 3, column: 1 }));
        let many: String = (0..40).map(|i| format!("k{i}: 1\n")).collect();
        let again = documents(&format!("{many}k3: 1\n")).1.unwrap();
        assert_eq!(again.at.line, 41);
    }

    #[test]
    fn aliases_are_expanded_within_a_budget() {
        let node = one("a: &x [1, 2]\nb: *x\nc: {<<: {d: 1, e: 2}, e: 3}\n");
        assert!(matches!(&node.get("b").unwrap().value, Yaml::List(items) if items.len() == 2));
        let merged = node.get("c").unwrap();
        assert_eq!(merged.get("d").unwrap().scalar(), Some("1"));
        assert_eq!(merged.get("e").unwrap().scalar(), Some("3"));
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for i in 1..10 {
            let uses = vec![format!("*a{}", i - 1); 9].join(", ");
            bomb.push_str(&format!("a{i}: &a{i} [{uses}]\n"));
        }
        assert_eq!(fault(&bomb).code, "too-many-nodes");
    }

    #[test]
    fn nesting_has_an_end() {
        assert!(documents(&"[".repeat(20_000)).1.is_some());
        assert!(documents(&format!("{}x", "- ".repeat(20_000))).1.is_some());
    }

    #[test]
    fn a_fault_keeps_the_documents_before_it() {
        let (documents, fault) = documents("a: 1\n---\nb: [1\n---\nc: 1\n");
        assert_eq!(documents.len(), 1);
        assert!(fault.is_some());
    }
}
