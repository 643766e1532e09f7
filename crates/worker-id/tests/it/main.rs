//! Identities: their text, their order, and what goes over a wire.

mod instance;
#[cfg(feature = "serde")]
mod serde;
mod worker;
