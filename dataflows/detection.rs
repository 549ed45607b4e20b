//! From the journal's blocks to scored events and alerts.
//!
//! ```text
//!  hands ── read ── watermark ── template ── content ──┬───────────────────── report ──▶ reports
//!          (parse,   (late?)     (which      (rare?    │                       ▲   ▲
//!           extract,              sentence?)  unlike?) ├ mentions ═ by entity ▶ entity │
//!           sigma)                                     │                       │      │
//!                                                      │  evidence ◀═ by landing worker
//!                                                      │  findings ═ by incident ▶ alert ──▶ more
//!                                                      ├ matches ═══ by incident ▶ ▲ ▲ ▲
//!                                                      ├ hits ═ by group ▶ correlation
//!                                                      └ ticks (watermark, templates) ▲
//! ```
//!
//! `correlation` is a few stages, one for each level of correlations that refer to correlations.
//! Double lines cross workers; what crosses is small. The text of events stays where it landed.

use std::rc::Rc;
use std::sync::Arc;

use operators::alert::{AlertsExt, Told};
use operators::content::{self, ContentExt};
use operators::correlation::{self, CorrelationsExt, HitsExt};
use operators::entity::memory::Seen;
use operators::entity::touch::{Mention, Mentions, source_id};
use operators::entity::{self, EntitiesExt, Said, Tick};
use operators::extract::{self, Extractor};
use operators::logic::{Parcel, Sorter};
use operators::parse::{self, Parser};
use operators::report::attack::Attack;
use operators::report::{Mail, Report, ReportExt, Reporter};
use operators::sigma::{Schedule, Sigma};
use operators::state::{Ledger, Store};
use operators::template::{self, TemplateExt};
use operators::types::{EventTime, Hand, More, Share};
use operators::watermark::{self, WatermarkExt};
use timely::dataflow::StreamVec;
use timely::dataflow::operators::core::{Concatenate, Map, OkErr};

use crate::rulebook::{Book, MatchesExt};

/// What each operator is told once.
#[derive(Clone, Debug)]
pub struct Options {
    /// Records to events.
    pub parse: parse::Options,
    /// Events to entities.
    pub extract: extract::Options,
    /// Late events.
    pub watermark: watermark::Options,
    /// Templates.
    pub template: template::Options,
    /// Events by themselves.
    pub content: content::Options,
    /// Events and their entities.
    pub entity: entity::Options,
    /// The weight of each detector of [`Detector::ALL`](operators::types::Detector::ALL) in the
    /// score of an event, in order.
    pub weights: Vec<f64>,
    /// What ATT&CK calls what detectors find.
    pub attack: Attack,
}

/// What comes out, each by epoch.
pub struct Outputs<'scope> {
    /// The events that landed on this worker, and the alerts that begin with them.
    pub reports: StreamVec<'scope, u64, Rc<Report>>,
    /// What became of incidents whose owner this worker is, with the epoch.
    pub more: StreamVec<'scope, u64, (u64, More)>,
    /// How many entities were seen that were not seen before since the start, of those that this
    /// worker owns: the epoch, and how many.
    pub seen: StreamVec<'scope, u64, (u64, Seen)>,
    /// Matches that correlations could not count: the epoch, and how many, by reason.
    pub uncounted: StreamVec<'scope, u64, (u64, correlation::Counts)>,
}

/// Detects. One hand for each worker and epoch goes in. `rules` is what all workers share.
pub fn detection<'scope>(
    hands: StreamVec<'scope, u64, Hand>,
    options: &Options,
    rules: &Arc<Schedule>,
    store: &Rc<dyn Store>,
    ledger: &Rc<Ledger>,
) -> Outputs<'scope> {
    let scope = hands.scope();
    let shares = hands
        .read(options, rules)
        .watermark(options.watermark, store, ledger)
        .template(options.template, store, ledger)
        .content(options.content, store, ledger);

    let mentions = shares.clone().mentions();
    let ticks = shares.clone().map(|share: Rc<Share>| Tick {
        watermark: share.watermark,
        texts: share.texts.clone(),
        events: share.batches.iter().map(|batch| batch.events.len() as u64).sum(),
    });
    let marks =
        shares.clone().map(|share: Rc<Share>| share.watermark).container::<Vec<EventTime>>();

    let (evidence, said) = ticks
        .container::<Vec<Tick>>()
        .entities(mentions, options.entity.clone(), store, ledger)
        .ok_err(|said| match said {
            Said::Evidence(parcel) => Ok(parcel),
            other => Err(other),
        });
    let (findings, seen) = said.container::<Vec<Said>>().ok_err(|said| match said {
        Said::Finding(parcel) => Ok(parcel),
        Said::Seen(epoch, seen) => Err((epoch, seen)),
        Said::Evidence(_) => unreachable!("it was taken out before"),
    });
    let matches = shares.clone().matches(rules);
    let hits = shares.clone().hits(rules, source_id);
    let (firings, uncounted) =
        marks.clone().correlations(hits, rules, store, ledger).ok_err(|said| match said {
            correlation::Said::Finding(parcel) => Ok(parcel),
            correlation::Said::Uncounted(epoch, counts) => Err((epoch, counts)),
            correlation::Said::Fed(_) => unreachable!("no level is above the highest"),
        });
    let findings = scope.concatenate([findings.container(), matches, firings.container()]);
    let (opened, more) = marks.alerts(findings, store, ledger).ok_err(|told| match told {
        Told::Opened(opened) => {
            let to = opened.finding.landed;
            let mail = Mail::Opened(opened.id, Box::new(opened.finding));
            Ok(Parcel { to, items: vec![mail] })
        }
        Told::More(epoch, more) => Err((epoch, more)),
    });

    let opinions = evidence.container::<Vec<Parcel<entity::Evidence>>>().map(|parcel| {
        let mail = |one: entity::Evidence| Mail::Opinion(one.seq, one.detector, one.surprise.0);
        Parcel { to: parcel.to, items: parcel.items.into_iter().map(mail).collect() }
    });
    let mail = timely::dataflow::operators::Concat::concat(opinions, opened.container());
    let reporter =
        Reporter::new(&options.weights, options.attack.clone(), Rc::new(Book::new(rules)));
    let reports = shares.report(mail, reporter, store, ledger);
    Outputs {
        reports,
        more: more.container(),
        seen: seen.container(),
        uncounted: uncounted.container(),
    }
}

/// The stages without a memory, on a stream of hands.
trait ReadExt<'scope> {
    /// Parses records, finds the entities in them, and the rules that match.
    ///
    /// An epoch is matched by the rules that are active in it: here is where others take over.
    fn read(self, options: &Options, rules: &Arc<Schedule>) -> StreamVec<'scope, u64, Share>;
}

impl<'scope> ReadExt<'scope> for StreamVec<'scope, u64, Hand> {
    fn read(self, options: &Options, rules: &Arc<Schedule>) -> StreamVec<'scope, u64, Share> {
        let parser = Parser::new(options.parse.clone());
        let mut extractor = Extractor::new(options.extract);
        let rules = Arc::clone(rules);
        let mut sigma = Sigma::new(&rules.at(0));
        self.map(move |hand: Hand| {
            sigma.follow(&rules.at(hand.end.epoch));
            let batches = hand.blocks.into_iter().map(|block| {
                let mut batch = parser.parse(block);
                extractor.extract(&mut batch);
                sigma.detect(&mut batch);
                batch
            });
            Share::new(hand.end, batches.collect())
        })
    }
}

/// What events say of entities, on a stream of shares.
trait MentionsExt<'scope> {
    /// Tells the owners of entities of the events that mention them.
    fn mentions(self) -> StreamVec<'scope, u64, Parcel<Mention>>;
}

impl<'scope> MentionsExt<'scope> for StreamVec<'scope, u64, Rc<Share>> {
    fn mentions(self) -> StreamVec<'scope, u64, Parcel<Mention>> {
        let scope = self.scope();
        let (peers, worker) = (scope.peers(), scope.index() as u32);
        let mut mentions = Mentions::default();
        self.flat_map(move |share: Rc<Share>| {
            let mut sorter = Sorter::new(peers);
            // An event has at least one, and seldom more than one beside its entities.
            let entities: usize = share.batches.iter().map(|batch| batch.entities.len()).sum();
            sorter.reserve(entities);
            for (batch, event) in share.events() {
                let canonical = extract::canonical;
                mentions.of(batch, event, worker, canonical, |hash, mention| {
                    sorter.push(hash, mention);
                });
            }
            sorter.take().collect::<Vec<_>>()
        })
    }
}
