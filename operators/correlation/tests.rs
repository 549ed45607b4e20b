//! The stage against a plain program that looks at everything each time.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use super::plan::Plan;
use super::*;
use crate::sigma::{Options, RuleSet};
use crate::state::{MemoryStore, StateKey};
use crate::types::Span;
use crate::types::hash::{key_group, mix, owner, stable};

mod bench;
mod limits;
mod plain;
mod random;

/// A set of three rules, `a`, `b` and `c`, and these correlations.
fn active(correlations: &[&str]) -> Active {
    let rule = |name: &str| {
        format!(
            "title: {name}\nname: {name}\nlogsource: {{product: linux}}\n\
             detection: {{words: ['{name}'], condition: words}}\n"
        )
    };
    let mut documents: Vec<String> = ["a", "b", "c"].map(rule).to_vec();
    documents.extend(correlations.iter().enumerate().map(|(number, section)| {
        format!("title: c{number}\nname: c{number}\nlevel: high\ncorrelation:\n{section}")
    }));
    let parsed = crate::sigma::parse("rules.yml", documents.join("---\n").as_bytes());
    let options = Options { placeholders: BTreeMap::new() };
    let (rules, report) = RuleSet::compile(vec![parsed], &options);
    assert_eq!(report.correlations, correlations.len(), "{report:?}");
    Active::new(rules, Vec::new(), Span::from_secs(900), &BTreeMap::new())
}

/// A correlation over all three rules by user within a minute.
fn section(kind: &str, condition: &str) -> String {
    let condition = match condition {
        "" => String::new(),
        condition => format!("  condition: {condition}\n"),
    };
    format!("  type: {kind}\n  rules: [a, b, c]\n  group-by: [user]\n  timespan: 1m\n{condition}")
}

/// A match before it is one of a correlation.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Match {
    group: u8,
    time: EventTime,
    seq: u64,
    place: u16,
    value: f64,
}

impl Match {
    /// As a hit of a correlation.
    fn hit(&self, plan: &Plan, correlation: usize) -> Hit {
        let ask = &plan.asks[correlation];
        let low = stable(&[self.group, correlation as u8]);
        let value = match ask.kind {
            crate::sigma::correlation::Kind::ValueCount => self.value as u64,
            _ => self.value.to_bits(),
        };
        Hit {
            time: self.time,
            seq: self.seq,
            group: u128::from(mix(low)) << 64 | u128::from(low),
            print: ask.print,
            place: self.place,
            value,
            landed: 0,
            entity: EntityId(7),
            kind: None,
            more: Some(Box::new(hit::More {
                names: hit::Names::of([&*format!("user{}", self.group)]),
                ..hit::More::default()
            })),
        }
    }
}

/// Some workers that own the groups among them, and what they left at checkpoints.
struct Workers {
    rules: Arc<Schedule>,
    workers: Vec<Correlations>,
    kept: BTreeMap<StateKey, Vec<u8>>,
    epoch: u64,
    counts: Counts,
}

impl Workers {
    fn new(rules: &Arc<Schedule>, count: usize) -> Self {
        let (rules, kept) = (Arc::clone(rules), BTreeMap::new());
        let mut all =
            Workers { rules, workers: Vec::new(), kept, epoch: 0, counts: Counts::default() };
        all.start(count);
        all
    }

    fn start(&mut self, count: usize) {
        let store: Rc<dyn Store> = Rc::new(MemoryStore::from(self.kept.clone()));
        let worker = |at| Correlations::new(0, at, count, &self.rules, &store);
        self.workers = (0..count).map(worker).collect();
    }

    /// Takes a checkpoint, forgets everything, and goes on with so many workers.
    fn restart(&mut self, count: usize) {
        for worker in &mut self.workers {
            let mut changes = Changes::on(0);
            worker.snapshot(&mut changes);
            for (key, value) in changes.iter() {
                match value {
                    Some(value) => drop(self.kept.insert(key.to_vec(), value.to_vec())),
                    None => drop(self.kept.remove(key)),
                }
            }
        }
        self.start(count);
    }

    /// Tells an epoch. What fired, in the order of event time.
    fn tell(&mut self, watermark: EventTime, hits: Vec<Hit>) -> Vec<Finding> {
        self.epoch += 1;
        let count = self.workers.len();
        let mut shares: Vec<Vec<Hit>> = vec![Vec::new(); count];
        for hit in hits {
            shares[owner(key_group(route(hit.group)), count)].push(hit);
        }
        let mut findings = Vec::new();
        for (worker, hits) in self.workers.iter_mut().zip(shares) {
            let mut out = Vec::new();
            worker.close(self.epoch, vec![watermark], hits, &mut out);
            worker.merge(self.epoch, Vec::new(), &mut out);
            for said in out {
                match said {
                    Said::Finding(parcel) => findings.extend(parcel.items),
                    Said::Uncounted(_, counts) => {
                        self.counts.full += counts.full;
                        self.counts.groups += counts.groups;
                        self.counts.waiting += counts.waiting;
                    }
                    Said::Fed(_) => unreachable!("no correlation asks for another"),
                }
            }
        }
        findings.sort_by_key(|finding| (finding.time, finding.seq, finding.dedup));
        findings
    }
}

fn seconds(seconds: i64) -> EventTime {
    EventTime::from_secs(seconds)
}
