//! One segment: finding it, reading it, telling an unfinished write from damage.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::error::{Damage, JournalError, TornTail};
use super::format::{
    FRAME, HEAD, HEADER_HEAD, Header, HeaderError, Malformed, frame, frame_unchecked,
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
    let damaged = |what| JournalError::damaged(path, 0, what);
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
            _ => judge(path, bytes, end, bad, salt),
        };
        return Reading { end, tail };
    };
    *state = before;
    walk(&bytes[..group], start, salt, state).expect("it came past this group a moment ago");
    let damage = Damage::found(path, contradiction.0 as u64, contradiction.1.0);
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
fn judge(path: &Path, bytes: &[u8], end: usize, bad: Option<Bad>, salt: u32) -> Tail {
    let at = bad.map_or(bytes.len(), |(at, _)| at);
    match bad {
        Some((at, what)) if is_finished_after(bytes, at, salt) => {
            Tail::Damaged(Damage::found(path, at as u64, what.0))
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

/// Whether a group is finished after `at`.
///
/// Looks for whole entries, byte by byte. Their heads are checksummed and salted, so what senders
/// write into their records cannot lead it astray, nor make it sum up the same bytes again and
/// again.
fn is_finished_after(bytes: &[u8], mut at: usize, salt: u32) -> bool {
    while at + FRAME + HEAD <= bytes.len() {
        match frame(&bytes[at..], salt) {
            Ok(found) if !found.more => return true,
            Ok(found) => at += found.size,
            Err(_) => at += 1,
        }
    }
    false
}

/// How many records and epochs a segment whose header is gone may have held, at most: each takes
/// a byte or more.
pub(super) fn bound_without_header(len: u64) -> u64 {
    len.saturating_sub(HEADER_HEAD as u64)
}
