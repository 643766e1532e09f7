//! Rows, totals and high-water marks.

use worker_load::{Capacity, Cost, LoadMap, PinnedTurns};

use crate::{AnyMap, backends, fleet, worker};

backends::on_every_backend! { a_row_for_each_worker_and_their_sums }

fn a_row_for_each_worker_and_their_sums<M: LoadMap + Default>() {
    let loads = fleet::<M>(20, Capacity::unlimited());
    let cost = |id: u64| Cost {
        kv_bytes: id * 10,
        ..Cost::tokens(u32::try_from(id).unwrap(), 1)
    };
    let held: Vec<_> = (0..20)
        .map(|id| loads.reserve(worker(id), cost(id)).unwrap())
        .collect();
    loads.drain(worker(3), PinnedTurns::Refuse).unwrap();
    let snapshot = loads.snapshot();
    assert!(
        snapshot
            .workers()
            .iter()
            .map(|row| row.worker.worker_id)
            .eq(0..20)
    );
    let row = snapshot.worker(worker(3)).unwrap();
    assert!(row.draining && row.prefill_tokens == 3 && row.tokens == 4 && row.kv_bytes == 30);
    assert_eq!(snapshot.worker(worker(20)), None);
    let totals = snapshot.totals();
    assert_eq!(
        (totals.workers, totals.draining, totals.requests),
        (20, 1, 20)
    );
    let sums = (totals.tokens, totals.prefill_tokens, totals.kv_bytes);
    assert_eq!(sums, (210, 190, 1_900));
    drop(held);
    assert_eq!(loads.snapshot().totals().requests, 0);
}

#[test]
fn high_water_marks_are_of_the_time_since_the_last_look() {
    let loads = fleet::<AnyMap>(1, Capacity::unlimited());
    let most = || {
        let row = loads.snapshot().workers()[0];
        (row.most_requests, row.most_tokens, row.most_kv_bytes)
    };
    let cost = Cost {
        kv_bytes: 7,
        ..Cost::tokens(10, 0)
    };
    let mut held: Vec<_> = (0..3)
        .map(|_| loads.reserve(worker(0), cost).unwrap())
        .collect();
    held[0].add(5);
    held.truncate(1);
    assert_eq!(most(), (3, 35, 21));
    // What is still there is part of the time that begins.
    assert_eq!(most(), (1, 15, 7));
    held.clear();
    assert_eq!(most(), (1, 15, 7));
    assert_eq!(most(), (0, 0, 0));
}
