//! Makes what was written durable, on a thread of its own, and only then says so.
//!
//! The writer goes on while the disk syncs, and a dataflow that holds the writer up does not hold
//! up durability. Groups that are written during one sync share the next.
//!
//! After a failed `fsync` the system may believe that the pages are clean, so that the next call
//! succeeds without having written them. Therefore everything since the last good one is read
//! back, checked, and written again before the next attempt.

use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::disk::Output;
use super::format::frame;
use super::{Counters, Durable};

/// How many bytes may be written and not yet durable; then the writer waits.
pub(super) const UNSYNCED_BYTES_MAX: u64 = 64 << 20;
/// How long to wait after the first failure; each further one doubles it.
pub(super) const BACKOFF_MIN: Duration = Duration::from_millis(10);
/// The longest wait between two attempts: when space comes back, so does the journal.
pub(super) const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Bytes written and not yet durable.
pub(super) struct Written {
    pub(super) file: Arc<dyn Output>,
    pub(super) salt: u32,
    /// Where they begin and end in the file.
    pub(super) from: u64,
    pub(super) to: u64,
    /// What is durable once they are.
    pub(super) durable: Durable,
    pub(super) receipts: Vec<oneshot::Sender<()>>,
}

#[derive(Default)]
struct State {
    waiting: Option<(Instant, Written)>,
    /// How many bytes a sync is under way for.
    in_flight: u64,
    /// Somebody waits: do not wait for more to come.
    urgent: bool,
    stop: bool,
    /// Stop even if that means giving up.
    give_up: bool,
    /// What the disk said last, as long as it does not do as it is told.
    trouble: Option<String>,
    /// What was written cannot be read back: it can never be made durable.
    lost: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    durable: watch::Sender<Durable>,
    counters: Arc<Counters>,
}

/// The thread that syncs.
pub(super) struct Syncer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    /// Starts the thread, which lets writes gather for `interval` before it syncs.
    pub(super) fn start(
        interval: Duration,
        durable: watch::Sender<Durable>,
        counters: Arc<Counters>,
    ) -> io::Result<Syncer> {
        let state = Mutex::default();
        let shared = Arc::new(Shared { state, changed: Condvar::new(), durable, counters });
        let run = {
            let shared = Arc::clone(&shared);
            move || shared.run(interval)
        };
        let thread = thread::Builder::new().name("journal-sync".into()).spawn(run)?;
        Ok(Syncer { shared, thread: Some(thread) })
    }

    /// Hands over what was written. It follows what was handed over before, in the same file.
    pub(super) fn push(&self, written: Written) {
        let mut state = self.shared.lock();
        match &mut state.waiting {
            Some((_, waiting)) => {
                debug_assert!(Arc::ptr_eq(&waiting.file, &written.file));
                debug_assert_eq!(waiting.to, written.from);
                waiting.to = written.to;
                waiting.durable = written.durable;
                waiting.receipts.extend(written.receipts);
            }
            None => state.waiting = Some((Instant::now(), written)),
        }
        self.shared.changed.notify_all();
    }

    /// Waits until there is room for more, which there is not while the disk refuses.
    pub(super) fn admit(&self, patience: Duration) -> Result<(), io::Error> {
        let ready =
            |state: &State| state.trouble.is_none() && state.unsynced() <= UNSYNCED_BYTES_MAX;
        self.wait(patience, ready)
    }

    /// Waits until everything is durable.
    pub(super) fn drain(&self, patience: Duration) -> Result<(), io::Error> {
        self.shared.lock().urgent = true;
        self.shared.changed.notify_all();
        self.wait(patience, |state| state.waiting.is_none() && state.in_flight == 0)
    }

    fn wait(&self, patience: Duration, ready: impl Fn(&State) -> bool) -> Result<(), io::Error> {
        let until = Instant::now() + patience;
        let mut state = self.shared.lock();
        loop {
            if state.lost {
                return Err(lost());
            }
            if ready(&state) {
                return Ok(());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let trouble = state.trouble.clone();
                let text = trouble.unwrap_or_else(|| "the disk is too slow".to_owned());
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            state = match self.shared.changed.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(_) => panic!("the thread that syncs has panicked"),
            };
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.stop = true;
        state.give_up = true;
        drop(state);
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // It only panics if it has been told wrong, and that has been seen by then.
            let _ = thread.join();
        }
    }
}

impl State {
    fn unsynced(&self) -> u64 {
        self.in_flight + self.waiting.as_ref().map_or(0, |(_, written)| written.to - written.from)
    }
}

/// The error of a journal whose bytes cannot be read back; see [`is_lost`].
fn lost() -> io::Error {
    let text = "what was written could not be read back after a failed fsync";
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Whether trying again is of no use.
pub(super) fn is_lost(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with the lock held")
    }

    fn run(&self, interval: Duration) {
        while let Some(written) = self.next(interval) {
            let done = self.sync(&written);
            if done {
                self.durable.send_replace(written.durable);
                for receipt in written.receipts {
                    // A sender that has gone away does not want to know.
                    let _ = receipt.send(());
                }
            }
            let mut state = self.lock();
            state.in_flight = 0;
            state.trouble = None;
            state.lost = !done && !state.give_up;
            drop(state);
            self.changed.notify_all();
            if !done {
                return;
            }
        }
    }

    /// What to sync next, once enough time has passed since it was written.
    fn next(&self, interval: Duration) -> Option<Written> {
        let mut state = self.lock();
        loop {
            let left = match &state.waiting {
                Some((since, _)) => interval.saturating_sub(since.elapsed()),
                None if state.stop => return None,
                None => Duration::MAX,
            };
            if state.waiting.is_some() && (left.is_zero() || state.urgent || state.stop) {
                let (_, written) = state.waiting.take()?;
                state.urgent = false;
                state.in_flight = written.to - written.from;
                return Some(written);
            }
            let expectation = "nobody panics with the lock held";
            state = match left {
                Duration::MAX => self.changed.wait(state).expect(expectation),
                left => self.changed.wait_timeout(state, left).expect(expectation).0,
            };
        }
    }

    /// Syncs, again and again until it works. False if it never will.
    fn sync(&self, written: &Written) -> bool {
        let mut backoff = BACKOFF_MIN;
        let mut rewritten = true;
        loop {
            let result = match rewritten {
                true => written.file.sync(),
                false => rewrite(written),
            };
            let error = match result {
                Ok(()) if rewritten => {
                    self.counters.syncs.fetch_add(1, Relaxed);
                    return true;
                }
                Ok(()) => {
                    rewritten = true;
                    continue;
                }
                Err(error) if is_lost(&error) => return false,
                Err(error) => error,
            };
            rewritten = false;
            self.counters.sync_failures.fetch_add(1, Relaxed);
            let mut state = self.lock();
            state.trouble = Some(error.to_string());
            self.changed.notify_all();
            let until = Instant::now() + backoff;
            while !state.give_up {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                let waited = self.changed.wait_timeout(state, left);
                state = waited.expect("nobody panics with the lock held").0;
            }
            if state.give_up {
                return false;
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }
}

/// Reads back what was written, checks it, and writes it once more over itself.
fn rewrite(written: &Written) -> io::Result<()> {
    let mut bytes = vec![0; (written.to - written.from) as usize];
    written.file.read_exact_at(&mut bytes, written.from).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => lost(),
        _ => error,
    })?;
    let mut at = 0;
    while at < bytes.len() {
        at += frame(&bytes[at..], written.salt).map_err(|_| lost())?.size;
    }
    written.file.write_all_at(&bytes, written.from)
}
