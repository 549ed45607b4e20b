//! What is stored, for those who only look: one value after the other, none held for longer than
//! it is looked at, and a fault of the disk is an error and no panic.

use operators::state::StateKey;
use operators::types::{Alert, EventTime};
use rocksdb::{Direction, IteratorMode};

use super::events::Found;
use super::{ALERTS, EVENTS, Error, STATE, Storage};

/// A stored [`Found`], of which only the head is read unless more is wanted.
pub struct Block(Box<[u8]>);

/// Which events a [`Block`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The sequence number of the first.
    pub first_seq: u64,
    /// The earliest and the latest event time.
    pub times: (EventTime, EventTime),
}

impl Block {
    /// Which events it is about; `None` if it is damaged.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        // The first fields of `Found`, in its order.
        type Fields = (u64, u64, (EventTime, EventTime));
        let ((_, first_seq, times), _) = postcard::take_from_bytes::<Fields>(&self.0).ok()?;
        Some(Head { first_seq, times })
    }

    /// All of it; `None` if it is damaged.
    #[must_use]
    pub fn found(&self) -> Option<Found> {
        postcard::from_bytes(&self.0).ok()
    }
}

impl Storage {
    /// The value of a key of state, as of the last checkpoint.
    pub fn state(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let value = self.inner.db.get_cf(self.inner.family(STATE), key);
        value.map_err(|error| self.error(error))
    }

    /// All state under a prefix, as of the last checkpoint, in order of keys.
    pub fn each_state<'s>(
        &'s self,
        prefix: &'s [u8],
    ) -> impl Iterator<Item = Result<(StateKey, Box<[u8]>), Error>> + 's {
        let from = IteratorMode::From(prefix, Direction::Forward);
        let entries = self.inner.db.iterator_cf(self.inner.family(STATE), from);
        let under = entries.take_while(move |entry| match entry {
            Ok((key, _)) => key.starts_with(prefix),
            Err(_) => true,
        });
        under.map(|entry| match entry {
            Ok((key, value)) => Ok((key.into_vec(), value)),
            Err(error) => Err(self.error(error)),
        })
    }

    /// What was found in events, block by block, in order.
    pub fn blocks(&self) -> impl Iterator<Item = Result<Block, Error>> {
        let entries = self.inner.db.iterator_cf(self.inner.family(EVENTS), IteratorMode::Start);
        entries.map(|entry| match entry {
            Ok((_, bytes)) => Ok(Block(bytes)),
            Err(error) => Err(self.error(error)),
        })
    }

    /// What was found in the block of events that holds `seq`, and its place in it.
    pub fn found_of(&self, seq: u64) -> Result<Option<(Found, usize)>, Error> {
        let start = seq.to_be_bytes();
        let from = IteratorMode::From(&start, Direction::Reverse);
        let entry = self.inner.db.iterator_cf(self.inner.family(EVENTS), from).next();
        let Some((_, bytes)) = entry.transpose().map_err(|error| self.error(error))? else {
            return Ok(None);
        };
        let found = Block(bytes).found().and_then(|found| {
            let index = usize::try_from(seq.checked_sub(found.first_seq)?).ok()?;
            (index < found.len()).then_some((found, index))
        });
        Ok(found)
    }

    /// All alerts whose id begins with `prefix`, by id. Damaged ones are left out.
    pub fn each_alert<'s>(
        &'s self,
        prefix: &'s str,
    ) -> impl Iterator<Item = Result<Alert, Error>> + 's {
        let prefix = prefix.as_bytes();
        let from = IteratorMode::From(prefix, Direction::Forward);
        let entries = self.inner.db.iterator_cf(self.inner.family(ALERTS), from);
        let under = entries.take_while(move |entry| match entry {
            Ok((key, _)) => key.starts_with(prefix),
            Err(_) => true,
        });
        under.filter_map(|entry| match entry {
            Ok((_, bytes)) => serde_json::from_slice(&bytes).ok().map(Ok),
            Err(error) => Some(Err(self.error(error))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_found_by_its_number_and_none_that_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::open(dir.path()).unwrap();
        let found = |first_seq: u64, count: i64| Found {
            epoch: 3,
            first_seq,
            times: (EventTime(5), EventTime(4 + count)),
            time: (5..5 + count).map(EventTime).collect(),
            template: vec![0; count as usize],
            score: vec![-1.0; count as usize],
            flags: vec![0; count as usize],
            entity_ends: vec![0; count as usize],
            ..Found::default()
        };
        storage.put_found(&[found(10, 4), found(20, 2)]).unwrap();
        let of = |seq| storage.found_of(seq).unwrap().map(|(found, at)| (found.first_seq, at));
        assert_eq!(of(9), None);
        assert_eq!(of(10), Some((10, 0)));
        assert_eq!(of(13), Some((10, 3)));
        assert_eq!(of(14), None);
        assert_eq!(of(21), Some((20, 1)));
        assert_eq!(of(u64::MAX), None);
        let heads: Vec<Head> = storage.blocks().map(|b| b.unwrap().head().unwrap()).collect();
        let head = |first_seq, last| Head { first_seq, times: (EventTime(5), EventTime(last)) };
        assert_eq!(heads, [head(10, 8), head(20, 6)]);
        assert_eq!(Block(vec![0xff; 3].into()).head(), None);
    }
}
