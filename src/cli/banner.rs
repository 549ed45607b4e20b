//! What `run` says when it starts: what it listens to, what it knows, where its state is.
//!
//! At most [`LINES_MAX`] lines on standard error, narrow labels on the left. With JSON logs it is
//! one log line instead.

use std::fmt::{self, Display};
use std::time::Duration;

use super::escape::escape;
use super::numbers::{grouped, humanised};
use super::style::Palette;

/// How many lines there are at most.
pub const LINES_MAX: usize = 12;

/// What is said at the start.
#[derive(Clone, Debug, Default)]
pub struct Banner {
    /// With how many workers.
    pub workers: usize,
    /// The state folder.
    pub state: String,
    /// What was there already, as in `restored 1 204 331 entities, 12 s old`; empty for nothing.
    pub restored: String,
    /// The configuration file, if there is one.
    pub config: Option<String>,
    /// Rules that are in use.
    pub rules_loaded: u64,
    /// Rules that cannot be used.
    pub rules_skipped: u64,
    /// Receivers and sinks: a label of one word, and what there is to say.
    pub lines: Vec<(String, String)>,
    /// How long the start took.
    pub took: Duration,
}

impl Banner {
    /// The banner in the colours of standard error.
    #[must_use]
    pub fn shown(&self, palette: Palette) -> impl Display + '_ {
        Shown { banner: self, palette }
    }

    /// The same as one line of the log, for a log that is read by programs.
    pub fn log(&self) {
        let Banner { workers, rules_loaded, rules_skipped, took, .. } = self;
        let lines: Vec<String> =
            self.lines.iter().map(|(label, text)| format!("{label} {text}")).collect();
        tracing::info!(
            workers,
            state = self.state,
            restored = self.restored,
            config = self.config,
            rules = rules_loaded,
            rules_skipped,
            endpoints = lines.join("; "),
            seconds = took.as_secs_f64(),
            "ready"
        );
    }
}

struct Shown<'b> {
    banner: &'b Banner,
    palette: Palette,
}

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shown { banner, palette } = self;
        let workers = match banner.workers {
            1 => "1 worker".to_owned(),
            many => format!("{many} workers"),
        };
        let restored = match banner.restored.as_str() {
            "" => String::new(),
            restored => format!(" ({})", escape(restored)),
        };
        let name = palette.strong(concat!("seerflow-dataflow ", env!("CARGO_PKG_VERSION")));
        writeln!(f, "{name}  {workers}  state {}{restored}", escape(&banner.state))?;

        let mut lines: Vec<(&str, String)> = Vec::new();
        if let Some(config) = &banner.config {
            lines.push(("config", config.clone()));
        }
        let skipped = match banner.rules_skipped {
            0 => String::new(),
            some => format!(", {} skipped (seerflow-dataflow rules lint)", grouped(some)),
        };
        lines.push(("rules", format!("{} loaded{skipped}", grouped(banner.rules_loaded))));
        lines.extend(banner.lines.iter().map(|(label, text)| (label.as_str(), text.clone())));

        // Two lines are the first and the last; one says what there was no room for.
        let room = LINES_MAX - 2;
        let shown = if lines.len() > room { room - 1 } else { lines.len() };
        for (label, text) in &lines[..shown] {
            let label = escape(label);
            writeln!(f, "  {} {}", palette.faint(format_args!("{label:<9}")), escape(text))?;
        }
        if shown < lines.len() {
            writeln!(f, "  and {} more", lines.len() - shown)?;
        }
        let ready = palette.good(format!("ready in {}", humanised(banner.took)));
        write!(f, "{ready} – Ctrl-C drains and stops")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn banner(lines: usize) -> String {
        let banner = Banner {
            workers: 2,
            state: "./data".into(),
            restored: "restored 1 204 331 entities, 12 s old".into(),
            config: Some("seerflow.yaml".into()),
            rules_loaded: 3_112,
            rules_skipped: 3,
            lines: (0..lines).map(|n| ("files".into(), format!("/var/log/{n}\x1b"))).collect(),
            took: Duration::from_millis(800),
        };
        banner.shown(Palette::PLAIN).to_string()
    }

    #[test]
    fn the_banner_says_what_is_there() {
        assert_eq!(
            banner(1),
            concat!(
                "seerflow-dataflow ",
                env!("CARGO_PKG_VERSION"),
                "  2 workers  state ./data (restored 1 204 331 entities, 12 s old)\n",
                "  config    seerflow.yaml\n",
                "  rules     3 112 loaded, 3 skipped (seerflow-dataflow rules lint)\n",
                "  files     /var/log/0\\x1b\n",
                "ready in 800 ms – Ctrl-C drains and stops",
            )
        );
    }

    #[test]
    fn however_much_there_is_it_stays_short() {
        for lines in 0..40 {
            let text = banner(lines);
            assert!(text.lines().count() <= LINES_MAX, "{text}");
            assert_eq!(text.contains("more"), lines > 8, "{text}");
        }
    }
}
