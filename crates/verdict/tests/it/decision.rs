//! The rule, on results made by hand.

use verdict::Answer::{No, NotEvaluated, Open, Yes};
use verdict::schema::{Cell, Mode, Role, ScenarioRun};
use verdict::states::State;
use verdict::{Answer, CandidateVerdict, Decision, Facts, Next, Outcome, Record, Ruling, decide};

use crate::exact::{
    FREE, PAPAYA, SCC, add_arm, blocks, cell, decided, of, says, set, step, travels, void,
};
use crate::world::{CRITERIA, KNOWN, facts, gated_by, record};

const STEP: &[&str] = &["decode-step"];
const OTHER: &[&str] = &["other-step"];
const BOTH: &[&str] = &["decode-step", "other-step"];

/// Who alone holds a run up: papaya fails (a).
fn scc(decision: &Decision) -> &CandidateVerdict {
    &decision.candidates[1]
}

/// Of scc, what (b) says, and of which scenarios it wants another block.
#[track_caller]
fn expect(decision: &Decision, answer: Answer, wanted: &[&str]) {
    let next = match &decision.next {
        Next::Measure { scenarios } => scenarios.iter().map(String::as_str).collect(),
        Next::Done => Vec::new(),
    };
    let found = (scc(decision).criteria[1].answer, &next[..]);
    assert_eq!(found, (answer, wanted), "{decision:#?}");
    assert_eq!(scc(decision).settled, wanted.is_empty());
}

fn by_both(runs: Vec<ScenarioRun>) -> Decision {
    decide(&of(runs), &gated_by(BOTH), &facts())
}

#[test]
fn the_records_rule_is_kept_per_candidate() {
    use Outcome::{Inconclusive, Keep, Revisit};
    let near = "for lines that travel in 21 ns (near); far not seen";
    let kept = format!("(a) stable-api says no, although (b) bottleneck says yes, {near}");
    let both = |says: &str| format!("(a) stable-api and (b) bottleneck say {says}, {near}");
    let no = format!("(b) bottleneck says no, although (a) stable-api says yes, {near}");
    let open = "(b) bottleneck has no answer yet";
    for (time, papaya, scc) in [
        (0.8, (Keep, kept.as_str()), (Revisit, both("yes").as_str())),
        (1.0, (Keep, both("no").as_str()), (Keep, no.as_str())),
        (0.9, (Keep, "(a) stable-api says no"), (Inconclusive, open)),
    ] {
        let decision = decided(vec![step(12, time, time)]);
        for (verdict, (outcome, why)) in decision.candidates.iter().zip([papaya, scc]) {
            assert_eq!(verdict.ruling, Ruling::Says(outcome), "{time}");
            assert_eq!(verdict.why, why, "{time}");
        }
    }
}

#[test]
fn eight_blocks_may_say_no_and_ten_yes() {
    let of = |number, time| decided(vec![step(number, 1.0, time)]);
    expect(&of(7, 1.0), Open, STEP);
    expect(&of(8, 1.0), No, &[]);
    // 40 x 2 candidates x 1 scenario x 2 states: 160.
    expect(&of(9, 0.8), Open, STEP);
    expect(&of(10, 0.8), Yes, &[]);
    // Without probes there is one state: 80.
    let mut unprobed = crate::exact::of(vec![step(9, 1.0, 0.8)]);
    unprobed.pilots.clear();
    let blocks = unprobed.runs[0].blocks.iter_mut();
    blocks.for_each(|block| block.travel.clear());
    let decision = decide(&unprobed, &record(), &facts());
    expect(&decision, Yes, &[]);
    says(
        &scc(&decision).why,
        "say yes, where line travel was not probed",
    );
}

#[test]
fn what_is_unclear_is_measured_up_to_sixty_blocks() {
    expect(&decided(vec![step(59, 1.0, 0.9)]), Open, STEP);
    expect(&decided(vec![step(60, 1.0, 0.9)]), Open, &[]);
    // Blocks that are void are blocks too: a machine that does nothing but flip ends.
    for (number, wanted) in [(119, STEP), (120, &[])] {
        let mut run = step(number, 1.0, 0.9);
        let blocks = run.blocks.iter_mut();
        blocks.for_each(|block| block.travel[..4].fill(193.0));
        let decision = decided(vec![run]);
        expect(&decision, Open, wanted);
        says(&scc(&decision).why, "that is not void");
    }
}

#[test]
fn what_early_and_late_blocks_contradict_stays_open_and_ends() {
    let mut run = step(40, 1.0, 1.0);
    set(&mut run, SCC, |block| if block < 10 { 1.0 } else { 0.7 });
    let decision = decided(vec![run]);
    expect(&decision, Open, &[]);
    let evidence = &scc(&decision).criteria[1].evidence;
    says(evidence, "the blocks contradict each other");
}

#[test]
fn a_yes_needs_one_gating_scenario_and_a_no_needs_all() {
    let other = |number, time| blocks("other-step", number, 1.0, time);
    let of = |one, two| by_both(vec![step(12, 1.0, one), other(12, two)]);
    expect(&of(1.0, 1.0), No, &[]);
    expect(&of(1.0, 0.8), Yes, &[]);
    expect(&of(0.9, 0.8), Yes, &[]);
    expect(&of(1.0, 0.9), Open, OTHER);
    expect(&of(0.9, 0.9), Open, BOTH);
    // A scenario that was not run at all is measured, and keeps the question open.
    expect(&by_both(vec![step(12, 1.0, 1.0)]), Open, OTHER);
    // 40 x 2 x 2 x 2 = 320 takes eleven blocks.
    let of = |number| by_both(vec![step(number, 1.0, 0.8), other(number, 1.0)]);
    expect(&of(10), Open, STEP);
    expect(&of(11), Yes, &[]);
}

#[test]
fn where_a_free_map_gains_little_so_does_any() {
    let mut run = step(12, 1.0, 0.9);
    set(&mut run, FREE, |_| 0.93);
    let decision = decided(vec![run.clone()]);
    expect(&decision, No, &[]);
    let evidence = &scc(&decision).criteria[1].evidence;
    says(
        evidence,
        "where any map could gain at most 7.3 %, below 10.0 %",
    );
    // One that gave no pair is as bounded, and one that gains where nothing could is not.
    let blocks = run.blocks.iter_mut();
    blocks.for_each(|block| block.cells[SCC] = EMPTY);
    expect(&decided(vec![run.clone()]), No, &[]);
    set(&mut run, SCC, |_| 0.8);
    expect(&decided(vec![run.clone()]), Yes, &[]);
    set(&mut run, SCC, |_| 0.9);
    set(&mut run, FREE, |_| 0.85);
    expect(&decided(vec![run]), Open, STEP);
}

const EMPTY: Cell = Cell::Measured { slices: Vec::new() };

#[test]
fn who_is_settled_by_another_criterion_holds_nobody_up() {
    // Papaya is unclear, and kept by (a).
    let decision = decided(vec![step(8, 0.9, 1.0)]);
    expect(&decision, No, &[]);
    let papaya = &decision.candidates[0];
    assert_eq!(papaya.criteria[1].answer, Open);
    assert_eq!(papaya.ruling, Ruling::Says(Outcome::Keep));
    // Where all are, what there is to show is measured all the same, but no more.
    let mut unstable = facts();
    unstable
        .versions
        .insert("scc".to_owned(), vec!["0.9.0".to_owned()]);
    for (number, done) in [(0, false), (7, false), (8, true)] {
        let decision = decide(&of(vec![step(number, 0.9, 0.9)]), &record(), &unstable);
        assert_eq!(decision.next == Next::Done, done, "{number} blocks");
        assert!(decision.candidates.iter().all(|each| each.settled));
    }
}

/// Near blocks in which scc gains nothing, then far ones in which it gains this.
fn near_and_far(near: u32, far: u32, time: f64) -> ScenarioRun {
    let mut run = step(near + far, 1.0, 1.0);
    let is_far = |block: usize| block >= near as usize;
    set(
        &mut run,
        SCC,
        |block| if is_far(block) { time } else { 1.0 },
    );
    travels(&mut run, |block| if is_far(block) { 193.0 } else { 21.0 });
    run
}

#[test]
fn a_far_state_decides_for_itself() {
    let decision = decided(vec![near_and_far(12, 12, 0.8)]);
    expect(&decision, Yes, &[]);
    let verdict = scc(&decision);
    assert_eq!(verdict.ruling, Ruling::Says(Outcome::Revisit));
    assert_eq!(verdict.states, [(State::Near, No), (State::Far, Yes)]);
    says(&verdict.why, "for lines that travel in 193 ns (far)");
    assert!(!verdict.why.contains("near"), "{}", verdict.why);
    let alike = decided(vec![near_and_far(12, 12, 1.0)]);
    says(&scc(&alike).why, "in 21 ns (near) and 193 ns (far)");
    // What is unclear far is open, though near says no.
    expect(&decided(vec![near_and_far(12, 12, 0.9)]), Open, STEP);
}

#[test]
fn a_rare_state_is_seen_and_undecided() {
    // 4 of 24 blocks: nobody waits for more. 4 of 12 are not rare.
    let rare = decided(vec![near_and_far(20, 4, 0.8)]);
    expect(&rare, No, &[]);
    says(&scc(&rare).why, "21 ns (near); far seen, undecided");
    expect(&decided(vec![near_and_far(8, 4, 0.8)]), Open, STEP);

    // Where the record asks for it, it is waited for, seen or not.
    let text = CRITERIA.replace("threshold = 0.10", "states = [\"far\"]");
    let asks = Record::parse("c.toml", &text, KNOWN).expect("valid");
    let asked = |far| decide(&of(vec![near_and_far(20, far, 1.0)]), &asks, &facts());
    expect(&asked(0), Open, STEP);
    expect(&asked(4), Open, STEP);
    expect(&asked(8), No, &[]);
}

/// One scenario met near lines only, the other far ones: nothing can be said of either state yet.
#[test]
fn a_state_is_answered_in_every_gating_scenario_or_not_at_all() {
    let mut far = blocks("other-step", 12, 1.0, 1.0);
    travels(&mut far, |_| 193.0);
    expect(&by_both(vec![step(12, 1.0, 1.0), far]), Open, BOTH);
}

#[test]
fn arms_that_decide_nothing_change_nothing() {
    for role in [Role::Swapped, Role::Baseline, Role::Reference] {
        for cell in [cell(100.0), void("crashed: signal 11")] {
            let without = decided(vec![step(12, 0.9, 0.8)]);
            let mut run = step(12, 0.9, 0.8);
            add_arm(&mut run, "other", role, &cell);
            assert_eq!(decided(vec![run]), without, "{role:?}");
        }
    }
    // But where one that decides crashes, nobody may look at what the others did in that block.
    let mut run = step(12, 1.0, 1.0);
    run.blocks[3].cells[PAPAYA] = void("crashed: signal 11");
    assert_eq!(decided(vec![run]).places[0].blocks, 11);
}

#[test]
fn a_quick_run_only_says_what_it_would_say() {
    use Outcome::{Inconclusive, Keep, Revisit};
    for (time, outcome) in [(0.8, Revisit), (1.0, Keep), (0.9, Inconclusive)] {
        let mut results = of(vec![step(12, time, time)]);
        results.mode = Mode::Quick;
        let decision = decide(&results, &record(), &facts());
        let ruling = scc(&decision).ruling;
        assert_eq!(
            (ruling, ruling.verdict()),
            (Ruling::WouldSay(outcome), None)
        );
        says(
            &ruling.to_string(),
            &format!("no verdict (quick), would say {outcome}"),
        );
    }
}

#[test]
fn versions_gauge_and_skew_answer_from_facts() {
    let decision = |facts: &Facts| decide(&of(vec![step(8, 1.0, 1.0)]), &record(), facts);
    let stable = |facts: &Facts| decision(facts).candidates[0].criteria[0].answer;
    let watched = |facts: &Facts| {
        let watched = decision(facts).watched;
        [0, 1].map(|index: usize| watched[index].answer)
    };
    assert_eq!(stable(&Facts::default()), NotEvaluated);
    assert_eq!(watched(&Facts::default()), [NotEvaluated; 2]);

    let mut known = facts();
    for (versions, answer) in [
        ("0.2.5", No),
        ("1.0.0-rc.1", No),
        ("1.0.0", Yes),
        ("0.9.0, 1.2.3", Yes),
        ("not a version", NotEvaluated),
    ] {
        let all = versions.split(", ").map(str::to_owned).collect();
        known.versions.insert("papaya".to_owned(), all);
        assert_eq!(stable(&known), answer, "{versions:?}");
    }
    known.gauges.shards = Some(8);
    for (tracked, answer) in [(4095, No), (4096, Yes), (u64::MAX, Yes)] {
        known.gauges.tracked = Some(tracked);
        assert_eq!(watched(&known)[0], answer, "{tracked}");
    }
    for (skew, answer) in [(2.0, No), (2.1, Yes)] {
        known.gauges.shard_skew = Some(skew);
        assert_eq!(watched(&known)[1], answer, "{skew}");
    }
}

/// Results that nobody validated: answers may be open, but nothing panics.
#[test]
fn no_results_panic() {
    let mut rng = fastrand::Rng::with_seed(4);
    for _ in 0..300 {
        let mut results = of(vec![
            near_and_far(9, 9, 0.8),
            blocks("other-step", 3, 1.0, 1.0),
        ]);
        for run in &mut results.runs {
            run.arms.truncate(rng.usize(..8));
            for block in &mut run.blocks {
                block.cells.truncate(rng.usize(..8));
                block.travel.truncate(rng.usize(..9));
                let odd = [f32::NAN, f32::INFINITY, -1.0, 0.0];
                block.travel.extend(odd.get(rng.usize(..8)));
                if rng.u8(..4) == 0 {
                    block.cells.fill(EMPTY);
                }
            }
        }
        results.machine.cores = rng.u32(..4);
        let decision = decide(&results, &gated_by(BOTH), &facts());
        let _ = verdict::render::html(&results, std::slice::from_ref(&decision));
        let _ = verdict::render::terminal(&[decision], &results);
    }
}
