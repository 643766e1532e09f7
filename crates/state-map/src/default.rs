//! Which map stands behind the default type parameter of the crates built on this one.

use crate::StateMap;
#[cfg(any(
    feature = "dashmap",
    feature = "papaya",
    feature = "scc",
    feature = "rwlock"
))]
use crate::backends;

/// The map that an application gets when it names none: DashMap where the feature `dashmap` is on
/// (the standing decision, ADR-0003), else papaya, else scc, else the locked map.
///
/// A feature may be turned on by anything in the build, and this alias changes with it. So an
/// application may lean on it, while a library names its map.
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

/// Stands for no map, since no backend is on: making one is a compile error that names the
/// features.
#[cfg(not(any(
    feature = "dashmap",
    feature = "papaya",
    feature = "scc",
    feature = "rwlock"
)))]
pub type DefaultMap<K, V> = none::NoBackend<K, V>;

/// That a backend is on: what a crate on this one asks of its default map where it makes one, in
/// `new`.
///
/// `'new` is any lifetime. A bound without one is checked where it is written, and then a crate
/// would not build without a backend. With one it is checked where `new` is called, and the error
/// is the sentence above. Every map that can be made empty fulfils it.
#[diagnostic::on_unimplemented(
    message = "no map is enabled: enable one of the features `dashmap`, `papaya`, `scc` or \
               `rwlock`, or give a map of your own to `with_map`",
    label = "there is no default map to make this on"
)]
pub trait BackendEnabled<'new>: Sized {
    /// A map with nothing in it.
    fn empty() -> Self;
}

#[diagnostic::do_not_recommend]
impl<M: StateMap + Default> BackendEnabled<'_> for M {
    fn empty() -> Self {
        Self::default()
    }
}

/// For a crate that stands on two maps.
#[diagnostic::do_not_recommend]
impl<'new, A: BackendEnabled<'new>, B: BackendEnabled<'new>> BackendEnabled<'new> for (A, B) {
    fn empty() -> Self {
        (A::empty(), B::empty())
    }
}

#[cfg(not(any(
    feature = "dashmap",
    feature = "papaya",
    feature = "scc",
    feature = "rwlock"
)))]
pub(crate) mod none {
    //! A map that cannot be made. It is a `StateMap` all the same: a method called on what stands
    //! on it is no second error, beside the one that counts.

    use std::borrow::Borrow;
    use std::convert::Infallible;
    use std::hash::Hash;
    use std::marker::PhantomData;

    use crate::{Access, StateMap};

    /// What [`DefaultMap`](crate::DefaultMap) stands for while no backend is on. It has no values.
    #[derive(Debug)]
    pub struct NoBackend<K, V>(Infallible, PhantomData<(K, V)>);

    impl<K: Eq + Hash + Send + Sync, V: Send + Sync> StateMap for NoBackend<K, V> {
        type Key = K;
        type Value = V;
        type Guard<'a>
            = ()
        where
            Self: 'a;

        fn guard(&self) {
            match self.0 {}
        }

        fn read<Q, R>(access: &Access<'_, Self>, _: &Q, _: impl FnOnce(&V) -> R) -> Option<R>
        where
            K: Borrow<Q>,
            Q: Eq + Hash + ?Sized,
        {
            match access.map().0 {}
        }

        fn insert_if_absent(access: &Access<'_, Self>, _: K, _: V) -> Result<(), V> {
            match access.map().0 {}
        }

        fn remove_if<Q>(access: &Access<'_, Self>, _: &Q, _: impl FnMut(&V) -> bool) -> bool
        where
            K: Borrow<Q>,
            Q: Eq + Hash + ?Sized,
        {
            match access.map().0 {}
        }

        fn for_each(access: &Access<'_, Self>, _: impl FnMut(&K, &V)) {
            match access.map().0 {}
        }
    }
}
