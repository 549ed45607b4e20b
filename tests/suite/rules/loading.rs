//! Where rules come from: folders, archives of every kind, bombs, and what is not there.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use lzma_rust2::{XzOptions, XzWriter};
use serde_json::Value;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::broken::{GOOD, run_within};
use super::{folder, id, line, objects, run, said};
use crate::harness;

/// All kinds of archives, by the end of their names.
const ARCHIVES: [&str; 8] = ["zip", "tar", "tar.gz", "tgz", "tar.xz", "txz", "tar.zst", "tzst"];
/// More than an archive may hold.
const TOO_MUCH: u64 = 300 << 20;

/// The rule with this number, which asks for a keyword.
fn rule(number: usize) -> String {
    GOOD.replace("Good", &format!("Good {number}"))
        .replace("00000000-0000-4000-8000-000000000000", &id(number))
        .replace("    A: x\n", &format!("    - needle{number:05}z\n"))
}

/// Writes a file, packed as the end of its name says.
fn packed(path: &Path, write: impl FnOnce(&mut dyn Write)) {
    let mut file = File::create(path).unwrap();
    let name = path.to_str().unwrap();
    if name.ends_with("gz") {
        let mut gz = GzEncoder::new(file, Compression::fast());
        write(&mut gz);
        gz.finish().unwrap();
    } else if name.ends_with("xz") {
        let mut xz = XzWriter::new(file, XzOptions::with_preset(0)).unwrap();
        write(&mut xz);
        xz.finish().unwrap();
    } else if name.ends_with("zst") {
        let mut zst = zstd::Encoder::new(file, 1).unwrap();
        write(&mut zst);
        zst.finish().unwrap();
    } else {
        write(&mut file);
    }
}

/// Writes an archive of the kind that its name says: names, lengths and contents.
fn archive(path: &Path, entries: Vec<(&str, u64, Box<dyn Read>)>) {
    if path.extension().is_some_and(|extension| extension == "zip") {
        let mut zip = ZipWriter::new(File::create(path).unwrap());
        for (name, _, mut content) in entries {
            zip.start_file(name, SimpleFileOptions::default()).unwrap();
            io::copy(&mut content, &mut zip).unwrap();
        }
        zip.finish().unwrap();
        return;
    }
    packed(path, |to| {
        let mut tar = tar::Builder::new(to);
        for (name, length, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(length);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, content).unwrap();
        }
        tar.finish().unwrap();
    });
}

fn entry<'n>(name: &'n str, content: &str) -> (&'n str, u64, Box<dyn Read>) {
    let bytes = content.as_bytes().to_vec();
    (name, bytes.len() as u64, Box::new(io::Cursor::new(bytes)))
}

/// What there is of a byte, for very long.
fn flood(name: &str, byte: u8) -> (&str, u64, Box<dyn Read>) {
    (name, TOO_MUCH, Box::new(io::repeat(byte).take(TOO_MUCH)))
}

#[test]
fn rules_in_archives_of_every_kind_are_used_like_those_in_folders() {
    let dir = harness::folder();
    let all = dir.path().join("all/of/them");
    fs::create_dir_all(&all).unwrap();
    fs::write(all.join("plain.yml"), rule(0)).unwrap();
    let mut log = String::from("Nov 22 13:38:00 web app: a needle00000z in the hay\n");
    let mut files = vec!["all/of/them/plain.yml".to_owned()];
    for (number, kind) in (1..).zip(ARCHIVES) {
        let inner = rule(90);
        archive(
            &all.join(format!("{number}.{kind}")),
            vec![
                entry("readme.md", "# none"),
                entry("deep/er/rule.yml", &rule(number)),
                entry("deep/er/rule.cases.jsonl", ""),
                entry("within.zip", &inner),
                entry("top.YAML", "title: no rule\n"),
            ],
        );
        files.push(format!("all/of/them/{number}.{kind}/deep/er/rule.yml"));
        log += &format!("Nov 22 13:38:00 web app: a needle{number:05}z in the hay\n");
    }
    files.sort();
    let found = objects(dir.path(), &["rules", "lint", "all"], 1);
    let summary = found.last().unwrap();
    assert_eq!((&summary["rules"], &summary["errors"]), (&9.into(), &8.into()), "{found:#?}");
    assert!(found[0]["file"].as_str().unwrap().ends_with("/top.YAML"), "{found:#?}");
    let set = ["--set", "rules.dirs=[all]", "--set", "rules.builtin=false"];
    let listed = objects(dir.path(), &[&["rules", "list"][..], &set].concat(), 0);
    let listed: Vec<&str> = listed.iter().map(|rule| rule["file"].as_str().unwrap()).collect();
    assert_eq!(listed, files);
    let shown = objects(dir.path(), &[&["rules", "show", "Good 5"][..], &set].concat(), 0);
    assert_eq!(shown[0]["text"], rule(5));

    fs::write(dir.path().join("day.log"), &log).unwrap();
    let replay = ["replay", "day.log", "--quiet", "--events", "events"];
    said(dir.path(), &[&replay[..], &set].concat(), 0);
    let events = fs::read_to_string(dir.path().join("events")).unwrap();
    assert_eq!(events.lines().count(), 9);
    for (number, event) in events.lines().enumerate() {
        let event: Value = serde_json::from_str(event).unwrap();
        assert_eq!(event["sigma"][0]["id"], id(number), "{event}");
    }
    // An archive may be named itself, and by another archive's side.
    let one = said(dir.path(), &["rules", "list", "all/of/them/5.tar.xz"], 0);
    assert_eq!(one.lines().count(), 1, "{one}");
}

#[test]
fn a_bomb_costs_bounded_time_and_memory_and_itself_only() {
    let dir = harness::folder();
    let at = |name: &str| dir.path().join("r").join(name);
    fs::create_dir(dir.path().join("r")).unwrap();
    fs::write(at("good.yml"), rule(0)).unwrap();
    let late = rule(7);
    let mut bombs = BTreeSet::new();
    for kind in ["tar", "tar.gz", "tar.xz", "tar.zst"] {
        // Of what nobody asked for, and of a rule that does not end.
        for (name, byte) in [("big.bin", 0), ("big.yml", b'#')] {
            if kind == "tar" {
                continue;
            }
            let path = at(&format!("{name}.{kind}"));
            archive(&path, vec![flood(name, byte), entry("late.yml", &late)]);
            assert!(path.metadata().unwrap().len() < TOO_MUCH / 64, "it is small");
            bombs.insert(format!("r/{name}.{kind}"));
        }
    }
    // A zip is read by its list of files: one is cut, and many are too many.
    archive(&at("one.zip"), vec![flood("big.yml", b'#'), entry("late.yml", &rule(8))]);
    let names: Vec<String> = (0..300).map(|number| format!("{number}.yml")).collect();
    let floods = names.iter().map(|name| {
        let content: Box<dyn Read> = Box::new(io::repeat(b'#').take(1 << 20));
        (name.as_str(), 1 << 20, content)
    });
    archive(&at("many.zip"), floods.collect());
    bombs.insert("r/many.zip".to_owned());
    // And what is no archive at all, or ends early.
    fs::write(at("no.tar.xz"), "no").unwrap();
    let whole = fs::read(at("big.bin.tar.zst")).unwrap();
    fs::write(at("half.tar.zst"), &whole[..whole.len() / 2]).unwrap();
    fs::write(at("half.zip"), &fs::read(at("one.zip")).unwrap()[..10_000]).unwrap();

    let started = Instant::now();
    let output = run_within(dir.path(), 1 << 20, &["rules", "lint", "r", "--json"]);
    let took = started.elapsed();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(took < Duration::from_secs(60), "{took:?}");
    println!("{} bombs in {took:?}", bombs.len());
    let text = String::from_utf8(output.stdout).unwrap();
    let found: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let unreadable: Vec<&str> = found
        .iter()
        .filter_map(|said| said["reason"].as_str().filter(|_| said["type"] == "unreadable"))
        .collect();
    let too_large =
        unreadable.iter().filter(|said| said.contains("holds more than 268435456 bytes"));
    let named: BTreeSet<String> =
        too_large.map(|said| said.split(": ").next().unwrap().to_owned()).collect();
    assert_eq!(named, bombs, "{unreadable:#?}");
    for name in ["r/no.tar.xz: ", "r/half.tar.zst: ", "r/half.zip: "] {
        let count = unreadable.iter().filter(|said| said.starts_with(name)).count();
        assert_eq!(count, 1, "{name}: {unreadable:#?}");
    }
    assert_eq!(unreadable.len(), bombs.len() + 3, "{unreadable:#?}");
    let refused: BTreeSet<&str> = found
        .iter()
        .filter(|said| said["gravity"] == "error")
        .map(|said| said["code"].as_str().unwrap())
        .collect();
    // The many are remarks and nothing else.
    assert_eq!(refused, BTreeSet::from(["empty-file", "too-large"]));
    assert_eq!(found.last().unwrap()["rules"], 2, "the one beside, and the one of the zip");

    fs::write(dir.path().join("day.log"), "Nov 22 13:38:00 web app: needle00000z\n").unwrap();
    let set = ["--set", "rules.dirs=[r]", "--set", "rules.builtin=false"];
    let output = run(dir.path(), &[&["replay", "day.log", "--json"][..], &set].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let warned = stderr.lines().filter(|line| line.contains("WARN")).count();
    assert!(warned >= unreadable.len(), "{stderr}");
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["alerts"], 1, "{summary}");
}

#[test]
fn what_is_named_for_rules_and_is_not_there_is_a_wrong_configuration() {
    let dir = folder();
    let config = "rules:\n  dirs:\n    - r\n    - gone\n  pipelines: [no.yaml, day.log]\n";
    fs::write(dir.path().join("seerflow.yaml"), config).unwrap();
    fs::write(dir.path().join("day.log"), line(0, "ann", "root", "/bin/zsh")).unwrap();
    let told = |arguments: &[&str]| {
        let output = run(dir.path(), arguments);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), output.stdout.len()),
            (Some(78), 0),
            "{arguments:?}: {stderr}"
        );
        stderr
    };
    for arguments in [
        &["validate"][..],
        &["run", "--quiet"],
        &["replay", "day.log", "-q"],
        &["rules", "list"],
        &["rules", "lint", "r"],
        &["rules", "show", "sudo"],
        &["rules", "test"],
        &["rules", "test", "r", "--against", "day.log"],
        &["rules", "coverage"],
        &["explain", "--line", "x"],
    ] {
        let stderr = told(arguments);
        for part in [
            "`rules.dirs[1]`: there is no `gone`",
            "seerflow.yaml:4:7",
            "`rules.pipelines[0]`: there is no `no.yaml`",
            "seerflow.yaml:5:15",
            "`rules.pipelines[1]`: `day.log` is no folder and no rules",
            "seerflow.yaml:5:24",
            "3 errors; nothing was started",
        ] {
            assert!(stderr.contains(part), "{arguments:?}: {part} is not in {stderr}");
        }
        assert!(!stderr.contains("`r`"), "{stderr}");
    }
    assert!(!dir.path().join("seerflow-data").exists(), "nothing was started");
    // What does not read rules does not mind.
    assert_eq!(run(dir.path(), &["query", "alerts", "--state", "none"]).status.code(), Some(66));

    fs::remove_file(dir.path().join("seerflow.yaml")).unwrap();
    let stderr =
        told(&["replay", "day.log", "-q", "--set", "detection.sigma_rules_dirs=[nowhere]"]);
    assert!(stderr.contains("`rules.dirs[0]`: there is no `nowhere`"), "{stderr}");
    assert!(stderr.contains("--set detection.sigma_rules_dirs"), "{stderr}");
    let stderr = told(&["validate", "--set", "correlation.rule_dirs=[/nowhere]"]);
    assert!(stderr.contains("`correlation.rule_dirs[0]`: there is no `/nowhere`"), "{stderr}");
}
