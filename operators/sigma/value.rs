//! Strings with wildcards, and how two strings are the same.
//!
//! `*` stands for any run of characters, none and newlines included; `?` for exactly one. A
//! backslash before `*`, `?` or another backslash makes that character plain; before anything
//! else, and at the end, it is itself. So `C:\Temp` needs no escaping, `\\*` is a backslash and a
//! wildcard, and `\\\*` a backslash and a star.
//!
//! Strings are compared after [`fold`]: Unicode lower case, character by character. Modifiers add
//! wildcards around the parsed value.

use memchr::memmem::Finder;

use super::diagnose::{Fault, Pos};

/// A string value of a rule, parsed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern {
    parts: Vec<Part>,
}

/// A piece of a [`Pattern`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// These characters.
    Text(String),
    /// Any run of characters, also none.
    Any,
    /// One character.
    One,
    /// One of the characters that begin a command line option: see [`DASHES`].
    Dash,
    /// The values of a placeholder.
    Placeholder(String),
}

/// What `windash` takes for the same: hyphen, slash, en dash, em dash, horizontal bar.
pub const DASHES: [char; 5] = ['-', '/', '–', '—', '―'];

/// The most strings that one value may stand for, once its dashes and placeholders are expanded.
pub const EXPANSIONS_MAX: usize = 4096;

impl Pattern {
    /// Parses a value as it stands in a rule.
    #[must_use]
    pub fn parse(value: &str) -> Self {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut chars = value.chars().peekable();
        while let Some(c) = chars.next() {
            let wildcard = match c {
                '\\' => {
                    let plain = chars.next_if(|next| matches!(next, '\\' | '*' | '?'));
                    text.push(plain.unwrap_or('\\'));
                    continue;
                }
                '*' => Part::Any,
                '?' => Part::One,
                _ => {
                    text.push(c);
                    continue;
                }
            };
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text)));
            }
            if wildcard != Part::Any || parts.last() != Some(&Part::Any) {
                parts.push(wildcard);
            }
        }
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Pattern { parts }
    }

    /// The pattern that stands for exactly this text.
    #[must_use]
    pub fn literal(text: &str) -> Self {
        match text {
            "" => Pattern { parts: Vec::new() },
            _ => Pattern { parts: vec![Part::Text(text.to_owned())] },
        }
    }

    /// Its pieces. No two texts and no two [`Part::Any`] stand beside each other.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The text, if there is nothing but text.
    #[must_use]
    pub fn as_literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// With a wildcard before it.
    #[must_use]
    pub fn open_start(mut self) -> Self {
        if self.parts.first() != Some(&Part::Any) {
            self.parts.insert(0, Part::Any);
        }
        self
    }

    /// With a wildcard after it.
    #[must_use]
    pub fn open_end(mut self) -> Self {
        if self.parts.last() != Some(&Part::Any) {
            self.parts.push(Part::Any);
        }
        self
    }

    /// With each option dash in its texts standing for any of [`DASHES`].
    ///
    /// An option dash is a `-` or `/` before a letter, digit or underscore and not after one.
    #[must_use]
    pub fn windash(self) -> Self {
        let word = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric() || *c == '_');
        let mut out = Pattern { parts: Vec::new() };
        for part in self.parts {
            let Part::Text(text) = part else {
                out.parts.push(part);
                continue;
            };
            let chars: Vec<char> = text.chars().collect();
            for (i, c) in chars.iter().enumerate() {
                let before = i.checked_sub(1).map(|i| &chars[i]);
                match c {
                    '-' | '/' if !word(before) && word(chars.get(i + 1)) => {
                        out.parts.push(Part::Dash);
                    }
                    c => out.push_char(*c),
                }
            }
        }
        out
    }

    /// With `%name%` in its texts standing for a placeholder; `\%` is a plain percent sign.
    #[must_use]
    pub fn placeholders(self) -> Self {
        let mut out = Pattern { parts: Vec::new() };
        for part in self.parts {
            let Part::Text(text) = part else {
                out.parts.push(part);
                continue;
            };
            let mut rest = text.as_str();
            while let Some(c) = rest.chars().next() {
                if let Some(tail) = rest.strip_prefix("\\%") {
                    out.push_char('%');
                    rest = tail;
                } else if let Some((name, tail)) = placeholder(rest) {
                    out.parts.push(Part::Placeholder(name.to_owned()));
                    rest = tail;
                } else {
                    out.push_char(c);
                    rest = &rest[c.len_utf8()..];
                }
            }
        }
        out
    }

    /// With each placeholder replaced by each of its values, which `values` knows by name; values
    /// are parsed like values of rules.
    pub(crate) fn expand<'v>(
        &self,
        at: Pos,
        values: impl Fn(&str) -> Option<&'v [String]>,
    ) -> Result<Vec<Pattern>, Fault> {
        let mut done = vec![Pattern { parts: Vec::new() }];
        for part in &self.parts {
            let Part::Placeholder(name) = part else {
                done.iter_mut().for_each(|pattern| pattern.push(part.clone()));
                continue;
            };
            let Some(values) = values(name).filter(|values| !values.is_empty()) else {
                let reason = format!("the placeholder `%{name}%` has no values");
                return Err(Fault::new(at, "unresolved-placeholder", reason).hint(format!(
                    "the configuration gives them, as in `rules.placeholders: \
                         {{{name}: [one, two]}}`"
                )));
            };
            if done.len() * values.len() > EXPANSIONS_MAX {
                let reason = format!("this value stands for more than {EXPANSIONS_MAX} strings");
                return Err(Fault::new(at, "too-many-expansions", reason));
            }
            let mut next = Vec::with_capacity(done.len() * values.len());
            for pattern in &done {
                for value in values {
                    let mut pattern = pattern.clone();
                    Pattern::parse(value).parts.into_iter().for_each(|part| pattern.push(part));
                    next.push(pattern);
                }
            }
            done = next;
        }
        Ok(done)
    }

    /// Whether it holds placeholders that want values.
    #[must_use]
    pub fn has_placeholders(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Placeholder(_)))
    }

    /// Each pattern that results when its dashes are written out; `None` if more than `most`.
    #[must_use]
    pub fn without_dashes(&self, most: usize) -> Option<Vec<Pattern>> {
        let dashes = self.parts.iter().filter(|part| **part == Part::Dash).count();
        let count = DASHES.len().checked_pow(dashes as u32).filter(|count| *count <= most)?;
        let mut done = Vec::with_capacity(count);
        for mut choice in 0..count {
            let mut pattern = Pattern { parts: Vec::new() };
            for part in &self.parts {
                match part {
                    Part::Dash => {
                        pattern.push_char(DASHES[choice % DASHES.len()]);
                        choice /= DASHES.len();
                    }
                    part => pattern.push(part.clone()),
                }
            }
            done.push(pattern);
        }
        Some(done)
    }

    fn push(&mut self, part: Part) {
        match (self.parts.last_mut(), part) {
            (Some(Part::Text(text)), Part::Text(more)) => text.push_str(&more),
            (Some(Part::Any), Part::Any) => {}
            (_, part) => self.parts.push(part),
        }
    }

    fn push_char(&mut self, c: char) {
        match self.parts.last_mut() {
            Some(Part::Text(text)) => text.push(c),
            _ => self.parts.push(Part::Text(c.to_string())),
        }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for part in &self.parts {
            match part {
                Part::Text(text) => f.write_str(text)?,
                Part::Any => f.write_str("*")?,
                Part::One => f.write_str("?")?,
                Part::Dash => f.write_str("-")?,
                Part::Placeholder(name) => write!(f, "%{name}%")?,
            }
        }
        Ok(())
    }
}

/// The name of the placeholder that `text` begins with, and what follows it.
fn placeholder(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.strip_prefix('%')?.split_once('%')?;
    let word = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    word.then_some((name, rest))
}

/// Appends `text` in the form in which strings are compared.
///
/// Each character becomes its full Unicode lower case, without regard to its neighbours, and the
/// two letters that have two lower-case forms one of them (`ς` is `σ`, `ſ` is `s`).
pub fn fold_into(text: &str, out: &mut String) {
    if text.is_ascii() {
        let start = out.len();
        out.push_str(text);
        out[start..].make_ascii_lowercase();
        return;
    }
    for c in text.chars() {
        match c {
            'ς' => out.push('σ'),
            'ſ' => out.push('s'),
            c if c.is_ascii() => out.push(c.to_ascii_lowercase()),
            c => out.extend(c.to_lowercase()),
        }
    }
}

/// [`fold_into`] a string of its own.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    fold_into(text, &mut out);
    out
}

/// A pattern made ready to be looked for: texts between runs.
#[derive(Clone, Debug)]
pub(crate) struct Glob {
    segments: Vec<Segment>,
    open_start: bool,
    open_end: bool,
}

/// What stands between two `*`: parts without [`Part::Any`].
#[derive(Clone, Debug, Default)]
struct Segment {
    parts: Vec<Part>,
    /// Finds the text that it begins with.
    first: Option<Finder<'static>>,
}

impl Glob {
    /// From a pattern without placeholders. `folded`: for text that went through [`fold`].
    pub(crate) fn new(pattern: &Pattern, folded: bool) -> Self {
        let mut segments = vec![Segment::default()];
        for part in pattern.parts() {
            let last = segments.last_mut().expect("never empty");
            match part {
                Part::Any => segments.push(Segment::default()),
                Part::Text(text) if folded => last.parts.push(Part::Text(fold(text))),
                part => last.parts.push(part.clone()),
            }
        }
        let open_start = segments.len() > 1 && segments[0].parts.is_empty();
        let open_end = segments.len() > 1 && segments.last().is_some_and(|s| s.parts.is_empty());
        segments.retain(|segment| !segment.parts.is_empty());
        for segment in &mut segments {
            if let Some(Part::Text(text)) = segment.parts.first() {
                segment.first = Some(Finder::new(text).into_owned());
            }
        }
        Glob { segments, open_start, open_end }
    }

    /// Whether all of `text` fits.
    pub(crate) fn fits(&self, text: &str) -> bool {
        let mut rest = text;
        let last = self.segments.len().wrapping_sub(1);
        if self.segments.is_empty() {
            return self.open_start || self.open_end || text.is_empty();
        }
        for (i, segment) in self.segments.iter().enumerate() {
            let from_start = i == 0 && !self.open_start;
            let to_end = i == last && !self.open_end;
            let found = match (from_start, to_end) {
                (true, true) => segment.at(rest).filter(|end| *end == rest.len()),
                (true, false) => segment.at(rest),
                (false, true) => return segment.ends(rest),
                (false, false) => segment.find(rest),
            };
            match found {
                Some(end) => rest = &rest[end..],
                None => return false,
            }
        }
        true
    }

    /// The longest text that must occur.
    pub(crate) fn longest(&self) -> Option<&str> {
        let parts = self.segments.iter().flat_map(|segment| &segment.parts);
        let texts = parts.filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            _ => None,
        });
        texts.max_by_key(|text| text.len())
    }
}

impl Segment {
    /// Where it ends, if `text` begins with it.
    fn at(&self, text: &str) -> Option<usize> {
        let mut rest = text;
        for part in &self.parts {
            rest = match part {
                Part::Text(part) => rest.strip_prefix(part.as_str())?,
                Part::Dash => rest.strip_prefix(DASHES)?,
                _ => {
                    let mut chars = rest.chars();
                    chars.next()?;
                    chars.as_str()
                }
            };
        }
        Some(text.len() - rest.len())
    }

    /// Where the leftmost one in `text` ends.
    fn find(&self, text: &str) -> Option<usize> {
        let mut from = 0;
        loop {
            if let Some(first) = &self.first {
                from += first.find(&text.as_bytes()[from..])?;
            }
            if let Some(len) = self.at(&text[from..]) {
                return Some(from + len);
            }
            from += text[from..].chars().next()?.len_utf8();
        }
    }

    /// Whether `text` ends with it.
    fn ends(&self, text: &str) -> bool {
        let mut rest = text;
        for part in self.parts.iter().rev() {
            let shorter = match part {
                Part::Text(part) => rest.strip_suffix(part.as_str()),
                Part::Dash => rest.strip_suffix(DASHES),
                _ => {
                    let mut chars = rest.chars();
                    chars.next_back().map(|_| chars.as_str())
                }
            };
            match shorter {
                Some(shorter) => rest = shorter,
                None => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Part {
        Part::Text(text.to_owned())
    }

    fn fits(pattern: &str, value: &str) -> bool {
        Glob::new(&Pattern::parse(pattern), true).fits(&fold(value))
    }

    #[test]
    fn a_backslash_escapes_only_wildcards_and_itself() {
        let parts = |value| Pattern::parse(value).parts;
        assert_eq!(parts(r"C:\Temp\"), [text(r"C:\Temp\")]);
        assert_eq!(parts(r"a\*b"), [text("a*b")]);
        assert_eq!(parts(r"a\\*b"), [text(r"a\"), Part::Any, text("b")]);
        assert_eq!(parts(r"a\\\*b"), [text(r"a\*b")]);
        assert_eq!(parts(r"\\\server"), [text(r"\\server")]);
        assert_eq!(parts(r"\\\\server"), [text(r"\\server")]);
        assert_eq!(parts("a**?"), [text("a"), Part::Any, Part::One]);
    }

    #[test]
    fn a_pattern_fits_the_whole_text() {
        assert!(fits("f*r", "foo\nbar") && !fits("f*r", "foo\nbars"));
        assert!(fits("*a?c*d", "xxabcabxd") && !fits("*a?c*d", "xxacd"));
        assert!(fits("*", "") && !fits("?*", "") && fits("?*", "é"));
        assert!(fits("a*a", "aa") && !fits("a*a", "a"));
        assert!(fits("*ab*ab", "abxab") && !fits("*ab*ab", "ab"));
        assert!(fits("", "") && !fits("", "x"));
    }

    #[test]
    fn only_a_dash_that_begins_a_word_is_an_option_dash() {
        let parts = Pattern::parse(" -param-name /x a/b - -").windash().parts;
        let expected = [text(" "), Part::Dash, text("param-name "), Part::Dash, text("x a/b - -")];
        assert_eq!(parts, expected);
        let written = Pattern::parse("-a -b").windash().without_dashes(25).unwrap();
        assert_eq!(written.len(), 25);
        assert!(Pattern::parse("-a -b -c").windash().without_dashes(25).is_none());
    }

    #[test]
    fn a_placeholder_becomes_each_of_its_values() {
        let values = [String::from("x*"), String::from("y")];
        let pattern = Pattern::parse(r"a %dc% 5\% %").placeholders();
        let expand = |name: &str| (name == "dc").then_some(values.as_slice());
        let expanded = pattern.expand(Pos::START, expand).unwrap();
        let shown: Vec<String> = expanded.iter().map(Pattern::to_string).collect();
        assert_eq!(shown, ["a x* 5% %", "a y 5% %"]);
        assert!(pattern.expand(Pos::START, |_| None).is_err());
    }

    #[test]
    fn folding_is_lower_case_by_character() {
        assert_eq!(fold("MÜLLER ΟΔΥΣΣΕΥΣ ſ"), "müller οδυσσευσ s");
        assert_eq!(fold("C:\\WINDOWS"), "c:\\windows");
    }
}
