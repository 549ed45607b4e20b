//! Blocks: how records are gathered into one, laid out in an entry, and seen as text.

use std::borrow::Cow;
use std::sync::Arc;

use operators::types::{Block, EventTime, Flags, Record, Source, Text};

use super::format::{Bytes, ENTRY_BYTES_MAX, Malformed, put_positions, put_signed, put_varint};
use crate::intake::Position;

/// The most bytes of records in a block, unless one record alone is larger.
pub const BLOCK_BYTES_MAX: usize = 1 << 20;
/// The most bytes of a record; what is longer is cut off, and the record marked as truncated.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

/// The bytes of records are as they were received.
const PLAIN: u8 = 0;
/// The bytes of records are one LZ4 block.
const LZ4: u8 = 1;

/// The receiver whose sources are named by the paths of files.
const FILE: &str = "file";

/// Records of one source and one receipt time that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    records: u32,
    source: u32,
    received_at: EventTime,
}

/// A block that is being filled.
#[derive(Debug, Default)]
pub(super) struct Builder {
    raw: Vec<u8>,
    records: Vec<Record>,
    runs: Vec<Run>,
    flagged: usize,
    positions: Vec<Position>,
    /// How many records to make room for: as many as were in the last block.
    expected: usize,
}

impl Builder {
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.raw.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.positions.is_empty()
    }

    /// Adds a file position, which becomes known with the block.
    pub(super) fn position(&mut self, position: Position) {
        self.positions.push(position);
    }

    /// Adds records that lie one after the other in `bytes`; they end at `ends`, less `start`.
    pub(super) fn push(
        &mut self,
        (source, received_at): (u32, EventTime),
        bytes: &[u8],
        start: u32,
        ends: &[(u32, Flags)],
    ) {
        if self.records.is_empty() {
            // A guess at the block's size from its first records spares most of the growing.
            self.records.reserve(self.expected.max(ends.len()));
            let guess = (bytes.len() / ends.len().max(1)).saturating_mul(self.expected);
            self.raw.reserve(guess.min(BLOCK_BYTES_MAX).max(bytes.len()));
        }
        let base = self.raw.len();
        self.raw.extend_from_slice(bytes);
        let mut from = base;
        for &(end, flags) in ends {
            let to = base + (end - start) as usize;
            let text = Text::in_block(from, to - from);
            self.flagged += usize::from(flags != Flags::default());
            self.records.push(Record { text, source, received_at, flags });
            from = to;
        }
        let records = ends.len() as u32;
        match self.runs.last_mut() {
            Some(run) if run.source == source && run.received_at == received_at => {
                run.records += records;
            }
            _ => self.runs.push(Run { records, source, received_at }),
        }
    }

    /// Appends the payload of a block entry. The layout is in [the journal's page](super).
    pub(super) fn encode(&self, first_seq: u64, compress: bool, out: &mut Vec<u8>) {
        let base = self.runs.first().map_or(EventTime(0), |run| run.received_at);
        out.extend_from_slice(&first_seq.to_le_bytes());
        out.extend_from_slice(&(self.records.len() as u32).to_le_bytes());
        out.extend_from_slice(&base.0.to_le_bytes());
        put_positions(out, &self.positions);
        put_varint(out, self.runs.len() as u64);
        for run in &self.runs {
            put_varint(out, u64::from(run.records));
            put_varint(out, u64::from(run.source));
            put_signed(out, run.received_at.0.wrapping_sub(base.0));
        }
        self.encode_flags(out);
        for record in &self.records {
            put_varint(out, record.text.len() as u64);
        }
        put_varint(out, self.raw.len() as u64);
        let compressed = if compress { lz4_flex::block::compress(&self.raw) } else { Vec::new() };
        // Less than an eighth saved is not worth the time of whoever reads it.
        match compress && compressed.len() < self.raw.len() / 8 * 7 {
            true => {
                out.push(LZ4);
                out.extend_from_slice(&compressed);
            }
            false => {
                out.push(PLAIN);
                out.extend_from_slice(&self.raw);
            }
        }
    }

    fn encode_flags(&self, out: &mut Vec<u8>) {
        put_varint(out, self.flagged as u64);
        if self.flagged == 0 {
            return;
        }
        let mut last = 0;
        for (index, record) in self.records.iter().enumerate() {
            if record.flags != Flags::default() {
                put_varint(out, (index - last) as u64);
                out.extend_from_slice(&record.flags.0.to_le_bytes());
                last = index;
            }
        }
    }

    /// The records as a block, if there are any; the builder is empty afterwards.
    pub(super) fn finish(
        &mut self,
        epoch: u64,
        first_seq: u64,
        sources: &Arc<Vec<Source>>,
    ) -> Option<Block> {
        let expected = self.records.len();
        let next = Builder { expected, ..Builder::default() };
        let Builder { raw, records, positions, .. } = std::mem::replace(self, next);
        block(epoch, first_seq, raw, records, sources, &positions)
    }
}

/// A block of these records, whose `text` lies in `raw`; `None` if there is nothing to say.
pub(super) fn block(
    epoch: u64,
    first_seq: u64,
    raw: Vec<u8>,
    mut records: Vec<Record>,
    sources: &Arc<Vec<Source>>,
    positions: &[Position],
) -> Option<Block> {
    let ended = ended(positions, sources);
    if records.is_empty() && ended.is_empty() {
        return None;
    }
    let text = text_view(raw, &mut records);
    Some(Block { epoch, first_seq, text, records, sources: Arc::clone(sources), ended })
}

/// The numbers of the files that have been read whole.
fn ended(positions: &[Position], sources: &[Source]) -> Vec<u32> {
    let complete = positions.iter().filter(|position| position.complete);
    let number = |position: &Position| {
        let its = |source: &Source| source.receiver == FILE && source.name == position.path;
        sources.iter().position(its).map(|number| number as u32)
    };
    complete.filter_map(number).collect()
}

/// The records' bytes as text; in a record that is not UTF-8, U+FFFD stands for what is not.
///
/// The records lie one after the other in `raw`. Where one had to be changed, all are moved.
fn text_view(raw: Vec<u8>, records: &mut [Record]) -> String {
    let raw = match String::from_utf8(raw) {
        // All together may be UTF-8 though a record ends within a character and the next begins
        // with the rest of it.
        Ok(text) if at_boundaries(&text, records) => return text,
        Ok(text) => text.into_bytes(),
        Err(error) => error.into_bytes(),
    };
    let mut text = String::with_capacity(raw.len() + 64);
    let mut rest = &raw[..];
    for record in records {
        let (bytes, after) = rest.split_at(record.text.len());
        rest = after;
        let start = text.len();
        match String::from_utf8_lossy(bytes) {
            Cow::Borrowed(whole) => text.push_str(whole),
            Cow::Owned(replaced) => {
                text.push_str(&replaced);
                record.flags.set(Flags::NOT_UTF8);
            }
        }
        record.text = Text::in_block(start, text.len() - start);
    }
    text
}

fn at_boundaries(text: &str, records: &[Record]) -> bool {
    let mut end = 0;
    records.iter().all(|record| {
        end += record.text.len();
        text.is_char_boundary(end)
    })
}

/// What stands before the records in a block entry.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) first_seq: u64,
    pub(super) count: u32,
    pub(super) positions: Vec<Position>,
    /// The latest receipt time, if there are records.
    pub(super) received_at_max: Option<EventTime>,
    runs: Vec<Run>,
}

impl Head {
    /// How many sources have to be known to read it.
    pub(super) fn sources(&self) -> usize {
        self.runs.iter().map(|run| run.source as usize + 1).max().unwrap_or(0)
    }

    /// The receipt time of the first record, if there is one.
    pub(super) fn received_at_first(&self) -> Option<EventTime> {
        self.runs.first().map(|run| run.received_at)
    }
}

/// The sequence number of the first record and the number of records.
pub(super) fn peek(payload: &[u8]) -> Result<(u64, u32), Malformed> {
    let mut cursor = Bytes(payload);
    Ok((cursor.u64()?, cursor.u32()?))
}

/// Reads a block's head; `sources` is how many sources are known.
pub(super) fn head(cursor: &mut Bytes<'_>, sources: usize) -> Result<Head, Malformed> {
    let (first_seq, count, base) = (cursor.u64()?, cursor.u32()?, cursor.i64()?);
    let positions = cursor.positions()?;
    if count as usize > cursor.0.len() || first_seq.checked_add(u64::from(count)).is_none() {
        return Err(Malformed("it counts more records than it holds"));
    }
    let mut left = count;
    let mut runs = Vec::new();
    for _ in 0..cursor.count()? {
        let (records, source) = (cursor.varint()?, cursor.varint()?);
        let received_at = EventTime(base.wrapping_add(cursor.signed()?));
        if records > u64::from(left) || source >= sources as u64 {
            return Err(Malformed("its records are of a source that is not known"));
        }
        left -= records as u32;
        runs.push(Run { records: records as u32, source: source as u32, received_at });
    }
    if left != 0 {
        return Err(Malformed("some of its records are of no source"));
    }
    let received_at_max = runs.iter().map(|run| run.received_at).max();
    Ok(Head { first_seq, count, positions, received_at_max, runs })
}

/// A block's records as they were received: their bytes, and where each lies.
#[derive(Debug)]
pub(super) struct Decoded<'a> {
    pub(super) head: Head,
    pub(super) raw: Cow<'a, [u8]>,
    pub(super) records: Vec<Record>,
}

/// Reads a whole block; `sources` is how many sources are known.
pub(super) fn decode(payload: &[u8], sources: usize) -> Result<Decoded<'_>, Malformed> {
    let mut cursor = Bytes(payload);
    let head = head(&mut cursor, sources)?;
    let mut records = Vec::with_capacity(head.count as usize);
    let flagged = cursor.count()?;
    let mut flags = Vec::new();
    let mut at = 0u64;
    for _ in 0..flagged {
        at = at.saturating_add(cursor.varint()?);
        flags.push((at, Flags(cursor.u16()?)));
    }
    let mut end = 0usize;
    for run in &head.runs {
        for _ in 0..run.records {
            let len = cursor.varint()?;
            if len > (ENTRY_BYTES_MAX - end) as u64 {
                return Err(Malformed("a record in it is longer than an entry"));
            }
            records.push(Record {
                text: Text::in_block(end, len as usize),
                source: run.source,
                received_at: run.received_at,
                flags: Flags::default(),
            });
            end += len as usize;
        }
    }
    for (index, flags) in flags {
        let record = records.get_mut(index as usize);
        record.ok_or(Malformed("it flags a record that is not in it"))?.flags = flags;
    }
    let len = cursor.varint()?;
    let encoding = cursor.u8()?;
    let raw = match encoding {
        PLAIN => Cow::Borrowed(cursor.0),
        LZ4 if len == end as u64 => Cow::Owned(
            lz4_flex::block::decompress(cursor.0, end)
                .map_err(|_| Malformed("its compressed bytes are none"))?,
        ),
        LZ4 => return Err(Malformed("its records are not as long as its bytes")),
        _ => return Err(Malformed("its bytes are encoded in a way that is unknown")),
    };
    if len != end as u64 || raw.len() != end {
        return Err(Malformed("its records are not as long as its bytes"));
    }
    Ok(Decoded { head, raw, records })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(records: &[(&[u8], Flags)]) -> Builder {
        let mut builder = Builder::default();
        for (index, (bytes, flags)) in records.iter().enumerate() {
            let from = (index as u32 % 2, EventTime(100 - index as i64));
            builder.push(from, bytes, 0, &[(bytes.len() as u32, *flags)]);
        }
        builder
    }

    fn texts(block: &Block) -> Vec<(&str, Flags)> {
        block.records.iter().map(|record| (block.text(record.text), record.flags)).collect()
    }

    fn sources() -> Arc<Vec<Source>> {
        let source = |name: &str| Source { receiver: "test".into(), name: name.into() };
        Arc::new(vec![source("a"), source("b")])
    }

    #[test]
    fn a_block_is_read_back_as_it_was_written_compressed_or_not() {
        let long = [b'x'; 4_000];
        let records: [(&[u8], Flags); 5] = [
            (b"one", Flags::default()),
            (b"", Flags::EMPTY),
            (&long, Flags::TRUNCATED),
            (b"caf\xc3\xa9", Flags::default()),
            (b"four", Flags::UNTERMINATED),
        ];
        for compress in [false, true] {
            let mut builder = built(&records);
            let mut payload = Vec::new();
            builder.encode(77, compress, &mut payload);
            assert_eq!(payload.len() < 1_000, compress);
            let decoded = decode(&payload, 2).unwrap();
            assert_eq!((decoded.head.first_seq, decoded.head.count), (77, 5));
            assert_eq!(decoded.head.received_at_max, Some(EventTime(100)));
            let raw = decoded.raw.into_owned();
            let read = block(1, 77, raw, decoded.records, &sources(), &[]).unwrap();
            let made = builder.finish(1, 77, &sources()).unwrap();
            assert_eq!(texts(&read), texts(&made));
            assert_eq!(read.records[3].received_at, EventTime(97));
            assert_eq!(read.records[3].source, 1);
            assert!(decode(&payload, 1).is_err(), "the second source is not known");
        }
    }

    #[test]
    fn only_a_record_that_is_not_utf8_is_marked_and_replaced() {
        let plain = Flags::default();
        let mut builder = built(&[(b"good", plain), (b"b\xffd", plain), (b"\xc3\xbc", plain)]);
        let block = builder.finish(1, 0, &sources()).unwrap();
        let expected = [("good", plain), ("b\u{fffd}d", Flags::NOT_UTF8), ("ü", plain)];
        assert_eq!(texts(&block), expected);
    }

    #[test]
    fn a_character_torn_between_two_records_is_in_neither() {
        let plain = Flags::default();
        let mut builder = built(&[(b"a\xc3", plain), (b"\xbcb", plain)]);
        let block = builder.finish(1, 0, &sources()).unwrap();
        let expected = [("a\u{fffd}", Flags::NOT_UTF8), ("\u{fffd}b", Flags::NOT_UTF8)];
        assert_eq!(texts(&block), expected);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic() {
        let mut payload = Vec::new();
        built(&[(b"one", Flags::EMPTY), (b"two", Flags::default())]).encode(1, true, &mut payload);
        for index in 0..payload.len() {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = payload.clone();
                bytes[index] = byte;
                if let Ok(decoded) = decode(&bytes, 2) {
                    let Decoded { head, raw, records } = decoded;
                    let (raw, positions) = (raw.into_owned(), &head.positions);
                    block(1, head.first_seq, raw, records, &sources(), positions);
                }
            }
            assert!(decode(&payload[..index], 2).is_err());
        }
    }
}
