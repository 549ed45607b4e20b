//! Pipelines: which records they are for, where those come from, and what their fields are called
//! in Sigma.
//!
//! A pipeline that fits a record adds views and names to it and takes nothing away: a field that
//! is renamed keeps its own name as well. Several pipelines may fit one record.
//!
//! They are written in YAML, one document each:
//!
//! ```yaml
//! name: edge-firewall
//! match:                          # everything that is named must fit; a list is a choice
//!   format: [json, keyvalue]      # plain json windows keyvalue access audit cef
//!   source: 'syslog*:10.0.0.1'    # receiver and name of the source
//!   app: edged                    # the program
//!   fields: {action: '*', verdict: [drop, pass]}   # '*' is: there, and not null
//! logsources:                     # the views; `when` as `fields` above
//!   - {category: firewall}
//!   - {product: edge, service: vpn, when: {subsystem: 'vpn*'}}
//! fields:                         # what a field is called in Sigma, one name or several
//!   source: src_ip
//!   target: [dst_ip, dst_host]
//!   port: {to: dst_port, convert: decimal}        # decimal lower upper registry
//!   verdict: {to: action, map: {drop: block, pass: accept}}
//! strip: [payload.]               # `payload.user` is also `user`
//! programs: false                 # also what its program says, as for a line of text
//! only: false                     # no views but these
//! ```
//!
//! Patterns know `*` and `?`, and upper and lower case are the same.

use std::sync::Arc;

use super::super::diagnose::Pos;
use super::super::logsource::LogSource;
use crate::types::Format;

/// A pipeline as it is written. See the [module](self).
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// The file that it is from.
    pub file: Arc<str>,
    /// Where it begins there.
    pub at: Pos,
    /// Its name.
    pub name: String,
    /// Whether what comes after the views by format and program is left out.
    pub only: bool,
    /// Whether a record has the views of its program, as a line of text has.
    pub programs: bool,
    pub(super) formats: Formats,
    pub(super) sources: Vec<Pattern>,
    pub(super) apps: Vec<Pattern>,
    pub(super) fields: Vec<Wanted>,
    pub(super) views: Vec<ViewRow>,
    pub(super) renames: Vec<Rename>,
    pub(super) strip: Vec<String>,
}

impl Pipeline {
    /// The log sources that it gives records.
    pub fn log_sources(&self) -> impl Iterator<Item = &LogSource> {
        self.views.iter().map(|view| &view.source)
    }

    /// The names that it gives fields.
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        self.renames.iter().map(|rename| rename.to.as_str())
    }
}

/// A view, and when a record has it.
#[derive(Clone, Debug)]
pub(super) struct ViewRow {
    pub(super) source: LogSource,
    pub(super) when: Vec<Wanted>,
}

/// What a field must hold: one of some patterns.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) field: String,
    pub(super) any: Vec<Pattern>,
}

/// What a field is called as well.
#[derive(Clone, Debug)]
pub(super) struct Rename {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) convert: Convert,
}

/// What becomes of a renamed field's value. What does not fit is kept as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Convert {
    /// Nothing.
    Keep,
    /// `0x1a` is `26`.
    Decimal,
    /// Lower case.
    Lower,
    /// Upper case.
    Upper,
    /// A kernel's registry path as Sysmon writes it: `\REGISTRY\MACHINE\X` is `HKLM\X`.
    Registry,
    /// One text for another.
    Map(Vec<(String, String)>),
}

/// Formats, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Formats(u8);

impl Formats {
    pub(super) const ALL: Formats = Formats(u8::MAX);
    pub(super) const NONE: Formats = Formats(0);
    pub(super) const NAMES: [(&'static str, Format); 7] = [
        ("plain", Format::Plain),
        ("json", Format::Json),
        ("windows", Format::Windows),
        ("keyvalue", Format::KeyValue),
        ("access", Format::Access),
        ("audit", Format::Audit),
        ("cef", Format::Cef),
    ];

    pub(super) fn add(&mut self, format: Format) {
        self.0 |= 1 << format as u8;
    }

    pub(super) fn has(self, format: Format) -> bool {
        self.0 & 1 << format as u8 != 0
    }
}

/// A text with `*` and `?` in it; ASCII letters fit in either case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(String);

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        Pattern(text.to_ascii_lowercase())
    }

    /// Whether everything fits.
    pub(super) fn is_any(&self) -> bool {
        self.0 == "*"
    }

    /// Whether the whole of `text` fits. Takes at most the product of both lengths.
    pub(super) fn fits(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), text.as_bytes());
        let (mut p, mut t) = (0, 0);
        // Where to go on after a star: behind it, and the text that it has not yet taken.
        let mut star: Option<(usize, usize)> = None;
        while t < text.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    p += 1;
                    star = Some((p, t));
                    continue;
                }
                Some(byte) if *byte == b'?' || *byte == text[t].to_ascii_lowercase() => {
                    p += 1;
                    t += 1;
                    continue;
                }
                _ => {}
            }
            let Some((behind, taken)) = star else { return false };
            star = Some((behind, taken + 1));
            (p, t) = (behind, taken + 1);
        }
        pattern[p..].iter().all(|byte| *byte == b'*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run_and_a_question_mark_for_one_byte() {
        let fits = |pattern: &str, text: &str| Pattern::new(pattern).fits(text);
        assert!(fits("*", "") && fits("*", "x") && Pattern::new("*").is_any());
        assert!(fits("syslog*:10.0.0.?", "syslog-udp:10.0.0.7"));
        assert!(!fits("syslog*:10.0.0.?", "syslog-udp:10.0.0.17"));
        assert!(fits("*a*b", "xaxabxb") && !fits("*a*b", "xaxabx"));
        assert!(fits("Sshd", "sSHD") && !fits("sshd", "sshd2") && !fits("sshd", "ssh"));
        assert!(fits("a**", "a") && !fits("", "a") && fits("", ""));
    }
}
