//! Runs many short histories on a few persistent threads, and stamps every call with when it began and ended.
//!
//! # Design
//!
//! The caller's thread is thread 0: it makes the subject, takes part in the history, and checks it, while the others wait
//! at a barrier. So two threads fill two cores, and neither the factory nor the check needs to be shared.
//!
//! # Invariants
//!
//! - Between two stamps there is only the user's call: each thread writes to a buffer of its own, allocated beforehand.
//! - Whoever panics calls off the barrier, so that all threads leave and the panic arrives at the caller.

use std::mem::take;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::{panicking, scope};
use std::time::Instant;

use crate::barrier::Barrier;
use crate::history::Call;
use crate::rng::Rng;

/// How many histories to record, and of what size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The threads of each history; the caller's is one of them.
    pub threads: usize,
    /// The operations that each thread is given in a history.
    pub calls: usize,
    /// The histories to record, each on a fresh subject.
    pub histories: usize,
    /// Determines all operations, though not how the threads interleave.
    pub seed: u64,
}

impl Plan {
    /// Records the histories one after the other, and hands each to `check`.
    ///
    /// For each history, `subject` makes the object; `generate` chooses the operations of a thread before the start; all
    /// threads start `body` together, which runs them through [`Recorder::call`] and may keep a context of its own, such as
    /// a session, around them; and `check` receives the calls in order of invocation.
    ///
    /// # Panics
    ///
    /// With the panic of a closure, on whichever thread it was, after the history and the plan are written to stderr; and if
    /// the plan has no thread.
    pub fn record<S, Op, Ret>(
        &self,
        mut subject: impl FnMut() -> S,
        generate: impl Fn(&mut Rng, usize) -> Op + Sync,
        body: impl Fn(&S, Vec<Op>, &mut Recorder<Op, Ret>) + Sync,
        mut check: impl FnMut(&[Call<Op, Ret>]),
    ) where
        S: Send + Sync,
        Op: Send,
        Ret: Send,
    {
        assert!(self.threads > 0, "a history needs a thread");
        let stage = Stage {
            plan: self,
            epoch: Instant::now(),
            barrier: Barrier::new(self.threads),
            subject: RwLock::new(None),
            calls: Mutex::new(Vec::new()),
        };
        scope(|threads| {
            let call_off = stage.barrier.call_off_on_drop();
            let others: Vec<_> = (1..self.threads)
                .map(|thread| {
                    let (stage, generate, body) = (&stage, &generate, &body);
                    threads.spawn(move || {
                        let _call_off = stage.barrier.call_off_on_drop();
                        let mut part = stage.part(thread);
                        while part.play(generate, body) {}
                    })
                })
                .collect();

            let mut whereabouts = Whereabouts {
                plan: self,
                history: 0,
            };
            let mut part = stage.part(0);
            for history in 0..self.histories {
                whereabouts.history = history;
                stage.set(subject());
                if !part.play(&generate, &body) {
                    break;
                }
                let mut calls = take(&mut *stage.calls());
                calls.sort_by_key(|call| call.invoked);
                check(&calls);
            }
            drop(call_off);
            for other in others {
                if let Err(panic) = other.join() {
                    resume_unwind(panic);
                }
            }
        });
    }
}

/// One thread's part of a history: runs calls, and writes down when.
#[derive(Debug)]
pub struct Recorder<Op, Ret> {
    thread: usize,
    epoch: Instant,
    invoked: AtomicU64,
    calls: Vec<Call<Op, Ret>>,
}

impl<Op, Ret> Recorder<Op, Ret> {
    /// The thread whose part this is, counted from 0.
    #[must_use]
    pub fn thread(&self) -> usize {
        self.thread
    }

    /// Runs one operation on the subject and records it.
    ///
    /// The stamps bracket the operation in memory as well as in time, by a sequentially consistent fence on either side:
    ///
    /// - A store may sit in the processor's store buffer when the instruction after it already runs. Without the fence
    ///   before the return stamp, an operation would be stamped as over while no other core can see its effect yet, and a
    ///   call that begins later and misses it would be a false alarm. (Of a register under relaxed stores, on two x86 cores,
    ///   one history in six and more.)
    /// - A load may run ahead of earlier instructions. Without the fence after the invocation stamp, an operation could
    ///   read what was current before it is said to have begun.
    pub fn call(&mut self, op: Op, run: impl FnOnce(&Op) -> Ret) -> &Ret {
        let mut invoked = self.now();
        // A tick of the clock may be longer than a call, and equal stamps would lose the order of a thread's own calls.
        while self
            .calls
            .last()
            .is_some_and(|last| last.returned == invoked)
        {
            invoked = self.now();
        }
        // A fence orders memory accesses, and reading a clock is none. Storing what was read is one, so the fence cannot
        // complete, nor any load of the operation begin, before the clock has answered.
        self.invoked.store(invoked, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let ret = run(&op);
        fence(Ordering::SeqCst);
        let returned = self.now();

        let thread = self.thread;
        let call = Call {
            thread,
            op,
            ret,
            invoked,
            returned,
        };
        self.calls.push(call);
        &self.calls[self.calls.len() - 1].ret
    }

    fn now(&self) -> u64 {
        let nanos = self.epoch.elapsed().as_nanos();
        u64::try_from(nanos).expect("a run of less than 500 years")
    }
}

/// What the threads of a run share.
struct Stage<'p, S, Op, Ret> {
    plan: &'p Plan,
    epoch: Instant,
    barrier: Barrier,
    /// Written by thread 0 between two histories, read by all during one.
    subject: RwLock<Option<S>>,
    calls: Mutex<Vec<Call<Op, Ret>>>,
}

impl<S, Op, Ret> Stage<'_, S, Op, Ret> {
    fn part(&self, thread: usize) -> Part<'_, S, Op, Ret> {
        let recorder = Recorder {
            thread,
            epoch: self.epoch,
            invoked: AtomicU64::new(0),
            calls: Vec::with_capacity(self.plan.calls),
        };
        let rng = Rng::new(self.plan.seed.wrapping_add(thread as u64));
        Part {
            stage: self,
            recorder,
            rng,
        }
    }

    fn set(&self, subject: S) {
        let mut slot = self.subject.write().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(subject);
    }

    fn calls(&self) -> MutexGuard<'_, Vec<Call<Op, Ret>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a thread keeps over all histories.
struct Part<'a, S, Op, Ret> {
    stage: &'a Stage<'a, S, Op, Ret>,
    recorder: Recorder<Op, Ret>,
    rng: Rng,
}

impl<S, Op, Ret> Part<'_, S, Op, Ret> {
    /// Takes part in one history; false if the run is over.
    fn play(
        &mut self,
        generate: impl Fn(&mut Rng, usize) -> Op,
        body: impl Fn(&S, Vec<Op>, &mut Recorder<Op, Ret>),
    ) -> bool {
        let Self {
            stage,
            recorder,
            rng,
        } = self;
        let generated = (0..stage.plan.calls).map(|_| generate(rng, recorder.thread));
        let ops = generated.collect();

        // Twice: once for the subject to be there, and once more for all to have their hands on it.
        if !stage.barrier.wait() {
            return false;
        }
        {
            let slot = stage.subject.read().unwrap_or_else(PoisonError::into_inner);
            let subject = slot.as_ref().expect("thread 0 sets it before it arrives");
            if !stage.barrier.start() {
                return false;
            }
            body(subject, ops, recorder);
        }
        stage.calls().append(&mut recorder.calls);
        stage.barrier.wait()
    }
}

/// Says where a run was when it panicked.
struct Whereabouts<'p> {
    plan: &'p Plan,
    history: usize,
}

impl Drop for Whereabouts<'_> {
    fn drop(&mut self) {
        if panicking() {
            eprintln!("in history {} of {:?}", self.history, self.plan);
        }
    }
}
