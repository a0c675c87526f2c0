//! Paths on a node, and how scripts are told of them.

use std::fmt;

/// A path on a node: any bytes but NUL. One that is not absolute begins at the home directory, and so does `~/`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemotePath(Vec<u8>);

impl RemotePath {
    /// The path of a text; none if there is a NUL in it. It never begins with a dash or is empty: relative ones get a
    /// `./`.
    pub fn new(path: impl AsRef<[u8]>) -> Option<RemotePath> {
        let path = path.as_ref();
        let relative = match path {
            _ if path.contains(&0) => return None,
            [b'/', ..] => return Some(RemotePath(path.to_vec())),
            [b'~'] => &[],
            [b'~', b'/', rest @ ..] | [b'.', b'/', rest @ ..] => rest,
            path => path,
        };
        Some(RemotePath([b"./", relative].concat()))
    }

    /// The bytes of the path.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it says by a slash at its end that it is a directory.
    pub fn is_directory_by_name(&self) -> bool {
        self.0.ends_with(b"/") || self.0.ends_with(b"/.") || self.0.ends_with(b"/..")
    }

    /// Its last part; none for those that have no name of their own.
    pub fn file_name(&self) -> Option<&[u8]> {
        let end = self.0.iter().rposition(|byte| *byte != b'/')? + 1;
        let name = self.0.get(..end)?.rsplit(|byte| *byte == b'/').next()?;
        (!name.is_empty() && name != b"." && name != b"..").then_some(name)
    }

    /// A path within this directory.
    pub fn join(&self, name: impl AsRef<[u8]>) -> Option<RemotePath> {
        let separator: &[u8] = if self.0.ends_with(b"/") { b"" } else { b"/" };
        RemotePath::new([&self.0, separator, name.as_ref()].concat())
    }

    /// For the scripts, as one word: what is not plain becomes `\0ooo`, which `printf %b` understands.
    pub(super) fn encoded(&self) -> String {
        let mut text = String::with_capacity(self.0.len());
        for byte in &self.0 {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => text.push(char::from(*byte)),
                b'.' | b'_' | b'/' | b'+' | b',' | b':' | b'@' | b'%' | b'=' | b'-' => {
                    text.push(char::from(*byte));
                }
                _ => text.push_str(&format!("\\0{byte:03o}")),
            }
        }
        text
    }
}

/// As a person would write it; what can't be shown is escaped.
impl fmt::Display for RemotePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c.is_control() {
                    true => write!(f, "{}", c.escape_default())?,
                    false => write!(f, "{c}")?,
                }
            }
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        Ok(())
    }
}

impl fmt::Debug for RemotePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemotePath({self})")
    }
}

/// The command line that runs a script, for agents that hand it to a shell as well as for those that split it into
/// words themselves. The script has no single quote, no line end and no `{{` in it.
pub(super) fn command_line(script: &str) -> String {
    format!("sh -c '{script}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RemotePath {
        RemotePath::new(text).unwrap()
    }

    #[test]
    fn a_path_never_looks_like_an_option() {
        for (text, bytes) in [
            ("/etc/hosts", "/etc/hosts"),
            ("-rf", "./-rf"),
            ("a b", "./a b"),
            ("./x", "./x"),
            ("~/x", "./x"),
            ("~", "./"),
            ("", "./"),
            ("~user/x", "./~user/x"),
            ("..", "./.."),
        ] {
            assert_eq!(path(text).as_bytes(), bytes.as_bytes(), "{text}");
        }
        assert_eq!(RemotePath::new("a\0b"), None);
    }

    #[test]
    fn names_and_directories_are_told_apart() {
        for (text, name, is_directory) in [
            ("/etc/hosts", Some("hosts"), false),
            ("/etc/", Some("etc"), true),
            ("/etc//", Some("etc"), true),
            ("/", None, true),
            (".", None, true),
            ("a/..", None, true),
            ("x", Some("x"), false),
        ] {
            let path = path(text);
            assert_eq!(path.file_name(), name.map(str::as_bytes), "{text}");
            assert_eq!(path.is_directory_by_name(), is_directory, "{text}");
        }
        assert_eq!(path("/a/").join("b").unwrap(), path("/a/b"));
        assert_eq!(path("a").join("-b").unwrap(), path("a/-b"));
    }

    #[test]
    fn what_a_shell_could_understand_is_encoded() {
        assert_eq!(path("/tmp/a-b_c.d").encoded(), "/tmp/a-b_c.d");
        assert_eq!(
            path("/a b'\"$`\\\n{}*?~").encoded(),
            "/a\\0040b\\0047\\0042\\0044\\0140\\0134\\0012\\0173\\0175\\0052\\0077\\0176"
        );
        assert_eq!(RemotePath::new([b'/', 0xff]).unwrap().encoded(), "/\\0377");
    }

    #[test]
    fn a_path_is_shown_as_one_line() {
        let path = RemotePath::new(b"/a\n\xc3\xa9\xff\x1b[").unwrap();
        assert_eq!(path.to_string(), "/a\\né\\xff\\u{1b}[");
    }
}
