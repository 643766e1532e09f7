//! Races on the contract, two or three threads each, for a model checker to go through.

use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use loom::thread;
use state_map::StateMap;

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

/// Inserts, or answers the stamp of the entry that was in the way, if it is still there.
fn insert(map: &impl Map, stamp: u64) -> Result<(), Option<u64>> {
    let access = map.access();
    access
        .insert_if_absent(7, Cell::new(stamp))
        .map_err(|rejected| {
            assert_eq!(rejected.stamp, stamp, "the loser has its own value back");
            access.read(&7, |occupant| occupant.stamp)
        })
}

/// Removes the entry if its stamp is one of these, and answers which it was.
fn take(map: &impl Map, stamps: &[u64]) -> Option<u64> {
    let mut accepted = None;
    let removed = map.access().remove_if(&7, |value| {
        accepted = Some(value.stamp);
        stamps.contains(&value.stamp)
    });
    accepted.filter(|_| removed)
}

/// Two insertions of one key: one succeeds, the other reads its value.
pub(crate) fn insert_against_insert<M: Map>(new: fn() -> M) {
    model(move || {
        let map = Arc::new(new());
        let other = spawn(&map, |map| insert(map, 1));
        let own = insert(&*map, 2);
        let winner = match (own, other.join().unwrap()) {
            (Ok(()), Err(Some(2))) => 2,
            (Err(Some(1)), Ok(())) => 1,
            answers => panic!("one insertion succeeds and the other sees it: {answers:?}"),
        };
        assert_eq!(map.access().read(&7, |value| value.stamp), Some(winner));
    });
}

/// Two removals of one entry: one succeeds.
pub(crate) fn remove_against_remove<M: Map>(new: fn() -> M) {
    model(move || {
        let map = Arc::new(new());
        insert(&*map, 1).unwrap();
        let other = spawn(&map, |map| take(map, &[1]).is_some());
        let own = map.access().remove(&7);
        assert!(own != other.join().unwrap(), "one of the two removes it");
        assert_eq!(map.access().read(&7, |_| ()), None);
    });
}

/// A conditional removal while the entry is replaced by another: it takes the first, or nothing.
pub(crate) fn remove_if_against_replacement<M: Map>(new: fn() -> M) {
    model(move || {
        let map = Arc::new(new());
        insert(&*map, 1).unwrap();
        let other = spawn(&map, |map| {
            let first = take(map, &[1, 2]);
            insert(map, 2).unwrap();
            first
        });
        let own = take(&*map, &[1]);
        let removed: Vec<u64> = own.into_iter().chain(other.join().unwrap()).collect();
        assert_eq!(removed, [1], "the first goes to one of the two");
        assert_eq!(take(&*map, &[1, 2]), Some(2), "the second stays");
    });
}

/// Updates through `read`, from two threads, all arrive, and a removal hands over after them or
/// before.
pub(crate) fn read_against_read<M: Map>(new: fn() -> M) {
    model(move || {
        let map = Arc::new(new());
        insert(&*map, 1).unwrap();
        let update = |map: &M| {
            map.access()
                .read(&7, |value| value.updates.fetch_add(1, Ordering::Relaxed))
        };
        let other = spawn(&map, move |map| update(map).is_some());
        assert!(update(&map).is_some());
        assert!(other.join().unwrap());
        assert_eq!(
            map.access()
                .read(&7, |value| value.updates.load(Ordering::Relaxed)),
            Some(2)
        );
    });
}

/// The way the contract gives to end an entry on a condition that can pass: mark it dead, then
/// remove what is dead. Against an inserter that treats a dead occupant as absent: whatever the
/// order, the insertion succeeds, the dead entry goes once, and the new one stays.
pub(crate) fn mark_dead_then_remove_against_insert<M: Map>(new: fn() -> M) {
    model(move || {
        let map = Arc::new(new());
        insert(&*map, 1).unwrap();
        let ending = spawn(&map, |map| {
            let access = map.access();
            let ended = access.read(&7, |value| value.stamp == 1 && value.mark_dead());
            (ended == Some(true), access.remove_if(&7, Cell::is_dead))
        });
        let mut removed = false;
        let inserted = loop {
            let access = map.access();
            match access.insert_if_absent(7, Cell::new(2)) {
                Ok(()) => break true,
                Err(_) if access.read(&7, Cell::is_dead) == Some(false) => break false,
                // Dead, or gone meanwhile.
                Err(_) => removed |= access.remove_if(&7, Cell::is_dead),
            }
        };
        let (ended, removed_by_the_other) = ending.join().unwrap();
        assert!(ended, "nobody else ends the first entry");
        assert!(
            removed != removed_by_the_other,
            "the ended entry is removed once, by whoever came first"
        );
        let left = inserted.then_some(2);
        assert_eq!(
            map.access().read(&7, |value| value.stamp),
            left,
            "the inserted entry stays"
        );
    });
}

/// The tests of every race on the maps that `$new` makes: each its own test, or all one after
/// another in one.
macro_rules! races {
    ($tests:ident, $new:expr) => {
        $tests!($new;
            insert_against_insert,
            remove_against_remove,
            remove_if_against_replacement,
            read_against_read,
            mark_dead_then_remove_against_insert);
    };
}
pub(crate) use races;
