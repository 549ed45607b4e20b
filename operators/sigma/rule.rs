//! Documents: rules, and what is said about them.
//!
//! Only the title, the log source and the detection must be right. What else is wrong with the
//! metadata is a warning, and keys that the specification does not know are kept by name.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;

use super::condition::Condition;
use super::detection::{Detection, Search, Selection, Test, Value};
use super::diagnose::{Diagnostic, Fault, Gravity, Pos, quoted};
use super::logsource::LogSource;
use super::yaml::{Node, Yaml};
use crate::types::Level;

/// The longest title, in characters, before it is warned of.
const TITLE_MAX: usize = 256;
/// The most entries of a list of metadata that are kept.
const LIST_MAX: usize = 1024;

/// What a document of any kind says of itself.
#[derive(Clone, Debug, Default)]
pub struct Meta {
    /// The file, as it was named to [`parse`].
    pub file: Arc<str>,
    /// Where the document begins.
    pub at: Pos,
    /// What it is called.
    pub title: String,
    /// Its identity, a UUID; lower case.
    pub id: Option<String>,
    /// A name to refer to it by.
    pub name: Option<String>,
    /// Other rules that it has to do with.
    pub related: Vec<Related>,
    /// How mature it is.
    pub status: Option<Status>,
    /// How bad a match is.
    pub level: Option<Level>,
    /// What it detects.
    pub description: Option<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// Its licence.
    pub license: Option<String>,
    /// When it was written, as written.
    pub date: Option<String>,
    /// When it was last changed, as written.
    pub modified: Option<String>,
    /// Where to read more.
    pub references: Vec<String>,
    /// Techniques, tactics and other names with a namespace.
    pub tags: Vec<String>,
    /// Fields worth showing.
    pub fields: Vec<String>,
    /// What else can cause a match.
    pub falsepositives: Vec<String>,
    /// To whom it applies.
    pub scope: Vec<String>,
    /// The names of its fields; `sigma` if it does not say.
    pub taxonomy: Option<String>,
    /// Keys that the specification does not know.
    pub custom: Vec<String>,
}

/// Another rule, and what it is to this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Related {
    /// Its id.
    pub id: String,
    /// `derived`, `obsolete`, `merged`, `renamed`, `similar`.
    pub kind: String,
}

/// How mature a rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Has proved itself.
    Stable,
    /// Works where it was tried.
    Test,
    /// New.
    Experimental,
    /// Replaced.
    Deprecated,
    /// Needs what engines do not have.
    Unsupported,
}

impl Status {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Status::Stable => "stable",
            Status::Test => "test",
            Status::Experimental => "experimental",
            Status::Deprecated => "deprecated",
            Status::Unsupported => "unsupported",
        }
    }
}

const STATUSES: [Status; 5] =
    [Status::Stable, Status::Test, Status::Experimental, Status::Deprecated, Status::Unsupported];
const RELATIONS: [&str; 6] = ["derived", "obsolete", "obsoletes", "merged", "renamed", "similar"];

impl Meta {
    /// The level; medium if the rule does not say.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level.unwrap_or(Level::Medium)
    }

    /// What it can be referred to by: id, then name.
    pub fn references_to_it(&self) -> impl Iterator<Item = &str> {
        self.id.as_deref().into_iter().chain(self.name.as_deref())
    }

    /// Whether `reference` means this document.
    #[must_use]
    pub fn is_called(&self, reference: &str) -> bool {
        self.id.as_deref().is_some_and(|id| id.eq_ignore_ascii_case(reference))
            || self.name.as_deref() == Some(reference)
    }

    /// Reads the metadata of a document. `section` is the key that makes it what it is.
    pub(crate) fn parse(
        node: &Node,
        file: &Arc<str>,
        section: &str,
        said: &mut Vec<(Gravity, Fault)>,
    ) -> Result<Meta, Fault> {
        let Yaml::Map(entries) = &node.value else {
            let reason = format!("a rule must be a mapping, not {}", node.kind());
            return Err(Fault::new(node.at, "not-a-rule", reason));
        };
        let at = node.at;
        let mut meta = Meta { file: Arc::clone(file), at, ..Meta::default() };
        let mut warn = |at: Pos, code: &'static str, reason: String| {
            said.push((Gravity::Warning, Fault::new(at, code, reason)));
        };
        for (key, value) in entries {
            let text = || value.scalar().map(|text| text.trim().to_owned());
            match key.name.as_str() {
                "title" => meta.title = text().unwrap_or_default(),
                "id" => meta.id = text().map(|id| id.to_ascii_lowercase()),
                "name" => meta.name = text(),
                "description" => meta.description = text(),
                "license" => meta.license = text(),
                "date" => meta.date = text(),
                "modified" => meta.modified = text(),
                "taxonomy" => meta.taxonomy = text(),
                "author" => meta.author = Some(texts(value).join(", ")),
                "references" => meta.references = texts(value),
                "tags" => meta.tags = texts(value),
                "fields" => meta.fields = texts(value),
                "falsepositives" => meta.falsepositives = texts(value),
                "scope" => meta.scope = texts(value),
                "related" => meta.related = related(value, &mut warn),
                "status" => {
                    let given = text().unwrap_or_default().to_lowercase();
                    meta.status = STATUSES.into_iter().find(|status| status.name() == given);
                    if meta.status.is_none() {
                        warn(value.at, "bad-status", format!("no status {}", quoted(&given)));
                    }
                }
                "level" => {
                    let given = text().unwrap_or_default().to_lowercase();
                    meta.level = Level::ALL.into_iter().find(|level| level.name() == given);
                    if meta.level.is_none() {
                        let reason = format!("no level {}; taken as `medium`", quoted(&given));
                        warn(value.at, "bad-level", reason);
                    }
                }
                "logsource" | "detection" | "correlation" | "filter" | "action" => {}
                other => meta.custom.push(other.to_owned()),
            }
        }
        if meta.title.is_empty() {
            let fault = Fault::new(at, "no-title", format!("this {section} has no title"));
            return Err(fault.hint("`title:` is required"));
        }
        if meta.title.chars().count() > TITLE_MAX {
            warn(at, "long-title", format!("a title longer than {TITLE_MAX} characters"));
        }
        match &meta.id {
            Some(id) if !is_uuid(id) => {
                let at = node.get("id").map_or(at, |id| id.at);
                warn(at, "bad-id", format!("the id {} is not a UUID", quoted(id)));
            }
            None if meta.name.is_none() => {
                warn(at, "no-id", "without `id` it can not be referred to".to_owned());
            }
            _ => {}
        }
        for tag in &meta.tags {
            if !tag.contains('.') {
                let at = node.get("tags").map_or(at, |tags| tags.at);
                warn(at, "bad-tag", format!("the tag {} has no namespace", quoted(tag)));
            }
        }
        Ok(meta)
    }
}

/// The texts of a list, or the one that stands for it.
pub(crate) fn texts(node: &Node) -> Vec<String> {
    let own = |node: &Node| node.scalar().map(|text| text.trim().to_owned());
    match &node.value {
        Yaml::List(list) => list.iter().filter_map(own).take(LIST_MAX).collect(),
        _ => own(node).into_iter().collect(),
    }
}

fn related(node: &Node, warn: &mut impl FnMut(Pos, &'static str, String)) -> Vec<Related> {
    let Yaml::List(list) = &node.value else {
        if !matches!(node.value, Yaml::Null) {
            warn(node.at, "bad-related", format!("`related` must be a list, not {}", node.kind()));
        }
        return Vec::new();
    };
    let mut related = Vec::new();
    for entry in list.iter().take(LIST_MAX) {
        let text = |key| entry.get(key).and_then(Node::scalar).map(str::to_owned);
        let (Some(id), Some(kind)) = (text("id"), text("type")) else {
            warn(entry.at, "bad-related", "`related` wants `id` and `type`".to_owned());
            continue;
        };
        if !RELATIONS.contains(&kind.as_str()) {
            warn(entry.at, "bad-related", format!("no relation is called {}", quoted(&kind)));
        }
        related.push(Related { id, kind });
    }
    related
}

fn is_uuid(text: &str) -> bool {
    let dash = |i| matches!(i, 8 | 13 | 18 | 23);
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match dash(i) {
            true => b == b'-',
            false => b.is_ascii_hexdigit(),
        })
}

/// A detection rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What it says of itself.
    pub meta: Meta,
    /// Which records it is for.
    pub logsource: LogSource,
    /// What it looks for in them.
    pub detection: Detection,
    /// Filters that were added to it, by title.
    pub filters: Vec<String>,
}

impl Rule {
    pub(crate) fn parse(
        node: &Node,
        file: &Arc<str>,
        said: &mut Vec<(Gravity, Fault)>,
    ) -> Result<Self, Fault> {
        let meta = Meta::parse(node, file, "rule", said)?;
        let Some(logsource) = node.get("logsource") else {
            let fault = Fault::new(node.at, "no-logsource", "this rule has no `logsource`");
            return Err(fault.hint("name at least one of category, product and service"));
        };
        let logsource = LogSource::parse(logsource, said)?;
        let detection = node.get("detection").expect("what makes it a rule");
        let detection = Detection::parse(detection, &[], said)?;
        Ok(Rule { meta, logsource, detection, filters: Vec::new() })
    }

    /// What it cannot do without: of each list of fields a record must have at least one, or the
    /// rule can not match it. Together with the log source this says whether it can ever fire
    /// where records are known to have certain fields.
    #[must_use]
    pub fn required_fields(&self) -> Vec<Vec<&str>> {
        let detection = &self.detection;
        let clauses = condition_clauses(&detection.condition, &detection.selections);
        let distinct: BTreeSet<BTreeSet<&str>> = clauses.into_iter().collect();
        distinct.into_iter().map(|clause| clause.into_iter().collect()).collect()
    }

    /// The fields that it asks for, each once, sorted.
    #[must_use]
    pub fn fields(&self) -> Vec<&str> {
        let mut fields = Vec::new();
        for item in self.detection.items() {
            fields.extend(item.field.as_deref());
            for value in &item.values {
                if let Test::Field { other, .. } = &value.test {
                    fields.push(other);
                }
            }
        }
        fields.sort_unstable();
        fields.dedup();
        fields
    }
}

/// The clauses of a condition: of each, one field must be there.
type Clauses<'a> = Vec<BTreeSet<&'a str>>;

fn condition_clauses<'a>(condition: &Condition, selections: &'a [Selection]) -> Clauses<'a> {
    match condition {
        Condition::Is(i) => search_clauses(&selections[*i].search),
        Condition::All(parts) => {
            parts.iter().flat_map(|part| condition_clauses(part, selections)).collect()
        }
        Condition::Any(parts) | Condition::AtLeast(_, parts) => {
            one_of(parts.iter().map(|part| condition_clauses(part, selections)))
        }
        // What must not hold needs no field.
        Condition::Not(_) => Vec::new(),
    }
}

fn search_clauses(search: &Search) -> Clauses<'_> {
    match search {
        Search::All(parts) => parts.iter().flat_map(search_clauses).collect(),
        Search::Any(parts) => one_of(parts.iter().map(search_clauses)),
        Search::Item(item) => {
            let missing = |value: &Value| matches!(value.test, Test::Null | Test::Exists(false));
            match &item.field {
                Some(field) if !item.negated && !item.values.iter().any(missing) => {
                    vec![BTreeSet::from([field.as_str()])]
                }
                _ => Vec::new(),
            }
        }
    }
}

/// The clause of alternatives: the fields of one clause of each.
fn one_of<'a>(parts: impl Iterator<Item = Clauses<'a>>) -> Clauses<'a> {
    let mut all = BTreeSet::new();
    for clauses in parts {
        match clauses.into_iter().min_by_key(BTreeSet::len) {
            Some(clause) => all.extend(clause),
            None => return Vec::new(),
        }
    }
    vec![all]
}

/// What a file can hold.
#[derive(Clone, Debug)]
pub enum Document {
    /// Has `detection`.
    Rule(Box<Rule>),
    /// Has `correlation`.
    Correlation(Box<super::correlation::Correlation>),
    /// Has `filter`.
    Filter(Box<super::filter::Filter>),
}

/// A file that was read.
#[derive(Clone, Debug, Default)]
pub struct Parsed {
    /// Its documents, as far as they are right.
    pub documents: Vec<Document>,
    /// What is wrong with the others, and warnings.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads the documents of a file. `file` names it in diagnostics; `bytes` is what it holds.
///
/// A bad document costs itself; only a fault of YAML itself also costs what follows it.
#[must_use]
pub fn parse(file: &str, bytes: &[u8]) -> Parsed {
    let file: Arc<str> = Arc::from(file);
    let mut parsed = Parsed::default();
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{FEFF}').unwrap_or(text),
        Err(error) => {
            let fault = not_text(bytes, error.valid_up_to());
            parsed.diagnostics.push(fault.diagnostic(&file, None, Gravity::Error));
            return parsed;
        }
    };
    let (nodes, fault) = super::yaml::documents(text);
    let empty = nodes.iter().all(|node| matches!(node.value, Yaml::Null));
    if let Some(fault) = fault {
        parsed.diagnostics.push(fault.diagnostic(&file, None, Gravity::Error));
    } else if empty {
        let fault = Fault::new(Pos::START, "empty-file", "the file holds no document");
        parsed.diagnostics.push(fault.diagnostic(&file, None, Gravity::Error));
    }
    let mut collection = Collection { several: nodes.len() > 1, global: None, previous: None };
    for node in nodes {
        if matches!(node.value, Yaml::Null) {
            continue;
        }
        let title = node.get("title").and_then(Node::scalar).map(str::to_owned);
        let (mut said, mut retired) = (Vec::new(), false);
        match collection.next(node).and_then(|node| match node {
            Some(node) => {
                retired = is_retired(&node);
                document(&node, &file, &mut said).map(Some)
            }
            None => Ok(None),
        }) {
            Ok(document) => parsed.documents.extend(document),
            Err(fault) => said.push((Gravity::Error, fault)),
        }
        let said = super::detection::diagnostics(said, &file, title.as_deref());
        parsed.diagnostics.extend(said.map(|said| Diagnostic { retired, ..said }));
    }
    parsed
}

/// [`parse`] of many files, given as names and contents, on so many threads. What comes out does
/// not depend on their number.
#[must_use]
pub fn parse_all<N, B>(files: &[(N, B)], threads: usize) -> Vec<Parsed>
where
    N: AsRef<str> + Sync,
    B: AsRef<[u8]> + Sync,
{
    let share = files.len().div_ceil(threads.max(1)).max(1);
    let read = |files: &[(N, B)]| -> Vec<Parsed> {
        files.iter().map(|(name, bytes)| parse(name.as_ref(), bytes.as_ref())).collect()
    };
    let mut shares = files.chunks(share);
    let first = shares.next().unwrap_or_default();
    std::thread::scope(|scope| {
        let others: Vec<_> = shares.map(|share| scope.spawn(move || read(share))).collect();
        let mut parsed = read(first);
        for other in others {
            parsed.extend(other.join().expect("reading a rule does not panic"));
        }
        parsed
    })
}

/// Whether a document says of itself that it is not to be used.
fn is_retired(node: &Node) -> bool {
    let status = node.get("status").and_then(Node::scalar).unwrap_or_default();
    let retired = [Status::Deprecated, Status::Unsupported];
    retired.iter().any(|one| status.trim().eq_ignore_ascii_case(one.name()))
}

fn not_text(bytes: &[u8], valid: usize) -> Fault {
    let before = &bytes[..valid];
    let line = before.iter().filter(|b| **b == b'\n').count() as u32 + 1;
    let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    let column = String::from_utf8_lossy(&before[start..]).chars().count() as u32 + 1;
    Fault::new(Pos { line, column }, "not-utf8", "not UTF-8 text")
}

fn document(
    node: &Node,
    file: &Arc<str>,
    said: &mut Vec<(Gravity, Fault)>,
) -> Result<Document, Fault> {
    let Yaml::Map(_) = node.value else {
        let reason = format!("a rule must be a mapping, not {}", node.kind());
        return Err(Fault::new(node.at, "not-a-rule", reason));
    };
    if node.get("correlation").is_some() {
        let correlation = super::correlation::Correlation::parse(node, file, said)?;
        return Ok(Document::Correlation(Box::new(correlation)));
    }
    if node.get("filter").is_some() {
        let filter = super::filter::Filter::parse(node, file, said)?;
        return Ok(Document::Filter(Box::new(filter)));
    }
    if node.get("detection").is_none() {
        let reason = "neither `detection` nor `correlation` nor `filter`";
        return Err(Fault::new(node.at, "not-a-rule", reason));
    }
    Rule::parse(node, file, said).map(|rule| Document::Rule(Box::new(rule)))
}

/// The collections of Sigma v1: `action: global` is merged into what follows, `reset` ends that,
/// `repeat` merges into the document before.
struct Collection {
    /// Whether a document may still be asked for by `repeat`.
    several: bool,
    global: Option<Node>,
    previous: Option<Node>,
}

impl Collection {
    /// The document that `node` stands for, if it is one.
    fn next(&mut self, node: Node) -> Result<Option<Node>, Fault> {
        let action = node.get("action").map(|action| (action.at, action.scalar().unwrap_or("")));
        let complete = match action {
            None => node,
            Some((_, "global")) => {
                self.global = Some(match self.global.take() {
                    Some(global) => merged(global, node),
                    None => node,
                });
                return Ok(None);
            }
            Some((_, "reset")) => {
                self.global = None;
                return Ok(None);
            }
            Some((at, "repeat")) => match self.previous.take() {
                Some(previous) => merged(previous, node),
                None => {
                    let reason = "`action: repeat` with no document before it";
                    return Err(Fault::new(at, "bad-action", reason));
                }
            },
            Some((at, other)) => {
                let reason = format!("no action is called {}", quoted(other));
                return Err(Fault::new(at, "bad-action", reason)
                    .suggest(other, ["global", "reset", "repeat"]));
            }
        };
        let complete = match &self.global {
            Some(global) => merged(global.clone(), complete),
            None => complete,
        };
        if self.several {
            self.previous = Some(complete.clone());
        }
        Ok(Some(complete))
    }
}

/// `over` laid over `base`: mappings are merged, everything else is replaced.
fn merged(base: Node, over: Node) -> Node {
    let (Yaml::Map(mut entries), Yaml::Map(_)) = (base.value, &over.value) else { return over };
    let at = over.at;
    let Yaml::Map(more) = over.value else { unreachable!("just seen to be a mapping") };
    for (key, value) in more {
        match entries.iter().position(|(known, _)| known.name == key.name) {
            Some(i) => {
                let (_, old) = entries.remove(i);
                entries.insert(i, (key, merged(old, value)));
            }
            None => entries.push((key, value)),
        }
    }
    entries.retain(|(key, _)| key.name != "action");
    Node::new(at, Yaml::Map(entries))
}
