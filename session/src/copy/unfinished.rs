//! How a directory that a copy has made is known again when the copy broke off.
//!
//! A tree goes into a directory that is there, and otherwise becomes the destination itself. So the same copy, started
//! again, would go one level deeper than before. While a tree is incomplete, a part of a file that nobody copies lies in
//! the directory, and names the source: where it does, the directory is still the destination itself.

use std::path::Path;

use bytes::Bytes;

use super::incoming::Incoming;
use super::local::Hash;
use super::talk::{Talk, unexpected};
use super::upload::{Answer, Destination, Request};
use super::{CopyError, Encoding, Reason, RemotePath};
use crate::link::{LinkSink, LinkSource};

/// The name of the file.
const NAME: &str = "herder-incomplete-tree";

/// What the part has in it.
pub(super) struct Mark(Bytes);

impl Mark {
    /// The mark of a copy of this source.
    pub(super) fn of(source: &[u8]) -> Mark {
        Mark(Bytes::copy_from_slice(source))
    }

    fn length_and_hash(&self) -> (u64, String) {
        let mut hash = Hash::new();
        hash.add(&self.0);
        (self.0.len() as u64, hash.shown())
    }

    /// Whether a directory of this machine has it.
    ///
    /// # Errors
    /// The directory can't be read, or the other copy is still under way.
    pub(super) fn is_in(&self, directory: &Path) -> Result<bool, CopyError> {
        Ok(Incoming::left(&directory.join(NAME))? == Some(self.length_and_hash()))
    }

    /// Puts it into a directory of this machine, which is this copy's own until it is discarded.
    ///
    /// # Errors
    /// The directory can't be written, or another copy is under way.
    pub(super) fn put_into(&self, directory: &Path) -> Result<Incoming, CopyError> {
        let mut mark = Incoming::begin(&directory.join(NAME), 0)?;
        mark.add(&self.0)?;
        Ok(mark)
    }

    /// Whether a directory of the node has it.
    ///
    /// # Errors
    /// The session ended, or the script answers something else.
    pub(super) async fn is_there<R: LinkSource, W: LinkSink>(
        &self,
        talk: &mut Talk<R, W>,
        directory: &RemotePath,
    ) -> Result<bool, CopyError> {
        let (length, hash) = self.length_and_hash();
        if open(talk, directory).await? != length {
            return Ok(false);
        }
        match talk.ask(&Request::Hash(length)).await? {
            Answer::Hash(there) => Ok(there == hash),
            answer => Err(unexpected(&answer)),
        }
    }

    /// Puts it into a directory of the node.
    ///
    /// # Errors
    /// The directory can't be written, the session ended, or the script answers something else.
    pub(super) async fn send<R: LinkSource, W: LinkSink>(
        &self,
        talk: &mut Talk<R, W>,
        directory: &RemotePath,
    ) -> Result<(), CopyError> {
        open(talk, directory).await?;
        let length = self.0.len() as u64;
        talk.send(Request::Put { offset: 0, length, encoding: Encoding::Raw }.command()).await?;
        talk.send(self.0.clone()).await?;
        match talk.answer().await? {
            Answer::Got(_) => Ok(()),
            Answer::Failed(reason) | Answer::Stopped(reason) => {
                Err(CopyError::node("write", directory, reason))
            }
            answer => Err(unexpected(&answer)),
        }
    }
}

/// Takes it out of a directory of the node.
///
/// # Errors
/// The session ended, or the script answers something else.
pub(super) async fn forget<R: LinkSource, W: LinkSink>(
    talk: &mut Talk<R, W>,
    directory: &RemotePath,
) -> Result<(), CopyError> {
    open(talk, directory).await?;
    match talk.ask(&Request::Discard).await? {
        Answer::Discarded => Ok(()),
        answer => Err(unexpected(&answer)),
    }
}

/// Opens it; gives how many bytes it has.
async fn open<R: LinkSource, W: LinkSink>(
    talk: &mut Talk<R, W>,
    directory: &RemotePath,
) -> Result<u64, CopyError> {
    let write = |reason| CopyError::node("write", directory, reason);
    let path = directory.join(NAME).ok_or_else(|| write(Reason::NameTooLong))?;
    match talk.ask(&Request::Open(path)).await? {
        Answer::Opened { destination: Destination::New | Destination::File, part } => Ok(part),
        Answer::Opened { .. } => Err(write(Reason::Other(format!("{NAME} in it is no file")))),
        answer => Err(unexpected(&answer)),
    }
}
