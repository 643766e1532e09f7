//! What a map may be asked for: errors that name the value and the rule, and no panic.

use state_map::{ConfigError, MAX_CAPACITY};

macro_rules! capacities {
    ($($feature:literal $test:ident: $backend:ident;)+) => { $(
        #[cfg(feature = $feature)]
        #[test]
        fn $test() {
            use state_map::{$backend, MapSession, StateMap};

            for capacity in [0, 1, 1_000] {
                let map = $backend::<u64, ()>::with_capacity(capacity).expect("an allowed capacity");
                assert!(map.is_empty());
                for key in 0..2_000 {
                    assert!(map.session().insert_if_absent(key, (), |()| ()).is_ok());
                }
                assert_eq!(map.len(), 2_000, "a map grows past its capacity");
            }
            assert!($backend::<u64, ()>::with_capacity(MAX_CAPACITY).is_ok());
            for value in [MAX_CAPACITY + 1, usize::MAX] {
                let error = $backend::<u64, ()>::with_capacity(value).expect_err("too much");
                assert_eq!(error, ConfigError::Capacity { value });
                assert!(error.to_string().contains(&value.to_string()), "{error}");
            }
        }
    )+ };
}

capacities! {
    "dashmap" dashmap: DashMapBackend;
    "papaya" papaya: PapayaBackend;
    "scc" scc: SccBackend;
    "rwlock" rwlock: RwLockBackend;
}

#[cfg(feature = "dashmap")]
#[test]
fn shards() {
    use state_map::{DashMapBackend, DefaultHashBuilder, MAX_SHARDS};

    let build = |capacity, shards| {
        DashMapBackend::<u64, ()>::with_capacity_hasher_and_shards(
            capacity,
            DefaultHashBuilder::default(),
            shards,
        )
    };
    for shards in [2, 8, 1_024, MAX_SHARDS] {
        assert!(build(0, shards).is_ok());
    }
    for (value, nearest) in [
        (0, 2),
        (1, 2),
        (3, 4),
        (100, 128),
        (MAX_SHARDS + 1, MAX_SHARDS),
        (usize::MAX, MAX_SHARDS),
    ] {
        let error = build(0, value).expect_err("not an allowed count");
        assert_eq!(error, ConfigError::Shards { value, nearest });
        assert!(
            error.to_string().contains(&format!("ask for {nearest}")),
            "{error}"
        );
    }
    assert!(matches!(
        build(usize::MAX, 2),
        Err(ConfigError::Capacity { .. })
    ));
}
