use serde_json::Value;

use super::super::data::{bench, mutations, numbers, recorded_json};
use super::super::random::Random;
use super::*;

const OPTIONS: Options = Options { q: 1e-3, level: 0.98, excesses_max: 500, recalibrate_after: 0 };

/// The P² estimate of a quantile (Jain, Chlamtac 1985), which the recorded runs begin with.
fn p2(p: f64, values: &[f64]) -> f64 {
    let mut q: [f64; 5] = values[..5].try_into().unwrap();
    q.sort_unstable_by(f64::total_cmp);
    let mut n = [0.0, 1.0, 2.0, 3.0, 4.0];
    let mut wanted = [0.0, 2.0 * p, 4.0 * p, 2.0 + 2.0 * p, 4.0];
    let step = [0.0, p / 2.0, p, (1.0 + p) / 2.0, 1.0];
    for &x in &values[5..] {
        let cell = if x < q[0] {
            q[0] = x;
            0
        } else if x > q[4] {
            q[4] = x;
            3
        } else {
            (0..5).position(|i| x <= q[i]).unwrap().saturating_sub(1)
        };
        (cell + 1..5).for_each(|i| n[i] += 1.0);
        (0..5).for_each(|i| wanted[i] += step[i]);
        for i in 1..4 {
            let off = wanted[i] - n[i];
            let (before, after) = (n[i] - n[i - 1], n[i + 1] - n[i]);
            if (off >= 1.0 && after > 1.0) || (off <= -1.0 && before > 1.0) {
                let d = off.signum();
                let parabolic = q[i]
                    + d / (n[i + 1] - n[i - 1])
                        * ((before + d) * (q[i + 1] - q[i]) / after
                            + (after - d) * (q[i] - q[i - 1]) / before);
                let j = (i as f64 + d) as usize;
                q[i] = match q[i - 1] < parabolic && parabolic < q[i + 1] {
                    true => parabolic,
                    false => q[i] + d * (q[j] - q[i]) / (n[j] - n[i]),
                };
                n[i] += d;
            }
        }
    }
    q[2]
}

/// The fit of the recorded runs: Grimshaw's equation as it stands, on excesses as they are, within
/// absolute tolerances. Near its double root at 0 the equation is rounding noise, so on which side
/// it finds a root is chance, and it falls back to moments where a better fit exists. [`Gpd::fit`]
/// does better; this one tells whether everything around the fit is as it should be.
fn fit_with_noise(excesses: &[f64]) -> Option<Gpd> {
    const EPSILON: f64 = 2e-8;
    let n = excesses.len() as f64;
    let sum: f64 = excesses.iter().sum();
    let squares: f64 = excesses.iter().map(|y| y * y).sum();
    let (min, max) = excesses.iter().fold((f64::MAX, 0.0f64), |(a, b), y| (a.min(*y), b.max(*y)));
    let mean = sum / n;
    let ratio = mean * mean / (squares / n - mean * mean);
    let w = |x: f64| {
        let (mut u, mut v) = (0.0, 0.0);
        for y in excesses {
            let s = 1.0 + x * y;
            u += 1.0 / s;
            v += s.ln();
        }
        (u / n) * (1.0 + v / n) - 1.0
    };
    let likelihood = |fit: &Gpd| match fit.gamma == 0.0 {
        true => -n * fit.sigma.ln() - sum / fit.sigma,
        false => {
            let (c, x) = (1.0 + 1.0 / fit.gamma, fit.gamma / fit.sigma);
            excesses.iter().fold(-n * fit.sigma.ln(), |r, y| r - c * (1.0 + x * y).ln())
        }
    };
    let epsilon = EPSILON.min(0.5 / max);
    let tolerance = (2.0 * EPSILON, 0.5 * EPSILON);
    // Where the near end is exactly 0, it answers with the far end.
    let root = |a: f64, b: f64| match w(a) == 0.0 {
        true => Some(b),
        false => gpd::root(w, a, b, tolerance),
    };
    let left = root(-1.0 / max + epsilon, -epsilon);
    let right = root(epsilon, 2.0 * (mean - min) / (min * min));
    let mut best = Gpd { gamma: 0.5 * (1.0 - ratio), sigma: 0.5 * mean * (1.0 + ratio) };
    let of_root = |x: f64| {
        let v = 1.0 + excesses.iter().map(|y| (1.0 + x * y).ln()).sum::<f64>() / n;
        Gpd { gamma: v - 1.0, sigma: (v - 1.0) / x }
    };
    let exponential = Gpd { gamma: 0.0, sigma: mean };
    for fit in [Some(exponential), left.map(of_root), right.map(of_root)].into_iter().flatten() {
        let before = likelihood(&best);
        if before.is_nan() || likelihood(&fit) > before {
            best = fit;
        }
    }
    Some(best)
}

/// How far two numbers differ, relative to the second.
fn off(found: f64, expected: f64) -> f64 {
    (found - expected).abs() / expected.abs().max(1e-12)
}

fn replay_libspot(name: &str, run: &Value, series: &[f64], first: usize) -> Option<f64> {
    let low = run["low"].as_u64() == Some(1);
    let (side, level) = match low {
        true => (Side::Lower, 1.0 - run["level"].as_f64()?),
        false => (Side::Upper, run["level"].as_f64()?),
    };
    let fit = run.get("fit")?;
    // Without discarding, an alarm is learned as an excess: no rule of `Spot`'s.
    if run["discard"].as_u64() == Some(0) {
        return None;
    }
    let options = Options {
        q: run["q"].as_f64()?,
        level: run["level"].as_f64()?,
        excesses_max: run["max_excess"].as_u64()? as usize,
        recalibrate_after: 0,
    };
    let t = p2(level, &series[..first]);
    let mut worst = off(t, fit["excess_threshold"].as_f64()?);
    let mut spot = Spot::fitted(options, side, t, &series[..first], fit_with_noise);
    worst = worst.max(off(spot.threshold()?, fit["anomaly_threshold"].as_f64()?));
    let (mut alarms, mut thresholds) = (Vec::new(), Vec::new());
    for (row, x) in series.iter().enumerate().skip(first) {
        if spot.step(*x) == Outcome::Alarm(side) {
            alarms.push(row as f64);
        }
        if (row - first) % 50 == 49 {
            thresholds.push(spot.threshold()?);
        }
    }
    let expected = numbers(&run["anomaly_threshold_every_50"]);
    assert_eq!(alarms, numbers(&run["anomalies"]), "{name} {run}");
    for (found, expected) in thresholds.iter().zip(&expected) {
        worst = worst.max(off(*found, *expected));
    }
    let (excesses, count) = spot.counts();
    assert_eq!(Some(excesses), run["final"]["Nt"].as_u64());
    assert_eq!(Some(count), run["final"]["n"].as_u64());
    Some(worst)
}

#[test]
fn thresholds_and_alarms_are_those_of_libspot() {
    let mut replayed = 0;
    for name in ["gauss", "exp", "pareto", "unif", "ties"] {
        let file = format!("spot/libspot3_{name}.json");
        let Some(document) = recorded_json(&file) else { return };
        let series = numbers(&document["series"]);
        let first = document["n_init"].as_u64().unwrap() as usize;
        for run in document["runs"].as_array().unwrap() {
            let Some(worst) = replay_libspot(name, run, &series, first) else { continue };
            println!("{name} q {} low {}: off by {worst:.1e}", run["q"], run["low"]);
            // Where γ is about 10⁻¹⁰, the recorded quantile has lost half its digits.
            assert!(worst < 2e-6, "{name} q {} low {}: {worst}", run["q"], run["low"]);
            replayed += 1;
        }
    }
    assert!(replayed >= 10);
}

#[test]
fn alarms_are_those_of_the_first_implementation() {
    let mut compared = 0;
    for name in ["gauss", "exp", "pareto", "unif", "ties"] {
        let file = format!("spot/amossys_{name}.json");
        let Some(document) = recorded_json(&file) else { return };
        let series = recorded_json(&format!("spot/libspot3_{name}.json")).unwrap();
        let series = numbers(&series["series"]);
        let (first, stream) = (&series[..2_000], &series[2_000..4_000]);
        for run in document["runs"].as_array().unwrap() {
            if run.get("error").is_some() {
                continue;
            }
            let spot = |values: &[f64]| Spot::new(OPTIONS, Side::Upper, values);
            let bispot = |values: &[f64]| BiSpot::new(OPTIONS, values);
            let alarms: Vec<f64> = match run["cls"].as_str().unwrap() {
                "SPOT" => alarms(stream, &mut spot(first)),
                "biSPOT" => alarms(stream, &mut bispot(first)),
                "dSPOT" => alarms(stream, &mut Drift::new(20, first, spot)),
                _ => alarms(stream, &mut Drift::new(20, first, bispot)),
            };
            let expected = numbers(&run["alarms"]);
            let common = alarms.iter().filter(|row| expected.contains(row)).count();
            let differing = alarms.len() + expected.len() - 2 * common;
            println!("{name} {}: {differing} of {} differ", run["cls"], expected.len());
            assert!(4 * differing <= expected.len() + 4, "{name} {} {alarms:?}", run["cls"]);
            compared += 1;
        }
    }
    assert!(compared >= 16);
}

fn alarms(stream: &[f64], judge: &mut impl Judge) -> Vec<f64> {
    let rows = stream.iter().enumerate();
    rows.filter(|(_, x)| matches!(judge.judge(**x), Outcome::Alarm(_)))
        .map(|(row, _)| row as f64 + 2_000.0)
        .collect()
}

fn normals(seed: u64, n: usize) -> Vec<f64> {
    let mut random = Random::new(seed);
    let mut one = || {
        (-2.0 * (1.0 - random.unit()).ln()).sqrt() * (random.unit() * std::f64::consts::TAU).cos()
    };
    (0..n).map(|_| one()).collect()
}

#[test]
fn ordinary_values_alarm_about_as_often_as_wanted() {
    let values = normals(1, 210_000);
    let options = Options { q: 1e-4, excesses_max: 5_000, ..OPTIONS };
    let mut spot = Spot::new(options, Side::Upper, &values[..10_000]);
    let count = alarms(&values[10_000..], &mut spot).len();
    assert!((10..=60).contains(&count), "{count} of 200 000 at 10^-4");
}

#[test]
fn a_constant_or_two_valued_stream_never_alarms() {
    for period in [1, 2, 100, 1_000] {
        let value = |i: usize| if i.is_multiple_of(period) { 5.0 } else { 0.0 };
        let values: Vec<f64> = (0..20_000).map(value).collect();
        let mut both = BiSpot::new(OPTIONS, &values[..1_000]);
        assert_eq!(both.thresholds(), (None, None));
        assert!(alarms(&values[1_000..], &mut both).is_empty());
    }
}

#[test]
fn after_a_change_the_new_values_become_ordinary() {
    let values = normals(2, 6_000);
    let options = Options { recalibrate_after: 50, ..OPTIONS };
    let mut spot = Spot::new(options, Side::Upper, &values[..2_000]);
    let shifted: Vec<f64> = values[2_000..].iter().map(|x| x + 100.0).collect();
    let alarmed = alarms(&shifted, &mut spot);
    assert!(alarmed.len() >= 50 && alarmed.len() <= 100, "{} alarms", alarmed.len());
    let late = alarms(&shifted[2_000..], &mut spot).len();
    assert!(late <= 20, "{late} alarms in what has become ordinary");
}

#[test]
fn what_is_no_number_does_nothing() {
    let first = [f64::NAN, f64::INFINITY, 1.0, 2.0];
    let mut spot = Spot::new(OPTIONS, Side::Upper, &first);
    assert_eq!(spot.step(f64::NAN), Outcome::Normal);
    assert_eq!(Spot::new(OPTIONS, Side::Lower, &[]).step(-1.0), Outcome::Excess);
    let mut drift = Drift::new(20, &[], |first| BiSpot::new(OPTIONS, first));
    assert_eq!(drift.step(f64::INFINITY), Outcome::Normal);
    drift.step(1.0);
    assert_eq!(drift.inner().thresholds(), (None, None));
}

#[test]
fn a_threshold_comes_back_as_it_went_and_bad_bytes_are_refused() {
    let values = normals(5, 3_000);
    let options = Options { recalibrate_after: 9, ..OPTIONS };
    let mut drift = Drift::new(20, &values[..1_500], |first| BiSpot::new(options, first));
    alarms(&values[1_500..2_000], &mut drift);
    drift.step(1e9);
    let mut bytes = Vec::new();
    drift.encode(&mut bytes);
    let mut again = Drift::<BiSpot>::decode(options, &bytes).unwrap();
    let mut bytes_again = Vec::new();
    again.encode(&mut bytes_again);
    assert_eq!(bytes, bytes_again);
    for x in &values[2_000..] {
        assert_eq!(drift.step(*x), again.step(*x));
        assert_eq!(drift.inner().thresholds(), again.inner().thresholds());
    }
    mutations(&bytes, |bytes| {
        if let Ok(mut drift) = Drift::<BiSpot>::decode(options, bytes) {
            (0..30).for_each(|i| {
                drift.step(f64::from(i));
            });
        }
    });
}

#[test]
#[ignore = "a measurement"]
fn bench_spot() {
    let values = normals(3, 102_000);
    let mut spot = Spot::new(OPTIONS, Side::Upper, &values[..2_000]);
    bench("spot step, 2 % of them with a fit to 500 excesses", &values[2_000..], |x| {
        f64::from(spot.step(*x) == Outcome::Normal)
    });
    let excesses: Vec<f64> = (0..100).map(|i| -(f64::from(i) / 100.0 + 0.005).ln()).collect();
    bench("fit of 100 excesses", &[(); 200], |()| Gpd::fit(&excesses).unwrap().gamma);
}
