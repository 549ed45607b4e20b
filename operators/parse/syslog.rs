//! Syslog: RFC 5424, RFC 3164, and what senders do instead.
//!
//! A header is `<PRI>`, then either version 1 and its six words, or a date, a host and a tag, of
//! which any may be missing. rsyslog forwards with an RFC 3339 date and no version; Cisco devices
//! put a sequence number in front and `%FACILITY-SEVERITY-MNEMONIC:` in place of the tag.

use memchr::memchr;

use super::application::{Levels, application, is_number};
use super::class;
use super::known::level;
use super::out::{Draft, Out};
use super::time::{self, Defaults, Stamp};
use crate::types::{Flags, Severity, Text, Value};

/// How long a tag may be. RFC 3164 says 32; unit names and container names are longer.
const TAG_BYTES_MAX: usize = 128;
/// How long a host's name may be (RFC 1035).
const HOST_BYTES_MAX: usize = 255;
/// What stands for a value that is not known (RFC 5424 §6).
const NIL: &str = "-";
/// Stands in front of a message that says it is UTF-8 (RFC 5424 §6.4).
pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

/// What a record begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Priority {
    /// Something that is no priority and does not try to be one.
    Absent,
    /// `<PRI>` with its value, 0–191, and its length.
    Known(u8, usize),
    /// `<`, and then something else than a number from 0 to 191 and `>`.
    Bad,
}

/// Reads a priority.
pub(super) fn priority(text: &str) -> Priority {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'<') {
        return Priority::Absent;
    }
    let digits = bytes[1..].iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=3).contains(&digits) || bytes.get(1 + digits) != Some(&b'>') {
        return Priority::Bad;
    }
    let value = bytes[1..=digits].iter().fold(0, |value, b| value * 10 + u16::from(b - b'0'));
    match value {
        0..=191 => Priority::Known(value as u8, digits + 2),
        _ => Priority::Bad,
    }
}

/// Reads what follows a priority.
pub(super) fn read<'a>(out: &mut Out, draft: &mut Draft<'a>, text: &'a str) {
    if let Some(rest) = text.strip_prefix("1 ")
        && rfc5424(out, draft, rest)
    {
        return;
    }
    rfc3164(out, draft, text);
}

/// Reads what follows the version. False if it is something else that began with `1 `.
fn rfc5424<'a>(out: &mut Out, draft: &mut Draft<'a>, text: &'a str) -> bool {
    let mut rest = text;
    let stamp = next_word(&mut rest);
    let time = time::iso(stamp, out.defaults).filter(|time| time.len == stamp.len());
    let host = next_word(&mut rest);
    let app = next_word(&mut rest);
    let procid = next_word(&mut rest);
    let msgid = next_word(&mut rest);
    let is_whole = rest.starts_with(['-', '[']) && !msgid.is_empty();
    if time.is_none() && !is_whole {
        return false;
    }
    draft.time = time.and_then(|stamp| stamp.time);
    draft.host = out.place(known(host));
    draft.app = out.place(program(known(app)));
    draft.procid = out.place(known(procid));
    draft.msgid = out.place(known(msgid));
    if rest.starts_with('[') {
        let mark = out.mark();
        match structured_data(out, rest) {
            Some(after) => rest = after,
            None => {
                out.back_to(mark);
                draft.flags.set(Flags::BAD_BODY);
            }
        }
    } else if rest == NIL || rest.starts_with("- ") {
        rest = &rest[1..];
    }
    let message = rest.strip_prefix(' ').unwrap_or(rest);
    draft.body = message.strip_prefix(BYTE_ORDER_MARK).unwrap_or(message);
    true
}

/// Takes the text up to the next space, and the space.
fn next_word<'a>(rest: &mut &'a str) -> &'a str {
    let word = match memchr(b' ', rest.as_bytes()) {
        Some(end) => &rest[..end],
        None => *rest,
    };
    *rest = rest.get(word.len() + 1..).unwrap_or("");
    word
}

fn known(word: &str) -> &str {
    if word == NIL { "" } else { word }
}

/// Reads `[id name="value" …][id …]` into fields `id.name`, and gives what follows.
fn structured_data<'a>(out: &mut Out, text: &'a str) -> Option<&'a str> {
    let mut rest = text;
    while let Some(element) = rest.strip_prefix('[') {
        let id = &element[..element.find([' ', ']', '"', '='])?];
        rest = &element[id.len()..];
        out.path.clear();
        out.path.push_str(id);
        out.path.push('.');
        let id_len = out.path.len();
        loop {
            rest = rest.trim_start_matches(' ');
            if let Some(after) = rest.strip_prefix(']') {
                rest = after;
                break;
            }
            let name = &rest[..rest.find(['=', ' ', ']', '"'])?];
            let quoted = rest[name.len()..].strip_prefix("=\"")?;
            let (value, after) = parameter(out, quoted)?;
            out.path.truncate(id_len);
            out.path.push_str(name);
            out.field_at_path(None, Value::Text(value));
            rest = after;
        }
    }
    Some(rest)
}

/// Reads a value up to its closing quote. `\"`, `\\` and `\]` lose their backslash (§6.3.3).
fn parameter<'a>(out: &mut Out, text: &'a str) -> Option<(Text, &'a str)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut escaped = false;
    loop {
        match bytes.get(at)? {
            b'"' => break,
            b'\\' => {
                escaped = true;
                at += 2;
            }
            _ => at += 1,
        }
    }
    let value = text.get(..at)?;
    let after = &text[at + 1..];
    if !escaped {
        return Some((out.place(value), after));
    }
    let decoded = out.write(|scratch| {
        let mut rest = value;
        while let Some(at) = memchr(b'\\', rest.as_bytes()) {
            scratch.push_str(&rest[..at]);
            rest = &rest[at..];
            let kept = usize::from(rest[1..].starts_with(['"', '\\', ']']));
            let len = rest[kept..].chars().next().map_or(0, char::len_utf8);
            scratch.push_str(&rest[kept..kept + len]);
            rest = &rest[kept + len..];
        }
        scratch.push_str(rest);
    });
    Some((decoded, after))
}

/// Reads a date, a host and a tag, or what there is of them.
fn rfc3164<'a>(out: &mut Out, draft: &mut Draft<'a>, text: &'a str) {
    let text = text.trim_start_matches(' ');
    let mut rest = text;
    let mut host = "";
    // Cisco: a sequence number and a name may stand before the date.
    for _ in 0..3 {
        let unmarked = rest.strip_prefix(['*', '.']).unwrap_or(rest);
        if let Some(stamp) = date(unmarked, out.defaults) {
            draft.time = stamp.time;
            draft.host = out.place(host);
            let is_iso = unmarked.as_bytes()[0].is_ascii_digit();
            return after_date(out, draft, &unmarked[stamp.len..], is_iso);
        }
        if cisco(out, draft, rest) {
            draft.host = out.place(host);
            return;
        }
        let Some((piece, after)) = rest.split_once(": ") else {
            break;
        };
        if !is_host(piece) {
            break;
        }
        if !is_number(piece) {
            host = piece;
        }
        rest = after.trim_start_matches(' ');
    }
    match tag(text) {
        Some(tag) => set_tag(out, draft, tag),
        None => draft.body = text,
    }
}

/// A date as syslog senders write it.
fn date(text: &str, defaults: Defaults) -> Option<Stamp> {
    match text.as_bytes().first()? {
        b'0'..=b'9' => time::iso(text, defaults).or_else(|| time::year_first(text, defaults)),
        b'A'..=b'Z' => time::bsd(text, defaults).or_else(|| time::ctime(text, defaults)),
        _ => None,
    }
}

/// Reads a host and a tag. An ISO date may also be that of a program's own header.
pub(super) fn after_date<'a>(out: &mut Out, draft: &mut Draft<'a>, text: &'a str, is_iso: bool) {
    let text = text.strip_prefix(':').unwrap_or(text).trim_start_matches(' ');
    draft.body = text;
    if cisco(out, draft, text) {
        return;
    }
    if is_iso && application(out, draft, text, Levels::Words) {
        return;
    }
    if let Some(tag) = tag(text) {
        return set_tag(out, draft, tag);
    }
    let mut rest = text;
    let host = next_word(&mut rest);
    if !is_host(host) {
        return;
    }
    draft.host = out.place(known(&host[..host.find('/').unwrap_or(host.len())]));
    rest = rest.trim_start_matches(' ');
    if cisco(out, draft, rest.trim_start_matches([':', ' '])) {
        return;
    }
    // What login of old puts in front of its tag.
    rest = rest.strip_prefix("-- ").unwrap_or(rest);
    match tag(rest).or_else(|| tag_with_version(rest)) {
        Some(tag) => set_tag(out, draft, tag),
        None => draft.body = rest,
    }
}

/// Reads a host and then a tag with a process id (or, if `bare`, without), or a tag alone; false
/// if that is not what stands there. For dates that are not only syslog's.
pub(super) fn host_and_tag<'a>(
    out: &mut Out,
    draft: &mut Draft<'a>,
    text: &'a str,
    bare: bool,
) -> bool {
    let good = |tag: &Tag<'_>| bare || !tag.procid.is_empty();
    if let Some(tag) = tag(text).filter(|tag| !tag.procid.is_empty()) {
        set_tag(out, draft, tag);
        return true;
    }
    let mut rest = text;
    let host = next_word(&mut rest);
    if !is_host(host) {
        return false;
    }
    let Some(tag) = tag(rest.trim_start_matches(' ')).filter(good) else {
        return false;
    };
    draft.host = out.place(host);
    set_tag(out, draft, tag);
    true
}

fn is_host(word: &str) -> bool {
    (1..=HOST_BYTES_MAX).contains(&word.len()) && class::HOST.has_all(word)
}

struct Tag<'a> {
    name: &'a str,
    procid: &'a str,
    rest: &'a str,
}

/// `name: `, `name[pid]: ` or `name[pid] `, and what follows.
fn tag(text: &str) -> Option<Tag<'_>> {
    let bytes = text.as_bytes();
    let first = *bytes.first()?;
    if !first.is_ascii_alphanumeric() && !matches!(first, b'_' | b'/' | b'.' | b'(') {
        return None;
    }
    let mut has_letter = false;
    for (at, byte) in bytes.iter().enumerate().take(TAG_BYTES_MAX) {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => has_letter = true,
            b'0'..=b'9' | b'-' | b'.' | b'/' | b'(' | b')' | b'@' | b'+' | b'#' | b'~' => {}
            b':' if matches!(bytes.get(at + 1), None | Some(b' ' | b'\t')) => {
                let rest = &text[at + 1..];
                return has_letter.then_some(Tag { name: &text[..at], procid: "", rest });
            }
            b':' => {}
            b'[' if has_letter => return tag_with_procid(text, at),
            0x80.. => {}
            _ => return None,
        }
    }
    None
}

fn tag_with_procid(text: &str, open: usize) -> Option<Tag<'_>> {
    let inner = &text[open + 1..];
    let len =
        inner.bytes().take(33).take_while(|b| b.is_ascii_alphanumeric() || *b == b'-').count();
    let procid = &inner[..len];
    let after = inner[len..].strip_prefix(']')?;
    let rest = match after.strip_prefix(':') {
        Some(rest) => rest,
        None if is_number(procid) && (after.is_empty() || after.starts_with(' ')) => after,
        None => return None,
    };
    Some(Tag { name: &text[..open], procid: known(procid), rest })
}

/// `syslogd 1.4.1: `
fn tag_with_version(text: &str) -> Option<Tag<'_>> {
    let (name, rest) = text.split_once(' ')?;
    let (version, rest) = rest.split_once(": ")?;
    let is_version = version.starts_with(|c: char| c.is_ascii_digit())
        && version.contains('.')
        && version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (is_version && is_name).then_some(Tag { name, procid: "", rest })
}

fn set_tag<'a>(out: &mut Out, draft: &mut Draft<'a>, tag: Tag<'a>) {
    let app = program(tag.name);
    draft.app = out.place(app);
    draft.procid = out.place(tag.procid);
    draft.body = match app {
        "kernel" => after_uptime(tag.rest.trim_start_matches(' ')),
        _ => tag.rest,
    };
}

/// A program's name without its path and without what PAM modules add: `sshd(pam_unix)`.
fn program(name: &str) -> &str {
    let name = match name.strip_prefix('/') {
        Some(path) => path.rsplit('/').next().unwrap_or(path),
        None => name,
    };
    match name.find('(') {
        Some(end) if end > 0 => &name[..end],
        _ => name,
    }
}

/// Skips `[   12.345678] `, the kernel's seconds since boot.
pub(super) fn after_uptime(text: &str) -> &str {
    let uptime = || {
        let (inner, rest) = text.strip_prefix('[')?.split_once(']')?;
        let (seconds, fraction) = inner.trim_start_matches(' ').split_once('.')?;
        (is_number(seconds) && is_number(fraction)).then_some(rest)
    };
    uptime().unwrap_or(text)
}

/// Reads `%FACILITY-SEVERITY-MNEMONIC: `; false if that is not what stands there.
pub(super) fn cisco<'a>(out: &mut Out, draft: &mut Draft<'a>, text: &'a str) -> bool {
    let Some(rest) = text.strip_prefix('%') else {
        return false;
    };
    let Some((id, rest)) = rest.split_once(':') else {
        return false;
    };
    let ok = |byte: u8| matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    let severity = id.split('-').skip(1).find_map(|part| match part.as_bytes() {
        [digit @ b'0'..=b'7'] => Some(digit - b'0'),
        _ => None,
    });
    let Some(severity) = severity.filter(|_| id.len() <= TAG_BYTES_MAX && id.bytes().all(ok))
    else {
        return false;
    };
    draft.severity = draft.severity.or(Some(Severity::from_syslog(severity)));
    draft.app = out.place(id.split('-').next().unwrap_or(id));
    draft.msgid = out.place(id);
    draft.body = rest;
    true
}

/// What a line says of itself in its first word, as Python's default does: `WARNING:root:text`.
pub(super) fn leading_level(text: &str) -> Option<(Severity, &str)> {
    let end = text.find(|c: char| !c.is_ascii_alphabetic())?;
    let word = &text[..end];
    let upper = word.bytes().all(|byte| byte.is_ascii_uppercase());
    let severity = level(word).filter(|_| upper)?;
    Some((severity, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{one, one_from, says};
    use super::*;

    #[test]
    fn a_priority_is_a_number_up_to_191() {
        assert_eq!(priority("<0>x"), Priority::Known(0, 3));
        assert_eq!(priority("<191>x"), Priority::Known(191, 5));
        assert_eq!(priority("x"), Priority::Absent);
        assert_eq!(priority(""), Priority::Absent);
        let digits = format!("<{}>", "1".repeat(4_096));
        for bad in ["<", "<>", "<192>", "<999>", "<-1>", "<1", "<1x>", "< 1>", "<1234>", &digits] {
            assert_eq!(priority(bad), Priority::Bad, "{bad}");
        }
    }

    #[test]
    fn a_bad_priority_is_user_notice_and_the_text_is_kept() {
        for text in ["<999>Nov 22 13:38:00 host app: text", "<192>text", "<>text", "<34text"] {
            let (event, batch) = one_from("syslog", text);
            assert!(event.flags.has(Flags::BAD_PRIORITY), "{text}");
            assert_eq!(event.severity, Some(Severity::Notice));
            assert_eq!(event.facility, Some(1));
            assert_eq!(batch.text(event.message), text);
        }
        let (event, batch) = one_from("syslog", "Nov 22 13:38:00 host app: text");
        assert!(event.flags.has(Flags::BAD_PRIORITY));
        assert_eq!((event.severity, event.facility), (Some(Severity::Notice), Some(1)));
        assert_eq!(batch.text(event.message), "text");
    }

    #[test]
    fn a_record_of_a_file_has_no_severity_unless_it_says_so() {
        for text in ["Nov 22 13:38:00 host app: text", "text", "<b>text</b>", "<>"] {
            let (event, _) = one_from("file", text);
            assert_eq!((event.severity, event.facility), (None, None), "{text}");
            assert!(!event.flags.has(Flags::BAD_PRIORITY), "{text}");
        }
        let (event, _) = one_from("file", "<999>text");
        assert!(event.flags.has(Flags::BAD_PRIORITY));
        let (event, _) = one_from("file", "<11>text");
        assert_eq!((event.severity, event.facility), (Some(Severity::Error), Some(1)));
    }

    #[test]
    fn headers_are_read_into_their_parts() {
        // record; time, host, app, process id, message id; message
        let cases: &[(&str, &str, &str)] = &[
            (
                "<34>1 2026-11-22T13:38:00.003Z web01 su 17 ID47 - 'su root' failed",
                "2026-11-22T13:38:00.003Z web01 su 17 ID47",
                "'su root' failed",
            ),
            (
                "<34>1 2026-11-22T13:38:00Z web01 su - ID47 - \u{feff}su root failed\n",
                "2026-11-22T13:38:00Z web01 su  ID47",
                "su root failed",
            ),
            ("<13>1 - - - - - - text", "?    ", "text"),
            ("<13>1 - - - - - -", "?    ", ""),
            ("<13>1 2026-11-22T13:38:00Z h a - -", "2026-11-22T13:38:00Z h a  ", ""),
            ("<13>1 2026-02-30T13:38:00Z h a 1 m - text", "? h a 1 m", "text"),
            (
                "<13>1 2026-11-22T13:38:00+01:00 h /usr/sbin/cron 7 - [meta x=\"1\"] text",
                "2026-11-22T12:38:00Z h cron 7 ",
                "text",
            ),
            ("<13>1 2 3 go", "?    ", "1 2 3 go"),
            (
                "<34>Nov 22 13:38:00 mymachine su[12]: 'su root' failed",
                "2026-11-22T13:38:00Z mymachine su 12 ",
                "'su root' failed",
            ),
            ("<34>Nov  2 13:38:00 su: x", "2026-11-02T13:38:00Z  su  ", "x"),
            (
                "Nov 22 13:38:00 combo sshd(pam_unix)[19939]: check pass; user unknown",
                "2026-11-22T13:38:00Z combo sshd 19939 ",
                "check pass; user unknown",
            ),
            (
                "Nov 22 13:38:00 web CRON[1]: (root) CMD (x)",
                "2026-11-22T13:38:00Z web CRON 1 ",
                "(root) CMD (x)",
            ),
            (
                "Nov 22 13:38:00 web kernel: [   12.345678] usb 1-1: new device",
                "2026-11-22T13:38:00Z web kernel  ",
                "usb 1-1: new device",
            ),
            (
                "Nov 22 13:38:00 web syslogd 1.4.1: restart.",
                "2026-11-22T13:38:00Z web syslogd  ",
                "restart.",
            ),
            (
                "Nov 22 13:38:00 web last message repeated 2 times",
                "2026-11-22T13:38:00Z web   ",
                "last message repeated 2 times",
            ),
            (
                "Nov 22 13:38:00 web postfix/smtpd[77]: connect from x[1.2.3.4]",
                "2026-11-22T13:38:00Z web postfix/smtpd 77 ",
                "connect from x[1.2.3.4]",
            ),
            (
                "<30>2026-11-22T13:38:00.123456+00:00 web systemd[1]: Started x.",
                "2026-11-22T13:38:00.123456Z web systemd 1 ",
                "Started x.",
            ),
            (
                "2026-11-22T13:38:00.123456+00:00 web kernel: text",
                "2026-11-22T13:38:00.123456Z web kernel  ",
                "text",
            ),
            ("<14>2026-11-22 13:38:00 web app: text", "2026-11-22T13:38:00Z web app  ", "text"),
            ("<14>2026 Nov 22 13:38:00 web app: text", "2026-11-22T13:38:00Z web app  ", "text"),
            (
                "<189>123: *Nov 22 13:38:00.123: %SYS-5-CONFIG_I: Configured from console",
                "2026-11-22T13:38:00.123Z  SYS  SYS-5-CONFIG_I",
                "Configured from console",
            ),
            (
                "<189>12: r1: .Nov 22 13:38:00 UTC: %LINK-3-UPDOWN: Interface x, down",
                "2026-11-22T13:38:00Z r1 LINK  LINK-3-UPDOWN",
                "Interface x, down",
            ),
            (
                "<166>Nov 22 2026 13:38:00 fw01 : %ASA-6-302013: Built outbound TCP",
                "2026-11-22T13:38:00Z fw01 ASA  ASA-6-302013",
                "Built outbound TCP",
            ),
            (
                "<166>Nov 22 2026 13:38:00: %ASA-6-302013: Built",
                "2026-11-22T13:38:00Z  ASA  ASA-6-302013",
                "Built",
            ),
            ("<189>%SYS-5-RESTART: System restarted", "?  SYS  SYS-5-RESTART", "System restarted"),
            ("<13>myapp[7]: text", "?  myapp 7 ", "text"),
            ("<13>just some words", "?    ", "just some words"),
            ("<13>Feb 30 13:38:00 h a: text", "? h a  ", "text"),
            (
                "<13>Nov 22 13:38:00 fe80::1 app[9]: text",
                "2026-11-22T13:38:00Z fe80::1 app 9 ",
                "text",
            ),
            ("<13>Nov 22 13:38:00 \"quoted\" text", "2026-11-22T13:38:00Z    ", "\"quoted\" text"),
            ("<13>Nov 22 13:38:00 web a\0b", "2026-11-22T13:38:00Z web   ", "a\0b"),
        ];
        for (record, header, message) in cases {
            assert_eq!(says(record), (header.to_string(), message.to_string()), "{record}");
        }
    }

    #[test]
    fn structured_data_becomes_fields_and_leaves_the_message() {
        let (event, batch) = one("<34>1 2026-11-22T13:38:00Z h a - - \
             [ex@32473 q=\"a \\\"b\\\" \\\\ \\] \\n\" e=\"\"][meta sequenceId=\"1\"] text");
        let value = |name| match batch.field(&event, name) {
            Some(Value::Text(text)) => batch.text(text),
            other => panic!("{name} is {other:?}"),
        };
        assert_eq!(value("ex@32473.q"), "a \"b\" \\ ] \\n");
        assert_eq!(value("ex@32473.e"), "");
        assert_eq!(value("meta.sequenceId"), "1");
        assert_eq!(batch.text(event.message), "text");
        assert_eq!(batch.fields(&event).len(), 3);
    }

    #[test]
    fn broken_structured_data_is_message_and_flagged() {
        for data in ["[id a=\"b", "[id a=b] x", "[id", "[id a=\"\\", "[id a=\"b\" é"] {
            let (event, batch) = one(&format!("<34>1 2026-11-22T13:38:00Z h a - - {data}"));
            assert!(event.flags.has(Flags::BAD_BODY), "{data}");
            assert_eq!(batch.text(event.message), data);
            assert!(batch.fields(&event).is_empty());
        }
    }
}
