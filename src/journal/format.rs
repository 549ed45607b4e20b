//! The bytes of a segment: numbers, frames, the header. What they mean is in [`super`].

use operators::types::{EventTime, Source};

use crate::intake::Position;

/// How every segment begins.
pub(super) const MAGIC: [u8; 8] = *b"SEERJRNL";
/// The format that this program writes and reads.
pub const VERSION: u32 = 1;
/// Length and checksum of an entry.
pub(super) const FRAME: usize = 8;
/// Kind, epoch and their own checksum, which every entry's body begins with.
pub(super) const HEAD: usize = 13;
/// No entry is longer. A length beyond it is damage, so damage cannot ask for memory.
pub(super) const ENTRY_BYTES_MAX: usize = 64 << 20;
/// What precedes a header's variable part: magic, version, length, checksum, salt.
pub(super) const HEADER_HEAD: usize = 24;
/// No header is longer.
pub(super) const HEADER_BYTES_MAX: usize = 64 << 20;
/// How large a group's buffer stays once it is written.
const KEPT_BYTES: usize = 8 << 20;
/// In the kind byte: the next entry belongs to the same group, and neither counts without it.
const MORE: u8 = 0x80;

/// Bytes that do not say what they should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Block = 1,
    Source = 2,
    EpochEnd = 3,
    Control = 4,
    Clean = 5,
    Gap = 6,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Kind> {
        Some(match byte & !MORE {
            1 => Kind::Block,
            2 => Kind::Source,
            3 => Kind::EpochEnd,
            4 => Kind::Control,
            5 => Kind::Clean,
            6 => Kind::Gap,
            _ => return None,
        })
    }
}

/// One entry in its frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub(super) kind: Kind,
    /// Whether its group goes on.
    pub(super) more: bool,
    pub(super) epoch: u64,
    pub(super) payload: &'a [u8],
    /// All its bytes in the segment, the frame included.
    pub(super) size: usize,
}

/// The entry at the start of `bytes`, if its checksum is right.
pub(super) fn frame(bytes: &[u8], salt: u32) -> Result<Frame<'_>, Malformed> {
    let frame = frame_unchecked(bytes, salt)?;
    let found = u32::from_le_bytes(bytes[4..8].try_into().expect("four bytes"));
    match checksum(salt, &bytes[..4], &bytes[FRAME..frame.size]) == found {
        true => Ok(frame),
        false => Err(Malformed("its checksum is wrong")),
    }
}

/// The entry at the start of `bytes`, of which only the head is checked.
pub(super) fn frame_unchecked(bytes: &[u8], salt: u32) -> Result<Frame<'_>, Malformed> {
    let EntryHead { kind, more, epoch, size } = entry_head(bytes, salt)?;
    let whole = bytes.get(..size).ok_or(Malformed("it ends too early"))?;
    Ok(Frame { kind, more, epoch, payload: &whole[FRAME + HEAD..], size })
}

/// What an entry is and how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntryHead {
    pub(super) kind: Kind,
    more: bool,
    pub(super) epoch: u64,
    /// All its bytes in the segment, the frame included.
    pub(super) size: usize,
}

/// The head of the entry at the start of `bytes`. It has a checksum of its own, so that nobody is
/// led astray by a damaged length, and nothing inside a record can look like an entry.
pub(super) fn entry_head(bytes: &[u8], salt: u32) -> Result<EntryHead, Malformed> {
    let mut cursor = Bytes(bytes);
    let len = cursor.array::<4>()?;
    let _checksum = cursor.u32()?;
    let what = cursor.array::<{ HEAD - 4 }>()?;
    let found = cursor.u32()?;
    let size = u32::from_le_bytes(len) as usize;
    if !(HEAD..=ENTRY_BYTES_MAX).contains(&size) {
        return Err(Malformed("its length is none that an entry can have"));
    }
    let kind = Kind::from_byte(what[0]).ok_or(Malformed("its kind is unknown"))?;
    if checksum(salt, &len, &what) != found {
        return Err(Malformed("its head's checksum is wrong"));
    }
    let [byte, epoch @ ..] = what;
    let epoch = u64::from_le_bytes(epoch);
    Ok(EntryHead { kind, more: byte & MORE != 0, epoch, size: FRAME + size })
}

fn checksum(salt: u32, len: &[u8], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(salt, len), body)
}

/// Entries that are written at once and count only together.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) bytes: Vec<u8>,
    /// Where the last entry begins, as long as it is not known whether another follows.
    open: Option<usize>,
    pub(super) salt: u32,
}

impl Group {
    /// For the segment with this salt.
    pub(super) fn new(salt: u32) -> Self {
        Group { salt, ..Group::default() }
    }

    /// Begins an entry; its payload is appended to what is returned.
    pub(super) fn begin(&mut self, kind: Kind, epoch: u64) -> &mut Vec<u8> {
        self.finish(true);
        self.open = Some(self.bytes.len());
        self.bytes.extend_from_slice(&[0; FRAME]);
        self.bytes.push(kind as u8);
        self.bytes.extend_from_slice(&epoch.to_le_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        &mut self.bytes
    }

    /// Frames the entry begun last.
    pub(super) fn finish(&mut self, more: bool) {
        let Some(start) = self.open.take() else { return };
        let (head, body) = self.bytes[start..].split_at_mut(FRAME);
        if more {
            body[0] |= MORE;
        }
        let len = u32::try_from(body.len()).expect("entries are bounded far below 4 GiB");
        head[..4].copy_from_slice(&len.to_le_bytes());
        let of_head = checksum(self.salt, &head[..4], &body[..HEAD - 4]);
        body[HEAD - 4..HEAD].copy_from_slice(&of_head.to_le_bytes());
        let of_all = checksum(self.salt, &head[..4], body);
        head[4..].copy_from_slice(&of_all.to_le_bytes());
    }

    /// Empties it; what an unusual group needed is given back.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        self.open = None;
    }
}

/// What a segment knows before its first entry, so that older segments may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) salt: u32,
    pub(super) first_seq: u64,
    /// The epoch that is open.
    pub(super) epoch: u64,
    /// The first sequence number of that epoch; below `first_seq` if it began in an older segment.
    pub(super) epoch_first_seq: u64,
    /// How many control records that epoch holds already.
    pub(super) epoch_controls: u64,
    /// The latest receipt time of the open epoch; `MIN` if there is none yet.
    pub(super) epoch_received_at: EventTime,
    /// That of the epoch before it.
    pub(super) received_at: EventTime,
    pub(super) sources: Vec<Source>,
    /// The one that was noted last comes last.
    pub(super) positions: Vec<Position>,
}

/// Why a header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderError {
    Version(u32),
    Malformed(Malformed),
    /// More bytes are needed: so many in all.
    Short(usize),
}

impl From<Malformed> for HeaderError {
    fn from(malformed: Malformed) -> Self {
        HeaderError::Malformed(malformed)
    }
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&self.salt.to_le_bytes());
        for number in [self.first_seq, self.epoch, self.epoch_first_seq, self.epoch_controls] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.epoch_received_at.0.to_le_bytes());
        out.extend_from_slice(&self.received_at.0.to_le_bytes());
        put_varint(&mut out, self.sources.len() as u64);
        for source in &self.sources {
            put_source(&mut out, source);
        }
        put_positions(&mut out, &self.positions);
        let len = u32::try_from(out.len()).expect("sources and positions are bounded");
        out[12..16].copy_from_slice(&len.to_le_bytes());
        let checksum = Self::checksum(&out);
        out[16..20].copy_from_slice(&checksum.to_le_bytes());
        out
    }

    fn checksum(bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c(&bytes[..16]), &bytes[20..])
    }

    /// The header at the start of `bytes`, and its length.
    pub(super) fn decode(bytes: &[u8]) -> Result<(Header, usize), HeaderError> {
        if bytes.len() < HEADER_HEAD {
            return Err(HeaderError::Short(HEADER_HEAD));
        }
        let mut cursor = Bytes(bytes);
        if cursor.array::<8>()? != MAGIC {
            return Err(Malformed("it does not begin like a journal segment").into());
        }
        let version = cursor.u32()?;
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let len = cursor.u32()? as usize;
        if !(HEADER_HEAD..=HEADER_BYTES_MAX).contains(&len) {
            return Err(Malformed("its header has a length that none can have").into());
        }
        if bytes.len() < len {
            return Err(HeaderError::Short(len));
        }
        if cursor.u32()? != Self::checksum(&bytes[..len]) {
            return Err(Malformed("its header's checksum is wrong").into());
        }
        let mut cursor = Bytes(&bytes[20..len]);
        let header = Header {
            salt: cursor.u32()?,
            first_seq: cursor.u64()?,
            epoch: cursor.u64()?,
            epoch_first_seq: cursor.u64()?,
            epoch_controls: cursor.u64()?,
            epoch_received_at: EventTime(cursor.i64()?),
            received_at: EventTime(cursor.i64()?),
            sources: {
                let count = cursor.count()?;
                (0..count).map(|_| cursor.source()).collect::<Result<_, _>>()?
            },
            positions: cursor.positions()?,
        };
        if header.epoch_first_seq > header.first_seq || header.epoch == 0 {
            return Err(Malformed("its header contradicts itself").into());
        }
        Ok((header, len))
    }
}

/// What is left to be read of some bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Malformed("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        Ok(self.take(N)?.try_into().expect("as many bytes as were asked for"))
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, Malformed> {
        self.array().map(i64::from_le_bytes)
    }

    /// A number in LEB128, at most ten bytes.
    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let byte = self.u8()?;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed("a number in it is too large"))
    }

    /// A signed number: zigzag, then LEB128.
    pub(super) fn signed(&mut self) -> Result<i64, Malformed> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// How many things follow, of which each takes a byte or more.
    pub(super) fn count(&mut self) -> Result<usize, Malformed> {
        match self.varint()? {
            count if count <= self.0.len() as u64 => Ok(count as usize),
            _ => Err(Malformed("it counts more than it holds")),
        }
    }

    pub(super) fn text(&mut self) -> Result<String, Malformed> {
        let len = self.count()?;
        let text = std::str::from_utf8(self.take(len)?);
        text.map(str::to_owned).map_err(|_| Malformed("a name in it is not UTF-8"))
    }

    pub(super) fn source(&mut self) -> Result<Source, Malformed> {
        Ok(Source { receiver: self.text()?, name: self.text()? })
    }

    pub(super) fn positions(&mut self) -> Result<Vec<Position>, Malformed> {
        let count = self.count()?;
        let mut positions = Vec::new();
        for _ in 0..count {
            positions.push(Position {
                path: self.text()?,
                device: self.u64()?,
                inode: self.u64()?,
                fingerprint: self.u64()?,
                fingerprint_len: self.u32()?,
                offset: self.u64()?,
                complete: self.u8()? != 0,
            });
        }
        Ok(positions)
    }
}

#[inline]
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn put_source(out: &mut Vec<u8>, source: &Source) {
    put_text(out, &source.receiver);
    put_text(out, &source.name);
}

pub(super) fn put_positions(out: &mut Vec<u8>, positions: &[Position]) {
    put_varint(out, positions.len() as u64);
    for position in positions {
        put_text(out, &position.path);
        for number in [position.device, position.inode, position.fingerprint] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&position.fingerprint_len.to_le_bytes());
        out.extend_from_slice(&position.offset.to_le_bytes());
        out.push(u8::from(position.complete));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_back_as_it_was_written() {
        let mut out = Vec::new();
        let numbers = [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX];
        let signed = [0, -1, 1, i64::MIN, i64::MAX];
        numbers.iter().for_each(|number| put_varint(&mut out, *number));
        signed.iter().for_each(|number| put_signed(&mut out, *number));
        let mut cursor = Bytes(&out);
        assert!(numbers.iter().all(|number| cursor.varint() == Ok(*number)));
        assert!(signed.iter().all(|number| cursor.signed() == Ok(*number)));
        assert_eq!(cursor.u8(), Err(Malformed("it ends too early")));
        assert!(Bytes(&[0xff; 11]).varint().is_err());
    }

    #[test]
    fn a_frame_with_any_bit_flipped_is_refused() {
        let mut group = Group::new(7);
        group.begin(Kind::Control, 3).extend_from_slice(b"some payload");
        group.finish(false);
        let whole = frame(&group.bytes, 7).expect("nothing has touched it");
        assert_eq!((whole.epoch, whole.payload, whole.more), (3, &b"some payload"[..], false));
        assert!(frame(&group.bytes, 8).is_err(), "another segment's entry");
        for bit in 0..group.bytes.len() * 8 {
            let mut bytes = group.bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(frame(&bytes, 7).is_err(), "bit {bit}");
        }
    }
}
