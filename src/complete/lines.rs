//! Sorted lines of `VALUE<TAB>ABOUT`, searched without reading them all.

/// More bytes of matching lines than this are shown by their stems: nobody reads thousands of names.
pub(super) const MOST_BYTES: usize = 16 * 1024;

/// One thing that a Tab may insert.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    /// What is inserted.
    pub(super) value: String,
    /// What it is, for shells that show it.
    pub(super) about: String,
    /// It is not complete: typing goes on behind it.
    pub(super) is_partial: bool,
}

/// The lines whose value begins so. The lines are sorted by their bytes, and each has its end.
pub(super) fn beginning<'a>(lines: &'a str, prefix: &str) -> &'a str {
    let from = first(lines, |value| value.as_bytes() >= prefix.as_bytes());
    let rest = lines.get(from..).unwrap_or_default();
    let to = first(rest, |value| !value.starts_with(prefix));
    rest.get(..to).unwrap_or_default()
}

/// Where the first line begins that holds; every line before it doesn't, every one behind it does.
fn first(lines: &str, holds: impl Fn(&str) -> bool) -> usize {
    let (mut low, mut high) = (0, lines.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let bytes = lines.as_bytes();
        let start =
            bytes.get(..middle).and_then(|b| b.iter().rposition(|b| *b == b'\n')).map_or(0, |n| n + 1);
        let start = start.max(low);
        let line = line_at(lines, start);
        if holds(value(line)) {
            high = start;
        } else {
            low = start + line.len() + 1;
        }
    }
    low.min(lines.len())
}

fn line_at(lines: &str, start: usize) -> &str {
    lines.get(start..).unwrap_or_default().split('\n').next().unwrap_or_default()
}

fn value(line: &str) -> &str {
    line.split_once('\t').map_or(line, |(value, _)| value)
}

/// What begins so: each of them, or where that is too much, how they go on.
pub(super) fn offered(lines: &str, prefix: &str, most_bytes: usize) -> Vec<Found> {
    let matching = beginning(lines, prefix);
    if matching.len() <= most_bytes {
        return matching.lines().map(whole).collect();
    }
    let mut rest = matching;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let line = line_at(rest, 0);
        let taken = match value(line).get(prefix.len()..).and_then(|more| more.chars().next()) {
            // It is the prefix itself.
            None => {
                found.push(whole(line));
                line.len() + 1
            }
            Some(next) => {
                let begun = format!("{prefix}{next}");
                let group = beginning(rest, &begun);
                found.push(stem(group));
                group.len().max(line.len() + 1)
            }
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    found
}

fn whole(line: &str) -> Found {
    let (value, about) = line.split_once('\t').unwrap_or((line, ""));
    Found { value: value.to_owned(), about: about.to_owned(), is_partial: false }
}

/// What all lines of a group begin with: what its first and its last have in common, since they are sorted.
fn stem(group: &str) -> Found {
    let first = line_at(group, 0);
    let last = group.trim_end_matches('\n').rsplit('\n').next().unwrap_or_default();
    if first == last {
        return whole(first);
    }
    let same = value(first).chars().zip(value(last).chars()).take_while(|(a, b)| a == b);
    Found { value: same.map(|(a, _)| a).collect(), about: String::new(), is_partial: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(found: &[Found]) -> Vec<(&str, bool)> {
        found.iter().map(|f| (f.value.as_str(), f.is_partial)).collect()
    }

    #[test]
    fn lines_are_found_by_how_they_begin() {
        let lines = "a\t1\nab\t2\nabc\t3\nb\t4\né\t5\n";
        for (prefix, expected) in [
            ("", "a ab abc b é"),
            ("a", "a ab abc"),
            ("ab", "ab abc"),
            ("abcd", ""),
            ("b", "b"),
            ("0", ""),
            ("z", ""),
            ("é", "é"),
        ] {
            let found = offered(lines, prefix, MOST_BYTES);
            let values: Vec<&str> = found.iter().map(|f| f.value.as_str()).collect();
            assert_eq!(values.join(" "), expected, "{prefix:?}");
        }
        assert_eq!(offered(lines, "abc", MOST_BYTES)[0].about, "3");
        assert!(offered("", "x", MOST_BYTES).is_empty());
    }

    #[test]
    fn thousands_are_offered_by_their_stems() {
        let mut values: Vec<String> = (1..=5000).map(|n| format!("web-{n}\ti-{n:017}\n")).collect();
        values.extend(["db-1\tx\n".to_owned(), "web\ty\n".to_owned()]);
        values.sort();
        let lines = values.concat();
        assert_eq!(names(&offered(&lines, "", MOST_BYTES)), [("db-1", false), ("web", true)]);
        assert_eq!(names(&offered(&lines, "web", MOST_BYTES)), [("web", false), ("web-", true)]);
        let digits = offered(&lines, "web-", MOST_BYTES);
        assert_eq!(digits.len(), 9);
        assert_eq!((digits[0].value.as_str(), digits[0].is_partial), ("web-1", true));
        assert_eq!(offered(&lines, "web-499", MOST_BYTES).len(), 11, "web-499 and its ten");
    }
}
