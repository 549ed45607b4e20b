//! Rules that change while the program runs.
//!
//! New rules are read and compiled aside. Then the journal is told their digest, and they are
//! active from the first event of the epoch that the record is in: every event is matched by
//! exactly one set, and by the same one when the journal is run again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tokio::sync::{mpsc, oneshot};

use super::library::Library;
use super::{Loaded, Material, files};
use crate::config::settings::Settings;
use crate::journal::{Control, ControlIntake};

/// What [`Control::Reload`] says that is reloaded.
pub const WHAT: &str = "rules";

/// The control record that makes a set active.
#[must_use]
pub fn control(digest: u128) -> Control {
    Control::Reload { what: WHAT.to_owned(), content: digest.to_be_bytes().to_vec() }
}

/// The set that a control record makes active, if it is about that.
#[must_use]
pub fn named(control: &Control) -> Option<u128> {
    match control {
        Control::Reload { what, content } if what == WHAT => {
            Some(u128::from_be_bytes(content.as_slice().try_into().ok()?))
        }
        _ => None,
    }
}

/// Loads rules again.
#[derive(Debug)]
pub struct Reloader {
    library: Arc<Library>,
    controls: mpsc::Sender<ControlIntake>,
    /// The set that was made active last.
    digest: u128,
    /// How the files were when they were looked at last.
    stamp: Stamp,
}

/// What the files of the configured folders look like from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp(Vec<(PathBuf, u64, Option<SystemTime>)>);

/// Why rules were not loaded again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A folder or file that is named is gone: what was read of it stays in use, since it is as
    /// likely to come back.
    #[error("there is no `{}` any more", .0.display())]
    Gone(PathBuf),
    /// An archive cannot be read: what was read of it before stays in use, since it is likely to
    /// be just being written.
    #[error("{0}")]
    Archive(String),
    /// What they are made of cannot be kept, and the journal may only name what is.
    #[error("cannot keep the rules in the state folder")]
    Keep(#[from] std::io::Error),
    /// The journal takes nothing any more.
    #[error("the program is stopping")]
    Stopping,
}

/// Rules that were loaded again.
#[derive(Debug)]
pub struct Reloaded {
    /// What became of them.
    pub loaded: Loaded,
    /// How long reading and compiling took, in seconds.
    pub seconds: f64,
    /// Told when the journal holds the change.
    pub recorded: oneshot::Receiver<()>,
}

impl Reloader {
    /// For a session that works with the set `digest`, whose files looked like `stamp` before they
    /// were read.
    #[must_use]
    pub fn new(
        library: Arc<Library>,
        controls: mpsc::Sender<ControlIntake>,
        digest: u128,
        stamp: Stamp,
    ) -> Self {
        Reloader { library, controls, digest, stamp }
    }

    /// Whether a file was added, removed or written since the last look.
    pub fn is_due(&mut self, settings: &Settings) -> bool {
        let now = Stamp::of(settings);
        let changed = now != self.stamp;
        self.stamp = now;
        changed
    }

    /// Reads and compiles the rules; `None` if they are what they were. Blocks.
    ///
    /// # Errors
    ///
    /// If a path is gone, an archive is damaged, the new rules cannot be kept, or the program is stopping.
    pub fn reload(&mut self, settings: &Settings) -> Result<Option<Reloaded>, Error> {
        let started = Instant::now();
        if let Some(path) = paths(settings).find(|path| !path.exists()) {
            return Err(Error::Gone(path.clone()));
        }
        let files = Stamp::of(settings).0;
        if let Some(fault) = files.iter().find_map(|(path, ..)| files::fault_of_archive(path)) {
            return Err(Error::Archive(fault));
        }
        let material = Material::configured(settings);
        let mut loaded = material.compile();
        let digest = loaded.active.digest;
        if digest == self.digest {
            return Ok(None);
        }
        self.library.keep(digest, &material)?;
        self.library.put(Arc::new(std::mem::take(&mut loaded.active)));
        let seconds = started.elapsed().as_secs_f64();
        let (receipt, recorded) = oneshot::channel();
        let intake = ControlIntake { control: control(digest), receipt: Some(receipt) };
        self.controls.blocking_send(intake).map_err(|_| Error::Stopping)?;
        self.digest = digest;
        Ok(Some(Reloaded { loaded, seconds, recorded }))
    }
}

/// The paths that the configuration names for rules.
fn paths(settings: &Settings) -> impl Iterator<Item = &PathBuf> {
    let rules = &settings.rules;
    rules.dirs.iter().chain(&settings.correlation.rule_dirs).chain(&rules.pipelines)
}

impl Stamp {
    /// How they look now.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let entries = paths(settings)
            .flat_map(|path| walkdir::WalkDir::new(path).follow_links(true).sort_by_file_name());
        let stamps = entries.take(super::files::FILES_MAX).filter_map(|entry| {
            let entry = entry.ok().filter(|entry| entry.file_type().is_file())?;
            let metadata = entry.metadata().ok()?;
            Some((entry.into_path(), metadata.len(), metadata.modified().ok()))
        });
        Stamp(stamps.collect())
    }
}
