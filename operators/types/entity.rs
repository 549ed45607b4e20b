//! Entities: what events are about, and how the same one is known to be the same.

use serde::{Deserialize, Serialize};

use super::event::Text;
use super::hash::mix;

/// The identity of an entity: a version 5 UUID of its canonical name in its kind's namespace.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct EntityId(pub u128);

impl EntityId {
    /// A hash of it, as other entities remember it; never 0.
    #[must_use]
    pub fn brief(self) -> u64 {
        mix(self.0 as u64 ^ (self.0 >> 64) as u64).max(1)
    }
}

impl std::fmt::Display for EntityId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        uuid::Uuid::from_u128(self.0).hyphenated().fmt(f)
    }
}

/// The six kinds of entities. The order is the one in which an event's primary entity is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An IPv4 or IPv6 address.
    Ip,
    /// An account, with or without its domain.
    User,
    /// A machine, by its name.
    Host,
    /// A name in the DNS.
    Domain,
    /// A file, by its path.
    File,
    /// A running program: `name:pid`, a name, or a bare process id.
    Process,
}

impl Kind {
    /// All kinds, in order.
    pub const ALL: [Kind; 6] =
        [Kind::Ip, Kind::User, Kind::Host, Kind::Domain, Kind::File, Kind::Process];

    /// Its name: `ip`, `user` …
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Ip => "ip",
            Kind::User => "user",
            Kind::Host => "host",
            Kind::Domain => "domain",
            Kind::File => "file",
            Kind::Process => "process",
        }
    }
}

/// Where in an event an entity was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// In the header: its host, its program.
    Header,
    /// In a field, by the field's name.
    Field,
    /// In the text of the message, at a place that varies: a parameter of its template.
    Parameter,
    /// In the text of the message, at a place that does not vary.
    Text,
}

/// What part an entity plays in an event, where that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Not known.
    None,
    /// Where it came from.
    Source,
    /// What it was done to.
    Target,
    /// Who did it.
    Actor,
}

/// An entity as one event mentions it.
#[derive(Clone, Copy, Debug)]
pub struct EntityRef {
    /// Which one.
    pub id: EntityId,
    /// Of which kind.
    pub kind: Kind,
    /// Where it was seen.
    pub place: Place,
    /// Its part in the event.
    pub role: Role,
    /// Its name as the event writes it, without quotes, ports and zones.
    pub value: Text,
}
