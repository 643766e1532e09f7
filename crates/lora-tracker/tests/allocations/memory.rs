//! What a pair of worker and adapter takes, and that it is given back.

use alloc_count::process_live_bytes;
use lora_tracker::{LoraEvent, LoraInfo, LoraMap, LoraTracker};
use worker_id::WorkerWithDpRank;

crate::backends::on_every_backend! { a_hundred_thousand_pairs }

const WORKERS: u64 = 1_000;
const NAMES: usize = 1_000;
const EACH: usize = 100;

fn a_hundred_thousand_pairs<M: LoraMap + Default>() {
    let _turn = crate::alone();

    let names: Vec<String> = (0..NAMES).map(|name| format!("adapter-{name}")).collect();
    let before = process_live_bytes();
    let tracker = LoraTracker::<M>::default();
    for id in 0..WORKERS {
        let worker = WorkerWithDpRank::from_worker_id(id);
        let first = usize::try_from(id).unwrap();
        let held =
            (0..EACH).map(|at| LoraInfo::new(&*names[(first * 7 + at * 10) % NAMES], Some(128)));
        tracker.replace_worker(worker, None, held).unwrap();
    }
    let pairs = usize::try_from(WORKERS).unwrap() * EACH;
    assert_eq!(
        tracker
            .workers()
            .iter()
            .map(|each| each.slots.loaded)
            .sum::<usize>(),
        pairs
    );
    let full = process_live_bytes() - before;
    println!("{} bytes a pair at {pairs} pairs", full / pairs);
    assert!(full / pairs < 100, "{} bytes a pair", full / pairs);

    for id in 0..WORKERS {
        let worker = WorkerWithDpRank::from_worker_id(id);
        tracker.apply(LoraEvent::WorkerLeft { worker }).unwrap();
    }
    // One change more, for the spare to forget what the last one touched.
    let worker = WorkerWithDpRank::from_worker_id(1);
    tracker
        .apply(LoraEvent::WorkerJoined {
            worker,
            capacity: None,
        })
        .unwrap();
    let left = process_live_bytes() - before;
    println!("{left} bytes are left of {full}");
    assert!(left < full / 20, "{left} bytes are left of {full}");
}
