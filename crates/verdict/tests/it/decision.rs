//! The rule, on results made by hand.

use verdict::schema::{Mode, Role, ScenarioRun};
use verdict::states::State;
use verdict::{Answer, CandidateVerdict, Decision, Facts, Next, Outcome, Record, Ruling, decide};

use crate::exact::{
    FREE, PAPAYA, SCC, add_arm, blocks, cell, decided, of, set, step, travels, void,
};
use crate::world::{CRITERIA, KNOWN, facts, gated_by, record};

const BOTH: &str = "[\"decode-step\", \"other-step\"]";

fn scc(decision: &Decision) -> &CandidateVerdict {
    &decision.candidates[1]
}

/// (b) for scc, which alone holds a run up: papaya fails (a).
fn answer(decision: &Decision) -> Answer {
    scc(decision).criteria[1].answer
}

fn measure(names: &[&str]) -> Next {
    Next::Measure {
        scenarios: names.iter().map(|&name| name.to_owned()).collect(),
    }
}

fn by_both(runs: Vec<ScenarioRun>) -> Decision {
    decide(&of(runs), &gated_by(BOTH), &facts())
}

#[test]
fn the_records_rule_is_kept_per_candidate() {
    use Outcome::{Inconclusive, Keep, Revisit};
    let verdicts = |papaya, scc| {
        let decision = decided(vec![step(12, papaya, scc)]);
        [0, 1].map(|index| {
            decision.candidates[index]
                .ruling
                .verdict()
                .expect("not quick")
        })
    };
    assert_eq!(verdicts(0.8, 0.8), [Keep, Revisit]);
    assert_eq!(verdicts(1.0, 1.0), [Keep, Keep]);
    assert_eq!(verdicts(0.9, 0.9), [Keep, Inconclusive]);
    let why = |time, index: usize| {
        let decision = decided(vec![step(12, time, time)]);
        decision.candidates[index].why.clone()
    };
    let near = "for lines that travel in 21 ns (near); far not seen";
    let kept = format!("(a) stable-api says no, although (b) bottleneck says yes, {near}");
    assert_eq!(why(0.8, 0), kept);
    assert_eq!(
        why(0.8, 1),
        format!("(a) stable-api and (b) bottleneck say yes, {near}")
    );
    assert_eq!(why(0.9, 1), "(b) bottleneck has no answer yet");
}

#[test]
fn eight_blocks_may_say_no_and_ten_yes() {
    let of = |number, time| {
        let decision = decided(vec![step(number, 1.0, time)]);
        assert_eq!(
            scc(&decision).settled,
            decision.next == Next::Done,
            "{decision:?}"
        );
        (answer(&decision), decision.next)
    };
    assert_eq!(of(7, 1.0), (Answer::Open, measure(&["decode-step"])));
    assert_eq!(of(8, 1.0), (Answer::No, Next::Done));
    // 40 x 2 candidates x 1 scenario x 2 states: 160.
    assert_eq!(of(9, 0.8), (Answer::Open, measure(&["decode-step"])));
    assert_eq!(of(10, 0.8), (Answer::Yes, Next::Done));
    // Without probes there is one state: 80.
    let mut unprobed = crate::exact::of(vec![step(9, 1.0, 0.8)]);
    unprobed.pilots.clear();
    unprobed
        .runs
        .iter_mut()
        .for_each(|run| travels(run, |_| 21.0));
    unprobed.runs[0]
        .blocks
        .iter_mut()
        .for_each(|block| block.travel.clear());
    let decision = decide(&unprobed, &record(), &facts());
    assert_eq!(answer(&decision), Answer::Yes);
    assert!(
        scc(&decision)
            .why
            .ends_with("where line travel was not probed"),
        "{decision:?}"
    );
}

#[test]
fn what_is_unclear_is_measured_up_to_sixty_blocks() {
    let next = |number| decided(vec![step(number, 1.0, 0.9)]).next;
    assert_eq!(next(59), measure(&["decode-step"]));
    assert_eq!(next(60), Next::Done);
    // Blocks that are void are blocks too: a machine that does nothing but flip ends.
    let torn = |number| {
        let mut run = step(number, 1.0, 0.9);
        for block in &mut run.blocks {
            block.travel[..4].fill(193.0);
        }
        let decision = decided(vec![run]);
        assert!(
            scc(&decision).why.contains("that is not void"),
            "{decision:?}"
        );
        decision.next
    };
    assert_eq!(
        (torn(119), torn(120)),
        (measure(&["decode-step"]), Next::Done)
    );
}

#[test]
fn what_early_and_late_blocks_contradict_stays_open_and_ends() {
    let mut run = step(40, 1.0, 1.0);
    set(&mut run, SCC, |block| if block < 10 { 1.0 } else { 0.7 });
    let decision = decided(vec![run]);
    assert_eq!(
        (answer(&decision), decision.next.clone()),
        (Answer::Open, Next::Done)
    );
    let evidence = &scc(&decision).criteria[1].evidence;
    assert!(
        evidence.contains("the blocks contradict each other"),
        "{evidence}"
    );
}

#[test]
fn a_yes_needs_one_gating_scenario_and_a_no_needs_all() {
    let of = |step_time, other_time| {
        let other = blocks("other-step", 12, 1.0, other_time);
        let decision = by_both(vec![step(12, 1.0, step_time), other]);
        (answer(&decision), decision.next)
    };
    assert_eq!(of(1.0, 1.0), (Answer::No, Next::Done));
    assert_eq!(of(1.0, 0.8), (Answer::Yes, Next::Done));
    assert_eq!(of(0.9, 0.8), (Answer::Yes, Next::Done));
    assert_eq!(of(1.0, 0.9), (Answer::Open, measure(&["other-step"])));
    assert_eq!(
        of(0.9, 0.9),
        (Answer::Open, measure(&["decode-step", "other-step"]))
    );
    // A scenario that was not run at all is measured, and keeps the question open.
    let missing = by_both(vec![step(12, 1.0, 1.0)]);
    assert_eq!(
        (answer(&missing), missing.next),
        (Answer::Open, measure(&["other-step"]))
    );
    // 40 x 2 x 2 x 2 = 320 takes eleven blocks.
    let of = |number| {
        by_both(vec![
            step(number, 1.0, 0.8),
            blocks("other-step", number, 1.0, 1.0),
        ])
    };
    assert_eq!(
        (answer(&of(10)), answer(&of(11))),
        (Answer::Open, Answer::Yes)
    );
}

#[test]
fn where_a_free_map_gains_little_so_does_any() {
    let mut run = step(12, 1.0, 0.9);
    set(&mut run, FREE, |_| 0.93);
    let decision = decided(vec![run.clone()]);
    assert_eq!(
        (answer(&decision), decision.next.clone()),
        (Answer::No, Next::Done)
    );
    let evidence = &scc(&decision).criteria[1].evidence;
    let said = "where any map could gain at most 7.3 %, below 10.0 %";
    assert!(evidence.contains(said), "{evidence}");
    // One that gave no pair is as bounded, and one that gains where nothing could is not.
    run.blocks
        .iter_mut()
        .for_each(|block| block.cells[SCC] = empty());
    assert_eq!(answer(&decided(vec![run.clone()])), Answer::No);
    set(&mut run, SCC, |_| 0.8);
    assert_eq!(answer(&decided(vec![run.clone()])), Answer::Yes);
    set(&mut run, SCC, |_| 0.9);
    set(&mut run, FREE, |_| 0.85);
    assert_eq!(answer(&decided(vec![run])), Answer::Open);
}

fn empty() -> verdict::schema::Cell {
    verdict::schema::Cell::Measured { slices: Vec::new() }
}

#[test]
fn who_is_settled_by_another_criterion_holds_nobody_up() {
    // Papaya is unclear, and kept by (a).
    let decision = decided(vec![step(8, 0.9, 1.0)]);
    assert_eq!(decision.next, Next::Done);
    let papaya = &decision.candidates[0];
    assert_eq!(papaya.criteria[1].answer, Answer::Open);
    assert_eq!(papaya.ruling, Ruling::Says(Outcome::Keep));
    // Where all are, what there is to show is measured all the same, but no more.
    let mut unstable = facts();
    unstable
        .versions
        .insert("scc".to_owned(), vec!["0.9.0".to_owned()]);
    for (number, next) in [
        (0, measure(&["decode-step"])),
        (7, measure(&["decode-step"])),
        (8, Next::Done),
    ] {
        let decision = decide(&of(vec![step(number, 0.9, 0.9)]), &record(), &unstable);
        assert_eq!(decision.next, next, "{number} blocks");
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
    let verdict = scc(&decision);
    assert_eq!(verdict.ruling, Ruling::Says(Outcome::Revisit));
    assert_eq!(
        verdict.states,
        [(State::Near, Answer::No), (State::Far, Answer::Yes)]
    );
    assert!(
        verdict
            .why
            .ends_with("for lines that travel in 193 ns (far)"),
        "{verdict:?}"
    );
    let alike = decided(vec![near_and_far(12, 12, 1.0)]);
    let why = &scc(&alike).why;
    assert!(why.ends_with("in 21 ns (near) and 193 ns (far)"), "{why}");
    // What is unclear far is open, though near says no.
    let open = decided(vec![near_and_far(12, 12, 0.9)]);
    assert_eq!(
        (answer(&open), open.next),
        (Answer::Open, measure(&["decode-step"]))
    );
}

#[test]
fn a_rare_state_is_seen_and_undecided() {
    // 4 of 24 blocks: nobody waits for more. 4 of 12 are not rare.
    let rare = decided(vec![near_and_far(20, 4, 0.8)]);
    assert_eq!((answer(&rare), rare.next.clone()), (Answer::No, Next::Done));
    assert!(
        scc(&rare)
            .why
            .ends_with("21 ns (near); far seen, undecided"),
        "{rare:?}"
    );
    let common = decided(vec![near_and_far(8, 4, 0.8)]);
    assert_eq!(
        (answer(&common), common.next),
        (Answer::Open, measure(&["decode-step"]))
    );

    // Where the record asks for it, it is waited for, seen or not.
    let text = CRITERIA.replace("threshold = 0.10", "threshold = 0.10\nstates = [\"far\"]");
    let asks = Record::parse("c.toml", &text, KNOWN).expect("valid");
    for run in [near_and_far(20, 4, 1.0), near_and_far(20, 0, 1.0)] {
        let decision = decide(&of(vec![run]), &asks, &facts());
        assert_eq!(
            (answer(&decision), decision.next),
            (Answer::Open, measure(&["decode-step"]))
        );
    }
    let decision = decide(&of(vec![near_and_far(20, 8, 1.0)]), &asks, &facts());
    assert_eq!((answer(&decision), decision.next), (Answer::No, Next::Done));
}

/// One scenario met near lines only, the other far ones: nothing can be said of either state yet.
#[test]
fn a_state_is_answered_in_every_gating_scenario_or_not_at_all() {
    let mut far = blocks("other-step", 12, 1.0, 1.0);
    travels(&mut far, |_| 193.0);
    let decision = by_both(vec![step(12, 1.0, 1.0), far]);
    let both = measure(&["decode-step", "other-step"]);
    assert_eq!((answer(&decision), decision.next), (Answer::Open, both));
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
    let decision = decided(vec![run]);
    assert_eq!(decision.places[0].blocks, 11);
}

#[test]
fn a_quick_run_only_says_what_it_would_say() {
    for (time, outcome) in [
        (0.8, Outcome::Revisit),
        (1.0, Outcome::Keep),
        (0.9, Outcome::Inconclusive),
    ] {
        let mut results = of(vec![step(12, time, time)]);
        results.mode = Mode::Quick;
        let decision = decide(&results, &record(), &facts());
        assert_eq!(scc(&decision).ruling, Ruling::WouldSay(outcome));
        assert_eq!(scc(&decision).ruling.verdict(), None);
        let text = format!("no verdict (quick), would say {outcome}");
        assert_eq!(scc(&decision).ruling.to_string(), text);
    }
}

#[test]
fn versions_gauge_and_skew_answer_from_facts() {
    let decision = |facts: &Facts| decide(&of(vec![step(8, 1.0, 1.0)]), &record(), facts);
    let unknown = decision(&Facts::default());
    let stable = |decision: &Decision| decision.candidates[0].criteria[0].answer;
    assert_eq!(stable(&unknown), Answer::NotEvaluated);
    assert!(
        unknown
            .watched
            .iter()
            .all(|each| each.answer == Answer::NotEvaluated)
    );

    let mut known = facts();
    for (versions, answer) in [
        (vec!["0.2.5"], Answer::No),
        (vec!["1.0.0-rc.1"], Answer::No),
        (vec!["1.0.0"], Answer::Yes),
        (vec!["0.9.0", "1.2.3"], Answer::Yes),
        (vec!["not a version"], Answer::NotEvaluated),
    ] {
        let versions: Vec<String> = versions.into_iter().map(str::to_owned).collect();
        known.versions.insert("papaya".to_owned(), versions.clone());
        assert_eq!(stable(&decision(&known)), answer, "{versions:?}");
    }

    known.gauges.shards = Some(8);
    for (tracked, answer) in [
        (4095, Answer::No),
        (4096, Answer::Yes),
        (u64::MAX, Answer::Yes),
    ] {
        known.gauges.tracked = Some(tracked);
        assert_eq!(decision(&known).watched[0].answer, answer, "{tracked}");
    }
    for (skew, answer) in [(2.0, Answer::No), (2.1, Answer::Yes)] {
        known.gauges.shard_skew = Some(skew);
        let watched = &decision(&known).watched[1];
        assert_eq!(
            (watched.label.as_str(), watched.answer),
            ("shard-skew", answer)
        );
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
                block
                    .travel
                    .extend([f32::NAN, f32::INFINITY, -1.0, 0.0].get(rng.usize(..8)));
                if rng.u8(..4) == 0 {
                    block.cells.fill(empty());
                }
            }
        }
        results.machine.cores = rng.u32(..4);
        let decision = decide(&results, &gated_by(BOTH), &facts());
        let _ = verdict::render::html(&results, std::slice::from_ref(&decision));
        let _ = verdict::render::terminal(&[decision], &results);
    }
}
