//! The program: everything that touches the outside world.

pub mod cli;
pub mod config;
pub mod intake;
pub mod journal;
pub mod receivers;
pub mod storage;
pub mod telemetry;
pub mod verbs;
