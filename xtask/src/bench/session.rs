//! A run: blocks, one at a time, until whoever asks for them needs no more.
//!
//! Every block is written to `results.json` when it is whole, so that an interrupted run loses one at most.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use verdict::schema::{Results, ScenarioRun};

use crate::bench::engine::{Engine, Entrant};
use crate::bench::worker::Scenario;

/// Where nobody looks at a bar, a line so often.
const SAID_EVERY: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) engine: Engine,
    pub(crate) results: Results,
    path: PathBuf,
    bar: ProgressBar,
    said: Instant,
}

/// Why measuring came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// No more was asked for.
    Done,
    /// It has taken as long as it may.
    OutOfTime,
    /// Somebody pressed Ctrl-C.
    Stopped,
}

impl Session {
    pub(crate) fn new(engine: Engine, results: Results, out: &Path) -> Result<Self> {
        let bar = if io::stdout().is_terminal() && io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{elapsed} {wide_msg:.dim}");
            ProgressBar::new_spinner().with_style(style.expect("the template is a constant"))
        } else {
            ProgressBar::hidden()
        };
        let session = Self {
            engine,
            results,
            path: out.join("results.json"),
            bar,
            said: Instant::now(),
        };
        // Before minutes of measuring, not after them.
        session.save()?;
        Ok(session)
    }

    /// A line of its own, above the bar.
    pub(crate) fn say(&self, line: &str) {
        self.bar.suspend(|| println!("{line}"));
    }

    /// Measures a block of each scenario that `next` names, in turn, and asks again, until it names none or time is up. `what`
    /// is measured for, and `left` comes after it.
    pub(crate) fn measure(
        &mut self,
        what: &str,
        left: &str,
        limit: Duration,
        mut next: impl FnMut(&Self) -> Vec<Scenario>,
    ) -> Result<End> {
        let (begun, mut blocks) = (Instant::now(), 0);
        loop {
            let scenarios = next(self);
            if scenarios.is_empty() {
                return Ok(End::Done);
            }
            for scenario in scenarios {
                let passed = begun.elapsed();
                if passed >= limit {
                    return Ok(End::OutOfTime);
                }
                let rest = (limit - passed).as_secs();
                self.progress(&format!(
                    "{what}: {blocks} blocks in {} s, for {rest} s more at most; {left}",
                    passed.as_secs()
                ));
                if !self.block(&scenario)? {
                    return Ok(End::Stopped);
                }
                blocks += 1;
            }
        }
    }

    /// Says whether it was left to end.
    fn block(&mut self, scenario: &Scenario) -> Result<bool> {
        let run = self.run_of(scenario);
        let arms: Vec<Entrant<'_>> = scenario.arms.iter().map(Entrant::of).collect();
        let number = u32::try_from(self.results.runs[run].blocks.len())? + 1;
        let (of, seed) = ((&*scenario.name, scenario.threads), self.results.seed);
        let Some(block) = self.engine.block(of, &arms, number, seed)? else {
            return Ok(false);
        };
        self.results.runs[run].blocks.push(block);
        self.save()?;
        Ok(true)
    }

    fn run_of(&mut self, scenario: &Scenario) -> usize {
        let runs = &mut self.results.runs;
        if let Some(run) = runs.iter().position(|run| run.scenario == scenario.name) {
            return run;
        }
        let cores = u32::try_from(self.engine.placements[0].len()).unwrap_or(u32::MAX);
        runs.push(ScenarioRun {
            scenario: scenario.name.clone(),
            adr: Some(scenario.adr.clone()),
            gating: scenario.gating,
            what: scenario.what.clone(),
            threads: scenario.threads,
            cores_needed: scenario.threads.min(cores),
            oversubscribed: scenario.threads > cores,
            arms: scenario.arms.clone(),
            blocks: Vec::new(),
        });
        runs.len() - 1
    }

    /// Between blocks, and never while one is measured: to draw takes a core.
    fn progress(&mut self, line: &str) {
        self.bar.set_message(line.to_owned());
        self.bar.tick();
        if self.bar.is_hidden() && self.said.elapsed() >= SAID_EVERY {
            println!("{line}");
            self.said = Instant::now();
        }
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

impl Drop for Session {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
