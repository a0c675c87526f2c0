use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{OutputModes, tcgetattr};
use tokio::time::timeout;

use super::{TURN, is_raw, resize, terminal};
use crate::payload::TerminalSize;
use crate::terminal::{RawMode, Signals, StopSignal, TerminalSignal, restore, size};

const BOUND: Duration = Duration::from_secs(20);

#[test]
fn a_dropped_raw_mode_leaves_the_terminal_as_it_was() {
    let _turn = TURN.blocking_lock();
    let (_person, program) = terminal();
    let before = format!("{:?}", tcgetattr(&program).unwrap());
    let raw = RawMode::enter(&program).unwrap();
    assert!(is_raw(&program));
    assert!(!tcgetattr(&program).unwrap().output_modes.contains(OutputModes::OPOST));
    drop(raw);
    assert_eq!(format!("{:?}", tcgetattr(&program).unwrap()), before);
}

#[test]
fn restoring_twice_or_without_raw_mode_does_no_harm() {
    let _turn = TURN.blocking_lock();
    let (_person, program) = terminal();
    restore();
    let raw = RawMode::enter(&program).unwrap();
    restore();
    restore();
    assert!(!is_raw(&program));
    drop(raw);
    assert!(!is_raw(&program));
    drop(RawMode::enter(&program).unwrap());
}

#[test]
fn a_panic_restores_the_terminal() {
    let _turn = TURN.blocking_lock();
    let (_person, program) = terminal();
    let raw = RawMode::enter(&program).unwrap();
    let result = std::thread::scope(|scope| scope.spawn(|| panic!("planned by a test")).join());
    assert!(result.is_err());
    assert!(!is_raw(&program), "and nothing was dropped");
    drop(raw);
}

#[test]
fn what_is_no_terminal_is_told() {
    let _turn = TURN.blocking_lock();
    let file = tempfile::tempfile().unwrap();
    let error = RawMode::enter(&file).unwrap_err();
    assert_eq!(error.to_string(), "could not set the terminal to raw mode");
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "it is not a terminal");
    assert_eq!(size(&file), None);
}

#[test]
fn a_process_has_one_terminal_in_raw_mode() {
    let _turn = TURN.blocking_lock();
    let ((_a, first), (_b, second)) = (terminal(), terminal());
    let raw = RawMode::enter(&first).unwrap();
    assert!(RawMode::enter(&second).is_err());
    assert!(!is_raw(&second) && is_raw(&first));
    drop(raw);
}

#[test]
fn a_size_of_nothing_is_none() {
    let (_person, program) = terminal();
    assert_eq!(size(&program), None, "a new one is 0×0");
    for (cols, rows, known) in [(0, 24, false), (80, 0, false), (132, 43, true)] {
        resize(&program, cols, rows);
        let expected = known.then_some(TerminalSize { cols: 132, rows: 43 });
        assert_eq!(size(&program), expected, "{cols}×{rows}");
    }
}

#[tokio::test]
async fn sizes_are_told_when_they_change() {
    let _turn = TURN.lock().await;
    let (_person, program) = terminal();
    resize(&program, 100, 30);
    let mut signals = Signals::listen(Some(&program)).unwrap();
    assert_eq!(signals.size(), Some(TerminalSize { cols: 100, rows: 30 }));
    // The same, nothing, and a new one: only the last is news.
    for (cols, rows) in [(100, 30), (0, 0), (50, 20)] {
        resize(&program, cols, rows);
        kill_process(getpid(), Signal::WINCH).unwrap();
        if cols == 50 {
            let resized = timeout(BOUND, signals.next()).await.unwrap();
            assert_eq!(resized, TerminalSignal::Resized(TerminalSize { cols: 50, rows: 20 }));
        } else {
            assert!(timeout(Duration::from_millis(100), signals.next()).await.is_err());
        }
    }
}

#[tokio::test]
async fn a_signal_that_ends_the_process_restores_the_terminal_first() {
    let _turn = TURN.lock().await;
    let (_person, program) = terminal();
    let mut signals = Signals::listen(Some(&program)).unwrap();
    let raw = RawMode::enter(&program).unwrap();
    for (signal, stop) in [
        (Signal::TERM, StopSignal::Terminate),
        (Signal::HUP, StopSignal::Hangup),
        (Signal::INT, StopSignal::Interrupt),
        (Signal::QUIT, StopSignal::Quit),
    ] {
        crate::terminal::raw::resume();
        assert!(is_raw(&program));
        kill_process(getpid(), signal).unwrap();
        assert_eq!(timeout(BOUND, signals.next()).await.unwrap(), TerminalSignal::Stop(stop));
        assert!(!is_raw(&program), "{stop:?}");
    }
    drop(raw);
}

#[tokio::test]
async fn without_a_terminal_there_are_signals_and_no_sizes() {
    let _turn = TURN.lock().await;
    let mut signals = Signals::listen(None::<std::os::fd::OwnedFd>).unwrap();
    assert_eq!(signals.size(), None);
    kill_process(getpid(), Signal::WINCH).unwrap();
    kill_process(getpid(), Signal::TERM).unwrap();
    let next = timeout(BOUND, signals.next()).await.unwrap();
    assert_eq!(next, TerminalSignal::Stop(StopSignal::Terminate));
}
