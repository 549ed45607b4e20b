//! From the configuration to what each part of the program is told.

use std::time::Duration;

use operators::report::attack::{Attack, Mapping, pattern};
use operators::score::opinion::Surprise;
use operators::score::{features, groups, half_space, markov, rarity};
use operators::types::{Detector, EventTime, Span};
use operators::{content, entity, extract, parse, template, watermark};

use crate::config::settings::{self, Settings};
use crate::{journal, receivers};

/// How many groups may be open in one key group; beyond it further ones are not judged.
const OPEN_GROUPS_MAX: usize = 8_192;

/// The risk level at which the budget is as given: the default.
const RISK_LEVEL: f64 = 1e-4;

/// How many events a group holds at the start of a stream.
const GROUP_EVENTS_MIN: u32 = 32;

fn seconds(seconds: u64) -> Span {
    Span::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX))
}

/// What the graph's operators are told, on one of `workers` workers.
#[must_use]
pub fn detection(settings: &Settings, workers: usize) -> dataflows::Options {
    let detection = &settings.detection;
    let weights = &detection.budget_weights;
    let floor = detection.floor_p;
    let width = seconds(settings.correlation.window_duration_seconds);
    dataflows::Options {
        parse: parse::Options {
            zone: zone(&settings.parse.timezone),
            future_max: seconds(settings.parse.max_future_s),
            fields_max: settings.parse.max_fields,
        },
        extract: extract::Options {
            max_entities: settings.entities.max_per_event,
            scan_bytes: extract::SCAN_BYTES,
            id_cache_slots: extract::ID_CACHE_SLOTS,
        },
        watermark: watermark::Options {
            tolerance: seconds(settings.watermark.tolerance_s),
            idle: seconds(settings.watermark.idle_timeout_s),
        },
        template: template::Options {
            depth: settings.templates.depth,
            similarity: settings.templates.similarity,
            late_wildcard: settings.templates.late_wildcard,
            max_children: settings.templates.max_children,
            max_templates: settings.templates.max_templates,
            ..template::Options::STANDARD
        },
        content: content::Options {
            half_space: half_space::Options {
                trees: detection.hst_n_trees,
                window: detection.hst_window_size as u64,
                opinion_min: detection.dspot.calibration_window as u64,
                tail_permille: permille_above(detection.dspot.initial_percentile),
                ..half_space::Options::MESSAGES
            },
            features: features::Options::MESSAGES,
            rarity: rarity::Options {
                opinion_min: detection.min_events_for_scoring.max(1),
                ..rarity::Options::TEMPLATES
            },
            explain_from: Surprise::of(floor),
        },
        entity: entity::Options {
            window: entity::window::Options {
                width,
                events_max: settings.correlation.max_events_per_entity,
            },
            session: width,
            context: rarity::ContextOptions::ENTITY,
            sequence: markov::Options::TEMPLATES,
            groups: groups::Options {
                width: seconds(detection.group_window_s),
                alerts_per_million: detection.budget_per_million
                    * (detection.dspot.risk_level / RISK_LEVEL),
                weights: by_detector(weights.content, weights.sequence, weights.rarity),
                floor,
                groups_min: detection.min_groups,
                events_min: GROUP_EVENTS_MIN.min(detection.group_events_max),
                events_max: detection.group_events_max,
                open_max: OPEN_GROUPS_MAX,
            },
            incidents: incidents(&settings.alerting),
            memory_bytes: (settings.state.memory_mb << 20) / workers.max(1),
        },
        weights: by_detector(
            detection.weights_content,
            detection.weights_sequence,
            detection.weights_rarity,
        ),
        attack: attack(&detection.attack_mappings),
    }
}

/// Weights in the order of the detectors; those that are about rarity share one.
fn by_detector(content: f64, sequence: f64, rarity: f64) -> Vec<f64> {
    let weight = |detector: &Detector| match detector {
        Detector::RareTemplate | Detector::RareForEntity | Detector::RarePeer => rarity / 3.0,
        Detector::UnusualContent => content,
        Detector::UnusualSequence => sequence,
    };
    Detector::ALL.iter().map(weight).collect()
}

/// How long findings are one incident, in the order of the detectors.
fn incidents(alerting: &settings::Alerting) -> Vec<Span> {
    let others = &alerting.dedup_window_overrides;
    let length = |detector: &Detector| {
        let other = others.get(detector.name()).copied();
        seconds(other.unwrap_or(alerting.dedup_window_seconds))
    };
    Detector::ALL.iter().map(length).collect()
}

/// How many in a thousand are above a percentile.
fn permille_above(percentile: f64) -> u64 {
    ((100.0 - percentile) * 10.0).round() as u64
}

/// The tags of alerts without a rule.
fn attack(mappings: &[settings::AttackMapping]) -> Attack {
    if mappings.is_empty() {
        return Attack::built_in();
    }
    Attack::new(mappings.iter().map(|mapping| Mapping {
        detector: None,
        pattern: pattern(&mapping.pattern).expect("patterns are checked when they are read"),
        tactics: mapping.tactics.clone(),
        techniques: mapping.techniques.clone(),
    }))
}

/// From and until when changes of a zone's offset are known: before and after it is as at the edge.
const ZONE_YEARS: std::ops::Range<i16> = 1970..2101;

/// A zone as operators know it.
fn zone(name: &str) -> parse::Zone {
    let zone = crate::config::zone(name).expect("zones are checked when they are read");
    let edge = |year| {
        let new_year = jiff::civil::date(year, 1, 1).at(0, 0, 0, 0);
        let moment = new_year.to_zoned(jiff::tz::TimeZone::UTC);
        moment.expect("every moment of these years is one").timestamp()
    };
    let (from, until) = (edge(ZONE_YEARS.start), edge(ZONE_YEARS.end));
    let first = zone.to_offset(from).seconds();
    let mut last = first;
    let changes = zone.following(from).take_while(|change| change.timestamp() < until);
    let changes = changes.filter_map(|change| {
        let offset = change.offset().seconds();
        // Some changes are of a name alone.
        let time = EventTime::from_secs(change.timestamp().as_second());
        (std::mem::replace(&mut last, offset) != offset).then_some((time, offset))
    });
    parse::Zone::changing(first, changes)
}

/// How the journal is kept.
#[must_use]
pub fn journal(settings: &Settings, check_from: u64) -> journal::Options {
    let journal = &settings.journal;
    journal::Options {
        segment_bytes: journal.segment_mb << 20,
        fsync: match journal.fsync {
            settings::Fsync::Always => journal::Fsync::Always,
            settings::Fsync::Interval => {
                journal::Fsync::Interval(Duration::from_millis(journal.fsync_interval_ms))
            }
            settings::Fsync::Never => journal::Fsync::Never,
        },
        epochs: journal::EpochSize {
            min: settings.epoch.min_records,
            max: settings.epoch.max_records,
        },
        check_from,
        ..journal::Options::usual()
    }
}

/// The receivers of `run`.
#[must_use]
pub fn receivers(settings: &Settings) -> Vec<receivers::Options> {
    let from = &settings.receivers;
    let mut list = Vec::new();
    if from.syslog_enabled {
        let at = |port| std::net::SocketAddr::new(from.bind_addr, port);
        let tcp = from.syslog_tcp_enabled.then(|| at(from.syslog_tcp_port));
        list.push(receivers::Options::Syslog(receivers::syslog::Options {
            message_max: from.max_message_bytes,
            sources_max: settings.detection.max_sources,
            receive_buffer_bytes: from.udp_buffer_bytes,
            connections_max: from.tcp_max_connections,
            connections_per_peer_max: from.tcp_max_connections_per_peer,
            idle_timeout: Duration::from_secs(from.tcp_idle_timeout_s),
            frame_timeout: Duration::from_secs(from.tcp_frame_timeout_s),
            ..receivers::syslog::Options::usual(Some(at(from.syslog_udp_port)), tcp)
        }));
    }
    if !from.file_paths.is_empty() {
        let paths = from.file_paths.iter().map(|path| path.to_string_lossy().into_owned());
        list.push(receivers::Options::File(receivers::file::Options {
            read_from: match from.file_read_from {
                settings::ReadFrom::Start => receivers::file::ReadFrom::Start,
                settings::ReadFrom::End => receivers::file::ReadFrom::End,
            },
            line_max: from.max_line_bytes,
            poll: Duration::from_millis(from.file_poll_ms),
            ..receivers::file::Options::usual(paths.collect())
        }));
    }
    if from.stdin_enabled {
        list.push(receivers::Options::Stdin(receivers::stdin::Options {
            line_max: from.max_line_bytes,
        }));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_zone_reads_back_what_its_clocks_show_in_every_month_of_130_years() {
        let mut changing = 0;
        for name in [
            "UTC",
            "+05:30",
            "Europe/Berlin",
            "America/New_York",
            "Australia/Sydney",
            "Africa/Casablanca",
            "Asia/Kolkata",
            "Australia/Lord_Howe",
            "America/St_Johns",
        ] {
            let (ours, theirs) = (zone(name), crate::config::zone(name).unwrap());
            for hours in (0..130 * 365 * 24).step_by(30 * 24 + 7) {
                let moment = jiff::Timestamp::from_second(hours * 3_600).unwrap();
                let offset = theirs.to_offset(moment).seconds();
                changing +=
                    usize::from(offset != theirs.to_offset(jiff::Timestamp::UNIX_EPOCH).seconds());
                let utc = EventTime::from_secs(hours * 3_600);
                let shown = utc + Span::from_secs(i64::from(offset));
                assert_eq!(ours.moment(shown, utc), utc, "{shown} in {name}");
            }
        }
        assert!(changing > 2_000, "{changing}");
    }

    #[test]
    fn every_zone_that_there_is_can_be_read() {
        let mut count = 0;
        for name in jiff::tz::db().available() {
            let _ = zone(name.as_str());
            count += 1;
        }
        assert!(count > 400, "{count}");
    }
}
