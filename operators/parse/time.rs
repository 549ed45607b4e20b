//! Dates as logs write them.
//!
//! A reader takes the date at the start of a text and says how long it was. A text that has the
//! shape of a date and is none (February 30th) is still a date's length long, so that the header
//! around it can be read; its time is `None`.

use super::Zone;
use crate::types::time::days_in_month;
use crate::types::{EventTime, Span};

/// What a date leaves out and its reader must add.
#[derive(Clone, Copy, Debug)]
pub struct Defaults<'a> {
    /// When the record came. A date without a year lies in the year that puts it nearest to this,
    /// and no more than two days after.
    pub received_at: EventTime,
    /// The zone of a time that names none.
    pub zone: &'a Zone,
}

impl Defaults<'_> {
    /// The moment at which clocks show `local` in a zone so many seconds east of UTC, or else in
    /// the zone of times that name none.
    fn moment(self, local: EventTime, zone: Option<i32>) -> EventTime {
        match zone {
            Some(seconds) => local - Span::from_secs(i64::from(seconds)),
            None => self.zone.moment(local, self.received_at),
        }
    }

    /// What clocks showed there, about when the record came.
    fn receipt(self, zone: Option<i32>) -> EventTime {
        match zone {
            Some(seconds) => self.received_at + Span::from_secs(i64::from(seconds)),
            None => self.zone.about(self.received_at),
        }
    }
}

/// A date at the start of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The moment; `None` if the text has the shape of a date, and there is no such date.
    pub time: Option<EventTime>,
    /// How many bytes of the text it takes.
    pub len: usize,
    /// Whether it says how far from UTC it is, in digits.
    pub has_offset: bool,
}

/// ISO 8601 and its relatives: `2026-11-22T13:38:00.25+01:00`, `2026-11-22 13:38:00,250`,
/// `2026/11/22 13:38:00`. The zone may follow after a space. Any number of digits may follow the
/// seconds; the tenth and later ones are dropped.
#[must_use]
pub fn iso(text: &str, defaults: Defaults) -> Option<Stamp> {
    let mut scan = Scan::new(text);
    let year = scan.digits(4)?;
    let separator = scan.one_of(b"-/.")?;
    let month = scan.digits(2)?;
    scan.byte(separator)?;
    let day = scan.digits(2)?;
    scan.one_of(b"T t_")?;
    let clock = scan.clock(b':')?;
    let nanos = scan.fraction();
    let before = scan.at;
    let zone = scan.zone();
    let has_offset = zone.is_some() && scan.at > before + 1 && scan.bytes[scan.at - 1] < b'A';
    Some(scan.stamp((year as i32, month, day), clock, nanos, zone, has_offset, defaults))
}

/// `2005-06-03-15.42.50.675872`, as DB2 and Blue Gene write it.
#[must_use]
pub fn dotted(text: &str, defaults: Defaults) -> Option<Stamp> {
    let mut scan = Scan::new(text);
    let date = scan.date(b'-')?;
    scan.byte(b'-')?;
    let clock = scan.clock(b'.')?;
    let nanos = scan.fraction();
    Some(scan.stamp(date, clock, nanos, None, false, defaults))
}

/// The date of RFC 3164 and what became of it: `Nov 22 13:38:00`, with fraction, with the year
/// before or after the time, with a zone's name.
#[must_use]
pub fn bsd(text: &str, defaults: Defaults) -> Option<Stamp> {
    let mut scan = Scan::new(text);
    let month = scan.month()?;
    scan.spaces()?;
    let day = scan.number(2)?;
    scan.spaces()?;
    let mut year = scan.year_then(b' ');
    let clock = scan.clock(b':')?;
    let nanos = scan.fraction();
    let zone = scan.zone();
    if year.is_none() {
        year = scan.trailing_year();
    }
    Some(match year {
        Some(year) => scan.stamp((year, month, day), clock, nanos, zone, false, defaults),
        None => scan.nearest_year((month, day), clock, nanos, zone, defaults),
    })
}

/// `Sun Dec 04 04:47:44 2005`, with fraction or zone.
#[must_use]
pub fn ctime(text: &str, defaults: Defaults) -> Option<Stamp> {
    let mut scan = Scan::new(text);
    scan.weekday()?;
    scan.byte(b' ')?;
    let stamp = bsd(text.get(scan.at..)?, defaults)?;
    Some(Stamp { len: stamp.len + scan.at, ..stamp })
}

/// `2026 Nov 22 13:38:00`, as some switches write it.
#[must_use]
pub fn year_first(text: &str, defaults: Defaults) -> Option<Stamp> {
    let mut scan = Scan::new(text);
    let year = scan.digits(4)? as i32;
    scan.spaces()?;
    let month = scan.month()?;
    scan.spaces()?;
    let day = scan.number(2)?;
    scan.spaces()?;
    let clock = scan.clock(b':')?;
    let nanos = scan.fraction();
    let zone = scan.zone();
    Some(scan.stamp((year, month, day), clock, nanos, zone, false, defaults))
}

/// The date of access logs: `10/Oct/2000:13:55:36 -0700`.
#[must_use]
pub fn access(text: &str, defaults: Defaults) -> Option<Stamp> {
    day_month_year(text, b'/', b':', defaults)
}

/// `06-Dec-2025 21:11:05.123`, as BIND writes it, and PHP.
#[must_use]
pub fn day_first(text: &str, defaults: Defaults) -> Option<Stamp> {
    day_month_year(text, b'-', b' ', defaults)
}

fn day_month_year(text: &str, within: u8, behind: u8, defaults: Defaults) -> Option<Stamp> {
    let mut scan = Scan::new(text);
    let day = scan.digits(2)?;
    scan.byte(within)?;
    let month = scan.month()?;
    scan.byte(within)?;
    let year = scan.digits(4)? as i32;
    scan.byte(behind)?;
    let clock = scan.clock(b':')?;
    let nanos = scan.fraction();
    let zone = scan.zone();
    Some(scan.stamp((year, month, day), clock, nanos, zone, zone.is_some(), defaults))
}

/// `Mon, 02 Jan 2006 15:04:05 -0700` with or without the day's name (RFC 5322).
#[must_use]
pub fn mail(text: &str, defaults: Defaults) -> Option<Stamp> {
    let mut scan = Scan::new(text);
    if scan.weekday().is_some() {
        scan.byte(b',')?;
        scan.spaces()?;
    }
    let day = scan.number(2)?;
    scan.byte(b' ')?;
    let month = scan.month()?;
    scan.byte(b' ')?;
    let year = scan.digits(4)? as i32;
    scan.byte(b' ')?;
    let clock = scan.clock(b':')?;
    let nanos = scan.fraction();
    let zone = scan.zone();
    Some(scan.stamp((year, month, day), clock, nanos, zone, zone.is_some(), defaults))
}

/// `081109 203615`: year, month, day, and hour, minute, second in two digits each.
#[must_use]
pub fn six_six(text: &str, defaults: Defaults) -> Option<Stamp> {
    let mut scan = Scan::new(text);
    let date = (2000 + scan.digits(2)? as i32, scan.digits(2)?, scan.digits(2)?);
    scan.byte(b' ')?;
    let clock = (scan.digits(2)?, scan.digits(2)?, scan.digits(2)?);
    Some(scan.stamp(date, clock, 0, None, false, defaults))
}

/// `17/06/09 20:10:40`: a year of two digits first.
#[must_use]
pub fn short_year(text: &str, defaults: Defaults) -> Option<Stamp> {
    let mut scan = Scan::new(text);
    let year = 2000 + scan.digits(2)? as i32;
    scan.byte(b'/')?;
    let month = scan.digits(2)?;
    scan.byte(b'/')?;
    let day = scan.digits(2)?;
    scan.byte(b' ')?;
    let clock = scan.clock(b':')?;
    let nanos = scan.fraction();
    Some(scan.stamp((year, month, day), clock, nanos, None, false, defaults))
}

/// `20171223-22:15:29:606`.
#[must_use]
pub fn packed(text: &str, defaults: Defaults) -> Option<Stamp> {
    let mut scan = Scan::new(text);
    let date = (scan.digits(4)? as i32, scan.digits(2)?, scan.digits(2)?);
    scan.byte(b'-')?;
    let hour = scan.number(2)?;
    scan.byte(b':')?;
    let minute = scan.number(2)?;
    scan.byte(b':')?;
    let second = scan.number(2)?;
    let millis = scan.byte(b':').and_then(|()| scan.number(3)).unwrap_or(0);
    Some(scan.stamp(date, (hour, minute, second), millis * 1_000_000, None, false, defaults))
}

/// A month, a day and a time, without a year: `03-17 16:13:38.811`, `10.30 16:49:06`,
/// and `0102 10:00:00.123456` with no separator at all.
#[must_use]
pub fn month_day(text: &str, defaults: Defaults) -> Option<Stamp> {
    let mut scan = Scan::new(text);
    let month = scan.digits(2)?;
    let _ = scan.one_of(b"-./");
    let day = scan.digits(2)?;
    scan.byte(b' ')?;
    let clock = scan.clock(b':')?;
    let nanos = scan.fraction();
    Some(scan.nearest_year((month, day), clock, nanos, None, defaults))
}

/// A time without a date, `10:00:00.123`: on the day that puts it nearest to the receipt.
#[must_use]
pub fn clock(text: &str, defaults: Defaults) -> Option<Stamp> {
    let mut scan = Scan::new(text);
    let clock = scan.clock(b':')?;
    let nanos = scan.fraction();
    let (year, month, day, ..) = defaults.receipt(None).civil();
    let Some(today) = EventTime::from_civil((year, month, day), clock, nanos) else {
        return Some(Stamp { time: None, len: scan.at, has_offset: false });
    };
    let day = Span::from_secs(86_400);
    let distance = |time: &EventTime| time.0.abs_diff(defaults.received_at.0);
    let days = [today, today - day, today + day].map(|local| defaults.moment(local, None));
    let time = days.into_iter().min_by_key(distance);
    Some(Stamp { time, len: scan.at, has_offset: false })
}

/// A count since 1970 whose unit shows in its size: seconds below 1e11, milliseconds below 1e14,
/// microseconds below 1e17, else nanoseconds. Numbers below 1e8 (March 1973) are no times but
/// durations or counters, and so are negative ones.
#[must_use]
pub fn epoch(number: i64) -> Option<EventTime> {
    let scale = match number {
        ..100_000_000 => return None,
        100_000_000..100_000_000_000 => 1_000_000_000,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    Some(EventTime(number.saturating_mul(scale)))
}

/// As [`epoch`], for a number with a fraction. Exact to a microsecond.
#[must_use]
pub fn epoch_float(number: f64) -> Option<EventTime> {
    if !(1e8..1e19).contains(&number) {
        return None;
    }
    if number >= 1e11 {
        return epoch(number as i64);
    }
    let micros = ((number - number.floor()) * 1e6).round() as i64;
    Some(EventTime::from_secs(number.floor() as i64) + Span(micros * 1_000))
}

/// As [`epoch`], for digits with or without a fraction, exactly: `1364481363.243`.
#[must_use]
pub fn epoch_text(text: &str) -> Option<EventTime> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if whole.len() > 19 || !digits_only(whole) || !digits_only(fraction) {
        return None;
    }
    let time = epoch(whole.parse().ok()?)?;
    if whole.len() > 11 {
        return Some(time);
    }
    let nanos = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanos = nanos.fold(0, |nanos, digit| nanos * 10 + i64::from(digit - b'0'));
    Some(time + Span(nanos))
}

/// A whole text that is a time, in any of these shapes.
#[must_use]
pub fn any(text: &str, defaults: Defaults) -> Option<EventTime> {
    let text = text.trim_ascii();
    let whole = |stamp: Option<Stamp>| stamp.filter(|stamp| stamp.len == text.len());
    let shapes: &[fn(&str, Defaults) -> Option<Stamp>] = match text.as_bytes().first()? {
        b'0'..=b'9' => {
            if let Some(time) = epoch_text(text) {
                return Some(time);
            }
            &[iso, access, mail, year_first, packed]
        }
        b'/' => {
            let millis = text.strip_prefix("/Date(")?.strip_suffix(")/")?;
            return epoch_text(millis);
        }
        b'[' => return any(text.strip_prefix('[')?.strip_suffix(']')?, defaults),
        _ => &[bsd, ctime, mail],
    };
    shapes.iter().find_map(|shape| whole(shape(text, defaults)))?.time
}

fn digits_only(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Seconds east of Greenwich of the zones that logs name.
fn named_zone(name: &[u8]) -> Option<i32> {
    let hours = match name {
        b"UTC" | b"GMT" | b"Z" | b"z" => 0,
        b"EST" => -5,
        b"EDT" => -4,
        b"CST" => -6,
        b"CDT" => -5,
        b"MST" => -7,
        b"MDT" => -6,
        b"PST" => -8,
        b"PDT" => -7,
        b"BST" | b"CET" | b"WEST" => 1,
        b"CEST" | b"EET" => 2,
        b"EEST" | b"MSK" => 3,
        b"SGT" | b"AWST" => 8,
        b"JST" | b"KST" => 9,
        b"AEST" => 10,
        b"AEDT" => 11,
        _ => return None,
    };
    Some(hours * 3_600)
}

/// Reads a text from its start.
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str) -> Self {
        Scan { bytes: text.as_bytes(), at: 0 }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn byte(&mut self, wanted: u8) -> Option<()> {
        self.one_of(&[wanted]).map(|_| ())
    }

    fn one_of(&mut self, wanted: &[u8]) -> Option<u8> {
        let byte = self.peek().filter(|byte| wanted.contains(byte))?;
        self.at += 1;
        Some(byte)
    }

    /// One or two spaces: days are padded.
    fn spaces(&mut self) -> Option<()> {
        self.byte(b' ')?;
        let _ = self.byte(b' ');
        Some(())
    }

    /// Exactly `count` digits; `count` is at most 9.
    fn digits(&mut self, count: usize) -> Option<u32> {
        let mut number = 0;
        for byte in self.bytes.get(self.at..self.at + count)? {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            number = number * 10 + u32::from(digit);
        }
        self.at += count;
        Some(number)
    }

    /// One digit or more, at most `count`.
    fn number(&mut self, count: usize) -> Option<u32> {
        let rest = self.bytes.get(self.at..)?;
        let len = rest.iter().take(count).take_while(|byte| byte.is_ascii_digit()).count();
        if len == 0 {
            return None;
        }
        self.digits(len)
    }

    fn month(&mut self) -> Option<u32> {
        let name = self.bytes.get(self.at..self.at + 3)?;
        let month = match &[name[0] | 32, name[1] | 32, name[2] | 32] {
            b"jan" => 1,
            b"feb" => 2,
            b"mar" => 3,
            b"apr" => 4,
            b"may" => 5,
            b"jun" => 6,
            b"jul" => 7,
            b"aug" => 8,
            b"sep" => 9,
            b"oct" => 10,
            b"nov" => 11,
            b"dec" => 12,
            _ => return None,
        };
        self.at += 3;
        Some(month)
    }

    fn weekday(&mut self) -> Option<()> {
        const DAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
        let name = self.bytes.get(self.at..self.at + 3)?;
        DAYS.contains(&name).then(|| self.at += 3)
    }

    fn date(&mut self, separator: u8) -> Option<(i32, u32, u32)> {
        let year = self.digits(4)? as i32;
        self.byte(separator)?;
        let month = self.digits(2)?;
        self.byte(separator)?;
        Some((year, month, self.digits(2)?))
    }

    fn clock(&mut self, separator: u8) -> Option<(u32, u32, u32)> {
        let hour = self.digits(2)?;
        self.byte(separator)?;
        let minute = self.digits(2)?;
        self.byte(separator)?;
        Some((hour, minute, self.digits(2)?))
    }

    /// The fraction of a second in nanoseconds; 0 if there is none.
    fn fraction(&mut self) -> u32 {
        let Some(b'.' | b',') = self.peek() else {
            return 0;
        };
        let rest = &self.bytes[self.at + 1..];
        let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if len == 0 {
            return 0;
        }
        self.at += 1 + len;
        let digits = rest[..len].iter().copied().chain(std::iter::repeat(b'0')).take(9);
        digits.fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0'))
    }

    /// A zone, in seconds east of Greenwich, perhaps after a space.
    fn zone(&mut self) -> Option<i32> {
        let start = self.at;
        let zone = self.try_zone();
        if zone.is_none() {
            self.at = start;
        }
        zone
    }

    fn try_zone(&mut self) -> Option<i32> {
        let _ = self.byte(b' ');
        let sign = match self.peek()? {
            b'+' => 1,
            b'-' => -1,
            b'A'..=b'Z' | b'z' => {
                let rest = &self.bytes[self.at..];
                let len = rest.iter().take(5).take_while(|byte| byte.is_ascii_alphabetic()).count();
                let ends = rest.get(len).is_none_or(|byte| !byte.is_ascii_alphanumeric());
                self.at += len;
                return named_zone(&rest[..len]).filter(|_| ends);
            }
            _ => return None,
        };
        self.at += 1;
        let hours = self.digits(2)?;
        let colon = self.byte(b':').is_some();
        let minutes = match self.digits(2) {
            Some(minutes) => minutes,
            None if colon => return None,
            None => 0,
        };
        let ok =
            hours < 24 && minutes < 60 && self.peek().is_none_or(|byte| !byte.is_ascii_digit());
        ok.then_some(sign * (hours * 3_600 + minutes * 60) as i32)
    }

    /// Four digits and then `end`.
    fn year_then(&mut self, end: u8) -> Option<i32> {
        let start = self.at;
        let year = self.digits(4).filter(|_| self.byte(end).is_some());
        if year.is_none() {
            self.at = start;
        }
        year.map(|year| year as i32)
    }

    /// A year after the time, where a host's name could stand as well.
    fn trailing_year(&mut self) -> Option<i32> {
        let start = self.at;
        let year = self.byte(b' ').and_then(|()| self.digits(4));
        let year = year.filter(|year| (1970..2200).contains(year));
        let year = year.filter(|_| self.peek().is_none_or(|byte| b" :]".contains(&byte)));
        if year.is_none() {
            self.at = start;
        }
        year.map(|year| year as i32)
    }

    fn stamp(
        &self,
        date: (i32, u32, u32),
        clock: (u32, u32, u32),
        nanos: u32,
        zone: Option<i32>,
        has_offset: bool,
        defaults: Defaults,
    ) -> Stamp {
        let time = EventTime::from_civil(date, clock, nanos);
        let time = time.map(|local| defaults.moment(local, zone));
        Stamp { time, len: self.at, has_offset }
    }

    fn nearest_year(
        &self,
        (month, day): (u32, u32),
        clock: (u32, u32, u32),
        nanos: u32,
        zone: Option<i32>,
        defaults: Defaults,
    ) -> Stamp {
        const HALF_YEAR: u64 = 182 * 86_400 * 1_000_000_000;
        // A log is read after it was written, sometimes long after; a clock that is days ahead
        // is less likely than a file that is months old.
        let latest = defaults.received_at + Span::from_secs(2 * 86_400);
        let received_at = defaults.received_at;
        let in_year = |year| {
            let local = EventTime::from_civil((year, month, day), clock, nanos)?;
            Some(defaults.moment(local, zone))
        };
        let distance = |time: &EventTime| time.0.abs_diff(received_at.0);
        let year = defaults.receipt(zone).civil().0;
        let time = match in_year(year) {
            Some(time) if distance(&time) <= HALF_YEAR && time <= latest => Some(time),
            _ => {
                // A leap day may be eight years away: 1896 and 1904.
                let reach = if day > days_in_month(2025, month) { 8 } else { 1 };
                let years = year.saturating_sub(reach)..=year.saturating_add(reach);
                let times = years.filter_map(in_year);
                times.min_by_key(|time| (*time > latest, distance(time)))
            }
        };
        Stamp { time, len: self.at, has_offset: false }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    static UTC: LazyLock<Zone> = LazyLock::new(|| Zone::fixed(0));

    fn at(received: &str) -> Defaults<'static> {
        let utc = Defaults { received_at: EventTime(0), zone: &UTC };
        let received_at = iso(received, utc).unwrap().time.unwrap();
        Defaults { received_at, zone: &UTC }
    }

    type Shape = fn(&str, Defaults) -> Option<Stamp>;

    #[test]
    fn every_shape_is_read_to_its_end() {
        let cases: &[(Shape, &str, &str, &str)] = &[
            (iso, "2026-11-22T13:38:00.25Z rest", " rest", "2026-11-22T13:38:00.25Z"),
            (iso, "2026-11-22T13:38:00.25+01:30 x", " x", "2026-11-22T12:08:00.25Z"),
            (iso, "2026-11-22T13:38:00-0700", "", "2026-11-22T20:38:00Z"),
            (iso, "2026-11-22T13:38:00+01 x", " x", "2026-11-22T12:38:00Z"),
            (iso, "2026-11-22 13:38:00,250 INFO", " INFO", "2026-11-22T13:38:00.25Z"),
            (iso, "2026-11-22 13:38:00 +0200 x", " x", "2026-11-22T11:38:00Z"),
            (iso, "2026-11-22 13:38:00 UTC [1]", " [1]", "2026-11-22T13:38:00Z"),
            (iso, "2026-11-22 13:38:00 - INFO", " - INFO", "2026-11-22T13:38:00Z"),
            (iso, "2026-11-22 13:38:00, Info", ", Info", "2026-11-22T13:38:00Z"),
            (iso, "2026/11/22 13:38:00 x", " x", "2026-11-22T13:38:00Z"),
            (iso, "2026-11-22T13:38:00.123456789123Z", "", "2026-11-22T13:38:00.123456789Z"),
            (iso, "2026-06-30T23:59:60Z", "", "2026-07-01T00:00:00Z"),
            (dotted, "2005-06-03-15.42.50.675872 R", " R", "2005-06-03T15:42:50.675872Z"),
            (bsd, "Nov 22 13:38:00 host", " host", "2026-11-22T13:38:00Z"),
            (bsd, "Nov  2 13:38:00.5 host", " host", "2026-11-02T13:38:00.5Z"),
            (bsd, "Nov 2 13:38:00 host", " host", "2026-11-02T13:38:00Z"),
            (bsd, "Nov 22 2024 13:38:00: %A", ": %A", "2024-11-22T13:38:00Z"),
            (bsd, "Nov 22 13:38:00 2024 x", " x", "2024-11-22T13:38:00Z"),
            (bsd, "Nov 22 13:38:00.123 CET: %A", ": %A", "2026-11-22T12:38:00.123Z"),
            (bsd, "Nov 22 13:38:00 UTCHOST x", " UTCHOST x", "2026-11-22T13:38:00Z"),
            (ctime, "Sun Dec 04 04:47:44 2005] [n", "] [n", "2005-12-04T04:47:44Z"),
            (ctime, "Fri Sep 09 10:42:29.902022 2011]", "]", "2011-09-09T10:42:29.902022Z"),
            (ctime, "Sun Dec  4 04:47:44 EST 2005", "", "2005-12-04T09:47:44Z"),
            (year_first, "2026 Nov 22 13:38:00 UTC: %E", ": %E", "2026-11-22T13:38:00Z"),
            (access, "10/Oct/2000:13:55:36 -0700] \"", "] \"", "2000-10-10T20:55:36Z"),
            (mail, "Mon, 02 Jan 2006 15:04:05 -0700", "", "2006-01-02T22:04:05Z"),
            (mail, "22 Nov 2026 13:38:00.123 * x", " * x", "2026-11-22T13:38:00.123Z"),
            (six_six, "081109 203615 148", " 148", "2008-11-09T20:36:15Z"),
            (short_year, "17/06/09 20:10:40 INFO", " INFO", "2017-06-09T20:10:40Z"),
            (packed, "20171223-22:15:29:606|S", "|S", "2017-12-23T22:15:29.606Z"),
            (packed, "20171224-0:7:20:444|S", "|S", "2017-12-24T00:07:20.444Z"),
            (month_day, "03-17 16:13:38.811  17", "  17", "2026-03-17T16:13:38.811Z"),
            (month_day, "10.30 16:49:06] c", "] c", "2026-10-30T16:49:06Z"),
            (month_day, "1102 10:00:00.123456  1", "  1", "2026-11-02T10:00:00.123456Z"),
            (clock, "23:59:59.5 [m", " [m", "2026-11-21T23:59:59.5Z"),
        ];
        let defaults = at("2026-11-22T05:00:00Z");
        for (shape, text, rest, time) in cases {
            let stamp = shape(text, defaults).unwrap_or_else(|| panic!("{text} is not read"));
            assert_eq!(&text[stamp.len..], *rest, "in {text}");
            assert_eq!(stamp.time.unwrap().to_rfc3339(), *time, "for {text}");
        }
    }

    #[test]
    fn a_time_without_a_zone_is_in_the_zone_of_the_options() {
        let zone = Zone::fixed(3_600);
        let defaults = Defaults { zone: &zone, ..at("2026-11-22T05:00:00Z") };
        let time = |text| any(text, defaults).unwrap().to_rfc3339();
        assert_eq!(time("2026-11-22 05:30:00"), "2026-11-22T04:30:00Z");
        assert_eq!(time("Nov 22 05:30:00"), "2026-11-22T04:30:00Z");
        assert_eq!(time("2026-11-22T05:30:00Z"), "2026-11-22T05:30:00Z");
    }

    #[test]
    fn a_date_without_a_year_is_the_one_nearest_to_its_receipt() {
        let cases = [
            ("2026-01-01T00:00:05Z", "Dec 31 23:59:58", "2025-12-31T23:59:58Z"),
            ("2025-12-31T23:59:58Z", "Jan  1 00:00:05", "2026-01-01T00:00:05Z"),
            ("2026-12-20T00:00:00Z", "Dec 20 00:01:00", "2026-12-20T00:01:00Z"),
            ("2026-03-01T00:00:00Z", "Dec 20 00:01:00", "2025-12-20T00:01:00Z"),
            ("2024-03-01T00:00:00Z", "Feb 29 12:00:00", "2024-02-29T12:00:00Z"),
            ("2025-03-01T00:00:00Z", "Feb 29 12:00:00", "2024-02-29T12:00:00Z"),
            ("2026-11-01T00:00:00Z", "Feb 29 12:00:00", "2024-02-29T12:00:00Z"),
            ("2026-11-22T00:00:00Z", "Dec 10 06:55:46", "2025-12-10T06:55:46Z"),
            ("2026-11-22T00:00:00Z", "Nov 23 06:55:46", "2026-11-23T06:55:46Z"),
            ("2099-11-01T00:00:00Z", "Feb 29 12:00:00", "2096-02-29T12:00:00Z"),
        ];
        for (received, text, time) in cases {
            let stamp = bsd(text, at(received)).unwrap();
            assert_eq!(stamp.time.unwrap().to_rfc3339(), time, "{text} received {received}");
        }
    }

    #[test]
    fn every_day_of_five_years_finds_its_own_year_back() {
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let start = at("2023-01-01T12:00:00Z").received_at;
        for day in 0..5 * 365 {
            let then = start + Span::from_secs(day * 86_400);
            let (_, month, date, ..) = then.civil();
            let text = format!("{} {date:2} 12:00:00", MONTHS[month as usize - 1]);
            for skew in [-1, 0, 1, 100, 300] {
                let received_at = then + Span::from_secs(skew * 86_400);
                let stamp = bsd(&text, Defaults { received_at, zone: &UTC }).unwrap();
                assert_eq!(stamp.time, Some(then), "{text} with {skew} days of skew");
            }
        }
    }

    #[test]
    fn the_shape_of_a_date_that_does_not_exist_has_a_length_and_no_time() {
        let defaults = at("2026-11-22T05:00:00Z");
        let none = |len| Some(Stamp { time: None, len, has_offset: false });
        assert_eq!(bsd("Feb 30 12:00:00 host", defaults), none(15));
        assert_eq!(iso("2025-02-29 12:00:00 x", defaults), none(19));
        assert_eq!(iso("2025-13-01 12:00:00", defaults), none(19));
        assert_eq!(iso("2025-01-01 24:00:00", defaults), none(19));
        assert_eq!(clock("25:00:00", defaults), none(8));
    }

    #[test]
    fn a_number_shows_its_unit_in_its_size() {
        let second = EventTime::from_secs(1_364_481_363);
        assert_eq!(epoch(1_364_481_363), Some(second));
        assert_eq!(epoch(1_364_481_363_000), Some(second));
        assert_eq!(epoch(1_364_481_363_000_000), Some(second));
        assert_eq!(epoch(1_364_481_363_000_000_000), Some(second));
        assert_eq!(epoch_float(1_364_481_363.25), Some(second + Span(250_000_000)));
        assert_eq!(epoch_text("1364481363.243"), Some(second + Span(243_000_000)));
        assert_eq!(epoch_text("1364481363243"), Some(second + Span(243_000_000)));
        for not_a_time in [i64::MIN, -1, 0, 35, 99_999_999] {
            assert_eq!(epoch(not_a_time), None);
        }
        for not_a_time in [f64::NAN, f64::INFINITY, -1.0, 0.5, 1e300] {
            assert_eq!(epoch_float(not_a_time), None);
        }
        assert_eq!(epoch(i64::MAX), Some(EventTime::MAX));
    }

    #[test]
    fn years_beyond_the_range_of_nanoseconds_end_at_its_edge() {
        let defaults = at("2026-11-22T05:00:00Z");
        assert_eq!(any("9999-12-31T23:59:59Z", defaults), Some(EventTime::MAX));
        assert_eq!(any("0000-01-01T00:00:00Z", defaults), Some(EventTime::MIN));
        let zone = Zone::fixed(-64_800);
        for received_at in [EventTime::MIN, EventTime::MAX] {
            let defaults = Defaults { received_at, zone: &zone };
            assert!(bsd("Feb 29 12:00:00", defaults).is_some());
            assert!(clock("12:00:00", defaults).is_some());
        }
    }

    #[test]
    fn a_whole_text_is_a_time_or_it_is_not() {
        let defaults = at("2026-11-22T05:00:00Z");
        assert_eq!(any("/Date(1364481363000)/", defaults), epoch(1_364_481_363));
        assert_eq!(any("1364481363", defaults), epoch(1_364_481_363));
        assert!(any("Thu Mar 28 14:36:03 2013", defaults).is_some());
        assert!(any("[10/Oct/2000:13:55:36 -0700]", defaults).is_some());
        for text in ["", "now", "12:30", "2026-11-22T05:00:00Z and more", "2026-11-22"] {
            assert_eq!(any(text, defaults), None, "{text}");
        }
    }
}
