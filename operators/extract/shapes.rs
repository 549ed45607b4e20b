//! What a run of bytes looks like: addresses, paths, accounts. Pure questions about a slice.
//!
//! All of them answer in bytes, and only at ASCII bytes, so that every answer is a piece of
//! well-formed text.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The kinds of bytes, as bits; 0 separates runs.
pub(super) const LETTER: u16 = 1;
/// `a`–`f` and `A`–`F`.
pub(super) const HEX: u16 = 1 << 1;
pub(super) const DIGIT: u16 = 1 << 2;
pub(super) const DOT: u16 = 1 << 3;
pub(super) const COLON: u16 = 1 << 4;
pub(super) const SLASH: u16 = 1 << 5;
pub(super) const BACKSLASH: u16 = 1 << 6;
pub(super) const AT: u16 = 1 << 7;
pub(super) const HYPHEN: u16 = 1 << 8;
pub(super) const UNDERSCORE: u16 = 1 << 9;
pub(super) const PERCENT: u16 = 1 << 10;
/// `+`, `~`, `$` and everything that is not ASCII.
pub(super) const OTHER: u16 = 1 << 11;

/// The kind of each byte.
pub(super) static CLASS: [u16; 256] = {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = match byte as u8 {
            b'a'..=b'f' | b'A'..=b'F' => HEX,
            b'g'..=b'z' | b'G'..=b'Z' => LETTER,
            b'0'..=b'9' => DIGIT,
            b'.' => DOT,
            b':' => COLON,
            b'/' => SLASH,
            b'\\' => BACKSLASH,
            b'@' => AT,
            b'-' => HYPHEN,
            b'_' => UNDERSCORE,
            b'%' => PERCENT,
            b'+' | b'~' | b'$' | 0x80.. => OTHER,
            _ => 0,
        };
        byte += 1;
    }
    class
};

/// The kinds of bytes that stand in `bytes`.
pub(super) fn mask(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |mask, byte| mask | CLASS[usize::from(*byte)])
}

/// Where `piece` first stands in `bytes`. For short slices, where a search engine does not pay.
#[inline]
pub(super) fn find<const N: usize>(bytes: &[u8], piece: &[u8; N]) -> Option<usize> {
    bytes.windows(N).position(|window| window == piece)
}

/// The IPv4 address that `bytes` is: four decimal numbers below 256 without leading zeros.
pub(super) fn ipv4(bytes: &[u8]) -> Option<Ipv4Addr> {
    if !(7..=15).contains(&bytes.len()) {
        return None;
    }
    let mut octets = [0u8; 4];
    let (mut count, mut value, mut digits) = (0, 0u16, 0);
    for byte in bytes {
        match byte {
            b'0'..=b'9' if digits == 0 || value != 0 => {
                value = value * 10 + u16::from(byte - b'0');
                digits += 1;
                if value > 255 {
                    return None;
                }
            }
            b'.' if digits > 0 && count < 3 => {
                octets[count] = value as u8;
                count += 1;
                (value, digits) = (0, 0);
            }
            _ => return None,
        }
    }
    if count < 3 || digits == 0 {
        return None;
    }
    octets[3] = value as u8;
    Some(Ipv4Addr::from(octets))
}

/// The IPv6 address that `bytes` is, if it is meant as one.
///
/// `a::b` in a C++ name, `::`, hardware addresses and key fingerprints are well-formed too. So
/// there must be a digit, or brackets around it (`bracketed`), and not eight groups of two
/// digits, which is a 64-bit hardware address or a world-wide name.
pub(super) fn ipv6(bytes: &[u8], bracketed: bool) -> Option<Ipv6Addr> {
    if !(2..=45).contains(&bytes.len()) {
        return None;
    }
    let mut colons = 0;
    let mut digits = false;
    for byte in bytes {
        match byte {
            b':' => colons += 1,
            b'0'..=b'9' => digits = true,
            b'a'..=b'f' | b'A'..=b'F' | b'.' => {}
            _ => return None,
        }
    }
    let shortened = colons < 7 && !bytes.contains(&b'.');
    if !(2..=8).contains(&colons) || !(digits || bracketed) {
        return None;
    }
    if (shortened && find(bytes, b"::").is_none()) || pairs(bytes) {
        return None;
    }
    Ipv6Addr::from_str(std::str::from_utf8(bytes).ok()?).ok()
}

/// Whether `bytes` is eight groups of two.
fn pairs(bytes: &[u8]) -> bool {
    bytes.len() == 23 && bytes.iter().skip(2).step_by(3).all(|byte| *byte == b':')
}

/// Where in `bytes` an address stands, if it is nothing but an address with the usual trimmings: a
/// slash before it, brackets, a zone, a port, a prefix length.
pub(super) fn address(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut start = usize::from(bytes.first() == Some(&b'/'));
    let bracketed = bytes.get(start) == Some(&b'[');
    start += usize::from(bracketed);
    let rest = &bytes[start..];
    let inner = match bracketed {
        true => memchr::memchr(b']', rest)?,
        false => rest.len(),
    };
    let mut end = inner;
    if let Some(cut) = memchr::memchr2(b'%', b'/', &rest[..end]) {
        if rest[cut] == b'/' && !is_number(&rest[cut + 1..end], 3) {
            return None;
        }
        end = cut;
    }
    if bracketed && !(rest.len() == inner + 1 || is_port(&rest[inner + 1..])) {
        return None;
    }
    if ipv4(&rest[..end]).is_some() || ipv6(&rest[..end], true).is_some() {
        return Some((start, start + end));
    }
    let colon = memchr::memrchr(b':', &rest[..end])?;
    let with_port = !bracketed && is_port(&rest[colon..]) && ipv4(&rest[..colon]).is_some();
    with_port.then_some((start, start + colon))
}

/// Whether `bytes` is a colon and a port.
fn is_port(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b':') && is_number(&bytes[1..], 5)
}

/// Whether `bytes` is a decimal number of at most `digits` digits.
pub(super) fn is_number(bytes: &[u8], digits: usize) -> bool {
    (1..=digits).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_digit)
}

/// First components of absolute paths, by which a single component is known for a path.
const ROOTS: [&[u8]; 27] = [
    b"etc",
    b"var",
    b"usr",
    b"home",
    b"root",
    b"tmp",
    b"opt",
    b"bin",
    b"sbin",
    b"lib",
    b"lib64",
    b"dev",
    b"proc",
    b"sys",
    b"run",
    b"mnt",
    b"media",
    b"srv",
    b"boot",
    b"data",
    b"snap",
    b"nix",
    b"Users",
    b"Library",
    b"System",
    b"Applications",
    b"Volumes",
];

/// Whether an absolute path starts with a drive or a component that no web server serves.
pub(super) fn has_known_root(bytes: &[u8]) -> bool {
    let component =
        bytes.strip_prefix(b"/").and_then(|rest| rest.split(|byte| *byte == b'/').next());
    has_drive(bytes) || component.is_some_and(|first| ROOTS.contains(&first))
}

/// Whether `bytes` is an absolute POSIX path to something: it starts with one slash and has two
/// components of which one has a letter, or one that is a known root.
pub(super) fn is_posix_path(bytes: &[u8]) -> bool {
    if bytes.len() < 3 || bytes[0] != b'/' || bytes[1] == b'/' {
        return false;
    }
    let inner = &bytes[1..];
    let first = memchr::memchr(b'/', inner).map_or(inner, |slash| &inner[..slash]);
    if ROOTS.contains(&first) {
        return true;
    }
    let more = first.len() + 1 < inner.len();
    more && inner.iter().any(u8::is_ascii_alphabetic)
}

/// Whether `bytes` starts like a Windows path with a drive: `C:\` or `C:/`.
pub(super) fn has_drive(bytes: &[u8]) -> bool {
    matches!(bytes, [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic())
}

/// Whether `bytes` starts like a path that Windows names by device or server.
pub(super) fn has_device(bytes: &[u8]) -> bool {
    let known: [&[u8]; 2] = [b"\\Device\\", b"\\SystemRoot\\"];
    let server = |bytes: &[u8]| {
        matches!(bytes, [b'\\', b'\\', first, ..] if first.is_ascii_alphanumeric())
            && memchr::memchr(b'\\', &bytes[2..]).is_some()
    };
    server(bytes)
        || known.iter().any(|prefix| {
            bytes.len() > prefix.len() && bytes[..prefix.len()].eq_ignore_ascii_case(prefix)
        })
}

/// How long the Windows path is that `bytes` starts with.
///
/// Names have spaces. In quotes (`quote` is the closing one) the path ends with them, or with the
/// program of a command line; outside, a space belongs to it where the next word is in title case
/// and goes on to a backslash, as in `C:\Program Files\Common Files\x`.
pub(super) fn windows_path(bytes: &[u8], quote: Option<u8>) -> usize {
    let window = &bytes[..bytes.len().min(PATH_MAX)];
    if let Some(close) = quote.and_then(|quote| memchr::memchr(quote, window)) {
        let inner = &bytes[..close];
        if !inner.iter().any(|byte| b"\r\n\t\"<>|*?".contains(byte)) {
            return program_of(inner);
        }
    }
    let mut at = 0;
    while at < window.len() {
        match bytes[at] {
            b' ' if joins(&bytes[..at], &bytes[at + 1..]) => {}
            b':' if at != 1 => break,
            b'(' | b')' if joined_parenthesis(&bytes[..at]) => {}
            0..=b' ' | b'"' | b'\'' | b'<' | b'>' | b'|' | b'*' | b'?' | b',' | b';' => break,
            b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'=' | b'`' | 0x7f => break,
            _ => {}
        }
        at += 1;
    }
    while at > 3 && bytes[at - 1] == b'.' {
        at -= 1;
    }
    at
}

/// How long a path may be.
const PATH_MAX: usize = 4_096;

/// The part of a quoted command line that is its program.
fn program_of(inner: &[u8]) -> usize {
    let suffixed = |at: usize| at >= 4 && inner[at - 4..at].eq_ignore_ascii_case(b".exe");
    memchr::memchr_iter(b' ', inner).find(|at| suffixed(*at)).unwrap_or(inner.len())
}

/// Whether a space between these two belongs to a directory's name.
fn joins(before: &[u8], after: &[u8]) -> bool {
    let component = memchr::memrchr(b'\\', before).map_or(before, |at| &before[at + 1..]);
    if component.is_empty() || component.contains(&b'.') {
        return false;
    }
    if component == b"Program" {
        return after.starts_with(b"Files\\") || after.starts_with(b"Files (x86)\\");
    }
    if component == b"Program Files" {
        return after.starts_with(b"(x86)\\");
    }
    if component == b"Documents" {
        return after.starts_with(b"and Settings\\");
    }
    if component == b"Documents and" {
        return after.starts_with(b"Settings\\");
    }
    let end = after.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(after.len());
    end >= 2
        && after.get(end) == Some(&b'\\')
        && after[0].is_ascii_uppercase()
        && after[1].is_ascii_lowercase()
}

fn joined_parenthesis(before: &[u8]) -> bool {
    before.ends_with(b"\\Program Files ") || before.ends_with(b"\\Program Files (x86")
}

/// Roots of the registry, which look like domains of accounts.
const HIVES: [&[u8]; 7] = [b"HKLM", b"HKCU", b"HKU", b"HKCR", b"HKCC", b"REGISTRY", b"HKEY"];

/// Whether `bytes` is `DOMAIN\name` even where nothing announces an account: the domain a NetBIOS
/// name in capitals, the name no path and no program.
pub(super) fn is_domain_account(bytes: &[u8]) -> bool {
    let Some(at) = memchr::memchr(b'\\', bytes) else { return false };
    let (domain, mut name) = (&bytes[..at], &bytes[at + 1..]);
    if name.first() == Some(&b'\\') {
        name = &name[1..];
    }
    let capital = |byte: &u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_');
    let suffixed = name.len() > 4 && name[name.len() - 4] == b'.';
    (2..=15).contains(&domain.len())
        && domain.iter().all(capital)
        && domain[0].is_ascii_uppercase()
        && !HIVES.iter().any(|hive| domain.starts_with(hive))
        && (2..=64).contains(&name.len())
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-$".contains(byte))
        && name[0].is_ascii_alphanumeric()
        && !suffixed
}

/// Whether `bytes` is a security identifier: `S-1-5-18`. It is a number, not a name.
pub(super) fn is_sid(bytes: &[u8]) -> bool {
    bytes.len() > 6
        && bytes[..4].eq_ignore_ascii_case(b"S-1-")
        && bytes[4..].iter().all(|byte| byte.is_ascii_digit() || *byte == b'-')
}

/// Ways to write that there is no value.
pub(super) fn is_nobody(value: &[u8]) -> bool {
    const NOBODY: [&[u8]; 15] = [
        b"n/a",
        b"na",
        b"(null)",
        b"null",
        b"none",
        b"(none)",
        b"unknown",
        b"(unknown)",
        b"nil",
        b"undefined",
        b"unset",
        b"<unknown>",
        b"(invalid user)",
        b"<none>",
        b"<null>",
    ];
    match value {
        [] | [b'-' | b'?' | b'*' | b'_'] | [b'%', b'%', ..] => true,
        _ if value.len() > 14 => false,
        _ => NOBODY.iter().any(|nobody| value.eq_ignore_ascii_case(nobody)),
    }
}

/// Whether `value` can be an account's name: up to 256 bytes, none of them a control character or
/// a quote, some of them a letter or digit, and not a SID, an address or a way to say nobody.
pub(super) fn is_account(value: &[u8]) -> bool {
    value.len() <= 256
        && !is_nobody(value)
        && !is_sid(value)
        && !value.iter().any(|byte| byte.is_ascii_control() || b"\"<>|".contains(byte))
        && value.iter().any(|byte| byte.is_ascii_alphanumeric() || *byte >= 0x80)
        && !matches!(value.first(), Some(b'@' | b' '))
        && !matches!(value.last(), Some(b'\\' | b'@' | b' '))
        && ipv4(value).is_none()
        && ipv6(value, false).is_none()
}

/// Whether `value` can be a program's name.
pub(super) fn is_program(value: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-/:@+~#".contains(byte);
    (1..=64).contains(&value.len())
        && value.iter().all(allowed)
        && value.iter().any(u8::is_ascii_alphabetic)
        && value[0].is_ascii_alphanumeric()
        && !is_nobody(value)
}

/// Whether a machine's name is one even where only a word before it says so: it has a digit, a
/// hyphen or a dot, or it is all in capitals.
pub(super) fn is_machine_like(value: &[u8]) -> bool {
    value.iter().any(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
        || (value.len() > 2 && value.iter().all(u8::is_ascii_uppercase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_addresses_are_those_of_the_standard_library() {
        let mut random = 1u64;
        let mut valid = 0;
        for _ in 0..200_000 {
            let mut text = String::new();
            for part in 0..4 + usize::from(random.is_multiple_of(16))
                - usize::from(random.is_multiple_of(17))
            {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let number = random >> 33;
                let number = number % [10, 100, 256, 256, 300, 1_000][number as usize % 6];
                let dot = if part == 0 { "" } else { "." };
                let zero = if random >> 60 == 0 { "0" } else { "" };
                text.push_str(&format!("{dot}{zero}{number}"));
            }
            let expected = Ipv4Addr::from_str(&text).ok();
            valid += usize::from(expected.is_some());
            assert_eq!(ipv4(text.as_bytes()), expected, "{text}");
        }
        assert!(valid > 10_000);
    }

    #[test]
    fn ipv6_addresses_are_those_of_the_standard_library_but_for_the_guards() {
        let mut random = 1u64;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) as usize
        };
        let mut valid = 0;
        for _ in 0..200_000 {
            let groups = ["0", "1", "db8", "ffff", "2001", "abcd", "a", "12345", "g", "10.0.0.1"];
            let mut text = String::new();
            for index in 0..1 + next() % 9 {
                if index > 0 {
                    text.push_str(if next() % 5 == 0 { "::" } else { ":" });
                }
                text.push_str(groups[next() % if next() % 8 == 0 { 10 } else { 7 }]);
            }
            match next() % 8 {
                0 => text.insert_str(0, "::"),
                1 => text.push_str("::"),
                2 => text.push(':'),
                _ => {}
            }
            let expected = Ipv6Addr::from_str(&text).ok();
            valid += usize::from(expected.is_some());
            assert_eq!(ipv6(text.as_bytes(), true), expected, "{text}");
            let digits = text.bytes().any(|byte| byte.is_ascii_digit());
            assert_eq!(ipv6(text.as_bytes(), false), expected.filter(|_| digits), "{text}");
        }
        assert!(valid > 10_000);
        assert_eq!(ipv6(b"50:06:01:60:3b:a0:11:22", true), None);
        assert!(ipv6(b"::", true).is_some() && ipv6(b"::", false).is_none());
    }

    #[test]
    fn an_address_is_found_among_its_trimmings() {
        for (text, address) in [
            ("10.0.0.1", "10.0.0.1"),
            ("10.0.0.1:80", "10.0.0.1"),
            ("/10.0.0.1:80", "10.0.0.1"),
            ("10.0.0.0/8", "10.0.0.0"),
            ("10.0.0.1%eth0", "10.0.0.1"),
            ("[::1]:443", "::1"),
            ("[fe80::1%eth0]", "fe80::1"),
            ("::ffff:10.9.8.7", "::ffff:10.9.8.7"),
            ("dead::beef", "dead::beef"),
            ("2001:db8::/32", "2001:db8::"),
        ] {
            let found = super::address(text.as_bytes()).map(|(start, end)| &text[start..end]);
            assert_eq!(found, Some(address), "{text}");
        }
        for text in ["", "/", "[", "[]", "[::1]x", "10.0.0.1/x", "10.0.0.1:", "1.2.3", "host", "%"]
        {
            assert_eq!(super::address(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_windows_path_has_the_spaces_of_its_directories() {
        for (text, path) in [
            ("C:\\Windows\\System32\\cmd.exe by pid 77", "C:\\Windows\\System32\\cmd.exe"),
            ("C:\\Program Files\\Common Files\\a.dll x", "C:\\Program Files\\Common Files\\a.dll"),
            ("C:\\Program Files (x86)\\A\\b.exe -c", "C:\\Program Files (x86)\\A\\b.exe"),
            ("C:\\Documents and Settings\\a b", "C:\\Documents and Settings\\a"),
            ("C:\\temp CORP\\alice", "C:\\temp"),
            ("D:/data/x.txt, y", "D:/data/x.txt"),
            ("C:\\a.txt:12: no", "C:\\a.txt"),
        ] {
            assert_eq!(&text[..windows_path(text.as_bytes(), None)], path);
        }
        let quoted = b"C:\\My Files\\x y.exe -a b\" tail";
        assert_eq!(windows_path(quoted, Some(b'"')), "C:\\My Files\\x y.exe".len());
    }

    #[test]
    fn an_account_with_its_domain_is_no_path() {
        for account in
            ["CORP\\alice", "CORP\\\\alice", "DESKTOP-1A\\WS1$", "BUILTIN\\Administrators"]
        {
            assert!(is_domain_account(account.as_bytes()), "{account}");
        }
        for other in
            ["HKLM\\Software", "System32\\cmd", "CORP\\x\\y", "App\\Http", "CORP\\cmd.exe", "A\\b"]
        {
            assert!(!is_domain_account(other.as_bytes()), "{other}");
        }
    }
}
