//! From parsed events to what rules read of them: fields under the names of Sigma, and views.
//!
//! ```text
//!  event ─▶ its fields ─▶ Windows: flat names, channel and event id ─┐
//!                     ├─▶ sudo, DNS, firewall, proxy lines: fields ──┼─▶ pipelines ─▶ Record
//!                     └─▶ text: the views of its program ────────────┘
//! ```
//!
//! What Windows calls its things is in [`windows`], what lines of text hold in [`text`]; all else
//! is a [`pipeline`], the ones that are built in (`fields/builtin.yaml`) as those of a user. A
//! record keeps its own names beside those of Sigma, and one name may have several values: of a
//! process creation in the Security log, `ProcessId` is the new process's as for Sysmon, and the
//! creator's as the log has it.
//!
//! What rules ask for and a record does not have may be said by it in other words: `fields/stand_in.rs`.
//!
//! [`known`] says which fields records of a log source can have, where that can be said.
//!
//! Keywords are looked for in the whole record as it came, and in the texts of its fields.
//!
//! Nothing is allocated for a field once its name is known. State: names (at most [`NAMES_MAX`])
//! and what programs and sources say, each a pure function of its text, so that forgetting costs
//! time only.

use std::ops::Range;
use std::sync::Arc;

use super::compile::RuleSet;
use super::logsource::{LogSource, View};
use super::record::{FieldValue, Record, Value};
use crate::types::hash::Map;
use crate::types::{Batch, Event, Format, Source, event};

pub mod known;
pub mod pipeline;
mod read;
mod row;
mod schema;
mod stand_in;
#[cfg(test)]
pub(super) mod tests;
pub mod text;
pub mod windows;

pub use known::{Known, Missing};
pub use pipeline::Pipeline;
pub use read::parse;
pub use row::NAMES_MAX;

use pipeline::{Convert, Formats, Pattern, Wanted};
use row::{Cell, Content, NameId, Names, Row};
use stand_in::{Asker, StandIns};

/// How many programs are remembered; beyond, all are forgotten.
const APPS_MAX: usize = 4_096;

const BUILTIN: &str = include_str!("fields/builtin.yaml");

/// The pipelines that are built in.
///
/// # Panics
///
/// Never: a test reads the same text.
#[must_use]
pub fn builtin() -> Vec<Pipeline> {
    let (pipelines, said) = parse("builtin.yaml", BUILTIN.as_bytes());
    assert!(said.is_empty(), "the built-in pipelines are right: {said:?}");
    pipelines
}

/// What a field must hold, by number.
struct Condition {
    name: NameId,
    any: Vec<Pattern>,
}

impl Condition {
    fn new(names: &mut Names, wanted: &Wanted) -> Self {
        Condition { name: names.number(&wanted.field), any: wanted.any.clone() }
    }

    fn holds(&self, row: &mut Row, batch: &Batch) -> bool {
        if !row.has(self.name) {
            return false;
        }
        let mut digits = std::mem::take(&mut row.digits);
        let holds = row.cells_of(self.name).any(|cell| {
            let value = row.value(batch, cell);
            let text = value.text(&mut digits);
            text.is_some_and(|text| self.any.iter().any(|any| any.is_any() || any.fits(text)))
        });
        row.digits = digits;
        holds
    }
}

/// Which names are also others, by number.
#[derive(Default)]
struct Renames {
    /// Sorted by the name that a field has.
    list: Vec<(NameId, NameId, Convert)>,
}

impl Renames {
    fn add(&mut self, names: &mut Names, from: &str, to: &str, convert: Convert) {
        let (from, to) = (names.number(from), names.number(to));
        self.list.push((from, to, convert));
        self.list.sort_by_key(|(from, _, _)| *from);
    }

    fn apply(&self, row: &mut Row, batch: &Batch) {
        if self.list.is_empty() {
            return;
        }
        for at in 0..row.cells.len() {
            let cell = row.cells[at];
            let from = self.list.partition_point(|(from, _, _)| *from < cell.name);
            for (_, to, convert) in
                self.list[from..].iter().take_while(|(from, _, _)| *from == cell.name)
            {
                let content = converted(row, batch, &cell, convert).unwrap_or(cell.content);
                // Two pipelines may give one field the same name.
                if row.cells_of(*to).all(|known| known.content != content) {
                    row.push(*to, content);
                }
            }
        }
    }
}

/// What a conversion makes of a value; `None` if it does not fit.
fn converted(row: &mut Row, batch: &Batch, cell: &Cell, convert: &Convert) -> Option<Content> {
    if *convert == Convert::Keep {
        return None;
    }
    let mut made = std::mem::take(&mut row.made);
    let mut digits = std::mem::take(&mut row.digits);
    let start = made.len();
    let value = match cell.content {
        Content::Made(from, to) => {
            digits.clear();
            digits.push_str(&made[from as usize..to as usize]);
            None
        }
        _ => Some(row.value(batch, cell)),
    };
    let mut own = String::new();
    let text = match &value {
        Some(value) => value.text(&mut own),
        None => Some(digits.as_str()),
    };
    let content = text.and_then(|text| match convert {
        Convert::Keep => None,
        Convert::Decimal => {
            let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
            let number = i64::from_str_radix(hex, 16).ok()?;
            Some(Content::Found(event::Value::Int(number)))
        }
        Convert::Lower => {
            made.extend(text.chars().flat_map(char::to_lowercase));
            Some(Content::Made(start as u32, made.len() as u32))
        }
        Convert::Upper => {
            made.extend(text.chars().flat_map(char::to_uppercase));
            Some(Content::Made(start as u32, made.len() as u32))
        }
        Convert::Registry => {
            let (root, rest) = windows::registry(text)?;
            made.push_str(root);
            made.push_str(rest);
            Some(Content::Made(start as u32, made.len() as u32))
        }
        Convert::Map(pairs) => {
            let (_, to) = pairs.iter().find(|(from, _)| from.eq_ignore_ascii_case(text))?;
            made.push_str(to);
            Some(Content::Made(start as u32, made.len() as u32))
        }
    });
    row.made = made;
    row.digits = digits;
    content
}

/// A pipeline in the numbers of a rule set.
struct Compiled {
    formats: Formats,
    sources: Vec<Pattern>,
    apps: Vec<Pattern>,
    fields: Vec<Condition>,
    views: Vec<(View, Vec<Condition>)>,
    renames: Renames,
    strip: Vec<Box<str>>,
    programs: bool,
    only: bool,
}

impl Compiled {
    fn new(pipeline: &Pipeline, names: &mut Names) -> Self {
        let rules = Arc::clone(&names.rules);
        let mut renames = Renames::default();
        for rename in &pipeline.renames {
            renames.add(names, &rename.from, &rename.to, rename.convert.clone());
        }
        let mut conditions = |wanted: &[Wanted]| -> Vec<Condition> {
            wanted.iter().map(|wanted| Condition::new(names, wanted)).collect()
        };
        Compiled {
            formats: pipeline.formats,
            sources: pipeline.sources.clone(),
            apps: pipeline.apps.clone(),
            fields: conditions(&pipeline.fields),
            views: pipeline
                .views
                .iter()
                .map(|view| (rules.view(&view.source), conditions(&view.when)))
                .collect(),
            renames,
            strip: pipeline.strip.iter().map(|prefix| prefix.as_str().into()).collect(),
            programs: pipeline.programs,
            only: pipeline.only,
        }
    }

    fn fits(&self, row: &mut Row, batch: &Batch, event: &Event, source: &SourceSays) -> bool {
        let app = || batch.text(event.app);
        self.formats.has(event.format)
            && self.fields.iter().all(|wanted| wanted.holds(row, batch))
            && (self.apps.is_empty() || self.apps.iter().any(|any| any.fits(app())))
            && (self.sources.is_empty() || self.sources.iter().any(|any| any.fits(&source.name)))
    }

    fn apply(&self, row: &mut Row, names: &mut Names, batch: &Batch) {
        for prefix in &self.strip {
            for at in 0..row.cells.len() {
                let cell = row.cells[at];
                let name = &names.all[cell.name as usize].text;
                if let Some(rest) = name.strip_prefix(&**prefix)
                    && !rest.is_empty()
                {
                    let rest = rest.to_owned();
                    row.push(names.number(&rest), cell.content);
                }
            }
        }
        self.renames.apply(row, batch);
        for (view, when) in &self.views {
            if when.iter().all(|wanted| wanted.holds(row, batch)) {
                row.see(*view);
            }
        }
    }
}

/// What a source says about its records.
struct SourceSays {
    /// `receiver:name`.
    name: String,
    views: Vec<View>,
    is_squid: bool,
}

/// What a program says about its records.
struct AppSays {
    views: Vec<View>,
    lines: text::Lines,
}

/// Makes records of events, for one rule set. Each worker has its own. See the [module](self).
pub struct Fields {
    names: Names,
    row: Row,
    pipelines: Vec<Compiled>,
    windows: windows::Tables,
    text: text::Tables,
    stand_ins: StandIns,
    apps: Map<Box<str>, AppSays>,
    sources: Vec<Option<SourceSays>>,
    sources_of: Option<Arc<Vec<Source>>>,
    /// The place of a record's pieces, to be taken out and put back.
    pieces: Vec<(&'static str, text::Piece)>,
}

impl Fields {
    /// What the rules of a set read of events, with the pipelines of a user; those that are built
    /// in come before them.
    #[must_use]
    pub fn new(rules: &Arc<RuleSet>, pipelines: &[Pipeline]) -> Self {
        Fields::read_by(Asker::Rules, rules, pipelines)
    }

    /// What the correlations of a set read of events that their rules match: the same, and what
    /// stands in for the fields that they group by and compute with.
    #[must_use]
    pub fn of_correlations(rules: &Arc<RuleSet>, pipelines: &[Pipeline]) -> Self {
        Fields::read_by(Asker::Correlations, rules, pipelines)
    }

    /// What rules could read of events: the same, and all that stands in if a rule asks for it.
    #[must_use]
    pub fn of_any_rules(rules: &Arc<RuleSet>, pipelines: &[Pipeline]) -> Self {
        Fields::read_by(Asker::Anybody, rules, pipelines)
    }

    fn read_by(asker: Asker, rules: &Arc<RuleSet>, pipelines: &[Pipeline]) -> Self {
        let mut names = Names::new(rules);
        let windows = windows::Tables::new(&mut names);
        let text = text::Tables::new(&mut names);
        let own = builtin();
        let all = own.iter().chain(pipelines);
        let pipelines = all.map(|pipeline| Compiled::new(pipeline, &mut names)).collect();
        let stand_ins = StandIns::new(&mut names, asker);
        names.kept = names.all.len();
        Fields {
            names,
            row: Row::default(),
            pipelines,
            windows,
            text,
            stand_ins,
            apps: Map::default(),
            sources: Vec::new(),
            sources_of: None,
            pieces: Vec::new(),
        }
    }

    /// Says that what follows is of another batch.
    pub fn begin(&mut self, batch: &Batch) {
        self.names.bound();
        self.names.batch = self.names.batch.wrapping_add(1).max(1);
        if self.names.batch == 1 {
            // After so many batches places of long ago could be taken for this one's.
            self.names.all.iter_mut().for_each(|name| name.batch = 0);
        }
        let sources = &batch.block.sources;
        if self.sources_of.as_ref().is_none_or(|known| !Arc::ptr_eq(known, sources)) {
            self.sources.clear();
            self.sources.resize_with(sources.len(), || None);
            self.sources_of = Some(Arc::clone(sources));
        }
        if self.apps.len() > APPS_MAX {
            self.apps.clear();
        }
    }

    /// What rules read of an event of the batch that was [begun](Self::begin). `spare` is a record
    /// whose memory may be used.
    pub fn record<'a>(
        &'a mut self,
        batch: &'a Batch,
        event: &Event,
        spare: Record<'_>,
    ) -> Record<'a> {
        self.read(batch, event);
        self.stand_in(batch, event);
        let mut record: Record<'a> = spare.recycled();
        let row = &self.row;
        record.fields.extend(row.cells.iter().map(|cell| {
            let name = &self.names.all[cell.name as usize];
            FieldValue { id: name.id, name: &name.text, value: row.value(batch, cell) }
        }));
        record.views.extend_from_slice(&row.views);
        record.message = match event.format {
            // All that they say is in their fields; their message may be of our making.
            Format::Json | Format::Windows => "",
            _ => batch.text(event.raw),
        };
        record
    }

    /// Reads an event into `row`.
    fn read(&mut self, batch: &Batch, event: &Event) {
        let Fields { names, row, .. } = self;
        row.clear();
        names.previous = 0;
        match event.format {
            Format::Windows => {
                for field in batch.fields(event) {
                    let name = names.find(batch, field.name);
                    self.windows.take(row, names, batch, name, field.value);
                }
                self.windows.finish(row, batch, event);
            }
            _ => {
                for field in batch.fields(event) {
                    let name = names.find(batch, field.name);
                    row.push(name, Content::Found(field.value));
                }
            }
        }
        self.know(batch, event);
        let source = self.sources[event.source as usize].as_ref().expect("it was just made known");
        let app = self.apps.get(batch.text(event.app)).expect("it was just made known");
        let (names, row) = (&mut self.names, &mut self.row);
        let mut own = event.format == Format::Windows;
        if matches!(event.format, Format::Plain | Format::KeyValue) {
            let lines = match app.lines {
                text::Lines::Others if source.is_squid => text::Lines::Squid,
                lines => lines,
            };
            let message = batch.text(event.message);
            let line = (batch.text(event.raw), message);
            own = self.text.read(lines, line, event.format, &mut self.pieces, row);
            for (name, piece) in self.pieces.drain(..) {
                let name = names.number(name);
                match piece {
                    text::Piece::Part(from, to) => {
                        row.push_text(name, event.message.part(from, to));
                    }
                    text::Piece::Fixed(text) => row.push(name, Content::Fixed(text)),
                }
            }
        }
        let (mut programs, mut only) = (false, false);
        for pipeline in &self.pipelines {
            if !pipeline.fits(row, batch, event, source) {
                continue;
            }
            if pipeline.only && !only {
                row.views.clear();
                only = true;
            }
            pipeline.apply(row, names, batch);
            programs |= pipeline.programs;
        }
        self.text.url(row, batch);
        if only && !programs {
            return;
        }
        match event.format {
            Format::Audit => row.see(self.text.audit),
            Format::Access => {
                let uri = self.text.uri(row, batch);
                row.see(uri);
            }
            Format::Plain | Format::KeyValue if !own => programs = true,
            _ => {}
        }
        if programs {
            row.see(self.text.linux);
            if let Some(view) = self.text.by_facility(event.facility) {
                row.see(view);
            }
            if event.facility.is_some() || !event.app.is_empty() {
                row.see(self.text.syslog);
            }
        }
        if programs || matches!(event.format, Format::Access) {
            app.views.iter().chain(&source.views).for_each(|view| row.see(*view));
        }
    }

    /// Adds to `row` what stands in for fields that the event does not have.
    fn stand_in(&mut self, batch: &Batch, event: &Event) {
        let app = self.apps.get(batch.text(event.app)).expect("it was just made known");
        self.stand_ins.add(&mut self.row, &self.names.rules, (batch, event), app.lines);
    }

    /// Makes known what the event's source and program say.
    fn know(&mut self, batch: &Batch, event: &Event) {
        let rules = &self.names.rules;
        if self.sources[event.source as usize].is_none() {
            let source = &batch.block.sources[event.source as usize];
            let name = format!("{}:{}", source.receiver, source.name);
            let views = text::by_source(&source.name).map(|source| rules.view(&source)).collect();
            let is_squid = text::is_squid(&source.name);
            self.sources[event.source as usize] = Some(SourceSays { name, views, is_squid });
        }
        let app = batch.text(event.app);
        if !self.apps.contains_key(app) {
            let (sources, lines) = text::by_app(app);
            let views = sources.map(|source| rules.view(&source)).collect();
            self.apps.insert(app.into(), AppSays { views, lines });
        }
    }
}

impl std::fmt::Debug for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (names, pipelines) = (self.names.all.len(), self.pipelines.len());
        f.debug_struct("Fields").field("names", &names).field("pipelines", &pipelines).finish()
    }
}

/// All log sources that records can have: of the tables and of pipelines. A rule for none of them
/// can never match.
#[must_use]
pub fn log_sources(pipelines: &[Pipeline]) -> Vec<LogSource> {
    let own = builtin();
    let of_pipelines = own.iter().chain(pipelines).flat_map(|pipeline| pipeline.log_sources());
    let mut all: Vec<LogSource> =
        of_pipelines.cloned().chain(windows::log_sources()).chain(text::log_sources()).collect();
    all.sort();
    all.dedup();
    all
}

/// The part of a text that lies in another, as a range of it.
fn range_in(whole: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
}
