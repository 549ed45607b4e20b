//! `run`: receives logs and raises alerts until it is stopped.

use std::io::{self, Write};
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use operators::types::{Alert, Level, Span};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::args::{Global, RunArgs};
use crate::cli::banner::Banner;
use crate::cli::exit::Exit;
use crate::cli::numbers::counted;
use crate::cli::progress::{Measured, Progress, Unit};
use crate::cli::style::Palette;
use crate::cli::{Failure, Outcome, configuration_of_rules, narrate, print, start_log, state_flag};
use crate::config::settings::{ConsoleFormat, ConsoleStream, Rotation as RotationBy, Settings};
use crate::journal::{Keep, Pace, wall_clock};
use crate::outlets::{AlertFile, Console, Live, Rotation};
use crate::receivers::{Context, DeadLetters, StartError};
use crate::rules::reload::{self, Reloaded, Reloader};
use crate::session::{Opened, Plan, Session};
use crate::summing::{Sum, summary};
use crate::telemetry::Format;
use crate::{receivers, setup, verbs};

/// How large the file of dead letters may grow before it is set aside.
const DEAD_LETTERS_BYTES: u64 = 64 << 20;
/// If working off the journal takes longer than this, it is said.
const SAY_AFTER: Duration = Duration::from_secs(1);
/// How often old segments of the journal are looked for.
const RETENTION_EVERY: Duration = Duration::from_secs(60);

/// Does it.
///
/// # Errors
/// If the configuration is wrong, the state cannot be used, or a receiver cannot listen.
pub fn run(global: &Global, args: &RunArgs) -> Outcome {
    let loaded = configuration_of_rules(global, state_flag(args.state.as_deref()))?;
    let settings = &loaded.settings;
    let _log = start_log(global, &loaded);
    verbs::end_on_panic();
    let started = Instant::now();
    let palette = Palette::stderr(global.color);
    let options = setup::receivers(settings);
    if options.is_empty() {
        let error = "there is nothing to receive from";
        return Err(Failure::new(Exit::Config, error).with_hint(
            "set `receivers.syslog_enabled`, `receivers.file_paths` or `receivers.stdin_enabled`",
        ));
    }
    let dir = settings.state.dir.clone();
    let interval = Duration::from_millis(settings.epoch.interval_ms);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Internal, error))?;
    // Before anything takes time: until somebody listens for it, this signal ends the process.
    let hangup = runtime.block_on(async { signal(SignalKind::hangup()) })?;
    let shutdown = CancellationToken::new();
    verbs::stop_on_signal(&runtime, shutdown.clone());
    // What comes while the journal is worked off waits in the system's buffers.
    let bound = receivers::bind(&options).map_err(start_failure)?;
    // Rules that change from here on are noticed, also while the journal is worked off.
    let stamp = reload::Stamp::of(settings);
    let opened = Opened::open(
        settings,
        Plan {
            workers: settings.workers,
            state: Some(dir.clone()),
            pace: Pace::Live { interval, idle: Duration::from_secs(1) },
            event_lines: false,
            outlet: Box::new(outlets(global, settings)?),
        },
    )?;
    let mut session = work_off(global, opened, &shutdown)?;
    for note in &session.restored.notes {
        tracing::warn!("{note}");
    }

    let letters = dir.join("dead-letters.ndjson");
    let context = Context {
        sender: session.intakes.clone(),
        dead_letters: DeadLetters::file(&letters, DEAD_LETTERS_BYTES)?,
        shutdown: shutdown.clone(),
    };
    let start = bound.start(&session.positions, &context);
    let receivers = match runtime.block_on(start) {
        Ok(receivers) => receivers,
        Err(error) => {
            drop(context);
            session.finish(true)?;
            return Err(start_failure(error));
        }
    };
    if !global.quiet {
        let banner = banner(settings, &loaded.file, &session, &receivers, started.elapsed());
        match global.log_format {
            Format::Text => narrate(&format!("{}\n", banner.shown(palette))),
            Format::Json => banner.log(),
        }
    }

    let progress = session.progress();
    let retention = session.retention();
    let reloads = runtime.spawn(reloads(hangup, session.reloader(stamp), settings.clone()));
    runtime.block_on(async {
        let mut look = tokio::time::interval(RETENTION_EVERY);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                _ = look.tick() => {
                    let Some(retention) = &retention else { continue };
                    trim(settings, &dir, retention);
                }
            }
        }
    });
    if !global.quiet {
        let backlog =
            progress.records.load(Ordering::Relaxed) - progress.told.load(Ordering::Relaxed);
        match global.log_format {
            Format::Text => narrate(&format!(
                "stopping: working off {backlog} events (Ctrl-C again ends at once)\n"
            )),
            Format::Json => tracing::info!(backlog, "stopping"),
        }
    }
    reloads.abort();
    session.hurry(Instant::now() + Duration::from_secs(settings.shutdown_timeout_s));
    let counted = runtime.block_on(receivers.stop());
    drop(context);
    let ended = session.finish(false)?;
    if ended.left > 0 && !global.quiet {
        match global.log_format {
            Format::Text => {
                narrate(&format!("{} events are left for the next start\n", ended.left))
            }
            Format::Json => tracing::warn!(events = ended.left, "left for the next start"),
        }
    }

    let storage = crate::session::read_storage(&dir)?;
    let templates = verbs::stored_dictionary(settings, &storage).len() as u64;
    let mut received = receivers::Snapshot::default();
    for (_, snapshot) in &counted {
        received.add(snapshot);
    }
    let mut alerts: Vec<&Alert> = ended.totals.alerts.values().collect();
    alerts.sort_by(|a, b| (a.epoch, &a.id).cmp(&(b.epoch, &b.id)));
    let sum = summary(&Sum {
        totals: &ended.totals,
        alerts: &alerts,
        templates,
        received,
        seconds: started.elapsed().as_secs_f64(),
        workers: settings.workers,
    });
    match args.json {
        true => print(&format!("{}\n", sum.to_json()))?,
        false if !global.quiet => match global.log_format {
            Format::Text => narrate(&sum.shown(palette).to_string()),
            Format::Json => tracing::info!(summary = sum.to_json(), "stopped"),
        },
        false => {}
    }
    Ok(Exit::Ok)
}

fn start_failure(error: StartError) -> Failure {
    let exit = match &error {
        StartError::Bind { .. } => Exit::Unavailable,
        StartError::Pattern(_) => Exit::Config,
        StartError::Thread { .. } => Exit::Internal,
    };
    Failure::new(exit, error)
}

/// Works off what the journal holds after the last checkpoint; says so if it takes a while.
fn work_off(
    global: &Global,
    opened: Opened,
    shutdown: &CancellationToken,
) -> Result<Session, Failure> {
    let (left, progress) = (opened.left(), opened.progress());
    let (quiet, format) = (global.quiet, global.log_format);
    let (done, ended) = mpsc::sync_channel::<()>(0);
    let say = move || {
        if ended.recv_timeout(SAY_AFTER) != Err(mpsc::RecvTimeoutError::Timeout) || quiet {
            return;
        }
        let events = counted(left, "event");
        match format {
            Format::Text => {
                narrate(&format!(
                    "working off {events} of the journal; what is sent meanwhile waits\n"
                ));
            }
            Format::Json => tracing::info!(events = left, "working off the journal"),
        }
        let measure = move || Measured {
            done: progress.told.load(Ordering::Relaxed),
            total: Some(left),
            said: counted(progress.alerts.load(Ordering::Relaxed), "alert"),
        };
        let _bar = Progress::follow(Unit::Events, format == Format::Json, measure);
        // Nothing is ever sent: this waits for the end of the work.
        let _ = ended.recv();
    };
    std::thread::scope(|scope| {
        scope.spawn(say);
        let session = opened.work_off(|| shutdown.is_cancelled());
        drop(done);
        session
    })
}

/// Loads the rules again at each SIGHUP, and when their files change if that is wanted.
async fn reloads(mut hangup: Signal, mut reloader: Reloader, settings: Settings) {
    let every = Duration::from_secs(settings.rules.reload_s);
    let look = async move |every: Duration| match every {
        Duration::ZERO => std::future::pending().await,
        every => tokio::time::sleep(every).await,
    };
    loop {
        let asked = tokio::select! {
            told = hangup.recv() => match told {
                Some(()) => true,
                None => return,
            },
            () = look(every) => false,
        };
        let again = settings.clone();
        let reload = move || {
            let due = reloader.is_due(&again) || asked;
            let outcome = due.then(|| reloader.reload(&again)).transpose().map(Option::flatten);
            (reloader, outcome)
        };
        let Ok((same, outcome)) = tokio::task::spawn_blocking(reload).await else { return };
        reloader = same;
        match outcome {
            Ok(Some(reloaded)) => tell(reloaded).await,
            Ok(None) if asked => tracing::info!("the rules are what they were"),
            Ok(None) => {}
            Err(reload::Error::Stopping) => return,
            Err(error) => tracing::error!(%error, "the rules are not reloaded"),
        }
    }
}

/// Tells of new rules, once the journal holds that they are active.
async fn tell(reloaded: Reloaded) {
    let Reloaded { loaded, seconds, recorded } = reloaded;
    for warning in loaded.warnings() {
        tracing::warn!("{warning}");
    }
    if recorded.await.is_ok() {
        let report = &loaded.report;
        tracing::info!(
            rules = report.rules,
            correlations = report.correlations,
            refused = report.refused,
            seconds = format_args!("{seconds:.3}"),
            "rules reloaded"
        );
    }
}

fn trim(settings: &Settings, dir: &std::path::Path, retention: &crate::journal::Retention) {
    let covered = crate::session::read_storage(dir).ok();
    let covered = covered.and_then(|storage| storage.checkpoint().ok().flatten());
    let Some(marker) = covered else { return };
    let hours = i64::try_from(settings.journal.retention_hours).unwrap_or(i64::MAX);
    let keep = Keep {
        age: Some(Span::from_secs(hours.saturating_mul(3_600))),
        bytes: Some(settings.journal.retention_mb << 20),
    };
    match retention.trim(marker.epoch, keep, wall_clock()) {
        Ok(trimmed) if trimmed.segments > 0 => {
            tracing::info!(segments = trimmed.segments, bytes = trimmed.bytes, "journal trimmed");
        }
        Ok(_) => {}
        Err(error) => tracing::error!(%error, "the journal cannot be trimmed"),
    }
}

fn outlets(global: &Global, settings: &Settings) -> Result<Live, Failure> {
    let alerting = &settings.alerting;
    let console = alerting.console_enabled.then(|| {
        let json = alerting.console_format == ConsoleFormat::Json;
        let (out, palette): (Box<dyn Write + Send>, _) = match alerting.console_stream {
            ConsoleStream::Stdout => (Box::new(io::stdout()), Palette::stdout(global.color)),
            ConsoleStream::Stderr => (Box::new(io::stderr()), Palette::stderr(global.color)),
        };
        Console::new(out, palette, json, least(alerting.console_min_severity))
    });
    let open = |path: &std::path::PathBuf| {
        let (bytes_max, every) = match alerting.file_rotation {
            RotationBy::Size => (Some(alerting.file_max_bytes), None),
            RotationBy::Time => (None, Some(Duration::from_secs(alerting.file_interval_seconds))),
        };
        let rotation = Rotation { bytes_max, every, backups: alerting.file_backup_count };
        AlertFile::open(path, rotation, least(alerting.file_min_severity)).map_err(|error| {
            Failure::new(Exit::Io, format!("cannot write `{}`: {error}", path.display()))
        })
    };
    let file = alerting.file_path.as_ref().map(open).transpose()?;
    Ok(Live { console, file })
}

/// The least level of a severity of the known system's scale, 0–6.
fn least(severity: u8) -> Level {
    match severity {
        0 | 1 => Level::Informational,
        2 => Level::Low,
        3 => Level::Medium,
        4 => Level::High,
        _ => Level::Critical,
    }
}

fn banner(
    settings: &Settings,
    config: &Option<String>,
    session: &Session,
    receivers: &receivers::Receivers,
    took: Duration,
) -> Banner {
    let mut lines = Vec::new();
    for receiver in &receivers.list {
        let bound: Vec<String> =
            receiver.bound.iter().map(|(protocol, at)| format!("{protocol} {at}")).collect();
        let what = match receiver.name {
            "file" => {
                let paths = settings.receivers.file_paths.iter();
                paths.map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
            }
            "stdin" => "standard input".to_owned(),
            _ => bound.join("  "),
        };
        lines.push((receiver.name.to_owned(), what));
    }
    let mut alerts = Vec::new();
    if settings.alerting.console_enabled {
        alerts.push("console".to_owned());
    }
    alerts.extend(settings.alerting.file_path.as_ref().map(|path| path.display().to_string()));
    alerts.push("`query alerts`".to_owned());
    lines.push(("alerts".to_owned(), alerts.join(", ")));
    let restored = match session.restored.checkpoint {
        Some(marker) => {
            format!("restored {} events, {} run again", marker.next_seq, session.restored.again)
        }
        None if session.restored.again > 0 => {
            format!("{} events run again", session.restored.again)
        }
        None => String::new(),
    };
    Banner {
        workers: settings.workers,
        state: settings.state.dir.display().to_string(),
        restored,
        config: config.clone(),
        rules_loaded: session.rules.used,
        rules_skipped: session.rules.refused,
        lines,
        took,
    }
}
