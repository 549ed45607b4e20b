//! Names for peers, as many as are allowed.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Mutex;

use operators::types::Source;

/// The name that all peers share for which there was no name left.
const OTHER: &str = "other";

/// Which peers are sources of their own.
#[derive(Debug)]
pub(super) struct Sources {
    receiver: &'static str,
    max: usize,
    known: Mutex<BTreeSet<IpAddr>>,
}

impl Sources {
    pub(super) fn new(receiver: &'static str, max: usize) -> Self {
        Sources { receiver, max, known: Mutex::default() }
    }

    /// The source that a peer is: first come, first named.
    ///
    /// An IPv4 address is the same one whether or not it came by an IPv6 socket.
    pub(super) fn of(&self, peer: IpAddr) -> Source {
        let name = match self.named(peer) {
            Some(peer) => peer.to_string(),
            None => OTHER.to_owned(),
        };
        Source { receiver: self.receiver.to_owned(), name }
    }

    /// The address under which a peer is known; `None` if it shares its name.
    pub(super) fn named(&self, peer: IpAddr) -> Option<IpAddr> {
        let peer = peer.to_canonical();
        let mut known = self.known.lock().expect("a set of addresses does not panic");
        if known.contains(&peer) {
            return Some(peer);
        }
        let room = known.len() < self.max;
        if room {
            known.insert(peer);
        }
        room.then_some(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_beyond_the_limit_share_one_name() {
        let sources = Sources::new("syslog", 2);
        let name = |peer: &str| sources.of(peer.parse().unwrap()).name;
        assert_eq!(name("203.0.113.1"), "203.0.113.1");
        assert_eq!(name("2001:db8::1"), "2001:db8::1");
        assert_eq!(name("203.0.113.2"), "other");
        assert_eq!(name("203.0.113.3"), "other");
        assert_eq!(name("::ffff:203.0.113.1"), "203.0.113.1");
    }
}
