//! [`EventTail`]: following the events of a run that another process drives.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use super::{JournalError, RunDirectory, StoredEvent};

/// Reads a run's events as they are written.
#[derive(Debug)]
pub struct EventTail {
    path: PathBuf,
    file: Option<File>,
    /// The end of the last whole line that was read. What follows it may be cut off and written anew by a resume.
    end: u64,
    line: usize,
}

impl EventTail {
    /// Starts at the run's first event.
    #[must_use]
    pub fn new(directory: &RunDirectory) -> EventTail {
        EventTail::of(directory.events())
    }

    fn of(path: PathBuf) -> EventTail {
        EventTail { path, file: None, end: 0, line: 0 }
    }

    /// The events that were written since the last time. As everywhere, a last line that doesn't parse is left out.
    ///
    /// # Errors
    /// The file can't be read, or a whole line of it that others follow doesn't parse.
    pub fn read_new(&mut self) -> Result<Vec<StoredEvent>, JournalError> {
        let text = self.read_rest().map_err(JournalError::io("read", &self.path))?;
        let mut events = Vec::new();
        let mut lines = text.split_inclusive(|byte| *byte == b'\n').peekable();
        while let Some(line) = lines.next() {
            if line.last() != Some(&b'\n') {
                break;
            }
            match serde_json::from_slice(line) {
                Ok(event) => events.push(event),
                Err(_) if lines.peek().is_none() => break,
                Err(source) => {
                    let line = self.line + 1;
                    return Err(JournalError::Damaged { path: self.path.clone(), line, source });
                }
            }
            self.end += line.len() as u64;
            self.line += 1;
        }
        Ok(events)
    }

    /// What stands behind the last whole line at this moment.
    fn read_rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        if self.file.is_none() {
            match File::open(&self.path) {
                Ok(file) => self.file = Some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(rest),
                Err(error) => return Err(error),
            }
        }
        if let Some(file) = &mut self.file {
            file.seek(SeekFrom::Start(self.end))?;
            file.read_to_end(&mut rest)?;
        }
        Ok(rest)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn line(seq: u64) -> String {
        format!(
            "{{\"v\":1,\"seq\":{seq},\"at\":\"2026-11-21T09:30:00Z\",\"run\":\"20261121-093000-1f2e3d\",\"type\":\"run_continued\"}}\n"
        )
    }

    #[test]
    fn a_torn_tail_that_a_resume_cuts_off_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let mut tail = EventTail::of(path.clone());
        let torn = [&line(1)[..40], "nonsense\n"];
        for (n, torn) in (0..).zip(torn) {
            let mut file = File::options().create(true).append(true).open(&path).unwrap();
            file.write_all(line(n * 2).as_bytes()).unwrap();
            file.write_all(torn.as_bytes()).unwrap();
            assert_eq!(tail.read_new().unwrap().len(), 1);
            let mut writer = crate::journal::lines::LineWriter::open::<StoredEvent>(&path).unwrap();
            assert!(tail.read_new().unwrap().is_empty());
            writer.append(&serde_json::from_str::<StoredEvent>(&line(n * 2 + 1)).unwrap()).unwrap();
            let events = tail.read_new().unwrap();
            assert_eq!(events.iter().map(|e| e.envelope.seq).collect::<Vec<_>>(), [n * 2 + 1]);
        }
    }

    #[test]
    fn lines_come_whole_and_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let mut tail = EventTail::of(path.clone());
        assert!(tail.read_new().unwrap().is_empty());
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
        assert_eq!(tail.read_new().unwrap().len(), 0);
        file.write_all(line(2).as_bytes()).unwrap();
        assert!(matches!(tail.read_new(), Err(JournalError::Damaged { line: 3, .. })));
    }
}
