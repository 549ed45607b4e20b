//! Finds the files of rules in folders and archives, and reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use lzma_rust2::XzReader;
use operators::sigma::{self, Parsed};

use super::{BUILTIN, BUILTIN_CASES};
use crate::config::settings::Settings;

/// How many bytes an archive may hold, unpacked; what comes after is not read.
pub const ARCHIVE_BYTES_MAX: u64 = 256 << 20;
/// How much memory unpacking `.xz` may take, in KiB: what is packed with `xz -9` takes 65 MiB.
const XZ_MEMORY_KIB: u32 = 128 << 10;
/// How many files are read in all.
pub const FILES_MAX: usize = 200_000;
/// How long a file of cases may be, in bytes; what comes after is not read.
pub const CASES_BYTES_MAX: u64 = 16 << 20;
/// A longer file is no rule; that much is read, so that the reader of rules can say so.
const FILE_BYTES_MAX: u64 = sigma::yaml::BYTES_MAX as u64 + 1;
/// What the files of cases end in.
const CASES: &str = ".cases.jsonl";
/// More threads than these do not read rules faster.
const THREADS_MAX: usize = 8;

/// A file and what is in it.
pub type Named = (String, Vec<u8>);

/// What is wanted of folders and archives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Rules.
    Rules,
    /// Rules, and the cases beside them.
    Cases,
}

/// Files of rules as they were found.
#[derive(Debug, Default)]
pub struct Files {
    /// Rules, by the name of their file.
    pub rules: Vec<Named>,
    /// Cases, by the name of their file.
    pub cases: BTreeMap<String, Vec<u8>>,
    /// What could not be read at all, in words.
    pub unreadable: Vec<String>,
}

impl Files {
    /// What the configuration names: the rules that come with the program, and those of folders.
    #[must_use]
    pub fn configured(settings: &Settings, want: Want) -> Self {
        let rules = &settings.rules;
        let folders: Vec<PathBuf> =
            rules.dirs.iter().chain(&settings.correlation.rule_dirs).cloned().collect();
        let mut files = Files::at(&folders, want);
        if rules.builtin {
            let owned =
                |(name, text): &(&str, &str)| ((*name).to_owned(), text.as_bytes().to_vec());
            files.rules.splice(0..0, BUILTIN.iter().map(owned));
            if want == Want::Cases {
                files.cases.extend(BUILTIN_CASES.iter().map(owned));
            }
        }
        files
    }

    /// What is in folders, files and archives: each file once, in the order of their names. The
    /// cases of a file stand beside it.
    #[must_use]
    pub fn at(paths: &[PathBuf], want: Want) -> Self {
        let mut files = Files::default();
        let mut all = paths.to_vec();
        if want == Want::Cases {
            let beside = paths.iter().filter(|path| Kind::of(path) == Some(Kind::Yaml));
            let beside = beside.map(|path| path.with_extension(&CASES[1..]));
            all.extend(beside.filter(|path| path.is_file()));
        }
        files.rules = read(&all, want, &mut files.unreadable);
        if want == Want::Cases {
            let is_cases = |(name, _): &Named| name.to_ascii_lowercase().ends_with(CASES);
            let (cases, rules) = std::mem::take(&mut files.rules).into_iter().partition(is_cases);
            files.rules = rules;
            files.cases = Vec::into_iter(cases).collect();
        }
        files
    }

    /// Reads the documents of all files of rules, file by file.
    #[must_use]
    pub fn parse(&self) -> Vec<Parsed> {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        sigma::parse_all(&self.rules, threads.min(THREADS_MAX))
    }

    /// What the file of rules with this name holds.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let found = self.rules.iter().find(|(known, _)| known == name);
        found.and_then(|(_, bytes)| std::str::from_utf8(bytes).ok())
    }

    /// The cases of the file of rules with this name, and the name of their file.
    #[must_use]
    pub fn cases_of(&self, name: &str) -> Option<(&str, &[u8])> {
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let found = self.cases.get_key_value(&format!("{stem}{CASES}"));
        found.map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }
}

/// What is wrong with an archive, if it cannot be read whole.
#[must_use]
pub fn fault_of_archive(path: &Path) -> Option<String> {
    Kind::of(path).filter(|kind| kind.bytes_max().is_none())?;
    let mut unreadable = Vec::new();
    read(&[path.to_owned()], Want::Rules, &mut unreadable);
    unreadable.into_iter().next()
}

/// Whether a file of this name can hold rules.
#[must_use]
pub fn can_hold_rules(path: &Path) -> bool {
    Kind::of(path).is_some_and(|kind| kind != Kind::Cases)
}

/// The files in folders and archives, each once, in the order of their names.
pub(super) fn read(paths: &[PathBuf], want: Want, unreadable: &mut Vec<String>) -> Vec<Named> {
    let mut files = Vec::new();
    let mut seen = BTreeSet::new();
    for path in paths {
        let all = walkdir::WalkDir::new(path).follow_links(true).sort_by_file_name();
        // What is hidden in a folder is of tools: of git, of editors.
        let is_hidden = |entry: &walkdir::DirEntry| {
            entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".")
        };
        for entry in all.into_iter().filter_entry(|entry| !is_hidden(entry)) {
            let entry = match entry {
                Ok(entry) if entry.file_type().is_file() => entry,
                Ok(_) => continue,
                Err(error) => {
                    unreadable.push(format!("rules cannot be read: {error}"));
                    continue;
                }
            };
            let Some(kind) = Kind::wanted(entry.path(), want) else { continue };
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
            if let Err(error) = read_one(entry.path(), kind, want, &mut files) {
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
    Cases,
    Zip,
    Tar,
    TarGz,
    TarXz,
    TarZst,
}

impl Kind {
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let kinds = [
            (CASES, Kind::Cases),
            (".yml", Kind::Yaml),
            (".yaml", Kind::Yaml),
            (".zip", Kind::Zip),
            (".tar", Kind::Tar),
            (".tar.gz", Kind::TarGz),
            (".tgz", Kind::TarGz),
            (".tar.xz", Kind::TarXz),
            (".txz", Kind::TarXz),
            (".tar.zst", Kind::TarZst),
            (".tzst", Kind::TarZst),
        ];
        kinds.into_iter().find(|(end, _)| name.ends_with(end)).map(|(_, kind)| kind)
    }

    fn wanted(path: &Path, want: Want) -> Option<Self> {
        Kind::of(path).filter(|kind| want == Want::Cases || *kind != Kind::Cases)
    }

    /// How much of a file is read, if it is one of a folder and not an archive.
    fn bytes_max(self) -> Option<u64> {
        match self {
            Kind::Yaml => Some(FILE_BYTES_MAX),
            Kind::Cases => Some(CASES_BYTES_MAX),
            Kind::Zip | Kind::Tar | Kind::TarGz | Kind::TarXz | Kind::TarZst => None,
        }
    }

    /// How much of a file in an archive is read, if it is wanted.
    fn inner(path: &Path, want: Want) -> Option<u64> {
        Kind::wanted(path, want).and_then(Kind::bytes_max)
    }
}

fn read_one(path: &Path, kind: Kind, want: Want, files: &mut Vec<Named>) -> io::Result<()> {
    let file = File::open(path)?;
    let label = path.display().to_string();
    match kind {
        Kind::Yaml | Kind::Cases => {
            let bytes_max = kind.bytes_max().expect("it is no archive");
            let mut bytes = Vec::new();
            file.take(bytes_max).read_to_end(&mut bytes)?;
            files.push((label, bytes));
            Ok(())
        }
        Kind::Zip => unzip(file, &label, want, files),
        Kind::Tar => untar(file, &label, want, files),
        Kind::TarGz => untar(flate2::read::MultiGzDecoder::new(file), &label, want, files),
        Kind::TarXz => {
            let file = BufReader::new(file);
            let tar = XzReader::new_mem_limit(file, true, XZ_MEMORY_KIB);
            untar(tar, &label, want, files)
        }
        Kind::TarZst => untar(zstd::Decoder::new(file)?, &label, want, files),
    }
}

/// Gives no more than so many bytes; the next one is an error.
struct Capped<R> {
    reader: R,
    left: u64,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return match self.reader.read(&mut [0])? {
                0 => Ok(0),
                _ => Err(too_large()),
            };
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.reader.read(&mut buffer[..most])?;
        self.left -= read as u64;
        Ok(read)
    }
}

fn too_large() -> io::Error {
    let reason =
        format!("the archive holds more than {ARCHIVE_BYTES_MAX} bytes; no more of it is read");
    io::Error::new(io::ErrorKind::FileTooLarge, reason)
}

fn untar(reader: impl Read, label: &str, want: Want, files: &mut Vec<Named>) -> io::Result<()> {
    let mut archive = tar::Archive::new(Capped { reader, left: ARCHIVE_BYTES_MAX });
    for entry in archive.entries()? {
        let entry = entry?;
        let path = entry.path()?.into_owned();
        let Some(bytes_max) = Kind::inner(&path, want) else { continue };
        if !entry.header().entry_type().is_file() {
            continue;
        }
        if files.len() >= FILES_MAX {
            return Err(io::Error::other(format!("there are more than {FILES_MAX} files")));
        }
        let name = path.strip_prefix(".").unwrap_or(&path).display();
        let name = format!("{label}/{name}");
        let mut bytes = Vec::new();
        entry.take(bytes_max).read_to_end(&mut bytes)?;
        files.push((name, bytes));
    }
    Ok(())
}

fn unzip(file: File, label: &str, want: Want, files: &mut Vec<Named>) -> io::Result<()> {
    let mut archive = zip::ZipArchive::new(BufReader::new(file))?;
    let mut left = ARCHIVE_BYTES_MAX;
    for index in 0..archive.len() {
        let entry = archive.by_index(index)?;
        // A name in no known encoding is no name that ends in `.yml`.
        let Ok(name) = entry.name().map(std::borrow::Cow::into_owned) else { continue };
        let Some(bytes_max) = Kind::inner(Path::new(&name), want) else { continue };
        if !entry.is_file() {
            continue;
        }
        if files.len() >= FILES_MAX {
            return Err(io::Error::other(format!("there are more than {FILES_MAX} files")));
        }
        let name = format!("{label}/{name}");
        let mut bytes = Vec::new();
        entry.take(bytes_max).read_to_end(&mut bytes)?;
        left = left.checked_sub(bytes.len() as u64).ok_or_else(too_large)?;
        files.push((name, bytes));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const RULE: &str = "title: t\nlogsource: {product: linux}\ndetection: {a: [x], condition: a}\n";

    fn names(dir: &Path) -> (Vec<String>, Vec<String>) {
        let mut unreadable = Vec::new();
        let files = read(&[dir.to_owned(), dir.to_owned()], Want::Rules, &mut unreadable);
        let prefix = format!("{}/", dir.display());
        (files.into_iter().map(|(name, _)| name.replace(&prefix, "")).collect(), unreadable)
    }

    #[test]
    fn what_is_hidden_is_no_rule_and_a_torn_archive_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at(".git")).unwrap();
        for name in [".git/a.yml", ".hidden.yml", "one.yml"] {
            std::fs::write(at(name), RULE).unwrap();
        }
        assert_eq!(names(dir.path()), (vec!["one.yml".to_owned()], vec![]));
        assert_eq!(fault_of_archive(&at("one.yml")), None);
        std::fs::write(at("r.zip"), "PK\x03\x04 half").unwrap();
        let fault = fault_of_archive(&at("r.zip")).unwrap();
        assert!(fault.contains("r.zip: "), "{fault}");
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
        let options = lzma_rust2::XzOptions::with_preset(1);
        let mut xz = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
        xz.write_all(&tar).unwrap();
        std::fs::write(at("d.tar.xz"), xz.finish().unwrap()).unwrap();
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
        let files = Files::at(&[dir.path().to_owned()], Want::Cases);
        assert_eq!(files.rules.len(), read.len(), "cases are no rules");
        let (name, cases) = files.cases_of(&at("b/a.yml").to_string_lossy()).unwrap();
        assert!(name.ends_with("b/a.cases.jsonl") && cases == RULE.as_bytes());
        assert!(files.cases_of(&at("z.yml").to_string_lossy()).is_none());
        assert_eq!(unreadable.len(), 1);
        assert!(unreadable[0].contains("broken.zip: "), "{unreadable:?}");
    }
}
