//! What is remembered of entities: the hot ones in memory, the others in the store.

use serde::{Deserialize, Serialize};

use super::shelf::Shelf;
use super::touch::{Part, Touch, route};
use super::window::Window;
use crate::score::markov::{self, Symbol};
use crate::score::rarity::Context;
use crate::state::{Changes, ENTITIES, StateKey, Store, state_key};
use crate::types::hash::{KEY_GROUPS, key_group};
use crate::types::{EntityId, EventTime, Kind};

/// What is remembered of one entity.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// Its canonical name.
    pub name: Box<str>,
    /// Its kind; `None` is a source.
    pub kind: Option<Kind>,
    /// The earliest event that mentions it.
    pub first: EventTime,
    /// The latest one.
    pub last: EventTime,
    /// How many events mention it.
    pub count: u64,
    past: Past,
    touched: u64,
    dirty: bool,
}

/// What an entity was seen with. Most are seen once, and take no more than these few bytes.
#[derive(Clone, Debug)]
enum Past {
    /// The one touch, from which the detail is made when there is a second.
    Once {
        seq: u64,
        template: u64,
        peer: u64,
        part: Part,
    },
    Often(Box<Detail>),
}

/// The one touch of an entity that was seen once.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Alone {
    time: EventTime,
    seq: u64,
    template: u64,
    peer: u64,
    part: Part,
}

/// What is remembered of an entity that was seen twice.
#[derive(Clone, Debug, Default)]
pub struct Detail {
    /// Its recent events.
    pub window: Window,
    /// Its usual templates.
    pub templates: Context,
    /// The entities that it is usually seen with.
    pub peers: Context,
    /// Its place in its sequence.
    pub sequence: markov::Entity,
}

/// An entity on disk.
#[derive(Serialize, Deserialize)]
struct Saved {
    name: Box<str>,
    kind: Option<Kind>,
    first: EventTime,
    last: EventTime,
    count: u64,
    /// Nothing where there is a detail.
    alone: Alone,
    detail: Option<SavedDetail>,
}

#[derive(Serialize, Deserialize)]
struct SavedDetail {
    window: Window,
    templates: Vec<u8>,
    peers: Vec<u8>,
    sequence: Vec<u8>,
}

/// An entity as people ask for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its canonical name.
    pub name: String,
    /// Its kind; `None` is a source.
    pub kind: Option<Kind>,
    /// The earliest event that mentions it.
    pub first: EventTime,
    /// The latest one.
    pub last: EventTime,
    /// How many events mention it.
    pub count: u64,
}

/// Reads the value of an entity's state key; `None` if it is none.
#[must_use]
pub fn profile(value: &[u8]) -> Option<Profile> {
    let (saved, _): (Saved, _) = postcard::take_from_bytes(value).ok()?;
    let Saved { name, kind, first, last, count, .. } = saved;
    Some(Profile { name: name.into(), kind, first, last, count })
}

/// The state key of an entity.
#[must_use]
pub fn entity_key(entity: EntityId) -> StateKey {
    state_key(ENTITIES, key_group(route(entity)), &entity.0.to_be_bytes())
}

impl Remembered {
    fn new(name: Box<str>, touch: &Touch) -> Self {
        Remembered {
            name,
            kind: touch.kind,
            first: touch.time,
            last: touch.time,
            count: 0,
            past: Past::Once {
                seq: touch.seq,
                template: touch.template,
                peer: touch.peer,
                part: touch.part,
            },
            touched: 0,
            dirty: true,
        }
    }

    /// The detail, made from the first touch if there is none. To be asked for before the second
    /// touch is noted, whose time may be the earlier one.
    fn grow(&mut self, options: &super::Options) {
        if let Past::Once { seq, template, peer, part } = self.past {
            let alone = Alone { time: self.last, seq, template, peer, part };
            let mut detail = Box::<Detail>::default();
            // What it adds to the model was added when it came.
            detail.learn(options, &alone, &mut markov::Summary::default());
            self.past = Past::Often(detail);
        }
    }

    /// Takes note of a touch in an epoch, before it is judged. The detail, with the latest event
    /// before this one, unless it is the first.
    pub fn meet(
        &mut self,
        options: &super::Options,
        epoch: u64,
        touch: &Touch,
    ) -> Option<(&mut Detail, EventTime)> {
        self.touched = epoch;
        self.dirty = true;
        if self.count > 0 {
            self.grow(options);
        }
        let last = self.last;
        self.count += 1;
        self.first = self.first.min(touch.time);
        self.last = self.last.max(touch.time);
        match &mut self.past {
            Past::Often(detail) => Some((detail, last)),
            Past::Once { .. } => None,
        }
    }

    /// The detail to learn in, if it was seen twice.
    pub fn detail(&mut self) -> Option<&mut Detail> {
        match &mut self.past {
            Past::Often(detail) => Some(detail),
            Past::Once { .. } => None,
        }
    }

    /// The detail, if it was seen twice.
    #[must_use]
    pub fn seen_twice(&self) -> Option<&Detail> {
        match &self.past {
            Past::Often(detail) => Some(detail),
            Past::Once { .. } => None,
        }
    }

    fn bytes(&self) -> usize {
        let detail = self.seen_twice().map_or(0, |detail| {
            size_of::<Detail>()
                + 16
                + detail.window.heap_bytes()
                + detail.templates.heap_bytes()
                + detail.peers.heap_bytes()
        });
        // The entry itself with its number, and its name with the allocator's share.
        size_of::<(EntityId, Self)>() + 10 + self.name.len() + 16 + detail
    }

    fn encode(&self) -> Vec<u8> {
        let detail = self.seen_twice().map(|detail| {
            let mut bytes = [Vec::new(), Vec::new(), Vec::new()];
            detail.templates.encode(&mut bytes[0]);
            detail.peers.encode(&mut bytes[1]);
            detail.sequence.encode(&mut bytes[2]);
            let [templates, peers, sequence] = bytes;
            SavedDetail { window: detail.window.clone(), templates, peers, sequence }
        });
        let Remembered { name, kind, first, last, count, past, touched, .. } = self;
        let alone = match past {
            Past::Once { seq, template, peer, part } => {
                let (time, seq, template) = (*last, *seq, *template);
                Alone { time, seq, template, peer: *peer, part: *part }
            }
            Past::Often(_) => Alone::default(),
        };
        let saved = Saved {
            name: name.clone(),
            kind: *kind,
            first: *first,
            last: *last,
            count: *count,
            alone,
            detail,
        };
        postcard::to_stdvec(&(saved, touched)).expect("plain data")
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (saved, rest): (Saved, _) = postcard::take_from_bytes(bytes).ok()?;
        let Saved { name, kind, first, last, count, alone, detail } = saved;
        let past = match detail {
            None => {
                let Alone { seq, template, peer, part, .. } = alone;
                Past::Once { seq, template, peer, part }
            }
            Some(detail) => Past::Often(Box::new(Detail {
                window: detail.window,
                templates: Context::decode(&detail.templates).ok()?,
                peers: Context::decode(&detail.peers).ok()?,
                sequence: markov::Entity::decode(&detail.sequence).ok()?,
            })),
        };
        // Of a state that was written before it was kept, it is long ago.
        let (touched, dirty) = (postcard::from_bytes(rest).unwrap_or(0), false);
        Some(Remembered { name, kind, first, last, count, past, touched, dirty })
    }
}

impl Detail {
    fn learn(&mut self, options: &super::Options, alone: &Alone, summary: &mut markov::Summary) {
        let Alone { time, seq, template, peer, part } = *alone;
        if !part.has(Part::LATE) {
            self.window.push(&options.window, time, seq);
        }
        if part.has(Part::TEMPLATES) && template != 0 {
            self.templates.learn(&options.context, template);
        }
        if peer != 0 {
            self.peers.learn(&options.context, peer);
        }
        if part.has(Part::SEQUENCE) && template != 0 {
            self.sequence.step(&options.sequence, Symbol::of(template), summary);
        }
    }

    /// Takes a touch in, after it has been judged.
    pub fn take(&mut self, options: &super::Options, touch: &Touch, summary: &mut markov::Summary) {
        let Touch { time, seq, template, peer, part, .. } = *touch;
        self.learn(options, &Alone { time, seq, template, peer, part }, summary);
    }
}

/// How many entities of the six kinds were seen since the start; sources are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Each counted once.
    pub distinct: u64,
    /// Those of them that were never seen before.
    pub new: u64,
}

impl std::ops::Sub for Seen {
    type Output = Seen;

    fn sub(self, before: Seen) -> Seen {
        Seen { distinct: self.distinct - before.distinct, new: self.new - before.new }
    }
}

impl std::ops::AddAssign for Seen {
    fn add_assign(&mut self, more: Seen) {
        self.distinct += more.distinct;
        self.new += more.new;
    }
}

/// The entities that a worker owns.
#[derive(Default)]
pub struct Memory {
    /// One for each key group.
    shards: Vec<Shelf<Remembered>>,
    /// Bytes taken, about.
    bytes: usize,
    /// How many no checkpoint has as they are.
    unsaved: usize,
    bytes_max: usize,
    /// How many entities were seen.
    pub seen: Seen,
    /// The first epoch since the start.
    since: Option<u64>,
    /// How many were put out of memory.
    pub evicted: u64,
}

impl Memory {
    /// A memory that holds about so many bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        let shards = (0..KEY_GROUPS).map(|_| Shelf::default()).collect();
        Memory { shards, bytes_max, ..Memory::default() }
    }

    /// An epoch begins. What was mentioned last in an epoch before the first of these is seen
    /// again when it is mentioned.
    pub fn begin(&mut self, epoch: u64) {
        self.since.get_or_insert(epoch);
    }

    /// Runs `see` on what is remembered of the entity of a touch. `name` is what it is called,
    /// in case it is new.
    pub fn with<T>(
        &mut self,
        first: &Touch,
        name: impl FnOnce() -> Box<str>,
        store: &dyn Store,
        see: impl FnOnce(&mut Remembered) -> T,
    ) -> T {
        let shard = &mut self.shards[usize::from(key_group(route(first.entity)))];
        let (mut before, mut was_dirty, mut is_new) = (0, false, false);
        let remembered = match shard.get_mut(first.entity) {
            Some(remembered) => {
                (before, was_dirty) = (remembered.bytes(), remembered.dirty);
                remembered
            }
            None => {
                let saved = store.get(&entity_key(first.entity));
                let saved = saved.and_then(|bytes| Remembered::decode(&bytes));
                let remembered = saved.unwrap_or_else(|| {
                    is_new = true;
                    Remembered::new(name(), first)
                });
                shard.insert(first.entity, remembered)
            }
        };
        if remembered.kind.is_some() {
            let again = self.since.is_some_and(|since| remembered.touched < since);
            self.seen += Seen { distinct: (is_new || again).into(), new: is_new.into() };
        }
        let answer = see(remembered);
        self.unsaved += usize::from(remembered.dirty && !was_dirty);
        self.bytes = self.bytes + remembered.bytes() - before;
        answer
    }

    /// Puts the entities out of memory that were not mentioned for longest, if there are too
    /// many: until an eighth of the memory is free.
    pub fn evict(&mut self, store: &dyn Store) {
        if self.bytes <= self.bytes_max {
            return;
        }
        let all = self.shards.iter().flat_map(Shelf::values);
        let mut ages: Vec<(u64, usize)> =
            all.map(|entity| (entity.touched, entity.bytes())).collect();
        ages.sort_unstable();
        let mut surplus = self.bytes - self.bytes_max / 8 * 7;
        let mut until = 0;
        for (touched, bytes) in ages {
            until = touched;
            if surplus <= bytes {
                break;
            }
            surplus -= bytes;
        }
        // What was handed over for a checkpoint is not in the store before that is written.
        let writing = store.is_writing();
        let Memory { bytes, unsaved, evicted, .. } = self;
        for shard in &mut self.shards {
            let mut aside = Vec::new();
            shard.retain(|id, entity| {
                if entity.touched > until {
                    return true;
                }
                if entity.dirty || writing {
                    aside.push((entity_key(id), entity.encode()));
                }
                *bytes -= entity.bytes();
                *unsaved -= usize::from(entity.dirty);
                *evicted += 1;
                false
            });
            store.spill(aside);
        }
    }

    /// Hands over what changed since the last time.
    pub fn snapshot(&mut self, changes: &mut Changes) {
        let all = self.shards.iter_mut().flat_map(Shelf::iter_mut);
        for (id, entity) in all.filter(|(_, entity)| entity.dirty) {
            changes.put(&entity_key(id), &entity.encode());
            entity.dirty = false;
        }
        self.unsaved = 0;
    }

    /// How many of them changed since they were last handed over.
    #[must_use]
    pub fn unsaved(&self) -> usize {
        self.unsaved
    }

    /// How many entities are in memory.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(Shelf::len).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shards.iter().all(Shelf::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::MemoryStore;
    use crate::types::NO_OPINION;

    /// A store whose checkpoint is being written: what was handed over is not in it yet.
    #[derive(Default)]
    struct Writing(MemoryStore);

    impl Store for Writing {
        fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
            self.0.get(key)
        }

        fn scan(&self, prefix: &[u8]) -> Vec<(StateKey, Vec<u8>)> {
            self.0.scan(prefix)
        }

        fn spill(&self, values: Vec<(StateKey, Vec<u8>)>) {
            self.0.spill(values);
        }

        fn turn(&self) {}

        fn unsaved(&self, _: usize) {}

        fn is_writing(&self) -> bool {
            true
        }
    }

    fn touch(name: u128, kind: Option<Kind>) -> Touch {
        Touch {
            entity: EntityId(name),
            seq: 1,
            time: EventTime(5),
            template: 0,
            peer: 0,
            surprise: [NO_OPINION; 2],
            landed: 0,
            kind,
            part: Part::default(),
        }
    }

    #[test]
    fn what_is_put_out_of_memory_while_its_checkpoint_is_written_is_not_lost() {
        let store = Writing::default();
        let mut memory = Memory::new(0);
        let touch = touch(7, Some(Kind::User));
        let name = || "ann".into();
        let meet = |entity: &mut Remembered| {
            entity.count += 1;
            entity.dirty = true;
            entity.count
        };
        memory.with(&touch, name, &store, meet);
        memory.snapshot(&mut Changes::on(0));
        memory.evict(&store);
        assert!(memory.is_empty());
        let count = memory.with(&touch, name, &store, meet);
        assert_eq!((count, memory.seen), (2, Seen { distinct: 1, new: 1 }));
    }

    #[test]
    fn entities_are_counted_once_since_a_start_and_sources_are_not_counted() {
        let store = MemoryStore::default();
        let epoch = |memory: &mut Memory, epoch: u64, store: &MemoryStore, names: &[u128]| {
            memory.begin(epoch);
            for name in names {
                for kind in [Some(Kind::Host), None] {
                    let touch = touch(name * 2 + u128::from(kind.is_none()), kind);
                    memory.with(
                        &touch,
                        || "x".into(),
                        store,
                        |entity| {
                            entity.touched = epoch;
                            entity.dirty = true;
                        },
                    );
                }
            }
        };
        let mut first = Memory::new(1 << 20);
        epoch(&mut first, 1, &store, &[1, 2]);
        epoch(&mut first, 2, &store, &[2, 3]);
        assert_eq!(first.seen, Seen { distinct: 3, new: 3 });
        let mut changes = Changes::on(0);
        first.snapshot(&mut changes);
        let store = MemoryStore::of(&changes);
        // Out of memory and back, in between, changes nothing.
        let mut second = Memory::new(0);
        for number in 3..6 {
            epoch(&mut second, number, &store, &[3, 4]);
            second.evict(&store);
        }
        assert_eq!(second.seen, Seen { distinct: 2, new: 1 });
    }
}
