//! How the paths of `phase-state` compare with the reference design: every arm in a process of its own, in random order,
//! block by block. A small runner until the bench engine lands.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::env;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use benches::phase_state::{ByHandle, ByKey, ByStep, Counting, Reference, Share, rounds};
use clap::Parser;
use phase_state::{DashMapPhases, PapayaPhases, RwLockPhases, SccPhases};
use rustix::thread::{CpuSet, sched_setaffinity};

const REFERENCE: &str = "reference";
const ARMS: [&str; 14] = [
    REFERENCE,
    "key/dashmap",
    "key/papaya",
    "key/scc",
    "key/rwlock",
    "counter/papaya",
    "step/dashmap",
    "step/papaya",
    "step/scc",
    "step/rwlock",
    "handle/dashmap",
    "handle/papaya",
    "handle/scc",
    "handle/rwlock",
];

/// Compares the paths of phase-state with the reference design.
#[derive(Parser)]
struct Flags {
    /// How often each arm runs.
    #[arg(long, default_value_t = 10)]
    blocks: u32,
    /// Thread counts to run with.
    #[arg(long, default_values_t = [1, 2])]
    threads: Vec<u64>,
    /// Only arms whose names contain this; the reference always runs.
    #[arg(long, default_value = "")]
    only: String,
    /// Seeds the order of the arms and the tokens.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs one arm in this process and prints its nanoseconds per token.
    #[arg(long, hide = true)]
    arm: Option<String>,
}

fn main() -> Result<()> {
    let flags = Flags::parse();
    if let Some(arm) = &flags.arm {
        println!("{}", run(arm, flags.threads[0], flags.seed)?);
        return Ok(());
    }
    let arms: Vec<&str> = ARMS
        .into_iter()
        .filter(|arm| *arm == REFERENCE || arm.contains(&flags.only))
        .collect();
    let mut rng = fastrand::Rng::with_seed(flags.seed);
    let mut figures = BTreeMap::<(u64, &str), Vec<f64>>::new();
    for block in 0..flags.blocks {
        let mut turns: Vec<(u64, &str)> = flags
            .threads
            .iter()
            .flat_map(|&threads| arms.iter().map(move |&arm| (threads, arm)))
            .collect();
        rng.shuffle(&mut turns);
        for turn in turns {
            figures.entry(turn).or_default().push(in_a_process(
                turn.1,
                turn.0,
                flags.seed + u64::from(block),
            )?);
        }
    }
    for &threads in &flags.threads {
        let reference = &figures[&(threads, REFERENCE)];
        println!(
            "{threads} thread(s): nanoseconds per token over all threads, and the reference as a multiple"
        );
        for &arm in &arms {
            let own = &figures[&(threads, arm)];
            // Block by block: what disturbs a block disturbs both.
            let ratios = own
                .iter()
                .zip(reference)
                .map(|(own, reference)| reference / own)
                .collect();
            println!(
                "  {arm:15} {:7.2} {:7.2}x",
                median(own.clone()),
                median(ratios)
            );
        }
    }
    Ok(())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn in_a_process(arm: &str, threads: u64, seed: u64) -> Result<f64> {
    let worker = Command::new(env::current_exe()?)
        .args([
            "--arm",
            arm,
            "--threads",
            &threads.to_string(),
            "--seed",
            &seed.to_string(),
        ])
        .output()?;
    let said = String::from_utf8_lossy(&worker.stdout);
    ensure!(
        worker.status.success(),
        "{arm} failed: {}",
        String::from_utf8_lossy(&worker.stderr)
    );
    said.trim()
        .parse()
        .with_context(|| format!("{arm} said {said:?}"))
}

fn run(arm: &str, threads: u64, seed: u64) -> Result<f64> {
    Ok(match arm {
        REFERENCE => measure(Reference::shares(threads), seed),
        "key/dashmap" => measure(ByKey::<DashMapPhases>::shares(threads), seed),
        "key/papaya" => measure(ByKey::<PapayaPhases>::shares(threads), seed),
        "key/scc" => measure(ByKey::<SccPhases>::shares(threads), seed),
        "key/rwlock" => measure(ByKey::<RwLockPhases>::shares(threads), seed),
        "counter/papaya" => measure(Counting::<PapayaPhases>::shares(threads), seed),
        "step/dashmap" => measure(ByStep::<DashMapPhases>::shares(threads), seed),
        "step/papaya" => measure(ByStep::<PapayaPhases>::shares(threads), seed),
        "step/scc" => measure(ByStep::<SccPhases>::shares(threads), seed),
        "step/rwlock" => measure(ByStep::<RwLockPhases>::shares(threads), seed),
        "handle/dashmap" => measure(ByHandle::shares::<DashMapPhases>(threads), seed),
        "handle/papaya" => measure(ByHandle::shares::<PapayaPhases>(threads), seed),
        "handle/scc" => measure(ByHandle::shares::<SccPhases>(threads), seed),
        "handle/rwlock" => measure(ByHandle::shares::<RwLockPhases>(threads), seed),
        _ => anyhow::bail!("no arm is called {arm}"),
    })
}

/// Median nanoseconds per token over ten slices, after a warm-up, with pinned threads that start together.
fn measure<S: Share + Send>(shares: Vec<S>, seed: u64) -> f64 {
    const WARM_UP: Duration = Duration::from_millis(50);
    const SLICE: Duration = Duration::from_millis(25);
    const SLICES: usize = 10;

    let threads = shares.len();
    let waiting = AtomicUsize::new(threads);
    let pin = AtomicBool::new(true);
    let slices: Vec<Vec<f64>> = thread::scope(|scope| {
        let running: Vec<_> = shares
            .into_iter()
            .enumerate()
            .map(|(number, mut share)| {
                let (waiting, pin) = (&waiting, &pin);
                scope.spawn(move || {
                    let mut rng = fastrand::Rng::with_seed(seed + number as u64);
                    let rounds = rounds(number as u64, threads as u64, &mut rng);
                    let mut cpu = CpuSet::new();
                    cpu.set(number % thread::available_parallelism().map_or(1, usize::from));
                    if sched_setaffinity(None, &cpu).is_err() {
                        pin.store(false, Ordering::Relaxed);
                    }
                    waiting.fetch_sub(1, Ordering::AcqRel);
                    while waiting.load(Ordering::Acquire) > 0 {
                        std::hint::spin_loop();
                    }
                    slice(&mut share, &rounds, WARM_UP);
                    (0..SLICES)
                        .map(|_| slice(&mut share, &rounds, SLICE))
                        .collect()
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("a worker thread"))
            .collect()
    });
    if !pin.load(Ordering::Relaxed) {
        eprintln!("threads could not be pinned");
    }
    // Tokens per nanosecond add up over the threads.
    median(
        (0..SLICES)
            .map(|at| 1.0 / slices.iter().map(|own| own[at]).sum::<f64>())
            .collect(),
    )
}

/// Tokens per nanosecond of one thread, over about `length`.
#[expect(
    clippy::cast_precision_loss,
    reason = "a slice has some million tokens"
)]
fn slice(share: &mut impl Share, rounds: &[Vec<phase_state::StepToken>], length: Duration) -> f64 {
    let start = Instant::now();
    let mut fed = 0;
    loop {
        for round in rounds {
            share.round(round);
            fed += round.len();
        }
        let elapsed = start.elapsed();
        if elapsed >= length {
            return fed as f64 / elapsed.as_nanos() as f64;
        }
    }
}
