//! Files read once, from end to end, in an order that does not change.
//!
//! Paths in the order given; within a folder or a pattern by name. A file that is named twice is
//! read once. Records were received when their file was last written; those of standard input,
//! when reading it began. What cannot be read is a [`Problem`], and the next file goes on.

use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use operators::types::{EventTime, Flags, Source};

use super::super::counters::{Counters, count};
use super::super::lines::Lines;
use super::super::{Context, event_time, now, stdin};
use super::CHUNK_BYTES;
use super::content::{self, FromStart, Unpacked};
use super::documents::{Documents, begin_like_documents};
use super::feed::{Feed, Link, Splitter, Stopped};
use super::pattern::{Pattern, PatternError, open};
use super::tail::Inode;
use crate::intake::Position;

/// The word for standard input in place of a path.
const STDIN: &str = "-";

/// What can be told to a replay.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// The longest record, in bytes; of a longer one the beginning is taken.
    pub line_max: usize,
}

/// How far a replay has come. Compressed files count by their compressed size.
#[derive(Debug, Default)]
pub struct Progress {
    /// The size of all files, known once they have been found; standard input counts nothing.
    pub bytes_total: AtomicU64,
    /// How much has been read.
    pub bytes_done: AtomicU64,
    /// How many inputs there are.
    pub files_total: AtomicU64,
    /// How many have been read to their end.
    pub files_done: AtomicU64,
}

/// What a replay did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many inputs were read, in part or to their end.
    pub files: u64,
    /// What could not be read, in the order in which it was met.
    pub problems: Vec<Problem>,
    /// Whether it was stopped before it was through.
    pub stopped: bool,
    /// Whether the system refused to open or read something.
    pub refused: bool,
}

/// Something that could not be read, or not as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What it was.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// Why a replay did not begin. Nothing has then been handed over.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A path that does not exist, or cannot be looked at.
    #[error("cannot read `{path}`")]
    Path {
        /// The path given.
        path: String,
        /// What the system answered.
        source: std::io::Error,
    },
    /// A pattern that is none.
    #[error("cannot use `{path}` as a path")]
    Pattern {
        /// The pattern given.
        path: String,
        /// What is wrong with it.
        source: PatternError,
    },
    /// A pattern, or a folder, without a file.
    #[error("`{path}` names no file, nor a folder that holds one")]
    Nothing {
        /// The path given.
        path: String,
    },
    /// The reading thread panicked.
    #[error("reading ended unexpectedly")]
    Panicked(#[from] tokio::task::JoinError),
}

/// Reads all that `paths` name, each to its end: files, folders with all that is in them,
/// patterns, and `-` for standard input.
///
/// Files that `positions` call complete are passed over, and others go on where they were left.
/// The last intake of a file says that it is complete, even if it then holds no record.
///
/// # Errors
///
/// If one of the paths cannot be found; then none is read.
pub async fn read_all(
    paths: &[String],
    options: &ReplayOptions,
    positions: &[Position],
    context: &Context,
    counters: &Arc<Counters>,
    progress: &Arc<Progress>,
) -> Result<Outcome, ReplayError> {
    let mut replay = Replay {
        options: options.clone(),
        positions: positions.to_vec(),
        link: Link {
            context: context.clone(),
            counters: counters.clone(),
            runtime: tokio::runtime::Handle::current(),
        },
        progress: progress.clone(),
        outcome: Outcome::default(),
    };
    let paths = paths.to_vec();
    let read = move || {
        let inputs = replay.find(&paths)?;
        for input in inputs {
            if replay.read(&input).is_err() {
                replay.outcome.stopped = true;
                break;
            }
            replay.progress.files_done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(replay.outcome)
    };
    tokio::task::spawn_blocking(read).await?
}

enum Input {
    Stdin,
    File(PathBuf),
}

struct Replay {
    options: ReplayOptions,
    positions: Vec<Position>,
    link: Link,
    progress: Arc<Progress>,
    outcome: Outcome,
}

impl Replay {
    /// All inputs, in order, none of them twice.
    fn find(&mut self, paths: &[String]) -> Result<Vec<Input>, ReplayError> {
        let mut seen = BTreeSet::new();
        let mut inputs = Vec::new();
        let mut bytes = 0;
        for path in paths {
            if path == STDIN {
                inputs.push(Input::Stdin);
                continue;
            }
            let found = files(path)?;
            if found.is_empty() {
                return Err(ReplayError::Nothing { path: path.clone() });
            }
            for file in found {
                match std::fs::metadata(&file) {
                    Ok(metadata) => {
                        if seen.insert(Inode::of(&metadata)) {
                            bytes += metadata.len();
                            inputs.push(Input::File(file));
                        } else {
                            let path = file.display();
                            tracing::info!(%path, "the file is named twice, and read once");
                        }
                    }
                    Err(error) => self.problem(&file, &error.to_string()),
                }
            }
        }
        self.progress.bytes_total.store(bytes, Ordering::Relaxed);
        self.progress.files_total.store(inputs.len() as u64, Ordering::Relaxed);
        Ok(inputs)
    }

    fn read(&mut self, input: &Input) -> Result<(), Stopped> {
        match input {
            Input::Stdin => self.read_stream(std::io::stdin()),
            Input::File(path) => match open(path) {
                Ok((file, metadata)) => {
                    let before = self.progress.bytes_done.load(Ordering::Relaxed);
                    let read = self.read_file(path, &file, &metadata);
                    // Also what was passed over is done.
                    let done = before + metadata.len();
                    self.progress.bytes_done.store(done, Ordering::Relaxed);
                    read
                }
                Err(error) => {
                    count(&self.link.counters.file_errors, 1);
                    self.outcome.refused = true;
                    self.problem(path, &error.to_string());
                    Ok(())
                }
            },
        }
    }

    fn read_file(&mut self, path: &Path, file: &File, metadata: &Metadata) -> Result<(), Stopped> {
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut reader = match Reader::new(file) {
            Ok(reader) => reader,
            Err(error) => {
                self.problem(path, &error.to_string());
                return Ok(());
            }
        };
        let before = self.progress.bytes_done.load(Ordering::Relaxed);
        let (read, mut result) = reader.read(&mut chunk);
        let head = &chunk[..read];
        if let Some(reason) = content::refusal(head) {
            count(&self.link.counters.binary, 1);
            self.problem(path, reason);
            return Ok(());
        }
        let documents = begin_like_documents(head);
        let (fingerprint, fingerprint_len) = content::fingerprint(head);
        let inode = Inode::of(metadata);
        let known = |position: &&Position| {
            Inode::at(position) == inode && content::begins_as(head, position)
        };
        let known = self.positions.iter().find(known);
        // One that was complete and has grown since is read on from where it was.
        let grown =
            |known: &Position| known.offset < metadata.len() && matches!(reader, Reader::Plain(_));
        if known.is_some_and(|known| known.complete && !grown(known)) {
            let path = path.display();
            tracing::info!(%path, "the file was read by a run before this one, and is passed over");
            return Ok(());
        }
        let offset = known.map_or(0, |known| known.offset);
        let position = Position {
            path: known.map_or_else(|| path.to_string_lossy().into_owned(), |k| k.path.clone()),
            device: inode.device,
            inode: inode.inode,
            fingerprint,
            fingerprint_len,
            offset,
            complete: false,
        };
        self.outcome.files += 1;
        count(&self.link.counters.files, 1);
        let source = Source { receiver: "file".into(), name: position.path.clone() };
        let time = metadata.modified().map_or_else(|_| now(), event_time);
        let mut feed = self.feed(source, Some(position), time, documents);
        let mut at = 0;
        let mut filled = read;
        loop {
            // What was read before an earlier end of this replay is passed over.
            let skip = (offset.saturating_sub(at)).min(filled as u64) as usize;
            feed.take(&chunk[skip..filled], &self.link)?;
            at += filled as u64;
            let done = before + reader.used().min(metadata.len());
            self.progress.bytes_done.store(done, Ordering::Relaxed);
            if result.is_err() || filled < chunk.len() {
                break;
            }
            self.stop_if_told()?;
            (filled, result) = reader.read(&mut chunk);
        }
        let flags = if result.is_ok() { Flags::default() } else { Flags::UNTERMINATED };
        if let Err(error) = result {
            count(&self.link.counters.file_errors, 1);
            let reason = format!("{error}; what could be read of it was taken");
            self.problem(path, &reason);
        }
        self.end(feed, flags)
    }

    fn read_stream(&mut self, mut input: impl Read + Send + 'static) -> Result<(), Stopped> {
        let time = now();
        let mut chunk = vec![0; CHUNK_BYTES];
        let (head, mut result) = fill(&mut input, &mut chunk);
        self.outcome.files += 1;
        let rest: Box<dyn Read + Send> =
            Box::new(std::io::Cursor::new(chunk[..head].to_vec()).chain(input));
        let mut reader = match content::is_packed(&chunk[..head]) {
            true => match Unpacked::new(&chunk[..head], rest) {
                Some(unpacked) => Reader::Packed(unpacked),
                None => return Ok(()),
            },
            false => Reader::Stream(rest),
        };
        let mut feed = None;
        let mut filled = chunk.len();
        while result.is_ok() && filled == chunk.len() {
            (filled, result) = reader.read(&mut chunk);
            let head = &chunk[..filled];
            let feed = feed.get_or_insert_with(|| {
                self.feed(stdin::source(), None, time, begin_like_documents(head))
            });
            feed.take(head, &self.link)?;
            // A pipe may take its time: what has come is of use already.
            feed.flush(&self.link)?;
            self.stop_if_told()?;
        }
        let flags = if result.is_ok() { Flags::default() } else { Flags::UNTERMINATED };
        if let Err(error) = result {
            self.problem(Path::new(STDIN), &error.to_string());
        }
        match feed {
            Some(feed) => self.end(feed, flags),
            None => Ok(()),
        }
    }

    fn stop_if_told(&self) -> Result<(), Stopped> {
        if self.link.context.shutdown.is_cancelled() { Err(Stopped) } else { Ok(()) }
    }

    fn feed(
        &self,
        source: Source,
        position: Option<Position>,
        time: EventTime,
        documents: bool,
    ) -> Feed {
        let splitter = match documents {
            true => Splitter::Documents(Documents::new(self.options.line_max)),
            false => Splitter::Lines(Lines::new(self.options.line_max)),
        };
        Feed::new(source, position, Some(time), splitter)
    }

    /// The input has ended: so has its last record.
    fn end(&self, mut feed: Feed, flags: Flags) -> Result<(), Stopped> {
        feed.end_record(flags, &self.link)?;
        match feed.position_mut() {
            Some(position) => {
                position.complete = true;
                feed.note_position(&self.link)
            }
            None => feed.flush(&self.link),
        }
    }

    fn problem(&mut self, path: &Path, reason: &str) {
        // Whoever asked for the replay is told, at its end.
        tracing::debug!(path = %path.display(), reason, "file not read as a whole");
        let path = path.to_string_lossy().into_owned();
        self.outcome.problems.push(Problem { path, reason: reason.to_owned() });
    }
}

/// The files that one path means.
fn files(path: &str) -> Result<Vec<PathBuf>, ReplayError> {
    let pattern_error =
        |source: PatternError| ReplayError::Pattern { path: path.to_owned(), source };
    let within = |folder: &Path| {
        let text = format!("{}/**", globset::escape(&folder.to_string_lossy()));
        Pattern::new(&text).map(|pattern| pattern.find()).map_err(pattern_error)
    };
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => within(Path::new(path)),
        Ok(_) => Ok(vec![PathBuf::from(path)]),
        Err(source) => {
            let pattern = Pattern::new(path).map_err(pattern_error)?;
            if pattern.is_path() {
                return Err(ReplayError::Path { path: path.to_owned(), source });
            }
            Ok(pattern.find())
        }
    }
}

/// Where a replay's bytes come from.
enum Reader {
    Plain(FromStart),
    Packed(Unpacked),
    Stream(Box<dyn Read + Send>),
}

impl Reader {
    fn new(file: &File) -> std::io::Result<Self> {
        let mut head = [0; 8];
        let read = file.read_at(&mut head, 0)?;
        let start = FromStart::new(file.try_clone()?);
        if !content::is_packed(&head[..read]) {
            return Ok(Reader::Plain(start));
        }
        let unpacked = Unpacked::new(&head[..read], start);
        unpacked.map(Reader::Packed).ok_or_else(|| std::io::Error::other("broken compression"))
    }

    /// Fills the buffer as far as there is text; less only at the end or before an error.
    fn read(&mut self, buffer: &mut [u8]) -> (usize, std::io::Result<()>) {
        match self {
            Reader::Plain(file) => fill(file, buffer),
            Reader::Packed(unpacked) => unpacked.read(buffer),
            Reader::Stream(stream) => fill(stream, buffer),
        }
    }

    /// How many bytes of the file have been used, about.
    fn used(&self) -> u64 {
        match self {
            Reader::Plain(file) => file.offset(),
            Reader::Packed(unpacked) => unpacked.packed_bytes(),
            Reader::Stream(_) => 0,
        }
    }
}

fn fill(input: &mut impl Read, buffer: &mut [u8]) -> (usize, std::io::Result<()>) {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return (filled, Err(error)),
        }
    }
    (filled, Ok(()))
}
