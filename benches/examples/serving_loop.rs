//! Runs a gateway and its workers for a while, and says how it went: `cargo run --release --example serving_loop`.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use benches::any_map::Backend;
use benches::serving_loop::{Backends, Options, Swap, run};
use clap::Parser;

/// A gateway and its workers over real TCP, with the five crates in their places. The last line says what was lost, doubled
/// and leaked, and the exit code whether anything was.
#[derive(Debug, Parser)]
struct Flags {
    /// For how long requests are started.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Requests a second, started whether or not others have ended. Without it, as many as can be.
    #[arg(long)]
    rate: Option<f64>,
    /// Requests in flight, where no rate is given.
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// Workers.
    #[arg(long, default_value_t = 4)]
    workers: usize,
    /// Every two seconds a worker dies, and comes back.
    #[arg(long)]
    kill_workers: bool,
    /// The backend of all five crates: dashmap, papaya, scc or rwlock.
    #[arg(long, default_value_t = Backend::DashMap)]
    backend: Backend,
    /// One crate on another backend, such as `phase-state=papaya`. May be repeated.
    #[arg(long, value_name = "CRATE=BACKEND")]
    swap: Vec<Swap>,
    /// Tokens go to phase-state by handle: as if its map cost a token nothing.
    #[arg(long)]
    handles: bool,
}

fn main() -> Result<ExitCode> {
    let flags = Flags::parse();
    let usual = Backends::all(flags.backend);
    let report = run(&Options {
        time: Duration::from_secs(flags.seconds),
        requests: None,
        rate: flags.rate,
        in_flight: flags.in_flight,
        workers: flags.workers,
        kill_every: flags.kill_workers.then_some(Duration::from_secs(2)),
        handles: flags.handles,
        backends: flags.swap.into_iter().fold(usual, Backends::with),
    })?;
    println!("{report}");
    Ok(if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
