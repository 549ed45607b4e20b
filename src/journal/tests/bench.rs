//! What a record costs: `cargo test --release bench_ -- --ignored --nocapture`.

use std::time::Instant;

use super::*;
use crate::journal::Lookup;

/// Intakes of 256 records of 200 bytes, one million in all, and all made beforehand: so they are
/// not in the processor's cache any more when they are taken.
const RECORDS: usize = 1_000_000;
const TOGETHER: usize = 256;

/// Lines of 200 bytes that differ as lines of a log do.
fn input(together: usize) -> Vec<Intake> {
    let mut random = Random(40);
    let mut make = |number: usize| {
        let mut one = Intake::new(source(number % 4));
        one.received_at = EventTime(number as i64 * 1_000);
        for _ in 0..together {
            let (host, port, user) = (random.below(200), random.below(60_000), random.below(999));
            let id = random.next();
            let mut line = format!(
                "<38>1 2026-11-22T13:38:00.250Z web{host} sshd {port} - - Failed password for user \
                 u{user} from 10.1.{host}.7 port {port} ssh2: request {id:016x} after {user} ms"
            );
            line.push_str(&format!("{:>1$}", id % 97, 200usize.saturating_sub(line.len())));
            one.push(line.as_bytes(), Flags::default());
        }
        one
    };
    (0..RECORDS / together).map(&mut make).collect()
}

/// What has passed since the start: on the clock, and on this thread's processor.
struct Watch(Instant, u64);

impl Watch {
    fn start() -> Watch {
        Watch(Instant::now(), Self::on_processor())
    }

    fn on_processor() -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
    }

    fn per_record(&self) -> String {
        let clock = self.0.elapsed().as_nanos() as f64 / RECORDS as f64;
        let processor = (Self::on_processor() - self.1) as f64 / RECORDS as f64;
        format!("{processor:.0} ns per record on the processor, {clock:.0} by the clock")
    }
}

/// Appends all, so many intakes to a group.
fn append(journal: &mut Journal, input: Vec<Intake>, together: usize) -> String {
    let since = Watch::start();
    let mut blocks = 0;
    for (number, one) in input.into_iter().enumerate() {
        journal.take(one);
        if number % together == together - 1 {
            journal.commit(PATIENCE, &mut |fed| blocks += u64::from(is_block(&fed))).unwrap();
        }
    }
    journal.commit(PATIENCE, &mut |fed| blocks += u64::from(is_block(&fed))).unwrap();
    journal.sync(PATIENCE).unwrap();
    assert!(blocks > 0);
    since.per_record()
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
        println!("append, volatile: {}", append(&mut journal, input(TOGETHER), 8));
        for (name, fsync, compress) in cases {
            let folder = Folder::new();
            let options = Options { fsync, compress, ..Options::usual() };
            let (mut journal, _) = open(&folder, &options).unwrap();
            let cost = append(&mut journal, input(TOGETHER), 8);
            println!("append, {name}: {cost}");
        }
    }
    let folder = Folder::new();
    let options = Options { fsync: Fsync::Never, ..Options::usual() };
    let (mut journal, _) = open(&folder, &options).unwrap();
    let cost = append(&mut journal, input(1), 64);
    println!("append, no fsync, intakes of one record: {cost}");
}

#[test]
#[ignore = "a bench"]
fn bench_read() {
    let folder = Folder::new();
    let options = Options { fsync: Fsync::Never, ..Options::usual() };
    let (mut journal, _) = open(&folder, &options).unwrap();
    append(&mut journal, input(TOGETHER), 8);
    drop(journal);
    for _ in 0..3 {
        let since = Watch::start();
        open(&folder, &options).unwrap();
        println!("open and check: {}", since.per_record());
        let since = Watch::start();
        let blocks =
            Reader::open(&folder.0, 1).unwrap().filter(|fed| is_block(fed.as_ref().unwrap()));
        assert!(blocks.count() > 900);
        println!("read: {}", since.per_record());
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
