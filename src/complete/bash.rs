//! bash's command line: its words, and what readline takes for the one that is typed.
//!
//! readline breaks words at every character of `COMP_WORDBREAKS`, `:` `=` and `@` among them, and replaces only what stands behind the
//! last. So the line is read here, and each candidate is cut where readline begins.

/// What is typed, up to the cursor.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The finished words, the command's name first.
    pub(super) words: Vec<String>,
    /// The word at the cursor, without its quotes.
    pub(super) current: String,
    /// How much of it readline leaves alone, in bytes of `current`.
    kept: usize,
    /// The quote that is open at the cursor.
    quote: Option<char>,
}

impl Line {
    /// Reads a line as bash's tokenizer does; substitutions are text.
    pub(super) fn parse(line: &str, breaks: &str) -> Line {
        let mut parsed = Line { words: Vec::new(), current: String::new(), kept: 0, quote: None };
        let mut is_word = false;
        let mut chars = line.chars();
        while let Some(c) = chars.next() {
            match (parsed.quote, c) {
                (None, ' ' | '\t' | '\n') => {
                    if is_word {
                        parsed.words.push(std::mem::take(&mut parsed.current));
                    }
                    (is_word, parsed.kept) = (false, 0);
                    continue;
                }
                (None, '\'' | '"') => {
                    parsed.quote = Some(c);
                    parsed.kept = parsed.current.len();
                }
                (Some(open), c) if c == open => parsed.quote = None,
                (None, '\\') => parsed.current.extend(chars.next()),
                (Some('"'), '\\') => match chars.next() {
                    Some(next @ ('"' | '\\' | '$' | '`')) => parsed.current.push(next),
                    next => parsed.current.extend(std::iter::once('\\').chain(next)),
                },
                (None, c) => {
                    let before = parsed.current.len();
                    parsed.current.push(c);
                    if breaks.contains(c) {
                        // What may be a host's or a variable's name is replaced with its sign.
                        parsed.kept = if matches!(c, '@' | '$') { before } else { parsed.current.len() };
                    }
                }
                (Some(_), c) => parsed.current.push(c),
            }
            is_word = true;
        }
        parsed
    }

    /// What bash is to insert for a candidate; none where it doesn't begin as what is typed.
    pub(super) fn insertion(&self, candidate: &str) -> Option<String> {
        let kept = self.current.get(..self.kept)?;
        let rest = candidate.strip_prefix(kept)?;
        Some(match self.quote {
            Some('\'') => rest.replace('\'', "'\\''"),
            Some(_) => escaped(rest, "\"\\$`"),
            // A tilde leads home as long as nobody escapes it.
            None => escaped(rest, " \t\"'\\$`&|;<>()*?[]{}!#"),
        })
    }
}

fn escaped(text: &str, special: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if special.contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    const BREAKS: &str = " \t\n\"'@><=;|&(:";

    fn inserted(line: &str, candidate: &str) -> String {
        Line::parse(line, BREAKS).insertion(candidate).unwrap_or_else(|| "(none)".to_owned())
    }

    #[test]
    fn words_are_told_as_bash_tells_them() {
        let line = Line::parse("herder exec -t 'tag:a=b and az:c' --exclude web\\ 1 \"x\\\"y\" ta", BREAKS);
        assert_eq!(line.words, ["herder", "exec", "-t", "tag:a=b and az:c", "--exclude", "web 1", "x\"y"]);
        assert_eq!(line.current, "ta");
        let empty = Line::parse("herder exec -t ", BREAKS);
        assert_eq!((empty.words.len(), empty.current.as_str()), (3, ""));
        assert_eq!(Line::parse("herder ''", BREAKS).words, ["herder"]);
        assert_eq!(Line::parse("herder '' x", BREAKS).words, ["herder", ""]);
    }

    #[test]
    fn only_what_readline_replaces_is_given() {
        assert_eq!(inserted("herder exec -t we", "web-1"), "web-1");
        assert_eq!(inserted("herder exec -t tag:en", "tag:env="), "env=");
        assert_eq!(inserted("herder exec -t tag:env=", "tag:env=prod"), "prod");
        assert_eq!(inserted("herder exec -t tag:env=dev,pr", "tag:env=dev,prod"), "dev,prod");
        assert_eq!(inserted("herder exec --target=we", "--target=web-1"), "web-1");
        assert_eq!(inserted("herder exec -t @la", "@last"), "@last");
        assert_eq!(inserted("herder exec -t @last:fa", "@last:failed"), "failed");
        assert_eq!(inserted("herder session ssh me@we", "me@web-1"), "@web-1");
        // In quotes nothing breaks.
        assert_eq!(inserted("herder exec -t 'tag:env=pr", "tag:env=prod"), "tag:env=prod");
        assert_eq!(inserted("herder exec -t \"a and tag:env=pr", "a and tag:env=prod"), "a and tag:env=prod");
        assert_eq!(inserted("herder exec -t tag:'env=pr", "tag:env=prod"), "env=prod");
        // Without breaks, as some set them.
        assert_eq!(Line::parse("h exec -t tag:en", " ").insertion("tag:env=").unwrap(), "tag:env=");
    }

    #[test]
    fn what_is_given_is_quoted() {
        assert_eq!(inserted("h -t tag:t=", "tag:t=a b"), "a\\ b");
        assert_eq!(inserted("h -t 'tag:t=", "tag:t=it's"), "tag:t=it'\\''s");
        assert_eq!(inserted("h -t \"tag:t=", "tag:t=a\"b c"), "tag:t=a\\\"b c");
        assert_eq!(inserted("h -t tag:", "other"), "(none)");
    }
}
