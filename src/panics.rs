//! What a panic is to the user: a bug of ours, told as one once the terminal is restored. It ends the process at once, on
//! whatever thread it was: the journal is made for that, and half a process would be worse. Release builds can't unwind.

use std::panic;
use std::sync::{Arc, Mutex, PoisonError};

use crate::exit::Exit;
use crate::failure::{Changed, Failure, Kind};
use crate::io::Io;
use crate::render::Format;
use crate::{commands, io, report};

/// How a panic is told; known better as the command line is read.
#[derive(Clone, Default)]
pub(crate) struct Manner(Arc<Mutex<Told>>);

#[derive(Clone, Copy, Default)]
struct Told {
    format: Option<Format>,
    is_remote: bool,
}

impl Manner {
    /// In that format; `is_remote` where the exit code is the remote command's.
    pub(crate) fn set(&self, format: Option<Format>, is_remote: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Told { format, is_remote };
    }

    fn get(&self) -> Told {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From now on, a panic restores the terminal, says where it was and what to do, and ends the process by `quit`.
pub(crate) fn watch(io: &Io, quit: fn(Exit) -> !) -> Manner {
    let (manner, io) = (Manner::default(), io.anew());
    let told = manner.clone();
    let show = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        herder_session::terminal::restore();
        io::restore_terminal();
        show(panic);
        let Told { format, is_remote } = told.get();
        let exit = report(&io, &failure(), format);
        io.flush();
        quit(if is_remote { commands::exec::own_failure(exit) } else { exit })
    }));
    manner
}

fn failure() -> Failure {
    let mut failure = Failure::new(Kind::Bug, "herder failed at something that can't happen; see above")
        .hint("What was sent is on record: `herder runs list` shows it, `herder runs resume` goes on. Please report this.");
    failure.changed = Changed::Possibly;
    failure
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    clippy::exit,
    reason = "a process of its own has to end by a panic on a thread of its own"
)]
mod tests {
    use std::process::Command;
    use std::sync::Arc;

    use super::*;

    fn quit(exit: Exit) -> ! {
        std::process::exit(i32::from(exit.code()))
    }

    /// Not a test by itself: the process that the test below watches.
    #[test]
    #[ignore = "panics"]
    fn panics_on_a_thread_of_its_own() {
        let io = Io::system(&|_| None);
        let manner = watch(&io, quit);
        manner.set(Some(Format::Json), std::env::var_os("REMOTE").is_some());
        let held = Arc::new(io.stdout());
        let _ = std::thread::spawn(move || {
            let _kept = held;
            panic!("a planted one")
        })
        .join();
        unreachable!("the process outlived its panic")
    }

    fn panicking(is_remote: bool) -> (Option<i32>, String, String) {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--ignored", "--exact", "panics::tests::panics_on_a_thread_of_its_own", "--nocapture"]);
        if is_remote {
            child.env("REMOTE", "1");
        }
        let output = child.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    #[test]
    fn a_panic_on_any_thread_ends_the_process_with_70() {
        let (code, stdout, stderr) = panicking(false);
        assert_eq!(code, Some(70), "{stderr}");
        assert!(stderr.contains("a planted one") && stderr.contains("herder runs resume"), "{stderr}");
        let document = stdout.lines().find(|line| line.starts_with('{')).unwrap();
        let document: serde_json::Value = serde_json::from_str(document).unwrap();
        assert_eq!(document["error"]["kind"], "bug", "{document}");
        assert_eq!(document["error"]["changed"], true, "{document}");
    }

    #[test]
    fn where_the_code_is_the_remote_commands_it_is_255() {
        assert_eq!(panicking(true).0, Some(255));
    }
}
