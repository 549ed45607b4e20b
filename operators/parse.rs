//! Records to events: the header, then the body.
//!
//! A header says when, where and who: syslog in its versions, or one of the many that programs
//! write themselves. A body is JSON, a Windows event, `key=value`, an access log line, an audit
//! record, CEF, or text. One may be inside the other, and an object of journald is the header of its
//! message, so that a program's record is the same event by whichever way it came. Whatever cannot be understood is an event
//! all the same, whose message is its text.
//!
//! Nothing is copied that need not be: events and fields are places in the block's text, or in
//! the batch's scratch text for what had to be decoded. The work on a record is linear in its
//! length.

use std::sync::Arc;

use crate::types::{
    Batch, Block, Event, EventTime, Flags, Format, NO_OPINION, Record, Severity, Span, Text,
};

mod access;
mod application;
mod audit;
mod cef;
mod class;
mod header;
mod json;
mod known;
mod kv;
mod out;
mod syslog;
#[cfg(test)]
mod tests;
pub mod time;
mod windows;
mod xml;
mod zone;

use known::Known;
use out::{Draft, Out};
use syslog::{BYTE_ORDER_MARK, Priority};
pub use zone::Zone;

/// How many fields a record may have, by default. The rest is in its text only, and it is marked
/// [`Flags::FIELDS_CUT`].
pub const FIELDS_MAX: usize = 512;
/// How deep objects and arrays may nest; what is deeper is cut as by [`FIELDS_MAX`].
pub const DEPTH_MAX: usize = 64;
/// How long a joined name may be; fields with longer names are cut.
pub const NAME_BYTES_MAX: usize = 512;
/// How many bytes of joined names any record may bring, and how many more for each of its bytes;
/// fields beyond are cut. Joined names repeat what the record says once: without a limit, a long
/// name around many short ones makes much memory of a small record.
pub const NAMES_BYTES_MIN: usize = 4 << 10;
/// See [`NAMES_BYTES_MIN`].
pub const NAMES_BYTES_PER_BYTE: usize = 8;
/// How many names a batch keeps to find them again; names beyond are kept each time.
pub const NAMES_MAX: usize = 4_096;
/// How far a record's time may lie behind its receipt before it is disbelieved, by default.
pub const FUTURE_MAX: Span = Span::from_secs(300);

/// What severity and facility a syslog record has whose priority is missing or none: user.notice.
const DEFAULT_PRIORITY: u8 = 13;

/// How to read records.
#[derive(Clone, Debug)]
pub struct Options {
    /// The zone of times that do not name theirs.
    pub zone: Zone,
    /// How far a record's time may be later than its receipt. Beyond, it takes the time of its
    /// receipt and is marked [`Flags::TIME_CLAMPED`]: one bad clock may not move a watermark.
    pub future_max: Span,
    /// How many fields a record may have; see [`FIELDS_MAX`].
    pub fields_max: usize,
}

/// Reads records. Keeps nothing from one block to the next.
#[derive(Clone, Debug)]
pub struct Parser {
    options: Options,
}

impl Parser {
    /// A parser with these options.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Parser { options }
    }

    /// The events of a block, one for each record, with their fields.
    ///
    /// Within a batch, equal names of fields are the same [`Text`] (up to [`NAMES_MAX`] of them).
    #[must_use]
    pub fn parse(&self, block: Arc<Block>) -> Batch {
        let mut out = Out::new(Batch::new(block.clone()), &self.options);
        let is_syslog: Vec<bool> =
            block.sources.iter().map(|source| source.receiver.starts_with("syslog")).collect();
        for (seq, record) in (block.first_seq..).zip(&block.records) {
            let is_syslog = is_syslog.get(record.source as usize).copied().unwrap_or(false);
            let event = self.event(&mut out, &block, seq, record, is_syslog);
            out.batch.events.push(event);
        }
        out.batch
    }

    fn event(
        &self,
        out: &mut Out,
        block: &Block,
        seq: u64,
        record: &Record,
        is_syslog: bool,
    ) -> Event {
        out.begin(record.received_at, record.text.len());
        // A syslog frame often ends with the line feed that its sender's file needed.
        let text = block.text(record.text);
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        let mut draft = Draft::new(text, record.flags);
        header(out, &mut draft, text, is_syslog);
        body(out, &mut draft);

        let message = match draft.message {
            Some(message) => trimmed(out, message),
            None => out.place(draft.body.trim_ascii()),
        };
        if text.trim_ascii().is_empty() {
            draft.flags.set(Flags::EMPTY);
        }
        let time = self.time(&mut draft, record.received_at);
        let (fields, cut) = out.end();
        if cut {
            draft.flags.set(Flags::FIELDS_CUT);
        }
        Event {
            seq,
            source: record.source,
            received_at: record.received_at,
            time,
            severity: draft.severity,
            facility: draft.facility,
            format: draft.format,
            flags: draft.flags,
            host: draft.host,
            app: draft.app,
            procid: draft.procid,
            msgid: draft.msgid,
            message,
            raw: record.text,
            template: 0,
            surprise: [NO_OPINION; 2],
            fields,
            entities: (0, 0),
        }
    }

    fn time(&self, draft: &mut Draft<'_>, received_at: EventTime) -> EventTime {
        let Some(time) = draft.time else {
            draft.flags.set(Flags::TIME_OF_RECEIPT);
            return received_at;
        };
        if time > received_at + self.options.future_max {
            draft.flags.set(Flags::TIME_CLAMPED);
            return received_at;
        }
        time
    }
}

fn header<'a>(out: &mut Out, draft: &mut Draft<'a>, text: &'a str, is_syslog: bool) {
    let is_bad = match syslog::priority(text) {
        Priority::Known(priority, len) => {
            set_priority(draft, priority);
            return syslog::read(out, draft, &text[len..]);
        }
        // Much that is no syslog begins with `<`; only a number in brackets tries to be one.
        Priority::Bad => {
            let digits = text[1..].trim_start_matches(|c: char| c.is_ascii_digit());
            let promised = is_syslog && !xml::begins(text);
            promised || digits.len() + 1 < text.len() && digits.starts_with('>')
        }
        Priority::Absent => is_syslog && !text.trim_ascii().is_empty(),
    };
    if text.starts_with('<') {
        draft.body = text;
    } else {
        header::read(out, draft, text);
    }
    if is_bad {
        draft.flags.set(Flags::BAD_PRIORITY);
        let severity = draft.severity;
        set_priority(draft, DEFAULT_PRIORITY);
        draft.severity = severity.or(draft.severity);
    }
}

fn set_priority(draft: &mut Draft<'_>, priority: u8) {
    draft.facility = Some(priority / 8);
    draft.severity = Some(Severity::from_syslog(priority % 8));
}

fn body<'a>(out: &mut Out, draft: &mut Draft<'a>) {
    let text = draft.body.trim_ascii();
    match text.as_bytes().first() {
        None => return,
        Some(b'{') => return json(out, draft, text, json::begins(text)),
        Some(b'<') if xml::begins(text) => {
            let (mark, mut known) = (out.mark(), Known::default());
            let read = xml::event(out, &mut known, text).is_some();
            if !read || !windows::apply(out, &known, draft) {
                out.back_to(mark);
                draft.flags.set(Flags::BAD_BODY);
            }
            return;
        }
        Some(b'@') => {
            if let Some(cookie) = text.strip_prefix("@cee:") {
                draft.body = cookie.trim_ascii();
                return json(out, draft, draft.body, true);
            }
        }
        Some(b'C') if cef::begins(text) => {
            let mark = out.mark();
            if cef::read(out, draft, text).is_none() {
                out.back_to(mark);
                draft.flags.set(Flags::BAD_BODY);
            }
            return;
        }
        Some(b't' | b'n' | b'a') if audit::begins(text) => {
            let mark = out.mark();
            let host = draft.host;
            if audit::read(out, draft, text).is_none() {
                out.back_to(mark);
                draft.host = host;
                draft.flags.set(Flags::BAD_BODY);
            }
            return;
        }
        Some(_) => {}
    }
    if access::read(out, draft, text) {
        return;
    }
    if let Some(pairs) = kv::start(text) {
        let mark = out.mark();
        let mut known = Known::default();
        match kv::pairs(out, &mut known, pairs) {
            Some(()) => known.apply(Format::KeyValue, draft),
            None => out.back_to(mark),
        }
    }
}

fn json<'a>(out: &mut Out, draft: &mut Draft<'a>, text: &'a str, promised: bool) {
    let mark = out.mark();
    let mut known = Known::default();
    match json::object(out, &mut known, text) {
        Some(()) => {
            if !windows::apply(out, &known, draft) && !journald(out, &known, draft) {
                known.apply(Format::Json, draft);
            }
        }
        None => {
            out.back_to(mark);
            if promised {
                draft.flags.set(Flags::BAD_BODY);
            }
        }
    }
}

/// Reads an object of journald (`journalctl -o json` and what ships it) as the line of syslog that
/// it stands for: its fields are the header, and its message is the body. False if it is none.
fn journald(out: &mut Out, known: &Known, draft: &mut Draft<'_>) -> bool {
    let Some(message) = known.message.get().filter(|_| known.is_journald) else { return false };
    out.aside(message, |out, text| {
        let mut line = draft.with_body(text);
        known.head(&mut line);
        body(out, &mut line);
        let message = line.message.unwrap_or_else(|| out.place(line.body.trim_ascii()));
        line.message = Some(message);
        *draft = line.with_body(draft.body);
    })
}

fn trimmed(out: &Out, message: Text) -> Text {
    let text = out.text(message);
    let start = text.len() - text.trim_ascii_start().len();
    message.part(start, start + text.trim_ascii().len())
}
