//! Runs a test on every map that is enabled, and on the two for model checking.

macro_rules! on_every_backend {
    ($($test:ident),+ $(,)?) => {
        crate::backends::on_every_backend! { @map dashmap if feature = "dashmap",
            lora_tracker::DashMapLoras, $($test),+ }
        crate::backends::on_every_backend! { @map papaya if feature = "papaya",
            lora_tracker::PapayaLoras, $($test),+ }
        crate::backends::on_every_backend! { @map scc if feature = "scc",
            lora_tracker::SccLoras, $($test),+ }
        crate::backends::on_every_backend! { @map rwlock if feature = "rwlock",
            lora_tracker::RwLockLoras, $($test),+ }
        crate::backends::on_every_backend! { @map reference if not(inflight_loom),
            state_map::model::ReferenceMap<worker_id::WorkerWithDpRank, lora_tracker::WorkerEntry>,
            $($test),+ }
        crate::backends::on_every_backend! { @map adversarial if not(inflight_loom),
            state_map::model::AdversarialMap<worker_id::WorkerWithDpRank, lora_tracker::WorkerEntry>,
            $($test),+ }
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
