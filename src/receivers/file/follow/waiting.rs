//! Files in which nothing stands yet, or too little to tell what they are.
//!
//! A rotation makes the new file before anything is written to it. It is held open from then on, so
//! that what is written is seen at once, even if it has lost its name again by then.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::path::PathBuf;
use std::time::Instant;

use super::super::feed::Stopped;
use super::super::tail::Inode;
use super::Follower;

/// How many are held open; the others are found by the next search after they have begun.
const WAITING_MAX: usize = 256;

/// A file that has not begun.
pub(super) struct Waiting {
    path: PathBuf,
    file: File,
    /// Since when no pattern names it.
    gone: Option<Instant>,
}

impl Follower {
    /// Holds a file until something is written to it.
    pub(super) fn wait_for(&mut self, inode: Inode, path: PathBuf, file: File) {
        if self.waiting.len() < WAITING_MAX {
            self.waiting.insert(inode, Waiting { path, file, gone: None });
        }
    }

    /// Follows those of the files that have begun.
    pub(super) fn adopt_begun(&mut self) -> Result<(), Stopped> {
        let length = |waiting: &Waiting| waiting.file.metadata().map_or(0, |of| of.len());
        let has_begun =
            |(inode, waiting): (&Inode, &Waiting)| (length(waiting) > 0).then_some(*inode);
        let begun: Vec<Inode> = self.waiting.iter().filter_map(has_begun).collect();
        for inode in begun {
            let Some(Waiting { path, file, .. }) = self.waiting.remove(&inode) else { continue };
            match file.metadata() {
                Ok(metadata) => self.adopt(path, file, &metadata)?,
                Err(error) => self.complain(path, &error),
            }
        }
        Ok(())
    }

    /// Notes the names that they have now, and lets go of those that have had none for long.
    pub(super) fn see_waiting(&mut self, found: &BTreeMap<Inode, (PathBuf, usize, Metadata)>) {
        let grace = self.options.rotate_grace;
        self.waiting.retain(|inode, waiting| {
            match found.get(inode) {
                Some((path, ..)) => (waiting.path, waiting.gone) = (path.clone(), None),
                None => _ = waiting.gone.get_or_insert_with(Instant::now),
            }
            waiting.gone.is_none_or(|gone| gone.elapsed() < grace)
        });
    }
}
