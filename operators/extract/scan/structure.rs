//! Runs that are not plain words: addresses, paths, URLs, mailboxes, names with dots and ports.

use super::super::Role;
use super::super::domains::{is_domain, is_host};
use super::super::shapes::{self, *};
use super::super::words::{self, Word};
use super::announced::Value;
use super::{PLAIN, Scanner};
use crate::types::Kind;

/// How many parts of a run with colons are looked at.
const PARTS_MAX: usize = 16;

impl Scanner<'_, '_> {
    /// A run with something in it that is no letter, digit, hyphen or underscore; `whole_end` is
    /// where it ended before its trailing punctuation went.
    pub(super) fn structured(
        &mut self,
        start: usize,
        end: usize,
        whole_end: usize,
        kinds: u16,
    ) -> usize {
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
        if kinds & (COLON | SLASH) == COLON | SLASH
            && let Some(at) = find(run, b"://")
        {
            return Some(self.url(start, start + at, end));
        }
        if kinds & BACKSLASH != 0 {
            return self.backslash(start, end);
        }
        if matches!(self.at(stop), b'[' | b'(')
            && stop == end
            && kinds & (COLON | AT) == 0
            && let Some(next) = self.process_at(start, end)
        {
            return Some(next);
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
        if authority == end {
            // An IPv6 address follows in brackets.
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
        rest.iter().position(ends).map_or(self.bytes.len(), |len| at + len)
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
        while let Some(colon) = find(&self.bytes[from..end], b":/") {
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
        let drive = find(run, b":\\").and_then(|at| at.checked_sub(1));
        if let Some(drive) = drive {
            let apart = drive == 0 || !run[drive - 1].is_ascii_alphanumeric();
            if apart && has_drive(&run[drive..]) {
                return Some(self.push_windows_path(start + drive).max(end));
            }
        }
        if has_device(run) {
            if run.starts_with(b"\\\\") {
                self.unc_server(start + 2);
            }
            return Some(self.push_windows_path(start).max(end));
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
                // A clock, a hardware address, a fingerprint.
                return None;
            }
        }
        if run.len() > 3 && has_drive(run) {
            return Some(self.push_windows_path(start).max(end));
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
        if slash == 2 && run[0] == b'-' {
            // An option and its value: `-o/tmp/x`.
            return self.push_path(start + slash, end);
        }
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
