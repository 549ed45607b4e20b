//! Receivers: bytes in, [`Intake`]s out to the journal. The only part that waits on the world.
//!
//! | receiver | frames | when the journal is behind |
//! |---|---|---|
//! | [`syslog`] TCP | [`framing`] | stops reading: the sender waits |
//! | [`syslog`] UDP | a datagram | a bounded backlog, then drops, counted |
//! | [`mod@file`] | lines | waits; the position is where it was |
//! | [`stdin`] | lines | stops reading |
//!
//! A receiver decides nothing about a record. It never panics at what comes, never holds more
//! than its options allow, and counts in [`Counters`] whatever it does not hand over.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use operators::types::EventTime;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::intake::{Intake, IntakeSender, Position};

pub mod counters;
pub mod dead_letters;
pub mod file;
pub mod framing;
pub mod lines;
pub mod stdin;
pub mod syslog;

pub use counters::{Counters, Snapshot};
pub use dead_letters::DeadLetters;

/// How long a receiver may take to stop; what the journal has not taken by then is given up.
pub const STOP_WITHIN: Duration = Duration::from_secs(2);

/// How long a record waits for others to travel with.
const BATCH_WAIT: Duration = Duration::from_millis(20);

/// Which receivers there are, and what each can be told.
#[derive(Clone, Debug)]
pub enum Options {
    /// Syslog over UDP and TCP.
    Syslog(syslog::Options),
    /// Files that grow and rotate.
    File(file::Options),
    /// Lines on standard input.
    Stdin(stdin::Options),
}

/// What receivers are given to work with.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where intakes go.
    pub sender: IntakeSender,
    /// Where bytes go that are no records.
    pub dead_letters: DeadLetters,
    /// When cancelled, receivers stop taking, hand over what they have, and end.
    pub shutdown: CancellationToken,
}

/// A receiver at work.
#[derive(Debug)]
pub struct Receiver {
    /// Its name: `syslog`, `file`, `stdin`.
    pub name: &'static str,
    /// What it counts.
    pub counters: Arc<Counters>,
    /// Where it listens, with the ports that the system chose.
    pub bound: Vec<(Protocol, SocketAddr)>,
    tasks: Vec<JoinHandle<()>>,
}

/// A transport that a receiver listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Datagrams.
    Udp,
    /// Connections.
    Tcp,
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Protocol::Udp => "udp",
            Protocol::Tcp => "tcp",
        })
    }
}

/// Why the receivers could not start. None of them has then taken anything.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address that cannot be listened on.
    #[error("cannot listen on `{address}` ({protocol}); `{key}` says where")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// The transport.
        protocol: Protocol,
        /// The config key that says so.
        key: &'static str,
        /// What the system answered.
        source: std::io::Error,
    },
    /// A file pattern that cannot be used.
    #[error("cannot use the patterns of `receivers.file_paths`")]
    Pattern(#[from] file::PatternError),
    /// The system gave no thread.
    #[error("cannot start a thread for receiver `{receiver}`")]
    Thread {
        /// Which receiver.
        receiver: &'static str,
        /// What the system answered.
        source: std::io::Error,
    },
}

/// Starts all receivers: either each of them listens, or none.
///
/// `positions` are those that the journal has last seen of each file. Must be called within a
/// tokio runtime.
///
/// # Errors
///
/// The first receiver that cannot start.
pub async fn start(
    options: &[Options],
    positions: &[Position],
    context: &Context,
) -> Result<Receivers, StartError> {
    bind(options)?.start(positions, context).await
}

/// Binds all sockets and looks at all patterns; takes nothing yet.
///
/// From now on senders can connect, and what they send waits in the system's buffers.
///
/// # Errors
///
/// The first receiver that could not start. Sockets that were bound are closed again.
pub fn bind(options: &[Options]) -> Result<Bound, StartError> {
    let prepare = |options: &Options| {
        Ok(match options {
            Options::Syslog(options) => Prepared::Syslog(syslog::bind(options)?),
            Options::File(options) => Prepared::File(file::Plan::new(options)?),
            Options::Stdin(options) => Prepared::Stdin(options.clone()),
        })
    };
    options.iter().map(prepare).collect::<Result<_, _>>().map(Bound)
}

/// Receivers that have their sockets, and do not take anything yet.
#[derive(Debug)]
pub struct Bound(Vec<Prepared>);

impl Bound {
    /// Begins to take what comes, and what has come: either all do, or none. Otherwise as
    /// [`start`].
    ///
    /// # Errors
    ///
    /// The first receiver that cannot start.
    pub async fn start(
        self,
        positions: &[Position],
        context: &Context,
    ) -> Result<Receivers, StartError> {
        // Whatever has begun to listen ends when an error drops this before it is disarmed.
        let scope = context.shutdown.child_token();
        let guard = scope.clone().drop_guard();
        let context = Context { shutdown: scope, ..context.clone() };
        let mut list = Vec::new();
        for prepared in self.0 {
            list.push(match prepared {
                Prepared::Syslog(bound) => bound.start(&context)?,
                Prepared::File(plan) => plan.start(positions, &context).await?,
                Prepared::Stdin(options) => stdin::start(&options, &context)?,
            });
        }
        let shutdown = guard.disarm();
        Ok(Receivers { list, shutdown })
    }
}

#[derive(Debug)]
enum Prepared {
    Syslog(syslog::Bound),
    File(file::Plan),
    Stdin(stdin::Options),
}

/// The receivers at work.
#[derive(Debug)]
pub struct Receivers {
    /// Each of them, in the order of the options.
    pub list: Vec<Receiver>,
    shutdown: CancellationToken,
}

impl Receivers {
    /// Stops them all: within [`STOP_WITHIN`] and a little, as long as someone still takes what
    /// they hand over. Says what each has counted in all.
    pub async fn stop(self) -> Vec<(&'static str, Snapshot)> {
        self.shutdown.cancel();
        let mut counted = Vec::new();
        for receiver in self.list {
            for task in receiver.tasks {
                if let Err(error) = task.await
                    && error.is_panic()
                {
                    tracing::error!(receiver = receiver.name, "receiver panicked");
                }
            }
            counted.push((receiver.name, receiver.counters.snapshot()));
        }
        counted
    }
}

/// The time by the clock of this machine.
pub(crate) fn now() -> EventTime {
    event_time(SystemTime::now())
}

/// A moment of the system's clock; what does not fit saturates.
fn event_time(time: SystemTime) -> EventTime {
    let nanos = |d: Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => EventTime(nanos(since)),
        Err(before) => EventTime(-nanos(before.duration())),
    }
}

/// When to give up what the journal does not take, if it is time to stop now.
fn give_up_at() -> Instant {
    Instant::now() + STOP_WITHIN - Duration::from_millis(200)
}

/// Hands over from a task. Waits while the journal is behind, but not for ever once it is time
/// to stop: until `give_up`, if that is set already. Says whether it was taken.
async fn hand_over(
    context: &Context,
    counters: &Counters,
    intake: Intake,
    give_up: Option<Instant>,
) -> bool {
    let (records, bytes) = (intake.ends.len() as u64, intake.bytes.len() as u64);
    let patience = async {
        context.shutdown.cancelled().await;
        tokio::time::sleep_until(give_up.unwrap_or_else(give_up_at)).await;
    };
    let taken = tokio::select! {
        biased;
        sent = context.sender.send(intake) => sent.is_ok(),
        () = patience => false,
    };
    if taken {
        counters::count(&counters.received, records);
        counters::count(&counters.bytes, bytes);
    } else {
        counters::count(&counters.dropped_full, records);
    }
    taken
}

/// Starts a blocking receiver on a thread of its own and gives a task that ends with it.
///
/// A thread rather than tokio's pool: it lives as long as the program, and is seen by its name.
fn spawn_thread(
    receiver: &'static str,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StartError> {
    let (done, ended) = tokio::sync::oneshot::channel::<()>();
    let run = move || {
        work();
        drop(done);
    };
    std::thread::Builder::new()
        .name(receiver.to_owned())
        .spawn(run)
        .map_err(|source| StartError::Thread { receiver, source })?;
    Ok(tokio::spawn(async move {
        // Ends when the sender is dropped, whether the work was done or panicked.
        let _ = ended.await;
    }))
}

/// What the tests of all receivers need.
#[cfg(test)]
mod testing {
    use tokio::sync::mpsc;

    use super::*;

    /// A context, and the end of its channel at which the journal would be.
    pub(super) fn context(intakes: usize) -> (Context, mpsc::Receiver<Intake>) {
        let (sender, receiver) = mpsc::channel(intakes);
        let context = Context {
            sender,
            dead_letters: DeadLetters::none(),
            shutdown: CancellationToken::new(),
        };
        (context, receiver)
    }

    /// The next intakes, until they hold at least so many records.
    pub(super) async fn intakes(from: &mut mpsc::Receiver<Intake>, records: usize) -> Vec<Intake> {
        let mut intakes = Vec::new();
        let mut count = 0;
        while count < records {
            let next = tokio::time::timeout(Duration::from_secs(20), from.recv()).await;
            let intake = next
                .unwrap_or_else(|_| panic!("{count} of {records} records came: {intakes:?}"))
                .expect("the receivers live");
            count += intake.ends.len();
            intakes.push(intake);
        }
        intakes
    }

    /// The records of the next intakes, until there are at least so many.
    pub(super) async fn texts(from: &mut mpsc::Receiver<Intake>, records: usize) -> Vec<String> {
        all_texts(&intakes(from, records).await)
    }

    /// The records of these intakes as text.
    pub(super) fn all_texts(intakes: &[Intake]) -> Vec<String> {
        let text = |(record, _): (&[u8], _)| String::from_utf8_lossy(record).into_owned();
        intakes.iter().flat_map(|intake| intake.records().map(text)).collect()
    }
}
