//! The masks against a slow, plain program: the same thing written as regular expressions.

use fancy_regex::{NoExpand, Regex};

use super::shared::*;
use crate::template::{MESSAGE_BYTES_MAX, TOKENS_MAX};

/// The shapes in the order in which they are tried. Word characters are letters and digits as
/// Unicode has them and `_`; `\b` is spelled out to mean the same; digits are those of ASCII.
fn shapes() -> Program {
    const W: &str = r"[\p{Alphabetic}\p{N}_]";
    const MONTH: &str = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)";
    const DAY: &str = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
    let date = format!(
        r"\b(?:{DAY},?\s+)?(?:{MONTH}\s+\d{{1,2}}|\d{{1,2}}[ /-]{MONTH})(?:[ ,/:-]+\d{{4}})?[ :]+\d{{2}}:\d{{2}}:\d{{2}}(?:\s+(?:[A-Z]{{3,4}}\s+)?\d{{4}})?\b"
    );
    const H: &str = "[0-9a-fA-F]{1,4}";
    let address_6 = format!(
        r"(?<![\w:.])(?=[0-9a-fA-F:]*\d)(?:(?:{H}:){{7}}{H}|(?:{H}(?::{H})*)?::(?:(?:{H}:)*\d{{1,3}}(?:\.\d{{1,3}}){{3}}|{H}(?::{H})*)?)(?:%[\w]+)?(?![\w]|[:.][\w:])"
    );
    let shapes = [
        r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
        &date,
        r"<?\b\d+(?:[.,]\d+)*\s?(?:[KMGT]i?B|bytes?|B|ms|s|secs?|us|ns)\b",
        r#"\b[a-z][a-z0-9+.-]*://[^\s"'<>,;)\]]+"#,
        r"(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}\b",
        r"/?\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b",
        r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
        r"(?<![\w.])(?:/[\w.$@%+~:-]+){2,}/?",
        r"\b(?:[\w-]+\.)+[\w-]+:\d+\b",
        r"\b(?:[\w-]+\.){2,}[\w-]+\b",
        r"\b0[xX][0-9a-fA-F]+\b",
        r"\b(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{8,}\b",
        r"\bblk_-?\d+",
        &address_6,
        r"(?<![A-Za-z_])[-+]?\d+(?:[.,:/-]\d+)*%?(?![A-Za-z_])",
    ];
    let inner = W.trim_start_matches('[').trim_end_matches(']');
    let all = shapes.join("|");
    let all = all.replace(r"[\w", &format!("[{inner}")).replace(r"\d", "[0-9]");
    let all = all.replace(r"\b", &format!("(?:(?<={W})(?!{W})|(?<!{W})(?={W}))"));
    let key = r#"^(["'(\[{]*[A-Za-z_][\p{Alphabetic}\p{N}_.-]*=)(.+)$"#;
    Program {
        shapes: Regex::new(&all).expect("the shapes are an expression"),
        key: Regex::new(key).expect("so is a key"),
    }
}

struct Program {
    shapes: Regex,
    key: Regex,
}

/// The slow, plain program.
fn plain(program: &Program, message: &str) -> Vec<String> {
    let masked = program.shapes.replace_all(message, NoExpand("<*>")).into_owned();
    let mut tokens: Vec<String> = Vec::new();
    for piece in masked.split_whitespace() {
        let parts = program
            .key
            .captures(piece)
            .expect("short")
            .map(|parts| (parts[1].to_owned(), parts[2].contains("<*>")));
        let after_wild = tokens.last().is_some_and(|token| token == "<*>");
        let token = if piece.contains(|c: char| c.is_ascii_digit()) {
            parts.map_or("<*>".to_owned(), |(key, _)| key + "<*>")
        } else if let Some((key, true)) = parts {
            key + "<*>"
        } else if piece.contains("<*>")
            && !piece.replace("<*>", "").contains(|c: char| c.is_alphanumeric())
        {
            "<*>".to_owned()
        } else {
            piece.to_owned()
        };
        let empty = matches!(piece, "()" | "[]" | "{}" | "-" | "''" | "\"\"");
        if after_wild && (token == "<*>" || empty) {
            continue;
        }
        tokens.push(token);
    }
    tokens
}

/// Parts from which lines are put together: of every shape, whole and spoilt, and what is near.
#[rustfmt::skip]
const PARTS: [&str; 106] = [
    " ", " ", " ", " ", "  ", "\t", "\u{a0}", "\u{2003}", "\n", ".", ",", ":", ";", "/", "-",
    "_", "=", "+", "@", "%", "<", ">", "(", ")", "[", "]", "{", "}", "'", "\"", "*", "<*>", "$",
    "~", "a", "b", "f", "g", "z", "A", "F", "K", "B", "s", "ms", "us", "sec", "secs", "MB",
    "MiB", "byte", "bytes", "bytess", "0", "1", "7", "12", "34", "255", "2005", "65536", "0x",
    "0X1f", "deadbeef", "deadbeef1", "00c0ffee", "Sun", "Mon,", "Jan", "Dec", "04", "04:47:44",
    "CEST", "UTC", "/usr/bin", "/a", "C:\\x\\", "http://", "https://a.b/c?d=e&f", "ftp:",
    "x@y.zz", "x@y", "a.b", "a.b.c", "www.example.org", ":80", "10.0.0.1", "10.0.0", "::1",
    "fe80::1", "00:1a:2b:3c:4d:5e", "aa:bb:cc:dd:ee:ff", "123e4567-e89b-12d3-a456-426614174000",
    "blk_", "blk_-16", "uid=", "key=word", "(user=", "é", "Ω", "名", "٣", "²", "→", "::",
    "::ffff:",
];

#[test]
fn tokens_are_those_of_the_plain_program_on_every_line_of_the_sets() {
    let shapes = shapes();
    for set in SETS {
        let Some((contents, _)) = labelled(set) else { return };
        let Some(raw) = data(&format!("loghub/{set}_2k.log")) else { return };
        for line in contents.iter().map(String::as_str).chain(raw.lines().step_by(1)) {
            assert_eq!(tokens(line), plain(&shapes, line), "{set}: {line}");
        }
    }
}

#[test]
fn tokens_are_those_of_the_plain_program_on_lines_put_together_by_chance() {
    let shapes = shapes();
    let mut chance = Chance(1);
    for _ in 0..20_000 {
        let parts = 1 + chance.below(24);
        let line: String = (0..parts).map(|_| chance.of(&PARTS)).collect();
        assert_eq!(tokens(&line), plain(&shapes, &line), "{line:?}");
    }
}

#[test]
fn tokens_are_those_of_the_plain_program_on_lines_that_were_spoilt() {
    let shapes = shapes();
    let mut chance = Chance(2);
    for set in SETS {
        let Some((contents, _)) = labelled(set) else { return };
        for content in contents.iter().step_by(16) {
            let mut line: Vec<char> = content.chars().collect();
            for _ in 0..1 + chance.below(6) {
                let at = chance.below(line.len() + 1);
                match chance.below(3) {
                    0 if at < line.len() => drop(line.remove(at)),
                    1 if at + 1 < line.len() => line.swap(at, at + 1),
                    _ => chance.of(&PARTS).chars().rev().for_each(|c| line.insert(at, c)),
                }
            }
            let line: String = line.into_iter().collect();
            assert_eq!(tokens(&line), plain(&shapes, &line), "{set}: {line:?}");
        }
    }
}

/// What stays the same whichever the address.
#[test]
fn an_ipv6_address_is_a_value_however_it_is_written() {
    for address in ["2001:dead:beef::17", "::1", "fe::1%eth0", "::ffff:10.0.0.1", "1:a:b:c:d:e:f:2"]
    {
        assert_eq!(tokens(&format!("from {address}: no")), ["from", "<*>", "no"]);
        assert_eq!(tokens(&format!("from [{address}]:80 no")), ["from", "<*>", "no"]);
        assert_eq!(tokens(&format!("src={address}, no")), ["src=<*>", "no"]);
    }
    assert_eq!(tokens("std::dead::beef a::b"), ["std::dead::beef", "a::b"]);
}

#[test]
fn whatever_the_bytes_a_message_has_tokens_within_the_limits() {
    let mut chance = Chance(3);
    for _ in 0..20_000 {
        let len = chance.below(300);
        let bytes: Vec<u8> = (0..len).map(|_| chance.next() as u8).collect();
        let line = String::from_utf8_lossy(&bytes);
        let masked = masked(&line);
        assert!(masked.len() <= TOKENS_MAX);
        let mut end = 0;
        for index in 0..masked.len() {
            let (from, to) = masked.span(index);
            assert!(end <= from && from < to, "tokens stand one after the other");
            assert!(line.get(from as usize..to as usize).is_some(), "and are cut at characters");
            assert!(!masked.token(&line, index).contains(char::is_whitespace));
            end = to;
        }
    }
}

#[test]
fn a_message_with_too_many_tokens_ends_in_a_wildcard_for_the_rest() {
    let line = "word ".repeat(1000);
    let tokens = tokens(&line);
    assert_eq!(tokens.len(), TOKENS_MAX);
    assert_eq!(tokens[TOKENS_MAX - 2..], ["word", "<*>"]);
    assert_eq!(masked(&line).span(TOKENS_MAX - 1), (5 * 255, 5000));
}

#[test]
fn what_lies_beyond_the_limit_of_bytes_has_no_part_in_the_tokens() {
    let long = "é".repeat(MESSAGE_BYTES_MAX / 2 - 1) + "xyz and more";
    let cut = "é".repeat(MESSAGE_BYTES_MAX / 2 - 1) + "xy";
    assert_eq!(tokens(&long), tokens(&cut));
    assert_eq!(masked(&long).key(), masked(&cut).key());
}

#[test]
fn no_text_makes_a_shape_read_the_same_bytes_again_and_again() {
    // Each would take hours if its cost were a square of its length for every place in it.
    for part in
        ["a-", "a.", "a+", "1,", "1:", "a@", "/a", "aa:", "Sun ", "1/Jan:", "x=", "blk_", "<1"]
    {
        for end in ["", "@", "a", "_", "\u{e9}"] {
            let line = part.repeat(1 << 20) + end;
            assert!(masked(&line).len() <= TOKENS_MAX);
        }
    }
}

#[test]
fn the_hash_of_a_line_is_stable() {
    let line = "Failed password for uid=7 from 10.0.0.1 port 22 in /usr/sbin/sshd:auth";
    assert_eq!(masked(line).key(), masked(&line.replace("22", "4711")).key());
    assert_ne!(masked(line).key(), masked(&line.replace("port", "pOrt")).key());
}
