//! Copies to and from this machine, as if it were a node: the scripts run in its shells.

mod download;
mod failures;
mod here;
mod machines;
mod trees;
mod upload;

use std::path::Path;
use std::sync::Mutex;

use crate::copy::{Copier, CopyOptions, Progress, RemotePath};
use here::Here;

/// File names that shells, tools and line-based parsers stumble over.
const NASTY: [&[u8]; 15] = [
    b"plain.txt",
    b"two words",
    b"  spaces at both ends  ",
    b"-rf",
    b"--help",
    b"it's",
    b"\"double\" `ticks` $(date) ${HOME} $PATH",
    b"line\nend",
    b"line end last\n",
    b"back\\slash \\0101 %s %n",
    b"*?[a-z]!{a,b}",
    b"{{ssm:parameter}}",
    b"caf\xc3\xa9 \xe2\x82\xac",
    b"not utf-8 \xff\xfe",
    b"#~;&|<>()",
];

/// Bytes that repeat nothing, the same for the same seed.
fn content(length: usize, seed: u64) -> Vec<u8> {
    use rand::{RngCore, SeedableRng};
    let mut bytes = vec![0; length];
    rand::rngs::SmallRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

fn remote(path: &Path) -> RemotePath {
    use std::os::unix::ffi::OsStrExt;
    RemotePath::new(path.as_os_str().as_bytes()).unwrap()
}

fn make_pipe(path: &Path) {
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o644));
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).unwrap();
}

/// What a copy told while it went on.
#[derive(Default)]
struct Told(Mutex<Vec<Progress>>);

impl Told {
    fn skipped(&self) -> Vec<(String, String)> {
        let told = self.0.lock().unwrap();
        let skipped = told.iter().filter_map(|progress| match progress {
            Progress::Skipped { name, reason } => Some((name.clone(), reason.clone())),
            _ => None,
        });
        skipped.collect()
    }

    fn noted(&self) -> usize {
        self.0.lock().unwrap().iter().filter(|progress| matches!(progress, Progress::Noted { .. })).count()
    }

    fn bytes(&self) -> u64 {
        let told = self.0.lock().unwrap();
        told.iter().map(|progress| if let Progress::Bytes(count) = progress { *count } else { 0 }).sum()
    }
}

/// Does something with a copier for this machine.
async fn copy<T>(
    here: &Here,
    options: CopyOptions,
    act: impl AsyncFnOnce(&Copier<'_, Here>) -> T,
) -> (T, Told) {
    let told = Told::default();
    let tell = |progress| told.0.lock().unwrap().push(progress);
    let result = act(&Copier::new(here, [0x5a; 16], options, &tell)).await;
    (result, told)
}
