//! What is asked of the publication, whatever the platform: every value read is whole, alive, and
//! none is older than the one read before it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use published::{Published, Reading};
use static_assertions::assert_impl_all;

assert_impl_all!(Published<Vec<u8>>: Send, Sync);
assert_impl_all!(Reading<Vec<u8>>: Send, Sync);

const READERS: usize = 6;
const PUBLICATIONS: u64 = 20_000;

/// Words that follow from the generation; scrubbed when it dies, so that a read after that is
/// noticed.
struct Snapshot {
    generation: u64,
    words: Vec<u64>,
    alive: Arc<AtomicUsize>,
}

impl Snapshot {
    fn new(generation: u64, alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        let words = (0..32).map(|at| mix(generation, at)).collect();
        Self {
            generation,
            words,
            alive: Arc::clone(alive),
        }
    }

    fn check(&self) {
        for (word, at) in self.words.iter().zip(0..) {
            assert_eq!(*word, mix(self.generation, at), "a torn or dead snapshot");
        }
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.check();
        self.words.fill(0);
        self.generation = u64::MAX;
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

fn mix(generation: u64, at: u64) -> u64 {
    (generation ^ at << 48).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[test]
fn every_value_read_is_whole_and_none_is_older_than_the_one_before() {
    let alive = Arc::new(AtomicUsize::new(0));
    let published = Published::new(Snapshot::new(0, &alive));
    let done = AtomicBool::new(false);
    let start = Barrier::new(READERS + 1);
    thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| {
                let mut newest = 0;
                // More than have a slot of their own, so that both ways of reading are taken.
                let mut held = Vec::new();
                start.wait();
                while !done.load(Ordering::Relaxed) {
                    let reading = published.load();
                    reading.check();
                    assert!(reading.generation >= newest, "time ran backwards");
                    newest = reading.generation;
                    held.push(reading);
                    if held.len() > 12 {
                        held.drain(..).for_each(|reading| reading.check());
                    }
                }
            });
        }
        start.wait();
        for generation in 1..=PUBLICATIONS {
            published.publish(Arc::new(Snapshot::new(generation, &alive)));
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(published.load().generation, PUBLICATIONS);
    assert_eq!(
        alive.load(Ordering::Relaxed),
        1,
        "all but the last are gone"
    );
    let kept = published.load().into_arc();
    drop(published);
    kept.check();
    drop(kept);
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}
