//! `replay`: takes finite logs through the whole engine and sums up.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use operators::state::model_key;
use operators::template::{Dictionary, STORED};
use operators::types::Alert;
use tokio_util::sync::CancellationToken;

use crate::cli::args::{Global, ReplayArgs};
use crate::cli::escape::escape;
use crate::cli::exit::Exit;
use crate::cli::progress::Progress;
use crate::cli::style::Palette;
use crate::cli::{Failure, Outcome, configuration, print, start_log};
use crate::engine::Ended;
use crate::journal::Pace;
use crate::outlets::Finite;
use crate::receivers::file::{ReplayError, ReplayOptions, read_all};
use crate::receivers::{Context, Counters, DeadLetters, file};
use crate::render::Resolver;
use crate::session::{Plan, Session};
use crate::summing::{Sum, summary};
use crate::{setup, verbs};

/// Does it.
///
/// # Errors
/// If the configuration is wrong, an input cannot be found, or a result cannot be written.
pub fn replay(global: &Global, args: &ReplayArgs) -> Outcome {
    let loaded = configuration(global, Vec::new())?;
    let settings = &loaded.settings;
    let _log = start_log(global, &loaded);
    verbs::end_on_panic();
    let started = Instant::now();
    let events = args.events.as_deref().map(EventFile::create).transpose()?;
    let workers = settings.workers;
    let outlet = Finite::new(events.as_ref().map(EventFile::handle).transpose()?);
    let session = Session::start(
        settings,
        Plan {
            workers,
            state: args.state.clone(),
            pace: Pace::Replay,
            event_lines: events.is_some(),
            outlet: Box::new(outlet),
        },
    )?;
    for note in &session.restored.notes {
        tracing::warn!("{note}");
    }

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Internal, error))?;
    let shutdown = CancellationToken::new();
    let interrupted = verbs::stop_on_signal(&runtime, shutdown.clone());
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

    let quiet = global.quiet || args.json;
    let outcome = runtime.block_on(async {
        let read = read_all(&paths, &options, &positions, &context, &counters, &reading);
        tokio::pin!(read);
        let bar = Bar::new(quiet);
        loop {
            tokio::select! {
                outcome = &mut read => {
                    bar.finish();
                    return outcome;
                }
                () = tokio::time::sleep(Duration::from_millis(100)) => {
                    bar.show(&reading, &session.progress());
                }
            }
        }
    });
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            let exit = match error {
                ReplayError::Panicked(_) => Exit::Internal,
                _ => Exit::NoInput,
            };
            drop(context);
            session.finish(true)?;
            return Err(Failure::new(exit, error));
        }
    };
    drop(context);
    let stopped = outcome.stopped || interrupted.load(Ordering::Acquire);
    let ended = session.finish(stopped)?;
    let seconds = started.elapsed().as_secs_f64();

    for problem in &outcome.problems {
        let (path, reason) = (escape(&problem.path), escape(&problem.reason));
        writeln!(
            io::stderr(),
            "{} {path}: {reason}",
            Palette::stderr(global.color).bad("warning:")
        )?;
    }
    let dictionary = dictionary(settings, args.state.as_deref(), &ended)?;
    if let Some(events) = events {
        events.finish(&dictionary)?;
    }
    let mut alerts: Vec<&Alert> = ended.totals.alerts.values().collect();
    alerts.sort_by(|a, b| (a.epoch, &a.id).cmp(&(b.epoch, &b.id)));
    if let Some(path) = &args.alerts {
        write_alerts(path, &alerts)?;
    }
    let sum = summary(&Sum {
        totals: &ended.totals,
        alerts: &alerts,
        templates: dictionary.len() as u64,
        received: counters.snapshot(),
        seconds,
        workers,
    });
    match args.json {
        true => print(&format!("{}\n", sum.to_json()))?,
        false if !global.quiet => print(&sum.shown(Palette::stdout(global.color)).to_string())?,
        false => {}
    }
    let found = args.fail_on.is_some_and(|level| {
        alerts.iter().any(|alert| alert.severity >= operators::types::Level::from(level))
    });
    Ok(match (stopped, found, outcome.problems.is_empty() || outcome.files > 0) {
        (true, _, _) => Exit::Forced,
        (_, true, _) => Exit::Found,
        (_, _, false) => Exit::BadData,
        _ => Exit::Ok,
    })
}

/// The templates at the end: of the state folder if there is one, else of the engine itself.
fn dictionary(
    settings: &crate::config::settings::Settings,
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

/// The file of events. It is written as the input is read, and gets its final templates at the
/// end; until then it has another name, so that nobody takes it for whole.
struct EventFile {
    path: PathBuf,
    part: PathBuf,
    file: File,
}

impl EventFile {
    fn create(path: &Path) -> Result<Self, Failure> {
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::create(&part).map_err(|error| cannot_write(&part, error))?;
        Ok(EventFile { path: path.to_owned(), part, file })
    }

    fn handle(&self) -> Result<File, Failure> {
        Ok(self.file.try_clone()?)
    }

    fn finish(self, dictionary: &Dictionary) -> Result<(), Failure> {
        let fail = |error| cannot_write(&self.path, error);
        let mut from = BufReader::with_capacity(1 << 20, File::open(&self.part).map_err(fail)?);
        let mut to = BufWriter::with_capacity(1 << 20, File::create(&self.path).map_err(fail)?);
        let mut resolver = Resolver::new(dictionary);
        let (mut line, mut out) = (Vec::new(), Vec::new());
        while from.read_until(b'\n', &mut line).map_err(fail)? > 0 {
            resolver.line(&line, &mut out);
            to.write_all(&out).map_err(fail)?;
            line.clear();
            out.clear();
        }
        to.flush().map_err(fail)?;
        std::fs::remove_file(&self.part).map_err(fail)
    }
}

fn cannot_write(path: &Path, error: io::Error) -> Failure {
    let what = format!("cannot write `{}`: {error}", path.display());
    Failure::new(Exit::Io, what)
}

fn write_alerts(path: &Path, alerts: &[&Alert]) -> Result<(), Failure> {
    let fail = |error| cannot_write(path, error);
    let mut file = BufWriter::new(File::create(path).map_err(fail)?);
    for alert in alerts {
        serde_json::to_writer(&mut file, alert).map_err(|error| fail(error.into()))?;
        file.write_all(b"\n").map_err(fail)?;
    }
    file.flush().map_err(fail)
}

/// The bar, which is made when the size of the input is known.
struct Bar {
    quiet: bool,
    bar: std::cell::OnceCell<Progress>,
}

impl Bar {
    fn new(quiet: bool) -> Self {
        Bar { quiet: quiet || !io::stderr().is_terminal(), bar: std::cell::OnceCell::new() }
    }

    fn show(&self, reading: &file::Progress, engine: &crate::engine::Progress) {
        if self.quiet {
            return;
        }
        let total = reading.bytes_total.load(Ordering::Relaxed);
        let bar = self.bar.get_or_init(|| Progress::new((total > 0).then_some(total), false));
        let done = reading.bytes_done.load(Ordering::Relaxed);
        bar.advance(done.saturating_sub(bar.position()));
        let events = engine.told.load(Ordering::Relaxed);
        let alerts = engine.alerts.load(Ordering::Relaxed);
        bar.say(&format!("{events} events, {alerts} alerts"));
    }

    fn finish(&self) {
        if let Some(bar) = self.bar.get() {
            bar.finish();
        }
    }
}
