//! One run of the program from records to results: `run`, `replay` and `demo` are sessions.
//!
//! ```text
//! receivers ──▶ intakes ──▶ journal ──▶ dealer ══▶ engine ──▶ outlet
//! ```

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use operators::sigma::Schedule;
use operators::types::EventTime;
use tokio::sync::mpsc;

use crate::cli::Failure;
use crate::cli::exit::Exit;
use crate::config::settings::Settings;
use crate::engine::{self, Dealer, Ended, Engine, Gate, Outlet};
use crate::intake::{CHANNEL_INTAKES, Intake, IntakeSender, Position};
use crate::journal::cutter::FIRST_EPOCH;
use crate::journal::{
    Control, ControlIntake, Journal, JournalError, Pace, Reader, Recovered, Retention, Writer,
    WriterOptions, wall_clock,
};
use crate::rules::Material;
use crate::rules::library::Library;
use crate::rules::reload::{self, Reloader};
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

/// A session at work. One that is dropped works off what it has, like one that is finished.
///
/// Fields are dropped in their order: the engine waits for the end of all that deal, and those for
/// the end of all that hand in.
pub struct Session {
    /// Where records go.
    pub intakes: IntakeSender,
    controls: mpsc::Sender<ControlIntake>,
    writer: Writer,
    /// Shared with the journal's thread, which deals while it writes.
    dealer: Arc<Mutex<Dealer>>,
    engine: Engine,
    /// How far files have been read before.
    pub positions: Vec<Position>,
    /// What was found in the state folder.
    pub restored: Restored,
    /// What became of the rules that the configuration names.
    pub rules: Rules,
    state: Option<PathBuf>,
    /// What takes the results, if state is kept.
    storage: Option<Storage>,
    /// Until when a stop may deal what the journal holds.
    until: Option<Instant>,
    library: Arc<Library>,
    /// The rules that it began with.
    digest: u128,
}

const NO_PANIC: &str = "a panic ends the process";

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

/// The epoch that a start begins with.
fn next_epoch(checkpoint: Option<Marker>) -> u64 {
    checkpoint.map_or(FIRST_EPOCH, |marker| marker.epoch + 1)
}

fn storage_failure(error: storage::Error) -> Failure {
    let exit = match &error {
        storage::Error::InUse(_) | storage::Error::Version { .. } => Exit::Unavailable,
        storage::Error::Missing(_) => Exit::NoInput,
        storage::Error::Damaged { .. } => Exit::BadData,
        storage::Error::Io { .. } | storage::Error::Store { .. } => Exit::Io,
    };
    Failure::new(exit, error)
}

fn keep_failure(error: std::io::Error) -> Failure {
    Failure::new(Exit::Io, format!("cannot keep the rules in the state folder: {error}"))
}

/// Why a journal cannot be used, with its exit code.
pub(crate) fn journal_failure(error: JournalError) -> Failure {
    let exit = match &error {
        JournalError::InUse { .. } | JournalError::Version { .. } => Exit::Unavailable,
        JournalError::Damaged(_) | JournalError::Ahead { .. } | JournalError::Trimmed { .. } => {
            Exit::BadData
        }
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

/// A session that has its state open, and has not yet worked off what came after the last
/// checkpoint. One that is dropped leaves that to the next start.
///
/// Fields are dropped in their order: the engine waits for the end of the dealer.
pub struct Opened {
    dealer: Dealer,
    engine: Engine,
    journal: Journal,
    recovered: Option<Recovered>,
    checkpoint: Option<Marker>,
    pace: Pace,
    stop_deadline: Duration,
    rules: Rules,
    state: Option<PathBuf>,
    storage: Option<Storage>,
    library: Arc<Library>,
    schedule: Arc<Schedule>,
    digest: u128,
}

impl Session {
    /// Opens the state, runs again what came after the last checkpoint, and is ready for more.
    ///
    /// # Errors
    /// If the state cannot be used, or the system gives no threads.
    pub fn start(settings: &Settings, plan: Plan) -> Result<Session, Failure> {
        Opened::open(settings, plan)?.work_off(|| false)
    }

    /// [`start`](Self::start) with these rules instead of those that the configuration names, and
    /// without a state folder.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(
        settings: &Settings,
        plan: Plan,
        loaded: rules::Loaded,
    ) -> Result<Session, Failure> {
        let plan = Plan { state: None, ..plan };
        Opened::open_with(settings, plan, loaded, None)?.work_off(|| false)
    }

    /// Loads rules again while the session goes on. `stamp` is of before it was started.
    #[must_use]
    pub fn reloader(&self, stamp: reload::Stamp) -> Reloader {
        let (library, controls) = (Arc::clone(&self.library), self.controls.clone());
        Reloader::new(library, controls, self.digest, stamp)
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

    /// Begins to stop a session that keeps state: who hands in no longer waits for the engine,
    /// only for the disk. [`finish`](Self::finish) then works off what the journal holds, until
    /// `until`; what is left then is worked off at the next start.
    pub fn hurry(&mut self, until: Instant) {
        if self.state.is_some() {
            self.engine.hold();
            self.until = Some(until);
        }
        if let Some(storage) = &self.storage {
            storage.wait_for_space_until(until);
        }
    }

    /// Works off everything that was handed in, and ends. All other senders must be gone.
    ///
    /// With `interrupted`, the open epoch stays open: whoever goes on with the same input cuts it
    /// where it would have been cut.
    ///
    /// # Errors
    /// If the journal could not take everything.
    pub fn finish(self, interrupted: bool) -> Result<Ended, Failure> {
        // What is named last is dropped first: the engine waits for the end of the dealer.
        let Session { engine, dealer, writer, intakes, controls, state, storage, until, .. } = self;
        // Only the engine holds the store open.
        drop(storage);
        if interrupted {
            writer.leave_open();
        }
        drop(intakes);
        drop(controls);
        let stopped = writer.join().map_err(|error| Failure::new(Exit::Io, error))?;
        let mut left = 0;
        if let (Some(dir), Some(until)) = (state, until) {
            let mut dealer = dealer.lock().expect(NO_PANIC);
            left = stopped.next_seq - deal_rest(&dir, &mut dealer, until)?;
            left += engine.finish_until(until);
        }
        // The workers end when nobody can deal to them any more.
        drop(dealer);
        Ok(Ended { left, ..engine.join() })
    }
}

impl Opened {
    /// Opens the state. [`work_off`](Self::work_off) makes it a session.
    ///
    /// # Errors
    /// If the state cannot be used, or the system gives no threads.
    pub fn open(settings: &Settings, plan: Plan) -> Result<Opened, Failure> {
        let material = Material::configured(settings);
        let loaded = material.compile();
        for warning in loaded.warnings() {
            tracing::warn!("{warning}");
        }
        Opened::open_with(settings, plan, loaded, Some(material))
    }

    fn open_with(
        settings: &Settings,
        plan: Plan,
        loaded: rules::Loaded,
        material: Option<Material>,
    ) -> Result<Opened, Failure> {
        let Plan { workers, state, pace, event_lines, outlet } = plan;
        let counts = Rules {
            used: (loaded.report.rules + loaded.report.correlations) as u64,
            refused: loaded.report.refused as u64,
        };
        let storage = state.as_deref().map(open_storage).transpose()?;
        let checkpoint = match &storage {
            Some(storage) => storage.checkpoint().map_err(storage_failure)?,
            None => None,
        };
        let next_epoch = next_epoch(checkpoint);
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
        // What runs again is matched by the rules that it was matched by, and only then others
        // take over.
        let digest = loaded.active.digest;
        let active = Arc::new(loaded.active);
        let library = Arc::new(state.as_deref().map_or_else(Library::default, Library::of));
        if let Some(material) = material {
            library.keep(digest, &material).map_err(keep_failure)?;
        }
        library.put(Arc::clone(&active));
        let before = checkpoint.map_or(digest, |marker| marker.rules);
        let schedule = Arc::new(Schedule::new(library.get(before).unwrap_or_else(|error| {
            tracing::error!(
                %error,
                "the rules of the last checkpoint are gone: what runs again is matched by those of \
                 today"
            );
            active
        })));
        let (dealer, engine) = engine::start(engine::Setup {
            workers,
            detection: setup::detection(settings, workers),
            rules: Arc::clone(&schedule),
            library: Arc::clone(&library),
            backing,
            storage: storage.clone(),
            checkpoint_interval: Duration::from_secs(settings.state.checkpoint_interval_s),
            first_epoch: next_epoch,
            first_seq: checkpoint.map_or(0, |marker| marker.next_seq),
            event_lines,
            gate,
            outlet,
        })
        .map_err(|error| Failure::new(Exit::Internal, error))?;
        Ok(Opened {
            dealer,
            engine,
            journal,
            recovered,
            checkpoint,
            pace,
            stop_deadline: Duration::from_secs(settings.shutdown_timeout_s),
            rules: counts,
            state,
            storage,
            library,
            schedule,
            digest,
        })
    }

    /// How many records the journal holds after the last checkpoint.
    #[must_use]
    pub fn left(&self) -> u64 {
        let end = self.recovered.as_ref().map_or(0, |recovered| recovered.next_seq);
        end.saturating_sub(self.checkpoint.map_or(0, |marker| marker.next_seq))
    }

    /// What is going on in the engine.
    #[must_use]
    pub fn progress(&self) -> Arc<engine::Progress> {
        self.engine.progress()
    }

    /// Runs again what came after the last checkpoint, and is ready for more.
    ///
    /// Once it is to be `stopped`, no further epoch is begun, and the session is only good to be
    /// [finished](Session::finish) after [`hurry`](Session::hurry), which goes on with the rest.
    ///
    /// # Errors
    /// If the journal cannot be read, or the system gives no threads.
    pub fn work_off(self, stopped: impl Fn() -> bool) -> Result<Session, Failure> {
        // Whatever fails from here on drops the dealer before the engine, which waits for its end.
        let Opened {
            // Only this thread closes the store, when the engine is done with it.
            storage,
            engine,
            mut dealer,
            journal,
            recovered,
            checkpoint,
            pace,
            stop_deadline,
            rules,
            state,
            library,
            schedule,
            digest,
        } = self;
        let next_epoch = next_epoch(checkpoint);
        let mut restored = Restored { checkpoint, ..Restored::default() };
        let mut positions = Vec::new();
        if let (Some(dir), Some(recovered)) = (&state, recovered) {
            restored.again =
                run_again(dir, next_epoch, &recovered, (&mut dealer, &engine), stopped)?;
            restored.notes = notes(&recovered);
            positions = recovered.positions;
        }
        let (intakes, intake_receiver) = mpsc::channel::<Intake>(CHANNEL_INTAKES);
        let (controls, control_receiver) = mpsc::channel(16);
        let is_new = restored.checkpoint.is_none() && restored.again == 0;
        if state.is_some() && (is_new || schedule.latest().digest != digest) {
            let control = reload::control(digest);
            let intake = ControlIntake { control, receipt: None };
            controls.try_send(intake).expect("nothing was sent before");
        }
        let options = WriterOptions { pace, stop_deadline, clock: wall_clock };
        let dealer = Arc::new(Mutex::new(dealer));
        let deal = Arc::clone(&dealer);
        let feed = move |fed| deal.lock().expect(NO_PANIC).deal(fed);
        let writer = Writer::spawn(journal, intake_receiver, control_receiver, options, feed)
            .map_err(|error| Failure::new(Exit::Internal, error))?;
        Ok(Session {
            intakes,
            controls,
            writer,
            dealer,
            engine,
            positions,
            restored,
            rules,
            state,
            storage,
            until: None,
            library,
            digest,
        })
    }
}

/// A stored journal on its way through an engine of its own, epoch by epoch as it was cut. Nothing
/// is kept, and the folder is left as it is.
pub struct Again {
    /// The epoch that the journal begins in.
    pub first_epoch: u64,
    /// The sequence number of its first record.
    pub first_seq: u64,
    reader: Reader,
    dealer: Dealer,
    engine: Engine,
}

impl Again {
    /// Opens the journal in `dir`. Of the plan, the state and the pace mean nothing here.
    ///
    /// # Errors
    /// If the folder is of another version, the journal cannot be read, or the system gives no
    /// threads.
    pub fn start(settings: &Settings, dir: &Path, plan: Plan) -> Result<Again, Failure> {
        Storage::check_version(dir).map_err(storage_failure)?;
        let (first_epoch, first_seq, reader) = Reader::oldest(dir).map_err(journal_failure)?;
        let (dealer, engine) = engine::start(engine::Setup {
            workers: plan.workers,
            detection: setup::detection(settings, plan.workers),
            rules: Arc::new(Schedule::new(rules::load(settings).active)),
            library: Arc::new(Library::of(dir)),
            backing: Backing::scratch(std::env::temp_dir()),
            storage: None,
            checkpoint_interval: Duration::ZERO,
            first_epoch,
            first_seq,
            event_lines: plan.event_lines,
            gate: Gate::Open,
            outlet: plan.outlet,
        })
        .map_err(|error| Failure::new(Exit::Internal, error))?;
        Ok(Again { first_epoch, first_seq, reader, dealer, engine })
    }

    /// What is going on in the engine.
    #[must_use]
    pub fn progress(&self) -> Arc<engine::Progress> {
        self.engine.progress()
    }

    /// Takes all of it through, unless it is `stopped` before.
    ///
    /// # Errors
    /// If the journal is damaged.
    pub fn run(self, stopped: impl Fn() -> bool) -> Result<Ended, Failure> {
        // What is named last is dropped first: the engine waits for the end of the dealer.
        let Again { engine, mut dealer, reader, first_seq, .. } = self;
        let mut open = OpenEpoch::default();
        let mut lacking = Lacking { next_seq: first_seq, records: 0 };
        for fed in reader {
            let fed = fed.map_err(journal_failure)?;
            if stopped() {
                break;
            }
            open.pass(&fed);
            lacking.pass(&fed);
            dealer.deal(fed);
        }
        lacking.warn();
        // A journal that was not stopped in good order ends here all the same.
        for fed in open.end() {
            dealer.deal(fed);
        }
        drop(dealer);
        Ok(engine.join())
    }
}

/// Counts the records that a journal lacks between those that it has.
struct Lacking {
    next_seq: u64,
    records: u64,
}

impl Lacking {
    fn pass(&mut self, fed: &journal::Fed) {
        let (first_seq, next_seq) = match fed {
            journal::Fed::Block(block) => {
                (block.first_seq, block.first_seq + block.records.len() as u64)
            }
            journal::Fed::EpochEnd { next_seq, .. } => (*next_seq, *next_seq),
            journal::Fed::Control { .. } => return,
        };
        self.records += first_seq.saturating_sub(self.next_seq);
        self.next_seq = self.next_seq.max(next_seq);
    }

    fn warn(&self) {
        if self.records > 0 {
            tracing::warn!(
                records = self.records,
                "records were lost to damage: what runs again is without them"
            );
        }
    }
}

/// What a journal has in its open epoch.
#[derive(Default)]
struct OpenEpoch {
    epoch: u64,
    next_seq: u64,
    received_at_max: Option<EventTime>,
    /// Whether what was dealt last ended with a stop, behind which nothing came.
    stopped: bool,
    stopping: bool,
}

impl OpenEpoch {
    fn pass(&mut self, fed: &journal::Fed) {
        match fed {
            journal::Fed::Block(block) => {
                self.epoch = block.epoch;
                self.next_seq = block.first_seq + block.records.len() as u64;
                let received = block.records.iter().map(|record| record.received_at).max();
                self.received_at_max = self.received_at_max.max(received);
                self.stopped = false;
            }
            journal::Fed::Control { epoch, control } => {
                self.epoch = *epoch;
                self.received_at_max = self.received_at_max.max(control.time());
                self.stopping |= *control == Control::Stop;
                self.stopped = false;
            }
            journal::Fed::EpochEnd { epoch, next_seq, .. } => {
                let stopped = self.stopping;
                *self = OpenEpoch { epoch: epoch + 1, next_seq: *next_seq, ..Self::default() };
                self.stopped = stopped;
            }
        }
    }

    /// What ends it, with the stop that is missing.
    fn end(self) -> Vec<journal::Fed> {
        let OpenEpoch { epoch, next_seq, received_at_max, stopped, .. } = self;
        if stopped || epoch == 0 {
            return Vec::new();
        }
        let received_at_max = received_at_max.unwrap_or(EventTime::MIN);
        let last = epoch + 1;
        vec![
            journal::Fed::EpochEnd { epoch, next_seq, received_at_max },
            journal::Fed::Control { epoch: last, control: Control::Stop },
            journal::Fed::EpochEnd { epoch: last, next_seq, received_at_max },
        ]
    }
}

/// Deals what the journal holds after the checkpoint; how many records that were.
fn run_again(
    dir: &Path,
    from: u64,
    recovered: &Recovered,
    (dealer, engine): (&mut Dealer, &Engine),
    stopped: impl Fn() -> bool,
) -> Result<u64, Failure> {
    if recovered.next_seq == 0 && recovered.last_complete == 0 {
        return Ok(0);
    }
    let mut records = 0;
    let mut lacking = Lacking { next_seq: dealer.dealt().1, records: 0 };
    for fed in Reader::open(dir, from).map_err(journal_failure)? {
        let fed = fed.map_err(journal_failure)?;
        if let journal::Fed::Block(block) = &fed {
            records += block.records.len() as u64;
        }
        lacking.pass(&fed);
        let stop = matches!(fed, journal::Fed::EpochEnd { .. }) && stopped();
        if stop {
            // The dealer puts this epoch down, and all that comes, until it is told to go on.
            engine.hold();
        }
        dealer.deal(fed);
        if stop {
            break;
        }
    }
    lacking.warn();
    Ok(records)
}

/// Deals what the journal holds and was not dealt, as long as there is time; the sequence number
/// up to which all was dealt.
fn deal_rest(dir: &Path, dealer: &mut Dealer, until: Instant) -> Result<u64, Failure> {
    dealer.go_on();
    for fed in Reader::open(dir, dealer.dealt().0 + 1).map_err(journal_failure)? {
        let fed = fed.map_err(journal_failure)?;
        if matches!(fed, journal::Fed::EpochEnd { .. }) && Instant::now() >= until {
            break;
        }
        dealer.deal(fed);
    }
    Ok(dealer.dealt().1)
}

fn notes(recovered: &Recovered) -> Vec<String> {
    let torn = recovered.torn.iter().map(|torn| torn.to_string());
    torn.chain(recovered.repaired.iter().map(ToString::to_string)).collect()
}
