//! What is wrong with a rule file, and where: the lines that `rules lint` prints.
//!
//! A bad document costs itself and nothing else. Each fault is one [`Diagnostic`] with the file,
//! the line, the column and a reason that says what would have been right.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// A place in a file. Lines and columns count from 1, columns in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Pos {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl Pos {
    /// The first character of a file.
    pub const START: Pos = Pos { line: 1, column: 1 };
}

impl fmt::Display for Pos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// How much a [`Diagnostic`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Gravity {
    /// The document is not used.
    Error,
    /// The document is used, and perhaps not as its author meant.
    Warning,
    /// The document is used; this is how it was understood.
    Note,
}

impl fmt::Display for Gravity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Gravity::Error => "error",
            Gravity::Warning => "warning",
            Gravity::Note => "note",
        })
    }
}

/// One thing to say about one document of one file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Diagnostic {
    /// The file, as it was named to [`parse`](super::parse).
    #[serde(serialize_with = "as_text")]
    pub file: Arc<str>,
    /// Where in the file.
    pub at: Pos,
    /// How much it matters.
    pub gravity: Gravity,
    /// A short, stable name of the kind of fault: `unknown-modifier`.
    pub code: &'static str,
    /// What was wanted, with which value.
    pub reason: String,
    /// What would have been right, where that can be told.
    pub hint: Option<String>,
    /// The title of the rule, if it got that far.
    pub rule: Option<String>,
    /// Whether the document says of itself that it is deprecated or unsupported.
    pub retired: bool,
}

fn as_text<S: serde::Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.file, self.at, self.gravity, self.reason)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// A fault on its way to become a [`Diagnostic`]: it does not yet know its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: Pos,
    pub(crate) code: &'static str,
    pub(crate) reason: String,
    pub(crate) hint: Option<String>,
}

impl Fault {
    pub(crate) fn new(at: Pos, code: &'static str, reason: impl Into<String>) -> Self {
        Fault { at, code, reason: reason.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds "did you mean" when one of `known` is at most two edits from `given`.
    pub(crate) fn suggest<'a>(self, given: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(given, known) {
            Some(name) => self.hint(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    pub(crate) fn diagnostic(
        self,
        file: &Arc<str>,
        rule: Option<&str>,
        gravity: Gravity,
    ) -> Diagnostic {
        Diagnostic {
            file: Arc::clone(file),
            at: self.at,
            gravity,
            code: self.code,
            reason: self.reason,
            hint: self.hint,
            rule: rule.map(str::to_owned),
            retired: false,
        }
    }
}

/// The name at most two edits (and less than half its length) from `given`; the nearest, then the
/// first.
pub(crate) fn nearest<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    const GIVEN_MAX: usize = 64;
    if given.len() > GIVEN_MAX {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for name in known {
        let edits = distance(given, name);
        if edits <= 2 && edits * 2 < name.len() && best.is_none_or(|(least, _)| edits < least) {
            best = Some((edits, name));
        }
    }
    best.map(|(_, name)| name)
}

/// Insertions, deletions and replacements between two names, in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(!left.eq_ignore_ascii_case(&right));
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// `text` in back-quotes, cut to what fits on a line and without control characters.
pub(crate) fn quoted(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    let mut out = String::from("`");
    for (i, c) in text.chars().enumerate() {
        if i == CHARS_MAX {
            out.push('…');
            break;
        }
        out.push(if c.is_control() { '\u{FFFD}' } else { c });
    }
    out.push('`');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggestion_is_at_most_two_edits_away() {
        assert_eq!(nearest("containz", ["endswith", "contains"]), Some("contains"));
        assert_eq!(nearest("cotnains", ["contains"]), Some("contains"));
        assert_eq!(nearest("re", ["i", "s"]), None);
        assert_eq!(nearest("something", ["contains"]), None);
    }
}
