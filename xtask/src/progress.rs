//! What a run shows while it goes: a bar on a terminal, and a line for each finished step
//! everywhere.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

#[derive(Debug)]
pub(crate) struct Progress {
    /// Hidden, where nobody looks: then only the lines remain.
    bar: ProgressBar,
    step: String,
    started: Instant,
}

impl Progress {
    pub(crate) fn new(steps: usize) -> Progress {
        let bar = if io::stdout().is_terminal() && io::stderr().is_terminal() {
            let template = "{spinner} {pos}/{len} {prefix} {elapsed} {wide_msg:.dim}";
            let style = ProgressStyle::with_template(template).expect("it is a constant");
            let bar = ProgressBar::new(steps as u64).with_style(style);
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        } else {
            ProgressBar::hidden()
        };
        Progress {
            bar,
            step: String::new(),
            started: Instant::now(),
        }
    }

    pub(crate) fn start(&mut self, step: &str) {
        self.bar.set_prefix(step.to_owned());
        self.bar.set_message("");
        self.bar.reset_elapsed();
        step.clone_into(&mut self.step);
        self.started = Instant::now();
    }

    /// Shows the latest line of the running step, if anybody looks.
    pub(crate) fn activity(&self, line: &str) {
        self.bar.set_message(line.to_owned());
    }

    /// Says that the step has passed, and how long it took.
    pub(crate) fn passed(&self) -> Duration {
        self.finished("ok  ")
    }

    pub(crate) fn failed(&self, output: &[u8], repeat: &str) -> Duration {
        self.bar.suspend(|| {
            let mut stdout = io::stdout().lock();
            // Where stdout is gone, nobody is left to be told.
            let _ = stdout
                .write_all(output)
                .and_then(|()| stdout.write_all(b"\n"));
        });
        let took = self.finished("FAIL");
        self.say(&format!("     repeat: {repeat}"));
        took
    }

    /// A line of its own, above the bar.
    pub(crate) fn say(&self, line: &str) {
        self.bar.suspend(|| println!("{line}"));
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn finished(&self, verdict: &str) -> Duration {
        let took = self.started.elapsed();
        self.bar.inc(1);
        self.say(&format!(
            "{verdict} {}  {:.1} s",
            self.step,
            took.as_secs_f64()
        ));
        took
    }
}
