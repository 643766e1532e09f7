//! What all scenarios have in common: variations of an operation, and threads whose shares are made
//! alike for every arm, from the same keys.

use std::sync::Arc;

use anyhow::Result;
use verdict::schema::{Arm, Role};

use crate::free::Owning;
use crate::scenario::{FREE, Scenario, Share, Shares, varied};

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    /// The record that it is there for.
    pub(crate) adr: &'static str,
    pub(crate) name: &'static str,
    /// One line on what it stands for in production.
    pub(crate) what: &'static str,
}

impl Operation {
    /// The operation as usual, or with one factor that is not. It decides its record where it is as
    /// usual and has a map that costs next to nothing beside it.
    pub(crate) fn scenario(
        self,
        variation: &str,
        threads: u32,
        arms: Vec<Arm>,
        shares: impl Fn(Threads<'_>) -> Result<Shares> + Send + Sync + 'static,
    ) -> Scenario {
        let (name, what) = varied(self.name, self.what, variation);
        Scenario {
            name,
            adr: self.adr,
            gating: variation.is_empty() && arms.iter().any(|arm| arm.role == Role::Free),
            what,
            threads,
            arms,
            build: Arc::new(move |arm, seed| {
                let count = threads;
                shares(Threads { arm, count, seed })
            }),
        }
    }
}

/// The threads of an arm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Threads<'a> {
    pub(crate) arm: &'a str,
    pub(crate) count: u32,
    pub(crate) seed: u64,
}

impl Threads<'_> {
    /// A share for each, from its number and a generator of its own.
    pub(crate) fn each<S: Share + 'static>(
        self,
        mut make: impl FnMut(usize, fastrand::Rng) -> S,
    ) -> Shares {
        let mut seeds = fastrand::Rng::with_seed(self.seed);
        (0..self.count as usize)
            .map(|thread| -> Box<dyn Share> {
                let rng = seeds.fork();
                if self.arm == FREE {
                    Box::new(Owning::new(|| make(thread, rng)))
                } else {
                    Box::new(make(thread, rng))
                }
            })
            .collect()
    }
}

/// These arms, and so many designs that were there before.
pub(crate) fn beside<const N: usize>(mut arms: Vec<Arm>, references: [&str; N]) -> Vec<Arm> {
    arms.extend(references.map(|name| Arm::new(name, Role::Reference)));
    arms
}
