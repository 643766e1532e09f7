//! A map of this crate's keys and entries, under the suite of `state-map`.

mod requests {
    state_map::conformance!(state_map::model::ReferenceMap<phase_state::RequestKey, phase_state::PhaseEntry>);
}
