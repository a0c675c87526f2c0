//! `herder sim`: the simulated AWS as a server of its own.

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;

/// Run the simulated AWS for several commands, the aws CLI, boto3 and others
#[derive(Args, Clone, Debug)]
pub(crate) struct SimArgs {
    #[command(subcommand)]
    verb: SimVerb,
}

#[derive(Clone, Debug, Subcommand)]
enum SimVerb {
    Serve(ServeArgs),
}

/// Serve a simulated AWS on this machine until stopped; prints the variables to use it with
///
/// It listens on the loopback address only. SPEC is as with --sim: a number of nodes, `@scenario.toml`, or `key=value,…`; see
/// `herder help sim`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder sim serve 200 --port 4566
  eval \"$(herder sim serve 200 --background)\"; herder exec -t web-1 -- uptime; kill $HERDER_SIM_PID
  herder sim serve nodes=1000,offline=5%,throttle=0.05
  aws --endpoint-url http://127.0.0.1:4566 ssm describe-instance-information")]
struct ServeArgs {
    /// What is simulated
    #[arg(value_name = "SPEC", default_value = "")]
    spec: String,

    /// Port to listen on; 0 takes any
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,

    /// Serve https with a certificate of its own; the CA is written to a file
    #[arg(long, value_name = "CA_FILE")]
    tls: Option<PathBuf>,

    /// Go on in the background; `HERDER_SIM_PID` among the variables says which process it is
    #[arg(long)]
    background: bool,
}

pub(crate) async fn run(ctx: &Ctx, io: &Io, args: SimArgs) -> Result<Exit, Failure> {
    let SimVerb::Serve(args) = args.verb;
    let spec = crate::sim::parse(&args.spec)?;
    if args.background {
        return background(io, &args);
    }
    let options = herder_sim::ServeOptions { port: args.port, tls: args.tls.is_some() };
    let server = herder_sim::serve(spec, options).await.map_err(|error| {
        Failure::usage(format!("the simulator can't listen on port {}", args.port)).caused_by(&error)
    })?;
    let mut exports = vec![
        ("AWS_ENDPOINT_URL", server.endpoint().to_owned()),
        ("AWS_ACCESS_KEY_ID", server.access_key().to_owned()),
        ("AWS_SECRET_ACCESS_KEY", server.secret_key().to_owned()),
        ("AWS_REGION", server.region().to_owned()),
        ("AWS_DEFAULT_REGION", server.region().to_owned()),
        ("HERDER_SIM_PID", std::process::id().to_string()),
    ];
    if let (Some(path), Some(pem)) = (&args.tls, server.ca_pem()) {
        std::fs::write(path, pem).map_err(|error| {
            Failure::new(Kind::Local, format!("could not write `{}`", path.display())).caused_by(&error)
        })?;
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        exports.push(("AWS_CA_BUNDLE", path.display().to_string()));
    }
    let text: String =
        exports.iter().map(|(name, value)| format!("export {name}={}\n", quoted(value))).collect();
    let _ = io.stdout().write_all(text.as_bytes());
    let _ = io.stdout().flush();
    let _ = writeln!(io.stderr(), "simulated AWS at {}; Ctrl-C stops it", server.endpoint());
    let mut interrupts = ctx.interrupts.clone();
    // Only a signal ends it; without a sender there will be none.
    let _ = interrupts.changed().await;
    server.shutdown().await;
    Ok(Exit::Success)
}

/// A word for the shell.
fn quoted(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,".contains(c);
    if !value.is_empty() && value.chars().all(is_plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', "'\\''"))
}

/// Starts the same command again, detached, and waits for its variables.
fn background(io: &Io, args: &ServeArgs) -> Result<Exit, Failure> {
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};

    let failed =
        |what: &str, error: &std::io::Error| Failure::new(Kind::Local, what.to_owned()).caused_by(error);
    let program = std::env::current_exe().map_err(|error| failed("herder does not find itself", &error))?;
    let mut command = Command::new(program);
    command.args(["sim", "serve", &args.spec, "--port", &args.port.to_string()]);
    if let Some(path) = &args.tls {
        command.arg("--tls").arg(path);
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| failed("could not start the simulator", &error))?;
    let mut text = String::new();
    let Some(stdout) = child.stdout.take() else {
        return Err(Failure::new(Kind::Bug, "the simulator has no output"));
    };
    for line in BufReader::new(stdout).lines() {
        let line = line.map_err(|error| failed("could not read the simulator's answer", &error))?;
        let is_last = line.starts_with("export HERDER_SIM_PID=") && args.tls.is_none()
            || line.starts_with("export AWS_CA_BUNDLE=");
        text.push_str(&line);
        text.push('\n');
        if is_last {
            return crate::commands::write_out(io, text.as_bytes());
        }
    }
    Err(Failure::usage("the simulator did not start")
        .hint(format!("Run `herder sim serve {}` in the foreground to see why.", args.spec)))
}
