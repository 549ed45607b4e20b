//! Counts findings into incidents, so that people are told once.
//!
//! Findings with the same dedup key within a window of event time, which starts at the first of
//! them, are one incident. The first gives the incident its id and is told of; the others add to
//! its count. A finding after the window starts a new incident.
//!
//! An incident lives with the owner of its dedup key. State: one record for each incident whose
//! window the watermark has not passed; one that begins late is kept as long as if it had not.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use timely::dataflow::StreamVec;

use crate::logic::{Parcel, Stage, stage};
use crate::state::{Changes, INCIDENTS, Ledger, StateKey, Store, state_key};
use crate::types::finding::EVENTS_MAX;
use crate::types::hash::{groups_of, key_group, mix};
use crate::types::{EventTime, Finding, More, Rule, Span};

/// The namespace of alert ids.
const NAMESPACE: uuid::Uuid = uuid::Uuid::from_u128(0x6f0d_2f1c_54f7_5d0e_9a56_3c1b_7e42_a8d1);

/// The id of the alert of the incident that starts with a finding in event `seq`.
#[must_use]
pub fn alert_id(dedup: u128, seq: u64) -> u128 {
    let mut name = [0; 24];
    name[..16].copy_from_slice(&dedup.to_be_bytes());
    name[16..].copy_from_slice(&seq.to_be_bytes());
    uuid::Uuid::new_v5(&NAMESPACE, &name).as_u128()
}

/// What the stage says.
#[derive(Clone, Debug)]
pub enum Told {
    /// An incident began. To be told in full where its event landed.
    Opened(Box<Opened>),
    /// An incident went on, in an epoch.
    More(u64, More),
}

/// A new incident.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Opened {
    /// The id of its alert.
    pub id: u128,
    /// Its first finding.
    pub finding: Finding,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Incident {
    id: u128,
    first: EventTime,
    /// What the incident is kept from: its first event, or the watermark if that event was late.
    since: EventTime,
    last: EventTime,
    window: Span,
    count: u64,
    events: Vec<u64>,
}

impl Incident {
    /// Until when it is kept.
    fn end(&self) -> EventTime {
        self.since + self.window
    }
}

/// How many incidents of one key group may be open; beyond it the one that ends first is closed.
pub const OPEN_MAX: usize = 4_096;

/// A dedup key with its key group before it.
type Key = (u16, u128);

/// Counts findings into incidents. See the [module](self).
pub struct Alerts {
    /// Open incidents.
    open: BTreeMap<Key, Incident>,
    /// The same, by when they end within each key group.
    ends: BTreeSet<(EventTime, Key)>,
    /// How many are open, by key group.
    sizes: BTreeMap<u16, usize>,
    /// What changed since the last checkpoint.
    dirty: BTreeSet<Key>,
    watermark: EventTime,
}

/// The watermark as of the epochs before this one; one for each epoch and worker.
pub type Tick = EventTime;

/// The key group of a dedup key.
fn group(dedup: u128) -> u16 {
    key_group(route(dedup))
}

/// The hash by which findings reach the owner of their dedup key.
#[must_use]
pub fn route(dedup: u128) -> u64 {
    mix(dedup as u64)
}

fn store_key((group, dedup): Key) -> StateKey {
    state_key(INCIDENTS, group, &dedup.to_be_bytes())
}

impl Alerts {
    /// The incidents of some key groups, as of the last checkpoint.
    #[must_use]
    pub fn new(groups: std::ops::Range<u16>, store: &dyn Store) -> Self {
        let mut alerts = Alerts {
            open: BTreeMap::new(),
            ends: BTreeSet::new(),
            sizes: BTreeMap::new(),
            dirty: BTreeSet::new(),
            watermark: EventTime::MIN,
        };
        for group in groups {
            for (key, value) in store.scan(&state_key(INCIDENTS, group, &[])) {
                let dedup = key.get(3..).and_then(|bytes| bytes.try_into().ok());
                let incident = serde_json::from_slice(&value).ok();
                if let (Some(dedup), Some(incident)) = (dedup, incident) {
                    alerts.insert((group, u128::from_be_bytes(dedup)), incident);
                }
            }
        }
        alerts
    }

    fn insert(&mut self, key: Key, incident: Incident) {
        self.ends.insert((incident.end(), key));
        *self.sizes.entry(key.0).or_default() += 1;
        self.open.insert(key, incident);
    }

    fn remove(&mut self, key: Key) -> Option<Incident> {
        let incident = self.open.remove(&key)?;
        self.ends.remove(&(incident.end(), key));
        *self.sizes.get_mut(&key.0).expect("it was counted") -= 1;
        self.dirty.insert(key);
        Some(incident)
    }

    /// Forgets incidents that only findings later still could add to.
    fn forget(&mut self) {
        while let Some((_, key)) = self.ends.first().filter(|(end, _)| *end < self.watermark) {
            self.remove(*key);
        }
    }

    /// Makes room in a key group.
    fn make_room(&mut self, group: u16) {
        while self.sizes.get(&group).is_some_and(|size| *size >= OPEN_MAX) {
            let first = self.ends.iter().find(|(_, key)| key.0 == group);
            let (_, key) = *first.expect("an open incident has an end");
            self.remove(key);
        }
    }
}

impl Stage for Alerts {
    type Local = Tick;
    type Remote = Finding;
    type Summary = ();
    type Out = Told;
    const SHARED: bool = false;

    fn close(
        &mut self,
        epoch: u64,
        local: Vec<Tick>,
        mut findings: Vec<Finding>,
        out: &mut Vec<Told>,
    ) {
        self.watermark = local.into_iter().fold(self.watermark, EventTime::max);
        // Correlations are decided in the order of event time, so they are counted in it.
        let time = |finding: &Finding| match finding.rule {
            Rule::Correlation(_) => finding.time,
            _ => EventTime::MIN,
        };
        findings.sort_by_key(|finding| (time(finding), finding.seq, finding.rule, finding.dedup));
        let mut grown = BTreeMap::new();
        for finding in findings {
            let key = (group(finding.dedup), finding.dedup);
            self.dirty.insert(key);
            let same = self.open.get_mut(&key).filter(|incident| {
                let since = finding.time.since(incident.first);
                since <= incident.window && since >= Span(-incident.window.0)
            });
            match same {
                Some(incident) => {
                    incident.count += 1;
                    incident.last = incident.last.max(finding.time);
                    let new = finding.events.iter().chain([&finding.seq]);
                    for seq in new {
                        if incident.events.len() == EVENTS_MAX {
                            break;
                        }
                        if !incident.events.contains(seq) {
                            incident.events.push(*seq);
                        }
                    }
                    grown.insert(incident.id, key);
                }
                None => {
                    let id = alert_id(finding.dedup, finding.seq);
                    let mut events = finding.events.clone();
                    events.push(finding.seq);
                    events.sort_unstable();
                    events.dedup();
                    let incident = Incident {
                        id,
                        first: finding.time,
                        since: finding.time.max(self.watermark),
                        last: finding.time,
                        window: finding.window,
                        count: 1,
                        events,
                    };
                    if let Some(before) = self.remove(key)
                        && grown.remove(&before.id).is_some()
                    {
                        out.push(Told::More(epoch, more(&before)));
                    }
                    self.make_room(key.0);
                    self.insert(key, incident);
                    out.push(Told::Opened(Box::new(Opened { id, finding })));
                }
            }
        }
        for (id, key) in grown {
            let incident = self.open.get(&key).filter(|incident| incident.id == id);
            if let Some(incident) = incident {
                out.push(Told::More(epoch, more(incident)));
            }
        }
    }

    fn merge(&mut self, _: u64, _: Vec<()>, _: &mut Vec<Told>) {
        self.forget();
    }

    fn snapshot(&mut self, changes: &mut Changes) {
        if changes.models_only() {
            return;
        }
        for key in std::mem::take(&mut self.dirty) {
            match self.open.get(&key) {
                Some(incident) => {
                    let bytes = serde_json::to_vec(incident).expect("plain data");
                    changes.put(&store_key(key), &bytes);
                }
                None => changes.delete(&store_key(key)),
            }
        }
    }
}

fn more(incident: &Incident) -> More {
    More {
        id: incident.id,
        count: incident.count,
        last_time: incident.last,
        events: incident.events.clone(),
    }
}

/// `alerts`, on the watermarks of a worker.
pub trait AlertsExt<'scope> {
    /// Counts `findings` into incidents.
    fn alerts(
        self,
        findings: StreamVec<'scope, u64, Parcel<Finding>>,
        store: &Rc<dyn Store>,
        ledger: &Rc<Ledger>,
    ) -> StreamVec<'scope, u64, Told>;
}

impl<'scope> AlertsExt<'scope> for StreamVec<'scope, u64, Tick> {
    fn alerts(
        self,
        findings: StreamVec<'scope, u64, Parcel<Finding>>,
        store: &Rc<dyn Store>,
        ledger: &Rc<Ledger>,
    ) -> StreamVec<'scope, u64, Told> {
        let scope = self.scope();
        let groups = groups_of(scope.index(), scope.peers());
        stage(self, findings, "Alert", ledger, Alerts::new(groups, &**store))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::MemoryStore;
    use crate::types::{EntityId, Level};

    const WINDOW: Span = Span::from_secs(900);

    fn finding(dedup: u128, seq: u64, second: i64) -> Finding {
        Finding {
            dedup,
            rule: Rule::Sigma(0),
            level: Level::High,
            entity: EntityId(1),
            kind: None,
            seq,
            time: EventTime::from_secs(second),
            landed: 0,
            window: WINDOW,
            score: 0.0,
            threshold: 0.0,
            contributions: Vec::new(),
            peer: None,
            events: Vec::new(),
            context: Vec::new(),
            group: Vec::new(),
            value: 0.0,
        }
    }

    fn alerts() -> Alerts {
        Alerts::new(0..256, &MemoryStore::default())
    }

    /// Tells one epoch, at a watermark; what comes out, as `(seq of the opening, count)`.
    fn tell(alerts: &mut Alerts, second: i64, findings: Vec<Finding>) -> Vec<(Option<u64>, u64)> {
        let mut out = Vec::new();
        alerts.close(0, vec![EventTime::from_secs(second)], findings, &mut out);
        alerts.merge(0, Vec::new(), &mut out);
        out.into_iter()
            .map(|told| match told {
                Told::Opened(opened) => (Some(opened.finding.seq), 1),
                Told::More(_, more) => (None, more.count),
            })
            .collect()
    }

    #[test]
    fn findings_within_the_window_are_one_incident() {
        let mut alerts = alerts();
        let told = tell(&mut alerts, 0, vec![finding(7, 1, 100), finding(7, 2, 1_000)]);
        assert_eq!(told, [(Some(1), 1), (None, 2)]);
        assert_eq!(tell(&mut alerts, 0, vec![finding(7, 3, 1_001)]), [(Some(3), 1)]);
        assert_eq!(tell(&mut alerts, 0, vec![finding(8, 4, 1_001)]), [(Some(4), 1)]);
    }

    #[test]
    fn the_order_of_arrival_does_not_matter() {
        let mut findings: Vec<_> =
            (0..50).map(|i| finding(i as u128 % 3, i, i as i64 * 60)).collect();
        let forward = tell(&mut alerts(), 0, findings.clone());
        findings.reverse();
        assert_eq!(tell(&mut alerts(), 0, findings), forward);
    }

    #[test]
    fn an_incident_is_forgotten_when_the_watermark_has_passed_it() {
        let mut alerts = alerts();
        tell(&mut alerts, 0, vec![finding(7, 1, 100)]);
        tell(&mut alerts, 1_000, vec![]);
        assert_eq!(alerts.open.len(), 1);
        tell(&mut alerts, 1_001, vec![]);
        assert_eq!(alerts.open.len(), 0);
    }

    #[test]
    fn late_findings_of_an_incident_are_told_once() {
        let mut alerts = alerts();
        let told = tell(&mut alerts, 90_000, vec![finding(7, 1, 100)]);
        assert_eq!(told, [(Some(1), 1)]);
        assert_eq!(tell(&mut alerts, 90_010, vec![finding(7, 2, 160)]), [(None, 2)]);
        assert_eq!(tell(&mut alerts, 90_901, vec![]), []);
        assert_eq!(alerts.open.len(), 0);
    }

    #[test]
    fn open_incidents_come_back_from_a_checkpoint() {
        let mut before = alerts();
        tell(&mut before, 0, vec![finding(7, 1, 100)]);
        let mut changes = Changes::on(0);
        before.snapshot(&mut changes);
        let mut after = Alerts::new(0..256, &MemoryStore::of(&changes));
        assert_eq!(tell(&mut after, 0, vec![finding(7, 2, 200)]), [(None, 2)]);
    }

    #[test]
    fn a_storm_of_keys_closes_the_oldest_incidents_of_its_group() {
        let mut alerts = alerts();
        let keys = (0u128..).filter(|key| group(*key) == 3).take(OPEN_MAX + 10);
        let storm = keys.enumerate().map(|(i, key)| finding(key, i as u64, i as i64)).collect();
        tell(&mut alerts, 0, storm);
        assert_eq!(alerts.open.len(), OPEN_MAX);
        assert_eq!(alerts.ends.first().map(|(end, _)| *end), Some(EventTime::from_secs(910)));
    }
}
