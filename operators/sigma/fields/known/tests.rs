//! The tables, held against records, and what is said of rules.

use std::path::Path;

use super::super::tests::batch;
use super::super::{log_sources, parse};
use super::*;
use crate::sigma::tests::shared::shared;
use crate::sigma::{self, Active, Document, RuleSet, Sigma};
use crate::types::Span;

fn with(pipelines: &str) -> Known {
    let (pipelines, said) = parse("p.yaml", pipelines.as_bytes());
    assert!(said.is_empty(), "{said:?}");
    Known::new(&pipelines)
}

const ID: &str = "5f0b9ad8-7f8b-4c41-8a06-0a4bb9f1d1c0";

/// What a rule asks for in vain, as `line:column field`, with ` -> suggestion`, and with `!` where
/// it cannot match without.
fn missing_with(pipelines: &str, source: &str, detection: &str) -> Vec<String> {
    let text = format!("title: t\nid: {ID}\nlogsource: {{{source}}}\ndetection:\n{detection}");
    let parsed = sigma::parse("r.yml", text.as_bytes());
    assert!(parsed.diagnostics.is_empty(), "{:?}", parsed.diagnostics);
    let Document::Rule(rule) = &parsed.documents[0] else { panic!("a rule is written") };
    let shown = |one: Missing| {
        let name = one.suggestion.map(|name| format!(" -> {name}")).unwrap_or_default();
        format!("{} {}{name}{}", one.at, one.field, if one.vital { "!" } else { "" })
    };
    with(pipelines).missing(rule).into_iter().map(shown).collect()
}

fn missing(source: &str, detection: &str) -> Vec<String> {
    missing_with("", source, detection)
}

/// What of one item is missing for a log source.
fn of_one(source: &str, item: &str) -> Vec<String> {
    let found = missing(source, &format!("  a: {{{item}}}\n  condition: a\n"));
    found.into_iter().map(|one| one.split_once(' ').unwrap().1.to_owned()).collect()
}

const PROCESS: &str = "category: process_creation, product: windows";

#[test]
fn a_name_that_no_event_of_the_log_source_has_is_said_with_what_was_meant() {
    for (source, item, wanted) in [
        (PROCESS, "Imagee: a", "Imagee -> Image!"),
        (PROCESS, "commandline: a", "commandline -> CommandLine!"),
        (PROCESS, "MachineName: a", "MachineName -> Computer!"),
        (PROCESS, "DestinationIp: a", "DestinationIp!"),
        ("category: file_event, product: windows", "FileName: a", "FileName -> TargetFilename!"),
        ("category: registry_set, product: windows", "NewName: a", "NewName!"),
        ("category: dns_query, product: windows", "QueryNme: a", "QueryNme -> QueryName!"),
        ("category: ps_script, product: windows", "Payload: a", "Payload!"),
        ("product: windows, service: sysmon", "Imagee: a", "Imagee -> Image!"),
        ("category: process_creation, product: linux", "NoSuchField: x", "NoSuchField!"),
        ("category: process_creation", "Imagee: a", "Imagee -> Image!"),
        ("product: linux, service: sshd", "NoSuchField: x", "NoSuchField!"),
        ("product: linux, service: sudo", "COMAND: x", "COMAND -> COMMAND!"),
        // Records have names of their own there, so that it is only doubted.
        ("category: webserver", "cs-uri-quary: x", "cs-uri-quary -> cs-uri-query"),
        ("category: proxy", "cUserAgent: x", "cUserAgent -> c-useragent"),
    ] {
        assert_eq!(of_one(source, item), [wanted], "{source} {item}");
    }
}

#[test]
fn what_records_have_and_what_is_open_is_not_doubted() {
    for (source, items) in [
        (PROCESS, "Image ParentUser NewProcessName SubjectUserName EventID Provider_Name Channel"),
        (PROCESS, "host.name event.code message param1 Data"),
        ("category: registry_event, product: windows", "Details NewName ObjectName OldValue"),
        ("category: network_connection, product: windows", "Initiated LayerRTID SourceHostname"),
        ("category: wmi_event, product: windows", "Consumer Query PossibleCause ESS"),
        ("category: process_creation, product: linux", "Image LogonId"),
        ("product: linux, service: sudo", "USER COMMAND SUDO_USER _UID"),
        ("category: webserver", "cs-uri-query sc-status upstream_addr"),
        ("category: firewall", "src_ip srcip policyid action user_name"),
        ("product: windows, service: security", "Whatever"),
        ("product: windows", "Whatever"),
        ("product: linux", "Whatever"),
        ("product: linux, service: auth", "Whatever"),
        ("product: linux, service: auditd", "Whatever"),
        ("category: file_access, product: windows", "Whatever"),
        ("product: aws, service: cloudtrail", "whatever"),
        ("product: nobody", "whatever"),
    ] {
        for item in items.split(' ') {
            assert_eq!(of_one(source, &format!("{item}: a")), [""; 0], "{source} {item}");
        }
    }
}

#[test]
fn a_rule_can_fire_without_a_field_of_which_there_is_another_choice() {
    let found = |detection: &str| missing(PROCESS, detection);
    let under_not = "  a: {Image: x}\n  f: {Imagee: y}\n  condition: a and not f\n";
    assert_eq!(found(under_not), ["6:7 Imagee -> Image"]);
    let choice = "  a:\n    - Image: x\n    - Imagee: y\n  condition: a\n";
    assert_eq!(found(choice), ["7:7 Imagee -> Image"]);
    let needed = "  a:\n    Image: x\n    Imagee|endswith: [y, z]\n  condition: a\n";
    assert_eq!(found(needed), ["7:5 Imagee -> Image!"]);
    let twice = "  a: {Imagee: x}\n  b: {Imagee: y, Wrong: z}\n  condition: 1 of them\n";
    assert_eq!(found(twice), ["5:7 Imagee -> Image!", "6:18 Wrong"]);
    let both = "  a: {Wrong: x}\n  b: {Bad: y}\n  condition: a or b\n";
    assert_eq!(found(both), ["5:7 Wrong!", "6:7 Bad!"]);
    let two_of = "  a: {Wrong: x}\n  b: {Image: y}\n  c: {User: y}\n  condition: 2 of them\n";
    assert_eq!(found(two_of), ["5:7 Wrong"]);
    let absent = "  a: {Wrong: null}\n  condition: a\n";
    assert_eq!(found(absent), ["5:7 Wrong"]);
    let not_absent = "  a: {Wrong|exists: false}\n  b: {Image: x}\n  condition: b and not a\n";
    assert_eq!(found(not_absent), ["5:7 Wrong!"]);
    let negated = "  a: {Wrong|neq: x}\n  condition: a\n";
    assert_eq!(found(negated), ["5:7 Wrong"]);
    let compared = "  a: {Image|fieldref: ParentImagee}\n  condition: a\n";
    assert_eq!(found(compared), ["5:23 ParentImagee -> ParentImage!"]);
    let words = "  a: [x, y]\n  b: {Wrong: x}\n  condition: a or b\n";
    assert_eq!(found(words), ["6:7 Wrong"]);
}

#[test]
fn a_users_pipeline_makes_a_field_known_or_its_log_source_open() {
    let rule = "  a: {GrandParentImage: x, Wrong: y}\n  condition: a\n";
    let found = |pipelines: &str| missing_with(pipelines, PROCESS, rule);
    assert_eq!(found(""), ["5:7 GrandParentImage!", "5:28 Wrong!"]);
    let head = "name: p\nmatch: {format: json, fields: {kind: start}}\n";
    let view = "logsources: [{product: windows, category: process_creation}]\n";
    let renames = "fields: {grand: GrandParentImage}\n";
    assert_eq!(found(&format!("{head}{view}{renames}")), ["5:28 Wrong!"]);
    assert_eq!(found(&format!("{head}{renames}")), ["5:28 Wrong!"]);
    assert_eq!(found(&format!("{head}{view}")), [""; 0]);
    assert_eq!(found(&format!("{head}{view}{renames}strip: [p.]\n")), [""; 0]);
    let other = "logsources: [{product: windows, category: file_event}]\n";
    assert_eq!(found(&format!("{head}{other}")).len(), 2);
    // Records of Windows have other views besides; those of one format alone have not.
    let acme = "logsources: [{product: acme}]\n";
    assert_eq!(found(&format!("{head}{acme}{renames}")).len(), 2);
    let of_windows = "name: p\nmatch: {format: windows}\n";
    assert_eq!(found(&format!("{of_windows}{acme}{renames}")), ["5:28 Wrong!"]);
    let lines = format!("{head}programs: true\n");
    let sshd = |pipelines: &str| {
        missing_with(pipelines, "product: linux, service: sshd", "  a: {x: y}\n  condition: a\n")
    };
    assert_eq!((sshd(""), sshd(&lines)), (vec!["5:7 x!".to_owned()], Vec::new()));
}

#[test]
fn what_a_filter_asks_for_is_not_said_of_the_rule() {
    let rule = "title: r\nname: r\nlogsource: {product: windows, category: process_creation}\n\
                detection: {a: {Image: x}, condition: a}\n---\ntitle: f\nfilter:\n  rules: [r]\n  \
                selection: {Wrong: y}\n  condition: not selection\n";
    let parsed = sigma::parse("r.yml", rule.as_bytes());
    let options = sigma::Options { placeholders: BTreeMap::new() };
    let (set, report) = RuleSet::compile(vec![parsed], &options);
    assert_eq!((report.filters, set.rules()[0].detection.selections.len()), (1, 2));
    assert_eq!(with("").missing(&set.rules()[0]), []);
}

/// Names that records have in closed log sources and that the tables lack, as `view field`.
fn lacking(records: &[String]) -> (usize, BTreeSet<String>) {
    let known = Known::new(&[]);
    let sources = log_sources(&[]);
    let set = RuleSet::of_log_sources(&sources);
    let active = Active::new(set, Vec::new(), Span::from_secs(1), &BTreeMap::new());
    let active = std::sync::Arc::new(active);
    let mut sigma = Sigma::new(&active);
    let batch = batch("file", "/tmp/x.log", records);
    let (mut closed, mut lacking) = (0, BTreeSet::new());
    for event in &batch.events {
        let record = sigma.record(&batch, event);
        for source in &sources {
            let names = known.views.get(source).filter(|names| names.closed);
            let Some(names) = names else { continue };
            if !record.views().contains(&active.rules.view(source)) {
                continue;
            }
            closed += 1;
            for field in record.fields() {
                if !names.all.contains(field.name) && !known.is_elsewhere(field.name) {
                    lacking.insert(format!("{source} {}", field.name));
                }
            }
        }
    }
    (closed, lacking)
}

/// The records of lines of cases; dumps of several events are taken apart. Near misses are left
/// out: some are events of another kind with data that only this one has.
fn raws(text: &str, out: &mut Vec<String>) {
    for line in text.lines().filter(|line| !line.is_empty()) {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        if [&line["match"], &line["fires"]].contains(&&false.into()) {
            continue;
        }
        let raw = match &line["raw"] {
            serde_json::Value::Array(several) => several.clone(),
            one => vec![one.clone()],
        };
        for raw in raw.iter().map(|raw| raw.as_str().expect("text")) {
            let events = serde_json::Deserializer::from_str(raw).into_iter::<serde_json::Value>();
            match events.collect::<Result<Vec<_>, _>>() {
                Ok(events) => out.extend(events.iter().map(ToString::to_string)),
                Err(_) => out.push(raw.to_owned()),
            }
        }
    }
}

fn cases(folder: &Path, out: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder of rules") {
        let path = entry.expect("readable").path();
        match path.is_dir() {
            true => cases(&path, out),
            false if path.to_string_lossy().ends_with(".cases.jsonl") => {
                raws(&std::fs::read_to_string(path).expect("readable"), out);
            }
            false => {}
        }
    }
}

#[test]
fn records_of_closed_log_sources_have_no_other_fields() {
    let mut records = Vec::new();
    cases(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../rules/builtin")), &mut records);
    let (closed, found) = lacking(&records);
    println!("{} records, {closed} views", records.len());
    assert!(closed > 100, "{closed}");
    assert_eq!(found, BTreeSet::new());
    let Some(samples) = shared("regression.jsonl") else { return };
    records.clear();
    raws(&std::fs::read_to_string(samples).expect("readable"), &mut records);
    let (closed, found) = lacking(&records);
    assert!(closed > 90, "{closed}");
    assert_eq!(found, BTreeSet::new());
}
