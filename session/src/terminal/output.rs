//! What is shown, or piped on.
//!
//! A write to a pipe that nobody empties holds up its whole thread, and with it what listens for signals. Here nothing is
//! written before there is room.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, write};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// What a pipe that has room takes without waiting, on every Unix (`PIPE_BUF` is 4,096 on Linux, 512 at least).
const PIECE: usize = 4096;

#[derive(Debug)]
enum Sink {
    /// A terminal, pipe or socket: tells when there is room. Its flags are left alone, because other processes share
    /// them.
    Waiting(AsyncFd<OwnedFd>),
    /// A file or `/dev/null`: always takes what it is given.
    Ready(OwnedFd),
}

/// Where bytes for a person or a program go. Must be made and used within a tokio runtime.
#[derive(Debug)]
pub struct Output {
    sink: Sink,
}

impl Output {
    /// Writes to a copy of this file descriptor, usually standard output's.
    ///
    /// # Errors
    /// It is closed, or the system has no file descriptors left.
    pub fn new(file: impl AsFd) -> io::Result<Output> {
        let file = file.as_fd().try_clone_to_owned()?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for types that change their descriptor; this can't"
        )]
        let waiting = AsyncFd::try_with_interest(file, Interest::WRITABLE);
        let sink = match waiting {
            Ok(file) => Sink::Waiting(file),
            Err(error) => match error.into_parts() {
                // Files can't be waited for.
                (file, cause) if cause.raw_os_error() == Some(Errno::PERM.raw_os_error()) => {
                    Sink::Ready(file)
                }
                (_, cause) => return Err(cause),
            },
        };
        Ok(Output { sink })
    }

    /// Writes all of it; waits while there is no room.
    ///
    /// # Errors
    /// The reader is gone, or the disk is full.
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = match &self.sink {
                Sink::Ready(file) => write_some(file, bytes)?,
                Sink::Waiting(file) => {
                    let mut ready = file.writable().await?;
                    // Readiness may be old: a write then would block.
                    if !has_room(file.get_ref()) {
                        ready.clear_ready();
                        continue;
                    }
                    match write_some(file.get_ref(), bytes.get(..PIECE).unwrap_or(bytes)) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            ready.clear_ready();
                            continue;
                        }
                        result => result?,
                    }
                }
            };
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Waits until nobody can read any more what would be written; for ever where that can't be told.
    pub async fn closed(&self) {
        if let Sink::Waiting(file) = &self.sink {
            loop {
                let Ok(mut ready) = file.ready(Interest::ERROR).await else { break };
                let mut files = [PollFd::new(file.get_ref(), PollFlags::empty())];
                let now = Some(&Timespec { tv_sec: 0, tv_nsec: 0 });
                let is_gone = matches!(poll(&mut files, now), Ok(1..));
                if is_gone {
                    return;
                }
                ready.clear_ready();
            }
        }
        std::future::pending().await
    }
}

fn has_room(file: &OwnedFd) -> bool {
    let mut files = [PollFd::new(file, PollFlags::OUT)];
    // An error is something that a write tells.
    matches!(poll(&mut files, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(1..))
}

fn write_some(file: &OwnedFd, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match write(file, bytes) {
            Err(Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::time::Duration;

    use super::*;

    const BOUND: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_full_pipe_holds_up_nothing_else() {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut output = Output::new(&writer).unwrap();
        let text: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
        let stuck = tokio::time::timeout(Duration::from_millis(50), output.write_all(&text)).await;
        assert!(stuck.is_err(), "a pipe has no room for so much");
        drop((output, writer));
        // Beside it everything went on: what was written is there, from the beginning.
        let mut read = Vec::new();
        std::io::BufReader::new(reader).read_to_end(&mut read).unwrap();
        assert!(!read.is_empty() && text.starts_with(&read));
    }

    #[tokio::test]
    async fn everything_arrives_however_slow_the_reader_is() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut output = Output::new(&writer).unwrap();
        drop(writer);
        let text: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
        let expected = text.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let mut read = Vec::new();
            reader.read_to_end(&mut read).unwrap();
            read
        });
        tokio::time::timeout(BOUND, output.write_all(&text)).await.unwrap().unwrap();
        drop(output);
        assert_eq!(reading.await.unwrap(), expected);
    }

    #[tokio::test]
    async fn a_reader_that_is_gone_is_seen() {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut output = Output::new(&writer).unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(20), output.closed()).await.is_err());
        drop(reader);
        tokio::time::timeout(BOUND, output.closed()).await.unwrap();
        let error = output.write_all(b"x").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn files_take_everything() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut output = Output::new(file.as_file()).unwrap();
        output.write_all(&[7; 10_000]).await.unwrap();
        assert_eq!(std::fs::read(file.path()).unwrap(), [7; 10_000]);
    }
}
