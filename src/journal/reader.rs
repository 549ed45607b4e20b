//! Reads a journal from an epoch on, as it was handed on when it was written.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{JournalError, TornTail};
use super::format::{Frame, Header, Kind, Malformed, frame_unchecked};
use super::retention::Meta;
use super::segment::{self, Tail};
use super::state::State;
use super::{Control, FOLDER, Fed, POSITIONS_MAX, block};

/// Everything from an epoch on: blocks, control records, ends of epochs; at the end what is in the
/// open epoch, which a [`Writer`](super::Writer) then goes on with.
///
/// Reads a segment at a time and checks all of it first. Needs no lock: beside a running writer
/// it sees everything up to some group.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
    from_epoch: u64,
    segments: VecDeque<PathBuf>,
    /// The last segment read, its bytes reused for the next.
    bytes: Vec<u8>,
    path: PathBuf,
    salt: u32,
    /// The next entry, and where the last whole group ends.
    at: usize,
    end: usize,
    state: Option<State>,
    torn: Option<TornTail>,
    failed: bool,
}

impl Reader {
    /// Begins with `from_epoch`: after a restart, the epoch after the checkpoint.
    ///
    /// # Errors
    ///
    /// If that epoch is not whole any more ([`JournalError::Trimmed`]) or is not yet
    /// ([`JournalError::Ahead`]), or the segments cannot be read.
    pub fn open(dir: &Path, from_epoch: u64) -> Result<Reader, JournalError> {
        let dir = dir.join(FOLDER);
        let mut segments = VecDeque::new();
        let mut oldest = None;
        // From the newest back: what lies before the segment to begin with is not even opened.
        for (_, path) in segment::list(&dir)?.into_iter().rev() {
            let header = segment::header(&path)?.0;
            let before = Meta::of(path.clone(), &header).last_before();
            segments.push_front(path);
            oldest = Some(before + 1);
            if before < from_epoch {
                break;
            }
        }
        match oldest {
            Some(oldest) if oldest > from_epoch => {
                Err(JournalError::Trimmed { dir, wanted: from_epoch, oldest })
            }
            _ => Ok(Reader::of(dir, segments, from_epoch)),
        }
    }

    /// Begins with the first record that is there, though the beginning of its epoch may be gone;
    /// also says which epoch and which sequence number that is.
    ///
    /// # Errors
    ///
    /// If the segments cannot be read.
    pub fn oldest(dir: &Path) -> Result<(u64, u64, Reader), JournalError> {
        let dir = dir.join(FOLDER);
        let segments: VecDeque<PathBuf> =
            segment::list(&dir)?.into_iter().map(|(_, path)| path).collect();
        let (epoch, seq) = match segments.front() {
            Some(path) => {
                let header = segment::header(path)?.0;
                (header.epoch, header.first_seq)
            }
            None => (super::FIRST_EPOCH, 0),
        };
        Ok((epoch, seq, Reader::of(dir, segments, epoch)))
    }

    fn of(dir: PathBuf, segments: VecDeque<PathBuf>, from_epoch: u64) -> Reader {
        Reader {
            dir,
            from_epoch,
            segments,
            bytes: Vec::new(),
            path: PathBuf::new(),
            salt: 0,
            at: 0,
            end: 0,
            state: None,
            torn: None,
            failed: false,
        }
    }

    /// At the end: the unfinished write that was passed over. A writer may be at work on it.
    #[must_use]
    pub fn torn(&self) -> Option<&TornTail> {
        self.torn.as_ref()
    }

    fn advance(&mut self) -> Result<Option<Fed>, JournalError> {
        loop {
            while self.at < self.end {
                if let Some(fed) = self.entry()? {
                    return Ok(Some(fed));
                }
            }
            let Some(path) = self.segments.pop_front() else { return self.finish() };
            self.load(path)?;
        }
    }

    /// After the last entry: was there an epoch to begin with?
    fn finish(&mut self) -> Result<Option<Fed>, JournalError> {
        let open = self.state.as_ref().map_or(super::FIRST_EPOCH, |state| state.cutter.epoch());
        match self.from_epoch > open {
            true => {
                Err(JournalError::Ahead { dir: self.dir.clone(), wanted: self.from_epoch, open })
            }
            false => Ok(None),
        }
    }

    /// The entry at hand, if it is one of those wanted.
    fn entry(&mut self) -> Result<Option<Fed>, JournalError> {
        let state = self.state.as_mut().expect("a segment's header comes before its entries");
        let (at, end) = (self.at, self.end);
        let fed = frame_unchecked(&self.bytes[at..end], self.salt)
            .and_then(|frame| {
                self.at += frame.size;
                fed(&frame, state, self.from_epoch)
            })
            .map_err(|what| JournalError::damaged(&self.path, at as u64, what))?;
        Ok(fed)
    }

    /// Reads a segment and checks all of it.
    fn load(&mut self, path: PathBuf) -> Result<(), JournalError> {
        self.bytes.clear();
        let read = File::open(&path).and_then(|mut file| file.read_to_end(&mut self.bytes));
        read.map_err(JournalError::io("read", &path))?;
        let (header, start) = segment::decode_header(&path, &self.bytes)?;
        self.state = Some(self.follow(&path, &header)?);
        let mut ahead = State::of(&header, POSITIONS_MAX);
        let reading = segment::read(&path, &self.bytes, start, header.salt, &mut ahead);
        (self.salt, self.at, self.end) = (header.salt, start, reading.end);
        match reading.tail {
            Tail::None => {}
            // The writer closes a segment with a whole group, so this one is where it writes, or
            // was when this was read.
            Tail::Torn(torn) if self.segments.is_empty() => self.torn = Some(torn),
            Tail::Torn(torn) => {
                let what = Malformed("it ends in an unfinished write and is not the last");
                return Err(JournalError::damaged(&path, torn.offset, what));
            }
            Tail::Damaged(damage) => return Err(damage.into()),
        }
        self.path = path;
        Ok(())
    }

    /// The state at a segment's start, which must be that at the end of the one before.
    fn follow(&self, path: &Path, header: &Header) -> Result<State, JournalError> {
        let state = State::of(header, POSITIONS_MAX);
        // Where an epoch began may have been lost in a gap; where it goes on is not.
        let place = |state: &State| (state.cutter.next_seq(), state.cutter.epoch());
        match &self.state {
            Some(before) if place(before) != place(&state) => {
                let what = Malformed("it does not follow the segment before it");
                Err(JournalError::damaged(path, 0, what))
            }
            _ => Ok(state),
        }
    }
}

/// Takes `state` past an entry; what is to be handed on for it.
fn fed(frame: &Frame<'_>, state: &mut State, from: u64) -> Result<Option<Fed>, Malformed> {
    let epoch = frame.epoch;
    // The state knows where an epoch ends and how late it is only after the entry.
    state.apply(frame)?;
    if epoch < from {
        return Ok(None);
    }
    Ok(match frame.kind {
        Kind::Block => {
            let sources = &state.sources.table;
            let decoded = block::decode(frame.payload, sources.len())?;
            let first_seq = decoded.head.first_seq;
            let (raw, positions) = (decoded.raw.into_owned(), &decoded.head.positions);
            let block = block::block(epoch, first_seq, raw, decoded.records, sources, positions);
            block.map(|block| Fed::Block(Arc::new(block)))
        }
        Kind::Control => Some(Fed::Control { epoch, control: Control::decode(frame.payload)? }),
        Kind::EpochEnd => Some(ended(epoch, state)),
        // Damage took the end of the epoch away, and nothing of it is left to come.
        Kind::Gap if state.cutter.epoch() > epoch => Some(ended(epoch, state)),
        Kind::Gap | Kind::Source | Kind::Clean => None,
    })
}

fn ended(epoch: u64, state: &State) -> Fed {
    let (next_seq, received_at_max) = (state.cutter.next_seq(), state.received_at_max());
    Fed::EpochEnd { epoch, next_seq, received_at_max }
}

impl Iterator for Reader {
    type Item = Result<Fed, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.advance();
        self.failed = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}
