//! [`Io`]: the only holder of the process' streams and of its terminal.
//!
//! stdout is data, stderr is talk. Questions go to the terminal itself, never to stdin. Nothing else in herder may
//! touch these streams; `clippy.toml` sees to it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, IsTerminal, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Columns where nobody says how many there are.
const DEFAULT_WIDTH: usize = 80;

/// The streams of the process, with what they can show.
#[derive(Clone)]
pub(crate) struct Io {
    stdout: Out,
    stderr: Out,
    stdin: Input,
    stdout_style: Style,
    stderr_style: Style,
    width: Width,
    terminal: Terminal,
    /// Whether all of this is simulated: every human output says so.
    simulated: Arc<AtomicBool>,
}

/// What a stream can show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Style {
    /// Whether a person looks at it.
    pub(crate) is_tty: bool,
    /// Whether colour is wanted; never off a terminal.
    pub(crate) colour: bool,
    /// Whether it shows more than ASCII.
    pub(crate) unicode: bool,
}

/// The terminal's width, asked anew each time: windows change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// Always this: what `COLUMNS` says.
    Fixed(usize),
    /// What the terminal says.
    Measured,
}

impl Width {
    /// Columns, 20 at least.
    #[must_use]
    pub(crate) fn columns(self) -> usize {
        let columns = match self {
            Width::Fixed(columns) => Some(columns),
            Width::Measured => {
                let mut on_stderr = comfy_table::Table::new();
                on_stderr.use_stderr();
                comfy_table::Table::new().width().or_else(|| on_stderr.width()).map(usize::from)
            }
        };
        columns.filter(|c| *c > 0).unwrap_or(DEFAULT_WIDTH).max(20)
    }
}

/// The process' streams, unbuffered. They are copies: closing them closes nothing.
#[derive(Debug)]
pub(crate) struct Descriptors {
    pub(crate) stdin: OwnedFd,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

#[derive(Clone)]
enum Input {
    System,
    #[cfg(test)]
    Fake(Vec<u8>),
}

#[derive(Clone)]
enum Terminal {
    System,
    #[cfg(test)]
    Fake {
        answers: Arc<Mutex<std::collections::VecDeque<String>>>,
        asked: Arc<Mutex<Vec<u8>>>,
    },
    #[cfg(test)]
    None,
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PromptError {
    /// There is no terminal to ask on.
    #[error("there is no terminal to ask on")]
    NoTerminal,
    /// The terminal was closed, or Ctrl-D typed.
    #[error("the question was not answered")]
    Ended,
    /// What is typed could not be hidden, so nothing was asked.
    #[error("the terminal can't hide what is typed")]
    NotHidden,
    /// The terminal failed.
    #[error("the terminal failed")]
    Failed(#[source] io::Error),
}

/// What is seen of what is typed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Echo {
    Shown,
    Hidden,
}

impl std::fmt::Debug for Io {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Io")
            .field("stdout", &self.stdout_style)
            .field("stderr", &self.stderr_style)
            .finish_non_exhaustive()
    }
}

/// The process' own streams.
struct Streams {
    stdout: Out,
    stderr: Out,
    /// Whether stdout and stderr are terminals.
    on_terminals: (bool, bool),
}

impl Streams {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that opens the process' streams")]
    fn open() -> Streams {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        Streams {
            on_terminals: (stdout.is_terminal(), stderr.is_terminal()),
            stdout: Out::new(unbuffered(&stdout, io::stdout()), OnError::Report),
            stderr: Out::new(unbuffered(&stderr, io::stderr()), OnError::Ignore),
        }
    }
}

impl Io {
    /// The process' own. `variable` looks an environment variable up.
    #[must_use]
    pub(crate) fn system(variable: &dyn Fn(&str) -> Option<String>) -> Io {
        let Streams { stdout, stderr, on_terminals } = Streams::open();
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let colour = set("NO_COLOR").is_none() && set("TERM").is_some_and(|term| term != "dumb");
        let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
        let unicode = ["utf-8", "utf8"].iter().any(|utf| locale.to_lowercase().contains(utf));
        let style = |is_tty| Style { is_tty, colour: colour && is_tty, unicode };
        Io {
            stdout_style: style(on_terminals.0),
            // A dumb terminal can't redraw: talk to it as to a file.
            stderr_style: style(on_terminals.1 && set("TERM").is_none_or(|term| term != "dumb")),
            stdout,
            stderr,
            stdin: Input::System,
            width: set("COLUMNS")
                .and_then(|columns| columns.parse().ok())
                .map_or(Width::Measured, Width::Fixed),
            terminal: Terminal::System,
            simulated: Arc::default(),
        }
    }

    /// Writes out what is buffered. A reader that has gone has read enough.
    pub(crate) fn flush(&self) {
        let _ = self.stdout().flush();
        let _ = self.stderr().flush();
    }

    /// The same streams with buffers of their own: another thread may hold this one's for good.
    pub(crate) fn anew(&self) -> Io {
        let Streams { stdout, stderr, .. } = Streams::open();
        Io { stdout, stderr, ..self.clone() }
    }

    /// Where data goes.
    #[must_use]
    pub(crate) fn stdout(&self) -> Out {
        self.stdout.clone()
    }

    /// Where talk goes. Writing to it never fails: a dead terminal stops no change.
    #[must_use]
    pub(crate) fn stderr(&self) -> Out {
        self.stderr.clone()
    }

    /// What stdout can show.
    #[must_use]
    pub(crate) fn stdout_style(&self) -> Style {
        self.stdout_style
    }

    /// What stderr can show.
    #[must_use]
    pub(crate) fn stderr_style(&self) -> Style {
        self.stderr_style
    }

    /// The terminal's width.
    #[must_use]
    pub(crate) fn width(&self) -> Width {
        self.width
    }

    /// What is shown from now on comes from a simulator.
    pub(crate) fn note_simulated(&self) {
        self.simulated.store(true, Ordering::Relaxed);
    }

    /// Whether what is shown comes from a simulator.
    #[must_use]
    pub(crate) fn is_simulated(&self) -> bool {
        self.simulated.load(Ordering::Relaxed)
    }

    /// What was piped in.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that opens the process' streams")]
    pub(crate) fn stdin(&self) -> Box<dyn Read + Send> {
        match &self.stdin {
            Input::System => Box::new(io::stdin()),
            #[cfg(test)]
            Input::Fake(bytes) => Box::new(io::Cursor::new(bytes.clone())),
        }
    }

    /// The streams as file descriptors, for sessions: their bytes go through unread, and neither may block a thread.
    ///
    /// # Errors
    /// The system has no file descriptors left.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that opens the process' streams")]
    pub(crate) fn descriptors(&self) -> io::Result<Descriptors> {
        // Of streams that were closed at the start, the runtime has made `/dev/null`.
        Ok(Descriptors {
            stdin: io::stdin().as_fd().try_clone_to_owned()?,
            stdout: io::stdout().as_fd().try_clone_to_owned()?,
            stderr: io::stderr().as_fd().try_clone_to_owned()?,
        })
    }

    /// Whether whoever read standard output has gone: a pipe's other end is closed. Told without writing anything.
    #[must_use]
    pub(crate) fn is_unread(&self) -> bool {
        let Ok(Descriptors { stdout, .. }) = self.descriptors() else { return false };
        let mut files = [PollFd::new(&stdout, PollFlags::empty())];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut files, Some(&at_once)).is_ok()
            && files.iter().any(|file| file.revents().intersects(PollFlags::ERR | PollFlags::HUP))
    }

    /// Asks for a line on the terminal. Blocks.
    ///
    /// # Errors
    /// There is no terminal, or it was closed.
    pub(crate) fn ask(&self, question: &str) -> Result<String, PromptError> {
        self.prompt(question, Echo::Shown)
    }

    /// Asks for a yes on the terminal; anything but `y` and `yes` is a no. Blocks.
    ///
    /// # Errors
    /// There is no terminal, or it was closed.
    pub(crate) fn confirm(&self, question: &str) -> Result<bool, PromptError> {
        let answer = self.prompt(&format!("{question} [y/N] "), Echo::Shown)?;
        Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }

    /// Asks for a line that isn't shown while it is typed. Blocks.
    ///
    /// # Errors
    /// There is no terminal, it was closed, or it can't hide what is typed.
    pub(crate) fn ask_hidden(&self, question: &str) -> Result<String, PromptError> {
        self.prompt(&format!("{question}: "), Echo::Hidden)
    }

    fn prompt(&self, text: &str, echo: Echo) -> Result<String, PromptError> {
        match &self.terminal {
            #[cfg(test)]
            Terminal::None => Err(PromptError::NoTerminal),
            #[cfg(test)]
            Terminal::Fake { answers, asked } => {
                lock(asked).extend_from_slice(text.as_bytes());
                lock(answers).pop_front().ok_or(PromptError::Ended)
            }
            Terminal::System => {
                let tty = OpenOptions::new().read(true).write(true).open("/dev/tty");
                prompt_on(&tty.map_err(|_| PromptError::NoTerminal)?, text, echo)
            }
        }
    }
}

fn prompt_on(mut tty: &File, text: &str, echo: Echo) -> Result<String, PromptError> {
    let hidden = if echo == Echo::Hidden { Some(HiddenEcho::new(tty)?) } else { None };
    tty.write_all(text.as_bytes()).map_err(PromptError::Failed)?;
    let mut line = String::new();
    let read = BufReader::new(tty).read_line(&mut line).map_err(PromptError::Failed)?;
    if hidden.is_some() || read == 0 {
        // No line end was shown. That the terminal is gone now is seen at the next write.
        let _ = tty.write_all(b"\n");
    }
    if read == 0 { Err(PromptError::Ended) } else { Ok(line.trim_end_matches(['\r', '\n']).to_owned()) }
}

/// The terminal and its settings while it hides what is typed. The thread that waits for the answer may never wake up again.
static HIDDEN: Mutex<Option<(File, String)>> = Mutex::new(None);

/// The umask of this process, which can only be read by setting it.
pub(crate) fn umask() -> u32 {
    let own = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    rustix::process::umask(own);
    own.as_raw_mode()
}

/// Whether a question is open whose answer is hidden.
pub(crate) fn is_asking() -> bool {
    lock(&HIDDEN).is_some()
}

/// Shows again what is typed, if a question that hides it is still open. For the end of the process.
pub(crate) fn restore_terminal() {
    if let Some((tty, before)) = lock(&HIDDEN).take() {
        stty(&tty, before.trim());
    }
}

/// The terminal doesn't show what is typed until this is dropped. `stty` is on every system that has terminals,
/// and needs no unsafe code.
struct HiddenEcho;

impl HiddenEcho {
    fn new(tty: &File) -> Result<HiddenEcho, PromptError> {
        let before = stty(tty, "-g").ok_or(PromptError::NotHidden)?;
        let held = tty.try_clone().map_err(PromptError::Failed)?;
        *lock(&HIDDEN) = Some((held, before));
        let hidden = HiddenEcho;
        stty(tty, "-echo").ok_or(PromptError::NotHidden)?;
        Ok(hidden)
    }
}

impl Drop for HiddenEcho {
    fn drop(&mut self) {
        restore_terminal();
    }
}

fn stty(tty: &File, argument: &str) -> Option<String> {
    let stdin = Stdio::from(tty.try_clone().ok()?);
    let output = Command::new("stty").arg(argument).stdin(stdin).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A file of its own on the stream: the standard handle would flush at every line.
fn unbuffered(stream: &impl AsFd, fallback: impl Write + Send + 'static) -> Box<dyn Write + Send> {
    match stream.as_fd().try_clone_to_owned() {
        Ok(descriptor) => Box::new(File::from(descriptor)),
        Err(_) => Box::new(fallback),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stream to write to; clones write to the same one. Buffered: flush what must be seen.
#[derive(Clone)]
pub(crate) struct Out(Arc<Mutex<Sink>>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum OnError {
    Report,
    Ignore,
}

struct Sink {
    writer: BufWriter<Box<dyn Write + Send>>,
    on_error: OnError,
    is_closed: bool,
}

impl Out {
    fn new(writer: Box<dyn Write + Send>, on_error: OnError) -> Out {
        let writer = BufWriter::with_capacity(64 * 1024, writer);
        Out(Arc::new(Mutex::new(Sink { writer, on_error, is_closed: false })))
    }

    /// Whether the reader has gone: nothing written from now on is seen.
    #[cfg(test)]
    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.0).is_closed
    }
}

impl Sink {
    fn attempt<T>(
        &mut self,
        whole: T,
        write: impl FnOnce(&mut BufWriter<Box<dyn Write + Send>>) -> io::Result<T>,
    ) -> io::Result<T> {
        let result = match self.is_closed {
            true => Err(io::Error::from(io::ErrorKind::BrokenPipe)),
            false => write(&mut self.writer),
        };
        match result {
            Err(error) => {
                self.is_closed |=
                    error.kind() == io::ErrorKind::BrokenPipe || self.on_error == OnError::Ignore;
                if self.on_error == OnError::Ignore { Ok(whole) } else { Err(error) }
            }
            done => done,
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).attempt(bytes.len(), |writer| writer.write_all(bytes).map(|()| bytes.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        lock(&self.0).attempt((), |writer| writer.flush())
    }
}

#[cfg(test)]
#[path = "io_tests.rs"]
mod tests;

#[cfg(test)]
pub(crate) use self::tests::{Captured, Fake};
