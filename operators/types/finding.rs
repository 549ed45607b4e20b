//! What detectors find, and what people are told of it.
//!
//! A [`Finding`] is small and crosses workers; an [`Alert`] is what becomes of the first finding
//! of an incident, told in full where its event landed.

use serde::{Deserialize, Serialize};

use super::entity::{EntityId, Kind};
use super::event::Severity;
use super::time::EventTime;

/// A detector of the model loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Detector {
    /// A template that is rare among all events.
    RareTemplate,
    /// A template that is rare for its entity.
    RareForEntity,
    /// An entity that its entity has rarely or never been seen with.
    RarePeer,
    /// Numbers about the event that are unlike those of its template (Half-Space Trees).
    UnusualContent,
    /// A template that does not follow from the entity's last ones (Markov).
    UnusualSequence,
}

impl Detector {
    /// All of them, in order.
    pub const ALL: [Detector; 5] = [
        Detector::RareTemplate,
        Detector::RareForEntity,
        Detector::RarePeer,
        Detector::UnusualContent,
        Detector::UnusualSequence,
    ];

    /// Its name, which is also the name of the rule of its alerts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Detector::RareTemplate => "rare-template",
            Detector::RareForEntity => "rare-for-entity",
            Detector::RarePeer => "rare-peer",
            Detector::UnusualContent => "unusual-content",
            Detector::UnusualSequence => "unusual-sequence",
        }
    }
}

/// Where a finding comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// A detector of the model loop.
    Model(Detector),
    /// A Sigma rule on one event, by its number in the active set of rules.
    Sigma(u32),
    /// A Sigma correlation rule, by its number in the active set of rules.
    Correlation(u32),
}

/// How bad an alert is. The levels of Sigma.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth a record only.
    Informational,
    /// Worth a look when there is time.
    Low,
    /// Worth a look.
    Medium,
    /// Worth a look soon.
    High,
    /// Worth a look now.
    Critical,
}

impl Level {
    /// All levels, least first.
    pub const ALL: [Level; 5] =
        [Level::Informational, Level::Low, Level::Medium, Level::High, Level::Critical];

    /// Its name: `informational` … `critical`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Level::Informational => "informational",
            Level::Low => "low",
            Level::Medium => "medium",
            Level::High => "high",
            Level::Critical => "critical",
        }
    }

    /// The score of what a rule of this level finds: 0.2 for informational, 0.4, 0.6, 0.8, and 1
    /// for critical. A rule has no probability; it is as sure as its author was.
    #[must_use]
    pub fn score(self) -> f64 {
        f64::from(self as u8 + 1) / 5.0
    }
}

/// What one detector says about one event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    /// Which detector.
    pub detector: Detector,
    /// How probable something as odd is by its model, in (0, 1].
    pub p: f64,
    /// How probable so odd a group is by the rank among past groups, where it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank_p: Option<f64>,
    /// A sentence for a person.
    pub why: String,
}

/// With whom an entity was seen in an event, as its owner knows it: without a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// [`EntityId::brief`] of it.
    pub brief: u64,
    /// How often the entity was seen with it before.
    pub seen: u64,
    /// In how many of its events.
    pub events: u64,
}

/// Something found in an event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// Findings of the same incident have the same: a stable hash of rule, entity and subject.
    pub dedup: u128,
    /// What found it.
    pub rule: Rule,
    /// How bad it is.
    pub level: Level,
    /// The entity that it is about.
    pub entity: EntityId,
    /// Of which kind; `None` is the source itself, for events without entities.
    pub kind: Option<Kind>,
    /// The event in which it was found.
    pub seq: u64,
    /// When that happened.
    pub time: EventTime,
    /// The worker on which the event landed.
    pub landed: u32,
    /// What counts into the same incident, in event time from its first finding.
    pub window: super::time::Span,
    /// The score, in [0, 1], at least the threshold; [`Alert::score`] says whose.
    pub score: f64,
    /// The score from which on it is an alert.
    pub threshold: f64,
    /// What the detectors say, where there are any.
    pub contributions: Vec<Contribution>,
    /// With whom the entity was seen, where that was judged.
    pub peer: Option<Peer>,
    /// Other events that contribute, in sequence order.
    pub events: Vec<u64>,
    /// Events of the entity shortly before, which need not have to do with it, in sequence order.
    pub context: Vec<u64>,
    /// For correlations: the values of the group, by name.
    pub group: Vec<(String, String)>,
    /// For correlations: what was computed, a count or a sum or the like; else 0.
    pub value: f64,
}

/// The entity that an alert is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertEntity {
    /// Its kind; `source` if the event names no entity.
    pub kind: String,
    /// Its name as the event writes it.
    pub value: String,
    /// Its id.
    pub id: String,
}

/// An incident, as told to people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// A version 5 UUID of what it is about: the same whenever and wherever it is found again.
    pub id: String,
    /// `ml`, or `sigma` for rules and correlations of rules.
    pub kind: String,
    /// The detector's name, or the rule's id.
    pub rule: String,
    /// In one line, what happened.
    pub title: String,
    /// How bad it is.
    pub severity: Level,
    /// What it is about.
    pub entity: AlertEntity,
    /// When the first event of the incident happened.
    pub event_time: String,
    /// When the last one happened, so far.
    pub last_time: String,
    /// The epoch in which it was found.
    pub epoch: u64,
    /// How many findings there are in the incident so far.
    pub count: u64,
    /// The score of the first finding, in [0, 1]: what the detector says of it that the alert is
    /// named after; of rules, [the score of their level](Level::score). The score of an *event* is
    /// what all detectors say together, and another number.
    pub score: f64,
    /// The score from which on it is an alert, never above the score: where that detector stood
    /// then; of rules, whose every match is one, the score of the least level.
    pub threshold: f64,
    /// What each detector says about it.
    pub contributions: Vec<Contribution>,
    /// The sequence numbers of the events that it rests on: those in which something was found, and
    /// of a correlation all that it counted; the first [`EVENTS_MAX`].
    pub events: Vec<u64>,
    /// The entity's last events before the first of them, for whoever wants to know what led to it.
    /// Nothing was found in these. Only detectors have them.
    #[serde(default)]
    pub context: Vec<u64>,
    /// The source of the first event.
    pub source: String,
    /// The host of the first event.
    pub host: String,
    /// The severity that the first event gives itself.
    pub event_severity: Option<Severity>,
    /// The first event's message, cut to [`MESSAGE_MAX`] bytes.
    pub message: String,
    /// The first event's template.
    pub template_id: String,
    /// Its text.
    pub template: String,
    /// ATT&CK tactics, as `credential-access`.
    pub tactics: Vec<String>,
    /// ATT&CK techniques, as `T1110.003`.
    pub techniques: Vec<String>,
    /// What makes findings the same incident, readable.
    pub dedup_key: String,
    /// For rules: what matched.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub matched: Option<serde_json::Value>,
}

impl Alert {
    /// Counts more findings into it.
    pub fn add(&mut self, more: &More) {
        self.count = more.count;
        self.last_time = more.last_time.to_rfc3339();
        self.events.clone_from(&more.events);
    }
}

/// How much of a message an alert carries.
pub const MESSAGE_MAX: usize = 2_048;

/// More findings of an incident that has been told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct More {
    /// The incident's alert.
    pub id: u128,
    /// How many findings there are by now.
    pub count: u64,
    /// When the last one happened.
    pub last_time: EventTime,
    /// All events by now, at most [`EVENTS_MAX`]: the first ones.
    pub events: Vec<u64>,
}

/// How many contributing events an alert lists.
pub const EVENTS_MAX: usize = 32;
