//! Escapes in what is typed: after a line's end, `~` and a key are for herder and not for the remote side, as in ssh.

use bytes::{Bytes, BytesMut};

/// What `~?` shows; lines end as a raw terminal needs them. `~` stands for whichever character is the escape.
pub const ESCAPE_HELP: &str = "\r\nEscapes, at the beginning of a line:\r\n\
    \x20 ~.   end the session\r\n\
    \x20 ~^Z  suspend herder; the session goes on\r\n\
    \x20 ~~   send a single ~\r\n\
    \x20 ~?   show this\r\n";

/// What `~^Z` shows where [`suspend`](super::suspend) fails.
pub const NOT_SUSPENDED: &str =
    "\r\nherder can't be suspended here: no shell could continue it. The session goes on.\r\n";

const SUSPEND: u8 = 0x1a;

/// What a part of the input is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EscapePiece {
    /// For the remote side; never empty.
    Send(Bytes),
    /// `~.`: end the session. What follows is thrown away.
    Disconnect,
    /// `~?`: show [`ESCAPE_HELP`].
    Help,
    /// `~^Z`: suspend this process.
    Suspend,
}

/// Where in a line the input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    LineStart,
    /// After the escape character at a line's start, which is kept back.
    Escape,
    InLine,
    /// After `~.`.
    Over,
}

/// Takes escapes out of what is typed. They may be cut anywhere.
#[derive(Debug, Clone)]
pub struct Escapes {
    escape: Option<u8>,
    place: Place,
}

impl Escapes {
    /// Looks for escapes that begin with this character, usually `~`; with none, everything is for the remote side. The
    /// session's beginning is a line's start.
    pub fn new(escape: Option<u8>) -> Escapes {
        Escapes { escape, place: Place::LineStart }
    }

    /// Sorts the next part of the input.
    pub fn feed(&mut self, input: &[u8]) -> Vec<EscapePiece> {
        let Some(escape) = self.escape else {
            return send(Bytes::copy_from_slice(input)).into_iter().collect();
        };
        let mut pieces = Vec::new();
        let mut out = BytesMut::with_capacity(input.len() + 1);
        for byte in input.iter().copied() {
            let action = match (self.place, byte) {
                (Place::Over, _) => continue,
                (Place::LineStart, _) if byte == escape => {
                    self.place = Place::Escape;
                    continue;
                }
                (Place::Escape, b'.') => Some(EscapePiece::Disconnect),
                (Place::Escape, b'?') => Some(EscapePiece::Help),
                (Place::Escape, SUSPEND) => Some(EscapePiece::Suspend),
                _ => None,
            };
            match action {
                Some(action) => {
                    self.place = match action {
                        EscapePiece::Disconnect => Place::Over,
                        // Nothing was sent: the line has not begun.
                        _ => Place::LineStart,
                    };
                    pieces.extend(send(out.split().freeze()));
                    pieces.push(action);
                }
                None => {
                    if self.place == Place::Escape && byte != escape {
                        out.extend_from_slice(&[escape]);
                    }
                    out.extend_from_slice(&[byte]);
                    self.place = match byte {
                        b'\r' | b'\n' => Place::LineStart,
                        _ => Place::InLine,
                    };
                }
            }
        }
        pieces.extend(send(out.freeze()));
        pieces
    }

    /// What was kept back, when the input has ended.
    pub fn finish(&mut self) -> Option<EscapePiece> {
        let kept = self.escape.filter(|_| self.place == Place::Escape);
        self.place = Place::Over;
        kept.and_then(|escape| send(Bytes::copy_from_slice(&[escape])))
    }
}

fn send(bytes: Bytes) -> Option<EscapePiece> {
    (!bytes.is_empty()).then_some(EscapePiece::Send(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is sent as text, and actions in braces; a text that spans pieces is joined.
    fn shown(escapes: &mut Escapes, parts: &[&[u8]]) -> String {
        let pieces = parts.iter().flat_map(|part| escapes.feed(part)).collect::<Vec<_>>();
        let end = escapes.finish();
        let show = |piece: EscapePiece| match piece {
            EscapePiece::Send(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            action => format!("{{{action:?}}}"),
        };
        pieces.into_iter().chain(end).map(show).collect()
    }

    fn tilde(input: &str) -> String {
        shown(&mut Escapes::new(Some(b'~')), &[input.as_bytes()])
    }

    #[test]
    fn escapes_are_found_after_a_line_end_only() {
        for (input, expected) in [
            ("~.", "{Disconnect}"),
            ("ls\r~.", "ls\r{Disconnect}"),
            ("ls\n~.rm -rf /\r", "ls\n{Disconnect}"),
            ("ls ~.", "ls ~."),
            ("a~.\r~?b", "a~.\r{Help}b"),
            ("~~", "~"),
            ("~~.", "~."),
            ("cd\r~~/x", "cd\r~/x"),
            ("\r~x", "\r~x"),
            ("\r~\r~.", "\r~\r{Disconnect}"),
            ("~?~.", "{Help}{Disconnect}"),
            ("~\u{1a}~?", "{Suspend}{Help}"),
            ("~x~.", "~x~."),
            ("\r~", "\r~"),
            ("", ""),
        ] {
            assert_eq!(tilde(input), expected, "{input:?}");
        }
    }

    #[test]
    fn the_character_can_be_chosen_or_given_up() {
        assert_eq!(shown(&mut Escapes::new(Some(b'%')), &[b"~.\r%."]), "~.\r{Disconnect}");
        assert_eq!(shown(&mut Escapes::new(None), &[b"~.\r~?", b"\r~."]), "~.\r~?\r~.");
    }

    #[test]
    fn a_first_escape_character_is_kept_back_until_the_next_key() {
        let mut escapes = Escapes::new(Some(b'~'));
        assert_eq!(escapes.feed(b"~"), []);
        assert_eq!(escapes.feed(b"a"), [EscapePiece::Send("~a".into())]);
    }

    #[test]
    fn control_keys_go_to_the_remote_side() {
        assert_eq!(tilde("\u{3}\u{1a}\u{1c}"), "\u{3}\u{1a}\u{1c}");
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_input_is_cut(
            input in "[~.?a\r\n\u{1a}]{0,40}",
            cuts in proptest::collection::vec(1_usize..6, 1..10),
        ) {
            let mut parts: Vec<&[u8]> = Vec::new();
            let mut rest = input.as_bytes();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (part, after) = rest.split_at((*cut).min(rest.len()));
                parts.push(part);
                rest = after;
            }
            prop_assert_eq!(shown(&mut Escapes::new(Some(b'~')), &parts), tilde(&input));
        }

        #[test]
        fn without_the_character_nothing_changes(input in proptest::collection::vec(any::<u8>(), 0..100)) {
            let input: Vec<u8> = input.into_iter().filter(|byte| *byte != b'~').collect();
            let sent = Escapes::new(Some(b'~')).feed(&input);
            let expected: Vec<EscapePiece> = send(Bytes::from(input)).into_iter().collect();
            prop_assert_eq!(sent, expected);
        }
    }
}
