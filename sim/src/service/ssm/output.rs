//! Cuts outputs as the agent and the service do.

use crate::node_shell::Answer;

/// Most characters of `Output` in `ListCommandInvocations`: standard output, marker and standard error together.
pub(crate) const MERGED_LIMIT: usize = 2_500;
/// Most bytes of standard output and of standard error in `GetCommandInvocation`.
pub(crate) const STDOUT_LIMIT: usize = 24_000;
pub(crate) const STDERR_LIMIT: usize = 8_000;

const MARKER: &str = "\n----------ERROR-------\n";
const MARKER_VARIANT: &str = "\n-----STDERR-----\n";
const STDOUT_CUT: &str = "\n---Output truncated---";
const STDERR_CUT: &str = "\n---Error truncated----";
const STREAM_CUT: &str = "--output truncated--";

/// Both streams in one text. When both are long each gets half; otherwise the short one leaves its room to the other.
pub(crate) fn merged(answer: &Answer, variant: bool) -> String {
    let marker = match (answer.stderr.is_empty(), variant) {
        (true, _) => "",
        (false, false) => MARKER,
        (false, true) => MARKER_VARIANT,
    };
    let (out, err) = (answer.stdout.as_slice(), answer.stderr.as_slice());
    let room = MERGED_LIMIT - marker.len();
    if out.len() + err.len() <= room {
        return text(out) + marker + &text(err);
    }
    let room = room - STDOUT_CUT.len() - if err.is_empty() { 0 } else { STDERR_CUT.len() };
    let half = room / 2;
    let (out_room, err_room) = if err.len() <= half {
        (room - err.len(), err.len())
    } else if out.len() <= half {
        (out.len(), room - out.len())
    } else {
        (half, half)
    };
    let mut merged = text(&out[..out.len().min(out_room)]);
    if out.len() > out_room {
        merged.push_str(STDOUT_CUT);
    }
    merged.push_str(marker);
    merged.push_str(&text(&err[..err.len().min(err_room)]));
    if err.len() > err_room {
        merged.push_str(STDERR_CUT);
    }
    merged
}

/// One stream, cut at a limit in bytes, which may be in the middle of a character.
pub(crate) fn stream(bytes: &[u8], limit: usize) -> String {
    if bytes.len() <= limit {
        return text(bytes);
    }
    text(&bytes[..limit - STREAM_CUT.len()]) + STREAM_CUT
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(out: usize, err: usize) -> Answer {
        Answer { stdout: vec![b'o'; out], stderr: vec![b'e'; err], ..Answer::default() }
    }

    #[test]
    fn short_outputs_are_whole() {
        assert_eq!(merged(&answer(3, 0), false), "ooo");
        assert_eq!(merged(&answer(3, 2), false), "ooo\n----------ERROR-------\nee");
        assert_eq!(merged(&answer(0, 2), true), "\n-----STDERR-----\nee");
        assert_eq!(merged(&answer(2500, 0), false).len(), 2500);
    }

    #[test]
    fn long_outputs_are_cut_and_marked() {
        let one = merged(&answer(2501, 0), false);
        assert!(one.len() <= MERGED_LIMIT && one.ends_with("o\n---Output truncated---"));
        let both = merged(&answer(5000, 5000), false);
        assert!(both.len() <= MERGED_LIMIT);
        assert!(
            both.contains("o\n---Output truncated---\n----------ERROR-------\ne")
                && both.ends_with("e\n---Error truncated----")
        );
        let (out, err) = (both.matches('o').count(), both.matches('e').count());
        // The marks themselves have an o and two e.
        assert_eq!((out - 1, err - 2), (1215, 1215));
        let error = merged(&answer(10, 5000), false);
        assert!(
            error.starts_with("oooooooooo\n----------ERROR-------\neee")
                && error.ends_with("---Error truncated----")
        );
    }

    #[test]
    fn streams_are_cut_by_bytes() {
        assert_eq!(stream(b"abc", STDOUT_LIMIT), "abc");
        let cut = stream(&vec![b'x'; 30_000], STDOUT_LIMIT);
        assert_eq!(cut.len(), STDOUT_LIMIT);
        assert!(cut.ends_with("x--output truncated--"));
        let split = stream("é".repeat(20_000).as_bytes(), STDOUT_LIMIT - 1);
        assert!(split.contains('\u{FFFD}'));
        assert_eq!(stream(&[255, b'a'], 10), "\u{FFFD}a");
    }
}
