//! The parts of a moment that a record writes down, for `minute`, `hour` and the like.
//!
//! No time zone is converted: the parts are those that are written. A number counts seconds (or
//! milliseconds, microseconds, nanoseconds, by its size) since 1970, in UTC.

use super::detection::TimePart;
use super::record::Value;

/// A moment as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Civil {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
}

/// The part of the moment that `value` says, if it says one.
pub(crate) fn part(value: &Value<'_>, part: TimePart) -> Option<i64> {
    let civil = match value {
        Value::Text(text) => written(text)?,
        Value::Int(int) => since_1970(*int)?,
        Value::Float(float) if float.abs() < 1e18 => since_1970(*float as i64)?,
        _ => return None,
    };
    Some(match part {
        TimePart::Minute => civil.minute,
        TimePart::Hour => civil.hour,
        TimePart::Day => civil.day,
        TimePart::Week => civil.week(),
        TimePart::Month => civil.month,
        TimePart::Year => civil.year,
    })
}

/// `2024-05-01T03:20:00Z`, with `/` for `-`, a blank for `T`, or the date alone; or a number.
fn written(text: &str) -> Option<Civil> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        return since_1970(number);
    }
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = bytes.get(from..to)?;
        let plain = digits.iter().all(u8::is_ascii_digit);
        plain.then(|| digits.iter().fold(0, |n, digit| n * 10 + i64::from(digit - b'0')))
    };
    let is = |at: usize, any: &[u8]| bytes.get(at).is_some_and(|byte| any.contains(byte));
    if !is(4, b"-/") || !is(7, b"-/") {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute) = match bytes.len() {
        10 => (0, 0),
        _ if is(10, b"Tt ") && is(13, b":") => (number(11, 13)?, number(14, 16)?),
        _ => return None,
    };
    let there = (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day)
        && hour < 24
        && minute < 60;
    there.then_some(Civil { year, month, day, hour, minute })
}

fn since_1970(number: i64) -> Option<Civil> {
    let seconds = match number.unsigned_abs() {
        0..100_000_000_000 => number,
        100_000_000_000..100_000_000_000_000 => number.div_euclid(1_000),
        100_000_000_000_000..100_000_000_000_000_000 => number.div_euclid(1_000_000),
        _ => number.div_euclid(1_000_000_000),
    };
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date_of(days);
    Some(Civil { year, month, day, hour: second / 3600, minute: second / 60 % 60 })
}

/// Days since 1970-01-01, in the proleptic Gregorian calendar.
fn days_to(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl Civil {
    /// The week of ISO 8601: the one with the year's first Thursday is the first.
    fn week(self) -> i64 {
        let days = days_to(self.year, self.month, self.day);
        // 1970-01-01 was a Thursday.
        let weekday = (days + 3).rem_euclid(7);
        let thursday = days - weekday + 3;
        let (year, _, _) = date_of(thursday);
        (thursday - days_to(year, 1, 1)) / 7 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Option<[i64; 6]> {
        let of = |which| part(&Value::Text(text), which);
        Some([
            of(TimePart::Year)?,
            of(TimePart::Month)?,
            of(TimePart::Week)?,
            of(TimePart::Day)?,
            of(TimePart::Hour)?,
            of(TimePart::Minute)?,
        ])
    }

    #[test]
    fn the_parts_are_those_that_are_written() {
        assert_eq!(parts("2024-05-01T03:20:00Z"), Some([2024, 5, 18, 1, 3, 20]));
        assert_eq!(parts("2024-05-01 03:20:00.5+02:00"), Some([2024, 5, 18, 1, 3, 20]));
        assert_eq!(parts("2021/01/03"), Some([2021, 1, 53, 3, 0, 0]));
        assert_eq!(parts("2018-12-31T00:00"), Some([2018, 12, 1, 31, 0, 0]));
        assert_eq!(parts("1714533600"), Some([2024, 5, 18, 1, 3, 20]));
        assert_eq!(parts("1714533600123"), Some([2024, 5, 18, 1, 3, 20]));
        for no in ["", "yesterday", "2023-02-29", "2024-13-01", "2024-05-01T25:00", "2024-05-01x"] {
            assert_eq!(parts(no), None, "{no}");
        }
    }

    #[test]
    fn dates_and_days_are_inverse() {
        for days in (-800_000..800_000).step_by(373) {
            let (year, month, day) = date_of(days);
            assert_eq!(days_to(year, month, day), days);
        }
    }
}
