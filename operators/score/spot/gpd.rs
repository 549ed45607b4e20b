//! The generalised Pareto distribution: how far beyond a threshold values reach.
//!
//! Fitted by Grimshaw's one-dimensional search (*Technometrics* 1993), by moments, and as an
//! exponential; the fit of the highest likelihood is taken. Excesses are divided by their mean
//! first, so that the scale of the data does not meet absolute tolerances.

/// A fitted tail: P(excess > y) = (1 + γy/σ)^(−1/γ), or e^(−y/σ) at γ = 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gpd {
    /// Its shape: above 0 heavier than exponential, below 0 with an end.
    pub gamma: f64,
    /// Its scale.
    pub sigma: f64,
}

impl Gpd {
    /// Fits positive excesses; `None` if there are none.
    #[must_use]
    pub fn fit(excesses: &[f64]) -> Option<Self> {
        let excesses: Vec<f64> =
            excesses.iter().copied().filter(|y| *y > 0.0 && y.is_finite()).collect();
        let mean = excesses.iter().sum::<f64>() / excesses.len() as f64;
        if excesses.is_empty() || !mean.is_finite() {
            return None;
        }
        let unit: Vec<f64> = excesses.iter().map(|y| y / mean).collect();
        let mut best = Gpd { gamma: 0.0, sigma: 1.0 };
        let mut likelihood = best.log_likelihood(&unit);
        let candidates =
            [moments(&unit), grimshaw(&unit, Side::Left), grimshaw(&unit, Side::Right)];
        for candidate in candidates.into_iter().flatten() {
            let its = candidate.log_likelihood(&unit);
            if its > likelihood {
                (best, likelihood) = (candidate, its);
            }
        }
        Some(Gpd { sigma: best.sigma * mean, ..best })
    }

    /// The exponential tail of positive excesses; `None` if there are none.
    #[must_use]
    pub fn exponential(excesses: &[f64]) -> Option<Self> {
        let mean = excesses.iter().sum::<f64>() / excesses.len() as f64;
        (mean > 0.0 && mean.is_finite()).then_some(Gpd { gamma: 0.0, sigma: mean })
    }

    /// The probability that an excess is larger than `y`.
    #[must_use]
    pub fn beyond(&self, y: f64) -> f64 {
        if y <= 0.0 {
            return 1.0;
        }
        if self.gamma == 0.0 {
            return libm::exp(-y / self.sigma);
        }
        match y * (self.gamma / self.sigma) {
            inside if inside > -1.0 => libm::exp(-libm::log1p(inside) / self.gamma),
            _ => 0.0,
        }
    }

    /// The excess that is exceeded with probability `q`.
    #[must_use]
    pub fn quantile(&self, q: f64) -> f64 {
        match self.gamma == 0.0 {
            true => -self.sigma * libm::log(q),
            false => self.sigma / self.gamma * libm::expm1(-self.gamma * libm::log(q)),
        }
    }

    /// The log-likelihood of excesses; −∞ or NaN where the distribution cannot have made them.
    #[must_use]
    pub fn log_likelihood(&self, excesses: &[f64]) -> f64 {
        let Gpd { gamma, sigma } = *self;
        let n = excesses.len() as f64;
        if sigma.is_nan() || sigma <= 0.0 {
            return f64::NEG_INFINITY;
        }
        if gamma == 0.0 {
            return -n * libm::log(sigma) - excesses.iter().sum::<f64>() / sigma;
        }
        let slope = gamma / sigma;
        let sum: f64 = excesses.iter().map(|y| libm::log1p(slope * y)).sum();
        -n * libm::log(sigma) - (1.0 + 1.0 / gamma) * sum
    }
}

/// By mean and variance, for excesses of mean 1.
fn moments(unit: &[f64]) -> Option<Gpd> {
    let n = unit.len() as f64;
    let variance = unit.iter().map(|y| (y - 1.0) * (y - 1.0)).sum::<f64>() / n;
    if variance <= 0.0 {
        return None;
    }
    let ratio = 1.0 / variance;
    let fit = Gpd { gamma: 0.5 * (1.0 - ratio), sigma: 0.5 * (1.0 + ratio) };
    fit.log_likelihood(unit).is_finite().then_some(fit)
}

/// Where Grimshaw's equation is searched for a root x = γ/σ.
enum Side {
    /// Tails with an end: γ < 0.
    Left,
    /// Heavy tails: γ > 0.
    Right,
}

/// How near to 0, and to the end of the left side, the search goes, for excesses of mean 1.
const MARGIN: f64 = 1e-8;

/// The solution of u(x)·v(x) = 1 on one side of 0, where u(x) is the mean of 1/(1 + xY) and v(x)
/// one more than the mean of ln(1 + xY); then γ = v − 1 and σ = γ/x.
///
/// A shape of −1 and less is none: its likelihood is unbounded, so it would always win.
fn grimshaw(unit: &[f64], side: Side) -> Option<Gpd> {
    let (mut min, mut max) = (f64::INFINITY, 0.0f64);
    for y in unit {
        (min, max) = (min.min(*y), max.max(*y));
    }
    let n = unit.len() as f64;
    let equation = |x: f64| {
        // (1 + U)(1 + V) − 1 in a form that does not cancel near 0, where it has a double root.
        let (mut u, mut v, mut both) = (0.0, 0.0, 0.0);
        for y in unit {
            let z = x * y;
            let (inverse, log) = (-z / (1.0 + z), libm::log1p(z));
            u += inverse;
            v += log;
            both += inverse + log;
        }
        both / n + (u / n) * (v / n)
    };
    let (from, to) = match side {
        Side::Left => (-1.0 / max + MARGIN.min(0.5 / max), -MARGIN),
        Side::Right => {
            let min = min.max(1e-3);
            (MARGIN, 2.0 * (1.0 - min) / (min * min))
        }
    };
    let x = root(equation, from, to, (2.0 * f64::EPSILON, 0.0))?;
    let gamma = unit.iter().map(|y| libm::log1p(x * y)).sum::<f64>() / n;
    (gamma > -1.0).then_some(Gpd { gamma, sigma: gamma / x })
}

/// A root between two points where `f` has different signs, to `tolerance`, relative and absolute
/// (Brent 1973).
pub(super) fn root(f: impl Fn(f64) -> f64, a: f64, b: f64, tolerance: (f64, f64)) -> Option<f64> {
    let (relative, absolute) = tolerance;
    let (mut a, mut b) = (a, b);
    let (mut fa, mut fb) = (f(a), f(b));
    if !(a < b && fa.is_finite() && fb.is_finite()) || fa * fb > 0.0 {
        return None;
    }
    let (mut c, mut fc) = (a, fa);
    let mut step = b - a;
    let mut last = step;
    for _ in 0..200 {
        if fb * fc > 0.0 {
            (c, fc) = (a, fa);
            step = b - a;
            last = step;
        }
        if fc.abs() < fb.abs() {
            (a, b, c) = (b, c, b);
            (fa, fb, fc) = (fb, fc, fb);
        }
        let tolerance = relative * b.abs() + absolute;
        let half = 0.5 * (c - b);
        if half.abs() <= tolerance || fb == 0.0 {
            break;
        }
        if last.abs() < tolerance || fa.abs() <= fb.abs() {
            (step, last) = (half, half);
        } else {
            let s = fb / fa;
            let (mut p, mut q) = if a == c {
                (2.0 * half * s, 1.0 - s)
            } else {
                let (q, r) = (fa / fc, fb / fc);
                let p = s * (2.0 * half * q * (q - r) - (b - a) * (r - 1.0));
                (p, (q - 1.0) * (r - 1.0) * (s - 1.0))
            };
            if p > 0.0 {
                q = -q;
            }
            p = p.abs();
            if 2.0 * p < (3.0 * half * q - (tolerance * q).abs()).min((last * q).abs()) {
                last = step;
                step = p / q;
            } else {
                (step, last) = (half, half);
            }
        }
        (a, fa) = (b, fb);
        b += if step.abs() > tolerance { step } else { tolerance.copysign(half) };
        fb = f(b);
    }
    Some(b)
}

#[cfg(test)]
mod tests {
    use super::super::super::data::{numbers, recorded_json};
    use super::super::super::random::Random;
    use super::*;

    #[test]
    fn a_fit_is_as_likely_as_a_dense_search_finds() {
        let Some(cases) = recorded_json("spot/gpd_fits.json") else { return };
        for case in cases.as_array().unwrap() {
            let excesses = numbers(&case["excesses"]);
            let fit = Gpd::fit(&excesses).unwrap();
            let dense = &case["grimshaw_dense"];
            let likelihood = fit.log_likelihood(&excesses);
            assert!(likelihood >= dense["ll"].as_f64().unwrap() - 2e-6, "{fit:?} {dense}");
            assert!((fit.gamma - dense["gamma"].as_f64().unwrap()).abs() < 2e-4);
            assert!((fit.sigma / dense["sigma"].as_f64().unwrap() - 1.0).abs() < 2e-4);
            let mean = excesses.iter().sum::<f64>() / excesses.len() as f64;
            let unit: Vec<f64> = excesses.iter().map(|y| y / mean).collect();
            let by_moments = moments(&unit).unwrap();
            assert!((by_moments.gamma - case["mom"]["gamma"].as_f64().unwrap()).abs() < 1e-9);
            let sigma = by_moments.sigma * mean;
            assert!((sigma / case["mom"]["sigma"].as_f64().unwrap() - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn the_scale_of_the_data_does_not_matter() {
        let mut random = Random::new(3);
        let excesses: Vec<f64> = (0..200).map(|_| -random.unit().ln()).collect();
        let fit = Gpd::fit(&excesses).unwrap();
        for scale in [1e-9, 1e9] {
            let scaled: Vec<f64> = excesses.iter().map(|y| y * scale).collect();
            let its = Gpd::fit(&scaled).unwrap();
            assert!((its.gamma - fit.gamma).abs() < 1e-6, "{its:?} {fit:?}");
            assert!((its.sigma / scale - fit.sigma).abs() < 1e-6);
        }
    }

    #[test]
    fn quantile_and_probability_are_inverse() {
        for gamma in [-0.4, -1e-12, 0.0, 1e-12, 0.3, 1.5] {
            let tail = Gpd { gamma, sigma: 2.0 };
            for q in [0.9, 0.1, 1e-3, 1e-9] {
                assert!((tail.beyond(tail.quantile(q)) / q - 1.0).abs() < 1e-9, "{gamma} {q}");
            }
        }
        assert_eq!(Gpd { gamma: -0.5, sigma: 1.0 }.beyond(2.5), 0.0);
    }

    #[test]
    fn odd_excesses_do_not_break_the_fit() {
        assert_eq!(Gpd::fit(&[]), None);
        assert_eq!(Gpd::fit(&[0.0, -1.0, f64::NAN]), None);
        for excesses in [vec![1.0], vec![1.0; 50], vec![0.0, 1e-300, 1.0], vec![1e300, 1e-300]] {
            let fit = Gpd::fit(&excesses).unwrap();
            assert!(fit.sigma > 0.0 && fit.gamma > -1.0, "{excesses:?}: {fit:?}");
        }
    }
}
