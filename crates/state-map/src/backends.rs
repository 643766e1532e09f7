//! The backends, one file each: what a backend does that the contract must say stands at its top.

#[cfg(feature = "dashmap")]
mod dashmap;
#[cfg(feature = "papaya")]
mod papaya;
#[cfg(feature = "rwlock")]
mod rwlock;
#[cfg(feature = "scc")]
mod scc;

#[cfg(feature = "dashmap")]
pub use self::dashmap::DashMapBackend;
#[cfg(feature = "papaya")]
pub use self::papaya::{PapayaBackend, PapayaGuard};
#[cfg(feature = "rwlock")]
pub use self::rwlock::RwLockBackend;
#[cfg(feature = "scc")]
pub use self::scc::SccBackend;

/// What all backends have alike: the constructors that std's maps have, with a bound on the
/// capacity, and a `Debug` that walks no entries. `$build` makes the map from a checked capacity
/// and a hasher.
#[cfg(any(
    feature = "dashmap",
    feature = "papaya",
    feature = "rwlock",
    feature = "scc"
))]
macro_rules! constructors {
    ($backend:ident, [$($hasher_bound:tt)+], $build:expr) => {
        impl<K: Eq + std::hash::Hash, V> $backend<K, V> {
            /// An empty map, seeded at random, that allocates as it grows.
            #[must_use]
            pub fn new() -> Self {
                Self::default()
            }

            /// An empty map with room for `capacity` entries; 0 allocates nothing up front.
            ///
            /// # Errors
            ///
            /// [`ConfigError::Capacity`](crate::ConfigError::Capacity), where `capacity` is over
            /// [`MAX_CAPACITY`](crate::MAX_CAPACITY).
            pub fn with_capacity(capacity: usize) -> Result<Self, crate::ConfigError> {
                Self::with_capacity_and_hasher(capacity, crate::DefaultHashBuilder::default())
            }
        }

        impl<K: Eq + std::hash::Hash, V, S: $($hasher_bound)+> $backend<K, V, S> {
            /// An empty map with room for `capacity` entries, which hashes by `hasher`.
            ///
            /// The hasher must be seeded where keys come from outside, or who chooses the keys can
            /// make all of them collide.
            ///
            /// # Errors
            ///
            /// [`ConfigError::Capacity`](crate::ConfigError::Capacity), where `capacity` is over
            /// [`MAX_CAPACITY`](crate::MAX_CAPACITY).
            pub fn with_capacity_and_hasher(
                capacity: usize,
                hasher: S,
            ) -> Result<Self, crate::ConfigError> {
                let capacity = crate::config::check_capacity(capacity)?;
                Ok($build(capacity, hasher))
            }
        }

        impl<K, V, S> Default for $backend<K, V, S>
        where
            K: Eq + std::hash::Hash,
            S: $($hasher_bound)+ + Default,
        {
            fn default() -> Self {
                $build(0, S::default())
            }
        }

        impl<K, V, S: $($hasher_bound)+> std::fmt::Debug for $backend<K, V, S> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($backend)).finish_non_exhaustive()
            }
        }
    };
}
#[cfg(any(
    feature = "dashmap",
    feature = "papaya",
    feature = "rwlock",
    feature = "scc"
))]
use constructors;
