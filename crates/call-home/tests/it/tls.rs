//! Streams under TLS, and peers that do not speak it.

use std::sync::Arc;
use std::time::Duration;

use crate::common::{client, read_all, server, server_with, settles};
use bytes::Bytes;
use call_home::{CallError, CallHomeClient, CallHomeOptions, FrontendEnd, Limits, StreamMap};
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

crate::backends::on_every_backend! {
    streams_go_both_ways_under_tls,
    whoever_does_not_speak_tls_gets_nothing,
    a_certificate_for_another_name_is_not_taken,
}

trait Map: StreamMap<FrontendEnd> + Default + 'static {}
impl<M: StreamMap<FrontendEnd> + Default + 'static> Map for M {}

const NAME: &str = "frontend.test";

struct Secrets {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

fn secrets() -> Secrets {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let certificate = made.cert.der().clone();
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Secrets {
        server: Arc::new(server),
        client: Arc::new(client),
    }
}

fn worker(secrets: &Secrets, name: &'static str) -> CallHomeClient {
    client().with_tls(
        Arc::clone(&secrets.client),
        ServerName::try_from(name).unwrap(),
    )
}

async fn streams_go_both_ways_under_tls<M: Map>() {
    let secrets = secrets();
    let options = CallHomeOptions::default().with_tls(Arc::clone(&secrets.server));
    let server = server_with::<M>(options).await;
    let (request, response) = (server.register_request(), server.register_response());
    let (asked, answers) = (request.info(), response.info());
    let echo = tokio::spawn(async move {
        let worker = worker(&secrets, NAME);
        let mut questions = worker.request(&asked).await.unwrap();
        let writer = worker.response(&answers).await.unwrap().start();
        while let Some(question) = questions.next().await.unwrap() {
            writer.send(question).await.unwrap();
        }
        writer.finish().await
    });
    let pieces: Vec<_> = [1, 100, 1 << 20, 16_384, 0]
        .map(|size| Bytes::from(vec![3; size]))
        .into();
    let writer = request.await.unwrap();
    let mut reader = response.await.unwrap();
    let ask = async {
        for piece in &pieces {
            writer.send(piece.clone()).await.unwrap();
        }
        writer.finish().await
    };
    let (asked, (heard, end)) = tokio::join!(ask, read_all(&mut reader));
    assert_eq!((asked, end, echo.await.unwrap()), (Ok(()), Ok(()), Ok(())));
    assert_eq!(heard, pieces);
    settles(&server).await;
}

async fn whoever_does_not_speak_tls_gets_nothing<M: Map>() {
    let secrets = secrets();
    let limits = Limits {
        handshake_deadline: Duration::from_millis(50),
        ..Limits::default()
    };
    let options = CallHomeOptions::default()
        .with_limits(limits)
        .with_tls(Arc::clone(&secrets.server));
    let secured = server_with::<M>(options).await;
    let pending = secured.register_response();
    let plain = client().response(&pending.info()).await.unwrap_err();
    assert!(matches!(plain, CallError::Cut(_)), "{plain}");
    let mut silent = crate::common::raw(secured.address()).await;
    assert!(crate::common::until_closed(&mut silent).await.is_empty());
    assert_eq!(secured.stats().streams.pending, 1, "it waits on");
    drop(pending);
    settles(&secured).await;

    let plain = server::<M>().await;
    let pending = plain.register_response();
    let lost = worker(&secrets, NAME).response(&pending.info()).await;
    assert!(matches!(lost, Err(CallError::Connect { .. })), "{lost:?}");
}

async fn a_certificate_for_another_name_is_not_taken<M: Map>() {
    let secrets = secrets();
    let options = CallHomeOptions::default().with_tls(Arc::clone(&secrets.server));
    let server = server_with::<M>(options).await;
    let pending = server.register_response();
    let lost = worker(&secrets, "other.test")
        .response(&pending.info())
        .await;
    assert!(matches!(lost, Err(CallError::Connect { .. })), "{lost:?}");
    settles_but_for_one(&server).await;
}

async fn settles_but_for_one<M: Map>(server: &call_home::CallHomeServer<M>) {
    while server.stats().connections > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.stats().streams.pending, 1);
}
