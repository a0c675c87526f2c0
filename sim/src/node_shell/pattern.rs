//! Patterns of the shell: `*`, `?`, `[a-z]`, and a backslash before what is literal.

/// True where a text fits a pattern as a whole.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        if pattern.get(p) == Some(&'*') {
            star = Some((p + 1, t));
            p += 1;
            continue;
        }
        let fits = match (pattern.get(p), text.get(t)) {
            (None, None) => return true,
            (Some(_), Some(letter)) => one(&pattern, p, *letter),
            (None, Some(_)) | (Some(_), None) => None,
        };
        match (fits, star) {
            (Some(next), _) => {
                p = next;
                t += 1;
            }
            (None, Some((after, from))) if from < text.len() => {
                p = after;
                t = from + 1;
                star = Some((after, from + 1));
            }
            (None, _) => return false,
        }
    }
}

/// Where the pattern goes on behind a letter that fits.
fn one(pattern: &[char], at: usize, letter: char) -> Option<usize> {
    match pattern.get(at)? {
        '?' => Some(at + 1),
        '\\' => (pattern.get(at + 1) == Some(&letter)).then_some(at + 2),
        '[' => match bracket(pattern, at, letter) {
            Some((fits, next)) => fits.then_some(next),
            None => (letter == '[').then_some(at + 1),
        },
        plain => (*plain == letter).then_some(at + 1),
    }
}

/// What a bracket says to a letter, and where it ends; `None` where it has no end.
fn bracket(pattern: &[char], at: usize, letter: char) -> Option<(bool, usize)> {
    let mut at = at + 1;
    let negated = matches!(pattern.get(at), Some('!' | '^'));
    at += usize::from(negated);
    let (first, mut fits) = (at, false);
    loop {
        let low = match pattern.get(at)? {
            ']' if at > first => return Some((fits != negated, at + 1)),
            '[' if pattern.get(at + 1) == Some(&':') => {
                let end =
                    (at + 2..pattern.len()).find(|end| pattern.get(*end..end + 2) == Some(&[':', ']']))?;
                let class: String = pattern.get(at + 2..end)?.iter().collect();
                fits |= is_of(&class, letter);
                at = end + 2;
                continue;
            }
            '\\' => {
                at += 1;
                *pattern.get(at)?
            }
            plain => *plain,
        };
        at += 1;
        let high = match (pattern.get(at), pattern.get(at + 1)) {
            (Some('-'), Some(high)) if *high != ']' => {
                at += 2;
                *high
            }
            _ => low,
        };
        fits |= (low..=high).contains(&letter);
    }
}

/// `[:digit:]` and the others, for letters of ASCII.
pub(super) fn is_of(class: &str, letter: char) -> bool {
    match class {
        "alpha" => letter.is_alphabetic(),
        "digit" => letter.is_ascii_digit(),
        "alnum" => letter.is_alphanumeric(),
        "upper" => letter.is_uppercase(),
        "lower" => letter.is_lowercase(),
        "space" => letter.is_whitespace(),
        "blank" => matches!(letter, ' ' | '\t'),
        "punct" => letter.is_ascii_punctuation(),
        "cntrl" => letter.is_control(),
        "xdigit" => letter.is_ascii_hexdigit(),
        "print" => !letter.is_control(),
        "graph" => !letter.is_control() && !letter.is_whitespace(),
        _ => false,
    }
}

/// A text in which nothing is special.
pub(super) fn literal(text: &str) -> String {
    text.chars()
        .flat_map(|letter| {
            matches!(letter, '*' | '?' | '[' | '\\').then_some('\\').into_iter().chain([letter])
        })
        .collect()
}

/// A value without the shortest or longest beginning that fits.
pub(super) fn without_prefix<'a>(value: &'a str, pattern: &str, longest: bool) -> &'a str {
    let mut ends: Vec<usize> = value.char_indices().map(|(at, _)| at).chain([value.len()]).collect();
    if longest {
        ends.reverse();
    }
    let end = ends.into_iter().find(|end| value.get(..*end).is_some_and(|part| matches(pattern, part)));
    end.and_then(|end| value.get(end..)).unwrap_or(value)
}

/// A value without the shortest or longest end that fits.
pub(super) fn without_suffix<'a>(value: &'a str, pattern: &str, longest: bool) -> &'a str {
    let mut starts: Vec<usize> = value.char_indices().map(|(at, _)| at).chain([value.len()]).collect();
    if !longest {
        starts.reverse();
    }
    let start =
        starts.into_iter().find(|start| value.get(*start..).is_some_and(|part| matches(pattern, part)));
    start.and_then(|start| value.get(..start)).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abb", false),
            ("?", "é", true),
            ("?", "", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]a]", "]", true),
            ("[a", "[a", true),
            ("[[:digit:]]*", "7up", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("*.tar.gz", "a.b.tar.gz", true),
            ("a**b", "ab", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
        assert!(matches(&literal("a*[b]\\?"), "a*[b]\\?") && !matches(&literal("*"), "x"));
    }

    #[test]
    fn ends_are_cut() {
        assert_eq!(without_prefix("a/b/c", "*/", false), "b/c");
        assert_eq!(without_prefix("a/b/c", "*/", true), "c");
        assert_eq!(without_suffix("a.tar.gz", ".*", false), "a.tar");
        assert_eq!(without_suffix("a.tar.gz", ".*", true), "a");
        assert_eq!(without_suffix("abc", "x", true), "abc");
    }
}
