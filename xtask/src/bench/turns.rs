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
use verdict::schema::Slice;
use wait_timeout::ChildExt;

/// The slices of each process.
const SLICES: usize = 40;
/// Many times what a process takes to be ready, or for a turn.
const HUNG: Duration = Duration::from_secs(20);

/// One of the processes.
#[derive(Debug)]
pub(crate) struct Turns {
    child: Child,
    lines: Receiver<String>,
}

/// Gives every process its turns, round after round in the same order, and answers with the slices of each: in the order of
/// `processes`, each of which may have failed to start. `None` if it was stopped.
pub(crate) fn taken(
    processes: Vec<Result<Turns>>,
    order: &[usize],
    stopped: &impl Fn() -> bool,
) -> Option<Vec<Result<Vec<Slice>>>> {
    let mut taken: Vec<(Result<Turns>, Vec<Slice>)> = processes
        .into_iter()
        .map(|process| (process.and_then(Turns::ready), Vec::new()))
        .collect();
    for _ in 0..SLICES {
        for &arm in order {
            if stopped() {
                return None;
            }
            let (process, slices) = &mut taken[arm];
            if let Ok(running) = process {
                match running.slice() {
                    Ok(slice) => slices.push(slice),
                    Err(error) => *process = Err(error),
                }
            }
        }
    }
    let slices = taken
        .into_iter()
        .map(|(process, slices)| process.map(|_| slices));
    Some(slices.collect())
}

impl Turns {
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

    fn ready(mut self) -> Result<Self> {
        self.line().map(|_| self)
    }

    fn slice(&mut self) -> Result<Slice> {
        if let Some(pipe) = &mut self.child.stdin {
            // A process that is gone is found out by the line that does not come.
            let _ = pipe.write_all(b"\n");
        }
        serde_json::from_str(&self.line()?).context("the worker brought back no slice")
    }

    fn line(&mut self) -> Result<String> {
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
        let status = match self.child.wait_timeout(HUNG) {
            Ok(Some(status)) => status.to_string(),
            _ => String::from("and did not end"),
        };
        let said: Vec<&str> = said.lines().take(3).collect();
        anyhow!("the worker crashed, {status}: {}", said.join(" "))
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        // It sleeps, or hangs: there is nothing that it would have to finish.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(script: &str) -> Result<Turns> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Turns::start(command)
    }

    const SLICE: &str = "[1,2,0,0]";

    #[test]
    fn everybody_gets_every_turn_and_a_crash_voids_its_own_arm_alone() {
        let willing = format!("echo ready; while read turn; do echo '{SLICE}'; done");
        let crashing =
            format!("echo ready; read turn; echo '{SLICE}'; read turn; echo planted >&2; exit 3");
        let processes = vec![
            process(&willing),
            process(&crashing),
            process("exit 4"),
            process("echo ready; read turn; echo nonsense"),
            process(&willing),
        ];
        let taken = taken(processes, &[4, 2, 0, 1, 3], &|| false).unwrap();
        let said: Vec<String> = taken
            .iter()
            .map(|slices| match slices {
                Ok(slices) => slices.len().to_string(),
                Err(error) => format!("{error:#}"),
            })
            .collect();
        assert_eq!(said[0], SLICES.to_string());
        assert_eq!(said[1], "the worker crashed, exit status: 3: planted");
        assert_eq!(said[2], "the worker crashed, exit status: 4: ");
        assert!(said[3].contains("no slice"), "{said:?}");
        assert_eq!(said[4], SLICES.to_string());
    }

    #[test]
    fn a_block_that_is_stopped_is_none() {
        let processes = vec![process("echo ready; read turn")];
        assert!(taken(processes, &[0], &|| true).is_none());
    }
}
