//! Instances come and go while thousands of streams fly over real connections: nothing hangs, and nothing is left.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use crate::common::{client, instance, read_all, server, settles};
use call_home::{
    CallHomeServer, ConnectionInfo, FrontendEnd, PendingStream, StreamMap, StreamReader,
    StreamWriter,
};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

crate::backends::on_every_backend! { instances_come_and_go_while_streams_fly }

const STREAMS: u64 = 5_000;
const ADDED: u64 = 250;
const REMOVED: u64 = 150;
const AT_FIRST: u64 = 10;
const IN_FLIGHT: usize = 128;
const TOKENS: usize = 8;

async fn instances_come_and_go_while_streams_fly<M: StreamMap<FrontendEnd> + Default + 'static>() {
    let server = Arc::new(server::<M>().await);
    let slots = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut live: VecDeque<u64> = (0..AT_FIRST).collect();
    let (mut added, mut removed) = (0, HashSet::new());
    let (mut sessions, mut stuck) = (Vec::new(), Vec::new());
    for number in 0..STREAMS {
        if number % (STREAMS / ADDED) == 0 {
            live.push_back(AT_FIRST + added);
            added += 1;
        }
        if number % (STREAMS / REMOVED) == 5 && removed.len() < usize::try_from(REMOVED).unwrap() {
            let oldest = live.pop_front().unwrap();
            server.cancel_instance(&instance(oldest));
            removed.insert(oldest);
        }
        let of = live[usize::try_from(number * 31).unwrap() % live.len()];
        let slot = Arc::clone(&slots).acquire_owned().await.unwrap();
        let hangs = number % 50 == 0;
        let session = Session::start(&server, of, number % 4 == 1, hangs);
        if hangs {
            stuck.push(session);
        } else {
            let session = tokio::spawn(async move {
                let completed = session.await.unwrap();
                drop(slot);
                completed
            });
            sessions.push((of, session));
        }
    }
    assert_eq!((added, removed.len()), (ADDED, 150));

    let (mut completed, mut cut) = (0, 0);
    for (of, session) in sessions {
        if session.await.unwrap() {
            completed += 1;
        } else {
            cut += 1;
            assert!(removed.contains(&of), "cut, though {of} never went");
        }
    }
    assert!(completed > 0, "{cut} cut");
    // What hangs, hangs on a worker that is alive; until that goes, too.
    let hung: usize = live
        .iter()
        .map(|&of| server.cancel_instance(&instance(of)))
        .sum();
    assert!((1..=stuck.len()).contains(&hung), "{hung} hung to the end");
    for session in stuck {
        assert!(!session.await.unwrap(), "its worker never sent anything");
    }
    settles(&server).await;
}

struct Session;

impl Session {
    /// Registers the halves of a session, and lets a worker and the frontend run. Answers whether the frontend has got
    /// all of its response. A worker that hangs claims and does nothing more.
    fn start<M: StreamMap<FrontendEnd> + 'static>(
        server: &CallHomeServer<M>,
        of: u64,
        with_request: bool,
        hangs: bool,
    ) -> JoinHandle<bool> {
        let response = server.register_response();
        let request = with_request.then(|| server.register_request());
        let ids: Vec<_> = [response.id()]
            .into_iter()
            .chain(request.as_ref().map(PendingStream::id))
            .collect();
        // The request is on its way when the instance is noted, and a worker may be faster.
        let worker = tokio::spawn(work(
            response.info(),
            request.as_ref().map(PendingStream::info),
            hangs,
        ));
        server.associate(&ids, &instance(of)).expect("it is live");
        tokio::spawn(async move {
            let (_, completed) = tokio::join!(ask(request), answer(response));
            worker.await.unwrap();
            completed
        })
    }
}

async fn work(response: ConnectionInfo, request: Option<ConnectionInfo>, hangs: bool) {
    if let Some(info) = request
        && let Ok(mut reader) = client().request(&info).await
    {
        let _ = read_all(&mut reader).await;
    }
    let Ok(call) = client().response(&response).await else {
        return;
    };
    if hangs {
        return call.cancelled().await;
    }
    let writer = call.start();
    for _ in 0..TOKENS {
        if writer.send("token").await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
    let _ = writer.finish().await;
}

async fn ask(request: Option<PendingStream<StreamWriter>>) {
    if let Some(request) = request
        && let Ok(writer) = request.await
        && writer.send("prompt").await.is_ok()
    {
        let _ = writer.finish().await;
    }
}

async fn answer(response: PendingStream<StreamReader>) -> bool {
    let Ok(mut reader) = response.await else {
        return false;
    };
    let (pieces, end) = read_all(&mut reader).await;
    assert!(
        end.is_err() || pieces.len() == TOKENS,
        "an end is clean only if all has come"
    );
    end.is_ok()
}
