//! One binary: everything is decided from synthetic results.
#![allow(missing_docs)]

mod criteria;
mod decision;
mod evalue;
mod exact;
mod markup;
mod preconditions;
mod rates;
mod render;
mod sample;
mod schema;
mod states;
mod world;
