//! What a detector says of one event: how improbable it is, or nothing.
//!
//! All detectors speak of probability, so that what they say can be compared: `p` is the share of
//! ordinary events that would look at least this odd. A detector that cannot know says nothing
//! (`None`), which is not the same as saying that all is well.

use std::fmt;

/// The probability of seeing something at least this odd, if all is as it was.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Opinion {
    p: f64,
}

impl Opinion {
    /// An opinion; `p` is brought into `[1e-300, 1]`, and what is no number is 1.
    #[must_use]
    pub fn new(p: f64) -> Self {
        match p.is_nan() {
            true => Opinion { p: 1.0 },
            false => Opinion { p: p.clamp(1e-300, 1.0) },
        }
    }

    /// The probability, in `(0, 1]`.
    #[must_use]
    pub fn p(self) -> f64 {
        self.p
    }

    /// −log₁₀ of the probability.
    #[must_use]
    pub fn surprise(self) -> Surprise {
        Surprise::of(self.p)
    }
}

/// −log₁₀ p, in millionths: an integer, so that it can be counted and compared exactly.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct Surprise(pub u32);

impl Surprise {
    /// More than any opinion has.
    pub const NEVER: Surprise = Surprise(u32::MAX);

    /// Of a probability; at most 300, for 10⁻³⁰⁰ and less.
    #[must_use]
    pub fn of(p: f64) -> Self {
        let decades = -libm::log10(p.clamp(1e-300, 1.0));
        Surprise(libm::round(decades * 1e6) as u32)
    }

    /// In decades: 3 is one in a thousand.
    #[must_use]
    pub fn decades(self) -> f64 {
        f64::from(self.0) / 1e6
    }

    /// The probability.
    #[must_use]
    pub fn p(self) -> f64 {
        libm::pow(10.0, -self.decades())
    }
}

impl fmt::Display for Surprise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}", self.decades())
    }
}

/// A number in `[0, 1]` to show to people: 1 − ∛p. One in a thousand is 0.9, one in a million
/// 0.99. Nothing is decided by it.
#[must_use]
pub fn score01(p: f64) -> f64 {
    1.0 - libm::cbrt(p.clamp(0.0, 1.0))
}

/// The probability of several opinions together, given as (weight, p): the smallest `p` over its
/// share of the weights (Bonferroni), which holds however the opinions depend on each other.
///
/// Weights count relative to their sum; what has no weight has no say. 1 if nobody has.
#[must_use]
pub fn combine(opinions: &[(f64, f64)]) -> f64 {
    let sum: f64 = opinions.iter().map(|(weight, _)| weight.max(0.0)).sum();
    let shares = opinions.iter().filter(|(weight, _)| *weight > 0.0);
    shares.map(|(weight, p)| p * sum / weight).fold(1.0, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surprise_counts_decades() {
        assert_eq!(Opinion::new(1e-3).surprise(), Surprise(3_000_000));
        assert_eq!(Opinion::new(1.0).surprise(), Surprise(0));
        assert_eq!(Opinion::new(0.0).surprise(), Surprise(300_000_000));
        assert_eq!(Opinion::new(f64::NAN).surprise(), Surprise(0));
        assert!((Surprise(2_500_000).p() - 0.003_162_277_660_168_379).abs() < 1e-15);
    }

    #[test]
    fn the_shown_score_is_a_cube_root() {
        assert!((score01(1e-3) - 0.9).abs() < 1e-12);
        assert!((score01(1e-6) - 0.99).abs() < 1e-12);
        assert_eq!(score01(1.0), 0.0);
    }

    #[test]
    fn together_the_best_opinion_pays_for_the_others() {
        assert!((combine(&[(1.0, 1e-4), (1.0, 0.5)]) - 2e-4).abs() < 1e-18);
        assert!((combine(&[(3.0, 1e-4), (1.0, 1e-4)]) - 1e-4 * 4.0 / 3.0).abs() < 1e-18);
        assert_eq!(combine(&[(1.0, 0.9), (1.0, 0.8)]), 1.0);
        assert_eq!(combine(&[(0.0, 1e-9)]), 1.0);
        assert_eq!(combine(&[]), 1.0);
    }
}
