//! The decision records: their criteria, and the facts that no benchmark knows.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use verdict::{Facts, Known, Record, lock_versions};

use crate::bench::worker::Worker;
use crate::flags::Bench;

/// The records that a run is to answer.
pub(crate) fn load(root: &Path, worker: &Worker, flags: &Bench) -> Result<Vec<Record>> {
    let scenarios: Vec<&str> = worker
        .scenarios()
        .iter()
        .map(|each| each.name.as_str())
        .collect();
    let mut arms: Vec<&str> = worker
        .scenarios()
        .iter()
        .flat_map(|each| each.arms.iter().map(|arm| arm.name.as_str()))
        .collect();
    arms.sort_unstable();
    arms.dedup();

    let mut paths: Vec<_> = fs::read_dir(root.join("adr"))
        .context("cannot read adr/, where the decision records are")?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with("-criteria.toml"))
        .collect();
    paths.sort();
    let mut records = Vec::new();
    for path in paths {
        let name = format!(
            "adr/{}",
            path.file_name().unwrap_or_default().to_string_lossy()
        );
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?;
        records.push(Record::parse(
            &name,
            &text,
            Known {
                scenarios: &scenarios,
                arms: &arms,
            },
        )?);
    }
    records.retain(|record| {
        flags
            .adr
            .as_ref()
            .is_none_or(|number| *number == record.number)
    });
    records.retain(|record| {
        flags.crates.is_empty() || flags.crates.iter().any(|name| is_about(record, name))
    });
    if let Some(number) = &flags.adr {
        ensure!(
            !records.is_empty(),
            "no record {number} has criteria: adr/{number}-criteria.toml"
        );
    }
    if !flags.scenario.is_empty() {
        // A record is answered by its gating scenarios alone.
        records.retain(|record| {
            record
                .gating()
                .iter()
                .all(|name| flags.scenario.iter().any(|named| named == name))
        });
    }
    Ok(records)
}

/// Which crate a record is about: its number says so.
fn is_about(record: &Record, name: &str) -> bool {
    matches!(
        (record.number.as_str(), name),
        ("0003", "phase-state") | ("0006", "affinity")
    )
}

pub(crate) fn facts(root: &Path, flags: &Bench) -> Result<Facts> {
    let versions = versions(root)?;
    Ok(Facts {
        versions,
        tracked: flags.tracked,
        shards: flags.shards.or_else(default_shards),
        shard_skew: None,
    })
}

/// As DashMap sizes itself: four for each core, rounded up to a power of two.
fn default_shards() -> Option<u64> {
    let cores = std::thread::available_parallelism().ok()?.get() as u64;
    Some((cores * 4).next_power_of_two())
}

fn versions(root: &Path) -> Result<BTreeMap<String, Vec<String>>> {
    let text = fs::read_to_string(root.join("Cargo.lock")).context("cannot read Cargo.lock")?;
    Ok(lock_versions(&text)?)
}

/// The versions of what is compared.
pub(crate) fn measured_versions(root: &Path) -> Result<BTreeMap<String, String>> {
    let measured = [
        "dashmap",
        "papaya",
        "scc",
        "parking_lot",
        "foldhash",
        "seize",
        "sdd",
    ];
    let all = versions(root)?;
    Ok(measured
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), all.get(name)?.join(", "))))
        .collect())
}
