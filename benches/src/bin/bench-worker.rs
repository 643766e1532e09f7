//! The worker process of `cargo xtask bench`: names the scenarios, measures one arm, or runs arms without timing.
#![forbid(unsafe_code)]

use std::io;

use anyhow::{Context, Result};
use benches::catalogue::{self, Named};
use benches::measure::Measuring;
use benches::scenario::{PLANTED, Shares};
use benches::{figures, travel};
use clap::{Parser, Subcommand};

/// What a process says once it waits for turns.
const READY: &str = "ready";

/// Measures one arm of one scenario; started by `cargo xtask bench`.
#[derive(Parser)]
struct Flags {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Prints the scenarios as JSON.
    List {
        /// For so many cores.
        #[arg(long)]
        cores: usize,
    },
    /// Measures one arm: says that it is ready, and then prints a slice as a line of JSON for each line that it reads.
    Measure {
        #[command(flatten)]
        named: Named,
        /// Slows the arm down by this share of its time, whatever its role.
        #[arg(long)]
        planted: Option<f64>,
    },
    /// Probes line travel: says that it is ready, and then prints the nanoseconds between two cores for each line that
    /// names two, such as `0 1`.
    Travel,
    /// Warms up, then runs `counted_rounds`, for a simulator that is told to count in the function of that name alone; prints
    /// how many operations they were.
    Count {
        #[command(flatten)]
        named: Named,
        /// Rounds of each thread's share before counting.
        #[arg(long)]
        warm_up: u64,
        /// Rounds of each thread's share to count.
        #[arg(long)]
        rounds: u64,
    },
    /// How uneven DashMap's shards are with so many requests.
    Skew {
        /// The requests to track.
        #[arg(long)]
        entries: u64,
    },
    /// Runs a few rounds of every arm of a scenario, which check what they did, without timing.
    Test {
        /// The scenario's name.
        #[arg(long)]
        scenario: String,
        /// For so many cores.
        #[arg(long)]
        cores: usize,
    },
}

fn main() -> Result<()> {
    match Flags::parse().task {
        Task::List { cores } => println!("{}", serde_json::json!(catalogue::all(cores))),
        Task::Measure { mut named, planted } => {
            let extra = planted.or(named.scenario()?.planted(&named.arm));
            if planted.is_some() {
                // Only one map has the hook.
                PLANTED.clone_into(&mut named.arm);
            }
            let shares = named.shares()?;
            let mut arm = Measuring::new(shares, extra, named.cores);
            println!("{READY}");
            for turn in io::stdin().lines() {
                turn?;
                println!("{}", serde_json::json!(arm.slice()));
            }
        }
        Task::Travel => {
            println!("{READY}");
            for line in io::stdin().lines() {
                let line = line?;
                let (here, there) = line.split_once(' ').context("two cores, such as `0 1`")?;
                println!("{:.2}", travel::probe(here.parse()?, there.parse()?));
            }
        }
        Task::Count {
            named,
            warm_up,
            rounds,
        } => {
            let mut shares = named.shares()?;
            work(&mut shares, warm_up);
            println!("{}", counted_rounds(&mut shares, rounds));
        }
        Task::Skew { entries } => {
            println!("{}", serde_json::json!(figures::shard_skew(entries)));
        }
        Task::Test { scenario, cores } => {
            let scenario = catalogue::find(&scenario, cores)?;
            for arm in &scenario.arms {
                let ops = work(&mut scenario.shares(&arm.name, 1)?, 100);
                println!("ok   {} {} ({ops} operations)", scenario.name, arm.name);
            }
        }
    }
    Ok(())
}

/// Rounds of each share, one share after the other.
fn work(shares: &mut Shares, rounds: u64) -> u64 {
    shares
        .iter_mut()
        .map(|share| (0..rounds).map(|_| share.round()).sum::<u64>())
        .sum()
}

/// The function that simulators know by its name, so that they count the rounds and not what it takes to begin.
#[inline(never)]
fn counted_rounds(shares: &mut Shares, rounds: u64) -> u64 {
    work(shares, rounds)
}
