//! Races on the contract, two or three threads each, for a model checker to go through.

use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use loom::thread;
use state_map::{MapSession, Retire, StateMap};

/// A value that can be marked dead, and counts its updates.
#[derive(Debug)]
pub(crate) struct Cell {
    stamp: u64,
    dead: AtomicBool,
    updates: AtomicU64,
}

impl Cell {
    fn new(stamp: u64) -> Self {
        Self {
            stamp,
            dead: AtomicBool::new(false),
            updates: AtomicU64::new(0),
        }
    }

    fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    /// True for the one caller that ends it.
    fn mark_dead(&self) -> bool {
        !self.dead.swap(true, Ordering::AcqRel)
    }
}

impl Retire for Cell {
    type Payload = u64;

    fn retire(&self) -> u64 {
        self.stamp
    }
}

pub(crate) trait Map: StateMap<Key = u64, Value = Cell> + 'static {}
impl<M: StateMap<Key = u64, Value = Cell> + 'static> Map for M {}

fn model(scenario: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.max_branches = 100_000;
    builder.check(scenario);
}

fn spawn<M: Map, T: 'static>(
    map: &Arc<M>,
    act: impl FnOnce(&M) -> T + 'static,
) -> thread::JoinHandle<T> {
    let map = Arc::clone(map);
    thread::spawn(move || act(&map))
}

fn insert(map: &impl Map, stamp: u64) -> Result<(), u64> {
    map.session()
        .insert_if_absent(7, Cell::new(stamp), |occupant| occupant.stamp)
        .map_err(|taken| {
            assert_eq!(
                taken.rejected.stamp, stamp,
                "the loser has its own value back"
            );
            taken.occupant
        })
}

/// Two insertions of one key: one succeeds, the other is shown its value.
pub(crate) fn insert_against_insert<M: Map>(new: fn() -> M) {
    model(move || {
        let map = Arc::new(new());
        let other = spawn(&map, |map| insert(map, 1));
        let own = insert(&*map, 2);
        let winner = match (own, other.join().unwrap()) {
            (Ok(()), Err(2)) => 2,
            (Err(1), Ok(())) => 1,
            answers => panic!("one insertion succeeds and the other sees it: {answers:?}"),
        };
        assert_eq!(map.session().read(&7, |value| value.stamp), Some(winner));
    });
}

/// Two removals of one entry: one is handed the payload.
pub(crate) fn remove_against_remove<M: Map>(new: fn() -> M) {
    model(move || {
        let map = Arc::new(new());
        insert(&*map, 1).unwrap();
        let other = spawn(&map, |map| {
            map.session().remove_if(&7, |value| value.stamp == 1)
        });
        let own = map.session().remove(&7);
        let handed_over: Vec<u64> = own.into_iter().chain(other.join().unwrap()).collect();
        assert_eq!(handed_over, [1]);
        assert_eq!(map.session().read(&7, |_| ()), None);
    });
}

/// A conditional removal while the entry is replaced by another: it takes the first, or nothing.
pub(crate) fn remove_if_against_replacement<M: Map>(new: fn() -> M) {
    model(move || {
        let map = Arc::new(new());
        insert(&*map, 1).unwrap();
        let other = spawn(&map, |map| {
            let first = map.session().remove(&7);
            insert(map, 2).unwrap();
            first
        });
        let own = map.session().remove_if(&7, |value| value.stamp == 1);
        let handed_over: Vec<u64> = own.into_iter().chain(other.join().unwrap()).collect();
        assert_eq!(handed_over, [1], "the first goes to one of the two");
        assert_eq!(map.session().remove(&7), Some(2), "the second stays");
    });
}

/// Updates through `read`, from two threads, all arrive, and a removal hands over after them or before.
pub(crate) fn read_against_read<M: Map>(new: fn() -> M) {
    model(move || {
        let map = Arc::new(new());
        insert(&*map, 1).unwrap();
        let update = |map: &M| {
            map.session()
                .read(&7, |value| value.updates.fetch_add(1, Ordering::Relaxed))
        };
        let other = spawn(&map, move |map| update(map).is_some());
        assert!(update(&map).is_some());
        assert!(other.join().unwrap());
        assert_eq!(
            map.session()
                .read(&7, |value| value.updates.load(Ordering::Relaxed)),
            Some(2)
        );
    });
}

/// The way the contract gives to end an entry on a condition that can pass: mark it dead, then remove what
/// is dead. Against an inserter that treats a dead occupant as absent: whatever the order, the insertion
/// succeeds, the dead entry goes once, and the new one stays.
pub(crate) fn mark_dead_then_remove_against_insert<M: Map>(new: fn() -> M) {
    model(move || {
        let map = Arc::new(new());
        insert(&*map, 1).unwrap();
        let ending = spawn(&map, |map| {
            let ended = map
                .session()
                .read(&7, |value| value.stamp == 1 && value.mark_dead())
                == Some(true);
            (ended, map.session().remove_if(&7, Cell::is_dead))
        });
        let mut removed = Vec::new();
        let inserted = loop {
            let session = map.session();
            match session.insert_if_absent(7, Cell::new(2), Cell::is_dead) {
                Ok(()) => break true,
                Err(taken) if taken.occupant => {
                    removed.extend(session.remove_if(&7, Cell::is_dead))
                }
                Err(_) => break false,
            }
        };
        let (ended, payload) = ending.join().unwrap();
        assert!(ended, "nobody else ends the first entry");
        removed.extend(payload);
        assert_eq!(
            removed,
            [1],
            "the ended entry is handed over once, by whoever came first"
        );
        let left = inserted.then_some(2);
        assert_eq!(
            map.session().read(&7, |value| value.stamp),
            left,
            "the inserted entry stays"
        );
    });
}

/// Two sweeps of one map: each entry is handed over once.
pub(crate) fn retain_against_retain<M: Map>(new: fn() -> M) {
    model(move || {
        let map = Arc::new(new());
        insert(&*map, 1).unwrap();
        let sweep = |map: &M| {
            let mut removed = Vec::new();
            map.session()
                .retain(|_, _| false, |_, payload| removed.push(payload));
            removed
        };
        let other = spawn(&map, sweep);
        let mut removed = sweep(&map);
        removed.extend(other.join().unwrap());
        assert_eq!(removed, [1]);
    });
}

/// The tests of every race on the maps that `$new` makes: each its own test, or all one after another in one.
macro_rules! races {
    ($tests:ident, $new:expr) => {
        $tests!($new;
            insert_against_insert,
            remove_against_remove,
            remove_if_against_replacement,
            read_against_read,
            mark_dead_then_remove_against_insert,
            retain_against_retain);
    };
}
pub(crate) use races;
