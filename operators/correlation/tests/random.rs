//! Streams by chance: disorder, workers and restarts change nothing.

use super::*;

/// Every type, and conditions of every kind.
const SECTIONS: [(&str, &str); 18] = [
    ("event_count", "{gte: 5}"),
    ("event_count", "{gt: 2, lte: 4}"),
    ("event_count", "{eq: 3}"),
    ("value_count", "{gte: 4, field: n}"),
    ("value_count", "{gt: 6, field: n}"),
    ("temporal", ""),
    ("temporal", "{gte: 2}"),
    ("temporal", "a and (b or c)"),
    ("temporal", "c and not a"),
    ("temporal_ordered", ""),
    ("temporal_ordered", "{gte: 3}"),
    ("temporal_ordered", "a and c and not b"),
    ("value_sum", "{gte: 30, field: n}"),
    ("value_avg", "{gt: 6, lt: 8, field: n}"),
    ("value_percentile", "{gte: 8, field: n}"),
    ("value_percentile", "{gte: 7.5, field: n, percentile: 80}"),
    ("value_percentile", "{eq: 8, field: n, percentile: 90}"),
    ("value_median", "{gte: 7.5, field: n}"),
];

/// How far matches may lag.
const TOLERANCE: Span = Span::from_secs(30);

/// Matches in the order in which they arrive, which is that of their numbers.
fn stream(seed: u64, count: u64) -> Vec<Match> {
    let mut clock = 1_000i64;
    (0..count)
        .map(|seq| {
            let random = mix(seed ^ mix(seq + 1));
            clock += (random % 12) as i64;
            Match {
                group: (random >> 8) as u8 % 3,
                time: seconds(clock - (random >> 16) as i64 % 25),
                seq,
                place: (random >> 24) as u16 % 3,
                value: ((random >> 32) % 10) as f64,
            }
        })
        .collect()
}

/// What fires if the matches are told in epochs, with the given workers and restarts.
fn run(
    rules: &Arc<Schedule>,
    matches: &[Match],
    workers: usize,
    restarts: bool,
) -> Vec<(usize, u64, f64)> {
    let plan = Plan::new(&rules.at(0));
    let mut all = Workers::new(rules, workers);
    let mut fired = Vec::new();
    let mut reached = EventTime::MIN;
    let epochs = matches.chunk_by(|one, other| one.seq / 23 == other.seq / 23);
    for (number, epoch) in epochs.chain([&[][..]]).enumerate() {
        let watermark = if epoch.is_empty() { EventTime::MAX } else { reached - TOLERANCE };
        assert!(epoch.iter().all(|one| one.time >= watermark), "nothing is late here");
        let mut hits = Vec::new();
        for one in epoch {
            // What does not tell rules apart is told of one match of an event, the first.
            let again = hits.last().is_some_and(|last: &Hit| last.seq == one.seq);
            let asking = (0..plan.asks.len())
                .filter(|correlation| !again || plan.asks[*correlation].tells_rules_apart());
            hits.extend(asking.map(|correlation| one.hit(&plan, correlation)));
            reached = reached.max(one.time);
        }
        if workers > 1 {
            hits.reverse();
        }
        if restarts && number % 3 == 1 {
            all.restart(1 + number % 4);
        }
        fired.extend(all.tell(watermark, hits));
    }
    assert_eq!(all.counts, Counts::default());
    let number = |finding: &Finding| match finding.rule {
        crate::types::Rule::Correlation(number) => number as usize,
        other => panic!("{other:?} is none of a correlation"),
    };
    let mut fired: Vec<_> =
        fired.iter().map(|finding| (number(finding), finding.seq, finding.value)).collect();
    fired.sort_by(|one, other| one.partial_cmp(other).unwrap());
    fired
}

/// The same, and every third event matches another rule as well.
fn stream_of_two(seed: u64, count: u64) -> Vec<Match> {
    let twice = stream(seed, count).into_iter().flat_map(|one| {
        let other = Match { place: (one.place + 1 + (mix(one.seq) % 2) as u16) % 3, ..one };
        std::iter::once(one).chain((one.seq % 3 == 0).then_some(other))
    });
    twice.collect()
}

#[test]
fn every_type_says_what_a_plain_program_says_whatever_the_order_workers_and_restarts() {
    let sections: Vec<String> =
        SECTIONS.iter().map(|(kind, condition)| section(kind, condition)).collect();
    let sections: Vec<&str> = sections.iter().map(String::as_str).collect();
    let rules = Arc::new(Schedule::new(active(&sections)));
    let plan = Plan::new(&rules.at(0));
    let mut fired = vec![0; SECTIONS.len()];
    for seed in 0..40 {
        let matches = match seed % 2 {
            0 => stream(seed, 300),
            _ => stream_of_two(seed, 300),
        };
        let mut expected = Vec::new();
        for (correlation, count) in fired.iter_mut().enumerate() {
            let firings = plain::firings(&plan, correlation, &matches);
            *count += firings.len();
            expected.extend(firings.into_iter().map(|(seq, _, value)| (correlation, seq, value)));
        }
        expected.sort_by(|one, other| one.partial_cmp(other).unwrap());
        for (workers, restarts) in [(1, false), (2, false), (3, false), (1, true), (3, true)] {
            let said = run(&rules, &matches, workers, restarts);
            let differs = said.iter().zip(&expected).find(|(one, other)| one != other);
            assert!(
                said == expected,
                "seed {seed}, {workers} workers, restarts {restarts}: {} fired and {} should, \
                 first {differs:?}",
                said.len(),
                expected.len()
            );
        }
    }
    for (section, count) in SECTIONS.iter().zip(fired) {
        assert!(count > 50, "{section:?} fired {count} times");
    }
}

#[test]
fn matches_that_arrive_in_disorder_fire_like_those_that_arrive_in_order() {
    let sections: Vec<String> =
        SECTIONS.iter().map(|(kind, condition)| section(kind, condition)).collect();
    let sections: Vec<&str> = sections.iter().map(String::as_str).collect();
    let rules = Arc::new(Schedule::new(active(&sections)));
    for seed in 100..110 {
        // No two at the same time, so that the numbers do not decide.
        let mut arriving = stream(seed, 300);
        for one in &mut arriving {
            one.time = EventTime(one.time.0 + one.seq as i64);
        }
        let mut sorted = arriving.clone();
        sorted.sort_by_key(|one| one.time);
        let times: BTreeMap<u64, EventTime> =
            arriving.iter().map(|one| (one.seq, one.time)).collect();
        for (seq, one) in (0..).zip(&mut sorted) {
            one.seq = seq;
        }
        let sorted_times: BTreeMap<u64, EventTime> =
            sorted.iter().map(|one| (one.seq, one.time)).collect();
        let by_time = |said: Vec<(usize, u64, f64)>, times: &BTreeMap<u64, EventTime>| {
            let mut said: Vec<_> =
                said.into_iter().map(|(number, seq, value)| (number, times[&seq], value)).collect();
            said.sort_by(|one, other| one.partial_cmp(other).unwrap());
            said
        };
        let disorder = by_time(run(&rules, &arriving, 2, false), &times);
        let order = by_time(run(&rules, &sorted, 1, false), &sorted_times);
        assert_eq!(disorder, order, "seed {seed}");
    }
}
