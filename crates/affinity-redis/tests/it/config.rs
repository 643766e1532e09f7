//! What no store is made of, and what the configuration shows.

use std::time::Duration;

use affinity::{SessionKey, StoreError};
use affinity_redis::{
    ConfigError, ConnectError, DurationField, RedisStore, RedisStoreConfig, Swept,
};
use static_assertions::assert_impl_all;

use crate::server;

assert_impl_all!(RedisStore: Clone, Send, Sync, std::fmt::Debug, Unpin);
assert_impl_all!(RedisStoreConfig: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(ConnectError: std::error::Error, Clone, Send, Sync);
assert_impl_all!(Swept: Copy, Send, Sync);

fn refused(change: impl FnOnce(&mut RedisStoreConfig)) -> ConfigError {
    let mut config = RedisStoreConfig::default();
    assert_eq!(config.validate(), Ok(()));
    change(&mut config);
    config.validate().expect_err("refused")
}

fn accepted(change: impl FnOnce(&mut RedisStoreConfig)) {
    let mut config = RedisStoreConfig::default();
    change(&mut config);
    assert_eq!(config.validate(), Ok(()));
}

#[test]
fn times_are_neither_nothing_nor_for_ever() {
    let (millisecond, ever) = (Duration::from_millis(1), Duration::MAX);
    for value in [Duration::ZERO, Duration::from_micros(999), ever] {
        for field in [
            DurationField::Ttl,
            DurationField::Timeout,
            DurationField::ClaimTtl,
        ] {
            let error = refused(|config| match field {
                DurationField::Ttl => config.ttl = value,
                DurationField::Timeout => config.timeout = value,
                DurationField::ClaimTtl => config.claim_ttl = value,
            });
            let ConfigError::Duration {
                field: named,
                value: said,
                max,
            } = &error
            else {
                panic!("{error:?}");
            };
            assert_eq!((*named, *said), (field, value));
            assert!(*max < ever);
            assert!(
                error
                    .to_string()
                    .contains(&format!("`{field}` is {value:?}")),
                "{error}"
            );
        }
    }
    let max = RedisStoreConfig::MAX_TTL;
    accepted(|config| {
        (config.ttl, config.timeout, config.claim_ttl) = (millisecond, millisecond, millisecond);
    });
    accepted(|config| config.ttl = max);
    assert_eq!(
        refused(|config| config.ttl = max + Duration::from_nanos(1)),
        ConfigError::Duration {
            field: DurationField::Ttl,
            value: max + Duration::from_nanos(1),
            max
        }
    );
}

#[test]
fn a_prefix_groups_keys_and_says_nothing_of_its_own_in_braces() {
    for value in ["", "{", "a}b", "{tag}", &"x".repeat(129)] {
        let value = value.to_owned();
        assert_eq!(
            refused(|config| config.prefix = value.clone()),
            ConfigError::Prefix { value }
        );
    }
    accepted(|config| config.prefix = "x".repeat(128));
    accepted(|config| config.prefix = "prod:eu é\n".to_owned());
}

#[test]
fn buckets_and_keys_have_bounds() {
    for value in [0, 16_385, u16::MAX] {
        assert_eq!(
            refused(|config| config.buckets = value),
            ConfigError::Buckets { value }
        );
    }
    for value in [0, SessionKey::MAX_LEN + 1, usize::MAX] {
        assert_eq!(
            refused(|config| config.max_key_len = value),
            ConfigError::MaxKeyLen { value }
        );
    }
    accepted(|config| (config.buckets, config.max_key_len) = (16_384, SessionKey::MAX_LEN));
}

#[test]
fn a_url_is_never_repeated() {
    for url in [
        "",
        "localhost",
        "http://user:secret@h/",
        "redis://user:secret@h:port/",
        "redis://user:secret@h/db",
    ] {
        let config = RedisStoreConfig::new(url);
        let error = config.validate().expect_err("no server");
        assert!(matches!(error, ConfigError::Url { .. }), "{error:?}");
        let shown = format!("{error} {error:?} {config:?}");
        assert!(!shown.contains("secret"), "{shown}");
    }
    let config = RedisStoreConfig::new("redis://user:secret@cache.internal:6380/1");
    let shown = format!("{config:?}");
    assert!(
        shown.contains("cache.internal:6380") && !shown.contains("secret"),
        "{shown}"
    );
}

#[cfg(not(feature = "tls"))]
#[tokio::test]
async fn without_the_feature_tls_says_so() {
    let connected = RedisStore::connect(RedisStoreConfig::new("rediss://127.0.0.1/")).await;
    let error = connected.expect_err("no TLS").to_string();
    assert!(error.contains("the feature `tls`"), "{error}");
}

#[cfg(feature = "serde")]
#[test]
fn a_file_may_leave_everything_out_and_add_nothing() {
    let config: RedisStoreConfig = serde_json::from_str("{}").unwrap();
    assert_eq!(config, RedisStoreConfig::default());
    let text = r#"{"prefix": "p", "buckets": 4, "ttl": {"secs": 1, "nanos": 0}}"#;
    let config: RedisStoreConfig = serde_json::from_str(text).unwrap();
    assert_eq!(
        (&*config.prefix, config.buckets, config.ttl),
        ("p", 4, Duration::from_secs(1))
    );
    assert!(serde_json::from_str::<RedisStoreConfig>(r#"{"bukets": 4}"#).is_err());
}

#[tokio::test]
async fn a_config_that_is_wrong_is_refused_before_anything_is_tried() {
    let config = RedisStoreConfig {
        ttl: Duration::ZERO,
        ..RedisStoreConfig::new("redis://127.0.0.1:1/")
    };
    let error = RedisStore::connect(config).await.expect_err("refused");
    assert!(
        matches!(error, ConnectError::Config(ConfigError::Duration { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn where_no_server_is_nothing_connects() {
    let config = RedisStoreConfig::new(format!("redis://127.0.0.1:{}/", server::free_port()));
    let error = RedisStore::connect(config).await.expect_err("no server");
    assert!(
        matches!(error, ConnectError::Store(StoreError::Unavailable { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn routers_that_would_look_elsewhere_are_refused() {
    let Some(server) = server::start().await else {
        return;
    };
    let first = server.store().await;
    let again = server.store().await;
    assert_eq!(first.config(), again.config());

    let other = RedisStoreConfig {
        buckets: 4,
        ..server.config()
    };
    let error = RedisStore::connect(other.clone())
        .await
        .expect_err("refused");
    let ConnectError::Layout {
        prefix,
        found,
        ours,
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(prefix, "affinity");
    assert!(
        found.contains("16 buckets") && ours.contains("4 buckets"),
        "{error}"
    );

    let elsewhere = RedisStoreConfig {
        prefix: "other".to_owned(),
        ..other
    };
    assert!(RedisStore::connect(elsewhere).await.is_ok());
}
