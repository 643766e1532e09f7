//! A map whose backend is chosen when the program runs, so that a program with many maps is compiled once.
//!
//! # Why
//!
//! Five crates on four backends are a thousand programs, if backends are types. Here each operation of a map begins with one
//! branch, which goes the same way every time: about a nanosecond, the same for all backends. Where a nanosecond decides, as in
//! the scenarios of one crate, backends stay types.

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::str::FromStr;

use anyhow::bail;
use state_map::{
    Access, DashMapBackend, PapayaBackend, RwLockBackend, SccBackend, Shrink, StateMap,
};

/// A backend, by name.
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
}

impl Backend {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::DashMap, Self::Papaya, Self::Scc, Self::RwLock];

    /// Its name, as the features have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DashMap => "dashmap",
            Self::Papaya => "papaya",
            Self::Scc => "scc",
            Self::RwLock => "rwlock",
        }
    }

    /// An empty map on it.
    #[must_use]
    pub fn map<K: Eq + Hash, V>(self) -> AnyMap<K, V> {
        match self {
            Self::DashMap => AnyMap::DashMap(DashMapBackend::new()),
            Self::Papaya => AnyMap::Papaya(PapayaBackend::new()),
            Self::Scc => AnyMap::Scc(SccBackend::new()),
            Self::RwLock => AnyMap::RwLock(RwLockBackend::new()),
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

    fn from_str(text: &str) -> anyhow::Result<Self> {
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
}

/// The access of an [`AnyMap`].
#[derive(Debug)]
pub enum AnyAccess<'a, K, V>
where
    K: Eq + Hash + Send + Sync,
    V: Send + Sync,
{
    /// On DashMap.
    DashMap(Access<'a, DashMapBackend<K, V>>),
    /// On papaya.
    Papaya(Access<'a, PapayaBackend<K, V>>),
    /// On scc.
    Scc(Access<'a, SccBackend<K, V>>),
    /// On a locked table.
    RwLock(Access<'a, RwLockBackend<K, V>>),
}

macro_rules! on {
    ($kind:ident, $any:expr, $each:ident => $what:expr) => {
        match $any {
            $kind::DashMap($each) => $what,
            $kind::Papaya($each) => $what,
            $kind::Scc($each) => $what,
            $kind::RwLock($each) => $what,
        }
    };
}

impl<K, V> StateMap for AnyMap<K, V>
where
    K: Eq + Hash + Send + Sync,
    V: Send + Sync,
{
    type Key = K;
    type Value = V;
    type Guard<'a>
        = AnyAccess<'a, K, V>
    where
        Self: 'a;

    #[inline]
    fn guard(&self) -> AnyAccess<'_, K, V> {
        match self {
            Self::DashMap(map) => AnyAccess::DashMap(map.access()),
            Self::Papaya(map) => AnyAccess::Papaya(map.access()),
            Self::Scc(map) => AnyAccess::Scc(map.access()),
            Self::RwLock(map) => AnyAccess::RwLock(map.access()),
        }
    }

    #[inline]
    fn read<Q, R>(access: &Access<'_, Self>, key: &Q, f: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        on!(AnyAccess, access.guard(), each => each.read(key, f))
    }

    fn insert_if_absent(access: &Access<'_, Self>, key: K, value: V) -> Result<(), V> {
        on!(AnyAccess, access.guard(), each => each.insert_if_absent(key, value))
    }

    fn remove_if<Q>(access: &Access<'_, Self>, key: &Q, condition: impl FnMut(&V) -> bool) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        on!(AnyAccess, access.guard(), each => each.remove_if(key, condition))
    }

    fn for_each(access: &Access<'_, Self>, f: impl FnMut(&K, &V)) {
        on!(AnyAccess, access.guard(), each => each.for_each(f));
    }

    fn len(&self) -> usize {
        on!(Self, self, map => map.len())
    }

    fn shard_lens(&self) -> Option<Vec<usize>> {
        on!(Self, self, map => map.shard_lens())
    }

    fn shrink(&self) -> Shrink {
        on!(Self, self, map => map.shrink())
    }
}
