//! `validate`: checks a configuration without starting anything.

use std::io::{self, Write};

use crate::cli::args::{Global, ValidateArgs};
use crate::cli::escape::escape;
use crate::cli::exit::Exit;
use crate::cli::style::Palette;
use crate::cli::{Outcome, configuration, print};
use crate::config::print::{effective, effective_json};

/// Checks, and tells what has no effect; on request prints what is in effect.
///
/// # Errors
/// If the configuration is wrong.
pub fn validate(global: &Global, args: &ValidateArgs) -> Outcome {
    let loaded = configuration(global, Vec::new())?;
    match (args.print, args.json) {
        (true, true) => print(&format!("{:#}\n", effective_json(&loaded)))?,
        (true, false) => print(&effective(&loaded))?,
        (false, _) => {}
    }
    loaded.check_rules()?;
    if global.quiet {
        return Ok(Exit::Ok);
    }
    let palette = Palette::stderr(global.color);
    let mut narration = io::stderr().lock();
    for (note, origin) in loaded.notes() {
        let place = loaded.place(&origin);
        writeln!(narration, "{} {} ({})", palette.strong("note:"), escape(&note), escape(&place))?;
    }
    let subject = match &loaded.file {
        Some(file) => format!("{} is in order", escape(file)),
        None => "there is no configuration file; the defaults are in order".to_owned(),
    };
    writeln!(narration, "{}", palette.good(subject))?;
    Ok(Exit::Ok)
}
