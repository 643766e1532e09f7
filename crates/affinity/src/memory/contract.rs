//! The memory store as any other: its own methods, as futures that wait for nothing.

use worker_id::WorkerWithDpRank;

use super::MemoryStore;
use crate::{AffinityStore, Binding, BindingKind, SessionMap, SessionRef, StoreError, Written};

impl<M: SessionMap> AffinityStore for MemoryStore<M> {
    async fn get(&self, key: SessionRef<'_>) -> Result<Option<Binding>, StoreError> {
        self.get(key)
    }

    async fn peek(&self, key: SessionRef<'_>) -> Result<Option<Binding>, StoreError> {
        self.peek(key)
    }

    async fn bind(
        &self,
        key: SessionRef<'_>,
        worker: WorkerWithDpRank,
        kind: BindingKind,
    ) -> Result<Written, StoreError> {
        self.bind(key, worker, kind)
    }

    async fn claim(
        &self,
        key: SessionRef<'_>,
        worker: WorkerWithDpRank,
        kind: BindingKind,
    ) -> Result<Written, StoreError> {
        self.claim(key, worker, kind)
    }

    async fn refresh_if(
        &self,
        key: SessionRef<'_>,
        worker: WorkerWithDpRank,
    ) -> Result<Written, StoreError> {
        self.refresh_if(key, worker)
    }

    async fn rebind_if(
        &self,
        key: SessionRef<'_>,
        observed: u64,
        worker: WorkerWithDpRank,
        kind: BindingKind,
    ) -> Result<Written, StoreError> {
        self.rebind_if(key, observed, worker, kind)
    }

    async fn remove(&self, key: SessionRef<'_>) -> Result<Written, StoreError> {
        self.remove(key)
    }

    async fn remove_if(&self, key: SessionRef<'_>, observed: u64) -> Result<Written, StoreError> {
        self.remove_if(key, observed)
    }
}
