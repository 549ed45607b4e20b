//! Which segments there are, which may go, and what is in those that stay.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use operators::types::{EventTime, Source, Span};

use super::disk::Disk;
use super::error::JournalError;
use super::format::{Bytes, Header, Kind, frame_unchecked};
use super::segment::{self, Tail};
use super::state::State;
use super::{FOLDER, POSITIONS_MAX, block};

/// A segment, as its header tells it.
#[derive(Clone, Debug)]
pub(super) struct Meta {
    path: PathBuf,
    pub(super) first_seq: u64,
    /// The epoch that was open where it begins.
    epoch: u64,
    /// Whether that epoch began there, so that the one before is in older segments only.
    fresh: bool,
    /// The latest receipt time before it.
    received_at: EventTime,
}

impl Meta {
    pub(super) fn of(path: PathBuf, header: &Header) -> Meta {
        Meta {
            path,
            first_seq: header.first_seq,
            epoch: header.epoch,
            fresh: fresh(header),
            received_at: header.epoch_received_at.max(header.received_at),
        }
    }

    /// The last epoch of which something may be in older segments.
    pub(super) fn last_before(&self) -> u64 {
        if self.fresh { self.epoch - 1 } else { self.epoch }
    }
}

/// Whether the epoch that is open where a segment begins has begun there.
pub(super) fn fresh(header: &Header) -> bool {
    header.epoch_first_seq == header.first_seq && header.epoch_controls == 0
}

/// All segments of a journal that is open.
#[derive(Debug)]
pub(super) struct Segments {
    /// Those that are not written any more, oldest first.
    pub(super) closed: Vec<Meta>,
    /// The one that is written.
    pub(super) active: Meta,
    pub(super) active_bytes: u64,
}

impl Segments {
    /// At least one; the last is the one that is written.
    pub(super) fn new(mut metas: Vec<Meta>, active_bytes: u64) -> Self {
        let active = metas.pop().expect("an open journal has a segment");
        Segments { closed: metas, active, active_bytes }
    }

    pub(super) fn rotate(&mut self, path: PathBuf, header: &Header, bytes: u64) {
        let active = Meta::of(path, header);
        self.closed.push(std::mem::replace(&mut self.active, active));
        self.active_bytes = bytes;
    }
}

/// How much of the past to keep.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// A segment goes when everything in it was received longer ago than this.
    pub age: Option<Span>,
    /// The oldest segments go as long as all together take more bytes than this.
    pub bytes: Option<u64>,
}

/// What went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// Segments deleted.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their records.
    pub records: u64,
}

/// Deletes the old segments of an open journal. Usable from any thread.
#[derive(Clone)]
pub struct Retention {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    segments: Arc<Mutex<Segments>>,
}

impl std::fmt::Debug for Retention {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Retention").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Retention {
    pub(super) fn new(disk: Arc<dyn Disk>, dir: &Path, segments: Arc<Mutex<Segments>>) -> Self {
        Retention { disk, dir: dir.to_owned(), segments }
    }

    /// Deletes whole old segments, oldest first, as `keep` says at the time `now`; never one that
    /// holds something of an epoch after `checkpoint`, and never the one that is written.
    ///
    /// # Errors
    ///
    /// If a segment cannot be deleted; those before it are, and it will be tried again.
    pub fn trim(
        &self,
        checkpoint: u64,
        keep: Keep,
        now: EventTime,
    ) -> Result<Trimmed, JournalError> {
        let (closed, active, active_bytes) = {
            let segments = self.segments.lock().expect("nobody panics with it");
            (segments.closed.clone(), segments.active.clone(), segments.active_bytes)
        };
        let bytes_of = |meta: &Meta| fs::metadata(&meta.path).map_or(0, |meta| meta.len());
        let mut total = active_bytes + closed.iter().map(bytes_of).sum::<u64>();
        let mut trimmed = Trimmed::default();
        for (index, meta) in closed.iter().enumerate() {
            let next = closed.get(index + 1).unwrap_or(&active);
            let too_old = keep.age.is_some_and(|age| next.received_at < now - age);
            let too_many = keep.bytes.is_some_and(|bytes| total > bytes);
            if next.last_before() > checkpoint || !(too_old || too_many) {
                break;
            }
            let bytes = bytes_of(meta);
            match self.disk.remove(&meta.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(JournalError::io("delete", &meta.path)(error));
                }
                _ => {}
            }
            let mut segments = self.segments.lock().expect("nobody panics with it");
            segments.closed.retain(|other| other.first_seq != meta.first_seq);
            drop(segments);
            total -= bytes;
            trimmed.segments += 1;
            trimmed.bytes += bytes;
            trimmed.records += next.first_seq - meta.first_seq;
        }
        if trimmed.segments > 0 {
            self.disk.sync_dir(&self.dir).map_err(JournalError::io("sync", &self.dir))?;
        }
        Ok(trimmed)
    }
}

/// What a journal holds, as `state info` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// How many segments there are.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
    /// The sequence numbers of the records that are there.
    pub seqs: std::ops::Range<u64>,
    /// The first epoch of which something is there.
    pub first_epoch: u64,
    /// The epoch that is open.
    pub open_epoch: u64,
    /// The receipt time of the first record, if there is one.
    pub oldest: Option<EventTime>,
    /// The latest receipt time in the last epoch that has one.
    pub newest: Option<EventTime>,
    /// All sources, by their number.
    pub sources: Vec<Source>,
    /// How many files' positions are known.
    pub positions: usize,
    /// Whether it was left in good order and nothing has been written since.
    pub clean: bool,
    /// Files that repairs moved aside, and their bytes.
    pub damaged: (usize, u64),
}

/// What the journal in the folder `dir` holds. Reads only, also while it is being written.
///
/// # Errors
///
/// If there is none, or if its last segment is damaged.
pub fn info(dir: &Path) -> Result<Info, JournalError> {
    let folder = dir.join(FOLDER);
    let listed = segment::list(&folder)?;
    let mut bytes = 0;
    for (_, path) in &listed {
        bytes += fs::metadata(path).map_err(JournalError::io("read", path))?.len();
    }
    let state = match listed.last() {
        None => State::new(POSITIONS_MAX),
        Some((_, path)) => {
            let contents = fs::read(path).map_err(JournalError::io("read", path))?;
            let (header, len) = segment::decode_header(path, &contents)?;
            let mut state = State::of(&header, POSITIONS_MAX);
            match segment::read(path, &contents, len, header.salt, &mut state).tail {
                Tail::Damaged(damage) => return Err(damage.into()),
                Tail::None | Tail::Torn(_) => state,
            }
        }
    };
    let first = listed.first().map(|(_, path)| oldest(path)).transpose()?;
    let newest = Some(state.received_at_max()).filter(|at| *at != EventTime::MIN);
    Ok(Info {
        segments: listed.len(),
        bytes,
        seqs: listed.first().map_or(0, |(first_seq, _)| *first_seq)..state.cutter.next_seq(),
        first_epoch: first.map_or(state.cutter.epoch(), |(epoch, _)| epoch),
        open_epoch: state.cutter.epoch(),
        oldest: first.and_then(|(_, oldest)| oldest),
        newest,
        sources: state.sources.table.to_vec(),
        positions: state.positions.to_vec().len(),
        clean: state.clean,
        damaged: damaged(&folder)?,
    })
}

/// The epoch that a segment begins in, and the receipt time of its first record.
fn oldest(path: &Path) -> Result<(u64, Option<EventTime>), JournalError> {
    let bytes = fs::read(path).map_err(JournalError::io("read", path))?;
    let (header, mut at) = segment::decode_header(path, &bytes)?;
    while let Ok(frame) = frame_unchecked(&bytes[at..], header.salt) {
        if frame.kind == Kind::Block
            && let Ok(head) = block::head(&mut Bytes(frame.payload), usize::MAX)
            && head.count > 0
        {
            return Ok((header.epoch, head.received_at_first()));
        }
        at += frame.size;
    }
    Ok((header.epoch, None))
}

fn damaged(folder: &Path) -> Result<(usize, u64), JournalError> {
    let (mut files, mut bytes) = (0, 0);
    for entry in fs::read_dir(folder).map_err(JournalError::io("list", folder))? {
        let path = entry.map_err(JournalError::io("list", folder))?.path();
        if path.extension().is_some_and(|extension| extension == "damaged") {
            files += 1;
            bytes += fs::metadata(&path).map_err(JournalError::io("read", &path))?.len();
        }
    }
    Ok((files, bytes))
}
