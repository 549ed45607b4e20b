//! Follows all files that the patterns name: finds them, knows them again, gives each its turn.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::oneshot;

use super::super::counters::{Rarely, count};
use super::content::{self, FINGERPRINT_BYTES};
use super::feed::{Link, Stopped};
use super::pattern::{self, Pattern};
use super::tail::{Inode, Kind, Left, Shape, Tail, Turn, shape};
use super::{CHUNK_BYTES, Options, ReadFrom};
use crate::intake::Position;

mod moved;
mod text;
mod waiting;

use text::Text;
use waiting::Waiting;

/// How many files are held open; beyond it those are closed that have been read to their end and
/// were quiet longest. At no time are more than twice as many open.
const OPEN_FILES_MAX: usize = 256;
/// How many files are decompressed at a time: each may take a window of 128 MiB.
const UNPACKING_MAX: usize = 4;
/// A file that was quiet for so long is closed, and opened again when it has changed.
const CLOSE_QUIET_AFTER: Duration = Duration::from_secs(300);
/// How many files that went away are remembered, to know their copies by.
const LEFT_MAX: usize = 1_024;
/// How many folders are watched; the poll finds what happens in others.
const WATCHES_MAX: usize = 1_024;
/// How many complaints are remembered, so that each is made once.
const COMPLAINTS_MAX: usize = 4_096;
/// Notices come in swarms; after the first the others are waited for.
const AFTER_NOTICE: Duration = Duration::from_millis(5);
/// The longest wait before looking whether to stop.
const LOOK_UP: Duration = Duration::from_millis(500);
/// A compressed file that did not change for so long by the clock needs not be watched first.
const SETTLED_BY_CLOCK: Duration = Duration::from_secs(60);
/// Searching takes at most one part in so many of the time.
const SEARCH_SHARE: u32 = 20;
/// No compressed file is smaller, and no smaller one tells what it is.
const PACKED_BYTES_MIN: u64 = 4;
/// How far back the beginning of the last line is looked for, when reading begins at the end.
const LAST_LINE_MAX: u64 = 1 << 20;

/// Follows files, on a thread of its own.
pub(super) struct Follower {
    options: Options,
    patterns: Vec<Pattern>,
    link: Link,
    tails: BTreeMap<Inode, Tail>,
    /// Which file each path named when last looked.
    names: BTreeMap<PathBuf, Inode>,
    /// Positions of an earlier run that belong to no file found so far.
    known: Vec<Position>,
    /// For each pattern, whether one of those was named by it.
    followed: Vec<bool>,
    /// Files that have not begun.
    waiting: BTreeMap<Inode, Waiting>,
    /// Files of this run that went away or were cut, the last ones.
    left: VecDeque<Left>,
    /// Compressed files that may still be growing.
    settling: BTreeMap<Inode, (Shape, Instant)>,
    /// Files that are no text, by what they looked like.
    refused: BTreeMap<Inode, Shape>,
    complaints: BTreeSet<PathBuf>,
    too_many: Rarely,
    /// Not all files that were there at the start have been looked at.
    first: bool,
    /// Dropped when they have been.
    looking: Option<oneshot::Sender<()>>,
    /// Those that were rotated before the start have been looked for.
    sought: bool,
    /// The last search was not finished, because too many files were open.
    interrupted: bool,
    next_search: Instant,
    /// Before that no search begins, whatever the system tells.
    rested: Instant,
    notices: Notices,
}

/// Where a file is begun.
enum Begin {
    At(Position),
    /// It is a copy of a file that is still read; it may become something else.
    NotNow,
}

impl Follower {
    pub(super) fn new(
        options: Options,
        patterns: Vec<Pattern>,
        known: Vec<Position>,
        link: Link,
        looking: oneshot::Sender<()>,
    ) -> Self {
        let named = |pattern: &Pattern| {
            known.iter().any(|position| pattern.names(Path::new(&position.path)))
        };
        let followed = patterns.iter().map(named).collect();
        Follower {
            options,
            followed,
            patterns,
            link,
            tails: BTreeMap::new(),
            names: BTreeMap::new(),
            known,
            waiting: BTreeMap::new(),
            left: VecDeque::new(),
            settling: BTreeMap::new(),
            refused: BTreeMap::new(),
            complaints: BTreeSet::new(),
            too_many: Rarely::new(),
            first: true,
            looking: Some(looking),
            sought: false,
            interrupted: false,
            next_search: Instant::now(),
            rested: Instant::now(),
            notices: Notices::new(),
        }
    }

    pub(super) fn run(mut self) {
        let mut buffer = vec![0; CHUNK_BYTES];
        while !self.link.context.shutdown.is_cancelled() {
            if self.step(&mut buffer).is_err() {
                break;
            }
        }
    }

    fn step(&mut self, buffer: &mut [u8]) -> Result<(), Stopped> {
        let now = Instant::now();
        let called = self.rested <= now && self.notices.names_changed();
        if self.next_search <= now || called || self.interrupted {
            self.search(buffer)?;
            let end = Instant::now();
            self.rested = end + (end - now) * SEARCH_SHARE;
            self.next_search = self.rested.max(end + self.options.poll);
        }
        if !self.first {
            self.adopt_begun()?;
        }
        if self.turns(buffer)? == Turn::End && !self.interrupted {
            let next = match self.notices.has_names() {
                true => self.rested,
                false => self.next_search,
            };
            self.notices.wait(next.saturating_duration_since(Instant::now()).min(LOOK_UP));
        }
        Ok(())
    }

    /// Gives each file a turn.
    fn turns(&mut self, buffer: &mut [u8]) -> Result<Turn, Stopped> {
        let mut all = Turn::End;
        let mut over = Vec::new();
        for (inode, tail) in &mut self.tails {
            let (turn, left) = tail.turn(&self.options, buffer, &self.link)?;
            if let Some(left) = left {
                remember(&mut self.left, left);
            }
            let grace = self.options.rotate_grace;
            let forgotten = tail.gone.is_some_and(|gone| gone.elapsed() >= grace);
            match turn {
                Turn::More => all = Turn::More,
                Turn::End if forgotten && (tail.file.is_none() || tail.is_quiet(grace)) => {
                    over.push(*inode);
                }
                Turn::End => {}
            }
            if self.link.context.shutdown.is_cancelled() {
                return Err(Stopped);
            }
        }
        for inode in over {
            let mut tail = self.tails.remove(&inode).expect("it was there a moment ago");
            tail.leave(&self.link)?;
            remember(&mut self.left, tail.left());
        }
        Ok(all)
    }

    /// Looks what the patterns name now.
    fn search(&mut self, buffer: &mut [u8]) -> Result<(), Stopped> {
        if self.names.is_empty() {
            // What comes while the first search is under way calls for another.
            self.watch();
        }
        let mut found: BTreeMap<Inode, (PathBuf, usize, Metadata)> = BTreeMap::new();
        let mut names = BTreeMap::new();
        for (index, pattern) in self.patterns.iter().enumerate() {
            for path in pattern.find() {
                let Ok(metadata) = std::fs::metadata(&path) else { continue };
                let inode = Inode::of(&metadata);
                names.insert(path.clone(), inode);
                let is_its_name = self.tails.get(&inode).is_some_and(|tail| tail.path == path);
                if is_its_name || !found.contains_key(&inode) {
                    found.insert(inode, (path, index, metadata));
                }
            }
        }
        self.see_rotations(&names);
        self.names = names;
        self.see_waiting(&found);
        self.settling
            .retain(|inode, _| found.contains_key(inode) || self.waiting.contains_key(inode));
        self.refused.retain(|inode, _| found.contains_key(inode));
        self.close_quiet();
        self.interrupted = false;
        self.revisit(&found, buffer)?;
        if !std::mem::replace(&mut self.sought, true) {
            self.seek_moved(&found, buffer)?;
        }
        let mut new: Vec<_> = found.into_iter().filter(|(inode, _)| self.is_new(*inode)).collect();
        new.sort_by(|a, b| a.1.0.cmp(&b.1.0));
        let mut open = self.open_files();
        for (inode, (path, index, metadata)) in new {
            if open >= 2 * OPEN_FILES_MAX {
                // These have their turns first, and are closed.
                self.interrupted = true;
                break;
            }
            if self.refused.get(&inode) == Some(&shape(&metadata)) {
                continue;
            }
            if self.tails.len() >= self.options.files_max {
                if self.too_many.now() {
                    let max = self.options.files_max;
                    tracing::warn!(receiver = "file", max, "more files than are followed");
                }
                break;
            }
            match self.patterns[index].open(&path) {
                Ok((file, metadata)) => {
                    self.adopt(path, file, &metadata)?;
                    open += 1;
                }
                Err(error) => self.complain(path, &error),
            }
        }
        self.first &= self.interrupted;
        if !self.first {
            self.looking = None;
        }
        self.watch();
        Ok(())
    }

    fn watch(&mut self) {
        let roots = self.patterns.iter().map(|pattern| match pattern.is_path() {
            true => pattern.root().parent().unwrap_or(Path::new("/")),
            false => pattern.root(),
        });
        let folders = self.tails.values().filter_map(|tail| tail.path.parent());
        self.notices.watch(roots.chain(folders));
    }

    fn is_new(&self, inode: Inode) -> bool {
        !self.tails.contains_key(&inode) && !self.waiting.contains_key(&inode)
    }

    fn see_rotations(&self, names: &BTreeMap<PathBuf, Inode>) {
        let before = |path: &PathBuf| self.names.get(path);
        let other = |(path, inode): &(&PathBuf, &Inode)| before(path).is_some_and(|b| b != *inode);
        count(&self.link.counters.rotations, names.iter().filter(other).count() as u64);
    }

    /// Looks again at files that are followed: under which name, changed, or gone.
    ///
    /// What has lost its name is read to its end at once, before what has that name now.
    fn revisit(
        &mut self,
        found: &BTreeMap<Inode, (PathBuf, usize, Metadata)>,
        buffer: &mut [u8],
    ) -> Result<(), Stopped> {
        let mut open = self.open_files();
        for (inode, tail) in &mut self.tails {
            let moved = match found.get(inode) {
                Some((path, index, metadata)) => {
                    tail.gone = None;
                    let changed = tail.seen != Some(shape(metadata));
                    let wanted = tail.file.is_none() && matches!(tail.kind, Kind::Plain) && changed;
                    if wanted && open >= 2 * OPEN_FILES_MAX {
                        self.interrupted = true;
                    } else if wanted {
                        let opened = self.patterns[*index].open(path);
                        let same = opened.ok().filter(|(_, opened)| Inode::of(opened) == *inode);
                        tail.file = same.map(|(file, _)| file);
                        tail.at_end = false;
                        open += 1;
                    }
                    let moved = tail.path != *path;
                    tail.path.clone_from(path);
                    moved
                }
                None => tail.gone.replace(tail.gone.unwrap_or_else(Instant::now)).is_none(),
            };
            while moved && !self.link.context.shutdown.is_cancelled() {
                let (turn, left) = tail.turn(&self.options, buffer, &self.link)?;
                if let Some(left) = left {
                    remember(&mut self.left, left);
                }
                if turn == Turn::End {
                    break;
                }
            }
        }
        Ok(())
    }

    fn open_files(&self) -> usize {
        self.tails.values().filter(|tail| tail.file.is_some() || tail.is_unpacking()).count()
    }

    /// Closes files that are not written to: all of them that are quiet, or the quietest.
    fn close_quiet(&mut self) {
        let is_open = |tail: &&mut Tail| {
            let plain = matches!(tail.kind, Kind::Plain);
            tail.file.is_some() && tail.gone.is_none() && plain && tail.at_end
        };
        let mut open: Vec<_> = self.tails.values_mut().filter(is_open).collect();
        let excess = open.len().saturating_sub(OPEN_FILES_MAX);
        open.sort_by_key(|tail| tail.quiet_since());
        for (number, tail) in open.into_iter().enumerate() {
            if number < excess || tail.is_quiet(CLOSE_QUIET_AFTER) {
                tail.file = None;
            }
        }
    }

    /// Whether what a file holds already is passed over. Not if a pattern that names it was followed
    /// by a run before: then the file has come since.
    fn begins_at_end(&self, path: &Path) -> bool {
        let is_old = |(pattern, followed): (&Pattern, &bool)| *followed && pattern.names(path);
        self.first
            && self.options.read_from == ReadFrom::End
            && !self.patterns.iter().zip(&self.followed).any(is_old)
    }

    /// Begins to follow a file, if it is time for it.
    fn adopt(&mut self, path: PathBuf, file: File, metadata: &Metadata) -> Result<(), Stopped> {
        match self.try_adopt(&path, file, metadata) {
            Ok(adopted) => adopted,
            Err(error) => {
                self.complain(path, &error);
                Ok(())
            }
        }
    }

    fn try_adopt(
        &mut self,
        path: &Path,
        file: File,
        metadata: &Metadata,
    ) -> std::io::Result<Result<(), Stopped>> {
        let inode = Inode::of(metadata);
        let text = Text::new(&file, metadata)?;
        let packed = text.packed.is_some();
        let at_end = self.begins_at_end(path);
        // What has not begun yet may turn out to be compressed.
        let tiny = text.len < PACKED_BYTES_MIN;
        if text.len == 0 || tiny && !at_end && !self.is_settled(inode, metadata) {
            drop(text);
            self.wait_for(inode, path.to_owned(), file);
            return Ok(Ok(()));
        }
        if packed && !at_end {
            if !self.is_settled(inode, metadata) {
                return Ok(Ok(()));
            }
            if self.tails.values().filter(|tail| tail.is_unpacking()).count() >= UNPACKING_MAX {
                self.interrupted = true;
                return Ok(Ok(()));
            }
        }
        if let Some(reason) = content::refusal(&text.head) {
            count(&self.link.counters.binary, 1);
            self.refused.insert(inode, shape(metadata));
            self.complain_of(path.to_owned(), reason);
            return Ok(Ok(()));
        }
        let Begin::At(mut position) = self.begin(path, inode, &text) else {
            return Ok(Ok(()));
        };
        self.settling.remove(&inode);
        self.complaints.remove(path);
        count(&self.link.counters.files, 1);
        let mut unpacked = if position.complete { None } else { text.unpacked() };
        let mut recent = Vec::new();
        if let Some(read) = &mut unpacked {
            match read.skip(position.offset) {
                Some(skipped) => recent = skipped,
                None => {
                    // It ends before the place that we had reached, so it is not what it was.
                    (position.path, position.offset) = (path.to_string_lossy().into_owned(), 0);
                    unpacked = text.unpacked();
                }
            }
        }
        let mut tail = Tail::new(path.to_owned(), file, position, self.options.line_max);
        if let Some(unpacked) = unpacked {
            tail.unpack(unpacked, recent);
        }
        if !matches!(tail.kind, Kind::Plain) {
            tail.file = None;
        }
        let noted = match at_end {
            true => tail.note_position(&self.link),
            false => Ok(()),
        };
        self.tails.insert(inode, tail);
        Ok(noted)
    }

    /// Where to begin with a file that is not followed yet.
    fn begin(&mut self, path: &Path, inode: Inode, text: &Text<'_>) -> Begin {
        let packed = text.packed.is_some();
        let (fingerprint, fingerprint_len) = content::fingerprint(&text.head);
        let fresh = Position {
            path: path.to_string_lossy().into_owned(),
            device: inode.device,
            inode: inode.inode,
            fingerprint,
            fingerprint_len,
            offset: 0,
            complete: false,
        };
        // Of a file that was cut and begun anew there are several positions; the newest is last.
        let of_inode = self.known.extract_if(.., |known| Inode::at(known) == inode);
        let mut of_inode: Vec<Position> = of_inode.collect();
        let goes_on = of_inode.iter().rposition(|known| {
            content::begins_as(&text.head, known) && (packed || known.offset <= text.len)
        });
        let goes_on = goes_on.map(|at| of_inode.remove(at));
        if goes_on.is_none() && of_inode.last().is_some_and(|known| known.path == fresh.path) {
            count(&self.link.counters.gaps, 1);
            tracing::warn!(receiver = "file", path = %path.display(), "file was cut meanwhile");
        }
        for known in of_inode {
            // Its inode holds something else now; a copy of it may still turn up.
            let read_to = known.offset;
            remember(&mut self.left, Left { position: known, read_to, recent: Vec::new() });
        }
        if let Some(known) = goes_on {
            // `replay` may have read to the end of a file that is still written to.
            let complete = known.complete && packed;
            return Begin::At(Position { fingerprint, fingerprint_len, complete, ..known });
        }
        let same = |left: &&Left| {
            Inode::at(&left.position) == inode && content::begins_as(&text.head, &left.position)
        };
        if let Some(left) = self.left.iter().rev().find(same)
            && !packed
            && left.position.offset <= text.len
        {
            return Begin::At(Position { fingerprint, fingerprint_len, ..left.position.clone() });
        }
        match self.original_of(&fresh, text) {
            Some(Original::Read(original)) => {
                self.mention_copy(path, &original);
                Begin::NotNow
            }
            Some(Original::Left(left, watched)) => {
                // A last line without an end goes on in the copy.
                if let Some(inode) = watched.filter(|inode| self.tails[inode].is_within_line()) {
                    self.tails.remove(&inode);
                }
                let Position { path, offset, .. } = left;
                Begin::At(Position { path, offset, ..fresh })
            }
            None if self.begins_at_end(path) => {
                let offset = if packed { 0 } else { last_line(text.file, text.len) };
                Begin::At(Position { offset, complete: packed, ..fresh })
            }
            None => Begin::At(fresh),
        }
    }

    /// The file that this one is a copy of, compressed or not, if it is one.
    ///
    /// It begins alike, and the bytes before where we are in the original are the same in it.
    fn original_of(&self, copy: &Position, text: &Text<'_>) -> Option<Original> {
        if (copy.fingerprint_len as usize) < FINGERPRINT_BYTES {
            return None;
        }
        let alike = |position: &Position| {
            position.fingerprint == copy.fingerprint
                && position.fingerprint_len == copy.fingerprint_len
        };
        let agrees =
            |at: u64, bytes: &[u8]| text.before(at).is_some_and(|before| before.ends_with(bytes));
        for tail in self.tails.values().filter(|tail| alike(tail.position())) {
            let left = tail.left();
            // The original may have been cut a moment ago, so what we remember of it goes first.
            let whole = (tail.gone.is_some() || text.packed.is_none())
                && agrees(left.read_to, &left.recent);
            match tail.gone {
                Some(_) if whole => {
                    return Some(Original::Left(left.position, Some(tail.inode)));
                }
                Some(_) => continue,
                None if whole => return Some(Original::Read(tail.path.clone())),
                None => {}
            }
            let Ok((original, metadata)) = pattern::open(&tail.path) else { continue };
            let Ok(original) = Text::new(&original, &metadata) else { continue };
            let at = left.read_to.min(text.comparable()).min(original.comparable());
            if original.before(at).is_some_and(|bytes| agrees(at, &bytes)) {
                return Some(Original::Read(tail.path.clone()));
            }
        }
        let left = |left: &&Left| alike(&left.position) && agrees(left.read_to, &left.recent);
        if let Some(left) = self.left.iter().rev().find(left) {
            return Some(Original::Left(left.position.clone(), None));
        }
        let is_named = |inode: Inode| self.names.values().any(|named| *named == inode);
        let known = self
            .known
            .iter()
            .find(|known| alike(known) && !is_named(Inode::at(known)) && agrees(known.offset, &[]));
        known.cloned().map(|position| Original::Left(position, None))
    }

    /// Whether a compressed file has stopped growing.
    fn is_settled(&mut self, inode: Inode, metadata: &Metadata) -> bool {
        let now = Instant::now();
        let shape = shape(metadata);
        let old = shape.1.and_then(|modified| modified.elapsed().ok());
        if old.is_some_and(|old| old >= SETTLED_BY_CLOCK) {
            return true;
        }
        let (seen, since) = self.settling.entry(inode).or_insert((shape, now));
        if *seen != shape {
            (*seen, *since) = (shape, now);
        }
        since.elapsed() >= self.options.settle
    }

    fn complain(&mut self, path: PathBuf, error: &std::io::Error) {
        if !self.complaints.contains(&path) {
            count(&self.link.counters.file_errors, 1);
        }
        self.complain_of(path, &error.to_string());
    }

    fn complain_of(&mut self, path: PathBuf, reason: &str) {
        if self.complaints.len() < COMPLAINTS_MAX && !self.complaints.contains(&path) {
            tracing::warn!(receiver = "file", path = %path.display(), reason, "file not read");
            self.complaints.insert(path);
        }
    }

    /// Says that a file is not read because it is a copy; nobody would guess it.
    fn mention_copy(&mut self, copy: &Path, original: &Path) {
        if self.complaints.len() < COMPLAINTS_MAX && !self.complaints.contains(copy) {
            let (path, original) = (copy.display(), original.display());
            tracing::info!(receiver = "file", %path, %original, "file not read: a copy of another");
            self.complaints.insert(copy.to_owned());
        }
    }
}

/// What a copy is a copy of.
enum Original {
    /// A file of this name that is still there and read.
    Read(PathBuf),
    /// A file that is gone, read up to there; and which of those it is that we still watch.
    Left(Position, Option<Inode>),
}

fn remember(all: &mut VecDeque<Left>, left: Left) {
    if all.len() == LEFT_MAX {
        all.pop_front();
    }
    all.push_back(left);
}

/// Where the last line of a file begins: that line may not be whole yet.
fn last_line(file: &File, len: u64) -> u64 {
    let start = len.saturating_sub(LAST_LINE_MAX);
    let mut bytes = vec![0; (len - start) as usize];
    let read = content::read_at(file, &mut bytes, start).unwrap_or(0);
    match memchr::memrchr(b'\n', &bytes[..read]) {
        Some(at) => start + at as u64 + 1,
        None if start == 0 => 0,
        None => len,
    }
}

/// The system's notices that something has changed. Without them the poll does it all.
struct Notices {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    names: Arc<AtomicBool>,
    wake: mpsc::Receiver<()>,
    /// Keeps `wake` open when there is no watcher.
    _waker: mpsc::SyncSender<()>,
}

impl Notices {
    fn new() -> Self {
        let (waker, wake) = mpsc::sync_channel(1);
        let names = Arc::new(AtomicBool::new(false));
        let (ring, changed) = (waker.clone(), names.clone());
        let notice = move |event: notify::Result<notify::Event>| {
            use notify::EventKind::{Access, Modify};
            use notify::event::ModifyKind;
            match event.map(|event| event.kind) {
                Ok(Access(_)) => return,
                Ok(Modify(ModifyKind::Data(_))) => {}
                _ => changed.store(true, Ordering::Relaxed),
            }
            // A full channel has been rung already.
            let _ = ring.try_send(());
        };
        let watcher = notify::recommended_watcher(notice);
        if let Err(error) = &watcher {
            tracing::info!(receiver = "file", %error, "no notices of the system; files are polled");
        }
        Notices { watcher: watcher.ok(), watched: BTreeSet::new(), names, wake, _waker: waker }
    }

    /// Whether a name has come, gone or changed since this was last asked.
    fn names_changed(&self) -> bool {
        self.names.swap(false, Ordering::Relaxed)
    }

    /// Whether there is something for [`names_changed`](Notices::names_changed) to tell.
    fn has_names(&self) -> bool {
        self.names.load(Ordering::Relaxed)
    }

    /// Watches these folders and no others.
    fn watch<'a>(&mut self, folders: impl Iterator<Item = &'a Path>) {
        let Some(watcher) = &mut self.watcher else { return };
        let wanted: BTreeSet<&Path> = folders.take(64 * WATCHES_MAX).collect();
        let here = |folder: &Path| match folder.as_os_str().is_empty() {
            true => PathBuf::from("."),
            false => folder.to_owned(),
        };
        let wanted: BTreeSet<PathBuf> = wanted.into_iter().map(here).take(WATCHES_MAX).collect();
        for folder in self.watched.difference(&wanted) {
            let _ = watcher.unwatch(folder);
        }
        // A folder that is not there yet is tried again at each search.
        let watch = |folder: &PathBuf| {
            self.watched.contains(folder)
                || watcher.watch(folder, RecursiveMode::NonRecursive).is_ok()
        };
        let watched = wanted.into_iter().filter(watch).collect();
        self.watched = watched;
    }

    fn wait(&self, long: Duration) {
        if self.wake.recv_timeout(long).is_ok() {
            std::thread::sleep(AFTER_NOTICE);
        }
    }
}
