//! "Did you mean": the nearest of the allowed words.

/// The allowed word that the given one is probably a slip of, if any is near enough.
#[must_use]
pub fn suggest<'a>(word: &str, allowed: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    allowed
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|(d, candidate)| *d <= 2 && *d * 2 <= candidate.chars().count())
        .min_by_key(|(d, _)| *d)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions and replacements between two words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    if a.chars().count().abs_diff(b.len()) > 2 {
        return usize::MAX / 4;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut next = vec![left];
        for ((above_left, above), cb) in row.iter().zip(row.iter().skip(1)).zip(&b) {
            left = (above_left + usize::from(ca != *cb)).min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_only() {
        let kinds = ["name", "tag", "asg", "platform"];
        assert_eq!(suggest("tga", kinds), None);
        assert_eq!(suggest("tags", kinds), Some("tag"));
        assert_eq!(suggest("Tag", kinds), Some("tag"));
        assert_eq!(suggest("platfrom", kinds), Some("platform"));
        assert_eq!(suggest("whatever", kinds), None);
        assert_eq!(suggest("", kinds), None);
    }
}
