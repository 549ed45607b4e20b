//! The configuration as a whole: layers, what is told when it is wrong, and that the keys, the
//! defaults and the settings say the same.

use super::report::Problem;
use super::*;

fn sources(file: &str) -> Sources {
    let file = Some(Document { name: "seerflow.yaml".into(), text: file.into() });
    Sources { file, ..Sources::default() }
}

fn problems(sources: &Sources) -> Problems {
    match load(sources) {
        Err(ConfigError::Problems(problems)) => problems,
        Err(other) => panic!("problems were expected, not {other}"),
        Ok(_) => panic!("problems were expected in {:?}", sources.file),
    }
}

/// What is said of a file, without the line of the count.
fn told(file: &str) -> String {
    let text = problems(&sources(file)).to_string();
    text.rsplit_once("\n\n").map_or(text.clone(), |(told, _)| told.to_owned())
}

fn loaded(file: &str) -> Loaded {
    load(&sources(file)).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn without_anything_the_defaults_hold() {
    let settings = load(&Sources::default()).unwrap().settings;
    assert_eq!(settings.receivers.syslog_udp_port, 5514);
    assert_eq!(settings.receivers.bind_addr.to_string(), "127.0.0.1");
    assert_eq!(settings.detection.dspot.risk_level, 1e-4);
    assert_eq!(settings.state.dir, PathBuf::from("./seerflow-data"));
    assert_eq!(settings.alerting.file_path, None);
    for nothing in ["", "# remark\n", "---\n", "~", "receivers:\n", "detection: null\n", "{}"] {
        assert_eq!(loaded(nothing).settings, settings, "{nothing:?}");
    }
}

#[test]
fn each_layer_lies_over_the_one_before() {
    let mut sources = sources("workers: 2\njournal: {segment_mb: 2, retention_mb: 100}\n");
    sources.environment =
        [("SEERFLOW__WORKERS", "3"), ("SEERFLOW__JOURNAL__SEGMENT_MB", "3"), ("HOME", "/root")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    sources.flags = vec![Flag::set("workers=9"), Flag::set("workers=4")];
    let loaded = load(&sources).unwrap();
    let journal = &loaded.settings.journal;
    assert_eq!(loaded.settings.workers, 4, "flags over the environment, the last over the first");
    assert_eq!(journal.segment_mb, 3, "the environment over the file");
    assert_eq!(journal.retention_mb, 100, "the file over the defaults");
    assert_eq!(journal.retention_hours, 168, "the defaults");
    let origin = |path| loaded.place(loaded.value(path).unwrap().1);
    assert_eq!(origin("workers"), "--set workers");
    assert_eq!(origin("journal.segment_mb"), "environment variable SEERFLOW__JOURNAL__SEGMENT_MB");
    assert_eq!(origin("journal.retention_mb"), "seerflow.yaml:2:40");
    assert_eq!(origin("journal.fsync"), "default");
}

#[test]
fn null_asks_for_the_default_in_every_layer() {
    let mut sources = sources("workers: 2\nalerting: {file_path: /a}\nstate:\n  memory_mb: ~\n");
    sources.flags = vec![Flag::set("workers=null"), Flag::set("alerting.file_path=")];
    let settings = load(&sources).unwrap().settings;
    assert_eq!((settings.workers, settings.state.memory_mb), (1, 64));
    assert_eq!(settings.alerting.file_path, None);
}

#[test]
fn flags_take_any_yaml_value_and_lists_replace_while_maps_merge() {
    let mut sources =
        sources("rules: {dirs: [/a, /b]}\nalerting: {dedup_window_overrides: {a.b: 1, c: 2}}\n");
    sources.flags = vec![
        Flag::set("rules.dirs=[./rules]"),
        Flag::set("alerting.dedup_window_overrides={c: 3}"),
        Flag::set("alerting.file_path=2026"),
        Flag::set("receivers={file_paths: ['*.log'], stdin_enabled: true}"),
    ];
    let settings = load(&sources).unwrap().settings;
    assert_eq!(settings.rules.dirs, [PathBuf::from("./rules")]);
    let overrides: Vec<_> = settings.alerting.dedup_window_overrides.into_iter().collect();
    assert_eq!(overrides, [("a.b".to_owned(), 1), ("c".to_owned(), 3)]);
    assert_eq!(settings.alerting.file_path, Some(PathBuf::from("2026")));
    assert_eq!(settings.receivers.file_paths, [PathBuf::from("*.log")]);
    assert!(settings.receivers.stdin_enabled);
}

#[test]
fn the_value_of_a_flag_of_its_own_is_taken_as_it_is() {
    for dir in ["2026", "a: b", "${HOME}/x", "[x]", "null", "'"] {
        let flags = vec![Flag::named("--state", "state.dir", dir)];
        let loaded = load(&Sources { flags, ..Sources::default() }).unwrap();
        assert_eq!(loaded.settings.state.dir, PathBuf::from(dir));
        assert_eq!(loaded.value("state.dir").unwrap().1.to_string(), "--state");
    }
}

#[test]
fn a_variable_becomes_what_its_key_wants_and_never_structure() {
    let mut sources = sources(
        "receivers:\n  syslog_udp_port: ${PORT:-9090}\n  stdin_enabled: ${STDIN}\n  file_paths: \
         [\"${LOGS}\", 'a$${b}']\nalerting: {file_path: \"${NUMBER}\"}\nworkers: ${EMPTY}\n",
    );
    sources.environment = [
        ("STDIN", "true"),
        ("LOGS", "x, y]\nworkers: 3"),
        ("NUMBER", "17"),
        ("EMPTY", ""),
        ("SEERFLOW_DATA_DIR", "/var/lib/s"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let settings = load(&sources).unwrap().settings;
    assert_eq!(settings.receivers.syslog_udp_port, 9090);
    assert!(settings.receivers.stdin_enabled);
    let paths = [PathBuf::from("x, y]\nworkers: 3"), PathBuf::from("a${b}")];
    assert_eq!(settings.receivers.file_paths, paths);
    assert_eq!(settings.alerting.file_path, Some(PathBuf::from("17")));
    assert_eq!(settings.workers, 1);
    assert_eq!(settings.state.dir, PathBuf::from("/var/lib/s"));
}

#[test]
fn another_name_means_the_same_and_both_together_are_an_error() {
    let settings = loaded(
        "correlation: {late_tolerance_seconds: 7}\nstorage: {data_dir: /x}\ndetection:\n  \
         sigma_rules_dirs: [/r]\n  dspot_risk_level: 0.01\n  markov_min_events: 5\n",
    )
    .settings;
    assert_eq!(settings.watermark.tolerance_s, 7);
    assert_eq!(settings.state.dir, PathBuf::from("/x"));
    assert_eq!(settings.rules.dirs, [PathBuf::from("/r")]);
    assert_eq!(settings.detection.dspot.risk_level, 0.01);
    let text = told("detection:\n  dspot_risk_level: 0.01\n  dspot: {risk_level: 0.02}\n");
    assert!(text.contains("two names of one key"), "{text}");
}

#[test]
fn all_problems_are_told_at_once_with_their_place() {
    let file = "\
recievers: {}
receivers:
  syslog_enabld: true
  syslog_udp_port: 70000
  file_paths: /var/log/a.log
  syslog_tcp_port: '601'
  syslog_enabled: yes
detection: [1]
journal:
  fsync: allways
  fsync: never
syslog_udp_prot: 1
state:
  dir: ${NOPE}
llm:
  cloud_api_key: 7
  cloud_api_keyy: canary-1
";
    let expected = r#"error: unknown key `recievers`
 --> seerflow.yaml:1:1
  |
1 | recievers: {}
  | ^^^^^^^^^ did you mean `receivers`?

error: unknown key `syslog_enabld` in `receivers`
 --> seerflow.yaml:3:3
  |
3 |   syslog_enabld: true
  |   ^^^^^^^^^^^^^ did you mean `syslog_enabled`?

error: `receivers.syslog_udp_port` must be a whole number from 1 to 65535, got 70000
 --> seerflow.yaml:4:20
  |
4 |   syslog_udp_port: 70000
  |                    ^^^^^

error: `receivers.file_paths` must be a list of paths, got `/var/log/a.log`
 --> seerflow.yaml:5:15
  |
5 |   file_paths: /var/log/a.log
  |               ^^^^^^^^^^^^^^
  |
  = help: a list is written `[first, second]`, or with `- ` before each

error: `receivers.syslog_tcp_port` must be a whole number from 1 to 65535, got `601`
 --> seerflow.yaml:6:20
  |
6 |   syslog_tcp_port: '601'
  |                    ^^^^^
  |
  = help: take the quotes away

error: `receivers.syslog_enabled` must be `true` or `false`, got `yes`
 --> seerflow.yaml:7:19
  |
7 |   syslog_enabled: yes
  |                   ^^^

error: `detection` is a section and holds keys, not a list
 --> seerflow.yaml:8:1
  |
8 | detection: [1]
  | ^^^^^^^^^
  |
"#;
    let text = problems(&sources(file)).to_string();
    assert!(text.starts_with(expected), "{text}");
    for part in [
        "= help: keys here: budget_per_million, ",
        "must be one of `always`, `interval`, `never`, got `allways`",
        "did you mean `always`?",
        "error: `fsync` is given twice in `journal`\n  --> seerflow.yaml:11:3",
        "first on line 10",
        "did you mean `receivers.syslog_udp_port`?",
        "`state.dir`: environment variable `NOPE` is not set\n  --> seerflow.yaml:14:8",
        "`llm.cloud_api_key` must be text, got 7",
        "did you mean `cloud_api_key`?",
        "\n\n13 errors; nothing was started",
    ] {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
    assert!(!text.contains("canary"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    assert!(problems(&sources(file)).render(true).contains('\u{1b}'));
}

#[test]
fn a_syntax_error_points_to_its_line() {
    let expected = "\
error: this is not YAML: illegal placement of ':' indicator
 --> seerflow.yaml:3:6
  |
3 | naïve: 2
  |      ^";
    assert_eq!(told("workers: 1\na: [1\nnaïve: 2\n").trim_end_matches(['\n', ' ', '|']), expected);
}

#[test]
fn what_is_wrong_outside_the_file_names_its_place_and_not_its_value() {
    let mut sources = Sources {
        environment: [
            ("SEERFLOW__LLM__CLOUD_API_KEYY", "canary-2"),
            ("SEERFLOW__RECEIVERS__SYSLOG_UDP_PORT", "canary-3"),
            ("SEERFLOW__RECEIVERS", "canary-4"),
            ("SEERFLOW__RULES__DIRS", "[canary-5"),
            ("PORT", "canary-6"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        ..sources("receivers: {syslog_tcp_port: '${PORT}'}\n")
    };
    sources.flags =
        vec![Flag::set("journal.fsnyc=never"), Flag::set("llm.cloud_api_key=[canary-7]")];
    let text = problems(&sources).to_string();
    for part in [
        "error: `receivers.syslog_tcp_port` must be a whole number",
        "from 1 to 65535, what `${PORT}` holds is not",
        "--> environment variable SEERFLOW__LLM__CLOUD_API_KEYY",
        "from 1 to 65535, what this variable holds is not",
        "`receivers` is a section and holds keys",
        "the value is not YAML",
        "error: unknown key `fsnyc` in `journal`\n--> --set journal.fsnyc\n",
        "= help: did you mean `fsync`?",
        "7 errors; nothing was started",
    ] {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
    assert!(!text.contains("canary"), "{text}");
}

#[test]
fn keys_that_belong_together_are_checked_together() {
    let mut sources = sources("epoch:\n  min_records: 9000\n  max_records: 100\n");
    let text = problems(&sources).to_string();
    assert!(
        text.contains("`epoch.min_records` must not be more than `epoch.max_records`"),
        "{text}"
    );
    assert!(text.contains("seerflow.yaml:3:16"), "{text}");
    sources.flags = vec![Flag::set("epoch.max_records=9000")];
    assert!(load(&sources).is_ok());
    let text = told("detection: {weights_content: 0, weights_sequence: 0, weights_rarity: 0}\n");
    assert!(text.contains("must be more than 0"), "{text}");
}

#[test]
fn in_lists_of_mappings_keys_are_checked_too() {
    let settings =
        loaded("detection:\n  attack_mappings:\n    - {pattern: 'sshd.*Failed', tactics: [a]}\n")
            .settings;
    let mapping = &settings.detection.attack_mappings[0];
    assert_eq!((mapping.tactics.len(), mapping.techniques.len()), (1, 0));
    let text = told(
        "detection:\n  attack_mappings:\n    - {pattern: 'a(', tactics: [a]}\n    - {patern: a}\n    \
         -          {tactics: a}\n    - {tactics: []}\nalerting:\n  webhooks: [{url: 'https://h/x', \
         format: slak}]\n",
    );
    for part in [
        "`detection.attack_mappings[0].pattern` must be a regular expression",
        "unknown key `patern` in `detection.attack_mappings[1]`",
        "did you mean `pattern`?",
        "`detection.attack_mappings[2].tactics` must be a list",
        "`detection.attack_mappings[3]` has no `pattern`",
        "did you mean `slack`?",
    ] {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
}

#[test]
fn keys_of_the_reference_system_load_and_are_noted() {
    let loaded = loaded(
        "receivers: {otlp_grpc_port: 4317, webhooks: []}\nueba: {enabled: true}\nlog_level: INFO\n\
         storage: {backend: sqlite}\nllm: {n_threads: null}\nreceivers2: ~\n"
            .replace("receivers2: ~\n", "")
            .as_str(),
    );
    let notes: Vec<_> = loaded.notes().into_iter().map(|(note, _)| note).collect();
    assert_eq!(
        notes,
        [
            "`receivers.otlp_grpc_port` is known and has no effect yet",
            "`receivers.webhooks` is known and has no effect yet",
            "`ueba.enabled` is known and has no effect yet",
            "`storage.backend` is known and has no effect yet",
        ]
    );
    assert_eq!(loaded.settings.log_level, "info");
}

#[test]
fn the_keys_the_defaults_and_the_settings_say_the_same() {
    let written = print::annotated(DEFAULT_YAML);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/default.yaml");
    if std::env::var_os("SEERFLOW_BLESS").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        written,
        "configs/default.yaml is made from the keys; `SEERFLOW_BLESS=1 cargo test` writes it anew"
    );
    let loaded = load(&Sources::default()).unwrap();
    let settings = serde_json::to_value(&loaded.settings).unwrap();
    for entry in keys::leaves() {
        let pointer = format!("/{}", entry.path.replace('.', "/"));
        let field = settings.pointer(&pointer);
        match entry.effect {
            Effect::Now => {
                assert!(field.is_some(), "the settings have no `{}`", entry.path);
                assert!(loaded.value(&entry.path).is_some(), "`{}` has no default", entry.path);
            }
            _ => assert!(field.is_none(), "`{}` has an effect", entry.path),
        }
    }
}

#[test]
fn what_is_printed_as_in_effect_loads_and_means_the_same() {
    let file = "workers: 3\nalerting:\n  file_path: 'a: b'\n  dedup_window_overrides: {x y: 1}\n  \
                pagerduty_routing_key: canary\nreceivers: {otlp_grpc_port: 4317}\n";
    let first = loaded(file);
    let printed = print::effective(&first);
    assert!(printed.contains("workers: 3"), "{printed}");
    assert!(printed.contains("# seerflow.yaml:1:10\n"), "{printed}");
    assert!(printed.contains("no effect yet"), "{printed}");
    assert!(!printed.contains("canary"), "{printed}");
    assert!(!print::effective_json(&first).to_string().contains("canary"));
    assert_eq!(loaded(&printed).settings, first.settings);
}

#[test]
fn zones_are_known_by_name_and_by_offset() {
    for name in ["UTC", "+02:00", "-05:30", "Europe/Berlin", "America/St_Johns"] {
        assert!(zone(name).is_some(), "{name}");
    }
    for name in ["", "Mars/Base", "+2", "+02", "+25:00", "+02:60", "+é2:00", "+02:000"] {
        assert!(zone(name).is_none(), "{name}");
    }
    let offset = zone("-05:30").unwrap().to_fixed_offset().unwrap();
    assert_eq!(offset.seconds(), -(5 * 60 + 30) * 60);
}

/// A value of the right kind, and some that are wrong.
fn values_for(kind: keys::Kind) -> (String, Vec<String>) {
    use keys::Kind;
    let all = ["[[1]]", "{zz: 1}", "'zz zz'", "-1", "true", "1.5e300"];
    let wrong = |fine: &[&str]| -> Vec<String> {
        all.iter().filter(|value| !fine.contains(value)).map(|value| (*value).to_owned()).collect()
    };
    match kind {
        Kind::Switch => ("false".into(), wrong(&["true"])),
        Kind::Integer(least, most) => {
            let mut values = wrong(&[]);
            values.extend(most.checked_add(1).map(|number| number.to_string()));
            values.extend(least.checked_sub(1).map(|number| number.to_string()));
            (least.to_string(), values)
        }
        Kind::Number(least, _) => (least.to_string(), wrong(&[])),
        Kind::Between(least, most) => {
            let mut values = wrong(&[]);
            values.extend([least.to_string(), most.to_string()]);
            (((least + most) / 2.0).to_string(), values)
        }
        Kind::Text(_) | Kind::Secret | Kind::Path => ("zz".into(), wrong(&["'zz zz'"])),
        Kind::Choice(words) => (words[words.len() - 1].into(), wrong(&[])),
        Kind::Levels => ("debug".into(), wrong(&[])),
        Kind::Address => ("'::1'".into(), wrong(&[])),
        Kind::Url => ("http://a/b".into(), wrong(&[])),
        Kind::Pattern(_) => ("a+".into(), vec!["'('".into(), "7".into()]),
        Kind::Zone => ("UTC".into(), wrong(&[])),
        Kind::OrNone(kind) | Kind::Required(kind) => values_for(*kind),
        Kind::List(kind) => {
            let (right, wrong_items) = values_for(*kind);
            let mut values: Vec<String> =
                all[1..].iter().map(|value| (*value).to_owned()).collect();
            values.extend(wrong_items.iter().map(|item| format!("[{item}]")));
            (format!("[{right}]"), values)
        }
        Kind::Map(inner) | Kind::Words(inner) => {
            let (right, wrong_items) = values_for(*inner);
            let mut values = vec!["[1]".into(), "zz".into(), "true".into()];
            if matches!(kind, Kind::Words(_)) {
                values.push(format!("{{'%k%': {right}}}"));
            }
            values.extend(wrong_items.iter().map(|item| format!("{{k: {item}}}")));
            (format!("{{k: {right}}}"), values)
        }
        Kind::Object(keys) => {
            let items: Vec<String> = keys
                .iter()
                .map(|key| format!("{}: {}", key.name, values_for(key.kind).0))
                .collect();
            (format!("{{{}}}", items.join(", ")), vec!["[1]".into(), "zz".into()])
        }
        Kind::Any => ("zz".into(), Vec::new()),
    }
}

/// A file that sets one key, in the form that people write.
fn file_with(path: &str, value: &str) -> String {
    let names: Vec<&str> = path.split('.').collect();
    let mut text = String::new();
    for (depth, name) in names.iter().enumerate() {
        text.push_str(&format!("{}{name}:", "  ".repeat(depth)));
        text.push_str(if depth + 1 == names.len() { " " } else { "\n" });
    }
    text + value + "\n"
}

/// The one problem of a file, and whether it is on the last line, where it was made.
fn single(file: &str) -> Problem {
    let found = problems(&sources(file));
    let [problem] = found.problems() else {
        panic!("one problem was expected in\n{file}\n{found}")
    };
    let Origin::File(place) = &problem.origin else { panic!("{problem:?}") };
    assert_eq!(place.line, file.lines().count(), "{file}\n{found}");
    assert!(place.column > 0 && !place.bytes.is_empty(), "{file}\n{found}");
    problem.clone()
}

#[test]
fn every_key_takes_a_right_value() {
    for entry in keys::all().filter(|entry| !entry.is_section()) {
        let file = file_with(&entry.path, &values_for(entry.key.kind).0);
        if let Err(error) = load(&sources(&file)) {
            // Some defaults of keys that belong together do not fit an extreme value.
            let text = error.to_string();
            assert!(
                text.contains("must not be more than") || text.contains("go together"),
                "{text}"
            );
        }
    }
}

#[test]
fn every_misspelt_key_is_told_with_the_right_one() {
    let mut mutants = 0;
    for entry in keys::all() {
        let (section, name) = keys::split(&entry.path);
        let value = if entry.is_section() { "{}".into() } else { values_for(entry.key.kind).0 };
        let mut spellings = vec![format!("{name}x")];
        if name.len() > 4 {
            let middle = name.len() / 2;
            spellings.push(format!("{}{}", &name[..middle], &name[middle + 1..]));
            let (a, b) = (&name[middle..=middle], &name[middle + 1..middle + 2]);
            spellings.push(format!("{}{b}{a}{}", &name[..middle], &name[middle + 2..]));
        }
        spellings.sort();
        spellings.dedup();
        for spelling in spellings {
            let path = keys::join(section, &spelling);
            if keys::find(&path).is_some() {
                continue;
            }
            mutants += 1;
            let problem = single(&file_with(&path, &value));
            assert!(problem.title.starts_with("unknown key"), "{problem:?}");
            assert!(problem.label.contains(&format!("`{name}`")), "{path}: {problem:?}");
        }
    }
    println!("{mutants} mutants");
    assert!(mutants >= 300, "{mutants}");
}

#[test]
fn every_value_of_a_wrong_kind_is_told_with_its_key() {
    let mut mutants = 0;
    for entry in keys::all() {
        let wrong = match entry.is_section() {
            true => vec!["[1]".to_owned(), "7".to_owned(), "zz".to_owned(), "true".to_owned()],
            false => values_for(entry.key.kind).1,
        };
        for value in wrong {
            mutants += 1;
            let problem = single(&file_with(&entry.path, &value));
            assert!(problem.title.contains(&entry.path), "{value}: {problem:?}");
        }
    }
    println!("{mutants} mutants");
    assert!(mutants >= 300, "{mutants}");
}

#[test]
fn no_file_makes_it_panic_and_no_bomb_makes_it_slow() {
    let seed = DEFAULT_YAML;
    let mut state = 11_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let pieces = [
        "${", "}", "[", "]", "{", "}", ": ", "\n", "  ", "'", "\"", "&a ", "*a", "é", "\0",
        "\u{202e}", "<<: ", "!!str ", "-1", "1e999", "null", "|\n", "\t", "? ",
    ];
    for _ in 0..400 {
        let mut text = seed.to_owned();
        for _ in 0..1 + next(4) {
            let mut at = next(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            match next(3) {
                0 => text.insert_str(at, pieces[next(pieces.len())]),
                1 => text.truncate(at),
                _ => _ = (at < text.len()).then(|| text.remove(at)),
            }
            text.push(' ');
        }
        if let Err(error) = load(&sources(&text)) {
            assert!(error.to_string().ends_with("nothing was started"), "{error}");
        }
    }
    let many_keys: String = (0..40_000).map(|n| format!("k{n}: 1\n")).collect();
    let wide = format!("receivers: {{{}}}", "syslog_enabld: 1, ".repeat(20_000));
    let variables = format!("state: {{dir: \"{}\"}}", "${X:-aaaaaaaaaaaaaaaaaaaa}".repeat(20_000));
    for bomb in [many_keys, wide, variables] {
        // The fastest of three: others may be working on this machine.
        let elapsed = (0..3).map(|_| {
            let start = std::time::Instant::now();
            let text = problems(&sources(&bomb)).to_string();
            assert!(text.len() < 100_000, "{}", text.len());
            start.elapsed()
        });
        let elapsed = elapsed.min().expect("three were timed");
        assert!(elapsed.as_millis() < 100, "{elapsed:?}");
    }
}
