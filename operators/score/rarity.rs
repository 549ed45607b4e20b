//! Rarity: is this symbol rare here?
//!
//! The probability of a symbol is the mass of all symbols seen no more often than it, with the
//! mass that Good and Turing give to symbols not seen yet: (N₁ + 1) / (n + 2), where N₁ symbols
//! of n were seen once (Good, *Biometrika* 1953). Where most symbols are new, as addresses of
//! visitors are, the next new one is no surprise; among 37 kinds seen 41 200 times it is one.
//!
//! [`Rarity`] is the source's, learned from closed epochs; a [`Context`] is one entity's. Both
//! forget: counts are halved after a number of events, and beyond a number of symbols those seen
//! least are given up. What is given up counts as if it were always new, so forgetting can hide
//! something rare and never makes something rare.

use std::collections::BTreeMap;

use crate::types::hash::Map;
use crate::types::summary::Tally;

use super::codec::{Corrupt, Put, Reader};
use super::opinion::Opinion;

mod context;

pub use context::{Context, ContextOptions};

/// How a source-wide model of rarity remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Symbols remembered, at least 1. Above it, an eighth of them, those seen least, are given
    /// up: their events count as new ones, so new symbols surprise less.
    pub symbols_max: u32,
    /// Events before the first opinion.
    pub opinion_min: u64,
    /// Events after which all counts are halved, at the end of an epoch.
    pub halve_every: u64,
}

impl Options {
    /// Fit for templates: 65 536 symbols (about 4 MiB), an opinion after 20 events, halved every
    /// 2 million.
    pub const TEMPLATES: Options =
        Options { symbols_max: 65_536, opinion_min: 20, halve_every: 2_000_000 };
}

/// What one epoch brought: how often each symbol was seen.
pub type Summary = Tally<u64>;

/// How often each symbol of a source was seen, in closed epochs. See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rarity {
    options: Options,
    symbols: Map<u64, u64>,
    /// How many symbols were seen so often.
    by_count: BTreeMap<u64, u64>,
    /// For each count, the events of all symbols seen no more often.
    up_to: Vec<(u64, u64)>,
    /// Events of symbols that were given up.
    rest: u64,
    /// All events remembered, `rest` included.
    events: u64,
    /// Events since the last halving.
    fresh: u64,
}

/// What an opinion of rarity rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// How often the symbol was seen.
    pub seen: u64,
    /// Among how many events.
    pub events: u64,
}

impl Evidence {
    /// The reason in words: `template 812 was never seen on db01 before, in 41200 events`. `place`
    /// may be empty.
    #[must_use]
    pub fn sentence(&self, symbol: impl std::fmt::Display, place: &str) -> String {
        let often = match self.seen {
            0 => "never seen".to_owned(),
            1 => "seen once".to_owned(),
            2 => "seen twice".to_owned(),
            many => format!("seen {many} times"),
        };
        let space = if place.is_empty() { "" } else { " " };
        format!("{symbol} was {often}{space}{place} before, in {} events", self.events)
    }
}

/// The probability of a symbol seen `seen` times among `events`: `once` symbols were seen once,
/// `rest` events are of symbols given up, `up_to` events of symbols seen at most `seen` times.
fn probability(seen: u64, once: u64, up_to: u64, rest: u64, events: u64) -> f64 {
    let total = (events + 2) as f64;
    let new = (once + rest + 1) as f64 / total;
    match seen {
        0 => new,
        _ => new.max((up_to + rest + 1) as f64 / total),
    }
}

impl Rarity {
    const VERSION: u8 = 1;

    /// A model that has seen nothing.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Rarity {
            options: Options { symbols_max: options.symbols_max.max(1), ..options },
            symbols: Map::default(),
            by_count: BTreeMap::new(),
            up_to: Vec::new(),
            rest: 0,
            events: 0,
            fresh: 0,
        }
    }

    /// How improbable `symbol` is, once enough was seen.
    #[must_use]
    pub fn score(&self, symbol: u64) -> Option<Opinion> {
        if self.events < self.options.opinion_min {
            return None;
        }
        let seen = self.seen(symbol);
        let once = self.up_to.first().map_or(0, |&(count, mass)| if count == 1 { mass } else { 0 });
        let below = self.up_to.partition_point(|(count, _)| *count <= seen);
        let up_to = below.checked_sub(1).map_or(0, |last| self.up_to[last].1);
        Some(Opinion::new(probability(seen, once, up_to, self.rest, self.events)))
    }

    /// How often `symbol` was seen, as far as it is remembered.
    #[must_use]
    pub fn seen(&self, symbol: u64) -> u64 {
        self.symbols.get(&symbol).copied().unwrap_or(0)
    }

    /// What an opinion of `symbol` rests on.
    #[must_use]
    pub fn evidence(&self, symbol: u64) -> Evidence {
        Evidence { seen: self.seen(symbol), events: self.events }
    }

    /// Learns an epoch.
    pub fn apply(&mut self, summary: &Summary) {
        for (symbol, times) in summary.sorted() {
            let count = self.symbols.entry(symbol).or_default();
            let old = *count;
            *count = count.saturating_add(times);
            let new = *count;
            self.recount(old, new);
            self.events = self.events.saturating_add(times);
            self.fresh = self.fresh.saturating_add(times);
        }
        if self.fresh >= self.options.halve_every {
            self.fresh = 0;
            self.rest /= 2;
            self.keep(|_, count| count / 2);
        }
        if self.symbols.len() > self.options.symbols_max as usize {
            self.give_up();
        }
        self.accumulate();
    }

    fn recount(&mut self, old: u64, new: u64) {
        if old > 0 {
            let symbols = self.by_count.get_mut(&old).expect("every count of a symbol is listed");
            *symbols -= 1;
            if *symbols == 0 {
                self.by_count.remove(&old);
            }
        }
        *self.by_count.entry(new).or_default() += 1;
    }

    /// Gives up an eighth of the symbols, those seen least; of equals the largest.
    fn give_up(&mut self) {
        let mut order: Vec<(u64, u64)> =
            self.symbols.iter().map(|(symbol, count)| (*count, !*symbol)).collect();
        let max = self.options.symbols_max as usize;
        let surplus = order.len() - (max - max / 8);
        order.select_nth_unstable(surplus - 1);
        let (last_count, last_symbol) = order[surplus - 1];
        for &(count, _) in &order[..surplus] {
            self.rest = self.rest.saturating_add(count);
        }
        self.keep(|symbol, count| match (count, !symbol) <= (last_count, last_symbol) {
            true => 0,
            false => count,
        });
    }

    /// Sets every count; symbols of count 0 are gone.
    fn keep(&mut self, count_of: impl Fn(u64, u64) -> u64) {
        self.by_count.clear();
        self.events = self.rest;
        let (by_count, events) = (&mut self.by_count, &mut self.events);
        self.symbols.retain(|symbol, count| {
            *count = count_of(*symbol, *count);
            if *count > 0 {
                *by_count.entry(*count).or_default() += 1;
                *events = events.saturating_add(*count);
            }
            *count > 0
        });
    }

    fn accumulate(&mut self) {
        self.up_to.clear();
        let mut sum = 0u64;
        for (count, symbols) in &self.by_count {
            sum = sum.saturating_add(count.saturating_mul(*symbols));
            self.up_to.push((*count, sum));
        }
    }

    /// Appends the model, without its options.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(Self::VERSION);
        out.put_var(self.rest);
        out.put_var(self.fresh);
        let mut pairs: Vec<(u64, u64)> = self.symbols.iter().map(|(s, c)| (*s, *c)).collect();
        pairs.sort_unstable();
        out.put_var(pairs.len() as u64);
        for (symbol, count) in pairs {
            out.put_u64(symbol);
            out.put_var(count);
        }
    }

    /// Reads a model back.
    ///
    /// # Errors
    /// If the bytes are not what [`encode`](Self::encode) wrote.
    pub fn decode(options: Options, bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader::new(bytes, Self::VERSION)?;
        let mut model = Rarity::new(options);
        model.rest = reader.var()?;
        model.fresh = reader.var()?;
        for _ in 0..reader.len(9)? {
            let (symbol, count) = (reader.u64()?, reader.var()?);
            if count == 0 || model.symbols.insert(symbol, count).is_some() {
                return Err(Corrupt("a symbol stands twice, or without a count"));
            }
        }
        reader.end()?;
        model.keep(|_, count| count);
        model.accumulate();
        Ok(model)
    }
}

#[cfg(test)]
mod tests {
    use super::super::data::{any_split, bench};
    use super::super::random::Random;
    use super::*;

    fn learned(options: Options, symbols: impl IntoIterator<Item = u64>) -> Rarity {
        let mut summary = Summary::default();
        symbols.into_iter().for_each(|symbol| summary.add(symbol));
        let mut model = Rarity::new(options);
        model.apply(&summary);
        model
    }

    #[test]
    fn a_symbol_never_seen_among_few_kinds_is_as_rare_as_there_were_events() {
        let model = learned(Options::TEMPLATES, (0..41_200).map(|i| i % 37));
        assert_eq!(model.score(99).unwrap().p(), 1.0 / 41_202.0);
        let sentence = model.evidence(99).sentence("template 99", "on db01");
        assert_eq!(sentence, "template 99 was never seen on db01 before, in 41200 events");
        let often = Evidence { seen: 3, events: 70 }.sentence("template 9", "");
        assert_eq!(often, "template 9 was seen 3 times before, in 70 events");
    }

    #[test]
    fn where_most_symbols_are_new_a_new_one_is_no_surprise() {
        let mut random = Random::new(1);
        let model = learned(Options::TEMPLATES, (0..5_000).map(|_| random.bits()));
        assert!(model.score(7).unwrap().p() > 0.99);
    }

    #[test]
    fn there_is_no_opinion_before_enough_was_seen() {
        assert_eq!(learned(Options::TEMPLATES, 0..19).score(0), None);
        assert!(learned(Options::TEMPLATES, 0..20).score(0).is_some());
    }

    #[test]
    fn a_symbol_is_no_rarer_than_all_that_are_as_rare() {
        // 1 000 of one symbol, ten each seen ten times: each of the ten has the mass of all ten.
        let symbols = (0..1_000).map(|_| 1).chain((0..100).map(|i| 10 + i % 10));
        let model = learned(Options::TEMPLATES, symbols);
        assert_eq!(model.score(10).unwrap().p(), 101.0 / 1_102.0);
        assert_eq!(model.score(1).unwrap().p(), 1_101.0 / 1_102.0);
    }

    #[test]
    fn probabilities_of_what_happens_are_not_too_small() {
        // Of symbols drawn from a Zipf law, at most a share of about p has probability p.
        let mut random = Random::new(5);
        let mut zipf = || (1.0 / (random.unit() + 1e-4)) as u64;
        let model = learned(Options::TEMPLATES, (0..20_000).map(|_| zipf()));
        for p in [0.3, 0.1, 0.03, 0.01] {
            let low = (0..20_000).filter(|_| model.score(zipf()).unwrap().p() <= p).count();
            assert!(low as f64 <= 20_000.0 * p * 1.5, "{low} events at p <= {p}");
        }
    }

    #[test]
    fn giving_up_symbols_makes_new_ones_less_rare_and_never_more() {
        let few = Options { symbols_max: 64, ..Options::TEMPLATES };
        let symbols = || (0..1_000).map(|_| 1).chain(100..400);
        let (small, large) = (learned(few, symbols()), learned(Options::TEMPLATES, symbols()));
        assert!(small.symbols.len() <= 64);
        assert_eq!(small.events, large.events);
        for symbol in [1, 100, 399, 5_000] {
            assert!(small.score(symbol).unwrap().p() >= large.score(symbol).unwrap().p());
        }
        assert_eq!(small.seen(1), 1_000);
    }

    #[test]
    fn halving_forgets_what_is_long_ago() {
        let mut model = learned(Options { halve_every: 100, ..Options::TEMPLATES }, 0..99);
        model.apply(&Summary::from(vec![(500, 41)]));
        assert_eq!((model.seen(3), model.seen(500), model.events), (0, 20, 20));
    }

    #[test]
    fn however_an_epoch_is_split_the_model_is_the_same() {
        let options = Options { symbols_max: 50, halve_every: 700, ..Options::TEMPLATES };
        any_split(
            40,
            |random| (0..300).map(|_| random.below(200) * random.below(3)).collect(),
            |summary: &mut Summary, symbol| summary.add(*symbol),
            || Rarity::new(options),
            |model, summary| model.apply(&summary),
            |model, out| {
                model.encode(out);
                for symbol in 0..600 {
                    out.put_f64(model.score(symbol).map_or(2.0, Opinion::p));
                }
            },
        );
    }

    #[test]
    fn a_model_comes_back_as_it_went_and_bad_bytes_are_refused() {
        let mut random = Random::new(3);
        let symbols = (0..2_000).map(|_| random.below(300) * random.below(3));
        let model = learned(Options { symbols_max: 100, ..Options::TEMPLATES }, symbols);
        let mut bytes = Vec::new();
        model.encode(&mut bytes);
        assert_eq!(Rarity::decode(model.options, &bytes).unwrap(), model);
        super::super::data::mutations(&bytes, |bytes| {
            let _ = Rarity::decode(model.options, bytes).map(|model| model.score(1));
        });
    }

    #[test]
    #[ignore = "a measurement"]
    fn bench_rarity() {
        let mut random = Random::new(2);
        let symbols: Vec<u64> =
            (0..100_000).map(|_| (300.0 * random.unit() * random.unit()) as u64).collect();
        let model = learned(Options::TEMPLATES, symbols.iter().copied());
        bench("rarity score", &symbols, |symbol| model.score(*symbol).unwrap().p());
        let mut summary = Summary::default();
        bench("rarity learn", &symbols, |symbol| {
            summary.add(*symbol);
            0.0
        });
    }
}
