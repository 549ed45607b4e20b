//! Runs the program.

use std::process::ExitCode;

fn main() -> ExitCode {
    seerflow_dataflow::cli::main().into()
}
