//! "Did you mean": the nearest of the allowed words.

use strsim::osa_distance;

/// The allowed word that the given one is probably a slip of, if any is near enough: two letters that are missing, too many, wrong
/// or swapped, and not more than half of the word.
#[must_use]
pub fn suggest<'a>(word: &str, allowed: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    allowed
        .into_iter()
        // Not even near: ten thousand names are gone through while somebody waits.
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= 8)
        .map(|candidate| (osa_distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|(d, candidate)| *d <= 2 && *d * 2 <= candidate.chars().count())
        .min_by_key(|(d, _)| *d)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_only() {
        let kinds = ["name", "tag", "asg", "platform"];
        assert_eq!(suggest("tga", kinds), Some("tag"));
        assert_eq!(suggest("wbe-1", ["db-1", "web-1"]), Some("web-1"));
        assert_eq!(suggest("tags", kinds), Some("tag"));
        assert_eq!(suggest("Tag", kinds), Some("tag"));
        assert_eq!(suggest("platfrom", kinds), Some("platform"));
        assert_eq!(suggest("whatever", kinds), None);
        assert_eq!(suggest("", kinds), None);
        assert_eq!(suggest("max_errors", ["concurrency", "max-errors"]), Some("max-errors"));
        assert_eq!(suggest("zzz", ["utc", "region"]), None);
    }
}
