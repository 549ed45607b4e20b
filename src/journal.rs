//! What came in, in one order, cut into epochs, durable.
//!
//! The output of the program is a function of the journal and of nothing else. A record gets its
//! sequence number here, and its epoch; what else the outcome depends on (a tick when sources are
//! silent, new rules, a verdict) is a [`Control`] record among them. The journal is the
//! write-ahead log and the event store in one.
//!
//! - [`Journal::open`] locks the folder, checks what is there, and goes on where it ended.
//! - [`Writer`] is the thread that takes [`Intake`]s, writes them in groups and hands them on.
//! - [`Reader`] reads from an epoch on, as the writer handed it on the first time.
//! - [`Lookup`] finds records by their sequence numbers; [`info`] says what there is.
//! - [`Retention`] deletes segments that nobody needs.
//!
//! # On disk
//!
//! `DIR/journal/` holds `lock` and segments named by the sequence number of their first record,
//! 20 decimal digits and `.seg`. All numbers are little-endian; *var* is an unsigned LEB128
//! number, *zigzag* a signed one, *text* is a *var* length and UTF-8.
//!
//! A segment begins with a header, written under another name and renamed, so it is never torn:
//!
//! ```text
//! "SEERJRNL" | version u32 = 1 | header length u32 | crc u32 | salt u32
//! | first seq u64 | open epoch u64 | its first seq u64 | its control records u64
//! | its latest receipt time i64 (MIN: none) | that of the epoch before i64
//! | sources: var n, n × (receiver text, name text)
//! | positions: var n, n × position, oldest first
//! position = path text | device u64 | inode u64 | fingerprint u64 | fingerprint length u32
//!          | offset u64 | complete u8
//! ```
//!
//! The header's crc is CRC-32C of the bytes before it and after it. Because the header says all
//! that was known there, older segments may be deleted.
//!
//! Entries follow it without gaps:
//!
//! ```text
//! len u32 | crc u32 | kind u8 | epoch u64 | head crc u32 | payload
//!                                                  len = 13 + bytes of the payload
//! 1 Block     first seq u64 | n u32 | receipt time i64
//!             | positions: var n, n × position
//!             | runs: var n, n × (records var, source var, zigzag ns from the receipt time)
//!             | flagged: var n, n × (var records from the last one flagged, flags u16)
//!             | n × (bytes of the record var) | bytes in all var
//!             | encoding u8: 0 plain, 1 one LZ4 block | the bytes
//! 2 Source    number u32, the next | receiver text | name text
//! 3 EpochEnd  next seq u64 | latest receipt time i64
//! 4 Control   code u16 | fields (see [`Control`])
//! 5 Clean     next seq u64                              the writer stopped in good order
//! 6 Gap       next seq u64 | open epoch u64             what lies between was lost to damage
//! ```
//!
//! The crc is CRC-32C of `len` and everything after the crc; the head crc is that of `len`, kind and
//! epoch, so that entries can be passed over safely without reading them. Both begin with the
//! segment's random salt: so an entry is never mistaken for one of another segment, and bytes
//! inside a record cannot be made to pass for an entry, or for the head of one. If bit 7 of the kind is set the next entry belongs to the same
//! *group*. A group is written at once and counts only as a whole, so an intake is in the journal
//! with all its records and its file position, or not at all.
//!
//! # What is promised
//!
//! - A receipt is sent, and [`Durable`] moves, only after the bytes are on the disk as far as
//!   [`Fsync`] asks for it. What is handed on may be ahead of that; nothing that is derived
//!   from it may leave the process before [`Durable::epoch`] has reached its epoch.
//! - A crash leaves at most one unfinished group at the end, which is cut and reported. Any other
//!   bad byte is [`Damage`]: it is named, nothing is cut unless a repair is asked for, and a
//!   repair moves aside what it cuts and never lets a lost sequence number or epoch be used again.
//! - Where a file system brings a file's later pages to the disk before earlier ones, a power
//!   failure may leave a hole among bytes that were never acknowledged. That is named as damage
//!   too: nothing in the file tells it from bytes that were right once.
//! - While the disk refuses (full, faulty) nothing is taken and nothing acknowledged; what was
//!   half written is cut off, and written again until it works.

mod block;
mod control;
pub mod cutter;
mod disk;
mod error;
mod format;
mod lookup;
mod mend;
mod reader;
mod recover;
mod retention;
mod segment;
mod state;
mod sync;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use operators::types::{Block, EventTime, Flags, Source};
use tokio::sync::{oneshot, watch};

pub use self::block::{BLOCK_BYTES_MAX, RECORD_BYTES_MAX};
pub use self::control::{CONTROL_BYTES_MAX, Control};
pub use self::cutter::{EpochSize, FIRST_EPOCH};
pub use self::error::{Damage, JournalError, TornTail};
pub use self::format::VERSION;
pub use self::lookup::{Lookup, Stored, read_records};
pub use self::reader::Reader;
pub use self::recover::{Recovered, Repaired, examine, repair};
pub use self::retention::{Info, Keep, Retention, Trimmed, info};
pub use self::writer::{
    ControlIntake, Health, Pace, Stopped, WriteError, Writer, WriterOptions, wall_clock,
};
use crate::intake::Intake;
use block::Builder;
use cutter::Cutter;
use disk::{Disk, Output};
use format::{Group, Kind, put_source};
use retention::Segments;
use state::{Number, State};
use sync::{Syncer, Written};

/// The folder within the state folder.
const FOLDER: &str = "journal";
/// A segment is closed when it has grown to so many bytes: [`Options::segment_bytes`].
pub const SEGMENT_BYTES: u64 = 64 << 20;
/// How many records a block holds: [`Options::block_records`].
pub const BLOCK_RECORDS: usize = 1_024;
/// How many sources are told apart: [`Options::sources_max`].
pub const SOURCES_MAX: usize = 1_024;
/// How many file positions are kept: [`Options::positions_max`].
pub const POSITIONS_MAX: usize = 65_536;
/// How long writes may gather before they are synced: [`Fsync::Interval`].
pub const FSYNC_INTERVAL: Duration = Duration::from_millis(20);
/// How many bytes are gathered before they are written; an intake is never split.
pub const GROUP_BYTES: usize = 1 << 20;

/// When what was written is synced to the disk, and so counts as durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// As soon as the disk has finished the sync before.
    Always,
    /// So long after the first write that is not synced yet.
    Interval(Duration),
    /// Never: a crash of the program loses nothing, one of the machine may.
    Never,
}

/// How a journal is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// A segment that has grown to so many bytes is closed. It may be longer by one group.
    pub segment_bytes: u64,
    /// When epochs are full. An epoch that is open when a journal is opened is full as these say;
    /// those before it stay as they were cut.
    pub epochs: EpochSize,
    /// How many records a block holds, at most; blocks are dealt to workers.
    pub block_records: usize,
    /// How many sources are told apart. Records of further ones are of their receiver's source
    /// `other`.
    pub sources_max: usize,
    /// How many file positions are kept. Beyond it, the one not renewed longest is forgotten, and
    /// its file read again should it still be there.
    pub positions_max: usize,
    /// Whether records are compressed where that saves an eighth or more.
    pub compress: bool,
    /// When writes are synced.
    pub fsync: Fsync,
    /// On opening, entries are checked in the segments that hold epochs from this one on, and in
    /// the last; others are checked when they are read. Give the epoch after the checkpoint.
    pub check_from: u64,
    /// Whether to move damage aside and go on, rather than refuse.
    pub repair: bool,
}

impl Options {
    /// What suits most.
    #[must_use]
    pub fn usual() -> Self {
        Options {
            segment_bytes: SEGMENT_BYTES,
            epochs: EpochSize::usual(),
            block_records: BLOCK_RECORDS,
            sources_max: SOURCES_MAX,
            positions_max: POSITIONS_MAX,
            compress: false,
            fsync: Fsync::Interval(FSYNC_INTERVAL),
            check_from: FIRST_EPOCH,
            repair: false,
        }
    }
}

/// What the journal hands on, in its order.
#[derive(Clone, Debug)]
pub enum Fed {
    /// Records of the open epoch.
    Block(Arc<Block>),
    /// A control record of the open epoch.
    Control {
        /// The open epoch.
        epoch: u64,
        /// What it is.
        control: Control,
    },
    /// The open epoch has ended. Epochs follow each other, except where damage was repaired.
    EpochEnd {
        /// The epoch that has ended.
        epoch: u64,
        /// The sequence number of the next record.
        next_seq: u64,
        /// The latest moment at which anything of the epoch was received, ticks included; if
        /// nothing says, that of the epoch before. `MIN` if there has been none.
        received_at_max: EventTime,
    },
}

/// How far the journal is safe from a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Durable {
    /// The last epoch whose end is durable; 0 if there is none.
    pub epoch: u64,
    /// All records with lower sequence numbers are durable.
    pub next_seq: u64,
}

/// What the journal has done since it was opened.
#[derive(Debug, Default)]
pub struct Counters {
    /// Records taken.
    pub records: AtomicU64,
    /// Their bytes.
    pub bytes: AtomicU64,
    /// Groups written.
    pub groups: AtomicU64,
    /// Bytes written.
    pub written: AtomicU64,
    /// Syncs that worked.
    pub syncs: AtomicU64,
    /// Writes, and openings of segments, that failed and were tried again.
    pub write_failures: AtomicU64,
    /// Syncs that failed and were tried again.
    pub sync_failures: AtomicU64,
    /// Records of sources beyond [`Options::sources_max`].
    pub records_of_others: AtomicU64,
    /// Records cut off at [`RECORD_BYTES_MAX`].
    pub truncated: AtomicU64,
    /// File positions forgotten: see [`Options::positions_max`].
    pub positions_forgotten: AtomicU64,
}

/// A journal that is being written. One process has it at a time.
///
/// What it is given is gathered in a group; [`commit`](Self::commit) writes the group.
pub struct Journal {
    options: Options,
    state: State,
    builder: Builder,
    /// The sequence number of the first record in `builder`.
    builder_seq: u64,
    group: Group,
    fed: Vec<Fed>,
    receipts: Vec<oneshot::Sender<()>>,
    place: Option<Place>,
    durable: watch::Sender<Durable>,
    counters: Arc<Counters>,
    /// The epoch that was open after the last commit.
    committed_epoch: u64,
}

/// Where a journal lies on the disk.
struct Place {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    file: Arc<dyn Output>,
    /// How long the last segment is, whole groups only.
    len: u64,
    /// At what length the next segment is begun.
    rotate_at: u64,
    /// Whether the last segment's name may not be durable yet.
    unnamed: bool,
    segments: Arc<Mutex<Segments>>,
    /// None if nothing is to be synced.
    syncer: Option<Syncer>,
    /// Holds the folder until it is dropped.
    _lock: File,
}

impl Journal {
    /// Opens the journal in the folder `dir`, or begins one.
    ///
    /// # Errors
    ///
    /// If another process has it, if it is of another version, if it is damaged and
    /// [`Options::repair`] is off, or if the system refuses.
    pub fn open(dir: &Path, options: Options) -> Result<(Journal, Recovered), JournalError> {
        recover::open(Arc::new(disk::OsDisk), dir, options)
    }

    /// A journal that is not written anywhere: the same order and the same epochs.
    #[must_use]
    pub fn volatile(options: Options) -> Journal {
        let state = State::new(options.positions_max);
        Journal::new(options, state, None, watch::Sender::default(), Arc::default())
    }

    fn new(
        options: Options,
        mut state: State,
        place: Option<Place>,
        durable: watch::Sender<Durable>,
        counters: Arc<Counters>,
    ) -> Journal {
        state.cutter.set_size(options.epochs);
        Journal {
            builder: Builder::default(),
            builder_seq: state.cutter.next_seq(),
            group: Group::default(),
            fed: Vec::new(),
            receipts: Vec::new(),
            committed_epoch: state.cutter.epoch(),
            options,
            state,
            place,
            durable,
            counters,
        }
    }

    /// Follows what is durable.
    #[must_use]
    pub fn durable(&self) -> watch::Receiver<Durable> {
        self.durable.subscribe()
    }

    /// What it has done.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Deletes old segments; usable from any thread. None if the journal is volatile.
    #[must_use]
    pub fn retention(&self) -> Option<Retention> {
        let place = self.place.as_ref()?;
        Some(Retention::new(Arc::clone(&place.disk), &place.dir, Arc::clone(&place.segments)))
    }

    /// The open epoch, and whether anything is in it.
    #[must_use]
    pub fn open_epoch(&self) -> (u64, bool) {
        (self.state.cutter.epoch(), !self.state.cutter.is_empty())
    }

    /// The epoch that was open after the last commit.
    fn committed_epoch(&self) -> u64 {
        self.committed_epoch
    }

    /// How many bytes wait for the next commit.
    #[must_use]
    pub fn gathered(&self) -> usize {
        self.group.bytes.len() + self.builder.bytes()
    }

    /// How many records were taken and are not durable yet.
    #[must_use]
    pub fn unsafe_records(&self) -> u64 {
        self.state.cutter.next_seq() - self.durable.borrow().next_seq
    }

    /// Where it lies on the disk. None if it is volatile.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        self.place.as_ref().map(|place| place.dir.as_path())
    }

    /// Takes an intake into the group: all of it, in as many blocks and epochs as it needs.
    ///
    /// # Panics
    ///
    /// If its records do not end in order within its bytes, which [`Intake::push`] sees to.
    pub fn take(&mut self, intake: Intake) {
        let Intake { source, received_at, bytes, ends, mut position, receipt } = intake;
        assert!(
            ends.windows(2).all(|pair| pair[0].0 <= pair[1].0)
                && ends.last().is_none_or(|(end, _)| *end as usize <= bytes.len()),
            "an intake says where its records end: in order, and within its bytes"
        );
        self.receipts.extend(receipt);
        if !ends.is_empty() {
            let number = self.number(&source, ends.len());
            self.take_records((number, received_at), &bytes, &ends, &mut position);
        }
        if let Some(position) = position {
            self.note(position);
        }
    }

    fn take_records(
        &mut self,
        from: (u32, EventTime),
        bytes: &[u8],
        ends: &[(u32, Flags)],
        position: &mut Option<crate::intake::Position>,
    ) {
        let mut taken = 0;
        let mut start = 0;
        while taken < ends.len() {
            if self.state.cutter.room() == 0 {
                self.close_epoch();
            }
            let room = self.options.block_records.max(1) - self.builder.len();
            let room = room.min(usize::try_from(self.state.cutter.room()).unwrap_or(room));
            let next = fitting(&ends[taken..], start, room, self.builder.bytes());
            if next == 0 {
                self.seal();
                continue;
            }
            let chunk = &ends[taken..taken + next];
            let end = chunk[next - 1].0;
            match (end - start) as usize > RECORD_BYTES_MAX {
                true => self.push_truncated(from, &bytes[start as usize..], chunk[0].1),
                false => {
                    self.builder.push(from, &bytes[start as usize..end as usize], start, chunk);
                }
            }
            self.state.cutter.take(next as u64);
            self.state.receive(from.1);
            (taken, start) = (taken + next, end);
            if taken == ends.len()
                && let Some(position) = position.take()
            {
                self.note(position);
            }
            if self.state.cutter.room() == 0 {
                self.close_epoch();
            } else if self.builder.len() >= self.options.block_records {
                self.seal();
            }
        }
        self.counters.records.fetch_add(ends.len() as u64, Relaxed);
        self.counters.bytes.fetch_add(bytes.len() as u64, Relaxed);
    }

    fn push_truncated(&mut self, from: (u32, EventTime), bytes: &[u8], mut flags: Flags) {
        flags.set(Flags::TRUNCATED);
        let bytes = &bytes[..RECORD_BYTES_MAX];
        self.builder.push(from, bytes, 0, &[(RECORD_BYTES_MAX as u32, flags)]);
        self.counters.truncated.fetch_add(1, Relaxed);
    }

    fn note(&mut self, position: crate::intake::Position) {
        self.builder.position(position.clone());
        let forgotten = self.state.positions.forgotten;
        self.state.positions.note(position);
        let forgotten = self.state.positions.forgotten - forgotten;
        self.counters.positions_forgotten.fetch_add(forgotten, Relaxed);
    }

    /// The number of a source, written down if it is new.
    fn number(&mut self, source: &Source, records: usize) -> u32 {
        let (number, shared) = self.state.sources.number(source, self.options.sources_max);
        if shared {
            self.counters.records_of_others.fetch_add(records as u64, Relaxed);
        }
        match number {
            Number::Known(number) => number,
            Number::New(number) => {
                // The block that is being filled is written after this, so who reads it knows.
                if self.place.is_some() {
                    let payload = self.group.begin(Kind::Source, self.state.cutter.epoch());
                    payload.extend_from_slice(&number.to_le_bytes());
                    put_source(payload, &self.state.sources.table[number as usize]);
                }
                number
            }
        }
    }

    /// Takes a control record into the group, after all records taken before.
    pub fn control(&mut self, control: Control, receipt: Option<oneshot::Sender<()>>) {
        assert!(control.size() <= CONTROL_BYTES_MAX, "whoever sends it keeps to the limit");
        self.seal();
        let epoch = self.state.cutter.epoch();
        if self.place.is_some() {
            control.encode(self.group.begin(Kind::Control, epoch));
        }
        control.time().into_iter().for_each(|at| self.state.receive(at));
        self.state.cutter.take_control();
        self.receipts.extend(receipt);
        self.fed.push(Fed::Control { epoch, control });
    }

    /// Ends the open epoch if anything is in it.
    pub fn tick(&mut self) {
        if !self.state.cutter.is_empty() {
            self.close_epoch();
        }
    }

    fn close_epoch(&mut self) {
        self.seal();
        let (cut, received_at_max) = self.state.close();
        let (epoch, next_seq) = (cut.epoch, cut.next_seq);
        if self.place.is_some() {
            let payload = self.group.begin(Kind::EpochEnd, epoch);
            payload.extend_from_slice(&next_seq.to_le_bytes());
            payload.extend_from_slice(&received_at_max.0.to_le_bytes());
        }
        self.fed.push(Fed::EpochEnd { epoch, next_seq, received_at_max });
    }

    /// Ends the block that is being filled.
    fn seal(&mut self) {
        if self.builder.is_empty() {
            return;
        }
        let epoch = self.state.cutter.epoch();
        if self.place.is_some() {
            let payload = self.group.begin(Kind::Block, epoch);
            self.builder.encode(self.builder_seq, self.options.compress, payload);
        }
        let sources = &self.state.sources.table;
        let block = self.builder.finish(epoch, self.builder_seq, sources);
        self.fed.extend(block.map(|block| Fed::Block(Arc::new(block))));
        self.builder_seq = self.state.cutter.next_seq();
    }

    /// Writes the group, and hands on what is in it.
    ///
    /// After an error nothing of the group is in the journal, nothing is handed on, and the same
    /// call may be made again. Waits for `patience` while the disk refuses to sync.
    ///
    /// # Errors
    ///
    /// Of the system; [`io::ErrorKind::InvalidData`] means that it is of no use to try again.
    pub fn commit(&mut self, patience: Duration, feed: &mut dyn FnMut(Fed)) -> io::Result<()> {
        self.seal();
        if self.group.bytes.is_empty() && self.fed.is_empty() && self.receipts.is_empty() {
            return Ok(());
        }
        let cutter = &self.state.cutter;
        let durable = Durable { epoch: cutter.epoch() - 1, next_seq: cutter.next_seq() };
        if let Some(place) = &mut self.place {
            self.group.finish(false);
            if let Some(syncer) = &place.syncer {
                syncer.admit(patience)?;
            }
            place.name()?;
            place.write(&self.group, &self.counters)?;
            let from = place.len;
            place.len += self.group.bytes.len() as u64;
            place.segments.lock().expect("nobody panics with it").active_bytes = place.len;
            if let Some(syncer) = &place.syncer {
                let (file, receipts) =
                    (Arc::clone(&place.file), std::mem::take(&mut self.receipts));
                let (salt, to) = (self.group.salt, place.len);
                syncer.push(Written { file, salt, from, to, durable, receipts });
            }
            self.group.clear();
        }
        if self.place.as_ref().is_none_or(|place| place.syncer.is_none()) {
            self.durable.send_replace(durable);
            for receipt in self.receipts.drain(..) {
                // A sender that has gone away does not want to know.
                let _ = receipt.send(());
            }
        }
        self.committed_epoch = durable.epoch + 1;
        self.fed.drain(..).for_each(feed);
        self.rotate(patience);
        Ok(())
    }

    /// Begins a new segment if it is time to. If that does not work the old one goes on growing
    /// until it does.
    fn rotate(&mut self, patience: Duration) {
        let Some(place) = &mut self.place else { return };
        let first_seq = place.segments.lock().expect("nobody panics with it").active.first_seq;
        // A segment is named by its first record, so one without records cannot be followed.
        if place.len < place.rotate_at || first_seq == self.state.cutter.next_seq() {
            return;
        }
        place.rotate_at = place.len + GROUP_BYTES as u64;
        // Only the last segment may end in an unfinished group.
        let drained = place.syncer.as_ref().map_or(Ok(()), |syncer| syncer.drain(patience));
        let salt = fresh_salt();
        let begun = drained.and_then(|()| place.begin(&self.state, salt, self.options.fsync));
        match begun {
            Ok(()) => {
                self.group.salt = salt;
                place.rotate_at = self.options.segment_bytes;
            }
            Err(_) => {
                self.counters.write_failures.fetch_add(1, Relaxed);
            }
        }
    }

    /// Takes it that everything before this place is lost, though it was there: what comes next has
    /// this sequence number, and is of this epoch. False if the journal has come as far, and is left
    /// as it is.
    pub fn pass_over(&mut self, next_seq: u64, next_epoch: u64) -> bool {
        self.seal();
        let cutter = &self.state.cutter;
        if next_seq <= cutter.next_seq() && next_epoch <= cutter.epoch() {
            return false;
        }
        let next_seq = next_seq.max(cutter.next_seq());
        let next_epoch = next_epoch.max(cutter.epoch());
        if self.place.is_some() {
            let payload = self.group.begin(Kind::Gap, cutter.epoch());
            payload.extend_from_slice(&next_seq.to_le_bytes());
            payload.extend_from_slice(&next_epoch.to_le_bytes());
        }
        self.state.leap(next_seq, next_epoch);
        self.state.cutter.set_size(self.options.epochs);
        self.builder_seq = next_seq;
        true
    }

    /// Waits until everything committed is durable.
    ///
    /// # Errors
    ///
    /// If it is not within `patience`.
    pub fn sync(&self, patience: Duration) -> io::Result<()> {
        let syncer = self.place.as_ref().and_then(|place| place.syncer.as_ref());
        syncer.map_or(Ok(()), |syncer| syncer.drain(patience))
    }

    /// Takes the mark of a stop in good order into the group.
    pub fn mark_clean(&mut self) {
        self.seal();
        if self.place.is_some() {
            let next_seq = self.state.cutter.next_seq();
            let payload = self.group.begin(Kind::Clean, self.state.cutter.epoch());
            payload.extend_from_slice(&next_seq.to_le_bytes());
        }
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let dir = self.place.as_ref().map(|place| &place.dir);
        f.debug_struct("Journal").field("dir", &dir).finish_non_exhaustive()
    }
}

impl Place {
    /// Writes a group after the last; if that fails, takes away what was written of it.
    fn write(&self, group: &Group, counters: &Counters) -> io::Result<()> {
        let written = self.file.write_all_at(&group.bytes, self.len);
        if let Err(error) = written {
            counters.write_failures.fetch_add(1, Relaxed);
            // Should this fail too, the next attempt writes over it, and a crash leaves a torn
            // tail, which is found on opening.
            let _ = self.file.set_len(self.len);
            return Err(error);
        }
        counters.groups.fetch_add(1, Relaxed);
        counters.written.fetch_add(group.bytes.len() as u64, Relaxed);
        Ok(())
    }

    /// Begins a new segment, which goes on from `state`.
    fn begin(&mut self, state: &State, salt: u32, fsync: Fsync) -> io::Result<()> {
        let header = state.header(salt);
        let path = segment::path(&self.dir, header.first_seq);
        let (file, len) = create(&*self.disk, &path, &header.encode(), fsync)?;
        let mut segments = self.segments.lock().expect("nobody panics with it");
        segments.rotate(path, &header, len);
        (self.file, self.len, self.unnamed) = (file, len, fsync != Fsync::Never);
        Ok(())
    }

    /// Makes the last segment's name durable, without which its bytes are not.
    fn name(&mut self) -> io::Result<()> {
        if self.unnamed {
            self.disk.sync_dir(&self.dir)?;
            self.unnamed = false;
        }
        Ok(())
    }
}

/// Creates a segment with its header, whole or not at all. Its name is not durable yet.
fn create(
    disk: &dyn Disk,
    path: &Path,
    header: &[u8],
    fsync: Fsync,
) -> io::Result<(Arc<dyn Output>, u64)> {
    let temporary = path.with_extension("tmp");
    let created: io::Result<_> = (|| {
        let file = disk.create(&temporary)?;
        file.write_all_at(header, 0)?;
        if fsync != Fsync::Never {
            file.sync()?;
        }
        disk.rename(&temporary, path)?;
        Ok(file)
    })();
    let file = created.inspect_err(|_| drop(disk.remove(&temporary)))?;
    Ok((file, header.len() as u64))
}

/// How many of the records that end at `ends` fit: up to `room`, and into what a block of so many
/// `bytes` may still hold. The first fits into an empty block, however long it is.
fn fitting(ends: &[(u32, Flags)], start: u32, room: usize, bytes: usize) -> usize {
    let room = room.min(ends.len());
    let limit = (start as usize).saturating_add(BLOCK_BYTES_MAX.saturating_sub(bytes));
    if room > 0 && ends[room - 1].0 as usize <= limit {
        return room;
    }
    let fitting = ends[..room].partition_point(|(end, _)| *end as usize <= limit);
    if fitting == 0 && bytes == 0 { room.min(1) } else { fitting }
}

/// A number that nobody outside can guess. It decides nothing: it only keeps checksums apart.
fn fresh_salt() -> u32 {
    RandomState::new().hash_one(0) as u32
}
