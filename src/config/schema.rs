//! A JSON Schema for configuration files, for editors that complete and check as one types.

use serde_json::{Map, Value, json};

use super::keys::{self, Effect, Entry, Key, Kind};
use super::yaml;

/// The schema (draft 2020-12) of a configuration file.
#[must_use]
pub fn schema() -> Value {
    let defaults = yaml::parse(super::DEFAULT_YAML).expect("the defaults are YAML");
    let mut root = section("", &defaults);
    let object = root.as_object_mut().expect("a section's schema is an object");
    object.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    object.insert("title".into(), "seerflow-dataflow configuration".into());
    root
}

fn section(path: &str, defaults: &yaml::Node) -> Value {
    let mut properties = Map::new();
    for entry in keys::names_in(path) {
        let default = child(defaults, entry.name());
        let mut property = match entry.is_section() {
            true => {
                let nothing = yaml::Node { value: yaml::Value::Null, place: Default::default() };
                section(&entry.path, default.unwrap_or(&nothing))
            }
            false => or_null(of_kind(entry.key.kind)),
        };
        let object = property.as_object_mut().expect("a schema is an object");
        object.insert("description".into(), about(entry).into());
        if let Some(default) = default.filter(|_| !entry.is_section()).and_then(plain) {
            object.insert("default".into(), default);
        }
        if matches!(entry.effect, Effect::Alias(_)) {
            object.insert("deprecated".into(), true.into());
        }
        properties.insert(entry.name().to_owned(), property);
    }
    json!({ "type": ["object", "null"], "properties": properties, "additionalProperties": false })
}

fn about(entry: &Entry) -> String {
    let about = flat(entry.key.about);
    match &entry.effect {
        Effect::Now => about,
        Effect::Later => format!("{about} Known, and without effect yet."),
        Effect::Alias(path) => format!("{about} Another name of `{path}`."),
    }
}

/// A doc comment on one line.
fn flat(about: &str) -> String {
    about.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn child<'n>(node: &'n yaml::Node, name: &str) -> Option<&'n yaml::Node> {
    match &node.value {
        yaml::Value::Map(entries) => {
            entries.iter().find(|(key, _)| key.text == name).map(|(_, node)| node)
        }
        _ => None,
    }
}

/// A default that does not depend on the environment.
fn plain(node: &yaml::Node) -> Option<Value> {
    match &node.value {
        yaml::Value::Null => None,
        yaml::Value::Bool(value) => Some((*value).into()),
        yaml::Value::Integer(number) => Some(u64::try_from(*number).ok()?.into()),
        yaml::Value::Number(number) => Some((*number).into()),
        yaml::Value::Text(text) | yaml::Value::Untyped(text) => {
            (!text.contains("${")).then(|| text.as_str().into())
        }
        yaml::Value::List(nodes) => nodes.iter().map(plain).collect(),
        yaml::Value::Map(entries) => entries
            .iter()
            .map(|(name, node)| Some((name.text.clone(), plain(node)?)))
            .collect::<Option<Map<_, _>>>()
            .map(Value::Object),
    }
}

/// The same, or nothing (which means the default), or a variable.
fn or_null(schema: Value) -> Value {
    let variable =
        json!({ "type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}" });
    let is_text = schema["type"] == "string" && schema.get("enum").is_none();
    match schema.get("type").and_then(Value::as_str) {
        Some("integer" | "number" | "boolean" | "string") if !is_text => {
            json!({ "anyOf": [schema, variable, { "type": "null" }] })
        }
        Some(_) => json!({ "anyOf": [schema, { "type": "null" }] }),
        None => schema,
    }
}

fn of_kind(kind: Kind) -> Value {
    match kind {
        Kind::Switch => json!({ "type": "boolean" }),
        Kind::Integer(least, u64::MAX) => json!({ "type": "integer", "minimum": least }),
        Kind::Integer(least, most) => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Kind::Number(least, most) => {
            json!({ "type": "number", "minimum": least, "maximum": most })
        }
        Kind::Between(least, most) => {
            json!({ "type": "number", "exclusiveMinimum": least, "exclusiveMaximum": most })
        }
        Kind::Text(most) | Kind::Pattern(most) => json!({ "type": "string", "maxLength": most }),
        Kind::Choice(words) => json!({ "type": "string", "enum": words }),
        Kind::Secret | Kind::Levels | Kind::Address | Kind::Zone => json!({ "type": "string" }),
        Kind::Path | Kind::Url => json!({ "type": "string", "minLength": 1 }),
        Kind::OrNone(_) => json!({ "type": "string" }),
        Kind::Required(kind) => of_kind(*kind),
        Kind::List(kind) => json!({ "type": "array", "items": of_kind(*kind) }),
        Kind::Map(kind) => json!({ "type": "object", "additionalProperties": of_kind(*kind) }),
        Kind::Words(kind) => json!({
            "type": "object",
            // Letters of all languages, digits and `_`; not every reader of schemas knows `\p`.
            "propertyNames": { "pattern": r"^[^\s!-/:-@\[-\^`{-~]+$" },
            "additionalProperties": of_kind(*kind),
        }),
        Kind::Object(keys) => object(keys),
        Kind::Any => json!({}),
    }
}

fn object(keys: &[Key]) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for key in keys {
        let mut property = of_kind(key.kind);
        let object = property.as_object_mut().expect("a schema is an object");
        object.insert("description".into(), flat(key.about).into());
        properties.insert(key.name.to_owned(), property);
        if matches!(key.kind, Kind::Required(_)) {
            required.push(key.name);
        }
    }
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_holds_every_name_of_every_key_with_its_default() {
        let schema = schema();
        for entry in keys::all().filter(|entry| !entry.is_section()) {
            let mut at = &schema;
            for name in entry.path.split('.') {
                at = &at["properties"][name];
            }
            assert!(at["description"].is_string(), "{}", entry.path);
            let from_outside = entry.path == "state.dir";
            if entry.effect == Effect::Now && !from_outside {
                assert!(at.get("default").is_some(), "{}", entry.path);
            }
        }
        assert_eq!(
            schema["properties"]["receivers"]["properties"]["syslog_udp_port"]["anyOf"][0],
            json!({ "type": "integer", "minimum": 1, "maximum": 65_535 })
        );
        assert_eq!(schema["properties"]["receivers"]["additionalProperties"], json!(false));
    }
}
