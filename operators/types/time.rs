//! Event time: when something happened, by the clock of whoever saw it.
//!
//! Nanoseconds in an `i64` reach from the year 1677 to 2262; arithmetic saturates at both ends,
//! so that no record can overflow it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A moment, in nanoseconds since 1970-01-01T00:00:00 UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct EventTime(pub i64);

/// A length of time, in nanoseconds. Never negative where it is an option.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Span(pub i64);

impl Span {
    /// One second.
    pub const SECOND: Span = Span(1_000_000_000);

    /// A span of whole seconds, at most 292 years.
    #[must_use]
    pub const fn from_secs(seconds: i64) -> Self {
        Span(seconds.saturating_mul(1_000_000_000))
    }

    /// A span of whole milliseconds.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Span(millis.saturating_mul(1_000_000))
    }

    /// In seconds, with fractions.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl EventTime {
    /// Before every moment that a record can have.
    pub const MIN: EventTime = EventTime(i64::MIN);
    /// After every moment that a record can have.
    pub const MAX: EventTime = EventTime(i64::MAX);

    /// A moment given in whole seconds since 1970.
    #[must_use]
    pub const fn from_secs(seconds: i64) -> Self {
        EventTime(seconds.saturating_mul(1_000_000_000))
    }

    /// The start of the window of `width` that this moment is in; windows are aligned to 1970.
    #[must_use]
    pub const fn align(self, width: Span) -> Self {
        EventTime(self.0.saturating_sub(self.0.rem_euclid(width.0)))
    }

    /// How much later this moment is than `earlier`; negative if it is not.
    #[must_use]
    pub const fn since(self, earlier: EventTime) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// As RFC 3339 in UTC with nanoseconds where there are any: `2026-11-22T13:38:00.25Z`.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        self.to_string()
    }

    /// The civil date and time in UTC: (year, month 1–12, day 1–31, hour, minute, second).
    #[must_use]
    pub const fn civil(self) -> (i32, u32, u32, u32, u32, u32) {
        let seconds = self.0.div_euclid(1_000_000_000);
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400) as u32);
        let (year, month, day) = civil_from_days(days);
        (year, month, day, second / 3_600, second / 60 % 60, second % 60)
    }

    /// The moment of a civil date and time in UTC; `None` if there is no such date.
    #[must_use]
    pub fn from_civil(
        (year, month, day): (i32, u32, u32),
        (hour, minute, second): (u32, u32, u32),
        nanos: u32,
    ) -> Option<Self> {
        let ok = (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second <= 60
            && nanos < 1_000_000_000;
        let seconds = days_from_civil(year, month, day) * 86_400
            + i64::from(hour * 3_600 + minute * 60 + second.min(59));
        let nanos = i64::from(nanos) + if second == 60 { 1_000_000_000 } else { 0 };
        ok.then(|| EventTime(seconds.saturating_mul(1_000_000_000).saturating_add(nanos)))
    }
}

impl std::ops::Add<Span> for EventTime {
    type Output = EventTime;
    fn add(self, span: Span) -> EventTime {
        EventTime(self.0.saturating_add(span.0))
    }
}

impl std::ops::Sub<Span> for EventTime {
    type Output = EventTime;
    fn sub(self, span: Span) -> EventTime {
        EventTime(self.0.saturating_sub(span.0))
    }
}

impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day, hour, minute, second) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        match self.0.rem_euclid(1_000_000_000) {
            0 => {}
            nanos => {
                let digits = format!("{nanos:09}");
                write!(f, ".{}", digits.trim_end_matches('0'))?;
            }
        }
        f.write_str("Z")
    }
}

/// The days of a month; 0 for a month that is none.
#[must_use]
pub const fn days_in_month(year: i32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        1..=12 => 31,
        _ => 0,
    }
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar (Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms").
#[must_use]
pub const fn days_from_civil(year: i32, month: u32, day: u32) -> i64 {
    let year = year as i64 - if month <= 2 { 1 } else { 0 };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year =
        (153 * (month as i64 + if month > 2 { -3 } else { 9 }) + 2) / 5 + day as i64 - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

const fn civil_from_days(days: i64) -> (i32, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted + 2) / 5 + 1) as u32;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 } as u32;
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year as i32, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_goes_to_days_and_back() {
        for days in (-800_000..800_000).step_by(17) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
            assert!((1..=days_in_month(year, month)).contains(&day));
        }
    }

    #[test]
    fn a_moment_is_printed_as_rfc3339() {
        let moment = EventTime::from_civil((2026, 11, 22), (13, 38, 0), 250_000_000).unwrap();
        assert_eq!(moment.to_rfc3339(), "2026-11-22T13:38:00.25Z");
        assert_eq!(EventTime(0).to_rfc3339(), "1970-01-01T00:00:00Z");
        assert_eq!(EventTime(-1).to_rfc3339(), "1969-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn a_date_that_does_not_exist_is_none() {
        assert_eq!(EventTime::from_civil((2025, 2, 29), (0, 0, 0), 0), None);
        assert!(EventTime::from_civil((2024, 2, 29), (23, 59, 60), 0).is_some());
    }

    #[test]
    fn a_moment_on_a_boundary_starts_its_window() {
        let minute = Span::from_secs(60);
        assert_eq!(EventTime::from_secs(60).align(minute), EventTime::from_secs(60));
        assert_eq!(EventTime::from_secs(-1).align(minute), EventTime::from_secs(-60));
        assert_eq!(EventTime::MIN.align(minute), EventTime::MIN);
    }
}
