//! Both pumps over a pipe in memory, in a time that passes only when nothing else happens.

use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::{StreamReader, StreamWriter};

/// More than anything here waits for, and less than for ever.
const AGES: Duration = Duration::from_secs(1_000_000);

fn limits() -> Limits {
    Limits {
        buffer: 0,
        max_frame: 1000,
        ..Limits::default()
    }
}

type Outcome = JoinHandle<Result<(), Cut>>;

fn producer(stream: DuplexStream, limits: Limits) -> (StreamWriter, Outcome) {
    let (writer, mut drain) = StreamWriter::new(&limits);
    let task = tokio::spawn(async move {
        let mut link = Link::new(stream, &limits, 1);
        let outcome = produce(&mut link, &mut drain, pending()).await;
        drain.end(outcome);
        outcome
    });
    (writer, task)
}

fn consumer(stream: DuplexStream, limits: Limits) -> (StreamReader, Outcome) {
    cancelled_consumer(stream, limits, pending())
}

fn cancelled_consumer(
    stream: DuplexStream,
    limits: Limits,
    cancelled: impl Future<Output = ()> + Send + 'static,
) -> (StreamReader, Outcome) {
    let (reader, mut feed) = StreamReader::new(&limits);
    let task = tokio::spawn(async move {
        let mut link = Link::new(stream, &limits, 1);
        let outcome = consume(&mut link, &limits, &mut feed, cancelled).await;
        feed.end(outcome);
        outcome
    });
    (reader, task)
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_does_not_read_stops_its_producer() {
    let limits = Limits {
        frame_deadline: AGES * 2,
        ..limits()
    };
    let (near, far) = duplex(100);
    let (writer, _task) = producer(near, limits);
    let (mut reader, _other) = consumer(far, limits);
    let piece = Bytes::from(vec![7; 100]);
    let mut sent = 0;
    while timeout(AGES, writer.send(piece.clone())).await.is_ok() {
        sent += 1;
        assert!(sent < 1000, "the producer was not stopped");
    }
    // On each side one waits and one is in hand; the pipe holds less than one, and a batch was gathered meanwhile.
    assert!(sent <= 8, "{sent} pieces are under way");
    for _ in 0..sent {
        assert_eq!(reader.next().await, Ok(Some(piece.clone())));
    }
    let (finished, end) = tokio::join!(writer.finish(), reader.next());
    assert_eq!((finished, end), (Ok(()), Ok(None)));
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_waits_for_its_reader_hears_of_a_kill_and_of_a_cancellation() {
    for cancels in [true, false] {
        let (near, far) = duplex(100);
        let (cancel, cancelled) = tokio::sync::oneshot::channel::<()>();
        let (writer, _task) = producer(near, limits());
        let (mut reader, task) = cancelled_consumer(far, limits(), async move {
            let _ = cancelled.await;
        });
        let enough = Duration::from_secs(1);
        while timeout(enough, writer.send(vec![7; 100])).await.is_ok() {}
        let why = if cancels {
            drop(cancel);
            Cut::Cancelled
        } else {
            reader.kill();
            Cut::Killed
        };
        assert_eq!(task.await.unwrap(), Err(why));
        // One had been handed over; the one that waited to be is gone.
        assert_eq!(reader.next().await.unwrap().unwrap().len(), 100);
        assert_eq!(reader.next().await, Err(why));
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_no_fault_and_half_a_frame_is() {
    let (mut peer, near) = duplex(100);
    let (mut reader, task) = consumer(near, limits());
    assert!(
        timeout(AGES, reader.next()).await.is_err(),
        "silent for days"
    );
    // One byte a second: each is progress, and the whole is not.
    let drip = tokio::spawn(async move {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        for byte in [0, 0, 0, 200, 6].into_iter().chain([0; 199]) {
            second.tick().await;
            if peer.write_all(&[byte]).await.is_err() {
                return;
            }
        }
        panic!("it was allowed to go on to the end");
    });
    let deadline = limits().frame_deadline;
    assert_eq!(reader.next().await, Err(Cut::Slow { deadline }));
    assert_eq!(task.await.unwrap(), Err(Cut::Slow { deadline }));
    drip.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_take_what_is_sent_is_cut() {
    let (_peer, near) = duplex(100);
    let (writer, task) = producer(near, limits());
    let deadline = limits().frame_deadline;
    writer.send(vec![0; 1000]).await.unwrap();
    writer.killed().await;
    assert_eq!(writer.finish().await, Err(Cut::Slow { deadline }));
    assert_eq!(task.await.unwrap(), Err(Cut::Slow { deadline }));
}

#[tokio::test(start_paused = true)]
async fn an_end_counts_only_if_both_have_said_so() {
    // The consumer reads everything and dies before it says so.
    let (mut peer, near) = duplex(100);
    let (writer, _task) = producer(near, limits());
    let dies = async {
        assert_eq!(peer.read_u32().await.unwrap(), 1);
        assert_eq!(peer.read_u8().await.unwrap(), Frame::Sentinel.tag());
        drop(peer);
    };
    let (finished, ()) = tokio::join!(writer.finish(), dies);
    assert_eq!(finished, Err(Cut::Closed));

    // The producer dies without a word, between two frames, and within one.
    for last in [
        &[0, 0, 0, 2, 6, 65][..],
        &[0, 0, 0, 2, 6, 65, 0, 0, 0, 9, 6],
    ] {
        let (mut peer, near) = duplex(100);
        let (mut reader, _task) = consumer(near, limits());
        peer.write_all(last).await.unwrap();
        drop(peer);
        assert_eq!(reader.next().await, Ok(Some(Bytes::from("A"))));
        assert_eq!(reader.next().await, Err(Cut::Closed));
    }
}

#[tokio::test(start_paused = true)]
async fn frames_out_of_turn_cut() {
    // For a consumer: prologues, handshakes, commands.
    for frame in [
        Frame::Ready,
        Frame::Failed(String::new()),
        Frame::Welcome,
        Frame::Stop,
        Frame::Kill,
    ] {
        let (mut peer, near) = duplex(100);
        let (mut reader, _task) = consumer(near, limits());
        peer.write_all(&[0, 0, 0, 1, frame.tag()]).await.unwrap();
        assert_eq!(reader.next().await, Err(frame.out_of_turn().into()));
    }
    // For a producer: whatever is no command, and an end that it has not announced.
    for frame in [Frame::Data(Bytes::new()), Frame::Ready, Frame::Sentinel] {
        let (mut peer, near) = duplex(100);
        let (writer, _task) = producer(near, limits());
        peer.write_all(&[0, 0, 0, 1, frame.tag()]).await.unwrap();
        writer.killed().await;
        assert_eq!(writer.finish().await, Err(frame.out_of_turn().into()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_writer_dropped_sends_what_it_had_taken() {
    let (near, far) = duplex(100);
    let (writer, task) = producer(
        near,
        Limits {
            buffer: 8,
            ..limits()
        },
    );
    for _ in 0..5 {
        writer.send("taken").await.unwrap();
    }
    drop(writer);
    let (mut reader, _task) = consumer(far, limits());
    for _ in 0..5 {
        assert_eq!(reader.next().await, Ok(Some(Bytes::from("taken"))));
    }
    assert_eq!(reader.next().await, Err(Cut::Closed));
    assert_eq!(task.await.unwrap(), Err(Cut::Abandoned));
}

#[tokio::test(start_paused = true)]
async fn a_finish_that_is_not_waited_for_still_finishes() {
    let (near, far) = duplex(100);
    let (writer, task) = producer(near, limits());
    assert!(
        timeout(Duration::from_secs(1), writer.finish())
            .await
            .is_err()
    );
    let (mut reader, _task) = consumer(far, limits());
    assert_eq!(reader.next().await, Ok(None));
    assert_eq!(task.await.unwrap(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_gone_is_a_cut_on_both_sides() {
    let (near, far) = duplex(100);
    let (writer, task) = producer(near, limits());
    let (mut reader, other) = consumer(far, limits());
    tokio::task::yield_now().await;
    other.abort();
    assert_eq!(reader.next().await, Err(Cut::Runtime));
    assert_eq!(writer.finish().await, Err(Cut::Closed));
    assert_eq!(task.await.unwrap(), Err(Cut::Closed));

    let (near, _far) = duplex(100);
    let (writer, task) = producer(near, limits());
    task.abort();
    writer.killed().await;
    assert_eq!(writer.finish().await, Err(Cut::Runtime));
}
