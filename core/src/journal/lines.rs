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
}

impl LineWriter {
    /// Opens or makes the file (mode 0600) and cuts off a last line that has no end.
    pub(super) fn open(path: &Path) -> Result<LineWriter, JournalError> {
        let open = || -> io::Result<File> {
            let mut file = OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(path)?;
            cut_torn_tail(&mut file)?;
            Ok(file)
        };
        let file = open().map_err(JournalError::io("open", path))?;
        Ok(LineWriter { file, path: path.to_owned(), line: Vec::new() })
    }

    /// Appends one record.
    pub(super) fn append<T: Serialize>(&mut self, record: &T) -> Result<(), JournalError> {
        self.line.clear();
        let write = |line: &mut Vec<u8>, file: &mut File| -> io::Result<()> {
            serde_json::to_writer(&mut *line, record)?;
            line.push(b'\n');
            file.write_all(line)
        };
        write(&mut self.line, &mut self.file).map_err(JournalError::io("write", &self.path))
    }

    /// Makes what was appended durable (fdatasync).
    pub(super) fn sync(&self) -> Result<(), JournalError> {
        self.file.sync_data().map_err(JournalError::io("write", &self.path))
    }
}

fn cut_torn_tail(file: &mut File) -> io::Result<()> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut end = length;
    let mut block = [0_u8; 4096];
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let size = usize::try_from(end - start).map_err(io::Error::other)?;
        let Some(part) = block.get_mut(..size) else { break };
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        if let Some(newline) = part.iter().rposition(|b| *b == b'\n') {
            end = start + newline as u64 + 1;
            break;
        }
        end = start;
    }
    if end < length { file.set_len(end) } else { Ok(()) }
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
        let mut writer = LineWriter::open(&path).unwrap();
        for n in [1, 22, 333] {
            writer.append(&n).unwrap();
        }
        writer.sync().unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let before = read(&path).unwrap();
            let mut writer = LineWriter::open(&path).unwrap();
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
        LineWriter::open(&path).unwrap();
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
}
