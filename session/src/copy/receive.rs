//! Downloads.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::copier::local_below;
use super::download::{self, Download, Downloaded, PATHS_IN_SCRIPT, RemoteFile, Wanted};
use super::incoming::{Finish, Incoming, is_special};
use super::list::{self, Entry, EntryKind, Listing};
use super::local::Hash;
use super::send::shown;
use super::unfinished::Mark;
use super::{Copied, Copier, CopyError, ExecOutput, ExecSource, Node, Progress, Reason, RemotePath};
use crate::link::LinkEnded;

/// How often what a session's end should have brought is fetched with another one. Agents wait two seconds for what is not acknowledged
/// when their script ends, and give up then.
const AGAIN: u32 = 3;

/// What a script prints, as it is needed.
struct Printed<E> {
    exec: E,
    /// The last of what the script's tools complained of.
    complaint: String,
}

impl<E: ExecSource> Printed<E> {
    async fn begin<N: Node<Exec = E>>(node: &N, command: String) -> Result<Printed<E>, CopyError> {
        let exec = node.exec(command).await.map_err(|error| CopyError::Start(error.into()))?;
        Ok(Printed { exec, complaint: String::new() })
    }

    /// The next bytes of standard output.
    ///
    /// # Errors
    /// The script ended, or the session under it.
    async fn next(&mut self) -> Result<Bytes, CopyError> {
        loop {
            match self.exec.next().await? {
                Some(ExecOutput::Stdout(bytes)) => return Ok(bytes),
                Some(ExecOutput::Stderr(bytes)) => {
                    let text = String::from_utf8_lossy(&bytes);
                    let last = text.lines().rfind(|line| !line.trim().is_empty());
                    self.complaint = last.unwrap_or_default().chars().take(200).collect();
                }
                Some(ExecOutput::Exit(code)) => return Err(self.ended(&format!("with exit code {code}"))),
                None => return Err(self.ended("")),
            }
        }
    }

    fn ended(&self, how: &str) -> CopyError {
        let mut reason = format!("the node's script ended too early {how}").trim_end().to_owned();
        if !self.complaint.is_empty() {
            reason.push_str(&format!(" (it said: {})", self.complaint.escape_debug()));
        }
        LinkEnded::new(reason).into()
    }
}

/// Where the files of a download go, one after the other.
trait Sink {
    fn begin(&mut self, file: &RemoteFile) -> impl Future<Output = Result<(), CopyError>>;
    fn bytes(&mut self, bytes: Bytes) -> impl Future<Output = Result<(), CopyError>>;
    /// The file is complete; gives how many bytes it has.
    fn end(&mut self, hash: &str) -> impl Future<Output = Result<u64, CopyError>>;
    /// The file can't be had.
    fn failed(&mut self, reason: Reason) -> impl Future<Output = Result<(), CopyError>>;
    /// The session is over: what has not come yet, and is to come with the next one.
    fn missing(&mut self) -> impl Future<Output = Result<Vec<Wanted>, CopyError>>;
}

impl<N: Node> Copier<'_, N> {
    /// Copies a file of the node to this machine: to this path, or into the directory that it names. What is there and is
    /// no file, such as a pipe, is written to as a stream.
    ///
    /// # Errors
    /// The file can't be read or written, no session can be had or it ends. What has arrived stays for the next time.
    pub async fn download(&self, source: &RemotePath, destination: &Path) -> Result<Copied, CopyError> {
        let destination = local_below(destination.to_owned(), source.file_name());
        if is_special(&destination) {
            let opened = tokio::fs::OpenOptions::new().write(true).open(&destination).await;
            let out = opened.map_err(CopyError::local("write", destination))?;
            return self.download_stream(source, out).await;
        }
        let looked = self.with_parts(vec![(source.clone(), destination)]).await?;
        let (wanted, destinations): (Vec<_>, Vec<_>) = looked.into_iter().unzip();
        let mut files = Files::new(self);
        files.expected.extend(destinations.into_iter().map(|destination| (source.clone(), destination)));
        self.fetch(&wanted, &mut files).await?;
        match files.first_failure.take() {
            Some(error) => Err(error),
            None => Ok(files.copied),
        }
    }

    /// Copies a file of the node to a stream. Damage is found at the end, when everything has been written.
    ///
    /// # Errors
    /// As with [`Copier::download`]; also, the stream can't be written.
    pub async fn download_stream(
        &self,
        source: &RemotePath,
        destination: impl AsyncWrite + Unpin,
    ) -> Result<Copied, CopyError> {
        let wanted = [Wanted { path: source.clone(), have: None }];
        let mut stream = Stream {
            path: source.clone(),
            progress: self.progress,
            out: destination,
            hash: Hash::new(),
            size: 0,
            received: 0,
            has_ended: false,
        };
        self.fetch(&wanted, &mut stream).await?;
        Ok(Copied { files: 1, bytes: stream.received, ..Copied::default() })
    }

    /// Copies a directory of the node to this machine, with all that is in it: into the directory that the path names, or
    /// as that path if there is nothing, or what the same copy has left there when it broke off. What can't be read is told
    /// of as skipped. A file that an earlier copy has not completed is gone on with.
    ///
    /// # Errors
    /// As with [`Copier::download`]; also, the directory can't be listed. Files that are complete stay.
    pub async fn download_tree(&self, source: &RemotePath, destination: &Path) -> Result<Copied, CopyError> {
        let entries = self.list(source).await?;
        let mark = Mark::of(source.as_bytes());
        // Without a name, it is the destination itself now and the next time.
        let is_new = source.file_name().is_some() && (!destination.is_dir() || mark.is_in(destination)?);
        let root = match is_new {
            true => destination.to_owned(),
            false => local_below(destination.to_owned(), source.file_name()),
        };
        let layout = self.lay_out(&entries, (source, &root), is_new.then_some(mark))?;
        let mut files = Files::new(self);
        files.goes_on = true;
        files.copied = layout.skipped;
        let mut wanted = self.with_parts(layout.wanted).await?.into_iter().peekable();
        while wanted.peek().is_some() {
            let mut length = 0;
            let mut batch = Vec::new();
            while let Some((file, local)) =
                wanted.next_if(|(file, _)| length == 0 || length + file.length() <= PATHS_IN_SCRIPT)
            {
                length += file.length();
                files.expected.push_back((file.path.clone(), local));
                batch.push(file);
            }
            self.fetch(&batch, &mut files).await?;
        }
        layout.mark.map_or(Ok(()), Incoming::discard)?;
        for (path, mode) in layout.exact.iter().rev() {
            set_permissions(path, *mode)?;
        }
        Ok(files.copied)
    }

    /// Makes the directories of a tree, and sees what is to be fetched into them. The mark is put into the first.
    fn lay_out(
        &self,
        entries: &[Entry],
        (source, root): (&RemotePath, &Path),
        mark: Option<Mark>,
    ) -> Result<Layout, CopyError> {
        let mut layout = Layout::default();
        for entry in entries {
            let local = root.join(OsStr::from_bytes(&entry.name));
            let remote = match entry.name.is_empty() {
                true => Some(source.clone()),
                false => source.join(&entry.name),
            };
            let Some(remote) = remote else { continue };
            match entry.kind {
                EntryKind::Closed if entry.name.is_empty() => {
                    return Err(CopyError::node("list", source, Reason::Denied));
                }
                EntryKind::Directory | EntryKind::Closed => {
                    self.make_local_directory(&local, entry)?;
                    if entry.name.is_empty() && layout.mark.is_none() {
                        layout.mark = mark.as_ref().map(|mark| mark.put_into(root)).transpose()?;
                    }
                    if let (true, Some(mode)) = (self.options.preserve, entry.mode) {
                        self.note_lost_bits(&remote, mode);
                        layout.exact.push((local, mode & 0o777));
                    }
                    if entry.kind == EntryKind::Closed {
                        layout.skipped.add(self.skip(remote.to_string(), Reason::Denied.to_string()));
                    }
                }
                // They are what it is about.
                EntryKind::Unknown if entries.iter().any(|entry| entry.kind == EntryKind::Closed) => {}
                EntryKind::Unknown => {
                    let reason = "the node could not look at it".to_owned();
                    layout.skipped.add(self.skip(format!("something in {source}"), reason));
                }
                EntryKind::File | EntryKind::Link => layout.wanted.push((remote, local)),
                EntryKind::Other => {
                    layout.skipped.add(self.skip(remote.to_string(), Reason::Special.to_string()));
                }
            }
        }
        Ok(layout)
    }

    /// Files, with what earlier copies have left of them.
    async fn with_parts(
        &self,
        files: Vec<(RemotePath, PathBuf)>,
    ) -> Result<Vec<(Wanted, PathBuf)>, CopyError> {
        let resume = self.options.resume;
        let look = move |(path, local): (RemotePath, PathBuf)| {
            let have = if resume { Incoming::left(&local)? } else { None };
            Ok((Wanted { path, have }, local))
        };
        let looked = tokio::task::spawn_blocking(move || files.into_iter().map(look).collect()).await;
        looked.map_err(|error| CopyError::Garbled(error.to_string()))?
    }

    /// What is in a directory of the node.
    async fn list(&self, directory: &RemotePath) -> Result<Vec<Entry>, CopyError> {
        for _ in 0..AGAIN {
            match self.list_once(directory).await {
                Err(CopyError::Session(ended)) if ended.is_cut => {}
                listed => return listed,
            }
        }
        self.list_once(directory).await
    }

    async fn list_once(&self, directory: &RemotePath) -> Result<Vec<Entry>, CopyError> {
        let command = list::command(&self.marker, directory);
        let mut printed = Printed::begin(self.node, command).await?;
        let mut listing = Listing::new(self.marker.clone(), directory.clone());
        let mut entries = Vec::new();
        while !listing.is_over() {
            entries.extend(listing.stdout(&printed.next().await?)?);
        }
        Ok(entries)
    }

    /// Fetches files; what a session's last bytes should have been, with another one.
    async fn fetch(&self, wanted: &[Wanted], sink: &mut impl Sink) -> Result<(), CopyError> {
        let mut fetched = self.fetch_once(wanted, sink).await;
        for _ in 0..AGAIN {
            match fetched {
                Err(CopyError::Session(ended)) if ended.is_cut => {}
                fetched => return fetched,
            }
            let missing = sink.missing().await?;
            if missing.is_empty() {
                return Ok(());
            }
            fetched = self.fetch_once(&missing, sink).await;
        }
        fetched
    }

    async fn fetch_once(&self, wanted: &[Wanted], sink: &mut impl Sink) -> Result<(), CopyError> {
        let command = download::command(&self.marker, wanted);
        let mut printed = Printed::begin(self.node, command).await?;
        let mut download = Download::new(self.marker.clone(), wanted.len());
        let mut asked = wanted.iter();
        while !download.is_over() {
            for event in download.stdout(&printed.next().await?)? {
                match event {
                    Downloaded::File(file) => {
                        require_offset(file.offset, asked.next())?;
                        sink.begin(&file).await?;
                    }
                    Downloaded::Bytes(bytes) => {
                        (self.progress)(Progress::Bytes(bytes.len() as u64));
                        sink.bytes(bytes).await?;
                    }
                    Downloaded::End(hash) => {
                        sink.end(&hash).await?;
                        (self.progress)(Progress::Done);
                    }
                    Downloaded::Failed(reason) => {
                        asked.next();
                        sink.failed(reason).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Makes a directory, unless it is there: one that is keeps its permissions.
    fn make_local_directory(&self, path: &Path, entry: &Entry) -> Result<(), CopyError> {
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => return Ok(()),
            made => made.map_err(CopyError::local("create", path))?,
        }
        // Exact ones may be such that nothing can be written into it: they come last.
        match entry.mode.filter(|_| !self.options.preserve) {
            Some(mode) => set_permissions(path, mode & 0o777 & !self.options.umask | 0o700),
            None => Ok(()),
        }
    }
}

/// What a tree becomes on this machine.
#[derive(Default)]
struct Layout {
    /// Files, from where and to where.
    wanted: Vec<(RemotePath, PathBuf)>,
    /// Directories, and the permissions that they get when everything is in them.
    exact: Vec<(PathBuf, u32)>,
    skipped: Copied,
    /// What lies in the first directory until then.
    mark: Option<Incoming>,
}

fn set_permissions(directory: &Path, mode: u32) -> Result<(), CopyError> {
    let set = fs::set_permissions(directory, fs::Permissions::from_mode(mode));
    set.map_err(CopyError::local("write", directory))
}

/// A node may begin at the beginning, or where it was asked to, and nowhere else.
fn require_offset(offset: u64, asked: Option<&Wanted>) -> Result<(), CopyError> {
    let have = asked.and_then(|wanted| wanted.have.as_ref()).map_or(0, |(have, _)| *have);
    match offset == 0 || offset == have {
        true => Ok(()),
        false => Err(CopyError::Garbled(format!("bytes from {offset} on, and {have} are here"))),
    }
}

/// Files of this machine.
struct Files<'a, 'b, N> {
    copier: &'a Copier<'b, N>,
    /// Those that come next, from where and to where.
    expected: VecDeque<(RemotePath, PathBuf)>,
    /// Whether a file that can't be had is skipped.
    goes_on: bool,
    current: Option<(Incoming, RemoteFile, RemotePath)>,
    /// How many bytes earlier copies had of the file that goes on with another session.
    began_at: Option<u64>,
    copied: Copied,
    first_failure: Option<CopyError>,
}

impl<'a, 'b, N> Files<'a, 'b, N> {
    fn new(copier: &'a Copier<'b, N>) -> Files<'a, 'b, N> {
        Files {
            copier,
            expected: VecDeque::new(),
            goes_on: false,
            current: None,
            began_at: None,
            copied: Copied::default(),
            first_failure: None,
        }
    }

    fn next(&mut self) -> Result<(RemotePath, PathBuf), CopyError> {
        self.expected.pop_front().ok_or_else(|| CopyError::Garbled("a file that nobody asked for".into()))
    }

    fn give_up(&mut self, remote: &RemotePath, error: CopyError) {
        match self.goes_on {
            true => {
                let skipped = self.copier.skip(remote.to_string(), shown(&error));
                self.copied.add(skipped);
            }
            false => self.first_failure = Some(error),
        }
    }
}

impl<N: Node> Sink for Files<'_, '_, N> {
    async fn begin(&mut self, file: &RemoteFile) -> Result<(), CopyError> {
        let (remote, local) = self.next()?;
        if is_special(&local) {
            let error = io::Error::other(Reason::Special.to_string());
            self.give_up(&remote, CopyError::local("replace", local)(error));
            return Ok(());
        }
        let size = (file.size > 0).then_some(file.size);
        (self.copier.progress)(Progress::File { name: remote.to_string(), size, offset: file.offset });
        let offset = file.offset;
        let begun = tokio::task::spawn_blocking(move || Incoming::begin(&local, offset)).await;
        let incoming = begun.map_err(|error| CopyError::Garbled(error.to_string()))??;
        let began_at = self.began_at.take().filter(|_| offset > 0).unwrap_or(offset);
        self.current = Some((incoming, RemoteFile { offset: began_at, ..file.clone() }, remote));
        Ok(())
    }

    async fn bytes(&mut self, bytes: Bytes) -> Result<(), CopyError> {
        match &mut self.current {
            // A block of a file goes to the system's memory: that does not wait for a disk.
            Some((incoming, ..)) => incoming.add(&bytes),
            None => Ok(()),
        }
    }

    async fn end(&mut self, hash: &str) -> Result<u64, CopyError> {
        let Some((incoming, file, remote)) = self.current.take() else { return Ok(0) };
        let size = incoming.length();
        if file.size > 0 && size != file.size {
            self.give_up(&remote, CopyError::Changed(remote.to_string()));
            return Ok(size);
        }
        let options = &self.copier.options;
        self.copier.note_lost_bits(&remote, file.mode.unwrap_or_default());
        let mode = file.mode.unwrap_or(0o644) & 0o777;
        let finish = Finish {
            mode: if options.preserve { mode } else { mode & !options.umask },
            is_exact: options.preserve,
            modified: file.modified.filter(|_| options.preserve),
        };
        let hash = hash.to_owned();
        let finished = tokio::task::spawn_blocking(move || incoming.finish(&hash, finish)).await;
        match finished.map_err(|error| CopyError::Garbled(error.to_string()))? {
            Ok(()) => {
                let (bytes, resumed) = (size - file.offset.min(size), file.offset);
                self.copied.add(Copied { files: 1, bytes, resumed, skipped: 0 });
            }
            Err(error @ CopyError::Differs { .. }) => self.give_up(&remote, error),
            Err(error) => return Err(error),
        }
        Ok(size)
    }

    async fn failed(&mut self, reason: Reason) -> Result<(), CopyError> {
        let (remote, _) = self.next()?;
        let reason = match reason {
            // In a tree, no directory is asked for.
            Reason::IsDirectory if self.goes_on => Reason::LinkToDirectory,
            reason => reason,
        };
        let error = CopyError::node("read", &remote, reason);
        self.give_up(&remote, error);
        Ok(())
    }

    async fn missing(&mut self) -> Result<Vec<Wanted>, CopyError> {
        let mut missing = Vec::new();
        let rest: Vec<_> = self.expected.iter().cloned().collect();
        if let Some((incoming, file, remote)) = self.current.take() {
            missing.push(Wanted { path: remote.clone(), have: incoming.have() });
            self.began_at = Some(file.offset);
            self.expected.push_front((remote, incoming.destination().to_owned()));
        }
        missing.extend(self.copier.with_parts(rest).await?.into_iter().map(|(wanted, _)| wanted));
        Ok(missing)
    }
}

/// A stream, and what it has been given.
struct Stream<'a, W> {
    path: RemotePath,
    progress: &'a (dyn Fn(Progress) + Sync),
    out: W,
    hash: Hash,
    size: u64,
    received: u64,
    /// Everything has come.
    has_ended: bool,
}

impl<W: AsyncWrite + Unpin> Sink for Stream<'_, W> {
    async fn begin(&mut self, file: &RemoteFile) -> Result<(), CopyError> {
        // What a stream has been given can't be taken back.
        if file.offset != self.received {
            return Err(CopyError::Changed(self.path.to_string()));
        }
        self.size = file.size;
        let size = (file.size > 0).then_some(file.size);
        (self.progress)(Progress::File { name: self.path.to_string(), size, offset: file.offset });
        Ok(())
    }

    async fn bytes(&mut self, bytes: Bytes) -> Result<(), CopyError> {
        self.hash.add(&bytes);
        self.received += bytes.len() as u64;
        self.out.write_all(&bytes).await.map_err(CopyError::local("write", "-"))
    }

    async fn end(&mut self, hash: &str) -> Result<u64, CopyError> {
        self.out.flush().await.map_err(CopyError::local("write", "-"))?;
        self.has_ended = true;
        let found = self.hash.shown();
        if self.size > 0 && self.size != self.received {
            return Err(CopyError::Changed(self.path.to_string()));
        }
        if found != hash {
            let expected = hash.to_owned();
            return Err(CopyError::Differs { path: self.path.to_string(), expected, found });
        }
        Ok(self.received)
    }

    async fn failed(&mut self, reason: Reason) -> Result<(), CopyError> {
        Err(CopyError::node("read", &self.path, reason))
    }

    async fn missing(&mut self) -> Result<Vec<Wanted>, CopyError> {
        let have = (self.received > 0).then(|| (self.received, self.hash.shown()));
        Ok(if self.has_ended { Vec::new() } else { vec![Wanted { path: self.path.clone(), have }] })
    }
}
