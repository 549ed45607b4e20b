//! `rules`: lists, checks and tests rules.

use crate::cli::Outcome;
use crate::cli::args::{Global, RulesVerb};
use crate::cli::configuration;

/// Does it.
///
/// # Errors
/// If the configuration is wrong.
pub fn rules(global: &Global, _: &RulesVerb) -> Outcome {
    configuration(global, Vec::new())?;
    super::not_available("rules")
}
