//! Listeners and what goes through them, with an agent's side that the tests play.

mod listener;
mod many;
mod single;

use std::sync::mpsc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::forward::{ForwardEvent, Listen, Listener};

/// Long enough for anything that happens at all.
const BOUND: Duration = Duration::from_secs(20);

async fn any_port() -> Listener {
    let bind = crate::forward::Bind::Address([127, 0, 0, 1].into());
    Listener::open(&Listen::Tcp { bind, port: 0 }).await.unwrap()
}

async fn client(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).await.unwrap()
}

/// Sends a request, closes that half, and reads the answer to its end.
async fn ask(port: u16, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut client = client(port).await;
    client.write_all(request).await?;
    client.shutdown().await?;
    let mut answer = Vec::new();
    timeout(BOUND, client.read_to_end(&mut answer)).await.expect("the answer ends")?;
    Ok(answer)
}

/// Reads this many bytes.
async fn read(client: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    timeout(BOUND, client.read_exact(&mut bytes)).await.expect("bytes come").unwrap();
    bytes
}

/// Waits for an event that the test is about.
async fn event(events: &mpsc::Receiver<ForwardEvent>, is_it: impl Fn(&ForwardEvent) -> bool) -> ForwardEvent {
    let find = async {
        loop {
            match events.try_recv() {
                Ok(event) if is_it(&event) => return event,
                Ok(_) => {}
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    };
    timeout(BOUND, find).await.expect("the event comes")
}
