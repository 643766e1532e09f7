//! What wakes those who wait for the last request of a worker: tokio's `Notify`, and a stand-in under loom.
//!
//! Loom sees nothing of tokio. What the models prove is our order: a waiter enters first and looks then, and whoever
//! gives the last request back subtracts first and notifies then.

#[cfg(not(inflight_loom))]
#[derive(Default)]
pub(crate) struct Event(tokio::sync::Notify);

#[cfg(not(inflight_loom))]
impl Event {
    /// Wakes everybody who has entered.
    pub(crate) fn notify(&self) {
        self.0.notify_waiters();
    }

    /// Resolves once `done` says so, which is asked now and after each notification.
    pub(crate) async fn wait_until(&self, done: impl Fn() -> bool) {
        loop {
            // Made before `done` is asked: it is woken by any notification from now on, polled or not.
            let notified = self.0.notified();
            if done() {
                return;
            }
            notified.await;
        }
    }
}

#[cfg(inflight_loom)]
pub(crate) use stand_in::Event;

#[cfg(inflight_loom)]
mod stand_in {
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
