//! The conformance suite has teeth: for each property there is a map, broken in one way, that fails it.

use std::panic::catch_unwind;

use state_map::conformance::memory::{MemoryBounds, memory_after_a_burst_is_bounded};
use state_map::conformance::{lookups, oracle, panics, races, release};

use crate::broken::{Flaw, Subject};
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
        races::an_absent_key_is_won_once::<Subject<{ Flaw::LOOKS_THEN_INSERTS }>>,
        "of an absent key succeeds",
    );
}

#[test]
fn double_hand_over_is_caught() {
    type Double = Subject<{ Flaw::HANDS_OVER_TWICE }>;
    fails(
        races::a_removal_hands_over_once::<Double>,
        "removals of an entry succeeds",
    );
    fails(
        races::racing_retains_hand_over_once::<Double>,
        "handed over whole",
    );
}

#[test]
fn removal_of_a_successor_is_caught() {
    fails(
        races::a_removal_takes_what_its_condition_accepted::<Subject<{ Flaw::REMOVES_SUCCESSOR }>>,
        "the condition declined the second value",
    );
}

#[test]
fn an_iteration_that_misses_entries_is_caught() {
    fails(
        races::an_iteration_meets_what_stays::<Subject<{ Flaw::ITERATION_GIVES_UP }>>,
        "missed",
    );
}

#[test]
fn a_leaked_payload_is_caught() {
    fails(
        release::a_payload_is_released_with_a_session_open::<Subject<{ Flaw::KEEPS_PAYLOAD }>>,
        "the removal hands the sender over",
    );
    fails(
        release::a_payload_is_released_with_a_session_open::<Subject<{ Flaw::RETIRES_LATE }>>,
        "the removal hands the sender over",
    );
}

/// Not by a double hand-over: that is lost on this property where no other thread has put a new
/// value in between, which on a busy machine can be in all of a run.
#[test]
fn an_unbalanced_account_is_caught() {
    fails(
        races::insertions_and_removals_balance::<Subject<{ Flaw::KEEPS_PAYLOAD }>>,
        "entries were lost, or handed over twice",
    );
}

#[test]
fn a_touched_rejected_value_is_caught() {
    fails(
        release::a_rejected_value_comes_back::<Subject<{ Flaw::RETIRES_REJECTED }>>,
        "its payload is untouched",
    );
}

#[test]
fn leaked_values_are_caught() {
    type Leaks = Subject<{ Flaw::LEAKS_VALUES }>;
    fails(
        release::a_dropped_map_drops_everything::<Leaks>,
        "left values behind",
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
fn a_lock_that_outlives_a_panic_is_caught() {
    fails(
        panics::a_panicking_closure_leaves_the_map_usable::<Subject<{ Flaw::LOCK_OUTLIVES_PANIC }>>,
        "left a lock held",
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
fn a_stale_session_is_caught() {
    fails(
        lookups::a_session_sees_its_own_writes::<Subject<{ Flaw::SESSION_IS_STALE }>>,
        "right: Some(0)",
    );
}

#[test]
fn wrong_answers_are_caught() {
    fails(
        oracle::matches_the_oracle::<Subject<{ Flaw::IGNORES_CONDITION }>>,
        "removes what its condition accepts",
    );
    fails(
        oracle::matches_the_oracle::<Subject<{ Flaw::LENGTH_LAGS }>>,
        "the length is exact",
    );
    fails(
        oracle::matches_the_oracle::<Subject<{ Flaw::ITERATES_TWICE }>>,
        "meets every entry once",
    );
    fails(
        oracle::a_large_map_keeps_every_entry::<Subject<{ Flaw::LOSES_ON_GROWTH }>>,
        "there to be removed",
    );
}
