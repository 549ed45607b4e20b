//! What is wrong with a configuration, and how that is told.

use std::fmt;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin as SnippetOrigin, Renderer, Snippet};

use super::yaml::Place;
use crate::cli::escape::{escape, is_unsafe};

/// How many problems are shown; of the others only the number is.
const SHOWN_MAX: usize = 50;
/// A longer line is not shown.
const LINE_BYTES_MAX: usize = 2_000;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// `configs/default.yaml`, which is in the program.
    Default,
    /// The configuration file, at this place.
    File(Place),
    /// An environment variable of this name.
    Environment(String),
    /// A flag: `--set KEY`, or one that stands for it.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(place) => write!(f, "line {}", place.line),
            Origin::Environment(name) => write!(f, "environment variable {name}"),
            Origin::Flag(flag) => f.write_str(flag),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What, with the value, and what would have been right.
    pub title: String,
    /// Where.
    pub origin: Origin,
    /// What is said at the caret; empty for nothing.
    pub label: String,
    /// What else helps.
    pub help: Vec<String>,
}

/// Everything that is wrong with a configuration. Never empty.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.render(false))]
pub struct Problems {
    /// The name of the file, as it was given.
    file: String,
    /// Its text, secrets blackened.
    text: String,
    problems: Vec<Problem>,
}

impl Problems {
    pub(super) fn new(file: &str, text: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|a, b| a.origin.cmp(&b.origin));
        Problems { file: file.to_owned(), text: redact(text), problems }
    }

    /// The problems, in the order of the file, then the environment, then the flags.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// All of it for programs: an object for each problem.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let one = |problem: &Problem| {
            let (file, line, column) = match &problem.origin {
                Origin::File(place) => (Some(&*self.file), Some(place.line), Some(place.column)),
                _ => (None, None, None),
            };
            let origin = match &problem.origin {
                Origin::File(_) => "file".to_owned(),
                other => other.to_string(),
            };
            serde_json::json!({
                "message": problem.title,
                "origin": origin,
                "file": file,
                "line": line,
                "column": column,
                "label": Some(&problem.label).filter(|label| !label.is_empty()),
                "help": problem.help,
            })
        };
        self.problems.iter().map(one).collect()
    }

    /// All of it as text, the last line being their number. With colours, or without.
    #[must_use]
    pub fn render(&self, colours: bool) -> String {
        let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(120);
        let mut out = String::new();
        for problem in self.problems.iter().take(SHOWN_MAX) {
            out.push_str(&renderer.render(&[self.group(problem)]));
            out.push_str("\n\n");
        }
        let count = self.problems.len();
        if let Some(more) = count.checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
            out.push_str(&format!("... and {more} more\n\n"));
        }
        let errors = if count == 1 { "error" } else { "errors" };
        out.push_str(&format!("{count} {errors}; nothing was started"));
        out
    }

    fn group<'a>(&'a self, problem: &'a Problem) -> Group<'a> {
        let mut group = Group::with_title(Level::ERROR.primary_title(escape(&problem.title)));
        group = match &problem.origin {
            Origin::File(place) => match line_around(&self.text, place) {
                Some((line, start)) => {
                    let from = place.bytes.start - start;
                    let to = (place.bytes.end - start).clamp(from, line.len()).max(from);
                    let label = (!problem.label.is_empty()).then(|| escape(&problem.label));
                    group.element(
                        Snippet::source(line)
                            .path(escape(&self.file))
                            .line_start(place.line)
                            .annotation(AnnotationKind::Primary.span(from..to).label(label)),
                    )
                }
                None => group.element(
                    SnippetOrigin::path(escape(&self.file))
                        .line(place.line)
                        .char_column(place.column),
                ),
            },
            Origin::Default => group.element(SnippetOrigin::path("configs/default.yaml")),
            other => group.element(SnippetOrigin::path(escape(&other.to_string()).into_owned())),
        };
        let label_shown = matches!(problem.origin, Origin::File(_));
        let label = (!label_shown && !problem.label.is_empty()).then_some(&problem.label);
        for help in label.into_iter().chain(&problem.help) {
            group = group.element(Level::HELP.message(escape(help)));
        }
        group
    }
}

/// The line that a place is on, and the byte at which that line starts.
fn line_around<'t>(text: &'t str, place: &Place) -> Option<(&'t str, usize)> {
    if place.line == 0 || place.bytes.start > text.len() {
        return None;
    }
    let before = text.get(..place.bytes.start)?;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let line = text[start..end].trim_end_matches('\r');
    (line.len() <= LINE_BYTES_MAX).then_some((line, start))
}

/// The text with what must not be shown replaced, byte for byte: values of keys that sound like
/// secrets, and characters that a terminal would act on.
fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // How far the lines of a secret block scalar are indented at least.
    let mut secret_block: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches([' ', '-']).len();
        if secret_block.is_some_and(|least| indent > least || line.trim().is_empty()) {
            blacken(&mut out, line, std::slice::from_ref(&(0..line.len())));
            continue;
        }
        let secrets = secrets_in(line);
        secret_block = (!secrets.is_empty()).then_some(indent);
        blacken(&mut out, line, &secrets);
    }
    out
}

/// Where a line holds values of keys that sound like secrets.
fn secrets_in(line: &str) -> Vec<Range<usize>> {
    let mut secrets: Vec<Range<usize>> = Vec::new();
    for (at, _) in line.match_indices(':') {
        if secrets.last().is_some_and(|before| before.contains(&at)) {
            continue;
        }
        let name = line[..at].trim_end_matches(['"', '\'', ' ']);
        let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        let start = name.char_indices().rev().take_while(|(_, c)| is_name(*c)).last();
        let name = start.map_or("", |(start, _)| &name[start..]).to_ascii_lowercase();
        let sounds = ["token", "secret", "passw", "credential", "api_key", "routing_key", "url"];
        if sounds.iter().any(|sound| name.contains(sound)) {
            secrets.push(at + 1..end_of_value(line, at + 1));
        }
    }
    secrets
}

/// The end of the value that begins at `from`: of the line, or, among others in braces or
/// brackets, where the next begins. What is not sure is taken for a part of the value.
fn end_of_value(line: &str, from: usize) -> usize {
    if !line[..from].contains(['{', '[']) {
        return line.len();
    }
    let value = &line[from..];
    let trimmed = value.trim_start();
    let skipped = value.len() - trimmed.len();
    match trimmed.chars().next() {
        Some(quote @ ('"' | '\'')) if !trimmed.contains('\\') => {
            let end = trimmed[1..].find(quote).map(|end| from + skipped + 1 + end + 1);
            // A doubled quote is a quote within the text.
            end.filter(|end| !line[*end..].starts_with(quote)).unwrap_or(line.len())
        }
        Some('"' | '\'' | '[' | '{' | '$') | None => line.len(),
        Some(_) => trimmed.find([',', '}', ']']).map_or(line.len(), |end| from + skipped + end),
    }
}

/// Appends a line, what is in `secrets` as stars.
fn blacken(out: &mut String, line: &str, secrets: &[Range<usize>]) {
    for (at, c) in line.char_indices() {
        match c {
            '\n' | '\r' | ' ' => out.push(c),
            _ if secrets.iter().any(|secret| secret.contains(&at)) => {
                out.extend(std::iter::repeat_n('*', c.len_utf8()));
            }
            '\t' => out.push(' '),
            c if is_unsafe(c) => out.extend(std::iter::repeat_n('?', c.len_utf8())),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sounds_like_a_secret_is_blackened_and_every_byte_stays_in_its_place() {
        let text = "llm:\n  cloud_api_key: s3cr€t # x\n  hooks: [{auth_token: abc, b: 1}]\n\
                    \x20 slack_url: |\n    https://a\n    b\n  ws_tick: \u{1b}[31m1\n\
                    a: [{url: 'cana,ry', b: ok1}, {token: 'it''s canary'}]\n\
                    b: {token: [canary, canary], c: 1}\n\u{202e}url: canary\n";
        let redacted = redact(text);
        assert_eq!(redacted.len(), text.len());
        for canary in ["s3cr", "abc", "https", "\u{1b}", "cana", "ry"] {
            assert!(!redacted.contains(canary), "{canary} in {redacted}");
        }
        assert!(redacted.contains("b: ok1"), "{redacted}");
        assert!(redacted.contains("  ws_tick: ?[31m1"), "{redacted}");
        assert!(redacted.starts_with("llm:\n  cloud_api_key: *"), "{redacted}");
    }
}
