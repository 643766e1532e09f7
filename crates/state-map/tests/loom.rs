//! The contract's races, and the protocols that it recommends, on the maps for model checking.
#![cfg(inflight_loom)]

mod races;

mod reference {
    crate::races::races!(state_map::model::ReferenceMap::default);
}

mod adversarial {
    crate::races::races!(state_map::model::AdversarialMap::default);
}
