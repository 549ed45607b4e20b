//! The program as its users meet it: what it prints, where, and with which exit code.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A folder of its own for a test; removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("seerflow-cli-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, &[])
    }

    fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_seerflow-dataflow"))
            .args(arguments)
            .current_dir(&self.0)
            .env_clear()
            .envs(environment.iter().copied())
            .output()
            .unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it ended by itself")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_wrong_configuration_ends_every_verb_with_78_and_nothing_on_stdout() {
    let folder = Folder::new("wrong");
    folder.file("seerflow.yaml", "receivers:\n  syslog_enabld: true\n  syslog_udp_port: 70000\n");
    let expected = "\
error: unknown key `syslog_enabld` in `receivers`
 --> seerflow.yaml:2:3
  |
2 |   syslog_enabld: true
  |   ^^^^^^^^^^^^^ did you mean `syslog_enabled`?

error: `receivers.syslog_udp_port` must be a whole number from 1 to 65535, got 70000
 --> seerflow.yaml:3:20
  |
3 |   syslog_udp_port: 70000
  |                    ^^^^^

2 errors; nothing was started
";
    let output = folder.run(&["validate"]);
    assert_eq!((code(&output), stdout(&output).as_str()), (78, ""));
    assert_eq!(stderr(&output), expected);
    for verb in [&["run"][..], &["replay", "x"], &["query", "alerts"], &["rules", "list"]] {
        let output = folder.run(verb);
        assert_eq!((code(&output), stdout(&output).as_str()), (78, ""), "{verb:?}");
        assert_eq!(stderr(&output), expected, "{verb:?}");
    }
    let coloured = folder.run(&["validate", "--color", "always"]);
    assert!(stderr(&coloured).contains('\u{1b}'));
}

#[test]
fn what_cannot_be_read_is_told_as_a_chain_with_a_hint() {
    let folder = Folder::new("missing");
    let output = folder.run(&["validate", "-c", "none.yaml"]);
    assert_eq!(code(&output), 78);
    assert_eq!(
        stderr(&output),
        "error: cannot read the configuration `none.yaml`\n  because: No such file or directory \
         (os error 2)\n  hint: `seerflow-dataflow init` writes one to start from\n"
    );
    folder.file("latin1.yaml", b"# caf\xe9\n");
    let output = folder.run(&["validate", "-c", "latin1.yaml"]);
    assert_eq!(code(&output), 78);
    assert!(stderr(&output).contains("because: byte 5 is not UTF-8"), "{}", stderr(&output));
    let output = folder.run(&["validate", "-c", "."]);
    assert_eq!(code(&output), 78, "a folder is no configuration");
}

#[test]
fn a_bomb_is_refused_at_once() {
    let folder = Folder::new("bomb");
    let mut laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..9 {
        laughs.push_str(&format!(
            "a{level}: &a{level} [{}]\n",
            vec![format!("*a{}", level - 1); 9].join(",")
        ));
    }
    folder.file("laughs.yaml", laughs);
    folder.file("long.yaml", "#".repeat(2 << 20));
    folder.file("deep.yaml", "[".repeat(100_000));
    for name in ["laughs.yaml", "long.yaml", "deep.yaml"] {
        let output = folder.run(&["validate", "-c", name]);
        assert_eq!(code(&output), 78, "{name}");
        assert!(stderr(&output).contains("error: this is not YAML"), "{}", stderr(&output));
        assert!(output.stderr.len() < 10_000, "{name}");
    }
}

#[test]
fn init_writes_a_file_that_validates_and_never_writes_over_one() {
    let folder = Folder::new("init");
    let output = folder.run(&["init"]);
    assert_eq!((code(&output), stdout(&output).as_str()), (0, ""));
    assert_eq!(stderr(&output), "wrote seerflow.yaml; next: seerflow-dataflow validate\n");
    let output = folder.run(&["validate"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(stderr(&output), "seerflow.yaml is in order\n");
    let output = folder.run(&["init"]);
    assert_eq!(code(&output), 74);
    assert!(stderr(&output).contains("hint: `--force` writes over it"), "{}", stderr(&output));
    assert_eq!(code(&folder.run(&["init", "--force", "--all"])), 0);
    assert_eq!(code(&folder.run(&["validate"])), 0);
    assert_eq!(code(&folder.run(&["init", "no/such/folder.yaml"])), 74);
    assert!(stdout(&folder.run(&["init", "-"])).starts_with("# A configuration"));
}

#[test]
fn validate_prints_what_is_in_effect_and_where_it_comes_from_but_no_secret() {
    let folder = Folder::new("print");
    folder.file("seerflow.yaml", "workers: 2\nllm: {cloud_api_key: '${KEY}'}\n");
    let environment = [("KEY", "canary"), ("SEERFLOW__JOURNAL__FSYNC", "NEVER")];
    let set = "rules.dirs=[./a, ./b]";
    for name in ["a", "b"] {
        fs::create_dir(folder.0.join(name)).unwrap();
    }
    let output =
        folder.run_with(&["validate", "--print", "--set", set, "--workers", "3"], &environment);
    let text = stdout(&output);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    for line in [
        "workers: 3                                   # --workers",
        "  dirs: [./a, ./b]                           # --set rules.dirs",
        "  cloud_api_key: '***'                       # seerflow.yaml:2:22; no effect yet",
        "  memory_mb: 64                              # default",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\nis not in\n{text}");
    }
    assert!(stderr(&output).contains("note: `llm.cloud_api_key` is known and has no effect yet"));
    assert!(!text.contains("canary") && !stderr(&output).contains("canary"));
    let output = folder.run_with(&["validate", "--print", "--json", "-q"], &environment);
    let object: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(object["workers"]["value"], 2);
    assert_eq!(object["workers"]["origin"], "seerflow.yaml:1:10");
    let fsync = &object["journal.fsync"];
    assert_eq!(fsync["value"], "never");
    assert_eq!(fsync["origin"], "environment variable SEERFLOW__JOURNAL__FSYNC");
    assert_eq!(stderr(&output), "");
}

#[test]
fn help_version_and_usage_end_as_scripts_expect() {
    let folder = Folder::new("help");
    let version = folder.run(&["--version"]);
    assert_eq!(code(&version), 0);
    assert_eq!(stdout(&version), concat!("seerflow-dataflow ", env!("CARGO_PKG_VERSION"), "\n"));
    for arguments in [&["--help"][..], &["run", "--help"], &["query", "events", "--help"]] {
        let help = folder.run(arguments);
        assert_eq!(code(&help), 0, "{arguments:?}");
        assert!(stdout(&help).contains("Examples:"), "{arguments:?}");
        assert!(!stdout(&help).contains('\u{1b}'), "{arguments:?}");
    }
    for arguments in [
        &["nonsense"][..],
        &["replay"],
        &["run", "--workers", "0"],
        &["run", "--set", "novalue"],
        &["query", "alerts", "--since", "yesterday"],
        &["run", "--log-level", "loud"],
    ] {
        let output = folder.run(arguments);
        assert_eq!((code(&output), stdout(&output).as_str()), (2, ""), "{arguments:?}");
    }
}

#[test]
fn schema_completions_and_manual_are_generated_whole() {
    let folder = Folder::new("generated");
    let schema: serde_json::Value =
        serde_json::from_str(&stdout(&folder.run(&["schema"]))).unwrap();
    assert_eq!(schema["properties"]["receivers"]["properties"]["syslog_udp_port"]["default"], 5514);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = folder.run(&["completions", shell]);
        assert_eq!(code(&output), 0);
        assert!(stdout(&output).contains("replay"), "{shell}");
    }
    let page = stdout(&folder.run(&["man"]));
    assert!(page.contains(".SH \"EXIT STATUS\"") && page.contains("\\fB78\\fR"), "{page}");
    assert!(stdout(&folder.run(&["man", "query", "events"])).contains("\\-\\-grep"));
    assert!(page.contains(".SH EXAMPLES\n  seerflow") && !page.contains("EXTRA"), "{page}");
    assert_eq!(code(&folder.run(&["man", "nonsense"])), 2);
    assert_eq!(code(&folder.run(&["man", "--dir", "man1"])), 0);
    let pages = fs::read_dir(folder.0.join("man1")).unwrap().count();
    assert!(pages >= 20, "{pages}");
}

#[test]
fn outside_text_never_reaches_the_terminal_as_it_is() {
    let folder = Folder::new("escape");
    folder.file("x.yaml", "\"a\\e]0;PWNED\\a\u{202e}\": 1\nworkers: \"\\e[2J\"\n# \u{1b}\n");
    let output = folder.run(&["validate", "-c", "x.yaml"]);
    assert_eq!(code(&output), 78);
    let text = stderr(&output);
    assert!(!text.contains(|c: char| c != '\n' && (c < ' ' || c == '\u{202e}')), "{text:?}");
    let output = folder.run(&["validate", "-c", "no\u{1b}[2J\nsuch"]);
    let text = stderr(&output);
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn times_without_a_zone_are_read_with_the_offset_that_holds_then() {
    let folder = Folder::new("zones");
    let of = |month: &str, number: u32| {
        format!(
            "<34>{month} 11 12:00:00 h a: x\n\
             2026-{number:02}-11 12:00:00 y\n\
             [Sun {month} 11 12:00:00 2026] [error] z\n\
             {{\"time\":\"2026-{number:02}-11 12:00:00\",\"msg\":\"x\"}}\n\
             time=\"2026-{number:02}-11 12:00:00\" msg=x level=info\n\
             {number:02}-11 12:00:00.000  1  2 I tag: hello\n\
             CEF:0|a|b|1|2|n|3|rt={month} 11 2026 12:00:00 msg=x\n"
        )
    };
    folder.file("summer.log", of("Jul", 7));
    folder.file("winter.log", of("Jan", 1));
    for (zone, summer, winter) in [
        ("Europe/Berlin", "10:00:00Z", "11:00:00Z"),
        ("America/New_York", "16:00:00Z", "17:00:00Z"),
        ("Australia/Sydney", "02:00:00Z", "01:00:00Z"),
        ("-05:30", "17:30:00Z", "17:30:00Z"),
    ] {
        for (log, time) in [("summer.log", summer), ("winter.log", winter)] {
            let set = format!("parse.timezone={zone}");
            let ended = folder.run(&["replay", log, "--events", "e", "-q", "--set", &set]);
            assert_eq!(code(&ended), 0, "{}", stderr(&ended));
            let events = fs::read_to_string(folder.0.join("e")).unwrap();
            assert_eq!(events.lines().count(), 7);
            for event in events.lines() {
                let event: serde_json::Value = serde_json::from_str(event).unwrap();
                let told = event["event_time"].as_str().unwrap();
                assert!(told.ends_with(time), "{zone}, {log}: {event}");
            }
        }
    }
}

#[test]
fn a_compressed_file_that_is_not_read_is_named_with_its_kind_however_small() {
    let folder = Folder::new("packed");
    folder.file("a.xz", b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4F\x02\0!\x01\n");
    folder.file("a.bz2", b"BZh91AY&SY\x12\x34\x56\n");
    for (file, kind) in [("a.xz", "xz"), ("a.bz2", "bzip2")] {
        let ended = folder.run(&["replay", file]);
        assert_eq!(code(&ended), 65, "{}", stderr(&ended));
        let said = stderr(&ended);
        assert!(said.contains(&format!("is compressed with {kind}")), "{said}");
        assert_eq!(said.lines().count(), 1, "told once: {said}");
    }
    folder.file("text.log", "one\ntwo\n");
    let ended = folder.run(&["replay", "text.log", "text.log", "--json"]);
    assert!(stderr(&ended).contains("is named twice, and read once"), "{}", stderr(&ended));
    let empty = folder.0.join("empty");
    fs::create_dir(&empty).unwrap();
    let ended = folder.run(&["replay", "empty"]);
    assert_eq!(code(&ended), 66, "{}", stderr(&ended));
    assert!(stderr(&ended).contains("nor a folder that holds one"), "{}", stderr(&ended));
}

#[test]
fn alerts_or_events_of_a_replay_can_go_to_standard_output_and_then_nothing_else_does() {
    let folder = Folder::new("outputs");
    let lines = |i: u32| format!("<34>Jul 11 12:00:00 h su[{i}]: FAILED su for root by mallory\n");
    folder.file("day.log", (0..50).map(lines).collect::<String>());
    let detection = "detection: {keywords: [mallory], condition: keywords}";
    let rule = format!("title: Mallory\nlogsource: {{product: linux}}\n{detection}\nlevel: high\n");
    folder.file("rule.yml", rule);
    let rules = "rules.dirs=[rule.yml]";
    for kept in [&[][..], &["--state", "st"]] {
        let events = |to: &str| {
            let mut args = vec!["replay", "day.log", "--events", to, "--set", rules];
            args.extend(kept);
            folder.run(&args)
        };
        let (to_file, printed) = (events("events.ndjson"), events("-"));
        assert_eq!(code(&to_file), 0, "{}", stderr(&to_file));
        assert_eq!(code(&printed), 0, "{}", stderr(&printed));
        let file = fs::read_to_string(folder.0.join("events.ndjson")).unwrap();
        assert_eq!(file.lines().count(), 50);
        assert_eq!(stdout(&printed), file);
        assert!(stdout(&to_file).contains("events"), "the summary: {}", stdout(&to_file));
        assert!(stderr(&printed).contains("templates"), "the summary: {}", stderr(&printed));
    }
    let printed = folder.run(&["replay", "day.log", "--alerts", "-", "--set", rules, "-q"]);
    let alert: serde_json::Value = serde_json::from_str(&stdout(&printed)).unwrap();
    assert_eq!(alert["title"], "Mallory", "one line, one alert: {alert}");
    assert!(!folder.0.join("-").exists() && !folder.0.join("-.part").exists());
    let both = folder.run(&["replay", "day.log", "--alerts", "-", "--json"]);
    assert_eq!(code(&both), 2, "{}", stderr(&both));
    assert!(stderr(&both).contains("--alerts -, --json"), "{}", stderr(&both));
    let nowhere = folder.run(&["replay", "day.log", "--events", "/dev/null"]);
    assert_eq!(code(&nowhere), 0, "{}", stderr(&nowhere));
}

#[test]
fn what_is_wrong_with_a_configuration_can_be_had_as_json() {
    let folder = Folder::new("verdict");
    folder.file("bad.yaml", "workers: x\ndetectoin: {}\n");
    folder.file("good.yaml", "workers: 2\ncorrelation:\n  max_entities: 5\n");
    let verdict = |file: &str| {
        let ended = folder.run(&["validate", "-c", file, "--json"]);
        let told: serde_json::Value = serde_json::from_str(&stdout(&ended)).unwrap();
        (code(&ended), told, stderr(&ended))
    };
    let (bad, told, said) = verdict("bad.yaml");
    assert_eq!((bad, said.as_str()), (78, ""), "{told}");
    assert_eq!(told["ok"], false);
    let errors = told["errors"].as_array().unwrap();
    let at: Vec<_> = errors.iter().map(|e| (e["line"].as_u64(), e["column"].as_u64())).collect();
    assert_eq!(at, [(Some(1), Some(10)), (Some(2), Some(1))], "{told}");
    assert!(errors[1].to_string().contains("detection"), "with a suggestion: {told}");
    let (good, told, said) = verdict("good.yaml");
    assert_eq!((good, said.as_str()), (0, ""), "{told}");
    assert_eq!((&told["ok"], &told["errors"]), (&true.into(), &serde_json::json!([])));
    let note = &told["notes"][0];
    assert!(note["message"].as_str().unwrap().contains("max_entities"), "{told}");
    assert_eq!(note["place"], "good.yaml:3:17");
}
