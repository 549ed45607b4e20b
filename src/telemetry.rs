//! The program's own log: to standard error, as text or JSON, by level and part, repeats held back.
//!
//! One bad line in a million must not make a million warnings: what the same place in the code says
//! more than [`REPEATS_MAX`] times within [`REPEAT_WINDOW`] is counted and told in one line later.
//! Values come from outside, so text is [escaped](crate::cli::escape).

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use operators::types::EventTime;
use serde_json::{Map, Value};
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::cli::escape::Escaped;

/// How often one place in the code may speak within a window.
pub const REPEATS_MAX: u64 = 10;
/// How long that window is.
pub const REPEAT_WINDOW: Duration = Duration::from_secs(10);

/// The crates whose parts are named without them: `receivers`, not `seerflow_dataflow::receivers`.
const OWN_CRATES: [&str; 3] = ["seerflow_dataflow", "operators", "dataflows"];

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One line for people.
    Text,
    /// One JSON object on a line.
    Json,
}

/// Which levels are logged: one for all, and others for parts of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels {
    all: LevelFilter,
    /// By part; the longest that fits counts.
    parts: Vec<(String, LevelFilter)>,
}

/// Text that is no log level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a log level; levels are error, warn, info, debug, trace, off")]
pub struct LevelError(String);

impl Levels {
    /// Reads `info`, or `info,receivers=debug,journal=trace`.
    ///
    /// # Errors
    /// If a level is none.
    pub fn parse(text: &str) -> Result<Self, LevelError> {
        let mut levels = Levels { all: LevelFilter::INFO, parts: Vec::new() };
        for item in text.split(',').map(str::trim) {
            match item.split_once('=') {
                Some((part, level)) if is_part(part) => {
                    levels.parts.push((part.to_owned(), level_of(level)?));
                }
                Some(_) => return Err(LevelError(item.to_owned())),
                None => levels.all = level_of(item)?,
            }
        }
        levels.parts.sort_by_key(|(part, _)| std::cmp::Reverse(part.len()));
        Ok(levels)
    }

    /// The level for a part, given as a module path.
    fn of(&self, target: &str) -> LevelFilter {
        let part = part_of(target);
        let fits = |name: &str| {
            part.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        let own = self.parts.iter().find(|(name, _)| fits(name) || target == name);
        own.map_or(self.all, |(_, level)| *level)
    }

    fn most(&self) -> LevelFilter {
        self.parts.iter().map(|(_, level)| *level).fold(self.all, std::cmp::max)
    }
}

impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.all)?;
        self.parts.iter().try_for_each(|(part, level)| write!(f, ",{part}={level}"))
    }
}

fn is_part(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

fn level_of(text: &str) -> Result<LevelFilter, LevelError> {
    Ok(match text.trim().to_ascii_lowercase().as_str() {
        "off" => LevelFilter::OFF,
        "error" | "critical" => LevelFilter::ERROR,
        "warn" | "warning" => LevelFilter::WARN,
        "info" => LevelFilter::INFO,
        "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        _ => return Err(LevelError(text.to_owned())),
    })
}

/// A module path without the name of one of our crates.
fn part_of(target: &str) -> &str {
    match target.split_once("::") {
        Some((krate, part)) if OWN_CRATES.contains(&krate) => part,
        _ => target,
    }
}

/// Where log lines go.
pub type Sink = Box<dyn Write + Send>;

/// Starts the log of this process. Keep what is returned until the end: dropping it tells how many
/// messages were held back.
///
/// # Panics
/// If there is a log already.
#[must_use]
pub fn start(levels: Levels, format: Format, colours: bool) -> Guard {
    let log = Log::new(levels, format, colours, Box::new(io::stderr()), Instant::now);
    let guard = log.guard();
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(log))
        .expect("the log is started once, by `main`");
    guard
}

/// Tells what is still held back, when it is dropped.
#[derive(Debug)]
pub struct Guard(Arc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { sink, repeats } = &mut *state;
        self.0.tell_suppressed(sink, repeats, None);
    }
}

/// The layer that writes.
struct Log {
    shared: Arc<Shared>,
    levels: Levels,
    clock: fn() -> Instant,
}

struct Shared {
    format: Format,
    colours: bool,
    state: Mutex<State>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("format", &self.format).finish_non_exhaustive()
    }
}

struct State {
    sink: Sink,
    /// By place in the code, of which there are finitely many.
    repeats: HashMap<Identifier, Repeats>,
}

struct Repeats {
    since: Instant,
    said: u64,
    suppressed: u64,
    level: Level,
    target: &'static str,
    /// The last message that was held back.
    last: String,
}

impl Log {
    fn new(
        levels: Levels,
        format: Format,
        colours: bool,
        sink: Sink,
        clock: fn() -> Instant,
    ) -> Self {
        let state = Mutex::new(State { sink, repeats: HashMap::new() });
        Log { shared: Arc::new(Shared { format, colours, state }), levels, clock }
    }

    fn guard(&self) -> Guard {
        Guard(Arc::clone(&self.shared))
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() <= self.levels.of(metadata.target())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.levels.most())
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.shared.tell(event, (self.clock)());
    }
}

impl Shared {
    fn tell(&self, event: &Event<'_>, now: Instant) {
        let metadata = event.metadata();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { sink, repeats } = &mut *state;
        self.tell_suppressed(sink, repeats, Some(now));
        let repeat = repeats.entry(metadata.callsite()).or_insert_with(|| Repeats {
            since: now,
            said: 0,
            suppressed: 0,
            level: *metadata.level(),
            target: metadata.target(),
            last: String::new(),
        });
        if now.duration_since(repeat.since) >= REPEAT_WINDOW {
            repeat.since = now;
            repeat.said = 0;
        }
        if repeat.said >= REPEATS_MAX {
            repeat.suppressed += 1;
            if repeat.last.is_empty() {
                let mut fields = Fields::default();
                event.record(&mut fields);
                repeat.last = fields.message;
            }
            return;
        }
        repeat.said += 1;
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.write(sink, *metadata.level(), metadata.target(), &fields);
    }

    /// Tells what is held back: of windows that have ended by `now`, or of all.
    fn tell_suppressed(
        &self,
        sink: &mut Sink,
        repeats: &mut HashMap<Identifier, Repeats>,
        now: Option<Instant>,
    ) {
        let ended = |repeat: &Repeats| {
            now.is_none_or(|now| now.duration_since(repeat.since) >= REPEAT_WINDOW)
        };
        let mut waiting: Vec<_> =
            repeats.values_mut().filter(|repeat| repeat.suppressed > 0 && ended(repeat)).collect();
        waiting.sort_by_key(|repeat| repeat.since);
        for repeat in waiting {
            self.tell_repeats(sink, repeat);
        }
    }

    fn tell_repeats(&self, sink: &mut Sink, repeat: &mut Repeats) {
        let message = format!("suppressed {} like this: {}", repeat.suppressed, repeat.last);
        let fields = Fields { message, others: Vec::new() };
        self.write(sink, repeat.level, repeat.target, &fields);
        repeat.suppressed = 0;
        repeat.last.clear();
    }

    fn write(&self, sink: &mut Sink, level: Level, target: &str, fields: &Fields) {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = EventTime(since_1970.as_millis() as i64 * 1_000_000);
        let line = match self.format {
            Format::Text => text_line(time, level, part_of(target), fields, self.colours),
            Format::Json => json_line(time, level, part_of(target), fields),
        };
        // There is nowhere left to complain to.
        let _ = sink.write_all(line.as_bytes());
    }
}

fn text_line(time: EventTime, level: Level, part: &str, fields: &Fields, colours: bool) -> String {
    let colour = match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        _ => "\x1b[2m",
    };
    let (on, off) = if colours { (colour, "\x1b[0m") } else { ("", "") };
    let mut line = format!("{time} {on}{level:>5}{off} {part}: {}", Escaped(&fields.message));
    for (name, value) in &fields.others {
        _ = match value {
            Value::String(text) if is_word(text) => write!(line, " {name}={}", Escaped(text)),
            Value::String(text) => {
                let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
                write!(line, " {name}=\"{}\"", Escaped(&quoted))
            }
            other => write!(line, " {name}={other}"),
        };
    }
    line.push('\n');
    line
}

/// Whether a value can stand without quotes and not be taken for two.
fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || "=\"\\".contains(c))
}

fn json_line(time: EventTime, level: Level, part: &str, fields: &Fields) -> String {
    let mut object = Map::new();
    object.insert("time".into(), time.to_string().into());
    object.insert("level".into(), level.as_str().to_ascii_lowercase().into());
    object.insert("part".into(), part.into());
    object.insert("message".into(), fields.message.clone().into());
    for (name, value) in &fields.others {
        object.insert((*name).into(), value.clone());
    }
    // JSON escapes C0 itself; the rest is escaped here, for logs end up on terminals.
    let line = Value::Object(object).to_string();
    let mut safe = String::with_capacity(line.len() + 1);
    for c in line.chars() {
        match c {
            c if crate::cli::escape::is_unsafe(c) => {
                let mut units = [0; 2];
                c.encode_utf16(&mut units)
                    .iter()
                    .for_each(|unit| _ = write!(safe, "\\u{unit:04x}"));
            }
            c => safe.push(c),
        }
    }
    safe.push('\n');
    safe
}

/// The message and the fields of an event.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.others.push((field.name(), value));
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            _ => self.put(field, format!("{value:?}").into()),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message = value.to_owned(),
            _ => self.put(field, value.into()),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            _ = write!(text, ": {error}");
            cause = error.source();
        }
        self.put(field, text.into());
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::LazyLock;

    use super::*;

    #[derive(Clone, Default)]
    struct Shelf(Arc<Mutex<Vec<u8>>>);

    impl Write for Shelf {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    thread_local! {
        /// How long the test has "waited".
        static WAITED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    fn later() -> Instant {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        *START + WAITED.get()
    }

    fn wait(time: Duration) {
        WAITED.set(WAITED.get() + time);
    }

    /// What is logged while `speak` runs, without the time at the start of each line.
    fn logged(levels: &str, format: Format, speak: impl FnOnce()) -> Vec<String> {
        let shelf = Shelf::default();
        let levels = Levels::parse(levels).unwrap();
        let log = Log::new(levels, format, false, Box::new(shelf.clone()), later);
        let guard = log.guard();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(log), speak);
        drop(guard);
        let text = String::from_utf8(shelf.0.lock().unwrap().clone()).unwrap();
        let without_time = |line: &str| match format {
            Format::Text => line.split_once(' ').unwrap().1.to_owned(),
            Format::Json => line.to_owned(),
        };
        text.lines().map(without_time).collect()
    }

    #[test]
    fn a_message_is_a_line_and_its_values_are_escaped() {
        let lines = logged("info", Format::Text, || {
            tracing::warn!(receiver = "syslog", peer = "a b\"\u{1b}[2J", "odd\nframe");
            tracing::debug!("not shown");
        });
        assert_eq!(
            lines,
            [" WARN telemetry::tests: odd\\nframe receiver=syslog peer=\"a b\\\"\\x1b[2J\""]
        );
    }

    #[test]
    fn json_holds_the_same_and_nothing_a_terminal_obeys() {
        let lines = logged("info", Format::Json, || {
            tracing::error!(peer = "\u{202e}x\u{1b}", left = 1.5, "gone");
        });
        let object: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(object["level"], "error");
        assert_eq!(object["peer"], "\u{202e}x\u{1b}");
        assert_eq!(object["left"], 1.5);
        assert!(lines[0].is_ascii(), "{}", lines[0]);
    }

    #[test]
    fn each_part_has_its_level() {
        let levels = Levels::parse("warn,telemetry=debug,telemetry::other=off").unwrap();
        assert_eq!(levels.of("seerflow_dataflow::telemetry::tests"), LevelFilter::DEBUG);
        assert_eq!(levels.of("seerflow_dataflow::telemetry::other"), LevelFilter::OFF);
        assert_eq!(levels.of("seerflow_dataflow::telemetry_2"), LevelFilter::WARN);
        assert_eq!(levels.of("tokio::net"), LevelFilter::WARN);
        assert_eq!(levels.most(), LevelFilter::DEBUG);
        assert_eq!(Levels::parse("INFO").unwrap().to_string(), "info");
        for wrong in ["", "loud", "info,=debug", "a b=info", "journal=loud", "info,"] {
            assert!(Levels::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_one_place_says_again_and_again_is_counted_and_told_once() {
        let lines = logged("info", Format::Text, || {
            for n in 0..1_000 {
                tracing::warn!(n, "bad line");
            }
            tracing::warn!("another place");
        });
        assert_eq!(lines.len(), REPEATS_MAX as usize + 2, "{lines:?}");
        assert_eq!(lines[10], " WARN telemetry::tests: another place");
        assert_eq!(lines[11], " WARN telemetry::tests: suppressed 990 like this: bad line");
    }
    #[test]
    fn what_was_held_back_is_told_once_its_window_has_ended_whoever_speaks_next() {
        let lines = logged("info", Format::Text, || {
            let complain = |n: u64| tracing::warn!(n, "bad line");
            (0..50).for_each(complain);
            wait(REPEAT_WINDOW / 2);
            tracing::info!("too early to tell");
            wait(REPEAT_WINDOW / 2);
            tracing::info!("late enough");
            complain(51);
        });
        assert_eq!(
            lines[10..],
            [
                " INFO telemetry::tests: too early to tell",
                " WARN telemetry::tests: suppressed 40 like this: bad line",
                " INFO telemetry::tests: late enough",
                " WARN telemetry::tests: bad line n=51",
            ]
        );
    }
}
