//! Workers that come, drain and go, by rank and by life; late news; full lists.

use worker_id::{Ignored, WorkerRanks, WorkerWithDpRank};
use worker_load::{
    Ask, Capacity, Cost, Joined, LeastLoaded, LoadMap, PinnedTurns, Refused, WorkerLoad,
    WorkerLoads,
};

use crate::{AnyMap, backends, fleet, worker};

backends::on_every_backend! {
    a_restarted_worker_begins_at_0,
    late_news_changes_nothing,
    a_worker_of_several_ranks_leaves_in_one_call,
    a_full_list_is_what_there_is,
}

fn life(id: u64, incarnation: u64) -> WorkerWithDpRank {
    worker(id).with_ordered_incarnation(incarnation)
}

fn a_restarted_worker_begins_at_0<M: LoadMap + Default>() {
    let loads = WorkerLoads::with_map(M::default());
    loads.join(life(7, 41), Capacity::requests(1)).unwrap();
    let before = loads.reserve(worker(7), Cost::request()).unwrap();
    assert!(loads.reserve(worker(7), Cost::request()).is_err());

    let joined = loads.join(life(7, 42), Capacity::requests(1)).unwrap();
    let Joined::Replaced(left) = joined else {
        panic!("{joined:?}");
    };
    assert_eq!((left.requests(), loads.requests(worker(7))), (1, 0));
    let now = loads.reserve(worker(7), Cost::request()).unwrap();
    drop(before);
    assert!(left.is_drained());
    assert_eq!(
        loads.requests(worker(7)),
        1,
        "given back to the life that it was of"
    );
    drop(now);
    assert_eq!(loads.requests(worker(7)), 0);
}

fn late_news_changes_nothing<M: LoadMap + Default>() {
    let loads = WorkerLoads::with_map(M::default());
    loads.join(life(7, 42), Capacity::requests(1)).unwrap();
    let late = life(7, 41);
    assert_eq!(
        loads.join(late, Capacity::requests(9)).unwrap_err(),
        Ignored::Late
    );
    assert_eq!(
        loads.drain(late, PinnedTurns::Refuse).unwrap_err(),
        Ignored::Late
    );
    assert_eq!(loads.leave(late).unwrap_err(), Ignored::Late);
    assert_eq!(loads.resume(worker(8)).unwrap_err(), Ignored::Absent);
    let gone = loads.reserve(late, Cost::request()).unwrap_err();
    assert_eq!(gone, Refused::Gone { worker: late });
    let held = loads.reserve(life(7, 42), Cost::request()).unwrap();
    assert!(
        loads.reserve(worker(7), Cost::request()).is_err(),
        "the cap is as it was"
    );
    drop(held);

    assert!(loads.leave(life(7, 42)).unwrap().is_drained());
    let departed = loads.join(life(7, 42), Capacity::requests(1)).unwrap_err();
    assert_eq!(departed, Ignored::Departed);
    assert!(loads.worker(worker(7)).is_none());
    assert!(matches!(
        loads.join(life(7, 43), Capacity::requests(1)),
        Ok(Joined::New)
    ));
}

fn a_worker_of_several_ranks_leaves_in_one_call<M: LoadMap + Default>() {
    let loads = WorkerLoads::with_map(M::default());
    let rank = |rank| WorkerWithDpRank::new(7, rank).with_incarnation(41);
    for number in 0..8 {
        loads.join(rank(number), Capacity::unlimited()).unwrap();
    }
    loads.join(worker(8), Capacity::unlimited()).unwrap();
    let fleet = loads.everyone();
    assert!(fleet.iter().map(WorkerLoad::worker).is_sorted());
    let held = loads.reserve(rank(3), Cost::request()).unwrap();
    let drained = loads.drain(rank(0), PinnedTurns::Refuse).unwrap();
    assert_eq!(drained.workers().len(), 1);
    let left = loads
        .leave(WorkerRanks::all(7).with_incarnation(41))
        .unwrap();
    assert_eq!(
        (left.workers().len(), left.requests(), left.is_drained()),
        (8, 1, false)
    );
    assert!(!loads.is_current(&fleet));
    for _ in 0..16 {
        let picked = loads
            .pick(&fleet, Cost::request(), &LeastLoaded::default())
            .unwrap();
        assert_eq!(picked.worker(), worker(8));
    }
    drop(held);
    assert!(left.is_drained());
    assert!(
        loads.join(rank(9), Capacity::unlimited()).is_err(),
        "all ranks have gone"
    );
}

fn a_full_list_is_what_there_is<M: LoadMap + Default>() {
    let loads = WorkerLoads::with_map(M::default());
    for id in [1, 2, 3] {
        loads.join(life(id, 1), Capacity::unlimited()).unwrap();
    }
    let held = [1, 2, 3].map(|id| loads.reserve(worker(id), Cost::request()).unwrap());
    loads.drain(worker(3), PinnedTurns::Refuse).unwrap();
    // 1 is not there any more, 2 has restarted, 3 is as it was, 4 is new.
    let list = [life(2, 2), life(3, 1), life(4, 1)];
    let left = loads.sync(list.map(|each| (each, Capacity::requests(4))));
    assert_eq!((left.workers().len(), left.requests()), (2, 2));
    let snapshot = loads.snapshot();
    let rows: Vec<_> = snapshot
        .workers()
        .iter()
        .map(|row| (row.worker.worker_id, row.requests, row.draining))
        .collect();
    assert_eq!(rows, [(2, 0, false), (3, 1, true), (4, 0, false)]);
    drop(held);
    assert!(left.is_drained());
    // Listed, it is back, though it had left.
    assert!(
        loads
            .sync([(life(1, 1), Capacity::unlimited())])
            .is_drained()
    );
    assert_eq!(loads.snapshot().workers().len(), 1);
}

#[test]
fn a_worker_that_drains_takes_what_its_owner_says() {
    let loads = fleet::<AnyMap>(1, Capacity::unlimited());
    let (new, pinned) = (
        Ask::new(Cost::request()),
        Ask::new(Cost::request()).pinned(),
    );
    let running = loads.reserve(worker(0), new).unwrap();
    let draining = loads.drain(worker(0), PinnedTurns::Admit).unwrap();
    let refused = loads.reserve(worker(0), new).unwrap_err();
    assert_eq!(
        refused,
        Refused::Draining {
            worker: worker(0),
            requests: 1
        }
    );
    let turn = loads.reserve(worker(0), pinned).unwrap();
    assert_eq!(draining.requests(), 2);

    loads.drain(worker(0), PinnedTurns::Refuse).unwrap();
    assert!(loads.reserve(worker(0), pinned).is_err());
    let load = loads.worker(worker(0)).unwrap();
    assert!(load.is_closed() && !load.is_gone());
    // A list that has it does not end the drain.
    assert!(matches!(
        loads.join(worker(0), Capacity::unlimited()),
        Ok(Joined::Known)
    ));
    assert!(loads.reserve(worker(0), new).is_err());

    loads.resume(worker(0)).unwrap();
    assert!(loads.reserve(worker(0), new).is_ok() && !draining.is_drained());
    loads.drain(worker(0), PinnedTurns::Refuse).unwrap();
    drop((running, turn));
    assert!(draining.is_drained());
}

#[test]
fn handles_of_a_life_that_is_gone_refuse_for_ever() {
    let loads = fleet::<AnyMap>(1, Capacity::unlimited());
    let load = loads.worker(worker(0)).unwrap();
    loads.leave(worker(0)).unwrap();
    loads.join(worker(0), Capacity::unlimited()).unwrap();
    assert!(load.is_gone());
    let pinned = Ask::new(Cost::request()).pinned();
    assert!(matches!(load.reserve(pinned), Err(Refused::Gone { .. })));
    assert!(loads.reserve(worker(0), pinned).is_ok());
}

#[cfg(feature = "tokio")]
#[test]
fn whoever_waits_for_a_drain_is_woken_by_the_last_release() {
    use std::task::{Context, Poll, Waker};

    let loads = fleet::<AnyMap>(2, Capacity::unlimited());
    let held = [0, 1].map(|id| loads.reserve(worker(id), Cost::request()).unwrap());
    let draining = loads.drain(worker(0), PinnedTurns::Refuse).unwrap();
    let mut drained = std::pin::pin!(draining.drained());
    let mut context = Context::from_waker(Waker::noop());
    assert!(drained.as_mut().poll(&mut context).is_pending());
    drop(held);
    assert_eq!(drained.as_mut().poll(&mut context), Poll::Ready(()));
    pollster::block_on(draining.drained());
}
