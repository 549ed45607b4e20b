//! Events in a second of the whole graph, on one worker and on two, and of `replay`.
//!
//! `cargo bench --bench pipeline -- [--lines 1000000] [--rounds 3] [--workers N] [--json]`
//!
//! The records are in memory, cut into blocks and epochs by a journal that keeps nothing; the
//! outlet drops what comes. `replay` is the program itself, reading a file.
//!
//! Clocks on the wall measure the neighbours as well. So there are two more numbers: the time of
//! processors that an event takes in all, and what it takes of the busiest thread, which is what
//! limits the rate where there are enough processors.

mod lines;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use operators::sigma::Schedule;
use operators::types::{Alert, More};
use seerflow_dataflow::config::{Sources, load};
use seerflow_dataflow::engine::{self, Gate, Outlet};
use seerflow_dataflow::journal::Fed;
use seerflow_dataflow::storage::spill::Backing;
use seerflow_dataflow::{rules, setup};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Nowhere;

impl Outlet for Nowhere {
    fn alerts(&mut self, _: &[Alert]) {}
    fn more(&mut self, _: &[More]) {}
    fn lines(&mut self, _: &[u8]) {}
}

/// What a run took.
#[derive(Clone, Debug, serde::Serialize)]
struct Run {
    what: &'static str,
    workers: usize,
    events: u64,
    alerts: u64,
    /// On the wall.
    events_per_second: f64,
    /// Of all processors, for an event.
    cpu_ns: f64,
    /// Of the busiest thread, for an event.
    busiest_ns: f64,
    /// Its name.
    busiest: String,
}

fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).expect("Linux has it").into()
}

/// Follows what the threads of this process take, until it is asked.
struct Threads {
    stop: Arc<AtomicBool>,
    watcher: std::thread::JoinHandle<BTreeMap<String, u64>>,
}

impl Threads {
    fn watch() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let before = sample();
        let watcher = std::thread::spawn(move || {
            let mut last = BTreeMap::new();
            while !seen.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(10));
                last.extend(sample());
            }
            let spent = last.into_iter().map(|((thread, name), nanos)| {
                let start = before.get(&(thread.clone(), name.clone())).copied().unwrap_or(0);
                (format!("{name} {thread}"), nanos - start)
            });
            spent.collect()
        });
        Threads { stop, watcher }
    }

    /// The name of the busiest thread, and the nanoseconds that it took.
    fn busiest(self) -> (String, u64) {
        self.stop.store(true, Ordering::Release);
        let spent = self.watcher.join().expect("it does not panic");
        let most = spent.into_iter().max_by_key(|(_, nanos)| *nanos).unwrap_or_default();
        (most.0.split(' ').next().unwrap_or_default().to_owned(), most.1)
    }
}

/// What each thread has taken so far, in nanoseconds.
fn sample() -> BTreeMap<(String, String), u64> {
    let threads = std::fs::read_dir("/proc/self/task").expect("Linux has it");
    let one = |path: std::path::PathBuf| {
        let spent = std::fs::read_to_string(path.join("schedstat")).ok()?;
        let name = std::fs::read_to_string(path.join("comm")).ok()?.trim().to_owned();
        let thread = path.file_name()?.to_str()?.to_owned();
        Some(((thread, name), spent.split(' ').next()?.parse().ok()?))
    };
    threads.flatten().filter_map(|entry| one(entry.path())).collect()
}

fn graph(fed: &[Fed], workers: usize) -> Run {
    let settings = load(&Sources::default()).expect("the defaults are right").settings;
    let rules = Arc::new(Schedule::new(rules::load(&settings).active));
    let (started, before) = (Instant::now(), cpu());
    let threads = Threads::watch();
    let (mut dealer, engine) = engine::start(engine::Setup {
        workers,
        detection: setup::detection(&settings, workers),
        rules,
        library: Arc::default(),
        backing: Backing::scratch(std::env::temp_dir()),
        storage: None,
        checkpoint_interval: Duration::from_secs(3_600),
        first_epoch: 1,
        first_seq: 0,
        event_lines: false,
        gate: Gate::Open,
        outlet: Box::new(Nowhere),
    })
    .expect("threads start");
    fed.iter().for_each(|one| dealer.deal(one.clone()));
    drop(dealer);
    let totals = engine.join().totals;
    let (busiest, nanos) = threads.busiest();
    let events = totals.events;
    Run {
        what: "graph",
        workers,
        events,
        alerts: totals.alert_count,
        events_per_second: events as f64 / started.elapsed().as_secs_f64(),
        cpu_ns: (cpu() - before).as_nanos() as f64 / events as f64,
        busiest_ns: nanos as f64 / events as f64,
        busiest,
    }
}

/// The seconds of processors that ended children of this process took, in hundredths.
fn children() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux has it");
    let (_, numbers) = stat.rsplit_once(')').expect("the name is in brackets");
    numbers.split_whitespace().skip(13).take(2).map(|n| n.parse::<u64>().expect("a number")).sum()
}

fn replay(file: &std::path::Path, workers: usize) -> Run {
    let before = children();
    let output = Command::new(env!("CARGO_BIN_EXE_seerflow-dataflow"))
        .args(["replay", "--json", "--workers", &workers.to_string()])
        .arg(file)
        .output()
        .expect("the program runs");
    let sum: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a summary");
    let number = |name: &str| sum[name].as_f64().expect("a number");
    let nanos = (children() - before) as f64 * 1e7;
    Run {
        what: "replay",
        workers,
        events: number("events") as u64,
        alerts: number("alerts") as u64,
        events_per_second: number("events_per_second"),
        cpu_ns: nanos / number("events"),
        busiest_ns: f64::NAN,
        busiest: String::new(),
    }
}

fn main() {
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let count = lines::argument("--lines").unwrap_or(1_000_000);
    let rounds = lines::argument("--rounds").unwrap_or(3);
    let workers = lines::argument("--workers").map_or(vec![1, 2], |workers| vec![workers]);
    let json = std::env::args().any(|argument| argument == "--json");
    let lines = lines::lines(count);
    let bytes: usize = lines.iter().map(String::len).sum();
    let fed = lines::fed(&lines);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("lines.log");
    let mut out = std::io::BufWriter::new(std::fs::File::create(&file).expect("a file"));
    lines.iter().for_each(|line| writeln!(out, "{line}").expect("room on the disk"));
    drop(out);
    drop(lines);
    if !json {
        println!(
            "{count} lines of {} bytes, {}; best of {rounds} rounds",
            bytes / count,
            lines::origin()
        );
        println!(
            "{:<8}{:>8}{:>12}{:>14}{:>16}  {:<14}{:>18}{:>8}",
            "",
            "workers",
            "events/s",
            "CPU ns/event",
            "busiest ns/event",
            "busiest",
            "if it were \
             alone",
            "alerts"
        );
    }
    let mut best = BTreeMap::<(&str, usize), Run>::new();
    for _ in 0..rounds {
        for &workers in &workers {
            for run in [graph(&fed, workers), replay(&file, workers)] {
                let known = best.entry((run.what, workers)).or_insert_with(|| run.clone());
                if run.cpu_ns < known.cpu_ns {
                    *known = run;
                }
            }
        }
    }
    for run in best.values() {
        if json {
            println!("{}", serde_json::to_string(run).expect("plain data"));
            continue;
        }
        println!(
            "{:<8}{:>8}{:>12.0}{:>14.0}{:>16.0}  {:<14}{:>18.0}{:>8}",
            run.what,
            run.workers,
            run.events_per_second,
            run.cpu_ns,
            run.busiest_ns,
            run.busiest,
            1e9 / run.busiest_ns,
            run.alerts
        );
    }
    let ratio =
        |what, of: fn(&Run) -> f64| Some(of(best.get(&(what, 2))?) / of(best.get(&(what, 1))?));
    if let (false, Some(wall), Some(busiest)) = (
        json,
        ratio("graph", |run| run.events_per_second),
        ratio("graph", |run| 1.0 / run.busiest_ns),
    ) {
        println!("2 workers to 1: {wall:.2} on the wall, {busiest:.2} by the busiest thread");
    }
}
