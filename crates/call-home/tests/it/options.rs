//! Options that make no sense are refused with a way out, and every type can cross threads.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use call_home::{
    BindError, CallHomeClient, CallHomeOptions, CallHomeServer, ConnectionInfo, Limits,
    OptionsError, PendingStream, ResponseCall, StreamReader, StreamWriter,
};
use static_assertions::assert_impl_all;

assert_impl_all!(CallHomeServer: Send, Sync, std::fmt::Debug);
assert_impl_all!(CallHomeClient: Send, Sync, Clone, std::fmt::Debug);
assert_impl_all!(StreamReader: Send, Sync, Unpin, futures_core::Stream);
assert_impl_all!(StreamWriter: Send, Sync, Unpin);
assert_impl_all!(ResponseCall: Send, Sync);
assert_impl_all!(PendingStream<StreamReader>: Send, Sync, Unpin, Future);
assert_impl_all!(ConnectionInfo: Copy, Send, Sync);

async fn refused(options: CallHomeOptions) -> OptionsError {
    match CallHomeServer::bind(options).await {
        Err(BindError::Options(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn limits_that_nothing_can_be_done_within() {
    let sane = Limits::default();
    for (limits, says) in [
        (
            Limits {
                handshake_deadline: Duration::ZERO,
                ..sane
            },
            "`handshake_deadline` is zero",
        ),
        (
            Limits {
                frame_deadline: Duration::ZERO,
                ..sane
            },
            "`frame_deadline` is zero",
        ),
        (
            Limits {
                keep_alive: Duration::ZERO,
                ..sane
            },
            "`keep_alive` is zero",
        ),
        (
            Limits {
                max_frame: 0,
                ..sane
            },
            "`max_frame` is 0",
        ),
        (
            Limits {
                max_frame: Limits::MOST_FRAME + 1,
                ..sane
            },
            "`max_frame` is 4294967295",
        ),
    ] {
        let error = refused(CallHomeOptions::default().with_limits(limits)).await;
        assert!(error.to_string().starts_with(says), "{error}");
        assert_eq!(CallHomeClient::new(limits).unwrap_err(), error);
    }
    let error = refused(CallHomeOptions::default().with_max_connections(0)).await;
    assert_eq!(error, OptionsError::NoConnections);
}

#[tokio::test]
async fn a_server_on_every_interface_has_to_know_its_address() {
    let everywhere = CallHomeOptions::default().with_address((Ipv4Addr::UNSPECIFIED, 0));
    let error = refused(everywhere.clone()).await;
    assert!(
        matches!(error, OptionsError::Unadvertised { .. }),
        "{error}"
    );
    let advertised = everywhere.with_advertised((Ipv4Addr::LOCALHOST, 0));
    let server = CallHomeServer::bind(advertised).await.unwrap();
    assert_eq!(server.address().ip(), Ipv4Addr::LOCALHOST);
    assert_ne!(server.address().port(), 0, "the one that it listens on");
    let pending = server.register_response();
    let call = crate::common::client()
        .response(&pending.info())
        .await
        .unwrap();
    drop(call.start());
    assert!(pending.await.is_ok());
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let first = CallHomeServer::bind(CallHomeOptions::default())
        .await
        .unwrap();
    let taken = CallHomeOptions::default().with_address(first.address());
    match CallHomeServer::bind(taken).await {
        Err(BindError::Listen { address, .. }) => assert_eq!(address, first.address()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn it_listens_on_ipv6_where_there_is_any() {
    let address: SocketAddr = "[::1]:0".parse().unwrap();
    match CallHomeServer::bind(CallHomeOptions::default().with_address(address)).await {
        Ok(server) => {
            let pending = server.register_response();
            let call = crate::common::client()
                .response(&pending.info())
                .await
                .unwrap();
            drop(call.start());
            assert!(pending.await.is_ok());
        }
        Err(BindError::Listen { address: named, .. }) => assert_eq!(named, address),
        Err(other) => panic!("{other}"),
    }
}

/// What nothing polls needs no runtime to be registered, looked at or dropped.
#[test]
fn registering_and_dropping_need_no_runtime() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime
        .block_on(CallHomeServer::bind(CallHomeOptions::default()))
        .unwrap();
    let (request, response) = (server.register_request(), server.register_response());
    assert_eq!(server.stats().streams.pending, 2);
    drop(request);
    assert_eq!(server.stats().streams.pending, 1, "synchronously");
    // The runtime goes first, and takes the accepting task with it.
    drop(runtime);
    assert_eq!(server.stats().streams.pending, 0);
    drop((server, response));
}
