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
use crate::score::groups::{self, Noted, Open, Ranks};
use crate::score::markov::{self, Markov, Symbol};
use crate::score::opinion::{Surprise, score01};
use crate::score::rarity::ContextOptions;
use crate::state::{Changes, Ledger, Store, TIMERS, model_key, state_key};
use crate::types::hash::{Map, groups_of, key_group, mix, stable};
use crate::types::{
    Contribution, Detector, EntityId, EventTime, Finding, Level, Mergeable, NO_OPINION, Peer, Rule,
    Span, Texts,
};

pub mod memory;
mod odds;
pub mod shelf;
pub mod touch;
pub mod window;

use memory::{Detail, Memory, Remembered, Seen};
use odds::{Bar, Odds};
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
    /// How long findings of an entity are one incident, from the first, by who speaks then: one
    /// for each detector of [`Detector::ALL`], in order.
    pub incidents: Vec<Span>,
    /// Bytes of memory for the entities of one worker; colder ones go to the store.
    pub memory_bytes: usize,
}

/// How many earlier events of an entity a finding lists as its context.
const EARLIER_EVENTS: usize = 8;
/// From this surprise on an opinion is worth telling the event's landing worker.
const EVIDENCE_FROM: Surprise = Surprise(500_000);
/// From this surprise on a finding is worth a look though only one aspect of it is odd.
const MEDIUM_FROM: Surprise = Surprise(5_000_000);
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
    /// How many entities were seen that were not seen before since the start: the epoch, and how
    /// many.
    Seen(u64, Seen),
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
    /// The open groups of each key group that is owned, from the first on.
    open: Vec<Open>,
    first_group: u16,
    /// From which surprise on each detector alerts in this epoch.
    bars: Vec<Bar>,
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

/// What the open group of an entity and a detector is known to hold.
#[derive(Clone, Copy)]
struct Reached {
    /// The start of its window.
    start: EventTime,
    odds: Odds,
    /// Events that did not lift it and are not counted yet.
    skipped: u32,
    /// Further events that it takes, those included; the last one closes it.
    room: u32,
}

/// The groups of one entity that its last touches came to, by detector.
type Reaches = [Option<Reached>; Detector::ALL.len()];

/// What a detector has to say of a touch.
struct Heard {
    detector: Detector,
    odds: Odds,
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
        let owned = groups_of(worker, peers);
        let first_group = owned.start;
        let open = owned.map(|group| saved(group).unwrap_or_default()).collect();
        Entities {
            memory: Memory::new(options.memory_bytes),
            open,
            first_group,
            bars: Vec::new(),
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
    fn hear(
        &self,
        detail: Option<(&mut Detail, EventTime)>,
        touch: &Touch,
        heard: &mut Vec<Heard>,
    ) {
        let heard_of = |detector, odds| Heard { detector, odds, past: None, counts: None };
        let plain = |detector, opinion| heard_of(detector, Odds::P(opinion));
        if touch.part.has(Part::STANDS) {
            let by_itself = [Detector::RareTemplate, Detector::UnusualContent];
            for (detector, surprise) in by_itself.into_iter().zip(touch.surprise) {
                if surprise != NO_OPINION {
                    heard.push(heard_of(detector, Odds::Decades(Surprise(surprise))));
                }
            }
        }
        let symbol = Symbol::of(touch.template);
        let Some((detail, last)) = detail else {
            if touch.part.has(Part::SEQUENCE) && touch.template != 0 {
                let start = markov::Entity::default();
                heard.extend(self.markov.score(&start, symbol).map(|opinion| {
                    let past = Some(start.past());
                    Heard { past, ..plain(Detector::UnusualSequence, opinion) }
                }));
            }
            return;
        };
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
            // Said where the event landed, which knows the peer's name.
            (Detector::RarePeer, ..) => String::new(),
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

    /// Puts an opinion into its group. Whether there is one.
    fn note(
        &mut self,
        touch: &Touch,
        one: &Heard,
        reaches: &mut Reaches,
        summary: &mut groups::Summary,
    ) -> bool {
        let width = self.options.groups.width;
        let at = one.detector as usize;
        // What does not lift its group and is not its last is only counted, and that later.
        if let Some(Reached { start, odds, skipped, room }) = &mut reaches[at]
            && touch.time >= *start
            && touch.time.since(*start) < width
            && one.odds.is_within(*odds)
            && *skipped + 1 < *room
        {
            *skipped += 1;
            return true;
        }
        self.count(touch.entity, one.detector, reaches);
        let hash = route(touch.entity);
        let open = &mut self.open[usize::from(key_group(hash) - self.first_group)];
        let detector = groups::Detector(at as u8);
        let opinion = one.odds.opinion();
        let noted = open.note(&self.ranks, detector, mix(hash), touch.time, opinion, summary);
        let Some(Noted { start, room, .. }) = noted else { return false };
        let reached = Reached { start, odds: one.odds, skipped: 0, room };
        reaches[at] = (room > 0).then_some(reached);
        true
    }

    /// Counts the events that were skipped into the group of an entity and a detector.
    fn count(&mut self, entity: EntityId, detector: Detector, reaches: &mut Reaches) {
        let Some(reached) = reaches[detector as usize].take() else { return };
        if reached.skipped > 0 {
            let hash = route(entity);
            let open = &mut self.open[usize::from(key_group(hash) - self.first_group)];
            let detector = groups::Detector(detector as u8);
            open.count(detector, mix(hash), reached.start, reached.skipped);
        }
    }

    /// Puts opinions into their groups; a finding, if any is worth it.
    fn judge(
        &mut self,
        entity: &Remembered,
        touch: &Touch,
        heard: &[Heard],
        reaches: &mut Reaches,
        summary: &mut groups::Summary,
    ) -> Option<Finding> {
        let mut alerting = Vec::new();
        for one in heard {
            let open = self.note(touch, one, reaches, summary);
            // After the event that lifts its group over the threshold, others that are over it
            // count into the same incident.
            if open && one.odds.reaches(&self.bars[one.detector as usize]) {
                let detector = groups::Detector(one.detector as u8);
                alerting.push((one, self.ranks.decide(detector, one.odds.opinion())));
            }
        }
        if alerting.is_empty() {
            return None;
        }
        let strongest = |(one, _): &(&Heard, groups::Verdict)| {
            OrderedP(one.odds.opinion().p() / self.weight(one.detector), one.detector)
        };
        let first = alerting.iter().min_by_key(|pair| strongest(pair));
        let (first, verdict) = *first.expect("it is not empty");
        let p = |one: &Heard| one.odds.opinion().p();
        let rank = |one: &Heard| {
            let found = alerting.iter().find(|(other, _)| other.detector == one.detector);
            found.map(|(_, verdict)| verdict.rank_p)
        };
        let beside = |one: &&Heard| rank(one).is_some() || one.odds.surprise() >= BESIDE_FROM;
        let contributions = heard.iter().filter(beside).map(|one| Contribution {
            detector: one.detector,
            p: p(one),
            rank_p: rank(one),
            why: self.why(one, entity, touch),
        });
        let mut contributions: Vec<_> = contributions.collect();
        contributions.sort_by_key(|part| OrderedP(part.p, part.detector));
        let earlier = entity
            .seen_twice()
            .map_or(&[][..], |detail| detail.window.events(&self.options.window));
        let earlier = earlier.iter().rev().map(|(_, seq)| *seq).filter(|seq| *seq != touch.seq);
        let mut context: Vec<u64> = earlier.take(EARLIER_EVENTS).collect();
        context.sort_unstable();
        let peer = heard.iter().find(|one| one.detector == Detector::RarePeer);
        let peer = peer.and_then(|one| one.counts).map(|counts| Peer {
            brief: touch.peer,
            seen: counts.seen,
            events: counts.events,
        });
        let surprise = first.odds.surprise();
        let mut aspects: Vec<Aspect> =
            alerting.iter().map(|(one, _)| Aspect::of(one.detector)).collect();
        aspects.sort_unstable();
        aspects.dedup();
        let level = match aspects.len() {
            3.. => Level::High,
            2 => Level::Medium,
            _ if surprise >= MEDIUM_FROM => Level::Medium,
            _ => Level::Low,
        };
        Some(Finding {
            dedup: dedup(touch.entity, level),
            rule: Rule::Model(first.detector),
            level,
            entity: touch.entity,
            kind: touch.kind,
            seq: touch.seq,
            time: touch.time,
            landed: touch.landed,
            window: self.options.incidents[first.detector as usize],
            // Both from millionths, as they were compared: the score is at least the threshold.
            score: score01(surprise.p()),
            threshold: score01(verdict.threshold.p()),
            contributions,
            peer,
            events: Vec::new(),
            context,
            group: Vec::new(),
            value: 0.0,
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

/// What an opinion is about. Detectors of one aspect agree because they look at the same thing:
/// what nobody ever said is rare for whoever says it and follows from nothing, and yet it may be
/// no more than a new release. How bad a finding is goes by how many aspects of it are odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Aspect {
    /// What happens.
    What,
    /// With whom, or from where.
    Whom,
    /// What it looks like.
    Looks,
}

impl Aspect {
    fn of(detector: Detector) -> Self {
        match detector {
            Detector::RareTemplate | Detector::RareForEntity | Detector::UnusualSequence => {
                Aspect::What
            }
            Detector::RarePeer => Aspect::Whom,
            Detector::UnusualContent => Aspect::Looks,
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

/// Findings of an entity are one incident, whichever detector speaks: what breaks in, or a new
/// release, is odd in many ways at once. One that is worse than those before is told again.
fn dedup(entity: EntityId, level: Level) -> u128 {
    let mut key = b"ml".to_vec();
    key.extend_from_slice(&entity.0.to_be_bytes());
    key.push(level as u8);
    let low = stable(&key);
    key.push(0);
    u128::from(stable(&key)) << 64 | u128::from(low)
}

/// The places of the touches among mentions, in the low 32 bits: by entity, then by event. The
/// names of entities are taken out.
///
/// Numbers are sorted and not the touches themselves, which are four times as large. Those of one
/// event and entity stay in their order: they come from one worker.
fn in_order(mentions: &mut [Mention], names: &mut Map<EntityId, Box<str>>) -> Vec<u128> {
    let seqs = mentions.iter().filter_map(|mention| match mention {
        Mention::Touch(touch) => Some(touch.seq),
        Mention::Name(..) => None,
    });
    let first = seqs.min().unwrap_or(0);
    let mut order = Vec::with_capacity(mentions.len());
    for (at, mention) in (0u32..).zip(mentions) {
        match mention {
            Mention::Touch(touch) => {
                let event = u32::try_from(touch.seq - first).expect("an epoch is short");
                let place = u64::from(event) << 32 | u64::from(at);
                order.push(u128::from(route(touch.entity)) << 64 | u128::from(place));
            }
            Mention::Name(entity, _, name) => drop(names.insert(*entity, std::mem::take(name))),
        }
    }
    order.sort_unstable();
    order
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
        mut mentions: Vec<Mention>,
        out: &mut Vec<Said>,
    ) -> Summary {
        let mut summary = Summary::default();
        for tick in local {
            summary.groups.count(tick.events);
            self.learn_texts(tick.texts);
            for open in &mut self.open {
                open.close(&self.ranks, tick.watermark, &mut summary.groups);
            }
        }
        let thresholds = Detector::ALL
            .iter()
            .map(|detector| Bar::at(self.ranks.threshold(groups::Detector(*detector as u8))));
        self.bars = thresholds.collect();
        let evidence = Bar::at(EVIDENCE_FROM);

        let mut names = Map::<EntityId, Box<str>>::default();
        let order = in_order(&mut mentions, &mut names);
        let touch = |at: u128| match &mentions[at as u32 as usize] {
            Mention::Touch(touch) => touch,
            Mention::Name(..) => unreachable!("only touches are in order"),
        };
        self.memory.begin(epoch);
        let seen = self.memory.seen;
        let store = Rc::clone(&self.store);
        let mut memory = std::mem::take(&mut self.memory);
        let mut heard = Vec::new();
        for run in order.chunk_by(|one, other| touch(*one).entity == touch(*other).entity) {
            let first = touch(run[0]);
            let name = || names.remove(&first.entity).unwrap_or_default();
            let mut reaches = Reaches::default();
            memory.with(first, name, &*store, |entity| {
                for touch in run.iter().map(|at| touch(*at)) {
                    heard.clear();
                    self.hear(entity.meet(&self.options, epoch, touch), touch, &mut heard);
                    let groups = &mut summary.groups;
                    if let Some(finding) = self.judge(entity, touch, &heard, &mut reaches, groups) {
                        self.findings.push(crate::alert::route(finding.dedup), finding);
                    }
                    let told = heard.iter().filter(|one| matches!(one.odds, Odds::P(_)));
                    for one in told.filter(|one| one.odds.reaches(&evidence)) {
                        let (detector, surprise) = (one.detector, one.odds.surprise());
                        let evidence = Evidence { seq: touch.seq, detector, surprise };
                        self.evidence.push_to(touch.landed, evidence);
                    }
                    match entity.detail() {
                        Some(detail) => {
                            detail.take(&self.options, touch, &mut summary.sequence);
                        }
                        None if touch.part.has(Part::SEQUENCE) && touch.template != 0 => {
                            let symbol = Symbol::of(touch.template);
                            summary.sequence.add((markov::Entity::default().past(), symbol));
                        }
                        None => {}
                    }
                }
            });
            for detector in Detector::ALL {
                self.count(first.entity, detector, &mut reaches);
            }
        }
        self.memory = memory;
        out.extend(self.evidence.take().map(Said::Evidence));
        out.extend(self.findings.take().map(Said::Finding));
        if self.memory.seen != seen {
            out.push(Said::Seen(epoch, self.memory.seen - seen));
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
        self.store.unsaved(self.memory.unsaved());
    }

    fn snapshot(&mut self, changes: &mut Changes) {
        if changes.is_first() {
            let mut bytes = [Vec::new(), Vec::new()];
            self.markov.encode(&mut bytes[0]);
            self.ranks.encode(&mut bytes[1]);
            for (name, bytes) in NAMES.into_iter().zip(bytes) {
                changes.put(&model_key(name), &bytes);
            }
        }
        if changes.models_only() {
            return;
        }
        for (group, open) in (self.first_group..).zip(&self.open) {
            let key = state_key(TIMERS, group, &[]);
            match open.is_empty() {
                true => changes.delete(&key),
                false => {
                    let mut bytes = Vec::new();
                    open.encode(&mut bytes);
                    changes.put(&key, &bytes);
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
