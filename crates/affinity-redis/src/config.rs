//! Where the pins are, how long they live, and how long anybody waits for them.
//!
//! # Design
//!
//! Plain data with public fields; nothing is checked until [`validate`](RedisStoreConfig::validate), which connecting does.
//!
//! # Why
//!
//! *No pin for ever*: nothing bounds how many sessions clients can make up, and a shared server is everybody's. So a time to
//! live has a largest value, and one above it is refused rather than taken for something else.

use std::fmt;
use std::time::Duration;

use affinity::SessionKey;
use redis::IntoConnectionInfo;
use thiserror::Error;

/// How a [`RedisStore`](crate::RedisStore) reaches its server and keeps its pins.
///
/// ```
/// use affinity_redis::RedisStoreConfig;
/// use std::time::Duration;
///
/// let config = RedisStoreConfig {
///     prefix: "prod-eu".to_owned(),
///     ttl: Duration::from_secs(600),
///     ..RedisStoreConfig::new("redis://cache.internal:6379/0")
/// };
/// config.validate()?;
/// # Ok::<(), affinity_redis::ConfigError>(())
/// ```
///
/// `Debug` shows of the URL the address alone: the rest may be a password.
///
/// # Serde
///
/// With the feature `serde` it can be read, not written: a missing field takes its default, an unknown one is an error.
/// Deserializing does not validate.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[must_use]
pub struct RedisStoreConfig {
    /// The server: `redis://[user[:password]@]host[:port][/db]`, `unix:///path`, or, with the feature `tls`, `rediss://`.
    /// `redis://127.0.0.1/` by default.
    pub url: String,
    /// What every key of this deployment begins with; `affinity` by default. From 1 to 128 bytes, and no brace, since
    /// braces tell a cluster which keys belong together. Routers share pins exactly if they have the same prefix.
    pub prefix: String,
    /// Over how many buckets the pins are spread; 16 by default, from 1 to 16,384. A bucket is one slot of a cluster, and
    /// one round trip of a sweep. Fixed for a deployment: the first router writes it down, and another that has it
    /// otherwise is refused.
    pub buckets: u16,
    /// How long a pin lives that nobody uses, in whole milliseconds. Five minutes by default; from a millisecond to 365
    /// days. Routers may differ in it: a pin lives for the ttl of the router that used it last. One that is engine-backed is
    /// told of no earlier than the ttl of the router that bound it has passed since.
    pub ttl: Duration,
    /// How long an operation may take, the wait for a new connection included; 50 ms by default, from a millisecond to a
    /// minute.
    pub timeout: Duration,
    /// The most bytes of a key, tenant, model and session together; 256 by default, at most [`SessionKey::MAX_LEN`].
    pub max_key_len: usize,
    /// How long a sweeper that has claimed expired bindings may take to tell of them; another tells of those that it has
    /// not told until then. 30 seconds by default, from a millisecond to a day.
    pub claim_ttl: Duration,
}

impl RedisStoreConfig {
    /// The longest time to live: 365 days.
    pub const MAX_TTL: Duration = Duration::from_secs(365 * 24 * 3_600);

    /// The defaults, on this server.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            ..Self::default()
        }
    }

    /// Whether a store can be made of this.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], for the first rule that is broken, in the order of its variants.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.connection_info()?;
        if self.prefix.is_empty()
            || self.prefix.len() > MAX_PREFIX_LEN
            || self.prefix.contains(['{', '}'])
        {
            return Err(ConfigError::Prefix {
                value: self.prefix.clone(),
            });
        }
        if self.buckets == 0 || self.buckets > MAX_BUCKETS {
            return Err(ConfigError::Buckets {
                value: self.buckets,
            });
        }
        for (field, value, max) in [
            (DurationField::Ttl, self.ttl, Self::MAX_TTL),
            (
                DurationField::Timeout,
                self.timeout,
                Duration::from_secs(60),
            ),
            (
                DurationField::ClaimTtl,
                self.claim_ttl,
                Duration::from_secs(24 * 3_600),
            ),
        ] {
            if value < Duration::from_millis(1) || value > max {
                return Err(ConfigError::Duration { field, value, max });
            }
        }
        let value = self.max_key_len;
        if value == 0 || value > SessionKey::MAX_LEN {
            return Err(ConfigError::MaxKeyLen { value });
        }
        Ok(())
    }

    pub(crate) fn connection_info(&self) -> Result<redis::ConnectionInfo, ConfigError> {
        self.url
            .as_str()
            .into_connection_info()
            .map_err(|source| ConfigError::Url {
                reason: source.to_string(),
            })
    }
}

const MAX_PREFIX_LEN: usize = 128;

/// The slots of a cluster: more buckets would not spread further.
const MAX_BUCKETS: u16 = 16_384;

impl Default for RedisStoreConfig {
    fn default() -> Self {
        Self {
            url: "redis://127.0.0.1/".to_owned(),
            prefix: "affinity".to_owned(),
            buckets: 16,
            ttl: Duration::from_secs(300),
            timeout: Duration::from_millis(50),
            max_key_len: 256,
            claim_ttl: Duration::from_secs(30),
        }
    }
}

impl fmt::Debug for RedisStoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = match self.connection_info() {
            Ok(info) => info.addr().to_string(),
            Err(_) => "(not a URL)".to_owned(),
        };
        f.debug_struct("RedisStoreConfig")
            .field("url", &address)
            .field("prefix", &self.prefix)
            .field("buckets", &self.buckets)
            .field("ttl", &self.ttl)
            .field("timeout", &self.timeout)
            .field("max_key_len", &self.max_key_len)
            .field("claim_ttl", &self.claim_ttl)
            .finish()
    }
}

/// A config that no store can be made of.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No server can be found by it. Not repeated here: it may hold a password.
    #[error(
        "`url` names no server: {reason}; write `redis://host:port/db`, `unix:///path`, or `rediss://` with the feature `tls`"
    )]
    Url {
        /// What is wrong.
        reason: String,
    },
    /// Keys would not be grouped as they must be.
    #[error(
        "`prefix` is {value:?}; it must have from 1 to {MAX_PREFIX_LEN} bytes and no brace (the default is `affinity`)"
    )]
    Prefix {
        /// The rejected value.
        value: String,
    },
    /// There would be no place for a pin, or needlessly many.
    #[error("`buckets` is {value}; it must be from 1 to {MAX_BUCKETS} (the default is 16)")]
    Buckets {
        /// The rejected value.
        value: u16,
    },
    /// A time that is none, or too long.
    #[error("`{field}` is {value:?}; it must be from 1ms to {max:?}")]
    Duration {
        /// Which one.
        field: DurationField,
        /// The rejected value.
        value: Duration,
        /// The most it may be.
        max: Duration,
    },
    /// No key, or keys that cannot be made.
    #[error(
        "`max_key_len` is {value}; it must be from 1 to {max} (the default is 256)",
        max = SessionKey::MAX_LEN
    )]
    MaxKeyLen {
        /// The rejected value.
        value: usize,
    },
}

/// A duration of a [`RedisStoreConfig`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DurationField {
    /// [`ttl`](RedisStoreConfig::ttl).
    Ttl,
    /// [`timeout`](RedisStoreConfig::timeout).
    Timeout,
    /// [`claim_ttl`](RedisStoreConfig::claim_ttl).
    ClaimTtl,
}

impl fmt::Display for DurationField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ttl => "ttl",
            Self::Timeout => "timeout",
            Self::ClaimTtl => "claim_ttl",
        })
    }
}
