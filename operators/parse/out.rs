//! Where what is found in records goes: a draft of the event, its fields, decoded text.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::known::{Says, says};
use super::time::Defaults;
use super::{NAME_BYTES_MAX, NAMES_BYTES_MIN, NAMES_BYTES_PER_BYTE, NAMES_MAX, Options};
use crate::types::hash::Set;
use crate::types::{Batch, EventTime, Field, Flags, Format, Severity, Text, Value};

/// What is known so far about the record being read.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) time: Option<EventTime>,
    pub(super) severity: Option<Severity>,
    pub(super) facility: Option<u8>,
    pub(super) format: Format,
    pub(super) flags: Flags,
    pub(super) host: Text,
    pub(super) app: Text,
    pub(super) procid: Text,
    pub(super) msgid: Text,
    /// The message, where it is not the body.
    pub(super) message: Option<Text>,
    /// What is left after the header.
    pub(super) body: &'a str,
}

impl<'a> Draft<'a> {
    pub(super) fn new(body: &'a str, flags: Flags) -> Self {
        Draft {
            time: None,
            severity: None,
            facility: None,
            format: Format::Plain,
            flags,
            host: Text::NONE,
            app: Text::NONE,
            procid: Text::NONE,
            msgid: Text::NONE,
            message: None,
            body,
        }
    }

    /// The same with another body.
    pub(super) fn with_body<'b>(&self, body: &'b str) -> Draft<'b> {
        let Draft { time, severity, facility, format, flags, host, app, procid, msgid, .. } = *self;
        let message = self.message;
        Draft { time, severity, facility, format, flags, host, app, procid, msgid, message, body }
    }
}

/// The batch being filled.
///
/// Names of fields are kept once in a batch: equal names are the same [`Text`], so what follows
/// may remember what a name means to it.
pub(super) struct Out<'a> {
    pub(super) batch: Batch,
    /// For dates of the record being read.
    pub(super) defaults: Defaults<'a>,
    /// Room to put a name together.
    pub(super) path: String,
    /// Room for where a record's nested fields are.
    pub(super) nested: Vec<(usize, usize)>,
    /// A copy of a text of the batch that is being read, by its address, and where the text is.
    aside: Option<(usize, Text)>,
    /// Room for such a copy.
    spare: String,
    /// The names so far. The first is none: it stands for the start of a record.
    names: Vec<Name>,
    /// The places of names in `names`, by their hash.
    index: HashTable<u32>,
    hasher: FixedState,
    /// The name found last.
    previous: u32,
    fields_max: usize,
    /// Where the record's fields start.
    first_field: usize,
    /// How many bytes of joined names the record may still bring.
    names_bytes_left: usize,
    cut: bool,
}

/// A state of the record's fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    fields: usize,
    cut: bool,
}

struct Name {
    text: Text,
    says: Says,
    /// The name that came after it the last time. Records of one kind name their fields in one
    /// order, so it is mostly the next one again, and to compare is cheaper than to hash.
    next: u32,
}

impl<'a> Out<'a> {
    pub(super) fn new(batch: Batch, options: &'a Options) -> Self {
        Out {
            batch,
            defaults: Defaults { received_at: EventTime(0), zone: &options.zone },
            path: String::new(),
            nested: Vec::new(),
            aside: None,
            spare: String::new(),
            names: vec![Name { text: Text::NONE, says: Says::Nothing, next: 0 }],
            index: HashTable::new(),
            hasher: FixedState::with_seed(0),
            previous: 0,
            fields_max: options.fields_max,
            first_field: 0,
            names_bytes_left: 0,
            cut: false,
        }
    }

    /// Begins a record of `bytes` bytes.
    pub(super) fn begin(&mut self, received_at: EventTime, bytes: usize) {
        self.defaults.received_at = received_at;
        self.first_field = self.batch.fields.len();
        self.names_bytes_left = NAMES_BYTES_MIN + NAMES_BYTES_PER_BYTE * bytes;
        self.previous = 0;
        self.cut = false;
    }

    /// Ends a record: where its fields are, and whether some were left out.
    pub(super) fn end(&mut self) -> ((u32, u32), bool) {
        ((self.first_field as u32, self.batch.fields.len() as u32), self.cut)
    }

    /// Notes that something of the record is in no field.
    pub(super) fn cut(&mut self) {
        self.cut = true;
    }

    /// The fields so far, to come back to by [`Out::back_to`].
    pub(super) fn mark(&self) -> Mark {
        Mark { fields: self.batch.fields.len(), cut: self.cut }
    }

    /// Forgets the fields since `mark`. Text that was decoded for them stays, unused.
    pub(super) fn back_to(&mut self, mark: Mark) {
        self.batch.fields.truncate(mark.fields);
        self.cut = mark.cut;
    }

    /// Reads a text of the batch once more: `read` is given a copy of it, the pieces of which lie
    /// where those of the text do. False, and not read, within another such reading.
    pub(super) fn aside(&mut self, text: Text, read: impl FnOnce(&mut Self, &str)) -> bool {
        if self.aside.is_some() {
            return false;
        }
        let mut copy = std::mem::take(&mut self.spare);
        copy.clear();
        copy.push_str(self.text(text));
        self.aside = Some((copy.as_ptr() as usize, text));
        read(self, &copy);
        self.aside = None;
        self.spare = copy;
        true
    }

    /// Where a piece of the block's text lies, or of a copy that is [read aside](Self::aside). A
    /// piece of any other text is copied.
    pub(super) fn place(&mut self, piece: &str) -> Text {
        if piece.is_empty() {
            return Text::NONE;
        }
        let text = self.batch.block.text.as_str();
        let address = piece.as_ptr() as usize;
        let start = address.wrapping_sub(text.as_ptr() as usize);
        if start < text.len() {
            return Text::in_block(start, piece.len());
        }
        if let Some((copy, text)) = self.aside {
            let start = address.wrapping_sub(copy);
            if start < text.len() {
                return text.part(start, start + piece.len());
            }
        }
        self.batch.keep(piece)
    }

    /// What a text says.
    pub(super) fn text(&self, text: Text) -> &str {
        self.batch.text(text)
    }

    /// Keeps what `write` appends to the scratch text.
    pub(super) fn write(&mut self, write: impl FnOnce(&mut String)) -> Text {
        let start = self.batch.scratch.len();
        write(&mut self.batch.scratch);
        Text::in_scratch(start, self.batch.scratch.len() - start)
    }

    /// Adds a field, unless the record has its fill, and says what its name means.
    ///
    /// `name` may be of any text; `place` is the same name in the block, if it stands there.
    pub(super) fn field(&mut self, name: &str, place: Option<&str>, value: Value) -> Says {
        let Some((name, says)) = self.name(name, place) else {
            self.cut = true;
            return Says::Nothing;
        };
        self.push(name, value);
        says
    }

    /// Adds a field whose name stands in the block.
    pub(super) fn field_here(&mut self, name: &str, value: Value) -> Says {
        self.field(name, Some(name), value)
    }

    /// Adds a field named by [`Out::path`].
    pub(super) fn field_at_path(&mut self, place: Option<&str>, value: Value) -> Says {
        let path = std::mem::take(&mut self.path);
        let says = self.field(&path, place, value);
        self.path = path;
        says
    }

    /// Of the fields from `first` on, names those of the `nested` ranges anew whose name one of the
    /// others has as it is, dots and all: by the JSON pointer (RFC 6901) `/a/b` instead of `a.b`.
    /// The ranges ascend.
    pub(super) fn prefer_named(&mut self, first: usize, nested: &[(usize, usize)]) {
        let batch = &self.batch;
        let paths = || nested.iter().flat_map(|(from, to)| *from..*to);
        let mut named: Set<&str> = Set::default();
        let mut next = paths().peekable();
        for at in first..batch.fields.len() {
            let name = batch.text(batch.fields[at].name);
            if next.next_if_eq(&at).is_none() && name.contains('.') {
                named.insert(name);
            }
        }
        if named.is_empty() {
            return;
        }
        let doubled = |at: &usize| named.contains(batch.text(batch.fields[*at].name));
        let doubled: Vec<usize> = paths().filter(doubled).collect();
        drop(named);
        for at in doubled {
            let name = self.batch.text(self.batch.fields[at].name);
            let pointer = format!("/{}", name.replace('.', "/"));
            if let Some((name, _)) = self.name(&pointer, None) {
                self.batch.fields[at].name = name;
            }
        }
    }

    /// Adds a field whose name was kept before.
    pub(super) fn push(&mut self, name: Text, value: Value) {
        if self.batch.fields.len() - self.first_field >= self.fields_max {
            self.cut = true;
            return;
        }
        self.batch.fields.push(Field { name, value });
    }

    /// The one place of a name in this batch, and what it means.
    pub(super) fn name(&mut self, name: &str, place: Option<&str>) -> Option<(Text, Says)> {
        // Known names count as well: what is cut may depend on nothing but the record.
        if place.is_none() {
            self.names_bytes_left = self.names_bytes_left.checked_sub(name.len())?;
        }
        if name.len() > NAME_BYTES_MAX {
            return None;
        }
        let guess = self.names[self.previous as usize].next;
        if let Some(known) = self.names.get(guess as usize)
            && guess > 0
            && self.batch.text(known.text) == name
        {
            self.previous = guess;
            return Some((known.text, known.says));
        }
        let hashed = hash(&self.hasher, name);
        let (batch, names) = (&self.batch, &self.names);
        let is_name = |index: &u32| batch.text(names[*index as usize].text) == name;
        if let Some(index) = self.index.find(hashed, is_name).copied() {
            self.names[self.previous as usize].next = index;
            self.previous = index;
            let known = &self.names[index as usize];
            return Some((known.text, known.says));
        }
        let says = says(name);
        let text = match place {
            Some(place) => self.place(place),
            None => self.batch.keep(name),
        };
        if self.names.len() <= NAMES_MAX {
            let index = self.names.len() as u32;
            self.names.push(Name { text, says, next: 0 });
            let (batch, names, hasher) = (&self.batch, &self.names, &self.hasher);
            let rehash = |index: &u32| hash(hasher, batch.text(names[*index as usize].text));
            self.index.insert_unique(hashed, index, rehash);
            self.names[self.previous as usize].next = index;
            self.previous = index;
        }
        Some((text, says))
    }
}

fn hash(hasher: &FixedState, name: &str) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(name.as_bytes());
    hasher.finish()
}
