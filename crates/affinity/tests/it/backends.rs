//! Runs a test on every map that is enabled, and on the two for model checking; or, after `real:`, not on those.

macro_rules! on_every_backend {
    (real: $($test:ident),+ $(,)?) => {
        mod real {
            use super::*;
            crate::backends::on_every_backend! { @real $($test),+ }
        }
    };
    (@real $($test:ident),+) => {
        crate::backends::on_every_backend! { @map dashmap if feature = "dashmap", affinity::DashMapSessions, $($test),+ }
        crate::backends::on_every_backend! { @map papaya if feature = "papaya", affinity::PapayaSessions, $($test),+ }
        crate::backends::on_every_backend! { @map scc if feature = "scc", affinity::SccSessions, $($test),+ }
        crate::backends::on_every_backend! { @map rwlock if feature = "rwlock", affinity::RwLockSessions, $($test),+ }
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
    ($($test:ident),+ $(,)?) => {
        crate::backends::on_every_backend! { @real $($test),+ }
        crate::backends::on_every_backend! { @map reference if not(inflight_loom),
            state_map::model::ReferenceMap<affinity::SessionFingerprint, affinity::SessionEntry>, $($test),+ }
        crate::backends::on_every_backend! { @map adversarial if not(inflight_loom),
            state_map::model::AdversarialMap<affinity::SessionFingerprint, affinity::SessionEntry>, $($test),+ }
    };
}
pub(crate) use on_every_backend;
