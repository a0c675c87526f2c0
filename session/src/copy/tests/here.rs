//! This machine as a node. Command lines are taken as agents take them: with a terminal by `sh -c`, without one split
//! into words.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustix::fs::{Mode, OFlags, fcntl_setfl, open};
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use crate::copy::{ExecOutput, ExecSource, Node};
use crate::link::{Incoming, LinkEnded, LinkSink, LinkSource};
use crate::payload::SessionFlag;
use crate::terminal::Input;

/// A node that is this machine, with the tools of a directory of its own.
pub(super) struct Here {
    directory: TempDir,
    path: String,
    user: Option<u32>,
    /// Whether command lines for a terminal are split into words too, as agents in containers do.
    splits_words: bool,
    /// After how many bytes of input or output a session is cut, as if its agent had died.
    pub(super) cut_after: AtomicU64,
    /// Whether it then is the end of a session whose last bytes were lost on their way, a number of times.
    pub(super) loses_ends: AtomicU64,
    /// How many sessions there were.
    pub(super) sessions: AtomicU64,
}

const NO_CUT: u64 = u64::MAX;

impl Here {
    /// With this machine's tools and this shell as `sh`.
    pub(super) fn with_shell(shell: &str) -> Option<Here> {
        let shell = which(shell)?;
        let here = Here::empty("/usr/local/bin:/usr/bin:/bin");
        symlink(shell, here.tools().join("sh")).unwrap();
        Some(here)
    }

    /// With busybox's tools and shell, and nothing else.
    pub(super) fn with_busybox() -> Option<Here> {
        let busybox = which("busybox")?;
        let mut here = Here::empty("");
        for tool in [
            "sh",
            "base64",
            "cat",
            "chmod",
            "chown",
            "dd",
            "find",
            "head",
            "mkdir",
            "mv",
            "readlink",
            "rm",
            "sha256sum",
            "stat",
            "stty",
            "tail",
            "touch",
            "wc",
        ] {
            symlink(&busybox, here.tools().join(tool)).unwrap();
        }
        here.path = here.tools().display().to_string();
        here.splits_words = true;
        Some(here)
    }

    /// Every shell that this machine has.
    pub(super) fn all() -> Vec<(&'static str, Here)> {
        let found: Vec<_> = ["dash", "bash", "busybox"]
            .into_iter()
            .filter_map(|shell| {
                let here = match shell {
                    "busybox" => Here::with_busybox(),
                    shell => Here::with_shell(shell),
                };
                if here.is_none() {
                    eprintln!("SKIPPED: this machine has no {shell}; the scripts are not tried in it");
                }
                Some((shell, here?))
            })
            .collect();
        assert!(!found.is_empty(), "this machine has no shell");
        found
    }

    /// With the first of them.
    pub(super) fn new() -> Here {
        Here::all().remove(0).1
    }

    fn empty(path: &str) -> Here {
        let directory = tempfile::tempdir().unwrap();
        let tools = directory.path().join("tools");
        fs::create_dir(&tools).unwrap();
        fs::create_dir(directory.path().join("home")).unwrap();
        Here {
            path: format!("{}:{path}", tools.display()),
            directory,
            user: None,
            splits_words: false,
            cut_after: AtomicU64::new(NO_CUT),
            loses_ends: AtomicU64::new(0),
            sessions: AtomicU64::new(0),
        }
    }

    fn tools(&self) -> PathBuf {
        self.directory.path().join("tools")
    }

    /// Where relative paths begin.
    pub(super) fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    /// A tool that does something else than it should.
    pub(super) fn replace(&self, tool: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.tools().join(tool);
        drop(fs::remove_file(&path));
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Only with these tools of this machine.
    pub(super) fn with_only(tools: &[&str]) -> Here {
        let mut here = Here::empty("");
        for tool in tools {
            symlink(which(tool).unwrap(), here.tools().join(tool)).unwrap();
        }
        here.path = here.tools().display().to_string();
        here
    }

    /// Sessions run as another user, if this one is root and could do anything.
    pub(super) fn run_by_nobody(mut self) -> Here {
        use std::os::unix::fs::PermissionsExt;
        if rustix::process::geteuid().is_root() {
            self.user = Some(65_534);
            fs::set_permissions(self.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        }
        self
    }

    fn command(&self, words: &[String]) -> Command {
        let [program, arguments @ ..] = words else { panic!("no words") };
        let mut command = Command::new(self.tools().join(program));
        command
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", self.home())
            .current_dir("/")
            .args(arguments)
            .kill_on_drop(true)
            .process_group(0);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        self.sessions.fetch_add(1, Ordering::Relaxed);
        command
    }
}

fn which(tool: &str) -> Option<PathBuf> {
    ["/bin", "/usr/bin", "/usr/local/bin"]
        .iter()
        .map(|dir| Path::new(dir).join(tool))
        .find(|path| path.exists())
}

/// Words as agents split a command line: quotes and backslashes, and nothing else of a shell.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' => word.get_or_insert_default().extend(characters.by_ref().take_while(|c| *c != '\'')),
            '\\' => word.get_or_insert_default().extend(characters.next()),
            '"' => panic!("no double quotes outside of single ones are expected"),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// A process and all that it has started, which die with it.
struct Processes(Child);

impl Drop for Processes {
    fn drop(&mut self) {
        if let Some(pid) = self.0.id().and_then(|id| Pid::from_raw(id as i32)) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// How much of a session is left before it is cut.
struct Left(AtomicU64);

impl Left {
    /// Whether the session goes on after so many bytes more.
    fn take(&self, count: usize) -> Result<(), LinkEnded> {
        let left = self.0.load(Ordering::Relaxed);
        if left == NO_CUT {
            return Ok(());
        }
        self.0.store(left.saturating_sub(count as u64), Ordering::Relaxed);
        if left <= count as u64 { Err(LinkEnded::new("the agent died")) } else { Ok(()) }
    }
}

pub(super) struct Screen {
    input: Input,
    _processes: Arc<Processes>,
}

pub(super) struct Keyboard {
    terminal: OwnedFd,
    left: Left,
    processes: Arc<Processes>,
}

impl LinkSource for Screen {
    async fn next(&mut self) -> Result<Incoming, LinkEnded> {
        match self.input.read().await {
            Ok(Some(bytes)) => Ok(Incoming::Bytes(bytes)),
            _ => Err(LinkEnded::new("the session is over")),
        }
    }
}

impl LinkSink for Keyboard {
    async fn send(&mut self, bytes: Bytes) -> Result<(), LinkEnded> {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            match rustix::io::write(&self.terminal, &rest[..rest.len().min(4096)]) {
                Ok(count) => {
                    rest = &rest[count..];
                    if let Err(cut) = self.left.take(count) {
                        let id = self.processes.0.id().and_then(|id| Pid::from_raw(id as i32)).unwrap();
                        let _ = kill_process_group(id, Signal::KILL);
                        return Err(cut);
                    }
                }
                Err(rustix::io::Errno::AGAIN) => tokio::time::sleep(Duration::from_micros(200)).await,
                Err(error) => return Err(LinkEnded::new(error.to_string())),
            }
        }
        Ok(())
    }

    async fn flag(&mut self, _: SessionFlag) -> Result<(), LinkEnded> {
        Ok(())
    }
}

pub(super) struct Exec {
    processes: Processes,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    has_ended: bool,
    left: Left,
    is_lossy: bool,
}

impl ExecSource for Exec {
    async fn next(&mut self) -> Result<Option<ExecOutput>, LinkEnded> {
        loop {
            let (mut out, mut complaints) = (BytesMut::with_capacity(1024), BytesMut::with_capacity(1024));
            let (is_out, count) = tokio::select! {
                count = read(&mut self.stdout, &mut out) => (true, count),
                count = read(&mut self.stderr, &mut complaints) => (false, count),
                status = self.processes.0.wait(), if self.stdout.is_none() && self.stderr.is_none() => {
                    if std::mem::replace(&mut self.has_ended, true) {
                        return Ok(None);
                    }
                    return Ok(Some(ExecOutput::Exit(status.unwrap().code().unwrap_or(137))));
                }
            };
            match (is_out, count) {
                (true, 0) => self.stdout = None,
                (false, 0) => self.stderr = None,
                (true, count) => {
                    self.left.take(count).map_err(|ended| match self.is_lossy {
                        true => LinkEnded::cut("the session has ended"),
                        false => ended,
                    })?;
                    return Ok(Some(ExecOutput::Stdout(out.freeze())));
                }
                (false, _) => return Ok(Some(ExecOutput::Stderr(complaints.freeze()))),
            }
        }
    }
}

async fn read(from: &mut Option<impl tokio::io::AsyncRead + Unpin>, to: &mut BytesMut) -> usize {
    match from {
        Some(from) => from.read_buf(to).await.unwrap(),
        None => std::future::pending().await,
    }
}

impl Node for Here {
    type Source = Screen;
    type Sink = Keyboard;
    type Exec = Exec;
    type Error = std::io::Error;

    async fn terminal(&self, command: String) -> Result<(Screen, Keyboard), std::io::Error> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let name = ptsname(&ours, Vec::new())?;
        let theirs = open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        fcntl_setfl(&ours, OFlags::NONBLOCK)?;
        let words = match self.splits_words {
            true => words(&command),
            false => ["sh".to_owned(), "-c".to_owned(), command].into(),
        };
        let child = self
            .command(&words)
            .stdin(theirs.try_clone()?)
            .stdout(theirs.try_clone()?)
            .stderr(theirs)
            .spawn()?;
        let processes = Arc::new(Processes(child));
        let left = Left(AtomicU64::new(self.cut_after.swap(NO_CUT, Ordering::Relaxed)));
        let screen = Screen { input: Input::new(ours.as_fd())?, _processes: Arc::clone(&processes) };
        Ok((screen, Keyboard { terminal: ours, left, processes }))
    }

    async fn exec(&self, command: String) -> Result<Exec, std::io::Error> {
        let mut child = self
            .command(&words(&command))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let left = Left(AtomicU64::new(self.cut_after.swap(NO_CUT, Ordering::Relaxed)));
        let is_lossy = self.loses_ends.load(Ordering::Relaxed) > 0;
        if is_lossy {
            // The next one too, until they are used up.
            let others = self.loses_ends.fetch_sub(1, Ordering::Relaxed) - 1;
            let cut = if others > 0 { left.0.load(Ordering::Relaxed) } else { NO_CUT };
            self.cut_after.store(cut, Ordering::Relaxed);
        }
        Ok(Exec { processes: Processes(child), stdout, stderr, has_ended: false, left, is_lossy })
    }
}
