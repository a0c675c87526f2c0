//! [`Pattern`]: text with the wildcards `*` and `?`, as EC2's filters know them.

/// One element of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Piece {
    /// This character.
    Char(char),
    /// `?`: any one character.
    One,
    /// `*`: any number of characters, none included.
    Any,
}

/// Text in which `*` stands for anything and `?` for one character; `\` takes either literally.
/// Case matters, as in AWS's tags.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(Vec<Piece>);

impl Pattern {
    /// The pattern that matches this text and nothing else.
    #[must_use]
    pub fn literal(text: &str) -> Pattern {
        Pattern(text.chars().map(Piece::Char).collect())
    }

    /// The pattern that a text writes; a `\\` at its end stands for itself.
    #[must_use]
    pub fn glob(text: &str) -> Pattern {
        let mut characters = text.chars();
        Pattern::from_pieces(std::iter::from_fn(|| {
            Some(match characters.next()? {
                '*' => Piece::Any,
                '?' => Piece::One,
                '\\' => Piece::Char(characters.next().unwrap_or('\\')),
                c => Piece::Char(c),
            })
        }))
    }

    pub(super) fn from_pieces(pieces: impl IntoIterator<Item = Piece>) -> Pattern {
        let mut kept: Vec<Piece> = pieces.into_iter().collect();
        kept.dedup_by(|a, b| *a == Piece::Any && *b == Piece::Any);
        Pattern(kept)
    }

    /// The text, where there is no wildcard in it.
    #[must_use]
    pub fn as_literal(&self) -> Option<String> {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Char(c) => Some(*c),
                Piece::One | Piece::Any => None,
            })
            .collect()
    }

    /// Whether the whole text fits.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut seen) = (0, 0);
        // Where the last `*` stands, and up to where it has swallowed the text.
        let mut star: Option<(usize, usize)> = None;
        while let Some(c) = text.get(seen) {
            match self.0.get(at) {
                Some(Piece::Any) => {
                    star = Some((at, seen));
                    at += 1;
                    continue;
                }
                Some(Piece::One) => {}
                Some(Piece::Char(p)) if p == c => {}
                _ => {
                    let Some((place, swallowed)) = star else { return false };
                    star = Some((place, swallowed + 1));
                    at = place + 1;
                    seen = swallowed + 1;
                    continue;
                }
            }
            at += 1;
            seen += 1;
        }
        self.0.iter().skip(at).all(|piece| *piece == Piece::Any)
    }

    /// As EC2's filters and the selector grammar write it: wildcards plain, literal ones behind `\`.
    #[must_use]
    pub fn escaped(&self) -> String {
        let mut out = String::with_capacity(self.0.len());
        for piece in &self.0 {
            match piece {
                Piece::Any => out.push('*'),
                Piece::One => out.push('?'),
                Piece::Char(c) => {
                    if matches!(c, '*' | '?' | '\\') {
                        out.push('\\');
                    }
                    out.push(*c);
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (p, yes, no) in [
            ("web-*", &["web-", "web-1", "web-*"][..], &["web", "aweb-1"][..]),
            ("*", &["", "x"], &[]),
            ("w?b", &["web", "wäb"], &["wb", "weeb"]),
            ("*a*b", &["ab", "aab", "xaxbab"], &["ba", "abc"]),
            ("", &[""], &["x"]),
        ] {
            yes.iter().for_each(|t| assert!(Pattern::glob(p).matches(t), "{p} {t}"));
            no.iter().for_each(|t| assert!(!Pattern::glob(p).matches(t), "{p} {t}"));
        }
        assert!(!Pattern::literal("a*").matches("ab"));
        assert_eq!(Pattern::literal("a*\\").escaped(), "a\\*\\\\");
        assert_eq!(Pattern::glob("a**b").escaped(), "a*b");
        assert!(Pattern::glob("a\\*b\\").matches("a*b\\"));
        assert_eq!(
            (Pattern::glob("a?").as_literal(), Pattern::literal("a?").as_literal()),
            (None, Some("a?".into()))
        );
    }
}
