//! Where an event landed, all that was found of it comes together.
//!
//! The text of an event never leaves its worker; what owners of entities and of incidents found
//! comes back to it. Here an event gets its score, and an incident its alert, told in full.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use timely::dataflow::StreamVec;

use crate::logic::{Parcel, Stage, stage};
use crate::score::features::{beyond_sentence, described};
use crate::score::opinion::{Opinion, Surprise, score01};
use crate::score::{half_space, rarity};
use crate::state::{Changes, Ledger, Store};
use crate::types::finding::AlertEntity;
use crate::types::hash::groups_of;
use crate::types::{
    Alert, Batch, Contribution, Detector, EntityId, Event, Finding, Grounds, NO_OPINION, Note,
    Peer, Rule, Share, Texts,
};

pub mod attack;
pub mod kept;

use attack::Attack;
use kept::{Keep, Kept};

/// What reaches the worker that an event landed on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Mail {
    /// What an entity's owner thinks of an event: its number, the detector, the surprise in
    /// millionths of a decade.
    Opinion(u64, Detector, u32),
    /// An incident began with a finding in an event that landed here: its id, and the finding.
    Opened(u128, Box<Finding>),
}

/// All that is known of the events of an epoch that landed on one worker.
#[derive(Clone, Debug)]
pub struct Report {
    /// The events.
    pub share: Rc<Share>,
    /// The score of each event, in [0, 1], in order; negative where nobody had an opinion.
    pub scores: Vec<f32>,
    /// New incidents, by sequence number: those whose first event is among them, and those of
    /// correlations that were decided in this epoch and whose last event landed here.
    pub alerts: Vec<Alert>,
}

/// What an alert needs to know about a rule.
pub trait Rulebook {
    /// Fills in what only the rule knows: its id, title, tags, what matched.
    fn describe(&self, finding: &Finding, batch: &Batch, event: &Event, alert: &mut Alert);

    /// Fills in what only the correlation knows that fired in an epoch.
    fn describe_firing(&self, _epoch: u64, _finding: &Finding, _alert: &mut Alert) {}

    /// Names the events of a share of which an alert may have to tell in a later epoch.
    fn keep<'s>(&self, _share: &'s Share, _tell: &mut dyn FnMut(&'s Batch, &'s Event)) {}
}

/// A rulebook without rules.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRules;

impl Rulebook for NoRules {
    fn describe(&self, _: &Finding, _: &Batch, _: &Event, _: &mut Alert) {}
}

/// Puts scores and alerts together. See the [module](self).
pub struct Reporter {
    /// What each detector of [`Detector::ALL`] pays for speaking beside the others, in millionths
    /// of a decade; `None` if it has no say.
    prices: Vec<Option<u32>>,
    attack: Attack,
    rules: Rc<dyn Rulebook>,
    kept: Keep,
}

impl Reporter {
    /// A reporter with the detectors' weights, the tags of what they find, and the rules that
    /// alerts may come from.
    #[must_use]
    pub fn new(weights: &[f64], attack: Attack, rules: Rc<dyn Rulebook>) -> Self {
        Reporter { prices: prices(weights), attack, rules, kept: Keep::default() }
    }

    /// The score of an event: [`combine`] of its opinions, computed with their logarithms.
    ///
    /// [`combine`]: crate::score::opinion::combine
    fn score(&self, event: &Event, opinions: &[(u64, Detector, u32)]) -> f32 {
        let own =
            [Detector::RareTemplate, Detector::UnusualContent].into_iter().zip(event.surprise);
        let others = opinions.iter().map(|(_, detector, surprise)| (*detector, *surprise));
        let (mut silent, mut most) = (true, 0);
        for (detector, surprise) in own.chain(others).filter(|(_, s)| *s != NO_OPINION) {
            silent = false;
            if let Some(price) = self.prices[detector as usize] {
                most = most.max(surprise.saturating_sub(price));
            }
        }
        match (silent, most) {
            (true, _) => -1.0,
            (_, 0) => 0.0,
            _ => score01(Surprise(most).p()) as f32,
        }
    }

    /// The alert of a correlation that fired, whose last event may be long gone.
    fn firing(&self, share: &Share, id: u128, finding: &Finding) -> Alert {
        let kept = self.kept.get(finding.seq).unwrap_or_default();
        let about = finding.entity.to_string();
        let entity = match (kept.entities.iter().find(|entity| entity.id == about), finding.kind) {
            (Some(entity), _) => entity.clone(),
            (None, Some(kind)) => {
                AlertEntity { kind: kind.name().to_owned(), value: String::new(), id: about }
            }
            (None, None) => {
                AlertEntity { kind: "source".to_owned(), value: kept.source.clone(), id: about }
            }
        };
        let mut alert = begun(share, id, finding, entity, &kept);
        self.rules.describe_firing(share.end.epoch, finding, &mut alert);
        alert
    }

    fn alert(&self, share: &Share, id: u128, finding: Finding) -> Option<Alert> {
        if let Rule::Correlation(_) = finding.rule {
            return Some(self.firing(share, id, &finding));
        }
        let (batch, event) = share.find(finding.seq)?;
        let mut contributions = finding.contributions.clone();
        for note in share.notes_on(finding.seq) {
            let note = contribution(note, event.template, &share.texts);
            match contributions.iter_mut().find(|known| known.detector == note.detector) {
                Some(known) => known.why = note.why,
                None => contributions.push(note),
            }
        }
        let kept = Kept::of(share, batch, event);
        let about = entity(batch, event, finding.entity, kept.source.clone());
        let with = contributions.iter_mut().find(|part| part.detector == Detector::RarePeer);
        if let (Some(part), Some(peer)) = (with, &finding.peer) {
            part.why = company(peer, batch, event, &about);
        }
        let mut alert = Alert { contributions, ..begun(share, id, &finding, about, &kept) };
        match finding.rule {
            Rule::Model(detector) => {
                alert.kind = "ml".to_owned();
                alert.rule = detector.name().to_owned();
                let why = alert.contributions.iter().find(|part| part.detector == detector);
                alert.title = why.map_or(String::new(), |part| part.why.clone());
                if alert.title.is_empty() {
                    alert.title = detector.name().replace('-', " ");
                }
                if let Some((tactics, techniques)) = self.attack.tags(detector, &kept.template_text)
                {
                    (alert.tactics, alert.techniques) = (tactics.to_vec(), techniques.to_vec());
                }
                alert.dedup_key = format!("ml:{}:{}", finding.entity, finding.level.name());
            }
            Rule::Sigma(_) | Rule::Correlation(_) => {
                self.rules.describe(&finding, batch, event, &mut alert);
                alert.dedup_key = format!("{}:{}:{}", alert.kind, alert.rule, finding.entity);
            }
        }
        Some(alert)
    }
}

/// An alert of kind `sigma`, before its rule is asked: what a finding and its event say.
fn begun(share: &Share, id: u128, finding: &Finding, entity: AlertEntity, kept: &Kept) -> Alert {
    let mut events = finding.events.clone();
    events.push(finding.seq);
    events.sort_unstable();
    events.dedup();
    Alert {
        id: uuid::Uuid::from_u128(id).to_string(),
        kind: "sigma".to_owned(),
        rule: String::new(),
        title: String::new(),
        severity: finding.level,
        entity,
        event_time: finding.time.to_rfc3339(),
        last_time: finding.time.to_rfc3339(),
        epoch: share.end.epoch,
        count: 1,
        score: finding.score,
        threshold: finding.threshold,
        contributions: Vec::new(),
        events,
        context: finding.context.clone(),
        source: kept.source.clone(),
        host: kept.host.clone(),
        event_severity: kept.severity,
        message: kept.message.clone(),
        template_id: format!("{:016x}", kept.template),
        template: kept.template_text.clone(),
        tactics: Vec::new(),
        techniques: Vec::new(),
        dedup_key: String::new(),
        matched: None,
    }
}

/// A note in words. `texts` are the templates as of the epoch.
fn contribution(note: &Note, template: u64, texts: &Texts) -> Contribution {
    let (detector, why) = match note.grounds {
        Grounds::Rare { seen, events } => {
            let text = texts.get(&template).map_or("", |template| &template.text);
            let evidence = rarity::Evidence { seen, events };
            (Detector::RareTemplate, evidence.sentence(format_args!("template `{text}`"), ""))
        }
        Grounds::Unusual { features: [one, other], values, own } => {
            let names = [described(one.into(), values[0]), described(other.into(), values[1])];
            (Detector::UnusualContent, half_space::sentence(names, Opinion::new(note.p), own))
        }
        Grounds::Beyond { feature, value, most, of } => {
            (Detector::UnusualContent, beyond_sentence(feature.into(), value, most, of))
        }
    };
    Contribution { detector, p: note.p, rank_p: None, why }
}

/// With whom the entity that an alert is about was seen, and how seldom before.
fn company(peer: &Peer, batch: &Batch, event: &Event, about: &AlertEntity) -> String {
    let who = batch.entities(event).iter().find(|entity| entity.id.brief() == peer.brief);
    let who = who.map_or("who it was".to_owned(), |who| {
        format!("{} {}", who.kind.name(), batch.text(who.value))
    });
    let evidence = rarity::Evidence { seen: peer.seen, events: peer.events };
    evidence.sentence(who, &format!("with {} {}", about.kind, about.value))
}

/// −log₁₀ of each weight's share of all, in millionths.
fn prices(weights: &[f64]) -> Vec<Option<u32>> {
    let sum: f64 = weights.iter().map(|weight| weight.max(0.0)).sum();
    let price = |weight: &f64| (*weight > 0.0).then(|| Surprise::of(weight / sum).0);
    weights.iter().map(price).collect()
}

/// The entity that a finding is about, as its event writes it.
fn entity(batch: &Batch, event: &Event, id: EntityId, source: String) -> AlertEntity {
    let named = batch.entities(event).iter().find(|entity| entity.id == id);
    match named {
        Some(named) => AlertEntity {
            kind: named.kind.name().to_owned(),
            value: batch.text(named.value).to_owned(),
            id: id.to_string(),
        },
        None => AlertEntity { kind: "source".to_owned(), value: source, id: id.to_string() },
    }
}

impl Stage for Reporter {
    type Local = Rc<Share>;
    type Remote = Mail;
    type Summary = ();
    type Out = Rc<Report>;
    const SHARED: bool = false;

    fn close(
        &mut self,
        _epoch: u64,
        local: Vec<Rc<Share>>,
        mail: Vec<Mail>,
        out: &mut Vec<Rc<Report>>,
    ) {
        let mut opinions = Vec::new();
        let mut opened = BTreeMap::new();
        for mail in mail {
            match mail {
                Mail::Opinion(seq, detector, surprise) => opinions.push((seq, detector, surprise)),
                Mail::Opened(id, finding) => drop(opened.insert((finding.seq, id), finding)),
            }
        }
        opinions.sort_unstable();
        for share in local {
            let kept = &mut self.kept;
            self.rules.keep(&share, &mut |batch, event| {
                kept.put(event.seq, &Kept::of(&share, batch, event));
            });
            let events = share.batches.iter().map(|batch| batch.events.len()).sum();
            let mut scores = Vec::with_capacity(events);
            let mut rest = &opinions[..];
            for (_, event) in share.events() {
                let others = rest.iter().take_while(|(seq, _, _)| *seq < event.seq).count();
                rest = &rest[others..];
                let own = rest.iter().take_while(|(seq, _, _)| *seq == event.seq).count();
                scores.push(self.score(event, &rest[..own]));
                rest = &rest[own..];
            }
            let alerts = opened
                .iter()
                .filter_map(|((_, id), finding)| self.alert(&share, *id, (**finding).clone()))
                .collect();
            self.kept.release(share.watermark, share.end.next_seq);
            out.push(Rc::new(Report { share, scores, alerts }));
        }
    }

    fn merge(&mut self, _: u64, _: Vec<()>, _: &mut Vec<Rc<Report>>) {}

    fn snapshot(&mut self, changes: &mut Changes) {
        if !changes.models_only() {
            self.kept.snapshot(changes);
        }
    }
}

/// `report`, on the shares of a worker.
pub trait ReportExt<'scope> {
    /// Puts together what is known of events where they landed.
    fn report(
        self,
        mail: StreamVec<'scope, u64, Parcel<Mail>>,
        reporter: Reporter,
        store: &Rc<dyn Store>,
        ledger: &Rc<Ledger>,
    ) -> StreamVec<'scope, u64, Rc<Report>>;
}

impl<'scope> ReportExt<'scope> for StreamVec<'scope, u64, Rc<Share>> {
    fn report(
        self,
        mail: StreamVec<'scope, u64, Parcel<Mail>>,
        mut reporter: Reporter,
        store: &Rc<dyn Store>,
        ledger: &Rc<Ledger>,
    ) -> StreamVec<'scope, u64, Rc<Report>> {
        let scope = self.scope();
        reporter.kept = Keep::load(groups_of(scope.index(), scope.peers()), &**store);
        stage(self, mail, "Report", ledger, reporter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::opinion::combine;
    use crate::types::hash::mix;

    #[test]
    fn a_score_is_that_of_the_combined_opinions() {
        let weights = [1.0, 0.5, 0.0, 2.0, 1.0 / 3.0];
        let prices = prices(&weights);
        let mut random = 3u64;
        for _ in 0..10_000 {
            random = mix(random + 1);
            let detector = (random % 5) as usize;
            let surprise = Surprise((random >> 8) as u32 % 12_000_000);
            let price = prices[detector];
            let most = price.map_or(0, |price| surprise.0.saturating_sub(price));
            let mut all: Vec<_> = weights.iter().map(|weight| (*weight, 1.0)).collect();
            all[detector].1 = surprise.p();
            let difference = score01(Surprise(most).p()) - score01(combine(&all));
            assert!(difference.abs() < 1e-6, "{surprise} of {detector}: {difference}");
        }
    }
}
