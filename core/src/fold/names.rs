//! Node names in short: `web-[1-3,7],db-1 … and 12 more`.

use std::collections::BTreeMap;

use crate::target::{is_id, natural};

/// Something that is shown whole or range by range.
struct Unit {
    open: String,
    /// Each with how many nodes it stands for.
    ranges: Vec<(String, usize)>,
    close: String,
}

/// Names in natural order, numbered ones as ranges, repeated ones as `web (×3)`, in at most about `max_width`
/// characters. What doesn't fit is counted: `… and 12 more`. At least one name is always shown.
#[must_use]
pub fn compact<S: AsRef<str>>(names: &[S], max_width: usize) -> String {
    let units = units(names);
    let all: Vec<String> = units.iter().map(|unit| render(unit, unit.ranges.len())).collect();
    let all = all.join(",");
    if all.chars().count() <= max_width {
        return all;
    }
    let mut left = names.len();
    let mut out = String::new();
    for unit in &units {
        let separator = if out.is_empty() { "" } else { "," };
        let count: usize = unit.ranges.iter().map(|(_, n)| n).sum();
        let whole = render(unit, unit.ranges.len());
        if fits(&out, separator, &whole, left - count, max_width) {
            out.push_str(separator);
            out.push_str(&whole);
            left -= count;
            continue;
        }
        left -= add_part(&mut out, unit, left, max_width);
        break;
    }
    if left > 0 {
        out.push_str(&more(left));
    }
    out
}

fn more(left: usize) -> String {
    format!(" … and {left} more")
}

fn fits(out: &str, separator: &str, text: &str, left: usize, max_width: usize) -> bool {
    let tail = if left == 0 { 0 } else { more(left).chars().count() };
    out.chars().count() + separator.len() + text.chars().count() + tail <= max_width
}

/// Adds as many ranges as fit, one at least where there is nothing yet; says how many nodes that were.
fn add_part(out: &mut String, unit: &Unit, left: usize, max_width: usize) -> usize {
    let separator = if out.is_empty() { "" } else { "," };
    let mut best = (usize::from(out.is_empty()), 0);
    for take in 1..unit.ranges.len() {
        let count: usize = unit.ranges.iter().take(take).map(|(_, n)| n).sum();
        if !fits(out, separator, &render(unit, take), left - count, max_width) {
            break;
        }
        best = (take, count);
    }
    if best.0 == 0 {
        return 0;
    }
    out.push_str(separator);
    out.push_str(&render(unit, best.0));
    unit.ranges.iter().take(best.0).map(|(_, n)| n).sum()
}

fn render(unit: &Unit, take: usize) -> String {
    let ranges: Vec<&str> = unit.ranges.iter().take(take).map(|(text, _)| text.as_str()).collect();
    // One number alone needs no brackets.
    let (open, close) = match ranges.as_slice() {
        [only] if unit.close.starts_with(']') && !only.contains('-') => (
            unit.open.strip_suffix('[').unwrap_or(&unit.open),
            unit.close.strip_prefix(']').unwrap_or(&unit.close),
        ),
        _ => (unit.open.as_str(), unit.close.as_str()),
    };
    format!("{open}{}{close}", ranges.join(","))
}

/// What numbered names have in common: text before, text after, digits if padded with zeros.
type Family<'a> = (&'a str, &'a str, usize);

fn units<S: AsRef<str>>(names: &[S]) -> Vec<Unit> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        *counts.entry(name.as_ref()).or_default() += 1;
    }
    let mut families: BTreeMap<Family<'_>, Vec<u64>> = BTreeMap::new();
    let mut units: Vec<Unit> = Vec::new();
    for (name, count) in &counts {
        match numbered(name) {
            Some((family, number)) if *count == 1 => families.entry(family).or_default().push(number),
            _ => {
                let text = if *count > 1 { format!("{name} (×{count})") } else { (*name).to_owned() };
                units.push(Unit { open: String::new(), ranges: vec![(text, *count)], close: String::new() });
            }
        }
    }
    adopt_unpadded(&mut families);
    for ((before, after, pad), numbers) in families {
        units.push(Unit {
            open: format!("{before}["),
            ranges: ranges(numbers, pad),
            close: format!("]{after}"),
        });
    }
    units.sort_by(|a, b| natural(&render(a, 1).replace('[', ""), &render(b, 1).replace('[', "")));
    units
}

/// `web-10` belongs to `web-[01-10]`: it has as many digits as those that are padded.
fn adopt_unpadded(families: &mut BTreeMap<Family<'_>, Vec<u64>>) {
    let padded: Vec<Family<'_>> = families.keys().filter(|(_, _, pad)| *pad > 0).copied().collect();
    for (before, after, pad) in padded {
        let Some(plain) = families.remove(&(before, after, 0)) else { continue };
        let (same, other): (Vec<u64>, Vec<u64>) = plain.into_iter().partition(|n| n.to_string().len() == pad);
        families.entry((before, after, pad)).or_default().extend(same);
        if !other.is_empty() {
            families.insert((before, after, 0), other);
        }
    }
}

fn ranges(mut numbers: Vec<u64>, pad: usize) -> Vec<(String, usize)> {
    numbers.sort_unstable();
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let text = |first: u64, last: u64| match last - first {
        0 => format!("{first:0pad$}"),
        _ => format!("{first:0pad$}-{last:0pad$}"),
    };
    let count = |first: u64, last: u64| usize::try_from(last - first).unwrap_or(usize::MAX).saturating_add(1);
    runs.into_iter().map(|(first, last)| (text(first, last), count(first, last))).collect()
}

/// The last run of digits, unless it is an id (whose digits are no numbers) or too long for a number.
fn numbered(name: &str) -> Option<(Family<'_>, u64)> {
    if is_id(name.rsplit('/').next().unwrap_or(name)) {
        return None;
    }
    let end = name.rfind(|c: char| c.is_ascii_digit())? + 1;
    let head = name.get(..end)?;
    let start = head
        .rfind(|c: char| !c.is_ascii_digit())
        .map_or(0, |at| at + head.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8));
    let digits = name.get(start..end)?;
    let pad = if digits.starts_with('0') && digits.len() > 1 { digits.len() } else { 0 };
    Some(((name.get(..start)?, name.get(end..)?, pad), digits.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_and_families() {
        let short = |names: &[&str]| compact(names, 200);
        assert_eq!(short(&["web-3", "web-1", "web-7", "web-2"]), "web-[1-3,7]");
        assert_eq!(short(&["web-10", "web-2", "api-1", "db"]), "api-1,db,web-[2,10]");
        assert_eq!(short(&["web-1", "web-2"]), "web-[1-2]");
        assert_eq!(short(&["w01", "w02", "w10", "w100", "w9"]), "w[01-02,10],w[9,100]");
        assert_eq!(short(&["a1.eu", "a2.eu", "a1.us"]), "a[1-2].eu,a1.us");
        assert_eq!(short(&["web", "web", "web", "db-1", "db-1"]), "db-1 (×2),web (×3)");
        assert_eq!(
            short(&["i-0123456789abcde10", "i-0123456789abcde11"]),
            "i-0123456789abcde10,i-0123456789abcde11"
        );
        assert_eq!(short(&["99999999999999999999999", "é1é"]), "99999999999999999999999,é1é");
        assert_eq!(short(&[]), "");
        assert_eq!(short(&["00", "0", "1"]), "00,[0-1]");
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let odd: Vec<String> = (0..50).map(|i| format!("web-{}", i * 2)).collect();
        assert_eq!(compact(&odd, 30), "web-[0,2,4,6,8] … and 45 more");
        assert_eq!(compact(&["api", "bastion", "cache"], 16), "api … and 2 more");
        assert_eq!(compact(&["a-very-long-name", "b"], 3), "a-very-long-name … and 1 more");
        assert_eq!(compact(&["api", "b"], 5), "api,b");
    }

    proptest! {
        #![proptest_config(crate::tests::cases(256))]

        #[test]
        fn width_is_kept_and_every_node_counted(names in prop::collection::vec("[ab]{1,2}-?[0-9]{0,3}", 1..40), width in 30_usize..80) {
            let text = compact(&names, width);
            prop_assert!(text.chars().count() <= width, "{}", text);
            prop_assert!(!compact(&names, usize::MAX / 2).contains("more"));
        }

        #[test]
        fn never_panics(names in prop::collection::vec("\\PC{0,6}", 0..6), width in 0_usize..40) {
            let _ = compact(&names, width);
        }
    }
}
