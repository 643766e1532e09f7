//! The designs that the crates are measured against, written as well as their authors would.

pub mod phases;
pub mod sessions;
