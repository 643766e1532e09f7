//! Runs a test on the maps of every backend that is enabled, and on the two for model checking; and
//! what tests register.

#![allow(dead_code, unused_imports, unused_macros)]

use std::sync::Arc;

use router_snapshot::{Connection, Role, Router, RouterClass, Runtime, WorkerSpec};
use worker_id::WorkerWithDpRank;

macro_rules! on_every_backend {
    ($($test:ident),+ $(,)?) => {
        crate::backends::on_every_backend! { @map dashmap if feature = "dashmap",
            router_snapshot::DashMapRouters, $($test),+ }
        crate::backends::on_every_backend! { @map papaya if feature = "papaya",
            router_snapshot::PapayaRouters, $($test),+ }
        crate::backends::on_every_backend! { @map scc if feature = "scc",
            router_snapshot::SccRouters, $($test),+ }
        crate::backends::on_every_backend! { @map rwlock if feature = "rwlock",
            router_snapshot::RwLockRouters, $($test),+ }
        crate::backends::on_every_backend! { @map reference if not(inflight_loom),
            crate::backends::ReferenceRouters, $($test),+ }
        crate::backends::on_every_backend! { @map adversarial if not(inflight_loom),
            crate::backends::AdversarialRouters, $($test),+ }
    };
    (@map $name:ident if $cfg:meta, $map:ty, $($test:ident),+) => {
        #[cfg($cfg)]
        mod $name {
            $(
                #[test]
                fn $test() {
                    super::$test::<$map>();
                }
            )+
        }
    };
}
pub(crate) use on_every_backend;

use router_snapshot::{RouterEntry, RouterId, WorkerEntry};
use state_map::model::{AdversarialMap, ReferenceMap};

pub(crate) type ReferenceRouters = (
    ReferenceMap<RouterId, RouterEntry>,
    ReferenceMap<WorkerWithDpRank, WorkerEntry>,
);
pub(crate) type AdversarialRouters = (
    AdversarialMap<RouterId, RouterEntry>,
    AdversarialMap<WorkerWithDpRank, WorkerEntry>,
);

/// A router that can tell whether it is the one that was registered.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) class: RouterClass,
    pub(crate) number: u64,
    checksum: u64,
}

const SEED: u64 = 0x9E37_79B9_7F4A_7C15;

impl Upstream {
    pub(crate) fn new(class: RouterClass, number: u64) -> Arc<Self> {
        let checksum = number.wrapping_mul(SEED) ^ class as u64;
        Arc::new(Self {
            class,
            number,
            checksum,
        })
    }

    /// Fails on one that was dropped, too.
    pub(crate) fn check(&self) {
        let expected = self.number.wrapping_mul(SEED) ^ self.class as u64;
        assert_eq!(self.checksum, expected, "a torn or dead router");
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.check();
        self.checksum = !self.checksum;
    }
}

impl Router for Upstream {
    fn class(&self) -> RouterClass {
        self.class
    }
}

pub(crate) fn worker(number: u64) -> WorkerWithDpRank {
    WorkerWithDpRank::from_worker_id(number)
}

/// A worker that needs a router of `class`; of a pair, the half that does prefill.
pub(crate) fn spec(number: u64, class: RouterClass, models: &[&str]) -> WorkerSpec {
    let (role, connection, runtime) = match class {
        RouterClass::External => (Role::Regular, Connection::Http, Runtime::External),
        RouterClass::GrpcPd => (Role::Prefill, Connection::Grpc, Runtime::Local),
        RouterClass::HttpPd => (Role::Prefill, Connection::Http, Runtime::Local),
        RouterClass::GrpcRegular => (Role::Regular, Connection::Grpc, Runtime::Local),
        RouterClass::HttpRegular => (Role::Regular, Connection::Http, Runtime::Local),
    };
    let spec = WorkerSpec::new(worker(number), models.iter().copied())
        .with_role(role)
        .with_connection(connection)
        .with_runtime(runtime);
    assert_eq!(spec.class(), class);
    spec
}

/// Workers that can serve a class together: one, or as ranks 0 and 1 the halves of a pair.
pub(crate) fn all_of(number: u64, class: RouterClass, models: &[&str]) -> Vec<WorkerSpec> {
    let first = spec(number, class, models);
    let mut all = vec![first.clone()];
    if class.is_pd() {
        let mut other = first.with_role(Role::Decode);
        other.id.dp_rank = 1;
        all.push(other);
    }
    all
}
