//! What can be wrong with a journal.

use std::io;
use std::path::{Path, PathBuf};

use super::format::{Malformed, VERSION};

/// Bytes of a segment that cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment.
    pub file: PathBuf,
    /// The first byte that is bad.
    pub offset: u64,
    /// What is wrong there.
    pub what: &'static str,
    /// How many bytes, from `offset` on, a repair moves aside; 0 if what is there is left.
    pub bytes: u64,
    /// To where; of a segment whose header is bad, all of it.
    pub aside: PathBuf,
    /// The sequence numbers that are missing after a repair; none is used again. Empty where
    /// nobody has looked yet.
    pub lost_seqs: std::ops::Range<u64>,
    /// Whether all of them were records; else there were so many at most.
    pub exact: bool,
}

impl Damage {
    /// Damage of which nobody knows yet what it costs.
    pub(super) fn found(file: &Path, offset: u64, what: &'static str) -> Self {
        let file = file.to_owned();
        let aside = damaged_path(&file, offset);
        Damage { file, offset, what, bytes: 0, aside, lost_seqs: 0..0, exact: false }
    }
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Damage { file, offset, what, .. } = self;
        write!(
            f,
            "journal segment `{}` is damaged at byte {offset}: {what}; a repair goes on without \
             what cannot be read, and says what that is: {}",
            file.display(),
            repair_command(file.parent()),
        )
    }
}

impl std::error::Error for Damage {}

/// What to type to have a journal in this folder repaired.
fn repair_command(journal: Option<&Path>) -> String {
    let state = journal.and_then(Path::parent).unwrap_or(Path::new("DIR"));
    format!("`seerflow-dataflow state repair --state {}`", state.display())
}

/// Where a repair moves what it takes out of `file` at `offset`: to a file that is not there yet,
/// so that an earlier repair's is left.
fn damaged_path(file: &Path, offset: u64) -> PathBuf {
    let first = std::iter::once(format!("{offset}.damaged"));
    let others = (2u64..).map(|time| format!("{offset}.{time}.damaged"));
    let mut paths = first.chain(others).map(|extension| file.with_extension(extension));
    paths.find(|path| !path.exists()).expect("no folder has so many files")
}

/// A last group that was not written to its end, as a crash leaves it. Nobody was told that it
/// was safe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment.
    pub file: PathBuf,
    /// Where it was cut.
    pub offset: u64,
    /// How many bytes were cut.
    pub bytes: u64,
    /// How many entries among them were whole.
    pub entries: u64,
}

impl std::fmt::Display for TornTail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let TornTail { file, offset, bytes, entries } = self;
        write!(
            f,
            "journal segment `{}`: cut {bytes} bytes ({entries} whole entries) of an unfinished \
             write at byte {offset}",
            file.display()
        )
    }
}

/// Why a journal cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process has the folder.
    #[error("state folder `{}` is in use by {holder}", dir.display())]
    InUse {
        /// The folder.
        dir: PathBuf,
        /// `process N`, or `another process`.
        holder: String,
    },
    /// Another version of the program wrote it.
    #[error(
        "journal segment `{}` has format version {found}; this program reads version {VERSION}",
        file.display()
    )]
    Version {
        /// The segment.
        file: PathBuf,
        /// Its version.
        found: u32,
    },
    /// Some of it cannot be trusted.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The epochs that were asked for are not there any more.
    #[error("journal `{}` begins with epoch {oldest}; epoch {wanted} was asked for", dir.display())]
    Trimmed {
        /// The journal's folder.
        dir: PathBuf,
        /// The first epoch that was asked for.
        wanted: u64,
        /// The first epoch that is whole.
        oldest: u64,
    },
    /// The epochs that were asked for have not been.
    #[error(
        "journal `{}` ends in epoch {open}; epoch {wanted} was asked for, so its end is missing; \
         a repair goes on without it: {}",
        dir.display(),
        repair_command(Some(dir))
    )]
    Ahead {
        /// The journal's folder.
        dir: PathBuf,
        /// The first epoch that was asked for.
        wanted: u64,
        /// The open epoch.
        open: u64,
    },
    /// The operating system says no.
    #[error("cannot {doing} `{}`", path.display())]
    Io {
        /// What was to be done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
}

impl JournalError {
    /// For `map_err`: what was to be done to which path.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| JournalError::Io { doing, path, source }
    }

    /// Something in a segment that is not as it was written.
    pub(super) fn damaged(file: &Path, offset: u64, what: Malformed) -> Self {
        JournalError::Damaged(Damage::found(file, offset, what.0))
    }
}
