//! A map whose backend is chosen when the program runs, so that every workload is compiled once.
//!
//! # Why
//!
//! Five crates on four backends would be a thousand programs, if backends were types. Here each
//! operation of a map begins with one branch, which goes the same way every time: about a
//! nanosecond, the same on all backends.

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::str::FromStr;

use anyhow::{Result, bail, ensure};
use state_map::{
    DashMapBackend, DefaultHashBuilder, LocalSession, MAX_SHARDS, MapSession, Occupied,
    PapayaBackend, PapayaSession, Retire, RwLockBackend, SccBackend, Shrink, StateMap,
};

use crate::free::FreeMap;
use crate::planted;
use crate::scenario::{AGAIN, FREE, PLANTED, more_shards};

/// What a map stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// `dashmap`
    DashMap,
    /// `papaya`
    Papaya,
    /// `scc`
    Scc,
    /// `rwlock`
    RwLock,
    /// DashMap with so many shards, in place of those that it would have on this machine.
    Sharded(usize),
    /// DashMap, with [a delay](planted) before each access.
    Planted,
    /// [Next to nothing](FreeMap).
    Free,
}

impl Backend {
    /// Those that have a name, and that users can choose.
    pub const ALL: [Self; 4] = [Self::DashMap, Self::Papaya, Self::Scc, Self::RwLock];

    /// What the maps of an arm stand on.
    ///
    /// # Errors
    ///
    /// If no map is called so, or DashMap cannot have so many shards.
    pub fn of_arm(arm: &str) -> Result<Self> {
        Ok(match (arm, more_shards(arm)) {
            (AGAIN, _) => Self::DashMap,
            (PLANTED, _) => Self::Planted,
            (FREE, _) => Self::Free,
            (_, Some(shards)) => {
                let fit = shards.is_power_of_two() && (2..=MAX_SHARDS).contains(&shards);
                ensure!(
                    fit,
                    "{shards} shards: a power of two from 2 to {MAX_SHARDS}"
                );
                Self::Sharded(shards)
            }
            (name, None) => name.parse()?,
        })
    }

    /// Its name, as the features have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DashMap | Self::Sharded(_) => "dashmap",
            Self::Papaya => "papaya",
            Self::Scc => "scc",
            Self::RwLock => "rwlock",
            Self::Planted => PLANTED,
            Self::Free => FREE,
        }
    }

    /// An empty map on it. `beforehand` entries at most are inserted before threads begin: only a
    /// [`FreeMap`] asks.
    ///
    /// # Panics
    ///
    /// If DashMap cannot have so many shards.
    #[must_use]
    pub fn map<K: Eq + Hash, V>(self, beforehand: usize) -> AnyMap<K, V> {
        let hasher = DefaultHashBuilder::default();
        match self {
            Self::DashMap => AnyMap::DashMap(DashMapBackend::new()),
            Self::Papaya => AnyMap::Papaya(PapayaBackend::new()),
            Self::Scc => AnyMap::Scc(SccBackend::new()),
            Self::RwLock => AnyMap::RwLock(RwLockBackend::new()),
            Self::Sharded(shards) => {
                let map = DashMapBackend::with_capacity_hasher_and_shards(0, hasher, shards);
                AnyMap::DashMap(map.expect("a power of two"))
            }
            Self::Planted => AnyMap::Planted(DashMapBackend::new()),
            Self::Free => AnyMap::Free(FreeMap::new(beforehand)),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Backend {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match Self::ALL.into_iter().find(|each| each.name() == text) {
            Some(backend) => Ok(backend),
            None => bail!("no map is called {text}: name dashmap, papaya, scc or rwlock"),
        }
    }
}

/// A map on one of the backends. From [`Backend::map`].
#[derive(Debug)]
pub enum AnyMap<K, V> {
    /// On DashMap.
    DashMap(DashMapBackend<K, V>),
    /// On papaya.
    Papaya(PapayaBackend<K, V>),
    /// On scc.
    Scc(SccBackend<K, V>),
    /// On a locked `HashMap`.
    RwLock(RwLockBackend<K, V>),
    /// On DashMap, with a delay.
    Planted(DashMapBackend<K, V>),
    /// On next to nothing.
    Free(FreeMap<K, V>),
}

/// The session of an [`AnyMap`].
#[derive(Debug)]
pub enum AnySession<'a, K, V> {
    /// On DashMap.
    DashMap(LocalSession<'a, DashMapBackend<K, V>>),
    /// On papaya.
    Papaya(PapayaSession<'a, K, V, DefaultHashBuilder>),
    /// On scc.
    Scc(LocalSession<'a, SccBackend<K, V>>),
    /// On a locked `HashMap`.
    RwLock(LocalSession<'a, RwLockBackend<K, V>>),
    /// On DashMap, with a delay.
    Planted(LocalSession<'a, DashMapBackend<K, V>>),
    /// On next to nothing.
    Free(&'a FreeMap<K, V>),
}

macro_rules! on {
    ($kind:ident, $any:expr, $each:ident => $what:expr) => {
        match $any {
            $kind::DashMap($each) => $what,
            $kind::Papaya($each) => $what,
            $kind::Scc($each) => $what,
            $kind::RwLock($each) => $what,
            $kind::Planted($each) => {
                // Before the lock is taken: it makes the access longer, and not the lock's hold.
                planted::spend();
                $what
            }
            $kind::Free($each) => $what,
        }
    };
}

impl<K, V> StateMap for AnyMap<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Retire + Send + Sync + 'static,
{
    type Key = K;
    type Value = V;
    type Session<'a> = AnySession<'a, K, V>;

    #[inline]
    fn session(&self) -> AnySession<'_, K, V> {
        match self {
            Self::DashMap(map) => AnySession::DashMap(map.session()),
            Self::Papaya(map) => AnySession::Papaya(map.session()),
            Self::Scc(map) => AnySession::Scc(map.session()),
            Self::RwLock(map) => AnySession::RwLock(map.session()),
            Self::Planted(map) => AnySession::Planted(map.session()),
            Self::Free(map) => AnySession::Free(map),
        }
    }

    fn len(&self) -> usize {
        on!(Self, self, map => map.len())
    }

    fn shard_lens(&self) -> Option<Vec<usize>> {
        match self {
            Self::DashMap(map) | Self::Planted(map) => map.shard_lens(),
            _ => None,
        }
    }

    fn shrink(&self) -> Shrink {
        on!(Self, self, map => map.shrink())
    }
}

impl<K, V> MapSession for AnySession<'_, K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Retire + Send + Sync + 'static,
{
    type Key = K;
    type Value = V;

    #[inline]
    fn read<Q, R>(&self, key: &Q, f: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        on!(Self, self, session => session.read(key, f))
    }

    fn insert_if_absent<R>(
        &self,
        key: K,
        value: V,
        occupied: impl FnOnce(&V) -> R,
    ) -> Result<(), Occupied<V, R>> {
        on!(Self, self, session => session.insert_if_absent(key, value, occupied))
    }

    fn remove_if<Q>(&self, key: &Q, condition: impl FnMut(&V) -> bool) -> Option<V::Payload>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        on!(Self, self, session => session.remove_if(key, condition))
    }

    fn for_each(&self, f: impl FnMut(&K, &V)) {
        on!(Self, self, session => session.for_each(f));
    }
}
