//! A process: its arguments, its streams, where it is and who it is.

use super::disk::{Body, Entry, Errno};
use super::machine::{Machine, Running};
use super::stream::{PIECE, Stream, lock};
use super::terminal::Terminal;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How a program ends: with an exit code, or with an error that it has no words for.
pub(crate) type Done = Result<i32, Errno>;

/// Input, output and errors.
#[derive(Debug, Clone)]
pub(crate) struct Streams {
    pub(crate) input: Stream,
    pub(crate) out: Stream,
    pub(crate) err: Stream,
    /// Descriptors from 3 on.
    pub(crate) more: BTreeMap<u8, Stream>,
}

impl Streams {
    pub(crate) fn get(&self, descriptor: u8) -> Option<&Stream> {
        match descriptor {
            0 => Some(&self.input),
            1 => Some(&self.out),
            2 => Some(&self.err),
            more => self.more.get(&more),
        }
    }

    pub(crate) fn set(&mut self, descriptor: u8, stream: Stream) {
        match descriptor {
            0 => self.input = stream,
            1 => self.out = stream,
            2 => self.err = stream,
            more => {
                self.more.insert(more, stream);
            }
        }
    }
}

/// A process.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) machine: Arc<Machine>,
    /// The program's name, as it was called.
    pub(crate) name: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) streams: Streams,
    /// The terminal that controls it.
    pub(crate) terminal: Option<Arc<Terminal>>,
    pub(crate) directory: String,
    pub(crate) user: String,
    /// How many programs and commands it is inside of.
    pub(crate) depth: u32,
}

impl Process {
    /// Arguments as texts.
    pub(crate) fn words(&self) -> Vec<&str> {
        self.arguments.iter().map(String::as_str).collect()
    }

    /// A path from where the process is.
    pub(crate) fn path(&self, path: &str) -> String {
        if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", self.directory) }
    }

    /// Input, as much as `most` bytes; none at the end.
    pub(crate) async fn read(&self, most: usize) -> Result<Bytes, Errno> {
        self.machine.step().await;
        self.streams.input.read(most).await
    }

    pub(crate) async fn write(&self, bytes: Bytes) -> Result<(), Errno> {
        self.machine.step().await;
        self.streams.out.write(bytes).await
    }

    pub(crate) async fn print(&self, text: impl Into<String>) -> Result<(), Errno> {
        self.write(Bytes::from(text.into())).await
    }

    /// A line of complaint; nobody may be there to read it.
    pub(crate) async fn complain(&self, line: &str) {
        let _nobody_listens = self.streams.err.write(Bytes::from(format!("{line}\n"))).await;
    }

    /// `NAME: WHAT`, and the exit code 1.
    pub(crate) async fn fail(&self, what: &str) -> Done {
        self.complain(&format!("{}: {what}", self.short())).await;
        Ok(1)
    }

    /// The program's name without its directory.
    pub(crate) fn short(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }

    /// Opens a file to read; `-` is the input.
    pub(crate) fn open(&self, path: &str) -> Result<Stream, Errno> {
        if path == "-" {
            return Ok(self.streams.input.clone());
        }
        let path = self.path(path);
        let entry = lock(&self.machine.disk).open(&path, &self.user)?;
        self.stream(&entry, false)
    }

    /// Opens a file to write.
    pub(crate) fn create(&self, path: &str, appends: bool) -> Result<Stream, Errno> {
        self.open_to_write(path, !appends, appends)
    }

    /// Opens a file to write, its contents cut or kept.
    pub(crate) fn open_to_write(&self, path: &str, cuts: bool, appends: bool) -> Result<Stream, Errno> {
        let (path, now) = (self.path(path), self.machine.now());
        let entry = lock(&self.machine.disk).create(&path, (&self.user, cuts), now)?;
        self.stream(&entry, appends)
    }

    fn stream(&self, entry: &Entry, appends: bool) -> Result<Stream, Errno> {
        Stream::of(entry, appends, (&self.machine.disk, self.terminal.as_ref()))
    }

    /// What is at a path, links followed.
    pub(crate) fn find(&self, path: &str) -> Result<Entry, Errno> {
        lock(&self.machine.disk).find(&self.path(path)).map(|(_, entry)| entry)
    }

    /// What is at a path itself.
    pub(crate) fn find_itself(&self, path: &str) -> Option<Entry> {
        let disk = lock(&self.machine.disk);
        let path = disk.resolve(&self.path(path), false).ok()?;
        disk.entry(&path)
    }

    pub(crate) fn is_directory(&self, path: &str) -> bool {
        self.find(path).is_ok_and(|entry| matches!(entry.body, Body::Directory))
    }

    /// Everything of some files, or of the input where there are none; complains about those that can't be read.
    pub(crate) async fn contents(&self, paths: &[&str], limit: usize) -> Result<(Vec<u8>, i32), Errno> {
        if paths.is_empty() {
            return Ok((self.streams.input.whole(limit).await?, 0));
        }
        let (mut whole, mut code) = (Vec::new(), 0);
        for path in paths {
            match self.open(path) {
                Ok(stream) => whole.extend(stream.whole(limit - whole.len().min(limit)).await?),
                Err(error) => {
                    self.complain(&format!("{}: {path}: {}", self.short(), error.text())).await;
                    code = 1;
                }
            }
        }
        Ok((whole, code))
    }

    /// Passes everything of a stream on.
    pub(crate) async fn pass(&self, from: &Stream) -> Result<(), Errno> {
        loop {
            self.machine.step().await;
            let bytes = from.read(PIECE).await?;
            if bytes.is_empty() {
                return Ok(());
            }
            self.streams.out.write(bytes).await?;
        }
    }

    /// The same process as another program.
    pub(crate) fn with(&self, name: &str, arguments: &[&str]) -> Process {
        let arguments = arguments.iter().map(|text| (*text).to_owned()).collect();
        Process { name: name.to_owned(), arguments, ..self.clone() }
    }
}

/// Runs a program's body, and puts an error into words that it has none for.
pub(crate) fn running<F>(process: Process, body: impl FnOnce(Process) -> F) -> Running
where
    F: Future<Output = Done> + Send + 'static,
{
    let (streams, name) = (process.streams.clone(), process.short().to_owned());
    let body = body(process);
    Box::pin(async move {
        match body.await {
            Ok(code) => code,
            // What SIGPIPE leaves.
            Err(Errno::BrokenPipe) => 141,
            Err(error) => {
                let line = format!("{name}: write error: {}\n", error.text());
                let _nobody_listens = streams.err.write(Bytes::from(line)).await;
                1
            }
        }
    })
}

/// Options of a program, and what else it was given.
#[derive(Debug, Default)]
pub(crate) struct Options<'a> {
    flags: Vec<(char, &'a str)>,
    pub(crate) rest: Vec<&'a str>,
}

impl<'a> Options<'a> {
    /// Reads options as getopt does: a letter followed by `:` takes a value. `long` names long options.
    pub(crate) fn read(
        words: &[&'a str],
        letters: &str,
        long: &[(&str, char)],
    ) -> Result<Options<'a>, String> {
        let takes =
            |letter: char| letters.find(letter).map(|at| letters[at + letter.len_utf8()..].starts_with(':'));
        let mut options = Options::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if *word == "--" {
                options.rest.extend(words);
                break;
            }
            if let Some(name) = word.strip_prefix("--") {
                let (name, value) =
                    name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value)));
                let Some((_, letter)) = long.iter().find(|(known, _)| *known == name) else {
                    return Err(format!("unrecognized option '--{name}'"));
                };
                let value = match value {
                    None if takes(*letter) == Some(true) => words.next().copied().unwrap_or_default(),
                    other => other.unwrap_or_default(),
                };
                options.flags.push((*letter, value));
                continue;
            }
            let Some(cluster) = word.strip_prefix('-').filter(|cluster| !cluster.is_empty()) else {
                options.rest.push(word);
                continue;
            };
            for (at, letter) in cluster.char_indices() {
                match takes(letter) {
                    None => return Err(format!("invalid option -- '{letter}'")),
                    Some(false) => options.flags.push((letter, "")),
                    Some(true) => {
                        let attached = &cluster[at + letter.len_utf8()..];
                        let value = match attached {
                            "" => words
                                .next()
                                .copied()
                                .ok_or(format!("option requires an argument -- '{letter}'"))?,
                            value => value,
                        };
                        options.flags.push((letter, value));
                        break;
                    }
                }
            }
        }
        Ok(options)
    }

    pub(crate) fn has(&self, letter: char) -> bool {
        self.flags.iter().any(|(known, _)| *known == letter)
    }

    /// The last value of an option.
    pub(crate) fn value(&self, letter: char) -> Option<&'a str> {
        self.flags.iter().rev().find(|(known, _)| *known == letter).map(|(_, value)| *value)
    }
}
