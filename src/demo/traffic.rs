//! What is harmless.

use std::fmt::Write as _;

use super::office::*;
use super::random::Random;
use super::{HOUR, HOURS, Line, MINUTE, SECOND};

mod machines;
mod people;
mod services;

/// Adds a day of all of it.
pub(super) fn add(lines: &mut Vec<Line>, seed: u64) {
    type Traffic = fn(&mut Vec<Line>, &mut Random);
    let kinds: [(&str, Traffic); 12] = [
        ("people", people::log_in),
        ("services", people::services),
        ("strangers", people::strangers),
        ("cron", machines::cron),
        ("timers", machines::timers),
        ("restarts", machines::restarts),
        ("firewall", machines::firewall),
        ("processes", machines::processes),
        ("web", services::web),
        ("shop", services::shop),
        ("mail", services::mail),
        ("dns", services::names),
    ];
    for (name, add) in kinds {
        add(lines, &mut Random::of(seed, name));
    }
}

/// An address somewhere in the world.
fn anywhere(random: &mut Random) -> String {
    let first = random.pick(&[23u64, 31, 45, 62, 77, 81, 91, 104, 139, 151, 176, 185, 188, 212]);
    format!("{first}.{}.{}.{}", random.below(256), random.below(256), random.between(1, 255))
}

const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) use machines::{blocked, started};
pub(super) use people::{Session, session};
pub(super) use services::{question, request};
