//! The manual pages, read by mandoc: whatever it complains of, a reader's terminal may show.

use std::path::PathBuf;
use std::process::Command;

use crate::Outcome;
use crate::process::root;

/// Lints every page; gives how many there are. Without mandoc nothing is checked, and that is said.
pub(crate) fn run() -> Outcome<u64> {
    let directory = root().join("man");
    let entries = std::fs::read_dir(&directory).map_err(|error| format!("man/ can't be read: {error}"))?;
    let mut pages: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    pages.sort();
    if pages.is_empty() {
        return Err("man/ holds no pages (run `cargo xtask gen`)".to_owned());
    }
    let Ok(output) = Command::new("mandoc").args(["-T", "lint"]).args(&pages).current_dir(root()).output()
    else {
        println!("    SKIPPED: there is no mandoc here: the manual pages were not checked");
        return Ok(0);
    };
    // Warnings are on stdout; what it can't do at all is on stderr.
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let complaints: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    match complaints.len() {
        0 => Ok(pages.len() as u64),
        n => Err(format!("mandoc complains {n} times:\n{}", complaints[..n.min(30)].join("\n"))),
    }
}
