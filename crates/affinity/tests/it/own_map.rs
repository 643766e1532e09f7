//! A map of this crate's keys and entries, under the suite of `state-map`.

mod sessions {
    state_map::conformance!(state_map::model::ReferenceMap<affinity::SessionFingerprint, affinity::SessionEntry>);
}
