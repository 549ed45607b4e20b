//! The words that operators share: records, events, entities, times, findings.
//!
//! Plain data with public fields. What one operator says to the next is a type in here.

pub mod entity;
pub mod event;
pub mod finding;
pub mod hash;
pub mod share;
pub mod summary;
pub mod time;

pub use entity::{EntityId, EntityRef, Kind, Place, Role};
pub use event::{
    Batch, Block, Event, Field, Flags, Format, NO_OPINION, Record, Severity, Source, Text, Value,
};
pub use finding::{Alert, Contribution, Detector, Finding, Level, More, Peer, Rule};
pub use share::{EpochEnd, Grounds, Hand, Note, Share, TemplateText, Texts};
pub use summary::Mergeable;
pub use time::{EventTime, Span};
