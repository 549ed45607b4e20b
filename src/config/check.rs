//! Holds a YAML tree against the [keys](super::keys): what is unknown, of the wrong kind, out of
//! range, given twice or missing. Goes on after a problem, so that all are told at once.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::LazyLock;

use config::{Value as Setting, ValueKind};

use super::interpolate::{Environment, interpolate};
use super::keys::{self, Effect, Entry, Key, Kind};
use super::report::{Origin, Problem};
use super::suggest::{suggest, suggest_word};
use super::yaml::{Node, Place, Value};
use crate::telemetry::Levels;

/// The values of one layer, by path.
pub(super) type Layer = BTreeMap<String, Leaf>;

/// A checked value and where it comes from.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    /// The value; `None` asks for the default.
    pub value: Option<Setting>,
    /// Where it was given.
    pub origin: Origin,
    /// The name under which it was given, if that is not its own.
    pub alias: Option<String>,
}

/// Checks layers, and gathers what is wrong with them.
pub(super) struct Checker<'e> {
    pub environment: &'e Environment,
    pub problems: Vec<Problem>,
    /// Where each path of a list of paths was given, as `rules.dirs[0]`. Later layers win.
    pub paths: BTreeMap<String, Origin>,
}

impl<'e> Checker<'e> {
    pub(super) fn new(environment: &'e Environment) -> Self {
        Checker { environment, problems: Vec::new(), paths: BTreeMap::new() }
    }

    /// The values of a configuration file.
    pub(super) fn file(&mut self, root: &Node, origin: fn(Place) -> Origin) -> Layer {
        let mut layer = Layer::new();
        self.section("", root, &Place::default(), origin, &mut layer);
        layer
    }

    /// A value given by its path, outside the file.
    pub(super) fn single(&mut self, path: &str, node: &Node, origin: &Origin, layer: &mut Layer) {
        let Some(entry) = keys::find(path) else {
            let (section, name) = keys::split(path);
            self.unknown(section, name, origin.clone());
            return;
        };
        if entry.is_section() {
            if node.value == Value::Null {
                return;
            }
            let Value::Map(_) = node.value else {
                let title =
                    format!("`{path}` is a section and holds keys, not {}", node.value.kind());
                self.problem(title, origin.clone(), "", vec![names_help(path)]);
                return;
            };
            let Value::Map(entries) = &node.value else { return };
            for (name, node) in entries {
                self.single(&keys::join(path, &name.text), node, origin, layer);
            }
            return;
        }
        self.leaf(entry, node, origin.clone(), layer);
    }

    fn section(
        &mut self,
        path: &str,
        node: &Node,
        name_place: &Place,
        origin: fn(Place) -> Origin,
        layer: &mut Layer,
    ) {
        let entries = match &node.value {
            Value::Null => return,
            Value::Map(entries) => entries,
            other => {
                let place = if path.is_empty() { &node.place } else { name_place };
                let title = match path {
                    "" => format!("a configuration is a mapping of sections, not {}", other.kind()),
                    _ => format!("`{path}` is a section and holds keys, not {}", other.kind()),
                };
                self.problem(title, origin(place.clone()), "", vec![names_help(path)]);
                return;
            }
        };
        let mut seen: BTreeMap<&str, &Place> = BTreeMap::new();
        for (name, node) in entries {
            if let Some(first) = seen.insert(&name.text, &name.place) {
                let section = if path.is_empty() { "here".into() } else { format!("in `{path}`") };
                let title = format!("`{}` is given twice {section}", name.text);
                let label = format!("first on line {}", first.line);
                self.problem(title, origin(name.place.clone()), &label, Vec::new());
                continue;
            }
            let full = keys::join(path, &name.text);
            match keys::find(&full) {
                // A dot in a name must not reach into another section.
                Some(entry) if !name.text.contains('.') => match entry.is_section() {
                    true => self.section(&full, node, &name.place, origin, layer),
                    false => {
                        let place = match node.value {
                            Value::List(_) | Value::Map(_) => &name.place,
                            _ if node.place.bytes.is_empty() => &name.place,
                            _ => &node.place,
                        };
                        self.leaf(entry, node, origin(place.clone()), layer);
                    }
                },
                _ => self.unknown(path, &name.text, origin(name.place.clone())),
            }
        }
    }

    fn leaf(&mut self, entry: &Entry, node: &Node, origin: Origin, layer: &mut Layer) {
        let (path, alias) = match &entry.effect {
            Effect::Alias(path) => (path.clone(), Some(entry.path.clone())),
            _ => (entry.path.clone(), None),
        };
        let value = match node.value {
            Value::Null => None,
            _ => match self.value(&entry.path, entry.key.kind, node, &origin) {
                Some(value) => value,
                None => return,
            },
        };
        if let Some(before) = layer.get(&path) {
            let other = before.alias.as_deref().unwrap_or(&path);
            if other != entry.path {
                let title = format!("`{}` and `{other}` are two names of one key", entry.path);
                let help = vec![format!("keep `{path}`")];
                self.problem(title, origin, &format!("the other: {}", before.origin), help);
                return;
            }
        }
        if let (Kind::List(Kind::Path), Value::List(nodes)) = (entry.key.kind, &node.value) {
            let given = nodes.iter().map(|node| at(&node.place, &origin));
            let given =
                (0..).zip(given).map(|(number, place)| (format!("{path}[{number}]"), place));
            self.paths.extend(given.collect::<Vec<(String, Origin)>>());
        }
        layer.insert(path, Leaf { value, origin, alias });
    }

    /// The value, if it is of its kind. `Some(None)` asks for the default, which is what an empty
    /// text from outside means where text is not wanted.
    fn value(
        &mut self,
        path: &str,
        kind: Kind,
        node: &Node,
        origin: &Origin,
    ) -> Option<Option<Setting>> {
        if let Value::Text(text) = &node.value {
            match interpolate(text, self.environment) {
                Ok(expanded) if expanded.variables.is_empty() => {
                    let value = Value::Text(expanded.text.into_owned());
                    return self.typed(path, kind, &value, node, origin, &[]);
                }
                Ok(expanded) => {
                    let value = Value::Untyped(expanded.text.into_owned());
                    return self.typed(path, kind, &value, node, origin, &expanded.variables);
                }
                Err(error) => {
                    let at = at(&node.place, origin);
                    let help = vec!["`${NAME:-value}` gives a value to take instead".to_owned()];
                    self.problem(format!("`{path}`: {error}"), at, "", help);
                    return None;
                }
            }
        }
        self.typed(path, kind, &node.value, node, origin, &[])
    }

    fn typed(
        &mut self,
        path: &str,
        kind: Kind,
        value: &Value,
        node: &Node,
        origin: &Origin,
        variables: &[String],
    ) -> Option<Option<Setting>> {
        let setting = |kind: ValueKind| Some(Some(Setting::new(Some(&origin.to_string()), kind)));
        if let Value::Untyped(text) = value
            && text.trim().is_empty()
            && !matches!(kind, Kind::Text(_) | Kind::Secret | Kind::Choice(_) | Kind::OrNone(_))
        {
            return Some(None);
        }
        match (kind, value) {
            (Kind::Required(kind), _) => {
                return self.typed(path, *kind, value, node, origin, variables);
            }
            (Kind::OrNone(_), Value::Text(text) | Value::Untyped(text)) if text.is_empty() => {
                return setting(ValueKind::Nil);
            }
            (Kind::OrNone(kind), _) => {
                return self.typed(path, *kind, value, node, origin, variables);
            }
            (Kind::List(kind), Value::List(nodes)) => {
                let mut list = Vec::with_capacity(nodes.len());
                let mut whole = true;
                for (index, node) in nodes.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    let origin = at(&node.place, origin);
                    match self.value(&path, *kind, node, &origin) {
                        Some(item) => list.extend(item),
                        None => whole = false,
                    }
                }
                return whole.then(|| setting(ValueKind::Array(list)))?;
            }
            (Kind::Map(inner) | Kind::Words(inner), Value::Map(entries)) => {
                let mut map = config::Map::new();
                let mut whole = true;
                for (name, node) in entries {
                    let path = keys::join(path, &name.text);
                    let origin = at(&name.place, origin);
                    if matches!(kind, Kind::Words(_)) && !is_word(&name.text) {
                        let title = format!("`{path}`: a name here is of letters, digits and `_`");
                        let bare = name.text.trim_matches('%');
                        let help = is_word(bare).then(|| format!("write `{bare}`"));
                        self.problem(title, origin, "", help.into_iter().collect());
                        whole = false;
                        continue;
                    }
                    match self.value(&path, *inner, node, &origin) {
                        Some(Some(value)) => {
                            if map.insert(name.text.clone(), value).is_some() {
                                let title = format!("`{path}` is given twice");
                                self.problem(title, origin, "", Vec::new());
                                whole = false;
                            }
                        }
                        Some(None) => {}
                        None => whole = false,
                    }
                }
                return whole.then(|| setting(ValueKind::Table(map)))?;
            }
            (Kind::Object(keys), Value::Map(entries)) => {
                return self.object(path, keys, entries, origin).map(Some);
            }
            (Kind::Any, _) => return setting(anything(value)),
            _ => {}
        }
        match scalar(kind, value) {
            Some(kind) => setting(kind),
            None => {
                let at = at(&node.place, origin);
                let (title, help) = wanted(path, kind, value, &at, variables);
                self.problem(title, at, "", help);
                None
            }
        }
    }

    /// A mapping within a list, such as one webhook of many.
    fn object(
        &mut self,
        path: &str,
        keys: &'static [Key],
        entries: &[(super::yaml::Name, Node)],
        origin: &Origin,
    ) -> Option<Setting> {
        let mut map = config::Map::new();
        let mut whole = true;
        for (name, node) in entries {
            let full = keys::join(path, &name.text);
            let here = at(&name.place, origin);
            let Some(key) = keys.iter().find(|key| key.name == name.text) else {
                let names: Vec<&str> = keys.iter().map(|key| key.name).collect();
                let title = format!("unknown key `{}` in `{path}`", name.text);
                let label = suggest_word(&name.text, &names).unwrap_or_default();
                self.problem(title, here, &label, vec![format!("keys here: {}", names.join(", "))]);
                whole = false;
                continue;
            };
            if node.value == Value::Null {
                continue;
            }
            match self.value(&full, key.kind, node, &here) {
                Some(Some(value)) => {
                    if map.insert(name.text.clone(), value).is_some() {
                        self.problem(format!("`{full}` is given twice"), here, "", Vec::new());
                        whole = false;
                    }
                }
                Some(None) => {}
                None => whole = false,
            }
        }
        for key in keys {
            match key.kind {
                Kind::Required(_) if whole && !map.contains_key(key.name) => {
                    let title = format!("`{path}` has no `{}`", key.name);
                    self.problem(title, origin.clone(), "", Vec::new());
                    whole = false;
                }
                Kind::List(_) if !map.contains_key(key.name) => {
                    let empty = Setting::new(None, ValueKind::Array(Vec::new()));
                    map.insert(key.name.to_owned(), empty);
                }
                _ => {}
            }
        }
        whole.then(|| Setting::new(Some(&origin.to_string()), ValueKind::Table(map)))
    }

    fn unknown(&mut self, section: &str, name: &str, origin: Origin) {
        let title = match section {
            "" => format!("unknown key `{name}`"),
            _ => format!("unknown key `{name}` in `{section}`"),
        };
        let label = suggest(section, name).unwrap_or_default();
        let help = if label.is_empty() { vec![names_help(section)] } else { Vec::new() };
        self.problem(title, origin, &label, help);
    }

    pub(super) fn problem(
        &mut self,
        title: String,
        origin: Origin,
        label: &str,
        help: Vec<String>,
    ) {
        self.problems.push(Problem { title, origin, label: label.to_owned(), help });
    }
}

/// The origin, moved to a place in the file if that is where it is.
fn at(place: &Place, origin: &Origin) -> Origin {
    match origin {
        Origin::File(_) if !place.bytes.is_empty() => Origin::File(place.clone()),
        other => other.clone(),
    }
}

/// What must stand there, and what stands there instead. What a variable holds is not told.
fn wanted(
    path: &str,
    kind: Kind,
    value: &Value,
    origin: &Origin,
    variables: &[String],
) -> (String, Vec<String>) {
    let mut help = Vec::new();
    let got = match (value, origin) {
        _ if !variables.is_empty() => {
            let names: Vec<String> =
                variables.iter().map(|name| format!("`${{{name}}}`")).collect();
            format!("what {} holds is not", names.join(" and "))
        }
        (_, Origin::Environment(_)) => "what this variable holds is not".to_owned(),
        (Value::Text(_) | Value::Untyped(_), _) if kind.is_secret() => "this is not".to_owned(),
        (Value::Text(text) | Value::Untyped(text), _) => {
            let mut shown: String = text.chars().take(40).collect();
            if shown.len() < text.len() {
                shown.push_str("...");
            }
            format!("got `{shown}`")
        }
        (Value::Integer(number), _) => format!("got {number}"),
        (Value::Number(number), _) => format!("got {number}"),
        (Value::Bool(value), _) => format!("got `{value}`"),
        (other, _) => format!("got {}", other.kind()),
    };
    match (kind, value) {
        (Kind::Choice(words), Value::Text(text) | Value::Untyped(text)) if variables.is_empty() => {
            help.extend(suggest_word(&text.to_ascii_lowercase(), words));
        }
        (Kind::List(_), Value::Text(_) | Value::Untyped(_)) if variables.is_empty() => {
            help.push("a list is written `[first, second]`, or with `- ` before each".to_owned());
        }
        (Kind::Switch, Value::Text(text)) if text == "true" || text == "false" => {
            help.push("take the quotes away".to_owned());
        }
        (Kind::Integer(..), Value::Text(text))
            if text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            help.push("leave out the zeros in front".to_owned());
        }
        (Kind::Integer(..) | Kind::Number(..) | Kind::Between(..), Value::Text(text))
            if text.parse::<f64>().is_ok() =>
        {
            help.push("take the quotes away".to_owned());
        }
        (Kind::Text(_) | Kind::Secret | Kind::Path, Value::Integer(_) | Value::Number(_)) => {
            help.push("put it in quotes".to_owned());
        }
        _ => {}
    }
    (format!("`{path}` must be {kind}, {got}"), help)
}

fn names_help(section: &str) -> String {
    let names: Vec<&str> = keys::names_in(section)
        .into_iter()
        .filter(|entry| entry.effect == Effect::Now)
        .map(|entry| entry.name())
        .collect();
    match (section, names.len()) {
        (_, 0) => "all keys: `seerflow-dataflow schema`".to_owned(),
        ("", _) => format!("keys and sections: {}", names.join(", ")),
        _ => format!("keys here: {}", names.join(", ")),
    }
}

/// A scalar as its kind wants it; `None` if it is none of that kind.
fn scalar(kind: Kind, value: &Value) -> Option<ValueKind> {
    let text = match value {
        Value::Text(text) | Value::Untyped(text) => Some(text.as_str()),
        _ => None,
    };
    let untyped = match value {
        Value::Untyped(text) => Some(text.trim()),
        _ => None,
    };
    match kind {
        Kind::Switch => match (value, untyped) {
            (Value::Bool(value), _) => Some(ValueKind::Boolean(*value)),
            (_, Some("true" | "True" | "TRUE")) => Some(ValueKind::Boolean(true)),
            (_, Some("false" | "False" | "FALSE")) => Some(ValueKind::Boolean(false)),
            _ => None,
        },
        Kind::Integer(least, most) => {
            let number = match (value, untyped) {
                (Value::Integer(number), _) => *number,
                (_, Some(text)) => text.parse().ok()?,
                _ => return None,
            };
            let number = u64::try_from(number).ok()?;
            (least..=most).contains(&number).then_some(ValueKind::U64(number))
        }
        Kind::Number(..) | Kind::Between(..) => {
            let number = match (value, untyped) {
                (Value::Number(number), _) => *number,
                (Value::Integer(number), _) => *number as f64,
                (_, Some(text)) => text.parse().ok()?,
                _ => return None,
            };
            let within = match kind {
                Kind::Number(least, most) => least <= number && number <= most,
                Kind::Between(least, most) => least < number && number < most,
                _ => false,
            };
            within.then_some(ValueKind::Float(number))
        }
        Kind::Text(most) => text.filter(|text| text.len() <= most).map(ValueKind::from),
        Kind::Secret => text.filter(|text| text.len() <= 65_536).map(ValueKind::from),
        Kind::Choice(words) => {
            let word = words.iter().find(|word| word.eq_ignore_ascii_case(text.unwrap_or("?")));
            word.map(|word| ValueKind::from(*word))
        }
        Kind::Levels => text.and_then(|text| Some(Levels::parse(text).ok()?.to_string().into())),
        Kind::Address => {
            text.and_then(|text| Some(text.trim().parse::<IpAddr>().ok()?.to_string().into()))
        }
        Kind::Path => match text? {
            text if text.is_empty() || text.contains('\0') || text.len() > 4_096 => None,
            text => Some(text.into()),
        },
        Kind::Url => text.filter(|text| is_url(text)).map(ValueKind::from),
        Kind::Pattern(most) => {
            text.filter(|text| text.len() <= most && is_pattern(text)).map(ValueKind::from)
        }
        Kind::Zone => text.filter(|text| super::zone(text).is_some()).map(ValueKind::from),
        Kind::Required(_) | Kind::OrNone(_) | Kind::List(_) | Kind::Map(_) => None,
        Kind::Words(_) | Kind::Object(_) | Kind::Any => None,
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// Whether it is a regular expression whose program stays small.
fn is_pattern(text: &str) -> bool {
    operators::report::attack::pattern(text).is_ok()
}

fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    !scheme.is_empty()
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && !host.is_empty()
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn anything(value: &Value) -> ValueKind {
    match value {
        Value::Null => ValueKind::Nil,
        Value::Bool(value) => ValueKind::Boolean(*value),
        Value::Integer(number) => match i64::try_from(*number) {
            Ok(number) => ValueKind::I64(number),
            Err(_) => ValueKind::Float(*number as f64),
        },
        Value::Number(number) => ValueKind::Float(*number),
        Value::Text(text) | Value::Untyped(text) => ValueKind::String(text.clone()),
        Value::List(nodes) => ValueKind::Array(
            nodes.iter().map(|node| Setting::new(None, anything(&node.value))).collect(),
        ),
        Value::Map(entries) => ValueKind::Table(
            entries
                .iter()
                .map(|(name, node)| (name.text.clone(), Setting::new(None, anything(&node.value))))
                .collect(),
        ),
    }
}

/// A rule that two or more keys must keep together.
struct Together {
    keys: &'static [&'static str],
    says: &'static str,
    holds: fn(&[Option<&ValueKind>]) -> bool,
}

fn number(value: Option<&ValueKind>) -> f64 {
    match value {
        Some(ValueKind::U64(number)) => *number as f64,
        Some(ValueKind::I64(number)) => *number as f64,
        Some(ValueKind::Float(number)) => *number,
        _ => 0.0,
    }
}

fn is_set(value: Option<&ValueKind>) -> bool {
    !matches!(value, None | Some(ValueKind::Nil))
}

static TOGETHER: LazyLock<Vec<Together>> = LazyLock::new(|| {
    vec![
        Together {
            keys: &["epoch.min_records", "epoch.max_records"],
            says: "`epoch.min_records` must not be more than `epoch.max_records`",
            holds: |values| number(values[0]) <= number(values[1]),
        },
        Together {
            keys: &["receivers.tcp_max_connections_per_peer", "receivers.tcp_max_connections"],
            says: "`receivers.tcp_max_connections_per_peer` must not be more than \
                   `receivers.tcp_max_connections`",
            holds: |values| number(values[0]) <= number(values[1]),
        },
        Together {
            keys: &["journal.segment_mb", "journal.retention_mb"],
            says: "`journal.segment_mb` must not be more than `journal.retention_mb`",
            holds: |values| number(values[0]) <= number(values[1]),
        },
        Together {
            keys: &[
                "detection.budget_weights.content",
                "detection.budget_weights.sequence",
                "detection.budget_weights.rarity",
            ],
            says: "one of `detection.budget_weights` must be more than 0",
            holds: |values| values.iter().any(|value| number(*value) > 0.0),
        },
        Together {
            keys: &[
                "detection.weights_content",
                "detection.weights_sequence",
                "detection.weights_rarity",
            ],
            says: "one of the weights of `detection` must be more than 0",
            holds: |values| values.iter().any(|value| number(*value) > 0.0),
        },
        Together {
            keys: &["alerting.otlp_mtls_cert_file", "alerting.otlp_mtls_key_file"],
            says: "`alerting.otlp_mtls_cert_file` and `alerting.otlp_mtls_key_file` go together",
            holds: |values| is_set(values[0]) == is_set(values[1]),
        },
    ]
});

/// Checks what keys must keep together. `get` gives a value and where it comes from.
pub(super) fn together<'v>(
    get: impl Fn(&str) -> Option<(&'v ValueKind, Origin)>,
    problems: &mut Vec<Problem>,
) {
    for rule in TOGETHER.iter() {
        let found: Vec<_> = rule.keys.iter().map(|key| get(key)).collect();
        let values: Vec<_> =
            found.iter().map(|entry| entry.as_ref().map(|(kind, _)| *kind)).collect();
        if (rule.holds)(&values) {
            continue;
        }
        let given: Vec<_> = rule
            .keys
            .iter()
            .zip(&found)
            .filter_map(|(key, entry)| entry.as_ref().map(|(kind, origin)| (key, kind, origin)))
            .collect();
        let help = given.iter().map(|(key, _, origin)| format!("`{key}`: {origin}")).collect();
        let origin = given.iter().map(|(_, _, origin)| *origin).max();
        problems.push(Problem {
            title: rule.says.to_owned(),
            origin: origin.cloned().unwrap_or(Origin::Default),
            label: String::new(),
            help,
        });
    }
}
