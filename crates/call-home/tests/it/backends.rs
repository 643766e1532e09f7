//! Runs an async test on every map that is enabled, and on the two that are there always.

macro_rules! on_every_backend {
    ($($test:ident),+ $(,)?) => {
        crate::backends::on_every_backend! { @map dashmap if feature = "dashmap", call_home::DashMapStreams, $($test),+ }
        crate::backends::on_every_backend! { @map papaya if feature = "papaya", call_home::PapayaStreams, $($test),+ }
        crate::backends::on_every_backend! { @map scc if feature = "scc", call_home::SccStreams, $($test),+ }
        crate::backends::on_every_backend! { @map rwlock if feature = "rwlock", call_home::RwLockStreams, $($test),+ }
        crate::backends::on_every_backend! { @map reference if all(),
            state_map::model::ReferenceMap<call_home::StreamId, stream_registry::StreamEntry<call_home::FrontendEnd>>, $($test),+ }
        crate::backends::on_every_backend! { @map adversarial if all(),
            state_map::model::AdversarialMap<call_home::StreamId, stream_registry::StreamEntry<call_home::FrontendEnd>>, $($test),+ }
    };
    (@map $name:ident if $cfg:meta, $map:ty, $($test:ident),+) => {
        #[cfg($cfg)]
        mod $name {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    crate::common::within_bounds(super::$test::<$map>()).await;
                }
            )+
        }
    };
}
pub(crate) use on_every_backend;
