//! `run`: receives logs and raises alerts until it is stopped.

use crate::cli::Outcome;
use crate::cli::args::{Global, RunArgs};
use crate::cli::configuration;

/// Does it.
///
/// # Errors
/// If the configuration is wrong.
pub fn run(global: &Global, _: &RunArgs) -> Outcome {
    configuration(global, Vec::new())?;
    super::not_available("run")
}
