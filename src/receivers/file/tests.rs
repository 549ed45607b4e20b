use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use flate2::Compression;
use flate2::write::GzEncoder;
use operators::types::Flags;
use operators::types::hash::mix;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::super::testing::{all_texts, context, intakes};
use super::super::{self as receivers, Receivers, Snapshot};
use super::*;
use crate::intake::Intake;

/// A running file receiver in a folder of its own, with the journal's end of its channel.
struct Rig {
    folder: TempDir,
    running: Option<(Receivers, mpsc::Receiver<Intake>)>,
    /// The last position of each file that the journal has got.
    positions: BTreeMap<(u64, u64), Position>,
}

impl Rig {
    fn new() -> Self {
        Rig { folder: tempfile::tempdir().unwrap(), running: None, positions: BTreeMap::new() }
    }

    /// A rig that follows `*.log*` in its folder.
    async fn started() -> Self {
        let mut rig = Rig::new();
        let options = rig.options("*.log*");
        rig.start(options).await;
        rig
    }

    fn options(&self, pattern: &str) -> Options {
        Options {
            poll: Duration::from_millis(50),
            settle: Duration::from_millis(100),
            flush_after: Duration::from_secs(60),
            rotate_grace: Duration::from_secs(60),
            ..Options::usual(vec![self.path(pattern).to_string_lossy().into_owned()])
        }
    }

    async fn start(&mut self, options: Options) {
        let (context, intakes) = context(64);
        let positions: Vec<Position> = self.positions.values().cloned().collect();
        let options = [receivers::Options::File(options)];
        let receivers = receivers::start(&options, &positions, &context).await.unwrap();
        self.running = Some((receivers, intakes));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        append(&self.path(name), text);
    }

    fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn counted(&self) -> Snapshot {
        self.running.as_ref().unwrap().0.list[0].counters.snapshot()
    }

    /// The next records, at least so many.
    async fn texts(&mut self, records: usize) -> Vec<String> {
        let intakes = intakes(&mut self.running.as_mut().unwrap().1, records).await;
        for intake in &intakes {
            self.note(intake);
        }
        all_texts(&intakes)
    }

    fn note(&mut self, intake: &Intake) {
        let position = intake.position.clone().expect("each intake of a file has a position");
        self.positions.insert((position.device, position.inode), position);
    }

    /// Asserts that nothing more comes.
    async fn assert_quiet(&mut self) {
        tokio::time::sleep(Duration::from_millis(400)).await;
        while let Ok(intake) = self.running.as_mut().unwrap().1.try_recv() {
            assert!(intake.ends.is_empty(), "{:?}", all_texts(&[intake]));
            self.note(&intake);
        }
    }

    async fn until(&self, so: impl Fn(&Snapshot) -> bool) -> Snapshot {
        let start = Instant::now();
        while !so(&self.counted()) {
            assert!(start.elapsed() < Duration::from_secs(20), "{:?}", self.counted());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.counted()
    }
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Lines that differ from each other and from those with another word.
fn lines(word: &str, range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|i| format!("2026-11-22 {word} line number {i} of many")).collect()
}

fn text(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_lines_comes_as_a_whole_and_in_order() {
    let mut rig = Rig::started().await;
    let lines = lines("burst", 0..5_000);
    rig.append("a.log", &text(&lines));
    assert_eq!(rig.texts(5_000).await, lines);
    rig.append("a.log", "half");
    rig.assert_quiet().await;
    rig.append("a.log", " and half\n");
    assert_eq!(rig.texts(1).await, ["half and half"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_last_line_without_an_end_comes_after_a_while() {
    let mut rig = Rig::new();
    let options = Options { flush_after: Duration::from_millis(100), ..rig.options("*.log") };
    rig.start(options).await;
    rig.append("a.log", "one\nno end");
    assert_eq!(rig.texts(2).await, ["one", "no end"]);
    rig.append("a.log", " after all\ntwo\n");
    assert_eq!(rig.texts(2).await, [" after all", "two"]);
    assert_eq!(rig.counted().unterminated, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renamed_file_is_read_to_its_end_before_the_new_one() {
    for rotated in ["a.log.1", "elsewhere"] {
        let mut rig = Rig::started().await;
        let lines = lines("rotated", 0..60);
        rig.append("a.log", &text(&lines[..20]));
        assert_eq!(rig.texts(20).await, lines[..20]);
        // The writer goes on in the renamed file before it opens the new one.
        rig.rename("a.log", rotated);
        rig.append(rotated, &text(&lines[20..40]));
        rig.append("a.log", &text(&lines[40..]));
        assert_eq!(rig.texts(40).await, lines[20..]);
        // And once more, when the new one is there already.
        rig.append(rotated, "late\n");
        assert_eq!(rig.texts(1).await, ["late"]);
        assert_eq!(rig.counted().rotations, 1);
        rig.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_file_is_read_from_its_start_and_counted_as_a_possible_gap() {
    let mut rig = Rig::started().await;
    let old = lines("old", 0..50);
    rig.append("a.log", &text(&old));
    assert_eq!(rig.texts(50).await, old);
    File::create(rig.path("a.log")).unwrap();
    rig.until(|c| c.gaps == 1).await;
    // The next one grows past the old offset before anybody looks.
    let new = lines("new", 0..80);
    rig.append("a.log", &text(&new));
    assert_eq!(rig.texts(80).await, new);
    std::fs::write(rig.path("a.log"), text(&old)).unwrap();
    assert_eq!(rig.texts(50).await, old);
    assert_eq!(rig.counted().gaps, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_gives_what_the_truncation_would_have_lost_and_nothing_twice() {
    let mut rig = Rig::started().await;
    let lines = lines("copied", 0..100);
    rig.append("a.log", &text(&lines[..50]));
    assert_eq!(rig.texts(50).await, lines[..50]);
    std::fs::copy(rig.path("a.log"), rig.path("a.log.2")).unwrap();
    rig.assert_quiet().await;
    // Written between the last read and the truncation: only the copy has them.
    append(&rig.path("a.log.2"), &text(&lines[50..70]));
    std::fs::write(rig.path("a.log"), text(&lines[70..])).unwrap();
    let mut seen = rig.texts(50).await;
    seen.sort_by_key(|line| lines.iter().position(|l| l == line));
    assert_eq!(seen, lines[50..]);
    rig.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_only_begins_like_another_is_a_file_of_its_own() {
    let banner = "#".repeat(300) + "\n";
    let mut rig = Rig::started().await;
    rig.append("a.log", &(banner.clone() + "alpha\n"));
    assert_eq!(rig.texts(2).await[1], "alpha");
    rig.append("b.log", &(banner.clone() + "bravo\n"));
    assert_eq!(rig.texts(2).await[1], "bravo");
    // As long as it is only the banner, nobody can tell.
    rig.append("c.log", &banner);
    rig.assert_quiet().await;
    rig.append("c.log", "charlie\n");
    assert_eq!(rig.texts(2).await[1], "charlie");
    std::fs::write(rig.path("d.log.gz"), gzip(&(banner + "delta\n"))).unwrap();
    assert_eq!(rig.texts(2).await[1], "delta");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inode_that_is_used_again_is_a_new_file() {
    let mut rig = Rig::new();
    let options = Options { rotate_grace: Duration::ZERO, ..rig.options("*.log") };
    rig.start(options).await;
    for round in 0..10 {
        let lines = lines(&format!("round {round}"), 0..20);
        rig.append("a.log", &text(&lines));
        assert_eq!(rig.texts(20).await, lines);
        std::fs::remove_file(rig.path("a.log")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compressed_files_are_read_once() {
    let mut rig = Rig::started().await;
    let lines = lines("packed", 0..2_000);
    // Two members in one file, as an appended archive has them; seen first when it is empty.
    let two = [gzip(&text(&lines[..500])), gzip(&text(&lines[500..1_000]))].concat();
    File::create(rig.path("a.log.gz")).unwrap();
    rig.assert_quiet().await;
    std::fs::write(rig.path("a.log.gz"), two).unwrap();
    assert_eq!(rig.texts(1_000).await, lines[..1_000]);
    let (one, two) = (text(&lines[1_000..1_500]), text(&lines[1_500..]));
    let packed = [one, two].map(|text| zstd::encode_all(text.as_bytes(), 3).unwrap()).concat();
    std::fs::write(rig.path("b.log.zst"), packed).unwrap();
    assert_eq!(rig.texts(1_000).await, lines[1_000..]);
    for i in 0..20 {
        std::fs::write(rig.path(&format!("c.log.{i}.gz")), gzip(&format!("small {i}\n"))).unwrap();
    }
    assert_eq!(rig.texts(20).await.len(), 20);
    rig.assert_quiet().await;
    let options = rig.options("*.log*");
    rig.start(options).await;
    rig.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_rotated_and_compressed_does_not_come_twice() {
    let mut rig = Rig::started().await;
    let lines = lines("rotated", 0..300);
    rig.append("a.log", &text(&lines[..100]));
    rig.texts(100).await;
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", &text(&lines[100..200]));
    assert_eq!(rig.texts(100).await, lines[100..200]);
    std::fs::write(rig.path("a.log.2.gz"), gzip(&text(&lines[..100]))).unwrap();
    rig.assert_quiet().await;
    std::fs::remove_file(rig.path("a.log.1")).unwrap();
    rig.assert_quiet().await;
    // The same while nobody looks: only the position of the earlier run tells.
    rig.running.take().unwrap().0.stop().await;
    rig.append("a.log", &text(&lines[200..250]));
    std::fs::write(rig.path("a.log.1.gz"), gzip(&text(&lines[100..250]))).unwrap();
    std::fs::remove_file(rig.path("a.log")).unwrap();
    let options = rig.options("*.log*");
    rig.start(options).await;
    assert_eq!(rig.texts(50).await, lines[200..250]);
    rig.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_broken_archive_comes_what_is_whole_and_the_next_file_goes_on() {
    let lines = lines("broken", 0..20_000);
    let whole = gzip(&text(&lines));
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    let bomb = gzip(&"a".repeat(200_000_000));
    let cases = [("cut", whole[..whole.len() / 2].to_vec()), ("flipped", flipped), ("bomb", bomb)];
    for (name, bytes) in cases {
        let mut rig = Rig::started().await;
        std::fs::write(rig.path("a.log.gz"), bytes).unwrap();
        rig.until(|c| c.file_errors == 1).await;
        rig.append("b.log", "next\n");
        let mut seen = Vec::new();
        while seen.last().is_none_or(|line| line != "next") {
            seen.extend(rig.texts(1).await);
        }
        seen.pop();
        assert!(!seen.is_empty() && seen.len() < lines.len(), "{name}: {}", seen.len());
        if name == "cut" {
            let whole = seen.len() - 1;
            assert_eq!(seen[..whole], lines[..whole]);
            assert!(lines[whole].starts_with(&seen[whole]));
        }
        rig.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_files_are_taken_for_what_they_are() {
    let mut rig = Rig::new();
    let noise: Vec<u8> = (0..100_000).map(|i| mix(i) as u8).collect();
    std::fs::write(rig.path("noise.log"), noise).unwrap();
    nix::unistd::mkfifo(&rig.path("pipe.log"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::fs::create_dir(rig.path("folder.log")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", rig.path("link.log")).unwrap();
    let long = format!("{}\nafter the long line\n", "x".repeat(3_000_000));
    std::fs::write(rig.path("long.log"), long).unwrap();
    let sparse = File::create(rig.path("sparse.log")).unwrap();
    sparse.set_len(500_000_000).unwrap();
    drop(sparse);
    rig.append("sparse.log", "after the hole\n");
    let options = rig.options("*.log");
    rig.start(options).await;
    let mut seen = rig.texts(3).await;
    seen.sort_by_key(String::len);
    assert_eq!(seen[..2], ["after the hole", "after the long line"]);
    assert_eq!(seen[2].len(), 1 << 20);
    let counted = rig.until(|c| c.file_errors == 2).await;
    assert_eq!((counted.binary, counted.truncated, counted.files), (1, 1, 2));
    rig.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_may_not_be_read_is_read_when_it_may() {
    use std::os::unix::fs::PermissionsExt;
    let mut rig = Rig::new();
    rig.append("a.log", "one\n");
    let permit = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(rig.path("a.log"), permit(0)).unwrap();
    if File::open(rig.path("a.log")).is_ok() {
        println!("skipped: who runs this may read everything");
        return;
    }
    let options = rig.options("*.log");
    rig.start(options).await;
    rig.until(|c| c.file_errors == 1).await;
    std::fs::set_permissions(rig.path("a.log"), permit(0o600)).unwrap();
    assert_eq!(rig.texts(1).await, ["one"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_can_begin_at_the_end() {
    let mut rig = Rig::new();
    rig.append("a.log", "old\nbegun before ");
    std::fs::write(rig.path("b.log.gz"), gzip("packed\n")).unwrap();
    let options = Options { read_from: ReadFrom::End, ..rig.options("*.log*") };
    rig.start(options.clone()).await;
    // At once: what is there when the start is over has been looked at.
    assert_eq!(rig.counted().files, 2);
    rig.append("a.log", "and ended after\n");
    rig.append("new.log", "from its start\n");
    let mut seen = rig.texts(2).await;
    seen.sort();
    assert_eq!(seen, ["begun before and ended after", "from its start"]);
    // The journal knows where reading began, so nothing is lost that comes meanwhile.
    rig.running.take().unwrap().0.stop().await;
    rig.append("a.log", "while down\n");
    rig.start(options).await;
    assert_eq!(rig.texts(1).await, ["while down"]);
    rig.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_before_a_rotation_while_nobody_looked_is_read() {
    let pack = |name: &str, rig: &Rig| {
        let packed = gzip(&std::fs::read_to_string(rig.path("a.log.1")).unwrap());
        std::fs::write(rig.path(name), packed).unwrap();
        std::fs::remove_file(rig.path("a.log.1")).unwrap();
    };
    for pattern in ["a.log", "*.log", "*"] {
        for rotated in ["a.log.1", "a.log.1.gz", "a.log-20261122.gz", "a.log.copy"] {
            for again in [true, false] {
                let mut rig = Rig::new();
                let options = rig.options(pattern);
                let lines = lines("rotated", 0..553);
                rig.start(options.clone()).await;
                rig.append("a.log", &text(&lines[..500]));
                assert_eq!(rig.texts(500).await, lines[..500]);
                rig.running.take().unwrap().0.stop().await;
                rig.append("a.log", &text(&lines[500..550]));
                match rotated {
                    "a.log.copy" => {
                        std::fs::copy(rig.path("a.log"), rig.path(rotated)).unwrap();
                        std::fs::write(rig.path("a.log"), "").unwrap();
                    }
                    _ => rig.rename("a.log", "a.log.1"),
                }
                if rotated.ends_with(".gz") {
                    pack(rotated, &rig);
                }
                if again {
                    rig.append("a.log", &text(&lines[550..]));
                }
                rig.start(options).await;
                let expected = if again { &lines[500..] } else { &lines[500..550] };
                let mut seen = rig.texts(expected.len()).await;
                seen.sort();
                assert_eq!(seen, expected, "{pattern} {rotated} {again}");
                rig.assert_quiet().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_while_nobody_looked_is_read_from_its_start_though_reading_began_at_the_end() {
    for pattern in ["a.log", "*.log"] {
        let mut rig = Rig::new();
        rig.append("a.log", "old\n");
        let options = Options { read_from: ReadFrom::End, ..rig.options(pattern) };
        rig.start(options.clone()).await;
        rig.append("a.log", "new\n");
        assert_eq!(rig.texts(1).await, ["new"]);
        rig.running.take().unwrap().0.stop().await;
        rig.append("a.log", "last\n");
        rig.rename("a.log", "a.log.1");
        rig.append("a.log", "first\n");
        rig.append("other.log", "old\n");
        let mut paths = options.paths.clone();
        if pattern == "a.log" {
            paths.push(rig.path("other.log").to_string_lossy().into_owned());
        }
        rig.start(Options { paths, ..options }).await;
        let expected: &[&str] = match pattern {
            // It is named for the first time.
            "a.log" => &["first", "last"],
            _ => &["first", "last", "old"],
        };
        let mut seen = rig.texts(expected.len()).await;
        seen.sort();
        assert_eq!(seen, expected);
        rig.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_made_before_it_is_written_to_is_read_at_once_and_whatever_its_name() {
    for pattern in ["a.log", "*.log"] {
        let mut rig = Rig::new();
        // Nothing but the system's notices.
        let poll = Duration::from_secs(3_600);
        rig.start(Options { poll, ..rig.options(pattern) }).await;
        for round in 0..8 {
            let lines = lines(&format!("round {round}"), 0..20);
            rig.append("a.log", "");
            tokio::time::sleep(Duration::from_millis(60)).await;
            rig.append("a.log", &text(&lines));
            if round % 2 == 0 {
                assert_eq!(rig.texts(20).await, lines);
                rig.rename("a.log", &format!("a.log.{round}"));
            } else {
                rig.rename("a.log", &format!("a.log.{round}"));
                assert_eq!(rig.texts(20).await, lines);
            }
        }
        rig.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_is_not_there_is_waited_for() {
    let mut rig = Rig::new();
    let options = rig.options("later/a.log");
    rig.start(options).await;
    rig.assert_quiet().await;
    std::fs::create_dir(rig.path("later")).unwrap();
    rig.append("later/a.log", "there\n");
    assert_eq!(rig.texts(1).await, ["there"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_files_than_are_held_open_are_all_followed() {
    let mut rig = Rig::new();
    let options = rig.options("*.log");
    let names: Vec<String> = (0..1_200).map(|i| format!("{i:04}.log")).collect();
    for round in ["first", "second", "third"] {
        for name in &names {
            rig.append(name, &format!("{round} of {name}\n"));
        }
        if rig.running.is_none() {
            rig.start(options.clone()).await;
        }
        let mut seen = rig.texts(1_200).await;
        let open = std::fs::read_dir("/proc/self/fd").unwrap().count();
        assert!(open < 900, "{open} files are open");
        seen.sort();
        let expected: Vec<String> = names.iter().map(|name| format!("{round} of {name}")).collect();
        assert_eq!(seen, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_does_not_wait_for_a_journal_that_takes_nothing() {
    let mut rig = Rig::new();
    rig.append("a.log", &text(&lines("many", 0..400_000)));
    let options = rig.options("*.log");
    rig.start(options).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let start = Instant::now();
    let (receivers, _intakes) = rig.running.take().unwrap();
    receivers.stop().await;
    assert!(start.elapsed() < Duration::from_secs(2));
}

/// A crash at any moment: what the journal has got is kept, all else is forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_cut_short_each_line_comes_exactly_once() {
    const LINES: usize = 60_000;
    let mut rig = Rig::new();
    let path = rig.path("a.log");
    let lines = lines("crash", 0..LINES);
    let all = lines.clone();
    // Writes in pieces that end anywhere, and rotates by renaming now and then.
    let writer = std::thread::spawn(move || {
        let text = text(&all);
        let mut rest = text.as_bytes();
        let mut rotation = 0;
        for step in 0u64.. {
            let size = (mix(step) as usize % 20_000).min(rest.len());
            let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
            file.write_all(&rest[..size]).unwrap();
            rest = &rest[size..];
            if rest.is_empty() {
                break;
            }
            if mix(step ^ 77).is_multiple_of(40)
                && text.as_bytes()[text.len() - rest.len() - 1] == b'\n'
            {
                rotation += 1;
                std::fs::rename(&path, path.with_extension(format!("log.{rotation}"))).unwrap();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    let mut seen = Vec::new();
    let mut run = 0;
    while seen.len() < LINES {
        let options = Options { rotate_grace: Duration::ZERO, ..rig.options("*.log*") };
        rig.start(options).await;
        // The journal dies after so many intakes; what is in the channel is lost.
        for _ in 0..1 + mix(run) % 12 {
            let next = &mut rig.running.as_mut().unwrap().1;
            match tokio::time::timeout(Duration::from_secs(10), next.recv()).await {
                Ok(Some(intake)) => {
                    rig.note(&intake);
                    seen.extend(all_texts(&[intake]));
                }
                _ => panic!("{} of {LINES} lines came after {run} runs", seen.len()),
            }
            if seen.len() == LINES {
                break;
            }
        }
        let (receivers, intakes) = rig.running.take().unwrap();
        drop(intakes);
        receivers.stop().await;
        run += 1;
    }
    writer.join().unwrap();
    seen.sort_by_key(|line| line.split(' ').nth(4).and_then(|n| n.parse::<usize>().ok()));
    assert_eq!(seen.len(), LINES);
    assert!(seen == lines, "after {run} runs each line is there once");
    assert!(run > 3, "there were crashes: {run}");
}

/// A replay of `paths` until its end: its outcome, the records, and the positions.
async fn replayed(paths: &[&Path], known: &[Position]) -> (Outcome, Vec<Intake>, Snapshot) {
    let (context, mut intakes) = context(4);
    let paths: Vec<String> = paths.iter().map(|p| p.to_string_lossy().into_owned()).collect();
    let counters = Arc::new(Counters::default());
    let progress = Arc::new(Progress::default());
    let options = ReplayOptions { line_max: 1 << 20 };
    let (outcome, all) = tokio::join!(
        async {
            let read = read_all(&paths, &options, known, &context, &counters, &progress).await;
            drop(context);
            read.unwrap()
        },
        async {
            let mut all = Vec::new();
            while let Some(intake) = intakes.recv().await {
                all.push(intake);
            }
            all
        }
    );
    let [done, total] = [&progress.bytes_done, &progress.bytes_total]
        .map(|counter| counter.load(std::sync::atomic::Ordering::Relaxed));
    assert_eq!(done, total, "at the end all is done");
    (outcome, all, counters.snapshot())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_reads_in_a_stable_order_and_each_file_once() {
    let rig = Rig::new();
    std::fs::create_dir_all(rig.path("in/deep")).unwrap();
    rig.append("in/b.log", "b1\r\nb2");
    std::fs::write(rig.path("in/a.log.gz"), gzip("a1\na2\n")).unwrap();
    rig.append("in/deep/c.log", "c1\n");
    rig.append("z.log", "z1\n");
    rig.append("empty.log", "");
    let document = "{\n  \"a\": {\n    \"b\": 1\n  }\n}";
    rig.append("events.json", &format!("{document}{document}\n"));
    let [folder, z, glob, empty, events] =
        ["in", "z.log", "in/*.log", "empty.log", "events.json"].map(|name| rig.path(name));
    let (outcome, all, counted) = replayed(&[&z, &folder, &glob, &empty, &events], &[]).await;
    let expected = ["z1", "a1", "a2", "b1", "b2", "c1", document, document];
    assert_eq!(all_texts(&all), expected);
    assert_eq!(outcome, Outcome { files: 6, problems: Vec::new(), ..Outcome::default() });
    assert_eq!((counted.received, counted.unterminated, counted.files), (8, 0, 6));
    assert!(all.iter().all(|intake| intake.position.as_ref().unwrap().complete));
    let modified = std::fs::metadata(&z).unwrap().modified().unwrap();
    assert_eq!(all[0].received_at, receivers::event_time(modified));
    assert!(all.iter().flat_map(Intake::records).all(|(_, flags)| flags == Flags::default()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_tells_what_it_could_not_read_and_goes_on() {
    let rig = Rig::new();
    let lines = lines("broken", 0..5_000);
    let packed = gzip(&text(&lines));
    std::fs::write(rig.path("1.gz"), &packed[..packed.len() / 2]).unwrap();
    std::fs::write(rig.path("2.evtx"), [b"ElfFile\0".as_slice(), &[1; 4_096]].concat()).unwrap();
    rig.append("3.log", "good\n");
    let (outcome, all, _) = replayed(&[rig.folder.path()], &[]).await;
    let problems: Vec<&str> =
        outcome.problems.iter().map(|problem| problem.reason.as_str()).collect();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].ends_with("what could be read of it was taken"), "{problems:?}");
    assert_eq!(problems[1], "does not look like text; not read");
    let seen = all_texts(&all);
    assert_eq!(seen.last().unwrap(), "good");
    assert!(seen.len() > 1 && lines[0] == seen[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_that_was_cut_short_goes_on_where_it_was() {
    let rig = Rig::new();
    let lines = lines("again", 0..60_000);
    rig.append("a.log", &text(&lines[..30_000]));
    std::fs::write(rig.path("b.log.gz"), gzip(&text(&lines[30_000..]))).unwrap();
    let (_, all, _) = replayed(&[rig.folder.path()], &[]).await;
    for kept in 0..=all.len() {
        let mut positions = BTreeMap::new();
        for intake in &all[..kept] {
            let position = intake.position.clone().unwrap();
            positions.insert((position.device, position.inode), position);
        }
        let positions: Vec<Position> = positions.into_values().collect();
        let (_, rest, _) = replayed(&[rig.folder.path()], &positions).await;
        let mut seen = all_texts(&all[..kept]);
        seen.extend(all_texts(&rest));
        assert!(seen == lines, "after {kept} of {} intakes", all.len());
    }
}

#[tokio::test]
async fn a_replay_of_what_is_not_there_is_an_error() {
    let rig = Rig::new();
    let (context, _intakes) = context(4);
    for (path, expected) in [
        (rig.path("none"), format!("cannot read `{}`", rig.path("none").display())),
        (
            rig.path("*.none"),
            format!(
                "`{}` names no file, nor a folder that holds one",
                rig.path("*.none").display()
            ),
        ),
    ] {
        let paths = [path.to_string_lossy().into_owned()];
        let options = ReplayOptions { line_max: 100 };
        let (counters, progress) = (Arc::default(), Arc::default());
        let read = read_all(&paths, &options, &[], &context, &counters, &progress);
        assert_eq!(read.await.unwrap_err().to_string(), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn bench_file() {
    let rig = Rig::new();
    let line = format!("{}\n", "2026-11-22T13:38:00Z host app[1]: ".repeat(5));
    let mut writer = std::io::BufWriter::new(File::create(rig.path("a.log")).unwrap());
    let count = (1 << 30) / line.len();
    for _ in 0..count {
        writer.write_all(line.as_bytes()).unwrap();
    }
    drop(writer);
    for follow in [true, false] {
        let (context, mut intakes) = context(256);
        let start = Instant::now();
        let path = rig.path("a.log").to_string_lossy().into_owned();
        if follow {
            let options = [receivers::Options::File(Options::usual(vec![path]))];
            let running = receivers::start(&options, &[], &context).await.unwrap();
            let mut seen = 0;
            while seen < count {
                seen += intakes.recv().await.unwrap().ends.len();
            }
            let seconds = start.elapsed().as_secs_f64();
            println!("follow: {:.0} MB/s in lines of {} bytes", 1_074.0 / seconds, line.len());
            running.stop().await;
        } else {
            let read = tokio::spawn(async move {
                let options = ReplayOptions { line_max: 1 << 20 };
                let counters = Arc::default();
                read_all(&[path], &options, &[], &context, &counters, &Arc::default()).await
            });
            let mut seen = 0;
            while let Some(intake) = intakes.recv().await {
                seen += intake.ends.len();
            }
            assert_eq!(seen, count);
            let seconds = start.elapsed().as_secs_f64();
            println!("replay: {:.0} MB/s", 1_074.0 / seconds);
            read.await.unwrap().unwrap();
        }
    }
}
