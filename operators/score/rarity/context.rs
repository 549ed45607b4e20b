//! What one entity usually does, in few bytes.

use crate::types::hash;

use super::super::codec::{Corrupt, Put, Reader};
use super::super::opinion::Opinion;
use super::{Evidence, probability};

/// How an entity's context remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContextOptions {
    /// Symbols remembered, at least 4. Before a further one, the one seen least is given up, and
    /// what was seen of it counts as new. Eight bytes each.
    pub symbols_max: u16,
    /// Events before the first opinion.
    pub opinion_min: u32,
    /// Events remembered; when there are so many, all counts are halved. At least 2.
    pub halve_at: u32,
}

impl ContextOptions {
    /// Fit for what a host, an address or an account does: 64 symbols, an opinion after 20
    /// events, halved at 65 536.
    pub const ENTITY: ContextOptions =
        ContextOptions { symbols_max: 64, opinion_min: 20, halve_at: 65_536 };
}

/// How often one entity was seen with each symbol. Takes events one by one, in sequence order.
///
/// 32 bytes while there are at most three symbols, seen at most 65 535 times each. A symbol is
/// known by 32 bits of its hash: of 64 symbols and a new one, one pair in 10⁸ looks alike, and
/// then the new one looks known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Events remembered, those of symbols given up included.
    events: u32,
    /// Events of symbols given up.
    rest: u32,
    symbols: Symbols,
}

/// Symbols by their hash, in ascending order, each with a count that is not 0.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Symbols {
    Few {
        hashes: [u32; 3],
        counts: [u16; 3],
        len: u8,
    },
    #[expect(clippy::box_collection, reason = "a vector in place would make every context larger")]
    Many(Box<Vec<(u32, u32)>>),
}

impl Default for Symbols {
    fn default() -> Self {
        Symbols::Few { hashes: [0; 3], counts: [0; 3], len: 0 }
    }
}

impl Symbols {
    fn for_each(&self, mut see: impl FnMut(u32, u32)) {
        match self {
            Symbols::Few { hashes, counts, len } => {
                for at in 0..usize::from(*len) {
                    see(hashes[at], u32::from(counts[at]));
                }
            }
            Symbols::Many(many) => many.iter().for_each(|&(hash, count)| see(hash, count)),
        }
    }

    fn get(&self, wanted: u32) -> u32 {
        match self {
            Symbols::Few { hashes, counts, len } => (0..usize::from(*len))
                .find(|at| hashes[*at] == wanted)
                .map_or(0, |at| u32::from(counts[at])),
            Symbols::Many(many) => {
                many.binary_search_by_key(&wanted, |entry| entry.0).map_or(0, |at| many[at].1)
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Symbols::Few { len, .. } => usize::from(*len),
            Symbols::Many(many) => many.len(),
        }
    }

    fn list(&self) -> Vec<(u32, u32)> {
        let mut list = Vec::with_capacity(self.len() + 1);
        self.for_each(|hash, count| list.push((hash, count)));
        list
    }

    /// The symbols of a sorted list, in the smallest form.
    fn of(list: Vec<(u32, u32)>) -> Self {
        let fits = list.len() <= 3 && list.iter().all(|entry| entry.1 <= u32::from(u16::MAX));
        if !fits {
            return Symbols::Many(Box::new(list));
        }
        let (mut hashes, mut counts) = ([0; 3], [0; 3]);
        for (at, (hash, count)) in list.iter().enumerate() {
            (hashes[at], counts[at]) = (*hash, *count as u16);
        }
        Symbols::Few { hashes, counts, len: list.len() as u8 }
    }

    /// Adds to a symbol in place, if it is there and there is room for the count.
    fn add(&mut self, wanted: u32, times: u32) -> bool {
        match self {
            Symbols::Few { hashes, counts, len } => {
                let at = (0..usize::from(*len)).find(|at| hashes[*at] == wanted);
                let times = u16::try_from(times).ok();
                let sum = at.zip(times).and_then(|(at, times)| counts[at].checked_add(times));
                at.zip(sum).map(|(at, sum)| counts[at] = sum).is_some()
            }
            Symbols::Many(many) => match many.binary_search_by_key(&wanted, |entry| entry.0) {
                Ok(at) => {
                    many[at].1 = many[at].1.saturating_add(times);
                    true
                }
                Err(_) => false,
            },
        }
    }
}

impl Context {
    const VERSION: u8 = 1;

    /// 32 bits of a symbol. Symbols may be small numbers, so they are mixed first.
    #[must_use]
    pub fn short(symbol: u64) -> u32 {
        (hash::mix(symbol) >> 32) as u32
    }

    /// How improbable `symbol` is here, once enough was seen.
    #[must_use]
    pub fn score(&self, options: &ContextOptions, symbol: u64) -> Option<Opinion> {
        self.score_short(options.opinion_min, Self::short(symbol))
    }

    pub(in super::super) fn score_short(&self, opinion_min: u32, symbol: u32) -> Option<Opinion> {
        if self.events < opinion_min {
            return None;
        }
        let seen = self.symbols.get(symbol);
        // All counts together are `events`, so neither sum overflows.
        let (mut once, mut up_to) = (0u32, 0u32);
        self.symbols.for_each(|_, count| {
            once = once.wrapping_add(u32::from(count == 1));
            up_to = up_to.wrapping_add(if count <= seen { count } else { 0 });
        });
        let (rest, events) = (u64::from(self.rest), u64::from(self.events));
        let (seen, once, up_to) = (u64::from(seen), u64::from(once), u64::from(up_to));
        Some(Opinion::new(probability(seen, once, up_to, rest, events)))
    }

    /// How often `symbol` was seen here, as far as it is remembered.
    #[must_use]
    pub fn seen(&self, symbol: u64) -> u32 {
        self.seen_short(Self::short(symbol))
    }

    pub(in super::super) fn seen_short(&self, symbol: u32) -> u32 {
        self.symbols.get(symbol)
    }

    /// How many events are remembered.
    #[must_use]
    pub fn events(&self) -> u32 {
        self.events
    }

    /// What an opinion of `symbol` rests on.
    #[must_use]
    pub fn evidence(&self, symbol: u64) -> Evidence {
        Evidence { seen: u64::from(self.seen(symbol)), events: u64::from(self.events) }
    }

    /// Learns one event.
    pub fn learn(&mut self, options: &ContextOptions, symbol: u64) {
        self.learn_short(options, Self::short(symbol), 1);
    }

    pub(in super::super) fn learn_short(
        &mut self,
        options: &ContextOptions,
        symbol: u32,
        times: u32,
    ) {
        // So that all counts together fit in 32 bits.
        if u64::from(self.events) + u64::from(times) > u64::from(u32::MAX) {
            self.halve();
        }
        let times = times.min(u32::MAX - self.events);
        self.events += times;
        if times > 0 && !self.symbols.add(symbol, times) {
            self.insert(options, symbol, times);
        }
        if self.events >= options.halve_at.max(2) {
            self.halve();
        }
    }

    fn insert(&mut self, options: &ContextOptions, symbol: u32, times: u32) {
        let mut list = match &mut self.symbols {
            Symbols::Many(many) => std::mem::take(many.as_mut()),
            few => few.list(),
        };
        match list.binary_search_by_key(&symbol, |entry| entry.0) {
            Ok(at) => list[at].1 = list[at].1.saturating_add(times),
            Err(at) => list.insert(at, (symbol, times)),
        }
        if list.len() > usize::from(options.symbols_max.max(4)) {
            // Not the new one: a context full of symbols seen twice would never learn another.
            let others = list.iter().enumerate().filter(|(_, entry)| entry.0 != symbol);
            let least = others.min_by_key(|(_, entry)| (entry.1, entry.0)).map(|(at, _)| at);
            let (_, count) = list.remove(least.expect("more than one symbol is remembered"));
            self.rest = self.rest.saturating_add(count);
        }
        self.symbols = Symbols::of(list);
    }

    /// Halves all counts; what was seen once is forgotten. For ageing by something else than this
    /// context's own events.
    pub fn halve(&mut self) {
        let mut list = self.symbols.list();
        list.iter_mut().for_each(|entry| entry.1 /= 2);
        list.retain(|entry| entry.1 > 0);
        self.rest /= 2;
        self.events = list.iter().fold(self.rest, |sum, entry| sum.saturating_add(entry.1));
        self.symbols = Symbols::of(list);
    }

    /// Bytes held outside the context itself.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match &self.symbols {
            Symbols::Few { .. } => 0,
            Symbols::Many(many) => size_of::<Vec<(u32, u32)>>() + many.capacity() * 8,
        }
    }

    /// Appends the context.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(Self::VERSION);
        out.put_var(u64::from(self.events));
        out.put_var(u64::from(self.rest));
        out.put_var(self.symbols.len() as u64);
        self.symbols.for_each(|hash, count| {
            out.put_u32(hash);
            out.put_var(u64::from(count));
        });
    }

    /// Reads a context back.
    ///
    /// # Errors
    /// If the bytes are not what [`encode`](Self::encode) wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader::new(bytes, Self::VERSION)?;
        let (events, rest) = (reader.var_u32()?, reader.var_u32()?);
        let mut list: Vec<(u32, u32)> = Vec::new();
        for _ in 0..reader.len(5)? {
            let entry = (reader.u32()?, reader.var_u32()?);
            if entry.1 == 0 || list.last().is_some_and(|last| last.0 >= entry.0) {
                return Err(Corrupt("symbols are out of order, or without a count"));
            }
            list.push(entry);
        }
        reader.end()?;
        let sum = list.iter().fold(u64::from(rest), |sum, entry| sum + u64::from(entry.1));
        if sum != u64::from(events) {
            return Err(Corrupt("counts do not sum up"));
        }
        Ok(Context { events, rest, symbols: Symbols::of(list) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::data::{bench, mutations};
    use super::super::super::random::Random;
    use super::*;

    const OPTIONS: ContextOptions = ContextOptions::ENTITY;

    fn learned(symbols: impl IntoIterator<Item = u64>) -> Context {
        let mut context = Context::default();
        symbols.into_iter().for_each(|symbol| context.learn(&OPTIONS, symbol));
        context
    }

    #[test]
    fn a_context_of_three_symbols_takes_32_bytes_and_nothing_else() {
        assert_eq!(size_of::<Context>(), 32);
        assert_eq!(learned((0..1_000).map(|i| i % 3)).heap_bytes(), 0);
        assert!(learned((0..1_000).map(|i| i % 64)).heap_bytes() <= 24 + 64 * 8);
    }

    #[test]
    fn a_context_says_what_the_large_model_says() {
        let mut random = Random::new(4);
        for _ in 0..50 {
            let kinds = 1 + random.below(40);
            let n = 20 + random.below(500);
            let symbols: Vec<u64> = (0..n).map(|_| random.below(kinds)).collect();
            let mut large = super::super::Rarity::new(super::super::Options::TEMPLATES);
            large.apply(&symbols.iter().map(|symbol| (*symbol, 1)).collect::<Vec<_>>().into());
            let small = learned(symbols);
            for symbol in 0..kinds + 2 {
                assert_eq!(small.score(&OPTIONS, symbol), large.score(symbol));
            }
            assert_eq!(small.evidence(1), large.evidence(1));
        }
    }

    #[test]
    fn ever_new_addresses_are_never_rare_also_beyond_the_limit() {
        let mut random = Random::new(4);
        let context = learned((0..3_000).map(|_| random.bits()));
        assert_eq!(context.symbols.len(), 64);
        assert!(context.score(&OPTIONS, random.bits()).unwrap().p() > 0.95);
    }

    #[test]
    fn a_new_symbol_is_rare_beside_a_few_regular_ones_also_beyond_the_limit() {
        // 60 regular symbols and now and then one that never comes back.
        let one_off = |i: u64| if i.is_multiple_of(500) { 1_000 + i } else { i % 60 };
        let context = learned((0..20_000).map(one_off));
        let p = context.score(&OPTIONS, 77_777).unwrap().p();
        assert!((0.001..0.006).contains(&p), "one event in 500 is new, and p is {p}");
    }

    #[test]
    fn counts_are_halved_and_never_overflow() {
        let context = learned((0..1_000_000).map(|_| 1));
        assert!(context.events() < OPTIONS.halve_at);
        assert!(context.seen(1) >= OPTIONS.halve_at / 2);
        let mut huge = Context::default();
        for _ in 0..3 {
            huge.learn_short(&ContextOptions { halve_at: u32::MAX, ..OPTIONS }, 1, u32::MAX);
        }
        assert!(huge.score_short(0, 1).is_some());
    }

    #[test]
    fn a_context_comes_back_as_it_went_and_bad_bytes_are_refused() {
        let mut random = Random::new(9);
        for kinds in [1, 3, 4, 30, 500] {
            let context = learned((0..700).map(|_| random.below(kinds)));
            let mut bytes = Vec::new();
            context.encode(&mut bytes);
            assert_eq!(Context::decode(&bytes).unwrap(), context);
            mutations(&bytes, |bytes| {
                if let Ok(mut context) = Context::decode(bytes) {
                    context.learn(&OPTIONS, 3);
                    assert!(context.score(&OPTIONS, 4).is_none_or(|o| o.p() > 0.0));
                }
            });
        }
    }

    #[test]
    #[ignore = "a measurement"]
    fn bench_context() {
        let mut random = Random::new(2);
        for kinds in [3.0, 60.0] {
            let draw = |_| (kinds * random.unit() * random.unit()) as u64;
            let symbols: Vec<u64> = (0..100_000).map(draw).collect();
            let mut context = learned(symbols.iter().copied());
            bench(&format!("context of {kinds} kinds, score"), &symbols, |symbol| {
                context.score(&OPTIONS, *symbol).unwrap().p()
            });
            bench(&format!("context of {kinds} kinds, learn"), &symbols, |symbol| {
                context.learn(&OPTIONS, *symbol);
                0.0
            });
        }
    }
}
