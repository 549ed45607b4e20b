//! Configurations as text: the defaults with their meaning, and what is in effect with its origin.

use std::fmt::Write;

use config::ValueKind;
use serde_json::json;

use super::keys::{self, Effect, Entry, Kind};
use super::settings::Settings;
use super::{Loaded, yaml};

/// How wide remarks are, their indentation included.
const WIDTH: usize = 96;

/// `configs/default.yaml`, made anew from its values and from what the keys say of themselves.
#[must_use]
pub fn annotated(values: &str) -> String {
    let root = yaml::parse(values).expect("the defaults are YAML");
    let mut out = String::new();
    remark(
        &mut out,
        0,
        "Every key that has an effect, with its unit and default. The program has this file in it; \
         a configuration holds only what is to be different. Values may hold `${NAME}` and \
         `${NAME:-value}` from the environment. The remarks are made from the program's own \
         description of its keys, and a test compares them.",
    );
    section(&mut out, "", Settings::KEYS, &root, values);
    out
}

fn section(out: &mut String, path: &str, keys: &[keys::Key], node: &yaml::Node, text: &str) {
    let depth = if path.is_empty() { 0 } else { path.split('.').count() };
    for key in keys {
        let full = keys::join(path, key.name);
        let entry = keys::find(&full).expect("the table holds every key");
        let child = match &node.value {
            yaml::Value::Map(entries) => entries.iter().find(|(name, _)| name.text == key.name),
            _ => None,
        };
        if depth == 0 {
            out.push('\n');
        }
        remark(out, depth, &explained(entry));
        let indent = "  ".repeat(depth);
        match (key.kind, child) {
            (Kind::Object(keys), Some((_, node))) => {
                _ = writeln!(out, "{indent}{}:", key.name);
                section(out, &full, keys, node, text);
            }
            (_, Some((_, node))) => {
                _ = writeln!(out, "{indent}{}: {}", key.name, given(node, text))
            }
            // Shows at once what is missing; the file does not load until it has a value.
            (_, None) => _ = writeln!(out, "{indent}{}: ~", key.name),
        }
    }
}

/// What a key means, its range if it has one, and its other names.
fn explained(entry: &Entry) -> String {
    let mut about = entry.key.about.split_whitespace().collect::<Vec<_>>().join(" ");
    match entry.key.kind {
        Kind::Integer(least, u64::MAX) => _ = write!(about, " From {least}."),
        Kind::Integer(least, most) => _ = write!(about, " From {least} to {most}."),
        Kind::Number(least, most) => _ = write!(about, " From {least} to {most}."),
        Kind::Between(least, most) => _ = write!(about, " Above {least}, below {most}."),
        _ => {}
    }
    let aliases = keys::aliases_of(&entry.path);
    if !aliases.is_empty() {
        let names: Vec<String> = aliases.iter().map(|alias| format!("`{alias}`")).collect();
        _ = write!(about, " Also: {}.", names.join(", "));
    }
    about
}

/// A value as it is written in `text`; lists and mappings on one line.
fn given(node: &yaml::Node, text: &str) -> String {
    match &node.value {
        yaml::Value::List(nodes) => {
            let items: Vec<String> = nodes.iter().map(|node| given(node, text)).collect();
            format!("[{}]", items.join(", "))
        }
        yaml::Value::Map(entries) => {
            let items: Vec<String> = entries
                .iter()
                .map(|(name, node)| format!("{}: {}", quoted(&name.text), given(node, text)))
                .collect();
            format!("{{{}}}", items.join(", "))
        }
        _ => text[node.place.bytes.clone()].to_owned(),
    }
}

fn remark(out: &mut String, depth: usize, text: &str) {
    let indent = "  ".repeat(depth);
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && indent.len() + 2 + line.len() + 1 + word.len() > WIDTH {
            _ = writeln!(out, "{indent}# {line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    _ = writeln!(out, "{indent}# {line}");
}

/// What is in effect, as YAML, each value with where it comes from. Secrets are not shown.
#[must_use]
pub fn effective(loaded: &Loaded) -> String {
    let mut out = String::new();
    let mut open: Vec<&str> = Vec::new();
    for (entry, value, origin) in in_effect(loaded) {
        let mut sections: Vec<&str> = entry.path.split('.').collect();
        let name = sections.pop().expect("a path has a last part");
        let common = open.iter().zip(&sections).take_while(|(a, b)| a == b).count();
        for (depth, section) in sections.iter().enumerate().skip(common) {
            _ = writeln!(out, "{}{section}:", "  ".repeat(depth));
        }
        let line = format!("{}{name}: {}", "  ".repeat(sections.len()), shown(entry, value));
        _ = match entry.effect {
            Effect::Later => writeln!(out, "{line:<44} # {origin}; no effect yet"),
            _ => writeln!(out, "{line:<44} # {origin}"),
        };
        open = sections;
    }
    out
}

/// What is in effect, as one JSON object from path to value and origin. Secrets are not shown.
#[must_use]
pub fn effective_json(loaded: &Loaded) -> serde_json::Value {
    in_effect(loaded)
        .into_iter()
        .map(|(entry, value, origin)| {
            let value = if entry.key.kind.is_secret() { json!("***") } else { to_json(value) };
            (entry.path.clone(), json!({ "value": value, "origin": origin }))
        })
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Every key that has a value. Sections of keys that do nothing come where they would in the file.
fn in_effect(loaded: &Loaded) -> Vec<(&'static Entry, &ValueKind, String)> {
    let mut found: Vec<_> = keys::leaves()
        .into_iter()
        .filter_map(|entry| {
            let (value, origin) = loaded.value(&entry.path)?;
            Some((entry, value, loaded.place(origin)))
        })
        .collect();
    // YAML wants a section in one piece.
    let mut order: Vec<&str> = Vec::new();
    for (entry, _, _) in &found {
        for (at, _) in entry.path.match_indices('.').chain([(entry.path.len(), "")]) {
            if !order.contains(&&entry.path[..at]) {
                order.push(&entry.path[..at]);
            }
        }
    }
    let rank = |path: &str| order.iter().position(|known| *known == path);
    found.sort_by_cached_key(|(entry, _, _)| {
        let path = &entry.path;
        let ends = path.match_indices('.').map(|(at, _)| at).chain([path.len()]);
        ends.map(|end| rank(&path[..end])).collect::<Vec<_>>()
    });
    found
}

fn shown(entry: &Entry, value: &ValueKind) -> String {
    match entry.key.kind.is_secret() {
        true => "'***'".to_owned(),
        false => to_yaml(value),
    }
}

fn to_yaml(value: &ValueKind) -> String {
    match value {
        ValueKind::Nil => "''".to_owned(),
        ValueKind::String(text) => quoted(text),
        ValueKind::Array(list) => {
            let items: Vec<String> = list.iter().map(|value| to_yaml(&value.kind)).collect();
            format!("[{}]", items.join(", "))
        }
        ValueKind::Table(map) => {
            let mut items: Vec<String> = map
                .iter()
                .map(|(name, value)| format!("{}: {}", quoted(name), to_yaml(&value.kind)))
                .collect();
            items.sort();
            format!("{{{}}}", items.join(", "))
        }
        other => to_json(other).to_string(),
    }
}

fn to_json(value: &ValueKind) -> serde_json::Value {
    match value {
        ValueKind::Nil => serde_json::Value::Null,
        ValueKind::Boolean(value) => json!(value),
        ValueKind::I64(number) => json!(number),
        ValueKind::U64(number) => json!(number),
        ValueKind::I128(number) => json!(*number as f64),
        ValueKind::U128(number) => json!(*number as f64),
        ValueKind::Float(number) => json!(number),
        ValueKind::String(text) => json!(text),
        ValueKind::Array(list) => list.iter().map(|value| to_json(&value.kind)).collect(),
        ValueKind::Table(map) => map
            .iter()
            .map(|(name, value)| (name.clone(), to_json(&value.kind)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

/// Text as YAML takes it: plain where that is the same, else in double quotes.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_./+-".contains(&b))
        && yaml::parse_alone(text).is_ok_and(|value| value == yaml::Value::Text(text.to_owned()));
    if plain { text.to_owned() } else { json!(text).to_string() }
}
