//! One binary for all end-to-end tests; each `tests/*.rs` file of its own would be one more link.

mod cli;
mod configs;
mod query;
mod sigma;
