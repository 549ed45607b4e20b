//! `state info`: looks at the state folder.

use crate::cli::args::{Global, StateVerb};
use crate::cli::{Outcome, configuration, state_flag};

/// Does it.
///
/// # Errors
/// If the configuration is wrong.
pub fn state(global: &Global, verb: &StateVerb) -> Outcome {
    let StateVerb::Info(args) = verb;
    configuration(global, state_flag(args.state.as_deref()))?;
    super::not_available("state info")
}
