//! What a report says of the machine, as far as it can be told from inside.

use std::fs;
use std::path::Path;
use std::process::Command;

use verdict::schema::Machine;

use crate::bench::cores;

pub(crate) fn describe() -> Machine {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = cpu.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let uname = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes = memory
        .lines()
        .next()
        .and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    Machine {
        cores: u32::try_from(cores::allowed().len()).unwrap_or(u32::MAX),
        model: field("model name").unwrap_or_else(|| text(uname.machine())),
        kernel: format!("{} {}", text(uname.sysname()), text(uname.release())),
        virtualised: field("flags")
            .filter(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor"))
            .map(|_| "a hypervisor".to_owned()),
        compiler: said("rustc", &["--version"]).unwrap_or_else(|| "unknown".to_owned()),
        memory_bytes: kilobytes.map(|kilobytes| kilobytes * 1_024),
    }
}

/// The source revision, with a mark where the tree is not clean.
pub(crate) fn revision(root: &Path) -> String {
    let root = root.to_string_lossy();
    let git = |args: &[&str]| said("git", &[&["-C", &*root], args].concat());
    let Some(revision) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown: not in a git checkout".to_owned();
    };
    let dirty = git(&["status", "--porcelain"]).is_some_and(|changes| !changes.is_empty());
    revision + if dirty { ", with changes" } else { "" }
}

fn said(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The time as text, in UTC.
pub(crate) fn now() -> String {
    said("date", &["-u", "+%F %R UTC"]).unwrap_or_else(|| "unknown".to_owned())
}
