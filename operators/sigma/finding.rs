//! From hits to findings, and what an alert says of its rule.
//!
//! # Which entity a finding is about
//!
//! The one that an analyst would look at first. Of what a host says about itself (rules for
//! Windows and macOS, for Linux categories such as `process_creation`, for auditd) that is the
//! user who did it, unless it is an account that every host has (`SYSTEM`, `root`, a machine's
//! own), and then the host. Of everything else (logins, web, DNS, firewalls, clouds) it is the
//! address that it came from, then the user, then the host. A record that names nobody is about
//! its source.
//!
//! Findings of one rule about one entity are one incident, for as long as [`Active::new`] says.

use serde_json::json;

use super::compile::{Resolved, RuleIndex};
use super::correlation::{self, Target};
use super::explain::Explanation;
use super::live::Active;
use super::logsource::LogSource;
use super::rule;
use crate::types::finding::EVENTS_MAX;
use crate::types::hash::stable;
use crate::types::{
    Alert, Batch, EntityId, EntityRef, Event, EventTime, Finding, Kind, Level, Role, Rule, Source,
    Span,
};

/// Accounts that every host has.
const COMMON_ACCOUNTS: [&str; 12] = [
    "system",
    "localsystem",
    "local system",
    "local service",
    "localservice",
    "network service",
    "networkservice",
    "root",
    "0",
    "nobody",
    "-",
    "anonymous logon",
];

/// Tells of the findings in a batch that landed on worker `landed`. `source` says which entity
/// stands for a source.
pub fn findings(
    active: &Active,
    batch: &Batch,
    landed: u32,
    source: impl Fn(&Source) -> EntityId,
    mut tell: impl FnMut(Finding),
) {
    for (at, number) in &batch.hits {
        let index = RuleIndex(*number);
        if active.rules.is_silent(index) {
            continue;
        }
        let rule = active.rules.rule(index);
        let event = &batch.events[*at as usize];
        let about = entity(batch, event, &rule.logsource);
        let entity = about.map_or_else(
            || source(&batch.block.sources[event.source as usize]),
            |entity| entity.id,
        );
        tell(Finding {
            dedup: dedup(identity(&rule.meta), entity),
            rule: Rule::Sigma(*number),
            level: rule.meta.level(),
            entity,
            kind: about.map(|entity| entity.kind),
            seq: event.seq,
            time: event.time,
            landed,
            window: active.incidents.get(index.0 as usize).copied().unwrap_or(Span(0)),
            score: rule.meta.level().score(),
            threshold: Level::Informational.score(),
            contributions: Vec::new(),
            peer: None,
            events: Vec::new(),
            context: Vec::new(),
            group: Vec::new(),
            value: 0.0,
        });
    }
}

/// A correlation that fired.
#[derive(Debug)]
pub struct Firing<'f> {
    /// Its number.
    pub correlation: u32,
    /// The hash of its group.
    pub group: u128,
    /// The values of its group.
    pub names: &'f [String],
    /// What was computed.
    pub value: f64,
    /// The events that it rests on.
    pub events: Vec<u64>,
    /// The last of them.
    pub seq: u64,
    /// When that happened.
    pub time: EventTime,
    /// The worker on which that landed.
    pub landed: u32,
    /// Whom that is about.
    pub entity: EntityId,
    /// Of which kind; `None` is the source.
    pub kind: Option<Kind>,
}

/// The finding of a firing. Those of one correlation and group are one incident.
#[must_use]
pub fn of_firing(active: &Active, firing: Firing<'_>) -> Finding {
    let Firing { correlation, group, names, value, seq, time, landed, entity, kind, .. } = firing;
    let document = &active.rules.correlations()[correlation as usize].correlation;
    let mut events = firing.events;
    events.retain(|event| *event != seq);
    // Whoever counts incidents adds the last one again.
    if events.len() == EVENTS_MAX {
        events.remove(EVENTS_MAX / 2);
    }
    Finding {
        dedup: group,
        rule: Rule::Correlation(correlation),
        level: document.meta.level(),
        entity,
        kind,
        seq,
        time,
        landed,
        window: active
            .correlation_incidents
            .get(correlation as usize)
            .copied()
            .unwrap_or(document.timespan),
        score: document.meta.level().score(),
        threshold: Level::Informational.score(),
        contributions: Vec::new(),
        peer: None,
        events,
        context: Vec::new(),
        group: document.group_by.iter().cloned().zip(names.iter().cloned()).collect(),
        value,
    }
}

/// What a rule is known by: its id, else its name, else its title.
#[must_use]
pub fn identity(meta: &rule::Meta) -> &str {
    meta.id.as_deref().or(meta.name.as_deref()).unwrap_or(&meta.title)
}

fn dedup(rule: &str, entity: EntityId) -> u128 {
    let mut key = b"sigma".to_vec();
    key.extend_from_slice(&entity.0.to_be_bytes());
    key.extend_from_slice(rule.as_bytes());
    let low = stable(&key);
    key.push(0);
    u128::from(stable(&key)) << 64 | u128::from(low)
}

/// The entity that a match is about; see the [module](self).
pub(crate) fn entity<'b>(
    batch: &'b Batch,
    event: &Event,
    rule: &LogSource,
) -> Option<&'b EntityRef> {
    let entities = batch.entities(event);
    let first = |fits: &dyn Fn(&EntityRef) -> bool| entities.iter().find(|one| fits(one));
    let from = || first(&|one| one.kind == Kind::Ip && one.role == Role::Source);
    let user = || {
        let personal =
            |one: &EntityRef| one.kind == Kind::User && !is_common(batch.text(one.value));
        first(&|one| personal(one) && one.role == Role::Actor)
            .or_else(|| first(&|one| personal(one) && one.role == Role::None))
            .or_else(|| first(&personal))
    };
    let host = || first(&|one| one.kind == Kind::Host);
    let any = || first(&|one| one.kind == Kind::Ip).or(entities.first());
    match is_of_host(rule) {
        true => user().or_else(host).or_else(from).or_else(any),
        false => from().or_else(user).or_else(host).or_else(any),
    }
}

/// Whether a rule reads what hosts say about themselves.
fn is_of_host(rule: &LogSource) -> bool {
    match rule.product.as_deref() {
        Some("windows" | "macos") => true,
        Some("linux") => rule.category.is_some() || rule.service.as_deref() == Some("auditd"),
        _ => matches!(
            rule.category.as_deref(),
            Some("antivirus" | "process_creation" | "file_event" | "image_load")
        ),
    }
}

fn is_common(account: &str) -> bool {
    let account = account.rsplit('\\').next().unwrap_or(account);
    account.ends_with('$') || COMMON_ACCOUNTS.iter().any(|one| account.eq_ignore_ascii_case(one))
}

/// Today's names of ATT&CK's tactics for enterprises; those of before are these by now.
const TACTICS: [(&str, &str); 18] = [
    ("reconnaissance", "reconnaissance"),
    ("resource-development", "resource-development"),
    ("initial-access", "initial-access"),
    ("execution", "execution"),
    ("persistence", "persistence"),
    ("privilege-escalation", "privilege-escalation"),
    ("stealth", "stealth"),
    ("defense-impairment", "defense-impairment"),
    ("credential-access", "credential-access"),
    ("discovery", "discovery"),
    ("lateral-movement", "lateral-movement"),
    ("collection", "collection"),
    ("command-and-control", "command-and-control"),
    ("exfiltration", "exfiltration"),
    ("impact", "impact"),
    // Split in two; most of what it held hides.
    ("defense-evasion", "stealth"),
    ("impair-defenses", "defense-impairment"),
    ("c2", "command-and-control"),
];

/// The tactics and techniques that tags name, each once, in their order.
#[must_use]
pub fn attack(tags: &[String]) -> (Vec<String>, Vec<String>) {
    let (mut tactics, mut techniques) = (Vec::new(), Vec::new());
    for tag in tags {
        let tag = tag.to_ascii_lowercase();
        let Some(name) = tag.strip_prefix("attack.") else { continue };
        let number = name.strip_prefix('t').unwrap_or("");
        let is_technique = number.len() >= 4
            && number.starts_with(|c: char| c.is_ascii_digit())
            && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let (list, name) = if is_technique {
            (&mut techniques, name.to_ascii_uppercase())
        } else {
            let name = name.replace('_', "-");
            let Some((_, today)) = TACTICS.iter().find(|(known, _)| *known == name) else {
                continue;
            };
            (&mut tactics, (*today).to_owned())
        };
        if !list.contains(&name) {
            list.push(name);
        }
    }
    (tactics, techniques)
}

/// Fills in an alert what its rule knows: id, title, tags, and what matched.
pub fn describe(active: &Active, explanation: &Explanation, alert: &mut Alert) {
    let meta = &active.rules.rule(explanation.rule).meta;
    alert.rule = identity(meta).to_owned();
    alert.title.clone_from(&meta.title);
    (alert.tactics, alert.techniques) = attack(&meta.tags);
    let selections = explanation.selections.iter().filter(|one| one.wanted && one.holds);
    let selections = selections.map(|selection| {
        let items = selection.items.iter().filter(|item| item.holds);
        let items = items.map(|item| json!({ "item": item.item, "values": item.values }));
        json!({ "name": selection.name, "items": items.collect::<Vec<_>>() })
    });
    alert.matched = Some(json!({
        "condition": explanation.condition,
        "selections": selections.collect::<Vec<_>>(),
        "tags": meta.tags,
    }));
}

/// Fills in an alert what its correlation knows: id, title, tags, and what came together.
pub fn describe_firing(active: &Active, finding: &Finding, alert: &mut Alert) {
    let Rule::Correlation(number) = finding.rule else { return };
    let Some(resolved) = active.rules.correlations().get(number as usize) else { return };
    let Resolved { correlation, targets } = resolved;
    let meta = &correlation.meta;
    alert.rule = identity(meta).to_owned();
    alert.title.clone_from(&meta.title);
    (alert.tactics, alert.techniques) = attack(&meta.tags);
    let title = |target: &Target| match *target {
        Target::Rule(rule) => active.rules.rule(RuleIndex(rule)).meta.title.as_str(),
        Target::Correlation(inner) => {
            let inner = &active.rules.correlations()[inner as usize];
            inner.correlation.meta.title.as_str()
        }
    };
    let rules: Vec<&str> = targets.iter().map(title).collect();
    let group = finding.group.iter().map(|(name, value)| (name.clone(), json!(value)));
    let group: serde_json::Map<String, serde_json::Value> = group.collect();
    let written: Vec<&str> = correlation.rules.iter().map(|(rule, _)| rule.as_str()).collect();
    let mut matched = json!({
        "type": correlation.kind.name(),
        "group": group,
        "timespan": timespan(correlation.timespan),
        "condition": correlation.condition.shown(&written),
        "rules": rules,
        "tags": meta.tags,
    });
    if let (correlation::Kind::ValuePercentile, correlation::Firing::Bounds { percentile, .. }) =
        (correlation.kind, &correlation.condition)
    {
        matched["percentile"] = json!(percentile);
    }
    let name = match correlation.kind {
        correlation::Kind::EventCount | correlation::Kind::ValueCount => "count",
        correlation::Kind::Temporal | correlation::Kind::TemporalOrdered => "rules_matched",
        _ => "value",
    };
    // Counts are whole numbers, and read better as such.
    matched[name] = match name {
        "value" => json!(finding.value),
        _ => json!(finding.value as u64),
    };
    alert.matched = Some(matched);
    let group: Vec<String> =
        finding.group.iter().map(|(name, value)| format!("{name}={value}")).collect();
    alert.dedup_key = format!("sigma:{}:{}", alert.rule, group.join(","));
}

/// A time span as rules write it: in the largest unit that it is a whole number of.
fn timespan(span: Span) -> String {
    let seconds = span.0 / Span::SECOND.0;
    let units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let fits = units.iter().find(|(_, length)| seconds % length == 0);
    let (unit, length) = fits.expect("every number is one of seconds");
    format!("{}{unit}", seconds / length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_become_todays_tactics_and_techniques() {
        let tags = [
            "attack.defense_evasion",
            "attack.t1059.001",
            "attack.Stealth",
            "attack.g0010",
            "cve.2024-1",
            "attack.credential-access",
            "attack.t1003",
        ];
        let (tactics, techniques) = attack(&tags.map(str::to_owned));
        assert_eq!(tactics, ["stealth", "credential-access"]);
        assert_eq!(techniques, ["T1059.001", "T1003"]);
    }

    #[test]
    fn a_match_scores_by_its_level_and_never_below_the_threshold() {
        let scores = Level::ALL.map(Level::score);
        assert_eq!(scores, [0.2, 0.4, 0.6, 0.8, 1.0]);
        assert!(scores.iter().all(|score| *score >= Level::Informational.score()));
    }

    #[test]
    fn a_time_span_is_shown_as_rules_write_it() {
        let shown = [300, 3_600, 90, 86_400].map(|seconds| timespan(Span::from_secs(seconds)));
        assert_eq!(shown, ["5m", "1h", "90s", "1d"]);
    }

    #[test]
    fn accounts_that_every_host_has_are_nobody_in_particular() {
        for account in [r"NT AUTHORITY\SYSTEM", "root", "WS1$", r"nt authority\Local Service"] {
            assert!(is_common(account), "{account}");
        }
        assert!(!is_common(r"CORP\ann") && !is_common("rooted"));
    }
}
