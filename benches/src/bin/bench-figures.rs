//! What `cargo xtask bench` counts on one thread, for one arm: bytes and allocations.
//!
//! A binary of its own, since its allocator costs time: the worker that is timed has the system's.
#![forbid(unsafe_code)]

use alloc_count::CountingAllocator;
use anyhow::Result;
use benches::figures::Kept;
use benches::{catalogue, figures};
use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Counts bytes or allocations of one arm, and prints a line of JSON; started by `cargo xtask bench`.
#[derive(Parser)]
struct Flags {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// The bytes that a map holds: filled, after churn, after a drain.
    Bytes {
        /// The arm's name.
        #[arg(long)]
        arm: String,
        /// The requests to track.
        #[arg(long)]
        entries: u64,
    },
    /// The bytes that one crate's state holds.
    KeptBytes {
        /// What it keeps.
        #[arg(long)]
        kept: Kept,
        /// The arm's name.
        #[arg(long)]
        arm: String,
        /// How many of them.
        #[arg(long)]
        entries: u64,
    },
    /// How uneven DashMap's shards are with so many requests.
    Skew {
        /// The requests to track.
        #[arg(long)]
        entries: u64,
    },
    /// The allocations of an operation on one thread.
    Allocations {
        /// The name of a scenario as it is on one core.
        #[arg(long)]
        scenario: String,
        /// The arm's name.
        #[arg(long)]
        arm: String,
        /// Seeds the keys and tokens.
        #[arg(long)]
        seed: u64,
        /// Operations to count over, after as many to warm up.
        #[arg(long)]
        ops: u64,
    },
}

fn main() -> Result<()> {
    println!("{}", counted(&Flags::parse().task)?);
    Ok(())
}

fn counted(task: &Task) -> Result<String> {
    let json = match task {
        Task::Bytes { arm, entries } => serde_json::to_string(&figures::bytes(arm, *entries)?),
        Task::KeptBytes { kept, arm, entries } => {
            serde_json::to_string(&figures::kept_bytes(*kept, arm, *entries)?)
        }
        Task::Skew { entries } => serde_json::to_string(&figures::shard_skew(*entries)),
        Task::Allocations {
            scenario,
            arm,
            seed,
            ops,
        } => {
            let scenario = catalogue::find(scenario, 1)?;
            serde_json::to_string(&figures::allocations(&scenario, arm, *seed, *ops)?)
        }
    };
    Ok(json?)
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use verdict::schema::{AllocationFigure, BytesFigure, MapState};

    use super::{Kept, Task, counted};

    const MAPS: [&str; 5] = ["dashmap", "papaya", "scc", "rwlock", "reference"];

    fn said<T: DeserializeOwned>(task: &Task) -> T {
        serde_json::from_str(&counted(task).unwrap()).unwrap()
    }

    #[test]
    fn bytes_of_every_map() {
        for arm in MAPS {
            let task = Task::Bytes {
                arm: arm.to_owned(),
                entries: 10_000,
            };
            let figures: Vec<BytesFigure> = said(&task);
            let states = [MapState::Filled, MapState::AfterChurn, MapState::AfterDrain];
            assert!(figures.iter().map(|each| each.state).eq(states), "{arm}");
            // A key of 16 bytes and a pointer or a phase at least, and no more than a cell and a sparse table make of them.
            let [filled, churned, drained] = &figures[..] else {
                panic!("{arm}: {figures:?}");
            };
            for held in [filled, churned] {
                let per_entry = held.per_entry().unwrap();
                assert!((32.0..1_000.0).contains(&per_entry), "{held:?}");
            }
            assert!(drained.bytes <= filled.bytes, "{figures:?}");
        }
    }

    fn weighed(kept: Kept, arm: &str) -> f64 {
        let task = Task::KeptBytes {
            kept,
            arm: arm.to_owned(),
            entries: 100_000,
        };
        let figure: BytesFigure = said(&task);
        figure.per_entry().unwrap()
    }

    #[test]
    fn what_is_kept_weighs_less_than_in_the_published_designs() {
        for (kept, at_least) in [
            // A worker in a slice of each snapshot, with a place, and a name in a record.
            (Kept::Pairs, 2.0 * 28.0 + 16.0),
            // A fingerprint, a worker, a generation and a deadline.
            (Kept::Sessions, 56.0),
            // An id of 16 bytes, twice, and a waker.
            (Kept::Streams, 2.0 * 16.0 + 16.0),
            // An id of 12 bytes in a map and in a model's slice, and what it points to.
            (Kept::Workers, 2.0 * (12.0 + 8.0)),
        ] {
            let published = weighed(kept, "reference");
            for arm in MAPS.into_iter().filter(|arm| *arm != "reference") {
                let ours = weighed(kept, arm);
                assert!(ours > at_least, "{kept:?} on {arm}: {ours}");
                assert!(
                    ours < published,
                    "{kept:?} on {arm}: {ours} bytes, and published {published}"
                );
            }
        }
    }

    #[test]
    fn tokens_allocate_nothing_and_new_requests_do() {
        for arm in MAPS {
            for scenario in ["on-token", "on-step", "handle", "decode-step"] {
                let task = Task::Allocations {
                    scenario: scenario.to_owned(),
                    arm: arm.to_owned(),
                    seed: 1,
                    ops: 100_000,
                };
                let figure: AllocationFigure = said(&task);
                assert!(figure.ops >= 100_000, "{figure:?}");
                // Of the four only a decode step admits requests, each with a buffer and a name of its own.
                let admits = scenario == "decode-step";
                assert_eq!(figure.allocations > 0, admits, "{figure:?}");
            }
        }
    }

    #[test]
    fn shards_are_a_little_uneven() {
        let task = Task::Skew { entries: 1_024 };
        let skew: Option<f64> = said(&task);
        let skew = skew.unwrap();
        assert!((1.0..3.0).contains(&skew), "{skew}");
    }

    #[test]
    fn what_there_is_not() {
        let task = Task::Bytes {
            arm: "btree".to_owned(),
            entries: 1,
        };
        let error = counted(&task).unwrap_err().to_string();
        assert_eq!(error, "no map is called btree");
    }
}
