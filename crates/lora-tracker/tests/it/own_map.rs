//! A map of this crate's keys and entries, under the suite of `state-map`.

mod workers {
    state_map::conformance!(state_map::model::ReferenceMap<worker_id::WorkerWithDpRank, lora_tracker::WorkerEntry>);
}
