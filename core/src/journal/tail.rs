//! [`EventTail`]: following the events of a run that another process drives.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use super::{JournalError, RunDirectory, StoredEvent};

/// Reads a run's events as they are written.
#[derive(Debug)]
pub struct EventTail {
    path: PathBuf,
    file: Option<File>,
    /// The beginning of a line that is not written out yet.
    rest: Vec<u8>,
    line: usize,
}

impl EventTail {
    /// Starts at the run's first event.
    #[must_use]
    pub fn new(directory: &RunDirectory) -> EventTail {
        EventTail { path: directory.events(), file: None, rest: Vec::new(), line: 0 }
    }

    /// The events that were written since the last time.
    ///
    /// # Errors
    /// The file can't be read, or a whole line of it doesn't parse.
    pub fn read_new(&mut self) -> Result<Vec<StoredEvent>, JournalError> {
        if self.file.is_none() {
            match File::open(&self.path) {
                Ok(file) => self.file = Some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(JournalError::io("read", &self.path)(error)),
            }
        }
        if let Some(file) = &mut self.file {
            file.read_to_end(&mut self.rest).map_err(JournalError::io("read", &self.path))?;
        }
        let mut events = Vec::new();
        let mut taken = 0;
        for line in self.rest.split_inclusive(|byte| *byte == b'\n') {
            if line.last() != Some(&b'\n') {
                break;
            }
            taken += line.len();
            self.line += 1;
            let event = serde_json::from_slice(line).map_err(|source| JournalError::Damaged {
                path: self.path.clone(),
                line: self.line,
                source,
            })?;
            events.push(event);
        }
        self.rest.drain(..taken);
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn lines_come_whole_and_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let mut tail = EventTail { path: path.clone(), file: None, rest: Vec::new(), line: 0 };
        assert!(tail.read_new().unwrap().is_empty());
        let line = |seq: u64| {
            format!(
                "{{\"v\":1,\"seq\":{seq},\"at\":\"2026-11-21T09:30:00Z\",\"run\":\"20261121-093000-1f2e3d\",\"type\":\"run_continued\"}}\n"
            )
        };
        let mut file = File::create(&path).unwrap();
        let text = line(0) + &line(1);
        let (begin, end) = text.split_at(text.len() - 10);
        file.write_all(begin.as_bytes()).unwrap();
        assert_eq!(tail.read_new().unwrap().len(), 1);
        assert_eq!(tail.read_new().unwrap().len(), 0);
        file.write_all(end.as_bytes()).unwrap();
        let events = tail.read_new().unwrap();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].envelope.seq, 1);
        file.write_all(b"nonsense\n").unwrap();
        assert!(matches!(tail.read_new(), Err(JournalError::Damaged { line: 3, .. })));
    }
}
