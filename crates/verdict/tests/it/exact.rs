//! Results made by hand: every block says what it is told to.

use verdict::schema::{Arm, Block, Cell, Results, Role, ScenarioRun};
use verdict::{Decision, decide};

use crate::world::{facts, record, results, run, slice, truth};

pub(crate) const AGAIN: usize = 1;
pub(crate) const PLANTED: usize = 2;
pub(crate) const PAPAYA: usize = 3;
pub(crate) const SCC: usize = 4;
pub(crate) const FREE: usize = 5;
pub(crate) const NANOS: f64 = 400.0;

pub(crate) fn cell(nanos_per_op: f64) -> Cell {
    Cell::Measured {
        slices: vec![slice(nanos_per_op, false); 3],
    }
}

pub(crate) fn void(reason: &str) -> Cell {
    Cell::Void {
        reason: reason.to_owned(),
        seed: 5,
    }
}

/// So many blocks in which papaya and scc take these times, the incumbent's being 1, near.
pub(crate) fn blocks(scenario: &str, number: u32, papaya: f64, scc: f64) -> ScenarioRun {
    let truth = truth([papaya, scc], [1.0; 2]);
    let mut own = run(scenario, &truth);
    own.blocks = (1..=number)
        .map(|number| Block {
            number,
            build: u8::try_from(number % 6).expect("small"),
            cores: vec![0, 1],
            order: (0..truth.len()).collect(),
            travel: vec![21.0; 8],
            cells: truth
                .iter()
                .map(|(.., times)| cell(NANOS * times[0]))
                .collect(),
        })
        .collect();
    for (arm, (.., times)) in truth.iter().enumerate().skip(1) {
        set(&mut own, arm, |_| times[0]);
    }
    own
}

pub(crate) fn step(number: u32, papaya: f64, scc: f64) -> ScenarioRun {
    blocks("decode-step", number, papaya, scc)
}

/// Gives an arm a time for each block, and a little of its own.
pub(crate) fn set(run: &mut ScenarioRun, arm: usize, time: impl Fn(usize) -> f64) {
    for (index, block) in run.blocks.iter_mut().enumerate() {
        let own = [0.0, 0.002, -0.003, 0.001, -0.001, 0.003, -0.002][index % 7];
        block.cells[arm] = cell(NANOS * time(index) * (1.0 + own));
    }
}

pub(crate) fn travels(run: &mut ScenarioRun, nanos: impl Fn(usize) -> f32) {
    for (index, block) in run.blocks.iter_mut().enumerate() {
        block.travel = vec![nanos(index); 8];
    }
}

pub(crate) fn add_arm(run: &mut ScenarioRun, name: &str, role: Role, cell: &Cell) {
    let index = run.arms.len();
    run.arms.push(Arm::new(name, role));
    for block in &mut run.blocks {
        block.order.push(index);
        block.cells.push(cell.clone());
    }
}

pub(crate) fn remove_arm(run: &mut ScenarioRun, arm: usize) {
    run.arms.remove(arm);
    for block in &mut run.blocks {
        block.cells.remove(arm);
        block.order = (0..block.cells.len()).collect();
    }
}

pub(crate) fn of(runs: Vec<ScenarioRun>) -> Results {
    Results { runs, ..results(1) }
}

pub(crate) fn decided(runs: Vec<ScenarioRun>) -> Decision {
    let results = of(runs);
    results.validate().expect("consistent");
    decide(&results, &record(), &facts())
}

#[track_caller]
pub(crate) fn says(text: &str, part: &str) {
    assert!(text.contains(part), "{part:?} is not in {text}");
}
