//! Canonical names, and the identities made of them.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;

use super::shapes;
use crate::types::hash;
use crate::types::{EntityId, Kind};

/// The namespaces of the version 5 UUIDs, by kind. Part of every stored identity: fixed for ever.
const fn namespace(kind: Kind) -> Uuid {
    let number: u128 = match kind {
        Kind::User => 1,
        Kind::Ip => 2,
        Kind::Host => 3,
        Kind::Process => 4,
        Kind::File => 5,
        Kind::Domain => 6,
    };
    Uuid::from_u128(0xa1b2_c3d4_0000_0000_0000_0000_0000_0000 | number << 80 | number)
}

/// The identity of the entity of that kind with that canonical name.
#[must_use]
pub fn entity_id(kind: Kind, canonical: &str) -> EntityId {
    EntityId(Uuid::new_v5(&namespace(kind), canonical.as_bytes()).as_u128())
}

/// Writes the canonical form of a name to `out`, replacing what was there; false if it names
/// nobody: it is empty, holds a NUL, or is no address where one is wanted.
///
/// - ip: IPv4 in decimal; IPv6 as eight groups of four lower-case hex digits; a zone is dropped;
///   an IPv4-mapped IPv6 address is the IPv4 address. Octets with leading zeros are refused.
/// - user: `DOM\name` and `name@dom` are `dom:name`, else `name`; lower case, NFC. The domain `.`
///   means "this machine" and is none.
/// - host, domain: lower case, no dots at the end, NFC.
/// - file: NFC; a Windows path in lower case.
/// - process: `name:pid`, `name` or `pid` as given; the name in lower case if it ends in `.exe`.
///
/// White space around a name is no part of it.
pub fn canonical(kind: Kind, value: &str, out: &mut String) -> bool {
    out.clear();
    let value = value.trim();
    if value.is_empty() || value.as_bytes().contains(&0) {
        return false;
    }
    match kind {
        Kind::Ip => return canonical_ip(value, out),
        Kind::User => canonical_user(value, out),
        Kind::Host | Kind::Domain => {
            lower(value, out);
            out.truncate(out.trim_end_matches('.').len());
            compose(out);
        }
        Kind::File => {
            match shapes::has_drive(value.as_bytes()) || value.starts_with('\\') {
                true => lower(value, out),
                false => out.push_str(value),
            }
            compose(out);
        }
        Kind::Process => {
            let program = value.rsplit_once(':').map_or(value, |(program, _)| program);
            match program.len() > 4 && program.to_ascii_lowercase().ends_with(".exe") {
                true => lower(value, out),
                false => out.push_str(value),
            }
        }
    }
    !out.is_empty()
}

fn canonical_ip(value: &str, out: &mut String) -> bool {
    let bare = value.split_once('%').map_or(value, |(address, _)| address);
    let Ok(address) = IpAddr::from_str(bare) else { return false };
    let v6 = match address {
        IpAddr::V4(_) if bare.len() < value.len() => return false,
        IpAddr::V4(v4) => {
            push_v4(v4.octets(), out);
            return true;
        }
        IpAddr::V6(v6) => v6,
    };
    match v6.to_ipv4_mapped() {
        Some(v4) => push_v4(v4.octets(), out),
        None => push_v6(v6, out),
    }
    true
}

fn push_v4(octets: [u8; 4], out: &mut String) {
    for (index, octet) in octets.into_iter().enumerate() {
        if index > 0 {
            out.push('.');
        }
        let digit = |number: u8| char::from(b'0' + number % 10);
        if octet >= 100 {
            out.push(digit(octet / 100));
        }
        if octet >= 10 {
            out.push(digit(octet / 10));
        }
        out.push(digit(octet));
    }
}

fn push_v6(address: Ipv6Addr, out: &mut String) {
    for (index, group) in address.segments().into_iter().enumerate() {
        if index > 0 {
            out.push(':');
        }
        for shift in [12, 8, 4, 0] {
            out.push(char::from(b"0123456789abcdef"[usize::from(group >> shift & 15)]));
        }
    }
}

fn canonical_user(value: &str, out: &mut String) {
    let (domain, user) = match value.split_once('\\') {
        Some((domain, user)) => (domain, user.trim_start_matches('\\')),
        None => match value.rsplit_once('@') {
            Some((user, domain)) => (domain, user),
            None => ("", value),
        },
    };
    let user = user.trim();
    if user.is_empty() {
        return;
    }
    let domain = domain.trim();
    if !domain.is_empty() && domain != "." {
        lower(domain, out);
        out.push(':');
    }
    lower(user, out);
    compose(out);
}

fn lower(value: &str, out: &mut String) {
    if value.is_ascii() {
        let start = out.len();
        out.push_str(value);
        out[start..].make_ascii_lowercase();
    } else {
        out.push_str(&value.to_lowercase());
    }
}

/// To Unicode normalisation form C.
fn compose(out: &mut String) {
    if !out.is_ascii() {
        *out = out.nfc().collect();
    }
}

/// How many bytes of a name an [`Ids`] slot holds; longer names are hashed each time.
const KEY_BYTES: usize = 106;

/// Identities of names as they are written, remembered because a SHA-1 costs more than a look.
///
/// Each name has one slot, and takes it from whoever had it. What is remembered is a pure function
/// of the name, so that forgetting never changes an answer.
#[derive(Debug)]
pub(super) struct Ids {
    slots: Vec<Slot>,
    canonical: String,
}

/// A name and its identity, on two cache lines.
#[derive(Clone, Debug)]
struct Slot {
    id: u128,
    hash: u32,
    len: u8,
    /// A [`Kind`] plus one, with the top bit set if the name names nobody; 0 if the slot is free.
    kind: u8,
    bytes: [u8; KEY_BYTES],
}

impl Ids {
    /// Room for `slots` names, rounded up to a power of two; 0 remembers nothing.
    pub(super) fn new(slots: usize) -> Self {
        let free = Slot { id: 0, hash: 0, len: 0, kind: 0, bytes: [0; KEY_BYTES] };
        let slots = if slots == 0 { 0 } else { slots.next_power_of_two() };
        Ids { slots: vec![free; slots], canonical: String::new() }
    }

    /// The identity of what `value` names, if it names something.
    pub(super) fn get(&mut self, kind: Kind, value: &str) -> Option<EntityId> {
        if self.slots.is_empty() || value.len() > KEY_BYTES {
            return self.compute(kind, value);
        }
        let tag = kind as u8 + 1;
        let hash = quick(value.as_bytes(), tag);
        let index = hash as usize & (self.slots.len() - 1);
        let slot = &self.slots[index];
        if slot.hash == (hash >> 32) as u32
            && usize::from(slot.len) == value.len()
            && slot.kind & 0x7f == tag
            && slot.bytes[..value.len()] == *value.as_bytes()
        {
            return (slot.kind == tag).then_some(EntityId(slot.id));
        }
        let id = self.compute(kind, value);
        let slot = &mut self.slots[index];
        slot.id = id.unwrap_or_default().0;
        slot.hash = (hash >> 32) as u32;
        slot.len = value.len() as u8;
        slot.kind = if id.is_some() { tag } else { tag | 0x80 };
        slot.bytes[..value.len()].copy_from_slice(value.as_bytes());
        id
    }

    fn compute(&mut self, kind: Kind, value: &str) -> Option<EntityId> {
        canonical(kind, value, &mut self.canonical).then(|| entity_id(kind, &self.canonical))
    }
}

/// A hash that only finds a slot.
fn quick(bytes: &[u8], seed: u8) -> u64 {
    let mut state = u64::from(seed) ^ (bytes.len() as u64) << 8;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let word = u64::from_le_bytes(chunk.try_into().expect("eight bytes"));
        state = (state ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
    let rest = chunks.remainder().iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    hash::mix(state ^ rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(kind: Kind, name: &str) -> Option<String> {
        let mut out = String::new();
        canonical(kind, name, &mut out).then(|| entity_id(kind, &out).to_string())
    }

    #[test]
    fn identities_are_those_that_are_known() {
        for (kind, name, uuid) in [
            (Kind::Ip, "10.0.0.5", "42cd25f8-a79c-5635-99f5-f70f6398d6d1"),
            (Kind::Ip, "::1", "1f20d1de-5958-5c3f-baa8-8c9c891a9d53"),
            (Kind::User, "admin", "0a50d720-7ad9-5c6e-b04a-3e801eb20d24"),
            (Kind::User, "Admin", "0a50d720-7ad9-5c6e-b04a-3e801eb20d24"),
            (Kind::User, "CORP\\Alice", "ed35bbb7-013d-5850-8875-130f03660b49"),
            (Kind::User, "alice@corp", "ed35bbb7-013d-5850-8875-130f03660b49"),
            (Kind::Host, "WEB-01.", "82feccae-4dec-52cb-98dc-5192a014d769"),
            (Kind::Host, "web-01", "82feccae-4dec-52cb-98dc-5192a014d769"),
            (Kind::Domain, "Evil.Example.COM.", "a72ba54c-a585-5b71-943c-4e992167903e"),
            (Kind::File, "/etc/passwd", "577af02a-e36c-5a68-9563-8e3b94656be3"),
            (Kind::Process, "sshd:1234", "56451fd5-d63f-552b-aa31-cd4c8786b99e"),
            (Kind::Process, "sshd", "d8f19987-fd93-5f21-8120-80b04294a279"),
            (Kind::Process, "1234", "4779e50f-407f-5fee-a55b-30652d7b7800"),
            (Kind::Ip, "2001:DB8::1", "7ce6b030-c79a-548a-b767-ba44673316ef"),
            (Kind::User, "alice@corp.example.com", "c900965e-bd5b-5d8e-a0cf-4f722ef93adb"),
        ] {
            assert_eq!(id(kind, name).as_deref(), Some(uuid), "{name}");
        }
    }

    #[test]
    fn names_of_nobody_are_refused() {
        for (kind, name) in [
            (Kind::Ip, "010.0.0.5"),
            (Kind::Ip, "10.0.0.256"),
            (Kind::Ip, "10.0.0.1%eth0"),
            (Kind::Ip, "web"),
            (Kind::User, " "),
            (Kind::User, "CORP\\"),
            (Kind::User, "@corp"),
            (Kind::Host, "..."),
            (Kind::File, "/a\0b"),
            (Kind::Process, ""),
        ] {
            assert_eq!(id(kind, name), None, "{kind:?} {name}");
        }
    }

    #[test]
    fn two_ways_to_write_a_name_are_one_identity() {
        for (kind, one, other) in [
            (Kind::Ip, "::ffff:10.9.8.7", "10.9.8.7"),
            (Kind::Ip, "fe80::1%eth0", "FE80:0::1"),
            (Kind::User, "jose\u{301}", "JOS\u{c9}"),
            (Kind::User, ".\\Alice", "alice"),
            (Kind::User, "CORP\\\\alice", "Alice@Corp"),
            (Kind::File, "/tmp/e\u{301}", " /tmp/\u{e9}"),
            (Kind::File, "C:\\WINDOWS\\system32\\Cmd.exe", "c:\\Windows\\System32\\cmd.exe"),
            (Kind::Process, "PowerShell.EXE:12", "powershell.exe:12"),
            (Kind::Process, "Cmd.exe", "cmd.exe"),
            (Kind::Domain, "B\u{dc}CHER.example.", "b\u{fc}cher.example"),
        ] {
            assert_eq!(id(kind, one), id(kind, other), "{one} {other}");
        }
        assert_ne!(id(Kind::File, "/A"), id(Kind::File, "/a"));
        assert_ne!(id(Kind::Process, "X:1"), id(Kind::Process, "x:1"));
        assert_ne!(id(Kind::Ip, "64:ff9b::10.9.8.7"), id(Kind::Ip, "10.9.8.7"));
    }

    #[test]
    fn forgetting_changes_no_identity() {
        let mut sizes = [Ids::new(0), Ids::new(1), Ids::new(8), Ids::new(4_096)];
        let long = "/x".repeat(200);
        for round in 0..2_000u32 {
            let names = [
                (Kind::Ip, format!("10.0.{}.{}", round % 7, round % 300)),
                (Kind::User, format!("User{}", round % 11)),
                (Kind::Process, format!("user{}", round % 11)),
                (Kind::Host, " ".repeat((round % 3) as usize)),
                (Kind::File, format!("{long}{}", round % 5)),
                (Kind::File, long[..100 + (round % 12) as usize].to_string()),
            ];
            for (kind, name) in names {
                let expected = id(kind, &name);
                for ids in &mut sizes {
                    let got = ids.get(kind, &name).map(|id| id.to_string());
                    assert_eq!(got, expected, "{kind:?} {name}");
                }
            }
        }
    }
}
