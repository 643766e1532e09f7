//! Streams that are cancelled, at every point of their life, by every way of cancelling.

use crate::common::{client, instance, read_all, server, settles};
use call_home::{
    CallError, Cut, EndpointInstanceId, FrontendEnd, StreamError, StreamMap, wire::Refusal,
};

crate::backends::on_every_backend! {
    between_register_and_associate,
    after_the_claim_and_before_the_prologue,
    while_data_flows_both_ways,
    while_nobody_reads,
    an_association_that_comes_too_late_cuts_a_live_connection,
    the_same_number_in_two_namespaces_is_two_instances,
    an_instance_that_reappears_can_be_told_so,
    a_claim_races_a_cancellation,
    a_registrant_that_goes_sends_its_worker_away,
}

trait Map: StreamMap<FrontendEnd> + Default + 'static {}
impl<M: StreamMap<FrontendEnd> + Default + 'static> Map for M {}

fn gone(instance: EndpointInstanceId) -> StreamError {
    StreamError::InstanceGone { instance }
}

async fn between_register_and_associate<M: Map>() {
    let server = server::<M>().await;
    let (request, response) = (server.register_request(), server.register_response());
    assert_eq!(server.cancel_instance(&instance(1)), 0);
    let refused = server.associate(&[request.id(), response.id()], &instance(1));
    assert_eq!(refused.unwrap_err().instance, instance(1));
    let late = client().response(&response.info()).await.unwrap_err();
    assert!(
        matches!(late, CallError::Refused(Refusal::Unknown)),
        "{late}"
    );
    assert_eq!(request.await.unwrap_err(), gone(instance(1)));
    assert_eq!(response.await.unwrap_err(), gone(instance(1)));
    settles(&server).await;
}

async fn after_the_claim_and_before_the_prologue<M: Map>() {
    let server = server::<M>().await;
    let pending = server.register_response();
    server.associate(&[pending.id()], &instance(1)).unwrap();
    let call = client().response(&pending.info()).await.unwrap();
    assert_eq!(server.stats().streams.claimed, 1);
    assert_eq!(server.cancel_instance(&instance(1)), 1);
    assert_eq!(pending.await.unwrap_err(), gone(instance(1)));
    call.cancelled().await;
    let writer = call.start();
    assert_eq!(writer.finish().await, Err(Cut::Killed));
    settles(&server).await;
}

async fn while_data_flows_both_ways<M: Map>() {
    let server = server::<M>().await;
    let (request, response) = (server.register_request(), server.register_response());
    server
        .associate(&[request.id(), response.id()], &instance(1))
        .unwrap();
    let (asked, answers) = (request.info(), response.info());
    let worker = tokio::spawn(async move {
        let mut questions = client().request(&asked).await.unwrap();
        let writer = client().response(&answers).await.unwrap().start();
        while let Ok(Some(question)) = questions.next().await {
            if writer.send(question).await.is_err() {
                break;
            }
        }
        let (_, end) = read_all(&mut questions).await;
        (end, writer.finish().await)
    });
    let (writer, mut reader) = (request.await.unwrap(), response.await.unwrap());
    for _ in 0..100 {
        writer.send("ping").await.unwrap();
        assert_eq!(reader.next().await.unwrap().unwrap(), "ping");
    }
    assert_eq!(server.stats().streams.established, 2);
    assert_eq!(server.stats().streams.instances, 1);
    assert_eq!(server.cancel_instance(&instance(1)), 2);
    assert_eq!(reader.next().await, Err(Cut::Cancelled));
    writer.killed().await;
    assert_eq!(writer.finish().await, Err(Cut::Cancelled));
    assert_eq!(worker.await.unwrap(), (Err(Cut::Closed), Err(Cut::Killed)));
    settles(&server).await;
}

async fn while_nobody_reads<M: Map>() {
    let server = server::<M>().await;
    let pending = server.register_response();
    let id = pending.id();
    let writer = client().response(&pending.info()).await.unwrap().start();
    let mut reader = pending.await.unwrap();
    let flood = tokio::spawn(async move {
        while writer.send("token").await.is_ok() {}
        writer.finish().await
    });
    // One piece, so that there are some, and nothing more.
    assert_eq!(reader.next().await.unwrap().unwrap(), "token");
    assert!(server.cancel(id));
    assert!(!server.cancel(id));
    settles(&server).await;
    assert_eq!(flood.await.unwrap(), Err(Cut::Killed));
    let (pieces, end) = read_all(&mut reader).await;
    assert!(pieces.len() <= 64, "no more than the buffer");
    assert_eq!(end, Err(Cut::Cancelled));
}

async fn an_association_that_comes_too_late_cuts_a_live_connection<M: Map>() {
    let server = server::<M>().await;
    let pending = server.register_response();
    let id = pending.id();
    let writer = client().response(&pending.info()).await.unwrap().start();
    let mut reader = pending.await.unwrap();
    server.cancel_instance(&instance(1));
    assert!(server.associate(&[id], &instance(1)).is_err());
    assert_eq!(reader.next().await, Err(Cut::Cancelled));
    writer.killed().await;
    settles(&server).await;
}

async fn the_same_number_in_two_namespaces_is_two_instances<M: Map>() {
    let server = server::<M>().await;
    let (here, there) = (
        instance(7),
        EndpointInstanceId::new("test", "decode", "generate", 7).unwrap(),
    );
    let (a, b) = (server.register_response(), server.register_response());
    server.associate(&[a.id()], &here).unwrap();
    server.associate(&[b.id()], &there).unwrap();
    let (call_a, call_b) = (
        client().response(&a.info()).await.unwrap(),
        client().response(&b.info()).await.unwrap(),
    );
    assert_eq!(server.cancel_instance(&here), 1);
    assert_eq!(a.await.unwrap_err(), gone(here));
    call_a.cancelled().await;
    let writer = call_b.start();
    let mut reader = b.await.unwrap();
    let (finished, end) = tokio::join!(writer.finish(), reader.next());
    assert_eq!((finished, end), (Ok(()), Ok(None)));
    settles(&server).await;
}

async fn an_instance_that_reappears_can_be_told_so<M: Map>() {
    let server = server::<M>().await;
    server.cancel_instance(&instance(1));
    assert_eq!(server.stats().streams.tombstones, 1);
    let early = server.register_response();
    assert!(server.associate(&[early.id()], &instance(1)).is_err());
    assert!(server.clear_tombstone(&instance(1)));
    let pending = server.register_response();
    server.associate(&[pending.id()], &instance(1)).unwrap();
    let writer = client().response(&pending.info()).await.unwrap().start();
    let mut reader = pending.await.unwrap();
    let (finished, end) = tokio::join!(writer.finish(), reader.next());
    assert_eq!((finished, end), (Ok(()), Ok(None)));
}

/// Whoever wins, both sides are told, and nothing is left.
async fn a_claim_races_a_cancellation<M: Map>() {
    let server = std::sync::Arc::new(server::<M>().await);
    for round in 0..200 {
        let pending = server.register_response();
        let (id, info) = (pending.id(), pending.info());
        server.associate(&[id], &instance(round)).unwrap();
        let canceller = tokio::spawn({
            let server = std::sync::Arc::clone(&server);
            async move {
                for _ in 0..round % 8 {
                    tokio::task::yield_now().await;
                }
                server.cancel_instance(&instance(round))
            }
        });
        let worker = tokio::spawn(async move {
            match client().response(&info).await {
                Ok(call) => call.start().finish().await.map_err(CallError::Cut),
                Err(error) => Err(error),
            }
        });
        let registrant = async {
            match pending.await {
                Ok(mut reader) => reader.next().await.map_err(Ok),
                Err(error) => Err(Err(error)),
            }
        };
        let (heard, said, ended) = tokio::join!(registrant, worker, canceller);
        match heard {
            // A cancellation may still find a stream that is about to leave.
            Ok(end) => {
                let streams = server.stats().streams;
                assert_eq!(
                    streams.established, 0,
                    "gone before its reader hears of the end"
                );
                assert_eq!((end, said.unwrap().is_ok()), (None, true));
            }
            Err(why) => {
                assert_eq!(ended.unwrap(), 1);
                assert!(why == Ok(Cut::Cancelled) || why == Err(gone(instance(round))));
                assert!(
                    said.unwrap().is_err(),
                    "cut for the one, and not for the other"
                );
            }
        }
    }
    settles(&server).await;
}

async fn a_registrant_that_goes_sends_its_worker_away<M: Map>() {
    let server = server::<M>().await;
    let pending = server.register_response();
    let info = pending.info();
    let call = client().response(&info).await.unwrap();
    drop(pending);
    assert_eq!(server.stats().streams.claimed, 0, "at once");
    call.cancelled().await;
    let late = client().response(&info).await.unwrap_err();
    assert!(
        matches!(late, CallError::Refused(Refusal::Unknown)),
        "{late}"
    );
    settles(&server).await;
}
