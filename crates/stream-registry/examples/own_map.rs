//! A map of one's own under a registry: std's `HashMap` behind std's `Mutex`.
//!
//! The line at the end tests it, here (`cargo test --example own_map`) as in a crate outside.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use state_map::{Access, StateMap};
use stream_registry::{StreamEntry, StreamId, StreamKind, StreamRegistry, StreamRegistryConfig};

type Stream = StreamEntry<String>;

#[derive(Default)]
struct OwnMap(Mutex<HashMap<StreamId, Stream>>);

impl OwnMap {
    fn lock(&self) -> MutexGuard<'_, HashMap<StreamId, Stream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateMap for OwnMap {
    type Key = StreamId;
    type Value = Stream;
    type Guard<'a> = ();

    fn guard(&self) {}

    fn read<Q, R>(access: &Access<'_, Self>, id: &Q, f: impl FnOnce(&Stream) -> R) -> Option<R>
    where
        StreamId: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        access.map().lock().get(id).map(f)
    }

    fn insert_if_absent(
        access: &Access<'_, Self>,
        id: StreamId,
        new: Stream,
    ) -> Result<(), Stream> {
        let mut map = access.map().lock();
        if map.contains_key(&id) {
            return Err(new);
        }
        map.insert(id, new);
        Ok(())
    }

    fn remove_if<Q>(access: &Access<'_, Self>, id: &Q, is_it: impl FnMut(&Stream) -> bool) -> bool
    where
        StreamId: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let mut map = access.map().lock();
        let removed = map.get(id).is_some_and(is_it).then(|| map.remove(id));
        // Unlocked before the entry is dropped.
        drop(map);
        removed.is_some()
    }

    fn for_each(access: &Access<'_, Self>, mut f: impl FnMut(&StreamId, &Stream)) {
        access
            .map()
            .lock()
            .iter()
            .for_each(|(id, stream)| f(id, stream));
    }
}

fn main() {
    let config = StreamRegistryConfig::default();
    let streams = Arc::new(StreamRegistry::with_map(config, OwnMap::default()));
    let registration = streams.register(StreamKind::Response);
    assert_eq!(streams.stats().pending, 1);
    drop(registration);
    assert_eq!(streams.stats().pending, 0);
}

#[cfg(test)]
mod tests {
    state_map::conformance!(super::OwnMap);
}
