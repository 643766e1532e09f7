//! The conformance suite has teeth: for each property there is a map, broken in one way, that fails
//! it.

use std::panic::catch_unwind;

use state_map::conformance::memory::{MemoryBounds, memory_after_a_burst_is_bounded};
use state_map::conformance::{Probe, destructors, lookups, oracle, panics, races};

use crate::broken::{Broken, Flaw, Subject};
use crate::meter;

/// What the broken maps share with a sound one passes: they fail by their flaws.
mod sound {
    state_map::conformance!(|K, V| crate::broken::Broken<K, V, { crate::broken::Flaw::NONE }>,
        meter: crate::meter, drained: 1.0, shrunk: 0.01);
}

/// `property` must fail, and say so in words that contain `complaint`.
fn fails(property: fn(), complaint: &str) {
    let panic = catch_unwind(property).expect_err("a broken map passes this property");
    let said = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|said| (*said).to_owned()))
        .expect("a panic with a message");
    assert!(
        said.contains(complaint),
        "the property fails, but not for the planted flaw: {said}"
    );
}

/// The map that most properties are asked of.
type Flawed<const FLAW: u8> = Broken<u64, Probe, FLAW>;

#[test]
fn lost_updates_are_caught() {
    fails(
        races::no_update_is_lost::<Subject<{ Flaw::READ_TAKES_OUT }>>,
        "missed an entry that nobody removed",
    );
}

#[test]
fn two_winners_of_a_key_are_caught() {
    fails(
        races::an_absent_key_is_won_once::<Flawed<{ Flaw::LOOKS_THEN_INSERTS }>, _>,
        "of an absent key succeeds",
    );
}

#[test]
fn two_removals_of_an_entry_are_caught() {
    fails(
        races::a_removal_succeeds_once::<Flawed<{ Flaw::SUCCEEDS_TWICE }>, _>,
        "removals of an entry succeeds",
    );
    fails(
        races::insertions_and_removals_balance::<Flawed<{ Flaw::SUCCEEDS_TWICE }>, _>,
        "removed twice",
    );
}

#[test]
fn removal_of_a_successor_is_caught() {
    type Removes = Flawed<{ Flaw::REMOVES_SUCCESSOR }>;
    fails(
        races::a_removal_takes_what_its_condition_accepted::<Removes, _>,
        "the first value goes to one of the two",
    );
}

#[test]
fn an_iteration_that_misses_entries_is_caught() {
    fails(
        races::an_iteration_meets_what_stays::<Flawed<{ Flaw::ITERATION_GIVES_UP }>, _>,
        "missed",
    );
}

#[test]
fn leaked_entries_are_caught() {
    type Leaks = Subject<{ Flaw::LEAKS }>;
    fails(
        destructors::a_dropped_map_drops_everything::<Leaks>,
        "left keys or values behind",
    );
    fails(
        || {
            memory_after_a_burst_is_bounded::<Leaks>(
                meter,
                MemoryBounds {
                    drained: 1.0,
                    shrunk: 0.01,
                },
            );
        },
        "of the burst's memory",
    );
}

#[test]
fn a_destructor_under_a_lock_is_caught() {
    fails(
        destructors::destructors_may_use_the_map::<Subject<{ Flaw::REJECTS_UNDER_LOCK }>>,
        "a destructor that uses the map panics",
    );
    fails(
        destructors::destructors_may_use_the_map::<Subject<{ Flaw::DROPS_UNDER_LOCK }>>,
        "it runs under a lock",
    );
}

#[test]
fn a_lock_that_outlives_a_panic_is_caught() {
    type Locks = Flawed<{ Flaw::LOCK_OUTLIVES_PANIC }>;
    fails(
        panics::a_panicking_closure_leaves_the_map_usable::<Locks, _>,
        "left a lock held",
    );
    fails(
        panics::a_panicking_key_leaves_the_map_usable::<Subject<{ Flaw::LOCK_OUTLIVES_PANIC }>>,
        "left a lock held",
    );
    fails(
        destructors::a_panicking_destructor_leaves_the_map_usable::<
            Subject<{ Flaw::LOCK_OUTLIVES_DESTRUCTOR }>,
        >,
        "the map panics",
    );
}

#[test]
fn an_allocating_lookup_is_caught() {
    fails(
        || {
            lookups::lookups_by_borrowed_key_allocate_nothing::<Subject<{ Flaw::READ_ALLOCATES }>>(
                meter,
            );
        },
        "lookups allocated",
    );
}

#[test]
fn a_lookup_that_wants_owned_keys_is_caught() {
    fails(
        lookups::keys_are_found_in_borrowed_form::<Subject<{ Flaw::WANTS_OWNED_KEYS }>>,
        "right: Some(1)",
    );
}

#[test]
fn a_stale_access_is_caught() {
    fails(
        lookups::an_access_sees_its_own_writes::<Flawed<{ Flaw::ACCESS_IS_STALE }>, _>,
        "right: Some(0)",
    );
}

#[test]
fn wrong_answers_are_caught() {
    fails(
        oracle::matches_the_oracle::<Flawed<{ Flaw::IGNORES_CONDITION }>, _>,
        "removes what its condition accepts",
    );
    fails(
        oracle::matches_the_oracle::<Flawed<{ Flaw::LENGTH_LAGS }>, _>,
        "the length is exact",
    );
    fails(
        oracle::matches_the_oracle::<Flawed<{ Flaw::ITERATES_TWICE }>, _>,
        "meets every entry once",
    );
    fails(
        oracle::a_large_map_keeps_every_entry::<Flawed<{ Flaw::LOSES_ON_GROWTH }>, _>,
        "there to be removed",
    );
}
