//! What receivers hand over: records in small groups, on their way to the journal.
//!
//! A receiver frames bytes into records and collects them into an [`Intake`]; the journal puts
//! intakes in one order, makes them durable, and only then fulfils [`Intake::receipt`]. The
//! channel between them is bounded by [`CHANNEL_INTAKES`]: a full one is the back-pressure that
//! makes TCP stop reading and files wait.

use operators::types::{EventTime, Flags, Source};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

/// How many intakes may wait for the journal.
pub const CHANNEL_INTAKES: usize = 256;
/// How many bytes of records one intake may hold; a receiver hands over before it grows larger.
pub const INTAKE_BYTES_MAX: usize = 1 << 20;
/// How many records one intake may hold.
pub const INTAKE_RECORDS_MAX: usize = 4_096;

/// Where receivers put intakes. `send().await` waits while the journal is behind.
pub type IntakeSender = mpsc::Sender<Intake>;

/// Some records of one source, in the order in which they came.
#[derive(Debug)]
pub struct Intake {
    /// Where they come from.
    pub source: Source,
    /// When the last of them was received.
    pub received_at: EventTime,
    /// Their bytes, one record after the other, without delimiters.
    pub bytes: Vec<u8>,
    /// For each record, where it ends in `bytes`, and what is odd about it.
    pub ends: Vec<(u32, Flags)>,
    /// How far the source has been read once these records are in the journal. Written with them.
    pub position: Option<Position>,
    /// Told when the records are durable, for senders that can be answered.
    pub receipt: Option<oneshot::Sender<()>>,
}

impl Intake {
    /// An intake without records.
    #[must_use]
    pub fn new(source: Source) -> Self {
        Intake {
            source,
            received_at: EventTime(0),
            bytes: Vec::new(),
            ends: Vec::new(),
            position: None,
            receipt: None,
        }
    }

    /// Adds a record.
    pub fn push(&mut self, record: &[u8], flags: Flags) {
        self.bytes.extend_from_slice(record);
        self.ends.push((self.bytes.len() as u32, flags));
    }

    /// Whether it should be handed over before another record is added.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= INTAKE_BYTES_MAX || self.ends.len() >= INTAKE_RECORDS_MAX
    }

    /// The records, in order.
    pub fn records(&self) -> impl Iterator<Item = (&[u8], Flags)> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|(end, _)| *end));
        starts
            .zip(&self.ends)
            .map(|(start, (end, flags))| (&self.bytes[start as usize..*end as usize], *flags))
    }
}

/// How far a file has been read. The file is known by more than its name, which rotation changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The path under which it was found.
    pub path: String,
    /// The device that it is on.
    pub device: u64,
    /// Its inode.
    pub inode: u64,
    /// A hash of its first bytes, as many as `fingerprint_len`.
    pub fingerprint: u64,
    /// How many bytes the fingerprint covers; a file shorter than the usual is known by less.
    pub fingerprint_len: u32,
    /// The byte after the last record taken. For compressed files, of the decompressed bytes.
    pub offset: u64,
    /// Whether it has been read to its end and will not grow (compressed files, `replay`).
    pub complete: bool,
}
