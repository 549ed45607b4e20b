//! Values that stand in for fields that a record does not have.
//!
//! A line of text says in words what a Windows event says in fields: whom, from where, on which
//! host, by which command. Extraction has found them, with their parts in the event, so a rule
//! that asks a line of sshd for `User` or `SourceIp` is answered. Names are answered by their
//! meaning: `SourceIp` by the address that something came from and by no other, `TargetUserName`
//! by the account that it was done to.
//!
//! A record's own values come first: nothing stands in for a name that has one. Windows events
//! have their names from their makers, so of these only a name that is another one's (`EventId`)
//! and the hashes in `Hashes` are answered; correlations, whose `group-by` is asked of records of
//! many kinds, are answered by entities in any case.
//!
//! For rules only what some rule for the record's own log sources asks is yielded, so lines for
//! which nobody asks cost one look at their views.

use std::sync::Arc;

use super::super::compile::{FieldId, RuleSet};
use super::super::logsource::View;
use super::super::scan::Fields;
use super::{NameId, Names, Row, text};
use crate::types::hash::Map;
use crate::types::{Batch, Event, Format, Kind, Role, Text};

/// What stands in for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    /// All entities of a kind, those without a known part first.
    Any(Kind),
    /// The account or machine that did it, or from which it came.
    Source(Kind),
    /// The same, or one whose part is not known.
    SourceOrUnknown(Kind),
    /// What it was done to.
    Target(Kind),
    /// The same, or one whose part is not known.
    TargetOrUnknown(Kind),
    /// The command that a line of sudo or cron tells of, or the arguments in an audit record.
    Command,
    /// The program of that command.
    Program,
    /// The hash that the field `Hashes` has under this label.
    Hash(&'static str),
    /// Each hash that the field `Hashes` has.
    AnyHash,
    /// Nothing but other fields.
    Fields,
}

/// Names that rules ask for; the fields that say the same, if the record has some of them; and what
/// stands in otherwise. The names are those of Sigma's taxonomy, of Seerflow's mapping,
/// and those that correlations commonly group by.
const TABLE: &[(&str, &str, Means)] = &[
    ("User user username Username user.name", "", Means::Any(Kind::User)),
    ("SubjectUserName SourceUser", "", Means::Source(Kind::User)),
    ("TargetUserName TargetUser", "", Means::TargetOrUnknown(Kind::User)),
    (
        "SourceIp SourceAddress IpAddress src_ip source_ip c-ip client_ip remote_addr rhost \
         source.ip",
        "src_ip c-ip",
        Means::SourceOrUnknown(Kind::Ip),
    ),
    (
        "DestinationIp DestinationAddress dst_ip dest_ip destination.ip",
        "dst_ip",
        Means::Target(Kind::Ip),
    ),
    ("HostName Hostname ComputerName Computer host hostname host.name", "", Means::Any(Kind::Host)),
    ("Workstation WorkstationName SourceHostname", "", Means::Source(Kind::Host)),
    ("DestinationHostname", "", Means::Target(Kind::Host)),
    ("CommandLine command_line", "proctitle", Means::Command),
    ("Image", "exe", Means::Program),
    ("EventID", "EventId event.code", Means::Fields),
    ("EventId", "EventID event.code", Means::Fields),
    // Before the others, so that it sees none of them that stand in.
    (
        "FileHash",
        "hash.md5 file.hash.md5 process.hash.md5 hash.sha1 file.hash.sha1 process.hash.sha1 \
         hash.sha256 file.hash.sha256 process.hash.sha256 md5 sha1 sha256",
        Means::AnyHash,
    ),
    ("md5", "MD5 hash.md5 file.hash.md5 process.hash.md5", Means::Hash("MD5")),
    ("sha1", "SHA1 hash.sha1 file.hash.sha1 process.hash.sha1", Means::Hash("SHA1")),
    ("sha256", "SHA256 hash.sha256 file.hash.sha256 process.hash.sha256", Means::Hash("SHA256")),
    ("Imphash", "imphash IMPHASH process.pe.imphash file.pe.imphash", Means::Hash("IMPHASH")),
    ("Hashes", "FileHash hash.md5 file.hash.md5 hash.sha256 file.hash.sha256", Means::Fields),
];

impl Means {
    /// The kind of the entities that answer, and their parts in the order in which they do; of
    /// choices only the first that there is.
    fn entities(self) -> Option<(Kind, &'static [&'static [Role]])> {
        use Role::{Actor, None as Unknown, Source, Target};
        match self {
            Means::Any(kind) => Some((kind, &[&[Unknown, Source, Actor, Target]])),
            Means::Source(kind) => Some((kind, &[&[Actor, Source]])),
            Means::SourceOrUnknown(kind) => Some((kind, &[&[Source, Actor], &[Unknown]])),
            Means::Target(kind) => Some((kind, &[&[Target]])),
            Means::TargetOrUnknown(kind) => Some((kind, &[&[Target], &[Unknown]])),
            _ => None,
        }
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// Rules, each for the records of its log source.
    Rules,
    /// Correlations, for all records of which they are told.
    Correlations,
    /// Somebody who wants to know what rules could ask for.
    Anybody,
}

/// A name for which something may stand in.
struct StandIn {
    name: NameId,
    /// Fields whose values answer, if the record has one of them.
    fields: Vec<NameId>,
    means: Means,
}

/// What stands in for the names that a rule set asks for.
pub(super) struct StandIns {
    asker: Asker,
    /// At most 64: what a record needs is a set of bits.
    all: Vec<StandIn>,
    /// For each log source of the rule set, what its rules ask for.
    of_sources: Vec<u64>,
    /// The same for views, as they turn up, and for all of the last record.
    of_views: Map<View, u64>,
    last: (Vec<View>, u64),
    hashes: NameId,
    command: NameId,
    query: NameId,
    /// `a0`, `a1` and so on, of the audit records of a program that is run.
    arguments: Vec<NameId>,
    argument_count: NameId,
}

/// The most arguments of a command that are put together.
const ARGUMENTS_MAX: usize = 64;
/// How many views are remembered; beyond, all are forgotten.
const VIEWS_MAX: usize = 4_096;

impl StandIns {
    pub(super) fn new(names: &mut Names, asker: Asker) -> Self {
        let rules = Arc::clone(&names.rules);
        let mut all = Vec::new();
        let mut by_field: Map<FieldId, u64> = Map::default();
        for (asked, fields, means) in TABLE {
            for name in asked.split_ascii_whitespace() {
                let id = rules.field(name);
                if !id.is_asked() && asker != Asker::Anybody {
                    continue;
                }
                by_field.insert(id, 1 << all.len());
                let fields = fields.split_ascii_whitespace().map(|field| names.number(field));
                let fields = fields.collect();
                all.push(StandIn { name: names.number(name), fields, means: *means });
            }
        }
        let of_source = |asked: &Fields| {
            let asked = by_field.iter().filter(|(field, _)| asked.has(**field));
            asked.fold(0, |set, (_, bit)| set | bit)
        };
        let of_sources = rules.asked.iter().map(of_source).collect();
        let (hashes, command) = (names.number("Hashes"), names.number("COMMAND"));
        let (query, argument_count) = (names.number("query"), names.number("argc"));
        let arguments = (0..ARGUMENTS_MAX).map(|number| names.number(&format!("a{number}")));
        StandIns {
            asker,
            all,
            of_sources,
            of_views: Map::default(),
            last: (Vec::new(), 0),
            hashes,
            command,
            query,
            arguments: arguments.collect(),
            argument_count,
        }
    }

    /// What is asked of a record with these views, as bits.
    fn asked(&mut self, rules: &RuleSet, views: &[View]) -> u64 {
        if self.all.is_empty() {
            return 0;
        }
        if self.asker != Asker::Rules {
            return u64::MAX >> (64 - self.all.len());
        }
        if self.last.0 == views {
            return self.last.1;
        }
        if self.of_views.len() > VIEWS_MAX {
            self.of_views.clear();
        }
        let of_sources = &self.of_sources;
        let ask = |view: View| {
            let satisfied = rules.satisfied(&[view]);
            let asked = satisfied.into_iter().zip(of_sources).filter(|(satisfied, _)| *satisfied);
            asked.fold(0, |set, (_, asked)| set | asked)
        };
        let known = &mut self.of_views;
        let each = views.iter().map(|view| *known.entry(*view).or_insert_with(|| ask(*view)));
        self.last.1 = each.fold(0, |set, asked| set | asked);
        self.last.0.clear();
        self.last.0.extend_from_slice(views);
        self.last.1
    }

    /// Adds what stands in for what the event at hand does not have.
    pub(super) fn add(
        &mut self,
        row: &mut Row,
        rules: &RuleSet,
        (batch, event): (&Batch, &Event),
        lines: text::Lines,
    ) {
        let mut asked = self.asked(rules, &row.views);
        while asked != 0 {
            let one = &self.all[asked.trailing_zeros() as usize];
            asked &= asked - 1;
            if row.has_value(one.name) {
                continue;
            }
            one.fields.iter().for_each(|other| row.copy(*other, one.name));
            if row.has_value(one.name) {
                continue;
            }
            match one.means {
                Means::Fields => {}
                // Of a name's question and answers an address without a part is an answer.
                Means::SourceOrUnknown(Kind::Ip) if row.has(self.query) => {
                    entities(row, one.name, Means::Source(Kind::Ip), (batch, event));
                }
                Means::Command if row.has(self.argument_count) => {
                    row.join(&self.arguments, one.name, batch);
                }
                Means::Program if row.has(self.argument_count) => {
                    row.copy(self.arguments[0], one.name);
                }
                Means::Command | Means::Program => {
                    let Some(command) = self.command(row, (batch, event), lines) else { continue };
                    let end = match one.means {
                        Means::Program => batch.text(command).find(' '),
                        _ => None,
                    };
                    row.push_text(one.name, command.part(0, end.unwrap_or(command.len())));
                }
                Means::Hash(label) => self.hashes(row, one.name, Some(label), batch),
                Means::AnyHash => self.hashes(row, one.name, None, batch),
                means => {
                    if self.asker == Asker::Correlations || event.format != Format::Windows {
                        entities(row, one.name, means, (batch, event));
                    }
                }
            }
        }
    }

    /// The command that a line tells of.
    fn command(
        &self,
        row: &Row,
        (batch, event): (&Batch, &Event),
        lines: text::Lines,
    ) -> Option<Text> {
        if let Some(command) = row.place(self.command) {
            return Some(command);
        }
        let (from, to) = match lines {
            text::Lines::Cron => text::cron_command(batch.text(event.message))?,
            _ => return None,
        };
        Some(event.message.part(from, to))
    }

    /// The hashes of `SHA1=…,MD5=…` with this label, or all.
    fn hashes(&self, row: &mut Row, name: NameId, wanted: Option<&str>, batch: &Batch) {
        let Some(place) = row.place(self.hashes) else { return };
        let whole = batch.text(place);
        for hash in whole.split(',') {
            let Some((label, hash)) = hash.split_once('=') else { continue };
            if wanted.is_none_or(|wanted| label.trim().eq_ignore_ascii_case(wanted)) {
                let range = super::range_in(whole, hash.trim());
                row.push_text(name, place.part(range.start, range.end));
            }
        }
    }
}

/// Adds the entities of an event that a name means.
fn entities(row: &mut Row, name: NameId, means: Means, (batch, event): (&Batch, &Event)) {
    let Some((kind, choices)) = means.entities() else { return };
    let all = batch.entities(event);
    for roles in choices {
        let mut any = false;
        for role in *roles {
            for entity in all.iter().filter(|one| one.kind == kind && one.role == *role) {
                row.push_text(name, entity.value);
                any = true;
            }
        }
        if any {
            return;
        }
    }
}

/// The names for which something may stand in on a line of a program: entities on any, commands
/// where lines tell of them.
pub(super) fn names_on_lines(commands: bool) -> impl Iterator<Item = &'static str> {
    let rows = TABLE.iter().filter(move |(_, _, means)| match means {
        Means::Command | Means::Program => commands,
        means => means.entities().is_some(),
    });
    rows.flat_map(|(names, _, _)| names.split_ascii_whitespace())
}

/// The names for which something may stand in on a Windows event, that has hashes or has none.
pub(super) fn names_on_windows(hashes: bool) -> impl Iterator<Item = &'static str> {
    let rows = TABLE.iter().filter(move |(names, _, means)| match means {
        Means::Hash(_) | Means::AnyHash => hashes,
        means => *means == Means::Fields && names.starts_with("EventI"),
    });
    rows.flat_map(|(names, _, _)| names.split_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_there_once_and_fit_a_set_of_bits() {
        let all = TABLE.iter().flat_map(|(names, _, _)| names.split_ascii_whitespace());
        let mut all: Vec<&str> = all.collect();
        assert!(all.len() <= 64);
        all.sort_unstable();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
