//! The decision records: their criteria, and the facts that no benchmark knows.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use verdict::schema::{Arm, Gauges, Role};
use verdict::{Known, Record, lock_versions};

use crate::bench::worker::Scenario;
use crate::flags::Bench;

/// The records that a run is to answer.
pub(crate) fn load(root: &Path, scenarios: &[Scenario], flags: &Bench) -> Result<Vec<Record>> {
    let arms = scenarios.iter().flat_map(|each| &each.arms);
    let arms: Vec<&str> = arms.map(|arm| arm.name.as_str()).collect();
    let scenarios: Vec<&str> = scenarios.iter().map(|each| each.name.as_str()).collect();

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
    let named = |name: &str| flags.scenario.iter().any(|each| each == name);
    records.retain(|record| {
        flags.adr.as_ref().is_none_or(|number| *number == record.number)
            && (flags.crates.is_empty() || flags.crates.iter().any(|name| is_about(record, name)))
            // A record is answered by its gating scenarios alone.
            && (flags.scenario.is_empty() || record.gating().into_iter().all(named))
    });
    if let Some(number) = &flags.adr {
        ensure!(
            !records.is_empty(),
            "no record {number} has criteria: adr/{number}-criteria.toml"
        );
    }
    Ok(records)
}

/// Which crate a record is about: its number says so.
fn is_about(record: &Record, name: &str) -> bool {
    matches!(
        (record.number.as_str(), name),
        ("0003", "phase-state")
            | ("0004", "stream-registry")
            | ("0005", "lora-tracker")
            | ("0006", "affinity")
            | ("0007", "router-snapshot")
    )
}

/// What the caller says of production.
pub(crate) fn gauges(flags: &Bench) -> Gauges {
    Gauges {
        tracked: flags.tracked,
        shards: flags.shards.or_else(default_shards),
        shard_skew: None,
    }
}

/// As DashMap sizes itself: four for each core, rounded up to a power of two.
fn default_shards() -> Option<u64> {
    let cores = std::thread::available_parallelism().ok()?.get() as u64;
    Some((cores * 4).next_power_of_two())
}

/// Where a gauge has reached a record's ceiling, the incumbent with more shards is one of the record's candidates.
pub(crate) fn add_more_shards(records: &mut [Record], scenarios: &mut [Scenario], gauges: &Gauges) {
    for record in records {
        let Some(name) = record.add_more_shards(gauges) else {
            continue;
        };
        println!(
            "{}: the gauge has reached the ceiling, so {name} is a candidate",
            record.number
        );
        let gating = record.gating();
        for scenario in scenarios.iter_mut() {
            if gating.contains(&scenario.name.as_str()) {
                scenario.arms.push(Arm::new(&name, Role::Candidate));
            }
        }
    }
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
    let text = fs::read_to_string(root.join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let all = lock_versions(&text)?;
    Ok(measured
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), all.get(name)?.join(", "))))
        .collect())
}
