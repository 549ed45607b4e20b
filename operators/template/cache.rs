//! A short memory for lines that come again and again.

use super::TemplateId;
use super::dictionary::Dictionary;
use super::mask::Masked;

/// How many lines are remembered. A line whose slot another one needs is looked up again.
const SLOTS: usize = 4096;

/// Lines longer than this are not remembered: all slots together hold at most 2 MiB of tokens.
const TOKENS_CACHED_MAX: usize = 64;

/// Remembers what one [`Dictionary`] answered, until that dictionary changes.
///
/// It can never change an answer: a slot counts only for exactly its line and only as long as
/// the dictionary's version is the one that answered. A cache belongs to one dictionary.
#[derive(Clone, Debug)]
pub struct Cache {
    slots: Vec<Slot>,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    version: u64,
    answer: Option<TemplateId>,
    /// The line. No tokens: nothing is remembered here.
    tokens: Vec<u64>,
}

impl Default for Cache {
    fn default() -> Self {
        Cache { slots: vec![Slot::default(); SLOTS] }
    }
}

impl Cache {
    /// What [`Dictionary::find`] says.
    #[inline]
    pub fn find(&mut self, dictionary: &Dictionary, masked: &Masked) -> Option<TemplateId> {
        let slot = &mut self.slots[masked.key() as usize % SLOTS];
        let version = dictionary.version();
        if slot.version == version && slot.tokens == masked.hashes() && !masked.is_empty() {
            return slot.answer;
        }
        let answer = dictionary.find(masked);
        if masked.len() <= TOKENS_CACHED_MAX {
            slot.version = version;
            slot.answer = answer;
            slot.tokens.clear();
            slot.tokens.extend_from_slice(masked.hashes());
        }
        answer
    }
}
