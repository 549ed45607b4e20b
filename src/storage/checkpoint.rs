//! Checkpoints: what all workers hand over at an epoch, in one file and one step.

use std::path::Path;
use std::sync::atomic::Ordering;

use operators::state::Changes;
use rocksdb::{IngestExternalFileOptions, SstFileWriter};
use serde::{Deserialize, Serialize};

use super::spill::Generations;
use super::{ALERTS, EVENTS, Error, STATE, Storage, TOLD};

/// The key of the marker; it sorts before all kinds of state.
const MARKER: &[u8] = b"!checkpoint";

/// What a checkpoint covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// All epochs up to this one are in it.
    pub epoch: u64,
    /// The sequence number after the last record of that epoch.
    pub next_seq: u64,
    /// The digest of the rules that were active in that epoch.
    #[serde(default)]
    pub rules: u128,
}

impl Storage {
    /// The last checkpoint, if there has been one.
    pub fn checkpoint(&self) -> Result<Option<Marker>, Error> {
        let found = self.inner.db.get_cf(self.inner.family(STATE), MARKER);
        let found = found.map_err(|error| self.error(error))?;
        Ok(found.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// Makes `marker`'s epoch the one to start again from: writes what changed on all workers,
    /// with what they put aside before they handed over.
    ///
    /// Afterwards either all of it is there or nothing is. Returns how many keys were written.
    pub fn commit(
        &self,
        marker: Marker,
        changes: &[Changes],
        generations: &Generations,
    ) -> Result<usize, Error> {
        for family in [EVENTS, ALERTS, TOLD] {
            self.patiently(|| self.inner.db.flush_cf(self.inner.family(family)))?;
        }
        let bytes = serde_json::to_vec(&marker).expect("plain data");
        let count = changes.iter().map(Changes::len).sum::<usize>() + 1;
        let mut values: Vec<(&[u8], Option<&[u8]>)> = Vec::with_capacity(count);
        values.extend(changes.iter().flat_map(Changes::iter));
        values.push((MARKER, Some(&bytes)));
        values.sort_unstable_by_key(|(key, _)| *key);
        values.dedup_by_key(|(key, _)| *key);

        let path = self.inner.dir.join("ingest").join(format!("{}.sst", marker.epoch));
        let generation = generations.committed.load(Ordering::Acquire);
        let mut ingest = IngestExternalFileOptions::default();
        ingest.set_move_files(true);
        let family = self.inner.family(STATE);
        let count = self.patiently(|| {
            let count = self.write_sorted(&path, &values, generation)?;
            self.inner.db.ingest_external_file_cf_opts(family, &ingest, vec![&path])?;
            Ok(count)
        })?;
        generations.committed.fetch_add(1, Ordering::Release);
        self.drop_spilled(generation)?;
        Ok(count)
    }

    /// Writes sorted changes, and what was put aside in a generation, into a file; how many keys.
    fn write_sorted(
        &self,
        path: &Path,
        values: &[(&[u8], Option<&[u8]>)],
        generation: u32,
    ) -> Result<usize, rocksdb::Error> {
        let options = super::options(STATE, &self.inner.shared);
        let mut writer = SstFileWriter::create(&options);
        writer.open(path)?;
        let mut count = 0;
        let mut write = |key: &[u8], value: Option<&[u8]>| {
            count += 1;
            match value {
                Some(value) => writer.put(key, value),
                None => writer.delete(key),
            }
        };

        // Both are sorted; what was handed over is newer than what was put aside.
        let mut values = values.iter().peekable();
        for aside in self.spilled(generation) {
            let (key, value) = aside?;
            while let Some((key, value)) = values.next_if(|(next, _)| **next < key[..]) {
                write(key, *value)?;
            }
            match values.next_if(|(next, _)| **next == key[..]) {
                Some((key, value)) => write(key, *value)?,
                None => write(&key, Some(&value))?,
            }
        }
        for (key, value) in values {
            write(key, *value)?;
        }
        writer.finish()?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::spill::Backing;
    use operators::state::Store;

    fn changes(values: &[(&str, Option<&str>)]) -> Changes {
        let mut changes = Changes::on(0);
        for (key, value) in values {
            match value {
                Some(value) => changes.put(key.as_bytes(), value.as_bytes()),
                None => changes.delete(key.as_bytes()),
            }
        }
        changes
    }

    fn text(value: Option<Vec<u8>>) -> Option<String> {
        value.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn a_checkpoint_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let backing = Backing::kept(Storage::open(dir.path()).unwrap());
        let storage = backing.storage_for_tests();
        assert_eq!(storage.checkpoint().unwrap(), None);
        let marker = Marker { epoch: 7, next_seq: 70, rules: 5 };
        let parts = vec![changes(&[("ea", Some("1"))]), changes(&[("eb", Some("2"))])];
        storage.commit(marker, &parts, &backing.generations).unwrap();
        let next = Marker { epoch: 9, next_seq: 90, rules: u128::MAX };
        storage.commit(next, &[changes(&[("ea", None)])], &backing.generations).unwrap();
        drop(storage);
        drop(backing);
        let again = Backing::kept(Storage::open(dir.path()).unwrap());
        assert_eq!(again.storage_for_tests().checkpoint().unwrap(), Some(next));
        assert_eq!(again.worker().get(b"ea"), None);
        assert_eq!(text(again.worker().get(b"eb")).as_deref(), Some("2"));
    }

    #[test]
    fn what_was_put_aside_goes_into_its_own_checkpoint_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let backing = Backing::kept(Storage::open(dir.path()).unwrap());
        let storage = backing.storage_for_tests();
        let worker = backing.worker();
        let aside = |key: &str, value: &str| {
            worker.spill(vec![(key.as_bytes().to_vec(), value.as_bytes().to_vec())]);
        };
        aside("ea", "aside");
        aside("eb", "aside");
        worker.turn();
        aside("eb", "after");
        assert_eq!(text(worker.get(b"ea")).as_deref(), Some("aside"));
        assert_eq!(text(worker.get(b"eb")).as_deref(), Some("after"));
        let handed = [changes(&[("ea", Some("handed"))])];
        storage
            .commit(Marker { epoch: 1, next_seq: 1, rules: 0 }, &handed, &backing.generations)
            .unwrap();
        let kept = |key: &str| storage.scan_state(key.as_bytes()).pop().map(|(_, value)| value);
        assert_eq!(text(kept("ea")).as_deref(), Some("handed"));
        assert_eq!(text(kept("eb")).as_deref(), Some("aside"), "as of the checkpoint");
        assert_eq!(text(worker.get(b"eb")).as_deref(), Some("after"), "as of now");
    }

    #[test]
    fn a_folder_in_use_or_of_another_version_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let first = Storage::open(dir.path()).unwrap();
        assert!(matches!(Storage::open(dir.path()), Err(Error::InUse(_))));
        assert!(Storage::open_for_reading(dir.path()).is_ok());
        drop(first);
        std::fs::write(dir.path().join("VERSION"), "99\n").unwrap();
        assert!(matches!(Storage::open(dir.path()), Err(Error::Version { .. })));
        assert!(matches!(Storage::open_for_reading(dir.path()), Err(Error::Version { .. })));
    }
}
