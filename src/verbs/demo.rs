//! `demo`: shows what the program does, on generated traffic with a planted attack.

use crate::cli::Outcome;
use crate::cli::args::{DemoArgs, Global};
use crate::cli::configuration;

/// Does it.
///
/// # Errors
/// If the configuration is wrong.
pub fn demo(global: &Global, _: &DemoArgs) -> Outcome {
    configuration(global, Vec::new())?;
    super::not_available("demo")
}
