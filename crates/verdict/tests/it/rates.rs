//! How often the whole rule errs, how often it sees what is there, and what that costs: seeded, so
//! that a rate is a fact.
//!
//! Whole runs of two gating scenarios and two candidates, from the first block to the last that the
//! decision asks for. They are counted for scc, which passes (a), so that its verdict hangs on (b).

use std::sync::OnceLock;

use verdict::states::State;
use verdict::{Answer, Outcome, Record};

use crate::world::{Noise, Truth, WORLD, World, gated_by, settle, truth};

#[derive(Debug, Default)]
struct Rates {
    revisit: u32,
    keep: u32,
    inconclusive: u32,
    /// Of one gating scenario, void ones included, the mean over the runs.
    blocks: f64,
}

/// `truth` is what is true of both scenarios.
fn rates(name: &str, truth: &[Truth], world: World, runs: u64) -> Rates {
    static RECORD: OnceLock<Record> = OnceLock::new();
    let record = RECORD.get_or_init(|| gated_by(&["decode-step", "other-step"]));
    let mut rates = Rates::default();
    for seed in 0..runs {
        let (results, decision) = settle(record, truth, world, seed);
        match decision.candidates[1].ruling.verdict() {
            Some(Outcome::Revisit) => rates.revisit += 1,
            Some(Outcome::Keep) => rates.keep += 1,
            Some(Outcome::Inconclusive) => rates.inconclusive += 1,
            None => panic!("not a quick run"),
        }
        let blocks: usize = results.runs.iter().map(|run| run.blocks.len()).sum();
        rates.blocks += blocks as f64 / results.runs.len() as f64 / runs as f64;
    }
    println!("{name}: {rates:.1?}");
    rates
}

/// The blocks of the committed results of records 0003 to 0007: name, and residuals around the
/// medians.
fn ours() -> &'static [(String, Vec<[f64; 5]>)] {
    static OURS: OnceLock<Vec<(String, Vec<[f64; 5]>)>> = OnceLock::new();
    OURS.get_or_init(|| {
        let mut all: Vec<(String, Vec<[f64; 5]>)> = Vec::new();
        for line in include_str!("../data/blocks.txt").lines() {
            if let Some(name) = line.strip_prefix('[') {
                all.push((name.trim_end_matches(']').to_owned(), Vec::new()));
            } else if !line.starts_with('#') {
                let values: Vec<f64> = line
                    .split(' ')
                    .map(|value| value.parse::<f64>().expect("a number") / 1e4)
                    .collect();
                // Where there was no free map, one as noisy as scc.
                let free = values.get(4).unwrap_or(&values[3]);
                let row = [values[0], values[1], values[2], values[3], *free];
                all.last_mut().expect("a name first").1.push(row);
            }
        }
        for (_, rows) in &mut all {
            for arm in 0..5 {
                let mut column: Vec<f64> = rows.iter().map(|row| row[arm]).collect();
                let median = verdict::stats::median(&mut column).expect("blocks");
                rows.iter_mut().for_each(|row| row[arm] -= median);
            }
        }
        all
    })
}

const NOTHING: [f64; 2] = [1.0; 2];
const A_FIFTH: [f64; 2] = [0.8; 2];
const THRESHOLD: [f64; 2] = [0.9; 2];

/// Two hundred runs in each of three worlds, and two hundred and ten on blocks of ours, in which
/// far lines are rare.
fn everywhere(what: &str, truth: &[Truth]) -> [Rates; 4] {
    let worlds = [
        ("one state", WORLD),
        (
            "both states, rough builds",
            World {
                far: 0.5,
                builds: 0.014,
                ..WORLD
            },
        ),
        ("far is rare", World { far: 0.06, ..WORLD }),
    ];
    let [one, both, rare] =
        worlds.map(|(name, world)| rates(&format!("{what}, {name}"), truth, world, 200));
    let mut all = Rates::default();
    for (name, rows) in ours() {
        let world = World {
            noise: Noise::Ours(rows),
            ..worlds[2].1
        };
        let of = rates(&format!("{what}, blocks of {name}"), truth, world, 30);
        all.revisit += of.revisit;
        all.keep += of.keep;
        all.inconclusive += of.inconclusive;
        all.blocks += of.blocks / ours().len() as f64;
    }
    println!("{what}, all blocks of ours: {all:.1?}");
    [one, both, rare, all]
}

#[test]
fn without_a_difference_it_hardly_ever_says_revisit() {
    for rates in everywhere("nothing", &truth(NOTHING, NOTHING)) {
        assert!(rates.revisit <= 1 && rates.keep >= 180, "{rates:?}");
        assert!(rates.blocks <= 60.0, "{rates:?}");
    }
}

#[test]
fn with_a_fifth_planted_it_nearly_always_says_revisit() {
    for rates in everywhere("a fifth", &truth(A_FIFTH, A_FIFTH)) {
        assert!(rates.revisit >= 190 && rates.keep == 0, "{rates:?}");
        assert!(rates.blocks <= 30.0, "{rates:?}");
    }
}

/// The worst case for both answers: a gain that is exactly the threshold.
#[test]
fn at_the_threshold_it_says_neither() {
    for rates in everywhere("threshold", &truth(THRESHOLD, THRESHOLD)) {
        assert!(rates.keep <= 5 && rates.revisit <= 5, "{rates:?}");
    }
}

/// And the worst for KEEP: the map that costs nothing lies there as well, and may say no in the
/// candidate's place.
#[test]
fn with_no_headroom_but_the_threshold_it_keeps_as_rarely() {
    let mut truth = truth(THRESHOLD, THRESHOLD);
    truth[5].2 = THRESHOLD;
    let rates = rates("threshold, and so the free map", &truth, WORLD, 200);
    assert!(rates.keep <= 5, "{rates:?}");
}

#[test]
fn a_far_state_decides_apart_from_the_near_one() {
    let record = gated_by(&["decode-step", "other-step"]);
    let world = World { far: 0.5, ..WORLD };
    let mut revisit = 0;
    for seed in 0..50 {
        let (_, decision) = settle(&record, &truth(NOTHING, A_FIFTH), world, seed);
        let scc = &decision.candidates[1];
        revisit += u32::from(scc.ruling.verdict() == Some(Outcome::Revisit));
        // What it keeps is for near lines alone.
        let kept = scc.ruling.verdict() == Some(Outcome::Keep);
        assert!(
            !kept || scc.states == [(State::Near, Answer::No)],
            "{scc:?}"
        );
        assert!(!scc.states.contains(&(State::Near, Answer::Yes)), "{scc:?}");
    }
    assert!(revisit >= 40, "{revisit}");
}

#[test]
fn a_rough_machine_ends_inconclusive_rather_than_wrong() {
    let rough = World {
        noise: Noise::Normal(0.12),
        ..WORLD
    };
    for (time, wrong) in [(NOTHING, Outcome::Revisit), (A_FIFTH, Outcome::Keep)] {
        let rates = rates(&format!("rough, {time:?}"), &truth(time, time), rough, 50);
        let wrong = if wrong == Outcome::Keep {
            rates.keep
        } else {
            rates.revisit
        };
        assert!(wrong == 0 && rates.inconclusive >= 25, "{rates:?}");
    }
}

#[test]
fn a_dirty_machine_ends_inconclusive_and_says_so() {
    let dirty = World {
        dirty: 0.35,
        turns: 10,
        ..WORLD
    };
    for time in [NOTHING, A_FIFTH] {
        for seed in 0..5 {
            let record = gated_by(&["decode-step"]);
            let (_, decision) = settle(&record, &truth(time, time), dirty, seed);
            // (a) settles papaya, whatever the machine does.
            let verdicts = decision.candidates.iter().map(|each| each.ruling.verdict());
            let expected = [Some(Outcome::Keep), Some(Outcome::Inconclusive)];
            assert_eq!(verdicts.collect::<Vec<_>>(), expected);
            assert!(
                decision.candidates[1].why.contains("are dirty"),
                "{decision:?}"
            );
        }
    }
}
