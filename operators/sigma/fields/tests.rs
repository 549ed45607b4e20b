//! Records as they come, and what rules read of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::parse::{self, Parser};
use crate::sigma::{self, Active, Parsed, Sigma};
use crate::types::{Block, EventTime, Flags, Record as Raw, Span, Text};

mod journald;
mod random;
mod stand_in;
mod user;

pub(in crate::sigma) fn active(
    rules: &[(String, Vec<u8>)],
    pipelines: Vec<Pipeline>,
) -> Arc<Active> {
    let parsed: Vec<Parsed> = sigma::parse_all(rules, 2);
    let options = sigma::Options { placeholders: BTreeMap::new() };
    let (set, _) = RuleSet::compile(parsed, &options);
    Arc::new(Active::new(set, pipelines, Span::from_secs(900), &BTreeMap::new()))
}

/// A batch of records from a source.
pub(in crate::sigma) fn batch<R: AsRef<str>>(receiver: &str, source: &str, records: &[R]) -> Batch {
    let source = Source { receiver: receiver.to_owned(), name: source.to_owned() };
    let mut block = Block {
        epoch: 1,
        first_seq: 7,
        text: String::new(),
        records: Vec::new(),
        sources: Arc::new(vec![source]),
        ended: Vec::new(),
    };
    for record in records {
        let record = record.as_ref();
        let text = Text::in_block(block.text.len(), record.len());
        block.text.push_str(record);
        let received_at = EventTime::from_secs(1_800_000_000);
        block.records.push(Raw { text, source: 0, received_at, flags: Flags(0) });
    }
    let options = parse::Options {
        zone: parse::Zone::fixed(0),
        future_max: parse::FUTURE_MAX,
        fields_max: parse::FIELDS_MAX,
    };
    Parser::new(options).parse(Arc::new(block))
}

/// The views that a record has, as `category/product/service`, sorted, and its fields.
///
/// Views are numbers of a rule set: here of one with a rule for every log source there is.
pub(super) struct Read {
    pub(super) views: Vec<String>,
    pub(super) fields: Vec<(String, String)>,
    pub(super) message: String,
}

impl Read {
    /// The values of a field, joined by ` | `.
    pub(super) fn value(&self, name: &str) -> String {
        let values = self.fields.iter().filter(|(known, _)| known == name);
        values.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(" | ")
    }
}

/// What rules read of one record of a source, with a user's pipelines.
pub(super) fn read_with(pipelines: &str, receiver: &str, source: &str, record: &str) -> Read {
    let (pipelines, said) = parse("p.yaml", pipelines.as_bytes());
    assert!(said.is_empty(), "{said:?}");
    let name = |name: &Option<String>| name.clone().unwrap_or_default();
    let sources = log_sources(&pipelines);
    let rules: Vec<(String, Vec<u8>)> = sources
        .iter()
        .enumerate()
        .map(|(number, source)| {
            let named = [
                ("category", name(&source.category)),
                ("product", name(&source.product)),
                ("service", name(&source.service)),
            ];
            let named = named.iter().filter(|(_, value)| !value.is_empty());
            let named: Vec<String> = named.map(|(key, v)| format!("  {key}: '{v}'\n")).collect();
            let rule = format!(
                "title: r{number}\nlogsource:\n{}detection: {{a: {{none: x}}, condition: a}}\n",
                named.concat()
            );
            (format!("r{number}.yml"), rule.into_bytes())
        })
        .collect();
    let active = active(&rules, pipelines);
    assert_eq!(active.rules.len(), sources.len());
    // Something before and after, so that what is left over shows.
    let batch = batch(receiver, source, &["before", record, "after x=1 y=2"]);
    let mut sigma = Sigma::new(&active);
    let rules = Arc::clone(&active.rules);
    let read = sigma.record(&batch, &batch.events[1]);
    let shown = |source: &LogSource| {
        let parts = [name(&source.category), name(&source.product), name(&source.service)];
        parts.join("/")
    };
    let with = sources.iter().filter(|source| read.views().contains(&rules.view(source)));
    let mut views: Vec<String> = with.map(shown).collect();
    views.sort();
    assert_eq!(views.len(), read.views().len(), "a view that no log source is: {views:?}");
    let mut digits = String::new();
    let fields = read.fields().iter().map(|field| {
        let value = field.value.text(&mut digits).unwrap_or("null").to_owned();
        (field.name.to_owned(), value)
    });
    Read { views, fields: fields.collect(), message: read.message().to_owned() }
}

fn read(receiver: &str, source: &str, record: &str) -> Read {
    read_with("", receiver, source, record)
}

fn of_file(record: &str) -> Read {
    read("file", "/tmp/x.log", record)
}

/// A Windows event as `evtx_dump` prints it.
fn dumped(channel: &str, id: u32, data: &str) -> String {
    format!(
        r##"{{"Event":{{"#attributes":{{"xmlns":"x"}},"System":{{"Provider":{{"#attributes":
        {{"Name":"P","Guid":"G"}}}},"EventID":{{"#attributes":{{"Qualifiers":""}},"#text":{id}}},
        "Version":5,"Correlation":null,"Execution":{{"#attributes":{{"ProcessID":3412}}}},
        "Channel":"{channel}","Computer":"ws1","Security":{{"#attributes":{{"UserID":"S"}}}}}},
        {data}}}}}"##
    )
}

#[test]
fn a_dumped_event_has_the_names_of_the_specification() {
    let data = r##""EventData":{"#attributes":{"Name":"N"},"Image":"i","Threat Name":"t",
        "Version":"theirs","Nothing":null,"Data":["a","b"]}"##;
    let read = of_file(&dumped("Microsoft-Windows-Sysmon/Operational", 1, data));
    for (name, value) in [
        ("Provider_Name", "P"),
        ("Provider_Guid", "G"),
        ("EventID", "1"),
        ("EventID_Qualifiers", ""),
        ("Version", "5"),
        ("EventData_Version", "theirs"),
        ("EventData_Name", "N"),
        ("Execution_ProcessID", "3412"),
        ("Security_UserID", "S"),
        ("Channel", "Microsoft-Windows-Sysmon/Operational"),
        ("Computer", "ws1"),
        ("Image", "i"),
        ("ThreatName", "t"),
        ("Nothing", "null"),
        ("Data", "a | b"),
        ("xmlns", ""),
        ("Correlation", ""),
    ] {
        assert_eq!(read.value(name), value, "{name}");
    }
    assert_eq!(read.message, "");
    assert_eq!(read.views, ["/windows/sysmon", "process_creation/windows/"]);
}

#[test]
fn user_data_and_named_data_elements_are_flat() {
    let data = r##""UserData":{"Op":{"#attributes":{"xmlns":"x"},"PossibleCause":"c","Id":"1"}}"##;
    let read = of_file(&dumped("Microsoft-Windows-WMI-Activity/Operational", 5861, data));
    assert_eq!((read.value("Id"), read.value("Destination")), ("1".into(), "c".into()));
    assert_eq!(read.views, ["/windows/wmi", "wmi_event/windows/"]);
    let data = r##""EventData":{"Data":[{"#attributes":{"Name":"Image"},"#text":"i"},
        {"#attributes":{"Name":"Command Line"},"#text":"c"},{"#text":"u"}]}"##;
    let read = of_file(&dumped("microsoft-windows-sysmon/operational", 5, data));
    assert_eq!(read.value("Image"), "i");
    assert_eq!(read.value("CommandLine"), "c");
    assert_eq!(read.value("Data"), "u");
}

#[test]
fn shippers_shapes_have_the_same_names() {
    let beat = r#"{"@timestamp":"2026-01-01T00:00:00Z","winlog":{"channel":"Security",
        "event_id":"4624","provider_name":"P","computer_name":"ws1","record_id":9,
        "event_data":{"TargetUserName":"ann","param1":"p"},"user_data":{"Cause":"c"}}}"#;
    let nxlog = r#"{"EventTime":"2026-01-01 00:00:00","Hostname":"ws1","EventID":4624,
        "Channel":"Security","SourceName":"P","RecordNumber":9,"TargetUserName":"ann",
        "Threat Name":"t"}"#;
    let shell = r#"{"Id":4624,"LogName":"Security","ProviderName":"P","MachineName":"ws1",
        "RecordId":9,"TargetUserName":"ann"}"#;
    for record in [beat, nxlog, shell] {
        let read = of_file(record);
        let names = ["EventID", "Channel", "Provider_Name", "Computer", "EventRecordID"];
        let values: Vec<String> = names.iter().map(|name| read.value(name)).collect();
        assert_eq!(values, ["4624", "Security", "P", "ws1", "9"], "{record}");
        assert_eq!(read.value("TargetUserName"), "ann");
        assert_eq!(read.views, ["/windows/security"]);
    }
    assert_eq!(of_file(beat).value("Data"), "p");
    assert_eq!(of_file(beat).value("Cause"), "c");
    assert_eq!(of_file(nxlog).value("ThreatName"), "t");
}

#[test]
fn a_registry_write_has_three_views() {
    let sysmon = |id, kind: &str| {
        let data = format!(r#""EventData":{{"EventType":"{kind}"}}"#);
        of_file(&dumped("Microsoft-Windows-Sysmon/Operational", id, &data)).views
    };
    assert_eq!(
        sysmon(13, "SetValue"),
        ["/windows/sysmon", "registry_event/windows/", "registry_set/windows/"]
    );
    assert_eq!(
        sysmon(12, "CreateKey"),
        ["/windows/sysmon", "registry_add/windows/", "registry_event/windows/"]
    );
    assert_eq!(
        sysmon(12, "DeleteValue"),
        ["/windows/sysmon", "registry_delete/windows/", "registry_event/windows/"]
    );
}

#[test]
fn the_audit_log_is_seen_through_sysmons_eyes_as_well() {
    let data = r#""EventData":{"NewProcessName":"C:\\x.exe","ParentProcessName":"C:\\p.exe",
        "NewProcessId":"0x1a","ProcessId":"0x10","SubjectUserName":"ann","CommandLine":"x -y",
        "MandatoryLabel":"S-1-16-12288"}"#;
    let read = of_file(&dumped("Security", 4688, data));
    assert_eq!(read.views, ["/windows/security", "process_creation/windows/"]);
    for (name, value) in [
        ("Image", r"C:\x.exe"),
        ("NewProcessName", r"C:\x.exe"),
        ("ParentImage", r"C:\p.exe"),
        ("ProcessId", "0x10 | 26"),
        ("ParentProcessId", "16"),
        ("User", "ann"),
        ("IntegrityLevel", "High"),
        ("CommandLine", "x -y"),
    ] {
        assert_eq!(read.value(name), value, "{name}");
    }
    let data = r#""EventData":{"ObjectName":"\\REGISTRY\\MACHINE\\SOFTWARE\\Run",
        "ObjectValueName":"v","OperationType":"%%1904","NewValueType":"%%1876","NewValue":"1",
        "ProcessName":"C:\\x.exe"}"#;
    let read = of_file(&dumped("Security", 4657, data));
    assert_eq!(read.value("TargetObject"), r"HKLM\SOFTWARE\Run\v");
    assert_eq!(read.value("Details"), "DWORD (0x00000001)");
    assert_eq!(read.value("EventType"), "SetValue");
    assert_eq!(read.value("Image"), r"C:\x.exe");
    assert_eq!(
        read.views,
        [
            "/windows/security",
            "registry_add/windows/",
            "registry_event/windows/",
            "registry_set/windows/"
        ]
    );
    let data = r#""EventData":{"Application":"\\device\\x.exe","Direction":"%%14593",
        "SourceAddress":"10.0.0.1","DestAddress":"192.0.2.1","DestPort":"443","Protocol":"6"}"#;
    let read = of_file(&dumped("Security", 5156, data));
    assert_eq!(read.value("Initiated"), "true");
    assert_eq!(read.value("DestinationPort"), "443");
    assert_eq!(read.value("Protocol"), "6 | tcp");
    let data = r#""EventData":{"Threat Name":"Trojan:X","Path":"C:\\x"}"#;
    let read = of_file(&dumped("Microsoft-Windows-Windows Defender/Operational", 1116, data));
    assert_eq!(read.value("Signature"), "Trojan:X");
    assert_eq!(read.views, ["/windows/windefend", "antivirus//"]);
}

#[test]
fn sysmon_for_linux_is_of_linux_and_an_unknown_channel_of_windows() {
    let data = r#""EventData":{"Image":"/bin/sh"}"#;
    let read = of_file(&dumped("Linux-Sysmon/Operational", 1, data));
    assert_eq!(read.views, ["/linux/sysmon", "process_creation/linux/"]);
    assert_eq!(of_file(&dumped("Nobody/Knows", 1, data)).views, ["/windows/"]);
}

#[test]
fn lines_of_text_are_of_linux_and_of_the_services_that_their_program_is() {
    let views = |record: &str| read("syslog", "10.0.0.1", record).views;
    assert_eq!(
        views("<38>Nov 22 13:38:00 web sshd[812]: Failed password for root"),
        ["/linux/", "/linux/auth", "/linux/sshd", "/linux/syslog"]
    );
    assert_eq!(
        views("<78>Nov 22 13:38:00 web CRON[812]: (root) CMD (x)"),
        ["/linux/", "/linux/cron", "/linux/syslog"]
    );
    assert_eq!(views("<134>Nov 22 13:38:00 web app: x"), ["/linux/", "/linux/syslog"]);
    let read = read("file", "/var/log/nginx/error.log", "2026/11/22 13:38:00 [alert] 1#1: worker");
    assert!(read.views.contains(&"//nginx".to_owned()), "{:?}", read.views);
    assert!(read.message.starts_with("2026/11/22"), "the whole record is searched");
}

#[test]
fn sudo_dns_and_firewall_lines_have_fields() {
    let read = |record: &str| read("syslog", "10.0.0.1", record);
    let sudo = read(
        "<85>Nov 22 13:38:00 web sudo: ann : 3 incorrect attempts ; TTY=pts/0 ; PWD=/x y ; \
         USER=#-1 ; COMMAND=/bin/sh -c a ; b",
    );
    let values = ["TTY", "PWD", "USER", "COMMAND"].map(|name| sudo.value(name));
    assert_eq!(values, ["pts/0", "/x y", "#-1", "/bin/sh -c a ; b"]);

    for (line, wanted) in [
        ("dnsmasq[1]: query[TXT] evil.example from 10.0.0.9", ["evil.example", "TXT", ""]),
        ("dnsmasq[1]: reply evil.example is 192.0.2.1", ["evil.example", "A", "192.0.2.1"]),
        (
            "named[1]: client @0x7f 10.0.0.9#53124 (evil.example): query: evil.example IN A +E(0)K \
             (10.0.0.2)",
            ["evil.example", "A", ""],
        ),
        ("unbound: [912:0] info: 10.0.0.9 evil.example. A IN", ["evil.example", "A", ""]),
    ] {
        let read = read(&format!("<30>Nov 22 13:38:00 ns {line}"));
        let values = ["query", "record_type", "answer"].map(|name| read.value(name));
        assert_eq!(values, wanted, "{line}");
        assert!(read.views.contains(&"dns//".to_owned()), "{line}: {:?}", read.views);
        assert!(read.views.contains(&"/linux/".to_owned()), "{line}");
    }
    for (label, action) in [("[UFW BLOCK] ", "block"), ("ACCEPT: ", "accept"), ("", "")] {
        let read = read(&format!(
            "<4>Nov 22 13:38:00 fw kernel: [ 12.345678] {label}IN=eth0 OUT= MAC=00:01 \
             SRC=192.0.2.7 DST=10.0.0.5 LEN=40 PROTO=TCP SPT=40000 DPT=23 WINDOW=1024"
        ));
        let values = ["src_ip", "dst_ip", "dst_port", "action"].map(|name| read.value(name));
        assert_eq!(values, ["192.0.2.7", "10.0.0.5", "23", action], "{label}");
        assert!(read.views.contains(&"firewall//".to_owned()), "{label}: {:?}", read.views);
    }
}

#[test]
fn devices_that_are_not_linux_are_not_taken_for_it() {
    let read = |record: &str| read("syslog", "10.0.0.1", record).views;
    assert_eq!(
        read("<189>29: *Nov 22 13:38:00: %SYS-5-CONFIG_I: Configured from console"),
        ["/cisco/aaa", "/cisco/syslog"]
    );
    assert_eq!(
        read(
            "<189>date=2026-11-22 time=13:38:00 devname=\"fw\" devid=\"FG1\" logid=\"0000000013\" \
             type=\"traffic\" subtype=\"forward\" srcip=10.0.0.1 dstip=192.0.2.1 dstport=21 \
             action=\"close\""
        ),
        ["/fortigate/traffic", "firewall//"]
    );
    assert!(read("<13>Nov 22 13:38:00 web app: 100%ABC and %PATH%").contains(&"/linux/".into()));
}

#[test]
fn what_is_written_into_the_registry_may_be_a_number() {
    let data = r#""EventData":{"ObjectName":"\\REGISTRY\\MACHINE\\x","NewValue":5}"#;
    assert_eq!(of_file(&dumped("Security", 4657, data)).value("Details"), "5");
}

#[test]
fn a_search_that_is_given_up_is_told_of_its_event() {
    let rule = "title: t\nlogsource: {product: linux}\ndetection:\n  s: {'|re': 'x(?!y)z$'}\n  \
                condition: s\n";
    let mut sigma = Sigma::new(&active(&[("r.yml".into(), rule.into())], Vec::new()));
    let mut all = batch("file", "/x", &["a short xz", &"x".repeat(100_000)]);
    sigma.detect(&mut all);
    let given_up = all.events.iter().map(|event| event.flags.has(Flags::SEARCH_GIVEN_UP));
    assert_eq!(given_up.collect::<Vec<_>>(), [false, true]);
    assert_eq!(all.hits, [(0, 0)]);
}

#[test]
fn firewalls_name_both_ends_and_what_they_did() {
    let names = ["src_ip", "src_port", "dst_ip", "dst_port", "protocol", "action"];
    for (line, wanted) in [
        (
            "%ASA-4-106023: Deny tcp src outside:192.0.2.7/5555 dst inside:10.0.0.1/22 by x",
            ["192.0.2.7", "5555", "10.0.0.1", "22", "tcp", "block"],
        ),
        (
            "%ASA-6-302013: Built outbound TCP connection 7 for outside:192.0.2.7/443 \
             (192.0.2.7/443) to inside:10.0.0.5/5555 (192.0.2.1/5555)",
            ["10.0.0.5", "5555", "192.0.2.7", "443", "TCP", "accept"],
        ),
        (
            "%ASA-6-302013: Built inbound TCP connection 7 for outside:192.0.2.7/4000 \
             (192.0.2.7/4000) to inside:10.0.0.5/22 (192.0.2.1/22)",
            ["192.0.2.7", "4000", "10.0.0.5", "22", "TCP", "accept"],
        ),
        (
            "%FTD-6-106100: access-list in denied udp outside/192.0.2.7(53) -> \
             inside/10.0.0.1(161) hit-cnt 1",
            ["192.0.2.7", "53", "10.0.0.1", "161", "udp", "block"],
        ),
        (
            "%ASA-2-106001: Inbound TCP connection denied from 192.0.2.7/5 to 10.0.0.1/23 flags SYN",
            ["192.0.2.7", "5", "10.0.0.1", "23", "TCP", "block"],
        ),
        (
            "filterlog[9]: 5,,,1000000103,igb0,match,block,in,4,0x0,,64,0,0,DF,6,tcp,60,192.0.2.7,\
             10.0.0.1,5555,22,0,S,1,,64240,,mss",
            ["192.0.2.7", "5555", "10.0.0.1", "22", "tcp", "block"],
        ),
        (
            "filterlog[9]: 5,,,1000000103,igb0,match,pass,in,6,0x00,0x0,255,udp,17,72,fe80::1,\
             ff02::fb,5353,5353,72",
            ["fe80::1", "5353", "ff02::fb", "5353", "udp", "accept"],
        ),
        (
            "1,2025/12/06 21:11:05,0123,TRAFFIC,end,1,2025/12/06 21:11:05,10.0.0.5,192.0.2.7,,,r,,,\
             ssl,vsys1,trust,untrust,e1,e2,fwd,2025/12/06 21:11:05,1,1,5555,443,0,0,0x0,tcp,allow,1",
            ["10.0.0.5", "5555", "192.0.2.7", "443", "tcp", "accept"],
        ),
    ] {
        let read = read("syslog", "10.0.0.1", &format!("<164>Nov 22 13:38:00 fw {line}"));
        assert_eq!(names.map(|name| read.value(name)), wanted, "{line}");
        assert!(read.views.contains(&"firewall//".to_owned()), "{line}: {:?}", read.views);
        assert!(!read.views.contains(&"/linux/".to_owned()), "{line}: {:?}", read.views);
    }
    let teardown = "<166>Nov 22 13:38:00 fw %ASA-6-302014: Teardown TCP connection 7 for \
                    outside:192.0.2.7/443 to inside:10.0.0.5/5555 duration 0:00:01";
    assert_eq!(read("syslog", "10.0.0.1", teardown).views, ["/cisco/syslog"]);
}

#[test]
fn what_iis_writes_is_of_a_web_server() {
    for server in ["10.0.0.1", "W3SVC1 10.0.0.1", "W3SVC1 WEB01 10.0.0.1"] {
        let read = of_file(&format!(
            "2025-12-06 21:11:05 {server} GET /a.aspx cmd=whoami 80 - 192.0.2.7 curl/8.0 - 200 0 0 15"
        ));
        assert_eq!(read.views, ["webserver//"], "{server}");
        for (name, value) in [
            ("cs-method", "GET"),
            ("cs-uri-stem", "/a.aspx"),
            ("cs-uri-query", "cmd=whoami"),
            ("c-ip", "192.0.2.7"),
            ("cs-user-agent", "curl/8.0"),
            ("sc-status", "200"),
            ("s-port", "80"),
        ] {
            assert_eq!(read.value(name), value, "{server}: {name}");
        }
    }
}

#[test]
fn access_logs_are_of_a_web_server_or_of_a_proxy() {
    let line = |request: &str| {
        format!(
            "10.0.0.9 - ann [22/Nov/2026:13:38:00 +0000] \"{request}\" 200 12 \"http://r/\" \"ua\""
        )
    };
    let web = of_file(&line("GET /a/b.php?x=1 HTTP/1.1"));
    assert_eq!(web.views, ["webserver//"]);
    for (name, value) in [
        ("cs-method", "GET"),
        ("cs-uri-query", "x=1 | /a/b.php?x=1"),
        ("cs-uri-stem", "/a/b.php"),
        ("c-uri", "/a/b.php?x=1"),
        ("c-uri-query", "x=1"),
        ("c-uri-extension", "php"),
        ("c-useragent", "ua"),
        ("cs-user-agent", "ua"),
        ("cs-referer", "http://r/"),
        ("sc-status", "200"),
        ("c-ip", "10.0.0.9"),
    ] {
        assert_eq!(web.value(name), value, "{name}");
    }
    let proxy = of_file(&line("GET http://u@evil.example:8080/x/y.exe?q=1 HTTP/1.1"));
    assert_eq!(proxy.views, ["proxy//"]);
    assert_eq!(proxy.value("cs-host"), "evil.example");
    assert_eq!(proxy.value("c-uri-extension"), "exe");
    let squid = read(
        "file",
        "/var/log/squid/access.log",
        "1066036250.603    310 10.0.0.9 TCP_MISS/200 5000 GET http://evil.example/a.exe ann \
         DIRECT/192.0.2.1 text/html",
    );
    assert_eq!(squid.views, ["proxy//"]);
    let values = ["c-uri", "cs-host", "cs-username", "sc-status", "dst_ip"];
    assert_eq!(
        values.map(|name| squid.value(name)),
        ["http://evil.example/a.exe", "evil.example", "ann", "200", "192.0.2.1"]
    );
}

#[test]
fn records_of_clouds_and_services_name_themselves() {
    for (record, wanted) in [
        (
            r#"{"eventSource":"iam.amazonaws.com","eventName":"CreateUser","awsRegion":"x"}"#,
            &["/aws/cloudtrail"][..],
        ),
        (
            r#"{"time":"t","resourceId":"/t","operationName":"o","category":"AuditLogs"}"#,
            &["/azure/auditlogs"],
        ),
        (
            r#"{"protoPayload":{"methodName":"m","serviceName":"login.googleapis.com"}}"#,
            &["/gcp/gcp.audit", "/gcp/google_workspace.login"],
        ),
        (
            r#"{"eventType":"e","uuid":"u","actor":{"alternateId":"a"},"outcome":{"result":"r"}}"#,
            &["/okta/okta"],
        ),
        (r#"{"action":"repo.create","actor":"a","_document_id":"d"}"#, &["/github/audit"]),
        (
            r#"{"Operation":"o","Workload":"Exchange","RecordType":1}"#,
            &["/m365/audit", "/m365/exchange"],
        ),
        (
            r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","verb":"get",
               "objectRef":{"resource":"secrets"}}"#,
            &["application/kubernetes/audit"],
        ),
        (
            r#"{"_path":"dns","ts":1.5,"query":"q","qtype_name":"A","id.orig_h":"10.0.0.1"}"#,
            &["/zeek/dns", "dns//"],
        ),
        (r#"{"event_type":"dns","flow_id":1,"dns":{"rrname":"q","rrtype":"A"}}"#, &["dns//"]),
        (r#"{"src_ip":"10.0.0.1","dst_port":21,"action":"accept"}"#, &["firewall//"]),
        (
            r#"{"SYSLOG_IDENTIFIER":"sshd","_HOSTNAME":"h","MESSAGE":"m"}"#,
            &["/linux/", "/linux/auth", "/linux/sshd", "/linux/syslog"],
        ),
        (r#"{"level":"info","message":"hello"}"#, &[]),
        ("CEF:0|Acme|FW|1|7|n|3|src=10.0.0.1 dst=10.0.0.2 dpt=23 act=allow", &["firewall//"]),
        (
            "type=EXECVE msg=audit(1364481363.243:1): argc=2 a0=\"sh\" a1=6C73202D6C",
            &["/linux/auditd"],
        ),
    ] {
        assert_eq!(of_file(record).views, wanted, "{record}");
    }
    let gcp = of_file(r#"{"protoPayload":{"methodName":"m","serviceName":"s"}}"#);
    assert_eq!(gcp.value("gcp.audit.method_name"), "m");
    let azure = of_file(
        r#"{"time":"t","resourceId":"/t","operationName":"o","category":"SignInLogs",
            "resultType":"50126","properties":{"userAgent":"ua","riskState":"atRisk"}}"#,
    );
    let values = ["ResultType", "userAgent", "RiskState", "properties.userAgent"];
    assert_eq!(values.map(|name| azure.value(name)), ["50126", "ua", "atRisk", "ua"]);
    let cef = of_file("CEF:0|Acme|FW|1|7|n|3|src=10.0.0.1 dst=10.0.0.2 dpt=23 act=allow");
    assert_eq!((cef.value("action"), cef.value("blocked")), ("accept".into(), "false".into()));
    let audit = of_file("type=EXECVE msg=audit(1364481363.243:1): argc=2 a0=\"sh\" a1=6C73202D6C");
    assert_eq!((audit.value("type"), audit.value("a1")), ("EXECVE".into(), "ls -l".into()));
}
