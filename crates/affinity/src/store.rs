//! The contract of a store of pins, in one process or shared by many.
//!
//! # Design
//!
//! Every operation is about one key and atomic. Conditions are values (a worker, a generation), never closures, so that a
//! store on another machine decides them where the data is. What a caller would otherwise have to ask for in a second
//! operation, and might be told too late, comes back from the first.
//!
//! # Why
//!
//! - *A generation to rebind on, not a worker*: a session that went from A to B and back to A is not the one that was
//!   looked at. A refresh is by worker: it is the worker's turn that has ended, under whatever binding.
//! - *Futures that are `Send`, no `dyn`*: routers are generic over their store, and their futures move between threads.

use std::future::Future;

use worker_id::WorkerWithDpRank;

use crate::{Binding, BindingKind, SessionRef, StoreError, Written};

/// A store of pins with a sliding time to live.
///
/// # Contract
///
/// - Operations on one key are linearizable, over all routers that share the store.
/// - A binding lives until `ttl` after it was bound or last refreshed, by the store's own clock. From that moment on it is
///   absent to every operation, whether it was swept away or not. `get`, `refresh_if` where it applies, `bind`, a won
///   `claim` and an applied `rebind_if` let the time begin anew; a lost `claim` and `peek` do not.
/// - Workers are compared with their incarnation ([`WorkerWithDpRank::same_incarnation`]).
/// - A generation belongs to one binding for good, see [`Binding::generation`].
/// - Every operation refuses an empty session and a key over the store's bound, before anything else:
///   [`StoreError::EmptySession`], [`StoreError::KeyTooLong`].
/// - An engine-backed binding that has ended other than by `remove`, `remove_if` or by being replaced *while it was live*
///   is told to the store's `on_expire`, once. One that had run out when it was removed or replaced ended by running out:
///   it is told, as [`Idle`](crate::ExpireCause::Idle).
/// - A store bounds its own operations in time. A future that is dropped leaves its operation done or not done.
///
/// `conformance!` (feature `conformance`) mounts the tests of this on a store.
pub trait AffinityStore: Send + Sync {
    /// The binding of `key`; its time to live begins anew.
    ///
    /// # Errors
    ///
    /// See [`StoreError`].
    fn get(
        &self,
        key: SessionRef<'_>,
    ) -> impl Future<Output = Result<Option<Binding>, StoreError>> + Send;

    /// The binding of `key`, and nothing else happens.
    ///
    /// # Errors
    ///
    /// See [`StoreError`].
    fn peek(
        &self,
        key: SessionRef<'_>,
    ) -> impl Future<Output = Result<Option<Binding>, StoreError>> + Send;

    /// Binds `key` to `worker`, whatever it was bound to.
    ///
    /// Always applied, with one exception: a store that is full and whose policy is not to pin declines, and nothing
    /// holds.
    ///
    /// # Errors
    ///
    /// See [`StoreError`]; [`Full`](StoreError::Full) only where the key had no binding.
    fn bind(
        &self,
        key: SessionRef<'_>,
        worker: WorkerWithDpRank,
        kind: BindingKind,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send;

    /// Binds `key` to `worker` unless it has a binding; then that one comes back, and is not refreshed.
    ///
    /// Of claims that race, one is applied, and all answer with its binding. Declined with nothing, where the store is full
    /// and its policy is not to pin.
    ///
    /// # Errors
    ///
    /// See [`StoreError`]; [`Full`](StoreError::Full) only where the key had no binding.
    fn claim(
        &self,
        key: SessionRef<'_>,
        worker: WorkerWithDpRank,
        kind: BindingKind,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send;

    /// Lets the time to live begin anew if `key` is bound to `worker`. A refresh that comes late, after the key was bound
    /// to another worker or ended, changes nothing and says so.
    ///
    /// # Errors
    ///
    /// See [`StoreError`].
    fn refresh_if(
        &self,
        key: SessionRef<'_>,
        worker: WorkerWithDpRank,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send;

    /// Binds `key` to `worker` if its binding is still the one that was observed.
    ///
    /// # Errors
    ///
    /// See [`StoreError`]. Never [`Full`](StoreError::Full).
    fn rebind_if(
        &self,
        key: SessionRef<'_>,
        observed: u64,
        worker: WorkerWithDpRank,
        kind: BindingKind,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send;

    /// Ends the binding of `key`, if it has one. `on_expire` hears nothing of it.
    ///
    /// # Errors
    ///
    /// See [`StoreError`].
    fn remove(
        &self,
        key: SessionRef<'_>,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send;

    /// Ends the binding of `key` if it is still the one that was observed. `on_expire` hears nothing of it.
    ///
    /// # Errors
    ///
    /// See [`StoreError`].
    fn remove_if(
        &self,
        key: SessionRef<'_>,
        observed: u64,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send;
}
