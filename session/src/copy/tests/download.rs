use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::atomic::Ordering;

use super::here::Here;
use super::{NASTY, content, copy, remote};
use crate::copy::{Copied, CopyError, CopyOptions, Progress, Reason, RemotePath};

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
async fn a_part_of_something_else_is_begun_anew() {
    for (shell, here) in Here::all() {
        let bytes = content(300_000, 1);
        fs::write(here.home().join("f"), &bytes).unwrap();
        let local = tempfile::tempdir().unwrap();
        let (source, destination) = (RemotePath::new("f").unwrap(), local.path().join("f"));
        for part in [content(100_000, 2), content(400_000, 4)] {
            fs::write(local.path().join(".f.herder-part"), part).unwrap();
            let (copied, _) =
                copy(&here, CopyOptions::default(), async |c| c.download(&source, &destination).await).await;
            assert_eq!(copied.unwrap(), one(300_000, 0), "{shell}");
            assert!(fs::read(&destination).unwrap() == bytes);
        }
        fs::write(local.path().join(".f.herder-part"), &bytes).unwrap();
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
        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_234_567_890);
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        let local = tempfile::tempdir().unwrap();
        let source = RemotePath::new("f").unwrap();
        let download = async |name: &str, preserve| {
            let options = CopyOptions { preserve, umask: 0o027, ..CopyOptions::default() };
            let destination = local.path().join(name);
            copy(&here, options, async |c| c.download(&source, &destination).await).await.0.unwrap();
            let metadata = fs::metadata(destination).unwrap();
            (metadata.mode() & 0o7777, metadata.mtime())
        };
        let (mode, time) = download("new", false).await;
        assert!(mode == 0o750 && time > 1_600_000_000, "{shell}: {mode:o} {time}");
        assert_eq!(download("exact", true).await, (0o775, 1_234_567_890), "{shell}");
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
