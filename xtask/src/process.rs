//! Running programs, and where things are.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;

/// The repository: the one that `cargo xtask` was called in, since clones may share a target directory.
pub(crate) fn root() -> PathBuf {
    let called = env::var_os("CARGO_MANIFEST_DIR");
    let package = called.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map_or(package.clone(), Path::to_path_buf)
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => root().join(directory),
        None => root().join("target"),
    }
}

/// Where tasks keep what they install, outside the tree.
pub(crate) fn cache() -> Outcome<PathBuf> {
    let named = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let base = named.or_else(home).ok_or("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(base.join("herder-dev"))
}

/// Cargo, in the repository.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    // `cargo run` tells its child about this package; a cargo inside must not take it over.
    for (name, _) in env::vars_os() {
        let of_cargo =
            name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR");
        if of_cargo {
            command.env_remove(name);
        }
    }
    command
}

/// Builds herder and says where it is.
pub(crate) fn build(profile: &str) -> Outcome<PathBuf> {
    // Cargo unifies features over what is selected: with the selection of the tests the SDK is not built a second time.
    let selected: &[&str] =
        if profile == "dev" { &["--workspace", "--all-targets"] } else { &["--package", "herder"] };
    let arguments = [&["build", "--quiet", "--locked", "--profile", profile], selected].concat();
    check(cargo(&arguments), "cargo build")?;
    let directory = if profile == "dev" { "debug" } else { profile };
    Ok(target().join(directory).join("herder"))
}

/// Runs it to its end with the task's own streams.
pub(crate) fn check(mut command: Command, name: &str) -> Outcome {
    let status = command.status().map_err(|error| format!("{name} can't be started: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{name} failed ({status})")) }
}

/// Runs it and takes what it printed; its complaints are shown if it fails.
pub(crate) fn output(mut command: Command, name: &str) -> Outcome<Vec<u8>> {
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("{name} can't be started: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("{name} failed ({}): {complaint}", output.status))
}

/// Takes away everything by which a shell's settings reach herder or the aws CLI.
pub(crate) fn isolate(command: &mut Command) -> &mut Command {
    let is_setting = |name: &str| {
        ["AWS_", "HERDER_", "XDG_", "LC_"].iter().any(|prefix| name.starts_with(prefix))
            || ["LANG", "NO_COLOR", "CLICOLOR_FORCE", "COLUMNS", "TERM", "HTTPS_PROXY", "https_proxy", "TZ"]
                .contains(&name)
    };
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_setting) {
            command.env_remove(name);
        }
    }
    command
}
