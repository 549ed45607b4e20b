//! How odd an event is, and when that is worth an alert.
//!
//! Two halves. **Detectors** give an [`Opinion`](opinion::Opinion) of an event: the share of
//! ordinary events that would look at least as odd, with a sentence that says why, or nothing
//! while they cannot know.
//!
//! | detector | asks | key |
//! |---|---|---|
//! | [`rarity`] | is this symbol rare here? | the source; an entity |
//! | [`markov`] | does this follow from what went before? | an entity |
//! | [`half_space`] | are the numbers of this message usual? | its template |
//!
//! The **decision** ([`groups`]) does not look at single events. It takes the most surprising
//! event of each group (detector, key, window of event time), ranks it among the groups that came
//! before, and alerts if that rank fits the alert budget *and* the detector itself finds it
//! improbable. [`spot`] says what lies beyond the most extreme group seen so far.
//!
//! Every source-wide model is read-only while an epoch lasts; see [`Mergeable`]. What belongs to
//! one entity ([`rarity::Context`], [`markov::Entity`], [`groups::Open`]) has one owner and takes
//! events in sequence order. No model knows a clock; all forget by counting events.
//!
//! [`Mergeable`]: crate::types::Mergeable

pub mod codec;
pub mod features;
pub mod groups;
pub mod half_space;
pub mod markov;
pub mod opinion;
pub mod random;
pub mod rarity;
pub mod spot;

#[cfg(test)]
mod data;
#[cfg(test)]
mod stream_tests;
