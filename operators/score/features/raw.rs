//! What one pass over a message's bytes tells.

/// Bytes of a message that are looked at for entropy and shares; its length is always the whole.
pub const BYTES_MAX: usize = 1_024;

/// The numbers of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TextNumbers {
    /// Shannon entropy of its bytes, in bits: 0 for one repeated byte, at most 8.
    pub entropy: f32,
    /// Share of decimal digits.
    pub digits: f32,
    /// Share of bytes that are no ASCII letter, digit or white space, and not of a longer
    /// character.
    pub punctuation: f32,
}

/// How much n·log₂ n grows when a byte is seen for the n-th time, in 1/65 536 bits. As long as a
/// power of two, so that no index needs a check.
static GROWTH: [u32; 2 * BYTES_MAX] = growth();
/// 1 for a digit, 65 536 for punctuation.
static CLASS: [u32; 256] = classes();

/// The numbers of the first [`BYTES_MAX`] bytes of a message.
#[must_use]
pub fn text(message: &str) -> TextNumbers {
    let bytes = message.as_bytes();
    let bytes = &bytes[..bytes.len().min(BYTES_MAX)];
    if bytes.is_empty() {
        return TextNumbers::default();
    }
    let mut counts = [0u16; 256];
    // Neither sum overflows: there are at most 1 024 bytes.
    let (mut sum, mut class) = (0u32, 0u32);
    for byte in bytes {
        let count = &mut counts[usize::from(*byte)];
        *count = count.wrapping_add(1);
        sum = sum.wrapping_add(GROWTH[usize::from(*count) % GROWTH.len()]);
        class = class.wrapping_add(CLASS[usize::from(*byte)]);
    }
    let n = bytes.len() as f32;
    let all = log2_fixed(bytes.len() as u32) as f32 / 65_536.0;
    TextNumbers {
        entropy: (all - sum as f32 / 65_536.0 / n).max(0.0),
        digits: (class & 0xffff) as f32 / n,
        punctuation: (class >> 16) as f32 / n,
    }
}

const fn growth() -> [u32; 2 * BYTES_MAX] {
    let mut table = [0; 2 * BYTES_MAX];
    let mut n = 2u32;
    while n <= BYTES_MAX as u32 {
        table[n as usize] = n * log2_fixed(n) - (n - 1) * log2_fixed(n - 1);
        n += 1;
    }
    table
}

/// log₂ n in 1/65 536, for n from 1: bit by bit, by squaring.
const fn log2_fixed(n: u32) -> u32 {
    let whole = 31 - n.leading_zeros();
    let mut fraction = ((n as u64) << 31) >> whole;
    let mut log = whole;
    let mut bit = 0;
    while bit < 16 {
        fraction = (fraction * fraction) >> 31;
        log <<= 1;
        if fraction >= 1 << 32 {
            fraction >>= 1;
            log |= 1;
        }
        bit += 1;
    }
    log
}

const fn classes() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        let b = byte as u8;
        table[byte] = if b.is_ascii_digit() {
            1
        } else if b.is_ascii_alphabetic() || b.is_ascii_whitespace() {
            0
        } else {
            65_536
        };
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::super::random::Random;
    use super::*;

    #[test]
    fn entropy_is_shannons() {
        let mut random = Random::new(1);
        for len in [1, 2, 7, 100, 1_024] {
            let kinds = 1 + random.below(90);
            let one = |_| char::from(b' ' + random.below(kinds) as u8);
            let message: String = (0..len).map(one).collect();
            let mut counts = [0.0f64; 256];
            message.bytes().for_each(|byte| counts[usize::from(byte)] += 1.0);
            let n = len as f64;
            let used = counts.iter().filter(|count| **count > 0.0);
            let entropy: f64 = used.map(|count| -count / n * (count / n).log2()).sum();
            let found = f64::from(text(&message).entropy);
            assert!((found - entropy).abs() < 1e-3, "{len} {kinds}: {found} {entropy}");
        }
    }

    #[test]
    fn shares_are_counted_by_byte() {
        let numbers = text("ab 12;;—");
        assert_eq!((numbers.digits, numbers.punctuation), (0.2, 0.2));
        assert_eq!(text(""), TextNumbers::default());
        assert_eq!(text(&"9".repeat(50_000)).digits, 1.0);
    }
}
