//! What a tracker can be told.

use std::time::Duration;

/// How a tracker treats what it is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct TrackerConfig {
    /// How many adapters a worker may hold that has not reported a capacity; 0 for none. `None`,
    /// the default: that is not known.
    pub default_capacity: Option<u32>,
    /// Whether a worker of unknown capacity is a candidate, after those that are known to have
    /// room. Default: yes.
    pub unknown_capacity_may_load: bool,
    /// Whether a worker must have joined, or have been in a list, before it is shown. Adapters that
    /// are said of it before that are remembered. Default: no.
    pub registration_required: bool,
    /// For how long after a failure [`LoraTracker::begin_load`](crate::LoraTracker::begin_load)
    /// does not choose the same worker for the same adapter. Default: 10 s.
    pub load_backoff: Duration,
}

impl Default for TrackerConfig {
    fn default() -> Self {
        Self {
            default_capacity: None,
            unknown_capacity_may_load: true,
            registration_required: false,
            load_backoff: Duration::from_secs(10),
        }
    }
}

impl TrackerConfig {
    /// The default one: see each field.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`default_capacity`](Self::default_capacity).
    #[must_use]
    pub fn with_default_capacity(self, capacity: impl Into<Option<u32>>) -> Self {
        Self {
            default_capacity: capacity.into(),
            ..self
        }
    }

    /// Sets [`unknown_capacity_may_load`](Self::unknown_capacity_may_load).
    #[must_use]
    pub fn with_unknown_capacity_may_load(self, may: bool) -> Self {
        Self {
            unknown_capacity_may_load: may,
            ..self
        }
    }

    /// Sets [`registration_required`](Self::registration_required).
    #[must_use]
    pub fn with_registration_required(self, required: bool) -> Self {
        Self {
            registration_required: required,
            ..self
        }
    }

    /// Sets [`load_backoff`](Self::load_backoff).
    #[must_use]
    pub fn with_load_backoff(self, backoff: Duration) -> Self {
        Self {
            load_backoff: backoff,
            ..self
        }
    }
}
