//! Hosts the timely workers: deals epochs to them, gathers what they say, takes checkpoints.
//!
//! ```text
//!  journal thread ── Dealer ══ one bounded channel a worker ══▶ workers 0..N (the same graph each)
//!                                                                 │ parts of epochs, checkpoints
//!   told, stored ◀── output thread (epochs in order, durable) ◀═══╝
//!                         └──▶ checkpoint thread
//! ```
//!
//! Only the dealer and the output thread know how epochs are cut over workers. A worker is fed at
//! most [`IN_FLIGHT`] epochs beyond the last that it has finished; so is the dealer held up, and
//! through it the journal and the receivers.

mod deal;
mod output;
mod watch;
mod work;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub use deal::Dealer;
pub use output::{Ended, Gate, Outlet, Totals};

use operators::sigma::Schedule;

use crate::rules::library::Library;
use crate::storage::Storage;
use crate::storage::spill::Backing;

/// How many epochs a worker may be fed beyond the last that it has finished.
pub const IN_FLIGHT: u64 = 4;

/// How the engine runs. Nothing in here may change what it says.
pub struct Setup {
    /// How many workers.
    pub workers: usize,
    /// The graph's options.
    pub detection: dataflows::Options,
    /// The rules, and which are active from when on.
    pub rules: Arc<Schedule>,
    /// The rules that the journal may name.
    pub library: Arc<Library>,
    /// Where state is that is not in memory.
    pub backing: Arc<Backing>,
    /// Where events, alerts and checkpoints are kept, if they are.
    pub storage: Option<Storage>,
    /// How often a checkpoint is taken, if state is kept.
    pub checkpoint_interval: Duration,
    /// The first epoch that will be dealt.
    pub first_epoch: u64,
    /// Its first sequence number.
    pub first_seq: u64,
    /// Whether the events themselves are wanted as lines of JSON.
    pub event_lines: bool,
    /// When an epoch's results may leave: not before its records are durable.
    pub gate: Gate,
    /// Where results go.
    pub outlet: Box<dyn Outlet>,
}

/// What is going on, for whoever watches. Numbers only grow.
#[derive(Debug, Default)]
pub struct Progress {
    /// The last epoch that was dealt.
    pub dealt: AtomicU64,
    /// Records in the epochs that were dealt.
    pub records: AtomicU64,
    /// The last epoch that all workers have finished.
    pub finished: AtomicU64,
    /// Events in the epochs whose results have been told.
    pub told: AtomicU64,
    /// Alerts told.
    pub alerts: AtomicU64,
}

/// A running engine.
pub struct Engine {
    threads: Option<Threads>,
    progress: Arc<Progress>,
    hold: Arc<AtomicBool>,
    abandon: Arc<AtomicBool>,
}

/// Starts the workers and the threads behind them.
///
/// # Errors
///
/// If a thread cannot be started.
pub fn start(setup: Setup) -> Result<(Dealer, Engine), String> {
    let Setup { workers, detection, rules, backing, storage, checkpoint_interval, .. } = setup;
    let progress = Arc::new(Progress::default());
    progress.dealt.store(setup.first_epoch - 1, Ordering::Relaxed);
    progress.finished.store(setup.first_epoch - 1, Ordering::Relaxed);

    let (said, heard) = mpsc::sync_channel(64 * workers);
    let (hands, inlets): (Vec<_>, Vec<_>) = (0..workers).map(|_| deal::channel()).unzip();
    let inlets: Mutex<Vec<_>> = Mutex::new(inlets.into_iter().map(Some).collect());

    let wants = work::Wants { found: storage.is_some(), lines: setup.event_lines };
    let config = match workers {
        1 => timely::Config::thread(),
        _ => timely::Config::process(workers),
    };
    let abandon = Arc::new(AtomicBool::new(false));
    let (shared, abandoned) = (Arc::clone(&backing), Arc::clone(&abandon));
    let rule_sets = deal::RuleSets { schedule: Arc::clone(&rules), library: setup.library };
    let job = work::Job {
        detection,
        rules: Arc::clone(&rules),
        backing: shared,
        wants,
        abandon: abandoned,
    };
    let guards = timely::execute(config, move |worker| {
        let inlet = inlets.lock().expect("no worker panics with it")[worker.index()].take();
        let inlet = inlet.expect("each worker takes its own");
        work::run(worker, inlet, &job, said.clone());
    })?;

    let output = output::Output {
        workers,
        next_epoch: setup.first_epoch,
        heard,
        gate: setup.gate,
        outlet: setup.outlet,
        storage: storage.clone(),
        backing: Arc::clone(&backing),
        progress: Arc::clone(&progress),
        rules: Arc::clone(&rules),
    };
    let output = std::thread::Builder::new()
        .name("output".into())
        .spawn(move || output.run())
        .map_err(|error| error.to_string())?;
    watch::start(&progress)?;
    let kept = storage.is_some().then_some(checkpoint_interval);
    let hold = Arc::new(AtomicBool::new(false));
    let dealer = Dealer::new(
        hands,
        kept,
        backing,
        Arc::clone(&progress),
        Arc::clone(&hold),
        setup.first_seq,
        rule_sets,
    );
    let threads = Some(Threads { workers: guards, output });
    Ok((dealer, Engine { threads, progress, hold, abandon }))
}

impl Engine {
    /// What is going on.
    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Has the dealer put down whatever comes, from the next end of an epoch on: whoever waits
    /// for the journal then waits for the disk only. The journal has it, and it can be dealt from
    /// there after [`Dealer::go_on`].
    pub fn hold(&self) {
        self.hold.store(true, Ordering::Release);
    }

    /// Waits until everything that was dealt is told, but no longer than `until`; then the workers
    /// leave it as it is. How many events are left so.
    ///
    /// Nobody may be told of them any more: they are in the journal behind the last checkpoint.
    pub fn finish_until(&self, until: Instant) -> u64 {
        let untold = || {
            let dealt = self.progress.records.load(Ordering::Relaxed);
            dealt - self.progress.told.load(Ordering::Acquire).min(dealt)
        };
        let finished = || self.progress.finished.load(Ordering::Acquire);
        let dealt = self.progress.dealt.load(Ordering::Acquire);
        while untold() > 0 || finished() < dealt {
            if Instant::now() >= until {
                self.abandon.store(true, Ordering::Release);
                return untold();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        0
    }

    /// Waits until everything that was dealt is told; the dealer must be gone.
    ///
    /// # Panics
    ///
    /// If a thread has panicked, though the program's panic hook ends the process before.
    #[must_use]
    pub fn join(mut self) -> Ended {
        self.threads.take().expect("only this takes them").join()
    }
}

/// Nothing that the engine holds open, the store above all, is held any longer than itself: on
/// its way out the process takes away what a thread left behind would need to close it.
impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(threads) = self.threads.take() {
            threads.join();
        }
    }
}

/// They end when the dealer is gone.
struct Threads {
    workers: timely::communication::WorkerGuards<()>,
    output: std::thread::JoinHandle<Ended>,
}

impl Threads {
    fn join(self) -> Ended {
        for result in self.workers.join() {
            result.expect("a worker that panics ends the process");
        }
        self.output.join().expect("the output thread ends when the workers have")
    }
}
