//! Tests of the room as a whole. Those on Loghub's samples look for them beside the repository.

mod bench;
mod fidelity;
mod masks;
mod protocol;
mod shared;
