//! Files: those that grow and rotate, and those that are read once.
//!
//! A file is known by its device, its inode and a hash of its first bytes, never by its name
//! alone. With each intake goes the [`Position`] behind its last record; after a restart reading
//! goes on there, so that nothing is lost and nothing comes twice.
//!
//! **Rotation by renaming.** The file under its new name is read to its end before the one that
//! has its old name; it keeps its source's name. A file that no pattern names any more is watched
//! for another [`Options::rotate_grace`], because its writer may not know yet. One that was rotated
//! while nobody looked is looked for in its folder at the next start, compressed or not.
//!
//! **Rotation by copying and truncating** loses what was written between our last read and the
//! truncation, and nobody can say whether that was anything: it is counted as a possible gap.
//! If the copy is among the files, it is read from where the original was left, so nothing is
//! missing. A copy, compressed or not, of a file that is read is known by its bytes and does not
//! come again.
//!
//! **Compressed files** (gzip, zstd; known by their first bytes) are read once, when they have
//! stopped growing. What can be decompressed of a broken one is kept.
//!
//! The system's notices only wake the reader; it looks by itself as well, at least each second.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::counters::Counters;
use super::{Context, Receiver, StartError, spawn_thread};
use crate::intake::Position;

mod content;
mod documents;
mod feed;
mod follow;
mod pattern;
mod replay;
mod tail;
#[cfg(test)]
mod tests;

pub use pattern::PatternError;
pub use replay::{Outcome, Problem, Progress, ReplayError, ReplayOptions, read_all};

/// How many bytes one read brings.
const CHUNK_BYTES: usize = 256 << 10;

/// For how long a start waits until the files that are there have been looked at. Only a great many
/// of them, or a file system that does not answer, take so long.
const LOOK_WITHIN: Duration = Duration::from_secs(5);

/// Where to begin with a file that is there at the first start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// With all that it holds already.
    Start,
    /// With what comes from now on; compressed files are then not read.
    End,
}

/// What can be told to the receiver. See `configs/default.yaml` for what is usual.
#[derive(Clone, Debug)]
pub struct Options {
    /// Paths and patterns of files; see [`PatternError`] for what they may not be.
    pub paths: Vec<String>,
    /// Where to begin with files that are there at the first start. Those that appear later are
    /// read from their start.
    pub read_from: ReadFrom,
    /// The longest line, in bytes; of a longer one the beginning is taken.
    pub line_max: usize,
    /// How often to look for new files, and at files of which the system says nothing.
    pub poll: Duration,
    /// A last line without an end is taken for whole when the file has not grown for so long.
    pub flush_after: Duration,
    /// How long a file is watched that has no name among the patterns any more.
    pub rotate_grace: Duration,
    /// How long a compressed file must not have changed before it is read.
    pub settle: Duration,
    /// How many files are followed; more are left alone, with a warning.
    pub files_max: usize,
}

impl Options {
    /// What is usual, for these paths.
    #[must_use]
    pub fn usual(paths: Vec<String>) -> Self {
        Options {
            paths,
            read_from: ReadFrom::Start,
            line_max: 1 << 20,
            poll: Duration::from_secs(1),
            flush_after: Duration::from_secs(5),
            rotate_grace: Duration::from_secs(30),
            settle: Duration::from_secs(2),
            files_max: 16_384,
        }
    }
}

/// Options that have been looked at, and nothing begun.
#[derive(Debug)]
pub(super) struct Plan {
    options: Options,
    patterns: Vec<pattern::Pattern>,
}

impl Plan {
    pub(super) fn new(options: &Options) -> Result<Self, PatternError> {
        let patterns = options.paths.iter().map(|text| pattern::Pattern::below_its_root(text));
        Ok(Plan { patterns: patterns.collect::<Result<_, _>>()?, options: options.clone() })
    }

    /// Starts to follow, behind what was read before.
    ///
    /// Comes back when it has looked at the files that are there, so that what is written from now
    /// on is new, or after [`LOOK_WITHIN`].
    pub(super) async fn start(
        self,
        positions: &[Position],
        context: &Context,
    ) -> Result<Receiver, StartError> {
        let counters = Arc::new(Counters::default());
        let link = feed::Link {
            context: context.clone(),
            counters: counters.clone(),
            runtime: tokio::runtime::Handle::current(),
        };
        let (looking, looked) = oneshot::channel();
        let known = positions.to_vec();
        let follower = follow::Follower::new(self.options, self.patterns, known, link, looking);
        let task = spawn_thread("file", move || follower.run())?;
        tokio::time::timeout(LOOK_WITHIN, looked).await.ok();
        Ok(Receiver { name: "file", counters, bound: Vec::new(), tasks: vec![task] })
    }
}
