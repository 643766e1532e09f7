//! An adapter on one worker: what is known of it, and when it was last used.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::LoraInfo;

/// An adapter on one worker, where it is resident or on its way.
///
/// It does not change, but for [`last_used`](Self::last_used).
pub struct WorkerLora {
    /// The one text that all who mention the adapter share.
    pub(crate) name: Arc<str>,
    /// What is seldom said.
    detail: Option<Box<Detail>>,
    /// The greatest number that a touch has brought.
    last_used: AtomicU64,
    /// One more than the revision that this was last said in; 0 where none was. For the writer
    /// alone.
    as_of: AtomicU64,
    pinned: bool,
    loading: bool,
    /// Whether a ticket is out for it: then the ticket's end is its end, and no list's.
    ticketed: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Detail {
    version: Option<Arc<str>>,
    rank: Option<u32>,
    bytes: Option<u64>,
}

impl WorkerLora {
    pub(crate) fn new(name: Arc<str>, info: &LoraInfo, loading: bool) -> Self {
        let detail = Detail {
            version: info.version.clone(),
            rank: info.rank,
            bytes: info.bytes,
        };
        Self {
            name,
            detail: (detail != Detail::default()).then(|| Box::new(detail)),
            last_used: AtomicU64::new(0),
            as_of: AtomicU64::new(0),
            pinned: info.pinned.unwrap_or(false),
            loading,
            ticketed: false,
        }
    }

    /// On its way by a ticket.
    pub(crate) fn ticketed(name: Arc<str>) -> Self {
        let info = LoraInfo::new(Arc::clone(&name));
        Self {
            ticketed: true,
            ..Self::new(name, &info, true)
        }
    }

    pub(crate) fn is_ticketed(&self) -> bool {
        self.ticketed
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Which weights these are, where that was said: a digest, compared for equality.
    #[must_use]
    pub fn version(&self) -> Option<&Arc<str>> {
        self.detail.as_ref()?.version.as_ref()
    }

    /// The rank of its matrices, where that was said.
    #[must_use]
    pub fn rank(&self) -> Option<u32> {
        self.detail.as_ref()?.rank
    }

    /// How much memory it takes there, in bytes, where that was said.
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        self.detail.as_ref()?.bytes
    }

    /// Whether it must not be evicted.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        self.pinned
    }

    /// Whether it is on its way, and not resident yet.
    #[must_use]
    pub fn is_loading(&self) -> bool {
        self.loading
    }

    /// The greatest number that [`LoraTracker::touch`](crate::LoraTracker::touch) was called with;
    /// 0 before the first.
    #[must_use]
    pub fn last_used(&self) -> u64 {
        // Nothing else is read on the strength of this number.
        self.last_used.load(Ordering::Relaxed)
    }

    pub(crate) fn touch(&self, now: u64) {
        // Another thread may bring a later number meanwhile: the greatest stays, and whoever comes
        // with an earlier one writes nothing.
        if self.last_used() < now {
            self.last_used.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// Whether it may be evicted to make room.
    pub(crate) fn is_evictable(&self) -> bool {
        !self.loading && !self.pinned
    }

    pub(crate) fn as_of(&self) -> Option<u64> {
        // The writers take turns, and nobody else reads it.
        self.as_of.load(Ordering::Relaxed).checked_sub(1)
    }

    /// A list or an event without a revision leaves none: whatever comes next is not older.
    pub(crate) fn said_at(&self, as_of: Option<u64>) {
        let next = as_of.map_or(0, |as_of| as_of.saturating_add(1));
        self.as_of.store(next, Ordering::Relaxed);
    }

    /// What this is once `info` is said of it. `whole`: what is not said is not known any more.
    /// Nothing where that makes no difference.
    pub(crate) fn updated(&self, info: &LoraInfo, loading: bool, whole: bool) -> Option<Self> {
        let there = self.detail.as_deref().cloned().unwrap_or_default();
        // Of other weights, nothing that was said of the old ones holds.
        let other = info.version.is_some() && info.version != there.version;
        let kept = if whole || other {
            Detail::default()
        } else {
            there.clone()
        };
        let detail = Detail {
            version: info.version.clone().or(kept.version),
            rank: info.rank.or(kept.rank),
            bytes: info.bytes.or(kept.bytes),
        };
        let pinned = info.pinned.unwrap_or(!whole && self.pinned);
        if detail == there && pinned == self.pinned && loading == self.loading {
            return None;
        }
        Some(Self {
            name: Arc::clone(&self.name),
            detail: (detail != Detail::default()).then(|| Box::new(detail)),
            last_used: AtomicU64::new(self.last_used()),
            as_of: AtomicU64::new(self.as_of.load(Ordering::Relaxed)),
            pinned,
            loading,
            ticketed: false,
        })
    }

    /// Whether a list says of it just what is known.
    pub(crate) fn is_as_listed(&self, info: &LoraInfo) -> bool {
        let said = (&info.version, info.rank, info.bytes);
        let known = match self.detail.as_deref() {
            None => said == (&None, None, None),
            Some(detail) => said == (&detail.version, detail.rank, detail.bytes),
        };
        known
            && !self.loading
            && self.pinned == info.pinned.unwrap_or(false)
            && (Arc::ptr_eq(&self.name, &info.name) || self.name == info.name)
    }

    /// Whether a reader can tell the two apart, but for when they were used.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let visible = |pair: &Self| (pair.pinned, pair.loading);
        self.name == other.name && visible(self) == visible(other) && self.detail == other.detail
    }
}

impl fmt::Debug for WorkerLora {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerLora")
            .field("name", &self.name)
            .field("version", &self.version())
            .field("rank", &self.rank())
            .field("bytes", &self.bytes())
            .field("pinned", &self.pinned)
            .field("loading", &self.loading)
            .field("last_used", &self.last_used())
            .finish()
    }
}
