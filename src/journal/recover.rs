//! Opening a journal: the lock, what is there, what is wrong with it, where it goes on.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use operators::types::Source;
use tokio::sync::watch;

use super::disk::Disk;
use super::error::{Damage, JournalError, TornTail};
use super::format::Header;
use super::mend::{Follows, Mended, mend};
use super::retention::{Meta, Segments};
use super::segment::{self, Tail};
use super::state::State;
use super::sync::Syncer;
use super::{
    Counters, Cutter, Durable, FOLDER, Fsync, Journal, Options, Place, create, fresh_salt,
};
use crate::intake::Position;

/// What was in a journal when it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The sequence number of the next record.
    pub next_seq: u64,
    /// The open epoch.
    pub epoch: u64,
    /// How many records are in the open epoch.
    pub held: u64,
    /// The last epoch that ended; 0 if none has.
    pub last_complete: u64,
    /// All sources, by their number.
    pub sources: Arc<Vec<Source>>,
    /// How far files have been read; the position noted last comes last.
    pub positions: Vec<Position>,
    /// Whether the last run stopped in good order (or there was none).
    pub clean: bool,
    /// How many segments there are.
    pub segments: usize,
    /// The unfinished write that was cut off, if there was one.
    pub torn: Option<TornTail>,
    /// What a repair moved aside.
    pub repaired: Vec<Damage>,
}

/// A segment and what its header says.
struct Found {
    path: PathBuf,
    header: Header,
    header_len: usize,
}

pub(super) fn open(
    disk: Arc<dyn Disk>,
    dir: &Path,
    options: Options,
) -> Result<(Journal, Recovered), JournalError> {
    let folder = dir.join(FOLDER);
    fs::create_dir_all(&folder).map_err(JournalError::io("create", &folder))?;
    let lock = lock(dir, &folder)?;
    remove_temporary(&folder)?;

    let mut repaired = Vec::new();
    let repair = if options.repair { Repair::Done } else { Repair::No };
    let (segments, headless) = headers(&folder, repair, &mut repaired)?;
    let (state, torn, file) = match segments.last() {
        Some(last) => {
            let (state, torn) = check(&segments, &headless, &options, repair, &mut repaired)?;
            let file = disk.open(&last.path).map_err(JournalError::io("open", &last.path))?;
            (state, torn, file)
        }
        None => {
            let mut state = State::new(options.positions_max);
            if let Some((next_seq, next_epoch)) = headless {
                state.cutter = Cutter::resume(next_epoch, next_seq, next_seq, 0);
            }
            let header = state.header(fresh_salt());
            let path = segment::path(&folder, header.first_seq);
            let begun = create(&*disk, &path, &header.encode(), options.fsync);
            let (file, _) = begun.map_err(JournalError::io("create", &path))?;
            state.clean = true;
            (state, None, file)
        }
    };
    let mut segments = match segments.is_empty() {
        true => headers(&folder, Repair::No, &mut Vec::new())?.0,
        false => segments,
    };
    let last = segments.last().expect("there is one now");
    let (path, salt, first_seq) = (last.path.clone(), last.header.salt, last.header.first_seq);
    let len = fs::metadata(&path).map_err(JournalError::io("read", &path))?.len();
    let len = torn.as_ref().map_or(len, |torn| torn.offset);
    if torn.is_some() {
        file.set_len(len).map_err(JournalError::io("cut", &path))?;
    }
    // What a crash left in the system's cache was read, and so must not be lost any more.
    if options.fsync != Fsync::Never {
        file.sync().map_err(JournalError::io("sync", &path))?;
        disk.sync_dir(&folder).map_err(JournalError::io("sync", &folder))?;
    }
    debug_assert!(first_seq <= state.cutter.next_seq());

    let metas = segments.drain(..).map(|found| Meta::of(found.path, &found.header));
    let segments = Segments::new(metas.collect(), len);
    let recovered = recovered(&state, &segments, torn, repaired);
    let durable = Durable { epoch: recovered.last_complete, next_seq: recovered.next_seq };
    let (durable, counters) = (watch::Sender::new(durable), Arc::<Counters>::default());
    let interval = match options.fsync {
        Fsync::Always => Some(Duration::ZERO),
        Fsync::Interval(interval) => Some(interval),
        Fsync::Never => None,
    };
    let start = |interval| Syncer::start(interval, durable.clone(), Arc::clone(&counters));
    let syncer = interval.map(start).transpose();
    let place = Place {
        disk,
        file,
        len,
        rotate_at: options.segment_bytes,
        unnamed: false,
        segments: Arc::new(Mutex::new(segments)),
        syncer: syncer.map_err(JournalError::io("start the thread that syncs", &folder))?,
        dir: folder,
        _lock: lock,
    };
    let mut journal = Journal::new(options, state, Some(place), durable, counters);
    journal.group.salt = salt;
    Ok((journal, recovered))
}

/// What is done about damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repair {
    /// It is an error.
    No,
    /// It is found out what a repair would do.
    Planned,
    Done,
}

/// Says what [`repair`] would do, and changes nothing.
///
/// # Errors
///
/// As [`Journal::open`], and if the system refuses.
pub fn examine(dir: &Path, (next_seq, next_epoch): (u64, u64)) -> Result<Repaired, JournalError> {
    let folder = dir.join(FOLDER);
    let _lock = lock(dir, &folder)?;
    let options = Options::usual();
    let mut damage = Vec::new();
    let (segments, beyond) = headers(&folder, Repair::Planned, &mut damage)?;
    let (end, torn) = match segments.is_empty() {
        true => (beyond.unwrap_or((0, 1)), None),
        false => {
            let (state, torn) = check(&segments, &beyond, &options, Repair::Planned, &mut damage)?;
            ((state.cutter.next_seq(), state.cutter.epoch()), torn)
        }
    };
    let behind = next_seq > end.0 || next_epoch > end.1;
    Ok(Repaired { damage, torn, passed_over: behind.then_some(end.0..next_seq.max(end.0)) })
}

/// What a repair has done.
#[derive(Clone, Debug)]
pub struct Repaired {
    /// What was moved aside.
    pub damage: Vec<Damage>,
    /// The unfinished write that was cut off, if there was one.
    pub torn: Option<TornTail>,
    /// The sequence numbers that were passed over at the end, because a checkpoint knows of them
    /// though they are not there any more; `None` if none was needed.
    pub passed_over: Option<std::ops::Range<u64>>,
}

/// Repairs the journal in the folder `dir`: moves aside what is damaged, and makes it go on behind
/// the checkpoint, which covers all before `next_seq` and the epoch `next_epoch`.
///
/// # Errors
///
/// As [`Journal::open`], and if the system refuses.
pub fn repair(dir: &Path, (next_seq, next_epoch): (u64, u64)) -> Result<Repaired, JournalError> {
    let options = Options { repair: true, ..Options::usual() };
    let (mut journal, recovered) = Journal::open(dir, options)?;
    let Recovered { torn, repaired, next_seq: end, .. } = recovered;
    let passed_over = journal.pass_over(next_seq, next_epoch).then_some(end..next_seq.max(end));
    let patience = Duration::from_secs(10);
    let folder = dir.join(FOLDER);
    let written = journal.commit(patience, &mut drop).and_then(|()| journal.sync(patience));
    written.map_err(JournalError::io("write", &folder))?;
    Ok(Repaired { damage: repaired, torn, passed_over })
}

fn recovered(
    state: &State,
    segments: &Segments,
    torn: Option<TornTail>,
    repaired: Vec<Damage>,
) -> Recovered {
    Recovered {
        next_seq: state.cutter.next_seq(),
        epoch: state.cutter.epoch(),
        held: state.cutter.held(),
        last_complete: state.cutter.epoch() - 1,
        sources: Arc::clone(&state.sources.table),
        positions: state.positions.to_vec(),
        clean: state.clean && torn.is_none() && repaired.is_empty(),
        segments: segments.closed.len() + 1,
        torn,
        repaired,
    }
}

/// Takes the folder for this process, until the file is dropped.
fn lock(dir: &Path, folder: &Path) -> Result<File, JournalError> {
    let path = folder.join("lock");
    let mut options = OpenOptions::new();
    let opened = options.read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = opened.map_err(JournalError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Whoever holds it may be about to write its name.
            let _ = file.read_to_string(&mut holder);
            let holder = match holder.trim().parse::<u32>() {
                Ok(process) => format!("process {process}"),
                Err(_) => "another process".to_owned(),
            };
            return Err(JournalError::InUse { dir: dir.to_owned(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(JournalError::io("lock", &path)(error)),
    }
    let named = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    named.map_err(JournalError::io("write", &path))?;
    Ok(file)
}

/// Removes segments that were begun and never got their name.
fn remove_temporary(folder: &Path) -> Result<(), JournalError> {
    for entry in fs::read_dir(folder).map_err(JournalError::io("list", folder))? {
        let path = entry.map_err(JournalError::io("list", folder))?.path();
        if path.extension().is_some_and(|extension| extension == "tmp") {
            fs::remove_file(&path).map_err(JournalError::io("remove", &path))?;
        }
    }
    Ok(())
}

/// What lies after a segment without a header, for want of knowing: the next sequence number and
/// the open epoch, both at their most.
type Beyond = Option<(u64, u64)>;

/// Reads all headers. A repair moves aside segments whose header is bad.
fn headers(
    folder: &Path,
    repair: Repair,
    repaired: &mut Vec<Damage>,
) -> Result<(Vec<Found>, Beyond), JournalError> {
    let mut segments: Vec<Found> = Vec::new();
    let mut beyond = None;
    for (first_seq, path) in segment::list(folder)? {
        match segment::header(&path) {
            Ok((header, header_len)) => {
                // Nothing in front tells of these, so it is told with them; else with what the
                // segment before them lacks.
                if let (Some(_), true) = (beyond.take(), segments.is_empty())
                    && let Some(last) = repaired.last_mut()
                {
                    last.lost_seqs = last.lost_seqs.start..header.first_seq;
                    last.exact = true;
                }
                segments.push(Found { path, header, header_len });
            }
            Err(JournalError::Damaged(mut damage)) if repair != Repair::No => {
                let len = fs::metadata(&path).map_err(JournalError::io("read", &path))?.len();
                if repair == Repair::Done {
                    fs::rename(&path, &damage.aside)
                        .map_err(JournalError::io("move aside", &path))?;
                }
                let unknown = segment::bound_without_header(len);
                let (seq, epoch) = beyond.unwrap_or_else(|| {
                    (first_seq, segments.last().map_or(1, |last| last.header.epoch))
                });
                if let (Some(_), true, Some(last)) =
                    (beyond, segments.is_empty(), repaired.last_mut())
                {
                    last.lost_seqs.end = first_seq.max(last.lost_seqs.start);
                    last.exact = true;
                }
                let next_seq = seq.max(first_seq).saturating_add(unknown);
                let longest = segments.last().map_or(0, |last| {
                    fs::metadata(&last.path).map_or(0, |metadata| metadata.len())
                });
                beyond = Some((next_seq, epoch.saturating_add(unknown).saturating_add(longest)));
                damage.bytes = len;
                let end = if segments.is_empty() { next_seq } else { first_seq };
                damage.lost_seqs = first_seq..end;
                repaired.push(damage);
            }
            Err(error) => return Err(error),
        }
    }
    Ok((segments, beyond))
}

/// Checks the segments that are to be checked; the state at the end of the last.
fn check(
    segments: &[Found],
    headless: &Beyond,
    options: &Options,
    repair: Repair,
    repaired: &mut Vec<Damage>,
) -> Result<(State, Option<TornTail>), JournalError> {
    let mut end = (State::new(options.positions_max), None);
    for (index, found) in segments.iter().enumerate() {
        let next = segments.get(index + 1);
        // What is to be repaired has to be looked for.
        let spared = repair == Repair::No;
        if spared && next.is_some_and(|next| next.header.epoch < options.check_from) {
            continue;
        }
        let Found { path, header, header_len } = found;
        let bytes = fs::read(path).map_err(JournalError::io("read", path))?;
        let follows = match next {
            Some(Found { header, .. }) => Some(Follows {
                place: (header.first_seq, header.epoch),
                known: true,
                sources: &header.sources,
            }),
            None => headless.map(|place| Follows { place, known: false, sources: &[] }),
        };
        if repair != Repair::No {
            let head = (header, *header_len);
            let mended = mend(path, &bytes, head, follows, options.positions_max);
            if repair == Repair::Done && !mended.damage.is_empty() {
                move_aside(path, &bytes, &mended)?;
            }
            repaired.extend(mended.damage);
            end = (mended.state, mended.torn);
            continue;
        }
        let mut state = State::of(header, options.positions_max);
        let reading = segment::read(path, &bytes, *header_len, header.salt, &mut state);
        let torn = match (reading.tail, follows) {
            (Tail::Damaged(damage), _) => return Err(damage.into()),
            (Tail::Torn(torn), None) => Some(torn),
            (Tail::None, None) => None,
            (tail, Some(follows)) => {
                seam(path, &tail, bytes.len(), &state, follows.place)?;
                None
            }
        };
        end = (state, torn);
    }
    Ok(end)
}

/// Whether a segment that is whole, or not finished, ends where the next one begins.
fn seam(
    path: &Path,
    tail: &Tail,
    len: usize,
    state: &State,
    (next_seq, next_epoch): (u64, u64),
) -> Result<(), JournalError> {
    let here = (state.cutter.next_seq(), state.cutter.epoch());
    let (at, what) = match tail {
        Tail::Torn(torn) => (torn.offset, "it ends in an unfinished write and is not the last"),
        _ if here == (next_seq, next_epoch) => return Ok(()),
        _ if next_seq < here.0 || next_epoch < here.1 => {
            (len as u64, "the segment after it begins before it ends")
        }
        _ => (len as u64, "the segment that should follow it is missing"),
    };
    Err(Damage::found(path, at, what).into())
}

/// Moves aside what was taken out of a segment.
///
/// What is left takes the segment's place in one step, so that a crash leaves one or the other.
fn move_aside(path: &Path, bytes: &[u8], mended: &Mended) -> Result<(), JournalError> {
    for damage in mended.damage.iter().filter(|damage| damage.bytes > 0) {
        let (from, len) = (damage.offset as usize, damage.bytes as usize);
        write_synced(&damage.aside, &bytes[from..from + len])?;
    }
    // A torn tail, if there is one, is cut off with this.
    let temporary = path.with_extension("tmp");
    write_synced(&temporary, &mended.bytes)?;
    fs::rename(&temporary, path).map_err(JournalError::io("replace", path))
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), JournalError> {
    let written = File::create(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(JournalError::io("write", path))
}
