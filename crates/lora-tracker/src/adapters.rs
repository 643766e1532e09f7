//! The index of adapters, and for each the workers that have it: shared between snapshots, shard by
//! shard and adapter by adapter.
//!
//! # Invariants
//!
//! 1. In a [`Members`], `workers` is in order, and `workers[i]` stands at `places[i]` with
//!    `loras[i]`.
//! 2. No adapter in the index has neither resident nor loading members, but between `Step::Name`
//!    and the `Step::Show` that follows it.

use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

use indexmap::{Equivalent, IndexMap};
use state_map::DefaultHashBuilder;
use worker_id::WorkerWithDpRank;

use crate::lora::WorkerLora;
use crate::snapshot::shrink;

/// How many shards: a change to a shard that an old snapshot shares copies the shard.
const SHARDS: usize = 128;

/// The name of an adapter, hashed once.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    hash: u64,
    text: Arc<str>,
}

/// A name to look up.
struct Asked<'a> {
    hash: u64,
    text: &'a str,
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Equivalent<Name> for Asked<'_> {
    fn equivalent(&self, name: &Name) -> bool {
        *self.text == *name.text
    }
}

/// Hands on the hash that a name was given already.
#[derive(Default)]
pub(crate) struct Hashed(u64);

impl Hasher for Hashed {
    fn write(&mut self, _: &[u8]) {
        unreachable!("a name writes its hash");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

type Shard = IndexMap<Name, Arc<Adapter>, BuildHasherDefault<Hashed>>;

/// Where in one snapshot an adapter is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    shard: usize,
    index: usize,
}

/// Workers in order, and beside each its place and what is known of the adapter there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members {
    workers: Vec<WorkerWithDpRank>,
    places: Vec<u32>,
    loras: Vec<Arc<WorkerLora>>,
}

impl Members {
    pub(crate) fn workers(&self) -> &[WorkerWithDpRank] {
        &self.workers
    }

    pub(crate) fn places(&self) -> &[u32] {
        &self.places
    }

    #[inline]
    pub(crate) fn search(&self, worker: &WorkerWithDpRank) -> Result<usize, usize> {
        self.workers.binary_search(worker)
    }

    #[inline]
    pub(crate) fn lora(&self, worker: &WorkerWithDpRank) -> Option<&Arc<WorkerLora>> {
        self.loras.get(self.search(worker).ok()?)
    }

    pub(crate) fn insert(
        &mut self,
        at: usize,
        worker: WorkerWithDpRank,
        place: u32,
        lora: Arc<WorkerLora>,
    ) {
        insert(&mut self.workers, at, worker);
        insert(&mut self.places, at, place);
        insert(&mut self.loras, at, lora);
    }

    pub(crate) fn remove(&mut self, at: usize) {
        remove(&mut self.workers, at);
        remove(&mut self.places, at);
        remove(&mut self.loras, at);
    }

    pub(crate) fn set(&mut self, at: usize, lora: Arc<WorkerLora>) {
        self.loras[at] = lora;
    }
}

/// Inserts, and takes an eighth more room where there is none, since there are two snapshots.
fn insert<T>(items: &mut Vec<T>, at: usize, item: T) {
    if items.len() == items.capacity() {
        items.reserve_exact(items.len() / 8 + 1);
    }
    items.insert(at, item);
}

fn remove<T>(items: &mut Vec<T>, at: usize) {
    items.remove(at);
    shrink(items.len(), items.capacity(), |room| items.shrink_to(room));
}

/// The workers that an adapter is on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Adapter {
    pub(crate) resident: Members,
    pub(crate) loading: Members,
}

impl Adapter {
    pub(crate) fn members(&self, loading: bool) -> &Members {
        if loading {
            &self.loading
        } else {
            &self.resident
        }
    }

    pub(crate) fn members_mut(&mut self, loading: bool) -> &mut Members {
        if loading {
            &mut self.loading
        } else {
            &mut self.resident
        }
    }

    /// What is known of the adapter on a worker, resident or loading.
    pub(crate) fn lora(&self, worker: &WorkerWithDpRank) -> Option<&Arc<WorkerLora>> {
        let resident = self.resident.lora(worker);
        resident.or_else(|| self.loading.lora(worker))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Adapters {
    hasher: DefaultHashBuilder,
    shards: Box<[Arc<Shard>]>,
}

impl Default for Adapters {
    fn default() -> Self {
        let empty = Arc::default();
        Self {
            hasher: DefaultHashBuilder::default(),
            shards: vec![empty; SHARDS].into(),
        }
    }
}

fn shard_of(hash: u64) -> usize {
    // Bits that a table of a shard does not choose its slots by.
    (hash >> 40) as usize % SHARDS
}

impl Adapters {
    fn asked<'a>(&self, text: &'a str) -> Asked<'a> {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(text.as_bytes());
        let hash = hasher.finish();
        Asked { hash, text }
    }

    pub(crate) fn name(&self, text: &Arc<str>) -> Name {
        let hash = self.asked(text).hash;
        Name {
            hash,
            text: Arc::clone(text),
        }
    }

    #[inline]
    pub(crate) fn get(&self, name: &str) -> Option<&Adapter> {
        let asked = self.asked(name);
        self.shards[shard_of(asked.hash)]
            .get(&asked)
            .map(|adapter| &**adapter)
    }

    /// Where an adapter is, its name as all mention it, and who has it.
    pub(crate) fn find(&self, name: &str) -> Option<(At, &Arc<str>, &Adapter)> {
        let asked = self.asked(name);
        let shard = shard_of(asked.hash);
        let (index, name, adapter) = self.shards[shard].get_full(&asked)?;
        Some((At { shard, index }, &name.text, adapter))
    }

    pub(crate) fn at_mut(&mut self, at: At) -> &mut Adapter {
        let shard = Arc::make_mut(&mut self.shards[at.shard]);
        Arc::make_mut(&mut shard[at.index])
    }

    /// Adds an adapter that nobody has, and answers where.
    pub(crate) fn add(&mut self, name: &Name) -> At {
        let shard = shard_of(name.hash);
        let entries = Arc::make_mut(&mut self.shards[shard]);
        let (index, _) = entries.insert_full(name.clone(), Arc::default());
        At { shard, index }
    }

    /// Removes an adapter if nobody has it any more.
    pub(crate) fn remove_if_empty(&mut self, at: At) {
        let shard = Arc::make_mut(&mut self.shards[at.shard]);
        let adapter = &shard[at.index];
        if adapter.resident.workers.is_empty() && adapter.loading.workers.is_empty() {
            shard.swap_remove_index(at.index);
            shrink(shard.len(), shard.capacity(), |room| shard.shrink_to(room));
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Adapter)> {
        let entries = self.shards.iter().flat_map(|shard| shard.iter());
        entries.map(|(name, adapter)| (&name.text, &**adapter))
    }
}
