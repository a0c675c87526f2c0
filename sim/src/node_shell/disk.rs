//! A node's files: what every node has, and what was written since. Nothing of it is on the host.

use super::data::Data;
use crate::clock::At;
use crate::draw::Draw;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Why a call to the system failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Errno {
    NotFound,
    Denied,
    Exists,
    NotDirectory,
    IsDirectory,
    NotEmpty,
    NoSpace,
    BrokenPipe,
    BadDescriptor,
    Invalid,
    Loop,
    CrossesItself,
    TooMany,
}

impl Errno {
    /// As programs print it.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Errno::NotFound => "No such file or directory",
            Errno::Denied => "Permission denied",
            Errno::Exists => "File exists",
            Errno::NotDirectory => "Not a directory",
            Errno::IsDirectory => "Is a directory",
            Errno::NotEmpty => "Directory not empty",
            Errno::NoSpace => "No space left on device",
            Errno::BrokenPipe => "Broken pipe",
            Errno::BadDescriptor => "Bad file descriptor",
            Errno::Invalid => "Invalid argument",
            Errno::Loop => "Too many levels of symbolic links",
            Errno::TooMany => "Resource temporarily unavailable",
            Errno::CrossesItself => "cannot move a directory into itself",
        }
    }
}

/// A file's contents, shared by everybody who has it open.
pub(crate) type Shared = Arc<Mutex<Data>>;

/// Locks contents.
pub(crate) fn locked(data: &Shared) -> MutexGuard<'_, Data> {
    data.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a name stands for.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    File(Shared),
    Directory,
    Link(String),
    /// `null`, `zero`, `urandom`, `full`, `tty`
    Device(&'static str),
}

/// A file, directory or link.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) body: Body,
    pub(crate) mode: u32,
    pub(crate) owner: String,
    pub(crate) modified: At,
}

impl Entry {
    pub(crate) fn size(&self) -> u64 {
        match &self.body {
            Body::File(data) => locked(data).len(),
            Body::Directory => 4096,
            Body::Link(target) => target.len() as u64,
            Body::Device(_) => 0,
        }
    }

    pub(crate) fn is_directory(&self) -> bool {
        matches!(self.body, Body::Directory)
    }

    /// Whether the user may read (4), write (2) or search (1) it.
    pub(crate) fn allows(&self, user: &str, bit: u32) -> bool {
        let bits = if self.owner == user { bit << 6 } else { bit };
        user == "root" || self.mode & bits != 0
    }
}

/// Contents of the files that every node has, by path.
pub(crate) type Native = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// A node's files.
#[derive(Clone)]
pub(crate) struct Disk {
    native: Native,
    /// When the files were made that every node has.
    born: At,
    /// What was written since; `None` is a file of every node that is gone.
    written: BTreeMap<String, Option<Entry>>,
    limit: u64,
    random: Draw,
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Disk").field("written", &self.written.len()).finish_non_exhaustive()
    }
}

/// Directories that every node has, with who may write there: owner and mode.
const DIRECTORIES: [(&str, &str, u32); 30] = [
    ("/", "root", 0o755),
    ("/bin", "root", 0o755),
    ("/boot", "root", 0o755),
    ("/dev", "root", 0o755),
    ("/dev/shm", "root", 0o1777),
    ("/etc", "root", 0o755),
    ("/etc/ssh", "root", 0o755),
    ("/etc/systemd", "root", 0o755),
    ("/home", "root", 0o755),
    ("/home/ec2-user", "ec2-user", 0o700),
    ("/home/ssm-user", "ssm-user", 0o700),
    ("/lib", "root", 0o755),
    ("/opt", "root", 0o755),
    ("/proc", "root", 0o555),
    ("/root", "root", 0o700),
    ("/run", "root", 0o755),
    ("/sbin", "root", 0o755),
    ("/srv", "root", 0o755),
    ("/sys", "root", 0o555),
    ("/tmp", "root", 0o1777),
    ("/usr", "root", 0o755),
    ("/usr/bin", "root", 0o755),
    ("/usr/local", "root", 0o755),
    ("/usr/local/bin", "root", 0o755),
    ("/usr/sbin", "root", 0o755),
    ("/var", "root", 0o755),
    ("/var/log", "root", 0o755),
    ("/var/log/amazon", "root", 0o755),
    ("/var/log/journal", "root", 0o755),
    ("/var/tmp", "root", 0o1777),
];

const DEVICES: [(&str, &str); 6] = [
    ("/dev/null", "null"),
    ("/dev/zero", "zero"),
    ("/dev/random", "urandom"),
    ("/dev/urandom", "urandom"),
    ("/dev/full", "full"),
    ("/dev/tty", "tty"),
];

/// What only root reads.
const SHADOW: &str = "/etc/shadow";

/// Files that every node has.
const FILES: [&str; 13] = [
    "/etc/os-release",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/passwd",
    SHADOW,
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/version",
    "/var/log/cloud-init.log",
    "/var/log/messages",
    "/var/log/secure",
    "/home/ec2-user/.bashrc",
];

/// Most links that a path is followed through.
const LINKS: u32 = 40;

impl Disk {
    pub(crate) fn new(native: Native, born: At, limit: u64) -> Disk {
        Disk { native, born, written: BTreeMap::new(), limit, random: Draw::new(17) }
    }

    fn native_entry(&self, path: &str) -> Option<Entry> {
        let made = |body, owner: &str, mode| {
            Some(Entry { body, mode, owner: owner.to_owned(), modified: self.born })
        };
        if let Some((_, owner, mode)) = DIRECTORIES.iter().find(|(known, _, _)| *known == path) {
            return made(Body::Directory, owner, *mode);
        }
        if let Some((_, device)) = DEVICES.iter().find(|(known, _)| *known == path) {
            return made(Body::Device(device), "root", 0o666);
        }
        if let Some(name) = path.strip_prefix("/usr/bin/").or(path.strip_prefix("/bin/"))
            && super::programs::is_known(name)
        {
            return made(
                Body::File(Arc::new(Mutex::new(Data::of(Bytes::from_static(b"\x7fELF"))))),
                "root",
                0o755,
            );
        }
        if FILES.contains(&path) {
            let text = (self.native)(path).unwrap_or_default();
            let mode = if path == SHADOW { 0o600 } else { 0o644 };
            return made(Body::File(Arc::new(Mutex::new(Data::of(text)))), "root", mode);
        }
        None
    }

    /// What is at a path, links not followed.
    pub(crate) fn entry(&self, path: &str) -> Option<Entry> {
        match self.written.get(path) {
            Some(entry) => entry.clone(),
            None => self.native_entry(path),
        }
    }

    /// The path behind links: the last one is followed too where `follow` says so. Gives a path that may not exist.
    pub(crate) fn resolve(&self, path: &str, follow: bool) -> Result<String, Errno> {
        let mut rest: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let (mut done, mut links) = (String::new(), 0);
        while let Some(part) = rest.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    done.truncate(done.rfind('/').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let next = format!("{done}/{part}");
            match self.entry(&next).map(|entry| entry.body) {
                Some(Body::Link(target)) if follow || !rest.iter().all(String::is_empty) => {
                    links += 1;
                    if links > LINKS {
                        return Err(Errno::Loop);
                    }
                    if target.starts_with('/') {
                        done.clear();
                    }
                    rest.extend(target.split('/').rev().map(str::to_owned));
                }
                Some(Body::File(_) | Body::Device(_)) if !rest.iter().all(String::is_empty) => {
                    return Err(Errno::NotDirectory);
                }
                _ => done = next,
            }
        }
        Ok(if done.is_empty() { "/".to_owned() } else { done })
    }

    /// What is at a path, links followed.
    pub(crate) fn find(&self, path: &str) -> Result<(String, Entry), Errno> {
        let path = self.resolve(path, true)?;
        let entry = self.entry(&path).ok_or(Errno::NotFound)?;
        Ok((path, entry))
    }

    /// The directory that a path is in, which has to be there and, for a change, to let the user write.
    fn parent(&self, path: &str, user: &str) -> Result<(), Errno> {
        let parent = parent_of(path);
        let entry = self.entry(parent).ok_or(Errno::NotFound)?;
        match entry.body {
            Body::Directory if entry.allows(user, 0o2) => Ok(()),
            Body::Directory => Err(Errno::Denied),
            _ => Err(Errno::NotDirectory),
        }
    }

    /// Opens a file to read.
    pub(crate) fn open(&self, path: &str, user: &str) -> Result<Entry, Errno> {
        let (_, entry) = self.find(path)?;
        match entry.body {
            Body::Directory => Err(Errno::IsDirectory),
            _ if !entry.allows(user, 0o4) => Err(Errno::Denied),
            _ => Ok(entry),
        }
    }

    /// Opens a file to write, and makes it where there is none.
    pub(crate) fn create(&mut self, path: &str, (user, cuts): (&str, bool), now: At) -> Result<Entry, Errno> {
        let path = self.resolve(path, true)?;
        if let Some(mut entry) = self.entry(&path) {
            if entry.is_directory() {
                return Err(Errno::IsDirectory);
            }
            if !entry.allows(user, 0o2) {
                return Err(Errno::Denied);
            }
            if let Body::File(data) = &entry.body {
                if cuts {
                    locked(data).resize(0);
                }
                entry.modified = now;
                self.written.insert(path, Some(entry.clone()));
            }
            return Ok(entry);
        }
        self.parent(&path, user)?;
        let body = Body::File(Arc::default());
        let entry = Entry { body, mode: 0o644, owner: user.to_owned(), modified: now };
        self.written.insert(path, Some(entry.clone()));
        Ok(entry)
    }

    /// Makes a directory.
    pub(crate) fn make_directory(
        &mut self,
        path: &str,
        (user, mode): (&str, u32),
        now: At,
    ) -> Result<(), Errno> {
        let path = self.resolve(path, true)?;
        self.add(&path, (user, mode), Body::Directory, now)
    }

    /// Makes a link.
    pub(crate) fn link(&mut self, target: &str, path: &str, user: &str, now: At) -> Result<(), Errno> {
        let path = self.resolve(path, false)?;
        self.add(&path, (user, 0o777), Body::Link(target.to_owned()), now)
    }

    fn add(&mut self, path: &str, (user, mode): (&str, u32), body: Body, now: At) -> Result<(), Errno> {
        if self.entry(path).is_some() {
            return Err(Errno::Exists);
        }
        self.parent(path, user)?;
        self.written
            .insert(path.to_owned(), Some(Entry { body, mode, owner: user.to_owned(), modified: now }));
        Ok(())
    }

    /// Puts a file, or a directory where there are no contents, at an absolute path, and makes the directories above it.
    /// Nobody is asked whether they may, and there is always room.
    pub(crate) fn install(&mut self, path: &str, data: Option<Data>, (owner, mode): (&str, u32)) {
        for (end, _) in path.match_indices('/').skip(1) {
            let above = path.get(..end).unwrap_or("/");
            if self.entry(above).is_none_or(|entry| !entry.is_directory()) {
                self.put(above, Body::Directory, ("root", 0o755));
            }
        }
        let body = data.map_or(Body::Directory, |data| Body::File(Arc::new(Mutex::new(data))));
        self.put(path, body, (owner, mode));
    }

    fn put(&mut self, path: &str, body: Body, (owner, mode): (&str, u32)) {
        let entry = Entry { body, mode, owner: owner.to_owned(), modified: self.born };
        self.written.insert(path.to_owned(), Some(entry));
    }

    /// Names in a directory, sorted.
    pub(crate) fn list(&self, path: &str) -> Vec<String> {
        let prefix = if path == "/" { "/".to_owned() } else { format!("{path}/") };
        let inside = |known: &str| {
            let rest = known.strip_prefix(&prefix)?;
            (!rest.is_empty() && !rest.contains('/')).then(|| rest.to_owned())
        };
        let mut names: BTreeSet<String> = DIRECTORIES
            .iter()
            .map(|(known, _, _)| *known)
            .chain(DEVICES.iter().map(|(known, _)| *known))
            .chain(FILES)
            .filter_map(inside)
            .collect();
        if path == "/usr/bin" || path == "/bin" {
            names.extend(super::programs::names().map(str::to_owned));
        }
        for (known, entry) in
            self.written.range(prefix.clone()..).take_while(|(known, _)| known.starts_with(&prefix))
        {
            if let Some(name) = inside(known) {
                if entry.is_some() {
                    names.insert(name)
                } else {
                    names.remove(&name)
                };
            }
        }
        names.into_iter().collect()
    }

    /// May the user take a name out of its directory?
    fn leaves(&self, path: &str, user: &str) -> Result<Entry, Errno> {
        let entry = self.entry(path).ok_or(Errno::NotFound)?;
        self.parent(path, user)?;
        let directory = self.entry(parent_of(path)).ok_or(Errno::NotFound)?;
        let is_sticky = directory.mode & 0o1000 != 0;
        if is_sticky && user != "root" && entry.owner != user && directory.owner != user {
            return Err(Errno::Denied);
        }
        Ok(entry)
    }

    /// Removes a file, a link, or an empty directory.
    pub(crate) fn remove(&mut self, path: &str, user: &str) -> Result<(), Errno> {
        let path = self.resolve(path, false)?;
        let entry = self.leaves(&path, user)?;
        if entry.is_directory() && !self.list(&path).is_empty() {
            return Err(Errno::NotEmpty);
        }
        self.forget(&path);
        Ok(())
    }

    fn forget(&mut self, path: &str) {
        if self.native_entry(path).is_some() {
            self.written.insert(path.to_owned(), None);
        } else {
            self.written.remove(path);
        }
    }

    /// Moves a file or a directory; a file in its way is replaced.
    pub(crate) fn rename(&mut self, from: &str, to: &str, user: &str) -> Result<(), Errno> {
        let (from, to) = (self.resolve(from, false)?, self.resolve(to, false)?);
        let entry = self.leaves(&from, user)?;
        if from == to {
            return Ok(());
        }
        if to.starts_with(&format!("{from}/")) {
            return Err(Errno::CrossesItself);
        }
        self.parent(&to, user)?;
        match self.entry(&to) {
            Some(there) if there.is_directory() && !entry.is_directory() => return Err(Errno::IsDirectory),
            Some(there) if !there.is_directory() && entry.is_directory() => return Err(Errno::NotDirectory),
            Some(there) if there.is_directory() && !self.list(&to).is_empty() => return Err(Errno::NotEmpty),
            Some(_) => {
                self.leaves(&to, user)?;
            }
            None => {}
        }
        let mut moves = vec![(from.clone(), to)];
        while let Some((from, to)) = moves.pop() {
            if self.entry(&from).is_some_and(|entry| entry.is_directory()) {
                let inside = self.list(&from);
                moves.extend(
                    inside.into_iter().map(|name| (format!("{from}/{name}"), format!("{to}/{name}"))),
                );
            }
            if let Some(entry) = self.entry(&from) {
                self.forget(&from);
                self.written.insert(to, Some(entry));
            }
        }
        Ok(())
    }

    /// Changes what is known of a file.
    pub(crate) fn change(
        &mut self,
        path: &str,
        user: &str,
        change: impl FnOnce(&mut Entry),
    ) -> Result<(), Errno> {
        let (path, mut entry) = self.find(path)?;
        if user != "root" && entry.owner != user {
            return Err(Errno::Denied);
        }
        change(&mut entry);
        self.written.insert(path, Some(entry));
        Ok(())
    }

    /// True where so many bytes more find a place.
    pub(crate) fn has_room(&self, more: u64) -> bool {
        self.used() + more <= self.limit
    }

    /// Bytes that files take.
    pub(crate) fn used(&self) -> u64 {
        let held = |entry: &Option<Entry>| match entry {
            Some(Entry { body: Body::File(data), .. }) => locked(data).held(),
            _ => 0,
        };
        self.written.values().map(held).sum()
    }

    /// Most bytes that files can take.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes that nobody can foresee.
    pub(crate) fn random(&mut self, count: usize) -> Bytes {
        (0..count.div_ceil(8)).flat_map(|_| self.random.bits().to_le_bytes()).take(count).collect()
    }
}

/// The directory that an absolute path is in.
pub(crate) fn parent_of(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(end) => path.get(..end).unwrap_or("/"),
    }
}
