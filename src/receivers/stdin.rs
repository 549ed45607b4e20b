//! Lines on standard input, or on any pipe, as they come.
//!
//! The end of the input ends the receiver, not the program.

use std::io::Read;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use operators::types::{Flags, Source};

use super::counters::{Counters, count};
use super::lines::Lines;
use super::{BATCH_WAIT, Context, Receiver, StartError, hand_over, now, spawn_thread};
use crate::intake::{INTAKE_BYTES_MAX, Intake};

/// What can be told to the receiver.
#[derive(Clone, Debug)]
pub struct Options {
    /// The longest line, in bytes; of a longer one the beginning is taken.
    pub line_max: usize,
}

/// How long the receiver waits for input before it looks whether it should stop.
const LOOK_UP_MILLIS: u16 = 200;

/// Starts reading the standard input of the process.
pub(super) fn start(options: &Options, context: &Context) -> Result<Receiver, StartError> {
    start_on(std::io::stdin(), options, context)
}

/// Starts reading lines from `input`.
///
/// # Errors
///
/// If the system gives no thread.
pub fn start_on(
    input: impl Read + AsFd + Send + 'static,
    options: &Options,
    context: &Context,
) -> Result<Receiver, StartError> {
    let counters = Arc::new(Counters::default());
    let reader = Reader {
        runtime: tokio::runtime::Handle::current(),
        context: context.clone(),
        counters: counters.clone(),
        lines: Lines::new(options.line_max),
        intake: Intake::new(source()),
        since: None,
    };
    let task = spawn_thread("stdin", move || reader.run(input))?;
    Ok(Receiver { name: "stdin", counters, bound: Vec::new(), tasks: vec![task] })
}

/// The source of all that comes by standard input.
pub(super) fn source() -> Source {
    Source { receiver: "stdin".into(), name: String::new() }
}

struct Reader {
    runtime: tokio::runtime::Handle,
    context: Context,
    counters: Arc<Counters>,
    lines: Lines,
    intake: Intake,
    /// When the first record of the intake came.
    since: Option<Instant>,
}

/// There is nobody left to hand over to, or it is time to stop.
struct Stopped;

impl Reader {
    fn run(mut self, mut input: impl Read + AsFd) {
        let ended = self.read(&mut input);
        if ended.is_ok() {
            let _ = self.cut(&[], true);
        }
        let _ = self.flush();
        tracing::info!(receiver = "stdin", "end of input");
    }

    fn read(&mut self, input: &mut (impl Read + AsFd)) -> Result<(), Stopped> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            if self.context.shutdown.is_cancelled() {
                return Err(Stopped);
            }
            let wait = match self.since {
                Some(since) => BATCH_WAIT.saturating_sub(since.elapsed()).as_millis() as u16,
                None => LOOK_UP_MILLIS,
            };
            let mut fds = [PollFd::new(input.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, PollTimeout::from(wait)) {
                Ok(0) | Err(nix::errno::Errno::EINTR) => {}
                // Also when poll itself fails: then the read says why.
                _ => match input.read(&mut buffer) {
                    Ok(0) => return Ok(()),
                    Ok(read) => self.cut(&buffer[..read], false)?,
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => {
                        tracing::warn!(receiver = "stdin", %error, "cannot read");
                        return Ok(());
                    }
                },
            }
            if self.since.is_some_and(|since| since.elapsed() >= BATCH_WAIT) {
                self.flush()?;
            }
        }
    }

    fn cut(&mut self, bytes: &[u8], finish: bool) -> Result<(), Stopped> {
        let mut lines = std::mem::replace(&mut self.lines, Lines::new(1));
        let mut record = |line: &[u8], flags: Flags, _: u64| {
            let full =
                self.intake.is_full() || self.intake.bytes.len() + line.len() > INTAKE_BYTES_MAX;
            if full && !self.intake.ends.is_empty() {
                self.flush()?;
            }
            self.intake.push(line, flags);
            self.since.get_or_insert_with(Instant::now);
            Ok(())
        };
        let result = match finish {
            true => lines.finish(Flags::UNTERMINATED, &mut record),
            false => lines.push(bytes, &mut record),
        };
        let tally = std::mem::take(&mut lines.tally);
        self.lines = lines;
        count(&self.counters.empty, tally.empty);
        count(&self.counters.truncated, tally.truncated);
        count(&self.counters.unterminated, tally.unterminated);
        result
    }

    fn flush(&mut self) -> Result<(), Stopped> {
        self.since = None;
        if self.intake.ends.is_empty() {
            return Ok(());
        }
        let mut intake = std::mem::replace(&mut self.intake, Intake::new(source()));
        intake.received_at = now();
        let taken = self.runtime.block_on(hand_over(&self.context, &self.counters, intake, None));
        if taken { Ok(()) } else { Err(Stopped) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use super::super::testing::{context, texts};
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn lines_come_while_the_pipe_is_open_and_the_rest_at_its_end() {
        let (context, mut intakes) = context(64);
        let (input, mut output) = std::io::pipe().unwrap();
        let receiver = start_on(input, &Options { line_max: 100 }, &context).unwrap();
        output.write_all(b"one\ntwo\nthr").unwrap();
        assert_eq!(texts(&mut intakes, 2).await, ["one", "two"]);
        output.write_all(b"ee\n\nfour").unwrap();
        drop(output);
        assert_eq!(texts(&mut intakes, 2).await, ["three", "four"]);
        for task in receiver.tasks {
            task.await.unwrap();
        }
        let counted = receiver.counters.snapshot();
        assert_eq!((counted.received, counted.empty, counted.unterminated), (4, 1, 1));
        assert!(!context.shutdown.is_cancelled(), "the end of input does not stop the program");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_silent_pipe_does_not_keep_the_receiver_from_stopping() {
        let (context, _intakes) = context(64);
        let (input, _output) = std::io::pipe().unwrap();
        let receiver = start_on(input, &Options { line_max: 100 }, &context).unwrap();
        context.shutdown.cancel();
        for task in receiver.tasks {
            tokio::time::timeout(Duration::from_secs(5), task).await.unwrap().unwrap();
        }
    }
}
