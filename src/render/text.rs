//! Text as it is safe and straight to show: control characters made visible, widths, TSV, times.

use std::borrow::Cow;
use std::io::{self, BufWriter, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Characters that would move the cursor, change the terminal or the reading direction, or hide, in a form that
/// can be seen: `^[`, `^M`, `<U+202E>`. Tabs stay.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    replaced(text, |c| c != '\t' && is_hidden(c))
}

/// The same for a cell of a table, where tabs and line ends would break the row too.
pub(crate) fn visible_cell(text: &str) -> Cow<'_, str> {
    replaced(text, is_hidden)
}

/// The same for text of several lines.
pub(crate) fn visible_lines(text: &str) -> Cow<'_, str> {
    replaced(text, |c| !matches!(c, '\t' | '\n') && is_hidden(c))
}

fn replaced(text: &str, hidden: impl Fn(char) -> bool) -> Cow<'_, str> {
    if is_printable(text) || !text.chars().any(&hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if !hidden(c) => out.push(c),
            '\u{7f}' => out.push_str("^?"),
            '\0'..='\u{1f}' => {
                out.push('^');
                out.extend(u8::try_from(c).map(|b| char::from(b + 0x40)));
            }
            c => out.push_str(&format!("<U+{:04X}>", u32::from(c))),
        }
    }
    Cow::Owned(out)
}

/// The common case, decided quickly.
fn is_printable(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' '..=b'~'))
}

fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Columns that the text takes on a terminal.
pub(crate) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The text, cut to so many columns with `…` at its end where it is longer.
pub(crate) fn fit(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let more = c.width().unwrap_or(0);
        if used + more + 1 > columns {
            break;
        }
        used += more;
        out.push(c);
    }
    out.push('…');
    Cow::Owned(out)
}

/// The signs of herder's own that not every terminal has, as ASCII.
pub(crate) fn ascii(text: &str) -> String {
    text.replace('…', "...").replace('×', "x")
}

/// `1 call`, `3 calls`.
pub(crate) fn counted(count: impl TryInto<u64>, what: &str) -> String {
    match count.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

/// A field of TSV: tab, CR and LF as `\t` `\r` `\n`, other bytes as they are. A backslash stays what it is: JSON in a pipe must
/// remain JSON.
pub(crate) fn tsv(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    for byte in field {
        match byte {
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\n' => out.extend_from_slice(b"\\n"),
            other => out.push(*other),
        }
    }
    out
}

/// JSON on one line in which nothing can act on a terminal: what JSON itself leaves as it is becomes `\\u009b`.
pub(crate) fn write_json(out: impl Write, value: &(impl Serialize + ?Sized)) -> io::Result<()> {
    struct Safe;
    impl serde_json::ser::Formatter for Safe {
        fn write_string_fragment<W: Write + ?Sized>(
            &mut self,
            out: &mut W,
            fragment: &str,
        ) -> io::Result<()> {
            if is_printable(fragment) {
                return out.write_all(fragment.as_bytes());
            }
            let mut rest = fragment;
            while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_hidden(*c)) {
                let (before, after) = rest.split_at(at);
                out.write_all(before.as_bytes())?;
                c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(out, "\\u{unit:04x}"))?;
                rest = after.strip_prefix(c).unwrap_or_default();
            }
            out.write_all(rest.as_bytes())
        }
    }
    // It is written in crumbs.
    let mut out = BufWriter::with_capacity(16 * 1024, out);
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, Safe))?;
    out.flush()
}

/// The same as bytes, for what is short.
pub(crate) fn json(value: &(impl Serialize + ?Sized)) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    write_json(&mut text, value)?;
    Ok(text)
}

/// Lines of an output without their ends (LF or CRLF).
pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let is_empty = bytes.is_empty();
    body.split(|b| *b == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l)).filter(move |_| !is_empty)
}

/// Splits an output that comes in pieces into the [`lines`] of the whole.
#[derive(Debug, Default)]
pub(crate) struct LineSplit {
    /// A line has begun.
    is_open: bool,
    /// The last byte was a CR, which is part of the line's end if it is the end.
    has_cr: bool,
}

impl LineSplit {
    /// Hands over parts of lines, without line ends; whether a part is the line's last is told with it.
    pub(crate) fn push(
        &mut self,
        piece: &[u8],
        mut take: impl FnMut(&[u8], bool) -> io::Result<()>,
    ) -> io::Result<()> {
        for part in piece.split_inclusive(|b| *b == b'\n') {
            let (line, is_end) = part.strip_suffix(b"\n").map_or((part, false), |line| (line, true));
            if self.has_cr && !line.is_empty() {
                take(b"\r", false)?;
            }
            let stripped = line.strip_suffix(b"\r");
            self.has_cr = !is_end && (stripped.is_some() || (self.has_cr && line.is_empty()));
            self.is_open = !is_end;
            take(stripped.unwrap_or(line), is_end)?;
        }
        Ok(())
    }

    /// The last line may have no end.
    pub(crate) fn finish(self, mut take: impl FnMut(&[u8], bool) -> io::Result<()>) -> io::Result<()> {
        if self.is_open { take(b"", true) } else { Ok(()) }
    }
}

/// An instant for people: `2026-11-21 09:30:00 +01:00`.
pub(crate) fn for_people(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_unseen() {
        let evil = "a\x1b[31mred\x07\r\x7f\u{9b}2J\u{202e}txt\u{200b}\tend";
        let seen = visible(evil);
        assert_eq!(seen, "a^[[31mred^G^M^?<U+009B>2J<U+202E>txt<U+200B>\tend");
        assert_eq!(visible_cell("a\tb\nc"), "a^Ib^Jc");
        assert!(matches!(visible("plain é 漢字"), Cow::Borrowed(_)));
    }

    #[test]
    fn widths() {
        assert_eq!((width("漢字"), width("é")), (4, 1));
        assert_eq!(fit("漢字漢字", 5), "漢字…");
        assert_eq!(fit("short", 5), "short");
        assert_eq!(fit("longer", 5), "long…");
    }

    #[test]
    fn fields_and_lines() {
        assert_eq!(tsv(b"a\tb\\\r\n\xff"), b"a\\tb\\\\r\\n\xff");
        let split = |text: &str| {
            lines(text.as_bytes()).map(|l| String::from_utf8_lossy(l).into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(split("a\r\n\nb\n"), ["a", "", "b"]);
        assert_eq!(split("a"), ["a"]);
        assert_eq!(split("\n"), [""]);
        assert!(split("").is_empty());
    }

    #[test]
    fn lines_in_pieces_are_those_of_the_whole() {
        let bytes = *b"a\r\n\r\n\rb\r\r\n\n\nc\r";
        for end in 0..=bytes.len() {
            let whole: Vec<Vec<u8>> = lines(&bytes[..end]).map(<[u8]>::to_vec).collect();
            for size in 1..=end.max(1) {
                let (mut split, mut made, mut line) = (LineSplit::default(), Vec::new(), Vec::new());
                let mut take = |part: &[u8], is_end: bool| {
                    line.extend_from_slice(part);
                    if is_end {
                        made.push(std::mem::take(&mut line));
                    }
                    Ok(())
                };
                for piece in bytes[..end].chunks(size) {
                    split.push(piece, &mut take).unwrap();
                }
                split.finish(&mut take).unwrap();
                assert_eq!(made, whole, "{end} bytes by {size}");
            }
        }
    }

    #[test]
    fn json_is_safe_and_equal() {
        let text = "a\u{9b}\u{7f}\u{1b}\n\u{e0041}\u{202e}é\"\\";
        let written = String::from_utf8(json(text).unwrap()).unwrap();
        assert_eq!(written, r#""a\u009b\u007f\u001b\n\udb40\udc41\u202eé\"\\""#);
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
    }

    #[test]
    fn times() {
        let zone = TimeZone::fixed(jiff::tz::Offset::constant(1));
        assert_eq!(
            for_people("2026-11-21T09:30:00.5Z".parse().unwrap(), &zone),
            "2026-11-21 10:30:00 +01:00"
        );
    }
}
