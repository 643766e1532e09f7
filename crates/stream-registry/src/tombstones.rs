//! The instances that were cancelled a moment ago.
//!
//! # Design
//!
//! Instances fall into [`GROUPS`] groups by hash. A group is a lock over its tombstones, oldest first, and over its
//! *epoch*: how many instances of it have been cancelled, ever. An association is made under that lock and remembers
//! the epoch; a cancellation raises the epoch under it, and then ends what was associated before.
//!
//! # Why
//!
//! - Under one lock an association of several streams is before a cancellation, whole, or after it, whole. Without, a
//!   cancellation, its clearing and an association could interleave so that one half of a session is ended and the
//!   other is not.
//! - The epoch keeps a cancellation that is still looking through the streams from ending those of an instance that
//!   has meanwhile come back.
//! - Groups, so that associations do not wait for each other; one lock was the trouble to begin with.
//!
//! # Invariants
//!
//! - Tombstones of a group are in the order of their time, each instance once, and at most [`GROUP_MOST`].
//! - The lock is taken outside of every operation of the map.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::time::Duration;

use quanta::{Clock, Instant};
use state_map::DefaultHashBuilder;
use std_or_loom::{Mutex, lock};
use worker_id::EndpointInstanceId;

use crate::Tombstoned;

const GROUPS: usize = 64;
const GROUP_MOST: usize = 256;

pub(crate) const MOST: usize = GROUPS * GROUP_MOST;

pub(crate) struct Tombstones {
    groups: Box<[Group]>,
    hasher: DefaultHashBuilder,
    life: Duration,
    clock: Clock,
}

/// On cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct Group(Mutex<Graveyard>);

#[derive(Default)]
struct Graveyard {
    epoch: u64,
    tombstones: VecDeque<Tombstone>,
}

struct Tombstone {
    instance: EndpointInstanceId,
    since: Instant,
}

impl Tombstones {
    pub(crate) fn new(life: Duration) -> Self {
        Self {
            groups: (0..GROUPS).map(|_| Group::default()).collect(),
            hasher: DefaultHashBuilder::default(),
            life,
            clock: Clock::new(),
        }
    }

    pub(crate) fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Runs `bind` with the epoch to associate in, or answers that the instance has a tombstone.
    pub(crate) fn associate(
        &self,
        instance: &EndpointInstanceId,
        bind: impl FnOnce(u64),
    ) -> Result<(), Tombstoned> {
        let mut group = lock(&self.group(instance).0);
        if !group.tombstones.is_empty() {
            let now = self.clock.now();
            group.prune(now, self.life);
            if let Some(tombstone) = group.find(instance) {
                let instance = instance.clone();
                let age = now.duration_since(group.tombstones[tombstone].since);
                let remaining = self.life.saturating_sub(age);
                return Err(Tombstoned {
                    instance,
                    remaining,
                });
            }
        }
        bind(group.epoch);
        Ok(())
    }

    /// Gives the instance a tombstone, or a new one. What was associated with it before is of an earlier epoch than
    /// the answer, and what will be is not.
    pub(crate) fn raise(&self, instance: &EndpointInstanceId) -> u64 {
        let mut group = lock(&self.group(instance).0);
        let since = self.clock.now();
        group.prune(since, self.life);
        if let Some(earlier) = group.find(instance) {
            group.tombstones.remove(earlier);
        } else if group.tombstones.len() == GROUP_MOST {
            group.tombstones.pop_front();
        }
        let instance = instance.clone();
        group.tombstones.push_back(Tombstone { instance, since });
        group.epoch += 1;
        group.epoch
    }

    /// Takes the tombstone away. False if there was none.
    pub(crate) fn clear(&self, instance: &EndpointInstanceId) -> bool {
        let mut group = lock(&self.group(instance).0);
        group.prune(self.clock.now(), self.life);
        let found = group.find(instance);
        found.is_some_and(|at| group.tombstones.remove(at).is_some())
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        let now = self.clock.now();
        let count = |group: &Group| {
            let mut group = lock(&group.0);
            group.prune(now, self.life);
            group.tombstones.len()
        };
        self.groups.iter().map(count).sum()
    }

    fn group(&self, instance: &EndpointInstanceId) -> &Group {
        let hash = self.hasher.hash_one(instance);
        #[allow(
            clippy::cast_possible_truncation,
            reason = "the low bits are what is wanted"
        )]
        &self.groups[hash as usize % GROUPS]
    }
}

impl Graveyard {
    fn prune(&mut self, now: Instant, life: Duration) {
        while let Some(oldest) = self.tombstones.front()
            && now.duration_since(oldest.since) >= life
        {
            self.tombstones.pop_front();
        }
    }

    fn find(&self, instance: &EndpointInstanceId) -> Option<usize> {
        self.tombstones
            .iter()
            .position(|tombstone| tombstone.instance == *instance)
    }
}
