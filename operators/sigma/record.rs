//! What the engine reads of a record: named values, the message, and the views.
//!
//! Names are those of Sigma; a pipeline has already renamed what the source called otherwise, and
//! has set the views. Objects are flattened: names joined by dots, an element of an array under
//! the array's name, so that a name may stand several times. Nothing here owns text.

use super::compile::{FieldId, RuleSet};
use super::logsource::View;
use crate::types::{Batch, Field, event};

/// A record as rules see it. Fill it, match it, [`clear`](Record::clear) it, fill it again.
#[derive(Clone, Debug, Default)]
pub struct Record<'a> {
    pub(crate) fields: Vec<FieldValue<'a>>,
    pub(crate) message: &'a str,
    pub(crate) views: Vec<View>,
}

/// One named value of a record.
#[derive(Clone, Copy, Debug)]
pub struct FieldValue<'a> {
    /// The number of the field, if a rule asks for it.
    pub id: FieldId,
    /// Its name.
    pub name: &'a str,
    /// Its value.
    pub value: Value<'a>,
}

/// A value of a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Text.
    Text(&'a str),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// Present and null.
    Null,
}

impl<'a> Value<'a> {
    /// A value of a parsed event.
    #[must_use]
    pub fn of(batch: &'a Batch, value: event::Value) -> Self {
        match value {
            event::Value::Text(text) => Value::Text(batch.text(text)),
            event::Value::Int(int) => Value::Int(int),
            event::Value::Float(float) => Value::Float(float),
            event::Value::Bool(value) => Value::Bool(value),
            event::Value::Null => Value::Null,
        }
    }

    /// The text that stands for it, written to `buffer` if it has none of its own; `None` for null.
    ///
    /// A float that is whole is written like a whole number.
    pub fn text<'b>(&'b self, buffer: &'b mut String) -> Option<&'b str> {
        use std::fmt::Write;
        buffer.clear();
        match self {
            Value::Text(text) => return Some(text),
            Value::Int(int) => push_int(*int, buffer),
            Value::Float(float) => {
                write!(buffer, "{float}").expect("writing to a string does not fail");
            }
            Value::Bool(true) => buffer.push_str("true"),
            Value::Bool(false) => buffer.push_str("false"),
            Value::Null => return None,
        }
        Some(buffer)
    }

    /// The number that it is, or that its text is.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Int(int) => Some(*int as f64),
            Value::Float(float) => Some(*float),
            Value::Text(text) => {
                let number = text.trim().parse::<f64>().ok()?;
                number.is_finite().then_some(number)
            }
            Value::Bool(_) | Value::Null => None,
        }
    }
}

/// Decimal digits, without the machinery of formatting.
fn push_int(int: i64, out: &mut String) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = int.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if int < 0 {
        out.push('-');
    }
    out.push_str(std::str::from_utf8(&digits[at..]).expect("digits are ASCII"));
}

impl<'a> Record<'a> {
    /// A record of nothing.
    #[must_use]
    pub fn new() -> Self {
        Record::default()
    }

    /// Makes it a record of nothing again, and keeps its memory.
    pub fn clear(&mut self) {
        self.fields.clear();
        self.views.clear();
        self.message = "";
    }

    /// An empty record with this one's memory, for texts that live elsewhere.
    #[must_use]
    pub fn recycled<'b>(mut self) -> Record<'b> {
        self.clear();
        let none = self.fields.into_iter().map(|_| unreachable!("it was cleared"));
        Record { fields: none.collect(), message: "", views: self.views }
    }

    /// Adds a named value. `rules` is the set that the record will be matched against.
    pub fn push(&mut self, rules: &RuleSet, name: &'a str, value: Value<'a>) {
        let id = rules.field(name);
        self.fields.push(FieldValue { id, name, value });
    }

    /// Adds a value whose field's number is known already.
    pub fn push_field(&mut self, field: FieldValue<'a>) {
        self.fields.push(field);
    }

    /// Adds the fields of a parsed event under their own names.
    pub fn push_fields(&mut self, rules: &RuleSet, batch: &'a Batch, fields: &[Field]) {
        for field in fields {
            self.push(rules, batch.text(field.name), Value::of(batch, field.value));
        }
    }

    /// Sets the text in which keywords are looked for beside the fields' texts.
    pub fn set_message(&mut self, message: &'a str) {
        self.message = message;
    }

    /// Adds a view; see [`RuleSet::view`]. A view that is there already is not added again.
    pub fn push_view(&mut self, view: View) {
        if !self.views.contains(&view) {
            self.views.push(view);
        }
    }

    /// Its values, in the order in which they came.
    #[must_use]
    pub fn fields(&self) -> &[FieldValue<'a>] {
        &self.fields
    }

    /// Its message.
    #[must_use]
    pub fn message(&self) -> &'a str {
        self.message
    }

    /// Its views.
    #[must_use]
    pub fn views(&self) -> &[View] {
        &self.views
    }

    /// The texts in which keywords are looked for.
    pub(crate) fn keyword_texts(&self) -> impl Iterator<Item = &'a str> {
        let texts = self.fields.iter().filter_map(|field| match field.value {
            Value::Text(text) => Some(text),
            _ => None,
        });
        texts.chain(Some(self.message).filter(|message| !message.is_empty()))
    }
}

/// The named values of a JSON object, flattened as this module says. A key that itself contains a
/// dot wins over a path of the same name, which is then named by its JSON pointer.
///
/// For tools and tests; records on the hot path come flattened from the parser.
#[must_use]
pub fn flatten(object: &serde_json::Map<String, serde_json::Value>) -> Vec<(String, Json<'_>)> {
    let mut out = Vec::new();
    let literal = |name: &str| name.contains('.') && object.contains_key(name);
    for (key, value) in object {
        flatten_value(key, value, 0, &literal, &mut out);
    }
    out
}

/// A scalar of a JSON object.
pub type Json<'a> = Value<'a>;

/// How deep [`flatten`] follows nested objects.
const FLATTEN_DEPTH_MAX: usize = 64;

fn flatten_value<'a>(
    name: &str,
    value: &'a serde_json::Value,
    depth: usize,
    literal: &impl Fn(&str) -> bool,
    out: &mut Vec<(String, Value<'a>)>,
) {
    use serde_json::Value as Json;
    if depth > FLATTEN_DEPTH_MAX {
        return;
    }
    let own = || match depth > 0 && literal(name) {
        true => format!("/{}", name.replace('.', "/")),
        false => name.to_owned(),
    };
    let scalar = match value {
        Json::Object(object) if object.is_empty() => Value::Null,
        Json::Object(object) => {
            for (key, value) in object {
                flatten_value(&format!("{name}.{key}"), value, depth + 1, literal, out);
            }
            return;
        }
        Json::Array(elements) if elements.is_empty() => Value::Null,
        Json::Array(elements) => {
            for element in elements {
                match element {
                    Json::Object(_) | Json::Array(_) => {
                        flatten_value(name, element, depth, literal, out);
                    }
                    element => out.push((own(), scalar(element))),
                }
            }
            return;
        }
        value => scalar(value),
    };
    out.push((own(), scalar));
}

fn scalar(value: &serde_json::Value) -> Value<'_> {
    use serde_json::Value as Json;
    match value {
        Json::String(text) => Value::Text(text),
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(int), _) => Value::Int(int),
            (None, Some(float)) => Value::Float(float),
            (None, None) => Value::Null,
        },
        Json::Null | Json::Array(_) | Json::Object(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_text_that_rules_write() {
        let text = |value: Value| value.text(&mut String::new()).map(str::to_owned);
        assert_eq!(text(Value::Int(i64::MIN)).unwrap(), i64::MIN.to_string());
        assert_eq!(text(Value::Int(0)).unwrap(), "0");
        assert_eq!(text(Value::Float(4625.0)).unwrap(), "4625");
        assert_eq!(text(Value::Float(1.5)).unwrap(), "1.5");
        assert_eq!(text(Value::Bool(true)).unwrap(), "true");
        assert_eq!(text(Value::Null), None);
    }

    #[test]
    fn a_literal_dotted_key_wins_over_a_path() {
        let json = serde_json::json!({"a.b": "y", "a": {"b": "x", "c": [1, {"d": 2}]}});
        let names: Vec<String> =
            flatten(json.as_object().unwrap()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.iter().filter(|name| *name == "a.b").count(), 1);
        assert!(names.contains(&"a.c".to_owned()) && names.contains(&"a.c.d".to_owned()));
    }
}
