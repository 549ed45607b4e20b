//! Every key that a configuration may hold: what it is called, what it means, what it takes.
//!
//! A key is written down once, as a field of [`Settings`] or, while it
//! has no effect yet, in [`later`]. From there come the checks, the JSON Schema and
//! the remarks in `configs/default.yaml`, which alone holds the defaults.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use super::{later, settings::Settings};

/// A key within its section.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name, without the section.
    pub name: &'static str,
    /// What it means. Lines begin with a space, as doc comments do.
    pub about: &'static str,
    /// What it takes.
    pub kind: Kind,
}

/// What a key takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `true` or `false`.
    Switch,
    /// A whole number between two bounds, both included.
    Integer(u64, u64),
    /// A number between two bounds, both included.
    Number(f64, f64),
    /// A number strictly between two bounds.
    Between(f64, f64),
    /// Text, of at most so many bytes.
    Text(usize),
    /// Text that is never shown.
    Secret,
    /// One of some words. Upper and lower case are the same.
    Choice(&'static [&'static str]),
    /// Log levels, as [`crate::telemetry::Levels`] reads them.
    Levels,
    /// An IP address.
    Address,
    /// A path.
    Path,
    /// An URL.
    Url,
    /// Something, or empty text for nothing.
    OrNone(&'static Kind),
    /// A regular expression of at most so many bytes.
    Pattern(usize),
    /// A time zone: `UTC`, `+02:00`, or a name such as `Europe/Berlin`.
    Zone,
    /// A key that must be there wherever its mapping is.
    Required(&'static Kind),
    /// A list.
    List(&'static Kind),
    /// A mapping from names that the reader chooses.
    Map(&'static Kind),
    /// The same, from names of letters, digits and `_`.
    Words(&'static Kind),
    /// A mapping with these keys. At the top of the tree: a section.
    Object(&'static [Key]),
    /// Anything; what may be in it is settled when it has an effect.
    Any,
}

impl Kind {
    /// A TCP or UDP port.
    pub const PORT: Kind = Kind::Integer(1, 65_535);
    /// Text of ordinary length.
    pub const TEXT: Kind = Kind::Text(65_536);
    /// A path, or empty text for none.
    pub const MAYBE_PATH: Kind = Kind::OrNone(&Kind::Path);
    /// An URL, or empty text for none.
    pub const MAYBE_URL: Kind = Kind::OrNone(&Kind::Url);
    /// A severity, from 0 for unknown to 6 for fatal.
    pub const SEVERITY: Kind = Kind::Integer(0, 6);

    /// Whether its values may be shown.
    #[must_use]
    pub fn is_secret(self) -> bool {
        match self {
            Kind::Secret => true,
            Kind::List(kind)
            | Kind::Map(kind)
            | Kind::Words(kind)
            | Kind::Required(kind)
            | Kind::OrNone(kind) => kind.is_secret(),
            Kind::Object(keys) => keys.iter().any(|key| key.kind.is_secret()),
            _ => false,
        }
    }
}

impl fmt::Display for Kind {
    /// What it takes, in words that follow "must be".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Kind::Switch => f.write_str("`true` or `false`"),
            Kind::Integer(least, u64::MAX) => write!(f, "a whole number from {least}"),
            Kind::Integer(least, most) => write!(f, "a whole number from {least} to {most}"),
            Kind::Number(least, f64::MAX) => write!(f, "a number from {least}"),
            Kind::Number(least, most) => write!(f, "a number from {least} to {most}"),
            Kind::Between(least, f64::MAX) => write!(f, "a number above {least}"),
            Kind::Between(least, most) => write!(f, "a number between {least} and {most}"),
            Kind::Text(65_536) | Kind::Secret => f.write_str("text"),
            Kind::Text(most) => write!(f, "text of at most {most} bytes"),
            Kind::Choice(words) => {
                f.write_str("one of ")?;
                for (index, word) in words.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}`{word}`")?;
                }
                Ok(())
            }
            Kind::Levels => f.write_str("a log level, as in `info` or `info,receivers=debug`"),
            Kind::Address => f.write_str("an IP address"),
            Kind::Path => f.write_str("a path"),
            Kind::Url => f.write_str("an URL with its scheme, as in `https://host/path`"),
            Kind::Pattern(_) => f.write_str("a regular expression"),
            Kind::Zone => f.write_str("a time zone, as in `UTC`, `+02:00` or `Europe/Berlin`"),
            Kind::Required(kind) | Kind::OrNone(kind) => kind.fmt(f),
            Kind::List(kind) => match kind {
                Kind::Object(_) => f.write_str("a list of mappings"),
                Kind::Path => f.write_str("a list of paths"),
                Kind::Any => f.write_str("a list"),
                _ => f.write_str("a list of text"),
            },
            Kind::Map(_) | Kind::Words(_) | Kind::Object(_) => {
                f.write_str("a mapping of names to values")
            }
            Kind::Any => f.write_str("any value"),
        }
    }
}

/// Whether a key does anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It does.
    Now,
    /// It is known, so that configurations of the reference system load; it does nothing yet.
    Later,
    /// It is another name of the key at this path.
    Alias(String),
}

/// A key in the whole tree.
#[derive(Clone, Debug)]
pub struct Entry {
    /// From the top, joined by dots.
    pub path: String,
    /// Its name, meaning and kind.
    pub key: Key,
    /// Whether it does anything. A section is `Now` if one of its keys is.
    pub effect: Effect,
    /// Its place in the order of all keys.
    rank: usize,
}

impl Entry {
    /// Its name in its section. For an alias, this and not the key's.
    #[must_use]
    pub fn name(&self) -> &str {
        split(&self.path).1
    }

    /// Whether it is a section, which holds keys and not a value.
    #[must_use]
    pub fn is_section(&self) -> bool {
        matches!(self.key.kind, Kind::Object(_))
    }
}

/// Names of the reference system, or of its manual, for keys that have a better one here.
const ALIASES: [(&str, &str); 3] = [
    ("correlation.late_tolerance_seconds", "watermark.tolerance_s"),
    ("detection.sigma_rules_dirs", "rules.dirs"),
    ("storage.data_dir", "state.dir"),
];

/// Sections of `detection` whose keys are also known by flat names: `dspot.risk_level` as
/// `dspot_risk_level`.
const FLAT: [&str; 4] = ["dspot", "hw", "cusum", "markov"];

static TABLE: LazyLock<BTreeMap<String, Entry>> = LazyLock::new(|| {
    let mut table = BTreeMap::new();
    insert_all(&mut table, "", Settings::KEYS, &Effect::Now);
    insert_all(&mut table, "", later::KEYS, &Effect::Later);
    for group in FLAT {
        let section = format!("detection.{group}.");
        let keys: Vec<Entry> = within(&table, &section).cloned().collect();
        for entry in keys {
            let flat = format!("detection.{group}_{}", entry.key.name);
            let rank = table.len();
            let effect = Effect::Alias(entry.path);
            table.insert(flat.clone(), Entry { path: flat, key: entry.key, effect, rank });
        }
    }
    for (alias, path) in ALIASES {
        let key = table.get(path).expect("an alias stands for a key").key;
        let effect = Effect::Alias(path.to_owned());
        let rank = table.len();
        table.insert(alias.to_owned(), Entry { path: alias.to_owned(), key, effect, rank });
    }
    table
});

fn insert_all(
    table: &mut BTreeMap<String, Entry>,
    section: &str,
    keys: &'static [Key],
    effect: &Effect,
) {
    for key in keys {
        let path = join(section, key.name);
        let rank = table.len();
        let entry = Entry { path: path.clone(), key: *key, effect: effect.clone(), rank };
        match key.kind {
            Kind::Object(keys) => {
                table.entry(path.clone()).or_insert(entry);
                insert_all(table, &path, keys, effect);
            }
            _ => {
                let before = table.insert(path, entry);
                assert!(before.is_none(), "`{section}.{}` is written down twice", key.name);
            }
        }
    }
}

fn within<'t>(
    table: &'t BTreeMap<String, Entry>,
    prefix: &str,
) -> impl Iterator<Item = &'t Entry> + use<'t> {
    let prefix = prefix.to_owned();
    table
        .range(prefix.clone()..)
        .take_while(move |(path, _)| path.starts_with(&prefix))
        .map(|(_, entry)| entry)
}

/// The path of a name in a section; the top has the empty path.
#[must_use]
pub fn join(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

/// The section that a path is in, and the name at its end.
#[must_use]
pub fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('.').unwrap_or(("", path))
}

/// The key or section at a path.
#[must_use]
pub fn find(path: &str) -> Option<&'static Entry> {
    TABLE.get(path)
}

/// Every key and section, by path.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    TABLE.values()
}

/// Every key that holds a value and is not another's alias, in the order of `configs/default.yaml`
/// with those without an effect last.
pub fn leaves() -> Vec<&'static Entry> {
    let mut paths = Vec::new();
    collect(&mut paths, "", Settings::KEYS);
    collect(&mut paths, "", later::KEYS);
    paths.iter().map(|path| find(path).expect("the table holds every key")).collect()
}

fn collect(paths: &mut Vec<String>, section: &str, keys: &[Key]) {
    for key in keys {
        let path = join(section, key.name);
        match key.kind {
            Kind::Object(keys) => collect(paths, &path, keys),
            _ => paths.push(path),
        }
    }
}

/// The names directly in a section: as `configs/default.yaml` has them, then those without an
/// effect, then aliases.
#[must_use]
pub fn names_in(section: &str) -> Vec<&'static Entry> {
    let mut entries: Vec<&Entry> = all().filter(|entry| split(&entry.path).0 == section).collect();
    entries.sort_by_key(|entry| entry.rank);
    entries
}

/// The other names of the key at `path`.
#[must_use]
pub fn aliases_of(path: &str) -> Vec<&'static str> {
    all()
        .filter(|entry| matches!(&entry.effect, Effect::Alias(of) if of == path))
        .map(|entry| entry.path.as_str())
        .collect()
}

/// A section of the settings: the struct that holds its values, and its keys.
macro_rules! section {
    ($(#[doc = $about:literal])+ pub struct $name:ident {
        $( $(#[doc = $doc:literal])+ $field:ident: $type:ty = $kind:expr, )+
    }) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
        pub struct $name {
            $( $(#[doc = $doc])+ pub $field: $type, )+
        }

        impl $name {
            /// Its keys, in the order in which `configs/default.yaml` has them.
            pub const KEYS: &'static [$crate::config::keys::Key] = &[
                $( $crate::config::keys::Key {
                    name: stringify!($field),
                    about: concat!($($doc, "\n"),+),
                    kind: $kind,
                }, )+
            ];
        }
    };
}

/// Keys without a struct.
macro_rules! keys {
    ($( $(#[doc = $doc:literal])+ $name:ident = $kind:expr, )+) => {
        &[ $( $crate::config::keys::Key {
            name: stringify!($name),
            about: concat!($($doc, "\n"),+),
            kind: $kind,
        }, )+ ]
    };
}

pub(super) use {keys, section};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_name_and_a_better_name_lead_to_the_same_key() {
        let alias = |path| find(path).map(|entry| entry.effect.clone());
        let to = |path: &str| Some(Effect::Alias(path.to_owned()));
        assert_eq!(alias("detection.dspot_risk_level"), to("detection.dspot.risk_level"));
        assert_eq!(alias("detection.hw_alpha"), to("detection.hw.alpha"));
        assert_eq!(alias("storage.data_dir"), to("state.dir"));
        assert_eq!(alias("detection.dspot.risk_level"), Some(Effect::Now));
        assert_eq!(alias("ueba.enabled"), Some(Effect::Later));
    }

    #[test]
    fn every_key_is_explained_by_a_sentence() {
        for entry in all() {
            let about = entry.key.about.trim();
            assert!(about.len() > 5 && about.ends_with('.'), "{}: {about:?}", entry.path);
        }
    }
}
