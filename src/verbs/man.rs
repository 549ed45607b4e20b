//! `man`: prints the manual, or writes all its pages into a folder.

use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::cli::args::{Cli, ManArgs};
use crate::cli::exit::Exit;
use crate::cli::{Failure, Outcome, print};

/// Prints the page of a verb, or writes every page.
///
/// # Errors
/// If there is no such verb, or the folder cannot be written to.
pub fn man(args: &ManArgs) -> Outcome {
    let mut command = Cli::command();
    command.build();
    match &args.dir {
        Some(dir) => {
            fs::create_dir_all(dir)?;
            write_pages(&command, command.get_name(), dir)?;
        }
        None => {
            let mut page = &command;
            let mut name = command.get_name().to_owned();
            for verb in &args.verb {
                page = page.find_subcommand(verb).ok_or_else(|| {
                    let error = format!("there is no verb `{verb}` in `{name}`");
                    Failure::new(Exit::Usage, error).with_hint("`seerflow-dataflow --help`")
                })?;
                name = format!("{name}-{verb}");
            }
            print(&String::from_utf8_lossy(&render(page, &name)?))?;
        }
    }
    Ok(Exit::Ok)
}

fn render(command: &Command, name: &str) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    let mut command = command.clone().display_name(name.to_owned());
    // Exit codes are the same for all verbs; the first page holds them.
    let top = !name.contains("dataflow-");
    if top {
        command = command.version(env!("CARGO_PKG_VERSION"));
    }
    Man::new(command).title(name.to_uppercase()).render(&mut page)?;
    // What stands after the flags begins with examples, and says so itself.
    let text = String::from_utf8_lossy(&page).replace(".SH EXTRA\nExamples:\n", ".SH EXAMPLES\n");
    let mut page = text.into_bytes();
    if top {
        page.extend_from_slice(exit_codes().as_bytes());
    }
    Ok(page)
}

fn exit_codes() -> String {
    let mut text = ".SH \"EXIT STATUS\"\n".to_owned();
    for (exit, meaning) in Exit::ALL {
        text.push_str(&format!(".TP\n\\fB{}\\fR\n{}\n", exit.code(), meaning.replace('-', "\\-")));
    }
    text
}

fn write_pages(command: &Command, name: &str, dir: &Path) -> Result<(), Failure> {
    fs::write(dir.join(format!("{name}.1")), render(command, name)?)?;
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        write_pages(verb, &format!("{name}-{}", verb.get_name()), dir)?;
    }
    Ok(())
}
