//! The dictionary of templates: a replica of it at every worker, all alike.
//!
//! A *cluster* is a row of Drain's tree, of one length. A *template* is what the outside sees:
//! usually one cluster, sometimes several that turned out to say the same once runs of wildcards
//! count as one, or siblings that differ in a word that proved to vary. Its text covers each of
//! its clusters.

use std::collections::{BTreeSet, VecDeque};

use super::epoch::{Miss, Usage};
use super::line::{Line, canonical, hole, is_plain, key_of, precedes_name, wildcards};
use super::mask::{Masked, WILD, WILDCARD};
use super::parameters::covers;
use super::tree::{Best, Serial, Tree};
use super::{Options, TemplateId};
use crate::types::hash::{self, Map};

/// How many clusters a template has at most. Beyond it the oldest but the first goes.
const MEMBERS_MAX: usize = 32;

/// How many templates there may always be too many while an epoch's misses are learned, so that
/// a flood of new lines does not push out what the same epoch still needs.
const FLOOD: usize = 1000;

/// How many places at which words are being collected there are for each template that there may
/// be. Beyond it the oldest place is forgotten, and its words are counted anew.
const SIBLINGS_PER_TEMPLATE: usize = 4;

/// A template, and how it was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its id.
    pub id: TemplateId,
    /// Its tokens joined by a space, each value `<*>`, neighbouring ones taken together.
    pub text: String,
    /// How many of its tokens have a `<*>`.
    pub wildcards: u32,
    /// The first event that had it: an example.
    pub first_seq: u64,
    /// The last event that had it.
    pub last_seq: u64,
    /// The epoch of the first.
    pub first_epoch: u64,
    /// The epoch of the last.
    pub last_epoch: u64,
    /// How many events had it.
    pub count: u64,
}

/// The templates of the closed epochs. See the [module](super) for the protocol.
///
/// ```
/// use operators::template::{Dictionary, Masked, Options, mask, parameters};
///
/// let mut dictionary = Dictionary::new(Options::STANDARD);
/// let mut masked = Masked::default();
/// for (seq, message) in (0..).zip(["session opened for user ann", "session opened for user bob"]) {
///     mask(message, &mut masked);
///     if dictionary.find(&masked).is_none() {
///         dictionary.learn(seq, seq, message, &masked);
///     }
/// }
/// let id = dictionary.find(&masked).expect("it was learned");
/// let template = dictionary.get(id).expect("it was not forgotten");
/// assert_eq!(template.text, "session opened for user <*>");
///
/// let (message, mut places) = ("session opened for user bob", Vec::new());
/// assert!(parameters(&template.text, message, &masked, &mut places));
/// assert_eq!(places, [(24, 27)]);
/// ```
#[derive(Clone, Debug)]
pub struct Dictionary {
    pub(super) options: Options,
    pub(super) tree: Tree,
    pub(super) clusters: Map<Serial, Cluster>,
    pub(super) next_serial: Serial,
    pub(super) entries: Map<TemplateId, Entry>,
    /// The template of each text.
    pub(super) by_text: Map<String, TemplateId>,
    /// The templates by when they were last used.
    pub(super) by_use: BTreeSet<(u64, TemplateId)>,
    pub(super) aliases: Map<TemplateId, TemplateId>,
    /// The keys of `aliases`, oldest first. An alias that is gone keeps its place.
    pub(super) aliases_by_age: VecDeque<TemplateId>,
    pub(super) siblings: Map<u64, Siblings>,
    /// The keys of `siblings`, oldest first.
    pub(super) siblings_by_age: VecDeque<u64>,
    pub(super) version: u64,
    /// All ones, but in tests that need hashes to collide.
    pub(super) id_bits: u64,
}

/// A row of the tree.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    pub(super) leaf: u32,
    /// Its tokens joined by a space, as many as there are cells in its row.
    pub(super) line: String,
    /// The line that it was made for.
    pub(super) founder: String,
    pub(super) template: TemplateId,
}

/// A template with what only the dictionary needs.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) template: Template,
    /// The line whose hash the id is.
    pub(super) founder: String,
    /// Its clusters, never none. The first is the one whose text it bears.
    pub(super) members: Vec<Serial>,
}

/// The clusters that differ at one place only, and there by a plain word.
#[derive(Clone, Debug, Default)]
pub(super) struct Siblings {
    /// Whether the place has become a wildcard.
    pub(super) folded: bool,
    /// The words, and the cluster of each.
    pub(super) words: Vec<(u64, Serial)>,
}

/// When a line was seen.
#[derive(Clone, Copy, Debug)]
struct Sight {
    epoch: u64,
    seq: u64,
    last_seq: u64,
    count: u64,
}

/// What a search comes to.
enum Found {
    /// The cluster takes the line as it is.
    Fits(Serial),
    /// The row is like the line, but not at all places.
    Differs { leaf: u32, best: Best },
    /// No row is like it.
    Nothing,
}

impl Dictionary {
    /// A dictionary with nothing in it.
    ///
    /// # Panics
    ///
    /// If an option is out of the range that it names.
    #[must_use]
    pub fn new(options: Options) -> Self {
        assert!(options.depth >= 3, "a tree has a depth of 3 or more");
        assert!((0.0..=1.0).contains(&options.similarity), "similarity is a share");
        assert!(options.max_children >= 2, "a node has two children or more");
        assert!(options.max_leaf >= 1 && options.max_templates >= 1, "a limit is 1 or more");
        Dictionary {
            options,
            tree: Tree::new(options.depth - 3, options.max_children),
            clusters: Map::default(),
            next_serial: 0,
            entries: Map::default(),
            by_text: Map::default(),
            by_use: BTreeSet::new(),
            aliases: Map::default(),
            aliases_by_age: VecDeque::new(),
            siblings: Map::default(),
            siblings_by_age: VecDeque::new(),
            version: 0,
            id_bits: u64::MAX,
        }
    }

    /// The template of a masked message, if one fits without becoming more general.
    ///
    /// That is Drain's choice: of the templates that begin alike, the one with most tokens equal
    /// to the message's, if these are enough and the rest are wildcards. Of an empty message it
    /// is [`TemplateId::NONE`]. `None` is a miss, to be merged when the epoch closes.
    #[must_use]
    pub fn find(&self, masked: &Masked) -> Option<TemplateId> {
        if masked.is_empty() {
            return Some(TemplateId::NONE);
        }
        match self.search(masked.hashes()) {
            Found::Fits(serial) => Some(self.clusters[&serial].template),
            Found::Differs { .. } | Found::Nothing => None,
        }
    }

    /// Which template an id means by now: its own, or the one that it became part of.
    #[must_use]
    pub fn resolve(&self, mut id: TemplateId) -> TemplateId {
        while let Some(next) = self.aliases.get(&id) {
            id = *next;
        }
        id
    }

    /// The template of an id, unless it is forgotten.
    #[must_use]
    pub fn get(&self, id: TemplateId) -> Option<&Template> {
        self.entries.get(&self.resolve(id)).map(|entry| &entry.template)
    }

    /// All templates, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Template> {
        let mut templates: Vec<_> = self.entries.values().map(|entry| &entry.template).collect();
        templates.sort_unstable_by_key(|template| template.id);
        templates.into_iter()
    }

    /// How many templates there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A number that changes whenever an answer of [`Dictionary::find`] may have.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Takes note of what was found in an epoch that has closed. Comes before its misses.
    ///
    /// Usages of one epoch may come in any order and any number of parts.
    pub fn used(&mut self, epoch: u64, usage: &Usage) {
        for (id, hits) in usage.sorted() {
            let id = self.resolve(id);
            let Some(entry) = self.entries.get_mut(&id) else {
                continue;
            };
            let template = &mut entry.template;
            self.by_use.remove(&(template.last_epoch, id));
            template.last_epoch = template.last_epoch.max(epoch);
            template.last_seq = template.last_seq.max(hits.last_seq);
            template.count += hits.count;
            self.by_use.insert((template.last_epoch, id));
        }
    }

    /// Learns the misses of an epoch that has closed: all workers' together, in any order.
    ///
    /// Each line is learned once, in the order of the first events that had it. Returns the id
    /// for each miss, by its [`seq`](Miss::seq) and sorted by it. Afterwards templates beyond the
    /// limit are forgotten, and if very many lines are new then on the way as well; an id that was
    /// given stays valid even so, only [`Dictionary::get`] knows no text for it.
    pub fn merge(&mut self, epoch: u64, mut misses: Vec<Miss>) -> Vec<(u64, TemplateId)> {
        misses.sort_unstable_by(|a, b| (a.seq, &a.line).cmp(&(b.seq, &b.line)));
        let mut known: Map<&str, usize> = Map::default();
        let mut lines: Vec<(&str, Sight)> = Vec::new();
        let mut line_of = Vec::with_capacity(misses.len());
        for miss in &misses {
            let line = *known.entry(miss.line.as_str()).or_insert_with(|| {
                let sight = Sight { epoch, seq: miss.seq, last_seq: miss.last_seq, count: 0 };
                lines.push((miss.line.as_str(), sight));
                lines.len() - 1
            });
            let sight = &mut lines[line].1;
            sight.last_seq = sight.last_seq.max(miss.last_seq);
            sight.count += miss.count;
            line_of.push(line);
        }
        let mut learned = Vec::with_capacity(lines.len());
        for (text, sight) in lines {
            learned.push(self.learn_line(&Line::new(text), sight));
            if self.clusters.len()
                > self.options.max_templates.saturating_mul(2).saturating_add(FLOOD)
            {
                self.shrink();
            }
        }
        let told = misses.iter().zip(line_of).map(|(miss, line)| {
            let (serial, id) = learned[line];
            let id = match serial.and_then(|serial| self.clusters.get(&serial)) {
                Some(cluster) => cluster.template,
                None => self.resolve(id),
            };
            (miss.seq, id)
        });
        let told = told.collect();
        self.shrink();
        told
    }

    /// Forgets the templates that have not been used for longest, as many as are too many.
    fn shrink(&mut self) {
        while self.clusters.len() > self.options.max_templates {
            let (_, id) = *self.by_use.first().expect("a cluster has a template");
            self.forget(id);
        }
    }

    /// Learns one message, as an epoch of its own. Returns its id.
    pub fn learn(&mut self, epoch: u64, seq: u64, message: &str, masked: &Masked) -> TemplateId {
        let miss = Miss { seq, last_seq: seq, count: 1, line: masked.line(message) };
        self.merge(epoch, vec![miss])[0].1
    }

    fn search(&self, tokens: &[u64]) -> Found {
        let Some(leaf) = self.tree.leaf(tokens) else {
            return Found::Nothing;
        };
        let Some(best) = self.tree.best(leaf, tokens) else {
            return Found::Nothing;
        };
        let fits = best.same + best.wild == tokens.len();
        match best.same as f64 / tokens.len() as f64 >= self.options.similarity {
            _ if best.equal => Found::Fits(self.tree.rows(leaf)[best.row]),
            true if fits => Found::Fits(self.tree.rows(leaf)[best.row]),
            true => Found::Differs { leaf, best },
            false => Found::Nothing,
        }
    }

    /// Learns a line. Returns the cluster that took it and that cluster's template.
    fn learn_line(&mut self, line: &Line<'_>, sight: Sight) -> (Option<Serial>, TemplateId) {
        if line.words.is_empty() {
            return (None, TemplateId::NONE);
        }
        let serial = match self.search(&line.tokens) {
            Found::Fits(serial) => serial,
            Found::Differs { leaf, best } => self.approach(leaf, best, line, sight),
            Found::Nothing => self.found(line, sight),
        };
        let id = self.clusters[&serial].template;
        let entry = self.entries.get_mut(&id).expect("a cluster has a template");
        self.by_use.remove(&(entry.template.last_epoch, id));
        entry.template.last_epoch = entry.template.last_epoch.max(sight.epoch);
        entry.template.last_seq = entry.template.last_seq.max(sight.last_seq);
        entry.template.count += sight.count;
        self.by_use.insert((entry.template.last_epoch, id));
        self.trim(id, serial);
        (Some(serial), id)
    }

    /// Takes a line that differs from the most similar row: generalises the row, or waits.
    fn approach(&mut self, leaf: u32, best: Best, line: &Line<'_>, sight: Sight) -> Serial {
        let width = line.tokens.len();
        let serial = self.tree.rows(leaf)[best.row];
        let cells = self.tree.cells(leaf, best.row, width);
        let differs = |place: &usize| cells[*place] != WILD && cells[*place] != line.tokens[*place];
        let places: Vec<usize> = (0..width).filter(differs).collect();
        let [place] = places[..] else {
            self.widen(serial, &places);
            return serial;
        };
        let mut words = self.clusters[&serial].line.split(' ').skip(place.saturating_sub(1));
        let before = if place > 0 { words.next() } else { None };
        let own = words.next().expect("a row has as many tokens as its line");
        let patience = match width {
            1 => 1,
            _ => self.patience(before, own, line.words[place]),
        };
        if patience <= 1 {
            self.widen(serial, &places);
            return serial;
        }

        // They are siblings until there are too many of them to be constants.
        let (own, other) = (cells[place], line.tokens[place]);
        let key = hole(cells, place);
        let mut siblings = self.siblings.remove(&key).unwrap_or_else(|| {
            self.siblings_by_age.push_back(key);
            Siblings::default()
        });
        if !siblings.folded {
            siblings.words.retain(|(_, serial)| self.clusters.contains_key(serial));
        }
        if !siblings.words.iter().any(|(word, _)| *word == own) {
            siblings.words.push((own, serial));
        }
        let wait = !siblings.folded && siblings.words.len() < patience;
        let taker = if wait {
            let taker = self.found(line, sight);
            siblings.words.retain(|(word, _)| *word != other);
            siblings.words.push((other, taker));
            taker
        } else {
            self.widen(serial, &places);
            for (_, sibling) in &siblings.words {
                self.fold(*sibling, serial);
            }
            siblings.folded = true;
            siblings.words.clear();
            serial
        };
        self.siblings.insert(key, siblings);
        let max = self.options.max_templates.saturating_mul(SIBLINGS_PER_TEMPLATE);
        while self.siblings.len() > max {
            let oldest = self.siblings_by_age.pop_front().expect("every key has an age");
            self.siblings.remove(&oldest);
        }
        taker
    }

    /// How many different words may stand where one template has `own` and a line `other`.
    fn patience(&self, before: Option<&str>, own: &str, other: &str) -> usize {
        match (key_of(own), key_of(other)) {
            _ if is_plain(own) && is_plain(other) => match before.is_some_and(precedes_name) {
                true => self.options.late_name,
                false => self.options.late_wildcard,
            },
            (Some(key), Some(same)) if key == same => self.options.late_value,
            _ => 1,
        }
    }

    /// Makes a cluster for a line, and a template for the cluster if it says something new.
    fn found(&mut self, line: &Line<'_>, sight: Sight) -> Serial {
        let varies = |place: usize| line.words[place].contains(|c: char| c.is_ascii_digit());
        let leaf = self.tree.grow(&line.tokens, varies);
        while self.tree.rows(leaf).len() >= self.options.max_leaf {
            self.make_room(leaf);
        }
        let serial = self.next_serial;
        self.next_serial += 1;
        self.tree.insert(leaf, serial, &line.tokens);
        let id = self.template_for(&line.text, sight);
        let (line, founder) = (line.text.clone(), line.text.clone());
        let cluster = Cluster { leaf, line, founder, template: id };
        self.clusters.insert(serial, cluster);
        self.join(serial, id);
        self.version += 1;
        serial
    }

    /// The template of a line that founds a cluster: the one with that text, the one that the
    /// same line founded before, or a new one.
    fn template_for(&mut self, founder: &str, sight: Sight) -> TemplateId {
        let text = canonical(founder);
        if let Some(id) = self.by_text.get(&text) {
            return *id;
        }
        for attempt in 0.. {
            let id = self.identity(founder, attempt);
            let heir = self.resolve(id);
            match self.entries.get(&heir) {
                _ if id == TemplateId::NONE => {}
                Some(entry) if heir == id && entry.founder != founder => {}
                Some(entry) if covers(&entry.template.text, &text) => return heir,
                Some(_) if heir == id => {}
                _ => {
                    self.begin(id, text, founder, sight);
                    return id;
                }
            }
        }
        unreachable!("there are more numbers than templates")
    }

    /// The id of a line; at a further `attempt` if those before are taken.
    fn identity(&self, founder: &str, attempt: u32) -> TemplateId {
        let id = match attempt {
            0 => hash::stable(founder.as_bytes()),
            attempt => hash::stable(format!("{founder}\n{attempt}").as_bytes()),
        };
        TemplateId(id & self.id_bits)
    }

    /// Begins a template that has no cluster yet.
    fn begin(&mut self, id: TemplateId, text: String, founder: &str, sight: Sight) {
        let template = Template {
            id,
            wildcards: wildcards(&text),
            text: text.clone(),
            first_seq: sight.seq,
            last_seq: sight.seq,
            first_epoch: sight.epoch,
            last_epoch: sight.epoch,
            count: 0,
        };
        let entry = Entry { template, founder: founder.into(), members: Vec::new() };
        self.by_use.insert((sight.epoch, id));
        self.entries.insert(id, entry);
        self.by_text.insert(text, id);
        // Who is alive stands for itself.
        self.aliases.remove(&id);
    }

    /// Makes a cluster part of a template.
    fn join(&mut self, serial: Serial, id: TemplateId) {
        self.clusters.get_mut(&serial).expect("the cluster is alive").template = id;
        self.entries.get_mut(&id).expect("the template is alive").members.push(serial);
    }

    /// Drops the oldest clusters of a template that has too many, but not its first nor `keep`.
    fn trim(&mut self, id: TemplateId, keep: Serial) {
        while self.entries[&id].members.len() > MEMBERS_MAX {
            let members = &self.entries[&id].members;
            let oldest = members[1..].iter().find(|member| **member != keep);
            let leaf = self.drop_cluster(*oldest.expect("there are more than two"));
            self.tree.prune(leaf);
        }
    }

    /// Makes places of a cluster wildcards, and sees to what that means for its template.
    fn widen(&mut self, serial: Serial, places: &[usize]) {
        self.version += 1;
        let cluster = self.clusters.get_mut(&serial).expect("it was found");
        let mut words: Vec<&str> = cluster.line.split(' ').collect();
        let row = self.tree.rows(cluster.leaf).iter().position(|row| *row == serial);
        let row = row.expect("a cluster is a row of its leaf");
        for place in places {
            words[*place] = WILDCARD;
            self.tree.widen(cluster.leaf, row, words.len(), *place);
        }
        cluster.line = words.join(" ");
        let (id, text) = (cluster.template, canonical(&cluster.line));
        let entry = &self.entries[&id];
        if covers(&entry.template.text, &text) {
            return;
        }
        let leads = entry.members[0] == serial && covers(&text, &entry.template.text);
        if leads || entry.members.len() == 1 {
            self.retitle(id, text);
        } else {
            self.part(serial, text);
        }
    }

    /// Gives a template a more general text; if that is another one's, both are one.
    fn retitle(&mut self, id: TemplateId, text: String) {
        let entry = self.entries.get_mut(&id).expect("the template is alive");
        let old = std::mem::replace(&mut entry.template.text, text.clone());
        entry.template.wildcards = wildcards(&text);
        let first = (entry.template.first_seq, id);
        if self.by_text.get(&old) == Some(&id) {
            self.by_text.remove(&old);
        }
        let Some(other) = self.by_text.get(&text).copied() else {
            self.by_text.insert(text, id);
            return;
        };
        let (survivor, loser) = match first < (self.entries[&other].template.first_seq, other) {
            true => (id, other),
            false => (other, id),
        };
        self.absorb(survivor, loser);
        self.by_text.insert(text, survivor);
    }

    /// Takes a cluster out of a template whose text no longer covers it.
    fn part(&mut self, serial: Serial, text: String) {
        let (founder, id) = {
            let cluster = &self.clusters[&serial];
            (cluster.founder.clone(), cluster.template)
        };
        let entry = self.entries.get_mut(&id).expect("the template is alive");
        entry.members.retain(|member| *member != serial);
        let sight = Sight {
            epoch: entry.template.last_epoch,
            seq: entry.template.last_seq,
            last_seq: entry.template.last_seq,
            count: 0,
        };
        if let Some(other) = self.by_text.get(&text).copied() {
            return self.join(serial, other);
        }
        let mut attempt = 0;
        let fresh = loop {
            let fresh = self.identity(&founder, attempt);
            if fresh != TemplateId::NONE && !self.entries.contains_key(&fresh) {
                break fresh;
            }
            attempt += 1;
        };
        self.begin(fresh, text, &founder, sight);
        self.join(serial, fresh);
    }

    /// Makes a sibling of `into` part of its template, if that covers it.
    fn fold(&mut self, sibling: Serial, into: Serial) {
        let Some(cluster) = self.clusters.get(&sibling).filter(|_| sibling != into) else {
            return;
        };
        let (loser, leaf) = (cluster.template, cluster.leaf);
        let survivor = self.clusters[&into].template;
        let text = canonical(&cluster.line);
        if !covers(&self.entries[&survivor].template.text, &text) {
            return;
        }
        if loser != survivor {
            if !covers(&self.entries[&survivor].template.text, &self.entries[&loser].template.text)
            {
                return;
            }
            self.absorb(survivor, loser);
        }
        if leaf == self.clusters[&into].leaf {
            self.drop_cluster(sibling);
        }
    }

    /// Makes `loser` part of `survivor`.
    fn absorb(&mut self, survivor: TemplateId, loser: TemplateId) {
        let lost = self.entries.remove(&loser).expect("the template is alive");
        self.by_use.remove(&(lost.template.last_epoch, loser));
        if self.by_text.get(&lost.template.text) == Some(&loser) {
            self.by_text.remove(&lost.template.text);
        }
        let kept = &mut self.entries.get_mut(&survivor).expect("the template is alive").template;
        self.by_use.remove(&(kept.last_epoch, survivor));
        kept.count += lost.template.count;
        kept.last_seq = kept.last_seq.max(lost.template.last_seq);
        kept.last_epoch = kept.last_epoch.max(lost.template.last_epoch);
        kept.first_seq = kept.first_seq.min(lost.template.first_seq);
        kept.first_epoch = kept.first_epoch.min(lost.template.first_epoch);
        self.by_use.insert((kept.last_epoch, survivor));
        for serial in lost.members {
            self.join(serial, survivor);
        }
        self.aliases.insert(loser, survivor);
        self.aliases_by_age.push_back(loser);
        while self.aliases_by_age.len() > self.options.max_aliases {
            let oldest = self.aliases_by_age.pop_front().expect("it is longer than its limit");
            self.aliases.remove(&oldest);
        }
        self.version += 1;
    }

    /// Takes out of a full leaf a quarter of its rows: those whose templates have not been used
    /// for longest. So what it costs to choose is shared by the many lines that then have room.
    fn make_room(&mut self, leaf: u32) {
        let age = |serial: &Serial| {
            let id = self.clusters[serial].template;
            (self.entries[&id].template.last_epoch, id, *serial)
        };
        let mut rows: Vec<_> = self.tree.rows(leaf).iter().map(age).collect();
        rows.sort_unstable();
        for (_, _, serial) in &rows[..rows.len().div_ceil(4)] {
            self.drop_cluster(*serial);
        }
    }

    /// Takes a cluster out; its template goes with its last. Returns the leaf it was in.
    fn drop_cluster(&mut self, serial: Serial) -> u32 {
        let cluster = self.clusters.remove(&serial).expect("the cluster is alive");
        self.tree.remove(cluster.leaf, serial);
        self.version += 1;
        let entry = self.entries.get_mut(&cluster.template).expect("a cluster has a template");
        entry.members.retain(|member| *member != serial);
        if entry.members.is_empty() {
            self.forget(cluster.template);
        }
        cluster.leaf
    }

    /// Forgets a template and its clusters. What is an alias of it stays one.
    fn forget(&mut self, id: TemplateId) {
        let entry = self.entries.remove(&id).expect("the template is alive");
        self.by_use.remove(&(entry.template.last_epoch, id));
        if self.by_text.get(&entry.template.text) == Some(&id) {
            self.by_text.remove(&entry.template.text);
        }
        for serial in entry.members {
            let cluster = self.clusters.remove(&serial).expect("a member is a cluster");
            self.tree.remove(cluster.leaf, serial);
            self.tree.prune(cluster.leaf);
        }
        self.version += 1;
    }
}
