//! What a map may be asked for, and the error where it may not.

use thiserror::Error;

/// The most entries that a map allocates room for up front: 2^24, 16,777,216.
///
/// It bounds what a mistyped configuration value can allocate, and nothing else: maps grow past it.
pub const MAX_CAPACITY: usize = 1 << 24;

/// The most shards of a DashMap: 2^16, 65,536. Each takes a cache line or two, used or not.
pub const MAX_SHARDS: usize = 1 << 16;

/// A map that cannot be built as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// More room up front than [`MAX_CAPACITY`].
    #[error(
        "a capacity of {value} entries is over the {MAX_CAPACITY} that a map allocates up front: \
         ask for less, it grows by itself"
    )]
    Capacity {
        /// The capacity asked for.
        value: usize,
    },
    /// A shard count that is not a power of two from 2 to [`MAX_SHARDS`].
    #[error("{value} shards are not a power of two from 2 to {MAX_SHARDS}: ask for {nearest}")]
    Shards {
        /// The shard count asked for.
        value: usize,
        /// The allowed count nearest to it, rounded up.
        nearest: usize,
    },
}

#[cfg(any(
    feature = "dashmap",
    feature = "papaya",
    feature = "rwlock",
    feature = "scc"
))]
pub(crate) fn check_capacity(value: usize) -> Result<usize, ConfigError> {
    if value <= MAX_CAPACITY {
        Ok(value)
    } else {
        Err(ConfigError::Capacity { value })
    }
}

#[cfg(feature = "dashmap")]
pub(crate) fn check_shards(value: usize) -> Result<usize, ConfigError> {
    let nearest = value.clamp(2, MAX_SHARDS).next_power_of_two();
    if value == nearest {
        Ok(value)
    } else {
        Err(ConfigError::Shards { value, nearest })
    }
}
