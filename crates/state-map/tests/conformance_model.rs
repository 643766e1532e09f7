//! The conformance suite on the maps for model checking, kind and adversarial.
#![cfg(all(feature = "conformance", feature = "model", not(inflight_loom)))]

mod reference {
    state_map::conformance!(|K, V| state_map::model::ReferenceMap<K, V>);
}

mod adversarial {
    state_map::conformance!(|K, V| state_map::model::AdversarialMap<K, V>);
}
