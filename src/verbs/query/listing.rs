//! Entities and templates, the most frequent or the latest first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use operators::entity::memory::{Profile, entity_key, profile};
use operators::state::ENTITIES;
use operators::template::Template;
use operators::types::{EntityId, EventTime, Kind};
use serde_json::json;

use super::Out;
use super::filter::{Entity, Part, Range, template_id};
use crate::cli::Failure;
use crate::cli::args::{EntitiesArgs, Sort, TemplatesArgs};
use crate::cli::escape::escape;
use crate::cli::numbers::{grouped, moment};
use crate::verbs::reading::{Reading, storage_failure};

/// How wide a name may be before what follows moves.
const NAME_WIDTH: usize = 40;

fn kind_name(kind: Option<Kind>) -> &'static str {
    kind.map_or("source", Kind::name)
}

/// `query entities`.
pub(super) fn entities(
    reading: &mut Reading,
    args: &EntitiesArgs,
    out: &mut Out,
) -> Result<(), Failure> {
    let range = Range::of(&args.reading)?;
    let part = Part::optional(args.grep.as_deref());
    let wanted = args.entity.as_deref().map(|name| Entity::of(name, args.kind)).transpose()?;
    // What stands for the source of events that name nobody is no entity, but for who knows its id.
    let takes = |profile: &Profile| {
        (profile.kind.is_some() || wanted.is_some())
            && range.touches((profile.first, profile.last))
            && args.kind.is_none_or(|kind| profile.kind == Some(kind))
            && part.as_ref().is_none_or(|part| part.is_in(&profile.name))
    };
    let rank = |profile: &Profile| match args.sort {
        Sort::Count => i128::from(profile.count),
        Sort::Last => i128::from(profile.last.0),
    };

    // Ordered so that the greatest is the one to go if there are too many.
    let mut kept = BinaryHeap::new();
    let mut keep = |id: EntityId, value: &[u8]| {
        let Some(profile) = profile(value).filter(|profile| takes(profile)) else { return };
        let name = (profile.kind, profile.name.clone());
        kept.push((Reverse(rank(&profile)), name, id, profile.count, profile.first, profile.last));
        if args.reading.limit > 0 && kept.len() > args.reading.limit {
            kept.pop();
        }
    };
    match &wanted {
        Some(entity) => {
            for id in &entity.ids {
                let value = reading.storage.state(&entity_key(*id)).map_err(storage_failure)?;
                if let Some(value) = value {
                    keep(*id, &value);
                }
            }
        }
        None => {
            for entry in reading.storage.each_state(&[ENTITIES]) {
                let (key, value) = entry.map_err(storage_failure)?;
                if let Some(id) = key.get(3..).and_then(|id| id.try_into().ok()) {
                    keep(EntityId(u128::from_be_bytes(id)), &value);
                }
            }
        }
    }

    for (_, (kind, name), id, events, first, last) in kept.into_sorted_vec() {
        let kind = kind_name(kind);
        let line = match out.json {
            true => json!({
                "kind": kind,
                "name": name,
                "id": id.to_string(),
                "count": events,
                "first_seen": first.to_rfc3339(),
                "last_seen": last.to_rfc3339(),
            })
            .to_string(),
            false => format!(
                "{kind:<7}  {}  {}  {} to {}  {}",
                out.palette.strong(format_args!("{:<NAME_WIDTH$}", escape(&name))),
                in_events(events),
                moment(first),
                moment(last),
                out.palette.faint(id),
            ),
        };
        out.line(&line)?;
    }
    Ok(())
}

/// `query templates`.
pub(super) fn templates(
    reading: &mut Reading,
    args: &TemplatesArgs,
    out: &mut Out,
) -> Result<(), Failure> {
    let range = Range::of(&args.reading)?;
    let part = Part::optional(args.grep.as_deref());
    let mut kept: Vec<&Template> = match &args.template {
        Some(text) => {
            let id = template_id(text).ok_or_else(|| {
                let error = format!("`{text}` is no id of a template, which has 16 digits");
                let hint = "`--grep TEXT` finds templates by what they say";
                Failure::new(crate::cli::exit::Exit::Usage, error).with_hint(hint)
            })?;
            reading.templates.get(id).into_iter().collect()
        }
        None => reading.templates.iter().collect(),
    };
    kept.retain(|template| part.as_ref().is_none_or(|part| part.is_in(&template.text)));
    kept.sort_by_key(|template| {
        let rank = match args.sort {
            Sort::Count => template.count,
            Sort::Last => template.last_seq,
        };
        (Reverse(rank), template.id)
    });

    let limit = if args.reading.limit == 0 { usize::MAX } else { args.reading.limit };
    let mut shown = 0;
    for template in kept {
        if shown == limit {
            break;
        }
        let first = time_of(reading, template.first_seq)?;
        let last = time_of(reading, template.last_seq)?;
        let times = (first.unwrap_or(EventTime::MIN), last.unwrap_or(EventTime::MAX));
        if !range.touches((times.0.min(times.1), times.0.max(times.1))) {
            continue;
        }
        shown += 1;
        let line = match out.json {
            true => json!({
                "id": template.id.to_string(),
                "text": template.text,
                "count": template.count,
                "first_seq": template.first_seq,
                "last_seq": template.last_seq,
                "first_seen": first.map(EventTime::to_rfc3339),
                "last_seen": last.map(EventTime::to_rfc3339),
            })
            .to_string(),
            false => {
                let seen = |time: Option<EventTime>| time.map_or("?".to_owned(), moment);
                format!(
                    "{}  {}  {:>19} to {:>19}  {}",
                    out.palette.faint(template.id),
                    in_events(template.count),
                    seen(first),
                    seen(last),
                    escape(&template.text),
                )
            }
        };
        out.line(&line)?;
    }
    Ok(())
}

/// When an event happened, if that is still known.
fn time_of(reading: &Reading, seq: u64) -> Result<Option<EventTime>, Failure> {
    let found = reading.storage.found_of(seq).map_err(storage_failure)?;
    Ok(found.map(|(found, index)| found.time[index]))
}

/// A count, right-aligned with its word.
fn in_events(count: u64) -> String {
    let word = if count == 1 { "event " } else { "events" };
    format!("{:>11} {word}", grouped(count))
}
