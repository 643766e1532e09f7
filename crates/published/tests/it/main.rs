//! One value, replaced while others read it.
#![cfg(not(inflight_loom))]

mod reuse;
mod stress;
