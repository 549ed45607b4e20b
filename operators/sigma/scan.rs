//! One field's literals behind one matcher.
//!
//! Every text that rules look for in a field is filed under one *gram* of it: four bytes in a row
//! (all of it, if it is shorter), chosen to stand in as few of the field's other texts as possible.
//! A scan hashes the gram at each byte of the value and asks a bit map, small enough for the
//! nearest cache, whether any text is filed under such a hash. Nearly always none is. The answer
//! for one byte does not wait for that of the byte before it, as it does in an automaton.
//!
//! Where a gram is found, the texts filed under it are compared, and where they lie decides: a
//! text that must begin the value counts only at its start, one that must end it only at its end.
//! Texts that must be the whole value are looked up by hash. ASCII texts of one or two bytes stand
//! in nearly everything: no scan looks for them, they are late tests.

use super::program::{Bit, BitInfo, FieldId, Literal};
use crate::types::hash::Map;

/// Whether a scan looks for a text; if not, it is a late test.
pub(crate) fn is_scanned(text: &str) -> bool {
    text.len() >= 3 || (text.len() == 2 && !text.is_ascii())
}

/// The bytes of a gram of most texts.
const GRAM: usize = 4;
/// How many bits of the map there are for each text, at least.
const SPARSE: usize = 24;

/// How the literals of one field are found.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Set when the field has a value other than null.
    pub(crate) present: Option<Bit>,
    whole: Map<Box<str>, Bit>,
    /// The lengths of `whole`, those of 63 bytes and more as one.
    whole_lengths: u64,
    /// Texts of four bytes and more.
    fours: Grams<4>,
    /// Texts of three bytes.
    threes: Grams<3>,
    /// Texts of two bytes that are not ASCII.
    twos: Grams<2>,
}

/// Texts filed under grams of `N` bytes.
#[derive(Debug, Default)]
struct Grams<const N: usize> {
    /// Whether any text is filed under a hash.
    map: Vec<u64>,
    /// By how much a hash is shifted to be a place in `map`, in bits.
    map_shift: u32,
    /// By how much a hash is shifted to be a drawer.
    drawer_shift: u32,
    /// Where the entries of a drawer begin; one more than there are drawers.
    drawers: Vec<u32>,
    entries: Vec<Entry>,
    /// The texts, one after the other.
    texts: Vec<u8>,
}

/// A text filed under a gram.
#[derive(Clone, Copy, Debug)]
struct Entry {
    gram: u32,
    /// Where the text begins in `texts`.
    start: u32,
    len: u32,
    /// How many bytes of it come before the gram.
    before: u32,
    /// What is set when it occurs, begins the value, ends the value.
    bits: [Bit; 3],
}

/// No bit is set.
const NONE: Bit = Bit::MAX;
const CONTAINS: usize = 0;
const STARTS: usize = 1;
const ENDS: usize = 2;

impl Scan {
    /// The scan of each field, for the bits of a rule set.
    pub(crate) fn of_fields(bits: &[BitInfo], fields: usize) -> Vec<Scan> {
        let mut scans: Vec<Scan> = Vec::new();
        scans.resize_with(fields, Scan::default);
        let mut texts: Vec<Map<&str, [Bit; 3]>> = vec![Map::default(); fields];
        for (bit, info) in bits.iter().enumerate() {
            let bit = bit as Bit;
            let scan = &mut scans[info.field.index()];
            let (text, way) = match &info.literal {
                Literal::Present => {
                    scan.present = Some(bit);
                    continue;
                }
                Literal::Is(text) => {
                    scan.whole_lengths |= 1 << text.len().min(63);
                    scan.whole.insert(text.as_str().into(), bit);
                    continue;
                }
                Literal::OneOf(_) => continue,
                Literal::Contains(text) => (text, CONTAINS),
                Literal::Starts(text) => (text, STARTS),
                Literal::Ends(text) => (text, ENDS),
            };
            debug_assert!(is_scanned(text), "other texts are late tests");
            texts[info.field.index()].entry(text).or_insert([NONE; 3])[way] = bit;
        }
        for (scan, texts) in scans.iter_mut().zip(texts) {
            let mut texts: Vec<(&str, [Bit; 3])> = texts.into_iter().collect();
            texts.sort_unstable();
            let of_length = |wanted: usize| {
                let has = |text: &str| text.len().min(GRAM) == wanted;
                texts.iter().filter(|(text, _)| has(text)).copied().collect()
            };
            scan.fours = Grams::new(of_length(4));
            scan.threes = Grams::new(of_length(3));
            scan.twos = Grams::new(of_length(2));
        }
        scans
    }

    /// Calls `set` for each bit that this folded value sets; perhaps more than once.
    #[inline]
    pub(crate) fn scan(&self, folded: &str, mut set: impl FnMut(Bit)) {
        if let Some(bit) = self.present {
            set(bit);
        }
        if self.whole_lengths >> folded.len().min(63) & 1 != 0 {
            if let Some(bit) = self.whole.get(folded) {
                set(*bit);
            }
        }
        let value = folded.as_bytes();
        match (self.fours.map.is_empty(), self.threes.map.is_empty()) {
            (true, true) => {}
            (false, true) => self.fours.scan(value, &mut set),
            (true, false) => self.threes.scan(value, &mut set),
            (false, false) => self.scan_both(value, &mut set),
        }
        if !self.twos.map.is_empty() && !folded.is_ascii() {
            self.twos.scan(value, &mut set);
        }
    }

    /// Looks for texts of three bytes and for longer ones in one pass.
    #[inline]
    fn scan_both(&self, value: &[u8], set: &mut impl FnMut(Bit)) {
        let (fours, threes) = (&self.fours, &self.threes);
        for (at, window) in value.windows(4).enumerate() {
            let four = gram::<4>(window);
            let three = four & 0x00FF_FFFF;
            let (four_hash, three_hash) = (hash(four), hash(three));
            if fours.has(four_hash) | threes.has(three_hash) {
                fours.look(value, at, four, four_hash, set);
                threes.look(value, at, three, three_hash, set);
            }
        }
        if let Some(at) = value.len().checked_sub(3) {
            let three = gram::<3>(&value[at..]);
            threes.look(value, at, three, hash(three), set);
        }
    }

    /// How many bytes the tables take.
    pub(crate) fn bytes(&self) -> usize {
        self.fours.bytes() + self.threes.bytes() + self.twos.bytes()
    }
}

/// The gram of `N` bytes that `bytes` begins with.
#[inline]
fn gram<const N: usize>(bytes: &[u8]) -> u32 {
    match N {
        4 => u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
        3 => u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]),
        _ => u32::from_le_bytes([bytes[0], bytes[1], 0, 0]),
    }
}

#[inline]
fn hash(gram: u32) -> u32 {
    gram.wrapping_mul(0x9E37_79B1)
}

impl<const N: usize> Grams<N> {
    fn new(texts: Vec<(&str, [Bit; 3])>) -> Self {
        if texts.is_empty() {
            return Grams::default();
        }
        let mut count: Map<u32, u32> = Map::default();
        for (text, _) in &texts {
            for window in text.as_bytes().windows(N) {
                *count.entry(gram::<N>(window)).or_default() += 1;
            }
        }
        let drawers = texts.len().next_power_of_two().max(2);
        let places = (texts.len() * SPARSE).next_power_of_two().max(64);
        let mut grams = Grams {
            map: vec![0; places / 64],
            map_shift: 32 - places.trailing_zeros().min(32),
            drawer_shift: 32 - drawers.trailing_zeros(),
            ..Grams::default()
        };
        for (text, bits) in texts {
            let windows = text.as_bytes().windows(N).map(gram::<N>).enumerate();
            let rarest = windows.min_by_key(|(_, gram)| count[gram]);
            let (before, gram) = rarest.expect("no text is shorter than a gram");
            let place = hash(gram) >> grams.map_shift;
            grams.map[place as usize / 64] |= 1 << (place % 64);
            let (start, len) = (grams.texts.len() as u32, text.len() as u32);
            grams.texts.extend(text.as_bytes());
            grams.entries.push(Entry { gram, start, len, before: before as u32, bits });
        }
        let shift = grams.drawer_shift;
        let drawer = |entry: &Entry| hash(entry.gram) >> shift;
        grams.entries.sort_by_key(|entry| (drawer(entry), entry.gram, entry.start));
        let mut next = 0;
        for number in 0..drawers as u32 {
            grams.drawers.push(next as u32);
            while grams.entries.get(next).is_some_and(|entry| drawer(entry) == number) {
                next += 1;
            }
        }
        grams.drawers.push(next as u32);
        grams
    }

    #[inline]
    fn scan(&self, value: &[u8], set: &mut impl FnMut(Bit)) {
        for (at, window) in value.windows(N).enumerate() {
            let gram = gram::<N>(window);
            let hash = hash(gram);
            if self.has(hash) {
                self.look(value, at, gram, hash, set);
            }
        }
    }

    /// Whether a text may be filed under a gram of this hash.
    #[inline]
    fn has(&self, hash: u32) -> bool {
        let place = hash >> self.map_shift;
        self.map[place as usize / 64] >> (place % 64) & 1 != 0
    }

    /// Compares the texts that are filed under the gram at `at`.
    #[inline]
    fn look(&self, value: &[u8], at: usize, gram: u32, hash: u32, set: &mut impl FnMut(Bit)) {
        let drawer = (hash >> self.drawer_shift) as usize;
        let entries = self.drawers[drawer] as usize..self.drawers[drawer + 1] as usize;
        for entry in &self.entries[entries] {
            let Some(start) = at.checked_sub(entry.before as usize) else { continue };
            let end = start + entry.len as usize;
            if entry.gram != gram || end > value.len() {
                continue;
            }
            let text = &self.texts[entry.start as usize..(entry.start + entry.len) as usize];
            let [contains, starts, ends] = entry.bits;
            let decided = contains != NONE || (start == 0 && starts != NONE);
            if !decided && (end != value.len() || ends == NONE) {
                continue;
            }
            if value[start..end] != *text {
                continue;
            }
            if contains != NONE {
                set(contains);
            }
            if starts != NONE && start == 0 {
                set(starts);
            }
            if ends != NONE && end == value.len() {
                set(ends);
            }
        }
    }

    fn bytes(&self) -> usize {
        self.map.len() * 8
            + self.drawers.len() * 4
            + self.entries.len() * size_of::<Entry>()
            + self.texts.len()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_finds_exactly_what_stands_in_the_value() {
        let words =
            ["abc", "abcd", "bcd", "cde", "aaaa", "aaa", "xyzzy", "zzyx", "é€", "dcba", "é"];
        let mut bits = Vec::new();
        for word in words {
            let field = FieldId(1);
            for literal in [Literal::Contains, Literal::Starts, Literal::Ends, Literal::Is] {
                bits.push(BitInfo { field, literal: literal(word.to_owned()), uses: 1 });
            }
        }
        let scans = Scan::of_fields(&bits, 2);
        let mut values = vec![String::new(), "abcdcba".into(), "aaaaa".into(), "xyzzyx".into()];
        values.extend(words.iter().map(|word| (*word).to_owned()));
        values.extend(words.iter().map(|word| format!("é{word}{word}€")));
        for value in &values {
            let mut found = std::collections::BTreeSet::new();
            scans[1].scan(value, |bit| {
                found.insert(bit);
            });
            for (bit, info) in bits.iter().enumerate() {
                let expected = match &info.literal {
                    Literal::Contains(text) => value.contains(text.as_str()),
                    Literal::Starts(text) => value.starts_with(text.as_str()),
                    Literal::Ends(text) => value.ends_with(text.as_str()),
                    Literal::Is(text) => value == text,
                    _ => unreachable!("not among them"),
                };
                assert_eq!(found.contains(&(bit as Bit)), expected, "{info:?} in {value}");
            }
        }
    }
}
