//! `replay`: takes finite logs through the whole engine and sums up.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use operators::state::model_key;
use operators::template::{Dictionary, STORED};
use operators::types::Alert;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::cli::args::{Global, ReplayArgs};
use crate::cli::escape::escape;
use crate::cli::exit::Exit;
use crate::cli::numbers::counted;
use crate::cli::progress::{Following, Measured, Progress, Unit, done};
use crate::cli::style::Palette;
use crate::cli::{Failure, Outcome, configuration_of_rules, narrate, print, start_log};
use crate::config::settings::Settings;
use crate::engine::Ended;
use crate::journal::{FIRST_EPOCH, Pace};
use crate::outlets::Finite;
use crate::receivers::file::{ReplayError, ReplayOptions, read_all};
use crate::receivers::{Context, Counters, DeadLetters, Snapshot, file};
use crate::session::{Again, Plan, Session};
use crate::summing::{Sum, summary};
use crate::{retold, setup, verbs};

mod output;

use output::{EventFile, cannot_write, takes_stdout, write_alerts};

/// Does it.
///
/// # Errors
/// If the configuration is wrong, an input cannot be found, or a result cannot be written.
pub fn replay(global: &Global, args: &ReplayArgs) -> Outcome {
    let loaded = configuration_of_rules(global, Vec::new())?;
    let settings = &loaded.settings;
    let taken = takes_stdout(args)?;
    let _log = start_log(global, &loaded);
    verbs::end_on_panic();
    let started = Instant::now();
    // With a state folder the events are told at the end, from what is stored.
    let lines = args.events.as_deref().filter(|_| args.state.is_none());
    let lines = lines.map(EventFile::create).transpose()?;
    let plan = Plan {
        workers: settings.workers,
        state: args.state.clone(),
        pace: Pace::Replay,
        event_lines: lines.is_some(),
        outlet: Box::new(Finite::new(lines.as_ref().map(EventFile::handle).transpose()?)),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Internal, error))?;
    let quiet = global.quiet || args.json;
    let read = match stored_journal(&args.paths)? {
        Some(_) if args.state.is_some() => {
            let error = "a stored journal is replayed without `--state`";
            return Err(Failure::new(Exit::Usage, error));
        }
        Some(dir) => read_journal(settings, dir, plan, &runtime, quiet)?,
        None => read_files(settings, args, plan, &runtime, quiet)?,
    };
    let Read { ended, outcome, received } = read;
    let seconds = started.elapsed().as_secs_f64();

    for problem in &outcome.problems {
        let (path, reason) = (escape(&problem.path), escape(&problem.reason));
        let warning = Palette::stderr(global.color).bad("warning:");
        narrate(&format!("{warning} {path}: {reason}\n"));
    }
    let dictionary = dictionary(settings, args.state.as_deref(), &ended)?;
    if let Some(lines) = lines {
        lines.finish(&dictionary)?;
    }
    let mut alerts: Vec<&Alert> = ended.totals.alerts.values().collect();
    alerts.sort_by(|a, b| (a.epoch, &a.id).cmp(&(b.epoch, &b.id)));
    let retold = match &args.state {
        Some(dir) if !outcome.stopped => Some(retell(settings, args, dir, &dictionary)?),
        _ => None,
    };
    if let (Some(path), None) = (&args.alerts, &retold) {
        write_alerts(path, &alerts)?;
    }
    let sum = summary(&Sum {
        totals: &ended.totals,
        alerts: &alerts,
        templates: dictionary.len() as u64,
        received,
        seconds,
        workers: settings.workers,
    });
    match args.json {
        true => print(&format!("{}\n", sum.to_json()))?,
        false if global.quiet => {}
        false if taken => narrate(&sum.shown(Palette::stderr(global.color)).to_string()),
        false => print(&sum.shown(Palette::stdout(global.color)).to_string())?,
    }
    if let Some(retold) = &retold {
        alerts = retold.iter().collect();
    }
    let found =
        args.fail_on.is_some_and(|level| alerts.iter().any(|alert| alert.severity >= level));
    Ok(match (outcome.stopped, found, outcome.problems.is_empty() || outcome.files > 0) {
        (true, _, _) => Exit::Forced,
        (_, true, _) => Exit::Found,
        (_, _, false) if outcome.refused => Exit::NoInput,
        (_, _, false) => Exit::BadData,
        _ => Exit::Ok,
    })
}

/// What came of reading the input.
struct Read {
    ended: Ended,
    outcome: file::Outcome,
    received: Snapshot,
}

/// Reads files and standard input.
fn read_files(
    settings: &Settings,
    args: &ReplayArgs,
    plan: Plan,
    runtime: &Runtime,
    quiet: bool,
) -> Result<Read, Failure> {
    let session = Session::start(settings, plan)?;
    for note in &session.restored.notes {
        tracing::warn!("{note}");
    }
    let shutdown = CancellationToken::new();
    let interrupted = verbs::stop_on_signal(runtime, shutdown.clone());
    let context = Context {
        sender: session.intakes.clone(),
        dead_letters: DeadLetters::none(),
        shutdown: shutdown.clone(),
    };
    let counters = Arc::new(Counters::default());
    let reading = Arc::new(file::Progress::default());
    let paths: Vec<String> =
        args.paths.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    let options = ReplayOptions { line_max: settings.receivers.max_line_bytes };
    let positions = session.positions.clone();
    let bar = bar(&session, &reading, &counters, quiet);
    let read = read_all(&paths, &options, &positions, &context, &counters, &reading);
    let outcome = runtime.block_on(read);
    drop(context);
    let mut outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            let exit = match error {
                ReplayError::Panicked(_) => Exit::Internal,
                _ => Exit::NoInput,
            };
            drop(bar);
            session.finish(true)?;
            return Err(Failure::new(exit, error));
        }
    };
    outcome.stopped |= interrupted.load(Ordering::Acquire);
    let ended = session.finish(outcome.stopped)?;
    drop(bar);
    Ok(Read { ended, outcome, received: counters.snapshot() })
}

/// The state folder whose journal is to be replayed, if one is named.
fn stored_journal(paths: &[PathBuf]) -> Result<Option<&Path>, Failure> {
    let mut stored = paths.iter().filter(|path| path.join("journal").is_dir());
    match stored.next() {
        Some(_) if paths.len() > 1 => {
            let error = "a stored journal is replayed by itself, without other paths";
            Err(Failure::new(Exit::Usage, error))
        }
        found => Ok(found.map(PathBuf::as_path)),
    }
}

/// Reads the journal of a state folder, which is left as it is.
fn read_journal(
    settings: &Settings,
    dir: &Path,
    plan: Plan,
    runtime: &Runtime,
    quiet: bool,
) -> Result<Read, Failure> {
    let shutdown = CancellationToken::new();
    let interrupted = verbs::stop_on_signal(runtime, shutdown.clone());
    let again = Again::start(settings, dir, plan)?;
    if again.first_epoch > FIRST_EPOCH || again.first_seq > 0 {
        tracing::warn!(
            first_epoch = again.first_epoch,
            records = again.first_seq,
            "the beginning of the journal is gone: the answers may differ from what was told then"
        );
    }
    let progress = again.progress();
    let seqs = crate::journal::info(dir).map(|info| info.seqs);
    let total = seqs.ok().map(|seqs| seqs.end - seqs.start);
    let bar = Progress::follow(Unit::Events, quiet, move || {
        let done = progress.told.load(Ordering::Relaxed);
        Measured { done, total, said: counted(progress.alerts.load(Ordering::Relaxed), "alert") }
    });
    let ended = again.run(|| shutdown.is_cancelled())?;
    drop(bar);
    let stopped = interrupted.load(Ordering::Acquire);
    let outcome = file::Outcome { files: 1, stopped, ..file::Outcome::default() };
    Ok(Read { ended, outcome, received: Snapshot::default() })
}

/// Writes the files of a run that keeps state; its alerts.
fn retell(
    settings: &Settings,
    args: &ReplayArgs,
    dir: &Path,
    dictionary: &Dictionary,
) -> Result<Vec<Alert>, Failure> {
    let fail = |error: retold::Error| Failure::new(Exit::Io, error);
    let run = match (&args.alerts, &args.events, args.fail_on) {
        (None, None, None) => return Ok(Vec::new()),
        _ => retold::last_run(dir).map_err(|error| fail(error.into()))?,
    };
    let storage = crate::session::read_storage(dir)?;
    let alerts = match &run {
        Some(run) => retold::alerts(&storage, run).map_err(fail)?,
        None => Vec::new(),
    };
    if let Some(path) = &args.alerts {
        write_alerts(path, &alerts.iter().collect::<Vec<_>>())?;
    }
    if let Some(path) = &args.events {
        let fail_write = |error| cannot_write(path, error);
        let mut file = output::create(path).map_err(fail_write)?;
        if let Some(run) = &run {
            retold::events(settings, &storage, run, dictionary, &mut file).map_err(fail)?;
        }
        file.flush().map_err(fail_write)?;
    }
    Ok(alerts)
}

/// The templates at the end: of the state folder if there is one, else of the engine itself.
pub(super) fn dictionary(
    settings: &Settings,
    state: Option<&Path>,
    ended: &Ended,
) -> Result<Dictionary, Failure> {
    let key = model_key(STORED);
    let bytes = match state {
        Some(dir) => {
            let storage = crate::session::read_storage(dir)?;
            storage.scan_state(&key).pop().map(|(_, value)| value)
        }
        None => ended.models.get(&key).cloned(),
    };
    let options = setup::detection(settings, 1).template;
    let read = bytes.and_then(|bytes| Dictionary::decode(&bytes, options).ok());
    Ok(read.unwrap_or_else(|| Dictionary::new(options)))
}

/// A bar over the bytes of the input of which it was told what came of them.
fn bar(
    session: &Session,
    reading: &Arc<file::Progress>,
    counters: &Arc<Counters>,
    quiet: bool,
) -> Following {
    let (reading, counters, engine) =
        (Arc::clone(reading), Arc::clone(counters), session.progress());
    // Of an earlier run, which is no part of this input.
    let again = session.restored.again;
    Progress::follow(Unit::Bytes, quiet, move || {
        let total = reading.bytes_total.load(Ordering::Relaxed);
        let told = engine.told.load(Ordering::Relaxed).saturating_sub(again);
        let alerts = engine.alerts.load(Ordering::Relaxed);
        let read = reading.bytes_done.load(Ordering::Relaxed);
        Measured {
            done: done(read, counters.snapshot().received, told),
            total: (total > 0).then_some(total),
            said: format!("{}, {}", counted(told, "event"), counted(alerts, "alert")),
        }
    })
}
