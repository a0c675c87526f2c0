//! Copying files to and from nodes, through sessions, with nothing on the node but what any Linux has: `sh`, `stty`,
//! `head`, `tail`, `dd`, `base64`, `sha256sum`, `find`.
//!
//! A download runs a script without a terminal, whose standard output carries the file in base64: that is the fastest
//! way that agents have, and the only one that they don't change bytes on. An upload runs a script on a terminal in
//! raw mode, which takes commands and bytes: the only sessions with an input are those with a terminal.
//!
//! Either way a file is written beside its destination, checked with SHA-256, and renamed over it; what a broken copy
//! leaves is checked and continued by the next one. The scripts' answers carry a random [`Marker`], so that nothing else
//! that a node prints is taken for one.
//!
//! | part | what it is |
//! |---|---|
//! | [`Place`], [`RemotePath`] | what is copied where |
//! | [`download`] | the script of a download, and the machine that reads what it prints |
//! | [`upload`] | the script of an upload, what it is told, and what it answers |
//! | [`list`] | the script that lists a directory, and its entries |
//! | [`Copier`] | carries copies out, over whatever implements [`Node`] |
//!
//! ```no_run
//! # use herder_session::copy::{Copier, CopyError, CopyOptions, Node, RemotePath};
//! # async fn example<N: Node>(node: &N, random: [u8; 16]) -> Result<(), CopyError> {
//! let copier = Copier::new(node, random, CopyOptions::default(), &|progress| { /* a bar */ });
//! let path = RemotePath::new("/etc/hosts").expect("it has no NUL");
//! copier.download(&path, "hosts".as_ref()).await?;
//! copier.upload("hosts".as_ref(), &path).await?;
//! # Ok(())
//! # }
//! ```
//!
//! There is no `tar` in it: minimal images have none, a stream of it can't be checked or continued file by file, and
//! unpacking what a node has packed is a risk of its own. Many small files go through one session instead.

mod copier;
pub mod download;
mod error;
mod incoming;
pub mod list;
mod local;
mod marker;
mod node;
mod outgoing;
mod path;
mod place;
mod receive;
mod send;
mod session;
mod talk;
#[cfg(test)]
mod tests;
mod unbase64;
mod unfinished;
pub mod upload;
mod when;

pub use copier::{Copied, Copier, CopyOptions, Encoding, Progress};
pub use error::{CopyError, Reason};
pub use marker::Marker;
pub use node::{ExecOutput, ExecSource, Node};
pub use path::RemotePath;
pub use place::{Place, PlaceError};
pub use session::EventExec;
pub use unbase64::{NotBase64, Unbase64};
pub use when::FileTime;
