//! Who sits where: the places of what is remembered, and whether remembering pays.

/// How many are looked up before it is asked whether that pays, unless said otherwise.
pub(super) const WINDOW: u16 = 1_024;
/// Of how many of them one must have been seen before.
const WORTH: u16 = 4;
/// For how many it pauses if that does not pay, at first and at most.
pub(super) const PAUSE_MIN: u32 = 4_096;
const PAUSE_MAX: u32 = 65_536;

/// The places of what is remembered, by hash, and what came once. A hash has two seats; of those
/// that sit there, one that nobody asked for lately makes room.
///
/// Collisions cost time only: whoever asks compares what sits there itself.
#[derive(Debug)]
pub(super) struct Seats {
    /// A part of the hash of who sits there, so that of what sits nowhere nothing more is read.
    tags: Vec<u16>,
    /// Whether it was asked for since its neighbour was last replaced.
    used: Vec<bool>,
    /// The part of the hash of what came once.
    once: Vec<u16>,
}

impl Seats {
    /// So many seats, at least two, and places for what came once; powers of two.
    pub(super) fn new(seats: usize, once: usize) -> Self {
        Seats { tags: vec![0; seats], used: vec![false; seats], once: vec![0; once] }
    }

    /// Where it sits, if `is_it` says so of one of its seats.
    #[inline]
    pub(super) fn find(&mut self, hash: u64, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let pair = self.pair(hash);
        let seat = (pair..pair + 2).find(|seat| self.tags[*seat] == tag(hash) && is_it(*seat))?;
        self.used[seat] = true;
        Some(seat)
    }

    /// Whether it came before; from now on it has.
    #[inline]
    pub(super) fn came_before(&mut self, hash: u64) -> bool {
        let place = (hash >> 16) as usize & (self.once.len() - 1);
        std::mem::replace(&mut self.once[place], tag(hash)) == tag(hash)
    }

    /// The seat that it gets.
    pub(super) fn take(&mut self, hash: u64) -> usize {
        let pair = self.pair(hash);
        let seat = match (self.used[pair], self.used[pair + 1]) {
            (true, false) => pair + 1,
            _ => pair,
        };
        (self.used[pair], self.used[pair + 1]) = (false, false);
        (self.tags[seat], self.used[seat]) = (tag(hash), true);
        seat
    }

    #[inline]
    fn pair(&self, hash: u64) -> usize {
        hash as usize & (self.tags.len() - 2)
    }
}

/// The part of a hash that chooses no place.
#[inline]
fn tag(hash: u64) -> u16 {
    (hash >> 48) as u16
}

/// Whether it pays to look something up, and how often it is done. Where it does not pay there
/// are pauses, which grow as long as nothing changes.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    /// After how many that are looked up it is asked whether that pays.
    window: u16,
    /// How many more are not looked up.
    pause: u32,
    /// How long the next pause is.
    next_pause: u32,
    looked: u16,
    /// How many of them had been seen before.
    seen: u16,
}

impl Default for Pace {
    fn default() -> Self {
        Pace::of(WINDOW)
    }
}

impl Pace {
    /// One that is asked after so many whether it pays.
    pub(super) fn of(window: u16) -> Self {
        Pace { window, pause: 0, next_pause: 0, looked: 0, seen: 0 }
    }

    /// Whether it does not pay at present.
    #[inline]
    pub(super) fn pauses(&self) -> bool {
        self.pause > 0
    }

    /// Whether one more is looked up.
    #[inline]
    pub(super) fn asks(&mut self) -> bool {
        if self.pause > 0 {
            self.pause -= 1;
            return false;
        }
        self.looked += 1;
        if self.looked > self.window {
            self.judge();
        }
        true
    }

    /// Says that it had been seen before.
    #[inline]
    pub(super) fn seen(&mut self) {
        self.seen += 1;
    }

    /// Begins another window, or a pause.
    #[cold]
    fn judge(&mut self) {
        if self.seen < self.window / WORTH {
            self.next_pause = (self.next_pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
            self.pause = self.next_pause;
        } else {
            self.next_pause = 0;
        }
        (self.looked, self.seen) = (0, 0);
    }
}
