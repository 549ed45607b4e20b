//! Syslog datagrams: read as fast as they come, because nobody can make their senders wait.
//!
//! One thread does nothing but read: up to 64 with one system call. While the journal
//! is behind, datagrams wait in a backlog of bounded size; beyond it they are dropped and
//! counted. What the kernel dropped before we could read it stands in `/proc/net/udp`, which is
//! read each second: sent = received + empty + `dropped_full` + `dropped_kernel`.

use std::collections::{BTreeMap, VecDeque};
use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage, recvmmsg};
use operators::types::Flags;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinHandle;

use super::super::counters::{Counters, Rarely, count};
use super::super::{BATCH_WAIT, Context, STOP_WITHIN, StartError, now, spawn_thread};
use super::Options;
use super::sources::Sources;
use crate::intake::{INTAKE_BYTES_MAX, Intake};

/// How many datagrams one system call brings at most.
const DATAGRAMS: usize = 64;
/// No datagram is longer.
const DATAGRAM_BYTES_MAX: usize = 64 << 10;
/// How often the kernel is asked what it dropped.
const KERNEL_DROPS_EVERY: Duration = Duration::from_secs(1);
/// What a waiting record costs beside its bytes: where it ends, and what vectors keep in reserve.
const RECORD_OVERHEAD: usize = 2 * size_of::<(u32, Flags)>();

/// Starts the thread.
pub(super) fn start(
    socket: UdpSocket,
    options: &Options,
    sources: &Arc<Sources>,
    counters: &Arc<Counters>,
    context: &Context,
) -> Result<JoinHandle<()>, StartError> {
    let outlet = Outlet {
        context: context.clone(),
        counters: counters.clone(),
        sources: sources.clone(),
        open: BTreeMap::new(),
        opened: None,
        backlog: VecDeque::new(),
        held_bytes: 0,
        backlog_bytes_max: options.backlog_bytes_max,
        message_max: options.message_max,
        complaint: Rarely::new(),
    };
    spawn_thread("syslog-udp", move || read(&socket, outlet))
}

fn read(socket: &UdpSocket, mut outlet: Outlet) {
    let timeout = socket.set_read_timeout(Some(BATCH_WAIT));
    if let Err(error) = timeout.and_then(|()| socket.set_nonblocking(false)) {
        tracing::error!(receiver = "syslog", %error, "cannot wait for datagrams");
        return;
    }
    let mut slab = vec![0; DATAGRAMS * DATAGRAM_BYTES_MAX];
    let mut headers = MultiHeaders::preallocate(DATAGRAMS, None);
    let mut kernel = KernelDrops::new(socket);
    while !outlet.context.shutdown.is_cancelled() {
        match receive(socket, MsgFlags::MSG_WAITFORONE, &mut slab, &mut headers, &mut outlet) {
            Ok(()) | Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(error) => {
                // An ICMP answer to nothing of ours, or memory is short: the socket lives on.
                if outlet.complaint.now() {
                    tracing::warn!(receiver = "syslog", %error, "cannot read datagrams");
                }
                std::thread::sleep(BATCH_WAIT);
            }
        }
        outlet.hand_over();
        kernel.count_each_second(&outlet.counters);
    }
    // What the kernel already holds was accepted: take it, but not what keeps coming for ever.
    let until = Instant::now() + STOP_WITHIN / 4;
    let last = MsgFlags::MSG_DONTWAIT;
    while Instant::now() < until
        && receive(socket, last, &mut slab, &mut headers, &mut outlet).is_ok()
    {}
    kernel.count(&outlet.counters);
    outlet.close();
}

/// Takes the datagrams that one system call brings.
fn receive(
    socket: &UdpSocket,
    flags: MsgFlags,
    slab: &mut [u8],
    headers: &mut MultiHeaders<SockaddrStorage>,
    outlet: &mut Outlet,
) -> Result<(), Errno> {
    let places = slab.chunks_exact_mut(DATAGRAM_BYTES_MAX);
    let mut places: Vec<_> = places.map(|place| [IoSliceMut::new(place)]).collect();
    let received = recvmmsg(socket.as_raw_fd(), headers, places.iter_mut(), flags, None)?;
    for message in received {
        outlet.take(peer(&message), message.iovs().next().unwrap_or_default());
    }
    Ok(())
}

fn peer(message: &RecvMsg<'_, '_, SockaddrStorage>) -> IpAddr {
    let Some(address) = &message.address else { return IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
    match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
        (Some(v4), _) => IpAddr::V4(v4.ip()),
        (_, Some(v6)) => IpAddr::V6(v6.ip()),
        _ => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

/// Collects datagrams by source, and hands them over when the journal takes them.
struct Outlet {
    context: Context,
    counters: Arc<Counters>,
    sources: Arc<Sources>,
    /// What is being filled, by the source's address; `None` is the shared source.
    open: BTreeMap<Option<IpAddr>, Intake>,
    /// When the first record of those came.
    opened: Option<Instant>,
    /// What is full and waits for the journal.
    backlog: VecDeque<Intake>,
    /// What `open` and `backlog` hold together.
    held_bytes: usize,
    backlog_bytes_max: usize,
    message_max: usize,
    complaint: Rarely,
}

impl Outlet {
    fn take(&mut self, peer: IpAddr, datagram: &[u8]) {
        let record = trimmed(datagram);
        if record.is_empty() {
            count(&self.counters.empty, 1);
            return;
        }
        let mut flags = Flags::default();
        if record.len() > self.message_max {
            flags.set(Flags::TRUNCATED);
            count(&self.counters.truncated, 1);
        }
        let record = &record[..record.len().min(self.message_max)];
        let size = record.len() + RECORD_OVERHEAD;
        if self.held_bytes + size > self.backlog_bytes_max {
            count(&self.counters.dropped_full, 1);
            if self.complaint.now() {
                tracing::warn!(receiver = "syslog", "journal is behind: datagrams dropped");
            }
            return;
        }
        self.held_bytes += size;
        let (sources, named) = (&self.sources, self.sources.named(peer));
        let intake = self.open.entry(named).or_insert_with(|| Intake::new(sources.of(peer)));
        if intake.is_full() || intake.bytes.len() + record.len() > INTAKE_BYTES_MAX {
            let full = std::mem::replace(intake, Intake::new(intake.source.clone()));
            self.wait(full);
            self.open.get_mut(&named).expect("it was there").push(record, flags);
        } else {
            intake.push(record, flags);
        }
        self.opened.get_or_insert_with(Instant::now);
    }

    /// Puts an intake at the end of the backlog.
    fn wait(&mut self, mut intake: Intake) {
        intake.received_at = now();
        self.backlog.push_back(intake);
    }

    /// Gives the journal what it takes without waiting.
    fn hand_over(&mut self) {
        if !self.give_backlog() || self.opened.is_none_or(|opened| opened.elapsed() < BATCH_WAIT) {
            return;
        }
        // While the journal is behind, what is open goes on to fill: fewer, larger intakes.
        while self.context.sender.capacity() > 0
            && let Some((_, intake)) = self.open.pop_first()
        {
            self.wait(intake);
            if !self.give_backlog() {
                return;
            }
        }
        if self.open.is_empty() {
            self.opened = None;
        }
    }

    /// Gives the backlog, and says whether it is empty now.
    fn give_backlog(&mut self) -> bool {
        while let Some(intake) = self.backlog.pop_front() {
            let (records, bytes) = (intake.ends.len() as u64, intake.bytes.len() as u64);
            match self.context.sender.try_send(intake) {
                Ok(()) => {
                    self.held_bytes -= bytes as usize + records as usize * RECORD_OVERHEAD;
                    count(&self.counters.received, records);
                    count(&self.counters.bytes, bytes);
                }
                Err(TrySendError::Full(intake) | TrySendError::Closed(intake)) => {
                    self.backlog.push_front(intake);
                    return false;
                }
            }
        }
        true
    }

    /// Hands over all there is, waiting for the journal for as long as a stop may take.
    fn close(mut self) {
        while let Some((_, intake)) = self.open.pop_first() {
            self.wait(intake);
        }
        let until = Instant::now() + STOP_WITHIN / 2;
        while !self.give_backlog() && Instant::now() < until && !self.context.sender.is_closed() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let lost: u64 = self.backlog.iter().map(|intake| intake.ends.len() as u64).sum();
        count(&self.counters.dropped_full, lost);
    }
}

/// A datagram without the one line end, or the one NUL, that some senders put behind it.
fn trimmed(datagram: &[u8]) -> &[u8] {
    match datagram {
        [rest @ .., b'\r', b'\n'] | [rest @ .., b'\n' | 0] => rest,
        _ => datagram,
    }
}

/// How many datagrams the kernel has dropped at one socket.
struct KernelDrops {
    /// The socket's inode, by which the kernel's tables name it.
    inode: Option<u64>,
    seen: u32,
    asked: Instant,
}

impl KernelDrops {
    fn new(socket: &UdpSocket) -> Self {
        let inode = nix::sys::stat::fstat(socket).ok().map(|stat| stat.st_ino);
        KernelDrops { inode, seen: 0, asked: Instant::now() }
    }

    fn count_each_second(&mut self, counters: &Counters) {
        if self.asked.elapsed() >= KERNEL_DROPS_EVERY {
            self.asked = Instant::now();
            self.count(counters);
        }
    }

    fn count(&mut self, counters: &Counters) {
        let Some(inode) = self.inode else { return };
        let tables = ["/proc/net/udp", "/proc/net/udp6"];
        let drops =
            tables.iter().find_map(|table| drops(&std::fs::read_to_string(table).ok()?, inode));
        if let Some(drops) = drops {
            // The kernel's counter goes round.
            count(&counters.dropped_kernel, u64::from(drops.wrapping_sub(self.seen)));
            self.seen = drops;
        }
    }
}

/// What a table of the kernel says in its column `drops` for the socket with this inode.
fn drops(table: &str, inode: u64) -> Option<u32> {
    table.lines().skip(1).find_map(|line| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        (columns.get(9)?.parse() == Ok(inode)).then_some(())?;
        columns.last()?.parse::<i64>().ok().map(|drops| drops as u32)
    })
}
