//! Which backend each of the five crates stands on.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, bail};

use crate::any_map::Backend;

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

    /// The same, with one crate on another.
    #[must_use]
    pub const fn with(mut self, Swap { part, backend }: Swap) -> Self {
        match part {
            Part::Phases => self.phases = backend,
            Part::Streams => self.streams = backend,
            Part::Loras => self.loras = backend,
            Part::Sessions => self.sessions = backend,
            Part::Routers => self.routers = backend,
        }
        self
    }

    fn parts(&self) -> [(Part, Backend); 5] {
        [
            (Part::Phases, self.phases),
            (Part::Streams, self.streams),
            (Part::Loras, self.loras),
            (Part::Sessions, self.sessions),
            (Part::Routers, self.routers),
        ]
    }
}

impl fmt::Display for Backends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.parts();
        let usual = parts
            .iter()
            .map(|(_, backend)| *backend)
            .max_by_key(|usual| parts.iter().filter(|(_, each)| each == usual).count());
        usual.iter().try_for_each(|usual| write!(f, "{usual}"))?;
        for (part, backend) in parts {
            if Some(backend) != usual {
                write!(f, ", {} on {backend}", part.name())?;
            }
        }
        Ok(())
    }
}

/// One of the five crates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `phase-state`
    Phases,
    /// `stream-registry`
    Streams,
    /// `lora-tracker`
    Loras,
    /// `affinity`
    Sessions,
    /// `router-snapshot`
    Routers,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Phases,
        Self::Streams,
        Self::Loras,
        Self::Sessions,
        Self::Routers,
    ];

    /// The crate's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Phases => "phase-state",
            Self::Streams => "stream-registry",
            Self::Loras => "lora-tracker",
            Self::Sessions => "affinity",
            Self::Routers => "router-snapshot",
        }
    }
}

/// One crate on a backend of its own: as text, `CRATE=BACKEND`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swap {
    /// The crate.
    pub part: Part,
    /// Its backend.
    pub backend: Backend,
}

impl fmt::Display for Swap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.part.name(), self.backend)
    }
}

impl FromStr for Swap {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, backend) = text
            .split_once('=')
            .context("write CRATE=BACKEND, such as phase-state=papaya")?;
        let Some(part) = Part::ALL.into_iter().find(|part| part.name() == name) else {
            let names = Part::ALL.map(Part::name).join(", ");
            bail!("{name} has no map to be swapped: name one of {names}");
        };
        let backend = backend.parse()?;
        Ok(Self { part, backend })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swap_is_one_crate_on_another_backend() {
        let swap: Swap = "affinity=papaya".parse().expect("a swap");
        assert_eq!(swap.to_string(), "affinity=papaya");
        let backends = Backends::all(Backend::DashMap).with(swap);
        assert_eq!(backends.to_string(), "dashmap, affinity on papaya");
        assert_eq!(backends.sessions, Backend::Papaya);
        assert_eq!(backends.phases, Backend::DashMap);
        for wrong in ["affinity", "call-home=scc", "affinity=hashmap"] {
            assert!(wrong.parse::<Swap>().is_err(), "{wrong}");
        }
    }
}
