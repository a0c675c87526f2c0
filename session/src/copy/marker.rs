//! How a script's answers are told from everything else that a session prints.

use std::fmt;

/// A word that nobody on a node can know beforehand: every answer begins with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker(String);

impl Marker {
    /// A marker of random bytes.
    pub fn new(random: [u8; 16]) -> Marker {
        let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Marker(format!("@herder-{hex}"))
    }

    /// What a line says after the marker; none if it doesn't begin with it. A terminal's carriage return is taken off.
    pub(super) fn answer<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        let answer = line.strip_prefix(self.0.as_bytes())?.strip_prefix(b" ")?;
        Some(answer.strip_suffix(b"\r").unwrap_or(answer))
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Lines out of bytes that are cut anywhere. A line longer than the limit is cut off.
#[derive(Debug, Default)]
pub(super) struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// The longest path of Linux, escaped, and some.
    const LIMIT: usize = 32 << 10;

    /// Adds bytes; gives what is whole now, without line ends.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut whole = Vec::new();
        let mut parts = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            let room = Lines::LIMIT.saturating_sub(self.begun.len()).min(part.len());
            self.begun.extend(part.iter().take(room));
            if parts.peek().is_some() {
                whole.push(std::mem::take(&mut self.begun));
            }
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_with_the_marker_are_answers() {
        let marker = Marker::new([0xa5; 16]);
        let text = format!("{marker}");
        assert_eq!(text, format!("@herder-{}", "a5".repeat(16)));
        assert_eq!(marker.answer(format!("{text} got 7\r").as_bytes()), Some(&b"got 7"[..]));
        assert_eq!(marker.answer(format!("{text} got 7").as_bytes()), Some(&b"got 7"[..]));
        assert_eq!(marker.answer(format!("x{text} got 7").as_bytes()), None);
        assert_eq!(marker.answer(format!("{text}got 7").as_bytes()), None);
        assert_eq!(marker.answer(b"@herder- got 7"), None);
    }

    #[test]
    fn lines_are_found_however_they_are_cut() {
        let mut lines = Lines::default();
        assert_eq!(lines.feed(b"on"), Vec::<Vec<u8>>::new());
        assert_eq!(lines.feed(b"e\ntwo\n\nth"), [&b"one"[..], b"two", b""]);
        assert_eq!(lines.feed(b"ree\n"), [b"three"]);
    }

    #[test]
    fn a_line_without_an_end_costs_no_more_than_the_limit() {
        let mut lines = Lines::default();
        for _ in 0..100 {
            lines.feed(&[b'x'; 10_000]);
        }
        assert!(lines.begun.capacity() <= 2 * Lines::LIMIT, "{}", lines.begun.capacity());
        assert_eq!(lines.feed(b"\nnext\n").last().unwrap(), b"next");
    }
}
