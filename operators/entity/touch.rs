//! What an event says about an entity, on its way to the entity's owner.

use serde::{Deserialize, Serialize};

use crate::types::hash::{Set, mix, stable};
use crate::types::{Batch, EntityId, Event, EventTime, Flags, Kind, NO_OPINION, Role, Source};

/// One event's mention of one entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touch {
    /// The entity.
    pub entity: EntityId,
    /// The event.
    pub seq: u64,
    /// When it happened.
    pub time: EventTime,
    /// Its template.
    pub template: u64,
    /// [`EntityId::brief`] of the entity that it was seen with, where that says something; 0 is
    /// none.
    pub peer: u64,
    /// How surprising the event is by itself, on the touch that stands for it; else
    /// [`NO_OPINION`].
    pub surprise: [u32; 2],
    /// The worker that the event landed on.
    pub landed: u32,
    /// The entity's kind; `None` is the source of the event itself.
    pub kind: Option<Kind>,
    /// What the touch is for.
    pub part: Part,
}

/// What a touch is for. A set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Part(pub u8);

impl Part {
    /// The event is late.
    pub const LATE: Part = Part(1);
    /// What is odd about the event by itself is told of this entity.
    pub const STANDS: Part = Part(2);
    /// The event is the next of this entity's sequence.
    pub const SEQUENCE: Part = Part(4);
    /// The entity has usual templates.
    pub const TEMPLATES: Part = Part(8);

    /// Whether all bits of `part` are set.
    #[must_use]
    pub fn has(self, part: Part) -> bool {
        self.0 & part.0 == part.0
    }

    fn set(&mut self, part: Part) {
        self.0 |= part.0;
    }
}

/// What goes to the owner of an entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mention {
    /// An event mentions it.
    Touch(Touch),
    /// It is called so. Said before its first touch from this worker, and maybe again.
    Name(EntityId, Option<Kind>, Box<str>),
}

/// How many entities a worker remembers to have named to their owners. Beyond it all are
/// forgotten and named again when they come again, which costs a little and changes nothing.
const NAMED_MAX: usize = 1 << 18;

/// Makes mentions of the entities of events.
#[derive(Default)]
pub struct Mentions {
    named: Set<EntityId>,
    name: String,
}

/// The entity that stands for a source, for events that name nobody.
#[must_use]
pub fn source_id(source: &Source) -> EntityId {
    let name = source.to_string();
    let high = u128::from(stable(name.as_bytes()));
    EntityId(high << 64 | u128::from(mix(high as u64 ^ 0x5eed)))
}

/// The hash that routes an entity to its owner.
#[must_use]
pub fn route(entity: EntityId) -> u64 {
    entity.0 as u64 ^ (entity.0 >> 64) as u64
}

impl Mentions {
    /// Says what an event that landed on worker `landed` has to say, each with the hash that
    /// routes it. `canonical` writes the canonical name of an entity into its argument.
    pub fn of(
        &mut self,
        batch: &Batch,
        event: &Event,
        landed: u32,
        canonical: impl Fn(Kind, &str, &mut String) -> bool,
        mut say: impl FnMut(u64, Mention),
    ) {
        let entities = batch.entities(event);
        let first = |kind: Kind| entities.iter().position(|entity| entity.kind == kind);
        let host = first(Kind::Host);
        let user = first(Kind::User);
        let process = first(Kind::Process);
        let from = entities
            .iter()
            .position(|entity| entity.kind == Kind::Ip && entity.role == Role::Source)
            .or_else(|| first(Kind::Ip));
        let stands = host.or(if entities.is_empty() { None } else { Some(0) });
        let sequence = process.or(user).or(host);

        let mut base = Touch {
            entity: EntityId(0),
            seq: event.seq,
            time: event.time,
            template: event.template,
            peer: 0,
            surprise: [NO_OPINION; 2],
            landed,
            kind: None,
            part: Part::default(),
        };
        if event.flags.has(Flags::LATE) {
            base.part.set(Part::LATE);
        }
        for (at, entity) in entities.iter().enumerate() {
            let mut touch = Touch { entity: entity.id, kind: Some(entity.kind), ..base };
            if Some(at) == stands {
                touch.surprise = event.surprise;
                touch.part.set(Part::STANDS);
            }
            if Some(at) == sequence {
                touch.part.set(Part::SEQUENCE);
            }
            match entity.kind {
                Kind::Host => {
                    touch.part.set(Part::TEMPLATES);
                    touch.peer = user.map_or(0, |user| entities[user].id.brief());
                }
                Kind::User => {
                    touch.part.set(Part::TEMPLATES);
                    touch.peer = from.or(host).map_or(0, |from| entities[from].id.brief());
                }
                _ => {}
            }
            let hash = route(entity.id);
            if self.is_new(entity.id) {
                self.name.clear();
                if canonical(entity.kind, batch.text(entity.value), &mut self.name) {
                    say(
                        hash,
                        Mention::Name(entity.id, Some(entity.kind), self.name.as_str().into()),
                    );
                }
            }
            say(hash, Mention::Touch(touch));
        }
        if stands.is_none() || sequence.is_none() {
            let source = &batch.block.sources[event.source as usize];
            let id = source_id(source);
            let mut touch = Touch { entity: id, ..base };
            if stands.is_none() {
                touch.surprise = event.surprise;
                touch.part.set(Part::STANDS);
            }
            if sequence.is_none() {
                touch.part.set(Part::SEQUENCE);
            }
            let hash = route(id);
            if self.is_new(id) {
                say(hash, Mention::Name(id, None, source.to_string().into()));
            }
            say(hash, Mention::Touch(touch));
        }
    }

    fn is_new(&mut self, entity: EntityId) -> bool {
        if self.named.len() >= NAMED_MAX {
            self.named.clear();
        }
        self.named.insert(entity)
    }
}
