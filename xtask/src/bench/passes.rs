//! Passes: blocks of processes, one for each arm.
//!
//! Every block is written to `results.json` when it is whole, so that an interrupted run loses one at most.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use verdict::schema::{Block, Results, ScenarioRun};

use crate::bench::worker::{Entrant, Scenario, Worker};

pub(crate) struct Passes<'a> {
    worker: &'a Worker,
    pub(crate) results: Results,
    path: PathBuf,
    seed: u64,
    stop: Arc<AtomicBool>,
}

/// Somebody pressed Ctrl-C.
#[derive(Debug)]
pub(crate) struct Stopped;

impl<'a> Passes<'a> {
    pub(crate) fn new(worker: &'a Worker, results: Results, out: &Path, seed: u64) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let pressed = Arc::clone(&stop);
        ctrlc::set_handler(move || pressed.store(true, Ordering::Relaxed))
            .context("cannot listen for Ctrl-C")?;
        let passes = Self {
            worker,
            results,
            path: out.join("results.json"),
            seed,
            stop,
        };
        // Before an hour of measuring, not after it.
        passes.save()?;
        Ok(passes)
    }

    pub(crate) fn say(&self, line: &str) {
        println!("{line}");
    }

    /// Measures each scenario until its pass has so many blocks.
    pub(crate) fn measure(
        &mut self,
        scenarios: &[Scenario],
        pass: u8,
        blocks: u32,
    ) -> Result<Result<(), Stopped>> {
        for scenario in scenarios {
            let run = self.run_of(scenario, pass);
            let done = u32::try_from(self.results.runs[run].blocks.len()).unwrap_or(u32::MAX);
            let progress = Progress::new(scenario, pass, done, blocks);
            for number in done + 1..=blocks {
                let Some(block) = self.block(scenario, pass, number) else {
                    progress.clear();
                    return Ok(Err(Stopped));
                };
                self.results.runs[run].blocks.push(block);
                self.save()?;
                progress.advance();
            }
            progress.finish();
        }
        Ok(Ok(()))
    }

    fn run_of(&mut self, scenario: &Scenario, pass: u8) -> usize {
        let runs = &mut self.results.runs;
        if let Some(run) = runs
            .iter()
            .position(|run| run.scenario == scenario.name && run.pass == pass)
        {
            return run;
        }
        let cores = self.worker.cores();
        let threads = scenario.threads;
        runs.push(ScenarioRun {
            scenario: scenario.name.clone(),
            adr: Some(scenario.adr.clone()),
            gating: scenario.gating,
            pass,
            what: scenario.what.clone(),
            threads,
            cores_needed: threads.min(cores),
            oversubscribed: threads > cores,
            arms: scenario.arms.clone(),
            blocks: Vec::new(),
        });
        runs.len() - 1
    }

    /// `None` where it was stopped: a worker that Ctrl-C reached, too, has nothing to say of its arm.
    fn block(&self, scenario: &Scenario, pass: u8, number: u32) -> Option<Block> {
        let seed = self.seed ^ u64::from(pass) << 32 ^ u64::from(number);
        let stopped = || self.stop.load(Ordering::Relaxed);
        let arms = scenario.arms.iter().map(|arm| Entrant {
            arm: &arm.name,
            planted: None,
        });
        let arms: Vec<Entrant<'_>> = arms.collect();
        let block = self
            .worker
            .block(&scenario.name, &arms, number, seed, stopped);
        block.filter(|_| !stopped())
    }

    pub(crate) fn save(&self) -> Result<()> {
        let whole = self.path.with_extension("json.new");
        let written = fs::write(&whole, self.results.to_json()?)
            .and_then(|()| fs::rename(&whole, &self.path));
        written.with_context(|| {
            format!(
                "cannot write {}: give another folder with --out",
                self.path.display()
            )
        })
    }
}

/// A line that is drawn between blocks, and never while one is measured.
struct Progress {
    bar: ProgressBar,
    name: String,
    started: Instant,
}

impl Progress {
    fn new(scenario: &Scenario, pass: u8, done: u32, blocks: u32) -> Self {
        let name = if pass == 1 {
            scenario.name.clone()
        } else {
            format!("{}, pass {pass}", scenario.name)
        };
        let bar = if io::stdout().is_terminal() && io::stderr().is_terminal() {
            let style = ProgressStyle::with_template(
                "{prefix}  block {pos} of {len}  {wide_bar:.dim}  {eta} left",
            )
            .expect("the template is a constant");
            ProgressBar::new(u64::from(blocks))
                .with_style(style)
                .with_prefix(name.clone())
        } else {
            ProgressBar::hidden()
        };
        bar.set_position(u64::from(done));
        bar.reset_eta();
        println!("{name}: {} arms, to {blocks} blocks", scenario.arms.len());
        Self {
            bar,
            name,
            started: Instant::now(),
        }
    }

    fn advance(&self) {
        self.bar.inc(1);
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
        println!(
            "{}: measured in {} s",
            self.name,
            self.started.elapsed().as_secs()
        );
    }
}
