//! What a repair keeps of a segment: every entry that can be read.
//!
//! Each entry has its checksum, so those behind a damaged one are as good as those before it.
//! What cannot be read is taken out, and a gap put in its place that leads to where the next entry
//! goes on; so all other records keep their numbers and epochs. Of a group that is damaged the
//! whole entries stay too: nothing is given up that is there. If the last position of a file was
//! in what is lost, the file is read again from the position before.

use std::path::Path;

use operators::types::Source;

use super::block;
use super::error::{Damage, TornTail};
use super::format::{Bytes, FRAME, Frame, Group, HEAD, Header, Kind, Malformed, frame, put_source};
use super::state::{State, TABLE_MAX};

/// What comes behind a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Follows<'a> {
    /// The sequence number and the epoch with which it begins; at their most, if nobody knows.
    pub(super) place: (u64, u64),
    pub(super) known: bool,
    /// The sources that it names.
    pub(super) sources: &'a [Source],
}

/// A segment without what cannot be read.
#[derive(Debug)]
pub(super) struct Mended {
    pub(super) bytes: Vec<u8>,
    /// What was taken out, or is missing.
    pub(super) damage: Vec<Damage>,
    /// At its end.
    pub(super) state: State,
    /// What was never finished, and is not in `bytes`.
    pub(super) torn: Option<TornTail>,
}

/// Takes out of a segment what cannot be read.
///
/// If nothing follows, a group at the end that was not finished is a torn tail, as it always is.
pub(super) fn mend(
    path: &Path,
    bytes: &[u8],
    (header, start): (&Header, usize),
    follows: Option<Follows<'_>>,
    positions_max: usize,
) -> Mended {
    let end = match follows {
        Some(_) => bytes.len(),
        None => last_finished(bytes, start, header.salt),
    };
    let torn = (end < bytes.len()).then(|| TornTail {
        file: path.to_owned(),
        offset: end as u64,
        bytes: (bytes.len() - end) as u64,
        entries: 0,
    });
    let mut mender = Mender {
        path,
        bytes: &bytes[..end],
        salt: header.salt,
        follows,
        state: State::of(header, positions_max),
        out: bytes[..start].to_vec(),
        open: false,
        damage: Vec::new(),
    };
    mender.run(start);
    let Mender { out, state, damage, .. } = mender;
    // It is cut where the segment ends that is left.
    let torn = torn.map(|torn| TornTail { offset: out.len() as u64, ..torn });
    Mended { bytes: out, damage, state, torn }
}

/// Where the last entry ends that finishes a group.
fn last_finished(bytes: &[u8], start: usize, salt: u32) -> usize {
    let (mut at, mut end) = (start, start);
    while at + FRAME + HEAD <= bytes.len() {
        match frame(&bytes[at..], salt) {
            Ok(frame) => {
                at += frame.size;
                if !frame.more {
                    end = at;
                }
            }
            Err(_) => at += 1,
        }
    }
    end
}

struct Mender<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    salt: u32,
    follows: Option<Follows<'a>>,
    /// At the end of `out`.
    state: State,
    out: Vec<u8>,
    /// Whether the last entry of `out` leaves its group open.
    open: bool,
    damage: Vec<Damage>,
}

impl Mender<'_> {
    fn run(&mut self, start: usize) {
        let mut at = start;
        // Where a gap has led to already.
        let mut led = None;
        while at < self.bytes.len() {
            let what = match self.keep(at) {
                Ok(size) => {
                    at += size;
                    continue;
                }
                Err(what) => what,
            };
            let from = if led == Some(at) { at + 1 } else { at };
            let next = self.seek(from);
            self.gap(at..next, what, self.target(next));
            (at, led) = (next, Some(next));
        }
        let here = (self.state.cutter.next_seq(), self.state.cutter.epoch());
        let Some(follows) = self.follows else { return };
        let what = match (here == follows.place, self.open) {
            (true, false) => return,
            (true, true) => "it ends in an unfinished write and is not the last",
            (false, _) => "the segment that should follow it is missing",
        };
        self.gap(at..at, Malformed(what), follows.place);
    }

    /// Takes over the entry at `at`, if it is right and goes on from what is there; its size.
    fn keep(&mut self, at: usize) -> Result<usize, Malformed> {
        let bytes = self.bytes;
        let frame = frame(&bytes[at..], self.salt)?;
        let needed = self.fits(&frame)?;
        if frame.epoch != self.state.cutter.epoch() {
            return Err(Malformed("it is of another epoch than the open one"));
        }
        while self.state.sources.table.len() < needed {
            self.name_a_source();
        }
        self.state.apply(&frame)?;
        self.out.extend_from_slice(&bytes[at..at + frame.size]);
        self.open = frame.more;
        Ok(frame.size)
    }

    /// Whether an entry can follow, with or without a gap before it; how many sources have to be
    /// known before it.
    fn fits(&self, frame: &Frame<'_>) -> Result<usize, Malformed> {
        let (seq, epoch) = (self.state.cutter.next_seq(), self.state.cutter.epoch());
        let (seq_max, epoch_max) = self.follows.map_or((u64::MAX, u64::MAX), |next| next.place);
        let mut cursor = Bytes(frame.payload);
        let (mut first, mut last, mut last_epoch, mut needed) = (seq, seq, frame.epoch, 0);
        match frame.kind {
            Kind::Block => {
                let head = block::head(&mut cursor, TABLE_MAX)?;
                first = head.first_seq;
                last = first + u64::from(head.count);
                needed = head.sources();
            }
            Kind::Source => {
                needed = cursor.u32()? as usize;
                if needed < self.state.sources.table.len() || needed >= TABLE_MAX {
                    return Err(Malformed("its number is not the next source's"));
                }
            }
            Kind::EpochEnd => {
                first = cursor.u64()?;
                last = first;
                last_epoch = frame.epoch.saturating_add(1);
            }
            Kind::Clean => {
                first = cursor.u64()?;
                last = first;
            }
            Kind::Gap => (last, last_epoch) = (cursor.u64()?, cursor.u64()?),
            Kind::Control => {}
        }
        if first < seq || frame.epoch < epoch || last < first || last_epoch < frame.epoch {
            return Err(Malformed("it does not follow what is before it"));
        }
        if last > seq_max || last_epoch > epoch_max {
            return Err(Malformed("the segment after it begins before it ends"));
        }
        Ok(needed)
    }

    /// The first entry from `at` on that can follow, or the end.
    fn seek(&self, mut at: usize) -> usize {
        while at + FRAME + HEAD <= self.bytes.len() {
            if let Ok(frame) = frame(&self.bytes[at..], self.salt)
                && self.fits(&frame).is_ok()
            {
                return at;
            }
            at += 1;
        }
        self.bytes.len()
    }

    /// Where a gap before the entry at `at` has to lead.
    fn target(&self, at: usize) -> (u64, u64) {
        let here = (self.state.cutter.next_seq(), self.state.cutter.epoch());
        let Ok(first) = frame(&self.bytes[at..], self.salt) else {
            return self.follows.map_or(here, |follows| follows.place);
        };
        // What tells no sequence number holds no record.
        let mut at = at;
        while let Ok(frame) = frame(&self.bytes[at..], self.salt) {
            let told = match frame.kind {
                Kind::Block | Kind::EpochEnd | Kind::Clean => Bytes(frame.payload).u64().ok(),
                // A gap leads on from wherever it is.
                Kind::Gap => return (here.0, first.epoch),
                Kind::Source | Kind::Control => None,
            };
            if let Some(seq) = told {
                return (seq.max(here.0), first.epoch);
            }
            at += frame.size;
        }
        (here.0, first.epoch)
    }

    /// Puts a gap in the place of `lost`.
    fn gap(&mut self, lost: std::ops::Range<usize>, what: Malformed, place: (u64, u64)) {
        let before = self.state.cutter.next_seq();
        self.write(Kind::Gap, |payload| {
            payload.extend_from_slice(&place.0.to_le_bytes());
            payload.extend_from_slice(&place.1.to_le_bytes());
        });
        let at_end = lost.end == self.bytes.len();
        self.damage.push(Damage {
            bytes: lost.len() as u64,
            lost_seqs: before..place.0,
            exact: !at_end || self.follows.is_none_or(|follows| follows.known),
            ..Damage::found(self.path, lost.start as u64, what.0)
        });
    }

    /// Writes down the next source, of which the entry is lost.
    fn name_a_source(&mut self) {
        let number = self.state.sources.table.len();
        let known = self.follows.and_then(|follows| follows.sources.get(number).cloned());
        let source = known.unwrap_or_else(|| Source {
            receiver: "lost".to_owned(),
            name: format!("source {number}"),
        });
        self.write(Kind::Source, |payload| {
            payload.extend_from_slice(&(number as u32).to_le_bytes());
            put_source(payload, &source);
        });
    }

    fn write(&mut self, kind: Kind, payload: impl FnOnce(&mut Vec<u8>)) {
        let mut group = Group::new(self.salt);
        payload(group.begin(kind, self.state.cutter.epoch()));
        group.finish(false);
        let written = frame(&group.bytes, self.salt).expect("it was framed a moment ago");
        self.state.apply(&written).expect("it goes on from where the state is");
        self.out.extend_from_slice(&group.bytes);
        self.open = false;
    }
}
