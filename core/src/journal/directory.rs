//! Where runs live: [`RunsDirectory`], [`RunDirectory`], and the lock of a driven run.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs4::fs_std::FileExt;

use super::lines::{LineWriter, for_each_line};
use super::{FORMAT_VERSION, JournalError, Record, RunRecord, StoredEvent};
use crate::run_id::RunId;
use crate::target::Target;

/// `<state>/runs`.
#[derive(Clone, Debug)]
pub struct RunsDirectory(PathBuf);

impl RunsDirectory {
    /// The directory of runs below a state directory; nothing is made yet.
    #[must_use]
    pub fn below(state: &Path) -> RunsDirectory {
        RunsDirectory(state.join("runs"))
    }

    /// Tries whether runs can be made here, before anything is asked of anybody.
    ///
    /// # Errors
    /// The state directory is not writable.
    pub fn check_writable(&self) -> Result<(), JournalError> {
        private_dir(&self.0)?;
        let probe = self.0.join(format!(".writable.{}", std::process::id()));
        let made = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&probe);
        made.and_then(|_| fs::remove_file(&probe)).map_err(JournalError::io("write to", &self.0))
    }

    /// Makes a run's directory and writes what it is. Nothing has been changed remotely before this returns.
    ///
    /// # Errors
    /// The state directory is not writable.
    pub fn create(&self, record: &RunRecord, targets: &[Target]) -> Result<RunDirectory, JournalError> {
        let path = self.0.join(record.run.as_str());
        private_dir(&path)?;
        private_dir(&path.join("output"))?;
        let directory = RunDirectory(path);
        let mut lines = LineWriter::open::<Target>(&directory.0.join("targets.jsonl"))?;
        for target in targets {
            lines.append(target)?;
        }
        lines.sync()?;
        // A run without a journal would look as if nothing had been sent: it is there before the run is.
        LineWriter::open::<Record>(&directory.journal())?.sync()?;
        sync_dir(&directory.0)?;
        directory.write_record(record)?;
        sync_dir(&self.0)?;
        Ok(directory)
    }

    /// An existing run.
    ///
    /// # Errors
    /// There is no such run.
    pub fn open(&self, run: &RunId) -> Result<RunDirectory, JournalError> {
        let directory = RunDirectory(self.0.join(run.as_str()));
        if directory.0.join("run.json").is_file() {
            Ok(directory)
        } else {
            Err(JournalError::NoSuchRun(run.to_string()))
        }
    }

    /// Every run, newest first. Directories that hold none are left out.
    ///
    /// # Errors
    /// The directory exists and can't be read.
    pub fn list(&self) -> Result<Vec<RunId>, JournalError> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(JournalError::io("read", &self.0)(error)),
        };
        let mut runs: Vec<RunId> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.path().join("run.json").is_file())
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        runs.sort_unstable_by(|a, b| b.cmp(a));
        Ok(runs)
    }
}

fn private_dir(path: &Path) -> Result<(), JournalError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(JournalError::io("create", path))
}

/// Makes the names in a directory durable.
fn sync_dir(path: &Path) -> Result<(), JournalError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(JournalError::io("write to", path))
}

/// One run's directory.
#[derive(Clone, Debug)]
pub struct RunDirectory(PathBuf);

impl RunDirectory {
    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.0.join("journal.jsonl")
    }

    pub(super) fn events(&self) -> PathBuf {
        self.0.join("events.jsonl")
    }

    /// The directory of the nodes' output.
    #[must_use]
    pub fn output(&self) -> PathBuf {
        self.0.join("output")
    }

    /// The file of the nodes' output.
    #[must_use]
    pub fn bodies(&self) -> PathBuf {
        self.output().join("bodies")
    }

    fn write_record(&self, record: &RunRecord) -> Result<(), JournalError> {
        let path = self.0.join("run.json");
        let temporary = self.0.join("run.json.new");
        let write = || -> io::Result<()> {
            let mut file =
                OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&temporary)?;
            serde_json::to_writer_pretty(&mut file, record)?;
            file.write_all(b"\n")?;
            file.sync_data()?;
            fs::rename(&temporary, &path)
        };
        write().map_err(JournalError::io("write", &path))?;
        sync_dir(&self.0)
    }

    /// What the run is.
    ///
    /// # Errors
    /// The run is a newer herder's, or the file is damaged.
    pub fn record(&self) -> Result<RunRecord, JournalError> {
        #[derive(serde::Deserialize)]
        struct Format {
            format: u32,
            run: String,
        }
        let path = self.0.join("run.json");
        let text = fs::read(&path).map_err(JournalError::io("read", &path))?;
        let damaged = |source| JournalError::Damaged { path: path.clone(), line: 1, source };
        let format: Format = serde_json::from_slice(&text).map_err(damaged)?;
        if format.format > FORMAT_VERSION {
            return Err(JournalError::Newer { run: format.run, found: format.format });
        }
        let record: RunRecord = serde_json::from_slice(&text).map_err(damaged)?;
        match flaw(&record, &self.0) {
            None => Ok(record),
            Some(flaw) => Err(damaged(serde::de::Error::custom(flaw))),
        }
    }

    /// The resolved targets, in order, and after them those that the service chose by itself.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn targets(&self) -> Result<Vec<Target>, JournalError> {
        let path = self.0.join("targets.jsonl");
        let mut targets = Vec::new();
        for_each_line(&path, |target| targets.push(target))?;
        // They were on disk before `run.json` was: whatever is missing was lost later.
        let planned = self.record()?.waves.last().map(|last| *last as usize);
        if planned.is_some_and(|planned| planned != targets.len()) {
            let what = format!("it has {} targets, the run has {}", targets.len(), planned.unwrap_or(0));
            let source = io::Error::new(io::ErrorKind::UnexpectedEof, what);
            return Err(JournalError::Io { action: "read", path, source });
        }
        for_each_line(&self.journal(), |record| {
            // After a line that could not be written there is none of that number: those that follow are found again.
            if let Record::Adopted { line, target, .. } = record
                && usize::try_from(line).is_ok_and(|line| line == targets.len())
            {
                targets.push(target);
            }
        })?;
        Ok(targets)
    }

    /// Hands over every event, in order.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn for_each_event(&self, take: impl FnMut(StoredEvent)) -> Result<(), JournalError> {
        for_each_line(&self.events(), take)
    }

    /// Takes the run: until the lock is dropped, nobody else can drive it.
    ///
    /// # Errors
    /// Another process drives it.
    pub fn lock(&self) -> Result<RunLock, JournalError> {
        let path = self.0.join("lock");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(JournalError::io("open", &path))?;
        match try_lock(&file) {
            Ok(true) => {}
            Ok(false) => {
                let mut text = String::new();
                file.read_to_string(&mut text).map_err(JournalError::io("read", &path))?;
                let run = self.0.file_name().unwrap_or_default().to_string_lossy().into_owned();
                return Err(JournalError::Locked { run, pid: text.trim().parse().ok() });
            }
            Err(error) => return Err(JournalError::io("lock", &path)(error)),
        }
        let mut write = || -> io::Result<()> {
            file.set_len(0)?;
            file.rewind()?;
            write!(file, "{}", std::process::id())
        };
        write().map_err(JournalError::io("write", &path))?;
        Ok(RunLock { _file: file })
    }

    /// The process that drives it at this moment, if one does and said who it is.
    #[must_use]
    pub fn driver(&self) -> Option<u32> {
        if !self.is_driven() {
            return None;
        }
        fs::read_to_string(self.0.join("lock")).ok()?.trim().parse().ok()
    }

    /// Whether a process drives it at this moment.
    #[must_use]
    pub fn is_driven(&self) -> bool {
        let Ok(file) = File::open(self.0.join("lock")) else { return false };
        !matches!(FileExt::try_lock_shared(&file), Ok(true))
    }
}

/// What can't be in a record that was read whole: a run that goes on with it would mark its commands with another run's id, or send
/// to targets twice.
fn flaw(record: &RunRecord, directory: &Path) -> Option<String> {
    let is_own = directory.file_name().is_some_and(|name| name == record.run.as_str());
    match record {
        RunRecord { run, .. } if !is_own => Some(format!("it is the record of run {run}")),
        RunRecord { waves, .. } if !waves.is_sorted() => Some("its waves go back".to_owned()),
        _ => None,
    }
}

/// Asks a few times: [`RunDirectory::is_driven`] of another process holds the lock for a moment.
fn try_lock(file: &File) -> io::Result<bool> {
    for _ in 0..5 {
        if FileExt::try_lock_exclusive(file)? {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    FileExt::try_lock_exclusive(file)
}

/// Held while a process drives a run; the kernel lets go of it when the process dies, however it dies.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}
