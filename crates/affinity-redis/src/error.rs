//! Why a router has no store.

use affinity::StoreError;
use thiserror::Error;

use crate::ConfigError;

/// A store that could not be connected.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The configuration cannot be right. Nothing was tried.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server did not answer, or not as it should. Trying again may help.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another router keeps the pins of this prefix in another way: it would look for them elsewhere than this one.
    #[error(
        "the pins under the prefix {prefix:?} are kept as {found:?}, and not as {ours:?}: give all routers the same `buckets`, or another `prefix`"
    )]
    Layout {
        /// The prefix.
        prefix: String,
        /// How they are kept.
        found: String,
        /// How this router would.
        ours: String,
    },
}
