//! Turns of a session go to the worker that has its prefix warm.

#![forbid(unsafe_code)]

mod binding;
mod error;
mod key;
mod store;

pub use crate::{
    binding::{Binding, BindingKind, ExpireCause, Expired, Written},
    error::StoreError,
    key::{AnyKey, Leg, SessionKey, SessionRef},
    store::AffinityStore,
};
