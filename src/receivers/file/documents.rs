//! Cuts text into JSON documents that stand one after the other, over as many lines as they like.
//!
//! That is what `evtx_dump` and `jq` write, and what an export as one array is: each object at
//! the top level, or in an array there, is a record. Commas, brackets and white space between
//! them are skipped, and so are lines `Record 123`. Anything else between them is a record up to
//! the end of its line. An object that is broken (a line end within a string, a `{` where none
//! can stand) is a record up to there, and counted.
//!
//! As for lines: the records depend on the bytes alone, and at most `document_max` bytes are held.

use memchr::{memchr, memchr3};
use operators::types::Flags;

use super::super::lines::Tally;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Between,
    /// In an object, outside of its strings.
    Object,
    String,
    Escape,
    /// In a line that is no object.
    Stray,
}

/// Cuts one source's bytes into documents. See the [module](self).
#[derive(Debug)]
pub(super) struct Documents {
    document_max: usize,
    state: State,
    depth: u32,
    /// The last byte of the object that was not white space, outside of strings.
    last: u8,
    buffer: Vec<u8>,
    cut: bool,
    started: bool,
    /// How many bytes came since the end of the last record.
    taken: u64,
    /// What was odd since this was last taken.
    pub(super) tally: Tally,
}

/// Whether a file that begins like this holds documents rather than lines: `[{`, or an object
/// that does not end on the first line, or `Record 1` before an object.
pub(super) fn begin_like_documents(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let (first, rest) = match memchr(b'\n', head) {
        Some(end) => (&head[..end], &head[end + 1..]),
        None => (head, &b""[..]),
    };
    if is_record_number(first) {
        return rest.trim_ascii_start().starts_with(b"{");
    }
    match head {
        [b'[', rest @ ..] => rest.trim_ascii_start().starts_with(b"{"),
        [b'{', inner @ ..] => {
            let object = matches!(inner.trim_ascii_start().first(), None | Some(b'"' | b'}'));
            object && serde_json::from_slice::<serde::de::IgnoredAny>(first).is_err()
        }
        _ => false,
    }
}

/// Whether it is `Record 123`, which `evtx_dump` writes before each object.
fn is_record_number(line: &[u8]) -> bool {
    let number = line.trim_ascii().strip_prefix(b"Record ");
    number.is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit))
}

impl Documents {
    pub(super) fn new(document_max: usize) -> Self {
        Documents {
            document_max,
            state: State::Between,
            depth: 0,
            last: 0,
            buffer: Vec::new(),
            cut: false,
            started: false,
            taken: 0,
            tally: Tally::default(),
        }
    }

    /// Takes the next bytes. Each record is given with the number of bytes that came since the
    /// end of the one before.
    pub(super) fn push<E>(
        &mut self,
        mut bytes: &[u8],
        record: &mut impl FnMut(&[u8], Flags, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        while !bytes.is_empty() {
            let taken = match self.state {
                State::Between => self.between(bytes),
                State::Object => self.object(bytes, record)?,
                State::String => self.string(bytes, record)?,
                State::Escape => {
                    self.state = State::String;
                    self.keep(&bytes[..1])
                }
                State::Stray => self.stray(bytes, record)?,
            };
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// Gives what has begun, because nothing more will come.
    pub(super) fn finish<E>(
        &mut self,
        flags: Flags,
        record: &mut impl FnMut(&[u8], Flags, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.state {
            State::Between => Ok(()),
            State::Stray => self.end_stray(flags, record),
            _ => {
                self.tally.malformed += 1;
                self.give(flags, record)
            }
        }
    }

    fn between(&mut self, bytes: &[u8]) -> usize {
        let separator = |byte: &u8| {
            byte.is_ascii_whitespace() || matches!(byte, b',' | b'[' | b']' | 0x1e | 0)
                // A byte order mark: before the first document only.
                || !self.started && matches!(byte, 0xef | 0xbb | 0xbf)
        };
        let skipped = bytes.iter().take_while(|byte| separator(byte)).count();
        self.taken += skipped as u64;
        self.started |= skipped < bytes.len();
        match bytes.get(skipped) {
            None => {}
            Some(b'{') => {
                (self.state, self.depth, self.last) = (State::Object, 0, b':');
            }
            Some(_) => self.state = State::Stray,
        }
        skipped
    }

    fn object<E>(
        &mut self,
        bytes: &[u8],
        record: &mut impl FnMut(&[u8], Flags, u64) -> Result<(), E>,
    ) -> Result<usize, E> {
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => continue,
                b'"' => {
                    (self.state, self.last) = (State::String, b'"');
                    return Ok(self.keep(&bytes[..=at]));
                }
                b'{' if !matches!(self.last, b',' | b'[' | b':') => {
                    // The object before was never closed; here is the next.
                    self.keep(&bytes[..at]);
                    self.tally.malformed += 1;
                    self.give(Flags::default(), record)?;
                    return Ok(at);
                }
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth -= 1,
                _ => {}
            }
            self.last = *byte;
            if self.depth == 0 {
                self.keep(&bytes[..=at]);
                self.give(Flags::default(), record)?;
                return Ok(at + 1);
            }
        }
        Ok(self.keep(bytes))
    }

    fn string<E>(
        &mut self,
        bytes: &[u8],
        record: &mut impl FnMut(&[u8], Flags, u64) -> Result<(), E>,
    ) -> Result<usize, E> {
        let Some(at) = memchr3(b'"', b'\\', b'\n', bytes) else { return Ok(self.keep(bytes)) };
        match bytes[at] {
            b'"' => self.state = State::Object,
            b'\\' => self.state = State::Escape,
            _ => {
                self.keep(&bytes[..at]);
                self.tally.malformed += 1;
                self.give(Flags::default(), record)?;
                return Ok(at);
            }
        }
        Ok(self.keep(&bytes[..=at]))
    }

    fn stray<E>(
        &mut self,
        bytes: &[u8],
        record: &mut impl FnMut(&[u8], Flags, u64) -> Result<(), E>,
    ) -> Result<usize, E> {
        let Some(end) = memchr(b'\n', bytes) else { return Ok(self.keep(bytes)) };
        self.keep(&bytes[..end]);
        self.end_stray(Flags::default(), record)?;
        Ok(end)
    }

    fn end_stray<E>(
        &mut self,
        flags: Flags,
        record: &mut impl FnMut(&[u8], Flags, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        if is_record_number(&self.buffer) {
            self.buffer.clear();
            self.state = State::Between;
            return Ok(());
        }
        self.tally.malformed += 1;
        self.give(flags, record)
    }

    fn give<E>(
        &mut self,
        mut flags: Flags,
        record: &mut impl FnMut(&[u8], Flags, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        if std::mem::take(&mut self.cut) {
            flags.set(Flags::TRUNCATED);
            self.tally.truncated += 1;
        }
        self.tally.unterminated += u64::from(flags.has(Flags::UNTERMINATED));
        self.state = State::Between;
        let given = record(self.buffer.trim_ascii_end(), flags, std::mem::take(&mut self.taken));
        self.buffer.clear();
        given
    }

    fn keep(&mut self, bytes: &[u8]) -> usize {
        let kept = bytes.len().min(self.document_max - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..kept]);
        self.cut |= kept < bytes.len();
        self.taken += bytes.len() as u64;
        bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use operators::types::hash::mix;

    use super::*;

    fn documents<'a>(
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> (Vec<(String, Flags, u64)>, Tally) {
        let (mut documents, mut records) = (Documents::new(200), Vec::new());
        let mut record = |text: &[u8], flags: Flags, taken: u64| {
            records.push((String::from_utf8_lossy(text).into_owned(), flags, taken));
            Ok::<(), ()>(())
        };
        for piece in pieces {
            documents.push(piece, &mut record).unwrap();
        }
        documents.finish(Flags::UNTERMINATED, &mut record).unwrap();
        (records, documents.tally)
    }

    fn texts(text: &str) -> Vec<String> {
        documents([text.as_bytes()]).0.into_iter().map(|(text, ..)| text).collect()
    }

    #[test]
    fn each_object_at_the_top_is_a_record() {
        let a = "{\n  \"a\": {\n    \"b\": [1, {\"c\": \"}{\\\"\"}]\n  }\n}";
        let cases = [
            (format!("{a}{a}"), vec![a, a]),
            (format!("{a}\n{a}\n"), vec![a, a]),
            (format!("Record 1\n{a}\nRecord 2\n{a}\n"), vec![a, a]),
            (format!("[\n{a},\n{a}\n]\n"), vec![a, a]),
            (format!("[{a},{a}]"), vec![a, a]),
            (format!("{a}\nnot json\n{a}"), vec![a, "not json", a]),
            (format!("\u{feff}{a}"), vec![a]),
            ("{\"a\": 1}\n{}\n".to_owned(), vec!["{\"a\": 1}", "{}"]),
            (format!("{{\"a\": {{\"b\": 1}}\n{a}"), vec!["{\"a\": {\"b\": 1}", a]),
            (format!("{{\"a\": \"no end\n{a}"), vec!["{\"a\": \"no end", a]),
            (format!("{a}\n{{\"a\": 1"), vec![a, "{\"a\": 1"]),
        ];
        for (text, expected) in cases {
            assert_eq!(texts(&text), expected, "{text}");
        }
    }

    #[test]
    fn a_file_is_known_by_its_beginning() {
        let yes =
            ["{\n \"a\": 1\n}", "[\n {\"a\": 1}]", "[{}]", "{\"a\":1}{\"a\":2}\n", "Record 1\n{\n"];
        let no = [
            "{\"a\": 1}\n{\n",
            "[Sun Dec 04 04:47:44 2005] [notice] x\n",
            "{curly} text\n",
            "plain\n",
            "",
            "Record 1\nplain",
            "[1, 2]\n",
        ];
        for text in yes {
            assert!(begin_like_documents(text.as_bytes()), "{text}");
        }
        for text in no {
            assert!(!begin_like_documents(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn the_documents_do_not_depend_on_how_the_bytes_were_cut() {
        const PIECES: [&str; 14] = [
            "{",
            "}",
            "[",
            "]",
            "\"",
            "\\",
            "\n",
            ",",
            ":",
            "Record 7\n",
            "x",
            " ",
            "{\"a\":1}",
            "\"b\":",
        ];
        for seed in 0..20_000u64 {
            let piece = |i: u64| PIECES[mix(seed << 8 | i) as usize % PIECES.len()];
            let text: String = (0..mix(seed) % 80).map(piece).collect();
            let bytes = text.as_bytes();
            let whole = documents([bytes]);
            assert_eq!(whole, documents(bytes.chunks(1)), "{text}");
            assert_eq!(whole, documents(bytes.chunks(7)), "{text}");
            let taken: u64 = whole.0.iter().map(|(.., taken)| taken).sum();
            assert!(taken <= bytes.len() as u64);
            assert!(whole.0.iter().all(|(text, ..)| text.len() <= 600));
        }
    }
}
