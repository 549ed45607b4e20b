//! What happens at the limits, and to what is remembered when rules change.

use super::*;
use crate::correlation::groups::{GROUPS_MAX, WAITING_MAX};
use crate::correlation::window::EVENTS_MAX;

fn count_of(condition: &str) -> Arc<Schedule> {
    Arc::new(Schedule::new(active(&[&section("event_count", condition)])))
}

/// The hit of an event of a group by number; all groups are of the same key group.
fn hit(plan: &Plan, group: u64, seq: u64, second: i64) -> Hit {
    let one = Match { group: 0, time: seconds(second), seq, place: 0, value: 0.0 };
    Hit { group: 3 << 120 | u128::from(mix(group)), ..one.hit(plan, 0) }
}

/// What fires, and what was not counted, if each of the epochs is told with its watermark.
fn run(
    rules: &Arc<Schedule>,
    workers: usize,
    epochs: &[(i64, Vec<Hit>)],
) -> (Vec<(u128, u64)>, Counts) {
    let mut all = Workers::new(rules, workers);
    let mut fired = Vec::new();
    for (watermark, hits) in epochs {
        let mut hits = hits.clone();
        if workers > 1 {
            hits.reverse();
        }
        fired.extend(all.tell(seconds(*watermark), hits).iter().map(|one| (one.dedup, one.seq)));
        all.restart(workers);
    }
    (fired, all.counts)
}

#[test]
fn a_flood_of_groups_makes_those_that_end_first_go() {
    let rules = count_of("{gte: 2}");
    let plan = Plan::new(&rules.at(0));
    let groups = GROUPS_MAX as u64 + 100;
    let once = (0..groups).map(|group| hit(&plan, group, group, 1_000 + group as i64 / 100));
    let again = (0..groups).map(|group| hit(&plan, group, groups + group, 1_060));
    let epochs = [(0, once.collect()), (1_059, again.collect()), (2_000, Vec::new())];
    let (fired, counts) = run(&rules, 1, &epochs);
    // An eighth of the groups goes at the first surplus, and those that come again at the second.
    assert!(counts.groups > 0 && counts.full == 0 && counts.waiting == 0, "{counts:?}");
    assert!((GROUPS_MAX / 2..GROUPS_MAX).contains(&fired.len()), "{}", fired.len());
    for workers in [2, 3] {
        assert_eq!(run(&rules, workers, &epochs), (fired.clone(), counts));
    }
}

#[test]
fn a_flood_of_one_group_costs_the_others_nothing() {
    let rules = count_of("{gte: 3}");
    let plan = Plan::new(&rules.at(0));
    let flood = WAITING_MAX as u64;
    let mut hits: Vec<Hit> = (0..flood).map(|seq| hit(&plan, 1, seq, 1_000)).collect();
    hits.extend((0..3).map(|at| hit(&plan, 2, flood + at, 1_000 + at as i64)));
    let epochs = [(0, hits), (2_000, Vec::new())];
    let (fired, counts) = run(&rules, 1, &epochs);
    assert_eq!(counts.waiting, flood - (WAITING_MAX / 2 / 8 * 7) as u64);
    assert_eq!(fired.last(), Some(&(3 << 120 | u128::from(mix(2)), flood + 2)));
    assert_eq!(run(&rules, 3, &epochs), (fired, counts));
}

#[test]
fn a_full_window_loses_its_oldest_and_says_so() {
    let rules = count_of(&format!("{{gt: {EVENTS_MAX}}}"));
    let plan = Plan::new(&rules.at(0));
    let mut epochs = Vec::new();
    for part in 0..(EVENTS_MAX as u64 / 4_096 + 1) {
        let hits = (0..4_096).map(|at| hit(&plan, 1, part * 4_096 + at, 1_000 + part as i64));
        epochs.push((1_000 + part as i64, hits.collect()));
    }
    let (fired, counts) = run(&rules, 1, &epochs);
    assert_eq!((fired.len(), counts.full), (0, 4_096));
}

#[test]
fn a_flood_of_one_rule_does_not_push_another_out_of_a_temporal_window() {
    for kind in ["temporal", "temporal_ordered"] {
        let rules = Arc::new(Schedule::new(active(&[&section(kind, "")])));
        let plan = Plan::new(&rules.at(0));
        let mut all = Workers::new(&rules, 1);
        let one = |seq: u64, place: u16| {
            let second = 1_000 + i64::try_from(seq / 2_000).unwrap();
            Match { group: 0, time: seconds(second), seq, place, value: 0.0 }.hit(&plan, 0)
        };
        let mut seq = 0;
        let mut fired = Vec::new();
        fired.extend(all.tell(seconds(0), vec![one(0, 0)]));
        for _ in 0..20 {
            let flood: Vec<Hit> = (1..=2_000).map(|at| one(seq + at, 1)).collect();
            seq += 2_000;
            fired.extend(all.tell(flood.last().unwrap().time, flood));
        }
        fired.extend(all.tell(seconds(2_000), vec![one(seq + 1, 2)]));
        assert_eq!(fired.iter().map(|one| one.seq).collect::<Vec<_>>(), [seq + 1], "{kind}");
        assert_eq!(all.counts, Counts::default());
    }
}

#[test]
fn a_reload_keeps_the_windows_of_correlations_that_stay_and_begins_changed_ones_anew() {
    let (stays, before) = (section("event_count", "{gte: 2}"), section("event_count", "{gt: 1}"));
    let rules = Arc::new(Schedule::new(active(&[&before, &stays])));
    let plan = Plan::new(&rules.at(0));
    let of = |plan: &Plan, correlation: usize, seq: u64| {
        let time = seconds(1_000 + seq as i64);
        Match { group: 0, time, seq, place: 0, value: 0.0 }.hit(plan, correlation)
    };
    let mut all = Workers::new(&rules, 1);
    assert!(all.tell(seconds(0), vec![of(&plan, 0, 0), of(&plan, 1, 0)]).is_empty());
    assert!(all.tell(seconds(1_000), Vec::new()).is_empty());
    // The one that stays is called as before; the other one's bound is another.
    let changed = section("event_count", "{gt: 0, lt: 2}");
    rules.swap(3, active(&[&changed, &stays]));
    let plan = Plan::new(&rules.at(3));
    let fired = all.tell(seconds(2_000), vec![of(&plan, 0, 1), of(&plan, 1, 1)]);
    let fired: Vec<_> = fired.iter().map(|one| (one.rule, one.value)).collect();
    let rule = crate::types::Rule::Correlation;
    assert_eq!(fired, [(rule(0), 1.0), (rule(1), 2.0)]);
}

#[test]
fn a_group_is_forgotten_when_nothing_can_be_added_to_it() {
    let rules = count_of("{gte: 3}");
    let plan = Plan::new(&rules.at(0));
    let mut all = Workers::new(&rules, 1);
    all.tell(seconds(0), vec![hit(&plan, 1, 0, 1_000), hit(&plan, 2, 1, 1_001)]);
    all.tell(seconds(1_060), Vec::new());
    assert_eq!(all.workers[0].groups.len(), 2);
    all.tell(seconds(1_061), Vec::new());
    assert_eq!(all.workers[0].groups.len(), 1);
    all.restart(2);
    all.tell(seconds(1_062), Vec::new());
    assert!(all.workers.iter().all(|worker| worker.groups.is_empty()));
    all.restart(1);
    assert!(all.kept.is_empty(), "{:?}", all.kept);
}
