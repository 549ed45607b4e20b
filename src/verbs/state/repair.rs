//! `state repair`: goes on without what is damaged in the journal.

use std::path::Path;

use crate::cli::args::{Global, StateRepairArgs};
use crate::cli::escape::escape_lines;
use crate::cli::exit::Exit;
use crate::cli::numbers::{counted, grouped};
use crate::cli::{Failure, Outcome, configuration, print, state_flag};
use crate::journal::{self, Damage, FIRST_EPOCH, Repaired};
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
    print(&told(&done, true))?;
    Ok(Exit::Ok)
}

/// Says what is wrong and what a repair would do, and leaves it as it is.
fn look(dir: &Path, covered: (u64, u64)) -> Outcome {
    let found = journal::examine(dir, covered).map_err(journal_failure)?;
    if found.damage.is_empty() && found.passed_over.is_none() {
        let torn = match &found.torn {
            Some(torn) => format!(
                ", but for {} bytes of a last write that was not finished, \
                which the next start cuts off",
                grouped(torn.bytes)
            ),
            None => String::new(),
        };
        print(&format!("the journal is whole{torn}\n"))?;
        return Ok(Exit::Ok);
    }
    print(&told(&found, false))?;
    let error = "the journal is damaged, and nothing was done about it";
    let hint = "with `--yes` it is repaired; the folder may be copied before";
    Err(Failure::new(Exit::Failed, error).with_hint(hint))
}

/// What was done, or would be, for people.
fn told(repaired: &Repaired, done: bool) -> String {
    let mut text = String::new();
    let mut say = |line: String| text.push_str(&format!("{}\n", escape_lines(&line)));
    let (moves, goes_on) = match done {
        true => ("moved", "the journal goes on: `run` can be started"),
        false => ("a repair moves", "all else is kept"),
    };
    for damage in &repaired.damage {
        let moved = match damage.bytes {
            0 => String::new(),
            some => format!(
                "; {moves} {} aside, to `{}`",
                counted(some, "byte"),
                damage.aside.display()
            ),
        };
        say(format!(
            "`{}`, byte {}: {}{moved}: {}",
            damage.file.display(),
            grouped(damage.offset),
            damage.what,
            lost(damage),
        ));
    }
    if let Some(torn) = repaired.torn.as_ref().filter(|torn| torn.bytes > 0) {
        let bytes = counted(torn.bytes, "byte");
        say(match done {
            true => format!("cut {bytes} of a last write that was not finished"),
            false => format!("a repair cuts {bytes} of a last write that was not finished"),
        });
    }
    if let Some(passed) = &repaired.passed_over {
        let records = passed.end - passed.start;
        say(match records {
            0 => "the journal ends before the checkpoint does, with no record missing".to_owned(),
            _ => format!(
                "the journal lacks {} before the checkpoint, from number {} on; what was found \
                 there is kept",
                counted(records, "record"),
                grouped(passed.start),
            ),
        });
    }
    match text.is_empty() {
        true => "the journal is whole: nothing was done\n".to_owned(),
        false => text + goes_on + "\n",
    }
}

/// How many records are lost with some damage.
fn lost(damage: &Damage) -> String {
    let seqs = &damage.lost_seqs;
    let at_most = if damage.exact { "" } else { "at most " };
    match seqs.end - seqs.start {
        0 if damage.exact => "no record is lost".to_owned(),
        0 => "its records are lost".to_owned(),
        count => {
            let records = counted(count, "record");
            format!("{at_most}{records} lost, from number {} on", grouped(seqs.start))
        }
    }
}
