//! `query`: shows what is stored.

use crate::cli::args::{Global, QueryVerb};
use crate::cli::{Outcome, configuration, state_flag};

/// Does it.
///
/// # Errors
/// If the configuration is wrong.
pub fn query(global: &Global, args: &QueryVerb) -> Outcome {
    configuration(global, state_flag(args.reading().state.as_deref()))?;
    super::not_available("query")
}
