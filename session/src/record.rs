//! Recordings of sessions, as asciicast v2: a header, then a line for each event, as `asciinema play` reads them.
//!
//! What happens is handed to a writer of its own and never waited for. If the disk is slower than the session for
//! longer than a buffer lasts, events are left out, and the recording says so where they are missing.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde::Serialize;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::payload::TerminalSize;

/// How many bytes of events wait for the disk at most.
const BUFFER: usize = 8 << 20;

/// What a recording begins with.
#[derive(Debug, Clone)]
pub struct RecordingHeader {
    /// The terminal's size at the beginning.
    pub size: TerminalSize,
    /// When it began, in seconds since 1970.
    pub began_unix: u64,
    /// What was connected to, for people.
    pub title: Option<String>,
    /// The value of `TERM`, which players need to show it as it was.
    pub term: Option<String>,
}

/// Whether what is typed is recorded too: passwords are typed and not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordInput {
    /// Only what was shown.
    No,
    /// What was typed as well.
    Yes,
}

/// What a finished recording is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// How many bytes of the session are missing in it.
    pub left_out: u64,
}

/// A thing that happened, after so long.
#[derive(Debug)]
struct Happening {
    after: Duration,
    kind: &'static str,
    bytes: Vec<u8>,
}

/// Records a session. Dropped without [`Recorder::finish`], what was handed over is still written.
#[derive(Debug)]
pub struct Recorder {
    to_writer: Sender<Happening>,
    waiting: Arc<AtomicUsize>,
    /// Bytes that were left out since the last event that was not.
    gap: u64,
    left_out: u64,
    input: RecordInput,
    writer: JoinHandle<io::Result<()>>,
}

impl Recorder {
    /// Makes the file, for this user only, and writes the header.
    ///
    /// # Errors
    /// There is such a file already, or it can't be made or written. Has to be called within a tokio runtime.
    pub fn create(path: &Path, header: &RecordingHeader, input: RecordInput) -> io::Result<Recorder> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let mut file = BufWriter::new(file);
        write_line(&mut file, &first_line(header))?;
        file.flush()?;
        let (to_writer, happenings) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let done = Arc::clone(&waiting);
        let writer = spawn_blocking(move || write(file, &happenings, &done));
        Ok(Recorder { to_writer, waiting, gap: 0, left_out: 0, input, writer })
    }

    /// Something was shown, `after` the beginning. It may be cut anywhere, characters included.
    pub fn output(&mut self, after: Duration, bytes: &[u8]) {
        self.hand_over(after, "o", bytes);
    }

    /// Something was typed. Recorded only if that was asked for.
    pub fn input(&mut self, after: Duration, bytes: &[u8]) {
        if self.input == RecordInput::Yes {
            self.hand_over(after, "i", bytes);
        }
    }

    /// The terminal has another size.
    pub fn resized(&mut self, after: Duration, size: TerminalSize) {
        self.hand_over(after, "r", format!("{}x{}", size.cols, size.rows).as_bytes());
    }

    fn hand_over(&mut self, after: Duration, kind: &'static str, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.waiting.load(Ordering::Relaxed) + bytes.len() > BUFFER {
            self.gap += bytes.len() as u64;
            self.left_out += bytes.len() as u64;
            return;
        }
        if self.gap > 0 {
            let marker = format!("{} bytes are missing here: the disk was too slow", self.gap);
            self.gap = 0;
            self.push(Happening { after, kind: "m", bytes: marker.into_bytes() });
        }
        self.push(Happening { after, kind, bytes: bytes.to_vec() });
    }

    fn push(&mut self, happening: Happening) {
        let length = happening.bytes.len();
        match self.to_writer.send(happening) {
            Ok(()) => {
                self.waiting.fetch_add(length, Ordering::Relaxed);
            }
            // The writer has failed; how, `finish` tells.
            Err(_) => self.left_out += length as u64,
        }
    }

    /// Waits until everything is on the disk.
    ///
    /// # Errors
    /// Something could not be written: the recording ends there.
    pub async fn finish(mut self) -> io::Result<Recorded> {
        if self.gap > 0 {
            let marker = format!("{} bytes are missing here: the disk was too slow", self.gap);
            self.push(Happening { after: Duration::ZERO, kind: "m", bytes: marker.into_bytes() });
        }
        let Recorder { to_writer, writer, left_out, .. } = self;
        drop(to_writer);
        writer.await.map_err(io::Error::other)??;
        Ok(Recorded { left_out })
    }
}

/// The header as it is written.
#[derive(Serialize)]
struct FirstLine<'a> {
    version: u32,
    width: u32,
    height: u32,
    timestamp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    env: Option<Env<'a>>,
}

#[derive(Serialize)]
struct Env<'a> {
    #[serde(rename = "TERM")]
    term: &'a str,
}

fn first_line(header: &RecordingHeader) -> FirstLine<'_> {
    FirstLine {
        version: 2,
        width: header.size.cols,
        height: header.size.rows,
        timestamp: header.began_unix,
        title: header.title.as_deref(),
        env: header.term.as_deref().map(|term| Env { term }),
    }
}

fn write_line(file: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *file, line)?;
    file.write_all(b"\n")
}

/// Writes what comes, and hands it to the system whenever nothing waits: what a killed process has recorded is readable.
fn write(
    mut file: BufWriter<File>,
    happenings: &Receiver<Happening>,
    waiting: &AtomicUsize,
) -> io::Result<()> {
    let mut last = Duration::ZERO;
    let mut output = Characters::default();
    let mut input = Characters::default();
    loop {
        let happening = match happenings.try_recv() {
            Ok(happening) => happening,
            Err(_) => {
                file.flush()?;
                match happenings.recv() {
                    Ok(happening) => happening,
                    Err(_) => break,
                }
            }
        };
        waiting.fetch_sub(happening.bytes.len(), Ordering::Relaxed);
        // Time in a recording never goes back.
        last = last.max(happening.after);
        let text = match happening.kind {
            "o" => output.complete(&happening.bytes),
            "i" => input.complete(&happening.bytes),
            _ => String::from_utf8_lossy(&happening.bytes).into_owned(),
        };
        if !text.is_empty() {
            write_line(&mut file, &(seconds(last), happening.kind, text))?;
        }
    }
    for (kind, characters) in [("o", output), ("i", input)] {
        if !characters.begun.is_empty() {
            let text = String::from_utf8_lossy(&characters.begun);
            write_line(&mut file, &(seconds(last), kind, text))?;
        }
    }
    file.flush()?;
    file.get_ref().sync_data()
}

/// To the microsecond, as players show it.
fn seconds(after: Duration) -> f64 {
    after.as_micros() as f64 / 1e6
}

/// Puts characters together that were cut.
#[derive(Debug, Default)]
struct Characters {
    /// The beginning of a character, at most three bytes.
    begun: Vec<u8>,
}

impl Characters {
    /// The text so far; a beginning of a character at the end is kept for the next part. What is no UTF-8 becomes
    /// U+FFFD.
    fn complete(&mut self, bytes: &[u8]) -> String {
        let mut all = std::mem::take(&mut self.begun);
        all.extend_from_slice(bytes);
        let mut text = String::with_capacity(all.len());
        for chunk in all.utf8_chunks() {
            text.push_str(chunk.valid());
            let invalid = chunk.invalid();
            let is_last = std::ptr::eq(invalid.as_ptr_range().end, all.as_slice().as_ptr_range().end);
            if is_last && is_beginning(invalid) {
                self.begun = invalid.to_vec();
            } else if !invalid.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        text
    }
}

/// Whether these bytes may become a character with more of them.
fn is_beginning(bytes: &[u8]) -> bool {
    let length = match bytes.first() {
        Some(0xc2..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf4) => 4,
        _ => return false,
    };
    bytes.len() < length
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn header() -> RecordingHeader {
        RecordingHeader {
            size: TerminalSize { cols: 80, rows: 24 },
            began_unix: 1_700_000_000,
            title: Some("web-1 \"main\"".into()),
            term: Some("xterm-256color".into()),
        }
    }

    fn lines(path: &Path) -> Vec<Value> {
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.ends_with('\n'));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn a_recording_reads_as_the_format_says() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.cast");
        let mut recorder = Recorder::create(&path, &header(), RecordInput::No).unwrap();
        recorder.output(Duration::from_micros(1_234_567), b"$ \x1b[1mls\x1b[0m\r\n");
        recorder.input(SECOND, b"password\r");
        recorder.resized(2 * SECOND, TerminalSize { cols: 132, rows: 43 });
        recorder.output(SECOND, b"\"\\\x00\xff");
        assert_eq!(recorder.finish().await.unwrap(), Recorded { left_out: 0 });
        assert_eq!(
            lines(&path),
            [
                json!({
                    "version": 2, "width": 80, "height": 24, "timestamp": 1_700_000_000,
                    "title": "web-1 \"main\"", "env": { "TERM": "xterm-256color" },
                }),
                json!([1.234567, "o", "$ \u{1b}[1mls\u{1b}[0m\r\n"]),
                json!([2.0, "r", "132x43"]),
                json!([2.0, "o", "\"\\\u{0}\u{fffd}"]),
            ]
        );
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn input_is_recorded_where_it_is_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.cast");
        let bare = RecordingHeader { title: None, term: None, ..header() };
        let mut recorder = Recorder::create(&path, &bare, RecordInput::Yes).unwrap();
        recorder.input(SECOND, b"ls\r");
        recorder.finish().await.unwrap();
        let lines = lines(&path);
        assert_eq!(lines[0], json!({ "version": 2, "width": 80, "height": 24, "timestamp": 1_700_000_000 }));
        assert_eq!(lines[1..], [json!([1.0, "i", "ls\r"])]);
    }

    #[tokio::test]
    async fn a_file_that_is_there_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.cast");
        std::fs::write(&path, "mine").unwrap();
        let error = Recorder::create(&path, &header(), RecordInput::No).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }

    #[tokio::test]
    async fn what_was_handed_over_is_written_without_an_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.cast");
        let mut recorder = Recorder::create(&path, &header(), RecordInput::No).unwrap();
        recorder.output(SECOND, b"seen");
        // Readable while the session goes on.
        while std::fs::read_to_string(&path).unwrap().lines().count() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        recorder.output(SECOND, b"last");
        drop(recorder);
        while std::fs::read_to_string(&path).unwrap().lines().count() < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(lines(&path)[2], json!([1.0, "o", "last"]));
    }

    /// A pipe that nobody reads stands for a disk that hangs.
    #[tokio::test]
    async fn a_disk_that_hangs_holds_up_nothing_and_is_told() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let (to_writer, happenings) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let done = Arc::clone(&waiting);
        let file = BufWriter::new(File::from(std::os::fd::OwnedFd::from(writer)));
        let writer = spawn_blocking(move || write(file, &happenings, &done));
        let mut recorder =
            Recorder { to_writer, waiting, gap: 0, left_out: 0, input: RecordInput::No, writer };
        let total = 4 * BUFFER;
        for n in 0..total / 1000 {
            recorder.output(Duration::from_millis(n as u64), &[b'x'; 1000]);
        }
        assert!(recorder.waiting.load(Ordering::Relaxed) <= BUFFER);
        assert!(recorder.left_out > 2 * BUFFER as u64);
        let reading = spawn_blocking(move || io::read_to_string(&mut reader).unwrap());
        while recorder.waiting.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        recorder.output(SECOND, b"again");
        let left_out = recorder.left_out;
        // A pipe can't be synchronised: that is the only error.
        assert_eq!(recorder.finish().await.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        let text = reading.await.unwrap();
        let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let kept: usize =
            events.iter().filter(|event| event[1] == "o").map(|event| event[2].as_str().unwrap().len()).sum();
        assert_eq!(kept as u64 + left_out, (total / 1000 * 1000 + 5) as u64);
        assert_eq!(events[events.len() - 2][1], "m");
        // There may be several gaps: whenever the pipe took something, so did the buffer.
        let told = |event: &Value| -> u64 {
            event[2].as_str().and_then(|text| text.split(' ').next()?.parse().ok()).expect("how many bytes")
        };
        let missing: u64 = events.iter().filter(|event| event[1] == "m").map(told).sum();
        assert_eq!(missing, left_out);
    }

    proptest! {
        #[test]
        fn characters_survive_any_cut(text in "\\PC{0,40}", cuts in proptest::collection::vec(1_usize..4, 1..8)) {
            let mut characters = Characters::default();
            let mut all = String::new();
            let mut rest = text.as_bytes();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (part, after) = rest.split_at((*cut).min(rest.len()));
                all.push_str(&characters.complete(part));
                rest = after;
            }
            prop_assert_eq!(all, text);
            prop_assert!(characters.begun.is_empty());
        }

        #[test]
        fn any_bytes_become_text(parts in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..8), 0..20,
        )) {
            let mut characters = Characters::default();
            for part in parts {
                characters.complete(&part);
                prop_assert!(characters.begun.len() < 4);
            }
        }
    }
}
