//! A disk that refuses: nothing acknowledged is lost, and it goes on when the disk does.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::journal::disk::{Disk, OsDisk, Output};
use crate::journal::recover;
use crate::journal::{Durable, Health, Pace, Writer, WriterOptions, wall_clock};

/// What can be asked of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ask {
    Write,
    Sync,
    SetLen,
    Create,
    Rename,
    SyncDir,
}

/// Which of the things asked for fail.
#[derive(Debug)]
struct Plan {
    ask: Ask,
    /// Those from the first to before the second, counted from 1.
    fails: std::ops::Range<u64>,
    asked: u64,
    /// Of a write that fails, how much is done: so many parts of eight.
    eighths: usize,
}

/// What a power failure would leave: bytes that were synced, under names that were.
#[derive(Debug, Default)]
struct Platter {
    files: Vec<Vec<u8>>,
    /// What each file's next sync is to bring.
    dirty: Vec<Vec<std::ops::Range<u64>>>,
    /// Names as the system shows them, and as they are on the platter.
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
}

#[derive(Clone)]
struct FaultyDisk {
    platter: Arc<Mutex<Platter>>,
    plan: Arc<Mutex<Plan>>,
    /// Everything fails, whatever the plan.
    full: Arc<AtomicBool>,
}

struct FaultyOutput {
    disk: FaultyDisk,
    /// Which file on the platter.
    number: usize,
    output: Arc<dyn Output>,
}

impl FaultyDisk {
    fn new(ask: Ask, fails: std::ops::Range<u64>, eighths: usize) -> Self {
        let plan = Plan { ask, fails, asked: 0, eighths };
        FaultyDisk {
            platter: Arc::default(),
            plan: Arc::new(Mutex::new(plan)),
            full: Arc::default(),
        }
    }

    fn ask(&self, ask: Ask) -> io::Result<()> {
        let mut plan = self.plan.lock().unwrap();
        if plan.ask == ask {
            plan.asked += 1;
        }
        let full = self.full.load(SeqCst) && matches!(ask, Ask::Write | Ask::Sync | Ask::Create);
        match full || (plan.ask == ask && plan.fails.contains(&plan.asked)) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }

    /// The file at `path`, which is now `output`.
    fn faulty(&self, path: &Path, output: Arc<dyn Output>) -> Arc<dyn Output> {
        let mut platter = self.platter.lock().unwrap();
        let number = platter.files.len();
        platter.files.push(Vec::new());
        platter.dirty.push(Vec::new());
        platter.names.insert(path.to_owned(), number);
        Arc::new(FaultyOutput { disk: self.clone(), number, output })
    }

    /// The folder as it is found after a power failure now.
    fn power_fails(&self) -> Folder {
        let folder = Folder::new();
        let dir = folder.0.join("journal");
        std::fs::create_dir_all(&dir).unwrap();
        let platter = self.platter.lock().unwrap();
        for (path, number) in &platter.durable_names {
            std::fs::write(dir.join(path.file_name().unwrap()), &platter.files[*number]).unwrap();
        }
        folder
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn Output>> {
        self.ask(Ask::Create)?;
        Ok(self.faulty(path, OsDisk.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn Output>> {
        let number = self.platter.lock().unwrap().names[path];
        let output = OsDisk.open(path)?;
        Ok(Arc::new(FaultyOutput { disk: self.clone(), number, output }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.ask(Ask::Rename)?;
        OsDisk.rename(from, to)?;
        let mut platter = self.platter.lock().unwrap();
        let number = platter.names.remove(from).expect("it was created");
        platter.names.insert(to.to_owned(), number);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove(path)
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        self.ask(Ask::SyncDir)?;
        let mut platter = self.platter.lock().unwrap();
        platter.durable_names = platter.names.clone();
        Ok(())
    }
}

impl Output for FaultyOutput {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let asked = self.disk.ask(Ask::Write);
        if asked.is_err() {
            let part = bytes.len() * self.disk.plan.lock().unwrap().eighths / 8;
            self.output.write_all_at(&bytes[..part], offset)?;
        }
        asked?;
        self.output.write_all_at(bytes, offset)?;
        let mut platter = self.disk.platter.lock().unwrap();
        platter.dirty[self.number].push(offset..offset + bytes.len() as u64);
        Ok(())
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.output.read_exact_at(bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.ask(Ask::SetLen)?;
        self.output.set_len(len)
    }

    /// Brings what is dirty to the platter. A sync that fails brings nothing, and yet what was
    /// dirty counts as clean from then on, as it does with more than one system.
    fn sync(&self) -> io::Result<()> {
        let mut platter = self.disk.platter.lock().unwrap();
        let dirty = std::mem::take(&mut platter.dirty[self.number]);
        self.disk.ask(Ask::Sync)?;
        for range in dirty {
            let mut bytes = vec![0; (range.end - range.start) as usize];
            self.output.read_exact_at(&mut bytes, range.start)?;
            let file = &mut platter.files[self.number];
            file.resize(file.len().max(range.end as usize), 0);
            file[range.start as usize..range.end as usize].copy_from_slice(&bytes);
        }
        Ok(())
    }
}

fn options() -> Options {
    Options { fsync: Fsync::Always, segment_bytes: 4_000, ..small() }
}

/// Writes intakes on a faulty disk, trying again after each error; with each error, a crash is
/// tried out: what was durable by then is there in a copy of the folder.
fn endure(disk: FaultyDisk, count: usize) -> u64 {
    let folder = Folder::new();
    let intakes = intakes(20, count);
    let opened = loop {
        match recover::open(Arc::new(disk.clone()), &folder.0, options()) {
            Ok(opened) => break opened,
            Err(JournalError::Io { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    };
    let (mut journal, _) = opened;
    let mut fed = Vec::new();
    let mut receipts = Vec::new();
    let mut random = Random(count as u64);
    let mut errors = 0;
    for one in &intakes {
        let (receipt, told) = oneshot::channel();
        let mut one = again(one);
        one.receipt = Some(receipt);
        journal.take(one);
        receipts.push(told);
        let patience = Duration::from_millis(30);
        while let Err(error) = journal.commit(patience, &mut |said| fed.push(said)) {
            assert!(!crate::journal::sync::is_lost(&error), "{error}");
            errors += 1;
            let durable = *journal.durable().borrow();
            survives(&folder.copy(), durable);
            survives(&disk.power_fails(), durable);
        }
        if random.below(4) == 0 {
            let durable = *journal.durable().borrow();
            survives(&disk.power_fails(), durable);
        }
    }
    journal.sync(PATIENCE).unwrap();
    let left = disk.power_fails();
    assert_same(&read(&left.0, 1).unwrap(), &said(&fed), "after a power failure");
    receipts.into_iter().for_each(|mut told| told.try_recv().expect("it is durable"));
    assert_same(&read(&folder.0, 1).unwrap(), &said(&fed), "");
    assert_same(&said(&fed), &uninterrupted(&options(), &intakes), "");
    let counters = journal.counters();
    let failures = &counters.write_failures;
    errors + failures.load(Ordering::Relaxed) + counters.sync_failures.load(Ordering::Relaxed)
}

/// Whether what was durable is there after a crash that left `folder`.
fn survives(folder: &Folder, durable: Durable) {
    let (_, recovered) = open(folder, &options()).unwrap();
    assert!(recovered.next_seq >= durable.next_seq);
    assert!(recovered.last_complete >= durable.epoch);
}

#[test]
fn whichever_write_fails_nothing_is_lost_and_nothing_is_twice() {
    let mut noticed = 0;
    for n in 1..=40 {
        noticed += endure(FaultyDisk::new(Ask::Write, n..n + 1 + n % 3, n as usize % 8), 30);
    }
    assert!(noticed >= 40, "{noticed}");
}

#[test]
fn whichever_sync_fails_nothing_is_acknowledged_too_early() {
    let mut noticed = 0;
    for n in 1..=40 {
        noticed += endure(FaultyDisk::new(Ask::Sync, n..n + 1, 0), 25);
    }
    assert!(noticed >= 20, "{noticed}");
}

#[test]
fn whichever_segment_cannot_be_begun_the_old_one_goes_on() {
    let mut noticed = 0;
    for ask in [Ask::Create, Ask::Rename, Ask::SyncDir] {
        for n in 1..=8 {
            noticed += endure(FaultyDisk::new(ask, n..n + 2, 0), 25);
        }
    }
    assert!(noticed >= 20, "{noticed}");
}

#[test]
fn a_write_that_can_not_even_be_cut_off_is_written_over() {
    let disk = FaultyDisk::new(Ask::SetLen, 1..u64::MAX, 5);
    let folder = Folder::new();
    let opened = recover::open(Arc::new(disk.clone()), &folder.0, options()).unwrap();
    let (mut journal, _) = opened;
    let mut fed = Vec::new();
    for (step, one) in intakes(21, 30).iter().enumerate() {
        journal.take(again(one));
        journal.sync(PATIENCE).unwrap();
        disk.full.store(step % 3 == 0, SeqCst);
        let result = journal.commit(PATIENCE, &mut |said| fed.push(said));
        disk.full.store(false, SeqCst);
        if result.is_err() {
            let durable = *journal.durable().borrow();
            survives(&folder.copy(), durable);
            commit(&mut journal, &mut fed);
        }
    }
    journal.sync(PATIENCE).unwrap();
    assert_same(&read(&folder.0, 1).unwrap(), &said(&fed), "");
}

/// Waits for something that another thread brings about.
fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let since = std::time::Instant::now();
    while !done() {
        assert!(since.elapsed() < PATIENCE, "{what} does not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_full_disk_stops_the_intake_and_is_reported_and_goes_on_by_itself() {
    let folder = Folder::new();
    let disk = FaultyDisk::new(Ask::Rename, 0..0, 3);
    let (journal, _) = recover::open(Arc::new(disk.clone()), &folder.0, options()).unwrap();
    let (sender, intakes_in) = mpsc::channel(2);
    let (_controls, controls_in) = mpsc::channel(1);
    let writing = WriterOptions { pace: Pace::LIVE, stop_deadline: PATIENCE, clock: wall_clock };
    let writer = Writer::spawn(journal, intakes_in, controls_in, writing, |_| {}).unwrap();
    let health = writer.health();
    let send = || {
        let (receipt, told) = oneshot::channel();
        let mut one = intake(&[b"a record"]);
        one.receipt = Some(receipt);
        sender.blocking_send(one).unwrap();
        told
    };
    send().blocking_recv().unwrap();

    disk.full.store(true, SeqCst);
    let mut waiting = vec![send()];
    wait_for("trouble", || *health.borrow() != Health::Well);
    let mut one = 0;
    wait_for("back-pressure", || {
        let full = sender.try_reserve().is_err();
        if !full {
            waiting.push(send());
            one += 1;
        }
        full
    });
    assert!(one <= 200, "{one} intakes were taken");
    assert!(waiting.iter_mut().all(|told| told.try_recv().is_err()), "nothing is acknowledged");
    let what = match &*health.borrow() {
        Health::Stuck { what } => what.clone(),
        Health::Well => panic!("it is not"),
    };
    assert!(what.contains("no storage space"), "{what}");

    disk.full.store(false, SeqCst);
    let count = waiting.len() as u64 + 1;
    waiting.into_iter().for_each(|told| told.blocking_recv().unwrap());
    wait_for("health", || *health.borrow() == Health::Well);
    drop(sender);
    assert_eq!(writer.join().unwrap().next_seq, count);
    assert_eq!(open(&folder, &options()).unwrap().1.next_seq, count);
}

#[test]
fn a_stop_with_a_full_disk_ends_in_time_and_acknowledges_nothing() {
    let folder = Folder::new();
    let disk = FaultyDisk::new(Ask::Rename, 0..0, 3);
    let (journal, _) = recover::open(Arc::new(disk.clone()), &folder.0, options()).unwrap();
    let (sender, intakes_in) = mpsc::channel(2);
    let (_controls, controls_in) = mpsc::channel(1);
    let writing = WriterOptions {
        pace: Pace::Replay,
        stop_deadline: Duration::from_millis(50),
        clock: wall_clock,
    };
    disk.full.store(true, SeqCst);
    let writer = Writer::spawn(journal, intakes_in, controls_in, writing, |_| {}).unwrap();
    let (receipt, told) = oneshot::channel();
    let mut one = intake(&[b"a record"]);
    one.receipt = Some(receipt);
    sender.blocking_send(one).unwrap();
    // These find the writer busy with the disk, and wait in the channel.
    sender.blocking_send(intake(&[b"two", b"three"])).unwrap();
    drop(sender);
    let error = writer.join().unwrap_err().to_string();
    assert!(error.contains("3 records") && error.contains("not acknowledged"), "{error}");
    assert!(told.blocking_recv().is_err());
    assert_eq!(open(&folder, &options()).unwrap().1.next_seq, 0);
}
