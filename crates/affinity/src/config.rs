//! How long pins live in memory, how many there may be, and what happens to one more.
//!
//! # Design
//!
//! Plain data with public fields; nothing is checked until [`validate`](MemoryStoreConfig::validate), which a store does.

use std::time::Duration;

use thiserror::Error;

use crate::SessionKey;
use crate::entry::{MAX_LEASES, NEVER};

/// How a [`MemoryStore`](crate::MemoryStore) keeps its pins.
///
/// ```
/// use affinity::{MemoryStoreConfig, WhenFull};
/// use std::time::Duration;
///
/// let config = MemoryStoreConfig {
///     ttl: Duration::from_secs(600),
///     when_full: WhenFull::EvictOldestIdle,
///     ..MemoryStoreConfig::default()
/// };
/// config.validate()?;
/// # Ok::<(), affinity::ConfigError>(())
/// ```
///
/// # Serde
///
/// With the feature `serde`: a missing field takes its default, an unknown one is an error. Deserializing does not
/// validate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[must_use]
pub struct MemoryStoreConfig {
    /// How long a pin lives that nobody uses. At least a millisecond, in whole ones; five minutes by default. From 2,200
    /// years on, as with `Duration::MAX`, it lives for ever.
    pub ttl: Duration,
    /// The most sessions, exactly; 65,536 by default. At least one.
    pub capacity: usize,
    /// The most bytes of a key, tenant, model and session together; 256 by default, at most [`SessionKey::MAX_LEN`].
    pub max_key_len: usize,
    /// What happens to a session for which there is no room.
    pub when_full: WhenFull,
    /// The most turns of one session that may be in flight, that is, [leases](crate::MemoryStore::acquire). 65,535 by
    /// default, which is as many as can be counted; at least one.
    pub max_turns: u16,
}

/// What a full store does with a session that it has no pin for. A pin whose time is up never counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum WhenFull {
    /// Answers [`StoreError::Full`](crate::StoreError::Full). Every pin stays.
    #[default]
    Reject,
    /// Declines, without an error: the request is routed and not remembered. Every pin stays.
    Unpinned,
    /// Ends the pin that has been idle longest, those first that were never used after they were bound, and none that
    /// has a turn in flight. Of those that are equally old by the millisecond, any.
    ///
    /// An eviction looks at 256 pins at most. Where all of them were used since it last looked at them, it ends the one
    /// of them that was used longest ago, though others might be found that never were. So of pins in use a flood of
    /// made-up sessions ends at most one in 256, and of those that a sweep or an eviction has looked at since their
    /// first use none. A pin never used after it was bound is no better than a made-up one.
    /// Of pins that were all used in this very millisecond it knows the first 256 only, and may answer
    /// [`StoreError::Full`](crate::StoreError::Full) if these have turns in flight.
    EvictOldestIdle,
}

impl Default for MemoryStoreConfig {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(300),
            capacity: 65_536,
            max_key_len: 256,
            when_full: WhenFull::Reject,
            max_turns: MAX_LEASES,
        }
    }
}

impl MemoryStoreConfig {
    /// Whether a store can be made of this.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], for the first rule that is broken, in the order of its variants.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.ttl < Duration::from_millis(1) {
            return Err(ConfigError::Ttl { value: self.ttl });
        }
        if self.capacity == 0 {
            return Err(ConfigError::Capacity);
        }
        let value = self.max_key_len;
        if value == 0 || value > SessionKey::MAX_LEN {
            return Err(ConfigError::MaxKeyLen { value });
        }
        if self.max_turns == 0 {
            return Err(ConfigError::MaxTurns);
        }
        Ok(())
    }

    pub(crate) fn ttl_in_millis(&self) -> u64 {
        u64::try_from(self.ttl.as_millis())
            .unwrap_or(NEVER)
            .min(NEVER)
    }
}

/// A config that no store can be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Pins would be over before they are made.
    #[error(
        "`ttl` is {value:?}; it must be a millisecond at least: to pin nothing, do not make a store"
    )]
    Ttl {
        /// The rejected value.
        value: Duration,
    },
    /// Nothing could be pinned.
    #[error("`capacity` is 0; it must be 1 at least: to pin nothing, do not make a store")]
    Capacity,
    /// No key, or keys that cannot be made.
    #[error(
        "`max_key_len` is {value}; it must be from 1 to {max} (the default is 256)",
        max = SessionKey::MAX_LEN
    )]
    MaxKeyLen {
        /// The rejected value.
        value: usize,
    },
    /// No turn could ever start.
    #[error("`max_turns` is 0; it must be 1 at least: to allow no turn, acquire no lease")]
    MaxTurns,
}
