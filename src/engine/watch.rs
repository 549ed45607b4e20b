//! Notices when nothing moves.
//!
//! A graph that hangs says nothing: timely has no deadline of its own. If records are waiting and
//! no epoch has been finished for [`PATIENCE`], that is reported, and again as long as it lasts.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::Progress;

/// How long no epoch may be finished while some are waiting.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts to watch, until the progress is dropped.
pub(super) fn start(progress: &Arc<Progress>) -> Result<(), String> {
    let progress = Arc::downgrade(progress);
    std::thread::Builder::new()
        .name("watch".into())
        .spawn(move || watch(&progress))
        .map(drop)
        .map_err(|error| error.to_string())
}

fn watch(progress: &Weak<Progress>) {
    let (mut last, mut since) = (0, Instant::now());
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let Some(progress) = progress.upgrade() else { return };
        let finished = progress.finished.load(Ordering::Acquire);
        let dealt = progress.dealt.load(Ordering::Acquire);
        if finished != last || finished == dealt {
            (last, since) = (finished, Instant::now());
        } else if since.elapsed() >= PATIENCE {
            tracing::error!(
                finished,
                dealt,
                seconds = since.elapsed().as_secs(),
                "no epoch has been finished though some are waiting"
            );
            since = Instant::now();
        }
    }
}
