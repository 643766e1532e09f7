//! The instances that were cancelled a moment ago.
//!
//! 1. A `Group` is locked over the whole of an association, and while a cancellation raises
//!    `Tombs::epoch`: so an association of several streams is before a cancellation, whole, or
//!    after.
//! 2. A cancellation ends what was associated in an earlier epoch than its own, so nothing of an
//!    instance that has come back meanwhile.
//! 3. `Tombs::list` is in the order of time, has each instance once, and at most `MAX_IN_GROUP`.
//! 4. A group is locked outside of every operation of the map.
//!
//! Proof: `associate_against_cancel_*` and `slow_cancel_instance_against_a_return` in
//! `tests/loom.rs`.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::time::Duration;

use quanta::{Clock, Instant};
use state_map::DefaultHashBuilder;
use std_or_loom::{Mutex, lock};
use worker_id::EndpointInstanceId;

use crate::Tombstoned;

/// By the hash of the instance, so that associations with different instances seldom wait for each
/// other.
const GROUPS: usize = 64;
const MAX_IN_GROUP: usize = 256;

pub(crate) const MAX: usize = GROUPS * MAX_IN_GROUP;

pub(crate) struct Tombstones {
    /// [`GROUPS`] of them.
    groups: Box<[Group]>,
    /// Chooses an instance's group.
    hasher: DefaultHashBuilder,
    /// How long a tombstone stays.
    life: Duration,
    clock: Clock,
}

/// On cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct Group(Mutex<Tombs>);

#[derive(Default)]
struct Tombs {
    /// How many instances of the group have been cancelled, ever.
    epoch: u64,
    /// Oldest first.
    list: VecDeque<Tombstone>,
}

struct Tombstone {
    /// Who cannot be associated with.
    instance: EndpointInstanceId,
    /// When it was cancelled.
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
        if !group.list.is_empty() {
            let now = self.clock.now();
            group.prune(now, self.life);
            if let Some(tombstone) = group.find(instance) {
                let instance = instance.clone();
                let age = now.duration_since(group.list[tombstone].since);
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

    /// Gives the instance a tombstone, or a new one. What was associated with it before is of an
    /// earlier epoch than the answer, and what will be is not.
    pub(crate) fn raise(&self, instance: &EndpointInstanceId) -> u64 {
        let mut group = lock(&self.group(instance).0);
        let since = self.clock.now();
        group.prune(since, self.life);
        if let Some(earlier) = group.find(instance) {
            group.list.remove(earlier);
        } else if group.list.len() == MAX_IN_GROUP {
            group.list.pop_front();
        }
        let instance = instance.clone();
        group.list.push_back(Tombstone { instance, since });
        group.epoch += 1;
        group.epoch
    }

    /// Takes the tombstone away. False if there was none.
    pub(crate) fn clear(&self, instance: &EndpointInstanceId) -> bool {
        let mut group = lock(&self.group(instance).0);
        group.prune(self.clock.now(), self.life);
        let found = group.find(instance);
        found.is_some_and(|at| group.list.remove(at).is_some())
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        let now = self.clock.now();
        let count = |group: &Group| {
            let mut group = lock(&group.0);
            group.prune(now, self.life);
            group.list.len()
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

impl Tombs {
    fn prune(&mut self, now: Instant, life: Duration) {
        while let Some(oldest) = self.list.front()
            && now.duration_since(oldest.since) >= life
        {
            self.list.pop_front();
        }
    }

    fn find(&self, instance: &EndpointInstanceId) -> Option<usize> {
        self.list
            .iter()
            .position(|tombstone| tombstone.instance == *instance)
    }
}
