//! The processes that take the figures.

use std::env;
use std::fmt;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use wait_timeout::ChildExt;

use crate::bench::worker::{Scenario, built};

/// Many times what any of them takes.
const HUNG: Duration = Duration::from_secs(60);
/// The signal of Ctrl-C, which reaches the processes, too.
const SIGINT: i32 = 2;

/// Somebody pressed Ctrl-C: nothing more is to be started.
#[derive(Debug)]
pub(super) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stopped before they were whole")
    }
}

impl std::error::Error for Interrupted {}

/// The binaries of the package `benches`.
pub(crate) struct Programs {
    worker: PathBuf,
    figures: PathBuf,
    /// The cores that there are.
    pub(super) cores: usize,
}

impl Programs {
    pub(super) fn build(root: &Path) -> Result<Self> {
        Self::built_with(root, &[])
    }

    /// As they are where what is counted must be the same in every process, in a folder of their own: all else would be rebuilt,
    /// back and forth, for other `RUSTFLAGS`. Each crate is compiled in one piece, so that a new function does not move others
    /// into other pieces, where they are inlined or not: in one piece an event of adapters has a tenth fewer instructions.
    pub(crate) fn build_with_fixed_seeds(root: &Path, target_dir: &str) -> Result<Self> {
        let inherited = env::var("RUSTFLAGS").unwrap_or_default();
        let flags = format!("{inherited} --cfg inflight_fixed_seeds");
        Self::built_with(
            root,
            &[
                ("RUSTFLAGS", flags.trim()),
                ("CARGO_TARGET_DIR", target_dir),
                ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
            ],
        )
    }

    fn built_with(root: &Path, env: &[(&str, &str)]) -> Result<Self> {
        Ok(Self {
            worker: built(root, "bench-worker", env)?,
            figures: built(root, "bench-figures", env)?,
            cores: thread::available_parallelism().map_or(1, usize::from),
        })
    }

    /// The scenarios, as they are on one core.
    pub(crate) fn scenarios(&self) -> Result<Vec<Scenario>> {
        // They are more than a pipe may hold.
        let listed = Command::new(&self.worker)
            .args(["list", "--cores", "1"])
            .output()
            .context("cannot start the worker")?;
        serde_json::from_slice(&listed.stdout).context("the worker names no scenarios")
    }

    /// A task of the worker, on all cores.
    pub(super) fn worker(&self, task: &str) -> Command {
        let mut command = Command::new(&self.worker);
        command.arg(task).args(["--cores", &self.cores.to_string()]);
        command
    }

    /// A task of the worker as it is on one core, its rounds under callgrind.
    pub(super) fn under_callgrind(&self, task: &str) -> Command {
        let mut command = Command::new("valgrind");
        command
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg("--toggle-collect=*counted_rounds*")
            .arg(&self.worker)
            .args([task, "--cores", "1"]);
        command
    }

    /// A task of the binary that counts allocations.
    pub(super) fn figures(&self, task: &str) -> Command {
        let mut command = Command::new(&self.figures);
        command.arg(task);
        command
    }
}

/// What a process left on its pipes.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) out: String,
    pub(super) err: String,
}

/// Runs a process that says little: what no pipe holds would keep it waiting until it is taken for hung.
pub(super) fn said(command: &mut Command) -> Result<Said> {
    let line = line(command);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {line}"))?;
    let Some(status) = child.wait_timeout(HUNG)? else {
        child.kill()?;
        child.wait()?;
        bail!("{line} hung, and was killed after {} s", HUNG.as_secs());
    };
    let (mut out, mut err) = (String::new(), String::new());
    if let Some(pipe) = &mut child.stdout {
        pipe.read_to_string(&mut out)?;
    }
    if let Some(pipe) = &mut child.stderr {
        pipe.read_to_string(&mut err)?;
    }
    if status.signal() == Some(SIGINT) {
        return Err(Interrupted.into());
    }
    ensure!(
        status.success(),
        "{line} failed, {status}: {}",
        err.lines().last().unwrap_or_default()
    );
    Ok(Said { out, err })
}

/// The command as one would type it, by the bare name of its program.
pub(super) fn line(command: &Command) -> String {
    let bare = |word: &std::ffi::OsStr| {
        let name = Path::new(word).file_name().unwrap_or(word);
        name.to_string_lossy().into_owned()
    };
    let mut words = vec![bare(command.get_program())];
    words.extend(
        command
            .get_args()
            .map(|word| word.to_string_lossy().into_owned()),
    );
    words.join(" ")
}

/// Does the jobs, so many at a time, and answers in their order. After Ctrl-C none is begun.
pub(crate) fn each<J: Sync, T: Send>(
    jobs: &[J],
    at_a_time: usize,
    run: impl Fn(&J) -> Result<T> + Sync,
) -> Vec<Result<T>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..at_a_time {
            scope.spawn(|| {
                while let number = next.fetch_add(1, Ordering::Relaxed)
                    && let Some(job) = jobs.get(number)
                {
                    let outcome = run(job);
                    if outcome
                        .as_ref()
                        .is_err_and(anyhow::Error::is::<Interrupted>)
                    {
                        next.store(jobs.len(), Ordering::Relaxed);
                    }
                    done.lock().expect("no job panics").push((number, outcome));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no job panics");
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::atomic::{AtomicU32, Ordering};

    use anyhow::bail;

    use super::{Interrupted, each, said};

    #[test]
    fn a_process_that_fails_says_why() {
        let good = said(Command::new("sh").args(["-c", "echo out; echo err >&2"])).unwrap();
        assert_eq!((good.out.trim(), good.err.trim()), ("out", "err"));

        let bad = said(Command::new("/bin/sh").args(["-c", "echo no such arm >&2; exit 3"]));
        let told = bad.unwrap_err().to_string();
        assert!(told.starts_with("sh -c"), "{told}");
        assert!(told.ends_with("exit status: 3: no such arm"), "{told}");

        // Whoever runs this in the background may have the signal ignored, which children inherit.
        let interrupted = ["--default-signal=INT", "sh", "-c", "kill -INT $$"];
        let stopped = said(Command::new("env").args(interrupted));
        assert!(stopped.unwrap_err().is::<Interrupted>());
    }

    #[test]
    fn jobs_answer_in_their_order() {
        let jobs: Vec<u32> = (0..100).collect();
        let answers = each(&jobs, 3, |&job| {
            if job == 50 {
                bail!("fifty");
            }
            Ok(job)
        });
        let answers: Vec<_> = answers.into_iter().map(Result::ok).collect();
        let expected: Vec<_> = (0..100).map(|job| (job != 50).then_some(job)).collect();
        assert_eq!(answers, expected);
    }

    #[test]
    fn after_ctrl_c_no_job_is_begun() {
        let begun = AtomicU32::new(0);
        let answers = each(&[(); 10_000], 3, |()| -> anyhow::Result<()> {
            begun.fetch_add(1, Ordering::Relaxed);
            Err(Interrupted.into())
        });
        assert!(begun.load(Ordering::Relaxed) < 10_000);
        assert!(answers.into_iter().all(|answer| answer.is_err()));
    }
}
