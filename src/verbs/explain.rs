//! `explain`: says why there is an alert, or what becomes of one line.

mod alert;
mod line;
mod rules;

use std::fmt::Display;

use crate::cli::args::{ExplainArgs, Global};
use crate::cli::style::Palette;
use crate::cli::{Outcome, configuration, state_flag};

/// Does it.
///
/// # Errors
/// If the configuration is wrong, the state cannot be read, or there is no such alert.
pub fn explain(global: &Global, args: &ExplainArgs) -> Outcome {
    let loaded = configuration(global, state_flag(args.state.as_deref()))?;
    match &args.line {
        Some(text) => {
            loaded.check_rules()?;
            line::explain(global, args, &loaded.settings, text)
        }
        None => alert::explain(global, args, &loaded.settings),
    }
}

/// How wide a label may be before its value moves: the longest name of a detector.
const LABEL_WIDTH: usize = 16;

/// What is said of something, part by part.
pub(super) struct Account {
    palette: Palette,
    pub(super) text: String,
}

impl Account {
    pub(super) fn new(palette: Palette) -> Self {
        Account { palette, text: String::new() }
    }

    /// Begins a part.
    pub(super) fn heading(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.line(self.palette.strong(text));
    }

    /// A named value of the part. The value must be safe for a terminal.
    pub(super) fn row(&mut self, label: &str, value: impl Display) {
        let label = self.palette.faint(format!("{label:<LABEL_WIDTH$}"));
        self.text.push_str(&format!("  {label} {value}\n"));
    }

    /// A line of its own. It must be safe for a terminal.
    pub(super) fn line(&mut self, line: impl Display) {
        self.text.push_str(&format!("{line}\n"));
    }
}

/// A probability as people read it.
fn probability(p: f64) -> String {
    match p {
        0.0 => "0".to_owned(),
        p if p >= 0.001 => format!("{p:.3}"),
        p => format!("{p:.1e}"),
    }
}
