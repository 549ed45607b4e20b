//! Filters: conditions that are added to rules from outside.
//!
//! The specification's example writes the events to leave out (`condition: selection`); other
//! tools write what must hold (`condition: not selection`). Both are meant here: a condition that
//! begins with `not` is taken as written, any other is negated. The load report says which.

use std::sync::Arc;

use super::condition::Condition;
use super::detection::{Detection, Selection};
use super::diagnose::{Fault, Gravity, Pos};
use super::logsource::LogSource;
use super::rule::{Meta, Rule, texts};
use super::yaml::{Node, Yaml};

/// What names of selections that filters add to rules begin with.
const ADDED: &str = "filter ";

/// Whether a filter added a selection to its rule.
pub(crate) fn is_added(selection: &Selection) -> bool {
    selection.name.starts_with(ADDED)
}

/// A filter document.
#[derive(Clone, Debug)]
pub struct Filter {
    /// What it says of itself.
    pub meta: Meta,
    /// Rules whose log source is at least as narrow can be filtered.
    pub logsource: Option<LogSource>,
    /// Which rules it is for.
    pub rules: Rules,
    /// Where those are named.
    pub rules_at: Pos,
    /// What it looks for.
    pub detection: Detection,
    /// Whether the condition says what must hold, instead of what is left out.
    pub as_written: bool,
}

/// Which rules a filter is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rules {
    /// Every rule of its log source.
    Any,
    /// These, by id or name.
    Named(Vec<String>),
}

impl Filter {
    pub(crate) fn parse(
        node: &Node,
        file: &Arc<str>,
        said: &mut Vec<(Gravity, Fault)>,
    ) -> Result<Self, Fault> {
        let meta = Meta::parse(node, file, "filter", said)?;
        let logsource = match node.get("logsource") {
            Some(source) => Some(LogSource::parse(source, said)?),
            None => None,
        };
        let section = node.get("filter").expect("what makes it a filter");
        let Some(rules) = section.get("rules") else {
            let fault = Fault::new(section.at, "bad-filter", "`filter` does not say which `rules`");
            return Err(fault.hint("give a list of ids or names, or `any`"));
        };
        let named = match (&rules.value, rules.scalar()) {
            (_, Some(text)) if text.eq_ignore_ascii_case("any") => Rules::Any,
            (Yaml::List(_), _) | (_, Some(_)) => Rules::Named(texts(rules)),
            _ => {
                let reason = format!("`rules` must be a list or `any`, not {}", rules.kind());
                return Err(Fault::new(rules.at, "bad-filter", reason));
            }
        };
        if named == Rules::Named(Vec::new()) {
            return Err(Fault::new(rules.at, "bad-filter", "`rules` names no rule"));
        }
        let detection = Detection::parse(section, &["rules"], said)?;
        let first = detection.written.trim_start_matches('(').split_whitespace().next();
        let as_written = first.is_some_and(|word| word.eq_ignore_ascii_case("not"));
        let (what, hint) = match as_written {
            true => ("events that do not fulfil", "it begins with `not` and is taken as written"),
            false => ("events that fulfil", "it does not begin with `not` and is negated"),
        };
        let reason = format!("this filter leaves out {what} its condition");
        let at = section.get("condition").map_or(section.at, |condition| condition.at);
        said.push((Gravity::Note, Fault::new(at, "filter-sense", reason).hint(hint)));
        let rules_at = rules.at;
        Ok(Filter { meta, logsource, rules: named, rules_at, detection, as_written })
    }

    /// Whether it is for `rule`, as far as their log sources go.
    #[must_use]
    pub fn covers(&self, rule: &Rule) -> bool {
        self.logsource.as_ref().is_none_or(|source| source.covers(&rule.logsource))
    }

    /// Adds itself to a rule: its selections beside the rule's, under names that no rule can
    /// have, and its condition with `and`.
    pub(crate) fn add_to(&self, rule: &mut Rule, number: usize) {
        let detection = &mut rule.detection;
        let offset = detection.selections.len();
        for selection in &self.detection.selections {
            let mut selection = selection.clone();
            selection.name = format!("{ADDED}{number}: {}", selection.name);
            detection.selections.push(selection);
        }
        let mine = self.detection.condition.shifted(offset);
        let mine = match self.as_written {
            true => mine,
            false => Condition::Not(Box::new(mine)),
        };
        let theirs = std::mem::replace(&mut detection.condition, Condition::All(Vec::new()));
        detection.condition = Condition::All(vec![theirs, mine]);
        rule.filters.push(self.meta.title.clone());
    }
}
