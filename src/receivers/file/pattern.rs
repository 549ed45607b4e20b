//! Which files are meant.
//!
//! `*` and `?` stop at `/`, `**` does not; `[ab]` and `{a,b}` are as in a shell. The part of a
//! pattern before its first wildcard is its root, and nothing outside of it is read: a link is
//! followed only to a file below the root, and links to folders are not. A path without wildcards
//! may be a link to anywhere, since whoever wrote it named that file.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{Error, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use nix::fcntl::OFlag;
use walkdir::WalkDir;

/// How many folder entries one search looks at.
const ENTRIES_MAX: usize = 1_000_000;
/// How deep a search goes.
const DEPTH_MAX: usize = 64;

/// Why a pattern cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// Not a pattern.
    #[error("`{pattern}` is not a file pattern: {reason}")]
    Syntax {
        /// What was written.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It would climb out of where it begins.
    #[error("`{pattern}` contains `..`; write the path that is meant")]
    Parent {
        /// What was written.
        pattern: String,
    },
}

/// Some files, by name.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    text: String,
    /// What stands before the first wildcard; all of it if there is none.
    root: PathBuf,
    matcher: Option<GlobMatcher>,
    depth: usize,
}

impl Pattern {
    /// Reads a pattern.
    pub(super) fn new(text: &str) -> Result<Self, PatternError> {
        let syntax = |reason: String| PatternError::Syntax { pattern: text.to_owned(), reason };
        if text.is_empty() {
            return Err(syntax("it is empty".to_owned()));
        }
        let is_wild = |part: &Component<'_>| {
            part.as_os_str().as_encoded_bytes().iter().any(|byte| b"*?[{".contains(byte))
        };
        let named = Path::new(text).components();
        let parts: Vec<Component<'_>> = named.filter(|part| *part != Component::CurDir).collect();
        let fixed = parts.iter().take_while(|part| !is_wild(part)).count();
        let root: PathBuf = parts[..fixed].iter().collect();
        if fixed == parts.len() {
            return Ok(Pattern { text: text.to_owned(), root, matcher: None, depth: 0 });
        }
        // As the walk writes its paths, which begin with the root.
        let whole: PathBuf = parts.iter().collect();
        let glob = GlobBuilder::new(&whole.to_string_lossy())
            .literal_separator(true)
            .backslash_escape(true)
            .build()
            .map_err(|error| syntax(error.kind().to_string()))?;
        let deep = parts[fixed..].iter().any(|part| part.as_os_str() == "**");
        let depth = if deep { DEPTH_MAX } else { parts.len() - fixed };
        Ok(Pattern { text: text.to_owned(), root, matcher: Some(glob.compile_matcher()), depth })
    }

    /// Reads a pattern that may not climb by `..`, as those of a config may not.
    pub(super) fn below_its_root(text: &str) -> Result<Self, PatternError> {
        if Path::new(text).components().any(|part| part == Component::ParentDir) {
            return Err(PatternError::Parent { pattern: text.to_owned() });
        }
        Pattern::new(text)
    }

    /// Whether it is the path of one file.
    pub(super) fn is_path(&self) -> bool {
        self.matcher.is_none()
    }

    /// The folder below which all its files lie; for a path, the path.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether it names this path, written as [`find`](Pattern::find) writes it.
    pub(super) fn names(&self, path: &Path) -> bool {
        match &self.matcher {
            Some(matcher) => matcher.is_match(path),
            None => self.root == path,
        }
    }

    /// The paths that exist now, in the order of their names; folders are none of them.
    pub(super) fn find(&self) -> Vec<PathBuf> {
        let Some(matcher) = &self.matcher else {
            return if self.root.exists() { vec![self.root.clone()] } else { Vec::new() };
        };
        let here = Path::new(".");
        let root = if self.root.as_os_str().is_empty() { here } else { &self.root };
        let walk = WalkDir::new(root).max_depth(self.depth).sort_by_file_name();
        let mut paths = Vec::new();
        for (seen, entry) in walk.into_iter().enumerate() {
            if seen == ENTRIES_MAX {
                let max = ENTRIES_MAX;
                tracing::warn!(pattern = %self.text, max, "too many entries; rest skipped");
                break;
            }
            let Ok(entry) = entry else { continue };
            let path = entry.path().strip_prefix("./").unwrap_or(entry.path());
            if !entry.file_type().is_dir() && matcher.is_match(path) {
                paths.push(path.to_owned());
            }
        }
        paths
    }

    /// Opens a file that [`find`](Pattern::find) gave: a regular file within the root, whatever
    /// has become of the path in the meantime.
    pub(super) fn open(&self, path: &Path) -> std::io::Result<(File, Metadata)> {
        let (file, metadata) = open(path)?;
        if !self.is_path() {
            let root = if self.root.as_os_str().is_empty() { Path::new(".") } else { &self.root };
            // Of what was opened, not of what the path may mean by now.
            let real = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
            if !real.starts_with(root.canonicalize()?) {
                let text =
                    format!("leads to `{}`, outside of `{}`", real.display(), root.display());
                return Err(Error::new(ErrorKind::PermissionDenied, text));
            }
        }
        Ok((file, metadata))
    }
}

/// Opens a regular file for reading, without waiting for anybody.
pub(super) fn open(path: &Path) -> std::io::Result<(File, Metadata)> {
    refuse_others(&std::fs::metadata(path)?)?;
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    let metadata = file.metadata()?;
    refuse_others(&metadata)?;
    Ok((file, metadata))
}

fn refuse_others(metadata: &Metadata) -> std::io::Result<()> {
    let kind = metadata.file_type();
    let what = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => "a folder",
        () if kind.is_fifo() => "a named pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    Err(Error::new(ErrorKind::InvalidInput, format!("is {what}, not a regular file")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path, pattern: &str) -> Vec<String> {
        let pattern = Pattern::new(&folder.join(pattern).to_string_lossy()).unwrap();
        let name = |path: &PathBuf| path.strip_prefix(folder).unwrap().display().to_string();
        pattern.find().iter().map(name).collect()
    }

    #[test]
    fn a_pattern_means_the_files_that_a_shell_would_name() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
        for name in ["x.log", "y.log", "y.txt", "a/z.log", "a/b/w.log"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let cases: [(&str, &[&str]); 7] = [
            ("*.log", &["x.log", "y.log"]),
            ("**/*.log", &["a/b/w.log", "a/z.log", "x.log", "y.log"]),
            ("a/*.log", &["a/z.log"]),
            ("?.{log,txt}", &["x.log", "y.log", "y.txt"]),
            ("[y-z].*", &["y.log", "y.txt"]),
            ("x.log", &["x.log"]),
            ("none/*.log", &[]),
        ];
        for (pattern, expected) in cases {
            assert_eq!(names(folder.path(), pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn a_pattern_may_be_relative() {
        for text in ["*.toml", "./*.toml"] {
            let pattern = Pattern::new(text).unwrap();
            assert!(pattern.find().contains(&PathBuf::from("Cargo.toml")), "{text}");
            assert!(pattern.open(Path::new("Cargo.toml")).is_ok());
        }
        let pattern = Pattern::new("./src/../src/*.rs").unwrap();
        assert!(pattern.find().contains(&PathBuf::from("src/../src/lib.rs")));
    }

    #[test]
    fn a_pattern_that_climbs_or_is_none_is_refused() {
        assert!(Pattern::below_its_root("/var/log/../secret/*").is_err());
        assert!(Pattern::below_its_root("/var/log/a..b").is_ok());
        assert!(Pattern::new("").is_err());
        let error = Pattern::new("/var/log/[a").unwrap_err().to_string();
        assert!(error.starts_with("`/var/log/[a` is not a file pattern: "), "{error}");
    }

    #[test]
    fn a_link_out_of_the_root_and_what_is_no_file_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("logs");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(folder.path().join("secret"), "x").unwrap();
        std::fs::write(root.join("real.log"), "x").unwrap();
        std::os::unix::fs::symlink("real.log", root.join("inside.log")).unwrap();
        std::os::unix::fs::symlink("../secret", root.join("outside.log")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("dangling.log")).unwrap();
        nix::unistd::mkfifo(&root.join("pipe.log"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let pattern = Pattern::new(&root.join("*.log").to_string_lossy()).unwrap();
        let open = |name: &str| pattern.open(&root.join(name));
        assert_eq!(pattern.find().len(), 5);
        assert!(open("real.log").is_ok());
        assert!(open("inside.log").is_ok());
        assert!(open("outside.log").unwrap_err().to_string().contains("outside of"));
        assert!(open("pipe.log").unwrap_err().to_string().contains("a named pipe"));
        assert!(open("dangling.log").is_err());
        let path = Pattern::new(&root.join("outside.log").to_string_lossy()).unwrap();
        assert!(path.open(path.root()).is_ok(), "a path that was written out is followed");
        assert!(Pattern::new("/dev/zero").unwrap().open(Path::new("/dev/zero")).is_err());
    }
}
