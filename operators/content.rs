//! What an event is by itself: how rare its template is among all events, and how unlike other
//! messages it is in numbers.
//!
//! Both models are of all events, whoever they are about, so they are shared: each worker judges
//! and counts what landed on it, and all workers learn the sum. That way one busy source is no
//! single worker's burden. What is found is written on the event; who it is about decides, later
//! and elsewhere, whether anybody is told.

use std::rc::Rc;

use serde::{Deserialize, Serialize};
use timely::dataflow::StreamVec;
use timely::dataflow::operators::generic::operator::empty;

use crate::logic::{Stage, stage};
use crate::score::features::{self, Features, Scale};
use crate::score::half_space::{self, HalfSpace};
use crate::score::opinion::{Opinion, Surprise};
use crate::score::rarity::{self, Rarity};
use crate::state::{Changes, Ledger, Store, model_key};
use crate::types::hash::Map;
use crate::types::summary::Mergeable;
use crate::types::{Grounds, NO_OPINION, Note, Share, Texts};

/// How the models remember, and from which surprise on they say why.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The trees.
    pub half_space: half_space::Options,
    /// What the trees' features are compared with.
    pub features: features::Options,
    /// Templates.
    pub rarity: rarity::Options,
    /// Less surprising events are not explained. At most the floor of the decision.
    pub explain_from: Surprise,
}

/// What one epoch brought.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Summary {
    half_space: half_space::Summary,
    features: features::Summary,
    rarity: rarity::Summary,
}

impl Mergeable for Summary {
    fn merge(&mut self, other: Self) {
        self.half_space.merge(other.half_space);
        self.features.merge(other.features);
        self.rarity.merge(other.rarity);
    }
}

/// Judges events by themselves. See the [module](self).
pub struct Content {
    options: Options,
    half_space: HalfSpace,
    scale: Scale,
    rarity: Rarity,
}

/// What the models of closed epochs say of a template, and how often it was met in this one.
struct Known {
    rare: Option<Opinion>,
    /// The same in millionths of a decade.
    surprise: u32,
    wildcards: usize,
    age: u64,
    events: u64,
}

fn millionths(opinion: Option<Opinion>) -> u32 {
    opinion.map_or(NO_OPINION, |opinion| opinion.surprise().0)
}

/// The names of the models in the store.
const NAMES: [&str; 3] = ["content.half_space", "content.scale", RARITY];

/// The name in the store of the model of how rare templates are: [`Rarity::decode`] reads it.
pub const RARITY: &str = "content.rarity";

impl Content {
    /// Models as of the last checkpoint; a model that cannot be read back starts anew.
    #[must_use]
    pub fn new(options: Options, store: &dyn Store) -> Self {
        let saved = |name: &str| store.get(&model_key(name));
        let half_space = saved(NAMES[0])
            .and_then(|bytes| HalfSpace::decode(options.half_space, &bytes).ok())
            .unwrap_or_else(|| HalfSpace::new(options.half_space));
        let scale = saved(NAMES[1])
            .and_then(|bytes| Scale::decode(options.features, &bytes).ok())
            .unwrap_or_else(|| Scale::new(options.features));
        let rarity = saved(NAMES[2])
            .and_then(|bytes| Rarity::decode(options.rarity, &bytes).ok())
            .unwrap_or_else(|| Rarity::new(options.rarity));
        Content { options, half_space, scale, rarity }
    }

    /// What there is to say of a template, whatever else is in its event.
    fn know(&self, template: u64, texts: &Texts) -> Known {
        let rare = (template != 0).then(|| self.rarity.score(template)).flatten();
        Known {
            rare,
            surprise: millionths(rare),
            wildcards: texts.get(&template).map_or(0, |text| text.wildcards as usize),
            age: self.rarity.seen(template),
            events: 0,
        }
    }

    fn judge(&self, share: &mut Share, summary: &mut Summary) {
        let texts = std::sync::Arc::clone(&share.texts);
        // The models stand still during an epoch, so what they say of a template does too.
        let mut templates = Map::<u64, Known>::default();
        let explain =
            |surprise: u32| surprise != NO_OPINION && surprise >= self.options.explain_from.0;
        for batch in &mut share.batches {
            for at in 0..batch.events.len() {
                let event = batch.events[at];
                let message = batch.text(event.message);
                let known = templates
                    .entry(event.template)
                    .or_insert_with(|| self.know(event.template, &texts));
                known.events += 1;
                let entities = (event.entities.1 - event.entities.0) as usize;
                let features =
                    Features::new(message, known.wildcards, entities, event.time, known.age);
                let bins = features.bins();
                let point = self.scale.place(event.template, &bins);
                let unusual = point.and_then(|point| {
                    let score = self.half_space.score_and_learn(&point, &mut summary.half_space)?;
                    self.half_space.opinion(score)
                });
                let known_well = self.scale.knows(event.template);
                let beyond = self.scale.beyond(event.template, &bins);
                // Among all messages those of a new template are odd anyway; that they are new is
                // for rarity to say.
                let unusual = known_well.then(|| either(unusual, beyond.map(|(far, _)| far)));
                summary.features.learn(event.template, bins, event.time);
                let surprise = [known.surprise, millionths(unusual)];
                batch.events[at].surprise = surprise;

                if let Some(opinion) = known.rare.filter(|_| explain(surprise[0])) {
                    let rarity::Evidence { seen, events } = self.rarity.evidence(event.template);
                    let grounds = Grounds::Rare { seen, events };
                    share.notes.push(Note { seq: event.seq, p: opinion.p(), grounds });
                }
                let unusual = unusual.filter(|_| explain(surprise[1]));
                if let (Some(opinion), Some(point)) = (unusual, point) {
                    let grounds = match beyond {
                        Some((far, feature)) if 2.0 * far.p() <= opinion.p() => Grounds::Beyond {
                            feature: feature as u8,
                            value: features.0[feature],
                            most: self.scale.most(event.template, feature),
                            of: self.scale.seen(event.template),
                        },
                        _ => {
                            let isolating = self.half_space.isolating(&point);
                            Grounds::Unusual {
                                features: isolating.map(|at| at as u8),
                                values: isolating.map(|at| features.0[at]),
                                own: self.scale.knows(event.template),
                            }
                        }
                    };
                    share.notes.push(Note { seq: event.seq, p: opinion.p(), grounds });
                }
            }
        }
        for (template, known) in templates.into_iter().filter(|(template, _)| *template != 0) {
            summary.rarity.add_many(template, known.events);
        }
    }
}

/// The opinion of the trees, where they have one, and of whoever saw something beyond all: the less
/// probable one, which counts twice where both were asked.
fn either(trees: Option<Opinion>, beyond: Option<Opinion>) -> Opinion {
    let nothing = Opinion::new(1.0);
    match (trees, beyond) {
        (Some(one), Some(other)) => Opinion::new(2.0 * one.p().min(other.p())),
        (one, other) => one.or(other).unwrap_or(nothing),
    }
}

impl Stage for Content {
    type Local = Share;
    type Remote = ();
    type Summary = Summary;
    type Out = Rc<Share>;

    fn close(
        &mut self,
        _epoch: u64,
        local: Vec<Share>,
        _: Vec<()>,
        out: &mut Vec<Rc<Share>>,
    ) -> Summary {
        let mut summary = Summary::default();
        for mut share in local {
            self.judge(&mut share, &mut summary);
            out.push(Rc::new(share));
        }
        summary
    }

    fn merge(&mut self, _epoch: u64, summaries: Vec<Summary>, _: &mut Vec<Rc<Share>>) {
        let mut all = Summary::default();
        for summary in summaries {
            all.merge(summary);
        }
        self.half_space.apply(&all.half_space);
        self.scale.apply(&all.features);
        self.rarity.apply(&all.rarity);
    }

    fn snapshot(&mut self, changes: &mut Changes) {
        if !changes.is_first() {
            return;
        }
        let mut bytes = [Vec::new(), Vec::new(), Vec::new()];
        self.half_space.encode(&mut bytes[0]);
        self.scale.encode(&mut bytes[1]);
        self.rarity.encode(&mut bytes[2]);
        for (name, bytes) in NAMES.into_iter().zip(bytes) {
            changes.put(&model_key(name), &bytes);
        }
    }
}

/// `content`, on a stream of shares.
pub trait ContentExt<'scope> {
    /// Writes on each event how surprising its template and its content are.
    fn content(
        self,
        options: Options,
        store: &Rc<dyn Store>,
        ledger: &Rc<Ledger>,
    ) -> StreamVec<'scope, u64, Rc<Share>>;
}

impl<'scope> ContentExt<'scope> for StreamVec<'scope, u64, Share> {
    fn content(
        self,
        options: Options,
        store: &Rc<dyn Store>,
        ledger: &Rc<Ledger>,
    ) -> StreamVec<'scope, u64, Rc<Share>> {
        let nothing = empty(self.scope());
        stage(self, nothing, "Content", ledger, Content::new(options, &**store))
    }
}
