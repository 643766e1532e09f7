//! With no map the crate builds, and whoever uses the default one is told in one sentence what to
//! do.
#![cfg(not(any(
    feature = "dashmap",
    feature = "papaya",
    feature = "scc",
    feature = "rwlock",
    inflight_loom
)))]

#[test]
fn using_the_default_map_names_the_features() {
    trybuild::TestCases::new().compile_fail("tests/ui/tracker_without_a_map.rs");
}
