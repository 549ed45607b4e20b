//! Which names are names in the DNS.
//!
//! A dotted name in a text is a class, a file, a property or a domain. It is a domain if its
//! last label is a top-level domain; and if that one is also a common suffix of files or a word
//! that programs use as a member's name (`README.md`, `logger.info`, `user.id`), only if
//! something else says so: a scheme, a port, a key, a mailbox before it, `www`.
//!
//! The list is our own: the two-letter codes in use (ISO 3166-1, with `ac`, `eu`, `su`, `uk`),
//! generic ones that are in wide use or abused, any `xn--` one, and names that are not delegated
//! but written in logs: `example`, `local`, `localdomain`, `lan`, `internal`, `corp`, `intranet`,
//! `private`, `onion` (RFC 2606, 6761, 6762, 7686 and common practice).

use super::words::Table;

/// How much a top-level domain says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Not one.
    None,
    /// One, if something else says so too.
    Weak,
    /// One.
    Full,
}

const FULL: &str = "ac ad ae af ag ai al ao aq ar au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt \
     bw ca cd cf cg ch ci ck cm cn co cr cu cv cw cx cy cz de dj dk dm dz ec ee eg er es et \
     eu fi fj fk fm fo fr ga ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht \
     hu ie il im io iq ir it je jm jo jp ke kg kh ki km kn kp kr kw ky kz lb lc li lk lr ls \
     lt lu lv ly ma mc me mg mh mn mp mq mr mt mu mv mw mx mz na nc ne nf ng ni nl np nr nu \
     nz om pa pe pf pg ph pk pn pr pt pw qa re ro ru rw sa sb sd se sg si sk sl sm sn sr ss \
     su sv sx sy sz tc td tg th tj tk tl tm tn tr tt tv tw tz ua ug uk us uy uz va vc ve vg \
     vn vu wf ws ye yt za zm zw com net org edu gov mil int arpa biz mobi aero coop museum \
     asia xyz club online site shop vip icu cloud website ninja guru agency academy london \
     berlin nyc tokyo wiki bank amazon google microsoft goog aws gle ovh rest monster cyou \
     sbs quest bond cfd buzz fyi gdn casa surf uno bar moe example local localdomain lan \
     corp intranet private onion";

const WEAK: &str = "am as at by bz cc cl do gd id in is la md mk ml mm mo ms my no pl pm ps py rs sc sh so \
     st tf to vi info name pro jobs travel tel cat post xxx app dev page store tech top win \
     bid loan date stream download click link live life world today news email host hosting \
     space press review work works zip mov run blog art fun games game group network \
     systems services support digital media design studio team tools trade science party \
     racing cricket accountant faith men rocks social software solutions security \
     technology company center global finance money market marketing kim red blue pink \
     black chat domains directory codes computer engineering express land limited ltd llc \
     inc gmbh one plus zone city cash cam best beauty lol wtf exposed events video help how \
     new open data map call box cab bio tips school study show test invalid localhost home \
     internal";

const SLOTS: usize = 1_024;
static TABLE: Table<SLOTS> = Table::new().with(FULL, 2).with(WEAK, 1);

/// How much the last label `bytes[start..end]` of a dotted name says.
pub(super) fn top_level(bytes: &[u8], start: usize, end: usize) -> Trust {
    let label = &bytes[start..end];
    match TABLE.get(bytes, start, end) {
        Some(2) => Trust::Full,
        Some(_) => Trust::Weak,
        None if label.len() > 5 && label[..4].eq_ignore_ascii_case(b"xn--") => Trust::Full,
        None => Trust::None,
    }
}

/// First labels of packages and modules, which are domains written backwards.
const PACKAGES: [&[u8]; 16] = [
    b"org", b"com", b"net", b"io", b"edu", b"gov", b"java", b"javax", b"jdk", b"sun", b"android",
    b"kotlin", b"scala", b"rc", b"jakarta", b"this",
];

/// Whether `bytes[start..end]` is a domain. `sure` means that something around it says so, in
/// which case letters of any case and every top-level domain will do.
///
/// Without that: letters of one case only but for the first label, no label of a package first, a top-level domain that
/// is not also a suffix or a word, or if so then three labels of which one has a digit or hyphen.
pub(super) fn is_domain(bytes: &[u8], start: usize, end: usize, sure: bool) -> bool {
    let name = &bytes[start..end];
    let Some(dot) = name.iter().rposition(|byte| *byte == b'.') else { return false };
    let trust = top_level(bytes, start + dot + 1, end);
    if trust == Trust::None || !is_host(name) || underscore_near_top(name, dot) {
        return false;
    }
    let first = name.split(|byte| *byte == b'.').next().expect("a slice has a first part");
    if sure || first.eq_ignore_ascii_case(b"www") {
        return true;
    }
    let labels = 1 + name.iter().filter(|byte| **byte == b'.').count();
    // A machine's own name is often in capitals where its domain is not.
    let capital = labels > 2 && !first.iter().any(u8::is_ascii_lowercase);
    let cased = if capital { &name[first.len()..] } else { name };
    let upper = cased.iter().any(u8::is_ascii_uppercase);
    let lower = cased.iter().any(u8::is_ascii_lowercase);
    if (upper && (lower || name.len() - dot <= 3)) || PACKAGES.contains(&first) {
        return false;
    }
    let named = name[..dot].iter().any(u8::is_ascii_alphabetic);
    let odd = name[..dot].iter().any(|byte| byte.is_ascii_digit() || *byte == b'-');
    named && (trust == Trust::Full || (labels > 2 && odd))
}

/// An underscore belongs to service labels (`_tcp`), which stand left of a registered name.
fn underscore_near_top(name: &[u8], dot: usize) -> bool {
    let second = memchr::memrchr(b'.', &name[..dot]).map_or(0, |dot| dot + 1);
    name[second..].contains(&b'_')
}

/// Whether a name has the shape of a host's: labels of at most 63 letters, digits, hyphens and
/// underscores, not all of them numbers, at most 253 bytes.
pub(super) fn is_host(name: &[u8]) -> bool {
    if name.is_empty() || name.len() > 253 {
        return false;
    }
    let mut letters = false;
    for label in name.split(|byte| *byte == b'.') {
        let edges = label.first().zip(label.last());
        let Some((first, last)) = edges else { return false };
        if label.len() > 63 || *first == b'-' || *last == b'-' {
            return false;
        }
        for byte in label {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' => letters = true,
                b'0'..=b'9' | b'-' | b'_' => {}
                _ => return false,
            }
        }
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(name: &str, sure: bool) -> bool {
        is_domain(name.as_bytes(), 0, name.len(), sure)
    }

    #[test]
    fn a_known_last_label_makes_a_domain() {
        for name in [
            "example.com",
            "proxy.cse.cuhk.edu.hk",
            "xn--bcher-kva.example",
            "a.xn--p1ai",
            "_ldap._tcp.dc._msdcs.corp.local",
            "WWW.EXAMPLE.COM",
            "163.com.cn",
            "t12.baidu.com",
            "4.3.2.1.in-addr.arpa",
            "MSRA-SA-39.fareast.example.com",
        ] {
            assert!(domain(name, false), "{name}");
        }
    }

    #[test]
    fn classes_files_and_properties_are_no_domains() {
        for name in [
            "org.apache.hadoop.net",
            "java.io",
            "dfs.FSDataset",
            "System.Net",
            "README.md",
            "lib.so",
            "setup.py",
            "logger.info",
            "user.id",
            "nginx.service",
            "kernel.core_uses_pid",
            "a.b_c.com",
            "1.36.kb",
            "5.5.ms",
            "com",
            ".com",
            "a..com",
            "-a.com",
            "rc.local",
        ] {
            assert!(!domain(name, false), "{name}");
        }
    }

    #[test]
    fn a_weak_one_is_a_domain_where_something_says_so() {
        assert!(!domain("evil.info", false) && domain("evil.info", true));
        assert!(domain("www.evil.info", false));
        assert!(domain("ip-10-0-0-1.ec2.internal", false));
        assert!(!domain("evil.exe", true));
    }
}
