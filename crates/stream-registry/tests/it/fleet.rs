//! A fleet that changes while thousands of streams fly: 250 instances come, 150 go, some of them after they have frozen.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::support::{World, instance, poll};
use stream_registry::{Claim, Registration, StreamId, StreamKind, StreamMap};

type Value = u64;

crate::backends::on_every_backend! { a_changing_fleet_hangs_nobody }

const SESSIONS: usize = 2_500;
const FRONTENDS: usize = 2;
const WORKERS: usize = 2;
const AT_FIRST: u64 = 50;
const COMING: u64 = 250;
const GOING: u64 = 150;

/// A request on its way to an instance: the ids of both halves of its session.
struct Request {
    ids: [StreamId; 2],
    to: u64,
}

/// What the threads have in common besides the registry.
struct Fleet {
    live: Mutex<Vec<u64>>,
    sent: Mutex<VecDeque<Request>>,
    frozen: Mutex<Vec<Claim<Value>>>,
    calls_home: AtomicUsize,
    settled: AtomicBool,
    frontends_at_work: AtomicUsize,
    all_registered: Barrier,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Session {
    halves: [Registration<Value>; 2],
    answered: [bool; 2],
}

impl Fleet {
    fn pick(&self, at: usize) -> u64 {
        let live = lock(&self.live);
        live[at % live.len()]
    }

    /// Registers both halves, and sends their ids to an instance that is there.
    fn open<M: StreamMap<Value> + Default + 'static>(
        &self,
        world: &World<Value, M>,
        at: usize,
    ) -> Session {
        for attempt in at.. {
            let halves = [StreamKind::Request, StreamKind::Response]
                .map(|kind| world.streams.register(kind));
            let ids = halves.each_ref().map(Registration::id);
            let to = self.pick(attempt);
            if world.streams.associate(&ids, &instance(to)).is_ok() {
                lock(&self.sent).push_back(Request { ids, to });
                let answered = [false; 2];
                return Session { halves, answered };
            }
        }
        unreachable!("somebody is always there")
    }

    /// A frontend: opens sessions, all at once, and each anew until it is answered.
    fn front<M: StreamMap<Value> + Default + 'static>(
        &self,
        world: &World<Value, M>,
        share: usize,
    ) {
        let mut sessions: Vec<Session> = (0..share).map(|at| self.open(world, at)).collect();
        self.all_registered.wait();
        let mut at = 0;
        while !sessions.is_empty() {
            at += 1;
            sessions.retain_mut(|session| {
                let mut failed = false;
                for (half, answered) in session.halves.iter_mut().zip(&mut session.answered) {
                    if !*answered {
                        let answer = poll(half);
                        *answered = answer.is_ready();
                        failed |= matches!(answer, std::task::Poll::Ready(Err(_)));
                    }
                }
                if failed {
                    *session = self.open(world, at);
                }
                session.answered != [true; 2]
            });
            thread::yield_now();
        }
        self.frontends_at_work.fetch_sub(1, Ordering::SeqCst);
    }

    /// Instances that call home. Of eight one freezes over its claims, until the fleet has settled.
    fn work<M: StreamMap<Value> + Default + 'static>(&self, world: &World<Value, M>) {
        self.all_registered.wait();
        let mut in_use = Vec::new();
        while self.frontends_at_work.load(Ordering::SeqCst) > 0 {
            let Some(request) = lock(&self.sent).pop_front() else {
                thread::yield_now();
                continue;
            };
            let call = self.calls_home.fetch_add(1, Ordering::SeqCst);
            let kinds = [StreamKind::Request, StreamKind::Response];
            for (id, kind) in request.ids.into_iter().zip(kinds) {
                let Ok(claim) = world.streams.claim(id, kind) else {
                    continue;
                };
                if call.is_multiple_of(8) && !self.settled.load(Ordering::SeqCst) {
                    lock(&self.frozen).push(claim);
                    if self.settled.load(Ordering::SeqCst) {
                        self.kill_the_frozen();
                    }
                } else {
                    thread::yield_now();
                    in_use.extend(claim.establish(request.to).ok());
                }
            }
        }
    }

    /// Instances come and go, as requests do.
    fn change<M: StreamMap<Value> + Default + 'static>(&self, world: &World<Value, M>) -> usize {
        let mut ended = 0;
        self.all_registered.wait();
        let (mut come, mut gone) = (0, 0);
        while come < COMING || gone < GOING {
            let due = usize::try_from(come + gone).expect("some hundred") * 5;
            while self.calls_home.load(Ordering::SeqCst) < due {
                thread::yield_now();
            }
            if come * GOING <= gone * COMING {
                lock(&self.live).push(AT_FIRST + come);
                come += 1;
            } else {
                let going = lock(&self.live).remove(0);
                ended += world.streams.cancel_instance(&instance(going));
                gone += 1;
            }
        }
        // What froze on an instance that has stayed is killed.
        self.settled.store(true, Ordering::SeqCst);
        self.kill_the_frozen();
        ended
    }

    fn kill_the_frozen(&self) {
        let frozen = std::mem::take(&mut *lock(&self.frozen));
        drop(frozen);
    }
}

fn a_changing_fleet_hangs_nobody<M: StreamMap<Value> + Default + 'static>() {
    let world = World::<Value, M>::new();
    let fleet = Fleet {
        live: Mutex::new((0..AT_FIRST).collect()),
        sent: Mutex::default(),
        frozen: Mutex::default(),
        calls_home: AtomicUsize::new(0),
        settled: AtomicBool::new(false),
        frontends_at_work: AtomicUsize::new(FRONTENDS),
        all_registered: Barrier::new(FRONTENDS + WORKERS + 2),
    };
    let ended = thread::scope(|scope| {
        for _ in 0..FRONTENDS {
            scope.spawn(|| fleet.front(&world, SESSIONS / FRONTENDS));
        }
        for _ in 0..WORKERS {
            scope.spawn(|| fleet.work(&world));
        }
        let changing = scope.spawn(|| fleet.change(&world));
        fleet.all_registered.wait();
        assert!(world.streams.stats().instances >= 1);
        changing.join().unwrap()
    });
    assert!(
        ended > 0,
        "no instance went with streams on it: nothing was tested"
    );
    drop(fleet.frozen);
    world.assert_empty();
}
