//! Runs an async test on every map that is enabled.

macro_rules! on_every_backend {
    ($($test:ident),+ $(,)?) => {
        crate::backends::on_every_backend! { @map dashmap if "dashmap", call_home::DashMapStreams, $($test),+ }
        crate::backends::on_every_backend! { @map papaya if "papaya", call_home::PapayaStreams, $($test),+ }
        crate::backends::on_every_backend! { @map scc if "scc", call_home::SccStreams, $($test),+ }
        crate::backends::on_every_backend! { @map rwlock if "rwlock", call_home::RwLockStreams, $($test),+ }
    };
    (@map $name:ident if $feature:literal, $map:ty, $($test:ident),+) => {
        #[cfg(feature = $feature)]
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
