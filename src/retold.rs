//! Tells a run of `replay` again from its state folder.
//!
//! A replay that keeps state may be killed and gone on with, and what it tells must be what it
//! would have told in one go. So its files are written at the end, from what is stored: alerts
//! from the store, events from the journal, what was found in them, and the final templates.

use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::path::Path;

use operators::extract::Extractor;
use operators::parse::Parser;
use operators::template::{Dictionary, TemplateId};
use operators::types::{Alert, Batch, Block, Flags};

use crate::config::settings::Settings;
use crate::journal::{Control, Fed, JournalError, Reader};
use crate::render::{LineWriter, Told};
use crate::setup;
use crate::storage::events::Found;
use crate::storage::{self, Storage};

/// Why a run cannot be told again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal cannot be read.
    #[error("cannot read the journal again")]
    Journal(#[from] JournalError),
    /// The store cannot be read.
    #[error("cannot read the store again")]
    Store(#[from] storage::Error),
    /// The journal holds events of which the store knows nothing.
    #[error("nothing is stored of what was found in the events from {first_seq} on")]
    Missing {
        /// The first of them.
        first_seq: u64,
    },
    /// The lines cannot be written.
    #[error(transparent)]
    Write(#[from] io::Error),
}

/// Reads a journal from the first record that it holds; the epoch of that, of which the beginning
/// may be gone, and what follows.
///
/// # Errors
///
/// If it cannot be read.
pub fn whole(dir: &Path) -> Result<(u64, Reader), JournalError> {
    let (epoch, _, reader) = Reader::oldest(dir)?;
    Ok((epoch, reader))
}

/// The epochs of the last run that took any record in, however often it was interrupted: runs
/// are told apart by the [`Control::Stop`] at their ends. `None` if no record was ever taken in.
///
/// # Errors
///
/// If the journal cannot be read.
pub fn last_run(dir: &Path) -> Result<Option<RangeInclusive<u64>>, JournalError> {
    let (mut first, reader) = whole(dir)?;
    let (mut records, mut stopped, mut last) = (0, false, None);
    for fed in reader {
        match fed? {
            Fed::Block(block) => records += block.records.len(),
            Fed::Control { control, .. } => stopped |= control == Control::Stop,
            Fed::EpochEnd { epoch, .. } if stopped => {
                if records > 0 {
                    last = Some(first..=epoch);
                }
                (first, records, stopped) = (epoch + 1, 0, false);
            }
            Fed::EpochEnd { .. } => {}
        }
    }
    Ok(if records > 0 { Some(first..=u64::MAX) } else { last })
}

/// The alerts of a run, by epoch and id.
///
/// # Errors
///
/// If the store cannot be read.
pub fn alerts(storage: &Storage, run: &RangeInclusive<u64>) -> Result<Vec<Alert>, Error> {
    let mut alerts = storage.alerts_since(*run.start())?;
    alerts.retain(|alert| run.contains(&alert.epoch));
    Ok(alerts)
}

/// Writes the events of a run, a line of JSON each, in sequence order, with the templates of
/// `dictionary`.
///
/// # Errors
///
/// If something cannot be read or written, or is not there.
pub fn events(
    settings: &Settings,
    storage: &Storage,
    run: &RangeInclusive<u64>,
    dictionary: &Dictionary,
    to: &mut impl Write,
) -> Result<(), Error> {
    let options = setup::detection(settings, 1);
    let parser = Parser::new(options.parse);
    let mut extractor = Extractor::new(options.extract);
    let mut writer = LineWriter::default();
    let mut found = None;
    let mut out = Vec::new();
    let reader = match Reader::open(storage.dir(), *run.start()) {
        // The epoch that the run begins in is not whole any more.
        Err(JournalError::Trimmed { .. }) => whole(storage.dir())?.1,
        reader => reader?,
    };
    for fed in reader {
        let block = match fed? {
            Fed::Block(block) if run.contains(&block.epoch) => block,
            Fed::EpochEnd { epoch, .. } if epoch >= *run.end() => break,
            _ => continue,
        };
        let stored = found.get_or_insert_with(|| storage.found_from(block.first_seq));
        let missing = Error::Missing { first_seq: block.first_seq };
        let found = match stored.next() {
            Some(found) => found?,
            None => return Err(missing),
        };
        if !covers(&found, &block) {
            return Err(missing);
        }
        let mut batch = parser.parse(block);
        extractor.extract(&mut batch);
        apply(&found, &mut batch);
        for (at, event) in batch.events.iter().enumerate() {
            let template = dictionary.get(TemplateId(event.template));
            let mut event = *event;
            event.template = template.map_or(event.template, |template| template.id.0);
            let rules = rules(&found, at);
            let told = Told {
                template: template.map(|template| &*template.text),
                score: found.score[at],
                rules: &rules,
            };
            writer.line(&batch, &event, told, &mut out);
        }
        to.write_all(&out)?;
        out.clear();
    }
    Ok(())
}

/// Whether this was found in exactly the records of that block.
fn covers(found: &Found, block: &Block) -> bool {
    let count = block.records.len();
    found.first_seq == block.first_seq
        && [found.time.len(), found.template.len(), found.score.len(), found.flags.len()]
            == [count; 4]
}

/// What parsing alone does not know of events.
fn apply(found: &Found, batch: &mut Batch) {
    for (at, event) in batch.events.iter_mut().enumerate() {
        event.time = found.time[at];
        event.template = found.template[at];
        event.flags = Flags(found.flags[at]);
    }
}

/// The rules that matched an event, by its index in the block.
fn rules(found: &Found, at: usize) -> Vec<(&str, &str)> {
    let of_event = |(event, _, _): &&(u32, String, String)| *event as usize == at;
    let hits = found.hits.iter().filter(of_event);
    hits.map(|(_, id, title)| (id.as_str(), title.as_str())).collect()
}
