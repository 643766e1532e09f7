//! A flood of made-up session ids, and what it does to pins that are in use.

use std::time::Duration;

use affinity::BindingKind::RouterOnly;
use affinity::{MemoryStore, MemoryStoreConfig, SessionMap, StoreError, WhenFull};
use worker_id::WorkerWithDpRank;

// The two maps for model checking search a vector, which is no match for a flood.
crate::backends::on_every_backend! { real: a_flood_leaves_pins_in_place, a_flood_evicts_what_was_never_used }

const A: WorkerWithDpRank = WorkerWithDpRank::new(1, 0);
const B: WorkerWithDpRank = WorkerWithDpRank::new(2, 0);

fn store<M: SessionMap + Default>(capacity: usize, when_full: WhenFull) -> MemoryStore<M> {
    let config = MemoryStoreConfig {
        capacity,
        when_full,
        ..MemoryStoreConfig::default()
    };
    MemoryStore::with_map(config, M::default()).unwrap()
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("{prefix}-{number}"))
        .collect()
}

fn flood<M: SessionMap>(store: &MemoryStore<M>) -> (usize, usize) {
    let (mut pinned, mut full) = (0, 0);
    for number in 0..100_000 {
        let session = format!("made-up-{number}");
        assert_eq!(store.get(&session).unwrap(), None);
        match store.claim(&session, B, RouterOnly) {
            Ok(written) => pinned += usize::from(written.applied),
            Err(StoreError::Full { capacity }) => {
                full += usize::from(capacity == store.config().capacity);
            }
            Err(other) => panic!("{other}"),
        }
    }
    (pinned, full)
}

fn a_flood_leaves_pins_in_place<M: SessionMap + Default>() {
    for when_full in [WhenFull::Reject, WhenFull::Unpinned] {
        let store = store::<M>(1_000, when_full);
        let pins = names("pin", 1_000);
        for session in &pins {
            assert!(store.claim(session, A, RouterOnly).unwrap().applied);
        }
        let (pinned, full) = flood(&store);
        assert_eq!(pinned, 0, "under {when_full:?}");
        assert_eq!(
            full,
            if when_full == WhenFull::Reject {
                100_000
            } else {
                0
            }
        );
        for session in &pins {
            let found = store.peek(session).unwrap();
            assert_eq!(
                found.map(|binding| binding.worker),
                Some(A),
                "{session} under {when_full:?}"
            );
        }
        assert_eq!(store.len(), 1_000);
        assert!(
            store.bind(&pins[0], B, RouterOnly).unwrap().applied,
            "a pin that is there can be bound anew"
        );
    }
}

/// Of pins in use one in 256 at most.
fn a_flood_evicts_what_was_never_used<M: SessionMap + Default>() {
    let store = store::<M>(2_000, WhenFull::EvictOldestIdle);
    let (pins, idle) = (names("pin", 1_000), names("idle", 1_000));
    for session in pins.iter().chain(&idle) {
        assert!(store.claim(session, A, RouterOnly).unwrap().applied);
    }
    for session in &pins {
        assert!(store.get(session).unwrap().is_some());
    }
    // Of one millisecond, a made-up session would be as old as these.
    store.advance_to(Duration::from_millis(1));
    assert_eq!(flood(&store), (100_000, 0));
    assert_eq!(store.len(), 2_000);
    let left = |sessions: &[String]| {
        sessions
            .iter()
            .filter(|session| store.peek(*session).unwrap().is_some())
            .count()
    };
    assert_eq!(left(&idle), 0, "what was never used goes first");
    assert!(
        left(&pins) >= 1_000 - 1_000_usize.div_ceil(256),
        "{} of 1,000 are left",
        left(&pins)
    );
}
