//! Objects of journald say what the lines of syslog say that they stand for.

use serde_json::json;

use super::*;
use crate::extract::{self, Extractor};

/// `program pid facility severity message`, as a program hands it to syslog.
struct Said(&'static str, &'static str, u8, u8, &'static str);

const SAID: &[Said] = &[
    Said(
        "sudo",
        "",
        10,
        5,
        "  ann : TTY=pts/0 ; PWD=/root ; USER=root ; COMMAND=/bin/cat /etc/shadow",
    ),
    Said(
        "sudo",
        "912",
        10,
        5,
        "bob : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh -c 'echo \"\\x\"'",
    ),
    Said(
        "sshd",
        "812",
        4,
        6,
        "Failed password for invalid user admin from 203.0.113.9 port 4242 ssh2",
    ),
    Said(
        "su",
        "77",
        10,
        5,
        "pam_unix(su:auth): authentication failure; logname=ann uid=1000 euid=0 tty=pts/1 ruser=ann \
         rhost=10.0.0.4 user=root",
    ),
    Said("CRON", "4711", 9, 6, "(root) CMD (/usr/local/bin/backup.sh)"),
    Said(
        "kernel",
        "",
        0,
        4,
        "[UFW BLOCK] IN=eth0 OUT= SRC=198.51.100.3 DST=10.0.0.2 PROTO=TCP SPT=4000 DPT=23",
    ),
    Said("dnsmasq", "5", 3, 6, "query[A] evil.example from 10.0.0.4"),
    Said("shop", "9", 3, 3, "level=error msg=\"cannot \\\"open\\\" it\" src_ip=10.0.0.5 user=ann"),
    Said("shop", "9", 3, 4, "{\"level\":\"warn\",\"message\":\"odd\",\"src_ip\":\"10.0.0.9\"}"),
    Said(
        "audit",
        "",
        4,
        5,
        "type=EXECVE msg=audit(1795354680.000:1): argc=2 a0=\"sh\" a1=6C73202D6C",
    ),
    Said("rpd", "3", 3, 4, "bgp_recv: peer 10.0.0.7 said\nnothing\tmore"),
];

impl Said {
    fn line(&self) -> String {
        let Said(program, pid, facility, severity, message) = self;
        let pid = if pid.is_empty() { String::new() } else { format!("[{pid}]") };
        let priority = facility * 8 + severity;
        format!("<{priority}>Nov 22 13:38:00 web {program}{pid}: {message}")
    }

    /// The object, with further fields.
    fn object(&self, more: &[(&str, serde_json::Value)]) -> String {
        let Said(program, pid, facility, severity, message) = self;
        let mut object = json!({
            "__CURSOR": "s=1;i=2",
            "__REALTIME_TIMESTAMP": "1795354680000000",
            "_HOSTNAME": "web",
            "SYSLOG_IDENTIFIER": program,
            "SYSLOG_FACILITY": facility.to_string(),
            "PRIORITY": severity.to_string(),
            "MESSAGE": message,
        });
        if !pid.is_empty() {
            object["_PID"] = json!(pid);
        }
        for (name, value) in more {
            object[*name] = value.clone();
        }
        object.to_string()
    }
}

/// All that an event says but its fields, and what it is about.
fn about(record: &str) -> (String, Vec<String>) {
    let mut batch = batch("file", "/tmp/x.log", &["before", record, "after x=1 y=2"]);
    let options = extract::Options {
        max_entities: extract::MAX_ENTITIES,
        scan_bytes: extract::SCAN_BYTES,
        id_cache_slots: 0,
    };
    Extractor::new(options).extract(&mut batch);
    let event = &batch.events[1];
    let named = [event.host, event.app, event.procid, event.message].map(|text| batch.text(text));
    let entities = batch.entities(event).iter();
    let entities = entities
        .map(|one| format!("{:?} {:?} {}", one.kind, one.role, batch.text(one.value)))
        .collect();
    let Event { time, severity, facility, format, .. } = event;
    (format!("{time} {severity:?} {facility:?} {format:?} {named:?}"), entities)
}

/// An object says what a line says, and perhaps more about the process.
#[track_caller]
fn says_the_same(object: &str, line: &str) {
    let ((wanted, entities), (got, found)) = (about(line), about(object));
    assert_eq!(got, wanted, "{object}");
    for entity in &entities {
        assert!(found.contains(entity), "{object}: {entity} is not in {found:?}");
    }
    let (wanted, got) = (of_file(line), of_file(object));
    assert_eq!(got.views, wanted.views, "{object}");
    for field in &wanted.fields {
        assert!(got.fields.contains(field), "{object}: {field:?} is not in {:?}", got.fields);
    }
}

#[test]
fn an_object_of_journald_says_what_its_line_says() {
    for said in SAID {
        let (object, line) = (said.object(&[]), said.line());
        says_the_same(&object, &line);
        assert_eq!(about(&object).1, about(&line).1, "no more entities than those of the line");
    }
    let shell = of_file(&SAID[1].object(&[]));
    let names = ["SUDO_USER", "USER", "COMMAND"];
    let values = ["bob", "root", "/bin/sh -c 'echo \"\\x\"'"];
    assert_eq!(names.map(|name| shell.value(name)), values);
    assert_eq!(shell.views, ["/linux/", "/linux/auth", "/linux/sudo", "/linux/syslog"]);
    assert_eq!(shell.value("SYSLOG_IDENTIFIER"), "sudo", "its own fields are there as well");
}

#[test]
fn what_journald_knows_of_the_process_is_there_as_well() {
    let more = [
        ("_COMM", json!("sudo")),
        ("_EXE", json!("/usr/bin/sudo")),
        ("_CMDLINE", json!("sudo cat /etc/shadow")),
        ("_UID", json!("0")),
        ("_PID", json!("700")),
        ("SYSLOG_PID", json!("912")),
        ("_SYSTEMD_UNIT", json!("session-3.scope")),
        ("_TRANSPORT", json!("syslog")),
    ];
    for said in SAID.iter().filter(|said| said.0 == "sudo" && said.1 == "912") {
        says_the_same(&said.object(&more), &said.line());
    }
    let read = of_file(&SAID[0].object(&more));
    assert_eq!((read.value("_EXE"), read.value("_UID")), ("/usr/bin/sudo".into(), "0".into()));
    // A program that names itself nothing has the name of its process.
    for said in SAID.iter().filter(|said| said.0 == "sshd") {
        let nameless = [("SYSLOG_IDENTIFIER", json!(null)), ("_COMM", json!("sshd"))];
        says_the_same(&said.object(&nameless), &said.line());
    }
}

#[test]
fn a_control_character_does_not_hide_a_line() {
    let Said(program, pid, facility, severity, _) = SAID[2];
    let message = "Failed password for invalid user ad\u{1b}[2Jmin from 203.0.113.9 port 1 ssh2";
    let said = Said(program, pid, facility, severity, message);
    let octets: Vec<u8> = message.bytes().collect();
    says_the_same(&said.object(&[("MESSAGE", json!(octets))]), &said.line());
    // Longer than a record may have fields.
    let octets: Vec<u8> = [b"x\xff ".repeat(1_000), message.into()].concat();
    let (told, _) = about(&said.object(&[("MESSAGE", json!(octets))]));
    assert!(told.contains("x\u{fffd} x") && told.contains("min from 203.0.113.9"), "{told}");
    for numbers in [json!([1, 256]), json!([]), json!([1, [2]])] {
        let read = of_file(&said.object(&[("MESSAGE", numbers.clone())]));
        assert_eq!(read.views, [""; 0], "{numbers} is no message");
    }
}

#[test]
fn whoever_passes_it_on_is_not_the_one_who_said_it() {
    let said = &SAID[2];
    let wrapped = format!("<13>Nov 22 14:00:00 relay journal-upload[1]: {}", said.object(&[]));
    says_the_same(&wrapped, &said.line());
    let cee = format!("<13>Nov 22 14:00:00 relay forward: @cee: {}", said.object(&[]));
    says_the_same(&cee, &said.line());
    // An object within an object is a message in JSON, and so on, and no more than that.
    let inner = said.object(&[]);
    let outer = SAID[8].object(&[("MESSAGE", json!(inner))]);
    assert!(about(&outer).0.contains("Json"), "{:?}", about(&outer));
    let deep = (0..12).fold(inner, |inner, _| json!({"MESSAGE": inner, "_COMM": "x"}).to_string());
    about(&deep);
}
