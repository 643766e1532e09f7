//! `--scenario aa`: whether the whole rule can be believed on this machine.
//!
//! The incumbent is a candidate against itself, in runs that go through everything that a record goes through. With no
//! difference the bottleneck must never be found; with a fifth planted into the incumbent's map, nearly always.

use anyhow::Result;
use verdict::schema::{Arm, Mode, Results, Role, ScenarioRun};
use verdict::{Answer, Decision, Facts, Known, Next, Record, decide};

use crate::bench::engine::{Engine, Entrant};

/// The name that stands for it on the command line.
pub(crate) const NAME: &str = "aa";

const RUNS: u64 = 20;
/// What is not found by then is not found.
const BLOCKS: u32 = 40;
const SCENARIO: &str = "decode-step";
const CRITERIA: &str = r#"
record = "0000"
title = "The incumbent against itself"
cores = 1
[rule]
revisit = ["bottleneck"]
[candidate.itself]
crate = "dashmap"
[criterion.bottleneck]
kind = "bottleneck"
incumbent = "dashmap"
candidates = ["itself"]
threshold = 0.10
gating = ["decode-step"]
"#;

/// Says whether the rates are those that the methodology asks for.
pub(crate) fn run(engine: &mut Engine, results: &Results) -> Result<bool> {
    let known = Known {
        scenarios: &[SCENARIO],
        arms: &["dashmap", "itself"],
    };
    let record = Record::parse("the criteria of `aa`", CRITERIA, known)?;
    let Some(false_alarms) = found(engine, results, &record, 0.0)? else {
        return Ok(false);
    };
    println!("no difference: found in {false_alarms} of {RUNS} runs, and may be in none");
    let Some(detected) = found(engine, results, &record, 0.2)? else {
        return Ok(false);
    };
    println!(
        "20 % planted:  found in {detected} of {RUNS} runs, and has to be in {} at least",
        RUNS - 1
    );
    Ok(false_alarms == 0 && detected + 1 >= RUNS)
}

/// In how many runs the bottleneck is found, with so much planted into the incumbent. `None` if it was stopped.
fn found(
    engine: &mut Engine,
    results: &Results,
    record: &Record,
    planted: f64,
) -> Result<Option<u64>> {
    let mut yes = 0;
    for run in 1..=RUNS {
        let seed = results.seed.wrapping_mul(RUNS).wrapping_add(run);
        let Some((decision, blocks)) = decided(engine, results, record, seed, planted)? else {
            return Ok(None);
        };
        let answer = &decision.candidates[0].criteria[0];
        println!(
            "  run {run:2}, {blocks} blocks: {:?}: {}",
            answer.answer, answer.evidence
        );
        yes += u64::from(answer.answer == Answer::Yes);
    }
    Ok(Some(yes))
}

fn decided(
    engine: &mut Engine,
    results: &Results,
    record: &Record,
    seed: u64,
    planted: f64,
) -> Result<Option<(Decision, u32)>> {
    // What each arm is slowed down by; all are the incumbent's map.
    let arms = [
        (Arm::new("dashmap", Role::Incumbent), planted),
        (Arm::new("dashmap-again", Role::IncumbentAgain), planted),
        (
            Arm::new("dashmap-plus-10-percent", Role::Planted { extra: 0.1 }),
            planted + 0.1 + planted * 0.1,
        ),
        (Arm::new("itself", Role::Candidate), 0.0),
    ];
    let entrants = arms.each_ref().map(|(arm, planted)| Entrant {
        arm: "dashmap",
        role: arm.role,
        planted: Some(*planted),
    });
    let threads = u32::try_from(engine.placements[0].len())?;
    let mut results = Results {
        seed,
        mode: Mode::Default,
        runs: vec![ScenarioRun {
            scenario: SCENARIO.to_owned(),
            adr: None,
            gating: true,
            what: "the incumbent against itself".to_owned(),
            threads,
            cores_needed: 1,
            oversubscribed: false,
            arms: arms.into_iter().map(|(arm, _)| arm).collect(),
            blocks: Vec::new(),
        }],
        ..results.clone()
    };
    for number in 1.. {
        let decision = decide(&results, record, &Facts::default());
        if decision.next == Next::Done || number > BLOCKS {
            return Ok(Some((decision, number - 1)));
        }
        match engine.block((SCENARIO, threads), &entrants, number, seed)? {
            Some(block) => results.runs[0].blocks.push(block),
            None => return Ok(None),
        }
    }
    Ok(None)
}
