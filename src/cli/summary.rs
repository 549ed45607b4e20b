//! What a run comes to: for people at the end of it, and as one JSON object.
//!
//! The keys of the JSON are a contract with scripts: they may become more, not others.

use std::fmt::{self, Display};
use std::time::Duration;

use operators::types::EventTime;
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::escape::escape;
use super::numbers::{grouped, humanised, moment, sparkline};
use super::style::Palette;
use operators::types::Level;

/// How many bars the line of alerts over time has at most.
pub const BUCKETS_MAX: usize = 60;
/// How many entities and rules are shown.
const TOP_SHOWN: usize = 5;
/// How wide a name may be before it is cut.
const NAME_WIDTH: usize = 44;

/// What a run comes to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Events that went through the engine.
    pub events: u64,
    /// Alerts, each incident counted once.
    pub alerts: u64,
    /// Events whose score was above its threshold, before alerts are grouped.
    pub anomalies: u64,
    /// Templates known at the end.
    pub templates: u64,
    /// Entities that were seen, each counted once.
    pub entities: u64,
    /// Those of them that no earlier run with the same state had seen.
    pub new_entities: u64,
    /// Events that came too late for their windows.
    pub late: u64,
    /// Matches of rules that correlations did not count: late ones, and where a limit bit.
    pub uncounted: u64,
    /// Records that were lost before the journal, as far as is known.
    pub dropped: u64,
    /// Records that could not be made events.
    pub dead_letters: u64,
    /// How long it took, by the clock on the wall.
    pub seconds: f64,
    /// Events in one of these seconds.
    pub events_per_second: f64,
    /// With how many workers.
    pub workers: usize,
    /// The earliest event time.
    #[serde(serialize_with = "rfc3339")]
    pub first_event: Option<EventTime>,
    /// The latest event time.
    #[serde(serialize_with = "rfc3339")]
    pub last_event: Option<EventTime>,
    /// Alerts by level.
    pub alerts_by_level: ByLevel,
    /// The entities with most alerts, most first.
    pub top_entities: Vec<TopEntity>,
    /// The rules and detectors with most alerts, most first.
    pub top_rules: Vec<TopRule>,
    /// Alerts by ATT&CK tactic, in the order of an attack.
    pub tactics: Vec<TacticCount>,
    /// Alerts over event time, from the first event to the last in equal parts.
    pub alerts_over_time: Vec<u64>,
}

/// Alerts by level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ByLevel {
    /// Worth knowing.
    pub informational: u64,
    /// Worth a look some day.
    pub low: u64,
    /// Worth a look today.
    pub medium: u64,
    /// Worth a look now.
    pub high: u64,
    /// Worth waking somebody.
    pub critical: u64,
}

impl ByLevel {
    /// The number for a level.
    #[must_use]
    pub fn get(self, level: Level) -> u64 {
        match level {
            Level::Informational => self.informational,
            Level::Low => self.low,
            Level::Medium => self.medium,
            Level::High => self.high,
            Level::Critical => self.critical,
        }
    }

    /// Counts an alert.
    pub fn add(&mut self, level: Level) {
        *match level {
            Level::Informational => &mut self.informational,
            Level::Low => &mut self.low,
            Level::Medium => &mut self.medium,
            Level::High => &mut self.high,
            Level::Critical => &mut self.critical,
        } += 1;
    }

    /// How many are of a level or above.
    #[must_use]
    pub fn at_least(self, level: Level) -> u64 {
        Level::ALL.into_iter().filter(|other| *other >= level).map(|other| self.get(other)).sum()
    }
}

/// An entity with alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TopEntity {
    /// Its kind: `ip`, `user` …
    pub kind: String,
    /// Its name.
    pub value: String,
    /// How many alerts are about it.
    pub alerts: u64,
}

/// A rule or detector with alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TopRule {
    /// Its title.
    pub rule: String,
    /// The level of its alerts.
    pub level: String,
    /// How many there are.
    pub alerts: u64,
}

/// A tactic with alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TacticCount {
    /// As ATT&CK spells it: `credential-access`.
    pub tactic: String,
    /// How many alerts have it.
    pub alerts: u64,
}

fn rfc3339<S: serde::Serializer>(time: &Option<EventTime>, out: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => out.serialize_some(&time.to_rfc3339()),
        None => out.serialize_none(),
    }
}

/// Counts moments in equal parts of the time from `first` to `last`; outside of it there are none.
#[must_use]
pub fn buckets(
    times: impl IntoIterator<Item = EventTime>,
    first: EventTime,
    last: EventTime,
) -> Vec<u64> {
    let mut counts = vec![0; BUCKETS_MAX];
    let span = i128::from(last.0) - i128::from(first.0) + 1;
    for time in times.into_iter().filter(|time| (first..=last).contains(time)) {
        let since = i128::from(time.0) - i128::from(first.0);
        counts[(since * BUCKETS_MAX as i128 / span) as usize] += 1;
    }
    counts
}

impl Summary {
    /// As one JSON object.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a summary holds nothing that JSON cannot")
    }

    /// For people, in the colours of where it is printed; ends with a line end.
    #[must_use]
    pub fn shown(&self, palette: Palette) -> impl Display + '_ {
        Shown { summary: self, palette }
    }
}

struct Shown<'s> {
    summary: &'s Summary,
    palette: Palette,
}

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shown { summary, palette } = self;
        writeln!(f, "{}", palette.strong("Session summary"))?;
        self.row(f, "events", &self.events())?;
        if let (Some(first), Some(last)) = (summary.first_event, summary.last_event) {
            let span = Duration::from_nanos(last.since(first).0.max(0).unsigned_abs());
            let text = match (moment(first), moment(last)) {
                (first, last) if first == last => first,
                (first, last) => format!("{first} to {last} ({})", humanised(span)),
            };
            self.row(f, "event time", &text)?;
        }
        self.row(f, "templates", &grouped(summary.templates))?;
        self.row(f, "entities", &self.entities())?;
        self.row(f, "anomalies", &grouped(summary.anomalies))?;
        self.row(f, "alerts", &self.levels())?;
        if summary.alerts > 0 && !summary.alerts_over_time.is_empty() {
            let bars = format!("▕{}▏", sparkline(&summary.alerts_over_time));
            self.row(f, "over time", &palette.level("medium", bars).to_string())?;
        }
        if !summary.tactics.is_empty() {
            let tactics: Vec<String> = summary
                .tactics
                .iter()
                .map(|tactic| format!("{} {}", escape(&tactic.tactic), grouped(tactic.alerts)))
                .collect();
            self.row(f, "tactics", &tactics.join(", "))?;
        }
        self.top(f)?;
        self.row(f, "lost", &self.lost())
    }
}

impl Shown<'_> {
    fn row(&self, f: &mut fmt::Formatter<'_>, label: &str, text: &str) -> fmt::Result {
        writeln!(f, "  {} {text}", self.palette.faint(format_args!("{label:<12}")))
    }

    fn events(&self) -> String {
        let Summary { events, seconds, events_per_second, workers, .. } = *self.summary;
        let took = humanised(Duration::try_from_secs_f64(seconds).unwrap_or_default());
        let by = if workers == 1 { "worker" } else { "workers" };
        let rate = grouped(events_per_second.round() as u64);
        format!("{} in {took}, {rate}/s with {workers} {by}", grouped(events))
    }

    fn entities(&self) -> String {
        let Summary { entities, new_entities, .. } = *self.summary;
        let seen = grouped(entities);
        match new_entities {
            new if new == entities => seen,
            new => format!("{seen}, of them {} new", grouped(new)),
        }
    }

    fn levels(&self) -> String {
        let by_level = self.summary.alerts_by_level;
        let levels: Vec<String> = Level::ALL
            .into_iter()
            .rev()
            .filter(|level| by_level.get(*level) > 0)
            .map(|level| {
                let text = format!("{} {}", grouped(by_level.get(level)), level.name());
                self.palette.level(level.name(), text).to_string()
            })
            .collect();
        match levels.is_empty() {
            true => grouped(self.summary.alerts),
            false => format!("{}: {}", grouped(self.summary.alerts), levels.join(", ")),
        }
    }

    fn top(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entities = self.summary.top_entities.iter().map(|entity| {
            (
                format!("{} ({})", cut(&escape(&entity.value)), escape(&entity.kind)),
                entity.alerts,
                "",
            )
        });
        let rules = self
            .summary
            .top_rules
            .iter()
            .map(|rule| (cut(&escape(&rule.rule)), rule.alerts, rule.level.as_str()));
        let sections: [(&str, Vec<_>); 2] =
            [("top entities", entities.collect()), ("top rules", rules.collect())];
        for (label, rows) in sections {
            let rows = &rows[..rows.len().min(TOP_SHOWN)];
            let widest = rows.iter().map(|(name, ..)| name.width()).max().unwrap_or(0);
            let longest = rows.iter().map(|(_, count, _)| grouped(*count).len()).max().unwrap_or(0);
            for (index, (name, count, level)) in rows.iter().enumerate() {
                let label = if index == 0 { label } else { "" };
                let room = " ".repeat(widest - name.width());
                let count = grouped(*count);
                let level = self.palette.level(level, escape(level));
                let line = format!("{name}{room}  {count:>longest$}  {level}");
                self.row(f, label, line.trim_end())?;
            }
        }
        Ok(())
    }

    fn lost(&self) -> String {
        let Summary { late, uncounted, dropped, dead_letters, .. } = *self.summary;
        if late + uncounted + dropped + dead_letters == 0 {
            return self.palette.good("nothing: 0 dropped, 0 dead letters, 0 late").to_string();
        }
        let dropped = match dropped {
            0 => "0 dropped".to_owned(),
            some => self.palette.bad(format!("{} dropped", grouped(some))).to_string(),
        };
        let uncounted = match uncounted {
            0 => String::new(),
            some => format!(", {} matches not counted by correlations", grouped(some)),
        };
        let (dead_letters, late) = (grouped(dead_letters), grouped(late));
        format!("{dropped}, {dead_letters} dead letters, {late} late{uncounted}")
    }
}

/// A name, cut where it is too wide.
fn cut(name: &str) -> String {
    if name.width() <= NAME_WIDTH {
        return name.to_owned();
    }
    let mut out = String::new();
    for c in name.chars() {
        if out.width() + 2 > NAME_WIDTH {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Summary {
        let at =
            |hour, minute| EventTime::from_civil((2026, 11, 22), (hour, minute, 0), 0).unwrap();
        let entity = |kind: &str, value: &str, alerts| TopEntity {
            kind: kind.into(),
            value: value.into(),
            alerts,
        };
        Summary {
            events: 1_204_331,
            alerts: 7,
            anomalies: 19,
            templates: 312,
            entities: 48_201,
            new_entities: 48_201,
            seconds: 3.98,
            events_per_second: 302_595.7,
            workers: 2,
            first_event: Some(at(8, 0)),
            last_event: Some(at(13, 38)),
            alerts_by_level: ByLevel { high: 2, medium: 5, ..ByLevel::default() },
            top_entities: vec![
                entity("ip", "203.0.113.7", 5),
                entity("user", &"x".repeat(80), 1_000),
                entity("file", "/tmp/\u{1b}[31mé", 1),
            ],
            top_rules: vec![TopRule {
                rule: "SSH brute force".into(),
                level: "high".into(),
                alerts: 2,
            }],
            tactics: vec![TacticCount { tactic: "credential-access".into(), alerts: 4 }],
            alerts_over_time: vec![0, 1, 4, 2],
            ..Summary::default()
        }
    }

    #[test]
    fn the_summary_is_read_at_a_glance() {
        let expected = "\
Session summary
  events       1 204 331 in 3.9 s, 302 596/s with 2 workers
  event time   2026-11-22 08:00:00 to 2026-11-22 13:38:00 (5 h 38 min)
  templates    312
  entities     48 201
  anomalies    19
  alerts       7: 2 high, 5 medium
  over time    ▕ ▂█▄▏
  tactics      credential-access 4
  top entities 203.0.113.7 (ip)                                         5
               xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… (user)  1 000
               /tmp/\\x1b[31mé (file)                                    1
  top rules    SSH brute force  2  high
  lost         nothing: 0 dropped, 0 dead letters, 0 late
";
        assert_eq!(sample().shown(Palette::PLAIN).to_string(), expected);
    }

    #[test]
    fn what_is_lost_is_told() {
        let summary = Summary { dropped: 1_200, late: 3, dead_letters: 1, ..Summary::default() };
        let text = summary.shown(Palette::PLAIN).to_string();
        assert!(text.contains("lost         1 200 dropped, 1 dead letters, 3 late\n"), "{text}");
    }

    #[test]
    fn what_was_known_before_is_told_apart_and_one_moment_is_no_span() {
        let at = EventTime::from_secs(1_700_000_000);
        let (first_event, last_event) = (Some(at), Some(at));
        let summary = Summary { entities: 6, first_event, last_event, ..Summary::default() };
        let text = summary.shown(Palette::PLAIN).to_string();
        assert!(text.contains("\n  entities     6, of them 0 new\n"), "{text}");
        assert!(text.contains("\n  event time   2023-11-14 22:13:20\n"), "{text}");
    }

    #[test]
    fn the_json_has_the_keys_that_scripts_rely_on() {
        let object: serde_json::Value = serde_json::from_str(&sample().to_json()).unwrap();
        let keys = [
            "events",
            "alerts",
            "anomalies",
            "templates",
            "entities",
            "new_entities",
            "late",
            "uncounted",
            "dropped",
            "dead_letters",
            "seconds",
            "events_per_second",
            "workers",
            "first_event",
            "last_event",
            "alerts_by_level",
            "top_entities",
            "top_rules",
            "tactics",
            "alerts_over_time",
        ];
        for key in keys {
            assert!(object.get(key).is_some(), "{key}");
        }
        assert_eq!(object["first_event"], "2026-11-22T08:00:00Z");
        assert_eq!(object["alerts_by_level"]["high"], 2);
    }

    #[test]
    fn alerts_are_counted_by_level_and_above() {
        let mut by_level = ByLevel::default();
        for level in [Level::Low, Level::High, Level::High, Level::Critical] {
            by_level.add(level);
        }
        assert_eq!(by_level.at_least(Level::High), 3);
        assert_eq!(by_level.at_least(Level::Informational), 4);
    }

    #[test]
    fn every_moment_between_the_first_and_the_last_is_in_one_bucket() {
        let times = [0, 1, 59, 60, 599, 600, 601].map(EventTime::from_secs);
        let counts = buckets(times, EventTime::from_secs(0), EventTime::from_secs(600));
        assert_eq!(counts.iter().sum::<u64>(), 6, "601 is after the last");
        assert_eq!((counts[0], counts[59]), (2, 2));
        assert_eq!(buckets([EventTime::MIN], EventTime::MIN, EventTime::MAX)[0], 1);
        assert_eq!(buckets([EventTime(5)], EventTime(5), EventTime(5))[0], 1);
    }
}
