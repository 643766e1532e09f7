//! The designs that were there before for streams that workers call home for: indexes by text, kept
//! in step by hand, each stream a oneshot channel; in four concurrent maps, behind one plain mutex,
//! or behind one async mutex.
//!
//! All three follow one plan. A stream is registered under the text of a random UUID, with the
//! sending half of a channel; it is associated with an instance in both directions; a claim takes
//! the sending half out and undoes the association. An instance that has gone leaves a tombstone
//! for 5 s. Here none goes; each association looks for one all the same, as ours does.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use tokio::sync::oneshot::{Receiver, Sender, channel};
use uuid::Uuid;
use worker_id::EndpointInstanceId;

const TOMBSTONE_LIFE: Duration = Duration::from_secs(5);

/// From the kernel's generator, as the crate `uuid` makes them unless told otherwise.
fn next_id() -> String {
    Uuid::new_v4().to_string()
}

/// Four DashMaps, with the hasher they come with.
#[derive(Debug)]
pub struct FourMaps<T> {
    pending: DashMap<String, Sender<T>>,
    by_instance: DashMap<EndpointInstanceId, HashSet<String>>,
    instance_of: DashMap<String, EndpointInstanceId>,
    tombstones: DashMap<EndpointInstanceId, Instant>,
}

impl<T> Default for FourMaps<T> {
    fn default() -> Self {
        Self {
            pending: DashMap::new(),
            by_instance: DashMap::new(),
            instance_of: DashMap::new(),
            tombstones: DashMap::new(),
        }
    }
}

impl<T> FourMaps<T> {
    /// Registers a stream.
    #[must_use]
    pub fn register(&self) -> (String, Receiver<T>) {
        let (sender, receiver) = channel();
        let id = next_id();
        self.pending.insert(id.clone(), sender);
        (id, receiver)
    }

    /// Ties a stream to an instance; false, and the stream cancelled, if that has gone.
    #[must_use]
    pub fn associate(&self, id: &str, instance: &EndpointInstanceId) -> bool {
        let tombstone = self.tombstones.get(instance);
        if tombstone.is_some_and(|since| since.elapsed() < TOMBSTONE_LIFE) {
            self.pending.remove(id);
            return false;
        }
        self.instance_of.insert(id.to_owned(), instance.clone());
        self.by_instance
            .entry(instance.clone())
            .or_default()
            .insert(id.to_owned());
        true
    }

    /// Takes a stream's sending half, if it is still there.
    #[must_use]
    pub fn claim(&self, id: &str) -> Option<Sender<T>> {
        let (_, sender) = self.pending.remove(id)?;
        if let Some((_, instance)) = self.instance_of.remove(id) {
            if let Some(mut ids) = self.by_instance.get_mut(&instance) {
                ids.remove(id);
            }
            self.by_instance
                .remove_if(&instance, |_, ids| ids.is_empty());
        }
        Some(sender)
    }
}

/// The same four, behind one lock of somebody's choice.
#[derive(Debug)]
struct Maps<T> {
    pending: HashMap<String, Sender<T>>,
    by_instance: HashMap<EndpointInstanceId, HashSet<String>>,
    instance_of: HashMap<String, EndpointInstanceId>,
    tombstones: HashMap<EndpointInstanceId, Instant>,
}

impl<T> Default for Maps<T> {
    fn default() -> Self {
        Self {
            pending: HashMap::new(),
            by_instance: HashMap::new(),
            instance_of: HashMap::new(),
            tombstones: HashMap::new(),
        }
    }
}

impl<T> Maps<T> {
    fn associate(&mut self, id: &str, instance: &EndpointInstanceId) -> bool {
        let tombstone = self.tombstones.get(instance);
        if tombstone.is_some_and(|since| since.elapsed() < TOMBSTONE_LIFE) {
            self.pending.remove(id);
            return false;
        }
        self.instance_of.insert(id.to_owned(), instance.clone());
        if let Some(ids) = self.by_instance.get_mut(instance) {
            ids.insert(id.to_owned());
        } else {
            let ids = HashSet::from([id.to_owned()]);
            self.by_instance.insert(instance.clone(), ids);
        }
        true
    }

    fn claim(&mut self, id: &str) -> Option<Sender<T>> {
        let sender = self.pending.remove(id)?;
        if let Some(instance) = self.instance_of.remove(id)
            && let Some(ids) = self.by_instance.get_mut(&instance)
        {
            ids.remove(id);
            if ids.is_empty() {
                self.by_instance.remove(&instance);
            }
        }
        Some(sender)
    }
}

/// Behind one mutex, which is held for one operation at a time. Ids and channels are made outside.
#[derive(Debug)]
pub struct OneMutex<T>(Mutex<Maps<T>>);

impl<T> Default for OneMutex<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> OneMutex<T> {
    fn maps(&self) -> MutexGuard<'_, Maps<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a stream.
    #[must_use]
    pub fn register(&self) -> (String, Receiver<T>) {
        let (sender, receiver) = channel();
        let id = next_id();
        self.maps().pending.insert(id.clone(), sender);
        (id, receiver)
    }

    /// Ties a stream to an instance; false, and the stream cancelled, if that has gone.
    #[must_use]
    pub fn associate(&self, id: &str, instance: &EndpointInstanceId) -> bool {
        self.maps().associate(id, instance)
    }

    /// Takes a stream's sending half, if it is still there.
    #[must_use]
    pub fn claim(&self, id: &str) -> Option<Sender<T>> {
        self.maps().claim(id)
    }
}

/// Behind one mutex that tasks wait for, as it was published at first.
#[derive(Debug)]
pub struct AsyncMutex<T>(tokio::sync::Mutex<Maps<T>>);

impl<T> Default for AsyncMutex<T> {
    fn default() -> Self {
        Self(tokio::sync::Mutex::default())
    }
}

impl<T> AsyncMutex<T> {
    /// Registers a stream.
    pub async fn register(&self) -> (String, Receiver<T>) {
        let (sender, receiver) = channel();
        let id = next_id();
        self.0.lock().await.pending.insert(id.clone(), sender);
        (id, receiver)
    }

    /// Ties a stream to an instance; false, and the stream cancelled, if that has gone.
    pub async fn associate(&self, id: &str, instance: &EndpointInstanceId) -> bool {
        self.0.lock().await.associate(id, instance)
    }

    /// Takes a stream's sending half, if it is still there.
    pub async fn claim(&self, id: &str) -> Option<Sender<T>> {
        self.0.lock().await.claim(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each has to do, and then the maps that have to be empty.
    macro_rules! keeps_its_maps_in_step {
        ($of:expr, $maps:expr $(, $wait:tt)*) => {{
            let (of, maps) = ($of, $maps);
            let instance: EndpointInstanceId = "prod/decode/generate/1".parse().unwrap();
            let (id, mut receiver) = of.register()$(.$wait)*;
            assert!(of.associate(&id, &instance)$(.$wait)*);
            of.claim(&id)$(.$wait)*.unwrap().send(7_u64).unwrap();
            assert_eq!(receiver.try_recv(), Ok(7));
            assert!(of.claim(&id)$(.$wait)*.is_none());
            assert_eq!(maps(&of), (0, 0));
        }};
    }

    #[test]
    fn they_keep_their_maps_in_step() {
        let sizes = |maps: &Maps<_>| (maps.by_instance.len(), maps.instance_of.len());
        keeps_its_maps_in_step!(FourMaps::default(), |of: &FourMaps<_>| {
            (of.by_instance.len(), of.instance_of.len())
        });
        keeps_its_maps_in_step!(OneMutex::default(), |of: &OneMutex<_>| {
            sizes(&of.maps())
        });
        pollster::block_on(async {
            let sizes = |of: &AsyncMutex<_>| sizes(&of.0.try_lock().unwrap());
            keeps_its_maps_in_step!(AsyncMutex::default(), sizes, await);
        });
    }
}
