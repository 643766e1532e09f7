//! The paths of `router-snapshot`: a selection, and the two whole operations that lookups by id are
//! part of.
//!
//! A fleet has HTTP routers and workers, half of them regular and half PD, so that what each
//! request prefers is there. In `router-lookup` workers come and go so many a second by the clock,
//! which is read once a round, and are the first thread's; its share of the time that they take is
//! measured with the rest.

mod whole;

use std::any::Any;
use std::hint::black_box;
use std::ops::Range;
use std::sync::Arc;

use anyhow::Result;
use router_snapshot::{
    Role as WorkerRole, Router, RouterClass, RouterEntry, RouterId, RouterManager, RouterMode,
    Selection, WorkerEntry, WorkerSpec,
};
use verdict::schema::{Arm, Role};
use worker_id::WorkerWithDpRank;

use self::whole::{Joining, Routing};
use crate::any_map::{AnyMap, Backend};
use crate::baselines::routers::PublishedRouters;
use crate::changes::Changes;
use crate::scenario::{Scenario, Share, Shares, deciding};
use crate::threads::{Operation, Threads, beside};

/// The requests of a thread, made beforehand.
const REQUESTS: usize = 1_024;
/// Selections of a round; fewer where all routers are looked at for each.
const ROUND: usize = 256;
const SCANNED_A_ROUND: usize = 2_048;
/// Workers of a model.
const WORKERS_PER_MODEL: u64 = 4;

/// The crate on any maps.
type Manager = RouterManager<
    dyn Router,
    (
        AnyMap<RouterId, RouterEntry<dyn Router>>,
        AnyMap<WorkerWithDpRank, WorkerEntry>,
    ),
>;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Work {
    /// A router is chosen, for a request that names no model or one that does.
    Select { named: bool },
    /// A request is routed and made ready to be sent on.
    Route,
    /// A worker joins, is looked up, falls ill and leaves.
    Join,
}

/// A design with so many workers, to be weighed.
pub(crate) fn filled(arm: &str, workers: u64) -> Option<Box<dyn Any>> {
    let fleet = Fleet {
        work: Work::Route,
        threads: 1,
        routers: 2,
        models: workers / WORKERS_PER_MODEL,
        changes_a_second: 0,
    };
    Some(match arm {
        "reference" => Box::new(fleet.published()),
        map => Box::new(fleet.manager(Backend::of_arm(map).ok()?)),
    })
}

/// An operation on a fleet.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Fleet {
    work: Work,
    threads: u32,
    routers: usize,
    models: u64,
    changes_a_second: u32,
}

/// The scenarios, on a machine with so many cores.
pub(crate) fn all(cores: u32) -> Vec<Scenario> {
    let select = Fleet {
        work: Work::Select { named: false },
        threads: cores,
        routers: 100,
        models: 10,
        changes_a_second: 0,
    };
    let join = Fleet {
        work: Work::Join,
        models: 250,
        ..select
    };
    let idle = Fleet {
        work: Work::Route,
        ..join
    };
    let route = Fleet {
        changes_a_second: 1_000,
        ..idle
    };
    let named = Fleet {
        work: Work::Select { named: true },
        models: 1_000,
        ..select
    };
    let mut fleets = vec![
        ("", route),
        ("", join),
        ("", select),
        ("models=1000", named),
    ];
    let sizes = [
        ("routers=2", 2),
        ("routers=10", 10),
        ("routers=1000", 1_000),
        ("routers=10000", 10_000),
    ];
    fleets.extend(sizes.map(|(variation, routers)| (variation, Fleet { routers, ..select })));
    let mut all = vec![idle.scenario("idle")];
    for (variation, fleet) in fleets {
        all.push(fleet.scenario(variation));
        if cores > 1 {
            let comma = if variation.is_empty() { "" } else { "," };
            let alone = Fleet {
                threads: 1,
                ..fleet
            };
            all.push(alone.scenario(&format!("{variation}{comma}threads=1")));
        }
    }
    all
}

impl Fleet {
    fn scenario(self, variation: &str) -> Scenario {
        let (name, what, arms) = match self.work {
            Work::Select { .. } => {
                let ours = vec![Arm::new("snapshot", Role::Incumbent)];
                let arms = beside(ours, ["scan", "collect"]);
                ("router-select", "the router for a request", arms)
            }
            Work::Route => ("router-lookup", whole::ROUTING, deciding()),
            Work::Join => ("router-churn", whole::JOINING, deciding()),
        };
        let adr = "0007";
        Operation { adr, name, what }.scenario(variation, self.threads, arms, move |threads| {
            self.shares(threads)
        })
    }

    fn shares(self, threads: Threads<'_>) -> Result<Shares> {
        if let Work::Select { named } = self.work {
            // Those that look at all routers.
            let scanned = (SCANNED_A_ROUND / self.routers).clamp(1, ROUND);
            return Ok(match threads.arm {
                "scan" => self.choosing(threads, named, self.published(), scanned),
                "collect" => self.choosing(threads, named, Collecting(self.published()), scanned),
                _ => self.choosing(threads, named, self.manager(Backend::DashMap), ROUND),
            });
        }
        let manager = Arc::new(self.manager(Backend::of_arm(threads.arm)?));
        Ok(if self.work == Work::Join {
            threads.each(|thread, rng| Joining::new(Arc::clone(&manager), self, thread, rng))
        } else {
            threads.each(|thread, rng| {
                let changes = Changes::of_thread(thread, self.changes_a_second);
                Routing::new(Arc::clone(&manager), self, changes, rng)
            })
        })
    }

    fn routers(self) -> impl Iterator<Item = (String, Arc<dyn Router>)> {
        (0..self.routers).map(|number| {
            let class = [RouterClass::HttpRegular, RouterClass::HttpPd][number % 2];
            // The first of a class has its name, which is how the published design finds it.
            let id = if number < 2 {
                class.to_string()
            } else {
                format!("router-{number}")
            };
            let router: Arc<dyn Router> = Arc::new(Target(class));
            (id, router)
        })
    }

    fn workers(self) -> impl Iterator<Item = WorkerSpec> {
        (0..self.models * WORKERS_PER_MODEL).map(move |number| self.worker(number))
    }

    /// A worker of the model that its number says.
    fn worker(self, number: u64) -> WorkerSpec {
        let pd = number / self.models % 2 == 1;
        WorkerSpec {
            role: if pd {
                WorkerRole::Decode
            } else {
                WorkerRole::Regular
            },
            ..WorkerSpec::new(worker_id(number), [model(number % self.models)])
        }
    }

    fn manager(self, backend: Backend) -> Manager {
        let workers = usize::try_from(self.models * WORKERS_PER_MODEL).unwrap_or_default();
        let maps = (backend.map(self.routers), backend.map(workers));
        let manager = RouterManager::with_map(RouterMode::Multi, maps);
        manager
            .update(|batch| {
                for (id, router) in self.routers() {
                    batch.register(id, router);
                }
                for spec in self.workers() {
                    batch.upsert_worker(spec);
                }
            })
            .expect("all ids are different");
        manager
    }

    fn published(self) -> PublishedRouters {
        let workers: Vec<_> = self.workers().collect();
        PublishedRouters::new(self.routers(), &workers)
    }

    fn choosing<C: Choosing>(
        self,
        threads: Threads<'_>,
        named: bool,
        chooser: C,
        round: usize,
    ) -> Shares {
        let chooser = Arc::new(chooser);
        threads.each(|_, mut rng| {
            let mut names = String::new();
            let requests = (0..REQUESTS).map(|_| {
                let start = names.len();
                if named {
                    names.push_str(&model(rng.u64(..self.models)));
                }
                (named.then_some(start..names.len()), rng.bool())
            });
            Choices {
                chooser: Arc::clone(&chooser),
                requests: requests.collect(),
                names,
                at: 0,
                round,
            }
        })
    }
}

struct Target(RouterClass);

impl Router for Target {
    fn class(&self) -> RouterClass {
        self.0
    }
}

/// As long as models are called.
fn model(number: u64) -> String {
    format!("meta-llama/Llama-3.1-8B-Instruct-{number:04}")
}

fn worker_id(number: u64) -> WorkerWithDpRank {
    WorkerWithDpRank::from_worker_id(number)
}

/// What chooses routers.
trait Choosing: Send + Sync + 'static {
    /// Whether the router that was chosen is a PD one.
    fn choose(&self, model: Option<&str>, prefer_pd: bool) -> Option<bool>;
}

impl Choosing for Manager {
    fn choose(&self, model: Option<&str>, prefer_pd: bool) -> Option<bool> {
        let selected = self.select(&Selection { model, prefer_pd }).ok()?;
        Some(selected.class().is_pd())
    }
}

impl Choosing for PublishedRouters {
    fn choose(&self, model: Option<&str>, prefer_pd: bool) -> Option<bool> {
        Some(self.select(model, prefer_pd)?.class().is_pd())
    }
}

struct Collecting(PublishedRouters);

impl Choosing for Collecting {
    fn choose(&self, model: Option<&str>, prefer_pd: bool) -> Option<bool> {
        Some(self.0.select_collecting(model, prefer_pd)?.class().is_pd())
    }
}

struct Choices<C> {
    chooser: Arc<C>,
    /// Where the name of each one's model is, and whether it prefers PD.
    requests: Vec<(Option<Range<usize>>, bool)>,
    /// One after the other: a gateway has just read the name that it looks up, so that it must not
    /// be what a selection waits for.
    names: String,
    at: usize,
    round: usize,
}

impl<C: Choosing> Share for Choices<C> {
    fn round(&mut self) -> u64 {
        if self.at + self.round > self.requests.len() {
            self.at = 0;
        }
        let requests = &self.requests[self.at..self.at + self.round];
        let mut as_wanted = 0;
        for (model, prefer_pd) in requests {
            let model = model.clone().map(|place| &self.names[place]);
            let is_pd = black_box(self.chooser.choose(model, *prefer_pd));
            // Models are served by both kinds, and PD is the better class.
            as_wanted += u64::from(is_pd == Some(*prefer_pd || model.is_some()));
        }
        self.at += self.round;
        assert_eq!(as_wanted, self.round as u64, "the wrong router");
        as_wanted
    }
}
