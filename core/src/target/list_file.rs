//! What `@FILE` and `-` may hold: lines of ids or names, herder's own pipe output, events or `--json` documents.

use serde_json::Value;

use super::selector::ScopedId;

/// A node on a list. Scope is known where the list is herder's own output.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListedNode {
    /// An id, or an exact name.
    pub node: String,
    /// AWS account id.
    pub account: Option<String>,
    /// AWS region.
    pub region: Option<String>,
}

/// The list can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ListError {
    /// Counts from 1.
    pub line: usize,
    /// One fragment.
    pub problem: String,
}

fn failed<T>(line: usize, problem: impl Into<String>) -> Result<T, ListError> {
    Err(ListError { line, problem: problem.into() })
}

/// Reads a list. An empty one is no error here; nothing matching is the caller's exit 3.
///
/// Plain text has one id or name (or `account/region/id`) a line; what follows a tab, and `#` comments, are left out.
/// JSON is herder's: events (of which `target_finished` counts), a document with `targets`, or an array of
/// strings or of objects with `target` or `id`.
///
/// # Errors
/// It is not text, or JSON without targets in it.
pub fn parse_list(bytes: &[u8]) -> Result<Vec<ListedNode>, ListError> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.trim_start_matches('\u{feff}'),
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            return failed(1 + before.iter().filter(|b| **b == b'\n').count(), "it is not UTF-8 text");
        }
    };
    let mut nodes = match text.trim_start().chars().next() {
        Some('{' | '[') => json(text)?,
        _ => plain(text)?,
    };
    let mut seen = std::collections::HashSet::new();
    nodes.retain(|node| seen.insert(node.clone()));
    Ok(nodes)
}

fn plain(text: &str) -> Result<Vec<ListedNode>, ListError> {
    let mut nodes = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        if line.trim_start().starts_with('{') {
            nodes.extend(json_line(line, number)?);
            continue;
        }
        let first = line.split('\t').next().unwrap_or_default();
        let word = before_comment(first).trim();
        if word.contains(|c: char| c.is_control()) {
            return failed(number, "there are control characters in it; this is not a list of nodes");
        } else if !word.is_empty() {
            nodes.push(scoped(word));
        }
    }
    Ok(nodes)
}

fn before_comment(line: &str) -> &str {
    if line.trim_start().starts_with('#') { "" } else { line.split_once(" #").map_or(line, |(node, _)| node) }
}

/// `account/region/id`, as a pipe of several scopes prints it, or just a node.
fn scoped(word: &str) -> ListedNode {
    match ScopedId::parse(word) {
        Some(ScopedId { account, region, id }) => {
            ListedNode { node: id, account: Some(account), region: Some(region) }
        }
        None => ListedNode { node: word.to_owned(), account: None, region: None },
    }
}

fn json(text: &str) -> Result<Vec<ListedNode>, ListError> {
    let starts_at = 1 + text.chars().take_while(|c| c.is_whitespace()).filter(|c| *c == '\n').count();
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Array(items)) => {
            let nodes = items.iter().zip(1..).map(|(item, i)| element(item, i, starts_at));
            nodes.collect::<Result<Vec<_>, _>>().map(|nodes| nodes.into_iter().flatten().collect())
        }
        Ok(document) => match document.get("targets").and_then(Value::as_array) {
            Some(items) if document.get("type").is_none() => {
                let nodes = items.iter().zip(1..).map(|(item, i)| element(item, i, starts_at));
                nodes.collect::<Result<Vec<_>, _>>().map(|nodes| nodes.into_iter().flatten().collect())
            }
            _ => object(&document, starts_at).map(Vec::from_iter),
        },
        Err(error) if text.trim_start().starts_with('[') => {
            failed(error.line(), format!("the JSON array is broken: {error}"))
        }
        Err(_) => {
            let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
            let nodes = lines.map(|(line, number)| json_line(line, number));
            nodes.collect::<Result<Vec<_>, _>>().map(|nodes| nodes.into_iter().flatten().collect())
        }
    }
}

fn json_line(line: &str, number: usize) -> Result<Option<ListedNode>, ListError> {
    match serde_json::from_str::<Value>(line) {
        Ok(value) => object(&value, number),
        Err(error) => failed(number, format!("this is not JSON ({error})")),
    }
}

fn element(item: &Value, index: usize, line: usize) -> Result<Option<ListedNode>, ListError> {
    match item {
        Value::String(node) => Ok(Some(scoped(node))),
        item => object(item, line)
            .map_err(|e| ListError { problem: format!("element {index}: {}", e.problem), ..e }),
    }
}

/// An event that is no result counts for nothing; anything else must name a target.
fn object(value: &Value, line: usize) -> Result<Option<ListedNode>, ListError> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    if text("type").is_some_and(|kind| kind != "target_finished") {
        return Ok(None);
    }
    match text("target").or_else(|| text("id")) {
        Some(node) => Ok(Some(ListedNode { node, account: text("account"), region: text("region") })),
        None if value.get("error").is_some() => failed(line, "it holds an error, not targets"),
        None => failed(line, "there is no `target` in it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Vec<String> {
        parse_list(text.as_bytes()).unwrap().into_iter().map(|n| n.node).collect()
    }

    fn error(text: &str) -> String {
        parse_list(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn lines() {
        let text =
            "\u{feff}# ours\r\ni-0123456789abcdef0\r\n\r\n  web 1  \nweb-2 # old\ni-1\tup 3 days\nweb-2\n";
        assert_eq!(read(text), ["i-0123456789abcdef0", "web 1", "web-2", "i-1"]);
        let scoped = parse_list(b"111122223333/eu-west-1/i-0123456789abcdef0\tup\n").unwrap();
        assert_eq!(scoped[0].region.as_deref(), Some("eu-west-1"));
        assert_eq!(read("a/b/c"), ["a/b/c"]);
        assert!(read("").is_empty());
    }

    #[test]
    fn events_documents_and_arrays() {
        let events = r#"{"v":1,"type":"run_started","targets":2}
{"v":1,"type":"target_sent","target":"i-1"}

{"v":1,"type":"target_finished","target":"i-2","region":"eu-west-1"}
{"target":"web-3"}"#;
        assert_eq!(read(events), ["i-2", "web-3"]);
        assert_eq!(read("web-1\n{\"target\":\"i-2\"}"), ["web-1", "i-2"]);
        // A blank with a `#` or a tab in it is no comment there.
        assert_eq!(read("# two\n {\"name\":\"web #2\",\t\"target\":\"i-2\"}\nweb-3 #3"), ["i-2", "web-3"]);
        assert_eq!(
            read(r#"{"run":{},"targets":[{"target":"i-1"},{"target":"i-2"}],"tally":{}}"#),
            ["i-1", "i-2"]
        );
        assert_eq!(read("\n[\n {\"id\":\"i-1\",\"name\":null},\n \"web-2\"]"), ["i-1", "web-2"]);
        assert_eq!(read(r#"{"v":1,"type":"run_started","targets":2}"#), [""; 0]);
    }

    #[test]
    fn errors_name_the_line() {
        assert_eq!(
            error("{\"target\":\"i-1\"}\n{\"target\":"),
            "line 2: this is not JSON (EOF while parsing a value at line 1 column 10)"
        );
        assert_eq!(error("{\"target\":\"i-1\"}\n{\"name\":\"x\"}"), "line 2: there is no `target` in it");
        assert_eq!(error("[\n\"a\",\n7]"), "line 1: element 2: there is no `target` in it");
        assert_eq!(error("{\"error\":{\"kind\":\"usage\"}}"), "line 1: it holds an error, not targets");
        assert_eq!(
            error("a\n\u{7f}ELF"),
            "line 2: there are control characters in it; this is not a list of nodes"
        );
        assert_eq!(parse_list(b"a\nb\xff\n").unwrap_err().to_string(), "line 2: it is not UTF-8 text");
    }

    proptest! {
        #[test]
        fn never_panics(text in "[\\[\\]{}\":,a/#\t\r\n0-9]{0,40}") {
            let _ = parse_list(text.as_bytes());
        }
    }
}
