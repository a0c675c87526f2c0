//! Gates: a local command that says whether the next wave may begin.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use herder_core::run_id::RunId;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

/// Longest piece of a gate's last words that is kept.
const LAST_WORDS: usize = 200;
/// So much of the end of what a gate writes is kept.
const KEPT: usize = 64 * 1024;
/// What a gate wrote before it ended is read for so long after it.
const DRAIN: Duration = Duration::from_millis(200);

/// Runs the command with `sh -c`, in that directory, for a run and the wave that is over. The executor bounds the time; a gate that is given up is killed, with everything it started.
pub(super) async fn ask(
    command: &str,
    directory: Option<&Path>,
    (run, wave): (&RunId, u32),
) -> Result<(), String> {
    if let Some(directory) = directory.filter(|directory| !directory.is_dir()) {
        return Err(format!("its directory `{}` is gone", directory.display()));
    }
    let mut child = Command::new("sh")
        .args(["-c", command])
        .current_dir(directory.unwrap_or(Path::new(".")))
        .env("HERDER_RUN", run.as_str())
        .env("HERDER_WAVE", wave.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("could not start: {error}"))?;
    let mut group = Group(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw));
    let (mut stdout, mut stderr) = (VecDeque::new(), VecDeque::new());
    let pipes = (child.stdout.take(), child.stderr.take());
    let ended = {
        let mut reading = std::pin::pin!(async {
            tokio::join!(follow(pipes.0, &mut stdout), follow(pipes.1, &mut stderr));
        });
        tokio::select! {
            ended = child.wait() => {
                // A child that it left behind may hold the pipes open for ever.
                let _ = tokio::time::timeout(DRAIN, &mut reading).await;
                ended
            }
            () = &mut reading => child.wait().await,
        }
    };
    group.0 = None;
    let status = ended.map_err(|error| format!("could not be waited for: {error}"))?;
    if status.success() {
        return Ok(());
    }
    let said = if stderr.is_empty() { stdout } else { stderr };
    let said = Vec::from(said);
    let said = String::from_utf8_lossy(&said);
    let last: String = said
        .lines()
        .rev()
        .find(|l| !l.trim().is_empty())
        .unwrap_or_default()
        .chars()
        .take(LAST_WORDS)
        .collect();
    let how = match status.code() {
        Some(code) => format!("it ended with {code}"),
        None => "it was killed".to_owned(),
    };
    Err(if last.is_empty() { how } else { format!("{how}: {last}") })
}

/// The gate and what it started: killed together when the question is given up.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Those that are gone already need no killing.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Keeps the end of what comes out of a pipe, read as it comes: a gate never waits for a full pipe.
async fn follow(pipe: Option<impl AsyncRead + Unpin>, kept: &mut VecDeque<u8>) {
    let Some(mut pipe) = pipe else { return };
    let mut buffer = vec![0_u8; 8 * 1024];
    while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
        kept.extend(buffer.iter().take(count));
        let excess = kept.len().saturating_sub(KEPT);
        kept.drain(..excess);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_it_says_and_knows() {
        let run: RunId = "20261121-093000-1f2e3d".parse().unwrap();
        assert_eq!(
            ask("test \"$HERDER_RUN/$HERDER_WAVE\" = 20261121-093000-1f2e3d/2", None, (&run, 2)).await,
            Ok(())
        );
        let no = ask("echo fine; echo 'too many errors' >&2; exit 3", None, (&run, 1)).await.unwrap_err();
        assert_eq!(no, "it ended with 3: too many errors");
        assert_eq!(ask("kill -9 $$", None, (&run, 1)).await.unwrap_err(), "it was killed");
    }

    #[tokio::test]
    async fn neither_much_output_nor_a_child_left_behind_holds_it_up() {
        let run: RunId = "20261121-093000-1f2e3d".parse().unwrap();
        let begun = tokio::time::Instant::now();
        assert_eq!(ask("sleep 20 & exit 0", None, (&run, 1)).await, Ok(()));
        let no = ask(
            "sleep 20 & head -c 3000000 /dev/zero | tr '\\0' x; echo; echo last; exit 1",
            None,
            (&run, 1),
        );
        assert_eq!(no.await.unwrap_err(), "it ended with 1: last");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn what_is_given_up_is_killed_with_all_it_started() {
        let run: RunId = "20261121-093000-1f2e3d".parse().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("alive");
        let command = format!("(sleep 1; touch '{}') & wait", file.display());
        let given_up = tokio::time::timeout(Duration::from_millis(200), ask(&command, None, (&run, 1))).await;
        assert!(given_up.is_err());
        tokio::time::sleep(Duration::from_millis(1300)).await;
        assert!(!file.exists(), "a child of the gate went on");
    }
}
