//! What can be measured: operations, settings, arms.

use anyhow::{Result, bail};
use serde::Serialize;
use verdict::schema::{Arm, Role};

use crate::{decode_step, phase_state, sessions};

/// One thread's share of a scenario's work.
pub trait Share: Send {
    /// Does a round of operations, checks that they did what they should, and answers how many they were.
    fn round(&mut self) -> u64;
}

/// The shares of all threads of one arm.
pub type Shares = Vec<Box<dyn Share>>;

/// An operation in a setting.
#[derive(Clone, Debug, Serialize)]
pub struct Scenario {
    /// Its name: the operation, and after a slash the one factor that is not as usual.
    pub name: String,
    /// The record that it is there for.
    pub adr: &'static str,
    /// Whether it is a whole operation, which may decide a record.
    pub gating: bool,
    /// One line on what it stands for in production.
    pub what: String,
    /// The setting.
    pub setting: Setting,
    /// What is compared.
    pub arms: Vec<Arm>,
    /// The operation.
    #[serde(skip)]
    operation: Operation,
}

/// What varies between scenarios of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Setting {
    /// Threads that operate at once.
    pub threads: u32,
    /// Requests that are tracked, over all threads.
    pub requests: u64,
    /// Of so many tokens one has a sample; 0 for none.
    pub one_sample_in: u64,
    /// Whether few requests get most of the tokens, by Zipf's law with 0.99, or all the same.
    pub zipf: bool,
    /// Of 100 operations so many replace a request by a new one.
    pub churn_percent: u32,
    /// The shards of a map that has shards; as many as it likes by itself if `None`.
    pub shards: Option<usize>,
    /// Whether all keys fall on one shard.
    pub one_shard: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operation {
    OnToken,
    OnStep,
    Handle,
    DecodeStep,
    AffinityTurn,
    AffinityHit,
}

impl Scenario {
    /// Builds one arm.
    ///
    /// # Errors
    ///
    /// If the scenario has no such arm.
    pub fn shares(&self, arm: &str, seed: u64) -> Result<Shares> {
        if !self.arms.iter().any(|each| each.name == arm) {
            bail!(
                "the scenario {} has no arm {arm}: `bench-worker list` names them",
                self.name
            );
        }
        match self.operation {
            Operation::OnToken => phase_state::by_key(arm, &self.setting, seed),
            Operation::OnStep => phase_state::by_step(arm, &self.setting, seed),
            Operation::Handle => phase_state::by_handle(arm, &self.setting, seed),
            Operation::DecodeStep => decode_step::shares(arm, &self.setting, seed),
            Operation::AffinityTurn => sessions::turn(arm, &self.setting, seed),
            Operation::AffinityHit => sessions::hit(arm, &self.setting, seed),
        }
    }

    /// The share of its time by which this arm is slowed down on purpose.
    #[must_use]
    pub fn planted(&self, arm: &str) -> Option<f64> {
        self.arms
            .iter()
            .find(|each| each.name == arm)
            .and_then(|each| match each.role {
                Role::Planted { extra } => Some(extra),
                _ => None,
            })
    }
}

/// The name of the arm that is the incumbent once more.
pub const AGAIN: &str = "dashmap-again";
/// The name of the arm that is the incumbent, slowed down by a tenth.
pub const PLANTED: &str = "dashmap-plus-10-percent";

/// The name of the arm that is papaya with a counter planted that all tokens bump: what the ratios at two threads and more
/// are there to catch.
pub const COUNTING: &str = "papaya-counting";

/// The map behind an arm: the incumbent's, for the arms that are the incumbent in disguise.
#[must_use]
pub fn map_of(arm: &str) -> &str {
    match arm {
        AGAIN | PLANTED => "dashmap",
        COUNTING => "papaya",
        other => other,
    }
}

fn arms(operation: Operation) -> Vec<Arm> {
    let mut arms = vec![
        Arm::new("dashmap", Role::Incumbent),
        Arm::new(AGAIN, Role::IncumbentAgain),
        Arm::new(PLANTED, Role::Planted { extra: 0.10 }),
        Arm::new("papaya", Role::Candidate),
        Arm::new("scc", Role::Candidate),
        Arm::new("rwlock", Role::Baseline),
        Arm::new("reference", Role::Reference),
    ];
    match operation {
        Operation::DecodeStep => arms.push(Arm::new("handle", Role::Free)),
        Operation::OnToken => arms.push(Arm::new(COUNTING, Role::Baseline)),
        Operation::AffinityTurn | Operation::AffinityHit => arms.push(Arm::new("moka", Role::Free)),
        Operation::OnStep | Operation::Handle => {}
    }
    arms
}

/// Every scenario, on a machine with so many cores: each operation as usual, and varied by one factor at a time.
#[must_use]
pub fn all(cores: u32) -> Vec<Scenario> {
    use Operation::{AffinityHit, AffinityTurn, DecodeStep, Handle, OnStep, OnToken};

    let usual = Setting {
        threads: cores,
        requests: 1_024,
        one_sample_in: 4,
        zipf: false,
        churn_percent: 0,
        shards: None,
        one_shard: false,
    };
    let mut scenarios = Vec::new();
    let mut add = |operation, variation: &str, what: &str, setting: Setting| {
        let (base, stands_for) = match operation {
            OnToken => ("on-token", "one token by key"),
            OnStep => ("on-step", "a step of up to 64 tokens by key"),
            Handle => ("handle", "one token by handle"),
            DecodeStep => (
                "decode-step",
                "the host side of a decode step: the phase of 256 tokens, their chunks serialised, events queued",
            ),
            AffinityTurn => (
                "affinity-turn",
                "the routing of a turn whose session is pinned: header and body parsed, candidates checked, decision written",
            ),
            AffinityHit => (
                "affinity-hit",
                "a lookup of a pinned session, its deadline stored",
            ),
        };
        let name = if variation.is_empty() {
            base.to_owned()
        } else {
            format!("{base}/{variation}")
        };
        let what = if what.is_empty() {
            stands_for.to_owned()
        } else {
            format!("{stands_for}; {what}")
        };
        let gating = matches!(operation, DecodeStep | AffinityTurn) && variation.is_empty();
        let adr = match operation {
            AffinityTurn | AffinityHit => "0006",
            _ => "0003",
        };
        scenarios.push(Scenario {
            name,
            adr,
            gating,
            what,
            setting,
            arms: arms(operation),
            operation,
        });
    };

    for operation in [DecodeStep, OnToken, OnStep, Handle] {
        add(operation, "", "", usual);
        let mut counts = vec![1, 2, cores / 2, cores];
        counts.retain(|&threads| threads > 0 && threads != cores);
        counts.dedup();
        for threads in counts {
            add(
                operation,
                &format!("threads={threads}"),
                "on fewer cores than there are",
                Setting { threads, ..usual },
            );
        }
        let threads = cores * 4;
        add(
            operation,
            "oversubscribed",
            "more threads than cores: what happens when the holder of a lock loses its core",
            Setting { threads, ..usual },
        );
    }
    for operation in [OnToken, OnStep] {
        add(
            operation,
            "samples=none",
            "an engine that measures nothing",
            Setting {
                one_sample_in: 0,
                ..usual
            },
        );
        add(
            operation,
            "samples=all",
            "an engine that measures every token",
            Setting {
                one_sample_in: 1,
                ..usual
            },
        );
        for requests in [64, 100_000] {
            let what = if requests < 1_000 {
                "a small batch, all in cache"
            } else {
                "more requests than caches hold"
            };
            add(
                operation,
                &format!("requests={requests}"),
                what,
                Setting { requests, ..usual },
            );
        }
    }
    add(
        OnToken,
        "requests=1",
        "one request that all threads feed: a hot key",
        Setting {
            requests: 1,
            ..usual
        },
    );
    add(
        OnToken,
        "zipf",
        "few requests get most of the tokens",
        Setting {
            zipf: true,
            ..usual
        },
    );
    for churn_percent in [1, 10] {
        let what = "requests come and go between tokens";
        add(
            OnToken,
            &format!("churn={churn_percent}"),
            what,
            Setting {
                churn_percent,
                ..usual
            },
        );
    }
    add(
        OnToken,
        "shards=128",
        "DashMap as it comes on 32 cores",
        Setting {
            shards: Some(128),
            ..usual
        },
    );
    add(
        OnToken,
        "one-shard",
        "keys chosen so that one shard has them all",
        Setting {
            one_shard: true,
            ..usual
        },
    );
    let sessions = Setting {
        requests: 100_000,
        one_sample_in: 0,
        ..usual
    };
    for operation in [AffinityTurn, AffinityHit] {
        add(operation, "", "", sessions);
        if cores > 1 {
            let what = "on fewer cores than there are";
            let alone = Setting {
                threads: 1,
                ..sessions
            };
            add(operation, "threads=1", what, alone);
        }
    }
    scenarios
}
