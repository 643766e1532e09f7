//! The scenarios of `phase-state`: tokens by key, by step, by handle, and the decode step that they are part of.

use std::sync::Arc;

use anyhow::Result;
use verdict::schema::{Arm, Role};

use crate::decode_step;
use crate::phase_state::{self, COUNTING, Setting};
use crate::scenario::{Scenario, Shares, maps, more_shards};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operation {
    OnToken,
    OnStep,
    Handle,
    DecodeStep,
}

fn shares(operation: Operation, setting: Setting, arm: &str, seed: u64) -> Result<Shares> {
    let setting = &Setting {
        shards: more_shards(arm).or(setting.shards),
        ..setting
    };
    match operation {
        Operation::OnToken => phase_state::by_key(arm, setting, seed),
        Operation::OnStep => phase_state::by_step(arm, setting, seed),
        Operation::Handle => phase_state::by_handle(arm, setting, seed),
        Operation::DecodeStep => decode_step::shares(arm, setting, seed),
    }
}

fn arms(operation: Operation) -> Vec<Arm> {
    let mut arms = maps();
    arms.push(Arm::new("reference", Role::Reference));
    match operation {
        Operation::DecodeStep => arms.push(Arm::new("handle", Role::Free)),
        Operation::OnToken => arms.push(Arm::new(COUNTING, Role::Baseline)),
        Operation::OnStep | Operation::Handle => {}
    }
    arms
}

/// The scenarios, on a machine with so many cores: each operation as usual, and varied by one factor at a time.
pub(crate) fn all(cores: u32) -> Vec<Scenario> {
    use Operation::{DecodeStep, Handle, OnStep, OnToken};

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
        let gating = operation == DecodeStep && variation.is_empty();
        scenarios.push(Scenario {
            name,
            adr: "0003",
            gating,
            what,
            threads: setting.threads,
            arms: arms(operation),
            build: Arc::new(move |arm, seed| shares(operation, setting, arm, seed)),
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
    scenarios
}
