//! A terminal: its line discipline between what is typed and what programs read, and its output.

use super::disk::Errno;
use super::stream::{Pipe, lock};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// Bytes of input that wait for a program before whoever types has to wait.
const ROOM: usize = 128 << 10;
/// Longest line that can be edited: Linux' N_TTY_BUF_SIZE less one.
const LINE: usize = 4095;

/// What a key press means to the foreground.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Interrupt,
    Quit,
    Stop,
    Hangup,
}

/// Modes, as `stty` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Modes {
    pub(crate) icrnl: bool,
    pub(crate) ixon: bool,
    pub(crate) opost: bool,
    pub(crate) onlcr: bool,
    pub(crate) isig: bool,
    pub(crate) icanon: bool,
    pub(crate) iexten: bool,
    pub(crate) echo: bool,
    pub(crate) echoe: bool,
    pub(crate) echok: bool,
    pub(crate) echoctl: bool,
}

impl Modes {
    pub(crate) const SANE: Modes = Modes {
        icrnl: true,
        ixon: true,
        opost: true,
        onlcr: true,
        isig: true,
        icanon: true,
        iexten: true,
        echo: true,
        echoe: true,
        echok: true,
        echoctl: true,
    };

    /// Every mode by its name.
    pub(crate) fn named(&mut self) -> [(&'static str, &mut bool); 11] {
        [
            ("icrnl", &mut self.icrnl),
            ("ixon", &mut self.ixon),
            ("opost", &mut self.opost),
            ("onlcr", &mut self.onlcr),
            ("isig", &mut self.isig),
            ("icanon", &mut self.icanon),
            ("iexten", &mut self.iexten),
            ("echo", &mut self.echo),
            ("echoe", &mut self.echoe),
            ("echok", &mut self.echok),
            ("echoctl", &mut self.echoctl),
        ]
    }

    /// Everything that is typed goes through as it is.
    pub(crate) fn raw(&mut self) {
        (self.icrnl, self.ixon, self.opost, self.isig, self.icanon) = (false, false, false, false, false);
    }

    fn passes(self) -> bool {
        !(self.icrnl || self.isig || self.icanon || self.echo)
    }
}

#[derive(Debug)]
struct State {
    modes: Modes,
    columns: u32,
    rows: u32,
    /// What programs can read: a line in each piece, or whatever was typed. An empty piece is an end.
    ready: VecDeque<Bytes>,
    held: usize,
    /// Keys that can be read as soon as all that were typed together are there.
    typed: BytesMut,
    /// The line that is being edited.
    line: Vec<u8>,
    /// The next key is taken literally.
    literal: bool,
    signals: VecDeque<Signal>,
    /// Shells that read from it, one inside the other; only the innermost gets signals.
    shells: u32,
    is_hung_up: bool,
    waiting: Vec<Waker>,
}

impl State {
    fn wait<T>(&mut self, context: &Context<'_>) -> Poll<T> {
        if !self.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            self.waiting.push(context.waker().clone());
        }
        Poll::Pending
    }

    fn wake(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }

    fn offer(&mut self, bytes: Bytes) {
        self.held += bytes.len();
        self.ready.push_back(bytes);
        self.wake();
    }

    fn raise(&mut self, signal: Signal) {
        self.line.clear();
        self.typed.clear();
        self.ready.clear();
        self.held = 0;
        self.signals.push_back(signal);
        self.wake();
    }
}

/// A terminal.
#[derive(Debug)]
pub(crate) struct Terminal {
    state: Mutex<State>,
    output: Pipe,
}

impl Terminal {
    pub(crate) fn new() -> Arc<Terminal> {
        let state = State {
            modes: Modes::SANE,
            // What a pseudo terminal has before anybody says its size.
            columns: 0,
            rows: 0,
            ready: VecDeque::new(),
            held: 0,
            typed: BytesMut::new(),
            line: Vec::new(),
            literal: false,
            signals: VecDeque::new(),
            shells: 0,
            is_hung_up: false,
            waiting: Vec::new(),
        };
        Arc::new(Terminal { state: Mutex::new(state), output: Pipe::default() })
    }

    /// Types something, where there is room.
    pub(crate) fn poll_type(&self, typed: &mut Option<Bytes>, context: &Context<'_>) -> Poll<()> {
        if self.output.poll_room(context).is_pending() {
            return Poll::Pending;
        }
        let mut state = lock(&self.state);
        if state.held >= ROOM && !state.is_hung_up {
            return state.wait(context);
        }
        let Some(typed) = typed.take() else { return Poll::Ready(()) };
        if state.modes.passes() {
            state.offer(typed);
            return Poll::Ready(());
        }
        let mut echoed = BytesMut::new();
        for byte in typed {
            key(&mut state, byte, &mut echoed);
        }
        if !state.typed.is_empty() {
            let typed = state.typed.split().freeze();
            state.offer(typed);
        }
        drop(state);
        self.output.force(echoed.freeze());
        Poll::Ready(())
    }

    /// What a program reads: in canonical mode at most one line.
    pub(crate) async fn read(&self, most: usize) -> Bytes {
        poll_fn(|context| {
            let mut state = lock(&self.state);
            let Some(first) = state.ready.front_mut() else {
                return if state.is_hung_up { Poll::Ready(Bytes::new()) } else { state.wait(context) };
            };
            let bytes = if first.len() <= most { std::mem::take(first) } else { first.split_to(most) };
            if first.is_empty() {
                state.ready.pop_front();
            }
            state.held -= bytes.len();
            state.wake();
            Poll::Ready(bytes)
        })
        .await
    }

    /// What a program prints.
    pub(crate) async fn print(&self, bytes: Bytes) -> Result<(), Errno> {
        let modes = lock(&self.state).modes;
        let mut bytes = Some(if modes.opost && modes.onlcr { with_returns(bytes) } else { bytes });
        poll_fn(|context| {
            if lock(&self.state).is_hung_up {
                return Poll::Ready(Err(Errno::BrokenPipe));
            }
            self.output.poll_write(&mut bytes, context)
        })
        .await
    }

    /// What is to be seen: as much as `most` bytes.
    pub(crate) fn poll_output(&self, most: usize, context: &Context<'_>) -> Poll<Bytes> {
        self.output.poll_gathered(most, context)
    }

    /// True where nothing waits to be seen.
    pub(crate) fn is_drained(&self) -> bool {
        self.output.held() == 0
    }

    /// A shell begins to read from it; gives how deep it is.
    pub(crate) fn enter(&self) -> u32 {
        let mut state = lock(&self.state);
        state.shells += 1;
        state.shells
    }

    /// A shell is done with it.
    pub(crate) fn leave(&self) {
        let mut state = lock(&self.state);
        state.shells = state.shells.saturating_sub(1);
        state.wake();
    }

    /// The next signal, for the shell at a depth: of a key, or of the terminal's end.
    pub(crate) fn poll_signal(&self, depth: u32, context: &Context<'_>) -> Poll<Signal> {
        let mut state = lock(&self.state);
        if state.is_hung_up {
            return Poll::Ready(Signal::Hangup);
        }
        let is_mine = state.shells <= depth;
        match state.signals.pop_front_if(|_| is_mine) {
            Some(signal) => Poll::Ready(signal),
            None => state.wait(context),
        }
    }

    /// The next signal, where there is one for the shell at a depth.
    pub(crate) fn take_signal(&self, depth: u32) -> Option<Signal> {
        let mut state = lock(&self.state);
        if state.is_hung_up {
            return Some(Signal::Hangup);
        }
        let is_mine = state.shells <= depth;
        state.signals.pop_front_if(|_| is_mine)
    }

    /// Forgets signals that nobody was there for.
    pub(crate) fn forget_signals(&self) {
        lock(&self.state).signals.clear();
    }

    /// Nobody types or looks any more.
    pub(crate) fn hang_up(&self) {
        let mut state = lock(&self.state);
        state.is_hung_up = true;
        state.wake();
        drop(state);
        self.output.clear();
    }

    pub(crate) fn modes(&self) -> Modes {
        lock(&self.state).modes
    }

    /// Changes modes; a line that was being edited can be read at once where lines are no more.
    pub(crate) fn set_modes(&self, modes: Modes) {
        let mut state = lock(&self.state);
        state.modes = modes;
        if !modes.icanon && !state.line.is_empty() {
            let line = std::mem::take(&mut state.line);
            state.offer(Bytes::from(line));
        }
    }

    /// Columns and rows.
    pub(crate) fn size(&self) -> (u32, u32) {
        let state = lock(&self.state);
        (state.columns, state.rows)
    }

    pub(crate) fn resize(&self, columns: u32, rows: u32) {
        let mut state = lock(&self.state);
        (state.columns, state.rows) = (columns, rows);
    }
}

/// Every line feed with a carriage return before it.
fn with_returns(bytes: Bytes) -> Bytes {
    let Some(first) = bytes.iter().position(|byte| *byte == b'\n') else { return bytes };
    let mut done = BytesMut::with_capacity(bytes.len() + bytes.len() / 16 + 8);
    done.extend_from_slice(&bytes[..first]);
    let mut rest = &bytes[first..];
    while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
        done.extend_from_slice(&rest[..at]);
        done.extend_from_slice(b"\r\n");
        rest = &rest[at + 1..];
    }
    done.extend_from_slice(rest);
    done.freeze()
}

/// Shows a key.
fn echo(modes: Modes, byte: u8, echoed: &mut BytesMut) {
    match byte {
        _ if !modes.echo => {}
        b'\n' if modes.opost && modes.onlcr => echoed.extend_from_slice(b"\r\n"),
        b'\n' | b'\t' => echoed.extend_from_slice(&[byte]),
        0..0x20 | 0x7F if modes.echoctl => echoed.extend_from_slice(&[b'^', byte ^ 0x40]),
        _ => echoed.extend_from_slice(&[byte]),
    }
}

/// One key.
fn key(state: &mut State, byte: u8, echoed: &mut BytesMut) {
    let modes = state.modes;
    if state.literal {
        state.literal = false;
        return plain(state, byte, echoed);
    }
    let byte = if byte == b'\r' && modes.icrnl { b'\n' } else { byte };
    let signal = match byte {
        0x03 => Some(Signal::Interrupt),
        0x1C => Some(Signal::Quit),
        0x1A => Some(Signal::Stop),
        _ => None,
    };
    if let Some(signal) = signal.filter(|_| modes.isig) {
        echo(modes, byte, echoed);
        return state.raise(signal);
    }
    if !modes.icanon {
        echo(modes, byte, echoed);
        return state.typed.extend_from_slice(&[byte]);
    }
    match byte {
        b'\n' => {
            echo(modes, byte, echoed);
            state.line.push(byte);
            let line = std::mem::take(&mut state.line);
            state.offer(Bytes::from(line));
        }
        0x04 => {
            let line = std::mem::take(&mut state.line);
            state.offer(Bytes::from(line));
        }
        0x7F | 0x08 => rub_out(state, echoed),
        0x15 => {
            while !state.line.is_empty() {
                rub_out(state, echoed);
            }
        }
        0x17 if modes.iexten => {
            while state.line.last() == Some(&b' ') {
                rub_out(state, echoed);
            }
            while state.line.last().is_some_and(|last| *last != b' ') {
                rub_out(state, echoed);
            }
        }
        0x16 if modes.iexten => {
            state.literal = true;
            if modes.echo && modes.echoctl {
                echoed.extend_from_slice(b"^\x08");
            }
        }
        _ => plain(state, byte, echoed),
    }
}

fn plain(state: &mut State, byte: u8, echoed: &mut BytesMut) {
    if state.modes.icanon {
        if state.line.len() >= LINE {
            // Linux drops what does not fit, and rings.
            echoed.extend_from_slice(b"\x07");
            return;
        }
        echo(state.modes, byte, echoed);
        state.line.push(byte);
    } else {
        echo(state.modes, byte, echoed);
        state.typed.extend_from_slice(&[byte]);
    }
}

/// Takes the last letter back.
fn rub_out(state: &mut State, echoed: &mut BytesMut) {
    let Some(mut last) = state.line.pop() else { return };
    while last & 0xC0 == 0x80 {
        match state.line.pop() {
            Some(byte) => last = byte,
            None => break,
        }
    }
    if state.modes.echo && state.modes.echoe {
        let width = if last < 0x20 && last != b'\t' { 2 } else { 1 };
        (0..width).for_each(|_| echoed.extend_from_slice(b"\x08 \x08"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Option<T> {
        match poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    fn types(terminal: &Terminal, text: &[u8]) -> bool {
        let mut typed = Some(Bytes::copy_from_slice(text));
        now(|context| terminal.poll_type(&mut typed, context)).is_some()
    }

    fn seen(terminal: &Terminal) -> String {
        let bytes = now(|context| terminal.poll_output(4096, context)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn read(terminal: &Terminal) -> Option<Bytes> {
        let mut reading = Box::pin(terminal.read(4096));
        now(|context| reading.as_mut().poll(context))
    }

    #[test]
    fn lines_are_edited_and_echoed() {
        let terminal = Terminal::new();
        types(&terminal, b"lsx\x7f -l\x17\xc3\xa9\x7f a\r");
        assert_eq!(read(&terminal).unwrap(), "ls  a\n");
        assert_eq!(seen(&terminal), "lsx\x08 \x08 -l\x08 \x08\x08 \x08é\x08 \x08 a\r\n");
        types(&terminal, b"never\x15\x16\x03\n");
        assert_eq!(read(&terminal).unwrap(), "\x03\n");
        assert!(read(&terminal).is_none());
        types(&terminal, b"half\x04\x04");
        assert_eq!((read(&terminal).unwrap(), read(&terminal).unwrap()), (Bytes::from("half"), Bytes::new()));
    }

    #[test]
    fn keys_are_signals_until_it_is_raw() {
        let terminal = Terminal::new();
        types(&terminal, b"abc\x03\x1c\x1a");
        assert_eq!(seen(&terminal), "abc^C^\\^Z");
        let signals: Vec<Signal> =
            std::iter::from_fn(|| now(|context| terminal.poll_signal(1, context))).collect();
        assert_eq!(signals, [Signal::Interrupt, Signal::Quit, Signal::Stop]);
        assert!(read(&terminal).is_none());
        let mut modes = terminal.modes();
        modes.raw();
        modes.echo = false;
        terminal.set_modes(modes);
        let every: Vec<u8> = (0..=255).collect();
        types(&terminal, &every);
        assert_eq!(read(&terminal).unwrap(), every);
        assert_eq!(seen(&terminal), "");
    }

    #[test]
    fn too_long_a_line_loses_its_end_and_too_much_input_waits() {
        let terminal = Terminal::new();
        types(&terminal, &[b'x'; 5000]);
        types(&terminal, b"\n");
        assert_eq!(read(&terminal).unwrap().len(), LINE + 1);
        let mut modes = terminal.modes();
        modes.raw();
        modes.echo = false;
        terminal.set_modes(modes);
        assert!(types(&terminal, &[0; ROOM]));
        assert!(!types(&terminal, &[0; 1]));
        assert!(read(&terminal).is_some());
        assert!(types(&terminal, &[0; 1]));
    }

    #[test]
    fn line_feeds_get_returns() {
        assert_eq!(with_returns(Bytes::from("a\nb\n\nc")), "a\r\nb\r\n\r\nc");
        assert_eq!(with_returns(Bytes::from("abc")), "abc");
    }
}
