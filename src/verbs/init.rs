//! `init`: writes a configuration to start from.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use crate::cli::args::InitArgs;
use crate::cli::escape::escape;
use crate::cli::exit::Exit;
use crate::cli::{Failure, Outcome, print};
use crate::config::{DEFAULT_YAML, STARTER_YAML};

/// Why the file is not written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{path}`")]
struct InitError {
    path: String,
    source: io::Error,
}

/// Writes the file, or prints it.
///
/// # Errors
/// If there is such a file already, or it cannot be written.
pub fn init(args: &InitArgs) -> Outcome {
    let text = if args.all { commented_out(DEFAULT_YAML) } else { STARTER_YAML.to_owned() };
    if args.file == Path::new("-") {
        print(&text)?;
        return Ok(Exit::Ok);
    }
    let path = args.file.display().to_string();
    let mut options = OpenOptions::new();
    match args.force {
        true => options.write(true).create(true).truncate(true),
        false => options.write(true).create_new(true),
    };
    let written = options.open(&args.file).and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Ok(()) => {
            let file = match args.file == Path::new(crate::config::FILE_NAME) {
                true => String::new(),
                false => format!(" -c {path}"),
            };
            let next = format!("wrote {path}; next: seerflow-dataflow validate{file}");
            writeln!(io::stderr(), "{}", escape(&next))?;
            Ok(Exit::Ok)
        }
        Err(source) => {
            let exists = source.kind() == io::ErrorKind::AlreadyExists;
            let failure = Failure::new(Exit::Io, InitError { path, source });
            Err(match exists {
                true => failure.with_hint("`--force` writes over it; `init -` prints"),
                false => failure,
            })
        }
    }
}

/// The defaults with every value made a remark, so that the file says only what is changed in it.
/// Sections stay: one that holds nothing means the defaults.
fn commented_out(defaults: &str) -> String {
    let mut out = String::with_capacity(defaults.len() + 512);
    for line in defaults.lines() {
        let text = line.trim_start();
        let indent = &line[..line.len() - text.len()];
        let is_section = text.ends_with(':') && !text.starts_with('#');
        match text {
            "" => {}
            _ if text.starts_with('#') || (is_section && indent.is_empty()) => out.push_str(line),
            _ => {
                out.push_str(indent);
                out.push_str("#: ");
                out.push_str(text);
            }
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Document, Sources, load};

    #[test]
    fn every_key_commented_out_means_the_defaults() {
        let text = commented_out(DEFAULT_YAML);
        let file = Some(Document { name: "all.yaml".into(), text: text.clone() });
        let loaded = load(&Sources { file, ..Sources::default() }).unwrap();
        assert_eq!(loaded.settings, load(&Sources::default()).unwrap().settings);
        assert!(text.contains("\n  #: syslog_udp_port: 5514\n"), "{text}");
    }
}
