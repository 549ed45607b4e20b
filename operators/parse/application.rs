//! The headers that logging frameworks write: process ids, threads, level and component, in many
//! orders and between many marks.

use super::class;
use super::known::level;
use super::out::{Draft, Out};
use crate::types::Severity;

/// How many words and groups may stand before a level.
const PIECES_BEFORE_LEVEL: usize = 5;
/// How many groups and names may stand between a level and the message.
const PIECES_AFTER_LEVEL: usize = 4;
/// How long a `[group]` may be.
const GROUP_BYTES_MAX: usize = 256;
/// How long the name of a component may be.
pub(super) const COMPONENT_BYTES_MAX: usize = 128;

/// How levels are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Levels {
    /// `INFO`, `[warn]` …
    Words,
    /// `I`, `W` …, as Android has them.
    Letters,
}

/// Reads a header with a level in it, from behind its date: process ids, threads, level and
/// component in many orders. False, and nothing noted, if there is no level near the start.
pub(super) fn application<'a>(
    out: &mut Out,
    draft: &mut Draft<'a>,
    text: &'a str,
    levels: Levels,
) -> bool {
    let Some(found) = up_to_level(text, levels) else {
        return false;
    };
    let Level { severity, in_brackets, mut app, mut procid, mut rest } = found;
    for _ in 0..PIECES_AFTER_LEVEL {
        let (next, marks) = lead(rest);
        let gap = rest.len() - next.len();
        if let Some((inner, after)) = group(next) {
            let inner = inner.trim_ascii();
            let then = after.trim_start_matches(' ');
            let is_context = !app.is_empty() && (inner == "-" || inner.starts_with("req-"));
            if let Some(number) = process_id(inner) {
                procid = number;
            } else if in_brackets && gap == 0 && app.is_empty() {
                app = inner;
            } else if is_context {
                rest = after;
                break;
            } else if !after.starts_with(" - ")
                && !then.starts_with('[')
                && (in_brackets || !app.is_empty() || component(then, 1).is_none())
            {
                break;
            }
            rest = after;
            continue;
        }
        // A dash or a colon ends a header, but for the rule that Spring draws.
        if marks == Marks::End {
            break;
        }
        if let Some((number, after)) = numbered(next) {
            procid = number;
            rest = after;
            continue;
        }
        let after_bar = marks == Marks::Bar;
        match component(next, gap).filter(|_| app.is_empty() && (!in_brackets || after_bar)) {
            Some((name, after)) => {
                app = name;
                rest = after;
                if !after.starts_with(" [") {
                    break;
                }
            }
            None => break,
        }
    }
    draft.severity = Some(severity);
    if !app.is_empty() {
        draft.app = out.place(app);
    }
    if !procid.is_empty() {
        draft.procid = out.place(procid);
    }
    draft.body = lead(rest).0;
    true
}

struct Level<'a> {
    severity: Severity,
    in_brackets: bool,
    app: &'a str,
    procid: &'a str,
    rest: &'a str,
}

fn up_to_level(text: &str, levels: Levels) -> Option<Level<'_>> {
    let mut rest = text;
    let (mut app, mut procid) = ("", "");
    for _ in 0..PIECES_BEFORE_LEVEL {
        rest = lead(rest).0;
        if let Some((inner, after)) = group(rest) {
            let inner = inner.trim_ascii();
            if let Some(severity) = level(inner) {
                return Some(Level { severity, in_brackets: true, app, procid, rest: after });
            }
            // Apache 2.4: `[module:level]`.
            if let Some((module, name)) = inner.split_once(':')
                && let Some(severity) = level(name)
            {
                app = module;
                return Some(Level { severity, in_brackets: true, app, procid, rest: after });
            }
            procid = process_id(inner).unwrap_or(procid);
            rest = after;
            continue;
        }
        let is_end = |byte: u8| matches!(byte, b' ' | b'\t' | b',' | b'|' | b'[');
        let end = rest.bytes().position(is_end).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let bare = word.trim_end_matches(':');
        let shouted = bare.bytes().all(|byte| byte.is_ascii_uppercase());
        let set_off = bare.len() < word.len()
            || ["  ", " - ", "\t", "|", " |", ","].iter().any(|mark| after.starts_with(mark));
        if let Some(severity) = level(bare).filter(|_| shouted || set_off) {
            return Some(Level { severity, in_brackets: false, app, procid, rest: after });
        }
        if levels == Levels::Letters
            && let Some(severity) = letter(word)
        {
            return Some(Level { severity, in_brackets: false, app, procid, rest: after });
        }
        if is_number(word) && word.len() <= 10 {
            if procid.is_empty() {
                procid = word;
            }
        } else if after.starts_with(" - ") && is_name(word) {
            app = word;
        } else if !word.contains('@') || word.len() > COMPONENT_BYTES_MAX {
            return None;
        }
        rest = after;
    }
    None
}

/// What stood between two pieces of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marks {
    /// White space and commas.
    Space,
    /// A bar.
    Bar,
    /// A dash or a colon.
    End,
}

/// Skips white space, and punctuation that stands alone.
pub(super) fn lead(text: &str) -> (&str, Marks) {
    let mut rest = text;
    let mut marks = Marks::Space;
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        let mark = match rest.as_bytes().first() {
            Some(b',') => marks,
            Some(b'|') => Marks::Bar,
            Some(b'-') => Marks::End,
            Some(b':') => Marks::End,
            _ => return (rest, marks),
        };
        let after = rest.trim_start_matches(['-', ':', ',', '|']);
        if !after.is_empty() && !after.starts_with([' ', '\t']) && mark == Marks::End {
            return (rest, marks);
        }
        rest = after;
        marks = mark;
    }
}

/// A `[group]` at the start, which may hold groups itself, and what follows it.
pub(super) fn group(text: &str) -> Option<(&str, &str)> {
    if !text.starts_with('[') {
        return None;
    }
    let mut depth = 0usize;
    for (at, byte) in text.bytes().enumerate().take(GROUP_BYTES_MAX) {
        match byte {
            b'[' => depth += 1,
            b']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&text[1..at], &text[at + 1..]));
        }
    }
    None
}

/// `123`, `pid 123`, `pid 123:tid 456`.
fn process_id(group: &str) -> Option<&str> {
    let number = group.strip_prefix("pid ").unwrap_or(group);
    let number = number.split_once(":tid ").map_or(number, |(number, _)| number);
    is_number(number).then_some(number)
}

/// `1234#5678:` of nginx, `1234 ---` of Spring: a process id, and what follows it.
fn numbered(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, after) = text.split_at(end);
    if number.is_empty() {
        return None;
    }
    if after.starts_with(" ---") {
        return Some((number, after));
    }
    let thread = after.strip_prefix('#')?;
    let (thread, after) = thread.split_once(':')?;
    is_number(thread).then_some((number, after))
}

/// The name of what logs, in front of a message: `name:`, `name - `, `name   :`, `name [`, or a
/// column of its own (`gap` is how many bytes separate it from what stands before).
fn component(text: &str, gap: usize) -> Option<(&str, &str)> {
    if !text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return None;
    }
    let len = class::COMPONENT.prefix(text, COMPONENT_BYTES_MAX + 1);
    let (word, after) = text.split_at(len);
    if len > COMPONENT_BYTES_MAX || !(after.is_empty() || after.starts_with([' ', '\t'])) {
        return None;
    }
    let padding = after.len() - after.trim_start_matches(' ').len();
    let (name, after) = if let Some(name) = word.strip_suffix(':') {
        (name, after)
    } else if let Some(after) = after.strip_prefix(" - ") {
        (word, after)
    } else if let Some(after) = after[padding..].strip_prefix(": ") {
        (word, after)
    } else if word.contains('.') && after.starts_with(" [")
        || gap >= 2 && padding >= 2 && after.len() > padding
    {
        (word, after)
    } else {
        return None;
    };
    // These say what happened, and not where.
    let is_cause = name.ends_with("Exception") || name.ends_with("Error") || level(name).is_some();
    (!is_cause && !name.is_empty()).then_some((name, after))
}

/// The severity that Android's and Google's letters mean.
pub(super) fn letter(word: &str) -> Option<Severity> {
    match word {
        "V" | "D" => Some(Severity::Trace),
        "I" => Some(Severity::Info),
        "W" => Some(Severity::Warning),
        "E" => Some(Severity::Error),
        "F" | "A" => Some(Severity::Fatal),
        _ => None,
    }
}

pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

pub(super) fn is_name(text: &str) -> bool {
    (1..=COMPONENT_BYTES_MAX).contains(&text.len()) && class::NAME.has_all(text)
}
