//! Runs a test on every map that is enabled, and on the two for model checking. The streams are of the file's `Value`.

macro_rules! on_every_backend {
    ($($test:ident),+ $(,)?) => {
        crate::backends::on_every_backend! { @map dashmap if feature = "dashmap", stream_registry::DashMapStreams<super::Value>, $($test),+ }
        crate::backends::on_every_backend! { @map papaya if feature = "papaya", stream_registry::PapayaStreams<super::Value>, $($test),+ }
        crate::backends::on_every_backend! { @map scc if feature = "scc", stream_registry::SccStreams<super::Value>, $($test),+ }
        crate::backends::on_every_backend! { @map rwlock if feature = "rwlock", stream_registry::RwLockStreams<super::Value>, $($test),+ }
        crate::backends::on_every_backend! { @map reference if not(inflight_loom),
            state_map::model::ReferenceMap<stream_registry::StreamId, stream_registry::StreamEntry<super::Value>>, $($test),+ }
        crate::backends::on_every_backend! { @map adversarial if not(inflight_loom),
            state_map::model::AdversarialMap<stream_registry::StreamId, stream_registry::StreamEntry<super::Value>>, $($test),+ }
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
