//! Cuts the bytes of a syslog connection into frames (RFC 6587, and what real senders do).
//!
//! How a sender delimits is known from its first bytes, and stays:
//!
//! - `LEN SP <…` (a count without sign and leading zero, at most [`COUNT_MAX_FACTOR`] times the
//!   longest message) makes a **counted** connection: each frame is as long as it says. One LF at
//!   the end of such a frame belongs to no message (rsyslog, syslog-ng) and is removed, with a CR
//!   before it. CR, LF and NUL between frames are skipped.
//! - Everything else makes a connection of **lines**. They end with LF, a CR before which is
//!   removed, unless the first NUL comes before the first LF and a `<` or `{` follows it: then
//!   they end with NUL. Any other NUL is part of its message.
//!
//! A count that is a lie (`99999999 <`, `007 <`, `-5 <`) is taken away and counted, and what
//! follows is read as a line; so nobody waits for 99 MB. A counted connection that does not go on
//! with a count where a frame should begin is out of step: the rest up to the next LF is a record,
//! the rest up to the next `LEN SP <PRI>` is [stray](Frames::stray), unless it is a message behind
//! the rest of a count. A line that begins with `<` between counted frames is a record.
//!
//! Pure and incremental: the frames depend on the bytes, never on how they were cut into reads.
//! At most `message_max` bytes and one count are held.

use memchr::{memchr_iter, memchr2, memchr3};
use operators::types::Flags;

/// A count larger than this many times the longest message is a lie.
pub const COUNT_MAX_FACTOR: usize = 16;

/// The digits of a count that is still looked at as one.
const COUNT_DIGITS_MAX: usize = 20;

/// Who takes the frames.
pub trait Frames {
    /// A record, without its delimiter. Never empty.
    fn frame(&mut self, record: &[u8], flags: Flags);
    /// Bytes that belong to no frame, and why.
    fn stray(&mut self, bytes: &[u8], reason: &'static str);
}

/// What was odd; taken and added to the receiver's counters by the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Counts that were lies, and places where a count was missing.
    pub framing_errors: u64,
    /// Frames with nothing in them.
    pub empty: u64,
    /// Frames cut at the longest length.
    pub truncated: u64,
    /// Frames that the sender did not end.
    pub unterminated: u64,
}

/// How the connection delimits its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delimiting {
    /// Nothing seen yet that would say.
    Unknown,
    /// Lines, and no delimiter seen yet.
    Lines,
    Lf,
    Nul,
    Counted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between two frames.
    Start,
    /// In what may be a count; the buffer holds it.
    Count,
    /// In a counted frame, of which so many bytes are missing.
    Octets(usize),
    /// In a line.
    Line,
    /// In a line on a counted connection, which also ends where a count with a priority begins.
    Resync,
}

/// Cuts one connection's bytes into frames. See the [module](self) for how.
#[derive(Debug)]
pub struct Framer {
    message_max: usize,
    delimiting: Delimiting,
    state: State,
    /// The beginning of the frame that is not complete, at most `message_max` bytes.
    buffer: Vec<u8>,
    /// Bytes of this frame that did not fit.
    cut: bool,
    /// The last byte was a NUL of which the next byte says what it is.
    pending_nul: bool,
    /// A line on a counted connection that does not begin with `<`.
    out_of_step: bool,
    /// What was odd since this was last taken.
    pub tally: Tally,
}

impl Framer {
    /// A framer for one connection, whose records are at most `message_max` bytes long.
    ///
    /// # Panics
    ///
    /// If `message_max` is less than 64: a count with its priority would not fit.
    #[must_use]
    pub fn new(message_max: usize) -> Self {
        assert!(message_max >= 64, "a message may be at least 64 bytes long");
        Framer {
            message_max,
            delimiting: Delimiting::Unknown,
            state: State::Start,
            buffer: Vec::new(),
            cut: false,
            pending_nul: false,
            out_of_step: false,
            tally: Tally::default(),
        }
    }

    /// Whether a frame has begun and not ended.
    #[must_use]
    pub fn is_within_frame(&self) -> bool {
        self.state != State::Start
    }

    /// Whether that frame is a line, so that silence may be taken for its end.
    #[must_use]
    pub fn is_within_line(&self) -> bool {
        matches!(self.state, State::Line | State::Resync)
    }

    /// Takes the next bytes.
    pub fn push(&mut self, mut bytes: &[u8], to: &mut impl Frames) {
        while !bytes.is_empty() {
            let taken = match self.state {
                State::Start => self.start(bytes, to),
                State::Count => self.count(bytes),
                State::Octets(missing) => self.octets(missing, bytes, to),
                State::Line => self.line(bytes, to),
                State::Resync => self.resync(bytes, to),
            };
            bytes = &bytes[taken..];
        }
    }

    /// Ends the frame that has begun, because nothing more will come.
    pub fn finish(&mut self, to: &mut impl Frames) {
        let state = std::mem::replace(&mut self.state, State::Start);
        if state == State::Start {
            return;
        }
        if std::mem::take(&mut self.pending_nul) {
            self.delimiting = Delimiting::Nul;
            self.emit(&[], Flags::default(), to);
            return;
        }
        if state == State::Count && self.delimiting == Delimiting::Counted {
            to.stray(&self.buffer, "a count without a frame");
            self.tally.framing_errors += 1;
            self.buffer.clear();
            return;
        }
        self.emit(&[], Flags::UNTERMINATED, to);
    }

    /// Decides what begins here. Takes nothing, but for delimiters between counted frames.
    fn start(&mut self, bytes: &[u8], to: &mut impl Frames) -> usize {
        let counted = self.delimiting == Delimiting::Counted;
        self.out_of_step = false;
        match bytes[0] {
            b'\r' | b'\n' | 0 if counted => return 1,
            b'0'..=b'9' | b'-' | b'+' if counted || self.delimiting == Delimiting::Unknown => {
                if let Some(taken) = self.whole_octets(bytes, to) {
                    return taken;
                }
                self.state = State::Count;
            }
            b'<' if counted => self.state = State::Resync,
            _ if counted => self.lose_step(),
            _ => self.begin_line(),
        }
        0
    }

    /// The common case: a counted frame that lies in these bytes as a whole.
    fn whole_octets(&mut self, bytes: &[u8], to: &mut impl Frames) -> Option<usize> {
        let digits = bytes.iter().take(COUNT_DIGITS_MAX).take_while(|b| b.is_ascii_digit()).count();
        let count = self.believable(&bytes[..digits])?;
        let start = digits + 1;
        if bytes.get(digits) != Some(&b' ') || bytes.get(start) != Some(&b'<') {
            return None;
        }
        let frame = bytes.get(start..start + count)?;
        self.delimiting = Delimiting::Counted;
        // What is cut anyway keeps its end, as it does when it comes in pieces.
        let frame = if count <= self.message_max { without_line_end(frame) } else { frame };
        self.emit(frame, Flags::default(), to);
        Some(start + count)
    }

    /// Collects a count until it is known to be one.
    fn count(&mut self, bytes: &[u8]) -> usize {
        let byte = bytes[0];
        if self.buffer.last() == Some(&b' ') {
            if byte == b'<' {
                let count = self.believable(&self.buffer[..self.buffer.len() - 1]);
                self.delimiting = Delimiting::Counted;
                self.buffer.clear();
                self.state = match count {
                    Some(count) => State::Octets(count),
                    None => {
                        self.tally.framing_errors += 1;
                        State::Resync
                    }
                };
            } else {
                self.no_count();
            }
            return 0;
        }
        let fits = match byte {
            b'0'..=b'9' => self.buffer.len() <= COUNT_DIGITS_MAX,
            b'-' | b'+' => self.buffer.is_empty(),
            b' ' => self.buffer.last().is_some_and(u8::is_ascii_digit),
            _ => false,
        };
        if fits {
            self.buffer.push(byte);
            return 1;
        }
        self.no_count();
        0
    }

    /// What looked like a count is the beginning of a line.
    fn no_count(&mut self) {
        match self.delimiting {
            Delimiting::Counted => self.lose_step(),
            _ => self.begin_line(),
        }
    }

    fn begin_line(&mut self) {
        if self.delimiting == Delimiting::Unknown {
            self.delimiting = Delimiting::Lines;
        }
        self.state = State::Line;
    }

    fn lose_step(&mut self) {
        self.tally.framing_errors += 1;
        self.out_of_step = true;
        self.state = State::Resync;
    }

    /// The count that these digits are, if a sender may mean it.
    fn believable(&self, digits: &[u8]) -> Option<usize> {
        if !matches!(digits.first(), Some(b'1'..=b'9')) {
            return None;
        }
        let count = std::str::from_utf8(digits).ok()?.parse::<usize>().ok()?;
        (count <= self.message_max.saturating_mul(COUNT_MAX_FACTOR)).then_some(count)
    }

    fn octets(&mut self, missing: usize, bytes: &[u8], to: &mut impl Frames) -> usize {
        let taken = missing.min(bytes.len());
        self.keep(&bytes[..taken]);
        if taken < missing {
            self.state = State::Octets(missing - taken);
            return taken;
        }
        self.state = State::Start;
        if !self.cut {
            self.buffer.truncate(without_line_end(&self.buffer).len());
        }
        self.emit(&[], Flags::default(), to);
        taken
    }

    fn line(&mut self, bytes: &[u8], to: &mut impl Frames) -> usize {
        if self.delimiting == Delimiting::Lines {
            return self.first_line(bytes, to);
        }
        let delimiter = if self.delimiting == Delimiting::Nul { 0 } else { b'\n' };
        let mut start = 0;
        for end in memchr_iter(delimiter, bytes) {
            self.end_line(&bytes[start..end], to);
            start = end + 1;
        }
        // On a connection of lines nothing but a line can follow a line.
        if start < bytes.len() {
            self.keep(&bytes[start..]);
            self.state = State::Line;
        }
        bytes.len()
    }

    /// Finds the connection's first delimiter.
    fn first_line(&mut self, bytes: &[u8], to: &mut impl Frames) -> usize {
        if std::mem::take(&mut self.pending_nul) {
            if matches!(bytes[0], b'<' | b'{') {
                self.delimiting = Delimiting::Nul;
                self.end_line(&[], to);
                return 0;
            }
            self.keep(&[0]);
        }
        let mut from = 0;
        while let Some(at) = memchr2(b'\n', 0, &bytes[from..]).map(|at| from + at) {
            if bytes[at] == b'\n' {
                self.delimiting = Delimiting::Lf;
                self.end_line(&bytes[..at], to);
                return at + 1;
            }
            match bytes.get(at + 1) {
                Some(b'<' | b'{') => {
                    self.delimiting = Delimiting::Nul;
                    self.end_line(&bytes[..at], to);
                    return at + 1;
                }
                Some(_) => from = at + 1,
                None => {
                    self.keep(&bytes[..at]);
                    self.pending_nul = true;
                    return bytes.len();
                }
            }
        }
        self.keep(bytes);
        bytes.len()
    }

    /// A line ends with `rest`.
    fn end_line(&mut self, rest: &[u8], to: &mut impl Frames) {
        self.state = State::Start;
        let lf = self.delimiting != Delimiting::Nul;
        if self.buffer.is_empty() && !self.cut {
            let line = match rest {
                [line @ .., b'\r'] if lf && rest.len() <= self.message_max => line,
                line => line,
            };
            self.emit(line, Flags::default(), to);
            return;
        }
        self.keep(rest);
        if lf && !self.cut && self.buffer.last() == Some(&b'\r') {
            self.buffer.pop();
        }
        self.emit(&[], Flags::default(), to);
    }

    /// Looks for the end of a line, or for a count with a priority, whichever comes first.
    fn resync(&mut self, bytes: &[u8], to: &mut impl Frames) -> usize {
        let Some(at) = memchr3(b'\n', 0, b'>', bytes) else {
            self.keep_tail(bytes);
            return bytes.len();
        };
        if bytes[at] != b'>' {
            self.end_resync(&bytes[..at], to);
            return at + 1;
        }
        self.keep_tail(&bytes[..=at]);
        if let Some((header, digits)) = self.header_at_end() {
            let count = self.believable(&self.buffer[header..header + digits]);
            let begun = self.buffer[header + digits + 1..].to_vec();
            if let Some(missing) = count.and_then(|count| count.checked_sub(begun.len())) {
                self.buffer.truncate(header);
                self.tally.framing_errors += u64::from(!self.out_of_step);
                if self.out_of_step && !self.drop_rest_of_count() {
                    to.stray(&self.buffer, "between two counted frames");
                    self.buffer.clear();
                    self.cut = false;
                } else {
                    self.emit(&[], Flags::default(), to);
                }
                self.buffer.extend_from_slice(&begun);
                self.state = State::Octets(missing);
            }
        }
        at + 1
    }

    /// A line on a counted connection ends with `rest`.
    fn end_resync(&mut self, rest: &[u8], to: &mut impl Frames) {
        self.keep_tail(rest);
        if self.buffer.len() <= self.message_max && self.buffer.last() == Some(&b'\r') {
            self.buffer.pop();
        }
        if self.out_of_step {
            self.drop_rest_of_count();
        }
        self.state = State::Start;
        self.emit(&[], Flags::default(), to);
    }

    /// Removes what a count one too long has left of the next count, if a message follows it.
    fn drop_rest_of_count(&mut self) -> bool {
        let of_count = |byte: &&u8| byte.is_ascii_digit() || **byte == b' ';
        let rest = self.buffer.iter().take(8).take_while(of_count).count();
        let message = rest > 0 && self.buffer.get(rest) == Some(&b'<');
        if message {
            self.buffer.drain(..rest);
        }
        message
    }

    /// Where `LEN SP < digits >` begins, if the buffer ends with one, and how long the count is.
    fn header_at_end(&self) -> Option<(usize, usize)> {
        let digits_before = |end: usize| {
            self.buffer[..end].iter().rev().take(8).take_while(|b| b.is_ascii_digit()).count()
        };
        let priority_end = self.buffer.len().checked_sub(1)?;
        let priority = digits_before(priority_end);
        let open = (priority_end - priority).checked_sub(1)?;
        let space = open.checked_sub(1)?;
        if !(1..=3).contains(&priority) || self.buffer[open] != b'<' || self.buffer[space] != b' ' {
            return None;
        }
        let digits = digits_before(space);
        (1..=7).contains(&digits).then(|| (space - digits, digits))
    }

    /// Adds to the frame as much as fits.
    fn keep(&mut self, bytes: &[u8]) {
        let room = self.message_max - self.buffer.len();
        let kept = room.min(bytes.len());
        self.buffer.extend_from_slice(&bytes[..kept]);
        self.cut |= kept < bytes.len();
    }

    /// Adds to a line in which a count may come: of what does not fit, the last bytes are held.
    fn keep_tail(&mut self, bytes: &[u8]) {
        const TAIL: usize = 32;
        let limit = self.message_max + TAIL;
        for piece in bytes.chunks(TAIL) {
            self.buffer.extend_from_slice(piece);
            if self.buffer.len() > limit {
                self.buffer.drain(self.message_max..self.buffer.len() - TAIL);
                self.cut = true;
            }
        }
    }

    /// Hands over the frame: what is held, or else `rest`.
    fn emit(&mut self, rest: &[u8], mut flags: Flags, to: &mut impl Frames) {
        debug_assert!(rest.is_empty() || self.buffer.is_empty());
        let whole = if self.buffer.is_empty() { rest } else { &self.buffer[..] };
        let record = &whole[..whole.len().min(self.message_max)];
        let cut = std::mem::take(&mut self.cut) || record.len() < whole.len();
        if record.is_empty() {
            self.tally.empty += 1;
        } else {
            if cut {
                flags.set(Flags::TRUNCATED);
                self.tally.truncated += 1;
            }
            if flags.has(Flags::UNTERMINATED) {
                self.tally.unterminated += 1;
            }
            to.frame(record, flags);
        }
        self.buffer.clear();
    }
}

/// A frame without the one LF that may end it, and the CR before that.
fn without_line_end(frame: &[u8]) -> &[u8] {
    match frame {
        [rest @ .., b'\r', b'\n'] | [rest @ .., b'\n'] => rest,
        _ => frame,
    }
}

#[cfg(test)]
mod tests {
    use operators::types::hash::mix;

    use super::*;

    const MAX: usize = 64;

    #[derive(Debug, Default, PartialEq)]
    struct Seen {
        frames: Vec<(Vec<u8>, Flags)>,
        strays: Vec<Vec<u8>>,
        tally: Tally,
    }

    impl Frames for Seen {
        fn frame(&mut self, record: &[u8], flags: Flags) {
            assert!(!record.is_empty() && record.len() <= MAX);
            self.frames.push((record.to_vec(), flags));
        }
        fn stray(&mut self, bytes: &[u8], _: &'static str) {
            assert!(!bytes.is_empty());
            self.strays.push(bytes.to_vec());
        }
    }

    /// What a connection says that sends these pieces and closes.
    fn seen<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Seen {
        let (mut framer, mut seen) = (Framer::new(MAX), Seen::default());
        for piece in pieces {
            framer.push(piece, &mut seen);
            assert!(framer.buffer.capacity() <= 4 * MAX, "a frame holds little memory");
        }
        framer.finish(&mut seen);
        seen.tally = framer.tally;
        seen
    }

    /// The frames as text, those with flags followed by the names of the flags.
    fn frames(bytes: &[u8]) -> Vec<String> {
        let show = |(record, flags): &(Vec<u8>, Flags)| match flags.names().join("+") {
            names if names.is_empty() => String::from_utf8_lossy(record).into_owned(),
            names => format!("{} [{names}]", String::from_utf8_lossy(record)),
        };
        seen([bytes]).frames.iter().map(show).collect()
    }

    #[test]
    fn each_kind_of_delimiting_gives_its_frames() {
        let cases: &[(&[u8], &[&str])] = &[
            (b"<34>a\n<34>b\n", &["<34>a", "<34>b"]),
            (b"<34>a\r\n<34>b\r\n", &["<34>a", "<34>b"]),
            (b"<34>a\0<34>b\0", &["<34>a", "<34>b"]),
            (b"{\"a\":1}\0{\"a\":\n2}\0", &["{\"a\":1}", "{\"a\":\n2}"]),
            (b"<34>a\0b\n<34>c\n", &["<34>a\0b", "<34>c"]),
            (b"<34>a\n<34>b\0<34>c\n", &["<34>a", "<34>b\0<34>c"]),
            (b"5 <34>a6 <34>bc", &["<34>a", "<34>bc"]),
            (b"6 <34>a\n7 <34>b\r\n", &["<34>a", "<34>b"]),
            (b"5 <34>a\n5 <34>b\n", &["<34>a", "<34>b"]),
            (b"7 <34>a\nb", &["<34>a\nb"]),
            (
                b"26 <34>1 - h a - - - msg one!26 <34>1 - h a - - - msg two!<34>next\n",
                &["<34>1 - h a - - - msg one!", "<34>1 - h a - - - msg two!", "<34>next"],
            ),
            (b"2026-11-22 plain text\n12 monkeys\n", &["2026-11-22 plain text", "12 monkeys"]),
            (b"no priority\n5 <34>a is content\n", &["no priority", "5 <34>a is content"]),
            (b"\n\n<34>a\n\n", &["<34>a"]),
            (b"<34>no end", &["<34>no end [unterminated]"]),
            (b"9 <34>half", &["<34>half [unterminated]"]),
            (b"<34>a\0", &["<34>a"]),
            (b"<34>\xff\n", &["<34>\u{fffd}"]),
            (b"", &[]),
        ];
        for (bytes, expected) in cases {
            assert_eq!(frames(bytes), *expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_count_that_is_a_lie_is_counted_and_what_follows_is_a_line() {
        let lies: [&[u8]; 6] = [
            b"99999999 <34>x\n<34>y\n",
            b"-5 <34>x\n<34>y\n",
            b"007 <34>x\n<34>y\n",
            b"0 <34>x\n5 <34>y",
            b"99999999999999999999 <34>x\n5 <34>y",
            b"2000 <34>x\n<34>y\n",
        ];
        for lie in lies {
            assert_eq!(frames(lie), ["<34>x", "<34>y"], "{}", lie.escape_ascii());
            assert_eq!(seen([lie]).tally.framing_errors, 1);
        }
    }

    #[test]
    fn a_count_one_short_loses_the_rest_of_its_message_and_nothing_else() {
        let seen = seen([&b"5 <34>ab6 <34>cd5 <34>e"[..]]);
        let records: Vec<_> = seen.frames.iter().map(|(record, _)| &record[..]).collect();
        assert_eq!(records, [&b"<34>a"[..], b"<34>cd", b"<34>e"]);
        assert_eq!(seen.strays, [b"b"]);
        assert_eq!(seen.tally.framing_errors, 1);
    }

    #[test]
    fn a_count_one_long_loses_the_beginning_of_the_next_count_and_no_message() {
        assert_eq!(frames(b"6 <34>a5 <34>b5 <34>c"), ["<34>a5", "<34>b", "<34>c"]);
        assert_eq!(frames(b"6 <34>a5 <34>b\n5 <34>c"), ["<34>a5", "<34>b", "<34>c"]);
    }

    #[test]
    fn a_message_that_is_too_long_is_cut_and_the_next_one_is_whole() {
        let long = [b"<34>".as_slice(), &[b'a'; 5_000], b"\n<34>next\n"].concat();
        let counted = [b"604 <34>".as_slice(), &[b'a'; 600], b"8 <34>next"].concat();
        for bytes in [long, counted] {
            let seen = seen([&bytes[..]]);
            assert_eq!(seen.frames[0].0.len(), MAX);
            assert_eq!(seen.frames[0].1, Flags::TRUNCATED);
            assert_eq!(seen.frames[1], (b"<34>next".to_vec(), Flags::default()));
            assert_eq!(seen.tally, Tally { truncated: 1, ..Tally::default() });
        }
    }

    #[test]
    fn a_message_of_exactly_the_longest_length_is_not_cut() {
        let text = [b"<34>".as_slice(), &[b'a'; MAX - 4], b"\n"].concat();
        assert_eq!(seen([&text[..]]).frames, [(text[..MAX].to_vec(), Flags::default())]);
    }

    #[test]
    fn silence_ends_a_line_and_not_a_counted_frame() {
        let (mut framer, mut seen) = (Framer::new(MAX), Seen::default());
        framer.push(b"5 <34>a9 <34>b", &mut seen);
        assert!(framer.is_within_frame() && !framer.is_within_line());
        let mut framer = Framer::new(MAX);
        framer.push(b"<34>a", &mut seen);
        assert!(framer.is_within_line());
        framer.finish(&mut seen);
        framer.push(b"<34>b\n", &mut seen);
        assert!(!framer.is_within_frame());
        assert_eq!(seen.frames.len(), 3);
    }

    /// Bytes of which every part means something to a framer.
    fn hostile(seed: u64) -> Vec<u8> {
        const PIECES: [&[u8]; 22] = [
            b"<34>",
            b"\n",
            b"\r\n",
            b"\0",
            b"5 <34>a",
            b"9 <13>abcde",
            b"26 ",
            b"-5 <",
            b"007 <1>",
            b"99999999 <34>",
            b"{",
            b"x",
            b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            b" ",
            b"1",
            b">",
            b"\xff",
            b"80 <34>",
            b"6 <34>a\n",
            b"\r",
            b"65 <34>",
            b"7 <34>b\r\n",
        ];
        let next = |i: u64| mix(seed.wrapping_mul(1_000).wrapping_add(i)) as usize;
        (0..1 + next(0) % 24).flat_map(|i| PIECES[next(i as u64 + 1) % 22]).copied().collect()
    }

    #[test]
    fn the_frames_do_not_depend_on_how_the_bytes_were_cut() {
        for seed in 0..30_000 {
            let bytes = hostile(seed);
            let whole = seen([&bytes[..]]);
            assert_eq!(whole, seen(bytes.chunks(1)), "{}", bytes.escape_ascii());
            let cut = 1 + mix(seed) as usize % 11;
            assert_eq!(whole, seen(bytes.chunks(cut)), "{} by {cut}", bytes.escape_ascii());
        }
    }

    #[test]
    #[ignore = "a measurement"]
    fn bench_framing() {
        struct Sum(u64);
        impl Frames for Sum {
            fn frame(&mut self, record: &[u8], _: Flags) {
                self.0 += record.len() as u64;
            }
            fn stray(&mut self, _: &[u8], _: &'static str) {}
        }
        let message = format!("<34>1 2026-11-22T13:38:00Z host app 1 - - {}", "m".repeat(110));
        let lines = format!("{message}\n").repeat(400);
        let counted = format!("{} {message}", message.len()).repeat(400);
        for (name, bytes) in [("lines", lines), ("counted", counted)] {
            let (mut framer, mut sum) = (Framer::new(65_536), Sum(0));
            let start = std::time::Instant::now();
            for _ in 0..5_000 {
                framer.push(bytes.as_bytes(), &mut sum);
            }
            let nanos = start.elapsed().as_nanos() as f64 / (400.0 * 5_000.0);
            println!("framing {name}: {nanos:.1} ns per frame of {} bytes", message.len());
        }
    }
}
