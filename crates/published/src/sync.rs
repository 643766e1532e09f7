//! The one place that names arc-swap, and what stands in for it under loom.

#[cfg(not(inflight_loom))]
pub(crate) use real::{Cell, Guard, from_arc, into_arc};
#[cfg(inflight_loom)]
pub(crate) use stand_in::{Cell, Guard, from_arc, into_arc};

#[cfg(not(inflight_loom))]
mod real {
    use std::sync::Arc;

    use arc_swap::ArcSwap;

    pub(crate) type Guard<T> = arc_swap::Guard<Arc<T>>;

    pub(crate) struct Cell<T>(ArcSwap<T>);

    impl<T> Cell<T> {
        pub(crate) fn new(value: Arc<T>) -> Self {
            Self(ArcSwap::new(value))
        }

        #[inline]
        pub(crate) fn load(&self) -> Guard<T> {
            self.0.load()
        }

        pub(crate) fn store(&self, value: Arc<T>) {
            self.0.store(value);
        }
    }

    pub(crate) fn into_arc<T>(guard: Guard<T>) -> Arc<T> {
        arc_swap::Guard::into_inner(guard)
    }

    pub(crate) fn from_arc<T>(value: Arc<T>) -> Guard<T> {
        arc_swap::Guard::from_inner(value)
    }
}

#[cfg(inflight_loom)]
mod stand_in {
    use std::mem;
    use std::sync::{Arc, PoisonError};

    use loom::sync::Mutex;

    pub(crate) type Guard<T> = Arc<T>;

    pub(crate) struct Cell<T>(Mutex<Arc<T>>);

    impl<T> Cell<T> {
        pub(crate) fn new(value: Arc<T>) -> Self {
            Self(Mutex::new(value))
        }

        pub(crate) fn load(&self) -> Guard<T> {
            Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
        }

        pub(crate) fn store(&self, value: Arc<T>) {
            // The old value is dropped after the lock is released.
            let _old = mem::replace(
                &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner),
                value,
            );
        }
    }

    pub(crate) fn into_arc<T>(guard: Guard<T>) -> Arc<T> {
        guard
    }

    pub(crate) fn from_arc<T>(value: Arc<T>) -> Guard<T> {
        value
    }
}
