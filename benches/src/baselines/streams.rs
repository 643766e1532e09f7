//! The designs that were there before for streams that workers call home for: indexes by text, kept in step by hand, each
//! stream a oneshot channel; in four concurrent maps, behind one plain mutex, or behind one async mutex.
//!
//! All three follow one plan. A stream is registered under the text of a random UUID, with the sending half of a channel;
//! it is associated with an instance in both directions; a claim takes the sending half out and undoes the association.
//! What they do about instances that have gone is what ours does: tombstones that live 5 s.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use tokio::sync::oneshot;
use uuid::Uuid;
use worker_id::EndpointInstanceId;

const TOMBSTONE_LIFE: Duration = Duration::from_secs(5);

/// How ids come about.
#[derive(Clone, Copy, Debug)]
pub enum Ids {
    /// From the kernel's generator, as the crate `uuid` makes them unless told otherwise.
    OfTheKernel,
    /// From the thread's own generator, as ours are.
    OfTheThread,
}

impl Ids {
    fn next(self) -> String {
        let id = match self {
            Self::OfTheKernel => Uuid::new_v4(),
            Self::OfTheThread => uuid::Builder::from_random_bytes(rand::random()).into_uuid(),
        };
        id.to_string()
    }
}

/// What a registrant waits on.
pub type Receiver<T> = oneshot::Receiver<T>;

/// Four DashMaps, with the hasher they come with: streams by id, ids by instance, instances by id, tombstones.
#[derive(Debug)]
pub struct FourMaps<T> {
    ids: Ids,
    pending: DashMap<String, oneshot::Sender<T>>,
    by_instance: DashMap<EndpointInstanceId, HashSet<String>>,
    instance_of: DashMap<String, EndpointInstanceId>,
    tombstones: DashMap<EndpointInstanceId, Instant>,
}

impl<T> FourMaps<T> {
    /// No streams.
    #[must_use]
    pub fn new(ids: Ids) -> Self {
        Self {
            ids,
            pending: DashMap::new(),
            by_instance: DashMap::new(),
            instance_of: DashMap::new(),
            tombstones: DashMap::new(),
        }
    }

    /// Registers a stream.
    #[must_use]
    pub fn register(&self) -> (String, Receiver<T>) {
        let (sender, receiver) = oneshot::channel();
        let id = self.ids.next();
        self.pending.insert(id.clone(), sender);
        (id, receiver)
    }

    /// Ties a stream to an instance; false, and the stream cancelled, if that has gone.
    #[must_use]
    pub fn associate(&self, id: &str, instance: &EndpointInstanceId) -> bool {
        let gone = |since: &Instant| since.elapsed() < TOMBSTONE_LIFE;
        if self
            .tombstones
            .get(instance)
            .is_some_and(|since| gone(&since))
        {
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
    pub fn claim(&self, id: &str) -> Option<oneshot::Sender<T>> {
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

    /// Cancels what is tied to an instance.
    pub fn cancel_instance(&self, instance: &EndpointInstanceId) -> usize {
        self.tombstones
            .retain(|_, since| since.elapsed() < TOMBSTONE_LIFE);
        self.tombstones.insert(instance.clone(), Instant::now());
        let ids = self.by_instance.remove(instance);
        let ids = ids.map(|(_, ids)| ids).unwrap_or_default();
        let ended = ids.iter().filter(|id| {
            self.instance_of.remove(*id);
            self.pending.remove(*id).is_some()
        });
        ended.count()
    }
}

/// The same four, behind one lock of somebody's choice.
#[derive(Debug)]
struct Maps<T> {
    pending: HashMap<String, oneshot::Sender<T>>,
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

    fn claim(&mut self, id: &str) -> Option<oneshot::Sender<T>> {
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

    fn cancel_instance(&mut self, instance: &EndpointInstanceId) -> usize {
        self.tombstones
            .retain(|_, since| since.elapsed() < TOMBSTONE_LIFE);
        self.tombstones.insert(instance.clone(), Instant::now());
        let ids = self.by_instance.remove(instance).unwrap_or_default();
        let ended = ids.iter().filter(|id| {
            self.instance_of.remove(*id);
            self.pending.remove(*id).is_some()
        });
        ended.count()
    }
}

/// Behind one mutex, which is held for one operation at a time. Ids and channels are made outside of it.
#[derive(Debug)]
pub struct OneMutex<T> {
    ids: Ids,
    maps: Mutex<Maps<T>>,
}

impl<T> OneMutex<T> {
    /// No streams.
    #[must_use]
    pub fn new(ids: Ids) -> Self {
        Self {
            ids,
            maps: Mutex::default(),
        }
    }

    fn maps(&self) -> MutexGuard<'_, Maps<T>> {
        self.maps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a stream.
    #[must_use]
    pub fn register(&self) -> (String, Receiver<T>) {
        let (sender, receiver) = oneshot::channel();
        let id = self.ids.next();
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
    pub fn claim(&self, id: &str) -> Option<oneshot::Sender<T>> {
        self.maps().claim(id)
    }

    /// Cancels what is tied to an instance.
    pub fn cancel_instance(&self, instance: &EndpointInstanceId) -> usize {
        self.maps().cancel_instance(instance)
    }
}

/// Behind one mutex that tasks wait for, as it was published at first.
#[derive(Debug)]
pub struct AsyncMutex<T> {
    ids: Ids,
    maps: tokio::sync::Mutex<Maps<T>>,
}

impl<T> AsyncMutex<T> {
    /// No streams.
    #[must_use]
    pub fn new(ids: Ids) -> Self {
        Self {
            ids,
            maps: tokio::sync::Mutex::default(),
        }
    }

    /// Registers a stream.
    pub async fn register(&self) -> (String, Receiver<T>) {
        let (sender, receiver) = oneshot::channel();
        let id = self.ids.next();
        self.maps.lock().await.pending.insert(id.clone(), sender);
        (id, receiver)
    }

    /// Ties a stream to an instance; false, and the stream cancelled, if that has gone.
    pub async fn associate(&self, id: &str, instance: &EndpointInstanceId) -> bool {
        self.maps.lock().await.associate(id, instance)
    }

    /// Takes a stream's sending half, if it is still there.
    pub async fn claim(&self, id: &str) -> Option<oneshot::Sender<T>> {
        self.maps.lock().await.claim(id)
    }

    /// Cancels what is tied to an instance.
    pub async fn cancel_instance(&self, instance: &EndpointInstanceId) -> usize {
        self.maps.lock().await.cancel_instance(instance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_keep_their_maps_in_step() {
        let four = FourMaps::<u64>::new(Ids::OfTheKernel);
        let one = OneMutex::<u64>::new(Ids::OfTheThread);
        let instance: EndpointInstanceId = "prod/decode/generate/1".parse().unwrap();

        let (id, mut receiver) = four.register();
        assert!(four.associate(&id, &instance));
        four.claim(&id).unwrap().send(7).unwrap();
        assert_eq!(receiver.try_recv(), Ok(7));
        assert!(four.claim(&id).is_none());
        assert!(four.by_instance.is_empty() && four.instance_of.is_empty());
        let (id, mut receiver) = four.register();
        assert!(four.associate(&id, &instance));
        assert_eq!(four.cancel_instance(&instance), 1);
        assert!(receiver.try_recv().is_err() && !four.associate(&id, &instance));

        let (id, mut receiver) = one.register();
        assert!(one.associate(&id, &instance));
        one.claim(&id).unwrap().send(7).unwrap();
        assert_eq!(receiver.try_recv(), Ok(7));
        assert!(one.claim(&id).is_none());
        assert!(one.maps().by_instance.is_empty() && one.maps().instance_of.is_empty());
        let (id, mut receiver) = one.register();
        assert!(one.associate(&id, &instance));
        assert_eq!(one.cancel_instance(&instance), 1);
        assert!(receiver.try_recv().is_err() && !one.associate(&id, &instance));
    }
}
