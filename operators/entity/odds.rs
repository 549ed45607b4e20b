//! How odd something is, and from when on that counts; compared without a logarithm where one can.

use crate::score::opinion::{Opinion, Surprise};

/// How odd a touch is, as whoever says it counts. From one to the other takes a logarithm or a
/// power, which most opinions never need.
#[derive(Clone, Copy)]
pub(super) enum Odds {
    P(Opinion),
    Decades(Surprise),
}

impl Odds {
    pub(super) fn opinion(self) -> Opinion {
        match self {
            Odds::P(opinion) => opinion,
            Odds::Decades(surprise) => Opinion::new(surprise.p()),
        }
    }

    pub(super) fn surprise(self) -> Surprise {
        match self {
            Odds::P(opinion) => opinion.surprise(),
            Odds::Decades(surprise) => surprise,
        }
    }

    /// Whether the surprise is at least the bar's.
    pub(super) fn reaches(self, bar: &Bar) -> bool {
        match self {
            Odds::P(opinion) if opinion.p() > bar.p => false,
            other => other.surprise() >= bar.surprise,
        }
    }

    /// Whether the surprise is surely not above another one's.
    pub(super) fn is_within(self, other: Odds) -> bool {
        match (self, other) {
            (Odds::P(one), Odds::P(other)) => one.p() >= other.p(),
            (Odds::Decades(one), Odds::Decades(other)) => one <= other,
            _ => false,
        }
    }
}

/// A surprise to be compared with.
pub(super) struct Bar {
    pub(super) surprise: Surprise,
    /// What is more probable than this is surely less surprising.
    pub(super) p: f64,
}

impl Bar {
    pub(super) fn at(surprise: Surprise) -> Self {
        // Surprises are rounded, so the probability is that of the next lower one.
        Bar { surprise, p: Surprise(surprise.0.saturating_sub(1)).p() }
    }
}
