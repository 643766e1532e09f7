//! A map of this crate's keys and entries, under the suite of `state-map`.

mod routers {
    state_map::conformance!(state_map::model::ReferenceMap<router_snapshot::RouterId, router_snapshot::RouterEntry<String>>);
}

mod workers {
    state_map::conformance!(state_map::model::ReferenceMap<worker_id::WorkerWithDpRank, router_snapshot::WorkerEntry>);
}
