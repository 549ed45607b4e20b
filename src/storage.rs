//! What the program remembers on disk beside the journal: state, derived events, alerts.
//!
//! One RocksDB in `DIR/store`. Its column families:
//!
//! | family | key → value | written |
//! |---|---|---|
//! | `state` | kind, key group, key → what an operator remembers | at checkpoints, one ingested SST file |
//! | `spill` | generation, key → state put aside between checkpoints | when memory is short |
//! | `events` | first sequence number → what was found in those events | each epoch |
//! | `alerts` | alert id → the alert as JSON | each epoch, before anybody is told |
//! | `told` | epoch, alert id → nothing | with `alerts` |
//!
//! **Checkpoints are atomic** because each is one file: the sorted changes of all workers and the
//! marker of the epoch, ingested as one SST. That is why all state shares a column family and
//! tells its kinds apart by the first byte of the key: files of several families could not be
//! ingested in one step. No write-ahead log is kept for state and derived events; the journal is
//! theirs. Derived events are flushed before the checkpoint that covers them, and an epoch that
//! runs again after a crash writes the same values under the same keys.

pub mod alerts;
pub mod checkpoint;
pub mod events;
pub mod reading;
pub mod spill;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rocksdb::{
    BlockBasedIndexType, Cache, ColumnFamilyDescriptor, DB, DBCompactionStyle, DBCompressionType,
    LruCacheOptions, Options, WriteBufferManager,
};

/// The version of everything in a state folder; another version is refused.
pub const VERSION: u32 = 1;

/// How often a full disk is tried, and how often it is told of.
const TRIED_EVERY: Duration = Duration::from_millis(250);
/// See [`TRIED_EVERY`].
pub(crate) const SAID_EVERY: Duration = Duration::from_secs(10);

const STATE: &str = "state";
const SPILL: &str = "spill";
const EVENTS: &str = "events";
const ALERTS: &str = "alerts";
const TOLD: &str = "told";
const FAMILIES: [&str; 5] = [STATE, SPILL, EVENTS, ALERTS, TOLD];

/// Why a state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has it open.
    #[error("state folder `{}` is in use by another process", .0.display())]
    InUse(PathBuf),
    /// It was written by another version of the program.
    #[error("state folder `{}` has version {found}, this program reads version {VERSION}", dir.display())]
    Version {
        /// The folder.
        dir: PathBuf,
        /// What its `VERSION` file says.
        found: String,
    },
    /// There is no state where some is wanted.
    #[error("no state in `{}`", .0.display())]
    Missing(PathBuf),
    /// The folder cannot be read or written.
    #[error("cannot use state folder `{}`", dir.display())]
    Io {
        /// The folder.
        dir: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// Bytes of it are not what was written. The cause names the file.
    #[error(
        "the store in `{0}` is damaged; `{0}/store` can be moved aside: what it holds is then worked \
         out again from the journal, as far back as that goes",
        dir.display()
    )]
    Damaged {
        /// The folder.
        dir: PathBuf,
        /// What RocksDB says.
        source: rocksdb::Error,
    },
    /// RocksDB found something wrong; its message names the file.
    #[error("the store in `{}` cannot be read or written", dir.display())]
    Store {
        /// The folder.
        dir: PathBuf,
        /// What RocksDB says.
        source: rocksdb::Error,
    },
}

/// What every part of a state folder shares.
pub(crate) struct Inner {
    pub(crate) db: DB,
    pub(crate) dir: PathBuf,
    shared: Shared,
    space: Space,
}

/// How long is waited for space on the disk.
#[derive(Default)]
struct Space {
    /// Until when; `None` is as long as it takes.
    until: Mutex<Option<Instant>>,
    /// Whether something could not be written until then.
    given_up: AtomicBool,
}

/// An open state folder.
#[derive(Clone)]
pub struct Storage {
    pub(crate) inner: Arc<Inner>,
}

/// How much of the files RocksDB holds in memory, all families together.
const CACHE_BYTES: usize = 32 << 20;
/// How much that is not in files yet it holds in memory, all families together. Beyond it the
/// largest buffer is written.
const BUFFERS_BYTES: usize = 48 << 20;

/// What all families of an open store share.
struct Shared {
    cache: Cache,
    buffers: WriteBufferManager,
}

impl Shared {
    fn new() -> Self {
        let mut cache = LruCacheOptions::default();
        cache.set_capacity(CACHE_BYTES);
        // A block larger than its shard is read from the file each time.
        cache.set_num_shard_bits(2);
        Shared {
            cache: Cache::new_lru_cache_opts(&cache),
            buffers: WriteBufferManager::new_write_buffer_manager(BUFFERS_BYTES, false),
        }
    }
}

fn options(family: &str, shared: &Shared) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_write_buffer_size(16 << 20);
    options.set_max_write_buffer_number(3);
    let mut table = rocksdb::BlockBasedOptions::default();
    table.set_bloom_filter(10.0, false);
    table.set_cache_index_and_filter_blocks(true);
    // Of a file with a million entities, only what is asked for is read and held.
    table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    table.set_partition_filters(true);
    table.set_block_cache(&shared.cache);
    options.set_block_based_table_factory(&table);
    if family == EVENTS {
        // Written once in order and read by range: merge runs, do not rewrite levels.
        options.set_compaction_style(DBCompactionStyle::Universal);
    }
    options
}

fn database_options(shared: &Shared) -> Options {
    let mut options = options("", shared);
    options.set_write_buffer_manager(&shared.buffers);
    options.set_max_background_jobs(2);
    options.set_keep_log_file_num(2);
    options.set_max_open_files(256);
    options.set_max_total_wal_size(32 << 20);
    options.set_log_level(rocksdb::LogLevel::Warn);
    options
}

fn families(shared: &Shared) -> impl Iterator<Item = ColumnFamilyDescriptor> {
    FAMILIES.iter().map(|name| ColumnFamilyDescriptor::new(*name, options(name, shared)))
}

impl Storage {
    /// Opens the state in `dir`, which is made if it is not there.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let io = |source| Error::Io { dir: dir.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(io)?;
        if !Self::check_version(dir)? {
            std::fs::write(dir.join("VERSION"), format!("{VERSION}\n")).map_err(io)?;
        }
        let shared = Shared::new();
        let (options, families) = (database_options(&shared), families(&shared));
        let db = DB::open_cf_descriptors(&options, dir.join("store"), families)
            .map_err(|error| Self::refused(dir, error))?;
        let (dir, space) = (dir.to_owned(), Space::default());
        let storage = Storage { inner: Arc::new(Inner { db, dir, shared, space }) };
        let dir = storage.dir();
        // What was put aside belongs to the run that ended; the checkpoint does not know it.
        storage.clear_spill()?;
        std::fs::remove_dir_all(dir.join("ingest")).ok();
        std::fs::create_dir_all(dir.join("ingest")).map_err(io)?;
        Ok(storage)
    }

    /// Whether `dir` says of which version it is, which is then this one.
    ///
    /// # Errors
    /// If it says another, or cannot be read.
    pub fn check_version(dir: &Path) -> Result<bool, Error> {
        let found = match std::fs::read_to_string(dir.join("VERSION")) {
            Ok(found) => found.trim().to_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(source) => return Err(Error::Io { dir: dir.to_owned(), source }),
        };
        match found == VERSION.to_string() {
            true => Ok(true),
            false => Err(Error::Version { dir: dir.to_owned(), found }),
        }
    }

    /// Opens the state in `dir` for reading, while another process may be writing it. What is
    /// seen is what was written by now, state as of the last checkpoint.
    pub fn open_for_reading(dir: &Path) -> Result<Self, Error> {
        let found = match std::fs::read_to_string(dir.join("VERSION")) {
            Ok(found) => found.trim().to_owned(),
            Err(_) => return Err(Error::Missing(dir.to_owned())),
        };
        if found != VERSION.to_string() {
            return Err(Error::Version { dir: dir.to_owned(), found });
        }
        let shared = Shared::new();
        let names = families(&shared);
        let mut options = database_options(&shared);
        // All files are held open: whoever writes may merge and delete one at any time.
        options.set_max_open_files(-1);
        let db = DB::open_cf_descriptors_read_only(&options, dir.join("store"), names, false)
            .map_err(|error| Self::refused(dir, error))?;
        let (dir, space) = (dir.to_owned(), Space::default());
        Ok(Storage { inner: Arc::new(Inner { db, dir, shared, space }) })
    }

    fn refused(dir: &Path, error: rocksdb::Error) -> Error {
        let dir = dir.to_owned();
        match error.kind() {
            rocksdb::ErrorKind::IOError if is_locked(error.as_ref()) => Error::InUse(dir),
            rocksdb::ErrorKind::Corruption => Error::Damaged { dir, source: error },
            _ => Error::Store { dir, source: error },
        }
    }

    /// Does something again and again while the disk is full: the store goes on by itself once there
    /// is space. It is said at once, and every [`SAID_EVERY`] as long as it lasts.
    ///
    /// # Errors
    /// Those that no space would mend; and that of a full disk once nobody waits any more, from when
    /// on [`has_given_up`](Self::has_given_up) says so.
    pub(crate) fn patiently<T>(
        &self,
        mut work: impl FnMut() -> Result<T, rocksdb::Error>,
    ) -> Result<T, Error> {
        let space = &self.inner.space;
        let mut said: Option<Instant> = None;
        loop {
            let error = match work() {
                Err(error) if is_full(&error) => error,
                done => {
                    if said.is_some() {
                        let folder = self.inner.dir.display();
                        tracing::info!(%folder, "the disk takes the state again");
                    }
                    return done.map_err(|error| self.error(error));
                }
            };
            let until = *space.until.lock().unwrap_or_else(PoisonError::into_inner);
            if until.is_some_and(|until| Instant::now() >= until) {
                space.given_up.store(true, Ordering::Release);
                return Err(self.error(error));
            }
            if said.is_none_or(|said| said.elapsed() >= SAID_EVERY) {
                said = Some(Instant::now());
                tracing::error!(
                    folder = %self.inner.dir.display(),
                    %error,
                    "the disk is full: nothing more is analysed until it has space"
                );
            }
            std::thread::sleep(TRIED_EVERY);
        }
    }

    /// Waits for space on a full disk no longer than this.
    pub fn wait_for_space_until(&self, until: Instant) {
        *self.inner.space.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    /// Whether something could not be written for want of space, and was left. What is derived from
    /// here on is not to be told: the journal has the records, behind the last checkpoint.
    #[must_use]
    pub fn has_given_up(&self) -> bool {
        self.inner.space.given_up.load(Ordering::Acquire)
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    pub(crate) fn error(&self, source: rocksdb::Error) -> Error {
        let dir = self.inner.dir.clone();
        match source.kind() {
            rocksdb::ErrorKind::Corruption => Error::Damaged { dir, source },
            _ => Error::Store { dir, source },
        }
    }

    /// How many bytes the store takes on disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let files = std::fs::read_dir(self.inner.dir.join("store")).into_iter().flatten();
        files.flatten().filter_map(|file| file.metadata().ok()).map(|data| data.len()).sum()
    }
}

/// Whether what the store says is that its lock is held, by another process or by this one.
fn is_locked(says: &str) -> bool {
    says.contains("While lock file: ") || says.contains("lock hold by current process")
}

/// Whether what the store says is that the disk, or what one may use of it, is full.
fn is_full(error: &rocksdb::Error) -> bool {
    let says = error.as_ref();
    error.kind() == rocksdb::ErrorKind::IOError
        && ["No space left on device", "Disk quota exceeded"].iter().any(|full| says.contains(full))
}

impl Inner {
    pub(crate) fn family(&self, name: &str) -> &rocksdb::ColumnFamily {
        self.db.cf_handle(name).expect("all families were opened")
    }
}
