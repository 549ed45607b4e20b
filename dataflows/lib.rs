//! How operators connect: graphs, each one function that reads top to bottom.
//!
//! A graph has no state and no decision about data. Start with [`mod@detection`].

pub mod detection;
mod rulebook;

pub use detection::{Options, Outputs, detection};

#[cfg(test)]
mod tests;
