//! Node ids in messages of the service.

use std::collections::HashSet;

/// The ids (`i-` and 8 to 17 hexadecimal digits, `mi-` and 17) that a message names, of those that were asked for, in
/// the order of the request. What the messages look like isn't documented, so nothing but ids is looked for.
pub(crate) fn ids_in(message: &str, asked: &[String]) -> Vec<String> {
    let words = message.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let named: HashSet<&str> = words.filter(|word| is_id(word)).collect();
    asked.iter().filter(|id| named.contains(id.as_str())).cloned().collect()
}

fn is_id(word: &str) -> bool {
    let (digits, least) = match (word.strip_prefix("mi-"), word.strip_prefix("i-")) {
        (Some(digits), _) => (digits, 17),
        (None, Some(digits)) => (digits, 8),
        (None, None) => return false,
    };
    (least..=17).contains(&digits.len()) && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_asked_ids_are_found_in_whatever_text() {
        let asked: Vec<String> =
            ["i-0123456789abcdef0", "i-0bad0bad", "mi-0123456789abcdef0", "i-0fffffffffffffff0"]
                .map(String::from)
                .into();
        let found = |message| ids_in(message, &asked).join(" ");
        assert_eq!(
            found("Instances [[i-0bad0bad]] not in a valid state for account 111122223333"),
            "i-0bad0bad"
        );
        assert_eq!(
            found("The instance IDs 'mi-0123456789abcdef0, i-0123456789abcdef0' do not exist."),
            "i-0123456789abcdef0 mi-0123456789abcdef0"
        );
        // Of a managed id only the whole counts, not the `i-…` in it.
        assert_eq!(found("mi-0123456789abcdef0 is gone"), "mi-0123456789abcdef0");
        // Not asked, cut, too long, or none at all.
        for nothing in
            ["i-0aaaaaaaaaaaaaaa0", "i-0123456789abcd", "i-0bad0badi-0bad0bad", "", "null", "i-0BAD0BAD"]
        {
            assert_eq!(found(nothing), "", "{nothing}");
        }
    }
}
