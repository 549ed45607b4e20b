//! Fields that records do not have and say in other words.

use super::*;
use crate::extract::{self, Extractor};

/// The values of `fields`, as rules that ask for them in `logsource` read them of a record.
fn asked<const N: usize>(logsource: &str, record: &str, fields: [&str; N]) -> [String; N] {
    let items: Vec<String> = fields.iter().map(|field| format!("'{field}': x")).collect();
    let rule = format!(
        "title: r\nlogsource: {{{logsource}}}\ndetection: {{a: {{{}}}, condition: a}}\n",
        items.join(", ")
    );
    let active = active(&[("r.yml".to_owned(), rule.into_bytes())], Vec::new());
    assert_eq!(active.rules.len(), 1);
    let mut batch = batch("syslog", "10.0.0.1", &["before", record, "after x=1"]);
    Extractor::new(OPTIONS).extract(&mut batch);
    let mut sigma = Sigma::new(&active);
    let read = sigma.record(&batch, &batch.events[1]);
    let mut digits = String::new();
    fields.map(|name| {
        let own = read.fields().iter().filter(|field| field.name == name);
        let own = own.map(|field| field.value.text(&mut digits).unwrap_or("null").to_owned());
        own.collect::<Vec<_>>().join(" | ")
    })
}

const OPTIONS: extract::Options = extract::Options {
    max_entities: extract::MAX_ENTITIES,
    scan_bytes: extract::SCAN_BYTES,
    id_cache_slots: 4,
};

const SSHD: &str = "product: linux, service: sshd";

#[test]
fn a_line_says_whom_from_where_and_on_which_host() {
    let line = "<38>Nov 22 10:00:00 bastion sshd[1]: Failed password for root from 203.0.113.66 \
                port 22 ssh2";
    assert_eq!(
        asked(SSHD, line, ["User", "SourceIp", "HostName", "TargetUserName", "IpAddress"]),
        ["root", "203.0.113.66", "bastion", "root", "203.0.113.66"]
    );
    assert_eq!(
        asked(SSHD, line, ["SubjectUserName", "DestinationIp", "Workstation", "CommandLine"]),
        ["", "", "", ""],
        "nobody did it, it went nowhere, and it is no command"
    );
    let su = "<86>Nov 22 10:00:00 web su[7]: pam_unix(su:session): session opened for user \
              root(uid=0) by ann(uid=1000)";
    assert_eq!(
        asked("product: linux", su, ["TargetUser", "SubjectUserName", "SourceUser"]),
        ["root", "ann", "ann"]
    );
}

#[test]
fn commands_are_those_of_sudo_cron_and_audit() {
    let sudo = "<85>Nov 22 10:00:00 web sudo: ann : TTY=pts/0 ; PWD=/ ; USER=root ; \
                COMMAND=/bin/cat /etc/shadow";
    assert_eq!(
        asked(
            "product: linux, service: sudo",
            sudo,
            ["CommandLine", "Image", "SubjectUserName", "TargetUserName", "COMMAND"]
        ),
        ["/bin/cat /etc/shadow", "/bin/cat", "ann", "root", "/bin/cat /etc/shadow"]
    );
    let cron = "<78>Nov 22 10:00:00 web CRON[9]: (root) CMD (   cd / && run-parts (x) /etc/cron.d)";
    assert_eq!(
        asked("product: linux, service: cron", cron, ["CommandLine", "User", "Image"]),
        ["cd / && run-parts (x) /etc/cron.d", "root", "cd"]
    );
    let auditd = "product: linux, service: auditd";
    let audit = |record| asked(auditd, record, ["CommandLine", "Image", "SourceAddress"]);
    assert_eq!(
        audit("type=EXECVE msg=audit(1364481363.243:1): argc=3 a0=\"nc\" a1=\"-lvp\" a2=34343434"),
        ["nc -lvp 4444", "nc", ""]
    );
    assert_eq!(
        audit("type=PROCTITLE msg=audit(1364481363.243:1): proctitle=6C73002D6C"),
        ["ls -l", "", ""]
    );
    let login = "type=USER_LOGIN msg=audit(1364481363.243:1): pid=1 uid=0 auid=0 ses=1 \
                 msg='op=login acct=\"ann\" exe=\"/usr/sbin/sshd\" hostname=gw.example.com \
                 addr=203.0.113.9 terminal=sshd res=failed'";
    assert_eq!(audit(login), ["", "/usr/sbin/sshd", "203.0.113.9"]);
    assert_eq!(
        asked(auditd, login, ["TargetUserName", "SourceHostname", "DestinationHostname"]),
        ["ann", "gw.example.com", ""]
    );
}

#[test]
fn a_records_own_values_come_first_and_windows_keeps_its_names() {
    let own = r#"{"eventSource":"x","eventName":"y","awsRegion":"z","sourceIPAddress":"192.0.2.1",
        "User":"own","userIdentity":{"userName":"ann"}}"#;
    let cloud = "product: aws, service: cloudtrail";
    assert_eq!(asked(cloud, own, ["User", "SourceIp"]), ["own", "192.0.2.1"]);
    let login =
        dumped("Security", 4624, r#""EventData":{"TargetUserName":"ann","IpAddress":"::1"}"#);
    assert_eq!(
        asked("product: windows", &login, ["User", "SourceIp", "EventId", "TargetUserName"]),
        ["", "", "4624", "ann"]
    );
    let hashes = r#""EventData":{"Image":"i","Hashes":"SHA1=aa,MD5=bb,SHA256=cc,IMPHASH=dd"}"#;
    let start = dumped("Microsoft-Windows-Sysmon/Operational", 1, hashes);
    assert_eq!(
        asked("category: process_creation", &start, ["md5", "sha256", "Imphash", "FileHash"]),
        ["bb", "cc", "dd", "aa | bb | cc | dd"]
    );
}

#[test]
fn nothing_is_yielded_that_no_rule_for_the_records_log_source_asks() {
    let rule = "title: r\nlogsource: {product: windows, category: process_creation}\n\
                detection: {a: {User: x, CommandLine: y}, condition: a}\n";
    let active = active(&[("r.yml".to_owned(), rule.as_bytes().to_vec())], Vec::new());
    let line =
        "<85>Nov 22 10:00:00 web sudo: ann : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/id";
    let mut batch = batch("syslog", "10.0.0.1", &[line]);
    Extractor::new(OPTIONS).extract(&mut batch);
    let mut sigma = Sigma::new(&active);
    let read = sigma.record(&batch, &batch.events[0]);
    assert!(read.fields().iter().all(|field| !["User", "CommandLine"].contains(&field.name)));
}

#[test]
fn lint_knows_what_stands_in() {
    let doubted = |logsource: &str, fields: &str| {
        let rule = format!(
            "title: r\nlogsource: {{{logsource}}}\ndetection: {{a: {{{fields}}}, condition: a}}\n"
        );
        let parsed = sigma::parse("r.yml", rule.as_bytes());
        let options = sigma::Options { placeholders: BTreeMap::new() };
        let (set, _) = RuleSet::compile(vec![parsed], &options);
        let missing = Known::new(&[]).missing(&set.rules()[0]);
        missing.into_iter().map(|one| one.field).collect::<Vec<_>>()
    };
    assert_eq!(doubted(SSHD, "User: x, SourceIp: y, HostName: z"), [""; 0]);
    assert_eq!(doubted(SSHD, "CommandLine: x"), ["CommandLine"]);
    assert_eq!(doubted("product: linux, service: sudo", "CommandLine: x, Image: y"), [""; 0]);
    let sysmon = "product: windows, category: process_creation";
    assert_eq!(doubted(sysmon, "md5: x, EventId: 1, SourceIp: y"), ["SourceIp"]);
}
