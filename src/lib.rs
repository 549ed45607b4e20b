//! The program: everything that touches the outside world.

pub mod cli;
pub mod config;
pub mod demo;
pub mod engine;
pub mod intake;
pub mod journal;
pub mod outlets;
pub mod receivers;
pub mod render;
pub mod retold;
pub mod rules;
pub mod session;
pub mod setup;
pub mod storage;
pub mod summing;
pub mod telemetry;
pub mod verbs;

/// The causes of an error, in one line.
#[must_use]
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
