//! Sessions of the aws CLI, with herder as its `session-manager-plugin`.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Session, shown};
use crate::Outcome;
use crate::process::cache;

/// Longer than anything takes.
const BOUND: Duration = Duration::from_secs(60);

impl Session {
    pub(super) fn sessions(&mut self, herder: &Path) -> Outcome {
        let path = plugin_path(herder)?;
        let [node, _] = self.two_nodes()?;
        let shell = self.attended(&path, &node, &[], b"echo $((40+2))\nexit\n")?;
        self.expect(shell.contains("42"), || format!("a shell: {shell:?}"))?;
        let command = r#"{"command":["sh -c 'echo out; exit 3'"],"separateOutputStream":["true"]}"#;
        let document = ["--document-name", "AWS-StartNonInteractiveCommand", "--parameters", command];
        let command = self.attended(&path, &node, &document, b"")?;
        self.expect(command == "out\n", || format!("a command: {command:?}"))?;
        let document = ["--document-name", "AWS-StartSSHSession", "--parameters", "portNumber=7"];
        let echo = self.attended(&path, &node, &document, b"\n\n\n")?;
        self.expect(echo == "\n\n\n", || format!("bytes through a port: {echo:?}"))?;
        self.forward(&path, &node)
    }

    fn start(&self, path: &OsString, node: &str, document: &[&str]) -> Command {
        let mut command = self.command(&[&["ssm", "start-session", "--target", node], document].concat());
        command.env("PATH", path).stdin(Stdio::piped()).stdout(Stdio::piped());
        command
    }

    /// Starts a session, gives it an input, and waits for its end.
    fn attended(&self, path: &OsString, node: &str, document: &[&str], input: &[u8]) -> Outcome<String> {
        let mut command = self.start(path, node, document);
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input).map_err(|error| format!("start-session takes no input: {error}"))?;
        }
        let output = child.wait_with_output().map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(format!("{}: {}", shown(&["ssm", "start-session"]), output.status)),
        }
    }

    fn forward(&mut self, path: &OsString, node: &str) -> Outcome {
        let parameters = "portNumber=7,localPortNumber=0";
        let document = ["--document-name", "AWS-StartPortForwardingSession", "--parameters", parameters];
        let mut child = self.start(path, node, &document).spawn().map_err(|error| error.to_string())?;
        let mut port = None;
        for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(BufReader::lines) {
            let line = line.map_err(|error| error.to_string())?;
            if let Some(rest) = line.strip_prefix("Port ") {
                port = rest.split(' ').next().and_then(|port| port.parse::<u16>().ok());
            }
            if line.starts_with("Waiting for connections") {
                break;
            }
        }
        let echoed = port.ok_or_else(|| "no port was opened".to_owned()).and_then(echo);
        let listed = self.call(&["ssm", "describe-sessions", "--state", "Active"])?;
        for session in listed["Sessions"].as_array().into_iter().flatten() {
            let id = session["SessionId"].as_str().unwrap_or_default();
            self.call(&["ssm", "terminate-session", "--session-id", id])?;
        }
        // A session that was ended ends its plugin.
        let status = child.wait().map_err(|error| error.to_string())?;
        let echoed = echoed?;
        self.expect(echoed == [b'\n'; 3000], || format!("{} bytes came back", echoed.len()))?;
        self.expect(status.success(), || format!("a forwarded port: {status}"))
    }
}

fn echo(port: u16) -> Outcome<Vec<u8>> {
    let said = |error: std::io::Error| format!("port {port}: {error}");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(said)?;
    stream.set_read_timeout(Some(BOUND)).map_err(said)?;
    stream.write_all(&[b'\n'; 3000]).map_err(said)?;
    let mut back = vec![0; 3000];
    stream.read_exact(&mut back).map_err(said)?;
    Ok(back)
}

/// A search path that begins with a folder where herder has the plugin's name.
fn plugin_path(herder: &Path) -> Outcome<OsString> {
    let folder = cache()?.join("plugin");
    let said = |error: std::io::Error| format!("{}: {error}", folder.display());
    std::fs::create_dir_all(&folder).map_err(said)?;
    let link = folder.join("session-manager-plugin");
    // Of another build, or of none.
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink(herder, &link).map_err(said)?;
    let mut path = folder.into_os_string();
    path.push(":/usr/local/bin:/usr/bin:/bin");
    Ok(path)
}
