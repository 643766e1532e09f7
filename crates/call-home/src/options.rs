//! What a server and a client may be told: limits with defaults that suit a fleet of trusted workers on a network that is not.

use std::net::{Ipv4Addr, SocketAddr};
#[cfg(feature = "tls")]
use std::sync::Arc;
use std::time::Duration;

use stream_registry::StreamRegistryConfig;
#[cfg(feature = "tls")]
use tokio_rustls::rustls;

use crate::OptionsError;

/// What one connection may cost, on either side of it.
///
/// ```
/// use call_home::Limits;
///
/// let limits = Limits { buffer: 8, ..Limits::default() };
/// assert_eq!(limits.max_frame, 16 << 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// From the connection to the claimed stream, TLS included. 10 s by default.
    pub handshake_deadline: Duration,
    /// How long a frame may take from its first byte to its last, coming in; and how long a batch of frames may take to
    /// leave. 30 s by default. There is no limit between frames: a model may think for minutes.
    pub frame_deadline: Duration,
    /// When a connection on which nothing comes in is probed, so that a host that is gone is told from one that is silent.
    /// Three probes, 5 s apart, in vain cut it. 15 s by default; whole seconds.
    pub keep_alive: Duration,
    /// The longest piece of data, in bytes. What is announced to be longer is refused before anything is allocated. 16 MiB
    /// by default.
    pub max_frame: usize,
    /// How many pieces of data wait on each side for whoever is slower. 64 by default; 0 is taken for 1. A connection
    /// holds at most `(buffer + 2) * max_frame` bytes, and 64 KiB.
    pub buffer: usize,
}

impl Limits {
    /// The most that [`max_frame`](Self::max_frame) can be: what a length prefix can say, without the tag.
    pub const MOST_FRAME: usize = u32::MAX as usize - 1;

    pub(crate) fn check(&self) -> Result<(), OptionsError> {
        let times = [
            ("handshake_deadline", self.handshake_deadline),
            ("frame_deadline", self.frame_deadline),
            ("keep_alive", self.keep_alive),
        ];
        if let Some((option, _)) = times.into_iter().find(|(_, time)| time.is_zero()) {
            return Err(OptionsError::NoTime { option });
        }
        let max_frame = self.max_frame;
        if max_frame == 0 || max_frame > Self::MOST_FRAME {
            return Err(OptionsError::Frame { max_frame });
        }
        Ok(())
    }

    pub(crate) fn slots(&self) -> usize {
        self.buffer.clamp(1, tokio::sync::Semaphore::MAX_PERMITS)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake_deadline: Duration::from_secs(10),
            frame_deadline: Duration::from_secs(30),
            keep_alive: Duration::from_secs(15),
            max_frame: 16 << 20,
            buffer: 64,
        }
    }
}

/// What a [`CallHomeServer`](crate::CallHomeServer) may be told.
#[derive(Clone, Debug)]
pub struct CallHomeOptions {
    pub(crate) address: SocketAddr,
    pub(crate) advertised: Option<SocketAddr>,
    pub(crate) limits: Limits,
    pub(crate) max_connections: usize,
    pub(crate) backlog: u32,
    pub(crate) streams: StreamRegistryConfig,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
}

impl Default for CallHomeOptions {
    fn default() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            advertised: None,
            limits: Limits::default(),
            max_connections: 65_536,
            backlog: 1_024,
            streams: StreamRegistryConfig::default(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

impl CallHomeOptions {
    /// Listens there. On a free port of `127.0.0.1` by default.
    #[must_use]
    pub fn with_address(self, address: impl Into<SocketAddr>) -> Self {
        let address = address.into();
        Self { address, ..self }
    }

    /// Tells workers to call there: for a server that listens on every interface, or behind a translation of addresses.
    /// Port 0 stands for the one that it listens on. By default it is the address that the server listens on.
    #[must_use]
    pub fn with_advertised(self, address: impl Into<SocketAddr>) -> Self {
        let advertised = Some(address.into());
        Self { advertised, ..self }
    }

    /// What each connection may cost.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// How many connections there may be at a time, those in their handshake included. 65,536 by default. Whoever comes
    /// beyond is told to call again later.
    #[must_use]
    pub fn with_max_connections(self, max_connections: usize) -> Self {
        Self {
            max_connections,
            ..self
        }
    }

    /// How many connections the system may hold that have not been accepted. 1,024 by default; systems have limits of
    /// their own.
    #[must_use]
    pub fn with_backlog(self, backlog: u32) -> Self {
        Self { backlog, ..self }
    }

    /// What the registry of streams may be told.
    #[must_use]
    pub fn with_streams(self, streams: StreamRegistryConfig) -> Self {
        Self { streams, ..self }
    }

    /// Speaks TLS, and nothing but TLS.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(self, config: Arc<rustls::ServerConfig>) -> Self {
        let tls = Some(config);
        Self { tls, ..self }
    }

    pub(crate) fn check(&self) -> Result<(), OptionsError> {
        self.limits.check()?;
        if self.max_connections == 0 {
            return Err(OptionsError::NoConnections);
        }
        Ok(())
    }

    /// Where workers call a server that listens on `bound`.
    pub(crate) fn advertise(&self, bound: SocketAddr) -> Result<SocketAddr, OptionsError> {
        let mut address = self.advertised.unwrap_or(bound);
        if address.port() == 0 {
            address.set_port(bound.port());
        }
        if address.ip().is_unspecified() {
            return Err(OptionsError::Unadvertised { address });
        }
        Ok(address)
    }
}
