//! Results made by hand: every process takes exactly the time it is told.

use verdict::schema::{Block, Cell, Results, Role, ScenarioRun, Slice};
use verdict::{Decision, Record, decide};

use crate::synthetic::{PLAN, arms, empty_results, empty_run, facts, record};

/// The nanoseconds per operation of the incumbent.
pub(crate) const NANOS: f64 = 400.0;

/// The indices of the arms that `results` makes.
pub(crate) const INCUMBENT: usize = 0;
pub(crate) const AGAIN: usize = 1;
pub(crate) const PLANTED: usize = 2;
pub(crate) const PAPAYA: usize = 3;
pub(crate) const SCC: usize = 4;

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(crate) fn slice(nanos_per_op: f64) -> Slice {
    Slice {
        ops: 100_000,
        nanos: (nanos_per_op * 100_000.0).round() as u64,
        run_delay_nanos: 0,
        steal_ticks: 0,
    }
}

pub(crate) fn cell(nanos_per_op: f64) -> Cell {
    Cell::Measured {
        slices: vec![slice(nanos_per_op); 4],
    }
}

/// The times of an arm over the blocks, the incumbent's being 1: spread evenly around `time` by a hundredth either way, so
/// that intervals have a width, in an order that is not that of the blocks.
pub(crate) fn spread(time: f64, blocks: u32) -> Vec<f64> {
    let place = |block: u32| f64::from(block * 7 % blocks) / f64::from(blocks - 1) - 0.5;
    (0..blocks)
        .map(|block| time * (1.0 + 0.02 * place(block)))
        .collect()
}

/// A pass in which `papaya` and `scc` take those times.
pub(crate) fn run(scenario: &str, pass: u8, papaya: &[f64], scc: &[f64]) -> ScenarioRun {
    let mut run = empty_run(scenario, pass, &arms(&[("papaya", 0.0), ("scc", 0.0)]));
    let blocks = u32::try_from(papaya.len()).unwrap();
    let again = spread(1.0, blocks);
    for (index, number) in (1..=blocks).enumerate() {
        let times = [
            1.0,
            again[index],
            again[index] * 1.1,
            papaya[index],
            scc[index],
        ];
        run.blocks.push(Block {
            number,
            order: vec![4, 2, 0, 1, 3],
            cells: times.iter().map(|time| cell(NANOS * time)).collect(),
        });
    }
    run
}

pub(crate) fn results(runs: Vec<ScenarioRun>) -> Results {
    Results {
        runs,
        ..empty_results(7, PLAN)
    }
}

/// A pass of `decode-step` with 30 blocks spread around those times.
pub(crate) fn pass(number: u8, papaya: f64, scc: f64) -> ScenarioRun {
    run("decode-step", number, &spread(papaya, 30), &spread(scc, 30))
}

pub(crate) fn decided(runs: Vec<ScenarioRun>) -> Decision {
    let results = results(runs);
    results.validate().expect("consistent");
    decide(&results, &record(), &facts())
}

/// The record with other gating scenarios.
pub(crate) fn gated_by(gating: &str) -> Record {
    let text = crate::synthetic::CRITERIA.replace(r#"["decode-step"]"#, gating);
    Record::parse("criteria.toml", &text, crate::synthetic::KNOWN).expect("valid")
}

pub(crate) fn set(run: &mut ScenarioRun, arm: usize, time: impl Fn(usize) -> f64) {
    for (index, block) in run.blocks.iter_mut().enumerate() {
        block.cells[arm] = cell(NANOS * time(index));
    }
}

pub(crate) fn remove(run: &mut ScenarioRun, role: Role) {
    let arm = run
        .arms
        .iter()
        .position(|arm| arm.role == role)
        .expect("there");
    run.arms.remove(arm);
    for block in &mut run.blocks {
        block.cells.remove(arm);
        block.order = (0..run.arms.len()).collect();
    }
}
