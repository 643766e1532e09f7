//! Identities: their text, their order, and what goes over a wire.

mod instance;
mod life;
mod lives;
mod lives_model;
#[cfg(feature = "serde")]
mod serde;
mod worker;
