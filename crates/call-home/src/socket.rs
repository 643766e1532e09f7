//! What is asked of sockets.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};

use crate::Limits;

const BETWEEN_PROBES: Duration = Duration::from_secs(5);
const PROBES: u32 = 3;

/// A server that restarts finds its address free, though old connections of it linger. On Windows it is free anyway, and
/// the option would mean something else.
pub(crate) fn reuse(listener: &TcpSocket) -> io::Result<()> {
    if cfg!(unix) {
        listener.set_reuseaddr(true)?;
    }
    Ok(())
}

/// Tokens leave as they come, and a peer that is gone is noticed.
pub(crate) fn prepare(stream: &TcpStream, limits: &Limits) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let probes = TcpKeepalive::new()
        .with_time(limits.keep_alive)
        .with_interval(BETWEEN_PROBES)
        .with_retries(PROBES);
    SockRef::from(stream).set_tcp_keepalive(&probes)
}
