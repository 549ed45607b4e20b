//! Pipelines from YAML. See [`pipeline`](super::pipeline) for what they look like.

use std::sync::Arc;

use super::super::diagnose::{Diagnostic, Fault, Gravity, Pos, quoted};
use super::super::logsource::LogSource;
use super::super::yaml::{self, Key, Node, Yaml};
use super::pipeline::{Convert, Formats, Pattern, Pipeline, Rename, ViewRow, Wanted};

/// The most entries of one list or mapping of a pipeline.
const ENTRIES_MAX: usize = 4_096;

/// The pipelines of a file, one for each document. A bad document costs itself only.
#[must_use]
pub fn parse(name: &str, bytes: &[u8]) -> (Vec<Pipeline>, Vec<Diagnostic>) {
    let file: Arc<str> = name.into();
    let (mut pipelines, mut said) = (Vec::new(), Vec::new());
    let mut fault = |fault: Fault| said.push(fault.diagnostic(&file, None, Gravity::Error));
    let Ok(text) = std::str::from_utf8(bytes) else {
        fault(Fault::new(Pos::START, "not-utf8", "not UTF-8 text"));
        return (pipelines, said);
    };
    let (documents, broken) = yaml::documents(text);
    for node in documents {
        if matches!(node.value, Yaml::Null) {
            continue;
        }
        match pipeline(&node, &file) {
            Ok(pipeline) => pipelines.push(pipeline),
            Err(error) => fault(error),
        }
    }
    broken.into_iter().for_each(fault);
    (pipelines, said)
}

const KEYS: [&str; 7] = ["name", "match", "logsources", "fields", "strip", "programs", "only"];

fn pipeline(node: &Node, file: &Arc<str>) -> Result<Pipeline, Fault> {
    let mut pipeline = Pipeline {
        file: Arc::clone(file),
        at: node.at,
        name: String::new(),
        only: false,
        programs: false,
        formats: Formats::ALL,
        sources: Vec::new(),
        apps: Vec::new(),
        fields: Vec::new(),
        views: Vec::new(),
        renames: Vec::new(),
        strip: Vec::new(),
    };
    for (key, value) in map(node, "a pipeline")? {
        match key.name.as_str() {
            "name" => pipeline.name = text(value, "`name`")?.to_owned(),
            "match" => matches(value, &mut pipeline)?,
            "logsources" => {
                for view in list(value, "`logsources`")? {
                    pipeline.views.push(view_row(view)?);
                }
            }
            "fields" => {
                for (from, to) in map(value, "`fields`")? {
                    renames(&from.name, to, &mut pipeline.renames)?;
                }
            }
            "strip" => pipeline.strip = texts(value, "`strip`")?,
            "programs" => pipeline.programs = switch(value, "`programs`")?,
            "only" => pipeline.only = switch(value, "`only`")?,
            _ => return Err(unknown(key, &KEYS)),
        }
    }
    if pipeline.name.is_empty() {
        return Err(Fault::new(node.at, "no-name", "a pipeline must have a `name`"));
    }
    if pipeline.views.is_empty() && pipeline.renames.is_empty() && !pipeline.programs {
        let reason = "a pipeline must have `logsources` or `fields`, or it does nothing";
        return Err(Fault::new(node.at, "does-nothing", reason));
    }
    Ok(pipeline)
}

fn matches(node: &Node, pipeline: &mut Pipeline) -> Result<(), Fault> {
    const KEYS: [&str; 4] = ["format", "source", "app", "fields"];
    for (key, value) in map(node, "`match`")? {
        match key.name.as_str() {
            "format" => {
                pipeline.formats = Formats::NONE;
                for node in list(value, "`format`")? {
                    let name = text(node, "a format")?;
                    let names = Formats::NAMES.map(|(name, _)| name);
                    let format = Formats::NAMES.iter().find(|(known, _)| *known == name);
                    let Some((_, format)) = format else {
                        let reason = format!(
                            "{} is no format; there are {}",
                            quoted(name),
                            names.join(", ")
                        );
                        return Err(
                            Fault::new(node.at, "unknown-format", reason).suggest(name, names)
                        );
                    };
                    pipeline.formats.add(*format);
                }
            }
            "source" => pipeline.sources = patterns(value, "`source`")?,
            "app" => pipeline.apps = patterns(value, "`app`")?,
            "fields" => pipeline.fields = wanted(value, "`fields`")?,
            _ => return Err(unknown(key, &KEYS)),
        }
    }
    Ok(())
}

fn view_row(node: &Node) -> Result<ViewRow, Fault> {
    const KEYS: [&str; 4] = ["category", "product", "service", "when"];
    let mut view = ViewRow { source: LogSource::default(), when: Vec::new() };
    for (key, value) in map(node, "a log source")? {
        let source = &mut view.source;
        let slot = match key.name.as_str() {
            "category" => &mut source.category,
            "product" => &mut source.product,
            "service" => &mut source.service,
            "when" => {
                view.when = wanted(value, "`when`")?;
                continue;
            }
            _ => return Err(unknown(key, &KEYS)),
        };
        *slot = Some(text(value, &quoted(&key.name))?.to_lowercase());
    }
    if view.source == LogSource::default() {
        let reason = "a log source must name a category, a product or a service";
        return Err(Fault::new(node.at, "bad-logsource", reason));
    }
    Ok(view)
}

fn renames(from: &str, node: &Node, out: &mut Vec<Rename>) -> Result<(), Fault> {
    const KEYS: [&str; 3] = ["to", "convert", "map"];
    const CONVERSIONS: [(&str, Convert); 4] = [
        ("decimal", Convert::Decimal),
        ("lower", Convert::Lower),
        ("upper", Convert::Upper),
        ("registry", Convert::Registry),
    ];
    let Yaml::Map(entries) = &node.value else {
        for node in list(node, "the names of a field")? {
            if matches!(node.value, Yaml::Map(_)) {
                renames(from, node, out)?;
                continue;
            }
            let to = text(node, "the name of a field")?.to_owned();
            out.push(Rename { from: from.to_owned(), to, convert: Convert::Keep });
        }
        return Ok(());
    };
    let (mut names, mut convert) = (Vec::new(), Convert::Keep);
    for (key, value) in entries {
        match key.name.as_str() {
            "to" => names = texts(value, "`to`")?,
            "convert" => {
                let name = text(value, "`convert`")?;
                let known = CONVERSIONS.iter().find(|(known, _)| *known == name);
                let Some((_, known)) = known else {
                    let names = CONVERSIONS.each_ref().map(|(name, _)| *name);
                    let reason = format!(
                        "{} is no conversion; there are {}",
                        quoted(name),
                        names.join(", ")
                    );
                    return Err(
                        Fault::new(value.at, "unknown-conversion", reason).suggest(name, names)
                    );
                };
                convert = known.clone();
            }
            "map" => {
                let mut pairs = Vec::new();
                for (from, to) in map(value, "`map`")? {
                    pairs.push((from.name.to_lowercase(), text(to, "a value")?.to_owned()));
                }
                convert = Convert::Map(pairs);
            }
            _ => return Err(unknown(key, &KEYS)),
        }
    }
    if names.is_empty() {
        let reason = format!("say what {} is called, as in `to: Image`", quoted(from));
        return Err(Fault::new(node.at, "no-name", reason));
    }
    for to in names {
        out.push(Rename { from: from.to_owned(), to, convert: convert.clone() });
    }
    Ok(())
}

fn wanted(node: &Node, what: &str) -> Result<Vec<Wanted>, Fault> {
    let fields = map(node, what)?.iter().map(|(key, value)| {
        let any = patterns(value, &quoted(&key.name))?;
        Ok(Wanted { field: key.name.clone(), any })
    });
    fields.collect()
}

fn patterns(node: &Node, what: &str) -> Result<Vec<Pattern>, Fault> {
    Ok(texts(node, what)?.iter().map(|text| Pattern::new(text)).collect())
}

fn texts(node: &Node, what: &str) -> Result<Vec<String>, Fault> {
    list(node, what)?.iter().map(|node| text(node, what).map(str::to_owned)).collect()
}

fn text<'n>(node: &'n Node, what: &str) -> Result<&'n str, Fault> {
    node.scalar().ok_or_else(|| wrong(node, what, "text"))
}

fn switch(node: &Node, what: &str) -> Result<bool, Fault> {
    match node.value {
        Yaml::Bool(value) => Ok(value),
        _ => Err(wrong(node, what, "`true` or `false`")),
    }
}

/// The elements of a list; what is no list stands for itself.
fn list<'n>(node: &'n Node, what: &str) -> Result<&'n [Node], Fault> {
    match &node.value {
        Yaml::List(nodes) if nodes.len() > ENTRIES_MAX => Err(too_many(node, what)),
        Yaml::List(nodes) => Ok(nodes),
        Yaml::Null => Err(wrong(node, what, "text or a list")),
        _ => Ok(std::slice::from_ref(node)),
    }
}

fn map<'n>(node: &'n Node, what: &str) -> Result<&'n [(Key, Node)], Fault> {
    match &node.value {
        Yaml::Map(entries) if entries.len() > ENTRIES_MAX => Err(too_many(node, what)),
        Yaml::Map(entries) => Ok(entries),
        _ => Err(wrong(node, what, "a mapping")),
    }
}

fn too_many(node: &Node, what: &str) -> Fault {
    Fault::new(node.at, "too-large", format!("{what} has more than {ENTRIES_MAX} entries"))
}

fn wrong(node: &Node, what: &str, wanted: &str) -> Fault {
    let reason = format!("{what} must be {wanted}, not {}", node.kind());
    Fault::new(node.at, "wrong-kind", reason)
}

fn unknown(key: &Key, known: &[&'static str]) -> Fault {
    let reason = format!("unknown key {}; there are {}", quoted(&key.name), known.join(", "));
    Fault::new(key.at, "unknown-key", reason).suggest(&key.name, known.iter().copied())
}
