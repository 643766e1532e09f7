//! The designs that the crates are measured against, written as well as their authors would.

pub mod loads;
pub mod loras;
pub mod phases;
pub mod routers;
pub mod sessions;
pub mod streams;
