//! Where records come from, as rules name it, and as records are seen.
//!
//! A record has a *set* of views: a registry write of Sysmon is `windows/registry_set`, is
//! `windows/registry_event`, and belongs to `windows` service `sysmon`. A rule applies when every
//! dimension that it names is the same in one single view.

use serde::Serialize;

use super::diagnose::{Fault, Gravity, quoted};
use super::yaml::{Node, Yaml};
use crate::types::hash::Map;

/// A log source: what a rule asks for, or one view of a record. Names are lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct LogSource {
    /// What kind of thing happened: `process_creation`.
    pub category: Option<String>,
    /// The product that says so: `windows`.
    pub product: Option<String>,
    /// The part of the product: `security`.
    pub service: Option<String>,
    /// Further dimensions, sorted.
    pub custom: Vec<(String, String)>,
}

impl LogSource {
    /// From names that may be empty, which is not naming the dimension.
    #[must_use]
    pub fn new(category: &str, product: &str, service: &str) -> Self {
        let name = |name: &str| (!name.is_empty()).then(|| name.to_lowercase());
        LogSource {
            category: name(category),
            product: name(product),
            service: name(service),
            custom: Vec::new(),
        }
    }

    /// Whether each dimension that this one names is the same in `other`.
    #[must_use]
    pub fn covers(&self, other: &LogSource) -> bool {
        let same = |mine: &Option<String>, theirs: &Option<String>| {
            mine.as_ref().is_none_or(|mine| theirs.as_ref() == Some(mine))
        };
        same(&self.category, &other.category)
            && same(&self.product, &other.product)
            && same(&self.service, &other.service)
            && self.custom.iter().all(|dimension| other.custom.contains(dimension))
    }

    pub(crate) fn parse(node: &Node, said: &mut Vec<(Gravity, Fault)>) -> Result<Self, Fault> {
        let Yaml::Map(entries) = &node.value else {
            let reason = format!("`logsource` must be a mapping, not {}", node.kind());
            return Err(Fault::new(node.at, "bad-logsource", reason));
        };
        let mut source = LogSource::default();
        for (key, value) in entries {
            if key.name == "definition" {
                continue;
            }
            let Some(text) = value.scalar() else {
                if matches!(value.value, Yaml::Null) {
                    continue;
                }
                let reason = format!(
                    "{} of a log source must be text, not {}",
                    quoted(&key.name),
                    value.kind()
                );
                return Err(Fault::new(value.at, "bad-logsource", reason));
            };
            let name = text.to_lowercase();
            if name != text {
                let reason = format!("{} should be lower case", quoted(text));
                said.push((Gravity::Warning, Fault::new(value.at, "logsource-case", reason)));
            }
            match key.name.as_str() {
                "category" => source.category = Some(name),
                "product" => source.product = Some(name),
                "service" => source.service = Some(name),
                other => source.custom.push((other.to_owned(), name)),
            }
        }
        if source == LogSource::default() {
            let reason = "`logsource` names neither category nor product nor service";
            return Err(Fault::new(node.at, "bad-logsource", reason));
        }
        source.custom.sort();
        Ok(source)
    }
}

impl std::fmt::Display for LogSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let named = [
            ("product", self.product.as_deref()),
            ("category", self.category.as_deref()),
            ("service", self.service.as_deref()),
        ];
        let named = named.into_iter().filter_map(|(name, value)| value.map(|value| (name, value)));
        let custom = self.custom.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (i, (name, value)) in named.chain(custom).enumerate() {
            let space = if i == 0 { "" } else { " " };
            write!(f, "{space}{name}={value}")?;
        }
        Ok(())
    }
}

/// A view of a record in the numbers of one rule set. Made by [`Views::view`].
///
/// A name that no rule uses has no number; such a dimension is as good as absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct View {
    category: u16,
    product: u16,
    service: u16,
    custom: u64,
}

impl View {
    /// Whether a rule that asks for `wanted` applies to a record with this view.
    fn satisfies(self, wanted: View) -> bool {
        let same = |wanted: u16, have: u16| wanted == 0 || wanted == have;
        same(wanted.category, self.category)
            && same(wanted.product, self.product)
            && same(wanted.service, self.service)
            && wanted.custom & !self.custom == 0
    }
}

/// The log sources that the rules of a set name, as numbers.
#[derive(Clone, Debug, Default)]
pub struct Views {
    names: Map<String, u16>,
    custom: Vec<(String, String)>,
    /// What rules ask for, each once; a rule refers to it by its place.
    wanted: Vec<View>,
    sources: Vec<LogSource>,
}

/// The most distinct custom dimensions of a rule set.
const CUSTOM_MAX: usize = 64;

impl Views {
    /// The number of a log source that a rule asks for; `None` when there are too many.
    pub(crate) fn want(&mut self, source: &LogSource) -> Option<u16> {
        if let Some(known) = self.sources.iter().position(|known| known == source) {
            return Some(known as u16);
        }
        for dimension in &source.custom {
            if !self.custom.contains(dimension) {
                self.custom.push(dimension.clone());
            }
        }
        for name in [&source.category, &source.product, &source.service].into_iter().flatten() {
            let next = self.names.len() as u16 + 1;
            self.names.entry(name.clone()).or_insert(next);
        }
        let full = self.names.len() >= usize::from(u16::MAX) - 3
            || self.sources.len() >= usize::from(u16::MAX)
            || self.custom.len() > CUSTOM_MAX;
        if full {
            return None;
        }
        let view = self.view(source);
        self.wanted.push(view);
        self.sources.push(source.clone());
        Some(self.wanted.len() as u16 - 1)
    }

    /// A record's view.
    #[must_use]
    pub fn view(&self, source: &LogSource) -> View {
        let number = |name: &Option<String>| {
            name.as_ref().and_then(|name| self.names.get(name)).copied().unwrap_or(0)
        };
        let bit = |(i, dimension): (usize, &(String, String))| {
            u64::from(source.custom.contains(dimension)) << i
        };
        View {
            category: number(&source.category),
            product: number(&source.product),
            service: number(&source.service),
            custom: self.custom.iter().take(CUSTOM_MAX).enumerate().map(bit).sum(),
        }
    }

    /// For each log source that a rule asks for, whether one of `views` satisfies it.
    pub(crate) fn satisfied(&self, views: &[View]) -> Vec<bool> {
        let any = |wanted: &View| views.iter().any(|view| view.satisfies(*wanted));
        self.wanted.iter().map(any).collect()
    }

    /// The log sources that rules ask for.
    #[must_use]
    pub fn sources(&self) -> &[LogSource] {
        &self.sources
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_applies_when_one_single_view_has_all_its_dimensions() {
        let mut views = Views::default();
        let wanted = [
            LogSource::new("registry_set", "windows", ""),
            LogSource::new("", "windows", "sysmon"),
            LogSource::new("", "windows", ""),
            LogSource::new("registry_set", "windows", "sysmon"),
            LogSource::new("proxy", "", ""),
        ];
        wanted.iter().for_each(|source| assert!(views.want(source).is_some()));
        let category = views.view(&LogSource::new("Registry_Set", "windows", ""));
        let service = views.view(&LogSource::new("", "windows", "sysmon"));
        let satisfied = views.satisfied(&[category, service]);
        assert_eq!(satisfied, [true, true, true, false, false]);
        let unknown = views.view(&LogSource::new("nobody", "asks", "for"));
        assert_eq!(views.satisfied(&[unknown]), [false; 5]);
    }

    #[test]
    fn custom_dimensions_count() {
        let mut views = Views::default();
        let custom = vec![("vendor".to_owned(), "acme".to_owned())];
        let source = LogSource { custom, ..LogSource::new("", "acme", "") };
        views.want(&source).unwrap();
        let plain = views.view(&LogSource::new("", "acme", ""));
        assert_eq!(views.satisfied(&[plain]), [false]);
        assert_eq!(views.satisfied(&[views.view(&source)]), [true]);
    }
}
