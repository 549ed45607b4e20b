//! Finds records by their sequence numbers, for `query` and `explain`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use operators::types::{EventTime, Flags, Source};

use super::block::{self, Decoded};
use super::error::JournalError;
use super::format::{Bytes, EntryHead, FRAME, HEAD, Kind, Malformed, entry_head, frame};
use super::segment::{self, Tail};
use super::state::State;
use super::{FOLDER, POSITIONS_MAX};

/// A record as it lies in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its sequence number.
    pub seq: u64,
    /// Its epoch.
    pub epoch: u64,
    /// Where it came from.
    pub source: Source,
    /// When it was received.
    pub received_at: EventTime,
    /// What its receiver found odd about it.
    pub flags: Flags,
    /// Its bytes, as they were received.
    pub bytes: Vec<u8>,
}

/// A place in a segment is remembered each so many bytes.
const STRIDE: u64 = 64 << 10;
/// Small entries are read together; large ones are passed over without being read.
const READ_BYTES: usize = 8 << 10;
/// How many segments' places are remembered. At 64 MiB and a place each 64 KiB: 1.5 MiB in all.
const INDEXED_MAX: usize = 64;

/// Finds records, and remembers where it found blocks. Reads only, also beside a writer.
#[derive(Debug)]
pub struct Lookup {
    dir: PathBuf,
    indexed: BTreeMap<u64, Index>,
}

/// Where blocks lie in a segment, as far as it has been gone through.
#[derive(Debug)]
struct Index {
    salt: u32,
    sources: Vec<Source>,
    /// By the sequence number of a block's first record.
    places: BTreeMap<u64, u64>,
    /// The next entry, and the sequence number of the next record.
    at: u64,
    next_seq: u64,
    last_place: u64,
}

/// The records with these sequence numbers, of the journal in the folder `dir`.
///
/// # Errors
///
/// As [`Lookup::records`].
pub fn read_records(dir: &Path, seqs: &[u64]) -> Result<Vec<Stored>, JournalError> {
    Lookup::new(dir).records(seqs)
}

impl Lookup {
    /// For the journal in the folder `dir`.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Lookup { dir: dir.join(FOLDER), indexed: BTreeMap::new() }
    }

    /// The records with these sequence numbers, which are in ascending order. A record that is not
    /// there, because it was trimmed or has not come yet, is left out.
    ///
    /// # Errors
    ///
    /// If a block that holds one of them is damaged, or cannot be read.
    pub fn records(&mut self, seqs: &[u64]) -> Result<Vec<Stored>, JournalError> {
        debug_assert!(seqs.is_sorted());
        let segments = segment::list(&self.dir)?;
        let mut found = Vec::with_capacity(seqs.len());
        let mut seqs = seqs;
        for (index, (first_seq, path)) in segments.iter().enumerate() {
            seqs = &seqs[seqs.partition_point(|seq| seq < first_seq)..];
            let next = segments.get(index + 1).map_or(u64::MAX, |(next, _)| *next);
            let (here, later) = seqs.split_at(seqs.partition_point(|seq| *seq < next));
            seqs = later;
            if !here.is_empty() {
                self.of_segment(*first_seq, path, here, &mut found)?;
            }
        }
        Ok(found)
    }

    fn of_segment(
        &mut self,
        first_seq: u64,
        path: &Path,
        mut seqs: &[u64],
        found: &mut Vec<Stored>,
    ) -> Result<(), JournalError> {
        let file = match File::open(path) {
            Ok(file) => file,
            // It was trimmed a moment ago.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(JournalError::io("open", path)(error)),
        };
        if !self.indexed.contains_key(&first_seq) {
            if self.indexed.len() == INDEXED_MAX {
                self.indexed.pop_first();
            }
            self.indexed.insert(first_seq, Index::of(path)?);
        }
        let index = self.indexed.get_mut(&first_seq).expect("it was put there above");
        let mut entries = Entries { file: BufReader::with_capacity(READ_BYTES, file), at: 0, path };
        let last = *seqs.last().expect("it was asked for some");
        index.reach(&mut entries, last)?;
        if index.next_seq <= last {
            complete(path, index.at)?;
        }
        let mut bytes = Vec::new();
        while let Some(seq) = seqs.first().filter(|seq| **seq < index.next_seq) {
            let place = index.places.range(..=seq).next_back();
            let block = match place {
                Some((_, place)) => entries.block_with(*seq, *place, index, &mut bytes)?,
                None => None,
            };
            let Some((epoch, decoded)) = block else {
                seqs = &seqs[1..];
                continue;
            };
            let end = decoded.head.first_seq + u64::from(decoded.head.count);
            let (here, later) = seqs.split_at(seqs.partition_point(|seq| *seq < end));
            found.extend(here.iter().map(|seq| stored(epoch, &decoded, *seq, &index.sources)));
            seqs = later;
        }
        Ok(())
    }
}

/// Whether a segment really ends where going from entry to entry ended. A damaged length leads
/// elsewhere; an unfinished write does too, and is none of a reader's business.
fn complete(path: &Path, at: u64) -> Result<(), JournalError> {
    let len = std::fs::metadata(path).map_err(JournalError::io("read", path))?.len();
    if at == len {
        return Ok(());
    }
    let bytes = std::fs::read(path).map_err(JournalError::io("read", path))?;
    let (header, start) = segment::decode_header(path, &bytes)?;
    let mut state = State::of(&header, POSITIONS_MAX);
    match segment::read(path, &bytes, start, header.salt, &mut state).tail {
        Tail::Damaged(damage) => Err(damage.into()),
        Tail::None | Tail::Torn(_) => Ok(()),
    }
}

fn stored(epoch: u64, decoded: &Decoded<'_>, seq: u64, sources: &[Source]) -> Stored {
    let index = (seq - decoded.head.first_seq) as usize;
    let start: usize = decoded.records[..index].iter().map(|record| record.text.len()).sum();
    let record = &decoded.records[index];
    Stored {
        seq,
        epoch,
        source: sources[record.source as usize].clone(),
        received_at: record.received_at,
        flags: record.flags,
        bytes: decoded.raw[start..start + record.text.len()].to_vec(),
    }
}

impl Index {
    fn of(path: &Path) -> Result<Index, JournalError> {
        let (header, len) = segment::header(path)?;
        Ok(Index {
            salt: header.salt,
            sources: header.sources,
            places: BTreeMap::new(),
            at: len as u64,
            next_seq: header.first_seq,
            last_place: 0,
        })
    }

    /// Goes on until the record `seq` is behind, or the end is reached.
    fn reach(&mut self, entries: &mut Entries<'_>, seq: u64) -> Result<(), JournalError> {
        while self.next_seq <= seq {
            let Some(head) = entries.head(self.at, self.salt)? else { break };
            match head.kind {
                Kind::Block if head.count > 0 => {
                    if head.first_seq != self.next_seq {
                        let what = Malformed("its records do not follow those before it");
                        return Err(entries.damaged(self.at, what));
                    }
                    if self.places.is_empty() || self.at >= self.last_place + STRIDE {
                        self.places.insert(head.first_seq, self.at);
                        self.last_place = self.at;
                    }
                    self.next_seq = head.first_seq.saturating_add(u64::from(head.count));
                }
                Kind::Gap => self.next_seq = self.next_seq.max(head.first_seq),
                Kind::Source => {
                    let mut bytes = Vec::new();
                    if !entries.whole(self.at, head.size, &mut bytes)? {
                        break;
                    }
                    let source = frame(&bytes, self.salt).and_then(|frame| {
                        let mut cursor = Bytes(frame.payload);
                        Ok((cursor.u32()?, cursor.source()?))
                    });
                    let (number, source) = match source {
                        Ok(read) => read,
                        Err(what) => return Err(entries.damaged(self.at, what)),
                    };
                    if number as usize == self.sources.len() {
                        self.sources.push(source);
                    }
                }
                _ => {}
            }
            self.at += head.size as u64;
        }
        Ok(())
    }
}

/// The entries of a segment, one at a time.
struct Entries<'a> {
    file: BufReader<File>,
    /// Where `file` stands.
    at: u64,
    path: &'a Path,
}

/// What can be known of an entry from its first bytes.
struct Place {
    kind: Kind,
    size: usize,
    /// Of a block, its first; of a gap, the first after it.
    first_seq: u64,
    count: u32,
}

impl Entries<'_> {
    fn damaged(&self, at: u64, what: Malformed) -> JournalError {
        JournalError::damaged(self.path, at, what)
    }

    fn seek(&mut self, to: u64) -> io::Result<()> {
        match i64::try_from(i128::from(to) - i128::from(self.at)) {
            Ok(offset) => self.file.seek_relative(offset)?,
            Err(_) => drop(self.file.seek(SeekFrom::Start(to))?),
        }
        self.at = to;
        Ok(())
    }

    /// Reads as many bytes as `bytes` is long, or as there are; how many.
    fn read(&mut self, at: u64, bytes: &mut [u8]) -> Result<usize, JournalError> {
        let read = self.seek(at).and_then(|()| {
            let mut filled = 0;
            while filled < bytes.len() {
                match self.file.read(&mut bytes[filled..]) {
                    Ok(0) => break,
                    Ok(more) => filled += more,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(filled)
        });
        let filled = read.map_err(JournalError::io("read", self.path))?;
        self.at += filled as u64;
        Ok(filled)
    }

    /// The head of the entry at `at`; none at the end, or where a writer has got to.
    fn head(&mut self, at: u64, salt: u32) -> Result<Option<Place>, JournalError> {
        let mut bytes = [0; FRAME + HEAD + 12];
        let filled = self.read(at, &mut bytes)?;
        if filled < FRAME + HEAD {
            return Ok(None);
        }
        let head = entry_head(&bytes, salt).map_err(|what| self.damaged(at, what))?;
        let EntryHead { kind, size, .. } = head;
        let (first_seq, count) = match kind {
            Kind::Block | Kind::Gap if filled < bytes.len() => return Ok(None),
            Kind::Block | Kind::Gap => {
                block::peek(&bytes[FRAME + HEAD..]).map_err(|what| self.damaged(at, what))?
            }
            _ => (0, 0),
        };
        Ok(Some(Place { kind, size, first_seq, count }))
    }

    /// Reads a whole entry; whether it is there.
    fn whole(&mut self, at: u64, size: usize, bytes: &mut Vec<u8>) -> Result<bool, JournalError> {
        bytes.resize(size, 0);
        Ok(self.read(at, bytes)? == size)
    }

    /// The block that holds the record `seq`, and its epoch. It lies at `place` or after it.
    fn block_with<'b>(
        &mut self,
        seq: u64,
        place: u64,
        index: &Index,
        bytes: &'b mut Vec<u8>,
    ) -> Result<Option<(u64, Decoded<'b>)>, JournalError> {
        let mut at = place;
        let size = loop {
            let Some(head) = self.head(at, index.salt)? else { return Ok(None) };
            let end = head.first_seq.saturating_add(u64::from(head.count));
            if head.kind == Kind::Block && head.count > 0 && seq < end {
                if seq < head.first_seq {
                    return Ok(None);
                }
                break head.size;
            }
            at += head.size as u64;
        };
        if !self.whole(at, size, bytes)? {
            return Ok(None);
        }
        let decoded = frame(bytes, index.salt).and_then(|frame| {
            Ok((frame.epoch, block::decode(frame.payload, index.sources.len())?))
        });
        decoded.map(Some).map_err(|what| self.damaged(at, what))
    }
}
