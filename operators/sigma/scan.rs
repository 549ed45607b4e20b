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

use aho_corasick::packed::Searcher;

use super::program::{Bit, BitInfo, FieldId, Literal};
use crate::types::hash::Map;

/// Stands between texts that are scanned in one piece: a byte that no text has.
pub(crate) const BETWEEN: u8 = 0xFF;

/// Whether a scan looks for a text; if not, it is a late test.
pub(crate) fn is_scanned(text: &str) -> bool {
    match text.len() {
        0 | 1 => false,
        2 => !text.is_ascii(),
        len => len <= usize::from(u16::MAX),
    }
}

/// The bytes of a gram of most texts.
const GRAM: usize = 4;
/// How many bytes a scan goes on at a time that looks for long texts only. It misses none: such a
/// text is filed under as many grams in a row, and one of them stands where the scan looks.
const STRIDE: usize = 4;
/// The shortest text that can be filed so.
pub(crate) const STRIDE_MIN: usize = GRAM + STRIDE - 1;
/// The same for texts that are not so long, filed under grams of three bytes.
const SHORT_STRIDE: usize = 2;
pub(crate) const SHORT_STRIDE_MIN: usize = 3 + SHORT_STRIDE - 1;
/// How many texts vectors look for at a time.
const FEW: usize = 16;
/// How many bits of a map there are for each gram, at least.
const SPARSE: usize = 64;
/// How many words a map has, at least.
const MAP_WORDS_MIN: usize = 128;
/// How many it has at most: a place has 24 bits.
const MAP_WORDS_MAX: usize = 1 << 24;
/// How many places of a value are asked about before the answers are looked at.
const CHUNK: usize = 255;

/// Room for the places of a chunk that pass; what it held before does not matter.
pub(crate) type Passed = [u8; CHUNK + 1];
/// Such room.
pub(crate) const PASSED: Passed = [0; CHUNK + 1];

/// How the literals of one field are found.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Set when the field has a value other than null.
    pub(crate) present: Option<Mark>,
    whole: Map<Box<[u8]>, Mark>,
    /// The lengths of `whole`, those of 63 bytes and more as one.
    whole_lengths: u64,
    /// All texts, where none is shorter than [`STRIDE_MIN`] bytes; then the others are empty.
    strides: Grams<4, STRIDE>,
    /// All texts, where none is shorter than [`SHORT_STRIDE_MIN`] bytes.
    short_strides: Grams<3, SHORT_STRIDE>,
    /// Whether a value has any of these at all, if they are few: vectors tell so much faster.
    any_short: Option<Searcher>,
    /// Texts of four bytes and more. Its map is that of `threes`, too.
    fours: Grams<4>,
    /// Texts of three bytes.
    threes: Grams<3>,
    /// Texts of two bytes that are not ASCII.
    twos: Grams<2>,
}

/// Texts filed under `S` grams of `N` bytes.
#[derive(Debug, Default)]
struct Grams<const N: usize, const S: usize = 1> {
    map: BitMap<N>,
    /// By how much a hash is shifted to be a place in `slots`.
    slot_shift: u32,
    /// Each gram at the first free place from that of its hash on. At least half of the places
    /// are free, so a search soon ends.
    slots: Vec<Slot>,
    /// The texts that are filed, those of a gram side by side.
    entries: Vec<Entry>,
    /// The bytes of the texts, one after the other.
    texts: Vec<u8>,
}

/// Whether any text is filed under a gram of `N` bytes, perhaps: a bit for each range of hashes.
///
/// Of grams of four bytes, the first three choose the word and the fourth the bit of it. So one
/// look can answer for grams of three bytes, too: they have all bits of a word.
#[derive(Debug, Default)]
struct BitMap<const N: usize> {
    /// A power of two of them.
    words: Vec<u64>,
}

impl<const N: usize> BitMap<N> {
    fn new(grams: usize) -> Self {
        let words = (grams * SPARSE / 64).clamp(MAP_WORDS_MIN, MAP_WORDS_MAX).next_power_of_two();
        BitMap { words: vec![0; words] }
    }

    /// The word of a gram, and by how much it is shifted for its bit.
    #[inline]
    fn place(&self, gram: u32) -> (usize, u32) {
        let own = if N == 4 { gram & 0x00FF_FFFF } else { gram };
        let spread = u64::from(own).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let word = (spread >> 40) as usize & self.words.len().wrapping_sub(1);
        (word, if N == 4 { gram >> 24 } else { (spread >> 32) as u32 })
    }

    #[inline]
    fn has(&self, gram: u32) -> bool {
        let (word, bit) = self.place(gram);
        self.words[word].wrapping_shr(bit) & 1 != 0
    }

    /// Notes every `S`th place of `chunk` whose gram it has; how many there are.
    ///
    /// Without a branch, since which do can not be foreseen. Not inlined: the loop needs all
    /// registers.
    #[inline(never)]
    fn pass<const S: usize>(&self, chunk: &[u8], passed: &mut Passed) -> u8 {
        // Eight bytes at a time hold so many places.
        let in_block = (8 - N) / S + 1;
        let (mut count, mut step) = (0u8, 0u8);
        let mut ask = |step: u8, gram: u32| {
            passed[usize::from(count)] = step;
            count = count.wrapping_add(u8::from(self.has(gram)));
        };
        let mut rest = chunk;
        while let Some(block) = rest.first_chunk::<8>() {
            let block = u64::from_le_bytes(*block);
            for place in 0..in_block {
                let four = (block >> (8 * S * place)) as u32;
                ask(step, if N == 4 { four } else { four & ((1 << (8 * N)) - 1) });
                step = step.wrapping_add(1);
            }
            rest = &rest[in_block * S..];
        }
        while rest.len() >= N {
            ask(step, gram::<N>(rest));
            step = step.wrapping_add(1);
            rest = rest.get(S..).unwrap_or_default();
        }
        count
    }

    fn add(&mut self, gram: u32) {
        let (word, bit) = self.place(gram);
        self.words[word] |= 1u64.wrapping_shl(bit);
    }

    /// Adds a gram of three bytes to a map of grams of four.
    fn add_shorter(&mut self, gram: u32) {
        debug_assert_eq!(N, 4, "only there three bytes choose a word");
        let (word, _) = self.place(gram);
        self.words[word] = u64::MAX;
    }
}

/// A gram and where the texts filed under it begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    gram: u32,
    /// [`Slot::FREE`] where there is none.
    first: u32,
}

impl Slot {
    const FREE: u32 = u32::MAX;
}

/// A text that is looked for in one way.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Where the text begins in `texts`.
    start: u32,
    len: u16,
    /// How many bytes of it come before the gram.
    before: u16,
    mark: Mark,
    way: Way,
    /// Whether no more texts are filed under this gram.
    last: bool,
}

/// Where a text must stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Anywhere,
    AtStart,
    AtEnd,
}

/// A bit to be set, and what follows from it: two flags beside its number, so that nothing more
/// has to be read where nothing does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(u32);

impl Mark {
    const LISTED: u32 = 1 << 31;
    const WAKES: u32 = 1 << 30;
    /// The most bits of a rule set.
    pub(crate) const BITS_MAX: usize = 1 << 29;

    pub(crate) fn new(bit: Bit, listed: bool, wakes: bool) -> Self {
        let flag = |flag: u32, on: bool| if on { flag } else { 0 };
        Mark(bit | flag(Mark::LISTED, listed) | flag(Mark::WAKES, wakes))
    }

    /// As a number.
    #[inline]
    pub(crate) fn packed(self) -> u32 {
        self.0
    }

    #[inline]
    pub(crate) fn unpacked(packed: u32) -> Self {
        Mark(packed)
    }

    #[inline]
    pub(crate) fn bit(self) -> Bit {
        self.0 & !(Mark::LISTED | Mark::WAKES)
    }

    /// Whether the bit is a member of lists.
    #[inline]
    pub(crate) fn is_listed(self) -> bool {
        self.0 & Mark::LISTED != 0
    }

    /// Whether the bit is in the guard of a rule.
    #[inline]
    pub(crate) fn wakes(self) -> bool {
        self.0 & Mark::WAKES != 0
    }
}

impl Scan {
    /// The scan of each field, for these bits and what follows from each.
    pub(crate) fn of_fields<'a>(
        bits: impl Iterator<Item = (Bit, &'a BitInfo)>,
        fields: usize,
        mark: impl Fn(Bit) -> Mark,
    ) -> Vec<Scan> {
        let mut scans: Vec<Scan> = Vec::new();
        scans.resize_with(fields, Scan::default);
        let mut texts: Vec<Vec<(&str, Way, Mark)>> = vec![Vec::new(); fields];
        for (bit, info) in bits {
            let mark = mark(bit);
            let scan = &mut scans[info.field.index()];
            let (text, way) = match &info.literal {
                Literal::Present => {
                    scan.present = Some(mark);
                    continue;
                }
                Literal::Is(text) => {
                    scan.whole_lengths |= 1 << text.len().min(63);
                    scan.whole.insert(text.as_bytes().into(), mark);
                    continue;
                }
                Literal::OneOf(_) => continue,
                Literal::Contains(text) => (text, Way::Anywhere),
                Literal::Starts(text) => (text, Way::AtStart),
                Literal::Ends(text) => (text, Way::AtEnd),
            };
            debug_assert!(is_scanned(text), "other texts are late tests");
            texts[info.field.index()].push((text, way, mark));
        }
        for (field, (scan, texts)) in scans.iter_mut().zip(texts).enumerate() {
            match texts.iter().map(|(text, ..)| text.len()).min() {
                Some(STRIDE_MIN..) => {
                    scan.strides = Grams::new(texts, &[]);
                    continue;
                }
                Some(SHORT_STRIDE_MIN..) if (FieldId(field as u16)).is_keywords() => {
                    if texts.len() <= FEW {
                        scan.any_short = Searcher::new(texts.iter().map(|(text, ..)| text));
                    }
                    scan.short_strides = Grams::new(texts, &[]);
                    continue;
                }
                _ => {}
            }
            let of_length = |wanted: usize| {
                let has = |text: &str| text.len().min(GRAM) == wanted;
                texts.iter().filter(|(text, ..)| has(text)).copied().collect()
            };
            scan.threes = Grams::new(of_length(3), &[]);
            scan.fours = Grams::new(of_length(4), &scan.threes.slots);
            scan.twos = Grams::new(of_length(2), &[]);
        }
        scans
    }

    /// Calls `set` for each bit that this folded value sets; perhaps more than once.
    #[inline]
    pub(crate) fn scan(&self, folded: &[u8], passed: &mut Passed, mut set: impl FnMut(Mark)) {
        self.scan_whole(folded, &mut set);
        self.scan_parts(folded, passed, set);
    }

    /// That it is there, and what it is as a whole.
    #[inline]
    pub(crate) fn scan_whole(&self, folded: &[u8], mut set: impl FnMut(Mark)) {
        if let Some(mark) = self.present {
            set(mark);
        }
        let perhaps = self.whole_lengths >> folded.len().min(63) & 1 != 0;
        if perhaps && let Some(mark) = self.whole.get(folded) {
            set(*mark);
        }
    }

    /// Whether there is anything to look for.
    pub(crate) fn is_empty(&self) -> bool {
        let long = self.strides.is_empty() && self.short_strides.is_empty();
        let short = self.fours.is_empty() && self.threes.is_empty() && self.twos.is_empty();
        long && short && !self.asks_for_whole()
    }

    /// Whether [`scan_whole`](Scan::scan_whole) can set anything.
    #[inline]
    pub(crate) fn asks_for_whole(&self) -> bool {
        self.present.is_some() || self.whole_lengths != 0
    }

    /// What it has in it, begins with and ends with. It may be several values, with [`BETWEEN`]
    /// between them.
    #[inline]
    pub(crate) fn scan_parts(&self, value: &[u8], passed: &mut Passed, mut set: impl FnMut(Mark)) {
        if !self.strides.slots.is_empty() {
            self.strides.scan(value, passed, &mut set);
        }
        let none = || self.any_short.as_ref().is_some_and(|any| any.find(value).is_none());
        if !self.short_strides.slots.is_empty() && !none() {
            self.short_strides.scan(value, passed, &mut set);
        }
        match (self.fours.slots.is_empty(), self.threes.slots.is_empty()) {
            (true, true) => {}
            (false, true) => self.fours.scan(value, passed, &mut set),
            (true, false) => self.threes.scan(value, passed, &mut set),
            (false, false) => self.scan_both(value, passed, &mut set),
        }
        if !self.twos.slots.is_empty() && !value.is_ascii() {
            self.twos.scan(value, passed, &mut set);
        }
    }

    /// Looks for texts of three bytes and for longer ones in one pass.
    fn scan_both(&self, value: &[u8], passed: &mut Passed, set: &mut impl FnMut(Mark)) {
        let (fours, threes) = (&self.fours, &self.threes);
        each_place::<4, 1>(value, &fours.map, passed, |at, four| {
            fours.look(value, at, four, set);
            threes.look(value, at, four & 0x00FF_FFFF, set);
        });
        if let Some(at) = value.len().checked_sub(3) {
            threes.look(value, at, gram::<3>(&value[at..]), set);
        }
    }

    /// How many texts are looked for.
    pub(crate) fn texts(&self) -> usize {
        let parts = [
            self.strides.entries.len(),
            self.short_strides.entries.len(),
            self.fours.entries.len(),
            self.threes.entries.len(),
            self.twos.entries.len(),
        ];
        self.whole.len() + parts.iter().sum::<usize>()
    }

    /// How many bytes the tables take.
    pub(crate) fn bytes(&self) -> usize {
        self.strides.bytes()
            + self.short_strides.bytes()
            + self.fours.bytes()
            + self.threes.bytes()
            + self.twos.bytes()
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

/// Calls `look` for each `S`th place of `value` whose gram passes.
#[inline]
fn each_place<const N: usize, const S: usize>(
    value: &[u8],
    map: &BitMap<N>,
    passed: &mut Passed,
    mut look: impl FnMut(usize, u32),
) {
    let mut from = 0;
    while from + N <= value.len() {
        let chunk = &value[from..value.len().min(from + CHUNK * S + N - 1)];
        let count = map.pass::<S>(chunk, passed);
        for step in &passed[..usize::from(count)] {
            let at = usize::from(*step) * S;
            look(from + at, gram::<N>(&chunk[at..]));
        }
        from += CHUNK * S;
    }
}

impl<const N: usize, const S: usize> Grams<N, S> {
    /// Files `texts`; the map knows the grams of three bytes in `others`, too.
    fn new(texts: Vec<(&str, Way, Mark)>, others: &[Slot]) -> Self {
        if texts.is_empty() {
            return Grams::default();
        }
        let mut count: Map<u32, u32> = Map::default();
        for (text, ..) in &texts {
            for window in text.as_bytes().windows(N) {
                *count.entry(gram::<N>(window)).or_default() += 1;
            }
        }
        // Each text under the grams in a row that are rarest together.
        let mut filed: Vec<(u32, usize, &str, Way, Mark)> = Vec::with_capacity(texts.len() * S);
        for (text, way, mark) in texts {
            let grams: Vec<u32> = text.as_bytes().windows(N).map(gram::<N>).collect();
            let common = |row: &[u32]| row.iter().map(|gram| count[gram]).sum::<u32>();
            let rows = grams.windows(S).enumerate().min_by_key(|(_, row)| common(row));
            let (before, row) = rows.expect("no text is shorter than a row of grams");
            let filing = row.iter().enumerate();
            filed.extend(filing.map(|(i, gram)| (*gram, before + i, text, way, mark)));
        }
        filed.sort_unstable_by_key(|(gram, before, text, way, _)| (*gram, *text, *way, *before));
        let places = (filed.len() * 2).next_power_of_two();
        let mut map = BitMap::new(filed.len() + others.len() / 2);
        for slot in others.iter().filter(|slot| slot.first != Slot::FREE) {
            map.add_shorter(slot.gram);
        }
        let mut grams = Grams {
            map,
            slot_shift: 32 - places.trailing_zeros(),
            slots: vec![Slot { gram: 0, first: Slot::FREE }; places],
            entries: Vec::with_capacity(filed.len()),
            texts: Vec::new(),
        };
        let mut previous = None;
        let mut kept: Map<&str, u32> = Map::default();
        for (gram, before, text, way, mark) in filed {
            if previous == Some(gram) {
                grams.entries.last_mut().expect("the previous one").last = false;
            } else {
                grams.map.add(gram);
                let mut place = (hash(gram) >> grams.slot_shift) as usize;
                while grams.slots[place].first != Slot::FREE {
                    place = (place + 1) % places;
                }
                grams.slots[place] = Slot { gram, first: grams.entries.len() as u32 };
            }
            previous = Some(gram);
            let bytes = &mut grams.texts;
            let start = *kept.entry(text).or_insert_with(|| {
                bytes.extend(text.as_bytes());
                (bytes.len() - text.len()) as u32
            });
            let (len, before) = (text.len() as u16, before as u16);
            grams.entries.push(Entry { start, len, before, mark, way, last: true });
        }
        grams
    }

    fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    fn scan(&self, value: &[u8], passed: &mut Passed, set: &mut impl FnMut(Mark)) {
        each_place::<N, S>(value, &self.map, passed, |at, gram| self.look(value, at, gram, set));
    }

    /// Compares the texts that are filed under the gram at `at`.
    #[inline]
    fn look(&self, value: &[u8], at: usize, gram: u32, set: &mut impl FnMut(Mark)) {
        let mut place = (hash(gram) >> self.slot_shift) as usize;
        let first = loop {
            match self.slots[place] {
                Slot { first: Slot::FREE, .. } => return,
                slot if slot.gram == gram => break slot.first as usize,
                _ => place = (place + 1) % self.slots.len(),
            }
        };
        for entry in &self.entries[first..] {
            self.compare(value, at, entry, set);
            if entry.last {
                return;
            }
        }
    }

    #[inline]
    fn compare(&self, value: &[u8], at: usize, entry: &Entry, set: &mut impl FnMut(Mark)) {
        let Some(start) = at.checked_sub(usize::from(entry.before)) else { return };
        let end = start + usize::from(entry.len);
        let placed = match entry.way {
            Way::Anywhere => end <= value.len(),
            Way::AtStart => end <= value.len() && (start == 0 || value[start - 1] == BETWEEN),
            Way::AtEnd => end == value.len() || value.get(end) == Some(&BETWEEN),
        };
        if !placed {
            return;
        }
        let text = entry.start as usize;
        if value[start..end] == self.texts[text..text + usize::from(entry.len)] {
            set(entry.mark);
        }
    }

    fn bytes(&self) -> usize {
        self.map.words.len() * 8
            + self.slots.len() * size_of::<Slot>()
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

    #[inline]
    pub(crate) fn remove(&mut self, field: FieldId) {
        self.0[field.index() / 64] &= !(1 << (field.index() % 64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_finds_exactly_what_stands_in_the_value() {
        let words =
            ["abc", "abcd", "bcd", "cde", "aaaa", "aaa", "xyzzy", "zzyx", "é€", "dcba", "é"];
        check(FieldId(FieldId::RESERVED as u16), &words);
    }

    #[test]
    fn strides_miss_nothing() {
        check(FieldId::KEYWORDS, &["abcdefg", "aaaaaaa", "bcdefghijk", "gfedcba", "éèêëéè"]);
    }

    /// Looks for each word in each way in texts made of them.
    fn check(field: FieldId, words: &[&str]) {
        let mut bits = Vec::new();
        for word in words {
            for literal in [Literal::Contains, Literal::Starts, Literal::Ends, Literal::Is] {
                bits.push(BitInfo {
                    field,
                    literal: literal((*word).to_owned()),
                    uses: 1,
                    common: 0.0,
                });
            }
        }
        let all = (0..).zip(&bits);
        let scans = Scan::of_fields(all, field.index() + 1, |bit| {
            Mark::new(bit, bit % 2 == 0, bit % 3 == 0)
        });
        let mut values = vec![String::new(), "abcdcba".into(), "aaaaa".into(), "xyzzyx".into()];
        values.extend(words.iter().map(|word| (*word).to_owned()));
        values.extend(words.iter().map(|word| format!("é{word}{word}€")));
        for word in words {
            values.extend((0..9).map(|n| format!("{}{word}", ".".repeat(n))));
            values.extend([250, 255, 256, 1018, 1023].map(|n| format!("{}{word}.", "-".repeat(n))));
        }
        for value in &values {
            let mut found = std::collections::BTreeSet::new();
            scans[field.index()].scan(value.as_bytes(), &mut { PASSED }, |mark| {
                found.insert(mark.bit());
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
