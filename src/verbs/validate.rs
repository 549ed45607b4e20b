//! `validate`: checks a configuration without starting anything.

use std::io::{self, Write};

use serde_json::json;

use crate::cli::args::{Global, ValidateArgs};
use crate::cli::escape::escape;
use crate::cli::exit::Exit;
use crate::cli::style::Palette;
use crate::cli::{Failure, Outcome, configuration_of_rules, print};
use crate::config::print::{effective, effective_json};
use crate::config::report::Origin;
use crate::config::{ConfigError, Loaded};
use crate::rules;

/// Checks, and tells what has no effect; on request prints what is in effect.
///
/// # Errors
/// If the configuration is wrong.
pub fn validate(global: &Global, args: &ValidateArgs) -> Outcome {
    let loaded = match configuration_of_rules(global, Vec::new()) {
        Err(failure) if args.json && !args.print => return refused(failure),
        loaded => loaded?,
    };
    match (args.print, args.json) {
        (true, true) => print(&format!("{:#}\n", effective_json(&loaded)))?,
        (true, false) => print(&effective(&loaded))?,
        (false, true) => return in_order(&loaded),
        (false, false) => {}
    }
    if global.quiet {
        return Ok(Exit::Ok);
    }
    let palette = Palette::stderr(global.color);
    let mut narration = io::stderr().lock();
    for (note, origin) in loaded.notes() {
        let place = loaded.place(&origin);
        writeln!(narration, "{} {} ({})", palette.strong("note:"), escape(&note), escape(&place))?;
    }
    for fault in rules::faults_of_pipelines(&loaded.settings) {
        writeln!(narration, "{} {}", palette.bad("warning:"), escape(&fault))?;
    }
    let subject = match &loaded.file {
        Some(file) => format!("{} is in order", escape(file)),
        None => "there is no configuration file; the defaults are in order".to_owned(),
    };
    writeln!(narration, "{}", palette.good(subject))?;
    Ok(Exit::Ok)
}

/// Tells programs what is wrong.
fn refused(failure: Failure) -> Outcome {
    let Some(ConfigError::Problems(problems)) = failure.error.downcast_ref::<ConfigError>() else {
        return Err(failure);
    };
    let object = json!({ "ok": false, "errors": problems.to_json(), "notes": [] });
    print(&format!("{object:#}\n"))?;
    Ok(failure.exit)
}

/// Tells programs that nothing is, and what has no effect.
fn in_order(loaded: &Loaded) -> Outcome {
    let note = |(note, origin): (String, Origin)| json!({ "message": note, "place": loaded.place(&origin) });
    let notes: Vec<_> = loaded.notes().into_iter().map(note).collect();
    let object = json!({ "ok": true, "file": loaded.file, "errors": [], "notes": notes });
    print(&format!("{object:#}\n"))?;
    Ok(Exit::Ok)
}
