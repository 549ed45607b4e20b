//! What an operator over epochs is, and the one driver that puts it on a stream.
//!
//! The output of the program is a function of the journal. What makes it so is here: a
//! [`Stage`] is handed an epoch when it is complete, never a record as it happens to arrive.
//!
//! 1. Each worker gathers its share of epoch *e*. When no more of it can arrive,
//!    [`Stage::close`] works on it, with the model as of epoch *e − 1*, and says in a summary
//!    what the share brought.
//! 2. The summaries of all workers go to every worker, over a feedback edge.
//! 3. When no more of them can arrive, [`Stage::merge`] learns from them. Every worker does so
//!    alike, so every worker holds the same model, and epoch *e + 1* is closed with it.
//!
//! Between 1 and 3 a worker is free for other stages and later epochs of earlier stages: a few
//! epochs are in flight, and only the models of one stage wait for each other.
//!
//! A stage without a shared model ([`Stage::SHARED`] is false) leaves out 2.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use timely::ExchangeData;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::{Capability, ConnectLoop, Feedback};
use timely::progress::Antichain;

use crate::state::{Changes, Ledger};

/// What an operator does with epochs.
///
/// # Contract
///
/// The driver calls `close(e)` and then `merge(e)` for one epoch after the other, in order.
/// What a stage answers may depend on the order of its inputs only as far as the inputs say it
/// themselves (a sequence number, a key): their order in the vectors is arbitrary.
pub trait Stage: 'static {
    /// What reaches it from the stage before it on the same worker; at least one each epoch.
    type Local: Clone + 'static;
    /// What reaches it from any worker.
    type Remote: ExchangeData + Clone;
    /// What an epoch's share brought, to be learned by all workers.
    type Summary: ExchangeData + Clone;
    /// What it answers.
    type Out: Clone + 'static;

    /// Whether there is a model that all workers share.
    const SHARED: bool = true;

    /// Works on this worker's share of `epoch`, which is complete.
    fn close(
        &mut self,
        epoch: u64,
        local: Vec<Self::Local>,
        remote: Vec<Self::Remote>,
        out: &mut Vec<Self::Out>,
    ) -> Self::Summary;

    /// Learns what `epoch` brought to all workers. Merging must not depend on the order of
    /// `summaries`, nor on how many there are.
    fn merge(&mut self, epoch: u64, summaries: Vec<Self::Summary>, out: &mut Vec<Self::Out>);

    /// Adds what changed since the last call to `changes`. Called after `merge`, at checkpoints.
    ///
    /// State that all workers hold alike is written by the one for which `changes.is_first()`.
    fn snapshot(&mut self, _changes: &mut Changes) {}
}

/// Items on their way to one worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Parcel<T> {
    /// The index of the worker.
    pub to: u32,
    /// What it gets.
    pub items: Vec<T>,
}

/// Sorts items into parcels, one for each worker that gets any.
pub struct Sorter<T> {
    parcels: Vec<Vec<T>>,
}

impl<T> Sorter<T> {
    /// A sorter for so many workers.
    #[must_use]
    pub fn new(peers: usize) -> Self {
        Sorter { parcels: (0..peers).map(|_| Vec::new()).collect() }
    }

    /// Makes room for so many items, evenly spread and a few more for each worker.
    pub fn reserve(&mut self, items: usize) {
        let each = items / self.parcels.len() * 9 / 8;
        self.parcels.iter_mut().for_each(|parcel| parcel.reserve(each));
    }

    /// Adds an item for the owner of a key that is a good hash.
    pub fn push(&mut self, hash: u64, item: T) {
        let peers = self.parcels.len();
        let owner = crate::types::hash::owner(crate::types::hash::key_group(hash), peers);
        self.parcels[owner].push(item);
    }

    /// Adds an item for a given worker.
    pub fn push_to(&mut self, worker: u32, item: T) {
        self.parcels[worker as usize].push(item);
    }

    /// Takes the parcels that are not empty.
    pub fn take(&mut self) -> impl Iterator<Item = Parcel<T>> {
        let full = self.parcels.iter_mut().enumerate().filter(|(_, items)| !items.is_empty());
        full.map(|(to, items)| Parcel { to: to as u32, items: std::mem::take(items) })
    }
}

/// An epoch of which a share has arrived.
struct Pending<S: Stage> {
    answers: Capability<u64>,
    summaries: Capability<u64>,
    local: Vec<S::Local>,
    remote: Vec<S::Remote>,
}

/// Puts more items to those that are there; the first are taken as they are.
fn gather<T>(items: &mut Vec<T>, mut more: Vec<T>) {
    match items.is_empty() {
        true => *items = more,
        false => items.append(&mut more),
    }
}

/// Runs a stage on this worker's part of two streams: `local` stays on its worker, the parcels
/// of `remote` go to the worker that they name.
///
/// Progress: for an epoch the operator holds the right to answer from the first local item
/// until it has merged, and the right to send summaries until it has closed. The feedback edge
/// adds one to the epoch, and nothing that comes over it delays what the operator may send.
pub fn stage<'scope, S: Stage>(
    local: StreamVec<'scope, u64, S::Local>,
    remote: StreamVec<'scope, u64, Parcel<S::Remote>>,
    name: &str,
    ledger: &Rc<Ledger>,
    mut logic: S,
) -> StreamVec<'scope, u64, S::Out> {
    let scope = local.scope();
    let (peers, index) = (scope.peers(), scope.index());
    let mut builder = OperatorBuilder::new(name.to_owned(), scope);
    ledger.enrol();
    let ledger = Rc::clone(ledger);

    let mut local = builder.new_input(local, Pipeline);
    let mut remote =
        builder.new_input(remote, Exchange::new(|parcel: &Parcel<S::Remote>| u64::from(parcel.to)));
    let (answers, answer_stream) = builder.new_output::<Vec<S::Out>>();
    let (shares, share_stream) = builder.new_output::<Vec<Parcel<S::Summary>>>();
    let mut answers = OutputBuilder::<_, CapacityContainerBuilder<Vec<S::Out>>>::from(answers);
    let mut shares =
        OutputBuilder::<_, CapacityContainerBuilder<Vec<Parcel<S::Summary>>>>::from(shares);

    let (handle, cycle) = scope.feedback::<Vec<Parcel<S::Summary>>>(1);
    share_stream.connect_loop(handle);
    let route = Exchange::new(|parcel: &Parcel<S::Summary>| u64::from(parcel.to));
    let unconnected = std::iter::empty::<(usize, Antichain<u64>)>();
    let mut cycle = builder.new_input_connection(cycle, route, unconnected.collect::<Vec<_>>());

    builder.build(move |capabilities| {
        drop(capabilities);
        let mut pending = BTreeMap::<u64, Pending<S>>::new();
        // Parcels may overtake the local item of their epoch.
        let mut early = BTreeMap::<u64, Vec<S::Remote>>::new();
        let mut learned = BTreeMap::<u64, Vec<S::Summary>>::new();
        let mut closed: Option<(u64, Capability<u64>)> = None;
        let mut out = Vec::new();

        move |frontiers| {
            local.for_each(|held, items| {
                let (Some(answers), Some(summaries)) = (held.retain_least(0), held.retain_least(1))
                else {
                    return;
                };
                let epoch = *answers.time();
                let (local, remote) = (Vec::new(), Vec::new());
                let entry = Pending { answers, summaries, local, remote };
                pending.entry(epoch).or_insert(entry).local.append(items);
            });
            remote.for_each(|held, parcels| {
                let epoch = *held.least().expect("a parcel has its epoch");
                let items = early.entry(epoch).or_default();
                parcels.drain(..).for_each(|parcel| gather(items, parcel.items));
            });
            cycle.for_each(|held, parcels| {
                let epoch = held.least().expect("a summary has its epoch") - 1;
                let summaries = learned.entry(epoch).or_default();
                parcels.drain(..).for_each(|parcel| gather(summaries, parcel.items));
            });

            loop {
                if let Some((epoch, right)) = closed.take() {
                    if S::SHARED && frontiers[2].less_equal(&(epoch + 1)) {
                        closed = Some((epoch, right));
                        return;
                    }
                    logic.merge(epoch, learned.remove(&epoch).unwrap_or_default(), &mut out);
                    answers.activate().session(&right).give_iterator(out.drain(..));
                    ledger.settle(epoch, index, |changes| logic.snapshot(changes));
                }
                let Some(first) = pending.first_entry() else { return };
                let epoch = *first.key();
                if frontiers[0].less_equal(&epoch) || frontiers[1].less_equal(&epoch) {
                    return;
                }
                let mut share = first.remove();
                share.remote = early.remove(&epoch).unwrap_or_default();
                let summary = logic.close(epoch, share.local, share.remote, &mut out);
                answers.activate().session(&share.answers).give_iterator(out.drain(..));
                if S::SHARED {
                    let mut output = shares.activate();
                    let mut session = output.session(&share.summaries);
                    for to in 1..peers as u32 {
                        session.give(Parcel { to, items: vec![summary.clone()] });
                    }
                    session.give(Parcel { to: 0, items: vec![summary] });
                }
                closed = Some((epoch, share.answers));
            }
        }
    });
    answer_stream
}
