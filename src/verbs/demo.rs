//! `demo`: shows what the program does, on generated traffic with a planted attack.

use crate::cli::args::{DemoArgs, Global};
use crate::cli::{Outcome, configuration, state_flag};

/// Does it.
///
/// # Errors
/// If the configuration is wrong.
pub fn demo(global: &Global, args: &DemoArgs) -> Outcome {
    configuration(global, state_flag(args.state.as_deref()))?;
    super::not_available("demo")
}
