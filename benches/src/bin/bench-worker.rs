//! The worker process of `cargo xtask bench`: names the scenarios, measures one arm, or runs arms without timing.
#![forbid(unsafe_code)]

use std::io;

use anyhow::Result;
use benches::catalogue;
use benches::latency;
use benches::measure::Measuring;
use benches::scenario::{PLANTED, Shares};
use clap::{Parser, Subcommand};

/// What a worker says once its arm is built.
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
        /// For a machine with so many cores.
        #[arg(long)]
        cores: u32,
    },
    /// Measures one arm: says that it is ready, and then prints a slice as a line of JSON for each line that it reads.
    Measure {
        /// The scenario's name.
        #[arg(long)]
        scenario: String,
        /// The arm's name.
        #[arg(long)]
        arm: String,
        /// For a machine with so many cores.
        #[arg(long)]
        cores: u32,
        /// Seeds the keys and tokens.
        #[arg(long)]
        seed: u64,
        /// Slows the arm down by this share of its time, whatever its role.
        #[arg(long)]
        planted: Option<f64>,
    },
    /// Measures the latency of one arm's rounds under an open loop, and prints some percentiles as a line of JSON.
    Latency {
        /// The scenario's name.
        #[arg(long)]
        scenario: String,
        /// The arm's name.
        #[arg(long)]
        arm: String,
        /// For a machine with so many cores.
        #[arg(long)]
        cores: u32,
        /// Seeds the keys and tokens.
        #[arg(long)]
        seed: u64,
        /// Operations a second, over all threads.
        #[arg(long)]
        rate: f64,
    },
    /// Warms up, then runs `counted_rounds`, for a simulator that is told to count in the function of that name alone; prints
    /// how many operations they were.
    Count {
        /// The scenario's name.
        #[arg(long)]
        scenario: String,
        /// The arm's name.
        #[arg(long)]
        arm: String,
        /// For a machine with so many cores.
        #[arg(long)]
        cores: u32,
        /// Seeds the keys and tokens.
        #[arg(long)]
        seed: u64,
        /// Rounds of each thread's share before counting.
        #[arg(long)]
        warm_up: u64,
        /// Rounds of each thread's share to count.
        #[arg(long)]
        rounds: u64,
    },
    /// Runs a few rounds of every arm of a scenario, which check what they did, without timing.
    Test {
        /// The scenario's name.
        #[arg(long)]
        scenario: String,
        /// For a machine with so many cores.
        #[arg(long)]
        cores: u32,
    },
}

fn main() -> Result<()> {
    match Flags::parse().task {
        Task::List { cores } => println!("{}", serde_json::to_string(&catalogue::all(cores))?),
        Task::Measure {
            scenario,
            arm,
            cores,
            seed,
            planted,
        } => {
            let scenario = catalogue::find(&scenario, cores)?;
            // Only one map has the hook.
            let built = planted.map_or(&*arm, |_| PLANTED);
            let shares = scenario.shares(built, seed)?;
            let mut arm = Measuring::new(shares, planted.or(scenario.planted(&arm)));
            println!("{READY}");
            for turn in io::stdin().lines() {
                turn?;
                println!("{}", serde_json::to_string(&arm.slice())?);
            }
        }
        Task::Latency {
            scenario,
            arm,
            cores,
            seed,
            rate,
        } => {
            let shares = catalogue::find(&scenario, cores)?.shares(&arm, seed)?;
            let latencies = latency::latencies(shares, rate)?;
            println!("{}", serde_json::to_string(&latencies)?);
        }
        Task::Count {
            scenario,
            arm,
            cores,
            seed,
            warm_up,
            rounds,
        } => {
            let mut shares = catalogue::find(&scenario, cores)?.shares(&arm, seed)?;
            work(&mut shares, warm_up);
            println!("{}", counted_rounds(&mut shares, rounds));
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
