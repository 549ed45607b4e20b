//! Finds rules and pipelines, reads them, and makes of them what the engine works with.
//!
//! Rules come from `rules/builtin`, which is in the program, and from `rules.dirs`: folders with
//! all folders in them, single files, and archives (`.zip`, `.tar`, `.tar.gz`, `.tar.xz`,
//! `.tar.zst`; not those within archives). They are read in the order of their names, so the same
//! files are the same set on every machine. What cannot be used is one line of warning, and nothing
//! else.

pub mod files;
pub mod library;
pub mod reload;

use std::collections::BTreeMap;
use std::sync::Arc;

use operators::sigma::{
    Active, Diagnostic, Document, Gravity, Meta, Options, Parsed, Pipeline, Report, RuleSet,
    Status, fields,
};
use operators::types::Span;

use self::files::{Files, Named, Want};
use crate::config::settings::Settings;

/// The rules that come with the program, by name.
pub static BUILTIN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/builtin_rules.rs"));
/// Their cases, by name.
pub static BUILTIN_CASES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/builtin_cases.rs"));

/// Rules and pipelines as they were found.
#[derive(Debug, Default)]
pub struct Loaded {
    /// What the engine works with.
    pub active: Active,
    /// What became of the documents.
    pub report: Report,
    /// How many documents there are, as far as files could be read.
    pub documents: usize,
    /// How many documents were left out because they say that they are deprecated or unsupported.
    pub left_out: usize,
    /// What could not be read at all, in words.
    pub unreadable: Vec<String>,
}

/// All that the engine's rules are made of, so that they can be made again.
#[derive(Debug, Default)]
pub struct Material {
    /// Files of rules.
    pub files: Files,
    /// Files of pipelines.
    pub pipelines: Vec<Named>,
    /// What placeholders stand for, by name.
    pub placeholders: BTreeMap<String, Vec<String>>,
    /// For how many seconds findings of a rule are one incident.
    pub window_s: u64,
    /// The same for single rules, by id, name or title.
    pub windows_s: BTreeMap<String, u64>,
}

impl Material {
    /// What the configuration names.
    #[must_use]
    pub fn configured(settings: &Settings) -> Self {
        Material::new(Files::configured(settings, Want::Rules), settings)
    }

    /// These rules, and everything else as the configuration has it.
    fn new(mut files: Files, settings: &Settings) -> Self {
        let pipelines = files::read(&settings.rules.pipelines, Want::Rules, &mut files.unreadable);
        let alerting = &settings.alerting;
        let windows_s = alerting.dedup_window_overrides.iter();
        let windows_s = windows_s.map(|(name, length)| (name.clone(), *length)).collect();
        let placeholders = settings.rules.placeholders.clone();
        let window_s = alerting.dedup_window_seconds;
        Material { files, pipelines, placeholders, window_s, windows_s }
    }

    /// Makes of it what the engine works with.
    #[must_use]
    pub fn compile(&self) -> Loaded {
        let mut loaded = self.compile_documents(self.files.parse());
        loaded.active.digest = library::digest(self);
        loaded
    }

    fn compile_documents(&self, mut parsed: Vec<Parsed>) -> Loaded {
        let unreadable = self.files.unreadable.clone();
        let mut loaded = Loaded { unreadable, ..Loaded::default() };
        let pipelines = pipelines(&self.pipelines, &mut loaded);
        let replaced = replace_bundled(&mut parsed);
        for file in &mut parsed {
            let broken = file.diagnostics.iter().filter(|said| said.gravity == Gravity::Error);
            loaded.documents += file.documents.len() + broken.count();
            loaded.left_out += leave_out(file);
        }
        let options = Options { placeholders: self.placeholders.clone() };
        let (set, mut report) = RuleSet::compile(parsed, &options);
        report.diagnostics.append(&mut loaded.report.diagnostics);
        report.diagnostics.extend(replaced);
        loaded.report = report;
        let seconds = |seconds: u64| Span::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
        let windows = self.windows_s.iter();
        let windows = windows.map(|(name, length)| (name.clone(), seconds(*length))).collect();
        loaded.active = Active::new(set, pipelines, seconds(self.window_s), &windows);
        loaded
    }
}

/// Loads what the configuration names.
#[must_use]
pub fn load(settings: &Settings) -> Loaded {
    Material::configured(settings).compile()
}

/// Makes of documents what the engine works with, with the pipelines that the configuration
/// names. `unreadable` is what could not be read before.
#[must_use]
pub fn compile(parsed: Vec<Parsed>, unreadable: Vec<String>, settings: &Settings) -> Loaded {
    let files = Files { unreadable, ..Files::default() };
    Material::new(files, settings).compile_documents(parsed)
}

/// What is wrong with the pipelines that the configuration names, a line each.
#[must_use]
pub fn faults_of_pipelines(settings: &Settings) -> Vec<String> {
    let mut loaded = Loaded::default();
    let files = files::read(&settings.rules.pipelines, Want::Rules, &mut loaded.unreadable);
    pipelines(&files, &mut loaded);
    loaded.warnings().collect()
}

impl Loaded {
    /// One line for each thing that cannot be used.
    pub fn warnings(&self) -> impl Iterator<Item = String> + '_ {
        let errors = self.report.diagnostics.iter().filter(|one| one.gravity == Gravity::Error);
        self.unreadable.iter().cloned().chain(errors.map(line))
    }
}

/// A diagnostic on one line.
fn line(diagnostic: &Diagnostic) -> String {
    diagnostic.to_string().replace("\n  hint: ", "; ").replace('\n', " ")
}

/// Leaves out documents that say themselves that they are not to be used, and what there is to say
/// of them; how many those are.
fn leave_out(file: &mut Parsed) -> usize {
    let is_used = |document: &Document| {
        let status = meta(document).status;
        !matches!(status, Some(Status::Deprecated | Status::Unsupported))
    };
    let whole = file.documents.len();
    file.documents.retain(is_used);
    let broken = |said: &&Diagnostic| said.retired && said.gravity == Gravity::Error;
    let broken = file.diagnostics.iter().filter(broken).count();
    file.diagnostics.retain(|said| !said.retired);
    whole - file.documents.len() + broken
}

/// What the names of the files of rules begin with that come with the program.
const BUNDLED: &str = "rules/builtin/";

/// Leaves out those of the rules that come with the program whose id a rule from elsewhere has:
/// who copies a rule to change it means his own. Says so.
fn replace_bundled(parsed: &mut [Parsed]) -> Vec<Diagnostic> {
    let all = parsed.iter().flat_map(|file| &file.documents).map(meta);
    let own = all.filter(|meta| !meta.file.starts_with(BUNDLED));
    let own: BTreeMap<String, Meta> =
        own.filter_map(|meta| Some((meta.id.clone()?, meta.clone()))).collect();
    let mut said = Vec::new();
    for file in parsed {
        file.documents.retain(|document| {
            let bundled = meta(document);
            let id = bundled.id.as_ref().filter(|_| bundled.file.starts_with(BUNDLED));
            let Some(instead) = id.and_then(|id| own.get(id)) else { return true };
            said.push(Diagnostic {
                file: Arc::clone(&instead.file),
                at: instead.at,
                gravity: Gravity::Note,
                code: "replaces-bundled",
                reason: format!("this rule takes the place of {}", bundled.file),
                hint: None,
                rule: Some(instead.title.clone()),
                retired: false,
            });
            false
        });
    }
    said
}

/// What a document of any kind says of itself.
#[must_use]
pub fn meta(document: &Document) -> &Meta {
    match document {
        Document::Rule(rule) => &rule.meta,
        Document::Correlation(correlation) => &correlation.meta,
        Document::Filter(filter) => &filter.meta,
    }
}

/// The pipelines in files, in their order.
fn pipelines(files: &[Named], loaded: &mut Loaded) -> Vec<Pipeline> {
    let mut pipelines = Vec::new();
    for (name, bytes) in files {
        let (read, said) = fields::parse(name, bytes);
        pipelines.extend(read);
        loaded.report.diagnostics.extend(said);
    }
    pipelines
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = "title: t\nlogsource: {product: linux}\ndetection: {a: [x], condition: a}\n";

    #[test]
    fn what_says_that_it_is_not_to_be_used_is_left_out_even_if_it_is_broken() {
        let retired = ["deprecated", "Unsupported"];
        let text = |status: &str, rule: &str| format!("status: {status}\n{rule}");
        let broken = RULE.replace("{a: [x]", "{a: {f|containz: x}");
        let texts = retired.iter().flat_map(|status| [text(status, RULE), text(status, &broken)]);
        let texts: Vec<String> = texts.chain([text("test", RULE), text("test", &broken)]).collect();
        let named = |(at, text): (usize, String)| (format!("{at}.yml"), text.into_bytes());
        let rules = texts.into_iter().enumerate().map(named).collect();
        let files = Files { rules, ..Files::default() };
        let settings = crate::config::load(&Default::default()).unwrap().settings;
        let loaded = compile(files.parse(), Vec::new(), &settings);
        assert_eq!((loaded.documents, loaded.left_out), (6, 4));
        assert_eq!((loaded.report.rules, loaded.report.refused), (1, 1));
        assert_eq!(loaded.warnings().count(), 1);
    }

    #[test]
    fn a_bad_rule_is_one_line_and_the_others_are_used() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("good.yml"), RULE).unwrap();
        let bad = RULE.replace("{a: [x]", "{a: {f|containz: x}");
        std::fs::write(dir.path().join("bad.yml"), bad).unwrap();
        let mut settings = crate::config::load(&Default::default()).unwrap().settings;
        settings.rules.dirs = vec![dir.path().to_owned(), dir.path().join("none")];
        settings.rules.builtin = false;
        let loaded = load(&settings);
        assert_eq!((loaded.report.rules, loaded.report.refused), (1, 1));
        let warnings: Vec<String> = loaded.warnings().collect();
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[1].contains("bad.yml:3:17: error: "), "{warnings:?}");
        assert!(warnings.iter().all(|line| !line.contains('\n')));
    }

    #[test]
    fn a_faulty_pipeline_is_named_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.yaml");
        std::fs::write(&path, "name: p\nmatch: {format: jsn}\n").unwrap();
        let mut settings = crate::config::load(&Default::default()).unwrap().settings;
        assert_eq!(faults_of_pipelines(&settings), [""; 0]);
        settings.rules.pipelines = vec![path];
        let faults = faults_of_pipelines(&settings);
        assert!(faults.len() == 1 && faults[0].contains("p.yaml:2:"), "{faults:?}");
    }

    #[test]
    fn a_rule_with_the_id_of_a_bundled_one_takes_its_place() {
        let (name, text) = BUILTIN.iter().find(|(_, text)| text.contains("level: high")).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let own = text.replace("level: high", "level: low").replace("title: ", "title: Own ");
        std::fs::write(dir.path().join("own.yml"), own).unwrap();
        let mut settings = crate::config::load(&Default::default()).unwrap().settings;
        let bundled = load(&settings).report.rules;
        settings.rules.dirs = vec![dir.path().to_owned()];
        let loaded = load(&settings);
        assert_eq!((loaded.report.rules, loaded.report.refused), (bundled, 0));
        assert_eq!(loaded.warnings().count(), 0);
        let own =
            loaded.active.rules.rules().iter().filter(|rule| rule.meta.title.starts_with("Own"));
        assert_eq!(own.count(), text.matches("title: ").count());
        let said = loaded.report.diagnostics.iter().find(|said| said.code == "replaces-bundled");
        assert!(said.unwrap().reason.ends_with(name), "{said:?}");
    }

    #[test]
    fn every_rule_that_comes_with_the_program_is_right() {
        let settings = crate::config::load(&Default::default()).unwrap().settings;
        let loaded = load(&settings);
        assert_eq!(loaded.warnings().collect::<Vec<_>>(), [""; 0]);
        let documents =
            |text: &str| text.lines().filter(|line| line.starts_with("title: ")).count();
        let written: usize = BUILTIN.iter().map(|(_, text)| documents(text)).sum();
        assert_eq!(loaded.report.rules + loaded.report.correlations, written);
        let rules = &loaded.active.rules;
        let correlations = rules.correlations().iter().map(|one| &one.correlation.meta);
        let mut ids = std::collections::BTreeSet::new();
        for meta in rules.rules().iter().map(|rule| &rule.meta).chain(correlations) {
            assert!(meta.id.is_some() && meta.level.is_some(), "{}", meta.title);
            assert!(ids.insert(&meta.id), "{}: the id of another", meta.title);
            let (tactics, techniques) = operators::sigma::finding::attack(&meta.tags);
            assert!(!tactics.is_empty() && !techniques.is_empty(), "{}", meta.title);
            assert_eq!(tactics.len() + techniques.len(), meta.tags.len(), "{}", meta.title);
        }
    }
}
