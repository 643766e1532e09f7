//! One binary: everything is decided from synthetic results.
#![allow(missing_docs)]

mod evalue;
mod rates;
mod world;
