//! A process of its own: it is stopped, continued and ended by signals, and its terminal looked at meanwhile.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, setsid, waitpid};

use super::{is_raw, terminal};
use crate::terminal::{RawMode, Signals, TerminalSignal, suspend};

const BOUND: Duration = Duration::from_secs(60);

/// What the process does: raw mode until a signal ends it.
#[tokio::test]
#[ignore = "the process that other tests start"]
async fn child() {
    let terminal = rustix::stdio::stdin();
    let mut signals = Signals::listen(Some(terminal)).unwrap();
    let raw = RawMode::enter(terminal).unwrap();
    // Left by the shortest way, as if nothing were dropped.
    std::mem::forget(raw);
    while !matches!(signals.next().await, TerminalSignal::Stop(_)) {}
}

/// What it does in the other test: a panic in a task.
#[tokio::test]
#[ignore = "the process that other tests start"]
async fn panicking_child() {
    let raw = RawMode::enter(rustix::stdio::stdin()).unwrap();
    std::mem::forget(raw);
    tokio::spawn(async { panic!("planned by a test") }).await.unwrap_err();
}

/// What it does where no shell waits for it: it asks to be suspended, twice.
#[tokio::test]
#[ignore = "the process that other tests start"]
async fn lonely_child() {
    setsid().unwrap();
    let terminal = rustix::stdio::stdin();
    let mut signals = Signals::listen(Some(terminal)).unwrap();
    let raw = RawMode::enter(terminal).unwrap();
    let refused = suspend().unwrap_err();
    assert_eq!(refused.to_string(), "no shell with job control waits for this job");
    kill_process(getpid(), Signal::TSTP).unwrap();
    let signal = tokio::time::timeout(Duration::from_millis(300), signals.next()).await;
    assert!(signal.is_err(), "{signal:?}");
    assert!(is_raw(&terminal.try_clone_to_owned().unwrap()));
    drop(raw);
}

fn start(test: &str, terminal: &std::os::fd::OwnedFd) -> Child {
    command(test, terminal).process_group(0).spawn().unwrap()
}

fn command(test: &str, terminal: &std::os::fd::OwnedFd) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", &format!("terminal::tests::way_out::{test}"), "--ignored"])
        .stdin(terminal.try_clone().unwrap())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

#[expect(clippy::disallowed_methods, reason = "another process keeps its own time")]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < BOUND, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn has_stopped(child: &Child) -> bool {
    let status = waitpid(Some(pid(child)), WaitOptions::UNTRACED | WaitOptions::NOHANG).unwrap();
    status.is_some_and(|(_, status)| {
        assert!(status.stopped(), "it ended: {status:?}");
        true
    })
}

fn wait(child: &mut Child) -> ExitStatus {
    let mut status = None;
    until("the process ends", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}

#[test]
fn a_process_that_is_stopped_gives_the_terminal_back_meanwhile() {
    let (_person, program) = terminal();
    let mut child = start("child", &program);
    until("raw mode begins", || is_raw(&program));
    kill_process(pid(&child), Signal::TSTP).unwrap();
    until("the process stops", || has_stopped(&child));
    assert!(!is_raw(&program));
    kill_process(pid(&child), Signal::CONT).unwrap();
    until("raw mode comes back", || is_raw(&program));
    kill_process(pid(&child), Signal::TERM).unwrap();
    assert!(wait(&mut child).success());
    assert!(!is_raw(&program));
}

/// As in `tmux new-window 'herder session web-1'`: a process that is stopped there stays so.
#[test]
fn a_process_that_nobody_could_continue_is_not_stopped() {
    let (_person, program) = terminal();
    let mut child = command("lonely_child", &program).spawn().unwrap();
    let mut status = None;
    until("the process ends or stops", || {
        status = waitpid(Some(pid(&child)), WaitOptions::UNTRACED | WaitOptions::NOHANG).unwrap();
        status.is_some()
    });
    let (_, status) = status.unwrap();
    if status.stopped() {
        child.kill().unwrap();
    }
    // One that has ended was reaped above.
    let _gone = child.wait();
    assert_eq!(status.exit_status(), Some(0), "{status:?}");
    assert!(!is_raw(&program));
}

#[test]
fn a_panic_in_a_task_gives_the_terminal_back() {
    let (_person, program) = terminal();
    let mut child = start("panicking_child", &program);
    assert!(wait(&mut child).success());
    assert!(!is_raw(&program));
}
