//! Closures that panic.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use super::{Backend, Ledger, Probe, insert_new};
use crate::{MapSession, StateMap};

/// Longer than any of these operations takes on a busy machine: reached only where a lock was left held.
const STUCK: Duration = Duration::from_secs(10);

/// After a panic in any closure the entry is as it was, and every other thread can use the map.
pub fn a_panicking_closure_leaves_the_map_usable<B: Backend>() {
    after_a_panic::<B>("read", |session| {
        session.read(&1, |_| planted::<()>());
    });
    after_a_panic::<B>("insert_if_absent", |session| {
        let _ = session.insert_if_absent(1, Probe::new(2, &Ledger::default()), |_| planted::<()>());
    });
    after_a_panic::<B>("remove_if", |session| {
        let _ = session.remove_if(&1, |_| planted());
    });
    after_a_panic::<B>("for_each", |session| session.for_each(|_, _| planted()));
    after_a_panic::<B>("retain, its predicate", |session| {
        session.retain(|_, _| planted(), |_, _| ());
    });
    after_a_panic::<B>("retain, its handler", |session| {
        // Declines the entry that is put back below, so that the handler has something to panic about.
        session.retain(|key, _| *key != 2, |_, _| planted());
    });
}

/// Panics without the panic hook, which would fill the test's output.
fn planted<T>() -> T {
    resume_unwind(Box::new("planted"))
}

fn after_a_panic<B: Backend>(
    closure: &str,
    act: impl Fn(&<B::Map<u64, Probe> as StateMap>::Session<'_>),
) {
    let ledger = Ledger::default();
    let map = Arc::new(B::Map::<u64, Probe>::default());
    for key in 0..100 {
        insert_new(&map.session(), key, Probe::new(key, &ledger));
    }
    let outcome = catch_unwind(AssertUnwindSafe(|| act(&map.session())));
    assert!(
        outcome.is_err(),
        "a panic in the closure of {closure} was swallowed"
    );

    let (done, finished) = channel();
    let (theirs, ledger) = (Arc::clone(&map), ledger);
    thread::spawn(move || {
        let session = theirs.session();
        // The entry of the handler's panic was removed before the handler ran.
        let _ = session.insert_if_absent(2, Probe::new(2, &ledger), |_| ());
        let mut met = 0;
        session.for_each(|_, _| met += 1);
        let removed = (0..100)
            .filter(|key| {
                session
                    .remove(key)
                    .flatten()
                    .is_some_and(|p| p.stamp == *key)
            })
            .count();
        for key in 0..100 {
            insert_new(&session, key, Probe::new(key, &ledger));
        }
        let _ = done.send((met, removed, theirs.len()));
    });
    match finished.recv_timeout(STUCK) {
        Ok(seen) => assert_eq!(
            seen,
            (100, 100, 100),
            "a panic in the closure of {closure} changed the map"
        ),
        Err(RecvTimeoutError::Timeout) => {
            panic!("a panic in the closure of {closure} left a lock held")
        }
        Err(RecvTimeoutError::Disconnected) => {
            panic!("after a panic in the closure of {closure} the map panics")
        }
    }
}
