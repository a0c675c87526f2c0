//! What is typed, or piped in.
//!
//! Reading standard input the usual way takes a thread that sits in `read` until a key is pressed, and keeps the process
//! from ending. Here nothing reads before there is something to read.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How many bytes are read at once.
const READ: usize = 16 << 10;

#[derive(Debug)]
enum Source {
    /// A terminal, pipe or socket: tells when there is something. Its flags are left alone, because other processes
    /// share them.
    Waiting(AsyncFd<OwnedFd>),
    /// A file or `/dev/null`: always has an answer.
    Ready(OwnedFd),
}

/// Bytes that a person types or a program writes. Must be made and used within a tokio runtime.
#[derive(Debug)]
pub struct Input {
    source: Source,
    has_ended: bool,
}

impl Input {
    /// Reads from a copy of this file descriptor, usually standard input's.
    ///
    /// # Errors
    /// It is closed, or the system has no file descriptors left.
    pub fn new(file: impl AsFd) -> io::Result<Input> {
        let file = file.as_fd().try_clone_to_owned()?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for types that change their descriptor; this can't"
        )]
        let waiting = AsyncFd::try_with_interest(file, Interest::READABLE);
        let source = match waiting {
            Ok(file) => Source::Waiting(file),
            Err(error) => match error.into_parts() {
                // Files can't be waited for.
                (file, cause) if cause.raw_os_error() == Some(Errno::PERM.raw_os_error()) => {
                    Source::Ready(file)
                }
                (_, cause) => return Err(cause),
            },
        };
        Ok(Input { source, has_ended: false })
    }

    /// Waits for the next bytes; none at the end, which is also a terminal that is gone. Nothing is lost if the future is
    /// dropped.
    ///
    /// # Errors
    /// The system could not read.
    pub async fn read(&mut self) -> io::Result<Option<Bytes>> {
        if self.has_ended {
            return Ok(None);
        }
        let result = loop {
            match &self.source {
                Source::Ready(file) => break read_some(file),
                Source::Waiting(file) => {
                    let mut ready = file.readable().await?;
                    // Readiness may be old: a read then would block, and the whole thread with it.
                    if !has_input(file.get_ref()) {
                        ready.clear_ready();
                        continue;
                    }
                    match read_some(file.get_ref()) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                        result => break result,
                    }
                }
            }
        };
        self.has_ended = !matches!(result, Ok(Some(_)));
        result
    }
}

fn has_input(file: &OwnedFd) -> bool {
    let mut files = [PollFd::new(file, PollFlags::IN)];
    // An end or an error is something to read as well.
    matches!(poll(&mut files, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(1..))
}

fn read_some(file: &OwnedFd) -> io::Result<Option<Bytes>> {
    let mut bytes = [0; READ];
    loop {
        match read(file, &mut bytes) {
            Ok(0) => return Ok(None),
            Ok(count) => return Ok(bytes.get(..count).map(Bytes::copy_from_slice)),
            Err(Errno::INTR) => {}
            // The terminal is gone.
            Err(Errno::IO) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}
