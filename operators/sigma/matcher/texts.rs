//! The folded texts of the record at hand, each made once.

use std::ops::Range;

use super::super::compile::FieldId;
use super::super::record::{Record, Value};
use super::super::scan::{BETWEEN, Fields};
use super::super::value::fold_into;

/// How many bytes of room for folded text are kept from record to record.
const FOLDED_KEPT: usize = 1 << 20;
/// The end of a chain of texts.
const END: u32 = u32::MAX;

/// Folded texts, and whose they are.
#[derive(Debug)]
pub(super) struct Texts {
    folded: Vec<u8>,
    list: Vec<Text>,
    /// For each field, the text of it that was folded last.
    last: Vec<u32>,
    /// The fields of which all values are here.
    whole: Fields,
    piece: Piece,
    /// Where all texts are in which keywords are looked for, once a late test has asked for them.
    keywords: Option<Range<usize>>,
    digits: String,
    /// Room for a text that is not ASCII.
    slow: String,
}

#[derive(Clone, Debug)]
struct Text {
    field: FieldId,
    place: Range<usize>,
    /// The text of the same field before it.
    before: u32,
}

/// The first texts, if keywords are looked for in them all at once.
#[derive(Clone, Copy, Debug, Default)]
struct Piece {
    texts: usize,
    bytes: usize,
}

impl Texts {
    pub(super) fn new(fields: usize) -> Self {
        Texts {
            folded: Vec::new(),
            slow: String::new(),
            list: Vec::new(),
            last: vec![END; fields],
            whole: Fields::none(fields),
            piece: Piece::default(),
            keywords: None,
            digits: String::new(),
        }
    }

    pub(super) fn clear(&mut self) {
        for text in self.list.drain(..) {
            if let Some(last) = self.last.get_mut(text.field.index()) {
                *last = END;
            }
        }
        self.keywords = None;
        self.piece = Piece::default();
        self.folded.clear();
        self.folded.shrink_to(FOLDED_KEPT);
    }

    /// Begins a record, of which all values of `fields` are going to be folded first.
    #[inline]
    pub(super) fn begin(&mut self, fields: &Fields) {
        self.whole.0.clone_from(&fields.0);
    }

    /// Folds a text and gives it a number.
    #[inline]
    fn push(&mut self, field: FieldId, text: &str) -> usize {
        let start = self.folded.len();
        if text.is_ascii() {
            self.folded.extend_from_slice(text.as_bytes());
            self.folded[start..].make_ascii_lowercase();
        } else {
            self.push_slowly(text);
        }
        self.note(field, start)
    }

    #[cold]
    fn push_slowly(&mut self, text: &str) {
        self.slow.clear();
        fold_into(text, &mut self.slow);
        self.folded.extend_from_slice(self.slow.as_bytes());
    }

    /// Gives a number to what was folded from `start` on.
    #[inline]
    fn note(&mut self, field: FieldId, start: usize) -> usize {
        let number = self.list.len();
        let before = match self.last.get_mut(field.index()) {
            Some(last) => std::mem::replace(last, number as u32),
            None => END,
        };
        self.list.push(Text { field, place: start..self.folded.len(), before });
        number
    }

    /// Folds a value of a field; the number of its text, or `None` for null.
    #[inline]
    pub(super) fn fold(&mut self, field: FieldId, value: &Value<'_>) -> Option<usize> {
        let mut digits = std::mem::take(&mut self.digits);
        let text = value.text(&mut digits);
        let number = text.map(|text| self.push(field, text));
        self.digits = digits;
        number
    }

    /// Adds a text to the piece, which is [folded](Texts::fold_piece) later; its number.
    #[inline]
    pub(super) fn push_to_piece(&mut self, field: FieldId, text: &str) -> usize {
        let start = self.folded.len();
        match text.is_ascii() {
            true => self.folded.extend_from_slice(text.as_bytes()),
            false => self.push_slowly(text),
        }
        let number = self.note(field, start);
        self.folded.push(BETWEEN);
        number
    }

    /// Folds the piece, to which nothing is added any more: all at once, which is much faster than
    /// one by one. What is folded stays as it is.
    pub(super) fn fold_piece(&mut self) {
        self.folded.make_ascii_lowercase();
        self.piece = Piece { texts: self.list.len(), bytes: self.folded.len() };
    }

    /// Folds all texts in which keywords are looked for.
    fn fold_keywords(&mut self, record: &Record<'_>) {
        if self.keywords.is_some() {
            return;
        }
        let first = self.list.len();
        for field in &record.fields {
            if let Value::Text(text) = field.value {
                self.push(field.id, text);
            }
        }
        if !record.message.is_empty() {
            self.push(FieldId::UNKNOWN, record.message);
        }
        self.keywords = Some(first..self.list.len());
    }

    /// Sees to it that all values of a field are here.
    #[inline]
    pub(super) fn want(&mut self, field: FieldId, record: &Record<'_>) {
        if field.is_keywords() {
            return self.fold_keywords(record);
        }
        if self.whole.has(field) {
            return;
        }
        self.whole.add(field);
        // Those that are here already are folded once more.
        self.last[field.index()] = END;
        for own in record.fields.iter().filter(|own| own.id == field) {
            self.fold(field, &own.value);
        }
    }

    /// Says that all values of a field are going to be folded.
    #[inline]
    pub(super) fn have(&mut self, field: FieldId) {
        self.whole.add(field);
    }

    /// Says that a value of a field was not folded after all.
    #[inline]
    pub(super) fn miss(&mut self, field: FieldId) {
        self.whole.remove(field);
    }

    /// How many texts there are.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// A text by its number, and its field.
    #[inline]
    pub(super) fn get(&self, number: usize) -> (FieldId, &[u8]) {
        let text = &self.list[number];
        (text.field, &self.folded[text.place.clone()])
    }

    /// The texts of a field that are here.
    #[inline]
    pub(super) fn of(&self, field: FieldId) -> impl Iterator<Item = &[u8]> {
        let mut next = self.last[field.index()];
        std::iter::from_fn(move || {
            let text = self.list.get(next as usize)?;
            next = text.before;
            Some(&self.folded[text.place.clone()])
        })
    }

    /// All texts in which keywords are looked for, once they were wanted.
    pub(super) fn of_keywords(&self) -> impl Iterator<Item = &[u8]> {
        let texts = self.keywords.clone().unwrap_or(0..0);
        self.list[texts].iter().map(|text| &self.folded[text.place.clone()])
    }

    /// The texts of the piece.
    pub(super) fn of_piece(&self) -> impl Iterator<Item = &[u8]> {
        self.list[..self.piece.texts].iter().map(|text| &self.folded[text.place.clone()])
    }

    /// The same texts in a row, with [`BETWEEN`] after each.
    pub(super) fn piece(&self) -> &[u8] {
        &self.folded[..self.piece.bytes]
    }
}

/// A folded text as one.
pub(super) fn text(folded: &[u8]) -> &str {
    std::str::from_utf8(folded).expect("what is folded is text")
}
