//! Files and directories on this machine.

use std::path::Path;

use super::lines::Found;

/// What is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Anything.
    File,
    /// Directories only.
    Directory,
}

/// Entries are shown up to so many.
const MOST: usize = 1000;

/// What begins so. `~/` is where `home` says; hidden files are shown to those who type the dot.
pub(super) fn complete(home: Option<&str>, text: &str, kind: Kind) -> Vec<Found> {
    let (directory, begun) = match text.rfind('/') {
        Some(at) => text.split_at_checked(at + 1).unwrap_or((text, "")),
        None => ("", text),
    };
    let place = match (directory.strip_prefix("~/"), home) {
        (Some(below), Some(home)) => Path::new(home).join(below),
        _ if directory.is_empty() => Path::new(".").to_owned(),
        _ => Path::new(directory).to_owned(),
    };
    let entries = std::fs::read_dir(place).into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<Found> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let is_shown = name.starts_with(begun) && (begun.starts_with('.') || !name.starts_with('.'));
            if !is_shown || name.chars().any(char::is_control) {
                return None;
            }
            let is_directory = entry.path().is_dir();
            (is_directory || kind == Kind::File).then(|| Found {
                value: format!("{directory}{name}{}", if is_directory { "/" } else { "" }),
                about: String::new(),
                is_partial: is_directory,
            })
        })
        .take(MOST)
        .collect();
    found.sort_unstable();
    found
}
