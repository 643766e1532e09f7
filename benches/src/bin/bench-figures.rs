//! What `cargo xtask bench` counts on one thread, for one arm: bytes and allocations.
//!
//! A binary of its own, since its allocator costs time: the worker that is timed has the system's.
#![forbid(unsafe_code)]

use alloc_count::CountingAllocator;
use anyhow::Result;
use benches::catalogue::Named;
use benches::figures::{self, Kept};
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
    /// The bytes that a crate's state holds: filled, and of requests after churn and after a drain.
    Bytes {
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
    /// The allocations of an operation on one thread.
    Allocations {
        #[command(flatten)]
        named: Named,
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
    Ok(match task {
        Task::Bytes { kept, arm, entries } => {
            serde_json::to_string(&figures::bytes(*kept, arm, *entries)?)?
        }
        Task::Allocations { named, ops } => {
            serde_json::to_string(&figures::allocations(named, *ops)?)?
        }
    })
}

#[cfg(test)]
mod tests {
    use verdict::schema::{AllocationFigure, BytesFigure};

    use super::{Flags, Kept, Parser, counted};

    const MAPS: [&str; 5] = ["dashmap", "papaya", "scc", "rwlock", "reference"];

    fn said(flags: &str) -> anyhow::Result<String> {
        let words = format!("bench-figures {flags}");
        counted(&Flags::try_parse_from(words.split(' '))?.task)
    }

    fn bytes(kept: &str, arm: &str, entries: u64) -> Vec<BytesFigure> {
        let flags = format!("bytes --kept {kept} --arm {arm} --entries {entries}");
        serde_json::from_str(&said(&flags).unwrap()).unwrap()
    }

    #[test]
    fn requests_are_weighed_three_times() {
        for arm in MAPS {
            let figures = bytes("requests", arm, 10_000);
            let [filled, churned, drained] = &figures[..] else {
                panic!("{arm}: {figures:?}");
            };
            // A key of 16 bytes and a pointer or a phase at least, and no more than a cell and a sparse table make of them.
            for held in [filled, churned] {
                let per_entry = held.per_entry().unwrap();
                assert!((32.0..1_000.0).contains(&per_entry), "{held:?}");
            }
            assert!(drained.bytes <= filled.bytes, "{figures:?}");
        }
    }

    #[test]
    fn what_is_kept_weighs_less_than_in_the_published_designs() {
        for (kept, at_least) in [
            // A worker in a slice of each snapshot, with a place, and a name in a record.
            ("pairs", 2.0 * 28.0 + 16.0),
            // A fingerprint, a worker, a generation and a deadline.
            ("sessions", 56.0),
            // An id of 16 bytes, twice, and a waker.
            ("streams", 2.0 * 16.0 + 16.0),
            // An id of 12 bytes in a map and in a model's slice, and what it points to.
            ("workers", 2.0 * (12.0 + 8.0)),
        ] {
            let weighed = |arm| bytes(kept, arm, 100_000)[0].per_entry().unwrap();
            let published = weighed("reference");
            for arm in MAPS.into_iter().filter(|arm| *arm != "reference") {
                let ours = weighed(arm);
                assert!(
                    (at_least..published).contains(&ours),
                    "{kept} on {arm}: {ours} bytes, and published {published}"
                );
            }
        }
    }

    #[test]
    fn tokens_allocate_nothing_and_new_requests_do() {
        for arm in MAPS {
            for scenario in ["on-token", "on-step", "handle", "decode-step"] {
                let flags = format!("allocations --scenario {scenario} --arm {arm} --ops 100000");
                let said = said(&flags).unwrap();
                let figure: AllocationFigure = serde_json::from_str(&said).unwrap();
                assert!(figure.ops >= 100_000, "{figure:?}");
                // Of the four only a decode step admits requests, each with a buffer and a name of its own.
                let admits = scenario == "decode-step";
                assert_eq!(figure.allocations > 0, admits, "{figure:?}");
            }
        }
    }

    #[test]
    fn what_there_is_not() {
        for kept in <Kept as clap::ValueEnum>::value_variants() {
            let kept = format!("{kept:?}").to_lowercase();
            let flags = format!("bytes --kept {kept} --arm btree --entries 1");
            let error = said(&flags).unwrap_err().to_string();
            assert_eq!(error, "no design is called btree");
        }
    }
}
