//! The event at hand, as cells of names and values.

use std::sync::Arc;

use super::super::compile::{FieldId, RuleSet};
use super::super::logsource::View;
use super::super::record::Value;
use super::windows;
use crate::types::hash::Map;
use crate::types::{Batch, Text, event};

/// How many names of fields are remembered; beyond, those that no pipeline mentions are forgotten.
pub const NAMES_MAX: usize = 1 << 16;

/// The number of a name.
pub(super) type NameId = u32;

/// A name that a field has.
pub(super) struct Name {
    pub(super) text: Box<str>,
    pub(super) id: FieldId,
    /// What a Windows event means by it; found when one has it.
    pub(super) meaning: Option<windows::Meaning>,
    /// Where the batch that was seen last has it, and the name that came next there.
    pub(super) batch: u32,
    pub(super) place: Text,
    pub(super) next: NameId,
}

/// All names. Those that pipelines mention come first and stay.
pub(super) struct Names {
    pub(super) rules: Arc<RuleSet>,
    pub(super) all: Vec<Name>,
    pub(super) by_text: Map<Box<str>, NameId>,
    pub(super) kept: usize,
    pub(super) batch: u32,
    pub(super) previous: NameId,
}

impl Names {
    /// No names but the first, which stands for the start of a record and is no field's.
    pub(super) fn new(rules: &Arc<RuleSet>) -> Self {
        let mut names = Names {
            rules: Arc::clone(rules),
            all: Vec::new(),
            by_text: Map::default(),
            kept: 0,
            batch: 0,
            previous: 0,
        };
        names.number("");
        names
    }

    pub(super) fn number(&mut self, text: &str) -> NameId {
        if let Some(known) = self.by_text.get(text) {
            return *known;
        }
        let number = self.all.len() as NameId;
        let id = self.rules.field(text);
        let text: Box<str> = text.into();
        self.by_text.insert(text.clone(), number);
        let (batch, place, next) = (0, Text::NONE, 0);
        self.all.push(Name { text, id, meaning: None, batch, place, next });
        number
    }

    /// The number of a field's name. Records of one kind have their fields in one order, so the
    /// guess is mostly right.
    pub(super) fn find(&mut self, batch: &Batch, place: Text) -> NameId {
        let guess = self.all[self.previous as usize].next;
        let guessed = &self.all[guess as usize];
        if guessed.batch == self.batch && guessed.place == place {
            self.previous = guess;
            return guess;
        }
        let number = self.number(batch.text(place));
        self.all[self.previous as usize].next = number;
        let name = &mut self.all[number as usize];
        (name.batch, name.place) = (self.batch, place);
        self.previous = number;
        number
    }

    /// Forgets what no pipeline mentions, if there is too much of it.
    pub(super) fn bound(&mut self) {
        if self.all.len() <= NAMES_MAX {
            return;
        }
        for name in self.all.drain(self.kept..) {
            self.by_text.remove(&name.text);
        }
        self.previous = 0;
        for name in &mut self.all {
            (name.next, name.meaning) = (0, None);
        }
    }
}

/// A value of the event at hand.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Content {
    Found(event::Value),
    Fixed(&'static str),
    /// A piece of [`Row::made`].
    Made(u32, u32),
}

#[derive(Clone, Copy)]
pub(super) struct Cell {
    pub(super) name: NameId,
    pub(super) content: Content,
}

/// The event at hand.
#[derive(Default)]
pub(super) struct Row {
    pub(super) cells: Vec<Cell>,
    /// Values that had to be made.
    pub(super) made: String,
    /// For each name, one more than the place of its first cell.
    pub(super) first: Vec<u32>,
    pub(super) views: Vec<View>,
    pub(super) digits: String,
}

impl Row {
    pub(super) fn clear(&mut self) {
        for cell in self.cells.drain(..) {
            self.first[cell.name as usize] = 0;
        }
        self.made.clear();
        self.views.clear();
    }

    #[inline]
    pub(super) fn push(&mut self, name: NameId, content: Content) {
        let at = name as usize;
        if at >= self.first.len() {
            self.first.resize(at + 1, 0);
        }
        self.cells.push(Cell { name, content });
        if self.first[at] == 0 {
            self.first[at] = self.cells.len() as u32;
        }
    }

    pub(super) fn has(&self, name: NameId) -> bool {
        self.first.get(name as usize).is_some_and(|first| *first > 0)
    }

    /// Whether a name has a value that is not null.
    pub(super) fn has_value(&self, name: NameId) -> bool {
        const NULL: Content = Content::Found(event::Value::Null);
        self.has(name) && self.cells_of(name).any(|cell| cell.content != NULL)
    }

    /// Gives the values of a name to another.
    pub(super) fn copy(&mut self, from: NameId, to: NameId) {
        if !self.has(from) {
            return;
        }
        for at in 0..self.cells.len() {
            if self.cells[at].name == from {
                self.push(to, self.cells[at].content);
            }
        }
    }

    pub(super) fn push_text(&mut self, name: NameId, text: Text) {
        self.push(name, Content::Found(event::Value::Text(text)));
    }

    /// Gives a name the texts of others in a row, up to one that is not there, with blanks between.
    pub(super) fn join(&mut self, others: &[NameId], name: NameId, batch: &Batch) {
        let start = self.made.len();
        for other in others {
            let Some(text) = self.place(*other) else { break };
            if self.made.len() > start {
                self.made.push(' ');
            }
            self.made.push_str(batch.text(text));
        }
        if self.made.len() > start {
            self.push(name, Content::Made(start as u32, self.made.len() as u32));
        }
    }

    /// Where the first value of a name stands, if that is a text of the record.
    pub(super) fn place(&self, name: NameId) -> Option<Text> {
        match self.cells_of(name).next()?.content {
            Content::Found(event::Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The cells of a name.
    pub(super) fn cells_of(&self, name: NameId) -> impl Iterator<Item = &Cell> {
        let first = self.first.get(name as usize).copied().unwrap_or(0);
        let from = first.checked_sub(1).map_or(self.cells.len(), |first| first as usize);
        self.cells[from..].iter().filter(move |cell| cell.name == name)
    }

    #[inline]
    pub(super) fn value<'a>(&'a self, batch: &'a Batch, cell: &Cell) -> Value<'a> {
        match cell.content {
            Content::Found(value) => Value::of(batch, value),
            Content::Fixed(text) => Value::Text(text),
            Content::Made(from, to) => Value::Text(&self.made[from as usize..to as usize]),
        }
    }

    /// The first value of a name, if that is a text.
    pub(super) fn text<'a>(&'a self, batch: &'a Batch, name: NameId) -> &'a str {
        let value = self.cells_of(name).next().map(|cell| self.value(batch, cell));
        match value {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    pub(super) fn see(&mut self, view: View) {
        if !self.views.contains(&view) {
            self.views.push(view);
        }
    }
}
