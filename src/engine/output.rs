//! The end of the way: puts the workers' parts of an epoch together, and lets them out in order.
//!
//! An epoch leaves when all workers have finished it and its records are durable. First it is
//! stored, then told. A checkpoint follows the epochs that it covers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use operators::entity::memory::Seen;
use operators::sigma::Schedule;
use operators::state::{Changes, StateKey};
use operators::types::{Alert, EventTime, More};
use tokio::sync::watch;

use super::Progress;
use super::deal::Checkpoint;
use super::work::{Part, Said};
use crate::journal::Durable;
use crate::storage::Storage;
use crate::storage::checkpoint::Marker;
use crate::storage::spill::Backing;

/// When an epoch's results may leave.
pub enum Gate {
    /// At once: nothing is kept, so nothing can be promised too early.
    Open,
    /// When the journal says that its records are durable.
    Durable(watch::Receiver<Durable>),
}

impl Gate {
    /// Waits until `epoch` may leave.
    /// False if it never may: the writer is gone, and has made durable what it could.
    fn wait(&mut self, epoch: u64, runtime: &tokio::runtime::Runtime) -> bool {
        let Gate::Durable(durable) = self else { return true };
        if durable.borrow().epoch >= epoch {
            return true;
        }
        runtime.block_on(durable.wait_for(|durable| durable.epoch >= epoch)).is_ok()
    }
}

/// Where results go. Called in the order of epochs, from one thread.
pub trait Outlet: Send {
    /// New alerts of an epoch, by severity and id; they are stored already.
    fn alerts(&mut self, alerts: &[Alert]);
    /// What became of incidents.
    fn more(&mut self, more: &[More]);
    /// The events of an epoch as lines of JSON, in sequence order, if they are wanted.
    fn lines(&mut self, lines: &[u8]);
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Events told.
    pub events: u64,
    /// Of them late ones.
    pub late: u64,
    /// Entities, each counted once since the start, and how many of them are new.
    pub entities: Seen,
    /// Matches of rules that correlations did not count: late ones, and where a limit bit.
    pub uncounted: u64,
    /// Events with something odd, by what.
    pub odd: BTreeMap<&'static str, u64>,
    /// The earliest and the latest event time.
    pub times: Option<(EventTime, EventTime)>,
    /// All alerts, by id, with what became of them; the first 200 000.
    pub alerts: BTreeMap<String, Alert>,
    /// How many alerts there were.
    pub alert_count: u64,
}

/// How many alerts are held in memory for the summary and the sorted file of `replay`.
const ALERTS_MAX: usize = 200_000;

/// What a run came to, and the models at its end if it kept no state.
#[derive(Default)]
pub struct Ended {
    /// Counts.
    pub totals: Totals,
    /// The shared models at the end, by key.
    pub models: BTreeMap<StateKey, Vec<u8>>,
    /// The last epoch told.
    pub last_epoch: u64,
    /// Events in the journal that are left for the next start.
    pub left: u64,
}

pub(super) struct Output {
    pub(super) workers: usize,
    pub(super) next_epoch: u64,
    pub(super) heard: Receiver<Said>,
    pub(super) gate: Gate,
    pub(super) outlet: Box<dyn Outlet>,
    pub(super) storage: Option<Storage>,
    pub(super) backing: Arc<Backing>,
    pub(super) progress: Arc<Progress>,
    pub(super) rules: Arc<Schedule>,
}

/// What has come of an epoch so far.
#[derive(Default)]
struct Gathered {
    parts: Vec<Part>,
    more: Vec<More>,
    seen: Seen,
    uncounted: u64,
    changes: Vec<Changes>,
    checkpoint: Option<(Checkpoint, u64)>,
}

impl Output {
    pub(super) fn run(mut self) -> Ended {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.expect("a runtime without drivers needs nothing of the system");
        let checkpoints = self.storage.clone().map(|storage| {
            let backing = Arc::clone(&self.backing);
            let (sender, receiver) = sync_channel(2);
            let thread = std::thread::Builder::new().name("checkpoint".into());
            let thread = thread.spawn(move || commit(&storage, &backing, &receiver));
            (sender, thread.expect("a thread for checkpoints"))
        });
        let mut ended = Ended { last_epoch: self.next_epoch - 1, ..Ended::default() };
        let mut gathered = BTreeMap::<u64, Gathered>::new();
        let mut finished = vec![0; self.workers];
        while let Ok(said) = self.heard.recv() {
            match said {
                Said::Part(part) => gathered.entry(part.epoch).or_default().parts.push(*part),
                Said::More(epoch, more) => gathered.entry(epoch).or_default().more.push(more),
                Said::Seen(epoch, seen) => gathered.entry(epoch).or_default().seen += seen,
                Said::Uncounted(epoch, count) => {
                    gathered.entry(epoch).or_default().uncounted += count;
                }
                Said::Changes(epoch, checkpoint, next_seq, changes) => {
                    let epoch = gathered.entry(epoch).or_default();
                    epoch.changes.push(changes);
                    epoch.checkpoint = Some((checkpoint, next_seq));
                }
                Said::Finished(worker, epoch) => finished[worker] = epoch,
            }
            let through = finished.iter().copied().min().unwrap_or(0);
            if through < self.next_epoch {
                continue;
            }
            self.progress.finished.store(through, Ordering::Release);
            while self.next_epoch <= through {
                let epoch = self.next_epoch;
                let gathered = gathered.remove(&epoch).unwrap_or_default();
                if self.gate.wait(epoch, &runtime) {
                    let checkpoints = checkpoints.as_ref().map(|(sender, _)| sender);
                    self.let_out(epoch, gathered, &mut ended, checkpoints);
                }
                self.next_epoch += 1;
            }
        }
        if let Some((sender, thread)) = checkpoints {
            drop(sender);
            thread.join().expect("a checkpoint that fails ends the process");
        }
        ended
    }

    fn let_out(
        &mut self,
        epoch: u64,
        gathered: Gathered,
        ended: &mut Ended,
        checkpoints: Option<&SyncSender<(Marker, Vec<Changes>)>>,
    ) {
        let Gathered { mut parts, mut more, seen, uncounted, changes, checkpoint } = gathered;
        more.sort_by_key(|more| more.id);
        let mut alerts: Vec<Alert> =
            parts.iter_mut().flat_map(|part| part.alerts.drain(..)).collect();
        alerts.sort_by(|a, b| a.id.cmp(&b.id));
        if let Some(storage) = &self.storage
            && !store(storage, &parts, &alerts, &more)
        {
            return;
        }
        let mut lines: Vec<_> = parts.iter_mut().flat_map(|part| part.lines.drain(..)).collect();
        if !lines.is_empty() {
            lines.sort_unstable_by_key(|(seq, _)| *seq);
            for (_, lines) in &lines {
                self.outlet.lines(lines);
            }
        }
        if !alerts.is_empty() {
            self.outlet.alerts(&alerts);
        }
        if !more.is_empty() {
            self.outlet.more(&more);
        }
        ended.totals.uncounted += uncounted;
        self.count(parts, alerts, &more, seen, &mut ended.totals);
        ended.last_epoch = epoch;
        match (checkpoint, checkpoints) {
            (Some((Checkpoint::State, next_seq)), Some(checkpoints)) => {
                let rules = self.rules.at(epoch).digest;
                checkpoints.send((Marker { epoch, next_seq, rules }, changes)).ok();
            }
            (Some((Checkpoint::Models, _)), _) => {
                let values = changes.iter().flat_map(Changes::iter);
                let set = values.filter_map(|(key, value)| Some((key.to_vec(), value?.to_vec())));
                ended.models = set.collect();
            }
            _ => {}
        }
    }

    fn count(
        &self,
        parts: Vec<Part>,
        alerts: Vec<Alert>,
        more: &[More],
        seen: Seen,
        totals: &mut Totals,
    ) {
        let mut events = 0;
        for part in parts {
            events += part.events;
            totals.late += part.late;
            for (what, count) in part.odd {
                *totals.odd.entry(what).or_default() += count;
            }
            if let Some((first, last)) = part.times {
                let (first, last) = (EventTime(first), EventTime(last));
                let (from, to) = totals.times.unwrap_or((first, last));
                totals.times = Some((from.min(first), to.max(last)));
            }
        }
        totals.events += events;
        totals.entities += seen;
        totals.alert_count += alerts.len() as u64;
        self.progress.alerts.fetch_add(alerts.len() as u64, Ordering::Relaxed);
        self.progress.told.fetch_add(events, Ordering::Release);
        for alert in alerts {
            if totals.alerts.len() < ALERTS_MAX {
                totals.alerts.insert(alert.id.clone(), alert);
            }
        }
        for more in more {
            let id = uuid::Uuid::from_u128(more.id).to_string();
            if let Some(alert) = totals.alerts.get_mut(&id) {
                alert.add(more);
            }
        }
    }
}

/// Stores what is told; false if the disk is full and nobody waits any more.
fn store(storage: &Storage, parts: &[Part], alerts: &[Alert], more: &[More]) -> bool {
    for part in parts {
        must(storage, storage.put_found(&part.found));
    }
    must(storage, storage.put_alerts(alerts, more));
    !storage.has_given_up()
}

/// What is found must be stored before it is told; without a store that takes it, going on would
/// be a lie. The journal has the records, and the next start goes on from the last checkpoint.
///
/// `None` if it was given up at a stop: then nothing more is told.
fn must<T>(storage: &Storage, result: Result<T, crate::storage::Error>) -> Option<T> {
    match result {
        Ok(done) => Some(done),
        Err(_) if storage.has_given_up() => None,
        Err(error) => panic!("{error}: {}", crate::error_chain(&error)),
    }
}

fn commit(storage: &Storage, backing: &Backing, receiver: &Receiver<(Marker, Vec<Changes>)>) {
    while let Ok((marker, changes)) = receiver.recv() {
        // It would be of state that is not whole.
        if storage.has_given_up() {
            return;
        }
        let started = std::time::Instant::now();
        let committed = storage.commit(marker, &changes, &backing.generations);
        let Some(keys) = must(storage, committed) else { return };
        tracing::debug!(
            epoch = marker.epoch,
            keys,
            milliseconds = started.elapsed().as_millis(),
            "checkpoint"
        );
    }
}
