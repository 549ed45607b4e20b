//! A file's text, compressed or not.

use std::fs::{File, Metadata};

use super::super::content::{self, FromStart, Unpacked};

/// How many bytes of text are looked at to see what a file is.
const HEAD_BYTES: usize = 4_096;
/// How far a compressed file is decompressed to see whether it is a copy.
const COMPARED_BYTES_MAX: u64 = 64 << 10;

/// The text of a file, compressed or not, at any place of it.
pub(super) struct Text<'a> {
    pub(super) file: &'a File,
    pub(super) len: u64,
    /// The first bytes of the file, if it is compressed.
    pub(super) packed: Option<Vec<u8>>,
    /// The first bytes of the text.
    pub(super) head: Vec<u8>,
}

impl<'a> Text<'a> {
    /// Less head, or none, if the compression is broken.
    pub(super) fn new(file: &'a File, metadata: &Metadata) -> std::io::Result<Self> {
        let mut head = vec![0; HEAD_BYTES];
        let read = content::read_at(file, &mut head, 0)?;
        head.truncate(read);
        let text = Text { file, len: metadata.len(), packed: None, head };
        if !content::is_packed(&text.head) {
            return Ok(text);
        }
        let mut head = vec![0; HEAD_BYTES];
        let text = Text { packed: Some(text.head), head: Vec::new(), ..text };
        let read = text.unpacked().map_or(0, |mut unpacked| unpacked.read(&mut head).0);
        head.truncate(read);
        Ok(Text { head, ..text })
    }

    /// From the start, if it is compressed.
    pub(super) fn unpacked(&self) -> Option<Unpacked> {
        let file = self.file.try_clone().ok()?;
        Unpacked::new(self.packed.as_ref()?, FromStart::new(file))
    }

    /// The bytes before a place; `None` if the text is shorter.
    pub(super) fn before(&self, at: u64) -> Option<Vec<u8>> {
        match self.packed {
            Some(_) => self.unpacked()?.skip(at),
            None if at <= self.len => content::before(self.file, at).ok(),
            None => None,
        }
    }

    /// Up to where it is cheap to compare, again and again.
    pub(super) fn comparable(&self) -> u64 {
        if self.packed.is_some() { COMPARED_BYTES_MAX } else { self.len }
    }
}
