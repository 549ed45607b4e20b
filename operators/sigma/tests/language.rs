//! What detections mean, case by case.

use serde_json::json;

use super::*;

/// `detects` a selection called `s`, given by its items at four blanks.
fn selects(items: &str, event: serde_json::Value) -> bool {
    detects(&format!("  s:\n{items}\n  condition: s"), &event)
}

fn refusal(items: &str) -> Diagnostic {
    let (set, report) = compile(&[&rule_text(&format!("  s:\n{items}\n  condition: s"))]);
    assert_eq!(set.len(), 0, "{items}");
    let errors = report.diagnostics.into_iter().filter(|said| said.gravity == Gravity::Error);
    let errors: Vec<Diagnostic> = errors.collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.into_iter().next().expect("just counted")
}

#[test]
fn numbers_and_texts_are_alike() {
    for rule in ["4625", "'4625'"] {
        for event in [json!({"A": 4625}), json!({"A": "4625"}), json!({"A": 4625.0})] {
            assert!(selects(&format!("    A: {rule}"), event));
        }
        assert!(!selects(&format!("    A: {rule}"), json!({"A": "46250"})));
    }
    assert!(selects("    A: 1.10", json!({"A": "1.10"})));
    assert!(
        selects("    A: 0x1F", json!({"A": 31})) && selects("    A: 0x1F", json!({"A": "0x1f"}))
    );
    assert!(selects("    A: 00000429", json!({"A": "00000429"})));
    assert!(!selects("    A: 00000429", json!({"A": 429})));
    assert!(selects("    A|contains: 62", json!({"A": 4625})));
    assert!(
        selects("    A: yes", json!({"A": "YES"})) && !selects("    A: yes", json!({"A": true}))
    );
    assert!(
        selects("    A: true", json!({"A": "True"}))
            && selects("    A: 'true'", json!({"A": true}))
    );
}

#[test]
fn null_is_missing_or_null_and_never_empty() {
    assert!(selects("    A: null", json!({})) && selects("    A: null", json!({"A": null})));
    assert!(!selects("    A: null", json!({"A": ""})) && !selects("    A: null", json!({"A": 0})));
    assert!(!selects("    A: null", json!({"A": {"b": 1}})));
    assert!(selects("    A: ''", json!({"A": ""})) && !selects("    A: ''", json!({})));
    assert!(selects("    A|exists: true", json!({"A": {"b": 1}})));
    assert!(selects("    A: []", json!({})));
    assert!(selects("    A: '*'", json!({"A": ""})) && !selects("    A: '*'", json!({"A": null})));
    let idiom = "  s: {E: 1}\n  f: {A: null}\n  condition: s and not f";
    assert!(detects(idiom, &json!({"E": 1, "A": "x"})) && !detects(idiom, &json!({"E": 1})));
    assert!(detects("  f: {A: null}\n  condition: not f", &json!({"A": "x"})));
}

#[test]
fn letters_of_every_script_fold() {
    for (rule, event) in [("MÜLL", "xmüllx"), ("Привет", "ПРИВЕТ!"), ("ς", "ΣΑΣ"), ("ſ", "S")]
    {
        assert!(selects(&format!("    A|contains: '{rule}'"), json!({"A": event})), "{rule}");
    }
    assert!(
        selects("    A: 'a?c'", json!({"A": "aéc"}))
            && !selects("    A: 'a?c'", json!({"A": "ac"}))
    );
    assert!(selects("    A|contains: 'е'", json!({"A": "homoglyph е here"})));
    assert!(!selects("    A|contains: 'е'", json!({"A": "homoglyph e here"})));
}

#[test]
fn short_texts_are_found_too() {
    for (item, yes, no) in [
        ("A|contains: '|'", "a|b", "ab"),
        ("A|contains: ' -'", "x -y", "x-y"),
        ("A|startswith: '-'", "-x", "x-"),
        ("A|endswith: '$'", "host$", "$host"),
        ("A|contains: abc", "xabc", "xab"),
        ("A|endswith: abc", "xabc", "abcx"),
        ("A|startswith: abc", "abcx", "xabc"),
        ("A: abc", "ABC", "abcd"),
    ] {
        assert!(selects(&format!("    {item}"), json!({"A": yes})), "{item}");
        assert!(!selects(&format!("    {item}"), json!({"A": no})), "{item}");
    }
}

#[test]
fn modifiers_work_from_left_to_right() {
    assert!(selects("    A|endswith: 'a*b'", json!({"A": "xxaYYb"})));
    assert!(!selects("    A|endswith: 'a*b'", json!({"A": "xxaYYbz"})));
    assert!(selects("    A|all|contains: [x, y]", json!({"A": "yx"})));
    assert!(selects("    A|re|i: 'f[o]+'", json!({"A": "xFOOx"})));
    assert!(!selects("    A|re: 'f[o]+'", json!({"A": "xFOOx"})));
    assert!(selects("    A|re|startswith: 'b+'", json!({"A": "bbc"})));
    assert!(!selects("    A|re|startswith: 'b+'", json!({"A": "abbc"})));
    assert!(selects("    A|re: '^(?!.*evil).*x'", json!({"A": "good x"})));
    assert!(!selects("    A|re: '^(?!.*evil).*x'", json!({"A": "evil x"})));
    assert!(selects("    A|contains|cased: Bar", json!({"A": "fooBarbaz"})));
    assert!(!selects("    A|contains|cased: Bar", json!({"A": "foobarbaz"})));
    assert!(selects("    A|cidr: [10.0.0.0/8, 'fe80::/10']", json!({"A": "fe80::1"})));
    assert!(selects("    A|wide|base64offset|contains: evil", json!({"A": "ZQB2AGkAbAA="})));
    assert!(!selects("    A|base64|contains: evil", json!({"A": "ZXZPBA=="})));
    assert!(
        selects("    A|neq: [x, y]", json!({})) && !selects("    A|neq: [x, y]", json!({"A": "y"}))
    );
    assert!(
        selects("    A|gte: 5", json!({"A": "5.0"})) && !selects("    A|gt: 5", json!({"A": 5}))
    );
    assert!(selects("    A|hour|gte: 22", json!({"A": "2024-05-01T23:20:00Z"})));
    assert!(!selects("    A|hour|gte: 22", json!({"A": "2024-05-01T03:20:00Z"})));
}

#[test]
fn windash_exchanges_each_dash_alone() {
    let three = "    A|contains|windash: ' -a -b -c'";
    for event in ["x -a -b -c", "x /a –b —c", "x ―a /b -c"] {
        assert!(selects(three, json!({"A": event})), "{event}");
    }
    assert!(!selects(three, json!({"A": "x _a -b -c"})));
    assert!(selects("    A|windash|contains: '/f'", json!({"A": "del -F x"})));
    assert!(!selects("    A|contains|windash: '-a-b'", json!({"A": "-a/b"})));
}

#[test]
fn fields_can_be_compared_with_each_other() {
    assert!(selects("    A|fieldref: B", json!({"A": "Val", "B": ["x", "val"]})));
    assert!(!selects("    A|fieldref: B", json!({"A": "v"})));
    assert!(selects("    A|fieldref|endswith: B", json!({"A": "value", "B": "UE"})));
    assert!(selects("    A|fieldref: B", json!({"A": 5, "B": "5"})));
    assert!(selects("    A|fieldref|neq: B", json!({"A": "v", "B": "w"})));
}

#[test]
fn arrays_match_by_any_element() {
    assert!(selects("    A: y", json!({"A": ["x", "y"]})));
    assert!(selects("    A|contains|all: [x, y]", json!({"A": ["x", "y"]})));
    assert!(selects("    A.n: y", json!({"A": [{"n": "x"}, {"n": "y"}]})));
    assert!(!selects("    a.b: x", json!({"a.b": "y", "a": {"b": "x"}})));
}

#[test]
fn keywords_are_looked_for_in_texts_and_in_the_message() {
    let (set, _) = compile(&[&rule_text("  k: [evil, 'wget * | sh', 4711]\n  condition: k")]);
    assert!(matches(&set, &json!({"a": "so EVIL"}), ""));
    assert!(matches(&set, &json!({}), "run wget http://x | sh now"));
    assert!(matches(&set, &json!({"o": {"p": ["x", "code 4711"]}}), ""));
    assert!(!matches(&set, &json!({"evil": "x", "n": 4711}), "good"));
    let all = "  k: {'|all': [one, two]}\n  condition: k";
    assert!(detects(all, &json!({"a": "one", "b": "two"})) && !detects(all, &json!({"a": "one"})));
    assert!(detects("  k: {'|re': 'ev[i1]l'}\n  condition: k", &json!({"m": "an ev1l thing"})));
    assert!(detects("  k: word\n  condition: k", &json!({"m": "a word"})));
    for (alone, yes) in [("['-e']", "x -e"), ("['a?c']", "xabcx"), ("{'|re': 'a.'}", "xab")] {
        let detection = format!("  k: {alone}\n  condition: k");
        assert!(detects(&detection, &json!({"m": yes})), "{alone}");
        assert!(!detects(&detection, &json!({"m": "-b"})), "{alone}");
    }
    let mixed = "  k: [{A: x}, word]\n  condition: k";
    assert!(detects(mixed, &json!({"A": "x"})) && detects(mixed, &json!({"m": "a word"})));
}

#[test]
fn a_rule_applies_by_its_log_source() {
    let texts = ["registry_set", "process_creation"].map(|category| {
        format!(
            "title: t\nlogsource: {{category: {category}, product: windows}}\n\
             detection:\n  s: {{A: x}}\n  condition: s\n"
        )
    });
    let (set, _) = compile(&[&texts[0], &texts[1]]);
    let mut record = Record::new();
    record.push(&set, "A", Value::Text("x"));
    record.push_view(set.view(&LogSource::new("", "windows", "sysmon")));
    let mut matched = Vec::new();
    let mut matcher = Matcher::new(&set);
    matcher.matches(&record, &mut matched);
    assert_eq!(matched, []);
    record.push_view(set.view(&LogSource::new("registry_set", "windows", "")));
    matcher.matches(&record, &mut matched);
    assert_eq!(matched, [RuleIndex(0)]);
}

#[test]
fn what_can_not_be_is_refused_with_its_place() {
    for (items, code, place) in [
        ("    A|containz: x", "unknown-modifier", "6:5"),
        ("    A|contains|re: x", "modifier-order", "6:5"),
        ("    A|i: x", "modifier-order", "6:5"),
        ("    A|re: '('", "bad-regex", "6:11"),
        ("    A|base64: 'a*'", "bad-value", "6:15"),
        ("    A|fieldref: 'b*'", "bad-value", "6:17"),
        ("    A|cidr: 10.0.0.1/8", "bad-network", "6:13"),
        ("    A|exists: maybe", "bad-value", "6:15"),
        ("    A|lt: abc", "bad-value", "6:11"),
        ("    A|hour: 24", "bad-value", "6:13"),
        ("    A: {b: c}", "nested-value", "6:8"),
        ("    A|expand: '%nobody%'", "unresolved-placeholder", "6:15"),
        ("    - [[]]", "empty-selection", "6:8"),
    ] {
        let diagnostic = refusal(items);
        assert_eq!(diagnostic.code, code, "{items}");
        assert_eq!(diagnostic.at.to_string(), place, "{items}: {diagnostic}");
    }
    let diagnostic = refusal("    A|containz: x").to_string();
    assert_eq!(
        diagnostic,
        "0.yml:6:5: error: unknown modifier `containz` on field `A`\n  \
         hint: did you mean `contains`?"
    );
}

#[test]
fn placeholders_are_filled_in() {
    let text = rule_text("  s:\n    A|contains|expand: ['%dc%', '5\\%']\n  condition: s");
    let mut options = no_options();
    options.placeholders.insert("dc".into(), vec!["one*two".into(), "three".into()]);
    let (set, report) = RuleSet::compile(vec![parse("r.yml", text.as_bytes())], &options);
    assert_eq!(report.refused, 0, "{:?}", report.diagnostics);
    let set = Arc::new(set);
    assert!(matches(&set, &json!({"A": "x one and two"}), ""));
    assert!(
        matches(&set, &json!({"A": "a THREE"}), "") && matches(&set, &json!({"A": "at 5%"}), "")
    );
    assert!(!matches(&set, &json!({"A": "one"}), ""));
}

#[test]
fn placeholders_of_filters_are_filled_in_too() {
    let rule = rule_text("  s:\n    A: x\n  condition: s").replace("title: t", "title: t\nid: r");
    let filter = |name: &str| {
        format!(
            "title: f\nid: f\nlogsource: {{product: any}}\nfilter:\n  rules: any\n  \
             s: {{U|expand|startswith: '%{name}%'}}\n  condition: s\n"
        )
    };
    let compiled = |filter: &str| {
        let mut options = no_options();
        options.placeholders.insert("admins".into(), vec!["ann".into(), "bob".into()]);
        let parsed = [&rule, filter].map(|text| parse("r.yml", text.as_bytes()));
        let (set, report) = RuleSet::compile(parsed.into(), &options);
        (Arc::new(set), report)
    };
    let (set, report) = compiled(&filter("admins"));
    assert_eq!(report.refused, 0, "{:?}", report.diagnostics);
    assert!(matches(&set, &json!({"A": "x", "U": "eve"}), ""));
    assert!(!matches(&set, &json!({"A": "x", "U": "bob2"}), ""));
    let (set, report) = compiled(&filter("nobody"));
    assert_eq!((report.refused, set.len()), (1, 1), "{:?}", report.diagnostics);
    assert!(matches(&set, &json!({"A": "x", "U": "ann"}), ""));
}

#[test]
fn a_collection_merges_its_global_part() {
    let text = "action: global\ntitle: t\nlogsource: {product: any}\ndetection:\n  \
                condition: s\n---\ndetection:\n  s: {A: x}\n---\nid: two\ndetection:\n  \
                s: {A: y}\n---\naction: repeat\ndetection:\n  s: {A: z}\nid: three\n---\n\
                action: reset\n---\ntitle: own\nlogsource: {product: any}\n\
                detection:\n  s: {A: w}\n  condition: s\n";
    let (set, report) = compile(&[text]);
    assert_eq!(report.refused, 0, "{:?}", report.diagnostics);
    let titles: Vec<&str> = set.rules().iter().map(|rule| rule.meta.title.as_str()).collect();
    assert_eq!(titles, ["t", "t", "t", "own"]);
    assert!(set.find("three").is_some());
}

#[test]
fn a_filter_leaves_out_what_it_selects() {
    let rule = |id: &str| {
        format!(
            "title: r\nid: {id}\nlogsource: {{product: any}}\ndetection:\n  s: {{A: x}}\n  \
             condition: s\n"
        )
    };
    let filter = |rules: &str, condition: &str| {
        format!(
            "title: f\nid: f\nlogsource: {{product: any}}\nfilter:\n  rules: {rules}\n  \
             s: {{U: svc}}\n  condition: {condition}\n"
        )
    };
    for (rules, condition) in [("[r]", "s"), ("[r]", "not s"), ("any", "not 1 of s*")] {
        let (set, report) = compile(&[&rule("r"), &filter(rules, condition)]);
        assert_eq!((report.filters, report.refused), (1, 0), "{:?}", report.diagnostics);
        assert!(report.diagnostics.iter().any(|said| said.code == "filter-sense"));
        assert!(matches(&set, &json!({"A": "x", "U": "ann"}), ""));
        assert!(!matches(&set, &json!({"A": "x", "U": "svc"}), ""));
    }
    let other = filter("[r]", "s").replace("product: any", "product: other");
    let (set, report) = compile(&[&rule("r"), &other]);
    assert!(report.diagnostics.iter().any(|said| said.code == "filter-logsource"));
    assert!(matches(&set, &json!({"A": "x", "U": "svc"}), ""));
    let (_, report) = compile(&[&rule("r"), &filter("[nobody]", "s")]);
    assert!(report.diagnostics.iter().any(|said| said.code == "unknown-rule"));
}

#[test]
fn a_rule_that_feeds_a_correlation_is_silent_unless_that_generates() {
    let rules = "title: a\nname: a\nlogsource: {product: any}\ndetection:\n  s: {A: x}\n  \
                 condition: s\n---\ntitle: b\nname: b\nlogsource: {product: any}\ndetection:\n  \
                 s: {A: y}\n  condition: s\n";
    let correlation = |generate: bool| {
        format!(
            "title: c\nid: c\ncorrelation:\n  type: event_count\n  rules: a\n  group-by: [U]\n  \
             timespan: 5m\n  condition: {{gte: 3}}\n  generate: {generate}\n"
        )
    };
    let (set, report) = compile(&[&correlation(false), rules]);
    assert_eq!((report.correlations, report.refused), (1, 0), "{:?}", report.diagnostics);
    assert_eq!(set.correlations()[0].targets, [correlation::Target::Rule(0)]);
    assert!(set.is_silent(RuleIndex(0)) && !set.is_silent(RuleIndex(1)));
    assert_ne!(set.field("U"), FieldId::UNKNOWN);
    let (set, _) = compile(&[&correlation(true), rules]);
    assert!(!set.is_silent(RuleIndex(0)));
}

#[test]
fn of_two_rules_with_one_id_the_first_counts() {
    let rule = |value: &str| {
        format!(
            "title: {value}\nid: 5bac7a56-da88-4c27-922e-c81e113b20cb\n\
             logsource: {{product: any}}\ndetection:\n  s: {{A: {value}}}\n  condition: s\n"
        )
    };
    let (set, report) = compile(&[&rule("x"), &rule("y")]);
    assert_eq!((set.len(), report.refused), (1, 1));
    assert_eq!(set.rule(RuleIndex(0)).meta.title, "x");
    let said = &report.diagnostics[0];
    assert_eq!((said.code, &*said.file), ("duplicate-id", "1.yml"));
}

#[test]
fn an_explanation_names_selections_fields_and_values() {
    let text = rule_text(
        "  sel:\n    Image|endswith: ['\\a.exe', '\\b.exe']\n    User: ann\n  \
         filter:\n    Path|contains: safe\n  condition: sel and not filter",
    );
    let (set, _) = compile(&[&text]);
    let mut record = Record::new();
    record.push(&set, "Image", Value::Text("C:\\B.EXE"));
    record.push(&set, "User", Value::Text("Ann"));
    record.push(&set, "Path", Value::Text("/tmp"));
    record.push_view(set.view(&LogSource::new("", "any", "")));
    let explanation = set.explain(&record, RuleIndex(0));
    assert!(explanation.holds && explanation.applies);
    let [sel, filter] = explanation.selections.as_slice() else { panic!("two selections") };
    assert!(sel.holds && sel.wanted && !filter.holds && !filter.wanted);
    assert_eq!(sel.items[0].item, "Image|endswith");
    assert_eq!(sel.items[0].values, ["C:\\B.EXE"]);
    assert_eq!(sel.items[0].passed, ["*\\b.exe"]);
    assert_eq!(filter.items[0].values, ["/tmp"]);

    let mut near = record.clone();
    near.fields[1].value = Value::Text("bob");
    let nearest = set.nearest(&near, 5);
    assert_eq!(nearest.len(), 1);
    assert_eq!(nearest[0].failed, ["sel"]);
    assert_eq!(nearest[0].share, 750);
    assert!(set.nearest(&record, 5).is_empty(), "what matches is not near");

    let nowhere = Record { views: Vec::new(), ..record.clone() };
    let nearest = set.nearest(&nowhere, 5);
    assert_eq!(nearest.len(), 1);
    assert_eq!((nearest[0].share, &nearest[0].failed[..]), (666, &["logsource".to_owned()][..]));
    let nothing = Record { views: Vec::new(), ..near };
    assert!(set.nearest(&nothing, 5).is_empty(), "two reasons are too many");
}

#[test]
fn required_fields_are_those_without_which_a_rule_can_not_match() {
    let of = |detection: &str| {
        let (set, _) = compile(&[&rule_text(detection)]);
        let fields = set.rule(RuleIndex(0)).required_fields();
        fields.iter().map(|one_of| one_of.join("|")).collect::<Vec<String>>().join(" ")
    };
    assert_eq!(of("  s: {B: x, A: y}\n  condition: s"), "A B");
    assert_eq!(of("  s: [{A: x}, {B: y}]\n  t: {C: z}\n  condition: s and t"), "A|B C");
    assert_eq!(of("  s: {A: x}\n  t: {B: y, C: z}\n  condition: 1 of them"), "A|B");
    assert_eq!(of("  s: {A: x}\n  f: {B: null}\n  condition: s and not f"), "A");
    assert_eq!(of("  s: {A: null}\n  condition: s"), "");
    assert_eq!(of("  s: [word]\n  t: {A: x}\n  condition: s or t"), "");
}
