//! Kinds, reasons and samples: names, order, and what can be computed with.

use phase_state::{
    BudgetForceReason, EntropySignal, NotFed, ParsePhaseKindError, PhaseEvent, PhaseKind,
    StartPhase, ThinkPhase,
};
use static_assertions::{assert_impl_all, const_assert};

assert_impl_all!(ThinkPhase: Copy, Send, Sync, Unpin);
assert_impl_all!(PhaseEvent: Copy, Eq, Send, Sync, Unpin);
assert_impl_all!(ParsePhaseKindError: std::error::Error, Send, Sync);
// What a batch writes for each of its tokens.
const_assert!(size_of::<Result<PhaseEvent, NotFed>>() <= 12);

const KINDS: [(PhaseKind, &str); 5] = [
    (PhaseKind::Prefill, "prefill"),
    (PhaseKind::ThinkDecode, "think_decode"),
    (PhaseKind::OutputDecode, "output_decode"),
    (PhaseKind::ToolCall, "tool_call"),
    (PhaseKind::Complete, "complete"),
];

#[test]
fn kinds_have_names_that_are_taken_back() {
    for (kind, name) in KINDS {
        assert_eq!(kind.as_str(), name);
        assert_eq!(kind.to_string(), name);
        assert_eq!(name.parse(), Ok(kind));
    }
    assert_eq!(format!("{:>9}", PhaseKind::Prefill), "  prefill");
}

#[test]
fn kinds_order_as_requests_go_through_them() {
    assert!(KINDS.is_sorted_by(|(a, _), (b, _)| a < b));
}

#[test]
fn other_text_names_no_phase() {
    for text in [
        "",
        "Prefill",
        "prefill ",
        "think",
        "ThinkDecode",
        "output-decode",
    ] {
        let error = text.parse::<PhaseKind>().unwrap_err();
        assert_eq!(&*error.text, text);
    }
    let error = "think".parse::<PhaseKind>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "\"think\" names no phase; write `prefill`, `think_decode`, `output_decode`, `tool_call` or `complete`, in lower case"
    );
    let error = "é".repeat(1_000).parse::<PhaseKind>().unwrap_err();
    assert_eq!(*error.text, *"é".repeat(64));
}

#[test]
fn phases_have_kinds() {
    let thinking = ThinkPhase::ThinkDecode {
        tokens_so_far: 0,
        end_mass_ema: 0.5,
        end_mass_sq_ema: 0.25,
        rpdi_local: 0.0,
        rpdi_global: 0.0,
        force_in_progress: false,
    };
    let output = ThinkPhase::OutputDecode {
        think_tokens_used: 0,
    };
    let tool = ThinkPhase::ToolCall { tokens_so_far: 0 };
    let phases = [
        ThinkPhase::Prefill,
        thinking,
        output,
        tool,
        ThinkPhase::Complete,
    ];
    assert_eq!(
        phases.map(|phase| phase.kind()),
        KINDS.map(|(kind, _)| kind)
    );
}

#[test]
fn reasons_have_names() {
    let reasons = [
        BudgetForceReason::Converged,
        BudgetForceReason::Overthinking,
        BudgetForceReason::HardCap,
    ];
    let names = ["converged", "overthinking", "hard_cap"];
    assert_eq!(reasons.map(BudgetForceReason::as_str), names);
    assert_eq!(reasons.map(|reason| reason.to_string()), names);
}

#[test]
fn requests_start_with_prefill() {
    assert_eq!(StartPhase::default(), StartPhase::Prefill);
}

#[test]
fn a_sample_counts_if_it_can_be_computed_with() {
    let finite = |token_entropy, end_mass| {
        EntropySignal {
            token_entropy,
            end_mass,
        }
        .is_finite()
    };
    assert!(finite(2.0, 0.5));
    assert!(finite(-0.0, 1.000_001));
    assert!(finite(f32::MAX, -1e19));
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert!(!finite(bad, 0.5));
        assert!(!finite(2.0, bad));
    }
    assert!(!finite(2.0, 1e20), "its square is not finite");
}
