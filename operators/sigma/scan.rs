//! One field's literals behind one automaton.
//!
//! The texts that rules look for in a field, folded, are the words of a double-array Aho-Corasick
//! automaton. A hit says where it begins and ends, and that decides: a text that must begin the
//! value counts only at its start, one that must end it only at its end. Texts that must be the
//! whole value are looked up by hash.

use daachorse::DoubleArrayAhoCorasick;

use super::program::{Bit, BitInfo, FieldId, Literal};
use crate::types::hash::Map;

/// How the literals of one field are found.
#[derive(Default)]
pub(crate) struct Scan {
    /// Set when the field has a value other than null.
    pub(crate) present: Option<Bit>,
    whole: Map<Box<str>, Bit>,
    /// The longest of `whole`, in bytes.
    whole_max: usize,
    words: Option<DoubleArrayAhoCorasick<u32>>,
    /// The shortest of `words`, in bytes.
    word_min: usize,
    /// For words that are asked for in more than one way.
    mixed: Vec<[Option<Bit>; 3]>,
}

/// The ways in which a word can be asked for, in the top bits of what the automaton yields.
const CONTAINS: u32 = 0;
const STARTS: u32 = 1;
const ENDS: u32 = 2;
const MIXED: u32 = 3;
const WAY_SHIFT: u32 = 30;
/// The most bits of a rule set.
pub(crate) const BITS_MAX: usize = 1 << WAY_SHIFT;

impl Scan {
    /// The scan of each field, for the bits of a rule set.
    pub(crate) fn of_fields(bits: &[BitInfo], fields: usize) -> Result<Vec<Scan>, String> {
        let mut scans: Vec<Scan> = (0..fields).map(|_| Scan::default()).collect();
        let mut words: Vec<Map<&str, [Option<Bit>; 3]>> = vec![Map::default(); fields];
        for (bit, info) in bits.iter().enumerate() {
            let bit = bit as Bit;
            let scan = &mut scans[info.field.index()];
            let (text, way) = match &info.literal {
                Literal::Present => {
                    scan.present = Some(bit);
                    continue;
                }
                Literal::Is(text) => {
                    scan.whole_max = scan.whole_max.max(text.len());
                    scan.whole.insert(text.as_str().into(), bit);
                    continue;
                }
                Literal::OneOf(_) => continue,
                Literal::Contains(text) => (text, CONTAINS),
                Literal::Starts(text) => (text, STARTS),
                Literal::Ends(text) => (text, ENDS),
            };
            words[info.field.index()].entry(text).or_default()[way as usize] = Some(bit);
        }
        for (scan, words) in scans.iter_mut().zip(words) {
            scan.build(words)?;
        }
        Ok(scans)
    }

    fn build(&mut self, words: Map<&str, [Option<Bit>; 3]>) -> Result<(), String> {
        if words.is_empty() {
            return Ok(());
        }
        let mut words: Vec<(&str, [Option<Bit>; 3])> = words.into_iter().collect();
        words.sort_unstable();
        self.word_min = words.iter().map(|(text, _)| text.len()).min().unwrap_or(0);
        let mut coded = Vec::with_capacity(words.len());
        for (text, ways) in words {
            let code = match ways {
                [Some(bit), None, None] => CONTAINS << WAY_SHIFT | bit,
                [None, Some(bit), None] => STARTS << WAY_SHIFT | bit,
                [None, None, Some(bit)] => ENDS << WAY_SHIFT | bit,
                ways => {
                    self.mixed.push(ways);
                    MIXED << WAY_SHIFT | (self.mixed.len() - 1) as u32
                }
            };
            coded.push((text, code));
        }
        let automaton = DoubleArrayAhoCorasick::with_values(coded);
        self.words = Some(automaton.map_err(|error| error.to_string())?);
        Ok(())
    }

    /// Calls `set` for each bit that this folded value sets; perhaps more than once.
    #[inline]
    pub(crate) fn scan(&self, folded: &str, mut set: impl FnMut(Bit)) {
        if let Some(bit) = self.present {
            set(bit);
        }
        if folded.len() <= self.whole_max && !self.whole.is_empty() {
            if let Some(bit) = self.whole.get(folded) {
                set(*bit);
            }
        }
        let Some(words) = &self.words else { return };
        if folded.len() < self.word_min {
            return;
        }
        let len = folded.len();
        for hit in words.find_overlapping_iter(folded) {
            let code = hit.value();
            let arg = code & ((1 << WAY_SHIFT) - 1);
            match code >> WAY_SHIFT {
                CONTAINS => set(arg),
                STARTS if hit.start() == 0 => set(arg),
                ENDS if hit.end() == len => set(arg),
                MIXED => {
                    let [contains, starts, ends] = self.mixed[arg as usize];
                    contains.into_iter().for_each(&mut set);
                    starts.filter(|_| hit.start() == 0).into_iter().for_each(&mut set);
                    ends.filter(|_| hit.end() == len).into_iter().for_each(&mut set);
                }
                _ => {}
            }
        }
    }

    /// How many bytes the automaton takes.
    pub(crate) fn bytes(&self) -> usize {
        self.words.as_ref().map_or(0, DoubleArrayAhoCorasick::heap_bytes)
    }
}

impl std::fmt::Debug for Scan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = self.words.as_ref().map_or(0, DoubleArrayAhoCorasick::num_states);
        f.debug_struct("Scan").field("whole", &self.whole.len()).field("states", &words).finish()
    }
}

/// A set of fields, as bits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields(pub(crate) Vec<u64>);

impl Fields {
    pub(crate) fn none(fields: usize) -> Self {
        Fields(vec![0; fields.div_ceil(64)])
    }

    #[inline]
    pub(crate) fn has(&self, field: FieldId) -> bool {
        let index = field.index();
        self.0.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 != 0)
    }

    pub(crate) fn add(&mut self, field: FieldId) {
        self.0[field.index() / 64] |= 1 << (field.index() % 64);
    }
}
