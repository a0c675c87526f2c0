//! Checks the members of an awsJson request, and words complaints as AWS's front end does.

use super::ApiError;
use serde_json::{Map, Value};

/// Collects complaints about one request.
#[derive(Debug)]
pub(crate) struct Checked<'a> {
    body: &'a Map<String, Value>,
    complaints: Vec<String>,
    misfit: bool,
}

/// A pattern: its text as the model prints it, and the check itself.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub(crate) text: &'static str,
    pub(crate) fits: fn(&str) -> bool,
}

impl<'a> Checked<'a> {
    pub(crate) fn new(body: &'a Map<String, Value>) -> Checked<'a> {
        Checked { body, complaints: Vec::new(), misfit: false }
    }

    /// Everything that was found wrong, as one error.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        if self.misfit {
            return Err(ApiError::bare("SerializationException"));
        }
        if self.complaints.is_empty() {
            return Ok(());
        }
        let count = self.complaints.len();
        let noun = if count == 1 { "error" } else { "errors" };
        Err(ApiError::new(
            "ValidationException",
            format!("{count} validation {noun} detected: {}", self.complaints.join("; ")),
        ))
    }

    /// Adds a complaint about a value.
    pub(crate) fn complain(&mut self, path: &str, value: &str, constraint: &str) {
        self.complaints
            .push(format!("Value '{value}' at '{path}' failed to satisfy constraint: {constraint}"));
    }

    /// A string whose length is within bounds (in characters).
    pub(crate) fn string(&mut self, key: &str, (min, max): (usize, usize)) -> Option<String> {
        let text = self.raw_string(key)?;
        let length = text.chars().count();
        if length > max {
            self.complain(
                &camel(key),
                &text,
                &format!("Member must have length less than or equal to {max}"),
            );
        } else if length < min {
            self.complain(
                &camel(key),
                &text,
                &format!("Member must have length greater than or equal to {min}"),
            );
        }
        Some(text)
    }

    /// A string that has to be there.
    pub(crate) fn required(&mut self, key: &str, bounds: (usize, usize)) -> String {
        match self.string(key, bounds) {
            Some(text) => text,
            None => {
                self.missing(key);
                String::new()
            }
        }
    }

    /// A string that fits a pattern.
    pub(crate) fn patterned(&mut self, key: &str, pattern: &Pattern) -> Option<String> {
        let text = self.raw_string(key)?;
        self.fits(&camel(key), &text, pattern);
        Some(text)
    }

    /// Complains where a text does not fit.
    pub(crate) fn fits(&mut self, path: &str, text: &str, pattern: &Pattern) {
        if !(pattern.fits)(text) {
            let constraint = format!("Member must satisfy regular expression pattern: {}", pattern.text);
            self.complain(path, text, &constraint);
        }
    }

    /// A whole number within bounds.
    pub(crate) fn integer(&mut self, key: &str, (min, max): (i64, i64)) -> Option<i64> {
        let value = match self.body.get(key) {
            None | Some(Value::Null) => return None,
            Some(value) => value,
        };
        let Some(number) = value.as_i64() else {
            self.misfit = true;
            return None;
        };
        if number > max {
            let constraint = format!("Member must have value less than or equal to {max}");
            self.complain(&camel(key), &number.to_string(), &constraint);
        } else if number < min {
            let constraint = format!("Member must have value greater than or equal to {min}");
            self.complain(&camel(key), &number.to_string(), &constraint);
        }
        Some(number)
    }

    pub(crate) fn boolean(&mut self, key: &str) -> bool {
        match self.body.get(key) {
            None | Some(Value::Null) => false,
            Some(Value::Bool(value)) => *value,
            Some(_) => {
                self.misfit = true;
                false
            }
        }
    }

    /// A list of strings with a length within bounds.
    pub(crate) fn strings(&mut self, key: &str, bounds: (usize, usize)) -> Option<Vec<String>> {
        let items = self.list(key, bounds)?;
        let texts: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
        self.misfit |= texts.is_none();
        texts
    }

    /// A list with a length within bounds.
    pub(crate) fn list(&mut self, key: &str, (min, max): (usize, usize)) -> Option<&'a Vec<Value>> {
        let items = match self.body.get(key) {
            None | Some(Value::Null) => return None,
            Some(Value::Array(items)) => items,
            Some(_) => {
                self.misfit = true;
                return None;
            }
        };
        if items.len() > max || items.len() < min {
            let (word, bound) = if items.len() > max { ("less", max) } else { ("greater", min) };
            let shown = shown_list(items);
            self.complain(
                &camel(key),
                &shown,
                &format!("Member must have length {word} than or equal to {bound}"),
            );
        }
        Some(items)
    }

    /// Complains that a member is missing.
    pub(crate) fn missing(&mut self, key: &str) {
        self.complaints.push(format!(
            "Value null at '{}' failed to satisfy constraint: Member must not be null",
            camel(key)
        ));
    }

    /// Complains where a value is none of an enumeration's.
    pub(crate) fn one_of(&mut self, path: &str, value: &str, allowed: &[&str]) {
        if !allowed.contains(&value) {
            self.complain(
                path,
                value,
                &format!("Member must satisfy enum value set: [{}]", allowed.join(", ")),
            );
        }
    }

    /// The body has a member of the wrong type.
    pub(crate) fn misfit(&mut self) {
        self.misfit = true;
    }

    fn raw_string(&mut self, key: &str) -> Option<String> {
        match self.body.get(key) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(_) => {
                self.misfit = true;
                None
            }
        }
    }
}

fn shown_list(items: &[Value]) -> String {
    let shown: Vec<String> =
        items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect();
    format!("[{}]", shown.join(", "))
}

/// `InstanceIds` → `instanceIds`, as complaints name members.
pub(crate) fn camel(key: &str) -> String {
    let mut letters = key.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn body(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn complaints_are_worded_as_aws_words_them() {
        let body = body(json!({"Comment": "x".repeat(101), "MaxResults": 51, "InstanceIds": ["a", "b"]}));
        let mut checked = Checked::new(&body);
        checked.string("Comment", (0, 100));
        checked.integer("MaxResults", (1, 50));
        checked.strings("InstanceIds", (0, 1));
        checked.required("CommandId", (36, 36));
        let message = checked.finish().unwrap_err().message.unwrap();
        assert!(message.starts_with("4 validation errors detected: Value 'xxx"), "{message}");
        assert!(message.contains(
            "' at 'comment' failed to satisfy constraint: Member must have length less than or equal to 100; "
        ));
        assert!(message.contains("Value '51' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 50; "));
        assert!(message.contains("Value '[a, b]' at 'instanceIds'"));
        assert!(
            message
                .ends_with("Value null at 'commandId' failed to satisfy constraint: Member must not be null")
        );
    }

    #[test]
    fn wrong_types_are_a_serialization_error() {
        let body = body(json!({"Comment": 3}));
        let mut checked = Checked::new(&body);
        checked.string("Comment", (0, 100));
        assert_eq!(checked.finish().unwrap_err().code, "SerializationException");
    }
}
