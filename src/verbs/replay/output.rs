//! Where the alerts and the events of a replay are written: files, or standard output.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use operators::template::Dictionary;
use operators::types::Alert;

use crate::cli::Failure;
use crate::cli::args::ReplayArgs;
use crate::cli::exit::Exit;
use crate::render::Resolver;

/// What stands for standard output.
const STDOUT: &str = "-";

/// Whether a path stands for standard output.
fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == STDOUT
}

/// Whether alerts or events go to standard output, so that nothing else may.
///
/// # Errors
/// If more than one thing is to go there.
pub(super) fn takes_stdout(args: &ReplayArgs) -> Result<bool, Failure> {
    let named = |path: &Option<PathBuf>| path.as_deref().is_some_and(is_stdout);
    let (alerts, events) = (named(&args.alerts), named(&args.events));
    let wanted = [(alerts, "--alerts -"), (events, "--events -"), (args.json, "--json")];
    let wanted: Vec<&str> = wanted.iter().filter_map(|(is, name)| is.then_some(*name)).collect();
    if wanted.len() > 1 {
        let error = format!("standard output can have one of {}", wanted.join(", "));
        return Err(Failure::new(Exit::Usage, error).with_hint("name files for the others"));
    }
    Ok(alerts || events)
}

/// What lines are written to, buffered.
pub(super) fn create(path: &Path) -> io::Result<Box<dyn Write>> {
    const BUFFER: usize = 1 << 20;
    Ok(match is_stdout(path) {
        true => Box::new(BufWriter::with_capacity(BUFFER, io::stdout())),
        false => Box::new(BufWriter::with_capacity(BUFFER, File::create(path)?)),
    })
}

/// Writes alerts, a line each.
///
/// # Errors
/// If they cannot be written.
pub(super) fn write_alerts(path: &Path, alerts: &[&Alert]) -> Result<(), Failure> {
    let write = || {
        let mut file = create(path)?;
        for alert in alerts {
            serde_json::to_writer(&mut file, alert)?;
            file.write_all(b"\n")?;
        }
        file.flush()
    };
    write().map_err(|error| cannot_write(path, error))
}

/// The events of a replay. They are written as the input is read, and get their final templates at
/// the end; until then they are elsewhere, so that nobody takes the file for whole.
pub(super) struct EventFile {
    path: PathBuf,
    /// The file beside it that they are in; none if it has no name.
    part: Option<PathBuf>,
    file: File,
}

impl EventFile {
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        // Beside standard output, a pipe or a device no file belongs.
        let is_special = || std::fs::metadata(path).is_ok_and(|what| !what.is_file());
        if is_stdout(path) || is_special() {
            let file = tempfile::tempfile().map_err(|error| cannot_write(path, error))?;
            return Ok(EventFile { path: path.to_owned(), part: None, file });
        }
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(true);
        let file = options.open(&part).map_err(|error| cannot_write(&part, error))?;
        Ok(EventFile { path: path.to_owned(), part: Some(part), file })
    }

    pub(super) fn handle(&self) -> Result<File, Failure> {
        Ok(self.file.try_clone()?)
    }

    pub(super) fn finish(self, dictionary: &Dictionary) -> Result<(), Failure> {
        self.copy(dictionary).map_err(|error| cannot_write(&self.path, error))
    }

    fn copy(&self, dictionary: &Dictionary) -> io::Result<()> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0))?;
        let mut from = BufReader::with_capacity(1 << 20, file);
        let mut to = create(&self.path)?;
        let mut resolver = Resolver::new(dictionary);
        let (mut line, mut out) = (Vec::new(), Vec::new());
        while from.read_until(b'\n', &mut line)? > 0 {
            resolver.line(&line, &mut out);
            to.write_all(&out)?;
            line.clear();
            out.clear();
        }
        to.flush()?;
        self.part.as_ref().map_or(Ok(()), std::fs::remove_file)
    }
}

pub(super) fn cannot_write(path: &Path, error: io::Error) -> Failure {
    // Whoever had enough closed it.
    if is_stdout(path) {
        return Failure::from(error);
    }
    Failure::new(Exit::Io, format!("cannot write `{}`: {error}", path.display()))
}
