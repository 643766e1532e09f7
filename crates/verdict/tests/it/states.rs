//! Near and far: what the pilots fix, and what a block's own probes make of it.

use verdict::schema::{Block, Probe};
use verdict::states::{Boundary, State};

fn boundary(nanos: &[f32]) -> Boundary {
    let probe = |nanos: &f32| Probe {
        cores: [0, 1],
        nanos: *nanos,
    };
    Boundary::of(&nanos.iter().map(probe).collect::<Vec<_>>())
}

fn block(travel: &[f32]) -> Block {
    Block {
        number: 1,
        build: 0,
        cores: vec![0, 1],
        order: Vec::new(),
        travel: travel.to_vec(),
        cells: Vec::new(),
    }
}

/// Twenty pilots of which so many are far.
fn pilots(near: f32, far: f32, of_them: usize) -> Vec<f32> {
    let nanos = |place: usize| if place < of_them { far } else { near };
    (0..20)
        .map(|place| nanos(place) * (1.0 + 0.01 * (place % 5) as f32))
        .collect()
}

#[test]
fn two_kinds_of_pilots_are_parted_in_the_middle() {
    for (near, far) in [(21.0, 193.0), (62.0, 193.0), (21.0, 62.0), (9.0, 400.0)] {
        for of_them in [2, 7, 10, 18] {
            let boundary = boundary(&pilots(near, far, of_them));
            let middle = f64::from(near * far).sqrt();
            assert!(
                (boundary.nanos / middle - 1.0).abs() < 0.05,
                "{near}, {far}: {boundary:?}"
            );
            assert_eq!([near, far].map(|nanos| boundary.state(nanos)), State::ALL);
        }
    }
}

#[test]
fn one_kind_is_near_or_far_by_what_machines_take() {
    for (nanos, state) in [
        (21.0, State::Near),
        (62.0, State::Near),
        (193.0, State::Far),
    ] {
        // One pilot that was preempted makes no second kind.
        for stray in [0, 1] {
            let boundary = boundary(&pilots(nanos, 5_000.0, stray));
            assert_eq!(boundary.state(nanos), state, "{nanos}: {boundary:?}");
            assert_eq!(
                [21.0, 193.0].map(|n| boundary.state(n)),
                State::ALL,
                "{boundary:?}"
            );
        }
    }
    // Nothing probed, and next to nothing, are a machine's as well.
    for few in [&[][..], &[21.0], &[21.0, 21.5], &[21.0, 193.0, 22.0]] {
        assert_eq!(
            [21.0, 193.0].map(|n| boundary(few).state(n)),
            State::ALL,
            "{few:?}"
        );
    }
}

#[test]
fn a_block_is_of_the_state_that_its_probes_agree_on() {
    let boundary = boundary(&pilots(21.0, 193.0, 6));
    let state = |near: usize, far: usize| {
        let travel = [vec![21.0; near], vec![193.0; far]].concat();
        block(&travel).state(&boundary)
    };
    assert_eq!(state(0, 0), Some(State::Near), "no line travels");
    assert_eq!(
        (state(3, 0), state(0, 3)),
        (Some(State::Near), Some(State::Far))
    );
    assert_eq!((state(6, 1), state(1, 1)), (None, None));
    // One in eight may stray.
    assert_eq!(
        (state(7, 1), state(1, 7)),
        (Some(State::Near), Some(State::Far))
    );
    assert_eq!((state(12, 2), state(14, 2)), (None, Some(State::Near)));
    assert_eq!(state(8, 8), None);
}
