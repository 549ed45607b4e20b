//! Runs the program.

use std::process::ExitCode;

/// Text is allocated where it is received and freed where it was analysed, on another thread; an
/// allocator with one lock for each arena makes these threads wait for each other.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    seerflow_dataflow::cli::main().into()
}
