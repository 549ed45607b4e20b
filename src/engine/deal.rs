//! Deals the journal's blocks to the workers, epoch by epoch.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::{Duration, Instant};

use operators::sigma::Schedule;
use operators::types::{Block, EpochEnd, EventTime, Hand};

use super::Progress;
use crate::journal::{Control, Fed};
use crate::rules::library::Library;
use crate::rules::reload;
use crate::storage::spill::Backing;

/// With so many values in memory that no checkpoint has, one is taken though it is not time yet: a
/// checkpoint is in memory as a whole until it is written, at about 100 bytes a value.
const UNSAVED_MAX: usize = 1 << 16;

/// With so many, no more is dealt until the checkpoint that is under way is written.
const UNSAVED_STOP: usize = 4 * UNSAVED_MAX;

/// How many epochs lie ready for a worker beside those that it has taken.
const AHEAD: usize = 2;

/// A worker's share of an epoch, and whether a checkpoint is taken at its end.
pub(super) struct Dealt {
    pub(super) hand: Hand,
    pub(super) checkpoint: Option<Checkpoint>,
}

/// What is wanted at the end of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checkpoint {
    /// All that changed, to start again from.
    State,
    /// The shared models alone, at the end of a run that keeps nothing.
    Models,
}

/// The dealer's end of the way to a worker.
pub(super) struct Way {
    sender: SyncSender<Dealt>,
    thread: Arc<OnceLock<Thread>>,
}

/// The worker's end.
pub(super) struct Inlet {
    pub(super) receiver: Receiver<Dealt>,
    pub(super) thread: Arc<OnceLock<Thread>>,
}

pub(super) fn channel() -> (Way, Inlet) {
    let (sender, receiver) = sync_channel(AHEAD);
    let thread = Arc::new(OnceLock::new());
    (Way { sender, thread: Arc::clone(&thread) }, Inlet { receiver, thread })
}

/// Gathers an epoch and deals it out. Blocks go round robin; nothing depends on who gets which.
pub struct Dealer {
    ways: Vec<Way>,
    blocks: Vec<Arc<Block>>,
    ended: Vec<u32>,
    sources: u32,
    received_until: EventTime,
    last: bool,
    /// How often a checkpoint is taken; `None` if nothing is kept.
    interval: Option<Duration>,
    checkpointed: Instant,
    /// How many checkpoints were asked for.
    asked: u32,
    backing: Arc<Backing>,
    progress: Arc<Progress>,
    /// Whether to put down what comes; see [`hold`](super::Engine::hold).
    hold: Arc<AtomicBool>,
    held: bool,
    /// The sequence number after the last record dealt.
    next_seq: u64,
    rules: Arc<Schedule>,
    library: Arc<Library>,
}

/// Which rules are active from when on, and where others are.
pub(super) struct RuleSets {
    pub(super) schedule: Arc<Schedule>,
    pub(super) library: Arc<Library>,
}

impl Dealer {
    pub(super) fn new(
        ways: Vec<Way>,
        interval: Option<Duration>,
        backing: Arc<Backing>,
        progress: Arc<Progress>,
        hold: Arc<AtomicBool>,
        next_seq: u64,
        RuleSets { schedule: rules, library }: RuleSets,
    ) -> Self {
        Dealer {
            ways,
            blocks: Vec::new(),
            ended: Vec::new(),
            sources: 0,
            received_until: EventTime::MIN,
            last: false,
            interval,
            checkpointed: Instant::now(),
            asked: 0,
            backing,
            progress,
            hold,
            held: false,
            next_seq,
            rules,
            library,
        }
    }

    /// Takes what the journal hands on. Waits while the workers are behind.
    pub fn deal(&mut self, fed: Fed) {
        if self.held {
            return;
        }
        match fed {
            Fed::Block(block) => {
                self.ended.extend(&block.ended);
                self.sources = self.sources.max(block.sources.len() as u32);
                self.blocks.push(block);
            }
            Fed::Control { epoch, control } => {
                self.last |= control == Control::Stop;
                if let Some(digest) = reload::named(&control) {
                    self.swap(epoch, digest);
                }
            }
            Fed::EpochEnd { epoch, next_seq, received_at_max } => {
                self.received_until = self.received_until.max(received_at_max);
                self.deal_out(epoch, next_seq);
            }
        }
    }

    /// Makes a set of rules active from an epoch on that was not dealt yet.
    fn swap(&self, epoch: u64, digest: u128) {
        if self.rules.latest().digest == digest {
            return;
        }
        match self.library.get(digest) {
            Ok(active) => self.rules.swap(epoch, active),
            Err(error) => tracing::error!(
                %error,
                epoch,
                digest = format_args!("{digest:032x}"),
                "rules that became active then are gone: those before them stay, and answers may \
                 differ from what was told then"
            ),
        }
    }

    /// Deals again, beginning with the epoch after the last that was dealt.
    pub fn go_on(&mut self) {
        self.hold.store(false, Ordering::Release);
        self.held = false;
    }

    /// The last epoch that was dealt, and the sequence number after its last record.
    #[must_use]
    pub fn dealt(&self) -> (u64, u64) {
        (self.progress.dealt.load(Ordering::Relaxed), self.next_seq)
    }

    /// Whether a checkpoint is due, or too much is in none; one at a time.
    fn is_time(&self, interval: Duration) -> bool {
        let due = self.checkpointed.elapsed() >= interval || self.unsaved() > UNSAVED_MAX;
        due && !self.is_writing()
    }

    /// Waits while far too much is in no checkpoint: a slow disk holds up whoever sends.
    fn wait_for_checkpoint(&self) {
        while self.unsaved() > UNSAVED_STOP && self.is_writing() {
            if self.hold.load(Ordering::Acquire) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn unsaved(&self) -> usize {
        self.backing.generations.unsaved.load(Ordering::Relaxed)
    }

    /// Whether a checkpoint that was asked for is not written yet.
    fn is_writing(&self) -> bool {
        self.backing.generations.committed.load(Ordering::Acquire) != self.asked
    }

    fn deal_out(&mut self, epoch: u64, next_seq: u64) {
        if self.hold.load(Ordering::Acquire) {
            self.held = true;
            (self.blocks, self.ended, self.last) = (Vec::new(), Vec::new(), false);
            return;
        }
        self.wait_for_checkpoint();
        self.next_seq = next_seq;
        let end = EpochEnd {
            epoch,
            next_seq,
            received_until: self.received_until,
            ended: std::mem::take(&mut self.ended),
            sources: self.sources,
        };
        let last = std::mem::take(&mut self.last);
        let checkpoint = match self.interval {
            Some(interval) if last || self.is_time(interval) => {
                self.checkpointed = Instant::now();
                self.asked += 1;
                Some(Checkpoint::State)
            }
            None if last => Some(Checkpoint::Models),
            _ => None,
        };
        let records: usize = self.blocks.iter().map(|block| block.records.len()).sum();
        self.progress.records.fetch_add(records as u64, Ordering::Relaxed);
        self.progress.dealt.store(epoch, Ordering::Release);
        let peers = self.ways.len();
        let blocks = std::mem::take(&mut self.blocks);
        for (index, way) in self.ways.iter().enumerate() {
            let mine = blocks.iter().skip(index).step_by(peers).cloned().collect();
            let hand = Hand { end: end.clone(), blocks: mine };
            // A worker that is gone has panicked, and then so is the process.
            if way.sender.send(Dealt { hand, checkpoint }).is_err() {
                return;
            }
            if let Some(thread) = way.thread.get() {
                thread.unpark();
            }
        }
    }
}

impl Drop for Dealer {
    fn drop(&mut self) {
        for way in self.ways.drain(..) {
            drop(way.sender);
            if let Some(thread) = way.thread.get() {
                thread.unpark();
            }
        }
    }
}
