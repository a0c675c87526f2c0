//! herder as the aws CLI's `session-manager-plugin`: the CLI starts the session, this carries it.

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use herder_aws::{Environment, Meter, MeterOptions, Scope, ScopeOptions};
use herder_core::fanout::Interrupt;
use herder_session::client::{Opened, SessionEvent, StreamPolicy};
use herder_session::forward::{
    Bind, ConnectionEnd, ForwardEvent, ForwardOptions, Listen, Listener, PortLink, serve,
};
use herder_session::handshake::Started;
use herder_session::payload::SessionType;
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use super::say;
use super::shell::conclude;
use crate::commands::write_out;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;
use crate::ops::session::{
    ExecStreams, Launcher, Live, Notices, Pipe, Ran, Shell, ShellEnd, ShellOptions, ended, exec, port_kind,
    proxy, unanswered,
};

/// What the executable is called where it stands in for the plugin.
const NAME: &str = "session-manager-plugin";
/// What the name of the variable begins with that holds the response of `StartSession`.
const VARIABLE: &str = "AWS_SSM_START_SESSION_RESPONSE";
/// How long the last answer of a port is waited for after the end of what is sent.
const LAST_ANSWER: Duration = Duration::from_secs(10);
/// How long clients that are slow are waited for when the session is over, for what has come for them before.
const LAST_BYTES: Duration = Duration::from_secs(5);

/// Stand in for the aws CLI's session-manager-plugin
///
/// The aws CLI looks for a program of that name: link it to herder, and `aws ssm start-session` and `aws ecs execute-command` use herder.
#[derive(Args, Clone, Debug)]
#[command(disable_version_flag = true)]
#[command(after_help = "\
Examples:
  ln -s \"$(command -v herder)\" ~/.local/bin/session-manager-plugin
  aws ssm start-session --target i-0123456789abcdef0")]
pub(crate) struct SessionPluginArgs {
    /// What the aws CLI passes: the response or the variable that holds it, region, operation, profile, request, endpoint
    #[arg(value_name = "WORD", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// The arguments as they are meant: called by the plugin's name, they are the plugin's.
pub(crate) fn as_plugin(args: Vec<OsString>) -> Vec<OsString> {
    let name = args.first().and_then(|name| Path::new(name).file_name()?.to_str().map(str::to_owned));
    if name.is_none_or(|name| name != NAME) {
        return args;
    }
    let words = ["herder", "session", "plugin", "--"].map(OsString::from);
    words.into_iter().chain(args.into_iter().skip(1)).collect()
}

/// A session that the aws CLI started.
#[derive(Debug)]
struct Handed {
    opened: Opened,
    region: String,
    profile: Option<String>,
    endpoint: Option<String>,
}

impl Handed {
    fn read(words: &[String], variable: impl Fn(&str) -> Option<String>) -> Result<Handed, Failure> {
        let word = |n: usize| words.get(n).map(String::as_str).filter(|word| !word.is_empty());
        let first = word(0).unwrap_or_default();
        let response = match first.starts_with(VARIABLE) {
            true => variable(first)
                .ok_or_else(|| Failure::usage(format!("the variable {first} does not hold a session")))?,
            false => first.to_owned(),
        };
        let unreadable = |what: &str| {
            Failure::usage(format!("{what} can't be read")).hint(
                "This is what the aws CLI calls by itself: start a session with `aws ssm start-session`, or with `herder session`.",
            )
        };
        let response: Value =
            serde_json::from_str(&response).map_err(|_| unreadable("the session's response"))?;
        // ECS writes the same fields with small letters.
        let field = |names: [&str; 2]| {
            let found = names.iter().find_map(|name| response.get(name)?.as_str());
            found.map(str::to_owned).filter(|text| !text.is_empty())
        };
        let missing = || unreadable("the session's id, address or token");
        let request: Value = word(4).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let target = request.get("Target").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Handed {
            opened: Opened {
                session_id: field(["SessionId", "sessionId"]).ok_or_else(missing)?,
                target,
                stream_url: field(["StreamUrl", "streamUrl"]).ok_or_else(missing)?,
                token: field(["TokenValue", "tokenValue"]).ok_or_else(missing)?,
            },
            region: word(1).ok_or_else(|| unreadable("the region"))?.to_owned(),
            profile: word(3).map(str::to_owned),
            endpoint: word(5).map(str::to_owned),
        })
    }
}

pub(super) async fn run(ctx: &Ctx, io: &Io, args: &SessionPluginArgs) -> Result<Exit, Failure> {
    match args.words.as_slice() {
        [] => {
            let text = "\nThe Session Manager plugin was installed successfully. Use the AWS CLI to start a session.\n\n";
            return write_out(io, text.as_bytes());
        }
        [word] if word == "--version" => {
            return write_out(io, format!("{}\n", herder_session::CLIENT_VERSION).as_bytes());
        }
        _ => {}
    }
    let handed = Handed::read(&args.words, |name| ctx.environment.get(name).map(str::to_owned))?;
    let scope = scope(ctx, &handed).await?;
    let launcher = Launcher::new(ctx, scope)?.with_quiet_start();
    let id = handed.opened.session_id.clone();
    let live = launcher.attend(handed.opened);
    let options = ShellOptions {
        escape: Some(b'~'),
        record: None,
        record_input: false,
        title: id.clone(),
        term: None,
        began_unix: 0,
    };
    let unusable =
        |error: std::io::Error| Failure::new(Kind::Local, "the terminal can't be used").caused_by(&error);
    let files = io.descriptors().map_err(unusable)?;
    let shell = Shell::new(io.descriptors().map_err(unusable)?, options).map_err(unusable)?;
    let is_terminal = shell.is_terminal();
    if is_terminal {
        say(io, &format!("\nStarting session with SessionId: {id}"), false);
    }
    let end = match shell.attend(live, |text, is_raw| say(io, text, is_raw)).await {
        Ok(end) => end,
        Err(failure) => {
            launcher.terminate(&id).await;
            return Err(failure);
        }
    };
    let (started, live) = match end {
        ShellEnd::NotAShell(started, live) => (started, live),
        end => return conclude(io, &launcher, &id, end, is_terminal).await,
    };
    let notify = |text: &str| say(io, text, false);
    let carried = match started.session_type {
        SessionType::Port if forwards(&started) => forward(ctx, io, &launcher, &started, live).await,
        SessionType::Port => match Pipe::new(&files.stdin, &files.stdout) {
            Ok(pipe) => match proxy(&launcher, live, pipe, LAST_ANSWER, notify).await {
                // The official plugin ends with its input, and what calls it expects that.
                Err(failure) if failure.kind == Kind::Unknown => {
                    launcher.terminate(&id).await;
                    Ok(Exit::Success)
                }
                ended => ended,
            },
            Err(error) => Err(unusable(error)),
        },
        _ => match ExecStreams::new(&files.stdout, &files.stderr) {
            // The aws CLI takes any other code than 0 for a plugin that crashed.
            Ok(streams) => match exec(&launcher, live, streams, ctx.interrupts.clone(), notify).await {
                Ok(Ran::Code(_) | Ran::WithoutCode { .. } | Ran::Unread) => Ok(Exit::Success),
                Ok(Ran::Interrupted) => Ok(Exit::Interrupted),
                Err(failure) => Err(failure),
            },
            Err(error) => Err(unusable(error)),
        },
    };
    // Whatever failed here may have left it open; ending it twice does nothing.
    if carried.is_err() {
        launcher.terminate(&id).await;
    }
    carried
}

/// The scope that the aws CLI used.
async fn scope(ctx: &Ctx, handed: &Handed) -> Result<Scope, Failure> {
    // The endpoint is passed in any case. AWS's own is what herder finds by itself.
    let is_custom = StreamPolicy::for_api(handed.endpoint.as_deref()) != StreamPolicy::AwsOnly;
    let variables = ctx.environment.all().clone();
    let options = ScopeOptions {
        profile: handed.profile.clone(),
        region: Some(handed.region.clone()),
        endpoint_url: handed.endpoint.clone().filter(|_| is_custom),
        ..ScopeOptions::new(Environment::new(move |name| variables.get(name).cloned()))
    };
    let meter = MeterOptions { learned: None, now: Some(ctx.clock.now()), seed: ctx.seed, on_throttle: None };
    Ok(Box::pin(Scope::open(options, Arc::new(Meter::new(meter)))).await?)
}

fn property<'a>(started: &'a Started, name: &str) -> Option<&'a str> {
    started.properties.get(name)?.as_str().filter(|text| !text.is_empty())
}

fn forwards(started: &Started) -> bool {
    property(started, "type") == Some("LocalPortForwarding")
}

/// Where the official plugin would listen.
fn listen(started: &Started) -> Result<Listen, Failure> {
    if property(started, "localConnectionType") == Some("unix") {
        let path = property(started, "localUnixSocket");
        let path = path.ok_or_else(|| Failure::usage("the session names no Unix socket to listen on"))?;
        return Ok(Listen::Unix(path.into()));
    }
    let port = property(started, "localPortNumber").unwrap_or("0");
    let port = port.parse().map_err(|_| Failure::usage(format!("{port:?} is not a local port")))?;
    Ok(Listen::Tcp { bind: Bind::Localhost, port })
}

/// What a listener has come to.
#[derive(Debug, Default)]
struct Course {
    /// Connections that are not over.
    open: usize,
    /// Why the session is over.
    ended: Option<String>,
}

impl Course {
    fn follow(&mut self, event: &ForwardEvent) {
        match event {
            ForwardEvent::Accepted { .. } => self.open += 1,
            ForwardEvent::Finished { .. } => self.open = self.open.saturating_sub(1),
            ForwardEvent::SessionEnded { reason } => self.ended = Some(reason.clone()),
            _ => {}
        }
    }
}

/// Carries connections over the one session that there is, and says so in the words that programs wait for. A failure may leave the
/// session open.
async fn forward(
    ctx: &Ctx,
    io: &Io,
    launcher: &Launcher,
    started: &Started,
    live: Live,
) -> Result<Exit, Failure> {
    let Live { id, handle, events, .. } = live;
    let listener = Listener::open(&listen(started)?)
        .await
        .map_err(|error| Failure::usage("the port can't be forwarded").caused_by(&error))?;
    let kind = port_kind(started, false)?;
    let (tell_end, mut end) = mpsc::unbounded_channel();
    let mut notices = Notices::default();
    let talk = io.clone();
    let tell = move |event: SessionEvent| match event {
        SessionEvent::Closed(end) => drop(tell_end.send(end)),
        event => {
            if let Some(text) = notices.of(&event) {
                say(&talk, &text, false);
            }
        }
    };
    let opened = match (listener.port(), listener.path()) {
        (_, Some(path)) => format!("Unix socket {} opened for sessionId {id}.\n", path.display()),
        (port, None) => format!("Port {} opened for sessionId {id}.\n", port.unwrap_or_default()),
    };
    write_out(io, format!("{opened}Waiting for connections...\n").as_bytes())?;
    let mut link = Some(PortLink { source: events.into_link(tell), sink: handle, kind });
    // When the session is over there is no other one: who connects then waits for the end.
    let dial = || {
        let link = link.take();
        async move {
            match link {
                Some(link) => Ok::<_, Infallible>(link),
                None => std::future::pending().await,
            }
        }
    };
    let options = ForwardOptions::default();
    let (course, mut followed) = watch::channel(Course::default());
    let serving = serve(&listener, &options, dial, |event| {
        connected(io, &id, &event);
        course.send_modify(|course| course.follow(&event));
    });
    let over = async {
        let reason = followed.wait_for(|course| course.ended.is_some()).await;
        let reason = reason.ok().and_then(|course| course.ended.clone()).unwrap_or_default();
        // What has come is the clients', who may be slow to take it.
        let _ = tokio::time::timeout(LAST_BYTES, followed.wait_for(|course| course.open == 0)).await;
        reason
    };
    let mut interrupts = ctx.interrupts.clone();
    let result = tokio::select! {
        never = serving => match never {},
        reason = over => match end.try_recv() {
            Ok(end) => ended(&end).map(|()| Exit::Success),
            Err(_) => Err(Failure { causes: vec![reason], ..Failure::new(Kind::Service, "the session ended early") }),
        },
        Ok(()) = interrupts.changed() => {
            // Ctrl-C is how a forward ends; the aws CLI would call another code than 0 a crash.
            let is_usual = *interrupts.borrow() == Interrupt::Drain;
            launcher.terminate(&id).await;
            Ok(if is_usual { Exit::Success } else { Exit::Interrupted })
        }
    };
    // Whoever waited for these words has read them.
    let _ = write_out(io, format!("\nExiting session with sessionId: {id}.\n\n").as_bytes());
    result
}

fn connected(io: &Io, id: &str, event: &ForwardEvent) {
    let text = match event {
        ForwardEvent::Accepted { connection: 1, .. } => format!("\nConnection accepted for session [{id}]\n"),
        ForwardEvent::Finished { connection, end: ConnectionEnd::Unanswered { silent_for }, .. } => {
            return say(io, &unanswered(*connection, *silent_for), false);
        }
        ForwardEvent::Finished { end: ConnectionEnd::ConnectFailed, .. } => {
            "Connection to destination port failed, check SSM Agent logs.\n".to_owned()
        }
        _ => return,
    };
    // A reader that has gone stops no connection.
    let _ = write_out(io, text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn only_the_plugins_name_makes_it_the_plugin() {
        let of = |args: &[&str]| as_plugin(args.iter().map(OsString::from).collect());
        assert_eq!(of(&["/usr/bin/herder", "--version"]), ["/usr/bin/herder", "--version"]);
        assert_eq!(
            of(&["/bin/session-manager-plugin", "--version"]),
            ["herder", "session", "plugin", "--", "--version"]
        );
        assert_eq!(of(&["session-manager-plugin"]), ["herder", "session", "plugin", "--"]);
    }

    #[test]
    fn the_response_comes_in_an_argument_or_in_a_variable() {
        let response = r#"{"SessionId":"ada-01","TokenValue":"t","StreamUrl":"wss://x"}"#;
        let small = r#"{"sessionId":"ecs-01","tokenValue":"t","streamUrl":"wss://x"}"#;
        let none = |_: &str| None;
        let handed = Handed::read(
            &words(&[
                response,
                "eu-west-1",
                "StartSession",
                "",
                r#"{"Target":"i-01"}"#,
                "https://ssm.eu-west-1.amazonaws.com",
            ]),
            none,
        )
        .unwrap();
        assert_eq!((handed.opened.session_id.as_str(), handed.opened.target.as_str()), ("ada-01", "i-01"));
        assert_eq!((handed.region.as_str(), handed.profile), ("eu-west-1", None));
        assert_eq!(Handed::read(&words(&[small, "r"]), none).unwrap().opened.session_id, "ecs-01");
        let by_name = |name: &str| (name == "AWS_SSM_START_SESSION_RESPONSE_1").then(|| response.to_owned());
        let given = words(&["AWS_SSM_START_SESSION_RESPONSE_1", "r", "StartSession", "prod", "{}", ""]);
        assert_eq!(Handed::read(&given, by_name).unwrap().profile.as_deref(), Some("prod"));
        for bad in
            [&["{}", "r"][..], &["nonsense", "r"], &[response], &["AWS_SSM_START_SESSION_RESPONSE", "r"]]
        {
            assert!(Handed::read(&words(bad), none).is_err(), "{bad:?}");
        }
    }
}
