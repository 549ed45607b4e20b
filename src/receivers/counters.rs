//! What receivers count: everything that came, and everything that was odd or lost.
//!
//! One [`Counters`] for each receiver, shared by its tasks. Nothing is lost without a number here
//! that rises by exactly as much.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counters of one receiver. They only rise, except `receive_buffer` and `open`.
        #[derive(Debug, Default)]
        pub struct Counters { $($(#[$doc])* pub $name: AtomicU64,)* }

        /// What [`Counters`] said at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct Snapshot { $($(#[$doc])* pub $name: u64,)* }

        impl Counters {
            /// Reads all of them. Each is exact; together they are of about the same moment.
            #[must_use]
            pub fn snapshot(&self) -> Snapshot {
                Snapshot { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }

        impl Snapshot {
            /// Adds another receiver's numbers to these.
            pub fn add(&mut self, other: &Snapshot) { $(self.$name += other.$name;)* }
        }
    };
}

counters! {
    /// Records handed over to the journal.
    received,
    /// Their bytes, without delimiters.
    bytes,
    /// Datagrams that the kernel dropped because nobody read its buffer in time.
    dropped_kernel,
    /// Records dropped because the journal was behind and the sender cannot be made to wait.
    dropped_full,
    /// Frames whose length or delimiter was a lie.
    framing_errors,
    /// Records cut at the longest length allowed.
    truncated,
    /// Records whose sender stopped before their end.
    unterminated,
    /// Frames with nothing in them, skipped.
    empty,
    /// Connections accepted.
    connections,
    /// Connections open now.
    open,
    /// Connections closed at once, because all places were taken by active ones.
    refused,
    /// Connections closed to make room: the longest idle.
    evicted,
    /// Connections closed because nothing came, or nothing whole.
    timed_out,
    /// Times that a file was cut while it was read, so that lines may be missing.
    gaps,
    /// Files opened for the first time.
    files,
    /// Rotations seen: a name that now means another file.
    rotations,
    /// Files that could not be read, or not to their end: permissions, corrupt compression.
    file_errors,
    /// Files left alone because they do not look like text.
    binary,
    /// Pieces of input that are no records, given to the dead letters.
    dead_letters,
    /// The bytes of socket buffer that the kernel gave, as it counts them.
    receive_buffer,
}

/// Adds to a counter.
pub(crate) fn count(counter: &AtomicU64, by: u64) {
    if by > 0 {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}

/// Lets one through in a while: what may happen a million times is logged a few times.
#[derive(Debug)]
pub(crate) struct Rarely {
    last: Option<Instant>,
    every: Duration,
}

impl Rarely {
    /// One in thirty seconds.
    pub(crate) fn new() -> Self {
        Rarely { last: None, every: Duration::from_secs(30) }
    }

    /// Whether it is time again.
    pub(crate) fn now(&mut self) -> bool {
        if self.last.is_some_and(|last| last.elapsed() < self.every) {
            return false;
        }
        self.last = Some(Instant::now());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_shows_each_counter_by_its_name() {
        let counters = Counters::default();
        count(&counters.received, 3);
        count(&counters.gaps, 1);
        let json = serde_json::to_value(counters.snapshot()).unwrap();
        assert_eq!(json["received"], 3);
        assert_eq!(json["gaps"], 1);
        assert_eq!(json["dropped_kernel"], 0);
    }

    #[test]
    fn snapshots_add_up() {
        let counters = Counters::default();
        count(&counters.bytes, 5);
        let mut sum = counters.snapshot();
        sum.add(&counters.snapshot());
        assert_eq!(sum.bytes, 10);
    }

    #[test]
    fn what_happens_often_is_logged_once() {
        let mut rarely = Rarely::new();
        assert!(rarely.now());
        assert!(!rarely.now());
    }
}
