//! What a record costs: `cargo test --release bench_ -- --ignored --nocapture`.

use std::time::Instant;

use super::*;
use crate::journal::Lookup;

/// Intakes of 256 records of 200 bytes, one million in all.
const RECORDS: usize = 1_000_000;
const TOGETHER: usize = 256;

fn input(together: usize) -> Vec<Intake> {
    let mut random = Random(40);
    let line: Vec<u8> = (0..200).map(|_| b' ' + random.below(90) as u8).collect();
    let make = |number: usize| {
        let mut one = Intake::new(source(number % 4));
        one.received_at = EventTime(number as i64 * 1_000);
        (0..together).for_each(|_| one.push(&line, Flags::default()));
        one
    };
    (0..RECORDS / together).map(make).collect()
}

fn per_record(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e9 / RECORDS as f64
}

/// Appends all, as the writer does: eight intakes to a group.
fn append(journal: &mut Journal, input: Vec<Intake>) -> f64 {
    let since = Instant::now();
    let mut blocks = 0;
    for (number, one) in input.into_iter().enumerate() {
        journal.take(one);
        if number % 8 == 7 {
            journal.commit(PATIENCE, &mut |fed| blocks += u64::from(is_block(&fed))).unwrap();
        }
    }
    journal.commit(PATIENCE, &mut |fed| blocks += u64::from(is_block(&fed))).unwrap();
    journal.sync(PATIENCE).unwrap();
    assert!(blocks > 0);
    per_record(since)
}

fn is_block(fed: &Fed) -> bool {
    matches!(fed, Fed::Block(_))
}

#[test]
#[ignore = "a bench"]
fn bench_append() {
    let cases = [
        ("no fsync", Fsync::Never, false),
        ("fsync each 20 ms", Fsync::Interval(Duration::from_millis(20)), false),
        ("fsync always", Fsync::Always, false),
        ("no fsync, lz4", Fsync::Never, true),
    ];
    for _ in 0..3 {
        let mut journal = Journal::volatile(Options::usual());
        println!("append, volatile: {:.0} ns per record", append(&mut journal, input(TOGETHER)));
        for (name, fsync, compress) in cases {
            let folder = Folder::new();
            let options = Options { fsync, compress, ..Options::usual() };
            let (mut journal, _) = open(&folder, &options).unwrap();
            let cost = append(&mut journal, input(TOGETHER));
            println!("append, {name}: {cost:.0} ns per record");
        }
    }
    let folder = Folder::new();
    let options = Options { fsync: Fsync::Never, ..Options::usual() };
    let (mut journal, _) = open(&folder, &options).unwrap();
    let cost = append(&mut journal, input(1));
    println!("append, no fsync, intakes of one record: {cost:.0} ns per record");
}

#[test]
#[ignore = "a bench"]
fn bench_read() {
    let folder = Folder::new();
    let options = Options { fsync: Fsync::Never, ..Options::usual() };
    let (mut journal, _) = open(&folder, &options).unwrap();
    append(&mut journal, input(TOGETHER));
    drop(journal);
    for _ in 0..3 {
        let since = Instant::now();
        open(&folder, &options).unwrap();
        println!("open and check: {:.0} ns per record", per_record(since));
        let since = Instant::now();
        let blocks =
            Reader::open(&folder.0, 1).unwrap().filter(|fed| is_block(fed.as_ref().unwrap()));
        assert!(blocks.count() > 900);
        println!("read: {:.0} ns per record", per_record(since));
        let mut lookup = Lookup::new(&folder.0);
        for pass in ["first", "second"] {
            let since = Instant::now();
            let seqs: Vec<u64> = (0..100).map(|number| number * 9_973).collect();
            assert_eq!(lookup.records(&seqs).unwrap().len(), 100);
            let each = since.elapsed().as_secs_f64() * 1e6 / 100.0;
            println!("look up 100 records, {pass} time: {each:.0} µs each");
        }
    }
}
