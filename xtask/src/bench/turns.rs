//! The processes of a block, which take turns of one slice each.
//!
//! All are started at once, and wait. A turn is a line to the process and a line back; whoever has no turn sleeps. Why turns:
//! see `benches/src/measure.rs`.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use verdict::schema::{Role, Slice};

/// Rounds that are thrown away: the first turn of a process is mostly its warm-up.
const WARM_UP: usize = 1;
/// Rounds of a block where the machine is quiet, and where it is not.
const FEWEST: usize = 10;
const MOST: usize = 24;
/// The turns that each arm that decides should have in common with the incumbent, clean ones of both. More rounds are asked
/// for by what was clean, never by what was fast, so that they favour nobody.
const IN_COMMON: usize = 8;
/// Many times what a process takes to be ready, or for a turn.
const HUNG: Duration = Duration::from_secs(20);

/// A process that answers each line with a line.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
}

/// An arm of a block: what it is there for, and its process, which may have failed to start, or since.
#[derive(Debug)]
pub(crate) struct Turns {
    pub(crate) role: Role,
    pub(crate) process: Result<Process>,
    pub(crate) slices: Vec<Slice>,
}

impl Turns {
    pub(crate) fn new(role: Role, process: Result<Process>) -> Self {
        Self {
            role,
            process,
            slices: Vec::new(),
        }
    }

    fn take(&mut self) {
        if let Ok(process) = &mut self.process {
            match process.slice() {
                Ok(slice) => self.slices.push(slice),
                Err(error) => self.process = Err(error),
            }
        }
    }
}

/// Gives every arm its turns, round after round in the same order, and `between` its own before, between and after the
/// rounds. Says whether it was left to end.
pub(crate) fn take(
    arms: &mut [Turns],
    order: &[usize],
    crowded: bool,
    mut between: impl FnMut() -> Result<()>,
    stopped: impl Fn() -> bool,
) -> Result<bool> {
    for arm in &mut *arms {
        // One after the other, while all get ready at once.
        arm.process = std::mem::replace(&mut arm.process, Err(anyhow!("not ready")))
            .and_then(|mut process| process.line().map(|_| process));
    }
    for round in 0..WARM_UP + MOST {
        if round == WARM_UP {
            arms.iter_mut().for_each(|arm| arm.slices.clear());
        }
        if round >= WARM_UP {
            between()?;
        }
        if round >= WARM_UP + FEWEST && is_enough(arms, crowded) {
            return Ok(true);
        }
        for &arm in order {
            if stopped() {
                return Ok(false);
            }
            arms[arm].take();
        }
    }
    between()?;
    Ok(true)
}

/// Whether more rounds would add nothing: every arm that decides has its turns in common with the incumbent, or one has
/// crashed, which makes the block void.
fn is_enough(arms: &[Turns], crowded: bool) -> bool {
    let is_clean = |slice: &Slice| slice.is_clean(crowded);
    let deciding = || arms.iter().filter(|arm| arm.role.decides());
    let Some(incumbent) = arms.iter().find(|arm| arm.role == Role::Incumbent) else {
        return true;
    };
    let has_enough = |arm: &Turns| {
        let both = arm.slices.iter().zip(&incumbent.slices);
        both.filter(|(own, other)| is_clean(own) && is_clean(other))
            .count()
            >= IN_COMMON
    };
    deciding().any(|arm| arm.process.is_err()) || deciding().all(has_enough)
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("the worker did not start")?;
        let out = child.stdout.take().context("the worker has no output")?;
        let (sender, lines) = mpsc::channel();
        // So that a line can be waited for with a bound. Ends with the process.
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { child, lines })
    }

    /// What it answers to a line.
    pub(crate) fn ask(&mut self, line: &str) -> Result<String> {
        if let Some(pipe) = &mut self.child.stdin {
            // A process that is gone is found out by the line that does not come.
            let _ = pipe.write_all(format!("{line}\n").as_bytes());
        }
        self.line()
    }

    fn slice(&mut self) -> Result<Slice> {
        serde_json::from_str(&self.ask("")?).context("the worker brought back no slice")
    }

    pub(crate) fn line(&mut self) -> Result<String> {
        match self.lines.recv_timeout(HUNG) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => {
                bail!("the worker hung, and was killed after {} s", HUNG.as_secs())
            }
            Err(RecvTimeoutError::Disconnected) => Err(self.crashed()),
        }
    }

    fn crashed(&mut self) -> anyhow::Error {
        let mut said = String::new();
        if let Some(pipe) = &mut self.child.stderr {
            let _ = pipe.read_to_string(&mut said);
        }
        let status = match self.child.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let said: Vec<&str> = said.lines().take(3).collect();
        anyhow!("the worker crashed, {status}: {}", said.join(" "))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It sleeps, or hangs: there is nothing that it would have to finish.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: &str = "[1,2,0,0]";
    const STOLEN: &str = "[1,2,0,1]";

    fn arm(role: Role, script: &str) -> Turns {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Turns::new(role, Process::start(command))
    }

    /// Says this at the turns whose number, counted from 1 with those that warm up, is below `until`, and then that.
    fn saying(this: &str, until: usize, that: &str) -> String {
        format!(
            "echo ready; n=1; while read turn; do \
             if [ $n -lt {until} ]; then echo '{this}'; else echo '{that}'; fi; n=$((n+1)); done"
        )
    }

    fn taken(mut arms: Vec<Turns>) -> (Vec<String>, usize) {
        let order: Vec<usize> = (0..arms.len()).rev().collect();
        let mut probes = 0;
        let between = || {
            probes += 1;
            Ok(())
        };
        assert!(take(&mut arms, &order, false, between, || false).unwrap());
        let said = arms.iter().map(|arm| match &arm.process {
            Ok(_) => arm.slices.len().to_string(),
            Err(error) => format!("{error:#}"),
        });
        (said.collect(), probes)
    }

    #[test]
    fn a_quiet_machine_needs_ten_rounds_with_a_probe_around_each() {
        let (said, probes) = taken(vec![
            arm(Role::Incumbent, &saying(CLEAN, 99, CLEAN)),
            arm(Role::Candidate, &saying(CLEAN, 99, CLEAN)),
        ]);
        assert_eq!((said, probes), (vec!["10".to_owned(); 2], 11));
    }

    #[test]
    fn noise_is_answered_with_more_rounds_where_it_is_of_an_arm_that_decides() {
        let late = WARM_UP + 5;
        let (said, _) = taken(vec![
            arm(Role::Incumbent, &saying(CLEAN, 99, CLEAN)),
            arm(Role::Free, &saying(STOLEN, late, CLEAN)),
            arm(Role::Reference, &saying(STOLEN, 99, CLEAN)),
        ]);
        // Four dirty turns, and eight in common.
        assert_eq!(said, vec!["12"; 3]);
        let (said, probes) = taken(vec![
            arm(Role::Incumbent, &saying(STOLEN, 99, CLEAN)),
            arm(Role::Candidate, &saying(CLEAN, 99, CLEAN)),
        ]);
        assert_eq!((said, probes), (vec!["24".to_owned(); 2], 25));
    }

    #[test]
    fn a_crash_is_told_of_its_own_arm_and_ends_the_block_if_the_arm_decides() {
        let crashing = |turns: usize| {
            format!(
                "echo ready; for n in $(seq {turns}); do read turn; echo '{CLEAN}'; done; read turn; echo planted >&2; exit 3"
            )
        };
        let willing = saying(CLEAN, 99, CLEAN);
        let (said, _) = taken(vec![
            arm(Role::Incumbent, &willing),
            arm(Role::Baseline, &crashing(1)),
            arm(Role::Reference, "exit 4"),
            arm(Role::Swapped, "echo ready; read turn; echo nonsense"),
        ]);
        assert_eq!(said[0], "10");
        assert_eq!(said[1], "the worker crashed, exit status: 3: planted");
        assert_eq!(said[2], "the worker crashed, exit status: 4: ");
        assert!(said[3].contains("no slice"), "{said:?}");

        let (said, _) = taken(vec![
            arm(Role::Incumbent, &saying(STOLEN, 99, CLEAN)),
            arm(Role::Candidate, &crashing(2)),
        ]);
        assert_eq!(said[0], "10", "{said:?}");
    }

    #[test]
    fn a_block_that_is_stopped_says_so() {
        let mut arms = vec![arm(Role::Incumbent, &saying(CLEAN, 99, CLEAN))];
        assert!(!take(&mut arms, &[0], false, || Ok(()), || true).unwrap());
    }
}
