//! What `explain` says of rules.

use std::fs;

use serde_json::json;

use super::{day, folder, line, objects, said};

#[test]
fn a_line_is_explained_by_the_rules_that_match_or_come_near() {
    let dir = folder();
    let set = ["--set", "rules.dirs=[r]", "--set", "rules.builtin=false"];
    let explain = |line: &str| {
        let arguments = [&["explain", "--line", line][..], &set].concat();
        (objects(dir.path(), &arguments, 0).remove(0), said(dir.path(), &arguments, 0))
    };
    let (told, text) = explain(&line(0, "ann", "root", "/bin/bash"));
    let sigma = &told["sigma"];
    let views = sigma["views"].as_array().unwrap();
    assert!(views.iter().any(|view| view["product"] == "linux" && view["service"] == "sudo"));
    assert!(views.iter().all(|view| view["product"] == "linux"), "{views:?}");
    let fields = sigma["fields"].as_array().unwrap();
    assert!(fields.contains(&json!({"name": "COMMAND", "value": "/bin/bash"})), "{fields:?}");
    let stand_ins = sigma["stand_ins"].as_array().unwrap();
    let subject = json!({"names": ["SubjectUserName", "SourceUser"], "values": ["ann"]});
    assert!(stand_ins.contains(&subject), "{stand_ins:?}");
    assert!(text.contains("ann for SubjectUserName, SourceUser"), "{text}");
    assert_eq!(sigma["matched"][0]["title"], "Shell By Sudo");
    assert_eq!(sigma["matched"][0]["level"], "high");
    assert_eq!(sigma["matched"][0]["selections"][0]["items"][0]["values"], json!(["/bin/bash"]));
    assert_eq!(sigma["nearest"], json!([]));
    for part in ["linux/sudo", "Shell By Sudo", "selection `shell` holds: COMMAND|endswith has"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let (told, text) = explain(&line(0, "ann", "operator", "/bin/bash"));
    assert_eq!(told["sigma"]["matched"], json!([]));
    assert_eq!(told["sigma"]["nearest"][0]["title"], "Shell By Sudo");
    assert_eq!(told["sigma"]["nearest"][0]["failed"], json!(["calm"]));
    assert!(text.contains("selection `calm` holds: USER has `operator`"), "{text}");
    let bare = ["explain", "--line", "Failed password for root from 10.0.0.7 port 22 ssh2"];
    let (told, text) = (objects(dir.path(), &bare, 0).remove(0), said(dir.path(), &bare, 0));
    assert_eq!(told["sigma"]["nearest"][0]["failed"], json!(["logsource"]), "{told}");
    assert_eq!(told["sigma"]["nearest"][0]["selections"][0]["items"][0]["item"], "keywords");
    for part in ["none matches", "its log source fails: the record is not of `linux/sshd`"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let (_, text) = explain("\u{1b}[2Jverdict=refused from=10.0.0.1");
    assert!(text.contains("As rules read it"), "{text}");
}

#[test]
fn an_alert_of_a_rule_is_explained_by_its_selections_and_their_values() {
    let dir = folder();
    fs::write(dir.path().join("day.log"), day()).unwrap();
    let set = ["--set", "rules.dirs=[r]", "--set", "rules.builtin=false"];
    let replay = ["replay", "day.log", "--state", "kept", "--quiet"];
    said(dir.path(), &[&replay[..], &set].concat(), 0);
    let query = ["query", "alerts", "--state", "kept", "--rule", "shell by sudo"];
    let alerts = objects(dir.path(), &query, 0);
    let id = alerts[0]["id"].as_str().unwrap();
    let text = said(dir.path(), &["explain", id, "--state", "kept"], 0);
    for part in
        ["Shell By Sudo", "shell and not calm", "COMMAND|endswith has `/bin/zsh`", "T1548.003"]
    {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let told = &objects(dir.path(), &["explain", id, "--state", "kept"], 0)[0];
    assert_eq!(told["alert"]["matched"]["selections"][0]["name"], "shell");
    assert_eq!((&told["alert"]["score"], &told["alert"]["threshold"]), (&json!(0.8), &json!(0.2)));
    let rule = &alerts[0]["rule"].as_str().unwrap()[..8];
    let query = ["query", "alerts", "--state", "kept", "--rule", rule];
    assert_eq!(objects(dir.path(), &query, 0), alerts, "the beginning of its id finds a rule");
    assert!(said(dir.path(), &query[..4], 0).contains(&format!("rule {rule}")));
}
