//! The decision: which opinions are worth an alert.
//!
//! Not single events are judged but **groups**: a detector, a key (a host, a template …) and a
//! window of event time. A group is as surprising as its most surprising event. That number only
//! grows while the group is open, so it may be judged at every event, and a group alerts at most
//! once: at the event that lifts it over the threshold. A scan's four thousand events are one
//! group, and do not use up the tail.
//!
//! A group is over when its window is, or when it is full: when it holds [`Options::events_max`]
//! events, or at the start of a stream a fortieth of all there were ([`SHARE`]). So a short stream
//! is calibrated too, a busy key need not wait for hours to be known, and a clock that stands still
//! cannot keep a detector from learning. That groups grow does no harm, for what is kept is how
//! many groups of how many events alert. One that has alerted holds [`ALERTED_STAYS`] times as
//! many, so that a long attack is still one group. An event that comes after its window is over
//! counts in the window that is open: an attack told of late is still an attack.
//!
//! A group alerts if both hold:
//!
//! 1. **its rank** among the last groups of its detector that closed is small enough:
//!    (1 + #{as surprising}) / (n + 1) ≤ α (Vovk 2005), whatever the detector's probabilities are
//!    worth. Beyond the most surprising group of the past, an exponential or heavier tail goes on
//!    where the data end (peaks over threshold, as in [`spot`](super::spot));
//! 2. **its probability** by the detector itself is below a floor. Ranks alone would flag their
//!    share of any stream, however clean.
//!
//! α comes from one number, the budget of false alerts per million events: each detector has its
//! share of it, and α is that share times the events that it takes to make a group.
//!
//! How earlier systems came to flag everything, and why that cannot happen here: there is no
//! threshold until [`Options::groups_min`] groups have closed, and silence is not calibrated on,
//! for a detector without an opinion makes no group; groups that alerted are learned like all
//! others, so that what has become usual stops alerting; nothing is divided by a spread that may
//! be 0; and only surprise alerts, never the lack of it.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::types::hash::Map;
use crate::types::{EventTime, Mergeable, Span};

use super::codec::{Corrupt, Put, Reader};
use super::opinion::{Opinion, Surprise};
use super::spot::gpd::Gpd;

mod open;

pub use open::Open;

/// How many times as many events a group may hold that has alerted.
pub const ALERTED_STAYS: u32 = 16;

/// One in how many of all events so far a group holds, between the least and the most.
pub const SHARE: u64 = 40;

/// Groups of each detector that are remembered: the last ones.
pub const RANKS_MAX: usize = 2_000;

/// What may alert, and how often.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The length of a group's window, in event time; above 0.
    pub width: Span,
    /// The budget: false alerts in a million events, over all detectors together.
    pub alerts_per_million: f64,
    /// How the budget is shared: a weight for each detector, by its number. At most 256.
    pub weights: Vec<f64>,
    /// What a detector must find at most this probable, whatever its rank: 10⁻³.
    pub floor: f64,
    /// Closed groups of a detector before it may alert: 50. Where a detector has few keys this is
    /// what a start waits for: with ten keys and windows of an hour, five hours of event time; with
    /// one key, some 2 000 events, by [`SHARE`].
    pub groups_min: usize,
    /// Events that a group holds at the start of a stream: 32.
    pub events_min: u32,
    /// Events after which a group is over before its window is; at least 1.
    pub events_max: u32,
    /// Open groups remembered in one [`Open`]. Above it, a further group is not judged and not
    /// learned, and counted as refused.
    pub open_max: usize,
}

/// α is kept within these, whatever the budget says.
const ALPHA: (f64, f64) = (1e-7, 0.05);
/// Events and groups are halved when there are so many groups, so that α follows the present.
const HALVE_AT: u64 = 100_000;
/// Excesses that a tail is fitted to, at least.
const EXCESSES_MIN: usize = 10;
/// How far the tail of an honest detector reaches: ten times as improbable is ten times as rare, so
/// its surprise is exponential with this mean, in decades.
const HONEST: f64 = std::f64::consts::LOG10_E;

/// A detector, by its place in [`Options::weights`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Detector(pub u8);

/// What a group comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// Whether it is worth an alert.
    pub alert: bool,
    /// The share of past groups that were as surprising; beyond them, what the tail says. 1 while
    /// there are too few.
    pub rank_p: f64,
    /// From which surprise on this detector alerts now; [`Surprise::NEVER`] while it cannot.
    pub threshold: Surprise,
    /// What the detector said.
    pub model_p: f64,
}

/// How an event left its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noted {
    /// Whether this event lifts the group over the threshold: at most once in a group.
    /// [`Ranks::verdict`] says the rest.
    pub alert: bool,
    /// The surprise of its most surprising event.
    pub most: Surprise,
    /// The start of the window that the event counts in.
    pub start: EventTime,
    /// How many more events the group takes, the last of which closes it; 0 if it is closed.
    pub room: u32,
}

/// A group whose window is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Closed {
    detector: Detector,
    end: EventTime,
    key: u64,
    most: Surprise,
}

/// What one epoch brought: how many events, and which groups closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    events: u64,
    /// How many groups closed, by detector.
    groups: BTreeMap<Detector, u64>,
    /// Of each detector at least the last [`RANKS_MAX`] of them.
    closed: Vec<Closed>,
}

impl Summary {
    /// Counts events, whether or not a detector had an opinion.
    pub fn count(&mut self, events: u64) {
        self.events = self.events.saturating_add(events);
    }

    fn close(&mut self, closed: Closed) {
        *self.groups.entry(closed.detector).or_default() += 1;
        self.closed.push(closed);
    }

    /// Sorts the closed groups, and keeps of each detector the last ones.
    fn cut(&mut self) {
        self.closed.sort_unstable_by(|a, b| b.cmp(a));
        let (mut detector, mut kept) = (None, 0);
        self.closed.retain(|closed| {
            if detector != Some(closed.detector) {
                (detector, kept) = (Some(closed.detector), 0);
            }
            kept += 1;
            kept <= RANKS_MAX
        });
        self.closed.reverse();
    }
}

impl Mergeable for Summary {
    fn merge(&mut self, other: Self) {
        self.events = self.events.saturating_add(other.events);
        for (detector, groups) in other.groups {
            *self.groups.entry(detector).or_default() += groups;
        }
        self.closed.extend(other.closed);
        if self.closed.len() > RANKS_MAX {
            self.cut();
        }
    }
}

/// The groups that closed, in closed epochs, and the thresholds that follow. See the
/// [module](self).
#[derive(Clone, Debug, PartialEq)]
pub struct Ranks {
    options: Options,
    /// All events of closed epochs.
    events: u64,
    detectors: Vec<Past>,
}

/// The past of one detector.
#[derive(Clone, Debug, Default, PartialEq)]
struct Past {
    /// The last groups' surprises, in the order of their windows, then of their keys.
    ring: VecDeque<Surprise>,
    /// The same, ascending.
    sorted: Vec<Surprise>,
    /// Events and groups from which α is made.
    events: u64,
    groups: u64,
    tail: Option<Tail>,
    alpha: f64,
    threshold: Option<Surprise>,
}

/// Where the data end: the share of groups beyond a surprise, and how far those reach.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tail {
    from: f64,
    share: f64,
    gpd: Gpd,
}

impl Tail {
    /// The tail of sorted surprises: of the largest twentieth, or of the ten largest where that is
    /// more, so that a detector may begin with fifty groups.
    ///
    /// It is kept between an exponential one and one of shape ½: a tail with an end would call
    /// anything beyond it impossible, and one fitted to ten odd groups nothing. Where there is
    /// nothing to fit, for nearly all groups are the same, the tail is that of an honest detector,
    /// and begins at the largest.
    fn of(sorted: &[Surprise]) -> Option<Self> {
        let n = sorted.len();
        let last = sorted.last()?.decades();
        let from = sorted.get((n * 19 / 20).min(n.checked_sub(EXCESSES_MIN + 1)?))?.decades();
        let above = sorted.partition_point(|surprise| surprise.decades() <= from);
        let excesses: Vec<f64> =
            sorted[above..].iter().map(|surprise| surprise.decades() - from).collect();
        if excesses.len() < EXCESSES_MIN || excesses.first() == excesses.last() {
            let gpd = Gpd { gamma: 0.0, sigma: HONEST };
            return Some(Tail { from: last, share: 1.0 / (n + 1) as f64, gpd });
        }
        let gpd = match Gpd::fit(&excesses) {
            Some(gpd) if gpd.gamma >= 0.0 => Gpd { gamma: gpd.gamma.min(0.5), ..gpd },
            _ => Gpd::exponential(&excesses)?,
        };
        Some(Tail { from, share: excesses.len() as f64 / n as f64, gpd })
    }

    fn p(&self, surprise: Surprise) -> f64 {
        self.share * self.gpd.beyond(surprise.decades() - self.from)
    }
}

impl Past {
    /// How many of the past groups were at least so surprising.
    fn as_surprising(&self, surprise: Surprise) -> usize {
        self.sorted.len() - self.sorted.partition_point(|past| *past < surprise)
    }

    fn rank(&self, surprise: Surprise, groups_min: usize) -> f64 {
        let n = self.sorted.len();
        if n < groups_min {
            return 1.0;
        }
        let beaten = self.as_surprising(surprise);
        let rank = (1 + beaten) as f64 / (n + 1) as f64;
        match self.tail {
            Some(tail) if beaten == 0 => rank.min(tail.p(surprise)),
            _ => rank,
        }
    }

    /// The least surprise whose rank is at most α.
    fn least(&self) -> Option<Surprise> {
        let n = self.sorted.len();
        let last = *self.sorted.last()?;
        // How many past groups may be as surprising as one that alerts.
        let allowed = (self.alpha * (n + 1) as f64) as usize;
        if let Some(allowed) = allowed.checked_sub(1) {
            let at = n.checked_sub(allowed + 1);
            return Some(at.map_or(Surprise(0), |at| Surprise(self.sorted[at].0 + 1)));
        }
        let tail = self.tail?;
        let decades = tail.from + tail.gpd.quantile(self.alpha / tail.share);
        let millionths = libm::ceil(decades * 1e6).clamp(0.0, f64::from(u32::MAX - 2));
        Some(Surprise(last.0.max(millionths as u32) + 1))
    }
}

impl Ranks {
    const VERSION: u8 = 2;

    /// A model that has seen no group.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let detectors = options.weights.iter().take(256).map(|_| Past::default()).collect();
        Ranks { options, events: 0, detectors }
    }

    /// The options that it was made with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// What a group comes to whose most surprising event is `opinion`.
    #[must_use]
    pub fn decide(&self, detector: Detector, opinion: Opinion) -> Verdict {
        self.verdict(detector, opinion.surprise())
    }

    /// What a group comes to that surprises by `most`.
    #[must_use]
    pub fn verdict(&self, detector: Detector, most: Surprise) -> Verdict {
        let past = &self.detectors[usize::from(detector.0)];
        let threshold = self.threshold(detector);
        Verdict {
            alert: most >= threshold,
            rank_p: past.rank(most, self.options.groups_min),
            threshold,
            model_p: most.p(),
        }
    }

    /// From which surprise on a detector alerts now.
    #[must_use]
    pub fn threshold(&self, detector: Detector) -> Surprise {
        self.detectors[usize::from(detector.0)].threshold.unwrap_or(Surprise::NEVER)
    }

    /// The share of groups of a detector that may alert now.
    #[must_use]
    pub fn alpha(&self, detector: Detector) -> f64 {
        self.detectors[usize::from(detector.0)].alpha
    }

    /// How many events a group holds now that has not alerted.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        let share = u32::try_from(self.events / SHARE).unwrap_or(u32::MAX);
        share.max(self.options.events_min).min(self.options.events_max).max(1)
    }

    /// How many closed groups of a detector are remembered.
    #[must_use]
    pub fn groups(&self, detector: Detector) -> usize {
        self.detectors[usize::from(detector.0)].sorted.len()
    }

    /// Learns an epoch: its groups in the order of their windows, then of their keys.
    pub fn apply(&mut self, mut summary: Summary) {
        summary.cut();
        self.events = self.events.saturating_add(summary.events);
        let weights: f64 = self.options.weights.iter().map(|weight| weight.max(0.0)).sum();
        for (number, past) in (0u8..=255).zip(&mut self.detectors) {
            let new = summary.closed.iter().filter(|closed| closed.detector.0 == number);
            let before = past.sorted.len();
            let mut changed = false;
            for closed in new {
                if past.ring.len() >= RANKS_MAX {
                    past.ring.pop_front();
                }
                past.ring.push_back(closed.most);
                changed = true;
            }
            if changed || before != past.ring.len() {
                past.sorted = past.ring.iter().copied().collect();
                past.sorted.sort_unstable();
                past.tail = Tail::of(&past.sorted);
            }
            past.events = past.events.saturating_add(summary.events);
            let groups = summary.groups.get(&Detector(number)).copied().unwrap_or(0);
            past.groups = past.groups.saturating_add(groups);
            if past.groups >= HALVE_AT {
                past.events /= 2;
                past.groups /= 2;
            }
            past.calibrate(&self.options, number, weights);
        }
    }

    /// Appends the model, without its options.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(Self::VERSION);
        out.put_var(self.events);
        out.put_var(self.detectors.len() as u64);
        for past in &self.detectors {
            out.put_var(past.events);
            out.put_var(past.groups);
            out.put_var(past.ring.len() as u64);
            past.ring.iter().for_each(|surprise| out.put_var(u64::from(surprise.0)));
        }
    }

    /// Reads a model back.
    ///
    /// # Errors
    /// If the bytes are not what [`encode`](Self::encode) wrote, or are of other detectors.
    pub fn decode(options: Options, bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader::new(bytes, Self::VERSION)?;
        let mut model = Ranks::new(options);
        model.events = reader.var()?;
        if reader.var()? != model.detectors.len() as u64 {
            return Err(Corrupt("ranks of another number of detectors"));
        }
        let weights: f64 = model.options.weights.iter().map(|weight| weight.max(0.0)).sum();
        for (number, past) in (0u8..=255).zip(&mut model.detectors) {
            past.events = reader.var()?;
            past.groups = reader.var()?;
            for _ in 0..reader.len(1)? {
                past.ring.push_back(Surprise(reader.var_to(300_000_000)? as u32));
            }
            if past.ring.len() > RANKS_MAX {
                return Err(Corrupt("more ranks than are kept"));
            }
            past.sorted = past.ring.iter().copied().collect();
            past.sorted.sort_unstable();
            past.tail = Tail::of(&past.sorted);
            past.calibrate(&model.options, number, weights);
        }
        reader.end()?;
        Ok(model)
    }
}

impl Past {
    /// Sets α and the threshold anew.
    fn calibrate(&mut self, options: &Options, number: u8, weights: f64) {
        if self.groups == 0 {
            return;
        }
        let weight = options.weights[usize::from(number)].max(0.0) / weights;
        let a_group = self.events as f64 / self.groups as f64;
        let alpha = weight * options.alerts_per_million / 1e6 * a_group;
        self.alpha = match alpha.is_nan() {
            true => ALPHA.0,
            false => alpha.clamp(ALPHA.0, ALPHA.1),
        };
        let enough = self.sorted.len() >= options.groups_min && weight > 0.0;
        let floor = Surprise::of(options.floor);
        self.threshold =
            self.least().filter(|_| enough).map(|least| least.max(floor).max(Surprise(1)));
    }
}

#[cfg(test)]
mod tests;
