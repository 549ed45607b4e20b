//! A state folder, opened to be read, also while another process is writing it.
//!
//! Records are in the journal, and what was found in them is in the store; an event is made of
//! both, the first parsed again as the engine parsed it. What came in after the last time that
//! the store was written is in the journal alone: it is read as it is, without a score.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use operators::extract::Extractor;
use operators::parse::Parser;
use operators::template::{Dictionary, Masked, TemplateId, mask};
use operators::types::{Batch, Block, Event, Flags, Record, Severity, Source, Text};

use crate::cli::Failure;
use crate::cli::escape::escape;
use crate::cli::exit::Exit;
use crate::cli::numbers::moment;
use crate::cli::style::Palette;
use crate::config::settings::Settings;
use crate::journal::{self, JournalError, Lookup, Stored};
use crate::render::{LineWriter, Told};
use crate::session::read_storage;
use crate::storage::events::Found;
use crate::storage::{self, Storage};
use crate::{setup, verbs};

/// How often opening is tried: a writer may be merging files just then.
const TRIES: usize = 3;
/// How long to wait before the next try.
const PAUSE: Duration = Duration::from_millis(50);

/// An open state folder.
pub(crate) struct Reading {
    /// What was found.
    pub(crate) storage: Storage,
    /// The templates as of the last checkpoint.
    pub(crate) templates: Dictionary,
    dir: PathBuf,
    lookup: Lookup,
    reader: RecordReader,
}

impl Reading {
    /// Opens the folder that the configuration names.
    ///
    /// # Errors
    /// If there is no state, or none that this program can read.
    pub(crate) fn open(settings: &Settings) -> Result<Self, Failure> {
        let dir = settings.state.dir.clone();
        let storage = open_storage(&dir)?;
        Ok(Reading {
            templates: verbs::stored_dictionary(settings, &storage),
            storage,
            lookup: Lookup::new(&dir),
            dir,
            reader: RecordReader::new(settings),
        })
    }

    /// What the journal holds.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn journal(&self) -> Result<journal::Info, Failure> {
        journal::info(&self.dir).map_err(journal_failure)
    }

    /// The events with these sequence numbers, which ascend. `found` is what was found in them;
    /// without it they are as the journal has them. What the journal no longer has is left out.
    ///
    /// # Errors
    /// If the journal is damaged there, or cannot be read.
    pub(crate) fn events(
        &mut self,
        found: Option<&Found>,
        seqs: &[u64],
    ) -> Result<Events, JournalError> {
        let records = self.lookup.records(seqs)?;
        let mut batch = self.reader.events(&records);
        let mut findings = Vec::with_capacity(batch.events.len());
        for at in 0..batch.events.len() {
            let mut event = batch.events[at];
            let finding = match found {
                Some(found) => {
                    let index = (event.seq - found.first_seq) as usize;
                    event.time = found.time[index];
                    event.flags = Flags(found.flags[index]);
                    event.template = found.template[index];
                    let hits = found.hits.iter().filter(|hit| hit.0 as usize == index);
                    let rules = hits.map(|(_, id, title)| (id.clone(), title.clone())).collect();
                    Finding { score: found.score[index], rules }
                }
                None => {
                    event.template = self.template_of(batch.text(event.message)).0;
                    Finding { score: -1.0, rules: Vec::new() }
                }
            };
            event.template = self.templates.resolve(TemplateId(event.template)).0;
            batch.events[at] = event;
            findings.push(finding);
        }
        Ok(Events { batch, findings })
    }

    /// The template that a message has by now; [`TemplateId::NONE`] if none fits.
    pub(crate) fn template_of(&mut self, message: &str) -> TemplateId {
        mask(message, &mut self.reader.masked);
        self.templates.find(&self.reader.masked).unwrap_or_default()
    }
}

fn open_storage(dir: &Path) -> Result<Storage, Failure> {
    let mut tried = 1;
    loop {
        match read_storage(dir) {
            Err(failure) if failure.exit == Exit::NoInput => {
                let hint = "`run` keeps state, and `replay --state DIR` does; `--state DIR` says where \
                            it is";
                return Err(failure.with_hint(hint));
            }
            Err(failure) if failure.exit == Exit::Io && tried < TRIES => {
                tried += 1;
                std::thread::sleep(PAUSE);
            }
            opened => return opened,
        }
    }
}

/// Why the store cannot be read.
pub(crate) fn storage_failure(error: storage::Error) -> Failure {
    Failure::new(Exit::Io, error)
}

/// Why the journal cannot be read.
pub(crate) fn journal_failure(error: JournalError) -> Failure {
    let exit = match &error {
        JournalError::Damaged(_) => Exit::BadData,
        JournalError::Version { .. } => Exit::Unavailable,
        _ => Exit::Io,
    };
    Failure::new(exit, error)
}

/// Makes events of single records, as the engine makes them of blocks.
pub(crate) struct RecordReader {
    parser: Parser,
    extractor: Extractor,
    masked: Masked,
}

impl RecordReader {
    /// A reader with the engine's options.
    pub(crate) fn new(settings: &Settings) -> Self {
        let mut options = setup::detection(settings, 1);
        // Few names are looked up here, and the table is made for each start.
        options.extract.id_cache_slots = 1_024;
        RecordReader {
            parser: Parser::new(options.parse),
            extractor: Extractor::new(options.extract),
            masked: Masked::default(),
        }
    }

    /// The events of these records, in their order, with their entities.
    pub(crate) fn events(&mut self, stored: &[Stored]) -> Batch {
        let mut sources: Vec<Source> = Vec::new();
        let mut text = String::new();
        let mut records = Vec::with_capacity(stored.len());
        for record in stored {
            let known = sources.iter().position(|source| *source == record.source);
            let source = known.unwrap_or_else(|| {
                sources.push(record.source.clone());
                sources.len() - 1
            });
            let (start, mut flags) = (text.len(), record.flags);
            let decoded = String::from_utf8_lossy(&record.bytes);
            if let Cow::Owned(_) = decoded {
                flags.set(Flags::NOT_UTF8);
            }
            text.push_str(&decoded);
            records.push(Record {
                text: Text::in_block(start, text.len() - start),
                source: source as u32,
                received_at: record.received_at,
                flags,
            });
        }
        let (sources, ended) = (Arc::new(sources), Vec::new());
        let block = Block { epoch: 0, first_seq: 0, text, records, sources, ended };
        let mut batch = self.block(Arc::new(block));
        // A block's records follow each other; these may not.
        for (event, record) in batch.events.iter_mut().zip(stored) {
            event.seq = record.seq;
        }
        batch
    }

    /// The events of a block, with their entities.
    pub(crate) fn block(&mut self, block: Arc<Block>) -> Batch {
        let mut batch = self.parser.parse(block);
        self.extractor.extract(&mut batch);
        batch
    }
}

/// Events as they were stored.
pub(crate) struct Events {
    /// What they say, with their templates as of now.
    pub(crate) batch: Batch,
    findings: Vec<Finding>,
}

struct Finding {
    score: f32,
    rules: Vec<(String, String)>,
}

impl Events {
    /// Appends the event at `index` as a line of JSON, as `replay --events` writes it.
    pub(crate) fn json(
        &self,
        index: usize,
        templates: &Dictionary,
        writer: &mut LineWriter,
        out: &mut Vec<u8>,
    ) {
        let event = &self.batch.events[index];
        let Finding { score, rules } = &self.findings[index];
        let template = templates.get(TemplateId(event.template));
        let rules: Vec<(&str, &str)> =
            rules.iter().map(|(id, title)| (id.as_str(), title.as_str())).collect();
        let told = Told {
            template: template.map(|template| template.text.as_str()),
            score: *score,
            rules: &rules,
        };
        writer.line(&self.batch, event, told, out);
    }

    /// The event at `index` for people: a line without its end, safe for a terminal.
    pub(crate) fn human(&self, index: usize, palette: Palette) -> String {
        let event = &self.batch.events[index];
        let Finding { score, rules } = &self.findings[index];
        let mut line = format!(
            "{}  {}  {}",
            palette.faint(moment(event.time)),
            severity(event.severity, palette),
            sender(&self.batch, event, palette),
        );
        let message = self.batch.text(event.message);
        line.push_str(&escape(message));
        for (_, title) in rules {
            line.push_str(&format!("  {}", palette.strong(format_args!("[{}]", escape(title)))));
        }
        if *score >= 0.0 {
            line.push_str(&format!("  {}", palette.faint(format_args!("score {score:.3}"))));
        }
        line.push_str(&format!("  {}", palette.faint(format_args!("#{}", event.seq))));
        line
    }
}

fn severity(severity: Option<Severity>, palette: Palette) -> String {
    let name = severity.map_or("-", Severity::name);
    let style = match severity {
        Some(Severity::Critical | Severity::Fatal) => "critical",
        Some(Severity::Error) => "high",
        Some(Severity::Warning) => "medium",
        _ => return format!("{name:<8}"),
    };
    palette.level(style, format_args!("{name:<8}")).to_string()
}

/// Host and program, as far as the event names them, with a space behind.
fn sender(batch: &Batch, event: &Event, palette: Palette) -> String {
    let (host, app) = (escape(batch.text(event.host)), escape(batch.text(event.app)));
    match (host.is_empty(), app.is_empty()) {
        (true, true) => String::new(),
        (false, true) => format!("{}  ", palette.strong(host)),
        (true, false) => format!("{}  ", palette.strong(app)),
        (false, false) => format!("{} {}  ", palette.strong(host), palette.strong(app)),
    }
}
