use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::atomic::Ordering;

use super::here::Here;
use super::{NASTY, content, copy, make_pipe, remote};
use crate::copy::{Copied, CopyError, CopyOptions, Encoding, Node, Progress, Reason, RemotePath};

fn one(bytes: u64, resumed: u64) -> Copied {
    Copied { files: 1, bytes, resumed, skipped: 0 }
}

/// What lies in the home directory, incomplete files included.
fn names(here: &Here) -> Vec<String> {
    let entries = fs::read_dir(here.home()).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn every_name_and_shell_and_encoding() {
    for (shell, here) in Here::all() {
        let local = tempfile::tempdir().unwrap();
        for (n, name) in NASTY.iter().enumerate() {
            let bytes = content([0, 1, 3, 4095, 100_000][n % 5], n as u64);
            let source = local.path().join(OsStr::from_bytes(name));
            fs::write(&source, &bytes).unwrap();
            let encoding = if n % 2 == 0 { Encoding::Raw } else { Encoding::Base64 };
            let options = CopyOptions { encoding, ..CopyOptions::default() };
            let destination = RemotePath::new(name).unwrap();
            let (copied, told) = copy(&here, options, async |c| c.upload(&source, &destination).await).await;
            assert_eq!(copied.unwrap(), one(bytes.len() as u64, 0), "{shell} {destination}");
            assert_eq!(told.bytes(), bytes.len() as u64);
            let there = here.home().join(OsStr::from_bytes(name));
            assert!(fs::read(&there).unwrap() == bytes, "{shell} {destination}");
        }
        assert_eq!(names(&here).len(), NASTY.len(), "nothing else is left");
    }
}

#[tokio::test]
async fn fifty_megabytes() {
    let here = Here::new();
    let local = tempfile::tempdir().unwrap();
    let source = local.path().join("large");
    let bytes = content(50 << 20, 50);
    fs::write(&source, &bytes).unwrap();
    let destination = RemotePath::new("large").unwrap();
    let (copied, _) =
        copy(&here, CopyOptions::default(), async |c| c.upload(&source, &destination).await).await;
    assert_eq!(copied.unwrap(), one(50 << 20, 0));
    assert!(fs::read(here.home().join("large")).unwrap() == bytes);
}

#[tokio::test]
async fn a_copy_that_was_killed_goes_on() {
    for (shell, here) in Here::all() {
        let local = tempfile::tempdir().unwrap();
        let source = local.path().join("f");
        let bytes = content(3_000_000, 3);
        fs::write(&source, &bytes).unwrap();
        let destination = RemotePath::new("f").unwrap();
        let mut resumed = 0;
        for _ in 0..2 {
            here.cut_after.store(1_000_000, Ordering::Relaxed);
            let (copied, _) =
                copy(&here, CopyOptions::default(), async |c| c.upload(&source, &destination).await).await;
            assert!(matches!(copied, Err(CopyError::Session(_))), "{shell}: {copied:?}");
            let part = fs::metadata(here.home().join(".f.herder-part")).unwrap();
            assert!(part.len() > resumed && part.len() <= 2_000_000, "{shell}: {} bytes", part.len());
            assert_eq!(part.permissions().mode() & 0o777, 0o600);
            resumed = part.len();
            assert!(!here.home().join("f").exists());
        }
        let (copied, told) =
            copy(&here, CopyOptions::default(), async |c| c.upload(&source, &destination).await).await;
        assert_eq!(copied.unwrap(), one(3_000_000 - resumed, resumed), "{shell}");
        let begun = told.0.lock().unwrap().first().cloned();
        assert!(matches!(begun, Some(Progress::File { offset, .. }) if offset == resumed), "{begun:?}");
        assert!(fs::read(here.home().join("f")).unwrap() == bytes);
        assert_eq!(names(&here), ["f"]);
    }
}

/// The source was replaced in between, or the part is somebody else's: nothing of it may get into the file.
#[tokio::test]
async fn a_part_of_something_else_is_begun_anew() {
    for (shell, here) in Here::all() {
        let local = tempfile::tempdir().unwrap();
        let source = local.path().join("f");
        let bytes = content(300_000, 1);
        fs::write(&source, &bytes).unwrap();
        for part in [content(100_000, 2), content(300_000, 3), content(400_000, 4)] {
            fs::write(here.home().join(".f.herder-part"), part).unwrap();
            let destination = RemotePath::new("f").unwrap();
            let (copied, _) =
                copy(&here, CopyOptions::default(), async |c| c.upload(&source, &destination).await).await;
            assert_eq!(copied.unwrap(), one(300_000, 0), "{shell}");
            assert!(fs::read(here.home().join("f")).unwrap() == bytes);
        }
        fs::write(here.home().join(".f.herder-part"), &bytes[..100_000]).unwrap();
        let options = CopyOptions { resume: false, ..CopyOptions::default() };
        let destination = RemotePath::new("f").unwrap();
        let (copied, _) = copy(&here, options, async |c| c.upload(&source, &destination).await).await;
        assert_eq!(copied.unwrap(), one(300_000, 0), "{shell}: it was asked not to go on");
    }
}

#[tokio::test]
async fn a_complete_part_needs_only_its_place() {
    let here = Here::new();
    let local = tempfile::tempdir().unwrap();
    let source = local.path().join("f");
    fs::write(&source, b"all of it").unwrap();
    fs::write(here.home().join(".f.herder-part"), b"all of it").unwrap();
    let destination = RemotePath::new("f").unwrap();
    let (copied, _) =
        copy(&here, CopyOptions::default(), async |c| c.upload(&source, &destination).await).await;
    assert_eq!(copied.unwrap(), one(0, 9));
    assert_eq!(fs::read(here.home().join("f")).unwrap(), b"all of it");
}

#[tokio::test]
async fn permissions_and_times_are_as_asked() {
    for (shell, here) in Here::all() {
        let local = tempfile::tempdir().unwrap();
        let source = local.path().join("f");
        fs::write(&source, b"x").unwrap();
        fs::set_permissions(&source, fs::Permissions::from_mode(0o4777)).unwrap();
        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(1_234_567_890_125);
        fs::File::options().write(true).open(&source).unwrap().set_modified(time).unwrap();
        let upload = async |name: &str, preserve| {
            let options = CopyOptions { preserve, ..CopyOptions::default() };
            let destination = RemotePath::new(name).unwrap();
            let (copied, told) = copy(&here, options, async |c| c.upload(&source, &destination).await).await;
            copied.unwrap();
            assert_eq!(told.noted(), if preserve { 1 } else { 0 }, "{shell}: of the setuid bit");
            let metadata = fs::metadata(here.home().join(name)).unwrap();
            (metadata.mode() & 0o7777, metadata.mtime(), metadata.mtime_nsec())
        };
        let (mode, time, _) = upload("new", false).await;
        assert!(mode == 0o755 && time > 1_600_000_000, "{shell}: {mode:o} {time}, with umask 022");
        // Busybox's touch knows whole seconds.
        let nanos = if shell == "busybox" { 0 } else { 125_000_000 };
        assert_eq!(upload("exact", true).await, (0o777, 1_234_567_890, nanos), "{shell}");
        fs::write(here.home().join("there"), b"").unwrap();
        fs::set_permissions(here.home().join("there"), fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(upload("there", false).await.0, 0o640, "{shell}: a file that is there keeps its own");
    }
}

#[tokio::test]
async fn directories_and_links_are_written_to_as_one_expects() {
    for (shell, here) in Here::all() {
        let local = tempfile::tempdir().unwrap();
        let source = local.path().join("f");
        fs::write(&source, b"new").unwrap();
        let upload = async |destination: &RemotePath| {
            copy(&here, CopyOptions::default(), async |c| c.upload(&source, destination).await).await.0
        };
        fs::create_dir(here.home().join("dir")).unwrap();
        for text in ["dir", "dir/", "~/dir", "./dir/."] {
            upload(&RemotePath::new(text).unwrap()).await.unwrap();
            assert_eq!(fs::read(here.home().join("dir/f")).unwrap(), b"new", "{shell} {text}");
            fs::remove_file(here.home().join("dir/f")).unwrap();
        }
        upload(&RemotePath::new("").unwrap()).await.unwrap();
        assert_eq!(fs::read(here.home().join("f")).unwrap(), b"new");

        fs::write(here.home().join("real file"), b"old").unwrap();
        symlink("real file", here.home().join("link")).unwrap();
        upload(&remote(&here.home().join("link"))).await.unwrap();
        assert!(here.home().join("link").is_symlink());
        assert_eq!(fs::read(here.home().join("real file")).unwrap(), b"new", "{shell}");

        fs::create_dir(here.home().join("dir/f")).unwrap();
        let error = upload(&RemotePath::new("dir").unwrap()).await.unwrap_err();
        assert!(matches!(error, CopyError::Node { reason: Reason::IsDirectory, .. }), "{shell}: {error}");
        let error = upload(&RemotePath::new("/dev/full").unwrap()).await.unwrap_err();
        assert!(matches!(error, CopyError::Node { reason: Reason::Special, .. }), "{shell}: {error}");
    }
}

/// A link with the part's name would have the copy write where it points.
#[tokio::test]
async fn a_part_that_is_a_link_is_not_followed() {
    for (shell, here) in Here::all() {
        let local = tempfile::tempdir().unwrap();
        let source = local.path().join("f");
        fs::write(&source, b"new").unwrap();
        fs::write(here.home().join("victim"), b"old").unwrap();
        symlink("victim", here.home().join(".f.herder-part")).unwrap();
        let destination = RemotePath::new("f").unwrap();
        let (copied, _) =
            copy(&here, CopyOptions::default(), async |c| c.upload(&source, &destination).await).await;
        copied.unwrap();
        assert_eq!(fs::read(here.home().join("victim")).unwrap(), b"old", "{shell}");
        assert_eq!(fs::read(here.home().join("f")).unwrap(), b"new", "{shell}");
    }
}

#[tokio::test]
async fn the_longest_names_have_room_for_a_part() {
    for (shell, here) in Here::all() {
        let local = tempfile::tempdir().unwrap();
        for length in [200, 201, 255] {
            let name = "n".repeat(length);
            let source = local.path().join(&name);
            fs::write(&source, b"x").unwrap();
            let destination = RemotePath::new(&name).unwrap();
            let (copied, _) =
                copy(&here, CopyOptions::default(), async |c| c.upload(&source, &destination).await).await;
            copied.unwrap_or_else(|error| panic!("{shell} {length}: {error}"));
            assert_eq!(fs::read(here.home().join(&name)).unwrap(), b"x");
        }
        let destination = RemotePath::new("n".repeat(256)).unwrap();
        let source = local.path().join("n".repeat(255));
        let (copied, _) =
            copy(&here, CopyOptions::default(), async |c| c.upload(&source, &destination).await).await;
        let error = copied.unwrap_err();
        assert!(matches!(error, CopyError::Node { reason: Reason::NameTooLong, .. }), "{shell}: {error}");
    }
}

#[tokio::test]
async fn a_stream_of_unknown_length_arrives() {
    for (shell, here) in Here::all() {
        for (length, encoding) in [
            (0, Encoding::Raw),
            (1 << 20, Encoding::Raw),
            (2_500_000, Encoding::Raw),
            (1, Encoding::Base64),
            (1_100_000, Encoding::Base64),
        ] {
            {
                let bytes = content(length, 9);
                let options = CopyOptions { encoding, ..CopyOptions::default() };
                let destination = RemotePath::new("s").unwrap();
                let (copied, _) =
                    copy(&here, options, async |c| c.upload_stream(&bytes[..], &destination).await).await;
                assert_eq!(copied.unwrap(), one(length as u64, 0), "{shell}");
                assert!(fs::read(here.home().join("s")).unwrap() == bytes, "{shell} {length} {encoding}");
            }
        }
        assert_eq!(fs::metadata(here.home().join("s")).unwrap().mode() & 0o777, 0o644);
    }
}

/// Pipes say that they have no bytes, and so do files of the kernel.
#[tokio::test]
async fn what_does_not_say_its_size_arrives_whole() {
    for (shell, here) in Here::all() {
        let local = tempfile::tempdir().unwrap();
        let pipe = local.path().join("pipe");
        make_pipe(&pipe);
        let bytes = content(2_500_000, 9);
        for encoding in [Encoding::Raw, Encoding::Base64] {
            fs::write(here.home().join("f"), b"old").unwrap();
            let writing = tokio::task::spawn_blocking({
                let (pipe, bytes) = (pipe.clone(), bytes.clone());
                move || fs::write(pipe, bytes).unwrap()
            });
            let options = CopyOptions { encoding, ..CopyOptions::default() };
            let destination = RemotePath::new("f").unwrap();
            let (copied, told) = copy(&here, options, async |c| c.upload(&pipe, &destination).await).await;
            assert_eq!(copied.unwrap(), one(2_500_000, 0), "{shell} {encoding}");
            assert_eq!(told.bytes(), 2_500_000);
            writing.await.unwrap();
            assert!(fs::read(here.home().join("f")).unwrap() == bytes, "{shell} {encoding}");
        }
        // In a directory it has its own name.
        let destination = RemotePath::new("./").unwrap();
        let source = std::path::Path::new("/proc/version");
        let (copied, _) =
            copy(&here, CopyOptions::default(), async |c| c.upload(source, &destination).await).await;
        let version = fs::read(source).unwrap();
        assert_eq!(copied.unwrap(), one(version.len() as u64, 0), "{shell}");
        assert_eq!(fs::read(here.home().join("version")).unwrap(), version, "{shell}");
    }
}

/// Whoever has made a part, or has another name for it, could read along and change what is checked already.
#[tokio::test]
async fn a_part_that_somebody_else_has_is_never_written_to() {
    for (shell, here) in Here::all() {
        let local = tempfile::tempdir().unwrap();
        let source = local.path().join("f");
        fs::write(&source, content(200_000, 1)).unwrap();
        let (part, victim) = (here.home().join(".f.herder-part"), here.home().join("victim"));
        let destination = RemotePath::new("f").unwrap();
        for sort in ["named twice", "owned", "pipe", "link"] {
            fs::write(&victim, content(100_000, 1)).unwrap();
            match sort {
                "named twice" => fs::hard_link(&victim, &part).unwrap(),
                "owned" if rustix::process::geteuid().is_root() => {
                    fs::copy(&victim, &part).unwrap();
                    std::os::unix::fs::chown(&part, Some(65_534), None).unwrap();
                }
                "owned" => {
                    eprintln!("SKIPPED: only root can give a file away");
                    continue;
                }
                "pipe" => make_pipe(&part),
                _ => symlink(&victim, &part).unwrap(),
            }
            let kept = (sort != "pipe").then(|| fs::File::open(&part).unwrap());
            let (copied, _) =
                copy(&here, CopyOptions::default(), async |c| c.upload(&source, &destination).await).await;
            assert_eq!(copied.unwrap(), one(200_000, 0), "{shell} {sort}: nothing of it is gone on with");
            assert!(fs::read(here.home().join("f")).unwrap() == content(200_000, 1), "{shell} {sort}");
            if let Some(kept) = kept {
                let ours = fs::metadata(here.home().join("f")).unwrap();
                assert_ne!(kept.metadata().unwrap().ino(), ours.ino(), "{shell} {sort}");
                assert_eq!(kept.metadata().unwrap().len(), 100_000, "{shell} {sort}");
            }
            assert_eq!(names(&here), ["f", "victim"], "{shell} {sort}");
            fs::remove_file(here.home().join("f")).unwrap();
        }
    }
}

/// In a directory such as `/tmp` nobody can remove what another has made.
#[tokio::test]
async fn a_part_that_can_t_be_removed_is_told() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can give a file away");
        return;
    }
    for (shell, here) in Here::all() {
        let here = here.run_by_nobody();
        fs::set_permissions(here.home(), fs::Permissions::from_mode(0o1777)).unwrap();
        let local = tempfile::tempdir().unwrap();
        let source = local.path().join("f");
        fs::write(&source, content(2_000, 1)).unwrap();
        let part = here.home().join(".f.herder-part");
        for is_pipe in [false, true] {
            match is_pipe {
                true => make_pipe(&part),
                false => fs::write(&part, b"mine").unwrap(),
            }
            fs::set_permissions(&part, fs::Permissions::from_mode(0o666)).unwrap();
            let destination = RemotePath::new("f").unwrap();
            let (result, _) =
                copy(&here, CopyOptions::default(), async |c| c.upload(&source, &destination).await).await;
            let said = result.unwrap_err().to_string();
            let expected =
                "the node could not write ./f: ./.f.herder-part is in the way, and can not be removed";
            assert_eq!(said, expected, "{shell} {is_pipe}");
            assert!(is_pipe || fs::read(&part).unwrap() == b"mine", "{shell}");
            fs::remove_file(&part).unwrap();
        }
    }
}

/// All bytes, and above all those that terminals do something with.
#[tokio::test]
async fn no_byte_means_anything_to_the_terminal() {
    for (shell, here) in Here::all() {
        let local = tempfile::tempdir().unwrap();
        let source = local.path().join("f");
        let mut bytes: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        bytes.extend([3, 4, 13, 10, 17, 19, 26, 28, 127, 0].repeat(500));
        bytes.extend([b'\n'; 5000]);
        fs::write(&source, &bytes).unwrap();
        let destination = RemotePath::new("f").unwrap();
        let (copied, _) =
            copy(&here, CopyOptions::default(), async |c| c.upload(&source, &destination).await).await;
        copied.unwrap();
        assert!(fs::read(here.home().join("f")).unwrap() == bytes, "{shell}");
    }
}

#[tokio::test]
async fn a_session_that_can_t_be_had_is_told() {
    struct Nowhere;
    impl Node for Nowhere {
        type Source = super::here::Screen;
        type Sink = super::here::Keyboard;
        type Exec = super::here::Exec;
        type Error = std::io::Error;
        async fn terminal(&self, _: String) -> Result<(Self::Source, Self::Sink), std::io::Error> {
            Err(std::io::Error::other("the target is not connected"))
        }
        async fn exec(&self, _: String) -> Result<Self::Exec, std::io::Error> {
            Err(std::io::Error::other("the target is not connected"))
        }
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let copier = crate::copy::Copier::new(&Nowhere, [0; 16], CopyOptions::default(), &|_| {});
    let path = RemotePath::new("x").unwrap();
    let errors = [
        copier.upload(file.path(), &path).await.unwrap_err(),
        copier.download(&path, file.path()).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.to_string(), "could not begin a session");
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the target is not connected");
    }
}
