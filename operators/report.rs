//! Where an event landed, all that was found of it comes together.
//!
//! The text of an event never leaves its worker; what owners of entities and of incidents found
//! comes back to it. Here an event gets its score, and an incident its alert, told in full.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use timely::dataflow::StreamVec;

use crate::logic::{Parcel, Stage, stage};
use crate::state::Ledger;
use crate::types::finding::{AlertEntity, MESSAGE_MAX};
use crate::types::{Alert, Batch, Detector, EntityId, Event, Finding, NO_OPINION, Rule, Share};

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
    /// New incidents whose first event is among them, by sequence number.
    pub alerts: Vec<Alert>,
}

/// What an alert needs to know about a rule.
pub trait Rulebook {
    /// Fills in what only the rule knows: its id, title, tags, what matched.
    fn describe(&self, finding: &Finding, batch: &Batch, event: &Event, alert: &mut Alert);
}

/// A rulebook without rules.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRules;

impl Rulebook for NoRules {
    fn describe(&self, _: &Finding, _: &Batch, _: &Event, _: &mut Alert) {}
}

/// Puts scores and alerts together. See the [module](self).
pub struct Reporter {
    /// The weight of each detector of [`Detector::ALL`] in a score.
    weights: Vec<f64>,
    rules: Rc<dyn Rulebook>,
}

impl Reporter {
    /// A reporter with the detectors' weights and the rules that alerts may come from.
    #[must_use]
    pub fn new(weights: Vec<f64>, rules: Rc<dyn Rulebook>) -> Self {
        Reporter { weights, rules }
    }

    fn score(&self, event: &Event, opinions: &[(Detector, u32)]) -> f32 {
        use crate::score::opinion::{Surprise, combine, score01};
        let own =
            [Detector::RareTemplate, Detector::UnusualContent].into_iter().zip(event.surprise);
        let known = own.chain(opinions.iter().copied()).filter(|(_, s)| *s != NO_OPINION);
        let mut parts: Vec<(f64, f64)> = self.weights.iter().map(|weight| (*weight, 1.0)).collect();
        let mut silent = true;
        for (detector, surprise) in known {
            let part = &mut parts[detector as usize];
            part.1 = part.1.min(Surprise(surprise).p());
            silent = false;
        }
        if silent { -1.0 } else { score01(combine(&parts)) as f32 }
    }

    fn alert(&self, share: &Share, id: u128, finding: Finding) -> Option<Alert> {
        let (batch, event) = share.find(finding.seq)?;
        let mut contributions = finding.contributions.clone();
        for note in share.notes.get(&finding.seq).into_iter().flatten() {
            match contributions.iter_mut().find(|known| known.detector == note.detector) {
                Some(known) => known.why.clone_from(&note.why),
                None => contributions.push(note.clone()),
            }
        }
        let template = share.texts.get(&event.template).map_or("", |template| &template.text);
        let source = &batch.block.sources[event.source as usize];
        let uuid = |id: u128| uuid::Uuid::from_u128(id).to_string();
        let mut events = finding.events.clone();
        events.push(finding.seq);
        events.sort_unstable();
        events.dedup();
        let mut alert = Alert {
            id: uuid(id),
            kind: "ml".to_owned(),
            rule: String::new(),
            title: String::new(),
            severity: finding.level,
            entity: entity(batch, event, finding.entity, source.to_string()),
            event_time: finding.time.to_rfc3339(),
            last_time: finding.time.to_rfc3339(),
            epoch: share.end.epoch,
            count: 1,
            score: finding.score,
            threshold: finding.threshold,
            contributions,
            events,
            source: source.to_string(),
            host: batch.text(event.host).to_owned(),
            event_severity: event.severity,
            message: cut(batch.text(event.message)).to_owned(),
            template_id: format!("{:016x}", event.template),
            template: template.to_owned(),
            tactics: Vec::new(),
            techniques: Vec::new(),
            dedup_key: String::new(),
            matched: None,
        };
        match finding.rule {
            Rule::Model(detector) => {
                alert.rule = detector.name().to_owned();
                let why = alert.contributions.iter().find(|part| part.detector == detector);
                alert.title = why.map_or(String::new(), |part| part.why.clone());
                if alert.title.is_empty() {
                    alert.title = detector.name().replace('-', " ");
                }
                alert.dedup_key = format!("ml:{}:{}", finding.entity, alert.template_id);
            }
            Rule::Sigma(_) | Rule::Correlation(_) => {
                alert.kind = match finding.rule {
                    Rule::Sigma(_) => "sigma".to_owned(),
                    _ => "correlation".to_owned(),
                };
                self.rules.describe(&finding, batch, event, &mut alert);
                alert.dedup_key = format!("{}:{}:{}", alert.kind, alert.rule, finding.entity);
            }
        }
        Some(alert)
    }
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

/// The first [`MESSAGE_MAX`] bytes of a message, at a character's end.
fn cut(message: &str) -> &str {
    &message[..message.floor_char_boundary(MESSAGE_MAX)]
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
            let mut scores = Vec::new();
            let mut rest = &opinions[..];
            let mut here = Vec::new();
            for (_, event) in share.events() {
                let before = rest.partition_point(|(seq, _, _)| *seq < event.seq);
                let upto = rest.partition_point(|(seq, _, _)| *seq <= event.seq);
                here.clear();
                here.extend(rest[before..upto].iter().map(|(_, who, what)| (*who, *what)));
                rest = &rest[upto..];
                scores.push(self.score(event, &here));
            }
            let mine = opened.iter().filter(|((seq, _), _)| share.find(*seq).is_some());
            let alerts = mine
                .filter_map(|((_, id), finding)| self.alert(&share, *id, (**finding).clone()))
                .collect();
            out.push(Rc::new(Report { share, scores, alerts }));
        }
    }

    fn merge(&mut self, _: u64, _: Vec<()>, _: &mut Vec<Rc<Report>>) {}
}

/// `report`, on the shares of a worker.
pub trait ReportExt<'scope> {
    /// Puts together what is known of events where they landed.
    fn report(
        self,
        mail: StreamVec<'scope, u64, Parcel<Mail>>,
        reporter: Reporter,
        ledger: &Rc<Ledger>,
    ) -> StreamVec<'scope, u64, Rc<Report>>;
}

impl<'scope> ReportExt<'scope> for StreamVec<'scope, u64, Rc<Share>> {
    fn report(
        self,
        mail: StreamVec<'scope, u64, Parcel<Mail>>,
        reporter: Reporter,
        ledger: &Rc<Ledger>,
    ) -> StreamVec<'scope, u64, Rc<Report>> {
        stage(self, mail, "Report", ledger, reporter)
    }
}
