//! Colours, where they are wanted: on a terminal, unless `NO_COLOR` or `--color never` says no.

use std::fmt;
use std::io::{self, IsTerminal};

use anstyle::{AnsiColor, Style};

/// The values of `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How things look on one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    colours: bool,
}

impl Palette {
    /// Without colours.
    pub const PLAIN: Palette = Palette { colours: false };
    /// With colours.
    pub const COLOURED: Palette = Palette { colours: true };

    /// For standard output.
    #[must_use]
    pub fn stdout(color: Color) -> Self {
        Self::for_stream(color, &io::stdout(), io::stdout().is_terminal())
    }

    /// For standard error.
    #[must_use]
    pub fn stderr(color: Color) -> Self {
        Self::for_stream(color, &io::stderr(), io::stderr().is_terminal())
    }

    fn for_stream(color: Color, stream: &impl anstream::stream::RawStream, terminal: bool) -> Self {
        let colours = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                terminal && anstream::AutoStream::choice(stream) != anstream::ColorChoice::Never
            }
        };
        Palette { colours }
    }

    /// Whether there are colours.
    #[must_use]
    pub fn has_colours(self) -> bool {
        self.colours
    }

    /// The text in a style. The text must be escaped already.
    #[must_use]
    pub fn paint<T: fmt::Display>(self, style: Style, text: T) -> Painted<T> {
        Painted { style: if self.colours { style } else { Style::new() }, text }
    }

    /// A heading.
    #[must_use]
    pub fn strong<T: fmt::Display>(self, text: T) -> Painted<T> {
        self.paint(Style::new().bold(), text)
    }

    /// What matters less.
    #[must_use]
    pub fn faint<T: fmt::Display>(self, text: T) -> Painted<T> {
        self.paint(Style::new().dimmed(), text)
    }

    /// What is well.
    #[must_use]
    pub fn good<T: fmt::Display>(self, text: T) -> Painted<T> {
        self.paint(AnsiColor::Green.on_default(), text)
    }

    /// What is not.
    #[must_use]
    pub fn bad<T: fmt::Display>(self, text: T) -> Painted<T> {
        self.paint(AnsiColor::Red.on_default().bold(), text)
    }

    /// The style of an alert level.
    #[must_use]
    pub fn level<T: fmt::Display>(self, level: &str, text: T) -> Painted<T> {
        let style = match level {
            "critical" => AnsiColor::Magenta.on_default().bold(),
            "high" => AnsiColor::Red.on_default().bold(),
            "medium" => AnsiColor::Yellow.on_default(),
            "low" => AnsiColor::Cyan.on_default(),
            _ => Style::new().dimmed(),
        };
        self.paint(style, text)
    }
}

/// Text in a style. Width and alignment apply to the text alone.
#[derive(Clone, Copy, Debug)]
pub struct Painted<T> {
    style: Style,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.style.render())?;
        self.text.fmt(f)?;
        write!(f, "{}", self.style.render_reset())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colours_nothing_is_added() {
        assert_eq!(Palette::PLAIN.level("high", "x").to_string(), "x");
        assert_eq!(format!("[{:>4}]", Palette::PLAIN.strong("x")), "[   x]");
        assert_eq!(Palette::COLOURED.strong("x").to_string(), "\u{1b}[1mx\u{1b}[0m");
        assert!(!Palette::for_stream(Color::Never, &io::stderr(), true).has_colours());
        assert!(Palette::for_stream(Color::Always, &io::stderr(), false).has_colours());
        assert!(!Palette::for_stream(Color::Auto, &io::stderr(), false).has_colours());
    }
}
