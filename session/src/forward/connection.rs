//! A connection that was accepted on this machine.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rustix::net::sockopt::{set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream, tcp, unix};

use super::peer::has_closed;

/// How often the kernel of a TCP client that has closed its half is asked whether it is there. One that has closed its connection
/// looks the same, until its kernel forgets the connection (60 s on Linux) and answers with a reset.
const ASKED_EVERY: Duration = Duration::from_secs(10);

/// After how many questions without an answer a client is gone.
const UNANSWERED: u32 = 6;

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection that was accepted on this machine. Dropped before it is [complete](Connection::complete), it breaks off in a way that
/// its client can tell from an end, as far as its kind allows: TCP resets.
#[derive(Debug)]
pub(super) struct Connection {
    socket: Socket,
    is_complete: bool,
}

impl Connection {
    pub(super) fn tcp(stream: TcpStream) -> Connection {
        // It works without, only slower for what is typed.
        let _ = stream.set_nodelay(true);
        Connection { socket: Socket::Tcp(stream), is_complete: false }
    }

    pub(super) fn unix(stream: UnixStream) -> Connection {
        Connection { socket: Socket::Unix(stream), is_complete: false }
    }

    /// Nothing is missing: dropped from now on, it is closed as any connection.
    pub(super) fn complete(&mut self) {
        self.is_complete = true;
    }

    /// Its two directions.
    pub(super) fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        match &mut self.socket {
            Socket::Tcp(stream) => {
                let (read, write) = stream.split();
                (ReadHalf::Tcp(read), WriteHalf::Tcp(write))
            }
            Socket::Unix(stream) => {
                let (read, write) = stream.split();
                (ReadHalf::Unix(read), WriteHalf::Unix(write))
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let (Socket::Tcp(stream), false) = (&self.socket, self.is_complete) {
            // A connection that is gone already can't be reset.
            let _ = stream.set_zero_linger();
        }
    }
}

/// The half that bytes of the client come from.
#[derive(Debug)]
pub(super) enum ReadHalf<'a> {
    Tcp(tcp::ReadHalf<'a>),
    Unix(unix::ReadHalf<'a>),
}

/// The half that bytes for the client go to.
#[derive(Debug)]
pub(super) enum WriteHalf<'a> {
    Tcp(tcp::WriteHalf<'a>),
    Unix(unix::WriteHalf<'a>),
}

impl ReadHalf<'_> {
    /// The client has closed its half: from now on its kernel is asked whether it has closed the other one as well.
    pub(super) fn watch(&self) {
        if let ReadHalf::Tcp(half) = self {
            let stream: &TcpStream = half.as_ref();
            // Without, a client that is gone keeps its place for longer.
            let _ = set_tcp_keepidle(stream, ASKED_EVERY)
                .and_then(|()| set_tcp_keepintvl(stream, ASKED_EVERY))
                .and_then(|()| set_tcp_keepcnt(stream, UNANSWERED))
                .and_then(|()| set_socket_keepalive(stream, true));
        }
    }

    /// Whether the client is known to read nothing any more, of one whose end of sending has come: on a Unix socket, and of a TCP
    /// client on the same Linux, at once; else when its kernel says so.
    pub(super) fn is_gone(&self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let ready = match self {
            ReadHalf::Tcp(half) => std::pin::pin!(half.ready(Interest::WRITABLE)).poll(&mut context),
            ReadHalf::Unix(half) => std::pin::pin!(half.ready(Interest::WRITABLE)).poll(&mut context),
        };
        if matches!(ready, Poll::Ready(Ok(ready)) if ready.is_write_closed()) {
            return true;
        }
        let ReadHalf::Tcp(half) = self else { return false };
        let stream: &TcpStream = half.as_ref();
        let (Ok(client), Ok(here)) = (stream.peer_addr(), stream.local_addr()) else { return false };
        has_closed(client, here)
    }
}

impl AsyncRead for ReadHalf<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            ReadHalf::Tcp(half) => Pin::new(half).poll_read(context, buffer),
            ReadHalf::Unix(half) => Pin::new(half).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for WriteHalf<'_> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            WriteHalf::Tcp(half) => Pin::new(half).poll_write(context, bytes),
            WriteHalf::Unix(half) => Pin::new(half).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            WriteHalf::Tcp(half) => Pin::new(half).poll_flush(context),
            WriteHalf::Unix(half) => Pin::new(half).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            WriteHalf::Tcp(half) => Pin::new(half).poll_shutdown(context),
            WriteHalf::Unix(half) => Pin::new(half).poll_shutdown(context),
        }
    }
}
