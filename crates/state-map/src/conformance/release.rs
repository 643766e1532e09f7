//! When what a value holds is let go.

use std::sync::mpsc::{Sender, TryRecvError, channel};

use super::{Backend, Ledger, Probe, insert_new};
use crate::{MapSession, Retire, StateMap, TakeOnce};

struct Pending(TakeOnce<Sender<()>>);

impl Retire for Pending {
    type Payload = Option<Sender<()>>;

    fn retire(&self) -> Self::Payload {
        self.0.take()
    }
}

/// A sender in a take-once cell is gone once its entry was removed and the payload dropped, although a
/// session that was open all the while still is: its receiver does not wait for that session.
pub fn a_payload_is_released_with_a_session_open<B: Backend>() {
    let map = B::Map::<u64, Pending>::default();
    let (sender, receiver) = channel();
    insert_new(&map.session(), 1, Pending(TakeOnce::new(sender)));
    let open = map.session();
    assert!(open.read(&1, |_| ()).is_some());

    let payload = map.session().remove(&1).flatten();
    assert!(payload.is_some(), "the removal hands the sender over");
    assert_eq!(
        receiver.try_recv(),
        Err(TryRecvError::Empty),
        "handing over releases nothing"
    );
    drop(payload);
    assert_eq!(
        receiver.try_recv(),
        Err(TryRecvError::Disconnected),
        "the sender lives on in the removed value"
    );

    let (sender, receiver) = channel();
    insert_new(&map.session(), 2, Pending(TakeOnce::new(sender)));
    map.session()
        .retain(|_, _| false, |_, payload| drop(payload));
    assert_eq!(
        receiver.try_recv(),
        Err(TryRecvError::Disconnected),
        "the sender lives on after a retain"
    );
    drop(open);
}

/// An insertion into a taken key gives its value back whole, without retiring it, and leaves the occupant.
pub fn a_rejected_value_comes_back<B: Backend>() {
    let ledger = Ledger::default();
    let map = B::Map::<u64, Probe>::default();
    insert_new(&map.session(), 1, Probe::new(10, &ledger));
    let taken = map
        .session()
        .insert_if_absent(1, Probe::new(11, &ledger), |occupant| occupant.stamp);
    let taken = taken.expect_err("the key is taken");
    assert_eq!((taken.rejected.stamp, taken.occupant), (11, 10));
    assert_eq!(
        taken.rejected.retire().map(|payload| payload.stamp),
        Some(11),
        "its payload is untouched"
    );
    drop(taken);
    assert_eq!(
        (ledger.live_values(), ledger.live_payloads()),
        (1, 1),
        "only the occupant is left"
    );
    assert_eq!(
        map.session()
            .remove(&1)
            .flatten()
            .map(|payload| payload.stamp),
        Some(10)
    );
}

/// Once a map and the payloads it handed over are dropped, nothing of it is left.
pub fn a_dropped_map_drops_everything<B: Backend>() {
    const ENTRIES: i64 = 5_000;
    let ledger = Ledger::default();
    let map = B::Map::<u64, Probe>::default();
    let held = map.session();
    let mut handed_over = Vec::new();
    for key in 0..ENTRIES.unsigned_abs() {
        insert_new(&map.session(), key, Probe::new(key, &ledger));
        if key % 2 == 0 {
            handed_over.extend(map.session().remove(&key).flatten());
        }
    }
    assert_eq!(handed_over.len() as u64, ENTRIES.unsigned_abs() / 2);
    assert_eq!(
        ledger.live_payloads(),
        ENTRIES,
        "half are in the map, half were handed over"
    );
    drop(held);
    drop(map);
    assert_eq!(
        ledger.live_payloads(),
        ENTRIES / 2,
        "those in the map went with it, those handed over stay"
    );
    drop(handed_over);
    assert_eq!(
        (ledger.live_values(), ledger.live_payloads()),
        (0, 0),
        "a dropped map left values behind"
    );
}
