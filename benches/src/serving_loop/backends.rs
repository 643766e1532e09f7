//! Which backend each of the five crates stands on.

use anyhow::{Context, Result};

use crate::any_map::Backend;
use crate::scenario::more_shards;

/// The crates whose maps can be swapped.
pub(super) const CRATES: [&str; 5] = [
    "phase-state",
    "stream-registry",
    "lora-tracker",
    "affinity",
    "router-snapshot",
];

/// The backend of each crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backends {
    /// Of `phase-state`.
    pub phases: Backend,
    /// Of `stream-registry`, in `call-home`.
    pub streams: Backend,
    /// Of `lora-tracker`.
    pub loras: Backend,
    /// Of `affinity`.
    pub sessions: Backend,
    /// Of `router-snapshot`.
    pub routers: Backend,
}

impl Backends {
    /// One for all five.
    #[must_use]
    pub const fn all(backend: Backend) -> Self {
        Self {
            phases: backend,
            streams: backend,
            loras: backend,
            sessions: backend,
            routers: backend,
        }
    }

    /// Those of an arm: all on one; but for `affinity=papaya` and the like, which is one crate on a
    /// map of its own, and for more shards, which are the phases' alone, as ADR-0003 asks.
    pub(super) fn of_arm(arm: &str) -> Result<Self> {
        let usual = Self::all(Backend::DashMap);
        if more_shards(arm).is_some() {
            let phases = Backend::of_arm(arm)?;
            return Ok(Self { phases, ..usual });
        }
        let Some((name, backend)) = arm.split_once('=') else {
            return Ok(Self::all(Backend::of_arm(arm)?));
        };
        let mut swapped = usual;
        let parts = [
            &mut swapped.phases,
            &mut swapped.streams,
            &mut swapped.loras,
            &mut swapped.sessions,
            &mut swapped.routers,
        ];
        let part = CRATES
            .into_iter()
            .zip(parts)
            .find(|(each, _)| *each == name);
        let (_, part) =
            part.with_context(|| format!("{name} has no map: name one of {CRATES:?}"))?;
        *part = backend.parse()?;
        Ok(swapped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arm_is_all_on_one_map_or_one_crate_on_its_own() {
        let usual = Backends::all(Backend::DashMap);
        let of_arm = |arm| Backends::of_arm(arm).expect(arm);
        assert_eq!(of_arm("scc"), Backends::all(Backend::Scc));
        let (sessions, phases) = (Backend::Papaya, Backend::Sharded(64));
        assert_eq!(of_arm("affinity=papaya"), Backends { sessions, ..usual });
        assert_eq!(of_arm("dashmap-shards=64"), Backends { phases, ..usual });
        for wrong in [
            "affinity",
            "call-home=scc",
            "affinity=hashmap",
            "dashmap-shards=3",
        ] {
            assert!(Backends::of_arm(wrong).is_err(), "{wrong}");
        }
    }
}
