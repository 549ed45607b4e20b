//! Decides where an epoch ends.
//!
//! An epoch is full when it holds `clamp(s / 8, 64, 16_384)` records, where `s` is the sequence
//! number of its first: small at the start, so that models learn from the first few hundred
//! lines, and large later, so that a large input is not drowned in coordination. That depends on
//! nothing but `s`; not on how records came in groups, and not on where a run was interrupted.
//! In a live run an epoch also ends when its time is up, which the cutter is told.

/// The number of the first epoch. Checkpoint 0 is the empty one.
pub const FIRST_EPOCH: u64 = 1;
/// The fewest records at which an epoch is full.
pub const EPOCH_RECORDS_MIN: u64 = 64;
/// The most records that an epoch holds.
pub const EPOCH_RECORDS_MAX: u64 = 16_384;
/// An epoch holds one part in so many of all records before it.
pub const EPOCH_SHARE: u64 = 8;

/// The open epoch, and when it is full. See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cutter {
    epoch: u64,
    first_seq: u64,
    next_seq: u64,
    controls: u64,
}

/// The end of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The epoch that ended.
    pub epoch: u64,
    /// The first sequence number that is not in it.
    pub next_seq: u64,
}

impl Cutter {
    /// Before the first record.
    #[must_use]
    pub fn new() -> Self {
        Self::resume(FIRST_EPOCH, 0, 0, 0)
    }

    /// In the middle of `epoch`, which holds the records `[first_seq, next_seq)` and so many
    /// control records.
    #[must_use]
    pub fn resume(epoch: u64, first_seq: u64, next_seq: u64, controls: u64) -> Self {
        debug_assert!(first_seq <= next_seq && epoch >= FIRST_EPOCH);
        Cutter { epoch, first_seq, next_seq, controls }
    }

    /// The open epoch.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The first sequence number of the open epoch.
    #[must_use]
    pub fn first_seq(&self) -> u64 {
        self.first_seq
    }

    /// The sequence number that the next record gets.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// How many records the open epoch holds.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.next_seq - self.first_seq
    }

    /// How many control records the open epoch holds.
    #[must_use]
    pub fn controls(&self) -> u64 {
        self.controls
    }

    /// Whether nothing is in the open epoch yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held() == 0 && self.controls == 0
    }

    /// How many more records the open epoch takes. Nought means that it is to be closed.
    #[must_use]
    pub fn room(&self) -> u64 {
        epoch_records(self.first_seq).saturating_sub(self.held())
    }

    /// Takes records into the open epoch; the caller keeps to [`room`](Self::room).
    pub fn take(&mut self, records: u64) {
        self.next_seq += records;
    }

    /// Takes a control record into the open epoch.
    pub fn take_control(&mut self) {
        self.controls += 1;
    }

    /// Ends the open epoch if its time being up means anything: if something is in it.
    pub fn tick(&mut self) -> Option<Cut> {
        (!self.is_empty()).then(|| self.close())
    }

    /// Ends the open epoch.
    pub fn close(&mut self) -> Cut {
        let cut = Cut { epoch: self.epoch, next_seq: self.next_seq };
        *self = Self::resume(self.epoch + 1, self.next_seq, self.next_seq, 0);
        cut
    }
}

impl Default for Cutter {
    fn default() -> Self {
        Self::new()
    }
}

/// How many records fill an epoch that begins with `first_seq`.
#[must_use]
pub fn epoch_records(first_seq: u64) -> u64 {
    (first_seq / EPOCH_SHARE).clamp(EPOCH_RECORDS_MIN, EPOCH_RECORDS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where epochs end when records come in groups of these sizes.
    fn cuts(groups: impl IntoIterator<Item = u64>) -> Vec<Cut> {
        let mut cutter = Cutter::new();
        let mut cuts = Vec::new();
        for mut group in groups {
            while group > 0 {
                let taken = group.min(cutter.room());
                cutter.take(taken);
                group -= taken;
                if cutter.room() == 0 {
                    cuts.push(cutter.close());
                }
            }
        }
        cuts
    }

    #[test]
    fn epochs_end_at_the_same_places_however_records_come_in_groups() {
        let one_by_one = cuts(std::iter::repeat_n(1, 300_000));
        assert_eq!(cuts([300_000]), one_by_one);
        let uneven = cuts((0..).map(|i| i * 37 % 5_000).take(120));
        assert!(uneven.len() > 50);
        assert_eq!(uneven, one_by_one[..uneven.len()]);
    }

    #[test]
    fn epochs_are_small_at_first_and_bounded_at_last() {
        let ends: Vec<u64> = cuts([1_000_000]).iter().map(|cut| cut.next_seq).collect();
        assert_eq!(ends[..9], [64, 128, 192, 256, 320, 384, 448, 512, 576]);
        assert_eq!(ends[9..11], [648, 729]);
        assert!(ends.windows(2).all(|pair| pair[1] - pair[0] <= EPOCH_RECORDS_MAX));
        assert_eq!(ends[ends.len() - 1] - ends[ends.len() - 2], EPOCH_RECORDS_MAX);
    }

    #[test]
    fn time_ends_an_epoch_only_if_something_is_in_it() {
        let mut cutter = Cutter::new();
        assert_eq!(cutter.tick(), None);
        cutter.take_control();
        assert_eq!(cutter.tick(), Some(Cut { epoch: 1, next_seq: 0 }));
        cutter.take(3);
        assert_eq!(cutter.tick(), Some(Cut { epoch: 2, next_seq: 3 }));
        assert_eq!(cutter.tick(), None);
    }

    #[test]
    fn an_epoch_resumed_ends_where_it_would_have() {
        let resumed = Cutter::resume(9, 512, 530, 0);
        assert_eq!(resumed.room(), 64 - 18);
        assert_eq!(Cutter::resume(9, 512, 5_000, 0).room(), 0);
    }
}
