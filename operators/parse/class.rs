//! Sets of bytes that names are made of.

/// A set of bytes.
pub(super) struct Class([bool; 256]);

/// The name of a host, or its address. Names that are not ASCII are taken as they are.
pub(super) const HOST: Class = Class::letters_digits_and(b"._-:/@%").and_non_ascii();
/// The name of a program's component.
pub(super) const COMPONENT: Class = Class::letters_digits_and(b"_.$/@#-:<>");
/// A name without spaces and colons.
pub(super) const NAME: Class = Class::letters_digits_and(b"_.-/$");
/// A key of `key=value`.
pub(super) const KEY: Class = Class::letters_digits_and(b"_.-@/[]");

impl Class {
    const fn letters_digits_and(others: &[u8]) -> Self {
        let mut class = [false; 256];
        let mut byte = 0;
        while byte < 128 {
            class[byte] = (byte as u8).is_ascii_alphanumeric();
            byte += 1;
        }
        let mut index = 0;
        while index < others.len() {
            class[others[index] as usize] = true;
            index += 1;
        }
        Class(class)
    }

    const fn and_non_ascii(mut self) -> Self {
        let mut byte = 128;
        while byte < 256 {
            self.0[byte] = true;
            byte += 1;
        }
        self
    }

    /// Whether a byte is in the set.
    pub(super) const fn has(&self, byte: u8) -> bool {
        self.0[byte as usize]
    }

    /// Whether all bytes of a text are.
    pub(super) fn has_all(&self, text: &str) -> bool {
        text.bytes().all(|byte| self.has(byte))
    }

    /// How many bytes at the start of a text are, up to `max`.
    pub(super) fn prefix(&self, text: &str, max: usize) -> usize {
        text.bytes().take(max).take_while(|byte| self.has(*byte)).count()
    }
}
