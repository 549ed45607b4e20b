//! Events as people and tools read them: a line of JSON each, and what is stored of them.

use std::io::Write;

use operators::report::Report;
use operators::sigma::finding::identity;
use operators::sigma::{RuleIndex, RuleSet};
use operators::template::{Masked, mask, parameters};
use operators::types::{Batch, Event, EventTime, Flags};

use crate::storage::events::Found;

/// What is stored of the events of a report, a value for each block. `rules` are those that were
/// active in its epoch.
#[must_use]
pub fn found(report: &Report, rules: &RuleSet) -> Vec<Found> {
    let mut scores = report.scores.iter();
    let share = &report.share;
    let blocks = share.batches.iter().map(|batch| {
        let mut found = Found {
            epoch: share.end.epoch,
            first_seq: batch.block.first_seq,
            times: (EventTime::MAX, EventTime::MIN),
            ..Found::default()
        };
        for event in &batch.events {
            found.times = (found.times.0.min(event.time), found.times.1.max(event.time));
            found.time.push(event.time);
            found.template.push(event.template);
            found.score.push(*scores.next().expect("a score for each event"));
            found.flags.push(event.flags.0);
            let entities = batch.entities(event).iter().map(|entity| entity.id.0 as u64);
            found.entities.extend(entities);
            found.entity_ends.push(found.entities.len() as u32);
        }
        found.hits.extend(batch.hits.iter().map(|(index, rule)| {
            let meta = &rules.rule(RuleIndex(*rule)).meta;
            (*index, identity(meta).to_owned(), meta.title.clone())
        }));
        found
    });
    blocks.collect()
}

/// The events of a report as lines of JSON, for each block, by its first sequence number. `rules`
/// are those that were active in its epoch.
#[must_use]
pub fn lines(report: &Report, rules: &RuleSet) -> Vec<(u64, Vec<u8>)> {
    let mut scores = report.scores.iter();
    let share = &report.share;
    let mut writer = LineWriter::default();
    let mut matched: Vec<(&str, &str)> = Vec::new();
    let blocks = share.batches.iter().map(|batch| {
        let mut out = Vec::with_capacity(batch.events.len() * 512);
        for event in &batch.events {
            let template = share.texts.get(&event.template).map(|template| &*template.text);
            let score = *scores.next().expect("a score for each event");
            matched.clear();
            matched.extend(batch.hits(event).map(|rule| {
                let meta = &rules.rule(RuleIndex(rule)).meta;
                (identity(meta), meta.title.as_str())
            }));
            writer.line(batch, event, Told { template, score, rules: &matched }, &mut out);
        }
        (batch.block.first_seq, out)
    });
    blocks.collect()
}

/// What the engine found about an event, beside what the event itself says.
#[derive(Clone, Copy, Debug)]
pub struct Told<'t> {
    /// What its template says; `None` if that is forgotten.
    pub template: Option<&'t str>,
    /// Its score, in [0, 1]; negative where no detector had an opinion.
    pub score: f32,
    /// The rules that matched, by id and title.
    pub rules: &'t [(&'t str, &'t str)],
}

/// Writes events as lines of JSON.
#[derive(Default)]
pub struct LineWriter {
    masked: Masked,
    places: Vec<(u32, u32)>,
}

impl LineWriter {
    /// Appends one event, with a line feed.
    pub fn line(&mut self, batch: &Batch, event: &Event, told: Told<'_>, out: &mut Vec<u8>) {
        let text = |text| batch.text(text);
        let source = &batch.block.sources[event.source as usize];
        number(out, "{\"seq\":", event.seq);
        quoted(out, ",\"event_time\":", &event.time.to_rfc3339());
        quoted(out, ",\"received_at\":", &event.received_at.to_rfc3339());
        quoted(out, ",\"source\":", &source.to_string());
        quoted(out, ",\"host\":", text(event.host));
        quoted(out, ",\"app\":", text(event.app));
        match event.severity {
            Some(severity) => quoted(out, ",\"severity\":", severity.name()),
            None => out.extend_from_slice(b",\"severity\":null"),
        }
        let message = text(event.message);
        quoted(out, ",\"message\":", message);
        mask(message, &mut self.masked);
        match told.template {
            Some(template) => self.template(event.template, template, message, out),
            // Forgotten in the very epoch that it came in: the line stands for itself.
            None => {
                let line = self.masked.line(message);
                self.template(event.template, &line, message, out);
            }
        }
        out.extend_from_slice(ENTITIES);
        for (at, entity) in batch.entities(event).iter().enumerate() {
            let open: &[u8] = if at == 0 { b"{\"kind\":" } else { b",{\"kind\":" };
            out.extend_from_slice(open);
            quoted(out, "", entity.kind.name());
            quoted(out, ",\"value\":", text(entity.value));
            quoted(out, ",\"id\":", &entity.id.to_string());
            out.push(b'}');
        }
        out.push(b']');
        match told.score < 0.0 {
            true => out.extend_from_slice(b",\"score\":null"),
            false => write!(out, ",\"score\":{}", told.score).expect("memory takes it"),
        }
        let late = event.flags.has(Flags::LATE);
        write!(out, ",\"late\":{late},\"sigma\":[").expect("memory takes it");
        for (at, (id, title)) in told.rules.iter().enumerate() {
            quoted(out, if at == 0 { "{\"id\":" } else { ",{\"id\":" }, id);
            quoted(out, ",\"title\":", title);
            out.push(b'}');
        }
        out.extend_from_slice(b"]}\n");
    }

    fn template(&mut self, id: u64, template: &str, message: &str, out: &mut Vec<u8>) {
        template_part(id, template, message, &self.masked, &mut self.places, out);
    }
}

/// The part of a line that says an event's template. `masked` is what masking made of `message`.
fn template_part(
    id: u64,
    template: &str,
    message: &str,
    masked: &Masked,
    places: &mut Vec<(u32, u32)>,
    out: &mut Vec<u8>,
) {
    quoted(out, TEMPLATE_ID, &format!("{id:016x}"));
    quoted(out, TEMPLATE, template);
    out.extend_from_slice(b",\"params\":[");
    places.clear();
    parameters(template, message, masked, places);
    for (at, (from, to)) in places.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        quoted(out, comma, &message[*from as usize..*to as usize]);
    }
    out.push(b']');
}

const TEMPLATE_ID: &str = ",\"template_id\":";
const TEMPLATE: &str = ",\"template\":";
const ENTITIES: &[u8] = b",\"entities\":[";

fn quoted(out: &mut Vec<u8>, before: &str, text: &str) {
    out.extend_from_slice(before.as_bytes());
    serde_json::to_writer(&mut *out, text).expect("memory takes it");
}

fn number(out: &mut Vec<u8>, before: &str, number: u64) {
    write!(out, "{before}{number}").expect("memory takes it");
}

/// Gives events of finite input the templates that they have at its end.
///
/// While the input is read, a template may turn out to be another one's, or become more general.
/// Who groups the events of a whole file by template wants the last word. The line of a template
/// that is forgotten by then stands for itself.
pub struct Resolver<'d> {
    dictionary: &'d operators::template::Dictionary,
    masked: Masked,
    places: Vec<(u32, u32)>,
    part: Vec<u8>,
}

impl<'d> Resolver<'d> {
    /// A resolver by a dictionary.
    #[must_use]
    pub fn new(dictionary: &'d operators::template::Dictionary) -> Self {
        let (masked, places, part) = (Masked::default(), Vec::new(), Vec::new());
        Resolver { dictionary, masked, places, part }
    }

    /// Appends `line`, which [`LineWriter::line`] wrote, with the template as it is by now.
    pub fn line(&mut self, line: &[u8], out: &mut Vec<u8>) {
        match self.resolved(line) {
            Some((before, after)) => {
                out.extend_from_slice(&line[..before]);
                out.extend_from_slice(&self.part);
                out.extend_from_slice(&line[after..]);
            }
            None => out.extend_from_slice(line),
        }
    }

    /// The part of the line to replace by `self.part`, if it is to be replaced. Quotes within
    /// strings are escaped, so the keys can be nowhere but where they are.
    fn resolved(&mut self, line: &[u8]) -> Option<(usize, usize)> {
        let before = memchr::memmem::find(line, TEMPLATE_ID.as_bytes())?;
        let digits = before + TEMPLATE_ID.len() + 1;
        let id = std::str::from_utf8(line.get(digits..digits + 16)?).ok()?;
        let id = operators::template::TemplateId(u64::from_str_radix(id, 16).ok()?);
        let template = self.dictionary.get(id);
        let after = before + memchr::memmem::find(&line[before..], ENTITIES)?;
        if let Some(template) = template.filter(|template| template.id == id) {
            let text = digits + 17 + TEMPLATE.len();
            self.part.clear();
            quoted(&mut self.part, "", &template.text);
            if line.get(text..text + self.part.len()) == Some(&self.part[..]) {
                return None;
            }
        }
        let event: serde_json::Value = serde_json::from_slice(line).ok()?;
        let message = event.get("message")?.as_str()?;
        mask(message, &mut self.masked);
        let own = template.is_none().then(|| self.masked.line(message));
        let (id, text) = match (template, &own) {
            (Some(template), _) => (template.id, &*template.text),
            (None, own) => (id, own.as_deref().unwrap_or_default()),
        };
        self.part.clear();
        template_part(id.0, text, message, &self.masked, &mut self.places, &mut self.part);
        Some((before, after))
    }
}
