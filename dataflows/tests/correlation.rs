//! Correlations on the graph: every type, with disorder, late events, workers and restarts.

use super::*;

/// Rules on lines that say `event=…`, and a correlation of each type over them.
const RULES: &str = r"
title: failed
name: failed
logsource: {product: linux, service: sshd}
detection: {what: {event: fail}, condition: what}
---
title: accepted
name: accepted
logsource: {product: linux, service: sshd}
detection: {what: {event: ok}, condition: what}
---
title: sent
name: sent
logsource: {product: linux, service: sshd}
detection: {what: {event: send}, condition: what}
---
title: count of failures
name: failures
level: medium
tags: [attack.credential_access, attack.t1110]
correlation:
  type: event_count
  rules: failed
  group-by: [user]
  timespan: 1m
  condition: {gte: 4}
  generate: true
---
title: count of successes
name: busy
correlation: {type: event_count, rules: accepted, group-by: [user], timespan: 1m,
   condition: {gte: 3}}
---
title: spraying
name: spraying
correlation:
  {type: value_count, rules: failed, group-by: [src_ip], timespan: 1m,
   condition: {gte: 3, field: user}}
---
title: both
name: both
correlation: {type: temporal, rules: [failed, sent], group-by: [user, src_ip], timespan: 1m}
---
title: in order
name: ordered
correlation:
  {type: temporal_ordered, rules: [failed, accepted, sent], group-by: [user], timespan: 2m}
---
title: sum
name: sum
correlation:
  {type: value_sum, rules: sent, group-by: [user], timespan: 1m,
   condition: {gt: 1000, field: bytes}}
---
title: mean
name: avg
correlation:
  {type: value_avg, rules: sent, group-by: [user], timespan: 1m,
   condition: {gte: 450, field: bytes}}
---
title: percentile
name: percentile
correlation:
  type: value_percentile
  rules: sent
  group-by: [user]
  timespan: 1m
  condition: {gte: 480, field: bytes, percentile: 90}
---
title: median
name: median
correlation:
  {type: value_median, rules: sent, group-by: [user], timespan: 1m,
   condition: {lt: 30, field: bytes}}
---
title: failures and then success
name: guessed
level: high
correlation:
  type: temporal_ordered
  rules: [failures, accepted]
  group-by: [who]
  timespan: 3m
  aliases: {who: {failures: user, accepted: user}}
";

/// The correlations that speak for themselves.
const NAMES: [&str; 9] =
    ["busy", "spraying", "both", "ordered", "sum", "avg", "percentile", "median", "guessed"];

fn rules() -> Arc<Schedule> {
    let parsed = operators::sigma::parse("rules.yml", RULES.as_bytes());
    let options = operators::sigma::Options { placeholders: BTreeMap::new() };
    let (rules, report) = operators::sigma::RuleSet::compile(vec![parsed], &options);
    assert_eq!((report.rules, report.correlations, report.refused), (3, 10, 0), "{report:?}");
    let window = Span::from_secs(120);
    Arc::new(Schedule::new(Active::new(rules, Vec::new(), window, &BTreeMap::new())))
}

/// The time of a line and what it says of it.
fn line(nanos: i64, number: u64) -> (i64, String) {
    let random = mix(number ^ 0xc0de);
    let event = ["fail", "fail", "ok", "send", "noise", "noise"][(random % 6) as usize];
    let (user, from, bytes) = ((random >> 8) % 6, (random >> 16) % 4, (random >> 24) % 500);
    let time = EventTime(1_700_000_000_000_000_000 + nanos).to_rfc3339();
    let line = format!(
        "<38>1 {time} host{from} sshd 7 - - event={event} user=ann{user} src_ip=10.0.0.{from} \
         bytes={bytes} number={number}"
    );
    (nanos, line)
}

/// Lines that happened about every two seconds, no two at the same time.
fn stream(count: u64) -> Vec<(i64, String)> {
    let time = |number: u64| number as i64 * 2_000_000_000 + (mix(number) % 900_000_000) as i64;
    (0..count).map(|number| line(time(number), number)).collect()
}

/// The same in another order: each is at most 25 s behind the newest before it.
fn disordered(lines: &[(i64, String)]) -> Vec<(i64, String)> {
    let mut lines: Vec<(i64, &(i64, String))> = lines
        .iter()
        .enumerate()
        .map(|(number, line)| (line.0 + (mix(number as u64 ^ 0xd15) % 25_000_000_000) as i64, line))
        .collect();
    lines.sort_by_key(|(arrives, _)| *arrives);
    lines.into_iter().map(|(_, line)| line.clone()).collect()
}

/// Epochs of lines, after which their source is at its end.
fn ended(lines: &[(i64, String)]) -> Epochs {
    let lines: Vec<String> = lines.iter().map(|(_, line)| line.clone()).collect();
    let mut epochs = epochs(&lines);
    let (last, _) = epochs.last_mut().expect("there are lines");
    last.ended.push(0);
    let end = EpochEnd { epoch: last.epoch + 1, ended: Vec::new(), ..last.clone() };
    epochs.push((end, Vec::new()));
    epochs
}

/// The alerts of correlations, by their rules.
fn of_correlations(said: &Said) -> Vec<&Alert> {
    said.1.values().filter(|alert| NAMES.contains(&alert.rule.as_str())).collect()
}

/// What alerts say whatever the numbers of their events are.
fn told(said: &Said) -> Vec<String> {
    let of = of_correlations(said);
    let more = |alert: &Alert| {
        let id = alert.id.replace('-', "");
        let id = u128::from_str_radix(&id, 16).expect("a UUID");
        let more = said.2.get(&id).map_or("", String::as_str);
        more.split(", events").next().unwrap_or_default().replace(&format!("{id}"), "")
    };
    let mut told: Vec<String> = of
        .into_iter()
        .map(|alert| {
            format!(
                "{} {} {:?} {} {:?} {} {} {}",
                alert.rule,
                alert.event_time,
                alert.matched,
                alert.dedup_key,
                alert.entity,
                alert.message,
                alert.host,
                more(alert)
            )
        })
        .collect();
    told.sort();
    told
}

#[test]
fn every_type_of_correlation_says_the_same_on_one_two_and_three_workers() {
    let (lines, rules) = (disordered(&stream(6_000)), rules());
    let epochs = Arc::new(ended(&lines));
    let one = run_from(1, ROOMY, &epochs, &rules, &mut State::new());
    assert_eq!(one.3, Counts::default());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for alert in of_correlations(&one) {
        *counts.entry(&alert.rule).or_default() += 1;
        assert_eq!(alert.kind, "sigma");
        let group = alert.matched.as_ref().expect("what matched")["group"].clone();
        let kinds: &[&str] = match alert.rule.as_str() {
            "spraying" => &["ip"],
            _ => &["user"],
        };
        assert!(kinds.contains(&alert.entity.kind.as_str()), "{alert:?}");
        let mut values = group.as_object().expect("a group").values();
        assert!(values.any(|value| *value == alert.entity.value.as_str()), "{alert:?}");
        assert!(alert.message.contains("event="), "{alert:?}");
    }
    for name in NAMES {
        assert!(counts.get(name).is_some_and(|count| *count >= 3), "{name}: {counts:?}");
    }
    assert!(one.1.values().all(|alert| alert.rule != "failures"), "another speaks for it");
    let guessed = one.1.values().find(|alert| alert.rule == "guessed").expect("one");
    assert!(guessed.events.len() >= 5, "four failures and a success: {guessed:?}");
    assert!(guessed.message.contains("event=ok"), "{guessed:?}");
    let failed = one.1.values().filter(|alert| alert.rule == "failed").count();
    let sent = one.1.values().filter(|alert| alert.rule == "sent").count();
    assert!(failed > 0 && sent == 0, "one correlation says `generate`: {failed}, {sent}");
    for workers in [2, 3] {
        let many = run_from(workers, ROOMY, &epochs, &rules, &mut State::new());
        assert!(one.0 == many.0, "events differ with {workers} workers");
        assert_eq!(one.1, many.1, "with {workers} workers");
        assert_eq!(one.2, many.2, "with {workers} workers");
    }
}

#[test]
fn lines_in_disorder_and_late_ones_change_nothing_of_what_correlations_say() {
    let (lines, rules) = (stream(4_000), rules());
    let run = |lines: &[(i64, String)]| {
        run_from(2, ROOMY, &Arc::new(ended(lines)), &rules, &mut State::new())
    };
    let in_order = run(&lines);
    assert!(of_correlations(&in_order).len() > 100);
    let disorder = disordered(&lines);
    assert_ne!(disorder, lines);
    assert_eq!(told(&run(&disorder)), told(&in_order));

    // Late by an hour: matched, told by a rule that speaks for itself, and not counted.
    let mut late = disorder.clone();
    let mut matching = 0;
    for (number, at) in (2_000..3_900).step_by(19).enumerate() {
        let (time, _) = late[at];
        let (_, text) = line(time - 3_600_000_000_000, 10_000 + number as u64);
        matching += u64::from(!text.contains("noise"));
        late.insert(at, (time, text));
    }
    let said = run(&late);
    assert_eq!(said.3, Counts { late: matching, ..Counts::default() });
    assert_eq!(told(&said), told(&in_order));
}

#[test]
fn a_restart_with_other_workers_says_what_one_run_says() {
    let (lines, rules) = (disordered(&stream(3_000)), rules());
    let epochs = ended(&lines);
    let whole = run_from(1, ROOMY, &Arc::new(epochs.clone()), &rules, &mut State::new());
    let (mut state, mut parts) = (State::new(), Said::default());
    for (part, workers) in epochs.chunks(epochs.len().div_ceil(4)).zip([2, 3, 1, 2]) {
        let part = Arc::new(part.to_vec());
        let (events, alerts, more, _) = run_from(workers, ROOMY, &part, &rules, &mut state);
        parts.0.extend(events);
        parts.1.extend(alerts);
        parts.2.extend(more);
    }
    assert!(of_correlations(&whole).len() > 50);
    assert!(whole.0 == parts.0, "events differ");
    assert_eq!(whole.1, parts.1);
    assert_eq!(whole.2, parts.2);
}
