//! Entities in running text, in one pass.
//!
//! The text is cut into runs of bytes that belong together (letters, digits and `. - _ : / \ @ % +
//! ~ $`, and everything that is not ASCII), each with the set of the kinds of its bytes. A run is
//! looked at once: most are plain words, and cost one look into a table that knows which words
//! announce a name; the others are told apart by their bytes and handed to a strict parser.
//!
//! A name that a word announces (`for user bob`, `host=web-02`) is taken as a whole, so that
//! nothing else is seen in it: `rhost=5.36.59.76.dynamic.example.net` is one host. What a word
//! says reaches a few words far, and never over the end of the text.

mod announced;
mod structure;

use super::Role;
use super::shapes::{self, *};
use super::words::{self, Word};
use crate::types::Kind;

/// How many mentions of entities are taken from one text, repetitions counted.
pub const MENTIONS_MAX: usize = 512;

/// A place in a text that names an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mention {
    /// Of which kind.
    pub kind: Kind,
    /// Its part, where a word near it says so.
    pub role: Role,
    /// Where the name starts, in bytes.
    pub start: u32,
    /// Where the name ends.
    pub end: u32,
    /// Where the process id of `name[pid]` stands; the name in the UUID is then `name:pid`.
    pub pid: Option<(u32, u32)>,
}

impl Mention {
    /// The place of the name.
    #[must_use]
    pub fn span(&self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// What [`scan`] found. Kept by the caller, so that nothing is allocated for a text.
#[derive(Debug, Default)]
pub struct Found {
    mentions: Vec<Mention>,
    cut: bool,
}

impl Found {
    /// The mentions, in the order in which they stand in the text.
    #[must_use]
    pub fn mentions(&self) -> &[Mention] {
        &self.mentions
    }

    /// Whether there were more than [`MENTIONS_MAX`].
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Writes a mention's name to `out`, replacing what was there: its piece of the text, or
    /// `name:pid` for a process that has both.
    pub fn name(&self, text: &str, mention: &Mention, out: &mut String) {
        out.clear();
        out.push_str(&text[mention.span()]);
        if let Some((start, end)) = mention.pid {
            out.push(':');
            out.push_str(&text[start as usize..end as usize]);
        }
    }
}

/// Finds the entities that a text mentions; `out` is emptied first.
///
/// Linear in the length of the text, which must be below 4 GiB. Knows nothing of headers and fields.
pub fn scan(text: &str, out: &mut Found) {
    scan_of("", text, out);
}

/// As [`scan`], for the message of a program that the header names: what `su` writes says who it
/// is about in a way that only `su` does, and in what `sshd` writes a stranger chose the name.
pub fn scan_of(program: &str, text: &str, out: &mut Found) {
    if program.starts_with("sshd")
        && let Some(name) = typed(text)
    {
        // Whatever was typed is one name: nothing else is seen in it.
        let mut masked = String::with_capacity(text.len());
        masked.push_str(&text[..name.start]);
        masked.extend(std::iter::repeat_n('x', name.len()));
        masked.push_str(&text[name.end..]);
        return scan(&masked, out);
    }
    let su = program == "su";
    out.mentions.clear();
    out.cut = false;
    let mut scanner = Scanner {
        text,
        bytes: text.as_bytes(),
        found: out,
        before: [if su { Word::Su } else { Word::Other }, Word::Other, Word::Other],
        last: (0, 0),
        runs: 0,
        suspect: None,
        sudo: false,
        su,
        login: false,
        session: false,
        sorted: true,
    };
    match su && scanner.switched() {
        true => {}
        false => scanner.all(),
    }
    if !scanner.sorted {
        out.mentions.sort_by_key(|mention| mention.start);
    }
}

/// The name in a line of sshd, if it has blanks: `Failed password for invalid user root from
/// 10.0.0.1 from 203.0.113.5 port 4000 ssh2` is about somebody who typed `root from 10.0.0.1`, and
/// came from the last address.
fn typed(text: &str) -> Option<std::ops::Range<usize>> {
    const BEFORE: [&str; 3] = [" for ", "user ", "User "];
    let begins = BEFORE.iter().filter_map(|word| Some(text.find(word)? + word.len()));
    let mut start = begins.min()?;
    for more in ["invalid user ", "illegal user "] {
        if text[start..].starts_with(more) {
            start += more.len();
        }
    }
    let is_address = |word: &str| word.parse::<std::net::IpAddr>().is_ok();
    let before_port = text.rfind(" port ").map(|at| &text[..at]);
    let address = before_port.and_then(|before| {
        let at = before.rfind(' ')? + 1;
        is_address(&before[at..]).then_some(at)
    });
    let address = address.or_else(|| {
        let at = text.rfind(" from ")? + " from ".len();
        text[at..].split(' ').next().is_some_and(is_address).then_some(at)
    })?;
    let name = text.get(start..address)?.trim_end_matches(' ');
    let name = name.strip_suffix(" from").unwrap_or(name);
    name.contains(' ').then_some(start..start + name.len())
}

/// Bytes of plain words.
const PLAIN: u16 = LETTER | HEX | DIGIT | HYPHEN | UNDERSCORE;

struct Scanner<'t, 'f> {
    text: &'t str,
    bytes: &'t [u8],
    found: &'f mut Found,
    /// What the runs before the current one were, the nearest first.
    before: [Word; 3],
    /// Where the run before stands.
    last: (usize, usize),
    /// How many runs there were.
    runs: u32,
    /// The name in `name : TTY=… ; USER=…`, before it is known that this is a sudo record.
    suspect: Option<(usize, usize)>,
    sudo: bool,
    su: bool,
    login: bool,
    session: bool,
    /// Whether the mentions are in order.
    sorted: bool,
}

impl Scanner<'_, '_> {
    fn all(&mut self) {
        let bytes = self.bytes;
        let mut at = 0;
        while let Some(gap) = bytes[at..].iter().position(|byte| CLASS[usize::from(*byte)] != 0) {
            let start = at + gap;
            let mut kinds = 0;
            let separates = |byte: &u8| {
                let kind = CLASS[usize::from(*byte)];
                kinds |= kind;
                kind == 0
            };
            let rest = &bytes[start..];
            let end = start + rest.iter().position(separates).unwrap_or(rest.len());
            at = self.run(start, end, kinds);
        }
    }

    /// Looks at one run, and says where to go on: never before its last byte but punctuation, so
    /// that no byte is looked at more than a few times.
    #[inline]
    fn run(&mut self, start: usize, end: usize, kinds: u16) -> usize {
        if kinds & !PLAIN == 0 {
            return self.plain(start, end, end, kinds);
        }
        let mut trimmed = end;
        let mut colon = false;
        while trimmed > start {
            match self.bytes[trimmed - 1] {
                b':' if trimmed > start + 1 && self.bytes[trimmed - 2] == b':' => break,
                b':' => colon = true,
                b'.' | b'-' | b'\\' => {}
                _ => break,
            }
            trimmed -= 1;
        }
        if trimmed == start {
            self.punctuation(start, end);
            return end;
        }
        if trimmed == end {
            return self.structured(start, end, end, kinds);
        }
        let kinds = shapes::mask(&self.bytes[start..trimmed]);
        if kinds & !PLAIN == 0 {
            let colon = colon && self.bytes[end - 1] == b':';
            return match colon {
                true => self.keyed_run(start, trimmed, end),
                false => self.plain(start, trimmed, end, kinds),
            };
        }
        // A path's last backslash and what follows it belong to the path.
        let whole = if kinds & BACKSLASH != 0 { end } else { trimmed };
        self.structured(start, whole, end, kinds)
    }

    /// A colon alone: `name : TTY=…`.
    fn punctuation(&mut self, start: usize, end: usize) {
        let alone = end - start == 1 && self.bytes[start] == b':';
        let spaced = start > 0 && self.bytes[start - 1] == b' ' && self.at(end) == b' ';
        if alone && spaced && self.runs <= 2 {
            self.suspect = Some(self.last);
        }
    }

    #[inline]
    fn plain(&mut self, mut start: usize, word_end: usize, end: usize, kinds: u16) -> usize {
        if kinds == DIGIT {
            self.note(Word::Other, start, word_end);
            return end;
        }
        while start + 1 < word_end && self.bytes[start] == b'-' {
            start += 1;
        }
        let word = words::word(self.bytes, start, word_end);
        let next = match word {
            Word::Other | Word::Stop => None,
            _ => self.word(word, start, word_end, end, false),
        };
        self.note(word, start, word_end);
        if let Some(next) = next {
            self.note(Word::Other, start, word_end);
            return next;
        }
        match self.at(end) {
            b'[' | b'(' if word_end == end => self.process_at(start, end).unwrap_or(end),
            _ => end,
        }
    }

    /// A word with a colon behind it.
    fn keyed_run(&mut self, start: usize, word_end: usize, end: usize) -> usize {
        let word = words::word(self.bytes, start, word_end);
        let next = match word {
            Word::Other | Word::Stop => None,
            _ => self.word(word, start, word_end, end, true),
        };
        self.note(word, start, word_end);
        if next.is_some() {
            self.note(Word::Other, start, word_end);
        }
        next.unwrap_or(end)
    }

    #[inline]
    fn note(&mut self, word: Word, start: usize, end: usize) {
        self.before = [word, self.before[0], self.before[1]];
        self.last = (start, end);
        self.runs += 1;
    }

    /// The byte at `at`, or a line feed behind the end.
    #[inline]
    fn at(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(b'\n')
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize, role: Role) {
        self.push_process(kind, start, end, role, None);
    }

    fn push_process(
        &mut self,
        kind: Kind,
        start: usize,
        mut end: usize,
        role: Role,
        pid: Option<(u32, u32)>,
    ) {
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        debug_assert!(start < end && self.text.is_char_boundary(start));
        if self.found.mentions.len() >= MENTIONS_MAX {
            self.found.cut = true;
            return;
        }
        let start = start as u32;
        let behind = self.found.mentions.last().is_none_or(|last| last.start <= start);
        self.sorted &= behind;
        self.found.mentions.push(Mention { kind, role, start, end: end as u32, pid });
    }

    fn push_ip(&mut self, start: usize, end: usize) {
        self.push(Kind::Ip, start, end, self.before[0].role());
    }
}
