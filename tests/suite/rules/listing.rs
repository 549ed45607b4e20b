//! `rules list`, `show` and `coverage`.

use std::fs;

use serde_json::{Value, json};

use super::{SUDO, folder, objects, run, said};

#[test]
fn rules_are_listed_by_level_tag_product_and_kind() {
    let dir = folder();
    let titles = |arguments: &[&str]| -> Vec<String> {
        let arguments = [&["rules", "list", "r"], arguments].concat();
        let found = objects(dir.path(), &arguments, 0);
        found.iter().map(|rule| rule["title"].as_str().unwrap().to_owned()).collect()
    };
    let all = ["Many Refused Logins", "Refused Login", "Shell By Sudo"];
    assert_eq!(titles(&[]), all);
    assert_eq!(titles(&["--level", "high"]), [all[0], all[2]]);
    assert_eq!(titles(&["--tag", "t1110"]), [all[0], all[1]]);
    assert_eq!(titles(&["--tag", "credential_access"]), [all[0]]);
    assert_eq!(titles(&["--product", "LINUX"]), all);
    assert_eq!(titles(&["--product", "windows"]), [""; 0]);
    assert_eq!(titles(&["--kind", "correlation"]), [all[0]]);
    assert_eq!(titles(&["--grep", "sudo.yml"]), [all[2]]);
    let rule = &objects(dir.path(), &["rules", "list", "r/sudo.yml"], 0)[0];
    assert_eq!(rule["id"], "1c6e62a2-2f39-4a0e-9f5b-7d0b5a3a9f11");
    assert_eq!(rule["techniques"], json!(["T1548.003"]));
    assert_eq!(rule["logsource"]["service"], "sudo");
    assert_eq!((&rule["file"], &rule["line"]), (&json!("r/sudo.yml"), &json!(1)));
    let text = said(dir.path(), &["rules", "list", "r", "--kind", "rule"], 0);
    assert_eq!(text.lines().count(), 2);
    for part in ["high", "Shell By Sudo", "linux/sudo", "r/sudo.yml:1"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let bundled = objects(dir.path(), &["rules", "list"], 0);
    assert!(bundled.len() >= seerflow_dataflow::rules::BUILTIN.len());
    let configured =
        objects(dir.path(), &["rules", "list", "--set", "rules.dirs=[r]", "--grep", "Shell By"], 0);
    assert_eq!(configured.len(), 1);
    let output = run(dir.path(), &["rules", "list", "r", "--grep", "no such thing"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    assert_eq!(output.stderr, b"nothing found\n");
}

#[test]
fn a_rule_is_shown_by_any_of_its_names() {
    let dir = folder();
    let set = ["--set", "rules.dirs=[r]", "--set", "rules.builtin=false"];
    let show = |name: &str| objects(dir.path(), &[&["rules", "show", name][..], &set].concat(), 0);
    let by_id = show("1c6e62a2-2f39-4a0e-9f5b-7d0b5a3a9f11");
    assert_eq!(by_id.len(), 1);
    for name in ["1c6e62a2", "shell by sudo", "SHELL BY", "sudo.yml", "sudo"] {
        assert_eq!(show(name), by_id, "{name}");
    }
    let rule = &by_id[0];
    assert_eq!(rule["condition"], "shell and not calm");
    assert_eq!(rule["fields"], json!(["COMMAND", "USER"]));
    assert_eq!(rule["selections"][0]["items"][0]["item"], "COMMAND|endswith");
    assert_eq!(rule["selections"][1]["line"], 12);
    assert_eq!(rule["text"].as_str().unwrap(), SUDO);
    assert_eq!(rule["views"][0]["logsource"]["service"], "sudo");
    let parts = show("r/deep/many.yml");
    assert_eq!(parts.len(), 2, "both rules of the file");
    assert_eq!(parts[0]["type"], "event_count");
    assert_eq!(parts[0]["rules"][0]["title"], "Refused Login");
    assert_eq!((&parts[0]["timespan_s"], &parts[0]["group_by"]), (&json!(600.0), &json!(["from"])));
    assert!(parts[0]["text"].as_str().unwrap().ends_with("{gte: 5}\n"));
    assert!(parts[1]["text"].as_str().unwrap().starts_with("title: Refused Login"));
    assert_eq!((&parts[0]["alerts"], &parts[1]["alerts"]), (&Value::Null, &json!(false)));
    let text = said(dir.path(), &["rules", "show", "r/sudo.yml"], 0);
    for part in ["Log source", "linux/sudo", "shell", "COMMAND|endswith (2)", "T1548.003"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let text = said(dir.path(), &["rules", "show", "r/deep/many.yml"], 0);
    assert!(text.contains("event_count >= 5") && text.contains("10 min"), "{text}");

    let output = run(dir.path(), &["rules", "show", "nothing of the kind"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(66), 0));
    let output = run(dir.path(), &[&["rules", "show", "log"][..], &set].concat());
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("error: `log` means 2 rules\n  hint: `"), "{said}");
}

#[test]
fn coverage_counts_rules_by_tactic_and_technique_and_makes_a_layer() {
    let dir = folder();
    let found = &objects(dir.path(), &["rules", "coverage", "r"], 0)[0];
    assert_eq!((&found["rules"], &found["untagged"]), (&json!(3), &json!(0)));
    let tactics = found["tactics"].as_array().unwrap();
    let names: Vec<&Value> = tactics.iter().map(|tactic| &tactic["tactic"]).collect();
    assert_eq!(names, [&json!("privilege-escalation"), &json!("credential-access"), &Value::Null]);
    let technique = &tactics[1]["techniques"][0];
    assert_eq!((&technique["technique"], &technique["rules"]), (&json!("T1110.003"), &json!(1)));
    assert_eq!(technique["levels"], json!({"critical": 1}));
    let text = said(dir.path(), &["rules", "coverage", "r", "--navigator", "layer.json"], 0);
    assert!(text.contains("3 rules: 2 of 15 tactics, 3 techniques; 0 without"), "{text}");
    let layer: Value =
        serde_json::from_slice(&fs::read(dir.path().join("layer.json")).unwrap()).unwrap();
    assert_eq!(layer["versions"]["layer"], "4.5");
    assert_eq!(layer["domain"], "enterprise-attack");
    let techniques = layer["techniques"].as_array().unwrap();
    let of = |id: &str| techniques.iter().find(|one| one["techniqueID"] == id).unwrap();
    assert_eq!((&of("T1110.003")["score"], &of("T1110")["score"]), (&json!(1), &json!(1)));
    assert_eq!(of("T1110")["comment"], "Refused Login");
    assert_eq!(of("T1548")["score"], Value::Null, "a parent without rules of its own");
    let printed = said(dir.path(), &["rules", "coverage", "r", "--navigator", "-"], 0);
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), layer);
    let high = &objects(dir.path(), &["rules", "coverage", "r", "--level", "high"], 0)[0];
    assert_eq!(high["rules"], 2);
}
