//! What can be set and has an effect: one field for each key, under the key's name.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::keys::{Kind, section};

/// When the journal asks the disk to make records safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fsync {
    /// After every group of records, before anybody is told that they were taken.
    Always,
    /// Once in `journal.fsync_interval_ms`, for all records since the last time.
    Interval,
    /// When the operating system likes. A power cut can lose the last seconds; `kill -9` cannot.
    Never,
}

/// Where a file is read from when it is seen for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadFrom {
    /// Only what is added from now on.
    End,
    /// All that is in it.
    Start,
}

/// When a new alert file is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Rotation {
    /// When it is longer than `alerting.file_max_bytes`.
    Size,
    /// Every `alerting.file_interval_seconds`.
    Time,
}

/// Where alerts are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ConsoleStream {
    /// To standard output.
    Stdout,
    /// To standard error.
    Stderr,
}

/// How alerts are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ConsoleFormat {
    /// One line for people.
    Human,
    /// One JSON object on a line.
    Json,
}

section! {
    /// All settings.
    pub struct Settings {
        /// How many threads the engine works with. The answers do not depend on it.
        workers: usize = Kind::Integer(1, 256),
        /// What is logged: `error`, `warn`, `info`, `debug`, `trace` or `off`; for a part of the
        /// program `part=level`, as in `info,receivers=debug`.
        log_level: String = Kind::Levels,
        /// How long a stop waits for what was taken in to be worked off, in seconds. What is left
        /// then is in the journal and is worked off at the next start.
        shutdown_timeout_s: u64 = Kind::Integer(1, 3_600),
        /// Where logs come from.
        receivers: Receivers = Kind::Object(Receivers::KEYS),
        /// How records become events.
        parse: Parse = Kind::Object(Parse::KEYS),
        /// Which entities (addresses, users, hosts, processes, files, domains) are taken from
        /// events.
        entities: Entities = Kind::Object(Entities::KEYS),
        /// How messages are grouped into templates (Drain: He et al., ICWS 2017).
        templates: Templates = Kind::Object(Templates::KEYS),
        /// When event time is taken to have passed.
        watermark: Watermark = Kind::Object(Watermark::KEYS),
        /// What counts as unusual.
        detection: Detection = Kind::Object(Detection::KEYS),
        /// Sigma rules.
        rules: Rules = Kind::Object(Rules::KEYS),
        /// Events of one entity, taken together.
        correlation: Correlation = Kind::Object(Correlation::KEYS),
        /// What becomes of alerts.
        alerting: Alerting = Kind::Object(Alerting::KEYS),
        /// What is known between runs.
        state: State = Kind::Object(State::KEYS),
        /// The journal of all that came in.
        journal: Journal = Kind::Object(Journal::KEYS),
        /// How the journal is cut into epochs, the steps of the engine.
        epoch: Epoch = Kind::Object(Epoch::KEYS),
    }
}

section! {
    /// Where logs come from.
    pub struct Receivers {
        /// The address that receivers listen on. Only this machine reaches the default; `0.0.0.0`
        /// is every address of it.
        bind_addr: IpAddr = Kind::Address,
        /// Whether syslog is received at all.
        syslog_enabled: bool = Kind::Switch,
        /// The UDP port for syslog. Ports below 1024, such as the usual 514, need privileges.
        syslog_udp_port: u16 = Kind::PORT,
        /// Whether syslog is received over TCP too.
        syslog_tcp_enabled: bool = Kind::Switch,
        /// The TCP port for syslog; octet counting and line framing are told apart.
        syslog_tcp_port: u16 = Kind::PORT,
        /// Files to follow, as paths or patterns such as `/var/log/*.log`.
        file_paths: Vec<PathBuf> = Kind::List(&Kind::Path),
        /// Where a file that was never seen before is read from. Rotated files and files that
        /// appear later, also while the program is not running, are read from their start.
        file_read_from: ReadFrom = Kind::Choice(&["end", "start"]),
        /// How often files are looked at where the system tells of no change, in milliseconds.
        file_poll_ms: u64 = Kind::Integer(10, 3_600_000),
        /// Whether standard input is read, one record to a line.
        stdin_enabled: bool = Kind::Switch,
        /// How many records may wait for the journal. When they do, TCP and files stop being read,
        /// and UDP drops and counts.
        queue_maxsize: usize = Kind::Integer(1, 1_000_000),
        /// The receive buffer asked of the kernel for UDP, in bytes. It grants at most
        /// `net.core.rmem_max`, unless the program is privileged.
        udp_buffer_bytes: usize = Kind::Integer(4_096, 1 << 30),
        /// How many TCP connections may be open.
        tcp_max_connections: usize = Kind::Integer(1, 65_536),
        /// How many of them from one address.
        tcp_max_connections_per_peer: usize = Kind::Integer(1, 65_536),
        /// When a connection that sends nothing is closed, in seconds.
        tcp_idle_timeout_s: u64 = Kind::Integer(1, 86_400),
        /// When a connection that has begun a record and does not end it is closed, in seconds.
        tcp_frame_timeout_s: u64 = Kind::Integer(1, 86_400),
        /// How long a syslog message may be, in bytes. A longer one is cut and marked.
        max_message_bytes: usize = Kind::Integer(480, 1 << 20),
        /// How long a line of a file or of standard input may be, in bytes. A longer one is cut
        /// and marked.
        max_line_bytes: usize = Kind::Integer(480, 1 << 20),
    }
}

section! {
    /// How records become events.
    pub struct Parse {
        /// The zone of times that name none: `UTC`, an offset such as `+02:00`, or a name such as
        /// `Europe/Berlin`, with its summer time. Of the hour that comes twice in autumn, the one that is
        /// nearer to the receipt is meant.
        timezone: String = Kind::Zone,
        /// How far past its receipt a record may claim to be, in seconds. One that claims more is
        /// marked and takes the time of its receipt.
        max_future_s: u64 = Kind::Integer(0, 31_536_000),
        /// How many fields an event may have. Those after are left out and the event is marked.
        max_fields: usize = Kind::Integer(1, 4_096),
    }
}

section! {
    /// Which entities are taken from events.
    pub struct Entities {
        /// How many entities one event may have.
        max_per_event: usize = Kind::Integer(1, 1_000),
    }
}

section! {
    /// How messages are grouped into templates.
    pub struct Templates {
        /// How many levels the tree of templates has.
        depth: usize = Kind::Integer(3, 16),
        /// Which share of its words a message must have in common with a template to belong to it.
        similarity: f64 = Kind::Number(0.1, 1.0),
        /// From how many different words on at one place of a template that place is a parameter.
        late_wildcard: usize = Kind::Integer(2, 64),
        /// How many children a node of the tree may have; words beyond share one.
        max_children: usize = Kind::Integer(2, 10_000),
        /// How many templates are kept for one source; the least recently used is forgotten.
        max_templates: usize = Kind::Integer(10, 1_000_000),
    }
}

section! {
    /// When event time is taken to have passed.
    pub struct Watermark {
        /// How long an event may lag behind the newest of the active sources and still be counted
        /// in windows, in seconds. Raising it delays what waits for a window by as much.
        tolerance_s: u64 = Kind::Integer(0, 86_400),
        /// After how long without an event a source holds up the others no more, in seconds.
        idle_timeout_s: u64 = Kind::Integer(1, 86_400),
    }
}

section! {
    /// What counts as unusual.
    pub struct Detection {
        /// How many false alerts are acceptable in a million ordinary events, all detectors taken
        /// together. The one number to turn when there are too many alerts, or too few.
        budget_per_million: f64 = Kind::Between(0.0, 100_000.0),
        /// How the budget is divided among the detectors. Only proportions matter.
        budget_weights: BudgetWeights = Kind::Object(BudgetWeights::KEYS),
        /// How improbable something must be by the detector's own model, whatever the budget says.
        floor_p: f64 = Kind::Between(0.0, 1.0),
        /// How long a group (what one detector says of one key) gathers evidence, in seconds of
        /// event time.
        group_window_s: u64 = Kind::Integer(1, 604_800),
        /// How many events a group holds at most; with so many it is over, whatever its time. At
        /// the start of a stream it is a fortieth of all there were.
        group_events_max: u32 = Kind::Integer(1, 1_000_000),
        /// How many closed groups a detector must have seen before it may alert.
        min_groups: usize = Kind::Integer(10, 100_000),
        /// How many events a source must have had before its events are scored.
        min_events_for_scoring: u64 = Kind::Integer(0, 100_000_000),
        /// How many events fill a window of the half-space trees (Tan et al., IJCAI 2011).
        hst_window_size: usize = Kind::Integer(10, 1_000_000),
        /// How many half-space trees there are.
        hst_n_trees: usize = Kind::Integer(1, 1_000),
        /// The tail beyond what was seen (biDSPOT: Siffer et al., KDD 2017).
        dspot: Dspot = Kind::Object(Dspot::KEYS),
        /// The weight of the half-space trees in an event's score. Only proportions matter.
        weights_content: f64 = Kind::Number(0.0, 1_000.0),
        /// The weight of the sequence model in an event's score.
        weights_sequence: f64 = Kind::Number(0.0, 1_000.0),
        /// The weight of rarity in an event's score.
        weights_rarity: f64 = Kind::Number(0.0, 1_000.0),
        /// How many senders of syslog are told apart; further ones count as one source.
        max_sources: usize = Kind::Integer(1, 100_000),
        /// Which ATT&CK tactics and techniques an alert without a rule is given: those of the first
        /// pattern found in its template, upper and lower case alike. An empty list means the one
        /// that is built in.
        attack_mappings: Vec<AttackMapping> = Kind::List(&Kind::Object(AttackMapping::KEYS)),
    }
}

section! {
    /// How the alert budget is divided among the detectors.
    pub struct BudgetWeights {
        /// The share of the half-space trees.
        content: f64 = Kind::Number(0.0, 1_000.0),
        /// The share of the sequence model.
        sequence: f64 = Kind::Number(0.0, 1_000.0),
        /// The share of rarity.
        rarity: f64 = Kind::Number(0.0, 1_000.0),
    }
}

section! {
    /// The tail beyond what was seen.
    pub struct Dspot {
        /// How many values of the half-space trees the tail is first computed from.
        calibration_window: usize = Kind::Integer(200, 1_000_000),
        /// How probable it may be that an ordinary value exceeds the threshold. It scales the
        /// budget: at 1e-4 that is as given, at 1e-5 a tenth of it.
        risk_level: f64 = Kind::Between(0.0, 0.5),
        /// From which percentile on values belong to the tail.
        initial_percentile: f64 = Kind::Number(50.0, 99.0),
    }
}

section! {
    /// The ATT&CK tags for a pattern.
    pub struct AttackMapping {
        /// A regular expression.
        pattern: String = Kind::Required(&Kind::Pattern(500)),
        /// Tactics, as in `credential-access`.
        tactics: Vec<String> = Kind::List(&Kind::Text(64)),
        /// Techniques, as in `T1110.001`.
        techniques: Vec<String> = Kind::List(&Kind::Text(64)),
    }
}

section! {
    /// Sigma rules.
    pub struct Rules {
        /// Folders with rules, searched with the folders in them; archives (zip, tar, tar.gz,
        /// tar.xz, tar.zst) and single files, too. What is named must be there.
        dirs: Vec<PathBuf> = Kind::List(&Kind::Path),
        /// Whether the rules that come with the program are used.
        builtin: bool = Kind::Switch,
        /// Files and folders with pipelines: which records are of which log source, and what their
        /// fields are called in Sigma. `configs/pipelines` has examples.
        pipelines: Vec<PathBuf> = Kind::List(&Kind::Path),
        /// What placeholders of rules (`%name%` with the modifier `expand`) stand for: each a list
        /// of texts by its name, as in `{known_cdcs: [dc01, 10.0.0.5]}`. `*` and `?` are wildcards.
        placeholders: BTreeMap<String, Vec<String>> = Kind::Words(&Kind::List(&Kind::Text(4_096))),
        /// How often the folders are looked at for changed rules, in seconds; 0 for never. A SIGHUP
        /// looks at once.
        reload_s: u64 = Kind::Integer(0, 86_400),
    }
}

section! {
    /// Events of one entity, taken together.
    pub struct Correlation {
        /// How long an entity's window of events is, in seconds of event time.
        window_duration_seconds: u64 = Kind::Integer(1, 604_800),
        /// How many events a window may hold; the oldest are let go.
        max_events_per_entity: usize = Kind::Integer(1, 1_000_000),
        /// Folders with correlation rules, searched with the folders in them.
        rule_dirs: Vec<PathBuf> = Kind::List(&Kind::Path),
    }
}

section! {
    /// What becomes of alerts.
    pub struct Alerting {
        /// How long after the first alert of an incident later ones are only counted, in seconds of
        /// event time.
        dedup_window_seconds: u64 = Kind::Integer(0, 2_592_000),
        /// Other lengths for some rules, by the rule's name or title, or the detector's name.
        dedup_window_overrides: BTreeMap<String, u64> = Kind::Map(&Kind::Integer(0, 2_592_000)),
        /// The file that alerts are appended to, one JSON object on a line; empty for none.
        file_path: Option<PathBuf> = Kind::MAYBE_PATH,
        /// When a new alert file is begun.
        file_rotation: Rotation = Kind::Choice(&["size", "time"]),
        /// How long an alert file may be, in bytes.
        file_max_bytes: u64 = Kind::Integer(4_096, 1 << 40),
        /// How long an alert file is written to, in seconds.
        file_interval_seconds: u64 = Kind::Integer(1, 31_536_000),
        /// How many old alert files are kept.
        file_backup_count: usize = Kind::Integer(0, 10_000),
        /// The least severity (0 to 6) of alerts in the file.
        file_min_severity: u8 = Kind::SEVERITY,
        /// Whether alerts are printed.
        console_enabled: bool = Kind::Switch,
        /// Where they are printed.
        console_stream: ConsoleStream = Kind::Choice(&["stdout", "stderr"]),
        /// How they are printed.
        console_format: ConsoleFormat = Kind::Choice(&["human", "json"]),
        /// The least severity (0 to 6) of alerts that are printed.
        console_min_severity: u8 = Kind::SEVERITY,
    }
}

section! {
    /// What is known between runs.
    pub struct State {
        /// The folder for state, journal, events and alerts. One running program has it for itself.
        dir: PathBuf = Kind::Path,
        /// How much state is held in memory, in MiB. What has not been touched for longest is on
        /// disk only. The answers do not depend on it. Where millions of entities come and go at
        /// once, more is faster.
        memory_mb: usize = Kind::Integer(16, 1 << 20),
        /// How often state is written down, in seconds. A restart works off the journal from there.
        checkpoint_interval_s: u64 = Kind::Integer(1, 3_600),
    }
}

section! {
    /// The journal of all that came in.
    pub struct Journal {
        /// When records are made safe against a power cut: `always`, `interval` or `never`.
        fsync: Fsync = Kind::Choice(&["always", "interval", "never"]),
        /// How long records may wait for that, in milliseconds.
        fsync_interval_ms: u64 = Kind::Integer(1, 60_000),
        /// How long a file of the journal may be, in MiB.
        segment_mb: u64 = Kind::Integer(1, 4_096),
        /// How long records are kept, in hours. Never less than the last checkpoint needs.
        retention_hours: u64 = Kind::Integer(1, 87_600),
        /// How much is kept, in MiB.
        retention_mb: u64 = Kind::Integer(16, 1 << 30),
    }
}

section! {
    /// How the journal is cut into epochs.
    pub struct Epoch {
        /// How long an epoch may stay open, in milliseconds.
        interval_ms: u64 = Kind::Integer(1, 60_000),
        /// How many records close an epoch at the start of a journal.
        min_records: u64 = Kind::Integer(1, 1_000_000),
        /// How many close it later: an eighth of all so far, and at most this many.
        max_records: u64 = Kind::Integer(1, 1_000_000),
    }
}
