//! The `detection` section: selections, their items, and the tests that items make.
//!
//! A selection is a mapping (all its items), a list of mappings (any of them), or keywords: texts
//! looked for in every string of a record and in its message. Lists may mix both. An item is a
//! field with modifiers and one or more values of which one must fit, or all with `all`.

use std::net::IpAddr;

use super::condition::{self, Condition};
use super::diagnose::{Diagnostic, Fault, Gravity, Pos, quoted};
use super::modifier;
use super::regex::Regex;
use super::value::Pattern;
use super::yaml::{Key, Node, Yaml};

/// The most values of one rule.
pub const VALUES_MAX: usize = 20_000;
/// The most selections of one rule.
pub const SELECTIONS_MAX: usize = 512;

/// What a rule looks for.
#[derive(Clone, Debug)]
pub struct Detection {
    /// The named searches, in the order of the file.
    pub selections: Vec<Selection>,
    /// Which of them must hold.
    pub condition: Condition,
    /// The condition as it is written; several are joined by `or`.
    pub written: String,
}

/// A named search.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Its name.
    pub name: String,
    /// Where its name stands.
    pub at: Pos,
    /// What it looks for.
    pub search: Search,
}

/// Items, and how they are combined.
#[derive(Clone, Debug)]
pub enum Search {
    /// One item.
    Item(Item),
    /// Every one.
    All(Vec<Search>),
    /// At least one.
    Any(Vec<Search>),
}

/// A field and the tests of it.
#[derive(Clone, Debug)]
pub struct Item {
    /// The field; `None` where keywords are looked for.
    pub field: Option<String>,
    /// Field and modifiers as written.
    pub written: String,
    /// Where that stands.
    pub at: Pos,
    /// The tests: one for each value, or more where a modifier makes several of one.
    pub values: Vec<Value>,
    /// Whether every test must hold instead of one.
    pub all: bool,
    /// Whether the whole must not hold (`neq`).
    pub negated: bool,
}

/// One test of an item.
#[derive(Clone, Debug)]
pub struct Value {
    /// Where the value stands.
    pub at: Pos,
    /// What is tested.
    pub test: Test,
}

/// What may be asked of a field.
#[derive(Clone, Debug)]
pub enum Test {
    /// Its text fits the pattern.
    Text {
        /// The pattern, wildcards of modifiers included.
        pattern: Pattern,
        /// Whether case counts.
        cased: bool,
    },
    /// It is this number, or its text is the number's canonical form or spelling.
    Number {
        /// The shortest decimal form.
        canonical: String,
        /// As the rule spells it.
        spelling: String,
    },
    /// It is this boolean, or its text.
    Bool(bool),
    /// It is null, or not there.
    Null,
    /// It is there, whatever its value.
    Exists(bool),
    /// The expression occurs in its text.
    Regex(Box<Regex>),
    /// It is an address of the network.
    Network(Network),
    /// It is a number that compares so.
    Compare(Comparison, f64),
    /// Its text compares so with another field's.
    Field {
        /// The other field.
        other: String,
        /// How.
        relation: Relation,
    },
    /// A part of its time compares so.
    Time(TimePart, Comparison, i64),
}

/// How two numbers compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Comparison {
    /// `lt`
    Less,
    /// `lte`
    LessOrEqual,
    /// `gt`
    Greater,
    /// `gte`
    GreaterOrEqual,
    /// `eq`
    Equal,
    /// `neq`
    NotEqual,
}

impl Comparison {
    /// Whether `left` compares so with `right`.
    #[must_use]
    pub fn holds<T: PartialOrd>(self, left: T, right: T) -> bool {
        match self {
            Comparison::Less => left < right,
            Comparison::LessOrEqual => left <= right,
            Comparison::Greater => left > right,
            Comparison::GreaterOrEqual => left >= right,
            Comparison::Equal => left == right,
            Comparison::NotEqual => left != right,
        }
    }

    /// Its sign.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
            Comparison::Equal => "=",
            Comparison::NotEqual => "!=",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "lt" => Comparison::Less,
            "lte" => Comparison::LessOrEqual,
            "gt" => Comparison::Greater,
            "gte" => Comparison::GreaterOrEqual,
            "eq" => Comparison::Equal,
            "neq" => Comparison::NotEqual,
            _ => return None,
        })
    }
}

/// How one text stands to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relation {
    /// They are the same.
    Equals,
    /// The other occurs in it.
    Contains,
    /// It begins with the other.
    StartsWith,
    /// It ends with the other.
    EndsWith,
}

impl Relation {
    /// Whether `text` stands so to `other`; both folded.
    #[must_use]
    pub fn holds(self, text: &str, other: &str) -> bool {
        match self {
            Relation::Equals => text == other,
            Relation::Contains => text.contains(other),
            Relation::StartsWith => text.starts_with(other),
            Relation::EndsWith => text.ends_with(other),
        }
    }
}

/// A part of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimePart {
    /// 0–59
    Minute,
    /// 0–23
    Hour,
    /// Of the month, 1–31.
    Day,
    /// Of ISO 8601, 1–53.
    Week,
    /// 1–12
    Month,
    /// Of the calendar.
    Year,
}

/// An IPv4 or IPv6 network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    six: bool,
    bits: u128,
    prefix: u8,
}

impl Network {
    /// Reads `10.0.0.0/8`, `fe80::/10`, or an address alone.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let Ok(address) = address.parse::<IpAddr>() else {
            return Err(format!("{} is not a network such as `10.0.0.0/8`", quoted(text)));
        };
        let (six, bits) = bits(address);
        let width = if six { 128 } else { 32 };
        let prefix = match prefix.map(str::parse::<u8>) {
            None => width,
            Some(Ok(prefix)) if prefix <= width => prefix,
            Some(_) => return Err(format!("the prefix of `{text}` must be 0 to {width}")),
        };
        let network = Network { six, bits, prefix };
        match network.host_bits() {
            0 => Ok(network),
            _ => Err(format!("`{text}` has bits set beyond its prefix")),
        }
    }

    fn host_bits(self) -> u128 {
        let width = if self.six { 128 } else { 32 };
        let hosts = width - u32::from(self.prefix);
        self.bits & 1u128.checked_shl(hosts).unwrap_or(0).wrapping_sub(1)
    }

    /// Whether `text` is an address in it. An IPv4 address written as IPv6 is the IPv4 address as
    /// well; the zone of an address (`fe80::1%eth0`, RFC 4007) does not count.
    #[must_use]
    pub fn holds(self, text: &str) -> bool {
        let text = text.trim();
        let text = text.split_once('%').map_or(text, |(address, _)| address);
        let Ok(address) = text.parse::<IpAddr>() else { return false };
        self.has(bits(address)) || self.has(bits(address.to_canonical()))
    }

    fn has(self, (six, bits): (bool, u128)) -> bool {
        let width = if six { 128 } else { 32 };
        let shift = u32::saturating_sub(width, self.prefix.into());
        let network = self.bits.checked_shr(shift).unwrap_or(0);
        six == self.six && bits.checked_shr(shift).unwrap_or(0) == network
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let address = match self.six {
            true => IpAddr::from(self.bits.to_be_bytes()),
            false => IpAddr::from((self.bits as u32).to_be_bytes()),
        };
        write!(f, "{address}/{}", self.prefix)
    }
}

fn bits(address: IpAddr) -> (bool, u128) {
    match address {
        IpAddr::V4(four) => (false, u128::from(u32::from(four))),
        IpAddr::V6(six) => (true, u128::from(six)),
    }
}

impl Detection {
    /// All items, in order.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        let mut items = Vec::new();
        for selection in &self.selections {
            selection.search.collect(&mut items);
        }
        items.into_iter()
    }

    /// Reads a `detection` or `filter` mapping; keys in `apart` are not selections.
    pub(crate) fn parse(
        node: &Node,
        apart: &[&str],
        said: &mut Vec<(Gravity, Fault)>,
    ) -> Result<Self, Fault> {
        let Yaml::Map(entries) = &node.value else {
            let reason = format!("`detection` must be a mapping, not {}", node.kind());
            return Err(Fault::new(node.at, "bad-detection", reason));
        };
        let mut selections = Vec::new();
        let mut values = 0;
        for (key, value) in entries {
            match key.name.as_str() {
                "condition" => continue,
                "timeframe" => {
                    let reason = "`timeframe` belongs to aggregations of Sigma v1";
                    return Err(Fault::new(key.at, "sigma-v1", reason)
                        .hint("write a correlation rule with a `timespan`"));
                }
                name if apart.contains(&name) => continue,
                _ => {}
            }
            if selections.len() == SELECTIONS_MAX {
                let reason = format!("more than {SELECTIONS_MAX} selections");
                return Err(Fault::new(key.at, "too-many-selections", reason));
            }
            let selection = selection(key, value, said)?;
            let mut items = Vec::new();
            selection.search.collect(&mut items);
            values += items.iter().map(|item| item.values.len()).sum::<usize>();
            if values > VALUES_MAX {
                let reason = format!("more than {VALUES_MAX} values");
                return Err(Fault::new(key.at, "too-many-values", reason));
            }
            selections.push(selection);
        }
        if selections.is_empty() {
            let reason = "no selection beside the condition";
            return Err(Fault::new(node.at, "no-selection", reason));
        }
        let Some(condition) = node.get("condition") else {
            let reason = "`detection` has no `condition`";
            return Err(Fault::new(node.at, "no-condition", reason));
        };
        let (condition, written) = condition::of_rule(condition, &selections)?;
        for (selection, used) in selections.iter().zip(condition.used(selections.len())) {
            if !used {
                let reason = format!("no condition uses the selection `{}`", selection.name);
                let fault = Fault::new(selection.at, "unused-selection", reason);
                said.push((Gravity::Warning, fault));
            }
        }
        Ok(Detection { selections, condition, written })
    }
}

impl Search {
    fn collect<'a>(&'a self, out: &mut Vec<&'a Item>) {
        match self {
            Search::Item(item) => out.push(item),
            Search::All(parts) | Search::Any(parts) => {
                parts.iter().for_each(|part| part.collect(out));
            }
        }
    }

    /// Calls with each field that it asks for, and where it is named.
    pub(crate) fn each_field(&self, see: &mut impl FnMut(&str, Pos)) {
        match self {
            Search::Item(item) => {
                if let Some(field) = &item.field {
                    see(field, item.at);
                }
                for value in &item.values {
                    if let Test::Field { other, .. } = &value.test {
                        see(other, value.at);
                    }
                }
            }
            Search::All(parts) | Search::Any(parts) => {
                parts.iter().for_each(|part| part.each_field(see));
            }
        }
    }

    /// All items, to be changed.
    pub(crate) fn items_mut(&mut self, change: &mut impl FnMut(&mut Item)) {
        match self {
            Search::Item(item) => change(item),
            Search::All(parts) | Search::Any(parts) => {
                parts.iter_mut().for_each(|part| part.items_mut(change));
            }
        }
    }
}

fn selection(key: &Key, node: &Node, said: &mut Vec<(Gravity, Fault)>) -> Result<Selection, Fault> {
    let name = key.name.clone();
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')) {
        let reason = format!(
            "the selection {} can not be named in a condition; use letters, digits, `_` and `-`",
            quoted(&name)
        );
        said.push((Gravity::Warning, Fault::new(key.at, "bad-name", reason)));
    }
    let search = search(&name, node, said)?;
    Ok(Selection { name, at: key.at, search })
}

fn search(name: &str, node: &Node, said: &mut Vec<(Gravity, Fault)>) -> Result<Search, Fault> {
    let empty = || {
        let reason = format!("the selection `{name}` is empty");
        Err(Fault::new(node.at, "empty-selection", reason))
    };
    match &node.value {
        Yaml::Map(entries) if entries.is_empty() => empty(),
        Yaml::Map(entries) => {
            let items = entries.iter().map(|(key, value)| modifier::item(key, value, said));
            let items: Result<Vec<Search>, Fault> =
                items.map(|item| item.map(Search::Item)).collect();
            Ok(one_or(items?, Search::All))
        }
        Yaml::List(elements) if elements.is_empty() => empty(),
        Yaml::List(elements) => {
            let mut branches = Vec::new();
            let mut keywords: Option<Item> = None;
            for element in elements {
                match &element.value {
                    Yaml::Map(_) | Yaml::List(_) => branches.push(search(name, element, said)?),
                    _ => {
                        let item = modifier::keyword(element)?;
                        match &mut keywords {
                            Some(all) => all.values.extend(item.values),
                            None => keywords = Some(item),
                        }
                    }
                }
            }
            branches.extend(keywords.map(Search::Item));
            Ok(one_or(branches, Search::Any))
        }
        Yaml::Null => empty(),
        _ => Ok(Search::Item(modifier::keyword(node)?)),
    }
}

fn one_or(mut parts: Vec<Search>, join: impl FnOnce(Vec<Search>) -> Search) -> Search {
    match parts.len() {
        1 => parts.remove(0),
        _ => join(parts),
    }
}

/// What `lint` has to say once a document is read.
pub(crate) fn diagnostics(
    said: Vec<(Gravity, Fault)>,
    file: &std::sync::Arc<str>,
    rule: Option<&str>,
) -> impl Iterator<Item = Diagnostic> {
    said.into_iter().map(move |(gravity, fault)| fault.diagnostic(file, rule, gravity))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        Network::parse(network).unwrap().holds(address)
    }

    #[test]
    fn an_address_is_in_its_network_and_in_no_other() {
        assert!(holds("10.0.0.0/8", "10.255.0.1") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("0.0.0.0/0", "1.2.3.4") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("::/0", "2001:db8::1") && holds("127.0.0.1", "127.0.0.1"));
        assert!(holds("fe80::/10", "fe80::1") && !holds("fe80::/10", "2001::1"));
        assert!(holds("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(!holds("10.0.0.0/8", "10.0.0") && !holds("10.0.0.0/8", ""));
        for wrong in ["10.0.0.1/8", "10.0.0.0/33", "x/8", "fe80::/129", "10.0.0.0/"] {
            assert!(Network::parse(wrong).is_err(), "{wrong}");
        }
    }
}
