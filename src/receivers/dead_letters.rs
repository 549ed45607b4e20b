//! Where bytes go that are no records: counted, and kept for a human to look at.
//!
//! The file holds one JSON object a line: `time`, `receiver`, `source`, `reason`, `length`, and
//! the first [`LETTER_BYTES_MAX`] bytes as `text` if all of them are printable ASCII, else as
//! `base64`. When it has reached its size it is renamed to `NAME.1`, over the one before, and
//! begun anew; so it takes at most twice its size.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use operators::types::Source;
use serde::Serialize;

use super::counters::Rarely;
use super::now;

/// How many bytes of a letter are kept.
pub const LETTER_BYTES_MAX: usize = 4_096;
/// How many letters are written in a second; more are only counted, so that nobody fills a disk's
/// queue with them.
pub const LETTERS_PER_SECOND_MAX: u32 = 1_000;

/// The dead letters. Cloning it gives another handle to the same.
#[derive(Clone, Debug, Default)]
pub struct DeadLetters {
    file: Option<Arc<Mutex<Letters>>>,
}

#[derive(Debug)]
struct Letters {
    path: PathBuf,
    file: File,
    size: u64,
    size_max: u64,
    second: Instant,
    this_second: u32,
    complaint: Rarely,
}

#[derive(Serialize)]
struct Letter<'a> {
    time: String,
    receiver: &'a str,
    source: &'a str,
    reason: &'a str,
    length: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl DeadLetters {
    /// Keeps nothing; the receivers' counters still count.
    #[must_use]
    pub fn none() -> Self {
        DeadLetters::default()
    }

    /// Keeps them in a file of at most `size_max` bytes, to which it appends.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened for writing.
    pub fn file(path: &Path, size_max: u64) -> std::io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let letters = Letters {
            size: file.metadata()?.len(),
            path: path.to_owned(),
            file,
            size_max,
            second: Instant::now(),
            this_second: 0,
            complaint: Rarely::new(),
        };
        Ok(DeadLetters { file: Some(Arc::new(Mutex::new(letters))) })
    }

    /// Keeps `bytes`. A disk that does not take them is logged, not an error.
    pub fn put(&self, source: &Source, reason: &str, bytes: &[u8]) {
        let Some(file) = &self.file else { return };
        let kept = &bytes[..bytes.len().min(LETTER_BYTES_MAX)];
        let text = std::str::from_utf8(kept)
            .ok()
            .filter(|text| text.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        let letter = Letter {
            time: now().to_rfc3339(),
            receiver: &source.receiver,
            source: &source.name,
            reason,
            length: bytes.len(),
            text,
            base64: text.is_none().then(|| base64(kept)),
        };
        let mut line = serde_json::to_vec(&letter).expect("strings and numbers have a JSON form");
        line.push(b'\n');
        file.lock().expect("writing a letter does not panic").write(&line);
    }
}

impl Letters {
    fn write(&mut self, line: &[u8]) {
        if self.second.elapsed() >= Duration::from_secs(1) {
            self.second = Instant::now();
            self.this_second = 0;
        }
        self.this_second += 1;
        if self.this_second > LETTERS_PER_SECOND_MAX {
            return;
        }
        if let Err(error) = self.append(line)
            && self.complaint.now()
        {
            tracing::warn!(path = %self.path.display(), %error, "dead letter not written");
        }
    }

    fn append(&mut self, line: &[u8]) -> std::io::Result<()> {
        if self.size > 0 && self.size + line.len() as u64 > self.size_max {
            let mut old = self.path.clone().into_os_string();
            old.push(".1");
            std::fs::rename(&self.path, old)?;
            self.file = OpenOptions::new().create(true).append(true).open(&self.path)?;
            self.size = 0;
        }
        self.file.write_all(line)?;
        self.size += line.len() as u64;
        Ok(())
    }
}

/// The bytes in base64 (RFC 4648 §4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            match digit <= group.len() {
                true => text.push(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63] as char),
                false => text.push('='),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Source {
        Source { receiver: "syslog".into(), name: "203.0.113.7".into() }
    }

    fn letters(path: &Path) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        let cases =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (bytes, text) in cases {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_letter_says_whence_and_why_and_shows_no_control_character() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dead-letters.ndjson");
        let dead = DeadLetters::file(&path, 1 << 20).unwrap();
        dead.put(&source(), "test", b"plain");
        dead.put(&source(), "test", b"\x1b]0;PWNED\x07");
        dead.put(&source(), "test", &[b'x'; 10_000]);
        let letters = letters(&path);
        assert_eq!(letters[0]["text"], "plain");
        assert_eq!(letters[0]["source"], "203.0.113.7");
        assert_eq!(letters[1]["base64"], "G10wO1BXTkVEBw==");
        assert_eq!(letters[2]["length"], 10_000);
        assert_eq!(letters[2]["text"].as_str().unwrap().len(), LETTER_BYTES_MAX);
    }

    #[test]
    fn the_files_take_at_most_twice_their_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dead-letters.ndjson");
        let dead = DeadLetters::file(&path, 2_000).unwrap();
        for _ in 0..100 {
            dead.put(&source(), "test", b"0123456789");
        }
        let size = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().len();
        assert!(size("dead-letters.ndjson") <= 2_000);
        assert!(size("dead-letters.ndjson.1") <= 2_000);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
