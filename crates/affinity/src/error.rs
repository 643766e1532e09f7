//! What can go wrong: what was asked, the rule, and the way out.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

/// An operation that a store did not carry out, or does not know to have carried out.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is room for no further session. Nothing has changed.
    #[error(
        "the store holds {capacity} sessions, its bound: raise `capacity`, shorten `ttl`, or choose a policy that evicts or does not pin"
    )]
    Full {
        /// The bound.
        capacity: usize,
    },
    /// The key is too long. Nothing has changed.
    #[error(
        "a key of {len} bytes, tenant, model and session together, is over the {max} that this store takes: shorten the session id, or raise `max_key_len`"
    )]
    KeyTooLong {
        /// The key's bytes.
        len: usize,
        /// The most there may be.
        max: usize,
    },
    /// The session id is empty, which would make one session of everybody who sends none. Nothing has changed.
    #[error("the session id is empty: route a request that names no session without a pin")]
    EmptySession,
    /// The store cannot be reached, or does not do as asked. Of a write: it did not happen, or, where the source
    /// says that an answer was lost, it may have.
    #[error("the store is unavailable: {source}")]
    Unavailable {
        /// What the store's client said.
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// The store did not answer in time. A write may have happened.
    #[error(
        "the store did not answer within {after:?}: route without a pin, or raise the store's timeout"
    )]
    Timeout {
        /// The store's bound on an operation.
        after: Duration,
    },
}

impl StoreError {
    /// An [`Unavailable`](Self::Unavailable) with this source.
    pub fn unavailable(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Unavailable {
            source: Arc::from(source.into()),
        }
    }
}
