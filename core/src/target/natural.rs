//! Natural order: `web-2` before `web-10`.

use std::cmp::Ordering;

/// Compares runs of digits as numbers and everything else by character; equal numbers by their leading zeros.
#[must_use]
pub fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let ((l_text, l_rest), (r_text, r_rest)) = (cut(left), cut(right));
        let order = match (is_number(l_text), is_number(r_text)) {
            (true, true) => {
                let (l, r) = (l_text.trim_start_matches('0'), r_text.trim_start_matches('0'));
                l.len().cmp(&r.len()).then_with(|| l.cmp(r))
            }
            _ => l_text.cmp(r_text),
        };
        if order.is_ne() {
            return order;
        }
        if l_rest.is_empty() || r_rest.is_empty() {
            return l_rest.len().cmp(&r_rest.len()).then_with(|| a.cmp(b));
        }
        (left, right) = (l_rest, r_rest);
    }
}

fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// The first run of digits or of anything else, and the rest.
fn cut(text: &str) -> (&str, &str) {
    let number = is_number(text);
    let end = text.find(|c: char| c.is_ascii_digit() != number).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_count() {
        let mut names = ["web-10", "web-2", "web", "api-1", "web-02", "web-2a", "web-1", "10", "9", "w"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["9", "10", "api-1", "w", "web", "web-1", "web-02", "web-2", "web-2a", "web-10"]);
    }

    proptest! {
        #[test]
        fn is_an_order(a in "[a0-2-]{0,6}", b in "[a0-2-]{0,6}", c in "[a0-2-]{0,6}") {
            prop_assert_eq!(natural(&a, &b), natural(&b, &a).reverse());
            prop_assert_eq!(natural(&a, &b).is_eq(), a == b);
            if natural(&a, &b).is_le() && natural(&b, &c).is_le() {
                prop_assert!(natural(&a, &c).is_le(), "{} {} {}", a, b, c);
            }
        }
    }
}
