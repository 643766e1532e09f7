//! Streams as they should go: both ways, in order, under backpressure, stopped, killed, failed, and drained.

use std::time::Duration;

use crate::common::{client, instance, read_all, server, server_with, settles};
use bytes::Bytes;
use call_home::{
    CallError, CallHomeOptions, Cut, FrontendEnd, Limits, SendError, Signal, StreamError,
    StreamKind, StreamMap, wire::Refusal,
};
use tokio::net::TcpSocket;

crate::backends::on_every_backend! {
    a_response_comes_in_order_and_ends_cleanly,
    a_request_goes_the_other_way,
    pieces_of_every_size_arrive_as_they_are,
    a_failed_prologue_reaches_the_registrant_with_its_reason,
    stop_asks_and_what_is_still_sent_is_read,
    a_kill_reaches_a_producer_that_is_stuck_in_a_write,
    a_reader_dropped_kills_and_a_writer_dropped_cuts,
    a_piece_too_long_is_given_back_and_the_stream_goes_on,
    a_shutdown_lets_registered_streams_be_called_for,
    a_shutdown_cuts_what_has_not_drained,
    a_server_dropped_cancels_everything,
    workers_are_told_why_they_are_refused,
    connections_above_the_limit_are_told_to_call_later,
}

trait Map: StreamMap<FrontendEnd> + Default + 'static {}
impl<M: StreamMap<FrontendEnd> + Default + 'static> Map for M {}

fn numbered(number: u32) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

async fn a_response_comes_in_order_and_ends_cleanly<M: Map>() {
    let server = server::<M>().await;
    let pending = server.register_response();
    let info = pending.info();
    assert_eq!(info.kind, StreamKind::Response);
    assert_eq!(server.stats().streams.pending, 1);
    let worker = tokio::spawn(async move {
        let writer = client().response(&info).await.unwrap().start();
        for number in 0..10_000 {
            writer.send(numbered(number)).await.unwrap();
        }
        writer.finish().await
    });
    let mut reader = pending.await.unwrap();
    let (pieces, end) = read_all(&mut reader).await;
    assert_eq!(end, Ok(()));
    assert!(pieces.into_iter().eq((0..10_000).map(numbered)));
    assert_eq!(reader.next().await, Ok(None), "the end stays the end");
    assert_eq!(worker.await.unwrap(), Ok(()));
    settles(&server).await;
}

async fn a_request_goes_the_other_way<M: Map>() {
    let server = server::<M>().await;
    let pending = server.register_request();
    let info = pending.info();
    let worker = tokio::spawn(async move {
        let mut reader = client().request(&info).await.unwrap();
        read_all(&mut reader).await
    });
    let writer = pending.await.unwrap();
    for number in 0..1_000 {
        writer.send(numbered(number)).await.unwrap();
    }
    assert_eq!(writer.finish().await, Ok(()));
    let (pieces, end) = worker.await.unwrap();
    assert_eq!(end, Ok(()));
    assert!(pieces.into_iter().eq((0..1_000).map(numbered)));
    settles(&server).await;
}

async fn pieces_of_every_size_arrive_as_they_are<M: Map>() {
    // On both sides of what is copied, of a buffer, of a batch; and nothing at all.
    let sizes = [
        0,
        1,
        1023,
        1024,
        1025,
        8191,
        65_535,
        65_536,
        65_537,
        3 << 20,
        16 << 20,
        1,
    ];
    let piece =
        |(index, &size): (usize, &usize)| Bytes::from(vec![u8::try_from(index).unwrap(); size]);
    let server = server::<M>().await;
    let pending = server.register_response();
    let info = pending.info();
    let worker = tokio::spawn(async move {
        let writer = client().response(&info).await.unwrap().start();
        for piece in sizes.iter().enumerate().map(piece) {
            writer.send(piece).await.unwrap();
        }
        writer.finish().await
    });
    let (pieces, end) = read_all(&mut pending.await.unwrap()).await;
    assert_eq!(end, Ok(()));
    assert!(pieces.into_iter().eq(sizes.iter().enumerate().map(piece)));
    assert_eq!(worker.await.unwrap(), Ok(()));
}

async fn a_failed_prologue_reaches_the_registrant_with_its_reason<M: Map>() {
    let server = server::<M>().await;
    for (said, heard) in [
        ("no such model".to_owned(), "no such model".to_owned()),
        ("é".repeat(1_000), "é".repeat(512)),
    ] {
        let pending = server.register_response();
        let info = pending.info();
        let worker =
            tokio::spawn(async move { client().response(&info).await.unwrap().fail(said).await });
        let failed = StreamError::Failed { reason: heard };
        assert_eq!(pending.await.unwrap_err(), failed);
        assert_eq!(worker.await.unwrap(), Ok(()));
    }
    settles(&server).await;
}

async fn stop_asks_and_what_is_still_sent_is_read<M: Map>() {
    let server = server::<M>().await;
    let pending = server.register_response();
    let writer = client().response(&pending.info()).await.unwrap().start();
    let mut reader = pending.await.unwrap();
    writer.send("before").await.unwrap();
    assert_eq!(writer.signal(), Signal::Run);
    reader.stop();
    writer.stopped().await;
    assert_eq!(writer.signal(), Signal::Stop);
    writer.send("after").await.unwrap();
    let (finished, (pieces, end)) = tokio::join!(writer.finish(), read_all(&mut reader));
    assert_eq!((finished, end), (Ok(()), Ok(())));
    assert_eq!(pieces, ["before", "after"]);
    settles(&server).await;
}

async fn a_kill_reaches_a_producer_that_is_stuck_in_a_write<M: Map>() {
    let server = server::<M>().await;
    let pending = server.register_response();
    let writer = client().response(&pending.info()).await.unwrap().start();
    let reader = pending.await.unwrap();
    let flood = async {
        loop {
            if let Err(error) = writer.send(vec![0; 1 << 20]).await {
                return error;
            }
        }
    };
    let (error, ()) = tokio::join!(flood, async {
        tokio::task::yield_now().await;
        reader.kill();
    });
    let SendError::Ended { data, cut } = error else {
        panic!("{error}");
    };
    assert_eq!((data.len(), cut), (1 << 20, Cut::Killed));
    assert_eq!(writer.signal(), Signal::Kill);
    assert_eq!(writer.finish().await, Err(Cut::Killed));
    settles(&server).await;
    let (_, end) = read_all(&mut { reader }).await;
    assert_eq!(end, Err(Cut::Killed));
}

async fn a_reader_dropped_kills_and_a_writer_dropped_cuts<M: Map>() {
    let server = server::<M>().await;
    let pending = server.register_response();
    let writer = client().response(&pending.info()).await.unwrap().start();
    drop(pending.await.unwrap());
    writer.killed().await;
    assert_eq!(writer.finish().await, Err(Cut::Killed));

    let pending = server.register_response();
    let writer = client().response(&pending.info()).await.unwrap().start();
    writer.send("half").await.unwrap();
    drop(writer);
    let (pieces, end) = read_all(&mut pending.await.unwrap()).await;
    assert_eq!(
        (&pieces[..], end),
        (&[Bytes::from("half")][..], Err(Cut::Closed))
    );

    // Before the prologue, too.
    let pending = server.register_response();
    drop(client().response(&pending.info()).await.unwrap());
    assert_eq!(pending.await.unwrap_err(), StreamError::ClaimDropped);
    settles(&server).await;
}

async fn a_piece_too_long_is_given_back_and_the_stream_goes_on<M: Map>() {
    let limits = Limits {
        max_frame: 4,
        ..Limits::default()
    };
    let server = server_with::<M>(CallHomeOptions::default().with_limits(limits)).await;
    let worker = call_home::CallHomeClient::new(limits).unwrap();
    let pending = server.register_response();
    let writer = worker.response(&pending.info()).await.unwrap().start();
    let data = Bytes::from("12345");
    let refused = writer.send(data.clone()).await;
    assert_eq!(refused, Err(SendError::TooLong { data, max_frame: 4 }));
    writer.send("1234").await.unwrap();
    let mut reader = pending.await.unwrap();
    let (finished, (pieces, end)) = tokio::join!(writer.finish(), read_all(&mut reader));
    assert_eq!((finished, end), (Ok(()), Ok(())));
    assert_eq!(pieces, ["1234"]);
}

async fn a_shutdown_lets_registered_streams_be_called_for<M: Map>() {
    let server = server::<M>().await;
    let pending = server.register_response();
    let info = pending.info();
    let (cut, ()) = tokio::join!(server.shutdown(crate::common::HANGS), async {
        let late = server.register_response();
        assert_eq!(late.await.unwrap_err(), StreamError::Cancelled);
        let writer = client().response(&info).await.unwrap().start();
        let mut reader = pending.await.unwrap();
        writer.send("still").await.unwrap();
        let (finished, (pieces, end)) = tokio::join!(writer.finish(), read_all(&mut reader));
        assert_eq!((pieces.len(), finished, end), (1, Ok(()), Ok(())));
    });
    assert_eq!(cut, 0);
    assert_eq!(server.stats(), call_home::CallHomeStats::default());
    // Bound, and not listened on: while it is ours, no other test is given the port.
    let bound = TcpSocket::new_v4().unwrap();
    bound.set_reuseaddr(true).unwrap();
    bound.bind(server.address()).expect("the address is free");
    let refused = client().response(&info).await.unwrap_err();
    assert!(matches!(refused, CallError::Connect { .. }), "{refused}");
    assert_eq!(server.shutdown(Duration::ZERO).await, 0, "and again");
}

async fn a_shutdown_cuts_what_has_not_drained<M: Map>() {
    let server = server::<M>().await;
    let silent = crate::common::raw(server.address()).await;
    let waiting = server.register_response();
    let claimed = server.register_response();
    let call = client().response(&claimed.info()).await.unwrap();
    let used = server.register_response();
    let writer = client().response(&used.info()).await.unwrap().start();
    let mut reader = used.await.unwrap();
    assert_eq!(server.shutdown(Duration::ZERO).await, 3);
    assert_eq!(server.stats(), call_home::CallHomeStats::default());
    assert_eq!(waiting.await.unwrap_err(), StreamError::Cancelled);
    assert_eq!(claimed.await.unwrap_err(), StreamError::Cancelled);
    assert_eq!(reader.next().await, Err(Cut::Cancelled));
    call.cancelled().await;
    writer.killed().await;
    assert_eq!(writer.finish().await, Err(Cut::Killed));
    assert!(
        crate::common::until_closed(&mut { silent })
            .await
            .is_empty()
    );
}

async fn a_server_dropped_cancels_everything<M: Map>() {
    let server = server::<M>().await;
    let waiting = server.register_response();
    let used = server.register_response();
    let writer = client().response(&used.info()).await.unwrap().start();
    let mut reader = used.await.unwrap();
    drop(server);
    assert_eq!(waiting.await.unwrap_err(), StreamError::Cancelled);
    assert_eq!(reader.next().await, Err(Cut::Cancelled));
    writer.killed().await;
}

async fn workers_are_told_why_they_are_refused<M: Map>() {
    let server = server::<M>().await;
    let pending = server.register_response();
    let info = pending.info();
    let worker = client();
    let refusal = |refused: CallError| match refused {
        CallError::Refused(refusal) => refusal,
        other => panic!("{other}"),
    };

    let wrong = worker.request(&info).await.unwrap_err();
    let registered = StreamKind::Response;
    assert!(matches!(wrong, CallError::WrongKind { registered: is } if is == registered));
    let lied = call_home::ConnectionInfo {
        kind: StreamKind::Request,
        ..info
    };
    let wrong = worker.request(&lied).await.unwrap_err();
    assert_eq!(refusal(wrong), Refusal::WrongKind);

    let _call = worker.response(&info).await.unwrap();
    let second = worker.response(&info).await.unwrap_err();
    assert_eq!(refusal(second), Refusal::AlreadyClaimed);

    server.associate(&[info.id], &instance(1)).unwrap();
    assert_eq!(server.cancel_instance(&instance(1)), 1);
    let late = worker.response(&info).await.unwrap_err();
    assert_eq!(refusal(late), Refusal::Unknown);
    drop(pending);
    settles(&server).await;
}

async fn connections_above_the_limit_are_told_to_call_later<M: Map>() {
    let server = server_with::<M>(CallHomeOptions::default().with_max_connections(1)).await;
    let (first, second) = (server.register_response(), server.register_response());
    let call = client().response(&first.info()).await.unwrap();
    let busy = client().response(&second.info()).await.unwrap_err();
    assert!(matches!(busy, CallError::Refused(Refusal::Busy)), "{busy}");
    drop(call);
    assert_eq!(first.await.unwrap_err(), StreamError::ClaimDropped);
    while server.stats().connections > 0 {
        tokio::task::yield_now().await;
    }
    let _call = client().response(&second.info()).await.unwrap();
}
