//! What a correlation means, without any machinery.

use super::*;
use crate::sigma::correlation::{Firing, Kind};

/// What fires: the event, its group, and what was computed.
pub(super) fn firings(plan: &Plan, correlation: usize, matches: &[Match]) -> Vec<(u64, u8, f64)> {
    let ask = &plan.asks[correlation];
    let mut matches = matches.to_vec();
    matches.sort_by_key(|one| (one.time, one.seq, std::cmp::Reverse(one.place)));
    let mut windows: BTreeMap<u8, Vec<Match>> = BTreeMap::new();
    let mut fired = Vec::new();
    for event in matches.chunk_by(|one, other| one.seq == other.seq) {
        let one = event[0];
        let window = windows.entry(one.group).or_default();
        match ask.tells_rules_apart() {
            true => window.extend(event),
            false => window.push(one),
        }
        window.retain(|other| one.time.since(other.time) <= ask.timespan);
        if let Some(value) = value(ask, window) {
            fired.push((one.seq, one.group, value));
            window.clear();
        }
    }
    fired
}

fn value(ask: &plan::Ask, window: &[Match]) -> Option<f64> {
    let present: BTreeSet<usize> = window.iter().map(|one| usize::from(one.place)).collect();
    let ordered = ask.kind == Kind::TemporalOrdered;
    match &ask.firing {
        Firing::Bounds { bounds, percentile, .. } => {
            let value = computed(ask, window, *percentile);
            bounds.iter().all(|(is, bound)| is.holds(value, *bound)).then_some(value)
        }
        Firing::Every => {
            let all = present.len() == ask.places;
            let steps: Vec<usize> = (0..ask.places).collect();
            (all && (!ordered || in_order(window, &steps))).then_some(ask.places as f64)
        }
        Firing::Extended(condition) => {
            let holds = condition.holds(&mut |rule| present.contains(&rule));
            let steps: Vec<usize> =
                ask.steps.iter().copied().filter(|step| present.contains(step)).collect();
            (holds && (!ordered || in_order(window, &steps))).then_some(steps.len() as f64)
        }
    }
}

/// Whether there are matches of these rules one after the other.
fn in_order(window: &[Match], steps: &[usize]) -> bool {
    let Some((first, rest)) = steps.split_first() else { return true };
    let starts = (0..window.len()).filter(|at| usize::from(window[*at].place) == *first);
    starts.into_iter().any(|at| in_order(&window[at + 1..], rest))
}

fn computed(ask: &plan::Ask, window: &[Match], percentile: f64) -> f64 {
    let mut numbers: Vec<f64> = window.iter().map(|one| one.value).collect();
    numbers.sort_by(f64::total_cmp);
    let quantile = |percentile: f64| {
        let rank = percentile * (numbers.len() - 1) as f64;
        let (below, part) = ((rank / 100.0).floor() as usize, rank % 100.0);
        let above = numbers.get(below + 1).unwrap_or(&numbers[below]);
        (numbers[below] * (100.0 - part) + above * part) / 100.0
    };
    let places: BTreeSet<u16> = window.iter().map(|one| one.place).collect();
    match ask.kind {
        Kind::EventCount => window.len() as f64,
        Kind::ValueCount => {
            numbers.dedup();
            numbers.len() as f64
        }
        Kind::ValueSum => numbers.iter().sum(),
        Kind::ValueAvg => numbers.iter().sum::<f64>() / window.len() as f64,
        Kind::ValuePercentile => quantile(percentile),
        Kind::ValueMedian => quantile(50.0),
        Kind::Temporal => places.len() as f64,
        Kind::TemporalOrdered => {
            let subsets = (0u32..8).filter_map(|bits| {
                let steps: Vec<usize> = (0..3).filter(|step| bits & (1 << step) != 0).collect();
                in_order(window, &steps).then_some(steps.len())
            });
            subsets.max().unwrap_or(0) as f64
        }
    }
}
