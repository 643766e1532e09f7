//! Which cores are measured on, and how far a cache line travels between them.

use std::time::Duration;
use std::{fs, thread};

use anyhow::{Context, Result, ensure};
use rustix::thread::{CpuSet, sched_getaffinity};
use verdict::schema::Probe;

use crate::bench::turns::Process;
use crate::bench::worker::Worker;

/// The probes of a pair of cores before the first block, and the time between two: some machines change within seconds.
const PILOTS: usize = 20;
const BETWEEN: Duration = Duration::from_millis(50);
/// Of so many cores the travel from the first is looked at.
const LOOKED_AT: usize = 128;
/// A line travels far where it takes so many times as long as to the nearest core.
const FAR: f32 = 2.0;

/// The process that probes. It is a worker since it is optimised, and sleeps while others work.
#[derive(Debug)]
pub(crate) struct Travel(Process);

impl Travel {
    pub(crate) fn start(worker: &Worker) -> Result<Self> {
        let mut process = Process::start(worker.command("travel"))?;
        process.line()?;
        Ok(Self(process))
    }

    /// One way, in nanoseconds.
    pub(crate) fn probe(&mut self, [here, there]: [u32; 2]) -> Result<f32> {
        let said = self.0.ask(&format!("{here} {there}"))?;
        said.parse().context("the probe brought back no time")
    }

    pub(crate) fn pilots(&mut self, placements: &[Vec<u32>]) -> Result<Vec<Probe>> {
        let pairs: Vec<[u32; 2]> = placements.iter().filter_map(|cores| pair(cores)).collect();
        let mut pilots = Vec::new();
        for _ in 0..PILOTS {
            for &cores in &pairs {
                let nanos = self.probe(cores)?;
                pilots.push(Probe { cores, nanos });
                thread::sleep(BETWEEN);
            }
        }
        Ok(pilots)
    }

    /// The cores to measure on, each set of them in its turn: those asked for; all there are; or, where lines travel much farther
    /// between some, the first with the nearest and with the farthest.
    pub(crate) fn placements(&mut self, asked: &[u32]) -> Result<Vec<Vec<u32>>> {
        let all = allowed();
        if !asked.is_empty() {
            let there = asked.iter().all(|core| all.contains(core));
            ensure!(there, "--cores {asked:?}: the cores here are {all:?}");
            return Ok(vec![asked.to_vec()]);
        }
        let [first, others @ ..] = &all[..] else {
            return Ok(vec![all]);
        };
        let mut travels = Vec::new();
        for &other in others
            .iter()
            .filter(|&&other| !shares(*first, other))
            .take(LOOKED_AT)
        {
            travels.push((self.probe([*first, other])?, other));
        }
        Ok(near_and_far(*first, travels).map_or(vec![all], Vec::from))
    }
}

/// The first core with the nearest and with the farthest, if that is much farther.
fn near_and_far(first: u32, mut travels: Vec<(f32, u32)>) -> Option<[Vec<u32>; 2]> {
    travels.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (near, far) = (travels.first()?, travels.last()?);
    let both = [near, far].map(|(_, other)| vec![first, *other]);
    (far.0 >= FAR * near.0).then_some(both)
}

/// The pair of cores that stands for all: where one thread runs there is none.
pub(crate) fn pair(cores: &[u32]) -> Option<[u32; 2]> {
    match cores {
        [first, .., last] => Some([*first, *last]),
        _ => None,
    }
}

/// The cores that this process may run on.
pub(crate) fn allowed() -> Vec<u32> {
    let set = sched_getaffinity(None).unwrap_or_default();
    let there = (0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core));
    let mut all: Vec<u32> = there.filter_map(|core| u32::try_from(core).ok()).collect();
    if all.is_empty() {
        all.push(0);
    }
    all
}

/// Whether two are one core by two names: a line need not travel between them, and each slows the other down.
fn shares(one: u32, other: u32) -> bool {
    let siblings = |core: u32| {
        let path = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
        fs::read_to_string(path).ok()
    };
    let siblings = (siblings(one), siblings(other));
    siblings.0.is_some() && siblings.0 == siblings.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_stands_for_all_cores() {
        assert_eq!(pair(&[4]), None);
        assert_eq!(pair(&[4, 5]), Some([4, 5]));
        assert_eq!(pair(&[0, 1, 2, 3]), Some([0, 3]));
    }

    #[test]
    fn a_near_and_a_far_pair_are_told_apart_where_they_differ_clearly() {
        let travels = vec![(60.0, 1), (22.0, 2), (190.0, 32), (64.0, 3)];
        assert_eq!(near_and_far(0, travels), Some([vec![0, 2], vec![0, 32]]));
        assert_eq!(near_and_far(0, vec![(60.0, 1), (75.0, 2)]), None);
        assert_eq!(near_and_far(0, vec![(60.0, 1)]), None);
        assert_eq!(near_and_far(0, Vec::new()), None);
    }
}
