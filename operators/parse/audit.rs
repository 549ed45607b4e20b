//! Records of the Linux audit system, as auditd writes them and as the kernel prints them.
//!
//! `type=SYSCALL msg=audit(1364481363.243:24287): arch=c000003e … exe="/bin/cat"`. The fields
//! are the record's own; `audit_id` is the time and the number that all records of one event
//! share. What user space said stands in a quoted `msg`, and its pairs are fields too. Values
//! that the kernel wrote in hex, because they hold spaces or quotes, are decoded.

use super::kv::{self, Pair};
use super::out::{Draft, Out};
use super::time;
use crate::types::{EventTime, Format, Text, Value};

/// Whether a text begins as only an audit record does.
pub(super) fn begins(text: &str) -> bool {
    let text = text.strip_prefix("audit: ").unwrap_or(text);
    (text.starts_with("type=") || text.starts_with("node=")) && text.contains("audit(")
}

/// Reads a record into fields. `None` if it is not one; then the caller takes back the fields
/// that were added.
pub(super) fn read<'a>(out: &mut Out, draft: &mut Draft<'a>, text: &'a str) -> Option<()> {
    let mut rest = text.strip_prefix("audit: ").unwrap_or(text);
    let start = rest;
    let mut kind = "";
    while !rest.starts_with("msg=") && !rest.starts_with("audit(") {
        let piece = rest;
        let Pair::Value(key, value) = kv::next(out, &mut rest)? else {
            return None;
        };
        out.field_here(key, Value::Text(value));
        match key {
            "node" => draft.host = value,
            "type" => kind = piece["type=".len()..].split(' ').next().unwrap_or(""),
            _ => return None,
        }
    }
    let before = &start[..start.len() - rest.len()];
    let stamp = rest.strip_prefix("msg=").unwrap_or(rest).strip_prefix("audit(")?;
    let (id, after) = stamp.split_once(')')?;
    let time = stamp_time(id)?;
    let after = after.strip_prefix(':')?.trim_ascii_start();
    let id = out.place(id);
    out.field("audit_id", None, Value::Text(id));
    pairs(out, kind, after, Quoted::Outside)?;
    draft.format = Format::Audit;
    draft.time = Some(time);
    draft.message = Some(out.write(|scratch| {
        scratch.push_str(before);
        scratch.push_str(after);
    }));
    Some(())
}

/// `1364481363.243:24287`
fn stamp_time(id: &str) -> Option<EventTime> {
    let (time, number) = id.split_once(':')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    time::epoch_text(time).filter(|_| is_number)
}

/// Whether pairs stand in a record itself, or in the quoted `msg` of one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quoted {
    Outside,
    Inside,
}

fn pairs(out: &mut Out, kind: &str, text: &str, quoted: Quoted) -> Option<()> {
    let mut rest = text;
    while !rest.is_empty() {
        if quoted == Quoted::Outside
            && let Some(inner) = rest.strip_prefix("msg='")
        {
            let (inner, after) = inner.rsplit_once('\'')?;
            pairs(out, kind, inner, Quoted::Inside)?;
            rest = after.trim_start_matches([' ', kv::ENRICHED]);
            continue;
        }
        let piece = rest;
        let Pair::Value(key, value) = kv::next(out, &mut rest)? else {
            continue;
        };
        let is_quoted = piece[key.len()..].starts_with("=\"");
        let value = match !is_quoted && is_encoded(key, kind) {
            true => decoded(out, value, key == "proctitle"),
            false => value,
        };
        out.field_here(key, Value::Text(value));
    }
    Some(())
}

/// Whether an unquoted value of this field is hex (audit's "untrusted strings"). Arguments are so
/// in `EXECVE` only: those of `SYSCALL` are numbers.
fn is_encoded(key: &str, kind: &str) -> bool {
    match key.as_bytes() {
        b"comm" | b"exe" | b"name" | b"cwd" | b"proctitle" | b"path" | b"dir" | b"acct" => true,
        b"cmd" | b"key" | b"data" | b"file" | b"ocomm" | b"watch" | b"vm" => true,
        [b'a', number @ ..] if !number.is_empty() && matches!(kind, "EXECVE" | "1309") => {
            let number = number.split(|byte| *byte == b'[').next().unwrap_or(number);
            !number.is_empty() && number.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    }
}

/// What hex digits mean as text; the value itself if it is not made of pairs of them.
fn decoded(out: &mut Out, value: Text, nul_is_space: bool) -> Text {
    let hex = out.text(value);
    if hex.is_empty() || !hex.len().is_multiple_of(2) {
        return value;
    }
    // Decimal numbers, such as `name=1234`, the kernel writes in quotes.
    if !hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F')) {
        return value;
    }
    let mut bytes = std::mem::take(&mut out.path).into_bytes();
    bytes.clear();
    let digit = |byte: u8| if byte <= b'9' { byte - b'0' } else { byte - b'A' + 10 };
    for pair in out.text(value).as_bytes().chunks_exact(2) {
        let byte = digit(pair[0]) << 4 | digit(pair[1]);
        bytes.push(if nul_is_space && byte == 0 { b' ' } else { byte });
    }
    let text = out.write(|scratch| scratch.push_str(&String::from_utf8_lossy(&bytes)));
    bytes.clear();
    out.path = String::from_utf8(bytes).expect("no bytes are UTF-8");
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fields, one};
    use crate::types::{Flags, Format};

    fn shown(record: &str) -> String {
        let pairs: Vec<_> = fields(record).into_iter().map(|(k, v)| format!("{k}={v}")).collect();
        pairs.join("|")
    }

    #[test]
    fn records_become_fields() {
        let cases = [
            (
                "type=SYSCALL msg=audit(1364481363.243:24287): arch=c000003e a0=7ffd a1=20 \
                 comm=\"cat\" exe=\"/bin/cat\" key=\"ssh config\"\u{1d}ARCH=x86_64 \
                 SYSCALL=open UID=\"root\"",
                "type=SYSCALL|audit_id=1364481363.243:24287|arch=c000003e|a0=7ffd|a1=20|comm=cat|\
                 exe=/bin/cat|key=ssh config|ARCH=x86_64|SYSCALL=open|UID=root",
            ),
            (
                "type=EXECVE msg=audit(1364481363.243:1): argc=3 a0=\"sh\" a1=\"-c\" a2=6C73202D6C",
                "type=EXECVE|audit_id=1364481363.243:1|argc=3|a0=sh|a1=-c|a2=ls -l",
            ),
            (
                "type=PROCTITLE msg=audit(1364481363.243:1): proctitle=6C73002D6C00FF",
                "type=PROCTITLE|audit_id=1364481363.243:1|proctitle=ls -l \u{fffd}",
            ),
            (
                "node=web01 type=USER_AUTH msg=audit(1364481363.243:7): pid=1 uid=0 \
                 msg='op=PAM:authentication acct=\"bob\" exe=\"/usr/sbin/sshd\" \
                 addr=1.2.3.4 res=failed'",
                "node=web01|type=USER_AUTH|audit_id=1364481363.243:7|pid=1|uid=0|\
                 op=PAM:authentication|acct=bob|exe=/usr/sbin/sshd|addr=1.2.3.4|res=failed",
            ),
            (
                "audit: type=1400 audit(1364481363.243:7): apparmor=\"DENIED\" name=\"/etc/x\" \
                 comm=(null)",
                "type=1400|audit_id=1364481363.243:7|apparmor=DENIED|name=/etc/x|comm=(null)",
            ),
        ];
        for (record, wanted) in cases {
            assert_eq!(shown(record), wanted, "{record}");
            assert_eq!(one(record).0.time.to_rfc3339(), "2013-03-28T14:36:03.243Z");
        }
    }

    #[test]
    fn the_message_is_the_record_without_its_stamp() {
        let (event, batch) = one("node=h type=CWD msg=audit(1364481363.243:24287): cwd=\"/root\"");
        assert_eq!(event.format, Format::Audit);
        assert_eq!(batch.text(event.message), "node=h type=CWD cwd=\"/root\"");
        assert_eq!(batch.text(event.host), "h");
        let record =
            "Nov 22 13:38:00 web kernel: [1.5] audit: type=1400 audit(1364481363.243:7): x=1";
        let (event, batch) = one(record);
        assert_eq!(event.format, Format::Audit);
        assert_eq!(batch.text(event.message), "type=1400 x=1");
        assert_eq!(batch.text(event.host), "web");
    }

    #[test]
    fn what_only_begins_like_a_record_is_text_and_flagged() {
        for record in [
            "type=SYSCALL msg=audit(1364481363.243:24287)",
            "type=SYSCALL msg=audit(soon:1): a=1",
            "type=SYSCALL msg=audit(1364481363.243:): a=1",
            "type=SYSCALL msg=audit(1364481363.243:2): a=\"open",
            "type=X word msg=audit(1364481363.243:2): a=1",
        ] {
            let (event, batch) = one(record);
            assert!(event.flags.has(Flags::BAD_BODY), "{record}");
            assert_eq!(batch.text(event.message), record);
        }
    }
}
