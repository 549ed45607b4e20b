//! State of operators that is not in memory, as one worker sees it.
//!
//! Between two checkpoints an operator may put changed state aside. Each such span is a
//! *generation*; what is put aside in it goes into the checkpoint that ends it. A worker that has
//! handed over its changes for a checkpoint is in the next generation at once, while the one
//! before may still wait for other workers.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use operators::state::{StateKey, Store};
use rocksdb::{IteratorMode, WriteBatch, WriteOptions};

use super::{Error, SPILL, STATE, Storage};

/// What all workers of a process know about generations.
#[derive(Debug, Default)]
pub struct Generations {
    /// Generations below this are in a checkpoint.
    pub(crate) committed: AtomicU32,
    /// How many values were put aside since the start.
    pub spilled: AtomicU64,
    /// How many values in memory no checkpoint has.
    pub unsaved: AtomicUsize,
}

/// One worker's way to state on disk.
pub struct WorkerStore {
    backing: Arc<Backing>,
    generation: Cell<u32>,
    /// This worker's share of what is unsaved.
    unsaved: Cell<usize>,
}

/// Where state is on disk; a run without a state folder makes one only when memory is short.
pub struct Backing {
    kept: Option<Storage>,
    scratch: OnceLock<(Storage, tempfile::TempDir)>,
    scratch_parent: PathBuf,
    /// What all workers know about generations.
    pub generations: Generations,
}

impl Backing {
    /// State in a folder.
    #[must_use]
    pub fn kept(storage: Storage) -> Arc<Self> {
        Arc::new(Backing {
            kept: Some(storage),
            scratch: OnceLock::new(),
            scratch_parent: PathBuf::new(),
            generations: Generations::default(),
        })
    }

    /// State that is gone with the process, in memory as long as there is enough of it.
    #[must_use]
    pub fn scratch(parent: PathBuf) -> Arc<Self> {
        Arc::new(Backing {
            kept: None,
            scratch: OnceLock::new(),
            scratch_parent: parent,
            generations: Generations::default(),
        })
    }

    fn storage(&self) -> Option<&Storage> {
        self.kept.as_ref().or_else(|| self.scratch.get().map(|(storage, _)| storage))
    }

    /// Where to put state aside. Without a place to put it there is nothing to go on with.
    fn storage_or_scratch(&self) -> &Storage {
        match &self.kept {
            Some(storage) => storage,
            None => {
                let (storage, _) = self.scratch.get_or_init(|| {
                    let dir = tempfile::Builder::new()
                        .prefix("seerflow-dataflow-")
                        .tempdir_in(&self.scratch_parent)
                        .expect("a folder for state that does not fit into memory");
                    let storage = Storage::open(dir.path()).expect("an empty folder opens");
                    (storage, dir)
                });
                storage
            }
        }
    }

    /// The way to it for one worker.
    #[must_use]
    pub fn worker(self: &Arc<Self>) -> WorkerStore {
        WorkerStore { backing: Arc::clone(self), generation: Cell::new(0), unsaved: Cell::new(0) }
    }
}

fn spill_key(generation: u32, key: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 + key.len());
    bytes.extend_from_slice(&generation.to_be_bytes());
    bytes.extend_from_slice(key);
    bytes
}

/// State is read on a worker's thread in the middle of its work; if the disk fails there, a
/// wrong answer is the only alternative to stopping.
fn must<T>(result: Result<T, rocksdb::Error>) -> T {
    result.unwrap_or_else(|error| panic!("state cannot be read or put aside: {error}"))
}

impl Store for WorkerStore {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let storage = self.backing.storage()?;
        let inner = &storage.inner;
        let generations = &self.backing.generations;
        if generations.spilled.load(Ordering::Relaxed) > 0 {
            let newest = self.generation.get();
            let oldest = generations.committed.load(Ordering::Acquire).min(newest);
            for generation in (oldest..=newest).rev() {
                let found = must(inner.db.get_cf(inner.family(SPILL), spill_key(generation, key)));
                if found.is_some() {
                    return found;
                }
            }
        }
        must(inner.db.get_cf(inner.family(STATE), key))
    }

    fn scan(&self, prefix: &[u8]) -> Vec<(StateKey, Vec<u8>)> {
        self.backing.storage().map_or(Vec::new(), |storage| storage.scan_state(prefix))
    }

    fn spill(&self, values: Vec<(StateKey, Vec<u8>)>) {
        let storage = self.backing.storage_or_scratch();
        let inner = &storage.inner;
        let family = inner.family(SPILL);
        let count = values.len() as u64;
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        let put = storage.patiently(|| {
            let mut batch = WriteBatch::default();
            for (key, value) in &values {
                batch.put_cf(family, spill_key(self.generation.get(), key), value);
            }
            inner.db.write_opt(batch, &options)
        });
        // What was given up is missed by nobody: nothing more is told.
        if let (Err(error), false) = (put, storage.has_given_up()) {
            panic!("state cannot be put aside: {}", crate::error_chain(&error));
        }
        self.backing.generations.spilled.fetch_add(count, Ordering::Relaxed);
    }

    fn turn(&self) {
        self.generation.set(self.generation.get() + 1);
    }

    fn unsaved(&self, count: usize) {
        let all = &self.backing.generations.unsaved;
        all.fetch_add(count, Ordering::Relaxed);
        all.fetch_sub(self.unsaved.replace(count), Ordering::Relaxed);
    }

    fn is_writing(&self) -> bool {
        let committed = self.backing.generations.committed.load(Ordering::Acquire);
        committed < self.generation.get()
    }
}

impl Storage {
    /// All state under a prefix, as of the last checkpoint.
    #[must_use]
    pub fn scan_state(&self, prefix: &[u8]) -> Vec<(StateKey, Vec<u8>)> {
        let inner = &self.inner;
        let from = IteratorMode::From(prefix, rocksdb::Direction::Forward);
        let entries = inner.db.iterator_cf(inner.family(STATE), from).map(must);
        let under = entries.take_while(|(key, _)| key.starts_with(prefix));
        under.map(|(key, value)| (key.into_vec(), value.into_vec())).collect()
    }

    /// What was put aside in a generation, in order of keys.
    pub(crate) fn spilled(
        &self,
        generation: u32,
    ) -> impl Iterator<Item = Result<(StateKey, Vec<u8>), rocksdb::Error>> {
        let prefix = generation.to_be_bytes();
        let from = IteratorMode::From(&prefix, rocksdb::Direction::Forward);
        let entries = self.inner.db.iterator_cf(self.inner.family(SPILL), from);
        entries
            .take_while(move |entry| match entry {
                Ok((key, _)) => key.starts_with(&prefix),
                Err(_) => true,
            })
            .map(|entry| entry.map(|(key, value)| (key[4..].to_vec(), value.into_vec())))
    }

    /// Drops what was put aside in a generation.
    pub(crate) fn drop_spilled(&self, generation: u32) -> Result<(), Error> {
        let (from, to) = (generation.to_be_bytes(), (generation + 1).to_be_bytes());
        let mut batch = WriteBatch::default();
        batch.delete_range_cf(self.inner.family(SPILL), from, to);
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        self.inner.db.write_opt(batch, &options).map_err(|error| self.error(error))
    }

    pub(crate) fn clear_spill(&self) -> Result<(), Error> {
        let mut batch = WriteBatch::default();
        batch.delete_range_cf(self.inner.family(SPILL), [0; 8], [u8::MAX; 8]);
        self.inner.db.write(batch).map_err(|error| self.error(error))
    }
}

#[cfg(test)]
impl Backing {
    pub(crate) fn storage_for_tests(&self) -> Storage {
        self.storage().expect("kept").clone()
    }
}
