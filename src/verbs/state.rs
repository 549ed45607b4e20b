//! `state`: looks at the state folder, and repairs its journal.

mod repair;

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use operators::entity::memory::profile;
use operators::state::ENTITIES;
use operators::types::EventTime;
use serde_json::json;

use super::reading::{Reading, journal_failure, storage_failure};
use crate::cli::args::{Global, StateInfoArgs, StateVerb};
use crate::cli::escape::escape;
use crate::cli::exit::Exit;
use crate::cli::numbers::{bytes, counted, grouped, humanised, moment};
use crate::cli::style::Palette;
use crate::cli::{Failure, Outcome, configuration, print, state_flag};
use crate::journal::{self, read_records, wall_clock};
use crate::storage::checkpoint::Marker;
use crate::storage::{Storage, VERSION};

/// Does it.
///
/// # Errors
/// If the configuration is wrong, or the state cannot be read.
pub fn state(global: &Global, verb: &StateVerb) -> Outcome {
    match verb {
        StateVerb::Info(args) => info(global, args),
        StateVerb::Repair(args) => repair::repair(global, args),
    }
}

/// What there is.
struct Info {
    user: User,
    checkpoint: Option<Marker>,
    /// When the last record before the checkpoint was received, if the journal still has it.
    covered_until: Option<EventTime>,
    journal: journal::Info,
    store_bytes: u64,
    /// Keys of state, by kind.
    entities: u64,
    incidents: u64,
    models: u64,
    templates: u64,
    alerts: u64,
}

/// Who has the folder open to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum User {
    Nobody,
    Process(i32),
    /// The system does not say.
    Unknown,
}

fn info(global: &Global, args: &StateInfoArgs) -> Outcome {
    let loaded = configuration(global, state_flag(args.state.as_deref()))?;
    let dir = &loaded.settings.state.dir;
    let reading = Reading::open(&loaded.settings)?;
    let info = look(dir, &reading)?;
    let now = wall_clock();
    let text = match args.json {
        true => to_json(dir, &info, now),
        false => shown(dir, &info, now, Palette::stdout(global.color)),
    };
    print(&text)?;
    Ok(Exit::Ok)
}

fn look(dir: &Path, reading: &Reading) -> Result<Info, Failure> {
    let storage = &reading.storage;
    let checkpoint = storage.checkpoint().map_err(storage_failure)?;
    let last = checkpoint.and_then(|marker| marker.next_seq.checked_sub(1));
    let covered = match last {
        Some(seq) => read_records(dir, &[seq]).map_err(journal_failure)?.pop(),
        None => None,
    };
    // What stands for the source of events that name nobody is no entity.
    let is_entity = |value: &[u8]| profile(value).is_some_and(|profile| profile.kind.is_some());
    let sizes = storage.state_sizes(|kind, value| kind != ENTITIES || is_entity(value));
    let of = |kind: u8| sizes.get(&char::from(kind)).copied().unwrap_or(0);
    Ok(Info {
        user: user(dir),
        checkpoint,
        covered_until: covered.map(|record| record.received_at),
        journal: reading.journal()?,
        store_bytes: storage.bytes(),
        entities: of(ENTITIES),
        incidents: of(operators::state::INCIDENTS),
        models: of(operators::state::MODELS),
        templates: reading.templates.len() as u64,
        alerts: alerts(storage)?,
    })
}

fn alerts(storage: &Storage) -> Result<u64, Failure> {
    let mut count = 0;
    for alert in storage.each_alert("") {
        alert.map_err(storage_failure)?;
        count += 1;
    }
    Ok(count)
}

/// Asks the system who holds the store's lock, without taking it.
fn user(dir: &Path) -> User {
    let Ok(lock) = File::open(dir.join("store").join("LOCK")) else { return User::Unknown };
    let mut wanted = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    match fcntl(&lock, FcntlArg::F_GETLK(&mut wanted)) {
        Ok(_) if wanted.l_type == libc::F_UNLCK as libc::c_short => User::Nobody,
        Ok(_) => User::Process(wanted.l_pid),
        Err(_) => User::Unknown,
    }
}

fn to_json(dir: &Path, info: &Info, now: EventTime) -> String {
    let journal = &info.journal;
    let rfc3339 = |time: Option<EventTime>| time.map(EventTime::to_rfc3339);
    let checkpoint = info.checkpoint.map(|marker| {
        json!({
            "epoch": marker.epoch,
            "events": marker.next_seq,
            "received_until": rfc3339(info.covered_until),
            "age_seconds": info.covered_until.map(|time| now.since(time).as_secs_f64()),
            "events_since": journal.seqs.end.saturating_sub(marker.next_seq),
        })
    });
    let object = json!({
        "dir": dir,
        "version": VERSION,
        "in_use": match info.user {
            User::Nobody => Some(false),
            User::Process(_) => Some(true),
            User::Unknown => None,
        },
        "process": match info.user {
            User::Process(id) => Some(id),
            User::Nobody | User::Unknown => None,
        },
        "checkpoint": checkpoint,
        "journal": {
            "segments": journal.segments,
            "bytes": journal.bytes,
            "first_seq": journal.seqs.start,
            "next_seq": journal.seqs.end,
            "first_epoch": journal.first_epoch,
            "open_epoch": journal.open_epoch,
            "oldest": rfc3339(journal.oldest),
            "newest": rfc3339(journal.newest),
            "sources": journal.sources.len(),
            "files": journal.positions,
            "clean": journal.clean,
            "damaged_files": journal.damaged.0,
            "damaged_bytes": journal.damaged.1,
        },
        "store_bytes": info.store_bytes,
        "entities": info.entities,
        "incidents": info.incidents,
        "models": info.models,
        "templates": info.templates,
        "alerts": info.alerts,
    });
    format!("{object}\n")
}

fn shown(dir: &Path, info: &Info, now: EventTime, palette: Palette) -> String {
    let journal = &info.journal;
    let mut text = format!("{}\n", palette.strong(escape(&dir.to_string_lossy())));
    let mut row = |label: &str, value: &str| {
        let label = palette.faint(format!("{label:<12}"));
        text.push_str(&format!("  {label} {value}\n"));
    };
    row("version", &VERSION.to_string());
    row(
        "in use",
        &match info.user {
            User::Nobody => "no".to_owned(),
            User::Process(id) => format!("by process {id}"),
            User::Unknown => "not known".to_owned(),
        },
    );
    row("checkpoint", &checkpoint(info, now));
    let records = journal.seqs.end - journal.seqs.start;
    row(
        "journal",
        &format!(
            "{} in {}, {}; epochs {} to {}",
            counted(records, "record"),
            counted(journal.segments as u64, "segment"),
            bytes(journal.bytes),
            grouped(journal.first_epoch),
            grouped(journal.open_epoch),
        ),
    );
    if let (Some(oldest), Some(newest)) = (journal.oldest, journal.newest) {
        row("received", &format!("{} to {}", moment(oldest), moment(newest)));
    }
    if records > 0 {
        let last = grouped(journal.seqs.end - 1);
        row("numbers", &format!("{} to {last}", grouped(journal.seqs.start)));
    }
    let (sources, files) = (journal.sources.len() as u64, journal.positions as u64);
    row("sources", &format!("{}; positions of {}", grouped(sources), counted(files, "file")));
    if journal.damaged.0 > 0 {
        let (count, size) = journal.damaged;
        let aside = format!("{}, {} moved aside", counted(count as u64, "file"), bytes(size));
        let lost = "; the numbers above are with what was lost in them";
        row("damage", &format!("{}{lost}", palette.bad(aside)));
    }
    row("store", &bytes(info.store_bytes));
    for (label, count) in [
        ("entities", info.entities),
        ("incidents", info.incidents),
        ("models", info.models),
        ("templates", info.templates),
        ("alerts", info.alerts),
    ] {
        row(label, &grouped(count));
    }
    text
}

fn checkpoint(info: &Info, now: EventTime) -> String {
    let Some(marker) = info.checkpoint else { return "none yet".to_owned() };
    let mut text = format!("epoch {}, {} events", grouped(marker.epoch), grouped(marker.next_seq));
    if let Some(until) = info.covered_until {
        let age = Duration::from_nanos(now.since(until).0.max(0).unsigned_abs());
        text.push_str(&format!(", received until {} ({} ago)", moment(until), humanised(age)));
    }
    match info.journal.seqs.end.saturating_sub(marker.next_seq) {
        0 => {}
        since => text.push_str(&format!("; {} since", grouped(since))),
    }
    text
}
