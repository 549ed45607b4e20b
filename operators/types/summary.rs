//! What an epoch brought, in a form that does not show how the work was split.
//!
//! A source-wide model is read-only while an epoch lasts. Each worker writes down what it saw in
//! a summary; at the end all summaries are merged, in any order, and the model takes the result.
//! So a summary is exact (integers, no floating-point sums) and its parts commute.

use std::hash::Hash;

use serde::{Deserialize, Serialize};

use super::hash::Map;

/// A commutative monoid: `default()` is its zero, and `merge` is associative and commutative.
///
/// To the bit: however the records of an epoch are dealt to workers, and in whatever order their
/// summaries are merged, the result is the same.
pub trait Mergeable: Default {
    /// Adds what `other` saw.
    fn merge(&mut self, other: Self);
}

/// How often each key was seen.
///
/// As large as the number of different keys in one epoch, which the length of an epoch bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    into = "Vec<(K, u64)>",
    from = "Vec<(K, u64)>",
    bound(
        serialize = "K: Serialize + Copy + Ord + Hash",
        deserialize = "K: Deserialize<'de> + Copy + Ord + Hash"
    )
)]
pub struct Tally<K: Hash + Eq> {
    counts: Map<K, u64>,
}

impl<K: Hash + Eq> Default for Tally<K> {
    fn default() -> Self {
        Tally { counts: Map::default() }
    }
}

impl<K: Copy + Ord + Hash> Tally<K> {
    /// Counts `key` once more.
    pub fn add(&mut self, key: K) {
        self.add_many(key, 1);
    }

    /// Counts `key` `times` times more; at most `u64::MAX` in all.
    pub fn add_many(&mut self, key: K, times: u64) {
        let count = self.counts.entry(key).or_default();
        *count = count.saturating_add(times);
    }

    /// How often `key` was seen.
    #[must_use]
    pub fn get(&self, key: K) -> u64 {
        self.counts.get(&key).copied().unwrap_or(0)
    }

    /// The keys with their counts, by key.
    #[must_use]
    pub fn sorted(&self) -> Vec<(K, u64)> {
        let mut pairs: Vec<(K, u64)> =
            self.counts.iter().map(|(key, count)| (*key, *count)).collect();
        pairs.sort_unstable_by_key(|pair| pair.0);
        pairs
    }

    /// How many different keys were seen.
    #[must_use]
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether nothing was seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

impl<K: Copy + Ord + Hash> Mergeable for Tally<K> {
    fn merge(&mut self, mut other: Self) {
        if self.len() < other.len() {
            std::mem::swap(self, &mut other);
        }
        for (key, count) in other.counts {
            self.add_many(key, count);
        }
    }
}

impl<K: Copy + Ord + Hash> From<Vec<(K, u64)>> for Tally<K> {
    fn from(pairs: Vec<(K, u64)>) -> Self {
        let mut tally = Tally::default();
        for (key, count) in pairs {
            tally.add_many(key, count);
        }
        tally
    }
}

impl<K: Copy + Ord + Hash> From<Tally<K>> for Vec<(K, u64)> {
    fn from(tally: Tally<K>) -> Self {
        tally.sorted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_merging_does_not_show() {
        let parts: Vec<Tally<u64>> =
            [vec![(1, 2), (2, 1)], vec![], vec![(2, 5)], vec![(9, 1), (1, 1)]]
                .into_iter()
                .map(Tally::from)
                .collect();
        let merge = |order: [usize; 4]| {
            let mut whole = Tally::default();
            for part in order {
                whole.merge(parts[part].clone());
            }
            whole.sorted()
        };
        assert_eq!(merge([0, 1, 2, 3]), [(1, 3), (2, 6), (9, 1)]);
        assert_eq!(merge([3, 2, 1, 0]), merge([0, 1, 2, 3]));
        assert_eq!(merge([1, 3, 0, 2]), merge([0, 1, 2, 3]));
    }

    #[test]
    fn a_tally_survives_the_wire() {
        let tally: Tally<(u64, u64)> = vec![((3, 1), 4), ((1, 9), 7)].into();
        let wire = serde_json::to_string(&tally).unwrap();
        assert_eq!(wire, "[[[1,9],7],[[3,1],4]]");
        assert_eq!(serde_json::from_str::<Tally<(u64, u64)>>(&wire).unwrap(), tally);
    }
}
