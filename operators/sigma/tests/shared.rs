//! Where data lies that is not part of the project, and the test's own way from it to records.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::*;

/// The folder of shared data, or a line that says it is not there.
#[expect(clippy::disallowed_methods, reason = "a test may ask where its data lies")]
pub(in crate::sigma) fn shared(what: &str) -> Option<PathBuf> {
    let named = std::env::var("SEERFLOW_SHARED").ok().map(PathBuf::from);
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    let folder = named.unwrap_or_else(|| PathBuf::from(beside)).join("data/sigma");
    if folder.join(what).exists() {
        return Some(folder.join(what));
    }
    println!("skipped: no {what} in {}; set SEERFLOW_SHARED", folder.display());
    None
}

/// Files, by path.
pub(super) type Files = Vec<(String, Vec<u8>)>;

/// The files of the rule corpus, by path, as `(path, text)`; the folder of unsupported ones apart.
pub(super) fn corpus() -> Option<(Files, Files)> {
    let archive = shared("rules.tar.xz")?;
    let packed = std::fs::read(archive).expect("readable");
    let mut archive = tar::Archive::new(lzma_rust2::XzReader::new(&packed[..], true));
    let mut files = Files::new();
    for entry in archive.entries().expect("an archive") {
        let mut entry = entry.expect("whole");
        let name = entry.path().expect("a name").display().to_string();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("whole");
        files.push((name.strip_prefix("./").unwrap_or(&name).to_owned(), content));
    }
    files.retain(|(name, _)| name.ends_with(".yml"));
    files.sort();
    let (unsupported, active) =
        files.into_iter().partition(|(name, _)| name.starts_with("unsupported/"));
    Some((active, unsupported))
}

/// A record of the regression samples: its named values and views.
pub(super) struct Sample {
    pub(super) rule: String,
    pub(super) event: usize,
    pub(super) fields: Vec<(String, serde_json::Value)>,
    pub(super) views: Vec<LogSource>,
}

/// The regression samples as records: fields and views of sigma-mapping.md §2 and §3.
pub(super) fn samples() -> Option<Vec<Sample>> {
    let text = std::fs::read_to_string(shared("regression.jsonl")?).expect("readable");
    let map = std::fs::read_to_string(shared("logsource_map.json")?).expect("readable");
    let map: serde_json::Value = serde_json::from_str(&map).expect("JSON");
    let mut samples = Vec::new();
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let raw = line["raw"].as_str().expect("raw text");
        let stream = serde_json::Deserializer::from_str(raw).into_iter::<serde_json::Value>();
        for (event, record) in stream.enumerate() {
            let mut fields = windows_fields(&record.expect("JSON")["Event"]);
            let views = windows_views(&mut fields, &map);
            let rule = line["rule_id"].as_str().expect("an id").to_owned();
            samples.push(Sample { rule, event, fields, views });
        }
    }
    Some(samples)
}

fn windows_fields(event: &serde_json::Value) -> Vec<(String, serde_json::Value)> {
    let mut fields: Vec<(String, serde_json::Value)> = Vec::new();
    let attributes =
        |value: &serde_json::Value| value["#attributes"].as_object().cloned().unwrap_or_default();
    for (name, value) in event["System"].as_object().expect("System") {
        for (attribute, value) in attributes(value) {
            fields.push((format!("{name}_{attribute}"), value));
        }
        match value {
            serde_json::Value::Null => {}
            serde_json::Value::Object(object) => {
                fields.extend(object.get("#text").map(|text| (name.clone(), text.clone())));
            }
            value => fields.push((name.clone(), value.clone())),
        }
    }
    let user = event["UserData"].as_object().and_then(|user| user.values().next());
    let data = [&event["EventData"], user.unwrap_or(&serde_json::Value::Null)];
    for data in data {
        for (attribute, value) in attributes(data) {
            fields.push((format!("EventData_{attribute}"), value));
        }
        for (name, value) in data.as_object().into_iter().flatten() {
            if name == "#attributes" {
                continue;
            }
            let name = name.replace(' ', "");
            let taken = fields.iter().any(|(known, _)| *known == name);
            let name = if taken { format!("EventData_{name}") } else { name };
            fields.push((name, value.clone()));
        }
    }
    fields
}

fn windows_views(
    fields: &mut Vec<(String, serde_json::Value)>,
    map: &serde_json::Value,
) -> Vec<LogSource> {
    let text = |fields: &[(String, serde_json::Value)], name: &str| {
        let value = fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        match value {
            Some(serde_json::Value::String(text)) => text,
            Some(value) => value.to_string(),
            None => String::new(),
        }
    };
    let channel = text(fields, "Channel").to_lowercase();
    let services: Vec<String> = map["channels"][&channel]
        .as_array()
        .map(|list| list.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect())
        .unwrap_or_default();
    let mut views: Vec<LogSource> =
        services.iter().map(|service| LogSource::new("", "windows", service)).collect();
    if views.is_empty() {
        views.push(LogSource::new("", "windows", ""));
    }
    let mut renamed = Vec::new();
    for row in map["categories"].as_array().expect("rows") {
        let own = row["service"].as_str().is_some_and(|own| services.iter().any(|s| s == own));
        let holds = row["conditions"].as_object().expect("conditions").iter().all(|(name, any)| {
            let have = text(fields, name);
            let alike = |one: &serde_json::Value| match one {
                serde_json::Value::String(one) => *one == have,
                serde_json::Value::Number(one) => one.as_i64() == have.parse().ok(),
                _ => false,
            };
            any.as_array().map_or_else(|| alike(any), |any| any.iter().any(alike))
        });
        if !own || !holds {
            continue;
        }
        let category = row["category"].as_str().unwrap_or_default();
        let product = row["product"].as_str().unwrap_or_default();
        views.push(LogSource::new(category, product, ""));
        for (to, from) in row["fieldmappings"].as_object().into_iter().flatten() {
            let from = from.as_str().unwrap_or_default();
            let value = fields.iter().find(|(name, _)| name == from);
            renamed.extend(value.map(|(_, value)| (to.clone(), value.clone())));
        }
    }
    fields.extend(renamed);
    views
}

/// A sample as a record of a rule set. `flat` keeps the values.
pub(super) fn record<'a>(
    set: &Arc<RuleSet>,
    flat: &'a [(String, Value<'a>)],
    views: &[LogSource],
) -> Record<'a> {
    let mut record = Record::new();
    for (name, value) in flat {
        record.push(set, name, *value);
    }
    views.iter().for_each(|view| record.push_view(set.view(view)));
    record
}

/// The values of a sample, flattened.
pub(super) fn flat(sample: &Sample) -> Vec<(String, Value<'_>)> {
    let mut flat = Vec::new();
    for (name, value) in &sample.fields {
        match value {
            serde_json::Value::Array(elements) => {
                flat.extend(elements.iter().map(|element| (name.clone(), own(element))));
            }
            serde_json::Value::Object(object) => {
                let inner = object.iter();
                flat.extend(inner.map(|(key, value)| (format!("{name}.{key}"), own(value))));
            }
            value => flat.push((name.clone(), own(value))),
        }
    }
    flat
}

fn own(value: &serde_json::Value) -> Value<'_> {
    match value {
        serde_json::Value::String(text) => Value::Text(text.as_str()),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(int) => Value::Int(int),
            None => Value::Float(number.as_f64().unwrap_or(0.0)),
        },
        serde_json::Value::Bool(value) => Value::Bool(*value),
        _ => Value::Null,
    }
}
