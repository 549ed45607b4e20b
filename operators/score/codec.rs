//! How models are written to bytes and read back, to the bit.
//!
//! Little-endian, lengths first, one version byte in front of each model. Whatever the bytes,
//! reading ends with a model or a [`Corrupt`], never with a panic or a huge allocation.

use std::fmt;

/// Why bytes are not the model that they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt(pub &'static str);

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stored model: {}", self.0)
    }
}

impl std::error::Error for Corrupt {}

/// Appends numbers to bytes.
pub(super) trait Put {
    fn put_u8(&mut self, value: u8);
    fn put_u32(&mut self, value: u32);
    fn put_u64(&mut self, value: u64);
    /// Seven bits to a byte, the lowest first: small numbers are short.
    fn put_var(&mut self, value: u64);
    fn put_f64(&mut self, value: f64);
}

impl Put for Vec<u8> {
    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }

    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_var(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    fn put_f64(&mut self, value: f64) {
        self.put_u64(value.to_bits());
    }
}

/// Takes numbers from bytes.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// A reader of bytes that begin with this version.
    pub(super) fn new(bytes: &'a [u8], version: u8) -> Result<Self, Corrupt> {
        let mut reader = Reader(bytes);
        match reader.u8()? {
            found if found == version => Ok(reader),
            _ => Err(Corrupt("written by another version")),
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Corrupt> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Corrupt("too short"))?;
        self.0 = rest;
        Ok(*head)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Corrupt> {
        Ok(self.take::<1>()?[0])
    }

    pub(super) fn u32(&mut self) -> Result<u32, Corrupt> {
        Ok(u32::from_le_bytes(self.take()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Corrupt> {
        Ok(u64::from_le_bytes(self.take()?))
    }

    pub(super) fn var(&mut self) -> Result<u64, Corrupt> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Corrupt("a number is too long"))
    }

    /// A number of at most `max`.
    pub(super) fn var_to(&mut self, max: u64) -> Result<u64, Corrupt> {
        match self.var()? {
            value if value <= max => Ok(value),
            _ => Err(Corrupt("a number is too large")),
        }
    }

    pub(super) fn var_u32(&mut self) -> Result<u32, Corrupt> {
        Ok(self.var_to(u64::from(u32::MAX))? as u32)
    }

    pub(super) fn f64(&mut self) -> Result<f64, Corrupt> {
        Ok(f64::from_bits(self.u64()?))
    }

    /// How many items follow, each of at least `bytes_each` (not 0) bytes.
    pub(super) fn len(&mut self, bytes_each: usize) -> Result<usize, Corrupt> {
        Ok(self.var_to((self.0.len() / bytes_each) as u64)? as usize)
    }

    /// The next item's bytes, whose length stands in front.
    pub(super) fn part(&mut self) -> Result<&'a [u8], Corrupt> {
        let len = self.len(1)?;
        let (part, rest) = self.0.split_at(len);
        self.0 = rest;
        Ok(part)
    }

    /// All bytes that are left.
    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }

    /// That nothing is left over.
    pub(super) fn end(self) -> Result<(), Corrupt> {
        match self.0 {
            [] => Ok(()),
            _ => Err(Corrupt("bytes left over")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_as_they_went() {
        let numbers = [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX];
        let mut bytes = vec![7];
        for number in numbers {
            bytes.put_var(number);
            bytes.put_u64(number);
            bytes.put_f64(number as f64);
        }
        let mut reader = Reader::new(&bytes, 7).unwrap();
        for number in numbers {
            assert_eq!(reader.var().unwrap(), number);
            assert_eq!(reader.u64().unwrap(), number);
            assert_eq!(reader.f64().unwrap(), number as f64);
        }
        reader.end().unwrap();
    }

    #[test]
    fn a_length_that_cannot_be_is_refused() {
        let mut bytes = vec![7];
        bytes.put_var(1 << 40);
        assert!(Reader::new(&bytes, 7).unwrap().len(1).is_err());
        assert!(Reader::new(&bytes, 8).is_err());
        assert!(
            Reader::new(&[7, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2], 7)
                .unwrap()
                .var()
                .is_err()
        );
    }
}
