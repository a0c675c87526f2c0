//! What is to be done about a target's output, by what the service says of it and what lies in the bucket.

use herder_core::event::Streams;
use herder_core::fanout::Outcome;

/// The agent's marker between the two streams, as far as it is sure to be there (facts §4.3).
const MARKER: &str = "----------ERROR-------";

/// Bytes of what a target's streams have in the bucket. An empty stream has no object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) stdout: Option<u64>,
    pub(super) stderr: Option<u64>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// What the service said is all of it, byte for byte.
    Stands,
    /// The objects have it.
    Fetch,
    /// Something that was written is not in the bucket yet.
    Wait,
    /// Whether everything is there can't be told before the service has said which stream had what.
    Ask,
}

/// Decides. The sizes in a listing show without a download whether the service's text is complete: most outputs are short.
pub(super) fn step(known: &Outcome, there: Sizes) -> Step {
    let (Some(stdout), Some(stderr)) = (text(known, true), text(known, false)) else { return Step::Fetch };
    let is_there = |size: Option<u64>| size.unwrap_or(0);
    let fits = |text: &Text, size| text.is_clean && text.len == is_there(size);
    if !known.truncated && fits(&stdout, there.stdout) && fits(&stderr, there.stderr) {
        return Step::Stands;
    }
    let is_late = |text: &Text, size: Option<u64>| text.len > 0 && size.is_none();
    match (known.streams, there.stdout, there.stderr) {
        (Streams::Exact | Streams::SplitByMarker, ..)
            if is_late(&stdout, there.stdout) || is_late(&stderr, there.stderr) =>
        {
            Step::Wait
        }
        (Streams::Exact | Streams::SplitByMarker, ..) | (Streams::Merged, Some(_), Some(_)) => Step::Fetch,
        (Streams::Merged, None, None) => Step::Wait,
        (Streams::Merged, None, Some(_)) => Step::Ask,
        (Streams::Merged, Some(size), None) => {
            // More text than there are bytes: something else is in it.
            let has_more = !known.truncated && stdout.least > size;
            if has_more || stdout.may_hold_stderr { Step::Ask } else { Step::Fetch }
        }
    }
}

struct Text {
    len: u64,
    /// Bytes that were written at the least: what is no UTF-8 has become a longer sign.
    least: u64,
    /// Whether it is what was written, not a replacement.
    is_clean: bool,
    may_hold_stderr: bool,
}

fn text(known: &Outcome, is_stdout: bool) -> Option<Text> {
    let body = if is_stdout { &known.stdout } else { &known.stderr };
    let text = String::from_utf8_lossy(body.in_memory()?);
    let replaced = text.matches('\u{fffd}').count() as u64;
    Some(Text {
        len: body.len(),
        least: body.len().saturating_sub(2 * replaced),
        is_clean: replaced == 0,
        may_hold_stderr: text.contains(MARKER) || ends_in_marker(&text),
    })
}

/// Whether the text was cut inside the marker.
fn ends_in_marker(text: &str) -> bool {
    let last = text.rsplit('\n').next().unwrap_or_default();
    last.len() >= 4 && MARKER.starts_with(last)
}

#[cfg(test)]
mod tests {
    use herder_core::verdict::Verdict;

    use super::*;

    fn known(stdout: &str, stderr: &str, streams: Streams) -> Outcome {
        Outcome { stdout: stdout.into(), stderr: stderr.into(), streams, ..Outcome::bare(Verdict::Ok, None) }
    }

    fn sizes(stdout: u64, stderr: u64) -> Sizes {
        let some = |size| Some(size).filter(|size| *size > 0);
        Sizes { stdout: some(stdout), stderr: some(stderr) }
    }

    #[test]
    fn sizes_that_fit_cost_no_download() {
        assert_eq!(step(&known("", "", Streams::Exact), sizes(0, 0)), Step::Stands);
        assert_eq!(step(&known("up\n", "", Streams::Merged), sizes(3, 0)), Step::Stands);
        assert_eq!(step(&known("a", "bc", Streams::SplitByMarker), sizes(1, 2)), Step::Stands);
        // The sum fits and the parts don't: a marker that the program printed.
        assert_eq!(step(&known("a", "bc", Streams::SplitByMarker), sizes(2, 1)), Step::Fetch);
        // A replacement sign may stand for three bytes.
        assert_eq!(step(&known("\u{fffd}", "", Streams::Merged), sizes(3, 0)), Step::Fetch);
        let cut = Outcome { truncated: true, ..known("up", "", Streams::Exact) };
        assert_eq!(step(&cut, sizes(2, 0)), Step::Fetch);
    }

    #[test]
    fn what_was_written_and_is_not_there_is_waited_for() {
        assert_eq!(step(&known("up\n", "", Streams::Merged), sizes(0, 0)), Step::Wait);
        assert_eq!(step(&known("a", "b", Streams::SplitByMarker), sizes(1, 0)), Step::Wait);
        assert_eq!(step(&known("a", "b", Streams::Exact), sizes(0, 1)), Step::Wait);
        let cut = Outcome { truncated: true, ..known("a", "", Streams::Exact) };
        assert_eq!(step(&cut, sizes(9, 0)), Step::Fetch);
    }

    #[test]
    fn a_stream_that_may_be_late_is_asked_for() {
        let cut = |text: &str| Outcome { truncated: true, ..known(text, "", Streams::Merged) };
        assert_eq!(step(&cut("long\n---Output truncated---"), sizes(9_000, 0)), Step::Fetch);
        for text in ["x\n----------ERR", "x\n----------ERROR-------\ny\n----------ERROR-------\nz"] {
            assert_eq!(step(&cut(text), sizes(9_000, 0)), Step::Ask, "{text}");
            assert_eq!(step(&cut(text), sizes(9_000, 2)), Step::Fetch);
        }
        // Another marker than the documented one.
        let other = known("out\n-----STDERR-----\nerr", "", Streams::Merged);
        assert_eq!(step(&other, sizes(3, 0)), Step::Ask);
        assert_eq!(step(&other, sizes(0, 3)), Step::Ask);
        assert_eq!(step(&other, sizes(3, 3)), Step::Fetch);
        // Bytes that are no UTF-8 are no sign of anything else.
        assert_eq!(step(&known("\u{fffd}\u{fffd}x", "", Streams::Merged), sizes(3, 0)), Step::Fetch);
    }
}
