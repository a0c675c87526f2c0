//! A simulator in a process of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::Outcome;
use crate::process::isolate;

/// `herder sim serve`, stopped when dropped.
pub(crate) struct Simulator {
    child: Child,
    /// What it says to export, in order.
    pub(crate) variables: Vec<(String, String)>,
}

impl Simulator {
    /// Starts it and waits until it listens.
    pub(crate) fn start(herder: &Path, spec: &str) -> Outcome<Simulator> {
        let mut command = Command::new(herder);
        isolate(&mut command).args(["sim", "serve", spec]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child =
            command.spawn().map_err(|error| format!("herder sim serve can't be started: {error}"))?;
        let stdout = child.stdout.take();
        let mut simulator = Simulator { child, variables: Vec::new() };
        for line in stdout.map(BufReader::new).into_iter().flat_map(BufReader::lines) {
            let line = line.map_err(|error| error.to_string())?;
            let Some((name, value)) = line.strip_prefix("export ").and_then(|rest| rest.split_once('='))
            else {
                continue;
            };
            simulator.variables.push((name.to_owned(), value.to_owned()));
            if name == "HERDER_SIM_PID" {
                return Ok(simulator);
            }
        }
        Err(format!("`herder sim serve {spec}` ended at once; run it to see why"))
    }

    /// Where it listens.
    pub(crate) fn endpoint(&self) -> &str {
        let found = self.variables.iter().find(|(name, _)| name == "AWS_ENDPOINT_URL");
        found.map_or("", |(_, value)| value)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
