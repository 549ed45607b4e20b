//! Makes text from outside fit for a terminal.
//!
//! A log line can hold what moves the cursor, recolours the screen, sets the window's title, or
//! shows text in another order than it has. None of it may reach a terminal or the program's own
//! log: each such character is shown as `\n`, `\t`, `\x1b` or `\u{202e}`. A backslash stays as it
//! is, for people read this; a program reads the JSON.

use std::borrow::Cow;
use std::fmt;

/// Whether a character must not reach a terminal as it is: control characters (C0, DEL, C1),
/// line and paragraph separators, and what is invisible or changes the order of text.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{1f}'
        | '\u{7f}'..='\u{9f}'
        | '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

/// The text with every unsafe character, line ends too, written out.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) || !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(Escaped(text).to_string())
}

/// The text with every unsafe character but line ends written out.
#[must_use]
pub fn escape_lines(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| c != '\n' && is_unsafe(c)) {
        return Cow::Borrowed(text);
    }
    let lines: Vec<_> = text.split('\n').map(escape).collect();
    Cow::Owned(lines.join("\n"))
}

/// Bytes that may not be text, escaped; those that are not UTF-8 are shown as `\xff`.
#[must_use]
pub fn escape_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(&escape(chunk.valid()));
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// Shows text as [`escape`] makes it.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'t>(pub &'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = 0;
        for (at, c) in self.0.char_indices().filter(|(_, c)| is_unsafe(*c)) {
            f.write_str(&self.0[shown..at])?;
            shown = at + c.len_utf8();
            match c {
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '\u{0}'..='\u{7f}' => write!(f, "\\x{:02x}", c as u32)?,
                _ => write!(f, "\\u{{{:x}}}", c as u32)?,
            }
        }
        f.write_str(&self.0[shown..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The characters that must never come out, told apart from [`is_unsafe`] on purpose.
    fn forbidden(c: char) -> bool {
        let code = c as u32;
        code < 0x20
            || (0x7f..=0x9f).contains(&code)
            || (0x200b..=0x200f).contains(&code)
            || (0x202a..=0x202e).contains(&code)
            || (0x2066..=0x2069).contains(&code)
    }

    #[test]
    fn an_attack_on_the_terminal_is_shown_and_not_obeyed() {
        assert_eq!(escape("\x1b]0;PWNED\x07\x1b[2J"), "\\x1b]0;PWNED\\x07\\x1b[2J");
        assert_eq!(escape("a\r\nCRITICAL forged"), "a\\r\\nCRITICAL forged");
        assert_eq!(escape("abc\u{202e}cba\u{200b}"), "abc\\u{202e}cba\\u{200b}");
        assert_eq!(escape("\u{9b}31m"), "\\u{9b}31m");
        assert_eq!(escape_bytes(b"a\xff\x1b\xc3\xa9"), "a\\xff\\x1bé");
        assert_eq!(escape_lines("a\nb\x1b"), "a\nb\\x1b");
    }

    #[test]
    fn ordinary_text_is_left_as_it_is_and_not_copied() {
        for text in ["", "C:\\Users\\é", "日本語", "naïve — “quoted”", "🙂"] {
            assert!(matches!(escape(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn no_text_brings_a_forbidden_character_through() {
        let mut state = 42_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..50_000 {
            let bytes: Vec<u8> = (0..next() % 24).map(|_| next() as u8).collect();
            let text: String = (0..next() % 16)
                .filter_map(|_| match next() % 3 {
                    0 => char::from_u32(next() as u32 % 0x100),
                    1 => char::from_u32(0x2000 + next() as u32 % 0x80),
                    _ => char::from_u32(next() as u32 % 0x11_0000),
                })
                .collect();
            let outputs = [escape_bytes(&bytes), escape(&text).into_owned()];
            for out in &outputs {
                assert!(!out.chars().any(forbidden), "{out:?}");
                assert_eq!(escape(out), out.as_str(), "what is safe stays as it is");
            }
            assert!(!escape_lines(&text).chars().any(|c| c != '\n' && forbidden(c)));
        }
    }
}
