//! A day's traffic, made up: a small company with one patient intruder.
//!
//! Everything is a function of the seed; nothing here looks at a clock. The traffic keeps office
//! hours, people mistype passwords and visitors ask for pages that are not there, machines restart
//! services and strangers rattle at the door: all of that is harmless. The intruder's lines are
//! known one by one ([`Line::step`]), so that what the engine found can be held against them.
//!
//! [`mod@reference`] is another workload: the one that the known system is measured with.

use std::fmt::Write as _;

use operators::types::EventTime;

mod attack;
pub mod check;
mod office;
mod random;
pub mod reference;
mod traffic;

pub use attack::{ACCOUNT, INTRUDER, Step};
pub use random::Random;

/// Midnight before the day: Tuesday, 12 March 2024, UTC. Long past, so that no clock that is
/// about right takes it for the future.
pub const MIDNIGHT: EventTime = EventTime::from_secs(1_710_201_600);
/// When the traffic begins and when it ends, in milliseconds after midnight.
pub const HOURS: (i64, i64) = (8 * HOUR, 18 * HOUR);

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// A line of log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it is written, in milliseconds after midnight.
    pub at: i64,
    /// The host that writes it.
    pub host: &'static str,
    /// The program that writes it.
    pub app: &'static str,
    /// Its process id; 0 for the kernel, which has none.
    pub pid: u32,
    /// Its priority, by RFC 5424.
    pub priority: u8,
    /// What it says.
    pub message: String,
    /// The step of the attack that it is part of, if it is not harmless.
    pub step: Option<Step>,
}

impl Line {
    /// When it is written.
    #[must_use]
    pub fn time(&self) -> EventTime {
        EventTime(MIDNIGHT.0 + self.at * 1_000_000)
    }

    /// Appends the line as it is sent: RFC 5424, without an end.
    pub fn write(&self, out: &mut String) {
        let Line { host, app, pid, priority, message, .. } = self;
        let time = self.time().to_rfc3339();
        let written = match pid {
            0 => write!(out, "<{priority}>1 {time} {host} {app} - - - {message}"),
            _ => write!(out, "<{priority}>1 {time} {host} {app} {pid} - - {message}"),
        };
        written.expect("memory takes it");
    }
}

/// The lines of a day, in order of time; at least 20 000.
#[must_use]
pub fn day(seed: u64) -> Vec<Line> {
    let mut lines = background(seed);
    attack::add(&mut lines, &mut Random::of(seed, "attack"));
    sort(&mut lines);
    lines
}

/// The same day without the intruder.
#[must_use]
pub fn background(seed: u64) -> Vec<Line> {
    let mut lines = Vec::with_capacity(40_000);
    traffic::add(&mut lines, seed);
    lines.retain(|line| (HOURS.0..HOURS.1).contains(&line.at));
    sort(&mut lines);
    lines
}

/// By time; what is of the same time stays as it was made.
fn sort(lines: &mut [Line]) {
    lines.sort_by_key(|line| line.at);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_long_enough_in_order_and_the_same_for_the_same_seed() {
        let lines = day(1);
        assert!((20_000..60_000).contains(&lines.len()), "{} lines", lines.len());
        assert!(lines.is_sorted_by_key(|line| line.at));
        assert_eq!(lines, day(1));
        assert_ne!(lines, day(2));
        let span = lines[lines.len() - 1].at - lines[0].at;
        assert!(span > 9 * HOUR, "{span} ms");
    }

    #[test]
    fn the_intruder_is_the_only_difference_between_the_day_and_its_background() {
        let mut harmless = day(3);
        harmless.retain(|line| line.step.is_none());
        assert!(harmless == background(3));
        let planted = day(3);
        for step in Step::ALL {
            assert!(planted.iter().any(|line| line.step == Some(step)), "{step:?}");
        }
    }

    #[test]
    fn a_line_is_written_as_rfc_5424() {
        let line = Line {
            at: 8 * HOUR + 1_500,
            host: "web1",
            app: "sshd",
            pid: 812,
            priority: 86,
            message: "Connection closed".to_owned(),
            step: None,
        };
        let mut out = String::new();
        line.write(&mut out);
        assert_eq!(out, "<86>1 2024-03-12T08:00:01.5Z web1 sshd 812 - - Connection closed");
    }
}
