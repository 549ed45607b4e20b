//! Words that announce something: keys, and the phrases in which programs name accounts,
//! machines and processes.

use super::super::Role;
use super::super::domains::is_host;
use super::super::shapes::*;
use super::super::words::{self, Word};
use super::Scanner;
use crate::types::Kind;

/// How long a name in quotes or brackets may be.
const QUOTED_MAX: usize = 300;
/// How many blanks may stand between a key and its value.
const BLANKS_MAX: usize = 32;

/// A value and where it ends with its quotes.
#[derive(Clone, Copy)]
pub(super) struct Value {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) next: usize,
    pub(super) quoted: bool,
}

/// Whether a byte ends a value that is not in quotes.
fn is_delimiter(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b",;\"'()[]{}<>|&`".contains(&byte)
}

/// Whether a dotted name is an address or a version rather than a machine.
fn is_number_like(name: &[u8]) -> bool {
    address(name).is_some() || !name.iter().any(u8::is_ascii_alphabetic)
}

impl Scanner<'_, '_> {
    /// What `word` announces. Says where to go on if it took a name.
    pub(super) fn word(
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
            Word::To => self.behind_to(start, end),
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
            // `delete` is a method of HTTP as well.
            Word::Member | Word::Http => self.member(end),
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
    pub(super) fn value_of(&self, end: usize, colon: bool) -> Option<(usize, bool)> {
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

    pub(super) fn skip_blanks(&self, from: usize) -> usize {
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

    /// `add 'NAME' to group 'GROUP'`, as `usermod` says it.
    fn member(&mut self, end: usize) -> Option<usize> {
        const GROUPS: [&[u8]; 4] =
            [b" to group '", b" to shadow group '", b" from group '", b" from shadow group '"];
        let at = self.next_word(end).filter(|at| self.at(*at) == b'\'')?;
        let value = self.value(at)?;
        let rest = &self.bytes[value.next..];
        let grouped = GROUPS.iter().any(|group| rest.starts_with(group));
        if !grouped || !is_account(&self.bytes[value.start..value.end]) {
            return None;
        }
        self.push(Kind::User, value.start, value.end, Role::Target);
        Some(value.next)
    }

    /// `user=NAME` and the like. Where only a colon makes the key, words that follow headings
    /// are no names.
    fn keyed_account(&mut self, at: usize, colon: bool, role: Role) -> Option<usize> {
        let value = self.with_authority(self.value(at)?);
        let name = &self.bytes[value.start..value.end];
        // In `new user: name=eve` another key follows.
        let key = name.contains(&b'=');
        let heading = colon && !value.quoted && (key || !self.may_name(value));
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
        let plain = || name.len() > 1 && self.may_name(value) && self.does_something(value.next);
        if !is_account(name) || !(sure || plain()) {
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
    fn behind_to(&mut self, start: usize, end: usize) -> Option<usize> {
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

    /// `+ TTY NAME:NAME` of su: who became whom, or with `-` failed to.
    pub(super) fn switched(&mut self) -> bool {
        let Some(rest) = self.text.strip_prefix("+ ").or(self.text.strip_prefix("- ")) else {
            return false;
        };
        let Some((_, names)) = rest.trim_end().split_once(' ') else { return false };
        let Some((actor, target)) = names.split_once(':') else { return false };
        let valid = |name: &str| is_account(name.as_bytes()) && !name.contains([' ', ':']);
        if !valid(actor) || !valid(target) {
            return false;
        }
        let start = self.text.trim_end().len() - names.len();
        let middle = start + actor.len();
        self.push(Kind::User, start, middle, Role::Actor);
        self.push(Kind::User, middle + 1, middle + 1 + target.len(), Role::Target);
        true
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
    pub(super) fn push_machine(&mut self, value: Value, role: Role) -> Option<usize> {
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
    pub(super) fn digits(&self, start: usize) -> Option<(usize, usize)> {
        let mut end = start;
        while self.at(end).is_ascii_digit() {
            end += 1;
        }
        let fits = (1..=10).contains(&(end - start)) && self.bytes[start] != b'0';
        let apart = self.at(end) == b'.' || CLASS[usize::from(self.at(end))] & !COLON == 0;
        (fits && apart).then_some((start, end))
    }

    /// `name[pid]:` and `name(module)[pid]:`, where `name` ends at `end`.
    pub(super) fn process_at(&mut self, start: usize, end: usize) -> Option<usize> {
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

    pub(super) fn may_name(&self, value: Value) -> bool {
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
