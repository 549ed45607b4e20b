//! Where alerts go: the console and files of JSON lines.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use operators::types::{Alert, Level, More};

use crate::cli::escape::escape;
use crate::cli::style::Palette;
use crate::engine::Outlet;

/// How much of an alert file is looked at for alerts that were told before a crash.
const TAIL_BYTES: u64 = 16 << 20;

/// Alerts for people, a line each.
pub struct Console<W> {
    out: W,
    palette: Palette,
    json: bool,
    least: Level,
}

impl<W: Write> Console<W> {
    /// A console that tells alerts of at least a level.
    pub fn new(out: W, palette: Palette, json: bool, least: Level) -> Self {
        Console { out, palette, json, least }
    }

    /// Tells alerts. A console that is gone is nobody's concern.
    pub fn tell(&mut self, alerts: &[Alert]) {
        for alert in alerts.iter().filter(|alert| alert.severity >= self.least) {
            let line = match self.json {
                true => serde_json::to_string(alert).expect("plain data"),
                false => human(alert, self.palette),
            };
            writeln!(self.out, "{line}").ok();
        }
        self.out.flush().ok();
    }
}

/// An alert in one line, safe for a terminal.
#[must_use]
pub fn human(alert: &Alert, palette: Palette) -> String {
    let level = alert.severity.name();
    // A rule's id says nothing to people, and its beginning finds it.
    let rule = match uuid::Uuid::try_parse(&alert.rule) {
        Ok(_) => format!("rule {}", &alert.rule[..8]),
        Err(_) => escape(&alert.rule).into_owned(),
    };
    format!(
        "{}  {}  {}  {}={}  {}  {}",
        palette.faint(escape(&milliseconds(&alert.event_time))),
        palette.level(level, format_args!("{level:<8}")),
        palette.strong(escape(&alert.title)),
        escape(&alert.entity.kind),
        escape(&alert.entity.value),
        palette.faint(rule),
        palette.faint(&alert.id[..8]),
    )
}

/// A time in UTC, as alerts have it, to the millisecond: all are of the same width.
fn milliseconds(time: &str) -> String {
    let seconds = time.strip_suffix('Z').unwrap_or(time);
    let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    format!("{seconds}.{fraction:0<3.3}Z")
}

/// A file of alerts, a line of JSON each, every alert once: also over a crash, in which some were
/// written and not yet in a checkpoint.
pub struct AlertFile {
    path: PathBuf,
    file: BufWriter<File>,
    size: u64,
    begun: SystemTime,
    rotation: Rotation,
    least: Level,
    known: HashSet<String>,
}

/// When an alert file is set aside, and how many are kept.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// At how many bytes; `None` is at none.
    pub bytes_max: Option<u64>,
    /// How long after it was begun, at the next alert; `None` is never.
    pub every: Option<Duration>,
    /// How many older files are kept, as `NAME.1` (the newest) and so on.
    pub backups: usize,
}

impl AlertFile {
    /// Opens a file to add to. An unfinished last line is cut off; its alert comes again.
    ///
    /// # Errors
    /// If it cannot be opened or read.
    pub fn open(path: &Path, rotation: Rotation, least: Level) -> io::Result<Self> {
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut known = HashSet::new();
        let whole = told(&mut file, TAIL_BYTES, &mut known)?;
        file.set_len(whole)?;
        // It may have been begun just before the crash.
        if whole < TAIL_BYTES
            && let Ok(mut before) = File::open(aside(path, 1))
        {
            told(&mut before, TAIL_BYTES - whole, &mut known)?;
        }
        // Where no file system tells when it was begun, it counts from now.
        let begun = file.metadata()?.created().unwrap_or_else(|_| SystemTime::now());
        file.seek(SeekFrom::End(0))?;
        let file = BufWriter::new(file);
        Ok(AlertFile { path: path.to_owned(), file, size: whole, begun, rotation, least, known })
    }

    /// Adds alerts that are not in it yet.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn tell(&mut self, alerts: &[Alert]) -> io::Result<()> {
        let least = self.least;
        for alert in alerts.iter().filter(|alert| alert.severity >= least) {
            if self.known.contains(&alert.id) {
                continue;
            }
            let mut line = serde_json::to_vec(alert).expect("plain data");
            line.push(b'\n');
            if self.size > 0 && self.is_over(line.len() as u64) {
                self.rotate()?;
            }
            self.file.write_all(&line)?;
            self.size += line.len() as u64;
        }
        self.file.flush()
    }

    /// Whether the next alert, so many bytes long, goes to a new file.
    fn is_over(&self, more: u64) -> bool {
        let Rotation { bytes_max, every, .. } = self.rotation;
        // A clock that was set back waits until it has come as far again.
        let age = self.begun.elapsed().unwrap_or_default();
        bytes_max.is_some_and(|most| self.size + more > most) || every.is_some_and(|e| age >= e)
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file.flush()?;
        for number in (1..self.rotation.backups).rev() {
            std::fs::rename(aside(&self.path, number), aside(&self.path, number + 1)).ok();
        }
        match self.rotation.backups {
            0 => std::fs::remove_file(&self.path)?,
            _ => std::fs::rename(&self.path, aside(&self.path, 1))?,
        }
        self.file = BufWriter::new(OpenOptions::new().create(true).append(true).open(&self.path)?);
        (self.size, self.begun) = (0, SystemTime::now());
        Ok(())
    }
}

/// The name of an older alert file.
fn aside(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// Adds the ids in the last `tail` bytes of an alert file; how long it is without a line that is
/// not finished.
fn told(file: &mut File, tail: u64, known: &mut HashSet<String>) -> io::Result<u64> {
    let mut whole = file.metadata()?.len().saturating_sub(tail);
    file.seek(SeekFrom::Start(whole))?;
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 && line.last() == Some(&b'\n') {
        whole += line.len() as u64;
        if let Ok(alert) = serde_json::from_slice::<serde_json::Value>(&line)
            && let Some(id) = alert.get("id").and_then(|id| id.as_str())
        {
            known.insert(id.to_owned());
        }
        line.clear();
    }
    Ok(whole)
}

/// The outlets of `run`.
pub struct Live {
    /// The console, if alerts go there.
    pub console: Option<Console<Box<dyn Write + Send>>>,
    /// The file, if alerts go there.
    pub file: Option<AlertFile>,
}

impl Outlet for Live {
    fn alerts(&mut self, alerts: &[Alert]) {
        if let Some(console) = &mut self.console {
            console.tell(alerts);
        }
        if let Some(file) = &mut self.file
            && let Err(error) = file.tell(alerts)
        {
            // They are in the store: `query alerts` has them.
            tracing::error!(path = %file.path.display(), %error, "alerts cannot be written");
        }
    }

    fn more(&mut self, _: &[More]) {}

    fn lines(&mut self, _: &[u8]) {}
}

/// The outlet of `replay`: events to a file; alerts are summed up at the end.
pub struct Finite {
    events: Option<BufWriter<File>>,
}

impl Finite {
    /// An outlet that writes events to a file, if one is given.
    #[must_use]
    pub fn new(events: Option<File>) -> Self {
        Finite { events: events.map(|file| BufWriter::with_capacity(1 << 20, file)) }
    }
}

impl Outlet for Finite {
    fn alerts(&mut self, _: &[Alert]) {}

    fn more(&mut self, _: &[More]) {}

    fn lines(&mut self, lines: &[u8]) {
        if let Some(file) = &mut self.events
            && let Err(error) = file.write_all(lines)
        {
            panic!("events cannot be written: {error}");
        }
    }
}

impl Drop for Finite {
    fn drop(&mut self) {
        if let Some(file) = &mut self.events
            && let Err(error) = file.flush()
        {
            tracing::error!(%error, "events cannot be written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROTATION: Rotation = Rotation { bytes_max: Some(60), every: None, backups: 3 };

    fn line(id: &str) -> String {
        format!("{{\"id\":\"{id}\"}}\n")
    }

    #[test]
    fn times_are_told_in_one_width() {
        let times = ["2026-11-22T13:38:26.6Z", "2026-11-22T13:38:55Z", "2026-11-22T13:38:04.0129Z"];
        let shown = times.map(milliseconds);
        let expected =
            ["2026-11-22T13:38:26.600Z", "2026-11-22T13:38:55.000Z", "2026-11-22T13:38:04.012Z"];
        assert_eq!(shown, expected);
    }

    #[test]
    fn what_was_told_before_a_crash_is_known_also_behind_a_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alerts.ndjson");
        std::fs::write(aside(&path, 1), line("a") + &line("b")).unwrap();
        std::fs::write(&path, line("c") + "{\"id\":\"half").unwrap();
        let file = AlertFile::open(&path, ROTATION, Level::Low).unwrap();
        let mut known: Vec<&str> = file.known.iter().map(String::as_str).collect();
        known.sort_unstable();
        assert_eq!(known, ["a", "b", "c"]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), line("c"), "a half line is cut");
    }

    #[test]
    fn a_file_that_is_old_enough_is_set_aside_before_the_next_alert() {
        let dir = tempfile::tempdir().unwrap();
        let hour = Duration::from_secs(3_600);
        let rotation = Rotation { bytes_max: None, every: Some(hour), backups: 1 };
        let path = dir.path().join("alerts.ndjson");
        let mut file = AlertFile::open(&path, rotation, Level::Low).unwrap();
        file.begun = SystemTime::now() - hour / 2;
        assert!(!file.is_over(1 << 40), "half an hour is not an hour, and length does not count");
        file.begun = SystemTime::now() - hour;
        assert!(file.is_over(1));
        file.rotate().unwrap();
        assert!(!file.is_over(1));
        assert!(aside(&path, 1).exists());
    }
}
