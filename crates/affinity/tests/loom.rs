//! The races of a pin, each in a scenario of two or three threads, on the kind map and on the adversarial one.
#![cfg(inflight_loom)]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use affinity::BindingKind::{EngineBacked, RouterOnly};
use affinity::{
    Binding, ExpireCause, Expired, MemoryStore, MemoryStoreConfig, SessionEntry,
    SessionFingerprint, SessionMap, SessionRef, WhenFull, Written,
};
use loom::model::Builder;
use loom::thread::{self, JoinHandle};
use state_map::model::{AdversarialMap, ReferenceMap};
use worker_id::WorkerWithDpRank;

const TTL: u64 = 10;
/// The most turns of a session.
const MAX_TURNS: u16 = 2;
const A: WorkerWithDpRank = WorkerWithDpRank::new(1, 0);
const B: WorkerWithDpRank = WorkerWithDpRank::new(2, 0);
const KEY: SessionRef<'static> = SessionRef::new("s");

fn model(scenario: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.max_branches = 100_000;
    builder.check(scenario);
}

struct Setup<M> {
    store: MemoryStore<M>,
    told: Arc<Mutex<Vec<Expired>>>,
}

impl<M: SessionMap + Default> Setup<M> {
    fn new(capacity: usize) -> Arc<Self> {
        let config = MemoryStoreConfig {
            ttl: at(TTL),
            capacity,
            when_full: WhenFull::EvictOldestIdle,
            max_turns: MAX_TURNS,
            ..MemoryStoreConfig::default()
        };
        let told = Arc::new(Mutex::new(Vec::new()));
        let telling = Arc::clone(&told);
        let store = MemoryStore::with_map(config, M::default()).unwrap();
        let store = store.on_expire(move |each| {
            telling
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(each);
        });
        Arc::new(Self { store, told })
    }

    /// With an engine-backed binding to `A`, made at 0 and never used.
    fn bound() -> (Arc<Self>, Binding) {
        let setup = Self::new(8);
        let bound = setup.store.bind(KEY, A, EngineBacked).unwrap().now.unwrap();
        (setup, bound)
    }

    fn told(&self) -> Vec<(u64, ExpireCause)> {
        let told = self.told.lock().unwrap();
        told.iter()
            .map(|each| (each.binding.generation, each.cause))
            .collect()
    }

    fn peek(&self) -> Option<Binding> {
        self.store.peek(KEY).unwrap()
    }
}

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn sweep<M: SessionMap>(store: &MemoryStore<M>, millis: u64) -> usize {
    store.sweep(at(millis), usize::MAX).ended
}

fn spawn<M, T>(
    setup: &Arc<Setup<M>>,
    act: impl FnOnce(&MemoryStore<M>) -> T + 'static,
) -> JoinHandle<T>
where
    M: SessionMap + 'static,
    T: 'static,
{
    let setup = Arc::clone(setup);
    thread::spawn(move || act(&setup.store))
}

/// A use that was answered keeps the binding over its first deadline; one that came too late was told so.
fn use_against_expiry<M, U>(used: fn(&MemoryStore<M>) -> Option<U>)
where
    M: SessionMap + Default + 'static,
    U: 'static,
{
    model(move || {
        let (setup, bound) = Setup::<M>::bound();
        setup.store.advance_to(at(TTL - 1));
        let using = spawn(&setup, move |store| used(store));
        let ended = sweep(&setup.store, TTL);
        assert!(ended <= 1);
        // A lease is held until after.
        let answer = using.join().unwrap();
        assert_eq!(setup.peek(), answer.is_some().then_some(bound));
        let idle = (bound.generation, ExpireCause::Idle);
        let expected = if answer.is_none() { vec![idle] } else { vec![] };
        assert_eq!(setup.told(), expected);
        assert_eq!(setup.store.len(), usize::from(answer.is_some()));
    });
}

fn refresh_against_expiry<M: SessionMap + Default + 'static>() {
    use_against_expiry::<M, _>(|store| store.get(KEY).unwrap());
}

fn acquire_against_expiry<M: SessionMap + Default + 'static>() {
    use_against_expiry::<M, _>(|store| store.acquire(KEY).unwrap());
}

/// Two that come upon what has run out, and a sweep: it is told once.
fn expiry_come_upon_twice<M: SessionMap + Default + 'static>() {
    model(|| {
        let (setup, bound) = Setup::<M>::bound();
        setup.store.advance_to(at(TTL));
        let getting = spawn(&setup, |store| store.get(KEY).unwrap());
        let swept = spawn(&setup, |store| sweep(store, TTL));
        let claimed = setup.store.claim(KEY, B, RouterOnly).unwrap();
        assert!(claimed.applied);
        let got = getting.join().unwrap();
        assert!(got.is_none() || got == claimed.now, "{got:?}");
        swept.join().unwrap();
        assert_eq!(setup.told(), [(bound.generation, ExpireCause::Idle)]);
        assert_eq!((setup.peek(), setup.store.len()), (claimed.now, 1));
    });
}

/// One wins, and all answer with its binding.
fn claim_against_claim<M: SessionMap + Default + 'static>() {
    model(|| {
        let setup = Setup::<M>::new(8);
        let other = spawn(&setup, |store| store.claim(KEY, A, RouterOnly).unwrap());
        let own = setup.store.claim(KEY, B, RouterOnly).unwrap();
        let other = other.join().unwrap();
        assert!(own.applied ^ other.applied);
        assert_eq!(own.now, other.now);
        assert_eq!((setup.peek(), setup.store.len()), (own.now, 1));
        assert_eq!(own.now.unwrap().worker == B, own.applied);
    });
}

/// A refresh for the old worker never brings it back.
fn rebind_against_late_refresh<M: SessionMap + Default + 'static>() {
    model(|| {
        let (setup, bound) = Setup::<M>::bound();
        let refreshing = spawn(&setup, |store| store.refresh_if(KEY, A).unwrap());
        let rebound = setup
            .store
            .rebind_if(KEY, bound.generation, B, RouterOnly)
            .unwrap();
        assert!(rebound.applied);
        let refreshed = refreshing.join().unwrap();
        let before = Written::applied(Some(bound));
        let after = Written::declined(rebound.now);
        assert!(refreshed == before || refreshed == after, "{refreshed:?}");
        assert_eq!(setup.peek(), rebound.now);
        assert_eq!(setup.told(), [], "what was replaced is not told");
    });
}

/// A key that is bound is found at all times, while it is bound anew, and never an older binding after a newer one.
fn rebind_against_readers<M: SessionMap + Default + 'static>() {
    model(|| {
        let (setup, bound) = Setup::<M>::bound();
        let reading = spawn(&setup, |store| {
            [store.get(KEY), store.peek(KEY)]
                .map(|found| found.unwrap().expect("it was never unbound"))
        });
        let rebound = setup.store.bind(KEY, B, RouterOnly).unwrap().now.unwrap();
        let read = reading.join().unwrap().map(|binding| binding.generation);
        let (old, new) = (bound.generation, rebound.generation);
        assert!(
            [[old, old], [old, new], [new, new]].contains(&read),
            "{read:?}"
        );
    });
}

/// Of two that observed the same binding one replaces it.
fn rebind_against_rebind<M: SessionMap + Default + 'static>() {
    model(|| {
        let (setup, bound) = Setup::<M>::bound();
        let generation = bound.generation;
        let other = spawn(&setup, move |store| {
            store.rebind_if(KEY, generation, A, RouterOnly).unwrap()
        });
        let own = setup
            .store
            .rebind_if(KEY, generation, B, RouterOnly)
            .unwrap();
        let other = other.join().unwrap();
        assert!(own.applied ^ other.applied);
        assert_eq!((own.now, setup.peek()), (other.now, own.now));
    });
}

/// Either it was rebound in time, and nobody is told; or it had run out, and is told once.
fn sweep_against_rebind<M: SessionMap + Default + 'static>() {
    model(|| {
        let (setup, bound) = Setup::<M>::bound();
        setup.store.advance_to(at(TTL - 1));
        let sweeping = spawn(&setup, |store| sweep(store, TTL));
        let rebound = setup
            .store
            .rebind_if(KEY, bound.generation, B, RouterOnly)
            .unwrap();
        sweeping.join().unwrap();
        if rebound.applied {
            assert_eq!((setup.peek(), setup.told()), (rebound.now, vec![]));
        } else {
            let idle = (bound.generation, ExpireCause::Idle);
            assert_eq!(
                (rebound.now, setup.peek(), setup.told()),
                (None, None, vec![idle])
            );
        }
    });
}

/// The turn's end lets the time begin anew, however long it took: the sweep finds it held, or just released.
fn lease_release_against_sweep<M: SessionMap + Default + 'static>() {
    model(|| {
        let (setup, bound) = Setup::<M>::bound();
        let lease = setup.store.acquire(KEY).unwrap().unwrap();
        setup.store.advance_to(at(5 * TTL));
        let dropping = thread::spawn(move || drop(lease));
        assert_eq!(sweep(&setup.store, 5 * TTL), 0);
        dropping.join().unwrap();
        assert_eq!((setup.peek(), setup.told()), (Some(bound), vec![]));
        assert_eq!(
            sweep(&setup.store, 6 * TTL),
            1,
            "the sweep before it has not lost sight of it"
        );
        assert_eq!(setup.told(), [(bound.generation, ExpireCause::Idle)]);
    });
}

/// A turn's end that knows an old time takes nothing from a binding that others have seen held by it at a later one.
fn lease_release_against_the_clock<M>(sees_it: fn(&MemoryStore<M>) -> bool)
where
    M: SessionMap + Default + 'static,
{
    model(move || {
        let (setup, _) = Setup::<M>::bound();
        let lease = setup.store.acquire(KEY).unwrap().unwrap();
        let dropping = thread::spawn(move || drop(lease));
        setup.store.advance_to(at(5 * TTL));
        let held = sees_it(&setup.store);
        dropping.join().unwrap();
        setup.store.advance_to(at(6 * TTL - 1));
        assert_eq!(setup.peek().is_some(), held);
    });
}

fn lease_release_against_peek<M: SessionMap + Default + 'static>() {
    lease_release_against_the_clock::<M>(|store| store.peek(KEY).unwrap().is_some());
}

fn lease_release_against_decline<M: SessionMap + Default + 'static>() {
    lease_release_against_the_clock::<M>(|store| {
        store
            .rebind_if(KEY, 0, B, RouterOnly)
            .unwrap()
            .now
            .is_some()
    });
}

/// A turn that is refused because of the two in flight has seen the binding held by them.
fn lease_release_against_refusal<M: SessionMap + Default + 'static>() {
    model(|| {
        let (setup, bound) = Setup::<M>::bound();
        let turn = || setup.store.acquire(KEY);
        let leases = [turn(), turn()].map(|lease| lease.unwrap().unwrap());
        let dropping = thread::spawn(move || drop(leases));
        setup.store.advance_to(at(TTL / 2));
        let refused = turn().is_err();
        dropping.join().unwrap();
        // The last millisecond of the time to live that the refused turn has seen begin.
        setup.store.advance_to(at(3 * TTL / 2 - 1));
        if refused {
            assert_eq!(setup.peek(), Some(bound));
        }
    });
}

fn lease_release_against_look<M: SessionMap + Default + 'static>() {
    lease_release_against_the_clock::<M>(|store| sweep(store, 5 * TTL) == 0);
}

/// Two turns of a session: it is held until the later one has ended.
fn lease_against_lease<M: SessionMap + Default + 'static>() {
    model(|| {
        let (setup, bound) = Setup::<M>::bound();
        let lease = setup.store.acquire(KEY).unwrap().unwrap();
        setup.store.advance_to(at(5 * TTL));
        let dropping = thread::spawn(move || drop(lease));
        let other = setup
            .store
            .acquire(KEY)
            .unwrap()
            .expect("held by the first, or just released");
        dropping.join().unwrap();
        assert_eq!(
            (sweep(&setup.store, 9 * TTL), setup.peek()),
            (0, Some(bound))
        );
        drop(other);
        assert_eq!(sweep(&setup.store, 10 * TTL), 1);
    });
}

/// An ended session stays ended, whatever a turn of it still does.
fn release_against_lease_release<M: SessionMap + Default + 'static>() {
    model(|| {
        let (setup, bound) = Setup::<M>::bound();
        let lease = setup.store.acquire(KEY).unwrap().unwrap();
        let dropping = thread::spawn(move || drop(lease));
        assert_eq!(setup.store.release(None, "s").unwrap(), 1);
        dropping.join().unwrap();
        assert_eq!((setup.peek(), setup.store.len()), (None, 0));
        assert_eq!(setup.told(), [(bound.generation, ExpireCause::Released)]);
    });
}

/// A turn of the binding before takes no lease of the next one's away.
fn rebind_against_lease_release<M: SessionMap + Default + 'static>() {
    model(|| {
        let (setup, bound) = Setup::<M>::bound();
        let lease = setup.store.acquire(KEY).unwrap().unwrap();
        assert_eq!(lease.binding(), bound);
        let dropping = thread::spawn(move || drop(lease));
        let rebound = setup.store.bind(KEY, B, RouterOnly).unwrap().now;
        let turn = setup.store.acquire(KEY).unwrap().expect("it was bound");
        dropping.join().unwrap();
        assert_eq!(sweep(&setup.store, 5 * TTL), 0, "its own turn holds it");
        assert_eq!(setup.peek(), rebound);
        drop(turn);
        assert_eq!(sweep(&setup.store, 6 * TTL), 1);
    });
}

/// A session that was used keeps its place, and the one that was not gives its up, told once.
fn eviction_against_refresh<M: SessionMap + Default + 'static>() {
    model(|| {
        let setup = Setup::<M>::new(1);
        let bound = setup.store.bind(KEY, A, EngineBacked).unwrap().now.unwrap();
        let getting = spawn(&setup, |store| store.get(KEY).unwrap());
        let claimed = setup.store.claim("other", B, RouterOnly).unwrap();
        assert!(claimed.applied, "there is nothing else to evict");
        let got = getting.join().unwrap();
        assert!(got.is_none() || got == Some(bound));
        assert_eq!((setup.peek(), setup.store.len()), (None, 1));
        assert_eq!(setup.told(), [(bound.generation, ExpireCause::Evicted)]);
    });
}

/// Of a removal and a release that race, one ends the binding.
fn release_against_remove<M: SessionMap + Default + 'static>() {
    model(|| {
        let (setup, bound) = Setup::<M>::bound();
        let removing = spawn(&setup, |store| store.remove(KEY).unwrap().applied);
        let released = setup.store.release(None, "s").unwrap();
        let removed = removing.join().unwrap();
        assert!(removed ^ (released == 1));
        let released = (bound.generation, ExpireCause::Released);
        assert_eq!(setup.told(), if removed { vec![] } else { vec![released] });
    });
}

macro_rules! races {
    ($($race:ident),+ $(,)?) => {
        mod reference {
            type Map = super::ReferenceMap<super::SessionFingerprint, super::SessionEntry>;
            races!(@ $($race),+);
        }

        mod adversarial {
            type Map = super::AdversarialMap<super::SessionFingerprint, super::SessionEntry>;
            races!(@ $($race),+);
        }
    };
    (@ $($race:ident),+) => {
        $(
            #[test]
            fn $race() {
                super::$race::<Map>();
            }
        )+
    };
}

races!(
    refresh_against_expiry,
    acquire_against_expiry,
    expiry_come_upon_twice,
    claim_against_claim,
    rebind_against_late_refresh,
    rebind_against_readers,
    rebind_against_rebind,
    sweep_against_rebind,
    lease_release_against_sweep,
    lease_release_against_peek,
    lease_release_against_decline,
    lease_release_against_refusal,
    lease_release_against_look,
    lease_against_lease,
    release_against_lease_release,
    rebind_against_lease_release,
    eviction_against_refresh,
    release_against_remove,
);
