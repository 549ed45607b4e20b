//! The cases of the specification.

use super::*;

#[test]
fn every_case_of_the_specification_is_as_expected() {
    let Some(path) = shared::shared("spec_cases.json") else { return };
    let cases = std::fs::read_to_string(path).expect("readable");
    let cases: Vec<serde_json::Value> = serde_json::from_str(&cases).expect("JSON");
    let mut wrong = Vec::new();
    for case in &cases {
        // JSON is YAML.
        let text = serde_json::json!({
            "title": case["name"], "logsource": {"product": "any"}, "detection": case["detection"],
        });
        let (set, report) = compile(&[&text.to_string()]);
        let name = case["name"].as_str().expect("a name");
        if set.len() != 1 {
            wrong.push(format!("{name}: refused: {:?}", report.diagnostics));
            continue;
        }
        let expected = case["expected"].as_bool().expect("a verdict");
        if matches(&set, &case["event"], "") != expected {
            wrong.push(format!("{name}: not {expected}"));
        }
    }
    assert!(cases.len() >= 114);
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
