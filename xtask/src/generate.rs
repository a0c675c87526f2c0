//! `cargo xtask gen`: what is made from the code: man pages, completions, the reference.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::process::{build, isolate, output, root, target};

const SHELLS: [&str; 5] = ["bash", "zsh", "fish", "elvish", "powershell"];

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Writes what differs; with `check`, only says so and fails.
pub(crate) fn run(check: bool) -> Outcome {
    let herder = build("dev")?;
    let wanted = make(&herder)?;
    let mut differing = Vec::new();
    for (path, content) in &wanted {
        if fs::read(root().join(path)).ok().as_ref() != Some(content) {
            differing.push(difference(path, content));
        }
    }
    let stale: Vec<PathBuf> = present()?.into_iter().filter(|path| !wanted.contains_key(path)).collect();
    differing
        .extend(stale.iter().map(|path| format!("{}: no command has this page any more", path.display())));
    if check {
        return match differing.is_empty() {
            true => Ok(()),
            false => Err(format!(
                "{} generated files differ from the code; run `cargo xtask gen` and commit:\n  {}",
                differing.len(),
                differing.join("\n  ")
            )),
        };
    }
    for (path, content) in &wanted {
        let path = root().join(path);
        let write = || {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(&path, content)
        };
        write().map_err(|error| format!("could not write {}: {error}", path.display()))?;
    }
    for path in &stale {
        fs::remove_file(root().join(path))
            .map_err(|error| format!("could not remove {}: {error}", path.display()))?;
    }
    println!("{} files, {} changed", wanted.len(), differing.len());
    Ok(())
}

/// Path and content of every generated file.
fn make(herder: &Path) -> Outcome<Files> {
    let mut files = Files::new();
    let ask = |arguments: &[&str]| {
        let mut command = Command::new(herder);
        isolate(&mut command).args(arguments);
        output(command, &format!("herder {}", arguments.join(" ")))
    };
    for shell in SHELLS {
        let name = match shell {
            "bash" => "herder.bash",
            "zsh" => "_herder",
            "fish" => "herder.fish",
            "elvish" => "herder.elv",
            _ => "_herder.ps1",
        };
        files.insert(Path::new("completions").join(name), ask(&["completions", shell])?);
    }
    files.insert(PathBuf::from("docs/reference.md"), ask(&["man", "--reference"])?);
    let pages = target().join("xtask").join("man");
    // A page of a command that is gone would stay.
    let _ = fs::remove_dir_all(&pages);
    ask(&["man", "--all", &pages.to_string_lossy()])?;
    for name in names(&pages)? {
        let content =
            fs::read(pages.join(&name)).map_err(|error| format!("could not read {name}: {error}"))?;
        files.insert(Path::new("man").join(name), content);
    }
    Ok(files)
}

/// Every file in the generated directories.
fn present() -> Outcome<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for directory in ["man", "completions"] {
        if root().join(directory).exists() {
            paths.extend(
                names(&root().join(directory))?.into_iter().map(|name| Path::new(directory).join(name)),
            );
        }
    }
    Ok(paths)
}

fn names(directory: &Path) -> Outcome<Vec<String>> {
    let failed = |error: std::io::Error| format!("could not read {}: {error}", directory.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Where a file begins to differ.
fn difference(path: &Path, wanted: &[u8]) -> String {
    let Ok(found) = fs::read(root().join(path)) else { return format!("{}: missing", path.display()) };
    let (found, wanted) = (String::from_utf8_lossy(&found), String::from_utf8_lossy(wanted));
    let (mut is, mut should) = (found.lines(), wanted.lines());
    for line in 1.. {
        match (is.next(), should.next()) {
            (Some(a), Some(b)) if a == b => {}
            (None, None) => break,
            (a, b) => {
                let (a, b) = (a.unwrap_or("(end)"), b.unwrap_or("(end)"));
                let (a, b) = differing(a, b);
                return format!("{} line {line}: is `{a}`, should be `{b}`", path.display());
            }
        }
    }
    format!("{}: line ends differ", path.display())
}

/// Long lines from a little before where they begin to differ.
fn differing(a: &str, b: &str) -> (String, String) {
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let cut = |text: &str| {
        let (from, dots) = if same > 30 { (same - 20, "…") } else { (0, "") };
        let shown: String = text.chars().skip(from).take(70).collect();
        let more = if text.chars().count() > from + 70 { "…" } else { "" };
        format!("{dots}{shown}{more}")
    };
    (cut(a), cut(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_shown_where_they_differ() {
        let (a, b) =
            (format!("{}old", "x".repeat(200)), format!("{}new{}", "x".repeat(200), "y".repeat(200)));
        let (a, b) = differing(&a, &b);
        assert_eq!(a, format!("…{}old", "x".repeat(20)));
        assert_eq!(b, format!("…{}new{}…", "x".repeat(20), "y".repeat(47)));
        assert_eq!(differing("a", "b"), ("a".to_owned(), "b".to_owned()));
    }
}
