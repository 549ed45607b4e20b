//! What becomes of one line, step by step as the engine takes them.
//!
//! Each step has a part of its own, in [`Account`] and in the JSON: record, fields, template,
//! entities, rules. A step that needs what was learned from other lines says so if there is no state.

use std::io::{self, BufRead, Read, Write};

use operators::content::RARITY;
use operators::extract::{canonical, mark_parameters};
use operators::score::rarity::Rarity;
use operators::state::model_key;
use operators::template::{Masked, TemplateId, mask, parameters};
use operators::types::{Batch, Event, Flags, Kind, Role, Source, Value};
use serde_json::{Map, json};

use super::rules::{Judged, Rules};
use super::{Account, probability};
use crate::cli::args::{ExplainArgs, Global};
use crate::cli::escape::escape;
use crate::cli::exit::Exit;
use crate::cli::numbers::grouped;
use crate::cli::style::Palette;
use crate::cli::{Failure, Outcome, print};
use crate::config::settings::Settings;
use crate::journal::{Stored, wall_clock};
use crate::verbs::reading::{Reading, RecordReader, storage_failure};
use crate::{rules, setup};

/// `explain --line TEXT`; `-` is standard input.
pub(super) fn explain(
    global: &Global,
    args: &ExplainArgs,
    settings: &Settings,
    text: &str,
) -> Outcome {
    let history = History::open(args, settings)?;
    let palette = Palette::stderr(global.color);
    for fault in rules::faults_of_pipelines(settings) {
        writeln!(io::stderr(), "{} {}", palette.bad("warning:"), escape(&fault))?;
    }
    let mut step = Steps {
        reader: RecordReader::new(settings),
        rules: Rules::load(settings),
        history,
        masked: Masked::default(),
    };
    let line_max = settings.receivers.max_line_bytes;
    let palette = Palette::stdout(global.color);
    let mut tell = |line: &[u8], first: bool| -> Result<(), Failure> {
        let (batch, template, judged) = step.take(line, line_max);
        match args.json {
            true => print(&format!("{}\n", json(&batch, &template, &judged))),
            false => {
                let between = if first { "" } else { "\n" };
                print(&format!("{between}{}", human(&batch, &template, &judged, palette)))
            }
        }
    };
    if text != "-" {
        tell(text.as_bytes(), true)?;
        return Ok(Exit::Ok);
    }
    let mut input = std::io::stdin().lock();
    let mut line = Vec::new();
    let mut first = true;
    loop {
        line.clear();
        // One byte more than is taken tells that there is more.
        if input.by_ref().take(line_max as u64 + 1).read_until(b'\n', &mut line)? == 0 {
            return Ok(Exit::Ok);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() > line_max {
            input.skip_until(b'\n')?;
        }
        tell(&line, first)?;
        first = false;
    }
}

/// What was learned from other lines, if there is state.
struct History {
    reading: Reading,
    rarity: Option<Rarity>,
}

impl History {
    /// Opens the state folder; that there is none is no failure unless it was asked for.
    fn open(args: &ExplainArgs, settings: &Settings) -> Result<Option<Self>, Failure> {
        let reading = match Reading::open(settings) {
            Ok(reading) => reading,
            Err(failure) if failure.exit == Exit::NoInput && args.state.is_none() => {
                return Ok(None);
            }
            Err(failure) => return Err(failure),
        };
        let options = setup::detection(settings, 1).content.rarity;
        let bytes = reading.storage.state(&model_key(RARITY)).map_err(storage_failure)?;
        let rarity = bytes.and_then(|bytes| Rarity::decode(options, &bytes).ok());
        Ok(Some(History { reading, rarity }))
    }
}

/// What the template of a line is, and what is known of it.
struct Template {
    id: TemplateId,
    text: String,
    parameters: Vec<String>,
    /// How many events had it, of a known one.
    count: Option<u64>,
    /// How rare it is: the probability, and why.
    rarity: Option<(f64, String)>,
    /// Whether there is state.
    history: bool,
}

struct Steps {
    reader: RecordReader,
    rules: Rules,
    history: Option<History>,
    masked: Masked,
}

impl Steps {
    fn take(&mut self, line: &[u8], line_max: usize) -> (Batch, Template, Judged) {
        let mut flags = Flags::default();
        if line.len() > line_max {
            flags.set(Flags::TRUNCATED);
        }
        // The priority of a syslog record is read as syslog receivers read it.
        let receiver = if line.starts_with(b"<") { "syslog" } else { "line" };
        let record = Stored {
            seq: 0,
            epoch: 0,
            source: Source { receiver: receiver.to_owned(), name: String::new() },
            received_at: wall_clock(),
            flags,
            bytes: line[..line.len().min(line_max)].to_vec(),
        };
        let mut batch = self.reader.events(&[record]);
        let (template, places) = self.template(batch.text(batch.events[0].message));
        mark_parameters(&mut batch, 0, &places);
        let judged = self.rules.judge(&mut batch);
        (batch, template, judged)
    }

    /// The template of a message, and where in it the parameters are.
    fn template(&mut self, message: &str) -> (Template, Vec<(u32, u32)>) {
        mask(message, &mut self.masked);
        let mut template = Template {
            id: TemplateId::NONE,
            text: self.masked.line(message),
            parameters: Vec::new(),
            count: None,
            rarity: None,
            history: self.history.is_some(),
        };
        if let Some(History { reading, rarity }) = &mut self.history {
            template.id = reading.template_of(message);
            if let Some(known) = reading.templates.get(template.id) {
                template.text.clone_from(&known.text);
                template.count = Some(known.count);
            }
            let opinion = rarity.as_ref().and_then(|rarity| {
                let opinion = rarity.score(template.id.0)?;
                let name = format_args!("template `{}`", template.text);
                Some((opinion.p(), rarity.evidence(template.id.0).sentence(name, "")))
            });
            // An empty message has no template, which is nothing rare.
            template.rarity = opinion.filter(|_| !self.masked.is_empty());
        }
        let mut places = Vec::new();
        parameters(&template.text, message, &self.masked, &mut places);
        let part = |(from, to): &(u32, u32)| message[*from as usize..*to as usize].to_owned();
        template.parameters = places.iter().map(part).collect();
        (template, places)
    }
}

fn role(role: Role) -> Option<&'static str> {
    match role {
        Role::None => None,
        Role::Source => Some("source"),
        Role::Target => Some("target"),
        Role::Actor => Some("actor"),
    }
}

fn field_value(batch: &Batch, value: Value) -> serde_json::Value {
    match value {
        Value::Text(text) => json!(batch.text(text)),
        Value::Int(number) => json!(number),
        Value::Float(number) => json!(number),
        Value::Bool(truth) => json!(truth),
        Value::Null => serde_json::Value::Null,
    }
}

/// The canonical name of what an event mentions.
fn canonical_name(kind: Kind, value: &str) -> String {
    let mut name = String::new();
    canonical(kind, value, &mut name);
    name
}

fn json(batch: &Batch, template: &Template, judged: &Judged) -> serde_json::Value {
    let event = &batch.events[0];
    let text = |text| batch.text(text);
    let fields = batch
        .fields(event)
        .iter()
        .map(|field| json!({ "name": text(field.name), "value": field_value(batch, field.value) }));
    let entities = batch.entities(event).iter().map(|entity| {
        json!({
            "kind": entity.kind,
            "value": text(entity.value),
            "name": canonical_name(entity.kind, text(entity.value)),
            "id": entity.id.to_string(),
            "place": entity.place,
            "role": role(entity.role),
        })
    });
    let mut object = Map::new();
    let mut put = |key: &str, value: serde_json::Value| drop(object.insert(key.to_owned(), value));
    put("format", json!(event.format));
    put("flags", json!(event.flags.names()));
    put("event_time", json!(event.time.to_rfc3339()));
    put("severity", json!(event.severity));
    put("facility", json!(event.facility));
    put("host", json!(text(event.host)));
    put("app", json!(text(event.app)));
    put("procid", json!(text(event.procid)));
    put("msgid", json!(text(event.msgid)));
    put("message", json!(text(event.message)));
    put("fields", fields.collect());
    put(
        "template",
        json!({
            "id": template.count.map(|_| template.id.to_string()),
            "text": template.text,
            "params": template.parameters,
            "count": template.count,
            "p": template.rarity.as_ref().map(|(p, _)| p),
            "why": template.rarity.as_ref().map(|(_, why)| why),
        }),
    );
    put("entities", entities.collect());
    judged.json(&mut object);
    object.into()
}

fn human(batch: &Batch, template: &Template, judged: &Judged, palette: Palette) -> String {
    let event = &batch.events[0];
    let mut account = Account::new(palette);
    record(&mut account, batch, event);
    if !batch.fields(event).is_empty() {
        account.heading("Fields");
        for field in batch.fields(event) {
            let value = field_value(batch, field.value);
            let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            account.row(&escape(batch.text(field.name)), escape(&value));
        }
    }
    template_part(&mut account, template);
    entities(&mut account, batch, event);
    judged.human(&mut account, palette);
    account.text
}

/// What the header and the shape of the body say.
fn record(account: &mut Account, batch: &Batch, event: &Event) {
    account.heading("Record");
    let format = serde_json::to_value(event.format).expect("plain data");
    account.row("format", format.as_str().unwrap_or_default());
    if event.flags != Flags::default() {
        account.row("odd", event.flags.names().join(", ").replace('_', " "));
    }
    account.row("time", event.time);
    if let Some(severity) = event.severity {
        account.row("severity", severity.name());
    }
    if let Some(facility) = event.facility {
        account.row("facility", facility);
    }
    let named = [
        ("host", event.host),
        ("app", event.app),
        ("process id", event.procid),
        ("message id", event.msgid),
        ("message", event.message),
    ];
    for (label, text) in named.into_iter().filter(|(_, text)| !text.is_empty()) {
        account.row(label, escape(batch.text(text)));
    }
}

/// Which sentence the message is, and how rare that is.
fn template_part(account: &mut Account, template: &Template) {
    account.heading("Template");
    account.row("text", escape(&template.text));
    for parameter in &template.parameters {
        account.row("value", escape(parameter));
    }
    if let Some(count) = template.count {
        account.row("id", template.id);
        account.row("seen", format_args!("{} times", grouped(count)));
    }
    match &template.rarity {
        Some((p, why)) => {
            account.row("rarity", format_args!("p {}: {}", probability(*p), escape(why)));
        }
        None if template.history => account.row("rarity", "no opinion yet"),
        None => account.row("rarity", "one line has no history; with `--state DIR` it has"),
    }
}

/// What the event is about.
fn entities(account: &mut Account, batch: &Batch, event: &Event) {
    if batch.entities(event).is_empty() {
        return;
    }
    account.heading("Entities");
    for entity in batch.entities(event) {
        let place = serde_json::to_value(entity.place).expect("plain data");
        let role = role(entity.role).map_or(String::new(), |role| format!(", {role}"));
        let place = format!("({}{role})", place.as_str().unwrap_or_default());
        let faint = account.palette.faint(format_args!("{place}  {}", entity.id)).to_string();
        let value = escape(batch.text(entity.value));
        let value = account.palette.strong(format_args!("{value:<28}")).to_string();
        account.row(entity.kind.name(), format_args!("{value} {faint}"));
    }
}
