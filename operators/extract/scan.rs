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

use super::Role;
use super::domains::{is_domain, is_host};
use super::shapes::{self, *};
use super::words::{self, Word};
use crate::types::Kind;

/// How many mentions of entities are taken from one text, repetitions counted.
pub const MENTIONS_MAX: usize = 512;
/// How long a name in quotes or brackets may be.
const QUOTED_MAX: usize = 300;
/// How many blanks may stand between a key and its value.
const BLANKS_MAX: usize = 32;
/// How many parts of a run with colons are looked at.
const PARTS_MAX: usize = 16;

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
    out.mentions.clear();
    out.cut = false;
    let mut scanner = Scanner {
        text,
        bytes: text.as_bytes(),
        found: out,
        before: [Word::Other; 3],
        last: (0, 0),
        runs: 0,
        suspect: None,
        sudo: false,
        su: false,
        login: false,
        session: false,
        sorted: true,
    };
    scanner.all();
    if !scanner.sorted {
        out.mentions.sort_by_key(|mention| mention.start);
    }
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
        while at < bytes.len() {
            let mut kinds = CLASS[usize::from(bytes[at])];
            if kinds == 0 {
                at += 1;
                continue;
            }
            let start = at;
            at += 1;
            while at < bytes.len() {
                let kind = CLASS[usize::from(bytes[at])];
                if kind == 0 {
                    break;
                }
                kinds |= kind;
                at += 1;
            }
            at = self.run(start, at, kinds);
        }
    }

    /// Looks at one run, and says where to go on.
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

/// Words that announce something.
impl Scanner<'_, '_> {
    /// What `word` announces. Says where to go on if it took a name.
    fn word(
        &mut self,
        word: Word,
        start: usize,
        word_end: usize,
        end: usize,
        colon: bool,
    ) -> Option<usize> {
        match word {
            Word::User => self.user(start, end, colon),
            Word::Account => {
                let (at, colon) = self.value_of(end, colon)?;
                self.keyed_account(at, colon, Role::None)
            }
            Word::AccountOf => {
                let (at, colon) = self.value_of(end, colon)?;
                if colon { None } else { self.keyed_account(at, false, Role::None) }
            }
            Word::Host | Word::Machine | Word::Peer | Word::MachineOf => {
                self.machine(word, end, colon)
            }
            Word::Name => {
                let (at, colon) = self.value_of(end, colon)?;
                match self.before[0] {
                    Word::AccountOf | Word::User => self.keyed_account(at, colon, Role::None),
                    Word::MachineOf | Word::Host | Word::Peer => {
                        self.keyed_machine(at, false, Role::None)
                    }
                    Word::Process => self.program(at, colon),
                    _ => None,
                }
            }
            Word::Program => {
                let (at, colon) = self.value_of(end, colon)?;
                self.program(at, colon)
            }
            Word::Process => self.process(end, colon),
            Word::Pid => self.pid(end, colon),
            Word::For => self.for_account(end),
            Word::By => self.by_account(start, end),
            Word::To => self.to_something(start, end),
            Word::Su => {
                self.su = true;
                None
            }
            Word::Session => {
                self.session |= colon;
                None
            }
            Word::Login => match self.value_of(end, false) {
                Some((at, false)) => self.keyed_account(at, false, Role::None),
                _ => {
                    self.login_of(start, word_end);
                    None
                }
            },
            Word::Cron => {
                self.cron_of(start, word_end);
                None
            }
            Word::Sudo => {
                self.sudo_of(start, end);
                None
            }
            _ => None,
        }
    }

    /// Where the value of the key that ends at `end` starts, and whether only a colon says that
    /// it is a key: `key=`, `key = `, `"key":`, `key:`.
    fn value_of(&self, end: usize, colon: bool) -> Option<(usize, bool)> {
        if colon {
            return Some((self.skip_blanks(end), true));
        }
        match self.at(end) {
            b'=' => Some((end + 1, false)),
            b'"' | b'\'' => {
                let mark = self.skip_blanks(end + 1);
                matches!(self.at(mark), b':' | b'=').then(|| (self.skip_blanks(mark + 1), false))
            }
            b' ' if self.at(end + 2) == b' ' => match self.at(end + 1) {
                b'=' => Some((end + 3, false)),
                b':' => Some((end + 3, true)),
                _ => None,
            },
            _ => None,
        }
    }

    fn skip_blanks(&self, from: usize) -> usize {
        let blank = |at: &usize| matches!(self.at(*at), b' ' | b'\t');
        (from..from + BLANKS_MAX).find(|at| !blank(at)).unwrap_or(from)
    }

    /// The first byte of the next word, if only spaces lie between.
    fn next_word(&self, end: usize) -> Option<usize> {
        let at = self.skip_blanks(end);
        (at > end && at < self.bytes.len()).then_some(at)
    }

    /// The value at `at`: its bytes, where it ends with its quotes, and whether it has any.
    fn value(&self, at: usize) -> Option<Value> {
        let quote = match self.at(at) {
            b'\\' if matches!(self.at(at + 1), b'"' | b'\'') => at + 1,
            _ => at,
        };
        let close = match self.at(quote) {
            mark @ (b'"' | b'\'' | b'`') => mark,
            b'<' => b'>',
            b'(' => b')',
            b'[' => b']',
            _ => return self.bare_value(at),
        };
        let start = quote + 1;
        let window = &self.bytes[start..self.bytes.len().min(start + QUOTED_MAX)];
        let len = memchr::memchr2(close, b'\n', window)?;
        let escaped = len > 0 && window[len - 1] == b'\\';
        let end = start + len - usize::from(escaped);
        let quoted = window[len] == close && end > start;
        quoted.then_some(Value { start, end, next: start + len + 1, quoted })
    }

    fn bare_value(&self, start: usize) -> Option<Value> {
        let mut next = start;
        while next < self.bytes.len() && !is_delimiter(self.bytes[next]) {
            next += 1;
        }
        let mut end = next;
        while end > start && matches!(self.bytes[end - 1], b'.' | b':' | b'!' | b'?' | b'\\') {
            end -= 1;
        }
        (end > start).then_some(Value { start, end, next, quoted: false })
    }

    /// The piece from `start` up to white space.
    fn token(&self, start: usize) -> Option<(usize, usize)> {
        let mut end = start;
        while end < self.bytes.len() && !self.bytes[end].is_ascii_whitespace() {
            end += 1;
        }
        (end > start).then_some((start, end))
    }

    fn word_at(&self, at: Option<usize>) -> Word {
        let token = at.and_then(|at| self.bare_value(at));
        token.map_or(Word::Other, |token| words::word(self.bytes, token.start, token.end))
    }

    fn user(&mut self, start: usize, end: usize, colon: bool) -> Option<usize> {
        if let Some((at, colon)) = self.value_of(end, colon) {
            self.sudo_of(start, end);
            let run_as = self.sudo && self.bytes[start..].starts_with(b"USER=");
            return self.keyed_account(at, colon, if run_as { Role::Target } else { Role::None });
        }
        let at = self.next_word(end)?;
        match self.before[0] {
            Word::Invalid | Word::Authenticating => self.any_account(at),
            Word::By => self.announced_account(at, Role::Actor),
            Word::For | Word::Of => self.announced_account(at, Role::Target),
            Word::To | Word::As | Word::From | Word::Outcome => {
                self.announced_account(at, Role::None)
            }
            _ => self.bare_account(at),
        }
    }

    /// `user=NAME` and the like. Where only a colon makes the key, words that follow headings
    /// are no names.
    fn keyed_account(&mut self, at: usize, colon: bool, role: Role) -> Option<usize> {
        let value = self.with_authority(self.value(at)?);
        let name = &self.bytes[value.start..value.end];
        let heading = colon && !value.quoted && !self.may_name(value);
        if heading || !is_account(name) || name[0] == b'/' {
            return None;
        }
        self.push(Kind::User, value.start, value.end, role);
        Some(value.next)
    }

    /// `for user NAME`.
    fn announced_account(&mut self, at: usize, role: Role) -> Option<usize> {
        let value = self.with_authority(self.value(at)?);
        let bracket = matches!(self.bytes[at], b'<' | b'[');
        if bracket || !(value.quoted || self.may_name(value)) {
            return None;
        }
        if !is_account(&self.bytes[value.start..value.end]) {
            return None;
        }
        self.push(Kind::User, value.start, value.end, role);
        // MySQL: 'root'@'localhost'.
        let host = match (value.quoted, self.at(value.next), self.at(value.next + 1)) {
            (true, b'@', b'\'') => self.value(value.next + 1),
            _ => None,
        };
        let Some(host) = host else { return Some(value.next) };
        let name = &self.bytes[host.start..host.end];
        match address(name) {
            Some((start, end)) => {
                let at = host.start;
                self.push(Kind::Ip, at + start, at + end, Role::Source);
            }
            None if is_host(name) => self.push(Kind::Host, host.start, host.end, Role::Source),
            None => {}
        }
        Some(host.next)
    }

    /// `User NAME …` with nothing before it that says that a name follows.
    fn bare_account(&mut self, at: usize) -> Option<usize> {
        let value = self.with_authority(self.value(at)?);
        if matches!(self.bytes[at], b'<' | b'[' | b'(') {
            return None;
        }
        let name = &self.bytes[value.start..value.end];
        let domain = name.contains(&b'\\') && !name.starts_with(b"\\");
        let sure = value.quoted || domain;
        if !sure && !(name.len() > 1 && self.may_name(value) && self.does_something(value.next)) {
            return None;
        }
        if !is_account(name) {
            return None;
        }
        self.push(Kind::User, value.start, value.end, Role::None);
        Some(value.next)
    }

    /// Whether the word at `at` is one that follows the name of somebody.
    fn does_something(&self, at: usize) -> bool {
        const DOES: [&[u8]; 20] = [
            b"is",
            b"was",
            b"has",
            b"had",
            b"not",
            b"does",
            b"did",
            b"from",
            b"logged",
            b"login",
            b"added",
            b"removed",
            b"created",
            b"deleted",
            b"disabled",
            b"enabled",
            b"locked",
            b"connected",
            b"disconnected",
            b"authenticated",
        ];
        let token = self.next_word(at).and_then(|at| self.bare_value(at));
        token.is_some_and(|token| {
            let word = &self.bytes[token.start..token.end];
            DOES.iter().any(|does| word.eq_ignore_ascii_case(does))
        })
    }

    /// `invalid user NAME`: whatever a stranger typed. `invalid user  from ADDRESS` names nobody.
    fn any_account(&mut self, at: usize) -> Option<usize> {
        let (start, end) = self.token(at)?;
        if matches!(self.bytes[start], b'[' | b'(') {
            return None;
        }
        let next = self.next_word(end);
        let word = words::word(self.bytes, start, end);
        if word == Word::From && self.word_at(next) != Word::From {
            return None;
        }
        if !is_account(&self.bytes[start..end]) {
            return None;
        }
        self.push(Kind::User, start, end, Role::Target);
        Some(end)
    }

    /// The account at `at`, where the words before leave no doubt that it is one.
    fn certain_account(&mut self, at: usize, role: Role) -> Option<usize> {
        let (start, end) = self.token(at)?;
        let word = words::word(self.bytes, start, end);
        let named = self.word_at(self.next_word(end)) == Word::From;
        if matches!(word, Word::Invalid | Word::User) && !named {
            return None;
        }
        let window = &self.bytes[start..end];
        let mut name = memchr::memchr(b'(', window).unwrap_or(window.len());
        while name > 0 && matches!(window[name - 1], b',' | b';' | b':' | b'.' | b']' | b')') {
            name -= 1;
        }
        let quoted = name > 2 && matches!(window[0], b'"' | b'\'') && window[name - 1] == window[0];
        let (from, to) = if quoted { (start + 1, start + name - 1) } else { (start, start + name) };
        if from == to || !is_account(&self.bytes[from..to]) {
            return None;
        }
        self.push(Kind::User, from, to, role);
        Some(end)
    }

    /// `Failed password for NAME`, `authentication failure for NAME`, `su for NAME` …
    fn for_account(&mut self, end: usize) -> Option<usize> {
        let at = self.next_word(end)?;
        let certain = match self.before {
            [Word::Method, Word::Outcome, _] | [Word::Su, ..] => true,
            [Word::Failure, Word::Authentication, _] | [Word::Exceeded, Word::Attempts, _] => true,
            [Word::Changed, Word::Method, _] => true,
            _ => self.login && self.bytes[end - 1] == b'R',
        };
        if certain {
            return self.certain_account(at, Role::Target);
        }
        if !self.session {
            return None;
        }
        let value = self.bare_value(at)?;
        let named = self.may_name(value) && self.word_at(self.next_word(value.next)) == Word::From;
        if named { self.certain_account(at, Role::Target) } else { None }
    }

    /// `by NAME(uid=…)`, and in a record of su or login `by NAME`.
    fn by_account(&mut self, start: usize, end: usize) -> Option<usize> {
        let at = self.next_word(end)?;
        let value = self.bare_value(at)?;
        if self.bytes[value.next..].starts_with(b"(uid=") {
            let name = &self.bytes[value.start..value.end];
            if name == b"LOGIN" || !is_account(name) {
                return None;
            }
            self.push(Kind::User, value.start, value.end, Role::Actor);
            return Some(value.next);
        }
        let login = self.login && self.bytes[start..].starts_with(b"BY");
        match (self.su, login) {
            (true, _) if self.may_name(value) => self.certain_account(at, Role::Actor),
            (false, true) => self.certain_account(at, Role::Target),
            _ => None,
        }
    }

    /// `(to NAME) NAME on …` of su, and `logged on to MACHINE`.
    fn to_something(&mut self, start: usize, end: usize) -> Option<usize> {
        let at = self.next_word(end)?;
        let value = self.bare_value(at)?;
        if self.before[0] == Word::Su && start > 0 && self.bytes[start - 1] == b'(' {
            let target = is_account(&self.bytes[value.start..value.end]);
            if !target || self.at(value.next) != b')' {
                return None;
            }
            self.push(Kind::User, value.start, value.end, Role::Target);
            let actor = self.next_word(value.next + 1).and_then(|at| self.bare_value(at));
            let Some(actor) = actor else { return Some(value.next) };
            let on = self.word_at(self.next_word(actor.next)) == Word::On;
            if !on || !is_account(&self.bytes[actor.start..actor.end]) {
                return Some(value.next);
            }
            self.push(Kind::User, actor.start, actor.end, Role::Actor);
            return Some(actor.next);
        }
        let logged = matches!(self.before, [Word::On | Word::In, Word::Logged, _]);
        let name = &self.bytes[value.start..value.end];
        if !logged || !is_machine_like(name) || !is_host(name) || is_number_like(name) {
            return None;
        }
        self.push(Kind::Host, value.start, value.end, Role::Target);
        Some(value.next)
    }

    /// `ROOT LOGIN`, `ANONYMOUS FTP LOGIN`, `[NAME] OK LOGIN`.
    fn login_of(&mut self, start: usize, end: usize) {
        if &self.bytes[start..end] != b"LOGIN" {
            return;
        }
        self.login = true;
        let (last, last_end) = self.last;
        match self.before[0] {
            Word::Root if &self.bytes[last..last_end] == b"ROOT" => {
                self.push(Kind::User, last, last_end, Role::Target);
            }
            Word::Ftp if self.bytes[..last].ends_with(b"ANONYMOUS ") => {
                self.push(Kind::User, last - 10, last - 1, Role::Target);
            }
            Word::Ok if self.bytes[..last].ends_with(b"] ") => {
                let close = last - 2;
                let window = &self.bytes[close.saturating_sub(64)..close];
                let Some(open) = memchr::memrchr(b'[', window) else { return };
                let from = close - window.len() + open + 1;
                if from < close && is_account(&self.bytes[from..close]) {
                    self.push(Kind::User, from, close, Role::Target);
                }
            }
            _ => {}
        }
    }

    /// `(NAME) CMD`.
    fn cron_of(&mut self, start: usize, end: usize) {
        let (from, to) = self.last;
        let verb = self.bytes[start..end].iter().all(u8::is_ascii_uppercase);
        let enclosed = from > 0 && self.bytes[from - 1] == b'(' && start == to + 2;
        if verb && enclosed && self.bytes[to] == b')' && is_account(&self.bytes[from..to]) {
            self.push(Kind::User, from, to, Role::Actor);
        }
    }

    /// `NAME : TTY=…`: the name is whoever called sudo.
    fn sudo_of(&mut self, start: usize, end: usize) {
        if self.at(end) != b'=' || !self.bytes[start].is_ascii_uppercase() {
            return;
        }
        let Some((from, to)) = self.suspect.take() else { return };
        if is_account(&self.bytes[from..to]) {
            self.sudo = true;
            self.push(Kind::User, from, to, Role::Actor);
        }
    }

    fn machine(&mut self, word: Word, end: usize, colon: bool) -> Option<usize> {
        let role = word.role();
        if let Some((at, colon)) = self.value_of(end, colon) {
            return self.keyed_machine(at, colon, role);
        }
        if word != Word::Host {
            return None;
        }
        let at = self.next_word(end)?;
        let value = self.value(at)?;
        if matches!(self.bytes[at], b'<' | b'[' | b'(') {
            return None;
        }
        let word = words::word(self.bytes, value.start, value.end);
        let sure = value.quoted || (word == Word::Other && self.machine_like(value));
        if sure { self.push_machine(value, role) } else { None }
    }

    /// `host=NAME` and the like. Where only a colon makes the key, the name must look like one:
    /// `no route to host: connect`.
    fn keyed_machine(&mut self, at: usize, colon: bool, role: Role) -> Option<usize> {
        let value = self.value(at)?;
        if colon && !value.quoted && !self.machine_like(value) {
            return None;
        }
        self.push_machine(value, role)
    }

    fn machine_like(&self, value: Value) -> bool {
        is_machine_like(&self.bytes[value.start..value.end])
    }

    /// Takes a machine's name, without its port. An address is left for the run it is.
    fn push_machine(&mut self, value: Value, role: Role) -> Option<usize> {
        let whole = &self.bytes[value.start..value.end];
        if address(whole).is_some() || is_nobody(whole) {
            return None;
        }
        let name = match memchr::memrchr(b':', whole) {
            Some(colon) if is_number(&whole[colon + 1..], 5) => &whole[..colon],
            _ => whole,
        };
        let name = name.strip_suffix(b".").unwrap_or(name);
        if !is_host(name) || is_nobody(name) {
            return None;
        }
        self.push(Kind::Host, value.start, value.start + name.len(), role);
        Some(value.next)
    }

    /// `comm="NAME"` and the like. A path is left for the run it is.
    fn program(&mut self, at: usize, colon: bool) -> Option<usize> {
        let value = self.value(at)?;
        let name = &self.bytes[value.start..value.end];
        let number = name.starts_with(b"0x") || address(name).is_some();
        if (colon && !value.quoted) || number || has_drive(name) || !is_program(name) {
            return None;
        }
        self.push(Kind::Process, value.start, value.end, Role::None);
        Some(value.next)
    }

    /// `process=NAME`, `process 'NAME'`, and the kernel's `process 1234 (NAME)`.
    fn process(&mut self, end: usize, colon: bool) -> Option<usize> {
        if let Some((at, colon)) = self.value_of(end, colon) {
            return self.program(at, colon);
        }
        let at = self.next_word(end)?;
        if matches!(self.bytes[at], b'"' | b'\'') {
            return self.program(at, false);
        }
        let (_, pid_end) = self.digits(at)?;
        if !self.bytes[pid_end..].starts_with(b" (") {
            return None;
        }
        let name = self.value(pid_end + 1)?;
        if !is_program(&self.bytes[name.start..name.end]) {
            return None;
        }
        let pid = Some((at as u32, pid_end as u32));
        self.push_process(Kind::Process, name.start, name.end, Role::None, pid);
        Some(name.next)
    }

    fn pid(&mut self, end: usize, colon: bool) -> Option<usize> {
        let at = match self.value_of(end, colon) {
            Some((at, _)) => at,
            None => self.next_word(end)?,
        };
        let at = at + usize::from(matches!(self.at(at), b'"' | b'\''));
        let (start, end) = self.digits(at)?;
        self.push(Kind::Process, start, end, Role::None);
        Some(end)
    }

    /// A process id: up to ten digits that are not 0, and no part of something longer.
    fn digits(&self, start: usize) -> Option<(usize, usize)> {
        let mut end = start;
        while self.at(end).is_ascii_digit() {
            end += 1;
        }
        let fits = (1..=10).contains(&(end - start)) && self.bytes[start] != b'0';
        let apart = self.at(end) == b'.' || CLASS[usize::from(self.at(end))] & !COLON == 0;
        (fits && apart).then_some((start, end))
    }

    /// `name[pid]:` and `name(module)[pid]:`, where `name` ends at `end`.
    fn process_at(&mut self, start: usize, end: usize) -> Option<usize> {
        let mut at = end;
        if self.at(at) == b'(' {
            let window = &self.bytes[at..self.bytes.len().min(at + 40)];
            at += memchr::memchr(b')', window)? + 1;
        }
        if self.at(at) != b'[' {
            return None;
        }
        let (pid, pid_end) = self.digits(at + 1)?;
        if self.at(pid_end) != b']' || self.at(pid_end + 1) != b':' {
            return None;
        }
        if !is_program(&self.bytes[start..end]) {
            return None;
        }
        let pid = Some((pid as u32, pid_end as u32));
        self.push_process(Kind::Process, start, end, Role::None, pid);
        Some(pid_end + 2)
    }

    fn may_name(&self, value: Value) -> bool {
        words::word(self.bytes, value.start, value.end).may_name()
    }

    /// Takes `NT AUTHORITY\SYSTEM`, which has a space, as one name.
    fn with_authority(&self, value: Value) -> Value {
        let first = &self.bytes[value.start..value.end];
        if value.quoted || !(first == b"NT" || first == b"IIS") || self.at(value.next) != b' ' {
            return value;
        }
        match self.bare_value(value.next + 1) {
            Some(rest) if self.bytes[rest.start..rest.end].contains(&b'\\') => {
                Value { start: value.start, ..rest }
            }
            _ => value,
        }
    }
}

/// A value and where it ends with its quotes.
#[derive(Clone, Copy)]
struct Value {
    start: usize,
    end: usize,
    next: usize,
    quoted: bool,
}

/// Whether a byte ends a value that is not in quotes.
fn is_delimiter(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b",;\"'()[]{}<>|&`".contains(&byte)
}

/// Whether a dotted name is an address or a version rather than a machine.
fn is_number_like(name: &[u8]) -> bool {
    address(name).is_some() || !name.iter().any(u8::is_ascii_alphabetic)
}

/// Runs that are not plain words.
impl Scanner<'_, '_> {
    /// A run with something in it that is no letter, digit, hyphen or underscore; `whole_end` is
    /// where it ended before its trailing punctuation went.
    fn structured(&mut self, start: usize, end: usize, whole_end: usize, kinds: u16) -> usize {
        if kinds & !(PLAIN | SLASH) == 0 && words::word(self.bytes, start, end) == Word::Method {
            self.note(Word::Method, start, end);
            return whole_end;
        }
        let next = self.structure(start, end, whole_end, kinds);
        self.note(Word::Other, start, end);
        next.unwrap_or(whole_end)
    }

    fn structure(&mut self, start: usize, end: usize, stop: usize, kinds: u16) -> Option<usize> {
        let run = &self.bytes[start..end];
        if kinds & (COLON | SLASH) == COLON | SLASH {
            if let Some(at) = memchr::memmem::find(run, b"://") {
                return Some(self.url(start, start + at, end));
            }
        }
        if kinds & BACKSLASH != 0 {
            return self.backslash(start, end);
        }
        if matches!(self.at(stop), b'[' | b'(') && stop == end && kinds & (COLON | AT) == 0 {
            if let Some(next) = self.process_at(start, end) {
                return Some(next);
            }
        }
        if run[0] == b'/' {
            return self.slash(start, end, stop);
        }
        if run.starts_with(b"~/") && run.len() > 2 {
            self.push(Kind::File, start, end, Role::None);
        } else if kinds & AT != 0 {
            self.mailbox(start, end);
        } else if kinds & COLON != 0 {
            return self.colons(start, end, stop);
        } else if kinds & SLASH != 0 {
            self.relative(start, end);
        } else if kinds & DOT != 0 {
            self.dotted(start, end, stop, false);
        }
        None
    }

    /// `scheme://user@host:port/…`: the host. The rest of the URL is skipped.
    fn url(&mut self, start: usize, colon: usize, end: usize) -> usize {
        let scheme =
            memchr::memrchr(b':', &self.bytes[start..colon]).map_or(start, |at| start + at + 1);
        let authority = colon + 3;
        if self.bytes[scheme..colon].eq_ignore_ascii_case(b"file") {
            self.push_path(authority, end);
            return end;
        }
        let rest = &self.bytes[authority..end];
        let len = memchr::memchr2(b'/', b'\\', rest).unwrap_or(rest.len());
        let host = memchr::memrchr(b'@', &rest[..len]).map_or(authority, |at| authority + at + 1);
        let port = memchr::memchr(b':', &self.bytes[host..authority + len]);
        let mut host_end = port.map_or(authority + len, |at| host + at);
        while host_end > host && self.bytes[host_end - 1] == b'.' {
            host_end -= 1;
        }
        let name = &self.bytes[host..host_end];
        if ipv4(name).is_some() {
            self.push_ip(host, host_end);
        } else if is_domain(self.bytes, host, host_end, true) {
            self.push(Kind::Domain, host, host_end, Role::None);
        } else if is_host(name) && !is_nobody(name) {
            self.push(Kind::Host, host, host_end, Role::None);
        }
        self.skip_url(end)
    }

    /// The end of the URL that goes on at `at`.
    fn skip_url(&self, at: usize) -> usize {
        let ends = |byte: &u8| byte.is_ascii_whitespace() || b"\"'<>()]}|,;`".contains(byte);
        let rest = &self.bytes[at..];
        rest.iter().position(|byte| ends(byte)).map_or(self.bytes.len(), |len| at + len)
    }

    /// Whether the path in `[start, stop)` is part of a URL: behind a method or a key for URLs,
    /// before a query or `HTTP/`.
    fn is_request(&self, start: usize, stop: usize) -> bool {
        let (last, last_end) = self.last;
        match self.before[0] {
            Word::Http if last_end + 1 == start && self.bytes[last].is_ascii_uppercase() => true,
            Word::Url if start <= last_end + 4 => true,
            _ => self.at(stop) == b'?' || self.bytes[stop..].starts_with(b" HTTP/"),
        }
    }

    /// A run that starts with a slash: an address as Java prints it, the path of a request, a file.
    fn slash(&mut self, start: usize, end: usize, stop: usize) -> Option<usize> {
        if self.is_request(start, stop) {
            return Some(self.skip_url(stop));
        }
        let run = &self.bytes[start..end];
        let head = memchr::memchr(b':', run).unwrap_or(run.len());
        if ipv4(&run[1..head]).is_some() {
            self.push_ip(start + 1, start + head);
            return None;
        }
        if let Some((from, to)) = address(run) {
            self.push_ip(start + from, start + to);
            return None;
        }
        if self.at(stop) == b'*' {
            return None;
        }
        let mut from = start;
        while let Some(colon) = memchr::memmem::find(&self.bytes[from..end], b":/") {
            self.push_path(from, from + colon);
            from += colon + 1;
        }
        self.push_path(from, end);
        None
    }

    /// A file, if `[start, end)` is an absolute path, without the line number at its end.
    fn push_path(&mut self, start: usize, mut end: usize) {
        while let Some(colon) = memchr::memrchr(b':', &self.bytes[start..end]) {
            let number = &self.bytes[start + colon + 1..end];
            if !number.is_empty() && !is_number(number, 9) {
                break;
            }
            end = start + colon;
        }
        while end > start && matches!(self.bytes[end - 1], b'.' | b':') {
            end -= 1;
        }
        if is_posix_path(&self.bytes[start..end]) {
            self.push(Kind::File, start, end, Role::None);
        }
    }

    /// A Windows path, an account with its domain, or an escape.
    fn backslash(&mut self, start: usize, end: usize) -> Option<usize> {
        let run = &self.bytes[start..end];
        let drive = memchr::memmem::find(run, b":\\").and_then(|at| at.checked_sub(1));
        if let Some(drive) = drive {
            let apart = drive == 0 || !run[drive - 1].is_ascii_alphanumeric();
            if apart && has_drive(&run[drive..]) {
                return Some(self.push_windows_path(start + drive).max(start + 1));
            }
        }
        if has_device(run) {
            if run.starts_with(b"\\\\") {
                self.unc_server(start + 2);
            }
            return Some(self.push_windows_path(start).max(start + 1));
        }
        let mut tail = end;
        while tail > start && matches!(self.bytes[tail - 1], b'.' | b':' | b'-' | b'\\') {
            tail -= 1;
        }
        if is_domain_account(&self.bytes[start..tail]) {
            let ahead = &self.bytes[..start];
            let authority = ahead.ends_with(b"NT ") || ahead.ends_with(b"IIS ");
            let known = run.starts_with(b"AUTHORITY\\")
                || run.starts_with(b"SERVICE\\")
                || run.starts_with(b"APPPOOL\\");
            let from = if authority && known { self.last.0 } else { start };
            self.push(Kind::User, from, tail, Role::None);
        }
        None
    }

    /// The Windows path at `start`; says where it ends.
    fn push_windows_path(&mut self, start: usize) -> usize {
        let quote = match start {
            0 => None,
            _ => Some(self.bytes[start - 1]).filter(|byte| matches!(byte, b'"' | b'\'')),
        };
        let len = windows_path(&self.bytes[start..], quote);
        if len > 3 {
            self.push(Kind::File, start, start + len, Role::None);
        }
        start + len
    }

    /// The server of `\\server\share`.
    fn unc_server(&mut self, start: usize) {
        let len = memchr::memchr(b'\\', &self.bytes[start..]).unwrap_or(0);
        let name = &self.bytes[start..start + len];
        if ipv4(name).is_some() {
            self.push(Kind::Ip, start, start + len, Role::Target);
        } else if is_host(name) {
            self.push(Kind::Host, start, start + len, Role::Target);
        }
    }

    /// `name@host`: the domain or address behind the sign. Who a mailbox belongs to is not known.
    fn mailbox(&mut self, start: usize, end: usize) {
        let run = &self.bytes[start..end];
        let at = memchr::memrchr(b'@', run).expect("the run has this sign") + 1;
        let tail = &run[at..];
        let len = memchr::memchr3(b':', b'/', b'%', tail).unwrap_or(tail.len());
        let (from, to) = (start + at, start + at + len);
        if ipv4(&tail[..len]).is_some() {
            self.push_ip(from, to);
        } else if is_domain(self.bytes, from, to, at > 1) {
            self.push(Kind::Domain, from, to, Role::None);
        }
    }

    /// A run with colons: an IPv6 address, a drive, a key and its value, names with ports.
    fn colons(&mut self, start: usize, end: usize, stop: usize) -> Option<usize> {
        let run = &self.bytes[start..end];
        let cut = memchr::memchr2(b'%', b'/', run).unwrap_or(run.len());
        let kinds = shapes::mask(&run[..cut]);
        let bracketed = start > 0 && self.bytes[start - 1] == b'[' && self.at(stop) == b']';
        if kinds & !(HEX | DIGIT | COLON | DOT) == 0 {
            if ipv6(&run[..cut], bracketed).is_some() {
                self.push_ip(start, start + cut);
                return None;
            }
            if kinds & DOT == 0 {
                return None;
            }
        }
        if run.len() > 3 && has_drive(run) {
            return Some(self.push_windows_path(start).max(start + 1));
        }
        let colon = memchr::memchr(b':', run).expect("the run has one");
        let (key, value) = (words::word(self.bytes, start, start + colon), start + colon + 1);
        if self.colon_value(key, value, end) {
            return None;
        }
        if key.role() != Role::None {
            self.note(key, start, start + colon);
        }
        let rest = &self.bytes[value..end];
        let cut = memchr::memchr2(b'%', b'/', rest).unwrap_or(rest.len());
        if ipv6(&rest[..cut], false).is_some() {
            self.push_ip(value, value + cut);
            return None;
        }
        self.parts(start, end, stop);
        None
    }

    /// `key:value` in one run. Whether the key says all about the value.
    fn colon_value(&mut self, key: Word, start: usize, end: usize) -> bool {
        let value = Value { start, end, next: end, quoted: false };
        let text = &self.bytes[start..end];
        match key {
            Word::User | Word::Account => {
                let named = !text.contains(&b':') && self.may_name(value) && is_account(text);
                if named && text.iter().any(u8::is_ascii_alphabetic) {
                    self.push(Kind::User, start, end, Role::None);
                }
                true
            }
            Word::Host | Word::Machine | Word::Peer => {
                if let Some((from, to)) = address(text) {
                    self.push(Kind::Ip, start + from, start + to, key.role());
                } else if is_machine_like(text) {
                    self.push_machine(value, key.role());
                }
                true
            }
            Word::Pid => {
                if let Some((from, to)) = self.digits(start) {
                    self.push(Kind::Process, from, to, Role::None);
                }
                true
            }
            Word::Version => true,
            _ => false,
        }
    }

    /// What stands between the colons of a run.
    fn parts(&mut self, start: usize, end: usize, stop: usize) {
        let mut from = start;
        for _ in 0..PARTS_MAX {
            let rest = &self.bytes[from..end];
            let len = memchr::memchr(b':', rest).unwrap_or(rest.len());
            let part = &rest[..len];
            let port = len < rest.len() && {
                let after = &rest[len + 1..];
                let len = memchr::memchr(b':', after).unwrap_or(after.len());
                let len = memchr::memchr(b'/', &after[..len]).unwrap_or(len);
                is_number(&after[..len], 5)
            };
            let last = len == rest.len();
            match memchr::memchr(b'/', part) {
                Some(0) => self.push_path(from, from + len),
                Some(slash) if port && ipv4(&part[slash + 1..]).is_some() => {
                    self.push_ip(from + slash + 1, from + len);
                }
                Some(slash) => self.dotted(from, from + slash, from + slash, port),
                None if part.contains(&b'.') => {
                    self.dotted(from, from + len, if last { stop } else { from + len }, port);
                }
                None => {}
            }
            if last {
                return;
            }
            from += len + 1;
        }
    }

    /// `a/b`: an address with a prefix length, a name before a path.
    fn relative(&mut self, start: usize, end: usize) {
        let run = &self.bytes[start..end];
        let slash = memchr::memchr(b'/', run).expect("the run has one");
        self.dotted(start, start + slash, start + slash, false);
    }

    /// A run with dots: an IPv4 address, a program of Windows, a domain.
    fn dotted(&mut self, start: usize, end: usize, stop: usize, sure: bool) {
        let end = start + memchr::memchr(b'%', &self.bytes[start..end]).unwrap_or(end - start);
        let run = &self.bytes[start..end];
        if ipv4(run).is_some() {
            if self.before[0] != Word::Version {
                self.push_ip(start, end);
            }
            return;
        }
        if run.len() > 16 && run.contains(&b'-') {
            self.range(start, end);
        }
        if run.len() > 4 && run[run.len() - 4..].eq_ignore_ascii_case(b".exe") {
            if is_program(run) {
                self.push(Kind::Process, start, end, Role::None);
            }
            return;
        }
        if self.at(stop) == b'(' {
            return;
        }
        let sure = sure || self.before[0] == Word::Dns || self.before[1] == Word::Dns;
        if is_domain(self.bytes, start, end, sure) {
            match self.before[0] {
                Word::From => self.push(Kind::Host, start, end, Role::Source),
                _ => self.push(Kind::Domain, start, end, Role::None),
            }
        }
    }

    /// `10.0.0.1-10.0.0.9`.
    fn range(&mut self, start: usize, end: usize) {
        let run = &self.bytes[start..end];
        let hyphen = memchr::memchr(b'-', run).expect("asked before");
        let both = ipv4(&run[..hyphen]).is_some() && ipv4(&run[hyphen + 1..]).is_some();
        if both {
            self.push_ip(start, start + hyphen);
            self.push_ip(start + hyphen + 1, end);
        }
    }
}
