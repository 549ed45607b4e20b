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
    keywords: Option<Keywords>,
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

/// Where the texts are in which keywords are looked for.
#[derive(Clone, Debug)]
struct Keywords {
    texts: Range<usize>,
    piece: Range<usize>,
}

impl Texts {
    pub(super) fn new(fields: usize) -> Self {
        Texts {
            folded: Vec::new(),
            slow: String::new(),
            list: Vec::new(),
            last: vec![END; fields],
            whole: Fields::none(fields),
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

    /// Folds the texts in which keywords are looked for, as one piece.
    pub(super) fn fold_keywords(&mut self, record: &Record<'_>) {
        if self.keywords.is_some() {
            return;
        }
        let (first, from) = (self.list.len(), self.folded.len());
        let fields = record.fields.iter().map(|field| (field.id, field.value));
        let message = Some(record.message).filter(|message| !message.is_empty());
        let message = message.map(|message| (FieldId::UNKNOWN, Value::Text(message)));
        for (field, value) in fields.chain(message) {
            let Value::Text(text) = value else { continue };
            let start = self.folded.len();
            match text.is_ascii() {
                true => self.folded.extend_from_slice(text.as_bytes()),
                false => self.push_slowly(text),
            }
            self.note(field, start);
            self.folded.push(BETWEEN);
        }
        // All at once, which is much faster than one by one. What is folded stays as it is.
        self.folded[from..].make_ascii_lowercase();
        let (texts, piece) = (first..self.list.len(), from..self.folded.len());
        self.keywords = Some(Keywords { texts, piece });
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
        let with_texts = self.keywords.is_none();
        if with_texts {
            // Those that are here already are folded once more.
            self.last[field.index()] = END;
        }
        for own in record.fields.iter().filter(|own| own.id == field) {
            if with_texts || !matches!(own.value, Value::Text(_)) {
                self.fold(field, &own.value);
            }
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

    /// The texts in which keywords are looked for, if they are here.
    pub(super) fn of_keywords(&self) -> impl Iterator<Item = &[u8]> {
        let texts = self.keywords.as_ref().map_or(0..0, |keywords| keywords.texts.clone());
        self.list[texts].iter().map(|text| &self.folded[text.place.clone()])
    }

    /// The same texts as one piece, with [`BETWEEN`] after each.
    pub(super) fn keywords_piece(&self) -> &[u8] {
        let piece = self.keywords.as_ref().map_or(0..0, |keywords| keywords.piece.clone());
        &self.folded[piece]
    }
}

/// A folded text as one.
pub(super) fn text(folded: &[u8]) -> &str {
    std::str::from_utf8(folded).expect("what is folded is text")
}
