//! What is masked: fifteen shapes of values, each recognised by hand.
//!
//! At a place of the text the shapes are tried in a fixed order and the first that fits wins; the
//! text is gone through from left to right and what was masked is not looked at again. So the
//! outcome is that of one alternation of regular expressions (written down in the tests, which
//! compare), at a small part of its price. All but dates and numbers with a unit lie within one
//! stretch without white space.
//!
//! Cost: linear in the text. Shapes that must read far before they know remember how far it is
//! hopeless (`hopeless_*`), so no input makes them read the same bytes over and over.

use super::class::*;

/// A text and where in it some shapes cannot begin.
pub(super) struct Matcher<'a, C> {
    pub(super) text: &'a [u8],
    pub(super) class: C,
    hopeless_mail: usize,
    hopeless_host: usize,
    hopeless_url: usize,
}

impl<'a, C: Classes> Matcher<'a, C> {
    pub(super) fn new(text: &'a [u8], class: C) -> Self {
        Matcher { text, class, hopeless_mail: 0, hopeless_host: 0, hopeless_url: 0 }
    }

    /// The end of the value that begins at `place`, if one does.
    ///
    /// `seen` are the classes that occur in the stretch around `place`: shapes whose signs are
    /// not among them are not tried.
    #[inline]
    pub(super) fn value_at(&mut self, place: usize, seen: u16) -> Option<usize> {
        let class = self.class.at(place);
        let before = self.before(place);
        let edge = (before & WORD != 0) != (class & WORD != 0);
        if !edge && class & (DIGIT | HEX_LETTER | SLASH) == 0 {
            return match self.text[place] {
                b'<' => self.unit(place),
                b'+' | b'-' => self.number(place, before),
                b':' if self.is(place + 1, b':') => self.address_6(place, before),
                _ => None,
            };
        }
        if class & HEX != 0
            && seen & HYPHEN != 0
            && let Some(end) = self.uuid(place)
        {
            return Some(end);
        }
        if edge {
            if class & (UPPER | DIGIT) != 0
                && let Some(end) = self.date(place)
            {
                return Some(end);
            }
            if (class & DIGIT != 0 || self.text[place] == b'<')
                && let Some(end) = self.unit(place)
            {
                return Some(end);
            }
            if class & LOWER != 0
                && seen & SLASH != 0
                && seen & COLON != 0
                && let Some(end) = self.url(place)
            {
                return Some(end);
            }
        }
        if class & HEX != 0
            && seen & (COLON | HYPHEN) != 0
            && let Some(end) = self.mac(place)
        {
            return Some(end);
        }
        if seen & DOT != 0
            && (edge && class & DIGIT != 0 || class & SLASH != 0)
            && let Some(end) = self.address(place)
        {
            return Some(end);
        }
        if edge
            && seen & AT != 0
            && class & MAILBOX != 0
            && let Some(end) = self.mail(place)
        {
            return Some(end);
        }
        if class & SLASH != 0 {
            return self.path(place, before);
        }
        if edge {
            if seen & DOT != 0
                && class & LABEL != 0
                && let Some(end) = self.host(place)
            {
                return Some(end);
            }
            if class & HEX != 0
                && let Some(end) = self.hexadecimal(place)
            {
                return Some(end);
            }
            if self.text[place] == b'b'
                && let Some(end) = self.block(place)
            {
                return Some(end);
            }
            if class & HEX != 0
                && seen & COLON != 0
                && let Some(end) = self.address_6(place, before)
            {
                return Some(end);
            }
        }
        self.number(place, before)
    }

    fn before(&self, place: usize) -> u16 {
        match place {
            0 => 0,
            place => self.class.at(place - 1),
        }
    }

    fn is(&self, place: usize, byte: u8) -> bool {
        self.text.get(place) == Some(&byte)
    }

    fn is_in(&self, place: usize, class: u16) -> bool {
        self.class.at(place) & class != 0
    }

    /// The end of the stretch of `class` that begins at `place`.
    #[inline(always)]
    fn run(&self, mut place: usize, class: u16) -> usize {
        while self.is_in(place, class) {
            place += 1;
        }
        place
    }

    /// Whether a word begins or ends at `place`.
    fn edge(&self, place: usize) -> bool {
        (self.before(place) & WORD != 0) != self.is_in(place, WORD)
    }

    /// `123e4567-e89b-12d3-a456-426614174000`, also within a word.
    fn uuid(&self, place: usize) -> Option<usize> {
        for hyphen in [8, 13, 18, 23] {
            if !self.is(place + hyphen, b'-') {
                return None;
            }
        }
        let hex = |at: usize| matches!(at, 8 | 13 | 18 | 23) || self.is_in(place + at, HEX);
        (0..36).all(hex).then_some(place + 36)
    }

    /// `Sun Dec 04 04:47:44 2005`, `04/Dec/2005:04:47:44`, `Dec  4 04:47:44` and the like.
    fn date(&self, place: usize) -> Option<usize> {
        let mut at = place;
        if is_day(self.text.get(at..at + 3)?) {
            let comma = at + 3 + usize::from(self.is(at + 3, b','));
            at = self.run(comma, SPACE);
            if at == comma {
                return None;
            }
        }
        if self.is_month(at) {
            let space = at + 3;
            at = self.run(space, SPACE);
            if at == space || !self.is_in(at, DIGIT) {
                return None;
            }
            at += 1 + usize::from(self.is_in(at + 1, DIGIT));
        } else {
            if !self.is_in(at, DIGIT) {
                return None;
            }
            at += 1 + usize::from(self.is_in(at + 1, DIGIT));
            if !matches!(self.text.get(at)?, b' ' | b'/' | b'-') || !self.is_month(at + 1) {
                return None;
            }
            at += 4;
        }
        let mut year = at;
        while matches!(self.text.get(year), Some(b' ' | b',' | b'/' | b':' | b'-')) {
            year += 1;
        }
        if year > at && self.digits(year, 4) {
            at = year + 4;
        }
        let gap = at;
        while matches!(self.text.get(at), Some(b' ' | b':')) {
            at += 1;
        }
        if at == gap {
            return None;
        }
        let colons = self.is(at + 2, b':') && self.is(at + 5, b':');
        let digits = self.digits(at, 2) && self.digits(at + 3, 2) && self.digits(at + 6, 2);
        if !colons || !digits {
            return None;
        }
        at += 8;
        let tail = self.run(at, SPACE);
        if tail > at {
            let mut year = tail;
            let zone = self.run(tail, UPPER);
            if matches!(zone - tail, 3 | 4) && self.is_in(zone, SPACE) {
                year = self.run(zone, SPACE);
            }
            if self.digits(year, 4) && !self.is_in(year + 4, WORD) {
                return Some(year + 4);
            }
        }
        (!self.is_in(at, WORD)).then_some(at)
    }

    fn digits(&self, place: usize, count: usize) -> bool {
        (place..place + count).all(|place| self.is_in(place, DIGIT))
    }

    /// Whether the name of a month begins at `place`.
    pub(super) fn is_month(&self, place: usize) -> bool {
        self.text.get(place..place + 3).is_some_and(is_month)
    }

    /// `512 MB`, `<1 sec`, `3.5s`: a number, at most one white space, a unit.
    fn unit(&self, place: usize) -> Option<usize> {
        let number = place + usize::from(self.text[place] == b'<');
        if !self.is_in(number, DIGIT) || !self.edge(number) {
            return None;
        }
        let mut at = self.run(number, DIGIT);
        while matches!(self.text.get(at), Some(b'.' | b',')) && self.is_in(at + 1, DIGIT) {
            at = self.run(at + 1, DIGIT);
        }
        self.unit_after(at)
    }

    /// The end of the unit that stands at `place`, or behind the one white space that does.
    pub(super) fn unit_after(&self, place: usize) -> Option<usize> {
        let mut at = place;
        if self.is_in(at, SPACE) {
            at += 1;
            while self.text.get(at).is_some_and(|byte| byte & 0xc0 == 0x80) {
                at += 1;
            }
        }
        if !self.is_in(at, LOWER | UPPER) {
            return None;
        }
        let mut end = at + 1;
        while end < at + 6 && self.is_in(end, WORD) {
            end += 1;
        }
        is_unit(&self.text[at..end]).then_some(end)
    }

    /// `scheme://` and what follows up to white space, a quote, a bracket, `,` or `;`.
    fn url(&mut self, place: usize) -> Option<usize> {
        if place < self.hopeless_url {
            return None;
        }
        let scheme = self.run(place, SCHEME);
        let rest = self.text.get(scheme..scheme + 3) == Some(b"://");
        let start = scheme + 3;
        let mut end = start;
        while rest
            && end < self.text.len()
            && !self.is_in(end, SPACE)
            && !matches!(self.text[end], b'"' | b'\'' | b'<' | b'>' | b',' | b';' | b')' | b']')
        {
            end += 1;
        }
        if end > start {
            return Some(end);
        }
        self.hopeless_url = scheme;
        None
    }

    /// `00:1a:2b:3c:4d:5e`, also at the end of a word.
    fn mac(&self, place: usize) -> Option<usize> {
        let end = place + 17;
        if end > self.text.len() {
            return None;
        }
        for pair in (place..end).step_by(3) {
            if pair + 2 < end && !matches!(self.text[pair + 2], b':' | b'-') {
                return None;
            }
            if !self.is_in(pair, HEX) || !self.is_in(pair + 1, HEX) {
                return None;
            }
        }
        (!self.is_in(end, WORD)).then_some(end)
    }

    /// `10.0.0.1`, `10.0.0.1:80`, `/10.0.0.1`.
    fn address(&self, place: usize) -> Option<usize> {
        let at = self.quad(place + usize::from(self.text[place] == b'/'))?;
        if self.is(at, b':') {
            let port = self.run(at + 1, DIGIT);
            if port > at + 1 && !self.is_in(port, WORD) {
                return Some(port);
            }
        }
        (!self.is_in(at, WORD)).then_some(at)
    }

    /// `ann@example.org`.
    fn mail(&mut self, place: usize) -> Option<usize> {
        if place < self.hopeless_mail {
            return None;
        }
        let sign = self.run(place, MAILBOX);
        if self.is(sign, b'@') {
            let first = self.run(sign + 1, LABEL);
            let mut end = first;
            while first > sign + 1 && self.is(end, b'.') && self.is_in(end + 1, LABEL) {
                end = self.run(end + 1, LABEL);
            }
            if end > first {
                return Some(end);
            }
        }
        self.hopeless_mail = sign;
        None
    }

    /// `/usr/bin`, `/a/b/`: at least two parts, not behind a word or a dot.
    fn path(&self, place: usize, before: u16) -> Option<usize> {
        if before & (WORD | DOT) != 0 {
            return None;
        }
        let mut at = place;
        let mut parts = 0;
        while self.is(at, b'/') && self.is_in(at + 1, PATH) {
            at = self.run(at + 1, PATH);
            parts += 1;
        }
        (parts >= 2).then(|| at + usize::from(self.is(at, b'/')))
    }

    /// `db-1.example:5432` with one dot or more, `www.example.org` with two or more.
    fn host(&mut self, place: usize) -> Option<usize> {
        if place < self.hopeless_host {
            return None;
        }
        let mut end = self.run(place, LABEL);
        let mut dots = 0;
        while self.is(end, b'.') && self.is_in(end + 1, LABEL) {
            end = self.run(end + 1, LABEL);
            dots += 1;
        }
        if dots >= 1 && self.is(end, b':') {
            let port = self.run(end + 1, DIGIT);
            if port > end + 1 && !self.is_in(port, WORD) {
                return Some(port);
            }
        }
        // The name ends at its last edge of a word that has two dots before it.
        let mut last = end;
        while dots >= 2 {
            if self.is(last - 1, b'.') {
                dots -= 1;
            } else if self.edge(last) {
                return Some(last);
            }
            last -= 1;
        }
        self.hopeless_host = end;
        None
    }

    /// `0x1f`, or eight and more hexadecimal digits with a decimal one among them.
    fn hexadecimal(&self, place: usize) -> Option<usize> {
        if self.is(place, b'0') && matches!(self.text.get(place + 1), Some(b'x' | b'X')) {
            let end = self.run(place + 2, HEX);
            return (end > place + 2 && !self.is_in(end, WORD)).then_some(end);
        }
        let end = self.run(place, HEX);
        if end - place < 8 || self.is_in(end, WORD) {
            return None;
        }
        self.text[place..end].iter().any(u8::is_ascii_digit).then_some(end)
    }

    /// `blk_-1608999687919862906`, the blocks of HDFS.
    fn block(&self, place: usize) -> Option<usize> {
        if self.text.get(place..place + 4) != Some(b"blk_") {
            return None;
        }
        let digits = place + 4 + usize::from(self.is(place + 4, b'-'));
        let end = self.run(digits, DIGIT);
        (end > digits).then_some(end)
    }

    /// `2001:db8::17`, `fe80::1%eth0`, `::ffff:10.0.0.1`: eight groups, or a `::` and some.
    fn address_6(&self, place: usize, before: u16) -> Option<usize> {
        if before & (WORD | COLON | DOT) != 0 {
            return None;
        }
        let (mut at, mut groups, mut gap, mut digit) = (place, 0, None, false);
        loop {
            let group = at;
            while self.is_in(at, HEX) {
                digit |= self.is_in(at, DIGIT);
                at += 1;
            }
            if at > group + 4 {
                return None;
            }
            groups += usize::from(at > group);
            if self.is(at, b':') && self.is(at + 1, b':') {
                if gap.replace(at).is_some() {
                    return None;
                }
                at += 2;
                continue;
            }
            if at > group && self.is(at, b':') && self.is_in(at + 1, HEX) {
                at += 1;
                continue;
            }
            if gap.is_some() && self.is(at, b'.') && self.is_in(at + 1, DIGIT) {
                at = self.quad(group)?;
            }
            break;
        }
        if !digit || gap.is_none() && groups != 8 {
            return None;
        }
        if self.is(at, b'%') && self.is_in(at + 1, WORD) {
            let zone = self.run(at + 1, WORD);
            if self.ends(zone) {
                return Some(zone);
            }
        }
        self.ends(at).then_some(at)
    }

    /// The end of the four numbers `10.0.0.1` at `place`.
    fn quad(&self, place: usize) -> Option<usize> {
        let mut at = place;
        for dot in [true, true, true, false] {
            let end = self.run(at, DIGIT);
            if end == at || end > at + 3 || dot && !self.is(end, b'.') {
                return None;
            }
            at = end + usize::from(dot);
        }
        Some(at)
    }

    /// Whether an address may end at `place`: no word goes on, and no further part follows.
    fn ends(&self, place: usize) -> bool {
        match self.text.get(place) {
            Some(b':' | b'.') => !self.is_in(place + 1, WORD | COLON),
            _ => !self.is_in(place, WORD),
        }
    }

    /// `42`, `-1.5`, `10:30`, `2005-12-04`, `85%`: not part of a word on either side.
    fn number(&self, place: usize, before: u16) -> Option<usize> {
        if before & NAME != 0 {
            return None;
        }
        let mut start = place + usize::from(matches!(self.text[place], b'+' | b'-'));
        let mut end = self.run(start, DIGIT);
        if end == start {
            return None;
        }
        let first = start;
        while matches!(self.text.get(end), Some(b'.' | b',' | b':' | b'/' | b'-'))
            && self.is_in(end + 1, DIGIT)
        {
            start = end + 1;
            end = self.run(start, DIGIT);
        }
        if self.is(end, b'%') && !self.is_in(end + 1, NAME) {
            return Some(end + 1);
        }
        if !self.is_in(end, NAME) {
            return Some(end);
        }
        // A name follows at once: the number ends one digit, or one part, earlier.
        match end - start {
            1 if start == first => None,
            1 => Some(start - 1),
            _ => Some(end - 1),
        }
    }
}

pub(super) fn is_day(name: &[u8]) -> bool {
    matches!(name, b"Mon" | b"Tue" | b"Wed" | b"Thu" | b"Fri" | b"Sat" | b"Sun")
}

pub(super) fn is_month(name: &[u8]) -> bool {
    matches!(
        name,
        b"Jan"
            | b"Feb"
            | b"Mar"
            | b"Apr"
            | b"May"
            | b"Jun"
            | b"Jul"
            | b"Aug"
            | b"Sep"
            | b"Oct"
            | b"Nov"
            | b"Dec"
    )
}

fn is_unit(word: &[u8]) -> bool {
    let plain =
        matches!(word, b"B" | b"byte" | b"bytes" | b"ms" | b"s" | b"sec" | b"secs" | b"us" | b"ns");
    plain
        || matches!(
            word,
            [b'K' | b'M' | b'G' | b'T', b'B'] | [b'K' | b'M' | b'G' | b'T', b'i', b'B']
        )
}
