//! What was found in events. The events themselves are in the journal; here is, for each block
//! of them, what it would take the whole engine to find again.

use std::collections::BTreeMap;

use operators::types::EventTime;
use rocksdb::{IteratorMode, WriteBatch, WriteOptions};
use serde::{Deserialize, Serialize};

use super::{EVENTS, Error, Storage};

/// What was found in consecutive events.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// The epoch that they belong to.
    pub epoch: u64,
    /// The sequence number of the first.
    pub first_seq: u64,
    /// The earliest and the latest event time.
    pub times: (EventTime, EventTime),
    /// When each happened.
    pub time: Vec<EventTime>,
    /// The template of each; 0 is none.
    pub template: Vec<u64>,
    /// The score of each, in [0, 1]; negative where no detector had an opinion.
    pub score: Vec<f32>,
    /// The flags of each.
    pub flags: Vec<u16>,
    /// For each event, where its entities end in `entities`.
    pub entity_ends: Vec<u32>,
    /// The low 64 bits of the entities' ids.
    pub entities: Vec<u64>,
    /// The rules that matched: event by index, rule's id and title.
    pub hits: Vec<(u32, String, String)>,
}

impl Found {
    /// How many events there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.time.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.time.is_empty()
    }

    /// The entities of an event, by its index.
    #[must_use]
    pub fn entities(&self, index: usize) -> &[u64] {
        let start = index.checked_sub(1).map_or(0, |before| self.entity_ends[before]);
        &self.entities[start as usize..self.entity_ends[index] as usize]
    }
}

impl Storage {
    /// Stores what was found in an epoch.
    pub fn put_found(&self, found: &[Found]) -> Result<(), Error> {
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        self.patiently(|| {
            let mut batch = WriteBatch::default();
            for found in found.iter().filter(|found| !found.is_empty()) {
                let bytes = postcard::to_stdvec(found).expect("plain data");
                batch.put_cf(self.inner.family(EVENTS), found.first_seq.to_be_bytes(), bytes);
            }
            self.inner.db.write_opt(batch, &options)
        })
    }

    /// What was found in events from `seq` on, block by block, in order; damaged values are left
    /// out.
    pub fn found_from(&self, seq: u64) -> impl Iterator<Item = Result<Found, Error>> {
        let family = self.inner.family(EVENTS);
        let start = seq.to_be_bytes();
        // The block that holds `seq` may start before it.
        let before = IteratorMode::From(&start, rocksdb::Direction::Reverse);
        let first = self.inner.db.iterator_cf(family, before).next();
        let start = match first {
            Some(Ok((key, _))) => key.into_vec(),
            _ => start.to_vec(),
        };
        let from = IteratorMode::From(&start, rocksdb::Direction::Forward);
        self.inner.db.iterator_cf(family, from).filter_map(|entry| match entry {
            Ok((_, bytes)) => postcard::from_bytes(&bytes).ok().map(Ok),
            Err(error) => Some(Err(self.error(error))),
        })
    }

    /// What was found in all events, newest block first.
    pub fn found_backwards(&self) -> impl Iterator<Item = Result<Found, Error>> {
        let family = self.inner.family(EVENTS);
        self.inner.db.iterator_cf(family, IteratorMode::End).filter_map(|entry| match entry {
            Ok((_, bytes)) => postcard::from_bytes(&bytes).ok().map(Ok),
            Err(error) => Some(Err(self.error(error))),
        })
    }

    /// Drops what was found in events before `seq`, which the journal no longer holds.
    pub fn forget_found(&self, seq: u64) -> Result<(), Error> {
        let mut batch = WriteBatch::default();
        batch.delete_range_cf(self.inner.family(EVENTS), [0; 8], seq.to_be_bytes());
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        self.inner.db.write_opt(batch, &options).map_err(|error| self.error(error))
    }

    /// How many keys there are of each kind of state, of those whose value `counts`.
    pub fn state_sizes(&self, counts: impl Fn(u8, &[u8]) -> bool) -> BTreeMap<char, u64> {
        let mut sizes = BTreeMap::new();
        for entry in self.inner.db.iterator_cf(self.inner.family(super::STATE), IteratorMode::Start)
        {
            let Ok((key, value)) = entry else { break };
            if let Some(kind) = key.first().filter(|kind| counts(**kind, &value)) {
                *sizes.entry(char::from(*kind)).or_default() += 1;
            }
        }
        sizes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(first_seq: u64, count: u64) -> Found {
        let times = (EventTime(first_seq as i64), EventTime((first_seq + count) as i64));
        let each = || 0..count as usize;
        Found {
            epoch: 1,
            first_seq,
            times,
            time: each().map(|i| EventTime(first_seq as i64 + i as i64)).collect(),
            template: each().map(|_| 7).collect(),
            score: each().map(|_| -1.0).collect(),
            flags: each().map(|_| 0).collect(),
            entity_ends: each().map(|i| i as u32 + 1).collect(),
            entities: each().map(|i| i as u64).collect(),
            hits: Vec::new(),
        }
    }

    #[test]
    fn blocks_are_found_from_the_middle_and_from_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::open(dir.path()).unwrap();
        storage.put_found(&[found(0, 10), found(10, 10), found(20, 5)]).unwrap();
        let firsts = |from| -> Vec<u64> {
            storage.found_from(from).map(|found| found.unwrap().first_seq).collect()
        };
        assert_eq!(firsts(0), [0, 10, 20]);
        assert_eq!(firsts(13), [10, 20]);
        assert_eq!(firsts(99), [20]);
        let newest = storage.found_backwards().next().unwrap().unwrap();
        assert_eq!(newest, found(20, 5));
        assert_eq!(newest.entities(0), [0]);
        assert_eq!(newest.entities(4), [4]);
        storage.forget_found(10).unwrap();
        assert_eq!(firsts(0), [10, 20]);
    }
}
