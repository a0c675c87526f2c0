//! What the same way costs with nothing on it: a WebSocket that gives back what it gets, and a listener that relays to it.
//! As many processes and sockets as with a session, and no protocol.

use crate::{Anything, say};
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

/// Gives back every message, on one connection after the other.
pub(crate) async fn broker() -> Anything<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    say(&json!({"url": format!("ws://{}/", listener.local_addr()?)}))?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let mut socket = tokio_tungstenite::accept_async(stream).await?;
        while let Some(Ok(message)) = socket.next().await {
            if message.is_binary() {
                socket.send(message).await?;
            }
        }
    }
}

/// Listens, and makes a message of whatever comes at once.
pub(crate) async fn relay(url: String) -> Anything<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    say(&json!({"listening": listener.local_addr()?.to_string()}))?;
    loop {
        let (mut local, _) = listener.accept().await?;
        local.set_nodelay(true)?;
        let host = url.trim_start_matches("ws://").trim_end_matches('/');
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        let (mut socket, _) = tokio_tungstenite::client_async(&url, stream).await?;
        let mut buffer = vec![0; 32 << 10];
        loop {
            tokio::select! {
                read = local.read(&mut buffer) => match read? {
                    0 => break,
                    count => socket.send(Message::Binary(buffer[..count].to_vec().into())).await?,
                },
                message = socket.next() => match message {
                    Some(Ok(Message::Binary(bytes))) => local.write_all(&bytes).await?,
                    Some(Ok(_)) => {}
                    _ => break,
                },
            }
        }
    }
}
