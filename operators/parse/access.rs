//! Access logs: the common and the combined format, with or without the virtual host in front.
//!
//! Fields have their W3C names: `c-ip`, `cs-method`, `sc-status` … What the log writes as `-` is
//! no field.

use memchr::memchr;

use super::kv::quoted;
use super::out::{Draft, Out};
use super::time;
use crate::types::{Format, Text, Value};

/// How far into a line its date may stand.
const PREFIX_BYTES_MAX: usize = 512;

/// Reads a line into fields; false, and nothing noted, if it is no access log line.
pub(super) fn read<'a>(out: &mut Out, draft: &mut Draft<'a>, text: &'a str) -> bool {
    let Some(line) = split(text) else {
        return false;
    };
    let Some(stamp) = time::access(line.date, out.defaults) else {
        return false;
    };
    let Some(rest) = line.date[stamp.len..].strip_prefix("] \"") else {
        return false;
    };
    let Some((request, escaped, rest)) = quoted(rest, b'"') else {
        return false;
    };
    let mut words = rest.trim_ascii_start().splitn(3, ' ');
    let (Some(status), Some(bytes)) = (words.next(), words.next()) else {
        return false;
    };
    let Some(status) = number(status).filter(|status| (0..1_000).contains(status)) else {
        return false;
    };

    if let Some(host) = line.virtual_host {
        let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
        put(out, "cs-host", name);
        put_number(out, "s-port", port);
    }
    put(out, "c-ip", line.client);
    put(out, "cs-username", line.user);
    put_request(out, request, escaped);
    out.field("sc-status", None, Value::Int(status));
    put_number(out, "sc-bytes", bytes);
    let rest = words.next().unwrap_or("").trim_ascii_start();
    if let Some((referer, escaped, rest)) = rest.strip_prefix('"').and_then(|r| quoted(r, b'"')) {
        put_quoted(out, "cs-referer", referer, escaped);
        let agent = rest.strip_prefix(" \"").and_then(|rest| quoted(rest, b'"'));
        if let Some((agent, escaped, _)) = agent {
            put_quoted(out, "cs-user-agent", agent, escaped);
        }
    }

    draft.format = Format::Access;
    draft.time = stamp.time.or(draft.time);
    // The date varies in each line, and would be part of the template.
    let before = line.before;
    let after = line.date[stamp.len..].get(2..).unwrap_or("");
    draft.message = Some(out.write(|scratch| {
        scratch.push_str(before);
        scratch.push_str(after);
    }));
    true
}

struct Line<'a> {
    before: &'a str,
    virtual_host: Option<&'a str>,
    client: &'a str,
    user: &'a str,
    date: &'a str,
}

/// `[host:port] client ident user [date`
fn split(text: &str) -> Option<Line<'_>> {
    let bytes = text.as_bytes();
    let open = memchr(b'[', &bytes[..bytes.len().min(PREFIX_BYTES_MAX)])?;
    // `10/Oct/2000:`
    let is_date = bytes.get(open + 3) == Some(&b'/') && bytes.get(open + 12) == Some(&b':');
    if !is_date {
        return None;
    }
    let before = &text[..open];
    let words = before.strip_suffix(' ')?;
    let (virtual_host, client, user) = client(words)?;
    Some(Line { before, virtual_host, client, user, date: &text[open + 1..] })
}

/// `[host:port] client ident user`, perhaps behind what a relay wrote before it.
fn client(words: &str) -> Option<(Option<&str>, &str, &str)> {
    // The last address that an identity and a user stand behind; both may be addresses, too.
    let mut end = words.len();
    for _ in 0..2 {
        end = words[..end].rfind(' ')?;
    }
    let mut rest = &words[..end];
    loop {
        let (before, word) = rest.rsplit_once(' ').unwrap_or(("", rest));
        if is_address(word) {
            let (_ident, user) = words[rest.len() + 1..].split_once(' ')?;
            let is_name = !before.is_empty() && !before.contains(' ') && !before.ends_with(':');
            return Some((is_name.then_some(before), word, user));
        }
        if before.is_empty() {
            break;
        }
        rest = before;
    }
    // A client that the server knows by name.
    let (first, rest) = words.split_once(' ')?;
    let (second, rest) = rest.split_once(' ')?;
    match rest.split_once(' ') {
        None => Some((None, first, rest)),
        Some(("-", user)) if second != "-" => Some((Some(first), second, user)),
        Some(_) if second == "-" => Some((None, first, rest)),
        Some(_) => None,
    }
}

fn is_address(word: &str) -> bool {
    word.parse::<std::net::IpAddr>().is_ok()
}

fn put_request(out: &mut Out, request: &str, escaped: bool) {
    let is_method = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_uppercase());
    let Some((method, rest)) = request.split_once(' ').filter(|(word, _)| is_method(word)) else {
        return;
    };
    let (uri, version) = match rest.rsplit_once(' ') {
        Some((uri, version)) if version.starts_with("HTTP/") => (uri, version),
        _ => (rest, ""),
    };
    put(out, "cs-method", method);
    put_quoted(out, "cs-uri", uri, escaped);
    let (stem, query) = uri.split_once('?').unwrap_or((uri, ""));
    put_quoted(out, "cs-uri-stem", stem, escaped);
    put_quoted(out, "cs-uri-query", query, escaped);
    put(out, "cs-version", version);
}

fn put(out: &mut Out, name: &'static str, value: &str) {
    if !matches!(value, "" | "-") {
        let value = out.place(value);
        out.field(name, None, Value::Text(value));
    }
}

fn put_quoted(out: &mut Out, name: &'static str, value: &str, escaped: bool) {
    if !escaped || !value.contains('\\') {
        return put(out, name, value);
    }
    let value: Text = out.write(|scratch| unescape(value, scratch));
    out.field(name, None, Value::Text(value));
}

fn put_number(out: &mut Out, name: &'static str, value: &str) {
    if let Some(value) = number(value) {
        out.field(name, None, Value::Int(value));
    }
}

fn number(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// Resolves `\"`, `\\` and the `\xHH` of printable ASCII; other bytes stay as they are written.
fn unescape(text: &str, to: &mut String) {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        to.push_str(before);
        let hex = after.strip_prefix('x').and_then(|hex| hex.get(..2));
        let code = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let (meant, len) = match (after.as_bytes().first(), code) {
            (Some(quote @ (b'"' | b'\\')), _) => (char::from(*quote), 1),
            (_, Some(code @ b' '..=b'~')) => (char::from(code), 3),
            _ => ('\\', 0),
        };
        to.push(meant);
        rest = &after[len..];
    }
    to.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fields, one};
    use crate::types::{Format, Value};

    fn shown(record: &str) -> String {
        let pairs: Vec<_> = fields(record).into_iter().map(|(k, v)| format!("{k}={v}")).collect();
        pairs.join("|")
    }

    #[test]
    fn lines_become_fields_with_w3c_names() {
        let cases = [
            (
                r#"127.0.0.1 - bob [10/Oct/2000:13:55:36 -0700] "GET /a?x=1&y HTTP/1.0" 200 2326"#,
                "c-ip=127.0.0.1|cs-username=bob|cs-method=GET|cs-uri=/a?x=1&y|cs-uri-stem=/a|\
                 cs-uri-query=x=1&y|cs-version=HTTP/1.0|sc-status=200|sc-bytes=2326",
            ),
            (
                concat!(
                    r#"::1 - - [10/Oct/2000:13:55:36 -0700] "POST /l HTTP/1.1" 302 - "#,
                    r#""http://a/" "Mozilla/5.0 (\"x\")" "9.9.9.9""#
                ),
                "c-ip=::1|cs-method=POST|cs-uri=/l|cs-uri-stem=/l|cs-version=HTTP/1.1|\
                 sc-status=302|cs-referer=http://a/|cs-user-agent=Mozilla/5.0 (\"x\")",
            ),
            (
                concat!(
                    "shop.example:443 10.0.0.7 - - [10/Oct/2000:13:55:36 -0700] ",
                    r#""GET / HTTP/2.0" 200 5 "-" "curl""#
                ),
                "cs-host=shop.example|s-port=443|c-ip=10.0.0.7|cs-method=GET|cs-uri=/|\
                 cs-uri-stem=/|cs-version=HTTP/2.0|sc-status=200|sc-bytes=5|cs-user-agent=curl",
            ),
            (
                r#"10.0.0.7 - - [10/Oct/2000:13:55:36 -0700] "\x16\x03\x01" 400 226 "-" "-""#,
                "c-ip=10.0.0.7|sc-status=400|sc-bytes=226",
            ),
            (
                r#"10.0.0.7 - - [10/Oct/2000:13:55:36 -0700] "GET /\x22\xff\\ HTTP/1.1" 404 0"#,
                "c-ip=10.0.0.7|cs-method=GET|cs-uri=/\"\\xff\\|cs-uri-stem=/\"\\xff\\|\
                 cs-version=HTTP/1.1|sc-status=404|sc-bytes=0",
            ),
        ];
        for (record, wanted) in cases {
            assert_eq!(shown(record), wanted, "{record}");
        }
    }

    #[test]
    fn the_client_is_found_behind_what_a_relay_wrote_and_before_a_user_with_blanks() {
        for (words, wanted) in [
            ("web1 nginx: 10.0.0.17 - bob", "c-ip=10.0.0.17|cs-username=bob"),
            ("web1 nginx - - - 10.0.0.17 - -", "c-ip=10.0.0.17"),
            ("nginx: ::1 - eve", "c-ip=::1|cs-username=eve"),
            ("10.0.0.7 - John Smith", "c-ip=10.0.0.7|cs-username=John Smith"),
            (
                "shop:8080 10.0.0.7 - John Smith",
                "cs-host=shop|s-port=8080|c-ip=10.0.0.7|cs-username=John Smith",
            ),
            ("10.0.0.7 - 10.0.0.8", "c-ip=10.0.0.7|cs-username=10.0.0.8"),
            ("laptop.lan - bob", "c-ip=laptop.lan|cs-username=bob"),
            ("laptop.lan - bob b", "c-ip=laptop.lan|cs-username=bob b"),
            ("shop laptop.lan - bob", "cs-host=shop|c-ip=laptop.lan|cs-username=bob"),
        ] {
            let line = format!(r#"{words} [10/Oct/2000:13:55:36 -0700] "-" 400 0"#);
            assert_eq!(shown(&line), format!("{wanted}|sc-status=400|sc-bytes=0"), "{words}");
        }
        let (event, _) = one(r#"what an odd line [10/Oct/2000:13:55:36 -0700] "-" 400 0"#);
        assert_eq!(event.format, Format::Plain);
    }

    #[test]
    fn the_message_is_the_line_without_its_time() {
        let line = r#"1.2.3.4 - bob [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 5"#;
        for record in [line.to_owned(), format!("<190>Nov 22 13:38:00 web nginx: {line}")] {
            let (event, batch) = one(&record);
            assert_eq!(event.format, Format::Access);
            assert_eq!(event.time.to_rfc3339(), "2000-10-10T20:55:36Z");
            assert_eq!(batch.text(event.message), r#"1.2.3.4 - bob "GET / HTTP/1.0" 200 5"#);
            assert_eq!(batch.field(&event, "sc-status"), Some(Value::Int(200)));
        }
    }

    #[test]
    fn what_only_resembles_such_a_line_is_text() {
        for record in [
            r#"1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0""#,
            r#"1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0 200 5"#,
            r#"1.2.3.4 - - [10/Oct/2000:13:55:36 -0700 "GET /" 200 5"#,
            r#"1.2.3.4 - - [10/Foo/2000:13:55:36 -0700] "GET /" 200 5"#,
            r#"1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET /" ok 5"#,
            "[10/Oct/2000:",
        ] {
            let (event, batch) = one(record);
            assert_eq!(event.format, Format::Plain, "{record}");
            assert!(batch.fields(&event).is_empty(), "{record}");
        }
    }
}
