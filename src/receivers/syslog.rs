//! Syslog over UDP (RFC 5426) and TCP (RFC 6587), from real senders.
//!
//! A source is a peer's address, without its port; of more than [`Options::sources_max`] peers
//! the later ones share the source `other`. What a record says is read elsewhere.
//!
//! - [`udp`]: one thread and one socket; what the kernel dropped is read from it and counted.
//! - [`tcp`]: one task for each connection; connections are capped, the longest idle gives way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::sockopt::RcvBufForce;
use socket2::{Domain, Socket, Type};

use super::counters::{Counters, count};
use super::{Context, Protocol, Receiver, StartError};

mod sources;
pub mod tcp;
#[cfg(test)]
mod tests;
pub mod udp;

/// What can be told to the receiver. See `configs/default.yaml` for what is usual.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to take datagrams, if at all. Port 0 lets the system choose.
    pub udp: Option<SocketAddr>,
    /// Where to take connections, if at all.
    pub tcp: Option<SocketAddr>,
    /// The longest record, in bytes, at least 64; of a longer one the beginning is taken.
    pub message_max: usize,
    /// How many peers are sources of their own.
    pub sources_max: usize,
    /// The socket buffer to ask the kernel for, in bytes; 0 leaves the system's default.
    pub receive_buffer_bytes: usize,
    /// How many bytes of datagrams may wait while the journal is behind, before they are dropped.
    pub backlog_bytes_max: usize,
    /// How many connections may be open.
    pub connections_max: usize,
    /// How many connections one peer address may have open. As many as all may share is no
    /// danger: when places are short, the peer that has most gives way.
    pub connections_per_peer_max: usize,
    /// A connection on which nothing came for so long is closed.
    pub idle_timeout: Duration,
    /// A connection whose frame has not become whole for so long is closed.
    pub frame_timeout: Duration,
    /// A line that has not ended is taken for whole when nothing came for so long.
    pub flush_after: Duration,
}

impl Options {
    /// What is usual, at these addresses.
    #[must_use]
    pub fn usual(udp: Option<SocketAddr>, tcp: Option<SocketAddr>) -> Self {
        Options {
            udp,
            tcp,
            message_max: 64 << 10,
            sources_max: 256,
            receive_buffer_bytes: 32 << 20,
            backlog_bytes_max: 64 << 20,
            connections_max: 1_024,
            connections_per_peer_max: 1_024,
            idle_timeout: Duration::from_secs(300),
            frame_timeout: Duration::from_secs(60),
            flush_after: Duration::from_secs(1),
        }
    }
}

/// Sockets that are bound and do not yet take anything.
#[derive(Debug)]
pub(super) struct Bound {
    options: Options,
    udp: Option<std::net::UdpSocket>,
    tcp: Option<std::net::TcpListener>,
}

/// Binds the sockets.
pub(super) fn bind(options: &Options) -> Result<Bound, StartError> {
    let udp = options.udp.map(|address| {
        let key = "receivers.syslog_udp_port";
        udp_socket(address, options.receive_buffer_bytes).map_err(|source| StartError::Bind {
            address,
            protocol: Protocol::Udp,
            key,
            source,
        })
    });
    let tcp = options.tcp.map(|address| {
        let key = "receivers.syslog_tcp_port";
        tcp_socket(address).map_err(|source| StartError::Bind {
            address,
            protocol: Protocol::Tcp,
            key,
            source,
        })
    });
    Ok(Bound { options: options.clone(), udp: udp.transpose()?, tcp: tcp.transpose()? })
}

fn udp_socket(address: SocketAddr, buffer_bytes: usize) -> std::io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    if buffer_bytes > 0 {
        // Past the administrator's limit for those who may; else as much as the limit allows.
        if nix::sys::socket::setsockopt(&socket, RcvBufForce, &buffer_bytes).is_err() {
            socket.set_recv_buffer_size(buffer_bytes)?;
        }
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn tcp_socket(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    const BACKLOG: i32 = 1_024;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

impl Bound {
    /// Begins to take what comes.
    pub(super) fn start(self, context: &Context) -> Result<Receiver, StartError> {
        let counters = Arc::new(Counters::default());
        let sources = Arc::new(sources::Sources::new("syslog", self.options.sources_max));
        let mut bound = Vec::new();
        let mut tasks = Vec::new();
        let started =
            |error: std::io::Error| StartError::Thread { receiver: "syslog", source: error };
        if let Some(socket) = self.udp {
            bound.push((Protocol::Udp, socket.local_addr().map_err(started)?));
            let given = socket2::SockRef::from(&socket).recv_buffer_size().unwrap_or(0);
            count(&counters.receive_buffer, given as u64);
            tracing::info!(receiver = "syslog", bytes = given, "udp socket buffer");
            tasks.push(udp::start(socket, &self.options, &sources, &counters, context)?);
        }
        if let Some(listener) = self.tcp {
            let listener = tokio::net::TcpListener::from_std(listener).map_err(started)?;
            bound.push((Protocol::Tcp, listener.local_addr().map_err(started)?));
            tasks.push(tcp::start(listener, self.options, sources, counters.clone(), context));
        }
        Ok(Receiver { name: "syslog", counters, bound, tasks })
    }
}
