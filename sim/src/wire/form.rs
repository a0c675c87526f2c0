//! The form bodies of the query protocols: `Filter.1.Name=…&Filter.1.Value.1=…`.

use super::ApiError;
use std::collections::BTreeMap;

/// A decoded form.
#[derive(Debug, Default)]
pub(crate) struct Form(BTreeMap<String, String>);

/// A filter: a name, and the values of which one has to match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) name: String,
    pub(crate) values: Vec<String>,
}

impl Form {
    pub(crate) fn parse(body: &str) -> Form {
        let pairs = body.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        });
        Form(pairs.collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    pub(crate) fn is_true(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// `prefix.1`, `prefix.2`, … in order of their number.
    pub(crate) fn list(&self, prefix: &str) -> Vec<String> {
        self.indexes(prefix)
            .filter_map(|index| self.get(&format!("{prefix}.{index}")).map(str::to_owned))
            .collect()
    }

    /// `Filter.N.Name` with `Filter.N.Value.M`.
    pub(crate) fn filters(&self) -> Vec<Filter> {
        self.indexes("Filter")
            .filter_map(|index| {
                let name = self.get(&format!("Filter.{index}.Name"))?.to_owned();
                Some(Filter { name, values: self.list(&format!("Filter.{index}.Value")) })
            })
            .collect()
    }

    /// `Filters.member.N.Name` with `Filters.member.N.Values.member.M`.
    pub(crate) fn member_filters(&self) -> Vec<Filter> {
        self.indexes("Filters.member")
            .filter_map(|index| {
                let name = self.get(&format!("Filters.member.{index}.Name"))?.to_owned();
                Some(Filter { name, values: self.list(&format!("Filters.member.{index}.Values.member")) })
            })
            .collect()
    }

    /// Every entry of `prefix.N.NAME` for one name.
    pub(crate) fn each(&self, prefix: &str, name: &str) -> Vec<String> {
        self.indexes(prefix)
            .filter_map(|index| self.get(&format!("{prefix}.{index}.{name}")).map(str::to_owned))
            .collect()
    }

    /// The parameters that are neither lists nor structures.
    pub(crate) fn plain(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter(|(key, _)| !key.contains('.')).map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// `prefix.N.Key` with `prefix.N.Value`, the value being optional.
    pub(crate) fn pairs(&self, prefix: &str) -> Vec<(String, Option<String>)> {
        self.indexes(prefix)
            .filter_map(|index| {
                let key = self.get(&format!("{prefix}.{index}.Key"))?.to_owned();
                Some((key, self.get(&format!("{prefix}.{index}.Value")).map(str::to_owned)))
            })
            .collect()
    }

    /// A number, or AWS's complaint about it.
    pub(crate) fn number(&self, key: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.get(key) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            ApiError::new("InvalidParameterValue", format!("Value ({text}) for parameter {key} is invalid."))
        })
    }

    fn indexes(&self, prefix: &str) -> impl Iterator<Item = u32> + use<> {
        let start = format!("{prefix}.");
        let mut found: Vec<u32> = self
            .0
            .range(start.clone()..)
            .take_while(|(key, _)| key.starts_with(&start))
            .filter_map(|(key, _)| key.strip_prefix(&start)?.split('.').next()?.parse().ok())
            .collect();
        found.sort_unstable();
        found.dedup();
        found.into_iter()
    }
}

fn decode(text: &str) -> String {
    percent_decoded(&text.replace('+', " "))
}

/// Decodes `%41`; a plus stays a plus, as in paths.
pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let mut ahead = rest.clone();
                let digits = ahead.next().zip(ahead.next());
                let value = digits.and_then(|(high, low)| Some(hex(high)? * 16 + hex(low)?));
                if let Some(value) = value {
                    bytes.push(value);
                    rest = ahead;
                } else {
                    bytes.push(byte);
                }
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_filters_and_pairs() {
        let form = Form::parse(
            "Action=X&InstanceId.2=b&InstanceId.1=a&InstanceId.10=c&Filter.1.Name=tag%3Aenv&Filter.1.Value.1=a+b&Tag.1.Key=k&DryRun=true",
        );
        assert_eq!(form.list("InstanceId"), ["a", "b", "c"]);
        assert_eq!(form.filters(), [Filter { name: "tag:env".into(), values: vec!["a b".into()] }]);
        assert_eq!(form.pairs("Tag"), [("k".to_owned(), None)]);
        assert!(form.is_true("DryRun"));
        assert_eq!(form.number("Action").unwrap_err().code, "InvalidParameterValue");
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*") {
            let form = Form::parse(&text);
            let _ = (form.filters(), form.list("A"));
        }
    }
}
