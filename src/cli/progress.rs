//! The bar of what takes a while: how much is done, how fast, how long it will take.
//!
//! On standard error, and only if that is a terminal; drawn ten times a second at most.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::numbers::{bytes, grouped, humanised};

/// How often the bar is drawn, at most, in a second.
const DRAWS_PER_SECOND: u8 = 10;
/// Before that, a rate is of too little to be told.
const RATE_AFTER: Duration = Duration::from_millis(300);

/// What a bar counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of an input.
    Bytes,
    /// Events.
    Events,
    /// Cases of rules.
    Cases,
}

impl Unit {
    fn shown(self, count: u64) -> String {
        match self {
            Unit::Bytes => bytes(count),
            Unit::Events => format!("{} events", grouped(count)),
            Unit::Cases => format!("{} cases", grouped(count)),
        }
    }
}

/// How far something is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// How much is done.
    pub done: u64,
    /// Of how much, once that is known.
    pub total: Option<u64>,
    /// What else there is to say; escaped here.
    pub said: String,
}

/// How much of an input is done, of which `read` bytes are read that came to `received` records,
/// if of so many records it is `told` what came of them. What was only read ahead is not done.
#[must_use]
pub fn done(read: u64, received: u64, told: u64) -> u64 {
    match received {
        0 => 0,
        _ => (u128::from(read) * u128::from(told.min(received)) / u128::from(received)) as u64,
    }
}

/// A bar that whoever does the work moves on.
#[derive(Clone, Debug)]
pub struct Progress {
    bar: ProgressBar,
    unit: Unit,
    begun: Instant,
}

impl Progress {
    /// A bar over `total`, or one that only counts as long as that is not known. Hidden if
    /// standard error is no terminal, or if the user wants quiet.
    #[must_use]
    pub fn new(unit: Unit, total: Option<u64>, quiet: bool) -> Self {
        let target = match is_shown(quiet) {
            true => ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(total, target);
        let progress = Progress { bar, unit, begun: Instant::now() };
        progress.dress(total.is_some());
        progress
    }

    fn dress(&self, known: bool) {
        let template = match known {
            true => "[{elapsed_precise}] [{bar:40.cyan}] {percent:>3} %  {msg}",
            false => "[{elapsed_precise}] {msg}",
        };
        let style = ProgressStyle::with_template(template).expect("the template is well formed");
        self.bar.set_style(style.progress_chars("=> "));
    }

    /// Shows how far it is. It never goes back.
    pub fn show(&self, measured: &Measured) {
        let Measured { done, total, said } = measured;
        if let Some(total) = total
            && self.bar.length() != Some(*total)
        {
            self.bar.set_length(*total);
            self.dress(true);
        }
        let done = (*done).max(self.bar.position());
        let said = super::escape::escape(said);
        self.bar.set_position(done);
        self.bar.set_message(format!("{}  {said}", self.pace(done, *total, self.begun.elapsed())));
    }

    /// So much more is done; shown with what is said next.
    pub fn advance(&self, by: u64) {
        self.bar.inc(by);
    }

    /// Says what is being done, and shows how far it is.
    pub fn say(&self, said: &str) {
        let (done, total) = (self.bar.position(), self.bar.length());
        self.show(&Measured { done, total, said: said.to_owned() });
    }

    /// How much is done, how much of it in a second, how long the rest will take.
    fn pace(&self, done: u64, total: Option<u64>, since: Duration) -> String {
        let unit = self.unit;
        let shown = match total {
            Some(total) => match unit {
                Unit::Bytes => format!("{} of {}", unit.shown(done), unit.shown(total)),
                Unit::Events | Unit::Cases => {
                    format!("{} of {}", grouped(done), unit.shown(total))
                }
            },
            None => unit.shown(done),
        };
        if since < RATE_AFTER || done == 0 {
            return shown;
        }
        let rate = done as f64 / since.as_secs_f64();
        let left = total.filter(|total| *total > done).map(|total| (total - done) as f64 / rate);
        let left = left.and_then(|left| Duration::try_from_secs_f64(left.ceil()).ok());
        let left = match left {
            None => String::new(),
            Some(left) if left.as_secs() < 60 => format!("  {} s left", left.as_secs()),
            Some(left) => format!("  {} left", humanised(left)),
        };
        format!("{shown}  {}/s{left}", unit.shown(rate as u64))
    }

    /// Shows how far it is ten times a second until what comes back is dropped, which takes the
    /// bar away.
    #[must_use]
    pub fn follow(
        unit: Unit,
        quiet: bool,
        measure: impl Fn() -> Measured + Send + 'static,
    ) -> Following {
        let ended = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ended);
        let draw = move || {
            let progress = Progress::new(unit, None, false);
            while !seen.load(Ordering::Acquire) {
                progress.show(&measure());
                progress.bar.tick();
                std::thread::park_timeout(Duration::from_secs(1) / u32::from(DRAWS_PER_SECOND));
            }
            progress.finish();
        };
        // Without a thread there is no bar, which is no reason not to do the work.
        let thread = is_shown(quiet)
            .then(|| std::thread::Builder::new().name("progress".into()).spawn(draw).ok());
        Following { ended, thread: thread.flatten() }
    }

    /// How much is done so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.bar.position()
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn is_shown(quiet: bool) -> bool {
    !quiet && io::stderr().is_terminal()
}

/// A bar that is drawn as long as this is there.
#[derive(Debug)]
pub struct Following {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            thread.join().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_counts_also_when_nobody_sees_it_and_never_goes_back() {
        for total in [Some(100), None] {
            let progress = Progress::new(Unit::Bytes, total, true);
            for (done, shown) in [(30, 30), (42, 42), (17, 42)] {
                progress.show(&Measured { done, total, said: "a\x1b[2J".into() });
                assert_eq!(progress.position(), shown);
            }
            assert!(!progress.bar.message().contains('\x1b'));
            progress.finish();
        }
    }

    #[test]
    fn what_was_read_ahead_is_not_done() {
        assert_eq!(done(1_000, 0, 0), 0);
        assert_eq!(done(1_000, 100, 0), 0);
        assert_eq!(done(1_000, 100, 25), 250);
        assert_eq!(done(1_000, 100, 100), 1_000);
        assert_eq!(done(1_000, 100, 130), 1_000);
        assert_eq!(done(u64::MAX, 3, 2), u64::MAX / 3 * 2);
    }

    #[test]
    fn a_rate_is_of_all_the_time_since_the_beginning() {
        let bar = Progress::new(Unit::Bytes, None, true);
        let pace = |done, millis| bar.pace(done, Some(8 << 20), Duration::from_millis(millis));
        assert_eq!(pace(2 << 20, 100), "2.0 MiB of 8.0 MiB");
        assert_eq!(pace(2 << 20, 2_000), "2.0 MiB of 8.0 MiB  1.0 MiB/s  6 s left");
        assert_eq!(pace(0, 2_000), "0 B of 8.0 MiB");
        assert_eq!(pace(8 << 20, 2_000), "8.0 MiB of 8.0 MiB  4.0 MiB/s");
        let events = Progress::new(Unit::Events, None, true);
        assert_eq!(
            events.pace(12_000, None, Duration::from_secs(4)),
            "12 000 events  3 000 events/s"
        );
    }
}
