//! What happens to an event: pure logic, and thin operators around it.
//!
//! Start with [`types`], the words; then any one operator. The law of this room: an operator is
//! told and never asks. It knows no clock, no I/O, no randomness but from a given seed, and no
//! order that depends on hashing, arrival or the number of workers. Every limit has a name.
//! A folder `NAME/` is the logic of `NAME.rs` and never mentions timely; operators do not import
//! each other, they share [`types`] only.

pub mod alert;
pub mod logic;
pub mod state;
pub mod types;
pub mod watermark;
