//! The extractor on real forms of lines, on labelled ones, and on what nobody would write.

use std::path::PathBuf;
use std::sync::Arc;

use super::*;
use crate::types::event::{Block, Event, Field, NO_OPINION, Record, Source};
use crate::types::{EntityId, EventTime};

mod corpus;
mod events;
mod text;

/// The mentions of a text, as `kind name`, each once, in order.
fn mentions(text: &str) -> Vec<String> {
    let (mut found, mut name) = (Found::default(), String::new());
    scan(text, &mut found);
    let mut all: Vec<String> = Vec::new();
    for mention in found.mentions() {
        found.name(text, mention, &mut name);
        let entry = format!("{} {name}", mention.kind.name());
        if !all.contains(&entry) {
            all.push(entry);
        }
    }
    all
}

/// The folder of shared data, if it is there.
fn shared() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    let root = option_env!("SEERFLOW_SHARED").unwrap_or(beside);
    let folder = PathBuf::from(root).join("data");
    if !folder.is_dir() {
        println!("skipped: there is no {}", folder.display());
    }
    folder.is_dir().then_some(folder)
}

const OPTIONS: Options =
    Options { max_entities: MAX_ENTITIES, scan_bytes: SCAN_BYTES, id_cache_slots: ID_CACHE_SLOTS };

/// One event as a parser would leave it.
struct Case {
    format: Format,
    host: &'static str,
    app: &'static str,
    procid: &'static str,
    message: String,
    /// Names and values, which do not stand in the message.
    fields: Vec<(&'static str, Value, &'static str)>,
}

impl Case {
    fn plain(message: &str) -> Self {
        Case {
            format: Format::Plain,
            host: "",
            app: "",
            procid: "",
            message: message.into(),
            fields: Vec::new(),
        }
    }

    fn fields(format: Format, fields: &[(&'static str, &'static str)]) -> Self {
        let fields = fields.iter().map(|(name, value)| (*name, Value::Null, *value)).collect();
        Case { format, fields, ..Case::plain("") }
    }

    /// A batch of this one event. Numbers are given as `Value::Int`, texts by their text.
    fn batch(&self) -> Batch {
        let mut text = String::new();
        let mut put = |piece: &str| {
            let start = text.len();
            text.push_str(piece);
            text.push(' ');
            Text::in_block(start, piece.len())
        };
        let (host, app, procid) = (put(self.host), put(self.app), put(self.procid));
        let message = put(&self.message);
        let mut fields = Vec::new();
        for (name, value, spelled) in &self.fields {
            let name = put(name);
            let value = match value {
                Value::Null => Value::Text(put(spelled)),
                other => *other,
            };
            fields.push(Field { name, value });
        }
        let raw = Text::in_block(0, text.len());
        let record =
            Record { text: raw, source: 0, received_at: EventTime(0), flags: Flags::default() };
        let source = Source { receiver: "test".into(), name: String::new() };
        let block = Block {
            epoch: 0,
            first_seq: 0,
            text,
            records: vec![record],
            sources: Arc::new(vec![source]),
            ended: Vec::new(),
        };
        let mut batch = Batch::new(Arc::new(block));
        batch.events.push(Event {
            seq: 0,
            source: 0,
            received_at: EventTime(0),
            time: EventTime(0),
            severity: None,
            facility: None,
            format: self.format,
            flags: Flags::default(),
            host,
            app,
            procid,
            msgid: Text::NONE,
            message,
            raw,
            template: 0,
            surprise: [NO_OPINION; 2],
            fields: (0, fields.len() as u32),
            entities: (0, 0),
        });
        batch.fields = fields;
        batch
    }

    /// Its entities, as `kind name place role`, without what is not known.
    fn entities(&self) -> Vec<String> {
        let mut batch = self.batch();
        Extractor::new(OPTIONS).extract(&mut batch);
        spell(&batch)
    }
}

fn spell(batch: &Batch) -> Vec<String> {
    let of = |entity: &EntityRef| {
        let place = match entity.place {
            Place::Header => " header",
            Place::Field => " field",
            Place::Parameter => " parameter",
            Place::Text => "",
        };
        let role = match entity.role {
            Role::None => "",
            Role::Source => " source",
            Role::Target => " target",
            Role::Actor => " actor",
        };
        format!("{} {}{place}{role}", entity.kind.name(), batch.text(entity.value))
    };
    batch.entities(&batch.events[0]).iter().map(of).collect()
}

fn id(kind: Kind, name: &str) -> EntityId {
    let mut out = String::new();
    assert!(canonical(kind, name, &mut out), "{name}");
    entity_id(kind, &out)
}
