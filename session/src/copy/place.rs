//! What is copied from where to where, as it is written: `PATH`, `NODE:PATH`, `:PATH` or `-`.

use std::path::PathBuf;

use super::RemotePath;

/// One side of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file or directory of this machine.
    Local(PathBuf),
    /// One on a node.
    Remote {
        /// Which node: a selector.
        node: String,
        /// Where on it.
        path: RemotePath,
    },
    /// `:PATH`: one on nodes that are named elsewhere.
    Elsewhere(RemotePath),
    /// Standard input or output.
    Stream,
}

/// A text that is no side of a copy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} can't be copied: {reason}; a place is PATH, NODE:PATH or - (a local path with a colon is ./PATH)"
)]
pub struct PlaceError {
    text: String,
    reason: &'static str,
}

impl Place {
    /// Reads a place. As with scp, a colon that comes before any slash makes it a node's. `keywords` are those words
    /// before a colon that belong to the node's selector, such as `name` or `tag`.
    ///
    /// # Errors
    /// The text is empty, or has a node or path that can't be.
    pub fn parse(text: &str, keywords: &[&str]) -> Result<Place, PlaceError> {
        let error = |reason| PlaceError { text: text.to_owned(), reason };
        match text {
            "" => return Err(error("it is empty")),
            "-" => return Ok(Place::Stream),
            _ if text.contains('\0') => return Err(error("there is a NUL in it")),
            _ => {}
        }
        let colon = text.find(':').filter(|colon| !text.get(..*colon).unwrap_or_default().contains('/'));
        let Some(first) = colon else { return Ok(Place::Local(text.into())) };
        let (word, rest) = (text.get(..first).unwrap_or_default(), text.get(first + 1..).unwrap_or_default());
        let (node, path) = match keywords.contains(&word) {
            true => {
                let second = rest.find(':').ok_or_else(|| error("the selector is not followed by a path"))?;
                let end = first + 1 + second;
                (text.get(..end).unwrap_or_default(), text.get(end + 1..).unwrap_or_default())
            }
            false => (word, rest),
        };
        let path = RemotePath::new(path).ok_or_else(|| error("there is a NUL in it"))?;
        if node.is_empty() {
            return Ok(Place::Elsewhere(path));
        }
        Ok(Place::Remote { node: node.to_owned(), path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYWORDS: [&str; 2] = ["name", "tag"];

    fn remote(node: &str, path: &str) -> Place {
        Place::Remote { node: node.into(), path: RemotePath::new(path).unwrap() }
    }

    #[test]
    fn places_are_told_apart() {
        for (text, place) in [
            ("-", Place::Stream),
            ("file", Place::Local("file".into())),
            ("/a/b:c", Place::Local("/a/b:c".into())),
            ("./a:b", Place::Local("./a:b".into())),
            ("web-1:/etc/hosts", remote("web-1", "/etc/hosts")),
            ("i-0123:", remote("i-0123", "")),
            ("web-1:a:b", remote("web-1", "a:b")),
            ("name:web-1:/x", remote("name:web-1", "/x")),
            ("tag:role=db:/x:y", remote("tag:role=db", "/x:y")),
            (":/etc/app.conf", Place::Elsewhere(RemotePath::new("/etc/app.conf").unwrap())),
            (":", Place::Elsewhere(RemotePath::new("").unwrap())),
        ] {
            assert_eq!(Place::parse(text, &KEYWORDS), Ok(place), "{text}");
        }
    }

    #[test]
    fn errors_say_what_is_right() {
        for (text, reason) in [
            ("", "it is empty"),
            ("name:web-1", "the selector is not followed by a path"),
            ("web:\0", "there is a NUL in it"),
        ] {
            let error = Place::parse(text, &KEYWORDS).unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("NODE:PATH"), "{text:?}: {error}");
        }
    }
}
