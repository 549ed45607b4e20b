//! Log templates: the sentence that a program prints, without the values it fills in.
//!
//! `Failed password for root from 10.0.0.1 port 22` and the same for another user, address and
//! port are one template, `Failed password for <*> from <*> port <*>`. What later stages count,
//! learn and explain by is the template, so it must be found quickly, and its id must stay.
//!
//! Three steps, each a file of its own:
//!
//! - [`mask()`] cuts a message into tokens and replaces what looks like a value.
//! - [`Dictionary`] knows the templates: Drain (He, Zhu, Zheng, Lyu, *ICWS* 2017), whose
//!   generalising waits until it has seen several words at a place.
//! - [`parameters`] says which parts of the message itself the wildcards stand for.
//!
//! **The protocol.** The dictionary is read-only during an epoch. Every worker holds a replica
//! and looks lines up in it ([`Dictionary::find`], or [`Cache::find`]). What is found is counted
//! in a [`Usage`], what is not is collected in [`Misses`]. When the epoch closes, all workers hear
//! of all usages and all misses, and each applies them to its replica: [`Dictionary::used`], then
//! [`Dictionary::merge`], which learns line by line in sequence order, gives the missed events
//! their ids and forgets what is beyond the limit. The outcome depends on the events and on where
//! epochs were cut, and not on which worker saw what.

mod cache;
mod class;
mod dictionary;
mod epoch;
mod line;
mod mask;
mod parameters;
mod pattern;
mod snapshot;
mod tree;

use std::rc::Rc;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use timely::dataflow::StreamVec;
use timely::dataflow::operators::generic::operator::empty;

use crate::logic::{Stage, stage};
use crate::state::{Changes, Ledger, Store, model_key};
use crate::types::{Share, TemplateText, Texts};

pub use cache::Cache;
pub use dictionary::{Dictionary, Template};
pub use epoch::{Hits, Miss, Misses, Usage};
pub use mask::{MESSAGE_BYTES_MAX, Masked, TOKENS_MAX, WILDCARD, mask};
pub use parameters::parameters;
pub use snapshot::DecodeError;

/// The identity of a template: a stable hash of the first masked line that founded it.
///
/// The same text gets the same id in every run and on every machine; an id is never given to
/// another template. It can change its bearer in one way only: a template that turns out to be
/// another one's goes on under that one's id, see [`Dictionary::resolve`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct TemplateId(pub u64);

impl TemplateId {
    /// The id of no template: of a message with nothing in it.
    pub const NONE: TemplateId = TemplateId(0);
}

impl std::fmt::Display for TemplateId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What a [`Dictionary`] is told when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// The depth of Drain's tree, 3 or more: all but three levels are tokens. At 5, the number of
    /// tokens and the first two of them lead to a leaf.
    pub depth: usize,
    /// Which share of a line's tokens must be equal to a template's, 0–1, wildcards not counted,
    /// for the line to be its.
    pub similarity: f64,
    /// How many different words are seen at a place, all else being equal, before the place
    /// becomes a wildcard with the next one. 1 generalises at once, as Drain does.
    pub late_wildcard: usize,
    /// The same for the value of `key=word`, the key being equal. A few values are often what an
    /// event is about, `action=allow` and `action=deny`; many are not.
    pub late_value: usize,
    /// The same for the word behind `user`, `username` or `account`, which is a name.
    pub late_name: usize,
    /// How many children a node of the tree has at most; further tokens share the wildcard's.
    pub max_children: usize,
    /// How many rows a leaf has at most, the bound on what a search costs. Beyond it a
    /// quarter goes, those whose templates have not been used for longest.
    pub max_leaf: usize,
    /// How many rows all leaves have together when an epoch has closed; a template has one, or
    /// a few if lines of several lengths are its. Beyond it templates go that have not been used
    /// for longest. One that comes back gets its id again.
    pub max_templates: usize,
    /// How many ids of templates that became part of another are remembered. Beyond it the
    /// oldest goes.
    pub max_aliases: usize,
}

impl Options {
    /// One setting for all logs: it reaches a mean grouping accuracy above 0.95 on Loghub's.
    pub const STANDARD: Options = Options {
        depth: 5,
        similarity: 0.6,
        late_wildcard: 4,
        late_value: 4,
        late_name: 1,
        max_children: 100,
        max_leaf: 256,
        max_templates: 1000,
        max_aliases: 65_536,
    };
}

/// The name of the dictionary in the store.
pub const STORED: &str = "template.dictionary";

/// What a worker's share of an epoch brought.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Brought {
    usage: Vec<(TemplateId, Hits)>,
    misses: Vec<Miss>,
}

/// Gives each event its template. Every worker holds a replica of the dictionary.
pub struct Templates {
    dictionary: Dictionary,
    cache: Cache,
    masked: Masked,
    texts: Arc<Texts>,
    texts_of: Option<u64>,
    /// The shares of the epoch that is closed and not yet merged.
    held: Vec<Share>,
    misses: Misses,
}

impl Templates {
    /// The dictionary as of the last checkpoint; one that cannot be read back starts anew.
    #[must_use]
    pub fn new(options: Options, store: &dyn Store) -> Self {
        let saved = store.get(&model_key(STORED));
        let saved = saved.and_then(|bytes| Dictionary::decode(&bytes, options).ok());
        Templates {
            dictionary: saved.unwrap_or_else(|| Dictionary::new(options)),
            cache: Cache::default(),
            masked: Masked::default(),
            texts: Arc::default(),
            texts_of: None,
            held: Vec::new(),
            misses: Misses::default(),
        }
    }

    /// What the templates say as of now, shared as long as no template changes.
    fn texts(&mut self) -> Arc<Texts> {
        if self.texts_of != Some(self.dictionary.version()) {
            let text = |template: &Template| {
                let text = template.text.as_str().into();
                (template.id.0, TemplateText { text, wildcards: template.wildcards })
            };
            self.texts = Arc::new(self.dictionary.iter().map(text).collect());
            self.texts_of = Some(self.dictionary.version());
        }
        Arc::clone(&self.texts)
    }
}

impl Stage for Templates {
    type Local = Share;
    type Remote = ();
    type Summary = Brought;
    type Out = Share;

    fn close(&mut self, _epoch: u64, local: Vec<Share>, _: Vec<()>, _: &mut Vec<Share>) -> Brought {
        let mut usage = Usage::default();
        self.misses = Misses::default();
        self.held = local;
        for batch in self.held.iter_mut().flat_map(|share| &mut share.batches) {
            for at in 0..batch.events.len() {
                let event = batch.events[at];
                let message = batch.text(event.message);
                mask(message, &mut self.masked);
                match self.cache.find(&self.dictionary, &self.masked) {
                    Some(TemplateId::NONE) => {}
                    Some(id) => {
                        usage.push(id, event.seq);
                        batch.events[at].template = id.0;
                    }
                    None => self.misses.push(event.seq, message, &self.masked),
                }
            }
        }
        Brought { usage: usage.sorted(), misses: self.misses.lines().to_vec() }
    }

    fn merge(&mut self, epoch: u64, brought: Vec<Brought>, out: &mut Vec<Share>) {
        let mut usage = Usage::default();
        let mut misses = Vec::new();
        for part in brought {
            usage.extend(part.usage);
            misses.extend(part.misses);
        }
        let version = self.dictionary.version();
        self.dictionary.used(epoch, &usage);
        let told = self.dictionary.merge(epoch, misses);
        let mut answers: Vec<(u64, TemplateId)> = self.misses.answers(&told).collect();
        answers.sort_unstable_by_key(|(seq, _)| *seq);
        let mut answers = answers.into_iter().peekable();
        let changed = self.dictionary.version() != version;
        let texts = self.texts();
        for mut share in self.held.drain(..) {
            for event in share.batches.iter_mut().flat_map(|batch| &mut batch.events) {
                if let Some((_, id)) = answers.next_if(|(seq, _)| *seq == event.seq) {
                    event.template = id.0;
                }
                if changed {
                    event.template = self.dictionary.resolve(TemplateId(event.template)).0;
                }
            }
            share.texts = Arc::clone(&texts);
            out.push(share);
        }
    }

    fn snapshot(&mut self, changes: &mut Changes) {
        if changes.is_first() {
            changes.put(&model_key(STORED), &self.dictionary.encode());
        }
    }
}

/// `template`, on a stream of shares.
pub trait TemplateExt<'scope> {
    /// Gives each event the id of its template, as of its epoch.
    fn template(self, options: Options, store: &Rc<dyn Store>, ledger: &Rc<Ledger>) -> Self;
}

impl<'scope> TemplateExt<'scope> for StreamVec<'scope, u64, Share> {
    fn template(self, options: Options, store: &Rc<dyn Store>, ledger: &Rc<Ledger>) -> Self {
        let nothing = empty(self.scope());
        stage(self, nothing, "Template", ledger, Templates::new(options, &**store))
    }
}

#[cfg(test)]
mod tests;
