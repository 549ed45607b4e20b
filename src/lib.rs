//! The program: everything that touches the outside world.

pub mod intake;
pub mod journal;
pub mod storage;
