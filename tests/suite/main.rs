//! One binary for all end-to-end tests; each `tests/*.rs` file of its own would be one more link.

mod bad_input;
mod cli;
mod configs;
mod corpus;
mod correlation;
mod exact;
mod harness;
mod law;
mod live;
mod quality;
mod query;
mod reload;
mod repair;
mod rules;
mod sigma;
