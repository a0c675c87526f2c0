//! What differs between one output and another, line by line.

use std::fmt;

use similar::{ChangeTag, TextDiff};

/// How much is compared and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiffLimits {
    /// Lines around a difference.
    pub context: usize,
    /// Bytes of each side that are compared; whole lines.
    pub max_bytes: usize,
    /// Lines of each side that are compared.
    pub max_lines: usize,
}

impl Default for DiffLimits {
    fn default() -> DiffLimits {
        DiffLimits { context: 2, max_bytes: 64 * 1024, max_lines: 2_000 }
    }
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// In both.
    Same,
    /// Only in the majority's output.
    Removed,
    /// Only in this one.
    Added,
    /// Equal lines are left out here.
    Gap,
    /// A remark of herder's, not of a node.
    Note,
}

/// A line of a diff; displayed with its marker in the first column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffLine {
    /// What it is.
    pub marker: Marker,
    /// Without its end.
    pub text: String,
}

impl DiffLine {
    fn new(marker: Marker, text: impl Into<String>) -> DiffLine {
        DiffLine { marker, text: text.into() }
    }
}

impl fmt::Display for DiffLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.marker {
            Marker::Same => write!(f, "  {}", self.text),
            Marker::Removed => write!(f, "- {}", self.text),
            Marker::Added => write!(f, "+ {}", self.text),
            Marker::Gap => write!(f, "@ {}", self.text),
            Marker::Note => write!(f, "\\ {}", self.text),
        }
    }
}

/// Compares `other` with `majority`. Equal texts give no lines.
#[must_use]
pub fn diff(majority: &str, other: &str, limits: DiffLimits) -> Vec<DiffLine> {
    if majority == other {
        return Vec::new();
    }
    let (old, old_is_cut) = cut(majority, limits);
    let (new, new_is_cut) = cut(other, limits);
    let text_diff = TextDiff::from_lines(old, new);
    let mut lines = Vec::new();
    let mut shown_to = 0;
    for group in text_diff.grouped_ops(limits.context) {
        if let Some(first) = group.first() {
            let skipped = first.old_range().start.saturating_sub(shown_to);
            if skipped > 0 {
                lines.push(DiffLine::new(Marker::Gap, format!("{skipped} equal lines")));
            }
        }
        for op in group {
            // An insertion's place in the old text is not reliable in `similar`.
            shown_to = shown_to.max(op.old_range().end);
            lines.extend(text_diff.iter_changes(&op).map(|change| line(change.tag(), change.value())));
        }
    }
    let skipped = text_diff.old_slices().len().saturating_sub(shown_to);
    if skipped > 0 && !lines.is_empty() {
        lines.push(DiffLine::new(Marker::Gap, format!("{skipped} equal lines")));
    }
    if old.trim_end_matches('\n') == new.trim_end_matches('\n') && old != new {
        lines = vec![DiffLine::new(Marker::Note, "equal but for line ends at the end")];
    }
    if old_is_cut || new_is_cut {
        let what =
            format!("only the first {} lines or {} bytes were compared", limits.max_lines, limits.max_bytes);
        lines.push(DiffLine::new(Marker::Note, what));
    }
    lines
}

fn line(tag: ChangeTag, text: &str) -> DiffLine {
    let marker = match tag {
        ChangeTag::Equal => Marker::Same,
        ChangeTag::Delete => Marker::Removed,
        ChangeTag::Insert => Marker::Added,
    };
    let text = text.strip_suffix('\n').unwrap_or(text);
    DiffLine::new(marker, text.strip_suffix('\r').unwrap_or(text))
}

/// The part that is compared, cut at the end of a line, or within one that is too long by itself.
fn cut(text: &str, limits: DiffLimits) -> (&str, bool) {
    let lines_end =
        text.match_indices('\n').nth(limits.max_lines.saturating_sub(1)).map_or(text.len(), |(at, _)| at + 1);
    if lines_end <= limits.max_bytes {
        return (text.get(..lines_end).unwrap_or(text), lines_end < text.len());
    }
    let end = text.floor_char_boundary(limits.max_bytes);
    let head = text.get(..end).unwrap_or_default();
    (head.rfind('\n').and_then(|at| head.get(..=at)).unwrap_or(head), true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(a: &str, b: &str) -> String {
        diff(a, b, DiffLimits { context: 1, max_bytes: 1000, max_lines: 20 })
            .iter()
            .map(|line| format!("{line}\n"))
            .collect()
    }

    #[test]
    fn markers_and_gaps() {
        assert_eq!(shown("a\n", "a\n"), "");
        let a = "1\n2\n3\n4\n5\n6\n";
        assert_eq!(
            shown(a, "1\n2\n3\nfour\n5\n6\n"),
            "@ 2 equal lines\n  3\n- 4\n+ four\n  5\n@ 1 equal lines\n"
        );
        assert_eq!(shown("", "x\n"), "+ x\n");
        assert_eq!(shown("x\r\n", "y\r\n"), "- x\n+ y\n");
        assert_eq!(shown("x", "x\n"), "\\ equal but for line ends at the end\n");
    }

    #[test]
    fn large_ones_are_cut_with_a_note() {
        let many = "line\n".repeat(100);
        assert_eq!(
            shown(&many, &format!("{many}more\n")),
            "\\ only the first 20 lines or 1000 bytes were compared\n"
        );
        let long = "é".repeat(5_000);
        assert!(shown(&long, "x").ends_with("bytes were compared\n"));
    }

    proptest! {
        #[test]
        fn applying_it_gives_the_other(a in "[ab\n]{0,20}", b in "[ab\n]{0,20}") {
            let lines = diff(&a, &b, DiffLimits { context: 100, ..DiffLimits::default() });
            let side = |without: Marker| -> String {
                lines.iter().filter(|l| l.marker != without).map(|l| format!("{}\n", l.text)).collect()
            };
            if !lines.is_empty() && lines.iter().all(|l| l.marker != Marker::Note) {
                let ended = |text: &str| if text.is_empty() || text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") };
                prop_assert_eq!(side(Marker::Added), ended(&a));
                prop_assert_eq!(side(Marker::Removed), ended(&b));
            }
        }
    }
}
