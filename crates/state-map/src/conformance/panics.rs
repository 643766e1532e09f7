//! Closures and keys that panic.

use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::{Backend, MapOf, Probe, Sample, insert_new, take, watched};
use crate::{Access, StateMap};

/// After a panic in any closure the entry is as it was, and every other thread can use the map.
pub fn a_panicking_closure_leaves_the_map_usable<M: MapOf<V>, V: Sample>() {
    after_a_panic::<M, V>("read", |access| {
        access.read(&V::key(1), |_| planted::<()>());
    });
    after_a_panic::<M, V>("remove_if", |access| {
        access.remove_if(&V::key(1), |_| planted());
    });
    after_a_panic::<M, V>("for_each", |access| access.for_each(|_, _| planted()));
}

/// Panics without the panic hook, which would fill the test's output.
pub(super) fn planted<T>() -> T {
    resume_unwind(Box::new("planted"))
}

const ENTRIES: u64 = 100;

fn after_a_panic<M: MapOf<V>, V: Sample>(closure: &str, act: impl Fn(&Access<'_, M>)) {
    let map = Arc::new(M::default());
    for key in 0..ENTRIES {
        insert_new(&map.access(), key, key);
    }
    let outcome = catch_unwind(AssertUnwindSafe(|| act(&map.as_ref().access())));
    assert!(
        outcome.is_err(),
        "a panic in the closure of {closure} was swallowed"
    );
    let seen = watched(
        &format!("a panic in the closure of {closure} left a lock held"),
        &format!("after a panic in the closure of {closure} the map panics"),
        move || {
            let access = map.access();
            let mut met = 0;
            access.for_each(|_, _| met += 1);
            let is_its_own = |key: &u64| take(&access, *key, |_| true) == Some(*key);
            let removed = (0..ENTRIES).filter(is_its_own).count();
            (0..ENTRIES).for_each(|key| insert_new(&access, key, key));
            (met, removed, map.len())
        },
    );
    assert_eq!(
        seen,
        (100, 100, 100),
        "a panic in the closure of {closure} changed the map"
    );
}

/// What a [`Touchy`] key panics in.
const NOTHING: u8 = 0;
const HASH: u8 = 1;
const EQ: u8 = 2;

/// A key whose `hash` or `eq` panics, when it is told to.
struct Touchy(u64, Arc<AtomicU8>);

impl Touchy {
    /// Once, and leaves a note that it has.
    fn panic_in(&self, what: u8) {
        if self.1.load(Ordering::Relaxed) == what {
            self.1.store(NOTHING, Ordering::Relaxed);
            planted::<()>();
        }
    }
}

impl Hash for Touchy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.panic_in(HASH);
        self.0.hash(state);
    }
}

impl PartialEq for Touchy {
    fn eq(&self, other: &Self) -> bool {
        self.panic_in(EQ);
        self.0 == other.0
    }
}

impl Eq for Touchy {}

/// After a panic in `hash` or `eq` of the key of a lookup, an insertion or a removal, every other
/// thread can use the map, and nothing has changed.
pub fn a_panicking_key_leaves_the_map_usable<B: Backend>() {
    type Touched<B> = <B as Backend>::Map<Touchy, Probe>;
    type Act<B> = fn(&Access<'_, Touched<B>>, Touchy);
    let acts: [(&str, Act<B>); 3] = [
        ("read", |access, key| {
            access.read(&key, |_| ());
        }),
        ("insert_if_absent", |access, key| {
            let _ = access.insert_if_absent(key, Probe::sample(0));
        }),
        ("remove_if", |access, key| {
            access.remove_if(&key, |_| true);
        }),
    ];
    for (operation, act) in acts {
        for (method, panics_in) in [("hash", HASH), ("eq", EQ)] {
            let panicking = Arc::new(AtomicU8::new(NOTHING));
            let map = Arc::new(Touched::<B>::default());
            for key in 0..ENTRIES {
                let key = Touchy(key, Arc::clone(&panicking));
                assert!(map.access().insert_if_absent(key, Probe::sample(0)).is_ok());
            }
            panicking.store(panics_in, Ordering::Relaxed);
            let key = Touchy(1, Arc::clone(&panicking));
            let outcome = catch_unwind(AssertUnwindSafe(|| act(&map.as_ref().access(), key)));
            if panicking.swap(NOTHING, Ordering::Relaxed) == panics_in {
                // This map does without it.
                continue;
            }
            assert!(
                outcome.is_err(),
                "a panic in {method} during {operation} was swallowed"
            );
            let removed = watched(
                &format!("a panic in {method} during {operation} left a lock held"),
                &format!("after a panic in {method} during {operation} the map panics"),
                move || {
                    let access = map.access();
                    let key = |number| Touchy(number, Arc::clone(&panicking));
                    let removed = (0..ENTRIES).filter(|number| access.remove(&key(*number)));
                    (removed.count(), map.len())
                },
            );
            assert_eq!(
                removed,
                (100, 0),
                "a panic in {method} during {operation} changed the map"
            );
        }
    }
}
