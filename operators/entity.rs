//! What an entity usually does, and whether this is unusual for it.
//!
//! Every entity has one owner, which takes the touches of events in sequence order. It keeps the
//! entity's recent events, its usual templates, the entities that it is usually seen with, and
//! its place in its sequence; and it asks three detectors:
//!
//! - **rare for the entity**: a host or an account with a template that is rare for it;
//! - **rare peer**: an account from an address, or a host with an account, that it is rarely or
//!   never seen with;
//! - **unusual sequence**: a template that does not follow from the last ones (one model of all
//!   entities, and the entity's own habits). The sequence that an event belongs to is that of its
//!   process, else of its account, else of its host, else of its source.
//!
//! What is odd about an event by itself (its template, its content) is told of the host that it
//! is from, else of its first entity, else of its source. Opinions become findings by the
//! decision of [`score::groups`](crate::score::groups): by groups of detector, entity and window.
//!
//! State: what is remembered of each entity, the open groups of each key group, and two shared
//! models (sequences, ranks of groups).

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use timely::dataflow::StreamVec;

use crate::logic::{Parcel, Sorter, Stage, stage};
use crate::score::groups::{self, Open, Ranks};
use crate::score::markov::{self, Markov, Symbol};
use crate::score::opinion::{Opinion, Surprise, combine, score01};
use crate::score::rarity::ContextOptions;
use crate::state::{Changes, Ledger, Store, TIMERS, model_key, state_key};
use crate::types::hash::{groups_of, key_group, mix, stable};
use crate::types::{
    Contribution, Detector, EntityId, EventTime, Finding, Level, Mergeable, NO_OPINION, Rule, Span,
    Texts,
};

pub mod memory;
pub mod touch;
pub mod window;

use memory::{Memory, Remembered};
use touch::{Mention, Part, Touch, route};

/// How entities are remembered and judged.
#[derive(Clone, Debug)]
pub struct Options {
    /// The recent events of an entity.
    pub window: window::Options,
    /// After how long a silence an entity's sequence begins anew.
    pub session: Span,
    /// Usual templates and usual peers.
    pub context: ContextOptions,
    /// Sequences.
    pub sequence: markov::Options,
    /// The decision. Its weights are those of [`Detector::ALL`], in order.
    pub groups: groups::Options,
    /// How long findings of an entity and template are one incident, from the first.
    pub incident: Span,
    /// Bytes of memory for the entities of one worker; colder ones go to the store.
    pub memory_bytes: usize,
}

/// How many earlier events of an entity a finding lists.
const EARLIER_EVENTS: usize = 8;
/// From this surprise on an opinion is worth telling the event's landing worker.
const EVIDENCE_FROM: Surprise = Surprise(500_000);
/// From this surprise on an opinion is listed beside the one that made the finding.
const BESIDE_FROM: Surprise = Surprise(1_300_000);

/// What one owner has to say of one event, to be put together where the event landed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The event.
    pub seq: u64,
    /// Who says it.
    pub detector: Detector,
    /// How surprising it is.
    pub surprise: Surprise,
}

/// What the owners of entities say.
#[derive(Clone, Debug)]
pub enum Said {
    /// To the workers on which events landed.
    Evidence(Parcel<Evidence>),
    /// To the owners of incidents.
    Finding(Parcel<Finding>),
    /// How many entities were seen for the first time in an epoch: the epoch, and how many.
    Created(u64, u64),
}

/// What reaches the stage on each worker once an epoch.
#[derive(Clone, Debug)]
pub struct Tick {
    /// The watermark as of the epochs before this one.
    pub watermark: EventTime,
    /// The templates as of this epoch.
    pub texts: Arc<Texts>,
    /// How many events of the epoch landed on this worker.
    pub events: u64,
}

/// What one epoch brought.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Summary {
    sequence: markov::Summary,
    groups: groups::Summary,
}

impl Mergeable for Summary {
    fn merge(&mut self, other: Self) {
        self.sequence.merge(other.sequence);
        self.groups.merge(other.groups);
    }
}

/// The owner of some entities. See the [module](self).
pub struct Entities {
    options: Options,
    memory: Memory,
    /// The open groups of each key group that is owned.
    open: BTreeMap<u16, Open>,
    markov: Markov,
    ranks: Ranks,
    /// Templates by the symbol that they are in sequences.
    symbols: BTreeMap<Symbol, Arc<str>>,
    texts: Arc<Texts>,
    evidence: Sorter<Evidence>,
    findings: Sorter<Finding>,
    store: Rc<dyn Store>,
}

const NAMES: [&str; 2] = ["entity.sequence", "entity.ranks"];

/// What a detector has to say of a touch.
struct Heard {
    detector: Detector,
    opinion: Opinion,
    /// What an opinion of a sequence is about.
    past: Option<markov::Past>,
    /// What an opinion of rarity rests on.
    counts: Option<crate::score::rarity::Evidence>,
}

impl Entities {
    /// The owner of the key groups of one of `peers` workers, as of the last checkpoint.
    #[must_use]
    pub fn new(options: Options, worker: usize, peers: usize, store: Rc<dyn Store>) -> Self {
        let markov = store
            .get(&model_key(NAMES[0]))
            .and_then(|bytes| Markov::decode(options.sequence, &bytes).ok())
            .unwrap_or_else(|| Markov::new(options.sequence));
        let ranks = store
            .get(&model_key(NAMES[1]))
            .and_then(|bytes| Ranks::decode(options.groups.clone(), &bytes).ok())
            .unwrap_or_else(|| Ranks::new(options.groups.clone()));
        let saved = |group: u16| {
            let bytes = store.get(&state_key(TIMERS, group, &[]))?;
            Open::decode(&bytes).ok()
        };
        let open = groups_of(worker, peers);
        let open = open.map(|group| (group, saved(group).unwrap_or_default())).collect();
        Entities {
            memory: Memory::new(options.memory_bytes),
            open,
            markov,
            ranks,
            symbols: BTreeMap::new(),
            texts: Arc::default(),
            evidence: Sorter::new(peers),
            findings: Sorter::new(peers),
            options,
            store,
        }
    }

    /// What the detectors say of a touch, before it is learned.
    fn hear(&self, entity: &mut Remembered, touch: &Touch, heard: &mut Vec<Heard>) {
        let plain = |detector, opinion| Heard { detector, opinion, past: None, counts: None };
        if touch.part.has(Part::STANDS) {
            let by_itself = [Detector::RareTemplate, Detector::UnusualContent];
            for (detector, surprise) in by_itself.into_iter().zip(touch.surprise) {
                if surprise != NO_OPINION {
                    heard.push(plain(detector, Opinion::new(Surprise(surprise).p())));
                }
            }
        }
        let symbol = Symbol::of(touch.template);
        if entity.is_first_touch() {
            if touch.part.has(Part::SEQUENCE) && touch.template != 0 {
                let start = markov::Entity::default();
                heard.extend(self.markov.score(&start, symbol).map(|opinion| {
                    let past = Some(start.past());
                    Heard { past, ..plain(Detector::UnusualSequence, opinion) }
                }));
            }
            return;
        }
        let last = entity.last_before;
        let detail = entity.detail(&self.options);
        if touch.part.has(Part::TEMPLATES) && touch.template != 0 {
            let opinion = detail.templates.score(&self.options.context, touch.template);
            heard.extend(opinion.map(|opinion| {
                let counts = Some(detail.templates.evidence(touch.template));
                Heard { counts, ..plain(Detector::RareForEntity, opinion) }
            }));
        }
        if touch.peer != 0 {
            let opinion = detail.peers.score(&self.options.context, touch.peer);
            heard.extend(opinion.map(|opinion| {
                let counts = Some(detail.peers.evidence(touch.peer));
                Heard { counts, ..plain(Detector::RarePeer, opinion) }
            }));
        }
        if touch.part.has(Part::SEQUENCE) && touch.template != 0 {
            if touch.time.since(last) > self.options.session {
                detail.sequence.restart();
            }
            heard.extend(self.markov.score(&detail.sequence, symbol).map(|opinion| {
                let past = Some(detail.sequence.past());
                Heard { past, ..plain(Detector::UnusualSequence, opinion) }
            }));
        }
    }

    /// A sentence for an opinion.
    fn why(&self, heard: &Heard, entity: &Remembered, touch: &Touch) -> String {
        let place = match entity.kind {
            Some(kind) => format!("for {} {}", kind.name(), entity.name),
            None => format!("from {}", entity.name),
        };
        let text = self.texts.get(&touch.template).map_or("", |template| &template.text);
        match (heard.detector, heard.counts, heard.past) {
            (Detector::RarePeer, Some(counts), _) => {
                counts.sentence("the one it was seen with", &place)
            }
            (_, Some(counts), _) => counts.sentence(format_args!("template `{text}`"), &place),
            (_, _, Some(past)) => {
                let symbol = Symbol::of(touch.template);
                let name = |symbol| match self.symbols.get(&symbol) {
                    Some(text) => format!("`{text}`"),
                    None => "a template since forgotten".to_owned(),
                };
                match self.markov.evidence(&past, symbol) {
                    Some(evidence) => evidence.sentence(symbol, name),
                    None => String::new(),
                }
            }
            // Said by the stage that judged the event by itself.
            _ => String::new(),
        }
    }

    /// The weight of a detector in the budget.
    fn weight(&self, detector: Detector) -> f64 {
        self.options.groups.weights[detector as usize]
    }

    /// Puts opinions into their groups; a finding, if any is worth it.
    fn judge(&mut self, entity: &Remembered, touch: &Touch, heard: &[Heard]) -> Option<Finding> {
        let group = key_group(route(touch.entity));
        let key = mix(route(touch.entity));
        let open = self.open.get_mut(&group).expect("touches reach the owner of their key group");
        let mut alerting = Vec::new();
        for one in heard {
            let detector = groups::Detector(one.detector as u8);
            let noted = open.note(&self.ranks, detector, key, touch.time, one.opinion);
            // After the event that lifts its group over the threshold, others that are over it
            // count into the same incident.
            if noted.is_some() && one.opinion.surprise() >= self.ranks.threshold(detector) {
                alerting.push((one, self.ranks.decide(detector, one.opinion)));
            }
        }
        if alerting.is_empty() || touch.part.has(Part::LATE) {
            return None;
        }
        let strongest = |(one, _): &(&Heard, groups::Verdict)| {
            OrderedP(one.opinion.p() / self.weight(one.detector), one.detector)
        };
        let first = alerting.iter().min_by_key(|pair| strongest(pair));
        let (first, verdict) = *first.expect("it is not empty");
        let all: Vec<_> =
            heard.iter().map(|one| (self.weight(one.detector), one.opinion.p())).collect();
        let rank = |one: &Heard| {
            let found = alerting.iter().find(|(other, _)| other.detector == one.detector);
            found.map(|(_, verdict)| verdict.rank_p)
        };
        let beside = |one: &&Heard| rank(one).is_some() || one.opinion.surprise() >= BESIDE_FROM;
        let contributions = heard.iter().filter(beside).map(|one| Contribution {
            detector: one.detector,
            p: one.opinion.p(),
            rank_p: rank(one),
            why: self.why(one, entity, touch),
        });
        let mut contributions: Vec<_> = contributions.collect();
        contributions.sort_by_key(|part| OrderedP(part.p, part.detector));
        let earlier = entity
            .seen_twice()
            .map_or(&[][..], |detail| detail.window.events(&self.options.window));
        let mut events: Vec<u64> =
            earlier.iter().rev().take(EARLIER_EVENTS).map(|(_, seq)| *seq).collect();
        events.sort_unstable();
        let surprise = first.opinion.surprise();
        let level = match alerting.len() {
            3.. => Level::High,
            2 => Level::Medium,
            _ if surprise >= Surprise(5_000_000) => Level::Medium,
            _ => Level::Low,
        };
        Some(Finding {
            dedup: dedup(touch.entity, touch.template),
            rule: Rule::Model(first.detector),
            level,
            entity: touch.entity,
            kind: touch.kind,
            seq: touch.seq,
            time: touch.time,
            landed: touch.landed,
            window: self.options.incident,
            score: score01(combine(&all)),
            threshold: score01(verdict.threshold.p()),
            contributions,
            events,
            group: Vec::new(),
        })
    }

    fn learn_texts(&mut self, texts: Arc<Texts>) {
        if !Arc::ptr_eq(&texts, &self.texts) {
            self.symbols =
                texts.iter().map(|(id, text)| (Symbol::of(*id), Arc::clone(&text.text))).collect();
            self.texts = texts;
        }
    }
}

/// Probabilities in order, and by detector where they are equal.
#[derive(PartialEq)]
struct OrderedP(f64, Detector);

impl Eq for OrderedP {}

impl PartialOrd for OrderedP {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OrderedP {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0).then(self.1.cmp(&other.1))
    }
}

/// Findings of an entity and a template are one incident, whichever detector speaks.
fn dedup(entity: EntityId, template: u64) -> u128 {
    let mut key = b"ml".to_vec();
    key.extend_from_slice(&entity.0.to_be_bytes());
    key.extend_from_slice(&template.to_be_bytes());
    let low = stable(&key);
    key.push(0);
    u128::from(stable(&key)) << 64 | u128::from(low)
}

impl Stage for Entities {
    type Local = Tick;
    type Remote = Mention;
    type Summary = Summary;
    type Out = Said;

    fn close(
        &mut self,
        epoch: u64,
        local: Vec<Tick>,
        mentions: Vec<Mention>,
        out: &mut Vec<Said>,
    ) -> Summary {
        let mut summary = Summary::default();
        for tick in local {
            summary.groups.count(tick.events);
            self.learn_texts(tick.texts);
            for open in self.open.values_mut() {
                open.close(&self.ranks, tick.watermark, &mut summary.groups);
            }
        }
        let mut names = BTreeMap::<EntityId, Box<str>>::new();
        let mut touches = Vec::with_capacity(mentions.len());
        for mention in mentions {
            match mention {
                Mention::Touch(touch) => touches.push(touch),
                Mention::Name(entity, _, name) => drop(names.insert(entity, name)),
            }
        }
        touches.sort_unstable_by_key(|touch| (touch.entity, touch.seq));

        let created = self.memory.created;
        let store = Rc::clone(&self.store);
        let mut memory = std::mem::replace(&mut self.memory, Memory::new(0));
        let mut heard = Vec::new();
        for touch in &touches {
            let name = || names.get(&touch.entity).cloned().unwrap_or_default();
            memory.with(epoch, touch, name, &*store, |entity| {
                heard.clear();
                self.hear(entity, touch, &mut heard);
                if let Some(finding) = self.judge(entity, touch, &heard) {
                    self.findings.push(crate::alert::route(finding.dedup), finding);
                }
                for one in heard.iter().filter(|one| one.opinion.surprise() >= EVIDENCE_FROM) {
                    let (detector, surprise) = (one.detector, one.opinion.surprise());
                    if !matches!(detector, Detector::RareTemplate | Detector::UnusualContent) {
                        let evidence = Evidence { seq: touch.seq, detector, surprise };
                        self.evidence.push_to(touch.landed, evidence);
                    }
                }
                if entity.is_first_touch() {
                    if touch.part.has(Part::SEQUENCE) && touch.template != 0 {
                        let symbol = Symbol::of(touch.template);
                        summary.sequence.add((markov::Entity::default().past(), symbol));
                    }
                } else {
                    let detail = entity.detail(&self.options);
                    detail.take(&self.options, touch, &mut summary.sequence);
                }
            });
        }
        self.memory = memory;
        out.extend(self.evidence.take().map(Said::Evidence));
        out.extend(self.findings.take().map(Said::Finding));
        if self.memory.created > created {
            out.push(Said::Created(epoch, self.memory.created - created));
        }
        summary
    }

    fn merge(&mut self, _epoch: u64, summaries: Vec<Summary>, _: &mut Vec<Said>) {
        let mut all = Summary::default();
        for summary in summaries {
            all.merge(summary);
        }
        self.markov.apply(&all.sequence);
        self.ranks.apply(all.groups);
        self.memory.evict(&*self.store);
    }

    fn snapshot(&mut self, changes: &mut Changes) {
        if changes.is_first() {
            let mut bytes = [Vec::new(), Vec::new()];
            self.markov.encode(&mut bytes[0]);
            self.ranks.encode(&mut bytes[1]);
            for (name, bytes) in NAMES.into_iter().zip(bytes) {
                changes.put(model_key(name), bytes);
            }
        }
        if changes.models_only() {
            return;
        }
        for (group, open) in &self.open {
            let key = state_key(TIMERS, *group, &[]);
            match open.is_empty() {
                true => changes.delete(key),
                false => {
                    let mut bytes = Vec::new();
                    open.encode(&mut bytes);
                    changes.put(key, bytes);
                }
            }
        }
        self.memory.snapshot(changes);
        self.store.turn();
    }
}

/// `entities`, on the ticks of a worker.
pub trait EntitiesExt<'scope> {
    /// Remembers and judges what `mentions` say of entities.
    fn entities(
        self,
        mentions: StreamVec<'scope, u64, Parcel<Mention>>,
        options: Options,
        store: &Rc<dyn Store>,
        ledger: &Rc<Ledger>,
    ) -> StreamVec<'scope, u64, Said>;
}

impl<'scope> EntitiesExt<'scope> for StreamVec<'scope, u64, Tick> {
    fn entities(
        self,
        mentions: StreamVec<'scope, u64, Parcel<Mention>>,
        options: Options,
        store: &Rc<dyn Store>,
        ledger: &Rc<Ledger>,
    ) -> StreamVec<'scope, u64, Said> {
        let scope = self.scope();
        let (index, peers) = (scope.index(), scope.peers());
        let entities = Entities::new(options, index, peers, Rc::clone(store));
        stage(self, mentions, "Entity", ledger, entities)
    }
}
