//! A crate on the seam offers `new` on the default map; with no backend that crate builds, `new`
//! does not.

use state_map::{BackendEnabled, DefaultMap, StateMap};

struct Tracker<M = DefaultMap<u64, u64>>(M);

impl Tracker {
    fn new<'new>() -> Self
    where
        DefaultMap<u64, u64>: BackendEnabled<'new>,
    {
        Self(DefaultMap::empty())
    }
}

impl<M: StateMap<Key = u64>> Tracker<M> {
    fn tracks(&self, key: u64) -> bool {
        self.0.access().read(&key, |_| ()).is_some()
    }
}

fn main() {
    let tracker = Tracker::new();
    tracker.tracks(7);
}
