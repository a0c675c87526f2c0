//! A command without a terminal: its streams apart and as they come, or together when it has ended.

use super::app::{Over, Step};
use super::reply::play;
use super::terminal::Seat;
use super::utf8::Letters;
use crate::node_shell::machine::{Machine, Running};
use crate::node_shell::powershell;
use crate::node_shell::process::Streams;
use crate::node_shell::programs::{self, split};
use crate::node_shell::stream::{Pipe, Stream, pipe};
use crate::sessions::record::Meter;
use bytes::{Bytes, BytesMut};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};

/// Most output that is kept of a command whose streams come together.
const KEPT: usize = 256 << 20;

/// What a document says of a command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct CommandProperties {
    pub(super) line: String,
    pub(super) is_separate: bool,
    pub(super) is_elevated: bool,
    pub(super) out_prefix: String,
    pub(super) err_prefix: String,
}

impl CommandProperties {
    /// Reads those of a platform: `linux` or `windows`.
    pub(super) fn read(properties: &Value, platform: &str) -> Result<CommandProperties, String> {
        let own = properties.get(platform).cloned().unwrap_or_default();
        let text = |name: &str| own.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let flag = |name: &str| match own.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) => match text.trim() {
                "" | "false" | "False" | "FALSE" | "0" => Ok(false),
                "true" | "True" | "TRUE" | "1" => Ok(true),
                _ => Err(format!("fail to get {name} property: invalid value {text}")),
            },
            Some(other) => Err(format!("fail to get {name} property: invalid value {other}")),
        };
        Ok(CommandProperties {
            line: text("commands"),
            is_separate: flag("separateOutputStream")?,
            is_elevated: flag("runAsElevated")?,
            out_prefix: text("stdOutSeparatorPrefix"),
            err_prefix: text("stdErrSeparatorPrefix"),
        })
    }
}

/// One of a command's streams.
struct Outlet {
    pipe: Arc<Pipe>,
    /// Keeps the pipe's reading end open.
    _reader: Arc<crate::node_shell::stream::Reader>,
    letters: Letters,
    prefix: Bytes,
    is_at_line_start: bool,
    is_over: bool,
}

impl Outlet {
    fn new(prefix: &str) -> (Outlet, Stream) {
        let (reader, writer) = pipe();
        let outlet = Outlet {
            pipe: reader.0.clone(),
            _reader: reader,
            letters: Letters::default(),
            prefix: Bytes::from(prefix.to_owned()),
            is_at_line_start: true,
            is_over: false,
        };
        (outlet, Stream::Writer(writer))
    }

    fn poll(&mut self, most: usize, context: &Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if self.is_over {
                return Poll::Ready(None);
            }
            let most = most.saturating_sub(self.prefix.len()).max(1);
            let Poll::Ready(bytes) = self.pipe.poll_gathered(most, context) else { return Poll::Pending };
            if bytes.is_empty() {
                self.is_over = true;
                continue;
            }
            let has_prefix = self.is_at_line_start && !self.prefix.is_empty();
            self.is_at_line_start = bytes.ends_with(b"\n");
            let bytes = if has_prefix { [&self.prefix[..], &bytes].concat().into() } else { bytes };
            let shown = self.letters.pass(bytes);
            if !shown.is_empty() {
                return Poll::Ready(Some(shown));
            }
        }
    }
}

/// What becomes of a command's output.
enum Way {
    /// Both streams apart, as they come.
    Apart { out: Outlet, err: Outlet, is_errors_turn: bool },
    /// Together, when the command has ended.
    Together { outlet: Outlet, kept: VecDeque<Bytes>, held: usize },
}

/// A command and its streams.
pub(super) struct CommandApp {
    machine: Arc<Machine>,
    running: Option<Running>,
    way: Way,
    code: i32,
    failure: Option<String>,
    meter: Arc<Meter>,
}

impl CommandApp {
    pub(super) fn new(seat: &Seat, properties: &CommandProperties, meter: &Arc<Meter>) -> CommandApp {
        let (way, out, err) = if properties.is_separate {
            let (out, out_stream) = Outlet::new(&properties.out_prefix);
            let (err, err_stream) = Outlet::new(&properties.err_prefix);
            (Way::Apart { out, err, is_errors_turn: false }, out_stream, err_stream)
        } else {
            let (outlet, stream) = Outlet::new("");
            (Way::Together { outlet, kept: VecDeque::new(), held: 0 }, stream.clone(), stream)
        };
        let mut app = CommandApp {
            machine: seat.machine.clone(),
            running: None,
            way,
            code: 0,
            failure: None,
            meter: meter.clone(),
        };
        meter.ran(&properties.line);
        let streams = Streams { input: Stream::Null, out, err, more: BTreeMap::new() };
        app.start(seat, properties, streams);
        app
    }

    fn start(&mut self, seat: &Seat, properties: &CommandProperties, streams: Streams) {
        let mut seat = seat.clone();
        if properties.is_elevated {
            seat.user = "root".to_owned();
        }
        if properties.line.trim().is_empty() {
            let kind = "Commands cannot be empty for session type NonInteractiveCommands";
            self.failure = Some(kind.to_owned());
            return;
        }
        if let Some(prepared) = seat.prepared.take() {
            self.running = Some(play(seat.machine.clone(), (streams.out, streams.err), prepared));
            return;
        }
        if seat.is_windows {
            let process = seat.process(("powershell", &[]), streams, None);
            self.running = Some(Box::pin(powershell::execute(process, properties.line.clone())));
            return;
        }
        let argv = match split(&properties.line) {
            Ok(argv) => argv,
            Err(message) => {
                self.failure =
                    Some(format!("Unable to start command: Failed to parse commands input: {message}\n"));
                return;
            }
        };
        let Some((name, arguments)) = argv.split_first() else { return };
        let process = seat.process((name, arguments), streams, None);
        match programs::start(process) {
            Ok(running) => self.running = Some(running),
            Err(error) => {
                let why = match error {
                    crate::node_shell::disk::Errno::NotFound if !name.contains('/') => {
                        "executable file not found in $PATH"
                    }
                    error => error.text(),
                };
                self.code = 1;
                self.failure =
                    Some(format!("Error occurred starting the command: exec: \"{name}\": {why}\n"));
            }
        }
    }

    /// Nothing more of separate streams is read; what runs finds them full, or ends.
    pub(super) fn stop_reading(&mut self) {
        if let Way::Apart { out, err, .. } = &mut self.way {
            (out.is_over, err.is_over) = (true, true);
        }
    }

    pub(super) fn is_separate(&self) -> bool {
        matches!(self.way, Way::Apart { .. })
    }

    /// Ctrl-C and Ctrl-\ end it; nothing else of the input means anything.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        if bytes.iter().any(|byte| matches!(byte, 0x03 | 0x1C)) && self.running.take().is_some() {
            // What the agent gives for a process that a signal ended.
            self.end(-1);
        }
    }

    fn end(&mut self, code: i32) {
        self.code = code;
        self.meter.notes().exit_code = Some(code);
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) {
        if let Some(running) = &mut self.running
            && let Poll::Ready(code) = running.as_mut().poll(context)
        {
            self.running = None;
            self.end(code);
        }
        self.machine.poll_background(context);
        let Way::Together { outlet, kept, held } = &mut self.way else { return };
        while *held < KEPT {
            let Poll::Ready(Some(bytes)) = outlet.poll(64 << 10, context) else { break };
            *held += bytes.len();
            kept.push_back(bytes);
        }
    }

    pub(super) fn poll_step(&mut self, most: usize, context: &mut Context<'_>) -> Poll<Step> {
        if let Some(failure) = self.failure.take() {
            if self.code == 0 {
                return Poll::Ready(Step::Over(Over::Failed(failure)));
            }
            return Poll::Ready(Step::StdErr(Bytes::from(failure)));
        }
        match &mut self.way {
            Way::Apart { out, err, is_errors_turn } => {
                *is_errors_turn = !*is_errors_turn;
                for _ in 0..2 {
                    let (outlet, make): (&mut Outlet, fn(Bytes) -> Step) =
                        if *is_errors_turn { (&mut *err, Step::StdErr) } else { (&mut *out, Step::Output) };
                    if let Poll::Ready(Some(bytes)) = outlet.poll(most, context) {
                        return Poll::Ready(make(bytes));
                    }
                    *is_errors_turn = !*is_errors_turn;
                }
                let is_over = self.running.is_none() && out.is_over && err.is_over;
                if is_over { Poll::Ready(Step::Over(Over::WithCode(self.code))) } else { Poll::Pending }
            }
            Way::Together { outlet, kept, held } => {
                if self.running.is_some() || !outlet.is_over && *held < KEPT {
                    return Poll::Pending;
                }
                let mut piece = BytesMut::new();
                while piece.len() < most {
                    let Some(first) = kept.front_mut() else { break };
                    let count = (most - piece.len()).min(first.len());
                    if piece.is_empty() && count == most {
                        return Poll::Ready(Step::Output(first.split_to(count)));
                    }
                    piece.extend_from_slice(&first.split_to(count));
                    if first.is_empty() {
                        kept.pop_front();
                    }
                }
                if piece.is_empty() {
                    Poll::Ready(Step::Over(Over::Finished))
                } else {
                    Poll::Ready(Step::Output(piece.freeze()))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn properties_are_read() {
        let read = |own: Value| CommandProperties::read(&json!({"linux": own}), "linux");
        let apart =
            read(json!({"commands": "ls", "separateOutputStream": "true", "stdErrSeparatorPrefix": "E:"}))
                .unwrap();
        assert_eq!((apart.line.as_str(), apart.is_separate, apart.err_prefix.as_str()), ("ls", true, "E:"));
        assert!(
            !read(json!({"commands": "ls", "separateOutputStream": false, "runAsElevated": false}))
                .unwrap()
                .is_separate
        );
        assert!(read(json!({"separateOutputStream": "perhaps"})).is_err());
        assert_eq!(read(json!({})).unwrap(), CommandProperties::default());
    }
}
