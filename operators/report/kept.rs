//! Events that an alert may be told of when they are long gone.
//!
//! A correlation is decided when the watermark has come to its last event, some epochs after that
//! event was here. Until then, what its alert would say of it is kept where it landed; after a
//! restart, with the owner of the key group of its number.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::state::{Changes, KEPT, StateKey, Store, state_key};
use crate::types::finding::{AlertEntity, MESSAGE_MAX};
use crate::types::hash::{key_group, mix};
use crate::types::{Batch, Event, EventTime, Kind, Severity, Share};

/// For how many records of the journal an event is kept; beyond it, an alert of it says whom it
/// is about and what matched, and not what the event said.
pub const RECORDS_MAX: u64 = 1 << 20;

/// What an alert says of an event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// When it happened.
    pub time: EventTime,
    /// Its source.
    pub source: String,
    /// The host that it says it is from.
    pub host: String,
    /// How bad it says it is.
    pub severity: Option<Severity>,
    /// Its message, cut.
    pub message: String,
    /// Its template's id.
    pub template: u64,
    /// Its template's text.
    pub template_text: String,
    /// Its addresses, accounts and hosts, and whatever it names first.
    pub entities: Vec<AlertEntity>,
}

impl Kept {
    /// What an alert says of this event.
    #[must_use]
    pub fn of(share: &Share, batch: &Batch, event: &Event) -> Self {
        let template = share.texts.get(&event.template).map_or("", |template| &template.text);
        let entities = batch.entities(event).iter().enumerate();
        let likely = entities.filter(|(at, entity)| {
            *at == 0 || matches!(entity.kind, Kind::Ip | Kind::User | Kind::Host)
        });
        Kept {
            time: event.time,
            source: batch.block.sources[event.source as usize].to_string(),
            host: batch.text(event.host).to_owned(),
            severity: event.severity,
            message: cut(batch.text(event.message)).to_owned(),
            template: event.template,
            template_text: template.to_owned(),
            entities: likely
                .map(|(_, entity)| AlertEntity {
                    kind: entity.kind.name().to_owned(),
                    value: batch.text(entity.value).to_owned(),
                    id: entity.id.to_string(),
                })
                .collect(),
        }
    }
}

/// The first [`MESSAGE_MAX`] bytes of a message, at a character's end.
fn cut(message: &str) -> &str {
    &message[..message.floor_char_boundary(MESSAGE_MAX)]
}

/// The events that are kept on a worker. There may be very many, and few are asked for: each is
/// kept as it is stored.
#[derive(Debug, Default)]
pub struct Keep {
    /// By number.
    all: BTreeMap<u64, Held>,
    by_time: BTreeSet<(EventTime, u64)>,
    /// Those in a checkpoint that are not needed any more.
    gone: Vec<u64>,
}

#[derive(Debug)]
struct Held {
    time: EventTime,
    bytes: Box<[u8]>,
    /// Whether a checkpoint has it.
    saved: bool,
}

fn store_key(seq: u64) -> StateKey {
    state_key(KEPT, key_group(mix(seq)), &seq.to_be_bytes())
}

impl Keep {
    /// Those of some key groups, as of the last checkpoint.
    #[must_use]
    pub fn load(groups: Range<u16>, store: &dyn Store) -> Self {
        let mut keep = Keep::default();
        for group in groups {
            for (key, value) in store.scan(&state_key(KEPT, group, &[])) {
                let seq = key.get(3..).and_then(|bytes| bytes.try_into().ok());
                let kept: Option<Kept> = postcard::from_bytes(&value).ok();
                if let (Some(seq), Some(Kept { time, .. })) = (seq.map(u64::from_be_bytes), kept) {
                    keep.by_time.insert((time, seq));
                    keep.all.insert(seq, Held { time, bytes: value.into(), saved: true });
                }
            }
        }
        keep
    }

    /// Keeps an event.
    pub fn put(&mut self, seq: u64, kept: &Kept) {
        let time = kept.time;
        let bytes = postcard::to_stdvec(kept).expect("plain data").into();
        self.by_time.insert((time, seq));
        self.all.insert(seq, Held { time, bytes, saved: false });
    }

    /// The event with that number.
    #[must_use]
    pub fn get(&self, seq: u64) -> Option<Kept> {
        let held = self.all.get(&seq)?;
        Some(postcard::from_bytes(&held.bytes).expect("it was written here"))
    }

    /// Forgets events that the watermark has come to, and those before too many records.
    pub fn release(&mut self, watermark: EventTime, next_seq: u64) {
        while let Some((_, seq)) = self.by_time.first().filter(|(time, _)| *time <= watermark) {
            self.forget(*seq);
        }
        let from = next_seq.saturating_sub(RECORDS_MAX);
        while let Some((seq, _)) = self.all.first_key_value().filter(|(seq, _)| **seq < from) {
            self.forget(*seq);
        }
    }

    fn forget(&mut self, seq: u64) {
        let Some(Held { time, saved, .. }) = self.all.remove(&seq) else { return };
        self.by_time.remove(&(time, seq));
        if saved {
            self.gone.push(seq);
        }
    }

    /// Hands over what changed since the last time.
    pub fn snapshot(&mut self, changes: &mut Changes) {
        for seq in self.gone.drain(..) {
            changes.delete(&store_key(seq));
        }
        for (seq, held) in self.all.iter_mut().filter(|(_, held)| !held.saved) {
            changes.put(&store_key(*seq), &held.bytes);
            held.saved = true;
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::MemoryStore;

    fn kept(second: i64) -> Kept {
        Kept { time: EventTime::from_secs(second), ..Kept::default() }
    }

    #[test]
    fn an_event_is_kept_until_the_watermark_has_come_to_it() {
        let mut keep = Keep::default();
        keep.put(1, &kept(10));
        keep.put(2, &kept(5));
        keep.release(EventTime::from_secs(9), 3);
        assert!(keep.get(1).is_some() && keep.get(2).is_none());
        keep.release(EventTime::from_secs(10), 3);
        assert!(keep.is_empty());
    }

    #[test]
    fn events_of_too_many_records_ago_are_forgotten() {
        let mut keep = Keep::default();
        keep.put(7, &kept(10));
        keep.put(8, &kept(10));
        keep.release(EventTime::MIN, 8 + RECORDS_MAX);
        assert!(keep.get(7).is_none() && keep.get(8).is_some());
    }

    #[test]
    fn what_is_kept_comes_back_from_a_checkpoint_and_goes_from_it() {
        let mut keep = Keep::default();
        keep.put(1, &kept(10));
        keep.put(2, &kept(20));
        let mut changes = Changes::on(0);
        keep.snapshot(&mut changes);
        let mut after = Keep::load(0..256, &MemoryStore::of(&changes));
        assert_eq!(after.get(1), Some(kept(10)));
        after.release(EventTime::from_secs(10), 3);
        let mut changes = Changes::on(0);
        after.snapshot(&mut changes);
        assert_eq!(changes.iter().collect::<Vec<_>>(), [(&store_key(1)[..], None)]);
    }
}
