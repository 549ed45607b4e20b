//! `query`: shows what is stored.

use crate::cli::Outcome;
use crate::cli::args::{Global, QueryVerb};
use crate::cli::configuration;

/// Does it.
///
/// # Errors
/// If the configuration is wrong.
pub fn query(global: &Global, _: &QueryVerb) -> Outcome {
    configuration(global, Vec::new())?;
    super::not_available("query")
}
