//! What is in a file: its text, if need be decompressed; or that it is none.

use std::fs::File;
use std::io::{BufReader, Error, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;
use operators::types::hash::stable;

use crate::intake::Position;

/// How many bytes a file is known by.
pub(super) const FINGERPRINT_BYTES: usize = 256;
/// How many bytes are looked at to tell text from other things.
const SAMPLE_BYTES: usize = 4_096;
/// A file of fewer bytes is not judged.
const SAMPLE_BYTES_MIN: usize = 512;
/// Text grows by less than this when it is decompressed …
const EXPANSION_MAX: u64 = 400;
/// … once it is this long. What grows by more is a bomb.
const EXPANSION_FREE_BYTES: u64 = 64 << 20;
/// The largest window of zstd, as a power of two: 128 MiB of memory, what `zstd --long` takes.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// Whether these first bytes are those of a compressed file.
pub(super) fn is_packed(head: &[u8]) -> bool {
    packing(head).is_some()
}

enum Packing {
    Gzip,
    Zstd,
}

fn packing(head: &[u8]) -> Option<Packing> {
    match head {
        [0x1f, 0x8b, ..] => Some(Packing::Gzip),
        // A frame, or a skippable frame before one, as parallel compressors write it.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Packing::Zstd),
        _ => None,
    }
}

/// Reads as much as there is, up to `buffer`'s length, from a place in a file.
pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// The bytes before a place in a file, as many as a file is known by.
pub(super) fn before(file: &File, offset: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; offset.min(FINGERPRINT_BYTES as u64) as usize];
    let start = offset - bytes.len() as u64;
    let read = read_at(file, &mut bytes, start)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Reads a file from its start, whatever else is done with it meanwhile.
#[derive(Debug)]
pub(super) struct FromStart {
    file: File,
    offset: u64,
}

impl FromStart {
    pub(super) fn new(file: File) -> Self {
        FromStart { file, offset: 0 }
    }

    /// How many bytes have been read.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// The hash of the first bytes of a file, and how many bytes it covers.
pub(super) fn fingerprint(head: &[u8]) -> (u64, u32) {
    let head = &head[..head.len().min(FINGERPRINT_BYTES)];
    (stable(head), head.len() as u32)
}

/// Whether a file that begins with `head` is the one that was seen at `position`.
pub(super) fn begins_as(head: &[u8], position: &Position) -> bool {
    let covered = head.get(..position.fingerprint_len as usize);
    covered.is_some_and(|covered| stable(covered) == position.fingerprint)
}

/// Why a file that begins like this is not read, if it is not.
pub(super) fn refusal(head: &[u8]) -> Option<&'static str> {
    match head {
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            Some("is compressed with xz, which is not read; unpack it first")
        }
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] => {
            Some("is compressed with bzip2, which is not read; unpack it first")
        }
        _ if looks_binary(head) => Some("does not look like text; not read"),
        _ => None,
    }
}

/// Whether a file that begins like this is no text: more than one byte in twenty is a control
/// character that no text has. A hole at the beginning is not looked at.
fn looks_binary(head: &[u8]) -> bool {
    let hole = head.iter().take_while(|byte| **byte == 0).count();
    let sample = &head[hole..];
    let sample = &sample[..sample.len().min(SAMPLE_BYTES)];
    if sample.len() < SAMPLE_BYTES_MIN {
        return false;
    }
    let odd = |byte: &&u8| matches!(byte, 0..=7 | 14..=26 | 28..=31 | 127);
    sample.iter().filter(odd).count() * 20 > sample.len()
}

/// The text of a compressed file, from its beginning on.
pub(super) struct Unpacked {
    reader: Box<dyn Read + Send>,
    packed: Arc<AtomicU64>,
    text: u64,
}

impl std::fmt::Debug for Unpacked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unpacked").field("text", &self.text).finish_non_exhaustive()
    }
}

/// Counts what passes.
struct Counting<R>(R, Arc<AtomicU64>);

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.0.read(buffer)?;
        self.1.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl Unpacked {
    /// Begins to decompress what begins with `head`; `None` if that is not compressed.
    pub(super) fn new(head: &[u8], input: impl Read + Send + 'static) -> Option<Self> {
        let packed = Arc::new(AtomicU64::new(0));
        let input = BufReader::with_capacity(64 << 10, Counting(input, packed.clone()));
        let reader: Box<dyn Read + Send> = match packing(head)? {
            Packing::Gzip => Box::new(MultiGzDecoder::new(input)),
            Packing::Zstd => match zstd::Decoder::with_buffer(input) {
                Ok(mut decoder) => {
                    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).ok()?;
                    Box::new(decoder)
                }
                Err(_) => return None,
            },
        };
        Some(Unpacked { reader, packed, text: 0 })
    }

    /// How many compressed bytes have been used so far, about.
    pub(super) fn packed_bytes(&self) -> u64 {
        self.packed.load(Ordering::Relaxed)
    }

    /// Skips this many bytes of text; gives the last of them, or `None` if there are not so many.
    pub(super) fn skip(&mut self, mut bytes: u64) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 64 << 10];
        let mut last = Vec::new();
        while bytes > 0 {
            let wanted = bytes.min(buffer.len() as u64) as usize;
            let (read, _) = self.read(&mut buffer[..wanted]);
            if read < wanted {
                return None;
            }
            last.extend_from_slice(&buffer[read.saturating_sub(FINGERPRINT_BYTES)..read]);
            last.drain(..last.len().saturating_sub(FINGERPRINT_BYTES));
            bytes -= read as u64;
        }
        Some(last)
    }

    /// Fills the buffer as far as there is text; less only at the end.
    ///
    /// # Errors
    ///
    /// With how many bytes are good nonetheless: compression that is corrupt, cut off, or a bomb.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> (usize, Result<(), Error>) {
        let mut read = 0;
        while read < buffer.len() {
            match self.reader.read(&mut buffer[read..]) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return (read, Err(error)),
            }
        }
        self.text += read as u64;
        let limit = self.packed_bytes().saturating_mul(EXPANSION_MAX).max(EXPANSION_FREE_BYTES);
        if self.text > limit {
            let text = format!("decompresses to more than {EXPANSION_MAX} times its size");
            return (read, Err(Error::other(text)));
        }
        (read, Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_any_language_is_no_binary_and_noise_is() {
        let line = "2026-11-22 \x1b[31mжурнал ログ\x1b[0m\tend\r\n".repeat(40);
        assert!(!looks_binary(line.as_bytes()));
        assert!(!looks_binary(&[vec![0; 4_096], line.clone().into_bytes()].concat()));
        assert!(!looks_binary(&[0; 4_096]), "a hole says nothing");
        let utf16: Vec<u8> = line.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(looks_binary(&utf16));
        let noise: Vec<u8> = (0..4_096).map(|i| operators::types::hash::mix(i) as u8).collect();
        assert!(looks_binary(&noise));
    }

    #[test]
    fn no_compressed_bytes_whatever_make_it_panic() {
        use std::io::Write;
        let text = "some text that repeats itself, some text that does not: 0123456789".repeat(50);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(text.as_bytes()).unwrap();
        let whole = [gzip.finish().unwrap(), zstd::encode_all(text.as_bytes(), 3).unwrap()];
        let mut buffer = vec![0; 8_192];
        for seed in 0..4_000u64 {
            let random = |i: u64| operators::types::hash::mix(seed << 8 | i) as usize;
            let mut bytes = whole[seed as usize % 2].clone();
            for change in 0..random(0) as u64 % 4 {
                let at = 4 + random(2 * change + 1) % (bytes.len() - 4);
                bytes[at] = random(2 * change + 2) as u8;
            }
            bytes.truncate(4 + random(99) % (2 * bytes.len()));
            let input = std::io::Cursor::new(bytes.clone());
            let (mut unpacked, mut read) = (Unpacked::new(&bytes, input).unwrap(), 1);
            while read > 0 {
                let (more, result) = unpacked.read(&mut buffer);
                read = if result.is_ok() { more } else { 0 };
            }
        }
    }
}
