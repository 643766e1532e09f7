//! Which map stands behind the default type parameter of the crates built on this one.

#[cfg(any(
    feature = "dashmap",
    feature = "papaya",
    feature = "scc",
    feature = "rwlock"
))]
use crate::backends;

/// The map that an application gets when it names none: DashMap where the feature `dashmap` is on (the
/// standing decision, ADR-0003), else papaya, else scc, else the locked map.
///
/// Features are additive and shared by everything in a build: somebody else's dependency can turn `dashmap`
/// on. So an application may lean on this alias, while a library that needs a certain backend names it.
#[cfg(feature = "dashmap")]
pub type DefaultMap<K, V> = backends::DashMapBackend<K, V>;

/// The map that an application gets when it names none: papaya, since the feature `dashmap` is off.
#[cfg(all(feature = "papaya", not(feature = "dashmap")))]
pub type DefaultMap<K, V> = backends::PapayaBackend<K, V>;

/// The map that an application gets when it names none: scc, since `dashmap` and `papaya` are off.
#[cfg(all(feature = "scc", not(any(feature = "dashmap", feature = "papaya"))))]
pub type DefaultMap<K, V> = backends::SccBackend<K, V>;

/// The map that an application gets when it names none: the locked map, since nothing else is on.
#[cfg(all(
    feature = "rwlock",
    not(any(feature = "dashmap", feature = "papaya", feature = "scc"))
))]
pub type DefaultMap<K, V> = backends::RwLockBackend<K, V>;

/// Stands for no map, since no backend is on: using it is a compile error that names the features.
#[cfg(not(any(
    feature = "dashmap",
    feature = "papaya",
    feature = "scc",
    feature = "rwlock"
)))]
pub type DefaultMap<K, V> = NoBackend<K, V>;

/// What [`DefaultMap`] stands for while no backend is on. It has no values, and is no
/// [`StateMap`](crate::StateMap).
#[derive(Debug)]
#[cfg(not(any(
    feature = "dashmap",
    feature = "papaya",
    feature = "scc",
    feature = "rwlock"
)))]
pub enum NoBackend<K, V> {
    #[doc(hidden)]
    Never(std::convert::Infallible, std::marker::PhantomData<(K, V)>),
}

/// Holds where `NoBackend` is a map, that is nowhere: so that a bound on a map that can be made empty
/// fails with the sentence about maps, and with no second one.
#[cfg(not(any(
    feature = "dashmap",
    feature = "papaya",
    feature = "scc",
    feature = "rwlock"
)))]
impl<K, V> Default for NoBackend<K, V>
where
    Self: crate::StateMap,
{
    fn default() -> Self {
        unreachable!("`NoBackend` is no `StateMap`")
    }
}
