//! Fields whose names say something about the whole record: its time, host, program, message.

use super::out::{Draft, Out};
use super::time;
use crate::types::{EventTime, Format, Severity, Text, Value};

/// What a field of that name says. Of several, the one with the least rank is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    Nothing,
    Time(u8),
    Severity(u8, Scale),
    Facility,
    Host(u8),
    App(u8),
    Procid(u8),
    Message(u8),
    EventId(u8),
    Channel(u8),
    Provider(u8),
    /// What the name says, and that the record is journald's, since nobody else uses it.
    Journald(Entry),
}

/// What a field of journald's says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Time,
    Host,
    /// The program by the name that it gives itself.
    Identifier,
    /// The program by the name of its process.
    Command,
}

impl Entry {
    fn says(self) -> Says {
        match self {
            Entry::Time => Says::Time(6),
            Entry::Host => Says::Host(1),
            Entry::Identifier => Says::App(0),
            Entry::Command => Says::App(7),
        }
    }
}

/// How a severity is counted, where it is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// From 10 on as bunyan and pino count, below as syslog does.
    Any,
    /// 1 critical … 5 verbose.
    Windows,
    /// 0 emergency … 7 debug.
    Syslog,
    /// 1 trace … 24 fatal.
    OpenTelemetry,
    /// 10 debug … 50 critical.
    Python,
    /// 1 debug … 5 critical.
    NxLog,
}

/// What a name says.
pub(super) fn says(name: &str) -> Says {
    let name = name.strip_prefix("Event.").unwrap_or(name);
    match name {
        "System.TimeCreated.#attributes.SystemTime"
        | "System.TimeCreated.@SystemTime"
        | "System.TimeCreated.SystemTime"
        | "System.TimeCreated"
        | "winlog.time_created" => Says::Time(0),
        "@timestamp" => Says::Time(1),
        "timestamp" | "Timestamp" | "TimeCreated" => Says::Time(2),
        "time" | "eventTime" | "EventTime" | "eventtime" => Says::Time(3),
        "ts" | "datetime" | "asctime" | "TimeGenerated" => Says::Time(4),
        "published" | "createdDateTime" | "timeUnixNano" | "time_unix_nano" => Says::Time(5),
        "requestReceivedTimestamp" | "_SOURCE_REALTIME_TIMESTAMP" => Says::Time(5),
        "CreationTime" | "eventTimestamp" => Says::Time(5),
        "t" | "event.created" | "@t" => Says::Time(6),
        "__REALTIME_TIMESTAMP" => Says::Journald(Entry::Time),

        "System.Level" | "Level" => Says::Severity(0, Scale::Windows),
        "level" | "log.level" | "levelname" | "loglevel" | "log_level" | "lvl" => {
            Says::Severity(1, Scale::Any)
        }
        "severity_text" | "severityText" | "SeverityText" | "@l" | "LevelDisplayName" => {
            Says::Severity(1, Scale::Any)
        }
        "severity" | "Severity" => Says::Severity(2, Scale::Any),
        "SeverityValue" => Says::Severity(3, Scale::NxLog),
        "severity_number" | "severityNumber" | "SeverityNumber" => {
            Says::Severity(3, Scale::OpenTelemetry)
        }
        "levelno" => Says::Severity(3, Scale::Python),
        "PRIORITY" | "log.syslog.severity.code" => Says::Severity(3, Scale::Syslog),
        "SYSLOG_FACILITY" | "log.syslog.facility.code" => Says::Facility,

        "System.Computer" | "winlog.computer_name" | "Computer" => Says::Host(0),
        "computer_name" | "host.name" | "MachineName" => Says::Host(1),
        "_HOSTNAME" => Says::Journald(Entry::Host),
        "hostname" | "Hostname" | "host.hostname" | "dvchost" => Says::Host(2),
        "host" | "devname" | "kubernetes.host" => Says::Host(3),
        "agent.hostname" => Says::Host(4),

        "program" => Says::App(0),
        "SYSLOG_IDENTIFIER" => Says::Journald(Entry::Identifier),
        "_COMM" => Says::Journald(Entry::Command),
        "app" | "appname" | "app_name" | "application" => Says::App(1),
        "service.name" | "service" => Says::App(2),
        "process.name" => Says::App(3),
        "kubernetes.container_name" | "kubernetes.container.name" | "container_name" => {
            Says::App(4)
        }
        "logger" | "logger_name" | "log.logger" => Says::App(5),
        "component" => Says::App(6),

        "System.Execution.#attributes.ProcessID" | "winlog.process.pid" | "SYSLOG_PID" => {
            Says::Procid(0)
        }
        "pid" | "process.pid" | "_PID" => Says::Procid(1),

        "message" => Says::Message(0),
        "msg" | "MESSAGE" | "Message" | "@m" => Says::Message(1),
        "short_message" | "@message" => Says::Message(2),
        "log" | "textPayload" | "jsonPayload.message" => Says::Message(3),
        "body" | "Body" | "body.stringValue" => Says::Message(4),
        "event.original" | "@mt" => Says::Message(5),

        "System.EventID" | "System.EventID.#text" => Says::EventId(0),
        "winlog.event_id" => Says::EventId(1),
        "EventID" => Says::EventId(2),
        "EventId" | "event_id" => Says::EventId(3),
        "event.code" => Says::EventId(4),
        "Id" => Says::EventId(5),

        "System.Channel" | "winlog.channel" => Says::Channel(0),
        "Channel" => Says::Channel(1),
        "LogName" | "log_name" => Says::Channel(2),

        "System.Provider.#attributes.Name"
        | "System.Provider.@Name"
        | "System.Provider.Name"
        | "winlog.provider_name" => Says::Provider(0),
        "SourceName" | "Provider" | "ProviderName" | "Provider_Name" | "source_name" => {
            Says::Provider(1)
        }
        "event.provider" => Says::Provider(2),
        _ => Says::Nothing,
    }
}

/// What a record's fields say about it.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) time: Ranked<EventTime>,
    pub(super) severity: Ranked<Severity>,
    pub(super) facility: Ranked<u8>,
    pub(super) host: Ranked<Text>,
    pub(super) app: Ranked<Text>,
    pub(super) procid: Ranked<Text>,
    pub(super) message: Ranked<Text>,
    pub(super) event_id: Ranked<Text>,
    pub(super) channel: Ranked<Text>,
    pub(super) provider: Ranked<Text>,
    /// Whether a field is there that only journald writes.
    pub(super) is_journald: bool,
}

/// A value, and how much it is believed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ranked<T>(Option<(u8, T)>);

impl<T> Default for Ranked<T> {
    fn default() -> Self {
        Ranked(None)
    }
}

impl<T: Copy> Ranked<T> {
    pub(super) fn get(&self) -> Option<T> {
        self.0.map(|(_, value)| value)
    }

    fn wants(&self, rank: u8) -> bool {
        self.0.is_none_or(|(known, _)| rank < known)
    }

    fn put(&mut self, rank: u8, value: Option<T>) {
        if let Some(value) = value {
            self.0 = Some((rank, value));
        }
    }
}

impl Known {
    /// Takes notice of a field. `raw` is its value as it is written.
    pub(super) fn note(&mut self, out: &Out, says: Says, value: Value, raw: Text) {
        let says = match says {
            Says::Journald(entry) => {
                self.is_journald = true;
                entry.says()
            }
            says => says,
        };
        let (slot, rank) = match says {
            Says::Nothing | Says::Journald(_) => return,
            Says::Time(rank) => {
                if self.time.wants(rank) {
                    self.time.put(rank, time_of(out, value));
                }
                return;
            }
            Says::Severity(rank, scale) => {
                if self.severity.wants(rank) {
                    self.severity.put(rank, severity_of(out, value, scale));
                }
                return;
            }
            Says::Facility => return self.facility.put(0, facility_of(out, value)),
            Says::Host(rank) => (&mut self.host, rank),
            Says::App(rank) => (&mut self.app, rank),
            Says::Procid(rank) => (&mut self.procid, rank),
            Says::Message(rank) => (&mut self.message, rank),
            Says::EventId(rank) => (&mut self.event_id, rank),
            Says::Channel(rank) => (&mut self.channel, rank),
            Says::Provider(rank) => (&mut self.provider, rank),
        };
        let number_ok = matches!(says, Says::Procid(_) | Says::EventId(_));
        let text = match value {
            Value::Text(text) => Some(text),
            Value::Int(_) if number_ok => Some(raw),
            _ => None,
        };
        if slot.wants(rank) {
            slot.put(rank, text.filter(|text| !text.is_empty()));
        }
    }

    /// Fills what the header left open. The body's own time and severity count for more than
    /// those of the header, which may be of whoever passed it on; its host and program for less,
    /// because a field of that name often means something else.
    pub(super) fn apply(&self, format: Format, draft: &mut Draft<'_>) {
        draft.format = format;
        draft.time = self.time.get().or(draft.time);
        draft.severity = self.severity.get().or(draft.severity);
        draft.facility = draft.facility.or(self.facility.get());
        for (known, slot) in [
            (self.host.get(), &mut draft.host),
            (self.app.get(), &mut draft.app),
            (self.procid.get(), &mut draft.procid),
        ] {
            if slot.is_empty() {
                *slot = known.unwrap_or(Text::NONE);
            }
        }
        draft.message = self.message.get().or(draft.message);
    }

    /// Makes them the header of what they stand around, in place of that of whoever passed it on.
    pub(super) fn head(&self, draft: &mut Draft<'_>) {
        draft.time = self.time.get().or(draft.time);
        draft.severity = self.severity.get().or(draft.severity);
        draft.facility = self.facility.get().or(draft.facility);
        draft.host = self.host.get().unwrap_or(draft.host);
        draft.app = self.app.get().unwrap_or(draft.app);
        draft.procid = self.procid.get().unwrap_or(draft.procid);
    }
}

fn time_of(out: &Out, value: Value) -> Option<EventTime> {
    match value {
        Value::Text(text) => time::any(out.text(text), out.defaults),
        Value::Int(number) => time::epoch(number),
        Value::Float(number) => time::epoch_float(number),
        Value::Bool(_) | Value::Null => None,
    }
}

fn severity_of(out: &Out, value: Value, scale: Scale) -> Option<Severity> {
    match value {
        Value::Int(number) => counted(number, scale),
        Value::Text(text) => {
            let word = out.text(text).trim_ascii();
            level(word).or_else(|| counted(word.parse().ok()?, scale))
        }
        _ => None,
    }
}

/// The facility of syslog, 0–23.
fn facility_of(out: &Out, value: Value) -> Option<u8> {
    let number = match value {
        Value::Int(number) => number,
        Value::Text(text) => out.text(text).trim_ascii().parse().ok()?,
        _ => return None,
    };
    u8::try_from(number).ok().filter(|facility| *facility < 24)
}

fn counted(number: i64, scale: Scale) -> Option<Severity> {
    let severity = match (scale, number) {
        (Scale::Any | Scale::Syslog, 0..=7) => Severity::from_syslog(number as u8),
        (Scale::Any, 10..=29) => Severity::Trace,
        (Scale::Any, 30..=39) => Severity::Info,
        (Scale::Any, 40..=49) => Severity::Warning,
        (Scale::Any, 50..=59) => Severity::Error,
        (Scale::Any, 60) => Severity::Fatal,
        (Scale::Windows, 1) => Severity::Critical,
        (Scale::Windows, 2) => Severity::Error,
        (Scale::Windows, 3) => Severity::Warning,
        (Scale::Windows, 0 | 4) => Severity::Info,
        (Scale::Windows, 5) => Severity::Trace,
        (Scale::OpenTelemetry, 1..=8) => Severity::Trace,
        (Scale::OpenTelemetry, 9..=12) => Severity::Info,
        (Scale::OpenTelemetry, 13..=16) => Severity::Warning,
        (Scale::OpenTelemetry, 17..=20) => Severity::Error,
        (Scale::OpenTelemetry, 21..=24) => Severity::Fatal,
        (Scale::Python, 1..=19) => Severity::Trace,
        (Scale::Python, 20..=29) => Severity::Info,
        (Scale::Python, 30..=39) => Severity::Warning,
        (Scale::Python, 40..=49) => Severity::Error,
        (Scale::Python, 50) => Severity::Critical,
        (Scale::NxLog, 1) => Severity::Trace,
        (Scale::NxLog, 2) => Severity::Info,
        (Scale::NxLog, 3) => Severity::Warning,
        (Scale::NxLog, 4) => Severity::Error,
        (Scale::NxLog, 5) => Severity::Critical,
        _ => return None,
    };
    Some(severity)
}

/// The severity that a word means, in any case: `INFO`, `Warning`, `err` …
pub(super) fn level(word: &str) -> Option<Severity> {
    const WORDS: [(&str, Severity); 30] = [
        ("log", Severity::Info),
        ("err", Severity::Error),
        ("info", Severity::Info),
        ("warn", Severity::Warning),
        ("crit", Severity::Critical),
        ("note", Severity::Info),
        ("fine", Severity::Trace),
        ("trace", Severity::Trace),
        ("debug", Severity::Trace),
        ("error", Severity::Error),
        ("fatal", Severity::Fatal),
        ("alert", Severity::Critical),
        ("emerg", Severity::Fatal),
        ("panic", Severity::Fatal),
        ("finer", Severity::Trace),
        ("notice", Severity::Notice),
        ("severe", Severity::Error),
        ("config", Severity::Info),
        ("finest", Severity::Trace),
        ("system", Severity::Info),
        ("verbose", Severity::Trace),
        ("warning", Severity::Warning),
        ("failure", Severity::Error),
        ("critical", Severity::Critical),
        ("emergency", Severity::Fatal),
        ("audit_failure", Severity::Warning),
        ("information", Severity::Info),
        ("informational", Severity::Info),
        ("success", Severity::Info),
        ("audit_success", Severity::Info),
    ];
    if !(3..=13).contains(&word.len()) {
        return None;
    }
    let is = |(name, _): &&(&str, Severity)| name.eq_ignore_ascii_case(word);
    WORDS.iter().find(is).map(|(_, severity)| *severity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_known_in_any_case_and_nothing_else_is_one() {
        assert_eq!(level("INFO"), Some(Severity::Info));
        assert_eq!(level("Warning"), Some(Severity::Warning));
        assert_eq!(level("emerg"), Some(Severity::Fatal));
        for word in ["", "I", "in", "infos", "information about"] {
            assert_eq!(level(word), None, "{word}");
        }
    }

    #[test]
    fn a_number_is_read_on_the_scale_of_its_field() {
        assert_eq!(counted(4, Scale::Any), Some(Severity::Warning));
        assert_eq!(counted(30, Scale::Any), Some(Severity::Info));
        assert_eq!(counted(60, Scale::Any), Some(Severity::Fatal));
        assert_eq!(counted(30, Scale::Python), Some(Severity::Warning));
        assert_eq!(counted(4, Scale::Windows), Some(Severity::Info));
        assert_eq!(counted(9, Scale::OpenTelemetry), Some(Severity::Info));
        for number in [i64::MIN, -1, 8, 9, 61, 1_000] {
            assert_eq!(counted(number, Scale::Any), None, "{number}");
        }
    }
}
