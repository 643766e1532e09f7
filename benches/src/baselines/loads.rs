//! How two released routers count what their workers have in flight: by the worker's address, in a
//! DashMap, on both ways.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;

/// A counter behind a lookup by text, when a request begins and when it ends. A guard has the text;
/// it never sinks below zero, since it looks first.
#[derive(Clone, Debug, Default)]
pub struct CountersByText(Arc<DashMap<String, Arc<AtomicUsize>>>);

impl CountersByText {
    /// With workers at these addresses.
    pub fn new<'a>(addresses: impl IntoIterator<Item = &'a String>) -> Self {
        let counters = addresses
            .into_iter()
            .map(|address| (address.clone(), Arc::default()));
        Self(Arc::new(counters.collect()))
    }

    /// Counts a request until the answer is dropped.
    #[must_use]
    pub fn begin(&self, address: &str) -> Option<ByText> {
        self.0.get(address)?.fetch_add(1, Ordering::Relaxed);
        Some(ByText {
            counters: self.clone(),
            address: address.to_owned(),
        })
    }

    /// Requests in flight.
    #[must_use]
    pub fn requests(&self, address: &str) -> usize {
        self.0
            .get(address)
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

/// A request in flight.
#[derive(Debug)]
pub struct ByText {
    counters: CountersByText,
    address: String,
}

impl Drop for ByText {
    fn drop(&mut self) {
        if let Some(count) = self.counters.0.get(&self.address) {
            let less = |count: usize| count.checked_sub(1);
            // A flap has made a new counter, perhaps: what it does not have is not subtracted.
            let _ = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }
}

/// A number in the map itself, changed under its shard's exclusive lock by an entry that is made
/// where it is missing.
#[derive(Clone, Debug, Default)]
pub struct EntriesByText(Arc<DashMap<String, usize>>);

impl EntriesByText {
    /// Counts a request.
    pub fn begin(&self, address: &str) {
        *self.0.entry(address.to_owned()).or_default() += 1;
    }

    /// Counts a request no longer.
    pub fn end(&self, address: &str) {
        if let Some(mut count) = self.0.get_mut(address) {
            *count = count.saturating_sub(1);
        }
    }

    /// Requests in flight.
    #[must_use]
    pub fn requests(&self, address: &str) -> usize {
        self.0.get(address).map_or(0, |count| *count)
    }
}
