//! Raw mode, and the way back.
//!
//! The settings that the terminal had are kept for the whole process, so that a panic hook and whoever handles a signal
//! can restore them without holding anything. Restoring twice does no harm.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::panic;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use rustix::process::{RawPid, Signal, kill_current_process_group};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetpgrp, tcsetattr};

/// The terminal that is in raw mode, and how it was.
struct Saved {
    terminal: OwnedFd,
    before: Termios,
    raw: Termios,
}

static SAVED: Mutex<Option<Saved>> = Mutex::new(None);
static HOOK: Once = Once::new();

fn saved() -> MutexGuard<'static, Option<Saved>> {
    SAVED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The file is not a terminal: it has no modes.
#[derive(Debug, thiserror::Error)]
#[error("could not set the terminal to raw mode")]
pub struct NotATerminal(#[source] io::Error);

/// A terminal in raw mode: every key is a byte to read, and nothing is echoed or translated. Dropped, it is as it was.
///
/// A process has one at a time.
#[derive(Debug)]
pub struct RawMode(());

impl RawMode {
    /// Puts the terminal into raw mode, and sees to it that panics restore it before their message is shown.
    ///
    /// # Errors
    /// It is no terminal, or is gone; or another one is in raw mode already.
    pub fn enter(terminal: impl AsFd) -> Result<RawMode, NotATerminal> {
        let terminal = terminal.as_fd();
        let mut slot = saved();
        if slot.is_some() {
            return Err(NotATerminal(io::Error::other("another terminal is in raw mode")));
        }
        let set = || -> io::Result<Saved> {
            if !isatty(terminal) {
                return Err(io::Error::other("it is not a terminal"));
            }
            let before = tcgetattr(terminal)?;
            let mut raw = before.clone();
            raw.make_raw();
            let terminal = terminal.try_clone_to_owned()?;
            // Kept before it is set: what was typed ahead stays, and nothing is waited for.
            tcsetattr(&terminal, OptionalActions::Now, &raw)?;
            Ok(Saved { terminal, before, raw })
        };
        *slot = Some(set().map_err(NotATerminal)?);
        HOOK.call_once(restore_before_panics_are_shown);
        Ok(RawMode(()))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore();
        *saved() = None;
    }
}

fn restore_before_panics_are_shown() {
    let show = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        restore();
        show(panic);
    }));
}

/// Whether this process may change the terminal without being stopped for it: it is in the foreground, or the terminal
/// has nothing to do with its job.
fn is_in_foreground(terminal: &OwnedFd) -> bool {
    tcgetpgrp(terminal).map_or(true, |group| Job::of(None).is_none_or(|job| job.group == group.as_raw_pid()))
}

/// Gives the terminal the settings back that it had before raw mode; does nothing if none is in raw mode, or if it is another
/// job's by now. For every way
/// out that no [`RawMode`] is dropped on.
pub fn restore() {
    if let Some(Saved { terminal, before, .. }) = &*saved()
        && is_in_foreground(terminal)
    {
        // Never with a wait for output to drain: a terminal that is stopped would hold up the end. A terminal that
        // is gone needs nothing.
        let _ = tcsetattr(terminal, OptionalActions::Now, before);
    }
}

/// Sets raw mode again after [`restore`], if there is a [`RawMode`].
pub(super) fn resume() {
    if let Some(Saved { terminal, raw, .. }) = &*saved()
        && is_in_foreground(terminal)
    {
        let _ = tcsetattr(terminal, OptionalActions::Now, raw);
    }
}

/// A process's place among the jobs of a terminal. An id is 0 where the group or the session was begun outside of the
/// container that the process runs in (pid_namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Job {
    parent: RawPid,
    group: RawPid,
    session: RawPid,
}

impl Job {
    /// That of this process, or of another one; `None` where the system does not tell. From proc(5): `rustix` takes an id of 0 for
    /// impossible, and what it then does is undefined.
    #[cfg(target_os = "linux")]
    fn of(process: Option<RawPid>) -> Option<Job> {
        let name = process.map_or("self".to_owned(), |process| process.to_string());
        let line = std::fs::read_to_string(format!("/proc/{name}/stat")).ok()?;
        // The second of its fields is the program's name in parentheses, which may hold anything.
        let (_, fields) = line.rsplit_once(')')?;
        let mut ids = fields.split_whitespace().skip(1).map_while(|field| field.parse().ok());
        Some(Job { parent: ids.next()?, group: ids.next()?, session: ids.next()? })
    }

    /// Where there are no containers, there is no such id.
    #[cfg(not(target_os = "linux"))]
    fn of(process: Option<RawPid>) -> Option<Job> {
        use rustix::process::{Pid, getpgid, getppid, getsid};
        let parent = if process.is_none() { Pid::as_raw(getppid()) } else { 0 };
        let process = process.and_then(Pid::from_raw);
        let (group, session) = (getpgid(process).ok()?, getsid(process).ok()?);
        Some(Job { parent, group: group.as_raw_pid(), session: session.as_raw_pid() })
    }

    /// That of the process that started this one.
    fn parent(self) -> Option<Job> {
        if self.parent > 0 { Job::of(Some(self.parent)) } else { None }
    }

    /// Whether no shell of this session waits for this job, whose process `parent` started: what a terminal was opened for
    /// (`tmux new-window 'herder …'`, `ssh -t host herder …`, `docker run -it`), or whose shell is gone. Stopped, it would stay
    /// so for ever. The system itself lets SIGTSTP do nothing then; it does not look after SIGSTOP like that, and SIGTSTP
    /// is caught here.
    fn is_orphaned(self, parent: Option<Job>) -> bool {
        // Where there is job control, the shell leads the session and each job has a group of its own.
        self.group == self.session
            || parent.is_none_or(|parent| {
                // A script that started this process is part of the job, and its shell waits for both.
                parent.group != self.group && parent.session != self.session
            })
    }
}

/// Restores the terminal and stops this process and those of its job. When they go on, [`Signals`](super::Signals) sets
/// raw mode again: it sees the signal that they go on by. Stopping takes effect a moment after this returns.
///
/// # Errors
/// Nobody could continue them, or the system refused to stop them; the terminal is in raw mode as before.
pub fn suspend() -> io::Result<()> {
    if Job::of(None).is_none_or(|job| job.is_orphaned(job.parent())) {
        return Err(io::Error::other("no shell with job control waits for this job"));
    }
    restore();
    kill_current_process_group(Signal::STOP).map_err(|error| {
        resume();
        error.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(group: i32, session: i32) -> Job {
        Job { parent: 1, group, session }
    }

    #[test]
    fn a_job_is_stopped_only_where_a_shell_can_continue_it() {
        let cases = [
            ("the job of a shell", job(20, 10), Some(job(10, 10)), false),
            ("started by a script of that job", job(20, 10), Some(job(20, 10)), false),
            ("what the terminal was opened for", job(20, 20), Some(job(10, 10)), true),
            ("started by what the terminal was opened for", job(20, 20), Some(job(20, 20)), true),
            ("its shell is gone, init has it", job(20, 10), Some(job(1, 1)), true),
            ("its parent is outside of the container", job(20, 10), None, true),
            ("entered a container as it was", job(0, 0), Some(job(0, 0)), true),
            ("a job of a shell that entered a container", job(20, 0), Some(job(10, 0)), false),
        ];
        for (what, job, parent, orphaned) in cases {
            assert_eq!(job.is_orphaned(parent), orphaned, "{what}");
        }
    }

    #[test]
    fn this_process_has_a_place() {
        let here = Job::of(None).unwrap();
        assert_eq!(here, Job::of(Some(std::process::id() as RawPid)).unwrap());
        assert!(here.parent == 0 || here.parent().is_some());
    }
}
