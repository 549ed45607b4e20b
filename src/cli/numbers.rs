//! Numbers, durations and times, as people read and write them.

use std::time::Duration;

use operators::types::{EventTime, Span};

/// A whole number in groups of three: `1 204 331`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// So many of something: `1 rule`, `1 204 rules`.
#[must_use]
pub fn counted(count: u64, word: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {word}{plural}", grouped(count))
}

/// A duration in its two largest units, or in one with a decimal: `2 d 3 h`, `1 h 5 min`, `4.2 s`.
#[must_use]
pub fn humanised(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 if duration.as_millis() < 1 => format!("{} µs", duration.as_micros()),
        0 => format!("{} ms", duration.as_millis()),
        // 59.96 must not become `60.0 s`.
        1..=59 => format!("{}.{} s", seconds, duration.subsec_millis() / 100),
        60..=3_599 => pair(seconds / 60, "min", seconds % 60, "s"),
        3_600..=86_399 => pair(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => pair(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

fn pair(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    match small {
        0 => format!("{} {large_unit}", grouped(large)),
        _ => format!("{} {large_unit} {small} {small_unit}", grouped(large)),
    }
}

/// Bytes in the unit that leaves one to four digits: `812 B`, `9.5 MiB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1_024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1_024.0;
    let mut unit = 0;
    while value >= 1_023.95 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A moment to the second, for people: `2026-11-22 13:38:00`. In UTC.
#[must_use]
pub fn moment(time: EventTime) -> String {
    let (year, month, day, hour, minute, second) = time.civil();
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// Text that is neither a time ago nor a moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a time; write `30m`, `1h`, `7d`, `2026-11-22 13:38` (UTC), or `2026-11-22T13:38:00+02:00`"
)]
pub struct TimeError(String);

/// A time as `--since` and `--until` take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeArgument {
    /// So long before now.
    Ago(Span),
    /// A moment.
    At(EventTime),
}

impl TimeArgument {
    /// The moment that is meant, now being `now`.
    #[must_use]
    pub fn moment(self, now: EventTime) -> EventTime {
        match self {
            TimeArgument::Ago(span) => now - span,
            TimeArgument::At(moment) => moment,
        }
    }
}

impl std::str::FromStr for TimeArgument {
    type Err = TimeError;

    /// Reads `90s`, `30m`, `1h`, `7d`, `2w`; RFC 3339; the same without a zone, which is UTC; or a
    /// date, which is its start in UTC.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let text = text.trim();
        ago(text)
            .map(TimeArgument::Ago)
            .or_else(|| rfc3339(text).map(TimeArgument::At))
            .ok_or_else(|| TimeError(text.to_owned()))
    }
}

fn ago(text: &str) -> Option<Span> {
    let unit = text.chars().next_back()?;
    let seconds: i64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let number = &text[..text.len() - 1];
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Span::from_secs(number.parse::<i64>().ok()?.checked_mul(seconds)?))
}

fn rfc3339(text: &str) -> Option<EventTime> {
    if text.len() == 10 {
        let date: jiff::civil::Date = text.parse().ok()?;
        let (year, month, day) = (date.year(), date.month(), date.day());
        let date = (i32::from(year), month.unsigned_abs().into(), day.unsigned_abs().into());
        return EventTime::from_civil(date, (0, 0, 0), 0);
    }
    let moment: jiff::Timestamp = match text.parse() {
        Ok(moment) => moment,
        // As the verbs write it.
        Err(_) => {
            let civil: jiff::civil::DateTime = text.parse().ok()?;
            jiff::tz::Offset::UTC.to_timestamp(civil).ok()?
        }
    };
    i64::try_from(moment.as_nanosecond()).ok().map(EventTime)
}

/// Counts as a line of bars, the tallest being the largest: `▁▃█▁`. No bar where there is nothing.
#[must_use]
pub fn sparkline(counts: &[u64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = counts.iter().copied().max().unwrap_or(0);
    let bar = |count: u64| match count {
        0 => ' ',
        _ => {
            let height = u128::from(count) * BARS.len() as u128;
            BARS[height.div_ceil(u128::from(most)) as usize - 1]
        }
    };
    counts.iter().copied().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let cases = [(0, "0"), (999, "999"), (1_000, "1 000"), (1_204_331, "1 204 331")];
        for (number, expected) in cases {
            assert_eq!(grouped(number), expected);
        }
        assert_eq!(grouped(u64::MAX), "18 446 744 073 709 551 615");
    }

    #[test]
    fn a_duration_is_told_in_its_largest_units() {
        let cases = [
            (0, "0 µs"),
            (12, "12 ms"),
            (1_250, "1.2 s"),
            (59_990, "59.9 s"),
            (60_000, "1 min"),
            (3_905_000, "1 h 5 min"),
            (183_600_000, "2 d 3 h"),
        ];
        for (millis, expected) in cases {
            assert_eq!(humanised(Duration::from_millis(millis)), expected);
        }
    }

    #[test]
    fn bytes_have_a_unit() {
        let cases = [(0, "0 B"), (1_023, "1023 B"), (1_024, "1.0 KiB"), (1 << 30, "1.0 GiB")];
        for (count, expected) in cases {
            assert_eq!(bytes(count), expected);
        }
        assert_eq!(bytes((1 << 20) - 1), "1.0 MiB");
    }

    #[test]
    fn a_time_is_ago_or_a_moment() {
        let now = EventTime::from_secs(1_000_000);
        let moment = |text: &str| text.parse::<TimeArgument>().map(|time| time.moment(now).0);
        assert_eq!(moment("30m"), Ok(998_200 * 1_000_000_000));
        assert_eq!(moment("0s"), Ok(now.0));
        assert_eq!(moment("1970-01-02"), Ok(86_400 * 1_000_000_000));
        assert_eq!(moment("1970-01-01T00:00:01.5Z"), Ok(1_500_000_000));
        assert_eq!(moment("1970-01-01T02:00:00+02:00"), Ok(0));
        for so in ["1970-01-02 03:04:05", "1970-01-02T03:04:05", "1970-01-02 03:04:05Z"] {
            assert_eq!(moment(so), Ok(97_445 * 1_000_000_000), "{so}");
        }
        assert_eq!(moment("1970-01-02 03:04"), Ok(97_440 * 1_000_000_000));
        for wrong in
            ["", "m", "-5m", "5", "5x", "tomorrow", "2026-02-30", "99999999999999999w", "é"]
        {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_bar_is_there_for_every_count_but_none() {
        assert_eq!(sparkline(&[0, 1, 4, 8]), " ▁▄█");
        assert_eq!(sparkline(&[1, u64::MAX]), "▁█");
        assert_eq!(sparkline(&[0, 0]), "  ");
        assert_eq!(sparkline(&[]), "");
    }
}
