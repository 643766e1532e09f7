//! What a tracker can be told.

/// How a tracker treats what it is not told. The default knows no capacity but what workers report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct TrackerConfig {
    /// How many adapters a worker may hold that has not reported a capacity; 0 for none. `None`: that is not known, and
    /// such a worker is never one with a free slot.
    pub default_capacity: Option<u32>,
}
