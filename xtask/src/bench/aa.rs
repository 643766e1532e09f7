//! `--scenario aa`: whether the whole rule can be believed on this machine.
//!
//! The incumbent is a candidate against itself, in runs of eight blocks a pass, extended to sixteen where the interval is too wide, through everything that a record
//! goes through. With no difference the bottleneck must never be found; with a fifth planted into the incumbent, nearly
//! always.

use std::ops::RangeInclusive;

use anyhow::Result;
use verdict::schema::{Arm, Mode, Plan, Results, Role, ScenarioRun};
use verdict::{Answer, Facts, Known, Next, Record, decide};

use crate::bench::worker::{Entrant, Worker};

/// The name that stands for it on the command line.
pub(crate) const NAME: &str = "aa";

const RUNS: u64 = 20;
const BLOCKS: u32 = 8;
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
pub(crate) fn run(worker: &Worker, results: &Results, seed: u64) -> Result<bool> {
    let known = Known {
        scenarios: &[SCENARIO],
        arms: &["dashmap", "itself"],
    };
    let record = Record::parse("the criteria of `aa`", CRITERIA, known)?;
    let false_alarms = found(worker, results, &record, seed, 0.0);
    println!("no difference: found in {false_alarms} of {RUNS} runs, and may be in none");
    let detected = found(worker, results, &record, seed, 0.2);
    println!(
        "20 % planted:  found in {detected} of {RUNS} runs, and has to be in {} at least",
        RUNS - 1
    );
    Ok(false_alarms == 0 && detected + 1 >= RUNS)
}

/// In how many runs the bottleneck is found, with so much planted into the incumbent.
fn found(worker: &Worker, results: &Results, record: &Record, seed: u64, planted: f64) -> u64 {
    let mut yes = 0;
    for run in 0..RUNS {
        let mut results = Results {
            seed: seed.wrapping_add(run),
            mode: Mode::Default,
            plan: Plan {
                blocks: BLOCKS,
                extended: 2 * BLOCKS,
            },
            runs: vec![measured(
                worker,
                seed.wrapping_add(run),
                1,
                1..=BLOCKS,
                planted,
            )],
            ..results.clone()
        };
        let answer = loop {
            let decision = decide(&results, record, &Facts::default());
            match decision.next {
                Next::Extend { pass, .. } => {
                    let more =
                        measured(worker, results.seed, pass, BLOCKS + 1..=2 * BLOCKS, planted);
                    results.runs[usize::from(pass) - 1]
                        .blocks
                        .extend(more.blocks);
                }
                Next::Confirm { .. } => {
                    let second = measured(worker, results.seed, 2, 1..=BLOCKS, planted);
                    results.runs.push(second);
                }
                Next::Done => break decision.candidates[0].criteria[0].clone(),
            }
        };
        println!(
            "  run {:2}: {:?}: {}",
            run + 1,
            answer.answer,
            answer.evidence
        );
        yes += u64::from(answer.answer == Answer::Yes);
    }
    yes
}

fn measured(
    worker: &Worker,
    seed: u64,
    pass: u8,
    numbers: RangeInclusive<u32>,
    planted: f64,
) -> ScenarioRun {
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
    let entrants = arms.each_ref().map(|(_, planted)| Entrant {
        arm: "dashmap",
        planted: Some(*planted),
    });
    let blocks = numbers
        .filter_map(|number| {
            let seed = seed ^ u64::from(pass) << 32 ^ u64::from(number) << 40;
            worker.block(SCENARIO, &entrants, number, seed, || false)
        })
        .collect();
    ScenarioRun {
        scenario: SCENARIO.to_owned(),
        adr: None,
        gating: true,
        pass,
        what: "the incumbent against itself".to_owned(),
        threads: worker.cores(),
        cores_needed: 1,
        oversubscribed: false,
        arms: arms.into_iter().map(|(arm, _)| arm).collect(),
        blocks,
    }
}
