//! `rules lint`: what is wrong with rules, and where.

use std::time::Instant;

use operators::sigma::{Diagnostic, Gravity};
use serde_json::json;

use super::choice::Choice;
use super::reach::{self, Finding};
use crate::cli::args::{Global, RulesLintArgs};
use crate::cli::escape::escape;
use crate::cli::exit::Exit;
use crate::cli::numbers::{counted, grouped, humanised};
use crate::cli::style::Palette;
use crate::cli::{Failure, Outcome, configuration_of_rules, print};
use crate::rules::files::Want;

/// How many there are of what.
#[derive(Default)]
struct Counts {
    errors: u64,
    warnings: u64,
    notes: u64,
    never: u64,
}

pub(super) fn lint(global: &Global, args: &RulesLintArgs) -> Outcome {
    let loaded = configuration_of_rules(global, Vec::new())?;
    let started = Instant::now();
    let choice = Choice::of(&loaded.settings, &args.paths, Want::Rules)?;
    let took = started.elapsed();
    let found = reach::findings(&choice);
    let report = &choice.loaded.report;
    let of_report = report.diagnostics.iter().map(|diagnostic| (diagnostic, None));
    let of_reach = found.iter().map(|finding| (&finding.diagnostic, Some(finding)));
    let mut said: Vec<(&Diagnostic, Option<&Finding>)> = of_report.chain(of_reach).collect();
    said.sort_by_key(|(diagnostic, _)| *diagnostic);
    let never = found.iter().filter(|finding| finding.diagnostic.code == reach::NEVER);
    let mut counts = Counts { never: never.count() as u64, ..Counts::default() };
    for (diagnostic, _) in &said {
        let count = match diagnostic.gravity {
            Gravity::Error => &mut counts.errors,
            Gravity::Warning => &mut counts.warnings,
            Gravity::Note => &mut counts.notes,
        };
        *count += 1;
    }
    counts.errors += choice.loaded.unreadable.len() as u64;
    let palette = Palette::stdout(global.color);
    let mut text = String::new();
    for problem in &choice.loaded.unreadable {
        match args.json {
            true => text.push_str(&json!({ "type": "unreadable", "reason": problem }).to_string()),
            false => text.push_str(&format!("{} {}", palette.bad("error:"), escape(problem))),
        }
        text.push('\n');
    }
    for (diagnostic, finding) in said {
        let note = diagnostic.gravity == Gravity::Note;
        match args.json {
            true => text.push_str(&to_json(diagnostic, finding)),
            false if note && global.verbose == 0 => continue,
            false => text.push_str(&shown(diagnostic, palette)),
        }
        text.push('\n');
    }
    let summary = json!({
        "type": "summary",
        "files": choice.file_count,
        "documents": choice.loaded.documents,
        "rules": report.rules,
        "correlations": report.correlations,
        "filters": report.filters,
        "left_out": choice.loaded.left_out,
        "refused": report.refused,
        "errors": counts.errors,
        "warnings": counts.warnings,
        "notes": counts.notes,
        "never_fire": counts.never,
        "seconds": took.as_secs_f64(),
    });
    match args.json {
        true => text.push_str(&summary.to_string()),
        false => {
            let refused = format!("{} refused", grouped(report.refused as u64));
            let refused = match report.refused {
                0 => palette.good(refused).to_string(),
                _ => palette.bad(refused).to_string(),
            };
            text.push_str(&format!(
                "{} in {}: {}, {}, {}; {} left out as deprecated or unsupported; {refused}; {}, {} \
                 can never fire here; loaded in {}",
                counted(choice.loaded.documents as u64, "document"),
                counted(choice.file_count as u64, "file"),
                counted(report.rules as u64, "rule"),
                counted(report.correlations as u64, "correlation"),
                counted(report.filters as u64, "filter"),
                grouped(choice.loaded.left_out as u64),
                counted(counts.warnings, "warning"),
                grouped(counts.never),
                humanised(took),
            ));
        }
    }
    text.push('\n');
    print(&text)?;
    if choice.files.rules.is_empty()
        && choice.loaded.unreadable.is_empty()
        && !args.paths.is_empty()
    {
        let error = format!("`{}` holds no file of rules", args.paths.join("`, `"));
        return Err(Failure::new(Exit::NoInput, error));
    }
    Ok(if counts.errors > 0 { Exit::Failed } else { Exit::Ok })
}

/// `file:line:column: error[code]: reason`, and a hint on a line of its own.
fn shown(diagnostic: &Diagnostic, palette: Palette) -> String {
    let gravity = format!("{}[{}]:", diagnostic.gravity, diagnostic.code);
    let gravity = match diagnostic.gravity {
        Gravity::Error => palette.bad(gravity).to_string(),
        Gravity::Warning => palette.level("medium", gravity).to_string(),
        Gravity::Note => palette.faint(gravity).to_string(),
    };
    let place = format!("{}:{}:", diagnostic.file, diagnostic.at);
    let mut text =
        format!("{} {gravity} {}", palette.strong(escape(&place)), escape(&diagnostic.reason));
    if let Some(hint) = &diagnostic.hint {
        text.push_str(&format!("\n  {} {}", palette.good("hint:"), escape(hint)));
    }
    text
}

fn to_json(diagnostic: &Diagnostic, finding: Option<&Finding>) -> String {
    let mut object = json!({
        "type": "diagnostic",
        "file": &*diagnostic.file,
        "line": diagnostic.at.line,
        "column": diagnostic.at.column,
        "gravity": diagnostic.gravity,
        "code": diagnostic.code,
        "reason": diagnostic.reason,
        "hint": diagnostic.hint,
        "rule": diagnostic.rule,
    });
    if let Some(Finding { field: Some(field), suggestion, .. }) = finding {
        object["field"] = json!(field);
        object["suggestion"] = json!(suggestion);
    }
    object.to_string()
}
