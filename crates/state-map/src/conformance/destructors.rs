//! When keys and values are dropped, and what their destructors may do.

use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::panics::planted;
use super::{Backend, watched};
use crate::StateMap;

/// A key, and a value, that does something when it is dropped.
struct Armed {
    number: u64,
    on_drop: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Armed {
    fn new(number: u64, on_drop: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self {
            number,
            on_drop: Some(Box::new(on_drop)),
        }
    }

    fn harmless(number: u64) -> Self {
        Self {
            number,
            on_drop: None,
        }
    }
}

impl Hash for Armed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

impl PartialEq for Armed {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Armed {}

impl Drop for Armed {
    fn drop(&mut self) {
        if let Some(act) = self.on_drop.take() {
            act();
        }
    }
}

type ArmedMap<B> = <B as Backend>::Map<Armed, Armed>;

/// Once a map is dropped, nothing of it is left, nor of what was removed from it or rejected by it.
pub fn a_dropped_map_drops_everything<B: Backend>() {
    const ENTRIES: u64 = 5_000;
    let alive = Arc::new(AtomicI64::new(0));
    let counted = |number| {
        alive.fetch_add(1, Ordering::Relaxed);
        let alive = Arc::clone(&alive);
        Armed::new(number, move || {
            alive.fetch_sub(1, Ordering::Relaxed);
        })
    };
    let map = ArmedMap::<B>::default();
    let held = map.access();
    for number in 0..ENTRIES {
        let access = map.access();
        assert!(
            access
                .insert_if_absent(counted(number), counted(number))
                .is_ok()
        );
        let rejected = access.insert_if_absent(counted(number), counted(number));
        assert_eq!(rejected.err().map(|value| value.number), Some(number));
        if number % 2 == 0 {
            assert!(access.remove(&Armed::harmless(number)));
        }
    }
    assert!(
        alive.load(Ordering::Relaxed) >= ENTRIES.cast_signed(),
        "half of the entries are in the map"
    );
    drop(held);
    drop(map);
    assert_eq!(
        alive.load(Ordering::Relaxed),
        0,
        "a dropped map left keys or values behind"
    );
}

/// Destructors of a rejected key, of a removed key and of a removed value may use the map.
pub fn destructors_may_use_the_map<B: Backend>() {
    const ENTRIES: u64 = 500;
    let ran = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&ran);
    watched(
        "a destructor that uses the map waits for ever: it runs under a lock",
        "a destructor that uses the map panics",
        move || {
            let map = Arc::new(ArmedMap::<B>::default());
            let meddling = |number: u64| {
                let (map, ran) = (Arc::downgrade(&map), Arc::clone(&counted));
                Armed::new(number, move || {
                    ran.fetch_add(1, Ordering::Relaxed);
                    // Nobody is there to be used while the map itself is dropped.
                    if let Some(map) = map.upgrade() {
                        let access = map.access();
                        for key in [number, number + 1, number + 1_000_000] {
                            let key = || Armed::harmless(key);
                            access.read(&key(), |_| ());
                            if access.insert_if_absent(key(), Armed::harmless(0)).is_ok() {
                                access.remove(&key());
                            }
                        }
                        access.for_each(|_, _| ());
                    }
                })
            };
            for number in 0..ENTRIES {
                let access = map.access();
                let inserted = access.insert_if_absent(meddling(number), meddling(number));
                assert!(inserted.is_ok());
                let before = counted.load(Ordering::Relaxed);
                let rejected = access.insert_if_absent(meddling(number), Armed::harmless(0));
                assert!(rejected.is_err());
                assert!(
                    counted.load(Ordering::Relaxed) > before,
                    "a rejected key is dropped at once"
                );
                if number % 2 == 0 {
                    assert!(access.remove(&Armed::harmless(number)));
                }
            }
        },
    );
    assert_eq!(
        ran.load(Ordering::Relaxed),
        3 * ENTRIES,
        "each is dropped once"
    );
}

/// After a panic in the destructor of a rejected key, of a removed key or of a removed value, the
/// map is as usable as before.
pub fn a_panicking_destructor_leaves_the_map_usable<B: Backend>() {
    let [harmless, panicking]: [fn(u64) -> Armed; 2] =
        [Armed::harmless, |number| Armed::new(number, planted)];
    for (what, key, value, rejected_key) in [
        ("a rejected key", harmless, harmless, panicking),
        ("a removed key", panicking, harmless, harmless),
        ("a removed value", harmless, panicking, harmless),
    ] {
        let (panics, left) = watched(
            &format!("a panic in the destructor of {what} left a lock held"),
            &format!("after a panic in the destructor of {what} the map panics"),
            move || {
                let map = ArmedMap::<B>::default();
                let mut panics = 0;
                let mut survive = |act: &dyn Fn()| {
                    panics += u32::from(catch_unwind(AssertUnwindSafe(act)).is_err());
                };
                let _ = map.access().insert_if_absent(key(1), value(1));
                survive(&|| {
                    let _ = map
                        .access()
                        .insert_if_absent(rejected_key(1), Armed::harmless(1));
                });
                survive(&|| {
                    map.access().remove(&Armed::harmless(1));
                });
                // Where what was removed is freed later, it is freed by one of these.
                for number in 0..1_000 {
                    survive(&|| {
                        let entry = (Armed::harmless(number), Armed::harmless(number));
                        let access = map.access();
                        assert!(access.insert_if_absent(entry.0, entry.1).is_ok());
                        assert!(access.remove(&Armed::harmless(number)));
                    });
                }
                let left = map.len();
                // Or, at the latest, by this.
                let end = catch_unwind(AssertUnwindSafe(|| drop(map)));
                (panics + u32::from(end.is_err()), left)
            },
        );
        assert_eq!(
            (panics, left),
            (1, 0),
            "{what} is dropped once, its panic is heard, and all else works"
        );
    }
}
