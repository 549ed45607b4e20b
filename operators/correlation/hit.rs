//! Matches on their way to the owner of their group.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::plan::{Ask, Feed, Plan, Reading};
use crate::sigma::correlation::{Kind, Target};
use crate::sigma::{Active, FieldValue, Fields, Record, RuleIndex, Value, finding};
use crate::types::hash::{Set, stable};
use crate::types::{
    Batch, EntityId, EntityRef, Event, EventTime, Flags, Kind as EntityKind, Share, Source,
};

/// A group of a correlation: a hash of the correlation's print and the values.
pub type GroupId = u128;

/// The hash by which matches reach the owner of their group.
#[must_use]
pub fn route(group: GroupId) -> u64 {
    (group >> 64) as u64
}

/// A match of a rule, or the firing of a correlation, that another correlation asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hit {
    /// When its event happened.
    pub time: EventTime,
    /// Its event.
    pub seq: u64,
    /// Its group.
    pub group: GroupId,
    /// The correlation's print.
    pub print: u64,
    /// The place among the correlation's rules.
    pub place: u16,
    /// A hash of the values that are told apart, or the bits of a number.
    pub value: u64,
    /// The worker on which its event landed.
    pub landed: u32,
    /// Whom an alert is about, if this is the last match.
    pub entity: EntityId,
    /// Of which kind; `None` is the source.
    pub kind: Option<EntityKind>,
    /// What few matches need.
    pub more: Option<Box<More>>,
}

/// What few matches need.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct More {
    /// The values of the group; said once for each group, worker and epoch.
    pub names: Names,
    /// The entities that the values of the group name, where another correlation may group by
    /// them.
    pub who: Vec<Option<(EntityId, EntityKind)>>,
    /// Of a firing: the events that it rests on.
    pub events: Vec<u64>,
}

/// The values of a group, in few bytes: there may be hundreds of thousands of groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Names(Box<[u8]>);

impl Names {
    /// These values.
    pub fn of<'v>(values: impl IntoIterator<Item = &'v str>) -> Self {
        let mut key = Key::default();
        values.into_iter().for_each(|value| key.push(value));
        Names(key.0.into())
    }

    /// Whether they were not said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values.
    #[must_use]
    pub fn to_vec(&self) -> Vec<String> {
        let mut rest = &self.0[..];
        let mut values = Vec::new();
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let (value, after) = after.split_at(u32::from_be_bytes(*length) as usize);
            values.push(String::from_utf8_lossy(value).into_owned());
            rest = after;
        }
        values
    }
}

/// A group's key, as it is put together.
#[derive(Debug, Default)]
struct Key(Vec<u8>);

impl Key {
    fn begin(&mut self, print: u64) {
        self.0.clear();
        self.0.extend_from_slice(&print.to_be_bytes());
    }

    fn push(&mut self, value: &str) {
        self.0.extend_from_slice(&(value.len() as u32).to_be_bytes());
        self.0.extend_from_slice(value.as_bytes());
    }

    /// The values that were pushed.
    fn names(&self) -> Names {
        Names(self.0.get(8..).unwrap_or_default().into())
    }

    fn short(&self) -> u64 {
        stable(&self.0)
    }

    fn long(&mut self) -> GroupId {
        let high = stable(&self.0);
        self.0.push(0);
        let low = stable(&self.0);
        self.0.pop();
        u128::from(high) << 64 | u128::from(low)
    }
}

/// Makes hits of the matches that landed on a worker.
pub struct Hits {
    plan: Arc<Plan>,
    fields: Option<Fields>,
    landed: u32,
    /// The groups that were named in this epoch.
    named: Set<GroupId>,
    spare: Record<'static>,
    feeds: Vec<Feed>,
    key: Key,
    who: Vec<Option<(EntityId, EntityKind)>>,
    buffer: String,
}

impl Hits {
    /// On worker `landed`, with these rules.
    #[must_use]
    pub fn new(active: &Arc<Active>, landed: u32) -> Self {
        Hits {
            plan: Arc::new(Plan::new(active)),
            fields: None,
            landed,
            named: Set::default(),
            spare: Record::default(),
            feeds: Vec::new(),
            key: Key::default(),
            who: Vec::new(),
            buffer: String::new(),
        }
    }

    /// Says which matches of a share some correlation asks for, each with the correlation's
    /// level, and gives back how many came too late to be counted. `source` says which entity
    /// stands for a source.
    pub fn of(
        &mut self,
        share: &Share,
        active: &Arc<Active>,
        source: impl Fn(&Source) -> EntityId,
        mut say: impl FnMut(u8, Hit),
    ) -> u64 {
        if !Arc::ptr_eq(&self.plan.active, active) {
            *self = Hits::new(active, self.landed);
        }
        if self.plan.asks.is_empty() {
            return 0;
        }
        self.named.clear();
        let mut late = 0;
        for batch in &share.batches {
            let mut begun = false;
            for hits in batch.hits.chunk_by(|(one, _), (other, _)| one == other) {
                self.feeds.clear();
                for (_, rule) in hits {
                    self.feeds.extend_from_slice(self.plan.of_rule(*rule));
                }
                if self.feeds.is_empty() {
                    continue;
                }
                let event = &batch.events[hits[0].0 as usize];
                if event.flags.has(Flags::LATE) {
                    late += 1;
                    continue;
                }
                if !begun {
                    begun = true;
                    let active = &self.plan.active;
                    let new = || Fields::of_correlations(&active.rules, &active.pipelines);
                    self.fields.get_or_insert_with(new).begin(batch);
                }
                self.event(batch, event, &source, &mut say);
            }
        }
        late
    }

    fn event(
        &mut self,
        batch: &Batch,
        event: &Event,
        source: &impl Fn(&Source) -> EntityId,
        say: &mut impl FnMut(u8, Hit),
    ) {
        let plan = Arc::clone(&self.plan);
        let mut fields = self.fields.take().expect("it was begun");
        let spare = std::mem::take(&mut self.spare);
        let record = fields.record(batch, event, spare);
        let mut feeds = std::mem::take(&mut self.feeds);
        feeds.sort_unstable();
        feeds.dedup();
        for same in feeds.chunk_by(|one, other| one.correlation == other.correlation) {
            let ask = &plan.asks[same[0].correlation as usize];
            for feed in same {
                let hit = self.hit(&plan, ask, *feed, (batch, event), &record, source);
                let counted = hit.is_some();
                if let Some(hit) = hit {
                    say(ask.level, hit);
                }
                if counted && !ask.tells_rules_apart() {
                    break;
                }
            }
        }
        self.feeds = feeds;
        self.spare = record.recycled();
        self.fields = Some(fields);
    }

    fn hit(
        &mut self,
        plan: &Plan,
        ask: &Ask,
        feed: Feed,
        (batch, event): (&Batch, &Event),
        record: &Record<'_>,
        source: &impl Fn(&Source) -> EntityId,
    ) -> Option<Hit> {
        let place = usize::from(feed.place);
        let value = self.value(ask, place, record)?;
        self.key.begin(ask.print);
        self.who.clear();
        let entities = batch.entities(event);
        for reading in ask.group[place].as_ref()? {
            let text = value_of(reading, record)?.text(&mut self.buffer)?;
            self.key.push(text);
            let named = |entity: &&EntityRef| {
                matches!(entity.kind, EntityKind::Ip | EntityKind::User | EntityKind::Host)
                    && batch.text(entity.value).eq_ignore_ascii_case(text)
            };
            self.who.push(entities.iter().find(named).map(|entity| (entity.id, entity.kind)));
        }
        let group = self.key.long();
        let named = self.who.iter().flatten().next().copied();
        let (entity, kind) = match named {
            Some((id, kind)) => (id, Some(kind)),
            None => {
                match plan.active.rules.correlations()[feed.correlation as usize].targets[place] {
                    Target::Rule(rule) => {
                        let logsource = &plan.active.rules.rule(RuleIndex(rule)).logsource;
                        let entity = finding::entity(batch, event, logsource);
                        let source = || source(&batch.block.sources[event.source as usize]);
                        entity.map_or_else(|| (source(), None), |one| (one.id, Some(one.kind)))
                    }
                    Target::Correlation(_) => unreachable!("records match rules"),
                }
            }
        };
        let more = (ask.feeds || self.named.insert(group)).then(|| {
            let who = if ask.feeds { std::mem::take(&mut self.who) } else { Vec::new() };
            Box::new(More { names: self.key.names(), who, events: Vec::new() })
        });
        Some(Hit {
            time: event.time,
            seq: event.seq,
            group,
            print: ask.print,
            place: feed.place,
            value,
            landed: self.landed,
            entity,
            kind,
            more,
        })
    }

    /// What a correlation computes with; `None` if the record does not have it.
    fn value(&mut self, ask: &Ask, place: usize, record: &Record<'_>) -> Option<u64> {
        match ask.kind {
            Kind::EventCount | Kind::Temporal | Kind::TemporalOrdered => Some(0),
            Kind::ValueCount => {
                self.key.0.clear();
                for reading in ask.value[place].as_ref()? {
                    let text = value_of(reading, record)?.text(&mut self.buffer)?;
                    self.key.push(text);
                }
                Some(self.key.short())
            }
            _ => {
                let reading = ask.value[place].as_ref()?.first()?;
                let number = value_of(reading, record)?.number();
                let number = number.filter(|number| number.is_finite())?;
                Some(number.to_bits())
            }
        }
    }
}

/// The first value of a field that is not null.
fn value_of<'r>(reading: &Reading, record: &'r Record<'_>) -> Option<&'r Value<'r>> {
    let is_it = |field: &&FieldValue<'_>| {
        field.id == reading.field && field.id.is_asked() && field.value != Value::Null
    };
    record.fields().iter().find(is_it).map(|field| &field.value)
}

/// What a firing of a correlation is for those that ask for it.
pub(super) struct Inner<'f> {
    /// The correlation's number.
    pub(super) correlation: u32,
    /// The values of its group.
    pub(super) names: &'f [String],
    /// Its last match.
    pub(super) last: &'f Hit,
    /// The events that it rests on.
    pub(super) events: &'f [u64],
}

/// Says what a firing is for the correlations that ask for it, each with their level.
pub(super) fn feed(plan: &Plan, inner: &Inner<'_>, mut say: impl FnMut(u8, Hit)) {
    let own = &plan.document(inner.correlation).group_by;
    let place_of = |reading: &Reading| own.iter().position(|name| **name == *reading.name);
    let who = inner.last.more.as_ref().map_or(&[][..], |more| &more.who);
    let mut key = Key::default();
    let feeds = plan.of_correlation(inner.correlation);
    for same in feeds.chunk_by(|one, other| one.correlation == other.correlation) {
        let ask = &plan.asks[same[0].correlation as usize];
        for feed in same {
            let place = usize::from(feed.place);
            let places = |readings: &Option<Vec<Reading>>| -> Option<Vec<usize>> {
                readings.as_ref()?.iter().map(&place_of).collect()
            };
            let (Some(group), Some(values)) =
                (places(&ask.group[place]), places(&ask.value[place]))
            else {
                continue;
            };
            let value = match ask.kind {
                Kind::EventCount | Kind::Temporal | Kind::TemporalOrdered => Some(0),
                Kind::ValueCount => {
                    key.0.clear();
                    values.iter().for_each(|at| key.push(&inner.names[*at]));
                    Some(key.short())
                }
                _ => {
                    let number = values.first().and_then(|at| inner.names[*at].parse::<f64>().ok());
                    number.filter(|number| number.is_finite()).map(f64::to_bits)
                }
            };
            let Some(value) = value else { continue };
            key.begin(ask.print);
            group.iter().for_each(|at| key.push(&inner.names[*at]));
            let who: Vec<_> = group.iter().map(|at| who.get(*at).copied().flatten()).collect();
            let named = who.iter().flatten().next().copied();
            let (entity, kind) = match named {
                Some((id, kind)) => (id, Some(kind)),
                None => (inner.last.entity, inner.last.kind),
            };
            let more = More {
                names: Names::of(group.iter().map(|at| &*inner.names[*at])),
                who: if ask.feeds { who } else { Vec::new() },
                events: inner.events.to_vec(),
            };
            let hit = Hit {
                group: key.long(),
                print: ask.print,
                place: feed.place,
                value,
                entity,
                kind,
                more: Some(Box::new(more)),
                ..*inner.last
            };
            say(ask.level, hit);
            if !ask.tells_rules_apart() {
                break;
            }
        }
    }
}
