//! The one place that asks for loom: turns and random numbers of a thread's own, and what wakes
//! those who wait for the last request of a worker.
//!
//! Under loom there is no chance: a model must meet the same choices each time. And loom sees
//! nothing of tokio. What the models prove is our order: a waiter enters first and looks then, and
//! whoever gives the last request back subtracts first and notifies then.

#[cfg(all(feature = "tokio", not(inflight_loom)))]
pub(crate) use real::Event;
#[cfg(not(inflight_loom))]
pub(crate) use real::{below, part, turn};
#[cfg(all(feature = "tokio", inflight_loom))]
pub(crate) use stand_in::Event;
#[cfg(inflight_loom)]
pub(crate) use stand_in::{below, part, turn};

#[cfg(not(inflight_loom))]
mod real {
    use std::cell::Cell;

    thread_local! {
        static TURN: Cell<usize> = const { Cell::new(0) };
    }

    /// How many times this thread has asked before.
    #[inline]
    pub(crate) fn turn() -> usize {
        TURN.with(|turn| turn.replace(turn.get().wrapping_add(1)))
    }

    /// A number from 0 to `len`, without `len`, which must not be 0.
    #[inline]
    pub(crate) fn below(len: usize) -> usize {
        fastrand::usize(..len)
    }

    /// A number from 0 to 1, without 1.
    #[inline]
    pub(crate) fn part() -> f64 {
        fastrand::f64()
    }

    /// Tokio's `Notify`.
    #[cfg(feature = "tokio")]
    #[derive(Default)]
    pub(crate) struct Event(tokio::sync::Notify);

    #[cfg(feature = "tokio")]
    impl Event {
        /// Wakes everybody who has entered.
        pub(crate) fn notify(&self) {
            self.0.notify_waiters();
        }

        /// Resolves once `done` says so, which is asked now and after each notification.
        pub(crate) async fn wait_until(&self, done: impl Fn() -> bool) {
            loop {
                // Made before `done` is asked: it is woken by any notification from now on, polled
                // or not.
                let notified = self.0.notified();
                if done() {
                    return;
                }
                notified.await;
            }
        }
    }
}

#[cfg(inflight_loom)]
mod stand_in {
    pub(crate) fn turn() -> usize {
        0
    }

    pub(crate) fn below(_: usize) -> usize {
        0
    }

    pub(crate) fn part() -> f64 {
        0.0
    }

    #[cfg(feature = "tokio")]
    pub(crate) use event::Event;

    #[cfg(feature = "tokio")]
    mod event {
        use std::future::poll_fn;
        use std::mem;
        use std::task::{Poll, Waker};

        use state_map::sync::{Mutex, lock};

        #[derive(Default)]
        pub(crate) struct Event(Mutex<Waiters>);

        #[derive(Default)]
        struct Waiters {
            notifications: u64,
            wakers: Vec<Waker>,
        }

        impl Event {
            pub(crate) fn notify(&self) {
                let mut waiters = lock(&self.0);
                waiters.notifications += 1;
                let wakers = mem::take(&mut waiters.wakers);
                drop(waiters);
                wakers.into_iter().for_each(Waker::wake);
            }

            pub(crate) async fn wait_until(&self, done: impl Fn() -> bool) {
                loop {
                    let entered = lock(&self.0).notifications;
                    if done() {
                        return;
                    }
                    poll_fn(|cx| {
                        let mut waiters = lock(&self.0);
                        if waiters.notifications > entered {
                            return Poll::Ready(());
                        }
                        waiters.wakers.push(cx.waker().clone());
                        Poll::Pending
                    })
                    .await;
                }
            }
        }
    }
}
