//! The zone of times that name none: how far it is from UTC, at each time.
//!
//! Zones with summer time change their offset. A [`Zone`] is told all its changes and looks up the
//! one that holds, by the time that a clock on the wall there shows:
//!
//! - A time that clocks show **twice** (an hour in autumn) is the one of the two that is nearer to
//!   the receipt of its record; of a log that is read long afterwards, that is the later one.
//! - A time that clocks **never** show (an hour in spring) is read as before the change: 02:30 is
//!   what a clock shows that was not put forward yet, at what is then 03:30.

use std::sync::Arc;

use crate::types::{EventTime, Span};

/// A zone by its offsets. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// The offset before the first change.
    first: Span,
    /// In their order.
    changes: Arc<[Change]>,
}

/// A change of the offset, as clocks on the wall show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    /// From here on clocks may show the new offset.
    from: EventTime,
    /// From here on they do.
    sure: EventTime,
    before: Span,
    after: Span,
}

impl Zone {
    /// A zone that is always so many seconds east of UTC; ±18 hours at most.
    #[must_use]
    pub fn fixed(seconds: i32) -> Self {
        Zone { first: Span::from_secs(i64::from(seconds)), changes: Arc::default() }
    }

    /// A zone that is `first` seconds east of UTC until the first change, each of which says from
    /// when on it is how far. In their order; changes must be days apart.
    #[must_use]
    pub fn changing(first: i32, changes: impl IntoIterator<Item = (EventTime, i32)>) -> Self {
        let first = Span::from_secs(i64::from(first));
        let mut before = first;
        let change = |(at, after): (EventTime, i32)| {
            let after = Span::from_secs(i64::from(after));
            let (one, other) = (at + before, at + after);
            let change = Change { from: one.min(other), sure: one.max(other), before, after };
            before = after;
            change
        };
        let changes: Arc<[Change]> = changes.into_iter().map(change).collect();
        debug_assert!(changes.windows(2).all(|pair| pair[0].sure < pair[1].from));
        Zone { first, changes }
    }

    /// The moment at which clocks show `local` (as if it were UTC); of two the nearer to
    /// `received_at`. Takes a comparison for each doubling of the changes: eight for 130 years.
    #[must_use]
    pub fn moment(&self, local: EventTime, received_at: EventTime) -> EventTime {
        let next = self.changes.partition_point(|change| change.from <= local);
        let Some(change) = next.checked_sub(1).map(|last| self.changes[last]) else {
            return local - self.first;
        };
        if local >= change.sure {
            return local - change.after;
        }
        let (before, after) = (local - change.before, local - change.after);
        let distance = |time: EventTime| time.0.abs_diff(received_at.0);
        // Where clocks are put forward no clock shows this time, and the one is as before.
        match change.after < change.before && distance(after) < distance(before) {
            true => after,
            false => before,
        }
    }

    /// What clocks show at about this moment, as if it were UTC. At a change, for as long as it
    /// skips or repeats, they may show another.
    #[must_use]
    pub fn about(&self, moment: EventTime) -> EventTime {
        let next = self.changes.partition_point(|change| change.sure - change.after <= moment);
        let last = next.checked_sub(1).map(|last| self.changes[last].after);
        moment + last.unwrap_or(self.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> EventTime {
        let utc = Zone::fixed(0);
        let defaults = super::super::time::Defaults { received_at: EventTime(0), zone: &utc };
        super::super::time::any(text, defaults).unwrap()
    }

    /// Central Europe in 2026.
    fn berlin() -> Zone {
        let changes = [("2026-03-29T01:00:00Z", 7_200), ("2026-10-25T01:00:00Z", 3_600)];
        Zone::changing(3_600, changes.map(|(time, offset)| (at(time), offset)))
    }

    #[test]
    fn the_offset_is_the_one_that_holds_then() {
        // Two clocks in the south, where it is summer at New Year.
        let sydney = Zone::changing(
            39_600,
            [("2026-04-04T16:00:00Z", 36_000), ("2026-10-03T16:00:00Z", 39_600)]
                .map(|(time, offset)| (at(time), offset)),
        );
        let cases = [
            (berlin(), "2026-01-11T12:00:00Z", "2026-01-11T11:00:00Z"),
            (berlin(), "2026-07-11T12:00:00Z", "2026-07-11T10:00:00Z"),
            (berlin(), "2026-12-11T12:00:00Z", "2026-12-11T11:00:00Z"),
            (berlin(), "2026-03-29T01:59:59Z", "2026-03-29T00:59:59Z"),
            (berlin(), "2026-03-29T03:00:00Z", "2026-03-29T01:00:00Z"),
            (berlin(), "2026-10-25T01:59:59Z", "2026-10-24T23:59:59Z"),
            (berlin(), "2026-10-25T03:00:00Z", "2026-10-25T02:00:00Z"),
            (sydney.clone(), "2026-01-11T12:00:00Z", "2026-01-11T01:00:00Z"),
            (sydney.clone(), "2026-07-11T12:00:00Z", "2026-07-11T02:00:00Z"),
            (sydney, "2026-12-11T12:00:00Z", "2026-12-11T01:00:00Z"),
        ];
        for (zone, local, utc) in cases {
            assert_eq!(zone.moment(at(local), at(utc)), at(utc), "{local}");
            assert_eq!(zone.about(at(utc)), at(local), "{utc}");
        }
    }

    #[test]
    fn a_time_that_clocks_show_twice_is_the_one_nearer_to_its_receipt() {
        let local = at("2026-10-25T02:30:00Z");
        for (received, utc) in [
            ("2026-10-25T00:30:01Z", "2026-10-25T00:30:00Z"),
            ("2026-10-25T01:30:01Z", "2026-10-25T01:30:00Z"),
            ("2026-11-22T00:00:00Z", "2026-10-25T01:30:00Z"),
        ] {
            assert_eq!(berlin().moment(local, at(received)), at(utc), "received {received}");
        }
    }

    #[test]
    fn a_time_that_clocks_never_show_is_read_as_before_the_change() {
        let local = at("2026-03-29T02:30:00Z");
        for received in ["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z", "2026-11-22T00:00:00Z"] {
            assert_eq!(berlin().moment(local, at(received)), at("2026-03-29T01:30:00Z"));
        }
    }

    #[test]
    fn the_edges_of_time_are_no_trouble() {
        for zone in [berlin(), Zone::fixed(-64_800), Zone::fixed(64_800)] {
            for time in [EventTime::MIN, EventTime::MAX] {
                let _ = (zone.moment(time, EventTime::MIN), zone.about(time));
                let _ = zone.moment(time, EventTime::MAX);
            }
        }
    }
}
