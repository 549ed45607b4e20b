//! What the program can do, one file for each verb.

pub mod completions;
pub mod demo;
pub mod explain;
pub mod init;
pub mod man;
pub mod query;
mod reading;
pub mod replay;
pub mod rules;
pub mod run;
pub mod schema;
pub mod state;
pub mod validate;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use operators::state::model_key;
use operators::template::{Dictionary, STORED};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::Outcome;
use crate::cli::args::{Cli, Verb};
use crate::cli::exit::Exit;
use crate::config::settings::Settings;
use crate::setup;
use crate::storage::Storage;

/// Does what the command line says.
///
/// # Errors
/// If the verb fails.
pub fn dispatch(cli: &Cli) -> Outcome {
    let global = &cli.global;
    match &cli.verb {
        Verb::Run(args) => run::run(global, args),
        Verb::Replay(args) => replay::replay(global, args),
        Verb::Demo(args) => demo::demo(global, args),
        Verb::Query(verb) => query::query(global, verb),
        Verb::Explain(args) => explain::explain(global, args),
        Verb::Rules(verb) => rules::rules(global, verb),
        Verb::Validate(args) => validate::validate(global, args),
        Verb::Init(args) => init::init(args),
        Verb::Schema(args) => schema::schema(args),
        Verb::State(verb) => state::state(global, verb),
        Verb::Completions(args) => completions::completions(args),
        Verb::Man(args) => man::man(args),
    }
}

/// Ends the process as soon as any thread panics: of several workers the others would wait for
/// ever for the one that is gone. What was taken in is in the journal.
pub(crate) fn end_on_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        std::process::exit(i32::from(Exit::Internal.code()));
    }));
}

/// Cancels `shutdown` at the first Ctrl-C or SIGTERM, and ends the process at the second. Tells
/// whether there has been one.
pub(crate) fn stop_on_signal(
    runtime: &tokio::runtime::Runtime,
    shutdown: CancellationToken,
) -> Arc<AtomicBool> {
    let stopped = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stopped);
    let _entered = runtime.enter();
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return stopped;
    };
    runtime.spawn(async move {
        for first in [true, false] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if !first {
                std::process::exit(i32::from(Exit::Forced.code()));
            }
            told.store(true, Ordering::Release);
            shutdown.cancel();
        }
    });
    stopped
}

/// The templates as of the last checkpoint.
pub(crate) fn stored_dictionary(settings: &Settings, storage: &Storage) -> Dictionary {
    let options = setup::detection(settings, 1).template;
    let found = storage.scan_state(&model_key(STORED)).pop();
    let read = found.and_then(|(_, bytes)| Dictionary::decode(&bytes, options).ok());
    read.unwrap_or_else(|| Dictionary::new(options))
}
