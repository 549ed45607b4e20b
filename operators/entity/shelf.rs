//! A map that grows by small pieces.
//!
//! A hash map with its values in it doubles: of a million entities half its places may be empty,
//! and while it moves there are two of it. Here only numbers are hashed; values lie in pieces of
//! a fixed size, which never move.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::types::EntityId;

/// How many values a piece holds.
const PIECE: usize = 64;

/// Values by entity. See the [module](self).
#[derive(Debug)]
pub struct Shelf<T> {
    /// Numbers of values.
    index: HashTable<u32>,
    /// All but the last are full.
    pieces: Vec<Vec<(EntityId, T)>>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Shelf { index: HashTable::new(), pieces: Vec::new() }
    }
}

fn hash(id: EntityId) -> u64 {
    FixedState::default().hash_one(id)
}

impl<T> Shelf<T> {
    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        let last = self.pieces.last().map_or(0, Vec::len);
        self.pieces.len().saturating_sub(1) * PIECE + last
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The value of an entity, if there is one.
    pub fn get_mut(&mut self, id: EntityId) -> Option<&mut T> {
        let Shelf { index, pieces } = self;
        let at = |number: &u32| (*number as usize / PIECE, *number as usize % PIECE);
        let is_it = |number: &u32| {
            let (piece, place) = at(number);
            pieces[piece][place].0 == id
        };
        let (piece, place) = at(index.find(hash(id), is_it)?);
        Some(&mut pieces[piece][place].1)
    }

    /// Adds the value of an entity that has none.
    pub fn insert(&mut self, id: EntityId, value: T) -> &mut T {
        let number = u32::try_from(self.len()).expect("memory ends long before");
        let Shelf { index, pieces } = self;
        let full = pieces.last().is_none_or(|piece| piece.len() == PIECE);
        if full {
            pieces.push(Vec::with_capacity(PIECE));
        }
        let piece = pieces.last_mut().expect("there is one now");
        piece.push((id, value));
        let id_of = |number: &u32| pieces[*number as usize / PIECE][*number as usize % PIECE].0;
        index.insert_unique(hash(id), number, |number| hash(id_of(number)));
        let piece = pieces.last_mut().expect("there is one now");
        &mut piece.last_mut().expect("it was pushed").1
    }

    /// All values, in no order that means anything.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.pieces.iter().flatten().map(|(_, value)| value)
    }

    /// All entities and their values, in no order that means anything.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (EntityId, &mut T)> {
        self.pieces.iter_mut().flatten().map(|(id, value)| (*id, value))
    }

    /// Removes the values that are not to be kept.
    pub fn retain(&mut self, mut keep: impl FnMut(EntityId, &T) -> bool) {
        let pieces = std::mem::take(&mut self.pieces);
        *self = Shelf::default();
        for (id, value) in pieces.into_iter().flatten() {
            if keep(id, &value) {
                self.insert(id, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::types::hash::mix;

    #[test]
    fn a_shelf_holds_what_a_map_holds() {
        let mut shelf = Shelf::default();
        let mut plain = BTreeMap::new();
        let mut state = 1;
        for step in 0..20_000_u64 {
            state = mix(state + step);
            let id = EntityId(u128::from(state % 3_000));
            match shelf.get_mut(id) {
                Some(value) => *value += step,
                None => assert_eq!(*shelf.insert(id, step), step),
            }
            *plain.entry(id).or_insert(0) += step;
            if step % 4_999 == 0 {
                let keep = |id: &EntityId| id.0 % 3 != u128::from(step % 3);
                shelf.retain(|id, _| keep(&id));
                plain.retain(|id, _| keep(id));
            }
            assert_eq!(shelf.len(), plain.len());
        }
        let all: BTreeMap<_, _> = shelf.iter_mut().map(|(id, value)| (id, *value)).collect();
        assert_eq!(all, plain);
        assert_eq!(shelf.values().sum::<u64>(), plain.values().sum::<u64>());
    }
}
