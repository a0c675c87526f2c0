//! What `--version` says.

/// The release.
pub(crate) const SHORT: &str = env!("CARGO_PKG_VERSION");

/// The release and how this executable was built: commit and day (where `cargo xtask dist` named them), target, profile, and whether the
/// simulator is in it. The first line is `herder VERSION (COMMIT DAY)`, the rest is `key: value`.
pub(crate) fn long() -> String {
    let built = match (option_env!("HERDER_BUILD_COMMIT"), option_env!("HERDER_BUILD_DAY")) {
        (Some(commit), Some(day)) => format!("{commit} {day}"),
        _ => "built from source".to_owned(),
    };
    let environment = if cfg!(target_env = "musl") {
        "-musl"
    } else if cfg!(target_env = "gnu") {
        "-gnu"
    } else {
        ""
    };
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let simulator = if cfg!(feature = "sim") { "yes" } else { "no" };
    format!(
        "{SHORT} ({built})\ntarget: {}-{}{environment}\nprofile: {profile}\nsimulator: {simulator}",
        std::env::consts::ARCH,
        std::env::consts::OS
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_release_and_the_rest_are_facts() {
        let long = long();
        let mut lines = long.lines();
        assert!(lines.next().is_some_and(|line| line.starts_with(&format!("{SHORT} ("))), "{long}");
        assert!(lines.all(|line| line.contains(": ")), "{long}");
    }
}
