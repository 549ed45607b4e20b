//! Correlation documents: read, checked and resolved. They run elsewhere.
//!
//! A correlation refers to rules, or to other correlations, by id or name; those may stand later
//! or in other files. `resolve` turns the references into numbers and orders the correlations so
//! that each comes after what it refers to; a circle is refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::condition::{self, Condition};
use super::detection::Comparison;
use super::diagnose::{Fault, Gravity, Pos, quoted};
use super::rule::{Meta, texts};
use super::yaml::{Node, Yaml};
use crate::types::time::Span;

/// The most rules that one correlation refers to.
pub const SOURCES_MAX: usize = 1024;
/// The most correlations of a set.
pub const CORRELATIONS_MAX: usize = 10_000;
/// How many correlations may stand on each other; each adds a stage to the graph.
pub const LEVELS_MAX: u8 = 4;
/// The most matches that a correlation keeps of one group within its time span. One that wants to
/// count further never fires.
pub const MATCHES_MAX: usize = 16_384;
/// The longest time span.
pub const TIMESPAN_MAX: Span = Span::from_secs(366 * 86_400);
/// The percentile of `value_percentile` when the rule names none.
pub const PERCENTILE: f64 = 95.0;

/// A correlation document.
#[derive(Clone, Debug)]
pub struct Correlation {
    /// What it says of itself.
    pub meta: Meta,
    /// What it computes.
    pub kind: Kind,
    /// What it refers to, as written, and where that stands.
    pub rules: Vec<(String, Pos)>,
    /// The fields (or aliases) whose values make a group; records without one are not counted.
    pub group_by: Vec<String>,
    /// How far the matches of a group may lie apart. The window slides.
    pub timespan: Span,
    /// When it fires.
    pub condition: Firing,
    /// Names for fields that differ from rule to rule.
    pub aliases: Vec<Alias>,
    /// Whether the rules it refers to also alert on their own.
    pub generate: bool,
}

/// What a correlation computes over the matches of a group within the time span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// How many there are.
    EventCount,
    /// How many distinct values a field has; of several fields, distinct tuples.
    ValueCount,
    /// Whether the rules all matched, in any order.
    Temporal,
    /// Whether they matched in the order in which they are named.
    TemporalOrdered,
    /// The sum of a field.
    ValueSum,
    /// Its mean.
    ValueAvg,
    /// A percentile of it, linearly interpolated.
    ValuePercentile,
    /// Its median.
    ValueMedian,
}

const KINDS: [(&str, Kind); 8] = [
    ("event_count", Kind::EventCount),
    ("value_count", Kind::ValueCount),
    ("temporal", Kind::Temporal),
    ("temporal_ordered", Kind::TemporalOrdered),
    ("value_sum", Kind::ValueSum),
    ("value_avg", Kind::ValueAvg),
    ("value_percentile", Kind::ValuePercentile),
    ("value_median", Kind::ValueMedian),
];

impl Kind {
    /// Its name in rules.
    #[must_use]
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == self).expect("every kind is listed").0
    }

    fn is_temporal(self) -> bool {
        matches!(self, Kind::Temporal | Kind::TemporalOrdered)
    }

    fn wants_field(self) -> bool {
        !self.is_temporal() && self != Kind::EventCount
    }
}

/// When a correlation fires.
#[derive(Clone, Debug, PartialEq)]
pub enum Firing {
    /// When what it computes fulfils every bound. For the temporal kinds that is the number of
    /// different rules that matched.
    Bounds {
        /// The bounds.
        bounds: Vec<(Comparison, f64)>,
        /// The fields that it computes on; several only for `value_count`.
        fields: Vec<String>,
        /// 0–100, for `value_percentile`.
        percentile: f64,
    },
    /// When each rule matched.
    Every,
    /// When the rules that matched fulfil this; the numbers are places in
    /// [`rules`](Correlation::rules).
    Extended(Condition),
}

impl Firing {
    /// As people read it; `rules` is what the correlation calls its rules.
    #[must_use]
    pub fn shown(&self, rules: &[&str]) -> String {
        match self {
            Firing::Every => "all of them".to_owned(),
            Firing::Extended(condition) => condition.shown(rules),
            Firing::Bounds { bounds, fields, .. } => {
                let bounds = bounds.iter().map(|(is, bound)| format!("{} {bound}", is.sign()));
                let bounds: Vec<String> = bounds.collect();
                let of = match fields.as_slice() {
                    [] => String::new(),
                    fields => format!("{} ", fields.join(", ")),
                };
                format!("{of}{}", bounds.join(" and "))
            }
        }
    }
}

/// A name for a field that differs from rule to rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The name, as `group-by` has it.
    pub name: String,
    /// For each rule, by its place in [`rules`](Correlation::rules), the field.
    pub fields: Vec<(usize, String)>,
}

impl Correlation {
    pub(crate) fn parse(
        node: &Node,
        file: &Arc<str>,
        said: &mut Vec<(Gravity, Fault)>,
    ) -> Result<Self, Fault> {
        let meta = Meta::parse(node, file, "correlation", said)?;
        let section = node.get("correlation").expect("what makes it a correlation");
        let Yaml::Map(entries) = &section.value else {
            let reason = format!("`correlation` must be a mapping, not {}", section.kind());
            return Err(Fault::new(section.at, "bad-correlation", reason));
        };
        const KEYS: [&str; 7] =
            ["type", "rules", "group-by", "timespan", "condition", "aliases", "generate"];
        for (key, _) in entries {
            if !KEYS.contains(&key.name.as_str()) {
                let reason = format!("a correlation has no {}", quoted(&key.name));
                let fault = Fault::new(key.at, "bad-correlation", reason);
                return Err(fault.suggest(&key.name, KEYS));
            }
        }
        let kind = kind(section)?;
        let rules = rules(section)?;
        let group_by = group_by(section)?;
        let timespan = timespan(section)?;
        let aliases = aliases(section, &rules)?;
        let condition = firing(section, kind, &rules, said)?;
        let generate = match section.get("generate").map(|node| (node, &node.value)) {
            None => false,
            Some((_, Yaml::Bool(generate))) => *generate,
            Some((node, _)) => {
                let reason = "`generate` must be `true` or `false`";
                return Err(Fault::new(node.at, "bad-correlation", reason));
            }
        };
        let (kind, timespan) = (kind, timespan);
        Ok(Correlation { meta, kind, rules, group_by, timespan, condition, aliases, generate })
    }

    /// The field of rule number `rule` that `name` (a field or an alias) stands for.
    #[must_use]
    pub fn field_of<'a>(&'a self, rule: usize, name: &'a str) -> Option<&'a str> {
        match self.aliases.iter().find(|alias| alias.name == name) {
            None => Some(name),
            Some(alias) => {
                let own = alias.fields.iter().find(|(number, _)| *number == rule);
                own.map(|(_, field)| field.as_str())
            }
        }
    }

    /// Every field of a record that it may ask for.
    #[must_use]
    pub fn fields(&self) -> Vec<&str> {
        let named = match &self.condition {
            Firing::Bounds { fields, .. } => fields.as_slice(),
            _ => &[],
        };
        let mut out = Vec::new();
        for name in self.group_by.iter().chain(named) {
            out.extend((0..self.rules.len()).filter_map(|rule| self.field_of(rule, name)));
        }
        out.sort_unstable();
        out.dedup();
        out
    }
}

fn missing(section: &Node, key: &str, hint: &str) -> Fault {
    let reason = format!("this correlation has no `{key}`");
    Fault::new(section.at, "bad-correlation", reason).hint(hint)
}

fn kind(section: &Node) -> Result<Kind, Fault> {
    let Some(node) = section.get("type") else {
        return Err(missing(section, "type", "for example `type: event_count`"));
    };
    let given = node.scalar().unwrap_or_default();
    match KINDS.iter().find(|(name, _)| *name == given) {
        Some((_, kind)) => Ok(*kind),
        None => {
            let reason = format!("no correlation is of the type {}", quoted(given));
            let fault = Fault::new(node.at, "bad-correlation", reason);
            Err(fault.suggest(given, KINDS.iter().map(|(name, _)| *name)))
        }
    }
}

fn rules(section: &Node) -> Result<Vec<(String, Pos)>, Fault> {
    let Some(node) = section.get("rules") else {
        return Err(missing(section, "rules", "list the ids or names of rules"));
    };
    let own = |node: &Node| node.scalar().map(|text| (text.trim().to_owned(), node.at));
    let rules: Option<Vec<(String, Pos)>> = match &node.value {
        Yaml::List(list) => list.iter().map(own).collect(),
        _ => own(node).map(|rule| vec![rule]),
    };
    match rules {
        Some(rules) if rules.is_empty() || rules.len() > SOURCES_MAX => {
            let reason = format!("`rules` must name 1 to {SOURCES_MAX} rules");
            Err(Fault::new(node.at, "bad-correlation", reason))
        }
        Some(rules) => Ok(rules),
        None => {
            let reason = "`rules` must be a list of ids or names";
            Err(Fault::new(node.at, "bad-correlation", reason))
        }
    }
}

fn group_by(section: &Node) -> Result<Vec<String>, Fault> {
    let Some(node) = section.get("group-by") else { return Ok(Vec::new()) };
    match &node.value {
        Yaml::Map(_) => {
            let reason = "`group-by` must be a list of fields";
            Err(Fault::new(node.at, "bad-correlation", reason))
        }
        _ => Ok(texts(node)),
    }
}

fn timespan(section: &Node) -> Result<Span, Fault> {
    let Some(node) = section.get("timespan") else {
        return Err(missing(section, "timespan", "for example `timespan: 5m`"));
    };
    let given = node.scalar().unwrap_or_default();
    let wrong = || {
        let reason = format!("{} is not a time span", quoted(given));
        let fault = Fault::new(node.at, "bad-timespan", reason);
        Err(fault.hint("a whole number and one of `s m h d w M y`, at most 366d"))
    };
    let Some(unit) = given.chars().next_back() else { return wrong() };
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        'M' => 30 * 86_400,
        'y' => 365 * 86_400,
        _ => return wrong(),
    };
    let number = given[..given.len() - unit.len_utf8()].trim_end();
    match number.parse::<u32>() {
        Ok(number) if number > 0 => {
            let span = Span::from_secs(i64::from(number) * seconds);
            if span > TIMESPAN_MAX { wrong() } else { Ok(span) }
        }
        _ => wrong(),
    }
}

fn aliases(section: &Node, rules: &[(String, Pos)]) -> Result<Vec<Alias>, Fault> {
    let Some(node) = section.get("aliases") else { return Ok(Vec::new()) };
    let wrong = |node: &Node| {
        let fault = Fault::new(node.at, "bad-alias", "`aliases` maps names to `rule: field`");
        Err(fault.hint("aliases: {user: {rule_a: TargetUserName, rule_b: SubjectUserName}}"))
    };
    let Yaml::Map(entries) = &node.value else { return wrong(node) };
    let mut aliases = Vec::new();
    for (name, mapping) in entries {
        let Yaml::Map(pairs) = &mapping.value else { return wrong(mapping) };
        let mut fields = Vec::new();
        for (rule, field) in pairs {
            let Some(number) = rules.iter().position(|(known, _)| *known == rule.name) else {
                let reason =
                    format!("the alias speaks of {}, which `rules` does not", quoted(&rule.name));
                let fault = Fault::new(rule.at, "bad-alias", reason);
                return Err(fault.suggest(&rule.name, rules.iter().map(|(name, _)| name.as_str())));
            };
            let Some(field) = field.scalar() else { return wrong(field) };
            fields.push((number, field.to_owned()));
        }
        aliases.push(Alias { name: name.name.clone(), fields });
    }
    Ok(aliases)
}

fn firing(
    section: &Node,
    kind: Kind,
    rules: &[(String, Pos)],
    said: &mut Vec<(Gravity, Fault)>,
) -> Result<Firing, Fault> {
    let Some(node) = section.get("condition") else {
        if kind.is_temporal() {
            return Ok(Firing::Every);
        }
        return Err(missing(section, "condition", "for example `condition: {gte: 10}`"));
    };
    let Yaml::Map(entries) = &node.value else {
        if !kind.is_temporal() {
            let reason = format!("the condition of `{}` must be a mapping", kind.name());
            let fault = Fault::new(node.at, "bad-condition", reason);
            return Err(fault.hint("for example `condition: {gte: 10}`"));
        }
        let names: Vec<&str> = rules.iter().map(|(name, _)| name.as_str()).collect();
        return condition::parse(node, &names, false).map(Firing::Extended);
    };
    let mut bounds = Vec::new();
    let mut fields = Vec::new();
    let mut percentile = None;
    for (key, value) in entries {
        let number = || match &value.value {
            Yaml::Number(number) => Ok(number.value),
            _ => {
                let reason = format!("`{}` wants a number, not {}", key.name, value.kind());
                Err(Fault::new(value.at, "bad-condition", reason))
            }
        };
        match (key.name.as_str(), Comparison::from_name(&key.name)) {
            (_, Some(comparison)) => bounds.push((comparison, number()?)),
            ("field", _) => fields = texts(value),
            ("percentile", _) => match number()? {
                given if (0.0..=100.0).contains(&given) => percentile = Some(given),
                _ => {
                    let reason = "`percentile` must be 0 to 100";
                    return Err(Fault::new(value.at, "bad-condition", reason));
                }
            },
            _ => {
                let reason = format!("a correlation's condition has no {}", quoted(&key.name));
                let known = ["gt", "gte", "lt", "lte", "eq", "neq", "field", "percentile"];
                let fault = Fault::new(key.at, "bad-condition", reason);
                return Err(fault.suggest(&key.name, known));
            }
        }
    }
    if bounds.is_empty() {
        let fault = Fault::new(node.at, "bad-condition", "the condition has no bound");
        return Err(fault.hint("one of `gt gte lt lte eq neq`, or two for a range"));
    }
    let counts = matches!(kind, Kind::EventCount | Kind::ValueCount);
    let beyond = |(is, bound): &(Comparison, f64)| match is {
        Comparison::Greater => *bound >= MATCHES_MAX as f64,
        Comparison::GreaterOrEqual | Comparison::Equal => *bound > MATCHES_MAX as f64,
        _ => false,
    };
    if counts && bounds.iter().any(beyond) {
        let reason = format!("it never fires: no more than {MATCHES_MAX} matches are kept");
        said.push((Gravity::Warning, Fault::new(node.at, "never-fires", reason)));
    }
    let wanted = if kind.wants_field() { 1 } else { 0 };
    let several = kind == Kind::ValueCount && fields.len() > 1;
    if fields.len() != wanted && !several {
        let reason = match wanted {
            0 => format!("`{}` takes no `field`", kind.name()),
            _ => format!("`{}` wants one `field`", kind.name()),
        };
        return Err(Fault::new(node.at, "bad-condition", reason));
    }
    if kind == Kind::ValuePercentile && percentile.is_none() {
        let reason = format!("no `percentile` given; {PERCENTILE} is taken");
        said.push((Gravity::Note, Fault::new(node.at, "percentile", reason)));
    }
    if kind != Kind::ValuePercentile && percentile.is_some() {
        let reason = "`percentile` belongs to `value_percentile`";
        return Err(Fault::new(node.at, "bad-condition", reason));
    }
    let percentile = percentile.unwrap_or(PERCENTILE);
    Ok(Firing::Bounds { bounds, fields, percentile })
}

/// What a reference means, once it is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A rule, by its number in the set.
    Rule(u32),
    /// A correlation, by its number in the set.
    Correlation(u32),
}

/// Finds what each correlation refers to, and puts those that can be used in an order in which
/// each follows what it refers to.
///
/// `rule` finds a rule by reference. Gives back the places in `all` of the usable ones with their
/// targets, and a fault for each of the others.
#[expect(clippy::type_complexity, reason = "two lists, used once")]
pub(crate) fn resolve(
    all: &[Correlation],
    rule: impl Fn(&str) -> Option<u32>,
) -> (Vec<(usize, Vec<Target>)>, Vec<(usize, Fault)>) {
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    let mut faults: BTreeMap<usize, Fault> = BTreeMap::new();
    for (i, one) in all.iter().enumerate() {
        if let Some(first) = one.meta.references_to_it().find_map(|name| names.get(name)) {
            let first = &all[*first].meta;
            let reason = format!(
                "its id or name is that of {:?} in {}:{}, which counts",
                first.title, first.file, first.at.line
            );
            faults.insert(i, Fault::new(one.meta.at, "duplicate-id", reason));
            continue;
        }
        for name in one.meta.references_to_it() {
            names.insert(name.to_owned(), i);
        }
    }
    let called = |reference: &str| {
        let exact = names.get(reference).copied();
        exact.or_else(|| names.get(&reference.to_ascii_lowercase()).copied())
    };
    // What each needs from among the correlations, by place.
    let mut needs: Vec<Vec<usize>> = vec![Vec::new(); all.len()];
    for (i, one) in all.iter().enumerate() {
        for (reference, at) in &one.rules {
            match (rule(reference), called(reference)) {
                (Some(_), _) => {}
                (None, Some(other)) => needs[i].push(other),
                (None, None) => {
                    let reason = format!("no loaded rule is called {}", quoted(reference));
                    faults.entry(i).or_insert(Fault::new(*at, "unknown-rule", reason));
                }
            }
        }
    }
    let mut order: Vec<usize> = Vec::new();
    let mut placed: Vec<Option<u32>> = vec![None; all.len()];
    let mut levels: Vec<u8> = vec![0; all.len()];
    loop {
        let before = order.len();
        for i in 0..all.len() {
            let ready = placed[i].is_none() && !faults.contains_key(&i);
            if ready && needs[i].iter().all(|need| placed[*need].is_some()) {
                levels[i] = needs[i].iter().map(|need| levels[*need] + 1).max().unwrap_or(0);
                if levels[i] >= LEVELS_MAX {
                    let reason = format!("more than {LEVELS_MAX} correlations on each other");
                    faults.insert(i, Fault::new(all[i].rules[0].1, "too-deep", reason));
                    continue;
                }
                placed[i] = Some(order.len() as u32);
                order.push(i);
            }
        }
        if order.len() == before {
            break;
        }
    }
    for (i, one) in all.iter().enumerate() {
        if placed[i].is_some() || faults.contains_key(&i) {
            continue;
        }
        let lost = needs[i].iter().find(|need| faults.get(need).is_some_and(|f| f.code != "cycle"));
        let at = one.rules[0].1;
        let fault = match lost {
            Some(lost) => {
                let title = quoted(&all[*lost].meta.title);
                let reason = format!("it refers to {title}, which can not be used");
                Fault::new(at, "unknown-rule", reason)
            }
            None => Fault::new(at, "cycle", "it refers to itself, directly or through others"),
        };
        faults.insert(i, fault);
    }
    let target = |reference: &str| match rule(reference) {
        Some(number) => Target::Rule(number),
        None => {
            let place = called(reference).expect("an unknown reference is a fault");
            Target::Correlation(placed[place].expect("needs are placed first"))
        }
    };
    let usable = order.into_iter().map(|i| {
        let targets = all[i].rules.iter().map(|(reference, _)| target(reference)).collect();
        (i, targets)
    });
    (usable.collect(), faults.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::super::rule::{Document, parse};
    use super::*;

    fn read(section: &str) -> Result<Correlation, String> {
        let text = format!("title: t\nid: c\ncorrelation:\n{section}");
        let parsed = parse("c.yml", text.as_bytes());
        let error = parsed.diagnostics.iter().find(|said| said.gravity == Gravity::Error);
        match (parsed.documents.into_iter().next(), error) {
            (Some(Document::Correlation(correlation)), None) => Ok(*correlation),
            (_, Some(error)) => Err(error.to_string()),
            _ => panic!("neither a correlation nor an error"),
        }
    }

    #[test]
    fn every_type_is_read_with_its_condition() {
        let head = "  rules: [a, b]\n  group-by: [user]\n  timespan: 5m\n";
        let one = read(&format!("  type: event_count\n{head}  condition: {{gte: 10}}\n")).unwrap();
        assert_eq!(one.timespan, Span::from_secs(300));
        assert_eq!(one.group_by, ["user"]);
        let range = format!("  type: value_sum\n{head}  condition: {{gt: 1, lte: 9, field: n}}\n");
        let Firing::Bounds { bounds, fields, .. } = read(&range).unwrap().condition else {
            panic!("bounds")
        };
        assert_eq!((bounds.len(), fields.len()), (2, 1));
        let temporal = read(&format!("  type: temporal\n{head}")).unwrap();
        assert_eq!(temporal.condition, Firing::Every);
        let extended = format!("  type: temporal_ordered\n{head}  condition: a and not b\n");
        assert!(matches!(read(&extended).unwrap().condition, Firing::Extended(_)));
        for kind in ["value_count", "value_avg", "value_percentile", "value_median"] {
            let text = format!("  type: {kind}\n{head}  condition: {{gte: 1, field: f}}\n");
            assert_eq!(read(&text).unwrap().kind.name(), kind);
        }
    }

    #[test]
    fn an_alias_names_the_field_of_each_rule() {
        let text = "  type: temporal\n  rules: [a, b]\n  timespan: 1h\n  group-by: [ip]\n  \
                    aliases: {ip: {a: src, b: dst}}\n";
        let correlation = read(text).unwrap();
        assert_eq!(correlation.field_of(0, "ip"), Some("src"));
        assert_eq!(correlation.field_of(1, "ip"), Some("dst"));
        assert_eq!(correlation.field_of(1, "user"), Some("user"));
        assert_eq!(correlation.fields(), ["dst", "src"]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let wrong = [
            ("  sources: [x]\n", "4:3"),
            ("  type: event_cuont\n", "4:9"),
            ("  type: event_count\n  rules: a\n  timespan: 5x\n", "6:13"),
            ("  type: event_count\n  rules: a\n  timespan: 0m\n", "6:13"),
            ("  type: event_count\n  rules: a\n  timespan: 5m\n  condition: {gte: x}\n", "7:20"),
            ("  type: value_count\n  rules: a\n  timespan: 5m\n  condition: {gte: 1}\n", "7:14"),
            ("  type: temporal\n  rules: [a]\n  timespan: 5m\n  condition: a or z\n", "7:19"),
            ("  type: temporal\n  rules: [a]\n  timespan: 5m\n  aliases: {u: {q: f}}\n", "7:17"),
        ];
        for (section, place) in wrong {
            let error = read(section).expect_err(section);
            assert!(error.starts_with(&format!("c.yml:{place}: ")), "{error}");
        }
    }

    #[test]
    fn a_count_beyond_what_is_kept_is_said_to_never_be_reached() {
        let warnings = |condition: &str| {
            let text = format!(
                "title: t\nid: 4b1d9a3e-0e4f-4a57-8f0e-2a6b3c7d9e10\ncorrelation:\n  type: event_count\n  rules: a\n  timespan: 5m\n  \
                 condition: {condition}\n"
            );
            let said = parse("c.yml", text.as_bytes()).diagnostics;
            said.iter().filter(|one| one.gravity == Gravity::Warning).count()
        };
        assert_eq!(warnings("{gte: 16384}"), 0);
        assert_eq!(warnings("{gt: 16384}"), 1);
        assert_eq!(warnings("{lt: 20000}"), 0);
    }

    #[test]
    fn a_tower_of_correlations_is_refused_from_where_it_is_too_high() {
        let section = "  type: temporal\n  rules: [below]\n  timespan: 5m\n";
        let floors = (0..6).map(|floor| {
            let mut correlation = read(section).unwrap();
            correlation.meta.id = None;
            correlation.meta.name = Some(format!("floor {floor}"));
            let below = if floor == 0 { "r".to_owned() } else { format!("floor {}", floor - 1) };
            correlation.rules[0].0 = below;
            correlation
        });
        let all: Vec<Correlation> = floors.collect();
        let (usable, faults) = resolve(&all, |name| (name == "r").then_some(0));
        assert_eq!(usable.len(), usize::from(LEVELS_MAX));
        let codes: Vec<(usize, &str)> = faults.iter().map(|(i, fault)| (*i, fault.code)).collect();
        assert_eq!(codes, [(4, "too-deep"), (5, "unknown-rule")]);
    }

    #[test]
    fn references_are_resolved_in_order_and_circles_refused() {
        let one = |name: &str, rules: &str| {
            let section = format!("  type: temporal\n  rules: [{rules}]\n  timespan: 5m\n");
            let mut correlation = read(&section).unwrap();
            correlation.meta.name = Some(name.to_owned());
            correlation.meta.id = None;
            correlation
        };
        let all = [
            one("top", "middle, r"),
            one("middle", "r"),
            one("x", "y"),
            one("y", "x"),
            one("lost", "nobody"),
            one("above", "lost"),
            one("middle", "r"),
        ];
        let (usable, faults) = resolve(&all, |name| (name == "r").then_some(7));
        assert_eq!(
            usable,
            [(1, vec![Target::Rule(7)]), (0, vec![Target::Correlation(0), Target::Rule(7)]),]
        );
        let codes: Vec<(usize, &str)> = faults.iter().map(|(i, fault)| (*i, fault.code)).collect();
        let (cycle, unknown) = ("cycle", "unknown-rule");
        let wrong = [(2, cycle), (3, cycle), (4, unknown), (5, unknown), (6, "duplicate-id")];
        assert_eq!(codes, wrong);
    }
}
