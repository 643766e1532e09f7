//! The workers of one model by what they can do, and whether requests may be sent to them.
//!
//! # Invariants
//!
//! In a [`Pool`], `places[..ends[0]]` are healthy, `places[ends[0]..ends[1]]` draining, and
//! `places[ends[1]..ends[2]]` ill; `ends[2] == places.len()`.

use worker_id::WorkerState;

use crate::router::CLASSES;
use crate::{Role, RouterClass};

/// Some of the classes, a bit each, from the one that is preferred most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClassSet(u8);

impl ClassSet {
    #[inline]
    pub(crate) fn with(self, class: RouterClass, present: bool) -> Self {
        Self(self.0 | u8::from(present) << class.index())
    }

    #[inline]
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) fn has(self, class: RouterClass) -> bool {
        self.0 & 1 << class.index() != 0
    }

    /// The best one.
    #[inline]
    pub(crate) fn best(self) -> Option<RouterClass> {
        RouterClass::ALL
            .get(self.0.trailing_zeros() as usize)
            .copied()
    }
}

/// Places of workers, by state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool {
    places: Vec<u32>,
    ends: [usize; 3],
}

fn region(state: WorkerState) -> usize {
    match state {
        WorkerState::Healthy => 0,
        WorkerState::Draining => 1,
        WorkerState::Ill => 2,
    }
}

impl Pool {
    /// Those that requests may be sent to; with `draining`, also those that finish what they have.
    #[inline]
    pub(crate) fn open(&self, draining: bool) -> &[u32] {
        &self.places[..self.ends[usize::from(draining)]]
    }

    pub(crate) fn all(&self) -> &[u32] {
        &self.places
    }

    pub(crate) fn count(&self, state: WorkerState) -> usize {
        match region(state) {
            0 => self.ends[0],
            region => self.ends[region] - self.ends[region - 1],
        }
    }

    fn insert(&mut self, place: u32, state: WorkerState) {
        self.places.push(place);
        let mut at = self.places.len() - 1;
        // The first of each later region makes room at its start.
        for region in (region(state) + 1..3).rev() {
            let start = self.ends[region - 1];
            self.places.swap(at, start);
            at = start;
        }
        self.ends[region(state)..]
            .iter_mut()
            .for_each(|end| *end += 1);
    }

    fn remove(&mut self, place: u32, state: WorkerState) {
        let first = region(state);
        let start = first.checked_sub(1).map_or(0, |before| self.ends[before]);
        let mut there = self.places[start..self.ends[first]].iter();
        let Some(at) = there.position(|other| *other == place) else {
            return;
        };
        let mut at = start + at;
        for end in &mut self.ends[first..] {
            *end -= 1;
            self.places.swap(at, *end);
            at = *end;
        }
        self.places.pop();
        if self.places.capacity() > 64 && self.places.len() < self.places.capacity() / 4 {
            self.places.shrink_to(self.places.capacity() / 2);
        }
    }
}

/// What a worker can do: one for each class, but two for the halves of a pair.
const POOLS: usize = 7;

/// Where among the pools the workers of a class and role are. Of a class that is no pair, the role
/// does not matter.
fn number(class: RouterClass, role: Role) -> usize {
    match (class, role) {
        (RouterClass::External, _) => 0,
        (RouterClass::GrpcPd, Role::Decode) => 2,
        (RouterClass::GrpcPd, _) => 1,
        (RouterClass::HttpPd, Role::Decode) => 4,
        (RouterClass::HttpPd, _) => 3,
        (RouterClass::GrpcRegular, _) => 5,
        (RouterClass::HttpRegular, _) => 6,
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Pools([Pool; POOLS]);

impl Pools {
    #[inline]
    pub(crate) fn of(&self, class: RouterClass, role: Role) -> &Pool {
        &self.0[number(class, role)]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Pool> + Clone {
        self.0.iter()
    }

    pub(crate) fn insert(
        &mut self,
        class: RouterClass,
        role: Role,
        place: u32,
        state: WorkerState,
    ) {
        self.0[number(class, role)].insert(place, state);
    }

    pub(crate) fn remove(
        &mut self,
        class: RouterClass,
        role: Role,
        place: u32,
        state: WorkerState,
    ) {
        self.0[number(class, role)].remove(place, state);
    }

    /// The classes that can serve a request: of a pair, both halves are there.
    pub(crate) fn served(&self, draining: bool) -> ClassSet {
        let is_open = |class, role| !self.of(class, role).open(draining).is_empty();
        let serves = |class: RouterClass| {
            let halves = [Role::Prefill, Role::Decode];
            if class.is_pd() {
                halves.into_iter().all(|half| is_open(class, half))
            } else {
                is_open(class, Role::Regular)
            }
        };
        let classes = RouterClass::ALL.into_iter();
        classes.fold(ClassSet::default(), |set, class| {
            set.with(class, serves(class))
        })
    }
}

/// How many models each class serves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Served([u32; CLASSES]);

impl Served {
    pub(crate) fn replace(&mut self, before: ClassSet, now: ClassSet) {
        for class in RouterClass::ALL {
            let count = &mut self.0[class.index()];
            *count += u32::from(now.has(class));
            *count -= u32::from(before.has(class));
        }
    }

    pub(crate) fn classes(&self) -> ClassSet {
        let classes = RouterClass::ALL.into_iter();
        classes.fold(ClassSet::default(), |set, class| {
            set.with(class, self.0[class.index()] > 0)
        })
    }
}
