//! The matches of one group that lie within the time span, and whether they are enough.
//!
//! Matches are taken in order of event time. Each is added to those that lie at most the time
//! span before it, and then the condition is asked. When it holds, the window fires and begins
//! anew: no match is part of two firings of one correlation.
//!
//! What is computed is kept up with each match that comes and goes: counts in O(1), distinct
//! values by a count for each, sums exactly in billionths, percentiles by a sorted list. Of the
//! temporal kinds only what can still matter stays: the latest match of each rule, or of each run
//! of matches of one rule.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::plan::Ask;
use crate::sigma::correlation::{Firing, Kind, MATCHES_MAX};
use crate::types::EventTime;
use crate::types::finding::EVENTS_MAX as LISTED_MAX;
use crate::types::hash::Map;

/// The most matches of one group within a time span; beyond it the oldest go.
pub const EVENTS_MAX: usize = MATCHES_MAX;
/// The most runs of matches of one rule that a `temporal_ordered` looks through.
pub const RUNS_MAX: usize = 1_024;

/// A match.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Item {
    /// When its event happened.
    pub time: EventTime,
    /// Its event.
    pub seq: u64,
    /// Which of the correlation's rules matched.
    pub place: u16,
    /// A hash of the values that are told apart, or the bits of a number.
    pub value: u64,
    /// Of the firing of another correlation: the events that it rests on.
    pub events: Box<[u64]>,
}

/// A condition that holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Fired {
    /// What was computed: a count, a sum, a mean; of the temporal kinds, how many rules matched.
    pub value: f64,
    /// The events that it rests on, at most [`LISTED_MAX`]: the first and the last ones.
    pub events: Vec<u64>,
}

/// The matches of a group within the time span. See the [module](self).
#[derive(Clone, Debug)]
pub struct Window {
    /// In the order in which they were taken.
    items: VecDeque<Item>,
    tally: Tally,
}

/// What is kept up beside the matches.
#[derive(Clone, Debug)]
enum Tally {
    /// How many there are says it all.
    Count,
    /// How often each value is there; nothing as long as there are few matches.
    Distinct(Map<u64, u32>),
    /// The sum, in billionths.
    Sum(i128),
    /// The numbers in order.
    Sorted(Vec<f64>),
    /// The latest match of each rule is kept.
    Latest,
    /// The last match of each run of one rule is kept.
    Runs,
}

/// Up to so many matches, distinct values are counted by looking at all of them.
const FEW: usize = 8;

/// The largest number that a sum takes as it is; larger ones are taken as this.
const NUMBER_MAX: f64 = 1e24;
const BILLION: f64 = 1e9;

/// A number in billionths. Sums of them do not depend on what came and went in between.
fn billionths(number: f64) -> i128 {
    (number.clamp(-NUMBER_MAX, NUMBER_MAX) * BILLION).round() as i128
}

impl Window {
    /// A window with no matches.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        let tally = match kind {
            Kind::EventCount => Tally::Count,
            Kind::ValueCount => Tally::Distinct(Map::default()),
            Kind::ValueSum | Kind::ValueAvg => Tally::Sum(0),
            Kind::ValuePercentile | Kind::ValueMedian => Tally::Sorted(Vec::new()),
            Kind::Temporal => Tally::Latest,
            Kind::TemporalOrdered => Tally::Runs,
        };
        Window { items: VecDeque::new(), tally }
    }

    /// The window that holds these matches, which [`items`](Self::items) gave.
    #[must_use]
    pub fn of(kind: Kind, items: Vec<Item>) -> Self {
        let mut window = Window::new(kind);
        for item in items {
            window.push(item);
        }
        window
    }

    /// The matches, in the order in which they were taken.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.iter()
    }

    /// How many matches are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Takes the next match: of an event that matches several rules which are told apart, all of
    /// its matches, those of later rules first. What fired, if it was the one; and how many matches
    /// had to go.
    pub fn take(&mut self, ask: &Ask, event: impl Iterator<Item = Item>) -> (Option<Fired>, u64) {
        let max = if matches!(self.tally, Tally::Runs) { RUNS_MAX } else { EVENTS_MAX };
        let (mut gone, mut latest) = (0, None);
        for item in event {
            let from = item.time - ask.timespan;
            while self.items.front().is_some_and(|first| first.time < from) {
                self.pop();
            }
            if self.is_vain(ask) && item.place != 0 {
                // Whoever logs in is no group of its own, only because somebody might have guessed.
                continue;
            }
            latest = latest.max(Some(item.place));
            self.push(item);
            while self.items.len() > max {
                self.pop();
                gone += 1;
            }
        }
        let value = latest.and_then(|place| self.value(ask, place));
        let fired = value.map(|value| Fired { value, events: self.events() });
        if fired.is_some() {
            *self = Window::new(ask.kind);
        }
        (fired, gone)
    }

    /// Whether there is nothing yet that a later step of a sequence could follow; what is no first
    /// step goes.
    fn is_vain(&mut self, ask: &Ask) -> bool {
        if !matches!((&self.tally, &ask.firing), (Tally::Runs, Firing::Every)) {
            return false;
        }
        while self.items.front().is_some_and(|first| first.place != 0) {
            self.pop();
        }
        self.items.is_empty()
    }

    fn push(&mut self, item: Item) {
        match &mut self.tally {
            Tally::Count => {}
            Tally::Distinct(counts) => {
                if self.items.len() == FEW {
                    for known in &self.items {
                        *counts.entry(known.value).or_default() += 1;
                    }
                }
                if self.items.len() >= FEW {
                    *counts.entry(item.value).or_default() += 1;
                }
            }
            Tally::Sum(sum) => *sum += billionths(f64::from_bits(item.value)),
            Tally::Sorted(numbers) => {
                let number = f64::from_bits(item.value);
                let at = numbers.partition_point(|other| other.total_cmp(&number).is_lt());
                numbers.insert(at, number);
            }
            Tally::Latest => {
                let same = self.items.iter().position(|known| known.place == item.place);
                same.and_then(|at| self.items.remove(at));
            }
            Tally::Runs => {
                if self.items.back().is_some_and(|last| last.place == item.place) {
                    self.items.pop_back();
                }
            }
        }
        if self.items.is_empty() {
            // Most groups never have a second match.
            self.items.reserve_exact(1);
        }
        self.items.push_back(item);
    }

    fn pop(&mut self) {
        let Some(item) = self.items.pop_front() else { return };
        match &mut self.tally {
            Tally::Count | Tally::Latest | Tally::Runs => {}
            Tally::Distinct(counts) if self.items.len() <= FEW => *counts = Map::default(),
            Tally::Distinct(counts) => match counts.get_mut(&item.value) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(counts.remove(&item.value)),
            },
            Tally::Sum(sum) => *sum -= billionths(f64::from_bits(item.value)),
            Tally::Sorted(numbers) => {
                let number = f64::from_bits(item.value);
                let at = numbers.partition_point(|other| other.total_cmp(&number).is_lt());
                numbers.remove(at);
            }
        }
    }

    /// What is computed, if the condition holds after an event whose latest rule is at `place`.
    fn value(&self, ask: &Ask, place: u16) -> Option<f64> {
        let ordered = matches!(self.tally, Tally::Runs);
        match &ask.firing {
            Firing::Bounds { bounds, percentile, .. } => {
                let value = self.computed(ask.kind, *percentile);
                bounds.iter().all(|(is, bound)| is.holds(value, *bound)).then_some(value)
            }
            // Only the last step can complete the sequence.
            Firing::Every if ordered => {
                let last = usize::from(place) + 1 == ask.places;
                (last && self.has_in_order(0..ask.places)).then_some(ask.places as f64)
            }
            Firing::Every => (self.items.len() == ask.places).then_some(ask.places as f64),
            Firing::Extended(condition) => {
                if !condition.holds(&mut |rule| self.has(rule)) {
                    return None;
                }
                let present = ask.steps.iter().copied().filter(|step| self.has(*step));
                (!ordered || self.has_in_order(present.clone())).then(|| present.count() as f64)
            }
        }
    }

    fn computed(&self, kind: Kind, percentile: f64) -> f64 {
        let count = self.items.len() as f64;
        match &self.tally {
            Tally::Count | Tally::Latest => count,
            Tally::Distinct(counts) if self.items.len() > FEW => counts.len() as f64,
            Tally::Distinct(_) => {
                let value_of = |at: usize| self.items[at].value;
                let is_first = |at: &usize| (0..*at).all(|other| value_of(other) != value_of(*at));
                (0..self.items.len()).filter(is_first).count() as f64
            }
            Tally::Sum(sum) if kind == Kind::ValueAvg => *sum as f64 / BILLION / count,
            Tally::Sum(sum) => *sum as f64 / BILLION,
            Tally::Sorted(numbers) if kind == Kind::ValueMedian => quantile(numbers, 50.0),
            Tally::Sorted(numbers) => quantile(numbers, percentile),
            Tally::Runs => self.longest_in_order(),
        }
    }

    fn has(&self, rule: usize) -> bool {
        self.items.iter().any(|item| usize::from(item.place) == rule)
    }

    /// Whether these rules matched one after the other.
    fn has_in_order(&self, steps: impl Iterator<Item = usize>) -> bool {
        let mut items = self.items.iter();
        let mut steps = steps;
        steps.all(|step| items.any(|item| usize::from(item.place) == step))
    }

    /// How many different rules matched one after the other in their order, at most.
    fn longest_in_order(&self) -> f64 {
        let mut longest: Vec<u32> = Vec::new();
        for item in &self.items {
            let place = usize::from(item.place);
            if place >= longest.len() {
                longest.resize(place + 1, 0);
            }
            let before = longest[..place].iter().copied().max().unwrap_or(0);
            longest[place] = longest[place].max(before + 1);
        }
        f64::from(longest.into_iter().max().unwrap_or(0))
    }

    fn events(&self) -> Vec<u64> {
        let own = |item: &Item| match item.events.is_empty() {
            true => vec![item.seq],
            false => item.events.to_vec(),
        };
        let half = LISTED_MAX / 2;
        // Each match has at least one event.
        let first = self.items.iter().take(LISTED_MAX).flat_map(own);
        let mut events: Vec<u64> = first.collect();
        if self.items.len() > LISTED_MAX || events.len() > LISTED_MAX {
            events.truncate(half);
            let last = self.items.iter().rev().take(half).flat_map(|item| {
                let mut events = own(item);
                events.reverse();
                events
            });
            events.extend(last.take(half));
        }
        events.sort_unstable();
        events.dedup();
        events
    }
}

/// A percentile of numbers in order, linearly interpolated between the two nearest: in billionths,
/// so that two fifths of the way from 8 to 13 are 10 and not a little more.
fn quantile(numbers: &[f64], percentile: f64) -> f64 {
    let Some(last) = numbers.len().checked_sub(1) else { return 0.0 };
    let whole = BILLION as i128;
    let rank = billionths(percentile * last as f64) / 100;
    let below = ((rank / whole) as usize).min(last);
    let part = rank - below as i128 * whole;
    let (low, high) = (numbers[below], numbers[(below + 1).min(last)]);
    if part == 0 || low == high {
        return low;
    }
    let (low, high) = (billionths(low), billionths(high));
    let (much, little) = ((high - low) / whole, (high - low) % whole);
    (low + much * part + little * part / whole) as f64 / BILLION
}
