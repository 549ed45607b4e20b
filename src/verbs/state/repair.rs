//! `state repair`: goes on without what is damaged in the journal.

use std::path::Path;

use crate::cli::args::{Global, StateRepairArgs};
use crate::cli::escape::escape_lines;
use crate::cli::exit::Exit;
use crate::cli::numbers::grouped;
use crate::cli::{Failure, Outcome, configuration, print, state_flag};
use crate::journal::{self, FIRST_EPOCH, Journal, JournalError, Options, Repaired};
use crate::session::{journal_failure, read_storage};
use crate::verbs::reading::storage_failure;

/// Does it.
///
/// # Errors
/// If the configuration is wrong, the folder is in use or cannot be read; and with
/// [`Exit::Failed`] if there is damage and nothing was to be done about it.
pub(super) fn repair(global: &Global, args: &StateRepairArgs) -> Outcome {
    let loaded = configuration(global, state_flag(args.state.as_deref()))?;
    let dir = &loaded.settings.state.dir;
    // The journal goes on behind the checkpoint, where the state does.
    let marker = read_storage(dir)?.checkpoint().map_err(storage_failure)?;
    let covered = marker.map_or((0, FIRST_EPOCH), |marker| (marker.next_seq, marker.epoch + 1));
    if !args.yes {
        return look(dir, covered);
    }
    let done = journal::repair(dir, covered).map_err(journal_failure)?;
    print(&told(&done))?;
    Ok(Exit::Ok)
}

/// Says what is wrong first, and leaves it as it is.
fn look(dir: &Path, (next_seq, next_epoch): (u64, u64)) -> Outcome {
    // All segments are checked, also those that no start would read.
    let options = Options { check_from: FIRST_EPOCH, ..Options::usual() };
    let wrong = match Journal::open(dir, options) {
        Ok((_, end)) if next_epoch > end.epoch || next_seq > end.next_seq => format!(
            "the journal ends with {} records, and the checkpoint knows of {}; a repair goes on \
             behind the checkpoint, and keeps what was found",
            grouped(end.next_seq),
            grouped(next_seq),
        ),
        Ok(_) => {
            print("the journal is whole\n")?;
            return Ok(Exit::Ok);
        }
        Err(JournalError::Damaged(damage)) => damage.to_string(),
        Err(error) => return Err(journal_failure(error)),
    };
    print(&format!("{}\n", escape_lines(&wrong)))?;
    let error = "the journal is damaged, and nothing was done about it";
    let hint = "with `--yes` it is repaired; the folder may be copied before";
    Err(Failure::new(Exit::Failed, error).with_hint(hint))
}

/// What was done, for people.
fn told(done: &Repaired) -> String {
    let mut text = String::new();
    let mut say = |line: String| text.push_str(&format!("{}\n", escape_lines(&line)));
    for damage in &done.damage {
        let lost = damage.lost_seqs.end - damage.lost_seqs.start;
        say(format!(
            "moved {} bytes of `{}` aside, to `{}`: at most {} records, from number {} on",
            grouped(damage.bytes),
            damage.file.display(),
            damage.aside().display(),
            grouped(lost),
            grouped(damage.lost_seqs.start),
        ));
    }
    if let Some(torn) = &done.torn {
        say(torn.to_string());
    }
    if let Some(passed) = &done.passed_over {
        say(format!(
            "{} records before the checkpoint are not in the journal any more, from number {} on; \
             what was found in them is kept",
            grouped(passed.end - passed.start),
            grouped(passed.start),
        ));
    }
    match text.is_empty() {
        true => "the journal is whole: nothing was done\n".to_owned(),
        false => text + "the journal goes on: `run` can be started\n",
    }
}
