//! `demo`: shows what the program does, on generated traffic with a planted attack.
//!
//! Nothing is staged: the lines are sent over TCP to the syslog receiver, journaled, detected,
//! stored and summed up as in `run`. Over one connection, so that the journal's order is that of
//! the traffic, and two runs with the same seed say the same.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use operators::types::{Alert, More};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::cli::args::{DemoArgs, Global};
use crate::cli::exit::Exit;
use crate::cli::numbers::counted;
use crate::cli::progress::{Measured, Progress, Unit};
use crate::cli::style::Palette;
use crate::cli::{Failure, Outcome, configuration, print, start_log, state_flag};
use crate::demo::check::Verdict;
use crate::demo::{HOURS, Line, Step, day};
use crate::engine::Outlet;
use crate::journal::Pace;
use crate::outlets::human;
use crate::receivers::{Context, DeadLetters, Options, Protocol, Receivers, Snapshot, syslog};
use crate::session::{Plan, Session};
use crate::summing::{Sum, summary};
use crate::{receivers, verbs};

/// With how many workers, unless told otherwise.
const WORKERS: usize = 2;
/// How many bytes are sent at a time.
const CHUNK_BYTES: usize = 64 << 10;
/// How long nothing may arrive before it is given up.
const STALLED_AFTER: Duration = Duration::from_secs(30);

/// Does it.
///
/// # Errors
/// If the configuration is wrong, the state folder cannot be used, or nothing can be received.
pub fn demo(global: &Global, args: &DemoArgs) -> Outcome {
    let loaded = configuration(global, state_flag(args.state.as_deref()))?;
    let lines = day(args.seed);
    if let Some(path) = &args.write {
        write(path, &lines)?;
        return Ok(Exit::Ok);
    }
    let settings = &loaded.settings;
    let workers = global.workers.map_or(WORKERS, usize::from);
    if !args.json && !global.quiet {
        print(&banner(&lines, args.seed, workers, Palette::stdout(global.color)))?;
    }
    let _log = start_log(global, &loaded);
    verbs::end_on_panic();
    let started = Instant::now();
    let folder = Folder::new(args.state.as_deref())?;
    let plan = Plan {
        workers,
        state: Some(folder.path().to_owned()),
        pace: Pace::Replay,
        event_lines: false,
        outlet: Box::new(Silent),
    };
    let session = Session::start(settings, plan)?;
    if session.restored.checkpoint.is_some() || session.restored.again > 0 {
        session.finish(true)?;
        let what = format!("`{}` holds what an earlier run has learned", folder.path().display());
        let hint = "the demo begins at nothing: give it a folder that is new";
        return Err(Failure::new(Exit::Unavailable, what).with_hint(hint));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
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
    let (progress, total) = (session.progress(), Some(lines.len() as u64));
    let bar = Progress::follow(Unit::Events, global.quiet || args.json, move || {
        let alerts = progress.alerts.load(Ordering::Relaxed);
        let done = progress.told.load(Ordering::Relaxed);
        Measured { done, total, said: counted(alerts, "alert") }
    });
    let received = runtime.block_on(async {
        let loopback = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        let options = [Options::Syslog(syslog::Options::usual(None, Some(loopback)))];
        let receivers = receivers::start(&options, &[], &context)
            .await
            .map_err(|error| Failure::new(Exit::Unavailable, error))?;
        let sent = tokio::select! {
            sent = send(&receivers, &lines) => sent,
            () = shutdown.cancelled() => Ok(()),
        };
        let counted = receivers.stop().await;
        sent.map(|()| counted)
    });
    drop(context);
    let ended = session.finish(interrupted.load(Ordering::Acquire))?;
    drop(bar);
    let mut snapshot = Snapshot::default();
    for (_, counted) in received? {
        snapshot.add(&counted);
    }
    if interrupted.load(Ordering::Acquire) {
        return Ok(Exit::Forced);
    }

    let dictionary = super::replay::dictionary(settings, Some(folder.path()), &ended)?;
    let mut alerts: Vec<&Alert> = ended.totals.alerts.values().collect();
    alerts.sort_by(|a, b| (a.epoch, &a.id).cmp(&(b.epoch, &b.id)));
    let sum = summary(&Sum {
        totals: &ended.totals,
        alerts: &alerts,
        templates: dictionary.len() as u64,
        received: snapshot,
        seconds: started.elapsed().as_secs_f64(),
        workers,
    });
    let verdict = Verdict::new(&lines, &alerts);
    if args.json {
        print(&format!("{}\n", json(&sum.to_json(), args.seed, &verdict, &alerts)))?;
    } else {
        let palette = Palette::stdout(global.color);
        print(&format!("{}{}", sum.shown(palette), shown(&verdict, &alerts, palette)))?;
        if let Some(dir) = &args.state {
            print(&next(dir, &verdict))?;
        }
    }
    Ok(match verdict.is_good() {
        true => Exit::Ok,
        false => Exit::Failed,
    })
}

/// What is about to happen.
fn banner(lines: &[Line], seed: u64, workers: usize, palette: Palette) -> String {
    let hours = (HOURS.1 - HOURS.0) / 3_600_000;
    let (steps, count) = (Step::ALL.len(), lines.len());
    format!(
        "{}\n  {count} lines of an office on a Tuesday, {hours} hours, seed {seed}; among them an \
         attack in {steps} steps\n  sent over TCP to the syslog receiver, on loopback; {workers} \
         workers\n\n",
        palette.strong(format_args!("seerflow-dataflow {} · demo", env!("CARGO_PKG_VERSION"))),
    )
}

/// Alerts are told at the end, each beside the step that it found.
struct Silent;

impl Outlet for Silent {
    fn alerts(&mut self, _: &[Alert]) {}

    fn more(&mut self, _: &[More]) {}

    fn lines(&mut self, _: &[u8]) {}
}

/// Where the state is: a folder that stays, or one that goes away at the end.
enum Folder {
    Kept(PathBuf),
    Passing(tempfile::TempDir),
}

impl Folder {
    fn new(kept: Option<&Path>) -> Result<Self, Failure> {
        match kept {
            Some(path) => Ok(Folder::Kept(path.to_owned())),
            None => Ok(Folder::Passing(tempfile::tempdir()?)),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Folder::Kept(path) => path,
            Folder::Passing(dir) => dir.path(),
        }
    }
}

/// Sends the lines to the receiver, octet-counted (RFC 6587), and waits until it has them all.
async fn send(receivers: &Receivers, lines: &[Line]) -> Result<(), Failure> {
    let receiver = &receivers.list[0];
    let bound = receiver.bound.iter().find(|(protocol, _)| *protocol == Protocol::Tcp);
    let (_, address) = *bound.expect("the receiver was told to listen");
    let mut stream = TcpStream::connect(address).await?;
    let (mut text, mut chunk) = (String::new(), Vec::new());
    for line in lines {
        text.clear();
        line.write(&mut text);
        chunk.extend_from_slice(text.len().to_string().as_bytes());
        chunk.push(b' ');
        chunk.extend_from_slice(text.as_bytes());
        if chunk.len() >= CHUNK_BYTES {
            stream.write_all(&chunk).await?;
            chunk.clear();
        }
    }
    stream.write_all(&chunk).await?;
    stream.shutdown().await?;
    let (mut before, mut since) = (0, Instant::now());
    loop {
        let taken = receiver.counters.snapshot().received;
        if taken >= lines.len() as u64 {
            return Ok(());
        }
        if taken > before {
            (before, since) = (taken, Instant::now());
        }
        if since.elapsed() > STALLED_AFTER {
            let what = format!("the receiver has taken {taken} of {} lines", lines.len());
            return Err(Failure::new(Exit::Io, what));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn write(path: &Path, lines: &[Line]) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut text = String::new();
    for line in lines {
        text.clear();
        line.write(&mut text);
        text.push('\n');
        file.write_all(text.as_bytes())?;
    }
    file.flush()
}

fn by_id<'a>(alerts: &[&'a Alert], id: &str) -> &'a Alert {
    alerts.iter().find(|alert| alert.id == id).expect("the verdict is about these alerts")
}

/// What became of what was planted, for people.
fn shown(verdict: &Verdict, alerts: &[&Alert], palette: Palette) -> String {
    let mut text = format!("\n{}\n", palette.strong("The planted attack"));
    for step in &verdict.steps {
        let mark = match step.alerts.is_empty() {
            false => palette.good("found ").to_string(),
            true => palette.bad("missed").to_string(),
        };
        let name = format!("{} ({})", step.step, step.technique);
        text.push_str(&format!("  {mark}  {name}\n"));
        if let Some(id) = step.alerts.first() {
            text.push_str(&format!("          {}\n", human(by_id(alerts, id), palette)));
        }
    }
    let (planted, found) = (verdict.steps.len(), verdict.found());
    let (harmless, high) = (verdict.harmless.len(), verdict.harmless_high.len());
    text.push_str(&format!(
        "\nplanted steps found: {found} of {planted}   harmless alerts: {harmless}, of them high: {high}\n"
    ));
    for id in &verdict.harmless {
        text.push_str(&format!("  {}\n", human(by_id(alerts, id), palette)));
    }
    text
}

/// What to do next with the state that is kept.
fn next(dir: &Path, verdict: &Verdict) -> String {
    let dir = crate::cli::escape::escape(&dir.to_string_lossy()).into_owned();
    let id = verdict.steps.iter().find_map(|step| step.alerts.first());
    let explain = id.map_or(String::new(), |id| {
        format!("  seerflow-dataflow explain {} --state {dir}\n", &id[..8])
    });
    format!(
        "\nNext:\n{explain}  seerflow-dataflow query alerts --state {dir}\n  seerflow-dataflow \
         query timeline {} --state {dir}\n",
        crate::demo::INTRUDER
    )
}

/// The summary with what became of what was planted, as one JSON object.
fn json(summary: &str, seed: u64, verdict: &Verdict, alerts: &[&Alert]) -> String {
    let mut object: serde_json::Value = serde_json::from_str(summary).expect("it was written so");
    object["seed"] = seed.into();
    object["planted"] = serde_json::json!({
        "planted": verdict.steps.len(),
        "found": verdict.found(),
        "unexpected_high": verdict.harmless_high.len(),
        "steps": verdict.steps,
        "harmless": verdict.harmless,
    });
    object["found"] = serde_json::to_value(alerts).expect("plain data");
    object.to_string()
}
