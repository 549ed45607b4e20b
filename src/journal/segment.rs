//! One segment: finding it, reading it, telling an unfinished write from damage.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::block;
use super::error::{Damage, JournalError, TornTail};
use super::format::{
    Bytes, FRAME, HEAD, HEADER_HEAD, Header, HeaderError, Kind, Malformed, frame, frame_unchecked,
};
use super::state::State;

/// What a segment's name ends with.
const EXTENSION: &str = "seg";

/// The name of the segment whose first record has this sequence number.
pub(super) fn path(dir: &Path, first_seq: u64) -> PathBuf {
    dir.join(format!("{first_seq:020}.{EXTENSION}"))
}

/// The segments of a journal's folder by their first sequence numbers, in order.
pub(super) fn list(dir: &Path) -> Result<Vec<(u64, PathBuf)>, JournalError> {
    let entries = std::fs::read_dir(dir).map_err(JournalError::io("list", dir))?;
    let mut segments = Vec::new();
    for entry in entries {
        let path = entry.map_err(JournalError::io("list", dir))?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            if let Some(first_seq) = stem.and_then(|stem| stem.parse().ok()) {
                segments.push((first_seq, path));
            }
        }
    }
    segments.sort_unstable();
    Ok(segments)
}

/// Reads a segment's header, and how long it is.
pub(super) fn header(path: &Path) -> Result<(Header, usize), JournalError> {
    let mut file = File::open(path).map_err(JournalError::io("open", path))?;
    let mut bytes = vec![0; 4096];
    let filled = fill(&mut file, &mut bytes).map_err(JournalError::io("read", path))?;
    bytes.truncate(filled);
    if let Err(HeaderError::Short(len)) = Header::decode(&bytes)
        && filled == 4096
    {
        bytes.resize(len, 0);
        let more = fill(&mut file, &mut bytes[4096..]).map_err(JournalError::io("read", path))?;
        bytes.truncate(4096 + more);
    }
    decode_header(path, &bytes)
}

/// Reads as much as there is, up to the length of `bytes`.
fn fill(file: &mut File, bytes: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The header at the start of a segment's bytes, which must agree with the segment's name.
pub(super) fn decode_header(path: &Path, bytes: &[u8]) -> Result<(Header, usize), JournalError> {
    let len = std::fs::metadata(path).map_or(bytes.len() as u64, |metadata| metadata.len());
    let damaged = |what| JournalError::damaged(path, 0, what, len);
    match Header::decode(bytes) {
        Ok((header, len)) => {
            let dir = path.parent().unwrap_or(Path::new(""));
            match self::path(dir, header.first_seq) == path {
                true => Ok((header, len)),
                false => Err(damaged(Malformed("its name is not that of its first record"))),
            }
        }
        Err(HeaderError::Version(found)) => {
            Err(JournalError::Version { file: path.to_owned(), found })
        }
        Err(HeaderError::Malformed(what)) => Err(damaged(what)),
        Err(HeaderError::Short(_)) => Err(damaged(Malformed("its header is cut off"))),
    }
}

/// What a reading of a segment came to.
#[derive(Debug)]
pub(super) struct Reading {
    /// Where the last whole group ends.
    pub(super) end: usize,
    pub(super) tail: Tail,
}

/// What follows the last whole group.
#[derive(Debug)]
pub(super) enum Tail {
    /// Nothing.
    None,
    /// A group that was never finished.
    Torn(TornTail),
    /// Bytes that were right once.
    Damaged(Damage),
}

/// Something bad in a segment: where, and what.
type Bad = (usize, Malformed);

/// Checks the entries of a segment from `start` on, and takes `state` past the whole groups.
///
/// A bad entry is an unfinished write if no finished group follows it, which is how a crash
/// leaves it. If one does, or if an entry is whole and contradicts those before it, it is damage.
pub(super) fn read(
    path: &Path,
    bytes: &[u8],
    start: usize,
    salt: u32,
    state: &mut State,
) -> Reading {
    let (end, bad) = check(bytes, start, salt);
    let before = state.clone();
    let Err((group, contradiction)) = walk(&bytes[..end], start, salt, state) else {
        let tail = match bad {
            None if end == bytes.len() => Tail::None,
            _ => judge(path, bytes, end, bad, salt, state),
        };
        return Reading { end, tail };
    };
    *state = before;
    walk(&bytes[..group], start, salt, state).expect("it came past this group a moment ago");
    let after = survey(bytes, contradiction.0, salt, state);
    let damage = damage(path, bytes, group, contradiction, &after, (salt, state));
    Reading { end: group, tail: Tail::Damaged(damage) }
}

/// Goes from frame to frame: where the last whole group ends, and what is bad after it.
fn check(bytes: &[u8], start: usize, salt: u32) -> (usize, Option<Bad>) {
    let (mut at, mut end) = (start, start);
    while at < bytes.len() {
        match frame(&bytes[at..], salt) {
            Ok(frame) => {
                at += frame.size;
                if !frame.more {
                    end = at;
                }
            }
            Err(what) => return (end, Some((at, what))),
        }
    }
    (end, None)
}

/// Takes `state` past frames that are right. An entry that contradicts it is an error, which says
/// where the group begins and where the entry does.
fn walk(bytes: &[u8], start: usize, salt: u32, state: &mut State) -> Result<(), (usize, Bad)> {
    let (mut at, mut group) = (start, start);
    while at < bytes.len() {
        let frame = frame_unchecked(&bytes[at..], salt).map_err(|what| (group, (at, what)))?;
        state.apply(&frame).map_err(|what| (group, (at, what)))?;
        at += frame.size;
        if !frame.more {
            group = at;
        }
    }
    Ok(())
}

/// Tells an unfinished write from damage.
fn judge(
    path: &Path,
    bytes: &[u8],
    end: usize,
    bad: Option<Bad>,
    salt: u32,
    state: &State,
) -> Tail {
    let at = bad.map_or(bytes.len(), |(at, _)| at);
    let after = survey(bytes, at, salt, state);
    match bad {
        Some(bad) if after.finished => {
            Tail::Damaged(damage(path, bytes, end, bad, &after, (salt, state)))
        }
        _ => Tail::Torn(TornTail {
            file: path.to_owned(),
            offset: end as u64,
            bytes: (bytes.len() - end) as u64,
            entries: whole(&bytes[..at], end, salt),
        }),
    }
}

/// How many frames, known to be right, lie in `bytes` from `at` on.
fn whole(bytes: &[u8], mut at: usize, salt: u32) -> u64 {
    let mut entries = 0;
    while let Ok(frame) = frame_unchecked(&bytes[at..], salt) {
        at += frame.size;
        entries += 1;
    }
    entries
}

fn damage(
    path: &Path,
    bytes: &[u8],
    end: usize,
    (at, what): Bad,
    after: &Survey,
    (salt, state): (u32, &State),
) -> Damage {
    Damage {
        file: path.to_owned(),
        offset: at as u64,
        what: what.0,
        cut: end as u64,
        bytes: (bytes.len() - end) as u64,
        entries: whole(&bytes[..at], end, salt) + after.entries,
        lost_seqs: state.cutter.next_seq()..after.next_seq,
        next_epoch: after.next_epoch,
    }
}

/// What can still be made out after something bad.
#[derive(Debug)]
struct Survey {
    entries: u64,
    /// Whether a whole group ends there.
    finished: bool,
    /// No sequence number from here on can have been in the segment.
    next_seq: u64,
    /// No epoch after this one can have been in the segment.
    next_epoch: u64,
}

/// Looks for whole entries from `at` on, byte by byte.
///
/// Entries' heads are checksummed and salted, so what senders write into their records cannot
/// lead it astray, nor make it sum up the same bytes again and again.
fn survey(bytes: &[u8], mut at: usize, salt: u32, state: &State) -> Survey {
    let (epoch, next_seq) = (state.cutter.epoch(), state.cutter.next_seq());
    let mut survey = Survey { entries: 0, finished: false, next_seq, next_epoch: epoch };
    let mut known = at;
    while at + FRAME + HEAD <= bytes.len() {
        let Ok(found) = frame(&bytes[at..], salt) else {
            at += 1;
            continue;
        };
        survey.entries += 1;
        survey.finished |= !found.more;
        let (seq, epoch) = reach(found.kind, found.payload, found.epoch);
        survey.next_seq = survey.next_seq.max(seq);
        survey.next_epoch = survey.next_epoch.max(epoch);
        at += found.size;
        known = at;
    }
    // What cannot be made out after the last entry may have been records and ends of epochs, each
    // of which takes a byte or more.
    let unknown = (bytes.len() - known) as u64;
    survey.next_seq = survey.next_seq.saturating_add(unknown);
    survey.next_epoch = survey.next_epoch.saturating_add(unknown);
    survey
}

/// The sequence number and the epoch that an entry leads to.
fn reach(kind: Kind, payload: &[u8], epoch: u64) -> (u64, u64) {
    let mut cursor = Bytes(payload);
    match kind {
        Kind::Block => {
            let (first_seq, count) = block::peek(payload).unwrap_or_default();
            (first_seq.saturating_add(u64::from(count)), epoch)
        }
        Kind::EpochEnd => (cursor.u64().unwrap_or_default(), epoch.saturating_add(1)),
        Kind::Clean => (cursor.u64().unwrap_or_default(), epoch),
        Kind::Gap => (cursor.u64().unwrap_or_default(), cursor.u64().unwrap_or_default()),
        Kind::Source | Kind::Control => (0, epoch),
    }
}

/// How many records and epochs a segment whose header is gone may have held, at most: each takes
/// a byte or more.
pub(super) fn bound_without_header(len: u64) -> u64 {
    len.saturating_sub(HEADER_HEAD as u64)
}
