//! The thread that writes the journal.
//!
//! It takes intakes and control records, gathers those that are there into a group, writes the
//! group, and hands it on. A consumer that does not take what is handed on holds the thread up, and
//! so the receivers; durability goes on behind it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use operators::types::EventTime;
use tokio::sync::{mpsc, oneshot, watch};

use super::sync::{BACKOFF_MAX, BACKOFF_MIN, is_lost};
use super::{CONTROL_BYTES_MAX, Control, Counters, Durable, Fed, GROUP_BYTES, Journal, Retention};
use crate::intake::Intake;

/// How many intakes are taken at a time.
const TAKEN_AT_ONCE: usize = 64;
/// How long a disk may refuse before it is called trouble.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often it is said that the disk refuses, as long as it does.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// When epochs end before they are full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// When their time is up. What comes from sockets and growing files cannot wait.
    Live {
        /// How long an epoch that holds something stays open.
        interval: Duration,
        /// How long nothing comes until a [`Control::Tick`] says so.
        idle: Duration,
    },
    /// Never, so that a finite input is always cut at the same places.
    Replay,
}

impl Pace {
    /// Live, with 50 ms to an epoch and a tick each second of silence.
    pub const LIVE: Pace =
        Pace::Live { interval: Duration::from_millis(50), idle: Duration::from_secs(1) };
}

/// How the writer works.
#[derive(Clone, Copy, Debug)]
pub struct WriterOptions {
    /// When epochs end before they are full.
    pub pace: Pace,
    /// After the end of the input, how long to go on trying while the disk refuses. What is not
    /// written by then has not been acknowledged.
    pub stop_deadline: Duration,
    /// The wall clock that ticks tell.
    pub clock: fn() -> EventTime,
}

/// A control record on its way to the journal.
#[derive(Debug)]
pub struct ControlIntake {
    /// What it is; one larger than [`CONTROL_BYTES_MAX`] is not taken.
    pub control: Control,
    /// Told when it is durable; dropped if it is not taken.
    pub receipt: Option<oneshot::Sender<()>>,
}

/// How the disk is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It does as it is told.
    Well,
    /// It refuses: nothing is taken, nothing acknowledged, and it is tried again and again.
    Stuck {
        /// What it says.
        what: String,
    },
}

/// Where the writer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// The sequence number that the next record would have got.
    pub next_seq: u64,
    /// The last epoch that ended.
    pub last_complete: u64,
}

/// Why the writer gave up.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The disk refused until the deadline. Nothing acknowledged is lost.
    #[error("cannot write the journal: {}", unstored(*records))]
    Refused {
        /// How many records were taken in and are not durable.
        records: u64,
        /// What the disk says.
        source: io::Error,
    },
    /// A failed sync has left the journal in a state that only opening it again can tell.
    #[error("cannot make the journal durable: the program has to be started again")]
    Lost(#[source] io::Error),
}

/// What is missing, in words.
fn unstored(records: u64) -> String {
    match records {
        0 => "all records that came in are stored, but the stop is not".to_owned(),
        1 => "1 record that came in is not stored, and was not acknowledged".to_owned(),
        _ => format!("{records} records that came in are not stored, and were not acknowledged"),
    }
}

/// A journal being written by its own thread.
#[derive(Debug)]
pub struct Writer {
    thread: JoinHandle<Result<Stopped, WriteError>>,
    durable: watch::Receiver<Durable>,
    health: watch::Receiver<Health>,
    counters: Arc<Counters>,
    retention: Option<Retention>,
    leave_open: Arc<AtomicBool>,
}

impl Writer {
    /// Starts the thread. It ends, in good order, when all senders of intakes are gone and what
    /// they sent is durable.
    ///
    /// `feed` gets everything in the journal's order, right after it is written; it may block.
    ///
    /// # Errors
    ///
    /// If there is no thread to be had.
    pub fn spawn(
        journal: Journal,
        intakes: mpsc::Receiver<Intake>,
        controls: mpsc::Receiver<ControlIntake>,
        options: WriterOptions,
        feed: impl FnMut(Fed) + Send + 'static,
    ) -> io::Result<Writer> {
        let (health, health_receiver) = watch::channel(Health::Well);
        let leave_open = Arc::new(AtomicBool::new(false));
        let (durable, counters) = (journal.durable(), journal.counters());
        let retention = journal.retention();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let now = Instant::now();
        // What a run before this one left in the open epoch does not wait for company.
        let opened = journal.open_epoch().1.then_some(now);
        let work = Work {
            journal,
            intakes,
            controls: Some(controls),
            options,
            feed,
            health,
            leave_open: Arc::clone(&leave_open),
            opened,
            heard: now,
            stopping: None,
            refused: None,
            untaken: 0,
        };
        let run = move || runtime.block_on(work.run());
        let thread = thread::Builder::new().name("journal".into()).spawn(run)?;
        Ok(Writer { thread, durable, health: health_receiver, counters, retention, leave_open })
    }

    /// Follows what is durable.
    #[must_use]
    pub fn durable(&self) -> watch::Receiver<Durable> {
        self.durable.clone()
    }

    /// Follows how the disk is.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// What has been done.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Deletes old segments. None if the journal is volatile.
    #[must_use]
    pub fn retention(&self) -> Option<&Retention> {
        self.retention.as_ref()
    }

    /// At the end of the input, do not end the open epoch: the input was interrupted, and whoever
    /// goes on with it shall cut epochs where they would have been.
    pub fn leave_open(&self) {
        self.leave_open.store(true, Ordering::Release);
    }

    /// Waits for the end.
    ///
    /// # Errors
    ///
    /// As the writer says.
    ///
    /// # Panics
    ///
    /// If it has panicked, which means that `feed` has.
    pub fn join(self) -> Result<Stopped, WriteError> {
        match self.thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// The time of day by the system's clock.
#[must_use]
pub fn wall_clock() -> EventTime {
    let nanos = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => EventTime(nanos(after)),
        Err(before) => EventTime(-nanos(before.duration())),
    }
}

struct Work<F> {
    journal: Journal,
    intakes: mpsc::Receiver<Intake>,
    /// None once nobody can send any more.
    controls: Option<mpsc::Receiver<ControlIntake>>,
    options: WriterOptions,
    feed: F,
    health: watch::Sender<Health>,
    leave_open: Arc<AtomicBool>,
    /// Since when the open epoch holds something.
    opened: Option<Instant>,
    /// When something came last.
    heard: Instant,
    /// Since when there is nobody left who could send.
    stopping: Option<Instant>,
    /// Since when the disk refuses, and when that was said last.
    refused: Option<(Instant, Instant)>,
    /// Records that were taken out of the channel and not into the journal.
    untaken: u64,
}

impl<F: FnMut(Fed)> Work<F> {
    async fn run(mut self) -> Result<Stopped, WriteError> {
        match self.work().await {
            Err(WriteError::Refused { source, .. }) => {
                Err(WriteError::Refused { records: self.unstored(), source })
            }
            result => result,
        }
    }

    /// How many records have come in and are not durable, when nobody can send any more.
    fn unstored(&mut self) -> u64 {
        let waiting = std::iter::from_fn(|| self.intakes.try_recv().ok());
        let waiting: u64 = waiting.map(|intake| intake.ends.len() as u64).sum();
        self.journal.unsafe_records() + self.untaken + waiting
    }

    async fn work(&mut self) -> Result<Stopped, WriteError> {
        let mut taken = Vec::with_capacity(TAKEN_AT_ONCE);
        loop {
            self.keep_time()?;
            let deadline = self.deadline();
            let asleep = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                    None => std::future::pending().await,
                }
            };
            let controls = async {
                match &mut self.controls {
                    Some(controls) => controls.recv().await,
                    None => std::future::pending().await,
                }
            };
            // Control records are few, and wait for nobody.
            tokio::select! {
                biased;
                control = controls => match control {
                    Some(control) => self.take_control(control)?,
                    None => self.controls = None,
                },
                count = self.intakes.recv_many(&mut taken, TAKEN_AT_ONCE) => match count {
                    0 => break,
                    _ => self.take(&mut taken)?,
                },
                () = asleep => {}
            }
        }
        self.stop()
    }

    fn take(&mut self, taken: &mut Vec<Intake>) -> Result<(), WriteError> {
        let mut taken = taken.drain(..);
        while let Some(intake) = taken.next() {
            self.journal.take(intake);
            if self.journal.gathered() >= GROUP_BYTES
                && let Err(error) = self.commit()
            {
                self.untaken = taken.map(|intake| intake.ends.len() as u64).sum();
                return Err(error);
            }
        }
        self.commit()?;
        self.heard = Instant::now();
        Ok(())
    }

    fn take_control(&mut self, intake: ControlIntake) -> Result<(), WriteError> {
        let ControlIntake { control, receipt } = intake;
        // Dropping its receipt says that it was not taken.
        if control.size() > CONTROL_BYTES_MAX {
            return Ok(());
        }
        self.journal.control(control, receipt);
        self.commit()
    }

    /// What is due: the end of an epoch, a tick.
    fn keep_time(&mut self) -> Result<(), WriteError> {
        let Pace::Live { interval, idle } = self.options.pace else { return Ok(()) };
        let now = Instant::now();
        if now.duration_since(self.heard) >= idle {
            self.heard = now;
            let at = (self.options.clock)();
            self.journal.control(Control::Tick { at }, None);
            self.journal.tick();
            return self.commit();
        }
        if self.opened.is_some_and(|opened| now.duration_since(opened) >= interval) {
            self.journal.tick();
            self.commit()?;
        }
        Ok(())
    }

    /// When something is due next.
    fn deadline(&self) -> Option<Instant> {
        let Pace::Live { interval, idle } = self.options.pace else { return None };
        let silence = self.heard + idle;
        Some(self.opened.map_or(silence, |opened| silence.min(opened + interval)))
    }

    /// Writes what was gathered, again and again until the disk does as it is told.
    fn commit(&mut self) -> Result<(), WriteError> {
        let epoch = self.journal.committed_epoch();
        let mut backoff = BACKOFF_MIN;
        while let Err(error) = self.journal.commit(PATIENCE, &mut self.feed) {
            if is_lost(&error) {
                return Err(WriteError::Lost(error));
            }
            self.say_refused(&error);
            self.give_up_in_time(error)?;
            thread::sleep(backoff);
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
        self.recovered();
        self.opened = match self.journal.open_epoch() {
            (_, false) => None,
            (open, true) if open == epoch => self.opened.or_else(|| Some(Instant::now())),
            (_, true) => Some(Instant::now()),
        };
        Ok(())
    }

    /// Says that the disk refuses: at once, and every [`SAID_EVERY`] as long as it does.
    fn say_refused(&mut self, error: &io::Error) {
        self.health.send_replace(Health::Stuck { what: error.to_string() });
        let now = Instant::now();
        let (since, said) = self.refused.unwrap_or((now, now));
        if since != now && now.duration_since(said) < SAID_EVERY {
            return;
        }
        self.refused = Some((since, now));
        let folder = self.journal.folder().unwrap_or(Path::new(""));
        tracing::error!(
            folder = %folder.display(),
            %error,
            seconds = since.elapsed().as_secs(),
            "the disk does not take the journal: nothing more is taken in until it does"
        );
    }

    fn recovered(&mut self) {
        if let Some((since, _)) = self.refused.take() {
            let seconds = since.elapsed().as_secs();
            tracing::info!(seconds, "the disk takes the journal again");
        }
        self.health.send_if_modified(|health| {
            let changed = *health != Health::Well;
            *health = Health::Well;
            changed
        });
    }

    /// Once there is nobody left who could send, waiting has an end.
    fn give_up_in_time(&mut self, error: io::Error) -> Result<(), WriteError> {
        if !self.intakes.is_closed() {
            return Ok(());
        }
        let since = *self.stopping.get_or_insert_with(Instant::now);
        match since.elapsed() < self.options.stop_deadline {
            true => Ok(()),
            // How many they are is counted at the end.
            false => Err(WriteError::Refused { records: 0, source: error }),
        }
    }

    /// Everything has been taken: ends the epoch, waits for the disk, and says goodbye.
    fn stop(&mut self) -> Result<Stopped, WriteError> {
        while let Some(Ok(control)) = self.controls.as_mut().map(mpsc::Receiver::try_recv) {
            self.take_control(control)?;
        }
        if !self.leave_open.load(Ordering::Acquire) {
            // The end is an epoch of its own: what the last records did to the watermark is known
            // in the epoch after theirs, and some things are decided only then.
            self.journal.tick();
            self.journal.control(Control::Stop, None);
            self.journal.tick();
        }
        self.journal.mark_clean();
        self.commit()?;
        while let Err(error) = self.journal.sync(PATIENCE) {
            if is_lost(&error) {
                return Err(WriteError::Lost(error));
            }
            self.say_refused(&error);
            self.give_up_in_time(error)?;
        }
        self.recovered();
        let Durable { epoch: last_complete, next_seq } = *self.journal.durable().borrow();
        Ok(Stopped { next_seq, last_complete })
    }
}
