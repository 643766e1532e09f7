//! Eight threads, requests that panic and hang up, workers that flap, on every map: at rest every
//! count is 0, and nothing was admitted over a cap.
//!
//! The ledger is the test's own: it adds after a reservation was made and subtracts before that is
//! dropped, so that it never has more than there is. Had anything been admitted over a cap, it
//! would be over the cap as well.
//!
//! 50,000 operations and 3 seeds a map, since tests are compiled without optimising; 2,000,000 and
//! 50 seeds with `INFLIGHT_LEDGER=full`, best with `--release`.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{env, thread};

use linearize::Rng;
use worker_load::{
    Ask, Budget, Capacity, Cost, Draining, Joined, LeastLoaded, LoadMap, Mix, Outcome, PinnedTurns,
    Policy, PowerOfTwo, Prefer, Random, Reservation, RoundRobin, WeightedRandom, WorkerLoad,
    WorkerLoads,
};

use crate::{backends, worker};

backends::on_every_backend! { nothing_leaks_and_no_cap_is_passed }

const THREADS: u64 = 8;
const WORKERS: u64 = 8;
const HELD: usize = 12;
const REQUESTS: u32 = 6;
const TOKENS: u64 = 3_000;
const BYTES: u64 = 9_000;
const OF_TENANT: u32 = 14;

/// What was admitted and has not been given back.
#[derive(Default)]
struct Account {
    requests: AtomicU64,
    tokens: AtomicU64,
    bytes: AtomicU64,
}

impl Account {
    fn add(&self, cost: &Cost, caps: (u32, u64, u64)) {
        let tokens = u64::from(cost.prefill + cost.decode);
        let sums = [
            (&self.requests, 1, u64::from(caps.0)),
            (&self.tokens, tokens, caps.1),
            (&self.bytes, cost.kv_bytes, caps.2),
        ];
        for (sum, more, cap) in sums {
            let now = sum.fetch_add(more, Ordering::SeqCst) + more;
            assert!(now <= cap, "admitted over a cap: {now} of {cap}");
        }
    }

    fn subtract(&self, cost: &Cost) {
        self.requests.fetch_sub(1, Ordering::SeqCst);
        let tokens = u64::from(cost.prefill + cost.decode);
        self.tokens.fetch_sub(tokens, Ordering::SeqCst);
        self.bytes.fetch_sub(cost.kv_bytes, Ordering::SeqCst);
    }
}

/// One life of a worker, and its account.
struct Life {
    load: WorkerLoad,
    account: Account,
}

/// A request in flight as the ledger knows it.
struct Entry<'a> {
    reservation: Option<Reservation>,
    cost: Cost,
    life: Arc<Life>,
    tenant: Option<&'a Account>,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.life.account.subtract(&self.cost);
        if let Some(tenant) = self.tenant {
            tenant.subtract(&self.cost);
        }
        // Then the reservation goes.
    }
}

struct World<M> {
    loads: WorkerLoads<M>,
    /// Every life that there ever was.
    lives: Mutex<Vec<Arc<Life>>>,
    tenants: [(Budget, Account); 2],
    admitted: AtomicU64,
    round_robin: RoundRobin,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn capacity(id: u64) -> Capacity {
    Capacity {
        tokens: Some(TOKENS),
        kv_bytes: Some(BYTES),
        weight: u32::try_from(id + 1).unwrap().try_into().unwrap(),
        ..Capacity::requests(REQUESTS)
    }
}

impl<M: LoadMap + Default> World<M> {
    fn new() -> Self {
        let tenant = |name: &str| {
            let budget = Budget::new(name, Capacity::requests(OF_TENANT));
            (budget, Account::default())
        };
        Self {
            loads: WorkerLoads::with_map(M::default()),
            lives: Mutex::default(),
            tenants: [tenant("a"), tenant("b")],
            admitted: AtomicU64::new(0),
            round_robin: RoundRobin::default(),
        }
    }

    /// Called by the worker's owner alone. Its account is there before anybody can meet the life.
    fn join(&self, id: u64) {
        // The lock is held over both: a request on the new life looks for its account after that.
        let mut lives = lock(&self.lives);
        let joined = self.loads.join(worker(id), capacity(id)).unwrap();
        assert!(matches!(joined, Joined::New));
        let load = self
            .loads
            .worker(worker(id))
            .expect("its owner alone ends it");
        let account = Account::default();
        lives.push(Arc::new(Life { load, account }));
    }

    fn life_of(&self, reservation: &Reservation) -> Arc<Life> {
        let lives = lock(&self.lives);
        // The same counter, and not one of the same name.
        let mut latest = lives.iter().rev();
        let its = latest.find(|life| life.load == *reservation.load());
        Arc::clone(its.expect("it has joined"))
    }

    fn reserve(&self, rng: &mut Rng, random_policy: u64) -> Option<Entry<'_>> {
        let cost = Cost {
            prefill: u32::try_from(rng.below(400)).unwrap(),
            decode: u32::try_from(rng.below(400)).unwrap(),
            kv_bytes: rng.below(3) * rng.below(1_500),
        };
        let tenant = (rng.below(2) == 0).then(|| &self.tenants[usize::from(rng.below(2) == 0)]);
        let budgets: Vec<_> = tenant.iter().map(|tenant| &tenant.0).collect();
        let ask = Ask::new(cost).within(&budgets);
        let id = worker(rng.below(WORKERS));
        let pick = |policy: &dyn Policy| self.loads.pick(&self.loads.everyone(), ask, policy);
        let reserved = match random_policy {
            0 => pick(&LeastLoaded(Mix::tokens())),
            1 => pick(&PowerOfTwo::default()),
            2 => pick(&self.round_robin),
            3 => pick(&Random),
            4 => pick(&WeightedRandom),
            5 => pick(&Prefer {
                worker: id,
                over: 2.0,
                mix: Mix::requests(),
                otherwise: PowerOfTwo::default(),
            }),
            _ => self.loads.reserve(id, ask),
        };
        let reservation = reserved.ok()?;
        self.admitted.fetch_add(1, Ordering::Relaxed);
        let life = self.life_of(&reservation);
        life.account.add(&cost, (REQUESTS, TOKENS, BYTES));
        if let Some((_, account)) = tenant {
            account.add(&cost, (OF_TENANT, u64::MAX, u64::MAX));
        }
        Some(Entry {
            reservation: Some(reservation),
            cost,
            life,
            tenant: tenant.map(|tenant| &tenant.1),
        })
    }

    /// The owner closes its worker for a while: what it has in flight only falls.
    fn flap(&self, id: u64, rng: &mut Rng) {
        let falls = |draining: Draining| {
            let mut seen = u64::MAX;
            for _ in 0..3 {
                let now = draining.requests();
                assert!(now <= seen, "admitted to a worker that was closed");
                seen = now;
                thread::yield_now();
            }
        };
        if rng.below(2) == 0 {
            falls(self.loads.drain(worker(id), PinnedTurns::Refuse).unwrap());
        }
        if rng.below(2) == 0 {
            self.loads.resume(worker(id)).unwrap();
        } else {
            falls(self.loads.leave(worker(id)).unwrap());
            self.join(id);
        }
    }

    /// What one thread does. `pool` is where it leaves requests for others to end.
    fn act<'a>(&'a self, thread: u64, seed: u64, operations: u64, pool: &Mutex<Vec<Entry<'a>>>) {
        let mut rng = Rng::new(seed * THREADS + thread);
        let mut held: Vec<Entry<'_>> = Vec::new();
        for operation in 0..operations {
            let at = rng.below(HELD as u64);
            let at = usize::try_from(at).unwrap();
            match rng.below(24) {
                0..=9 if held.len() < HELD => {
                    let policy = rng.below(12);
                    held.extend(self.reserve(&mut rng, policy));
                }
                10..=13 if at < held.len() => {
                    let request = held[at].reservation.as_mut().unwrap();
                    request.add(u32::try_from(rng.below(200)).unwrap());
                }
                14 if at < held.len() => held[at].reservation.as_mut().unwrap().prefill_done(),
                15 => {
                    // Its handler panics.
                    let entry = held.pop();
                    let handled = catch_unwind(AssertUnwindSafe(move || {
                        let _entry = entry;
                        // Not `panic!`: the hook would print thousands of them.
                        resume_unwind(Box::new("planted"));
                    }));
                    assert!(handled.is_err());
                }
                16 => hang_up_in_mid_body(held.pop()),
                17 => lock(pool).extend(held.pop()),
                18 => drop(lock(pool).pop()),
                19 if operation % 16 == 0 => self.flap(thread % WORKERS, &mut rng),
                20 if at < held.len() => {
                    let mut entry = held.swap_remove(at);
                    let reservation = entry.reservation.take().unwrap();
                    drop(entry);
                    reservation.complete(Outcome::Success);
                }
                21.. if at < held.len() => drop(held.swap_remove(at)),
                _ => {}
            }
            if operation % 32 == 0 {
                thread::yield_now();
            }
        }
    }
}

/// A response body with the request, read in part and dropped.
fn hang_up_in_mid_body(entry: Option<Entry<'_>>) {
    let mut body = entry.into_iter().flat_map(|entry| {
        let mut entry = Some(entry);
        (0..4).inspect(move |_| {
            let request = entry.as_mut().and_then(|entry| entry.reservation.as_mut());
            if let Some(request) = request {
                request.add(30);
            }
        })
    });
    let _ = (body.next(), body.next());
}

fn nothing_leaks_and_no_cap_is_passed<M: LoadMap + Default>() {
    let full = env::var("INFLIGHT_LEDGER").is_ok_and(|value| value == "full");
    let (operations, seeds) = if full { (2_000_000, 50) } else { (50_000, 3) };
    for seed in 0..seeds {
        one_ledger::<M>(operations / THREADS, seed);
    }
}

fn one_ledger<M: LoadMap + Default>(operations: u64, seed: u64) {
    let world = &World::<M>::new();
    (0..WORKERS).for_each(|id| world.join(id));
    let pool = &Mutex::default();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || world.act(thread, seed, operations, pool)))
            .collect();
        for thread in threads {
            thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
    });
    lock(pool).clear();

    let admitted = world.admitted.load(Ordering::Relaxed);
    assert!(
        admitted > operations,
        "only {admitted} were admitted: nothing was tested"
    );
    let lives = lock(&world.lives);
    assert!(lives.len() > 2 * HELD, "only {} lives", lives.len());
    for life in &*lives {
        let load = &life.load;
        let counts = [
            load.requests(),
            load.tokens(),
            load.prefill_tokens(),
            load.kv_bytes(),
        ];
        assert_eq!(counts, [0; 4], "{load:?}");
    }
    for (budget, _) in &world.tenants {
        assert_eq!(
            [budget.requests(), budget.tokens(), budget.kv_bytes()],
            [0; 3]
        );
    }
    assert_eq!(world.loads.snapshot().totals().requests, 0);
}
