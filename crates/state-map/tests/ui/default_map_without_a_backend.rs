//! A crate on the seam offers `new` on the default map; with no backend that crate builds, `new` does not.

use state_map::{DefaultMap, StateMap};

struct Tracker<M = DefaultMap<u64, ()>>(M);

impl Tracker {
    /// The lifetime puts the question whether the bound holds off to whoever calls this.
    fn new() -> Self
    where
        for<'any> DefaultMap<u64, ()>: StateMap + Default,
    {
        Self(Default::default())
    }
}

fn main() {
    let _ = Tracker::new();
}
