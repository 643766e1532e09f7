//! Slices, cells, blocks and pairs.

use verdict::analysis::{Analysis, Estimate};
use verdict::schema::{Cell, Slice};
use verdict::stats::Interval;

use crate::exact::{AGAIN, INCUMBENT, NANOS, PAPAYA, SCC, cell, pass, slice};

const CLEAN: Slice = Slice {
    ops: 1000,
    nanos: 1_000_000,
    run_delay_nanos: 20_000,
    steal_ticks: 0,
};

#[test]
fn a_clean_slice_waited_two_percent_at_most_and_lost_no_tick() {
    let waited = Slice {
        run_delay_nanos: 20_001,
        ..CLEAN
    };
    let stolen = Slice {
        steal_ticks: 1,
        ..CLEAN
    };
    assert!(CLEAN.is_clean(false));
    assert!(!waited.is_clean(false) && waited.is_clean(true));
    assert!(!stolen.is_clean(false) && stolen.is_clean(true));
}

#[test]
fn a_slice_without_a_time_per_operation_is_never_clean() {
    for oversubscribed in [false, true] {
        assert!(!Slice { ops: 0, ..CLEAN }.is_clean(oversubscribed));
        assert!(!Slice { nanos: 0, ..CLEAN }.is_clean(oversubscribed));
    }
    let huge = Slice {
        nanos: u64::MAX,
        run_delay_nanos: u64::MAX,
        ..CLEAN
    };
    assert!(!huge.is_clean(false));
}

#[test]
fn a_cell_is_the_median_of_its_clean_slices() {
    let dirty = |nanos| Slice {
        steal_ticks: 1,
        ..slice(nanos)
    };
    let slices = vec![
        dirty(1.0),
        slice(10.0),
        slice(40.0),
        dirty(2.0),
        slice(30.0),
    ];
    let cell = Cell::Measured { slices };
    assert_eq!(cell.nanos_per_op(false), Some(30.0));
    assert_eq!(cell.nanos_per_op(true), Some(10.0));
    let slices = vec![dirty(1.0)];
    assert_eq!(Cell::Measured { slices }.nanos_per_op(false), None);
}

#[test]
fn a_ratio_below_one_is_a_gain() {
    let mut run = pass(1, 0.8, 1.25);
    for (block, time) in run.blocks.iter_mut().zip([0.5, 0.75, 0.8].iter().cycle()) {
        block.cells[PAPAYA] = cell(NANOS * time);
    }
    let analysis = Analysis::new(&run, 1);
    assert_eq!(analysis.nanos_per_op(PAPAYA), Some(NANOS * 0.75));
    let papaya = analysis.estimate(PAPAYA).expect("pairs");
    assert_eq!(papaya.blocks, 30);
    assert!((papaya.gain() - 0.25).abs() < 1e-12);
    let scc = analysis.estimate(SCC).expect("pairs");
    assert!(scc.gain() < -0.2 && scc.ratio() > 1.2);
}

#[test]
fn an_interval_of_gains_is_turned_around() {
    let log = |lower: f64, upper: f64| Interval {
        lower: lower.ln(),
        upper: upper.ln(),
    };
    let estimate = Estimate {
        blocks: 30,
        log_ratio: 0.8_f64.ln(),
        bootstrap: log(0.7, 0.85),
        exact: log(0.75, 0.9),
    };
    let ratios = estimate.ratio_interval();
    assert!((ratios.lower - 0.7).abs() < 1e-12 && (ratios.upper - 0.9).abs() < 1e-12);
    let gains = estimate.gain_interval();
    assert!((gains.lower - 0.1).abs() < 1e-12 && (gains.upper - 0.3).abs() < 1e-12);
}

fn blocks_of(analysis: &Analysis<'_>, arm: usize) -> usize {
    analysis.pairs(arm).len()
}

#[test]
fn a_void_cell_takes_its_whole_block() {
    let mut run = pass(1, 0.8, 0.9);
    run.blocks[4].cells[PAPAYA] = Cell::Void {
        reason: "was killed after 10 s".to_owned(),
        seed: 99,
    };
    let analysis = Analysis::new(&run, 1);
    assert_eq!(analysis.void_blocks(), 1);
    let void = analysis.void();
    assert_eq!(
        (void[0].block, void[0].arm, void[0].seed),
        (5, "papaya", 99)
    );
    assert_eq!(blocks_of(&analysis, PAPAYA), 29);
    assert_eq!(blocks_of(&analysis, SCC), 29);
    assert_eq!(analysis.slices(), (29 * 5 * 4, 0));
}

#[test]
fn a_cell_without_a_clean_slice_takes_the_pairs_that_need_it() {
    let mut run = pass(1, 0.8, 0.9);
    let unusable = Cell::Measured { slices: Vec::new() };
    run.blocks[0].cells[SCC] = unusable.clone();
    run.blocks[1].cells[INCUMBENT] = unusable;
    let analysis = Analysis::new(&run, 1);
    assert_eq!(analysis.void_blocks(), 0);
    assert_eq!(blocks_of(&analysis, SCC), 28);
    assert_eq!(blocks_of(&analysis, PAPAYA), 29);
    assert_eq!(blocks_of(&analysis, AGAIN), 29);
}
