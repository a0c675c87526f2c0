//! The environment of third parties' programs: the aws CLI, boto3, and what else judges the simulator and herder.
//!
//! `conformance/requirements.txt` names every package exactly. The environment is made once, outside the tree; afterwards
//! nothing needs a network.

use std::collections::hash_map::DefaultHasher;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::process::{cache, check, root};

/// Pythons that are looked for, by what they are called; the first that works is taken. `pyssm-client` needs 3.12.
const PYTHONS: [&str; 3] = ["python3.13", "python3.12", "python3"];
/// True in a Python that can make an environment and is new enough for the judges.
const PROBE: &str = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))";

/// The Python of the environment, which is made where it is not there. There is none without a python3 or, the first time,
/// without a network; that is said in a line that can't be overlooked, and is an error where `CI` is set.
pub(crate) fn python() -> Outcome<Option<PathBuf>> {
    let why = match made() {
        Ok(python) => return Ok(Some(python)),
        Err(why) => why,
    };
    if env::var_os("CI").is_some() {
        return Err(why);
    }
    println!("!!! SKIPPED, nobody judges the simulator: {why} !!!");
    Ok(None)
}

fn made() -> Outcome<PathBuf> {
    let list = root().join("xtask/src/conformance/requirements.txt");
    let wanted = fs::read(&list).map_err(|error| format!("could not read {}: {error}", list.display()))?;
    let base = base()?;
    let mut hasher = DefaultHasher::new();
    (&wanted, &base).hash(&mut hasher);
    let directory = cache()?.join(format!("judges-{:016x}", hasher.finish()));
    let (python, complete) = (directory.join("bin/python"), directory.join("complete"));
    if complete.exists() {
        return Ok(python);
    }
    println!("    installing the judges into {}", directory.display());
    // What an interrupted attempt left can't be trusted.
    let _ = fs::remove_dir_all(&directory);
    let mut venv = Command::new(base);
    venv.args(["-m", "venv"]).arg(&directory);
    check(venv, "python3 -m venv")?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&list);
    check(pip, "pip install of the judges (leave them out with --quick)")?;
    fs::write(&complete, "").map_err(|error| format!("could not write {}: {error}", complete.display()))?;
    Ok(python)
}

/// A Python to make the environment with.
fn base() -> Outcome<OsString> {
    let named = PYTHONS.iter().map(OsString::from);
    let (newest, any): (Vec<OsString>, Vec<OsString>) = named.partition(|name| name != "python3");
    let candidates = newest.into_iter().chain(of_pyenv()).chain(any);
    let works = |python: &OsString| {
        let mut probe = Command::new(python);
        probe.args(["-c", PROBE]).stdout(Stdio::null()).stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    };
    let mut working = candidates.into_iter().filter(works);
    working.next().ok_or_else(|| "there is no python3 that can make an environment".to_owned())
}

/// The Pythons that pyenv has installed and may hide behind another version.
fn of_pyenv() -> Vec<OsString> {
    let Some(home) = env::var_os("HOME") else { return Vec::new() };
    let versions = fs::read_dir(Path::new(&home).join(".pyenv/versions"));
    let is_wanted = |name: &str| name.starts_with("3.12.") || name.starts_with("3.13.");
    let mut found: Vec<PathBuf> = versions
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(is_wanted))
        .map(|entry| entry.path().join("bin/python3"))
        .collect();
    found.sort();
    found.into_iter().rev().map(PathBuf::into_os_string).collect()
}

/// True where a module is installed: some need a newer Python than others.
pub(crate) fn has(python: &Path, module: &str) -> bool {
    let mut probe = Command::new(python);
    probe.args(["-c", &format!("import {module}")]).stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}
