//! Pipelines of a user.

use super::*;

const EDGE: &str = "
name: edge
match: {format: [json, keyvalue], app: 'edge*', fields: {verdict: [drop, pass]}}
only: true
logsources:
  - category: firewall
  - {product: edge, service: vpn, when: {tunnel: '*'}}
fields:
  from: [src_ip, c-ip]
  port: {to: dst_port, convert: decimal}
  verdict: {to: action, map: {DROP: block}}
  key: {to: TargetObject, convert: registry}
  name: {to: big, convert: upper}
strip: [inner.]
";

fn edge(record: &str) -> Read {
    read_with(EDGE, "file", "x.log", record)
}

#[test]
fn a_pipeline_adds_views_names_and_converted_values() {
    let record = r#"{"app":"edged","verdict":"drop","from":"10.0.0.1","port":"0x16","name":"ä",
        "key":"\\Registry\\User\\S-1","inner":{"x":"1"}}"#;
    let read = edge(record);
    assert_eq!(read.views, ["firewall//"]);
    for (name, value) in [
        ("src_ip", "10.0.0.1"),
        ("c-ip", "10.0.0.1"),
        ("from", "10.0.0.1"),
        ("dst_port", "22"),
        ("action", "block"),
        ("TargetObject", r"HKU\S-1"),
        ("big", "Ä"),
        ("x", "1"),
    ] {
        assert_eq!(read.value(name), value, "{name}");
    }
    let pass = edge("app=edged verdict=pass port=22 tunnel=t1");
    assert_eq!(pass.views, ["/edge/vpn", "firewall//"], "and not Linux: `only`");
    assert_eq!((pass.value("action"), pass.value("dst_port")), ("pass".into(), "22".into()));
    assert_eq!(edge("app=edged verdict=other a=1").views, ["/linux/", "/linux/syslog"]);
    assert_eq!(edge("app=core verdict=drop a=1").views, ["/linux/", "/linux/syslog"]);
}

#[test]
fn a_source_may_say_what_its_lines_are() {
    let spring = "name: s\nmatch: {source: 'file:*/spring/*'}\nonly: true\n\
                  logsources: [{category: application, product: spring}]\n";
    let views = |source| read_with(spring, "file", source, "hello").views;
    assert_eq!(views("/opt/spring/a.log"), ["application/spring/"]);
    assert_eq!(views("/opt/other/a.log"), ["/linux/"]);
}

#[test]
fn what_is_wrong_with_a_pipeline_has_a_place_and_costs_nobody_else() {
    let said = |text: &str| {
        let (good, said) = parse("p.yaml", text.as_bytes());
        let said: Vec<String> = said.iter().map(ToString::to_string).collect();
        (good.len(), said.join("; "))
    };
    let good = "name: a\nlogsources: [{category: dns}]\n";
    for (bad, wanted) in [
        (
            "name: b\nlogsource: x\n",
            "p.yaml:5:1: error: unknown key `logsource`; there are name, match, logsources, \
             fields, strip, programs, only\n  hint: did you mean `logsources`?",
        ),
        (
            "name: b\nmatch:\n  format: [json, jsn]\n",
            "p.yaml:6:18: error: `jsn` is no format; there are plain, json, windows, keyvalue, \
             access, audit, cef\n  hint: did you mean `json`?",
        ),
        (
            "name: b\nfields:\n  a: {to: b, convert: hex}\n",
            "p.yaml:6:23: error: `hex` is no conversion; there are decimal, lower, upper, registry",
        ),
        (
            "name: b\nfields:\n  a: {}\n",
            "p.yaml:6:6: error: say what `a` is called, as in `to: Image`",
        ),
        (
            "name: b\n",
            "p.yaml:4:1: error: a pipeline must have `logsources` or `fields`, or it does nothing",
        ),
        ("logsources: [{category: a}]\n", "p.yaml:4:1: error: a pipeline must have a `name`"),
        ("name: b\nonly: 1\n", "p.yaml:5:7: error: `only` must be `true` or `false`, not a number"),
        ("name: [b\n", "not YAML"),
        ("- x\n", "p.yaml:4:1: error: a pipeline must be a mapping, not a list"),
    ] {
        let (count, message) = said(&format!("{good}---\n{bad}"));
        assert_eq!(count, 1, "{bad}");
        assert!(message.starts_with("p.yaml:") && message.contains(wanted), "{bad}: {message}");
    }
    assert_eq!(parse("p.yaml", b"\xff").1.len(), 1);
}

#[test]
fn the_examples_are_right_and_do_what_they_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/pipelines");
    let file = |name: &str| std::fs::read_to_string(format!("{path}/{name}")).unwrap();
    let record = r#"{"event":{"category":["process"],"type":["start"]},
        "host":{"os":{"type":"linux"}},"process":{"executable":"/bin/sh",
        "command_line":"sh -c x","parent":{"executable":"/sbin/init"}},"user":{"name":"ann"}}"#;
    let ecs = read_with(&file("ecs-endpoint.yaml"), "file", "x", record);
    assert_eq!(ecs.views, ["process_creation/linux/"]);
    let values = ["Image", "CommandLine", "ParentImage", "User"].map(|name| ecs.value(name));
    assert_eq!(values, ["/bin/sh", "sh -c x", "/sbin/init", "ann"]);
    let applications = file("applications.yaml");
    let line = "<14>Nov 22 13:38:00 web gunicorn[7]: SuspiciousOperation";
    let django = read_with(&applications, "syslog", "x", line);
    assert_eq!(django.views, ["application/django/", "application/python/"]);
    let line = r#"{"app":"edged","verdict":"drop","to_port":"0x16","to":"10.0.0.1"}"#;
    let edge = read_with(&applications, "file", "x", line);
    let values = ["dst_port", "action", "blocked"].map(|name| edge.value(name));
    assert_eq!(values, ["22", "block", "true"]);
}
