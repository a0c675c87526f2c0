//! Links for tests: in memory, with room for a given number of messages, and over a socket-like stream.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::mpsc;

use crate::link::{Incoming, LinkEnded, LinkSink, LinkSource};
use crate::payload::SessionFlag;

pub(crate) struct MemorySource(mpsc::Receiver<Incoming>);
pub(crate) struct MemorySink(mpsc::Sender<Incoming>);

/// Two ends of a link; each way holds `room` messages.
pub(crate) fn memory_link(room: usize) -> ((MemorySource, MemorySink), (MemorySource, MemorySink)) {
    let (there, from_here) = mpsc::channel(room);
    let (here, from_there) = mpsc::channel(room);
    ((MemorySource(from_there), MemorySink(there)), (MemorySource(from_here), MemorySink(here)))
}

impl LinkSource for MemorySource {
    async fn next(&mut self) -> Result<Incoming, LinkEnded> {
        self.0.recv().await.ok_or_else(|| LinkEnded::new("the other end is gone"))
    }
}

impl LinkSink for MemorySink {
    async fn send(&mut self, bytes: Bytes) -> Result<(), LinkEnded> {
        let sent = self.0.send(Incoming::Bytes(bytes)).await;
        sent.map_err(|_| LinkEnded::new("the other end is gone"))
    }

    async fn flag(&mut self, flag: SessionFlag) -> Result<(), LinkEnded> {
        let sent = self.0.send(Incoming::Flag(flag)).await;
        sent.map_err(|_| LinkEnded::new("the other end is gone"))
    }
}

pub(crate) struct SocketSource(ReadHalf<DuplexStream>);
pub(crate) struct SocketSink(WriteHalf<DuplexStream>);

/// A link over a byte stream, for implementations that want one.
pub(crate) fn socket_link(socket: DuplexStream) -> (SocketSource, SocketSink) {
    let (read, write) = tokio::io::split(socket);
    (SocketSource(read), SocketSink(write))
}

impl LinkSource for SocketSource {
    async fn next(&mut self) -> Result<Incoming, LinkEnded> {
        let mut bytes = BytesMut::with_capacity(16 << 10);
        match self.0.read_buf(&mut bytes).await {
            Ok(count) if count > 0 => Ok(Incoming::Bytes(bytes.freeze())),
            _ => Err(LinkEnded::new("the socket is closed")),
        }
    }
}

impl LinkSink for SocketSink {
    async fn send(&mut self, bytes: Bytes) -> Result<(), LinkEnded> {
        self.0.write_all(&bytes).await.map_err(|error| LinkEnded::new(error.to_string()))
    }

    async fn flag(&mut self, _: SessionFlag) -> Result<(), LinkEnded> {
        Ok(())
    }
}
