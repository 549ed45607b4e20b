//! `schema`: prints the JSON Schema of the configuration.

use crate::cli::args::SchemaArgs;
use crate::cli::exit::Exit;
use crate::cli::{Outcome, print};

/// Prints it.
///
/// # Errors
/// If nobody reads it.
pub fn schema(_: &SchemaArgs) -> Outcome {
    print(&format!("{:#}\n", crate::config::schema::schema()))?;
    Ok(Exit::Ok)
}
