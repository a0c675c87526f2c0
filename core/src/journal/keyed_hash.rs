//! [`HashKey`]: a keyed hash of what is sent to nodes, so that the journal can tell whether it is the same without
//! keeping it.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::JournalError;

/// The key of a state directory: 32 random bytes in `<state>/key`, mode 0600. Without it the hashes in the journals tell nothing,
/// not even to somebody who guesses.
#[derive(Clone)]
pub struct HashKey([u8; 32]);

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey")
    }
}

impl HashKey {
    /// Reads the key, or makes one of `random` at the first use.
    ///
    /// # Errors
    /// The state directory can't be written or read.
    pub fn open(state: &Path, random: [u8; 32]) -> Result<HashKey, JournalError> {
        let path = state.join("key");
        let make = || -> io::Result<()> {
            DirBuilder::new().recursive(true).mode(0o700).create(state)?;
            // Whole or not at all, and the first of two processes wins.
            let temporary = state.join(format!("key.{}", std::process::id()));
            let mut file =
                OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&temporary)?;
            file.write_all(&random)?;
            file.sync_data()?;
            let linked = fs::hard_link(&temporary, &path);
            fs::remove_file(&temporary)?;
            match linked {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                _ => Ok(()),
            }
        };
        if !path.exists() {
            make().map_err(JournalError::io("create", &path))?;
        }
        let mut key = [0; 32];
        let mut read = || -> io::Result<()> { fs::File::open(&path)?.read_exact(&mut key) };
        read().map_err(JournalError::io("read", &path))?;
        Ok(HashKey(key))
    }

    /// HMAC-SHA-256 over the parts, each with its length before it, in hexadecimal.
    #[must_use]
    pub fn hash<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> String {
        // HMAC takes keys of any length: this can't fail, and an empty hash would match nothing.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_kept_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("herder");
        let first = HashKey::open(&state, [1; 32]).unwrap();
        let second = HashKey::open(&state, [2; 32]).unwrap();
        assert_eq!(first.hash([b"a".as_slice()]), second.hash([b"a".as_slice()]));
        assert_eq!(fs::metadata(state.join("key")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&state).unwrap().count(), 1);
    }

    #[test]
    fn parts_do_not_run_together() {
        let key = HashKey([7; 32]);
        assert_ne!(key.hash([b"ab".as_slice(), b"c"]), key.hash([b"a".as_slice(), b"bc"]));
        assert_eq!(key.hash([]).len(), 64);
    }
}
