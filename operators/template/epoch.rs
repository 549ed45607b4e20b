//! What workers tell each other at the end of an epoch: misses and uses.

use serde::{Deserialize, Serialize};

use super::TemplateId;
use super::mask::Masked;
use crate::types::hash::Map;

/// A masked line that the dictionary of closed epochs does not know, as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Miss {
    /// The first event with this line, of this epoch and this worker. Names the miss.
    pub seq: u64,
    /// The last event with it.
    pub last_seq: u64,
    /// How many events there are with it.
    pub count: u64,
    /// Its tokens, joined by a space. See [`Masked::line`].
    pub line: String,
}

/// A worker's misses of one epoch, each line once.
///
/// Holds no more lines than the epoch has events.
#[derive(Clone, Debug, Default)]
pub struct Misses {
    lines: Map<String, usize>,
    misses: Vec<Miss>,
    /// The events that wait for an id, and the miss that will tell.
    waiting: Vec<(u64, usize)>,
}

impl Misses {
    /// Takes note of an event whose line was not found. Events come in any order.
    pub fn push(&mut self, seq: u64, message: &str, masked: &Masked) {
        let line = masked.line(message);
        let index = match self.lines.get(&line) {
            Some(index) => *index,
            None => {
                self.lines.insert(line.clone(), self.misses.len());
                self.misses.push(Miss { seq, last_seq: seq, count: 0, line });
                self.misses.len() - 1
            }
        };
        let miss = &mut self.misses[index];
        miss.seq = miss.seq.min(seq);
        miss.last_seq = miss.last_seq.max(seq);
        miss.count += 1;
        self.waiting.push((seq, index));
    }

    /// Whether every line was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.misses.is_empty()
    }

    /// What all workers must hear of.
    #[must_use]
    pub fn lines(&self) -> &[Miss] {
        &self.misses
    }

    /// The ids of the events that wait, from what [`Dictionary::merge`] said, which is sorted.
    ///
    /// [`Dictionary::merge`]: super::Dictionary::merge
    pub fn answers<'a>(
        &'a self,
        told: &'a [(u64, TemplateId)],
    ) -> impl Iterator<Item = (u64, TemplateId)> + 'a {
        self.waiting.iter().map(|(seq, index)| {
            let asked = self.misses[*index].seq;
            let place = told.binary_search_by_key(&asked, |answer| answer.0);
            (*seq, told[place.expect("every miss was merged")].1)
        })
    }
}

/// How often a template was met in an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hits {
    /// How many events.
    pub count: u64,
    /// The last of them.
    pub last_seq: u64,
}

/// How often templates were met in an epoch: a commutative monoid.
///
/// Holds no more entries than the dictionary has templates.
#[derive(Clone, Debug, Default)]
pub struct Usage(Map<TemplateId, Hits>);

impl Usage {
    /// Takes note of an event whose template was found.
    pub fn push(&mut self, id: TemplateId, seq: u64) {
        self.add(id, Hits { count: 1, last_seq: seq });
    }

    /// Adds what another worker counted.
    pub fn add(&mut self, id: TemplateId, hits: Hits) {
        let sum = self.0.entry(id).or_default();
        sum.count += hits.count;
        sum.last_seq = sum.last_seq.max(hits.last_seq);
    }

    /// The counts by id, in order.
    #[must_use]
    pub fn sorted(&self) -> Vec<(TemplateId, Hits)> {
        let mut hits: Vec<_> = self.0.iter().map(|(id, hits)| (*id, *hits)).collect();
        hits.sort_unstable_by_key(|(id, _)| *id);
        hits
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl Extend<(TemplateId, Hits)> for Usage {
    fn extend<T: IntoIterator<Item = (TemplateId, Hits)>>(&mut self, hits: T) {
        for (id, hits) in hits {
            self.add(id, hits);
        }
    }
}
