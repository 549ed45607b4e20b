//! One run of the program from records to results: `run`, `replay` and `demo` are sessions.
//!
//! ```text
//! receivers ──▶ intakes ──▶ journal ──▶ dealer ══▶ engine ──▶ outlet
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use operators::sigma::Schedule;
use tokio::sync::mpsc;

use crate::cli::Failure;
use crate::cli::exit::Exit;
use crate::config::settings::Settings;
use crate::engine::{self, Dealer, Ended, Engine, Gate, Outlet};
use crate::intake::{CHANNEL_INTAKES, Intake, IntakeSender, Position};
use crate::journal::cutter::FIRST_EPOCH;
use crate::journal::{
    ControlIntake, Journal, JournalError, Pace, Reader, Recovered, Retention, Writer,
    WriterOptions, wall_clock,
};
use crate::storage::Storage;
use crate::storage::checkpoint::Marker;
use crate::storage::spill::Backing;
use crate::{journal, rules, setup, storage};

/// What a session is told.
pub struct Plan {
    /// How many workers.
    pub workers: usize,
    /// The state folder; `None` leaves nothing behind.
    pub state: Option<PathBuf>,
    /// Whether epochs end by the clock as well.
    pub pace: Pace,
    /// Whether the events are wanted as lines of JSON.
    pub event_lines: bool,
    /// Where results go.
    pub outlet: Box<dyn Outlet>,
}

/// A session at work.
pub struct Session {
    /// Where records go.
    pub intakes: IntakeSender,
    /// How far files have been read before.
    pub positions: Vec<Position>,
    /// What was found in the state folder.
    pub restored: Restored,
    /// What became of the rules that the configuration names.
    pub rules: Rules,
    engine: Engine,
    writer: Writer,
    _controls: mpsc::Sender<ControlIntake>,
}

/// How many rules there are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// Those that are used.
    pub used: u64,
    /// Those that cannot be used.
    pub refused: u64,
}

/// What was found in the state folder.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// The last checkpoint.
    pub checkpoint: Option<Marker>,
    /// Events after it that were run again.
    pub again: u64,
    /// What the journal had to cut or set aside, in words.
    pub notes: Vec<String>,
}

fn storage_failure(error: storage::Error) -> Failure {
    let exit = match &error {
        storage::Error::InUse(_) | storage::Error::Version { .. } => Exit::Unavailable,
        storage::Error::Missing(_) => Exit::NoInput,
        storage::Error::Io { .. } | storage::Error::Store { .. } => Exit::Io,
    };
    Failure::new(exit, error)
}

fn journal_failure(error: JournalError) -> Failure {
    let exit = match &error {
        JournalError::InUse { .. } | JournalError::Version { .. } => Exit::Unavailable,
        JournalError::Damaged(_) => Exit::BadData,
        _ => Exit::Io,
    };
    Failure::new(exit, error)
}

/// Opens a state folder to write.
///
/// # Errors
/// If it is in use, of another version, damaged, or cannot be written.
pub fn open_storage(dir: &Path) -> Result<Storage, Failure> {
    Storage::open(dir).map_err(storage_failure)
}

/// Opens a state folder to read.
///
/// # Errors
/// If there is none, or it cannot be read.
pub fn read_storage(dir: &Path) -> Result<Storage, Failure> {
    Storage::open_for_reading(dir).map_err(storage_failure)
}

impl Session {
    /// Opens the state, runs again what came after the last checkpoint, and is ready for more.
    ///
    /// # Errors
    /// If the state cannot be used, or the system gives no threads.
    pub fn start(settings: &Settings, plan: Plan) -> Result<Session, Failure> {
        let Plan { workers, state, pace, event_lines, outlet } = plan;
        let loaded = rules::load(settings);
        for warning in loaded.warnings() {
            tracing::warn!("{warning}");
        }
        let counts = Rules {
            used: (loaded.report.rules + loaded.report.correlations) as u64,
            refused: loaded.report.refused as u64,
        };
        let storage = state.as_deref().map(open_storage).transpose()?;
        let checkpoint = match &storage {
            Some(storage) => storage.checkpoint().map_err(storage_failure)?,
            None => None,
        };
        let next_epoch = checkpoint.map_or(FIRST_EPOCH, |marker| marker.epoch + 1);
        let options = setup::journal(settings, next_epoch);
        let (journal, recovered) = match &state {
            Some(dir) => {
                let (journal, recovered) = Journal::open(dir, options).map_err(journal_failure)?;
                (journal, Some(recovered))
            }
            None => (Journal::volatile(options), None),
        };
        let gate = match storage {
            Some(_) => Gate::Durable(journal.durable()),
            None => Gate::Open,
        };
        let backing = match &storage {
            Some(storage) => Backing::kept(storage.clone()),
            None => Backing::scratch(std::env::temp_dir()),
        };
        let (mut dealer, engine) = engine::start(engine::Setup {
            workers,
            detection: setup::detection(settings, workers),
            rules: Arc::new(Schedule::new(loaded.active)),
            backing,
            storage,
            checkpoint_interval: Duration::from_secs(settings.state.checkpoint_interval_s),
            first_epoch: next_epoch,
            event_lines,
            gate,
            outlet,
        })
        .map_err(|error| Failure::new(Exit::Internal, error))?;

        let mut restored = Restored { checkpoint, ..Restored::default() };
        let mut positions = Vec::new();
        if let (Some(dir), Some(recovered)) = (&state, recovered) {
            restored.again = run_again(dir, next_epoch, &recovered, &mut dealer)?;
            restored.notes = notes(&recovered);
            positions = recovered.positions;
        }
        let (intakes, intake_receiver) = mpsc::channel::<Intake>(CHANNEL_INTAKES);
        let (controls, control_receiver) = mpsc::channel(16);
        let options = WriterOptions {
            pace,
            stop_deadline: Duration::from_secs(settings.shutdown_timeout_s),
            clock: wall_clock,
        };
        let feed = move |fed| dealer.deal(fed);
        let writer = Writer::spawn(journal, intake_receiver, control_receiver, options, feed)
            .map_err(|error| Failure::new(Exit::Internal, error))?;
        Ok(Session {
            intakes,
            positions,
            restored,
            rules: counts,
            engine,
            writer,
            _controls: controls,
        })
    }

    /// What is going on in the engine.
    #[must_use]
    pub fn progress(&self) -> Arc<engine::Progress> {
        self.engine.progress()
    }

    /// Deletes old segments of the journal, if one is kept.
    #[must_use]
    pub fn retention(&self) -> Option<Retention> {
        self.writer.retention().cloned()
    }

    /// Counts of the journal.
    #[must_use]
    pub fn journal_counters(&self) -> Arc<journal::Counters> {
        Arc::clone(self.writer.counters())
    }

    /// Works off everything that was handed in, and ends. All other senders must be gone.
    ///
    /// With `interrupted`, the open epoch stays open: whoever goes on with the same input cuts it
    /// where it would have been cut.
    ///
    /// # Errors
    /// If the journal could not take everything.
    pub fn finish(self, interrupted: bool) -> Result<Ended, Failure> {
        let Session { intakes, engine, writer, _controls: controls, .. } = self;
        if interrupted {
            writer.leave_open();
        }
        drop(intakes);
        drop(controls);
        writer.join().map_err(|error| Failure::new(Exit::Io, error))?;
        Ok(engine.join())
    }
}

/// Deals what the journal holds after the checkpoint; how many records that were.
fn run_again(
    dir: &Path,
    from: u64,
    recovered: &Recovered,
    dealer: &mut Dealer,
) -> Result<u64, Failure> {
    if recovered.next_seq == 0 && recovered.last_complete == 0 {
        return Ok(0);
    }
    let mut records = 0;
    for fed in Reader::open(dir, from).map_err(journal_failure)? {
        let fed = fed.map_err(journal_failure)?;
        if let journal::Fed::Block(block) = &fed {
            records += block.records.len() as u64;
        }
        dealer.deal(fed);
    }
    Ok(records)
}

fn notes(recovered: &Recovered) -> Vec<String> {
    let torn = recovered.torn.iter().map(|torn| torn.to_string());
    torn.chain(recovered.repaired.iter().map(ToString::to_string)).collect()
}
