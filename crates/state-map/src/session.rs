//! The session of a backend that pays nothing per access: a reference that stays on its thread.

use std::fmt;
use std::marker::PhantomData;

/// A session that is no more than a reference to its map.
///
/// It could be sent to another thread, but papaya's cannot: so none can, and code written against one
/// backend compiles against all.
pub struct LocalSession<'a, M> {
    pub(crate) map: &'a M,
    stays_on_its_thread: PhantomData<*const ()>,
}

impl<'a, M> LocalSession<'a, M> {
    pub(crate) fn new(map: &'a M) -> Self {
        Self {
            map,
            stays_on_its_thread: PhantomData,
        }
    }
}

impl<M> fmt::Debug for LocalSession<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSession").finish_non_exhaustive()
    }
}
