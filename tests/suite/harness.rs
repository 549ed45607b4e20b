//! What end-to-end tests share: folders, the program as a process, and what it left behind.
//!
//! The oracle of these tests is outside of the program: who sends knows what was sent. What was
//! stored is read back with the program's own readers, by record, and compared.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use seerflow_dataflow::config::settings::Settings;
use seerflow_dataflow::config::{Sources, load};
use seerflow_dataflow::journal::Fed;
use seerflow_dataflow::storage::Storage;
use seerflow_dataflow::{retold, setup};

/// How long anything may take on a machine that is busy with something else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A folder that goes away with the test.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("seerflow-suite-").tempdir().unwrap()
}

/// Numbers by chance, the same for the same seed (xorshift64*).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A seed that is told, so that a failure can be had again with `SUITE_SEED`.
    pub(crate) fn told(what: &str) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let given = std::env::var("SUITE_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or(now.as_nanos() as u64 % 1_000_000);
        println!("{what}: SUITE_SEED={seed}");
        Chance::new(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number in `[0, below)`.
    pub(crate) fn below(&mut self, below: u64) -> u64 {
        (self.next() >> 16) % below
    }

    pub(crate) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

/// Data about Sigma that is no part of the project; a line says so if it is not there.
pub(crate) fn shared(what: &str) -> Option<PathBuf> {
    let named = std::env::var_os("SEERFLOW_SHARED").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let path = named.unwrap_or_else(beside).join("data/sigma").join(what);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: there is no {}; set SEERFLOW_SHARED", path.display());
    None
}

/// The program, without anything of the environment.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seerflow-dataflow"));
    command.env_clear().env("NO_COLOR", "1");
    command
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ended {
    /// The summary that `--json` prints.
    pub(crate) fn summary(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A process that does not outlive its test.
pub(crate) struct Process {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Process {
    /// Starts it; what it prints goes to files in `dir`.
    pub(crate) fn start(command: Command, dir: &Path) -> Self {
        Process::fed(command, dir, Stdio::null())
    }

    /// The same, with something on its standard input.
    fn fed(mut command: Command, dir: &Path, stdin: Stdio) -> Self {
        let (out, err) = (dir.join("stdout"), dir.join("stderr"));
        command.stdin(stdin);
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        Process { child: command.spawn().unwrap(), out, err }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, by its name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).stderr(Stdio::null()).status();
        // One that has ended by itself cannot be told anything any more.
        sent.unwrap();
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Kills it; whether it was still running.
    pub(crate) fn kill(mut self) -> bool {
        let running = self.is_running();
        self.child.kill().ok();
        self.child.wait().unwrap();
        running
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Ended {
        let until = Instant::now() + PATIENCE;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() > until => {
                    panic!("it does not end; it said: {}", self.stderr())
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        Ended { code: status.code(), stdout: fs::read(&self.out).unwrap(), stderr: self.stderr() }
    }

    /// What it has said so far.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.err).unwrap()).into_owned()
    }

    /// A line of `/proc/PID/status`, in KiB; 0 of a process that has just ended.
    pub(crate) fn memory_kib(&self, line: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let Some(line) = status.lines().find_map(|at| at.strip_prefix(line)) else { return 0 };
        line.trim_matches([':', '\t', ' ']).trim_end_matches(" kB").trim().parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Runs a command to its end.
pub(crate) fn run(command: Command) -> Ended {
    let dir = folder();
    Process::start(command, dir.path()).wait()
}

/// Ports that nobody has, one for UDP and one for TCP.
pub(crate) fn free_ports() -> (u16, u16) {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    (udp.local_addr().unwrap().port(), tcp.local_addr().unwrap().port())
}

/// A `run` of the program, with syslog on free ports.
pub(crate) struct Live {
    pub(crate) process: Process,
    pub(crate) udp: u16,
    pub(crate) tcp: u16,
}

impl Live {
    /// Starts `run` on a state folder, and waits until it listens. It may still be working off
    /// what the journal holds.
    pub(crate) fn start(state: &Path, dir: &Path, set: &[&str]) -> Self {
        Live::start_with(state, dir, set, Stdio::null)
    }

    /// The same, and a pipe to its standard input, which it reads.
    pub(crate) fn fed(state: &Path, dir: &Path, set: &[&str]) -> (Self, ChildStdin) {
        let set = [set, &["receivers.stdin_enabled=true"]].concat();
        let mut live = Live::start_with(state, dir, &set, Stdio::piped);
        let stdin = live.process.child.stdin.take().expect("it is a pipe");
        (live, stdin)
    }

    fn start_with(state: &Path, dir: &Path, set: &[&str], stdin: fn() -> Stdio) -> Self {
        // Somebody may take the ports before the program does.
        for _ in 0..5 {
            let (udp, tcp) = free_ports();
            if let Some(live) = Live::try_start(state, dir, set, (udp, tcp), stdin()) {
                return live;
            }
        }
        panic!("no free ports in five attempts");
    }

    fn try_start(
        state: &Path,
        dir: &Path,
        set: &[&str],
        (udp, tcp): (u16, u16),
        stdin: Stdio,
    ) -> Option<Self> {
        let mut command = program();
        command.arg("run").arg("--json").arg("--state").arg(state);
        command.args(["--set", "alerting.console_enabled=false"]);
        for set in set {
            command.args(["--set", set]);
        }
        command.args(["--set", &format!("receivers.syslog_udp_port={udp}")]);
        command.args(["--set", &format!("receivers.syslog_tcp_port={tcp}")]);
        let mut process = Process::fed(command, dir, stdin);
        let until = Instant::now() + PATIENCE;
        let listens = || TcpStream::connect(("127.0.0.1", tcp)).is_ok();
        while !(listens() && state.join("journal").exists()) {
            if !process.is_running() {
                let said = process.stderr();
                assert!(said.contains("cannot listen"), "{said}");
                return None;
            }
            assert!(Instant::now() < until, "it does not listen: {}", process.stderr());
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(Live { process, udp, tcp })
    }

    pub(crate) fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.tcp)).unwrap()
    }

    /// Stops it in good order.
    pub(crate) fn stop(self) -> Ended {
        self.process.signal("TERM");
        let ended = self.process.wait();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        ended
    }
}

/// The settings that `--set` of these gives.
pub(crate) fn settings(set: &[&str]) -> Settings {
    let flags = set.iter().map(|set| seerflow_dataflow::config::Flag::set(set));
    load(&Sources { flags: flags.collect(), ..Sources::default() }).unwrap().settings
}

/// All that is in a journal: the text of each record by its sequence number.
pub(crate) fn journaled(state: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for fed in retold::whole(state).unwrap().1 {
        if let Fed::Block(block) = fed.unwrap() {
            assert_eq!(block.first_seq, texts.len() as u64, "no number is left out");
            texts.extend(block.records.iter().map(|record| block.text(record.text).to_owned()));
        }
    }
    texts
}

/// [`journaled`], of a journal that is being written: without what is not whole yet.
pub(crate) fn try_journaled(state: &Path) -> Vec<String> {
    let Ok((_, reader)) = retold::whole(state) else { return Vec::new() };
    let blocks = reader.map_while(Result::ok);
    let texts = blocks.filter_map(|fed| match fed {
        Fed::Block(block) => Some(block),
        _ => None,
    });
    let text = |block: std::sync::Arc<operators::types::Block>| -> Vec<String> {
        block.records.iter().map(|record| block.text(record.text).to_owned()).collect()
    };
    texts.flat_map(text).collect()
}

/// How often each of these texts occurs.
pub(crate) fn counts<'t>(texts: impl IntoIterator<Item = &'t str>) -> BTreeMap<&'t str, u64> {
    let mut counts = BTreeMap::new();
    for text in texts {
        *counts.entry(text).or_default() += 1;
    }
    counts
}

/// The sequence numbers of which the store knows what was found.
pub(crate) fn found(state: &Path) -> Vec<u64> {
    let storage = Storage::open_for_reading(state).unwrap();
    let all = storage.found_from(0).map(Result::unwrap);
    all.flat_map(|found| found.first_seq..found.first_seq + found.len() as u64).collect()
}

/// Every record is in the store exactly once.
pub(crate) fn assert_all_found(state: &Path) -> Vec<String> {
    let texts = journaled(state);
    let found = found(state);
    assert_eq!(found.len(), texts.len(), "as many events are stored as there are records");
    assert!(found.iter().enumerate().all(|(at, seq)| at as u64 == *seq), "each of them once");
    texts
}

/// All events of a state folder, as `replay --events` would write them.
pub(crate) fn stored_events(state: &Path, set: &[&str]) -> Vec<u8> {
    let settings = settings(set);
    let storage = Storage::open_for_reading(state).unwrap();
    let mut events = Vec::new();
    let dictionary = dictionary(&settings, &storage);
    let all = 1..=u64::MAX;
    retold::events(&settings, &storage, &all, &dictionary, &mut events).unwrap();
    events
}

/// All alerts of a state folder, as `replay --alerts` would write them.
pub(crate) fn stored_alerts(state: &Path) -> String {
    let storage = Storage::open_for_reading(state).unwrap();
    let alerts = storage.alerts_since(0).unwrap();
    alerts.iter().map(|alert| serde_json::to_string(alert).unwrap() + "\n").collect()
}

fn dictionary(settings: &Settings, storage: &Storage) -> operators::template::Dictionary {
    let key = operators::state::model_key(operators::template::STORED);
    let (_, bytes) = storage.scan_state(&key).pop().expect("a stop stores the templates");
    let options = setup::detection(settings, 1).template;
    operators::template::Dictionary::decode(&bytes, options).unwrap()
}

/// The templates of a state folder: id and text, in order.
pub(crate) fn stored_templates(state: &Path) -> Vec<(u64, String)> {
    let storage = Storage::open_for_reading(state).unwrap();
    let dictionary = dictionary(&settings(&[]), &storage);
    let mut templates: Vec<_> =
        dictionary.iter().map(|template| (template.id.0, template.text.to_string())).collect();
    templates.sort();
    templates
}

/// The lines of a file.
pub(crate) fn lines(path: &Path) -> Vec<String> {
    BufReader::new(File::open(path).unwrap()).lines().map(Result::unwrap).collect()
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
