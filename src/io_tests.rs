//! [`Io`] in memory, for the tests of everything that writes; and the tests of `io.rs` itself.

use super::*;

impl Io {
    /// Streams in memory, for tests.
    pub(crate) fn test(fake: Fake) -> (Io, Captured) {
        let captured = Captured::default();
        let style = |is_tty| Style { is_tty, colour: fake.colour && is_tty, unicode: fake.unicode };
        let buffer = |kept: &Arc<Mutex<Vec<u8>>>, room| Box::new(Buffer { kept: kept.clone(), room });
        let terminal = match fake.answers {
            Some(answers) => Terminal::Fake {
                answers: Arc::new(Mutex::new(answers.into())),
                asked: captured.asked.clone(),
            },
            None => Terminal::None,
        };
        let io = Io {
            stdout: Out::new(buffer(&captured.stdout, fake.stdout_room), OnError::Report),
            stderr: Out::new(buffer(&captured.stderr, None), OnError::Ignore),
            stdin: Input::Fake(fake.stdin),
            stdout_style: style(fake.is_stdout_tty),
            stderr_style: style(fake.is_stderr_tty),
            width: Width::Fixed(fake.width),
            terminal,
            simulated: Arc::default(),
        };
        (io, captured)
    }
}

/// What [`Io::test`] is like.
#[derive(Clone, Debug)]
pub(crate) struct Fake {
    /// Whether a person looks at stdout.
    pub(crate) is_stdout_tty: bool,
    /// Whether a person looks at stderr.
    pub(crate) is_stderr_tty: bool,
    /// Whether terminals are coloured.
    pub(crate) colour: bool,
    /// Whether more than ASCII is shown.
    pub(crate) unicode: bool,
    /// The terminals' width.
    pub(crate) width: usize,
    /// What is piped in.
    pub(crate) stdin: Vec<u8>,
    /// What the person at the terminal types; `None` for no terminal.
    pub(crate) answers: Option<Vec<String>>,
    /// After so many bytes stdout's reader goes away.
    pub(crate) stdout_room: Option<usize>,
}

impl Default for Fake {
    fn default() -> Fake {
        Fake {
            is_stdout_tty: false,
            is_stderr_tty: false,
            colour: false,
            unicode: true,
            width: DEFAULT_WIDTH,
            stdin: Vec::new(),
            answers: None,
            stdout_room: None,
        }
    }
}

/// What was written to an [`Io::test`].
#[derive(Clone, Default)]
pub(crate) struct Captured {
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    asked: Arc<Mutex<Vec<u8>>>,
}

impl Captured {
    /// Everything flushed to stdout so far.
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&lock(&self.stdout)).into_owned()
    }

    /// Everything flushed to stderr so far.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&lock(&self.stderr)).into_owned()
    }

    /// Every question asked on the terminal.
    pub(crate) fn asked(&self) -> String {
        String::from_utf8_lossy(&lock(&self.asked)).into_owned()
    }
}

struct Buffer {
    kept: Arc<Mutex<Vec<u8>>>,
    room: Option<usize>,
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = lock(&self.kept);
        if self.room.is_some_and(|room| kept.len() + bytes.len() > room) {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe));
        }
        kept.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_broken_pipe_is_remembered() {
    let (io, captured) = Io::test(Fake { stdout_room: Some(4), ..Fake::default() });
    let mut out = io.stdout();
    out.write_all(b"1234").unwrap();
    out.flush().unwrap();
    out.write_all(b"5").unwrap();
    assert_eq!(out.flush().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert!(io.stdout().is_closed());
    assert_eq!(out.write_all(b"6").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(captured.stdout(), "1234");
}

#[test]
fn stderr_never_fails() {
    struct Dead;
    impl Write for Dead {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("the terminal is gone"))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut out = Out::new(Box::new(Dead), OnError::Ignore);
    out.write_all(b"x").unwrap();
    out.flush().unwrap();
    assert!(out.is_closed());
    out.write_all(&[0; 200_000]).unwrap();
}

#[test]
fn questions_are_asked_on_the_terminal() {
    let answers = Some(["yes", "Y", "no", "", "123456"].map(str::to_owned).to_vec());
    let (io, captured) = Io::test(Fake { answers, stdin: b"y\n".to_vec(), ..Fake::default() });
    let given: Vec<bool> = (0..4).map(|_| io.confirm("Go?").unwrap()).collect();
    assert_eq!(given, [true, true, false, false]);
    assert_eq!(io.ask_hidden("MFA code").unwrap(), "123456");
    assert!(matches!(io.ask_hidden("name"), Err(PromptError::Ended)));
    assert!(captured.asked().starts_with("Go? [y/N] Go? [y/N] "));
    let (io, _) = Io::test(Fake { stdin: b"y\n".to_vec(), ..Fake::default() });
    assert!(matches!(io.confirm("Go?"), Err(PromptError::NoTerminal)));
    let mut piped = String::new();
    io.stdin().read_to_string(&mut piped).unwrap();
    assert_eq!(piped, "y\n");
}
