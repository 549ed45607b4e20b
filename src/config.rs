//! The configuration: the only place that knows its file and its environment.
//!
//! Four layers, each over the one before: `configs/default.yaml`, which is in the program; the
//! file; the environment (`SEERFLOW__SECTION__KEY=value`); flags (`--set section.key=value`).
//! Values of the last two are YAML. In each, `null` asks for the default. Maps, such as
//! `alerting.dedup_window_overrides`, are merged; lists are replaced.
//!
//! Everything that is wrong is told at once ([`Problems`]), and then nothing is started. All
//! keys: [`settings::Settings`], and [`later`] for those of the reference system that are known
//! and do nothing yet.

pub mod interpolate;
pub mod keys;
pub mod later;
pub mod print;
pub mod report;
pub mod schema;
pub mod settings;
pub mod yaml;

mod check;
mod suggest;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use config::{Config, Source, Value as Setting, ValueKind};

use self::check::{Checker, Layer, Leaf};
use self::interpolate::Environment;
use self::keys::Effect;
use self::report::{Origin, Problem, Problems};
use self::yaml::{Node, Place, Value};
use crate::rules::files::can_hold_rules;

pub use self::settings::Settings;

/// The defaults: every key that has an effect, with its meaning, unit and default.
pub const DEFAULT_YAML: &str = include_str!("../configs/default.yaml");
/// What `init` writes: the keys that most people want to set.
pub const STARTER_YAML: &str = include_str!("../configs/starter.yaml");
/// The file that is read if none is named and it is there.
pub const FILE_NAME: &str = "seerflow.yaml";

/// What variables of the environment that are keys begin with.
const ENVIRONMENT_PREFIX: &str = "SEERFLOW__";

/// What a configuration is made from, read and not yet understood.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file, if there is one.
    pub file: Option<Document>,
    /// The environment of the process.
    pub environment: Environment,
    /// Values given by flags; later ones win.
    pub flags: Vec<Flag>,
}

/// A configuration file.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its name, as it was given.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// A value given by a flag.
#[derive(Clone, Debug)]
pub struct Flag {
    /// The flag, without its value: `--set state.dir`, `--workers`.
    pub flag: String,
    /// The key.
    pub path: String,
    /// The value, in YAML.
    pub value: String,
}

impl Flag {
    /// The value of `--set`, as in `state.dir=/tmp/x`; without `=` it has no key that exists.
    #[must_use]
    pub fn set(argument: &str) -> Self {
        let (path, value) = argument.split_once('=').unwrap_or((argument, ""));
        let path = path.trim().to_owned();
        Flag { flag: format!("--set {path}"), path, value: value.to_owned() }
    }

    /// A flag of its own that stands for a key. The value is taken as it is: it is no YAML, and
    /// names no variables.
    #[must_use]
    pub fn named(flag: &str, path: &str, value: &str) -> Self {
        let literal = value.replace("${", "$${");
        let quoted = serde_json::to_string(&literal).expect("a string can be written as JSON");
        let value = if value.parse::<u64>().is_ok() { value.to_owned() } else { quoted };
        Flag { flag: flag.to_owned(), path: path.to_owned(), value }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something is wrong with it.
    #[error(transparent)]
    Problems(#[from] Problems),
    /// A value passed the checks and does not fit its field all the same: a fault of the program.
    #[error("the settings do not fit the checks")]
    Internal(#[source] config::ConfigError),
}

/// A configuration, and where its values come from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the program works with.
    pub settings: Settings,
    /// The name of the file, if there is one.
    pub file: Option<String>,
    values: BTreeMap<String, (ValueKind, Origin)>,
    /// The file's text, to show what is wrong there.
    text: String,
    /// Where each path of a list was given.
    paths: BTreeMap<String, Origin>,
}

impl Loaded {
    /// Of every key that is set and does nothing: a sentence, and where it is set.
    #[must_use]
    pub fn notes(&self) -> Vec<(String, Origin)> {
        let mut notes: Vec<(String, Origin)> = self
            .values
            .iter()
            .filter(|(path, _)| keys::find(path).is_some_and(|key| key.effect == Effect::Later))
            .map(|(path, (_, origin))| {
                (format!("`{path}` is known and has no effect yet"), origin.clone())
            })
            .collect();
        notes.sort_by(|a, b| a.1.cmp(&b.1));
        notes
    }

    /// The value of a key and where it comes from; `None` if it has none.
    #[must_use]
    pub fn value(&self, path: &str) -> Option<(&ValueKind, &Origin)> {
        self.values.get(path).map(|(value, origin)| (value, origin))
    }

    /// Checks that all is there that is named for rules: who reads them would otherwise go on
    /// without, and say nothing of what they would have found.
    ///
    /// # Errors
    /// Each path that is not there, or holds nothing of the kind.
    pub fn check_rules(&self) -> Result<(), ConfigError> {
        let Settings { rules, correlation, .. } = &self.settings;
        let keys = [
            ("rules.dirs", &rules.dirs),
            ("correlation.rule_dirs", &correlation.rule_dirs),
            ("rules.pipelines", &rules.pipelines),
        ];
        let mut problems = Vec::new();
        for (key, paths) in keys {
            for (number, path) in paths.iter().enumerate() {
                let place = format!("{key}[{number}]");
                let shown = path.display();
                let (title, help) = match path.metadata() {
                    Ok(found) if found.is_dir() || can_hold_rules(path) => continue,
                    Ok(_) => {
                        let kinds = "folders, .yml and .yaml files, and archives: .zip, .tar, \
                                     .tar.gz, .tar.xz, .tar.zst";
                        let title = format!("`{place}`: `{shown}` is no folder and no rules");
                        (title, Some(kinds.to_owned()))
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        let here = std::env::current_dir().ok().filter(|_| path.is_relative());
                        let help = here.map(|here| {
                            format!("a relative path is one of the folder `{}`", here.display())
                        });
                        (format!("`{place}`: there is no `{shown}`"), help)
                    }
                    Err(error) => (format!("`{place}`: cannot read `{shown}`: {error}"), None),
                };
                let origin = self.paths.get(&place).cloned().unwrap_or(Origin::Default);
                let help = help.into_iter().collect();
                problems.push(Problem { title, origin, label: String::new(), help });
            }
        }
        match problems.is_empty() {
            true => Ok(()),
            false => {
                let file = self.file.as_deref().unwrap_or_default();
                Err(Problems::new(file, &self.text, problems).into())
            }
        }
    }

    /// An origin in words, with the file's name.
    #[must_use]
    pub fn place(&self, origin: &Origin) -> String {
        match (origin, &self.file) {
            (Origin::File(place), Some(file)) => format!("{file}:{}:{}", place.line, place.column),
            (other, _) => other.to_string(),
        }
    }
}

impl Sources {
    /// The process's environment and a file: the one named, or `seerflow.yaml` if it is there.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(file: Option<&Path>, flags: Vec<Flag>) -> Result<Self, ConfigError> {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let path = match file {
            Some(path) => Some(path),
            None => Some(Path::new(FILE_NAME)).filter(|path| path.exists()),
        };
        let file = path.map(read_document).transpose()?;
        Ok(Sources { file, environment, flags })
    }
}

/// Reads a file, not much further than a configuration may be long.
fn read_document(path: &Path) -> Result<Document, ConfigError> {
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(yaml::BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
        String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            io::Error::new(io::ErrorKind::InvalidData, format!("byte {at} is not UTF-8"))
        })
    };
    let text = read().map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    Ok(Document { name: path.display().to_string(), text })
}

/// Makes a configuration of its sources.
///
/// # Errors
/// Everything that is wrong with it, in one [`Problems`].
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let mut checker = Checker::new(&sources.environment);
    let defaults = yaml::parse(DEFAULT_YAML).expect("the defaults are YAML");
    let defaults = checker.file(&defaults, |_| Origin::Default);

    let mut layers = Vec::new();
    if let Some(document) = &sources.file {
        match yaml::parse(document.text.strip_prefix('\u{feff}').unwrap_or(&document.text)) {
            Ok(root) => layers.push(checker.file(&root, Origin::File)),
            Err(error) => {
                let origin = Origin::File(error.place.clone().unwrap_or_default());
                checker.problem(format!("this is not YAML: {error}"), origin, "", Vec::new());
            }
        }
    }
    layers.push(environment_layer(&mut checker, &sources.environment));
    layers.push(flag_layer(&mut checker, &sources.flags));

    let mut values = BTreeMap::new();
    let mut builder = Config::builder();
    for layer in std::iter::once(&defaults).chain(&layers) {
        let layer = with_defaults(layer, &defaults);
        for (path, (value, origin)) in &layer {
            values.insert(path.clone(), (value.kind.clone(), origin.clone()));
        }
        builder = builder.add_source(Settled(layer));
    }
    let get = |path: &str| values.get(path).map(|(value, origin)| (value, origin.clone()));
    check::together(get, &mut checker.problems);
    if !checker.problems.is_empty() {
        let (name, text) = match &sources.file {
            Some(document) => (document.name.as_str(), document.text.as_str()),
            None => ("", ""),
        };
        return Err(Problems::new(name, text, checker.problems).into());
    }
    let layered = builder.build().map_err(ConfigError::Internal)?;
    // Maps are merged, so their values are taken from where that is done.
    for (path, (value, _)) in &mut values {
        if let Ok(merged) = layered.get::<Setting>(path) {
            *value = merged.kind;
        }
    }
    let settings = layered.try_deserialize().map_err(ConfigError::Internal)?;
    let (file, text) = match &sources.file {
        Some(document) => (Some(document.name.clone()), document.text.clone()),
        None => (None, String::new()),
    };
    Ok(Loaded { settings, file, values, text, paths: checker.paths })
}

fn environment_layer(checker: &mut Checker<'_>, environment: &Environment) -> Layer {
    let mut layer = Layer::new();
    for (name, value) in environment {
        let Some(rest) = name.strip_prefix(ENVIRONMENT_PREFIX) else { continue };
        let path = rest.to_ascii_lowercase().replace("__", ".");
        let origin = Origin::Environment(name.clone());
        add_single(checker, &mut layer, &path, value, origin);
    }
    layer
}

fn flag_layer(checker: &mut Checker<'_>, flags: &[Flag]) -> Layer {
    let mut layer = Layer::new();
    for flag in flags {
        let origin = Origin::Flag(flag.flag.clone());
        let path = match keys::find(&flag.path).map(|entry| &entry.effect) {
            Some(Effect::Alias(path)) => path,
            _ => &flag.path,
        };
        // A flag may be repeated; its last value counts.
        layer.remove(path);
        add_single(checker, &mut layer, &flag.path, &flag.value, origin);
    }
    layer
}

fn add_single(
    checker: &mut Checker<'_>,
    layer: &mut Layer,
    path: &str,
    value: &str,
    origin: Origin,
) {
    match yaml::parse_alone(value) {
        Ok(value) => {
            let node = Node { value, place: Place::default() };
            checker.single(path, &node, &origin, layer);
        }
        // Not YAML, such as `*.log`: then it is text, if text is wanted.
        Err(_) if !value.starts_with(['[', '{', '"', '\'', '&', '!']) => {
            let node = Node { value: Value::Text(value.to_owned()), place: Place::default() };
            checker.single(path, &node, &origin, layer);
        }
        Err(error) => {
            checker.problem(format!("the value is not YAML: {error}"), origin, "", Vec::new());
        }
    }
}

/// A layer whose values are all there: what asked for the default has it.
type Full = BTreeMap<String, (Setting, Origin)>;

fn with_defaults(layer: &Layer, defaults: &Layer) -> Full {
    let settle = |(path, leaf): (&String, &Leaf)| {
        let (value, origin) = match &leaf.value {
            Some(value) => (value.clone(), leaf.origin.clone()),
            None => (defaults.get(path)?.value.clone()?, Origin::Default),
        };
        Some((path.clone(), (value, origin)))
    };
    layer.iter().filter_map(settle).collect()
}

/// A layer as the crate `config` wants it.
#[derive(Clone, Debug)]
struct Settled(Full);

impl Source for Settled {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<config::Map<String, Setting>, config::ConfigError> {
        let mut root = config::Map::new();
        for (path, (value, _)) in &self.0 {
            let mut table = &mut root;
            let (sections, name) = keys::split(path);
            for section in sections.split('.').filter(|section| !section.is_empty()) {
                let entry = table
                    .entry(section.to_owned())
                    .or_insert_with(|| Setting::new(None, ValueKind::Table(config::Map::new())));
                let ValueKind::Table(inner) = &mut entry.kind else {
                    unreachable!("a section holds no value: `keys` keeps them apart")
                };
                table = inner;
            }
            table.insert(name.to_owned(), value.clone());
        }
        Ok(root)
    }
}

/// The time zone of a name: `UTC`, an offset such as `+02:00`, or one of the IANA database.
#[must_use]
pub fn zone(name: &str) -> Option<jiff::tz::TimeZone> {
    let Some(sign) = name.chars().next().filter(|sign| "+-".contains(*sign)) else {
        return jiff::tz::TimeZone::get(name).ok();
    };
    let (hours, minutes) = name[1..].split_once(':')?;
    let both_digits = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    if !both_digits(hours) || !both_digits(minutes) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    if hours > 18 || minutes > 59 {
        return None;
    }
    let seconds = (hours * 60 + minutes) * 60 * if sign == '-' { -1 } else { 1 };
    jiff::tz::Offset::from_seconds(seconds).ok().map(jiff::tz::TimeZone::fixed)
}

#[cfg(test)]
mod tests;
