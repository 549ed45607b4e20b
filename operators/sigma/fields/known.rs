//! Which fields a rule asks for in vain: no record of its log source has them here.
//!
//! A log source is *closed* if the fields of all its records are known: by their maker's schema
//! or because we make them ourselves (`fields/schema.rs`), and what pipelines add. A name that is
//! not among them is a slip, or is another event's. Of log sources whose records bring names of
//! their own only some names are *common*: a name is doubted if it is nearly one of those. All
//! others are open, and nothing is said of them.
//!
//! A record keeps its own names beside those of Sigma, so a doubted name may yet match where a
//! shipper added it. Names with a dot in them are those of a shipper and never doubted.

use std::collections::{BTreeMap, BTreeSet};

use super::super::condition::Condition;
use super::super::detection::{Item, Search, Test};
use super::super::diagnose::{Pos, nearest};
use super::super::filter;
use super::super::logsource::LogSource;
use super::super::rule::Rule;
use super::pipeline::Pipeline;
use super::{builtin, schema, stand_in, text, windows};
use crate::types::Format;

/// Of a common name, this long and no shorter, a name with one letter wrong is taken for a slip.
const COMMON_LEN_MIN: usize = 8;
/// A shorter name is not taken for the end of another.
const END_LEN_MIN: usize = 6;

/// The fields that records have, by log source, with some pipelines in use.
#[derive(Clone, Debug)]
pub struct Known {
    /// What is not here is open.
    views: BTreeMap<LogSource, Names>,
    /// All log sources that there are.
    sources: Vec<LogSource>,
    /// Names that pipelines give whatever the log source.
    everywhere: BTreeSet<String>,
}

/// Names of the fields of one log source or of several.
#[derive(Clone, Debug, Default)]
struct Names {
    all: BTreeSet<String>,
    /// Whether there are no others.
    closed: bool,
}

/// A field that a rule asks for and no record of its log source has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Its name.
    pub field: String,
    /// Where the rule names it first.
    pub at: Pos,
    /// What was perhaps meant.
    pub suggestion: Option<String>,
    /// Whether the rule cannot match without it.
    pub vital: bool,
}

impl Known {
    /// With the pipelines of a user; those that are built in are there in any case.
    #[must_use]
    pub fn new(pipelines: &[Pipeline]) -> Self {
        let mut known = Known {
            views: BTreeMap::new(),
            sources: super::log_sources(pipelines),
            everywhere: BTreeSet::new(),
        };
        known.add_windows();
        for (source, fields) in schema::LINES {
            let commands = matches!(*source, "/linux/sudo" | "/linux/cron");
            let fields = names(fields).chain(names(schema::CARRIED));
            let fields = fields.chain(stand_in::names_on_lines(commands));
            known.add(text::source(source), true, fields);
        }
        for (source, fields) in schema::COMMON {
            known.add(text::source(source), false, names(fields));
        }
        // Those without log sources are for lines that the tables know.
        builtin().iter().for_each(|pipeline| known.add_pipeline(pipeline));
        for pipeline in pipelines {
            known.add_users(pipeline);
            known.open(pipeline);
        }
        known
    }

    fn add<'n>(&mut self, source: LogSource, closed: bool, fields: impl Iterator<Item = &'n str>) {
        let names =
            self.views.entry(source).or_insert_with(|| Names { closed, ..Names::default() });
        names.closed &= closed;
        names.all.extend(fields.map(str::to_owned));
    }

    /// The categories and services of Windows, and of what writes as it does.
    fn add_windows(&mut self) {
        let mut open = BTreeSet::new();
        for category in windows::categories() {
            let fields = category.ids.iter().map(|id| event(category.service, *id));
            let fields: Option<Vec<&str>> = fields.collect();
            match fields {
                Some(fields) if !fields.is_empty() => {
                    let closed = !is_common(&category.source);
                    let renamed = category.renamed.iter().flat_map(|(from, to)| [*from, *to]);
                    let fields = fields.into_iter().flat_map(names);
                    let fields = fields.chain(names(schema::WINDOWS)).chain(renamed);
                    self.add(category.source, closed, fields);
                }
                _ => {
                    open.insert(category.source);
                }
            }
        }
        for (service, source) in schema::SERVICES {
            let own = schema::EVENTS.iter().filter(|(of, _, _)| of == service);
            let fields = own.flat_map(|(_, _, fields)| names(fields));
            self.add(text::source(source), true, fields.chain(names(schema::WINDOWS)));
        }
        self.views.retain(|source, _| !open.contains(source));
        for names in self.views.values_mut() {
            let hashes = names.all.contains("Hashes");
            names.all.extend(stand_in::names_on_windows(hashes).map(str::to_owned));
        }
    }

    /// What a pipeline calls fields and looks at, for the log sources that it gives.
    fn add_pipeline(&mut self, pipeline: &Pipeline) {
        for view in &pipeline.views {
            if let Some(names) = self.views.get_mut(&view.source) {
                names.all.extend(names_of(pipeline).cloned());
            }
        }
    }

    /// The same for a user's, whose records may have other views besides.
    fn add_users(&mut self, pipeline: &Pipeline) {
        let has = |format| pipeline.formats.has(format);
        if pipeline.views.is_empty() || pipeline.programs || has(Format::Windows) {
            self.everywhere.extend(names_of(pipeline).cloned());
            return;
        }
        if has(Format::Plain) || has(Format::KeyValue) {
            for (source, _) in schema::LINES {
                if let Some(names) = self.views.get_mut(&text::source(source)) {
                    names.all.extend(names_of(pipeline).cloned());
                }
            }
        }
        self.add_pipeline(pipeline);
    }

    /// Takes as open what a user's pipeline gives records of which it does not say what their
    /// fields are called: they have Sigma's names, or others that only the user knows.
    fn open(&mut self, pipeline: &Pipeline) {
        if !pipeline.renames.is_empty() && pipeline.strip.is_empty() {
            return;
        }
        if pipeline.programs {
            schema::LINES.iter().for_each(|(source, _)| {
                self.views.remove(&text::source(source));
            });
        }
        for view in &pipeline.views {
            self.views.remove(&view.source);
        }
        let is_for_others = pipeline.views.is_empty() || pipeline.formats.has(Format::Windows);
        if is_for_others && !pipeline.strip.is_empty() {
            self.views.clear();
        }
    }

    /// The names of a rule's log source, view by view; none if one of them is open, or there is
    /// no such log source.
    fn names(&self, source: &LogSource) -> Vec<&Names> {
        let views = self.sources.iter().filter(|view| source.covers(view));
        let names: Option<Vec<&Names>> = views.map(|view| self.views.get(view)).collect();
        names.unwrap_or_default()
    }

    /// The fields that a rule asks for in vain, each once, in the order in which it names them.
    #[must_use]
    pub fn missing(&self, rule: &Rule) -> Vec<Missing> {
        let known = self.names(&rule.logsource);
        let mut missing: Vec<Missing> = Vec::new();
        if known.is_empty() {
            return missing;
        }
        let is_closed = known.iter().all(|names| names.closed);
        for selection in &rule.detection.selections {
            // What a filter asks for stands in its own file, and takes nothing away in vain.
            if filter::is_added(selection) {
                continue;
            }
            selection.search.each_field(&mut |field, at| {
                let is_told = missing.iter().any(|one| one.field == field);
                let is_known = known.iter().any(|names| names.all.contains(field));
                if is_told || is_known || self.is_elsewhere(field) {
                    return;
                }
                let suggestion = suggestion(&known, is_closed, field);
                if is_closed || suggestion.is_some() {
                    let field = field.to_owned();
                    missing.push(Missing { field, at, suggestion, vital: false });
                }
            });
        }
        if !is_closed || missing.is_empty() {
            return missing;
        }
        let fails_without = |lacking: &dyn Fn(&str) -> bool| !Can::rule(rule, lacking).hold;
        let alone: Vec<bool> =
            missing.iter().map(|one| fails_without(&|field| field == one.field)).collect();
        // Perhaps none alone is vital, and all together are: one here and one there.
        let together = !alone.contains(&true)
            && fails_without(&|field| missing.iter().any(|one| one.field == field));
        for (one, alone) in missing.iter_mut().zip(alone) {
            one.vital = alone || together;
        }
        missing
    }

    /// Whether no record that a rule can match has a field that a correlation reads of it; then
    /// with what was perhaps meant.
    #[must_use]
    pub fn lacks(&self, rule: &Rule, field: &str) -> Option<Option<String>> {
        let known = self.names(&rule.logsource);
        let is_closed = !known.is_empty() && known.iter().all(|names| names.closed);
        let is_known = known.iter().any(|names| names.all.contains(field))
            || stand_in::names_on_lines(true).any(|name| name == field)
            || self.is_elsewhere(field);
        (is_closed && !is_known).then(|| suggestion(&known, true, field))
    }

    /// Whether a name may come from somewhere whatever the log source.
    fn is_elsewhere(&self, field: &str) -> bool {
        let number = field.strip_prefix("param").unwrap_or("");
        let is_unnamed = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        field.is_empty() || field.contains('.') || is_unnamed || self.everywhere.contains(field)
    }
}

/// What was perhaps meant by a name that none of these is.
fn suggestion(known: &[&Names], is_closed: bool, field: &str) -> Option<String> {
    let all = || known.iter().flat_map(|names| &names.all).map(String::as_str);
    let found = match is_closed {
        true => windows::header_name(field)
            .filter(|name| all().any(|known| known == *name))
            .or_else(|| the_end_of_one(field, all()))
            .or_else(|| nearest(field, all())),
        false => all().find(|name| is_slip(field, name)),
    };
    found.map(str::to_owned)
}

/// The one name that ends with this one: `TargetFilename` for `FileName`.
fn the_end_of_one<'n>(field: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let ends = |name: &str| {
        let begin = name.len().checked_sub(field.len());
        let end = begin.and_then(|begin| name.get(begin..));
        end.is_some_and(|end| end.eq_ignore_ascii_case(field))
    };
    let found: BTreeSet<&str> = known.filter(|name| ends(name)).collect();
    match (field.len() >= END_LEN_MIN, found.len()) {
        (true, 1) => found.first().copied(),
        _ => None,
    }
}

/// Whether a name is another but for its case, its dashes or one letter.
fn is_slip(field: &str, name: &str) -> bool {
    let plain = |text: &str| -> String {
        let letters = text.chars().filter(|c| !matches!(c, '-' | '_'));
        letters.flat_map(char::to_lowercase).collect()
    };
    let (own, other) = (plain(field), plain(name));
    if own == other {
        return true;
    }
    let (short, long) = match own.len() < other.len() {
        true => (own.as_bytes(), other.as_bytes()),
        false => (other.as_bytes(), own.as_bytes()),
    };
    let begin = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    let end =
        short[begin..].iter().rev().zip(long.iter().rev()).take_while(|(a, b)| a == b).count();
    short.len() >= COMMON_LEN_MIN && long.len() - (begin + end) <= 1
}

/// The names of fields that a pipeline mentions.
fn names_of(pipeline: &Pipeline) -> impl Iterator<Item = &String> {
    let renames = pipeline.renames.iter().flat_map(|one| [&one.from, &one.to]);
    let when = pipeline.views.iter().flat_map(|view| &view.when);
    renames.chain(pipeline.fields.iter().chain(when).map(|wanted| &wanted.field))
}

fn is_common(source: &LogSource) -> bool {
    schema::COMMON.iter().any(|(common, _)| text::source(common) == *source)
}

fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split_ascii_whitespace()
}

/// The fields of an event of a service, besides its header.
fn event(service: &str, id: i64) -> Option<&'static str> {
    // Sysmon for Linux has the events of the other.
    let service = if service == "linux-sysmon" { "sysmon" } else { service };
    let found = schema::EVENTS.iter().find(|(of, ids, _)| *of == service && ids.contains(&id));
    found.map(|(_, _, fields)| *fields)
}

/// What may come out of a part of a rule, whatever a record has in the fields that it can have.
#[derive(Clone, Copy)]
struct Can {
    hold: bool,
    fail: bool,
}

impl Can {
    const EITHER: Can = Can { hold: true, fail: true };

    fn rule(rule: &Rule, lacking: &dyn Fn(&str) -> bool) -> Can {
        let selections = rule.detection.selections.iter();
        let each: Vec<Can> =
            selections.map(|selection| Can::search(&selection.search, lacking)).collect();
        Can::condition(&rule.detection.condition, &each)
    }

    fn condition(condition: &Condition, selections: &[Can]) -> Can {
        let parts = |parts: &[Condition]| -> Vec<Can> {
            parts.iter().map(|part| Can::condition(part, selections)).collect()
        };
        match condition {
            Condition::Is(i) => selections[*i],
            Condition::All(all) => Can::all(&parts(all)),
            Condition::Any(any) => Can::at_least(1, &parts(any)),
            Condition::AtLeast(n, any) => Can::at_least(*n, &parts(any)),
            Condition::Not(part) => Can::condition(part, selections).not(),
        }
    }

    fn search(search: &Search, lacking: &dyn Fn(&str) -> bool) -> Can {
        let parts = |parts: &[Search]| -> Vec<Can> {
            parts.iter().map(|part| Can::search(part, lacking)).collect()
        };
        match search {
            Search::Item(item) => Can::item(item, lacking),
            Search::All(all) => Can::all(&parts(all)),
            Search::Any(any) => Can::at_least(1, &parts(any)),
        }
    }

    fn item(item: &Item, lacking: &dyn Fn(&str) -> bool) -> Can {
        let is_there = item.field.as_deref().is_none_or(|field| !lacking(field));
        let tests = item.values.iter().map(|value| match &value.test {
            Test::Field { other, .. } if lacking(other) => Can { hold: false, fail: true },
            _ if is_there => Can::EITHER,
            Test::Null | Test::Exists(false) => Can { hold: true, fail: false },
            _ => Can { hold: false, fail: true },
        });
        let tests: Vec<Can> = tests.collect();
        let joined = match item.all {
            true => Can::all(&tests),
            false => Can::at_least(1, &tests),
        };
        match item.negated {
            true => joined.not(),
            false => joined,
        }
    }

    fn all(parts: &[Can]) -> Can {
        Can::at_least(parts.len(), parts)
    }

    fn at_least(n: usize, parts: &[Can]) -> Can {
        let can = parts.iter().filter(|part| part.hold).count();
        let must = parts.iter().filter(|part| !part.fail).count();
        Can { hold: can >= n, fail: must < n }
    }

    fn not(self) -> Can {
        Can { hold: self.fail, fail: self.hold }
    }
}

#[cfg(test)]
mod tests;
