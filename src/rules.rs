//! Finds rules and pipelines, reads them, and makes of them what the engine works with.
//!
//! Rules come from `rules/builtin`, which is in the program, and from `rules.dirs`: folders with
//! all folders in them, single files, and archives (`.zip`, `.tar`, `.tar.gz`, `.tgz`,
//! `.tar.xz`). They are read in the order of their names, so the same files are the same set on
//! every machine. What cannot be used is one line of warning, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use operators::sigma::{
    self, Active, Diagnostic, Document, Gravity, Options, Parsed, Pipeline, Report, RuleSet,
    Status, fields,
};
use operators::types::Span;

use crate::config::settings::Settings;

/// How many bytes an archive may hold, unpacked; what comes after is not read.
pub const ARCHIVE_BYTES_MAX: u64 = 256 << 20;
/// How many files are read in all.
pub const FILES_MAX: usize = 200_000;
/// A longer file is no rule; that much is read, so that the reader of rules can say so.
const FILE_BYTES_MAX: u64 = sigma::yaml::BYTES_MAX as u64 + 1;

/// The rules that come with the program, by name.
pub static BUILTIN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/builtin_rules.rs"));

/// Rules and pipelines as they were found.
#[derive(Debug, Default)]
pub struct Loaded {
    /// What the engine works with.
    pub active: Active,
    /// What became of the documents.
    pub report: Report,
    /// How many rules were left out because they say that they are deprecated or unsupported.
    pub left_out: usize,
    /// What could not be read at all, in words.
    pub unreadable: Vec<String>,
}

/// A file and what is in it.
type Named = (String, Vec<u8>);

/// Loads what the configuration names.
#[must_use]
pub fn load(settings: &Settings) -> Loaded {
    let mut loaded = Loaded::default();
    let rules = &settings.rules;
    let mut files: Vec<Named> = Vec::new();
    if rules.builtin {
        files.extend(
            BUILTIN.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())),
        );
    }
    let folders: Vec<PathBuf> =
        rules.dirs.iter().chain(&settings.correlation.rule_dirs).cloned().collect();
    files.extend(read(&folders, &mut loaded.unreadable));
    let pipelines = pipelines(&rules.pipelines, &mut loaded);

    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut parsed = sigma::parse_all(&files, threads.min(8));
    drop(files);
    for file in &mut parsed {
        loaded.left_out += leave_out(file);
    }
    let options = Options { placeholders: BTreeMap::new() };
    let (set, mut report) = RuleSet::compile(parsed, &options);
    report.diagnostics.append(&mut loaded.report.diagnostics);
    loaded.report = report;
    let seconds = |seconds: u64| Span::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    let alerting = &settings.alerting;
    let windows = alerting.dedup_window_overrides.iter();
    let windows = windows.map(|(name, length)| (name.clone(), seconds(*length))).collect();
    let window = seconds(alerting.dedup_window_seconds);
    loaded.active = Active::new(set, pipelines, window, &windows);
    loaded
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

/// Leaves out rules that say themselves that they are not to be used; how many those are.
fn leave_out(file: &mut Parsed) -> usize {
    let before = file.documents.len();
    file.documents.retain(|document| match document {
        Document::Rule(rule) => {
            !matches!(rule.meta.status, Some(Status::Deprecated | Status::Unsupported))
        }
        _ => true,
    });
    before - file.documents.len()
}

/// The files with rules in folders and archives, each once, in the order of their names.
pub fn read(paths: &[PathBuf], unreadable: &mut Vec<String>) -> Vec<Named> {
    let mut files = Vec::new();
    let mut seen = BTreeSet::new();
    for path in paths {
        for entry in walkdir::WalkDir::new(path).follow_links(true).sort_by_file_name() {
            let entry = match entry {
                Ok(entry) if entry.file_type().is_file() => entry,
                Ok(_) => continue,
                Err(error) => {
                    unreadable.push(format!("rules cannot be read: {error}"));
                    continue;
                }
            };
            let Some(kind) = Kind::of(entry.path()) else { continue };
            if files.len() >= FILES_MAX {
                unreadable.push(format!(
                    "{}: not read, as there are more than {FILES_MAX} files",
                    entry.path().display()
                ));
                return files;
            }
            let real = entry.path().canonicalize().unwrap_or_else(|_| entry.path().to_owned());
            if !seen.insert(real) {
                continue;
            }
            let before = files.len();
            if let Err(error) = read_one(entry.path(), kind, &mut files) {
                unreadable.push(format!("{}: {error}", entry.path().display()));
            }
            files[before..].sort_by(|a, b| a.0.cmp(&b.0));
        }
    }
    files
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Yaml,
    Zip,
    Tar,
    TarGz,
    TarXz,
}

impl Kind {
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let kinds = [
            (".yml", Kind::Yaml),
            (".yaml", Kind::Yaml),
            (".zip", Kind::Zip),
            (".tar", Kind::Tar),
            (".tar.gz", Kind::TarGz),
            (".tgz", Kind::TarGz),
            (".tar.xz", Kind::TarXz),
            (".txz", Kind::TarXz),
        ];
        kinds.into_iter().find(|(end, _)| name.ends_with(end)).map(|(_, kind)| kind)
    }
}

fn read_one(path: &Path, kind: Kind, files: &mut Vec<Named>) -> io::Result<()> {
    let file = File::open(path)?;
    let label = path.display().to_string();
    match kind {
        Kind::Yaml => {
            let mut bytes = Vec::new();
            file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
            files.push((label, bytes));
            Ok(())
        }
        Kind::Zip => unzip(file, &label, files),
        Kind::Tar => untar(file, &label, files),
        Kind::TarGz => untar(flate2::read::MultiGzDecoder::new(file), &label, files),
        Kind::TarXz => {
            let mut tar = Capped { bytes: Vec::new() };
            lzma_rs::xz_decompress(&mut BufReader::new(file), &mut tar)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{error}")))?;
            untar(&tar.bytes[..], &label, files)
        }
    }
}

/// Takes no more than [`ARCHIVE_BYTES_MAX`].
struct Capped {
    bytes: Vec<u8>,
}

impl Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() as u64 + bytes.len() as u64 > ARCHIVE_BYTES_MAX {
            return Err(too_large());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn too_large() -> io::Error {
    let reason = format!("the archive holds more than {ARCHIVE_BYTES_MAX} bytes");
    io::Error::new(io::ErrorKind::FileTooLarge, reason)
}

fn untar(reader: impl Read, label: &str, files: &mut Vec<Named>) -> io::Result<()> {
    let mut archive = tar::Archive::new(reader.take(ARCHIVE_BYTES_MAX));
    for entry in archive.entries()? {
        let entry = entry?;
        let path = entry.path()?.into_owned();
        if !entry.header().entry_type().is_file() || Kind::of(&path) != Some(Kind::Yaml) {
            continue;
        }
        if files.len() >= FILES_MAX {
            return Err(io::Error::other(format!("there are more than {FILES_MAX} files")));
        }
        let name = path.strip_prefix(".").unwrap_or(&path).display();
        let name = format!("{label}/{name}");
        let mut bytes = Vec::new();
        entry.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        files.push((name, bytes));
    }
    Ok(())
}

fn unzip(file: File, label: &str, files: &mut Vec<Named>) -> io::Result<()> {
    let mut archive = zip::ZipArchive::new(BufReader::new(file))?;
    let mut left = ARCHIVE_BYTES_MAX;
    for index in 0..archive.len() {
        let entry = archive.by_index(index)?;
        // A name in no known encoding is no name that ends in `.yml`.
        let Ok(name) = entry.name().map(std::borrow::Cow::into_owned) else { continue };
        if !entry.is_file() || Kind::of(Path::new(&name)) != Some(Kind::Yaml) {
            continue;
        }
        if files.len() >= FILES_MAX {
            return Err(io::Error::other(format!("there are more than {FILES_MAX} files")));
        }
        let name = format!("{label}/{name}");
        let mut bytes = Vec::new();
        entry.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        left = left.checked_sub(bytes.len() as u64).ok_or_else(too_large)?;
        files.push((name, bytes));
    }
    Ok(())
}

/// The pipelines in files and folders, in the order of their names.
fn pipelines(paths: &[PathBuf], loaded: &mut Loaded) -> Vec<Pipeline> {
    let mut pipelines = Vec::new();
    for (name, bytes) in read(paths, &mut loaded.unreadable) {
        let (read, said) = fields::parse(&name, &bytes);
        pipelines.extend(read);
        loaded.report.diagnostics.extend(said);
    }
    pipelines
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = "title: t\nlogsource: {product: linux}\ndetection: {a: [x], condition: a}\n";

    fn names(dir: &Path) -> (Vec<String>, Vec<String>) {
        let mut unreadable = Vec::new();
        let files = read(&[dir.to_owned(), dir.to_owned()], &mut unreadable);
        let prefix = format!("{}/", dir.display());
        (files.into_iter().map(|(name, _)| name.replace(&prefix, "")).collect(), unreadable)
    }

    #[test]
    fn folders_and_archives_are_read_in_the_order_of_names_and_each_file_once() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("b/c")).unwrap();
        for name in ["z.yml", "b/c/x.yaml", "b/a.yml", "b/readme.md", "b/a.cases.jsonl"] {
            std::fs::write(at(name), RULE).unwrap();
        }
        let mut tar = tar::Builder::new(Vec::new());
        for name in ["./two.yml", "one.yml", "three.txt"] {
            let mut header = tar::Header::new_gnu();
            header.set_size(RULE.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, RULE.as_bytes()).unwrap();
        }
        let tar = tar.into_inner().unwrap();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&tar).unwrap();
        std::fs::write(at("c.tar.gz"), gz.finish().unwrap()).unwrap();
        let mut xz = Vec::new();
        lzma_rs::xz_compress(&mut &tar[..], &mut xz).unwrap();
        std::fs::write(at("d.tar.xz"), xz).unwrap();
        std::fs::write(at("broken.zip"), b"PK, and no more").unwrap();
        let (read, unreadable) = names(dir.path());
        assert_eq!(
            read,
            [
                "b/a.yml",
                "b/c/x.yaml",
                "c.tar.gz/one.yml",
                "c.tar.gz/two.yml",
                "d.tar.xz/one.yml",
                "d.tar.xz/two.yml",
                "z.yml"
            ]
        );
        assert_eq!(unreadable.len(), 1);
        assert!(unreadable[0].contains("broken.zip: "), "{unreadable:?}");
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
    fn every_rule_that_comes_with_the_program_is_right() {
        let settings = crate::config::load(&Default::default()).unwrap().settings;
        let loaded = load(&settings);
        assert_eq!(loaded.warnings().collect::<Vec<_>>(), [""; 0]);
        assert_eq!(loaded.report.rules + loaded.report.correlations, BUILTIN.len());
        for rule in loaded.active.rules.rules() {
            let meta = &rule.meta;
            assert!(meta.id.is_some() && meta.level.is_some(), "{}", meta.title);
            assert!(meta.tags.iter().any(|tag| tag.starts_with("attack.t")), "{}", meta.title);
        }
    }
}
