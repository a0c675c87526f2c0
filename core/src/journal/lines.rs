//! JSON lines that survive a kill: append, read back, cut a torn tail.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::JournalError;

/// An append-only file of JSON lines, each written with one `write`.
#[derive(Debug)]
pub(super) struct LineWriter {
    file: File,
    path: PathBuf,
    line: Vec<u8>,
    /// The end of the last whole line.
    end: u64,
}

impl LineWriter {
    /// Opens or makes the file of `T`s (mode 0600) and cuts off a last line that readers leave out.
    pub(super) fn open<T: DeserializeOwned>(path: &Path) -> Result<LineWriter, JournalError> {
        let open = || -> io::Result<(File, u64)> {
            let mut file = OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(path)?;
            let end = cut_torn_tail::<T>(&mut file)?;
            Ok((file, end))
        };
        let (file, end) = open().map_err(JournalError::io("open", path))?;
        Ok(LineWriter { file, path: path.to_owned(), line: Vec::new(), end })
    }

    /// Appends one record. What a failed write left behind is cut off again: nothing may follow half a line.
    pub(super) fn append<T: Serialize>(&mut self, record: &T) -> Result<(), JournalError> {
        self.line.clear();
        let write = |line: &mut Vec<u8>, file: &mut File| -> io::Result<()> {
            serde_json::to_writer(&mut *line, record)?;
            line.push(b'\n');
            file.write_all(line)
        };
        match write(&mut self.line, &mut self.file) {
            Ok(()) => {
                self.end += self.line.len() as u64;
                Ok(())
            }
            Err(error) => {
                // If even that fails, the next process that opens the file does it.
                let _ = self.file.set_len(self.end);
                Err(JournalError::io("write", &self.path)(error))
            }
        }
    }

    /// Makes what was appended durable (fdatasync).
    pub(super) fn sync(&self) -> Result<(), JournalError> {
        self.file.sync_data().map_err(JournalError::io("write", &self.path))
    }
}

/// Cuts off a last line that has no end or is no `T`, and says where the file ends then.
fn cut_torn_tail<T: DeserializeOwned>(file: &mut File) -> io::Result<u64> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut end = line_start(file, length)?;
    if end == length && end > 0 {
        let start = line_start(file, end - 1)?;
        file.seek(SeekFrom::Start(start))?;
        let mut line = Vec::new();
        BufReader::new(&*file).take(end - start).read_to_end(&mut line)?;
        if serde_json::from_slice::<T>(&line).is_err() {
            end = start;
        }
    }
    if end < length {
        file.set_len(end)?;
    }
    Ok(end)
}

/// Where the line that a position is in starts: right behind the newline before it.
fn line_start(file: &mut File, position: u64) -> io::Result<u64> {
    let mut end = position;
    let mut block = [0_u8; 4096];
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let size = usize::try_from(end - start).map_err(io::Error::other)?;
        let Some(part) = block.get_mut(..size) else { break };
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        if let Some(newline) = part.iter().rposition(|b| *b == b'\n') {
            return Ok(start + newline as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Reads every whole line of a file, one at a time, and hands it over. A missing file has no lines; a torn last line is left out.
pub(super) fn for_each_line<T: DeserializeOwned>(
    path: &Path,
    mut take: impl FnMut(T),
) -> Result<(), JournalError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(JournalError::io("read", path)(error)),
    };
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        reader.read_until(b'\n', &mut line).map_err(JournalError::io("read", path))?;
        if line.last() != Some(&b'\n') {
            break;
        }
        match serde_json::from_slice(&line) {
            Ok(record) => take(record),
            Err(source) => {
                // Damage at the very end is a kill's (or a full disk's) doing; anywhere else it is not ours to guess.
                let at_end = reader.fill_buf().map_err(JournalError::io("read", path))?.is_empty();
                if at_end {
                    break;
                }
                return Err(JournalError::Damaged { path: path.to_owned(), line: number, source });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> Result<Vec<u32>, JournalError> {
        let mut all = Vec::new();
        for_each_line(path, |n: u32| all.push(n))?;
        Ok(all)
    }

    #[test]
    fn a_torn_tail_is_ignored_and_then_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.jsonl");
        assert_eq!(read(&path).unwrap(), Vec::<u32>::new());
        let mut writer = LineWriter::open::<u32>(&path).unwrap();
        for n in [1, 22, 333] {
            writer.append(&n).unwrap();
        }
        writer.sync().unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let before = read(&path).unwrap();
            let mut writer = LineWriter::open::<u32>(&path).unwrap();
            writer.append(&4).unwrap();
            let mut expected = before.clone();
            expected.push(4);
            assert_eq!(read(&path).unwrap(), expected, "cut at {cut}");
        }
    }

    #[test]
    fn a_long_torn_line_is_cut_across_blocks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.jsonl");
        std::fs::write(&path, format!("1\n\"{}", "x".repeat(10_000))).unwrap();
        LineWriter::open::<u32>(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"1\n");
    }

    #[test]
    fn damage_in_the_middle_is_an_error_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.jsonl");
        std::fs::write(&path, "1\nnot json\n3\n").unwrap();
        assert!(matches!(read(&path), Err(JournalError::Damaged { line: 2, .. })));
        std::fs::write(&path, "1\nnot json\n").unwrap();
        assert_eq!(read(&path).unwrap(), [1]);
    }

    #[test]
    fn a_damaged_last_line_is_cut_before_anything_follows_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.jsonl");
        for damaged in ["not json\n", "\0\0\0\0\n", "\n", "{\"a\":\n"] {
            std::fs::write(&path, format!("1\n2\n{damaged}")).unwrap();
            assert_eq!(read(&path).unwrap(), [1, 2]);
            let mut writer = LineWriter::open::<u32>(&path).unwrap();
            writer.append(&3).unwrap();
            assert_eq!(read(&path).unwrap(), [1, 2, 3], "after {damaged:?}");
        }
        std::fs::write(&path, "not json\n").unwrap();
        LineWriter::open::<u32>(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn a_record_that_cannot_be_written_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.jsonl");
        let mut writer = LineWriter::open::<u32>(&path).unwrap();
        writer.append(&1).unwrap();
        // Half a line, as a full disk leaves it.
        writer.file.write_all(b"2222").unwrap();
        writer.append(&std::collections::HashMap::from([(vec![1], 1)])).unwrap_err();
        writer.append(&3).unwrap();
        assert_eq!(read(&path).unwrap(), [1, 3]);
    }
}
