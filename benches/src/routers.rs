//! The paths of `router-snapshot`: a selection, a registration, and two whole operations that lookups by id are part of.
//!
//! A fleet has HTTP routers and workers, half of them regular and half PD, so that what each request prefers is there.
//! Changes come so many a second by the clock, which is read once a round, and are the first thread's; its share of the time
//! that they take is measured with the rest.

mod whole;

use std::any::Any;
use std::hint::black_box;
use std::ops::Range;
use std::sync::Arc;

use anyhow::{Result, bail};
use router_snapshot::{
    DashMapRouters, PapayaRouters, Role as WorkerRole, Router, RouterClass, RouterManager,
    RouterMap, RouterMode, RwLockRouters, SccRouters, Selection, WorkerSpec,
};
use verdict::schema::{Arm, Role};
use worker_id::WorkerWithDpRank;

use self::whole::{Joining, Routing};
use crate::baselines::routers::PublishedRouters;
use crate::changes::Changes;
use crate::scenario::{Scenario, Share, Shares, map_of, maps, varied};

/// The requests of a thread, made beforehand.
const REQUESTS: usize = 1_024;
/// Selections of a round; fewer where all routers are looked at for each.
const ROUND: usize = 256;
const SCANNED_A_ROUND: usize = 2_048;
/// Workers of a model.
const WORKERS_PER_MODEL: u64 = 4;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Work {
    /// A router is chosen, for a request that names no model or one that does.
    Select { named: bool },
    /// A router comes and another one goes.
    Register,
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
        "dashmap" => Box::new(fleet.manager::<DashMapRouters>()),
        "papaya" => Box::new(fleet.manager::<PapayaRouters>()),
        "scc" => Box::new(fleet.manager::<SccRouters>()),
        "rwlock" => Box::new(fleet.manager::<RwLockRouters>()),
        "reference" => Box::new(fleet.published()),
        _ => return None,
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
    let route = Fleet {
        work: Work::Route,
        models: 250,
        changes_a_second: 1_000,
        ..select
    };
    let join = Fleet {
        work: Work::Join,
        models: 250,
        ..select
    };
    let register = Fleet {
        work: Work::Register,
        threads: 1,
        ..select
    };
    let mut all = Vec::new();
    let mut add = |variation: &str, fleet: Fleet| {
        let (base, what, gating) = match fleet.work {
            Work::Select { .. } => ("router-select", "the router for a request", false),
            Work::Register => ("router-register", "one router comes, another goes", false),
            Work::Route => (
                "router-lookup",
                "a request: its headers read, a router chosen, its worker looked up, what is sent upstream made; workers come and go",
                true,
            ),
            Work::Join => (
                "router-churn",
                "a worker joins: its registration read, stored, looked up, ill, gone; the answer serialised",
                true,
            ),
        };
        let gating = gating && variation.is_empty();
        let (name, what) = varied(base, what, variation);
        all.push(Scenario {
            name,
            adr: "0007",
            gating,
            what,
            threads: fleet.threads,
            arms: fleet.arms(),
            build: Arc::new(move |arm, seed| fleet.shares(arm, seed)),
        });
    };

    add("", route);
    add("", join);
    add("", select);
    for fleet in [route, join, select] {
        if cores > 1 {
            add(
                "threads=1",
                Fleet {
                    threads: 1,
                    ..fleet
                },
            );
        }
    }
    let idle = Fleet {
        changes_a_second: 0,
        ..route
    };
    add("idle", idle);
    for routers in [2, 10, 1_000, 10_000] {
        let fleet = Fleet { routers, ..select };
        add(&format!("routers={routers}"), fleet);
        if cores > 1 {
            let fleet = Fleet {
                threads: 1,
                ..fleet
            };
            add(&format!("routers={routers},threads=1"), fleet);
        }
    }
    for changes_a_second in [10, 1_000] {
        for routers in [2, 10, 100, 1_000, 10_000] {
            let fleet = Fleet {
                routers,
                changes_a_second,
                ..select
            };
            add(
                &format!("routers={routers},changes={changes_a_second}"),
                fleet,
            );
        }
    }
    let named = Fleet {
        work: Work::Select { named: true },
        models: 1_000,
        ..select
    };
    add("models=1000", named);
    if cores > 1 {
        add(
            "models=1000,threads=1",
            Fleet {
                threads: 1,
                ..named
            },
        );
    }
    for routers in [100, 5_000, 10_000] {
        let variation = if routers == register.routers {
            String::new()
        } else {
            format!("routers={routers}")
        };
        add(
            &variation,
            Fleet {
                routers,
                ..register
            },
        );
    }
    all
}

impl Fleet {
    fn arms(&self) -> Vec<Arm> {
        match self.work {
            Work::Select { .. } => vec![
                Arm::new("snapshot", Role::Incumbent),
                Arm::new("scan", Role::Reference),
                Arm::new("collect", Role::Reference),
            ],
            Work::Register => vec![
                Arm::new("snapshot", Role::Incumbent),
                Arm::new("scan", Role::Reference),
            ],
            Work::Route | Work::Join => maps(),
        }
    }

    fn shares(self, arm: &str, seed: u64) -> Result<Shares> {
        Ok(match (self.work, map_of(arm)) {
            (Work::Select { .. } | Work::Register, "snapshot") => {
                self.choosing(self.manager::<DashMapRouters>(), ROUND, seed)
            }
            (Work::Select { .. } | Work::Register, "scan") => {
                self.choosing(self.published(), self.scanned(), seed)
            }
            (Work::Select { .. }, "collect") => {
                self.choosing(Collecting(self.published()), self.scanned(), seed)
            }
            (Work::Route | Work::Join, "dashmap") => self.whole::<DashMapRouters>(seed),
            (Work::Route | Work::Join, "papaya") => self.whole::<PapayaRouters>(seed),
            (Work::Route | Work::Join, "scc") => self.whole::<SccRouters>(seed),
            (Work::Route | Work::Join, "rwlock") => self.whole::<RwLockRouters>(seed),
            _ => bail!("no routers are chosen by {arm}"),
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
            (id, router(class))
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

    fn manager<M: RouterMap<dyn Router> + Default>(self) -> RouterManager<dyn Router, M> {
        let manager = RouterManager::with_map(RouterMode::Multi, M::default());
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

    /// Operations of a round where each looks at all routers.
    fn scanned(self) -> usize {
        (SCANNED_A_ROUND / self.routers).clamp(1, ROUND)
    }

    fn choosing<C: Choosing>(self, chooser: C, round: usize, seed: u64) -> Shares {
        let chooser = Arc::new(chooser);
        self.each_thread(seed, |rng, changes| -> Box<dyn Share> {
            let (chooser, comings) = (Arc::clone(&chooser), Comings::default());
            if self.work == Work::Register {
                return Box::new(Registering {
                    chooser,
                    comings,
                    round: round.min(16),
                });
            }
            let named = self.work == Work::Select { named: true };
            let mut names = String::new();
            let requests = (0..REQUESTS).map(|_| {
                let start = names.len();
                if named {
                    names.push_str(&model(rng.u64(..self.models)));
                }
                (named.then_some(start..names.len()), rng.bool())
            });
            Box::new(Choices {
                chooser,
                requests: requests.collect(),
                names,
                at: 0,
                round,
                changes,
                comings,
            })
        })
    }

    fn whole<M: RouterMap<dyn Router> + Default + 'static>(self, seed: u64) -> Shares {
        let manager = Arc::new(self.manager::<M>());
        let mut thread = 0;
        self.each_thread(seed, |rng, changes| -> Box<dyn Share> {
            let manager = Arc::clone(&manager);
            thread += 1;
            match self.work {
                Work::Join => Box::new(Joining::new(manager, self, thread, rng)),
                _ => Box::new(Routing::new(manager, self, changes, rng)),
            }
        })
    }

    fn each_thread(
        self,
        seed: u64,
        mut make: impl FnMut(&mut fastrand::Rng, Changes) -> Box<dyn Share>,
    ) -> Shares {
        (0..self.threads)
            .map(|thread| {
                let mut rng = fastrand::Rng::with_seed(seed.wrapping_add(u64::from(thread)));
                make(&mut rng, Changes::of_thread(thread, self.changes_a_second))
            })
            .collect()
    }
}

struct Target(RouterClass);

impl Router for Target {
    fn class(&self) -> RouterClass {
        self.0
    }
}

fn router(class: RouterClass) -> Arc<dyn Router> {
    Arc::new(Target(class))
}

/// As long as models are called.
fn model(number: u64) -> String {
    format!("meta-llama/Llama-3.1-8B-Instruct-{number:04}")
}

fn worker_id(number: u64) -> WorkerWithDpRank {
    WorkerWithDpRank::from_worker_id(number)
}

/// What chooses routers, and has them registered.
trait Choosing: Send + Sync + 'static {
    /// Whether the router that was chosen is a PD one.
    fn choose(&self, model: Option<&str>, prefer_pd: bool) -> Option<bool>;
    fn come(&self, id: String, router: Arc<dyn Router>);
    fn go(&self, id: &str) -> bool;
}

impl<M: RouterMap<dyn Router> + 'static> Choosing for RouterManager<dyn Router, M> {
    fn choose(&self, model: Option<&str>, prefer_pd: bool) -> Option<bool> {
        let selected = self.select(&Selection { model, prefer_pd }).ok()?;
        Some(selected.class().is_pd())
    }

    fn come(&self, id: String, router: Arc<dyn Router>) {
        self.register(id, router).expect("a fresh id");
    }

    fn go(&self, id: &str) -> bool {
        self.deregister(id).is_some()
    }
}

impl Choosing for PublishedRouters {
    fn choose(&self, model: Option<&str>, prefer_pd: bool) -> Option<bool> {
        Some(self.select(model, prefer_pd)?.class().is_pd())
    }

    fn come(&self, id: String, router: Arc<dyn Router>) {
        self.register(id, router);
    }

    fn go(&self, id: &str) -> bool {
        self.deregister(id)
    }
}

struct Collecting(PublishedRouters);

impl Choosing for Collecting {
    fn choose(&self, model: Option<&str>, prefer_pd: bool) -> Option<bool> {
        Some(self.0.select_collecting(model, prefer_pd)?.class().is_pd())
    }

    fn come(&self, id: String, router: Arc<dyn Router>) {
        self.0.register(id, router);
    }

    fn go(&self, id: &str) -> bool {
        self.0.deregister(id)
    }
}

/// Routers that come, each of which goes when the next one has come.
#[derive(Default)]
struct Comings(u64);

impl Comings {
    fn next(&mut self, chooser: &impl Choosing) {
        let id = |number: u64| format!("newcomer-{number}");
        chooser.come(id(self.0), router(RouterClass::HttpRegular));
        if self.0 > 0 {
            assert!(chooser.go(&id(self.0 - 1)), "it has come");
        }
        self.0 += 1;
    }
}

struct Choices<C> {
    chooser: Arc<C>,
    /// Where the name of each one's model is, and whether it prefers PD.
    requests: Vec<(Option<Range<usize>>, bool)>,
    /// One after the other: a gateway has just read the name that it looks up, so that it must not be what a selection
    /// waits for.
    names: String,
    at: usize,
    round: usize,
    changes: Changes,
    comings: Comings,
}

impl<C: Choosing> Share for Choices<C> {
    fn round(&mut self) -> u64 {
        if self.changes.due() {
            self.comings.next(&*self.chooser);
        }
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

struct Registering<C> {
    chooser: Arc<C>,
    comings: Comings,
    round: usize,
}

impl<C: Choosing> Share for Registering<C> {
    fn round(&mut self) -> u64 {
        for _ in 0..self.round {
            self.comings.next(&*self.chooser);
        }
        assert_eq!(self.chooser.choose(None, true), Some(true));
        self.round as u64
    }
}
