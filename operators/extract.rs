//! Finds the entities that events are about: addresses, accounts, machines, domains, files and
//! processes.
//!
//! They come from three places, and the better place wins when one entity is seen twice: the
//! **header** (the host, the program and its process id), then the **fields** by their names, then
//! the **text** of the message in one pass ([`scan`]). An entity is known by the version 5 UUID of
//! its canonical name ([`canonical`], [`entity_id`]), so that `WEB-01.` and `web-01` are one.
//!
//! # What is text
//!
//! The message is scanned, unless its event is an access log line or a record of Windows or of
//! Linux audit, or the message is a JSON body whose fields lie within it: then the fields have said
//! all. In `key=value` text, which may have words between its pairs, it is scanned around the
//! values that the fields have explained. Command lines
//! and URLs in fields are scanned too, for addresses, names, files and programs, but not for
//! accounts: `net user bob` proves nothing.
//!
//! # Order and bounds
//!
//! An event's entities stand in the order of [`Kind`], and within a kind in the order in which they
//! were found, so that the first is the primary one. At most [`Options::max_entities`] of an event
//! are kept, the first found, and [`Flags::ENTITIES_CUT`] says if there were more or if
//! the text was longer than [`Options::scan_bytes`].
//!
//! # Decisions
//!
//! Canonical names and namespaces are those of the known system, except that
//!
//! - an IPv4-mapped IPv6 address is the IPv4 address: one peer is written both ways by two
//!   programs on one machine, depending on how they opened their sockets (RFC 4291, 2.5.5.2). NAT64
//!   addresses (`64:ff9b::/96`) stay as they are: translation is a fact about the network;
//! - the path of a Windows file and the name of a program in `.exe` are in lower case: the system
//!   does not tell `C:\WINDOWS` from `C:\Windows`, and its own records write both;
//! - `.\name` is an account without a domain: the dot means "this machine".
//!
//! And where a reading could go either way:
//!
//! - **nobody**: empty, `-`, `?`, `N/A`, `(null)`, `none`, `unknown` and the like name no entity.
//!   `0.0.0.0` and `::` are addresses. A security identifier (`S-1-5-18`) and a numeric user id
//!   are no names, so they are no accounts; a numeric *name* (`Invalid user 0`) is one;
//! - an account that ends in `$` is a machine's or a service's account, and an account like others;
//! - `name@host` in text is the domain or address behind the sign; whose mailbox it is, is not
//!   known. As the value of a field or key for accounts it is an account;
//! - a process is `name:pid` where both are known, by whichever fields (`Image` and `ProcessId`,
//!   `comm` and `pid`); the host is no part of it, as in the known system. The parent's bare process
//!   id is no entity;
//! - what an event says twice, it says once in full: a bare process id or name goes beside
//!   `name:pid`, and an account in text beside the same with its domain;
//! - the header's program is a process, unless it is the name of a class or module (`dfs.DataNode`),
//!   a Windows provider or a CEF product;
//! - a program's path in `Image` or `exe` is a file and, by its last component, a process; in text
//!   only a file. `name.exe` alone in text is a process;
//! - a dotted name behind `from` or a key for machines is a host, elsewhere a domain if its last
//!   label is a known one (the list is ours, and says which need more evidence); see `domains.rs`;
//! - paths are absolute. The path of a request, behind a method, a URL or before `HTTP/`, is no file.

mod domains;
mod fields;
mod identity;
mod scan;
mod shapes;
mod words;

#[cfg(test)]
mod tests;

use std::fmt::Write;

pub use self::identity::{canonical, entity_id};
pub use self::scan::{Found, MENTIONS_MAX, Mention, scan, scan_of};

use self::domains::is_host;
use self::fields::{Fields, NAMES_MAX, PARTS, Part, Rule, What};
use self::identity::Ids;
use crate::types::event::{Batch, Event, Field, Flags, Format, Text, Value};
use crate::types::hash::Map;
use crate::types::{EntityRef, Kind, Place, Role};

/// How many entities of one event are kept, unless told otherwise.
pub const MAX_ENTITIES: usize = 50;
/// How many bytes of one text are scanned, unless told otherwise.
pub const SCAN_BYTES: usize = 32_768;
/// How many names the identities of which are remembered, unless told otherwise: 4 MiB.
pub const ID_CACHE_SLOTS: usize = 32_768;

/// What an [`Extractor`] is told.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many entities of one event are kept, all kinds together.
    pub max_entities: usize,
    /// How many bytes of one text are scanned.
    pub scan_bytes: usize,
    /// How many names' identities are remembered, at 128 bytes each; rounded up to a power of two,
    /// 0 for none. Changes the speed and nothing else.
    pub id_cache_slots: usize,
}

/// Finds the entities of events. See the [module](self) for what they are.
///
/// It remembers what is costly to compute and nothing about the events: two extractors with the
/// same options give the same answers, whatever each has seen before.
#[derive(Debug)]
pub struct Extractor {
    max_entities: usize,
    scan_bytes: usize,
    ids: Ids,
    fields: Fields,
    found: Found,
    /// What the names of this batch's fields mean: a parser writes equal names at one place.
    names: Map<Text, Option<Rule>>,
    /// The entities of the event at hand.
    list: Vec<EntityRef>,
    /// A copy of them, while some are dropped.
    whole: Vec<EntityRef>,
    /// Its fields that mean something.
    hits: Vec<(Field, Rule)>,
    /// The parts of its message that fields have explained, in bytes.
    covered: Vec<(usize, usize)>,
    /// A name made of two pieces.
    name: String,
    cut: bool,
}

/// The halves of names that the fields of an event give one by one.
#[derive(Clone, Copy, Default)]
struct Halves {
    domains: [Option<Text>; PARTS],
    pids: [Option<Value>; PARTS],
    /// Which parts have a program by name, and which only by path.
    programs: [bool; PARTS],
    images: [bool; PARTS],
    /// Which parts' program has been taken.
    taken: [bool; PARTS],
}

impl Extractor {
    /// An extractor that has seen nothing.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Extractor {
            max_entities: options.max_entities,
            scan_bytes: options.scan_bytes,
            ids: Ids::new(options.id_cache_slots),
            fields: Fields::new(),
            found: Found::default(),
            names: Map::default(),
            list: Vec::new(),
            whole: Vec::new(),
            hits: Vec::new(),
            covered: Vec::new(),
            name: String::new(),
            cut: false,
        }
    }

    /// Finds the entities of all events of a batch; what entities the batch had are forgotten.
    pub fn extract(&mut self, batch: &mut Batch) {
        batch.entities.clear();
        self.names.clear();
        for index in 0..batch.events.len() {
            self.list.clear();
            self.covered.clear();
            self.cut = false;
            let event = batch.events[index];
            self.header(batch, &event);
            self.fields(batch, &event);
            self.message(batch, &event);
            self.drop_partial(batch, event.format);
            self.list.sort_by_key(|entity| entity.kind);
            let start = batch.entities.len() as u32;
            batch.entities.extend_from_slice(&self.list);
            let event = &mut batch.events[index];
            event.entities = (start, batch.entities.len() as u32);
            if self.cut {
                event.flags.set(Flags::ENTITIES_CUT);
            }
        }
    }

    fn header(&mut self, batch: &mut Batch, event: &Event) {
        self.machine(batch, event.host, Place::Header, Role::None);
        // A Windows record's provider and a CEF record's product are no running programs.
        if event.app.is_empty() || matches!(event.format, Format::Windows | Format::Cef) {
            return;
        }
        let Some(program) = program_of(batch, event.app) else { return };
        let pid = Some(Value::Text(event.procid)).filter(|pid| process_id(batch, *pid).is_some());
        if is_class(batch.text(program), pid.is_some()) {
            return;
        }
        self.process(batch, program, pid, Place::Header, Role::None);
    }

    fn fields(&mut self, batch: &mut Batch, event: &Event) {
        if event.fields.0 == event.fields.1 {
            return;
        }
        let mut halves = Halves::default();
        self.hits.clear();
        for index in event.fields.0..event.fields.1 {
            let field = batch.fields[index as usize];
            let Some(mut rule) = self.rule(batch, field.name) else { continue };
            // Audit records name there whom somebody came from.
            if event.format == Format::Audit && batch.text(field.name) == "hostname" {
                rule.role = Role::Source;
            }
            let writer = event.format == Format::Windows
                && rule.what == What::Pid(Part::Only)
                && batch.text(field.name).ends_with("ID");
            if writer || (rule.audit && event.format != Format::Audit) {
                continue;
            }
            note_half(&mut halves, batch, &field, rule);
            self.hits.push((field, rule));
        }
        // Security 4688 calls the creator's process id `ProcessId`.
        let (only, parent) = (Part::Only as usize, Part::Parent as usize);
        let created = halves.images[Part::New as usize] && halves.pids[parent].is_none();
        if created && !halves.programs[only] && !halves.images[only] {
            halves.pids[parent] = halves.pids[only].take();
        }
        for index in 0..self.hits.len() {
            let (field, rule) = self.hits[index];
            self.field(batch, event, &mut halves, field.value, rule);
        }
    }

    /// What a field of that name means.
    fn rule(&mut self, batch: &Batch, name: Text) -> Option<Rule> {
        if let Some(rule) = self.names.get(&name) {
            return *rule;
        }
        let rule = self.fields.rule(batch.text(name));
        if self.names.len() < NAMES_MAX {
            self.names.insert(name, rule);
        }
        rule
    }

    fn field(
        &mut self,
        batch: &mut Batch,
        event: &Event,
        halves: &mut Halves,
        value: Value,
        rule: Rule,
    ) {
        let (role, place) = (rule.role, Place::Field);
        if let What::Pid(part) = rule.what {
            let part = part as usize;
            let bare = part == Part::Only as usize && event.format != Format::Windows;
            if bare && !halves.programs[part] && !halves.images[part] {
                self.bare_pid(batch, value, role);
            }
            return self.cover(batch, event, value);
        }
        let Value::Text(text) = value else { return };
        match rule.what {
            What::Ip => {
                if let Some((start, end)) = shapes::address(batch.text(text).as_bytes()) {
                    self.add(batch, Kind::Ip, place, role, text.part(start, end));
                }
            }
            What::Machine => self.machine(batch, text, place, role),
            What::Domain => self.domain(batch, text, role),
            What::User(part) => self.user(batch, text, halves.domains[part as usize], role),
            What::Uid(part) => {
                if !shapes::is_number(batch.text(text).as_bytes(), 20) {
                    self.user(batch, text, halves.domains[part as usize], role);
                }
            }
            What::Upn(part) => {
                if batch.text(text).contains('@') {
                    self.user(batch, text, halves.domains[part as usize], role);
                }
            }
            What::Program(part) => self.named_program(batch, text, part, halves, role),
            What::Image(part) => {
                if is_path(batch.text(text)) {
                    self.add(batch, Kind::File, place, role, text);
                }
                if !halves.programs[part as usize] {
                    self.named_program(batch, text, part, halves, role);
                }
            }
            What::File if is_path(batch.text(text)) => {
                self.add(batch, Kind::File, place, role, text);
            }
            What::Path if is_local_path(batch.text(text)) => {
                self.add(batch, Kind::File, place, role, text);
            }
            What::Url if memchr::memmem::find(batch.text(text).as_bytes(), b"://").is_some() => {
                self.scanned(batch, text, place, &[Kind::Ip, Kind::Domain, Kind::Host]);
            }
            What::Command => {
                let kinds = [Kind::Ip, Kind::Domain, Kind::Host, Kind::File, Kind::Process];
                self.scanned(batch, text, place, &kinds);
            }
            What::Message if !same_place(batch, text, event.message) => {
                self.rendered(batch, event, text);
            }
            _ => return,
        }
        if rule.what != What::Message {
            self.cover(batch, event, value);
        }
    }

    /// Remembers that a field has explained a part of the message.
    fn cover(&mut self, batch: &Batch, event: &Event, value: Value) {
        let Value::Text(text) = value else { return };
        if let Some(start) = offset_in(batch, text, event.message) {
            self.covered.push((start, start + text.len()));
        }
    }

    /// An address, or a machine by its name.
    fn machine(&mut self, batch: &Batch, text: Text, place: Place, role: Role) {
        let name = batch.text(text).as_bytes();
        if let Some((start, end)) = shapes::address(name) {
            self.add(batch, Kind::Ip, place, role, text.part(start, end));
        } else if let Some(len) = machine_name(name) {
            self.add(batch, Kind::Host, place, role, text.part(0, len));
        }
    }

    /// An address, a domain, or a machine by a name without dots.
    fn domain(&mut self, batch: &Batch, text: Text, role: Role) {
        let name = batch.text(text).as_bytes();
        if let Some((start, end)) = shapes::address(name) {
            self.add(batch, Kind::Ip, Place::Field, role, text.part(start, end));
        } else if let Some(len) = machine_name(name) {
            let kind = if name[..len].contains(&b'.') { Kind::Domain } else { Kind::Host };
            self.add(batch, kind, Place::Field, role, text.part(0, len));
        }
    }

    /// An account, with the domain that another field gives.
    fn user(&mut self, batch: &mut Batch, text: Text, domain: Option<Text>, role: Role) {
        let name = batch.text(text);
        if !shapes::is_account(name.as_bytes()) {
            return;
        }
        let whole = name.contains(['\\', '@']);
        match domain.filter(|_| !whole) {
            None => self.add(batch, Kind::User, Place::Field, role, text),
            Some(domain) => {
                self.name.clear();
                self.name.push_str(batch.text(domain));
                self.name.push('\\');
                self.name.push_str(name);
                self.add_name(batch, Kind::User, Place::Field, role);
            }
        }
    }

    fn named_program(
        &mut self,
        batch: &mut Batch,
        text: Text,
        part: Part,
        halves: &mut Halves,
        role: Role,
    ) {
        let Some(program) = program_of(batch, text) else { return };
        if !std::mem::replace(&mut halves.taken[part as usize], true) {
            self.process(batch, program, halves.pids[part as usize], Place::Field, role);
        }
    }

    /// A program with its process id, if that is known.
    fn process(
        &mut self,
        batch: &mut Batch,
        program: Text,
        pid: Option<Value>,
        place: Place,
        role: Role,
    ) {
        let Some(pid) = pid.and_then(|pid| process_id(batch, pid)) else {
            return self.add(batch, Kind::Process, place, role, program);
        };
        self.name.clear();
        self.name.push_str(batch.text(program));
        push_pid(&mut self.name, pid);
        self.add_name(batch, Kind::Process, place, role);
    }

    fn bare_pid(&mut self, batch: &mut Batch, value: Value, role: Role) {
        let Some(pid) = process_id(batch, value) else { return };
        self.name.clear();
        write!(self.name, "{pid}").expect("a string takes it");
        self.add_name(batch, Kind::Process, Place::Field, role);
    }

    /// A text in a field. That of a Windows record says once more what its other fields have said,
    /// and in fewer words.
    fn rendered(&mut self, batch: &mut Batch, event: &Event, text: Text) {
        let says = |what: What| !matches!(what, What::Machine | What::Message | What::Pid(_));
        let said = self.hits.iter().any(|(_, rule)| says(rule.what));
        if event.format != Format::Windows || !said {
            self.scanned(batch, text, Place::Field, &Kind::ALL);
        }
    }

    fn message(&mut self, batch: &mut Batch, event: &Event) {
        let free = match event.format {
            Format::Plain | Format::KeyValue => true,
            Format::Json | Format::Cef => !has_fields_within(batch, event),
            Format::Windows | Format::Access | Format::Audit => false,
        };
        if free {
            self.scanned_of(batch, event.app, event.message, Place::Text, &Kind::ALL);
        }
    }

    /// What a text mentions, of some kinds.
    fn scanned(&mut self, batch: &mut Batch, whole: Text, place: Place, kinds: &[Kind]) {
        self.scanned_of(batch, Text::NONE, whole, place, kinds);
    }

    /// What a text that a program wrote mentions, of some kinds.
    fn scanned_of(
        &mut self,
        batch: &mut Batch,
        program: Text,
        whole: Text,
        place: Place,
        kinds: &[Kind],
    ) {
        let mut text = batch.text(whole);
        if text.len() > self.scan_bytes {
            let mut end = self.scan_bytes;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text = &text[..end];
            self.cut = true;
        }
        let mut found = std::mem::take(&mut self.found);
        scan_of(batch.text(program), text, &mut found);
        self.cut |= found.is_cut();
        for mention in found.mentions() {
            let span = mention.span();
            let mut covered = self.covered.iter();
            let explained = place == Place::Text
                && covered.any(|(start, end)| *start < span.end && span.start < *end);
            if explained || !kinds.contains(&mention.kind) {
                continue;
            }
            match mention.pid {
                None => {
                    let value = whole.part(span.start, span.end);
                    self.add(batch, mention.kind, place, mention.role, value);
                }
                Some(_) => {
                    // A number in a text is always a parameter.
                    let place = if place == Place::Text { Place::Parameter } else { place };
                    found.name(batch.text(whole), mention, &mut self.name);
                    self.add_name(batch, mention.kind, place, mention.role);
                }
            }
        }
        self.found = found;
    }

    /// Adds the entity that a piece of text names.
    fn add(&mut self, batch: &Batch, kind: Kind, place: Place, role: Role, value: Text) {
        let Some(id) = self.ids.get(kind, batch.text(value)) else { return };
        let entity = EntityRef { id, kind, place, role, value };
        if self.is_new(&entity) {
            self.list.push(entity);
        }
    }

    /// Adds the entity that `self.name` names, which stands in no record as it is.
    fn add_name(&mut self, batch: &mut Batch, kind: Kind, place: Place, role: Role) {
        let Some(id) = self.ids.get(kind, &self.name) else { return };
        let mut entity = EntityRef { id, kind, place, role, value: Text::NONE };
        if self.is_new(&entity) {
            entity.value = batch.keep(&self.name);
            self.list.push(entity);
        }
    }

    /// Whether an entity is to be added. One that is there already learns its role if it had none.
    fn is_new(&mut self, entity: &EntityRef) -> bool {
        for known in &mut self.list {
            if known.id == entity.id && known.kind == entity.kind {
                if known.role == Role::None {
                    known.role = entity.role;
                }
                return false;
            }
        }
        let room = self.list.len() < self.max_entities;
        self.cut |= !room;
        room
    }

    /// Drops what other entities of the event say more fully: `1234` and `sshd` beside `sshd:1234`,
    /// in text `bob` beside `CORP\bob`, and in JSON, where a service stands for its program,
    /// the header's `shop:77` beside a field's `java:77`.
    fn drop_partial(&mut self, batch: &Batch, format: Format) {
        let more = |kind| self.list.iter().filter(|entity| entity.kind == kind).count() > 1;
        if !more(Kind::Process) && !more(Kind::User) {
            return;
        }
        self.whole.clear();
        self.whole.extend_from_slice(&self.list);
        self.list.retain(|part| {
            let others = self.whole.iter().filter(|whole| whole.kind == part.kind);
            let says_more: fn(&Batch, &EntityRef, &EntityRef, Format) -> bool = match part.kind {
                Kind::Process => is_process_of,
                Kind::User if part.place != Place::Header => is_account_of,
                _ => return true,
            };
            !others.into_iter().any(|whole| says_more(batch, part, whole, format))
        });
    }
}

/// Whether `whole` is the process `part` by name and process id.
fn is_process_of(batch: &Batch, part: &EntityRef, whole: &EntityRef, format: Format) -> bool {
    let Some((program, pid)) = batch.text(whole.value).rsplit_once(':') else { return false };
    let name = batch.text(part.value);
    let service = format == Format::Json
        && part.place == Place::Header
        && whole.place == Place::Field
        && name.rsplit_once(':').is_some_and(|(_, same)| same == pid);
    program == name || pid == name || service
}

/// Whether `whole` is the account `part`, which stands in text, with its domain.
fn is_account_of(batch: &Batch, part: &EntityRef, whole: &EntityRef, _: Format) -> bool {
    let (name, whole) = (batch.text(part.value), batch.text(whole.value));
    let user = match whole.split_once('\\') {
        Some((_, user)) => user,
        None => whole.rsplit_once('@').map_or("", |(user, _)| user),
    };
    part.place != Place::Field && user.eq_ignore_ascii_case(name)
}

/// Marks the entities of an event's text that lie in a parameter of its template.
///
/// `spans` are the parameters' places in the event's message, in bytes. An entity of which any
/// part varies, varies. Entities that the header or a field gave stay as they are.
pub fn mark_parameters(batch: &mut Batch, event: usize, spans: &[(u32, u32)]) {
    let event = batch.events[event];
    for index in event.entities.0..event.entities.1 {
        let entity = batch.entities[index as usize];
        if entity.place != Place::Text {
            continue;
        }
        let Some(start) = offset_in(batch, entity.value, event.message) else { continue };
        let (start, end) = (start as u32, (start + entity.value.len()) as u32);
        if spans.iter().any(|span| span.0 < end && start < span.1) {
            batch.entities[index as usize].place = Place::Parameter;
        }
    }
}

/// Where in `outer` the piece `inner` lies, if it lies in it and is not empty.
///
/// A piece of text does not tell where it starts, but two pieces of one string can be compared by
/// where they lie in memory; pieces of different strings never overlap.
fn offset_in(batch: &Batch, inner: Text, outer: Text) -> Option<usize> {
    if inner.is_empty() || inner.len() > outer.len() {
        return None;
    }
    let (inner_at, outer_at) = (batch.text(inner).as_ptr(), batch.text(outer).as_ptr());
    let offset = (inner_at as usize).checked_sub(outer_at as usize)?;
    (offset + inner.len() <= outer.len()).then_some(offset)
}

/// Whether two pieces of text are the same piece.
fn same_place(batch: &Batch, one: Text, other: Text) -> bool {
    one.len() == other.len() && offset_in(batch, one, other) == Some(0)
}

/// Whether a program's name in a header is rather that of a class or module: its last part in
/// capitals, or many parts and no process id.
fn is_class(name: &str, has_pid: bool) -> bool {
    let Some((before, last)) = name.rsplit_once('.') else { return false };
    let deep = !has_pid && before.contains('.');
    (deep || last.starts_with(|first: char| first.is_ascii_uppercase()))
        && !last.eq_ignore_ascii_case("exe")
}

/// Whether the message is a structured body: some field lies within it and is not all of it.
fn has_fields_within(batch: &Batch, event: &Event) -> bool {
    let within = |text: Text| {
        text.len() < event.message.len() && offset_in(batch, text, event.message).is_some()
    };
    batch.fields(event).iter().any(|field| match field.value {
        _ if within(field.name) => true,
        Value::Text(text) => within(text),
        _ => false,
    })
}

/// Notes a field that is one half of a name.
fn note_half(halves: &mut Halves, batch: &Batch, field: &Field, rule: Rule) {
    match (rule.what, field.value) {
        (What::UserDomain(part), Value::Text(text)) => {
            let domain = batch.text(text).as_bytes();
            let usable = !shapes::is_nobody(domain) && domain.len() <= 253;
            if usable && !domain.contains(&b'\\') {
                halves.domains[part as usize].get_or_insert(text);
            }
        }
        (What::Pid(part), value) if process_id(batch, value).is_some() => {
            halves.pids[part as usize].get_or_insert(value);
        }
        (What::Program(part), Value::Text(text)) => {
            halves.programs[part as usize] |= program_of(batch, text).is_some();
        }
        (What::Image(part), Value::Text(text)) => {
            halves.images[part as usize] |= program_of(batch, text).is_some();
        }
        _ => {}
    }
}

/// A process id that is not 0; Windows auditing writes them in hexadecimal.
fn process_id(batch: &Batch, value: Value) -> Option<u64> {
    let pid = match value {
        Value::Int(pid) => u64::try_from(pid).ok()?,
        Value::Text(text) => {
            let text = batch.text(text);
            match text.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16).ok()?,
                None if shapes::is_number(text.as_bytes(), 10) => text.parse().ok()?,
                None => return None,
            }
        }
        _ => return None,
    };
    (pid != 0).then_some(pid)
}

/// Appends `:pid`.
fn push_pid(name: &mut String, mut pid: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    while pid > 0 {
        at -= 1;
        digits[at] = b'0' + (pid % 10) as u8;
        pid /= 10;
    }
    name.push(':');
    name.push_str(std::str::from_utf8(&digits[at..]).expect("digits"));
}

/// The name of a program: the last component of its path, without a module in parentheses.
fn program_of(batch: &Batch, text: Text) -> Option<Text> {
    let name = batch.text(text).as_bytes();
    let path = is_path(batch.text(text));
    let start = match path {
        true => memchr::memrchr2(b'/', b'\\', name).map_or(0, |at| at + 1),
        false => 0,
    };
    let end = memchr::memchr(b'(', &name[start..]).map_or(name.len(), |at| start + at);
    let name = &name[start..end];
    let spaced = path && name.contains(&b' ') && name.len() <= 64;
    (shapes::is_program(name) || spaced).then(|| text.part(start, end))
}

/// How many bytes of `name` are a machine's name: without its port and its last dot.
fn machine_name(name: &[u8]) -> Option<usize> {
    let mut len = name.len();
    if let Some(colon) = memchr::memchr(b':', name) {
        if !shapes::is_number(&name[colon + 1..], 5) {
            return None;
        }
        len = colon;
    }
    if len > 1 && name[len - 1] == b'.' {
        len -= 1;
    }
    (is_host(&name[..len]) && !shapes::is_nobody(&name[..len])).then_some(len)
}

/// Whether a value is an absolute path.
fn is_path(value: &str) -> bool {
    let bytes = value.as_bytes();
    let posix = bytes.len() > 1 && bytes[0] == b'/' && bytes[1] != b'/';
    posix || shapes::has_drive(bytes) || shapes::has_device(bytes) || bytes.starts_with(b"\\??\\")
}

/// Whether a value is an absolute path that is not the path of a request.
fn is_local_path(value: &str) -> bool {
    is_path(value) && (value.starts_with('\\') || shapes::has_known_root(value.as_bytes()))
}
