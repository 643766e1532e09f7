//! Runs a test on every map that is enabled, and on the two for model checking.

macro_rules! on_every_backend {
    ($($test:ident),+ $(,)?) => {
        crate::backends::on_every_backend! { @map dashmap if feature = "dashmap", worker_load::DashMapLoads, $($test),+ }
        crate::backends::on_every_backend! { @map papaya if feature = "papaya", worker_load::PapayaLoads, $($test),+ }
        crate::backends::on_every_backend! { @map scc if feature = "scc", worker_load::SccLoads, $($test),+ }
        crate::backends::on_every_backend! { @map rwlock if feature = "rwlock", worker_load::RwLockLoads, $($test),+ }
        crate::backends::on_every_backend! { @map reference if not(inflight_loom),
            state_map::model::ReferenceMap<worker_id::WorkerWithDpRank, worker_load::WorkerLoad>, $($test),+ }
        crate::backends::on_every_backend! { @map adversarial if not(inflight_loom),
            state_map::model::AdversarialMap<worker_id::WorkerWithDpRank, worker_load::WorkerLoad>, $($test),+ }
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
