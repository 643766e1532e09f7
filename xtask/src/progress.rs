//! What a run shows while it goes: a bar on a terminal, and one line for each finished step everywhere.

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
            let style = ProgressStyle::with_template(
                "{spinner} {pos}/{len} {prefix} {elapsed} {wide_msg:.dim}",
            )
            .expect("the template is a constant");
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

    pub(crate) fn passed(&self) {
        self.finished("ok  ");
    }

    pub(crate) fn failed(&self, output: &[u8], repeat: &str) {
        self.bar.suspend(|| {
            let mut stdout = io::stdout().lock();
            // Where stdout is gone, nobody is left to be told.
            let _ = stdout.write_all(output);
            if !output.ends_with(b"\n") {
                let _ = stdout.write_all(b"\n");
            }
        });
        self.finished("FAIL");
        self.say(&format!("     repeat: {repeat}"));
    }

    /// A line of its own, above the bar.
    pub(crate) fn say(&self, line: &str) {
        self.bar.suspend(|| println!("{line}"));
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn finished(&self, verdict: &str) {
        self.bar.inc(1);
        self.say(&format!(
            "{verdict} {}  {:.1} s",
            self.step,
            self.started.elapsed().as_secs_f64()
        ));
    }
}
