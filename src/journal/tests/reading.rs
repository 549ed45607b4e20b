//! What was written is what is read, wherever it stopped and however it came in groups.

use super::*;
use crate::journal::{Keep, Lookup, info, read_records};
use operators::types::Span;

/// Writes intakes, `group` at a time, and a control record now and then.
fn write(journal: &mut Journal, intakes: &[Intake], group: usize) -> Vec<Fed> {
    let mut fed = Vec::new();
    for some in intakes.chunks(group) {
        some.iter().for_each(|intake| journal.take(again(intake)));
        commit(journal, &mut fed);
    }
    fed
}

#[test]
fn what_is_read_is_what_was_handed_on() {
    for compress in [false, true] {
        let (folder, options) = (Folder::new(), Options { compress, ..small() });
        let (mut journal, recovered) = open(&folder, &options).unwrap();
        assert_eq!((recovered.next_seq, recovered.epoch, recovered.clean), (0, 1, true));
        let mut fed = write(&mut journal, &intakes(1, 60), 3);
        let reload = Control::Reload { what: "rules".into(), content: b"a: b".to_vec() };
        journal.control(reload, None);
        journal.control(Control::Tick { at: EventTime(99) }, None);
        journal.tick();
        commit(&mut journal, &mut fed);
        fed.extend(write(&mut journal, &intakes(2, 60), 1));
        let all = said(&fed);
        assert!(folder.segments().len() > 3);
        assert_same(&read(&folder.0, 1).unwrap(), &all, "");

        let ends = all.iter().filter(|said| matches!(said, Said::End { .. })).count() as u64;
        let of = |said: &Said| match said {
            Said::Record { epoch, .. } | Said::Control { epoch, .. } | Said::End { epoch, .. } => {
                *epoch
            }
        };
        for epoch in 1..=ends + 1 {
            let later: Vec<Said> = all.iter().filter(|said| of(said) >= epoch).cloned().collect();
            assert_same(&read(&folder.0, epoch).unwrap(), &later, format!("from epoch {epoch}"));
        }
        let ahead = read(&folder.0, ends + 2).unwrap_err().to_string();
        assert!(ahead.contains(&format!("ends in epoch {}", ends + 1)), "{ahead}");
    }
}

#[test]
fn epochs_end_at_the_same_places_whatever_the_groups_and_the_interruptions() {
    let intakes = intakes(3, 150);
    let expected = uninterrupted(&small(), &intakes);
    for seed in 0..12 {
        let mut random = Random(seed);
        let folder = Folder::new();
        let options = Options { block_records: 1 + random.below(300) as usize, ..small() };
        let mut rest = &intakes[..];
        while !rest.is_empty() {
            let (mut journal, recovered) = open(&folder, &options).unwrap();
            let before = read(&folder.0, 1).unwrap();
            assert_same(&before, &expected[..before.len()], "");
            let records = before.iter().filter(|said| matches!(said, Said::Record { .. })).count();
            assert_eq!(recovered.next_seq, records as u64);
            // It goes on for a while, and is not stopped but dropped.
            let (now, later) = rest.split_at(random.below(rest.len() as u64 + 1) as usize);
            write(&mut journal, now, 1 + random.below(9) as usize);
            rest = later;
        }
        assert_same(&read(&folder.0, 1).unwrap(), &expected, format!("seed {seed}"));
    }
}

#[test]
fn whatever_is_cut_off_at_the_end_what_is_left_is_a_prefix_of_whole_intakes() {
    let intakes = intakes(4, 80);
    let folder = Folder::new();
    let (mut journal, _) = open(&folder, &small()).unwrap();
    let mut fed = Vec::new();
    // After each commit: the next sequence number, and the positions.
    let mut commits = vec![(0, 0, Vec::new())];
    for (index, intake) in intakes.iter().enumerate() {
        journal.take(again(intake));
        commit(&mut journal, &mut fed);
        let positions = journal.state.positions.to_vec();
        commits.push((journal.state.cutter.next_seq(), index + 1, positions));
    }
    let all = said(&fed);
    let last = folder.segments().pop().unwrap();
    let header = crate::journal::segment::header(&last).unwrap().1 as u64;
    let len = std::fs::metadata(&last).unwrap().len();
    let mut random = Random(5);
    for _ in 0..200 {
        let copy = folder.copy();
        let cut = header + random.below(len - header + 1);
        let file = std::fs::File::options().write(true).open(copy.segments().pop().unwrap());
        file.unwrap().set_len(cut).unwrap();
        let (mut journal, recovered) = open(&copy, &small()).unwrap();
        let torn = recovered.torn.as_ref().map_or(0, |torn| torn.bytes);
        assert_eq!(recovered.torn.as_ref().map_or(cut, |torn| torn.offset) + torn, cut);
        let read_back = read(&copy.0, 1).unwrap();
        assert_same(&read_back, &all[..read_back.len()], "");
        let known = commits.iter().rev().find(|(next_seq, _, positions)| {
            (*next_seq, positions) == (recovered.next_seq, &recovered.positions)
        });
        let (_, taken, _) = known.expect("records and positions are those of one commit");
        // Whoever sends the rest once more gets what there would have been.
        write(&mut journal, &intakes[*taken..], 1);
        assert_same(&read(&copy.0, 1).unwrap(), &all, format!("cut at {cut}"));
    }
}

#[test]
fn an_intake_larger_than_blocks_and_epochs_is_split_at_the_right_records() {
    let mut large = Intake::new(source("a"));
    let records: Vec<String> = (0..4_000).map(|number| format!("record {number}")).collect();
    records.iter().for_each(|record| large.push(record.as_bytes(), Flags::default()));
    large.position = Some(position(1, 1));
    let mut journal = Journal::volatile(Options::usual());
    journal.take(large);
    let mut fed = Vec::new();
    commit(&mut journal, &mut fed);
    let mut next = 0;
    let mut cutter = crate::journal::cutter::Cutter::new();
    for fed in &fed {
        match fed {
            Fed::Block(block) => {
                assert_eq!((block.first_seq, block.epoch), (next, cutter.epoch()));
                next += block.records.len() as u64;
                cutter.take(block.records.len() as u64);
            }
            Fed::EpochEnd { epoch, next_seq, .. } => {
                assert_eq!(cutter.room(), 0, "epoch {epoch} ends when it is full");
                assert_eq!((*epoch, *next_seq), (cutter.epoch(), next));
                cutter.close();
            }
            Fed::Control { .. } => unreachable!("nobody has sent one"),
        }
    }
    assert_eq!(next, 4_000);
}

#[test]
fn a_record_beyond_all_limits_is_cut_and_marked_and_others_are_not() {
    let (folder, options) = (Folder::new(), small());
    let (mut journal, _) = open(&folder, &options).unwrap();
    let long = vec![b'x'; crate::journal::RECORD_BYTES_MAX + 5];
    let large = vec![b'y'; crate::journal::BLOCK_BYTES_MAX + 5];
    journal.take(intake(&[b"before", &large, b"between", &long, b"after"]));
    let mut fed = Vec::new();
    commit(&mut journal, &mut fed);
    let records: Vec<(usize, Flags)> = said(&fed)
        .iter()
        .filter_map(|said| match said {
            Said::Record { text, flags, .. } => Some((text.len(), *flags)),
            _ => None,
        })
        .collect();
    let plain = Flags::default();
    let cut = (crate::journal::RECORD_BYTES_MAX, Flags::TRUNCATED);
    assert_eq!(records, [(6, plain), (large.len(), plain), (7, plain), cut, (5, plain)]);
    assert_same(&read(&folder.0, 1).unwrap(), &said(&fed), "");
}

#[test]
fn records_are_found_by_their_sequence_numbers_with_the_bytes_that_came() {
    let (folder, options) = (Folder::new(), small());
    let (mut journal, _) = open(&folder, &options).unwrap();
    let intakes = intakes(6, 120);
    let mut lookup = Lookup::new(&folder.0);
    let mut random = Random(7);
    let mut came: Vec<(Source, Flags, Vec<u8>)> = Vec::new();
    for some in intakes.chunks(20) {
        write(&mut journal, some, 2);
        for intake in some {
            let records = intake.records();
            came.extend(records.map(|(bytes, flags)| (intake.source.clone(), flags, bytes.into())));
        }
        let mut seqs: Vec<u64> = (0..40).map(|_| random.below(came.len() as u64 + 9)).collect();
        seqs.sort_unstable();
        seqs.dedup();
        let there: Vec<u64> = seqs.iter().copied().filter(|s| *s < came.len() as u64).collect();
        for found in [lookup.records(&seqs).unwrap(), read_records(&folder.0, &seqs).unwrap()] {
            assert_eq!(found.iter().map(|stored| stored.seq).collect::<Vec<_>>(), there);
            for stored in found {
                let (source, flags, bytes) = &came[stored.seq as usize];
                assert_eq!((&stored.source, stored.flags), (source, *flags));
                assert_eq!(&stored.bytes, bytes);
            }
        }
    }
}

#[test]
fn only_whole_segments_below_the_checkpoint_go() {
    let (folder, options) = (Folder::new(), small());
    let (mut journal, _) = open(&folder, &options).unwrap();
    write(&mut journal, &intakes(8, 150), 1);
    let retention = journal.retention().unwrap();
    let all = info(&folder.0).unwrap();
    assert!(all.segments > 5);
    assert_eq!(all.seqs, 0..journal.state.cutter.next_seq());

    let everything = Keep { age: None, bytes: Some(0) };
    let late = EventTime::from_secs(1 << 30);
    let none = retention.trim(0, everything, late).unwrap();
    assert_eq!(none.segments, 0, "nothing is checkpointed");
    let nothing = retention.trim(all.open_epoch, Keep { age: None, bytes: None }, late).unwrap();
    assert_eq!(nothing.segments, 0, "nothing is to go");

    let checkpoint = all.open_epoch / 2;
    let trimmed = retention.trim(checkpoint, everything, late).unwrap();
    let left = info(&folder.0).unwrap();
    assert!(trimmed.segments > 0);
    assert_eq!(left.segments as u64, all.segments as u64 - trimmed.segments);
    assert_eq!((left.bytes, left.seqs.start), (all.bytes - trimmed.bytes, trimmed.records));
    read(&folder.0, checkpoint + 1).expect("everything after the checkpoint is there");
    let gone = read(&folder.0, 1).unwrap_err().to_string();
    assert!(gone.contains("epoch 1 was asked for"), "{gone}");
    assert_eq!(read_records(&folder.0, &[0, left.seqs.start]).unwrap().len(), 1);

    let young = Keep { age: Some(Span::from_secs(3600)), bytes: None };
    assert_eq!(retention.trim(u64::MAX - 1, young, EventTime(0)).unwrap().segments, 0);
    let rest = retention.trim(u64::MAX - 1, young, late).unwrap();
    assert_eq!(rest.segments as usize, left.segments - 1, "the one that is written stays");
    drop(journal);
    let (_, recovered) = open(&folder, &options).unwrap();
    assert_eq!(recovered.next_seq, all.seqs.end);
    assert_eq!(*recovered.sources, all.sources);
}

#[test]
fn a_journal_in_use_is_one_clear_line() {
    let (folder, options) = (Folder::new(), small());
    let (journal, _) = open(&folder, &options).unwrap();
    let refused = open(&folder, &options).unwrap_err().to_string();
    let dir = folder.0.display();
    let process = std::process::id();
    assert_eq!(refused, format!("state folder `{dir}` is in use by process {process}"));
    drop(journal);
    open(&folder, &options).expect("whoever had it is gone");
}

#[test]
fn a_journal_of_another_version_is_one_clear_line() {
    let (folder, options) = (Folder::new(), small());
    drop(open(&folder, &options).unwrap());
    let segment = folder.segments().pop().unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[8] = 9;
    std::fs::write(&segment, bytes).unwrap();
    let refused = open(&folder, &options).unwrap_err().to_string();
    assert!(refused.ends_with("has format version 9; this program reads version 1"), "{refused}");
}

#[test]
fn a_segment_of_control_records_alone_is_never_written_over() {
    let (folder, options) = (Folder::new(), Options { segment_bytes: 100, ..small() });
    let (mut journal, _) = open(&folder, &options).unwrap();
    let mut fed = Vec::new();
    for second in 0..50 {
        journal.control(Control::Tick { at: EventTime(second) }, None);
        journal.tick();
        commit(&mut journal, &mut fed);
    }
    write(&mut journal, &intakes(9, 5), 1);
    assert_same(&read(&folder.0, 1).unwrap()[..100], &said(&fed), "");
}

#[test]
fn an_epoch_in_which_nothing_says_when_has_the_time_of_the_one_before() {
    let mut journal = Journal::volatile(small());
    let mut fed = Vec::new();
    let mut ends = Vec::new();
    let reload = || Control::Reload { what: "rules".into(), content: Vec::new() };
    let mut end = |journal: &mut Journal| {
        journal.tick();
        commit(journal, &mut fed);
        match fed.last() {
            Some(Fed::EpochEnd { received_at_max, .. }) => ends.push(*received_at_max),
            other => panic!("no end but {other:?}"),
        }
    };
    journal.control(reload(), None);
    end(&mut journal);
    journal.take(intake(&[b"x"]));
    end(&mut journal);
    journal.control(reload(), None);
    end(&mut journal);
    journal.control(Control::Tick { at: EventTime(3) }, None);
    end(&mut journal);
    assert_eq!(ends, [EventTime::MIN, EventTime(7), EventTime(7), EventTime(3)]);
}
