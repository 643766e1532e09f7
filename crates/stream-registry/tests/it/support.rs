//! What the tests of a registry have in common: a map that can be looked at, polls by hand, and names of instances.

#![allow(dead_code, reason = "each test file uses its part")]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use quanta::{Clock, Mock};
use stream_registry::{
    Claim, Established, StreamMap, StreamRegistry, StreamRegistryConfig, StreamSession,
};
use worker_id::EndpointInstanceId;

/// A map that the test can look at while a registry stands on it; and a map of one's own, as downstream may bring one.
#[derive(Default)]
pub(crate) struct Watched<M>(pub(crate) Arc<M>);

impl<T, M: StreamMap<T>> StreamMap<T> for Watched<M> {
    type Session<'a>
        = M::Session<'a>
    where
        Self: 'a;

    fn open(&self) -> Self::Session<'_> {
        self.0.open()
    }
}

/// A registry, its map, and the time it goes by.
pub(crate) struct World<T, M> {
    pub(crate) streams: Arc<StreamRegistry<T, Watched<M>>>,
    pub(crate) map: Arc<M>,
    pub(crate) time: Arc<Mock>,
}

impl<T: Send + 'static, M: StreamMap<T> + Default + 'static> World<T, M> {
    pub(crate) fn new() -> Self {
        Self::with_config(StreamRegistryConfig::default())
    }

    pub(crate) fn with_config(config: StreamRegistryConfig) -> Self {
        let (clock, time) = Clock::mock();
        let map = Arc::new(M::default());
        let streams = StreamRegistry::with_map(config, Watched(Arc::clone(&map))).with_clock(clock);
        Self {
            streams: Arc::new(streams),
            map,
            time,
        }
    }

    /// How many entries the map holds, whatever has become of their streams.
    pub(crate) fn entries(&self) -> usize {
        let mut entries = 0;
        self.map.open().visit(|_, _| entries += 1);
        entries
    }

    /// Nothing is left: neither in the map, nor in the numbers, once tombstones have had their time.
    #[track_caller]
    pub(crate) fn assert_empty(&self) {
        self.time.increment(std::time::Duration::from_secs(5));
        assert_eq!(self.entries(), 0, "an entry leaked");
        assert_eq!(
            self.streams.stats(),
            stream_registry::StreamStats::default()
        );
    }
}

/// One poll, by nobody in particular.
pub(crate) fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// What a future that has to be ready answers.
#[track_caller]
pub(crate) fn ready<F: Future + Unpin>(future: &mut F) -> F::Output {
    match poll(future) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("not ready"),
    }
}

pub(crate) trait Ends {
    /// Whether the stream has ended without the handle's doing.
    fn has_ended(&mut self) -> bool;
}

impl<T> Ends for Claim<T> {
    fn has_ended(&mut self) -> bool {
        self.poll_cancelled(&Context::from_waker(Waker::noop()))
            .is_ready()
    }
}

impl<T> Ends for Established<T> {
    fn has_ended(&mut self) -> bool {
        self.poll_cancelled(&Context::from_waker(Waker::noop()))
            .is_ready()
    }
}

/// A waker that counts.
#[derive(Default)]
pub(crate) struct Woken(AtomicUsize);

impl Woken {
    pub(crate) fn times(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// `prod/decode/generate/number`
pub(crate) fn instance(number: u64) -> EndpointInstanceId {
    EndpointInstanceId::new("prod", "decode", "generate", number).expect("valid names")
}
