//! Hashes that are the same on every machine and in every version.
//!
//! Routing and identities need them. A hash that only finds a slot in a map may be another one.

/// The 64-bit FNV-1a hash of `bytes`, finished by the mixer of MurmurHash3.
///
/// Stable for ever: template ids and key groups are made of it.
#[must_use]
pub fn stable(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    mix(hash)
}

/// Spreads the bits of a number: each bit of the answer depends on each bit of `hash`.
#[must_use]
pub const fn mix(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// How many key groups there are. Fixed for ever: it is part of the state on disk.
pub const KEY_GROUPS: u16 = 256;

/// The key group of a key that is already a good hash: its top bits.
#[must_use]
pub const fn key_group(hash: u64) -> u16 {
    (hash >> 56) as u16
}

/// The worker that owns a key group, when there are `peers` of them.
///
/// Nothing but routing may depend on it.
#[must_use]
pub const fn owner(group: u16, peers: usize) -> usize {
    group as usize * peers / KEY_GROUPS as usize
}

/// The key groups that a worker owns, when there are `peers` of them.
#[must_use]
pub fn groups_of(worker: usize, peers: usize) -> std::ops::Range<u16> {
    let first = |worker: usize| (worker * KEY_GROUPS as usize).div_ceil(peers) as u16;
    first(worker)..first(worker + 1)
}

/// A map from keys to values with a fast, seeded hasher.
///
/// The order in which it lists its keys is arbitrary: sort before anything shows.
pub type Map<K, V> = hashbrown::HashMap<K, V, foldhash::fast::FixedState>;

/// A set with the hasher of [`Map`].
pub type Set<K> = hashbrown::HashSet<K, foldhash::fast::FixedState>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_group_has_the_owner_that_owns_it() {
        for peers in 1..20 {
            for worker in 0..peers {
                for group in groups_of(worker, peers) {
                    assert_eq!(owner(group, peers), worker);
                }
            }
            assert_eq!(groups_of(peers - 1, peers).end, KEY_GROUPS);
        }
    }
}
