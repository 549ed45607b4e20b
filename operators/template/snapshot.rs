//! A dictionary as bytes, and back.
//!
//! The same dictionary makes the same bytes at every worker, so comparing bytes compares
//! replicas. What comes back gives all the answers that the original would have given from then
//! on. Bytes that no dictionary made are refused, whatever they are.

use serde::{Deserialize, Serialize};

use super::dictionary::{Cluster, Dictionary, Entry, Siblings, Template};
use super::line::token;
use super::tree::Serial;
use super::{Options, TemplateId};
use crate::types::hash::Map;

/// The number of this form. A new one for every change of the fields below.
const FORM: u32 = 1;

/// Why bytes are no dictionary.
#[derive(Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// They are of another version of this program.
    Form {
        /// The form that they say they have.
        found: u32,
    },
    /// The tree has another depth than the options say, so its leaves cannot be found.
    Depth {
        /// The depth of the tree.
        found: usize,
        /// The depth in the options.
        wanted: usize,
    },
    /// They are damaged.
    Damaged,
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DecodeError::Form { found } => {
                write!(f, "template dictionary has form {found}, this program reads {FORM}")
            }
            DecodeError::Depth { found, wanted } => {
                write!(f, "template dictionary was made with depth {found}, options say {wanted}")
            }
            DecodeError::Damaged => f.write_str("template dictionary is damaged"),
        }
    }
}

impl std::error::Error for DecodeError {}

#[derive(Serialize, Deserialize)]
struct Snapshot {
    depth: usize,
    version: u64,
    next_serial: Serial,
    leaves: Vec<Leaf>,
    templates: Vec<TemplateShot>,
    aliases: Vec<(TemplateId, TemplateId)>,
    aliases_by_age: Vec<TemplateId>,
    /// Oldest first.
    siblings: Vec<SiblingsShot>,
}

#[derive(Serialize, Deserialize)]
struct SiblingsShot {
    key: u64,
    folded: bool,
    words: Vec<(u64, Serial)>,
}

#[derive(Serialize, Deserialize)]
struct Leaf {
    path: Vec<u64>,
    rows: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    serial: Serial,
    line: String,
    founder: String,
}

#[derive(Serialize, Deserialize)]
struct TemplateShot {
    id: TemplateId,
    text: String,
    founder: String,
    wildcards: u32,
    seqs: (u64, u64),
    epochs: (u64, u64),
    count: u64,
    members: Vec<Serial>,
}

impl Dictionary {
    /// The dictionary as bytes: equal dictionaries, equal bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let row = |serial: &Serial| {
            let cluster = &self.clusters[serial];
            Row { serial: *serial, line: cluster.line.clone(), founder: cluster.founder.clone() }
        };
        let leaves = self.tree.leaves().into_iter();
        let leaves = leaves
            .map(|(path, leaf)| Leaf { path, rows: self.tree.rows(leaf).iter().map(row).collect() })
            .collect();
        let templates = self.iter().map(|template| {
            let entry = &self.entries[&template.id];
            TemplateShot {
                id: template.id,
                text: template.text.clone(),
                founder: entry.founder.clone(),
                wildcards: template.wildcards,
                seqs: (template.first_seq, template.last_seq),
                epochs: (template.first_epoch, template.last_epoch),
                count: template.count,
                members: entry.members.clone(),
            }
        });
        let mut aliases: Vec<_> = self.aliases.iter().map(|(id, to)| (*id, *to)).collect();
        aliases.sort_unstable();
        let siblings = self.siblings_by_age.iter().map(|key| {
            let siblings = &self.siblings[key];
            SiblingsShot { key: *key, folded: siblings.folded, words: siblings.words.clone() }
        });
        let snapshot = Snapshot {
            depth: self.options.depth,
            version: self.version,
            next_serial: self.next_serial,
            leaves,
            templates: templates.collect(),
            aliases,
            aliases_by_age: self.aliases_by_age.iter().copied().collect(),
            siblings: siblings.collect(),
        };
        let bytes = postcard::to_stdvec(&FORM).expect("numbers can be written");
        postcard::to_extend(&snapshot, bytes).expect("numbers and text can be written")
    }

    /// The dictionary that `bytes` were made of.
    ///
    /// `options` hold from now on; all but the depth may differ from the former ones.
    ///
    /// # Errors
    ///
    /// If the form or the depth is another one, or if anything in the bytes does not fit the rest.
    pub fn decode(bytes: &[u8], options: Options) -> Result<Self, DecodeError> {
        let damaged = |_| DecodeError::Damaged;
        let (form, bytes) = postcard::take_from_bytes::<u32>(bytes).map_err(damaged)?;
        if form != FORM {
            return Err(DecodeError::Form { found: form });
        }
        let (snapshot, rest) = postcard::take_from_bytes::<Snapshot>(bytes).map_err(damaged)?;
        if snapshot.depth != options.depth {
            return Err(DecodeError::Depth { found: snapshot.depth, wanted: options.depth });
        }
        match rest.is_empty() {
            true => restore(snapshot, options).ok_or(DecodeError::Damaged),
            false => Err(DecodeError::Damaged),
        }
    }
}

/// Builds a dictionary; `None` if the parts do not fit each other.
fn restore(snapshot: Snapshot, options: Options) -> Option<Dictionary> {
    let mut dictionary = Dictionary::new(options);
    dictionary.version = snapshot.version;
    dictionary.next_serial = snapshot.next_serial;
    let mut owners: Map<Serial, TemplateId> = Map::default();
    for shot in snapshot.templates {
        let (id, text) = (shot.id, shot.text.clone());
        let double = dictionary.by_text.insert(text, id).is_some();
        let absurd = shot.members.is_empty() || id == TemplateId::NONE || double;
        if absurd || dictionary.entries.contains_key(&id) {
            return None;
        }
        for member in &shot.members {
            if owners.insert(*member, id).is_some() {
                return None;
            }
        }
        dictionary.by_use.insert((shot.epochs.1, id));
        let template = Template {
            id,
            text: shot.text,
            wildcards: shot.wildcards,
            first_seq: shot.seqs.0,
            last_seq: shot.seqs.1,
            first_epoch: shot.epochs.0,
            last_epoch: shot.epochs.1,
            count: shot.count,
        };
        let entry = Entry { template, founder: shot.founder, members: shot.members };
        dictionary.entries.insert(id, entry);
    }
    for leaf in snapshot.leaves {
        let width = leaf.rows.first()?.line.split(' ').count();
        let place = dictionary.tree.restore(width, &leaf.path)?;
        for row in leaf.rows {
            let tokens: Vec<u64> = row.line.split(' ').map(token).collect();
            if tokens.len() != width || row.serial >= snapshot.next_serial {
                return None;
            }
            let template = owners.remove(&row.serial)?;
            dictionary.tree.insert(place, row.serial, &tokens);
            let cluster = Cluster { leaf: place, line: row.line, founder: row.founder, template };
            dictionary.clusters.insert(row.serial, cluster);
        }
    }
    dictionary.aliases = snapshot.aliases.into_iter().collect();
    let ends = |id: &TemplateId| {
        let mut at = *id;
        for _ in 0..=dictionary.aliases.len() {
            match dictionary.aliases.get(&at) {
                Some(next) => at = *next,
                None => return true,
            }
        }
        false
    };
    let alive = |id: &TemplateId| dictionary.entries.contains_key(id);
    let sound = dictionary.aliases.keys().all(|id| ends(id) && !alive(id));
    if !owners.is_empty() || !sound {
        return None;
    }
    dictionary.aliases_by_age = snapshot.aliases_by_age.into();
    for SiblingsShot { key, folded, words } in snapshot.siblings {
        dictionary.siblings_by_age.push_back(key);
        if dictionary.siblings.insert(key, Siblings { folded, words }).is_some() {
            return None;
        }
    }
    Some(dictionary)
}
