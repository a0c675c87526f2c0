//! [`CopyRecipe`]: what is copied to or from many nodes, as the journal keeps it.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use herder_core::journal::HashKey;
use herder_session::copy::{CopyOptions, Encoding, RemotePath};
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Kind};
use crate::ops::exec::Rollout;

/// Which way it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Direction {
    /// From here to every node.
    Upload,
    /// From every node into a directory of its own here.
    Download,
}

/// What is copied and how. Nothing of the files themselves is kept but a keyed hash.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CopyRecipe {
    /// Which way.
    pub(crate) direction: Direction,
    /// The side that is here, absolute.
    pub(crate) local: PathBuf,
    /// The side that is on the nodes, as typed.
    pub(crate) remote: String,
    /// `-r`.
    #[serde(default)]
    pub(crate) recursive: bool,
    /// `-p`.
    #[serde(default)]
    pub(crate) preserve: bool,
    /// `--no-resume`.
    #[serde(default)]
    pub(crate) afresh: bool,
    /// `--base64`.
    #[serde(default)]
    pub(crate) base64: bool,
    /// `--reason`.
    #[serde(default)]
    pub(crate) reason: Option<String>,
    /// How it goes over the targets.
    #[serde(flatten)]
    pub(crate) rollout: Rollout,
    /// Of an upload, the keyed hash of its files' names, sizes and times.
    #[serde(default)]
    pub(crate) source: String,
}

/// What an upload copies to each node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    /// Files.
    pub(crate) files: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
}

/// The files of an upload as they are now.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceState {
    /// How much it is.
    pub(crate) amount: Amount,
    /// Names, sizes and times.
    parts: Vec<Vec<u8>>,
}

impl SourceState {
    /// Looks at a file, or at a directory and all that is in it. Blocks for as long as that takes.
    ///
    /// # Errors
    /// Something can't be looked at, or can't be read more than once.
    pub(crate) fn look(path: &Path) -> Result<SourceState, Failure> {
        require_repeatable(path)?;
        let mut state = SourceState::default();
        let mut to_do = vec![path.to_owned()];
        while let Some(next) = to_do.pop() {
            state.add(path, &next, &mut to_do).map_err(|error| unreadable(&next, &error))?;
        }
        Ok(state)
    }

    fn add(&mut self, root: &Path, path: &Path, to_do: &mut Vec<PathBuf>) -> io::Result<()> {
        let is_link = path != root && fs::symlink_metadata(path)?.is_symlink();
        let metadata = match fs::metadata(path) {
            // What a link points to may be gone: a copy leaves it out and says so.
            Err(_) if is_link => return Ok(()),
            metadata => metadata?,
        };
        if metadata.is_dir() && is_link {
            return Ok(());
        }
        let name = path.strip_prefix(root).unwrap_or(path).as_os_str().as_bytes().to_vec();
        if metadata.is_dir() {
            self.parts.push(name);
            let mut entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
            entries.sort_by_key(|entry| std::cmp::Reverse(entry.file_name()));
            to_do.extend(entries.into_iter().map(|entry| entry.path()));
            return Ok(());
        }
        if !metadata.is_file() {
            // So it does with pipes and devices.
            return Ok(());
        }
        self.amount.files += 1;
        self.amount.bytes += metadata.len();
        let facts = format!("{} {} {}", metadata.len(), metadata.mtime(), metadata.mtime_nsec());
        self.parts.extend([name, facts.into_bytes()]);
        Ok(())
    }

    /// Keyed, so that the journal tells nobody what is copied.
    pub(crate) fn hash(&self, key: &HashKey) -> String {
        key.hash(self.parts.iter().map(Vec::as_slice))
    }
}

/// Every node gets the same bytes, and each copy reads them: a pipe gives them once, and the files of the kernel others each
/// time.
///
/// # Errors
/// The source is such a one (usage), or can't be looked at.
pub(crate) fn require_repeatable(path: &Path) -> Result<(), Failure> {
    let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    let what = if metadata.is_dir() {
        return Ok(());
    } else if !metadata.is_file() {
        "is no file, and can't be read for each node"
    } else if metadata.len() == 0 && !is_empty(path).map_err(|error| unreadable(path, &error))? {
        "has no size, and may be another for each node"
    } else {
        return Ok(());
    };
    Err(Failure::usage(format!("`{}` {what}", path.display()))
        .hint("Write what is in it to a file first, and copy that."))
}

/// Whether a file that says so is.
fn is_empty(path: &Path) -> io::Result<bool> {
    Ok(fs::File::open(path)?.read(&mut [0])? == 0)
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let kind = if error.kind() == io::ErrorKind::NotFound { Kind::NotFound } else { Kind::Local };
    Failure::new(kind, format!("could not read `{}`", path.display())).caused_by(error)
}

impl CopyRecipe {
    /// The path on the nodes.
    ///
    /// # Errors
    /// It can't be one.
    pub(crate) fn remote_path(&self) -> Result<RemotePath, Failure> {
        RemotePath::new(&self.remote).ok_or_else(|| Failure::usage("there is a NUL in the path on the nodes"))
    }

    /// How each copy is made. `umask` is this process' own.
    pub(crate) fn options(&self, umask: u32) -> CopyOptions {
        CopyOptions {
            preserve: self.preserve,
            umask,
            resume: !self.afresh,
            encoding: if self.base64 { Encoding::Base64 } else { Encoding::Raw },
        }
    }

    /// What it is called in lists: the two sides, as they are typed.
    pub(crate) fn title(&self) -> String {
        let flag = if self.recursive { "-r " } else { "" };
        let (local, remote) = (self.local.display(), &self.remote);
        match self.direction {
            Direction::Upload => format!("{flag}{local} :{remote}"),
            Direction::Download => format!("{flag}:{remote} {local}"),
        }
    }

    /// What a person is asked about and told of, up to the nodes: `copy … to`.
    pub(crate) fn deed(&self) -> String {
        let (local, remote) = (self.local.display(), &self.remote);
        match self.direction {
            Direction::Upload => format!("copy `{local}` to `{remote}` on"),
            Direction::Download => format!("copy `{remote}` to `{local}` from"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_known_by_its_names_sizes_and_times() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("a")).unwrap();
        fs::write(at("a/one"), "1").unwrap();
        fs::write(at("two"), "22").unwrap();
        std::os::unix::fs::symlink("nowhere", at("broken")).unwrap();
        std::os::unix::fs::symlink(".", at("a/loop")).unwrap();
        let key = HashKey::open(&at("state"), [7; 32]).unwrap();
        fs::rename(at("state"), directory.path().with_extension("state")).unwrap();
        let look = || SourceState::look(directory.path()).unwrap();
        let before = look();
        assert_eq!(before.amount, Amount { files: 2, bytes: 3 });
        assert_eq!(before.hash(&key), look().hash(&key));
        fs::rename(at("two"), at("three")).unwrap();
        assert_ne!(before.hash(&key), look().hash(&key), "another name");
        fs::rename(at("three"), at("two")).unwrap();
        assert_eq!(before.hash(&key), look().hash(&key));
        let file = fs::File::options().write(true).open(at("two")).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        assert_ne!(before.hash(&key), look().hash(&key), "another time");
        let before = look();
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600));
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), kind, mode, 0).unwrap();
        assert_eq!(before.hash(&key), look().hash(&key), "pipes in directories are left out");
        for once in [at("pipe"), "/proc/uptime".into()] {
            assert_eq!(SourceState::look(&once).unwrap_err().kind, Kind::Usage, "{}", once.display());
        }
        fs::write(at("two"), "").unwrap();
        assert_eq!(SourceState::look(&at("two")).unwrap().amount, Amount { files: 1, bytes: 0 });
        let failure = SourceState::look(&at("nothing")).unwrap_err();
        assert_eq!(failure.kind, Kind::NotFound);
        fs::remove_dir_all(directory.path().with_extension("state")).unwrap();
    }
}
