//! Clients: a listener, a shell that is left alone, and one that is typed at.

use crate::server::{Remote, over, started};
use crate::{Anything, say};
use bytes::Bytes;
use herder_session::client::{EventLink, SessionEvent, SessionHandle};
use herder_session::forward::{ForwardOptions, ForwardSpec, Listener, PortKind, PortLink, serve};
use herder_session::mux::{MuxOptions, Role};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

type Link = PortLink<EventLink<fn(SessionEvent)>, SessionHandle>;

/// Listens, and carries connections to a port of the node.
pub(crate) async fn forward(remote: Remote, port: u16) -> Anything<()> {
    let spec: ForwardSpec = format!("127.0.0.1:0:{port}").parse()?;
    let listener = Listener::open(&spec.listen).await?;
    let address = listener.addresses().first().ok_or("no address")?.to_string();
    let dial = || async {
        let parameters = json!({"portNumber": [port.to_string()], "localPortNumber": ["0"]});
        let mut session = remote.session(Some("AWS-StartPortForwardingSession"), parameters).await?;
        started(&mut session).await?;
        say(&json!({"listening": address}))?;
        let kind = PortKind::Mux(MuxOptions::new(Role::Client));
        let source = session.events.into_link(drop as fn(SessionEvent));
        Anything::<Link>::Ok(PortLink { source, sink: session.handle, kind })
    };
    Err(serve(&listener, &ForwardOptions::default(), dial, |_| {}).await)
}

/// Holds a shell open.
pub(crate) async fn shell(remote: Remote) -> Anything<()> {
    let mut session = remote.session(None, Value::Null).await?;
    started(&mut session).await?;
    say(&json!({}))?;
    loop {
        match session.events.next().await {
            Some(SessionEvent::Closed(end)) => return Err(over(&end)),
            Some(_) => {}
            None => return Err("the session is over".into()),
        }
    }
}

/// Types at a shell, with pauses in between, and tells how long each letter took to come back, in microseconds.
pub(crate) async fn keystrokes(remote: Remote, count: usize) -> Anything<Value> {
    let mut session = remote.session(None, Value::Null).await?;
    started(&mut session).await?;
    // The prompt, and what belongs to it.
    while let Ok(Some(_)) = tokio::time::timeout(Duration::from_millis(300), session.events.next()).await {}
    let mut trips = Vec::new();
    for number in 0..count {
        // Pauses of all lengths between 1 and 60 ms: no timer that runs anyway is met at a fixed point.
        tokio::time::sleep(Duration::from_micros(1000 + number as u64 * 7919 % 59_000)).await;
        let begun = Instant::now();
        session.handle.send_input(Bytes::from_static(b"x")).await?;
        loop {
            match session.events.next().await {
                Some(SessionEvent::Output(_)) => break,
                Some(SessionEvent::Closed(end)) => return Err(over(&end)),
                Some(_) => {}
                None => return Err("the session is over".into()),
            }
        }
        trips.push(begun.elapsed().as_secs_f64() * 1e6);
        // A line that is too long is another matter.
        if number % 50 == 49 {
            session.handle.send_input(Bytes::from_static(b"\x15")).await?;
            while let Ok(Some(_)) =
                tokio::time::timeout(Duration::from_millis(50), session.events.next()).await
            {}
        }
    }
    Ok(json!(trips))
}
