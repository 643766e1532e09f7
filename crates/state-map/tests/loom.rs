//! The contract's races, and the protocols that it recommends, on the maps for model checking.
#![cfg(inflight_loom)]

mod races;

/// Each its own test: they share nothing, and may run side by side.
macro_rules! apart {
    ($new:expr; $($race:ident),+) => {
        $(
            #[test]
            fn $race() {
                crate::races::$race($new);
            }
        )+
    };
}

mod reference {
    crate::races::races!(apart, state_map::model::ReferenceMap::default);
}

mod adversarial {
    crate::races::races!(apart, state_map::model::AdversarialMap::default);
}
