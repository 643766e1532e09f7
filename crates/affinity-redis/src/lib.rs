//! Session pins that several routers share, on a Redis or Valkey server.

#![forbid(unsafe_code)]

mod config;
mod error;
mod keys;
mod record;
mod store;
mod sweep;

pub use crate::{
    config::{ConfigError, DurationField, RedisStoreConfig},
    error::ConnectError,
    store::RedisStore,
    sweep::Swept,
};
