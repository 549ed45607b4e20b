//! Syslog connections: as many as are allowed, each with its own framing and its own patience.
//!
//! A sender waits while the journal is behind: its connection is not read. What was read before
//! a connection broke is kept. When all places are taken, a connection that is not active gives
//! way: one of the peer that has most of them, first one that never sent anything whole, and the
//! longest idle of those. So connections that are only opened cannot lock out a sender, and no
//! peer can take the places of others. Only if all are active is the new one refused.
//!
//! Memory: a connection holds the frame that is not whole (at most `message_max`) and the records
//! of the last 20 ms (at most [`INTAKE_BYTES_MAX`] and one read).

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::errno::Errno;
use operators::types::{Flags, Source};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::counters::{Counters, Rarely, count};
use super::super::framing::{Framer, Frames};
use super::super::{BATCH_WAIT, Context, STOP_WITHIN, give_up_at, hand_over, now};
use super::Options;
use super::sources::Sources;
use crate::intake::{INTAKE_BYTES_MAX, Intake};

/// How many bytes one read brings at most.
const READ_BYTES: usize = 64 << 10;
/// How much is still read of a connection that has to go.
const LAST_BYTES_MAX: usize = 1 << 20;
/// A connection that sent something whole this short a time ago does not give way.
const ACTIVE_WITHIN: Duration = Duration::from_secs(10);
/// How long to wait when the system has no more file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

thread_local! {
    /// Where bytes lie between the socket and the framer, which never wait in between.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// Starts to accept.
pub(super) fn start(
    listener: TcpListener,
    options: Options,
    sources: Arc<Sources>,
    counters: Arc<Counters>,
    context: &Context,
) -> JoinHandle<()> {
    let shared = Arc::new(Shared {
        options,
        sources,
        counters,
        context: context.clone(),
        places: Mutex::new(Places::default()),
    });
    tokio::spawn(accept(listener, shared))
}

struct Shared {
    options: Options,
    sources: Arc<Sources>,
    counters: Arc<Counters>,
    context: Context,
    places: Mutex<Places>,
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    let mut complaint = Rarely::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shared.context.shutdown.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => admit(stream, peer, &shared, &mut connections),
            Err(error) => {
                if complaint.now() {
                    tracing::warn!(receiver = "syslog", %error, "cannot accept connections");
                }
                let code = error.raw_os_error().map(Errno::from_raw);
                if matches!(code, Some(Errno::EMFILE | Errno::ENFILE)) {
                    // The limit is lower than ours; whoever is idle gives way all the same.
                    let mut places = shared.places.lock().expect("places are only counted");
                    let _ = places.evict(None, &shared.counters);
                }
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Gives a connection a place, if need be another one's.
fn admit(stream: TcpStream, peer: SocketAddr, shared: &Arc<Shared>, connections: &mut JoinSet<()>) {
    let peer = peer.ip().to_canonical();
    let mut places = shared.places.lock().expect("places are only counted");
    let Some(place) = places.take(peer, &shared.options, &shared.counters) else {
        count(&shared.counters.refused, 1);
        return;
    };
    drop(places);
    count(&shared.counters.connections, 1);
    count(&shared.counters.open, 1);
    let shared = shared.clone();
    connections.spawn(async move {
        Connection::new(stream, peer, &shared, &place).run().await;
        shared.places.lock().expect("places are only counted").give_back(&place);
        shared.counters.open.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    });
}

/// Who is connected.
#[derive(Debug, Default)]
struct Places {
    next: u64,
    taken: BTreeMap<u64, Arc<Place>>,
    per_peer: BTreeMap<IpAddr, usize>,
}

/// The place of one connection.
#[derive(Debug)]
struct Place {
    number: u64,
    peer: IpAddr,
    /// When it last completed a frame; before the first, whether it did and when it came.
    last: Mutex<(bool, Instant)>,
    /// Cancelled when it has to go.
    leave: CancellationToken,
}

impl Place {
    fn last(&self) -> (bool, Instant) {
        *self.last.lock().expect("an instant is only replaced")
    }
}

impl Places {
    fn take(&mut self, peer: IpAddr, options: &Options, counters: &Counters) -> Option<Arc<Place>> {
        let of_peer = self.per_peer.get(&peer).copied().unwrap_or(0);
        if of_peer >= options.connections_per_peer_max {
            self.evict(Some(peer), counters)?;
        } else if self.taken.len() >= options.connections_max {
            self.evict(None, counters)?;
        }
        let place = Arc::new(Place {
            number: self.next,
            peer,
            last: Mutex::new((false, Instant::now())),
            leave: CancellationToken::new(),
        });
        self.next += 1;
        self.taken.insert(place.number, place.clone());
        *self.per_peer.entry(peer).or_default() += 1;
        Some(place)
    }

    /// Sends away a connection that is not active, of this peer if one is given: one of the peer
    /// that has most, and there one that never sent anything whole, and there the longest idle.
    fn evict(&mut self, peer: Option<IpAddr>, counters: &Counters) -> Option<()> {
        let idle = |place: &&Arc<Place>| {
            let (active, since) = place.last();
            !active || since.elapsed() >= ACTIVE_WITHIN
        };
        let candidates = self.taken.values().filter(|place| peer.is_none_or(|p| p == place.peer));
        let place = candidates
            .filter(idle)
            .min_by_key(|place| (Reverse(self.per_peer[&place.peer]), place.last()))?
            .clone();
        place.leave.cancel();
        self.give_back(&place);
        count(&counters.evicted, 1);
        Some(())
    }

    /// Frees a place; it may have been freed before.
    fn give_back(&mut self, place: &Place) {
        if self.taken.remove(&place.number).is_none() {
            return;
        }
        let of_peer = self.per_peer.get_mut(&place.peer).expect("a place counts for its peer");
        *of_peer -= 1;
        if *of_peer == 0 {
            self.per_peer.remove(&place.peer);
        }
    }
}

/// One connection.
struct Connection<'a> {
    stream: TcpStream,
    shared: &'a Shared,
    place: &'a Place,
    framer: Framer,
    session: Session<'a>,
    /// When bytes last came.
    heard: Instant,
    /// When the frame that is not whole began, or the connection.
    frame_began: Instant,
    /// When a stop may take no longer.
    give_up: Option<Instant>,
    /// Nobody took an intake in time: the rest is only counted.
    given_up: bool,
}

/// What a connection's framer fills.
struct Session<'a> {
    shared: &'a Shared,
    source: Source,
    intake: Intake,
    /// Full intakes, at most as many as one read fills.
    full: Vec<Intake>,
    /// When the first record of `intake` came.
    opened: Option<Instant>,
    frames: u64,
}

enum Ended {
    /// By the peer: closed, or broken.
    Peer,
    /// By us: no place, no patience, or no time left.
    Us,
}

impl<'a> Connection<'a> {
    fn new(stream: TcpStream, peer: IpAddr, shared: &'a Shared, place: &'a Place) -> Self {
        let source = shared.sources.of(peer);
        let session = Session {
            shared,
            intake: Intake::new(source.clone()),
            source,
            full: Vec::new(),
            opened: None,
            frames: 0,
        };
        let framer = Framer::new(shared.options.message_max);
        let now = Instant::now();
        Connection {
            stream,
            shared,
            place,
            framer,
            session,
            heard: now,
            frame_began: now,
            give_up: None,
            given_up: false,
        }
    }

    async fn run(mut self) {
        if let Ok(Ended::Us) = self.serve().await {
            self.last_words().await;
        }
        self.framer.finish(&mut self.session);
        self.account();
        let _ = self.flush().await;
    }

    /// Reads until the connection ends; an error if nobody takes what is read.
    async fn serve(&mut self) -> Result<Ended, NotTaken> {
        let options = &self.shared.options;
        loop {
            let flush = self.session.opened.map(|opened| opened + BATCH_WAIT);
            let line_end = self.framer.is_within_line().then(|| self.heard + options.flush_after);
            let within = self.framer.is_within_frame();
            let frame_end = within.then(|| self.frame_began + options.frame_timeout);
            let silence = self.heard + options.idle_timeout;
            let wake = [flush, line_end, frame_end, Some(silence)].into_iter().flatten().min();
            let wake = wake.expect("silence always has an end");
            tokio::select! {
                biased;
                () = self.shared.context.shutdown.cancelled() => return Ok(Ended::Us),
                () = self.place.leave.cancelled() => return Ok(Ended::Us),
                ready = self.stream.readable() => {
                    if ready.is_err() || self.read().is_none() {
                        return Ok(Ended::Peer);
                    }
                    self.hand_over_full().await?;
                }
                () = tokio::time::sleep_until(wake) => {}
            }
            let now = Instant::now();
            if self.session.opened.is_some_and(|opened| now >= opened + BATCH_WAIT) {
                self.flush().await?;
                continue;
            }
            if line_end.is_some_and(|at| now >= at) && self.heard + options.flush_after <= now {
                self.framer.finish(&mut self.session);
                self.account();
            } else if self.framer.is_within_frame()
                && now >= self.frame_began + options.frame_timeout
                || now >= self.heard + options.idle_timeout
            {
                count(&self.shared.counters.timed_out, 1);
                return Ok(Ended::Us);
            }
        }
    }

    /// Reads what is there, once; `None` at the end.
    fn read(&mut self) -> Option<usize> {
        SCRATCH.with_borrow_mut(|scratch| match self.stream.try_read(scratch) {
            Ok(0) => None,
            Ok(read) => {
                self.take(&scratch[..read]);
                Some(read)
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                Some(0)
            }
            // Reset or broken: what was read before counts.
            Err(_) => None,
        })
    }

    fn take(&mut self, bytes: &[u8]) {
        let within = self.framer.is_within_frame();
        self.session.frames = 0;
        self.framer.push(bytes, &mut self.session);
        self.heard = Instant::now();
        if self.session.frames > 0 {
            *self.place.last.lock().expect("an instant is only replaced") = (true, self.heard);
        }
        if self.session.frames > 0 || !within {
            self.frame_began = self.heard;
        }
        self.account();
    }

    /// The last that the peer has sent, of which we know already.
    async fn last_words(&mut self) {
        let mut taken = 0;
        while taken < LAST_BYTES_MAX {
            // Without this the runtime may believe in an emptiness that is over.
            let ready = tokio::time::timeout(Duration::from_millis(1), self.stream.readable());
            match ready.await.is_ok_and(|ready| ready.is_ok()).then(|| self.read()).flatten() {
                None | Some(0) => return,
                Some(read) => taken += read,
            }
            if self.hand_over_full().await.is_err() {
                return;
            }
        }
    }

    /// Adds what was odd to the receiver's counters.
    fn account(&mut self) {
        let (tally, counters) = (std::mem::take(&mut self.framer.tally), &self.shared.counters);
        count(&counters.framing_errors, tally.framing_errors);
        count(&counters.empty, tally.empty);
        count(&counters.truncated, tally.truncated);
        count(&counters.unterminated, tally.unterminated);
    }

    async fn hand_over_full(&mut self) -> Result<(), NotTaken> {
        if self.session.full.is_empty() {
            return Ok(());
        }
        let mut taken = Ok(());
        for intake in std::mem::take(&mut self.session.full) {
            taken = taken.and(self.hand_over(intake).await);
        }
        taken
    }

    async fn flush(&mut self) -> Result<(), NotTaken> {
        let taken = self.hand_over_full().await;
        self.session.opened = None;
        if self.session.intake.ends.is_empty() {
            return taken;
        }
        let next = Intake::new(self.session.source.clone());
        let mut intake = std::mem::replace(&mut self.session.intake, next);
        intake.received_at = now();
        self.hand_over(intake).await
    }

    async fn hand_over(&mut self, intake: Intake) -> Result<(), NotTaken> {
        if self.given_up {
            count(&self.shared.counters.dropped_full, intake.ends.len() as u64);
            return Err(NotTaken);
        }
        let before = Instant::now();
        let (context, counters) = (&self.shared.context, &self.shared.counters);
        if context.shutdown.is_cancelled() {
            self.give_up.get_or_insert_with(give_up_at);
        }
        let taken = hand_over(context, counters, intake, self.give_up).await;
        // While we did not listen, the peer was not silent.
        let waited = before.elapsed();
        self.heard += waited;
        self.frame_began += waited;
        self.given_up = !taken;
        if taken { Ok(()) } else { Err(NotTaken) }
    }
}

/// Nobody takes intakes any more.
struct NotTaken;

impl Frames for Session<'_> {
    fn frame(&mut self, record: &[u8], flags: Flags) {
        self.frames += 1;
        if self.intake.is_full() || self.intake.bytes.len() + record.len() > INTAKE_BYTES_MAX {
            let next = Intake::new(self.source.clone());
            let mut full = std::mem::replace(&mut self.intake, next);
            full.received_at = now();
            self.full.push(full);
        }
        self.intake.push(record, flags);
        self.opened.get_or_insert_with(Instant::now);
    }

    fn stray(&mut self, bytes: &[u8], reason: &'static str) {
        count(&self.shared.counters.dead_letters, 1);
        self.shared.context.dead_letters.put(&self.source, reason, bytes);
    }
}

const _: () = assert!(LAST_BYTES_MAX >= READ_BYTES && STOP_WITHIN.as_secs() >= 1);
