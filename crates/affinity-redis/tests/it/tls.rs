//! A server that speaks TLS, with a certificate that the system trusts or does not.

use affinity::{AffinityStore, BindingKind, SessionRef, StoreError};
use affinity_redis::{ConnectError, RedisStore, RedisStoreConfig};

use crate::processes::{self, Router};
use crate::server;

/// In a process of its own, in which that certificate is trusted.
pub(crate) async fn pin_and_say_so(store: &RedisStore) {
    let key = SessionRef::from("chat-17");
    let bound = store
        .claim(key, 7.into(), BindingKind::RouterOnly)
        .await
        .unwrap();
    assert_eq!(store.get(key).await.unwrap(), bound.now);
    println!("{}", processes::DONE);
}

#[tokio::test]
async fn a_certificate_is_trusted_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.path().join(name));
    std::fs::write(&certificate, certified.cert.pem()).unwrap();
    std::fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    let [certificate, key] = [certificate, key].map(|path| path.display().to_string());

    let port = server::free_port().to_string();
    let args = [
        "--tls-port",
        &port,
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &certificate,
        "--tls-auth-clients",
        "no",
    ];
    let Some(_server) = server::start_with(&args).await else {
        return;
    };
    let url = format!("rediss://127.0.0.1:{port}/");

    let connected = RedisStore::connect(RedisStoreConfig::new(&url)).await;
    let error = connected.expect_err("nobody has vouched for it");
    assert!(
        matches!(error, ConnectError::Store(StoreError::Unavailable { .. })),
        "{error:?}"
    );
    let mut trusting = Router::start_at(&url, "tls", &[("SSL_CERT_FILE", &certificate)]);
    assert!(trusting.says(processes::DONE), "it did not come so far");
}
