//! Runs a test on every map that is enabled, and on the two for model checking.

macro_rules! on_every_backend {
    ($($test:ident),+ $(,)?) => {
        crate::backends::on_every_backend! { @map dashmap if feature = "dashmap", phase_state::DashMapPhases, $($test),+ }
        crate::backends::on_every_backend! { @map papaya if feature = "papaya", phase_state::PapayaPhases, $($test),+ }
        crate::backends::on_every_backend! { @map scc if feature = "scc", phase_state::SccPhases, $($test),+ }
        crate::backends::on_every_backend! { @map rwlock if feature = "rwlock", phase_state::RwLockPhases, $($test),+ }
        crate::backends::on_every_backend! { @map reference if not(inflight_loom),
            state_map::model::ReferenceMap<phase_state::RequestKey, phase_state::PhaseEntry>, $($test),+ }
        crate::backends::on_every_backend! { @map adversarial if not(inflight_loom),
            state_map::model::AdversarialMap<phase_state::RequestKey, phase_state::PhaseEntry>, $($test),+ }
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
