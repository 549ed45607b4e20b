//! What happens to an event: pure logic, and thin operators around it.
//!
//! Start with [`types`], the words, and [`logic`], which says what an operator is; then any one
//! operator. The law of this room: an operator is told and never asks. It knows no clock, no I/O,
//! no randomness but from a given seed, and no order that depends on hashing, arrival or the
//! number of workers. Every limit has a name. A folder `NAME/` is the logic of `NAME.rs` and never
//! mentions timely. Operators do not import each other; they share [`types`], and those that
//! judge share the models in [`score`]. [`correlation`] runs what [`sigma`] reads.

pub mod alert;
pub mod content;
pub mod correlation;
pub mod entity;
pub mod extract;
pub mod logic;
pub mod parse;
pub mod report;
pub mod score;
pub mod sigma;
pub mod state;
pub mod template;
pub mod types;
pub mod watermark;
