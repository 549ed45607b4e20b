//! Headers without a priority: what programs and frameworks put in front of a message.
//!
//! A header that is not known stays where it is: then the message is the whole line.

use memchr::memchr;

use super::application::{COMPONENT_BYTES_MAX, Levels, application, group, is_name, is_number};
use super::application::{lead, letter};
use super::known::level;
use super::out::{Draft, Out};
use super::syslog;
use super::time::{self, Defaults, Stamp};
use crate::types::{Severity, Span, Text};

/// Reads whatever header there is; `draft.body` is what follows it.
pub(super) fn read<'a>(out: &mut Out, draft: &mut Draft<'a>, text: &'a str) {
    draft.body = text;
    match text.as_bytes().first() {
        Some(b'0'..=b'9') => digits_first(out, draft, text),
        Some(b'A'..=b'Z') => capital_first(out, draft, text),
        Some(b'[') => bracket_first(out, draft, text),
        Some(b'-') => {
            blue_gene(out, draft, text);
        }
        Some(b'%') => {
            syslog::cisco(out, draft, text);
        }
        Some(b'*' | b'.') => {
            if let Some(stamp) = time::bsd(&text[1..], out.defaults) {
                draft.time = stamp.time;
                syslog::after_date(out, draft, &text[1 + stamp.len..], false);
            }
        }
        _ => {}
    }
}

fn digits_first<'a>(out: &mut Out, draft: &mut Draft<'a>, text: &'a str) {
    let bytes = text.as_bytes();
    let at = |index: usize| bytes.get(index).copied().unwrap_or(0);
    if matches!(at(4), b'-' | b'/' | b'.') {
        if let Some(stamp) = time::iso(text, out.defaults) {
            draft.time = stamp.time;
            after_iso(out, draft, &text[stamp.len..], stamp.has_offset);
        }
        return;
    }
    if at(4) == b' ' {
        if let Some(stamp) = time::year_first(text, out.defaults) {
            draft.time = stamp.time;
            syslog::after_date(out, draft, &text[stamp.len..], false);
        }
        return;
    }
    if at(6) == b'-'
        && let Some(stamp) = time::day_first(text, out.defaults)
    {
        draft.time = stamp.time;
        return bind(out, draft, &text[stamp.len..]);
    }
    if at(10) == b'.' && at(14) == b' ' && is_squid(&text[14..]) {
        draft.time = time::epoch_text(&text[..14]);
        draft.app = out.place("squid");
        return;
    }
    // These are dates only if a level follows: a text may well begin with such numbers.
    let (shape, levels): (fn(&str, Defaults) -> Option<Stamp>, _) = match (at(2), at(6), at(8)) {
        (b'/', ..) => (time::short_year, Levels::Words),
        (b'-' | b'.', ..) => (time::month_day, Levels::Letters),
        (b':', ..) => (time::clock, Levels::Words),
        (_, b' ', _) => (time::six_six, Levels::Words),
        (_, _, b'-') => (time::packed, Levels::Words),
        _ => return redis(out, draft, text),
    };
    let Some(stamp) = shape(text, out.defaults).filter(|stamp| stamp.time.is_some()) else {
        return redis(out, draft, text);
    };
    let rest = &text[stamp.len..];
    if application(out, draft, rest, levels) || columns(out, draft, rest) {
        draft.time = stamp.time;
    }
}

/// What BIND writes behind the date: ` queries: info: client …`. The category is no program.
fn bind<'a>(out: &mut Out, draft: &mut Draft<'a>, text: &'a str) {
    draft.body = lead(text).0;
    let Some((category, rest)) = draft.body.split_once(": ") else { return };
    if let Some((said, message)) = rest.split_once(": ")
        && is_name(category)
        && let Some(severity) = level(said)
    {
        draft.severity = Some(severity);
        draft.app = out.place("named");
        draft.body = message;
    } else if !application(out, draft, text, Levels::Words) {
        draft.body = lead(text).0;
    }
}

/// Whether this follows the time in Squid's own log: `    150 10.0.0.5 TCP_MISS/200 5000 GET …`.
fn is_squid(text: &str) -> bool {
    let mut words = text.split(' ').filter(|word| !word.is_empty());
    let (elapsed, client, result) = (words.next(), words.next(), words.next());
    let status = result.and_then(|result| result.split_once('/'));
    elapsed.is_some_and(is_number)
        && client.is_some()
        && status.is_some_and(|(result, status)| {
            let is_capital = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
            result.bytes().all(is_capital) && !result.is_empty() && is_number(status)
        })
}

fn capital_first<'a>(out: &mut Out, draft: &mut Draft<'a>, text: &'a str) {
    if let Some(stamp) = time::bsd(text, out.defaults) {
        draft.time = stamp.time;
        return syslog::after_date(out, draft, &text[stamp.len..], false);
    }
    if let Some(stamp) = time::ctime(text, out.defaults) {
        draft.time = stamp.time;
        let rest = &text[stamp.len..];
        if !application(out, draft, rest, Levels::Words) {
            draft.body = lead(rest).0;
        }
        return;
    }
    if klog(out, draft, text) || android_brief(out, draft, text) || blue_gene(out, draft, text) {
        return;
    }
    if text.as_bytes().get(1..4) == Some(b", [") {
        return bracket_first(out, draft, &text[3..]);
    }
    if let Some((severity, rest)) = syslog::leading_level(text)
        && (rest.starts_with([':', ' ', '\t', ',', '|']))
    {
        draft.severity = Some(severity);
        let named = rest.strip_prefix(':').and_then(|rest| rest.split_once(':'));
        if let Some((name, message)) = named.filter(|(name, _)| is_name(name)) {
            draft.app = out.place(name);
            draft.body = message;
        }
    }
}

fn bracket_first<'a>(out: &mut Out, draft: &mut Draft<'a>, text: &'a str) {
    let inner = &text[1..];
    // `[1764980000] unbound[1234:0] info: message`, and Nagios.
    if inner.as_bytes().get(10) == Some(&b']') && is_number(&inner[..10]) {
        draft.time = time::epoch_text(&inner[..10]);
        draft.body = lead(&inner[11..]).0;
        if let Some(rest) = draft.body.strip_prefix("unbound[")
            && let Some((procid, message)) = rest.split_once("] ")
        {
            draft.app = out.place("unbound");
            draft.procid = out.place(procid.split(':').next().unwrap_or(""));
            draft.body = message;
        }
        return;
    }
    let Some(stamp) = bracketed_stamp(inner, out.defaults) else {
        draft.body = syslog::after_uptime(text);
        draft.severity = group(text).and_then(|(inner, _)| level(inner.trim_ascii()));
        return;
    };
    let rest = &inner[stamp.len..];
    let Some((within, rest)) = rest.split_once(']').filter(|(within, _)| within.len() < 128) else {
        return;
    };
    draft.time = stamp.time;
    draft.body = lead(rest).0;
    let within = within.trim_ascii();
    // `[date LEVEL component] message`
    let mut words = within.split_ascii_whitespace();
    if let Some(severity) = words.next().and_then(level) {
        draft.severity = Some(severity);
        draft.app = out.place(words.next().unwrap_or(""));
        return;
    }
    // `[date #pid]  LEVEL -- program: message`
    if let Some(procid) = within.strip_prefix('#').filter(|procid| is_number(procid)) {
        draft.procid = out.place(procid);
    }
    if application(out, draft, rest, Levels::Words) {
        return;
    }
    // `[10.30 16:49:06] program - message`
    if inner.as_bytes().get(2) == Some(&b'.')
        && let Some((program, message)) = rest.split_once(" - ")
        && program.len() <= COMPONENT_BYTES_MAX
    {
        let program = program.trim_ascii();
        let program = program.split_once(" *").map_or(program, |(program, _)| program);
        draft.app = out.place(program);
        draft.body = message;
    }
}

fn bracketed_stamp(text: &str, defaults: Defaults) -> Option<Stamp> {
    match text.as_bytes().first()? {
        b'0'..=b'9' => time::iso(text, defaults)
            .or_else(|| time::month_day(text, defaults))
            .or_else(|| time::day_first(text, defaults))
            .or_else(|| time::short_year(text, defaults))
            .or_else(|| time::access(text, defaults)),
        b'A'..=b'Z' => time::ctime(text, defaults).or_else(|| time::bsd(text, defaults)),
        _ => None,
    }
}

/// After an ISO date: a program's own header, a container runtime's, or syslog's.
fn after_iso<'a>(out: &mut Out, draft: &mut Draft<'a>, text: &'a str, has_offset: bool) {
    if application(out, draft, text, Levels::Words) {
        return;
    }
    let rest = text.trim_start_matches(' ');
    // CRI: `2026-11-22T13:38:00Z stdout F message`
    for stream in ["stdout F ", "stderr F ", "stdout P ", "stderr P "] {
        if let Some(message) = rest.strip_prefix(stream) {
            draft.body = message;
            return;
        }
    }
    if !syslog::host_and_tag(out, draft, rest, has_offset) && !syslog::cisco(out, draft, rest) {
        draft.body = lead(rest).0;
    }
}

/// `|component|process id|message`, which follows a date.
fn columns<'a>(out: &mut Out, draft: &mut Draft<'a>, text: &'a str) -> bool {
    let mut parts = text.splitn(4, '|');
    let (Some(""), Some(app), Some(procid), Some(message)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    if !is_name(app) || !is_number(procid) {
        return false;
    }
    draft.app = out.place(app);
    draft.procid = out.place(procid);
    draft.body = message;
    true
}

/// `1234:M 22 Nov 2026 13:38:00.123 * message`
fn redis<'a>(out: &mut Out, draft: &mut Draft<'a>, text: &'a str) {
    let Some((procid, rest)) = text.split_once(':').filter(|(procid, _)| is_number(procid)) else {
        return;
    };
    let Some(rest) = rest.get(1..).and_then(|rest| rest.strip_prefix(' ')) else {
        return;
    };
    let Some(stamp) = time::mail(rest, out.defaults) else {
        return;
    };
    let severity = match &rest.as_bytes()[stamp.len..] {
        [b' ', b'.', b' ', ..] => Severity::Trace,
        [b' ', b'-', b' ', ..] => Severity::Info,
        [b' ', b'*', b' ', ..] => Severity::Notice,
        [b' ', b'#', b' ', ..] => Severity::Warning,
        _ => return,
    };
    draft.time = stamp.time;
    draft.severity = Some(severity);
    draft.procid = out.place(procid);
    draft.body = &rest[stamp.len + 3..];
}

/// `I1122 13:38:00.123456   12345 file.go:123] message`, as Kubernetes' and Google's programs do.
fn klog<'a>(out: &mut Out, draft: &mut Draft<'a>, text: &'a str) -> bool {
    let Some(severity) = text.get(..1).and_then(letter) else {
        return false;
    };
    if !text.as_bytes().get(1).is_some_and(u8::is_ascii_digit) {
        return false;
    }
    let Some(stamp) = time::month_day(&text[1..], out.defaults) else {
        return false;
    };
    let rest = text[1 + stamp.len..].trim_start_matches(' ');
    let Some((place, message)) = rest.split_once("] ").filter(|(place, _)| place.len() < 200)
    else {
        return false;
    };
    draft.time = stamp.time;
    draft.severity = Some(severity);
    let thread = place.split(' ').next().filter(|thread| is_number(thread));
    draft.procid = thread.map_or(Text::NONE, |thread| out.place(thread));
    draft.body = message;
    true
}

/// `D/Tag( 123): message`
fn android_brief<'a>(out: &mut Out, draft: &mut Draft<'a>, text: &'a str) -> bool {
    let parts = || {
        let (first, rest) = text.split_at_checked(1)?;
        let severity = letter(first)?;
        let (tag, rest) = rest.strip_prefix('/')?.split_once('(')?;
        let (procid, message) = rest.split_once("): ")?;
        let procid = procid.trim_ascii();
        let ok = !tag.is_empty() && tag.len() <= COMPONENT_BYTES_MAX && is_number(procid);
        ok.then_some((severity, tag.trim_ascii(), procid, message))
    };
    let Some((severity, tag, procid, message)) = parts() else {
        return false;
    };
    draft.severity = Some(severity);
    draft.app = out.place(tag);
    draft.procid = out.place(procid);
    draft.body = message;
    true
}

/// Supercomputers' logs: `- 1117838570 2005.06.03 NODE DATE NODE RAS KERNEL INFO message`, where
/// the first word is an alert's category or `-`; or a syslog line behind the first four words.
fn blue_gene<'a>(out: &mut Out, draft: &mut Draft<'a>, text: &'a str) -> bool {
    // Most lines are something else, and shall not pay for it.
    let bytes = text.as_bytes();
    let Some(first) = memchr(b' ', &bytes[..bytes.len().min(32)]) else {
        return false;
    };
    if bytes.get(first + 11) != Some(&b' ') || bytes.get(first + 16) != Some(&b'.') {
        return false;
    }
    let mut words = text.splitn(5, ' ');
    let (Some(_), Some(seconds), Some(date), Some(node), Some(rest)) =
        (words.next(), words.next(), words.next(), words.next(), words.next())
    else {
        return false;
    };
    let dots = (date.as_bytes().get(4), date.as_bytes().get(7));
    if date.len() != 10 || dots != (Some(&b'.'), Some(&b'.')) || seconds.len() != 10 {
        return false;
    }
    let Some(second) = time::epoch_text(seconds) else {
        return false;
    };
    draft.time = Some(second);
    draft.host = out.place(node);
    draft.body = rest;
    if let Some(stamp) = time::bsd(rest, out.defaults) {
        syslog::after_date(out, draft, &rest[stamp.len..], false);
        return true;
    }
    let mut words = rest.splitn(6, ' ');
    let (Some(local), Some(_), Some(_), Some(component), Some(word)) =
        (words.next(), words.next(), words.next(), words.next(), words.next())
    else {
        return true;
    };
    let Some(stamp) = time::dotted(local, out.defaults) else {
        return true;
    };
    // The count is in UTC; the date is local, and has the fraction.
    let fraction = stamp.time.map_or(0, |time| time.0.rem_euclid(Span::SECOND.0));
    draft.time = Some(second + Span(fraction));
    draft.severity = level(word);
    draft.app = out.place(component);
    draft.body = words.next().unwrap_or("");
    true
}

#[cfg(test)]
mod tests {
    use super::super::tests::{one, says};
    use crate::types::Severity;

    #[test]
    fn headers_are_read_into_their_parts() {
        // record; time, host, app, process id, message id; message
        let cases: &[(&str, &str, &str)] = &[
            (
                "2026-11-22 13:38:00,978 INFO [main] org.apache.Foo: Created x for y",
                "2026-11-22T13:38:00.978Z  org.apache.Foo  ",
                "Created x for y",
            ),
            (
                "2026-11-22 13:38:00,747 - INFO  [Peer[myid=1]/0:0:2181:Fast@774] - Time out: 3",
                "2026-11-22T13:38:00.747Z    ",
                "Time out: 3",
            ),
            (
                "06-Dec-2025 21:11:05.123 queries: info: client @0x7f 10.0.0.5#53211 (a.example)",
                "2025-12-06T21:11:05.123Z  named  ",
                "client @0x7f 10.0.0.5#53211 (a.example)",
            ),
            (
                "06-Dec-2025 21:11:05.123 INFO [main] org.apache.catalina.Server: started: 1",
                "2025-12-06T21:11:05.123Z  org.apache.catalina.Server  ",
                "started: 1",
            ),
            (
                "[06-Dec-2025 21:11:05 UTC] PHP Warning: x",
                "2025-12-06T21:11:05Z    ",
                "PHP Warning: x",
            ),
            (
                "[1764980000] unbound[1234:0] info: 10.0.0.5 evil.example. TXT IN",
                "2025-12-06T00:13:20Z  unbound 1234 ",
                "info: 10.0.0.5 evil.example. TXT IN",
            ),
            (
                "1764980000.123    150 10.0.0.5 TCP_MISS/200 5000 GET http://x/ ann -/- text/html",
                "2025-12-06T00:13:20.123Z  squid  ",
                "1764980000.123    150 10.0.0.5 TCP_MISS/200 5000 GET http://x/ ann -/- text/html",
            ),
            (
                "17/06/09 20:10:40 INFO executor.Backend: Registered signal",
                "2017-06-09T20:10:40Z  executor.Backend  ",
                "Registered signal",
            ),
            (
                "2026-11-22 13:38:00.008 25746 INFO nova.api.wsgi [req-38 1 - -] 10.1.1.1 \"GET\"",
                "2026-11-22T13:38:00.008Z  nova.api.wsgi 25746 ",
                "10.1.1.1 \"GET\"",
            ),
            (
                "081109 203615 148 INFO dfs.DataNode$Responder: 1 for block x",
                "2008-11-09T20:36:15Z  dfs.DataNode$Responder 148 ",
                "1 for block x",
            ),
            (
                "- 1117838570 2005.06.03 R02-M1 2005-06-03-15.42.50.675872 R02-M1 RAS KERNEL INFO \
                 parity",
                "2005-06-03T22:42:50.675872Z R02-M1 KERNEL  ",
                "parity",
            ),
            (
                "- 1131566461 2005.11.09 dn228 Nov 9 12:01:01 dn228/dn228 crond(pam_unix)[2915]: \
                 closed",
                "2005-11-09T20:01:01Z dn228 crond 2915 ",
                "closed",
            ),
            (
                "[Sun Dec 04 04:47:44 2005] [notice] LDAP: built",
                "2005-12-04T04:47:44Z    ",
                "LDAP: built",
            ),
            (
                "[Fri Sep 09 10:42:29.902022 2011] [core:error] [pid 357:tid 4] [client ::1:9] \
                 AH1: no",
                "2011-09-09T10:42:29.902022Z  core 357 ",
                "[client ::1:9] AH1: no",
            ),
            (
                "2016-09-28 04:30:30, Info                  CBS    Warning: Unrecognized x",
                "2016-09-28T04:30:30Z  CBS  ",
                "Warning: Unrecognized x",
            ),
            (
                "[10.30 16:49:06] chrome.exe *64 - a:80 close, 0 bytes",
                "2026-10-30T16:49:06Z  chrome.exe  ",
                "a:80 close, 0 bytes",
            ),
            (
                "11-17 16:13:38.811  1702  2395 D WindowManager: printing",
                "2026-11-17T16:13:38.811Z  WindowManager 1702 ",
                "printing",
            ),
            (
                "20171223-22:15:29:606|Step_LSC|30002312|onStand 3579",
                "2017-12-23T22:15:29.606Z  Step_LSC 30002312 ",
                "onStand 3579",
            ),
            (
                "2026/11/22 13:38:00 [error] 12#34: *9 open() failed",
                "2026-11-22T13:38:00Z   12 ",
                "*9 open() failed",
            ),
            (
                "2026-11-22 13:38:00,123 - my.module - WARNING - look: here",
                "2026-11-22T13:38:00.123Z  my.module  ",
                "look: here",
            ),
            ("WARNING:root:look: here", "?  root  ", "look: here"),
            (
                "I1122 13:38:00.123456   12345 file.go:123] synced",
                "2026-11-22T13:38:00.123456Z   12345 ",
                "synced",
            ),
            ("E/AndroidRuntime( 123): crash", "?  AndroidRuntime 123 ", "crash"),
            (
                "2026-11-22 13:38:00.123 UTC [1234] bob@shop ERROR:  relation missing",
                "2026-11-22T13:38:00.123Z   1234 ",
                "relation missing",
            ),
            (
                "[2026-11-22T13:38:00Z INFO  foo::bar] started",
                "2026-11-22T13:38:00Z  foo::bar  ",
                "started",
            ),
            (
                "2026-11-22T13:38:00.123456Z  INFO foo::bar: started",
                "2026-11-22T13:38:00.123456Z  foo::bar  ",
                "started",
            ),
            (
                "[2026-11-22 13:38:00.123] [worker] [info] started",
                "2026-11-22T13:38:00.123Z    ",
                "started",
            ),
            (
                "I, [2026-11-22T13:38:00.123456 #1234]  INFO -- : started",
                "2026-11-22T13:38:00.123456Z   1234 ",
                "started",
            ),
            (
                "2026-11-22 13:38:00.123  INFO 1234 --- [           main] c.foo.Bar     : started",
                "2026-11-22T13:38:00.123Z  c.foo.Bar 1234 ",
                "started",
            ),
            (
                "[2026-11-22T13:38:00,123][INFO ][o.e.n.Node               ] [node1] started",
                "2026-11-22T13:38:00.123Z  o.e.n.Node  ",
                "[node1] started",
            ),
            (
                "13:38:00.123 [main] INFO  com.foo.Bar - started",
                "2026-11-22T13:38:00.123Z  com.foo.Bar  ",
                "started",
            ),
            (
                "1234:M 22 Nov 2026 13:38:00.123 * Ready",
                "2026-11-22T13:38:00.123Z   1234 ",
                "Ready",
            ),
            ("2026-11-22T13:38:00Z stdout F text", "2026-11-22T13:38:00Z    ", "text"),
            ("2026-11-22T13:38:00+01:00 web sshd[1]: x", "2026-11-22T12:38:00Z web sshd 1 ", "x"),
            (
                "2026-11-22 13:38:00 worker started: ok",
                "2026-11-22T13:38:00Z    ",
                "worker started: ok",
            ),
            (
                "2026-11-22 13:38:00 INFO java.io.IOException: gone",
                "2026-11-22T13:38:00Z    ",
                "java.io.IOException: gone",
            ),
            ("[   12.345678] usb 1-1: new", "?    ", "usb 1-1: new"),
            // What no header is.
            ("123456 123456 things", "?    ", "123456 123456 things"),
            ("10.30 was a good time", "?    ", "10.30 was a good time"),
            ("Nothing to see", "?    ", "Nothing to see"),
            ("[1, 2, 3] is a list", "?    ", "[1, 2, 3] is a list"),
            ("some: text: with colons", "?    ", "some: text: with colons"),
            ("- a list item", "?    ", "- a list item"),
        ];
        for (record, header, message) in cases {
            assert_eq!(says(record), (header.to_string(), message.to_string()), "{record}");
        }
    }

    #[test]
    fn levels_become_severities() {
        let cases = [
            ("2026-11-22 13:38:00,978 WARN [main] a.B: x", Some(Severity::Warning)),
            ("[Sun Dec 04 04:47:44 2005] [error] x", Some(Severity::Error)),
            ("11-17 16:13:38.811  1702  2395 V Tag: x", Some(Severity::Trace)),
            ("F1122 13:38:00.123456   1 f.go:1] x", Some(Severity::Fatal)),
            ("[CRITICAL] x", Some(Severity::Critical)),
            ("ERROR something", Some(Severity::Error)),
            ("Error in something", None),
            ("2026-11-22 13:38:00 error opening a file", None),
        ];
        for (record, severity) in cases {
            assert_eq!(one(record).0.severity, severity, "{record}");
        }
    }
}
