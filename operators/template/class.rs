//! Byte classes: what the scanner needs to know about each byte of a message.

/// `0`–`9`. Digits of other scripts count as letters.
pub(super) const DIGIT: u16 = 1;
/// `a`–`f`, `A`–`F`, which are letters as well.
pub(super) const HEX_LETTER: u16 = 1 << 1;
pub(super) const LOWER: u16 = 1 << 2;
pub(super) const UPPER: u16 = 1 << 3;
pub(super) const UNDERSCORE: u16 = 1 << 4;
/// A byte of a letter or digit beyond ASCII.
pub(super) const WIDE: u16 = 1 << 5;
/// White space, as Unicode has it.
pub(super) const SPACE: u16 = 1 << 6;
pub(super) const DOT: u16 = 1 << 7;
pub(super) const HYPHEN: u16 = 1 << 8;
pub(super) const SLASH: u16 = 1 << 9;
pub(super) const COLON: u16 = 1 << 10;
pub(super) const AT: u16 = 1 << 11;
pub(super) const PLUS: u16 = 1 << 12;
/// `*`, of which a message may bring its own wildcards.
pub(super) const STAR: u16 = 1 << 13;
/// `$`, `%` and `~`, which only paths hold.
pub(super) const PATH_SIGN: u16 = 1 << 14;

/// A letter or underscore of ASCII.
pub(super) const NAME: u16 = LOWER | UPPER | UNDERSCORE;
/// What `\w` is elsewhere.
pub(super) const WORD: u16 = DIGIT | NAME | WIDE;
/// A letter or digit.
pub(super) const ALPHANUMERIC: u16 = DIGIT | LOWER | UPPER | WIDE;
pub(super) const HEX: u16 = DIGIT | HEX_LETTER;
/// One label of a host name.
pub(super) const LABEL: u16 = WORD | HYPHEN;
/// What may stand before the `@` of a mail address.
pub(super) const MAILBOX: u16 = WORD | HYPHEN | DOT | PLUS;
/// What may stand between the slashes of a path.
pub(super) const PATH: u16 = WORD | HYPHEN | DOT | PLUS | AT | COLON | PATH_SIGN;
/// The scheme of a URL.
pub(super) const SCHEME: u16 = LOWER | DIGIT | PLUS | DOT | HYPHEN;

/// The class of each ASCII byte. Bytes beyond are classed by the character they belong to.
static CLASS: [u16; 256] = table();

const fn table() -> [u16; 256] {
    let mut table = [0u16; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT,
            b'a'..=b'f' => LOWER | HEX_LETTER,
            b'A'..=b'F' => UPPER | HEX_LETTER,
            b'g'..=b'z' => LOWER,
            b'G'..=b'Z' => UPPER,
            b'_' => UNDERSCORE,
            b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r' => SPACE,
            b'.' => DOT,
            b'-' => HYPHEN,
            b'/' => SLASH,
            b':' => COLON,
            b'@' => AT,
            b'+' => PLUS,
            b'*' => STAR,
            b'$' | b'%' | b'~' => PATH_SIGN,
            _ => 0,
        };
        byte += 1;
    }
    table
}

/// The classes of a message's bytes; past its end there is class 0.
pub(super) trait Classes: Copy {
    fn at(self, place: usize) -> u16;
}

/// A message of ASCII only: classes come from the table.
#[derive(Clone, Copy)]
pub(super) struct Ascii<'a>(pub(super) &'a [u8]);

impl Classes for Ascii<'_> {
    #[inline(always)]
    fn at(self, place: usize) -> u16 {
        self.0.get(place).map_or(0, |byte| CLASS[*byte as usize])
    }
}

/// A message with other characters: classes were worked out before.
#[derive(Clone, Copy)]
pub(super) struct Worked<'a>(pub(super) &'a [u16]);

impl Classes for Worked<'_> {
    #[inline(always)]
    fn at(self, place: usize) -> u16 {
        self.0.get(place).copied().unwrap_or(0)
    }
}

/// Works out the class of each byte: all bytes of a character have the character's class.
pub(super) fn work_out(text: &str, classes: &mut Vec<u16>) {
    classes.clear();
    for character in text.chars() {
        let class = match character {
            character if character.is_ascii() => CLASS[character as usize],
            character if character.is_whitespace() => SPACE,
            character if character.is_alphanumeric() => WIDE,
            _ => 0,
        };
        classes.resize(classes.len() + character.len_utf8(), class);
    }
}
