//! Processes that end with this one, whatever ends it.
//!
//! All that a step starts is one process group, and in it stands a shell that only waits for a line
//! from us. Where this process is gone, interrupted, terminated or killed, the system closes the
//! pipe; then the shell kills its group, itself included. That group is not the terminal's, so that
//! Ctrl-C ends this process first, and by the pipe all others.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// What it holds is killed when it is dropped, or with this process.
#[derive(Debug)]
pub(crate) struct Leash {
    /// The leader of the group.
    shell: Child,
}

impl Leash {
    pub(crate) fn new() -> io::Result<Leash> {
        let shell = Command::new("sh")
            .args(["-c", "read -r line; kill -KILL 0"])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Leash { shell })
    }

    /// Starts `command`, without an input.
    pub(crate) fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let group = self.shell.id().try_into().map_err(io::Error::other)?;
        command.process_group(group).stdin(Stdio::null()).spawn()
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // It kills itself, which is no failure of ours.
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::sync::mpsc;
    use std::time::Duration;
    use std::{env, thread};

    use rustix::process::{Pid, Signal, kill_process};

    use super::*;

    const ROLE: &str = "XTASK_LEASH";

    /// A shell with a child, neither of which ends by itself.
    fn endless() -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", "sleep infinity & echo endless; wait"]);
        shell
    }

    /// Not a test: what a process runs that is killed while it holds a leash.
    #[test]
    fn holder() {
        if env::var_os(ROLE).is_some() {
            let leash = Leash::new().unwrap();
            leash.spawn(&mut endless()).unwrap().wait().unwrap();
        }
    }

    /// Kills, once all have started; and waits until nobody is left who could write to `output`.
    fn all_end(output: impl io::Read + Send + 'static, kill: impl FnOnce()) {
        let mut lines = BufReader::new(output).lines().map(Result::unwrap);
        assert!(lines.any(|line| line.contains("endless")), "they start");
        kill();
        let (told, ended) = mpsc::channel();
        thread::spawn(move || told.send(lines.count()));
        let ended = ended.recv_timeout(Duration::from_secs(60));
        assert!(ended.is_ok(), "somebody is left");
    }

    #[test]
    fn nothing_outlives_a_holder_whatever_ends_it() {
        for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
            // Who runs this in the background may have a signal ignored, which children inherit.
            let mut holder = Command::new("env")
                .arg("--default-signal=INT")
                .arg(env::current_exe().unwrap())
                .args(["leash::tests::holder", "--exact", "--nocapture"])
                .env(ROLE, "")
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            all_end(holder.stdout.take().unwrap(), || {
                kill_process(Pid::from_child(&holder), signal).unwrap();
            });
            holder.wait().unwrap();
        }
    }

    #[test]
    fn nothing_outlives_a_leash() {
        let leash = Leash::new().unwrap();
        let mut child = leash.spawn(endless().stdout(Stdio::piped())).unwrap();
        all_end(child.stdout.take().unwrap(), || drop(leash));
        assert!(!child.wait().unwrap().success());
    }
}
