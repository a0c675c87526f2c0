//! `cargo xtask dist`: what a release is made of, below cargo's target directory in `dist/`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::process::{cache, cargo, check, isolate, output, root, target};

/// The version of cargo-deb that packages are made with.
const CARGO_DEB: &str = "3.7.0";
/// Bytes that the stripped executable is to have at most.
const LARGEST: u64 = 40_000_000;
const DOCUMENTS: [&str; 6] =
    ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE-APACHE", "LICENSE-MIT"];
/// Whole directories, and where the archive has them: what the README points to stands where it says.
const DIRECTORIES: [(&str, &str); 6] = [
    ("man", "share/man/man1"),
    ("completions", "share/completions"),
    ("benches", "benches"),
    ("docs", "docs"),
    ("docs/decisions", "docs/decisions"),
    ("sim/scenarios", "sim/scenarios"),
];

/// What `dist` takes.
#[derive(clap::Args)]
pub(crate) struct DistArgs {
    /// Target triple, such as x86_64-unknown-linux-musl; its standard library has to be installed (`rustup target add`)
    #[arg(long)]
    target: Option<String>,

    /// Leave the Debian package out
    #[arg(long)]
    no_deb: bool,
}

/// Builds, packs, unpacks into an empty directory and runs what is there.
pub(crate) fn run(args: &DistArgs) -> Outcome {
    let triple = match &args.target {
        Some(triple) => triple.clone(),
        None => host()?,
    };
    let git = |arguments: &[&str]| -> Outcome<String> {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(root());
        Ok(String::from_utf8_lossy(&output(command, "git")?).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short", "HEAD"])?;
    let dirty =
        if git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty() { "" } else { "-dirty" };
    let day = git(&["log", "-1", "--format=%cs"])?;
    let seconds = git(&["log", "-1", "--format=%ct"])?;
    let executable = compile(&triple, &format!("{commit}{dirty}"), &day)?;
    let size = fs::metadata(&executable).map_err(|error| error.to_string())?.len();
    println!("{}: {:.1} MB", executable.display(), size as f64 / 1e6);
    if size > LARGEST {
        println!("MISSED: the executable has {size} bytes, and is to have {LARGEST} at most");
    }
    let version = version()?;
    let dist = target().join("dist");
    let name = format!("herder-{version}-{triple}");
    let staged = dist.join(&name);
    let _ = fs::remove_dir_all(&staged);
    stage(&executable, &staged)?;
    let mut made = vec![archive(&dist, &name, &seconds)?];
    if !args.no_deb {
        made.push(package(&dist, args.target.as_deref())?);
    }
    for path in &made {
        println!("{}", path.display());
    }
    sums(&dist, &made)?;
    for path in &made {
        try_out(path, &dist, &version)?;
    }
    println!("unpacked into empty directories and run from there");
    Ok(())
}

fn host() -> Outcome<String> {
    let mut rustc = Command::new("rustc");
    rustc.arg("-vV");
    let said = String::from_utf8_lossy(&output(rustc, "rustc -vV")?).into_owned();
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc -vV names no host".to_owned())
}

fn version() -> Outcome<String> {
    let metadata =
        output(cargo(&["metadata", "--no-deps", "--format-version=1", "--locked"]), "cargo metadata")?;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata).map_err(|error| error.to_string())?;
    let packages = metadata["packages"].as_array();
    let herder = packages.into_iter().flatten().find(|package| package["name"] == "herder");
    let version = herder.and_then(|package| package["version"].as_str());
    version.map(str::to_owned).ok_or_else(|| "cargo metadata knows no herder".to_owned())
}

/// The executable for that target, which names the commit.
fn compile(triple: &str, commit: &str, day: &str) -> Outcome<PathBuf> {
    let is_host = host()? == *triple;
    let mut arguments = vec!["build", "--release", "--locked", "--package", "herder"];
    if !is_host {
        arguments.extend(["--target", triple]);
    }
    let mut build = cargo(&arguments);
    build.env("HERDER_BUILD_COMMIT", commit).env("HERDER_BUILD_DAY", day);
    check(build, "cargo build")?;
    let directory = if is_host { target() } else { target().join(triple) };
    Ok(directory.join("release").join("herder"))
}

/// Lays out what the archive has: the executable, manual pages, completions, documents.
fn stage(executable: &Path, staged: &Path) -> Outcome {
    let copy = |from: &Path, to: &Path| -> Outcome {
        let failed = |error: std::io::Error| format!("could not copy {}: {error}", from.display());
        to.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
        fs::copy(from, to).map(drop).map_err(failed)
    };
    copy(executable, &staged.join("bin").join("herder"))?;
    for document in DOCUMENTS {
        copy(&root().join(document), &staged.join(document))?;
    }
    for (from, to) in DIRECTORIES {
        let entries = fs::read_dir(root().join(from)).map_err(|error| format!("{from}: {error}"))?;
        for entry in entries {
            let entry = entry.map_err(|error| format!("{from}: {error}"))?;
            if entry.path().is_dir() {
                continue;
            }
            copy(&entry.path(), &staged.join(to).join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// A gzipped tar that is the same for the same commit.
fn archive(dist: &Path, name: &str, seconds: &str) -> Outcome<PathBuf> {
    let path = dist.join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"]);
    tar.arg(format!("--mtime=@{seconds}")).args(["--use-compress-program", "gzip -9n", "--create", "--file"]);
    tar.arg(&path).arg("--directory").arg(dist).arg(name);
    check(tar, "tar")?;
    Ok(path)
}

/// The Debian package, of the executable that is there already.
fn package(dist: &Path, triple: Option<&str>) -> Outcome<PathBuf> {
    let tools = cache()?.join(format!("cargo-deb-{CARGO_DEB}"));
    let program = tools.join("bin").join("cargo-deb");
    if !program.is_file() {
        println!("installing cargo-deb {CARGO_DEB} (once)");
        let mut install = cargo(&["install", "--quiet", "--locked", "--version", CARGO_DEB, "--root"]);
        install.arg(&tools).arg("cargo-deb").env_remove("CARGO_TARGET_DIR");
        check(install, "cargo install cargo-deb")?;
    }
    let mut deb = Command::new(&program);
    deb.arg("deb").args([
        "--no-build",
        "--no-strip",
        "--quiet",
        "--locked",
        "--package",
        "herder",
        "--output",
    ]);
    deb.arg(dist).current_dir(root()).env("CARGO_TARGET_DIR", target());
    if let Some(triple) = triple {
        deb.args(["--target", triple]);
    }
    let before = debs(dist)?;
    check(deb, "cargo deb")?;
    let after = debs(dist)?;
    let made = after.iter().find(|(path, at)| before.get(*path) != Some(*at));
    made.map(|(path, _)| path.clone()).ok_or_else(|| "cargo deb made no package".to_owned())
}

fn debs(dist: &Path) -> Outcome<BTreeMap<PathBuf, std::time::SystemTime>> {
    let failed = |error: std::io::Error| format!("{}: {error}", dist.display());
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dist).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.path().extension().is_some_and(|extension| extension == "deb") {
            found.insert(entry.path(), entry.metadata().and_then(|m| m.modified()).map_err(failed)?);
        }
    }
    Ok(found)
}

/// `SHA256SUMS`, as `sha256sum --check` reads it.
fn sums(dist: &Path, made: &[PathBuf]) -> Outcome {
    let mut sum = Command::new("sha256sum");
    sum.args(made.iter().filter_map(|path| path.file_name())).current_dir(dist);
    let sums = output(sum, "sha256sum")?;
    fs::write(dist.join("SHA256SUMS"), sums).map_err(|error| format!("SHA256SUMS: {error}"))
}

/// Unpacks it into an empty directory, and runs the main job from there.
fn try_out(path: &Path, dist: &Path, version: &str) -> Outcome {
    let empty = dist.join("unpacked");
    let _ = fs::remove_dir_all(&empty);
    fs::create_dir_all(&empty).map_err(|error| error.to_string())?;
    let is_deb = path.extension().is_some_and(|extension| extension == "deb");
    let mut unpack = Command::new(if is_deb { "dpkg-deb" } else { "tar" });
    if is_deb {
        unpack.arg("--extract").arg(path).arg(&empty);
    } else {
        unpack.args(["--strip-components=1", "--extract", "--file"]).arg(path).arg("--directory").arg(&empty);
    }
    check(unpack, if is_deb { "dpkg-deb" } else { "tar" })?;
    let prefix = if is_deb { empty.join("usr") } else { empty.clone() };
    let herder = prefix.join("bin").join("herder");
    let run = |arguments: &[&str]| -> Outcome<String> {
        let mut command = Command::new(&herder);
        isolate(&mut command).args(arguments).env("HOME", &empty).current_dir(&empty);
        Ok(String::from_utf8_lossy(&output(command, &herder.display().to_string())?).into_owned())
    };
    let said = run(&["--version"])?;
    if !said.starts_with(&format!("herder {version} (")) {
        return Err(format!("{}: --version says {said}", path.display()));
    }
    let ran = run(&["--sim=50", "exec", "-t", "all", "--yes", "-o", "quiet", "--", "whoami"])?;
    drop(ran);
    let manual = if is_deb { "share/man/man1/herder-exec.1.gz" } else { "share/man/man1/herder-exec.1" };
    let completions =
        if is_deb { "share/bash-completion/completions/herder" } else { "share/completions/herder.bash" };
    let documents = if is_deb { "share/doc/herder/" } else { "" };
    let scenario = format!("{documents}sim/scenarios/shop.toml");
    for needed in [manual, completions, &scenario] {
        if !prefix.join(needed).is_file() {
            return Err(format!("{} has no {needed}", path.display()));
        }
    }
    print!("{said}");
    let _ = fs::remove_dir_all(&empty);
    Ok(())
}
