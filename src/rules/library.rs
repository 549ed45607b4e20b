//! The sets of rules that a state folder has worked with.
//!
//! A journal names a set by its digest ([`Control::Reload`]), and `DIR/rules/DIGEST.ndjson.zst`
//! holds what the set is made of, as lines of JSON: rules, pipelines, what placeholders stand for,
//! lengths of incidents.
//! So an epoch that runs again, days later and with other rules in the configured folders, is
//! matched by the rules that it was matched by then.
//!
//! [`Control::Reload`]: crate::journal::Control::Reload

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use operators::sigma::Active;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Material;
use super::files::{ARCHIVE_BYTES_MAX, Files, Named};

/// How many sets are kept; of more, those that were used longest ago are forgotten.
pub const SETS_MAX: usize = 64;
/// How many sets are kept ready in memory.
const READY_MAX: usize = 4;
/// What digests are made with.
const NAMESPACE: Uuid = Uuid::from_u128(0x3bb0_5a0e_51c4_5d0c_9d43_6a1c_2f7e_8b11);
/// Rules are texts, and small: a level above this costs more time than it saves.
const LEVEL: i32 = 6;
const EXTENSION: &str = ".ndjson.zst";

/// A line of a stored set.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<'t> {
    /// For how many seconds findings are one incident, and of single rules.
    Incidents(u64, BTreeMap<String, u64>),
    /// What placeholders stand for, if there are any.
    Placeholders(BTreeMap<String, Vec<String>>),
    /// A file of rules, by name and text.
    Rules(std::borrow::Cow<'t, str>, std::borrow::Cow<'t, str>),
    /// A file of pipelines.
    Pipelines(std::borrow::Cow<'t, str>, std::borrow::Cow<'t, str>),
}

/// What stands for a set: the same for the same files in the same order.
#[must_use]
pub fn digest(material: &Material) -> u128 {
    Uuid::new_v5(&NAMESPACE, &encode(material)).as_u128()
}

/// Files that are no text are left out: nothing can be made of them.
fn encode(material: &Material) -> Vec<u8> {
    let mut out = Vec::new();
    let mut put = |line: &Line<'_>| {
        serde_json::to_writer(&mut out, line).expect("plain data");
        out.push(b'\n');
    };
    put(&Line::Incidents(material.window_s, material.windows_s.clone()));
    if !material.placeholders.is_empty() {
        put(&Line::Placeholders(material.placeholders.clone()));
    }
    let texts = |files: &'_ [Named]| -> Vec<(String, String)> {
        let text = |(name, bytes): &Named| Some((name.clone(), str::from_utf8(bytes).ok()?.into()));
        files.iter().filter_map(text).collect()
    };
    for (name, text) in texts(&material.files.rules) {
        put(&Line::Rules(name.into(), text.into()));
    }
    for (name, text) in texts(&material.pipelines) {
        put(&Line::Pipelines(name.into(), text.into()));
    }
    out
}

fn decode(reader: impl Read) -> io::Result<Material> {
    let mut material = Material::default();
    let mut files = Files::default();
    for line in BufReader::new(reader.take(2 * ARCHIVE_BYTES_MAX)).lines() {
        match serde_json::from_str(&line?)? {
            Line::Incidents(window, windows) => {
                (material.window_s, material.windows_s) = (window, windows);
            }
            Line::Placeholders(values) => material.placeholders = values,
            Line::Rules(name, text) => {
                files.rules.push((name.into_owned(), text.into_owned().into_bytes()));
            }
            Line::Pipelines(name, text) => {
                material.pipelines.push((name.into_owned(), text.into_owned().into_bytes()));
            }
        }
    }
    material.files = files;
    Ok(material)
}

/// The sets that a journal may name. See the [module](self).
#[derive(Debug, Default)]
pub struct Library {
    dir: Option<PathBuf>,
    ready: Mutex<Vec<Arc<Active>>>,
}

impl Library {
    /// Of a state folder.
    #[must_use]
    pub fn of(state: &Path) -> Self {
        Library { dir: Some(state.join("rules")), ready: Mutex::default() }
    }

    /// Keeps what a set is made of, before a journal may name it.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn keep(&self, digest: u128, material: &Material) -> io::Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        let path = self.path(dir, digest);
        match File::options().append(true).open(&path) {
            // It is used again, and so not the next to be forgotten.
            Ok(known) => return known.set_modified(std::time::SystemTime::now()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        fs::create_dir_all(dir)?;
        let half = path.with_extension("new");
        let mut file = File::create(&half)?;
        file.write_all(&zstd::encode_all(&encode(material)[..], LEVEL)?)?;
        file.sync_all()?;
        fs::rename(&half, &path)?;
        File::open(dir)?.sync_all()?;
        forget(dir)
    }

    /// Has a set ready, so that it need not be made again.
    pub fn put(&self, active: Arc<Active>) {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        ready.retain(|known| known.digest != active.digest);
        ready.push(active);
        if ready.len() > READY_MAX {
            ready.remove(0);
        }
    }

    /// The set with this digest.
    ///
    /// # Errors
    ///
    /// If it is not kept, or cannot be read.
    pub fn get(&self, digest: u128) -> io::Result<Arc<Active>> {
        {
            let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = ready.iter().find(|known| known.digest == digest) {
                return Ok(Arc::clone(known));
            }
        }
        let dir = self.dir.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let file = File::open(self.path(dir, digest))?;
        let active = Arc::new(decode(zstd::Decoder::new(file)?)?.compile().active);
        if active.digest != digest {
            let reason = "what is kept of these rules is not what they were made of";
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        self.put(Arc::clone(&active));
        Ok(active)
    }

    fn path(&self, dir: &Path, digest: u128) -> PathBuf {
        dir.join(format!("{digest:032x}{EXTENSION}"))
    }
}

/// Forgets the sets that were used longest ago, if there are too many.
fn forget(dir: &Path) -> io::Result<()> {
    let mut kept = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(EXTENSION) {
            kept.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    kept.sort();
    let surplus = kept.len().saturating_sub(SETS_MAX);
    kept.iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn material(title: &str) -> Material {
        let rule = format!(
            "title: {title}\nlogsource: {{product: linux}}\n\
             detection: {{a: {{f|expand: '%dc%'}}, condition: a}}\n"
        );
        let rules = vec![("a.yml".into(), rule.into_bytes()), ("no text".into(), vec![0xff, 0xfe])];
        let placeholders = BTreeMap::from([("dc".to_owned(), vec!["x".to_owned()])]);
        let windows_s = BTreeMap::from([("t".to_owned(), 60)]);
        let files = Files { rules, ..Files::default() };
        Material { files, placeholders, window_s: 900, windows_s, ..Material::default() }
    }

    #[test]
    fn a_set_is_made_again_of_what_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (material("one"), material("other"));
        let digests = [digest(&one), digest(&other)];
        assert_ne!(digests[0], digests[1]);
        let unset = Material { placeholders: BTreeMap::new(), ..material("one") };
        assert_ne!(digest(&unset), digests[0]);
        let library = Library::of(dir.path());
        assert_eq!(library.get(digests[0]).unwrap_err().kind(), io::ErrorKind::NotFound);
        library.keep(digests[0], &one).unwrap();
        library.keep(digests[0], &one).unwrap();
        library.keep(digests[1], &other).unwrap();
        let again = Library::of(dir.path()).get(digests[0]).unwrap();
        assert_eq!((again.digest, again.rules.len()), (digests[0], 1));
        assert_eq!(again.rules.rules()[0].meta.title, "one");
        let path = library.path(&dir.path().join("rules"), digests[1]);
        fs::copy(library.path(&dir.path().join("rules"), digests[0]), path).unwrap();
        let error = Library::of(dir.path()).get(digests[1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn no_more_sets_are_kept_than_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let library = Library::of(dir.path());
        let digests: Vec<u128> = (0..SETS_MAX + 3)
            .map(|number| {
                let material = material(&format!("number {number}"));
                let digest = digest(&material);
                library.keep(digest, &material).unwrap();
                digest
            })
            .collect();
        assert_eq!(fs::read_dir(dir.path().join("rules")).unwrap().count(), SETS_MAX);
        assert!(library.get(*digests.last().unwrap()).is_ok());
    }
}
