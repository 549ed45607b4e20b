//! `explain`: says why there is an alert, or what becomes of one line.

use crate::cli::args::{ExplainArgs, Global};
use crate::cli::{Outcome, configuration, state_flag};

/// Does it.
///
/// # Errors
/// If the configuration is wrong.
pub fn explain(global: &Global, args: &ExplainArgs) -> Outcome {
    configuration(global, state_flag(args.state.as_deref()))?;
    super::not_available("explain")
}
