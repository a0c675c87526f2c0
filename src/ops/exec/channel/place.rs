//! Where outputs go besides the service's own answers, as it was asked for: `--s3`, `--log-group`.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// Where outputs go besides the service's own answers. Kept with a run: what goes on with it sends the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Places {
    /// `--s3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) s3: Option<S3Place>,
    /// `--log-group`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) log_group: Option<String>,
}

/// A bucket, and how the keys in it begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct S3Place {
    /// Its name.
    pub(crate) bucket: String,
    /// Without a slash at either end; may be empty.
    pub(crate) prefix: String,
}

/// The longest prefix that `SendCommand` takes (facts §4.1).
const MAX_PREFIX: usize = 500;
/// The longest name of a log group.
const MAX_GROUP: usize = 512;

impl Places {
    /// Reads what was typed.
    ///
    /// # Errors
    /// It is no name of a bucket, prefix or log group: usage.
    pub(crate) fn new(s3: Option<&str>, log_group: Option<&str>) -> Result<Places, Failure> {
        Ok(Places {
            s3: s3.map(S3Place::parse).transpose()?,
            log_group: log_group.map(check_group).transpose()?,
        })
    }
}

impl S3Place {
    /// `BUCKET`, `BUCKET/PREFIX`, or either behind `s3://`.
    fn parse(text: &str) -> Result<S3Place, Failure> {
        let rest = text.strip_prefix("s3://").unwrap_or(text);
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        check_bucket(bucket).map_err(|why| {
            Failure::usage(format!("`{bucket}` is not the name of a bucket: {why}"))
                .hint("Give it as BUCKET or BUCKET/PREFIX, as in --s3 herder-output/logs.")
        })?;
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        check_prefix(prefix).map_err(|why| {
            Failure::usage(format!("`{prefix}` can't begin the keys of objects: {why}"))
                .hint("Give names with a slash between them, as in --s3 herder-output/logs/web.")
        })?;
        Ok(S3Place { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }

    /// How the keys of a command's outputs begin, with the slash at its end.
    pub(super) fn base(&self, command_id: &str) -> String {
        match self.prefix.as_str() {
            "" => format!("{command_id}/"),
            prefix => format!("{prefix}/{command_id}/"),
        }
    }
}

/// S3's rules for names of general purpose buckets.
fn check_bucket(name: &str) -> Result<(), &'static str> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !(3..=63).contains(&name.len()) {
        Err("it has 3 to 63 characters")
    } else if !name.chars().all(|c| is_plain(c) || c == '-' || c == '.') {
        Err("it has lower-case letters, digits, `-` and `.` only")
    } else if !name.starts_with(is_plain) || !name.ends_with(is_plain) || name.contains("..") {
        Err("it begins and ends with a letter or digit, and has no two dots in a row")
    } else {
        Ok(())
    }
}

/// The agent cleans keys as paths are cleaned: what it would change is refused, since nothing would be found there.
fn check_prefix(prefix: &str) -> Result<(), &'static str> {
    if prefix.len() > MAX_PREFIX {
        Err("it has 500 characters at the most")
    } else if prefix.chars().any(char::is_control) {
        Err("it has control characters")
    } else if !prefix.is_empty() && prefix.split('/').any(|name| matches!(name, "" | "." | "..")) {
        Err("a name in it is empty, `.` or `..`")
    } else {
        Ok(())
    }
}

fn check_group(name: &str) -> Result<String, Failure> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-/.#".contains(c);
    if (1..=MAX_GROUP).contains(&name.len()) && name.chars().all(fits) {
        return Ok(name.to_owned());
    }
    Err(Failure::usage(format!("`{name}` is not the name of a log group"))
        .hint("Give 1 to 512 letters, digits, `_`, `-`, `/`, `.` and `#`, as in --log-group /ops/herder."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_and_prefixes() {
        for (text, bucket, prefix, base) in [
            ("ops-output", "ops-output", "", "c/"),
            ("ops-output/", "ops-output", "", "c/"),
            ("s3://ops.output/herder/web/", "ops.output", "herder/web", "herder/web/c/"),
            ("abc/a b:ä", "abc", "a b:ä", "a b:ä/c/"),
        ] {
            let place = S3Place::parse(text).unwrap();
            assert_eq!((place.bucket.as_str(), place.prefix.as_str()), (bucket, prefix), "{text}");
            assert_eq!(place.base("c"), base);
        }
        let long = format!("abc/{}", "x".repeat(501));
        for wrong in [
            "", "ab", "Abc", "a_bc", "-abc", "abc.", "a..b", "s3://", "abc//x", "abc/a//b", "abc/../x",
            "abc/a\nb", &long,
        ] {
            assert!(S3Place::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn groups() {
        assert!(Places::new(None, Some("/ops/herder_1.2#3-4")).is_ok());
        for wrong in ["", "a b", "a:*", &"x".repeat(513)] {
            assert!(Places::new(None, Some(wrong)).is_err(), "{wrong:?}");
        }
    }
}
