//! Source files as the checks see them.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of Rust code.
pub(crate) struct Source {
    /// Relative to the repository, with `/`.
    pub(crate) path: String,
    /// As it stands.
    pub(crate) text: String,
    /// What is built into the product: comments, texts and characters blanked, what is under `cfg(test)` left out.
    pub(crate) code: String,
    /// Lines of the file without those under `cfg(test)`.
    pub(crate) lines: usize,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Source {
        let blanked = blank(text);
        let code = without_tests(&blanked);
        let lines = code.lines().count();
        Source { path: path.to_owned(), text: text.to_owned(), code, lines }
    }

    /// The lines of code, counted from 1, as far as no test stands before them.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.code.lines())
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository.
pub(crate) fn text(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names in a directory.
pub(crate) fn names(directory: &str) -> Vec<String> {
    let entries =
        fs::read_dir(repository().join(directory)).unwrap_or_else(|error| panic!("{directory}: {error}"));
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The code of every package, tests apart.
pub(crate) fn sources() -> Vec<Source> {
    let packages = ["src", "core/src", "aws/src", "session/src", "sim/src", "xtask/src"];
    let mut paths = Vec::new();
    packages.iter().for_each(|package| walk(&repository().join(package), &mut paths));
    let sources: Vec<Source> = paths
        .iter()
        .map(|path| relative(path))
        .filter(|path| path.ends_with(".rs") && !is_test(path))
        .map(|path| Source::new(&path, &text(&path)))
        .collect();
    assert!(sources.len() > 100, "only {} files were found", sources.len());
    sources
}

/// Every file that is text, what is made elsewhere apart.
pub(crate) fn texts() -> Vec<(String, String)> {
    let mut paths = Vec::new();
    walk(repository(), &mut paths);
    let is_ours = |path: &String| path != "Cargo.lock" && !path.starts_with("LICENSE");
    let readable = |path: String| Some((path.clone(), fs::read_to_string(repository().join(&path)).ok()?));
    paths.iter().map(|path| relative(path)).filter(is_ours).filter_map(readable).collect()
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.ends_with("_tests.rs") || path.contains("/tests/")
}

fn relative(path: &Path) -> String {
    path.strip_prefix(repository()).unwrap().to_str().unwrap().to_owned()
}

fn walk(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_symlink() || ["target", ".git"].contains(&name) {
            continue;
        }
        if path.is_dir() { walk(&path, paths) } else { paths.push(path) }
    }
    paths.sort();
}

/// Blanks comments, texts and characters; lines stay where they are.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = token_end(&chars, at);
        match end {
            Some(end) => {
                out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
                at = end;
            }
            None => {
                out.push(chars[at]);
                at += 1;
            }
        }
    }
    out
}

/// Where a comment, a text or a character that begins here ends.
fn token_end(chars: &[char], at: usize) -> Option<usize> {
    let rest = &chars[at..];
    let starts = |text: &str| text.chars().enumerate().all(|(n, c)| rest.get(n) == Some(&c));
    let find = |from: usize, wanted: &dyn Fn(usize) -> bool| (from..chars.len()).find(|n| wanted(*n));
    if starts("//") {
        return Some(find(at, &|n| chars[n] == '\n').unwrap_or(chars.len()));
    }
    if starts("/*") {
        let (mut depth, mut n) = (0, at);
        while n < chars.len() {
            match (chars[n], chars.get(n + 1)) {
                ('/', Some('*')) => (depth, n) = (depth + 1, n + 2),
                ('*', Some('/')) => (depth, n) = (depth - 1, n + 2),
                _ => n += 1,
            }
            if depth == 0 {
                break;
            }
        }
        return Some(n);
    }
    let is_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    let raw = rest.iter().skip(usize::from(starts("br"))).take_while(|c| **c == 'r').count();
    if !is_word && raw == 1 && (starts("r") || starts("br")) {
        let open = at + if starts("br") { 2 } else { 1 };
        let hashes = chars[open..].iter().take_while(|c| **c == '#').count();
        if chars.get(open + hashes) == Some(&'"') {
            let closes = |n: usize| {
                chars[n] == '"' && chars[n + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
            };
            return find(open + hashes + 1, &closes).map(|n| n + 1 + hashes);
        }
    }
    if rest[0] == '"' {
        let mut n = at + 1;
        while n < chars.len() && chars[n] != '"' {
            n += if chars[n] == '\\' { 2 } else { 1 };
        }
        return Some((n + 1).min(chars.len()));
    }
    if rest[0] == '\'' {
        // A lifetime has no quote two or three places on.
        return match (rest.get(1), rest.get(2)) {
            (Some('\\'), _) => find(at + 3, &|n| chars[n] == '\'').map(|n| n + 1),
            (Some(_), Some('\'')) => Some(at + 3),
            _ => None,
        };
    }
    None
}

/// Takes away what stands under `#[cfg(test)]`. A file that is a test altogether is left out by its name.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        out.push_str(rest[..at].trim_end_matches([' ', '\n']));
        if !out.ends_with('\n') {
            out.push('\n');
        }
        let item = &rest[at + MARK.len()..];
        rest = item.get(item_end(item)..).unwrap_or_default();
        // The rest of the line went with it.
        rest = rest.trim_start_matches(' ').strip_prefix('\n').unwrap_or(rest);
    }
    out.push_str(rest);
    out
}

/// Where the item, variant or match arm that stands here ends.
fn item_end(item: &str) -> usize {
    let mut start = item.trim_start();
    while start.starts_with("#[") {
        start = start.find(']').map_or("", |end| start[end + 1..].trim_start());
    }
    let words = [
        "mod", "fn", "pub", "use", "impl", "struct", "enum", "const", "static", "type", "trait", "async",
        "let",
    ];
    let is_item =
        start.split(|c: char| !c.is_alphanumeric()).next().is_some_and(|word| words.contains(&word));
    let begin = item.len() - start.len();
    let (mut depth, mut has_body) = (0_i32, false);
    for (n, c) in item.char_indices().skip_while(|(n, _)| *n < begin) {
        match c {
            '(' | '[' => depth += 1,
            '{' => (depth, has_body) = (depth + 1, has_body || depth == 0),
            ')' | ']' => depth -= 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return n + 1,
            ',' if depth == 0 && !is_item => return n + 1,
            _ => {}
        }
        if depth < 0 {
            return n;
        }
        if depth == 0 && c == '}' && has_body {
            // `use a::{b};` goes on.
            let ends = !start.starts_with("use")
                && !start.starts_with("pub(crate) use")
                && !start.starts_with("pub use");
            if ends {
                let comma = usize::from(item[n + 1..].starts_with(','));
                return n + 1 + comma;
            }
        }
    }
    item.len()
}
