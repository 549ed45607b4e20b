//! The journal as a whole: what the tests share.

mod bench;
mod damage;
mod faults;
mod reading;
mod writing;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use operators::types::{EventTime, Flags, Source};

use super::{Control, Fed, Fsync, Journal, JournalError, Options, Reader, Recovered};
use crate::intake::{Intake, Position};

const PATIENCE: Duration = Duration::from_secs(20);

/// A folder that is gone at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("seerflow-journal-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// The folder as a crash would leave it now.
    fn copy(&self) -> Folder {
        let copy = Folder::new();
        let to = copy.0.join("journal");
        std::fs::create_dir_all(&to).unwrap();
        for entry in std::fs::read_dir(self.0.join("journal")).unwrap() {
            let path = entry.unwrap().path();
            // A segment may get its name between the listing and the copying.
            if let Err(error) = std::fs::copy(&path, to.join(path.file_name().unwrap())) {
                assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
            }
        }
        copy
    }

    /// The segments' files, in order.
    fn segments(&self) -> Vec<PathBuf> {
        let listed = super::segment::list(&self.0.join("journal")).unwrap();
        listed.into_iter().map(|(_, path)| path).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        operators::types::hash::mix(self.0)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// One thing that a journal handed on; blocks are taken apart, for how records came to be in one
/// block does not matter.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Record { seq: u64, epoch: u64, source: Source, at: EventTime, flags: Flags, text: String },
    Control { epoch: u64, control: Control },
    End { epoch: u64, next_seq: u64, received_at_max: EventTime },
}

fn said(fed: &[Fed]) -> Vec<Said> {
    let mut said = Vec::new();
    for fed in fed {
        match fed {
            Fed::Block(block) => {
                assert!(!block.records.is_empty());
                said.extend(block.records.iter().zip(block.first_seq..).map(|(record, seq)| {
                    Said::Record {
                        seq,
                        epoch: block.epoch,
                        source: block.sources[record.source as usize].clone(),
                        at: record.received_at,
                        flags: record.flags,
                        text: block.text(record.text).to_owned(),
                    }
                }));
            }
            Fed::Control { epoch, control } => {
                said.push(Said::Control { epoch: *epoch, control: control.clone() });
            }
            Fed::EpochEnd { epoch, next_seq, received_at_max } => said.push(Said::End {
                epoch: *epoch,
                next_seq: *next_seq,
                received_at_max: *received_at_max,
            }),
        }
    }
    said
}

fn source(name: impl std::fmt::Display) -> Source {
    Source { receiver: "test".into(), name: name.to_string() }
}

fn position(inode: u64, offset: u64) -> Position {
    Position {
        path: format!("/var/log/{inode}"),
        device: 1,
        inode,
        fingerprint: inode * 7,
        fingerprint_len: 256,
        offset,
        complete: false,
    }
}

/// An intake of these records.
fn intake(records: &[&[u8]]) -> Intake {
    let mut intake = Intake::new(source("a"));
    intake.received_at = EventTime(7);
    records.iter().for_each(|record| intake.push(record, Flags::default()));
    intake
}

/// Random intakes, some of one record and some of many, from a handful of sources, some with file
/// positions, some of which are all they have.
fn intakes(seed: u64, count: usize) -> Vec<Intake> {
    let mut random = Random(seed);
    let mut made = Vec::new();
    for step in 0..count {
        let from = random.below(6);
        let mut intake = Intake::new(source(from));
        intake.received_at = EventTime(1_000_000 * step as i64 - random.below(5_000_000) as i64);
        let records = match random.below(10) {
            0 => 0,
            1..=6 => random.below(12),
            _ => random.below(400),
        };
        for _ in 0..records {
            let longest = if random.below(20) == 0 { 900 } else { 120 };
            let len = random.below(longest);
            let letter = |random: &mut Random| match random.below(60) {
                0 => random.next() as u8,
                _ => b'a' + (random.next() % 26) as u8,
            };
            let record: Vec<u8> = (0..len).map(|_| letter(&mut random)).collect();
            intake.push(&record, Flags((random.below(9) / 8 * 2) as u16));
        }
        if from < 3 || records == 0 {
            intake.position = Some(position(from, step as u64));
        }
        made.push(intake);
    }
    made
}

/// The same intake once more, without its receipt.
fn again(intake: &Intake) -> Intake {
    Intake {
        source: intake.source.clone(),
        received_at: intake.received_at,
        bytes: intake.bytes.clone(),
        ends: intake.ends.clone(),
        position: intake.position.clone(),
        receipt: None,
    }
}

/// Small segments and blocks, so that a test sees many.
fn small() -> Options {
    Options { segment_bytes: 50_000, block_records: 100, fsync: Fsync::Never, ..Options::usual() }
}

fn open(folder: &Folder, options: &Options) -> Result<(Journal, Recovered), JournalError> {
    Journal::open(&folder.0, options.clone())
}

/// Commits; what was handed on is appended to `fed`.
fn commit(journal: &mut Journal, fed: &mut Vec<Fed>) {
    journal.commit(PATIENCE, &mut |said| fed.push(said)).unwrap();
}

/// Everything that is in the journal from `epoch` on.
fn read(dir: &Path, epoch: u64) -> Result<Vec<Said>, JournalError> {
    let fed: Result<Vec<Fed>, JournalError> = Reader::open(dir, epoch)?.collect();
    Ok(said(&fed?))
}

/// Fails with the first difference, and not with everything.
#[track_caller]
fn assert_same(left: &[Said], right: &[Said], where_: impl std::fmt::Display) {
    let pairs = left.iter().zip(right).enumerate();
    for (index, (left, right)) in pairs {
        assert!(left == right, "{where_}: at {index}:\n{left:?}\n{right:?}");
    }
    assert_eq!(left.len(), right.len(), "{where_}: one goes on");
}

/// What a journal that is never interrupted says, each intake committed by itself.
fn uninterrupted(options: &Options, intakes: &[Intake]) -> Vec<Said> {
    let mut journal = Journal::volatile(options.clone());
    let mut fed = Vec::new();
    for intake in intakes {
        journal.take(again(intake));
        commit(&mut journal, &mut fed);
    }
    said(&fed)
}
