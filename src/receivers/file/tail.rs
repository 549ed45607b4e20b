//! One file that is followed.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use operators::types::{Flags, Source};

use super::super::counters::count;
use super::super::lines::Lines;
use super::content::{self, FINGERPRINT_BYTES, Unpacked};
use super::feed::{Feed, Link, Splitter, Stopped};
use super::{CHUNK_BYTES, Options};
use crate::intake::Position;

/// How many bytes of one file are read before the others have their turn.
const TURN_BYTES: u64 = 4 << 20;

/// Which file it is, as long as it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Inode {
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl Inode {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Inode { device: metadata.dev(), inode: metadata.ino() }
    }

    pub(super) fn at(position: &Position) -> Self {
        Inode { device: position.device, inode: position.inode }
    }
}

/// How large a file is and when it changed: when both stay, it was not written to.
pub(super) type Shape = (u64, Option<SystemTime>);

pub(super) fn shape(metadata: &Metadata) -> Shape {
    (metadata.len(), metadata.modified().ok())
}

/// What kind of content it has.
#[derive(Debug)]
pub(super) enum Kind {
    /// Text that may grow.
    Plain,
    /// Compressed text, being read.
    Packed(Box<Unpacked>),
    /// Read to its end, and will not grow.
    Done,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// There may be more to read at once.
    More,
    /// At the end of what there is.
    End,
}

/// A file that is followed.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) path: PathBuf,
    pub(super) inode: Inode,
    /// Open while there may be something to read.
    pub(super) file: Option<File>,
    pub(super) kind: Kind,
    feed: Feed,
    /// The byte that is read next.
    read_to: u64,
    /// The last bytes before it, by which a copy is known.
    recent: Vec<u8>,
    pub(super) seen: Option<Shape>,
    grown: Instant,
    /// All that it held has been read, when last looked.
    pub(super) at_end: bool,
    /// The last attempt to read it failed, and that was told.
    complained: bool,
    /// Since when no pattern names it.
    pub(super) gone: Option<Instant>,
}

/// A file that was read up to there, and then went away or was cut: what a copy of it is known by.
#[derive(Clone, Debug)]
pub(super) struct Left {
    pub(super) position: Position,
    pub(super) read_to: u64,
    pub(super) recent: Vec<u8>,
}

impl Tail {
    /// Follows `file` from `position` on.
    pub(super) fn new(path: PathBuf, file: File, position: Position, line_max: usize) -> Self {
        let recent = match position.complete {
            true => Vec::new(),
            false => content::before(&file, position.offset).unwrap_or_default(),
        };
        let source = Source { receiver: "file".into(), name: position.path.clone() };
        Tail {
            path,
            inode: Inode::at(&position),
            file: Some(file),
            kind: if position.complete { Kind::Done } else { Kind::Plain },
            read_to: position.offset,
            recent,
            feed: Feed::new(source, Some(position), None, Splitter::Lines(Lines::new(line_max))),
            seen: None,
            grown: Instant::now(),
            at_end: false,
            complained: false,
            gone: None,
        }
    }

    pub(super) fn position(&self) -> &Position {
        self.feed.position().expect("a file that is followed has a position")
    }

    fn position_mut(&mut self) -> &mut Position {
        self.feed.position_mut().expect("a file that is followed has a position")
    }

    /// Whether nothing has come for so long.
    pub(super) fn is_quiet(&self, long: std::time::Duration) -> bool {
        self.grown.elapsed() >= long
    }

    pub(super) fn is_unpacking(&self) -> bool {
        matches!(self.kind, Kind::Packed(_))
    }

    /// Whether its last line has not ended.
    pub(super) fn is_within_line(&self) -> bool {
        self.feed.begun() > 0
    }

    pub(super) fn quiet_since(&self) -> Instant {
        self.grown
    }

    /// What a copy of this file would be known by, as of now.
    pub(super) fn left(&self) -> Left {
        Left {
            position: self.position().clone(),
            read_to: self.read_to,
            recent: self.recent.clone(),
        }
    }

    /// Lets the journal know where reading begins.
    pub(super) fn note_position(&mut self, link: &Link) -> Result<(), Stopped> {
        self.feed.note_position(link)
    }

    /// Reads decompressed text from now on, which goes on where reading was left.
    ///
    /// `recent` is the text just before.
    pub(super) fn unpack(&mut self, unpacked: Unpacked, recent: Vec<u8>) {
        self.recent = recent;
        self.kind = Kind::Packed(Box::new(unpacked));
    }

    /// Reads what there is, up to a turn's share. Gives what was left if the file was cut.
    pub(super) fn turn(
        &mut self,
        options: &Options,
        buffer: &mut [u8],
        link: &Link,
    ) -> Result<(Turn, Option<Left>), Stopped> {
        let (turn, left) = match self.kind {
            Kind::Done => (Turn::End, None),
            Kind::Packed(_) => (self.turn_packed(buffer, link)?, None),
            Kind::Plain => self.turn_plain(options, buffer, link)?,
        };
        self.at_end = turn == Turn::End;
        Ok((turn, left))
    }

    fn turn_plain(
        &mut self,
        options: &Options,
        buffer: &mut [u8],
        link: &Link,
    ) -> Result<(Turn, Option<Left>), Stopped> {
        let Some(file) = self.file.take() else { return Ok((Turn::End, None)) };
        let read = self.read_plain(&file, options, buffer, link);
        match read {
            Ok(done) => {
                self.file = Some(file);
                self.complained = false;
                done
            }
            // Stale handles and the like: it is opened anew, at the same place, when it is found.
            Err(error) => {
                if !std::mem::replace(&mut self.complained, true) {
                    count(&link.counters.file_errors, 1);
                    let path = self.path.display();
                    tracing::warn!(receiver = "file", %path, %error, "cannot read");
                }
                self.seen = None;
                self.feed.flush(link)?;
                Ok((Turn::End, None))
            }
        }
    }

    fn read_plain(
        &mut self,
        file: &File,
        options: &Options,
        buffer: &mut [u8],
        link: &Link,
    ) -> std::io::Result<Result<(Turn, Option<Left>), Stopped>> {
        let metadata = file.metadata()?;
        let mut left = None;
        if self.seen != Some(shape(&metadata)) {
            if self.was_cut(file, metadata.len())? {
                left = Some(self.left());
                if let Err(stopped) = self.begin_again(options, link) {
                    return Ok(Err(stopped));
                }
            }
            self.know_better(file, metadata.len())?;
            self.seen = Some(shape(&metadata));
        }
        let turn_end = self.read_to + TURN_BYTES;
        if self.read_to == metadata.len() {
            return Ok(self.at_end(options, link).map(|()| (Turn::End, left)));
        }
        while self.read_to < turn_end {
            let read = content::read_at(file, buffer, self.read_to)?;
            if read == 0 {
                return Ok(self.at_end(options, link).map(|()| (Turn::End, left)));
            }
            self.remember(&buffer[..read]);
            self.read_to += read as u64;
            self.grown = Instant::now();
            if let Err(stopped) = self.feed.take(&buffer[..read], link) {
                return Ok(Err(stopped));
            }
        }
        Ok(self.feed.flush(link).map(|()| (Turn::More, left)))
    }

    /// Whether it is shorter than what was read of it, or begins in another way.
    fn was_cut(&self, file: &File, len: u64) -> std::io::Result<bool> {
        if len < self.read_to {
            return Ok(true);
        }
        let mut head = [0; FINGERPRINT_BYTES];
        let read = content::read_at(file, &mut head, 0)?;
        Ok(!content::begins_as(&head[..read], self.position()))
    }

    /// Reads a file from its start that was cut.
    fn begin_again(&mut self, options: &Options, link: &Link) -> Result<(), Stopped> {
        count(&link.counters.gaps, 1);
        tracing::warn!(
            receiver = "file",
            path = %self.path.display(),
            "file was cut while it was read; what was written just before may be missing",
        );
        self.feed.end_record(Flags::UNTERMINATED, link)?;
        self.feed.flush(link)?;
        let (fingerprint, fingerprint_len) = content::fingerprint(&[]);
        let start = Position { fingerprint, fingerprint_len, offset: 0, ..self.position().clone() };
        let source = Source { receiver: "file".into(), name: start.path.clone() };
        let lines = Splitter::Lines(Lines::new(options.line_max));
        self.feed = Feed::new(source, Some(start), None, lines);
        self.read_to = 0;
        self.recent.clear();
        Ok(())
    }

    /// Makes the fingerprint cover more of a file that was short when it was made.
    fn know_better(&mut self, file: &File, len: u64) -> std::io::Result<()> {
        let covered = u64::from(self.position().fingerprint_len);
        if covered == FINGERPRINT_BYTES as u64 || len <= covered {
            return Ok(());
        }
        let mut head = [0; FINGERPRINT_BYTES];
        let read = content::read_at(file, &mut head, 0)?;
        let (fingerprint, fingerprint_len) = content::fingerprint(&head[..read]);
        let position = self.position_mut();
        (position.fingerprint, position.fingerprint_len) = (fingerprint, fingerprint_len);
        Ok(())
    }

    fn at_end(&mut self, options: &Options, link: &Link) -> Result<(), Stopped> {
        let last = if self.gone.is_some() { options.rotate_grace } else { options.flush_after };
        if self.feed.begun() > 0 && self.is_quiet(last) {
            self.feed.end_record(Flags::UNTERMINATED, link)?;
        }
        self.feed.flush(link)
    }

    /// Hands over a last line without an end, before the file is left.
    pub(super) fn leave(&mut self, link: &Link) -> Result<(), Stopped> {
        self.feed.end_record(Flags::UNTERMINATED, link)?;
        self.feed.flush(link)
    }

    fn remember(&mut self, bytes: &[u8]) {
        let kept = bytes.len().min(FINGERPRINT_BYTES);
        let excess = self.recent.len().saturating_sub(FINGERPRINT_BYTES - kept);
        self.recent.drain(..excess);
        self.recent.extend_from_slice(&bytes[bytes.len() - kept..]);
    }

    fn turn_packed(&mut self, buffer: &mut [u8], link: &Link) -> Result<Turn, Stopped> {
        let Kind::Packed(unpacked) = &mut self.kind else { return Ok(Turn::End) };
        let (read, result) = unpacked.read(buffer);
        self.grown = Instant::now();
        self.feed.take(&buffer[..read], link)?;
        self.remember(&buffer[..read]);
        self.read_to += read as u64;
        if let Err(error) = &result {
            count(&link.counters.file_errors, 1);
            let path = self.path.display();
            tracing::warn!(receiver = "file", %path, %error, "broken compression; rest skipped");
        }
        if result.is_ok() && read == buffer.len() {
            self.feed.flush(link)?;
            return Ok(Turn::More);
        }
        let flags = if result.is_ok() { Flags::default() } else { Flags::UNTERMINATED };
        self.feed.end_record(flags, link)?;
        self.position_mut().complete = true;
        self.feed.note_position(link)?;
        self.kind = Kind::Done;
        self.file = None;
        Ok(Turn::End)
    }
}

const _: () = assert!(TURN_BYTES >= CHUNK_BYTES as u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_remembers_the_last_bytes_it_has_read() {
        let file = File::open("/proc/self/exe").unwrap();
        let position = Position {
            path: String::new(),
            device: 0,
            inode: 0,
            fingerprint: 0,
            fingerprint_len: 0,
            offset: 0,
            complete: false,
        };
        let mut tail = Tail::new(PathBuf::new(), file, position, 10);
        let bytes: Vec<u8> = (0..2_000u32).map(|i| i as u8).collect();
        let mut read = 0;
        for piece in [1, 100, 200, 255, 256, 257, 1, 700] {
            tail.remember(&bytes[read..read + piece]);
            read += piece;
            let expected = &bytes[read.saturating_sub(FINGERPRINT_BYTES)..read];
            assert_eq!(tail.recent, expected, "after {read}");
        }
    }
}
