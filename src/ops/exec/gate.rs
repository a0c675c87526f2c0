//! Gates: a local command that says whether the next wave may begin.

use std::process::Stdio;

use herder_core::run_id::RunId;
use tokio::process::Command;

/// Longest piece of a gate's last words that is kept.
const LAST_WORDS: usize = 200;

/// Runs the command with `sh -c`. The executor bounds the time; a gate that is given up is killed.
pub(super) async fn ask(command: &str, run: &RunId, wave: u32) -> Result<(), String> {
    let output = Command::new("sh")
        .args(["-c", command])
        .env("HERDER_RUN", run.as_str())
        .env("HERDER_WAVE", wave.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| format!("could not start: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
    let said = String::from_utf8_lossy(said);
    let last: String = said
        .lines()
        .rev()
        .find(|l| !l.trim().is_empty())
        .unwrap_or_default()
        .chars()
        .take(LAST_WORDS)
        .collect();
    let how = match output.status.code() {
        Some(code) => format!("it ended with {code}"),
        None => "it was killed".to_owned(),
    };
    Err(if last.is_empty() { how } else { format!("{how}: {last}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_it_says_and_knows() {
        let run: RunId = "20261121-093000-1f2e3d".parse().unwrap();
        assert_eq!(
            ask("test \"$HERDER_RUN/$HERDER_WAVE\" = 20261121-093000-1f2e3d/2", &run, 2).await,
            Ok(())
        );
        let no = ask("echo fine; echo 'too many errors' >&2; exit 3", &run, 1).await.unwrap_err();
        assert_eq!(no, "it ended with 3: too many errors");
        assert_eq!(ask("kill -9 $$", &run, 1).await.unwrap_err(), "it was killed");
    }
}
