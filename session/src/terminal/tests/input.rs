use std::io::{Seek, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::write;
use tokio::time::{Instant, timeout};

use super::{TURN, is_raw, terminal};
use crate::terminal::{Input, RawMode};

const BOUND: Duration = Duration::from_secs(20);

async fn read(input: &mut Input) -> Option<String> {
    let bytes = timeout(BOUND, input.read()).await.expect("something comes").unwrap()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

async fn has_nothing(input: &mut Input) -> bool {
    timeout(Duration::from_millis(30), input.read()).await.is_err()
}

#[tokio::test]
async fn keys_are_bytes_in_raw_mode() {
    let _turn = TURN.lock().await;
    let (person, program) = terminal();
    let _raw = RawMode::enter(&program).unwrap();
    assert!(is_raw(&program));
    let mut input = Input::new(&program).unwrap();
    for keys in ["\u{3}", "\u{1a}", "\u{1c}", "\u{4}", "\r", "\u{11}\u{13}", "é~."] {
        write(&person, keys.as_bytes()).unwrap();
        assert_eq!(read(&mut input).await.as_deref(), Some(keys));
        assert!(has_nothing(&mut input).await);
    }
    drop(person);
    assert_eq!(read(&mut input).await, None, "the terminal is gone");
    assert_eq!(read(&mut input).await, None);
}

#[tokio::test]
async fn a_pipe_is_read_to_its_end() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut input = Input::new(&reader).unwrap();
    assert!(has_nothing(&mut input).await);
    writer.write_all(b"one").unwrap();
    assert_eq!(read(&mut input).await.as_deref(), Some("one"));
    assert!(has_nothing(&mut input).await);
    writer.write_all(b"two").unwrap();
    drop(writer);
    assert_eq!(read(&mut input).await.as_deref(), Some("two"));
    assert_eq!(read(&mut input).await, None);
}

#[tokio::test]
async fn a_large_pipe_loses_nothing() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let sent: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let expected = sent.clone();
    let writing = tokio::task::spawn_blocking(move || writer.write_all(&sent).unwrap());
    let mut input = Input::new(&reader).unwrap();
    let mut received = Vec::new();
    while let Some(bytes) = timeout(BOUND, input.read()).await.unwrap().unwrap() {
        received.extend_from_slice(&bytes);
    }
    writing.await.unwrap();
    assert!(received == expected);
}

#[tokio::test]
async fn files_and_the_empty_device_are_read() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"content").unwrap();
    file.rewind().unwrap();
    let mut input = Input::new(&file).unwrap();
    assert_eq!(read(&mut input).await.as_deref(), Some("content"));
    assert_eq!(read(&mut input).await, None);
    let nothing = std::fs::File::open("/dev/null").unwrap();
    assert_eq!(read(&mut Input::new(&nothing).unwrap()).await, None);
}

/// Nobody shares their terminal's flags with herder.
#[tokio::test]
async fn the_flags_of_the_file_stay_as_they_are() {
    let (_person, program) = terminal();
    let flags = |file: &OwnedFd| rustix::fs::fcntl_getfl(file).unwrap();
    let before = flags(&program);
    let mut input = Input::new(&program).unwrap();
    assert!(has_nothing(&mut input).await);
    assert_eq!(flags(&program), before);
}

/// A process that waits for a key can end.
#[test]
fn nothing_is_stuck_when_the_runtime_ends() {
    let (_person, program) = terminal();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (done, is_done) = std::sync::mpsc::channel();
    let copy = program.try_clone().unwrap();
    runtime.spawn(async move {
        let mut input = Input::new(&copy).unwrap();
        done.send(()).unwrap();
        drop(input.read().await);
    });
    is_done.recv_timeout(BOUND).unwrap();
    let began = Instant::now();
    runtime.shutdown_timeout(BOUND);
    assert!(began.elapsed() < BOUND / 2, "the runtime ends while nobody presses a key");
}
