use std::io::ErrorKind;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::{BOUND, any_port, ask, client, event, read};
use crate::forward::{ConnectionEnd, ForwardEvent, ForwardOptions, PortKind, PortLink, serve};
use crate::link::LinkEnded;
use crate::mux::{self, MuxHandle, MuxOptions, MuxStream, Role};
use crate::testing::{MemorySink, MemorySource, memory_link};

/// What the agent's side does with a stream.
type Destination = fn(MuxHandle, MuxStream) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// A listener at work, with a new agent's side for each session.
struct Forward {
    port: u16,
    events: mpsc::Receiver<ForwardEvent>,
    /// The agent's sides of the sessions so far; a session whose entry is taken out and aborted ends.
    sessions: Arc<Mutex<Vec<JoinSet<()>>>>,
    serving: tokio::task::JoinHandle<LinkEnded>,
}

fn agent(destination: Destination) -> ((MemorySource, MemorySink), JoinSet<()>) {
    let (near, (source, sink)) = memory_link(4);
    let (handle, driver) = mux::connect(Role::Agent, MuxOptions::new(Role::Agent), source, sink);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut streams = JoinSet::new();
        streams.spawn(async { drop(driver.run().await) });
        while let Ok(stream) = handle.accept().await {
            streams.spawn(destination(handle.clone(), stream));
        }
    });
    (near, tasks)
}

async fn forward(destination: Destination, change: fn(&mut ForwardOptions, &mut MuxOptions)) -> Forward {
    let listener = any_port().await;
    let port = listener.port().unwrap();
    let (tell, events) = mpsc::channel();
    let sessions: Arc<Mutex<Vec<JoinSet<()>>>> = Arc::default();
    let all = Arc::clone(&sessions);
    let serving = tokio::spawn(async move {
        let (mut options, mut mux) = (ForwardOptions::default(), MuxOptions::new(Role::Client));
        change(&mut options, &mut mux);
        let dial = || {
            let ((source, sink), tasks) = agent(destination);
            let mut sessions = all.lock().unwrap();
            sessions.push(tasks);
            let link = PortLink { source, sink, kind: PortKind::Mux(mux.clone()) };
            let is_last = sessions.len() > 2;
            async move { if is_last { Err(LinkEnded::new("no more sessions")) } else { Ok(link) } }
        };
        serve(&listener, &options, dial, |event| drop(tell.send(event))).await
    });
    Forward { port, events, sessions, serving }
}

fn echo(_: MuxHandle, stream: MuxStream) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        while let Ok(Some(bytes)) = stream.recv().await {
            if stream.send(bytes).await.is_err() {
                return;
            }
        }
    })
}

/// Answers a line with itself, and closes, as `nc` at a web server sees it.
fn answer(_: MuxHandle, stream: MuxStream) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let mut request = Vec::new();
        while !request.ends_with(b"\n") {
            match stream.recv().await {
                Ok(Some(bytes)) => request.extend_from_slice(&bytes),
                // An agent that was told of an end would have closed the destination.
                _ => return,
            }
        }
        sleep(Duration::from_millis(30)).await;
        let _ = stream.send(request.repeat(20_000).into()).await;
    })
}

fn refuse(handle: MuxHandle, stream: MuxStream) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move { handle.refuse(stream) })
}

fn finished(number: u64) -> impl Fn(&ForwardEvent) -> bool {
    move |event| matches!(event, ForwardEvent::Finished { connection, .. } if *connection == number)
}

#[tokio::test]
async fn a_request_whose_end_is_closed_gets_its_whole_answer() {
    let forward = forward(answer, |_, _| {}).await;
    for n in 0..20 {
        let request = format!("request {n}\n");
        let expected = request.repeat(20_000).into_bytes();
        assert!(ask(forward.port, request.as_bytes()).await.unwrap() == expected, "{n}");
    }
    let ForwardEvent::Finished { carried, end, .. } = event(&forward.events, finished(1)).await else {
        panic!()
    };
    assert_eq!((carried.sent, carried.received, end), (10, 200_000, ConnectionEnd::Orderly));
}

#[tokio::test]
async fn connections_are_carried_side_by_side() {
    let forward = forward(echo, |_, _| {}).await;
    let mut clients = JoinSet::new();
    for n in 0..8_u8 {
        let port = forward.port;
        clients.spawn(async move {
            let (mut read, mut write) = client(port).await.into_split();
            // A stream of line ends, too, arrives as it is.
            let sent: Vec<u8> =
                (0..700_000_u32).map(|k| if n == 0 { b'\n' } else { (k % 249) as u8 ^ n }).collect();
            let expected = sent.clone();
            let writing = tokio::spawn(async move { write.write_all(&sent).await.map(|()| write) });
            let mut received = vec![0; expected.len()];
            timeout(BOUND, read.read_exact(&mut received)).await.unwrap().unwrap();
            drop(writing.await);
            received == expected
        });
    }
    assert!(clients.join_all().await.into_iter().all(|is_same| is_same));
}

#[tokio::test]
async fn a_refused_destination_is_told_for_its_connection() {
    let forward = forward(refuse, |_, _| {}).await;
    let mut client = client(forward.port).await;
    let error = timeout(BOUND, client.read(&mut [0; 8])).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let end = event(&forward.events, finished(1)).await;
    assert!(matches!(end, ForwardEvent::Finished { end: ConnectionEnd::ConnectFailed, .. }), "{end:?}");
    assert!(ask(forward.port, b"again").await.is_err(), "the next one is refused as well");
}

/// A connection that was cut must not look like one that is complete; the listener stays, and the next connection has
/// a session of its own.
#[tokio::test]
async fn a_lost_session_resets_its_connections_and_keeps_the_listener() {
    let forward = forward(echo, |_, _| {}).await;
    let mut first = client(forward.port).await;
    first.write_all(b"hello").await.unwrap();
    assert_eq!(read(&mut first, 5).await, b"hello");
    forward.sessions.lock().unwrap()[0].abort_all();
    let error = timeout(BOUND, first.read(&mut [0; 8])).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let end = event(&forward.events, finished(1)).await;
    let ForwardEvent::Finished { end: ConnectionEnd::SessionEnded(reason), .. } = end else {
        panic!("{end:?}")
    };
    event(&forward.events, |event| *event == ForwardEvent::SessionEnded { reason: reason.clone() }).await;
    assert_eq!(forward.sessions.lock().unwrap().len(), 1, "nobody has asked for another one");

    let mut second = client(forward.port).await;
    second.write_all(b"again").await.unwrap();
    assert_eq!(read(&mut second, 5).await, b"again");
    event(&forward.events, |event| *event == ForwardEvent::Ready).await;

    forward.sessions.lock().unwrap()[1].abort_all();
    assert!(second.read(&mut [0; 8]).await.is_err());
    let mut third = client(forward.port).await;
    assert!(timeout(BOUND, third.read(&mut [0; 8])).await.unwrap().is_err(), "no session can be had");
    assert_eq!(timeout(BOUND, forward.serving).await.unwrap().unwrap().reason, "no more sessions");
}

/// A client that reads nothing keeps its connection, and nobody else waits for it.
#[tokio::test]
async fn a_client_that_stands_still_holds_up_no_new_session() {
    fn flood(_: MuxHandle, stream: MuxStream) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { while stream.send(vec![7; 100_000].into()).await.is_ok() {} })
    }
    let forward = forward(flood, |_, _| {}).await;
    let mut still = client(forward.port).await;
    // Everything between is full when nothing moves any more.
    sleep(Duration::from_millis(500)).await;
    forward.sessions.lock().unwrap()[0].abort_all();
    // While nothing is read, the end is not noticed: who connects next may be the one to find out.
    let _ = client(forward.port).await.read(&mut [0]).await;
    event(&forward.events, |event| matches!(event, ForwardEvent::SessionEnded { .. })).await;
    let mut other = client(forward.port).await;
    assert_eq!(read(&mut other, 10).await, [7; 10]);
    let mut rest = Vec::new();
    let error = timeout(BOUND, still.read_to_end(&mut rest)).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "after {} bytes", rest.len());
    let end = event(&forward.events, finished(1)).await;
    assert!(matches!(end, ForwardEvent::Finished { end: ConnectionEnd::SessionEnded(_), .. }), "{end:?}");
}

/// What has closed its connection sends the same FIN as what has closed its half, and is not waited for.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_client_that_is_gone_lets_go_of_its_stream() {
    let forward = forward(echo, |_, _| {}).await;
    let mut leaves = client(forward.port).await;
    leaves.write_all(b"hello").await.unwrap();
    assert_eq!(read(&mut leaves, 5).await, b"hello");
    leaves.shutdown().await.unwrap();
    // As long as it holds its half open it stays, and is answered.
    sleep(Duration::from_millis(1500)).await;
    assert!(forward.events.try_iter().all(|event| !finished(1)(&event)));
    drop(leaves);
    let end = event(&forward.events, finished(1)).await;
    assert!(matches!(end, ForwardEvent::Finished { end: ConnectionEnd::ClientGone(_), .. }), "{end:?}");
}

fn silent(_: MuxHandle, stream: MuxStream) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move { while let Ok(Some(_)) = stream.recv().await {} })
}

/// Five times, and then nothing more, without an end.
fn slow(_: MuxHandle, stream: MuxStream) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        for _ in 0..5 {
            sleep(Duration::from_millis(100)).await;
            if stream.send(Bytes::from_static(b"news")).await.is_err() {
                return;
            }
        }
        while let Ok(Some(_)) = stream.recv().await {}
    })
}

/// News within the grace keep a half-closed connection, for as long as they come. Then it breaks off: what is not complete must not
/// look as if it were.
#[tokio::test]
async fn a_half_closed_connection_lives_as_long_as_something_comes() {
    let forward = forward(slow, |options, _| options.grace = Duration::from_millis(400)).await;
    let mut client = client(forward.port).await;
    client.write_all(b"x").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read(&mut client, 20).await, b"news".repeat(5));
    let began = Instant::now();
    let error = timeout(BOUND, client.read(&mut [0; 8])).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
    let ForwardEvent::Finished { carried, end, .. } = event(&forward.events, finished(1)).await else {
        panic!()
    };
    assert_eq!(end, ConnectionEnd::Unanswered { silent_for: Duration::from_millis(400) });
    assert_eq!((carried.sent, carried.received), (1, 20));
}

/// Who holds the last place and waits for nothing but an answer gives way.
#[tokio::test]
async fn a_half_closed_connection_waits_for_less_long_when_there_is_no_place_left() {
    let forward = forward(silent, |options, mux| {
        mux.max_streams = 2;
        options.crowded_grace = Duration::from_millis(50);
    })
    .await;
    let mut first = client(forward.port).await;
    first.write_all(b"x").await.unwrap();
    first.shutdown().await.unwrap();
    let mut still = [0; 1];
    let waits = timeout(Duration::from_millis(1500), first.read(&mut still)).await;
    assert!(waits.is_err(), "there is a place left: {waits:?}");
    let _second = client(forward.port).await;
    let error = timeout(BOUND, first.read(&mut still)).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let end = event(&forward.events, finished(1)).await;
    assert!(matches!(end, ForwardEvent::Finished { end: ConnectionEnd::Unanswered { .. }, .. }), "{end:?}");
}

/// What is under way when the listener ends has not come to its end.
#[tokio::test]
async fn a_listener_that_ends_breaks_its_connections_off() {
    let forward = forward(echo, |_, _| {}).await;
    let mut client = client(forward.port).await;
    client.write_all(b"hello").await.unwrap();
    assert_eq!(read(&mut client, 5).await, b"hello");
    forward.serving.abort();
    let error = timeout(BOUND, client.read(&mut [0; 8])).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn more_connections_than_streams_wait_for_their_turn() {
    let forward = forward(answer, |_, mux| mux.max_streams = 3).await;
    let mut clients = JoinSet::new();
    for n in 0..20 {
        let port = forward.port;
        clients.spawn(async move { ask(port, format!("{n}\n").as_bytes()).await.unwrap().len() });
    }
    let lengths = clients.join_all().await;
    assert_eq!(lengths.iter().sum::<usize>(), (10 * 2 + 10 * 3) * 20_000);
}

/// An upload that nobody takes any more does not destroy the answer.
#[tokio::test]
async fn an_answer_in_the_middle_of_an_upload_arrives() {
    fn early(_: MuxHandle, stream: MuxStream) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            stream.recv().await.unwrap();
            stream.send(Bytes::from_static(b"413 too large")).await.unwrap();
        })
    }
    let forward = forward(early, |_, _| {}).await;
    let (mut read, mut write) = client(forward.port).await.into_split();
    let uploading = tokio::spawn(async move { while write.write_all(&[7; 10_000]).await.is_ok() {} });
    let mut answer = [0; 13];
    timeout(BOUND, read.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"413 too large");
    uploading.abort();
}

#[tokio::test]
async fn a_unix_socket_is_carried_as_well() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let listener = crate::forward::Listener::open(&crate::forward::Listen::Unix(path.clone())).await.unwrap();
    let ((source, sink), _tasks) = agent(answer);
    let mut link = Some(PortLink { source, sink, kind: PortKind::Mux(MuxOptions::new(Role::Client)) });
    let (tell, events) = mpsc::channel();
    let serving = tokio::spawn(async move {
        let options = ForwardOptions::default();
        let dial = || std::future::ready(link.take().ok_or(()));
        serve(&listener, &options, dial, |event| drop(tell.send(event))).await
    });
    let mut client = tokio::net::UnixStream::connect(&path).await.unwrap();
    client.write_all(b"hi\n").await.unwrap();
    client.shutdown().await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert!(answer == b"hi\n".repeat(20_000));
    let _waits = tokio::net::UnixStream::connect(&path).await.unwrap();
    drop(tokio::net::UnixStream::connect(&path).await.unwrap());
    let end = event(&events, finished(3)).await;
    assert!(matches!(end, ForwardEvent::Finished { end: ConnectionEnd::ClientGone(_), .. }), "{end:?}");
    serving.abort();
    assert!(serving.await.unwrap_err().is_cancelled());
    assert!(!path.exists(), "the socket goes with its listener");
}
