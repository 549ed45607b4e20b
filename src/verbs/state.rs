//! `state info`: looks at the state folder.

use crate::cli::Outcome;
use crate::cli::args::{Global, StateVerb};
use crate::cli::configuration;

/// Does it.
///
/// # Errors
/// If the configuration is wrong.
pub fn state(global: &Global, _: &StateVerb) -> Outcome {
    configuration(global, Vec::new())?;
    super::not_available("state info")
}
