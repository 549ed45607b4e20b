//! `replay`: takes finite logs through the whole engine and sums up.

use crate::cli::Outcome;
use crate::cli::args::{Global, ReplayArgs};
use crate::cli::configuration;

/// Does it.
///
/// # Errors
/// If the configuration is wrong.
pub fn replay(global: &Global, _: &ReplayArgs) -> Outcome {
    configuration(global, Vec::new())?;
    super::not_available("replay")
}
