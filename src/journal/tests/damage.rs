//! Whatever bytes a segment has, they are what was written, or named as damage; never a panic.

use super::*;
use crate::journal::{Lookup, info};
use std::collections::BTreeMap;

/// A journal of several segments that was left in good order, and everything it says.
fn journal(options: &Options) -> (Folder, Vec<Said>) {
    let folder = Folder::new();
    let (mut journal, _) = open(&folder, options).unwrap();
    let mut fed = Vec::new();
    for some in intakes(10, 60).chunks(4) {
        some.iter().for_each(|intake| journal.take(again(intake)));
        journal.control(Control::Tick { at: EventTime(1) }, None);
        commit(&mut journal, &mut fed);
    }
    journal.mark_clean();
    commit(&mut journal, &mut fed);
    drop(journal);
    assert!(folder.segments().len() >= 3);
    (folder, said(&fed))
}

/// Flips, zeroes, overwrites or cuts somewhere in a random segment. False if nothing changed.
fn mutate(folder: &Folder, random: &mut Random) -> bool {
    let segments = folder.segments();
    // Half of them in the last, where an unfinished write is no damage.
    let count = segments.len() as u64;
    let path = &segments[random.below(2 * count).min(count - 1) as usize];
    let before = std::fs::read(path).unwrap();
    let mut bytes = before.clone();
    let at = random.below(bytes.len() as u64) as usize;
    let len = (1 + random.below(200) as usize).min(bytes.len() - at);
    match random.below(5) {
        0 | 1 => bytes[at] ^= 1 << random.below(8),
        2 => bytes[at..at + len].fill(0),
        3 => bytes[at..at + len].iter_mut().for_each(|byte| *byte = random.next() as u8),
        _ => bytes.truncate(at),
    }
    std::fs::write(path, &bytes).unwrap();
    bytes != before
}

#[test]
fn every_mutation_is_found_or_changes_nothing() {
    let (folder, all) = journal(&small());
    let mut random = Random(11);
    let (mut refused, mut cut) = (0, 0);
    for step in 0..250 {
        let copy = folder.copy();
        let changed = mutate(&copy, &mut random);
        // Reading alone finds it too, and so does whoever looks for all records.
        let by_reading = read(&copy.0, 1);
        if let Ok(said) = &by_reading {
            assert_same(said, &all[..said.len()], format!("step {step}"));
        }
        let seqs: Vec<u64> = (0..10_000).step_by(7).collect();
        if let Ok(found) = Lookup::new(&copy.0).records(&seqs) {
            assert!(genuine(&all, &found), "step {step}");
        }
        let _ = info(&copy.0);
        match open(&copy, &small()) {
            Err(JournalError::Damaged(damage)) => {
                refused += 1;
                let text = damage.to_string();
                assert!(damage.file.exists() && text.contains("damaged at byte"), "{text}");
                assert!(damage.offset <= std::fs::metadata(&damage.file).unwrap().len());
            }
            Err(JournalError::Version { .. }) => refused += 1,
            Err(error) => panic!("step {step}: {error}"),
            Ok((_, recovered)) if recovered.clean => {
                assert!(!changed, "step {step}: a change went unseen");
                assert_same(&by_reading.unwrap(), &all, step);
            }
            Ok((_, recovered)) => {
                cut += 1;
                assert!(recovered.torn.is_some() || !recovered.clean);
                let left = read(&copy.0, 1).unwrap();
                assert_same(&left, &all[..left.len()], format!("step {step}"));
            }
        }
    }
    assert!(refused > 100 && cut > 10, "{refused} refused, {cut} cut");
}

/// Whether records found are among those said, as far as text can tell.
fn genuine(all: &[Said], found: &[crate::journal::Stored]) -> bool {
    let by_seq: BTreeMap<u64, (&str, &Source)> = all
        .iter()
        .filter_map(|said| match said {
            Said::Record { seq, text, source, .. } => Some((*seq, (text.as_str(), source))),
            _ => None,
        })
        .collect();
    found.iter().all(|stored| {
        let text = String::from_utf8_lossy(&stored.bytes);
        by_seq.get(&stored.seq) == Some(&(text.as_ref(), &stored.source))
    })
}

#[test]
fn a_repair_goes_on_with_what_is_genuine_and_never_counts_twice() {
    let (folder, all) = journal(&small());
    let next_seq = all.iter().filter(|said| matches!(said, Said::Record { .. })).count() as u64;
    let last_epoch = all.iter().rev().find_map(|said| match said {
        Said::End { epoch, .. } => Some(*epoch),
        _ => None,
    });
    let options = Options { repair: true, ..small() };
    let mut random = Random(12);
    let mut repairs = 0;
    for step in 0..210 {
        let copy = folder.copy();
        for _ in 0..=step % 3 {
            mutate(&copy, &mut random);
        }
        let (mut journal, recovered) = match open(&copy, &options) {
            Ok(opened) => opened,
            Err(JournalError::Version { .. }) => continue,
            Err(error) => panic!("step {step}: {error}"),
        };
        repairs += recovered.repaired.len();
        if recovered.torn.is_none() && !recovered.repaired.is_empty() {
            let last = &folder.segments()[folder.segments().len() - 1];
            let cut_clean = recovered.repaired.iter().all(|damage| damage.file != *last);
            let whole = std::fs::metadata(last).unwrap().len();
            let kept = copy.segments().iter().any(|path| {
                path.file_name() == last.file_name()
                    && std::fs::metadata(path).unwrap().len() >= whole
            });
            if cut_clean && kept {
                assert!(recovered.next_seq >= next_seq, "step {step}");
                assert!(Some(recovered.last_complete) >= last_epoch, "step {step}");
            }
        }
        // It can be written and read like any other.
        journal.take(intake(&[b"after the repair"]));
        journal.tick();
        commit(&mut journal, &mut Vec::new());
        drop(journal);
        let oldest = info(&copy.0).unwrap().first_epoch;
        let left = match read(&copy.0, oldest) {
            Err(JournalError::Trimmed { oldest, .. }) => read(&copy.0, oldest),
            read => read,
        };
        let left = left.unwrap_or_else(|error| panic!("step {step}: {error}"));
        let (after, before): (Vec<Said>, Vec<Said>) = left.into_iter().partition(
            |said| matches!(said, Said::Record { text, .. } if text == "after the repair"),
        );
        assert_eq!(after.len(), 1);
        let genuine = before.iter().filter(|said| matches!(said, Said::Record { .. }));
        assert!(genuine.clone().all(|said| all.contains(said)), "step {step}");
        let epochs: Vec<u64> = before
            .iter()
            .filter_map(|said| match said {
                Said::End { epoch, .. } => Some(*epoch),
                _ => None,
            })
            .collect();
        assert!(epochs.windows(2).all(|pair| pair[0] < pair[1]), "step {step}");
        let (_, reopened) = open(&copy, &small()).expect("a repair lasts");
        assert!(reopened.repaired.is_empty());
    }
    assert!(repairs > 100, "{repairs}");
}

#[test]
fn damage_in_the_middle_names_the_file_the_byte_and_what_a_repair_would_cost() {
    let folder = Folder::new();
    let options = Options { segment_bytes: 1 << 30, ..small() };
    let (mut journal, _) = open(&folder, &options).unwrap();
    for record in [&b"one"[..], b"two", b"three", b"four"] {
        journal.take(intake(&[record]));
        commit(&mut journal, &mut Vec::new());
    }
    drop(journal);
    let path = folder.segments().pop().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let two = bytes.windows(3).position(|window| window == b"two").unwrap();
    bytes[two] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let Err(JournalError::Damaged(damage)) = open(&folder, &options) else {
        panic!("damage was not found");
    };
    assert!(damage.offset < two as u64);
    let planned = crate::journal::examine(&folder.0, (0, 1)).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "nothing was changed");
    let [damage] = &planned.damage[..] else { panic!("one place is damaged: {planned:?}") };
    assert_eq!((damage.lost_seqs.clone(), damage.exact), (1..2, true));

    let (journal, recovered) = open(&folder, &Options { repair: true, ..options.clone() }).unwrap();
    assert_eq!((recovered.next_seq, recovered.repaired), (4, vec![damage.clone()]));
    let (from, len) = (damage.offset as usize, damage.bytes as usize);
    assert_eq!(std::fs::read(&damage.aside).unwrap(), bytes[from..from + len]);
    drop(journal);
    assert_eq!(info(&folder.0).unwrap().damaged, (1, damage.bytes));
    let left = Lookup::new(&folder.0).records(&[0, 1, 2, 3]).unwrap();
    assert_eq!(left.iter().map(|stored| stored.seq).collect::<Vec<_>>(), [0, 2, 3]);
}

#[test]
fn a_missing_segment_is_damage() {
    let (folder, _) = journal(&small());
    let missing = folder.segments().remove(1);
    std::fs::remove_file(&missing).unwrap();
    let refused = open(&folder, &small()).unwrap_err().to_string();
    assert!(refused.contains("the segment that should follow it is missing"), "{refused}");
    assert!(read(&folder.0, 1).is_err());
}

#[test]
fn bytes_inside_a_record_never_pass_for_an_entry() {
    let folder = Folder::new();
    let (mut journal, _) = open(&folder, &small()).unwrap();
    // An entry as the sender of a record would forge it, but for the salt, which it cannot know.
    let mut forged = super::super::format::Group::default();
    forged.begin(super::super::format::Kind::EpochEnd, 1).extend_from_slice(&[0; 16]);
    forged.finish(false);
    journal.take(intake(&[b"x"]));
    commit(&mut journal, &mut Vec::new());
    journal.take(intake(&[&forged.bytes, b"and some more"]));
    commit(&mut journal, &mut Vec::new());
    drop(journal);
    let path = folder.segments().pop().unwrap();
    let len = std::fs::metadata(&path).unwrap().len();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(len - 5).unwrap();
    let (_, recovered) = open(&folder, &small()).expect("a torn tail and no damage");
    assert_eq!((recovered.next_seq, recovered.torn.is_some()), (1, true));
}

#[test]
fn a_folder_of_arbitrary_files_is_refused_and_nothing_panics() {
    let mut random = Random(13);
    for step in 0..60 {
        let folder = Folder::new();
        let dir = folder.0.join("journal");
        std::fs::create_dir_all(&dir).unwrap();
        let len = random.below(3_000);
        let mut bytes: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
        if step % 2 == 0 && bytes.len() > 16 {
            bytes[..8].copy_from_slice(b"SEERJRNL");
            bytes[8..12].copy_from_slice(&1u32.to_le_bytes());
        }
        std::fs::write(dir.join(format!("{:020}.seg", 0)), &bytes).unwrap();
        assert!(open(&folder, &small()).is_err());
        assert!(read(&folder.0, 1).is_err());
        assert!(info(&folder.0).is_err());
        assert!(Lookup::new(&folder.0).records(&[0]).is_err());
        open(&folder, &Options { repair: true, ..small() }).expect("it is moved aside");
    }
}
