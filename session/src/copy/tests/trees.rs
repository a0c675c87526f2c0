use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use super::here::Here;
use super::{NASTY, content, copy, make_pipe};
use crate::copy::{CopyError, CopyOptions, Encoding, Reason, RemotePath};

/// A directory with everything in it that makes trouble, and how many files that is.
fn make_tree(root: &Path) -> u64 {
    let mut files = 0;
    fs::create_dir_all(root.join("a/b c/-d")).unwrap();
    fs::create_dir(root.join("empty")).unwrap();
    for (n, name) in NASTY.iter().enumerate() {
        let directory = root.join(["", "a", "a/b c", "a/b c/-d"][n % 4]);
        fs::write(directory.join(OsStr::from_bytes(name)), content(n * 700, n as u64)).unwrap();
        files += 1;
    }
    let odd = root.join(OsStr::from_bytes(b"dir\n'with' \xff"));
    fs::create_dir(&odd).unwrap();
    for n in 0..20 {
        fs::write(odd.join(format!("{n}")), content(n * 10, n as u64)).unwrap();
        files += 1;
    }
    fs::write(root.join("large"), content(700_000, 7)).unwrap();
    symlink("large", root.join("link to a file")).unwrap();
    files + 2
}

/// What is in a directory: nothing for directories, the content for files.
fn tree(root: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut to_do = vec![root.to_owned()];
    while let Some(directory) = to_do.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_owned();
            if path.is_dir() {
                found.insert(name, None);
                to_do.push(path);
            } else {
                found.insert(name, Some(fs::read(path).unwrap()));
            }
        }
    }
    found
}

#[tokio::test]
async fn a_tree_goes_there_and_comes_back() {
    for (shell, here) in Here::all() {
        let local = tempfile::tempdir().unwrap();
        let root = local.path().join("tree");
        let files = make_tree(&root);
        let expected = tree(&root);
        for encoding in [Encoding::Raw, Encoding::Base64] {
            let options = CopyOptions { encoding, ..CopyOptions::default() };
            let there = RemotePath::new(format!("there {encoding}")).unwrap();
            let (copied, told) = copy(&here, options, async |c| c.upload_tree(&root, &there).await).await;
            let copied = copied.unwrap();
            assert_eq!((copied.files, copied.skipped), (files, 0), "{shell}");
            assert_eq!(told.bytes(), copied.bytes);
            let arrived = tree(&here.home().join(format!("there {encoding}")));
            assert!(arrived == expected, "{shell} {encoding}: {:?}", arrived.keys());
        }
        let there = RemotePath::new("there raw").unwrap();
        let back = local.path().join("back");
        let (copied, _) =
            copy(&here, CopyOptions::default(), async |c| c.download_tree(&there, &back).await).await;
        let copied = copied.unwrap();
        assert_eq!((copied.files, copied.skipped), (files, 0), "{shell}");
        assert!(tree(&back) == expected, "{shell}: {:?}", tree(&back).keys());
    }
}

#[tokio::test]
async fn a_tree_goes_into_a_directory_that_is_there() {
    let here = Here::new();
    let local = tempfile::tempdir().unwrap();
    let root = local.path().join("tree");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("f"), b"x").unwrap();
    fs::create_dir(here.home().join("dir")).unwrap();
    let there = RemotePath::new("dir").unwrap();
    copy(&here, CopyOptions::default(), async |c| c.upload_tree(&root, &there).await).await.0.unwrap();
    assert_eq!(fs::read(here.home().join("dir/tree/f")).unwrap(), b"x");

    let destination = local.path().to_owned();
    let (copied, _) =
        copy(&here, CopyOptions::default(), async |c| c.download_tree(&there, &destination).await).await;
    copied.unwrap();
    assert_eq!(fs::read(local.path().join("dir/tree/f")).unwrap(), b"x");

    fs::write(here.home().join("file"), b"x").unwrap();
    let file = RemotePath::new("file").unwrap();
    let (result, _) = copy(&here, CopyOptions::default(), async |c| c.upload_tree(&root, &file).await).await;
    assert!(matches!(result, Err(CopyError::Node { reason: Reason::NotADirectory, .. })), "{result:?}");
}

#[tokio::test]
async fn what_can_t_be_copied_is_skipped_and_told() {
    for (shell, here) in Here::all() {
        let here = here.run_by_nobody();
        let root = here.home().join("tree");
        fs::create_dir_all(root.join("dir")).unwrap();
        fs::write(root.join("good"), b"x").unwrap();
        fs::write(root.join("secret"), b"x").unwrap();
        fs::set_permissions(root.join("secret"), fs::Permissions::from_mode(0o000)).unwrap();
        symlink("dir", root.join("link to a directory")).unwrap();
        symlink("nowhere", root.join("link to nowhere")).unwrap();
        make_pipe(&root.join("pipe"));
        // Neither may be looked into: the names in the second can be read, and nothing more.
        for (name, mode) in [("closed", 0o000), ("names only", 0o444)] {
            fs::create_dir(root.join(name)).unwrap();
            fs::write(root.join(name).join("f"), b"x").unwrap();
            fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        let local = tempfile::tempdir().unwrap();
        let destination = local.path().join("mine");
        let source = RemotePath::new("tree").unwrap();
        let (copied, told) =
            copy(&here, CopyOptions::default(), async |c| c.download_tree(&source, &destination).await).await;
        let copied = copied.unwrap();
        let mut names: Vec<String> =
            told.skipped().iter().map(|(name, _)| name.rsplit('/').next().unwrap().to_owned()).collect();
        names.sort();
        names.retain(|name| name != "f");
        let reason =
            |name: &str| told.skipped().into_iter().find(|(path, _)| path.ends_with(name)).unwrap().1;
        assert!(reason("link to a directory").ends_with(": it is a link to a directory"), "{shell}");
        let skipped = ["closed", "link to a directory", "link to nowhere", "names only", "pipe", "secret"];
        assert_eq!(names, skipped, "{shell}");
        assert_eq!(copied.files, 1, "{shell}");
        assert!(copied.skipped >= 6, "{shell}: {:?}", told.skipped());
        assert!(tree(&destination).keys().all(|path| path.file_name().is_none_or(|name| name != "f")));
        let closed = RemotePath::new("tree/closed").unwrap();
        let (result, _) =
            copy(&here, CopyOptions::default(), async |c| c.download_tree(&closed, &destination).await).await;
        let error = result.unwrap_err();
        assert!(
            matches!(&error, CopyError::Node { action: "list", reason: Reason::Denied, .. }),
            "{shell}: {error}"
        );
        for name in ["closed", "names only"] {
            fs::set_permissions(root.join(name), fs::Permissions::from_mode(0o700)).unwrap();
        }

        let there = RemotePath::new("/nowhere").unwrap();
        let (result, _) =
            copy(&here, CopyOptions::default(), async |c| c.upload_tree(&root.join("dir"), &there).await)
                .await;
        if !rustix::process::geteuid().is_root() || shell == "dash" {
            let Err(CopyError::Node { action: "create", reason, .. }) = result else { panic!("{result:?}") };
            assert_eq!(reason, Reason::Denied, "{shell}");
        }
    }
}

#[tokio::test]
async fn a_local_tree_skips_what_is_neither() {
    let here = Here::new();
    let local = tempfile::tempdir().unwrap();
    let root = local.path().join("tree");
    fs::create_dir_all(root.join("dir")).unwrap();
    fs::write(root.join("good"), b"x").unwrap();
    symlink("dir", root.join("link to a directory")).unwrap();
    symlink("nowhere", root.join("link to nowhere")).unwrap();
    make_pipe(&root.join("pipe"));
    symlink("/proc/version", root.join("a file that says it is empty")).unwrap();
    let there = RemotePath::new("there").unwrap();
    let (copied, told) =
        copy(&here, CopyOptions::default(), async |c| c.upload_tree(&root, &there).await).await;
    let copied = copied.unwrap();
    assert_eq!((copied.files, copied.skipped), (2, 3), "{:?}", told.skipped());
    let link = told.skipped().into_iter().find(|(path, _)| path.ends_with("link to a directory")).unwrap();
    assert_eq!(link.1, "it is a link to a directory");
    let version = fs::read("/proc/version").unwrap();
    assert_eq!(fs::read(here.home().join("there/a file that says it is empty")).unwrap(), version);
}

#[tokio::test]
async fn directories_keep_their_permissions_if_asked() {
    for (shell, here) in Here::all() {
        let local = tempfile::tempdir().unwrap();
        let root = local.path().join("tree");
        fs::create_dir_all(root.join("private")).unwrap();
        fs::write(root.join("private/f"), b"x").unwrap();
        fs::set_permissions(root.join("private"), fs::Permissions::from_mode(0o700)).unwrap();
        let there = RemotePath::new("there").unwrap();
        let options = CopyOptions { preserve: true, ..CopyOptions::default() };
        copy(&here, options.clone(), async |c| c.upload_tree(&root, &there).await).await.0.unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&here.home().join("there/private")), 0o700, "{shell}");
        // Unwritable for their owner, too: they are filled before that is set.
        fs::set_permissions(here.home().join("there/private"), fs::Permissions::from_mode(0o555)).unwrap();
        let back = local.path().join("back");
        copy(&here, options, async |c| c.download_tree(&there, &back).await).await.0.unwrap();
        assert_eq!(mode(&back.join("private")), 0o555, "{shell}");
        assert_eq!(fs::read(back.join("private/f")).unwrap(), b"x");
    }
}

#[tokio::test]
async fn directories_that_are_here_keep_their_permissions() {
    let here = Here::new();
    for name in ["tree/there", "tree/new"] {
        fs::create_dir_all(here.home().join(name)).unwrap();
        fs::set_permissions(here.home().join(name), fs::Permissions::from_mode(0o775)).unwrap();
        fs::write(here.home().join(name).join("f"), b"x").unwrap();
    }
    let local = tempfile::tempdir().unwrap();
    let (root, there) = (local.path().join("mine"), local.path().join("mine/there"));
    fs::create_dir_all(&there).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    let source = RemotePath::new("tree/.").unwrap();
    for preserve in [false, true] {
        fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(&there, fs::Permissions::from_mode(0o700)).unwrap();
        let options = CopyOptions { preserve, ..CopyOptions::default() };
        copy(&here, options, async |c| c.download_tree(&source, &root).await).await.0.unwrap();
        assert!(root.join("there/f").exists());
        let expected = if preserve { [0o755, 0o775, 0o775] } else { [0o700, 0o700, 0o755] };
        assert_eq!([mode(&root), mode(&there), mode(&root.join("new"))], expected, "-p: {preserve}");
    }
    // And what is no file here is not replaced by one.
    fs::remove_file(there.join("f")).unwrap();
    make_pipe(&there.join("f"));
    let (copied, told) =
        copy(&here, CopyOptions::default(), async |c| c.download_tree(&source, &root).await).await;
    let copied = copied.unwrap();
    assert_eq!((copied.files, copied.skipped), (1, 1), "{:?}", told.skipped());
    assert!(!fs::metadata(there.join("f")).unwrap().is_file());
}

#[tokio::test]
async fn a_tree_that_broke_off_goes_on_with_the_file_it_was_at() {
    for (shell, here) in Here::all() {
        let root = here.home().join("tree");
        fs::create_dir_all(root.join("dir")).unwrap();
        for (n, name) in ["first", "second", "dir/third"].iter().enumerate() {
            fs::write(root.join(name), content(1_000_000, n as u64)).unwrap();
        }
        let local = tempfile::tempdir().unwrap();
        let (source, destination) = (RemotePath::new("tree").unwrap(), local.path().join("mine"));
        let download = async |resume| {
            let options = CopyOptions { resume, ..CopyOptions::default() };
            copy(&here, options, async |c| c.download_tree(&source, &destination).await).await
        };
        // The first session is that of the list: the second is cut.
        let before = here.sessions.load(Ordering::Relaxed);
        let cut = async {
            while here.sessions.load(Ordering::Relaxed) == before {
                tokio::task::yield_now().await;
            }
            here.cut_after.store(700_000, Ordering::Relaxed);
        };
        let (broken, ()) = tokio::join!(download(true), cut);
        assert!(matches!(broken.0, Err(CopyError::Session(_))), "{shell}: {:?}", broken.0);
        let (copied, told) = download(true).await;
        let copied = copied.unwrap();
        assert_eq!((copied.files, copied.skipped), (3, 0), "{shell}: {:?}", told.skipped());
        assert!(copied.resumed > 300_000, "{shell}: {copied:?}");
        assert_eq!(copied.bytes + copied.resumed, 3_000_000, "{shell}");
        assert!(tree(&destination) == tree(&root), "{shell}: it is where it was, and nothing else");
        assert_eq!(download(true).await.0.unwrap().files, 3);
        assert!(tree(&destination.join("tree")) == tree(&root), "{shell}: it was complete");
    }
}

#[tokio::test]
async fn a_tree_that_broke_off_on_its_way_there_goes_on_where_it_was() {
    for (shell, here) in Here::all() {
        let local = tempfile::tempdir().unwrap();
        let (root, other) = (local.path().join("tree"), local.path().join("other"));
        for (n, name) in ["tree/a", "tree/b", "tree/dir/c", "other/d"].iter().enumerate() {
            fs::create_dir_all(local.path().join(name).parent().unwrap()).unwrap();
            fs::write(local.path().join(name), content(1_000_000, n as u64)).unwrap();
        }
        let there = RemotePath::new("there").unwrap();
        let upload = async |root: &Path| {
            copy(&here, CopyOptions::default(), async |c| c.upload_tree(root, &there).await).await.0
        };
        here.cut_after.store(1_700_000, Ordering::Relaxed);
        let broken = upload(&root).await;
        assert!(matches!(broken, Err(CopyError::Session(_))), "{shell}: {broken:?}");
        // Of another source it is a directory as any other.
        upload(&other).await.unwrap();
        assert!(tree(&here.home().join("there/other")) == tree(&other), "{shell}");
        fs::remove_dir_all(here.home().join("there/other")).unwrap();
        let copied = upload(&root).await.unwrap();
        assert!(copied.resumed > 300_000, "{shell}: {copied:?}");
        assert!(tree(&here.home().join("there")) == tree(&root), "{shell}: it is where it was");
        upload(&root).await.unwrap();
        assert!(tree(&here.home().join("there/tree")) == tree(&root), "{shell}: it was complete");
    }
}

/// What is in the way of small files that follow each other without waiting is told, and not that the session ended.
#[tokio::test]
async fn a_disk_that_is_full_half_way_through_a_tree_is_told() {
    for (shell, here) in Here::all() {
        let count = here.home().join("count");
        here.replace(
            "head",
            &format!(
                "case $2 in ?????*) echo >>'{0}'; [ \"$(wc -l <'{0}')\" -lt 20 ] || {{ echo 'head: write error: No space left on device' >&2; exit 1; }};; esac; exec {1} \"$@\"",
                count.display(),
                if shell == "busybox" { "/usr/bin/busybox head" } else { "/usr/bin/head" },
            ),
        );
        let local = tempfile::tempdir().unwrap();
        let root = local.path().join("tree");
        fs::create_dir(&root).unwrap();
        for n in 0..40 {
            fs::write(root.join(format!("{n:02}")), content(20_000, n)).unwrap();
        }
        let there = RemotePath::new("there").unwrap();
        let (result, _) =
            copy(&here, CopyOptions::default(), async |c| c.upload_tree(&root, &there).await).await;
        let error = result.unwrap_err();
        assert!(
            matches!(&error, CopyError::Node { action: "write", reason: Reason::NoSpace, .. }),
            "{shell}: {error}"
        );
        let arrived = tree(&here.home().join("there"));
        assert!(arrived.len() >= 19, "{shell}: {} files", arrived.len());
    }
}

/// Names in a script are limited: many files take several sessions, and not one each.
#[tokio::test]
async fn many_files_take_few_sessions() {
    let here = Here::new();
    let root = here.home().join("tree");
    fs::create_dir(&root).unwrap();
    for n in 0..250 {
        fs::write(root.join(format!("{n} {}", "a long name ".repeat(8))), content(n, n as u64)).unwrap();
    }
    let local = tempfile::tempdir().unwrap();
    let (source, destination) = (RemotePath::new("tree").unwrap(), local.path().join("mine"));
    let (copied, _) =
        copy(&here, CopyOptions::default(), async |c| c.download_tree(&source, &destination).await).await;
    assert_eq!(copied.unwrap().files, 250);
    assert!(tree(&root) == tree(&destination));
    let sessions = here.sessions.swap(0, Ordering::Relaxed);
    assert!((3..=8).contains(&sessions), "{sessions} sessions");
    let there = RemotePath::new("there").unwrap();
    copy(&here, CopyOptions::default(), async |c| c.upload_tree(&destination, &there).await).await.0.unwrap();
    assert!(tree(&here.home().join("there")) == tree(&root));
    assert_eq!(here.sessions.load(Ordering::Relaxed), 1);
}
