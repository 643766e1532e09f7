//! One step: a cargo command with a name, which can be run, and told so that a person can repeat
//! it.

use std::env;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result};

use crate::leash::Leash;
use crate::tools::Tool;

const CANNOT_START: &str = "cannot start cargo";

/// How much is run; each run has all of the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Run {
    Quick,
    Default,
    Full,
}

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) tool: Option<Tool>,
    /// The smallest run that has the step.
    pub(crate) run: Run,
    args: Vec<String>,
    env: Vec<(&'static str, String)>,
    must_run_tests: bool,
}

#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) passed: bool,
    pub(crate) output: Vec<u8>,
}

impl Step {
    pub(crate) fn cargo<A: Into<String>>(
        name: impl Into<String>,
        args: impl IntoIterator<Item = A>,
    ) -> Step {
        Step {
            name: name.into(),
            tool: None,
            run: Run::Default,
            args: args.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            must_run_tests: false,
        }
    }

    pub(crate) fn needs(mut self, tool: Tool) -> Step {
        self.tool = Some(tool);
        self
    }

    pub(crate) fn run_in(mut self, run: Run) -> Step {
        self.run = run;
        self
    }

    /// The step fails if it passes without having run a test: a cfg or feature that does not reach
    /// its target leaves an empty test binary, which is always green.
    pub(crate) fn must_run_tests(mut self) -> Step {
        self.must_run_tests = true;
        self
    }

    /// Sets `key`, unless the caller's environment already does.
    pub(crate) fn env_default(mut self, key: &'static str, value: &str) -> Step {
        self.env
            .push((key, env::var(key).unwrap_or_else(|_| value.to_owned())));
        self
    }

    /// Adds compiler flags to those that the caller's environment already has under `key`.
    pub(crate) fn flags(mut self, key: &'static str, flags: &str) -> Step {
        let inherited = env::var(key).unwrap_or_default();
        self.env
            .push((key, format!("{inherited} {flags}").trim().to_owned()));
        self
    }

    /// Adds arguments for the test binary.
    pub(crate) fn test_args(mut self, args: &[String]) -> Step {
        if !args.is_empty() {
            self.args.push("--".to_owned());
            self.args.extend_from_slice(args);
        }
        self
    }

    fn command(&self, root: &Path) -> Command {
        let mut command = Command::new("cargo");
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(key, value)| (key, value)))
            .current_dir(root);
        command
    }

    /// The command as one types it into a shell.
    pub(crate) fn repeat(&self) -> String {
        let env = self
            .env
            .iter()
            .map(|(key, value)| format!("{key}={}", quoted(value)));
        let args = self.args.iter().map(|arg| quoted(arg));
        env.chain(["cargo".to_owned()])
            .chain(args)
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Runs the step with its output as it comes, and says whether it passed.
    pub(crate) fn show(&self, root: &Path) -> Result<bool> {
        let leash = Leash::new()?;
        let mut child = leash.spawn(&mut self.command(root)).context(CANNOT_START)?;
        Ok(child.wait()?.success())
    }

    /// Runs the step with both its outputs in one pipe, so that they are kept in the order they
    /// came.
    pub(crate) fn run(&self, root: &Path, mut on_line: impl FnMut(&str)) -> Result<Outcome> {
        let (reader, writer) = io::pipe()?;
        let mut command = self.command(root);
        command.stdout(writer.try_clone()?).stderr(writer);
        let leash = Leash::new()?;
        let mut child = leash.spawn(&mut command).context(CANNOT_START)?;
        // It holds the writing ends: until they are gone the pipe has no end.
        drop(command);
        // What the step leaves running holds them, too, and ends with the step.
        let ended = thread::spawn(move || {
            let status = child.wait();
            drop(leash);
            status
        });

        let mut reader = BufReader::new(reader);
        let mut output = Vec::new();
        loop {
            let start = output.len();
            if reader.read_until(b'\n', &mut output)? == 0 {
                break;
            }
            on_line(String::from_utf8_lossy(&output[start..]).trim());
        }

        let status = ended.join().expect("waiting does not panic")?;
        let mut passed = status.success();
        if passed && self.must_run_tests && tests_passed(&String::from_utf8_lossy(&output)) == 0 {
            output.extend_from_slice(
                b"no test has run: does the cfg, do the features reach the test target?\n",
            );
            passed = false;
        }
        Ok(Outcome { passed, output })
    }
}

/// Adds up the `test result: ok. 3 passed; ...` lines of the test binaries.
fn tests_passed(output: &str) -> u32 {
    let words: Vec<&str> = output.split_whitespace().collect();
    words
        .windows(2)
        .filter(|pair| pair[1] == "passed;")
        .filter_map(|pair| pair[0].parse::<u32>().ok())
        .sum()
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=,./:+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repeat_line_can_be_pasted_into_a_shell() {
        let step = Step::cargo("x", ["test", "--features", "papaya,scc", "--", "it's one"]);
        let mut step = step.test_args(&["a b".to_owned()]);
        step.env.push(("RUSTFLAGS", "--cfg a".to_owned()));
        let line =
            r"RUSTFLAGS='--cfg a' cargo test --features papaya,scc -- 'it'\''s one' -- 'a b'";
        assert_eq!(step.repeat(), line);
    }

    #[test]
    fn both_outputs_are_kept_and_a_failure_is_seen() {
        let mut lines = Vec::new();
        let step = Step::cargo("x", ["no-such-subcommand"]);
        let outcome = step
            .run(Path::new("."), |line| lines.push(line.to_owned()))
            .unwrap();
        assert!(!outcome.passed);
        assert!(lines[0].contains("no-such-subcommand"), "{lines:?}");
        assert!(!outcome.output.is_empty());
    }

    #[test]
    fn a_run_without_tests_fails_where_tests_are_the_point() {
        let passes = |step: Step| step.run(Path::new("."), |_| ()).unwrap().passed;
        let version = || Step::cargo("x", ["--version"]);
        assert!(passes(version()));
        assert!(!passes(version().must_run_tests()));
        let result = |n| format!("test result: ok. {n} passed; 0 failed; 0 ignored\n");
        assert_eq!(
            tests_passed(&(result(3) + "\n" + &result(0) + &result(2))),
            5
        );
    }
}
