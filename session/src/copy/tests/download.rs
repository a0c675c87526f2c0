use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::atomic::Ordering;

use super::here::Here;
use super::{NASTY, content, copy, make_pipe, remote};
use crate::copy::incoming::{Finish, Incoming};
use crate::copy::local::Hash;
use crate::copy::{
    Copied, Copier, CopyError, CopyOptions, ExecOutput, ExecSource, Node, Progress, Reason, RemotePath,
};
use crate::link::LinkEnded;

fn one(bytes: u64, resumed: u64) -> Copied {
    Copied { files: 1, bytes, resumed, skipped: 0 }
}

#[tokio::test]
async fn every_name_and_shell() {
    for (shell, here) in Here::all() {
        let local = tempfile::tempdir().unwrap();
        for (n, name) in NASTY.iter().enumerate() {
            let bytes = content([0, 1, 3, 4095, 100_000][n % 5], n as u64);
            fs::write(here.home().join(OsStr::from_bytes(name)), &bytes).unwrap();
            let source = RemotePath::new(name).unwrap();
            let destination = local.path().to_owned();
            let (copied, told) =
                copy(&here, CopyOptions::default(), async |c| c.download(&source, &destination).await).await;
            assert_eq!(copied.unwrap(), one(bytes.len() as u64, 0), "{shell} {source}");
            assert_eq!(told.bytes(), bytes.len() as u64);
            let arrived = local.path().join(OsStr::from_bytes(name));
            assert!(fs::read(arrived).unwrap() == bytes, "{shell} {source}");
        }
        assert_eq!(fs::read_dir(local.path()).unwrap().count(), NASTY.len(), "nothing else is left");
    }
}

#[tokio::test]
async fn fifty_megabytes() {
    let here = Here::new();
    let bytes = content(50 << 20, 50);
    fs::write(here.home().join("large"), &bytes).unwrap();
    let local = tempfile::tempdir().unwrap();
    let (source, destination) = (RemotePath::new("large").unwrap(), local.path().join("mine"));
    let (copied, _) =
        copy(&here, CopyOptions::default(), async |c| c.download(&source, &destination).await).await;
    assert_eq!(copied.unwrap(), one(50 << 20, 0));
    assert!(fs::read(&destination).unwrap() == bytes);
}

#[tokio::test]
async fn a_copy_that_was_killed_goes_on() {
    for (shell, here) in Here::all() {
        let bytes = content(3_000_000, 3);
        fs::write(here.home().join("f"), &bytes).unwrap();
        let local = tempfile::tempdir().unwrap();
        let (source, destination) = (RemotePath::new("f").unwrap(), local.path().join("f"));
        let part = local.path().join(".f.herder-part");
        let mut resumed = 0;
        for _ in 0..2 {
            here.cut_after.store(1_000_000, Ordering::Relaxed);
            let (copied, _) =
                copy(&here, CopyOptions::default(), async |c| c.download(&source, &destination).await).await;
            assert!(matches!(copied, Err(CopyError::Session(_))), "{shell}: {copied:?}");
            let metadata = fs::metadata(&part).unwrap();
            assert!(metadata.len() > resumed + 500_000, "{shell}: {}", metadata.len());
            assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
            resumed = metadata.len();
        }
        let (copied, told) =
            copy(&here, CopyOptions::default(), async |c| c.download(&source, &destination).await).await;
        assert_eq!(copied.unwrap(), one(3_000_000 - resumed, resumed), "{shell}");
        let begun = told.0.lock().unwrap().first().cloned();
        assert!(matches!(begun, Some(Progress::File { offset, .. }) if offset == resumed), "{begun:?}");
        assert!(fs::read(&destination).unwrap() == bytes && !part.exists());
    }
}

#[tokio::test]
async fn what_a_sessions_end_did_not_bring_is_fetched_with_another() {
    let here = Here::new();
    let bytes = content(3_000_000, 3);
    fs::create_dir(here.home().join("tree")).unwrap();
    for name in ["f", "tree/a", "tree/b"] {
        fs::write(here.home().join(name), &bytes).unwrap();
    }
    let lose = |times, after| {
        here.loses_ends.store(times, Ordering::Relaxed);
        here.cut_after.store(after, Ordering::Relaxed);
        here.sessions.store(0, Ordering::Relaxed);
    };
    let local = tempfile::tempdir().unwrap();
    let (source, destination) = (RemotePath::new("f").unwrap(), local.path().join("f"));
    lose(3, 1_200_000);
    let (copied, told) =
        copy(&here, CopyOptions::default(), async |c| c.download(&source, &destination).await).await;
    assert_eq!(copied.unwrap(), one(3_000_000, 0), "all of them are of this copy");
    assert_eq!((told.bytes(), here.sessions.load(Ordering::Relaxed)), (3_000_000, 4), "and came once");
    assert!(fs::read(&destination).unwrap() == bytes);

    lose(2, 1_500_000);
    let mut out = Vec::new();
    let (copied, _) =
        copy(&here, CopyOptions::default(), async |c| c.download_stream(&source, &mut out).await).await;
    assert_eq!(copied.unwrap(), one(3_000_000, 0));
    assert!(out == bytes);

    // The first of these is the listing, which is not that long.
    lose(3, 3_000_000);
    let (tree, there) = (RemotePath::new("tree").unwrap(), local.path().join("tree"));
    let (copied, _) =
        copy(&here, CopyOptions::default(), async |c| c.download_tree(&tree, &there).await).await;
    assert_eq!(copied.unwrap(), Copied { files: 2, bytes: 6_000_000, ..Copied::default() });
    assert!(["a", "b"].iter().all(|name| fs::read(there.join(name)).unwrap() == bytes));

    // Not for ever.
    lose(9, 100_000);
    let (copied, _) =
        copy(&here, CopyOptions::default(), async |c| c.download(&source, &local.path().join("g")).await)
            .await;
    assert!(matches!(&copied, Err(CopyError::Session(ended)) if ended.is_cut), "{copied:?}");
    assert_eq!(here.sessions.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn a_part_of_something_else_is_begun_anew() {
    for (shell, here) in Here::all() {
        let bytes = content(300_000, 1);
        fs::write(here.home().join("f"), &bytes).unwrap();
        let local = tempfile::tempdir().unwrap();
        let (source, destination) = (RemotePath::new("f").unwrap(), local.path().join("f"));
        let part = local.path().join(".f.herder-part");
        let leave = |bytes: &[u8]| {
            fs::write(&part, bytes).unwrap();
            fs::set_permissions(&part, fs::Permissions::from_mode(0o600)).unwrap();
        };
        for left in [content(100_000, 2), content(400_000, 4)] {
            leave(&left);
            let (copied, _) =
                copy(&here, CopyOptions::default(), async |c| c.download(&source, &destination).await).await;
            assert_eq!(copied.unwrap(), one(300_000, 0), "{shell}");
            assert!(fs::read(&destination).unwrap() == bytes);
        }
        leave(&bytes);
        let (copied, _) =
            copy(&here, CopyOptions::default(), async |c| c.download(&source, &destination).await).await;
        assert_eq!(copied.unwrap(), one(0, 300_000), "{shell}: it was there already");
    }
}

#[tokio::test]
async fn permissions_and_times_are_as_asked() {
    for (shell, here) in Here::all() {
        let path = here.home().join("f");
        fs::write(&path, b"x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o4775)).unwrap();
        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(1_234_567_890_125);
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        let local = tempfile::tempdir().unwrap();
        let source = RemotePath::new("f").unwrap();
        let download = async |name: &str, preserve| {
            let options = CopyOptions { preserve, umask: 0o027, ..CopyOptions::default() };
            let destination = local.path().join(name);
            let (copied, told) =
                copy(&here, options, async |c| c.download(&source, &destination).await).await;
            copied.unwrap();
            assert_eq!(told.noted(), if preserve { 1 } else { 0 }, "{shell}: of the setuid bit");
            let metadata = fs::metadata(destination).unwrap();
            (metadata.mode() & 0o7777, metadata.mtime(), metadata.mtime_nsec())
        };
        let (mode, time, _) = download("new", false).await;
        assert!(mode == 0o750 && time > 1_600_000_000, "{shell}: {mode:o} {time}");
        assert_eq!(download("exact", true).await, (0o775, 1_234_567_890, 125_000_000), "{shell}");
        fs::write(local.path().join("there"), b"").unwrap();
        fs::set_permissions(local.path().join("there"), fs::Permissions::from_mode(0o604)).unwrap();
        assert_eq!(download("there", false).await.0, 0o604, "{shell}: a file that is there keeps its own");
    }
}

#[tokio::test]
async fn links_are_followed_on_both_sides() {
    let here = Here::new();
    fs::write(here.home().join("real"), b"content").unwrap();
    symlink("real", here.home().join("link")).unwrap();
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("mine"), b"old").unwrap();
    symlink("mine", local.path().join("to mine")).unwrap();
    let (source, destination) = (RemotePath::new("link").unwrap(), local.path().join("to mine"));
    copy(&here, CopyOptions::default(), async |c| c.download(&source, &destination).await).await.0.unwrap();
    assert!(destination.is_symlink());
    assert_eq!(fs::read(local.path().join("mine")).unwrap(), b"content");

    // A link with the part's name would have the copy write where it points.
    fs::write(local.path().join("victim"), b"old").unwrap();
    symlink("victim", local.path().join(".f.herder-part")).unwrap();
    let destination = local.path().join("f");
    copy(&here, CopyOptions::default(), async |c| c.download(&source, &destination).await).await.0.unwrap();
    assert_eq!(fs::read(local.path().join("victim")).unwrap(), b"old");
}

/// They say that they have no bytes, and some have others at each reading.
#[tokio::test]
async fn files_of_the_kernel_are_copied() {
    for (shell, here) in Here::all() {
        let local = tempfile::tempdir().unwrap();
        for path in ["/proc/version", "/proc/uptime"] {
            let (source, destination) = (RemotePath::new(path).unwrap(), local.path().join("f"));
            let (copied, _) =
                copy(&here, CopyOptions::default(), async |c| c.download(&source, &destination).await).await;
            assert!(copied.unwrap().bytes > 0, "{shell} {path}");
            assert!(!fs::read(&destination).unwrap().is_empty());
        }
    }
}

#[tokio::test]
async fn a_log_that_grows_is_copied_as_it_was() {
    let here = Here::new();
    let log = here.home().join("log");
    fs::write(&log, content(2_000_000, 1)).unwrap();
    // Whatever reads it makes it grow.
    here.replace("base64", &format!("echo more >>'{}'; exec /usr/bin/base64 \"$@\"", log.display()));
    let local = tempfile::tempdir().unwrap();
    let (source, destination) = (RemotePath::new("log").unwrap(), local.path().join("log"));
    let (copied, _) =
        copy(&here, CopyOptions::default(), async |c| c.download(&source, &destination).await).await;
    assert_eq!(copied.unwrap(), one(2_000_000, 0));
    assert!(fs::metadata(&log).unwrap().len() > 2_000_000);
}

#[tokio::test]
async fn a_stream_gets_the_bytes() {
    for (shell, here) in Here::all() {
        let bytes = content(500_000, 5);
        fs::write(here.home().join("f"), &bytes).unwrap();
        let source = RemotePath::new("f").unwrap();
        let mut out = Vec::new();
        let (copied, _) =
            copy(&here, CopyOptions::default(), async |c| c.download_stream(&source, &mut out).await).await;
        assert_eq!(copied.unwrap(), one(500_000, 0), "{shell}");
        assert!(out == bytes);
        let source = RemotePath::new("missing").unwrap();
        let (copied, _) =
            copy(&here, CopyOptions::default(), async |c| c.download_stream(&source, &mut out).await).await;
        assert!(
            matches!(copied, Err(CopyError::Node { reason: Reason::NotFound, .. })),
            "{shell}: {copied:?}"
        );
    }
}

/// Whoever has made a part, or has another name for it, could read along and change what is checked already.
#[tokio::test]
async fn a_part_that_somebody_else_has_is_never_written_to() {
    let here = Here::new();
    fs::write(here.home().join("f"), content(200_000, 1)).unwrap();
    let local = tempfile::tempdir().unwrap();
    let victim = local.path().join("victim");
    let (source, destination) = (RemotePath::new("f").unwrap(), local.path().join("f"));
    let (readable, named_twice, owned, pipe) = (0, 1, 2, 3);
    for sort in [readable, named_twice, owned, pipe] {
        if sort == owned && !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: only root can give a file away");
            continue;
        }
        let part = local.path().join(".f.herder-part");
        fs::write(&victim, content(100_000, 1)).unwrap();
        fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).unwrap();
        match sort {
            n if n == named_twice => fs::hard_link(&victim, &part).unwrap(),
            n if n == pipe => make_pipe(&part),
            _ => {
                fs::copy(&victim, &part).unwrap();
                let mode = if sort == readable { 0o644 } else { 0o600 };
                fs::set_permissions(&part, fs::Permissions::from_mode(mode)).unwrap();
                if sort == owned {
                    std::os::unix::fs::chown(&part, Some(65_534), None).unwrap();
                }
            }
        }
        // Open, so that its number is not given to another file.
        let kept = (sort != pipe).then(|| fs::File::open(&part).unwrap());
        let (copied, _) =
            copy(&here, CopyOptions::default(), async |c| c.download(&source, &destination).await).await;
        assert_eq!(copied.unwrap(), one(200_000, 0), "{sort}: nothing of it is gone on with");
        assert!(fs::read(&destination).unwrap() == content(200_000, 1), "{sort}");
        assert!(fs::read(&victim).unwrap() == content(100_000, 1), "{sort}");
        if let Some(kept) = kept {
            let (theirs, ours) = (kept.metadata().unwrap(), fs::metadata(&destination).unwrap());
            assert_ne!(theirs.ino(), ours.ino(), "{sort}: the file is another");
            assert_eq!(theirs.len(), 100_000, "{sort}");
        }
        fs::remove_file(&destination).unwrap();
    }
}

#[tokio::test]
async fn one_copy_at_a_time_writes_to_a_path() {
    let here = Here::new();
    fs::write(here.home().join("f"), b"theirs").unwrap();
    let local = tempfile::tempdir().unwrap();
    let (source, destination) = (RemotePath::new("f").unwrap(), local.path().join("f"));
    let mut first = Incoming::begin(&destination, 0).unwrap();
    first.add(b"ours").unwrap();
    for resume in [true, false] {
        let options = CopyOptions { resume, ..CopyOptions::default() };
        let (copied, _) = copy(&here, options, async |c| c.download(&source, &destination).await).await;
        let error = copied.unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, "another copy to the same path is under way", "{error}");
    }
    let mut hash = Hash::new();
    hash.add(b"ours");
    first.finish(&hash.shown(), Finish { mode: 0o644, is_exact: false, modified: None }).unwrap();
    assert_eq!(fs::read(&destination).unwrap(), b"ours");
    copy(&here, CopyOptions::default(), async |c| c.download(&source, &destination).await).await.0.unwrap();
    assert_eq!(fs::read(&destination).unwrap(), b"theirs");
}

/// As `/dev/null`, or what a shell's `>(…)` is.
#[tokio::test]
async fn what_is_no_file_here_is_written_to_and_not_replaced() {
    let here = Here::new();
    let bytes = content(300_000, 1);
    fs::write(here.home().join("f"), &bytes).unwrap();
    let local = tempfile::tempdir().unwrap();
    let pipe = local.path().join("pipe");
    make_pipe(&pipe);
    let reading = tokio::task::spawn_blocking({
        let pipe = pipe.clone();
        move || fs::read(pipe).unwrap()
    });
    let source = RemotePath::new("f").unwrap();
    let (copied, _) = copy(&here, CopyOptions::default(), async |c| c.download(&source, &pipe).await).await;
    assert_eq!(copied.unwrap(), one(300_000, 0));
    assert!(reading.await.unwrap() == bytes);
    assert!(!fs::metadata(&pipe).unwrap().is_file());
}

/// A node whose script answers what it likes.
struct Answers(String);

struct Printed(Option<String>);

impl ExecSource for Printed {
    async fn next(&mut self) -> Result<Option<ExecOutput>, LinkEnded> {
        Ok(self.0.take().map(|text| ExecOutput::Stdout(text.into())))
    }
}

impl Node for Answers {
    type Source = super::here::Screen;
    type Sink = super::here::Keyboard;
    type Exec = Printed;
    type Error = std::io::Error;
    async fn terminal(&self, _: String) -> Result<(Self::Source, Self::Sink), std::io::Error> {
        Err(std::io::Error::other("there is none"))
    }
    async fn exec(&self, _: String) -> Result<Printed, std::io::Error> {
        Ok(Printed(Some(self.0.clone())))
    }
}

#[tokio::test]
async fn a_node_does_not_choose_where_bytes_begin() {
    let local = tempfile::tempdir().unwrap();
    let (source, destination) = (RemotePath::new("f").unwrap(), local.path().join("f"));
    let part = local.path().join(".f.herder-part");
    let marker = crate::copy::Marker::new([0; 16]);
    let node = |offset: u64| {
        Answers(format!("{marker} file 9 644 0 {offset}\nMTIzNDU2Nzg5\n{marker} end x\n{marker} over\n"))
    };
    for (left, offset) in [(0, 4_u64 << 60), (4, 3), (4, 5)] {
        fs::write(&part, &b"1234"[..left]).unwrap();
        fs::set_permissions(&part, fs::Permissions::from_mode(0o600)).unwrap();
        let node = node(offset);
        let copier = Copier::new(&node, [0; 16], CopyOptions::default(), &|_| {});
        let error = copier.download(&source, &destination).await.unwrap_err();
        let expected = format!("bytes from {offset} on, and {left} are here");
        assert!(matches!(&error, CopyError::Garbled(said) if *said == expected), "{error}");
        assert_eq!(fs::metadata(&part).unwrap().len(), left as u64);
        let error = copier.download_stream(&source, Vec::new()).await.unwrap_err();
        assert!(matches!(&error, CopyError::Garbled(_)), "{error}");
    }
}

#[tokio::test]
async fn absolute_paths_are_what_they_say() {
    let here = Here::new();
    fs::write(here.home().join("f"), b"x").unwrap();
    let local = tempfile::tempdir().unwrap();
    let (source, destination) = (remote(&here.home().join("f")), local.path().join("f"));
    copy(&here, CopyOptions::default(), async |c| c.download(&source, &destination).await).await.0.unwrap();
    assert_eq!(fs::read(destination).unwrap(), b"x");
    assert_eq!(here.sessions.load(Ordering::Relaxed), 1);
}
