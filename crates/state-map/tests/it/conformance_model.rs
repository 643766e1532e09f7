//! The conformance suite on the maps for model checking, kind and adversarial.

mod reference {
    state_map::conformance!(|K, V| state_map::model::ReferenceMap<K, V>);
}

mod adversarial {
    state_map::conformance!(|K, V| state_map::model::AdversarialMap<K, V>);
}
