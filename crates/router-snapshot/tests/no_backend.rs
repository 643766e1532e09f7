//! With no map the crate builds, and whoever uses the default ones is told in one sentence what to
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
    trybuild::TestCases::new().compile_fail("tests/ui/manager_without_a_map.rs");
}
