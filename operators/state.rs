//! What operators remember between runs: where it goes, and when.
//!
//! State is kept by key, and keys by key group; never by worker. An operator holds hot state in
//! memory and hands over what changed at checkpoints; colder state may be put aside at any time
//! ([`Store::spill`]) and is found again by [`Store::get`]. None of that may change an answer.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// A key of state: its kind, its key group, its own bytes.
pub type StateKey = Vec<u8>;

/// Groups of correlations, and matches that wait, by the level of their correlation.
pub const CORRELATIONS: u8 = b'c';
/// Entities, by their id.
pub const ENTITIES: u8 = b'e';
/// Incidents that alerts are counted into, by their dedup key.
pub const INCIDENTS: u8 = b'i';
/// Events that an alert may be told of later, by their number.
pub const KEPT: u8 = b'k';
/// Models that all workers share, by name.
pub const MODELS: u8 = b'm';
/// Groups of scores that wait for the watermark, by key group.
pub const TIMERS: u8 = b't';

/// The key of one piece of state.
#[must_use]
pub fn state_key(kind: u8, group: u16, key: &[u8]) -> StateKey {
    let mut bytes = Vec::with_capacity(3 + key.len());
    bytes.push(kind);
    bytes.extend_from_slice(&group.to_be_bytes());
    bytes.extend_from_slice(key);
    bytes
}

/// The key of a shared model.
#[must_use]
pub fn model_key(name: &str) -> StateKey {
    state_key(MODELS, 0, name.as_bytes())
}

/// Where state is that is not in memory: the last checkpoint, and what was put aside since.
pub trait Store {
    /// The newest value of a key, if it has one.
    fn get(&self, key: &[u8]) -> Option<Vec<u8>>;

    /// All keys with a prefix, as of the last checkpoint, in order, and their values.
    fn scan(&self, prefix: &[u8]) -> Vec<(StateKey, Vec<u8>)>;

    /// Puts changed values aside until they are wanted or the next checkpoint takes them along.
    fn spill(&self, values: Vec<(StateKey, Vec<u8>)>);

    /// Says that what is spilled from now on belongs to the time after the checkpoint for which
    /// changes have just been handed over.
    fn turn(&self);

    /// Says how many values are in memory that no checkpoint has. Where that becomes too many, a
    /// checkpoint is taken sooner.
    fn unsaved(&self, count: usize);

    /// Whether changes that were handed over may not be found by [`get`](Self::get) yet, because
    /// their checkpoint is still being written.
    fn is_writing(&self) -> bool;
}

/// A store in memory, for tests and for runs that keep nothing.
#[derive(Debug, Default)]
pub struct MemoryStore {
    values: RefCell<BTreeMap<StateKey, Vec<u8>>>,
}

impl MemoryStore {
    /// A store that holds `changes` already.
    #[must_use]
    pub fn of(changes: &Changes) -> Self {
        let set = changes.iter().filter_map(|(key, value)| Some((key.to_vec(), value?.to_vec())));
        MemoryStore { values: RefCell::new(set.collect()) }
    }
}

impl From<BTreeMap<StateKey, Vec<u8>>> for MemoryStore {
    fn from(values: BTreeMap<StateKey, Vec<u8>>) -> Self {
        MemoryStore { values: RefCell::new(values) }
    }
}

impl Store for MemoryStore {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.values.borrow().get(key).cloned()
    }

    fn scan(&self, prefix: &[u8]) -> Vec<(StateKey, Vec<u8>)> {
        let values = self.values.borrow();
        let from = values.range(prefix.to_vec()..);
        let under = from.take_while(|(key, _)| key.starts_with(prefix));
        under.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    fn spill(&self, values: Vec<(StateKey, Vec<u8>)>) {
        self.values.borrow_mut().extend(values);
    }

    fn turn(&self) {}

    fn unsaved(&self, _: usize) {}

    fn is_writing(&self) -> bool {
        false
    }
}

/// What changed on one worker since the last checkpoint.
///
/// Keys and values lie one behind another in a few large pieces: there may be hundreds of
/// thousands, and each in a place of its own would take as much again.
#[derive(Debug, Default)]
pub struct Changes {
    worker: usize,
    models_only: bool,
    pieces: Vec<Vec<u8>>,
    places: Vec<Place>,
}

/// How long a piece is, unless one key and value are longer.
const PIECE_BYTES: usize = 1 << 20;

/// Where a key is, with its value behind it.
#[derive(Clone, Copy, Debug)]
struct Place {
    piece: u32,
    at: u32,
    key: u32,
    /// `None` forgets the key.
    value: Option<u32>,
}

impl Changes {
    /// No changes yet, on that worker.
    #[must_use]
    pub fn on(worker: usize) -> Self {
        Changes { worker, ..Changes::default() }
    }

    /// Whether only the models that all workers share are wanted: of a run that keeps no state,
    /// at its end. Nothing is to be marked as handed over then.
    #[must_use]
    pub fn models_only(&self) -> bool {
        self.models_only
    }

    /// Whether this worker writes the state that all workers hold alike.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.worker == 0
    }

    /// Sets a key.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.push(key, Some(value));
    }

    /// Forgets a key.
    pub fn delete(&mut self, key: &[u8]) {
        self.push(key, None);
    }

    fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        let bytes = key.len() + value.map_or(0, <[u8]>::len);
        if self.pieces.last().is_none_or(|piece| piece.len() + bytes > piece.capacity()) {
            self.pieces.push(Vec::with_capacity(bytes.max(PIECE_BYTES)));
        }
        let number = self.pieces.len() - 1;
        let piece = &mut self.pieces[number];
        let at = piece.len();
        piece.extend_from_slice(key);
        piece.extend_from_slice(value.unwrap_or_default());
        let short = |length: usize| u32::try_from(length).expect("state is far below 4 GiB a key");
        self.places.push(Place {
            piece: short(number),
            at: short(at),
            key: short(key.len()),
            value: value.map(|value| short(value.len())),
        });
    }

    /// How many keys are set or forgotten.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Keys and their new values, in the order in which they were handed over; `None` forgets
    /// the key.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.places.iter().map(|place| {
            let piece = &self.pieces[place.piece as usize][place.at as usize..];
            let (key, behind) = piece.split_at(place.key as usize);
            (key, place.value.map(|length| &behind[..length as usize]))
        })
    }
}

/// One worker's account of checkpoints: at which epochs they are, and which stages have handed
/// over what changed.
#[derive(Debug, Default)]
pub struct Ledger {
    stages: Cell<usize>,
    /// The epochs, and whether only models are wanted.
    due: RefCell<BTreeMap<u64, bool>>,
    open: RefCell<BTreeMap<u64, (usize, Changes)>>,
    done: RefCell<Vec<(u64, Changes)>>,
}

impl Ledger {
    /// Counts a stage; each enrols once, when the graph is built.
    pub fn enrol(&self) {
        self.stages.set(self.stages.get() + 1);
    }

    /// Asks for a checkpoint at an epoch. All workers must be asked for the same ones, each
    /// before it is fed that epoch.
    pub fn ask(&self, epoch: u64, models_only: bool) {
        self.due.borrow_mut().insert(epoch, models_only);
    }

    /// A stage is done with an epoch; if there is a checkpoint at it, takes what has changed.
    pub(crate) fn settle(&self, epoch: u64, worker: usize, snapshot: impl FnOnce(&mut Changes)) {
        let Some(models_only) = self.due.borrow().get(&epoch).copied() else { return };
        let mut open = self.open.borrow_mut();
        let changes = Changes { models_only, ..Changes::on(worker) };
        let (settled, changes) = open.entry(epoch).or_insert((0, changes));
        snapshot(changes);
        *settled += 1;
        if *settled == self.stages.get() {
            let (_, changes) = open.remove(&epoch).expect("it was just there");
            self.due.borrow_mut().remove(&epoch);
            self.done.borrow_mut().push((epoch, changes));
        }
    }

    /// The checkpoints for which every stage of this worker has handed over, oldest first.
    pub fn take(&self) -> Vec<(u64, Changes)> {
        std::mem::take(&mut self.done.borrow_mut())
    }
}
