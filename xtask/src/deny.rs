//! `cargo deny`: licences, bans and sources of the dependencies, and known vulnerabilities where their database can be had.

use std::process::{Command, Stdio};

use crate::Outcome;
use crate::process::{cargo, check};

/// What needs nothing but the lock file and the crates.
const OFFLINE: [&str; 3] = ["licenses", "bans", "sources"];

/// Checks the dependencies against `deny.toml`; gives how many checks were made. Without cargo-deny there are none, and a loud line.
pub(crate) fn run() -> Outcome<u64> {
    if !succeeds(cargo(&["deny", "--version"])) {
        println!(
            "!!! SKIPPED: cargo-deny is not installed (`cargo install --locked cargo-deny`); dependencies are NOT checked"
        );
        return Ok(0);
    }
    let quiet = ["deny", "--workspace", "--log-level", "error", "check", "--hide-inclusion-graph"];
    check(cargo(&[&quiet[..], &OFFLINE].concat()), "cargo deny check licenses bans sources")?;
    let mut checked = OFFLINE.len() as u64;
    if succeeds(cargo(&["deny", "fetch", "db"])) {
        check(cargo(&[&quiet[..], &["advisories"]].concat()), "cargo deny check advisories")?;
        checked += 1;
    } else {
        println!(
            "!!! SKIPPED: the database of advisories can't be reached; known vulnerabilities are NOT looked for"
        );
    }
    Ok(checked)
}

/// Whether it can be run and is content; what it says is left unsaid.
fn succeeds(mut command: Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
