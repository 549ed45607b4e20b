//! `run`: receives logs and raises alerts until it is stopped.

use crate::cli::args::{Global, RunArgs};
use crate::cli::{Outcome, configuration, state_flag};

/// Does it.
///
/// # Errors
/// If the configuration is wrong.
pub fn run(global: &Global, args: &RunArgs) -> Outcome {
    configuration(global, state_flag(args.state.as_deref()))?;
    super::not_available("run")
}
