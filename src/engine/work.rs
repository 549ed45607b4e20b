//! A worker: feeds the graph, steps it, and passes on what comes out.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TryRecvError};
use std::time::Duration;

use dataflows::detection;
use operators::entity::memory::Seen;
use operators::report::Report;
use operators::sigma::Schedule;
use operators::state::{Changes, Ledger, Store};
use operators::types::{Alert, Flags, Hand, More};
use timely::dataflow::operators::{Inspect, Probe};
use timely::dataflow::{InputHandle, ProbeHandle};
use timely::worker::Worker;

use super::IN_FLIGHT;
use super::deal::{Checkpoint, Dealt, Inlet};
use crate::render;
use crate::storage::events::Found;
use crate::storage::spill::Backing;

/// What the workers tell the output thread.
pub(super) enum Said {
    /// What was found of a worker's share of an epoch.
    Part(Box<Part>),
    /// What became of older incidents.
    More(u64, More),
    /// Entities that were not seen before since the start.
    Seen(u64, Seen),
    /// Matches of rules that correlations could not count.
    Uncounted(u64, u64),
    /// A worker has finished all epochs up to this one.
    Finished(usize, u64),
    /// A worker has handed over what changed, for a checkpoint.
    Changes(u64, Checkpoint, u64, Changes),
}

/// What was found of a worker's share of an epoch.
#[derive(Default)]
pub(super) struct Part {
    pub(super) epoch: u64,
    pub(super) events: u64,
    pub(super) late: u64,
    /// Events from which nothing could be understood, by what was odd.
    pub(super) odd: BTreeMap<&'static str, u64>,
    pub(super) times: Option<(i64, i64)>,
    pub(super) alerts: Vec<Alert>,
    pub(super) found: Vec<Found>,
    /// Lines of JSON, by the sequence number of their first event.
    pub(super) lines: Vec<(u64, Vec<u8>)>,
}

/// What all workers share.
pub(super) struct Job {
    pub(super) detection: dataflows::Options,
    pub(super) rules: Arc<Schedule>,
    pub(super) backing: Arc<Backing>,
    pub(super) wants: Wants,
    /// Whether to leave what is unfinished.
    pub(super) abandon: Arc<AtomicBool>,
}

/// What parts are made of.
#[derive(Clone, Copy)]
pub(super) struct Wants {
    pub(super) found: bool,
    pub(super) lines: bool,
}

/// The longest that a worker sleeps when there is nothing to do.
const NAP: Duration = Duration::from_millis(50);

/// Runs a worker until its dealer is gone and everything is finished.
pub(super) fn run(worker: &mut Worker, inlet: Inlet, job: &Job, said: SyncSender<Said>) {
    let Job { detection: options, rules, backing, wants, abandon } = job;
    let wants = *wants;
    inlet.thread.set(std::thread::current()).expect("a worker has one thread");
    let mut input = InputHandle::<u64, _>::new();
    let probe = ProbeHandle::new();
    let store: Rc<dyn Store> = Rc::new(backing.worker());
    let ledger = Rc::new(Ledger::default());

    worker.dataflow(|scope| {
        let hands = input.to_stream(scope).container::<Vec<Hand>>();
        let outputs = detection(hands, options, rules, &store, &ledger);
        // A receiver that is gone has panicked, and then so has the process.
        let tell = said.clone();
        let rules = Arc::clone(rules);
        outputs
            .reports
            .inspect(move |report| {
                tell.send(Said::Part(Box::new(part(report, &rules, wants)))).ok();
            })
            .probe_with(&probe);
        let tell = said.clone();
        outputs
            .more
            .inspect(move |(epoch, more)| {
                tell.send(Said::More(*epoch, more.clone())).ok();
            })
            .probe_with(&probe);
        let tell = said.clone();
        outputs
            .seen
            .inspect(move |(epoch, seen)| {
                tell.send(Said::Seen(*epoch, *seen)).ok();
            })
            .probe_with(&probe);
        let tell = said.clone();
        outputs
            .uncounted
            .inspect(move |(epoch, counts)| {
                tell.send(Said::Uncounted(*epoch, counts.sum())).ok();
            })
            .probe_with(&probe);
    });

    let mut fed: Option<u64> = None;
    let mut finished: Option<u64> = None;
    let mut asked = BTreeMap::new();
    let mut open = true;
    while open || finished < fed {
        if abandon.load(Ordering::Acquire) {
            worker.installed_dataflows().into_iter().for_each(|graph| worker.drop_dataflow(graph));
            return;
        }
        while open {
            let behind = fed.unwrap_or(0).saturating_sub(finished.unwrap_or(0));
            if finished.is_some() && behind >= IN_FLIGHT {
                break;
            }
            match inlet.receiver.try_recv() {
                Ok(Dealt { hand, checkpoint }) => {
                    let epoch = hand.end.epoch;
                    if let Some(checkpoint) = checkpoint {
                        ledger.ask(epoch, checkpoint == Checkpoint::Models);
                        asked.insert(epoch, (checkpoint, hand.end.next_seq));
                    }
                    input.advance_to(epoch);
                    input.send(hand);
                    input.advance_to(epoch + 1);
                    input.flush();
                    finished = finished.or(Some(epoch - 1));
                    fed = Some(epoch);
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => open = false,
            }
        }
        worker.step_or_park(Some(NAP));
        for (epoch, changes) in ledger.take() {
            let (checkpoint, next_seq) = asked.remove(&epoch).expect("it was asked for");
            said.send(Said::Changes(epoch, checkpoint, next_seq, changes)).ok();
        }
        let through = probe.with_frontier(|frontier| frontier.first().copied());
        let through = through.map_or(fed, |next| next.checked_sub(1)).min(fed);
        if through > finished {
            finished = through;
            said.send(Said::Finished(worker.index(), through.unwrap_or(0))).ok();
        }
    }
    drop(input);
    while worker.has_dataflows() {
        worker.step_or_park(Some(NAP));
    }
}

/// Makes of a report what leaves the worker.
fn part(report: &Rc<Report>, rules: &Schedule, wants: Wants) -> Part {
    let share = &report.share;
    let active = rules.at(share.end.epoch);
    let mut part = Part { epoch: share.end.epoch, ..Part::default() };
    let mut odd = [0u64; u16::BITS as usize];
    for (_, event) in share.events() {
        part.events += 1;
        part.late += u64::from(event.flags.has(Flags::LATE));
        let mut flags = event.flags.0;
        while flags != 0 {
            odd[flags.trailing_zeros() as usize] += 1;
            flags &= flags - 1;
        }
        let (first, last) = part.times.unwrap_or((event.time.0, event.time.0));
        part.times = Some((first.min(event.time.0), last.max(event.time.0)));
    }
    for (bit, count) in odd.into_iter().enumerate().filter(|(_, count)| *count > 0) {
        part.odd.extend(Flags(1 << bit).names().into_iter().map(|name| (name, count)));
    }
    part.alerts.clone_from(&report.alerts);
    if wants.found {
        part.found = render::found(report, &active.rules);
    }
    if wants.lines {
        part.lines = render::lines(report, &active.rules);
    }
    part
}
