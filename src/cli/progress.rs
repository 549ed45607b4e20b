//! The bar of what takes long: how much of the input is read, how fast, how long it will take.
//!
//! On standard error, and only if that is a terminal. Its position is an atomic, so that whoever
//! reads the input may move it as often as it likes; it is drawn ten times a second at most.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often the bar is drawn, at most, in a second.
const DRAWS_PER_SECOND: u8 = 10;

/// A bar over the bytes of an input.
#[derive(Clone, Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar over so many things, as in `12 of 40 cases`. Hidden as [`new`](Self::new) says.
    #[must_use]
    pub fn counting(things: u64, name: &str, quiet: bool) -> Self {
        let template =
            format!("[{{elapsed_precise}}] [{{bar:40.cyan}}] {{pos}} of {{len}} {name}  {{msg}}");
        Progress::styled(Some(things), &template, quiet)
    }

    /// A bar over `bytes`, or one that only counts if it is not known how many there are. Hidden if
    /// standard error is no terminal, or if the user wants quiet.
    #[must_use]
    pub fn new(bytes: Option<u64>, quiet: bool) -> Self {
        let template = match bytes {
            Some(_) => {
                "[{elapsed_precise}] [{bar:40.cyan}] {percent:>3} %  {bytes} of {total_bytes}  \
                 {binary_bytes_per_sec}  {eta} left  {msg}"
            }
            None => "[{elapsed_precise}] {bytes}  {binary_bytes_per_sec}  {msg}",
        };
        Progress::styled(bytes, template, quiet)
    }

    fn styled(length: Option<u64>, template: &str, quiet: bool) -> Self {
        let visible = !quiet && io::stderr().is_terminal();
        let target = match visible {
            true => ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(length, target);
        let style = ProgressStyle::with_template(template).expect("the template is well formed");
        bar.set_style(style.progress_chars("=> "));
        Progress { bar }
    }

    /// Takes note that so many more bytes are read, or things done.
    pub fn advance(&self, by: u64) {
        self.bar.inc(by);
    }

    /// What is being read, or how far the engine is; escaped here.
    pub fn say(&self, text: &str) {
        self.bar.set_message(super::escape::escape(text).into_owned());
    }

    /// Runs something that prints, with the bar out of the way. It must not use the bar itself,
    /// which is locked meanwhile.
    pub fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    /// How many bytes are read so far, or things done.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.bar.position()
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_counts_also_when_nobody_sees_it() {
        let bars = [Some(100), None].map(|bytes| Progress::new(bytes, true));
        for progress in bars.into_iter().chain([Progress::counting(100, "cases", true)]) {
            let reader = progress.clone();
            reader.advance(30);
            reader.advance(12);
            reader.say("a\x1b[2J");
            assert_eq!(progress.aside(|| "said"), "said");
            assert_eq!(progress.position(), 42);
            progress.finish();
        }
    }
}
