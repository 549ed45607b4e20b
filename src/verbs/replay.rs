//! `replay`: takes finite logs through the whole engine and sums up.

use crate::cli::args::{Global, ReplayArgs};
use crate::cli::{Outcome, configuration, state_flag};

/// Does it.
///
/// # Errors
/// If the configuration is wrong.
pub fn replay(global: &Global, args: &ReplayArgs) -> Outcome {
    configuration(global, state_flag(args.state.as_deref()))?;
    super::not_available("replay")
}
