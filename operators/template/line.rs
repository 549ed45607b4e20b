//! Masked lines and templates as text, and what the words in them are.

use super::mask::{TOKENS_MAX, WILD, WILDCARD, fold, hash};

/// What stands before a name. A name is a value, however few of them there are.
const NAMED: [&str; 3] = ["user", "username", "account"];

/// A masked line, cut up.
pub(super) struct Line<'a> {
    /// The tokens joined by a space.
    pub(super) text: String,
    pub(super) words: Vec<&'a str>,
    /// The hash of each word.
    pub(super) tokens: Vec<u64>,
}

impl<'a> Line<'a> {
    /// Cuts up what [`Masked::line`](super::Masked::line) made; anything else is made to fit.
    pub(super) fn new(text: &'a str) -> Self {
        let words: Vec<&str> =
            text.split(' ').filter(|word| !word.is_empty()).take(TOKENS_MAX).collect();
        let tokens = words.iter().map(|word| token(word)).collect();
        Line { text: words.join(" "), words, tokens }
    }
}

/// The token hash of a word.
pub(super) fn token(word: &str) -> u64 {
    match word {
        WILDCARD => WILD,
        word => hash(word.as_bytes()),
    }
}

/// The text under which clusters of different lengths are one: runs of wildcards taken together.
pub(super) fn canonical(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut was_wild = false;
    for word in line.split(' ').filter(|word| !word.is_empty()) {
        let is_wild = word == WILDCARD;
        if is_wild && was_wild {
            continue;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
        was_wild = is_wild;
    }
    text
}

pub(super) fn wildcards(text: &str) -> u32 {
    text.split(' ').filter(|word| word.contains(WILDCARD)).count() as u32
}

/// Whether a token is a word and nothing else, but for punctuation around it.
pub(super) fn is_plain(word: &str) -> bool {
    let around = ['\'', '"', '.', ',', ':', ';', '(', ')', '[', ']'];
    let word = word.trim_matches(around);
    !word.is_empty() && word.chars().all(char::is_alphabetic)
}

/// The key of a `key=word`.
pub(super) fn key_of(word: &str) -> Option<&str> {
    let (key, value) = word.split_once('=')?;
    (!key.is_empty() && is_plain(value)).then_some(key)
}

/// The hash of a row without one of its tokens.
pub(super) fn hole(cells: &[u64], place: usize) -> u64 {
    let mut key = fold(place as u64 + 1, 0x9e37_79b9_7f4a_7c15);
    for (at, cell) in cells.iter().enumerate().filter(|(at, _)| *at != place) {
        key = fold(key ^ *cell, 0xd6e8_feb8_6659_fd93 ^ at as u64);
    }
    key
}

/// Whether the word behind `word` is a name.
pub(super) fn precedes_name(word: &str) -> bool {
    NAMED.iter().any(|name| word.eq_ignore_ascii_case(name))
}
