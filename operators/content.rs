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
use crate::score::features::{self, FEATURE_NAMES, Features, Scale};
use crate::score::half_space::{self, HalfSpace};
use crate::score::opinion::{Opinion, Surprise};
use crate::score::rarity::{self, Rarity};
use crate::state::{Changes, Ledger, Store, model_key};
use crate::types::summary::Mergeable;
use crate::types::{Contribution, Detector, NO_OPINION, Share};

/// How the models remember, and from which surprise on they say why.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The trees.
    pub half_space: half_space::Options,
    /// What the trees' features are compared with.
    pub features: features::Options,
    /// Templates.
    pub rarity: rarity::Options,
    /// Less surprising events get no sentence. At most the floor of the decision.
    pub explain_from: Surprise,
}

/// How many events of a share get a sentence; the others are judged all the same.
pub const NOTES_MAX: usize = 4_096;

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

/// The names of the models in the store.
const NAMES: [&str; 3] = ["content.half_space", "content.scale", "content.rarity"];

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

    fn judge(&self, share: &mut Share, summary: &mut Summary) {
        let texts = std::sync::Arc::clone(&share.texts);
        for batch in &mut share.batches {
            for at in 0..batch.events.len() {
                let event = batch.events[at];
                let message = batch.text(event.message);
                let template = texts.get(&event.template);
                let parameters = template.map_or(0, |template| template.wildcards as usize);
                let entities = (event.entities.1 - event.entities.0) as usize;
                let age = self.rarity.seen(event.template);
                let features = Features::new(message, parameters, entities, event.time, age);
                let bins = features.bins();
                let point = self.scale.place(event.template, &bins);
                let unusual = point.and_then(|point| {
                    let score = self.half_space.score_and_learn(&point, &mut summary.half_space)?;
                    self.half_space.opinion(score)
                });
                summary.features.learn(event.template, bins, event.time);
                let mut rare = None;
                if event.template != 0 {
                    rare = self.rarity.score(event.template);
                    summary.rarity.add(event.template);
                }
                let millionths = |opinion: Option<Opinion>| {
                    opinion.map_or(NO_OPINION, |opinion| opinion.surprise().0)
                };
                batch.events[at].surprise = [millionths(rare), millionths(unusual)];

                let told = |opinion: &Opinion| opinion.surprise() >= self.options.explain_from;
                if share.notes.len() >= NOTES_MAX {
                    continue;
                }
                if let Some(opinion) = rare.filter(told) {
                    let text = template.map_or("", |template| &template.text);
                    let evidence = self.rarity.evidence(event.template);
                    share.notes.entry(event.seq).or_default().push(Contribution {
                        detector: Detector::RareTemplate,
                        p: opinion.p(),
                        rank_p: None,
                        why: evidence.sentence(format_args!("template `{text}`"), "anywhere"),
                    });
                }
                if let (Some(opinion), Some(point)) = (unusual.filter(told), point) {
                    let names = self.half_space.isolating(&point).map(|at| FEATURE_NAMES[at]);
                    let own = self.scale.knows(event.template);
                    share.notes.entry(event.seq).or_default().push(Contribution {
                        detector: Detector::UnusualContent,
                        p: opinion.p(),
                        rank_p: None,
                        why: half_space::sentence(names, opinion, own),
                    });
                }
            }
        }
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
            changes.put(model_key(name), bytes);
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
