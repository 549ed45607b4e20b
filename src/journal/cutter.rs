//! Decides where an epoch ends.
//!
//! An epoch is full when it holds `clamp(s / 8, 64, 16_384)` records, where `s` is the sequence
//! number of its first: small at the start, so that models learn from the first few hundred
//! lines, and large later, so that a large input is not drowned in coordination. That depends on
//! nothing but `s` and the two [limits](EpochSize), which may be configured; not on how records came
//! in groups, and not on where a run was interrupted.
//! In a live run an epoch also ends when its time is up, which the cutter is told.

/// The number of the first epoch. Checkpoint 0 is the empty one.
pub const FIRST_EPOCH: u64 = 1;
/// An epoch holds one part in so many of all records before it.
pub const EPOCH_SHARE: u64 = 8;

/// Within which limits an epoch is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochSize {
    /// The fewest records at which it is; at least 1.
    pub min: u64,
    /// The most records that it holds; at least `min`.
    pub max: u64,
}

impl EpochSize {
    /// What suits most.
    #[must_use]
    pub const fn usual() -> Self {
        EpochSize { min: 64, max: 16_384 }
    }

    /// How many records fill an epoch that begins with `first_seq`.
    #[must_use]
    pub fn records(self, first_seq: u64) -> u64 {
        (first_seq / EPOCH_SHARE).clamp(self.min, self.max)
    }
}

/// The open epoch, and when it is full. See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cutter {
    size: EpochSize,
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
        Cutter { size: EpochSize::usual(), epoch, first_seq, next_seq, controls }
    }

    /// From now on epochs, also the open one, are full as `size` says.
    pub fn set_size(&mut self, size: EpochSize) {
        debug_assert!(1 <= size.min && size.min <= size.max);
        self.size = size;
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
        self.size.records(self.first_seq).saturating_sub(self.held())
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
        (self.epoch, self.first_seq, self.controls) = (self.epoch + 1, self.next_seq, 0);
        cut
    }
}

impl Default for Cutter {
    fn default() -> Self {
        Self::new()
    }
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
        assert!(ends.windows(2).all(|pair| pair[1] - pair[0] <= 16_384));
        assert_eq!(ends[ends.len() - 1] - ends[ends.len() - 2], 16_384);
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
    fn limits_that_are_configured_hold_from_the_open_epoch_on() {
        let mut cutter = Cutter::resume(9, 512, 530, 0);
        cutter.set_size(EpochSize { min: 10, max: 65 });
        assert_eq!(cutter.room(), 64 - 18);
        cutter.take(46);
        assert_eq!(cutter.close(), Cut { epoch: 9, next_seq: 576 });
        assert_eq!(cutter.room(), 65, "an eighth of 576 is more than the most");
        cutter.set_size(EpochSize { min: 100, max: 100 });
        assert_eq!(cutter.room(), 100);
    }

    #[test]
    fn an_epoch_resumed_ends_where_it_would_have() {
        let resumed = Cutter::resume(9, 512, 530, 0);
        assert_eq!(resumed.room(), 64 - 18);
        assert_eq!(Cutter::resume(9, 512, 5_000, 0).room(), 0);
    }
}
