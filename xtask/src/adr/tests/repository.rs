//! A repository that holds nothing but a record, and results that nobody measured.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::process;

use verdict::schema::{
    Arm, Block, BytesFigure, Cell, Figures, Gauges, Machine, MapState, Mode, Results, Role, SCHEMA,
    ScenarioRun, Slice,
};

use crate::adr::{check, checked, documents, update};

pub(super) const RECORD: &str = "adr/0003-a-map.md";
pub(super) const CRITERIA: &str = "adr/0003-criteria.toml";
pub(super) const KEPT: &str = "adr/0003-results.json";
pub(super) const RUN: &str = "target/bench/results.json";

pub(super) const UNMEASURED: &str =
    "# 0003: a map\n\n## Measured\n\n<!-- measured: begin -->\n<!-- measured: end -->\n\nAfter.\n";

pub(super) const ASKED: &str = r#"record = "0003"
title = "A map"
cores = 2

[rule]
revisit = ["stable-api", "bottleneck"]
watch = ["tracked-requests"]

[candidate.papaya]
crate = "papaya"

[criterion.stable-api]
kind = "crate-version"
at-least = "1.0.0"

[criterion.bottleneck]
kind = "bottleneck"
incumbent = "dashmap"
candidates = ["papaya"]
gating = ["decode-step"]

[criterion.tracked-requests]
kind = "gauge-against-ceiling"
per-shard = 512
"#;

/// A repository in a folder of its own, which goes when the test ends.
pub(super) struct Repository {
    pub(super) root: PathBuf,
}

impl Repository {
    pub(super) fn new(test: &str) -> Self {
        let root = env::temp_dir().join(format!("inflight-adr-{}-{test}", process::id()));
        for folder in ["adr", "target/bench"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        let new = Self { root };
        new.write(RECORD, UNMEASURED);
        new.write(CRITERIA, ASKED);
        new.write(
            "adr/README.md",
            "Between `<!-- measured: begin -->` and so on.\n",
        );
        new.write("adr/0001-floors.md", "# 0001: held by tests\n");
        new
    }

    pub(super) fn measured(test: &str) -> Self {
        let new = Self::new(test);
        new.write(RUN, &results().to_json().unwrap());
        new.update().unwrap();
        new
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        fs::write(self.root.join(path), text).unwrap();
    }

    pub(super) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap()
    }

    pub(super) fn replace(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{path} has no {from:?}:\n{text}");
        self.write(path, &text.replacen(from, to, 1));
    }

    pub(super) fn update(&self) -> anyhow::Result<()> {
        update(&self.root, "0003", RUN.as_ref())
    }

    /// What the check says of the record.
    #[track_caller]
    pub(super) fn said(&self) -> String {
        let documents = documents(&self.root).unwrap();
        let record = documents.iter().find(|each| each.path == RECORD).unwrap();
        let said = checked(&self.root, record);
        assert_eq!(said.is_ok(), check(&self.root).unwrap());
        said.map_or_else(|error| format!("{error:#}"), Option::unwrap)
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// 30 quiet blocks, in which papaya takes four fifths of DashMap's time.
pub(super) fn results() -> Results {
    let arms = [
        ("dashmap", Role::Incumbent, 250),
        ("dashmap-again", Role::IncumbentAgain, 250),
        ("dashmap-plus-10-percent", Role::Planted { extra: 0.1 }, 275),
        ("papaya", Role::Candidate, 200),
    ];
    let mut rng = fastrand::Rng::with_seed(3);
    let mut slice = |nanos_per_op: u64| Slice {
        ops: 100_000,
        // Two thousandths to either side.
        nanos: nanos_per_op * 100 * (998 + rng.u64(..5)),
        run_delay_nanos: 0,
        steal_ticks: 0,
    };
    let run = ScenarioRun {
        scenario: "decode-step".to_owned(),
        adr: Some("0003".to_owned()),
        gating: true,
        what: "a token, with the work beside it".to_owned(),
        threads: 2,
        cores_needed: 2,
        oversubscribed: false,
        arms: arms.map(|(name, role, _)| Arm::new(name, role)).into(),
        blocks: (1..=30)
            .map(|number| Block {
                number,
                build: 0,
                cores: vec![0, 1],
                travel: Vec::new(),
                order: vec![0, 1, 2, 3],
                cells: arms
                    .map(|(_, _, nanos_per_op)| Cell::Measured {
                        slices: (0..10).map(|_| slice(nanos_per_op)).collect(),
                    })
                    .into(),
            })
            .collect(),
    };
    let bytes = |state, bytes| BytesFigure {
        arm: "dashmap".to_owned(),
        entries: 1_000,
        state,
        bytes,
    };
    let not_measured = |command: &str| Figures::NotMeasured {
        why: "not part of this run".to_owned(),
        command: command.to_owned(),
    };
    Results {
        schema: SCHEMA.to_owned(),
        started: "2026-11-20 10:00 UTC".to_owned(),
        command: "cargo xtask bench --adr 0003 --tracked 3000 --seed 3".to_owned(),
        seed: 3,
        revision: "0123456789ab".to_owned(),
        machine: Machine {
            cores: 2,
            model: "Synthetic | CPU <!-- measured: end -->".to_owned(),
            kernel: "Linux 6.1".to_owned(),
            virtualised: None,
            compiler: "rustc 1.95.0".to_owned(),
            memory_bytes: Some(8 << 30),
        },
        versions: BTreeMap::from([("papaya".to_owned(), "0.2.5".to_owned())]),
        mode: Mode::Default,
        pilots: Vec::new(),
        runs: vec![run],
        bytes: vec![
            bytes(MapState::Filled, 119_000),
            bytes(MapState::AfterDrain, 16_384),
        ],
        allocations: not_measured("cargo test"),
        instructions: Figures::Measured(Vec::new()),
        gauges: Gauges {
            tracked: Some(3_000),
            shards: Some(8),
            shard_skew: Some(1.1),
        },
        notes: Vec::new(),
    }
}
