//! What the program can do, one file for each verb.

pub mod completions;
pub mod demo;
pub mod explain;
pub mod init;
pub mod man;
pub mod query;
pub mod replay;
pub mod rules;
pub mod run;
pub mod schema;
pub mod state;
pub mod validate;

use crate::cli::Outcome;
use crate::cli::args::{Cli, Verb};

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

/// What a verb says that this build of the program cannot do.
pub(crate) fn not_available(verb: &str) -> Outcome {
    use crate::cli::{Failure, exit::Exit};
    let error = format!("`{verb}` is not available in this build");
    Err(Failure::new(Exit::Unavailable, error))
}
