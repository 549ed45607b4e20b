//! `explain`: says why there is an alert, or what becomes of one line.

use crate::cli::Outcome;
use crate::cli::args::{ExplainArgs, Global};
use crate::cli::configuration;

/// Does it.
///
/// # Errors
/// If the configuration is wrong.
pub fn explain(global: &Global, _: &ExplainArgs) -> Outcome {
    configuration(global, Vec::new())?;
    super::not_available("explain")
}
