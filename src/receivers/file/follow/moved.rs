//! Files that were rotated while nobody looked.
//!
//! A file that was followed may have been written to after the last look, and then have got a name
//! that no pattern names, or been copied or compressed, before the next start. What it held then
//! is in its folder still, as a rule: the same inode under any name, or a file that begins as it
//! did and whose name begins as its name does (`auth.log`: `auth.log.1`, `auth.log-20261122.gz`).

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::super::super::counters::count;
use super::super::feed::Stopped;
use super::super::tail::{Inode, Left, Tail, Turn};
use super::super::{content, pattern};
use super::{Follower, Text, remember};
use crate::intake::Position;

/// How many entries of a folder are looked at.
const ENTRIES_MAX: usize = 65_536;
/// How many files of similar names are opened for one that is missed, the newest first.
const SIMILAR_MAX: usize = 64;
/// How many bytes must be known of how a file began, for a copy of it to be known by them.
const KNOWN_BYTES_MIN: u32 = 32;

/// What folders hold, each looked at once.
#[derive(Debug, Default)]
struct Folders(BTreeMap<PathBuf, Vec<(u64, PathBuf)>>);

impl Folders {
    fn entries(&mut self, folder: &Path) -> &[(u64, PathBuf)] {
        self.0.entry(folder.to_owned()).or_insert_with(|| {
            let named = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            let entries = std::fs::read_dir(named).into_iter().flatten().flatten();
            let listed = entries.take(ENTRIES_MAX);
            listed.map(|entry| (entry.ino(), folder.join(entry.file_name()))).collect()
        })
    }

    /// Where a file is that was left at `known`: under another name, or a copy of it that holds
    /// what was read and perhaps more. `is_other` says of a file that it is known to be another.
    fn find(
        &mut self,
        known: &Position,
        is_other: impl Fn(Inode, &[u8]) -> bool,
    ) -> Option<(PathBuf, File, Metadata)> {
        let path = Path::new(&known.path);
        let entries = self.entries(path.parent()?);
        let same = entries.iter().filter(|(inode, _)| *inode == known.inode);
        let renamed = same.filter_map(|(_, path)| continuation(path, known, &is_other)).next();
        if renamed.is_some() || known.fingerprint_len < KNOWN_BYTES_MIN {
            return renamed;
        }
        let name = path.file_name()?.as_encoded_bytes();
        let stem = name.split(|byte| *byte == b'.').next().filter(|stem| !stem.is_empty())?;
        let is_similar = |path: &&PathBuf| {
            let name = path.file_name().map(|name| name.as_encoded_bytes());
            name.is_some_and(|name| name.starts_with(stem))
        };
        let mut similar: Vec<_> = entries
            .iter()
            .map(|(_, path)| path)
            .filter(is_similar)
            .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
            .collect();
        similar.sort_by(|a, b| b.cmp(a));
        similar.truncate(SIMILAR_MAX);
        similar.iter().find_map(|(_, path)| continuation(path, known, &is_other))
    }
}

/// The file at `path`, if what was read at `known` is what it begins with.
fn continuation(
    path: &Path,
    known: &Position,
    is_other: &impl Fn(Inode, &[u8]) -> bool,
) -> Option<(PathBuf, File, Metadata)> {
    let (file, metadata) = pattern::open(path).ok()?;
    let text = Text::new(&file, &metadata).ok()?;
    let begins_so = content::begins_as(&text.head, known) && content::refusal(&text.head).is_none();
    let goes_on = begins_so
        && !is_other(Inode::of(&metadata), &text.head)
        && text.before(known.offset).is_some();
    drop(text);
    goes_on.then(|| (path.to_owned(), file, metadata))
}

impl Follower {
    /// Reads the rest of files that were rotated while nobody looked, each to its end, before what
    /// has their names now.
    pub(super) fn seek_moved(
        &mut self,
        found: &BTreeMap<Inode, (PathBuf, usize, Metadata)>,
        buffer: &mut [u8],
    ) -> Result<(), Stopped> {
        let mut folders = Folders::default();
        let left: Vec<Position> = self.known.iter().filter(|k| !k.complete).cloned().collect();
        for (number, known) in left.iter().enumerate() {
            if self.link.context.shutdown.is_cancelled() {
                return Err(Stopped);
            }
            let here = found.get(&Inode::at(known));
            if here.is_some_and(|(path, index, _)| self.is_as_left(*index, path, known)) {
                continue;
            }
            let is_other = |inode: Inode, head: &[u8]| {
                let read = |other: &Position| {
                    other != known && Inode::at(other) == inode && content::begins_as(head, other)
                };
                self.tails.contains_key(&inode) || self.known.iter().any(read)
            };
            match folders.find(known, is_other) {
                Some((path, file, metadata)) => {
                    self.known.retain(|other| other != known);
                    if found.contains_key(&Inode::of(&metadata)) {
                        // It is going to be known as a copy.
                        let left = Left {
                            position: known.clone(),
                            read_to: known.offset,
                            recent: Vec::new(),
                        };
                        remember(&mut self.left, left);
                        continue;
                    }
                    if let Err(error) = self.go_on(known, path.clone(), file, &metadata, buffer)? {
                        self.complain(path, &error);
                    }
                }
                None => {
                    let later = || left[number + 1..].iter().any(|later| later.path == known.path);
                    let replaced =
                        here.is_none() && self.names.contains_key(Path::new(&known.path));
                    if replaced && !later() {
                        count(&self.link.counters.gaps, 1);
                        let (path, read_to) = (&known.path, known.offset);
                        tracing::warn!(
                            receiver = "file",
                            path,
                            read_to,
                            "file was replaced meanwhile, and what it was is not in its folder; \
                             what was written to it after the last look is missing"
                        );
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a file that a pattern names is what it was, and no shorter.
    fn is_as_left(&self, index: usize, path: &Path, known: &Position) -> bool {
        let Ok((file, metadata)) = self.patterns[index].open(path) else { return true };
        let Ok(text) = Text::new(&file, &metadata) else { return true };
        let packed = text.packed.is_some();
        content::begins_as(&text.head, known) && (packed || known.offset <= text.len)
    }

    /// Goes on with a file that is outside the patterns now.
    fn go_on(
        &mut self,
        known: &Position,
        path: PathBuf,
        file: File,
        metadata: &Metadata,
        buffer: &mut [u8],
    ) -> Result<std::io::Result<()>, Stopped> {
        let inode = Inode::of(metadata);
        let text = match Text::new(&file, metadata) {
            Ok(text) => text,
            Err(error) => return Ok(Err(error)),
        };
        let (fingerprint, fingerprint_len) = content::fingerprint(&text.head);
        let Inode { device, inode: number } = inode;
        let position =
            Position { device, inode: number, fingerprint, fingerprint_len, ..known.clone() };
        let unpacked = text.unpacked().and_then(|mut unpacked| {
            let recent = unpacked.skip(position.offset)?;
            Some((unpacked, recent))
        });
        drop(text);
        let shown = path.display();
        tracing::info!(receiver = "file", path = known.path, now = %shown, "going on behind a rotation");
        count(&self.link.counters.files, 1);
        count(&self.link.counters.rotations, 1);
        let mut tail = Tail::new(path, file, position, self.options.line_max);
        if let Some((unpacked, recent)) = unpacked {
            tail.unpack(unpacked, recent);
            tail.file = None;
        }
        tail.gone = Some(Instant::now());
        while !self.link.context.shutdown.is_cancelled() {
            let (turn, left) = tail.turn(&self.options, buffer, &self.link)?;
            if let Some(left) = left {
                remember(&mut self.left, left);
            }
            if turn == Turn::End {
                break;
            }
        }
        self.tails.insert(inode, tail);
        Ok(Ok(()))
    }
}
