//! What of this machine a command needs: herder itself, its files, the terminal.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use herder_core::journal::{Replay, RunsDirectory};

use super::Finding;
use crate::ctx::Ctx;
use crate::io::Io;
use crate::settings::Settings;

/// Below this much room a large run's outputs may not fit.
const LITTLE: u64 = 500 << 20;
/// Below this not even the journal of a small one does.
const NONE: u64 = 10 << 20;
/// Runs whose journals are read for leftovers.
const LOOKED_AT: usize = 200;
/// Ids that are named.
const NAMED: usize = 3;

pub(super) fn examine(ctx: &Ctx, io: &Io) -> Vec<Finding> {
    let settings = &ctx.settings;
    let path = ctx.environment.get("PATH").unwrap_or_default();
    let program = std::env::current_exe().ok();
    let mut findings = vec![version(), configuration(settings)];
    findings.extend(state(&settings.state_dir.value, &ctx.runs()));
    findings.push(cache(settings.cache_dir.as_deref()));
    findings.push(terminal(io));
    findings.push(plugin(path, program.as_deref()));
    findings
}

fn version() -> Finding {
    let (system, machine) = (std::env::consts::OS, std::env::consts::ARCH);
    let sim = if cfg!(feature = "sim") { "with" } else { "without" };
    Finding::ok(
        "version",
        format!("herder {} for {system} on {machine}, {sim} the simulator", env!("CARGO_PKG_VERSION")),
    )
}

fn configuration(settings: &Settings) -> Finding {
    let file = &settings.file;
    if let Some(failure) = &file.failure {
        return Finding::of_failure("configuration", failure);
    }
    let message = match &file.path {
        None => "there is no place for a file: neither XDG_CONFIG_HOME nor HOME is set".to_owned(),
        Some(path) if file.exists => {
            let (aliases, defaults) = (file.aliases.len(), file.defaults.len());
            format!("{}: {aliases} aliases, {defaults} defaults", path.display())
        }
        Some(path) => format!("there is no {}; `herder config init` writes one", path.display()),
    };
    Finding::ok("configuration", message)
}

fn state(directory: &Path, runs: &RunsDirectory) -> Vec<Finding> {
    const CHECK: &str = "state directory";
    let shown = directory.display();
    if let Err(error) = runs.check_writable() {
        return vec![Finding::of_failure(CHECK, &error.into())];
    }
    let mut findings = Vec::new();
    let readable = open_to_others(directory, &["key", "runs"]);
    let open = readable.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ");
    findings.extend((!readable.is_empty()).then(|| {
        let message = format!("{open} can be read by others, and journals are in there");
        Finding::warn(CHECK, message, format!("Run `chmod -R go= {open}`."))
    }));
    match room(directory) {
        Some(bytes) if bytes < NONE => findings.push(Finding::fail(
            CHECK,
            format!("{shown} has {} left", megabytes(bytes)),
            "Free some space, or choose another directory with --state-dir.",
        )),
        Some(bytes) if bytes < LITTLE => findings.push(Finding::warn(
            CHECK,
            format!("{shown} has {} left: outputs of a large run may not fit", megabytes(bytes)),
            "Free some space, forget runs with `herder runs prune`, or choose another directory with --state-dir.",
        )),
        room => findings.push(Finding::ok(
            CHECK,
            format!("{shown} is writable{}", room.map_or(String::new(), |bytes| format!(", {} left", megabytes(bytes)))),
        )),
    }
    findings.extend(leftovers(runs));
    findings
}

/// Those of a directory and what is in it that the group or others may look into.
fn open_to_others(directory: &Path, names: &[&str]) -> Vec<PathBuf> {
    let paths = names.iter().map(|name| directory.join(name));
    let is_open =
        |path: &PathBuf| fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0);
    // What can't be entered is closed, whatever is in it.
    let is_closed = fs::metadata(directory).is_ok_and(|found| found.permissions().mode() & 0o077 == 0);
    if is_closed { Vec::new() } else { paths.filter(is_open).collect() }
}

fn room(directory: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(directory).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

fn megabytes(bytes: u64) -> String {
    match bytes >> 20 {
        few @ 0..1024 => format!("{few} MiB"),
        many => format!("{:.1} GiB", many as f64 / 1024.0),
    }
}

/// Runs that a process left behind, and that can be gone on with.
fn leftovers(runs: &RunsDirectory) -> Option<Finding> {
    let list = match runs.list() {
        Ok(list) => list,
        Err(error) => return Some(Finding::of_failure("runs", &error.into())),
    };
    let is_left = |run: &&herder_core::run_id::RunId| {
        let Ok(directory) = runs.open(run) else { return false };
        // A simulator in a process went with it.
        let is_gone = |record: herder_core::journal::RunRecord| {
            record.identity.endpoint.is_some_and(|endpoint| endpoint.starts_with("sim:"))
        };
        !directory.is_driven()
            && directory.record().is_ok_and(|record| !is_gone(record))
            && Replay::read(&directory).is_ok_and(|replay| !replay.is_finished)
    };
    let left: Vec<String> = list.iter().take(LOOKED_AT).filter(is_left).map(ToString::to_string).collect();
    let first = left.first()?;
    let more = left.len().saturating_sub(NAMED);
    let named = left.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let what = if left.len() == 1 { "a run was left behind" } else { "runs were left behind" };
    Some(Finding::warn(
        "runs",
        format!("{what} by a process that is gone: {named}{more}"),
        format!("Go on with `herder runs resume {first}`, or look at it with `herder runs show {first}`."),
    ))
}

fn cache(directory: Option<&Path>) -> Finding {
    const CHECK: &str = "cache directory";
    let Some(directory) = directory else {
        let hint = "Set XDG_CACHE_HOME or HOME.";
        return Finding::warn(CHECK, "there is none: learned rates are forgotten", hint);
    };
    let shown = directory.display();
    // As what is learned is written: whether a directory can be made is known when it is made.
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    let is_writable = made.is_ok() && rustix::fs::access(directory, rustix::fs::Access::WRITE_OK).is_ok();
    match is_writable {
        true => Finding::ok(CHECK, format!("{shown} is writable")),
        false => Finding::warn(
            CHECK,
            format!("{shown} can't be written: learned rates are forgotten"),
            "Make it writable, or set XDG_CACHE_HOME to another.",
        ),
    }
}

fn terminal(io: &Io) -> Finding {
    const CHECK: &str = "terminal";
    let style = io.stdout_style();
    if !style.is_tty {
        return Finding::ok(CHECK, "standard output is none: lists are tab-separated, without colour");
    }
    let columns = io.width().columns();
    let colour = if style.colour { "colour" } else { "no colour" };
    if !style.unicode {
        let hint = "Set LANG to a locale with UTF-8, such as C.UTF-8.";
        return Finding::warn(CHECK, format!("{columns} columns, {colour}, only ASCII"), hint);
    }
    Finding::ok(CHECK, format!("{columns} columns, {colour}, UTF-8"))
}

/// The program that the aws CLI starts for sessions.
fn plugin(path: &str, herder: Option<&Path>) -> Finding {
    const CHECK: &str = "session-manager-plugin";
    const LINK: &str = "ln -sf \"$(command -v herder)\"";
    let found = std::env::split_paths(path)
        .map(|directory| directory.join(CHECK))
        .find(|file| fs::symlink_metadata(file).is_ok());
    let Some(file) = found else {
        return Finding::ok(
            CHECK,
            "not on the PATH; `herder session` needs none (`herder help session plugin`)",
        );
    };
    let shown = file.display();
    match (fs::canonicalize(&file), herder.map(fs::canonicalize)) {
        (Err(_), _) => Finding::warn(
            CHECK,
            format!("{shown} leads nowhere"),
            format!("Link it again: `{LINK} {shown}`."),
        ),
        (Ok(found), Some(Ok(herder))) if is_same(&found, &herder) => {
            Finding::ok(CHECK, format!("{shown} is this herder"))
        }
        (Ok(_), _) => Finding::ok(CHECK, format!("{shown} is another program")),
    }
}

/// Whether both are one file: by name, or as hard links.
fn is_same(a: &Path, b: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    a == b || (identity(a).is_some() && identity(a) == identity(b))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::Status;
    use super::*;

    #[test]
    fn the_plugin_is_herder_another_program_a_dead_link_or_none() {
        let dir = tempfile::tempdir().unwrap();
        let herder = dir.path().join("herder");
        std::fs::write(&herder, "").unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["linked", "other", "dead", "none"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        symlink(&herder, at("linked").join("session-manager-plugin")).unwrap();
        std::fs::write(at("other").join("session-manager-plugin"), "").unwrap();
        symlink(at("gone"), at("dead").join("session-manager-plugin")).unwrap();
        for (name, status, says) in [
            ("linked", Status::Ok, "is this herder"),
            ("other", Status::Ok, "is another program"),
            ("dead", Status::Warn, "leads nowhere"),
            ("none", Status::Ok, "needs none"),
        ] {
            let finding = plugin(at(name).to_str().unwrap(), Some(&herder));
            assert_eq!(finding.status, status, "{name}");
            assert!(finding.message.contains(says), "{finding:?}");
        }
    }

    #[test]
    fn a_state_directory_that_others_can_read_is_noted() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let runs = RunsDirectory::below(&state);
        let findings = super::state(&state, &runs);
        assert_eq!(findings.iter().map(|f| f.status).max(), Some(Status::Ok), "{findings:?}");
        let allow = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        allow(&state, 0o755);
        allow(&state.join("runs"), 0o755);
        let findings = super::state(&state, &runs);
        let warning = findings.iter().find(|f| f.status == Status::Warn).unwrap();
        assert!(warning.message.contains("/runs can be read by others"), "{warning:?}");
        allow(&state, 0o700);
        let findings = super::state(&state, &runs);
        assert!(findings.iter().all(|f| f.status == Status::Ok), "nobody gets to it: {findings:?}");
    }

    #[test]
    fn a_cache_may_not_exist_yet() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(cache(Some(&dir.path().join("a/b"))).status, Status::Ok);
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert_eq!(cache(Some(&dir.path().join("file/b"))).status, Status::Warn);
        assert_eq!(cache(None).status, Status::Warn);
    }
}
