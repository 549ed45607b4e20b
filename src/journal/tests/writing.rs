//! The writer's thread: groups, receipts, ticks, and stops.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, mpsc as std_mpsc};

use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::journal::{ControlIntake, Pace, Writer, WriterOptions, wall_clock};

type Feeding = Arc<Mutex<Vec<Fed>>>;

struct Running {
    writer: Writer,
    intakes: mpsc::Sender<Intake>,
    controls: mpsc::Sender<ControlIntake>,
    fed: Feeding,
}

fn run(journal: Journal, pace: Pace) -> Running {
    let (intakes, intakes_in) = mpsc::channel(256);
    let (controls, controls_in) = mpsc::channel(4);
    let options = WriterOptions { pace, stop_deadline: PATIENCE, clock: wall_clock };
    let fed = Feeding::default();
    let feed = {
        let fed = Arc::clone(&fed);
        move |said| fed.lock().unwrap().push(said)
    };
    let writer = Writer::spawn(journal, intakes_in, controls_in, options, feed).unwrap();
    Running { writer, intakes, controls, fed }
}

impl Running {
    fn stop(self) -> (crate::journal::Stopped, Vec<Said>) {
        drop((self.intakes, self.controls));
        let stopped = self.writer.join().unwrap();
        let fed = std::mem::take(&mut *self.fed.lock().unwrap());
        (stopped, said(&fed))
    }
}

fn durable_options() -> Options {
    Options { fsync: Fsync::Interval(Duration::from_millis(5)), ..small() }
}

#[test]
fn a_replay_says_the_same_with_a_journal_on_disk_and_without_one() {
    let intakes = intakes(30, 120);
    let mut expected = uninterrupted(&small(), &intakes);
    let folder = Folder::new();
    let mut answers = Vec::new();
    let on_disk = open(&folder, &durable_options()).unwrap().0;
    for journal in [Journal::volatile(small()), on_disk] {
        let running = run(journal, Pace::Replay);
        intakes.iter().for_each(|one| running.intakes.blocking_send(again(one)).unwrap());
        answers.push(running.stop());
    }
    let (stopped, all) = &answers[1];
    // The last epoch ends, and the stop is one of its own.
    expected.extend_from_slice(&all[all.len() - 3..]);
    assert!(matches!(all.last(), Some(Said::End { epoch, .. }) if *epoch == stopped.last_complete));
    assert_eq!(answers[0].0, answers[1].0);
    assert_same(&answers[0].1, &answers[1].1, "");
    assert_same(all, &expected, "");
    assert_same(&read(&folder.0, 1).unwrap(), &expected, "");
    let (_, recovered) = open(&folder, &small()).unwrap();
    assert!(recovered.clean);
    assert_eq!((recovered.next_seq, recovered.held), (stopped.next_seq, 0));
}

#[test]
fn a_replay_interrupted_in_good_order_goes_on_as_if_it_had_not_been() {
    let intakes = intakes(31, 120);
    let mut expected = uninterrupted(&small(), &intakes);
    let folder = Folder::new();
    for (index, part) in [&intakes[..50], &intakes[50..90], &intakes[90..]].iter().enumerate() {
        let running = run(open(&folder, &durable_options()).unwrap().0, Pace::Replay);
        part.iter().for_each(|one| running.intakes.blocking_send(again(one)).unwrap());
        if index < 2 {
            running.writer.leave_open();
        }
        running.stop();
    }
    let all = read(&folder.0, 1).unwrap();
    expected.extend_from_slice(&all[all.len() - 3..]);
    assert_same(&all, &expected, "");
}

#[test]
fn a_live_epoch_ends_when_its_time_is_up_and_silence_is_ticked() {
    let folder = Folder::new();
    let interval = Duration::from_millis(10);
    let idle = Duration::from_millis(60);
    let journal = open(&folder, &durable_options()).unwrap().0;
    let running = run(journal, Pace::Live { interval, idle });
    let mut durable = running.writer.durable();
    running.intakes.blocking_send(intake(&[b"one"])).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut wait = |epoch| {
        let reached = durable.wait_for(|durable| durable.epoch >= epoch);
        let waited = runtime.block_on(async { tokio::time::timeout(PATIENCE, reached).await });
        waited.expect("the epoch ends").unwrap();
    };
    wait(1);
    wait(2);
    running.intakes.blocking_send(intake(&[b"two"])).unwrap();
    wait(3);
    let (stopped, all) = running.stop();
    assert_eq!(stopped.next_seq, 2);
    let Said::Record { epoch: 1, .. } = &all[0] else { panic!("{:?}", all[0]) };
    let Said::End { epoch: 1, next_seq: 1, .. } = &all[1] else { panic!("{:?}", all[1]) };
    let Said::Control { epoch: 2, control: Control::Tick { at } } = &all[2] else {
        panic!("{:?}", all[2])
    };
    assert!(wall_clock().since(*at) < operators::types::Span::from_secs(60));
    let Said::End { epoch: 2, received_at_max, .. } = &all[3] else { panic!("{:?}", all[3]) };
    assert_eq!(received_at_max, at);
    assert_same(&read(&folder.0, 1).unwrap(), &all, "");
}

#[test]
fn a_receipt_is_told_when_a_crash_cannot_lose_it_any_more() {
    for fsync in [Fsync::Always, Fsync::Interval(Duration::from_millis(3)), Fsync::Never] {
        let folder = Folder::new();
        let options = Options { fsync, ..small() };
        let running = run(open(&folder, &options).unwrap().0, Pace::LIVE);
        let mut sent = 0;
        for one in intakes(32, 25) {
            let (receipt, told) = oneshot::channel();
            sent += one.ends.len() as u64;
            running.intakes.blocking_send(Intake { receipt: Some(receipt), ..one }).unwrap();
            told.blocking_recv().unwrap();
            assert!(running.writer.durable().borrow().next_seq >= sent);
            let (_, recovered) = open(&folder.copy(), &small()).unwrap();
            assert!(recovered.next_seq >= sent);
        }
        let (receipt, told) = oneshot::channel();
        let control = Control::Verdict { alert: [1; 16], verdict: "x".into(), note: "y".into() };
        let intake = ControlIntake { control, receipt: Some(receipt) };
        running.controls.blocking_send(intake).unwrap();
        told.blocking_recv().unwrap();
        let (stopped, all) = running.stop();
        assert_eq!(stopped.next_seq, sent);
        assert!(all.iter().any(|said| matches!(said, Said::Control { .. })));
    }
}

#[test]
fn a_copy_made_at_any_moment_holds_what_was_durable_and_nothing_made_up() {
    let folder = Folder::new();
    let running = run(open(&folder, &durable_options()).unwrap().0, Pace::LIVE);
    let stop = AtomicBool::new(false);
    let copies: Vec<(u64, Folder)> = std::thread::scope(|scope| {
        let sender = running.intakes.clone();
        let stop = &stop;
        scope.spawn(move || {
            let mut seed = 100;
            while !stop.load(Ordering::Relaxed) {
                intakes(seed, 40).into_iter().for_each(|one| sender.blocking_send(one).unwrap());
                seed += 1;
            }
        });
        let copies = (0..25).map(|_| {
            let durable = running.writer.durable().borrow().next_seq;
            std::thread::sleep(Duration::from_millis(4));
            (durable, folder.copy())
        });
        let copies = copies.collect();
        stop.store(true, Ordering::Relaxed);
        copies
    });
    let (stopped, all) = running.stop();
    for (durable, copy) in &copies {
        // A copy is made file by file; a crash leaves all at one moment. So only what was there
        // before it began is certain.
        match open(copy, &small()) {
            Ok((_, recovered)) => {
                assert!(recovered.next_seq >= *durable && recovered.next_seq <= stopped.next_seq);
                let left = read(&copy.0, 1).unwrap();
                assert_same(&left, &all[..left.len()], "");
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(copies.last().unwrap().0 > 1_000, "it was writing meanwhile");
    assert_same(&read(&folder.0, 1).unwrap(), &all, "");
}

#[test]
fn a_consumer_that_does_not_take_holds_up_the_receivers_and_not_durability() {
    let folder = Folder::new();
    let journal = open(&folder, &durable_options()).unwrap().0;
    let (intakes, intakes_in) = mpsc::channel(2);
    let (_controls, controls_in) = mpsc::channel(1);
    let options = WriterOptions { pace: Pace::Replay, stop_deadline: PATIENCE, clock: wall_clock };
    let (release, released) = std_mpsc::sync_channel::<()>(1);
    let feed = move |_| {
        let _ = released.recv();
    };
    let writer = Writer::spawn(journal, intakes_in, controls_in, options, feed).unwrap();
    let (receipt, told) = oneshot::channel();
    let first = Intake { receipt: Some(receipt), ..intake(&[b"a"]) };
    intakes.blocking_send(first).unwrap();
    told.blocking_recv().expect("it is durable, though nobody has taken it");
    intakes.blocking_send(intake(&[b"b"])).unwrap();
    intakes.blocking_send(intake(&[b"c"])).unwrap();
    assert!(intakes.try_reserve().is_err(), "the channel is full");
    drop((release, intakes));
    assert_eq!(writer.join().unwrap().next_seq, 3);
}
