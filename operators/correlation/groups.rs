//! The groups that a worker owns, and the matches that wait for the watermark.
//!
//! A match waits until no earlier one can come, and so is taken in order of event time (and of
//! sequence where that is equal), however it arrived. A group is forgotten when the watermark has
//! passed its last match by the time span.
//!
//! Every limit acts by group or by key group, on what is there when all matches of an epoch have
//! arrived; so what goes does not depend on the number of workers.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::hit::{GroupId, Hit, Names, route};
use super::plan::Plan;
use super::window::{EVENTS_MAX, Fired, Item, Window};
use crate::state::{CORRELATIONS, Changes, StateKey, Store, state_key};
use crate::types::hash::{Map, Set, groups_of, key_group, mix, owner};
use crate::types::{EventTime, Span};

/// The most groups of a key group; beyond it those that end first go, an eighth at a time.
pub const GROUPS_MAX: usize = 512;
/// The most matches of a key group that lie in windows; beyond it the groups that end first go.
pub const ITEMS_MAX: usize = 2 * EVENTS_MAX;
/// The most matches of a key group that wait for the watermark, and of one group half of that;
/// beyond it the latest ones go, by event time, an eighth at a time. A match takes about 100
/// bytes; with a tolerance of 30 s, a group may have 2 000 of them a second.
pub const WAITING_MAX: usize = 131_072;

/// Matches wait by this much of event time.
const BUCKET: Span = Span::SECOND;

/// What a limit keeps when it bites, so that it does not bite again at once.
const fn eased(max: usize) -> usize {
    max / 8 * 7
}

/// What was not counted, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Matches of events behind the watermark.
    pub late: u64,
    /// Matches that went because too many waited.
    pub waiting: u64,
    /// Matches that went because a window was full.
    pub full: u64,
    /// Groups that went because there were too many, or too many matches in them.
    pub groups: u64,
}

impl Counts {
    /// How many there are of all kinds.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.late + self.waiting + self.full + self.groups
    }

    /// Whether all is counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Counts::default()
    }
}

/// A group.
#[derive(Debug)]
pub struct Group {
    /// The correlation's number in the plan.
    pub correlation: u32,
    /// The values of the group.
    pub names: Names,
    print: u64,
    window: Window,
    /// The latest match, also of those that wait.
    last: EventTime,
    waiting: usize,
    /// When it ends, as it is listed.
    end: EventTime,
    touched: bool,
    /// Whether the store has it, as it was once.
    saved: bool,
}

#[derive(Debug, Default)]
struct Shard {
    /// Apart from their places: a map has many more places than groups.
    groups: Map<GroupId, Box<Group>>,
    waiting: usize,
    items: usize,
}

/// A group on disk.
#[derive(Serialize, Deserialize)]
struct Saved {
    print: u64,
    names: Names,
    last: EventTime,
    items: Vec<Item>,
}

/// The groups of one level of correlations that a worker owns. See the [module](self).
#[derive(Debug)]
pub struct Groups {
    level: u8,
    first: u16,
    peers: usize,
    shards: Vec<Shard>,
    /// By when they end.
    ends: BTreeSet<(EventTime, GroupId)>,
    /// By the time of their events, in steps of [`BUCKET`].
    waiting: BTreeMap<EventTime, Vec<Hit>>,
    /// The groups of this epoch, whose end is not listed as it is.
    touched: Vec<GroupId>,
    /// The groups that changed since the last checkpoint.
    dirty: Set<GroupId>,
    /// Those in the store that were forgotten since.
    gone: Set<GroupId>,
    /// The key groups whose waiting matches are in the store.
    saved: BTreeSet<u16>,
    /// What was not counted since this was last taken.
    pub counts: Counts,
}

impl Groups {
    /// No groups yet, of the correlations of a level and the key groups of a worker.
    #[must_use]
    pub fn new(level: u8, worker: usize, peers: usize) -> Self {
        let owned = groups_of(worker, peers);
        Groups {
            level,
            first: owned.start,
            peers,
            shards: owned.map(|_| Shard::default()).collect(),
            ends: BTreeSet::new(),
            waiting: BTreeMap::new(),
            touched: Vec::new(),
            dirty: Set::default(),
            gone: Set::default(),
            saved: BTreeSet::new(),
            counts: Counts::default(),
        }
    }

    fn shard(&mut self, group: GroupId) -> &mut Shard {
        &mut self.shards[usize::from(key_group(route(group)) - self.first)]
    }

    /// Takes what was there at the last checkpoint, as far as its correlations are still there.
    pub fn load(&mut self, store: &dyn Store, plan: &Plan) {
        for group in self.first..self.first + self.shards.len() as u16 {
            for (key, value) in store.scan(&state_key(CORRELATIONS, group, &[self.level])) {
                match key.get(4..) {
                    Some([WAITING]) => {
                        self.saved.insert(group);
                        self.load_waiting(&value, plan);
                    }
                    Some([GROUP, id @ ..]) => {
                        if let Ok(id) = id.try_into() {
                            self.load_group(u128::from_be_bytes(id), &value, plan);
                        }
                    }
                    _ => {}
                }
            }
        }
        // Those whose group was forgotten are forgotten with it.
        let hits = std::mem::take(&mut self.waiting).into_values().flatten();
        for hit in hits {
            let shard = self.shard(hit.group);
            if let Some(group) = shard.groups.get_mut(&hit.group) {
                group.waiting += 1;
                shard.waiting += 1;
                self.waiting.entry(hit.time.align(BUCKET)).or_default().push(hit);
            }
        }
    }

    fn load_group(&mut self, id: GroupId, value: &[u8], plan: &Plan) {
        let saved: Option<Saved> = postcard::from_bytes(value).ok();
        let Some((saved, correlation)) =
            saved.and_then(|saved| plan.number(saved.print).map(|number| (saved, number)))
        else {
            self.gone.insert(id);
            return;
        };
        let ask = &plan.asks[correlation as usize];
        let Saved { print, names, last, items } = saved;
        let window = Window::of(ask.kind, items);
        let end = last + ask.timespan;
        self.ends.insert((end, id));
        let shard = self.shard(id);
        shard.items += window.len();
        let (waiting, touched, saved) = (0, false, true);
        let group = Group { correlation, names, print, window, last, waiting, end, touched, saved };
        shard.groups.insert(id, Box::new(group));
    }

    fn load_waiting(&mut self, value: &[u8], plan: &Plan) {
        let hits: Vec<Hit> = postcard::from_bytes(value).unwrap_or_default();
        for mut hit in hits.into_iter().filter(|hit| plan.number(hit.print).is_some()) {
            // Where the event is kept now; see `report::kept`.
            hit.landed = owner(key_group(mix(hit.seq)), self.peers) as u32;
            self.waiting.entry(hit.time.align(BUCKET)).or_default().push(hit);
        }
    }

    /// Goes on with other rules: groups of correlations that are no longer there are forgotten.
    pub fn follow(&mut self, plan: &Plan) {
        let mut gone = Vec::new();
        for shard in &mut self.shards {
            for (id, group) in &mut shard.groups {
                match plan.number(group.print) {
                    Some(number) => group.correlation = number,
                    None => gone.push(*id),
                }
            }
        }
        self.forget(&gone);
    }

    /// Puts a match to those that wait.
    pub fn arrive(&mut self, mut hit: Hit, plan: &Plan) {
        let Some(number) = plan.number(hit.print) else { return };
        let ask = &plan.asks[number as usize];
        let (id, time) = (hit.group, hit.time);
        let shard = self.shard(id);
        shard.waiting += 1;
        let group = shard.groups.entry(id).or_insert_with(|| {
            Box::new(Group {
                correlation: number,
                names: Names::default(),
                print: hit.print,
                window: Window::new(ask.kind),
                last: time,
                waiting: 0,
                end: EventTime::MIN,
                touched: false,
                saved: false,
            })
        });
        group.waiting += 1;
        group.last = group.last.max(time);
        if let Some(more) = &mut hit.more {
            let names = std::mem::take(&mut more.names);
            if group.names.is_empty() {
                group.names = names;
            }
            if more.who.is_empty() && more.events.is_empty() {
                hit.more = None;
            }
        }
        if !std::mem::replace(&mut group.touched, true) {
            self.touched.push(id);
        }
        self.waiting.entry(time.align(BUCKET)).or_default().push(hit);
    }

    /// Ends the arrival of an epoch's matches: limits bite here.
    pub fn arrived(&mut self, plan: &Plan) {
        self.drop_waiting();
        self.list(plan);
        self.make_room(|shard| shard.groups.len(), GROUPS_MAX, |_| 1);
    }

    /// Takes the matches that the watermark has reached, in order. `tell` is told of a group that
    /// fires, with the match that did it.
    pub fn take(
        &mut self,
        watermark: EventTime,
        plan: &Plan,
        mut tell: impl FnMut(&Group, &Hit, Fired),
    ) {
        let mut due: Vec<Hit> = Vec::new();
        while let Some(entry) = self.waiting.first_entry() {
            if *entry.key() > watermark {
                break;
            }
            if *entry.key() + BUCKET <= watermark {
                gather(&mut due, entry.remove());
                continue;
            }
            let (now, later): (Vec<Hit>, Vec<Hit>) =
                entry.remove().into_iter().partition(|hit| hit.time <= watermark);
            gather(&mut due, now);
            if let Some(hit) = later.first() {
                let bucket = hit.time.align(BUCKET);
                self.waiting.insert(bucket, later);
            }
            break;
        }
        // Later steps first, so that one event is not two steps of a sequence.
        let order = |hit: &Hit| (hit.time, hit.seq, hit.group, Reverse(hit.place));
        due.sort_by(|one, other| order(one).cmp(&order(other)).then_with(|| one.cmp(other)));
        let mut due = due.into_iter().peekable();
        let mut items: Vec<Item> = Vec::new();
        while let Some(hit) = due.next() {
            let id = hit.group;
            let shard = self.shard(id);
            let Some(group) = shard.groups.get_mut(&id) else { continue };
            let ask = &plan.asks[group.correlation as usize];
            items.push(item(&hit));
            if ask.tells_rules_apart() {
                let event = (hit.seq, hit.group);
                items.extend(
                    std::iter::from_fn(|| due.next_if(|next| (next.seq, next.group) == event))
                        .map(|next| item(&next)),
                );
            }
            shard.waiting -= items.len();
            group.waiting -= items.len();
            shard.items -= group.window.len();
            let (fired, gone) = group.window.take(ask, items.drain(..));
            shard.items += group.window.len();
            if let Some(fired) = fired {
                tell(group, &hit, fired);
            }
            let touched = std::mem::replace(&mut group.touched, true);
            self.counts.full += gone;
            if !touched {
                self.touched.push(id);
            }
        }
        self.list(plan);
        self.make_room(|shard| shard.items, ITEMS_MAX, |group| group.window.len());
        self.expire(watermark);
    }

    /// Lists the groups of this epoch by when they end.
    fn list(&mut self, plan: &Plan) {
        let mut empty = Vec::new();
        for id in std::mem::take(&mut self.touched) {
            let at = usize::from(key_group(route(id)) - self.first);
            let Some(group) = self.shards[at].groups.get_mut(&id) else { continue };
            group.touched = false;
            let end = group.last + plan.asks[group.correlation as usize].timespan;
            if group.window.is_empty() && group.waiting == 0 {
                empty.push(id);
            } else if end != group.end {
                self.ends.remove(&(group.end, id));
                group.end = end;
                self.ends.insert((end, id));
            }
            self.dirty.insert(id);
        }
        self.forget(&empty);
    }

    /// Forgets the groups to which no match in time can add.
    fn expire(&mut self, watermark: EventTime) {
        let ended: Vec<GroupId> =
            self.ends.iter().take_while(|(end, _)| *end < watermark).map(|(_, id)| *id).collect();
        self.forget(&ended);
    }

    /// Forgets groups, and the matches of theirs that wait.
    fn forget(&mut self, gone: &[GroupId]) {
        let mut waiting: Set<GroupId> = Set::default();
        for id in gone {
            let shard = self.shard(*id);
            let Some(group) = shard.groups.remove(id) else { continue };
            shard.items -= group.window.len();
            shard.waiting -= group.waiting;
            if group.waiting > 0 {
                waiting.insert(*id);
            }
            self.ends.remove(&(group.end, *id));
            self.dirty.remove(id);
            if group.saved {
                self.gone.insert(*id);
            }
        }
        if !waiting.is_empty() {
            self.retain(|hit| !waiting.contains(&hit.group));
        }
    }

    fn retain(&mut self, mut keep: impl FnMut(&Hit) -> bool) {
        self.waiting.retain(|_, hits| {
            hits.retain(&mut keep);
            !hits.is_empty()
        });
    }

    /// Makes room in the key groups that have more than `max` of something: the groups that end
    /// first go, `each` of which has so much of it.
    fn make_room(
        &mut self,
        size: impl Fn(&Shard) -> usize,
        max: usize,
        each: impl Fn(&Group) -> usize,
    ) {
        let over = |shard: &Shard| {
            let size = size(shard);
            if size > max { size - eased(max) } else { 0 }
        };
        let mut surplus: Vec<usize> = self.shards.iter().map(over).collect();
        if surplus.iter().all(|surplus| *surplus == 0) {
            return;
        }
        let mut gone = Vec::new();
        for (_, id) in &self.ends {
            let at = usize::from(key_group(route(*id)) - self.first);
            if surplus[at] > 0 {
                let each = each(&self.shards[at].groups[id]);
                surplus[at] = surplus[at].saturating_sub(each);
                gone.push(*id);
            }
        }
        self.counts.groups += gone.len() as u64;
        self.forget(&gone);
    }

    /// Drops matches where too many wait.
    fn drop_waiting(&mut self) {
        const OF_GROUP_MAX: usize = WAITING_MAX / 2;
        let mut groups: Map<GroupId, usize> = Map::default();
        for shard in self.shards.iter().filter(|shard| shard.waiting > OF_GROUP_MAX) {
            let over = shard.groups.iter().filter(|(_, group)| group.waiting > OF_GROUP_MAX);
            groups.extend(over.map(|(id, group)| (*id, group.waiting - eased(OF_GROUP_MAX))));
        }
        if !groups.is_empty() {
            self.drop_latest(&mut groups, |hit| hit.group);
        }
        let over = (self.first..).zip(&self.shards).filter(|(_, one)| one.waiting > WAITING_MAX);
        let mut shards: Map<u16, usize> =
            over.map(|(at, shard)| (at, shard.waiting - eased(WAITING_MAX))).collect();
        if !shards.is_empty() {
            self.drop_latest(&mut shards, |hit| key_group(route(hit.group)));
        }
    }

    /// Drops so many of the latest matches of each that is listed.
    fn drop_latest<K: Copy + Eq + std::hash::Hash>(
        &mut self,
        surplus: &mut Map<K, usize>,
        of: impl Fn(&Hit) -> K,
    ) {
        let mut gone: Vec<(GroupId, usize)> = Vec::new();
        for hits in self.waiting.values_mut().rev() {
            let concerned = |hit: &Hit| surplus.get(&of(hit)).is_some_and(|left| *left > 0);
            if !hits.iter().any(concerned) {
                continue;
            }
            hits.sort();
            let mut kept: Vec<Hit> = Vec::with_capacity(hits.len());
            for hit in std::mem::take(hits).into_iter().rev() {
                match surplus.get_mut(&of(&hit)) {
                    Some(left) if *left > 0 => {
                        *left -= 1;
                        gone.push((hit.group, 1));
                    }
                    _ => kept.push(hit),
                }
            }
            kept.reverse();
            *hits = kept;
        }
        self.waiting.retain(|_, hits| !hits.is_empty());
        self.counts.waiting += gone.len() as u64;
        for (id, count) in gone {
            let shard = self.shard(id);
            shard.waiting -= count;
            if let Some(group) = shard.groups.get_mut(&id) {
                group.waiting -= count;
            }
        }
    }

    /// How many groups there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.groups.len()).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Hands over what changed since the last time.
    pub fn snapshot(&mut self, changes: &mut Changes) {
        for id in std::mem::take(&mut self.gone) {
            if !self.shard(id).groups.contains_key(&id) {
                changes.delete(&self.group_key(id));
            }
        }
        for id in std::mem::take(&mut self.dirty) {
            let key = self.group_key(id);
            let group = self.shard(id).groups.get_mut(&id).expect("what is forgotten is clean");
            group.saved = true;
            let saved = Saved {
                print: group.print,
                names: group.names.clone(),
                last: group.last,
                items: group.window.items().cloned().collect(),
            };
            changes.put(&key, &postcard::to_stdvec(&saved).expect("plain data"));
        }
        let mut waiting: BTreeMap<u16, Vec<&Hit>> = BTreeMap::new();
        for hit in self.waiting.values().flatten() {
            waiting.entry(key_group(route(hit.group))).or_default().push(hit);
        }
        let key = |group: u16| state_key(CORRELATIONS, group, &[self.level, WAITING]);
        for group in self.saved.iter().filter(|group| !waiting.contains_key(group)) {
            changes.delete(&key(*group));
        }
        for (group, hits) in &mut waiting {
            hits.sort();
            changes.put(&key(*group), &postcard::to_stdvec(&hits).expect("plain data"));
        }
        self.saved = waiting.into_keys().collect();
    }

    fn group_key(&self, id: GroupId) -> StateKey {
        let mut key = vec![self.level, GROUP];
        key.extend_from_slice(&id.to_be_bytes());
        state_key(CORRELATIONS, key_group(route(id)), &key)
    }
}

/// What follows the level in the key of a group, and in that of the matches that wait.
const GROUP: u8 = b'g';
const WAITING: u8 = b'w';

/// What a window keeps of a match.
fn item(hit: &Hit) -> Item {
    let events = hit.more.as_ref().map_or(&[][..], |more| &more.events);
    let Hit { time, seq, place, value, .. } = *hit;
    Item { time, seq, place, value, events: events.into() }
}

fn gather(all: &mut Vec<Hit>, mut more: Vec<Hit>) {
    match all.is_empty() {
        true => *all = more,
        false => all.append(&mut more),
    }
}
