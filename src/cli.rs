//! The command line: from the arguments to a verb, and from its outcome to an exit code.
//!
//! Results go to standard output, everything else to standard error. An error is told as a chain:
//! what failed, because of what, and what to do.

pub mod args;
pub mod banner;
pub mod escape;
pub mod exit;
pub mod numbers;
pub mod progress;
pub mod style;
pub mod summary;

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;

use clap::Parser;

use self::args::{Cli, Global};
use self::escape::escape_lines;
use self::exit::Exit;
use self::style::Palette;
use crate::config::{self, ConfigError, Flag, Loaded, Sources};
use crate::{telemetry, verbs};

/// Why a verb failed, with which exit code, and what to do.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What failed, and because of what.
    pub error: Box<dyn Error + Send + Sync>,
    /// What to do.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(exit: Exit, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Failure { exit, error: error.into(), hint: None }
    }

    /// The same with what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The chain, for people.
    #[must_use]
    pub fn shown(&self, palette: Palette) -> String {
        if let Some(ConfigError::Problems(problems)) = self.error.downcast_ref::<ConfigError>() {
            return problems.render(palette.has_colours());
        }
        let mut text =
            format!("{} {}", palette.bad("error:"), escape_lines(&self.error.to_string()));
        let mut cause = self.error.source();
        while let Some(error) = cause {
            let because = palette.strong("because:");
            _ = write!(text, "\n  {because} {}", escape_lines(&error.to_string()));
            cause = error.source();
        }
        if let Some(hint) = &self.hint {
            _ = write!(text, "\n  {} {}", palette.good("hint:"), escape_lines(hint));
        }
        text
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let exit = match &error {
            ConfigError::Internal(_) => Exit::Internal,
            ConfigError::Read { .. } | ConfigError::Problems(_) => Exit::Config,
        };
        let hint = match &error {
            ConfigError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Some("`seerflow-dataflow init` writes one to start from".to_owned())
            }
            _ => None,
        };
        Failure { exit, error: Box::new(error), hint }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::new(Exit::Io, error)
    }
}

/// What a verb comes to.
pub type Outcome = Result<Exit, Failure>;

/// Runs the program with the arguments of the process.
#[must_use]
pub fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come here too; they go to standard output.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Ok };
        }
    };
    let palette = Palette::stderr(cli.global.color);
    match verbs::dispatch(&cli) {
        Ok(exit) => exit,
        Err(failure) if is_closed_pipe(&failure) => Exit::Ok,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "{}", failure.shown(palette));
            failure.exit
        }
    }
}

/// Whether whoever read the output has gone away, as `head` does.
fn is_closed_pipe(failure: &Failure) -> bool {
    let error = failure.error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// The configuration, from the file, the environment and the flags; `more` are the verb's own.
///
/// # Errors
/// If it cannot be read, or something is wrong with it.
pub fn configuration(global: &Global, more: Vec<Flag>) -> Result<Loaded, Failure> {
    let mut flags = global.flags();
    flags.extend(more);
    Ok(config::load(&Sources::read(global.config.as_deref(), flags)?)?)
}

/// [`configuration`] of a verb that reads rules: those that it names must be there.
///
/// # Errors
/// As [`configuration`], and if a path is not there.
pub fn configuration_of_rules(global: &Global, more: Vec<Flag>) -> Result<Loaded, Failure> {
    let loaded = configuration(global, more)?;
    loaded.check_rules()?;
    Ok(loaded)
}

/// What `--state DIR` sets.
#[must_use]
pub fn state_flag(dir: Option<&Path>) -> Vec<Flag> {
    let flag = |dir: &Path| Flag::named("--state", "state.dir", &dir.to_string_lossy());
    dir.map(flag).into_iter().collect()
}

/// Starts the log as the configuration and the flags say.
///
/// # Panics
/// If it is started already.
#[must_use]
pub fn start_log(global: &Global, loaded: &Loaded) -> telemetry::Guard {
    let levels =
        telemetry::Levels::parse(&loaded.settings.log_level).expect("the configuration is checked");
    let colours = Palette::stderr(global.color).has_colours();
    telemetry::start(levels, global.log_format, colours)
}

/// Tells people on standard error what goes on. A stream that nobody reads any more is no reason to
/// do anything else.
pub fn narrate(text: &str) {
    // There is nowhere left to complain to.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes to standard output.
///
/// # Errors
/// If nobody reads it any more, or it is a file on a full disk.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
