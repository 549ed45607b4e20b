//! Cuts text into lines, for whoever reads files and pipes.
//!
//! A line ends with LF; a CR before it is removed. NULs at its beginning are removed too: they
//! are the hole that a writer leaves when it writes on at its old place in a file that was cut.
//! Empty lines are counted and skipped. Of a line that is too long the beginning is a record.
//!
//! The records depend on the bytes, never on how they were cut into reads. At most `line_max`
//! bytes are held.

use memchr::memchr_iter;
use operators::types::Flags;

/// What was odd; taken and added to the receiver's counters by the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lines with nothing in them.
    pub empty: u64,
    /// Lines cut at the longest length.
    pub truncated: u64,
    /// Lines given without having ended.
    pub unterminated: u64,
    /// Pieces that were not what the file began as.
    pub malformed: u64,
}

/// Cuts one source's bytes into lines. See the [module](self).
#[derive(Debug)]
pub struct Lines {
    line_max: usize,
    /// The beginning of the line that has not ended.
    buffer: Vec<u8>,
    /// How long that line is so far, with what was not kept of it.
    begun: u64,
    /// How many bytes of empty lines came since the last record.
    skipped: u64,
    cut: bool,
    /// What was odd since this was last taken.
    pub tally: Tally,
}

impl Lines {
    /// Lines of at most `line_max` bytes.
    #[must_use]
    pub fn new(line_max: usize) -> Self {
        let tally = Tally::default();
        Lines { line_max, buffer: Vec::new(), begun: 0, skipped: 0, cut: false, tally }
    }

    /// How many bytes came since the end of the last line.
    #[must_use]
    pub fn begun(&self) -> u64 {
        self.begun
    }

    /// Takes the next bytes. Each record is given with the number of bytes, delimiters included,
    /// that came since the end of the record before it.
    ///
    /// # Errors
    ///
    /// What `record` returns; the lines are then of no more use.
    pub fn push<E>(
        &mut self,
        bytes: &[u8],
        record: &mut impl FnMut(&[u8], Flags, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut start = 0;
        for end in memchr_iter(b'\n', bytes) {
            let line = &bytes[start..end];
            start = end + 1;
            if self.begun == 0 && line.len() <= self.line_max {
                self.skipped += line.len() as u64 + 1;
                self.give(line, record)?;
            } else {
                self.keep(line);
                self.skipped += self.begun + 1;
                self.end(Flags::default(), record)?;
            }
        }
        self.keep(&bytes[start..]);
        Ok(())
    }

    /// Gives the line that has begun, flagged with `flags`, because no end of it is to be
    /// expected.
    ///
    /// # Errors
    ///
    /// What `record` returns.
    pub fn finish<E>(
        &mut self,
        flags: Flags,
        record: &mut impl FnMut(&[u8], Flags, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.begun == 0 {
            return Ok(());
        }
        self.skipped += self.begun;
        self.end(flags, record)
    }

    fn end<E>(
        &mut self,
        mut flags: Flags,
        record: &mut impl FnMut(&[u8], Flags, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let line = std::mem::take(&mut self.buffer);
        self.begun = 0;
        let given = if std::mem::take(&mut self.cut) {
            flags.set(Flags::TRUNCATED);
            self.tally.truncated += 1;
            self.give_flagged(&line, flags, record)
        } else {
            let ended = !flags.has(Flags::UNTERMINATED);
            let line = line.strip_suffix(b"\r").filter(|_| ended).unwrap_or(&line);
            self.give_flagged(line, flags, record)
        };
        self.buffer = line;
        self.buffer.clear();
        // A rare long line should not hold its memory for ever.
        self.buffer.shrink_to(64 << 10);
        given
    }

    fn give<E>(
        &mut self,
        line: &[u8],
        record: &mut impl FnMut(&[u8], Flags, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let line = match line {
            [line @ .., b'\r'] => line,
            line => line,
        };
        self.give_flagged(without_hole(line), Flags::default(), record)
    }

    fn give_flagged<E>(
        &mut self,
        line: &[u8],
        flags: Flags,
        record: &mut impl FnMut(&[u8], Flags, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        if line.is_empty() {
            self.tally.empty += 1;
            return Ok(());
        }
        if flags.has(Flags::UNTERMINATED) {
            self.tally.unterminated += 1;
        }
        record(line, flags, std::mem::take(&mut self.skipped))
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.begun += bytes.len() as u64;
        let bytes = if self.buffer.is_empty() { without_hole(bytes) } else { bytes };
        let kept = bytes.len().min(self.line_max - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..kept]);
        self.cut |= kept < bytes.len();
    }
}

fn without_hole(line: &[u8]) -> &[u8] {
    match line.first() {
        Some(0) => &line[line.iter().take_while(|byte| **byte == 0).count()..],
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use operators::types::hash::mix;

    use super::*;

    const MAX: usize = 8;

    type Record = (String, Flags, u64);

    fn records<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Record>, Tally) {
        let (mut lines, mut records) = (Lines::new(MAX), Vec::new());
        let mut record = |line: &[u8], flags: Flags, taken: u64| {
            records.push((String::from_utf8_lossy(line).into_owned(), flags, taken));
            Ok::<(), ()>(())
        };
        for piece in pieces {
            lines.push(piece, &mut record).unwrap();
        }
        lines.finish(Flags::UNTERMINATED, &mut record).unwrap();
        (records, lines.tally)
    }

    #[test]
    fn each_line_is_a_record_and_says_how_far_it_reaches() {
        let (records, tally) = records([&b"one\n\r\n\ntwo\r\n\0\0\0three\n0123456789\nrest"[..]]);
        let none = Flags::default();
        let expected = [
            ("one", none, 4),
            ("two", none, 8),
            ("three", none, 9),
            ("01234567", Flags::TRUNCATED, 11),
            ("rest", Flags::UNTERMINATED, 4),
        ];
        assert_eq!(records, expected.map(|(line, flags, taken)| (line.to_owned(), flags, taken)));
        assert_eq!(tally, Tally { empty: 2, truncated: 1, unterminated: 1, malformed: 0 });
    }

    #[test]
    fn the_lines_do_not_depend_on_how_the_bytes_were_cut() {
        for seed in 0..20_000u64 {
            let byte = |i: u64| b"ab\n\r\0\nabc"[mix(seed << 8 | i) as usize % 9];
            let bytes: Vec<u8> = (0..mix(seed) % 60).map(byte).collect();
            let whole = records([&bytes[..]]);
            assert_eq!(whole, records(bytes.chunks(1)), "{}", bytes.escape_ascii());
            assert_eq!(whole, records(bytes.chunks(5)), "{}", bytes.escape_ascii());
            let taken: u64 = whole.0.iter().map(|(.., taken)| taken).sum();
            assert!(taken <= bytes.len() as u64);
        }
    }

    #[test]
    fn a_hole_of_any_size_takes_no_memory() {
        let (mut lines, zeros) = (Lines::new(1 << 20), vec![0; 1 << 16]);
        let mut seen = Vec::new();
        let mut record = |line: &[u8], _: Flags, _: u64| {
            seen.push(line.to_vec());
            Ok::<(), ()>(())
        };
        for _ in 0..1_000 {
            lines.push(&zeros, &mut record).unwrap();
        }
        assert_eq!(lines.buffer.capacity(), 0);
        lines.push(b"after\n", &mut record).unwrap();
        assert_eq!(seen, [b"after"]);
    }
}
