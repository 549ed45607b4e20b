//! The numbers of a message, and what is usual for them.
//!
//! [`Features`] are raw: a length, a share, an hour. A [`Scale`] brings each into `[0, 1]` by its
//! rank among what was seen: within its template once that has been seen often enough, among all
//! templates before. Ranks lie in the middle; what is beyond everything seen lies in a margin
//! outside, the further the further it is, so that a new extreme has room of its own. The hour of
//! the day is placed by how busy it usually is.
//!
//! A feature is counted in at most 256 fixed bins, and a whole event is one key of a tally, so a
//! summary is exact and costs one map access per event.

use crate::types::hash::Map;
use crate::types::summary::{Mergeable, Tally};
use crate::types::{EventTime, Span};

use serde::{Deserialize, Serialize};

use super::codec::{Corrupt, Put, Reader};
use super::opinion::Opinion;

mod raw;

pub use raw::{BYTES_MAX, text};

/// How many features an event has.
pub const FEATURES: usize = 8;

/// What each feature is called in a sentence.
pub const FEATURE_NAMES: [&str; FEATURES] = [
    "message length",
    "number of parameters",
    "variety of characters",
    "digit share",
    "punctuation share",
    "number of entities",
    "hour of day",
    "age of its template",
];

/// What a feature is in numbers, in the unit that people read: `143 bytes`.
fn amount(feature: usize, value: f32) -> String {
    match FEATURE_NAMES[feature] {
        "message length" => format!("{value:.0} bytes"),
        "variety of characters" => format!("{value:.2} bits"),
        "digit share" | "punctuation share" => format!("{:.1} %", value * 100.0),
        "hour of day" => format!("{value:.0} h UTC"),
        "age of its template" => format!("{value:.0} events"),
        _ => format!("{value:.0}"),
    }
}

/// A feature by its name, with what it is: `message length (143 bytes)`.
#[must_use]
pub fn described(feature: usize, value: f32) -> String {
    format!("{} ({})", FEATURE_NAMES[feature], amount(feature, value))
}

/// The reason in words: `message length is 400 bytes; none of the 2079 messages of this template
/// before had more than 158 bytes`.
#[must_use]
pub fn beyond_sentence(feature: usize, value: f32, most: f32, of: u64) -> String {
    let (name, value, most) =
        (FEATURE_NAMES[feature], amount(feature, value), amount(feature, most));
    let before = format_args!("none of the {of} messages of this template before");
    format!("{name} is {value}; {before} had more than {most}")
}

/// Which feature is the hour of the day, which is counted and not ranked.
const HOUR: usize = 6;
/// Features from here on are compared with all templates and never within one.
const POOLED: usize = HOUR;

/// The features of one event, in the order of [`FEATURE_NAMES`]: length in bytes, parameters,
/// entropy of its bytes in bits, share of digits, share of what is neither letter, digit nor
/// space, entities, hour of the day in UTC, events of its template so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Features(pub [f32; FEATURES]);

impl Features {
    /// The features of an event: of its message, of how many parameters and entities it has, of
    /// when it happened, and of how often its template was seen before.
    #[must_use]
    pub fn new(message: &str, params: usize, entities: usize, time: EventTime, age: u64) -> Self {
        let text = text(message);
        let hour = time.0.div_euclid(Span::SECOND.0).div_euclid(3_600).rem_euclid(24);
        Features([
            message.len() as f32,
            params as f32,
            text.entropy,
            text.digits,
            text.punctuation,
            entities as f32,
            hour as f32,
            age.min(AGE_MAX) as f32,
        ])
    }

    /// The bin of each feature.
    #[must_use]
    pub fn bins(&self) -> Bins {
        let [length, params, entropy, digits, punctuation, entities, hour, age] = self.0;
        Bins([
            log_bin(length, 8),
            log_bin(params, 8),
            linear_bin(entropy / 8.0),
            linear_bin(digits),
            linear_bin(punctuation),
            log_bin(entities, 8),
            (hour.clamp(0.0, 23.0)) as u8,
            log_bin(age, 8),
        ])
    }
}

/// A template older than this many events is simply old.
const AGE_MAX: u64 = 1_024;

/// The features of an event as they are counted. Bins ascend with the feature.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Bins(pub [u8; FEATURES]);

/// The bin of a number of at least 0: of `1 + x`, with `fine` bins to each doubling (8, 16 or 32).
fn log_bin(x: f32, fine: u32) -> u8 {
    let bits = (1.0 + x.max(0.0)).to_bits();
    let shift = 23 - fine.trailing_zeros();
    ((bits >> shift) - (127 << (23 - shift))).min(255) as u8
}

/// The number at which the bin after one of [`log_bin`] begins.
fn log_bin_end(bin: u8, fine: u32) -> f32 {
    let shift = 23 - fine.trailing_zeros();
    f32::from_bits((u32::from(bin) + 1 + (127 << (23 - shift))) << shift) - 1.0
}

/// A number that a feature does not exceed which lies in a bin: of counts the largest that does.
fn bin_most(feature: usize, bin: u8) -> f32 {
    match FEATURE_NAMES[feature] {
        "variety of characters" => 8.0 * linear_bin_end(bin),
        "digit share" | "punctuation share" => linear_bin_end(bin),
        "hour of day" => f32::from(bin),
        _ => log_bin_end(bin, 8).ceil() - 1.0,
    }
}

/// The bin of a share, 0 to 128.
fn linear_bin(share: f32) -> u8 {
    (share.clamp(0.0, 1.0) * 128.0 + 0.5) as u8
}

/// The share at which the bin after one of [`linear_bin`] begins; 1 for the last.
fn linear_bin_end(bin: u8) -> f32 {
    ((f32::from(bin) + 0.5) / 128.0).min(1.0)
}

/// How a scale remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Templates with a scale of their own, at least 8. Above it, an eighth of them, those seen
    /// least, are given up and compared with all. About 1 KiB each.
    pub templates_max: u32,
    /// Events of a template before it has a scale of its own.
    pub template_min: u64,
    /// Events of all templates before there is any scale.
    pub pooled_min: u64,
    /// Events of a template (and sixteen times as many of all) after which its counts are halved.
    pub halve_at: u64,
}

impl Options {
    /// Fit for messages: 4 096 templates, each on its own after 100 events.
    pub const MESSAGES: Options =
        Options { templates_max: 4_096, template_min: 100, pooled_min: 100, halve_at: 65_536 };
}

/// What one epoch brought.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    events: Tally<(u64, Bins)>,
    /// The earliest and the latest event.
    span: Option<(EventTime, EventTime)>,
}

impl Summary {
    /// Takes an event of a template.
    pub fn learn(&mut self, template: u64, bins: Bins, time: EventTime) {
        self.events.add((template, bins));
        self.span = widest(self.span, Some((time, time)));
    }
}

impl Mergeable for Summary {
    fn merge(&mut self, other: Self) {
        self.events.merge(other.events);
        self.span = widest(self.span, other.span);
    }
}

type Times = Option<(EventTime, EventTime)>;

fn widest(one: Times, other: Times) -> Times {
    match (one, other) {
        (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
        (one, other) => one.or(other),
    }
}

/// How often each bin of one feature was seen, as sums from below.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counts(Vec<(u8, u64)>);

/// How much of `[0, 1]` at each end is for values beyond all that were seen.
const MARGIN: f32 = 0.2;
/// How many bins beyond a value must be to lie in the middle of the margin.
const MARGIN_HALF: f32 = 4.0;

impl Counts {
    fn add(&mut self, bin: u8, times: u64) {
        let at = self.0.partition_point(|entry| entry.0 < bin);
        if self.0.get(at).is_none_or(|entry| entry.0 != bin) {
            let below = at.checked_sub(1).map_or(0, |last| self.0[last].1);
            self.0.insert(at, (bin, below));
        }
        for entry in &mut self.0[at..] {
            entry.1 = entry.1.saturating_add(times);
        }
    }

    fn total(&self) -> u64 {
        self.0.last().map_or(0, |last| last.1)
    }

    /// The events below a bin, and those in it.
    fn around(&self, bin: u8) -> (u64, u64) {
        let at = self.0.partition_point(|entry| entry.0 < bin);
        let below = at.checked_sub(1).map_or(0, |last| self.0[last].1);
        match self.0.get(at) {
            Some(entry) if entry.0 == bin => (below, entry.1 - below),
            _ => (below, 0),
        }
    }

    /// The place of a bin in `[0, 1]`: the middle of its rank, within the margins, or beyond.
    fn place(&self, bin: u8) -> f32 {
        let (Some(first), Some(last)) = (self.0.first(), self.0.last()) else {
            return 0.5;
        };
        let beyond = |bins: u8| {
            let bins = f32::from(bins);
            MARGIN * bins / (bins + MARGIN_HALF)
        };
        if bin < first.0 {
            return MARGIN - beyond(first.0 - bin);
        }
        if bin > last.0 {
            return 1.0 - MARGIN + beyond(bin - last.0);
        }
        let (below, inside) = self.around(bin);
        let rank = (below as f64 + 0.5 * inside as f64) / last.1 as f64;
        MARGIN + (1.0 - 2.0 * MARGIN) * rank as f32
    }

    /// How far the largest twentieth lie above all others on average, in bins (Hill 1975, for what
    /// is counted in doublings), as if a few of them came from a tail so heavy that it has no mean,
    /// and at least half a doubling: that sizes were all alike does not bind the next one.
    fn spread(&self) -> f64 {
        const FEW: f64 = 4.0;
        const NO_MEAN: f64 = 8.0 * std::f64::consts::LOG2_E;
        const LEAST: f64 = 4.0;
        let total = self.total();
        let at = self.0.partition_point(|entry| entry.1 * 20 < total * 19);
        let mut sum = 0.0;
        for pair in self.0.windows(2).skip(at) {
            sum += (pair[1].1 - pair[0].1) as f64 * f64::from(pair[1].0 - self.0[at].0);
        }
        ((sum + FEW * NO_MEAN) / (total as f64 / 20.0 + FEW)).max(LEAST)
    }

    fn halve(&mut self) {
        let (mut below, mut sum) = (0, 0);
        for entry in &mut self.0 {
            let count = entry.1 - below;
            below = entry.1;
            sum += count / 2;
            entry.1 = sum;
        }
        let mut last = 0;
        self.0.retain(|entry| std::mem::replace(&mut last, entry.1) < entry.1);
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_var(self.0.len() as u64);
        let mut below = 0;
        for (bin, sum) in &self.0 {
            out.put_u8(*bin);
            out.put_var(sum - below);
            below = *sum;
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Corrupt> {
        let mut counts = Counts::default();
        for _ in 0..reader.len(2)? {
            let (bin, count) = (reader.u8()?, reader.var()?);
            let ascending = counts.0.last().is_none_or(|last| last.0 < bin);
            let sum = counts.total().checked_add(count).filter(|_| ascending && count > 0);
            counts.0.push((bin, sum.ok_or(Corrupt("bins out of order, or without a count"))?));
        }
        Ok(counts)
    }
}

/// What is usual for each feature, in closed epochs. See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    options: Options,
    pooled: [Counts; FEATURES],
    templates: Map<u64, Box<[Counts; POOLED]>>,
    /// How many events were at each hour of the day.
    hours: [u64; 24],
    span: Times,
}

impl Scale {
    const VERSION: u8 = 1;

    /// A scale that has seen nothing.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Scale {
            options: Options { templates_max: options.templates_max.max(8), ..options },
            pooled: Default::default(),
            templates: Map::default(),
            hours: [0; 24],
            span: None,
        }
    }

    /// The place of each feature in `[0, 1]`; `None` while too little was seen.
    #[must_use]
    pub fn place(&self, template: u64, bins: &Bins) -> Option<[f32; FEATURES]> {
        if self.pooled[HOUR].total() < self.options.pooled_min {
            return None;
        }
        let own = self.templates.get(&template);
        let own = own.filter(|own| own[0].total() >= self.options.template_min);
        let mut places = [0.5; FEATURES];
        for (feature, place) in places.iter_mut().enumerate() {
            let counts = match own {
                Some(own) if feature < POOLED => &own[feature],
                _ => &self.pooled[feature],
            };
            *place = match feature {
                HOUR => self.hour(bins.0[HOUR]),
                _ => counts.place(bins.0[feature]),
            };
        }
        Some(places)
    }

    /// Whether a template is compared with itself.
    #[must_use]
    pub fn knows(&self, template: u64) -> bool {
        let own = self.templates.get(&template);
        own.is_some_and(|own| own[0].total() >= self.options.template_min)
    }

    /// How improbable it is that a feature lies so far beyond all that its template ever showed,
    /// and which one does; `None` if none does, or the template is not known well enough.
    ///
    /// One event in n + 1 is the largest of all by right. How far beyond the others it may lie is
    /// what the largest twentieth of them say (`Counts::spread`). All features are asked, so the
    /// least probability counts as often as there are features.
    #[must_use]
    pub fn beyond(&self, template: u64, bins: &Bins) -> Option<(Opinion, usize)> {
        let own = self.templates.get(&template)?;
        let seen = own[0].total();
        if seen < self.options.template_min {
            return None;
        }
        let mut furthest: Option<(f64, usize)> = None;
        for (feature, (counts, bin)) in own.iter().zip(bins.0).enumerate() {
            let last = counts.0.last().map_or(u8::MAX, |last| last.0);
            if bin <= last {
                continue;
            }
            let over = f64::from(bin - last) / counts.spread();
            if furthest.is_none_or(|(most, _)| over > most) {
                furthest = Some((over, feature));
            }
        }
        let (over, feature) = furthest?;
        let largest = POOLED as f64 / (seen + 1) as f64;
        Some((Opinion::new(largest * libm::exp(-over)), feature))
    }

    /// What a feature was at most in a template that is compared with itself, as far as its bins
    /// tell: a number that it never exceeded. 0 if nothing is known.
    #[must_use]
    pub fn most(&self, template: u64, feature: usize) -> f32 {
        let last = self.templates.get(&template).and_then(|own| own.get(feature)?.0.last());
        let Some((bin, _)) = last else { return 0.0 };
        bin_most(feature, *bin)
    }

    /// How many events of a template were seen, if it is compared with itself.
    #[must_use]
    pub fn seen(&self, template: u64) -> u64 {
        self.templates.get(&template).map_or(0, |own| own[0].total())
    }

    /// How busy this hour of the day usually is: r / (1 + r), where r is its share of events over
    /// that of an average hour. The middle on the first day, when each hour is new, and from there
    /// to its full weight within a week, so that no epoch looks unlike the one before.
    fn hour(&self, hour: u8) -> f32 {
        const DAY: f64 = 86_400.0;
        let days = self.span.map_or(0.0, |(first, last)| last.since(first).as_secs_f64() / DAY);
        let weight = ((days - 1.0) / 7.0).clamp(0.0, 1.0);
        let events: u64 = self.hours.iter().sum();
        let busy = 24.0 * self.hours[usize::from(hour.min(23))] as f64 / events.max(1) as f64;
        (0.5 + weight * (busy / (1.0 + busy) - 0.5)) as f32
    }

    /// Learns an epoch.
    pub fn apply(&mut self, summary: &Summary) {
        self.span = widest(self.span, summary.span);
        // Bin counts first, so that each sorted list is changed once for each bin.
        let mut pooled: [[u64; 256]; FEATURES] = [[0; 256]; FEATURES];
        for ((template, bins), times) in summary.events.sorted() {
            let own = self.templates.entry(template).or_default();
            for (feature, bin) in bins.0.into_iter().enumerate() {
                pooled[feature][usize::from(bin)] += times;
                if feature < POOLED {
                    own[feature].add(bin, times);
                }
            }
            self.hours[usize::from(bins.0[HOUR].min(23))] += times;
            if own[0].total() >= self.options.halve_at {
                own.iter_mut().for_each(Counts::halve);
            }
        }
        for (counts, new) in self.pooled.iter_mut().zip(&pooled) {
            for (bin, times) in (0u8..=255).zip(new).filter(|(_, times)| **times > 0) {
                counts.add(bin, *times);
            }
        }
        if self.pooled[HOUR].total() >= self.options.halve_at.saturating_mul(16) {
            self.pooled.iter_mut().for_each(Counts::halve);
            self.hours.iter_mut().for_each(|count| *count /= 2);
        }
        if self.templates.len() > self.options.templates_max as usize {
            self.give_up();
        }
    }

    /// Gives up an eighth of the templates, those seen least; of equals those with smaller ids.
    fn give_up(&mut self) {
        let mut order: Vec<(u64, u64)> =
            self.templates.iter().map(|(id, own)| (own[0].total(), *id)).collect();
        let max = self.options.templates_max as usize;
        let surplus = order.len() - (max - max / 8);
        order.select_nth_unstable(surplus - 1);
        let last = order[surplus - 1];
        self.templates.retain(|id, own| (own[0].total(), *id) > last);
    }

    /// Appends the scale, without its options.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(Self::VERSION);
        let (first, last) = self.span.unwrap_or((EventTime::MAX, EventTime::MIN));
        out.put_u64(first.0 as u64);
        out.put_u64(last.0 as u64);
        self.hours.iter().for_each(|count| out.put_var(*count));
        self.pooled.iter().for_each(|counts| counts.encode(out));
        let mut ids: Vec<u64> = self.templates.keys().copied().collect();
        ids.sort_unstable();
        out.put_var(ids.len() as u64);
        for id in ids {
            out.put_u64(id);
            self.templates[&id].iter().for_each(|counts| counts.encode(out));
        }
    }

    /// Reads a scale back.
    ///
    /// # Errors
    /// If the bytes are not what [`encode`](Self::encode) wrote.
    pub fn decode(options: Options, bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader::new(bytes, Self::VERSION)?;
        let mut scale = Scale::new(options);
        let (first, last) = (EventTime(reader.u64()? as i64), EventTime(reader.u64()? as i64));
        scale.span = (first <= last).then_some((first, last));
        for count in &mut scale.hours {
            *count = reader.var_to(1 << 56)?;
        }
        for counts in &mut scale.pooled {
            *counts = Counts::decode(&mut reader)?;
        }
        for _ in 0..reader.len(8)? {
            let id = reader.u64()?;
            let mut own: Box<[Counts; POOLED]> = Box::default();
            for counts in own.iter_mut() {
                *counts = Counts::decode(&mut reader)?;
            }
            scale.templates.insert(id, own);
        }
        reader.end()?;
        Ok(scale)
    }
}

#[cfg(test)]
mod tests {
    use super::super::data::{any_split, bench, mutations};
    use super::super::random::Random;
    use super::*;

    fn event(length: f32, hour: f32) -> Bins {
        Features([length, 2.0, 4.0, 0.1, 0.1, 1.0, hour, 900.0]).bins()
    }

    fn at(second: i64) -> EventTime {
        EventTime::from_secs(second)
    }

    #[test]
    fn bins_ascend_and_know_new_extremes() {
        let lengths = (0..40_000).map(|length| event(length as f32, 0.0).0[0]);
        assert!(lengths.collect::<Vec<_>>().is_sorted());
        assert!(event(32_000.0, 0.0).0[0] > event(16_000.0, 0.0).0[0]);
        let shares: Vec<u8> = (0..=100).map(|share| linear_bin(share as f32 / 100.0)).collect();
        assert!(shares.is_sorted_by(|a, b| a < b));
        assert_eq!(log_bin(f32::INFINITY, 8), 255);
        assert_eq!(log_bin(f32::NAN, 8), 0);
    }

    #[test]
    fn nothing_in_a_bin_exceeds_what_is_said_of_it_and_a_count_is_said_exactly() {
        let mut random = Random::new(8);
        for _ in 0..20_000 {
            let bits = random.below(18);
            let count = random.below(1 << bits) as f32;
            let share = random.unit() as f32;
            let counts = Features([count, count, share * 8.0, share, share, count, 5.0, count]);
            let bins = counts.bins().0;
            for (feature, value) in counts.0.into_iter().enumerate() {
                let most = bin_most(feature, bins[feature]);
                // The last bin of counts has no end.
                assert!(value <= most || bins[feature] == 255, "{feature}: {value} > {most}");
                let mut largest = counts;
                largest.0[feature] = most;
                let is_count = [0, 1, 5, 7].contains(&feature);
                assert!(
                    !is_count || largest.bins().0[feature] == bins[feature],
                    "{feature} {most}"
                );
            }
        }
        assert_eq!(
            beyond_sentence(0, 4_831.0, bin_most(0, log_bin(143.0, 8)), 2_079),
            "message length is 4831 bytes; none of the 2079 messages of this template before had \
             more than 158 bytes"
        );
    }

    #[test]
    fn ranks_lie_between_the_margins_and_extremes_beyond() {
        let mut summary = Summary::default();
        for i in 0..1_000 {
            summary.learn(1, event(100.0 + i as f32, 0.0), at(0));
        }
        let mut scale = Scale::new(Options::MESSAGES);
        scale.apply(&summary);
        let place = |length| scale.place(1, &event(length, 0.0)).unwrap()[0];
        assert!((place(600.0) - 0.5).abs() < 0.05);
        assert!(place(150.0) > MARGIN && place(1_000.0) < 1.0 - MARGIN);
        assert!(place(1_400.0) > 1.0 - MARGIN && place(5_000.0) > place(1_400.0));
        assert!(place(50.0) < MARGIN && place(3.0) < place(50.0));
    }

    #[test]
    fn a_template_is_compared_with_itself_once_it_is_known() {
        let mut summary = Summary::default();
        (0..99).for_each(|_| summary.learn(1, event(50.0, 0.0), at(0)));
        (0..900).for_each(|_| summary.learn(2, event(500.0, 0.0), at(0)));
        let mut scale = Scale::new(Options::MESSAGES);
        scale.apply(&summary);
        assert!(scale.place(1, &event(500.0, 0.0)).unwrap()[0] < 1.0 - MARGIN);
        let mut one = Summary::default();
        one.learn(1, event(50.0, 0.0), at(0));
        scale.apply(&one);
        assert!(scale.knows(1) && !scale.knows(3));
        assert!(scale.place(1, &event(500.0, 0.0)).unwrap()[0] > 1.0 - MARGIN);
    }

    #[test]
    fn what_is_far_beyond_its_template_is_improbable_and_what_is_a_little_is_not() {
        let mut random = Random::new(3);
        let mut summary = Summary::default();
        for i in 0..1_000 {
            summary.learn(1, event(50.0 + random.below(12) as f32, 0.0), at(0));
            // Half are twice as long as the least, a quarter four times, and so on.
            let long = 50.0 / (0.01 + random.unit()) as f32;
            summary.learn(2, event(long, 0.0), at(0));
            if i < 50 {
                summary.learn(3, event(50.0, 0.0), at(0));
            }
        }
        let mut scale = Scale::new(Options::MESSAGES);
        scale.apply(&summary);
        let beyond = |template, length| scale.beyond(template, &event(length, 0.0));
        let p = |template, length| beyond(template, length).unwrap().0.p();
        assert_eq!(beyond(1, 61.0), None);
        assert_eq!(beyond(3, 5_000.0), None, "the template is too new");
        assert!(p(1, 66.0) > 1e-3 && p(1, 600.0) < 2e-5);
        assert_eq!(beyond(1, 600.0).unwrap().1, 0, "it is the length");
        assert!(p(1, 1_200.0) < p(1, 600.0));
        // The same ten times the largest is less odd where large ones are common.
        assert!(p(2, 50_000.0) > 10.0 * p(1, 600.0));
    }

    #[test]
    fn a_quiet_hour_becomes_odd_within_days_and_not_at_once() {
        let mut scale = Scale::new(Options::MESSAGES);
        let mut before: Option<f32> = None;
        for hour in 0..24 * 9 {
            let mut summary = Summary::default();
            let busy = if (8..18).contains(&(hour % 24)) { 200 } else { 10 };
            for _ in 0..busy {
                summary.learn(1, event(1.0, (hour % 24) as f32), at(hour * 3_600));
            }
            scale.apply(&summary);
            let Some(places) = scale.place(1, &event(1.0, 3.0)) else { continue };
            assert!(hour > 24 || places[HOUR] == 0.5);
            assert!(before.is_none_or(|before| (before - places[HOUR]).abs() < 0.02));
            before = Some(places[HOUR]);
        }
        let hour_of = |hour| scale.place(1, &event(1.0, hour)).unwrap()[HOUR];
        assert!(hour_of(10.0) > 0.65 && hour_of(3.0) < 0.15);
    }

    #[test]
    fn however_an_epoch_is_split_the_scale_is_the_same() {
        let options = Options { templates_max: 20, halve_at: 300, ..Options::MESSAGES };
        any_split(
            20,
            |random| {
                let mut one = || {
                    let length = (random.below(100) * random.below(9)) as f32;
                    let bins = event(length, random.below(24) as f32);
                    (random.below(30), bins, at(random.below(200_000) as i64))
                };
                (0..200).map(|_| one()).collect()
            },
            |summary: &mut Summary, (template, bins, time)| {
                summary.learn(*template, *bins, *time);
            },
            || Scale::new(options),
            |scale, summary| scale.apply(&summary),
            |scale, out| {
                scale.encode(out);
                for template in 0..30 {
                    let places = scale.place(template, &event(90.0, 3.0)).unwrap_or_default();
                    places.iter().for_each(|place| out.put_u32(place.to_bits()));
                }
            },
        );
    }

    #[test]
    fn a_scale_comes_back_as_it_went_and_bad_bytes_are_refused() {
        let mut random = Random::new(4);
        let mut summary = Summary::default();
        for _ in 0..3_000 {
            let bins = event(random.below(3_000) as f32, random.below(24) as f32);
            summary.learn(random.below(8), bins, at(random.below(1 << 40) as i64));
        }
        let mut scale = Scale::new(Options::MESSAGES);
        scale.apply(&summary);
        let mut bytes = Vec::new();
        scale.encode(&mut bytes);
        assert_eq!(Scale::decode(Options::MESSAGES, &bytes).unwrap(), scale);
        mutations(&bytes, |bytes| {
            if let Ok(mut scale) = Scale::decode(Options::MESSAGES, bytes) {
                assert!(scale.place(1, &event(1.0, 1.0)).is_none_or(|place| place[0] <= 1.0));
                scale.apply(&summary);
            }
        });
    }

    #[test]
    #[ignore = "a measurement"]
    fn bench_features() {
        let line = "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh \
                    ruser= rhost=10.11.12.13 ";
        let lines: Vec<&str> = (0..50_000).map(|i| &line[..100 - i % 3]).collect();
        bench("features of 100 bytes", &lines, |line| {
            f64::from(Features::new(line, 3, 2, at(0), 9).bins().0[2])
        });
        let mut random = Random::new(4);
        let mut summary = Summary::default();
        let mut one = || (random.below(300), event(random.below(300) as f32, 3.0));
        let events: Vec<(u64, Bins)> = (0..50_000).map(|_| one()).collect();
        events.iter().for_each(|(template, bins)| summary.learn(*template, *bins, at(0)));
        let mut scale = Scale::new(Options::MESSAGES);
        scale.apply(&summary);
        bench("scale place", &events, |(template, bins)| {
            f64::from(scale.place(*template, bins).unwrap()[0])
        });
        bench("scale learn", &events, |(template, bins)| {
            summary.learn(*template, *bins, at(0));
            0.0
        });
    }
}
