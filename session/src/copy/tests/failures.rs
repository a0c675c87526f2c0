use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::here::Here;
use super::{content, copy};
use crate::copy::{Copied, CopyError, CopyOptions, Encoding, Reason, RemotePath};

async fn upload(here: &Here, length: usize, destination: &str) -> Result<Copied, CopyError> {
    let local = tempfile::tempdir().unwrap();
    let source = local.path().join("f");
    fs::write(&source, content(length, 1)).unwrap();
    let destination = RemotePath::new(destination).unwrap();
    copy(here, CopyOptions::default(), async |c| c.upload(&source, &destination).await).await.0
}

async fn download(here: &Here, source: &str, destination: &Path) -> Result<Copied, CopyError> {
    let source = RemotePath::new(source).unwrap();
    copy(here, CopyOptions::default(), async |c| c.download(&source, destination).await).await.0
}

fn reason(result: Result<Copied, CopyError>) -> Reason {
    match result {
        Err(CopyError::Node { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_not_there_or_no_file_is_told() {
    for (shell, here) in Here::all() {
        let local = tempfile::tempdir().unwrap();
        fs::create_dir(here.home().join("dir")).unwrap();
        for (path, expected) in [
            ("missing", Reason::NotFound),
            ("dir/missing", Reason::NotFound),
            ("dir", Reason::IsDirectory),
            ("/dev/null", Reason::Special),
        ] {
            assert_eq!(reason(download(&here, path, local.path()).await), expected, "{shell} {path}");
        }
        assert_eq!(reason(upload(&here, 1, "missing/f").await), Reason::NotFound, "{shell}");
        assert_eq!(reason(upload(&here, 1, "missing/").await), Reason::NotFound, "{shell}");
        fs::write(here.home().join("file"), b"").unwrap();
        // Debian's shell says of both that the directory is not there.
        let below_a_file = reason(upload(&here, 1, "file/f").await);
        assert!(matches!(below_a_file, Reason::NotADirectory | Reason::NotFound), "{shell}: {below_a_file}");
        assert_eq!(fs::read_dir(local.path()).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn what_the_user_may_not_is_told() {
    for (shell, here) in Here::all() {
        let here = here.run_by_nobody();
        let local = tempfile::tempdir().unwrap();
        let secret = here.home().join("secret");
        fs::write(&secret, b"x").unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(here.home(), fs::Permissions::from_mode(0o555)).unwrap();
        assert_eq!(reason(download(&here, "secret", local.path()).await), Reason::Denied, "{shell}");
        let result = upload(&here, 1_000_000, "new").await;
        let text = result.as_ref().unwrap_err().to_string();
        assert_eq!(
            text,
            "the node could not write ./new: permission denied for the user that the session runs as"
        );
        assert_eq!(reason(result), Reason::Denied, "{shell}");
        fs::set_permissions(here.home(), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// A limit on the size of files stops a write half-way, as a full disk does.
#[tokio::test]
async fn a_write_that_fails_in_the_middle_is_told() {
    for (shell, here) in Here::all() {
        if shell == "busybox" {
            // Its tools are the shell: the limit ends them before they can say anything.
            continue;
        }
        here.replace("head", "trap '' XFSZ; ulimit -f 200; exec /usr/bin/head \"$@\"");
        let result = upload(&here, 3_000_000, "f").await;
        assert_eq!(reason(result), Reason::TooLarge, "{shell}");
        assert!(!here.home().join("f").exists());
        assert!(
            fs::metadata(here.home().join(".f.herder-part")).unwrap().len() > 0,
            "it can be gone on with"
        );
    }
}

#[tokio::test]
async fn a_full_disk_is_told() {
    for (shell, here) in Here::all() {
        here.replace(
            "head",
            "case $2 in ??*) echo some; echo 'head: write error: No space left on device' >&2; exit 1;; esac; exec /usr/bin/head \"$@\"",
        );
        for length in [10_000, 3_000_000] {
            let error = upload(&here, length, "f").await.unwrap_err();
            assert_eq!(
                error.to_string(),
                "the node could not write ./f: no space left on its file system",
                "{shell}"
            );
            let left = fs::read_dir(here.home()).unwrap().count();
            assert_eq!(left, 0, "{shell}: what is there would only take the room");
        }
    }
}

#[tokio::test]
async fn a_missing_tool_is_named() {
    let tools =
        ["sh", "base64", "cat", "chmod", "dd", "find", "head", "mv", "rm", "stat", "stty", "tail", "wc"];
    let here = Here::with_only(&tools);
    fs::write(here.home().join("f"), b"x").unwrap();
    let local = tempfile::tempdir().unwrap();
    for result in [upload(&here, 10, "f").await, download(&here, "f", local.path()).await] {
        assert_eq!(result.unwrap_err().to_string(), "the node has no sha256sum, and a copy needs it");
    }
    let here = Here::with_only(&tools[..12]);
    let error = upload(&here, 10, "f").await.unwrap_err();
    assert!(matches!(&error, CopyError::Tool(tool) if tool == "sha256sum" || tool == "wc"), "{error}");
}

#[tokio::test]
async fn damage_is_found_and_removed() {
    for (shell, here) in Here::all() {
        fs::write(here.home().join("f"), b"content").unwrap();
        here.replace("base64", "cat >/dev/null; echo ZGFtYWdlZA==");
        let local = tempfile::tempdir().unwrap();
        let result = download(&here, "f", &local.path().join("f")).await;
        // Bytes are missing or too many, or they are others.
        assert!(
            matches!(result, Err(CopyError::Changed(_) | CopyError::Differs { .. })),
            "{shell}: {result:?}"
        );
        assert!(!local.path().join("f").exists());

        here.replace("sha256sum", "cat >/dev/null; echo 0123456789  -");
        let result = upload(&here, 1000, "g").await;
        let Err(CopyError::Differs { found, expected, .. }) = result else { panic!("{shell}: {result:?}") };
        assert_eq!((found.as_str(), expected.len()), ("0123456789", 64));
        assert!(!here.home().join("g").exists() && !here.home().join(".g.herder-part").exists());
    }
}

#[tokio::test]
async fn a_damaged_download_of_the_right_size_is_found() {
    let here = Here::new();
    fs::write(here.home().join("f"), b"content").unwrap();
    here.replace("base64", "cat >/dev/null; printf dAmAgEd | /usr/bin/base64");
    let local = tempfile::tempdir().unwrap();
    let result = download(&here, "f", &local.path().join("f")).await;
    assert!(matches!(result, Err(CopyError::Differs { .. })), "{result:?}");
    assert_eq!(fs::read_dir(local.path()).unwrap().count(), 0, "nothing is left to be gone on with");
}

#[tokio::test]
async fn a_source_that_shrinks_is_told() {
    let here = Here::new();
    let file = here.home().join("f");
    fs::write(&file, content(100_000, 1)).unwrap();
    here.replace("stat", &format!("/usr/bin/stat \"$@\"; : >'{}'", file.display()));
    let local = tempfile::tempdir().unwrap();
    let result = download(&here, "f", &local.path().join("f")).await;
    assert_eq!(result.unwrap_err().to_string(), "./f changed while it was copied");
}

#[tokio::test]
async fn a_node_that_prints_something_else_is_told() {
    let here = Here::new();
    fs::write(here.home().join("f"), b"content").unwrap();
    here.replace("base64", "cat >/dev/null; echo 'base64: \u{1b}[31mfatal'");
    let local = tempfile::tempdir().unwrap();
    let error = download(&here, "f", &local.path().join("f")).await.unwrap_err();
    assert!(matches!(&error, CopyError::Garbled(said) if said == "base64: \\u{1b}[31mfatal\\n"), "{error}");
}

#[tokio::test]
async fn a_node_without_a_shell_is_told() {
    let here = Here::new();
    here.replace("sh", "echo 'This account is currently not available.'; exit 1");
    let error = upload(&here, 10, "f").await.unwrap_err();
    let CopyError::Session(ended) = &error else { panic!("{error:?}") };
    assert!(ended.reason.contains("the node said: This account is currently not available."), "{ended}");
    here.replace("sh", "echo 'nologin' >&2; exit 1");
    let local = tempfile::tempdir().unwrap();
    let error = download(&here, "f", local.path()).await.unwrap_err();
    let CopyError::Session(ended) = &error else { panic!("{error:?}") };
    assert_eq!(ended.reason, "the node's script ended too early with exit code 1 (it said: nologin)");
}

#[tokio::test]
async fn what_is_wrong_on_this_machine_is_told() {
    let here = Here::new();
    fs::write(here.home().join("f"), b"x").unwrap();
    let local = tempfile::tempdir().unwrap();
    let error = download(&here, "f", &local.path().join("missing/f")).await.unwrap_err();
    assert!(matches!(&error, CopyError::Local { action: "write", .. }), "{error}");
    let destination = RemotePath::new("g").unwrap();
    for source in [local.path().join("missing"), local.path().to_owned()] {
        let (result, _) =
            copy(&here, CopyOptions::default(), async |c| c.upload(&source, &destination).await).await;
        assert!(matches!(result, Err(CopyError::Local { .. })), "{result:?}");
    }
    assert!(!here.home().join("g").exists());
}

/// A read-only directory that is told at once, although megabytes follow.
#[tokio::test]
async fn base64_fails_as_clearly() {
    let here = Here::new();
    let local = tempfile::tempdir().unwrap();
    let source = local.path().join("f");
    fs::write(&source, content(2_000_000, 1)).unwrap();
    let destination = RemotePath::new("missing/f").unwrap();
    let options = CopyOptions { encoding: Encoding::Base64, ..CopyOptions::default() };
    let (result, _) = copy(&here, options, async |c| c.upload(&source, &destination).await).await;
    assert_eq!(reason(result), Reason::NotFound);
}
