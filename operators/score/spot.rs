//! SPOT: a threshold that is passed with a given probability, from the tail of what was seen.
//!
//! Siffer, Fouque, Termier, Largouët, *Anomaly Detection in Streams with Extreme Value Theory*
//! (KDD 2017). Values above a high quantile t are taken as excesses of a generalised Pareto tail
//! ([`gpd`]), and the threshold is where that tail is as improbable as wanted. [`Spot`] watches
//! one side, [`BiSpot`] both (each with probability q), [`Drift`] lets either of them look at the
//! distance from the mean of the last ordinary values (DSPOT).
//!
//! What is done about known traps:
//!
//! - with fewer than [`EXCESSES_MIN`] excesses, or all the same, there is no threshold and no
//!   alarm; the quantile itself is never one;
//! - an excess of exactly 0 is none, so ties do not touch the fit;
//! - alarms are not learned, but after [`Options::recalibrate_after`] in a row what they show is
//!   the new ordinary, and calibration begins again with them;
//! - feed it numbers without an upper end (−log p, not p): a score that ends at 1 cannot pass a
//!   threshold above 1.
//!
//! The real rate of alarms is above `q`, because alarms are not learned and so what is learned is
//! cut off: on normal values at q = 10⁻⁴ it was 240 in a million with 5 000 excesses kept, 650
//! with 500 and 2 400 with 200. Keep many, or let ranks decide as [`groups`](super::groups) does.

use std::collections::VecDeque;

pub mod gpd;

use super::codec::{Corrupt, Put, Reader};
use gpd::Gpd;

/// Fewer excesses than this make no threshold.
pub const EXCESSES_MIN: usize = 10;

/// What to watch for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// The probability that an ordinary value is beyond the threshold, as 10⁻⁴.
    pub q: f64,
    /// The quantile beyond which values are excesses, as 0.98; 1 − `level` is above `q`.
    pub level: f64,
    /// Excesses kept, the latest; at least [`EXCESSES_MIN`].
    pub excesses_max: usize,
    /// Alarms in a row that mean that the ordinary has changed; 0 for never.
    pub recalibrate_after: usize,
}

/// Which end of the values is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Large values alarm.
    Upper,
    /// Small values alarm.
    Lower,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Inside.
    Normal,
    /// In the tail, and learned as part of it.
    Excess,
    /// Beyond the threshold.
    Alarm(Side),
}

/// A threshold on one side of a stream of numbers.
#[derive(Clone, Debug)]
pub struct Spot {
    options: Options,
    side: Side,
    /// The quantile t, turned upward: the lower side is watched with the sign changed.
    t: f64,
    excesses: VecDeque<f64>,
    /// How many values were excesses, those no longer kept included.
    excess_count: u64,
    /// How many values were learned.
    count: u64,
    /// How the tail is fitted.
    fit: fn(&[f64]) -> Option<Gpd>,
    tail: Option<Gpd>,
    threshold: Option<f64>,
    /// The last alarms, if they came in a row.
    alarms: Vec<f64>,
}

impl Spot {
    /// Calibrates on a first part of the stream, its level taken from these values.
    #[must_use]
    pub fn new(options: Options, side: Side, first: &[f64]) -> Self {
        let mut values: Vec<f64> = first.iter().copied().filter(|x| !x.is_nan()).collect();
        values.iter_mut().for_each(|x| *x = upward(side, *x));
        values.sort_unstable_by(f64::total_cmp);
        let at = (options.level * values.len() as f64) as usize;
        let t = values.get(at.min(values.len().saturating_sub(1))).copied();
        Self::with_level(options, side, upward(side, t.unwrap_or(0.0)), first)
    }

    /// Calibrates on a first part of the stream with a given level.
    #[must_use]
    pub fn with_level(options: Options, side: Side, t: f64, first: &[f64]) -> Self {
        Self::fitted(options, side, t, first, Gpd::fit)
    }

    fn fitted(
        options: Options,
        side: Side,
        t: f64,
        first: &[f64],
        fit: fn(&[f64]) -> Option<Gpd>,
    ) -> Self {
        let mut spot = Spot {
            options,
            side,
            t: upward(side, t),
            excesses: VecDeque::new(),
            excess_count: 0,
            count: 0,
            fit,
            tail: None,
            threshold: None,
            alarms: Vec::new(),
        };
        for x in first.iter().filter(|x| !x.is_nan()) {
            spot.learn(upward(side, *x));
        }
        spot.refit();
        spot
    }

    /// Judges the next value, and learns it unless it alarms. What is no number is normal.
    pub fn step(&mut self, x: f64) -> Outcome {
        if x.is_nan() {
            return Outcome::Normal;
        }
        let up = upward(self.side, x);
        if self.threshold.is_some_and(|threshold| up > threshold) {
            self.alarm(x);
            return Outcome::Alarm(self.side);
        }
        self.alarms.clear();
        match self.learn(up) {
            true => {
                self.refit();
                Outcome::Excess
            }
            false => Outcome::Normal,
        }
    }

    fn alarm(&mut self, x: f64) {
        if self.options.recalibrate_after == 0 {
            return;
        }
        self.alarms.push(x);
        if self.alarms.len() >= self.options.recalibrate_after {
            let first = std::mem::take(&mut self.alarms);
            *self = Spot::new(self.options, self.side, &first);
        }
    }

    /// Counts a value, turned upward; whether it is an excess.
    fn learn(&mut self, up: f64) -> bool {
        self.count += 1;
        if up <= self.t || up.is_infinite() {
            return false;
        }
        self.excess_count += 1;
        if self.excesses.len() >= self.options.excesses_max.max(EXCESSES_MIN) {
            self.excesses.pop_front();
        }
        self.excesses.push_back(up - self.t);
        true
    }

    fn refit(&mut self) {
        let excesses = self.excesses.make_contiguous();
        let same = excesses.iter().all(|y| *y == excesses[0]);
        self.tail = match excesses.len() >= EXCESSES_MIN && !same {
            true => (self.fit)(excesses),
            false => None,
        };
        let share = self.excess_count as f64 / self.count as f64;
        let beyond = self.tail.map(|tail| self.t + tail.quantile(self.options.q / share));
        self.threshold = beyond.filter(|threshold| threshold.is_finite());
    }

    /// Beyond what a value alarms, if that can be said.
    #[must_use]
    pub fn threshold(&self) -> Option<f64> {
        self.threshold.map(|threshold| upward(self.side, threshold))
    }

    /// The tail, if there is one.
    #[must_use]
    pub fn tail(&self) -> Option<Gpd> {
        self.tail
    }

    /// The probability of a value at least as extreme, for one in the tail.
    #[must_use]
    pub fn probability(&self, x: f64) -> Option<f64> {
        let share = self.excess_count as f64 / self.count as f64;
        self.tail.map(|tail| share * tail.beyond(upward(self.side, x) - self.t))
    }

    /// How many values were excesses, and how many were learned.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.excess_count, self.count)
    }
}

fn upward(side: Side, x: f64) -> f64 {
    match side {
        Side::Upper => x,
        Side::Lower => -x,
    }
}

/// Thresholds on both sides. Each side counts every value that does not alarm.
#[derive(Clone, Debug)]
pub struct BiSpot {
    upper: Spot,
    lower: Spot,
}

impl BiSpot {
    /// Calibrates both sides on a first part of the stream.
    #[must_use]
    pub fn new(options: Options, first: &[f64]) -> Self {
        BiSpot {
            upper: Spot::new(options, Side::Upper, first),
            lower: Spot::new(options, Side::Lower, first),
        }
    }

    /// Judges the next value, and learns it unless it alarms.
    pub fn step(&mut self, x: f64) -> Outcome {
        // What alarms on one side is as good as no value for the other.
        let beyond = |spot: &Spot| spot.threshold.is_some_and(|z| upward(spot.side, x) > z);
        if beyond(&self.lower) {
            return self.lower.step(x);
        }
        match self.upper.step(x) {
            Outcome::Normal => self.lower.step(x),
            Outcome::Excess => {
                self.lower.step(x);
                Outcome::Excess
            }
            alarm => alarm,
        }
    }

    /// The lower and the upper threshold.
    #[must_use]
    pub fn thresholds(&self) -> (Option<f64>, Option<f64>) {
        (self.lower.threshold(), self.upper.threshold())
    }
}

/// What can judge one number after the other, and be stored.
pub trait Judge: Sized {
    /// Judges the next value.
    fn judge(&mut self, x: f64) -> Outcome;

    /// Appends the state, without its options.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads a state back.
    ///
    /// # Errors
    /// If the bytes are not what [`encode`](Self::encode) wrote.
    fn decode(options: Options, bytes: &[u8]) -> Result<Self, Corrupt>;
}

const VERSION: u8 = 1;

impl Judge for Spot {
    fn judge(&mut self, x: f64) -> Outcome {
        self.step(x)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(VERSION);
        out.put_u8(u8::from(self.side == Side::Lower));
        out.put_f64(self.t);
        out.put_var(self.excess_count);
        out.put_var(self.count);
        out.put_var(self.excesses.len() as u64);
        self.excesses.iter().for_each(|y| out.put_f64(*y));
        out.put_var(self.alarms.len() as u64);
        self.alarms.iter().for_each(|x| out.put_f64(*x));
        // Not fitted again when read: the last fit was made at the last excess.
        let tail = self.tail.unwrap_or(Gpd { gamma: f64::NAN, sigma: f64::NAN });
        out.put_f64(tail.gamma);
        out.put_f64(tail.sigma);
        out.put_f64(self.threshold.unwrap_or(f64::NAN));
    }

    fn decode(options: Options, bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader::new(bytes, VERSION)?;
        let side = if reader.u8()? == 0 { Side::Upper } else { Side::Lower };
        let t = reader.f64()?;
        let mut spot = Spot::with_level(options, side, upward(side, t), &[]);
        spot.excess_count = reader.var_to(1 << 60)?;
        spot.count = reader.var_to(1 << 60)?;
        for _ in 0..reader.len(8)? {
            spot.excesses.push_back(reader.f64()?);
        }
        for _ in 0..reader.len(8)? {
            spot.alarms.push(reader.f64()?);
        }
        let (gamma, sigma) = (reader.f64()?, reader.f64()?);
        spot.tail = (sigma > 0.0 && !gamma.is_nan()).then_some(Gpd { gamma, sigma });
        spot.threshold = Some(reader.f64()?).filter(|threshold| threshold.is_finite());
        reader.end()?;
        Ok(spot)
    }
}

impl Judge for BiSpot {
    fn judge(&mut self, x: f64) -> Outcome {
        self.step(x)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(VERSION);
        for spot in [&self.lower, &self.upper] {
            put_part(spot, out);
        }
    }

    fn decode(options: Options, bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader::new(bytes, VERSION)?;
        let lower = Spot::decode(options, reader.part()?)?;
        let upper = Spot::decode(options, reader.part()?)?;
        reader.end()?;
        match (lower.side, upper.side) {
            (Side::Lower, Side::Upper) => Ok(BiSpot { upper, lower }),
            _ => Err(Corrupt("two thresholds on one side")),
        }
    }
}

fn put_part(judge: &impl Judge, out: &mut Vec<u8>) {
    let mut part = Vec::new();
    judge.encode(&mut part);
    out.put_var(part.len() as u64);
    out.extend_from_slice(&part);
}

/// Judges the distance from the mean of the last values that did not alarm (DSPOT, biDSPOT).
#[derive(Clone, Debug)]
pub struct Drift<J> {
    judge: J,
    last: VecDeque<f64>,
    depth: usize,
}

impl<J: Judge> Drift<J> {
    /// Calibrates what `judge` makes of distances; `depth` values make the mean, at least 1, and
    /// the first of the stream are only used for that.
    #[must_use]
    pub fn new(depth: usize, first: &[f64], judge: impl FnOnce(&[f64]) -> J) -> Self {
        let depth = depth.max(1);
        let first: Vec<f64> = first.iter().copied().filter(|x| x.is_finite()).collect();
        let distances: Vec<f64> =
            first.windows(depth + 1).map(|w| w[depth] - mean(&w[..depth])).collect();
        let last = first[first.len().saturating_sub(depth)..].iter().copied().collect();
        Drift { judge: judge(&distances), last, depth }
    }

    /// Judges the next value.
    pub fn step(&mut self, x: f64) -> Outcome {
        if !x.is_finite() {
            return Outcome::Normal;
        }
        let distance = x - mean(self.last.make_contiguous());
        let outcome = self.judge.judge(distance);
        if !matches!(outcome, Outcome::Alarm(_)) {
            if self.last.len() >= self.depth {
                self.last.pop_front();
            }
            self.last.push_back(x);
        }
        outcome
    }

    /// What judges the distances.
    #[must_use]
    pub fn inner(&self) -> &J {
        &self.judge
    }
}

impl<J: Judge> Judge for Drift<J> {
    fn judge(&mut self, x: f64) -> Outcome {
        self.step(x)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(VERSION);
        out.put_var(self.depth as u64);
        out.put_var(self.last.len() as u64);
        self.last.iter().for_each(|x| out.put_f64(*x));
        put_part(&self.judge, out);
    }

    fn decode(options: Options, bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader::new(bytes, VERSION)?;
        let depth = reader.var_to(1 << 20)?.max(1) as usize;
        let mut last = VecDeque::new();
        for _ in 0..reader.len(8)? {
            last.push_back(reader.f64()?);
        }
        let judge = J::decode(options, reader.part()?)?;
        reader.end()?;
        Ok(Drift { judge, last, depth })
    }
}

fn mean(values: &[f64]) -> f64 {
    match values {
        [] => 0.0,
        values => values.iter().sum::<f64>() / values.len() as f64,
    }
}

#[cfg(test)]
mod tests;
