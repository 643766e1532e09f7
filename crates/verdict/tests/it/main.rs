//! Tests on hand-computed values and on synthetic measurements.

mod analysis;
mod coverage;
mod criteria;
mod decision;
mod exact;
mod markup;
mod preconditions;
mod rates;
mod render;
mod sample;
mod schema;
mod statistics;
mod synthetic;
