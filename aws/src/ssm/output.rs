//! The agent's merged output, taken apart again.
//!
//! `ListCommandInvocations` brings at most 2,500 characters of both streams in one text: stdout, a marker line, stderr.
//! The marker's text is known from the agent's source, not from documentation, and a program may print the same text.
//! So the streams are separated only where that is unambiguous.

use herder_core::event::Streams;

/// What the agent puts between stdout and stderr.
const MARKER: &str = "\n----------ERROR-------\n";
/// What the agent puts where it cut.
const CUTS: [&str; 3] = ["---Output truncated---", "---Error truncated----", "--output truncated--"];
/// Characters that the service keeps of a step's output.
const KEPT: usize = 2500;

/// One step's output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SplitOutput {
    /// Standard output; everything, where the streams couldn't be separated.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// What is known of their separation.
    pub streams: Streams,
    /// Whether the agent or the service cut something off.
    pub truncated: bool,
}

/// Splits a step's output at the agent's marker. Without a marker there was nothing on stderr, or the marker was cut off
/// or is another one: that can't be told apart, so it counts as merged; so does a text with more than one.
#[must_use]
pub fn split_output(output: &str) -> SplitOutput {
    // A step that wrote nothing to stdout: the marker's own line break may be gone.
    let at_start = output.starts_with(&MARKER[1..]);
    let markers = output.matches(MARKER).count() + usize::from(at_start);
    let merged = SplitOutput {
        stdout: output.to_owned(),
        stderr: String::new(),
        streams: if output.is_empty() { Streams::Exact } else { Streams::Merged },
        truncated: was_cut(output, KEPT) || CUTS.iter().any(|cut| output.contains(&format!("\n{cut}\n"))),
    };
    if markers != 1 {
        return merged;
    }
    let halves = if at_start {
        output.strip_prefix(&MARKER[1..]).map(|rest| ("", rest))
    } else {
        output.split_once(MARKER)
    };
    let Some((stdout, stderr)) = halves else { return merged };
    SplitOutput {
        stdout: stdout.to_owned(),
        stderr: stderr.to_owned(),
        streams: Streams::SplitByMarker,
        truncated: was_cut(stdout, KEPT) || was_cut(stderr, KEPT) || merged.truncated,
    }
}

/// Whether a stream of which at most `kept` characters are kept was cut: it ends with a mark that says so, or it is as
/// long as it can be.
#[must_use]
pub fn was_cut(stream: &str, kept: usize) -> bool {
    let end = stream.trim_end_matches('\n');
    CUTS.iter().any(|cut| end.ends_with(cut)) || (stream.len() >= kept && stream.chars().count() >= kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(output: &str) -> (String, String, Streams, bool) {
        let made = split_output(output);
        (made.stdout, made.stderr, made.streams, made.truncated)
    }

    #[test]
    fn one_marker_splits() {
        assert_eq!(
            parts("out\n\n----------ERROR-------\nerr\n"),
            ("out\n".into(), "err\n".into(), Streams::SplitByMarker, false)
        );
        assert_eq!(
            parts("\n----------ERROR-------\nerr"),
            (String::new(), "err".into(), Streams::SplitByMarker, false)
        );
        assert_eq!(
            parts("----------ERROR-------\nerr"),
            (String::new(), "err".into(), Streams::SplitByMarker, false)
        );
    }

    #[test]
    fn none_or_several_stay_merged() {
        assert_eq!(parts(""), (String::new(), String::new(), Streams::Exact, false));
        assert_eq!(parts("up 3 days\n"), ("up 3 days\n".into(), String::new(), Streams::Merged, false));
        let twice = "a\n----------ERROR-------\nb\n----------ERROR-------\nc";
        assert_eq!(parts(twice), (twice.into(), String::new(), Streams::Merged, false));
        let start_and_later = "----------ERROR-------\nb\n----------ERROR-------\nc";
        assert_eq!(parts(start_and_later).2, Streams::Merged);
        // Not on a line of its own: a program's text.
        assert_eq!(parts("x ----------ERROR-------\n").2, Streams::Merged);
        // The service cut in the middle of the marker.
        assert_eq!(parts("out\n----------ERR").2, Streams::Merged);
    }

    #[test]
    fn cuts_are_seen() {
        assert!(parts("out\n---Output truncated---\n----------ERROR-------\nerr").3);
        assert!(parts("out\n----------ERROR-------\nerr\n---Error truncated----").3);
        assert!(parts("out\n---Output truncated---").3);
        assert!(parts(&"x".repeat(2500)).3);
        assert!(!parts(&"x".repeat(2499)).3);
        // Characters count, not bytes.
        assert!(!parts(&"ä".repeat(1250)).3);
        assert!(was_cut("…--output truncated--", 24_000));
        assert!(!was_cut("--output truncated-- is what it said", 24_000));
    }

    #[test]
    fn nothing_is_lost_whatever_comes() {
        for text in
            ["\n", "\u{0}\u{fffd}\n----------ERROR-------\n\u{1b}[31m", "----------ERROR-------\n", MARKER]
        {
            let made = split_output(text);
            assert!(made.stdout.len() + made.stderr.len() + MARKER.len() >= text.len(), "{text:?}");
        }
    }
}
