//! What a match costs its owner.

use super::*;

#[test]
#[ignore = "a measurement"]
fn bench_hits() {
    const HITS: u64 = 1_000_000;
    let cases = [
        ("event_count, gte 10, 1 000 groups", "event_count", "{gte: 10}", 1_000, 50),
        ("event_count, never fires, 1 000 groups", "event_count", "{gt: 5000}", 1_000, 50),
        ("value_count, 2 000 distinct, 1 group", "value_count", "{gt: 5000, field: n}", 1, 2_000),
        ("value_count, 50 distinct, 1 000 groups", "value_count", "{gt: 60, field: n}", 1_000, 50),
        ("temporal_ordered, 1 000 groups", "temporal_ordered", "", 1_000, 50),
        ("value_sum, 1 000 groups", "value_sum", "{gt: 1e9, field: n}", 1_000, 50),
        ("value_percentile, 1 group", "value_percentile", "{gt: 1e9, field: n}", 1, 2_000),
    ];
    for (what, kind, condition, groups, values) in cases {
        let rules = Arc::new(Schedule::new(active(&[&section(kind, condition)])));
        let plan = Plan::new(&rules.at(0));
        let mut all = Workers::new(&rules, 1);
        // Two hundred a second, so that a minute holds 12 000.
        let hits: Vec<Hit> = (0..HITS)
            .map(|seq| {
                let random = mix(seq);
                let low = mix(random % groups);
                let one = Match {
                    group: 0,
                    time: EventTime(seq as i64 * 5_000_000),
                    seq,
                    place: (random >> 20) as u16 % 3,
                    value: ((random >> 32) % values) as f64,
                };
                let group = u128::from(low) << 64 | u128::from(low);
                Hit { group, more: None, ..one.hit(&plan, 0) }
            })
            .collect();
        let epochs: Vec<(EventTime, Vec<Hit>)> = hits
            .chunks(4_096)
            .map(|epoch| (epoch[0].time - Span::from_secs(30), epoch.to_vec()))
            .collect();
        drop(hits);
        #[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
        let started = std::time::Instant::now();
        let mut fired = 0;
        for (watermark, hits) in epochs {
            fired += all.tell(watermark, hits).len();
        }
        let each = started.elapsed().as_nanos() as f64 / HITS as f64;
        println!("{what}: {each:.0} ns per match, {fired} firings, {:?}", all.counts);
    }
}
