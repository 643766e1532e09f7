//! How often the whole rule errs, and how often it sees what is there: seeded, so that a rate is a fact.
//!
//! Whole runs: 30 blocks, extended and confirmed as the decision asks for. They are counted for scc, which passes (a), so
//! that its verdict hangs on (b). Papaya is there as well, and takes its share of Holm's correction.

use verdict::preconditions::What;
use verdict::schema::Plan;
use verdict::{Answer, Outcome, Record};

use crate::synthetic::{CRITERIA, KNOWN, NOISE, Noise, PLAN, arms, record, settle};

#[derive(Debug, Default)]
struct Rates {
    revisit: u32,
    keep: u32,
    inconclusive: u32,
    yes: u32,
    no: u32,
}

impl Rates {
    fn count(&mut self, verdict: Option<Outcome>, bottleneck: Answer) {
        match verdict.expect("not a quick run") {
            Outcome::Revisit => self.revisit += 1,
            Outcome::Keep => self.keep += 1,
            Outcome::Inconclusive => self.inconclusive += 1,
        }
        match bottleneck {
            Answer::Yes => self.yes += 1,
            Answer::No => self.no += 1,
            Answer::Open | Answer::NotEvaluated => {}
        }
    }
}

/// `time` is that of both candidates, the incumbent's being 1.
fn rates(time: f64, noise: Noise, runs: u64) -> Rates {
    let record = record();
    let truth = arms(&[("papaya", time), ("scc", time)]);
    let mut rates = Rates::default();
    for seed in 0..runs {
        let (_, decision) = settle(&record, &truth, noise, PLAN, seed);
        let scc = &decision.candidates[1];
        rates.count(scc.ruling.verdict(), scc.criteria[1].answer);
    }
    println!("time {time}, layout {}: {rates:?}", noise.layout);
    rates
}

#[test]
fn without_a_difference_it_hardly_ever_says_revisit() {
    let rates = rates(1.0, NOISE, 200);
    assert!(rates.revisit <= 1 && rates.yes <= 1, "{rates:?}");
    assert!(rates.keep >= 190, "{rates:?}");
}

#[test]
fn with_a_fifth_planted_it_nearly_always_says_revisit() {
    let rates = rates(0.8, NOISE, 200);
    assert!(rates.revisit >= 190, "{rates:?}");
    assert!(rates.keep == 0 && rates.no == 0, "{rates:?}");
}

/// The worst case for both answers: a gain that is exactly the threshold.
#[test]
fn at_the_threshold_it_says_neither_yes_nor_no() {
    let rates = rates(0.9, NOISE, 100);
    assert_eq!(rates.yes, 0, "{rates:?}");
    // Two looks at 2.5 % each: 5 % at most, and three standard deviations of that.
    assert!(rates.no <= 11, "{rates:?}");
}

#[test]
fn a_rough_machine_ends_inconclusive_rather_than_wrong() {
    let rough = Noise {
        layout: 0.06,
        ..NOISE
    };
    for time in [0.8, 1.0] {
        let rates = rates(time, rough, 50);
        let wrong = if time < 1.0 {
            rates.keep
        } else {
            rates.revisit
        };
        assert_eq!(wrong, 0, "{rates:?}");
        assert!(rates.inconclusive >= 10, "{rates:?}");
    }
}

#[test]
fn dirty_data_ends_inconclusive_and_says_so() {
    let dirty = Noise {
        dirty: 0.35,
        ..NOISE
    };
    let record = record();
    for time in [0.8, 1.0] {
        let truth = arms(&[("papaya", time), ("scc", time)]);
        for seed in 0..20 {
            let (_, decision) = settle(&record, &truth, dirty, PLAN, seed);
            let check = decision
                .checks
                .iter()
                .find(|check| check.what == What::Dirty);
            assert!(check.is_some_and(|check| !check.holds));
            for candidate in &decision.candidates {
                assert_eq!(candidate.ruling.verdict(), Some(Outcome::Inconclusive));
                assert!(
                    candidate.why.contains("slices are dirty"),
                    "{}",
                    candidate.why
                );
                assert_eq!(candidate.criteria[1].answer, Answer::Open);
            }
        }
    }
}

/// What `--scenario aa` does on a quiet machine: the incumbent as its own candidate, in eight blocks, extended to sixteen.
#[test]
fn eight_blocks_tell_a_fifth_from_nothing() {
    let quiet = Noise {
        layout: 0.006,
        slice: 0.03,
        ..NOISE
    };
    let plan = Plan {
        blocks: 8,
        extended: 16,
    };
    let alone = CRITERIA
        .replace(
            "candidates = [\"papaya\", \"scc\"]",
            "candidates = [\"scc\"]",
        )
        .replace("[candidate.papaya]\ncrate = \"papaya\"\n", "");
    let record = Record::parse("aa.toml", &alone, KNOWN).expect("valid");
    for (time, least, most) in [(1.0, 0, 0), (1.0 / 1.2, 95, 100)] {
        let mut rates = Rates::default();
        for seed in 0..100 {
            let (_, decision) = settle(&record, &arms(&[("scc", time)]), quiet, plan, seed);
            let scc = &decision.candidates[0];
            rates.count(scc.ruling.verdict(), scc.criteria[1].answer);
        }
        println!("eight blocks, time {time:.3}: {rates:?}");
        assert!((least..=most).contains(&rates.yes), "{rates:?}");
    }
}
