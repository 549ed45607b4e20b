//! Records as they left the journal, and events as they left the parser.
//!
//! A [`Block`] holds the text of some hundreds of records in one string; a [`Batch`] adds what
//! parsing found in them. Nothing in an event owns memory: a [`Text`] is a place in the block's
//! text, or in the batch's scratch text for what had to be decoded. So a stage allocates per
//! block and not per field.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::entity::EntityRef;
use super::time::EventTime;

/// Where a piece of text lies: in a block's text, or in its batch's scratch text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Text {
    start: u32,
    len: u32,
}

impl Text {
    /// No text, which is where nothing was found.
    pub const NONE: Text = Text { start: 0, len: 0 };
    const SCRATCH: u32 = 1 << 31;

    /// The piece `[start, start + len)` of a block's text; a block holds less than 2 GiB.
    #[must_use]
    pub fn in_block(start: usize, len: usize) -> Self {
        debug_assert!(start + len < Self::SCRATCH as usize);
        Text { start: start as u32, len: len as u32 }
    }

    /// The piece `[start, start + len)` of a batch's scratch text.
    #[must_use]
    pub fn in_scratch(start: usize, len: usize) -> Self {
        debug_assert!(start + len < Self::SCRATCH as usize);
        Text { start: start as u32 | Self::SCRATCH, len: len as u32 }
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Its length in bytes.
    #[must_use]
    pub fn len(self) -> usize {
        self.len as usize
    }

    /// The part `[from, to)` of this piece, in bytes relative to its start.
    #[must_use]
    pub fn part(self, from: usize, to: usize) -> Self {
        debug_assert!(from <= to && to <= self.len());
        Text { start: self.start + from as u32, len: (to - from) as u32 }
    }
}

/// One record as a receiver got it: one syslog frame, one line of a file.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// Its place in the block's text.
    pub text: Text,
    /// Which source it came from: an index into the block's [`sources`](Block::sources).
    pub source: u32,
    /// When the receiver got it.
    pub received_at: EventTime,
    /// [`Flags::TRUNCATED`], [`Flags::UNTERMINATED`] and [`Flags::NOT_UTF8`] are known by now.
    pub flags: Flags,
}

/// Where records come from; watermarks and models are kept by source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Which kind of receiver: `syslog`, `file`, `stdin` …
    pub receiver: String,
    /// Which one of that kind: a peer's address, a file's path. With the receiver it is unique.
    pub name: String,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name.as_str() {
            "" => f.write_str(&self.receiver),
            name => write!(f, "{}:{name}", self.receiver),
        }
    }
}

/// Consecutive records of one epoch.
#[derive(Clone, Debug)]
pub struct Block {
    /// The epoch that all of them belong to.
    pub epoch: u64,
    /// The sequence number of the first; the others follow without a gap.
    pub first_seq: u64,
    /// Their text, one after the other. Bytes that are not UTF-8 are U+FFFD here; the journal
    /// keeps the bytes themselves.
    pub text: String,
    /// The records, in sequence order.
    pub records: Vec<Record>,
    /// All sources known when the block was cut, by their number.
    pub sources: Arc<Vec<Source>>,
    /// Sources that come to their end with it: files that were read whole.
    pub ended: Vec<u32>,
}

impl Block {
    /// The text of a record.
    #[must_use]
    pub fn text(&self, text: Text) -> &str {
        &self.text[text.start as usize..text.start as usize + text.len()]
    }
}

/// What a record says, as far as it could be understood.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// Its place in the journal, and so its name.
    pub seq: u64,
    /// Which source it came from.
    pub source: u32,
    /// When the receiver got it.
    pub received_at: EventTime,
    /// When it happened: as the record says, else `received_at`.
    pub time: EventTime,
    /// How bad its sender says it is, if it does.
    pub severity: Option<Severity>,
    /// The syslog facility, 0–23.
    pub facility: Option<u8>,
    /// The shape that the record had.
    pub format: Format,
    /// What was odd about it.
    pub flags: Flags,
    /// The host that it says it is from.
    pub host: Text,
    /// The program that it says it is from, without path and process id.
    pub app: Text,
    /// The process id.
    pub procid: Text,
    /// The message id of RFC 5424; the event id of a Windows record.
    pub msgid: Text,
    /// The message proper: without header, byte order mark and structured data.
    pub message: Text,
    /// The whole record.
    pub raw: Text,
    /// Its template's id; 0 is none, as of an empty message.
    pub template: u64,
    /// How surprising its template and its content are, in millionths of a decade, as
    /// `score::Surprise` counts; [`NO_OPINION`] where nobody can say.
    pub surprise: [u32; 2],
    /// Its fields: `batch.fields[fields.0..fields.1]`.
    pub fields: (u32, u32),
    /// Its entities: `batch.entities[entities.0..entities.1]`.
    pub entities: (u32, u32),
}

/// In place of a surprise: no detector has an opinion.
pub const NO_OPINION: u32 = u32::MAX;

/// A named value found in a record.
///
/// Names of nested objects are joined by dots. An element of an array is a field of the array's
/// name, so a name may stand several times.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its full, dotted name.
    pub name: Text,
    /// Its value.
    pub value: Value,
}

/// The value of a [`Field`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// Text, with escapes resolved.
    Text(Text),
    /// A whole number that fits.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// Present and null.
    Null,
}

/// The events of a block.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The records that they were parsed from.
    pub block: Arc<Block>,
    /// Text that stands in no record as it is: unescaped strings, joined names.
    pub scratch: String,
    /// One for each record, in sequence order.
    pub events: Vec<Event>,
    /// The fields of all events.
    pub fields: Vec<Field>,
    /// The entities of all events.
    pub entities: Vec<EntityRef>,
    /// The Sigma rules that match: the index of an event and the number of a rule in the set that
    /// was active in the block's epoch, sorted.
    pub hits: Vec<(u32, u32)>,
}

impl Batch {
    /// A batch with no events yet.
    #[must_use]
    pub fn new(block: Arc<Block>) -> Self {
        Batch {
            events: Vec::with_capacity(block.records.len()),
            block,
            scratch: String::new(),
            fields: Vec::new(),
            entities: Vec::new(),
            hits: Vec::new(),
        }
    }

    /// What `text` says.
    #[must_use]
    pub fn text(&self, text: Text) -> &str {
        match text.start & Text::SCRATCH {
            0 => self.block.text(text),
            _ => {
                let start = (text.start & !Text::SCRATCH) as usize;
                &self.scratch[start..start + text.len()]
            }
        }
    }

    /// Appends to the scratch text.
    pub fn keep(&mut self, text: &str) -> Text {
        let start = self.scratch.len();
        self.scratch.push_str(text);
        Text::in_scratch(start, text.len())
    }

    /// The fields of an event.
    #[must_use]
    pub fn fields(&self, event: &Event) -> &[Field] {
        &self.fields[event.fields.0 as usize..event.fields.1 as usize]
    }

    /// The first field of that name, if any.
    #[must_use]
    pub fn field(&self, event: &Event, name: &str) -> Option<Value> {
        let named = |field: &&Field| self.text(field.name) == name;
        self.fields(event).iter().find(named).map(|field| field.value)
    }

    /// The rules that match an event of this batch.
    pub fn hits(&self, event: &Event) -> impl Iterator<Item = u32> + use<'_> {
        let index = event.seq.saturating_sub(self.block.first_seq) as u32;
        let from = self.hits.partition_point(|(at, _)| *at < index);
        let own = self.hits[from..].iter().take_while(move |(at, _)| *at == index);
        own.map(|(_, rule)| *rule)
    }

    /// The entities of an event.
    #[must_use]
    pub fn entities(&self, event: &Event) -> &[EntityRef] {
        &self.entities[event.entities.0 as usize..event.entities.1 as usize]
    }
}

/// How bad something is, by its own account. The known system's scale, 0–6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Finer than information.
    Trace,
    /// Information; also syslog's debug (7 → trace) and informational (6).
    Info,
    /// Normal but significant (syslog 5).
    Notice,
    /// Syslog 4.
    Warning,
    /// Syslog 3.
    Error,
    /// Syslog 2 and 1.
    Critical,
    /// Syslog 0.
    Fatal,
}

impl Severity {
    /// From the severity of a syslog priority, 0–7.
    #[must_use]
    pub fn from_syslog(severity: u8) -> Self {
        match severity {
            0 => Severity::Fatal,
            1 | 2 => Severity::Critical,
            3 => Severity::Error,
            4 => Severity::Warning,
            5 => Severity::Notice,
            6 => Severity::Info,
            _ => Severity::Trace,
        }
    }

    /// Its name: `trace`, `info` … `fatal`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Severity::Trace => "trace",
            Severity::Info => "info",
            Severity::Notice => "notice",
            Severity::Warning => "warning",
            Severity::Error => "error",
            Severity::Critical => "critical",
            Severity::Fatal => "fatal",
        }
    }
}

/// The shape of a record: how its body was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Text, with or without a header.
    Plain,
    /// A JSON object.
    Json,
    /// A Windows event as JSON (`evtx_dump`, winlogbeat and the like).
    Windows,
    /// `key=value` pairs (logfmt).
    KeyValue,
    /// A common or combined access log line.
    Access,
    /// A Linux audit record.
    Audit,
    /// Common Event Format.
    Cef,
}

/// What was odd about a record. A set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Flags(pub u16);

impl Flags {
    /// Longer than the limit; the rest is gone.
    pub const TRUNCATED: Flags = Flags(1);
    /// The sender stopped before the end of the frame.
    pub const UNTERMINATED: Flags = Flags(1 << 1);
    /// Some bytes were not UTF-8.
    pub const NOT_UTF8: Flags = Flags(1 << 2);
    /// A priority that is none; taken as user.notice.
    pub const BAD_PRIORITY: Flags = Flags(1 << 3);
    /// The record claims a time too far in the future, and took its receipt time.
    pub const TIME_CLAMPED: Flags = Flags(1 << 4);
    /// The record does not say when; its time is its receipt time.
    pub const TIME_OF_RECEIPT: Flags = Flags(1 << 5);
    /// Behind its window's watermark.
    pub const LATE: Flags = Flags(1 << 6);
    /// More fields than the limit; the rest is in the text only.
    pub const FIELDS_CUT: Flags = Flags(1 << 7);
    /// More entities than the limit.
    pub const ENTITIES_CUT: Flags = Flags(1 << 8);
    /// It began like a structured body and was not one; read as plain text.
    pub const BAD_BODY: Flags = Flags(1 << 9);
    /// Nothing in it but white space.
    pub const EMPTY: Flags = Flags(1 << 10);
    /// A rule's expression with look-around or backreferences was given up on it: too many steps,
    /// or too long a text. The rule did not match.
    pub const SEARCH_GIVEN_UP: Flags = Flags(1 << 11);

    /// Whether all bits of `flags` are set.
    #[must_use]
    pub fn has(self, flags: Flags) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Sets the bits of `flags`.
    pub fn set(&mut self, flags: Flags) {
        self.0 |= flags.0;
    }

    /// The names of the set bits, as events show them.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        const NAMES: [&str; 12] = [
            "truncated",
            "unterminated",
            "not_utf8",
            "bad_priority",
            "time_clamped",
            "time_of_receipt",
            "late",
            "fields_cut",
            "entities_cut",
            "bad_body",
            "empty",
            "search_given_up",
        ];
        let set = |bit: &usize| self.0 & (1 << bit) != 0;
        (0..NAMES.len()).filter(set).map(|bit| NAMES[bit]).collect()
    }
}
