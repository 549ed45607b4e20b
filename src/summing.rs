//! Sums a session up.

use std::collections::BTreeMap;

use operators::types::{Alert, EventTime};

use crate::cli::summary::{ByLevel, Summary, TacticCount, TopEntity, TopRule, buckets};
use crate::engine::Totals;
use crate::receivers::Snapshot;

/// How many entities and rules a summary names.
const TOP: usize = 5;

/// What there is to sum up.
pub struct Sum<'s> {
    /// Counts of the engine.
    pub totals: &'s Totals,
    /// The alerts.
    pub alerts: &'s [&'s Alert],
    /// How many templates there are.
    pub templates: u64,
    /// Counts of the receivers.
    pub received: Snapshot,
    /// How long it took.
    pub seconds: f64,
    /// With how many workers.
    pub workers: usize,
}

/// The summary of a session.
#[must_use]
pub fn summary(sum: &Sum<'_>) -> Summary {
    let mut by_level = ByLevel::default();
    let mut entities = BTreeMap::<(&str, &str), u64>::new();
    let mut rules = BTreeMap::<(&str, &str), u64>::new();
    let mut tactics = BTreeMap::<&str, u64>::new();
    let mut anomalies = 0;
    for alert in sum.alerts {
        by_level.add(alert.severity);
        let entity = (alert.entity.kind.as_str(), alert.entity.value.as_str());
        *entities.entry(entity).or_default() += 1;
        let name = if alert.kind == "ml" { &alert.rule } else { &alert.title };
        *rules.entry((name, alert.severity.name())).or_default() += 1;
        for tactic in &alert.tactics {
            *tactics.entry(tactic).or_default() += 1;
        }
        if alert.kind == "ml" {
            anomalies += alert.count;
        }
    }
    let mut top_entities: Vec<TopEntity> = entities
        .into_iter()
        .map(|((kind, value), alerts)| TopEntity { kind: kind.into(), value: value.into(), alerts })
        .collect();
    top_entities.sort_by_key(|top| std::cmp::Reverse(top.alerts));
    top_entities.truncate(TOP);
    let mut top_rules: Vec<TopRule> = rules
        .into_iter()
        .map(|((rule, level), alerts)| TopRule { rule: rule.into(), level: level.into(), alerts })
        .collect();
    top_rules.sort_by_key(|top| std::cmp::Reverse(top.alerts));
    top_rules.truncate(TOP);
    let mut tactics: Vec<TacticCount> = tactics
        .into_iter()
        .map(|(tactic, alerts)| TacticCount { tactic: tactic.into(), alerts })
        .collect();
    tactics.sort_by_key(|count| std::cmp::Reverse(count.alerts));
    let times = sum.alerts.iter().filter_map(|alert| time(&alert.event_time));
    let alerts_over_time =
        sum.totals.times.map_or(Vec::new(), |(first, last)| buckets(times, first, last));
    let received = &sum.received;
    let events = sum.totals.events;
    Summary {
        events,
        alerts: sum.totals.alert_count,
        anomalies,
        templates: sum.templates,
        entities: sum.totals.entities.distinct,
        new_entities: sum.totals.entities.new,
        late: sum.totals.late,
        uncounted: sum.totals.uncounted,
        dropped: received.dropped_kernel + received.dropped_full,
        dead_letters: received.dead_letters,
        seconds: sum.seconds,
        events_per_second: events as f64 / sum.seconds.max(1e-9),
        workers: sum.workers,
        first_event: sum.totals.times.map(|(first, _)| first),
        last_event: sum.totals.times.map(|(_, last)| last),
        alerts_by_level: by_level,
        top_entities,
        top_rules,
        tactics,
        alerts_over_time,
    }
}

/// Reads back what [`EventTime`] printed.
fn time(text: &str) -> Option<EventTime> {
    let utc = operators::parse::Zone::fixed(0);
    let defaults = operators::parse::time::Defaults { received_at: EventTime(0), zone: &utc };
    operators::parse::time::any(text, defaults)
}
