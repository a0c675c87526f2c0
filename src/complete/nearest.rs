//! "Did you mean": the nearest of what earlier commands saw, where a selector matches nothing.

use herder_core::target::suggest;

use super::cache::Section;
use super::lines::MOST_BYTES;
use super::values::Values;
use crate::ctx::Ctx;

/// What was probably meant by one of these conditions (`web-01`, `asg:wbe`, `tag:env=pord`), as it is written.
pub(crate) fn meant(ctx: &Ctx, conditions: impl IntoIterator<Item = String>) -> Option<String> {
    let values = Values::new(&ctx.settings, &ctx.environment, MOST_BYTES);
    conditions.into_iter().find_map(|condition| nearest(&values, &condition))
}

fn nearest(values: &Values<'_>, condition: &str) -> Option<String> {
    let (kind, value) = condition.split_once(':').unwrap_or(("", condition));
    if value.contains(['*', '?', ',', '"', '\\']) {
        return None;
    }
    let section = match kind {
        "" | "name" => Section::Name,
        "asg" => Section::Asg,
        "az" => Section::Az,
        "vpc" => Section::Vpc,
        "subnet" => Section::Subnet,
        "ami" => Section::Ami,
        "tag" => return tag(values, value),
        _ => return None,
    };
    let all: Vec<&str> = values.all(section).collect();
    let found = among(value, &all)?;
    Some(if matches!(section, Section::Name) { found.to_owned() } else { format!("{kind}:{found}") })
}

/// The value is sought among those of its key; a key that nobody has, among the keys.
fn tag(values: &Values<'_>, condition: &str) -> Option<String> {
    let (key, value) = condition.split_once('=').map_or((condition, None), |(k, v)| (k, Some(v)));
    let pairs = values.all(Section::Tag).filter_map(|pair| pair.split_once('='));
    let of_key: Vec<&str> = pairs.filter(|(known, _)| *known == key).map(|(_, value)| value).collect();
    if let (Some(value), false) = (value, of_key.is_empty()) {
        return among(value, &of_key).map(|found| format!("tag:{key}={found}"));
    }
    let keys: Vec<&str> = values.all(Section::TagKey).collect();
    let found = among(key, &keys)?;
    Some(value.map_or_else(|| format!("tag:{found}"), |value| format!("tag:{found}={value}")))
}

/// The one of these that was probably meant.
pub(crate) fn among<'a>(word: &str, all: &[&'a str]) -> Option<&'a str> {
    let plain = bare(word);
    let same = all.iter().copied().find(|known| *known != word && bare(known) == plain);
    same.or_else(|| suggest(word, all.iter().copied()).filter(|known| *known != word))
        .or_else(|| only_longer(word, all))
}

/// The one that begins with the word and goes on behind a separator: `web-prod` for `web`.
fn only_longer<'a>(word: &str, all: &[&'a str]) -> Option<&'a str> {
    let goes_on = |known: &str| {
        known.strip_prefix(word).is_some_and(|rest| rest.starts_with(|c: char| !c.is_alphanumeric()))
    };
    let mut longer = all.iter().copied().filter(|known| !word.is_empty() && goes_on(known));
    longer.next().filter(|_| longer.next().is_none())
}

/// A name without what is easily mistaken: case, separators, and zeros before a number.
fn bare(name: &str) -> String {
    let mut bare = String::new();
    for c in name.to_lowercase().chars().filter(|c| !matches!(c, '-' | '_' | '.' | ' ')) {
        let ends_in_zero =
            bare.ends_with('0') && !bare.trim_end_matches('0').ends_with(|c: char| c.is_ascii_digit());
        if ends_in_zero && c.is_ascii_digit() {
            bare.pop();
        }
        bare.push(c);
    }
    bare
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_easily_mistaken_is_the_same() {
        assert_eq!(bare("web-01"), bare("Web1"));
        assert_eq!(bare("web-001.a"), bare("web_1a"));
        assert_ne!(bare("web-10"), bare("web-1"));
        assert_ne!(bare("web-0"), bare("web"));
    }

    #[test]
    fn the_only_one_that_goes_on_is_meant() {
        assert_eq!(among("web", &["api-prod", "web-prod"]), Some("web-prod"));
        assert_eq!(among("web", &["web-prod", "web-stage"]), None);
        assert_eq!(among("web", &["website-of-somebody"]), None);
    }
}
