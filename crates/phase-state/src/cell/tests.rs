//! A cell's shape, and where the short cuts end.

use super::*;
use crate::{EntropySignal, PhaseRouterConfig, StartPhase};

fn cell(max_think_tokens: u32, change: impl FnOnce(&mut State)) -> PhaseCell {
    let config = PhaseRouterConfig {
        min_think_tokens: 0,
        max_think_tokens,
        ..PhaseRouterConfig::with_marker_ids([1], [2], [3])
    };
    let rules = &Rules::all(&config).unwrap()[0];
    let (mut state, _) = State::start(rules, StartPhase::ThinkDecode, None);
    change(&mut state);
    PhaseCell::new(Arc::clone(rules), &state, Driver::Key)
}

#[test]
fn a_cell_is_two_cache_lines_and_shares_them_with_nobody() {
    assert_eq!((size_of::<PhaseCell>(), align_of::<PhaseCell>()), (128, 64));
    // What a token reads and writes is in the first.
    assert_eq!(std::mem::offset_of!(PhaseCell, budget), 64);
}

#[test]
fn what_is_stored_is_taken_back() {
    for tokens in [0, 1, u32::MAX] {
        let cell = cell(u32::MAX, |state| {
            state.tokens = tokens;
            state.tally.tool_spans = u16::MAX;
            state.tally.forced = Some(Forced {
                reason: BudgetForceReason::HardCap,
                at_token: 7,
            });
            state.averages.rpdi_global = 0.25;
        });
        let state = cell.read().unwrap();
        assert_eq!(state.tokens, tokens);
        assert_eq!(state.tally.tool_spans, u16::MAX);
        assert_eq!(state.tally.forced.unwrap().at_token, 7);
        assert_eq!(state.averages.rpdi_global, 0.25);
    }
    for (number, reason) in REASONS.into_iter().enumerate() {
        assert_eq!(reason as usize, number);
    }
}

/// Where the count is full, no short cut adds to it.
#[test]
fn a_full_count_stays() {
    let cell = cell(u32::MAX, |state| state.tokens = u32::MAX - 1);
    let sample = EntropySignal {
        token_entropy: 1.0,
        end_mass: 0.5,
    };
    let fed = cell.on_token(9, None).unwrap();
    assert!(
        matches!(fed.event, PhaseEvent::ForceBudget { .. }),
        "the cap is reached: {fed:?}"
    );
    for sample in [None, Some(&sample), None] {
        assert_eq!(
            cell.on_token(9, sample).unwrap().event,
            PhaseEvent::Unchanged
        );
        assert_eq!(cell.read().unwrap().tokens, u32::MAX);
    }
}

/// A panic inside a change leaves the request as it was, and in nobody's hands.
#[test]
fn a_panic_inside_a_change_wedges_nothing() {
    let cell = cell(100, |_| ());
    let before = cell.read().unwrap();
    let planted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        cell.change(|_| panic!("planted"))
    }));
    assert!(planted.is_err());
    assert_eq!(cell.read(), Ok(before));
    assert!(cell.on_token(9, None).is_ok() && cell.end().unwrap());
}
