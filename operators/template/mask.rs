//! Masking: a message becomes a short sequence of tokens, its values replaced by `<*>`.
//!
//! A message is cut at white space. What looks like a value is masked (see [`pattern`](super));
//! a piece that still holds a digit, or nothing but punctuation beside a mask, is a wildcard as a
//! whole; of `key=value` the key is kept (`uid=<*>`). Neighbouring wildcards are one, and an empty
//! `()`, `[]`, `{}`, `''`, `""` or `-` behind a wildcard is nothing. So the number of values in a
//! list, or the words a value happens to be written with, do not tell templates apart.

use super::class::{self, *};
use super::pattern::{Matcher, is_day, is_month};

/// How many bytes of a message are looked at. What lies beyond has no part in its template.
pub const MESSAGE_BYTES_MAX: usize = 8192;

/// How many tokens a message has at most. A longer one ends in a wildcard that covers the rest.
pub const TOKENS_MAX: usize = 256;

/// The token that stands for any value.
pub const WILDCARD: &str = "<*>";

/// The hash of [`WILDCARD`] as a token; of no other token, but for an accident of 64 bits.
pub(super) const WILD: u64 = 0x3c2a_3e00_5eed_f10e;

/// A masked message: tokens as places in the message. Made to be used again and again.
///
/// It does not hold the message; whoever asks for text brings it along.
#[derive(Clone, Debug, Default)]
pub struct Masked {
    tokens: Vec<Token>,
    hashes: Vec<u64>,
    key: u64,
    /// The text of tokens that stand in no message as they are.
    scratch: Vec<u8>,
    /// The masked places of tokens of which only parts are masked.
    masks: Vec<(u32, u32)>,
    classes: Vec<u16>,
}

/// One token.
#[derive(Clone, Copy, Debug)]
struct Token {
    /// Where it stands in the message: `[from, to)`.
    from: u32,
    to: u32,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// As it stands in the message.
    Plain,
    /// A value, or several next to each other.
    Wild,
    /// `key=<*>`: where the value begins, and where the text lies in the scratch.
    Keyed { value: u32, text: (u32, u32) },
    /// Text with masks in it: which masks, and where the text lies in the scratch.
    Mixed { masks: (u32, u32), text: (u32, u32) },
}

impl Masked {
    /// How many tokens there are; none in an empty message.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is nothing but white space.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// A 64-bit hash of the token sequence, the same on every machine.
    #[must_use]
    pub fn key(&self) -> u64 {
        self.key
    }

    /// The hashes of the tokens. The dictionary takes tokens of equal hash for equal.
    pub(super) fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    /// The text of a token of `message`, which must be the one that was masked.
    #[must_use]
    pub fn token<'a>(&'a self, message: &'a str, index: usize) -> &'a str {
        std::str::from_utf8(self.bytes(message, index)).expect("tokens are cut at characters")
    }

    pub(super) fn bytes<'a>(&'a self, message: &'a str, index: usize) -> &'a [u8] {
        let token = self.tokens[index];
        match token.kind {
            Kind::Plain => &message.as_bytes()[token.from as usize..token.to as usize],
            Kind::Wild => WILDCARD.as_bytes(),
            Kind::Keyed { text, .. } | Kind::Mixed { text, .. } => {
                &self.scratch[text.0 as usize..text.1 as usize]
            }
        }
    }

    /// The tokens of `message`, joined by a space: the form in which a line travels and is kept.
    #[must_use]
    pub fn line(&self, message: &str) -> String {
        let mut line = String::new();
        for index in 0..self.len() {
            if index > 0 {
                line.push(' ');
            }
            line.push_str(self.token(message, index));
        }
        line
    }

    /// Where a token stands in the message. A wildcard spans all that it stands for.
    #[must_use]
    pub fn span(&self, index: usize) -> (u32, u32) {
        (self.tokens[index].from, self.tokens[index].to)
    }

    /// Appends the places of the values in a token.
    pub(super) fn values(&self, index: usize, out: &mut Vec<(u32, u32)>) {
        let token = self.tokens[index];
        match token.kind {
            Kind::Plain => {}
            Kind::Wild => out.push((token.from, token.to)),
            Kind::Keyed { value, .. } => out.push((value, token.to)),
            Kind::Mixed { masks: (from, to), .. } => {
                out.extend_from_slice(&self.masks[from as usize..to as usize]);
            }
        }
    }

    fn clear(&mut self) {
        self.tokens.clear();
        self.hashes.clear();
        self.masks.clear();
        self.scratch.clear();
        self.key = 0;
    }

    #[inline(always)]
    fn push(&mut self, from: usize, to: usize, kind: Kind, hash: u64) {
        self.tokens.push(Token { from: from as u32, to: to as u32, kind });
        self.hashes.push(hash);
        self.key = fold(self.key ^ hash, 0x9e37_79b9_7f4a_7c15);
    }

    fn ends_wild(&self) -> bool {
        self.hashes.last() == Some(&WILD)
    }

    #[inline(always)]
    fn push_wild(&mut self, from: usize, to: usize) {
        if self.ends_wild() {
            self.tokens.last_mut().expect("one was pushed").to = to as u32;
            return;
        }
        self.push(from, to, Kind::Wild, WILD);
    }
}

/// Masks `message` into `masked`, whose former content is gone.
pub fn mask(message: &str, masked: &mut Masked) {
    masked.clear();
    let mut end = message.len().min(MESSAGE_BYTES_MAX);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    let message = &message[..end];
    if message.is_ascii() {
        return scan(message.as_bytes(), Ascii(message.as_bytes()), masked);
    }
    let mut classes = std::mem::take(&mut masked.classes);
    class::work_out(message, &mut classes);
    scan(message.as_bytes(), Worked(&classes), masked);
    masked.classes = classes;
}

/// One pass over the text: piece by piece, and within a piece by shape only where one may be.
fn scan<C: Classes>(text: &[u8], class: C, masked: &mut Masked) {
    let mut matcher = Matcher::new(text, class);
    let mut at = 0;
    loop {
        while class.at(at) & SPACE != 0 {
            at += 1;
        }
        if at == text.len() {
            return;
        }
        if masked.len() + 1 == TOKENS_MAX {
            return masked.push_wild(at, text.len());
        }
        let from = at;
        let mut seen = 0;
        while at < text.len() {
            let class = class.at(at);
            if class & SPACE != 0 {
                break;
            }
            seen |= class;
            at += 1;
        }
        if seen & DIGIT != 0 {
            // Without letters nothing can remain but punctuation, however it is masked.
            if seen & (NAME | WIDE) == 0 && !reads_on(&matcher, at) {
                masked.push_wild(from, at);
                continue;
            }
        } else if !may_hold_value(&text[from..at], seen) {
            push_plain(text, from, at, seen, masked);
            continue;
        }
        at = piece(&mut matcher, from, at, seen, masked);
    }
}

/// Whether a value that ends in the digit before `end` may go on behind the white space there.
fn reads_on<C: Classes>(matcher: &Matcher<'_, C>, end: usize) -> bool {
    matcher.text[end - 1].is_ascii_digit()
        && (matcher.unit_after(end).is_some() || matcher.is_month(end + 1))
}

/// Whether a piece without digits may hold a mask, or begin one.
#[inline(always)]
fn may_hold_value(piece: &[u8], seen: u16) -> bool {
    if seen & (AT | STAR) != 0 {
        return true;
    }
    let signs = seen & (SLASH | DOT | COLON | HYPHEN) != 0 && piece.len() > 3;
    if signs && may_hold_name(piece, seen) {
        return true;
    }
    // A date begins with the name of a day or month at the end of a piece: `[Sun Dec 04 …`.
    let name = match piece {
        [name @ .., b','] => name,
        name => name,
    };
    match name {
        [.., a @ b'A'..=b'Z', b, c] => is_month(&[*a, *b, *c]) || is_day(&[*a, *b, *c]),
        _ => false,
    }
}

/// Whether a piece without digits may hold a path, a dotted name, a URL, a MAC address or a UUID.
fn may_hold_name(piece: &[u8], seen: u16) -> bool {
    let count = |wanted: &[u8]| piece.iter().filter(|byte| wanted.contains(byte)).count();
    seen & SLASH != 0 && count(b"/") >= 2
        || seen & DOT != 0 && count(b".") >= 2
        || seen & (COLON | HYPHEN) != 0 && piece.len() >= 17 && count(b":-") >= 4
}

#[inline(always)]
fn push_plain(text: &[u8], from: usize, to: usize, seen: u16, masked: &mut Masked) {
    let token = &text[from..to];
    if token.len() <= 2 && seen & ALPHANUMERIC == 0 && masked.ends_wild() && is_empty(token) {
        return;
    }
    masked.push(from, to, Kind::Plain, hash(token));
}

fn is_empty(token: &[u8]) -> bool {
    matches!(token, b"()" | b"[]" | b"{}" | b"-" | b"''" | b"\"\"")
}

/// Masks the piece `[from, to)` by shape and pushes what it is. Returns where it ends, which is
/// later than `to` if a value goes on behind white space.
fn piece<C: Classes>(
    matcher: &mut Matcher<'_, C>,
    from: usize,
    mut to: usize,
    mut seen: u16,
    masked: &mut Masked,
) -> usize {
    let (text, class) = (matcher.text, matcher.class);
    let first_mask = masked.masks.len();
    let mut left = 0;
    let mut at = from;
    while at < to {
        let Some(end) = matcher.value_at(at, seen) else {
            left |= class.at(at);
            at += 1;
            continue;
        };
        masked.masks.push((at as u32, end as u32));
        at = end;
        if end > to {
            while to < end || to < text.len() && class.at(to) & SPACE == 0 {
                seen |= class.at(to);
                to += 1;
            }
        }
    }
    let masks = first_mask..masked.masks.len();
    let literal = |from: usize| seen & STAR != 0 && find(&text[from..to], WILDCARD.as_bytes());
    let key_end = masked.masks.get(first_mask).map_or(to, |mask| mask.0 as usize);
    let value = key(text, class, from, key_end).filter(|value| *value < to);

    if let Some(value) = value
        && (left & DIGIT != 0 || !masks.is_empty() || literal(value))
    {
        masked.masks.truncate(first_mask);
        let start = masked.scratch.len();
        masked.scratch.extend_from_slice(&text[from..value]);
        masked.scratch.extend_from_slice(WILDCARD.as_bytes());
        let place = (start as u32, masked.scratch.len() as u32);
        let hash = hash(&masked.scratch[start..]);
        masked.push(from, to, Kind::Keyed { value: value as u32, text: place }, hash);
        return to;
    }
    let wild = !masks.is_empty() || literal(from);
    if left & DIGIT != 0 || wild && left & ALPHANUMERIC == 0 {
        masked.masks.truncate(first_mask);
        masked.push_wild(from, to);
        return to;
    }
    if masks.is_empty() {
        push_plain(text, from, to, seen, masked);
        return to;
    }
    let start = masked.scratch.len();
    let mut copied = from;
    for index in masks.clone() {
        let (mask_from, mask_to) = masked.masks[index];
        masked.scratch.extend_from_slice(&text[copied..mask_from as usize]);
        masked.scratch.extend_from_slice(WILDCARD.as_bytes());
        copied = mask_to as usize;
    }
    masked.scratch.extend_from_slice(&text[copied..to]);
    let kind = Kind::Mixed {
        masks: (masks.start as u32, masks.end as u32),
        text: (start as u32, masked.scratch.len() as u32),
    };
    let hash = hash(&masked.scratch[start..]);
    masked.push(from, to, kind, hash);
    to
}

/// The end of the `key=` that a piece begins with, quotes and brackets before it allowed.
fn key<C: Classes>(text: &[u8], class: C, from: usize, end: usize) -> Option<usize> {
    let mut at = from;
    while at < end && matches!(text[at], b'"' | b'\'' | b'(' | b'[' | b'{') {
        at += 1;
    }
    if at == end || class.at(at) & NAME == 0 {
        return None;
    }
    while at < end && class.at(at) & (LABEL | DOT) != 0 {
        at += 1;
    }
    (at < end && text[at] == b'=').then_some(at + 1)
}

fn find(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|window| window == wanted)
}

/// The hash of a token that is not the wildcard. Stable: replicas compare by it.
#[inline(always)]
pub(super) fn hash(token: &[u8]) -> u64 {
    const A: u64 = 0xa076_1d64_78bd_642f;
    const B: u64 = 0xe703_7ed1_a0b4_28db;
    const C: u64 = 0x8ebc_6af0_9c88_c6e3;
    let len = token.len();
    let (mut low, mut high) = (A ^ len as u64, B);
    let mut rest = token;
    while rest.len() > 16 {
        low = fold(low ^ eight(rest), high ^ eight(&rest[8..]));
        high = high.rotate_left(29) ^ low;
        rest = &rest[16..];
    }
    let len = rest.len();
    let (a, b) = match len {
        8.. => (eight(rest), eight(&rest[len - 8..])),
        4.. => (four(rest), four(&rest[len - 4..])),
        1.. => {
            let middle = u64::from(rest[len / 2]) << 8;
            (u64::from(rest[0]) << 16 | middle | u64::from(rest[len - 1]), 0)
        }
        0 => (0, 0),
    };
    fold(fold(low ^ a, high ^ b), C)
}

#[inline(always)]
fn eight(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"))
}

#[inline(always)]
fn four(bytes: &[u8]) -> u64 {
    u64::from(u32::from_le_bytes(bytes[..4].try_into().expect("four bytes")))
}

/// The product of both, its upper half folded onto its lower.
#[inline(always)]
pub(super) const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}
