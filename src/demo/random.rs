//! Random numbers from a seed and a name, so that one kind of traffic does not disturb another.

use operators::types::hash::stable;

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The sequence of this seed for a purpose.
    #[must_use]
    pub fn of(seed: u64, purpose: &str) -> Self {
        let mut random = Random(seed ^ stable(purpose.as_bytes()));
        Random(random.bits())
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `0..n`; `n` is above 0 and far below 2⁶⁴.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }

    /// Uniform in `[from, to)`; `from` is below `to`.
    pub fn between(&mut self, from: i64, to: i64) -> i64 {
        from + self.below((to - from) as u64) as i64
    }

    /// One of some, each as likely.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// One of some, the first ones more likely: as the smaller of two places.
    pub fn favour<T: Copy>(&mut self, from: &[T]) -> T {
        let n = from.len() as u64;
        from[self.below(n).min(self.below(n)) as usize]
    }

    /// Whether something happens that does so `times` in a thousand.
    pub fn chance(&mut self, times: u64) -> bool {
        self.below(1_000) < times
    }

    /// Some characters of an alphabet.
    pub fn text(&mut self, length: usize, alphabet: &[u8]) -> String {
        (0..length).map(|_| char::from(self.pick(alphabet))).collect()
    }

    /// Hexadecimal digits.
    pub fn hex(&mut self, length: usize) -> String {
        self.text(length, b"0123456789abcdef")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_published_one() {
        let mut random = Random::new(0);
        let words = [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f];
        assert_eq!([random.bits(), random.bits(), random.bits()], words);
        let (mut one, mut other) = (Random::of(1, "dns"), Random::of(1, "mail"));
        assert_ne!(one.bits(), other.bits());
    }

    #[test]
    fn numbers_stay_in_their_bounds() {
        let mut random = Random::new(7);
        for _ in 0..1_000 {
            assert!((-3..5).contains(&random.between(-3, 5)));
            assert!(random.below(3) < 3 && !random.chance(0) && random.chance(1_000));
        }
        assert_eq!(random.hex(9).len(), 9);
    }
}
